"""A derivation generalised for one function is never taken for another of the same form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback


def inside(function: Callable[..., Any]) -> Callable[..., Any]:
    """Functions of one code object that differ in what they close over."""

    def call(x: Any) -> Any:
        return function(x)

    return call


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.sin, np.cos),
        (lambda x: x * x, lambda x: x + x),
        (lambda x: x * (x > 0), lambda x: x * (x < 0)),
        (lambda x: np.select([x < 0], [x]), lambda x: np.tril(x, -9)),
        (lambda x: x.sum(axis=0), lambda x: x.sum(axis=1)),
    ],
    ids=["function", "operation", "comparison", "guard", "axis"],
)
def test_functions_of_one_form_are_told_apart(
    first: Callable[..., Any], second: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(0)
    for function, shape in (
        *((first, shape) for shape in ((3, 4), (2, 3), (5, 5))),
        *((second, shape) for shape in ((3, 3), (5, 3), (2, 3))),
    ):
        x, v = rng.normal(size=shape), rng.normal(size=shape)
        value, pull = pullback.vjp(inside(function), x)
        np.testing.assert_allclose(value, function(x))
        u = rng.normal(size=np.shape(value))
        slope = (function(x + 1e-6 * v) - function(x - 1e-6 * v)) / 2e-6
        np.testing.assert_allclose(np.sum(pull(u)[0] * v), np.sum(u * slope), rtol=1e-6, atol=1e-8)


def cross_entropy(W: Any, X: Any, y: Any) -> Any:
    z = X @ W
    z = z - z.max(axis=1, keepdims=True)
    return -(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))[np.arange(len(y)), y].mean()


def squeezed(W: Any, X: Any, y: Any) -> Any:
    h = np.squeeze(X @ W)
    return (h**2).sum() / h.shape[0]


def first_row(W: Any, X: Any, y: Any) -> Any:
    return (X @ W)[0 if len(X) == 1 else -1].sum() * len(X)


def doubled_row(W: Any, X: Any, y: Any) -> Any:
    return (X @ W)[-1].sum() * (2 if len(X) == 1 else 1)


@pytest.mark.parametrize(
    ("function", "again"),
    [(cross_entropy, False), (first_row, False), (squeezed, True), (doubled_row, True)],
)
def test_a_size_of_one_is_derived_anew_only_where_it_is_another_program(
    function: Any, again: bool
) -> None:
    from pullback.runtime.compiled import pair

    rng = np.random.default_rng(0)
    W = rng.normal(size=(4, 3))

    def batch(n: int) -> tuple[Any, Any]:
        return rng.normal(size=(n, 4)), rng.integers(0, 3, size=n)

    slope = pullback.grad(function)
    for n in (8, 5):
        slope(W, *batch(n))
    for n in (1, 2, 3):
        given = batch(n)
        before = pair.cache_info().misses
        found = slope(W, *given)
        assert (pair.cache_info().misses > before) == (again and n == 1)
        steps = [(W + d, W - d) for d in 1e-6 * np.eye(12).reshape(12, 4, 3)]
        slopes = [function(a, *given) - function(b, *given) for a, b in steps]
        np.testing.assert_allclose(found.ravel(), np.array(slopes) / 2e-6, rtol=1e-6, atol=1e-6)
