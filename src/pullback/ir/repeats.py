"""Equal stretches of a straight-line program: what comes again and again is what a loop was.

A stretch comes again where the statements after it are the same, one by one, but for the names of
what they define and read, and for literals. What a statement reads is told apart: what its own turn
made, what the turn before made (it is *carried*), what is the same in every turn, and what is
another one in each (it *varies*).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .intern import unspelled
from .program import Define
from .subscripts import Index
from .turns import runs
from .walk import bound_indices, renamed

MOST_STARTS = 32  # statements at which the first turn is tried to begin

# In a node's key: the name of a tensor, and a literal (also an extent).
_NAME = re.compile(r"(?<=Tensor\()((?:\\.|[^,\\])+)")
_LITERAL = re.compile(r"(?<![\w.\\])(-?\d+(?:/\d+)?)(?![\w.])")


@dataclass(frozen=True)
class Repeat:
    """``count`` turns of ``period`` statements each, from the statement ``start`` on.

    ``carried`` are pairs: what the first turn reads, and the place in a turn of the statement whose
    value the other turns read there. ``varying`` are the names that the turns read at one place, a
    name a turn; ``literals`` the texts of literals that differ, a text a turn.
    """

    start: int
    period: int
    count: int
    carried: tuple[tuple[str, int], ...] = ()
    varying: tuple[tuple[str, ...], ...] = ()
    literals: tuple[tuple[str, ...], ...] = ()

    @property
    def covered(self) -> int:
        """The number of statements in all turns."""
        return self.period * self.count


def longest_repeat(statements: Sequence[Define]) -> Repeat | None:
    """The turns that cover most statements, the shortest of these, the first of these; None where
    nothing comes twice.

    >>> from pullback.notation.parse import parse
    >>> lines = [f"H{t + 1}[i] = tanh(X{t}[i] + H{t}[i])" for t in range(4)]
    >>> found = longest_repeat(parse(chr(10).join(lines)).statements)
    >>> found.start, found.period, found.count, found.carried
    (0, 1, 4, (('H0', 0),))
    >>> found.varying
    (('X0', 'X1', 'X2', 'X3'),)
    """
    lines = [_line(statement) for statement in statements]
    made = {line.target: n for n, line in enumerate(lines)}
    best: Repeat | None = None
    for run in runs([line.shape for line in lines]):
        covered = run.count * run.period
        if best is not None and (-covered, run.period) >= _rank(best)[:2]:
            break  # what is left can't be better
        for start in range(run.start, run.start + min(run.period, MOST_STARTS)):
            end = run.start + covered
            found = _consistent(lines, made, start, run.period, (end - start) // run.period)
            if found is not None and (best is None or _rank(found) < _rank(best)):
                best = found
    return best


def _rank(found: Repeat) -> tuple[int, int, int]:
    return -found.covered, found.period, found.start


@dataclass(frozen=True)
class _Line:
    """A statement: its text without names and literals, and these."""

    shape: tuple[str, ...]
    target: str
    reads: tuple[str, ...]
    literals: tuple[str, ...]


def _line(statement: Define) -> _Line:
    own = dict.fromkeys((*statement.indices, *bound_indices(statement.body)))
    names = {index: Index(f"i{n}", index.extent) for n, index in enumerate(own)}
    body = renamed(statement.body, names, {})
    axes = "".join(names[index].key for index in statement.indices)
    parts = _NAME.split(f"{statement.target.key}{axes}={body.key}")
    texts = [_LITERAL.split(part) for part in parts[::2]]
    target, *reads = map(unspelled, parts[1::2])
    shape = tuple("%".join(text[::2]) for text in texts)
    return _Line(shape, target, tuple(reads), tuple(one for text in texts for one in text[1::2]))


def _consistent(
    lines: Sequence[_Line], made: dict[str, int], start: int, period: int, count: int
) -> Repeat | None:
    """The most turns, of ``count`` from ``start`` on, in which what is read corresponds."""
    while count >= 2:
        found = _compared(lines, made, start, period, count)
        if isinstance(found, Repeat):
            return found
        if found <= 1:  # the first turn reads something else than the others
            start, count = start + period, count - 1
        else:
            count = found
    return None


def _compared(
    lines: Sequence[_Line], made: dict[str, int], start: int, period: int, count: int
) -> Repeat | int:
    """What is carried and what varies; where turns don't correspond, the first that doesn't."""
    carried: dict[int, str] = {}
    varying: dict[tuple[str, ...], None] = {}
    literals: dict[tuple[str, ...], None] = {}
    wrong = count
    for place in range(period):
        turns = [lines[start + k * period + place] for k in range(count)]
        for names in zip(*(line.reads for line in turns), strict=True):
            ways = [_way(made.get(name), start, period, k) for k, name in enumerate(names)]
            usual = ways[1]
            wrong = min(wrong, next((k for k in range(2, count) if ways[k] != usual), count))
            if usual == _OLDER or (ways[0] != usual and (ways[0] != _OUTSIDE or usual[0] != 1)):
                return 1
            if usual[0] == 1 and carried.setdefault(usual[1], names[0]) != names[0]:
                return 1
            if usual == _OUTSIDE and len(set(names)) > 1:
                varying[names] = None
        for texts in zip(*(line.literals for line in turns), strict=True):
            if len(set(texts)) > 1:
                literals[texts] = None
    if wrong < count:
        return wrong
    pairs = tuple((name, place) for place, name in sorted(carried.items()))
    return Repeat(start, period, count, pairs, tuple(varying), tuple(literals))


_Way = tuple[int, int]  # how many turns ago, and at which place of that turn
_OUTSIDE: _Way = (-1, 0)
_OLDER: _Way = (-2, 0)


def _way(definition: int | None, start: int, period: int, turn: int) -> _Way:
    """Where a value comes from that a turn reads."""
    if definition is None or definition < start:
        return _OUTSIDE
    back = turn - (definition - start) // period
    return (back, (definition - start) % period) if back in (0, 1) else _OLDER
