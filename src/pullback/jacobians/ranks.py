"""Bounds on ranks: sums, products and minima of sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ..ir.sizes import Size, size

NOTHING = size(0)


@dataclass(frozen=True)
class Bound:
    """``op`` of the parts; a size where ``op`` is empty.

    >>> low = least([of_size(size("N")), of_size(size("M"))])
    >>> print(low, low.value({"N": 3, "M": 5}))
    min(N, M) 3
    """

    op: str
    parts: tuple[Bound, ...] = ()
    extent: Size = NOTHING

    def value(self, sizes: Mapping[str, int]) -> int:
        """The number at given sizes."""
        if not self.op:
            return self.extent.value(sizes)
        found = [part.value(sizes) for part in self.parts]
        return min(found) if self.op == "min" else sum(found) if self.op == "+" else prod(found)

    def __str__(self) -> str:
        if not self.op:
            return str(self.extent).replace("*", "·")
        shown = [str(part) for part in self.parts]
        if self.op == "min":
            return f"min({', '.join(shown)})"
        if self.op == "+":
            return " + ".join(shown)
        loose = [p.op == "+" or (not p.op and len(p.extent.terms) > 1) for p in self.parts]
        return "·".join(f"({s})" if wide else s for s, wide in zip(shown, loose, strict=True))


def of_size(extent: Size) -> Bound:
    """A size as a bound."""
    return Bound("", (), extent)


ONE = of_size(size(1))


def product(parts: Sequence[Bound]) -> Bound:
    """The product of bounds, sizes multiplied out."""
    total = size(1)
    rest: list[Bound] = []
    for part in parts:
        if part.op:
            rest.append(part)
        else:
            total = total * part.extent
    if total.literal == 0 or not rest:
        return of_size(total)
    if total.literal == 1:
        return rest[0] if len(rest) == 1 else Bound("*", tuple(rest))
    return Bound("*", (of_size(total), *rest))


def total(parts: Sequence[Bound]) -> Bound:
    """The sum of bounds, sizes added up."""
    plain = size(0)
    rest: list[Bound] = []
    for part in parts:
        if part.op:
            rest.append(part)
        else:
            plain = plain + part.extent
    if not rest:
        return of_size(plain)
    if plain.terms:
        rest.append(of_size(plain))
    return rest[0] if len(rest) == 1 else Bound("+", tuple(rest))


def least(parts: Sequence[Bound]) -> Bound:
    """The least of bounds, those left out that are known to be no less than another."""
    kept: list[Bound] = []
    flat = [p for bound in parts for p in (bound.parts if bound.op == "min" else (bound,))]
    for part in flat:
        if _holds_least(part, flat):
            continue
        if any(_no_less(part, other) for other in kept):
            continue
        kept = [other for other in kept if not _no_less(other, part)]
        kept.append(part)
    return kept[0] if len(kept) == 1 else Bound("min", tuple(kept))


def _holds_least(part: Bound, others: Sequence[Bound]) -> bool:
    """Whether a sum has a term that is the least of some of the others, and so is no less."""
    return part.op == "+" and any(
        inner.op == "min" and all(one in others for one in inner.parts) for inner in part.parts
    )


def _no_less(one: Bound, other: Bound) -> bool:
    """Whether ``one >= other`` at all sizes from 1 on, as far as that is seen."""
    if one == other:
        return True
    if one.op or other.op:
        return False
    return (one.extent - other.extent).at_least(0, one.extent.names())
