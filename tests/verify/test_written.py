"""check_backward: backward passes as people write them, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pullback.errors import ArgumentError
from pullback.verify.report import Comparison
from pullback.verify.written import check_backward

RNG = np.random.default_rng(3)
X, W, B = RNG.normal(size=(6, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)
G = RNG.uniform(0.5, 2, size=4)
LABELS = np.array([0, 2, 1, 1, 0, 2])


def affine(X: Any, W: Any, b: Any) -> Any:
    return X @ W + b


def affine_backward(dY: Any, X: Any, W: Any, b: Any) -> Any:
    return dY @ W.T, X.T @ dY, dY.sum(0)


def norm(X: Any, gamma: Any, beta: Any) -> Any:
    mu = X.mean(0)
    s = 1 / np.sqrt(((X - mu) ** 2).mean(0) + 1e-5)
    xhat = (X - mu) * s
    return gamma * xhat + beta, (xhat, s, gamma)


def norm_backward(dY: Any, cache: Any) -> Any:
    xhat, s, gamma = cache
    dgamma, dbeta = (dY * xhat).sum(0), dY.sum(0)
    n = len(xhat)
    return gamma * s / n * (n * dY - dbeta - xhat * dgamma), dgamma, dbeta


def norm_in_place(dout: Any, cache: Any) -> Any:
    """The same, written over dout."""
    xhat, s, gamma = cache
    grads = {"dgamma": (dout * xhat).sum(0), "dbeta": dout.sum(0)}
    dout *= len(xhat)
    dout -= grads["dbeta"]
    dout -= xhat * grads["dgamma"]
    dout *= gamma * s / len(xhat)
    return {**grads, "dX": dout}


def loss(S: Any, y: Any) -> Any:
    e = np.exp(S - S.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y]).mean()


def loss_backward(S: Any, y: Any) -> Any:
    """A course's way: no upstream gradient, in place on a copy."""
    e = np.exp(S - S.max(1, keepdims=True))
    dS = e / e.sum(1, keepdims=True)
    dS[np.arange(len(y)), y] -= 1
    dS /= len(y)
    return dS


RIGHT: dict[str, tuple[Any, ...]] = {
    "arguments": (affine, affine_backward, X, W, B),
    "cache": (norm, norm_backward, X, G, B[:1].repeat(4)),
    "in place": (norm, norm_in_place, X, G, B[:1].repeat(4)),
    "no upstream": (loss, loss_backward, X[:, :3], LABELS),
    "single": (lambda X: np.tanh(X), lambda dY, X: dY * (1 - np.tanh(X) ** 2), X),
    "names": (
        affine,
        lambda dY, X, W, b: {"W": X.T @ dY, "b": dY.sum(0), "X": dY @ W.T},
        X,
        W,
        B,
    ),
    "all places": (
        lambda E, i: E[i],
        lambda dY, E, i: (_added(np.zeros_like(E), i, dY), None),
        X,
        np.array([1, 1, -1]),
    ),
    "several outputs": (
        lambda X: (X**2, np.sin(X)),
        lambda dYs, X: 2 * X * dYs[0] + np.cos(X) * dYs[1],
        X,
    ),
    "a tree": (
        lambda p, X: X @ p["W"] + p["b"],
        lambda dY, p, X: ({"W": X.T @ dY, "b": dY.sum(0)}, dY @ p["W"].T),
        {"W": W, "b": B},
        X,
    ),
    "a loop": (
        lambda X: np.tanh(X).sum(1),
        lambda dY, X: np.stack([d * (1 - np.tanh(x) ** 2) for d, x in zip(dY, X, strict=True)]),
        X,
    ),
}


def _added(zeros: Any, index: Any, values: Any) -> Any:
    np.add.at(zeros, index, values)
    return zeros


@pytest.mark.parametrize("name", RIGHT)
def test_right_backward_passes_pass(name: str) -> None:
    forward, backward, *args = RIGHT[name]
    kept = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    report = check_backward(forward, backward, *args)
    assert report.passed, str(report)
    against = {c.against for c in report.comparisons}
    assert against == {"the derived gradient", "finite differences"}
    for now, then in zip(args, kept, strict=True):
        assert now is then or np.array_equal(now, then)


def failed(forward: Any, backward: Any, *args: Any) -> Comparison:
    """The first failure, which names the mistake."""
    report = check_backward(forward, backward, *args)
    assert not report.passed
    return report.failures[0]


