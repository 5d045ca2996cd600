"""NumPy's functions that change an array: each is the store that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .axes import one_axis
from .record import Sheet
from .refusals import MAKE_INSIDE

CHANGES: dict[Any, Callable[..., None]] = {}


def _change(function: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def enter(change: Callable[..., None]) -> Callable[..., None]:
        CHANGES[function] = change
        return change

    return enter


def _own(sheet: Sheet, array: Any) -> Any:
    """The array, where it is one that can take in traced values."""
    if isinstance(array, np.ndarray):
        raise sheet.refusal(
            "an array from outside can't take in a traced value",
            hint=MAKE_INSIDE,
        )
    return array


@_change(np.copyto)
def copyto(sheet: Sheet, dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """``dst[...] = src``, where a mask holds."""
    np.positive(src, out=(_own(sheet, dst),), where=where)


@_change(np.fill_diagonal)
def fill_diagonal(sheet: Sheet, a: Any, val: Any, wrap: bool = False) -> None:
    """``a[i, i] = val`` of a matrix."""
    array = _own(sheet, a)
    if array.ndim != 2 or (wrap and array.shape[0] > array.shape[1]):
        raise sheet.refusal(
            "np.fill_diagonal can be traced for a matrix, without wrap",
            hint="write a[i, i] = val with i = np.arange(n)",
        )
    places = np.arange(min(array.shape))
    given = np.ravel(val) if hasattr(val, "ndim") else np.asarray(val).ravel()
    if given.shape[0] > 1:
        given = np.resize(given, len(places)) if given.shape[0] != len(places) else given
    array[places, places] = given


@_change(np.put_along_axis)
def put_along_axis(sheet: Sheet, arr: Any, indices: Any, values: Any, axis: Any) -> None:
    """``arr[..., indices[..., k, ...], ...] = values``, the other axes running together."""
    array = _own(sheet, arr)
    if axis is None:
        raise sheet.refusal("np.put_along_axis with axis=None", hint="say which axis")
    along = one_axis(axis, array.ndim)
    key: list[Any] = []
    for k, n in enumerate(array.shape):
        shape = [1] * array.ndim
        shape[k] = n
        key.append(indices if k == along else np.arange(n).reshape(shape))
    array[tuple(key)] = values


@_change(np.put)
def put(sheet: Sheet, a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """``a.flat[ind] = v``, the values again and again."""
    array = _own(sheet, a)
    if array.ndim != 1 or np.ndim(v) > 1 or mode != "raise":
        raise sheet.refusal("np.put can be traced for a vector", hint="write a[i] = v")
    array[ind] = v


@_change(np.putmask)
def putmask(sheet: Sheet, a: Any, mask: Any, values: Any) -> None:
    """``a[mask] = values`` for values of a's shape, or one."""
    array = _own(sheet, a)
    if np.ndim(values) and np.shape(values) != array.shape:
        raise sheet.refusal(
            "np.putmask with values of another shape can't be traced",
            hint="write a[...] = np.where(mask, values, a)",
        )
    array[...] = np.where(mask, values, array)
