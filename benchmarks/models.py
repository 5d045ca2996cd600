"""Networks as plain NumPy functions: what deriving is timed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any  # an ndarray, or what traces one


def mlp(X: Array, layers: list[tuple[Array, Array]]) -> Array:
    """Affine layers with ReLU between them. X: (N, D)."""
    for W, b in layers[:-1]:
        X = np.maximum(X @ W + b, 0)
    W, b = layers[-1]
    return X @ W + b


def mlp_arguments(depth: int, batch: int = 8, width: int = 16, seed: int = 0) -> tuple[Any, ...]:
    """Random arguments of :func:`mlp`: ``depth`` equal layers."""
    rng = np.random.default_rng(seed)
    layers = [
        (rng.normal(size=(width, width)) / np.sqrt(width), rng.normal(size=width))
        for _ in range(depth)
    ]
    return rng.normal(size=(batch, width)), layers


def layer_norm(X: Array, gamma: Array, beta: Array) -> Array:
    """Layer norm over the last axis."""
    mu = X.mean(axis=-1, keepdims=True)
    centred = X - mu
    var = (centred**2).mean(axis=-1, keepdims=True)
    return gamma * centred / np.sqrt(var + 1e-5) + beta


def gelu(X: Array) -> Array:
    """GELU in its tanh form."""
    return 0.5 * X * (1 + np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X**3)))


def softmax(S: Array) -> Array:
    """Softmax over the last axis."""
    E = np.exp(S - S.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


def attention(X: Array, Wq: Array, Wk: Array, Wv: Array, Wo: Array, heads: int) -> Array:
    """Self-attention with several heads. X: (B, T, D), the weights: (D, D)."""
    B, T, D = X.shape

    def split(Y: Array) -> Array:
        return Y.reshape(B, T, heads, D // heads).transpose(0, 2, 1, 3)

    Q, K, V = split(X @ Wq), split(X @ Wk), split(X @ Wv)
    P = softmax(Q @ K.transpose(0, 1, 3, 2) / np.sqrt(D // heads))
    return (P @ V).transpose(0, 2, 1, 3).reshape(B, T, D) @ Wo


def transformer(X: Array, blocks: list[dict[str, Array]], heads: int = 2) -> Array:
    """Pre-norm transformer blocks with residuals. X: (B, T, D)."""
    for p in blocks:
        normed = layer_norm(X, p["gamma1"], p["beta1"])
        X = X + attention(normed, p["Wq"], p["Wk"], p["Wv"], p["Wo"], heads)
        normed = layer_norm(X, p["gamma2"], p["beta2"])
        X = X + gelu(normed @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    return X


def transformer_arguments(
    depth: int, batch: int = 2, length: int = 5, width: int = 8, seed: int = 0
) -> tuple[Any, ...]:
    """Random arguments of :func:`transformer`: ``depth`` equal blocks."""
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> np.ndarray:
        return rng.normal(size=shape) / np.sqrt(shape[0])

    blocks = [
        {
            "gamma1": 1 + 0.1 * rng.normal(size=width),
            "beta1": 0.1 * rng.normal(size=width),
            **{name: weight(width, width) for name in ("Wq", "Wk", "Wv", "Wo")},
            "gamma2": 1 + 0.1 * rng.normal(size=width),
            "beta2": 0.1 * rng.normal(size=width),
            "W1": weight(width, 4 * width),
            "b1": 0.1 * rng.normal(size=4 * width),
            "W2": weight(4 * width, width),
            "b2": 0.1 * rng.normal(size=width),
        }
        for _ in range(depth)
    ]
    return rng.normal(size=(batch, length, width)), blocks


# Each model with example arguments by name, as ``pullback.derive`` takes them.
MODELS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "24-layer MLP": (mlp, dict(zip(("X", "layers"), mlp_arguments(24), strict=True))),
    "12-block transformer": (
        transformer,
        {**dict(zip(("X", "blocks"), transformer_arguments(12), strict=True)), "heads": 2},
    ),
}
