"""Runs of a sequence: planted ones are found, and what is found is one."""

from __future__ import annotations

from random import Random

import pytest

from pullback.ir.turns import Run, runs


def test_the_run_that_covers_most_comes_first_and_the_shortest_period_of_it() -> None:
    assert runs("xabababy") == [Run(1, 6, 2)]
    assert runs("aaaa")[0] == Run(0, 4, 1)
    assert runs("abc") == []
    assert runs("") == []


def test_fewer_turns_than_asked_for_are_none() -> None:
    assert runs("abab", least=3) == []
    assert runs("ababab", least=3) == [Run(0, 6, 2)]


def test_a_turn_may_be_cut_short() -> None:
    (run,) = [run for run in runs("abcabcab") if run.period == 3]
    assert (run.count, run.stop) == (2, 8)


@pytest.mark.parametrize("period", [1, 2, 7, 60, 200])
def test_planted_runs_are_found(period: int) -> None:
    random = Random(period)
    turn = [f"{random.randrange(5)}" for _ in range(period)]
    turn[0] = "the head of the loop"
    items = ["before"] * 3 + turn * 5 + [f"after {k}" for k in range(4)]
    first = runs(items, least=3)[0]
    assert (first.start, first.count, first.period) == (3, 5, period)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_found_goes_round(seed: int) -> None:
    random = Random(seed)
    items = [random.randrange(3) for _ in range(40)]
    for run in runs(items):
        part = items[run.start : run.stop]
        assert len(part) == run.length >= 2 * run.period
        assert part[run.period :] == part[: -run.period]
