"""Terms that fill only a part of their target: ranges, steps, one place a row."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from math import prod

from ..calculus.cost import expression_cost
from ..calculus.share import value_key
from ..ir.expr import (
    Access,
    Add,
    Cond,
    Divides,
    Expr,
    Guard,
    Inside,
    Mul,
    Not,
    Number,
    Zero,
    add,
    mul,
    neg,
    number,
)
from ..ir.program import Define
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, Lookup, Subscript, at, constant, indices_of, map_indices, reduced
from ..ir.walk import Tree, accesses, free_indices, lookups, map_subscripts, substitute
from ..text import PRIVATE
from .facts import Facts
from .terms import split_sign

NEAR = 4  # times a number that the numbers that it is made of are larger, at most


@dataclass(frozen=True)
class Term:
    """A product: its conditions and its other factors."""

    conds: tuple[Cond, ...]
    factors: tuple[Expr, ...]

    @property
    def expr(self) -> Expr:
        """The term as an expression."""
        return (
            mul(*map(Guard, self.conds), *self.factors) if self.conds or self.factors else Mul(())
        )


@dataclass(frozen=True)
class Piece:
    """``target[subs] += body``; each subscript is affine in one index of the piece, or looked
    up."""

    subs: tuple[Subscript, ...]
    body: Expr


def split_terms(expr: Expr, indices: Sequence[Index]) -> tuple[list[Expr], list[Term]]:
    """Factors in front, and terms: those sums multiplied out whose terms fill parts of the
    target."""
    outer: list[Expr] = []
    while isinstance(expr, Mul) and not any(isinstance(f, Guard) for f in expr.factors):
        sums = [f for f in expr.factors if _has_places(f, indices)]
        if len(sums) != 1:
            break
        outer.extend(f for f in expr.factors if f is not sums[0])
        expr = sums[0]
    return outer, terms_of(expr, indices)


def terms_of(expr: Expr, indices: Sequence[Index]) -> list[Term]:
    """The terms of a sum."""
    match expr:
        case Add(parts):
            return [term for part in parts for term in terms_of(part, indices)]
        case Guard(cond):
            return [Term((cond,), ())]
        case Mul(factors):
            conds = tuple(f.cond for f in factors if isinstance(f, Guard))
            others = [f for f in factors if not isinstance(f, Guard)]
            sums = [f for f in others if isinstance(f, Add | Mul) and _has_places(f, indices)]
            if len(sums) != 1:
                return [Term(conds, tuple(others))]
            rest = tuple(f for f in others if f is not sums[0])
            return [
                Term((*conds, *term.conds), (*rest, *term.factors))
                for term in terms_of(sums[0], indices)
            ]
        case _:
            return [Term((), (expr,))]


def whole_and_part(terms: Sequence[Term], facts: Facts) -> list[Term]:
    """``5*x`` where a condition fails and ``3*x`` where it holds as ``5*x`` everywhere and ``-2*x``
    where it holds, for values that are finite: no array is chosen. Small whole numbers alone, so
    that nothing is lost."""
    out = list(terms)
    for one, two in permutations(terms, 2):
        if one not in out or two not in out or len(one.conds) != 1 or len(two.conds) != 1:
            continue
        if one.conds[0] is not Not(two.conds[0]):
            continue
        (a, rest), (b, other) = _coefficient(one.factors), _coefficient(two.factors)
        near = abs(a) + abs(b - a) <= NEAR * abs(b)
        if rest != other or not near or any(n.denominator != 1 for n in (a, b)):
            continue
        if rest and a != b and not any(map(facts.how_infinite, rest)):
            out[out.index(one)] = Term((), (number(a), *rest) if a != 1 else tuple(rest))
            out[out.index(two)] = Term(two.conds, (number(b - a), *rest))
    return out


def cheaper_inside(
    outer: Sequence[Expr], values: Sequence[Expr], inside: Sequence[Expr], points: float
) -> bool:
    """Whether factors in front of a sum are better multiplied with each of its ``values``, which
    are ``inside`` then: in front they take a pass over all ``points`` of the target, with a value
    numbers meet a number and a row meets a row. Equal values are computed once."""
    apart = points + expression_cost(mul(*outer))
    return _costs(inside) < apart + _costs(values)


def _costs(values: Sequence[Expr]) -> float:
    """What values cost, with one number each; those that are equal but for a sign cost once."""
    found: dict[Hashable, Expr] = {}
    for value in values:
        scale, others = _coefficient(value.factors if isinstance(value, Mul) else (value,))
        plain = mul(*others) if abs(scale) == 1 else mul(number(abs(scale)), *others)
        found[value_key(plain)] = plain
    return sum(map(expression_cost, found.values()))


def _coefficient(factors: Sequence[Expr]) -> tuple[Fraction, list[Expr]]:
    """The numbers among factors, multiplied, and the others."""
    numbers = [f for f in factors if isinstance(f, Number) and not f.special]
    total = prod((f.value for f in numbers), start=Fraction(1))
    return total, [f for f in factors if f not in numbers]


def _has_places(expr: Expr, indices: Sequence[Index]) -> bool:
    """Whether a condition on a target's index stands somewhere in an expression, not under a
    sum."""
    match expr:
        case Guard(Zero(sub) | Inside(sub, _) | Divides(_, sub)):
            return any(i in indices for i in indices_of(sub))
        case Add(parts) | Mul(parts):
            return any(_has_places(part, indices) for part in parts)
        case _:
            return False


def locate(term: Term, indices: Sequence[Index], facts: Facts) -> Piece:
    """The part of the target that a term fills, and its value there."""
    places = _Places(term, indices, facts)
    places.solve()
    conds = [cond for cond in places.conds if not _holds(cond, facts)]
    factors: list[Expr] = [
        map_subscripts(places.moved(f), _reduced)  # type: ignore[misc]
        for f in term.factors
    ]
    body = mul(*map(Guard, conds), *factors) if conds or factors else Mul(())
    subs = tuple(places.mapping.get(i, at(i)) for i in indices)
    return Piece(subs, body)


def _reduced(sub: Subscript) -> Subscript:
    return reduced(sub, ())


def _holds(cond: Cond, facts: Facts) -> bool:
    return isinstance(cond, Inside) and facts.inside(cond.sub, cond.extent)


class _Places:
    """Solves conditions on the target's indices, one after the other."""

    def __init__(self, term: Term, indices: Sequence[Index], facts: Facts) -> None:
        self.conds = list(term.conds)
        self.indices = indices
        self.facts = facts
        self.mapping: dict[Index, Subscript] = {}

    def moved(self, expr: Expr) -> Expr:
        """An expression of the target's indices at the piece's own."""
        return substitute(expr, self.mapping)  # type: ignore[return-value]

    def free(self) -> list[Index]:
        """The indices that run over the piece."""
        found: dict[Index, None] = {}
        for i in self.indices:
            found.update(dict.fromkeys(indices_of(self.mapping.get(i, at(i)))))
        return list(found)

    def put(self, index: Index, value: Subscript, solved: Cond) -> None:
        """Replaces an index of the piece by a subscript; ``solved`` holds from now on."""
        step = {index: value}
        self.mapping = {i: _reduced(map_indices(s, step)) for i, s in self.mapping.items()}
        if index in self.indices and index not in self.mapping:
            self.mapping[index] = value
        self.conds = [
            map_subscripts(substitute(cond, step), _reduced)  # type: ignore[misc]
            for cond in self.conds
            if cond is not solved
        ]

    def solve(self) -> None:
        """Solves what can be: equalities first, then divisibility, then ranges."""
        for rule in (self.equality, self.divisor, self.range):
            while any(rule(cond) for cond in self.conds):
                pass

    def equality(self, cond: Cond) -> bool:
        """``[i = e]`` puts i at e."""
        if not isinstance(cond, Zero):
            return False
        for index in self.free():
            factor = cond.sub.coefficient(index).literal
            if factor not in (1, -1):
                continue
            rest = cond.sub - at(index) * factor
            place = rest * -factor
            own = indices_of(rest)
            if index in own or not set(own) <= set(self.free()):
                continue
            reads = [access for atom in lookups(place) for access in accesses(atom)]
            if not all(map(self._in_bounds, reads)):
                continue
            if self.facts.inside(place, index.extent):
                self.put(index, place, cond)
                return True
            if isinstance(place.atom, Lookup) and not self.facts.strict:
                # nothing is there where that is outside; a forward pass selects, as it was written
                self.put(index, place, cond)
                if (asked := Inside(place, index.extent)) not in self.conds:
                    self.conds.append(asked)
                return True
        return False

    def _in_bounds(self, access: Access) -> bool:
        shape = access.tensor.shape
        return all(self.facts.inside(s, n) for s, n in zip(access.subs, shape, strict=True))

    def divisor(self, cond: Cond) -> bool:
        """``[s | i + k]`` leaves every s-th place."""
        if not isinstance(cond, Divides):
            return False
        index, step = _single(cond.sub), cond.divisor.literal
        shift = cond.sub.const.literal
        if index not in self.free() or index is None or not step or shift is None:
            return False
        factor = cond.sub.coefficient(index).literal
        if factor not in (1, -1):
            return False
        first = -shift * factor % step
        count = (index.extent - first + step - 1) // step
        self.put(index, _over(index, count) * step + first, cond)
        return True

    def range(self, cond: Cond) -> bool:
        """``[0 <= a*i + b < n]`` leaves a range of places."""
        if not isinstance(cond, Inside):
            return False
        index = _single(cond.sub)
        if index is None or index not in self.free():
            return False
        factor = cond.sub.coefficient(index)
        found = _range(factor, cond.sub.const, cond.extent, index.extent, self.facts)
        if found is None:
            return False
        low, high = found
        self.put(index, _over(index, high - low) + low, cond)
        return True


