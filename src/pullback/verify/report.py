"""What a check has to say: one comparison a value, readable and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import CheckError


@dataclass(frozen=True)
class Comparison:
    """One value compared with what it should be.

    ``what`` names the value ("gradient of W"), ``against`` the oracle. ``index`` is the place of
    the worst element, ``expected`` and ``found`` what stands there, ``error`` their difference and
    ``tolerance`` what was allowed there. ``passed`` is None where nothing could be decided;
    ``note`` says why, ``hint`` what the mistake looks like. ``elements`` counts what was compared.
    """

    what: str
    against: str
    passed: bool | None
    index: tuple[int, ...] | None = None
    expected: Any = None
    found: Any = None
    error: float | None = None
    tolerance: float | None = None
    elements: int = 0
    note: str = ""
    hint: str = ""

    @property
    def mark(self) -> str:
        """✓, ✗ or – (not decided)."""
        return "–" if self.passed is None else "✓" if self.passed else "✗"

    @property
    def place(self) -> str:
        """The worst element as a subscript."""
        return "" if not self.index else f"[{', '.join(map(str, self.index))}]"

    def __str__(self) -> str:
        head = f"{self.mark} {self.what} against {self.against}"
        lines = [f"{head}: {self._verdict()}" if self._verdict() else head]
        if self.passed is False and self.index is not None:
            lines += [
                f"    worst element {self.place or '()'}",
                f"    expected {_show(self.expected)}",
                f"    found    {_show(self.found)}",
            ]
        elif self.passed is False and self.expected is not None:
            lines += [f"    expected {self.expected}", f"    found    {self.found}"]
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        return "\n".join(lines)

    def _verdict(self) -> str:
        parts = []
        if self.error is not None and self.tolerance is not None:
            parts.append(f"error {self.error:.2g}, tolerance {self.tolerance:.2g}")
        if self.elements:
            parts.append(f"{self.elements} value{'s' if self.elements != 1 else ''}")
        if self.note:
            parts.append(self.note)
        return "; ".join(parts)


@dataclass(frozen=True)
class Report:
    """The result of a check; ``seed`` repeats it.

    >>> Report("example", (Comparison("gradient of X", "finite differences", True),), seed=0).passed
    True
    """

    name: str
    comparisons: tuple[Comparison, ...]
    seed: int
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing failed."""
        results = [c.passed for c in self.comparisons]
        return True in results and False not in results

    def __bool__(self) -> bool:
        return self.passed

    @property
    def failures(self) -> tuple[Comparison, ...]:
        """The comparisons that failed."""
        return tuple(c for c in self.comparisons if c.passed is False)

    def raise_if_failed(self) -> Report:
        """Itself; raises CheckError unless it passed."""
        if not self.passed:
            raise CheckError(str(self))
        return self

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED" if self.failures else "NOTHING DECIDED"
        lines = [f"{self.name}: {verdict} (seed {self.seed})"]
        lines += [f"  {line}" for c in self.comparisons for line in str(c).split("\n")]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def to_json(self) -> str:
        """The same as a JSON object; numbers that are not finite as text."""
        data = {
            "name": self.name,
            "passed": self.passed,
            "seed": self.seed,
            "comparisons": [_plain(asdict(c)) for c in self.comparisons],
            "notes": list(self.notes),
        }
        return json.dumps(data, ensure_ascii=False)


def _show(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float() if value != value or abs(value) == float("inf"):
            return str(value)
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return str(value)
