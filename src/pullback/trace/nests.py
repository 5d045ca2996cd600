"""The turns of the user's loops that an operation stands in.

Python doesn't tell how often a loop has gone round. Its variables do: that of a ``for`` holds
another value in each turn. Which loops stand around an instruction is read from the code.
"""

from __future__ import annotations

import dis
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any

Turn = tuple[int, int]  # one run of a loop, and which of its turns
Nest = tuple[Turn, ...]  # of the loops around an operation, the outermost first


Values = dict[tuple[int, int, int], dict[int, list[int | None]]]
"""Of each loop in a turn of another one: what its variable was in each turn of each of its runs."""


@dataclass(frozen=True)
class _Loop:
    """A ``for`` loop of some code: its instructions, and the variables that nothing else sets."""

    start: int
    stop: int
    names: tuple[str, ...]


@dataclass
class _Running:
    frame: FrameType
    loop: _Loop
    values: tuple[Any, ...]
    run: int
    turn: int


class Nests:
    """Counts the turns of loops, as operations come to stand in them.

    ``known``: whether all loops have been of kinds whose turns can be told. Those of a ``while``
    can't, nor those of a ``for`` whose body sets its variables.

    >>> import sys
    >>> nests, found = Nests(), []
    >>> def run():
    ...     for i in range(2):
    ...         for j in "ab":
    ...             found.append(nests.of([sys._getframe(0)]))
    >>> run()
    >>> found
    [((1, 0), (2, 0)), ((1, 0), (2, 1)), ((1, 1), (3, 0)), ((1, 1), (3, 1))]
    """

    def __init__(self) -> None:
        self.known = True
        self._running: list[_Running] = []
        self._runs = 0
        self.values: Values = {}

    def of(self, frames: Sequence[FrameType]) -> Nest:
        """The turns that are running in frames of the user's, the innermost of these first."""
        depth = 0
        for frame in reversed(frames):
            loops = _loops(frame.f_code).get(frame.f_lasti, ())
            if loops is None:
                self.known = False
            held = frame.f_locals if loops else {}
            for loop in loops or ():
                self.known &= all(name in held for name in loop.names)
                self._enter(depth, frame, loop, tuple(held.get(name) for name in loop.names))
                depth += 1
        del self._running[depth:]
        return tuple((one.run, one.turn) for one in self._running)

    def _enter(self, depth: int, frame: FrameType, loop: _Loop, values: tuple[Any, ...]) -> None:
        if depth < len(self._running):
            own = self._running[depth]
            if own.frame is frame and own.loop is loop:
                if not all(map(_same, own.values, values)):
                    own.turn += 1
                    own.values = values
                    self._note(depth)
                    del self._running[depth + 1 :]
                return
            del self._running[depth:]
        self._runs += 1
        self._running.append(_Running(frame, loop, values, self._runs, 0))
        self._note(depth)

    def _note(self, depth: int) -> None:
        """Takes note of the value that a turn of a loop in a loop has for its variable."""
        if depth:
            own, around = self._running[depth], self._running[depth - 1]
            runs = self.values.setdefault((id(own.loop), around.run, depth), {})
            value = own.values[0] if own.values else None
            runs.setdefault(own.run, []).append(value if type(value) is int else None)


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is int and type(other) is int and one == other)


def idle_turns(values: Values, nests: Iterable[Nest]) -> dict[int, int]:
    """Of runs of a loop in a loop, the turn in which nothing is computed, given the turns in which
    something is: of ``for j in range(n): if j != i: ...`` the i-th. Only of loops all of whose runs
    have such a turn."""
    present: dict[int, dict[int, None]] = {}
    for nest in nests:
        for run, turn in nest[1:]:
            present.setdefault(run, {})[turn] = None
    found: dict[int, int] = {}
    for runs in values.values():
        rows = {run: [own[turn] for turn in present.get(run, ())] for run, own in runs.items()}
        every = {value for row in rows.values() for value in row if value is not None}
        if len(rows) < 3 or any(None in row for row in rows.values()):
            continue
        falls = any(a > b for row in rows.values() for a, b in pairwise(row))  # type: ignore[operator]
        order = sorted(every, reverse=falls)
        left = [[k for k, value in enumerate(order) if value not in row] for row in rows.values()]
        if len({b - a for a, b in pairwise(order)}) == 1 and all(len(k) == 1 for k in left):
            found.update(zip(rows, (k for (k,) in left), strict=True))
    return found


@lru_cache(maxsize=256)
def _loops(code: CodeType) -> dict[int, tuple[_Loop, ...] | None]:
    """The loops around each instruction that is in one, the outermost first; None where the turns
    of one of them can't be told."""
    steps = list(dis.get_instructions(code))
    stores = [(step.offset, name) for step in steps for name in _stored(step)]
    loops: list[_Loop] = []
    unseen: list[tuple[int, int]] = []
    heads = {step.offset for step in steps if step.opname == "FOR_ITER"}
    for k, step in enumerate(steps):
        if step.opname == "FOR_ITER":
            first, last = step.offset, int(step.argval)
            own = _targets(steps[k + 1 :])
            names = tuple(
                name
                for offset, name in own
                if sum(first < at < last and name == other for at, other in stores) == 1
            )
            loops.append(_Loop(first, last, names))
            if not names:
                unseen.append((first, last))
        elif "JUMP" in step.opname and int(step.argval or 0) < step.offset:
            unseen += [(int(step.argval), step.offset + 2)] if step.argval not in heads else []
    found: dict[int, tuple[_Loop, ...] | None] = {}
    for offset in range(0, len(code.co_code), 2):
        if any(first < offset < last for first, last in unseen):
            found[offset] = None
        elif own_loops := tuple(one for one in loops if one.start < offset < one.stop):
            found[offset] = own_loops
    return found


def _targets(steps: Sequence[dis.Instruction]) -> list[tuple[int, str]]:
    """The variables that a loop gives values, and where, of the instructions of its body."""
    found: list[tuple[int, str]] = []
    for step in steps:
        names = _stored(step)
        if not names and not step.opname.startswith(("UNPACK", "CACHE", "EXTENDED_ARG", "NOP")):
            break
        found += [(step.offset, name) for name in names]
    return found


def _stored(step: dis.Instruction) -> tuple[str, ...]:
    """The variables that an instruction sets."""
    kind = step.opname.split("_")
    if kind[0] != "STORE" or kind[1] not in ("FAST", "NAME", "DEREF", "GLOBAL"):
        return ()
    if isinstance(step.argval, tuple):  # two instructions in one: the second may load
        return tuple(step.argval) if kind[2:3] == ["STORE"] else tuple(step.argval[:1])
    return (str(step.argval),)
