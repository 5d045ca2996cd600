"""Sums of products: a matrix product before a tensor product before a sum of element-wise
products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import prod
from typing import TYPE_CHECKING

from ...ir.expr import Access, Expr, Guard, Number, Power, Reduce, SizeOf
from ...ir.sizes import Size, SizeAtom
from ...ir.subscripts import Index
from ...ir.walk import free_indices
from ...plan.terms import flat_factors
from ..python.code import LEAF, PRODUCT, Code, call, leaf, method
from . import padding
from .arrays import Array, squeezed, transposed
from .dtypes import is_float, promoted

if TYPE_CHECKING:
    from .expressions import Context, Speller

NAMED = 64  # what a size that is not known counts as in a cost,
SHORT = 24  # one that others are lessened by,
SHORTER = 2  # and one that others are divided by


@dataclass(frozen=True)
class Factor:
    """A factor of a product: an array, or one to divide by."""

    array: Array
    inverse: bool = False

    @property
    def axes(self) -> frozenset[Index]:
        """The indices that the factor depends on."""
        return frozenset(self.array.indices)


def contract(speller: Speller, expr: Reduce, context: Context) -> Array | None:
    """A sum of a product as products of pairs; None where it is no sum of a product."""
    if expr.op != "sum" or expr.domain:
        return None
    bound = expr.indices
    factors = flat_factors(expr.body)
    found = padding.padded_factors(speller, factors)
    if found is not None:
        factors = [*found[0], *map(Guard, found[1])]
    outside = [f for f in factors if not any(i in bound for i in free_indices(f))]
    inside = [f.cond for f in factors if isinstance(f, Guard) and f not in outside]
    if inside:  # what is not finite where they are false stays with them
        tame = speller.scope.facts.tame
        outside = [f for f in outside if isinstance(f, Guard) or tame([f], inside)]
    factors = [f for f in factors if f not in outside]
    if len(factors) == 1 and isinstance(factors[0], Power) and factors[0].exponent == 2:
        base = factors[0].base
        if isinstance(base, Access) and set(free_indices(base)) == set(bound):
            factors = [base, base]
    if not any(not isinstance(f, Guard) for f in factors):
        return None
    if speller.scope.facts.strict and len(factors) < 2 and outside:
        return None  # each element is multiplied, then the sum is taken, as it stands
    guards = [f.cond for f in outside if isinstance(f, Guard)]
    context = context.under(*guards)
    parts = _masked(speller, factors, context.within(bound))
    if parts is None:
        return None
    total = _Contraction(speller, bound, context).all(parts)
    absent = [i for i in bound if not any(i in p.axes for p in parts)]
    rest = [f for f in outside if not isinstance(f, Guard)]
    rest += [SizeOf(i.extent) for i in absent if i.extent.literal != 1]
    if rest:
        total = times(speller, rest, total, context)
    if guards:
        mask = speller.all_conditions(guards, context)
        total = speller.selected(mask, total, guards, [*rest, *factors], context)
    return total


def times(speller: Speller, factors: Sequence[Expr], total: Array, context: Context) -> Array:
    """``total`` times what doesn't depend on the summed indices."""
    coefficient = Fraction(1)
    above, below = [], []
    for factor in factors:
        match factor:
            case Number(value, ""):
                coefficient *= value
            case Power(_, exponent) if exponent < 0:
                below.append(speller.inverse(factor, context))
            case _:
                above.append(speller.value(factor, context))
    return speller.quotient(coefficient, [*above, total], below, context)


def _masked(speller: Speller, factors: Sequence[Expr], context: Context) -> list[Factor] | None:
    """The factors with each mask applied to those that need it; None if one doesn't fit."""
    conds = [f.cond for f in factors if isinstance(f, Guard)]
    others = [f for f in factors if not isinstance(f, Guard)]
    mask = speller.all_conditions(conds, context) if conds else None
    if not others:
        return None if mask is None else [Factor(mask)]
    parts: list[Factor] = []
    for factor in others:
        match factor:
            case Power(_, exponent) if exponent < 0 and mask is None:
                parts.append(Factor(speller.inverse(factor, context), inverse=True))
            case _:
                parts.append(Factor(speller.value(factor, context.under(*conds))))
    if mask is None:
        return parts
    tame = speller.scope.facts.tame
    risky = [n for n, f in enumerate(others) if not tame([f], conds)]
    fits = [n for n, p in enumerate(parts) if set(mask.indices) <= set(p.array.indices)]
    if not fits and not risky and any(is_float(p.array.dtype) for p in parts):
        return [*parts, Factor(mask)]  # a product with the mask
    if not fits or not set(risky) <= set(fits):
        return None
    for n in dict.fromkeys([*risky, *([] if risky else fits[:1])]):
        array = speller.selected(mask, parts[n].array, conds, [others[n]], context)
        parts[n] = Factor(array)
    return parts


