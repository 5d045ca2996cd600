"""Products that several products hold are made once."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from pullback.backends.numpy.module import spell
from pullback.calculus.cost import cost
from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward
from pullback.ir.program import Program
from pullback.notation.parse import parse
from pullback.notation.plain import show
from pullback.plan.common import common_products
from pullback.verify.programs import check_backward_program

from ..properties.random_programs import Maker

TRIPLE = "s[n] = sum(k) h[n,k]*r[n,k]*t[n,k]; L[] = sum(n) s[n]**3"
SQUARE = "A[n] = sum(m) p[n,m]*w[n,m]**2; B[n] = sum(m) p[n,m]*w[n,m]*v[n,m]"
MATRICES = "Y[i,k] = sum(j) A[i,j]*X[j,k]; Z[i] = sum(j) A[i,j]*b[j]; L[] = sum(i,k) Y[i,k]*Z[i]"
CHOSEN = "y[n] = where(x[n] > 0, x[n]*a[n]*b[n], x[n]*a[n]*c[n])"
SINGLE = "y[n] = a[n]*b[n]"


def with_products(program: Program) -> Backward:
    backward = reverse(program)
    return replace(backward, statements=common_products(backward.statements, backward.gradients))


def test_what_products_share_gets_a_name() -> None:
    plain, backward = reverse(parse(TRIPLE)), with_products(parse(TRIPLE))
    assert len(backward.statements) > len(plain.statements)
    assert cost(backward.statements) <= cost(plain.statements)
    report = check_backward_program(backward, samples=3)
    assert report.status == "passed", str(report)


def test_a_product_that_is_a_statement_has_its_name() -> None:
    program = parse(
        "A[m,n] = p[n,m]*w[n,m]; B[n] = sum(m) A[m,n]*p[n,m]; C[n] = sum(m) p[n,m]*w[n,m]*v[n,m]"
    )
    made = common_products(program.statements, program.outputs)
    assert [s.target.name for s in made] == ["A", "B", "C"]
    assert "A[m,n]" in show(made[2].body)


def test_a_square_is_multiplied_one_factor_after_the_other() -> None:
    program = parse(SQUARE)
    made = common_products(program.statements, program.outputs)
    assert len(made) == len(program.statements) + 1
    arrays = [np.random.default_rng(n).normal(size=(3, 4)) for n in range(3)]
    found = []
    for statements in (program.statements, made):
        names: dict[str, Any] = {}
        exec(spell("run", program.inputs, statements, program.outputs), names)
        found.append(names["run"](*arrays))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-14)


def test_an_array_that_two_products_scale_alike_is_scaled_once() -> None:
    program = parse("A[n,m] = 2*c[]*e[n,m]*p[n,m]; B[n,m] = 2*c[]*e[n,m]*w[n,m]")
    made = common_products(program.statements, program.outputs)
    assert [show(s.body) for s in made[1:]] == ["p[n,m]*shared1[n,m]", "w[n,m]*shared1[n,m]"]
    few = parse("A[n,m] = 2*c[]*e[n,m]*r[n]; B[n,m] = 2*c[]*e[n,m]*s[n]")  # c scales r and s
    assert common_products(few.statements, few.outputs) == few.statements


@pytest.mark.parametrize("text", [MATRICES, CHOSEN, SINGLE])
def test_products_of_matrices_and_what_conditions_choose_stay(text: str) -> None:
    plain = reverse(parse(text))
    assert common_products(plain.statements, plain.gradients) == plain.statements


@pytest.mark.parametrize("seed", range(8))
def test_gradients_of_random_programs_are_the_same(seed: int) -> None:
    backward = with_products(Maker(Random(f"common {seed}")).program())
    report = check_backward_program(backward, samples=2)
    assert report.status != "failed", str(report)
