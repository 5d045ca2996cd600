"""Matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.layers.checks import Reference

RNG = np.random.default_rng(1)
ROWS = {"Q": RNG.normal(size=(3, 4)), "K": RNG.normal(size=(5, 4)), "V": RNG.normal(size=(5, 2))}
BLIND = np.array([[True, False, True, False, True], [False] * 5, [True] * 5])
LATER = np.array([[False, True, True, True, True], [True] * 5, [False, False, False, True, True]])
SINGULAR = {"X": np.array([[1.0, 2.0], [2.0, 4.0]])}


def linear(function: str) -> Any:
    """A function of torch.linalg of X."""

    def call(options: Mapping[str, Any], a: Any) -> Any:
        import torch

        return getattr(torch.linalg, function)(a["X"], **options)

    return call


def of_lower(function: str) -> Any:
    """A function of torch.linalg of the symmetric matrix whose lower triangle is that of X."""

    def call(options: Mapping[str, Any], a: Any) -> Any:
        import torch

        x = a["X"]
        return getattr(torch.linalg, function)(x.tril() + x.tril(-1).mT)

    return call


def einsum(subscripts: str, *names: str) -> Any:
    """PyTorch's einsum of inputs."""

    def call(options: Mapping[str, Any], a: Any) -> Any:
        import torch

        return torch.einsum(subscripts, *(a[name] for name in names))

    return call


def _affine(options: Mapping[str, Any], a: Any) -> Any:
    import torch.nn.functional as F

    return F.linear(a["X"], a["W"].T, a.get("b"))


def _bilinear(options: Mapping[str, Any], a: Any) -> Any:
    import torch.nn.functional as F

    return F.bilinear(a["X"], a["Z"], a["W"], a.get("b"))


def _gram(options: Mapping[str, Any], a: Any) -> Any:
    import torch

    g = torch.einsum("...cij,...dij->...cd", a["X"], a["X"])
    return g / a["X"][..., :, :, :].flatten(-3).shape[-1] if options["normalised"] else g


def _trace(options: Mapping[str, Any], a: Any) -> Any:
    x, matrix = a["X"], a["A"]
    return (matrix @ x if options["form"] == "AX" else x.T @ matrix @ x).trace()


def _attention(options: Mapping[str, Any], a: Any) -> Any:
    """PyTorch's, which takes a mask or is causal, not both."""
    import torch
    import torch.nn.functional as F

    mask, causal = a.get("M"), options["is_causal"]
    if mask is not None and causal:
        mask, causal = mask & torch.ones_like(mask).tril(), False
    out = F.scaled_dot_product_attention(
        a["Q"], a["K"], a["V"], attn_mask=mask, is_causal=causal, scale=options["scale"]
    )
    if mask is not None and mask.dtype == torch.bool:
        return torch.where(mask.any(-1, keepdim=True), out, 0.0)
    return out


def _determinant(options: Mapping[str, Any], a: Any) -> Any:
    """By Laplace's expansion: PyTorch's gradient at a singular matrix is 0."""
    import torch

    def expanded(x: Any) -> Any:
        if x.shape[-1] == 0:
            return torch.ones(x.shape[:-2], dtype=x.dtype)
        minors = [
            expanded(torch.cat([x[..., 1:, :j], x[..., 1:, j + 1 :]], -1))
            for j in range(x.shape[-1])
        ]
        return sum((-1) ** j * x[..., 0, j] * minor for j, minor in enumerate(minors))

    found = expanded(a["X"])
    torch.testing.assert_close(found, torch.linalg.det(a["X"]))
    return found


