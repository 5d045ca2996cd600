"""Formulas from textbooks, papers and courses: gradients against central differences, at two sizes.

Every case goes both ways in: by ``vjp`` at the sizes themselves, and derived once with named sizes
and compiled.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import pullback
from tests.differences import close, differences

Array = np.ndarray[Any, Any]
Case = tuple[Callable[..., Any], dict[str, str]]

SIZES = (
    {"N": 4, "M": 3, "K": 2, "D": 3, "H": 5, "W": 6, "T": 3},
    {"N": 1, "M": 1, "K": 1, "D": 1, "H": 4, "W": 4, "T": 1},
)


def drawn(spec: str, sizes: Mapping[str, int], random: np.random.Generator) -> Array:
    """An argument for ``"shape | kind"``; a kind is +, a bound of ints, bool, sign or float32."""
    shape, _, kind = (part.strip() for part in spec.partition("|"))
    extents = [axis.partition("*") for axis in shape.split()]
    dims = [int(sizes.get(a, a)) * int(sizes.get(b, b or 1)) for a, _, b in extents]
    if kind.startswith("int<"):
        return random.integers(0, int(sizes.get(kind[4:], kind[4:])), dims)
    if kind == "bool":
        return random.uniform(size=dims) < 0.6
    if kind == "+":
        return random.uniform(0.3, 1.7, dims)
    values = np.asarray(random.normal(size=dims))
    return np.sign(values) if kind == "sign" else values


def declared(spec: str) -> str:
    """The shape as ``derive`` takes it."""
    shape, _, kind = (part.strip() for part in spec.partition("|"))
    dtype = ": int64" if kind.startswith("int<") else ": bool" if kind == "bool" else ""
    return shape + dtype


def softmax(S: Array) -> Any:
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)


def sigmoid(x: Array) -> Any:
    return 1 / (1 + np.exp(-x))


# Layers and normalisation.


def weight_norm(V: Array, g: Array, X: Array) -> Any:
    return X @ (g[:, None] * V / np.linalg.norm(V, axis=1, keepdims=True)).T


def spectral_norm(W: Array, u: Array, X: Array) -> Any:
    v = W.T @ u
    v = v / np.sqrt((v**2).sum() + 1e-12)
    w = W @ v
    w = w / np.sqrt((w**2).sum() + 1e-12)
    return X @ (W / (w @ W @ v)).T


def group_norm(X: Array, g: Array) -> Any:
    N, C, H = X.shape
    Z = X.reshape(N, 2, C // 2, H)
    Z = Z - Z.mean(axis=(2, 3), keepdims=True)
    Z = Z / np.sqrt((Z**2).mean(axis=(2, 3), keepdims=True) + 0.1)
    return Z.reshape(N, C, H) * g[:, None]


def instance_norm(X: Array, g: Array) -> Any:
    centred = X - X.mean(axis=2, keepdims=True)
    return g[:, None] * centred / np.sqrt(X.var(axis=2, keepdims=True) + 0.1)


def local_response_norm(X: Array) -> Any:
    squares = np.pad(X**2, ((0, 0), (1, 1)))
    near = squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:]
    return X / (2 + 0.1 * near) ** 0.75


def squeeze_and_excite(X: Array, W1: Array, W2: Array) -> Any:
    gate = sigmoid(np.maximum(X.mean(axis=2) @ W1, 0) @ W2)
    return X * gate[:, :, None]


def swiglu(X: Array, W: Array, V: Array, U: Array) -> Any:
    a = X @ W
    return (a / (1 + np.exp(-a)) * (X @ V)) @ U


def mixture_of_experts(X: Array, G: Array, W: Array) -> Any:
    return np.einsum("nk,nd,kdm->nm", softmax(X @ G), X, W)


def rnn(x: Array, U: Array, W: Array, b: Array, X: Array) -> Any:
    for t in range(3):
        x = np.tanh(U @ x + W @ X[t] + b)
    return x


def lstm(X: Array, h: Array, c: Array, W: Array, U: Array) -> Any:
    D = h.shape[1]
    for t in range(2):
        a = X[t] @ W + h @ U
        i, f, o = (sigmoid(a[:, k * D : (k + 1) * D]) for k in range(3))
        c = f * c + i * np.tanh(a[:, 3 * D :])
        h = o * np.tanh(c)
    return h


def gru(x: Array, h: Array, W: Array, U: Array, V: Array) -> Any:
    z, r = sigmoid(x @ W + h @ U), sigmoid(x @ U + h @ V)
    return (1 - z) * np.tanh(x @ V + (r * h) @ W) + z * h


# Attention.


def causal_attention(Q: Array, K: Array, V: Array) -> Any:
    S = Q @ K.T / np.sqrt(Q.shape[-1])
    seen = np.tril(np.ones((Q.shape[0], Q.shape[0]))) > 0
    return softmax(np.where(seen, S, -1e9)) @ V


def masked_attention(Q: Array, K: Array, V: Array, m: Array) -> Any:
    return softmax(Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1]) + m) @ V


def many_heads(X: Array, Wq: Array, Wk: Array, Wv: Array, Wo: Array) -> Any:
    q, k, v = (np.einsum("te,ehd->htd", X, W) for W in (Wq, Wk, Wv))
    A = softmax(np.einsum("htd,hsd->hts", q, k))
    return np.einsum("hts,hsd,hde->te", A, v, Wo)


def relative_bias(Q: Array, K: Array, r: Array) -> Any:
    T = Q.shape[0]
    return softmax(Q @ K.T + r[np.arange(T)[:, None] - np.arange(T) + T - 1])


def rope(X: Array, c: Array, s: Array) -> Any:
    a, b = X[:, 0::2], X[:, 1::2]
    return np.stack([a * c - b * s, a * s + b * c], axis=-1).reshape(X.shape)


# Losses and likelihoods.


def info_nce(A: Array, B: Array) -> Any:
    A = A / np.linalg.norm(A, axis=1, keepdims=True)
    B = B / np.linalg.norm(B, axis=1, keepdims=True)
    S = A @ B.T / 0.5
    return -np.mean(np.diag(S) - np.log(np.exp(S).sum(axis=1)))


def triplet(A: Array, P: Array, Q: Array) -> Any:
    return np.maximum(((A - P) ** 2).sum(1) - ((A - Q) ** 2).sum(1) + 1, 0).mean()


def contrastive(A: Array, B: Array, y: Array) -> Any:
    d = np.sqrt(((A - B) ** 2).sum(1) + 1e-3)
    return np.mean(np.where(y, d**2, np.maximum(2 - d, 0) ** 2))


def focal(X: Array, y: Array) -> Any:
    p = softmax(X)[np.arange(X.shape[0]), y]
    return -np.mean((1 - p) ** 2 * np.log(p))


def label_smoothing(X: Array, y: Array) -> Any:
    logp = X - np.log(np.exp(X).sum(1, keepdims=True))
    return -(0.9 * logp[np.arange(X.shape[0]), y] + 0.1 * logp.mean(axis=1)).mean()


def hinge(S: Array, y: Array) -> Any:
    right = S[np.arange(S.shape[0]), y][:, None]
    return (np.maximum(0, S - right + 1).sum() - S.shape[0]) / S.shape[0]


def elbo(mu: Array, ls: Array, eps: Array, W: Array, x: Array) -> Any:
    logits = (mu + np.exp(0.5 * ls) * eps) @ W
    fit = (np.logaddexp(0, logits) - x * logits).sum(1)
    return (fit - 0.5 * (1 + ls - mu**2 - np.exp(ls)).sum(1)).mean()


def negative_binomial(eta: Array, y: Array, r: Array) -> Any:
    mu = np.exp(eta)
    return -(r * np.log(r / (r + mu)) + y * np.log(mu / (r + mu))).sum()


def huber(x: Array, t: Array) -> Any:
    a = np.abs(x - t)
    return np.where(a <= 1, 0.5 * a**2, a - 0.5).sum()


# Matrices and factorisations.


def biased_factors(P: Array, Q: Array, b: Array, u: Array, i: Array, r: Array) -> Any:
    e = r - (b[u] + (P[u] * Q[i]).sum(axis=1))
    return (e**2).sum() + 0.02 * (P[u] ** 2).sum()


def factorisation_machine(X: Array, w: Array, V: Array) -> Any:
    return X @ w + 0.5 * ((X @ V) ** 2 - (X**2) @ (V**2)).sum(axis=1)


def expanded_kernel(X: Array) -> Any:
    s = (X**2).sum(1)
    return np.exp(-0.5 * (s[:, None] + s - 2 * X @ X.T))


def soft_means(X: Array, C: Array) -> Any:
    d = ((X[:, None, :] - C) ** 2).sum(-1)
    a = np.exp(-d)
    return (a / a.sum(1, keepdims=True) * d).sum()


def power_steps(A: Array, x: Array) -> Any:
    for _ in range(2):
        x = A @ x
        x = x / np.linalg.norm(x)
    return x @ A @ x / (x @ x)


def horner(x: Array, c: Array) -> Any:
    p = np.zeros_like(x)
    for k in range(5):
        p = p * x + c[k]
    return p


def kronecker(A: Array, B: Array) -> Any:
    product = A[:, None, :, None] * B[None, :, None, :]
    return np.sin(product.reshape(A.shape[0] * B.shape[0], -1))


# Stencils, windows and pieces.


def laplacian(u: Array) -> Any:
    near = np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1)
    return near - 4 * u


def poisson_residual(u: Array, f: Array) -> Any:
    near = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]
    return 0.5 * ((near - 4 * u[1:-1, 1:-1] - f[1:-1, 1:-1]) ** 2).sum()


def burgers(u: Array, v: Array) -> Any:
    ahead, behind = np.roll(u, -1), np.roll(u, 1)
    return (((v - u) / 0.1 + u * (ahead - behind) / 2 - 0.3 * (ahead - 2 * u + behind)) ** 2).mean()


def variation(x: Array) -> Any:
    return np.abs(np.diff(x, axis=0)).sum() + np.abs(np.diff(x, axis=1)).sum()


def interpolated(x: Array) -> Any:
    a, b = x[:, :-1], x[:, 1:]
    return np.stack([a, (a + b) / 2], axis=-1).reshape(x.shape[0], -1) ** 2


def filtered(x: Array, k: Array) -> Any:
    return np.einsum("ijpq,pq->ij", sliding_window_view(x, (3, 3)), k)


def strided(x: Array, k: Array) -> Any:
    return (sliding_window_view(x, 3, axis=1)[:, ::2] * k[:, None, :]).sum(-1)


def pieces(x: Array, y: Array) -> Any:
    return np.concatenate([x, y, x], axis=0) ** 2


def padded(mode: str) -> Callable[..., Any]:
    return lambda x: np.pad(x, ((1, 2), (2, 1)), mode=mode) ** 2  # type: ignore[call-overload]


CASES: dict[str, Case] = {
    "weight norm": (weight_norm, {"V": "M D", "g": "M", "X": "N D"}),
    "spectral norm": (spectral_norm, {"W": "M D", "u": "M", "X": "N D"}),
    "group norm": (group_norm, {"X": "N 2*K H", "g": "2*K"}),
    "instance norm": (instance_norm, {"X": "N M H", "g": "M"}),
    "local response norm": (local_response_norm, {"X": "N H"}),
    "squeeze and excite": (squeeze_and_excite, {"X": "N D H", "W1": "D K", "W2": "K D"}),
    "swiglu": (swiglu, {"X": "N D", "W": "D M", "V": "D M", "U": "M D"}),
    "mixture of experts": (mixture_of_experts, {"X": "N D", "G": "D K", "W": "K D M"}),
    "rnn": (rnn, {"x": "D", "U": "D D", "W": "D M", "b": "D", "X": "3 M"}),
    "lstm": (lstm, {"X": "2 N M", "h": "N D", "c": "N D", "W": "M 4*D", "U": "D 4*D"}),
    "gru": (gru, {"x": "N D", "h": "N D", "W": "D D", "U": "D D", "V": "D D"}),
    "gelu": (
        lambda x: 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))),
        {"x": "N M"},
    ),
    "causal attention": (causal_attention, {"Q": "T D", "K": "T D", "V": "T M"}),
    "additive mask": (masked_attention, {"Q": "N T D", "K": "N T D", "V": "N T M", "m": "T T"}),
    "many heads": (
        many_heads,
        {"X": "T M", "Wq": "M K D", "Wk": "M K D", "Wv": "M K D", "Wo": "K D M"},
    ),
    "rotary embedding": (rope, {"X": "T 2*D", "c": "T D", "s": "T D"}),
    "embedding": (
        lambda E, i, W: np.tanh(E[i]).mean(1) @ W,
        {"E": "D M", "i": "N T|int<D", "W": "M K"},
    ),
    "two lookups": (lambda X, i, j: X[i, j] ** 2, {"X": "N M D", "i": "H|int<N", "j": "H|int<M"}),
    "take along": (lambda X, i: np.take_along_axis(X, i, 1) ** 2, {"X": "N T", "i": "N T|int<T"}),
    "cosine": (
        lambda A, B: (A * B).sum(1) / (np.sqrt((A**2).sum(1)) * np.sqrt((B**2).sum(1))),
        {"A": "N D", "B": "N D"},
    ),
    "info nce": (info_nce, {"A": "N D", "B": "N D"}),
    "triplet": (triplet, {"A": "N D", "P": "N D", "Q": "N D"}),
    "contrastive": (contrastive, {"A": "N D", "B": "N D", "y": "N|bool"}),
    "focal": (focal, {"X": "N D", "y": "N|int<D"}),
    "label smoothing": (label_smoothing, {"X": "N D", "y": "N|int<D"}),
    "multi-class hinge": (hinge, {"S": "N D", "y": "N|int<D"}),
    "elbo": (elbo, {"mu": "N D", "ls": "N D", "eps": "N D", "W": "D M", "x": "N M|+"}),
    "logistic regression": (
        lambda X, w, y: np.log1p(np.exp(-y * (X @ w))).sum() + 0.05 * (w @ w),
        {"X": "N D", "w": "D", "y": "N|sign"},
    ),
    "poisson": (
        lambda X, w, y: (np.exp(X @ w) - y * (X @ w)).sum(),
        {"X": "N D", "w": "D", "y": "N|+"},
    ),
    "negative binomial": (negative_binomial, {"eta": "N", "y": "N|+", "r": "|+"}),
    "huber": (huber, {"x": "N", "t": "N"}),
    "log cosh": (lambda x, t: np.log(np.cosh(x - t)).mean(), {"x": "N", "t": "N"}),
    "quantile": (
        lambda x, t: np.maximum(0.3 * (t - x), -0.7 * (t - x)).mean(),
        {"x": "N", "t": "N"},
    ),
    "pca": (lambda X, W: np.sum((X - X @ W @ W.T) ** 2), {"X": "N D", "W": "D K"}),
    "divergence factors": (
        lambda X, W, H: np.sum(X * np.log(X / (W @ H)) - X + W @ H),
        {"X": "N D|+", "W": "N K|+", "H": "K D|+"},
    ),
    "biased factors": (
        biased_factors,
        {"P": "M K", "Q": "D K", "b": "M", "u": "N|int<M", "i": "N|int<D", "r": "N"},
    ),
    "factorisation machine": (factorisation_machine, {"X": "N D", "w": "D", "V": "D K"}),
    "mahalanobis": (
        lambda X, mu, S: np.einsum("ni,ij,nj->n", X - mu, S, X - mu),
        {"X": "N D", "mu": "D", "S": "D D"},
    ),
    "kernel": (
        lambda X: np.exp(-((X[:, None] - X[None]) ** 2).sum(-1) / 2),
        {"X": "N D"},
    ),
    "kernel, expanded": (expanded_kernel, {"X": "N D"}),
    "soft k-means": (soft_means, {"X": "N D", "C": "K D"}),
    "power steps": (power_steps, {"A": "N N", "x": "N"}),
    "trace of a product": (
        lambda A, B, C: np.trace(A @ B @ C),
        {"A": "N M", "B": "M K", "C": "K N"},
    ),
    "quadratic trace": (lambda X, A: np.trace(X.T @ A @ X), {"X": "N M", "A": "N N"}),
    "four operands": (
        lambda a, b, c, d: np.einsum("ij,jk,kl,li->i", a, b, c, d),
        {"a": "N M", "b": "M K", "c": "K D", "d": "D N"},
    ),
    "diagonals": (lambda a: np.einsum("ii->i", a) ** 2 + np.einsum("ii", a), {"a": "N N"}),
    "kronecker": (kronecker, {"A": "N M", "B": "K D"}),
    "horner": (horner, {"x": "N", "c": "5"}),
    "powers": (lambda x: x**2.5 + x**-1.5 - 1 / x**2 + x**0, {"x": "N|+"}),
    "products": (lambda x: np.prod(x, axis=1) * x.prod(), {"x": "N M"}),
    "periodic laplacian": (laplacian, {"u": "H W"}),
    "poisson residual": (poisson_residual, {"u": "H W", "f": "H W"}),
    "burgers": (burgers, {"u": "W", "v": "W"}),
    "total variation": (variation, {"x": "H W"}),
    "interpolation": (interpolated, {"x": "N H"}),
    "upsampling": (lambda x: np.repeat(np.repeat(x, 2, 0), 2, 1) ** 2, {"x": "N H"}),
    "filter": (filtered, {"x": "H W", "k": "3 3"}),
    "strided filter": (strided, {"x": "N W", "k": "N 3"}),
    "slices": (lambda x: x[1:-1, ::2] * x[:-2, ::2], {"x": "H W"}),
    "backwards": (lambda x: x[::-2] ** 2, {"x": "W"}),
    "reshape chain": (
        lambda x: np.sin(x.transpose(2, 0, 1).reshape(-1, x.shape[1])).T.reshape(-1),
        {"x": "N M K"},
    ),
    "pieces": (pieces, {"x": "N M", "y": "K M"}),
    **{
        f"pad {mode}": (padded(mode), {"x": "H W"})
        for mode in ("constant", "edge", "reflect", "symmetric", "wrap")
    },
}


def arguments(name: str, shapes: Mapping[str, str], sizes: Mapping[str, int]) -> list[Array]:
    random = np.random.default_rng(zlib.crc32(f"{name} {sizes}".encode()))
    return [drawn(spec, sizes, random) for spec in shapes.values()]


def assert_gradients(function: Callable[..., Any], inputs: list[Array], found: list[Any]) -> None:
    """The gradients (None for what is no float) against differences, for a fixed cotangent."""
    cotangent = cotangent_of(function(*inputs))
    for n, (x, gradient) in enumerate(zip(inputs, found, strict=True)):
        if x.dtype.kind == "f":
            expected = differences(function, inputs, cotangent, n)
            assert close(gradient, expected), f"input {n}: {gradient} for {expected}"


def cotangent_of(value: Any) -> Any:
    shape = np.shape(value)
    return np.asarray(np.random.default_rng(7).normal(size=shape))


@pytest.mark.parametrize("name", CASES)
def test_vjp_at_two_sizes(name: str) -> None:
    function, shapes = CASES[name]
    for sizes in SIZES:
        inputs = arguments(name, shapes, sizes)
        value, pull = pullback.vjp(function, *inputs)
        np.testing.assert_allclose(value, function(*inputs), rtol=1e-10, atol=1e-12)
        assert_gradients(function, inputs, list(pull(cotangent_of(value))))


@pytest.mark.parametrize("name", CASES)
def test_derived_once_with_named_sizes(name: str) -> None:
    function, shapes = CASES[name]
    named: dict[str, Any] = {k: declared(s) for k, s in shapes.items()}
    derivation = pullback.derive(function, **named)
    forward, backward = derivation.compile()
    sizes = SIZES[0]
    inputs = arguments(name, shapes, sizes)
    value, cache = forward(*inputs)
    given = backward(cotangent_of(value), cache)
    gradients = iter(given if isinstance(given, tuple) else (given,))
    found = [next(gradients) if x.dtype.kind == "f" else None for x in inputs]
    assert_gradients(function, inputs, found)


# The same in index notation: inputs in the order of their first appearance.

TEXTS: dict[str, tuple[str, dict[str, str]]] = {
    "depthwise convolution": (
        """X[N,D,H,W]
        K[D,3,3]
        Y[n,d,i:H,j:W] = sum(p,q) pad(X,0)[n,d,i+p-1,j+q-1]*K[d,p,q]""",
        {"X": "K D H W", "K": "D 3 3"},
    ),
    "dilated convolution": (
        """X[N,W]
        K[3]
        Y[n,i:W] = sum(p) pad(X,0)[n,i+2*p-2]*K[p]""",
        {"X": "N W", "K": "3"},
    ),
    "transposed convolution": (
        """X[H]
        K[3]
        Y[i:2*H+1] = sum(p:H if 0 <= i-2*p < 3) X[p]*K[i-2*p]""",
        {"X": "H", "K": "3"},
    ),
    "convolution in space": (
        """X[H,H,H]
        K[2,2,2]
        Y[i:H-1,j:H-1,k:H-1] = sum(p,q,r) X[i+p,j+q,k+r]*K[p,q,r]""",
        {"X": "M M M", "K": "2 2 2"},
    ),
    "unpooling": ("X[N,W]\nY[n,i:2*W] = where(i%2=0, X[n,i//2], 0)", {"X": "N W"}),
    "bilinear upsampling": (
        "X[H]\nY[i:2*H-1] = where(i%2=0, X[i//2], (X[i//2] + pad(X,0)[i//2+1])/2)",
        {"X": "H"},
    ),
    "masked attention": (
        """S[t,u] = sum(d) Q[t,d]*K[u,d]
        m[t] = max(u) S[t,u]
        E[t,u] = exp(S[t,u] - m[t])*[u <= t]
        Y[t,e] = sum(u) E[t,u]/(sum(v) E[t,v])*V[u,e]""",
        {"Q": "T D", "K": "T D", "V": "T M"},
    ),
    "trace": ("Y[] = sum(i,j,k) A[i,j]*B[j,k]*C[k,i]", {"A": "N M", "B": "M K", "C": "K N"}),
    "pairwise distances": (
        "L[] = sum(i,j if i < j) (sum(d) (X[i,d]-X[j,d])**2 - T[i,j])**2",
        {"X": "N D", "T": "N N"},
    ),
    "gaussian mixture": (
        "L[] = -sum(n) log(sum(k) w[k]*exp(-(x[n]-m[k])**2/(2*s[k]**2))/s[k])",
        {"w": "K|+", "x": "N", "m": "K", "s": "K|+"},
    ),
    "tucker": (
        "Y[i,j,k] = sum(a,b,c) G[a,b,c]*U[i,a]*V[j,b]*Z[k,c]",
        {"G": "K K K", "U": "N K", "V": "M K", "Z": "D K"},
    ),
    "canonical factors": (
        "L[] = sum(i,j,k) (X[i,j,k] - sum(r) A[i,r]*B[j,r]*C[k,r])**2",
        {"X": "N M K", "A": "N D", "B": "M D", "C": "K D"},
    ),
    "group norm": (
        """X[N,2*D]
        m[n,g:2] = mean(d:D) X[n,(g,d)]
        v[n,g] = mean(d:D) (X[n,(g,d)] - m[n,g])**2
        Y[n,c:2*D] = (X[n,c] - m[n,c//D])/sqrt(v[n,c//D] + 1/10)""",
        {"X": "N 2*D"},
    ),
    "student kernel": ("Y[i] = (1 + X[i]**2)**(-3/2)*X[i]**3", {"X": "N"}),
    "periodic": ("X[W]\nY[i:W] = pad(X,wrap)[i-1] - 2*X[i] + pad(X,wrap)[i+1]", {"X": "W"}),
    "clamped": ("X[W]\nY[i:W] = pad(X,edge)[i-2]*X[i]", {"X": "W"}),
    "range": ("Y[n] = max(d) X[n,d] - min(d) X[n,d]", {"X": "N D"}),
}


