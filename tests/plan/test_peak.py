"""Peaks of memory that are told before a pass runs, beside those that are measured."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback

Function = Callable[..., Any]


def normalised(X: Any, g: Any, b: Any) -> Any:
    centred = X - X.mean(1, keepdims=True)
    return g * centred / np.sqrt((centred * centred).mean(1, keepdims=True) + 1e-5) + b


def attention(Q: Any, K: Any, V: Any) -> Any:
    S = Q @ K.T / 8.0
    E = np.exp(S - S.max(1, keepdims=True))
    return E / E.sum(1, keepdims=True) @ V


def network(X: Any, W: Any, V: Any) -> Any:
    return np.maximum(X @ W, 0) @ V


def gelu(X: Any) -> Any:
    return 0.5 * X * (1 + np.tanh(0.8 * (X + 0.044 * X**3)))


def recurrent(X: Any, W: Any, U: Any) -> Any:
    h = np.zeros(U.shape[0])
    for t in range(X.shape[0]):
        h = np.tanh(X[t] @ W + h @ U)
    return h


def rows(W: Any, i: Any) -> Any:
    return W[i] ** 2


CASES: list[tuple[Function, dict[str, str], dict[str, int]]] = [
    (normalised, {"X": "N D", "g": "D", "b": "D"}, {"N": 500, "D": 400}),
    (attention, {"Q": "N D", "K": "N D", "V": "N D"}, {"N": 400, "D": 64}),
    (network, {"X": "N D", "W": "D H", "V": "H O"}, {"N": 300, "D": 200, "H": 400, "O": 100}),
    (gelu, {"X": "N D"}, {"N": 500, "D": 400}),
    (recurrent, {"X": "T D", "W": "D H", "U": "H H"}, {"T": 200, "D": 50, "H": 200}),
    (rows, {"W": "V D", "i": "N: int"}, {"V": 500, "D": 100, "N": 2000}),
]


def _measured(call: Callable[[], Any]) -> tuple[int, Any]:
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("memory", ["fastest", "balanced"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.filterwarnings("ignore")
def test_told_is_what_is_measured(
    case: tuple[Function, dict[str, str], dict[str, int]], memory: str, dtype: str
) -> None:
    function, shapes, sizes = case
    if dtype == "float32" and function not in (normalised, attention, network):
        pytest.skip("NumPy's powers of float32 take further arrays, a loop's state is of float64")
    rng = np.random.default_rng(0)
    arguments = [
        rng.integers(0, 500, sizes["N"])
        if "int" in shape
        else rng.normal(size=[sizes[name] for name in shape.split()]).astype(dtype)
        for shape in shapes.values()
    ]
    typed = {name: s if "int" in s else f"{s}: {dtype}" for name, s in shapes.items()}
    derivation = pullback.derive(function, memory=memory, **typed)
    told = derivation.peaks(**sizes)
    forward, backward = derivation.compile()
    value, cache = forward(*arguments)  # once before, so that nothing is compiled in between
    upstream = np.ones_like(value)
    backward(upstream, cache)
    ahead, (_, cache) = _measured(lambda: forward(*arguments))
    behind, _ = _measured(lambda: backward(upstream, cache))
    assert ahead == pytest.approx(told.forward, rel=0.06)
    assert behind == pytest.approx(told.backward - told.kept, rel=0.06)


def test_a_size_that_there_is_not_is_refused() -> None:
    with pytest.raises(pullback.ArgumentError, match="there is no size M"):
        pullback.derive(gelu, X="N D").peaks(N=4, M=5)


def test_less_is_kept_where_more_is_computed_again() -> None:
    least, fastest = (
        pullback.derive(gelu, memory=memory, X="N D").peaks(N=100, D=100)
        for memory in ("least", "fastest")
    )
    assert least.kept == 0 < fastest.kept
    assert fastest.kept == 2 * 8 * 100 * 100
    assert "of which 156.2 KiB is kept" in repr(fastest)