REFERENCES = {
    "affine": Reference(
        """
        dX[n,d] = sum(m) dY[n,m]*W[d,m]
        dW[d,m] = sum(n) X[n,d]*dY[n,m]
        db[m] = sum(n) dY[n,m]
        """,
        _affine,
        at=[({}, {"X": np.zeros((0, 5)), "W": np.ones((5, 3)), "b": np.ones(3)})],
        refused=[({"out_features": 0}, "whole number >= 1")],
        refused_at=[({}, {"X": np.ones((2, 4)), "W": np.ones((5, 3)), "b": np.ones(3)}, "W")],
    ),
    "bilinear": Reference(
        """
        t[n,i,j] = sum(m) dY[n,m]*W[m,i,j]
        dX[n,i] = sum(j) t[n,i,j]*Z[n,j]
        dZ[n,j] = sum(i) t[n,i,j]*X[n,i]
        dW[m,i,j] = sum(n) dY[n,m]*X[n,i]*Z[n,j]
        db[m] = sum(n) dY[n,m]
        """,
        _bilinear,
    ),
    "matmul": Reference(
        """
        dX[i,j] = sum(k) dY[i,k]*W[j,k]
        dW[j,k] = sum(i) X[i,j]*dY[i,k]
        """,
        lambda o, a: a["X"] @ a["W"],
        refused_at=[({}, {"X": np.ones(3), "W": np.ones((3, 2))}, "two axes")],
    ),
    "outer": Reference(
        """
        dX[i] = sum(j) dY[i,j]*Z[j]
        dZ[j] = sum(i) dY[i,j]*X[i]
        """,
        einsum("...i,...j->...ij", "X", "Z"),
    ),
    "gram": Reference(
        """
        t[n,c,d] = dG[n,c,d] + dG[n,d,c]
        dX[n,c,i,j] = sum(d) t[n,c,d]*X[n,d,i,j]
        """,
        _gram,
        refused_at=[({}, {"X": np.ones((2, 2))}, "an image is")],
    ),
    "quadratic_form": Reference(
        """
        t[i] = sum(j) (A[i,j] + A[j,i])*X[j]
        dX[i] = dL[]*t[i]
        dA[i,j] = dL[]*X[i]*X[j]
        """,
        einsum("...i,ij,...j->...", "X", "A", "X"),
    ),
    "trace": Reference(
        """
        B[j,k] = dL[]*(A[j,k] + A[k,j])
        dX[j,i] = sum(k) B[j,k]*X[k,i]
        dA[j,k] = dL[]*sum(i) X[j,i]*X[k,i]
        """,
        _trace,
        refused=[({"form": "XA"}, "one of AX, XtAX")],
    ),
    "attention": Reference(
        """
        dV[s,e] = sum(t) P[t,s]*dO[t,e]
        dP[t,s] = sum(e) dO[t,e]*V[s,e]
        r[t] = sum(e) dO[t,e]*O[t,e]
        dA[t,s] = P[t,s]*(dP[t,s] - r[t])/sqrt(D)
        dQ[t,d] = sum(s) dA[t,s]*K[s,d]
        dK[s,d] = sum(t) dA[t,s]*Q[t,d]
        """,
        _attention,
        at=[
            ({}, {**ROWS, "Q": 1000 * ROWS["Q"]}),
            ({"is_causal": True}, ROWS),
            ({"attn_mask": "bool"}, {**ROWS, "M": BLIND}),
            ({"attn_mask": "bool", "is_causal": True}, {**ROWS, "M": LATER}),
        ],
        refused=[
            ({"attn_mask": "causal"}, "one of bool, float"),
            ({"attn_mask": True}, "one of bool, float"),
            ({"scale": "1"}, "a number"),
        ],
    ),
    "inverse": Reference(
        """
        t[i,j] = sum(k) Y[k,i]*dY[k,j]
        dX[i,j] = -sum(k) t[i,k]*Y[j,k]
        """,
        linear("inv"),
    ),
    "solve": Reference(
        """
        dB[i,j] = solve_transposed(A, dX)[i,j]
        dA[i,k] = -sum(j) dB[i,j]*X[k,j]
        """,
        lambda o, a: a["A"].inverse() @ a["B"],
    ),
    "determinant": Reference("dX[i,j] = dL[]*cofactors(X)[i,j]", _determinant, at=[({}, SINGULAR)]),
    "log_determinant": Reference(
        "dX[i,j] = dL[]*inverse(X)[j,i]", lambda o, a: a["X"].slogdet().logabsdet
    ),
    "cholesky": Reference(
        """
        R[i,j] = inverse(Y)[i,j]
        p[i,j] = sum(k) Y[k,i]*dY[k,j]
        h[i,j] = p[i,j]*([i > j] + [i = j]/2)
        q[i,j] = sum(k) h[i,k]*R[k,j]
        s[i,j] = sum(k) R[k,i]*q[k,j]
        dX[i,j] = s[i,j]*[i >= j] + s[j,i]*[i > j]
        """,
        of_lower("cholesky"),
    ),
    "eigenvalues": Reference(
        """
        U[i,k] = eigenvectors(X)[i,k]
        s[i,j] = sum(k) U[i,k]*dY[k]*U[j,k]
        dX[i,j] = s[i,j]*[i >= j] + s[j,i]*[i > j]
        """,
        of_lower("eigvalsh"),
    ),
    "matrix_power": Reference(
        """
        g[i,j] = sum(k) dY[i,k]*X2[j,k]
        t[i,j] = sum(k) X[k,i]*dY[k,j]
        u[i,j] = sum(k) t[i,k]*X[j,k]
        dX[i,j] = g[i,j] + u[i,j] + sum(k) X[k,i]*t[k,j]
        """,
        linear("matrix_power"),
        refused=[({"n": 0.5}, "a whole number")],
    ),
}
