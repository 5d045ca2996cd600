"""Running sums, products and extrema: ``np.cumsum`` and whatever accumulates like it.

A running sum is a sum over a triangle, which the plan writes as ``np.cumsum``; its adjoint is a
running sum from the other end. A running maximum is read at the place where it was found. Every
other running value is a recurrence along its axis.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..ir.expr import ONE, ZERO, Access, Compare, Expr, Guard, Inside, Mul, Reduce, Select
from ..ir.sizes import size
from ..ir.subscripts import Lookup, at
from .axes import one_axis
from .record import Sheet
from .refusals import hint_for
from .rows import public_name, row
from .table_elementwise import NUMBERS, Numbers, elementwise
from .table_matrices import result
from .table_pieces import concatenated
from .table_reductions import asked
from .values import (
    DType,
    Subs,
    Value,
    broadcast,
    cast,
    dtype_name,
    of_number,
    remapped,
    reshaped,
    transposed,
)


def in_a_row(sheet: Sheet, a: Any, axis: Any) -> tuple[Value, int]:
    """An array and one of its axes: the only one of all elements where no axis is given."""
    value = sheet.value(a)
    if axis is None or not value.ndim:
        flat = value if value.ndim == 1 else sheet.keep(reshaped(value, (value.size,)))
        return flat, 0 if axis is None else one_axis(axis, 1)
    return value, one_axis(axis, value.ndim)


def summed(sheet: Sheet, value: Value, axis: int, dtype: DType) -> Value:
    """The sums up to each element of an axis."""
    value = sheet.keep(cast(value, dtype) if dtype.kind == "f" else value)
    extent = value.shape[axis]

    def read(subs: Subs) -> Expr:
        before = sheet.bound(extent, value.axes[axis])
        triangle = Guard(Inside(subs[axis] - at(before), size(extent)))
        body = value.read((*subs[:axis], at(before), *subs[axis + 1 :]))
        return Reduce("sum", (before,), (), Mul((triangle, body)))

    return Value(value.shape, dtype, read, value.axes)


def recurrent(sheet: Sheet, value: Value, axis: int, dtype: DType, combine: Numbers) -> Value:
    """``y[0] = x[0]`` and ``y[t] = combine(y[t-1], x[t])`` along an axis."""
    order = [axis, *(k for k in range(value.ndim) if k != axis)]
    steps = sheet.keep(transposed(cast(value, dtype), order))
    extent = steps.shape[0]
    before = sheet.promise(tuple(map(size, steps.shape)), dtype_name(dtype))

    def read(subs: Subs) -> Expr:
        last = subs[0] - 1
        here = steps.read(subs)
        earlier = Access(before, (last, *subs[1:]))
        return Select(Inside(last, size(extent - 1)), combine(earlier, here), here)

    made = sheet.keep(replace(steps, at=read, dtype=dtype, tensor=None))
    assert made.tensor is not None
    sheet.keep_promises({before: made.tensor})
    return transposed(made, [order.index(k) for k in range(value.ndim)])


def _product(earlier: Expr, here: Expr) -> Expr:
    return Mul((earlier, here))


@row(np.cumsum)
def cumsum(sheet: Sheet, a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """The sums up to each element."""
    value, own = in_a_row(sheet, a, axis)
    return summed(sheet, value, own, asked(np.cumsum, value, dtype=dtype))


@row(np.cumprod)
def cumprod(sheet: Sheet, a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """The products up to each element."""
    value, own = in_a_row(sheet, a, axis)
    return recurrent(sheet, value, own, asked(np.cumprod, value, dtype=dtype), _product)


def _unless_nan(value: Value, instead: Expr) -> Value:
    """The elements, with another number for those that are not one."""
    if value.dtype.kind != "f":
        return value
    return elementwise(lambda x: Select(Compare("==", x, x), x, instead), [value], value.dtype)


@row(np.nancumsum)
def nancumsum(sheet: Sheet, a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """The sums of what is not NaN up to each element."""
    value, own = in_a_row(sheet, a, axis)
    value = sheet.keep(_unless_nan(value, ZERO))
    return summed(sheet, value, own, asked(np.cumsum, value, dtype=dtype))


@row(np.nancumprod)
def nancumprod(sheet: Sheet, a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """The products of what is not NaN up to each element."""
    value, own = in_a_row(sheet, a, axis)
    value = sheet.keep(_unless_nan(value, ONE))
    return recurrent(sheet, value, own, asked(np.cumprod, value, dtype=dtype), _product)


def _from(sheet: Sheet, found: Value, axis: int, first: int, include: bool) -> Value:
    """The running values behind the one of no elements, where that is asked for."""
    if not include:
        return found
    shape = [1 if k == axis else n for k, n in enumerate(found.shape)]
    start = broadcast(of_number(first, found.dtype), shape)
    return concatenated([start, sheet.keep(found)], axis, found.dtype)


def _array_api(sheet: Sheet, x: Any, axis: Any) -> tuple[Value, int]:
    value = sheet.value(x)
    if not value.ndim or (axis is None and value.ndim != 1):
        raise ValueError("an axis has to be given for arrays of several axes")
    return value, one_axis(0 if axis is None else axis, value.ndim)


@row(np.cumulative_sum)
def cumulative_sum(
    sheet: Sheet, x: Any, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
) -> Value:
    """The sums up to each element, behind a 0 if asked for: the inverse of np.diff."""
    value, own = _array_api(sheet, x, axis)
    return _from(sheet, cumsum(sheet, value, own, dtype), own, 0, include_initial)


@row(np.cumulative_prod)
def cumulative_prod(
    sheet: Sheet, x: Any, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
) -> Value:
    """The products up to each element, behind a 1 if asked for."""
    value, own = _array_api(sheet, x, axis)
    return _from(sheet, cumprod(sheet, value, own, dtype), own, 1, include_initial)


def at_places(rows: Value, places: Value) -> Value:
    """The elements of the last axis at places of it, row by row."""
    tensor = places.tensor
    assert tensor is not None

    def change(subs: Subs) -> Subs:
        return (*subs[:-1], at(Lookup(Access(tensor, subs))))

    return remapped(rows, places.shape, rows.axes, change)


EXTREMA = {"maximum": "argcummax", "minimum": "argcummin"}


def running_extremum(sheet: Sheet, ufunc: Any, value: Value, axis: int) -> Value:
    """The greatest (least) element up to each, read at the first place where it is."""
    order = [*(k for k in range(value.ndim) if k != axis), axis]
    rows = sheet.keep(transposed(value, order))
    place = sheet.keep(result(sheet, EXTREMA[ufunc.__name__], rows))
    found = sheet.keep(at_places(rows, place))
    return transposed(found, [order.index(k) for k in range(value.ndim)])


def accumulate(ufunc: Any, sheet: Sheet, array: Any, axis: Any = 0, dtype: Any = None) -> Value:
    """``ufunc.accumulate``: each element is the function of the one before and the array's own."""
    value = sheet.value(array)
    if not value.ndim:
        raise TypeError("cannot accumulate on a scalar")
    own = one_axis(axis, value.ndim)
    found = asked(ufunc.accumulate, value, dtype=dtype)
    name = ufunc.__name__
    if name == "add" and found.kind != "b":
        return summed(sheet, value, own, found)
    if name not in NUMBERS or ufunc.nin != 2 or found.kind == "b":
        raise sheet.refusal(
            f"{public_name(ufunc)}.accumulate of dtype {value.dtype} can't be traced",
            hint=hint_for("accumulate"),
        )
    if name in EXTREMA:
        return running_extremum(sheet, ufunc, cast(value, found), own)
    return recurrent(sheet, value, own, found, NUMBERS[name])
