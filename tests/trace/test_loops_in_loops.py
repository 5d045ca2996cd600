"""Loops whose turns are loops: over a named size each, a plain one in a named one, and random ones;
right at sizes that they weren't traced at, and of one length of source."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import PullbackError
from tests.trace.test_rolling import check

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]
SIZES = ({"B": 4, "T": 9}, {"B": 7, "T": 3}, {"B": 2, "T": 5})


def of_each_row(X: Any, w: Any) -> Any:
    """What each row's recurrence ends with."""
    out = np.zeros(X.shape[0])
    for b in range(X.shape[0]):
        s = 0.0
        for t in range(X.shape[1]):
            s = np.tanh(w * s + X[b, t])
        out[b] = s
    return out


def batch_of_states(X: Any, w: Any) -> Any:
    """All states of a recurrence in each row, as lists of lists."""
    rows = []
    for x in X:
        h, states = 0.5 * w, []
        for value in x:
            h = np.sin(w * h + value)
            states.append(h)
        rows.append(np.stack(states))
    return np.stack(rows)


def loss_of_sequences(X: Any, w: Any) -> Any:
    loss = 0.0
    for b in range(len(X)):
        h = w
        for t in range(X.shape[1]):
            h = 0.5 * h + np.tanh(X[b, t] * h)
            loss += h**2
    return loss / X.shape[0]


def both_ways(X: Any, w: Any) -> Any:
    """Two recurrences in each turn, one of which goes back over what the other made."""
    Y = np.zeros_like(X)
    for b in range(X.shape[0]):
        up, down = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        up[0] = X[b, 0]
        for t in range(1, X.shape[1]):
            up[t] = w * up[t - 1] + X[b, t]
        down[-1] = up[-1]
        for t in range(X.shape[1] - 2, -1, -1):
            down[t] = w * down[t + 1] + up[t]
        Y[b] = down
    return Y


def quadratic(X: Any, w: Any) -> Any:
    """A running sum over the elements of a matrix, row by row."""
    total = 0.0
    for b in range(X.shape[0]):
        for t in range(X.shape[1]):
            total += X[b, t] * X[b, 0]
    return w * np.sin(total)


def few_in_many(X: Any, w: Any) -> Any:
    """A recurrence of a plain number of turns, of which each starts where the last one ended."""
    s = w
    for t in range(X.shape[1]):
        for b in range(5):
            s = np.tanh(w * s + X[b, t])
    return s


def row_by_row(X: Any, w: Any) -> Any:
    """Each row's recurrence starts where the one of the row before ended."""
    s = w
    for b in range(X.shape[0]):
        for t in range(X.shape[1]):
            s = np.tanh(w * s + X[b, t] * (b + 1))
    return s


def epochs(X: Any, w: Any) -> Any:
    """Steps of descent over the columns, again for each row's rate."""
    u = np.array([1.0, 2.0]) * w
    for b in range(X.shape[0]):
        for t in range(X.shape[1]):
            u = u - 0.1 * X[b, 0] * np.cos(u * X[0, t])
    return u


def kept_back(X: Any, w: Any) -> Any:
    """All states, from the last row and the last column on."""
    Y = np.zeros_like(X)
    s = 0.0
    for b in range(X.shape[0] - 1, -1, -1):
        for t in range(X.shape[1] - 1, -1, -1):
            s = np.sin(w * s + X[b, t])
            Y[b, t] = s
    return Y


def sweeps(X: Any, w: Any) -> Any:
    """Gauss-Seidel sweeps on a small grid, over a named number of them."""
    u = X[:4, :4].copy()
    for _ in range(X.shape[1]):
        for i in range(1, 3):
            for j in range(1, 3):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]) + w
    return u


NAMED: list[tuple[Function, str]] = [
    (of_each_row, "B T"),
    (batch_of_states, "B T"),
    (loss_of_sequences, "B T"),
    (both_ways, "B T"),
    (quadratic, "B T"),
    (quadratic, "T T"),
    (few_in_many, "5 T"),
    (row_by_row, "B T"),
    (epochs, "B T"),
    (kept_back, "B T"),
]


def arguments(shape: str, sizes: dict[str, int]) -> list[Array]:
    random = np.random.default_rng(sum(sizes.values()))
    extents = tuple(sizes.get(n) or int(n) for n in shape.split())
    return [random.uniform(0.2, 1.0, extents), np.asarray(0.7)]


