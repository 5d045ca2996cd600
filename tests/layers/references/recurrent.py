"""Recurrent networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.layers.checks import Reference


def network(kind: str, gates: str) -> Any:
    """A layer of torch.nn, called with our weights."""

    def call(options: Mapping[str, Any], a: Any) -> Any:
        import torch

        kept = {"nonlinearity": options["nonlinearity"]} if kind == "RNN" else {}
        D, J = a[f"U{gates[0]}".strip()].shape
        made = getattr(torch.nn, kind)(D, J, bias=options["bias"], **kept).double()
        weights = {
            "weight_ih_l0": torch.cat([a[f"U{g}".strip()].T for g in gates]),
            "weight_hh_l0": torch.cat([a[f"W{g}".strip()].T for g in gates]),
        }
        if options["bias"]:
            zeros = torch.zeros(J, dtype=torch.float64)
            weights["bias_ih_l0"] = torch.cat([a[f"b{g}".strip()] for g in gates])
            last = a.get("a", zeros)
            weights["bias_hh_l0"] = torch.cat([zeros] * (len(gates) - 1) + [last])
        state = (a["h"][None], a["c"][None]) if kind == "LSTM" else a["h"][None]
        X = a["X"].flip(0) if options["reverse"] else a["X"]
        H, _ = torch.func.functional_call(made, weights, (X, state))
        return H.flip(0) if options["reverse"] else H

    return call


def outside(*gates: str) -> str:
    """What a gate's gradient dA gives outside of the loop."""
    return "\n".join(
        f"dU{g}[d,j] = sum(t,n) X[t,n,d]*d{name}[t,n,j]\n"
        f"dW{g}[k,j] = sum(t,n) P[t,n,k]*d{name}[t,n,j]\n"
        f"db{g}[j] = sum(t,n) d{name}[t,n,j]"
        for g, name in ((g, f"A{g}") for g in gates)
    )


def into(weight: str, *gates: str, left: str) -> str:
    """The sum over gates of what flows back through their weights."""
    return " + ".join(f"(sum(j) {weight}{g}[{left},j]*dA{g}[t,n,j])" for g in gates)


REFERENCES = {
    "rnn": Reference(
        f"""
        dS[t,n,j] = dH[t,n,j] + pad(dP,0)[t+1,n,j]
        dA[t,n,j] = dS[t,n,j]*(1 - H[t,n,j]**2)
        dP[t,n,k] = {into("W", "", left="k")}
        dh[n,k] = sum(t if t = 0) dP[t,n,k]
        dX[t,n,d] = {into("U", "", left="d")}
        {outside("")}
        """,
        network("RNN", " "),
        refused=[({"nonlinearity": "sine"}, "tanh"), ({"units": 0}, "whole number >= 1")],
    ),
    "lstm": Reference(
        f"""
        dS[t,n,j] = dH[t,n,j] + pad(dP,0)[t+1,n,j]
        dAO[t,n,j] = dS[t,n,j]*H[t,n,j]*(1 - O[t,n,j])
        dC[t,n,j] = dS[t,n,j]*O[t,n,j]*(1 - Z[t,n,j]**2) + pad(dQ,0)[t+1,n,j]
        dQ[t,n,j] = dC[t,n,j]*F[t,n,j]
        dAI[t,n,j] = dC[t,n,j]*G[t,n,j]*I[t,n,j]*(1 - I[t,n,j])
        dAF[t,n,j] = dQ[t,n,j]*Q[t,n,j]*(1 - F[t,n,j])
        dAG[t,n,j] = dC[t,n,j]*I[t,n,j]*(1 - G[t,n,j]**2)
        dP[t,n,k] = {into("W", *"IFGO", left="k")}
        dh[n,k] = sum(t if t = 0) dP[t,n,k]
        dc[n,k] = sum(t if t = 0) dQ[t,n,k]
        dX[t,n,d] = {into("U", *"IFGO", left="d")}
        {outside(*"IFGO")}
        """,
        network("LSTM", "IFGO"),
    ),
    "gru": Reference(
        f"""
        dS[t,n,j] = dH[t,n,j] + pad(dP,0)[t+1,n,j]
        dAV[t,n,j] = dS[t,n,j]*(1 - Z[t,n,j])*(1 - V[t,n,j]**2)
        dM[t,n,j] = dAV[t,n,j]*R[t,n,j]
        dAR[t,n,j] = dM[t,n,j]*M[t,n,j]*(1 - R[t,n,j])
        dAZ[t,n,j] = dS[t,n,j]*(P[t,n,j] - V[t,n,j])*Z[t,n,j]*(1 - Z[t,n,j])
        dP[t,n,k] = dS[t,n,k]*Z[t,n,k] + {into("W", "R", "Z", left="k")} +
            sum(j) WV[k,j]*dM[t,n,j]
        dh[n,k] = sum(t if t = 0) dP[t,n,k]
        dX[t,n,d] = {into("U", *"RZV", left="d")}
        {outside("R", "Z")}
        dUV[d,j] = sum(t,n) X[t,n,d]*dAV[t,n,j]
        dbV[j] = sum(t,n) dAV[t,n,j]
        dWV[k,j] = sum(t,n) P[t,n,k]*dM[t,n,j]
        da[j] = sum(t,n) dM[t,n,j]
        """,
        network("GRU", "RZV"),
    ),
}
