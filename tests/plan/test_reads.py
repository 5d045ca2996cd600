"""Reads of ranges: what the forward pass reads under no condition is a slice; and masks that are
factors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback
from tests.differences import differences

Array = np.ndarray[Any, Any]


def blurred(x: Array, k: Array, y: Array) -> Array:
    m = np.lib.stride_tricks.sliding_window_view(x, len(k)) @ k
    return (m - y[: len(m)] * np.log(m)).sum()


@pytest.mark.parametrize(("n", "k"), [(9, 3), (7, 7), (6, 1)])
def test_a_range_that_is_read_anyway_is_a_slice(n: int, k: int) -> None:
    derivation = pullback.derive(blurred, x="N", k="K", y="N", wrt=("x", "k"))
    source = derivation.source()
    assert "y[:N - K + 1]" in source
    assert "clip" not in source
    rng = np.random.default_rng(n)
    values = [rng.uniform(0.5, 1.5, size=m) for m in (n, k, n)]
    forward, backward = derivation.compile()
    value, cache = forward(*values)
    assert np.allclose(value, blurred(*values))
    for which, found in enumerate(backward(np.asarray(1.0), cache)):
        assert np.allclose(found, differences(blurred, values, np.ones(()), which), atol=1e-7)


def test_a_range_that_a_condition_keeps_inside_is_none() -> None:
    """Where the condition fails, there is no element: a slice would be too short."""
    program = "X[N]; Y[M]; Z[i:N] = where(i < M, X[i]*Y[i], X[i])"
    forward, backward = pullback.derive(program).compile()
    for n, m in ((5, 3), (3, 5)):
        X, Y = np.arange(1.0, n + 1), np.arange(2.0, m + 2)
        Z, cache = forward(X, Y)
        both = min(n, m)
        assert np.allclose(Z, [*(X[:both] * Y[:both]), *X[both:]])
        dX, dY = backward(np.ones(n), cache)
        assert np.allclose(dX, [*Y[:both], *np.ones(n - both)])
        assert np.allclose(dY, [*X[:both], *np.zeros(m - both)])


def test_a_mask_meets_a_mean_of_its_rows_as_a_factor() -> None:
    def hinge(X: Array, Z: Array) -> Array:
        return np.maximum(((X - Z) ** 2).sum(axis=1) - 1, 0).mean()

    source = pullback.derive(hinge, X="N D", Z="N D").source().split("def backward")[1]
    assert "where" not in source


def test_a_size_that_divides_may_be_0_where_the_mask_runs_over_another_axis() -> None:
    program = "X[N, M]; b: int[M]; Y[m] = sum(n) where(b[m] > 0, X[n,m], 0)/N"
    forward, backward = pullback.derive(program).compile()
    with np.errstate(all="ignore"):
        _, cache = forward(np.ones((0, 2)), np.array([1, 0]))
        assert backward(np.ones(2), cache).shape == (0, 2)


@pytest.mark.parametrize("group", [2, 3, 5])
@pytest.mark.parametrize("sign", ["", "*(2*(d % G) - 1)", "*c[d//G]", "*c[d//G]*(d % G)"])
def test_a_group_read_from_its_end_is_a_reversed_axis(group: int, sign: str) -> None:
    text = f"c[K]; X[G*K]; Y[d:G*K] = X[d] + X[G*(d//G) + {group - 1} - d % G]{sign}"
    derivation = pullback.derive(text.replace("G", str(group)), wrt=("X",))
    backward_source = derivation.source().split("def backward")[1]
    assert "[:, ::-1]" in backward_source
    assert "np.add.at" not in backward_source
    c, X = np.arange(1.0, 5), np.arange(1.0, 4 * group + 1) ** 2
    d = np.arange(4 * group)
    weights = {
        "": np.ones(len(d)),
        "*(2*(d % G) - 1)": 2 * (d % group) - 1,
        "*c[d//G]": c[d // group],
        "*c[d//G]*(d % G)": c[d // group] * (d % group),
    }[sign]
    place = group * (d // group) + group - 1 - d % group
    forward, backward = derivation.compile()
    Y, cache = forward(c, X)
    assert np.allclose(Y, X + X[place] * weights)
    dY = np.linspace(1, 2, len(d))
    expected = dY.copy()
    np.add.at(expected, place, weights * dY)
    assert np.allclose(backward(dY, cache), expected)


def test_an_element_that_several_places_read_is_added_up() -> None:
    derivation = pullback.derive("X[K]; s[2*K]; Y[d:2*K] = X[d//2]*s[d]", wrt=("X",))
    forward, backward = derivation.compile()
    s = np.arange(1.0, 7)
    _, cache = forward(np.ones(3), s)
    assert np.allclose(backward(np.ones(6), cache), s.reshape(3, 2).sum(axis=1))
