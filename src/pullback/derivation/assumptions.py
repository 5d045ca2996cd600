"""What a derivation takes for granted of the sizes that it is used at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..ir.program import Source

MOST = 6  # assignments that are shown in full


class Assumption(NamedTuple):
    """A condition on the sizes, the source line that it comes from, and how it is known.

    >>> print(Assumption("N < 1000", "model.py:12: if n >= 1000:", "asserted in the source"))
    N < 1000 (model.py:12: if n >= 1000:): asserted in the source
    """

    condition: str
    line: str
    known: str

    def __str__(self) -> str:
        line = f" ({self.line})" if self.line else ""
        return f"{self.condition}{line}: {self.known}"


def line_of(source: Source) -> str:
    """A source line with its file's name in front, "" where none is known."""
    file = source.file.replace("\\", "/").rpartition("/")[2]
    number = f"{file}:{source.line}" if file else f"line {source.line}"
    place = number if source.line else ""
    return ": ".join(part for part in (place, source.text) if part)


def at_each(every: Sequence[Mapping[str, int]]) -> str:
    """Several assignments of sizes, a few of them each in full.

    >>> at_each([{"N": 5, "D": 7}, {"N": 6, "D": 8}])
    '(N, D) = (5, 7), (6, 8)'
    """
    names = tuple(every[0])
    if len(names) == 1 or len(every) > MOST:
        return at_all(every)
    values = ", ".join(str(tuple(sizes[name] for name in names)) for sizes in every)
    return f"({', '.join(names)}) = {values}"


def at_all(every: Sequence[Mapping[str, int]]) -> str:
    """The values of each name in several assignments.

    >>> at_all([{"N": 5, "D": 7}, {"N": 6, "D": 7}, {"N": 7, "D": 7}])
    'N = 5 to 7; D = 7'
    """
    return "; ".join(f"{name} = {spans(sizes[name] for sizes in every)}" for name in every[0])


def spans(values: Iterable[int]) -> str:
    """Whole numbers in order, three and more in a row as a span.

    >>> spans([7, 5, 12, 13, 14, 5])
    '5, 7, 12 to 14'
    """
    runs: list[list[int]] = []
    for n in sorted(set(values)):
        if runs and runs[-1][-1] == n - 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    parts = [f"{r[0]} to {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs]
    return ", ".join(parts)
