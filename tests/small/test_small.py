"""The small case on paper: its numbers, its symbols, and the step to the general formula."""

from __future__ import annotations

from collections.abc import Callable
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
from pullback.errors import ArgumentError, DerivationError, LimitError, ShapeError
from pullback.ir.expr import ZERO
from pullback.ir.interpret import FLOAT, run
from pullback.ir.program import Program
from pullback.small.case import Small
from pullback.small.entries import entry, places, read
from pullback.verify.samples import draw_inputs, draw_sizes
from tests.properties.random_programs import programs

LINEAR = "y[n,m] = sum(d) x[n,d]*w[d,m]"


# The linear layer of the notes


def test_the_linear_layer_of_the_notes() -> None:
    text = str(pullback.derive(LINEAR).small(N=1, D=2, M=3))
    for line in (
        "x = [x₁₁ x₁₂]     w = [w₁₁ w₁₂ w₁₃]     "
        "y = x w = [x₁₁w₁₁+x₁₂w₂₁ x₁₁w₁₂+x₁₂w₂₂ x₁₁w₁₃+x₁₂w₂₃]",
        "  ∂y/∂x₁₁ = [w₁₁ w₁₂ w₁₃]     dL/dx₁₁ = dL/dy · ∂y/∂x₁₁ = dy₁₁w₁₁ + dy₁₂w₁₂ + dy₁₃w₁₃",
        "  ∂y/∂x₁₂ = [w₂₁ w₂₂ w₂₃]     dL/dx₁₂ = dL/dy · ∂y/∂x₁₂ = dy₁₁w₂₁ + dy₁₂w₂₂ + dy₁₃w₂₃",
        "Side by side each sum is a row of dL/dy times a column of wᵀ:",
        "  dL/dx = [dL/dx₁₁ dL/dx₁₂] = dL/dy wᵀ",
        "In general   dx[n,d] = Σ_m dy[n,m]·w[d,m]     dx = dy wᵀ",
        "  ✓ equals the case above; ✓ the definition at N=2, D=3, M=4; "
        "✓ the definition at N=5, D=7, M=1",
        "  dL/dw = [dy₁₁x₁₁ dy₁₂x₁₁ dy₁₃x₁₁]",
        "          [dy₁₁x₁₂ dy₁₂x₁₂ dy₁₃x₁₂]",
    ):
        assert line in text.splitlines()
    assert "✗" not in text


def test_the_derivative_by_one_element_is_a_row_of_the_other_matrix() -> None:
    case = pullback.derive(LINEAR).small(N=2, D=3, M=4)
    for element in case.elements("x"):
        i, j = element.at
        (part,) = element.parts
        for m in range(4):
            assert part.slopes[1 - i, m] is ZERO
            assert part.slopes[i, m] is read(entry("w", (j, m)))
    assert case.lines("x") == "row i is row j of w, all else is 0"
    assert case.lines("w") == "column j is column i of x, all else is 0"
    assert "So in ∂y/∂xᵢⱼ row i is row j of w, all else is 0." in str(case)


def test_relu_with_numbers() -> None:
    case = pullback.derive("y[i] = relu(x[i])").small(x=[1, -2, 3, -1], upstream=[4, -1, 5, 9])
    text = str(case)
    for row in ("[1 0 0 0]", "[0 0 0 0]", "[0 0 1 0]"):
        assert row in text
    assert "upstream dL/dy = [4 -1 5 9]" in text
    assert "downstream dL/dx = [4 0 5 0]" in text
    assert "-0" not in text
    found = [case.known(element.gradient) for element in case.elements("x")]
    assert found == [4, 0, 5, 0]


def test_a_softmax_is_written_in_its_own_probabilities() -> None:
    text = str(pullback.derive("P[c] = exp(S[c]) / sum(k) exp(S[k])").small(C=3))
    assert "[P₁·(1 − P₁)   −P₁P₂         −P₁P₃      ]" in text
    assert "✗" not in text


def test_a_loss_needs_no_upstream_gradient() -> None:
    case = pullback.derive("L[] = sum(n) (w[]*x[n] - t[n])**2").small(N=2)
    assert "∂L/∂t₁ = −2·(w·x₁ − t₁)" in str(case)
    assert "dL/dL" not in str(case)


# Any small program


