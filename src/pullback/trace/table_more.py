"""Functions that are made of others, as NumPy's own documentation defines them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..ir.expr import Compare, neg
from .record import Sheet
from .rows import composed, row
from .table_elementwise import INFINITY, test_elementwise
from .table_products import cross, diagonal, trace
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
# Functions of parts of an array


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
# Polynomials


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
