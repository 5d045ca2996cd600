"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.layers.checks import Reference


def _called(module: Any, options: Mapping[str, Any], a: Any, suffix: str, *inputs: Any) -> Any:
    """A module of torch.nn with the weights of ``a``."""
    from torch.func import functional_call

    weights = {
        long + suffix: a[short]
        for long, short in {
            "weight_ih": "W_ih",
            "weight_hh": "W_hh",
            "bias_ih": "b_ih",
            "bias_hh": "b_hh",
        }.items()
        if short in a
    }
    nonlinearity = {n: v for n, v in options.items() if n == "nonlinearity"}
    made = module(a["X"].shape[-1], a["W_hh"].shape[-1], bias=options["bias"], **nonlinearity)
    return functional_call(made.double(), weights, inputs)


def cell(name: str) -> Any:
    """A cell of torch.nn."""

    def call(options: Mapping[str, Any], a: Any) -> Any:
        import torch

        state = (a["P"], a["Q"]) if "Q" in a else a["P"]
        return _called(getattr(torch.nn, name), options, a, "", a["X"], state)

    return call


def over_time(name: str) -> Any:
    """A layer of torch.nn."""

    def call(options: Mapping[str, Any], a: Any) -> Any:
        import torch

        states = [a[state][None] for state in ("h0", "c0") if state in a]
        start = tuple(states) if len(states) > 1 else states[0] if states else None
        x = a["X"].flip(0) if options["reverse"] else a["X"]
        found = _called(getattr(torch.nn, name), options, a, "_l0", x, start)[0]
        return found.flip(0) if options["reverse"] else found

    return call


WEIGHTS = """
dX[{r}d] = sum(m) G[{r}m]*W_ih[m,d]
dW_ih[m,d] = sum({n}) G[{r}m]*X[{r}d]
dW_hh[m,k] = sum({n}) G[{r}m]*P[{r}k]
db_ih[m] = sum({n}) G[{r}m]
db_hh[m] = sum({n}) G[{r}m]
"""
STEP, STEPS = WEIGHTS.format(r="n,", n="n"), WEIGHTS.format(r="t,n,", n="t,n")
BACK = "dH[t,n,j] + where(t+1 < T, sum(m) G[t+1,n,m]*W_hh[m,j], 0)"
LSTM_GATES = """
G[{r}m:4*J] = where(m < J, q[{r}m]*g[{r}m]*i[{r}m]*(1 - i[{r}m]),
    where(m < 2*J, q[{r}m-J]*Q[{r}m-J]*f[{r}m-J]*(1 - f[{r}m-J]),
    where(m < 3*J, q[{r}m-2*J]*i[{r}m-2*J]*(1 - g[{r}m-2*J]**2),
    e[{r}m-3*J]*H[{r}m-3*J]*(1 - o[{r}m-3*J]))))
"""
GRU_GATES = """
u[{r}j] = e[{r}j]*(1 - z[{r}j])*(1 - c[{r}j]**2)
v[{r}j] = e[{r}j]*(P[{r}j] - c[{r}j])*z[{r}j]*(1 - z[{r}j])
w[{r}j] = u[{r}j]*B[{r}2*J+j]*r[{r}j]*(1 - r[{r}j])
G[{r}m:3*J] = where(m < J, w[{r}m], where(m < 2*J, v[{r}m-J], u[{r}m-2*J]))
S[{r}m:3*J] = where(m < 2*J, G[{r}m], u[{r}m-2*J]*r[{r}m-2*J])
"""
TWICE = "what the gate z gives to the gradients of A and B is computed for each"
FAR = {
    "X": np.array([[1000.0], [-1000.0], [0.0]]),
    "W_ih": np.array([[1.0], [-1.0], [1.0], [1.0]]),
    "W_hh": np.ones((4, 1)),
    "b_ih": np.zeros(4),
    "b_hh": np.zeros(4),
}
NO_TIME = {**FAR, "X": np.zeros((0, 1))}

REFERENCES = {
    "rnn_cell": Reference(
        "G[n,m] = dH[n,m]*(1 - H[n,m]**2)\ndP[n,k] = sum(m) G[n,m]*W_hh[m,k]" + STEP,
        cell("RNNCell"),
        refused=[
            ({"nonlinearity": "sigmoid"}, "one of tanh, relu"),
            ({"hidden_size": 0}, "whole number >= 1"),
        ],
    ),
    "lstm_cell": Reference(
        """
        e[n,j] = dH[n,j]
        a[n,j] = tanh(C[n,j])
        q[n,j] = dC[n,j] + dH[n,j]*o[n,j]*(1 - a[n,j]**2)
        dQ[n,j] = q[n,j]*f[n,j]
        """
        + LSTM_GATES.format(r="n,")
        + "dP[n,k] = sum(m) G[n,m]*W_hh[m,k]"
        + STEP,
        cell("LSTMCell"),
    ),
    "gru_cell": Reference(
        "e[n,j] = dH[n,j]"
        + GRU_GATES.format(r="n,")
        + "dP[n,k] = e[n,k]*z[n,k] + sum(m) S[n,m]*W_hh[m,k]"
        + STEP.replace("dW_hh[m,k] = sum(n) G", "dW_hh[m,k] = sum(n) S").replace(
            "db_hh[m] = sum(n) G", "db_hh[m] = sum(n) S"
        ),
        cell("GRUCell"),
        allowed=1.04,
        why=TWICE,
    ),
    "rnn": Reference(
        f"""
        e[t,n,j] = {BACK}
        G[t,n,m] = e[t,n,m]*(1 - H[t,n,m]**2)
        """
        + STEPS,
        over_time("RNN"),
        refused=[({"nonlinearity": "sigmoid"}, "one of tanh, relu")],
        refused_at=[({}, {"X": np.ones(3)}, "T×D")],
    ),
    "lstm": Reference(
        f"""
        e[t,n,j] = {BACK}
        a[t,n,j] = tanh(C[t,n,j])
        q[t,n,j] = e[t,n,j]*o[t,n,j]*(1 - a[t,n,j]**2) + where(t+1 < T, q[t+1,n,j]*f[t+1,n,j], 0)
        """
        + LSTM_GATES.format(r="t,n,")
        + STEPS,
        over_time("LSTM"),
        at=[({}, FAR)],
    ),
    "gru": Reference(
        "e[t,n,j] = dH[t,n,j] + where(t+1 < T, "
        "e[t+1,n,j]*z[t+1,n,j] + sum(m) S[t+1,n,m]*W_hh[m,j], 0)"
        + GRU_GATES.format(r="t,n,")
        + STEPS.replace("dW_hh[m,k] = sum(t,n) G", "dW_hh[m,k] = sum(t,n) S").replace(
            "db_hh[m] = sum(t,n) G", "db_hh[m] = sum(t,n) S"
        ),
        over_time("GRU"),
        allowed=1.04,
        why=TWICE,
    ),
}
