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
