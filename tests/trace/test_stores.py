"""Stores into arrays made inside the function: values, aliasing and gradients, against NumPy."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy import array, zeros

import pullback
from pullback.errors import PullbackError, TraceError
from pullback.trace.tracer import Spec, trace
from tools.hunt.outcome import judged
from tools.hunt.stores import stores

from .checking import F, I, compare, draw

Function = Callable[..., Any]


def test_random_programs_of_stores_and_views() -> None:
    found = [judged(lambda seed=seed: stores(Random(seed))) for seed in range(40)]  # type: ignore[misc]
    assert not [o for o in found if o.status in ("wrong", "foreign")]
    assert sum(o.status == "right" for o in found) > 25


def checked(function: Function, *specs: Any) -> None:
    """Holds value and gradient against NumPy and differences."""
    rng = np.random.default_rng(3)
    arrays = [draw(spec, rng) for spec in specs]
    compare(function, *arrays)
    floats = [k for k, one in enumerate(arrays) if np.asarray(one).dtype.kind == "f"]

    def loss(*given: Any) -> Any:
        found = function(*given)
        return sum(np.sin(one).sum() for one in (found if isinstance(found, tuple) else (found,)))

    gradients = pullback.grad(loss, tuple(floats))(*arrays)
    for k, gradient in zip(floats, gradients, strict=True):
        along = rng.normal(size=arrays[k].shape)
        moved = [[*arrays[:k], arrays[k] + h * along, *arrays[k + 1 :]] for h in (1e-6, -1e-6)]
        slope = (loss(*moved[0]) - loss(*moved[1])) / 2e-6
        assert abs(slope - np.sum(gradient * along)) <= 2e-6 * (1 + abs(slope))


# Arrays of lists


MADE: dict[str, tuple[Any, ...]] = {
    "a vector": (lambda x: np.array([x[0] * x[1], np.sin(x[2]), 1]), F(3)),
    "a matrix": (
        lambda a: np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ np.ones(2),
        F(),
    ),
    "rows": (lambda x: np.array([x, x**2, [0, 1, 2.0]]), F(3)),
    "of an iteration": (lambda x: np.array([v**2 for v in x]), F(4)),
    "a condition among them": (lambda x: np.array([x[0] if len(x) else 0, x[1]]), F(3)),
    "as an array": (lambda x: np.asarray(x) * np.asarray([x[0], 2.0]), F(2)),
    "a copy": (lambda x: (np.array(x), np.array(x, copy=False)), F(2)),
    "r_": (lambda x: np.r_[0, x, x[::-1], x[0], 1:3], F(3)),
    "c_": (lambda x: np.c_[np.ones(3), x, np.stack([x, x], 1)], F(3)),
    "block": (lambda x: np.block([[np.outer(x, x), x[:, None]], [x[None], np.ones((1, 1))]]), F(3)),
    "stack of lists": (lambda x: np.stack([[x[0], 2.0], [x[1], x[2]]]), F(3)),
    "a sum of a list": (lambda x: np.sum([x[0], 2 * x[1]]) + np.mean((x[0], x[2])), F(3)),
    "polyval": (lambda x: np.polyval([x[0], x[1], 1.0], 2.0), F(3)),
    "an operand": (lambda x: x[:2] * [x[0], 3.0], F(3)),
    "linalg": (lambda x: np.linalg.norm([x[0], x[1], 1.0]), F(3)),
    "hstack": (lambda x: np.hstack([1.0, x, x[0]]), F(3)),
    "a number times a list": (lambda x: np.dot([x[0], x[1]], np.array([[1.0, 2], [3, 4]])), F(3)),
}


@pytest.mark.parametrize("name", MADE)
def test_arrays_of_lists(name: str) -> None:
    checked(*MADE[name])


# Loops, as courses and benchmarks write them


def jacobi(A: Any, B: Any) -> Any:
    A, B = A.copy(), B.copy()
    for _ in range(2):
        B[1:-1] = 0.33 * (A[:-2] + A[1:-1] + A[2:])
        A[1:-1] = 0.33 * (B[:-2] + B[1:-1] + B[2:])
    return A


def seidel(A: Any) -> Any:
    A = A.copy()
    for i in range(1, len(A) - 1):
        A[i, 1:-1] += A[i - 1, :-2] + A[i - 1, 2:] + A[i + 1, 1:-1]
        for j in range(1, len(A) - 1):
            A[i, j] += A[i, j - 1]
            A[i, j] /= 9.0
    return A


def cholesky(A: Any) -> Any:
    A = A.copy()
    for i in range(len(A)):
        for j in range(i):
            A[i, j] -= np.dot(A[i, :j], A[j, :j])
            A[i, j] /= A[j, j]
        A[i, i] -= np.dot(A[i, :i], A[i, :i])
        A[i, i] = np.sqrt(A[i, i])
    return np.tril(A)


def durbin(r: Any) -> Any:
    y = np.empty_like(r)
    alpha, beta = -r[0], 1.0
    y[0] = -r[0]
    for k in range(1, len(r)):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return y


def gramschmidt(A: Any) -> Any:
    A = A.copy()
    Q, R = np.zeros_like(A), np.zeros((A.shape[1], A.shape[1]), dtype=A.dtype)
    for k in range(A.shape[1]):
        R[k, k] = np.sqrt(np.dot(A[:, k], A[:, k]))
        Q[:, k] = A[:, k] / R[k, k]
        for j in range(k + 1, A.shape[1]):
            R[k, j] = np.dot(Q[:, k], A[:, j])
            A[:, j] -= Q[:, k] * R[k, j]
    return Q, R


def covariance(X: Any) -> Any:
    X = X.copy()
    X -= X.mean(0)
    found = np.zeros((X.shape[1], X.shape[1]), X.dtype)
    for i in range(X.shape[1]):
        found[i:, i] = found[i, i:] = X[:, i] @ X[:, i:] / (len(X) - 1.0)
    return found


def convolution(x: Any, w: Any) -> Any:
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(w), 3, 3))
    for f in range(len(w)):
        for i in range(3):
            for j in range(3):
                out[f, i, j] = np.sum(padded[:, i : i + 3, j : j + 3] * w[f])
    return out


def pooling(x: Any) -> Any:
    out = np.zeros((2, 2, 2))
    for i in range(2):
        for j in range(2):
            out[:, i, j] = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(1, 2))
    return out


def batch_norm(x: Any, g: Any) -> Any:
    out = np.empty_like(x)
    for j in range(x.shape[1]):
        out[:, j] = (x[:, j] - x[:, j].mean()) / np.sqrt(x[:, j].var() + 0.1) * g[j]
    return out


def hinge(W: Any, X: Any) -> Any:
    loss = 0.0
    for i, y in enumerate([0, 2, 1]):
        scores = X[i].dot(W)
        margins = scores - scores[y] + 1
        margins[y] = 0
        margins[margins < 0] = 0
        loss += margins.sum()
    return loss


def euler(s: Any) -> Any:
    out = np.zeros((4, 2))
    out[0] = s
    for k in range(3):
        x, y = out[k]
        out[k + 1] = out[k] + 0.1 * np.array([y, -np.sin(x)])
    return out


def permuted(x: Any) -> Any:
    order = np.arange(4)
    order[0], order[3] = order[3], order[0]
    mask = np.zeros(4, bool)
    mask[1::2] = True
    y = x[order]
    y[mask] *= 2
    if order[0] == 3:
        y += x
    return y


KERNELS: list[tuple[Any, ...]] = [
    (jacobi, F(6), F(6)),
    (seidel, F(4, 4)),
    (cholesky, 4 * np.eye(3) + np.arange(9.0).reshape(3, 3) / 9),
    (durbin, F(4, low=0.1, high=0.3)),
    (gramschmidt, F(3, 2)),
    (covariance, F(4, 3)),
    (convolution, F(2, 3, 3), F(1, 2, 3, 3)),
    (pooling, F(2, 4, 4)),
    (batch_norm, F(3, 2), F(2)),
    (hinge, F(4, 3), F(3, 4)),
    (euler, F(2)),
    (permuted, F(4)),
]


@pytest.mark.parametrize("kernel", KERNELS, ids=[kernel[0].__name__ for kernel in KERNELS])
def test_loops_of_stores(kernel: tuple[Any, ...]) -> None:
    checked(*kernel)


# Stores of every kind


def swapped(x: Any) -> Any:
    a = x.copy()
    a[0], a[1] = a[1], a[0]
    rows = np.stack([x, 2 * x])
    rows[0], rows[1] = rows[1], rows[0]  # views: both are one row then
    return a, rows


def views_of_views(x: Any) -> Any:
    y = np.zeros((3, 4))
    v = y[1:]
    w = v.T[::-1]
    w[0] = x[:2]
    v[0, 1:] += x[3]
    flat = y.reshape(-1)
    flat[::5] = x[0]
    number, still = y[1, 1], y[1, 1, ...]
    y *= 2
    return y * 1, v * 1, w * 1, flat * 1, number * 1, still * 1


def taken_in(x: Any) -> Any:
    y = np.empty_like(x)
    np.multiply(x, 2, out=y)
    np.exp(y, y)
    np.sqrt(np.abs(x), out=y, where=x > 0)
    total = np.zeros((2, 1))
    np.stack([x, x]).sum(1, out=total[:, 0])
    return y, total


def placed(x: Any, n: Any) -> Any:
    y = np.zeros((3, 4))
    y[np.arange(3), n] = x[:3]
    y[[0, 2], [1, 1]] += x[:2]
    z = np.ones(4)
    z[n] = x[:3]
    np.add.at(z, n, x[1:])
    np.subtract.at(z, [0, 0, 1], x[0])
    return y, z


def changed(x: Any) -> Any:
    y = np.outer(x, x)
    np.fill_diagonal(y, 0)
    np.copyto(y[0], x[::-1])
    np.put_along_axis(y, np.argmax(y, 0, keepdims=True), x[0], 0)
    y.flat[5] = x[1]
    z = np.full(4, 0.5)
    z.fill(x[2])
    z[x > 0] = -1.0
    np.putmask(z, np.array([True, False, False, True]), x)
    return y, z


STORES: list[tuple[Any, ...]] = [
    (swapped, F(3)),
    (views_of_views, F(4)),
    (taken_in, F(4)),
    (placed, F(4), I(3, low=-2, high=2)),
    (changed, F(4)),
]


@pytest.mark.parametrize("case", STORES, ids=[case[0].__name__ for case in STORES])
def test_stores(case: tuple[Any, ...]) -> None:
    checked(*case)


def test_dtypes_are_those_of_the_array() -> None:
    def f(x: Any) -> Any:
        whole, narrow = np.zeros(3, int), np.zeros(3, np.float32)
        whole[:] = x
        narrow[1:] = x[1:]
        return whole, narrow, np.array([x[0], 1], dtype=np.float32)

    compare(f, np.array([1.5, -2.5, 3.0]))
    with pytest.raises(TraceError, match="in place"):
        trace(lambda x: np.add(x, 1, out=np.zeros(3, int)), {"x": Spec((3,))})


def test_names_imported_from_numpy() -> None:
    def f(x: Any) -> Any:
        y = zeros(3)
        y[1:] = array([x[0], x[0] * x[1]])
        return y

    kept = zeros, array, np.zeros, np.sum, np.r_
    checked(f, F(2))
    assert (zeros, array, np.zeros, np.sum, np.r_) == kept
    assert type(np.zeros(3)) is np.ndarray


def test_another_thread_gets_arrays_of_numpy_s() -> None:
    kinds: list[type] = []

    def f(x: Any) -> Any:
        other = threading.Thread(target=lambda: kinds.append(type(np.zeros(3))))
        other.start()
        other.join()
        y = np.zeros(3)
        y[0] = x[0]
        return y.sum()

    pullback.grad(f)(np.ones(2))
    assert kinds == [np.ndarray] * len(kinds)
    assert kinds


def test_a_loop_of_stores_is_linear() -> None:
    """One statement for what is stored, and one for all of the array: however long the loop."""

    def lengths(n: int) -> int:
        def f(x: Any) -> Any:
            y = np.zeros(n)
            y[0] = x[0]
            for i in range(1, n):
                y[i] = 0.5 * y[i - 1] + x[i]
            return y

        return len(trace(f, {"x": Spec((n,))}).program.statements)

    assert lengths(40) - lengths(20) == 20 * (lengths(4) - lengths(3))


def test_the_caller_s_arrays_are_not_changed() -> None:
    x = np.arange(6.0).reshape(2, 3)

    def f(x: Any) -> Any:
        flat = x.T.reshape(-1)  # a view of some arguments, a copy of others
        flat[0] = 1.0
        return flat.sum()

    with pytest.raises(PullbackError, match="changing an argument"):
        pullback.grad(f)(x)
    np.testing.assert_array_equal(x, np.arange(6.0).reshape(2, 3))


def test_arrays_of_numbers_stay_arrays_of_numbers() -> None:
    def f(x: Any) -> Any:
        y = np.arange(6.0)
        y.shape = (2, 3)
        kept = copy.deepcopy(y)
        y[0, 0] = 7
        assert kept[0, 0] == 0
        assert float(y.max()) == 7
        assert y.tolist()[1] == [3, 4, 5]
        assert [int(v) for v in kept.astype(int)[0]] == [0, 1, 2]
        assert sum(1 for row in y if row.sum() > 5) == 2
        y[1] = x
        return y * copy.copy(x)

    checked(f, F(3))


def test_bytes_seen_as_another_dtype_are_refused_after_a_store() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(3)
        whole = y.view(np.int64)
        y[0] = x[0]
        return (y * whole).sum()

    with pytest.raises(PullbackError, match="view of an array that was changed"):
        pullback.grad(f)(np.ones(2))


def test_an_array_that_something_else_looks_at_is_refused() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(4)
        windows = np.lib.stride_tricks.as_strided(y, (2, 2), (16, 8))
        y[0] = x[0]
        return y.sum() + windows.sum()

    with pytest.raises(PullbackError, match="something else looks at"):
        pullback.grad(f)(np.ones(2))


def test_lists_are_arrays_wherever_the_call_stands() -> None:
    def chosen(x: Any) -> Any:
        rows = [2 * x[0], x[1] ** 2]
        return (np.array(rows) if len(rows) else np.zeros(0)).sum()

    def either(x: Any) -> Any:
        return np.sum((len(x) > 3 and x) or np.array([x[0], 3 * x[1]]))

    np.testing.assert_allclose(pullback.grad(chosen)(np.arange(2.0)), [2, 2])
    np.testing.assert_allclose(pullback.grad(either)(np.arange(2.0)), [1, 3])
