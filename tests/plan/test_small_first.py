"""What has few elements is divided, chosen and multiplied before it meets what has many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback
from tests.differences import differences

Array = np.ndarray[Any, Any]


def backward_of(function: Any, **shapes: str) -> str:
    return pullback.derive(function, **shapes).source().split("def backward")[1]


def unit(X: Array) -> Array:
    return X / np.sqrt((X**2).sum(axis=1, keepdims=True))


def alike(P: Array, Z: Array) -> Array:
    a, b = np.sqrt((P**2).sum(axis=1)), np.sqrt((Z**2).sum(axis=1))
    return (2 - 2 * (P * Z).sum(axis=1) / (a * b)).mean()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [-18, -9, 0, 9, 18])
def test_short_and_long_rows_keep_their_gradients(dtype: type, scale: int) -> None:
    """A norm whose squares neither over- nor underflow has a gradient, however it is divided."""
    rng = np.random.default_rng(3)
    small = 10.0 ** (scale if dtype is np.float32 else 8 * scale)
    P, Z = (rng.normal(size=(5, 4)) for _ in "PZ")
    derivation = pullback.derive(alike, P=f"N D: {np.dtype(dtype)}", Z=f"N D: {np.dtype(dtype)}")
    forward, backward = derivation.compile()
    _, cache = forward((P * small).astype(dtype), Z.astype(dtype))
    found = backward(dtype(1), cache)[0].astype(np.longdouble) * np.longdouble(small)
    Pl, Zl = P.astype(dtype).astype(np.longdouble), Z.astype(dtype).astype(np.longdouble)
    a, b = (np.sqrt((x**2).sum(axis=1, keepdims=True)) for x in (Pl, Zl))
    cosine = (Pl * Zl).sum(axis=1, keepdims=True) / (a * b)
    expected = -2 / len(P) * (Zl / (a * b) - cosine * Pl / a**2)
    assert np.abs(found - expected).max() <= 64 * np.finfo(dtype).eps * np.abs(expected).max()


def test_a_row_of_zeros_has_no_gradient_of_its_norm() -> None:
    source = backward_of(lambda X: np.sqrt((X**2).sum(axis=1)).sum(), X="N D")
    assert "[:, None] * X" in source
    assert "[:, None], " not in source
    forward, backward = pullback.derive(
        lambda X: np.sqrt((X**2).sum(axis=1)).sum(), X="N D"
    ).compile()
    with np.errstate(all="ignore"):
        _, cache = forward(np.array([[3.0, 4.0], [0, 0]]))
        assert np.allclose(backward(np.asarray(1.0), cache), [[0.6, 0.8], [0, 0]])


def test_what_may_be_infinite_where_it_is_left_out_is_chosen_as_a_whole() -> None:
    program = "x[N]; Z[N, D]; Y[n,d] = where(x[n] > 0, x[n]*exp(Z[n,d]), 0)"
    forward, backward = pullback.derive(program, wrt=("x",)).compile()
    with np.errstate(all="ignore"):
        _, cache = forward(np.array([1.0, -1]), np.array([[0.0, 1], [1000, 0]]))
        found = backward(np.ones((2, 2)), cache)
    assert np.allclose(found, [1 + np.e, 0])


def removal(S: Array, r: Array, a: Array, q: Array) -> Array:
    return (S - np.outer(S @ r, a)) @ q


def test_a_multiple_of_the_upstream_gradient_has_no_name() -> None:
    """Its factor is taken out with that of the other terms, and one product with S does."""
    source = backward_of(removal, S="M K", r="K", a="K", q="K")
    assert source.count("@ S") == 1
    assert source.count("dY[:, None] *") == 1
    rng = np.random.default_rng(5)
    values = [rng.normal(size=s) for s in ((4, 3), 3, 3, 3)]
    forward, backward = pullback.derive(removal, S="M K", r="K", a="K", q="K").compile()
    _, cache = forward(*values)
    dY = rng.normal(size=4)
    for which, found in enumerate(backward(dY, cache)):
        assert np.allclose(found, differences(removal, values, dY, which), atol=1e-8)


def off_diagonal(X: Array) -> Array:
    C = X.T @ X / len(X)
    return ((C * (1 - np.eye(X.shape[1]))) ** 2).sum() - C.trace()


def other_places(S: Array, y: Array) -> Array:
    chosen = S[np.arange(len(S)), y]
    rest = np.where(np.arange(S.shape[1]) != y[:, None], S**2, 0)
    return (rest * chosen[:, None]).sum(axis=1)


def test_a_diagonal_that_is_left_out_is_written() -> None:
    program = """
        X[N, D]
        C[i,j] = (sum(n) X[n,i]*X[n,j])/N
        L[] = (sum(i,j) [i != j]*C[i,j]**2) - sum(i) C[i,i]
    """
    derivation = pullback.derive(program)
    source = derivation.source().split("def backward")[1]
    assert "[np.arange(D), np.arange(D)] = 0" in source
    assert "where" not in source
    X = np.random.default_rng(1).normal(size=(5, 4))
    forward, backward = derivation.compile()
    _, cache = forward(X)
    found = backward(np.asarray(1.0), cache)
    assert np.allclose(found, differences(off_diagonal, [X], np.ones(()), 0), atol=1e-7)


def test_places_from_data_that_are_left_out_are_written() -> None:
    derivation = pullback.derive(other_places, S="N C", y="N: int64", wrt=("S",))
    rng = np.random.default_rng(2)
    S, y = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
    forward, backward = derivation.compile()
    _, cache = forward(S, y)
    dY = rng.normal(size=4)
    assert np.allclose(backward(dY, cache), differences(other_places, [S, y], dY, 0), atol=1e-8)


def test_what_is_infinite_on_a_diagonal_that_is_left_out_leaves_nothing() -> None:
    program = "X[N, N]; Y[i] = sum(j) where(i != j, exp(X[i,j]), 0)"
    forward, backward = pullback.derive(program).compile()
    with np.errstate(all="ignore"):
        _, cache = forward(np.array([[1000.0, 0], [1, 1000]]))
        assert np.allclose(backward(np.ones(2), cache), [[0, 1], [np.e, 0]])
