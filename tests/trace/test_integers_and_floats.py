"""Traced integers beside constants that are printed as integers, and what has no traced form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback

FORMS: dict[str, Callable[[Any], Any]] = {
    "a product": lambda n: 2.0 * n,
    "a product with a scalar": lambda n: np.float64(2.0) * n,
    "a chain of products": lambda n: n * 4.0 * n,
    "a power": lambda n: 2.0 ** (n % 80),
    "a negative power": lambda n: 2.0 ** -(n % 80),
    "a sum": lambda n: n + 1.0,
    "a difference": lambda n: n - 1.0,
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("dtype", ["int64", "int32", "int8"])
def test_integers_that_meet_a_whole_float_are_floats(name: str, dtype: str) -> None:
    info = np.iinfo(dtype)
    n, x = np.array([info.max, info.min + 1, 70, -3, 0], dtype), np.ones(5)

    def f(x: Any, n: Any) -> Any:
        return (x * FORMS[name](n)).sum()

    value, gradient = pullback.value_and_grad(f)(x, n)
    np.testing.assert_allclose(value, f(x, n))
    np.testing.assert_allclose(gradient, FORMS[name](n))


@pytest.mark.parametrize("order", ["K", "A"])
def test_the_order_in_memory_is_refused(order: Any) -> None:
    ask = pullback.grad(lambda x: (x.T.ravel(order) * np.arange(6.0)).sum())
    with pytest.raises(pullback.TraceError, match="order="):
        ask(np.ones((2, 3)))
    assert np.array_equal(ask(np.ones((1, 6))), [np.arange(6.0)])


def test_a_list_times_a_traced_integer_is_refused() -> None:
    """NumPy repeats the list for a scalar, and multiplies it by an array of no axes."""
    for f in (
        lambda x, n: (x * len([1.0, 2.0] * n[0])).sum(),
        lambda x, n: (x * (n[0] * [2])).sum(),
    ):
        with pytest.raises(pullback.TraceError, match="a list times a traced integer"):
            pullback.grad(f)(np.ones(2), np.array([3]))


def test_a_line_that_widens_float32_is_named() -> None:
    """NumPy's float64 scalars widen float32 arrays; Python's don't."""

    def scaled(Q: Any) -> Any:
        s = Q @ Q.T / np.sqrt(Q.shape[1])
        return np.exp(s)

    def narrow(Q: Any) -> Any:
        return np.exp(Q @ Q.T / float(np.sqrt(2)))

    derivation = pullback.derive(scaled, Q="N D:float32")
    told = "NumPy makes float64 of float32 in: s = Q @ Q.T / np.sqrt(Q.shape[1])"
    assert told in " ".join(derivation.source().split())
    assert "s is float64, though what is read is float32" in derivation.markdown()
    assert "float64" not in pullback.derive(narrow, Q="N D:float32").source()
