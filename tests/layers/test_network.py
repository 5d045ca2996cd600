"""Networks: layers in order, parameters by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback
from pullback import layers
from pullback.layers import Definition, Kind
from pullback.layers.network import Network


def _scale(rank: int, outputs: int | None = None) -> Definition:
    """X·W with a square or given W."""
    wide = "M" if outputs is None else outputs
    return Definition(f"X[N,D]\nW[D,{wide}]\nY[n,m] = sum(d) X[n,d]*W[d,m]", {"W": "scaled"})


product = Kind("product", "product", "tests", _scale, 2, ())


def network() -> Network:
    return Network(first=product(outputs=4), relu=layers.relu(), last=product(outputs=3))


def test_the_layers_follow_each_other() -> None:
    made = network()
    parameters = made.init(np.random.default_rng(0), 5, 2)
    assert {name: {k: v.shape for k, v in p.items()} for name, p in parameters.items()} == {
        "first": {"W": (2, 4)},
        "last": {"W": (4, 3)},
    }
    X = np.random.default_rng(1).normal(size=(5, 2))
    expected = np.maximum(X @ parameters["first"]["W"], 0) @ parameters["last"]["W"]
    assert np.allclose(made(parameters, X), expected)


def test_gradients_come_by_name() -> None:
    made = network()
    parameters = made.init(np.random.default_rng(0), 5, 2)
    X = np.random.default_rng(1).normal(size=(5, 2))

    def loss(parameters: Any) -> Any:
        return (made(parameters, X) ** 2).sum()

    found = pullback.grad(loss)(parameters)
    assert {name: set(p) for name, p in found.items()} == {"first": {"W"}, "last": {"W"}}
    assert pullback.check_grads(loss, (parameters,)).passed


def test_parameters_are_drawn_in_the_dtype_asked_for() -> None:
    parameters = network().init(np.random.default_rng(0), 5, 2, dtype="float32")
    assert all(leaf.dtype == np.float32 for p in parameters.values() for leaf in p.values())


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(pullback.ArgumentError, match="is not a layer"):
        Network(first=layers.relu)  # type: ignore[arg-type]
    with pytest.raises(pullback.ArgumentError, match="how large M is"):
        Network(first=product()).init(np.random.default_rng(0), 5, 2)
    with pytest.raises(pullback.ShapeError):
        network()(
            {"first": {"W": np.ones((3, 4))}, "last": {"W": np.ones((4, 3))}}, np.ones((5, 2))
        )


def test_the_source_speaks_of_the_layers_by_name() -> None:
    made = network()
    parameters = made.init(np.random.default_rng(0), 5, 2)
    shapes = {"parameters": parameters, "X": np.ones((5, 2))}
    source = pullback.derive(lambda parameters, X: made(parameters, X), **shapes).source()
    assert "    relu = np.maximum(first, 0)\n" in source
    assert "# gradient of relu, from Y[i,j] = maximum(X[i,j], 0)\n" in source


def test_what_is_too_small_for_a_layer_is_refused_inside_a_network_too() -> None:
    made = Network(conv=layers.convolution(channels=2, kernel=5))
    parameters = {"conv": {"K": np.ones((2, 1, 5, 5)), "b": np.zeros(2)}}
    X = np.ones((1, 1, 4, 4))
    for call in (
        lambda: made(parameters, X),
        lambda: made.init(np.random.default_rng(0), *X.shape),
        lambda: pullback.grad(lambda p: made(p, X).sum())(parameters),
    ):
        with pytest.raises(pullback.ShapeError, match="H is too small"):
            call()
