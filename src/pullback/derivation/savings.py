"""The choices of what a backward pass saves, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from ..plan.saved import Frontier, Saving
from ..text import one_line
from .memory import human
from .registry import service

WIDEST = 44


class Savings:
    """From the fastest choice to the one that saves least; ``print`` shows a table."""

    def __init__(self, frontier: Frontier) -> None:
        self.frontier = frontier

    @cached_property
    def choices(self) -> tuple[Saving, ...]:
        """All choices."""
        return tuple(self.frontier.choices())

    def __iter__(self) -> Iterator[Saving]:
        return iter(self.choices)

    def __len__(self) -> int:
        return len(self.choices)

    def _table(self) -> tuple[list[tuple[str, ...]], str]:
        """The rows, heads first, and the sizes that were counted with."""
        rows: list[tuple[str, ...]] = [("saved", "bytes", "computed again", "operations")]
        for choice in self.choices:
            names = _names([t.name for t in choice.saved])
            again = _names([s.target.name for s in choice.again])
            rows.append((names, human(choice.size), again, f"{choice.work:.2g}"))
        named = {n: v for n, v in self.frontier.sizes.items() if n not in self.frontier.given}
        at = "".join(f"; {n} counts as {v}" for n, v in named.items())
        return rows, f"inputs and results are there anyway{at}"

    def _repr_html_(self) -> str:
        (head, *rows), said = self._table()
        return str(service("html of choices")(head, rows, said))

    def __str__(self) -> str:
        rows, said = self._table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
        return "\n".join([*lines, said])

    __repr__ = __str__


def _names(names: list[str]) -> str:
    """Names in a column: as many as there is room for."""
    text = one_line(", ".join(names)) or "nothing"
    if len(text) <= WIDEST:
        return text
    kept = text[:WIDEST].rpartition(", ")[0]
    return f"{kept} and {len(names) - len(kept.split(', '))} more"
