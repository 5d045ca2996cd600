"""Activations."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.layers.activations import GELU
from tests.layers.checks import Reference

FAR = {"X": np.array([[-1000.0, -88.0, -37.5, -3.0, -1e-9], [0.0, 1e-9, 3.0, 37.5, 1000.0]])}
NEAR = {"X": np.array([[-3.0, -1e-9, 0.0], [1e-9, 3.0, 30.0]])}
LOGITS = {"X": np.array([[1000.0, -1000.0, 0.0], [1000.0, 1000.0, -1000.0], [7.0, 7.0, 7.0]])}
SLOPE = {**FAR, "a": np.array(0.25)}
BASE = {"X": np.array([[0.5, 2.0, 3.0]]), "scale": np.array(-2.0), "shift": np.array(1.0)}
READS = "the two brackets read what minimum and maximum read, two arrays where X would do"


def functional(name: str, **renamed: str) -> Any:
    """A function of torch.nn.functional, its options by the layer's names."""

    def call(options: Any, a: Any) -> Any:
        import torch.nn.functional as F

        given = {renamed.get(option, option): value for option, value in options.items()}
        return getattr(F, name)(a["X"], **given)

    return call


def _prelu(options: Any, a: Any) -> Any:
    import torch

    slopes = a["a"]
    if options["num_parameters"] is not None:
        shape = [1] * a["X"].ndim
        shape[options["axis"]] = -1
        slopes = slopes.reshape(shape)
    return torch.where(a["X"] > 0, a["X"], slopes * a["X"])


def _power(options: Any, a: Any) -> Any:
    p = a["p"] if options["p"] is None else options["p"]
    return (a["shift"] + a["scale"] * a["X"]) ** p


def _hard_sigmoid(options: Any, a: Any) -> Any:
    import torch.nn.functional as F

    return F.relu6(a["X"] + 3) / 6  # hardsigmoid's own gradient is a float32 1/6 in float64, too


def _neuron(options: Any, a: Any) -> Any:
    import torch

    names = {"x": a["X"], "theta": a.get("theta")}
    return eval(
        options["f"], {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "sin": torch.sin}, names
    )


def _normalised(name: str) -> Any:
    return lambda o, a: getattr(a["X"], name)(dim=o["axis"])


