"""Gates: the nodes of a circuit, as backpropagation is first taught."""

from __future__ import annotations

from .layer import Definition, Example, layer
from .writing import letters, whole

PAIRS = (Example({"X": (), "Z": ()}), Example({"X": (4, 3), "Z": (4, 3)}))


@layer("gates", *PAIRS, title="add gate", rank=0, notes=("hands its gradient to both",))
def add(rank: int) -> Definition:
    """x + z."""
    i = letters(rank)
    return Definition(f"Y[{i}] = X[{i}] + Z[{i}]")


@layer(
    "gates",
    Example({"X": ()}),
    Example({"X": (4, 3)}, {"copies": 3}),
    title="copy gate",
    rank=0,
    notes=("adds up what comes back from all copies",),
)
def copy(rank: int, copies: int = 2) -> Definition:
    """x, several times: what is used in several places."""
    i = letters(rank)
    at = f"c:{whole('copies', copies)}" + f",{i}" * bool(i)
    return Definition(f"Y[{at}] = X[{i}]")


@layer(
    "gates",
    *PAIRS,
    title="multiply gate",
    rank=0,
    notes=("hands each input its gradient times the other input",),
)
def multiply(rank: int) -> Definition:
    """x·z."""
    i = letters(rank)
    return Definition(f"Y[{i}] = X[{i}]*Z[{i}]")


@layer(
    "gates",
    *PAIRS,
    title="max gate",
    rank=0,
    notes=("hands its gradient to the greater input; at a tie each gets one half",),
)
def maximum(rank: int) -> Definition:
    """The greater of x and z."""
    i = letters(rank)
    return Definition(f"Y[{i}] = maximum(X[{i}], Z[{i}])")


@layer(
    "gates",
    Example({"w0": (), "x0": (), "w1": (), "x1": (), "w2": ()}),
    title="sigmoid circuit",
    rank=0,
    notes=("gate by gate in source(style='flat'): f·(1 - f) once, add distributes, products swap",),
)
def sigmoid_circuit(rank: int) -> Definition:
    """sigmoid(w0·x0 + w1·x1 + w2): a neuron of two inputs."""
    return Definition("f[] = sigmoid(w0[]*x0[] + w1[]*x1[] + w2[])")
