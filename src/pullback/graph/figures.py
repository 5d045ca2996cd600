"""Numbers and arrays as people read them: few digits, no -0, small arrays as grids."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

MOST_ROWS, MOST_COLUMNS, MOST_CELLS = 6, 8, 36
LEAST, MOST = 0.005, 1e6  # beyond these numbers have an exponent


def number(value: Any, digits: int = 2) -> str:
    """A number with some digits behind the point; an exponent where that would show nothing.

    >>> number(-0.0), number(0.1966), number(-0.00004), number(3), number(1.5e9)
    ('0.00', '0.20', '-4.0e-05', '3', '1.5e+09')
    """
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    if isinstance(value, int | np.integer):
        return str(int(value))
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size and (size < LEAST * 10.0 ** (2 - digits) or size >= MOST):
        return f"{value:.{max(digits - 1, 1)}e}"
    return f"{0.0 if size == 0 else value:.{digits}f}"


def exact(value: Any) -> str:
    """A number that was given, in as few digits as it takes.

    >>> exact(2.0), exact(-0.0), exact(0.1)
    ('2', '0', '0.1')
    """
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return str(int(value))
    value = float(value)
    if math.isfinite(value) and value == int(value) and abs(value) < MOST:
        return str(int(value))
    return f"{value:.6g}"


def is_small(array: Any) -> bool:
    """Whether an array is shown element by element."""
    array = np.asarray(array)
    if array.size == 0 or array.size > MOST_CELLS:
        return False
    columns = array.shape[-1] if array.ndim else 1
    return columns <= MOST_COLUMNS and array.size // columns <= MOST_ROWS


def rows(array: Any, digits: int = 2) -> list[list[str]]:
    """A small array as rows of numbers: its last axis goes to the right, all others down.

    Numbers that are all whole have no digits behind the point.

    >>> rows([[1.0, -0.0], [2.5, 3.0]])
    [['1.00', '0.00'], ['2.50', '3.00']]
    >>> rows([4.0, -1.0])
    [['4', '-1']]
    """
    array = np.asarray(array)
    columns = array.shape[-1] if array.ndim else 1
    flat = array.reshape(-1, columns)
    spell = exact if array.ndim and _whole(array) else (lambda x: number(x, digits))
    return [[spell(x) for x in row] for row in flat]


def _whole(array: Any) -> bool:
    if array.dtype.kind != "f":
        return True
    return bool(np.all(np.isfinite(array))) and bool(np.all(array == np.round(array)))


def norm(array: Any) -> str:
    """The Euclidean norm of an array."""
    return f"{float(np.linalg.norm(np.asarray(array, dtype=float).ravel())):.3g}"


def shape(array: Any) -> str:
    """The shape of an array, "" for a number.

    >>> shape(np.ones((2, 3))), shape(np.ones(4)), shape(1.0)
    ('2×3', '4', '')
    """
    return "×".join(map(str, np.shape(array)))


def summary(array: Any, digits: int = 2) -> str:
    """A number; a small vector or matrix in one line; shape and norm of anything larger.

    >>> summary([[1, 2], [3, 4]]), summary(np.ones((20, 30)))
    ('[[1 2] [3 4]]', '20×30, norm 24.5')
    """
    array = np.asarray(array)
    if array.ndim == 0:
        return number(array[()], digits)
    if array.size == 0:
        return f"{shape(array)}, empty"
    if not is_small(array) or array.ndim > 2:
        return f"{shape(array)}, norm {norm(array)}"
    inner = [f"[{' '.join(row)}]" for row in rows(array, digits)]
    return inner[0] if array.ndim == 1 else f"[{' '.join(inner)}]"
