"""Kinks of one argument: sums whose one-sided slopes agree have that slope."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.calculus.kinks import _never_equal
from pullback.calculus.reverse import reverse
from pullback.ir.interpret import place
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Subscript, at, constant
from pullback.ir.walk import free_indices
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
    "kinks in kinks": (lambda x: np.maximum(np.maximum(x, 0), 0) + np.minimum(x, 0), 1),
    "three in each other": (
        lambda x: np.maximum(np.maximum(np.maximum(x, 0), 0), 0) + np.minimum(x, 0),
        1,
    ),
    "a sign of its own": (lambda x: np.copysign(x, x), 1),
    "a turned sign of its own": (lambda x: np.copysign(x, -2 * x), -1),
    "a sign put back twice": (lambda x: np.abs(np.abs(x)) * np.sign(x), 1),
    "a sign put back to a root": (lambda x: np.sqrt(x**2) * np.sign(x), 1),
    "a sign put back to a hypotenuse": (lambda x: np.hypot(x, 0) * np.sign(x), 1),
    "a sign put back by a selection": (lambda x: np.abs(x) * np.where(x > 0, 1, -1), 1),
    "a sign put back to a bound": (
        lambda x: np.tanh(np.maximum(np.abs(x), 0)) * np.sign(x),
        1,
    ),
    "one side by a step": (lambda x: np.abs(x) * np.heaviside(x, 1) + np.minimum(x, 0), 1),
    "without NaN": (lambda x: np.fmax(x, 0) + np.fmin(x, 0), 1),
    "absent at one point": (lambda x: np.where(x != 0, x, 0), 1),
    "absent but at one point": (lambda x: np.where(x == 0, 2 * x, 3 * x), 3),
    "three masks": (lambda x: x * (x > 0) + x * (x == 0) + x * (x < 0), 1),
    "the size of a sign": (lambda x: x * np.abs(np.sign(x)), 1),
    "a leaky kink in a kink": (
        lambda x: np.maximum(np.where(x > 0, x, 0.1 * x), 0) + np.minimum(x, 0),
        1,
    ),
    "0 at the same point": (lambda x: np.maximum(np.sin(x), 0) + np.minimum(x, 0), 1),
    "not at the zero of a square": (lambda x: x * (x**2 > 0), 1),
    "not where a logarithm is 0": (lambda x: x * (np.log(1 + x**2) ** 3 > 0), 1),
    "not where a root is 1": (lambda x: np.where(np.sqrt(1 + x**2) - 1 > 0, x, 0), 1),
    "not where a cosine is 1": (lambda x: np.where(np.cosh(x) == 1, 0, x), 1),
    "a sign of a sum": (lambda x: np.abs(x) * np.sign(x + np.tanh(x) + x**3), 1),
    "a sign of a product": (lambda x: np.where(x * np.abs(x) > 0, x, 0) + np.minimum(x, 0), 1),
    "in a value without a kink": (
        lambda x: np.maximum(np.where(x != 0, x, 0), 0) + np.minimum(x * np.abs(np.sign(x)), 0),
        1,
    ),
    "a mask beside a root": (lambda x: x * (x > 0) - np.sqrt(x**2) / 2, 0.5),
    "a mask beside a sign": (lambda x: x * (x > 0) - np.copysign(x, 1 + x**2) / 2, 0.5),
    "a clip in a selection": (
        lambda x: np.where(x >= 0, np.clip(-x, 0, np.inf), 2 * x) + 2 * np.maximum(x, 0),
        2,
    ),
    "a sign put back to a sine": (lambda x: np.abs(np.sin(x)) * np.sign(x), 1),
    "a sign by a sine": (lambda x: np.abs(x) * np.sign(np.sin(x)), 1),
    "not where a sine is 0": (lambda x: np.where(np.sin(x) != 0, x, 0), 1),
    "not where a cosine is greatest": (lambda x: np.where(1 - np.cos(x) > 0, x, 0), 1),
    "a mask by a tangent": (lambda x: x * (np.tan(x) > 0) + np.minimum(x, 0), 1),
    "of two equal values": (lambda x: np.maximum(-x, -x) - np.clip(x - x, 0, 1), -1),
    "a root of what has no sign": (lambda x: np.sqrt(np.abs(x) ** 2) * np.sign(x), 1),
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


def test_what_is_known_close_to_0_says_nothing_of_elsewhere() -> None:
    f = lambda x: np.abs(np.sin(x)) * np.sign(x)  # noqa: E731
    x = np.array([-5.0, -4.0, -1.0, 0.0, 1.0, 4.0, 5.0])
    expected = np.cos(x) * np.sign(np.sin(x)) * np.sign(x) + (x == 0)
    assert np.allclose(pb.grad(lambda x: f(x).sum())(x), expected)


def test_bounds_may_cross() -> None:
    """``clip(x, low, high)`` is ``high`` where ``low`` is greater."""
    x = np.array([-3.0, -1.5, -0.25, 0.25, 0.75])
    for f in (
        lambda x: np.where(2 * x < 1, np.clip(2 * x, -x, 1), 1 + 0 * x),
        lambda x: np.abs(np.clip(2 * x, -x, 1) - 1) * np.sign(2 * x - 1),
    ):
        away = (f(x + STEP) - f(x - STEP)) / (2 * STEP)
        assert np.allclose(pb.grad(lambda x, f=f: f(x).sum())(x), away)


UNCHANGED: dict[str, tuple[Callable[[Array], Array], float]] = {
    "one maximum": (lambda x: np.maximum(x, 0), 0),
    "two from one side": (lambda x: np.maximum(x, 0) + np.maximum(3 * x, 0), 0),
    "as written": (lambda x: x * (x >= 0) + x, 2),
    "a clip that is bounded on one side": (lambda x: np.clip(x, 0, np.inf), 1),
    "a clip that is bounded on the other": (lambda x: np.clip(x, -np.inf, 0), 1),
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
            assert np.allclose(value, np.var(x, ddof=ddof), rtol=4e-16, atol=0, equal_nan=True)
        assert np.isfinite(gradient).all() == (len(x) > ddof)


@pytest.mark.parametrize("name", [n for n in SMOOTH_IN_THE_END if n != "cross-entropy of a label"])
def test_it_has_that_slope_elsewhere_and_in_single_precision(name: str) -> None:
    """At -0.0, away from 0 (by differences), and as float32."""
    f, slope = SMOOTH_IN_THE_END[name]
    gradient = pb.grad(lambda x: f(x).sum())
    assert np.allclose(gradient(np.array([-0.0, 0.0])), slope)
    assert np.allclose(gradient(np.zeros(2, np.float32)), slope)
    x = np.array([0.75, -0.5])
    away = (f(x + STEP) - f(x - STEP)) / (2 * STEP)
    assert np.allclose(gradient(x), away, atol=1e-5)


def test_what_is_defined_apart_at_one_point_stays_protected() -> None:
    """A branch that is taken at a single point, because the other one has no value there."""
    protected: list[Callable[[Array], Array]] = [
        lambda x: np.where(x == 0, 1, np.sin(x) / np.where(x == 0, 1, x)),
        lambda x: np.where(x == 0, 0, x * np.log(np.abs(x))),
        lambda x: np.where(x == 0, 0, np.sqrt(np.abs(x))),
        lambda x: np.where(x != 0, x / np.abs(x), 0),
        lambda x: np.where(np.abs(x) > 0, np.abs(x) ** 0.5, 0),
    ]
    with np.errstate(all="ignore"):
        for f in protected:
            assert np.array_equal(pb.grad(lambda x, f=f: f(x).sum())(np.zeros(2)), [0, 0])


def test_forms_that_are_the_same_on_both_sides_are_one() -> None:
    texts = ("sqrt(abs(X[i])**2)", "abs(abs(X[i]))", "maximum(abs(X[i]), 0)")
    bodies = {str(reverse(parse(f"Y[i] = {text}")).statements[0].body) for text in texts}
    assert bodies == {str(reverse(parse("Y[i] = abs(X[i])")).statements[0].body)}


def test_kinks_in_kinks_are_no_longer_than_the_chain_rule() -> None:
    lines = ["H0[i] = relu(X[i])"]
    lines += [f"H{k}[i] = abs(H{k - 1}[i]*a{k}[i] + tanh(H{k - 1}[i]))" for k in range(1, 8)]
    statements = reverse(parse("\n".join(lines))).statements
    assert sum(len(str(s.body)) for s in statements) < 10_000


# Programs of one argument that is 0 at the point where they are looked at: kinks and steps of it in
# each other. Their slopes on both sides are differences in extended precision.
KNOTS = (
    "np.maximum(E, 0)",
    "np.minimum(0, E)",
    "np.abs(E)",
    "np.maximum(E, F)",
    "np.minimum(E, F)",
    "np.clip(E, 0, np.inf)",
    "np.clip(E, -np.inf, 0)",
    "E*np.sign(U)",
    "E*(U > 0)",
    "E*(U != 0)",
    "np.where(0 >= U, E, F)",
    "np.where(U == 0, E, F)",
    "np.copysign(E, U)",
    "E*np.heaviside(U, 1)",
    "np.fmax(E, 0)",
    "np.sqrt(E**2)",
    "np.hypot(E, 0)",
    "E*np.abs(np.sign(U))",
    "np.tanh(E)",
    "np.where(V > 0, E, F)",
    "E*(V != 0)",
    "np.copysign(E, V)",
    "E*np.heaviside(V, 1)",
    "E + F",
    "E - F",
)
# Values that have the sign of their argument, and values that have one sign.
SIGNS = (
    *("U**3", "np.expm1(U)", "(np.exp(U) - 1)", "np.arctan(U)**3", "U*np.abs(U)", "(U + U**3)"),
    *("U**2", "np.log(1 + U**2)**3", "(np.cosh(U) - 1)", "(np.sqrt(1 + U**2) - 1)"),
)
FINE = np.longdouble(2.0**-28)


def random_nest(rng: Random, u: str, depth: int) -> str:
    if depth == 0:
        return f"({rng.choice([1, -1, 2, -0.5])}*{u})"
    text = rng.choice(KNOTS).replace("V", rng.choice(SIGNS))
    for letter in "EFU":
        inner = random_nest(rng, u, 0 if letter == "U" else depth - 1)
        text = text.replace(letter, inner)
    return f"({text})"


@pytest.mark.parametrize("seed", range(20))
def test_random_nests_have_the_slope_that_both_sides_have(seed: int) -> None:
    rng = Random(seed)
    u = rng.choice(["x", "x", "(x - 1)", "(x - y)"])
    text = " + ".join(random_nest(rng, u, rng.randint(1, 2)) for _ in range(rng.randint(1, 3)))
    f = eval(f"lambda x, y: {text}", {"np": np})
    start = {"x": 0.0, "(x - 1)": 1.0, "(x - y)": 0.25}[u]
    x, y = np.array([start, 0.75]), np.array([0.25, -0.5])
    gradient = pb.grad(lambda x, y: f(x, y).sum(), argnums=(0, 1))(x, y)
    tangent = pb.jvp(f, (x, y), (np.ones(2), np.zeros(2)))[1]
    assert np.allclose(tangent, gradient[0]), text
    for k, found in enumerate(gradient):
        at = [x.astype(FINE.dtype), y.astype(FINE.dtype)]
        right, left = (
            (f(*at[:k], at[k] + step, *at[k + 1 :]) - f(*at)) / step for step in (FINE, -FINE)
        )
        settled = np.abs(right) + np.abs(left) < 1e6  # it is continuous there
        low, high = np.minimum(left, right) - 1e-5, np.maximum(left, right) + 1e-5
        assert np.all((low <= found) & (found <= high) | ~settled), text


# Elements that are read at two places which are one on the diagonal.
PAIRS: dict[str, Callable[[Array], Array]] = {
    "a maximum in a minimum": lambda x: np.minimum(x[:, None], np.maximum(0, x)),
    "a sign put back": lambda x: np.abs(x[:, None]) * np.sign(x),
    "a mask": lambda x: x[:, None] * (x != 0),
    "two masks": lambda x: np.maximum(x[:, None], 0) * (x > 0),
    "a selection": lambda x: np.where(x > 0, x[:, None], np.minimum(x, 0)),
    "a sum": lambda x: np.maximum(x[:, None], 0) + np.minimum(x, 0),
    "a difference": lambda x: np.abs(x[:, None] - x) * np.sign(x[:, None]),
    "by lookups": lambda x: np.minimum(x[[0, 1, 2]], np.maximum(0, x[[0, 2, 2]]))[:, None],
    "beside one element": lambda x: np.minimum(x, np.maximum(0, x[0]))[:, None],
}


@pytest.mark.parametrize("name", PAIRS)
def test_elements_that_are_one_at_some_places_are_one_there(name: str) -> None:
    f, x = PAIRS[name], np.array([0.0, 0.0, 1.0])
    weights = np.diag([1.5, -0.5, 2.0]) if f(x).shape == (3, 3) else np.array([[2.0], [0], [-1]])
    gradient = pb.grad(lambda x: (f(x) * weights).sum())(x)
    for k in range(3):
        step = FINE * (np.arange(3) == k)
        slopes = [((f(x + s) - f(x)) * weights).sum() / s[k] for s in (step, -step)]
        assert min(slopes) - 1e-6 <= gradient[k] <= max(slopes) + 1e-6


def test_elsewhere_such_elements_are_two() -> None:
    f = lambda x: np.minimum(x[:, None], np.maximum(0, x))  # noqa: E731
    x = np.array([0.5, -1.0, 2.0])
    gradient = pb.grad(lambda x: f(x).sum())(x)
    away = [(f(x + s).sum() - f(x - s).sum()) / (2 * STEP) for s in STEP * np.eye(3)]
    assert np.allclose(gradient, away)


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


@pytest.mark.parametrize(
    "text",
    [
        "v[i] = maximum(a[], c[i]); Y[i,j] = v[i] - v[j]",
        "v[i] = maximum(a[], c[i]); Y[i,j] = v[i] + v[j]*c[i]",
        "v[i,k] = maximum(a[k], c[i,k]); Y[i,j,k] = v[i,k] - v[j,k]",
        "v[i] = a[]*[0 < c[i]] - a[]*[c[i] < 0]; Y[i,j] = v[i] - 2*v[j]",
        "v[i] = maximum(a[], c[i]) + minimum(a[], c[i]); Y[i,j] = v[i] - v[j]",
    ],
)
def test_steps_under_a_sum_are_those_of_the_index_that_they_read(text: str) -> None:
    """``Σ_ij dY[i,j]·[a < c[i]]`` and ``Σ_ij dY[j,i]·[a < c[i]]`` are two sums."""
    assert pb.derive(text, wrt="a").verify().passed
    assert pb.derive(text).verify().passed


def test_elements_that_a_product_goes_through_are_no_elements_of_its_value():
    """Whether X[k[j]] is X[k[0]] can't be asked outside the product over j."""
    program = parse(
        "X[M]; k[3*M]; A[] = (prod(i:3,j:3*M if 0 <= i-j < M) X[k[j]])*([index(-1) % 2 = 0]"
        "*([0 <= index(3*M-1) < 3*M]*X[k[0]])); Y[] = abs(-3 - where(0 <= index(3*M-1) < 3*M,"
        " X[k[0]], 2)) + maximum(A, 0)*[0 < where(0 <= index(0) < 1, softplus(A), 1)]"
    )
    backward = reverse(program)
    for statement in (*backward.adjoints, *backward.statements):
        assert set(free_indices(statement.body)) <= set(statement.indices), statement.target.name


