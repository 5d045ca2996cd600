"""Jacobians and Hessians against JAX, where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)

RNG = np.random.default_rng(0)
X, W, V = (RNG.normal(size=shape) for shape in ((3, 4), (4, 5), (5, 2)))


def functions(np: Any) -> dict[str, Any]:
    return {
        "layer": lambda X: X @ W,
        "mlp": lambda X: np.tanh(X @ W) @ V,
        "softmax": lambda X: np.exp(X) / np.exp(X).sum(axis=1, keepdims=True),
        "norm": lambda X: X / np.sqrt((X**2).sum(axis=1, keepdims=True)),
        "flip": lambda X: X[::-1] * X.T.sum(),
        "differences": lambda X: X[1:] - 2 * X[:-1] ** 2,
        "relu": lambda X: np.maximum(X, 0),
    }


NAMES = list(functions(np))


@pytest.mark.parametrize("name", NAMES)
def test_jacobians(name: str) -> None:
    ours, theirs = functions(np)[name], functions(jax.numpy)[name]
    wanted = np.asarray(jax.jacrev(theirs)(X))
    np.testing.assert_allclose(pullback.jacrev(ours)(X), wanted, atol=1e-12)
    np.testing.assert_allclose(pullback.jacfwd(ours)(X), jax.jacfwd(theirs)(X), atol=1e-12)
    J = pullback.jacobian(ours)(X)
    np.testing.assert_allclose((J.T @ J).dense(), np.tensordot(
        np.moveaxis(wanted, (2, 3), (0, 1)), wanted, 2
    ), atol=1e-11)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_hessians(name: str) -> None:
    ours, theirs = functions(np)[name], functions(jax.numpy)[name]
    H = pullback.hessian(lambda X: (ours(X) ** 3).sum())(X)
    wanted = np.asarray(jax.hessian(lambda X: (theirs(X) ** 3).sum())(X))
    np.testing.assert_allclose(H, wanted, atol=1e-11)
    np.testing.assert_allclose(H, H.transpose(2, 3, 0, 1), atol=1e-12)


def test_linearize() -> None:
    ours, theirs = functions(np)["mlp"], functions(jax.numpy)["mlp"]
    out, along = pullback.linearize(ours, X)
    other, moved = jax.linearize(theirs, X)
    v = RNG.normal(size=X.shape)
    np.testing.assert_allclose(out, other, atol=1e-12)
    np.testing.assert_allclose(along(v), moved(v), atol=1e-12)
