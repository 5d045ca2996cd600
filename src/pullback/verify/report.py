"""What a check has to say: one comparison a value, readable and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..derivation.status import MARKS, Status, overall, verdict
from ..errors import CheckError
from ..text import json_text

if TYPE_CHECKING:
    from .redpen.mistake import Mistake


@dataclass(frozen=True)
class Comparison:
    """One value compared with what it should be.

    ``what`` names the value ("gradient of W"), ``against`` the oracle, ``status`` is "passed",
    "failed" or "not checked". ``index`` is the place of the worst element, ``expected`` and
    ``found`` what stands there, ``error`` their difference and ``tolerance`` what was allowed
    there. ``elements`` counts the elements that were compared, ``unchecked`` those that could not
    be; ``note`` says why not, ``hint`` what the mistake looks like. ``mistake`` is what
    ``check_backward`` knows of a wrong gradient: the term, and the corrected line
    (:class:`~pullback.verify.redpen.mistake.Mistake`); None where nothing is known for sure.
    """

    what: str
    against: str
    status: Status
    index: tuple[int, ...] | None = None
    expected: Any = None
    found: Any = None
    error: float | None = None
    tolerance: float | None = None
    elements: int = 0
    note: str = ""
    hint: str = ""
    unchecked: int = 0
    mistake: Mistake | None = None

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing failed."""
        return self.status == "passed"

    @property
    def failed(self) -> bool:
        """Whether an element was found to be wrong."""
        return self.status == "failed"

    @property
    def mark(self) -> str:
        """✓ passed, ✗ failed, – not checked."""
        return MARKS[self.status]

    @property
    def place(self) -> str:
        """The worst element as a subscript."""
        return "" if not self.index else f"[{', '.join(map(str, self.index))}]"

    def __str__(self) -> str:
        head = f"{self.mark} {self.what} against {self.against}"
        lines = [f"{head}: {self._verdict()}" if self._verdict() else head]
        if self.failed and self.index is not None:
            lines += [
                f"    worst element {self.place or '()'}",
                f"    expected {_show(self.expected)}",
                f"    found    {_show(self.found)}",
            ]
        elif self.failed and self.expected is not None:
            lines += [f"    expected {self.expected}", f"    found    {self.found}"]
        if self.hint:
            lines.append("    hint: " + self.hint.replace("\n", "\n          "))
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

    >>> right = Comparison("gradient of X", "finite differences", "passed", elements=6)
    >>> none = Comparison("gradient of W", "finite differences", "not checked", unchecked=4)
    >>> Report("example", (right,), seed=0).status, Report("example", (right, none), seed=0).status
    ('passed', 'not checked')
    """

    name: str
    comparisons: tuple[Comparison, ...]
    seed: int
    notes: tuple[str, ...] = field(default=())

    @property
    def status(self) -> Status:
        """Failed where a comparison failed; passed only where each value was compared once.

        A value that has elements, none of which any comparison could compare, leaves the whole
        "not checked".
        """
        return compared(self.comparisons)

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing failed."""
        return self.status == "passed"

    @property
    def elements(self) -> int:
        """How many elements were compared, over all comparisons."""
        return sum(c.elements for c in self.comparisons)

    @property
    def unchecked(self) -> int:
        """How many elements could not be compared, over all comparisons."""
        return sum(c.unchecked for c in self.comparisons)

    def __bool__(self) -> bool:
        return self.passed

    @property
    def failures(self) -> tuple[Comparison, ...]:
        """The comparisons that failed."""
        return tuple(c for c in self.comparisons if c.failed)

    def raise_if_failed(self) -> Report:
        """Itself; raises CheckError unless it passed."""
        if not self.passed:
            raise CheckError(str(self))
        return self

    def __str__(self) -> str:
        lines = [f"{self.name}: {verdict(self.status)} (seed {self.seed})"]
        lines += [f"  {line}" for c in self.comparisons for line in str(c).split("\n")]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def to_json(self) -> str:
        """The same as a JSON object; numbers that are not finite as text."""
        data = {
            "name": self.name,
            "status": self.status,
            "passed": self.passed,
            "elements": self.elements,
            "unchecked": self.unchecked,
            "seed": self.seed,
            "comparisons": [{**_plain(_as_dict(c)), "passed": c.passed} for c in self.comparisons],
            "notes": list(self.notes),
        }
        return json_text(data, None)


def compared(comparisons: Sequence[Comparison]) -> Status:
    """The status of several comparisons together; see :attr:`Report.status`."""
    found = overall(c.status for c in comparisons)
    passed = {c.what for c in comparisons if c.passed}
    skipped = any(c.unchecked and c.what not in passed for c in comparisons)
    return "not checked" if found == "passed" and skipped else found


def _as_dict(comparison: Comparison) -> dict[str, Any]:
    """A comparison's fields; of its mistake the texts, not the formulas."""
    mistake = comparison.mistake
    return {
        **asdict(replace(comparison, mistake=None)),
        "mistake": None if mistake is None else mistake.to_dict(),
    }


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