def sampled(program: Program, seed: int) -> tuple[Derivation, dict[str, Any], dict[str, Any]]:
    """A derivation with random numbers for its inputs and its upstream gradients."""
    random = Random(seed)
    derivation = Derivation(reverse(program))
    inputs = (*program.inputs, *derivation.backward.cotangents)
    sizes = draw_sizes(program.statements, inputs, random, 1)
    if not sizes:
        reject()
    drawn = draw_inputs(inputs, program.statements, sizes[0], random, FLOAT, "signed")
    arrays = {name: np.array(a.flat).reshape(a.shape) for name, a in drawn.items()}
    given = {t.name: arrays[t.name] for t in program.inputs}
    given |= {name: sizes[0].get(name, 2) for name in program.sizes}
    upstream = {c.name: arrays[c.name] for c in derivation.backward.cotangents}
    return derivation, given, upstream


@settings(max_examples=8, deadline=None, derandomize=True)
@given(programs(kinks=False), st.integers(0, 99))
def test_random_programs(program: Program, seed: int) -> None:
    derivation, given, upstream = sampled(program, seed)
    try:
        case = derivation.small(given, upstream=upstream)
        found = {t.name: case.elements(t.name) for t in derivation.backward.wrt}
    except (LimitError, DerivationError):  # too large, or read where values say
        return
    backward = derivation.backward
    raw = (*backward.forward.statements, *backward.values, *backward.adjoints)
    inputs = (*program.inputs, *backward.cotangents)
    numbers = {t.name: given[t.name] for t in program.inputs}
    known = {**numbers, **{c.name: upstream[c.name] for c in backward.cotangents}}
    wanted = run(Program(inputs, raw, backward.gradients), known, sizes=case.sizes)
    for tensor, gradient in zip(backward.wrt, backward.gradients, strict=True):
        for element in found[tensor.name]:
            number = case.known(element.gradient)
            assert number == pytest.approx(wanted[gradient.name][element.at], rel=1e-7, abs=1e-9)
    assert all(case.agrees(t.name) for t in backward.wrt)


def _affine(X: Any, W: Any, b: Any) -> Any:
    return np.tanh(X @ W + b)


def _centred(X: Any) -> Any:
    return X - X.mean(axis=0)


@pytest.mark.parametrize(
    ("function", "shapes", "sizes"),
    [
        (_affine, {"X": "N D", "W": "D M", "b": "M"}, {"N": 2, "D": 2, "M": 2}),
        (_centred, {"X": "N D"}, {"N": 3, "D": 2}),
        (lambda X: np.pad(X, 1)[:2], {"X": "N D"}, {"N": 2, "D": 2}),
        (lambda x: x[::-1] * x, {"x": "N"}, {"N": 4}),
        (lambda X: X.max(axis=1), {"X": "N D"}, {"N": 2, "D": 2}),
    ],
)
def test_numpy_functions(
    function: Callable[..., Any], shapes: dict[str, str], sizes: dict[str, int]
) -> None:
    case = pullback.derive(function, **shapes).small(sizes)
    text = str(case)
    assert "✓ equals the case above" in text
    assert "✗" not in text


def test_a_recurrence_is_written_out() -> None:
    case = pullback.derive("h[t] = where(t > 0, a[]*h[t-1], 0) + x[t]").small(T=3)
    assert [case.lines("x"), case.lines("a")] == ["", ""]
    text = str(case)
    assert "h = [x₁ a·x₁+x₂ a·(a·x₁+x₂)+x₃]" in text
    assert "✗" not in text


def test_integers_are_given_as_numbers() -> None:
    derivation = pullback.derive(lambda X, i: X[i], X="N D", i="K: int")
    with pytest.raises(ArgumentError, match="i holds integers"):
        derivation.small(N=3, D=2, K=2)
    case = derivation.small(N=3, D=2, i=[2, 2])
    (first, *_, last) = case.elements("X")
    assert first.gradient is ZERO
    assert last.at == (2, 1)
    assert "dY₁₂ + dY₂₂" in str(case)


def test_captured_integers_are_known() -> None:
    case = pullback.derive(lambda x: np.take(x, [0, -1, 0]) * 2, x="N").small(N=3)
    assert "Y = [2·x₁ 2·x₃ 2·x₁]" in str(case)
    assert "✗" not in str(case)


