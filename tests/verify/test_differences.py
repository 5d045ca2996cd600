"""Differences: what they find, how sure they are, and what they don't settle on."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from pullback.verify.differences import complex_slope, slope

SMOOTH: dict[str, tuple[Callable[[float], float], float]] = {
    "line": (lambda t: 3 * t + 1, 3.0),
    "exp": (math.exp, 1.0),
    "steep": (lambda t: math.exp(20 * t), 20.0),
    "flat": (lambda t: 1e-9 * math.sin(t), 1e-9),
    "wave": (lambda t: math.sin(30 * t + 1), 30 * math.cos(1)),
    "large": (lambda t: (1000 + t) ** 2, 2000.0),
    "root": (lambda t: math.sqrt(0.01 + t) if t > -0.01 else math.nan, 5.0),
    "log near zero": (lambda t: math.log(1e-5 + t) if t > -1e-5 else math.nan, 1e5),
    "constant": (lambda t: 7.0, 0.0),
    "kink beside it": (lambda t: abs(t - 1e-3) + t, 0.0),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_slopes(name: str) -> None:
    line, expected = SMOOTH[name]
    found = slope(line)
    assert not found.kink
    assert found.value == pytest.approx(expected, rel=1e-6, abs=1e-8)
    assert abs(found.value - expected) <= 10 * found.error + 1e-12 * abs(expected) + 1e-10


KINKS: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "relu": lambda t: max(t, 0.0),
    "tie": lambda t: max(t, -0.5 * t),
    "on top of a slope": lambda t: 5 * t + 0.1 * abs(t),
    "jump": lambda t: 0.0 if t < 0 else 1.0,
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks_are_seen(name: str) -> None:
    assert slope(KINKS[name]).kink


def test_a_large_curvature_is_no_kink() -> None:
    assert not slope(lambda t: 1e3 * t * t).kink


def test_where_nothing_settles_the_error_says_so() -> None:
    noisy = slope(lambda t: math.sin(1e14 * (t + 0.3)))
    assert noisy.kink or not noisy.error < 1e-3 * max(1.0, abs(noisy.value))
    assert not slope(lambda t: math.nan).error < 1


def test_a_complex_step_is_exact_where_the_function_takes_it() -> None:
    import cmath

    assert complex_slope(lambda t: cmath.exp(2 * t)) == pytest.approx(2, rel=1e-15)
    assert complex_slope(lambda t: complex(float(t.real))) == 0  # not analytic: to be compared
    assert complex_slope(lambda t: math.exp(t)) is None  # type: ignore[arg-type]
