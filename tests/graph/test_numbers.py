"""Numbers on the graph: values and gradients, compared with what knows nothing of gates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import pullback
from pullback.calculus.reverse import reverse
from pullback.cli import main
from pullback.derivation import Derivation
from pullback.errors import ArgumentError, PositionError, ShapeError
from pullback.graph import evaluate
from pullback.graph.numbers import Numbers
from pullback.ir.interpret import FLOAT, Array, run
from pullback.ir.program import Program
from pullback.notation.parse import parse
from pullback.text import width
from pullback.verify.samples import draw_inputs, draw_sizes
from tests.properties.random_programs import programs
from tests.recurrences import PROGRAMS

NEURON = "f[] = sigmoid(w0[]*x0[] + w1[]*x1[] + w2[])"
AT = {"w0": 2, "x0": -1, "w1": -3, "x1": -2, "w2": -3}
BACKWARD = {"w0": -0.20, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.20}


def slopes(shown: Numbers) -> dict[str, float]:
    return {name: round(float(value), 2) for name, value in shown.gradients.items()}


# The circuit of the notes


def test_the_sigmoid_circuit_has_the_numbers_of_the_notes() -> None:
    shown = pullback.derive(NEURON).at(**AT)
    assert round(float(shown.values["f"]), 2) == 0.73
    assert slopes(shown) == BACKWARD | {"p1": 0.2, "p2": 0.2, "s1": 0.2, "s2": 0.2, "f": 1.0}


def test_a_sigmoid_gives_the_same_opened_into_its_gates() -> None:
    shown = pullback.derive(NEURON).at(**AT)
    opened = shown.expanded("sigmoid")
    assert [node.kind for node in opened.nodes if not node.is_input] == [
        "multiply", "multiply", "add", "add", "negate", "exp", "add", "reciprocal",
    ]  # fmt: skip
    assert {name: slopes(opened)[name] for name in BACKWARD} == BACKWARD
    for name in BACKWARD:
        assert opened.gradients[name] == pytest.approx(shown.gradients[name], rel=1e-14)
    assert pullback.derive(NEURON).at(AT, expand=True).values.keys() == opened.values.keys()


def test_the_text_says_what_gates_do() -> None:
    text = str(pullback.derive(NEURON).at(**AT))
    for line in (
        "w₁·x₁    p₂ =   6.00",
        "1.00 × f·(1 − f) =  0.20 = ds₂  0.20",
        "0.20 × w₁ = -3.00        = dx₁ -0.59",
        "a multiply gate swaps",
        "an add gate distributes",
        "✓ dw₀, dx₀, dw₁, dx₁, dw₂ are what the derivation's own formulas give",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("formula", "given", "upstream", "wanted"),
    [
        ("f = x[]*y[]", {"x": 3, "y": 5}, 2, {"x": 10, "y": 6}),  # 2 -> 2y and 2x
        ("f = x[] + y[]", {"x": 3, "y": 5}, 2, {"x": 2, "y": 2}),
        ("f = x[] - y[]", {"x": 3, "y": 5}, 2, {"x": 2, "y": -2}),
        ("f = maximum(x[], y[])", {"x": 4, "y": -1}, 2, {"x": 2, "y": 0}),
        ("f = x[]*y[] + x[]", {"x": 3, "y": 5}, 1, {"x": 6, "y": 3}),
        ("f = x[]*x[]", {"x": 3}, 1, {"x": 6}),
    ],
)
def test_gates_do_what_their_names_say(
    formula: str, given: dict[str, Any], upstream: float, wanted: dict[str, float]
) -> None:
    shown = pullback.derive(formula).at(given, upstream=upstream)
    assert {name: float(shown.gradients[name]) for name in wanted} == wanted
    assert "-0.00" not in str(shown)


# Any program: the gradients along the edges add up to those by other ways


def at_random(program: Program, seed: int) -> Numbers:
    """The graph of a program at random numbers."""
    random = Random(seed)
    derivation = Derivation(reverse(program))
    inputs = (*program.inputs, *derivation.backward.cotangents)
    sizes = draw_sizes(program.statements, inputs, random, 1)
    if not sizes:
        reject()
    drawn = draw_inputs(inputs, program.statements, sizes[0], random, FLOAT, "signed")
    arrays = {name: np.array(a.flat).reshape(a.shape) for name, a in drawn.items()}
    given = {t.name: arrays[t.name] for t in program.inputs}
    upstream = {c.name: arrays[c.name] for c in derivation.backward.cotangents}
    untold = {name: sizes[0].get(name, 2) for name in program.sizes}
    return derivation.at(given | untold, upstream=upstream)


def raw_gradients(shown: Numbers) -> dict[str, Any]:
    """The gradients from the statements that nothing has simplified, by the interpreter."""
    backward = shown.derivation.backward
    statements = (*backward.forward.statements, *backward.values, *backward.adjoints)
    inputs = (*backward.program.inputs, *backward.cotangents)
    known = {**shown.given, **shown.upstream}
    found = run(Program(inputs, statements, backward.gradients), known, sizes=shown.sizes)
    pairs = zip(backward.wrt, backward.gradients, strict=True)
    return {t.name: _plain(found[g.name]) for t, g in pairs}


def _plain(array: Array) -> Any:
    return np.array(array.flat, dtype=float).reshape(array.shape)


def check_sums(shown: Numbers) -> None:
    """What comes along the edges adds up, at every value."""
    for node in shown.nodes:
        if node.gradient is None:
            continue
        total = sum(node.parts.values()) if node.parts else node.gradient
        np.testing.assert_allclose(total, node.gradient, rtol=1e-12, atol=1e-12)
    for name, wanted in raw_gradients(shown).items():
        scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
        np.testing.assert_allclose(shown.gradients[name], wanted, rtol=1e-8, atol=1e-9 * scale)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(programs(kinks=False), st.integers(0, 99))
def test_random_programs(program: Program, seed: int) -> None:
    shown = at_random(program, seed)
    check_sums(shown)
    assert all(check.holds for check in shown.checks), shown.checks
    assert str(shown)
    assert shown.svg()


@settings(max_examples=6, deadline=None, derandomize=True)
@given(programs(), st.integers(0, 99))
def test_random_programs_with_kinks(program: Program, seed: int) -> None:
    shown = at_random(program, seed)
    if all(check.holds for check in shown.checks):
        check_sums(shown)
    assert shown.html().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("name", ["rnn", "named sum"])
def test_a_recurrence_is_one_gate(name: str) -> None:
    derivation = pullback.derive(PROGRAMS[name])
    shown = at_random(derivation.backward.program, 1)
    assert any(node.kind == "recurrence" for node in shown.nodes)
    assert all(check.holds for check in shown.checks), shown.checks
    assert shown.html()


def _solved(A: Any, b: Any) -> Any:
    return (np.linalg.solve(A @ A.T + np.eye(len(b)), b) ** 2).sum()


def _gathered(X: Any, W: Any, i: Any) -> Any:
    return np.log1p(np.exp(X @ W))[i].sum() + X.max(axis=1).sum() + np.pad(X, 1).mean()


def _attention(Q: Any, K: Any, V: Any) -> Any:
    S = Q @ K.T / np.sqrt(Q.shape[1])
    P = np.exp(S - S.max(axis=1, keepdims=True))
    return ((P / P.sum(axis=1, keepdims=True)) @ V).sum()


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (_solved, {"A": (3, 3), "b": (3,)}),
        (_attention, {"Q": (3, 4), "K": (5, 4), "V": (5, 2)}),
        (_gathered, {"X": (4, 3), "W": (3, 2), "i": (5,)}),
    ],
)
def test_numpy_functions(function: Callable[..., Any], shapes: dict[str, tuple[int, ...]]) -> None:
    random = np.random.default_rng(0)
    given = {
        name: random.integers(0, 3, shape) if name == "i" else random.normal(size=shape)
        for name, shape in shapes.items()
    }
    shown = pullback.derive(function, **given).at(given)
    assert all(check.holds for check in shown.checks), shown.checks
    floats = {name: value for name, value in given.items() if name != "i"}
    for name, value in floats.items():
        step = 1e-6 * random.normal(size=value.shape)
        above, below = (function(**{**given, name: value + s * step}) for s in (1, -1))
        found = float(np.sum(shown.gradients[name] * step))
        assert found == pytest.approx((above - below) / 2, rel=1e-5, abs=1e-11)


def test_large_graphs_are_evaluated_by_generated_source(monkeypatch: pytest.MonkeyPatch) -> None:
    derivation = pullback.derive(_attention, Q="N D", K="M D", V="M E")
    random = np.random.default_rng(1)
    given = {"Q": random.normal(size=(3, 4)), "K": random.normal(size=(5, 4))}
    given["V"] = random.normal(size=(5, 2))
    small = derivation.at(given)
    monkeypatch.setattr(evaluate, "MOST_POINTS", 0)
    large = derivation.at(given)
    for name, value in small.gradients.items():
        np.testing.assert_allclose(large.gradients[name], value, rtol=1e-10, atol=1e-12)
    monkeypatch.undo()
    wide = derivation.at(Q=np.ones((40, 64)), K=np.ones((50, 64)), V=np.ones((50, 8)))
    assert "40×64" in str(wide)


# At a kink the derivation may see more than a gate does; then the graph says so


def test_a_difference_from_the_derivation_is_said() -> None:
    shown = pullback.derive("f = relu(x[]) - relu(-x[])").at(x=0)
    for check in shown.checks:
        if not check.holds:
            assert "✗ dx differs" in str(shown)
            assert "✗" in shown.html()
    wrong = Numbers(shown.derivation, {"x": 1})
    wrong._found["dx"] = np.asarray(5.0)
    assert not wrong.checks[0].holds
    assert "✗ dx differs from the derivation's own formula by 4" in str(wrong)
    assert "✗" in wrong.html()


# Layers that repeat


def _deep(x: Any, Ws: Any) -> Any:
    for W in Ws:
        x = np.tanh(x @ W)
    return (x**2).sum()


def test_repeated_layers_fold() -> None:
    random = np.random.default_rng(0)
    given = {"x": random.normal(size=(2, 3)), "Ws": [random.normal(size=(3, 3)) for _ in range(9)]}
    derivation = pullback.derive(_deep, **given)
    leaves = {f"Ws_{k}": W for k, W in enumerate(given["Ws"])}
    shown = derivation.at(leaves, x=given["x"])
    (fold,) = shown.folds
    assert (fold.period, fold.count) == (2, 9)
    assert "⋮ 7 more like the one above (2 gates each)" in str(shown)
    assert "9 equal layers" in shown.svg()
    assert "9 equal layers" not in shown.svg(fold=False)
    assert not pullback.derive(NEURON).at(**AT).folds


# What is given


@pytest.mark.parametrize(
    ("given", "options", "error", "words"),
    [
        ({"w0": 2}, {}, ArgumentError, "no numbers for x0, w1, x1, w2"),
        ({**AT, "w4": 1}, {}, ArgumentError, "did you mean w0"),
        ({**AT, "w0": "two"}, {}, ArgumentError, "w0 is no array of numbers"),
        ({**AT, "w0": [1, 2]}, {}, ShapeError, "w0 has the wrong number of axes"),
        (AT, {"upstream": [1, 2]}, ShapeError, "another shape than f"),
        (AT, {"upstream": {"g": 1}}, ArgumentError, "no output g"),
        (AT, {"expand": "tanh"}, ArgumentError, "tanh can't be opened"),
        ([1], {}, ArgumentError, "numbers are given by name"),
    ],
)
def test_what_can_not_be_used_is_refused(
    given: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        pullback.derive(NEURON).at(given, **options)


def test_an_upstream_gradient_is_asked_for_where_there_is_no_single_number() -> None:
    derivation = pullback.derive("Y[n,m] = sum(d) X[n,d]*W[d,m]")
    given = {"X": [[1, 2]], "W": [[3], [4]]}
    with pytest.raises(ArgumentError, match="which gradient arrives there"):
        derivation.at(given)
    shown = derivation.at(given, upstream=[[2]])
    assert shown.gradients["X"].tolist() == [[6, 8]]
    assert shown.gradients["W"].tolist() == [[2], [4]]


def test_a_size_that_no_input_tells_is_given_by_name() -> None:
    derivation = pullback.derive("Y[i:N] = x[]*i")
    with pytest.raises(ArgumentError, match="no input tells the size N"):
        derivation.at(x=2, upstream=[1, 1, 1])
    shown = derivation.at(x=2, N=3, upstream=[1, 1, 1])
    assert shown.values["Y"].tolist() == [0, 2, 4]
    assert float(shown.gradients["x"]) == 3


def test_a_function_that_branches_on_a_size_is_refused_at_others() -> None:
    def branching(X: Any) -> Any:
        return X.sum() if X.shape[0] < 50 else (X**2).sum()

    derivation = pullback.derive(branching, X="N D")
    with pytest.raises(ShapeError):
        derivation.at(X=np.ones((60, 2)))


# The command


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = "w0=2,x0=-1,w1=-3,x1=-2,w2=-3"
    assert main(["derive", NEURON, "--at", numbers]) == 0
    assert "0.20 × w₁ = -3.00        = dx₁ -0.59" in capsys.readouterr().out
    assert main(["derive", NEURON, "--at", numbers, "--expand", "sigmoid", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agrees"] and round(found["gradients"]["w1"], 2) == -0.39
    assert "e1" in found["values"]
    for name, start in (("neuron.html", "<!DOCTYPE html>"), ("neuron.svg", "<svg")):
        assert main(["derive", NEURON, "--at", numbers, "--out", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    product = ["derive", "y[n,m] = sum(d) x[n,d]*w[d,m]", "--at", "x=[[1,2]],w=[[3],[4]]"]
    assert main([*product, "--upstream", "[[2]]"]) == 0
    assert "[6 8]" in capsys.readouterr().out
    for wrong in (
        product,  # no upstream gradient
        [*product, "--upstream", "[[2"],
        ["derive", NEURON, "--at", "w0"],
        ["derive", NEURON, "--at", numbers, "--format", "latex"],
        ["derive", NEURON, "--at", numbers, "--expand", "tanh"],
    ):
        assert main(wrong) == 2


def test_generated_source_gets_the_sizes_that_no_input_tells() -> None:
    program = parse("size N\ny[n:N] = log(a[])/(n + 1)")
    runner = evaluate.Runner({"a": np.array(2.0)}, {"N": 3})
    runner.compiled(program.statements)
    np.testing.assert_allclose(runner.values["y"], np.log(2) / np.array([1, 2, 3]))


def test_columns_are_counted_as_a_terminal_shows_them() -> None:
    shown = pullback.derive("x_hat = 2*x[]; y = x_hat*x_hat*w[]").at(x=3, w=2)
    starts = ("backward", "y   multiply", "p₁  square", "x̂   scale")
    found = [line.partition(start) for start in starts for line in str(shown).splitlines()]
    columns = [width(before) for before, start, _ in found if start]
    assert len(columns) == len(starts) - 2 and len(set(columns)) == 1
    assert "backward  upstream" in str(pullback.derive("y = abs(x[])").at(x=1))


def test_what_the_gradient_reads_besides_is_shown() -> None:
    shown = pullback.derive("m = max(c) s[c]").at(s=[1, 2, 3])
    assert "  arg_m_c = argmax_c s[c] = 2   read by the gradient" in str(shown)
    (node,) = [node for node in shown.nodes if node.beside]
    assert node.kind == "max" and [int(v) for v in node.beside.values()] == [2]


def test_a_factor_of_one_is_no_scale() -> None:
    shown = pullback.derive(lambda x: 1 / (1 + x), x="").at(x=1)
    assert "a copy passes the gradient on" in str(shown) and "scale gate" not in str(shown)


def test_a_position_outside_the_axis_is_refused() -> None:
    pick = pullback.derive("L[] = -mean(n) log(P[n, y[n]])")
    with pytest.raises(PositionError, match="y points outside the axis"):
        pick.at(P=[[0.5, 0.5]], y=[2])


def test_a_picture_that_is_no_drawing_is_refused(tmp_path: Path) -> None:
    shown = pullback.derive("y = x[]**2").at(x=1)
    with pytest.raises(ArgumentError, match="not written as"):
        shown.save(tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("text", "given", "kinks"),
    [
        ("y[i] = relu(x[i])", {"x": [1, 0, 3, -1, 0]}, {"y": 2}),
        ("y[i] = relu(x[i])", {"x": [1, 2]}, {}),
        ("y[i,j] = max(x[i,j], b[j])", {"x": [[1, 2], [3, 4]], "b": [3, 4]}, {"y": 2}),
        ("y = abs(x[])", {"x": 0}, {"y": 1}),
        ("y = clip(x[], 0, 1)", {"x": 1}, {"y": 1}),
        ("y[n] = max(c) x[n,c]", {"x": [[1, 2, 2], [3, 1, 2]]}, {"y": 1}),
        ("y = min(n,c) x[n,c]", {"x": [[1, 2, 2], [3, 1, 2]]}, {"y": 1}),
        ("y = x[]**2", {"x": 0}, {}),
    ],
)
def test_kinks_are_told(text: str, given: dict[str, Any], kinks: dict[str, int]) -> None:
    made = pullback.derive(text)
    arrays = [np.asarray(value, float) for value in given.values()]
    upstream = np.ones(np.shape(made.compile()[0](*arrays)[0]))
    shown = made.at(given, upstream=upstream)
    assert shown.kinks == kinks
    assert ("is at a kink" in str(shown)) == bool(kinks)


def test_kinks_of_a_value_whose_name_is_taken() -> None:
    assert pullback.derive("y = abs(equal[])").at(equal=0).kinks == {"y": 1}
    steps = pullback.derive("X[N]; h[n] = max(h[n-1]*[n > 0], X[n])")
    assert steps.at(X=[0.0, 1.0], upstream=[1.0, 1.0]).kinks == {}
