"""Layers one after the other, with named parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..ir.program import solve_sizes
from .layer import Array, Layer

Parameters = Mapping[str, Mapping[str, Any]]


class Network:
    """Layers composed in the order in which they are given, each under a name.

    A network is a plain function of its parameters and its input, so it is differentiated like any
    other function. Its parameters are a dict of dicts, ``{"hidden": {"W": ..., "b": ...}, ...}``.

    >>> from pullback import layers
    >>> network = Network(first=layers.relu(), second=layers.relu())
    >>> parameters = network.init(np.random.default_rng(0), 3, 2)
    >>> network(parameters, np.array([-1.0, 2.0]))
    array([0., 2.])

    Each layer takes one array and gives one; whatever else a layer takes must be learned.
    """

    _pullback_reads = ("layers",)  # what it depends on, see runtime.captured

    def __init__(self, **layers: Layer) -> None:
        for name, layer in layers.items():
            if not isinstance(layer, Layer):
                raise ArgumentError(
                    f"{name} is not a layer",
                    expected=f"e.g. {name}=layers.relu()",
                    found=f"a {type(layer).__name__}",
                    hint="call a kind of layer to give it its options" if callable(layer) else "",
                )
            more = [n for n in layer.inputs[1:] if n not in layer.parameters]
            if more:
                raise ArgumentError(
                    f"{name} takes more than what flows in",
                    where=f"{name}={layer!r}",
                    expected="one input, and parameters",
                    found=f"also {', '.join(more)}",
                    hint="call it yourself, on what the network returns",
                )
        self.layers = {name: layer.named(name) for name, layer in layers.items()}

    def __repr__(self) -> str:
        return f"Network({', '.join(f'{name}={layer!r}' for name, layer in self.layers.items())})"

    def __call__(self, parameters: Parameters, X: Any) -> Any:
        """What comes out for X, with these parameters."""
        for name, layer in self.layers.items():
            X = layer(X, **parameters.get(name, {}))
        return X

    def init(
        self, rng: np.random.Generator, *shape: int, dtype: str = "float64"
    ) -> dict[str, dict[str, Array]]:
        """Parameters to start from, for an input of this shape.

        Raises ShapeError where the shape doesn't fit a layer, ArgumentError where the options of
        one leave a parameter's size open.
        """
        parameters = {}
        for name, layer in self.layers.items():
            made = layer.init(rng, *shape, dtype=dtype)
            if made:
                parameters[name] = made
            shape = _shape_after(layer, shape, made)
        return parameters


def _shape_after(
    layer: Layer, shape: tuple[int, ...], parameters: Mapping[str, Array]
) -> tuple[int, ...]:
    """The shape of what a layer makes of an input of this shape."""
    program = layer.fitting(shape).program
    given = {program.inputs[0]: shape}
    given |= {t: parameters[t.name].shape for t in program.inputs if t.name in parameters}
    sizes = solve_sizes(given)
    (output,) = program.outputs
    return tuple(extent.value(sizes) for extent in output.shape)
