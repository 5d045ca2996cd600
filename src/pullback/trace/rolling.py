"""Loops of a traced function, found in its trace: what comes again becomes a recurrence.

A trace is a flat list of statements, in which a Python loop left one stretch a turn. The stretches
are found (:mod:`pullback.ir.turns`), compared exactly (:mod:`pullback.trace.alike`), and become
statements over a step index. A list of what the turns made, stacked, is then the array over all
steps; a read of what the last turn made is one of the last step, where there is one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby, islice, pairwise
from typing import Any

import numpy as np

from ..ir.expr import (
    ZERO,
    Access,
    Add,
    And,
    Cond,
    Divides,
    Expr,
    Guard,
    Inside,
    Mul,
    Not,
    Number,
    Opaque,
    Or,
    Reduce,
    Select,
    Tensor,
    Zero,
    add,
    mul,
)
from ..ir.program import Define, Program, computing, live, reads
from ..ir.recurrence import direction, groups, in_order, is_recurrent, recurrent
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, Lookup, Subscript, at, constant
from ..ir.turns import Run, runs
from ..ir.walk import (
    Tree,
    accesses,
    bottom_up,
    bound_indices,
    map_tensors,
    nodes,
    rename_tensors,
    renamed,
    substitute,
    tensors,
)
from ..text import PRIVATE
from .alike import Turns, Unlike, canonical
from .naming import unique
from .nests import Nest, idle_turns
from .tracer import Traced

FEWEST_TURNS = 8  # of a loop that is rolled where its length is plain
FEWEST_NAMED = 3  # of one whose length is a named size
FEWEST_INNER = 4  # of a loop within a loop
MOST_LOOPS = 12  # that are looked for in a trace
MOST_RUNS = 32  # that are looked at for one loop
MOST_ROWS = 4  # runs of which those of several turns are looked at
MOST_STARTS = 8
MOST_BEFORE = 3  # turns before those that look alike
TRIED = 6  # turns that are compared to see which start is best
_LEFT_OUT = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1))  # turns at both ends

STEPS = ("t", "s", "n", "p", "q", "r", "u", "v", "w")
_NAME = re.compile(r"(?<=Tensor\()((?:\\.|[^,\\])+)")
_LITERAL = re.compile(r"(?<![\w.\\])(-?\d+(?:/\d+)?)(?![\w.])")
_NUMBERED = re.compile(r"(.+?)_\d+")
_TEMPORARY = re.compile(r"t\d+")


def rolled(
    traced: Traced,
    least: int = FEWEST_TURNS,
    *,
    guarded: bool = False,
    inner: bool = True,
    by_rows: bool = False,
    both: bool = False,
    borders: bool = False,
) -> Traced:
    """The trace, its loops of at least ``least`` turns as recurrences; itself where it has none.

    ``guarded``: what comes after a loop reads what was there before it, where there are no turns.
    ``inner``: loops within loops become recurrences, too, of which no turn of the outer loop needs
    another turn's; else their turns stay written out in the outer loop. ``by_rows``: a loop and the
    one around it become one, whose turns are those of the inner one, row by row.
    ``both``: turns whose recurrences need what other turns made become recurrences along two
    indices. ``borders``: the first or the last turn of a loop may read another thing than the
    others.
    """
    if least >= FEWEST_TURNS and not may_loop(traced.program.statements, least):
        return traced
    program = traced.program
    kept = tuple(computing(program.statements, program.outputs))
    rolling = _Rolling(traced, kept, least, guarded, inner, by_rows, both, borders)
    found = rolling.run()
    if rolling.nested or len(kept) == len(program.statements):
        return found
    # The last turn may lack what nothing reads any more.
    every = program.statements
    other = _Rolling(traced, every, least, guarded, inner, by_rows, both, borders).run()
    return min(found, other, key=lambda one: len(live(one.program).statements))


def may_loop(statements: Sequence[Define], least: int) -> bool:
    """Whether so many statements come from one source line."""
    if len(statements) < least:
        return False
    lines = Counter((s.source.file, s.source.line) for s in statements)
    return max(lines.values()) >= least


@dataclass
class _Region:
    """The places of the statements of each turn, and what they become."""

    turns: list[list[int]]
    made: Turns

    @property
    def covered(self) -> int:
        return sum(map(len, self.turns))

    @property
    def is_dense(self) -> bool:
        """Whether no other statements stand between the turns."""
        return self.turns[-1][-1] - self.turns[0][0] + 1 == self.covered

    def has(self, run: Run) -> bool:
        """Whether the turns of a run are several turns of this loop each."""
        last = self.turns[-1][-1]
        return run.period % len(self.turns[0]) == 0 and run.stop <= last + run.period

    @property
    def cost(self) -> tuple[int, int]:
        return _cost(self.covered, self.made)


class Nesting:
    """Loops of which a trace tells the turns, the inner ones first.

    What a turn made is read elsewhere as an element of the array of all turns, and as the sum that
    the turns add up to.
    """

    def __init__(self, rolling: _Rolling) -> None:
        self.rolling = rolling
        self.moved: dict[Tensor, tuple[Tensor, tuple[Subscript, ...]]] = {}
        self.within: dict[Tensor, Tensor] = {}  # the statement that another has become a part of
        self.members: dict[Tensor, list[Tensor]] = {}
        self.idle: dict[int, int] = {}  # of runs of loops, the turn in which nothing is computed
        self.readers: dict[Tensor, set[Tensor]] = {}

    def run(self) -> list[Define] | None:
        """The statements, with loops; None where no loop was found."""
        rolling = self.rolling
        items = self.in_turns()
        self.idle = idle_turns(rolling.traced.values, (nest for _, nest in items))
        for s, _ in items:
            for body in (s, rolling.stored.get(s.target)):
                for tensor in reads(body) if body is not None else ():
                    self.readers.setdefault(tensor, set()).add(s.target)
        found = self.level(items, 0)
        if not rolling.loops:
            return None
        for k, tensor in enumerate(rolling.outputs):
            if tensor in self.moved:
                found.append(self.whole(tensor))
                rolling.outputs[k] = found[-1].target
        rolling.statements = self.without_repeats(found)
        for made in [*rolling.loops]:
            rolling.sum_up(made)
        return rolling.statements

    def in_turns(self) -> list[tuple[Define, Nest]]:
        """The statements of all turns, without views. Of those that nothing reads only such as
        others are alike: the last turn may be the only one of which nothing is read."""
        rolling = self.rolling
        turns = rolling.traced.turns
        given, stored = _without_views(
            [s for s, _ in turns], rolling.outputs, rolling.traced.stored
        )
        rolling.letters |= {s.target: _letters(s) for s in given}
        rolling.stored = {target: canonical(s) for target, s in stored.items()}
        read = {s.target for s in computing(given, rolling.outputs)}
        kinds = {_sketch(s, False) for s in given if s.target in read}
        nests = {s.target: nest for s, nest in turns}
        return [
            (canonical(s), nests[s.target])
            for s in given
            if s.target in read or _sketch(s, False) in kinds
        ]

    def level(self, items: Sequence[tuple[Define, Nest]], depth: int) -> list[Define]:
        """The statements of a turn, the loops in it as one each."""
        out: list[Define] = []
        for run, group in groupby(items, lambda one: one[1][depth][0] if one[1][depth:] else 0):
            if run:
                out += self.loop([*group], depth)
            else:
                out += [own for s, _ in group for own in self.reading_all(s)]
        return out

    def loop(self, items: Sequence[tuple[Define, Nest]], depth: int) -> list[Define]:
        """The statements of all turns of a loop, as far as they are alike as one."""
        groups = groupby(items, lambda one: one[1][depth][1])
        turns = [self.level([*group], depth + 1) for _, group in groups]
        alone = not depth and all(len(nest) == 1 for _, nest in items)
        idle = self.idle.get(items[0][1][depth][0])
        odd = self.odd(turns) if idle is None and not alone else None
        found = None
        if odd is not None:
            found = self.most([turn for turn in turns if turn is not turns[odd]], odd)
        if found is not None and odd is not None:
            apart = turns.pop(odd)
        else:
            apart = []
            found = None if alone else self.most(turns, idle)
        if found is None:
            return [s for turn in turns for s in turn]
        first, made = found
        rolled = self.entered(made, depth)
        later = (s for turn in turns[first + len(made.turns) :] for s in turn)
        return [
            *(s for turn in turns[:first] for s in turn),
            *apart,
            *rolled,
            *(own for s in later for own in self.reading_all(s)),
        ]

    def odd(self, turns: Sequence[Sequence[Define]]) -> int | None:
        """The turn that does something else than the others, if none of these needs it and it needs
        none of them: that of ``if i == j``."""
        kinds = [[_sketch(s, False) for s in turn] for turn in turns]
        others = Counter(map(tuple, kinds))
        usual, times = others.most_common(1)[0]
        odd = [k for k, kind in enumerate(kinds) if tuple(kind) != usual]
        if len(odd) != 1 or times < self.rolling.least:
            return None
        own = {s.target for s in turns[odd[0]]}
        made = {s.target for turn in turns for s in turn} - own
        needed = any(self.readers.get(t, set()) & made for t in own)
        needs = any(made.intersection(reads(s)) for s in turns[odd[0]])
        return None if needed or needs else odd[0]

    def most(self, turns: Sequence[Sequence[Define]], idle: int | None) -> tuple[int, Turns] | None:
        """The most turns that are alike, and which is the first of them; nothing is computed in an
        ``idle`` one, which isn't among them."""
        least = self.rolling.least
        kinds = [[_sketch(s, s.target in self.rolling.steps) for s in turn] for turn in turns]
        middle = len(turns) // 2
        first, last = middle, middle
        while first and kinds[first - 1] == kinds[middle]:
            first -= 1
        while last < len(turns) and kinds[last] == kinds[middle]:
            last += 1
        if not kinds[middle]:
            return None
        for before, after in _LEFT_OUT:
            some = turns[first + before : last - after]
            if len(some) < least:
                continue
            made = self.rolling.as_one(some, None if idle is None else idle - first - before)
            if made is not None:
                return first + before, made
        return None

    def entered(self, made: Turns, depth: int) -> list[Define]:
        """The statements of a loop, of which notes are taken."""
        rolling = self.rolling
        by = {s.target: s for s in made.rolled}
        totals: dict[Tensor, Define] = {}
        gone: set[Tensor] = set()
        rolling.enter(made)
        for m, target in enumerate(made.targets):
            shifted = made.shifted.get((m, 1))
            if shifted is None:
                continue
            own, parts = self.with_parts(by[target], made, by)
            places = [m, *(made.targets.index(part) for part in parts)]
            if self.are_read_by_next(made, m, places):
                total = rolling.summed(made, own, by[shifted.target])
                if total is not None:
                    totals[target] = total
                    gone |= {shifted.target, *parts}
                    self.within.update(dict.fromkeys(parts, total.target))
        for m, target in enumerate(made.targets):
            column = [turn[m].target for turn in made.turns]
            total = totals.get(target)
            whole = target if total is None else total.target
            self.members[whole] = [t for one in column for t in self.members.get(one, [one])]
            for one in column:
                self.within[one] = whole
                if total is None:
                    self.moved[one] = target, (made.step_of(one),)
            if total is not None:
                self.moved[column[-1]] = total.target, ()
        out = [canonical(totals.get(s.target, s)) for s in made.rolled if s.target not in gone]
        for group in groups(in_order(out)):
            if is_recurrent(group):
                together = frozenset(s.target for s in group)
                rolling.steps.update(dict.fromkeys(together, together))
        return out

    def with_parts(
        self, own: Define, made: Turns, by: Mapping[Tensor, Define]
    ) -> tuple[Define, set[Tensor]]:
        """A sum with the sums and products in it that nothing else reads written out (``s += a;
        s += b*c``), and what holds these."""
        parts: set[Tensor] = set()
        known = len(parts) - 1
        while isinstance(own.body, Add) and len(parts) > known:
            known = len(parts)
            terms: list[Expr] = []
            for term in own.body.terms:
                part = by.get(term.tensor) if isinstance(term, Access) else None
                if part is None or not self.is_part(part, own, made):
                    terms.append(term)
                    continue
                parts.add(part.target)
                terms += part.body.terms if isinstance(part.body, Add) else [part.body]
            own = replace(own, body=Add(tuple(terms)))
        return own, parts

    def is_part(self, part: Define, own: Define, made: Turns) -> bool:
        """Whether a sum, or a product without a name, is read by one other statement only, as a
        whole, in the same turn."""
        read = Access(part.target, tuple(map(at, own.indices)))
        if part.target not in made.targets or not (isinstance(part.body, Add) or _is_product(part)):
            return False
        if part.indices != own.indices or sum(term is read for term in own.body.terms) != 1:  # type: ignore[union-attr]
            return False
        one, other = (made.targets.index(t) for t in (part.target, own.target))
        return all(
            self.reading_statements(turn[one].target) <= {turn[other].target}
            and not self.is_output(turn[one].target)
            for turn in made.turns
        )

    def is_output(self, target: Tensor) -> bool:
        return any(t in self.rolling.outputs for t in self.members.get(target, [target]))

    def are_read_by_next(self, made: Turns, place: int, places: Sequence[int]) -> bool:
        """Whether what each turn made at a place, but the last, is read by some places of the next
        turn only."""
        return all(
            self.reading_statements(one[place].target) <= {other[m].target for m in places}
            for one, other in pairwise(made.turns)
        ) and not any(self.is_output(turn[place].target) for turn in made.turns[:-1])

    def reading_statements(self, target: Tensor) -> set[Tensor]:
        every = (r for t in self.members.get(target, [target]) for r in self.readers.get(t, ()))
        return {self.root(reader) for reader in every} - {target}

    def root(self, tensor: Tensor) -> Tensor:
        while tensor in self.within:
            tensor = self.within[tensor]
        return tensor

    def reading_all(self, statement: Define) -> list[Define]:
        """A statement, and its other body, reading of the arrays of loops that were made."""
        stored = self.rolling.stored
        if statement.target in stored:
            stored[statement.target] = self.reading(stored[statement.target])[-1]
        return self.reading(statement)

    def reading(self, statement: Define) -> list[Define]:
        if not any(tensor in self.moved for tensor in reads(statement)):
            return [statement]
        own: dict[Tensor, Define] = {}
        for tensor in _operands(statement.body):
            if tensor in self.moved and tensor not in own:
                own[tensor] = self.whole(tensor)
        body = rename_tensors(statement.body, {t: s.target for t, s in own.items()})
        return [*own.values(), replace(statement, body=map_tensors(body, self.now))]  # type: ignore[arg-type]

    def now(self, access: Access) -> Access:
        """A read of where a value is now."""
        tensor, subs = access.tensor, access.subs
        while tensor in self.moved:
            tensor, more = self.moved[tensor]
            subs = (*more, *subs)
        return access if tensor is access.tensor else Access(tensor, subs)

    def whole(self, tensor: Tensor) -> Define:
        """A statement that holds what was made in a turn."""
        rolling = self.rolling
        wish = f"{_wish(tensor.name, rolling.known)}_last"
        target = Tensor(rolling.name(wish), tensor.shape, tensor.dtype)
        axes = tuple(Index(f"#{PRIVATE}{n}", extent) for n, extent in enumerate(tensor.shape))
        rolling.letters[target] = rolling.letters.get(tensor, ())
        return Define(target, axes, self.now(Access(tensor, tuple(map(at, axes)))), user=True)

    def without_repeats(self, statements: Sequence[Define]) -> list[Define]:
        """The statements, of the same ones that are in no loop only the first."""
        known: dict[tuple[tuple[Size, ...], str, Expr], Tensor] = {}
        same: dict[Tensor, Tensor] = {}
        stored = self.rolling.stored
        out: list[Define] = []
        for s in statements:
            body: Expr = rename_tensors(s.body, same)  # type: ignore[assignment]
            first = known.setdefault((s.target.shape, s.target.dtype, body), s.target)
            if s.target in stored:
                other = rename_tensors(stored[s.target].body, same)
                stored[s.target] = replace(stored[s.target], body=other)  # type: ignore[arg-type]
            if first is s.target or s.target in self.rolling.outputs:
                out.append(replace(s, body=body))
            else:
                same[s.target] = first
        return out


