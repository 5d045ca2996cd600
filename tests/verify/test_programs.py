"""Checks of whole backward passes: a wrong statement anywhere is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward
from pullback.ir.expr import Mul, number
from pullback.ir.program import Define
from pullback.notation.parse import parse
from pullback.verify.programs import check_backward_program

PROGRAMS = {
    "affine": "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]",
    "diagonal": "Y[i] = X[i,i]",
    "norm": "Y[] = sqrt(sum(i) X[i]**2)",
    "gather": "Y[n] = E[y[n]]**2",
    "softmax": "e[n,c] = exp(S[n,c])\nP[n,c] = e[n,c]/sum(k) e[n,k]",
    "pooling": "Y[i] = max(p:2) X[2*i+p]",
    "product": "Y[] = prod(i) X[i]",
    "two outputs": "A[i] = sin(X[i])\nB[] = sum(i) A[i]*X[i]\nreturn A, B",
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("seed", [0, 1])
def test_right_passes_pass(name: str, seed: int) -> None:
    report = check_backward_program(reverse(parse(PROGRAMS[name])), seed)
    assert report.passed, str(report)
    assert all(c.passed for c in report.comparisons), str(report)


def doubled(s: Define) -> Define:
    return replace(s, body=Mul((number(2), s.body)))


def spoiled(backward: Backward, k: int) -> Backward:
    """With one compact statement wrong."""
    statements = list(backward.statements)
    statements[k] = doubled(statements[k])
    return replace(backward, statements=tuple(statements))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_wrong_statement_fails(name: str) -> None:
    backward = reverse(parse(PROGRAMS[name]))
    for k in range(len(backward.statements)):
        report = check_backward_program(spoiled(backward, k))
        against = {c.against for c in report.failures}
        assert {
            "the raw sums over all deltas",
            "differences of the forward pass",
            "⟨u, Jv⟩ of the pushforward",
        } <= against, str(report)


def test_a_wrong_raw_sum_a_wrong_window_and_a_wrong_value_fail() -> None:
    backward = reverse(parse(PROGRAMS["softmax"]))
    raw = replace(backward, adjoints=tuple(map(doubled, backward.adjoints)))
    assert "the raw sums over all deltas" in _failing(raw)
    windows = replace(
        backward,
        statements=tuple(replace(s, scatter=number(1)) for s in backward.statements),
    )
    assert "the sums that backends may choose" in _failing(windows)
    last = backward.forward.statements[-1]
    flat = replace(backward.forward, statements=(*backward.forward.statements[:-1], doubled(last)))
    assert "the program" in _failing(replace(backward, forward=flat))


def _failing(backward: Backward) -> set[str]:
    return {c.against for c in check_backward_program(backward).failures}


def test_what_is_exact_is_said() -> None:
    report = check_backward_program(reverse(parse(PROGRAMS["affine"])))
    assert "exactly modulo" in str(report)


def test_literal_sizes_that_are_too_large_are_not_decided() -> None:
    program = parse(PROGRAMS["affine"]).with_sizes({"N": 500, "D": 500, "M": 500})
    report = check_backward_program(reverse(program))
    assert not report.passed and not report.failures
    assert all(c.status == "not checked" for c in report.comparisons)
    assert "too large" in str(report)


def test_the_same_seed_gives_the_same_report() -> None:
    backward = reverse(parse(PROGRAMS["gather"]))
    assert (
        check_backward_program(backward, 3).to_json()
        == check_backward_program(backward, 3).to_json()
    )


def test_sizes_beyond_the_numbers_of_a_program_are_drawn() -> None:
    """At small sizes alone nothing of this one could be compared."""
    report = check_backward_program(reverse(parse("X[N]\nY[i:N-60] = X[i+60]*2")))
    assert report.passed and "at N = 61" in str(report)
    report = check_backward_program(reverse(parse("X[N]\nY[i] = where(i < 50, X[i], 3*X[i])")))
    assert "51" in str(report).partition("at N = ")[2].partition("\n")[0]
