"""Recurrent layers: one step of a cell, and the cell at all times."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ArgumentError
from .layer import Definition, Example, layer
from .writing import choice, letters, whole


@dataclass(frozen=True)
class Cell:
    """A step from the state before, P (and Q), and the input X to the state H (and C).

    ``gates`` is how many blocks of rows the weights have. ``{r}`` stands for the leading indices,
    ``{J}`` for the number of hidden values; A is the weighted input, B the weighted state.
    """

    gates: int
    states: tuple[str, ...]
    text: str


NONLINEARITIES = {"tanh": "tanh({})", "relu": "maximum({}, 0)"}
RNN = {
    name: Cell(1, ("H",), f"H[{{r}}j] = {form.format('A[{r}j] + B[{r}j]')}")
    for name, form in NONLINEARITIES.items()
}
LSTM = Cell(
    4,
    ("H", "C"),
    "Z[{r}m] = A[{r}m] + B[{r}m]\n"
    "i[{r}j:{J}] = sigmoid(Z[{r}j])\n"
    "f[{r}j:{J}] = sigmoid(Z[{r}{J}+j])\n"
    "g[{r}j:{J}] = tanh(Z[{r}2*{J}+j])\n"
    "o[{r}j:{J}] = sigmoid(Z[{r}3*{J}+j])\n"
    "C[{r}j] = f[{r}j]*Q[{r}j] + i[{r}j]*g[{r}j]\n"
    "H[{r}j] = o[{r}j]*tanh(C[{r}j])",
)
GRU = Cell(
    3,
    ("H",),
    "r[{r}j:{J}] = sigmoid(A[{r}j] + B[{r}j])\n"
    "z[{r}j:{J}] = sigmoid(A[{r}{J}+j] + B[{r}{J}+j])\n"
    "c[{r}j:{J}] = tanh(A[{r}2*{J}+j] + r[{r}j]*B[{r}2*{J}+j])\n"
    "H[{r}j] = (1 - z[{r}j])*c[{r}j] + z[{r}j]*P[{r}j]",
)
PREVIOUS = {"H": "P", "C": "Q"}


def _definition(
    cell: Cell, rows: str, before: list[str], size: str, bias: bool, returned: str
) -> Definition:
    """A cell's step, after the lines that say what its inputs and the states before are."""
    wide = size if cell.gates == 1 else f"{cell.gates}*{size}"
    parameters = {"W_ih": f"[{wide},D]", "W_hh": f"[{wide},{size}]"}
    if bias:
        parameters |= {"b_ih": f"[{wide}]", "b_hh": f"[{wide}]"}
    b_ih, b_hh = (" + b_ih[m]", " + b_hh[m]") if bias else ("", "")
    r = f"{rows}," if rows else ""
    lines = [
        *(line for line in before if "=" not in line),
        *(name + shape for name, shape in parameters.items()),
        *(line for line in before if "=" in line),
        f"A[{r}m] = sum(d) X[{r}d]*W_ih[m,d]{b_ih}",
        f"B[{r}m] = sum(k) P[{r}k]*W_hh[m,k]{b_hh}",
        cell.text.format(r=r, J=size),
        returned,
    ]
    starts = {name: "zeros" if name.startswith("b") else "lecun" for name in parameters}
    return Definition("\n".join(lines), starts)


def _step(cell: Cell, rank: int, hidden_size: int | None, bias: bool) -> Definition:
    """One step, for one vector or a batch of them."""
    rows, size = letters(rank - 1, of="n"), _size(hidden_size)
    batch = f"{rows.upper()}," if rows else ""
    before = [f"X[{batch}D]", *(f"{PREVIOUS[state]}[{batch}{size}]" for state in cell.states)]
    return _definition(cell, rows, before, size, bias, f"return {', '.join(cell.states)}")


def _over_time(
    cell: Cell,
    rank: int,
    hidden_size: int | None,
    bias: bool,
    initial_state: bool,
    reverse: bool,
) -> Definition:
    """All steps: the state before time t is that of time t - 1, a target that reads itself."""
    if rank not in (2, 3):
        raise ArgumentError("a sequence is T×D, or T×N×D for a batch", found=f"{rank} axes")
    rows, size = letters(rank - 2, of="n"), _size(hidden_size)
    n = f"{rows}," if rows else ""
    there, previous = ("t+1 < T", "t+1") if reverse else ("t >= 1", "t-1")
    before = [f"X[T,{n.upper()}D]"]
    for state in cell.states:
        start = "0"
        if initial_state:
            start = f"{state.lower()}0[{n}j]"
            before += [f"{state.lower()}0[{n.upper()}{size}]"]
        before += [
            f"{PREVIOUS[state]}[t,{n}j:{size}] = where({there}, {state}[{previous},{n}j], {start})"
        ]
    return _definition(cell, f"t,{n}".rstrip(","), before, size, bias, "return H")


def _size(hidden_size: int | None) -> str:
    return "J" if hidden_size is None else str(whole("hidden_size", hidden_size))