def softened(change: Callable[..., Any]) -> Callable[..., Any]:
    """norm_backward with a changed dX."""

    def backward(dY: Any, cache: Any) -> Any:
        xhat, s, gamma = cache
        dX, dgamma, dbeta = norm_backward(dY, cache)
        n = len(xhat)
        return change(dY, dX, gamma * s / n, dbeta, xhat, dgamma), dgamma, dbeta

    return backward


MISTAKES: dict[str, tuple[Any, str, str]] = {
    "sign": (
        (lambda X: np.cos(X), lambda dY, X: dY * np.sin(X), X),
        "X",
        "the sign of dX is wrong everywhere",
    ),
    "mean, not sum": (
        (lambda X: X.mean(0), lambda dY, X: np.tile(dY, (6, 1)), X),
        "X",
        "dX is N times what it should be (a sum for a mean)",
    ),
    "sum, not mean": (
        (lambda X: X.sum(0), lambda dY, X: np.tile(dY, (6, 1)) / 6, X),
        "X",
        "dX is 1/N times what it should be",
    ),
    "a factor": (
        (lambda X: X**2, lambda dY, X: X * dY, X),
        "X",
        "dX is 0.5 times what it should be, everywhere",
    ),
    "transposed shape": (
        (affine, lambda dY, X, W, b: (dY @ W.T, dY.T @ X, dY.sum(0)), X, W, B),
        "W",
        "dW is transposed",
    ),
    "no sum": (
        (affine, lambda dY, X, W, b: (dY @ W.T, X.T @ dY, dY), X, W, B),
        "b",
        "a sum is missing: `dY[n,m]` stands where `sum(n) dY[n,m]` should",
    ),
    "no upstream": (
        (lambda X: X**3, lambda dY, X: 3 * X**2, X),
        "X",
        "the factor `dY[n,d]` is missing in `3*X[n,d]**2*dY[n,d]`",
    ),
    "no mask": (
        (lambda X: np.maximum(X, 0), lambda dY, X: dY * 1, X),
        "X",
        "the mask `[0 < X[n,d]]` is missing",
    ),
    "overwriting": (
        (lambda E, i: E[i], lambda dY, E, i: _overwritten(E, i, dY), X, np.array([1, 1, 2, -1])),
        "E",
        "wrong exactly where i repeats (index 1 along axis 0)",
    ),
    "swapped": (
        (lambda A, C: A * C**2, lambda dY, A, C: (2 * dY * A * C, dY * C**2), X, X[::-1]),
        "A",
        "dC is returned in the place of dA",
    ),
    "missing factor": (
        (lambda X, g: X * g, lambda dY, X, g: (dY * 1, (dY * X).sum(0)), X, G),
        "X",
        "the factor `g[d]` is missing in `g[d]*dY[n,d]`",
    ),
    "mean path": (
        (norm, softened(lambda dY, dX, c, db, xhat, dg: c * (len(dY) * dY - xhat * dg)), X, G, G),
        "X",
        "the term `-dbeta[d]` is missing",
    ),
    "variance path": (
        (norm, softened(lambda dY, dX, c, db, xhat, dg: c * (len(dY) * dY - db)), X, G, G),
        "X",
        "the term `-dgamma[d]*xhat[n,d]` is missing",
    ),
    "nothing": ((lambda X: X**2, lambda dY, X: np.zeros_like(X), X), "X", "dX is zero everywhere"),
    "not finite": (
        (lambda X: X**2, lambda dY, X: 2 * X * dY / (np.arange(4) > 0), X),
        "X",
        "6 of 24 elements are not finite",
    ),
}


def _overwritten(E: Any, i: Any, dY: Any) -> Any:
    dE = np.zeros_like(E)
    dE[i] += dY  # the classic: repeated indices are added once
    return dE


def test_a_mistake_that_looks_like_nothing_known_still_fails() -> None:
    wrong = failed(lambda X, W: X @ W, lambda dY, X, W: (np.sort(dY @ W.T), X.T @ dY), X, W)
    assert wrong.what == "gradient of X"
    assert wrong.hint == "" and wrong.mistake is None


@pytest.mark.parametrize("name", MISTAKES)
def test_common_mistakes_are_recognised(name: str) -> None:
    call, which, told = MISTAKES[name]
    with np.errstate(all="ignore"):
        worst = failed(*call)
    assert worst.what == f"gradient of {which}"
    assert told in worst.hint, worst.hint


