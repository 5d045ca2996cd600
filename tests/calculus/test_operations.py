"""Statements in steps of one operation each, and upstream gradients that are 1: the same values."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from pullback.backends.numpy import spell_pair
from pullback.calculus.operations import one_operation_each
from pullback.calculus.reverse import reverse
from pullback.calculus.seeds import with_ones
from pullback.ir.expr import Number, Reduce, number
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.ir.walk import free_indices, nodes, tensors
from pullback.notation.parse import parse
from pullback.runtime.load import load_module
from tests.properties.random_programs import Maker

from .oracle import draw, filled, flat

SIZES = {"N": 3, "M": 2, "K": 2}


def results(program: Program, values: dict[str, Any]) -> list[float]:
    found = run(program, values, sizes=SIZES)
    return [x for t in program.outputs for x in flat(found[t.name])]


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_in_steps_have_the_same_values(seed: int) -> None:
    program = Maker(Random(f"operations {seed}")).program()
    steps = one_operation_each(program)
    assert steps.outputs == program.outputs
    for s in steps.statements:
        if s not in program.statements and not s.user:
            assert set(s.indices) == set(free_indices(s.body)), s
    values = draw(program.inputs, SIZES, seed)
    assert results(steps, values) == pytest.approx(results(program, values), nan_ok=True)


FACTORS = (
    "x[i]",
    "x[j]",
    "y[j]",
    "A[i,j]",
    "A[j,k]",
    "B[i,k]",
    "z[k]",
    "2",
    "[i > 0]",
    "exp(x[i])",
)


@pytest.mark.parametrize("seed", range(60))
def test_sums_of_products_have_all_their_factors_however_often_one_stands(seed: int) -> None:
    """Once ``sum(i) x[i]*x[i]*y[i]`` was the square of ``sum(i) x[i]*y[i]``."""
    random = Random(seed)
    few = random.sample(FACTORS, 3)
    body = "*".join([*random.choices(few, k=random.randint(3, 6)), "A[i,j]*z[k]"])
    left, over = random.choice((("", "i, j, k"), ("i:N", "j, k"), ("k:N, j:N", "i")))
    program = parse(f"x[N]; y[N]; z[N]; A[N,N]; B[N,N]; Y[{left}] = sum({over}) {body}")
    values = draw(program.inputs, SIZES, seed)
    steps = one_operation_each(program)
    assert results(steps, values) == pytest.approx(results(program, values)), body
    module = load_module(spell_pair(reverse(program)))
    value, _ = module.forward(*(np.array(values[t.name]) for t in program.inputs))
    assert np.ravel(value).tolist() == pytest.approx(results(program, values)), body


STEPS = {
    "Y[i] = exp(sin(x[i]))*x[i]": 2,
    "Y[i] = x[i] + 1": 0,
    "Y[i] = 2*x[i]*y[i]": 0,
    "Y[i] = x[i]/(1 + y[i])": 1,
    "Y[i] = x[i]*y[i]*exp(y[i])": 2,
    "Y[i] = [i > 0]*x[i]*y[i]*z[i]": 1,
    "Y[i] = [i > 0]*x[i]/y[i]*z[i]": 0,
    "Y[i] = [i > 0]*x[i]*y[i]*exp(z[i])": 1,
    "Y[i] = [i > 0]*x[i-1]*y[i]*z[i]": 0,
    "Y[i] = where(y[i] > 0, x[i]*y[i], 2*z[i])": 1,
    "Y[i] = where(y[i] > 0, log(y[i]), sin(z[i]))": 1,
    "Y[i] = where(y[i] > 0, x[i]/y[i], sqrt(x[i]))": 0,
    "Y[i] = where(y[i] > 0, x[m[i]]*y[i], 0)": 0,
    "Y[i] = where(y[i] > 0, sum(j) exp(y[j]), 0)": 0,
    "Y[i] = where(y[i] > 0, sum(j) tanh(y[j]), 0)": 2,
    "Y[i] = where(y[i] > 0, prod(j) y[j], 0)": 0,
    "Y[i] = where(y[i] > 0, y[i] + x[i]**2, 0)": 2,
    "Y[i] = where(y[i] > 0, y[i]/x[i] + x[i]**2, 0)": 1,
    "Y[i] = exp(x[i])*y[i] + exp(x[i])*z[i]": 3,
    "Y[i] = max(j) x[j]*y[i]": 0,
    "Y[i] = sum(j, k) A[i,j]*B[j,k]*z[k]": 1,
    "Y[i] = sum(j) A[i,j]*z[j]*[j > 0]": 0,
    "Y[i] = sum(j, k) A[i,j]*B[j,k]*z[k]*[j > k]": 0,
    "Y[i] = sum(j, k) 2*A[i,j]*B[j,k]*exp(z[k])": 2,
}


@pytest.mark.parametrize("text", STEPS)
def test_how_many_steps_a_statement_takes(text: str) -> None:
    program = parse(
        f"x[N]; y[N]; z[N]; m: int[N]; A[N,N]; B[N,N]; {text.replace('Y[i]', 'Y[i:N]')}"
    )
    steps = one_operation_each(program)
    made = len(steps.statements) - len(program.statements)
    assert made == STEPS[text], [str(s.body) for s in steps.statements]
    values = draw(program.inputs, SIZES, 1)
    assert results(steps, values) == pytest.approx(results(program, values), nan_ok=True)
    names = [s.target.name for s in steps.statements]
    assert len(set(names)) == len(names)


def test_the_smallest_product_is_first() -> None:
    """``A B v`` from the right, whatever the order in which it is written."""
    for factors in ("A[i,j]*B[j,k]*v[k]", "v[k]*B[j,k]*A[i,j]", "B[j,k]*A[i,j]*v[k]"):
        program = parse(f"v[K]; A[N,M]; B[M,K]; Y[i] = sum(j, k) {factors}")
        first, last = one_operation_each(program).statements
        assert {t.name for t in tensors(first.body)} == {"B", "v"}
        assert isinstance(last.body, Reduce) and len(last.body.indices) == 1


@pytest.mark.parametrize("seed", range(30))
def test_upstream_gradients_of_1(seed: int) -> None:
    backward = reverse(Maker(Random(f"ones {seed}")).program())
    statements = with_ones(backward.statements, backward.cotangents, backward.gradients)
    assert {s.target for s in statements} >= set(backward.gradients)
    forward, ones = backward.forward, set(backward.cotangents)
    assert all(ones.isdisjoint(tensors(s.body)) for s in statements)
    values = draw(backward.program.inputs, SIZES, seed)
    given = {
        t.name: filled([n.value(SIZES) for n in t.shape], lambda: 1.0) for t in backward.cotangents
    }
    inputs = (*backward.program.inputs, *backward.cotangents)
    before = Program(inputs, (*forward.statements, *backward.statements), backward.gradients)
    after = Program(backward.program.inputs, (*forward.statements, *statements), backward.gradients)
    assert results(after, values) == pytest.approx(results(before, values | given), nan_ok=True)


def test_gradients_that_are_constants_are_kept() -> None:
    backward = reverse(parse("Y[] = (sum(i) 3*X[i]) + 2*Z[]"))
    statements = with_ones(backward.statements, backward.cotangents, backward.gradients)
    assert {s.body for s in statements} == {number(3), number(2)}


def test_what_is_summed_first_is_summed_at_once() -> None:
    """``Σ_jk x[j]·A[j,k]·z[i]``: the sum over both indices is a number, which z is multiplied
    with."""
    for factors in ("x[j]*A[j,k]*z[i]", "A[j,k]*x[j]*z[i]"):
        program = parse(f"x[N]; A[N,M]; z[K]; Y[i] = sum(j, k) {factors}")
        assert one_operation_each(program).statements[0].indices == ()


def test_an_infinite_factor_is_no_number() -> None:
    program = parse("dx[i] = dL[]*2*inf*x[i]; dy[i] = 3*dx[i]")
    (s, _) = with_ones(program.statements, program.inputs[:1], program.outputs)
    assert {n.special for n in nodes(s.body) if isinstance(n, Number)} >= {"inf"}
