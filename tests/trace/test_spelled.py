"""Constants that are computed from arrays of sizes: they keep their names."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import TraceError
from pullback.trace.named import trace_named

from .named_checks import assert_same_values

Code = Callable[..., Any]


def positional(X: Any) -> Any:
    """The positions of a transformer."""
    n, d = X.shape
    place, k = np.arange(n)[:, None], np.arange(d)[None, :]
    angle = place / np.power(10000, 2 * (k // 2) / d)
    return X + np.where(k % 2 == 0, np.sin(angle), np.cos(angle))


def cosines(x: Any) -> Any:
    """A discrete cosine transform."""
    n = np.arange(len(x))
    return np.cos(np.pi / len(x) * (n + 0.5)[None, :] * n[:, None]) @ x


def orthogonal_cosines(x: Any) -> Any:
    N = len(x)
    n = np.arange(N)
    C = np.sqrt(2 / N) * np.cos(np.pi * (2 * n + 1) * n[:, None] / (2 * N))
    C[0] /= np.sqrt(2)
    return C @ x


def laplacian(x: Any) -> Any:
    n = len(x)
    return (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)) @ x


def circular(x: Any) -> Any:
    N = len(x)
    n = np.arange(N)
    return x[(n[:, None] - n) % N] * (n + 1)


def bell(X: Any) -> Any:
    n, m = X.shape
    a, b = np.meshgrid(np.linspace(-1, 1, m), np.linspace(-1, 1, n))
    return X * np.exp(-(a**2 + b**2))


def apart(X: Any) -> Any:
    a, b = np.indices(X.shape)
    return X * (a - b) ** 2


def lags(X: Any) -> Any:
    t = np.arange(len(X))
    return X * np.maximum(t[:, None] - t, 0)


NAMED: dict[str, tuple[Code, dict[str, str]]] = {
    "positional encoding": (positional, {"X": "N D"}),
    "cosines of positions": (lambda X: X + np.cos(np.arange(len(X)))[:, None], {"X": "N D"}),
    "discrete cosine transform": (cosines, {"x": "N"}),
    "its orthogonal form": (orthogonal_cosines, {"x": "N"}),
    "a scaled identity": (lambda X: X + np.eye(len(X)) * -1e9, {"X": "N N"}),
    "a causal mask": (lambda X: X + (1 - np.tri(len(X))) * -1e10, {"X": "N N"}),
    "lags": (lags, {"X": "N N"}),
    "distances": (lambda X: X - np.abs(np.subtract.outer(*[np.arange(len(X))] * 2)), {"X": "N N"}),
    "circular shifts": (circular, {"x": "N"}),
    "a Laplacian": (laplacian, {"x": "N"}),
    "a bell": (bell, {"X": "N M"}),
    "indices": (apart, {"X": "N M"}),
    "Hann's window": (lambda x: x * np.hanning(len(x)), {"x": "N"}),
    "Hann's window by hand": (
        lambda x: x * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(x)) / len(x))),
        {"x": "N"},
    ),
    "other windows": (
        lambda x: x * np.hamming(len(x)) * np.bartlett(len(x)) + np.blackman(len(x)),
        {"x": "N"},
    ),
    "logspace": (lambda x: x * np.logspace(0, 1, len(x)), {"x": "N"}),
    "geomspace": (lambda x: x * np.geomspace(1, 50, len(x)), {"x": "N"}),
    "fromfunction": (
        lambda X: X * np.fromfunction(lambda i, j: np.sin(i + 2 * j), X.shape),
        {"X": "N M"},
    ),
    "a diagonal": (lambda X: X @ np.diag(np.sqrt(np.arange(len(X)) + 1)), {"X": "N N"}),
    "a circle": (
        lambda x: x * np.exp(1.7 * np.sin(2 * np.pi * np.arange(len(x)) / len(x))),
        {"x": "N"},
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_constants_of_shapes_keep_their_names(name: str) -> None:
    function, specs = NAMED[name]
    traced = trace_named(function, specs)
    assert not traced.constants
    for sizes in ({"N": 3, "D": 4, "M": 2}, {"N": 8, "D": 5, "M": 9}):
        used = {letter: n for letter, n in sizes.items() if letter in " ".join(specs.values())}
        assert_same_values(traced, function, specs, used)


def expression(random: Random, depth: int = 3) -> str:
    """A matrix of N rows and columns, from positions."""
    if depth == 0:
        leaves = [
            "n[:, None]",
            "n",
            "np.eye(N)",
            "np.tri(N)",
            "np.linspace(0, 1, N)",
            "n / N",
            "0.3 * n",
        ]
        return random.choice(leaves)
    one, two = expression(random, depth - 1), expression(random, depth - 1)
    return random.choice(
        [
            f"({one} + {two})",
            f"({one} - {two})",
            f"{one} * {two}",
            f"np.cos({one})",
            f"np.exp(-np.abs({one}) / N)",
            f"np.maximum({one}, {two})",
            f"np.where(n[:, None] < n, {one}, {two})",
            f"({one}) / (1 + np.abs({two}))",
            f"np.sqrt(np.abs({one}))",
        ]
    )


@pytest.mark.parametrize("seed", range(12))
def test_random_expressions_of_positions(seed: int) -> None:
    text = expression(Random(f"spelled {seed}"))
    scope: dict[str, Any] = {"np": np}
    exec(f"def f(X):\n    N = len(X)\n    n = np.arange(N)\n    return X * ({text})\n", scope)
    function, specs = scope["f"], {"X": "N N"}
    traced = trace_named(function, specs)
    for n in (3, 8):
        assert_same_values(traced, function, specs, {"N": n})


def test_a_program_agrees_at_other_sizes() -> None:
    """The function is traced again at new sizes, with its constants spelled as before."""
    derived = pullback.derive(positional, X="N D")
    forward, backward = derived.compile()
    X = np.random.default_rng(0).normal(size=(13, 6))
    Y, cache = forward(X)
    np.testing.assert_allclose(Y, positional(X), rtol=1e-12)
    np.testing.assert_array_equal(backward(np.ones_like(X), cache), np.ones_like(X))


def test_numbers_that_decide_are_refused_with_the_first_reason() -> None:
    def decides(x: Any) -> Any:
        w = np.cos(np.arange(len(x)) ** 2.5)
        return x * (w if w[0] > 0 else -w)

    with pytest.raises(TraceError, match="constant w can't be written in the named sizes"):
        trace_named(decides, {"x": "N"})


def test_a_constant_that_can_not_be_written_names_its_line() -> None:
    def drawn(x: Any) -> Any:
        noise = np.random.default_rng(0).normal(size=len(x))
        return x * noise

    with pytest.raises(TraceError) as caught:
        trace_named(drawn, {"x": "N"})
    assert "test_spelled.py" in caught.value.where and "return x * noise" in caught.value.where
    assert caught.value.hint == "pass it to the function as an argument"


def test_formulas_are_compared_with_the_numbers_at_each_size() -> None:
    """Whole numbers of 64 bits wrap in NumPy; those of a formula don't."""

    def wraps(X: Any) -> Any:
        n = np.arange(len(X))
        return X * (n**13 % 7) * np.cos(n)

    forward, _ = pullback.derive(wraps, X="N").compile()
    np.testing.assert_allclose(forward(np.ones(9))[0], wraps(np.ones(9)))
    with pytest.raises(pullback.ShapeError, match="not seen to hold at N = 40"):
        forward(np.ones(40))
    with pytest.raises(TraceError):
        pullback.derive(lambda X: X * np.arange(len(X), dtype=np.int8).sum(dtype=np.int8), X="N")
