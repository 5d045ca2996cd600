"""Maxima and minima of values whose order is known have no kink where both are equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb

Function = Callable[..., Any]

ALWAYS: dict[str, tuple[Function, Function]] = {
    "least below": (lambda v, w: np.maximum(v.min(axis=0), v), lambda v, w: v),
    "least above": (lambda v, w: np.minimum(v, v.min(axis=0)), lambda v, w: v.min(axis=0) + 0 * v),
    "greatest": (lambda v, w: np.minimum(v.max(axis=1, keepdims=True), v), lambda v, w: v),
    "both axes": (lambda v, w: np.maximum(v.min(), v), lambda v, w: v),
    "clipped": (lambda v, w: np.clip(v, v.min(axis=0), v.max()), lambda v, w: v),
    "less than a smaller one": (lambda v, w: np.maximum(np.minimum(v, w), w), lambda v, w: w),
    "greater than a greater one": (lambda v, w: np.minimum(v, np.maximum(w, v)), lambda v, w: v),
    "distance": (
        lambda v, w: np.abs(v - v.min(axis=0)) + v.min(axis=0),
        lambda v, w: v,
    ),
    "distance, below": (
        lambda v, w: v.max(axis=0) - np.maximum(v.max(axis=0) - v, 0),
        lambda v, w: v,
    ),
    "absolute": (
        lambda v, w: np.maximum(np.abs(v), v) + np.minimum(v, np.abs(v)),
        lambda v, w: np.abs(v) + v,
    ),
    "rectified twice": (
        lambda v, w: np.maximum(np.maximum(v, 0), -1) + np.minimum(v, 0),
        lambda v, w: v,
    ),
}


@pytest.mark.parametrize("name", ALWAYS)
def test_it_is_differentiated_as_what_it_always_is(name: str) -> None:
    function, other = ALWAYS[name]
    rng = np.random.default_rng(3)
    for _ in range(5):
        v, w, G = (rng.integers(-1, 2, (3, 4)).astype(float) for _ in range(3))
        value, back = pb.vjp(function, v, w)
        expected, expected_back = pb.vjp(other, v, w)
        np.testing.assert_array_equal(value, expected)
        for found, right in zip(back(G), expected_back(G), strict=True):
            np.testing.assert_allclose(found, right, atol=1e-12)


NEVER: dict[str, Function] = {
    "the least of others": lambda v, w: np.maximum(w.min(axis=0), v),
    "the least of another axis' elements": lambda v, w: np.maximum(v.min(axis=0), v.T),
    "the least of some": lambda v, w: np.maximum(v[1:].min(axis=0), v),
    "the least of a row": lambda v, w: np.maximum(v[1].min(), v),
    "the least of what is moved": lambda v, w: np.maximum(v.min(axis=0), np.roll(v, 1, axis=1)),
    "the greatest, beside it": lambda v, w: np.maximum(v, v.max(axis=0) - 1),
    "the least under a condition": lambda v, w: np.maximum(
        np.min(v, axis=0, where=w > 0, initial=9.0), v
    ),
    "bounds the wrong way round": lambda v, w: np.clip(v, v.max(axis=0), v.min(axis=0)),
    "a clipped value whose bounds may cross": lambda v, w: np.maximum(np.clip(v, w, 0.2), w),
    "twice the least": lambda v, w: np.maximum(2 * v.min(axis=0), v),
    "a difference of others": lambda v, w: np.abs(w - v.min(axis=0)),
    "a difference of multiples": lambda v, w: np.abs(v - 2 * v.min(axis=0)),
}


@pytest.mark.parametrize("name", NEVER)
def test_nothing_is_taken_for_known_that_is_not(name: str) -> None:
    function = NEVER[name]
    rng = np.random.default_rng(4)
    step = 1e-6
    for _ in range(4):
        v, w = rng.normal(size=(2, 4, 4))
        value, back = pb.vjp(function, v, w)
        G = rng.normal(size=np.shape(value))
        np.testing.assert_array_equal(value, function(v, w))
        for which, gradient in enumerate(back(G)):
            for at in np.ndindex(4, 4):
                moved = [[v.copy(), w.copy()] for _ in range(2)]
                moved[0][which][at] += step
                moved[1][which][at] -= step
                slope = ((function(*moved[0]) - function(*moved[1])) * G).sum() / (2 * step)
                assert abs(gradient[at] - slope) < 1e-7


def test_what_is_not_a_number_passes_as_in_numpy() -> None:
    v = np.array([[1.0, np.nan], [2.0, 3.0]])
    value, _ = pb.vjp(lambda v: np.maximum(v.min(axis=1, keepdims=True), v), v)
    np.testing.assert_array_equal(value, [[np.nan, np.nan], [2, 3]])


def test_the_element_has_to_be_one_of_those() -> None:
    text = "v[N,N]\nt[j] = min(i) v[i,j]\nY[i,j] = maximum(t[j], v[{}])"
    v = np.ones((2, 2))
    _, back = pb.vjp(pb.define(text.format("i,j")), v)
    np.testing.assert_array_equal(back(v)[0], v)
    _, back = pb.vjp(pb.define(text.format("j,i")), v)  # half of a tie that may be none
    np.testing.assert_array_equal(back(v)[0], [[1.5, 1.5], [0.5, 0.5]])