@pytest.mark.parametrize(("function", "shape"), NAMED, ids=[f"{f.__name__} {s}" for f, s in NAMED])
def test_loops_in_loops_over_named_sizes(function: Function, shape: str) -> None:
    derivation = pullback.derive(function, X=shape, w="")
    assert len(derivation.source().splitlines()) < 130
    forward, backward = derivation.compile()
    for sizes in SIZES:
        given = arguments(shape, sizes)
        out, cache = forward(*given)
        check(function, given, out, lambda c, cache=cache: backward(c, cache))


STEPS = ("np.tanh({w} + {x})", "0.5*{s} + {x}*{w}", "np.sin({s}*{x})", "np.maximum({s}, {x}) - {w}")
STARTS = ("w", "1.0*w", "x[0]*w", "w + b", "np.sin(w)")
ENDS = ("out[b] = s", "out[b] += s*x[-1]", "total = total + s", "rows.append(s)")
INNER = ("range(n)", "range(1, n)", "range(n - 1, -1, -1)", "reversed(range(n))")


def random_rows(seed: int) -> tuple[str, Function]:
    """A function ``f(X, w)`` with a recurrence or two in each row of X."""
    random = Random(seed)
    body = ["x = X[b]", f"s = {random.choice(STARTS)}"]
    for _ in range(random.randint(1, 2)):
        step = random.choice(STEPS).format(s="s", x="x[t]", w=random.choice(("w*s", "s", "w + s")))
        body += [f"for t in {random.choice(INNER)}:", f"    s = {step}"]
        if random.random() < 0.4:
            body.append("    z[b, t] = s")
    body.append(random.choice(ENDS[:2]))
    body += random.sample(ENDS[2:], random.randint(0, 2))
    rows = "np.stack(rows)," if "rows.append(s)" in body else ""
    lines = [
        "def f(X, w):",
        "    n, rows, total = X.shape[1], [], 0.0",
        "    out, z = np.zeros(len(X)), np.zeros_like(X)",
        "    for b in range(len(X)):",
        *(f"        {line}" for line in body),
        f"    return out, z + 0*X, total + 0*w, {rows}",
    ]
    text = "\n".join(lines)
    space: dict[str, Any] = {"np": np}
    exec(text, space)  # our own text
    return text, space["f"]


@pytest.mark.parametrize("seed", range(8))
def test_random_recurrences_of_rows(seed: int) -> None:
    text, function = random_rows(seed)
    forward, backward = pullback.derive(function, X="B T", w="").compile()
    for sizes in SIZES[:2]:
        given = arguments("B T", sizes)
        out, cache = forward(*given)
        try:
            check(function, given, out, lambda c, cache=cache: backward(c, cache))
        except AssertionError as error:
            raise AssertionError(text) from error


def test_sweeps_on_a_small_grid_over_a_named_number_of_them() -> None:
    forward, backward = pullback.derive(sweeps, X="4 T", w="").compile()
    for length in (5, 9):
        given = arguments("4 T", {"T": length})
        out, cache = forward(*given)
        check(sweeps, given, out, lambda c, cache=cache: backward(c, cache))


def factored(X: Any, w: Any) -> Any:
    """A Cholesky factor by elements: the rows of a table that get longer."""
    A = X.copy()
    for i in range(len(A)):
        for j in range(i):
            A[i, j] = (A[i, j] - A[i, :j] @ A[j, :j]) / A[j, j]
        A[i, i] = np.sqrt(4 + w * A[i, i] - A[i, :i] @ A[i, :i])
    return A


@pytest.mark.parametrize(
    ("function", "shape", "line", "reason"),
    [
        (factored, "B B", "A[i, j] = ", "so do those of the loop around it"),
    ],
)
def test_what_no_loop_is_found_for_is_refused_with_its_line_and_the_reason(
    function: Function, shape: str, line: str, reason: str
) -> None:
    with pytest.raises(PullbackError, match="depends on") as caught:
        pullback.derive(function, X=shape, w="")
    assert line in caught.value.where
    assert reason in caught.value.found
    assert "give the size as a number" in caught.value.hint
    given = np.random.default_rng(1).uniform(0.2, 0.9, (4, 4)), np.asarray(0.5)
    out, pulled = pullback.vjp(function, *given)  # of plain sizes
    check(function, list(given), out, pulled)
