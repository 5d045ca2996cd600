"""The forward pass multiplies and divides as written; coefficients of gradients are exact."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback

Function = Callable[..., Any]

# A function, where it is taken, the dtype, and the gradient.
CHAINS: dict[str, tuple[Function, float, str, float]] = {
    "down and up": (lambda x: (x * 1e-200 * 1e-200 * 1e200 * 1e200).sum(), 1.0, "float64", 1.0),
    "up and down": (lambda x: (x * 1e200 * 1e200 * 1e-200 * 1e-200).sum(), 1.0, "float64", 1.0),
    "in float32": (lambda x: x * 1e-30 * 1e-30 * 1e30 * 1e30, 1.0, "float32", 1.0),
    "a pair": (lambda x: x * (1e-200 * 1e200), 1.0, "float64", 1.0),
    "quotients": (lambda x: x / 1e200 / 1e200 * 1e200 * 1e200, 1.0, "float64", 1.0),
    "near the limit": (lambda x: x * 4.0 / 8.0, 1e308, "float64", 0.5),
    "of a sum": (lambda x: (x + 1) * 1e300 * 1e300 / 1e300, 1.0, "float64", 1e300),
    "beside others": (lambda x: x * 1e-200 * 1e-200 + x, 1.0, "float64", 1.0),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CHAINS)
def test_literals_are_multiplied_in_the_order_written(name: str) -> None:
    function, at, dtype, slope = CHAINS[name]
    x = np.full(2, at, dtype)
    value, pull = pullback.vjp(function, x)
    np.testing.assert_array_equal(value, function(x))
    np.testing.assert_allclose(pull(np.ones_like(value))[0], np.full(2, slope), rtol=1e-6)
    forward, _ = pullback.derive(function, x=f"N: {dtype}").compile()
    np.testing.assert_array_equal(forward(x)[0], function(x))


def tree(random: Random, depth: int) -> Function:
    """A random product of x, a, a scalar s and literals."""
    if depth == 0:
        literal = random.choice([1e-30, 1e20, 2.0, -0.5, 1e-8])
        leaves: list[Function] = [
            lambda x, a, s: x,
            lambda x, a, s: a,
            lambda x, a, s: s[0],
            lambda x, a, s: literal,
        ]
        return random.choice(leaves)
    left, right = tree(random, depth - 1), tree(random, random.randrange(depth))
    if random.random() < 0.4:
        return lambda x, a, s: left(x, a, s) / right(x, a, s)
    return lambda x, a, s: left(x, a, s) * right(x, a, s)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("seed", range(40))
def test_random_products_over_and_underflow_where_those_of_numpy_do(seed: int) -> None:
    random = Random(seed)
    product = tree(random, 3)

    def function(x: Any, a: Any, s: Any) -> Any:
        return x * product(x, a, s)

    scale = random.choice([1e-20, 1.0, 1e20])
    inputs = [np.full(n, v, "float32") for n, v in ((3, scale), (3, 3e10), (1, 1e-15))]
    try:
        expected = function(*inputs)
    except ZeroDivisionError:
        return
    value, _ = pullback.vjp(function, *inputs)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert value.dtype == expected.dtype


# Gradients whose coefficient no float can hold.
COEFFICIENTS: dict[str, tuple[Function, float, str, float, float]] = {
    "large": (lambda x: 1e200 * (1e200 * x), 1e-300, "float64", 1e-300, 1e100),
    "small": (lambda x: 1e-200 * (1e-200 * x), 1e300, "float64", 1e300, 1e-100),
    "small in float32": (lambda x: x * 1e-30 * 1e-30, 1e30, "float32", 1e30, 1e-30),
    "large in float32": (lambda x: x / 1e-30 / 1e-30, 1e-38, "float32", 1e-35, 1e25),
}


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_a_coefficient_may_be_beyond_the_range_of_floats(name: str) -> None:
    function, at, dtype, seed, slope = COEFFICIENTS[name]
    x = np.full(2, at, dtype)
    _, pull = pullback.vjp(function, x)
    np.testing.assert_allclose(pull(np.full(2, seed, dtype))[0], np.full(2, slope), rtol=1e-5)


POWERS: dict[str, Function] = {
    "cosine similarity": lambda x, y: (x * y).sum() / (norm(x) * norm(y)),
    "a quotient": lambda x, y: x / (x + y),
    "a harmonic mean": lambda x, y: 1 / (1 / x).mean() + y[0],
    "a quotient of a square": lambda x, y: (x / y) ** 2,
}


def norm(x: Any) -> Any:
    return np.sqrt((x**2).sum())


@pytest.mark.parametrize("name", POWERS)
def test_squares_of_what_is_small_or_large_are_not_divided_by(name: str) -> None:
    """In float32 1e-21**2 is 0 or next to it, and the gradient is finite."""
    function = POWERS[name]
    x, y = np.array([3.0, 1.0, 2.0]), np.array([2.0, 5.0, 1.0])
    value, pull = pullback.vjp(function, x, y)
    for scale in (1e-20, 1e18):
        small = [(v * scale).astype("float32") for v in (x, y)]
        got, narrow = pullback.vjp(function, *small)
        degree = 1 if name == "a harmonic mean" else 0
        expected = [g * scale ** (degree - 1) for g in pull(np.ones_like(value))]
        found = narrow(np.ones_like(got))
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4)
