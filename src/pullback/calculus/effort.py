"""How much is spent on the search for compact forms.

Work is counted, not timed, so that a program has the same backward pass on every machine. The unit
is one attempt to find a defined value in a term; it takes a tenth of a millisecond or two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Limit:
    """The work that a program may take: so much, and so much more a flat statement."""

    start: float
    each: float

    def of(self, statements: int) -> Effort:
        """The effort for a program of so many statements."""
        return Effort(self.start + self.each * statements)


class Spent(Exception):
    """No work is left."""


class Effort:
    """The work that is left; without a limit unless one is given.

    >>> effort = Effort(2)
    >>> effort.take(2), effort.over
    (True, False)
    >>> effort.tried(lambda: effort.spend(), "not found"), effort.over
    ('not found', True)
    """

    def __init__(self, work: float = inf) -> None:
        self.left = work

    @property
    def over(self) -> bool:
        """Whether a search was given up."""
        return self.left < 0

    def take(self, work: float) -> bool:
        """Take some work away; whether there was as much."""
        self.left -= work
        return not self.over

    def spend(self, work: float = 1) -> None:
        """Take some work away; raises :class:`Spent` where there was not as much."""
        if not self.take(work):
            raise Spent

    def tried(self, search: Callable[[], T], otherwise: T) -> T:
        """What a search finds, as long as there is work left for it."""
        if self.over:
            return otherwise
        try:
            return search()
        except Spent:
            return otherwise


NUMBERS = Limit(600, 4)  # where only the numbers are wanted
FORMULAS = Limit(5000, 100)  # where the formulas are read, too
