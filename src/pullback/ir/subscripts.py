"""Indices and subscripts: integer-affine in the indices, with floor quotients, remainders and
lookups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .intern import Node, kept, noted, spelled
from .sizes import ONE, Size, SizeLike, size

if TYPE_CHECKING:
    from .expr import Access


NOTHING = size(0)


@dataclass(frozen=True, eq=False, repr=False)
class Index(Node):
    """An index: runs from 0 to ``extent`` - 1."""

    name: str
    extent: Size

    def _spell(self) -> str:
        return f"{spelled(self.name)}:{self.extent.key}"


@dataclass(frozen=True, eq=False, repr=False)
class Quotient(Node):
    """``value // divisor`` (floor); divisor >= 1."""

    value: Subscript
    divisor: Size


@dataclass(frozen=True, eq=False, repr=False)
class Remainder(Node):
    """``value % divisor``, in [0, divisor)."""

    value: Subscript
    divisor: Size


@dataclass(frozen=True, eq=False, repr=False)
class Lookup(Node):
    """The value of an integer tensor (a gather); in bounds and >= 0 wherever it is read."""

    access: Access


SubscriptAtom = Index | Quotient | Remainder | Lookup


@dataclass(frozen=True, eq=False, repr=False)
class Subscript(Node):
    """``Σ size·atom + const``. Build with :func:`at` and the operators."""

    terms: tuple[tuple[SubscriptAtom, Size], ...]
    const: Size

    @property
    def index(self) -> Index | None:
        """The index that this subscript plainly is, or None."""
        if len(self.terms) == 1 and self.const is NOTHING:
            atom, n = self.terms[0]
            if n is ONE and isinstance(atom, Index):
                return atom
        return None

    @property
    def atom(self) -> SubscriptAtom | None:
        """The single atom that this subscript is, or None."""
        if len(self.terms) == 1 and self.const.literal == 0 and self.terms[0][1].literal == 1:
            return self.terms[0][0]
        return None

    def coefficient(self, atom: SubscriptAtom) -> Size:
        """The size that multiplies ``atom`` (0 where it doesn't occur at the top level)."""
        return dict(self.terms).get(atom, size(0))

    def __add__(self, other: Subscript | SizeLike) -> Subscript:
        right = other if isinstance(other, Subscript) else constant(other)
        if not right.terms:
            return Subscript(self.terms, self.const + right.const) if right.const.terms else self
        if not self.terms:
            return Subscript(right.terms, self.const + right.const) if self.const.terms else right
        total = dict(self.terms)
        for atom, n in right.terms:
            total[atom] = total.get(atom, size(0)) + n
        kept = [(atom, n) for atom, n in total.items() if n.terms]
        kept.sort(key=lambda term: (term[0].key, term[1].key))
        return Subscript(tuple(kept), self.const + right.const)

    def __neg__(self) -> Subscript:
        return self * -1

    def __sub__(self, other: Subscript | SizeLike) -> Subscript:
        return self + (-other if isinstance(other, Subscript) else -size(other))

    def __mul__(self, other: SizeLike) -> Subscript:
        factor = size(other)
        if not factor.terms:
            return constant(0)
        if factor is ONE:
            return self
        return Subscript(tuple((atom, n * factor) for atom, n in self.terms), self.const * factor)

    def __floordiv__(self, divisor: SizeLike) -> Subscript:
        """Floor division as an atom; not simplified."""
        return at(Quotient(self, size(divisor)))

    def __mod__(self, divisor: SizeLike) -> Subscript:
        """Remainder as an atom; not simplified."""
        return at(Remainder(self, size(divisor)))


def at(atom: SubscriptAtom) -> Subscript:
    """The subscript that is one atom."""
    return Subscript(((atom, ONE),), NOTHING)


def constant(value: SizeLike) -> Subscript:
    """The subscript that is a size."""
    return Subscript((), size(value))


@noted
def indices_of(sub: Subscript) -> tuple[Index, ...]:
    """All indices in a subscript, also inside quotients and lookups, in order of first
    occurrence."""
    found: dict[Index, None] = {}
    _visit(sub, found)
    return tuple(found)


def _visit(sub: Subscript, found: dict[Index, None]) -> None:
    for atom, _ in sub.terms:
        match atom:
            case Index():
                found[atom] = None
            case Quotient(value, _) | Remainder(value, _):
                _visit(value, found)
            case Lookup(access):
                for inner in access.subs:
                    _visit(inner, found)


