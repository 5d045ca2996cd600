"""The counter against programs counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compactness.counter import (
    Count,
    Counted,
    Meter,
    count_generator,
    count_source,
    counting,
    given,
    largest_forward,
)

N, D, M = 3, 5, 7
X, W, V = np.arange(1.0, N * D + 1).reshape(N, D), np.ones((D, M)), np.ones(D)


def taken(function: Any, *inputs: Any) -> Count:
    """What a function took, all of it."""
    meter = Meter()
    counting(function, meter)(*(given(meter, x) for x in inputs))
    return meter.total(range(len(meter.operations)))


CASES: list[tuple[str, Callable[..., Any], tuple[Any, ...], float, float, int]] = [
    # name, function, inputs, flops, moved, largest
    ("add", lambda x: x + x, (X,), 15, 45, 15),
    ("broadcast", lambda x, v: x * v, (X, V), 15, 35, 15),
    ("number", lambda x: 2 * x, (X,), 15, 30, 15),
    ("divide", lambda x, v: x / v, (X, V), 60, 35, 15),
    ("exp", lambda v: np.exp(v), (V,), 50, 10, 5),
    ("square", lambda v: v**2, (V,), 5, 10, 5),
    ("cube", lambda v: v**3, (V,), 100, 10, 5),
    ("root", lambda v: v**0.5, (V,), 20, 10, 5),
    ("sum", lambda x: x.sum(), (X,), 15, 16, 1),
    ("sum of rows", lambda x: np.sum(x, axis=1), (X,), 15, 18, 3),
    ("mean", lambda x: x.mean(axis=1), (X,), 15 + 12, 18 + 6, 3),
    ("matmul", lambda x, w: x @ w, (X, W), 2 * 105, 15 + 35 + 21, 21),
    ("vector", lambda x, v: x @ v, (X, V), 30, 23, 3),
    ("einsum", lambda x, w: np.einsum("nd,dm->nm", x, w), (X, W), 210, 71, 21),
    ("elementwise einsum", lambda x, v: np.einsum("nd,d->nd", x, v), (X, V), 15, 35, 15),
    ("diagonal", lambda x: np.einsum("ii->i", x), (np.eye(4),), 0, 0, 0),
    ("trace", lambda x: np.einsum("ii", x), (np.eye(4),), 4, 4 + 1, 1),
    ("naive", lambda a, b, c: np.einsum("ij,jk,kl->il", a, b, c), (X, W, W.T), 3 * 525, 100, 15),
    (
        "pairs",
        lambda a, b, c: np.einsum("ij,jk,kl->il", a, b, c, optimize=True),
        (X, W, W.T),
        2 * 5 * 7 * 5 + 2 * 3 * 5 * 5,  # the two small ones first
        (35 + 35 + 25) + (15 + 25 + 15),
        25,
    ),
    ("tensordot", lambda x, w: np.tensordot(x, w, 1), (X, W), 210, 71, 21),
    ("outer", lambda v: np.outer(v, v), (V,), 25, 35, 25),
    ("view", lambda x: x.T[1:, None].reshape(4, 3)[::2], (X,), 0, 0, 0),
    ("reshaped copy", lambda x: x.T.reshape(-1), (X,), 0, 30, 15),
    ("gather", lambda x: x[np.array([0, 2, 2])], (X,), 0, 30, 15),
    ("where", lambda x: np.where(x > 3, x, 0), (X,), 30, 30 + 45, 15),
    ("made", lambda: np.zeros((2, 3)), (), 0, 6, 6),
    ("empty", lambda: np.empty((2, 3)), (), 0, 0, 6),
    ("mask", lambda: np.arange(6)[:, None] == np.arange(6), (), 36, 12 + 12 + 36, 36),
    ("pad", lambda v: np.pad(v, 1), (V,), 0, 5 + 7, 7),
    ("concatenate", lambda v: np.concatenate([v, v]), (V,), 0, 20, 10),
    ("solve", lambda a: np.linalg.solve(a, a), (np.eye(3),), 18 + 54, 27, 9),
    ("window", lambda v: np.lib.stride_tricks.sliding_window_view(v, 2).sum(1), (V,), 8, 12, 4),
    ("broadcast view", lambda v: np.broadcast_to(v, (4, 5)) + 1.0, (V,), 20, 25, 20),
]


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_programs_counted_by_hand(case: Any) -> None:
    _, function, inputs, flops, moved, largest = case
    assert taken(function, *inputs) == Count(flops, moved, largest, 0)


def test_writing_in_place_counts_and_makes_nothing() -> None:
    def f(x: Any) -> Any:
        x += 1
        x[0] = x[1]
        np.add.at(x, np.array([0, 0]), 1.0)
        return x

    assert taken(f, X) == Count(15 + 10, 30 + 10 + 2 + 20, 0, 0)


def test_a_view_that_is_added_to_in_place_is_written_once() -> None:
    def f(x: Any) -> Any:
        x[1:] += 1
        return x

    assert taken(f, X) == Count(10, 20, 0, 0)


def test_the_values_are_those_of_numpy() -> None:
    def f(x: Any, w: Any) -> Any:
        s = x @ w
        e = np.exp(s - s.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return p.var(axis=0) + p[np.arange(3), [0, 1, 2]].sum() + p.std() + np.cumsum(p, axis=1)[0]

    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 5)), rng.normal(size=(5, 7))
    meter = Meter()
    found = counting(f, meter)(given(meter, x), given(meter, w))
    assert np.allclose(found.value, f(x, w), rtol=1e-14)


def test_what_is_not_counted_fails() -> None:
    meter = Meter()
    x = given(meter, X)
    with pytest.raises(TypeError, match=r"np\.gradient isn't counted"):
        np.gradient(x)
    with pytest.raises(TypeError, match="read as a plain one"):
        np.asarray(x)
    with pytest.raises(AttributeError):
        x.partition(2)


def squares(x: Any) -> Any:
    unused = np.exp(x)
    y = x * x
    dy = yield y.sum()
    return unused * dy * 0 + 2 * dy * x


def test_the_forward_pass_is_free_but_for_what_its_outputs_do_not_need() -> None:
    count, value, gradient = count_generator(squares, [X], lambda y: np.ones(()))
    assert value == (X**2).sum()
    assert np.array_equal(gradient, 2 * X)
    # exp: 150; unused*dy, *0, 2*dy, *x, +
    assert count.flops == 150 + 15 + 15 + 1 + 15 + 15
    assert count.largest == 15
    # three of the arrays live at once: unused*dy*0 beside 2*dy and 2*dy*x, then the sum
    assert count.peak == 8 * (15 + 15 + 15)


SOURCE = """
import numpy as np