class _Contraction:
    """The order in which the factors of one sum meet, and how each pair does."""

    def __init__(self, speller: Speller, bound: Sequence[Index], context: Context) -> None:
        self.speller = speller
        self.bound = frozenset(bound)
        self.context = context

    def all(self, parts: Sequence[Factor]) -> Array:
        """The sum of the product of all the factors."""
        parts = [self._alone(part, parts) for part in self._grouped(parts)]
        plan = _plan(tuple(part.axes for part in parts), self.bound)
        total = self._follow(plan, parts)
        left = [i for i in total.array.indices if i in self.bound]
        array = self._real(total)
        return self.speller.reduced("sum", left, array, self.context) if left else array

    def _grouped(self, parts: Sequence[Factor]) -> list[Factor]:
        """Factors over the same axes are multiplied first, and divisions done."""
        groups: dict[frozenset[Index], list[Factor]] = {}
        for part in parts:
            groups.setdefault(part.axes, []).append(part)
        out: list[Factor] = []
        for group in groups.values():
            if len(group) == 1 or (len(group) == 2 and len(groups) == 1):
                out.extend(group)
                continue
            out.append(Factor(self._quotient(group)))
        return out

    def _quotient(self, group: Sequence[Factor]) -> Array:
        above = [p.array for p in group if not p.inverse]
        below = [p.array for p in group if p.inverse]
        return self.speller.quotient(Fraction(1), above, below, self.context)

    def _alone(self, part: Factor, parts: Sequence[Factor]) -> Factor:
        """Sums over what only this factor depends on, where others remain."""
        if len(parts) < 2 or part.inverse:
            return part
        others = frozenset[Index]().union(*(p.axes for p in parts if p is not part))
        own = [i for i in part.array.indices if i in self.bound and i not in others]
        if not own:
            return part
        return Factor(self.speller.reduced("sum", own, part.array, self.context))

    def _follow(self, plan: Plan, parts: Sequence[Factor]) -> Factor:
        if isinstance(plan, int):
            return parts[plan]
        left, right, summed = plan
        return self.pair(self._follow(left, parts), self._follow(right, parts), summed)

    def _real(self, factor: Factor) -> Array:
        if not factor.inverse:
            return factor.array
        return self._quotient([factor])

    def pair(self, left: Factor, right: Factor, summed: frozenset[Index]) -> Factor:
        """The product of two factors, summed over some of the indices that both have."""
        if not summed:
            return Factor(self._quotient([left, right]))
        whole = not left.inverse and not right.inverse and summed == left.axes == right.axes
        if whole and (dot := _dot(left.array, right.array)) is not None:
            return Factor(dot)
        if left.axes == right.axes or left.inverse or right.inverse:
            if left.axes == right.axes or _divided_whole(left, right):
                product = self._quotient([left, right])
                order = [i for i in product.indices if i in summed]
                return Factor(self.speller.reduced("sum", order, product, self.context))
            left, right = Factor(self._real(left)), Factor(self._real(right))
        return Factor(matrix_product(self.speller, left.array, right.array, summed, self.context))


def _divided_whole(left: Factor, right: Factor) -> bool:
    """Whether factors are divided element by element, then summed: where what is divided by has no
    fewer elements. A vector that divides a matrix is inverted before both are multiplied."""
    if left.inverse and right.inverse:
        return left.axes <= right.axes or right.axes <= left.axes
    below, above = (left, right) if left.inverse else (right, left)
    return above.axes <= below.axes


