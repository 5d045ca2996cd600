"""Functions that are made of others, as NumPy's own documentation defines them."""

from __future__ import annotations

import operator
from math import prod
from typing import Any

import numpy as np

from ..ir.expr import Compare, neg
from .axes import all_axes, one_axis
from .record import Sheet
from .rows import row
from .table_elementwise import INFINITY, test_elementwise
from .table_products import cross, diagonal, trace
from .table_shapes import split
from .table_special import composed
from .values import Value

# --------------------------------------------------------------------------------------------------
# Where nothing is missing


def _present(a: Any, where: Any) -> Any:
    there = ~np.isnan(a)
    return there if where is None else there & where


def _nan_extremum(function: Any, name: str, begin: float) -> None:
    @composed
    def build(
        a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = None, where: Any = None
    ) -> Any:
        reduced = getattr(np, name)
        if a.dtype.kind != "f":
            rest = {} if where is None else {"where": where}
            return reduced(a, axis=axis, keepdims=keepdims, initial=initial, **rest)
        there = _present(a, where)
        start = begin if initial is None else initial
        found = reduced(a, axis=axis, keepdims=keepdims, initial=start, where=there)
        if initial is not None:
            return found
        return np.where(np.any(there, axis=axis, keepdims=keepdims), found, np.nan)

    row(function)(build)


_nan_extremum(np.nanmax, "max", -np.inf)
_nan_extremum(np.nanmin, "min", np.inf)


@row(np.nanprod)
@composed
def nanprod(a: Any, axis: Any = None, dtype: Any = None, **options: Any) -> Any:
    """Π of what is not NaN."""
    if a.dtype.kind == "f":
        options["where"] = _present(a, options.get("where"))
    return np.prod(a, axis=axis, dtype=dtype, **options)


def _nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    ddof: int = 0,
    keepdims: Any = False,
    where: Any = None,
    correction: Any = None,
) -> Any:
    less = ddof if correction is None else correction
    if a.dtype.kind != "f":
        rest = {} if where is None else {"where": where}
        return np.var(a, axis=axis, dtype=dtype, ddof=less, keepdims=keepdims, **rest)
    there = _present(a, where)
    count = np.sum(there, axis=axis, keepdims=keepdims)
    found = np.var(a, axis=axis, dtype=dtype, ddof=less, keepdims=keepdims, where=there)
    return np.where(count > less, found, np.nan)


@row(np.nanvar)
@composed
def nanvar(a: Any, *args: Any, **options: Any) -> Any:
    """The variance of what is not NaN."""
    return _nanvar(a, *args, **options)


@row(np.nanstd)
@composed
def nanstd(a: Any, *args: Any, **options: Any) -> Any:
    """The standard deviation of what is not NaN."""
    return np.sqrt(_nanvar(a, *args, **options))


# --------------------------------------------------------------------------------------------------
# Statistics


@row(np.cov)
@composed
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """The covariances of variables, one a row."""
    x = _variables(m, rowvar, dtype)
    if y is not None:
        x = np.concatenate([x, _variables(y, rowvar, dtype)])
    less = (0 if bias else 1) if ddof is None else operator.index(ddof)
    weights = fweights if aweights is None else aweights
    if fweights is not None and aweights is not None:
        weights = fweights * aweights
    if weights is None:
        centred = x - np.mean(x, axis=1, keepdims=True)
        return np.squeeze(np.dot(centred, centred.T) / max(x.shape[1] - less, 0))
    total = np.sum(weights)
    centred = x - (np.sum(x * weights, axis=1) / total)[:, None]
    lost = less if aweights is None else less * np.sum(weights * aweights) / total
    return np.squeeze(np.dot(centred, (centred * weights).T) / (total - lost))


def _variables(m: Any, rowvar: bool, dtype: Any) -> Any:
    if np.ndim(m) > 2:
        raise ValueError("m has more than 2 dimensions")
    x = np.atleast_2d(m)
    x = x.T if not rowvar and np.ndim(m) != 1 else x
    return x.astype(np.result_type(m, np.float64) if dtype is None else dtype)


@row(np.corrcoef)
@composed
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, **options: Any) -> Any:
    """The correlations of variables, one a row."""
    c = np.cov(x, y, rowvar, **options)
    if not np.ndim(c):
        return c / c
    deviation = np.sqrt(np.diagonal(c))
    return np.clip(c / deviation[:, None] / deviation, -1, 1)


# --------------------------------------------------------------------------------------------------
# Differences


