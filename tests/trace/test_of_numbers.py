"""Python's ``math``, ``min`` and ``max`` in traced functions: values are Python's own, derivatives
those of difference quotients."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import exp as exponential
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import TraceError

FUNCTIONS: list[Callable[..., Any]] = [
    lambda x: math.exp(x),
    lambda x: math.exp2(x) + math.expm1(x),
    lambda x: math.log(x) + math.log(x, 3) + math.log10(x) + math.log2(x) + math.log1p(x),
    lambda x: math.log(5, x),
    lambda x: math.sqrt(x) + math.cbrt(x) + math.fabs(-x),
    lambda x: math.sin(x) + math.cos(2 * x) + math.tan(x / 2),
    lambda x: math.asin(x / 2) + math.acos(x / 3) + math.atan(x),
    lambda x: math.sinh(x) + math.cosh(x) + math.tanh(x),
    lambda x: math.asinh(x) + math.acosh(x + 1) + math.atanh(x / 3),
    lambda x: math.atan2(x, 2.0) + math.atan2(2, x),
    lambda x: math.hypot(x, 3) + math.hypot(x, 1, x**2),
    lambda x: math.pow(x, 2.5) + math.pow(2, x),
    lambda x: math.degrees(x) + math.radians(x),
    lambda x: math.fmod(x, 0.4) + math.copysign(x, -1.0),
    lambda x: math.floor(3 * x) * x + math.ceil(x) + math.trunc(x),
    lambda x: math.erf(x) + math.erfc(x) + math.gamma(x) + math.lgamma(x),
    lambda x: math.prod([x, 2.0, x]),
    lambda x: exponential(x) * math.pi,
    lambda x: max(x, 0.5) + min(x, 0.5, 2 * x),
    lambda x: max([x, 0.1, x**2]) - min((x, 3)),
    lambda x: max(k * x for k in range(3)),
    lambda x: max({"a": x, "b": 2 * x}.values()) + min({0: 1.0, 1: 2.0}),
    lambda x: max(3, 4) * x + max([1, 2], key=lambda n: -n),
]


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
@pytest.mark.parametrize("at", [0.7, 1.3])
def test_functions_of_a_number(number: int, at: float) -> None:
    function, step = FUNCTIONS[number], 1e-6
    value, slope = pullback.value_and_grad(function)(np.array(at))
    assert value == pytest.approx(function(at), rel=1e-13)
    assert slope == pytest.approx((function(at + step) - function(at - step)) / (2 * step), 1e-7)


def test_integers_are_doubles_as_in_python() -> None:
    functions = [lambda x, n: x * math.pow(3, n), lambda x, n: x * math.exp(n) * math.fmod(n, 7)]
    for function in functions:
        for n in (np.int64(45), np.int8(11)):
            value, slope = pullback.value_and_grad(function)(np.array(-1.5), n)
            assert value == pytest.approx(function(-1.5, int(n)), rel=1e-14)
            assert slope == pytest.approx(function(1.0, int(n)), rel=1e-14)
    value, slope = pullback.value_and_grad(lambda x: math.hypot(x))(np.array(-3.0))
    assert (value, slope) == (3, -1)
    with pytest.raises(TraceError):  # Python's result is a double, NumPy's would be narrower
        pullback.grad(lambda x: math.exp(x))(np.float32(1.0))


def test_of_an_array_they_are_numpys() -> None:
    def spread(x: Any) -> Any:
        return max(x) - min(x) + max(*x) + math.dist((0, 0), (3, 4))

    x = np.array([0.3, 2.0, -1.0])
    value, slopes = pullback.value_and_grad(spread)(x)
    assert value == spread(x)
    np.testing.assert_array_equal(slopes, [0, 2, -1])


def test_over_a_named_size() -> None:
    def path(x: Any, y: Any) -> Any:
        total = 0.0
        for k in range(1, len(x)):
            total = total + math.hypot(x[k] - x[k - 1], y[k] - y[k - 1])
        return total

    derivation = pullback.derive(path, x="N", y="N")
    assert "for " not in derivation.source().partition("def backward")[2]
    forward, _ = derivation.compile()
    x, y = np.random.default_rng(0).normal(size=(2, 9))
    assert forward(x, y)[0] == pytest.approx(path(x, y), rel=1e-14)


def test_names_are_given_back() -> None:
    before = {name: globals().get(name) for name in ("math", "exponential", "min", "max")}
    pullback.grad(lambda x: max(exponential(x), math.sin(x)))(np.array(0.3))
    assert {name: globals().get(name) for name in before} == before
    assert "max" not in globals()
    assert exponential is math.exp
    assert type(math.exp) is type(len)


def test_a_name_of_the_users_stays() -> None:
    space: dict[str, Any] = {"np": np}
    text = "def max(a, b):\n    return 3*a + b\n\n\ndef f(x):\n    return max(x, min(x, 7.0))\n"
    exec(text, space)  # our own text
    assert pullback.grad(space["f"])(np.array(0.3)) == 4
    assert "min" not in space


@pytest.mark.parametrize(
    "function",
    [
        lambda x: math.exp(x),
        lambda x: max(x, 2 * x),
        lambda x: max([x, x]),
        lambda x: math.frexp(x[0])[0],
        lambda x: max(x[0], x[1], key=lambda v: -v),
    ],
)
def test_what_python_would_not_take_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(TraceError):
        pullback.grad(function)(np.ones(3))
