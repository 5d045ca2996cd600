"""What a statement needs more than once is computed before, and keeps its value until then."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import grad
from pullback.backends.numpy import spell_pair
from pullback.calculus.reverse import reverse
from pullback.notation.parse import parse
from pullback.runtime.load import load_module
from tests.backends.agreement import check_backward
from tests.differences import close, differences

windows = np.lib.stride_tricks.sliding_window_view


def test_a_shared_sum_is_not_built_up_under_the_name_of_the_target() -> None:
    """The target gets its own value before the sum is read for the last time."""

    def padded(x: Any) -> Any:
        wide = np.pad(x, 1, mode="edge")
        norms = np.linalg.norm(wide + 4, axis=0)
        return np.einsum("...i,...i->...", norms, windows(wide, 2, 0).sum(-1)).std()

    x = np.random.default_rng(0).normal(size=(3, 2))
    assert close(grad(padded)(x), differences(padded, (x,), np.ones(()), 0))


def test_lines_of_a_spelling_that_is_given_up_are_not_read() -> None:
    text = """
        X[M,M]
        Y[i,j] = -(sum(k:M,l:M) pad(X,0.5)[i+l+2,j])*sum(m:M) X[j,i]**3
        Z[i,j:M] = prod(k:M) [k < M]*Y[i,i]"""
    for m in (1, 2, 3):
        check_backward(parse(text), {"M": m})


def test_what_is_gathered_twice_in_a_statement_is_gathered_once() -> None:
    text = "u: int[L]\ni: int[L]\nj: int[L]\nU[N]\nV[M]\nY[l] = exp(U[u[l]]*(V[i[l]] - V[j[l]]))"
    source = spell_pair(reverse(parse(text)))
    assert source[source.index("def backward") :].count("U[u_index]") == 1
    rng = np.random.default_rng(6)
    u, i, j, U, V = *rng.integers(0, 4, (3, 9)), rng.normal(size=4), rng.normal(size=5)
    module = load_module(source, "pair")
    value, cache = module.forward(u, i, j, U, V)
    dU, dV = module.backward(np.ones(9), cache)
    expected = np.zeros(4), np.zeros(5)
    np.add.at(expected[0], u, value * (V[i] - V[j]))
    np.add.at(expected[1], i, value * U[u])
    np.add.at(expected[1], j, -value * U[u])
    np.testing.assert_allclose(dU, expected[0])
    np.testing.assert_allclose(dV, expected[1])


def test_what_is_gathered_twice_may_be_out_of_range_where_it_is_not_read() -> None:
    text = "t: int[L]\nx[N]\nm[L]\nY[l] = where(m[l] > 0, x[t[l]]*exp(x[t[l]]), m[l])"
    module = load_module(spell_pair(reverse(parse(text))), "pair")
    x, m, t = np.array([0.5, 2.0]), np.array([1.0, -1.0, 3.0]), np.array([1, 7, 0])
    value, cache = module.forward(t, x, m)
    np.testing.assert_allclose(value, [2 * np.exp(2), -1, 0.5 * np.exp(0.5)])
    dx, dm = module.backward(np.ones(3), cache)
    np.testing.assert_allclose(dx, (1 + x) * np.exp(x))
    np.testing.assert_allclose(dm, [0, 1, 0])
