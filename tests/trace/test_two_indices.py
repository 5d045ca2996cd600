"""Loops within loops of which the turns of both need each other: named examples and random ones,
right at sizes that they weren't traced at, small ones among them, or refused there."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import PullbackError
from tests.trace.test_rolling import check

Function = Callable[..., Any]
SIZES = ((1, 1), (1, 3), (3, 1), (2, 2), (3, 5), (7, 4))


def gauss_seidel(u: Any, f: Any) -> Any:
    """One sweep over the inner points of a grid."""
    u = u.copy()
    for i in range(1, u.shape[0] - 1):
        for j in range(1, u.shape[1] - 1):
            u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] - f[i, j])
    return u


def filtered(x: Any, a: Any) -> Any:
    """A recursive filter of an image, of second order along both axes."""
    y = np.zeros_like(x)
    for i in range(2, x.shape[0]):
        for j in range(2, x.shape[1]):
            y[i, j] = x[i, j] + a * y[i - 1, j] + 0.2 * y[i, j - 1] - 0.1 * y[i - 2, j]
    return y


def rows_of_lists(x: Any, a: Any) -> Any:
    """States from row to row and within a row, in lists."""
    out, before = [], np.zeros(x.shape[1])
    for row in x:
        now, left = [], a
        for k in range(len(row)):
            left = np.tanh(row[k] + a * before[k] + left)
            now.append(left)
        before = np.stack(now)
        out.append(before)
    return np.stack(out)


def carried_on(x: Any, a: Any) -> Any:
    """Each row's recurrence begins with what became of the one before."""
    s = a
    for i in range(x.shape[0]):
        h = s
        for j in range(x.shape[1]):
            h = np.tanh(h + x[i, j])
        s = s - 0.1 * h
    return s


def soft_alignment(D: Any, g: Any) -> Any:
    """Soft dynamic time warping."""
    N, M = D.shape
    R = np.full((N + 1, M + 1), 1e9)
    R[0, 0] = 0.0
    for i in range(1, N + 1):
        for j in range(1, M + 1):
            ways = (
                np.exp(-R[i - 1, j - 1] / g) + np.exp(-R[i - 1, j] / g) + np.exp(-R[i, j - 1] / g)
            )
            R[i, j] = D[i - 1, j - 1] - g * np.log(ways)
    return R[N, M]


EXAMPLES: tuple[tuple[Function, dict[str, str]], ...] = (
    (gauss_seidel, {"u": "N M", "f": "N M"}),
    (filtered, {"x": "N M", "a": ""}),
    (rows_of_lists, {"x": "N M", "a": ""}),
    (carried_on, {"x": "N M", "a": ""}),
    (soft_alignment, {"D": "N M", "g": ""}),
)


def right_or_refused(function: Function, shapes: dict[str, str]) -> tuple[int, str]:
    """At how many sizes a function is right, and its source; at others it has to be refused."""
    derivation = pullback.derive(function, **shapes)
    forward, backward = derivation.compile()
    right = 0
    for rows, columns in SIZES:
        rng = np.random.default_rng(rows + columns)
        of = {"N": rows, "M": columns}
        given = [rng.uniform(0.2, 0.9, [of[n] for n in text.split()]) for text in shapes.values()]
        try:
            out, cache = forward(*given)
        except PullbackError:
            continue
        check(function, given, out, lambda c, cache=cache: backward(c, cache))
        right += 1
    return right, derivation.source()


@pytest.mark.parametrize(("function", "shapes"), EXAMPLES, ids=[f.__name__ for f, _ in EXAMPLES])
def test_loops_of_which_both_need_their_turns(function: Function, shapes: dict[str, str]) -> None:
    right, source = right_or_refused(function, shapes)
    assert right >= 2
    assert "    for " in source and "        for " in source
    assert len(source.splitlines()) < 260


def convolved(x: Any, h: Any) -> Any:
    """Each product is added at its place; the last of a row is the first one at its place."""
    y = np.zeros(len(x) + len(h) - 1)
    for i in range(len(x)):
        for j in range(len(h)):
            y[i + j] += x[i] * h[j]
    return y


def bent(x: Any, h: Any) -> Any:
    y = np.ones(len(x) + len(h) - 1)
    for i in range(len(x)):
        for j in reversed(range(len(h))):
            y[i - j + len(h) - 1] = np.tanh(y[i - j + len(h) - 1] + x[i] * h[j])
    return y


def from_the_right(x: Any, a: Any) -> Any:
    u = np.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            right = u[i - 1, j + 1] if i > 0 and j + 1 < x.shape[1] else 0.5
            u[i, j] = np.sin(right * a + x[i, j])
    return u


def integral(x: Any) -> Any:
    S = np.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            S[i, j] = x[i, j]
            if i > 0:
                S[i, j] += S[i - 1, j]
            if j > 0:
                S[i, j] += S[i, j - 1]
            if i > 0 and j > 0:
                S[i, j] -= S[i - 1, j - 1]
    return S


