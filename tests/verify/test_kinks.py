"""At a kink only finite values between the slopes on both sides are accepted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pullback import check_backward, check_grads, vjp
from pullback.verify.differences import slope

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(11)


@pytest.mark.parametrize(
    ("line", "sides"),
    [
        (abs, (-1.0, 1.0)),
        (lambda t: max(2 * t, -3 * t) + np.sin(t), (-2.0, 3.0)),
        (lambda t: max(t, 0.0) + 0.5 * min(t, 0.0), (0.5, 1.0)),
        (lambda t: np.exp(abs(t)) * 1e3, (-1e3, 1e3)),
    ],
)
def test_the_slopes_on_both_sides(line: Callable[[float], float], sides: Any) -> None:
    found = slope(line)
    assert found.kink and found.sides is not None
    assert np.allclose(sorted(found.sides), sides, rtol=1e-4)
    low, high = sides
    for inside in (low, high, (low + high) / 2):
        assert found.admits(inside, 0.0)
    width = high - low
    for outside in (low - width / 100, high + width / 100, np.nan, np.inf, -np.inf):
        assert not found.admits(outside, 0.0)


def test_infinite_slopes_admit_nothing() -> None:
    found = slope(lambda t: np.sqrt(abs(t)))
    assert found.kink and found.sides is None and not found.admits(0.0, 1.0)
    with np.errstate(all="ignore"):
        report = check_grads(lambda x: np.sqrt(np.abs(x)).sum(), (np.zeros(2),), modes=("rev",))
    assert report.status == "not checked" and report.unchecked == 2


def norm(x: Array) -> Array:
    return np.sqrt((x**2).sum(axis=1))


def test_a_norms_gradient_that_is_not_finite_at_zero_is_wrong() -> None:
    def backward(dY: Array, x: Array) -> Array:
        with np.errstate(all="ignore"):
            return x * (dY / norm(x))[:, None]

    for x in (np.zeros((2, 3)), np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]])):
        report = check_backward(norm, backward, x)
        assert report.status == "failed"
        assert {c.against for c in report.failures} >= {"the derived gradient"}
    safe = check_backward(norm, lambda dY, x: x * (dY / np.maximum(norm(x), 1e-9))[:, None], x)
    assert safe.status == "passed"


def net(W1: Array, W2: Array, X: Array) -> Array:
    return np.maximum(X @ W1, 0) @ W2


def backward_of_net(dY: Array, W1: Array, W2: Array, X: Array, at_zero: float = 0.0) -> Any:
    H = X @ W1
    dH = np.where(H == 0, at_zero, H > 0) * (dY @ W2.T)
    return X.T @ dH, np.maximum(H, 0).T @ dY, dH @ W1.T


ZEROS = np.zeros((3, 4)), np.ones((4, 2)), np.ones((5, 3))


def test_any_number_at_a_kink_is_wrong() -> None:
    def backward(dY: Array, W1: Array, W2: Array, X: Array) -> Any:
        right = backward_of_net(dY, W1, W2, X)
        return (777 * np.ones_like(W1), *right[1:])

    report = check_backward(net, backward, *ZEROS)
    assert report.status == "failed"
    assert {c.what for c in report.failures} == {"gradient of W1"}


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_every_choice_of_one_kink_is_accepted_and_counted(at_zero: float) -> None:
    report = check_backward(
        net, lambda dY, W1, W2, X: backward_of_net(dY, W1, W2, X, at_zero), *ZEROS
    )
    assert not report.failures and report.unchecked
    if at_zero:
        by_name = [c for c in report.comparisons if c.what == "gradient of W1"]
        assert [c.status for c in by_name] == ["not checked", "not checked"]
        assert "12 at kinks" in by_name[0].note and report.status == "not checked"


@pytest.mark.parametrize("seed", range(8))
def test_where_several_kinks_meet_the_usual_choice_is_never_failed(seed: int) -> None:
    """The slopes on both sides may be 3 and 2 where every library says 0."""
    rng = np.random.default_rng(seed)
    args = np.zeros((3, 4)), rng.normal(size=(4, 2)), rng.normal(size=(5, 3))
    assert not check_backward(net, backward_of_net, *args, seed=seed).failures
    derived = check_grads(net, args, seed=seed)
    assert not derived.failures, str(derived)

    def untraceable(W1: Array, W2: Array, X: Array) -> Array:
        return np.asarray(np.array(net(W1, W2, X).tolist()))

    assert not check_backward(untraceable, backward_of_net, *args, seed=seed).failures


KINKED: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "abs": np.abs,
    "clip": lambda x: np.clip(x, -1, 1),
    "hinge": lambda x: np.maximum(0, 1 - x) ** 1,
    "norm": lambda x: np.sqrt((x * x).sum(axis=0)),
}


@pytest.mark.parametrize("name", KINKED)
@pytest.mark.parametrize("seed", range(2))
def test_values_around_the_slopes(name: str, seed: int) -> None:
    """A gradient moved to another value between the slopes is accepted, one beyond them is not."""
    f, rng = KINKED[name], np.random.default_rng(seed)
    x = rng.choice([-1.0, 0.0, 1.0, 0.3], size=5)
    x = np.zeros(5) if name == "norm" else x

    def moved(by: float) -> Any:
        def pull(_: Any, x: Array) -> Any:
            value, back = vjp(f, x)
            return value, lambda dY: tuple(g + by for g in back(dY))

        return pull

    assert not check_grads(f, (x,), seed=seed, modes=("rev",), vjp=moved(0.0)).failures
    for by in (50.0, -50.0, np.nan):
        wrong = check_grads(f, (x,), seed=seed, modes=("rev",), vjp=moved(by))
        assert wrong.status == "failed", str(wrong)
        written = check_backward(f, lambda dY, x, b=by: vjp(f, x)[1](dY)[0] + b, x, seed=seed)
        assert written.status == "failed", str(written)
