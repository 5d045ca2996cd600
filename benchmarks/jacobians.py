"""Jacobians and Hessians against closed forms by hand and, where it is installed, against JAX.

A call of pullback is the public one: it finds its plan, copies what the operator needs, and
computes. JAX's functions are compiled beforehand, in float64, and waited for; where BLAS has one
thread, they have one, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

import pullback

from .measure import Thunk, in_turns
from .tables import Result, plain

ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if os.environ.get("OPENBLAS_NUM_THREADS") == "1":
    os.environ.setdefault("XLA_FLAGS", ONE_THREAD)  # JAX reads this when it is first imported

try:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
except ImportError:
    jax = None


@dataclass(frozen=True)
class Case:
    """A computation three ways; ``rival`` is JAX's, None where it has none."""

    name: str
    ours: Thunk
    by_hand: Thunk
    rival: Callable[[], Thunk] | None = None


def _random(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def _on_diagonal(block: Any, count: int) -> Any:
    """An array (count, k, count, k) with a block on its diagonal."""
    k = len(block)
    out = np.zeros((count, k, count, k))
    a, b, c, d = out.strides
    as_strided(out, (count, k, k), (a + c, b, d))[:] = block
    return out


def layer(n: int = 64, d: int = 4096) -> Case:
    """An affine layer: the operator made, applied and transposed."""
    X, W, u = _random(n, d), _random(d, d), _random(n, d)
    J = pullback.jacobian(lambda X, W: X @ W)

    def ours() -> Any:
        at = J(X, W)
        return at @ X, at.T @ u

    return Case(f"affine layer, {n} × {d} by {d} × {d}", ours, lambda: (X @ W, u @ W.T))


def factorisation(n: int = 200, k: int = 10) -> Case:
    """The dense Hessian of |T - UV|² by U."""
    T, U, V = _random(n, n), _random(n, k), _random(k, n)
    H = pullback.hessian(lambda U, V: ((T - U @ V) ** 2).sum())

    def rival() -> Thunk:
        found = jax.jit(jax.hessian(lambda U, V: ((T - U @ V) ** 2).sum()))
        U1, V1 = jnp.asarray(U), jnp.asarray(V)
        return lambda: found(U1, V1).block_until_ready()

    hand = lambda: _on_diagonal(2 * V @ V.T, n)  # noqa: E731
    return Case(f"Hessian of a factorisation, {n} × {k}", lambda: H(U, V), hand, rival)


def regression(n: int = 2000, d: int = 200) -> Case:
    """The dense Hessian of logistic regression."""
    X, y, w = _random(n, d), (_random(n) > 0) * 1.0, _random(d) * 0.1

    def loss(np: Any) -> Callable[..., Any]:
        return lambda w, X, y: (np.logaddexp(0, X @ w) - y * (X @ w)).sum()

    H = pullback.hessian(loss(np))

    def hand() -> Any:
        p = 1 / (1 + np.exp(-(X @ w)))
        return (X.T * (p * (1 - p))) @ X

    def rival() -> Thunk:
        found = jax.jit(jax.hessian(loss(jnp)))
        given = [jnp.asarray(a) for a in (w, X, y)]
        return lambda: found(*given).block_until_ready()

    return Case(f"Hessian of logistic regression, {n} × {d}", lambda: H(w, X, y), hand, rival)


def softmax(n: int = 32, c: int = 64) -> Case:
    """The dense Jacobian of a softmax of rows."""
    S = _random(n, c)

    def rows(np: Any) -> Callable[..., Any]:
        def function(S: Any) -> Any:
            E = np.exp(S - S.max(axis=1, keepdims=True))
            return E / E.sum(axis=1, keepdims=True)

        return function

    ours = pullback.jacrev(rows(np))

    def hand() -> Any:
        P = rows(np)(S)
        out = np.zeros((n, c, n, c))
        a, b, d, e = out.strides
        block = as_strided(out, (n, c, c), (a + d, b, e))
        block -= P[:, :, None] * P[:, None, :]
        as_strided(out, (n, c), (a + d, b + e))[:] += P
        return out

    def rival() -> Thunk:
        found, given = jax.jit(jax.jacrev(rows(jnp))), jnp.asarray(S)
        return lambda: found(given).block_until_ready()

    return Case(f"Jacobian of a softmax, {n} × {c}", lambda: ours(S), hand, rival)


def product(n: int = 256, d: int = 256) -> Case:
    """The Hessian of two layers times a direction."""
    X, W, V = _random(n, d), _random(d, d) / d**0.5, _random(d, d) / d**0.5

    def loss(np: Any) -> Callable[..., Any]:
        return lambda W: (np.tanh(np.tanh(X @ W) @ V) ** 2).sum()

    direction = _random(d, d)

    def hand() -> Any:
        H = np.tanh(X @ W)
        Y = np.tanh(H @ V)
        slope, tangent = 1 - H * H, X @ direction
        dH = slope * tangent
        inner = 1 - Y * Y
        dY = inner * (dH @ V)
        back = 2 * Y * inner
        dback = (2 - 6 * Y * Y) * dY
        through, dthrough = back @ V.T, dback @ V.T
        return X.T @ (dthrough * slope - 2 * through * H * dH)

    def rival() -> Thunk:
        inner = jax.grad(loss(jnp))
        found = jax.jit(lambda W, v: jax.jvp(inner, (W,), (v,))[1])
        given = jnp.asarray(W), jnp.asarray(direction)
        return lambda: found(*given).block_until_ready()

    ours = lambda: pullback.hvp(LOSS, (W,), (direction,))  # noqa: E731
    LOSS = loss(np)
    return Case(f"Hessian of two layers times a direction, {n} × {d}", ours, hand, rival)


def stencil(n: int = 1000) -> Case:
    """The sparse Jacobian of a residual of five points."""
    from scipy.sparse import diags_array

    u = _random(n + 2, n + 2)

    def residual(u: Any) -> Any:
        inner = u[1:-1, 1:-1]
        return u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * inner + inner**3

    J = pullback.jacobian(residual)
    width = n + 2

    def hand() -> Any:
        rows = np.arange(width * width).reshape(width, width)[1:-1, 1:-1].ravel()
        ones = np.ones(width * width)
        middle = 3 * u.ravel() ** 2 - 4
        offsets = (-width, -1, 0, 1, width)
        whole = diags_array(
            [ones[width:], ones[1:], middle, ones[1:], ones[width:]], offsets=offsets, format="csr"
        )
        return whole[rows]

    return Case(f"sparse Jacobian of five points, {n} × {n}", lambda: J(u).sparse(), hand)


CASES: tuple[Callable[[], Case], ...] = (
    layer, factorisation, regression, softmax, product, stencil,
)  # fmt: skip


def jacobians(rounds: int) -> Result:
    """A row a case: the times, and how many times faster ours is."""
    return Result(
        "Jacobians and Hessians",
        (
            "Public calls of pullback against the closed form as a person writes it, and against",
            "compiled JAX where it is installed. A ratio is the median over the rounds; above 1",
            "means that pullback is faster. Tracing and compiling are not in the times. JAX has as",
            "many threads as BLAS, where that is one.",
        ),
        ("case", "pullback", "by hand", "JAX", "by hand / pullback", "JAX / pullback"),
        [row(make(), rounds) for make in CASES],
    )


def row(case: Case, rounds: int) -> dict[str, Any]:
    """The times of one case, whose results agree."""
    thunks = {"pullback": case.ours, "by hand": case.by_hand}
    if jax is not None and case.rival is not None:
        thunks["JAX"] = case.rival()
    agree([thunk() for thunk in thunks.values()])
    times = in_turns(thunks, rounds)
    found: dict[str, Any] = {"case": case.name, "JAX": "", "JAX / pullback": ""}
    found |= {name: plain(timing) for name, timing in times.items()}
    mine = times["pullback"]
    rest = {name: timing for name, timing in times.items() if name != "pullback"}
    return found | {f"{name} / pullback": timing.ratio(mine) for name, timing in rest.items()}


def agree(results: list[Any]) -> None:
    """Raises unless all results are the same."""
    first, *others = (_arrays(result) for result in results)
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


def _arrays(result: Any) -> list[Any]:
    if isinstance(result, tuple):
        return [np.asarray(part) for part in result]
    if hasattr(result, "tocsr"):
        whole = result.tocsr()
        whole.sort_indices()
        return [whole.data, whole.indices, whole.indptr]
    return [np.asarray(result)]
