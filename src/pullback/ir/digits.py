"""Numbers of mixed radix in subscripts: the digits that an index is read as, ``k // D`` and
``k % D``, and the digits that make up a place, ``D*h + d``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .sizes import ONE, Size
from .subscripts import (
    Index,
    Quotient,
    Remainder,
    Subscript,
    SubscriptAtom,
    at,
    constant,
    indices_of,
)
from .walk import Tree, nodes, subscripts

Places = list[tuple[Size, Size]]  # what a digit counts and how many values it has, highest first


@dataclass(frozen=True)
class Digit:
    """``index // weight % extent``."""

    index: Index
    weight: Size
    extent: Size

    @property
    def bounds(self) -> set[Size]:
        """Where it begins and ends inside its index: a set that is empty for all of the index."""
        return {self.weight, self.weight * self.extent} - {ONE, self.index.extent}


def digit(atom: SubscriptAtom) -> Digit | None:
    """The digit of an index that an atom is; all of it, for the index itself."""
    match atom:
        case Index():
            return Digit(atom, ONE, atom.extent)
        case Quotient(value, divisor) if (index := value.index) is not None:
            over = index.extent.exactly_over(divisor)
            return None if over is None else Digit(index, divisor, over)
        case Remainder(value, extent) if (index := value.index) is not None:
            return None if index.extent.exactly_over(extent) is None else Digit(index, ONE, extent)
        case Remainder(value, extent) if isinstance(inner := value.atom, Quotient):
            index = inner.value.index
            if index is None or index.extent.exactly_over(inner.divisor * extent) is None:
                return None
            return Digit(index, inner.divisor, extent)
    return None


def number(sub: Subscript, extent: Size) -> list[tuple[Digit, Size]]:
    """The digits and what each counts, the lowest first, of a subscript that takes each value below
    an extent; none where it is no such number."""
    left = [(digit(atom), n) for atom, n in sub.terms]
    found: list[tuple[Digit, Size]] = []
    above = ONE
    while left and not sub.const.terms:
        lowest = next((part for part in left if part[0] is not None and part[1] is above), None)
        if lowest is None or lowest[0] is None:
            return []
        left.remove(lowest)
        found.append((lowest[0], above))
        above = above * lowest[0].extent
    return found if above is extent else []


def chain(weights: Iterable[Size], extent: Size) -> Places | None:
    """The digits between weights that divide one another and the extent; None if they don't."""
    every = sorted(weights, key=lambda n: n.key)
    over = {n: sum(n.exactly_over(other) is not None for other in every) for n in every}
    found: Places = []
    above = extent
    for weight in [*sorted(every, key=lambda n: -over[n]), ONE]:
        count = above.exactly_over(weight)
        if count is None:
            return None
        if count is not ONE:
            found.append((weight, count))
        above = weight
    return found


def read_as(index: Index, trees: Iterable[Tree]) -> Places:
    """The digits that an index is read as, none where it is only read as a whole, or where it is
    read as parts of digits."""
    bounds: dict[Size, None] = {}
    for atom in atoms(index, trees):
        part = digit(atom)
        if part is None:
            return []
        bounds.update(dict.fromkeys(part.bounds))
    return (chain(bounds, index.extent) or []) if bounds else []


def atoms(index: Index, trees: Iterable[Tree]) -> Iterator[SubscriptAtom]:
    """The atoms of subscripts in which an index stands."""
    for tree in trees:
        for node in nodes(tree):
            for sub in subscripts(node):
                for atom, _ in sub.terms:
                    if index in indices_of(at(atom)):
                        yield atom


def composed(digits: Iterable[Index], places: Places) -> Subscript:
    """The number that indices are the digits of."""
    total = constant(0)
    for index, (weight, _) in zip(digits, places, strict=True):
        total = total + at(index) * weight
    return total
