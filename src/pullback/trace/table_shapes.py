"""Other shapes of the same elements: transposing, reshaping, flipping, splitting, windows."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ..ir.subscripts import Subscript, constant
from .axes import all_axes, integers, one_axis
from .record import Sheet
from .rows import composed, row
from .values import (
    Subs,
    Value,
    broadcast,
    cast,
    expanded,
    remapped,
    reshaped,
    squeezed,
    transposed,
)


@row(np.shape)
def shape(sheet: Sheet, a: Any) -> tuple[int, ...]:
    """The extents."""
    return sheet.value(a).shape


@row(np.ndim)
def ndim(sheet: Sheet, a: Any) -> int:
    """The number of axes."""
    return sheet.value(a).ndim


@row(np.size)
def size(sheet: Sheet, a: Any, axis: Any = None) -> int:
    """The number of elements, or an extent."""
    value = sheet.value(a)
    return prod(value.shape[k] for k in all_axes(axis, value.ndim))


@row(np.result_type)
def result_type(sheet: Sheet, *given: Any) -> Any:
    """The dtype that NumPy promotes to."""
    from .table_elementwise import sample

    found = [g if isinstance(g, type | np.dtype | str) else sample(sheet.value(g)) for g in given]
    return np.result_type(*found)


@row(np.iscomplexobj)
def iscomplexobj(sheet: Sheet, x: Any) -> bool:
    """False: only real arrays are traced."""
    return False


@row(np.isrealobj)
def isrealobj(sheet: Sheet, x: Any) -> bool:
    """True: only real arrays are traced."""
    return True


@row(np.copy)
def copy(sheet: Sheet, a: Any) -> Value:
    """The same array."""
    return sheet.value(a)


def astype(sheet: Sheet, x: Any, dtype: Any, *, copy: bool = True) -> Value:
    """The same numbers as another dtype."""
    found = np.dtype(dtype)
    if found.kind not in "fiub":
        raise sheet.refusal(
            f"arrays of dtype {found} can't be traced",
            expected="floats, integers or bools",
            hint="pullback differentiates real functions",
        )
    return cast(sheet.value(x), found)


if hasattr(np, "astype"):
    row(np.astype)(astype)


@row(np.transpose, view=True)
def transpose(sheet: Sheet, a: Any, axes: Any = None) -> Value:
    """The axes in another order, or reversed."""
    value = sheet.value(a)
    order = tuple(reversed(range(value.ndim))) if axes is None else all_axes(axes, value.ndim)
    if len(order) != value.ndim:
        raise ValueError("axes don't match the array")
    return transposed(value, order)


@row(np.swapaxes, view=True)
def swapaxes(sheet: Sheet, a: Any, axis1: int, axis2: int) -> Value:
    """Two axes exchanged."""
    value = sheet.value(a)
    order = list(range(value.ndim))
    first, second = one_axis(axis1, value.ndim), one_axis(axis2, value.ndim)
    order[first], order[second] = second, first
    return transposed(value, order)


def matrix_transpose(sheet: Sheet, x: Any) -> Value:
    """The last two axes exchanged."""
    if sheet.value(x).ndim < 2:
        raise ValueError("a matrix transpose needs two axes")
    return swapaxes(sheet, x, -1, -2)


for _module in (np, np.linalg):
    if hasattr(_module, "matrix_transpose"):
        row(_module.matrix_transpose, view=True)(matrix_transpose)


@row(np.moveaxis, view=True)
def moveaxis(sheet: Sheet, a: Any, source: Any, destination: Any) -> Value:
    """Some axes at other places, the rest in order."""
    value = sheet.value(a)
    start, end = all_axes(source, value.ndim), all_axes(destination, value.ndim)
    if len(start) != len(end):
        raise ValueError("source and destination have different lengths")
    order = [k for k in range(value.ndim) if k not in start]
    for place, axis in sorted(zip(end, start, strict=True)):
        order.insert(place, axis)
    return transposed(value, order)


@row(np.rollaxis, view=True)
def rollaxis(sheet: Sheet, a: Any, axis: int, start: int = 0) -> Value:
    """One axis moved before another."""
    value = sheet.value(a)
    moved = one_axis(axis, value.ndim)
    start = start + value.ndim if start < 0 else start
    order = [k for k in range(value.ndim) if k != moved]
    order.insert(start - 1 if moved < start else start, moved)
    return transposed(value, order)


@row(np.reshape, view=True)
def reshape(
    sheet: Sheet,
    a: Any,
    /,
    shape: Any = None,
    order: str = "C",
    *,
    newshape: Any = None,
    copy: Any = None,
) -> Value:
    """The same elements in row-major order."""
    value = sheet.value(a)
    asked = newshape if shape is None else shape
    if order == "F" and value.ndim > 1:
        return _by_columns(sheet, a, tuple(integers(asked)))  # type: ignore[no-any-return]
    _row_major(sheet, value, order, "np.reshape")
    wanted = list(integers(asked))
    if wanted.count(-1) > 1:
        raise ValueError("only one extent can be -1")
    if -1 in wanted:
        known = prod(n for n in wanted if n != -1)
        if not known or value.size % known:
            raise ValueError(f"{value.size} elements don't fit shape {tuple(wanted)}")
        wanted[wanted.index(-1)] = value.size // known
    if prod(wanted) != value.size or min(wanted, default=0) < 0:
        raise ValueError(f"{value.size} elements don't fit shape {tuple(wanted)}")
    return reshaped(value, wanted)


@composed
def _by_columns(a: Any, shape: Sequence[int]) -> Any:
    """The same elements in column-major order."""
    return np.transpose(np.reshape(np.transpose(a), shape[::-1]))


def _row_major(sheet: Sheet, value: Value, order: str, name: str) -> None:
    """Refuses an order of the elements other than row by row, or the one in memory."""
    wide = sum(n > 1 for n in value.shape)
    if order not in ("C", "F", "K", "A") or (order in ("K", "A") and wide > 1):
        raise sheet.refusal(
            f"{name} with order={order!r} can't be traced",
            expected="order='C' or 'F'",
            hint="a traced array has no order in memory: write order='C'",
        )


@row(np.ravel, view=True)
def ravel(sheet: Sheet, a: Any, order: str = "C") -> Value:
    """One axis of all elements, row by row."""
    value = sheet.value(a)
    if order == "F" and value.ndim > 1:
        return _by_columns(sheet, a, (-1,))  # type: ignore[no-any-return]
    _row_major(sheet, value, order, "np.ravel")
    return reshaped(value, (value.size,))


@row(np.squeeze, view=True)
def squeeze(sheet: Sheet, a: Any, axis: Any = None) -> Value:
    """Axes of extent 1 taken away."""
    value = sheet.value(a)
    if axis is None:
        return squeezed(value, [k for k, n in enumerate(value.shape) if n == 1])
    axes = all_axes(axis, value.ndim)
    if any(value.shape[k] != 1 for k in axes):
        raise ValueError("an axis of another extent than 1 can't be squeezed")
    return squeezed(value, axes)


@row(np.expand_dims, view=True)
def expand_dims(sheet: Sheet, a: Any, axis: Any) -> Value:
    """New axes of extent 1."""
    value = sheet.value(a)
    return expanded(value, all_axes(axis, value.ndim + len(integers(axis))))


def _at_least(rank: int) -> Callable[..., Any]:
    def one(value: Value) -> Value:
        if value.ndim >= rank:
            return value
        places = {0: range(rank), 1: (0, 2)[: rank - 1], 2: (2,)}[value.ndim]
        return expanded(value, places)

    def build(sheet: Sheet, *arrays: Any) -> Any:
        found = tuple(one(sheet.value(a)) for a in arrays)
        return found[0] if len(found) == 1 else found

    return build


row(np.atleast_1d, view=True)(_at_least(1))
row(np.atleast_2d, view=True)(_at_least(2))
row(np.atleast_3d, view=True)(_at_least(3))


@row(np.broadcast_to, view=True)
def broadcast_to(sheet: Sheet, array: Any, shape: Any, subok: bool = False) -> Value:
    """Repeated along new axes and axes of extent 1."""
    value, wanted = sheet.value(array), integers(shape)
    if np.broadcast_shapes(value.shape, wanted) != wanted:
        raise ValueError(f"shape {value.shape} can't be broadcast to {wanted}")
    return broadcast(value, wanted)


@row(np.broadcast_arrays, view=True)
def broadcast_arrays(sheet: Sheet, *args: Any, subok: bool = False) -> tuple[Value, ...]:
    """All of them in their common shape."""
    from .table_elementwise import broadcast_all

    return tuple(broadcast_all([sheet.value(a) for a in args]))


@row(np.meshgrid)
def meshgrid(
    sheet: Sheet, *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> Any:
    """Each vector along an axis of its own."""
    values = [sheet.value(x) for x in xi]
    rank = len(values)
    places = list(range(rank))
    if indexing == "xy" and rank > 1:
        places[0], places[1] = 1, 0
    flat = [reshaped(v, (v.size,)) for v in values]
    lifted = [
        expanded(v, [k for k in range(rank) if k != place])
        for v, place in zip(flat, places, strict=True)
    ]
    if sparse:
        return tuple(lifted)
    return broadcast_arrays(sheet, *lifted)


@row(np.flip, view=True)
def flip(sheet: Sheet, m: Any, axis: Any = None) -> Value:
    """Backwards along some axes."""
    value = sheet.value(m)
    return flipped(value, all_axes(axis, value.ndim))


def flipped(value: Value, axes: Sequence[int]) -> Value:
    """Backwards along ``axes``."""

    def change(subs: Subs) -> Subs:
        return tuple(
            constant(value.shape[k] - 1) - sub if k in axes else sub for k, sub in enumerate(subs)
        )

    return remapped(value, value.shape, value.axes, change)


@row(np.flipud, view=True)
def flipud(sheet: Sheet, m: Any) -> Value:
    """Backwards along the first axis."""
    return flip(sheet, m, 0)


@row(np.fliplr, view=True)
def fliplr(sheet: Sheet, m: Any) -> Value:
    """Backwards along the second axis."""
    return flip(sheet, m, 1)


@row(np.rot90, view=True)
def rot90(sheet: Sheet, m: Any, k: int = 1, axes: Any = (0, 1)) -> Value:
    """A quarter turn, k times."""
    value = sheet.value(m)
    first, second = all_axes(axes, value.ndim)
    order = list(range(value.ndim))
    order[first], order[second] = second, first
    match k % 4:
        case 0:
            return value
        case 1:
            return transposed(flipped(value, (second,)), order)
        case 2:
            return flipped(value, (first, second))
        case _:
            return flipped(transposed(value, order), (second,))


def sliced(value: Value, axis: int, start: int, stop: int) -> Value:
    """A range of one axis."""
    extents = list(value.shape)
    extents[axis] = stop - start

    def change(subs: Subs) -> Subs:
        return (*subs[:axis], subs[axis] + start, *subs[axis + 1 :])

    return remapped(value, extents, value.axes, change)


def _split(sheet: Sheet, ary: Any, parts: Any, axis: int, exact: bool) -> tuple[Value, ...]:
    value = sheet.value(ary)
    along = one_axis(axis, value.ndim)
    extent = value.shape[along]
    if isinstance(parts, int | np.integer):
        if parts < 1:
            raise ValueError("number sections must be larger than 0.")
        if exact and extent % parts:
            raise ValueError(f"an axis of {extent} doesn't split into {parts} equal parts")
        ends = np.cumsum([extent // parts + (k < extent % parts) for k in range(parts)]).tolist()
        cuts = [0, *ends]
    else:
        inner = [slice(0, cut).indices(extent)[1] for cut in integers(parts)]
        cuts = [0, *inner, extent]
    return tuple(
        sliced(value, along, start, max(start, stop)) for start, stop in itertools.pairwise(cuts)
    )


@row(np.split, view=True)
def split(sheet: Sheet, ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    """Ranges of one axis."""
    return list(_split(sheet, ary, indices_or_sections, axis, True))


@row(np.array_split, view=True)
def array_split(sheet: Sheet, ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    """Ranges of one axis, as equal as can be."""
    return list(_split(sheet, ary, indices_or_sections, axis, False))


@row(np.hsplit, view=True)
def hsplit(sheet: Sheet, ary: Any, indices_or_sections: Any) -> list[Value]:
    """Ranges of the second axis (of the first, if that is all)."""
    axis = 1 if sheet.value(ary).ndim > 1 else 0
    return list(_split(sheet, ary, indices_or_sections, axis, True))


@row(np.vsplit, view=True)
def vsplit(sheet: Sheet, ary: Any, indices_or_sections: Any) -> list[Value]:
    """Ranges of the first axis."""
    return list(_split(sheet, ary, indices_or_sections, 0, True))


if hasattr(np, "unstack"):

    @row(np.unstack, view=True)
    def unstack(sheet: Sheet, x: Any, /, *, axis: int = 0) -> tuple[Value, ...]:
        """Each element of one axis."""
        value = sheet.value(x)
        along = one_axis(axis, value.ndim)
        return tuple(
            squeezed(sliced(value, along, k, k + 1), (along,)) for k in range(value.shape[along])
        )


@row(np.lib.stride_tricks.sliding_window_view, view=True)
def sliding_window_view(
    sheet: Sheet,
    x: Any,
    window_shape: Any,
    axis: Any = None,
    *,
    subok: bool = False,
    writeable: bool = False,
) -> Value:
    """x[i + p]: every window, its own axes last."""
    value = sheet.value(x)
    windows = integers(window_shape)
    axes = all_axes(axis, value.ndim) if axis is not None else tuple(range(value.ndim))
    if len(windows) != len(axes):
        raise ValueError("window_shape and axis have different lengths")
    extents = list(value.shape)
    for along, width in zip(axes, windows, strict=True):
        extents[along] += 1 - width
        if width < 0 or extents[along] < 1:
            raise ValueError("a window is larger than its axis")

    def change(subs: Subs) -> Subs:
        back: list[Subscript] = list(subs[: value.ndim])
        for along, sub in zip(axes, subs[value.ndim :], strict=True):
            back[along] = back[along] + sub
        return tuple(back)

    return remapped(value, [*extents, *windows], [*value.axes, *("" for _ in windows)], change)


@row(np.repeat)
def repeat(sheet: Sheet, a: Any, repeats: Any, axis: Any = None) -> Value:
    """Each element several times in a row."""
    value = sheet.value(a)
    if axis is None and value.ndim != 1:
        value = sheet.keep(reshaped(value, (value.size,)))
    along = 0 if axis is None else one_axis(axis, value.ndim)
    counts = np.asarray(repeats)
    if counts.size != 1:
        from .table_indexing import taken

        return taken(sheet, value, np.repeat(np.arange(value.shape[along]), counts), along)
    times = operator.index(counts.reshape(())[()])
    if times < 0:
        raise ValueError("repeats is negative")
    extents = list(value.shape)
    extents[along] *= times

    def change(subs: Subs) -> Subs:
        sub = subs[along] if times == 1 else subs[along] // max(times, 1)
        if value.shape[along] == 1:
            sub = constant(0) if times != 1 else subs[along]
        return (*subs[:along], sub, *subs[along + 1 :])

    names = [n if k != along or times == 1 else "" for k, n in enumerate(value.axes)]
    return remapped(value, extents, names, change)


@row(np.tile)
def tile(sheet: Sheet, A: Any, reps: Any) -> Value:
    """The whole array several times along each axis."""
    value, times = sheet.value(A), list(integers(reps))
    value = expanded(value, range(max(0, len(times) - value.ndim)))
    times = [1] * (value.ndim - len(times)) + times
    extents = [n * t for n, t in zip(value.shape, times, strict=True)]

    def change(subs: Subs) -> Subs:
        return tuple(
            sub if t == 1 or not n else constant(0) if n == 1 else sub % n
            for sub, n, t in zip(subs, value.shape, times, strict=True)
        )

    names = [n if t == 1 else "" for n, t in zip(value.axes, times, strict=True)]
    return remapped(value, extents, names, change)
