"""A product that is read once is spelled out where it meets what has a name; a product of a matrix
with a sum takes the products with its terms that are there."""

from __future__ import annotations

import numpy as np
import pytest

import pullback
from pullback.calculus.reverse import reverse
from pullback.notation.parse import parse
from pullback.verify.programs import check_backward_program

FOCAL = """
E[n,c] = exp(S[n,c])
P[n,c] = E[n,c]/sum(k) E[n,k]
L[] = -mean(n) (1 - P[n,y[n]])**2*log(P[n,y[n]])
"""
STATE = """
D[m,k] = f[]*C[m,k] + g[]*v[m]*k[k]
y[m] = sum(k) D[m,k]*q[k]
"""
REMOVED = """
t[m] = sum(k) S[m,k]*r[k]
D[m,k] = w[k]*S[m,k] - t[m]*a[k]*r[k]
y[m] = sum(k) D[m,k]*q[k]
"""
CENTRED = """
mu[k] = mean(m) S[m,k]
D[m,k] = S[m,k] - mu[k]
y[m] = sum(k) D[m,k]*q[k]
z[m] = sum(k) S[m,k]*p[k]
"""


@pytest.mark.parametrize("text", [FOCAL, STATE, REMOVED, CENTRED])
def test_the_gradients_are_right(text: str) -> None:
    report = check_backward_program(reverse(parse(text)), samples=3)
    assert report.status == "passed", str(report)


def test_the_gradient_of_a_sum_meets_the_ratio_that_has_a_name() -> None:
    formula = pullback.derive(FOCAL).formula("S")
    assert "P[n,c]" in formula
    assert "dt1" not in formula


@pytest.mark.parametrize(("text", "matrix"), [(STATE, "C"), (REMOVED, "S")])
def test_the_state_before_is_multiplied_once(text: str, matrix: str) -> None:
    source = str(pullback.derive(text, memory="fastest").source()).partition("def backward")[2]
    assert "@ D" not in source
    assert source.count(f"@ {matrix}") == 1


def test_a_difference_of_values_that_are_read_is_not_multiplied_out() -> None:
    source = str(pullback.derive(CENTRED, wrt=("S", "q", "p")).source()).partition("def back")[2]
    (line,) = (line for line in source.splitlines() if line.strip().startswith("dq ="))
    assert "D" in line


def test_digits_are_kept_where_terms_of_a_state_cancel() -> None:
    def step(S, r, v, q):  # type: ignore[no-untyped-def]
        return (S - np.outer(S @ r, r) + np.outer(v, r)) @ q

    rng = np.random.default_rng(0)
    r = rng.normal(size=6)
    r /= np.sqrt(r @ r)
    S = np.outer(rng.normal(size=5), r)  # S - (S r) rᵀ is 0 up to rounding
    v, q = rng.normal(size=5) * 1e-3, rng.normal(size=6)
    exact = np.outer(v, r)
    forward, backward = pullback.derive(step, S="M K", r="K", v="M", q="K").compile()
    _, cache = forward(S, r, v, q)
    dy = rng.normal(size=5)
    dq = backward(dy, cache)[-1]
    scale = np.abs(dy) @ np.abs(S)
    assert np.all(np.abs(dq - dy @ exact) <= 8 * np.finfo(float).eps * scale.max())
