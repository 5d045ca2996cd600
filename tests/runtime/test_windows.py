"""Convolutions whose windows fit nowhere have empty results, and gradients of 0."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.runtime.load import windows

Array = Any
LINES = {
    "X[N,C,I]\nW[O,C,3]\nY[n,o,i] = sum(c,k) X[n,c,i+k]*W[o,c,k]": ((2, 3), (2,)),
    "X[N,C,I]\nW[O,C,3]\nY[n,o,i:(I-3)//2+1] = sum(c,k) X[n,c,2*i+k]*W[o,c,k]": ((1, 2, 3), (1, 2)),
}


@pytest.mark.parametrize("text", LINES)
def test_an_empty_convolution(text: str) -> None:
    lengths, empty = LINES[text]
    function = pb.define(text)
    forward, backward = pb.derive(text).compile()
    for batch, channels, length in itertools.product((0, 2), (0, 2), lengths):
        X, W = np.ones((batch, channels, length)), np.ones((4, channels, 3))
        count = 0 if length in empty else 1
        Y, cache = forward(X, W)
        value, pull = pb.vjp(function, X, W)
        for found, gradients in (
            (Y, backward(np.ones_like(Y), cache)),
            (value, pull(np.ones_like(value))),
        ):
            assert np.array_equal(found, np.full((batch, 4, count), 3.0 * channels))
            assert np.array_equal(gradients[0], np.full(X.shape, 4.0 * count))
            assert np.array_equal(gradients[1], np.full(W.shape, float(batch * count)))


@pytest.mark.parametrize("shape", [(4, 5), (0, 3), (2, 2), (3, 1)])
def test_windows_are_those_of_numpy_where_numpy_has_some(shape: tuple[int, int]) -> None:
    x = np.arange(float(np.prod(shape))).reshape(shape)
    for width, axis in ((2, 1), ((2, 3), (0, 1))):
        found = windows(x, width, axis=axis)
        try:
            expected = np.lib.stride_tricks.sliding_window_view(x, width, axis=axis)
        except ValueError:
            assert found.size == 0
        else:
            assert np.array_equal(found, expected) and found.shape == expected.shape