def swept(X: Any, w: Any) -> Any:
    """A sweep over a grid, of which each place reads places on all sides."""
    u = X.copy()
    for i in range(1, X.shape[0] - 1):
        for j in range(1, X.shape[1] - 1):
            u[i, j] = (u[i - 1, j - 1] + u[i - 1, j + 1] + w * u[i, j - 1] + u[i + 1, j + 1]) / 4
    return u


def swept_again(X: Any, w: Any) -> Any:
    u = X.copy()
    for _ in range(2):
        for i in range(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                u[i, j] = w * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
    return u


BORDERS: tuple[tuple[Function, dict[str, str], int], ...] = (
    (convolved, {"x": "N", "h": "M"}, 6),
    (bent, {"x": "N", "h": "M"}, 6),
    (from_the_right, {"x": "N M", "a": ""}, 6),
    (integral, {"x": "N M"}, 2),
    (swept, {"X": "N M", "w": ""}, 2),
    (swept_again, {"X": "N M", "w": ""}, 2),
)


@pytest.mark.parametrize(
    ("function", "shapes", "least"), BORDERS, ids=[f.__name__ for f, *_ in BORDERS]
)
def test_turns_at_a_border_read_another_thing(
    function: Function, shapes: dict[str, str], least: int
) -> None:
    right, source = right_or_refused(function, shapes)
    assert right >= least
    assert len(source.splitlines()) < 160


STEPS = (
    "np.tanh({x} + a*{u} + {l})",
    "0.3*{u} + 0.5*{l}*{x}",
    "np.sin({x}*{u} + a*{l})",
    "np.maximum({u}, {l}) - a*{x}",
    "np.exp(-({u} - {x})**2) + a*{l}",
)
DIAGONAL = ("np.tanh({x} + a*{u} + {l}*{d})", "np.maximum(np.maximum({u}, {l}), {d}) - a*{x}")
BORDERS = (
    "np.zeros((N + 1, M + 1))",
    "np.full((N + 1, M + 1), 0.5)",
    "np.zeros((N + 1, M + 1)) + a",
)


def random_grid(seed: int) -> tuple[str, Function]:
    """A function ``f(x, a)`` with a recurrence along both axes of x."""
    random = Random(seed)
    step, start = random.choice(STEPS), random.choice(("0.0", "a", "x[i, 0]", "2.0"))
    match seed % 4:
        case 0:
            border = random.choice(("x.copy()", "2*x", "np.zeros_like(x) + a"))
            ways = [random.choice((1, -1)) for _ in range(2)]
            every = [f"range(1, {n})" if way > 0 else f"range({n} - 2, -1, -1)"
                     for n, way in zip("NM", ways, strict=True)]  # fmt: skip
            up, left = f"u[i - {ways[0]}, j]", f"u[i, j - {ways[1]}]"
            lines = [f"u = {border}", f"for i in {every[0]}:", f"    for j in {every[1]}:"]
            lines += [f"        u[i, j] = {step.format(x='x[i, j]', u=up, l=left)}"]
        case 1:
            up = random.choice(("0.0", "a", "x[0, j]"))
            lines = ["u = np.zeros_like(x)", "for i in range(N):", "    for j in range(M):"]
            lines += [f"        up = u[i - 1, j] if i > 0 else {up}"]
            lines += [f"        left = u[i, j - 1] if j > 0 else {start}"]
            lines += [f"        u[i, j] = {step.format(x='x[i, j]', u='up', l='left')}"]
        case 2:
            lines = [f"v = {random.choice(BORDERS)}", "v[0, 0] = 0.7"]
            lines += ["for i in range(1, N + 1):", "    for j in range(1, M + 1):"]
            step = random.choice(DIAGONAL).format(
                x="x[i-1, j-1]", u="v[i-1, j]", l="v[i, j-1]", d="v[i-1, j-1]"
            )
            lines += [f"        v[i, j] = {step}", "u = v[1:, 1:]"]
        case _:
            new = random.choice(("u", "0.5*u + 0.1*g", "u*x[i]"))
            lines = ["g, rows = np.zeros(M) + a, []", "for i in range(N):"]
            lines += [f"    left, u = {start}, np.zeros(M)", "    for j in range(M):"]
            lines += [f"        left = {step.format(x='x[i, j]', u='g[j]', l='left')}"]
            lines += ["        u[j] = left", f"    g = {new}", "    rows.append(g)"]
            lines += ["u = np.stack(rows)"]
    returned = random.choice(("u", "u.sum()", "u[-1]"))
    lines = ["N, M = x.shape", *lines, f"return {returned}"]
    text = "\n    ".join(["def f(x, a):", *lines])
    space: dict[str, Any] = {"np": np}
    exec(text, space)  # our own text
    return text, space["f"]


@pytest.mark.parametrize("seed", range(8))
def test_random_recurrences_of_grids(seed: int) -> None:
    text, function = random_grid(seed)
    try:
        assert right_or_refused(function, {"x": "N M", "a": ""})[0] >= 3
    except AssertionError as error:
        raise AssertionError(text) from error
