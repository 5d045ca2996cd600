"""Backward passes that a person wrote: what generated source is measured against.

Each module holds ``value`` (the function as plain NumPy, which is differentiated), ``forward(...)
-> (Y, cache)`` and ``backward(dY, cache) -> gradients`` written by hand, and its sizes.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

NAMES = (
    "mlp",
    "softmax",
    "softmax_plain",
    "softmax_loss",
    "batch_norm",
    "layer_norm",
    "rms_norm",
    "convolution",
    "max_pooling",
    "average_pooling",
    "total_variation",
    "gram",
    "attention",
)


@dataclass(frozen=True)
class Form:
    """One hand-written backward pass.

    ``axes`` names each argument's sizes; ``integer`` names, for an argument of whole numbers, the
    size that they stay below; ``small`` and ``large`` are the sizes of tests and of benchmarks.
    """

    name: str
    value: Callable[..., Any]
    forward: Callable[..., Any] | None
    backward: Callable[..., Any] | None
    axes: Mapping[str, str]
    integer: Mapping[str, str]
    small: Mapping[str, int]
    large: Mapping[str, int]

    @property
    def shapes(self) -> dict[str, str]:
        """The arguments' shapes as ``pullback.derive`` takes them."""
        return {
            name: f"{axes}: int64" if name in self.integer else axes
            for name, axes in self.axes.items()
        }

    def arguments(self, sizes: Mapping[str, int], seed: int = 0) -> tuple[np.ndarray, ...]:
        """Random arguments of those sizes."""
        rng = np.random.default_rng(seed)
        return tuple(self._argument(name, sizes, rng) for name in self.axes)

    def _argument(
        self, name: str, sizes: Mapping[str, int], rng: np.random.Generator
    ) -> np.ndarray:
        shape = tuple(extent(form, sizes) for form in self.axes[name].split())
        if name in self.integer:
            return rng.integers(0, sizes[self.integer[name]], shape)
        return rng.normal(size=shape)


def extent(form: str, sizes: Mapping[str, int]) -> int:
    """The value of a size such as ``2*H+1``.

    >>> extent("2*H+1", {"H": 3})
    7
    """
    factor, name, offset = re.fullmatch(r"(?:(\d+)\*)?([A-Z]?)\+?(\d*)", form).groups()  # type: ignore[union-attr]
    return int(factor or 1) * (sizes[name] if name else 0) + int(offset or 0)


def _form(name: str) -> Form:
    module = importlib.import_module(f"{__name__}.{name}")
    return Form(
        name,
        module.value,
        module.forward,
        module.backward,
        module.AXES,
        getattr(module, "INTEGER", {}),
        module.SMALL,
        module.LARGE,
    )


FORMS: tuple[Form, ...] = tuple(map(_form, NAMES))
