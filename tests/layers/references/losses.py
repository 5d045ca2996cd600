"""Losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.layers.checks import Reference

LOGITS = np.array([[1000.0, -1000.0, 0.0], [1000.0, 1000.0, -1000.0], [7.0, 7.0, 7.0]])
EMPTY = {"X": np.zeros((0, 3)), "T": np.zeros((0, 3))}
TIES = {"X": np.array([[1.0, 2.5, -1.0]]), "T": np.array([[1.0, 1.5, 0.0]])}
LABELS = {"X": LOGITS, "y": np.array([2, 1, 0])}
IGNORED = {"X": LOGITS, "y": np.array([-100, -100, -100])}
PARTLY = {"X": LOGITS, "y": np.array([-100, 1, -100])}
WEIGHTS = np.array([0.5, 1.0, 2.0])
ZERO = {
    "X": np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 2.0]]),
    "Z": np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]]),
    "y": np.array([1, -1, 1]),
}
SAME = {name: np.array([[1.0, 2.0], [0.0, 0.0]]) for name in ("X", "P", "Q")}


def functional(name: str, *inputs: str, **fixed: Any) -> Any:
    """A loss of torch.nn.functional, of inputs and options with the layer's names."""

    def call(options: Any, a: Any) -> Any:
        import torch.nn.functional as F

        return getattr(F, name)(*(a[key] for key in inputs), **{**options, **fixed})

    return call


def _cross_entropy(options: Mapping[str, Any], a: Any) -> Any:
    """PyTorch's value; its gradient by the class weights is that of its definition."""
    import torch
    import torch.nn.functional as F

    target = a["y"] if options["targets"] == "labels" else a["T"]
    given = {name: options[name] for name in ("label_smoothing", "reduction")}
    if options["ignore_index"] is not None:
        given["ignore_index"] = options["ignore_index"]
        if bool((target == options["ignore_index"]).all()):
            return 0 * a["X"].sum()  # PyTorch has 0/0
    weight = a.get("w", torch.ones(a["X"].shape[min(1, a["X"].ndim - 1)], dtype=a["X"].dtype))
    expected = F.cross_entropy(a["X"], target, weight=weight.detach(), **given)
    if "w" not in a:
        return expected
    defined = _defined(options, a["X"], target, weight)
    torch.testing.assert_close(defined, expected)
    return defined


def _defined(options: Mapping[str, Any], x: Any, target: Any, w: Any) -> Any:
    import torch
    import torch.nn.functional as F

    axis, smoothing = min(1, x.ndim - 1), options["label_smoothing"]
    classes = x.shape[axis]
    if options["targets"] == "labels":
        ignored = -100 if options["ignore_index"] is None else options["ignore_index"]
        counts, label = (target != ignored).double(), target.clamp(min=0)
        row = counts * w[label]
        hot = torch.movedim(F.one_hot(label, classes).double(), -1, axis)
    else:
        counts, row, hot = 1.0, torch.ones(()), target
    shape = [1] * x.ndim
    shape[axis] = -1
    smooth = (1 - smoothing) * hot + smoothing / classes
    loss = counts * -(smooth * w.reshape(shape) * x.log_softmax(axis)).sum(axis)
    if options["reduction"] == "none":
        return loss
    over = row.sum() if options["targets"] == "labels" else loss.numel()
    return loss.sum() / (over if options["reduction"] == "mean" else 1)


def _hinge(options: Mapping[str, Any], a: Any) -> Any:
    """PyTorch's value; its gradient by the class weights is that of its definition."""
    import torch
    import torch.nn.functional as F

    given = {name: options[name] for name in ("p", "margin", "reduction")}
    if "w" not in a:
        return F.multi_margin_loss(a["X"], a["y"], **given)
    expected = F.multi_margin_loss(a["X"], a["y"], weight=a["w"].detach(), **given)
    loss = a["w"][a["y"]] * F.multi_margin_loss(a["X"], a["y"], **{**given, "reduction": "none"})
    loss = loss.mean() if options["reduction"] == "mean" else loss
    torch.testing.assert_close(loss, expected)
    return loss


def _euclidean(options: Mapping[str, Any], a: Any) -> Any:
    squares = (a["X"] - a["T"]) ** 2 / 2
    match options["reduction"]:
        case "batchmean":
            return squares.sum() / len(squares)
        case "none":
            return squares
        case how:
            return getattr(squares, how)()


def _kl(options: Mapping[str, Any], a: Any) -> Any:
    """PyTorch's value; by targets of 0 its gradient is infinite."""
    import torch
    import torch.nn.functional as F

    t = a["T"]
    expected = F.kl_div(a["X"], t.detach(), **options)
    if options["log_target"]:
        loss = t.exp() * (t - a["X"])
    else:
        positive = torch.where(t > 0, t, 1.0)
        loss = torch.where(t > 0, t * (positive.log() - a["X"]), 0.0)
    match options["reduction"]:
        case "batchmean":
            loss = loss.sum() / len(loss)
        case "mean" | "sum" as how:
            loss = getattr(loss, how)()
    torch.testing.assert_close(loss, expected)
    return loss


