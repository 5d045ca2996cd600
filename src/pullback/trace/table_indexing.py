"""Reading by subscripts: ``x[...]`` in all of NumPy's forms, take, take_along_axis; constants."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from ..errors import TraceIndexError
from ..ir.expr import ZERO, Access, Add, Compare, Expr, Select, number
from ..ir.subscripts import Lookup, Subscript, at, constant
from .axes import integers, one_axis
from .constants import affine, affine_form
from .record import Sheet
from .rows import composed, row
from .table_elementwise import apply_ufunc
from .values import INT, Subs, Value, cast, expanded, remapped, reshaped

Getter = tuple[tuple[int, ...], Any]  # an index array: its shape, its subscript as a function


_NO_INDEX = (
    "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean "
    "arrays are valid indices"
)


def getitem(sheet: Sheet, value: Value, key: Any) -> tuple[Value, bool]:
    """``value[key]``, and whether NumPy gives a view."""
    parts = basic_parts(sheet, value, key)
    if parts is not None:
        return basic(value, parts), True
    parts = complete(sheet, value, key if isinstance(key, tuple) else (key,))
    return advanced(sheet, value, parts), False


def basic_parts(sheet: Sheet, value: Value, key: Any) -> list[Any] | None:
    """A key of slices, integers and new axes with one part per axis; None for other keys."""
    parts = complete(sheet, value, key if isinstance(key, tuple) else (key,))
    if all(part is None or part is Ellipsis or isinstance(part, slice | int) for part in parts):
        return [part for part in parts if part is not Ellipsis]
    return None


def complete(sheet: Sheet, value: Value, key: tuple[Any, ...]) -> list[Any]:
    """The key with one part per axis (slice, int or integers), new axes, and what has no axis.

    No axis have a single bool, and an ellipsis that stands for none: it parts the arrays before it
    from those behind it.
    """
    given = [_part(sheet, one) for one in key]
    dots = sum(part is Ellipsis for part in given)
    if dots > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    left = value.ndim - sum(map(_subscripted, given))
    if left < 0:
        raise IndexError(f"{value.ndim - left} indices for an array of {value.ndim} axes")
    parts: list[Any] = []
    axis = 0
    for part in given if dots else [*given, Ellipsis]:
        if part is Ellipsis:
            parts += [slice(None)] * left or [Ellipsis]
            axis += left
        elif _is_mask(part) and part.ndim:
            if part.shape != value.shape[axis : axis + part.ndim]:
                raise IndexError(f"a boolean index of shape {part.shape} doesn't fit the array")
            parts += part.nonzero()
            axis += part.ndim
        else:
            parts.append(part)
            axis += _subscripted(part)
    return parts


def _is_mask(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype.kind == "b"


def _subscripted(part: Any) -> int:
    """The number of axes that a part of a key subscripts."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if _is_mask(part) else 1


def _part(sheet: Sheet, given: Any) -> Any:
    if given is None or given is Ellipsis or isinstance(given, slice):
        return given
    traced = getattr(given, "_pullback_value", None)
    if traced is not None:
        index = sheet.value(given)
        if index.is_bool:
            raise sheet.refusal(
                "indexing by a traced bool array can't be traced: the shape would depend on data",
                hint="keep the shape: np.where(mask, x, 0), or a sum of x * mask",
            )
        if index.dtype.kind not in "iu":
            raise sheet.refusal(
                "an index is not an integer",
                expected="integers",
                found=f"dtype {index.dtype}",
                hint="make it an integer array: y.astype(int)",
                kind=TraceIndexError,
            )
        return index
    if isinstance(given, list | tuple | range | np.ndarray | bool | np.bool_):
        return _constant_part(sheet, given)
    try:
        return operator.index(given)
    except TypeError:
        raise IndexError(_NO_INDEX) from None


def _constant_part(sheet: Sheet, given: Any) -> Any:
    if isinstance(given, list | tuple) and any(hasattr(p, "_pullback_value") for p in given):
        raise sheet.refusal(
            "a list that holds traced arrays is used as an index",
            hint="write np.stack([...]) to make one array of them",
        )
    array = np.asarray(given)
    if not array.size and not isinstance(given, np.ndarray):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise IndexError(_NO_INDEX)
    return array


def basic(value: Value, parts: Sequence[Any]) -> Value:
    """Slices, integers and new axes."""
    shape: list[int] = []
    names: list[str] = []
    sources: list[tuple[int, int, int]] = []  # per old axis: the new one (-1: none), step, first
    axis = 0
    for part in parts:
        if part is None:
            shape.append(1)
            names.append("")
            continue
        extent = value.shape[axis]
        if isinstance(part, slice):
            start, stop, step = part.indices(extent)
            sources.append((len(shape), step, start))
            shape.append(len(range(start, stop, step)))
            names.append(value.axes[axis])
        else:
            sources.append((-1, 0, _within(part, extent, axis)))
        axis += 1

    def change(subs: Subs) -> Subs:
        return tuple(
            constant(first) if new < 0 else _stepped(subs[new], step, first, shape[new])
            for new, step, first in sources
        )

    return remapped(value, shape, names, change)


