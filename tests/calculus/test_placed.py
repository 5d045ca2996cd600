"""Values and gradients that are 0 everywhere but at one place of an axis, which data says.

A mask of labels, the greatest of a row and a gather leave one element a row. Such a gradient goes
on as that element: no array of zeros is multiplied, and the places may lie outside of the axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from tests.differences import differences

Array = np.ndarray[Any, Any]
Form = Callable[..., Array]


def softmax(S: Array) -> Array:
    E = np.exp(S)
    return E / E.sum(axis=1, keepdims=True)


def mask_of(S: Array, y: Array) -> Array:
    return y[:, None] == np.arange(S.shape[1])


def focal(S: Array, y: Array) -> Array:
    mask = mask_of(S, y)
    P = softmax(S)
    return -(mask * (1 - P) ** 2 * np.log(P)).sum()


def chosen(S: Array, y: Array) -> Array:
    return (np.where(np.arange(S.shape[1]) == y[:, None], S**3, 0) * np.cos(S)).sum(axis=1)


def others(S: Array, y: Array) -> Array:
    mask = np.arange(S.shape[1]) != y[:, None]
    return np.where(mask, np.exp(S), S**2).sum(axis=1)


def squared(S: Array, y: Array) -> Array:
    Z = np.where(mask_of(S, y), np.sin(S), S)
    return (Z @ Z.T).sum(axis=1)


def numbers(S: Array, y: Array) -> Array:
    mask = mask_of(S, y).astype(float)
    return (mask * S).sum(axis=1) * (S * (1 - mask)).sum(axis=1)


def turned(S: Array, y: Array) -> Array:
    mask = mask_of(S, y)
    kept = mask * S
    return (kept * kept[::-1]).sum(axis=0) + kept.max()


MASKED: list[Form] = [focal, chosen, others, squared, numbers, turned]


def gradient_of(function: Form, shapes: dict[str, str], values: list[Array]) -> tuple[Array, str]:
    """The gradient of the first argument, and the source of the backward pass."""
    derivation = pullback.derive(function, wrt=(next(iter(shapes)),), **shapes)
    forward, backward = derivation.compile()
    value, cache = forward(*values)
    assert np.allclose(value, function(*values))
    found = backward(upstream(value), cache)
    return np.asarray(found), derivation.source().split("def backward")[1]


def upstream(value: Array) -> Array:
    return np.linspace(1, 3, np.size(value)).reshape(np.shape(value))


def is_right(function: Form, shapes: dict[str, str], values: list[Array]) -> str:
    found, source = gradient_of(function, shapes, values)
    expected = differences(function, values, upstream(function(*values)), 0)
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-8)
    return source


@pytest.mark.parametrize("function", MASKED, ids=lambda f: f.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_labels_may_be_no_place_of_the_axis(function: Form, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(-2, 7, size=5)
    y[0], y[1] = -1, 4
    is_right(function, {"S": "N C", "y": "N: int64"}, [rng.normal(size=(5, 4)), y])


@pytest.mark.parametrize("function", [focal, chosen], ids=lambda f: f.__name__)
def test_what_a_mask_of_labels_leaves_is_an_element_a_row(function: Form) -> None:
    source = is_right(
        function,
        {"S": "N C", "y": "N: int64"},
        [np.random.default_rng(5).normal(size=(5, 4)), np.array([0, 3, 1, 1, 2])],
    )
    assert "dS[np.arange(N), place]" in source
    assert "==" not in source


def test_a_mask_of_whole_numbers_that_are_data_stays_a_mask() -> None:
    def alike(S: Array, y: Array, z: Array) -> Array:
        return (np.where(y[:, None] == z, S**2, 0) * np.sin(S)).sum(axis=1)

    rng = np.random.default_rng(2)
    values = [rng.normal(size=(5, 4)), rng.integers(0, 3, 5), rng.integers(0, 3, 4)]
    source = is_right(alike, {"S": "N C", "y": "N: int64", "z": "C: int64"}, values)
    assert "==" in source or "mask" in source


# Products with what is placed.


def distances(X: Array, Z: Array) -> Array:
    return ((X[:, None] - Z) ** 2).sum(axis=2)


def nearest(X: Array, Z: Array) -> Array:
    return distances(X, Z).min(axis=1)


def hausdorff(X: Array, Z: Array) -> Array:
    return distances(X, Z).min(axis=1).max()


def chamfer(X: Array, Z: Array) -> Array:
    D = np.sqrt(distances(X, Z) + 1)
    return D.min(axis=1).sum() + D.min(axis=0).sum()


def best_score(X: Array, Z: Array) -> Array:
    return np.exp((X @ Z.T).max(axis=1))


def margins(X: Array, Z: Array) -> Array:
    S = X @ Z.T
    return np.maximum(S.max(axis=1) - S.min(axis=1) - 0.5, 0).mean()


@pytest.mark.parametrize("function", [nearest, hausdorff, chamfer, best_score, margins])
@pytest.mark.parametrize("seed", range(3))
def test_an_element_a_row_is_read_where_it_is(function: Form, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=(6, 3)), rng.normal(size=(5, 3))]
    source = is_right(function, {"X": "N D", "Z": "M D"}, values)
    assert "@" not in source
    assert "(N, M)" not in source


@pytest.mark.parametrize("function", [nearest, chamfer, margins])
def test_places_of_the_other_argument_are_added_up(function: Form) -> None:
    rng = np.random.default_rng(4)
    values = [rng.normal(size=(5, 3)), rng.normal(size=(6, 3))]

    def turned(Z: Array, X: Array) -> Array:
        return function(X, Z)

    source = is_right(turned, {"Z": "M D", "X": "N D"}, values)
    assert "np.subtract.at(dZ" in source


def test_a_row_that_is_not_a_single_element_is_multiplied() -> None:
    def pooled(X: Array, Z: Array) -> Array:
        S = X @ Z.T
        return S.max(axis=1) + (S**2).sum(axis=1)

    rng = np.random.default_rng(1)
    source = is_right(
        pooled, {"X": "N D", "Z": "M D"}, [rng.normal(size=(6, 3)), rng.normal(size=(5, 3))]
    )
    assert "@" in source


def test_the_array_of_all_differences_is_not_kept_for_a_few() -> None:
    derivation = pullback.derive(nearest, X="N D", Z="M D", wrt=("X",))
    forward, _ = derivation.compile()
    _, cache = forward(np.ones((6, 3)), np.zeros((5, 3)))
    assert max(np.size(kept) for kept in cache) <= 18


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_without_a_label_stays_0_where_its_exponentials_overflow(dtype: type) -> None:
    program = """
        S[n,c]; y: int[n]
        E[n,c] = exp(S[n,c])
        P[n,c] = E[n,c]/sum(k) E[n,k]
        L[] = -sum(n,c) [y[n] = c]*(1 - P[n,c])**2*log(P[n,c])
    """
    forward, backward = pullback.derive(program, wrt=("S",)).compile()
    S = np.array([[0.5, -1, 2], [1e4, 0, 0]], dtype=dtype)
    with np.errstate(all="ignore"):
        _, cache = forward(S, np.array([2, -1]))
        found = backward(dtype(1), cache)
    assert np.isfinite(found).all()
    assert not found[1].any()
    assert found[0].any()