@row(np.gradient)
@composed
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Differences of second order in the interior and of first or second at the edges."""
    rank = np.ndim(f)
    axes = all_axes(axis, rank)
    steps = (
        [1.0] * len(axes)
        if not varargs
        else list(varargs) * (len(axes) if len(varargs) == 1 else 1)
    )
    if len(varargs) > 1 and len(varargs) != len(axes):
        raise TypeError("invalid number of arguments")
    f = f if f.dtype.kind == "f" else f.astype(float)
    found = tuple(_along(f, k, step, edge_order) for k, step in zip(axes, steps, strict=True))
    return found[0] if len(found) == 1 else found


def _along(f: Any, axis: int, step: Any, order: int) -> Any:
    if f.shape[axis] < order + 1 or order not in (1, 2):
        raise ValueError("the array is too small, or edge_order is not 1 or 2")
    turned = np.moveaxis(f, axis, -1)
    if np.ndim(step):
        widths = np.diff(step)
        even = isinstance(step, np.ndarray) and bool((widths == widths[0]).all())
        step = widths[0] if even else widths
    parts = [_inside(turned, step), *_edges(turned, step, order)]
    inner, first, last = parts
    return np.moveaxis(np.concatenate([first, inner, last], axis=-1), -1, axis)


def _inside(f: Any, step: Any) -> Any:
    if not np.ndim(step):
        return (f[..., 2:] - f[..., :-2]) / (2.0 * step)
    one, two = step[:-1], step[1:]
    a, b, c = -two / (one * (one + two)), (two - one) / (one * two), one / (two * (one + two))
    return a * f[..., :-2] + b * f[..., 1:-1] + c * f[..., 2:]


def _edges(f: Any, step: Any, order: int) -> tuple[Any, Any]:
    first, last = (step[0], step[-1]) if np.ndim(step) else (step, step)
    if order == 1:
        return (f[..., 1:2] - f[..., :1]) / first, (f[..., -1:] - f[..., -2:-1]) / last
    ends = []
    for one, two, sign in (
        (first, step[1] if np.ndim(step) else step, 1),
        (last, step[-2] if np.ndim(step) else step, -1),
    ):
        weights = (
            -(2.0 * one + two) / (one * (one + two)),
            (one + two) / (one * two),
            -one / (two * (one + two)),
        )
        places = (0, 1, 2) if sign > 0 else (-1, -2, -3)
        ends.append(
            sum(sign * w * f[..., k][..., None] for w, k in zip(weights, places, strict=True))
        )
    return ends[0], ends[1]


@row(np.unwrap)
@composed
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    """Without the jumps of more than half a period."""
    p = np.moveaxis(p, axis, -1)
    steps = np.diff(p, axis=-1)
    low = -period / 2
    near = np.mod(steps - low, period) + low
    near = np.where((near == low) & (steps > 0), -low, near)
    least = -low if discont is None else max(discont, -low)
    change = np.where(np.abs(steps) < least, 0, near - steps)
    moved = p[..., 1:] + np.cumsum(change, axis=-1)
    return np.moveaxis(np.concatenate([p[..., :1], moved], axis=-1), -1, axis)


# --------------------------------------------------------------------------------------------------
# Elements elsewhere: NumPy says where, asked with places instead of elements


@row(np.insert)
@composed
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """``arr`` with values before some places of an axis."""
    places = np.arange(arr.size).reshape(np.shape(arr))
    shape = np.shape(values)
    added = arr.size + np.arange(prod(shape)).reshape(shape)
    new = np.ravel(values) if shape else np.reshape(values, (1,))
    both = np.concatenate([np.ravel(arr), new.astype(arr.dtype)])
    return both[np.insert(places, obj, added, axis)]


@row(np.delete)
@composed
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """``arr`` without some places of an axis."""
    places = np.arange(arr.size).reshape(np.shape(arr))
    return np.ravel(arr)[np.delete(places, obj, axis)]


@row(np.resize)
@composed
def resize(a: Any, new_shape: Any) -> Any:
    """The elements again and again, in another shape."""
    return np.ravel(a)[np.resize(np.arange(a.size), new_shape)]


@row(np.dsplit)
def dsplit(sheet: Sheet, ary: Any, indices_or_sections: Any) -> Any:
    """Parts along the third axis."""
    return split(sheet, ary, indices_or_sections, 2)


# --------------------------------------------------------------------------------------------------
# Functions of parts of an array


@row(np.apply_along_axis)
@composed
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """A function of each vector along an axis, one after the other."""
    along = one_axis(axis, np.ndim(arr))
    turned = np.moveaxis(arr, along, -1)
    outer = turned.shape[:-1]
    made = [func1d(turned[place], *args, **kwargs) for place in np.ndindex(*outer)]
    found = np.reshape(np.stack(made), (*outer, *np.shape(made[0])))
    inner = np.ndim(made[0])
    back = [len(outer) + k for k in range(inner)]
    return np.moveaxis(found, back, [along + k for k in range(inner)])


@row(np.apply_over_axes)
@composed
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """A reduction over several axes, one after the other, which stay with extent 1."""
    for axis in axes if isinstance(axes, tuple | list) else (axes,):
        found = func(a, one_axis(axis, np.ndim(a)))
        a = found if np.ndim(found) == np.ndim(a) else np.expand_dims(found, axis)
    return a


@row(np.piecewise)
@composed
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Each function at the elements where its condition holds."""
    several = isinstance(condlist, list | tuple) or np.ndim(condlist) > np.ndim(x)
    conditions = [condlist[k] for k in range(len(condlist))] if several else [condlist]
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        conditions.append(~np.any(np.stack(conditions), axis=0))
    if len(functions) != len(conditions):
        raise ValueError("as many functions as conditions, or one more, are expected")
    out = np.copy(x)
    out[...] = 0
    for holds, function in zip(conditions, functions, strict=True):
        out[holds] = function(x[holds], *args, **kw) if callable(function) else function
    return out


