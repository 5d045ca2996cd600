"""Reading axis arguments as NumPy does."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np


def one_axis(axis: Any, rank: int) -> int:
    """An axis in 0..rank-1; raises NumPy's AxisError beyond."""
    found = operator.index(axis)
    if not -rank <= found < rank:
        raise np.exceptions.AxisError(found, rank)
    return found % rank


def all_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """The axes that an axis argument (None for all, an int or several) stands for, in its order."""
    if axis is None:
        return tuple(range(rank))
    given: Sequence[Any] = axis if isinstance(axis, tuple | list) else (axis,)
    found = tuple(one_axis(a, rank) for a in given)
    if len(set(found)) != len(found):
        raise ValueError("repeated axis")
    return found


def reduced_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """The axes of a reduction by a ufunc: NumPy takes axis 0 of a number for no axis."""
    plain = axis is None or isinstance(axis, tuple | list)
    if not rank and not plain and operator.index(axis) in (0, -1):
        return ()
    return all_axes(axis, rank)


def integers(value: Any) -> tuple[int, ...]:
    """An int, or several, as a tuple of ints."""
    if isinstance(value, tuple | list | np.ndarray):
        return tuple(operator.index(n) for n in value)
    return (operator.index(value),)
