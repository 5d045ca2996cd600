"""Passed, failed, not checked: what a report may say, and what it must not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pullback import check_backward, check_grads, derive
from pullback.cli import main
from pullback.derivation import Check, Verification
from pullback.derivation.status import MARKS, Status, overall
from pullback.report.page import page
from pullback.verify.report import Comparison, Report


def comparison(what: str, status: Status, unchecked: int = 0) -> Comparison:
    return Comparison(what, "differences", status, elements=3, unchecked=unchecked)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], "not checked"),
        (["not checked"], "not checked"),
        (["passed", "not checked"], "passed"),
        (["passed", "not checked", "failed"], "failed"),
    ],
)
def test_nothing_is_no_success_and_one_failure_is_a_failure(
    statuses: list[Status], expected: Status
) -> None:
    assert overall(statuses) == expected
    checks = tuple((str(k), Check(status, "")) for k, status in enumerate(statuses))
    verification = Verification(checks, 0)
    assert verification.status == expected
    assert verification.passed is bool(verification) is (expected == "passed")
    report = Report("r", tuple(comparison("X", status) for status in statuses), 0)
    assert (report.status, report.passed) == (expected, expected == "passed")


def test_a_value_of_which_nothing_was_compared_leaves_the_whole_unchecked() -> None:
    right, none = comparison("X", "passed"), comparison("W", "not checked", unchecked=4)
    report = Report("r", (right, none), 0)
    assert report.status == "not checked" and not report.passed and not report.failures
    again = Report("r", (right, none, comparison("W", "passed")), 0)
    assert again.status == "passed" and again.unchecked == 4


def test_the_three_marks_are_shown_and_written_as_json() -> None:
    every: tuple[Status, ...] = ("passed", "failed", "not checked")
    report = Report("r", tuple(comparison(s, s, unchecked=1) for s in every), 7)
    for status in every:
        assert f"{MARKS[status]} {status} against differences" in str(report)
        assert str(Check(status, "because")) == f"{MARKS[status]} because"
    data = json.loads(report.to_json())
    assert (data["status"], data["passed"], data["unchecked"]) == ("failed", False, 3)
    assert [c["status"] for c in data["comparisons"]] == list(every)
    assert [c["passed"] for c in data["comparisons"]] == [True, False, False]


def test_an_empty_gradient_is_not_checked_and_does_not_hide_the_others() -> None:
    def forward(X: np.ndarray, w: np.ndarray) -> np.ndarray:
        return X @ w

    empty = np.zeros((0, 2))
    report = check_grads(forward, (empty, np.ones(2)), modes=("rev",))
    assert [c.status for c in report.comparisons] == ["not checked", "passed"]
    assert report.status == "passed"
    only = check_grads(lambda X: X.sum(), (empty,), modes=("rev",))
    assert only.status == "not checked" and not only.passed
    written = check_backward(lambda X: X * 2, lambda dY, X: dY * 2, empty)
    assert written.status == "not checked"


def test_every_step_tells_what_was_compared() -> None:
    steps = derive("P[n,c] = exp(S[n,c]) / sum(k) exp(S[n,k])").steps
    assert steps and all(step.check.status == "passed" for step in steps)
    assert all(step.check.elements for step in steps if step.check.how != "the same")


def test_the_command_writes_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "Y[i] = 2*X[i]", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["status"] == "passed"
    every = [*data["derivation"], *(c for done in data["rounds"] for c in done["checks"])]
    assert {c["status"] for c in every} == {"passed"}


def test_the_command_says_by_its_exit_status_that_nothing_was_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "Y[i] = log(-exp(X[i]))"]) == 3
    shown = capsys.readouterr().out
    assert "– the function against random inputs: the function was not finite at any of" in shown
    assert shown.rstrip().split("\n")[-1].startswith("not checked")


def test_a_forward_pass_that_is_nowhere_finite_is_not_checked_with_the_reason() -> None:
    verification = derive("Y[i] = log(-1 - X[i]**2)").verify()
    whole = verification.checks[verification.steps :]
    assert verification.status == "not checked" and not verification.failures
    assert {c.status for _, c in whole} == {"not checked"}
    assert all("the forward pass was not finite at any of" in c.how for _, c in whole)


def test_all_views_count_the_same_steps(capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "mu[d] = mean(n) X[n,d]\nv[d] = mean(n) (X[n,d] - mu[d])**2\nY[n,d] = X[n,d]/sqrt(v[d]+1)"
    )
    derivation = derive(text)
    total = len(derivation.steps)
    assert total < len(derivation.backward.steps)  # some are folded into others
    assert (
        derivation.tally.total == derivation.verify().steps == derivation.verify(1).steps == total
    )
    count = f"{derivation.tally.passed} of {total}"
    derivation.show()
    views = (
        capsys.readouterr().out,
        str(derivation),
        derivation.markdown(),
        derivation._repr_html_(),
        page(derivation),
        str(derivation.verify()),
    )
    assert [count in " ".join(view.split()) for view in views] == [True] * len(views)
    assert main(["derive", text, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert len(data["steps"]) == sum(data["checked"].values()) == total