def _stepped(sub: Subscript, step: int, first: int, extent: int) -> Subscript:
    return sub * step + first if extent != 1 or step == 1 else sub + first


def _within(index: int, extent: int, axis: int) -> int:
    if not -extent <= index < extent:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {extent}")
    return index % extent


def advanced(sheet: Sheet, value: Value, parts: Sequence[Any]) -> Value:
    """Index arrays (and integers) run together; slices and new axes apply on their own."""
    plain: list[Any] = []
    advanced: list[int] = []  # the places of index arrays among the parts
    subscripted: dict[int, Any] = {}  # by the axis of the sliced array that they subscript
    lead = 0
    for place, part in enumerate(parts):
        if part is None or isinstance(part, slice):
            plain.append(part)
        elif part is not Ellipsis:
            lead = lead if advanced else len(plain)
            advanced.append(place)
            if not _is_mask(part):
                subscripted[len(plain)] = part
                plain.append(slice(None))
    sliced = basic(value, plain)
    common = _common_shape([_shape(parts[place]) for place in advanced])
    getters = {
        k: _nothing(part) if np.shape(part) and not prod(common) else _getter(sheet, part, n, k)
        for k, n, part in ((k, sliced.shape[k], part) for k, part in subscripted.items())
    }
    together = advanced == list(range(advanced[0], advanced[0] + len(advanced)))
    lead = lead if together else 0
    rest = [k for k in range(sliced.ndim) if k not in getters]
    names = _index_names(sheet, [parts[p] for p in advanced], common)
    shape = [sliced.shape[k] for k in rest]
    axes = [sliced.axes[k] for k in rest]
    shape[lead:lead], axes[lead:lead] = list(common), names

    def change(subs: Subs) -> Subs:
        own = subs[lead : lead + len(common)]
        others = iter((*subs[:lead], *subs[lead + len(common) :]))
        return tuple(
            getters[k][1](_aligned(own, common, getters[k][0])) if k in getters else next(others)
            for k in range(sliced.ndim)
        )

    return remapped(sliced, shape, axes, change)


def _shape(part: Any) -> tuple[int, ...]:
    """The shape of an index array; a single bool is an axis of extent 1 or 0."""
    return (int(part),) if _is_mask(part) else np.shape(part)


def _common_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of index arrays together."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        shown = " ".join(map(str, shapes))
        raise IndexError(
            f"shape mismatch: indexing arrays could not be broadcast together with shapes {shown}"
        ) from None


def _nothing(part: Any) -> Getter:
    """Positions of which none is used, since there are none of another axis: nor by NumPy."""
    return np.shape(part), lambda subs: constant(0)


def _index_names(sheet: Sheet, parts: Sequence[Any], common: tuple[int, ...]) -> list[str]:
    names = [""] * len(common)
    for part in parts:
        if isinstance(part, Value):
            lead = len(common) - part.ndim
            for k, (n, name) in enumerate(zip(part.shape, part.axes, strict=True)):
                if n == common[lead + k] and not names[lead + k]:
                    names[lead + k] = name
    return names


def _getter(sheet: Sheet, part: Any, extent: int, axis: int) -> Getter:
    """An index array's shape, and its subscript as a function of the result's subscripts."""
    if isinstance(part, int):
        fixed = constant(_within(part, extent, axis))
        return (), lambda subs: fixed
    if isinstance(part, Value):
        return _traced_getter(sheet, part, extent)
    array = np.asarray(part).astype(np.int64)
    if not array.size:
        return _nothing(array)
    if array.min() < -extent or array.max() >= extent:
        wrong = array[(array < -extent) | (array >= extent)][0]
        raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {extent}")
    array = np.where(array < 0, array + extent, array)
    form = affine_form(array)
    if form is not None:
        return array.shape, lambda subs: affine(*form, subs)
    return lookup(sheet, sheet.value(array))


def _traced_getter(sheet: Sheet, index: Value, extent: int) -> Getter:
    if index.nonnegative:
        return lookup(sheet, index)

    def lowered(subs: Subs) -> Expr:
        own = index.read(subs)
        return Select(Compare("<", own, ZERO), Add((own, number(extent))), own)

    counted = Value(index.shape, INT, lowered, index.axes, nonnegative=True)
    wish = sheet.wish_of(index)
    return lookup(sheet, sheet.keep(counted, f"{wish}_wrapped" if wish else ""))


def lookup(sheet: Sheet, index: Value) -> Getter:
    """A lookup in a tensor: an index that has a formula becomes a statement."""
    tensor = index.tensor or sheet.keep(replace(index, weak=None)).tensor
    assert tensor is not None
    return index.shape, lambda subs: at(Lookup(Access(tensor, subs)))


def _aligned(subs: Subs, common: Sequence[int], shape: Sequence[int]) -> Subs:
    """The subscripts of a common shape as those of one that is broadcast to it."""
    lead = len(common) - len(shape)
    return tuple(
        constant(0) if n == 1 and common[lead + k] != 1 else subs[lead + k]
        for k, n in enumerate(shape)
    )