@dataclass
class _Rolling:
    traced: Traced
    given: Sequence[Define]
    least: int
    guarded: bool
    inner: bool
    by_rows: bool
    both: bool
    borders: bool
    loops: list[Turns] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    tables: dict[tuple[tuple[Fraction, ...], str], Tensor] = field(default_factory=dict)
    wishes: dict[Tensor, str] = field(default_factory=dict)
    texts: dict[tuple[Tensor, Expr], str] = field(default_factory=dict)
    literals: dict[Expr, tuple[float, ...]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    placed: dict[Tensor, Turns] = field(default_factory=dict)
    steps: dict[Tensor, frozenset[Tensor]] = field(default_factory=dict)  # of each, its recurrence
    count: int = 0
    nested: bool = False  # whether loops within loops were found by their turns

    def run(self) -> Traced:
        program = self.traced.program
        self.known = {t.name for t in program.inputs} | {s.target.name for s in program.statements}
        given, stored = _without_views(self.given, program.outputs, self.traced.stored)
        self.outputs = list(program.outputs)
        self.letters = {s.target: _letters(s) for s in given}
        found = Nesting(self).run() if self.traced.turns and not self.by_rows else None
        self.nested = found is not None
        if found is None:
            self.stored = {target: canonical(s) for target, s in stored.items()}
            if self.guarded:
                given = _each_turn_its_own(given, self.name, self.by_rows)
                self.letters = {s.target: _letters(s) for s in given}
            found = [canonical(s) for s in given]
        self.statements = found
        for _ in range(MOST_LOOPS):
            region = self.region()
            if region is None:
                break
            known = len(self.loops)
            model = self.inside(region) or (region.turns if self.is_inner(region) else None)
            if model is None or not self.sweep(model):
                try:
                    self.apply(region)
                except Unlike:
                    break
            for made in self.loops[known:]:
                self.sum_up(made)
        if not self.loops and self.least >= FEWEST_TURNS:
            return self.traced
        return self.finished()

    # ---------------------------------------------------------------------------------------------
    # Finding

    def ids(self) -> list[tuple[str, ...]]:
        """The shapes of all statements; those of recurrences are like those of others only."""
        made = {s.target for s in self.statements}
        every = groups(in_order(self.statements)) if self.loops else []
        self.steps = {
            s.target: frozenset(one.target for one in group)
            for group in every
            if is_recurrent(group)
            for s in group
        }
        return [
            (*self.shape(s, made), *(["steps"] if s.target in self.steps else []))
            for s in self.statements
        ]

    # Loops within loops

    def inside(self, region: _Region) -> list[list[int]] | None:
        """The turns of a loop that each turn of a loop has in it; None where there's none."""
        every = self.ids()
        if not region.made.turns:
            return None
        own = region.turns[len(region.turns) // 2]
        if own[-1] - own[0] + 1 != len(own):
            return None
        for run in runs([every[n] for n in own], FEWEST_INNER)[:MOST_RUNS]:
            whole = _whole_run(every, own[0] + run.start, run.period)
            best: tuple[int, list[list[int]]] | None = None
            first = range(whole.start, whole.start + min(run.period, MOST_STARTS))
            for start in dict.fromkeys((*self.starts(whole), *first)):
                turns = _turns(start, run.period, (whole.stop - start) // run.period)[:TRIED]
                tried = self.compared(turns[:FEWEST_INNER])
                if tried is not None and tried.shifted and not self.inner:
                    continue
                if tried is not None and (best is None or len(tried.shifted) < best[0]):
                    best = len(tried.shifted), turns
            if best is not None:
                return best[1]
        return None

    def sketches(self) -> list[_Sketch]:
        """What each statement has in common with those of other turns, whatever these read."""
        steps = recurrent(self.statements) if self.loops else set()
        return [_sketch(s, s.target in steps) for s in self.statements]

    def is_inner(self, region: _Region) -> bool:
        """Whether a loop stands in the turns of another one: such turns are elsewhere, too."""
        if not region.is_dense:
            return False
        places = self.sketches()
        kind = [places[n] for n in region.turns[0]]
        period, n = len(kind), 0
        while n + period * self.least <= len(places):
            if n == region.turns[0][0]:
                n += region.covered
            elif places[n : n + period * self.least] == kind * self.least:
                return True
            else:
                n += 1
        return False

    def sweep(self, model: list[list[int]]) -> bool:
        """Makes a loop of each stretch of turns like these; False where there's none.

        From the first statement on, since what a stretch reads may come from another one.
        """
        given, loops, stored = self.statements, list(self.loops), dict(self.stored)
        before = self.swept(model, backwards=True)
        if len(set(before)) > 1:  # what all first turns share is made in the first of them only
            self.statements, self.loops, self.stored = given, loops, stored
            before = self.swept(model, backwards=False)
        self.statements += self.outputs_now()
        return bool(before)

    def swept(self, model: list[list[int]], *, backwards: bool) -> list[int]:
        """The same, ``backwards`` with turns before those that look alike: how many in each."""
        places = self.sketches()
        lines = [places[n] for n in model[0]]
        period, given = len(lines), list(self.statements)
        made = {s.target for s in given}
        out: list[Define] = []
        self.placed = {}
        before: list[int] = []
        n = 0
        while n < len(given):
            turns = self.turns_at(given, places, n, lines, made)
            self.statements = given[n : n + turns * period]
            most = self.most(period, turns) if turns >= self.least else None
            if most is None:
                out += self.reading_all(given[n])
                n += 1
                continue
            n += most.count * period
            before.append(most.count)
            if backwards:
                most, out = self.with_turns_before(most, out)
            before[-1] = most.count - before[-1]
            out += map(canonical, most.rolled)
            self.enter(most)
            made |= {s.target for s in most.rolled}
        self.statements = out
        return before

    def turns_at(
        self,
        given: list[Define],
        places: Sequence[_Sketch],
        start: int,
        lines: Sequence[_Sketch],
        made: set[Tensor],
    ) -> int:
        """How many turns of these lines stand at a place, each of the shapes of the first; their
        statements read of the loops made so far."""
        kind: list[tuple[str, ...]] = []
        n = start
        while list(places[n : n + len(lines)]) == list(lines):
            every = [self.reading_all(s) for s in given[n : n + len(lines)]]
            if any(len(own) > 1 for own in every):
                break
            given[n : n + len(lines)] = [s for own in every for s in own]
            own = [self.shape(s, made) for s in given[n : n + len(lines)]]
            kind = kind or own
            if own != kind:
                break
            n += len(lines)
        return (n - start) // len(lines)

    def most(self, period: int, count: int) -> Turns | None:
        """The most turns from the first statement on that are one loop."""
        turns = _turns(0, period, count)
        found = self.compared(turns)
        if found is not None or count <= self.least:
            return found
        low, high = self.least - 1, count  # so many are a loop, so many aren't
        while high - low > 1:
            middle = (low + high) // 2
            tried = self.compared(turns[:middle])
            if tried is None:
                high = middle
            else:
                low, found = middle, tried
        return found

    def with_turns_before(self, most: Turns, before: list[Define]) -> tuple[Turns, list[Define]]:
        """The loop with turns that are among the statements before it, and those that are left."""
        self.statements = [*before, *(s for turn in most.turns for s in turn)]
        turns = _turns(len(before), len(most.turns[0]), most.count)
        for some in reversed(self.extended(turns)[1:]):
            made = self.compared(some)
            if made is not None:
                gone = {n for turn in some for n in turn}
                return made, [s for n, s in enumerate(before) if n not in gone]
        return most, before

    def enter(self, made: Turns) -> None:
        """Takes note of a loop that was made."""
        for m, target in enumerate(made.targets):
            letters = self.letters.get(made.turns[-1][m].target, ())
            self.letters[target] = ("", *letters)
            if m in made.at_once:
                self.letters[made.at_once[m]] = (*letters[:1], "", *letters[1:])
        self.placed.update(dict.fromkeys(made.place, made))
        self.loops.append(made)

    def region(self) -> _Region | None:
        """The loop that covers most."""
        ids = self.ids()
        best: _Region | None = None
        found_runs = runs(ids, max(2, self.least - 1))[:MOST_RUNS]
        rows = [row for run in found_runs[:MOST_ROWS] for row in self.of_rows(run)]
        for run in dict.fromkeys((*found_runs, *rows) if self.by_rows else (*rows, *found_runs)):
            if best is not None and ((run.count + 1) * run.period <= best.covered or best.has(run)):
                continue  # it covers less, or is several turns of the same loop
            found = self.of_run(run)
            if found is not None and (best is None or found.cost < best.cost):
                best = found
        return best

    def of_rows(self, run: Run) -> Iterator[Run]:
        """The runs whose turns are several of these each, where their numbers begin anew: those of
        ``X[1, 8]`` and ``X[2, 0]``."""
        turns = range(run.start, run.stop - run.period + 1, run.period)
        numbers = (
            [number for s in self.statements[n : n + run.period] for number in self.numbers(s)]
            for n in turns
        )
        steps = ([b - a for a, b in zip(*pair, strict=False)] for pair in pairwise(numbers))
        usual = next(steps, [])
        breaks = list(islice((k for k, step in enumerate(steps) if step != usual), 2))
        if len(breaks) == 2:
            period = (breaks[1] - breaks[0]) * run.period
            if run.period < period <= run.length // 2:
                yield Run(run.start, run.length, period)

    def numbers(self, statement: Define) -> tuple[float, ...]:
        """The numbers in a statement's text."""
        body = statement.body
        if body not in self.literals:
            found = _LITERAL.findall(_NAME.sub("", body.key))
            self.literals[body] = tuple(float(Fraction(text)) for text in found)
        return self.literals[body]

    def shape(self, statement: Define, made: set[Tensor]) -> tuple[str, ...]:
        """A statement's text without numbers and the names of what is made, and what else it
        reads."""
        key = statement.target, statement.body
        if statement.target in self.stored:
            self.texts[key] = _LITERAL.sub("%", _NAME.sub("", f"{statement.target.key}=stored"))
        if key not in self.texts:
            text = f"{statement.target.key}={statement.body.key}"
            self.texts[key] = _LITERAL.sub("%", _NAME.sub("", text))
        if statement.target in self.stored:
            return (self.texts[key],)
        return self.texts[key], *(t.name for t in reads(statement) if t not in made)

    def of_run(self, run: Run) -> _Region | None:
        """The best loop in a run, over the statements at which its first turn may begin."""
        best: tuple[tuple[int, int], list[list[int]]] | None = None
        for start in self.starts(run):
            count = (run.stop - start) // run.period
            turns = _turns(start, run.period, count)
            for some in reversed(self.extended(turns)):
                tried = self.compared(some[:TRIED])
                if tried is None or len(some) < self.least:
                    continue
                cost = _cost(len(some) * run.period, tried)
                if best is None or cost < best[0]:
                    best = cost, some
                break
        if best is None:
            return None
        turns = best[1]
        for _ in range(2):  # the last turn may be another one
            made = self.compared(turns)
            if made is not None:
                return _Region(turns, made)
            turns = turns[:-1]
            if len(turns) < self.least:
                return None
        return None

    def extended(self, turns: list[list[int]]) -> list[list[list[int]]]:
        """The turns, and the same with one more before them, and another one."""
        found = [turns]
        while len(found) <= MOST_BEFORE and (first := self.turn_before(found[-1])):
            found.append([first, *found[-1]])
        return found

    def starts(self, run: Run) -> list[int]:
        """Where a turn may begin: where lines go back, where those of the turns begin, at the
        end's distance, at the beginning."""
        window = range(run.start, run.start + run.period)
        aligned = run.start + run.length % run.period
        back = [n for n in window if n and self.goes_back(n)]
        middle = run.start + (run.count - 1) // 2 * run.period
        own = {self.line(n) for n in range(middle, middle + run.period)}
        enters = [n for n in window if self.line(n) in own and not (n and self.line(n - 1) in own)]
        return list(dict.fromkeys([*back, *enters, aligned, run.start]))[:MOST_STARTS]

    def line(self, place: int) -> tuple[str, int]:
        source = self.statements[place].source
        return source.file, source.line

    def goes_back(self, place: int) -> bool:
        one, other = self.statements[place - 1].source, self.statements[place].source
        return one.file == other.file and other.line < one.line

    def turn_before(self, turns: Sequence[Sequence[int]]) -> list[int] | None:
        """The places of one more turn before the first one, beside statements that no turn
        repeats (what is the same in all turns is made once, in the first)."""
        found: list[int] = []
        made = {s.target for s in self.statements}
        most = len(turns[0]) + TRIED  # statements that may be passed over
        place = turns[0][0]
        for model in (self.statements[n] for n in reversed(turns[0])):
            near = range(place - 1, max(-1, place - 2 - most), -1)
            alike = [n for n in near if _alike(self.statements[n], model)]
            if not alike:
                return None
            shape = self.shape(model, made)
            same = (n for n in alike if self.shape(self.statements[n], made) == shape)
            best = next(same, alike[0])
            most -= place - 1 - best
            found.append(best)
            place = best
        found.reverse()
        own = {self.statements[n].target for n in found}
        between = [n for n in range(found[0], turns[0][0]) if n not in set(found)]
        if any(own & set(reads(self.statements[n])) for n in between):
            return None
        return found

    def compared(self, turns: Sequence[Sequence[int]]) -> Turns | None:
        """What the turns are as one; None where they are unlike."""
        return self.as_one([[self.statements[n] for n in turn] for turn in turns])

    def as_one(self, every: Sequence[Sequence[Define]], idle: int | None = None) -> Turns | None:
        """The same, of the statements of all turns, but an ``idle`` one."""
        if len(every) < 3 or any(map(self.parts, every)):
            return None
        found = self.tried(every, self.steps, idle)
        if found is None and self.both and any(s.target in self.steps for s in every[-1]):
            return self.tried(every, (), idle)
        return found

    def tried(
        self, every: Sequence[Sequence[Define]], steps: Collection[Tensor], idle: int | None
    ) -> Turns | None:
        """The same, recurrences of all turns taking each step at once, if ``steps`` are theirs."""
        try:
            made = Turns(
                every,
                self.name,
                self.table,
                self.stored,
                steps,
                idle=idle if idle is not None and 0 <= idle <= len(every) else None,
                by_rows=self.by_rows,
                borders=self.borders,
            ).run()
            ordered = in_order(made.rolled)
        except (Unlike, AssertionError):
            return None
        return made if all(map(_runs, groups(ordered))) else None

    def parts(self, turn: Sequence[Define]) -> bool:
        """Whether a turn has a part of a recurrence only."""
        own = {s.target for s in turn}
        return any(not self.steps[t] <= own for t in own if t in self.steps)

    def name(self, wish: str) -> str:
        """A name that nothing has; the final one is made of the wish."""
        self.count += 1
        return f"{_wish(wish, self.known)}{PRIVATE}{self.count}"

    def table(self, values: Sequence[Fraction], dtype: str) -> Tensor:
        """A constant array of numbers, one a turn."""
        key = (tuple(values), dtype)
        if key not in self.tables:
            tensor = Tensor(f"c{PRIVATE}{len(self.tables)}", (size(len(values)),), dtype)
            self.constants[tensor.name] = np.array([float(v) for v in values], dtype=dtype)
            self.tables[key] = tensor
        return self.tables[key]

    # ---------------------------------------------------------------------------------------------
    # Rewriting

    def apply(self, region: _Region) -> None:
        """Puts the statements of a loop in the place of its turns."""
        gone = {n for turn in region.turns for n in turn}
        first, last = min(gone), max(gone)
        out: list[Define] = []
        self.placed = {}
        self.enter(region.made)
        for n, s in enumerate(self.statements):
            if n == last:
                out += map(canonical, region.made.rolled)
            if n not in gone:
                out += self.reading_all(s) if n > first else [s]
        self.statements = [*out, *self.outputs_now()]

    def outputs_now(self) -> list[Define]:
        """Copies of what turns made that is an output."""
        out = []
        for k, tensor in enumerate(self.outputs):
            if tensor in self.placed:
                out.append(self.copied(tensor))
                self.outputs[k] = out[-1].target
        return out

    def copied(self, tensor: Tensor) -> Define:
        """A statement that holds what one turn made."""
        made = self.placed[tensor]
        place, turn = made.place[tensor]
        origin = made.turns[turn][place]
        wish = _wish(tensor.name, self.known)
        target = Tensor(
            self.name(f"{wish}_last" if origin.user else wish), tensor.shape, tensor.dtype
        )
        axes = tuple(Index(f"#{PRIVATE}{n}", extent) for n, extent in enumerate(tensor.shape))
        body = Access(made.targets[place], (made.step_of(tensor), *map(at, axes)))
        self.letters[target] = self.letters.get(tensor, ())
        return Define(target, axes, body, origin.source, origin.user)

    def reading(self, statement: Define) -> list[Define]:
        """A later statement, reading of the arrays of loops that were made."""
        if not any(tensor in self.placed for tensor in reads(statement)):
            return [statement]
        whole: dict[Tensor, Define] = {}
        for tensor in _operands(statement.body):
            if tensor in self.placed and tensor not in whole:
                whole[tensor] = self.copied(tensor)
        body = rename_tensors(statement.body, {t: s.target for t, s in whole.items()})

        def read(access: Access) -> Expr:
            made = self.placed.get(access.tensor)
            if made is None:
                return access
            place, _ = made.place[access.tensor]
            return Access(made.targets[place], (made.step_of(access.tensor), *access.subs))

        return [*whole.values(), replace(statement, body=map_tensors(body, read))]  # type: ignore[arg-type]

    def reading_all(self, statement: Define) -> list[Define]:
        """The same, and the other body of a store with it."""
        if statement.target in self.stored:
            self.stored[statement.target] = self.reading(self.stored[statement.target])[-1]
        return self.reading(statement)

    def with_folded(self, statement: Define) -> Define:
        """The statement, a list of what the turns made as the array of all steps."""
        body = bottom_up(statement.body, self.folded)
        return statement if body is statement.body else replace(statement, body=body)  # type: ignore[arg-type]

    def stored_as(self, statement: Define, made: Mapping[Tensor, Define]) -> Define:
        """The statement, or its other body, whichever is shorter."""
        other = self.stored.get(statement.target)
        if other is None:
            return statement
        found = self.with_folded(other)
        lists = [made[t].body for t in reads(statement) if t in made and _is_list(made[t].body)]
        given = [statement.body, *lists]
        if sum(1 for _ in nodes(found.body)) >= sum(1 for body in given for _ in nodes(body)):
            return statement
        return replace(statement, body=_chosen(found))

    def folded(self, node: Tree) -> Tree:
        """A sum of what stands at one place each as one term for all that are alike."""
        if isinstance(node, Or) and len(node.conds) >= self.least:
            places = [Mul(tuple(map(Guard, _parts(cond)))) for cond in node.conds]
            left = self.fewer(places)
            if len(left) == len(places):
                return node
            conds = [_together(term) for term in left]
            return conds[0] if len(conds) == 1 else Or(tuple(conds))
        if not isinstance(node, Add) or len(node.terms) < self.least:
            return node
        out = self.fewer(node.terms)
        if len(out) == len(node.terms):
            return node
        return out[0] if len(out) == 1 else Add(tuple(out))

    def fewer(self, terms: Sequence[Expr]) -> list[Expr]:
        """Terms, those that are alike as one."""
        kinds: dict[str, list[Expr]] = {}
        for term in terms:
            text = _LITERAL.sub("%", term.key) if _is_placed(term) else term.key
            kinds.setdefault(text, []).append(term)
        out = [part for alike in kinds.values() for part in self.terms(alike)]
        return out if len(out) == len(terms) else self.fewer(out)

    def terms(self, terms: list[Expr]) -> list[Expr]:
        """As few terms as possible for some that differ in numbers only: those of a row are one
        first, and then those of all rows."""
        out: list[Expr] = []
        lacking = _missing(terms)
        n = 0
        while len(terms) - n >= self.least and _is_placed(terms[n]):
            place, count = lacking.get(n, (None, 0))
            found = None if place is None else self.fold(terms[n : n + count], place)
            if found is None:
                found, count = self.longest(terms[n:])
            out.append(terms[n] if found is None else found)
            n += count
        return [*out, *terms[n:]]

    def longest(self, terms: Sequence[Expr]) -> tuple[Expr | None, int]:
        """The most terms from the first one on that are one, and how many they are."""
        best = self.fold(terms)
        if best is not None or self.fold(terms[: self.least]) is None:
            return best, len(terms) if best is not None else 1
        low, high = self.least, len(terms)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.fold(terms[:middle]) is None else (middle, high)
        return self.fold(terms[:low]), low

    def fold(self, terms: Sequence[Expr], missing: int | None = None) -> Expr | None:
        """``[i = 0]*a[0] + [i = 1]*a[1] + ...`` as ``a[i]``, where one of them may be missing."""
        dummy = [[Define(Tensor(f"%{PRIVATE}{k}", ()), (), term)] for k, term in enumerate(terms)]
        turns = Turns(dummy, self.name, self.table, idle=missing)
        turns.dtype = "float64"
        try:
            product = turns.expr(terms)
        except Unlike:
            return None
        factors = product.factors if isinstance(product, Mul) else (product,)
        for k, factor in enumerate(factors):
            slope = _slope(factor, turns.step)
            if not slope:
                continue
            sub = factor.cond.sub - at(turns.step) * slope  # type: ignore[union-attr]
            ahead = -sub if slope > 0 else sub
            step = ahead if abs(slope) == 1 else ahead // abs(slope)
            rest = [substitute(f, {turns.step: step}) for f in (*factors[:k], *factors[k + 1 :])]
            guards = _every(ahead, turns.count, abs(slope))
            if missing is not None:
                guards = [*guards, Guard(Not(Zero(ahead - missing * abs(slope))))]
            return mul(*guards, *rest) if guards or rest else Mul(())  # type: ignore[arg-type]
        return None

    # ---------------------------------------------------------------------------------------------
    # At last

    def finished(self) -> Traced:
        program = self.traced.program
        made_by = {s.target: s for s in self.statements}
        self.statements = [self.stored_as(self.with_folded(s), made_by) for s in self.statements]
        self.statements = [_from_nothing(s) for s in self.statements]
        current = {s.target: s for s in self.statements}
        statements = [self.at_end(s, current) for s in self.statements]
        statements = in_order(computing(statements, self.outputs))
        tables = [t for t in self.tables.values() if any(t in reads(s) for s in statements)]
        inputs = (*program.inputs, *tables)
        fixed = {t.name for t in program.inputs}
        names = _names(statements, tables, fixed, self.known)
        taken = {*fixed, *(t.name for t in names.values())}
        written = tuple(self.written(s, names, taken) for s in statements)
        outputs = tuple(names.get(t, t) for t in self.outputs)
        constants = {
            **self.traced.constants,
            **{names[t].name: self.constants[t.name] for t in tables},
        }
        whole = Program(tuple(names.get(t, t) for t in inputs), written, outputs, program.sizes)
        return replace(self.traced, program=whole, constants=constants)

    def sum_up(self, made: Turns) -> None:
        """Makes sums of the running ones of a loop of which only the last value is read."""
        uses: dict[Tensor, list[tuple[Define, Access]]] = {}
        for s in (*self.statements, *self.stored.values()):
            for access in accesses(s.body):
                uses.setdefault(access.tensor, []).append((s, access))
        by = {s.target: s for s in self.statements}
        totals: dict[Tensor, Define] = {}
        gone: set[Tensor] = set()
        for place, target in enumerate(made.targets):
            shifted = made.shifted.get((place, 1))
            before = by.get(shifted.target) if shifted is not None else None
            own = by.get(target)
            if before is None or own is None:
                continue
            found = self.total(made, own, before, uses)
            if found is not None:
                totals[target] = found
                gone.add(before.target)
        if not totals:
            return

        def moved(access: Access) -> Expr:
            total = totals.get(access.tensor)
            return access if total is None else Access(total.target, access.subs[1:])

        def change(s: Define) -> Define:
            body = map_tensors(s.body, moved)
            return s if body is s.body else replace(s, body=body)  # type: ignore[arg-type]

        left = [totals.get(s.target, s) for s in self.statements if s.target not in gone]
        self.statements = [change(s) for s in left]
        self.stored = {target: change(s) for target, s in self.stored.items()}

    def total(
        self,
        made: Turns,
        own: Define,
        before: Define,
        uses: Mapping[Tensor, Sequence[tuple[Define, Access]]],
    ) -> Define | None:
        """The sum that a running one comes to; None where more than its last value is read."""
        target = own.target
        last = constant(made.count - 1)
        if any(s is not own for s, _ in uses.get(before.target, ())):
            return None
        if any(s is not before and a.subs[0] is not last for s, a in uses.get(target, ())):
            return None
        return None if target in self.outputs else self.summed(made, own, before)

    def summed(self, made: Turns, own: Define, before: Define) -> Define | None:
        """The sum of what each turn adds to what was there before it; None where it is no sum."""
        terms = own.body.terms if isinstance(own.body, Add) else ()
        read = Access(before.target, tuple(map(at, own.indices)))
        rest = tuple(term for term in terms if term is not read)
        if len(rest) != len(terms) - 1 or {own.target, before.target} & _read(rest):
            return None
        if not isinstance(before.body, Select):
            return None
        target = own.target
        body = Reduce("sum", own.indices[:1], (), add(*rest))
        start: Expr = substitute(before.body.other, made.axes(before, read.subs[1:]))  # type: ignore[assignment]
        total = Tensor(self.name(target.name), target.shape[1:], target.dtype)
        self.letters[total] = self.letters[target][1:]
        value = Add((start, body))
        return Define(total, own.indices[1:], value, own.source, own.user)

    def at_end(self, statement: Define, current: Mapping[Tensor, Define]) -> Define:
        """The statement reading, where a loop has no turns, what was there before it."""
        if not self.guarded:
            return statement

        def read(access: Access) -> Expr:
            for made in self.loops:
                if access.tensor not in made.targets or not access.subs:
                    continue
                if not access.subs[0].terms:
                    return _last(access, made, current, read)
                if made.targets.index(access.tensor) in made.at_once and not access.subs[1].terms:
                    return self.last_of_each(access, made, current, read)
            return access

        body = map_tensors(statement.body, read)
        return statement if body is statement.body else replace(statement, body=body)  # type: ignore[arg-type]

    def last_of_each(
        self,
        access: Access,
        made: Turns,
        current: Mapping[Tensor, Define],
        read: Callable[[Access], Expr],
    ) -> Expr:
        """A read of what the last step of a recurrence in each turn made, or of what it would be
        without any steps."""
        origin = made.columns[made.targets.index(access.tensor)][-1].target
        inner = next((one for one in self.loops if origin in one.targets), None)
        if inner is None or access.subs[1] is not constant(inner.count - 1):
            return access
        before = inner.shifted.get((inner.targets.index(origin), 1))
        place = made.place.get(before.target) if before is not None else None
        first = current.get(made.at_once[place[0]]) if place and place[0] in made.at_once else None
        if first is None or not isinstance(first.body, Select):
            return access
        turn, _, *rest = access.subs
        axes = dict(zip(first.indices[1:], (turn, *rest), strict=True))
        other = map_tensors(substitute(first.body.other, axes), read)
        return Select(Inside(access.subs[1], size(inner.count)), access, other)  # type: ignore[arg-type]

    def written(self, statement: Define, names: Mapping[Tensor, Tensor], taken: set[str]) -> Define:
        """The statement with its final names and letters."""
        wishes = self.letters.get(statement.target, ())
        own = dict.fromkeys((*statement.indices, *bound_indices(statement.body)))
        letters: dict[Index, Index] = {}
        used: set[str] = set()
        for n, index in enumerate(own):
            wish = wishes[n] if n < len(wishes) else ""
            every = [wish, *STEPS, *(f"i{k}" for k in range(len(own)))]
            letter = next(c for c in every if c and c not in used and c not in taken)
            used.add(letter)
            letters[index] = Index(letter, index.extent)
        body: Expr = renamed(statement.body, letters, names)  # type: ignore[assignment]
        return replace(
            statement,
            target=names[statement.target],
            indices=tuple(letters[i] for i in statement.indices),
            body=body,
        )


def _last(
    access: Access,
    made: Turns,
    current: Mapping[Tensor, Define],
    read: Callable[[Access], Expr],
) -> Expr:
    """A read of what a late turn made, or of what it would be without any turns, which ``read``
    reads of earlier loops."""
    place = made.targets.index(access.tensor)
    count = size(made.count)
    back = made.count - (access.subs[0].const.literal or 0)
    shifted = made.shifted.get((place, back))
    first = None if shifted is None else current.get(shifted.target)
    if first is None or not isinstance(first.body, Select):
        return access
    earlier = access.tensor if back == 1 else made.shifted[place, back - 1].target
    rest = access.subs[1:]
    last = constant(made.count - 1)
    other = map_tensors(substitute(first.body.other, made.axes(first, rest)), read)
    return Select(Inside(last, count), Access(earlier, (last, *rest)), other)  # type: ignore[arg-type]


def _whole_run(ids: Sequence[tuple[str, ...]], place: int, period: int) -> Run:
    """All of the run that goes through a place."""
    start = stop = place
    while start and ids[start - 1] == ids[start - 1 + period]:
        start -= 1
    while stop + period < len(ids) and ids[stop] == ids[stop + period]:
        stop += 1
    return Run(start, stop + period - start, period)


def _turns(start: int, period: int, count: int) -> list[list[int]]:
    """The places of the statements of so many turns, one behind the other."""
    return [[start + k * period + m for m in range(period)] for k in range(count)]


_Sketch = tuple[str, int, int, str, bool]


_Pair = tuple[_Sketch, str, int]  # of what is read, of its reader, and which of those it reads


def _sketch(statement: Define, stepwise: bool) -> _Sketch:
    source, body = statement.source, statement.body
    return source.file, source.line, len(statement.indices), type(body).__name__, stepwise


def _cost(covered: int, made: Turns) -> tuple[int, int]:
    """How many statements there are more than before a loop was put in place of some."""
    return len(made.rolled) - covered, len(made.shifted)


def _runs(group: tuple[Define, ...]) -> bool:
    """Whether a group can be computed step by step."""
    return not is_recurrent(group) or direction(group) != 0


def _without_views(
    statements: Sequence[Define], outputs: Sequence[Tensor], stored: Mapping[Tensor, Expr]
) -> tuple[list[Define], dict[Tensor, Define]]:
    """The statements, each reading what a view is of in the view's place: a turn that reads
    ``X[t-1]`` reads X, and not what the turn before made of it. The same for the other bodies."""
    kept = {*outputs, *(t for s in statements for t in _operands(s.body))}
    views: dict[Tensor, Define] = {}

    def read(access: Access) -> Expr:
        view = views.get(access.tensor)
        if view is None:
            return access
        return substitute(view.body, dict(zip(view.indices, access.subs, strict=True)))  # type: ignore[return-value]

    out: list[Define] = []
    others: dict[Tensor, Define] = {}
    for s in statements:
        body = map_tensors(s.body, read)
        own = s if body is s.body else replace(s, body=body)  # type: ignore[arg-type]
        if s.target in stored:
            others[s.target] = replace(s, body=map_tensors(stored[s.target], read))  # type: ignore[arg-type]
        if _is_view(own) and s.target not in kept and s.target not in stored:
            views[s.target] = own
        else:
            out.append(own)
    return out, others


def _each_turn_its_own(
    statements: Sequence[Define], name: Callable[[str], str], by_rows: bool
) -> list[Define]:
    """The statements, with a copy of what a first turn of an inner loop shares with those of other
    turns of the outer loop, where other turns of the inner loop make their own: ``w*s`` of the same
    s each time. ``by_rows``: also of what all turns of an inner loop share."""
    sketches = {s.target: _sketch(s, False) for s in statements}
    place: dict[Tensor, int] = {}
    latest: dict[str, int] = {}  # where a statement of such a text stands
    own: Counter[_Pair] = Counter()
    distance: dict[_Pair, int] = {}  # from what is read to the reader
    shared: dict[tuple[Tensor, Tensor], _Pair] = {}  # of a reader, and the read
    for n, s in enumerate(statements):
        text = f"{s.source.line} {_LITERAL.sub('%', _NAME.sub('', s.body.key))}"
        before = latest.get(text, -1)
        for slot, read in enumerate(reads(s)):
            if read not in place or sketches[read][:2] != sketches[s.target][:2]:
                continue
            pair = sketches[read], text, slot
            if place[read] >= before:
                own[pair] += 1
                distance[pair] = n - place[read]
            else:
                shared[s.target, read] = pair
        place[s.target] = latest[text] = n
    wanted = Counter(shared.values())
    copied = {
        key
        for key, pair in shared.items()
        if own[pair] >= FEWEST_NAMED * (1 if by_rows else wanted[pair])
    }
    if not copied:
        return list(statements)
    by = {s.target: s for s in statements}
    out: list[Define] = []
    for s in statements:
        own_copies: dict[Tensor, Tensor] = {}
        lacking = [t for t in reads(s) if (s.target, t) in copied]
        for read in sorted(lacking, key=lambda t: distance[shared[s.target, t]]):
            target = Tensor(name(read.name), read.shape, read.dtype)
            at_place = len(out) + 1 - distance[shared[s.target, read]]
            out.insert(max(0, at_place), replace(by[read], target=target))
            own_copies[read] = target
        body = rename_tensors(s.body, own_copies) if own_copies else s.body
        out.append(replace(s, body=body))  # type: ignore[arg-type]
    return out


def _is_product(statement: Define) -> bool:
    """Whether a statement without a name of the user's is a product of elements."""
    body = statement.body
    factors = body.factors if isinstance(body, Mul) else ()
    return bool(factors) and not statement.user and all(isinstance(f, Access) for f in factors)


def _from_nothing(statement: Define) -> Define:
    """A sum that begins at 0, without that."""
    terms = statement.body.terms if isinstance(statement.body, Add) else ()
    left = tuple(term for term in terms if term is not ZERO)
    if len(left) == len(terms) or not any(isinstance(term, Reduce) for term in left):
        return statement
    return replace(statement, body=add(*left))


def _is_view(statement: Define) -> bool:
    """Whether a statement only reads elements of a tensor, at places that no data tells, or is a
    number that has no rounding."""
    body = statement.body
    if isinstance(body, Number):
        whole = not body.special and body.value.denominator == 1 and abs(body.value) < 128
        alone = not statement.indices or not statement.user
        return whole and alone and statement.target.kind == "float"
    return (
        isinstance(body, Access)
        and body.tensor.dtype == statement.target.dtype
        and not any(isinstance(atom, Lookup) for sub in body.subs for atom, _ in sub.terms)
    )


def _operands(body: Expr) -> Iterator[Tensor]:
    for node in nodes(body):
        if isinstance(node, Opaque):
            yield from node.operands


def _read(values: Sequence[Expr]) -> set[Tensor]:
    return {t for value in values for t in tensors(value)}


def _letters(statement: Define) -> tuple[str, ...]:
    own = dict.fromkeys((*statement.indices, *bound_indices(statement.body)))
    return tuple(index.name for index in own)


def _alike(one: Define, other: Define) -> bool:
    """Whether a statement may be another turn's."""
    return (
        one.source.line == other.source.line
        and one.target.shape == other.target.shape
        and one.target.dtype == other.target.dtype
        and type(one.body) is type(other.body)
    )


def _is_placed(term: Expr) -> bool:
    """Whether a term is ``[i = c]*value``, maybe with further conditions."""
    factors = term.factors if isinstance(term, Mul) else (term,)
    return any(isinstance(f, Guard) and isinstance(f.cond, Zero) for f in factors)


def _is_list(body: Expr) -> bool:
    """Whether a body is a list of what stands at one place each."""
    return isinstance(body, Add) and all(map(_is_placed, body.terms))


def _chosen(statement: Define) -> Expr:
    """A selection's value where its condition says no more than that the places are there."""
    body = statement.body
    if not isinstance(body, Select):
        return body
    own = set(_every_place(statement))
    rest = tuple(c for c in _parts(body.cond) if c not in own)
    if rest:
        return body
    factors = body.then.factors if isinstance(body.then, Mul) else (body.then,)
    return mul(*(f for f in factors if not (isinstance(f, Guard) and f.cond in own)))


def _every_place(statement: Define) -> Iterator[Cond]:
    for index in statement.indices:
        yield Inside(at(index), index.extent)


def _together(guards: Expr) -> Cond:
    """The condition that a product of conditions is."""
    factors = guards.factors if isinstance(guards, Mul) else (guards,)
    conds = tuple(f.cond for f in factors if isinstance(f, Guard))
    return conds[0] if len(conds) == 1 else And(conds)


def _parts(cond: Cond) -> tuple[Cond, ...]:
    """The conditions that one says to hold together."""
    return cond.conds if isinstance(cond, And) else (cond,)


def _slope(factor: Expr, step: Index) -> int:
    """How far a place moves with each step, where a factor says that something is there."""
    if not isinstance(factor, Guard) or not isinstance(factor.cond, Zero):
        return 0
    return next((n.literal or 0 for atom, n in factor.cond.sub.terms if atom is step), 0)


def _literal_places(term: Expr) -> list[tuple[int, int]]:
    """The places ``[i = 3]`` at which a term stands, each with the extent of its index."""
    found = []
    for factor in term.factors if isinstance(term, Mul) else ():
        if isinstance(factor, Guard) and isinstance(factor.cond, Zero):
            sub = factor.cond.sub
            place, index = sub.const.literal, (sub - sub.const).index
            extent = None if index is None else index.extent.literal
            if place is not None and extent is not None:
                found.append((-place, extent))
    return found


def _missing(terms: Sequence[Expr]) -> dict[int, tuple[int, int]]:
    """Where rows of terms begin that lack one place each, not all of them the same: which place
    that is, and how many terms the row has. Of all rows, or of none."""
    every = [_literal_places(term) for term in terms]
    if len({len(places) for places in every}) > 1:
        return {}
    found = (_missing_along(every, axis) for axis in range(len(every[0])))
    return next(filter(None, found), {})


def _missing_along(
    every: Sequence[Sequence[tuple[int, int]]], axis: int
) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    start = 0
    for _, row in groupby(every, lambda one: [*one[:axis], *one[axis + 1 :]]):
        places, extents = zip(*(one[axis] for one in row), strict=True)
        left = set(range(extents[0])).difference(places)
        if len(left) != 1 or len(places) != extents[0] - 1 or [*places] != sorted(places):
            return {}
        found[start] = left.pop(), len(places)
        start += len(places)
    return found if len({place for place, _ in found.values()}) == len(found) > 1 else {}


def _every(ahead: Subscript, count: int, apart: int) -> list[Expr]:
    """Conditions that something is one of so many places, so far apart."""
    index = ahead.index
    if apart == 1 and index is not None and index.extent is size(count):
        return []
    inside = Guard(Inside(ahead, size((count - 1) * apart + 1)))
    return [inside] if apart == 1 else [inside, Guard(Divides(size(apart), ahead))]


def _base(name: str) -> str:
    """A name without the number that set it apart."""
    found = _NUMBERED.fullmatch(name.split(PRIVATE)[0])
    return found[1] if found else name.split(PRIVATE)[0]


def _names(
    statements: Sequence[Define], tables: Sequence[Tensor], fixed: set[str], known: set[str]
) -> dict[Tensor, Tensor]:
    """Names that don't depend on the number of turns."""
    taken = set(fixed)
    own = {s.target for s in statements}
    users = {s.target: _wish(s.target.name, known) for s in statements if s.user}
    names = {t: unique(users[t], taken) for t in users}
    for n, tensor in enumerate(tables, 1):
        names[tensor] = unique(f"c{n}", taken)
    n = 0
    for s in statements:
        if s.target not in names:
            wish = s.target.name.split(PRIVATE)[0]
            if not _TEMPORARY.fullmatch(wish):
                names[s.target] = unique(_wish(s.target.name, known), taken)
                continue
            n += 1
            while f"t{n}" in taken:
                n += 1
            names[s.target] = unique(f"t{n}", taken)
    assert own <= set(names)
    return {t: Tensor(name, t.shape, t.dtype) for t, name in names.items()}


def _wish(name: str, known: set[str]) -> str:
    """A name without a number, where that told it from another of the same name."""
    plain = name.split(PRIVATE)[0]
    base = _base(plain)
    return base if base in known else plain
