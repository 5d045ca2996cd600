"""Regions stay small: programs whose gradients explode when everything is inlined."""

from __future__ import annotations

import numpy as np
import pytest

import pullback
from pullback.calculus.reverse import reverse
from pullback.ir.expr import Add
from pullback.ir.walk import nodes
from pullback.notation.parse import parse

DEEP = {
    "residual": "\n".join(f"X{k + 1}[i] = X{k}[i] + tanh(X{k}[i])*W{k}[i]" for k in range(30)),
    "two before": "X1[i] = X0[i]*W[i]\n"
    + "\n".join(f"X{k + 1}[i] = X{k}[i]*X{k - 1}[i] + X{k}[i]" for k in range(1, 25)),
    "chain": "\n".join(f"X{k + 1}[i] = tanh(X{k}[i])" for k in range(40)),
    "products of sums": "Y[i] = " + "*".join(f"(A{k}[i] + B{k}[i])" for k in range(10)),
    "norms": "\n".join(
        f"M{k}[n] = mean(d) X{k}[n,d]\n"
        f"X{k + 1}[n,d] = (X{k}[n,d] - M{k}[n])/sqrt(mean(e) (X{k}[n,e] - M{k}[n])**2 + 0.1)"
        for k in range(4)
    ),
}


@pytest.mark.parametrize("name", DEEP)
def test_no_region_has_more_than_200_terms(name):
    backward = reverse(parse(DEEP[name]))
    for step in backward.steps:
        for side in (step.before, step.after):
            assert max((len(n.terms) for n in nodes(side) if isinstance(n, Add)), default=0) <= 200
    depth = DEEP[name].count("\n") + 1
    assert len(backward.statements) <= 4 * depth + 30


def test_chains_may_be_longer_than_calls_nest():
    def chain(x):
        y, slope = x, 1.0
        for _ in range(400):
            y, slope = np.sin(y), slope * np.cos(y)
        return y, slope

    assert pullback.grad(lambda x: chain(x)[0])(0.9) == pytest.approx(chain(0.9)[1], rel=1e-12)


def test_quotients_of_quotients_take_no_longer_and_longer():
    """Each step of Newton's method divides by the step before: once exponential time."""

    def root(x):
        y = x
        for _ in range(60):
            y = 0.5 * (y + x / y)
        return y

    assert pullback.grad(root)(2.0) == pytest.approx(0.5 / np.sqrt(2.0), rel=1e-12)


def test_sums_of_sums_may_be_longer_than_calls_nest():
    def total(x, w):
        y = x
        for _ in range(300):
            y = y + w
        return (y / (1 + y)).sum()

    x, w = np.array([0.3, 0.7]), np.array([0.01, 0.02])
    slopes = 1 / (1 + x + 300 * w) ** 2
    found = pullback.grad(total, (0, 1))(x, w)
    for mine, expected in zip(found, (slopes, 300 * slopes), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-12)


def test_a_product_of_many_factors_is_divided_by_one_of_them():
    """It is spelled out in stretches: what is left is the product of the others."""

    def seen(a):
        left = 1.0
        for k in range(60):
            left = left * (1 - a[k])
        return left

    a = np.linspace(0.01, 0.4, 60)
    np.testing.assert_allclose(pullback.grad(seen)(a), -np.prod(1 - a) / (1 - a), rtol=1e-12)
