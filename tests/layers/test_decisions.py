"""What single layers publish of edges, and where their parameters start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback import layers
from pullback.layers import LAYERS
from tests.differences import close

WITH_MEAN = ("mse", "l1", "huber", "euclidean", "kl_divergence", "bce_with_logits")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", WITH_MEAN)
def test_the_mean_of_an_empty_batch_is_nan(name: str) -> None:
    forward, backward = LAYERS[name]().derive().compile()
    loss, cache = forward(np.zeros((0, 3)), np.zeros((0, 3)))
    assert np.isnan(loss)
    assert backward(np.float64(1), cache)["X"].shape == (0, 3)


@pytest.mark.parametrize("name", ["relu", "softmax", "log_softmax", "gelu"])
def test_an_empty_batch_is_fine(name: str) -> None:
    forward, backward = LAYERS[name]().derive().compile()
    value, cache = forward(np.zeros((0, 3)))
    assert value.shape == backward(value, cache).shape == (0, 3)


def test_total_variation_has_the_published_gradient_inside() -> None:
    """(U_mn - U_m,n-1)/t_m,n-1 + (U_mn - U_m-1,n)/t_m-1,n - (U_m,n+1 - U_mn)/t_mn - ..."""
    U = np.random.default_rng(0).normal(size=(6, 7))
    t = np.hypot(U[:-1, 1:] - U[:-1, :-1], U[1:, :-1] - U[:-1, :-1])
    for edges in ("inner", "zero"):
        forward, backward = layers.total_variation(edges=edges).derive().compile()
        _, cache = forward(U)
        found = backward(np.float64(1), cache)
        for m in range(1, 5):
            for n in range(1, 6):
                expected = (
                    (U[m, n] - U[m, n - 1]) / t[m, n - 1]
                    + (U[m, n] - U[m - 1, n]) / t[m - 1, n]
                    - (U[m, n + 1] - U[m, n]) / t[m, n]
                    - (U[m + 1, n] - U[m, n]) / t[m, n]
                )
                assert found[m, n] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("layer", "shape", "shapes"),
    [
        (layers.affine(out_features=3), (8, 5), {"W": (5, 3), "b": (3,)}),
        (layers.prelu(num_parameters=4), (2, 4, 3), {"a": (4,)}),
        (layers.neuron(), (2, 3), {"theta": (3,)}),
        (
            layers.lstm(hidden_size=2),
            (4, 1, 3),
            {"W_ih": (8, 3), "W_hh": (8, 2), "b_ih": (8,), "b_hh": (8,)},
        ),
    ],
    ids=repr,
)
def test_parameters_to_start_from(layer: Any, shape: Any, shapes: Any) -> None:
    made = layer.init(np.random.default_rng(0), *shape)
    assert {name: array.shape for name, array in made.items()} == shapes
    assert np.all(np.isfinite(layer(np.ones(shape), **made)))


@pytest.mark.parametrize("n", [-5, -1, 0, 1, 2, 7, 11])
def test_matrix_powers(n: int) -> None:
    X = np.random.default_rng(0).normal(size=(3, 3))
    assert close(layers.matrix_power(n=n)(X), np.linalg.matrix_power(X, n), 1e-10)
