"""Conditions on data that hold nowhere, and what is divided by the sum of what they select."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.calculus.guards import settle
from pullback.calculus.normal import poly
from pullback.calculus.selecting import Selections, _holds_somewhere
from pullback.ir.walk import free_indices
from pullback.notation.parse import parse

Select = Callable[[Any], Any]
Step = Callable[[Select, Any, Any], Any]

STEPS: list[Step] = [
    lambda chosen, v, w: chosen(chosen(np.exp(v)) / chosen(np.exp(v)).sum()),
    lambda chosen, v, w: chosen(v - v.sum() / chosen(1 + 0 * v).sum()),
    lambda chosen, v, w: chosen(v / (1 + w**2)),
    lambda chosen, v, w: chosen(v / np.sqrt((v**2).sum())),
    lambda chosen, v, w: chosen(np.sin(v) * w),
    lambda chosen, v, w: chosen(v * np.log((w**2).sum())),
    lambda chosen, v, w: chosen(np.maximum(v, w)),
    lambda chosen, v, w: chosen(v * w.sum() / chosen(1 + 0 * v).sum()),
]


def program(seed: int) -> Callable[[Any, Any], Any]:
    """Steps under one mask, which is an array or is compared where it is needed."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(STEPS), size=3)
    kind, level = rng.integers(3), rng.normal()

    def run(x: Any, y: Any) -> Any:
        mask = x > level

        def chosen(v: Any) -> Any:
            if kind == 0:
                return np.where(mask, v, 0)
            return np.where(x > level if kind == 1 else (x > level) & (y < 3), v, 0)

        v, w = chosen(x), chosen(y)
        for pick in picks:
            v, w = STEPS[pick](chosen, v, w), v
        return v.sum() + np.dot(v, w) + (x * y).sum()

    return run


@pytest.mark.parametrize("seed", [2, 3, 5, 11, 13, 19, 24, 27, 28, 30, 37])
@pytest.mark.filterwarnings("ignore")
def test_a_mask_may_select_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=5) - 5, rng.normal(size=5)
    function = program(seed)
    assert np.isfinite(function(x, y))
    for found, wanted in zip(pullback.grad(function, argnums=(0, 1))(x, y), (y, x), strict=True):
        np.testing.assert_allclose(found, wanted)


@pytest.mark.filterwarnings("ignore")
def test_a_derived_pass_where_a_mask_selects_nothing() -> None:
    def function(x: Any, y: Any) -> Any:
        v = x[x > 10]
        w = v / np.exp(v).sum() * np.mean(v)
        return np.sum(w**2) + (x * y).sum()

    x, y = np.arange(3.0), np.ones(3)
    forward, backward = pullback.derive(function, x="N", y="N").compile()
    _, saved = forward(x, y)
    np.testing.assert_allclose(backward(1.0, saved), (y, x))


@pytest.mark.parametrize("strict", [False, True])
def test_rows_that_see_nothing_before_them(strict: bool) -> None:
    """The first row of a strictly lower triangle selects nothing."""

    def attend(S: Any) -> Any:
        i = np.arange(S.shape[0])
        seen = i[None, :] < i[:, None] if strict else i[None, :] <= i[:, None]
        weights = np.where(seen, np.exp(S), 0)
        shares = np.where(seen, weights / weights.sum(1, keepdims=True), 0)
        return (np.sin(shares) * shares.sum(0)).sum()

    with np.errstate(all="ignore"):
        S = np.random.default_rng(0).normal(size=(4, 4))
        found = pullback.grad(attend)(S)
        away = 1e-6 * np.eye(16).reshape(16, 4, 4)
        wanted = [(attend(S + d) - attend(S - d)) / 2e-6 for d in away]
    np.testing.assert_allclose(found.ravel(), wanted, atol=1e-8)


@pytest.mark.parametrize(
    ("condition", "somewhere"),
    [
        ("j <= i", True),
        ("i <= j", True),
        ("i = j", True),
        ("i != j", True),
        ("i - j < 2", True),
        ("i % 2 = j % 2", True),
        ("j < i", False),
        ("i < j", False),
        ("X[i,j] > 0", False),
        ("i = k", False),
    ],
)
def test_conditions_that_hold_somewhere(condition: str, somewhere: bool) -> None:
    (statement,) = parse(f"X[N,N]; Y[i,j,k:M] = X[i,j]*[{condition}]").statements
    (only,) = poly(statement.body)
    (guard,) = settle(only.guards, ()) or ()
    assert {_holds_somewhere(guard, i) for i in free_indices(guard)} == {somewhere}


def test_what_divides_by_a_selection() -> None:
    program = parse(
        """X[N]; Z[N]; s = sum(n) [X[n] > 0]*Z[n]; c = sum(n) Z[n]; a[n] = Z[n]/c; b[n] = Z[n]/s
        e = exp(-s); l = log(s); m = max(n) where(X[n] > 0, Z[n], -inf); r[n] = 2*b[n]"""
    )
    known = Selections({s.target: s.body for s in program.statements}, lambda base: False)
    names = {s.target.name: s.target for s in program.statements}
    assert [name for name, t in names.items() if known.divides(t)] == ["b", "l", "m", "r"]
    assert [name for name, t in names.items() if not known.selects(t)] == ["c", "a"]


def test_relu_stays_a_product_of_matrices() -> None:
    """What isn't divided by a selection is no reason to keep a mask inside of a sum."""
    functions: list[Callable[[Any, Any], Any]] = [
        lambda X, W: np.maximum(X @ W, 0),
        lambda X, W: (X @ W) * (X @ W > 0),
    ]
    for function in functions:
        source = pullback.derive(function, X="N D", W="D M").source()
        assert "None" not in source
        assert "@ W.T" in source
