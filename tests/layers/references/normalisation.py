"""Normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.layers.checks import Reference

SAME = np.full((1, 2, 2, 2), 3.0)
SCALE = {"gamma": np.array([2.0, -1.0]), "beta": np.array([0.5, 1.0])}
FLAT = ({"affine": False}, {"X": SAME})
FAR = ({"affine": False}, {"X": 1e6 + np.arange(8.0).reshape(1, 2, 2, 2)})


def _batched(options: Any, X: Any) -> Any:
    """An input with a batch axis."""
    return X if X.ndim == options["dims"] + 2 else X[None]


def _batch(o: Any, a: Any) -> Any:
    import torch.nn.functional as F

    X = _batched(o, a["X"])
    if o["training"]:
        Y = F.batch_norm(X, None, None, a.get("gamma"), a.get("beta"), True, eps=o["eps"])
        return Y.reshape(a["X"].shape)
    over = (slice(None), *[None] * o["dims"])
    Y = (X - a["mean"][over]) / (a["var"][over] + o["eps"]).sqrt()
    if o["affine"]:
        Y = Y * a["gamma"][over] + a["beta"][over]
    return Y.reshape(a["X"].shape)


def _batch_by_hand(o: Any, a: Any) -> Any:
    X = _batched(o, a["X"])
    axes = (0, *range(2, X.ndim))
    over = (slice(None), *[None] * o["dims"])
    mean, var = X.mean(axis=axes), X.var(axis=axes)
    if not o["training"]:
        mean, var = a["mean"], a["var"]
    Y = (X - mean[over]) / np.sqrt(var[over] + o["eps"])
    if o["affine"]:
        Y = Y * a["gamma"][over] + a["beta"][over]
    return Y.reshape(a["X"].shape)


def _instance(o: Any, a: Any) -> Any:
    import torch.nn.functional as F

    X = _batched(o, a["X"])
    Y = F.instance_norm(X, weight=a.get("gamma"), bias=a.get("beta"), eps=o["eps"])
    return Y.reshape(a["X"].shape)


def _mean_variance(o: Any, a: Any) -> Any:
    X = a["X"]
    axes = tuple(range(-o["dims"] - o["across_channels"], 0))
    Y = X - X.mean(axes, keepdims=True)
    if o["variance"]:
        Y = Y / (X.var(axes, keepdims=True, correction=0) + o["eps"]) ** 0.5
    return Y


def _layer(o: Any, a: Any) -> Any:
    import torch.nn.functional as F

    shape = a["X"].shape[a["X"].ndim - o["axes"] :]
    return F.layer_norm(a["X"], shape, a.get("gamma"), a.get("beta"), o["eps"])


def _group(o: Any, a: Any) -> Any:
    import torch.nn.functional as F

    X = _batched(o, a["X"])
    Y = F.group_norm(X, o["groups"], a.get("gamma"), a.get("beta"), o["eps"])
    return Y.reshape(a["X"].shape)


def _rms(o: Any, a: Any) -> Any:
    import torch.nn.functional as F

    shape = a["X"].shape[a["X"].ndim - o["axes"] :]
    return F.rms_norm(a["X"], shape, a.get("gamma"), o["eps"])


def _l2(o: Any, a: Any) -> Any:
    import torch.nn.functional as F

    return F.normalize(a["X"], dim=o["axis"], eps=o["eps"])


def _local(o: Any, a: Any) -> Any:
    import torch.nn.functional as F

    names = ("size", "alpha", "beta", "k")
    X = _batched(o, a["X"])
    return F.local_response_norm(X, **{n: o[n] for n in names}).reshape(a["X"].shape)


REFERENCES = {
    "batch_normalisation": Reference(
        "dbeta[c] = sum(n,h,w) dY[n,c,h,w]\n"
        "dgamma[c] = sum(n,h,w) dY[n,c,h,w]*xhat[n,c,h,w]\n"
        "dX[n,c,h,w] = gamma[c]*s[c]/(N*H*W)"
        "*(N*H*W*dY[n,c,h,w] - dbeta[c] - xhat[n,c,h,w]*dgamma[c])",
        torch=_batch,
        numpy=_batch_by_hand,
        at=[({}, {"X": SAME, **SCALE}), FLAT, FAR],
        refused=[({"eps": 0}, "eps"), ({"dims": 4}, "0 to 3"), ({"dims": "2"}, "0 to 3")],
        refused_at=[
            ({"dims": 0, "affine": False}, {"X": np.ones(3)}, "no axis"),
            ({"affine": False}, {"X": np.ones((0, 2, 2, 2))}, "N >= 1"),
        ],
    ),
    "mean_variance_normalisation": Reference(
        "dX[n,c,h,w] = s[n,c]/(H*W)*(H*W*dY[n,c,h,w] - sum(i,j) dY[n,c,i,j]"
        " - Y[n,c,h,w]*sum(i,j) dY[n,c,i,j]*Y[n,c,i,j])",
        torch=_mean_variance,
        at=[({}, {"X": SAME}), ({"eps": 1e-5, "across_channels": True}, FAR[1])],
        refused=[({"eps": -1}, "eps"), ({"dims": 0}, "no axis")],
    ),
    "instance_normalisation": Reference(
        "dbeta[c] = sum(n,h,w) dY[n,c,h,w]\n"
        "dgamma[c] = sum(n,h,w) dY[n,c,h,w]*xhat[n,c,h,w]\n"
        "dX[n,c,h,w] = gamma[c]*s[n,c]/(H*W)*(H*W*dY[n,c,h,w] - sum(i,j) dY[n,c,i,j]"
        " - xhat[n,c,h,w]*sum(i,j) dY[n,c,i,j]*xhat[n,c,i,j])",
        torch=_instance,
        at=[FLAT, FAR],
        refused=[({"dims": 0}, "dims")],
        refused_at=[({"affine": False}, {"X": np.ones((2, 2))}, "3 or 4 axes")],
    ),
    "layer_normalisation": Reference(
        "dbeta[j] = sum(i) dY[i,j]\n"
        "dgamma[j] = sum(i) dY[i,j]*xhat[i,j]\n"
        "dxhat[i,j] = gamma[j]*dY[i,j]\n"
        "dX[i,j] = s[i]/J*(J*dxhat[i,j] - sum(k) dxhat[i,k]"
        " - xhat[i,j]*sum(k) dxhat[i,k]*xhat[i,k])",
        torch=_layer,
        at=[FLAT, FAR],
        refused=[({"axes": 0}, "axes")],
        refused_at=[({"axes": 2, "affine": False}, {"X": np.ones(3)}, "fewer axes")],
    ),
    "group_normalisation": Reference(
        "dbeta[(g:3,c:C)] = sum(n,h,w) dY[n,(g,c),h,w]\n"
        "dgamma[(g:3,c:C)] = sum(n,h,w) dY[n,(g,c),h,w]*xhat[n,g,c,h,w]\n"
        "dxhat[n,g:3,c:C,h,w] = gamma[(g,c)]*dY[n,(g,c),h,w]\n"
        "dXg[n,g,c,h,w] = s[n,g]/(C*H*W)*(C*H*W*dxhat[n,g,c,h,w] - sum(d,i,j) dxhat[n,g,d,i,j]"
        " - xhat[n,g,c,h,w]*sum(d,i,j) dxhat[n,g,d,i,j]*xhat[n,g,d,i,j])\n"
        "dX[n,(g,c),h,w] = dXg[n,g,c,h,w]",
        torch=_group,
        at=[FLAT, FAR],
        refused=[({"groups": 0}, "groups")],
        refused_at=[({"affine": False}, {"X": np.ones((1, 3, 2, 2))}, "2*C")],
    ),
    "rms_normalisation": Reference(
        "dgamma[j] = sum(i) dY[i,j]*xhat[i,j]\n"
        "dX[i,j] = s[i]*(gamma[j]*dY[i,j] - xhat[i,j]/J*sum(k) dY[i,k]*Y[i,k])",
        torch=_rms,
        at=[({"affine": False}, {"X": np.zeros((2, 3))})],
        refused=[({"axes": 0}, "axes"), ({"eps": 0}, "eps")],
    ),
    "l2_normalisation": Reference(
        "m[i] = maximum(r[i], 1e-12)\n"
        "dX[i,j] = dY[i,j]/m[i] - Y[i,j]*[r[i] > 1e-12]/r[i]*sum(k) dY[i,k]*Y[i,k]",
        torch=_l2,
        at=[({}, {"X": np.array([[0.0, 0.0], [3.0, 4.0], [1e-13, 0.0]])})],
        refused=[({"axis": 2}, "no such axis"), ({"eps": 0}, "eps")],
    ),
    "local_response_normalisation": Reference(
        "u[n,c,h,w] = Y[n,c,h,w]*dY[n,c,h,w]/t[n,c,h,w]\n"
        "dX[n,c,h,w] = dY[n,c,h,w]/t[n,c,h,w]**0.75"
        " - 3e-5*X[n,c,h,w]*sum(m:5) pad(u, 0)[n,c-m+2,h,w]",
        torch=_local,
        at=[({}, {"X": np.zeros((1, 2, 2, 2))})],
        refused=[({"size": 0}, "size"), ({"k": 0}, "k is not a number")],
    ),
}
