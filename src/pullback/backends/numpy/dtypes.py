"""The dtype of what NumPy computes, as far as the source knows it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

RANK = {"bool": 0, "weak int": 1, "int": 2, "weak float": 3, "float": 4}


def is_integer(dtype: str) -> bool:
    """Whether values of the dtype are whole numbers (bool is not among them)."""
    return "int" in dtype


def is_float(dtype: str) -> bool:
    """Whether values of the dtype are floats."""
    return "float" in dtype


def promoted(dtypes: Iterable[str]) -> str:
    """What NumPy makes of several operands.

    >>> promoted(["weak float", "float32"]), promoted(["int64", "weak float"])
    ('float32', 'float64')
    """
    result = ""
    for dtype in dtypes:
        result = _promoted(result, dtype) if result else dtype
    return result


def _promoted(left: str, right: str) -> str:
    if left == right:
        return left
    if left in RANK and right in RANK:
        low, high = sorted((left, right), key=RANK.__getitem__)
        if high == "weak float" and low in ("int", "bool"):
            return "float64"
        return "int" if high == "weak int" and low == "bool" else high
    for one, other in ((left, right), (right, left)):
        if one in RANK:
            if one == "weak int":
                return other
            if one == "weak float":
                return other if is_float(other) else "float64"
            if one == "int":
                return str(np.promote_types("int64", other))
            if one == "bool":
                return other
            return "float"
    return str(np.promote_types(left, right))


def floated(dtype: str) -> str:
    """The dtype of a division or of a function like ``np.exp``."""
    if is_float(dtype):
        return dtype if dtype != "weak float" else "float64"
    return "float64"
