"""Sums under conditions make no array with the axes of all their factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from tests.compactness.counter import largest_of_source

T, M = 7, 5


def lower(Q: Any, V: Any) -> Any:
    return np.tril(Q) @ V


def upper_twice(Q: Any, V: Any) -> Any:
    A = np.triu(Q, 1)
    return A @ V / (1 + (A**2).sum(axis=1)[:, None]) + A.T @ V


def chosen(Q: Any, V: Any) -> Any:
    return np.where(Q > 0.3, Q, 0) @ V


def normalised(Q: Any, V: Any) -> Any:
    A = np.tril(np.exp(Q))
    return (A / A.sum(axis=1, keepdims=True)) @ V


def banded(Q: Any, V: Any) -> Any:
    near = np.abs(np.arange(len(Q))[:, None] - np.arange(len(Q))) <= 1
    return np.einsum("ts,sm->tm", Q * near, V)


@pytest.mark.parametrize("function", [lower, upper_twice, chosen, normalised, banded])
def test_a_masked_matrix_is_multiplied_as_one(function: Callable[..., Any]) -> None:
    rng = np.random.default_rng(3)
    inputs = {"Q": rng.normal(size=(T, T)), "V": rng.normal(size=(T, M))}
    derivation = pullback.derive(function, Q="T T", V="T M")
    value, _ = derivation.compile().forward(*inputs.values())
    np.testing.assert_allclose(value, function(*inputs.values()), rtol=1e-13, atol=1e-13)
    assert largest_of_source(derivation.source(), inputs) <= T * T
    assert derivation.verify().passed


def test_infinite_values_meet_zeros_as_they_do_in_numpy() -> None:
    Q, V = np.ones((T, T)), np.ones((T, M))
    V[-1] = np.inf
    value, _ = pullback.derive(lower, Q="T T", V="T M").compile().forward(Q, V)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(value, lower(Q, V))


@pytest.mark.parametrize(
    "text",
    [
        "Y[t,m] = sum(i) [i <= t]*Q[t,i]*V[i,m]",
        "Y[t,m] = sum(i) [t <= i]*exp(Q[t,i])*V[i,m]",
        "Y[t,m] = sum(i) [Q[t,i] > 0]*Q[t,i]*V[i,m]",
        "Y[t,m] = sum(i) [i < t]*Q[t,i]*V[i,m]*V[t,m]",
    ],
)
def test_a_condition_of_index_notation_chooses_elements_of_one_factor(text: str) -> None:
    rng = np.random.default_rng(3)
    inputs = {"Q": rng.normal(size=(T, T)), "V": rng.normal(size=(T, M))}
    derivation = pullback.derive(text, Q="T T", V="T M")
    assert largest_of_source(derivation.source(), inputs) <= T * T
    assert derivation.verify().passed


def test_what_may_be_infinite_under_a_condition_stays_under_it() -> None:
    derivation = pullback.derive("Y[t] = sum(i) [x[i] > 0]*Q[t,i]*log(x[i])", Q="T N", x="N")
    Q, x = np.ones((2, 4)), np.array([0.0, 1.0, -2.0, np.e])
    value, _ = derivation.compile().forward(x, Q)
    np.testing.assert_allclose(value, [1, 1], rtol=1e-15)
    assert derivation.verify().passed
