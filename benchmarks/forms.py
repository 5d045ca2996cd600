"""The published forms as plain NumPy, with sizes and with a program for HIPS autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import numpy as np

from tests.handwritten import FORMS as HANDWRITTEN
from tests.handwritten import Form


def relu(X):  # type: ignore[no-untyped-def]
    return np.maximum(X, 0)


def affine(X, W, b):  # type: ignore[no-untyped-def]
    return X @ W + b


def sigmoid(X):  # type: ignore[no-untyped-def]
    return 1 / (1 + np.exp(-X))


def tanh(X):  # type: ignore[no-untyped-def]
    return np.tanh(X)


def euclidean_loss(X, W, Y):  # type: ignore[no-untyped-def]
    return ((X @ W - Y) ** 2).sum()


def under(module: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with its global ``np`` meaning another module."""
    scope = {**function.__globals__, "np": module}  # type: ignore[attr-defined]
    return FunctionType(function.__code__, scope, function.__name__)  # type: ignore[attr-defined]


def _taps(np: Any, X: Any, size: int, stride: int) -> Any:
    """The strided windows of the last two axes, one tap after the other on a new first axis.

    autograd has no sliding_window_view; slices and a stack say the same.
    """
    rows = (X.shape[2] - size) // stride + 1
    columns = (X.shape[3] - size) // stride + 1
    return np.stack(
        [
            X[:, :, p : p + stride * rows : stride, q : q + stride * columns : stride]
            for p in range(size)
            for q in range(size)
        ]
    )


def _convolution(np: Any, X: Any, K: Any, b: Any) -> Any:
    padded = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="constant")
    windows = _taps(np, padded, 3, 2)
    taps = np.reshape(K, (K.shape[0], K.shape[1], 9))
    Y = np.tensordot(windows, taps, ((2, 0), (1, 2)))
    return np.transpose(Y, (0, 3, 1, 2)) + b[:, None, None]


def _max_pooling(np: Any, X: Any) -> Any:
    return np.max(_taps(np, X, 2, 2), axis=0)


def _average_pooling(np: Any, X: Any) -> Any:
    return np.mean(_taps(np, X, 3, 2), axis=0)


@dataclass(frozen=True)
class Contest:
    """A form, and what autograd is given where the form's own program won't do."""

    form: Form
    rival: Callable[..., Any] | None = field(default=None)

    def rival_program(self, module: Any) -> Callable[..., Any]:
        """The form as a program over autograd's own NumPy module."""
        if self.rival is None:
            return under(module, self.form.value)
        rival = self.rival
        return lambda *arguments: rival(module, *arguments)


def _plain(
    value: Callable[..., Any], axes: Mapping[str, str], small: dict[str, int], large: dict[str, int]
) -> Form:
    """A form too short to be worth writing its backward pass by hand."""
    return Form(value.__name__, value, None, None, axes, {}, small, large)


_TABLE = {"N": 512, "D": 512}
_SHEET = {"N": 5, "D": 4}
_PRODUCT = {"N": 1024, "D": 256, "M": 512}
_SMALL_PRODUCT = {"N": 5, "D": 4, "M": 3}
_AFFINE = {"X": "N D", "W": "D M"}

PLAIN: tuple[Form, ...] = (
    _plain(relu, {"X": "N D"}, _SHEET, _TABLE),
    _plain(sigmoid, {"X": "N D"}, _SHEET, _TABLE),
    _plain(tanh, {"X": "N D"}, _SHEET, _TABLE),
    _plain(affine, {**_AFFINE, "b": "M"}, _SMALL_PRODUCT, _PRODUCT),
    _plain(euclidean_loss, {**_AFFINE, "Y": "N M"}, _SMALL_PRODUCT, _PRODUCT),
)

_RIVALS = {
    "convolution": _convolution,
    "max_pooling": _max_pooling,
    "average_pooling": _average_pooling,
}

CONTESTS: tuple[Contest, ...] = tuple(
    Contest(form, _RIVALS.get(form.name)) for form in (*PLAIN, *HANDWRITTEN)
)
