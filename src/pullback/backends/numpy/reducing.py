"""Reductions of whole axes, and what a reduction of nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...ir.sizes import size
from ...ir.subscripts import Index
from ..python.code import UNARY, Code, method
from .arrays import Array
from .dtypes import floated, is_float, is_integer

NEUTRAL = {
    "sum": Array(Code("0"), (), "weak int"),
    "prod": Array(Code("1"), (), "weak int"),
    "max": Array(Code("-np.inf", UNARY), (), "weak float"),
    "min": Array(Code("np.inf"), (), "weak float"),
}


def reduce_axes(op: str, body: Array, indices: Sequence[Index]) -> Array:
    """``body`` reduced over some of its axes."""
    result = _reduced(op, body, indices)
    if op != "sum":
        return result
    count = size(1)
    for index in indices:
        count = count * index.extent
    return replace(result, mean=_reduced("mean", body, indices), count=count)


def _reduced(op: str, body: Array, indices: Sequence[Index]) -> Array:
    left = tuple(axis for axis in body.indices if axis not in indices)
    argument = axis_argument(body, indices)
    code = method(body.code, op, *([argument] if argument else []))
    dtype = body.dtype
    if op == "mean":
        dtype = floated(dtype)
    elif op in ("sum", "prod") and not is_float(dtype):
        dtype = "int64" if dtype == "bool" or is_integer(dtype) else dtype
    kept = None
    if left:
        keeping = method(body.code, op, argument, "keepdims=True")
        axes = tuple(None if axis in indices else axis for axis in body.axes)
        kept = Array(keeping, axes, dtype)
    return Array(code, left, dtype, kept=kept)


def axis_argument(body: Array, indices: Sequence[Index]) -> str:
    """The ``axis=`` of a reduction; nothing where all axes are reduced."""
    places = sorted(body.axes.index(index) for index in indices)
    if len(places) == len(body.axes):
        return ""
    if len(places) == 1:
        return f"axis={places[0] if places[0] < len(body.axes) - 1 or places[0] < 2 else -1}"
    return f"axis=({', '.join(map(str, places))})"
