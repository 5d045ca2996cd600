"""Every layer with every combination of its options: it works, or its options are refused by name.

A refusal that comes of a layer's own definition is an error of the layer.
"""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.cli.checks import _array
from pullback.ir.arithmetic import FLOAT
from pullback.layers import LAYERS
from pullback.layers.layer import Layer
from pullback.verify.samples import draw_inputs, draw_sizes

COMBINATIONS = 8  # of several options at once, a layer


def _each(options: tuple[str, ...], tried: list[Any]) -> dict[str, list[Any]]:
    return dict.fromkeys(options, tried)


# Values to try, by option: of the right kind, of none, out of range.
VALUES: dict[str, list[Any]] = {
    **_each(("kernel", "stride", "dilation"), [None, 1, 2, 3, (2, 3), (1,), 0, 2.5]),
    **_each(("size", "scale"), [None, 1, 2, 7, (4, 5), (3,), 0, "a"]),
    **_each(("padding", "output_padding"), [0, 1, 2, (1, 0), -1, "same", "valid"]),
    **_each(("dims", "axes"), [1, 2, 3, 0]),
    **_each(("axis", "shift"), [0, 1, -1, 5, None]),
    **_each(("groups", "heads", "factor", "layers"), [1, 2, 3, 0]),
    **_each(("channels", "out_features", "num_parameters"), [None, 1, 4, (2,)]),
    **_each(("p", "alpha", "beta", "eps", "margin", "delta"), [0, 0.5, 1, 2, -1, np.inf]),
    **_each(("mode", "reduction"), ["none", "mean", "sum", "reflect", "constant", 1]),
}


def values(name: str, default: Any) -> list[Any]:
    """The default and other values of an option."""
    more = VALUES.get(name, [])
    if isinstance(default, bool):
        more = [True, False]
    elif isinstance(default, int | float) and not more:
        more = [0, 1, 2, 3]
    return [default, *(v for v in more if type(v) is not type(default) or v != default)]


def options(name: str) -> list[dict[str, Any]]:
    """One option at a time, and some combinations of several."""
    every = {option: values(option, default) for option, default in LAYERS[name].options.items()}
    found = [{option: value} for option, row in every.items() for value in row]
    whole = list(itertools.islice(itertools.product(*every.values()), 50_000))
    Random(0).shuffle(whole)
    return [*found, *(dict(zip(every, row, strict=True)) for row in whole[:COMBINATIONS])]


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_options_work_or_are_refused_by_name(name: str) -> None:
    worked = 0
    for given in options(name):
        try:
            layer = LAYERS[name](**given)
        except pb.ArgumentError:
            continue
        layer.formula(layer.usual)
        worked += 1
    assert worked >= 1


def arrays(layer: Layer, rng: Random) -> list[Any] | None:
    """Inputs at some small sizes at which the layer means something, None if none were found."""
    program = layer.formula(layer.usual).program
    for sizes in draw_sizes(program.statements, program.inputs, rng, 8):
        fixed = program.with_sizes(sizes)
        drawn = draw_inputs(fixed.inputs, fixed.statements, sizes, rng, FLOAT, "positive")
        found = [_array(drawn[tensor.name], tensor) for tensor in fixed.inputs]
        try:
            layer(*found)
        except pb.ShapeError:  # too small, or a drawn position that is out of range
            continue
        return found
    return None


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_layers_with_one_option_changed_run(name: str) -> None:
    """The forward pass gives values, the backward pass finite gradients of the right kinds."""
    rng = Random(0)
    for option, default in LAYERS[name].options.items():
        for value in values(option, default)[1:2]:
            try:
                layer = LAYERS[name](**{option: value})
            except pb.ArgumentError:
                continue
            given = arrays(layer, rng)
            if given is None:
                continue
            outputs, pull = pb.vjp(layer, *given)
            seed = tuple(map(np.ones_like, outputs)) if isinstance(outputs, tuple) else 1
            gradients = pull(np.ones_like(outputs) if seed == 1 else seed)
            for gradient, array in zip(gradients, given, strict=True):
                assert (gradient is None) == (array.dtype.kind != "f")
                assert gradient is None or np.isfinite(gradient).all()