REFERENCES = {
    "relu": Reference("dX[i,j] = dY[i,j]*[X[i,j] > 0]", functional("relu"), at=[({}, FAR)]),
    "leaky_relu": Reference(
        "dX[i,j] = where(X[i,j] > 0, dY[i,j], 0.01*dY[i,j])",
        functional("leaky_relu"),
        at=[({}, FAR)],
        refused=[({"negative_slope": "0.1"}, "a number"), ({"slope": 0.1}, "no option slope")],
    ),
    "prelu": Reference(
        """
        dX[i,j] = where(X[i,j] > 0, dY[i,j], a[]*dY[i,j])
        da[] = sum(i,j) dY[i,j]*X[i,j]*[not X[i,j] > 0]
        """,
        _prelu,
        at=[({}, SLOPE)],
        refused=[
            ({"num_parameters": 0}, "a whole number >= 1"),
            ({"num_parameters": 3, "axis": 2}, "from -2 to 1"),
        ],
    ),
    "elu": Reference(
        "dX[i,j] = where(X[i,j] > 0, dY[i,j], (Z[i,j] + 1)*dY[i,j])",
        functional("elu"),
        at=[({}, FAR)],
    ),
    "selu": Reference(
        """
        dX[i,j] = where(X[i,j] > 0, 1.0507009873554805*dY[i,j],
                        1.7580993408473766*(Z[i,j] + 1)*dY[i,j])
        """,
        functional("selu"),
        at=[({}, FAR)],
    ),
    "sigmoid": Reference(
        "dX[i,j] = dY[i,j]*Y[i,j]*(1 - Y[i,j])", functional("sigmoid"), at=[({}, FAR)]
    ),
    "tanh": Reference("dX[i,j] = dY[i,j]*(1 - Y[i,j]**2)", functional("tanh"), at=[({}, FAR)]),
    "absolute": Reference(
        "dX[i,j] = dY[i,j]*sign(X[i,j])", lambda o, a: a["X"].abs(), at=[({}, FAR)]
    ),
    "power": Reference(
        """
        b[i,j] = shift[] + scale[]*X[i,j]
        g[i,j] = p[]*dY[i,j]*b[i,j]**(p[] - 1)
        dX[i,j] = scale[]*g[i,j]
        dscale[] = sum(i,j) g[i,j]*X[i,j]
        dshift[] = sum(i,j) g[i,j]
        dp[] = sum(i,j) dY[i,j]*Y[i,j]*log(b[i,j])
        """,
        _power,
        at=[({"p": 2}, BASE), ({"p": 0}, BASE), ({"p": 1}, BASE)],
    ),
    "softplus": Reference(
        "dX[i,j] = dY[i,j]*sigmoid(X[i,j])",
        lambda o, a: functional("softplus")({**o, "threshold": 40}, a),
        at=[({}, FAR), ({"beta": 2.5}, FAR)],
        refused=[({"beta": 0}, "> 0"), ({"beta": float("nan")}, "> 0")],
    ),
    "silu": Reference(
        "dX[i,j] = dY[i,j]*(s[i,j] + Y[i,j]*(1 - s[i,j]))", functional("silu"), at=[({}, FAR)]
    ),
    "gelu": Reference(
        "dX[i,j] = dY[i,j]*(Phi[i,j] + 0.3989422804014327*X[i,j]*exp(-X[i,j]**2/2))",
        functional("gelu"),
        at=[({"approximate": how}, FAR) for how in GELU],
        refused=[({"approximate": "erf"}, "one of none, tanh")],
    ),
    "hard_sigmoid": Reference(
        "dX[i,j] = dY[i,j]/6*[X[i,j] > -3]*[X[i,j] < 3]",
        _hard_sigmoid,
        at=[({}, FAR)],
    ),
    "hard_swish": Reference(
        "dX[i,j] = dY[i,j]*(h[i,j] + X[i,j]/6*[X[i,j] > -3]*[X[i,j] < 3])",
        functional("hardswish"),
        allowed=1.2,
        why=READS,
        at=[({}, FAR)],
    ),
    "mish": Reference(
        "dX[i,j] = dY[i,j]*(T[i,j] + X[i,j]*(1 - T[i,j]**2)*sigmoid(X[i,j]))",
        functional("mish"),
        at=[({}, FAR)],
    ),
    "softmax": Reference(
        """
        d[i] = sum(j) Y[i,j]*dY[i,j]
        dX[i,j] = Y[i,j]*(dY[i,j] - d[i])
        """,
        _normalised("softmax"),
        at=[({}, LOGITS), ({"axis": 0}, LOGITS)],
        refused=[({"axis": 2}, "from -2 to 1"), ({"axis": 1.0}, "a whole number")],
    ),
    "log_softmax": Reference(
        "dX[i,j] = dY[i,j] - exp(Y[i,j])*sum(k) dY[i,k]",
        _normalised("log_softmax"),
        at=[({}, LOGITS), ({"axis": 0}, LOGITS)],
    ),
    "neuron": Reference(
        """
        T[i,j] = tanh(theta[1]*X[i,j] + theta[2])
        g[i,j] = dY[i,j]*theta[0]*(1 - T[i,j]**2)
        dX[i,j] = theta[1]*g[i,j]
        t0[] = sum(i,j) dY[i,j]*T[i,j]
        t1[] = sum(i,j) g[i,j]*X[i,j]
        t2[] = sum(i,j) g[i,j]
        dtheta[k:3] = where(k = 0, t0[], where(k = 1, t1[], t2[]))
        """,
        _neuron,
        refused=[
            ({"f": "theta[0]"}, "what becomes of x"),
            ({"parameters": -1}, ">= 0"),
        ],
    ),
}
