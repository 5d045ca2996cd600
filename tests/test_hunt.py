"""The hunt runs, and notices what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from tools.hunt.outcome import Outcome, Wrong, expect_equal, expect_slope, judged
from tools.hunt.running import KINDS, Tally, one, table


@pytest.mark.parametrize("kind", KINDS)
def test_some_cases_of_each_kind(kind: str) -> None:
    outcomes = [one(kind, seed) for seed in range(4)]
    assert not [o for o in outcomes if o.status in ("wrong", "foreign")], outcomes
    assert any(o.status == "right" for o in outcomes), outcomes


def test_a_case_is_its_kind_and_seed() -> None:
    assert one("sizes", 3) == one("sizes", 3)


def test_a_wrong_gradient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pullback.vjp

    def doubled(function: Callable[..., Any], *primals: Any) -> Any:
        out, pull = real(function, *primals)
        return out, lambda seeds: tuple(2 * g for g in pull(seeds))

    monkeypatch.setattr(pullback, "vjp", doubled)
    assert "wrong" in {one("NumPy", seed).status for seed in range(6)}


def test_what_becomes_of_a_case() -> None:
    def refused() -> None:
        pullback.grad(lambda x: x)(np.ones(3))

    def foreign() -> None:
        raise KeyError("k")

    assert judged(lambda: None) == Outcome("right")
    assert judged(lambda: expect_equal("value", 1.0, 2.0)).status == "wrong"
    assert judged(refused).status == "refused"
    assert judged(foreign) == Outcome("foreign", "KeyError: 'k'")


def test_a_slope_is_compared_where_both_sides_agree() -> None:
    with pytest.raises(Wrong):
        expect_slope("sine", lambda t: float(np.sin(t)), 1.1, 1e-6)
    assert expect_slope("sine", lambda t: float(np.sin(t)), 1.0, 1e-6)
    assert not expect_slope("kink", abs, 0.3, 1e-6)


def test_the_table_counts() -> None:
    tally = Tally()
    tally.add(1, Outcome("refused", "no form"))
    tally.add(2, Outcome("wrong", "value"))
    text = table({"sizes": tally})
    assert "| sizes | 2 | 0 | 1 | 0 | 1 | 0 |" in text
    assert "| 1 | sizes | no form |" in text
    assert tally.bad == [(2, Outcome("wrong", "value"))]
