"""Arrays laid over indices: each axis of an array runs over one. Where arrays meet, their axes are
brought into one order and broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..ir.sizes import ONE, size
from ..ir.subscripts import Index
from . import arrays
from .arrays import Array, Cut


@dataclass(frozen=True)
class Laid:
    """An array and the index that each of its axes runs over, None for one of extent 1."""

    array: Array
    axes: tuple[Index | None, ...] = ()

    @property
    def indices(self) -> tuple[Index, ...]:
        """The indices, in the order of the axes."""
        return tuple(i for i in self.axes if i is not None)


@dataclass(frozen=True)
class Held:
    """A tensor's array; it has an axis only where ``present``: it is the same along the others."""

    array: Array
    present: tuple[bool, ...]


def permuted(laid: Laid, order: Sequence[Index]) -> Laid:
    """The array with its axes in an order that holds them all, and no others."""
    own = tuple(i for i in order if i in laid.axes)
    array = laid.array
    if None in laid.axes:
        cuts = [
            Cut(size(0), ONE, None if axis is None else n)
            for axis, n in zip(laid.axes, array.shape, strict=True)
        ]
        array = arrays.slice_of(array, cuts)
    return Laid(arrays.permute(array, [laid.indices.index(i) for i in own]), own)


def aligned(laid: Laid, frame: Sequence[Index]) -> Laid:
    """The array so that it broadcasts with others along ``frame``."""
    plain = permuted(laid, frame)
    if not plain.axes:
        return plain
    first = list(frame).index(plain.indices[0])
    wanted = tuple(i if i in plain.axes else None for i in frame[first:])
    places = [k for k, axis in enumerate(wanted) if axis is None]
    return Laid(arrays.insert(plain.array, places), wanted)
