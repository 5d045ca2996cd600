"""Derivatives of recurrences: checked by everything that checks a derivation, for any length."""

from __future__ import annotations

import time

import pytest

from pullback.calculus.pushforward import pushforward
from pullback.calculus.reverse import reverse
from pullback.ir.program import Define
from pullback.ir.recurrence import direction, groups, is_recurrent
from pullback.notation.parse import parse
from pullback.notation.plain import show
from pullback.verify.programs import check_backward_program
from pullback.verify.steps import check_steps
from tests.recurrences import GRU, LSTM, PROGRAMS, RNN


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_step_and_the_whole_are_right(name: str) -> None:
    backward = reverse(parse(PROGRAMS[name]))
    checks = zip(backward.steps, check_steps(backward), strict=True)
    assert [(s.name, s.target.name, str(c)) for s, c in checks if c.status != "passed"] == []
    report = check_backward_program(backward)
    assert report.passed, report


@pytest.mark.parametrize("name", PROGRAMS)
def test_adjoints_run_against_the_recurrence_and_tangents_along(name: str) -> None:
    program = parse(PROGRAMS[name])
    backward = reverse(program)
    forward = _directions(program.statements)
    assert _directions(backward.forward.statements) == forward
    assert set(_directions(backward.statements)) <= {-n for n in forward}
    assert set(_directions(pushforward(program).statements)) <= set(forward)


def _directions(statements: tuple[Define, ...]) -> list[int]:
    return [direction(group) for group in groups(statements) if is_recurrent(group)]


@pytest.mark.parametrize("text", [RNN, LSTM, GRU], ids=["rnn", "lstm", "gru"])
def test_only_what_recurs_is_in_the_loop(text: str) -> None:
    backward = reverse(parse(text))
    made = {s.of for g in groups(backward.statements) if is_recurrent(g) for s in g}
    assert not made & {t.name for t in backward.wrt}
    own = [g for g in groups(backward.forward.statements) if is_recurrent(g)]
    assert len(own) == 1 and all("X[" not in show(s) for s in own[0])


def test_a_gradient_of_the_state_is_the_textbook_recurrence() -> None:
    backward = reverse(parse(PROGRAMS["named sum"]))
    assert [show(s) for s in backward.statements] == [
        "dH2[t,n,j] = dH[t,n,j] + [t+1 < T]*sum(j2) W[j,j2]*dA[t+1,n,j2]",
        "dA[t,n,j] = dH2[t,n,j]*(1 - H[t,n,j]**2)",
        "dW[k,j] = sum(t, n) H[t-1,n,k]*dA[t,n,j]*[1 <= t]",
        "dX[t,n,d] = sum(j) U[d,j]*dA[t,n,j]",
        "dU[d,j] = sum(t, n) X[t,n,d]*dA[t,n,j]",
    ]


def test_the_number_of_steps_does_not_matter() -> None:
    def derived(steps: int) -> tuple[str, float]:
        shapes = {"X": (steps, 2, 3)}
        start = time.perf_counter()
        backward = reverse(parse(LSTM, shapes))
        spent = time.perf_counter() - start
        return "".join(show(s) for s in backward.statements), spent

    (short, _), (long, spent) = derived(7), derived(100_000)
    assert long.replace("100000", "7").replace("99999", "6") == short
    assert spent < 5


def test_what_nothing_depends_on_has_no_gradient() -> None:
    backward = reverse(parse("S[t] = x[t] + pad(S,0)[t-1]; y[t] = x[t]**2; return y"))
    assert [show(s) for s in backward.statements] == ["dx[t] = 2*dy[t]*x[t]"]
