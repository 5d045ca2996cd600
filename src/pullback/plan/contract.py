"""Sums of products as products of pairs: contractions, the cheapest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from ..ir.expr import ZERO, Access, And, Cond, Expr, Guard, Power, Reduce, mul
from ..ir.subscripts import Index
from ..ir.walk import free_indices
from . import arrays
from .convolve import convolution
from .frames import frame_of
from .laid import Laid, permuted
from .masks import selected
from .pairing import Pairs, pairs
from .running import running, triangle
from .terms import flat_factors
from .windows import looped

if TYPE_CHECKING:
    from .lower import Lowering


@dataclass(frozen=True)
class Factor:
    """A factor of a product: an array, or one to divide by."""

    laid: Laid
    inverse: bool = False

    @property
    def axes(self) -> frozenset[Index]:
        """The indices that the factor depends on."""
        return frozenset(self.laid.indices)


def contracted(lowering: Lowering, expr: Reduce) -> Laid:
    """A sum of products: what has none of the indices multiplies the sum, and conditions that have
    none choose it."""
    factors = flat_factors(expr.body)
    conds = [*expr.domain, *(f.cond for f in factors if isinstance(f, Guard))]
    decisions = [lowering.decided(c) for c in conds]
    if False in decisions:
        return lowering.value(ZERO)
    conds = [c for c, d in zip(conds, decisions, strict=True) if d is None]
    others = [f for f in factors if not isinstance(f, Guard)]
    conds = lowering.needed(conds, others)
    bound = set(expr.indices)
    inside = [c for c in conds if bound & set(free_indices(c))]
    around = [c for c in conds if c not in inside]
    if around:
        mask = lowering.cond(And(tuple(around)))
        whole = Reduce("sum", expr.indices, tuple(inside), mul(*others))
        with lowering.under():
            made = running(lowering, whole) or _summed(lowering, expr.indices, inside, others)
        return selected(lowering, mask, made, around, others)
    return _summed(lowering, expr.indices, inside, others)


def _summed(
    lowering: Lowering, indices: Sequence[Index], conds: Sequence[Cond], factors: Sequence[Expr]
) -> Laid:
    """The sum of a product under conditions; what none of the indices occur in is taken out."""
    bound = set(indices)
    inner = [f for f in factors if bound & set(free_indices(f))]
    outer = [f for f in factors if f not in inner]
    if conds and not lowering.facts.finite_anyway(
        outer, conds
    ):  # what may not be finite stays with them
        inner, outer = list(factors), []
    if lowering.facts.strict and outer and len(inner) + len(conds) == 1:
        # each element is multiplied, then the sum is taken, as it stands
        made = lowering.times(factors) if inner else lowering.product([*map(Guard, conds), *outer])
        return _absent(lowering, indices, made, lowering.folded("sum", indices, made))
    result = inner_sum(lowering, indices, conds, inner)
    return lowering.times(outer, result) if outer else result


def inner_sum(
    lowering: Lowering, indices: Sequence[Index], conds: Sequence[Cond], factors: Sequence[Expr]
) -> Laid:
    """The sum of a product under conditions, all factors of which stay together."""
    if not lowering.in_place and not conds:
        found = convolution(lowering, indices, factors)
        if found is not None:
            return found
    if lowering.in_place and factors:
        whole = Reduce("sum", tuple(indices), (), mul(*map(Guard, conds), *factors))
        if (found := looped(lowering, whole)) is not None:
            return found
    parts = _masked(lowering, factors, conds) if conds else _factors(lowering, indices, factors)
    told = {i: None for part in parts for i in part.laid.indices}
    total = Laid(arrays.whole(1))
    if parts:
        total = _Contraction(lowering, [i for i in indices if i in told]).all(parts)
    return _absent(lowering, indices, Laid(total.array, tuple(told)), total)


def _absent(lowering: Lowering, indices: Iterable[Index], summed: Laid, total: Laid) -> Laid:
    """A sum times the extents of the indices that what is summed lacks."""
    for index in indices:
        if index not in summed.axes and index.extent.literal != 1:
            total = lowering.map("mul", total, Laid(arrays.count(index.extent)))
    return total


def _factors(lowering: Lowering, indices: Sequence[Index], factors: Sequence[Expr]) -> list[Factor]:
    """The factors as arrays. Where a product of arrays in memory is, so is that of one with
    itself."""
    if lowering.in_place and len(factors) == 1:
        match factors[0]:
            case Power(Access() as base, exponent) if exponent == 2:
                if set(free_indices(base)) == set(indices):
                    factors = [base, base]
    found: list[Factor] = []
    for factor in factors:
        if isinstance(factor, Power) and factor.exponent < 0:
            found.append(Factor(lowering.inverse(factor), inverse=True))
        else:
            found.append(Factor(lowering.value(factor)))
    return found


def _masked(lowering: Lowering, factors: Sequence[Expr], conds: Sequence[Cond]) -> list[Factor]:
    """The factors with a mask applied to those that need it: itself a factor where all are
    finite."""
    mask = lowering.cond(And(tuple(conds)))
    if not factors:
        return [Factor(mask)]
    with lowering.under():
        laid = list(map(lowering.value, factors))
    facts = lowering.facts
    fits = [n for n, one in enumerate(laid) if set(mask.indices) <= set(one.indices)]
    finite = [facts.finite_anyway([f], conds) for f in factors]
    if fits and not facts.wraps:  # in index notation nobody said in which order things are done
        finite = [
            ok or (n not in fits and facts.finite([f], conds))
            for n, (f, ok) in enumerate(zip(factors, finite, strict=True))
        ]
    risky = [n for n, ok in enumerate(finite) if not ok]
    if not fits and not risky and any(one.array.kind == "float" for one in laid):
        return [*map(Factor, laid), Factor(mask)]
    if not fits or not set(risky) <= set(fits):
        with lowering.under():
            product = lowering.times(factors)
        return [Factor(selected(lowering, mask, product, conds, factors))]
    for n in risky or fits[:1]:
        half = triangle(lowering, conds, [factors[n]])
        laid[n] = half or selected(lowering, mask, laid[n], conds, [factors[n]])
    return [*map(Factor, laid)]


class _Contraction:
    """The order in which the factors of one sum meet, and how each pair does."""

    def __init__(self, lowering: Lowering, bound: Sequence[Index]) -> None:
        self.lowering = lowering
        self.bound = frozenset(bound)

    def all(self, parts: Sequence[Factor]) -> Laid:
        """The sum of the product of all the factors."""
        parts = self._grouped(parts)
        parts = [self._alone(part, parts) for part in parts]
        order = pairs(tuple(part.axes for part in parts), self.bound)
        total = self._real(self._follow(order, parts))
        return self.lowering.folded("sum", self.bound, total)

    def _grouped(self, parts: Sequence[Factor]) -> list[Factor]:
        """Factors over the same axes are multiplied first, and divisions done."""
        groups: dict[frozenset[Index], list[Factor]] = {}
        for part in parts:
            groups.setdefault(part.axes, []).append(part)
        found: list[Factor] = []
        for group in groups.values():
            if len(group) == 1 or (len(group) == 2 and len(groups) == 1):
                found.extend(group)
            else:
                found.append(Factor(self._quotient(group)))
        return found

    def _quotient(self, group: Sequence[Factor]) -> Laid:
        above = [part.laid for part in group if not part.inverse]
        below = [part.laid for part in group if part.inverse]
        return self.lowering.quotient(Fraction(1), above, below)

    def _alone(self, part: Factor, parts: Sequence[Factor]) -> Factor:
        """Sums over what only this factor depends on, where others remain."""
        if len(parts) < 2 or part.inverse:
            return part
        others = frozenset[Index]().union(*(p.axes for p in parts if p is not part))
        return Factor(self.lowering.folded("sum", self.bound - others, part.laid))

    def _follow(self, order: Pairs, parts: Sequence[Factor]) -> Factor:
        if isinstance(order, int):
            return parts[order]
        left, right, summed = order
        return self.pair(self._follow(left, parts), self._follow(right, parts), summed)

    def _real(self, factor: Factor) -> Laid:
        return self._quotient([factor]) if factor.inverse else factor.laid

    def pair(self, left: Factor, right: Factor, summed: frozenset[Index]) -> Factor:
        """The product of two factors, summed over some of the indices that both have."""
        if not summed:
            return Factor(self._quotient([left, right]))
        dot = summed == left.axes == right.axes and left.laid.indices == right.laid.indices
        divided = left.inverse or right.inverse
        if (left.axes == right.axes and (divided or not dot)) or _divided_whole(left, right):
            return Factor(self.lowering.folded("sum", summed, self._quotient([left, right])))
        return Factor(_met(self._real(left), self._real(right), summed, self.lowering.hint))


def _divided_whole(left: Factor, right: Factor) -> bool:
    """Whether factors are divided element by element, then summed: where what is divided by has no
    fewer elements. A vector that divides a matrix is inverted before both are multiplied."""
    if not left.inverse and not right.inverse:
        return False
    if left.inverse and right.inverse:
        return left.axes <= right.axes or right.axes <= left.axes
    below, above = (left, right) if left.inverse else (right, left)
    return above.axes <= below.axes


def _met(left: Laid, right: Laid, summed: frozenset[Index], hint: Sequence[Index]) -> Laid:
    """The product of two arrays, summed over indices that both have."""
    one, two = (permuted(laid, laid.indices) for laid in (left, right))
    free = [tuple(i for i in laid.indices if i not in summed) for laid in (one, two)]
    place = {index: n for n, index in enumerate(hint)}
    own = [[i for i in f if i not in free[1 - k]] for k, f in enumerate(free)]
    first = [_first(one, place) for one in own]
    if first[1] < first[0] and (first[1] == 0 or first[0] < len(hint)):
        one, two, free, own = two, one, free[::-1], own[::-1]
    if set(place).issuperset(i for f in free for i in f):
        axes = frame_of(free, hint)
    else:
        axes = (*(i for i in free[0] if i in free[1]), *own[0], *own[1])
    letters = _letters([*one.indices, *two.indices])
    words = ["".join(letters[i] for i in laid.indices) for laid in (one, two)]
    result = "".join(letters[i] for i in axes)
    return Laid(arrays.einsum(words, result, [one.array, two.array]), axes)


def _first(free: Sequence[Index], place: dict[Index, int]) -> int:
    return min((place.get(i, len(place)) for i in free), default=len(place) + 1)


def _letters(indices: Iterable[Index]) -> dict[Index, str]:
    """A letter an index: its own where it has one."""
    found: dict[Index, str] = {}
    left = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    distinct = list(dict.fromkeys(indices))
    for index in sorted(distinct, key=lambda i: len(i.name)):
        wanted = index.name if len(index.name) == 1 and index.name in left else ""
        letter = wanted or next(c for c in left if all(c != i.name for i in distinct))
        left.remove(letter)
        found[index] = letter
    return found
