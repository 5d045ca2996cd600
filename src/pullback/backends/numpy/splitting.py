"""Targets whose index is read as a number with several digits.

They are filled with an axis a digit, then reshaped.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.expr import Access, Expr
from ...ir.sizes import Size
from ...ir.subscripts import Index, Quotient, Remainder, Subscript, at, indices_of, reduced
from ...ir.walk import Tree, map_subscripts, nodes, subscripts, substitute


@dataclass(frozen=True)
class Split:
    """The statement over more indices; ``indices`` are those of the target in row-major order."""

    indices: tuple[Index, ...]
    body: Expr


def split(indices: tuple[Index, ...], body: Expr) -> Split | None:
    """The statement with ``k`` as ``D*h + d``, if its body reads only ``k // D`` and ``k % D``."""
    divisors = {i: _divisor(i, body) for i in indices}
    if not any(divisors.values()):
        return None
    taken = {i.name for i in indices}
    frame: list[Index] = []
    values: dict[Index, Subscript] = {}
    for index in indices:
        divisor = divisors[index]
        count = index.extent.exactly_over(divisor) if divisor is not None else None
        if divisor is None or count is None:
            frame.append(index)
            continue
        high, low = (_named(index, n, taken) for n in (count, divisor))
        values[index] = at(high) * divisor + at(low)
        frame += [high, low]
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


def _divisor(index: Index, body: Expr) -> Size | None:
    """The D of ``k // D`` and ``k % D``, if ``k`` is read as two of these and ``k`` itself."""
    found: dict[tuple[type, Size], None] = {}
    plain = False
    for node in nodes(body):
        for sub in subscripts(node):
            if index not in indices_of(sub):
                continue
            atom = sub.atom
            if not isinstance(node, Access):
                return None
            if atom is index:
                plain = True
                continue
            if not isinstance(atom, Quotient | Remainder) or atom.value != at(index):
                return None
            found[type(atom), atom.divisor] = None
    divisors = list(dict.fromkeys(divisor for _, divisor in found))
    return divisors[0] if len(divisors) == 1 and len(found) + plain > 1 else None


def _reads_digits(body: Tree, frame: list[Index]) -> bool:
    return any(
        isinstance(atom, Quotient | Remainder) and any(i in frame for i in indices_of(sub))
        for node in nodes(body)
        for sub in subscripts(node)
        for atom, _ in sub.terms
    )