# --------------------------------------------------------------------------------------------------
# Polynomials, the highest power first


@row(np.vander)
@composed
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    """Powers of the elements in columns."""
    powers = np.arange(np.shape(x)[0] if N is None else operator.index(N))
    return np.power(x[:, None], powers if increasing else powers[::-1])


def _sum_of_polynomials(function: Any, sign: int) -> None:
    @composed
    def build(a1: Any, a2: Any) -> Any:
        one, two = np.atleast_1d(a1), np.atleast_1d(a2)
        longer = max(len(one), len(two))
        one, two = (np.concatenate([np.zeros(longer - len(p), p.dtype), p]) for p in (one, two))
        return one + two if sign > 0 else one - two

    row(function)(build)


_sum_of_polynomials(np.polyadd, 1)
_sum_of_polynomials(np.polysub, -1)


@row(np.polyder)
@composed
def polyder(p: Any, m: int = 1) -> Any:
    """The coefficients of a derivative."""
    for _ in range(operator.index(m)):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@row(np.polyint)
@composed
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """The coefficients of an antiderivative."""
    constants = np.zeros(m) if k is None else np.broadcast_to(k, (operator.index(m),))
    for j in range(m):
        p = np.concatenate([p / np.arange(len(p), 0, -1), constants[j][None]])
    return p


@row(np.polyfit)
@composed
def polyfit(x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None) -> Any:
    """The coefficients of the polynomial that is closest to values at some points."""
    if rcond is not None or full:
        raise ValueError("rcond and full can't be traced")
    left, right = np.vander(x, operator.index(deg) + 1), y
    if w is not None:
        left = left * w[:, None]
        right = right * (w if np.ndim(y) == 1 else w[:, None])
    scale = np.sqrt(np.sum(left * left, axis=0))
    found = np.linalg.lstsq(left / scale, right)[0]
    return found / (scale if np.ndim(y) == 1 else scale[:, None])


# --------------------------------------------------------------------------------------------------
# Tests, and what is known of real arrays


@row(np.isin)
@composed
def isin(
    element: Any,
    test_elements: Any,
    assume_unique: Any = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Any:
    """Whether each element is one of others."""
    found = np.any(np.equal(np.expand_dims(element, -1), np.ravel(test_elements)), axis=-1)
    return ~found if invert else found


def _endless(function: Any, sign: int) -> None:
    def build(sheet: Sheet, x: Any) -> Value:
        most = INFINITY if sign > 0 else neg(INFINITY)
        return test_elementwise(lambda a: Compare("==", a, most), [sheet.value(x)], False)

    row(function)(build)


_endless(np.isposinf, 1)
_endless(np.isneginf, -1)


def _of_real(function: Any, holds: bool) -> None:
    def build(sheet: Sheet, x: Any) -> Any:
        return np.full(sheet.value(x).shape, holds)

    row(function)(build)


_of_real(np.isreal, True)
_of_real(np.iscomplex, False)


@row(np.real_if_close, view=True)
def real_if_close(sheet: Sheet, a: Any, tol: float = 100) -> Value:
    """The array itself."""
    return sheet.value(a)


@row(np.imag)
def imag(sheet: Sheet, val: Any) -> Any:
    """0 everywhere."""
    value = sheet.value(val)
    return np.zeros(value.shape, value.dtype)


def _places_of(function: Any) -> None:
    def build(sheet: Sheet, arr: Any, *k: Any) -> Any:
        return function(np.empty(sheet.value(arr).shape, bool), *k)

    row(function)(build)


for _function in (np.diag_indices_from, np.tril_indices_from, np.triu_indices_from):
    _places_of(_function)


# --------------------------------------------------------------------------------------------------
# The last two axes as matrices


@row(np.linalg.cross)
def linalg_cross(sheet: Sheet, x1: Any, x2: Any, *, axis: int = -1) -> Value:
    """The vector product of 3-vectors."""
    return cross(sheet, x1, x2, axis=axis)


@row(np.linalg.diagonal, view=True)
def linalg_diagonal(sheet: Sheet, x: Any, *, offset: int = 0) -> Value:
    """The diagonals of the last two axes."""
    return diagonal(sheet, x, offset, -2, -1)


@row(np.linalg.trace)
def linalg_trace(sheet: Sheet, x: Any, *, offset: int = 0) -> Value:
    """The sums of the diagonals of the last two axes."""
    return trace(sheet, x, offset, -2, -1)
