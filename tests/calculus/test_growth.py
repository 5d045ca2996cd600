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