def test_a_wrong_formula_would_be_seen() -> None:
    derivation = pullback.derive(LINEAR)
    other = pullback.derive("y[n,m] = sum(d) 2*x[n,d]*w[d,m]")
    case = Small(derivation, {"N": 1, "D": 2, "M": 3})
    assert case.agrees("x")
    case.derivation = other  # the formula of another function
    assert not case.agrees("x")


def test_what_has_no_finite_numbers_is_not_checked() -> None:
    text = str(pullback.derive("y[i] = sqrt(-1 - x[i]**2)").small(I=2))
    assert "– not checked: the definition at I=5" in text
    assert "✗" not in text


# What can't be


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, ArgumentError, "no number for the sizes N, D, M"),
        ({"N": 1, "D": 2, "M": 3, "K": 1}, ArgumentError, "K is no size and no input"),
        ({"N": 1.5, "D": 2, "M": 3}, ArgumentError, "N is a size"),
        ({"N": 100, "D": 2, "M": 3}, LimitError, "x has 200 entries"),
        ({"N": 6, "D": 8, "M": 8}, LimitError, "w has 64 entries"),
        ({"x": [[1, 2]], "w": [[1, 2]]}, ShapeError, "axis 0 of w"),
    ],
)
def test_what_can_not_be_used_is_refused(
    given: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        pullback.derive(LINEAR).small(given)


def test_what_is_no_matrix_is_refused() -> None:
    with pytest.raises(LimitError, match="X has 3 axes"):
        pullback.derive("Y[i] = sum(j,k) X[i,j,k]").small(I=2, J=2, K=2)
    with pytest.raises(DerivationError, match="no formula for its elements"):
        str(pullback.derive(lambda A: np.linalg.inv(A), A="N N").small(N=2))


def test_places_go_row_by_row() -> None:
    assert [*places((2, 2))] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [*places(())] == [()]


# The command


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", LINEAR, "--small", "N=1,D=2,M=3"]) == 0
    assert "dL/dx = [dL/dx₁₁ dL/dx₁₂] = dL/dy wᵀ" in capsys.readouterr().out
    options = ["--small", "x=[1,-2,3,-1]", "--upstream", "[4,-1,5,9]"]
    assert main(["derive", "y[i] = relu(x[i])", *options]) == 0
    assert "downstream dL/dx = [4 0 5 0]" in capsys.readouterr().out
    assert main(["derive", LINEAR, "--small", "N=1,D=2,M=3", "--json"]) == 0
    assert '"agrees": {' in capsys.readouterr().out
    assert main(["derive", LINEAR, "--small", "N=1"]) == 2
    assert main(["derive", LINEAR, "--small", "N=1,D=2,M=3", "--format", "latex"]) == 2


def test_the_upstream_gradient_is_named_once_and_stays_one_name() -> None:
    shown = str(pullback.derive("y[m] = sum(d) x[d]*w[d,m] + b[m]").small(D=2, M=3))
    assert "upstream dL/dy = [dy₁ dy₂ dy₃]" in shown
    assert "x (dL/dy)ᵀ" in shown and "= x dyᵀ\n" not in shown.partition("In general")[0]
    assert "upstream" not in str(pullback.derive("L = sum(d) x[d]*w[d]").small(D=2))


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("y[n,m] = sum(d) x[n,d]*w[d,m] + b[m]", {"N": 2, "D": 3, "M": 4}),
        ("y[n,m] = relu(sum(d) x[n,d]*w[d,m])", {"N": 1, "D": 2, "M": 3}),
        ("y[i] = relu(x[i])", {"I": 5}),
        ("p[n,c] = exp(s[n,c])/sum(k) exp(s[n,k])", {"N": 1, "C": 3}),
    ],
)
def test_lines_fit_into_100_columns(text: str, sizes: dict[str, int]) -> None:
    shown = str(pullback.derive(text).small(**sizes))
    assert [line for line in shown.splitlines() if len(line) > 100] == []


def test_sizes_that_are_missing_or_no_whole_numbers() -> None:
    product = pullback.derive("y[n,m] = sum(d) x[n,d]*w[d,m]")
    with pytest.raises(ArgumentError, match="no number for the sizes N, D, M"):
        product.small()
    with pytest.raises(ArgumentError, match="N is a size") as error:
        product.small(N=1.5, D=2, M=3)
    assert "did you mean" not in str(error.value)