def _bce(options: Mapping[str, Any], a: Any) -> Any:
    """PyTorch's value; its gradient by the weights is that of its definition."""
    import torch
    import torch.nn.functional as F

    x, t, p = a["X"], a["T"], a.get("p")
    given = {"reduction": options["reduction"]}
    weight = None if p is None else p.detach()
    expected = F.binary_cross_entropy_with_logits(x, t.detach(), pos_weight=weight, **given)
    loss = -(1 if p is None else p) * t * F.logsigmoid(x) - (1 - t) * F.logsigmoid(-x)
    if options["reduction"] != "none":
        loss = getattr(loss, options["reduction"])()
    torch.testing.assert_close(loss, expected)
    return loss


def _cosine(options: Mapping[str, Any], a: Any) -> Any:
    """PyTorch's value, with 1e-12 for its float32 of 1e-12."""
    import torch
    import torch.nn.functional as F

    x, z, y = a["X"], a["Z"], a["y"]
    lengths = ((x**2).sum(-1) + 1e-12) * ((z**2).sum(-1) + 1e-12)
    c = (x * z).sum(-1) / lengths.sqrt()
    loss = torch.where(y == 1, 1 - c, F.relu(c - options["margin"]))
    loss = loss if options["reduction"] == "none" else getattr(loss, options["reduction"])()
    torch.testing.assert_close(loss, F.cosine_embedding_loss(x, z, y, **options))
    return loss


def _total_variation(options: Mapping[str, Any], a: Any) -> Any:
    import torch

    u = a["U"]
    dx, dy = u[..., 1:] - u[..., :-1], u[..., 1:, :] - u[..., :-1, :]
    if options["edges"] == "inner":
        dx, dy = dx[..., :-1, :], dy[..., :-1]
    elif not options["anisotropic"]:
        pad = torch.nn.functional.pad
        dx, dy = pad(dx, (0, 1)), pad(dy, (0, 0, 0, 1))
    if options["anisotropic"]:
        return dx.abs().sum() + dy.abs().sum()
    squares = dx**2 + dy**2
    return torch.where(squares > 0, torch.where(squares > 0, squares, 1.0).sqrt(), 0.0).sum()


FLAT = np.array([[1.0, 1.0, 1.0, 4.0], [1.0, 1.0, 2.0, 4.0], [1.0, 1.0, 1.0, 4.0]])
VARIED = [
    ({"edges": edges, "anisotropic": anisotropic}, {"U": image})
    for edges in ("inner", "zero")
    for anisotropic in (False, True)
    for image in (FLAT, np.ones((3, 4)), FLAT[:1], FLAT[:, :1])
]

REDUCTION = ({"reduction": "total"}, "one of mean, sum, none")

