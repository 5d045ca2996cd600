"""The search for compact forms is bounded by work; what is beyond the bound is right, and said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback
from pullback.calculus.effort import FORMULAS, NUMBERS, Effort, Limit
from pullback.calculus.reverse import reverse
from pullback.ir.walk import nodes
from pullback.notation.parse import parse
from pullback.verify.programs import check_backward_program
from tests.calculus.programs import PROGRAMS

NOTHING = Limit(0, 0)


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_without_any_search_are_right(name):
    backward = reverse(parse(PROGRAMS[name]), limit=NOTHING)
    report = check_backward_program(backward, samples=1)
    assert report.status == "passed", report


@pytest.mark.parametrize("work", [1, 3, 10, 30, 100])
@pytest.mark.parametrize("name", ["layer norm", "softmax loss", "recurrence"])
def test_a_search_may_be_over_at_any_point(name, work):
    backward = reverse(parse(PROGRAMS[name]), limit=Limit(work, 0))
    report = check_backward_program(backward, samples=1)
    assert report.status == "passed", report


def test_work_that_is_taken_is_gone():
    effort = Effort(10)
    assert effort.take(10) and not effort.over
    assert effort.tried(lambda: "found", "not found") == "found"
    assert not effort.take(1) and effort.over
    assert effort.tried(lambda: "found", "not found") == "not found"
    assert not effort.take(1)


def test_a_limit_grows_with_the_program():
    assert Limit(5, 2).of(10).left == 25
    assert NUMBERS.of(100).left < FORMULAS.of(100).left


def epidemic(steps: int) -> Any:
    def infected(beta, gamma, s, i, r):
        for _ in range(steps):
            new, out = beta * s * i, gamma * i
            s, i, r = s - 0.1 * new, i + 0.1 * (new - out), r + 0.1 * out
        return i

    return infected


def test_the_gradient_of_a_long_loop_is_right():
    at = 0.3, 0.1, 0.99, 0.01, 0.0
    loss = epidemic(30)
    for k, slope in enumerate(pullback.grad(loss, argnums=(0, 1, 2, 3))(*at)):
        apart = [np.array(at), np.array(at)]
        apart[0][k] += 1e-5
        apart[1][k] -= 1e-5
        assert np.isclose(slope, (loss(*apart[0]) - loss(*apart[1])) / 2e-5, rtol=1e-7)


def chained(steps: int) -> str:
    """Some steps of the epidemic in index notation."""
    lines = []
    for k in range(steps):
        lines += [
            f"new{k}[] = beta[]*s{k}[]*i{k}[]",
            f"s{k + 1}[] = s{k}[] - 0.1*new{k}[]",
            f"i{k + 1}[] = i{k}[] + 0.1*(new{k}[] - gamma[]*i{k}[])",
        ]
    return "\n".join(lines)


def test_the_backward_pass_of_a_loop_grows_with_its_length():
    counts = []
    for steps in (20, 40):
        backward = reverse(parse(chained(steps)), limit=NUMBERS)
        counts.append(sum(1 for s in backward.statements for _ in nodes(s.body)))
    assert counts[1] < 2.4 * counts[0]


def test_derive_says_that_the_search_was_over():
    told = "stand as the chain rule gives them"
    long = pullback.derive(epidemic(7), beta="", gamma="", s="", i="", r="")
    assert long.backward.unsearched and told in str(long)
    short = pullback.derive(epidemic(1), beta="", gamma="", s="", i="", r="")
    assert not short.backward.unsearched and told not in str(short)
