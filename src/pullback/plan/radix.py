"""Axes that are read at numbers of mixed radix: as one axis, or as several."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.sizes import Size, size
from ..ir.subscripts import (
    Index,
    Quotient,
    Subscript,
    at,
    constant,
    reduced,
)


def joined(
    extents: Sequence[Size], places: Sequence[Subscript]
) -> tuple[tuple[Size, ...], tuple[Subscript, ...]]:
    """The extents and subscripts with those of adjacent axes that are read at the digits of one
    number as one."""
    shape, subs = list(extents), list(places)
    last = len(subs) - 1
    while last > 0:
        found = _digits(shape, subs, last)
        if found is None:
            last -= 1
            continue
        first, value = found
        total = size(1)
        for n in shape[first : last + 1]:
            total = total * n
        shape[first : last + 1] = [total]
        subs[first : last + 1] = [value]
        last = first - 1
    return tuple(shape), tuple(subs)


def _digits(shape: list[Size], subs: list[Subscript], last: int) -> tuple[int, Subscript] | None:
    """The first of the axes up to ``last`` that are read at the digits of a number, and it."""
    bases = [size(1)]
    for axis in range(last, 0, -1):
        bases.insert(0, bases[0] * shape[axis])
        highest = subs[axis - 1].atom
        if not isinstance(highest, Quotient) or highest.divisor is not bases[0]:
            continue
        value = highest.value
        places = zip(subs[axis : last + 1], bases[1:], shape[axis : last + 1], strict=True)
        if all(sub is reduced(value // base % n, ()) for sub, base, n in places):
            return axis - 1, value
    return None


def backwards(sub: Subscript) -> dict[Index, Subscript]:
    """The indices that are subtracted, each counted from its end: ``D*q - r`` has the digit r."""
    indices = [(atom, n) for atom, n in sub.terms if isinstance(atom, Index)]
    return {i: constant(i.extent - 1) - at(i) for i, n in indices if (-n).at_least(1)}


def radix(sub: Subscript) -> list[Index] | None:
    """The digits, highest first, if the subscript is a number written in mixed radix."""
    left = dict(sub.terms)
    if sub.const.terms:
        return None
    base = size(1)
    digits: list[Index] = []
    while left:
        atom = next((a for a, n in left.items() if n is base), None)
        if not isinstance(atom, Index):
            return None
        del left[atom]
        digits.insert(0, atom)
        base = base * atom.extent
    return digits
