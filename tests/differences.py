"""Central differences: an oracle that knows nothing of the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def pairing(function: Callable[..., Any], inputs: Sequence[Array], cotangent: Array) -> float:
    """Σ cotangent · function(inputs), in float64."""
    return float(np.sum(np.asarray(cotangent) * np.asarray(function(*inputs), dtype=np.float64)))


def differences(
    function: Callable[..., Any],
    inputs: Sequence[Array],
    cotangent: Array,
    which: int,
    h: float = 1e-5,
) -> Array:
    """The gradient of the pairing by input ``which``, fourth-order central differences in
    float64.
    """
    base = [
        np.asarray(x, dtype=np.float64) if np.asarray(x).dtype.kind == "f" else x for x in inputs
    ]
    gradient = np.zeros_like(base[which])
    for place in np.ndindex(gradient.shape):

        def moved(steps: int, place: tuple[int, ...] = place) -> float:
            copy = list(base)
            copy[which] = base[which].copy()
            copy[which][place] += steps * h
            return pairing(function, copy, cotangent)

        gradient[place] = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * h)
    return gradient


def close(found: Any, expected: Any, tol: float = 1e-6) -> bool:
    """Whether two arrays agree in shape and, up to ``tol`` of the greatest value, in every
    element.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return False
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    return (
        bool(np.all(np.isfinite(found)))
        and float(np.max(np.abs(found - expected), initial=0.0)) <= tol * scale
    )
