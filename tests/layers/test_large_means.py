"""float32 at mean 10⁴ and spread 1, against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.layers import LAYERS

# what the mean is taken over for N×C×H×W
LAYERS_AND_AXES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "batch_normalisation": ({"affine": False}, (0, 2, 3)),
    "instance_normalisation": ({"affine": False}, (2, 3)),
    "layer_normalisation": ({"affine": False, "axes": 3}, (1, 2, 3)),
    "mean_variance_normalisation": ({"across_channels": True, "eps": 1e-5}, (1, 2, 3)),
}


@pytest.mark.parametrize("name", LAYERS_AND_AXES)
def test_as_accurate_as_float32_can_be(name: str) -> None:
    """A few roundings of values near 1, though those of the mean are a thousand times as large."""
    options, axes = LAYERS_AND_AXES[name]
    rng = np.random.default_rng(0)
    X = (1e4 + rng.normal(size=(64, 8, 16, 16))).astype(np.float32)
    dY = rng.normal(size=X.shape).astype(np.float32)
    forward, backward = LAYERS[name](**options).derive(4).compile()
    Y, cache = forward(X)
    dX = backward(dY, cache)
    assert Y.dtype == dX.dtype == np.float32

    wide, upstream = X.astype(float), dY.astype(float)
    s = 1 / np.sqrt(wide.var(axis=axes, keepdims=True) + 1e-5)
    xhat = (wide - wide.mean(axis=axes, keepdims=True)) * s
    along = (upstream * xhat).mean(axis=axes, keepdims=True)
    expected = s * (upstream - upstream.mean(axis=axes, keepdims=True) - along * xhat)
    assert np.abs(Y - xhat).max() < 4e-6
    assert np.abs(dX - expected).max() < 4e-6
