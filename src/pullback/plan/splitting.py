"""Targets whose index is read as a number with several digits.

They are filled with an axis a digit, then reshaped.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..ir.digits import Places, atoms, composed, read_as
from ..ir.expr import Access, Expr, IndexOf
from ..ir.sizes import Size
from ..ir.subscripts import (
    Index,
    Quotient,
    Remainder,
    Subscript,
    indices_of,
    reduced,
)
from ..ir.walk import Tree, map_subscripts, nodes, subscripts, substitute


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
        digits = [_named(index, count, taken) for _, count in weights]
        values[index] = composed(digits, weights)
        frame += digits
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


def _weights(index: Index, body: Expr) -> Places:
    """The weight and the number of values of each digit that an index is read as, the highest
    first; empty unless it is read in more than one way, and in digits only."""
    reads = [node for node in nodes(body) if any(index in indices_of(s) for s in subscripts(node))]
    if not all(isinstance(node, Access | IndexOf) for node in reads):
        return []
    several = len(set(atoms(index, [body]))) > 1
    return read_as(index, [body]) if several else []


def _reads_digits(body: Tree, frame: list[Index]) -> bool:
    return any(
        isinstance(atom, Quotient | Remainder) and any(i in frame for i in indices_of(sub))
        for node in nodes(body)
        for sub in subscripts(node)
        for atom, _ in sub.terms
    )
