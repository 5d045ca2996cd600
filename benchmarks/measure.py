"""Timing contenders fairly: the same data, in turns, medians with their spread."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Thunk = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds a call, a figure a round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds)

    @property
    def least(self) -> float:
        """The least of the rounds."""
        return min(self.rounds)

    @property
    def greatest(self) -> float:
        """The greatest of the rounds."""
        return max(self.rounds)

    def ratio(self, other: Timing) -> float:
        """How many times longer this took: the median over the rounds, each with its own ratio.

        What disturbs a round disturbs both, so that this is steadier than a ratio of medians.
        """
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    def __str__(self) -> str:
        return f"{shown(self.median)} ({shown(self.least)} to {shown(self.greatest)})"


def shown(seconds: float) -> str:
    """A time with a fitting unit and three digits.

    >>> shown(0.00123)
    '1.23 ms'
    """
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def in_turns(
    contenders: Mapping[str, Thunk], rounds: int = 9, at_least: float = 0.02, gap: float = 0.02
) -> dict[str, Timing]:
    """Times each contender once a round, so that a busy moment of the machine hits all alike.

    A turn repeats the call until it takes ``at_least`` seconds; ``gap`` is slept between turns.
    The order of the contenders is reversed every other round.
    """
    repeats = {name: _repeats(thunk, at_least) for name, thunk in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        for name in names if turn % 2 else reversed(names):
            time.sleep(gap)
            seconds[name].append(_once(contenders[name], repeats[name]))
    return {name: Timing(tuple(found)) for name, found in seconds.items()}


def _repeats(thunk: Thunk, at_least: float) -> int:
    thunk()  # the first call may compile or fill a cache
    repeats = 1
    while (taken := _once(thunk, repeats) * repeats) < at_least:
        repeats = max(
            repeats + 1, min(10 * repeats, int(1.1 * repeats * at_least / (taken + 1e-9)))
        )
    return repeats


def _once(thunk: Thunk, repeats: int) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(repeats):
            thunk()
        return (time.perf_counter() - start) / repeats
    finally:
        gc.enable()
