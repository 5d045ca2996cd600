"""The printed source is checked against the statements: a wrong line is found."""

from __future__ import annotations

import pytest

import pullback.verify.source as source
from pullback.calculus.reverse import reverse
from pullback.notation.parse import parse
from pullback.verify.programs import check_backward_program

BACKWARD = "Y[n,m] = sum(d) tanh(X[n,d])*W[d,m]"


def test_source_that_is_right_passes():
    report = check_backward_program(reverse(parse(BACKWARD)))
    found = [c for c in report.comparisons if c.what.startswith("source")]
    assert len(found) == 3 and all(c.passed and c.elements for c in found)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [("def backward", "def backwards"), ("@ W.T", "@ -W.T"), ("W.T", "W"), ("@ W", "@ -W")],
)
def test_source_that_is_wrong_fails(monkeypatch, line, wrong):
    spelled = source.spell_pair

    def broken(backward):
        text = spelled(backward)
        assert line in text
        return text.replace(line, wrong)

    monkeypatch.setattr(source, "spell_pair", broken)
    report = check_backward_program(reverse(parse(BACKWARD)))
    assert not report.passed
    assert any("source" in c.what for c in report.failures)
