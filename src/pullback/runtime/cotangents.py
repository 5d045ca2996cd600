"""Cotangents, tangents and gradients: each has the shape and the dtype of what it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError, CheckError, ShapeError
from ..trees import Leaf, is_traced

Array = np.ndarray[Any, Any]
_DOUBLE = np.dtype(np.float64)


def shape_of(leaf: Any) -> tuple[int, ...]:
    """A leaf's shape."""
    return () if isinstance(leaf, float) else tuple(leaf.shape)


def dtype_of(leaf: Any) -> np.dtype[Any]:
    """A leaf's dtype, in native byte order; a Python float is a float64."""
    if isinstance(leaf, float):
        return np.dtype(np.float64)
    dtype: np.dtype[Any] = leaf.dtype
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def _array(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """A gradient of an array: an array, 0-d ones too, of the argument's shape and dtype."""
    found = value if is_traced(value) else np.asarray(value, dtype)
    if found.shape != shape:
        raise CheckError(
            "a derived gradient has the wrong shape, which is an error of pullback",
            expected=str(shape),
            found=str(found.shape),
            hint="please report it with the function that shows it",
        )
    return found


def _number(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """A gradient of a scalar: a NumPy scalar of the argument's dtype."""
    found = _array(value, shape, dtype)
    return found if is_traced(found) else found[()]


ARRAY = _array
FINISH: dict[Leaf, Callable[..., Any]] = {
    Leaf.ARRAY: _array,
    Leaf.SCALAR: _number,
    Leaf.FLOAT: _number,
    Leaf.VALUE: _array,
}


def like_primal(
    value: Any, shape: tuple[int, ...], dtype: np.dtype[Any], place: str, like: str
) -> Array:
    """A cotangent or tangent as an array; None is zeros. It has the shape of what it belongs to."""
    if type(value) is np.ndarray and value.dtype is dtype and value.shape == shape:
        return value  # the common cases, at no cost
    if type(value) is float and dtype is _DOUBLE and not shape:
        return np.asarray(value)
    if value is None:
        return np.zeros(shape, dtype)
    array = value if is_traced(value) else as_given(value, place)
    if array.dtype.kind not in "fiu":
        raise ArgumentError(
            f"{place} has the wrong dtype", expected=str(dtype), found=f"dtype {array.dtype}"
        )
    if array.shape != shape:
        raise ShapeError(
            f"{place} has the wrong shape",
            expected=f"{shape}, the shape of {like}",
            found=str(array.shape),
            hint="np.broadcast_to makes the repetition explicit" if array.size == 1 else "",
        )
    return array.astype(dtype, copy=False)


def as_given(value: Any, place: str) -> Array:
    """Anything like an array as an array; what is none is refused by its place."""
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{place} is not an array", found=str(error)) from None


def check_nothing(value: Any, place: str, like: str) -> None:
    """The cotangent or tangent of what is no float: None, or zeros."""
    if value is None:
        return
    array = as_given(value, place)
    if array.dtype.kind in "fiub" and not array.any():
        return
    raise ArgumentError(
        f"{place} must be None",
        expected=f"None: {like} is no float there",
        found=f"a {type(value).__name__}",
        hint="integers, bools and constants have no derivative",
    )
