"""The main job on real input: the digits are learned with the generated backward pass."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from examples import digits, lenet


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of one full run, which must succeed (checks passed, 96 % reached)."""
    report = tmp_path_factory.mktemp("digits") / "digits.html"
    assert digits.main(["--report", str(report)]) == 0
    return report


def test_digits_writes_a_report_that_needs_no_network(ran: Path) -> None:
    page = ran.read_text(encoding="utf-8")
    assert "Handwritten digits" in page
    assert "gamma" in page or "γ" in page
    loaded = re.findall(r"""(?:src|href)\s*=\s*["']?((?:https?:)?//[^"'\s>]+)""", page)
    assert loaded == []
    assert "@import" not in page


def test_digits_says_when_the_promise_is_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = digits.main(["--report", str(tmp_path / "r.html"), "--epochs", "1", "--rate", "1e-6"])
    assert status == 1
    assert "expected at least 96%" in capsys.readouterr().out


def test_the_held_out_fifth_and_the_loss_to_start_with() -> None:
    rng = np.random.default_rng(0)
    data = digits.split_digits(rng)
    assert data.X_held.shape == (359, 64)
    assert len(data.X) + len(data.X_held) == 1797
    parameters = digits.start(rng, 64, 8, 10)
    value = digits.loss(data.X[:32], data.y[:32], **parameters)
    assert 1.0 < value < 10.0


def test_lenet_recognises_what_it_promises(capsys: pytest.CaptureFixture[str]) -> None:
    """A full run: gradients checked, 98 % of the held-out digits."""
    assert lenet.main([]) == 0, capsys.readouterr().out


def test_lenet_says_when_the_promise_is_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert lenet.main(["--epochs", "1", "--rate", "1e-6"]) == 1
    assert "expected at least 98%" in capsys.readouterr().out
