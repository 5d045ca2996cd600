"""Arrays to start from and to try things at, drawn by a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def _scaled(rng: np.random.Generator, shape: Shape) -> Array:
    """He's start for (outputs, inputs, window...) kernels and (inputs, outputs) matrices."""
    fan_in = shape[0] if len(shape) <= 2 else int(np.prod(shape[1:]))
    return rng.normal(scale=(2 / max(fan_in, 1)) ** 0.5, size=shape)


def _lecun(rng: np.random.Generator, shape: Shape) -> Array:
    """LeCun's start for (outputs, inputs) matrices."""
    return rng.normal(scale=max(shape[-1], 1) ** -0.5, size=shape)


def _probabilities(rng: np.random.Generator, shape: Shape) -> Array:
    drawn = rng.uniform(0.1, 1, size=shape)
    return np.asarray(drawn / drawn.sum(axis=-1, keepdims=True))


def _definite(rng: np.random.Generator, shape: Shape) -> Array:
    drawn = rng.normal(size=shape)
    return np.asarray(drawn @ np.swapaxes(drawn, -1, -2) + np.eye(shape[-1]) * shape[-1])


def _symmetric(rng: np.random.Generator, shape: Shape) -> Array:
    drawn = rng.normal(size=shape)
    return drawn + np.swapaxes(drawn, -1, -2)


# word: how to draw floats of a shape
DRAWS: dict[str, Callable[[np.random.Generator, Shape], Array]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "positive": lambda rng, shape: rng.uniform(0.5, 2, size=shape),
    "unit": lambda rng, shape: rng.uniform(0.05, 0.95, size=shape),
    "zeros": lambda rng, shape: np.zeros(shape),
    "ones": lambda rng, shape: np.ones(shape),
    "scaled": _scaled,
    "lecun": _lecun,
    "probabilities": _probabilities,
    "definite": _definite,
    "symmetric": _symmetric,
}


def draw(how: str, rng: np.random.Generator, shape: Shape, dtype: str = "float64") -> Array:
    """An array drawn by a word of :data:`DRAWS`; ``below 5`` draws integers in 0..4,
    ``signs`` -1 and 1, ``mask`` booleans, a number fills.

    >>> draw("0.25", np.random.default_rng(0), (2,))
    array([0.25, 0.25])
    """
    if how in DRAWS:
        return np.asarray(DRAWS[how](rng, shape), dtype)
    if how == "mask":
        return np.asarray(rng.uniform(size=shape) < 0.7)
    if how == "signs":
        return np.asarray(2 * rng.integers(0, 2, size=shape) - 1)
    word, _, most = how.partition(" ")
    if word == "below" and most.isdigit():
        return np.asarray(rng.integers(0, int(most), size=shape))
    try:
        return np.full(shape, float(how), dtype)
    except ValueError:
        raise ArgumentError(
            "there is no such way to draw an array",
            expected=f"one of {', '.join(DRAWS)}, mask, signs, below N, or a number",
            found=repr(how),
        ) from None
