"""Reductions: sums, means, variances, extrema and their places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from ..ir.expr import (
    ONE,
    ZERO,
    Add,
    And,
    Arg,
    Compare,
    Cond,
    Expr,
    Guard,
    Mul,
    Not,
    Or,
    Reduce,
    Select,
    SizeOf,
    neg,
    number,
    power,
    total,
)
from ..ir.sizes import size
from ..ir.subscripts import Index, Subscript, at
from .axes import all_axes, one_axis, reduced_axes
from .record import Sheet
from .rows import row
from .table_elementwise import HALF, INFINITY, apply_ufunc, as_wide, elementwise
from .values import (
    BOOL,
    INT,
    DType,
    Subs,
    Value,
    absent_unless,
    broadcast,
    cast,
    condition,
    expanded,
    reshaped,
)

Reading = Callable[[tuple[Index, ...], Expr], Expr]


def folded(
    sheet: Sheet,
    value: Value,
    axes: Sequence[int],
    keepdims: bool,
    dtype: DType,
    fold: Reading,
) -> Value:
    """``fold`` of the elements along ``axes``."""
    kept = [k for k in range(value.ndim) if k not in axes]

    def read(subs: Subs) -> Expr:
        own = tuple(subs[k] for k in kept) if keepdims else subs
        bound = {k: sheet.bound(value.shape[k], value.axes[k]) for k in sorted(axes)}
        free = dict(zip(kept, own, strict=True))
        full: list[Subscript] = [at(bound[k]) if k in bound else free[k] for k in range(value.ndim)]
        return fold(tuple(bound.values()), value.read(tuple(full)))

    def truth(subs: Subs) -> Cond:
        found = read(subs)
        return found.cond if isinstance(found, Guard) else Compare("!=", found, ZERO)

    if keepdims:
        shape = [1 if k in axes else n for k, n in enumerate(value.shape)]
        names = ["" if k in axes else name for k, name in enumerate(value.axes)]
    else:
        shape = [value.shape[k] for k in kept]
        names = [value.axes[k] for k in kept]
    return Value(tuple(shape), dtype, truth if dtype == BOOL else read, tuple(names))


def count(value: Value, axes: Sequence[int]) -> int:
    """The number of elements reduced to one."""
    return prod(value.shape[k] for k in axes)


def asked(function: Any, value: Value, **options: Any) -> DType:
    """The dtype of a reduction's result: NumPy itself is asked, on one element."""
    with np.errstate(all="ignore"):
        found: DType = np.asarray(function(np.ones((1,), value.dtype), **options)).dtype
    return found


def _as(sheet: Sheet, value: Value, dtype: Any) -> Value:
    if dtype is None:
        return value
    wanted = np.dtype(dtype)
    if wanted.kind not in "fiub":
        raise TypeError(f"sums of dtype {wanted} can't be traced")
    return sheet.keep(cast(value, wanted))


def sums(indices: tuple[Index, ...], body: Expr) -> Expr:
    return total(indices, body)


def reducing(op: str) -> Reading:
    return lambda indices, body: Reduce(op, indices, (), body) if indices else body


Where = Any  # the elements that count, a bool array, or None for all


def _mask(sheet: Sheet, where: Where, value: Value) -> Value | None:
    """The elements that count, of the value's shape."""
    mask = _narrow(sheet, where, value)
    return None if mask is None else broadcast(mask, value.shape)


def _narrow(sheet: Sheet, where: Where, value: Value) -> Value | None:
    """The elements that count, with as many axes as the value."""
    if where is None:
        return None
    mask = sheet.value(where)
    if not mask.is_bool:
        raise TypeError("where= takes bools")
    if np.broadcast_shapes(mask.shape, value.shape) != value.shape:
        raise ValueError(f"where= of shape {mask.shape} doesn't fit {value.shape}")
    return expanded(mask, range(value.ndim - mask.ndim))


def only(value: Value, mask: Value | None) -> Value:
    """The elements where a mask holds; nothing of the others is read."""
    return _or_else(value, mask, ZERO)


