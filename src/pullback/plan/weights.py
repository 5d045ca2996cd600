"""About how large extents are that are not known before arrays are: what a cost counts with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod

from ..ir.sizes import Size, SizeAtom
from ..ir.subscripts import Index

NAMED = 64  # what a size that is not known counts as in a cost,
SHORT = 24  # one that others are lessened by,
SHORTER = 2  # and one that others are divided by


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
