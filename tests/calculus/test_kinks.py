"""Kinks of one argument: sums whose one-sided slopes agree have that slope."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.calculus.reverse import reverse
from pullback.notation.parse import parse

Array = Any
STEP = 2.0**-18

SMOOTH_IN_THE_END: dict[str, tuple[Callable[[Array], Array], float]] = {
    "max and min": (lambda x: np.maximum(x, 0) + np.minimum(x, 0), 1),
    "max of both signs": (lambda x: np.maximum(x, 0) - np.maximum(-x, 0), 1),
    "abs and max": (lambda x: np.abs(x) - 2 * np.maximum(x, 0), -1),
    "max of multiples": (lambda x: np.maximum(2 * x, 0) + 2 * np.minimum(x, 0), 2),
    "clips": (lambda x: np.clip(x, -1, 0) + np.clip(x, 0, 1), 1),
    "masks": (lambda x: x * (x > 0) + x * (x < 0), 1),
    "masks twice": (lambda x: x * (x >= 0) + x * (-2 * x >= 0), 1),
    "selections": (lambda x: np.where(x > 0, x, 0) + np.where(x < 0, x, 0), 1),
    "a sign that multiplies abs": (lambda x: np.abs(x) * np.sign(x), 1),
    "a sign that multiplies a sum": (
        lambda x: (np.abs(x) + np.maximum(x, 0)) * np.sign(x) - np.maximum(x, 0),
        1,
    ),
    "cross-entropy": (lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), 0.5),
    "cross-entropy of a label": (
        lambda x: np.maximum(-x * np.array([1.0, 1.0]), 0) + np.log1p(np.exp(-np.abs(x))),
        -0.5,
    ),
    "exponential unit": (lambda x: np.maximum(x, 0) + np.minimum(np.exp(x) - 1, 0), 1),
    "a selection of functions": (lambda x: np.where(x > 0, np.log1p(np.abs(x)), x), 1),
    "selections that are not 0": (
        lambda x: np.where(x > 0, x + 3, 3) + np.where(x < 0, x + 2, 2),
        1,
    ),
    "each side of a selection kept in its domain": (
        lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), np.log1p(np.maximum(x, 0))),
        1,
    ),
    "sigmoid, both sides": (
        lambda x: np.where(
            x >= 0,
            1 / (1 + np.exp(-np.abs(x))),
            np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))),
        ),
        0.25,
    ),
    "softplus, both sides": (
        lambda x: np.where(x > 0, 0, -x) + np.log1p(np.exp(-np.abs(x))),
        -0.5,
    ),
    "a signed logarithm": (lambda x: np.sign(x) * np.log1p(np.abs(x)), 1),
    "a signed root": (lambda x: np.sign(x) * (np.sqrt(np.abs(x) + 1) - 1), 0.5),
    "against data": (lambda x: np.maximum(x, np.zeros(2)) + np.minimum(x, 0), 1),
}


@pytest.mark.parametrize("name", SMOOTH_IN_THE_END)
def test_a_sum_whose_slopes_agree_has_that_slope(name: str) -> None:
    f, slope = SMOOTH_IN_THE_END[name]
    assert np.allclose(pb.grad(lambda x: f(x).sum())(np.zeros(2)), slope)
    assert np.allclose(pb.grad(lambda x: f(x[::-1]).mean())(np.zeros(2)), slope / 2)
    assert np.allclose(pb.jvp(f, (np.zeros(2),), (np.ones(2),))[1], slope)


def test_the_kinks_may_have_names_and_the_argument_may_be_a_product() -> None:
    def loss(w: Array, X: Array, t: Array) -> Array:
        z = X @ w
        size = np.abs(z)
        positive = np.maximum(z, 0)
        return (positive - z * t + np.log1p(np.exp(-size))).mean()

    X, t = np.arange(6.0).reshape(3, 2), np.array([1.0, 0.0, 1.0])
    found = pb.grad(loss)(np.zeros(2), X, t)
    assert np.allclose(found, X.T @ (0.5 - t) / 3)


def test_a_maximum_and_a_minimum_of_two_are_their_sum() -> None:
    f = lambda x, y: (np.maximum(x, y) + np.minimum(x, y)).sum()  # noqa: E731
    one, two = np.ones(2), np.ones(2)
    assert np.array_equal(pb.grad(f)(one, two), [1, 1])
    assert np.array_equal(pb.grad(f, argnums=(0, 1))(one, two), np.ones((2, 2)))


UNCHANGED: dict[str, tuple[Callable[[Array], Array], float]] = {
    "one maximum": (lambda x: np.maximum(x, 0), 0),
    "two from one side": (lambda x: np.maximum(x, 0) + np.maximum(3 * x, 0), 0),
    "as written": (lambda x: x * (x >= 0) + x, 2),
    "of other elements": (
        lambda x: np.concatenate([np.maximum(x[:1], 0), np.minimum(x[1:], 0)]),
        0,
    ),
    "at another place": (lambda x: np.maximum(x, 0) + np.minimum(x - 1, 0), 1),
    "a mask of something else": (
        lambda x: np.maximum(x, 0) + np.minimum(x, 0) + 5 * (x > 0),
        1,
    ),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_conventions_hold_where_no_kinks_are_mixed(name: str) -> None:
    f, slope = UNCHANGED[name]
    assert np.array_equal(pb.grad(lambda x: f(x).sum())(np.zeros(2)), [slope, slope])


def test_a_mask_of_another_value_passes_as_written() -> None:
    f = lambda h, s: (h * (s > 0) + np.maximum(s, 0) + np.minimum(s, 0)).sum()  # noqa: E731
    dh, ds = pb.grad(f, argnums=(0, 1))(np.full(2, 3.0), np.zeros(2))
    assert np.array_equal(dh, [0, 0])
    assert np.array_equal(ds, [1, 1])


def test_what_a_selection_protects_stays_protected() -> None:
    def f(x: Array) -> Array:
        return (np.where(x > 0, x * np.log(x), 0) + np.maximum(x, 0) + np.minimum(x, 0)).sum()

    with np.errstate(all="ignore"):
        assert np.array_equal(pb.grad(f)(np.array([0.0, 1.0, -1.0])), [1, 2, 1])


def test_steps_that_make_up_a_whole_are_gone() -> None:
    (dx,) = reverse(parse("Y[i] = maximum(X[i], 0) + minimum(X[i], 0)")).statements
    assert str(dx.body) == str(reverse(parse("Y[i] = 1*X[i]")).statements[0].body)


def softmax(S: Array) -> Array:
    return np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)


def test_a_selection_protects_products_of_matrices_behind_it() -> None:
    """Where nothing of a row is chosen, its NaNs reach no gradient: not by a product, nor by one
    of products."""
    keep = np.array([True, False])
    S = np.array([[0.0, 1.0], [-np.inf, -np.inf]])
    V = np.arange(4.0).reshape(2, 2)

    def once(V: Array, S: Array, rows: Array) -> Array:
        return np.where(rows[:, None], softmax(S) @ V, 0).sum()

    def twice(V: Array, S: Array, rows: Array) -> Array:
        return (np.where(rows[:, None], softmax(S) @ V, 0) @ V).sum()

    for f in (once, twice):
        with np.errstate(all="ignore"):
            dV, dS = pb.grad(f, argnums=(0, 1))(V, S, keep)
            expected_V, expected_S = pb.grad(f, argnums=(0, 1))(V, S[:1], keep[:1])
        assert np.allclose(dV, expected_V)
        assert np.allclose(dS, np.vstack([expected_S, np.zeros((1, 2))]))


def test_values_that_are_finite_for_finite_inputs_need_no_second_mask() -> None:
    text = "H[n,k] = relu(sum(i) X[n,i]*W[i,k])\nY[n,k] = sum(j) H[n,j]*V[j,k]"
    assert "np.where" not in pb.derive(text).source()


@pytest.mark.parametrize("w", [[-800.0, 2.0], [800.0, -2.0]])
def test_sigmoids_of_products_are_right_where_they_saturate(w: list[float]) -> None:
    X, at = np.eye(2), np.array(w)
    size = np.exp(-np.abs(at))
    slope = size / (1 + size) ** 2
    with np.errstate(all="ignore"):
        for f, sign in (
            (lambda w: 1 / (1 + np.exp(-X @ w)), 1),
            (lambda w: 1 / (1 + np.exp(-(X @ w))), 1),
            (lambda w: 1 / (1 + np.exp(X @ w)), -1),
            (lambda w: 1 / (1 + np.exp((-X) @ w)), 1),
        ):
            found = pb.grad(lambda w, f=f: f(w).sum())(at)
            assert np.allclose(found, sign * slope, rtol=1e-12)


@pytest.mark.parametrize("ddof", [1, 2, 3])
def test_a_variance_of_too_few_values_has_no_slope_of_0(ddof: int) -> None:
    for x in (np.array([2.0]), np.array([1.0, 3.0]), np.array([1.0, 3.0, 4.0])):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value, gradient = pb.value_and_grad(lambda x: np.var(x, ddof=ddof))(x)
            assert np.array_equal(value, np.var(x, ddof=ddof), equal_nan=True)
        assert np.isfinite(gradient).all() == (len(x) > ddof)


PIECES = (
    "np.maximum(U, 0)",
    "np.minimum(0, U)",
    "np.abs(U)",
    "np.maximum(U, V)",
    "np.minimum(U, y)",
    "np.abs(U - y)",
    "np.clip(U, 0, 2)",
    "np.clip(U, -1, 0)",
    "U*np.sign(U)",
    "U*(U > 0)",
    "np.where(U < 0, U, 0)",
    "np.where(U >= 0, U, -U)",
    "np.exp(-np.abs(U))",
    "np.abs(U)*np.sign(U)",
    "np.maximum(U, 0) + np.log1p(np.exp(-np.abs(U)))",
    "np.sin(U)",
)


def random_sum(rng: Random) -> tuple[str, Callable[[Array, Array], Array]]:
    """A sum of kinks of affine arguments, in one line or in several."""
    lines = []
    for k in range(rng.randint(2, 5)):
        u = f"({rng.choice([1, -1, 2, 0.5])}*x + {rng.choice([0, 0, 1, -1])})"
        piece = rng.choice(PIECES).replace("U", u).replace("V", f"({rng.choice([1, -1, 2])}*x)")
        lines.append(f"    p{k} = {rng.choice([1, -1, 2, -0.5])}*({piece})")
    total = " + ".join(f"p{k}" for k in range(len(lines)))
    last = rng.choice([f"({total}).sum()", f"np.sin({total}).mean()*4"])
    text = "\n".join(["def f(x, y):", *lines, f"    return {last}"])
    names: dict[str, Any] = {"np": np}
    exec(text, names)
    return text, names["f"]


@pytest.mark.parametrize("seed", range(30))
def test_random_sums_lie_between_their_slopes(seed: int) -> None:
    text, f = random_sum(Random(seed))
    x, y = np.array([0.0, 1.0, -1.0, 0.5]), np.array([0.0, 1.0, 0.0, 1.0])
    gradient = pb.grad(f)(x, y)
    for k in range(len(x)):
        step = STEP * (np.arange(len(x)) == k)
        right = (f(x + step, y) - f(x, y)) / STEP
        left = (f(x, y) - f(x - step, y)) / STEP
        assert min(left, right) - 2e-4 <= gradient[k] <= max(left, right) + 2e-4, text
