"""The published forms: each from NumPy and from index notation, in several ways of writing it.

The oracle of values is the NumPy function itself under central differences. The oracle of compactness is the form as
a careful person would publish it, written out as a program of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import pullback
from tests.differences import Array, close, differences

Inputs = dict[str, Array]


@dataclass(frozen=True)
class Form:
    """One layer: NumPy functions and index texts that all mean the same, and shapes to try them at."""

    name: str
    functions: tuple[Callable[..., Any], ...]
    texts: tuple[str, ...]
    inputs: Callable[[np.random.Generator], Inputs]
    shapes: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def normal(**shapes: tuple[int, ...]) -> Callable[[np.random.Generator], Inputs]:
    """Random arrays of these shapes."""
    return lambda rng: {name: rng.normal(size=shape) for name, shape in shapes.items()}


def labelled(classes: int, **shapes: tuple[int, ...]) -> Callable[[np.random.Generator], Inputs]:
    """Random arrays, and labels ``y`` for the rows of the first."""

    def inputs(rng: np.random.Generator) -> Inputs:
        found = normal(**shapes)(rng)
        rows = next(iter(shapes.values()))[0]
        return {**found, "y": rng.integers(0, classes, size=rows)}

    return inputs


# --- element-wise -----------------------------------------------------------------------------------


def relu(X: Array) -> Array:
    return np.maximum(X, 0)


def relu_masked(X: Array) -> Array:
    return X * (X > 0)


def relu_where(X: Array) -> Array:
    positive = X > 0
    return np.where(positive, X, 0.0)


def sigmoid(X: Array) -> Array:
    return 1 / (1 + np.exp(-X))


def sigmoid_steps(X: Array) -> Array:
    minus = -X
    e = np.exp(minus)
    below = 1 + e
    return 1 / below


def tanh(X: Array) -> Array:
    return np.tanh(X)


# --- affine -----------------------------------------------------------------------------------------


def affine(X: Array, W: Array, b: Array) -> Array:
    return X @ W + b


def affine_steps(X: Array, W: Array, b: Array) -> Array:
    XW = np.dot(X, W)
    return XW + b[None, :]


def affine_row(X: Array, W: Array, b: Array) -> Array:
    return X.dot(W) + b


def mlp(X: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> Array:
    hidden = np.maximum(X @ W1 + b1, 0)
    return hidden @ W2 + b2


def mlp_steps(X: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> Array:
    a = X @ W1
    z = a + b1
    h = z * (z > 0)
    c = h @ W2
    return c + b2


# --- softmax ----------------------------------------------------------------------------------------


def softmax(S: Array) -> Array:
    return np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)


def softmax_shifted(S: Array) -> Array:
    shifted = S - S.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    Z = e.sum(axis=1, keepdims=True)
    return e / Z


def softmax_loss(X: Array, W: Array, b: Array, y: Array) -> Any:
    N = X.shape[0]
    score = X @ W + b
    rowsum = np.exp(score).sum(axis=1)
    return -np.mean(score[np.arange(N), y]) + np.mean(np.log(rowsum))


def softmax_loss_picked(X: Array, W: Array, b: Array, y: Array) -> Any:
    score = X @ W + b
    shifted = score - np.max(score, axis=1, keepdims=True)
    e = np.exp(shifted)
    P = e / np.sum(e, axis=1, keepdims=True)
    return -np.log(P[np.arange(len(y)), y]).mean()


# --- normalisation ----------------------------------------------------------------------------------


def batch_norm(X: Array, gamma: Array, beta: Array) -> Array:
    mu = X.mean(axis=0)
    centred = X - mu
    v = (centred**2).mean(axis=0)
    s = 1 / np.sqrt(v + 1e-5)
    xhat = centred * s
    return gamma * xhat + beta


def batch_norm_short(X: Array, gamma: Array, beta: Array) -> Array:
    return gamma * (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + 1e-5) + beta


def layer_norm(X: Array, gamma: Array, beta: Array) -> Array:
    mu = X.mean(axis=-1, keepdims=True)
    v = X.var(axis=-1, keepdims=True)
    xhat = (X - mu) / np.sqrt(v + 1e-5)
    return gamma * xhat + beta


# --- sums of products -------------------------------------------------------------------------------


def gram(X: Array) -> Array:
    return X @ X.T


def gram_einsum(X: Array) -> Array:
    return np.einsum("nd,md->nm", X, X)


def total_variation(X: Array) -> Any:
    across = X[:-1, 1:] - X[:-1, :-1]
    down = X[1:, :-1] - X[:-1, :-1]
    return np.sqrt(across**2 + down**2).sum()


def euclidean(X: Array, W: Array, Y: Array) -> Any:
    R = X @ W - Y
    return (R**2).sum()


def euclidean_short(X: Array, W: Array, Y: Array) -> Any:
    return np.sum(np.square(np.matmul(X, W) - Y))


# --- windows ----------------------------------------------------------------------------------------


def convolution(X: Array, K: Array, b: Array) -> Array:
    padded = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
    return np.einsum("ncijpq,ocpq->noij", windows, K) + b[:, None, None]


def max_pooling(X: Array) -> Array:
    N, C, H, W = X.shape
    return X.reshape(N, C, H // 2, 2, W // 2, 2).max(axis=(3, 5))


def max_pooling_windows(X: Array) -> Array:
    windows = sliding_window_view(X, (2, 2), axis=(2, 3))[:, :, ::2, ::2]
    return windows.max(axis=(4, 5))


def average_pooling(X: Array) -> Array:
    N, C, H, W = X.shape
    return X.reshape(N, C, H // 2, 2, W // 2, 2).mean(axis=(3, 5))


def average_pooling_slices(X: Array) -> Array:
    return (X[:, :, ::2, ::2] + X[:, :, 1::2, ::2] + X[:, :, ::2, 1::2] + X[:, :, 1::2, 1::2]) / 4


FORMS = (
    Form(
        "relu",
        (relu, relu_masked, relu_where),
        ("Y[n,d] = X[n,d]*[X[n,d] > 0]", "Y[n,d] = relu(X[n,d])", "Y[n,d] = maximum(X[n,d], 0)"),
        normal(X=(4, 3)),
    ),
    Form(
        "sigmoid",
        (sigmoid, sigmoid_steps),
        ("Y[n,d] = 1/(1 + exp(-X[n,d]))", "Y[n,d] = sigmoid(X[n,d])"),
        normal(X=(4, 3)),
    ),
    Form("tanh", (tanh,), ("Y[n,d] = tanh(X[n,d])",), normal(X=(4, 3))),
    Form(
        "affine",
        (affine, affine_steps),
        (
            "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]",
            "A[i,k] = sum(j) X[i,j]*W[j,k]; Y[i,k] = A[i,k] + b[k]",
        ),
        normal(X=(5, 4), W=(4, 3), b=(3,)),
    ),
    Form(
        "affine with a row of biases",
        (affine, affine_row),
        ("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[0,m]",),
        normal(X=(5, 4), W=(4, 3), b=(1, 3)),
        {"b": "1 M"},
    ),
    Form(
        "mlp",
        (mlp, mlp_steps),
        (
            "z[n,h] = sum(d) X[n,d]*W1[d,h] + b1[h]\n"
            "H[n,h] = relu(z[n,h])\n"
            "Y[n,m] = sum(h) H[n,h]*W2[h,m] + b2[m]",
            "Y[n,m] = sum(h) relu(sum(d) X[n,d]*W1[d,h] + b1[h])*W2[h,m] + b2[m]",
        ),
        normal(X=(5, 4), W1=(4, 6), b1=(6,), W2=(6, 3), b2=(3,)),
    ),
    Form(
        "softmax",
        (softmax, softmax_shifted),
        (
            "P[n,c] = exp(S[n,c]) / sum(k) exp(S[n,k])",
            "e[n,c] = exp(S[n,c] - max(k) S[n,k]); Z[n] = sum(c) e[n,c]; P[n,c] = e[n,c]/Z[n]",
        ),
        normal(S=(4, 5)),
    ),
    Form(
        "softmax loss",
        (softmax_loss, softmax_loss_picked),
        (
            "S[n,c] = sum(d) X[n,d]*W[d,c] + b[c]\n"
            "Z[n] = sum(c) exp(S[n,c])\n"
            "L[] = -mean(n) S[n,y[n]] + mean(n) log(Z[n])",
            "S[n,c] = sum(d) X[n,d]*W[d,c] + b[c]\n"
            "P[n,c] = exp(S[n,c]) / sum(k) exp(S[n,k])\n"
            "L[] = -mean(n) log(P[n,y[n]])",
        ),
        labelled(3, X=(6, 4), W=(4, 3), b=(3,)),
    ),
    Form(
        "batch norm",
        (batch_norm, batch_norm_short),
        (
            "mu[d] = mean(n) X[n,d]\n"
            "c[n,d] = X[n,d] - mu[d]\n"
            "v[d] = mean(n) c[n,d]**2\n"
            "s[d] = 1/sqrt(v[d] + 1e-5)\n"
            "xhat[n,d] = c[n,d]*s[d]\n"
            "Y[n,d] = gamma[d]*xhat[n,d] + beta[d]",
        ),
        normal(X=(6, 3), gamma=(3,), beta=(3,)),
    ),
    Form(
        "layer norm",
        (layer_norm,),
        (
            "mu[n] = mean(d) X[n,d]\n"
            "v[n] = mean(d) (X[n,d] - mu[n])**2\n"
            "xhat[n,d] = (X[n,d] - mu[n])/sqrt(v[n] + 1e-5)\n"
            "Y[n,d] = gamma[d]*xhat[n,d] + beta[d]",
        ),
        normal(X=(3, 6), gamma=(6,), beta=(6,)),
    ),
    Form(
        "gram",
        (gram, gram_einsum),
        ("G[n,m] = sum(d) X[n,d]*X[m,d]",),
        normal(X=(4, 3)),
    ),
    Form(
        "total variation",
        (total_variation,),
        (
            "L[] = sum(i: H-1, j: W-1) sqrt((X[i,j+1] - X[i,j])**2 + (X[i+1,j] - X[i,j])**2)",
        ),
        normal(X=(4, 5)),
        {"X": "H W"},
    ),
    Form(
        "euclidean",
        (euclidean, euclidean_short),
        (
            "R[n,m] = sum(d) X[n,d]*W[d,m] - Y[n,m]; L[] = sum(n,m) R[n,m]**2",
            "L[] = sum(n,m) (sum(d) X[n,d]*W[d,m] - Y[n,m])**2",
        ),
        normal(X=(5, 4), W=(4, 3), Y=(5, 3)),
    ),
    Form(
        "convolution",
        (convolution,),
        (
            "X[N, C, H, W]\n"
            "K[O, C, 3, 3]\n"
            "Y[n, o, i:(H+1)//2, j:(W+1)//2] = b[o] +\n"
            "    sum(c,p,q) pad(X, 0)[n, c, 2*i + p - 1, 2*j + q - 1]*K[o,c,p,q]",
        ),
        normal(X=(2, 2, 5, 7), K=(3, 2, 3, 3), b=(3,)),
    ),
    Form(
        "max pooling",
        (max_pooling, max_pooling_windows),
        ("Y[n,c,i,j] = max(p: 2, q: 2) X[n,c,2*i+p,2*j+q]",),
        normal(X=(2, 2, 4, 6)),
    ),
    Form(
        "average pooling",
        (average_pooling, average_pooling_slices),
        ("Y[n,c,i,j] = mean(p: 2, q: 2) X[n,c,2*i+p,2*j+q]",),
        normal(X=(2, 2, 4, 6)),
    ),
)

WRITTEN = [
    pytest.param(form, way, id=f"{form.name}, {getattr(way, '__name__', 'text ' + str(n))}")
    for form in FORMS
    for n, way in enumerate((*form.functions, *form.texts))
]


@pytest.mark.parametrize(("form", "way"), WRITTEN)
def test_values_and_gradients(form: Form, way: Any) -> None:
    inputs = form.inputs(np.random.default_rng(0))
    function = form.functions[0]
    expected = np.asarray(function(*inputs.values()))
    if isinstance(way, str):
        way = pullback.define(way, **form.shapes)
        assert set(way.inputs) == set(inputs)
        order = [way.inputs.index(name) for name in inputs]
        out, back = pullback.vjp(way, *(inputs[name] for name in way.inputs))
    else:
        order = list(range(len(inputs)))
        out, back = pullback.vjp(way, *inputs.values())
    assert close(out, expected, 1e-12)
    cotangent = np.random.default_rng(1).normal(size=expected.shape)
    gradients = back(cotangent)
    for which, value in enumerate(inputs.values()):
        found = gradients[order[which]]
        if value.dtype.kind == "i":
            assert found is None
        else:
            wanted = differences(function, list(inputs.values()), cotangent, which)
            assert close(found, wanted, 1e-7)
