"""Loops whose turns solve, invert, factor, transform or sort what the turn before made: found over
named sizes, with the function itself and its differences as oracles."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import NotationError
from tests.trace.test_rolling import check

Array = np.ndarray[Any, Any]


def kalman(y: Any, A: Any, C: Any, Q: Any, R: Any) -> Any:
    D = A.shape[0]
    m, P, total = np.zeros(D), np.eye(D), 0.0
    for t in range(y.shape[0]):
        m = A @ m
        P = A @ P @ A.T + Q @ Q.T
        S = C @ P @ C.T + R @ R.T
        gain = P @ C.T @ np.linalg.inv(S)
        error = y[t] - C @ m
        m = m + gain @ error
        P = P - gain @ C @ P
        total = total - 0.5 * (error @ np.linalg.solve(S, error) + np.linalg.slogdet(S)[1])
    return total, m


def implicit_steps(A: Any, x: Any, h: Any) -> Any:
    for step in h:
        x = np.linalg.solve(np.eye(x.shape[0]) - 0.1 * step * A, x)
    return x


def newton(x: Any, b: Any, s: Any) -> Any:
    for t in range(s.shape[0]):
        slopes = np.diag(3 * x**2 + 1) + 0.1 * np.outer(x, x)
        x = x - s[t] * np.linalg.solve(slopes, x**3 + x - b)
    return x


def least_squares(X: Any, y: Any) -> Any:
    w, P = np.zeros(X.shape[1]), np.eye(X.shape[1])
    for x, wanted in zip(X, y):  # noqa: B905
        w = w + P @ x / (1 + x @ P @ x) * (wanted - w @ x)
        P = np.linalg.inv(np.linalg.inv(P) + np.outer(x, x))
    return w, P


def factors(A: Any, e: Any) -> Any:
    S, out = A @ A.T + np.eye(A.shape[0]), []
    for t in range(e.shape[0]):
        z = np.linalg.cholesky(S) @ e[t]
        S = 0.5 * S + 0.1 * np.outer(z, z) + np.eye(A.shape[0])
        out.append(z)
    return np.stack(out)


def split_steps(x: Any, u: Any, w: Any) -> Any:
    k = np.arange(u.shape[0]) / 10
    for t in range(x.shape[0]):
        u = np.real(np.fft.ifft(np.fft.fft(u) * np.exp(-(k**2) * w))) + x[t] * u * (1 - u)
    return u


def orthogonal(A: Any, s: Any) -> Any:
    Q, total = A, 0.0
    for t in range(s.shape[0]):
        Q, R = np.linalg.qr(A @ Q * s[t])
        total = total + np.diag(R).sum()
    return Q, total


def in_order(x: Any, h: Any) -> Any:
    for t in range(x.shape[0]):
        h = 0.9 * np.sort(h + np.sin(7 * x[t]))
    return h


def of_each_batch(X: Any, A: Any) -> Any:
    h = np.zeros(X.shape[1:])
    for t in reversed(range(X.shape[0])):
        M = A + 0.1 * h[:, :, None] * h[:, None, :]
        h = np.linalg.solve(M, X[t][:, :, None])[:, :, 0]
    return h


def one_matrix_each_turn(X: Any, w: Any) -> Any:
    h = w * X[:, 0]
    for t in range(X.shape[1]):
        h = np.linalg.solve(np.eye(3) + w * X[:, :3], h + X[:, t])
    return h


LEAST = {
    of_each_batch: 1,
    kalman: 1,
    least_squares: 1,
    one_matrix_each_turn: 3,
}  # lengths of loops whose first turn differs
LOOPS: list[tuple[Callable[..., Any], dict[str, str]]] = [
    (kalman, {"y": "T M", "A": "D D", "C": "M D", "Q": "D D", "R": "M M"}),
    (implicit_steps, {"A": "D D", "x": "D", "h": "T"}),
    (newton, {"x": "D", "b": "D", "s": "T"}),
    (least_squares, {"X": "T D", "y": "T"}),
    (factors, {"A": "D D", "e": "T D"}),
    (split_steps, {"x": "T", "u": "D", "w": ""}),
    (orthogonal, {"A": "D D", "s": "T"}),
    (in_order, {"x": "T D", "h": "D"}),
    (one_matrix_each_turn, {"X": "3 T", "w": ""}),
    (of_each_batch, {"X": "T M D", "A": "D D"}),
]


def given_to(shapes: dict[str, str], length: int) -> list[Array]:
    """Arguments; square matrices are far from singular."""
    random = np.random.default_rng(length)
    sizes = {"T": length, "D": 3, "M": 2, "3": 3}
    found = []
    for shape in shapes.values():
        array = random.uniform(0.2, 1.0, tuple(sizes[n] for n in shape.split()))
        found.append(array + 2 * np.eye(len(array)) if shape in ("D D", "M M") else array)
    return found


@pytest.mark.parametrize(("function", "shapes"), LOOPS, ids=[f.__name__ for f, _ in LOOPS])
def test_loops_over_a_named_size(function: Callable[..., Any], shapes: dict[str, str]) -> None:
    derivation = pullback.derive(function, **shapes)
    assert len(derivation.source().splitlines()) < 200
    forward, backward = derivation.compile()
    for length in (0, 1, 2, 3, 9):
        if length < LEAST.get(function, 0):
            continue
        given = given_to(shapes, length)
        try:
            function(*given)
        except ValueError:
            continue  # NumPy stacks no empty lists
        out, cache = forward(*given)
        check(function, given, out, lambda c, cache=cache: backward(c, cache))


def test_both_parts_of_a_transform_are_computed_once_a_step() -> None:
    lines = pullback.derive(split_steps, x="T", u="D", w="").source().splitlines()
    assert sum("np.fft.fft(" in line for line in lines if "#" not in line) == 1


OPERATIONS = {  # what a step's vector is made of its matrix M and its vector v
    "inverse": ("K[t,i,j] = inverse(M)[t,i,j]", "sum(j) K[t,i,j]*v[t,j]"),
    "solve": ("K[t,i] = solve(M, v)[t,i]", "K[t,i]"),
    "solve_transposed": ("K[t,i] = solve_transposed(M, v)[t,i]", "K[t,i]"),
    "logdet": ("K[t] = logdet(M)[t]", "K[t]*v[t,i]"),
    "cholesky": ("K[t,i,j] = cholesky(M)[t,i,j]", "sum(j) K[t,i,j]*v[t,j]"),
    "eigenvalues": ("K[t,i] = eigenvalues(M)[t,i]", "K[t,i]*v[t,i]"),
    "exponential": ("K[t,i,j] = exponential(M)[t,i,j]", "sum(j) K[t,i,j]*v[t,j]/20"),
    "argsort": ("K[t,i] = argsort(v)[t,i]", "v[t,K[t,i]]*M[t,i,i]"),
}


@pytest.mark.parametrize("seed", range(24))
def test_random_recurrences_with_operations(seed: int) -> None:
    random = Random(seed)
    name = [*OPERATIONS][seed % len(OPERATIONS)]
    line, value = OPERATIONS[name]
    ahead = random.random() < 0.4
    inside, there = ("t+1 < T", "t+1") if ahead else ("t >= 1", "t-1")
    before = f"where({inside}, x[{there},{{}}], {random.choice(('0', 'a[{}]', '1'))})"
    one, other = before.format("i", "i"), before.format("j", "j")
    bend = random.choice(("tanh({})", "{}/4", "sin({})"))
    lines = [
        "A[D,D]", "y[T,D]", "a[D]",
        f"M[t:T,i:D,j:D] = sum(k) A[i,k]*A[j,k]/3 + [i = j]*(2 + i) + 0.1*({one})*({other})",
        f"v[t:T,i:D] = y[t,i] + 0.5*({one}) + 3*[i = 0]",
        line,
        f"x[t:T,i:D] = {bend.format(value)}",
        f"return {random.choice(('x', 'K, x' if name != 'argsort' else 'x', 'v, x'))}",
    ]  # fmt: skip
    derivation = pullback.derive("\n".join(lines))
    report = derivation.verify(seed=seed)
    assert report.passed, "\n".join([*lines, str(report)])


def test_an_operation_on_all_steps_of_its_own_recurrence_is_refused() -> None:
    text = "y[T]\nK[i:T] = solve(A, x)[i]\nx[t:T] = y[t] + where(t >= 1, K[t-1], 0)\nA[T,T]"
    with pytest.raises(NotationError, match="x is read before it is defined"):
        pullback.derive(text)
