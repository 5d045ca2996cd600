"""Forward passes that are defined, finite or accurate at few of the points that come to mind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def gaussian(x: Array, C: Array, S: Array) -> Any:
    """The log density of a factor model: V has full rank only where N is at most P."""
    V = C @ S @ C.T
    return -np.log(np.linalg.det(V)) - x @ np.linalg.inv(V) @ x


def least_squares(A: Array, b: Array) -> Any:
    """AᵀA has an inverse only where A has no more columns than rows."""
    x = np.linalg.solve(A.T @ A, A.T @ b)
    return ((A @ x - b) ** 2).sum()


def gaussian_process(X: Array, y: Array, s: Array) -> Any:
    """The log marginal likelihood of a Gaussian process, by Cholesky."""
    K = np.exp(-((X[:, None] - X[None]) ** 2).sum(2) / 2) + np.exp(s) * np.eye(len(X))
    L = np.linalg.cholesky(K)
    a = np.linalg.solve(L, y)
    return -0.5 * (a * a).sum() - np.log(np.diag(L)).sum()


def mixture(x: Array, m: Array, v: Array, w: Array) -> Any:
    """The log density of a mixture of Gaussians, as it is written: exp under- and overflows."""
    p = np.exp(w) / np.exp(w).sum()
    z = np.exp(-((x[:, None] - m) ** 2) / (2 * np.exp(v) ** 2)) / np.exp(v)
    return np.log((p * z).sum(1)).sum()


def elbo(x: Array, W: Array, V: Array, e: Array) -> Any:
    """The evidence lower bound of a small autoencoder: exp of what comes out of a matrix."""
    h = x @ W
    mu, s = h[:, :2], h[:, 2:]
    z = mu + np.exp(s) * e
    y = z @ V
    fit = (x * y - np.log(1 + np.exp(y))).sum()
    return fit - 0.5 * (mu**2 + np.exp(2 * s) - 2 * s - 1).sum()


def pair_potential(X: Array) -> Any:
    """Lennard-Jones energy; a particle has no distance from itself."""
    d = X[:, None] - X[None]
    r2 = (d * d).sum(2)
    n = np.arange(len(X))
    apart = n[:, None] != n
    q = 1 / np.where(apart, r2, 1.0)
    return np.where(apart, q**6 - q**3, 0).sum() / 2


def tower(x: Array) -> Any:
    """Overflows float64 at 2, twice over."""
    return np.log1p(np.exp(np.exp(np.exp(x)))).sum()


def ball(x: Array) -> Any:
    """Defined inside the unit ball only."""
    return np.arccosh(1 + (x * x).sum() / (1 - (x * x).sum())) + np.sqrt(1 - (x * x).sum())


def logits(p: Array) -> Any:
    """Defined between 0 and 1 only."""
    return (np.log(p / (1 - p)) + np.arcsin(p)).sum()


FUNCTIONS: dict[str, tuple[Callable[..., Any], Mapping[str, str]]] = {
    "gaussian": (gaussian, {"x": "N", "C": "N P", "S": "P P"}),
    "least squares": (least_squares, {"A": "N P", "b": "N"}),
    "gaussian process": (gaussian_process, {"X": "N D", "y": "N", "s": ""}),
    "mixture": (mixture, {"x": "N", "m": "K", "v": "K", "w": "K"}),
    "elbo": (elbo, {"x": "N D", "W": "D 4", "V": "2 D", "e": "N 2"}),
    "pair potential": (pair_potential, {"X": "N D"}),
    "tower": (tower, {"x": "N"}),
    "ball": (ball, {"x": "N"}),
    "logits": (logits, {"p": "N"}),
}

MODEL = """pi[S]
A[S,S]
B[T,S]
"""
# The scaled forward recurrence of a hidden Markov model: every c is a sum that may be 0.
PROGRAMS = {
    "hidden Markov": MODEL
    + """a[t,s] = B[t,s]*(pi[s]*[t = 0] + [t >= 1]*(sum(r) alpha[t-1,r]*A[r,s]))
        c[t] = sum(s) a[t,s]
        alpha[t,s] = a[t,s]/c[t]
        L[] = sum(t) log(c[t])""",
    "hidden Markov, written out": MODEL
    + """c[t] = sum(s) B[t,s]*where(t >= 1, sum(r) alpha[t-1,r]*A[r,s], pi[s])
        alpha[t,s] = B[t,s]*where(t >= 1, sum(r) alpha[t-1,r]*A[r,s], pi[s])/c[t]
        L[] = sum(t) log(c[t])""",
}
