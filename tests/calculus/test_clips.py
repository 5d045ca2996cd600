"""The least or greatest of a product and of the same product of a clipped value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from tests.differences import differences

Array = np.ndarray[Any, Any]
Form = Callable[[Array, Array, Array], Array]

ALIKE: dict[str, Form] = {
    "least": lambda x, a, b: np.minimum(x * a, np.clip(x, 0.8, 1.2) * a),
    "least of the clipped one first": lambda x, a, b: np.minimum(np.clip(x, -1, 0.5) * a, x * a),
    "greatest": lambda x, a, b: np.maximum(x * a, np.clip(x, -0.5, 0.5) * a),
    "of an exponential": lambda x, a, b: np.minimum(
        np.exp(x) * a, np.clip(np.exp(x), 0.8, 1.2) * a
    ),
    "two factors": lambda x, a, b: np.minimum(a * x * b, a * np.clip(x, -1, 1) * b),
    "a square beside": lambda x, a, b: np.maximum(a**2 * x, a**2 * np.clip(x, -1, 1)),
}
OTHERWISE: dict[str, Form] = {
    "squares of differences": lambda x, a, b: np.maximum(
        (x - a) ** 2, (np.clip(x, -0.5, 0.5) - a) ** 2
    ),
    "other factors": lambda x, a, b: np.minimum(x * a, np.clip(x, -0.5, 0.5) * b),
    "another value": lambda x, a, b: np.minimum(x * a, np.clip(x * b, -0.5, 0.5) * a),
    "both clipped": lambda x, a, b: np.minimum(np.clip(x, -1, 0.3) * a, np.clip(x, -0.5, 0.5) * a),
    "clipped at values": lambda x, a, b: np.minimum(x * a, np.clip(x, -(b**2), b**2) * a),
    "a multiple": lambda x, a, b: np.minimum(x * a, 2 * np.clip(x, -0.5, 0.5) * a),
}


def draw(seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=9), rng.normal(size=9), rng.normal(size=9)]


@pytest.mark.parametrize("name", [*ALIKE, *OTHERWISE])
@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_differences(name: str, seed: int) -> None:
    function = ALIKE.get(name) or OTHERWISE[name]
    values = draw(seed)
    forward, backward = pullback.derive(function, x="N", a="N", b="N", wrt=("x", "a")).compile()
    upstream = np.linspace(1, 3, 9)
    _, cache = forward(*values)
    for which, found in enumerate(backward(upstream, cache)):
        assert np.allclose(found, differences(function, values, upstream, which), atol=1e-7)


@pytest.mark.parametrize("name", ALIKE)
def test_it_is_one_comparison(name: str) -> None:
    source = pullback.derive(ALIKE[name], x="N", a="N", b="N", wrt=("x",)).source()
    backward = source.split("def backward")[1]
    assert backward.count("<=") == 1
    assert "==" not in backward


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_alike_nowhere_or_elsewhere_is_compared(name: str) -> None:
    source = pullback.derive(OTHERWISE[name], x="N", a="N", b="N", wrt=("x",)).source()
    backward = source.split("def backward")[1]
    assert "==" in backward or "np.heaviside(t" in backward


def slope(function: Form, x: Array, a: Array) -> Array:
    """What the slope by x is at single places, for an upstream gradient of 1."""
    shapes = dict.fromkeys("xab", f"N: {x.dtype}")
    forward, backward = pullback.derive(function, wrt=("x",), **shapes).compile()
    with np.errstate(all="ignore"):
        _, cache = forward(x, a, a)
        return np.asarray(backward(np.ones_like(x), cache))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_nothing_is_clipped_at_the_ends_and_where_a_factor_is_0(dtype: type) -> None:
    ends = np.array([0.8, 1.2, 1.0, 0.8, 1.2, 2.0, 0.1, 1.0], dtype)
    factor = np.array([2, 2, -3, -2, -2, 0, 0, 0], dtype)
    assert slope(ALIKE["least"], ends, factor).tolist() == factor.tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_clipped_has_no_slope_however_large(dtype: type) -> None:
    large = np.finfo(dtype).max
    x = np.array([large, 1e10, -large, 2.0], dtype)
    a = np.array([0.5, 1e-10, -0.5, 1], dtype)
    assert slope(ALIKE["least"], x, a).tolist() == [0, 0, 0, 0]