def forward(X, W):
    Y = X @ W
    kept = 2*X
    return Y, (X, W, kept)


def backward(dY, cache):
    X, W, kept = cache
    mask = np.arange(3)[:, None] <= np.arange(5)
    return np.where(mask, dY @ W.T, 0), kept.T @ dY
"""


def test_generated_source() -> None:
    count, value, (_, dW) = count_source(SOURCE, {"X": X, "W": W}, np.ones_like)
    assert np.array_equal(value, X @ W)
    assert np.array_equal(dW, 2 * X.T @ np.ones((N, M)))
    assert count.flops == 15 + 15 + 210 + 15 + 210
    assert count.largest == 35


def test_the_largest_array_of_a_forward_pass() -> None:
    assert largest_forward(lambda x, w: (x @ w).sum(), [X, W]) == 35
    assert largest_forward(lambda v: (v[:, None] * v[None]).sum(), [V]) == 25
    assert largest_forward(lambda v: np.broadcast_to(v, (9, 5))[0], [V]) == 5


def test_lineage_follows_arrays_that_are_written_piece_by_piece() -> None:
    meter = Meter()

    def f(v: Any) -> Any:
        out = np.empty(2)
        out[0] = v.sum()
        view = out[1:]
        view[0] = np.exp(v).sum()
        idle = v * 3.0
        return out, idle

    out, _idle = counting(f, meter)(given(meter, V))
    assert isinstance(out, Counted)
    done = meter.needed([out])
    left = [n for n in range(len(meter.operations)) if n not in done]
    assert meter.total(left) == Count(5, 10, 5, 0)