def _or_else(value: Value, mask: Value | None, other: Expr) -> Value:
    """The elements where a mask holds, and a number elsewhere (of bools, whether it isn't 0)."""
    if mask is None:
        return value

    def at(subs: Subs) -> Expr | Cond:
        holds = mask.test(subs)
        if value.is_bool and other is ZERO:
            return And((holds, value.test(subs)))
        if value.is_bool:
            return Or((Not(holds), value.test(subs)))
        if other is ZERO:
            return absent_unless(holds, value.read(subs))
        return Select(holds, value.read(subs), other)

    return replace(value, at=at, tensor=None, literal=None)


def _begun(
    sheet: Sheet, ufunc: Any, reduced: Value, initial: Any, neutral: float | int | None = None
) -> Value:
    """What was reduced, and an initial value, unless that is ``neutral``."""
    if initial is None or (isinstance(initial, int | float) and initial == neutral):
        return reduced
    begun: Value = apply_ufunc(sheet, ufunc, (sheet.keep(reduced), initial))
    return cast(begun, reduced.dtype)


@row(np.sum)
def sum_(
    sheet: Sheet,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    where: Where = None,
) -> Value:
    """Σ over the axes."""
    value = sheet.value(a)
    found = asked(np.sum, value, dtype=dtype)
    value = _as(sheet, value, dtype)
    value = only(value, _mask(sheet, where, value))
    axes = reduced_axes(axis, value.ndim)
    return _begun(sheet, np.add, folded(sheet, value, axes, keepdims, found, sums), initial)


@row(np.prod)
def prod_(
    sheet: Sheet,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    initial: Any = None,
    where: Where = None,
) -> Value:
    """Π over the axes."""
    value = sheet.value(a)
    found = asked(np.prod, value, dtype=dtype)
    value = _as(sheet, value, dtype)
    value = _or_else(value, _mask(sheet, where, value), ONE)
    axes = reduced_axes(axis, value.ndim)
    product = folded(sheet, value, axes, keepdims, found, reducing("prod"))
    return _begun(sheet, np.multiply, product, initial)


@row(np.mean)
def mean(
    sheet: Sheet,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    keepdims: bool = False,
    where: Where = None,
) -> Value:
    """1/n Σ over the axes."""
    value = sheet.value(a)
    found = asked(np.mean, value, dtype=dtype)
    value = _as(sheet, value, dtype)
    axes = all_axes(axis, value.ndim)
    mask = _narrow(sheet, where, value)
    if mask is not None:
        return _averaged_where(sheet, value, mask, axes, keepdims, found)
    return averaged(sheet, value, axes, keepdims, found)


def averaged(
    sheet: Sheet, value: Value, axes: Sequence[int], keepdims: bool, dtype: DType, less: int = 0
) -> Value:
    """Σ over the axes divided by their number, less ``less``."""
    scale = power(SizeOf(size(max(count(value, axes) - less, 0))), -1)

    def fold(indices: tuple[Index, ...], body: Expr) -> Expr:
        return Mul((scale, total(indices, body)))

    return folded(sheet, value, axes, keepdims, dtype, fold)


def _averaged_where(
    sheet: Sheet,
    value: Value,
    mask: Value,
    axes: Sequence[int],
    keepdims: bool,
    dtype: DType,
    less: int = 0,
) -> Value:
    """Σ where a mask holds, divided by the number of these elements, less ``less``: NaN where there
    is none."""
    over = sheet.keep(
        folded(sheet, only(value, broadcast(mask, value.shape)), axes, keepdims, dtype, sums)
    )
    under = sheet.keep(folded(sheet, mask, axes, keepdims, INT, sums))
    alike = prod(value.shape[k] for k in axes if mask.shape[k] == 1)
    if alike != 1:
        under = sheet.keep(apply_ufunc(sheet, np.multiply, (under, alike)))
    if less:
        lessened: Any = apply_ufunc(sheet, np.subtract, (under, less))
        under = sheet.keep(apply_ufunc(sheet, np.maximum, (sheet.keep(lessened), 0)))
    return elementwise(lambda x, n: Mul((x, power(n, -1))), [over, under], dtype)


