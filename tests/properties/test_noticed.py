"""Random programs: a gradient that is off is noticed wherever the right one was compared."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.calculus.reverse import reverse
from pullback.ir.expr import Add, number
from pullback.ir.program import Define, Program
from pullback.verify.programs import check_backward_program

from .random_programs import programs

SOME = settings(max_examples=4, deadline=None, derandomize=True)
OFF = number(Fraction(1, 10**9))


@SOME
@given(programs(), st.integers(0, 99))
def test_a_gradient_that_is_off_by_a_billionth(program: Program, seed: int) -> None:
    backward = reverse(program)
    right = check_backward_program(backward, seed, samples=1)
    assert not right.failures, str(right)
    compared = {c.what for c in right.comparisons if c.passed and c.elements}
    for tensor, gradient in zip(backward.wrt, backward.gradients, strict=True):
        statements = [
            Define(s.target, s.indices, Add((s.body, OFF))) if s.target == gradient else s
            for s in backward.statements
        ]
        wrong = check_backward_program(
            replace(backward, statements=tuple(statements)), seed, samples=1
        )
        failed = {c.what for c in wrong.failures}
        what = f"gradient of {tensor.name}"
        assert what not in compared or what in failed, str(wrong)