def taken(sheet: Sheet, value: Value, indices: Any, axis: int) -> Value:
    """``value`` at an array of indices along one axis."""
    parts: list[Any] = [slice(None)] * value.ndim
    parts[axis] = _part(sheet, indices)
    return advanced(sheet, value, parts)


@row(np.take)
def take(sheet: Sheet, a: Any, indices: Any, axis: Any = None, *, mode: str = "raise") -> Value:
    """The elements at some places of one axis."""
    value = sheet.value(a)
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
    if axis is None or not value.ndim:
        value = value if value.ndim == 1 else sheet.keep(reshaped(value, (value.size,)))
        axis = 0 if axis is None else axis
    along = one_axis(axis, value.ndim)
    if not hasattr(indices, "_pullback_value"):
        array = np.asarray(indices)
        if array.dtype.kind == "b" or not (array.size or isinstance(indices, np.ndarray)):
            array = array.astype(np.int64)
        if array.dtype.kind not in "iu":
            raise TypeError(f"the indices have dtype {array.dtype}, expected integers")
        if array.size and not value.shape[along]:
            raise IndexError("cannot do a non-empty take from an empty axis")
        indices = array
    if mode != "raise":
        indices = _in_range(sheet, indices, value.shape[along], mode)
    return taken(sheet, value, indices, along)


@composed
def _in_range(indices: Any, count: int, mode: str) -> Any:
    """Indices brought in range."""
    return indices % count if mode == "wrap" else np.clip(indices, 0, count - 1)


@row(np.take_along_axis)
def take_along_axis(sheet: Sheet, arr: Any, indices: Any, axis: Any = -1) -> Value:
    """arr[..., indices[..., k, ...], ...], the other axes running together."""
    value, index = sheet.value(arr), sheet.value(indices)
    if axis is None:
        value, axis = sheet.keep(reshaped(value, (value.size,))), 0
    along = one_axis(axis, value.ndim)
    if index.dtype.kind not in "iu" or index.ndim != value.ndim:
        raise IndexError("indices must be integers with as many axes as the array")
    others = [k for k in range(value.ndim) if k != along]
    extents = list(index.shape)
    for k in others:
        extents[k] = _common_shape([(value.shape[k],), (index.shape[k],)])[0]
    given = indices if not hasattr(indices, "_pullback_value") else index
    _, sub_of = _getter(sheet, given, value.shape[along], along)

    def change(subs: Subs) -> Subs:
        own = [
            constant(0) if n == 1 and extents[k] != 1 else sub
            for k, (sub, n) in enumerate(zip(subs, index.shape, strict=True))
        ]
        outer = [
            constant(0) if value.shape[k] == 1 and extents[k] != 1 else sub
            for k, sub in enumerate(subs)
        ]
        return (*outer[:along], sub_of(tuple(own)), *outer[along + 1 :])

    names = [index.axes[k] or (value.axes[k] if k != along else "") for k in range(value.ndim)]
    return remapped(value, extents, names, change)


@row(np.ix_)
def ix_(sheet: Sheet, *args: Any) -> tuple[Any, ...]:
    """Each index array along an axis of its own."""
    values = [sheet.value(a) for a in args]
    if any(v.ndim != 1 or v.is_bool for v in values):
        raise ValueError("np.ix_ needs integer vectors")
    return tuple(
        expanded(v, [j for j in range(len(values)) if j != k]) for k, v in enumerate(values)
    )


@row(np.unravel_index)
def unravel_index(sheet: Sheet, indices: Any, shape: Any) -> tuple[Value, ...]:
    """The subscripts of flat places, row by row; the places are taken to be in range."""
    value, extents = sheet.value(indices), integers(shape)
    if value.dtype.kind not in "iu":
        raise TypeError("places are integers")
    places = []
    for k in range(len(extents)):
        stride = prod(extents[k + 1 :])
        part = apply_ufunc(sheet, np.floor_divide, (value, stride)) if stride != 1 else value
        if k:
            part = apply_ufunc(sheet, np.remainder, (part, extents[k]))
        places.append(replace(cast(part, INT), nonnegative=value.nonnegative or k > 0))
    return tuple(places)


# --------------------------------------------------------------------------------------------------
# Constants of an array's form: NumPy's own arrays, which enter later operations as constants


@composed
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """An array that has a traced value everywhere."""
    return np.copy(np.broadcast_to(fill_value, shape)).astype(dtype or fill_value.dtype)


def _like(make: Any) -> Any:
    def build(
        sheet: Sheet, a: Any, *fill: Any, dtype: Any = None, shape: Any = None, **options: Any
    ) -> Any:
        if options.pop("order", "C") not in ("C", "K", "A") or options.pop("subok", False):
            raise TypeError("unexpected order or subok")
        options.pop("device", None)
        value = sheet.value(a)
        if any(hasattr(part, "_pullback_value") for part in fill):
            return full(sheet, value.shape if shape is None else shape, *fill, dtype or value.dtype)
        extents = value.shape if shape is None else shape
        return make(extents, *fill, dtype=value.dtype if dtype is None else dtype)

    return build


row(np.zeros_like, np.empty_like)(_like(np.zeros))
row(np.ones_like)(_like(np.ones))
row(np.full_like)(_like(np.full))