@row(np.var)
def var(
    sheet: Sheet,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: int = 0,
    keepdims: bool = False,
    where: Where = None,
    mean: Any = None,
    correction: Any = None,
) -> Value:
    """The mean of squares of what differs from the mean."""
    value = sheet.value(a)
    found = asked(np.var, value, dtype=dtype)
    value = _as(sheet, value, dtype)
    axes = all_axes(axis, value.ndim)
    less = ddof if correction is None else correction
    if less != int(less):
        raise sheet.refusal(f"ddof={less} can't be traced", expected="an integer")
    mask = _narrow(sheet, where, value)
    if mask is None and count(value, axes) == 1 <= less:
        # NumPy divides 0 by 0: the slope is no number, either
        only_one = sheet.keep(averaged(sheet, value, axes, keepdims, found))
        return elementwise(lambda x: Mul((number(float("nan")), x)), [only_one], found)
    if mean is not None:
        middle = sheet.value(mean)
    elif mask is not None:
        middle = sheet.keep(_averaged_where(sheet, value, mask, axes, True, found))
    else:  # kept in the form that the user's own mean would have, to be shared with it
        middle = sheet.keep(averaged(sheet, value, axes, keepdims, found))
        middle = middle if keepdims else expanded(middle, axes)
    apart = elementwise(lambda x, m: Add((x, neg(m))), [value, middle], found)
    centred = sheet.keep(apart if mask is None else only(apart, broadcast(mask, apart.shape)))
    squares = replace(centred, at=lambda subs: power(centred.read(subs), 2))
    if mask is not None:
        return _averaged_where(sheet, squares, mask, axes, keepdims, found, int(less))
    if 1 < count(value, axes) <= less:  # NumPy divides by 0
        square = sheet.keep(averaged(sheet, squares, axes, keepdims, found))
        return elementwise(lambda x: Mul((INFINITY, x)), [square], found)
    return averaged(sheet, squares, axes, keepdims, found, int(less))


@row(np.std)
def std(sheet: Sheet, a: Any, axis: Any = None, dtype: Any = None, **options: Any) -> Value:
    """The square root of the variance."""
    variance = sheet.keep(var(sheet, a, axis, dtype, **options))
    return elementwise(lambda v: power(v, HALF), [variance], variance.dtype)


def _extremum(op: str) -> Callable[..., Value]:
    ufunc = np.maximum if op == "max" else np.minimum

    def build(
        sheet: Sheet,
        a: Any,
        axis: Any = None,
        *,
        keepdims: bool = False,
        initial: Any = None,
        where: Where = None,
    ) -> Value:
        value = sheet.value(a)
        axes = reduced_axes(axis, value.ndim)
        mask = _mask(sheet, where, value)
        if mask is not None:
            if initial is None:
                raise ValueError(f"np.{op} with where= needs an initial value")
            value = _or_else(value, mask, number(least(value.dtype, op)))
        if not count(value, axes):
            if initial is None:
                raise ValueError(f"the {op} over no elements")
            empty = folded(sheet, value, axes, keepdims, value.dtype, sums)
            return replace(empty, at=lambda subs: sheet.value(initial).read(()))
        found = folded(sheet, value, axes, keepdims, value.dtype, reducing(op))
        return _begun(sheet, ufunc, found, initial, least(value.dtype, op))

    return build


def least(dtype: DType, op: str) -> float | int:
    """What no maximum (minimum) of a dtype is changed by."""
    if dtype.kind == "f":
        return float("-inf") if op == "max" else float("inf")
    if dtype.kind == "b":
        return int(op == "min")
    return int(np.iinfo(dtype).min if op == "max" else np.iinfo(dtype).max)


row(np.max, np.amax)(_extremum("max"))
row(np.min, np.amin)(_extremum("min"))


@row(np.ptp)
def ptp(sheet: Sheet, a: Any, axis: Any = None, *, keepdims: bool = False) -> Value:
    """The greatest less the least."""
    most = sheet.keep(_extremum("max")(sheet, a, axis, keepdims=keepdims))
    least = sheet.keep(_extremum("min")(sheet, a, axis, keepdims=keepdims))
    return elementwise(lambda x, y: Add((x, neg(y))), [most, least], most.dtype)


def _place(op: str) -> Callable[..., Value]:
    def build(sheet: Sheet, a: Any, axis: Any = None, *, keepdims: bool = False) -> Value:
        value = sheet.value(a)
        rank = value.ndim
        if (axis is None and rank != 1) or not rank:
            value = sheet.keep(reshaped(value, (value.size,)))
        along = 0 if axis is None else one_axis(axis, value.ndim)
        if not value.shape[along]:
            raise ValueError(f"the arg{op} over no elements")

        def fold(indices: tuple[Index, ...], body: Expr) -> Expr:
            return Arg(op, indices, 0, (), body)

        flat = axis is None or not rank
        found = folded(sheet, value, (along,), keepdims and not flat, INT, fold)
        if keepdims and flat:
            found = expanded(found, range(rank))
        return replace(found, nonnegative=True)

    return build


