"""Integers along several axes under names: an open grid, as ``np.ogrid`` gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...ir.expr import Tensor
from ...ir.sizes import ONE, Size
from ...plan import arrays
from ...plan.arrays import Array

if TYPE_CHECKING:
    from .framework import NumPy

LONG = 60  # characters of a subscript that is worth names for its integers


def gridded(writer: NumPy, places: Sequence[Array]) -> list[Array]:
    """Integers that broadcast with each other, those along an axis read by a name.

    ``x[n, c, p + 2*h, q + 2*w]`` is what a reader expects, not four times ``np.arange`` with new
    axes.
    """
    if writer.indent or not all(_adds_no_lines(writer, place) for place in places):
        return list(places)
    text = ", ".join(str(writer.code(place)) for place in places)
    if len(text) <= LONG:
        return list(places)
    grid = _Grid(writer, max(place.rank for place in places))
    found = [grid.on(place, range(grid.rank - place.rank, grid.rank)) for place in places]
    if len(grid.names) < 2:
        return list(places)
    grid.emit()
    return found


def _adds_no_lines(writer: NumPy, place: Array) -> bool:
    """Whether writing an array adds no lines: it is a name, or arithmetic of names and ranges."""
    if place in writer.shared or place.op in ("name", "range", "number", "size"):
        return True
    plain = place.op in ("map", "insert", "slice", "permute", "where", "cast")
    return plain and all(_adds_no_lines(writer, part) for part in place.parts)


class _Grid:
    """The axes that several arrays of integers broadcast to."""

    def __init__(self, writer: NumPy, rank: int) -> None:
        self.writer, self.rank = writer, rank
        self.names: dict[tuple[int, Size], Array] = {}

    def on(self, array: Array, axes: Sequence[int]) -> Array:
        """An array whose axes are these ones, so that it broadcasts with what has all of them."""
        match array.op:
            case _ if array in self.writer.shared:
                return self.beside(array, axes)
            case "range":
                return self.name(axes[0], array.shape[0])
            case "insert":
                kept = [axis for k, axis in enumerate(axes) if k not in array.told]
                return self.on(array.parts[0], kept)
            case "map" if not array.scalar:
                parts = [self.on(p, axes[len(axes) - p.rank :]) for p in array.parts]
                return arrays.apply(array.told[0], *parts)
            case _:
                return self.beside(array, axes)

    def beside(self, array: Array, axes: Sequence[int]) -> Array:
        """An array with new axes where it has none of the grid's."""
        if not array.rank:
            return array
        missing = [k - axes[0] for k in range(axes[0], self.rank) if k not in axes]
        return arrays.insert(array, missing)

    def name(self, axis: int, extent: Size) -> Array:
        """The integers along an axis, as a tensor of their own."""
        if (axis, extent) not in self.names:
            names = extent.names()
            short = len(names) == 1 and len(names[0]) == 1 and names[0].isalpha()
            wanted = names[0].lower() if short else "ijklmnopqr"[axis % 10]
            shape = (*(extent if k == axis else ONE for k in range(axis, self.rank)),)
            self.names[axis, extent] = arrays.name(Tensor(wanted, shape, "int"))
        return self.names[axis, extent]

    def emit(self) -> None:
        """The lines that make the grid: one where every axis has a name."""
        writer = self.writer
        axes = sorted(self.names, key=lambda key: key[0])
        texts = []
        for axis, extent in axes:
            (tensor,) = self.names[axis, extent].told
            writer.tensors[tensor] = writer.names.fresh(tensor.name)
            texts.append(writer.tensors[tensor])
        whole = [axis for axis, _ in axes] == list(range(axes[0][0], self.rank))
        extents = writer.shape(extent for _, extent in axes)
        if whole:
            writer.emit(f"{', '.join(texts)} = np.ogrid[{', '.join(':' + n for n in extents)}]")
            return
        for (axis, _), text, upto in zip(axes, texts, extents, strict=True):
            new = ", ".join([":", *["None"] * (self.rank - axis - 1)])
            writer.emit(f"{text} = np.arange({upto})[{new}]")
