"""Constant arrays met while tracing: recognised ones become expressions, the rest extra inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.expr import Cond, Expr, Guard, IndexOf, Inside, Mul, Zero, number
from ..ir.sizes import size
from ..ir.subscripts import Subscript, constant
from .values import Subs, Value

Body = Callable[[Subs], "Expr | Cond"]


def recognised(array: np.ndarray[Any, Any]) -> Value | None:
    """A constant array as an expression of its indices, None where it has no short one.

    Known are: all elements alike, integers affine in the indices (``arange``), and a diagonal or a
    triangle of one value (``eye``, ``tri``).
    """
    if array.dtype.kind == "f" and bool(np.any(np.signbit(array) & (array == 0))):
        return None  # a -0.0 has no exact number
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return None  # a number has the digits of a Python float
    plain = ("",) * array.ndim
    first = array.flat[0].item() if array.size else 0
    if _alike(array):
        exact = number(first)
        body: Body = _truth(bool(first)) if array.dtype.kind == "b" else lambda subs: exact
        return Value(
            array.shape,
            array.dtype,
            body,
            plain,
            literal=first,
            nonnegative=bool(first >= 0),
        )
    found = _affine(array) or _two_valued(array)
    if found is None:
        return None
    nonnegative = array.dtype.kind in "iu" and bool(array.min() >= 0)
    return Value(array.shape, array.dtype, found, plain, nonnegative=nonnegative)


def is_pattern(array: np.ndarray[Any, Any]) -> bool:
    """Whether whole numbers or bools are a progression, a diagonal or a triangle.

    Such arrays are positions and masks. What is computed with them is shorter, and quicker, once
    they are known to be that.

    >>> is_pattern(np.arange(5)), is_pattern(np.array([3, 1, 4])), is_pattern(np.zeros(5, int))
    (True, False, False)
    """
    if array.dtype.kind not in "iub" or _alike(array):
        return False
    return (_affine(array) or _two_valued(array)) is not None


def _alike(array: np.ndarray[Any, Any]) -> bool:
    if not array.size:
        return True
    return bool(np.all(array == array.flat[0])) or (
        array.dtype.kind == "f" and bool(np.all(np.isnan(array)))
    )


def _truth(value: bool) -> Body:
    return lambda subs: Zero(constant(0 if value else 1))


def affine_form(array: np.ndarray[Any, Any]) -> tuple[list[int], int] | None:
    """Strides and offset of an array of integers affine in its indices, else None."""
    if array.dtype.kind not in "iuf" or not array.size or not _small_integers(array):
        return None
    origin = int(array[(0,) * array.ndim])
    strides: list[int] = []
    line: Any = np.int64(origin)
    for axis, extent in enumerate(array.shape):
        along = array[tuple(slice(None) if k == axis else 0 for k in range(array.ndim))]
        stride = int(along[1]) - origin if extent > 1 else 0
        steps = stride * np.arange(extent)
        if not np.array_equal(along, origin + steps):
            return None  # most arrays are told apart here, by one line
        strides.append(stride)
        line = line + steps.reshape([extent if k == axis else 1 for k in range(array.ndim)])
    return (strides, origin) if np.array_equal(line, array) else None


def _small_integers(array: np.ndarray[Any, Any]) -> bool:
    """Whether all elements are integers that a float holds exactly."""
    low, high = float(array.min()), float(array.max())
    if not (-(2.0**53) < low <= high < 2.0**53):
        return False
    return array.dtype.kind != "f" or bool(np.all(array == np.rint(array)))


def _affine(array: np.ndarray[Any, Any]) -> Body | None:
    form = affine_form(array)
    if form is None:
        return None
    strides, origin = form
    # two arbitrary integers are no evidence of a progression
    if any(stride and n < 3 for stride, n in zip(strides, array.shape, strict=True)) and (
        origin != 0 or any(stride not in (0, 1) for stride in strides)
    ):
        return None
    return lambda subs: IndexOf(affine(strides, origin, subs))


def affine(strides: list[int], origin: int, subs: Subs) -> Subscript:
    """``origin + Σ stride·sub``."""
    total = constant(origin)
    for stride, sub in zip(strides, subs, strict=True):
        total = total + sub * stride
    return total


def _two_valued(array: np.ndarray[Any, Any]) -> Body | None:
    """A diagonal or a triangle along the two axes that the array varies in."""
    varies = [
        axis
        for axis in range(array.ndim)
        if array.shape[axis] > 1 and bool(np.any(array != np.take(array, [0], axis=axis)))
    ]
    if len(varies) != 2:
        return None
    corner = tuple(slice(None) if k in varies else 0 for k in range(array.ndim))
    matrix = array[corner]
    nonzero = matrix[matrix != 0]
    if not nonzero.size or not np.all(nonzero == nonzero[0]):
        return None
    cond = _band(matrix != 0)
    if cond is None:
        return None
    row, column = varies
    scale = number(nonzero[0].item())

    def body(subs: Subs) -> Expr | Cond:
        inside = cond(subs[row], subs[column])
        if array.dtype.kind == "b":
            return inside
        return Guard(inside) if nonzero[0] == 1 else Mul((scale, Guard(inside)))

    return body


def _band(mask: np.ndarray[Any, Any]) -> Callable[[Subscript, Subscript], Cond] | None:
    rows, columns = mask.shape
    where = np.argwhere(mask)
    low, high = (int(f(where[:, 1] - where[:, 0])) for f in (np.min, np.max))
    if low == high and np.array_equal(mask, np.eye(rows, columns, low, dtype=bool)):
        return lambda i, j: Zero(j - i - low)
    if np.array_equal(mask, np.tri(rows, columns, high, dtype=bool)):
        return lambda i, j: lower(i, j, rows, high)
    if np.array_equal(mask, ~np.tri(rows, columns, low - 1, dtype=bool)):
        return lambda i, j: upper(i, j, columns, low)
    return None


def lower(row: Subscript, column: Subscript, rows: int, k: int) -> Cond:
    """``column <= row + k`` as a range."""
    return Inside(row - column + k, size(max(rows + k, 0)))


def upper(row: Subscript, column: Subscript, columns: int, k: int) -> Cond:
    """``column >= row + k`` as a range."""
    return Inside(column - row - k, size(max(columns - k, 0)))
