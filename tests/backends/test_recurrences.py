"""Loops that recurrences become: their values, their text, and PyTorch's for the same networks."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.backends.numpy import spell_pair
from pullback.calculus.pushforward import pushforward
from pullback.calculus.reverse import reverse
from pullback.errors import ArgumentError
from pullback.notation.parse import parse
from pullback.runtime.load import load_module
from tests.backends.agreement import check_backward, check_forward, values_for
from tests.recurrences import GRU, LSTM, PROGRAMS, RNN

SIZES = {"N": 2, "D": 3, "J": 4, "K": 3, "O": 2}


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_loops_compute_what_the_statements_say(name: str, steps: int) -> None:
    program = parse(PROGRAMS[name])
    names = {n for t in program.inputs for size in t.shape for n in size.names()} | {"T"}
    sizes = {n: steps if n == "T" else SIZES.get(n, 3) for n in names}
    check_forward(program, sizes, below=3)
    check_backward(program, sizes, below=3)
    check_forward(pushforward(program), sizes, below=3)


@pytest.mark.parametrize("text", [RNN, LSTM, GRU], ids=["rnn", "lstm", "gru"])
def test_single_precision_stays(text: str) -> None:
    program = parse(text)
    module = load_module(spell_pair(reverse(program)))
    values = values_for(program.inputs, {**SIZES, "T": 3})
    given = [values[t.name].astype(np.float32) for t in program.inputs]
    H, cache = module.forward(*given)
    gradients = module.backward(np.ones_like(H), cache)
    assert {array.dtype for array in (H, *gradients)} == {np.dtype(np.float32)}


def test_the_source_is_the_loop_that_one_would_write() -> None:
    source = spell_pair(reverse(parse(RNN)), comments=False)
    assert [line.strip() for line in source.splitlines() if line.startswith("    ")] == [
        "T, N, _ = X.shape",
        "J = UH.shape[1]",
        "t1 = X @ UH",
        "t2 = np.empty((T, N, J), dtype=X.dtype)",
        "H = np.empty((T, N, J), dtype=X.dtype)",
        "H_prev = h",
        "for t in range(T):",
        "t2[t] = H_prev",
        "H[t] = np.tanh(t1[t] + H_prev @ WH + bH)",
        "H_prev = H[t]",
        "return H, (X, UH, WH, t2, H)",
        "X, UH, WH, t2, H = cache",
        "T, N, J = dH.shape",
        "dt4 = np.empty((T, N, J), dtype=dH.dtype)",
        "dt2_next = np.zeros((N, J), dtype=dH.dtype)",
        "for t in reversed(range(T)):",
        "dH2 = dH[t] + dt2_next",
        "dt4[t] = dH2 * (1 - H[t] ** 2)",
        "dt2 = dt4[t] @ WH.T",
        "dt2_next = dt2",
        "dh = dt2_next.copy()",
        "dWH = np.tensordot(t2, dt4, axes=((0, 1), (0, 1)))",
        "dbH = dt4.sum(axis=(0, 1))",
        "dX = dt4 @ UH.T",
        "dUH = np.tensordot(X, dt4, axes=((0, 1), (0, 1)))",
        "return dX, dUH, dh, dWH, dbH",
    ]


def test_the_length_of_the_source_has_nothing_to_do_with_the_number_of_steps() -> None:
    def source(steps: int) -> str:
        return spell_pair(reverse(parse(LSTM, {"X": (steps, 2, 3)})))

    assert re.sub("100000", "7", source(100_000)) == source(7)


@pytest.mark.parametrize("text", [RNN, LSTM, GRU], ids=["rnn", "lstm", "gru"])
def test_products_with_the_input_stay_outside_of_the_loop(text: str) -> None:
    source = spell_pair(reverse(parse(text)), comments=False)
    loops = [line for line in source.splitlines() if line.startswith("        ")]
    assert loops and not any("X[" in line or "tensordot" in line for line in loops)


def test_an_infinite_weight_is_not_multiplied_by_the_state_before_the_first_step() -> None:
    module = load_module(spell_pair(reverse(parse("S[t] = X[t] + w[]*pad(S,0)[t-1]"))))
    with np.errstate(invalid="ignore"):
        S, _ = module.forward(np.ones(2), np.array(np.inf))
    assert S[0] == 1 and S[1] == np.inf


def test_the_flat_style_is_refused() -> None:
    with pytest.raises(ArgumentError, match="a recurrence"):
        pullback.derive(RNN).source(style="flat")


def test_a_recurrence_inside_a_traced_function() -> None:
    network = pullback.define(RNN)
    values = values_for(parse(RNN).inputs, {**SIZES, "T": 3})
    given = tuple(values.values())

    def loss(*arrays: Any) -> Any:
        return (network(*arrays) ** 2).sum()

    assert pullback.check_grads(loss, given)
    grads = pullback.grad(loss, argnums=tuple(range(len(given))))(*given)
    H, back = pullback.vjp(network, *given)
    assert all(np.allclose(a, b) for a, b in zip(grads, back(2 * H), strict=True))


def _torch_gradients(kind: str, values: dict[str, np.ndarray], gates: str) -> dict[str, Any]:
    """PyTorch's output and gradients of Σ H², by our names."""
    torch = pytest.importorskip("torch")
    D = values["X"].shape[-1]
    J = values["h"].shape[1]
    network = getattr(torch.nn, kind)(D, J).double()
    layer = {name: [values[f"{name}{g}"] for g in gates] for name in "UW"}
    zeros = np.zeros(J)
    into = [values.get(f"b{g}", values.get("bu", zeros)) for g in gates]
    over = [values["bw"] if (kind, g) == ("GRU", gates[-1]) else zeros for g in gates]
    with torch.no_grad():
        for name, arrays in {
            "weight_ih_l0": [u.T for u in layer["U"]], "weight_hh_l0": [w.T for w in layer["W"]],
            "bias_ih_l0": into, "bias_hh_l0": over,
        }.items():  # fmt: skip
            getattr(network, name).copy_(torch.from_numpy(np.concatenate(arrays)))
    X = torch.from_numpy(values["X"]).requires_grad_()
    states = [
        torch.from_numpy(values[name])[None].requires_grad_() for name in "hc" if name in values
    ]
    H, _ = network(X, tuple(states) if kind == "LSTM" else states[0])
    (H**2).sum().backward()
    found = {"H": H.detach().numpy(), "X": X.grad.numpy()}
    found |= {name: s.grad.numpy()[0] for name, s in zip("hc", states, strict=False)}
    for k, g in enumerate(gates):
        rows = slice(k * J, (k + 1) * J)
        found[f"U{g}"] = network.weight_ih_l0.grad.numpy()[rows].T
        found[f"W{g}"] = network.weight_hh_l0.grad.numpy()[rows].T
        found[f"b{g}"] = network.bias_ih_l0.grad.numpy()[rows]
        if (kind, g) == ("GRU", gates[-1]):
            found["bu"], found["bw"] = found.pop(f"b{g}"), network.bias_hh_l0.grad.numpy()[rows]
    return found


