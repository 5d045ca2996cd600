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


CONVOLUTION = "X[N,C,H,W]; K[O,C,2,3]; Y[n,o,i:H-1,j:W-2] = sum(c,p,q) X[n,c,i+p,j+q]*K[o,c,p,q]"


@pytest.mark.parametrize("width", [2, 3])
def test_numpy_has_no_windows_that_are_longer_than_their_array(width):
    made = source.Source(reverse(parse(CONVOLUTION)))
    assert made.has_windows({"N": 1, "C": 1, "O": 1, "H": 4, "W": width}) == (width > 2)


@pytest.mark.parametrize("seed", [9, 12])
def test_sizes_without_a_window_fail_no_source(seed):
    report = check_backward_program(reverse(parse(CONVOLUTION)), seed)
    assert report.status == "passed", report
