"""What a check came to: passed, failed, or not checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

Status = Literal["passed", "failed", "not checked"]

MARKS: dict[Status, str] = {"passed": "✓", "failed": "✗", "not checked": "–"}
WORST: tuple[Status, ...] = ("failed", "not checked", "passed")


def verdict(status: Status) -> str:
    """The last word of a report on a check: a failure is written in capitals."""
    return status.upper() if status == "failed" else status


def decided(failed: bool, compared: bool) -> Status:
    """Failed where anything failed, passed only where something was compared.

    >>> decided(failed=False, compared=False)
    'not checked'
    """
    return "failed" if failed else "passed" if compared else "not checked"


def overall(statuses: Iterable[Status]) -> Status:
    """The status of several checks together: one failure is a failure, nothing is no success.

    >>> overall(["passed", "not checked"]), overall([])
    ('passed', 'not checked')
    """
    found = set(statuses)
    return decided("failed" in found, "passed" in found)


class Tally(NamedTuple):
    """How many checks there are, by what they came to.

    >>> print(Tally.of(["passed", "not checked", "passed"]))
    2 of 3 passed, 1 not checked
    """

    passed: int
    failed: int
    unchecked: int

    @classmethod
    def of(cls, statuses: Iterable[Status]) -> Tally:
        """The counts."""
        found = list(statuses)
        return cls(*(found.count(s) for s in ("passed", "failed", "not checked")))

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)

    def __str__(self) -> str:
        rest = [(self.failed, "FAILED"), (self.unchecked, "not checked")]
        more = "".join(f", {count} {what}" for count, what in rest if count)
        return f"{self.passed} of {self.total} passed{more}"
