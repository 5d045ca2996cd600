"""Recurrent networks: layers over time, each step of which reads what the one before handed on."""

from __future__ import annotations

from .layer import Definition, Example, layer
from .writing import choice, whole

FIRST = "time is the first axis, the batch the second one; h is the state before the first step"
SIZES = {"X": (4, 2, 3), "h": (2, 5)}
LAST = "Y[n,j] = sum(t if t = T-1) H[t,n,j] gives the last state"


def _weights(*gates: str, bias: bool) -> dict[str, tuple[int, ...]]:
    """Example shapes of gates' weights, for three inputs and five units."""
    shapes: dict[str, tuple[int, ...]] = {}
    for gate in gates:
        shapes |= {f"U{gate}": (3, 5), f"W{gate}": (5, 5)} | ({f"b{gate}": (5,)} if bias else {})
    return shapes


def _head(gates: tuple[str, ...], units: int | None, states: str, reverse: bool) -> str:
    """Declarations, and the states that a step finds."""
    size = "J" if units is None else whole("units", units)
    lines = ["X[T,N,D]"]
    for gate in gates:
        lines += [f"U{gate}[D,{size}]", f"W{gate}[{size},{size}]"]
    lines += [f"{state}[N,{size}]" for state in states]
    for name, state in zip("PQ", states, strict=False):
        held = state.upper()
        there, place = ("t+1 < T", "t+1") if reverse else ("t >= 1", "t-1")
        lines.append(f"{name}[t:T,n,k] = where({there}, {held}[{place},n,k], {state}[n,k])")
    return "\n".join(lines)


def _gate(gate: str, bias: bool) -> str:
    """What a gate is made of."""
    return f"sum(d) X[t,n,d]*U{gate}[d,j] + sum(k) P[t,n,k]*W{gate}[k,j]{f' + b{gate}[j]' * bias}"


def _parameters(gates: tuple[str, ...], bias: bool) -> dict[str, str]:
    kinds = {"U": "scaled", "W": "scaled"} | ({"b": "zeros"} if bias else {})
    return {f"{name}{gate}": how for gate in gates for name, how in kinds.items()}


@layer(
    "recurrent",
    Example(SIZES | _weights("", bias=True)),
    Example(SIZES | _weights("", bias=False), {"bias": False, "nonlinearity": "relu"}),
    Example(SIZES | _weights("", bias=True), {"reverse": True, "units": 5}),
    Example(SIZES | _weights("", bias=True) | {"X": (1, 2, 3)}),
    title="RNN",
    notes=(FIRST, LAST),
)
def rnn(
    rank: int,
    units: int | None = None,
    nonlinearity: str = "tanh",
    bias: bool = True,
    reverse: bool = False,
) -> Definition:
    """tanh(x_t U + h_{t-1} W + b) at every step."""
    function = choice("nonlinearity", nonlinearity, {"tanh": "tanh", "relu": "relu"})
    head = _head(("",), units, "h", reverse)
    text = f"{head}\nH[t,n,j] = {function}({_gate('', bias)})"
    return Definition(text, _parameters(("",), bias))


@layer(
    "recurrent",
    Example(SIZES | {"c": (2, 5)} | _weights(*"IFGO", bias=True)),
    Example(SIZES | {"c": (2, 5)} | _weights(*"IFGO", bias=False), {"bias": False}),
    Example(SIZES | {"c": (2, 5)} | _weights(*"IFGO", bias=True), {"reverse": True}),
    title="LSTM",
    notes=(FIRST, "c is the cell before the first step", LAST),
)
def lstm(
    rank: int, units: int | None = None, bias: bool = True, reverse: bool = False
) -> Definition:
    """A cell that forgets and takes in, seen through an output gate: long short-term memory."""
    lines = [_head(tuple("IFGO"), units, "hc", reverse)]
    for gate, function in zip("IFGO", ("sigmoid", "sigmoid", "tanh", "sigmoid"), strict=True):
        lines.append(f"{gate}[t,n,j] = {function}({_gate(gate, bias)})")
    lines.append("C[t,n,j] = F[t,n,j]*Q[t,n,j] + I[t,n,j]*G[t,n,j]")
    lines.append("Z[t,n,j] = tanh(C[t,n,j])")
    lines.append("H[t,n,j] = O[t,n,j]*Z[t,n,j]")
    return Definition("\n".join(lines), _parameters(tuple("IFGO"), bias))


@layer(
    "recurrent",
    Example(SIZES | _weights(*"RZV", bias=True) | {"a": (5,)}),
    Example(SIZES | _weights(*"RZV", bias=False), {"bias": False}),
    Example(SIZES | _weights(*"RZV", bias=True) | {"a": (5,)}, {"reverse": True}),
    title="GRU",
    notes=(
        FIRST,
        LAST,
        "the reset gate comes after the matrix product, as PyTorch has it; a is the bias there",
    ),
)
def gru(
    rank: int, units: int | None = None, bias: bool = True, reverse: bool = False
) -> Definition:
    """A state that an update gate mixes with a new one: the gated recurrent unit."""
    lines = [_head(tuple("RZV"), units, "h", reverse)]
    lines += [f"{gate}[t,n,j] = sigmoid({_gate(gate, bias)})" for gate in "RZ"]
    lines.append(f"M[t,n,j] = (sum(k) P[t,n,k]*WV[k,j]){' + a[j]' * bias}")
    new = f"(sum(d) X[t,n,d]*UV[d,j]){' + bV[j]' * bias} + R[t,n,j]*M[t,n,j]"
    lines.append(f"V[t,n,j] = tanh({new})")
    lines.append("H[t,n,j] = (1 - Z[t,n,j])*V[t,n,j] + Z[t,n,j]*P[t,n,j]")
    parameters = _parameters(tuple("RZV"), bias) | ({"a": "zeros"} if bias else {})
    return Definition("\n".join(lines), parameters)