REFERENCES = {
    "euclidean": Reference(
        """
        g[] = dL[]/I
        dX[i,j] = g[]*D[i,j]
        dT[i,j] = -g[]*D[i,j]
        """,
        _euclidean,
        refused=[({"reduction": "total"}, "one of mean, sum, none, batchmean")],
    ),
    "mse": Reference(
        """
        g[] = 2*dL[]/(I*J)
        dX[i,j] = g[]*D[i,j]
        dT[i,j] = -g[]*D[i,j]
        """,
        functional("mse_loss", "X", "T"),
        refused=[REDUCTION],
    ),
    "l1": Reference(
        """
        g[] = dL[]/(I*J)
        dX[i,j] = g[]*sign(D[i,j])
        dT[i,j] = -g[]*sign(D[i,j])
        """,
        functional("l1_loss", "X", "T"),
        at=[({}, TIES)],
        refused=[REDUCTION],
    ),
    "huber": Reference(
        """
        g[] = dL[]/(I*J)
        dX[i,j] = where(A[i,j] <= 1, g[]*D[i,j], g[]*sign(D[i,j]))
        dT[i,j] = -where(A[i,j] <= 1, g[]*D[i,j], g[]*sign(D[i,j]))
        """,
        functional("huber_loss", "X", "T"),
        at=[({}, TIES)],
        refused=[REDUCTION, ({"delta": 0}, "> 0")],
    ),
    "cross_entropy": Reference(
        """
        g[] = dL[]/I
        P[i,j] = E[i,j]/s[i]
        dX[i,j] = g[]*(P[i,j] - [y[i] = j])
        """,
        _cross_entropy,
        at=[
            ({}, LABELS),
            ({"label_smoothing": 0.1}, LABELS),
            ({"ignore_index": -100}, PARTLY),
            ({"ignore_index": -100}, IGNORED),
            ({"ignore_index": -100, "reduction": "sum"}, IGNORED),
            ({"ignore_index": -100, "weight": True}, {**PARTLY, "w": WEIGHTS}),
            ({"ignore_index": -100, "weight": True}, {**IGNORED, "w": WEIGHTS}),
            ({"targets": "probabilities"}, {"X": LOGITS, "T": np.array([[0.0, 0.5, 0.25]] * 3)}),
            ({"reduction": "sum"}, {"X": np.zeros((0, 3)), "y": np.zeros(0, int)}),
        ],
        refused=[
            REDUCTION,
            ({"targets": "logits"}, "one of labels, probabilities"),
            ({"targets": "probabilities", "ignore_index": 1}, "only labels"),
            ({"label_smoothing": 1.5}, "at most 1"),
            ({"ignore_index": 0.5}, "whole number"),
        ],
    ),
    "bce_with_logits": Reference(
        """
        g[] = dL[]/(I*J)
        dX[i,j] = g[]*(sigmoid(X[i,j]) - T[i,j])
        dT[i,j] = -g[]*X[i,j]
        """,
        _bce,
        at=[
            ({}, {"X": LOGITS, "T": np.array([[0.0, 1.0, 0.5]] * 3)}),
            ({}, {"X": LOGITS, "T": np.array([[1.0, 0.0, 0.5]] * 3)}),
            (
                {"pos_weight": True},
                {"X": LOGITS, "T": np.array([[0.0, 1.0, 0.5]] * 3), "p": WEIGHTS},
            ),
        ],
        refused=[REDUCTION],
    ),
    "multi_class_hinge": Reference(
        """
        g[] = dL[]/(I*J)
        over[i,j] = g[]*[t[i,j] > 0]
        count[i] = sum(j) over[i,j]
        dX[i,j] = over[i,j] - [y[i] = j]*count[i]
        """,
        _hinge,
        allowed=1.06,
        why="whether a margin is exceeded is asked again where it is counted",
        at=[({"p": p}, LABELS) for p in (1, 2)],
        refused=[REDUCTION, ({"p": 3}, "p is 1 or 2"), ({"margin": 0}, "> 0")],
    ),
    "kl_divergence": Reference(
        """
        g[] = dL[]/I
        dX[i,j] = -g[]*T[i,j]*[T[i,j] > 0]
        dT[i,j] = g[]*[T[i,j] > 0]*(log(T[i,j]) - X[i,j] + 1)
        """,
        _kl,
        at=[({}, {"X": -np.ones((2, 2)), "T": np.array([[0.0, 1.0], [0.5, 0.5]])})],
        refused=[({"reduction": "total"}, "one of mean, sum, none, batchmean")],
    ),
    "total_variation": Reference(
        """
        q[i:H-1,j:W-1] = dL[]*[t[i,j] != 0]/t[i,j]
        dU[i:H,j:W] = pad(Dx, 0)[i,j-1]*pad(q, 0)[i,j-1] + pad(Dy, 0)[i-1,j]*pad(q, 0)[i-1,j] -
            pad(q, 0)[i,j]*(pad(Dx, 0)[i,j] + pad(Dy, 0)[i,j])
        """,
        _total_variation,
        at=VARIED,
        refused=[({"edges": "wrap"}, "one of inner, zero")],
        refused_at=[({}, {"U": np.ones(3)}, "at least two axes")],
    ),
    "cosine_embedding": Reference(
        """
        h[i] = dL[]/I*g[i]*[g[i]*c[i] + where(y[i] = 1, 1, 0) > 0]
        r[i] = h[i]/sqrt(a[i]*b[i])
        dX[i,j] = r[i]*Z[i,j] - h[i]*c[i]/a[i]*X[i,j]
        dZ[i,j] = r[i]*X[i,j] - h[i]*c[i]/b[i]*Z[i,j]
        """,
        _cosine,
        at=[({}, ZERO), ({"margin": -0.5}, ZERO)],
        refused=[REDUCTION, ({"margin": "0"}, "a number")],
    ),
    "triplet": Reference(
        """
        h[i] = dL[]/I*[near[i] - far[i] + 1 > 0]
        dP[i,j] = -h[i]*[near[i] != 0]/near[i]*(X[i,j] - P[i,j] + 1e-6)
        dQ[i,j] = h[i]*[far[i] != 0]/far[i]*(X[i,j] - Q[i,j] + 1e-6)
        dX[i,j] = -dP[i,j] - dQ[i,j]
        """,
        functional("triplet_margin_loss", "X", "P", "Q"),
        at=[({}, SAME), ({"p": 1}, SAME)],
        refused=[REDUCTION, ({"p": 3}, "p is 1 or 2")],
    ),
}
