"""Where a sequence goes round: stretches in which the same items come again at equal distances.

What is found says nothing of what the items mean. A trace's statements, each given a number so that
statements alike but for names and numbers have the same one, are such a sequence, and a loop
of the traced function is a run of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

SHORT = 256  # periods that are all tried, if there's time
FIRST = 48  # of these, those that are tried before the others
MOST_PERIODS = 24  # longer ones that are tried, those at which items come again most often
MOST_COMPARED = 10**7  # pairs of items


@dataclass(frozen=True)
class Run:
    """From ``start`` on, ``length`` items of which each is the one ``period`` places further."""

    start: int
    length: int
    period: int

    @property
    def count(self) -> int:
        """The number of complete turns."""
        return self.length // self.period

    @property
    def stop(self) -> int:
        """The place after the last item."""
        return self.start + self.length


def runs(items: Sequence[Hashable], least: int = 2) -> list[Run]:
    """The runs of at least ``least`` turns: first those that cover most, of these the shortest
    period, of these the first.

    >>> runs("xabcabcabcy")
    [Run(start=1, length=9, period=3)]
    >>> runs("abbabbab", least=2)[0]
    Run(start=0, length=8, period=3)
    """
    numbers: dict[Hashable, int] = {}
    known = [numbers.setdefault(item, len(numbers)) for item in items]
    found = [run for period in _periods(known) for run in _of_period(known, period, least)]
    return sorted(found, key=lambda run: (-run.count * run.period, run.period, run.start))


def _periods(items: Sequence[int]) -> list[int]:
    """Distances to look at: short ones, and those at which rare items come again."""
    half = len(items) // 2
    last: dict[int, int] = {}
    distances: Counter[int] = Counter()
    for place, item in enumerate(items):
        if item in last and FIRST < place - last[item] <= half:
            distances[place - last[item]] += 1
        last[item] = place
    common = sorted(distances, key=lambda period: (-distances[period], period))[:MOST_PERIODS]
    every = dict.fromkeys((*range(1, FIRST + 1), *sorted(common), *range(FIRST + 1, SHORT + 1)))
    return [p for p in every if p <= half][: max(1, MOST_COMPARED // max(1, len(items)))]


def _of_period(items: Sequence[int], period: int, least: int) -> Iterator[Run]:
    equal = 0
    last = len(items) - period
    for place in range(last + 1):
        if place < last and items[place] == items[place + period]:
            equal += 1
            continue
        if equal + period >= least * period:
            yield Run(place - equal, equal + period, period)
        equal = 0