def map_indices(
    sub: Subscript,
    indices: Mapping[Index, Subscript],
    lookup: Callable[[Access], Access] | None = None,
) -> Subscript:
    """The subscript with indices replaced by subscripts; ``lookup`` maps the accesses inside
    lookups."""
    index = sub.index
    if index is not None:
        return indices.get(index, sub)
    if lookup is None and indices.keys().isdisjoint(indices_of(sub)):
        return sub
    total = constant(sub.const)
    for atom, n in sub.terms:
        match atom:
            case Index():
                part = indices.get(atom)
                part = at(atom) if part is None else part
            case Quotient(value, divisor):
                part = map_indices(value, indices, lookup) // divisor
            case Remainder(value, divisor):
                part = map_indices(value, indices, lookup) % divisor
            case Lookup(access):
                inner = type(access)(
                    access.tensor, tuple(map_indices(s, indices, lookup) for s in access.subs)
                )
                part = at(Lookup(lookup(inner) if lookup else inner))
        total = total + part * n
    return total


def isolated(sub: Subscript, atom: SubscriptAtom) -> Subscript | None:
    """What ``atom`` is where ``sub`` is 0; None where its coefficient is neither 1 nor -1."""
    n = sub.coefficient(atom).literal
    return (sub - at(atom) * n) * -n if n in (1, -1) else None


def bounds(sub: Subscript, positive: Collection[str] = ()) -> tuple[Size, Size] | None:
    """The least and the greatest value over all indices' ranges; None where they aren't known.

    The sizes ``positive`` are >= 1.
    """
    return _bounds(sub, tuple(positive))


@kept
def _bounds(sub: Subscript, positive: tuple[str, ...]) -> tuple[Size, Size] | None:
    low, high = sub.const, sub.const
    for atom, n in sub.terms:
        match atom:
            case Index(_, extent):
                least, most = size(0), extent - 1
            case Remainder(_, divisor):
                least, most = size(0), divisor - 1
            case Quotient(value, divisor):
                inner = bounds(value, positive)
                if inner is None:
                    return None
                least, most = inner[0] // divisor, inner[1] // divisor
            case Lookup():
                return None
        if n.at_least(0, positive):
            low, high = low + least * n, high + most * n
        elif (-n).at_least(0, positive):
            low, high = low + most * n, high + least * n
        else:
            return None
    return low, high


def inside(sub: Subscript, extent: Size, positive: Collection[str] | None = None) -> bool:
    """Whether ``0 <= sub < extent`` is proved at every point of the indices' ranges."""
    known = bounds(sub)
    if known is None:
        return False
    low, high = known
    if positive is None:
        positive = [n.names()[0] for n in (i.extent for i in indices_of(sub)) if is_name(n)]
    return low.at_least(0, positive) and (extent - 1 - high).at_least(0, positive)


@kept
def within(sub: Subscript, extent: Size) -> tuple[bool, bool]:
    """Whether ``0 <= sub`` is proved, and whether ``sub < extent`` is."""
    known = bounds(sub)
    if known is None:
        return False, False
    low, high = known
    return low.at_least(0), (extent - 1 - high).at_least(0)


def is_name(value: Size) -> bool:
    """Whether a size is just one named size."""
    return (
        len(value.terms) == 1
        and value.terms[0][1] == 1
        and (len(value.terms[0][0]) == 1 and isinstance(value.terms[0][0][0], str))
    )


def reduced(sub: Subscript, positive: Collection[str] | None = None) -> Subscript:
    """The subscript with quotients and remainders resolved where the ranges decide them.

    ``(D*h + d) // D`` is ``h`` and ``(D*h + d) % D`` is ``d`` where 0 <= d < D.
    """
    if all(isinstance(a, Index) and a.extent is not ONE for a, _ in sub.terms):
        return sub
    total = constant(sub.const)
    for atom, n in sub.terms:
        match atom:
            case Quotient(value, divisor):
                part = _divided(reduced(value, positive), divisor, positive)[0]
            case Remainder(value, divisor):
                part = _divided(_modulo(reduced(value, positive), divisor), divisor, positive)[1]
            case Index(_, extent) if extent.literal == 1:
                part = constant(0)
            case _:
                part = at(atom)
        total = total + part * n
    return _in_digits(_rejoined(total))


