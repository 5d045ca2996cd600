"""Checks of a derivation's steps: is what stands after a step equal to what stood before?

Each step is checked by itself: inputs and cotangents are drawn, the tensors that it reads are
computed by the interpreter, and both sides are evaluated at the points of its indices. First
exactly modulo a prime, which proves rational identities but knows no order and no analytic
identity; where it abstains or disagrees, or where a step turns on comparisons, 50-digit decimals
decide, ties included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from random import Random
from typing import Any

from ..calculus.step import Backward, Step
from ..derivation.steps import Check
from ..errors import PullbackError
from ..functions import FINITE, STEEP, TABLE
from ..ir.arithmetic import MODULAR, Abstain, Arithmetic, Resample
from ..ir.expr import Apply, Arg, Compare, Expr, Power, Reduce, Select, Truth
from ..ir.interpret import Array, Context, Scope, value_of
from ..ir.program import Define, computing, reads
from ..ir.walk import nodes, tensors
from .decimals import DECIMALS, MORE_DECIMALS
from .samples import (
    SAME,
    SIZES,
    STYLES,
    Budget,
    Sample,
    draw,
    draw_sizes,
    is_number,
    near,
    volume,
    work,
    work_of,
)

WORK = 450_000  # less than a second of the interpreter's decimals
SAMPLES = 6  # so many are enough where they have many points
POINTS = 60
USED = 4  # so many sizes
TOLERANCE = 1e-30

Point = tuple[Sequence[int], Any, Any]  # a place, and what stands there before and after a step


def check_step(step: Step, backward: Backward, seed: int = 0) -> Check:
    """Whether a step's two sides are equal."""
    return check_steps(backward, seed, [step])[0]


def check_steps(
    backward: Backward, seed: int = 0, steps: Sequence[Step] | None = None
) -> tuple[Check, ...]:
    """One check a step; the values that steps read are drawn and computed once for all."""
    steps = backward.steps if steps is None else steps
    around = Surroundings(backward, steps, seed)
    return tuple(_check(step, around) for step in steps)


class Surroundings:
    """The values around the steps, drawn when they are first asked for."""

    def __init__(self, backward: Backward, steps: Sequence[Step], seed: int) -> None:
        self.statements = needed(backward, steps)
        read = {t for s in self.statements for t in reads(s)}
        read.update(t for s in steps for side in (s.before, s.after) for t in tensors(side))
        every = (*backward.program.inputs, *backward.cotangents)
        self.inputs = tuple(t for t in every if t in read)
        self.seed = seed
        self.sides = [
            Define(s.target, s.indices, side) for s in steps for side in (s.before, s.after)
        ]
        self.readers = (*self.sides, *backward.program.statements)
        sizes = draw_sizes([*self.statements, *self.sides], self.inputs, Random(seed), SIZES)

        def cost(n: Mapping[str, int]) -> int:
            return 2 * sum(work(s, n) for s in self.statements) + volume(self.inputs, n)

        self.budget = Budget.of(sizes, cost, WORK)
        self.sizes = self.budget.sizes
        self.share = WORK // (SAMPLES * max(1, len(steps)))  # of a step at one sample
        self.drawn: dict[tuple[int, str], Sample | None] = {}
        self.residues = lru_cache(maxsize=None)(self._sample)

    def _sample(self, k: int, style: str, modular: bool) -> Sample | None:
        rng = Random(f"{self.seed} {k} {style} {modular}")
        arithmetic: Arithmetic = MODULAR if modular else DECIMALS
        try:
            return draw(
                self.inputs,
                self.statements,
                self.sizes[k],
                rng,
                arithmetic,
                style,
                loosen=modular,
                readers=self.readers,
            )
        except PullbackError:
            return None

    def sample(self, k: int, style: str) -> Sample | None:
        """A sample in decimals, as long as there is work left for one."""
        if (k, style) not in self.drawn:
            paid = self.budget.spend(k)
            self.drawn[k, style] = self._sample(k, style, False) if paid else None
        return self.drawn[k, style]

    def modular(self) -> Iterator[Sample]:
        """Samples modulo the prime."""
        made = (self.residues(k, "signed", True) for k in range(len(self.sizes[:USED])))
        return (sample for sample in made if sample is not None)

    def decimal(self) -> Iterator[Sample]:
        """Samples in decimals, of several styles at several sizes."""
        used = 0
        for k in range(len(self.sizes)):
            found = False
            for style in STYLES if used < 2 else STYLES[:3]:
                sample = self.sample(k, style)
                if sample is not None:
                    yield sample
                found = found or sample is not None
                if not found:
                    break  # at these sizes nothing is defined
            used += found
            if used == USED:
                break

    def confirms(self, step: Step, sample: Sample, found: Sequence[Point]) -> bool:
        """Whether both sides are the same with twice the digits, so that a difference is real.

        Sides that divide by what is 0 but for rounding are no evidence of anything.
        """
        again = sample.again(MORE_DECIMALS, self.statements)
        if again is None or not near(again, sample, SAME):
            return False
        more = pairs(step, again, Random(self.seed), self.share)
        return near(_sides(more), _sides(found), SAME)


def _sides(found: Iterable[Point]) -> Sample:
    """Both sides at all points, as two arrays."""
    rows = [(before, after) for _, before, after in found]
    before, after = (Array((len(rows),), [row[side] for row in rows]) for side in (0, 1))
    return Sample({}, DECIMALS, {"before": before, "after": after})