def _over(index: Index, count: Size) -> Subscript:
    """An index like ``index`` with another extent; 0 if it has only that value."""
    return constant(0) if count.literal == 1 else at(Index(index.name, count))


def _single(sub: Subscript) -> Index | None:
    if len(sub.terms) == 1 and isinstance(sub.terms[0][0], Index):
        return sub.terms[0][0]
    return None


def _range(
    factor: Size, start: Size, extent: Size, count: Size, facts: Facts
) -> tuple[Size, Size] | None:
    """The i in [0, count) with ``0 <= factor*i + start < extent``, where that can be told."""
    if factor.literal == -1:
        low, high = start - extent + 1, start + 1
    elif factor.literal is not None and factor.literal > 0:
        low, high = -(start // factor), -((start - extent) // factor)
    else:
        return None
    return _between(low, high, count, facts)


def _between(low: Size, high: Size, count: Size, facts: Facts) -> tuple[Size, Size] | None:
    if facts.at_least_zero(-low):
        low = size(0)
    elif not facts.at_least_zero(low):
        return None
    if facts.at_least_zero(high - count):
        high = count
    elif not facts.at_least_zero(count - high):
        return None
    return low, low if (low - high).at_least(0) else high


def empty(piece: Piece) -> bool:
    """Whether a piece has no elements."""
    return any(is_range(s) and s.terms[0][0].extent.literal == 0 for s in piece.subs)  # type: ignore[union-attr]


def summed(parts: Sequence[Piece]) -> list[Piece]:
    """The pieces, those that fill the same part of the target as one: what they have is added up
    before it is written."""
    groups: dict[tuple[Subscript, ...], list[Expr]] = {}
    for piece in parts:
        groups.setdefault(piece.subs, []).append(piece.body)
    return [Piece(subs, add(*bodies)) for subs, bodies in groups.items()]


def reused(parts: Sequence[Piece]) -> list[Piece]:
    """The pieces, a product with a sum as the sum of the products with its terms, where other
    pieces are all of these: they are made anyway."""
    made: dict[Tree, Expr] = {}
    for piece in parts:
        _, body = split_sign(piece.body)
        if isinstance(body, Mul):
            made.setdefault(_key(body.factors), body)
    return [Piece(p.subs, _of_products(p.body, made) or p.body) for p in parts]


def _of_products(value: Expr, made: Mapping[Tree, Expr]) -> Expr | None:
    """A product with a sum as a sum of products that are there; None where some aren't."""
    sign, body = split_sign(value)
    factors = body.factors if isinstance(body, Mul) else ()
    sums = [f for f in factors if isinstance(f, Add)]
    if len(sums) != 1 or any(isinstance(f, Guard) for f in factors):
        return None
    rest = [f for f in factors if f is not sums[0]]
    terms: list[Expr] = []
    for term in sums[0].terms:
        own, factor = split_sign(term)
        parts = (*rest, *(factor.factors if isinstance(factor, Mul) else (factor,)))
        known = made.get(_key(parts))
        if known is None:
            return None
        pairs = zip(_free(known.factors), _free(parts), strict=True)  # type: ignore[union-attr]
        moved: Expr = substitute(known, {i: at(j) for i, j in pairs})  # type: ignore[assignment]
        terms.append(moved if own > 0 else neg(moved))
    return add(*terms) if sign > 0 else neg(add(*terms))


def _key(factors: Sequence[Expr]) -> Tree:
    """What a product is, whatever its indices are called and in whatever order its factors
    stand."""
    return value_key(Mul(tuple(_ordered(factors))))


def _free(factors: Sequence[Expr]) -> tuple[Index, ...]:
    return free_indices(Mul(tuple(_ordered(factors))))


def _ordered(factors: Sequence[Expr]) -> list[Expr]:
    """Factors in an order that their indices have no part in."""
    marked = {i: at(Index(f"${PRIVATE}", i.extent)) for f in factors for i in free_indices(f)}
    return sorted(factors, key=lambda f: substitute(f, marked).key)


def is_sparse(piece: Piece) -> bool:
    """Whether the piece has fewer axes than its target."""
    return any(sub.index is None and not is_range(sub) for sub in piece.subs)


def is_range(sub: Subscript) -> bool:
    return (
        len(sub.terms) == 1 and isinstance(sub.terms[0][0], Index) and sub.terms[0][1].at_least(1)
    )


def spellable(piece: Piece) -> bool:
    """Whether the value's indices are those of the places (else it would be a sum over the
    rest)."""
    own = {i for sub in piece.subs for i in indices_of(sub)}
    return set(free_indices(piece.body)) <= own


def overlap(parts: Sequence[Piece]) -> bool:
    """Whether two pieces may share a place."""
    boxes = [tuple(map(_literal_span, piece.subs)) for piece in parts]
    return any(
        not (_apart(boxes[n], boxes[m]) or _disjoint(one, parts[m]))
        for n, one in enumerate(parts)
        for m in range(n)
    )


def fills(parts: Sequence[Piece], define: Define) -> bool:
    """Whether pieces that share no place make up a target: they have as many elements."""
    if not all(all(is_range(s) or not s.terms for s in p.subs) for p in parts):
        return False
    if any(map(is_diagonal, parts)):
        return False
    total = size(0)
    for piece in parts:
        total = total + _count(i.extent for sub in piece.subs for i in indices_of(sub))
    return total is _count(define.target.shape)


def _count(extents: Iterable[Size]) -> Size:
    """How many elements an array has."""
    total = size(1)
    for extent in extents:
        total = total * extent
    return total


def _literal_span(sub: Subscript) -> tuple[int, int] | None:
    """The first place and the one behind the last, where both are plain numbers."""
    low, high = _span(sub)
    if low is None or high is None or low.literal is None or high.literal is None:
        return None
    return low.literal, high.literal


def _apart(one: Sequence[tuple[int, int] | None], two: Sequence[tuple[int, int] | None]) -> bool:
    """Whether two boxes share no place along some axis: most pairs of many pieces are seen to."""
    return any(a and b and (a[1] <= b[0] or b[1] <= a[0]) for a, b in zip(one, two, strict=True))


def _disjoint(one: Piece, two: Piece) -> bool:
    for a, b in zip(one.subs, two.subs, strict=True):
        if _interleaved(a, b):
            return True
        (low_a, high_a), (low_b, high_b) = _span(a), _span(b)
        if None in (low_a, high_a, low_b, high_b):
            continue
        if (low_b - high_a).at_least(0) or (low_a - high_b).at_least(0):  # type: ignore[operator]
            return True
    return False


def _interleaved(a: Subscript, b: Subscript) -> bool:
    """Whether one range lies between the places of another, with the same step."""
    if not (is_range(a) and is_range(b)):
        return False
    step, gap = a.terms[0][1].literal, (a.const - b.const).literal
    same = a.terms[0][1] is b.terms[0][1]
    return bool(same and step and gap is not None and gap % step)


def _span(sub: Subscript) -> tuple[Size | None, Size | None]:
    """The first place, and the one behind the last."""
    if not sub.terms:
        return sub.const, sub.const + 1
    if not is_range(sub):
        return None, None
    (index, step), *_ = sub.terms
    assert isinstance(index, Index)
    return sub.const, sub.const + step * (index.extent - 1) + 1


def in_a_row(parts: Sequence[Piece], define: Define) -> tuple[int, list[Piece]] | None:
    """The axis along which the pieces make up the target, and their order."""
    uneven = [
        axis
        for axis, index in enumerate(define.indices)
        if any(piece.subs[axis] != at(index) for piece in parts)
    ]
    if len(uneven) != 1 or len(parts) < 2 or any(map(is_diagonal, parts)):
        return None
    (axis,) = uneven
    left = list(parts)
    ordered: list[Piece] = []
    here = size(0)
    while left:
        piece = next((p for p in left if _starts(p.subs[axis], here)), None)
        if piece is None:
            return None
        left.remove(piece)
        ordered.append(piece)
        here = _span(piece.subs[axis])[1] or here
    return (axis, ordered) if here is define.target.shape[axis] else None


def is_diagonal(piece: Piece) -> bool:
    """Whether a piece moves along several axes at once: it fills a diagonal of its range only."""
    every = [index for sub in piece.subs for index in set(indices_of(sub))]
    return len(every) != len(set(every))


def _starts(sub: Subscript, here: Size) -> bool:
    return is_range(sub) and sub.terms[0][1].literal == 1 and sub.const is here