def matrix_product(
    speller: Speller, a: Array, b: Array, summed: frozenset[Index], context: Context
) -> Array:
    """The sum of ``a * b`` over ``summed`` (axes of both) as ``@`` or ``np.tensordot``."""
    a, b = (squeezed(x) for x in speller.compatible([a, b]))
    a, b = (_windows(speller, x) for x in (a, b))
    dtype = promoted([a.dtype, b.dtype])
    if dtype == "bool":
        a, dtype = speller.cast(a, "int"), "int"
    batch = [i for i in a.indices if i in b.indices and i not in summed]
    order = {index: n for n, index in enumerate(context.hint)}
    free_a = [i for i in a.indices if i not in b.indices]
    free_b = [i for i in b.indices if i not in a.indices]
    if _first(free_b, order) < _first(free_a, order):
        a, b, free_a, free_b = b, a, free_b, free_a
    if _is_first(b, summed) or (_is_second(a, summed) and not _is_second(b, summed)):
        a, b, free_a, free_b = b, a, free_b, free_a
    inner = [i for i in a.indices if i in summed]
    if batch:
        return _batched(speller, a, b, batch, inner, dtype)
    if len(inner) == 1 and len(free_b) <= 1 and (len(free_a) <= 1 or a.axes[-1] is inner[0]):
        one = transposed(a, (*free_a, *inner)) if len(free_a) <= 1 else a
        two = transposed(b, (*inner, *free_b))
        return Array(leaf(_at(one.code, two.code)), (*free_a, *free_b), dtype)
    return _tensordot(a, b, inner, free_a, free_b, dtype)


def _windows(speller: Speller, array: Array) -> Array:
    """Overlapping windows under a name."""
    if array.inner is None or array.code.is_name:
        return array
    scope = speller.scope
    text = str(array.code)
    if text not in scope.windows:
        scope.windows[text] = str(speller.named(array, "windows").code)
    return replace(array, code=leaf(Code(scope.windows[text])), view=True)


# np.tensordot copies overlapping windows to a matrix. That is fast where the copy ends with the
# axis along which
# memory is contiguous: the windows are the second operand if that axis is kept, and the first if
# it is summed over.


def _is_first(array: Array, summed: frozenset[Index]) -> bool:
    return array.inner is not None and array.inner in summed


def _is_second(array: Array, summed: frozenset[Index]) -> bool:
    return array.inner is not None and array.inner not in summed


def _dot(a: Array, b: Array) -> Array | None:
    """The sum of all of ``a * b``."""
    if a.axes != b.axes or promoted([a.dtype, b.dtype]) == "bool":
        return None
    if len(a.axes) == 1:
        return Array(leaf(_at(a.code, b.code)), (), promoted([a.dtype, b.dtype]))
    return Array(leaf(call("np.vdot", a.code, b.code)), (), promoted([a.dtype, b.dtype]))


def _first(free: Sequence[Index], order: dict[Index, int]) -> int:
    return min((order.get(i, len(order)) for i in free), default=len(order) + 1)


def _at(left: Code, right: Code) -> Code:
    """``left @ right``; products of numbers in front stay in parentheses."""
    text = left.at(PRODUCT)
    if left.level == PRODUCT and " @ " not in text:
        text = left.at(PRODUCT + 1)
    return Code(f"{text} @ {right.at(PRODUCT + 1)}".replace(LEAF, ""), PRODUCT)


def _tensordot(
    a: Array,
    b: Array,
    inner: Sequence[Index],
    free_a: Sequence[Index],
    free_b: Sequence[Index],
    dtype: str,
) -> Array:
    left = [a.axes.index(i) for i in inner]
    right = [b.axes.index(i) for i in inner]
    n = len(inner)
    if left == list(range(len(a.axes) - n, len(a.axes))) and right == list(range(n)):
        axes = str(n)
    elif n == 1:
        axes = f"({left[0]}, {right[0]})"
    else:
        axes = f"({tuple(left)}, {tuple(right)})"
    code = call("np.tensordot", a.code, b.code, axes=axes)
    return Array(leaf(code), (*free_a, *free_b), dtype)


def _batched(
    speller: Speller,
    a: Array,
    b: Array,
    batch: Sequence[Index],
    inner: Sequence[Index],
    dtype: str,
) -> Array:
    """A stack of matrix products."""
    free_a = [i for i in a.indices if i not in b.indices]
    free_b = [i for i in b.indices if i not in a.indices]
    one = _stacked(speller, a, batch, free_a, inner)
    two = _stacked(speller, b, batch, inner, free_b)
    if not free_a:
        one = replace(one, code=leaf(Code(f"{one.code.at(8)}[..., None, :]")))
    if not free_b:
        two = replace(two, code=leaf(Code(f"{two.code.at(8)}[..., None]")))
    code = _at(one.code, two.code)
    if not free_a:
        code = Code(f"({code})[..., 0, :]")
    if not free_b:
        code = Code(f"({code})[..., 0]")
    frame = (*batch, *free_a, *free_b)
    if len(free_a) > 1 or len(free_b) > 1:
        code = method(code, "reshape", *speller.scope.extents(frame))
    return Array(leaf(code), frame, dtype)


