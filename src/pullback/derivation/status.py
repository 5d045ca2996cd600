"""What a check came to: passed, failed, or not checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

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
