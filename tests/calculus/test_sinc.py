"""Derivatives of every order of sinc, at and near its removable singularity."""

from __future__ import annotations

from math import factorial, pi
from typing import Any

import numpy as np
import pytest
from mpmath.ctx_mp import MPContext

import pullback as pb
from pullback.errors import PullbackError

MP = MPContext()
MP.dps = 80

POINTS = (0.0, 1e-300, 1e-12, -1e-8, 1e-4, 0.03, -0.3, 0.477, 0.478, 0.5, 1.0, 1.5, -2.25, 7.3)


def derivative(order: int, at: float) -> float:
    """By the series of the cosine under the integral of u^n cos(pi x u + n pi/2) pi^n."""
    t = MP.pi * MP.mpf(at)
    powers = range(order % 2, 240, 2)
    sign = [(-1) ** ((order + p) // 2) for p in powers]
    terms = (s * t**p / ((order + p + 1) * factorial(p)) for s, p in zip(sign, powers, strict=True))
    return float(MP.fsum(terms) * MP.pi**order)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
def test_derivatives_are_accurate_everywhere(order: int) -> None:
    f: Any = np.sinc
    for _ in range(order):
        f = pb.grad(lambda x, inner=f: inner(x).sum())
    found, x = f(np.array(POINTS)), np.array(POINTS)
    expected = np.array([derivative(order, at) for at in POINTS])
    assert np.allclose(found, expected, rtol=0, atol=2e-15 * pi**order)
    near = np.abs(x) < 0.04
    assert np.allclose(found[near], expected[near], rtol=4e-15, atol=1e-310)
    assert f(x.astype(np.float32)).dtype == np.float32


def test_the_second_derivative_at_0() -> None:
    second = pb.grad(lambda z: pb.grad(lambda x: np.sinc(x).sum())(z).sum())
    assert np.allclose(second(np.zeros(2)), -(pi**2) / 3)


def test_a_derivative_that_is_not_there_is_refused() -> None:
    with pytest.raises(PullbackError, match="order 9 of sinc"):
        pb.derive("Y[i] = sinc8(X[i])").source()