def needed(backward: Backward, steps: Iterable[Step]) -> tuple[Define, ...]:
    """The statements that compute all that steps read, in order."""
    wanted = {t for s in steps for side in (s.before, s.after) for t in tensors(side)}
    made: dict[str, Define] = {}
    every = (*backward.forward.statements, *backward.values, *backward.adjoints)
    for s in (*every, *backward.statements):
        made.setdefault(s.target.name, s)
    return tuple(computing(list(made.values()), wanted))


def _check(step: Step, around: Surroundings) -> Check:
    if step.before is step.after:
        return Check("passed", "the same")
    if not around.sizes:
        return Check("not checked", "too large to be evaluated point by point")
    exact, why = _modular(step, around)
    risks = risky(step.after) - risky(step.before)
    if exact and not risks and not turns(step.before) and not turns(step.after):
        return Check("passed", f"equal modulo 2⁶¹ − 1 at {exact} points", exact)
    count, worst, where = _decimal(step, around)
    if where:
        return Check("failed", f"differs: {where}", count + 1, worst=worst)
    if not count:
        return Check("not checked", why or "no point where both sides are defined")
    also = f"equal modulo 2⁶¹ − 1 at {exact} points, and " if exact else ""
    how = f"{also}equal to 30 digits at {count} points, ties among them"
    return Check("passed", how, exact + count, worst=worst)


def turns(value: Expr) -> bool:
    """Whether a value is piecewise: random residues never meet its ties."""
    piecewise = Compare | Select | Truth | Arg
    return any(
        isinstance(node, piecewise)
        or (isinstance(node, Reduce) and node.op in ("max", "min"))
        or (isinstance(node, Apply) and node.function in PIECEWISE)
        for node in nodes(value)
    )


def risky(value: Expr) -> set[Expr]:
    """What is divided by, or has a root or a logarithm taken of it: it may be zero, or negative."""
    found: set[Expr] = set()
    for node in nodes(value):
        match node:
            case Power(base, exponent) if exponent < 0 or exponent.denominator > 1:
                found.add(base)
            case Apply(function, args) if function in PARTIAL:
                found.update(args)
    return found


PARTIAL = frozenset(TABLE) - FINITE - STEEP
PIECEWISE = frozenset(
    [
        *("abs", "sign", "maximum", "minimum", "clip", "xlogy", "pow", "mod", "fmod", "copysign"),
        *("floor", "ceil", "trunc", "rint", "floor_divide", "heaviside", "hypot"),
    ]
)


def _modular(step: Step, around: Surroundings) -> tuple[int, str]:
    """At how many points the sides agree modulo the prime; 0 and why not if they need not."""
    count, why = 0, "no point modulo the prime has all its roots"
    for sample in around.modular():
        try:
            for _, before, after in pairs(step, sample, Random(around.seed), around.share):
                if int(before) % (2**61 - 1) != int(after) % (2**61 - 1):
                    return 0, "modulo the prime the sides differ"
                count += 1
        except Abstain as reason:
            return 0, f"modulo the prime: {reason}"
        except Resample:
            continue
        except PullbackError as error:
            return 0, error.message
    return count, why


def _decimal(step: Step, around: Surroundings) -> tuple[int, float, str]:
    """At how many points the sides agree in decimals, the worst difference, where it is."""
    count, worst = 0, 0.0
    for n, sample in enumerate(around.decimal()):
        if n >= SAMPLES and count >= 3 * POINTS:
            break
        found = list(pairs(step, sample, Random(around.seed), around.share))
        scale = _scale(before for _, before, _ in found)
        for at, before, after in found:
            if not is_number(before):
                continue
            off = difference(before, after, scale)
            if not off < TOLERANCE:
                if not around.confirms(step, sample, found):
                    break
                return count, off, _where(step, at, before, after, sample)
            count, worst = count + 1, max(worst, off)
    return count, worst, ""


def _scale(values: Iterable[Any]) -> Any:
    return max([abs(x) for x in values if is_number(x) and abs(x) < DECIMALS.inf], default=0)


def difference(before: Any, after: Any, scale: Any) -> float:
    """The difference relative to the greatest value around; infinite where only one is a number."""
    if not is_number(after):
        return float("inf")
    if before == after:
        return 0.0
    off = abs(before - after) / max(abs(scale), 1)
    return float(off) if off == off else float("inf")


def _where(step: Step, at: Sequence[int], before: Any, after: Any, sample: Sample) -> str:
    sizes = ", ".join(f"{name}={n}" for name, n in sample.sizes.items())
    place = ", ".join(map(str, at))
    show = DECIMALS.context.nstr
    return (
        f"{step.target.name}[{place}] is {show(DECIMALS.element(before), 12)} before and "
        f"{show(DECIMALS.element(after), 12)} after, at {sizes or 'the given sizes'}"
    )


def pairs(step: Step, sample: Sample, rng: Random, share: int = WORK) -> Iterator[Point]:
    """Both sides at points of the step's indices: all of them, or a random choice of them."""
    context = Context(sample.arrays, sample.sizes, sample.arithmetic)
    scope = Scope(context, {index: k for k, index in enumerate(step.indices)})
    shape = [value_of(i.extent, sample.sizes) for i in step.indices]
    before, after = scope.value(step.before), scope.value(step.after)
    points = list(product(*map(range, shape)))
    cost = work_of(step.before, sample.sizes) + work_of(step.after, sample.sizes)
    most = max(4, min(POINTS, share // max(1, cost)))
    for at in points if len(points) <= most else sorted(rng.sample(points, most)):
        context.point[: len(at)] = at
        yield at, before(context.point), after(context.point)
