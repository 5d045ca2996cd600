from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

import pullback
from pullback.errors import PullbackError, TraceError
from pullback.ir.expr import Access, Guard, IndexOf, Power, SizeOf
from pullback.ir.program import Program
from pullback.ir.sizes import size
from pullback.ir.subscripts import Lookup
from pullback.ir.walk import accesses, nodes
from pullback.trace.annotations import Spec
from pullback.trace.generalise import generalise
from pullback.trace.named import trace_named
from pullback.trace.tracer import Spec as Plain
from pullback.trace.tracer import trace

from .named_checks import assert_same_values

BLOCK = 16


def affine(X, W, b):
    return X @ W + b


def softmax_loss(S, y):
    N = S.shape[0]
    e = np.exp(S - S.max(axis=1, keepdims=True))
    P = e / e.sum(axis=1, keepdims=True)
    return -np.log(P[np.arange(N), y]).sum() / N


def batch_norm(X, g, b):
    N, D = X.shape
    centred = X - X.mean(axis=0) + np.zeros((N, D))
    return g * centred / np.sqrt(X.var(axis=0, ddof=1) + 1e-5) + b


def split_heads(X, W):
    return X.reshape(X.shape[0], -1, W.shape[0])


def merge_heads(X):
    N, H, D = X.shape
    return X.reshape(N, H * D) * np.ones(H * D)


def attention(Q, K, V):
    T, D = Q.shape
    S = Q @ K.T / np.sqrt(D)
    S = np.where(np.tril(np.ones((T, T))) > 0, S, -np.inf)
    e = np.exp(S - S.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) @ V


def added_mask(S):
    T = len(S)
    return S + np.triu(np.full((T, T), -1e9), k=1)


def convolution(X, K):
    windows = sliding_window_view(X, K.shape, axis=(1, 2))
    return np.einsum("nhwpq,pq->nhw", windows, K)


def strided_convolution(X, K):
    X = np.pad(X, ((0, 0), (1, 1)))
    return sliding_window_view(X, 3, axis=1)[:, ::2] @ K


def several(A, B):
    return np.concatenate([A, B], axis=0).sum(axis=0), np.stack([A.mean(0), B.mean(0)])


