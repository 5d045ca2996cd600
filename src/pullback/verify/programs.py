"""Checks of a whole backward pass, by the interpreter; the generated source is checked by it, too.

The compact statements against the raw adjoints (modulo a prime and in decimals), both against
differences of the forward program in 50-digit decimals, and ⟨u, Jv⟩ = ⟨Jᵀu, v⟩ with the
pushforward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from random import Random
from typing import Any, NamedTuple

from ..calculus.pushforward import pushforward
from ..calculus.step import Backward
from ..derivation.assumptions import at_each
from ..derivation.status import decided
from ..errors import PullbackError
from ..ir.arithmetic import FLOAT, MODULAR, PRIME, Abstain, Resample
from ..ir.expr import Tensor
from ..ir.interpret import Array, define, fill
from ..ir.program import Define
from .decimals import DECIMALS, MORE_DECIMALS, Decimals
from .report import Comparison, Report
from .samples import (
    DRAWS,
    KINKS,
    SIZES,
    STYLES,
    Budget,
    Sample,
    beyond_literals,
    compute,
    draw,
    draw_sizes,
    exact_values,
    is_finite,
    is_number,
    is_sound,
    near,
    volume,
    work,
)
from .source import Source
from .steps import difference

WORK = 800_000  # about a second and a half of the interpreter's decimals
WORK_BEYOND = 20_000  # at sizes beyond the numbers in the statements
ROUNDED = 1e-6  # float64 against 50 digits
EXACT = 1e-30  # two ways to compute the same, in 50 digits
LIMIT = (
    1e-8  # a difference quotient, in 50 digits; well above its own error, well below any mistake
)


def check_backward_program(
    backward: Backward, seed: int = 0, samples: int = 4, known: Mapping[str, Any] | None = None
) -> Report:
    """The backward pass of a program, checked at small sizes (1 and odd ones among them).

    Named sizes are drawn; a program whose literal sizes make the interpreter too slow is reported
    as not checked. ``known`` are values of inputs by name: where they are all there, the pass is
    checked at them, too; where random values find no point at which the forward pass is finite,
    those that are known are left as they are.
    """
    return _Checks(backward, seed, samples, known or {}).report()


class Drawn(NamedTuple):
    """A sample with the compact statements' values, the raw adjoints, the scatter forms, a style.

    ``name`` tells the sample from others.
    """

    sample: Sample
    raw: dict[str, Array]
    windows: dict[str, Array]
    style: str
    name: str

    @property
    def smooth(self) -> bool:
        """Whether no values meet on purpose, so that a derivative is no matter of convention."""
        return self.style not in KINKS


class _Checks:
    def __init__(
        self, backward: Backward, seed: int, samples: int, known: Mapping[str, Any] | None = None
    ) -> None:
        self.backward = backward
        self.seed = seed
        self.inputs = (*backward.program.inputs, *backward.cotangents)
        self.outputs = [t for t in backward.program.outputs if t.kind == "float"]
        made = (*backward.forward.statements, *backward.values)
        self.forward = merged(made, backward.program.statements)
        self.pushed = pushforward(backward.program, backward.wrt)
        every = [*self.forward, *backward.adjoints, *backward.statements, *self.pushed.statements]
        self.samples, self.draws = samples, 0
        self.known = exact_values(backward.program.inputs, known or {})
        sizes = draw_sizes(every, self.inputs, Random(seed), SIZES)
        again = [*self.forward, *(2 * len(backward.wrt) * [*backward.program.statements])]

        def cost(n: Mapping[str, int]) -> int:
            return sum(work(s, n) for s in (*every, *again)) + volume(self.inputs, n)

        self.budget = Budget.of(sizes, cost, WORK)
        self.sizes = self.budget.sizes
        beyond = beyond_literals(every, self.inputs)
        self.beyond = [*islice((n for n in beyond if cost(n) <= WORK_BEYOND), 1)]

    def report(self) -> Report:
        pairs = list(zip(self.backward.wrt, self.backward.gradients, strict=True))
        found: list[Comparison] = []
        exact = self.modular()
        for k, (tensor, gradient) in enumerate(pairs):
            what = f"gradient of {tensor.name}"
            compact = Tally(what, "the raw sums over all deltas")
            scatter = Tally(what, "the sums that backends may choose")
            quotient = Tally(what, "differences of the forward pass")
            for drawn in self.decimal:
                sample, right = drawn.sample, drawn.raw[gradient.name]
                compact.arrays(right, sample.arrays[gradient.name])
                scatter.arrays(right, drawn.windows.get(gradient.name))
                if drawn.smooth:
                    seed = f"{drawn.name} {k}"
                    quotient.number(*self.settled(tensor, gradient, sample, seed))
            notes = [exact.get(gradient.name, ""), "" if k else self.tried()]
            found.append(compact.comparison(EXACT, "; ".join(filter(None, notes))))
            found += [scatter.comparison(EXACT)] if scatter.count else []
            found.append(quotient.comparison(LIMIT))
        found += [*self.values(), self.dots(), *self.source()]
        return Report("backward pass", tuple(map(self.explained, found)), self.seed)

    def explained(self, found: Comparison) -> Comparison:
        """The comparison, with the reason if nothing was drawn to compare at."""
        if found.status != "not checked" or self.decimal:
            return found
        if not self.sizes:
            return replace(found, note="too large to be evaluated element by element")
        return replace(found, note=f"the forward pass was not finite at any of {self.draws} draws")

    def tried(self) -> str:
        """The sizes of the samples."""
        tried = list(dict.fromkeys(tuple(drawn.sample.sizes.items()) for drawn in self.decimal))
        return f"at {at_each([dict(sizes) for sizes in tried])}" if tried and tried[0] else ""

    def values(self) -> list[Comparison]:
        """The outputs of the flat forward pass against those of the program as it was given."""
        tallies = {t.name: Tally(f"value of {t.name}", "the program") for t in self.outputs}
        for sample, *_ in self.decimal:
            arrays = {t.name: sample.arrays[t.name] for t in self.backward.program.inputs}
            fill(arrays, self.backward.program.statements, sample.sizes, sample.arithmetic)
            for name, tally in tallies.items():
                tally.arrays(arrays[name], sample.arrays[name])
        return [tally.comparison(EXACT) for tally in tallies.values()]

    def source(self) -> list[Comparison]:
        """What the generated NumPy source computes, against the statements it was spelled from."""
        pairs = zip(self.backward.wrt, self.backward.gradients, strict=True)
        told = {t.name: f"source of {t.name}" for t in self.outputs}
        told |= {t.name: f"source of the gradient of {of.name}" for of, t in pairs}
        tallies = {name: Tally(what, "the statements") for name, what in told.items()}
        try:
            made = Source(self.backward)
            for drawn in self.decimal:
                sample = drawn.sample
                if sample.loose or not sample.accurate or not drawn.smooth:
                    continue  # rounding moves a kink
                if not made.has_windows(sample.sizes):
                    continue
                values = made.values(sample)
                rounded = self.rounded(sample, values)
                for key, tally in tallies.items():
                    if key in rounded:
                        tally.undefined += len(sample.arrays[key].flat)
                    else:
                        tally.arrays(sample.arrays[key], values[key])
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            return [Comparison("generated source", "the statements", "failed", note=what)]
        return [tally.comparison(ROUNDED) for tally in tallies.values()]

    def rounded(self, sample: Sample, values: Mapping[str, Array]) -> frozenset[str]:
        """The values that float64 gets wrong, too, where the statements are run in it."""

        def wrong(key: str, found: Array) -> bool:
            right = sample.arrays[key]
            scale = max((abs(x) for x in right.flat if is_finite(x)), default=0)
            pairs = zip(right.flat, found.flat, strict=True)
            return right.shape == found.shape and any(
                difference(a, b, scale) > ROUNDED for a, b in pairs if is_number(a)
            )

        suspects = [key for key, found in values.items() if wrong(key, found)]
        if not suspects:
            return frozenset()
        floats = sample.again(FLOAT, self.forward, self.backward.statements)
        if floats is None:
            return frozenset(suspects)
        exact = {
            k: Array(a.shape, [*map(DECIMALS.element, a.flat)])
            for k in suspects
            for a in [floats.arrays[k]]
        }
        return frozenset(key for key in suspects if wrong(key, exact[key]))

    def draw(
        self, sizes: Mapping[str, int], rng: Random, style: str, modular: bool
    ) -> Sample | None:
        arithmetic = MODULAR if modular else DECIMALS
        try:
            readers, forward = self.backward.program.statements, self.forward
            for known in (self.known,) if style == "example" else ({}, self.known):
                found = draw(
                    self.inputs, forward, sizes, rng, arithmetic, style, modular, readers, known
                )
                if found is not None or not self.known:
                    return found
            return None
        except PullbackError:
            return None

    @cached_property
    def decimal(self) -> list[Drawn]:
        """Samples at several sizes in several styles, with all that is to be compared."""
        found: list[Drawn] = []
        used = 0
        if self.sizes and all(t in self.known for t in self.backward.program.inputs):
            found += self.drawn(self.sizes[0], 0, ("example",))
        for k, sizes in enumerate(self.sizes):
            own = self.drawn(sizes, k, STYLES if not used else STYLES[:3])
            found += own
            used += bool(own)
            if used == self.samples:
                break
        for k, sizes in enumerate(self.beyond):
            found += self.drawn(sizes, len(self.sizes) + k, STYLES[:3])
        return found

    def drawn(self, sizes: Mapping[str, int], k: int, styles: Sequence[str]) -> list[Drawn]:
        """Samples at the k-th sizes; none where, as likely as not, nothing is defined."""
        own: list[Drawn] = []
        for style in styles:
            if k < len(self.sizes) and not self.budget.spend(k):
                break
            name = f"{self.seed} {k} {style}"
            sample = self.draw(sizes, Random(name), style, False)
            self.draws += DRAWS
            if sample is None:
                break
            raw = self.adjoints(sample)
            compute(sample, self.backward.statements, Random(name))
            drawn = Drawn(sample, raw, self.windows(sample), style, name)
            own += [drawn] if self.sound(drawn) else []
        return own

    def sound(self, drawn: Drawn) -> bool:
        """Whether the gradients agree with the raw sums, or differ with twice the digits, too."""
        sample = drawn.sample
        own = {t.name: sample.arrays[t.name] for t in self.backward.gradients}
        sides = [Sample({}, DECIMALS, dict(part)) for part in (own, self.raw_of(drawn.raw))]
        if near(sides[0], sides[1], EXACT):
            return True
        compact, raw = self.backward.statements, self.backward.adjoints
        return is_sound(sample, self.forward, compact) and is_sound(
            Sample(sample.sizes, DECIMALS, sample.arrays | drawn.raw, {}, sample.exact),
            self.forward,
            raw,
        )

    def raw_of(self, raw: Mapping[str, Array]) -> dict[str, Array]:
        """The raw sums of the gradients alone."""
        return {t.name: raw[t.name] for t in self.backward.gradients}

    def settled(
        self, tensor: Tensor, gradient: Tensor, sample: Sample, seed: str
    ) -> tuple[Any, Any, Any]:
        """The slopes on both sides and what the gradient says, with twice the digits if in doubt.

        A sum that nearly vanishes has a curvature so large that a quotient of 50 digits is not
        close to the slope.
        """
        left, right, says = self.slopes(tensor, gradient, sample, Random(seed), DECIMALS)
        scale = max(abs(left), abs(right))
        if max(difference(left, right, scale), difference(left, says, scale)) <= LIMIT:
            return left, right, says
        again = sample.again(MORE_DECIMALS, self.forward, self.backward.statements)
        if again is None:
            return left, right, says
        return self.slopes(tensor, gradient, again, Random(seed), MORE_DECIMALS)

    def adjoints(self, sample: Sample) -> dict[str, Array]:
        """The raw adjoints, which read only each other."""
        arrays = dict(sample.arrays)
        fill(arrays, self.backward.adjoints, sample.sizes, sample.arithmetic)
        for t in self.backward.gradients:
            arrays.setdefault(t.name, sample.arrays.get(t.name, Array((), [])))
        return arrays

    def windows(self, sample: Sample) -> dict[str, Array]:
        """The statements' ``scatter`` forms, each from the same surroundings."""
        return {
            s.target.name: define(
                Define(s.target, s.indices, s.scatter),
                sample.arrays,
                sample.sizes,
                sample.arithmetic,
            )
            for s in self.backward.statements
            if s.scatter is not None
        }

    def modular(self) -> dict[str, str]:
        """By gradient: that it equals its raw adjoint modulo the prime, where decided."""
        told: dict[str, str] = {}
        for k, sizes in enumerate(self.sizes[: self.samples]):
            sample = self.draw(sizes, Random(f"{self.seed} {k} modular"), "signed", True)
            if sample is None:
                continue
            try:
                raw = self.adjoints(sample)
                compute(sample, self.backward.statements, Random(0))
            except (Abstain, Resample, PullbackError):
                continue
            for t in self.backward.gradients:
                sides = zip(raw[t.name].flat, sample.arrays[t.name].flat, strict=True)
                equal = all(int(a) % PRIME == int(b) % PRIME for a, b in sides)
                if equal and t.name not in told:
                    told[t.name] = "and exactly modulo 2⁶¹ − 1"
        return told

    def slopes(
        self, tensor: Tensor, gradient: Tensor, sample: Sample, rng: Random, decimals: Decimals
    ) -> tuple[Any, Any, Any]:
        """Along a random direction: the slopes on both sides, and what the gradient says."""
        at = sample.arrays[tensor.name]
        direction = [decimals.element(rng.randint(-9, 9)) / 8 for _ in at.flat]
        found = sample.arrays[gradient.name].flat
        says = sum(g * d for g, d in zip(found, direction, strict=True))
        here = self.value(sample, {})
        step = decimals.element(10) ** -(2 * decimals.digits // 5)

        def moved(sign: int) -> Any:
            flat = [x + sign * step * d for x, d in zip(at.flat, direction, strict=True)]
            return self.value(sample, {tensor.name: Array(at.shape, flat)})

        return (here - moved(-1)) / step, (moved(1) - here) / step, says

    def value(self, sample: Sample, changed: Mapping[str, Array]) -> Any:
        """Σ cotangent · output of the program as it was given."""
        program, arrays = self.backward.program, dict(sample.arrays)
        arrays.update(changed)
        fill(arrays, program.statements, sample.sizes, sample.arithmetic)
        return sum(
            u * y
            for out, seed in zip(self.outputs, self.backward.cotangents, strict=True)
            for u, y in zip(sample.arrays[seed.name].flat, arrays[out.name].flat, strict=True)
        )

    def dots(self) -> Comparison:
        """⟨u, Jv⟩ = ⟨Jᵀu, v⟩, by two derivations that share no statement."""
        tally = Tally("⟨Jᵀu, v⟩", "⟨u, Jv⟩ of the pushforward")
        extra = self.pushed.inputs[len(self.backward.program.inputs) :]
        for drawn in self.decimal:
            sample, rng = drawn.sample, Random(f"{drawn.name} dot")
            arrays = {t.name: sample.arrays[t.name] for t in self.backward.program.inputs}
            for tangent, tensor in zip(extra, self.backward.wrt, strict=True):
                shape = sample.arrays[tensor.name].shape
                flat = [
                    DECIMALS.element(rng.randint(-9, 9)) / 8
                    for _ in sample.arrays[tensor.name].flat
                ]
                arrays[tangent.name] = Array(shape, flat)
            fill(arrays, self.pushed.statements, sample.sizes, sample.arithmetic)
            seeds = zip(self.backward.cotangents, self.pushed.outputs, strict=True)
            left = sum(inner(sample.arrays[u.name], arrays[t.name]) for u, t in seeds)
            gradients = zip(self.backward.gradients, extra, strict=True)
            right = sum(inner(sample.arrays[g.name], arrays[v.name]) for g, v in gradients)
            if is_finite(left):  # at a root of 0 or a quotient by 0 there is no derivative
                tally.number(left, left, right)
        return tally.comparison(EXACT)


def inner(left: Array, right: Array) -> Any:
    """The sum of products of two arrays' elements."""
    return sum(a * b for a, b in zip(left.flat, right.flat, strict=True))


def merged(first: Sequence[Define], second: Sequence[Define]) -> tuple[Define, ...]:
    """The statements of the first, then those of the second whose targets the first lacks."""
    made = {s.target.name for s in first}
    return (*first, *(s for s in second if s.target.name not in made))


@dataclass
class Tally:
    """Collects comparisons of one value at several samples."""

    what: str
    against: str
    count: int = 0
    kinks: int = 0
    undefined: int = 0
    worst: float = -1.0
    at: tuple[int, ...] | None = None
    expected: Any = None
    found: Any = None

    def arrays(self, expected: Array, found: Array | None) -> None:
        """Takes in two arrays, element by element."""
        if found is None:
            return
        if expected.shape != found.shape:
            self._worse(float("inf"), None, expected.shape, found.shape)
            return
        finite = [abs(x) for x in expected.flat if is_number(x) and abs(x) < DECIMALS.inf]
        scale = max(finite, default=0)
        for k, (a, b) in enumerate(zip(expected.flat, found.flat, strict=True)):
            if not is_number(a):
                self.undefined += 1
                continue
            self.count += 1
            self._worse(difference(a, b, scale), _place(k, expected.shape), a, b)

    def number(self, before: Any, after: Any, found: Any) -> None:
        """Takes in a slope, unless the slopes on its two sides differ."""
        if not (is_number(before) and is_number(after)):
            self.undefined += 1
            return
        scale = max(abs(before), abs(after))
        if difference(before, after, scale) > LIMIT:
            self.kinks += 1  # a kink or a tie: no slope to compare a convention's choice with
            return
        self.count += 1
        self._worse(difference(before, found, scale), None, before, found)

    def _worse(self, off: float, at: tuple[int, ...] | None, expected: Any, found: Any) -> None:
        if off > self.worst:
            self.worst, self.at, self.expected, self.found = off, at, expected, found

    def comparison(self, tolerance: float, note: str = "") -> Comparison:
        """What it all comes to."""
        notes = [note] if note else []
        notes += [f"{self.kinks} at kinks, not compared"] if self.kinks else []
        status = decided(self.worst > tolerance, self.worst >= 0)
        if status == "not checked":
            notes.append("no point found where it is defined")
        return Comparison(
            self.what,
            self.against,
            status,
            self.at,
            _short(self.expected),
            _short(self.found),
            None if self.worst < 0 else self.worst,
            tolerance,
            self.count,
            "; ".join(notes),
            unchecked=self.kinks + self.undefined,
        )


def _short(value: Any) -> Any:
    return value if value is None or isinstance(value, tuple) else float(value)


def _place(k: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    place: list[int] = []
    for n in reversed(shape):
        k, rest = divmod(k, n)
        place.append(rest)
    return tuple(reversed(place))
