"""Named sizes: traces at several plain sizes become one program that holds for all of them.

A function is only ever traced with plain ints. Traces at several assignments of the names are
compared: equal skeletons, every number that differs solved as a form in the names (``forms``),
every constant array that differs recognised as a family (``families``). Further traces then verify
what was found, above all where floor quotients take their steps and around the ints in the
function's code. What doesn't agree is refused.

What was compared at a few sizes is no proof for the others: a function may do something else at
size 1 (``squeeze``), from a threshold on, or at the powers of two. So :meth:`Named.disagreement`
traces the function once more, at the very sizes that are met.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, cached_property
from itertools import pairwise
from math import inf, prod
from random import Random
from typing import NamedTuple

import numpy as np

from ..errors import DerivationError, PullbackError, TraceError
from ..functions import TABLE
from ..ir.expr import (
    Access,
    Apply,
    Arg,
    Compare,
    Number,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    number,
)
from ..ir.interpret import Array, run
from ..ir.program import Define, Program, Source, live, reads, solve_sizes
from ..ir.recurrence import groups, is_recurrent
from ..ir.size_conditions import Choice, SizeCondition
from ..ir.sizes import FloorQuotient, Size
from ..ir.subscripts import Subscript, constant, indices_of, map_indices
from ..ir.walk import Tree, bound_indices, map_subscripts, nodes
from ..trees import same_containers
from .families import Data, Family, family, fits
from .forms import DOUBLE, SINGLE, Forms, is_single
from .inlining import inlined
from .lettering import lettered
from .points import Points
from .record import TooLong, at_most
from .rolling import FEWEST_NAMED, FEWEST_TURNS, may_loop, rolled
from .settled import settled
from .skeleton import LOWER, Filling, Leaf, Part, put_together, show_source, sizes_in, take_apart
from .tracer import Traced

Trace = Callable[[Mapping[str, int]], Traced]
Sizes = dict[str, int]
Notes = Callable[[Mapping[str, int]], Sequence[Choice]]

LEAST, GREATEST = 5, 48  # of the sizes that are tried
LONG, GREATEST_LONG = 40, 18  # statements of one line, from which on sizes are tried up to here
MANY_STATEMENTS, MOST_STATEMENTS = 1000, 2500  # of a trace, from which on smaller sizes are tried
WIDE, NARROW, CLOSE, CLOSEST = range(4)  # the windows that sizes are drawn from
LEAST_DEEP, MANY_NAMES = 3, 4  # the least size of the close window, from so many names on
ALONE = range(7, 12)  # the close window of a single name: most loops have turns enough there
LEAST_CLOSEST = 4  # the least size of the closest window, where it isn't smaller anyway
DEEP = 3  # names, from which on a trace that is too long goes past the narrow window
FIRST = 3  # traces to solve from
FEWEST_ALIKE = 8  # of turns with a first, a second and a last one of their own
# Kinds of sizes to verify with: those of branches on parity and the like, where primes are blind.
CHECKS = ("divisible", "even")
AGAIN = ("any",)  # without names: only whether the function does the same twice
RARE_CHECKS = ("any",) * 6
MOST_STEPS = 12  # of a floor quotient that are looked at
MOST_THRESHOLDS = 24
MOST_SINGLE = 36  # traces at a threshold of one name alone
EQUAL, EQUAL_CLOSE = 6, 4  # all names are tried at, where the code holds no ints to try them at
MOST_ELEMENTS = 2 * 10**7  # of an array with an axis of every size
MOST_POINTS = 30_000  # at which two programs are compared by their values
LEAST_COMPARED = 2  # the size of a name then, where there are more
ROUNDINGS = 8  # by which arguments are changed to see what their rounding does to results
LEAST_DRAWS, ENOUGH_POINTS = 4, 8_000  # of arguments that they are compared for
MOST_LITERALS, LARGEST_LITERAL = 4, 10**100  # around which arguments are drawn
MOST_TRACES = 80
MOST_UNLIKE = 8  # traces of several kinds, until they are given up
ORDERS = 12  # orders of the names by size that are tried until the function runs
LARGEST_THRESHOLD = 2000
MOST_NOTED = 2  # traces from which comparisons of sizes are taken
MOST_BEYOND = 8  # literals that are gone beyond
MOST_FLIPS = 16  # traces at sizes where a comparison comes out otherwise


class Loops(NamedTuple):
    """How loops are rolled up: the least number of turns, and whether recurrences within loops are
    (see :func:`pullback.trace.rolling.rolled`)."""

    least: int = FEWEST_TURNS
    inner: bool = True
    by_rows: bool = False
    both: bool = False
    borders: bool = False


LONG_LOOPS, ALL_LOOPS = Loops(), Loops(FEWEST_NAMED)
OUTER_LOOPS = Loops(FEWEST_NAMED, inner=False)
ROWS_OF_LOOPS = Loops(FEWEST_NAMED, by_rows=True)
BOTH_LOOPS = Loops(FEWEST_NAMED, both=True)
WITH_BORDERS = Loops(FEWEST_NAMED, both=True, borders=True)
NESTED_LOOPS = (OUTER_LOOPS, ROWS_OF_LOOPS, BOTH_LOOPS, WITH_BORDERS)


@dataclass(frozen=True)
class Named(Traced):
    """A traced function whose program has named sizes."""

    found: Found

    def agrees(self, sizes: Mapping[str, int]) -> bool:
        """Whether a trace at these plain sizes gives this very program; False: not seen to."""
        return not self.disagreement(sizes)

    def disagreement(self, sizes: Mapping[str, int]) -> str:
        """Why this isn't what the function computes at these sizes; "" where it is.

        The function is traced once more, at these sizes. What can't be compared counts as
        different.
        """
        return self.found.compare(dict(sizes))[1]

    def beyond(self) -> list[tuple[Sizes, bool | None, str]]:
        """The comparisons at sizes beyond every number that the function's code holds: the sizes,
        whether the function is this program there (None: it can't be told), and why not.
        """
        return [(sizes, *self.found.compare(sizes)) for sizes in self.found.beyond()]


@dataclass(frozen=True)
class Sample:
    """A trace at an assignment of the names, and its parts."""

    sizes: Sizes
    traced: Traced
    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return show_sizes(self.sizes)

    def constant(self, name: str) -> Data:
        """A constant array, in double precision where a statement reads it in that."""
        data: Data = self.traced.constants[name]
        return data.astype(np.float64) if name in self.widened else data

    def reader(self, name: str) -> Source:
        """The line of the first statement that reads a constant."""
        lines = self.traced.program.statements
        reading = (s.source for s in lines if any(t.name == name for t in reads(s)))
        return next(reading, Source())

    @cached_property
    def widened(self) -> frozenset[str]:
        """The constants of lower precision that statements of double precision read."""
        wide = [s for s in self.traced.program.statements if s.target.dtype == "float64"]
        return frozenset(t.name for s in wide for t in reads(s) if t.dtype in LOWER)


@dataclass(frozen=True)
class Noted:
    """A comparison of sizes that came out alike in all traces.

    ``same`` are sizes at which it comes out otherwise and the program is the same nonetheless;
    there are none where the program was seen to change, or nothing could be tried.
    """

    choice: Choice
    same: tuple[Sizes, ...]


@dataclass(frozen=True)
class Found:
    """What takes the place of the numbers and of the constant arrays of a sample."""

    trace: Trace
    sample: Sample
    fillings: tuple[tuple[Filling, ...], ...]
    families: Mapping[str, Family]
    compared: tuple[Sizes, ...] = ()  # at which traces gave this program
    noted: tuple[Noted, ...] = ()
    literals: tuple[int, ...] = ()  # whole numbers in what the function reads
    loops: Loops = LONG_LOOPS  # that were rolled up
    by_value: Trace | None = None  # the traces that it is compared with, if by value alone

    def compare(self, sizes: Sizes) -> tuple[bool | None, str]:
        """Whether the function's trace at these sizes is this program, and if not, why.

        None: it can't be told.
        """
        try:
            other = _sample(self.by_value or self.trace, sizes, self.loops)
        except Exception as error:  # the user's function may raise anything
            return None, f"the function fails there: {_said(error)}"
        try:
            literally = _same_skeleton(self.sample, other) and self.holds_literally(other)
            verdict = literally or self.equal_in_value(other)
        except PullbackError as error:  # of the forms, at sizes that they are not for
            return None, f"it can't be compared there: {error.message}"
        if verdict:
            return True, ""
        if not self.is_unchanged():
            return False, "the function is no longer what was derived: what it reads has changed"
        if verdict is None:
            return None, "it is traced to other statements there, too many to compare by value"
        return False, f"the function computes something else there{self.difference(other)}"

    def beyond(self) -> Iterator[Sizes]:
        """Sizes beyond the literals of the function, as far as arrays of such sizes are small."""
        names = [*self.sample.sizes]
        known = [n for n in self.literals if n >= LEAST][-MOST_BEYOND:]
        for n in dict.fromkeys((*(n + 2 for n in known), *(2 * n + 3 for n in known[-1:]))):
            sizes = {name: n + 2 * k for k, name in enumerate(names)}
            needed = [noted.choice for noted in self.noted if not noted.same]
            if self.elements(sizes) <= MOST_ELEMENTS // 10 and _comes_out(needed, sizes):
                yield sizes

    def is_unchanged(self) -> bool:
        """Whether the function is still traced to what it was when it was derived."""
        try:
            return self.is_literally(self.trace(self.sample.sizes), self.sample.sizes)
        except Exception:
            return False

    def difference(self, other: Sample) -> str:
        """The first statement that another sample has otherwise, as a line of the user's."""
        mine = self.sample.parts
        for k, part in enumerate(other.parts):
            same = k < len(mine) and part.skeleton == mine[k].skeleton
            if same and all(
                _is(leaf, filling, other.sizes, part.single)
                for leaf, filling in zip(part.leaves, self.fillings[k], strict=True)
            ):
                continue
            return f": {shown}" if (shown := show_source(part.source)) else ""
        return ""

    def is_literally(self, traced: Traced, sizes: Mapping[str, int]) -> bool:
        """Whether this is the very program of a trace, which may be that of another function."""
        try:
            other = _sample(lambda _: traced, dict(sizes), self.loops)
            if _same_skeleton(self.sample, other):
                return self.holds_literally(other)
            return 1 in sizes.values() and self.holds_at_one(other)
        except Exception:
            return False

    def holds(self, other: Sample) -> bool:
        """Whether another sample is the same program at its sizes, or has the same values."""
        return self.verdict(other) is True

    def verdict(self, other: Sample) -> bool | None:
        """Whether another sample is the same; None where only its values would tell, at a cost."""
        if _same_skeleton(self.sample, other):
            return self.holds_literally(other)
        return self.equal_in_value(other)

    def holds_literally(self, other: Sample) -> bool:
        """Whether the numbers and constants of a sample of the same skeleton are what was found."""
        filled = zip(other.parts, self.fillings, strict=True)
        return all(_fills(*one, other.sizes) for one in filled) and self.has_constants(other)

    def holds_at_one(self, other: Sample) -> bool:
        """Whether a sample is what was found, where an index that takes one value is that value:
        at N = 1 an axis is read at 0 as well as at n."""
        mine, theirs = self.sample, other
        if mine.traced.structure != theirs.traced.structure or len(mine.parts) != len(theirs.parts):
            return False
        if self.families or mine.traced.constants.keys() != theirs.traced.constants.keys():
            return False
        found = self.named().program.with_sizes(other.sizes).statements
        traced = other.traced.program.statements
        for k, (part, fillings) in enumerate(zip(theirs.parts, self.fillings, strict=True)):
            if part.skeleton == mine.parts[k].skeleton:
                if not _fills(part, fillings, other.sizes):
                    return False
            elif not 0 < k <= len(traced) or _at_zero(found[k - 1]) != _at_zero(traced[k - 1]):
                return False
        return self.has_constants(other)

    def has_constants(self, other: Sample) -> bool:
        """Whether the constant arrays of a sample are what was found."""
        constants = self.sample.traced.constants
        return all(
            fits(self.families[name], other.constant(name), other.sizes)
            if name in self.families
            else _equal(constants[name], data)
            for name, data in other.traced.constants.items()
        )

    def equal_in_value(self, other: Sample) -> bool | None:
        """Whether both programs give equal results for random arguments, None if it costs much."""
        if not same_containers(self.sample.traced.structure, other.traced.structure):
            return False
        named = self.named()
        mine, theirs = named.program.with_sizes(other.sizes), other.traced.program
        if [(t.shape, t.dtype) for t in mine.outputs] != [
            (t.shape, t.dtype) for t in theirs.outputs
        ]:
            return False
        points = max(_points(mine), _points(theirs))
        if points > MOST_POINTS:
            return None
        every = [node for s in (*mine.statements, *theirs.statements) for node in nodes(s.body)]
        draws = _draws(_literals(every)) if any(map(_turns, every)) else USUAL_DRAWS
        for draw in draws[: max(LEAST_DRAWS, ENOUGH_POINTS // max(1, points))]:
            given = _random_arguments(theirs, other.traced.constants, draw)
            try:
                left = run(mine, {**given, **named.constants}, sizes=other.sizes)
                right = run(theirs, {**given, **other.traced.constants})
            except Exception:
                return False
            usual = draw in USUAL_DRAWS
            pairs = [
                (left[a.name], right[b.name])
                for a, b in zip(mine.outputs, theirs.outputs, strict=True)
            ]
            if all(_near(*pair, usual) for pair in pairs):
                continue
            if usual:
                return False
            again = run(theirs, {**_rounded_again(given), **other.traced.constants})
            close = (
                _near(*pair, usual, again[b.name])
                for pair, b in zip(pairs, theirs.outputs, strict=True)
            )
            if not all(close):
                return False
        return True

    def elements(self, sizes: Mapping[str, int]) -> int:
        """The elements of the largest array that is named at these sizes."""
        program = put_together(self.sample.traced.program, self.fillings)
        tensors = (*program.inputs, *(statement.target for statement in program.statements))
        return max((prod(n.value(sizes) for n in t.shape) for t in tensors), default=0)

    def named(self) -> Named:
        """The program with named sizes."""
        traced = self.sample.traced
        program = put_together(traced.program, self.fillings)
        families = {t: self.families[t.name] for t in program.inputs if t.name in self.families}
        program = lettered(inlined(program, families), tuple(self.sample.sizes))
        constants = {name: traced.constants[name] for name in traced.constants}
        for name, found in self.families.items():
            del constants[name]
            if found.table is not None and found.data is not None:
                constants[name] = found.data
        sizes = _not_given(program, self.sample.sizes, constants)
        program = Program(program.inputs, program.statements, program.outputs, sizes)
        return Named(settled(program), constants, traced.structure, self)


def generalise(
    trace: Trace,
    names: Sequence[str],
    *,
    avoid: Iterable[int] = (),
    thresholds: Iterable[int] = (),
    literals: Iterable[int] = (),
    notes: Notes = lambda sizes: (),
) -> Named:
    """One trace with named sizes, from traces with plain ones.

    ``trace`` gives the trace at an assignment of ints to ``names``. ``avoid`` are sizes that mean
    something else (literal extents). ``thresholds`` are ints that sizes may be compared with (a
    slice's stop): names are tried around them, too. ``literals`` are all whole numbers in what the
    function reads, for :meth:`Named.beyond`. ``notes`` gives the comparisons of sizes that the
    function makes at an assignment. Raises TraceError, which names the source line, where
    the traces are not of one form.
    """
    names, avoid, thresholds = tuple(names), tuple(avoid), tuple(thresholds)
    known: dict[tuple[tuple[str, int], ...], Traced] = {}

    def traced(sizes: Mapping[str, int]) -> Traced:
        """A trace, which both searches use."""
        key = tuple(sizes.items())
        if not key or key not in known:
            known[key] = trace(sizes)
        return known[key]

    level = WIDE  # what was too long for one search is so for the next one

    def search(loops: Loops, last: int = CLOSEST) -> Found:
        nonlocal level
        made = _Search(traced, names, avoid, thresholds, notes, loops)
        made.draw.last = last
        made.draw.narrow(min(level, CLOSE))
        try:
            return made.run()
        except Unsteady:
            if made.draw.level < CLOSE:
                raise
        finally:
            level = max(level, made.draw.level)
        return search(loops, made.draw.level - 1)  # at sizes farther apart

    def rolled_up() -> Found:
        with suppress(Differing):
            return search(LONG_LOOPS)
        try:
            return search(ALL_LOOPS)
        except Differing as error:
            for loops in NESTED_LOOPS if error.nested else (WITH_BORDERS,) if error.deep else ():
                with suppress(PullbackError):
                    return search(loops)
            raise error from None

    found = rolled_up()
    return replace(found, trace=trace, literals=tuple(sorted(set(literals)))).named()


class Differing(TraceError):
    """Traces at several sizes are not of one form; ``nested``: recurrences stand in loops,
    ``deep``: loops do."""

    nested = deep = False


class Unsteady(TraceError):
    """The function runs at some sizes only, and it isn't known at which."""


class Unwritten(TraceError):
    """A constant or a number for which no formula in the named sizes is found."""


class _Search:
    def __init__(
        self,
        trace: Trace,
        names: tuple[str, ...],
        avoid: Sequence[int],
        thresholds: Sequence[int],
        notes: Notes,
        loops: Loops = LONG_LOOPS,
    ) -> None:
        self.trace = trace
        self.loops = loops
        self.notes = notes
        self.names = names
        self.thresholds = _around(thresholds) if names else []
        if len(names) > 1 and not self.thresholds:
            self.thresholds = [EQUAL]
        self.draw = _Draw(names, {*avoid, *thresholds})
        self.runs: dict[tuple[str, ...], Sample] = {}  # one for each order that runs
        self.fails: dict[tuple[str, ...], str] = {}
        self.count = 0
        self.agreed: list[Sizes] = []
        self.first_failure: PullbackError = TraceError("the function fails")

    def run(self) -> Found:
        samples = [self.another("prime") for _ in range(FIRST if self.names else 1)]
        enough = Forms(self.names, []).enough
        while True:
            alike, others = self.grouped(samples)
            try:
                found, rare = self.solve(alike)
            except TraceError:
                if len(alike) >= enough:
                    raise
                samples += [self.another() for _ in range(max(1, enough - len(alike)))]
                continue
            self.agreed = [sample.sizes for sample in alike]
            # alike in value, where a size happened to look like another
            unlike = [other for other in others if not self.holds(found, other)]
            if unlike and len(alike) < enough and self.draw.level >= CLOSE:
                samples.append(self.another())  # a form may have been found for a few sizes only
                continue
            if unlike:
                raise self.different(found.sample, unlike[0])
            wrong = [s for s in self.checks(found, rare) if not self.holds(found, s)]
            wrong += self.turned(alike, self.at_thresholds(found))
            if not wrong:
                return self.finished(found, self.noted(alike))
            if self.count > MOST_TRACES:
                raise TraceError(
                    "the sizes of this function follow no form that was found",
                    found=f"the traces at {found.sample} and at {wrong[0]} are of different forms",
                    hint=GIVE_NUMBERS,
                )
            samples += wrong[:4]

    def holds(self, found: Found, sample: Sample) -> bool:
        verdict = self.verdict(found, sample)
        if verdict is None and (smaller := self.smaller(sample)):
            return self.verdict(found, smaller) is True
        return verdict is True

    def smaller(self, sample: Sample) -> Sample | None:
        """A sample that looks like another one, at sizes with fewer points to compare; None where
        that changes what is traced."""
        found = None
        sizes = dict(sample.sizes)
        for name in self.names:
            made = self.runnable({**sizes, name: LEAST_COMPARED})
            if made and sizes[name] > LEAST_COMPARED and _same_skeleton(made[0], sample):
                sizes, found = dict(made[0].sizes), made[0]
        return found

    def verdict(self, found: Found, sample: Sample) -> bool | None:
        verdict = found.verdict(sample)
        if verdict and sample.sizes not in self.agreed:
            self.agreed.append(sample.sizes)
        return verdict

    def grouped(self, samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
        """The samples of the commonest skeleton (more are drawn if they're few), and the others."""
        while True:
            groups: list[list[Sample]] = []
            for sample in samples:
                own = next((g for g in groups if _same_skeleton(g[0], sample)), None)
                if own is None:
                    groups.append([sample])
                else:
                    own.append(sample)
            alike = max(groups, key=len)
            if len(groups) == 1 or len(alike) >= FIRST:
                return alike, [s for group in groups if group is not alike for s in group]
            telling = [group for group in groups if any(not _is_short(s) for s in group)]
            if len(telling) >= FIRST or len(samples) >= MOST_UNLIKE:
                one, other, *_ = telling if len(telling) > 1 else groups
                raise self.different(one[0], other[0])
            samples.append(self.another())

    # ---------------------------------------------------------------------------------------------
    # Samples

    def another(self, kind: str = "any") -> Sample:
        """A trace at new sizes, smaller ones where it is long."""
        while True:
            try:
                return self.sampled(kind)
            except TooLong:
                self.draw.shorten()

    def sampled(self, kind: str) -> Sample:
        """A trace at new sizes, in an order of the names not tried yet where there is one."""
        for turn in range(ORDERS):
            order = self.draw.order({*self.runs, *self.fails})
            sample = self.attempt(self.draw.sizes(order, kind if turn < FIRST else "any"))
            if sample is not None:
                return sample
            if self.runs:
                break
        if not self.runs:
            raise self.first_failure
        sample = None
        while sample is None:
            orders = list(self.runs)
            sample = self.attempt(self.draw.sizes(orders[self.count % len(orders)], kind))
        return sample

    def attempt(self, sizes: Sizes) -> Sample | None:
        """The trace at these sizes; None where it fails with the names in this order, here or
        elsewhere (where an extent is 0 it may run)."""
        order = tuple(sorted(self.names, key=lambda name: (sizes[name], name)))
        self.count += 1
        try:
            with at_most(
                MOST_STATEMENTS if self.names and self.draw.level < self.draw.last else inf
            ):
                traced = self.trace(sizes)
            if self.names and may_loop(traced.program.statements, LONG):
                is_long = len(traced.program.statements) > MANY_STATEMENTS
                self.draw.narrow(min(self.draw.level + 1, CLOSE) if is_long else NARROW)
                if self.loops.least > FEWEST_NAMED:
                    raise Differing("a long trace, of which loops of few turns are loops, too")
            sample = _sample(lambda _: traced, sizes, self.loops)
        except (Differing, TooLong):
            raise
        except Exception as error:  # the user's function may raise anything
            text = f"at {show_sizes(sizes)}: {_said(error)}"
            if not self.fails:
                self.first_failure = _failed(error, sizes)
            self.fails[order] = text
            ran = self.runs.pop(order, None)
            if ran and not self.runs:
                raise self.unsteady(ran, text) from error
            return None
        if order in self.fails:
            if not self.runs:
                self.first_failure = self.unsteady(sample, self.fails[order])
            return None
        self.runs.setdefault(order, sample)
        return sample

    def checks(self, found: Found, rare: bool) -> Iterator[Sample]:
        """Samples that show whether what was found holds elsewhere."""
        for kind in (*CHECKS, *(RARE_CHECKS if rare else ())) if self.names else AGAIN:
            yield self.another(kind)
        base = found.sample.sizes
        for quotient in _quotients(found):
            for sizes in _steps(quotient, base):
                sample = self.attempt(sizes)
                if sample is not None:
                    yield sample

    def at_thresholds(self, found: Found) -> list[Sample]:
        """Samples at which what was found doesn't hold, all names at or near a threshold.

        Where equal sizes look different and the values can't be compared, one name at a time.
        """
        wrong = []
        single = 0
        close = self.thresholds == [EQUAL] and self.draw.level >= CLOSE
        for threshold in [EQUAL_CLOSE] if close else self.thresholds:
            if threshold ** len(self.names) <= MOST_ELEMENTS:
                samples = self.runnable(dict.fromkeys(self.names, threshold))
                verdicts = [self.verdict(found, sample) for sample in samples]
                wrong += [
                    s for s, verdict in zip(samples, verdicts, strict=True) if verdict is False
                ]
                if verdicts and None not in verdicts:
                    continue
            single += 1
            for name in self.names if single * len(self.names) <= MOST_SINGLE else ():
                samples = self.runnable({**found.sample.sizes, name: threshold})
                wrong += [sample for sample in samples if not self.holds(found, sample)]
        return wrong

    def runnable(self, sizes: Sizes) -> list[Sample]:
        """The sample at these sizes, none where the function fails: it may well refuse them."""
        try:
            with at_most(MOST_STATEMENTS):
                return [_sample(self.trace, sizes, self.loops)]
        except Exception:
            return []

    # ---------------------------------------------------------------------------------------------
    # What sizes were compared with

    def noted(self, samples: Sequence[Sample]) -> tuple[Choice, ...]:
        """The comparisons of sizes that the function makes alike at all samples.

        They only tell where to look: the function sees extents that are ints of another class.
        """
        every: list[Sequence[Choice]] = []
        shortest = sorted(samples, key=lambda sample: len(sample.traced.program.statements))
        for sample in shortest[:MOST_NOTED] if self.names else ():
            try:
                every.append(self.notes(sample.sizes))
            except Exception:
                return ()
        return _common(every) if every else ()

    def turned(self, alike: Sequence[Sample], wrong: list[Sample]) -> list[Sample]:
        """The samples but those at which the function turned otherwise: the program is found for
        one outcome of each comparison only.
        """
        choices = self.noted(alike) if wrong else ()
        return [sample for sample in wrong if _comes_out(choices, sample.sizes)]

    def finished(self, found: Found, choices: tuple[Choice, ...]) -> Found:
        """What was found, with what is known of the comparisons that the function makes.

        A comparison that comes out otherwise without any difference may lead to further ones.
        """
        noted: dict[SizeCondition, Noted] = {}
        paths = [(choices, found.sample.sizes)]
        left = MOST_FLIPS
        for path, base in paths:
            for k, choice in enumerate(path):
                condition = choice.condition
                if condition in noted or condition.opposite in noted:
                    continue
                flips = [*_flips(condition, path[:k], base)][:left]
                left -= len(flips)
                alike = self.all_alike(found, flips)
                noted[condition] = Noted(choice, tuple(sample.sizes for sample in alike))
                beyond = [s for s in alike if min(s.sizes.values()) >= LEAST]
                if beyond:
                    paths.append((self.noted(beyond), beyond[0].sizes))
        return replace(found, compared=tuple(self.agreed), noted=tuple(noted.values()))

    def all_alike(self, found: Found, every: Sequence[Sizes]) -> list[Sample]:
        """The traces at all these sizes; none where one fails or is not what was found."""
        traced: list[Sample] = []
        for sizes in every:
            samples = self.runnable(sizes) if found.elements(sizes) <= MOST_ELEMENTS else []
            if not samples or not self.holds(found, samples[0]):
                return []
            traced += samples
        return traced

    # ---------------------------------------------------------------------------------------------
    # Solving

    def solve(self, samples: Sequence[Sample]) -> tuple[Found, bool]:
        first = samples[0]
        forms = Forms(self.names, [sample.sizes for sample in samples])
        fillings = tuple(
            self.filled(forms, samples, place, part) for place, part in enumerate(first.parts)
        )
        shapes = {
            tensor.name: tensor.shape
            for tensor in put_together(first.traced.program, fillings).inputs
        }
        families = {}
        for name in first.traced.constants:
            arrays = [sample.constant(name) for sample in samples]
            if not all(_equal(arrays[0], array) for array in arrays):
                families[name] = self.family(name, arrays, shapes[name], forms, first.reader(name))
        found = Found(self.trace, first, fillings, families, loops=self.loops)
        return found, forms.rare

    def filled(
        self, forms: Forms, samples: Sequence[Sample], place: int, part: Part
    ) -> tuple[Filling, ...]:
        columns = zip(*(sample.parts[place].leaves for sample in samples), strict=True)
        return tuple(self.solved(forms, samples, part, column) for column in columns)

    def solved(
        self, forms: Forms, samples: Sequence[Sample], part: Part, column: tuple[Leaf, ...]
    ) -> Filling:
        found: Filling | None
        match column[0]:
            case int():
                found = forms.integer(column)  # type: ignore[arg-type]
            case Number():
                found = forms.number(column)  # type: ignore[arg-type]
            case Fraction() as exponent:
                same = all(value == exponent for value in column)
                found = exponent if same else forms.number([number(v) for v in column])  # type: ignore[arg-type]
        if found is None or not all(
            _is(leaf, found, sample.sizes, part.single)
            for leaf, sample in zip(column, samples, strict=True)
        ):
            raise self.no_form(samples, part, column)
        return found

    def family(
        self,
        name: str,
        arrays: Sequence[Data],
        shape: Sequence[Size],
        forms: Forms,
        reader: Source,
    ) -> Family:
        found = family(name, arrays, shape, forms)
        if found is None:
            raise Unwritten(
                f"the constant {name} can't be written in the named sizes",
                where=show_source(reader),
                expected="np.arange, np.eye, np.tri and their kin, what is computed from these, "
                "or the same array at all sizes",
                found=f"an array of shape ({', '.join(map(str, shape))})",
                hint="pass it to the function as an argument",
            )
        return found

    # ---------------------------------------------------------------------------------------------
    # Refusals

    def different(self, one: Sample, other: Sample) -> Differing:
        """The error for traces that aren't alike, with the names that it is due to."""
        changed = [
            name
            for name in self.names
            if self.loops == ALL_LOOPS  # else no one reads it
            and any(
                not _same_skeleton(one, self.changed(one, {name: n}))
                for n in (self.small(one, name), other.sizes[name])
            )
        ]
        on = " and ".join(changed or self.names)
        counts = [len(sample.parts) - 2 for sample in (one, other)]
        pair = next(
            (
                p
                for p in zip(one.parts, other.parts, strict=False)
                if p[0].skeleton != p[1].skeleton
            ),
            (one.parts[-1], other.parts[-1]),
        )
        if counts[0] != counts[1]:
            what, found = (
                "the number of statements",
                f"{counts[0]} at {one}, {counts[1]} at {other}",
            )
        else:
            what, found = "what is computed", f"{pair[0].title} differs between {one} and {other}"
        source = next((part.source for part in pair if part.source.line), Source())
        if (left := _left_in_loops(one)) is not None:
            error = Differing(
                f"{what} depends on {on}",
                where=show_source(left),
                expected="loops within loops over named sizes, of which the turns of one don't "
                "need each other",
                found="the turns of this loop need each other, and so do those of the loop around "
                "it",
                hint=f"write it as array operations; or {GIVE_NUMBERS}, for one of the loops "
                "(docs/loops.md)",
            )
            error.nested = True
            return error
        error = Differing(
            f"{what} depends on {on}",
            where=show_source(source),
            expected="the same statements at every size",
            found=found,
            hint=f"write loops over {on} so that all turns do the same, of values of equal shapes, "
            "as array operations, with pullback.scan, or as a recurrence in index notation "
            f"(docs/loops.md); or {GIVE_NUMBERS}",
        )
        error.deep = bool(one.traced.turns)
        return error

    def small(self, sample: Sample, name: str) -> int:
        """Another size for a name, a small one: loops make long traces at large ones."""
        return LEAST if sample.sizes[name] > LEAST else LEAST + 1

    def changed(self, sample: Sample, sizes: Mapping[str, int]) -> Sample:
        try:
            return _sample(self.trace, {**sample.sizes, **sizes}, self.loops)
        except Exception:
            return sample

    def no_form(self, samples: Sequence[Sample], part: Part, column: Sequence[Leaf]) -> TraceError:
        kind = "a size" if isinstance(column[0], int) else "a number"
        return Unwritten(
            f"{kind} in {part.title} can't be written in the named sizes",
            where=show_source(part.source),
            expected=f"a sum, product, floor quotient or root of {', '.join(self.names)}",
            found="; ".join(
                f"{_plain(leaf)} at {sample}"
                for leaf, sample in zip(column[:3], samples, strict=False)
            ),
            hint=f"pass it to the function as an argument; or {GIVE_NUMBERS}",
        )

    def unsteady(self, runs: Sample, text: str) -> Unsteady:
        return Unsteady(
            "the function runs at some sizes only",
            expected=f"what runs at {runs} to run at other sizes",
            found=text,
            hint='say it in the shapes, as in "2*N" for an even axis; or ' + GIVE_NUMBERS,
        )


def _left_in_loops(sample: Sample) -> Source | None:
    """The line of a recurrence that is in the program again and again: in each turn of a loop."""
    every = groups(sample.traced.program.statements)
    firsts = [group[0].source for group in every if is_recurrent(group)]
    lines = Counter((source.file, source.line) for source in firsts)
    often = [source for source in firsts if lines[source.file, source.line] >= FEWEST_NAMED]
    return often[0] if often else None


GIVE_NUMBERS = 'give the size as a number, as in "5 D"'


def _around(thresholds: Iterable[int]) -> list[int]:
    """Sizes below, at and above each threshold, as far as other samples aren't there anyway."""
    sizes = {
        n + step
        for n in thresholds
        if LEAST - 1 <= n <= LARGEST_THRESHOLD
        for step in (-1, 0, 1)
        if n + step >= LEAST - 1 and (n >= LEAST or step == 0)
    }
    return sorted(sizes)[:MOST_THRESHOLDS]


class _Draw:
    """Draws sizes: distinct, spread out, in a given order, the same ones in every run."""

    def __init__(self, names: tuple[str, ...], avoid: Collection[int]) -> None:
        self.names = names
        self.avoid = avoid
        self.random = Random(1)
        self.used: dict[str, set[int]] = {name: set() for name in names}
        count = len(names)
        least = LEAST if count < MANY_NAMES else LEAST_DEEP
        apart = 3 if count < MANY_NAMES - 1 else 2  # sizes that fail in an order fail by far
        close = [range(least + apart * k, least + apart * k + apart) for k in range(count)]
        close = close if count > 1 else [ALONE]
        least = min(least, LEAST_CLOSEST)
        closest = [range(least + k, least + k + 2) for k in range(count)]
        wide, narrow = _windows(GREATEST, count), _windows(GREATEST_LONG, count)
        self.every = [wide, narrow, close, closest]
        self.level, self.last = WIDE, CLOSEST

    @property
    def windows(self) -> list[range]:
        """The ranges that the sizes are drawn from, the smallest first."""
        return self.every[self.level]

    def narrow(self, level: int) -> None:
        """From here on smaller sizes are drawn: loops make long traces at large ones."""
        self.level = max(self.level, min(level, self.last))

    def shorten(self) -> None:
        """Smaller sizes after a trace that was too long. Loops over three sizes or more in each
        other are hardly shorter with each of these a bit smaller."""
        self.narrow(max(self.level + 1, CLOSE if len(self.names) >= DEEP else NARROW))

    def order(self, tried: Collection[tuple[str, ...]]) -> tuple[str, ...]:
        """The names from the smallest to the greatest, in a new order if there's one left."""
        for order in (self.names, self.names[::-1]):
            if order not in tried:
                return order
        order = self.names
        for _ in range(ORDERS):
            order = tuple(self.random.sample(self.names, len(self.names)))
            if order not in tried:
                break
        return order

    def sizes(self, order: Sequence[str], kind: str) -> Sizes:
        """A size of this kind for each name, new to the name where that's possible."""
        drawn: Sizes = {}
        for k, name in enumerate(order):
            window = [n for n in self.windows[k] if n not in drawn.values()]
            wanted = [n for n in window if _KINDS[kind](n)] or window
            fresh = [n for n in wanted if n not in self.avoid and n not in self.used[name]]
            free = fresh or [n for n in wanted if n not in self.avoid] or wanted
            drawn[name] = self.random.choice(free)
            self.used[name].add(drawn[name])
        return {name: drawn[name] for name in self.names}


def _is_short(sample: Sample) -> bool:
    """Whether loops over the smallest size may have so few turns that these aren't found alike."""
    return min(sample.sizes.values(), default=inf) < FEWEST_ALIKE


def _windows(greatest: int, count: int) -> list[range]:
    """The ranges that so many names are drawn from, each above the one before."""
    most = max(greatest, round(LEAST * 1.5**count))
    ratio = (most / LEAST) ** (1 / max(1, count))
    return [range(*pair) for pair in pairwise(round(LEAST * ratio**k) for k in range(count + 1))]


_KINDS: dict[str, Callable[[int], bool]] = {
    "any": lambda n: True,
    "prime": lambda n: all(n % d for d in range(2, n)),
    "divisible": lambda n: n % 6 == 0,
    "even": lambda n: n % 2 == 0 and n % 3 != 0,
}


def _sample(trace: Trace, sizes: Sizes, loops: Loops) -> Sample:
    found = rolled(trace(sizes), guarded=bool(sizes), **loops._asdict())
    traced = _live(found)
    return Sample(sizes, traced, take_apart(traced.program))


def _live(traced: Traced) -> Traced:
    """The trace without what no output needs, constants included."""
    program = live(traced.program)
    read = {t for statement in program.statements for t in reads(statement)}
    unread = {t.name for t in program.inputs if t not in read} & set(traced.constants)
    inputs = tuple(t for t in program.inputs if t.name not in unread)
    constants = {name: data for name, data in traced.constants.items() if name not in unread}
    return replace(traced, program=replace(program, inputs=inputs), constants=constants)


def _common(every: Sequence[Sequence[Choice]]) -> tuple[Choice, ...]:
    """The choices that all traces made, but for those that come out alike at all sizes.

    Of those that one condition stands for, the first.
    """
    first, *others = (dict.fromkeys(choices) for choices in every)
    found: dict[SizeCondition, Choice] = {}
    for choice in first:
        if all(choice in other for other in others) and not choice.condition.always:
            found.setdefault(choice.condition, choice)
    return tuple(found.values())


def _comes_out(choices: Sequence[Choice], sizes: Mapping[str, int]) -> bool:
    """Whether all comparisons come out at these sizes as they did."""
    return all(choice.condition.holds(sizes) for choice in choices)


def _flips(condition: SizeCondition, path: Sequence[Choice], base: Sizes) -> Iterator[Sizes]:
    """The nearest sizes at which a condition doesn't hold, one name changed, and further ones.

    What the function turned on before comes out as it did.
    """

    def flipped(name: str, n: int) -> bool:
        sizes = {**base, name: n}
        return not condition.holds(sizes) and _comes_out(path, sizes)

    for name in condition.names:
        up, down = range(base[name] + 1, LARGEST_THRESHOLD + 1), range(base[name] - 1, 0, -1)
        for values in (up, down):
            near = next((n for n in values if flipped(name, n)), 0)
            if not near:
                continue
            yield {**base, name: near}
            far = next((n for n in values if n > 2 * near and flipped(name, n)), 0)
            if far:
                yield {**base, name: far}


def _same_skeleton(one: Sample, other: Sample) -> bool:
    return one.traced.structure == other.traced.structure and [p.skeleton for p in one.parts] == [
        p.skeleton for p in other.parts
    ]


def _fills(part: Part, fillings: Sequence[Filling], sizes: Mapping[str, int]) -> bool:
    """Whether the numbers of a part of a trace are what the forms say."""
    pairs = zip(part.leaves, fillings, strict=True)
    return all(_is(leaf, filling, sizes, part.single) for leaf, filling in pairs)


def _at_zero(statement: Define) -> Part:
    """A statement by itself, read at 0 wherever an index takes no other value."""

    def change(sub: Subscript) -> Subscript:
        ones = {i: constant(0) for i in indices_of(sub) if i.extent.literal == 1}
        return map_indices(sub, ones)

    body = map_subscripts(statement.body, change)
    alone = replace(statement, body=body, scatter=None, source=Source())  # type: ignore[arg-type]
    return take_apart(Program((), (alone,), ()))[1]


def _is(leaf: Leaf, filling: Filling, sizes: Mapping[str, int], single: bool) -> bool:
    """Whether a number of a trace is what the form says, in the precision of its statement."""
    if isinstance(filling, Size):
        return leaf == filling.value(sizes)
    if isinstance(filling, Fraction | Number):
        return leaf == filling
    if isinstance(leaf, Number) and leaf.special:
        return False
    value = leaf.value if isinstance(leaf, Number) else Fraction(leaf)
    with np.errstate(all="ignore"):
        made = float(Points({}, sizes).expr(filling))
    whole = value.denominator == 1
    if whole and isinstance(filling, SizeOf):
        return bool(filling.size.value(sizes) == value)
    slack = 4 * SINGLE if single and is_single(value) and not whole else 16 * DOUBLE
    return abs(made - float(value)) <= slack * abs(float(value))


def _quotients(found: Found) -> tuple[FloorQuotient, ...]:
    """The floor quotients in what was found, in order of first occurrence."""
    sizes: dict[Size, None] = {}
    for filling in (filling for part in found.fillings for filling in part):
        if isinstance(filling, Size):
            sizes[filling] = None
        elif not isinstance(filling, Fraction):
            sizes.update(dict.fromkeys(sizes_in(filling)))
    for one in found.families.values():
        sizes.update(dict.fromkeys(sizes_in(one.value if one.cond is None else one.cond)))
    out: dict[FloorQuotient, None] = {}
    pending = list(sizes)
    while pending:
        for mono, _ in pending.pop().terms:
            for atom in mono:
                if isinstance(atom, FloorQuotient) and atom not in out:
                    out[atom] = None
                    pending += [atom.numerator, atom.denominator]
    return tuple(out)


def _steps(quotient: FloorQuotient, base: Sizes) -> Iterator[Sizes]:
    """Sizes near ``base`` at which the quotient's numerator takes all remainders."""
    divisor = quotient.denominator.value(base)
    for name in quotient.numerator.names():
        if name not in quotient.denominator.names():
            for step in range(1, min(divisor, MOST_STEPS)):
                yield {**base, name: base[name] + step}


def _not_given(
    program: Program, sizes: Mapping[str, int], constants: Mapping[str, Data]
) -> tuple[str, ...]:
    """The names whose value no argument's shape gives."""
    shapes = {
        tensor: tuple(extent.value(sizes) for extent in tensor.shape)
        for tensor in program.inputs
        if tensor.name not in constants
    }
    given = solve_sizes(shapes)
    return tuple(name for name in sizes if name not in given)


def _equal(a: Data, b: Data) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _points(program: Program) -> int:
    """How many points all statements have."""
    total = 0
    for statement in program.statements:
        indices = (*statement.indices, *bound_indices(statement.body))
        total += prod(index.extent.literal or 0 for index in indices)
    return total


Draw = tuple[tuple[float, ...], bool]  # scales, of which each element has one; whether signed

USUAL_DRAWS: tuple[Draw, ...] = (((1.0,), False), ((1.0,), True))
FAR = (1e-3, 1e3, 1e12)
SCALES = (1e-6, 1e-2, 10.0, 1e3, 1e6, 1e12, 1e30, 1e100)


def _turns(node: Tree) -> bool:
    """Whether an operation is of several pieces, one of which only far arguments may meet."""
    match node:
        case Apply(function, _):
            return _has_pieces(function)
        case _:
            return _selects(node)


@cache
def _has_pieces(function: str) -> bool:
    """Whether a function steps, or its slope is spelled with a step or a selection.

    Slopes of slopes add no pieces; those of sin and cos would go round for ever.
    """
    args = tuple(Access(Tensor(f"x{k}", (), "float"), ()) for k in range(TABLE[function].arity))
    try:
        slopes = [None if f is None else f(args, args[0]) for f in TABLE[function].partials]
    except DerivationError:  # the last derivative of sinc that can be written
        return True
    return any(slope is None or any(map(_selects, nodes(slope))) for slope in slopes)


def _selects(node: Tree) -> bool:
    """Whether an operation picks one of several values, or is of a function without a slope."""
    match node:
        case Compare() | Select() | Arg():
            return True
        case Reduce(op, _, _, _):
            return op in ("max", "min")
        case Apply(function, _):
            return None in TABLE[function].partials
        case _:
            return False


def _draws(literals: Sequence[float]) -> Sequence[Draw]:
    """Ways to draw arguments: of usual values, on both sides of every literal, of all scales.

    The first :data:`LEAST_DRAWS` hold all of them in one.
    """
    mixed = ((*literals, *SCALES), True), (SCALES, True)
    far = [((scale,), signed) for scale in (*literals, *FAR) for signed in (False, True)]
    return [*USUAL_DRAWS, *mixed, *far]


def _literals(every: Iterable[Tree]) -> tuple[float, ...]:
    """The magnitudes of the numbers that a program holds."""
    found = {
        abs(float(node.value))
        for node in every
        if isinstance(node, Number) and 0 < abs(node.value) < LARGEST_LITERAL
    }
    return tuple(sorted(found))[-MOST_LITERALS:]


def _random_arguments(
    program: Program, constants: Mapping[str, Data], draw: Draw
) -> dict[str, Data]:
    """Values for the arguments; integers are in bounds wherever they may index.

    Floats are positive, where most functions are defined, or of both signs.
    """
    scales, signed = draw
    random = np.random.default_rng(1)
    shapes = {t: tuple(n.literal or 0 for n in t.shape) for t in program.inputs}
    least = min((n for shape in shapes.values() for n in shape), default=1)
    drawn: dict[str, Data] = {}
    for tensor, shape in shapes.items():
        if tensor.name in constants:
            continue
        kinds: dict[str, Data] = {
            "float": random.uniform(0.2, 1.5, shape)
            * (random.choice((-1.0, 1.0), shape) if signed else 1.0)
            * random.choice(scales, shape),
            "int": random.integers(0, max(1, least), shape),
            "bool": random.random(shape) < 0.5,
        }
        drawn[tensor.name] = kinds[tensor.kind]
    return drawn


def _rounded_again(given: Mapping[str, Data]) -> dict[str, Data]:
    """The arguments with floats that are another rounding of the same numbers."""
    random = np.random.default_rng(2)
    eps = ROUNDINGS * np.finfo(np.float64).eps
    return {
        name: data * (1 + eps * random.choice((-1.0, 1.0), data.shape))
        if data.dtype.kind == "f"
        else data
        for name, data in given.items()
    }


def _near(one: Array, other: Array, usual: bool, again: Array | None = None) -> bool:
    """Whether results are equal but for rounding; of unusual arguments, where both are finite.

    ``again`` is the other result for arguments rounded otherwise: the sine of 1e12 is any number.
    """
    if one.shape != other.shape:
        return False
    a, b = (np.array(array.flat, dtype=np.float64) for array in (one, other))
    if usual:
        return bool(np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True))
    both = np.isfinite(a) & np.isfinite(b)
    slack = 1e-9 * np.max(np.abs(a), where=both, initial=0.0)
    if again is not None:
        c = np.array(again.flat, dtype=np.float64)
        change = np.abs(np.subtract(c, b, where=both, out=np.zeros_like(b)))
        slack += 10 * np.max(change, where=np.isfinite(change), initial=0.0)
    return bool(np.allclose(a[both], b[both], rtol=1e-6, atol=slack))


def _said(error: BaseException) -> str:
    text = error.message if isinstance(error, PullbackError) else str(error)
    return f"{type(error).__name__}: {text}"[:200]


def _failed(error: Exception, sizes: Mapping[str, int]) -> PullbackError:
    """The error of a function that fails wherever it's tried."""
    tried = f"tried at {show_sizes(sizes)}" if sizes else ""
    if isinstance(error, PullbackError):
        found = f"{error.found} ({tried})" if error.found and tried else error.found or tried
        return type(error)(
            error.message, where=error.where, expected=error.expected, found=found, hint=error.hint
        )
    return TraceError(
        f"the function fails: {_said(error)}",
        found=tried,
        hint=f"look at how its shapes fit together; or {GIVE_NUMBERS}",
    )


def _plain(leaf: Leaf) -> str:
    if isinstance(leaf, Number):
        return leaf.special or f"{float(leaf.value):.6g}"
    return str(leaf)


def show_sizes(sizes: Mapping[str, int]) -> str:
    """``N=5, D=7``."""
    return ", ".join(f"{name}={value}" for name, value in sizes.items())
