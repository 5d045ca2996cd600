"""Integers of narrow dtypes wrap as NumPy's do, constants among their factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb

FUNCTIONS: list[Callable[[Any, Any], Any]] = [
    lambda x, n: (x * (n * 100 * 2)).sum(),
    lambda x, n: (x * (n * np.int8(100) * np.int8(2))).sum(),
    lambda x, n: (x * (2 * (n * 100) * 100)).sum(),
    lambda x, n: (x * (n * n * 100 * 100)).sum(),
    lambda x, n: (x * (-(n * 100) * 2)).sum(),
    lambda x, n: (x * ((n + 100) * 3 * 50)).sum(),
    lambda x, n: (x * (n * 100 * 2 // 3)).sum(),
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint64", "int64"])
def test_products_with_constants(function: Callable[[Any, Any], Any], dtype: str) -> None:
    """Neither wider than NumPy's, nor the overflow of constants that nobody multiplied."""
    x, n = np.array([1.0, 2.0, 3.0]), np.array([1, 3, 5]).astype(dtype)
    value, gradient = pb.value_and_grad(function)(x, n)
    assert value == function(x, n)
    for k, found in enumerate(gradient):
        assert found == function(np.eye(3)[k], n)
