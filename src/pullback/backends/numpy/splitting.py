"""Targets whose index is read as a number with several digits.

They are filled with an axis a digit, then reshaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...ir.expr import Access, Expr
from ...ir.sizes import Size, size
from ...ir.subscripts import (
    Index,
    Quotient,
    Remainder,
    Subscript,
    SubscriptAtom,
    at,
    constant,
    indices_of,
    reduced,
)
from ...ir.walk import Tree, map_subscripts, nodes, subscripts, substitute


@dataclass(frozen=True)
class Split:
    """The statement over more indices; ``indices`` are those of the target in row-major order."""

    indices: tuple[Index, ...]
    body: Expr


def split(indices: tuple[Index, ...], body: Expr) -> Split | None:
    """The statement with ``k`` as ``D*h + d``, if its body reads only ``k // D``, ``k % D`` and
    further digits such as ``k // D % E``."""
    taken = {i.name for i in indices}
    frame: list[Index] = []
    values: dict[Index, Subscript] = {}
    for index in indices:
        weights = _weights(index, body)
        if len(weights) < 2:
            frame.append(index)
            continue
        values[index] = constant(0)
        for weight, count in weights:
            digit = _named(index, count, taken)
            values[index] += at(digit) * weight
            frame.append(digit)
    if not values:
        return None
    moved = map_subscripts(substitute(body, values), lambda sub: reduced(sub, ()))
    if _reads_digits(moved, frame):
        return None
    return Split(tuple(frame), moved)  # type: ignore[arg-type]


def _named(index: Index, extent: Size, taken: set[str]) -> Index:
    n = 1
    while f"{index.name}{n}" in taken:
        n += 1
    taken.add(f"{index.name}{n}")
    return Index(f"{index.name}{n}", extent)


def _weights(index: Index, body: Expr) -> list[tuple[Size, Size]]:
    """The weight and the number of values of each digit that an index is read as, the highest
    first; empty unless it is read in more than one way, and in digits only."""
    found: dict[SubscriptAtom, None] = {}
    bounds: dict[Size, None] = {}
    for node in nodes(body):
        for sub in subscripts(node):
            if index not in indices_of(sub):
                continue
            for atom in [atom for atom, _ in sub.terms if index in indices_of(at(atom))]:
                own = () if sub.atom is index else _bounds(atom, index)
                if own is None or not isinstance(node, Access):
                    return []
                found[atom] = None
                bounds.update(dict.fromkeys(own))
    if len(found) < 2:
        return []
    above, out = index.extent, []
    for weight in [*_descending(bounds), size(1)]:
        count = above.exactly_over(weight)
        if count is None:
            return []
        if count.literal != 1:
            out.append((weight, count))
        above = weight
    return out


def _bounds(atom: SubscriptAtom, index: Index) -> tuple[Size, ...] | None:
    """The weights at which a digit of an index begins and ends; None if this is no digit of it."""
    match atom:
        case Quotient(value, divisor) | Remainder(value, divisor) if value == at(index):
            return (divisor,)
        case Remainder(value, count) if isinstance(value.atom, Quotient):
            inner = value.atom
            return (inner.divisor, inner.divisor * count) if inner.value == at(index) else None
        case _:
            return None


def _descending(bounds: Iterable[Size]) -> list[Size]:
    """Sizes that divide one another, the greatest first."""
    sizes = list(bounds)
    divisors = {n: sum(n.exactly_over(other) is not None for other in sizes) for n in sizes}
    return sorted(sizes, key=lambda n: -divisors[n])


def _reads_digits(body: Tree, frame: list[Index]) -> bool:
    return any(
        isinstance(atom, Quotient | Remainder) and any(i in frame for i in indices_of(sub))
        for node in nodes(body)
        for sub in subscripts(node)
        for atom, _ in sub.terms
    )
