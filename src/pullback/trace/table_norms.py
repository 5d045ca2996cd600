"""Norms of vectors and matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from ..ir.expr import Compare, power, total
from .axes import all_axes
from .record import Sheet
from .rows import row
from .table_decompositions import svdvals
from .table_elementwise import (
    HALF,
    INFINITY,
    apply_ufunc,
    elementwise,
    select,
    test_elementwise,
)
from .table_reductions import folded, reducing, sums
from .values import DType, Value, cast, condition, expanded, reshaped, transposed

# Orders of matrix norms that are the greatest (least) of sums along the first or second axis.
OF_SUMS: dict[Any, tuple[int, str]] = {
    1: (0, "max"),
    -1: (0, "min"),
    np.inf: (1, "max"),
    -np.inf: (1, "min"),
}
# ... and those of singular values.
OF_VALUES: dict[Any, str] = {2: "max", -2: "min", "nuc": "sum"}


@row(np.linalg.norm)
def norm(sheet: Sheet, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Value:
    """A norm of vectors, or of matrices where there are two axes."""
    value = sheet.value(x)
    rank = value.ndim
    axes = all_axes(axis, rank)
    if axis is None and ord is not None and rank not in (1, 2):
        raise ValueError("Improper number of dimensions to norm.")
    found = np.linalg.norm(np.ones(1, value.dtype)).dtype
    if ord is None or ord in (("fro", "f") if len(axes) == 2 else (2,)):
        return _root_of_squares(sheet, value, axes, keepdims, found)
    if len(axes) == 2:
        return _of_matrix(sheet, value, ord, axes, keepdims, found)
    if len(axes) != 1:
        raise ValueError("Improper number of dimensions to norm.")
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    return _of_vector(sheet, value, ord, axes, keepdims, found)


def _of_vector(
    sheet: Sheet, value: Value, ord: Any, axes: Sequence[int], keepdims: bool, found: DType
) -> Value:
    size_of = sheet.keep(apply_ufunc(sheet, np.absolute, (value,)))
    if ord in (np.inf, -np.inf):
        op = "max" if ord > 0 else "min"
        return folded(sheet, size_of, axes, keepdims, found, reducing(op))
    if ord == 1:
        return folded(sheet, size_of, axes, keepdims, found, sums)
    if ord == 0:
        told = condition(value.shape, value.test, value.axes)
        return folded(sheet, told, axes, keepdims, found, sums)
    powered = apply_ufunc(sheet, np.power, (size_of, float(ord)))
    summed = sheet.keep(folded(sheet, powered, axes, keepdims, found, sums))
    rooted: Value = apply_ufunc(sheet, np.power, (summed, 1.0 / ord))
    if ord < 0:  # one element that is 0 makes it 0, by way of an infinite sum
        finite = test_elementwise(lambda s: Compare("!=", s, INFINITY), [summed], False)
        rooted = select(finite, rooted, sheet.value(0.0), rooted.dtype)
    return replace(rooted, dtype=found)


def _root_of_squares(
    sheet: Sheet, value: Value, axes: Sequence[int], keepdims: bool, dtype: DType
) -> Value:
    squares = folded(
        sheet,
        value,
        axes,
        keepdims,
        dtype,
        lambda indices, body: total(indices, power(body, 2)),
    )
    summed = sheet.keep(squares)
    return elementwise(lambda s: power(s, HALF), [summed], dtype)


def _of_matrix(
    sheet: Sheet, value: Value, ord: Any, axes: Sequence[int], keepdims: bool, found: DType
) -> Value:
    """A norm over two axes: of sums along one of them, or of singular values."""
    rest = [k for k in range(value.ndim) if k not in axes]
    matrices = sheet.keep(transposed(cast(value, found), [*rest, *axes]))
    last = matrices.ndim - 2
    if ord in OF_SUMS:
        along, op = OF_SUMS[ord]
        size_of = sheet.keep(apply_ufunc(sheet, np.absolute, (matrices,)))
        values = folded(sheet, size_of, (last + along,), False, found, sums)
    elif ord in OF_VALUES:
        op, values = OF_VALUES[ord], svdvals(sheet, matrices)
    else:
        raise ValueError("Invalid norm order for matrices.")
    if op != "sum" and not values.shape[-1]:
        raise ValueError("zero-size array to reduction operation")
    reduced = folded(
        sheet, sheet.keep(values), (last,), False, found, sums if op == "sum" else reducing(op)
    )
    return expanded(sheet.keep(reduced), sorted(axes)) if keepdims else reduced


@row(np.linalg.vector_norm)
def vector_norm(
    sheet: Sheet, x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2
) -> Value:
    """A norm of vectors; without an axis, of all elements in a row."""
    value = sheet.value(x)
    axes = all_axes(axis, value.ndim)
    if len(axes) > 1 and ord not in (2, None):
        rest = [k for k in range(value.ndim) if k not in axes]
        flat = transposed(value, [*rest, *axes])
        outer, inner = flat.shape[: len(rest)], flat.shape[len(rest) :]
        flat = sheet.keep(reshaped(sheet.keep(flat), (*outer, prod(inner))))
        made = sheet.keep(norm(sheet, flat, ord, -1))
        return expanded(made, sorted(axes)) if keepdims else made
    return norm(sheet, value, None if len(axes) > 1 else ord, tuple(axes), keepdims)


@row(np.linalg.matrix_norm)
def matrix_norm(sheet: Sheet, x: Any, keepdims: bool = False, ord: Any = "fro") -> Value:
    """A norm of the matrices of the last two axes."""
    return norm(sheet, x, ord, (-2, -1), keepdims)