@pytest.mark.parametrize("steps", [1, 6])
@pytest.mark.parametrize(
    ("kind", "text", "gates"), [("RNN", RNN, "H"), ("LSTM", LSTM, "IFGO"), ("GRU", GRU, "RZV")]
)
def test_networks_are_those_of_pytorch(kind: str, text: str, gates: str, steps: int) -> None:
    program = parse(text)
    values = values_for(program.inputs, {**SIZES, "T": steps})
    if kind == "GRU":  # its weights of the new state have a small letter
        values |= {"UV": values["Uv"], "WV": values["Wv"]}
    theirs = _torch_gradients(kind, values, gates)
    if kind == "GRU":
        theirs |= {"Uv": theirs.pop("UV"), "Wv": theirs.pop("WV")}
    module = load_module(spell_pair(reverse(program)))
    H, cache = module.forward(*(values[t.name] for t in program.inputs))
    assert np.allclose(H, theirs["H"], rtol=1e-12, atol=1e-12)
    gradients = module.backward(2 * H, cache)
    for tensor, gradient in zip(program.inputs, gradients, strict=True):
        assert np.allclose(gradient, theirs[tensor.name], rtol=1e-10, atol=1e-12), tensor.name


def test_a_roll_by_the_step_is_done_in_the_loop() -> None:
    def function(x: Any, y: Any) -> Any:
        return np.cumprod(np.outer(x, np.tile(y, 2)), axis=1)

    x, y = np.array([0.5, 1.5, -0.7]), np.array([1.2, -0.4])
    value, pull = pullback.vjp(function, x, y)
    seed = np.random.default_rng(0).normal(size=value.shape)
    gradients = pull(seed)
    for k in range(2):
        away = 1e-6 * np.eye(len((x, y)[k]))
        moved = [
            [function(*((x + s * d, y) if k == 0 else (x, y + s * d))) for s in (1, -1)]
            for d in away
        ]
        wanted = [np.sum(seed * (up - down)) / 2e-6 for up, down in moved]
        np.testing.assert_allclose(gradients[k], wanted, rtol=1e-6, atol=1e-8)