def _in_digits(sub: Subscript) -> Subscript:
    """``i + c*(i % D)`` is ``D*(i // D) + (1 + c)*(i % D)``, whose range is seen."""
    for atom, _ in sub.terms:
        if isinstance(atom, Remainder) and (index := atom.value.index) is not None:
            whole = sub.coefficient(index)
            if whole.terms:
                high = at(Quotient(at(index), atom.divisor)) * atom.divisor
                return sub + (high + at(atom) - at(index)) * whole
    return sub


def _rejoined(sub: Subscript) -> Subscript:
    """``D*(e // D) + e % D`` is ``e``, and ``D*(e // (c*D)) + e // c % D`` is ``e // c``."""
    for atom, n in sub.terms:
        if not isinstance(atom, Remainder):
            continue
        for other, factor in sub.terms:
            if isinstance(other, Quotient) and factor is n * atom.divisor:
                whole = _of_digits(other, atom)
                if whole is not None:
                    return _rejoined(sub - at(atom) * n - at(other) * factor + whole * n)
    return sub


def _of_digits(high: Quotient, low: Remainder) -> Subscript | None:
    """The number of which these are the digits, None if they aren't."""
    below = high.divisor.exactly_over(low.divisor)
    if below is None:
        return None
    value = high.value if below is ONE else reduced(high.value // below)
    rest = _divided(_modulo(value, low.divisor), low.divisor, None)[1]
    return value if rest.atom is low else None


def _modulo(value: Subscript, divisor: Size) -> Subscript:
    """A value that differs from this one by a multiple of ``divisor``: inner remainders by its
    multiples are dropped."""
    out = constant(value.const)
    for atom, n in value.terms:
        if isinstance(atom, Remainder) and atom.divisor.exactly_over(divisor) is not None:
            out = out + _modulo(atom.value, divisor) * n
        else:
            out = out + at(atom) * n
    return out


def _divided(
    value: Subscript, divisor: Size, positive: Collection[str] | None
) -> tuple[Subscript, Subscript]:
    if divisor.literal == 1:
        return value, constant(0)
    whole, rest = constant(0), constant(0)
    for atom, n in value.terms:
        over = n.exactly_over(divisor)
        if over is None:
            rest = rest + at(atom) * n
        else:
            whole = whole + at(atom) * over
    quotient = value.const // divisor
    left = value.const - quotient * divisor
    if quotient.terms and any(not isinstance(a, str) for mono, _ in quotient.terms for a in mono):
        quotient, left = size(0), value.const
    whole, rest = whole + quotient, rest + left
    if not rest.terms and rest.const.literal == 0:
        return whole, rest
    if inside(rest, divisor, positive):
        return whole, rest
    turns = _turns(rest.const, divisor)
    whole, rest = whole + turns, rest - turns * divisor
    if len(rest.terms) == 1 and rest.const.literal == 0:
        inner = rest.atom
        if isinstance(inner, Quotient):  # (e // a) // b = e // (a*b)
            merged, _ = _divided(inner.value, inner.divisor * divisor, positive)
            return whole + merged, rest % divisor
        if isinstance(inner, Remainder) and inner.divisor.exactly_over(divisor) is not None:
            return whole + rest // divisor, inner.value % divisor
    for factor in {n: None for _, n in rest.terms if n is not ONE}:  # D | E: (D*a + d) // (D*E)
        over = divisor.exactly_over(factor) if factor.at_least(0) else None
        high, low = _divided_terms(rest, factor)
        if (
            over is not None
            and over is not divisor
            and high.terms
            and inside(low, factor, positive)
        ):
            times, left_over = _divided(high, over, positive)
            return whole + times, left_over * factor + low
    return whole + rest // divisor, rest % divisor


def _divided_terms(sub: Subscript, factor: Size) -> tuple[Subscript, Subscript]:
    """What is multiplied by a factor, and the rest."""
    high, low = constant(0), constant(sub.const)
    for atom, n in sub.terms:
        over = n.exactly_over(factor)
        if over is None:
            low = low + at(atom) * n
        else:
            high = high + at(atom) * over
    return high, low


def _turns(value: Size, divisor: Size) -> int:
    """How often a divisor with names goes into a size: once into ``N - 1``, so that -1 is left.

    Nothing of the divisor's leading product of names is left, so that values which differ by
    multiples of the divisor become one.
    """
    leading, factor = divisor.terms[0]
    return dict(value.terms).get(leading, 0) // factor if leading else 0