@pytest.mark.parametrize("seed", range(8))
def test_places_that_are_never_equal(seed: int) -> None:
    """Whatever is said never to be equal isn't at any place; multiples of a number, and numbers
    added to them, are told apart."""
    rng = Random(seed)
    one, other = size("N"), size("M")
    indices = (Index("i", one), Index("j", other), Index("k", size(3)))
    said = 0
    for _ in range(150):
        left, right = (
            constant(rng.randint(-3, 6)) + at(rng.choice(indices)) * rng.choice((0, 1, 2, 2, 4, -2))
            for _ in range(2)
        )
        if rng.random() < 0.3:
            right = constant(one + rng.randint(-2, 2)) + at(indices[2]) * rng.choice((0, 1))
        found = _never_equal(left, right)
        said += found
        for n, m in ((1, 2), (2, 1), (4, 3)):
            ranges = [range(i.extent.value({"N": n, "M": m})) for i in indices]
            for point in product(*ranges):
                where = dict(zip(indices, point, strict=True))
                a, b = (place(sub, where, {}, {"N": n, "M": m}) for sub in (left, right))
                assert not (found and a == b), (left, right)
    assert said > 10


N = size("N")
ROW, COLUMN = at(Index("i", N)), at(Index("j", N))
NEVER = (
    (ROW, ROW + constant(1), False),  # the places of two statements
    (ROW, COLUMN + constant(1), False),
    (ROW * 2, COLUMN * 2 + constant(1), True),
    (ROW * 2, COLUMN * 4 + constant(3), True),
    (ROW * 2, COLUMN * 4 + constant(2), False),
    (ROW * 4, COLUMN * 6 + constant(3), True),
    (ROW * 4, COLUMN * 6 + constant(2), False),
    (ROW, constant(N), True),
    (constant(N), ROW, True),
    (ROW, constant(N - 1), False),
    (ROW + constant(1), constant(0), True),
    (constant(0), ROW + constant(1), True),
    (ROW, constant(0), False),
    (constant(1), constant(2), True),
    (constant(2), constant(2), False),
    (ROW * N, COLUMN * N + constant(1), False),
    (ROW * 2 + constant(N), COLUMN * 2 + constant(1), False),
)


@pytest.mark.parametrize(("left", "right", "expected"), NEVER)
def test_which_places_are_never_equal(left: Subscript, right: Subscript, expected: bool) -> None:
    assert _never_equal(left, right) is expected