row(np.argmax)(_place("max"))
row(np.argmin)(_place("min"))


def _counted(
    sheet: Sheet, a: Any, axis: Any, keepdims: bool, negated: bool, where: Where = None
) -> Value:
    value = sheet.value(a)
    mask = _mask(sheet, where, value)

    def test(subs: Subs) -> Cond:
        own = Not(value.test(subs)) if negated else value.test(subs)
        return own if mask is None else And((mask.test(subs), own))

    told = condition(value.shape, test, value.axes)
    return folded(sheet, told, reduced_axes(axis, value.ndim), keepdims, INT, sums)


@row(np.any)
def any_(
    sheet: Sheet, a: Any, axis: Any = None, *, keepdims: bool = False, where: Where = None
) -> Value:
    """Whether one of them is true."""
    counted = _counted(sheet, a, axis, keepdims, False, where)
    return condition(
        counted.shape, lambda subs: Compare("<", ZERO, counted.read(subs)), counted.axes
    )


@row(np.all)
def all_(
    sheet: Sheet, a: Any, axis: Any = None, *, keepdims: bool = False, where: Where = None
) -> Value:
    """Whether none of them is false."""
    counted = _counted(sheet, a, axis, keepdims, True, where)
    return condition(
        counted.shape, lambda subs: Compare("==", counted.read(subs), ZERO), counted.axes
    )


@row(np.count_nonzero)
def count_nonzero(sheet: Sheet, a: Any, axis: Any = None, *, keepdims: bool = False) -> Value:
    """The number of elements that are not zero."""
    return _counted(sheet, a, axis, keepdims, False)


@row(np.average)
def average(
    sheet: Sheet, a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False
) -> Value:
    """Σ weight·a / Σ weight."""
    value = sheet.value(a)
    if weights is None:
        return mean(sheet, a, axis, keepdims=keepdims)
    weight = sheet.value(weights)
    axes = all_axes(axis, value.ndim)
    if weight.shape != value.shape:
        if len(axes) != 1 or weight.shape != (value.shape[axes[0]],):
            raise ValueError("the weights have neither a's shape nor the length of the axis")
        weight = expanded(weight, [k for k in range(value.ndim) if k != axes[0]])
        weight = broadcast(weight, value.shape)
    found = np.average(np.ones(1, value.dtype), weights=np.ones(1, weight.dtype)).dtype
    value, weight = as_wide(sheet, (value, weight), found)
    weighted = elementwise(lambda x, w: Mul((x, w)), [value, weight], found)
    over = sheet.keep(folded(sheet, weighted, axes, keepdims, found, sums))
    under = sheet.keep(folded(sheet, weight, axes, keepdims, found, sums))
    return elementwise(lambda x, y: Mul((x, power(y, -1))), [over, under], found)


@row(np.nansum)
def nansum(sheet: Sheet, a: Any, axis: Any = None, *, keepdims: bool = False) -> Value:
    """Σ of what is not NaN."""
    value = sheet.value(a)
    value = elementwise(lambda x: Select(Compare("==", x, x), x, ZERO), [value], value.dtype)
    found = asked(np.sum, value)
    return folded(sheet, value, reduced_axes(axis, value.ndim), keepdims, found, sums)


@row(np.nanmean)
def nanmean(sheet: Sheet, a: Any, axis: Any = None, *, keepdims: bool = False) -> Value:
    """The mean of what is not NaN."""
    value = sheet.value(a)
    axes = reduced_axes(axis, value.ndim)
    found = asked(np.mean, value)
    over = sheet.keep(replace(nansum(sheet, a, axis, keepdims=keepdims), dtype=found))
    present = condition(
        value.shape, lambda s: Compare("==", value.read(s), value.read(s)), value.axes
    )
    under = sheet.keep(folded(sheet, present, axes, keepdims, INT, sums))
    return elementwise(lambda x, y: Mul((x, power(y, -1))), [over, under], found)
