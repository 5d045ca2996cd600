"""check_grads: it passes what is right, fails what is wrong, and says where."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pullback.errors import ArgumentError, CheckError
from pullback.verify.dot import dot_test
from pullback.verify.gradients import check_grads

RNG = np.random.default_rng(1)
X, W, B = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2)), RNG.normal(size=2)


def affine(X: Any, W: Any, b: Any) -> Any:
    return np.tanh(X @ W + b)


def spoiled(change: Callable[[Any], Any], which: int = 0) -> Callable[..., Any]:
    """This package's vjp with one gradient changed."""
    from pullback.gradients import vjp

    def made(f: Any, *args: Any) -> Any:
        out, pull = vjp(f, *args)

        def changed(u: Any) -> Any:
            gradients = list(pull(u))
            gradients[which] = change(gradients[which])
            return tuple(gradients)

        return out, changed

    return made


def test_right_gradients_pass() -> None:
    report = check_grads(affine, (X, W, B))
    assert report.passed and not report.failures
    assert {c.what for c in report.comparisons} == {
        "gradient of X",
        "gradient of W",
        "gradient of b",
        "derivative along a direction",
        "⟨Jᵀu, v⟩",
    }
    assert report.raise_if_failed() is report


WRONG: dict[str, Callable[[Any], Any]] = {
    "sign": lambda g: -g,
    "factor": lambda g: 1.0001 * g,
    "one element": lambda g: g + 1e-3 * (np.arange(g.size).reshape(g.shape) == 5),
    "zero": lambda g: 0 * g,
    "not a number": lambda g: g * np.where(np.arange(g.size).reshape(g.shape) == 5, np.nan, 1),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_fail(name: str) -> None:
    report = check_grads(affine, (X, W, B), vjp=spoiled(WRONG[name]), modes=("rev",))
    assert not report.passed
    assert [c.what for c in report.failures] == ["gradient of X"]
    if name in ("one element", "not a number"):
        assert report.failures[0].index == (1, 1)
    with pytest.raises(CheckError, match="worst element"):
        report.raise_if_failed()


def test_the_worst_element_is_named_with_what_was_expected() -> None:
    report = check_grads(
        affine, (X, W, B), vjp=spoiled(WRONG["one element"]), modes=("rev",), seed=4
    )
    worst = report.failures[0]
    assert worst.found - worst.expected == pytest.approx(1e-3, rel=1e-4)
    assert worst.error == pytest.approx(1e-3, rel=1e-4)
    assert worst.tolerance < 1e-4
    text = str(report)
    for part in ("FAILED (seed 4)", "gradient of X", "[1, 1]", "expected", "found"):
        assert part in text
    data = json.loads(report.to_json())
    assert data["passed"] is False and data["seed"] == 4
    assert data["comparisons"][0]["index"] == [1, 1]


def test_a_wrong_shape_is_told() -> None:
    report = check_grads(affine, (X, W, B), vjp=spoiled(lambda g: g.T), modes=("rev",))
    assert report.failures[0].expected == "shape (3, 4)"
    assert report.failures[0].found == "shape (4, 3)"


def test_a_wrong_pushforward_fails() -> None:
    from pullback.gradients import jvp

    def wrong(f: Any, primals: Any, tangents: Any) -> Any:
        out, moved = jvp(f, primals, tangents)
        return out, 1.001 * moved

    report = check_grads(affine, (X, W, B), jvp=wrong)
    assert [c.what for c in report.failures] == ["derivative along a direction", "⟨Jᵀu, v⟩"]
    assert not dot_test(affine, (X, W, B), jvp=wrong).passed
    assert dot_test(affine, (X, W, B)).passed


def test_large_inputs_are_sampled_and_still_guarded() -> None:
    big = RNG.normal(size=(40, 30))

    def f(x: Any) -> Any:
        return (x * x).sum()

    assert check_grads(f, (big,)).passed
    one = check_grads(
        f, (big,), vjp=spoiled(lambda g: g + (np.arange(1200).reshape(40, 30) == 777))
    )
    assert not one.passed  # by the random directions


def test_argnums_choose_inputs() -> None:
    for chosen in (1, -2, "W"):
        report = check_grads(affine, (X, W, B), argnums=chosen, modes=("rev",))
        assert [c.what for c in report.comparisons] == ["gradient of W"]
    assert len(check_grads(affine, (X, W, B), argnums=(0, "b"), modes=("rev",)).comparisons) == 2


def test_narrow_floats_keep_their_dtype() -> None:
    report = check_grads(affine, (X.astype(np.float32), W, B), modes=("rev",))
    assert report.passed
    assert "gradient of X in float32" in [c.what for c in report.comparisons]
    wide = check_grads(
        affine,
        (X.astype(np.float32), W, B),
        vjp=spoiled(lambda g: np.asarray(g, np.float64)),
        modes=("rev",),
    )
    assert wide.failures[0].expected == "float32, shape (3, 4)"
    assert wide.failures[0].found == "float64, shape (3, 4)"


@dataclass
class Layer:
    W: Any
    b: Any


def test_trees_and_integers() -> None:
    def loss(params: Any, labels: Any) -> Any:
        score = np.tanh(params["layer"].W) + params["layer"].b
        return {"score": score, "picked": score[np.arange(3), labels], "labels": labels}

    params = {"layer": Layer(RNG.normal(size=(3, 2)), np.array([0.5, -1.0])), "scale": 2}
    report = check_grads(loss, (params, np.array([0, 1, 1])))
    assert report.passed
    names = [c.what for c in report.comparisons]
    assert "gradient of params['layer'].W" in names and "gradient of params['layer'].b" in names


def test_numbers_and_empty_arrays() -> None:
    assert check_grads(lambda x, y: x**2 * y, (3.0, np.float64(2.0))).passed
    empty = check_grads(lambda x: (x * x).sum(), (np.zeros((0, 3)),))
    assert empty.passed and empty.comparisons[0].note == "no elements"


def test_kinks_are_told_and_not_compared() -> None:
    report = check_grads(lambda x: np.maximum(x, 0), (np.array([0.0, 1.0, -1.0]),), modes=("rev",))
    assert report.passed
    assert "1 at kinks" in report.comparisons[0].note and report.comparisons[0].elements == 2
    nothing = check_grads(lambda x: np.abs(x), (np.zeros(2),), modes=("rev",))
    assert not nothing.passed and nothing.comparisons[0].status == "not checked"
    assert "not checked" in str(nothing)


def test_the_gradients_gradient() -> None:
    def cubic(x: Any) -> Any:
        return (x**3).sum()

    report = check_grads(cubic, (np.array([1.0, -2.0]),), order=2)
    assert report.passed
    assert any(c.what.startswith("second order") for c in report.comparisons)


def test_the_same_seed_gives_the_same_report() -> None:
    first, second = (check_grads(affine, (X, W, B), seed=7).to_json() for _ in range(2))
    assert first == second
    assert check_grads(affine, (X, W, B), seed=8).to_json() != first


def test_a_cotangent_is_not_the_callers_own_random_array() -> None:
    """An array drawn by default_rng(seed) is not drawn again as the cotangent."""
    for seed in range(3):
        own = np.random.default_rng(seed).standard_normal(4)
        seen: list[Any] = []

        def kept(f: Any, *args: Any, seen: list[Any] = seen) -> Any:
            from pullback.gradients import vjp

            out, pull = vjp(f, *args)
            return out, lambda u: (seen.append(u), pull(u))[1]

        check_grads(lambda x: x * x, (own,), vjp=kept, modes=("rev",), seed=seed)
        assert not np.allclose(seen[0], own)


def test_what_can_not_be_checked_is_refused() -> None:
    with pytest.raises(ArgumentError, match="arguments as a tuple"):
        check_grads(affine, X)
    with pytest.raises(ArgumentError, match="no float"):
        check_grads(lambda n: n * 2, (np.arange(3),))
    with pytest.raises(ArgumentError, match="unknown mode"):
        check_grads(affine, (X, W, B), modes=("backward",))
    with pytest.raises(ArgumentError, match="order below 1"):
        check_grads(affine, (X, W, B), order=0)
    with pytest.raises(ArgumentError, match="result holds no float"):
        check_grads(lambda x: np.argmax(x), (X,))


def test_arguments_are_left_alone() -> None:
    x = X.copy()
    check_grads(lambda a: (a * a).sum(), (x,))
    assert np.array_equal(x, X)