def first_half(X):
    N = X.shape[0]
    return X[: N // 2].sum() - X[N // 2 :].sum()


def reversed_thirds(X):
    return X[::-3] * 2 / len(X)


def literal_loop(X):
    total = np.zeros(X.shape[1])
    for k in range(3):
        total = total + X[k] * (k + 1)
    return total


def he_scaled(X, W):
    return X @ (W * np.sqrt(2 / (W.shape[0] + W.shape[1])))


def weighted(X):
    N = len(X)
    Y = X * np.linspace(0.5, 1, N) + 1 / (np.arange(N) + 1)
    return (Y * 0.9 ** np.arange(N) * np.sqrt(np.arange(N))).sum() / (N - 1) * np.log(N)


def rolled(X):
    N = len(X)
    return X[np.arange(N) - 1] + X[(np.arange(N) + 2) % N] * X[::-1]


def banded(X):
    N, M = X.shape
    i, j = np.arange(N)[:, None], np.arange(M)
    return (
        X * (np.abs(i - j) <= 1)
        + np.eye(N, M, 2)
        + np.where(i + j == N - 1, X, 0)
        - X * (i // 2 == j // 2)
    )


def block_sums(X, Y):
    H, D = X.shape[0], Y.shape[0]
    blocks = np.repeat(np.eye(H), D, axis=0)
    return blocks @ X * np.tile(Y, H)


def gathered(X, y):
    return X[y % 2, np.arange(len(y))[::-1]] * (y > 0)


def table(X):
    return X @ np.array([[1.0, 2.0], [0.5, -1.0]]) + np.zeros((len(X), 2)) + [3.0, 7.0]


def picked(X):
    """Positions that look like a progression at some sizes: 0, 3, 6 of 7."""
    N = len(X)
    return X[[0, N // 2, -1]] * np.array([[1.0], [2.0], [1 / N]])


def smoothed(X):
    """A function that refuses short arguments."""
    if len(X) < 5:
        raise RuntimeError("too short")
    return X[2:-2] / np.array([1, 5])[0] + X[: len(X) - 4]


def power(X):
    return X ** len(X)


FUNCTIONS: list[tuple[Callable[..., Any], dict[str, str]]] = [
    (affine, {"X": "N D", "W": "D M", "b": "M"}),
    (softmax_loss, {"S": "N C", "y": "N: int64"}),
    (batch_norm, {"X": "N D", "g": "D", "b": "D"}),
    (split_heads, {"X": "N H*D", "W": "D"}),
    (merge_heads, {"X": "N H D"}),
    (attention, {"Q": "T D", "K": "T D", "V": "T D"}),
    (added_mask, {"S": "T T"}),
    (convolution, {"X": "N H W", "K": "P Q"}),
    (strided_convolution, {"X": "N H", "K": "3"}),
    (several, {"A": "N D", "B": "M D"}),
    (first_half, {"X": "N"}),
    (reversed_thirds, {"X": "N"}),
    (literal_loop, {"X": "N D"}),
    (he_scaled, {"X": "N D", "W": "D M"}),
    (weighted, {"X": "N"}),
    (rolled, {"X": "N"}),
    (banded, {"X": "N M"}),
    (block_sums, {"X": "H", "Y": "D"}),
    (gathered, {"X": "2 N", "y": "N: int64"}),
    (table, {"X": "N 2"}),
    (picked, {"X": "N M"}),
    (power, {"X": "N"}),
]
SIZES = [
    {"N": 6, "D": 3, "M": 4, "C": 4, "H": 5, "W": 4, "P": 2, "Q": 3, "T": 4},
    {"N": 3, "D": 5, "M": 2, "C": 2, "H": 7, "W": 7, "P": 3, "Q": 2, "T": 6},
    {"N": 9, "D": 4, "M": 6, "C": 3, "H": 6, "W": 5, "P": 1, "Q": 1, "T": 3},
    {"N": 4, "D": 2, "M": 3, "C": 5, "H": 4, "W": 3, "P": 2, "Q": 2, "T": 5},
]


def sizes_of(specs: Mapping[str, str], sizes: Mapping[str, int]) -> dict[str, int]:
    named = re.findall("[A-Z]", " ".join(specs.values()))
    return {name: value for name, value in sizes.items() if name in named}


@pytest.mark.parametrize(("function", "specs"), FUNCTIONS, ids=lambda f: getattr(f, "__name__", ""))
def test_named_programs_compute_what_numpy_computes(
    function: Callable[..., Any], specs: dict[str, str]
) -> None:
    traced = trace_named(function, specs)
    for sizes in SIZES:
        assert_same_values(traced, function, specs, sizes_of(specs, sizes))


@pytest.mark.parametrize(("function", "specs"), FUNCTIONS, ids=lambda f: getattr(f, "__name__", ""))
def test_no_plain_size_is_left(function: Callable[..., Any], specs: dict[str, str]) -> None:
    """At huge sizes every extent is huge or was written: no trace's own number has stuck."""
    traced = trace_named(function, specs)
    literals = {0, 1, 2, 3}
    for statement in traced.program.statements:
        for extent in statement.target.shape:
            assert extent.literal is None or extent.literal in literals


def the_statement(program: Program, name: str) -> Any:
    return next(s for s in program.statements if s.target.name == name)


def test_axes_go_by_the_letters_of_their_sizes() -> None:
    traced = trace_named(affine, {"X": "N D", "W": "D M", "b": "M"})
    assert [i.name for i in traced.program.statements[-1].indices] == ["n", "m"]
    traced = trace_named(lambda A, k: A @ A.T * k, {"A": "k T", "k": ""})
    names = [i.name for s in traced.program.statements for i in s.indices]
    assert "k" not in names  # it is a size and a tensor
    assert "t" in names


def test_a_letter_belongs_to_one_extent() -> None:
    traced = trace_named(strided_convolution, {"X": "N H", "K": "3"})
    owner: dict[str, Any] = {}
    for statement in traced.program.statements:
        for index in statement.indices:
            assert owner.setdefault(index.name, index.extent) is index.extent


def test_division_by_a_size_is_by_the_named_size() -> None:
    found = trace_named(lambda X: X.sum() / X.shape[0], {"X": "N"}).program.statements[-1].body
    assert Power(SizeOf(size("N")), -1) in list(nodes(found))
    found = trace_named(lambda X: X * (1 / X.shape[0]), {"X": "N"}).program.statements[-1].body
    assert Power(SizeOf(size("N")), -1) in list(nodes(found))
    found = trace_named(lambda X: X * np.sqrt(X.shape[0]), {"X": "N"}).program.statements[-1].body
    assert any(isinstance(n, Power) and n.base is SizeOf(size("N")) for n in nodes(found))


def test_arange_as_an_index_is_no_gather() -> None:
    traced = trace_named(softmax_loss, {"S": "N C", "y": "N: int64"})
    assert not traced.constants
    gathers = [
        access
        for statement in traced.program.statements
        for access in accesses(statement.body)
        if any(isinstance(atom, Lookup) for sub in access.subs for atom, _ in sub.terms)
    ]
    assert len(gathers) == 1
    assert gathers[0].subs[0].index is not None
    assert isinstance(gathers[0].subs[1].atom, Lookup)


def test_masks_are_guards_or_conditions() -> None:
    traced = trace_named(banded, {"X": "N M"})
    assert not traced.constants
    body = list(nodes(traced.program.statements[-1].body))
    bodies = [n for s in traced.program.statements for n in nodes(s.body)]
    assert any(isinstance(n, Guard) for n in bodies) and body


def test_literal_constants_stay() -> None:
    traced = trace_named(table, {"X": "N 2"})
    kept = sorted(array.shape for array in traced.constants.values())
    assert (2, 2) in kept
    assert {t.name for t in traced.program.inputs} == {"X", *traced.constants}


def test_names_that_no_shape_gives_are_listed() -> None:
    traced = trace_named(lambda X: X * 2, {"X": "H//2 N"})
    assert traced.program.sizes == ("H",)


def test_nested_arguments_and_statics() -> None:
    def mlp(params, X, scale):
        h = X
        for layer in params["layers"]:
            h = np.maximum(h @ layer["W"] + layer["b"], 0)
        return (h * params["s"]).sum() * scale

    specs = {
        "params": {"layers": [{"W": "D H", "b": "H"}, {"W": "H M", "b": "M"}], "s": "M"},
        "X": "N D",
    }
    traced = trace_named(mlp, specs, {"scale": 3})
    assert [str(extent) for t in traced.program.inputs for extent in t.shape] == [
        *("D", "H", "H", "H", "M", "M", "M", "N", "D")
    ]


def test_annotations_are_read() -> None:
    def f(X, y):
        return X[np.arange(len(y)), y]

    f.__annotations__ = {"X": 'Float[np.ndarray, "N D"]', "y": 'Int[np.ndarray, "N"]'}
    traced = trace_named(f, {})
    assert [t.dtype for t in traced.program.inputs] == ["float64", "int64"]
    assert [str(n) for n in traced.program.outputs[0].shape] == ["N"]


def test_nothing_named_is_a_plain_trace() -> None:
    traced = trace_named(lambda X: X * X.shape[0], {"X": "3 2"})
    assert [n.literal for n in traced.program.outputs[0].shape] == [3, 2]


def counting(calls):
    def total(Xs):
        calls.append(len(Xs))
        return sum(Xs)

    return total


def test_a_function_of_plain_sizes_runs_twice_however_many_arguments_it_has() -> None:
    calls: list[int] = []
    pullback.derive(counting(calls), Xs=[np.ones(3)] * 30)
    assert calls == [30, 30]  # the second run shows that it does the same again


def test_places_in_nested_arguments_are_no_thresholds() -> None:
    few: list[int] = []
    many: list[int] = []
    pullback.derive(counting(few), Xs=["N"] * 2)
    pullback.derive(counting(many), Xs=["N"] * 30)
    assert len(few) == len(many)


def above_ten(X):
    return X * 2 if len(X) > 10 else X


def odd(X):
    return X * 2 if len(X) % 2 else X


def ordered(X):
    return X * 2 if X.shape[0] < X.shape[1] else X


def blocked(X):
    return X[:BLOCK]


def shorter(X, Y):
    return X[: min(len(X), len(Y))]


def noise(X):
    return X * np.random.default_rng(0).uniform(size=len(X))


def pooled(X):
    return X.reshape(-1, 2).mean(axis=1)


def far_threshold(X):
    return X[:1000]


REFUSED: list[tuple[Callable[..., Any], dict[str, str], str]] = [
    (above_ten, {"X": "N"}, "depends on N"),
    (odd, {"X": "N M"}, "depends on N\n"),
    (ordered, {"X": "N M"}, "depends on"),
    (blocked, {"X": "N"}, "named sizes"),
    (far_threshold, {"X": "N"}, "named sizes"),
    (shorter, {"X": "N", "Y": "M"}, "named sizes"),
    (noise, {"X": "N"}, "pass it to the function as an argument"),
    (pooled, {"X": "N"}, r'"2\*N"'),
    (lambda X, W: X @ W, {"X": "N D", "W": "M D"}, "fails at every size|matmul|shapes"),
    (lambda X: np.linalg.svd(X)[0], {"X": "N M"}, "svd"),
]


@pytest.mark.parametrize(("function", "specs", "words"), REFUSED)
def test_what_depends_on_a_size_is_refused(
    function: Callable[..., Any], specs: dict[str, str], words: str
) -> None:
    with pytest.raises(TraceError) as caught:
        trace_named(function, specs)
    assert re.search(words, str(caught.value)), str(caught.value)
    assert caught.value.hint


def test_an_even_axis_said_in_the_shape_is_accepted() -> None:
    traced = trace_named(pooled, {"X": "2*N"})
    assert [str(n) for n in traced.program.outputs[0].shape] == ["N"]
    for n in (1, 2, 5):
        assert_same_values(traced, pooled, {"X": "2*N"}, {"N": n})


def test_tiny_sizes_are_asked_for() -> None:
    traced = trace_named(lambda X: X[:3].sum(), {"X": "N"})
    assert [traced.agrees({"N": n}) for n in (1, 2, 3, 4, 100)] == [False, False, True, True, True]
    traced = trace_named(lambda X: X.squeeze(), {"X": "N D"})
    assert not traced.agrees({"N": 1, "D": 3})
    assert traced.agrees({"N": 3, "D": 2})
    traced = trace_named(affine, {"X": "N D", "W": "D M", "b": "M"})
    assert traced.agrees({"N": 1, "D": 1, "M": 1})
    traced = trace_named(batch_norm, {"X": "N D", "g": "D", "b": "D"})
    assert traced.agrees({"N": 2, "D": 1})
    traced = trace_named(reversed_thirds, {"X": "N"})
    assert all(traced.agrees({"N": n}) for n in range(1, 9))


def test_a_function_may_refuse_small_sizes() -> None:
    traced = trace_named(smoothed, {"X": "N"})
    assert [str(n) for n in traced.program.outputs[0].shape] == ["N - 4"]
    assert not traced.agrees({"N": 4})
    assert_same_values(traced, smoothed, {"X": "N"}, {"N": 6})


def test_equal_sizes_may_look_different_and_be_the_same() -> None:
    def f(X):
        N, M = X.shape
        return X.sum() / N + X.sum() / M + X.reshape(M, N).sum(axis=0)

    traced = trace_named(f, {"X": "N M"})
    for sizes in ({"N": 3, "M": 3}, {"N": 4, "M": 2}):
        assert traced.agrees(sizes)
        assert_same_values(traced, f, {"X": "N M"}, sizes)


def test_a_trace_of_ones_own_is_generalised() -> None:
    def traced_at(sizes: Mapping[str, int]) -> Any:
        return trace(lambda X: np.outer(X, X), {"X": Plain(Spec((size("K") + 1,)).at(sizes))})

    found = generalise(traced_at, ["K"])
    assert [str(n) for n in found.program.outputs[0].shape] == ["K + 1", "K + 1"]


def test_output_is_the_same_every_time() -> None:
    specs = {"X": "N H W", "K": "P Q"}
    once, again = (trace_named(convolution, specs).program for _ in range(2))
    assert once == again


LINES = st.tuples(st.integers(1, 4), st.integers(-3, 6))


@settings(max_examples=30)
@given(LINES, LINES, st.integers(2, 7), st.sampled_from(["+", "*", "//", "-"]))
def test_extents_of_every_kind_are_solved(
    one: tuple[int, int], two: tuple[int, int], divisor: int, operation: str
) -> None:
    def extent(N: int, M: int) -> int:
        left, right = one[0] * N + one[1], two[0] * M + two[1]
        match operation:
            case "+":
                return left + right
            case "*":
                return left * (M + 1)
            case "//":
                return left // divisor + M
            case _:
                return left - left // divisor

    def f(X):
        return X.sum() + np.ones(extent(*X.shape))

    try:
        traced = trace_named(f, {"X": "N M"})
    except PullbackError as error:
        raise AssertionError(f"{one} {two} {divisor} {operation}") from error
    found = traced.program.outputs[0].shape[0]
    for N in range(4, 40):
        for M in (4, 5, 9, 16, 22, 31):
            assert found.value({"N": N, "M": M}) == extent(N, M)


def test_a_value_of_an_index_is_an_index() -> None:
    traced = trace_named(lambda X: X * np.arange(len(X)), {"X": "N"})
    body = traced.program.statements[-1].body
    assert any(isinstance(node, IndexOf) for node in nodes(body))
    assert {access.tensor.name for access in accesses(body)} == {"X"}
    assert isinstance(next(iter(accesses(body))), Access)
