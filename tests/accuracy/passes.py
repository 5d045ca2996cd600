"""Forward passes, each with the kinds of inputs at which its gradients are measured.

A kind is ``mean`` (10⁴ plus a standard normal), ``1e20`` (a standard normal times that), ``@37``
(near 37, saturated), or ``near`` (a standard normal).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

Pass = tuple[Callable[..., Any], list[str], list[str]]


def softmax(z: Any, axis: int = -1) -> Any:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def norm(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.sqrt((x**2).sum(axis=axis, keepdims=keepdims))


def centred(X: Any, axis: Any = None) -> Any:
    return X - X.mean(axis=axis, keepdims=True)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def normed(X: Any, axis: Any, eps: float = 1e-5) -> Any:
    return centred(X, axis) / np.sqrt(X.var(axis=axis, keepdims=True) + eps)


def spelled_norm(X: Any, axis: Any, eps: float = 1e-5) -> Any:
    c = centred(X, axis)
    return c / np.sqrt((c**2).mean(axis=axis, keepdims=True) + eps)


def covariance(X: Any) -> Any:
    c = centred(X, 0)
    return c.T @ c / (X.shape[0] - 1)


def correlation(x: Any, y: Any) -> Any:
    a, b = centred(x), centred(y)
    return (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())


def correlation_of_roots(x: Any, y: Any) -> Any:
    a, b = centred(x), centred(y)
    return (a * b).sum() / (norm(a) * norm(b))


def cosine(x: Any, y: Any) -> Any:
    return (x * y).sum() / (norm(x) * norm(y))


def cosine_rows(X: Any, Y: Any) -> Any:
    return (X * Y).sum(axis=1) / norm(X, 1) / norm(Y, 1)


def contrastive(X: Any, Y: Any) -> Any:
    S = (X / norm(X, 1, True)) @ (Y / norm(Y, 1, True)).T / 0.1
    return np.log(np.exp(S).sum(axis=1)) - (S * np.eye(len(X))).sum(axis=1)


def cross_entropy(z: Any) -> Any:
    m = z.max(axis=1, keepdims=True)
    s = z - m
    return np.log(np.exp(s).sum(axis=1)) - s[:, 0]


def logsumexp(z: Any) -> Any:
    m = z.max(axis=1, keepdims=True)
    return m[:, 0] + np.log(np.exp(z - m).sum(axis=1))


def log_softmax(z: Any) -> Any:
    s = z - z.max(axis=1, keepdims=True)
    return s - np.log(np.exp(s).sum(axis=1, keepdims=True))


def group_norm(X: Any) -> Any:
    N, C = X.shape
    return normed(X.reshape(N, 2, C // 2), 2).reshape(N, C)


def standardised_weights(W: Any, X: Any) -> Any:
    return X @ normed(W, 0)


def skewness(x: Any) -> Any:
    c = centred(x)
    return (c**3).mean() / (c**2).mean() ** 1.5


def kurtosis(x: Any) -> Any:
    c = centred(x)
    return (c**4).mean() / ((c**2).mean()) ** 2


def r_squared(x: Any, y: Any) -> Any:
    return 1 - ((x - y) ** 2).sum() / (centred(y) ** 2).sum()


def slope(x: Any, y: Any) -> Any:
    a, b = centred(x), centred(y)
    return (a * b).sum() / (a**2).sum()


def gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def mish(x: Any) -> Any:
    return x * np.tanh(np.log1p(np.exp(x)))


def bce(z: Any) -> Any:
    return np.maximum(z, 0) - 0.3 * z + np.log1p(np.exp(-np.abs(z)))


def focal(z: Any) -> Any:
    p = sigmoid(z)
    return -((1 - p) ** 2) * np.log(p)


def double_softmax(z: Any) -> Any:
    return softmax(softmax(z))


def mean_square_of_normed(X: Any, T: Any) -> Any:
    return ((normed(X, 0) - T) ** 2).sum()


def gaussian(x: Any, mu: Any, s: Any) -> Any:
    return -0.5 * ((x - mu) / s) ** 2 - np.log(s)


def student(x: Any) -> Any:
    return np.log1p(x**2 / 5)


def attention(Q: Any, K: Any, V: Any) -> Any:
    return softmax(Q @ K.T) @ V


def rms(X: Any) -> Any:
    return X / np.sqrt((X**2).mean(axis=1, keepdims=True))


def distances(X: Any, Y: Any) -> Any:
    return norm(X - Y, 1)


def cdist(X: Any, Y: Any) -> Any:
    return np.sqrt(((X[:, None, :] - Y[None, :, :]) ** 2).sum(axis=2))


def entropy(z: Any) -> Any:
    p = softmax(z)
    return -(p * np.log(p)).sum(axis=1)


V, M, X2 = "4", "4 5", "4 4"
SAT = ["near", "@17", "@-17", "@37", "@-37"]
FAR = [*SAT, "@1000", "@-1000"]
SCALES = ["near", "1e20", "1e-20", "1e10"]
MEANS = ["near", "mean"]

PASSES: dict[str, Pass] = {
    # centred
    "sum of squares, centred": (lambda X: (centred(X) ** 2).sum(), ["64"], MEANS + SCALES),
    "mean of squares, centred by column": (
        lambda X: (centred(X, 0) ** 2).mean(axis=0),
        ["24 3"],
        MEANS + SCALES,
    ),
    "variance": (lambda X: X.var(), ["64"], MEANS + SCALES),
    "variance of columns": (lambda X: X.var(axis=0, ddof=1), ["24 3"], MEANS + SCALES),
    "standard deviation": (lambda X: X.std(axis=0), ["24 3"], MEANS + SCALES),
    "normed by var": (lambda X: normed(X, 0), ["24 3"], [*MEANS, "1e20"]),
    "normed rows": (lambda X: normed(X, 1), ["4 24"], [*MEANS, "1e20"]),
    "normed, spelled out": (lambda X: spelled_norm(X, 0), ["24 3"], MEANS),
    "normed, no epsilon": (lambda X: spelled_norm(X, 0, 0.0), ["24 3"], MEANS + SCALES),
    "normed, affine": (lambda X, g, b: normed(X, 0) * g + b, ["24 3", "3", "3"], MEANS),
    "normed, squared error": (mean_square_of_normed, ["24 3", "24 3 =near"], MEANS),
    "normed, to centred targets": (
        lambda X, T: mean_square_of_normed(X, centred(T, 0)),
        ["24 3", "24 3 =near"],
        MEANS,
    ),
    "normed, tanh": (lambda X: np.tanh(normed(X, 0)), ["24 3"], MEANS),
    "normed, 4th power": (lambda X: (normed(X, 0) ** 4).sum(), ["24 3"], MEANS),
    "group norm": (group_norm, ["4 24"], MEANS),
    "covariance": (covariance, ["24 3"], [*MEANS, "1e10", "1e-10"]),
    "correlation": (correlation, ["32", "32"], MEANS + SCALES),
    "correlation of roots": (correlation_of_roots, ["32", "32"], MEANS + SCALES),
    "skewness": (skewness, ["32"], [*MEANS, "1e10", "1e-10"]),
    "kurtosis": (kurtosis, ["32"], [*MEANS, "1e5", "1e-5"]),
    "coefficient of determination": (r_squared, ["32", "32"], MEANS + SCALES),
    "slope of a line": (slope, ["32", "32"], MEANS + SCALES),
    "standardised weights": (standardised_weights, ["24 3", "4 24 =near"], MEANS),
    "absolute deviation": (lambda x: np.abs(centred(x)).mean(), ["32"], MEANS + SCALES),
    "cubes, centred": (lambda x: (centred(x) ** 3).sum(), ["32"], MEANS),
    "softplus, centred": (lambda x: np.log1p(np.exp(centred(x))).sum(), ["32"], MEANS),
    "softmax, centred": (lambda x: softmax(centred(x)), ["32"], MEANS),
    "softmax cross-entropy": (cross_entropy, [M], MEANS + FAR + ["1e20", "1e-20"]),
    "residuals over their spread": (
        lambda x: (centred(x) / x.std()).sum() + (centred(x) ** 2).sum(),
        ["32"],
        MEANS,
    ),
    "centred twice": (lambda x: (centred(centred(x)) ** 2).sum(), ["32"], MEANS),
    "centred by both axes": (
        lambda X: ((X - X.mean(0) - X.mean(1, keepdims=True) + X.mean()) ** 2).sum(),
        ["8 5"],
        MEANS,
    ),
    "weighted variance": (
        lambda x, w: (w * (x - (w * x).sum() / w.sum()) ** 2).sum() / w.sum(),
        ["32", "32 =+"],
        MEANS,
    ),
    # scales
    "cosine similarity": (cosine, ["16", "16"], MEANS + SCALES),
    "cosine similarity of rows": (cosine_rows, [M, M], MEANS + SCALES),
    "contrastive loss": (contrastive, [X2, X2], MEANS + SCALES),
    "unit vectors": (lambda X: X / norm(X, 1, True), [M], MEANS + SCALES),
    "root mean square": (rms, [M], MEANS + SCALES),
    "inverse norm": (lambda x: 1 / norm(x), ["8"], SCALES),
    "inverse cube": (lambda x: 1 / norm(x) ** 3, ["8"], ["near", "1e10", "1e-10", "1e5", "1e-5"]),
    "distances": (distances, [M, M], SCALES),
    "all distances": (cdist, [M, "4 5"], SCALES),
    "quotient": (lambda x, y: x / y, ["8", "8"], SCALES),
    "quotient of products": (lambda x, y, z: x * y / z, ["8", "8", "8"], SCALES),
    "quotient of quotients": (lambda x, y, z: x / y / z, ["8", "8", "8"], SCALES),
    "quotient of squares": (lambda x, y: x**2 / y**2, ["8", "8"], ["near", "1e10", "1e-10"]),
    "square of a quotient": (lambda x, y: (x / y) ** 2, ["8", "8"], SCALES),
    "cube of a quotient": (lambda x, y: (x / y) ** 3, ["8", "8"], SCALES),
    "gaussian": (gaussian, ["8", "8", "8 =+"], SCALES),
    "shares": (lambda x: x / x.sum(), ["8 =+"], SCALES),
    "shares of squares": (lambda x: x**2 / (x**2).sum(), ["8 =+"], ["near", "1e10", "1e-10"]),
    "geometric mean": (lambda x: np.exp(np.log(x).mean()), ["8 =+"], SCALES),
    "harmonic mean": (lambda x: 1 / (1 / x).mean(), ["8 =+"], SCALES),
    "root of a product": (lambda x, y: np.sqrt(x * y), ["8 =+", "8 =+"], ["near", "1e10", "1e-10"]),
    "product of roots": (lambda x, y: np.sqrt(x) * np.sqrt(y), ["8 =+", "8 =+"], SCALES),
    "x**1.5": (lambda x: x**1.5, ["8 =+"], SCALES),
    "x**-1.5": (lambda x: x**-1.5, ["8 =+"], SCALES),
    "reciprocal": (lambda x: 1 / x, ["8"], SCALES),
    "reciprocal plus": (lambda x: 1 / (1 + x**2), ["8"], SCALES),
    "x/(1+|x|)": (lambda x: x / (1 + np.abs(x)), ["8"], SCALES),
    "sqrt(1+x**2)": (lambda x: np.sqrt(1 + x**2), ["8"], ["near", "1e5", "1e-5", "1e10", "1e-10"]),
    "sqrt(1+x**2) - x": (lambda x: np.sqrt(1 + x**2) - x, ["8 =+"], ["near", "1e-5"]),
    "log ratio": (lambda x, y: np.log(x / y), ["8 =+", "8 =+"], SCALES),
    "log product": (lambda x, y: np.log(x * y), ["8 =+", "8 =+"], ["near", "1e10", "1e-10"]),
    "hypot": (lambda x, y: np.hypot(x, y), ["8", "8"], SCALES),
    "arctan2": (lambda x, y: np.arctan2(x, y), ["8", "8"], SCALES),
    "arctan": (lambda x: np.arctan(x), ["8"], SCALES),
    "arctan of a quotient": (lambda x, y: np.arctan(x / y), ["8", "8"], SCALES),
    "cbrt": (lambda x: np.cbrt(x), ["8 =+"], SCALES),
    "log1p(x**2)": (student, ["8"], SCALES),
    "trilinear": (lambda x, y, z: (x * y * z).sum(), ["8", "8", "8"], ["near", "1e10", "1e-10"]),
    "product": (lambda x: x.prod(), ["5"], ["near"]),
    # saturated
    "softplus of -x": (lambda x: np.log1p(np.exp(-x)), [V], FAR),
    "softplus": (lambda x: np.log1p(np.exp(x)), [V], FAR),
    "log(1+exp)": (lambda x: np.log(1 + np.exp(x)), [V], FAR),
    "logaddexp": (lambda x: np.logaddexp(0, x), [V], FAR),
    "logaddexp of two": (lambda x, y: np.logaddexp(x, y), [V, V], FAR),
    "sigmoid": (sigmoid, [V], FAR),
    "sigmoid from above": (lambda x: np.exp(x) / (1 + np.exp(x)), [V], FAR),
    "1 - sigmoid": (lambda x: 1 - sigmoid(x), [V], FAR),
    "log(sigmoid)": (lambda x: np.log(sigmoid(x)), [V], FAR),
    "-log(1 - sigmoid)": (lambda x: -np.log(1 - sigmoid(x)), [V], FAR),
    "log sigmoid by log1p": (lambda x: -np.log1p(np.exp(-x)), [V], FAR),
    "swish": (lambda x: x * sigmoid(x), [V], FAR),
    "swish in one": (lambda x: x / (1 + np.exp(-x)), [V], FAR),
    "tanh": (lambda x: np.tanh(x), [V], FAR),
    "tanh by exp": (lambda x: 1 - 2 / (np.exp(2 * x) + 1), [V], FAR),
    "tanh by two exps": (lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)), [V], FAR),
    "log(cosh)": (lambda x: np.log(np.cosh(x)), [V], FAR),
    "1/cosh": (lambda x: 1 / np.cosh(x), [V], FAR),
    "1/cosh**2": (lambda x: 1 / np.cosh(x) ** 2, [V], FAR),
    "sinh/cosh": (lambda x: np.sinh(x) / np.cosh(x), [V], FAR),
    "gelu by tanh": (gelu_tanh, [V], FAR),
    "mish": (mish, [V], FAR),
    "binary cross-entropy": (bce, [V], FAR),
    "focal loss": (focal, [V], FAR),
    "expm1": (lambda x: np.expm1(x), [V], ["near", "1e-20", "1e-10", "@-37"]),
    "expm1(x)/x": (lambda x: np.expm1(x) / x, [V], ["near", "@-37", "@37"]),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), [V], FAR),
    "log(-expm1)": (lambda x: np.log(-np.expm1(-x)), ["8 =+"], ["near", "@37", "1e-10"]),
    "exp over 1 + exp squared": (lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2, [V], FAR),
    "1/(1+exp)**2": (lambda x: 1 / (1 + np.exp(-x)) ** 2, [V], FAR),
    "bump": (lambda x: np.exp(-1 / (1 - x**2)), ["8 =small"], ["near"]),
    "gaussian bump": (lambda x: np.exp(-(x**2) / 2), [V], ["near", "@6", "@17"]),
    "x exp(-x)": (lambda x: x * np.exp(-x), [V], FAR),
    "arcsinh": (lambda x: np.arcsinh(x), ["8"], SCALES),
    "arctanh": (lambda x: np.arctanh(np.tanh(x)), ["8"], ["near"]),
    "atanh by log": (lambda x: 0.5 * np.log((1 + x) / (1 - x)), ["8 =small"], ["near"]),
    "softsign": (lambda x: x / (1 + np.abs(x)), [V], FAR),
    "logsumexp": (logsumexp, [M], MEANS + FAR + ["1e20", "1e-20"]),
    "log softmax": (log_softmax, [M], MEANS + FAR + ["1e20"]),
    "softmax": (lambda z: softmax(z), [M], MEANS + FAR + ["1e20", "1e-20"]),
    "softmax without the shift": (
        lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
        [M],
        SAT,
    ),
    "softmax of a softmax": (double_softmax, [M], MEANS),
    "entropy": (entropy, [M], [*MEANS, "@17"]),
    "attention": (attention, [M, M, M], ["near"]),
    "ratio u/(1+u)": (lambda x: x / (1 + x), ["8 =+"], SCALES),
    "ratio u/(c+u)": (lambda x: x / (3 + x), ["8 =+"], SCALES),
    "ratio u/(u+v)": (lambda x, y: x / (x + y), ["8 =+", "8 =+"], SCALES),
    "michaelis": (lambda x, k: x**2 / (k**2 + x**2), ["8 =+", "8 =+"], ["near", "1e10", "1e-10"]),
    "hill": (lambda x: x**3 / (1 + x**3), ["8 =+"], ["near", "1e5", "1e-5", "1e10", "1e-10"]),
    "poisson": (lambda x: np.exp(x) - 3 * x, [V], SAT[:-1]),
    "erf": (lambda x: special.erf(x), [V], ["near", "@3", "@6", "@-6"]),
    "gelu": (lambda x: 0.5 * x * (1 + special.erf(x / 2**0.5)), [V], FAR),
    "expit": (lambda x: special.expit(x), [V], FAR),
    "log expit": (lambda x: np.log(special.expit(x)), [V], FAR),
}


def drawn(spec: str, kind: str, random: np.random.Generator, dtype: str) -> Any:
    """An input of a shape at a kind."""
    dims, _, own = (part.strip() for part in spec.partition("="))
    shape = tuple(map(int, dims.split()))
    values = np.asarray(random.normal(size=shape))
    if own == "+":
        values = np.asarray(random.uniform(0.5, 1.5, shape))
    if own == "small":
        values = np.asarray(random.uniform(-0.9, 0.9, shape))
    if kind == "mean" and own != "near" and own != "+":
        values = 1e4 + values
    elif kind.startswith("@"):
        place = float(kind[1:])
        values = place + (0.02 * abs(place) + 0.5) * np.tanh(values)
    elif kind[0].isdigit() and own != "near":
        values = values * float(kind)
    return values.astype(dtype)