@pytest.mark.parametrize("name", TEXTS)
def test_index_notation_at_two_sizes(name: str) -> None:
    text, shapes = TEXTS[name]
    text = "\n".join(line.strip() for line in text.splitlines())
    function = pullback.define(text)
    forward, backward = pullback.derive(text).compile()
    for sizes in SIZES:
        inputs = arguments(name, shapes, sizes)
        value, cache = forward(*inputs)
        given = backward(cotangent_of(value), cache)
        found = list(given if isinstance(given, tuple) else (given,))
        assert_gradients(function, inputs, found)


def test_slice_at_a_small_size() -> None:
    forward, backward = pullback.derive(lambda x: x[1::2] ** 2, x="W").compile()
    value, cache = forward(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(backward(np.ones_like(value), cache), [0.0, 4.0, 0.0])


@pytest.mark.parametrize("width", [2, 3])
def test_overlapping_max_pooling_adds(width: int) -> None:
    x = np.array([0.0, 1.0, 2.0, 3.0, 9.0, 4.0])
    value, pull = pullback.vjp(lambda x: sliding_window_view(x, width).max(-1), x)
    expected = np.zeros(6)
    np.add.at(
        expected,
        [
            sliding_window_view(np.arange(6), width)[i, a]
            for i, a in enumerate(sliding_window_view(x, width).argmax(-1))
        ],
        1,
    )
    np.testing.assert_array_equal(pull(np.ones_like(value))[0], expected)


def test_softmax_of_an_outer_product() -> None:
    q, k = np.array([[0.3], [-1.0], [0.7]]), np.array([[1.0], [0.2], [-0.4]])
    value, pull = pullback.vjp(lambda q, k: softmax(q @ k.T), q, k)
    assert_gradients(lambda q, k: softmax(q @ k.T), [q, k], list(pull(cotangent_of(value))))


# Where overflow could spoil a gradient that is finite.


FINITE: dict[str, tuple[Callable[[Array], Array], list[float], list[float]]] = {
    "silu": (lambda x: x / (1 + np.exp(-x)), [-1000.0, 1000.0], [0.0, 1.0]),
    "mish": (lambda x: x * np.tanh(np.log1p(np.exp(x))), [-1000.0, 1000.0], [0.0, 1.0]),
    "tanh by exp": (lambda x: 1 - 2 / (np.exp(2 * x) + 1), [-1000.0, 1000.0], [0.0, 0.0]),
    "sech": (lambda x: 1 / np.cosh(x), [-1000.0, 1000.0], [0.0, 0.0]),
    "polynomial features": (
        lambda x: (x[:, None] ** np.arange(4)).sum(axis=1),
        [0.0, 2.0],
        [1.0, 17.0],
    ),
}


@pytest.mark.parametrize("name", FINITE)
def test_finite_where_the_forward_pass_is(name: str) -> None:
    function, at, expected = FINITE[name]
    with np.errstate(all="ignore"):
        value, pull = pullback.vjp(function, np.array(at))
        assert np.all(np.isfinite(value))
        np.testing.assert_allclose(pull(np.ones_like(value))[0], expected)


def test_distance_bias_with_named_sizes() -> None:
    def alibi(S: Array, m: Array) -> Any:
        T = S.shape[0]
        return softmax(S - m * np.abs(np.arange(T)[:, None] - np.arange(T)))

    assert pullback.derive(alibi, S="T T", m="").verify().passed