_REVERSED = {"bias": False, "initial_state": True, "reverse": True}


def _examples(gates: int, time: bool, *states: str) -> tuple[Example, ...]:
    """A batch, one sequence or vector, and the options that all these layers have."""
    d, j = 3, 2
    weights: dict[str, tuple[int, ...]] = {"W_ih": (gates * j, d), "W_hh": (gates * j, j)}
    biases: dict[str, tuple[int, ...]] = {"b_ih": (gates * j,), "b_hh": (gates * j,)}
    batch = dict.fromkeys(states, (2, j))
    one = dict.fromkeys(states, (j,))
    if not time:
        return (
            Example({"X": (2, d), **batch, **weights, **biases}),
            Example({"X": (d,), **one, **weights, **biases}, {"hidden_size": j}),
            Example({"X": (2, d), **batch, **weights}, {"bias": False}),
        )
    return (
        Example({"X": (4, 2, d), **weights, **biases}),
        Example({"X": (3, d), **weights, **biases}, {"hidden_size": j}),
        Example({"X": (3, 2, d), **batch, **weights}, {"bias": False, "initial_state": True}),
        Example({"X": (1, d), **one, **weights, **biases}, {"initial_state": True}),
        Example({"X": (3, d), **one, **weights}, _REVERSED),
    )


PYTORCH = (
    "weights are outputs × inputs, gates one below the other, and there are two biases: "
    "PyTorch's parameters fit"
)
TIME = (
    "time is the first axis; a batch comes after it, or there is none",
    "the state before the first time is 0; with `initial_state` it is an input",
    "with `reverse` time runs backward; the last state is H at T - 1, or at 0 if reversed",
    "a loop over time, and one back: neither source nor derivation grows with the steps",
    PYTORCH,
)


@layer(
    "recurrent",
    *_examples(1, False, "P"),
    Example(
        {"X": (2, 3), "P": (2, 2), "W_ih": (2, 3), "W_hh": (2, 2), "b_ih": (2,), "b_hh": (2,)},
        {"nonlinearity": "relu"},
    ),
    title="RNN cell",
    notes=(PYTORCH,),
)
def rnn_cell(
    rank: int, hidden_size: int | None = None, bias: bool = True, nonlinearity: str = "tanh"
) -> Definition:
    """tanh(W x + b + U h + c): the next state of input x and state h (Elman, 1990)."""
    return _step(choice("nonlinearity", nonlinearity, RNN), rank, hidden_size, bias)


@layer(
    "recurrent",
    *_examples(4, False, "P", "Q"),
    title="LSTM cell",
    notes=("gates in the order i, f, g, o; the results are H and C", PYTORCH),
)
def lstm_cell(rank: int, hidden_size: int | None = None, bias: bool = True) -> Definition:
    """c = f·c + i·g, h = o·tanh c, with gates i, f, o (Hochreiter, Schmidhuber; Gers et al.)."""
    return _step(LSTM, rank, hidden_size, bias)


@layer(
    "recurrent",
    *_examples(3, False, "P"),
    title="GRU cell",
    notes=("gates in the order r, z, n; r gates the weighted state with its bias", PYTORCH),
)
def gru_cell(rank: int, hidden_size: int | None = None, bias: bool = True) -> Definition:
    """h = (1 - z)·n + z·h, with gates r and z (Cho et al., 2014)."""
    return _step(GRU, rank, hidden_size, bias)


@layer(
    "recurrent",
    *_examples(1, True, "h0"),
    Example(
        {"X": (3, 2, 3), "W_ih": (2, 3), "W_hh": (2, 2), "b_ih": (2,), "b_hh": (2,)},
        {"nonlinearity": "relu"},
    ),
    title="RNN",
    rank=3,
    notes=TIME,
)
def rnn(
    rank: int,
    hidden_size: int | None = None,
    bias: bool = True,
    initial_state: bool = False,
    reverse: bool = False,
    nonlinearity: str = "tanh",
) -> Definition:
    """The RNN cell over time: all states."""
    cell = choice("nonlinearity", nonlinearity, RNN)
    return _over_time(cell, rank, hidden_size, bias, initial_state, reverse)


@layer("recurrent", *_examples(4, True, "h0", "c0"), title="LSTM", rank=3, notes=TIME)
def lstm(
    rank: int,
    hidden_size: int | None = None,
    bias: bool = True,
    initial_state: bool = False,
    reverse: bool = False,
) -> Definition:
    """The LSTM cell over time: the states h of all times."""
    return _over_time(LSTM, rank, hidden_size, bias, initial_state, reverse)


@layer("recurrent", *_examples(3, True, "h0"), title="GRU", rank=3, notes=TIME)
def gru(
    rank: int,
    hidden_size: int | None = None,
    bias: bool = True,
    initial_state: bool = False,
    reverse: bool = False,
) -> Definition:
    """The GRU cell over time: all states."""
    return _over_time(GRU, rank, hidden_size, bias, initial_state, reverse)