def _stacked(
    speller: Speller,
    array: Array,
    batch: Sequence[Index],
    rows: Sequence[Index],
    columns: Sequence[Index],
) -> Array:
    """``array`` with the batch axes first, then its rows and its columns as one axis each."""
    laid = transposed(array, (*batch, *rows, *columns))
    if len(rows) <= 1 and len(columns) <= 1:
        return laid
    shape = speller.scope.extents(batch)
    for group in (rows, columns):
        if group:
            extents = [
                x if x.isidentifier() or x.isdigit() else f"({x})"
                for x in speller.scope.extents(group)
            ]
            shape.append(" * ".join(extents))
    return laid.with_code(method(laid.code, "reshape", *shape))


# the order of contraction

Plan = int | tuple["Plan", "Plan", frozenset[Index]]


def _plan(axes: tuple[frozenset[Index], ...], bound: frozenset[Index]) -> Plan:
    """The cheapest order in which pairs of factors meet; greedy beyond six factors."""
    if len(axes) > 6:
        return _greedy(axes, bound)
    everything = frozenset(range(len(axes)))

    @cache
    def kept(group: frozenset[int]) -> frozenset[Index]:
        own = frozenset[Index]().union(*(axes[n] for n in group))
        others = frozenset[Index]().union(*(axes[n] for n in everything - group))
        return frozenset(i for i in own if i not in bound or i in others)

    @cache
    def best(group: frozenset[int]) -> tuple[int, Plan]:
        members = sorted(group)
        if len(members) == 1:
            return 0, members[0]
        options: list[tuple[int, Plan]] = []
        for mask in range(2 ** (len(members) - 1) - 1):  # the first member is always on the left
            left = frozenset(m for n, m in enumerate(members) if n == 0 or mask >> (n - 1) & 1)
            right = group - left
            cost = best(left)[0] + best(right)[0] + _size(kept(left) | kept(right))
            gone = (kept(left) & kept(right)) - kept(group)
            options.append((cost, (best(left)[1], best(right)[1], gone)))
        return min(options, key=lambda option: option[0])

    return best(everything)[1]


def _greedy(axes: Sequence[frozenset[Index]], bound: frozenset[Index]) -> Plan:
    items: list[tuple[frozenset[Index], Plan]] = [(a, n) for n, a in enumerate(axes)]
    while len(items) > 1:
        options = []
        for i in range(len(items)):
            for j in range(i + 1, len(items)):
                others = [a for n, (a, _) in enumerate(items) if n not in (i, j)]
                needed = frozenset[Index]().union(*others)
                gone = (items[i][0] & items[j][0] & bound) - needed
                result = (items[i][0] | items[j][0]) - gone
                growth = _size(result) - _size(items[i][0]) - _size(items[j][0])
                options.append((growth, i, j, gone, result))
        _, i, j, gone, result = min(options, key=lambda option: option[:3])
        joined: Plan = (items[i][1], items[j][1], gone)
        items = [item for n, item in enumerate(items) if n not in (i, j)]
        items.append((result, joined))
    return items[0][1]


def _size(axes: frozenset[Index]) -> int:
    total = 1
    for index in axes:
        total *= weight(index)
    return total


def weight(index: Index, among: Iterable[Index] = ()) -> int:
    """What an index's extent counts as in a cost, beside other indices: a size that an extent is
    lessened by, such as K in N - K + 1, is short, and one that it is divided by shorter."""
    extents = [index.extent, *(i.extent for i in among)]
    short = {name for extent in extents for name in _subtracted(extent)}
    divisors = {name for extent in extents for name in _divisors(extent)}
    values = {**dict.fromkeys(short, SHORT), **dict.fromkeys(divisors, SHORTER)}
    return max(1, _estimate(index.extent, values))


def _subtracted(extent: Size) -> Iterator[str]:
    for mono, n in extent.terms:
        for atom in mono:
            if isinstance(atom, str):
                yield from [atom] if n < 0 else []
            else:
                yield from _subtracted(atom.numerator)


def _divisors(extent: Size) -> Iterator[str]:
    for mono, _ in extent.terms:
        for atom in mono:
            if not isinstance(atom, str):
                yield from (*atom.denominator.names(), *_divisors(atom.numerator))


def _estimate(extent: Size, values: Mapping[str, int]) -> int:
    """The size without what is subtracted."""

    def of(atom: SizeAtom) -> int:
        if isinstance(atom, str):
            return values.get(atom, NAMED)
        return _estimate(atom.numerator, values) // max(1, _estimate(atom.denominator, values))

    return sum(n * prod(map(of, mono)) for mono, n in extent.terms if n > 0)
