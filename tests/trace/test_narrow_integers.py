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


CAST: list[Callable[[Any, Any], Any]] = [
    lambda x, n: x * n.astype(np.int8),
    lambda x, n: x * (n + 1).astype(np.uint8),
    lambda x, n: x * (n.astype(np.int16) // 3),
    lambda x, n: x[n.astype(np.int8) % 4],
    lambda x, n: x * n[1].astype(np.int8),
    lambda x, n: x * n.sum().astype(np.int16),
    lambda x, n: x * np.where(n.astype(np.int8) > 0, n, 1),
    lambda x, n: x * np.array(n, dtype=np.int16),
    lambda x, n: x * n.astype(np.uint64).astype(float),
]


@pytest.mark.parametrize("k", range(len(CAST)))
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint32", "int16"])
def test_what_a_narrower_dtype_does_not_hold_wraps(k: int, dtype: str) -> None:
    x, n = np.array([1.0, 2, 3, 4]), np.array([16777217, 300, 5, -200]).astype(dtype)
    for named in ({"x": "N", "n": f"N: {dtype}"}, {"x": x, "n": n}):
        forward, backward = pb.derive(CAST[k], wrt="x", **named).compile()
        y, cache = forward(x, n)
        np.testing.assert_array_equal(y, CAST[k](x, n))
        for place in range(4):  # each function is linear in x
            upstream = np.eye(4)[place]
            expected = [CAST[k](e, n)[place] for e in np.eye(4)]
            np.testing.assert_array_equal(backward(upstream, cache), expected)


MET: list[Callable[[Any, Any], Any]] = [
    lambda x, n: x * n,
    lambda x, n: n / x,
    lambda x, n: x @ n,
    lambda x, n: np.where(x > 2, x, n),
    lambda x, n: np.concatenate([x, n]),
    lambda x, n: np.stack([n, x]),
    lambda x, n: np.maximum(x, n),
    lambda x, n: np.outer(x, n),
    lambda x, n: np.einsum("i,i->", x, n),
    lambda x, n: np.average(x, weights=n),
    lambda x, n: np.convolve(x, n),
    lambda x, n: np.cumprod(x * n),
    lambda x, n: np.select([x > 2], [n], x),
    lambda x, n: np.hypot(x, n),
    lambda x, n: np.multiply(x, x, dtype=np.float64),
    lambda x, n: np.einsum("i,i->", x, x, dtype=np.float64),
]


@pytest.mark.parametrize("k", range(len(MET)))
@pytest.mark.parametrize("dtype", ["int64", "int32", "int16"])
def test_integers_that_meet_narrow_floats_are_as_wide_as_numpys(k: int, dtype: str) -> None:
    """float32 with int64 is float64, and the integers are never rounded to float32 on the way."""
    x = np.random.default_rng(k).normal(2, 1, 4).astype(np.float32)
    n = np.array([16777217, 33554431, 5, 7]).astype(dtype)
    expected = np.asarray(MET[k](x, n))
    found = pb.vjp(lambda x: MET[k](x, n), x)[0], pb.derive(MET[k], x=x, n=n).compile()[0](x, n)[0]
    for one in map(np.asarray, found):
        assert one.dtype == expected.dtype
        np.testing.assert_allclose(one, expected, rtol=8 * float(np.finfo(one.dtype).eps))
