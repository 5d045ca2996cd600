"""verify() draws inputs at which the forward pass is defined, finite and accurate."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest

from pullback import derive
from pullback.calculus.reverse import reverse
from pullback.ir.expr import Add, Expr, Mul, number
from pullback.ir.interpret import Array
from pullback.ir.program import Define
from pullback.notation.parse import parse
from pullback.verify.decimals import DECIMALS
from pullback.verify.programs import check_backward_program
from pullback.verify.samples import (
    LADDER,
    Sample,
    computed,
    draw,
    is_finite,
    is_sound,
    rungs,
)
from pullback.verify.steps import Surroundings, check_steps, difference, pairs

from .programs import FUNCTIONS, PROGRAMS


@pytest.mark.parametrize("name", ["gaussian", "elbo", "pair potential", "logits", "tower"])
def test_a_right_derivation_is_never_failed_and_is_compared(name: str) -> None:
    function, shapes = FUNCTIONS[name]
    backward = derive(function, **shapes).backward
    report = check_backward_program(backward, samples=2)
    assert report.passed, str(report)
    checked = {c.what for c in report.comparisons if "differences" in c.against and c.passed}
    assert checked == {f"gradient of {t.name}" for t in backward.wrt}


@pytest.mark.parametrize("name", ["gaussian", "logits"])
def test_a_wrong_gradient_is_noticed_there_too(name: str) -> None:
    function, shapes = FUNCTIONS[name]
    backward = derive(function, **shapes).backward
    wrong = list(backward.statements)
    k = next(k for k, s in enumerate(wrong) if s.target == backward.gradients[0])
    doubled = Mul((number(Fraction(1001, 1000)), wrong[k].body))
    wrong[k] = Define(wrong[k].target, wrong[k].indices, doubled)
    report = check_backward_program(replace(backward, statements=tuple(wrong)), samples=2)
    against = {c.against for c in report.failures}
    assert {"the raw sums over all deltas", "differences of the forward pass"} <= against


def drawn(text: str, sizes: dict[str, int], style: str = "signed") -> Sample | None:
    program = parse(text)
    return draw(program.inputs, program.statements, sizes, Random(3), DECIMALS, style)


def test_draws_become_smaller_and_then_positive() -> None:
    tried = [*rungs("unit")]
    assert tried[0] == ("unit", 1) and len(tried) == sum(count for count, _, _ in LADDER)
    inside = drawn("Y[i] = arcsin(4*X[i])", {"I": 4})
    assert inside is not None and max(abs(x) for x in inside.arrays["X"].flat) <= 0.25
    above = drawn("Y[i] = log(X[i])", {"I": 6})
    assert above is not None and min(above.arrays["X"].flat) > 0
    assert drawn("Y[i] = log(-1 - X[i]**2)", {"I": 2}) is None


def test_draws_are_accurate_in_float64() -> None:
    """exp(exp(exp(x))) is a number of more than 300 digits at 2."""
    sample = drawn("Y[i] = exp(exp(exp(X[i])))", {"I": 4})
    assert sample is not None and sample.accurate
    assert max(sample.arrays["Y"].flat) < 1e308
    rounded = drawn("Y[i] = (1 + X[i]*1e-30 - 1)*1e30", {"I": 2})
    assert rounded is not None and not rounded.accurate  # 50 digits are enough, 16 are not


def test_sizes_at_which_a_matrix_is_singular_give_way() -> None:
    function, shapes = FUNCTIONS["gaussian"]
    report = check_backward_program(derive(function, **shapes).backward, samples=2)
    assert "at (N, P) = (3, 3), (2, 5)" in report.comparisons[0].note  # (3, 2) came first


HIDDEN_MARKOV = """u[3]
W[3,3]
E[3,4]
o: int[3]
pi[s] = exp(u[s])/(sum(q) exp(u[q]))
A[r,s] = exp(W[r,s])/(sum(q) exp(W[r,q]))
p[t:3,s:3] = where(t >= 1, sum(r) alpha[t-1,r]*A[r,s], pi[s])
c[t] = sum(s) E[s,o[t]]*p[t,s]
alpha[t,s] = E[s,o[t]]*p[t,s]/c[t]
L[] = sum(t) log(c[t])"""


def test_the_scaled_forward_recurrence_is_no_evidence_where_a_scale_is_zero() -> None:
    """A scale c[t] of this hidden Markov model is a sum that vanishes at some grid points.

    In 50 digits it comes out as 1e-52, 1/c as 1e52, and steps differ in what is nothing but
    rounding. With 100 digits all of that is different, so it decides nothing; the derivation is
    right.
    """
    backward = reverse(parse(HIDDEN_MARKOV))
    around = Surroundings(backward, backward.steps, 0)
    values: dict[str, Any] = {
        "u": [0, -1, 0],
        "W": [[-1, 1, 0], [1, -1, 0], [0, 1, 0]],
        "E": [[1, 0, -1, -1], [0, 0, 1, 0], [1, 0, 0, -1]],
        "o": [2, 0, 2],
        "dalpha": [[0, 1, 0], [1, 0, 0], [0, 0, -1]],
        "dL": 0,
    }
    exact = {t: Array.of(values[t.name]) for t in around.inputs}
    made = Sample({}, DECIMALS, {}, {}, exact).given(DECIMALS)
    sample = computed(made, around.statements, Random(0), is_finite)
    assert sample is not None and 0 < abs(sample.arrays["c"].flat[1]) < 1e-45
    assert not is_sound(sample, around.statements)
    apart = 0
    for step in backward.steps:
        found = list(pairs(step, sample, Random(0)))
        scale = max(abs(b) for _, b, _ in found)
        if any(difference(b, a, scale) > 1e-30 for _, b, a in found):
            apart += 1
            assert not around.confirms(step, sample, found)
    assert apart
    assert not [c for c in check_steps(backward) if c.status == "failed"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_steps_of_recurrences_over_sums_that_may_vanish(name: str) -> None:
    backward = reverse(parse(PROGRAMS[name]))
    assert [str(c) for c in check_steps(backward) if c.status == "failed"] == []


def test_a_wrong_step_is_confirmed() -> None:
    backward = reverse(parse("e[n,c] = exp(S[n,c])\nP[n,c] = e[n,c]/sum(k) e[n,k]"))

    def off(body: Expr) -> Expr:
        return Add((body, number(Fraction(1, 10**12))))

    for step in backward.steps:
        wrong = replace(step, after=off(step.after))
        assert check_steps(backward, 0, [wrong])[0].status == "failed"


def test_the_users_example_arrays_are_checked_at() -> None:
    """The only points at which this is finite are within 0.03 of the example."""

    def narrow(x: Any) -> Any:
        return np.log(1e-3 - ((x - 40.0) ** 2).sum())

    example = np.array([40.01, 39.99, 40.0])
    assert derive(narrow, x=(3,)).verify().status == "not checked"
    derivation = derive(narrow, x=example)
    example[:] = 0  # it was copied
    assert derivation.verify().passed
    assert list(derivation.known["x"]) == [40.01, 39.99, 40.0]


def test_captured_arrays_are_left_as_they_are_where_others_are_not_defined() -> None:
    apart = np.array([[0.0, 1e6], [1e6, 0.0]])

    def bounded(x: Any) -> Any:
        return np.log((apart * x * x).sum() - 1e5)

    assert derive(bounded, x="").verify().passed