def test_only_the_wrong_gradient_fails() -> None:
    def backward(dY: Any, X: Any, W: Any, b: Any) -> Any:
        dX, dW, db = affine_backward(dY, X, W, b)
        dW[1, 2] += 1e-3
        return dX, dW, db

    report = check_backward(affine, backward, X, W, B, seed=5)
    assert [(c.what, c.against, c.index) for c in report.failures] == [
        ("gradient of W", "the derived gradient", (1, 2)),
        ("gradient of W", "finite differences", (1, 2)),
    ]
    worst = report.failures[0]
    assert worst.found - worst.expected == pytest.approx(1e-3)
    assert "seed 5" in str(report)


def test_what_is_changed_in_place_is_reported() -> None:
    def forward(X: Any, W: Any) -> Any:
        return X @ W, (X, W)

    def backward(dY: Any, cache: Any) -> Any:
        X, W = cache
        dX, dW = dY @ W.T, X.T @ dY
        X *= 0
        dY += 1
        return dX, dW

    report = check_backward(forward, backward, X, W)
    assert report.passed
    assert "the backward pass changes X in place" in report.notes
    assert "the backward pass changes dY in place" in report.notes

    def overwriting(X: Any) -> Any:
        X *= 2
        return X

    notes = check_backward(overwriting, lambda dY, X: 2 * dY, X).notes
    assert "the forward pass changes X in place" in notes


def test_a_shared_gradient_is_reported() -> None:
    report = check_backward(lambda X: X + 1.0, lambda dY, X: dY, X)
    assert report.passed
    assert any("shares memory" in note for note in report.notes)


def test_a_forward_pass_that_can_not_be_traced_is_checked_by_differences() -> None:
    def forward(X: Any) -> Any:
        out = np.zeros(len(X))
        for n in range(len(X)):
            out[n] = float(X[n] @ X[n])
        return out

    right = check_backward(forward, lambda dY, X: 2 * X * dY[:, None], X)
    assert right.passed and {c.against for c in right.comparisons} == {"finite differences"}
    assert any("can't be traced" in note for note in right.notes)
    wrong = check_backward(forward, lambda dY, X: -2 * X * dY[:, None], X)
    assert "the sign is wrong" in wrong.failures[0].hint


def test_either_choice_at_a_kink_is_right() -> None:
    at_zero = np.array([1.0, 0.0, -1.0])
    for mask in (lambda x: x > 0, lambda x: x >= 0):
        report = check_backward(
            lambda x: np.maximum(x, 0), lambda dY, x, m=mask: dY * m(x), at_zero
        )
        assert report.passed, str(report)
    wrong = check_backward(lambda x: np.maximum(x, 0), lambda dY, x: dY * (x < 5), at_zero)
    assert not wrong.passed


def test_missing_and_misnamed_gradients() -> None:
    report = check_backward(affine, lambda dY, X, W, b: {"dX": dY @ W.T, "dV": 0}, X, W, B)
    told = [(c.what, c.found) for c in report.failures]
    assert told == [("gradient of W", "nothing"), ("gradient of b", "nothing")]
    with pytest.raises(ArgumentError, match="wrong number of gradients"):
        check_backward(affine, lambda dY, X, W, b: (dY, dY), X, W, B)
    with pytest.raises(ArgumentError, match="wrong number of gradients"):
        check_backward(affine, lambda dY, X, W, b: dY, X, W, B)


def test_functions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ArgumentError, match="too few arguments"):
        check_backward(affine, lambda dY, X: dY, X, W, B)
    with pytest.raises(ArgumentError, match="returns no cache"):
        check_backward(affine, affine_backward, X, W, B, cache=True)
    with pytest.raises(ArgumentError, match="backward pass fails") as error:
        check_backward(affine, lambda dY, X, W, b: dY @ W, X, W, B)
    assert "ValueError" in str(error.value) and "test_written.py" in str(error.value)
    with pytest.raises(ArgumentError, match="forward pass fails"):
        check_backward(lambda X: X @ X, lambda dY, X: dY, X)


def test_a_fault_of_the_derived_gradient_would_be_told() -> None:
    """The two oracles check each other."""
    from pullback.gradients import vjp

    def wrong(f: Any, *args: Any) -> Any:
        out, pull = vjp(f, *args)
        return out, lambda u: tuple(2 * g for g in pull(u))

    report = check_backward(affine, affine_backward, X, W, B, vjp=wrong)
    assert any(
        c.what.startswith("derived") and "fault of pullback" in c.note for c in report.failures
    )
