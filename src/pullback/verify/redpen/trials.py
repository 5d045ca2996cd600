"""The forward and the backward pass of a person, run at sizes and values chosen here.

Extents that coincide by chance can't be told apart, and at ``gamma = 1`` nobody sees that gamma is
missing. So both functions are run at other sizes, which are distinct primes, and at other values.
Which extents belong together is found by trying: those that can be changed alone, and those only
together. Where the functions don't run at other sizes or values, those that were given are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from ...calculus.reverse import reverse
from ...calculus.step import Backward
from ...errors import PullbackError
from ...ir.expr import Tensor
from ...ir.program import Program, computing, reads, solve_sizes
from ...runtime.notated import Formula
from ...trace.annotations import Spec, spec
from ...trace.named import trace_named
from .grid import Grid, TooLarge

Array = np.ndarray[Any, Any]
Place = tuple[int, int]  # an argument, and a leaf of it
Axis = tuple[Place, int]
Outcome = tuple[list[Any], list[Any], dict[Place, Array]]  # outputs, their cotangents, gradients

PRIMES = (3, 5, 2, 7, 11, 13, 17, 19)
RUNS = 160  # of the functions while looking for sizes
LETTERS = "NDMKLPQRSTUVWXYZ"


@dataclass(frozen=True)
class Subject:
    """The two functions.

    ``leaves`` are the arrays among the arguments by place, with names; ``run`` runs both functions
    on other leaves and raises whatever they raise; ``value`` is the forward pass of flat leaves.
    """

    leaves: Mapping[Place, Any]
    names: Mapping[Place, str]
    floats: Sequence[Place]
    run: Callable[[Mapping[Place, Any], np.random.Generator], Outcome]
    value: Callable[..., Any]
    formula: Formula | None = None


@dataclass
class Trial:
    """One run: the grid holds the derived values at its inputs; ``found`` are the gradients that
    were returned. ``fresh`` tells whether the inputs were drawn."""

    sizes: dict[str, int]
    grid: Grid
    found: dict[Place, Array]
    fresh: bool


@dataclass
class Trials:
    """The derivation, and runs to compare with it."""

    program: Program
    backward: Backward
    gradients: dict[Place, Tensor]
    trials: list[Trial]
    letters: tuple[str, ...]
    extents: Mapping[str, str]  # of which axis each letter is the extent, as NumPy
    given: Callable[[], list[Trial]]  # more runs, at the sizes that were given


def prepare(subject: Subject, seed: int, single: bool) -> Trials | None:
    """The derivation and some runs; None where nothing can be traced or run.

    ``single`` asks for more runs: a gradient of one element says little in each.
    """
    try:
        bench = _Bench(subject, seed)
    except PullbackError:  # nothing can be traced or differentiated
        return None
    return bench.trials(10 if single else 2)


class _Bench:
    def __init__(self, subject: Subject, seed: int) -> None:
        self.subject = subject
        self.rng = np.random.default_rng([seed % 2**32, 104729])
        self.runs = 0
        self.places = list(subject.leaves)
        self.axes: dict[Axis, str | int] = {}
        self.program, self.constants, self.given = self._program()
        wanted = [self.places.index(p) for p in subject.floats]
        self.backward = reverse(self.program, [self.program.inputs[n] for n in wanted])
        self.gradients = dict(zip(subject.floats, self.backward.gradients, strict=True))
        forward, read = (
            self.backward.forward.statements,
            [t for s in self.backward.statements for t in reads(s)],
        )
        outputs = () if subject.formula else self.program.outputs  # a formula is its program
        self.needed = computing(forward, [*read, *outputs])

    # The program, with named sizes where extents can be changed.

    def _program(self) -> tuple[Program, dict[Tensor, Array], dict[str, int]]:
        leaves = [np.asarray(self.subject.leaves[p]) for p in self.places]
        formula = self.subject.formula
        if formula is not None:
            shapes = {t: a.shape for t, a in zip(formula.program.inputs, leaves, strict=True)}
            given = solve_sizes(shapes)
            self.axes = {}
            return formula.program, {}, given
        self.axes, given = self._named()
        try:
            return (*self._traced(self.axes), given)
        except PullbackError:
            return self._partly_named(given)

    def _partly_named(
        self, given: Mapping[str, int]
    ) -> tuple[Program, dict[Tensor, Array], dict[str, int]]:
        """The program with those names of sizes that it can be traced with, one after the other.

        The extent that a Python loop goes over can't be named, that of the batch beside it can.
        """
        named = self.axes
        self.axes = {axis: self._extent(axis) for axis in named}
        traced, kept = self._traced(self.axes), dict[str, int]()
        for name in given:
            trial = {a: n if n == name else self.axes[a] for a, n in named.items()}
            try:
                traced = self._traced(trial)
            except PullbackError:
                continue
            self.axes, kept[name] = trial, given[name]
        return (*traced, kept)

    def _traced(self, axes: Mapping[Axis, str | int]) -> tuple[Program, dict[Tensor, Array]]:
        specs: dict[str, Spec] = {}
        for place in self.places:
            leaf = np.asarray(self.subject.leaves[place])
            shape = tuple(axes[place, k] for k in range(leaf.ndim))
            dtype = "float64" if leaf.dtype.kind == "f" else leaf.dtype.name
            specs[self.subject.names[place]] = Spec(spec(shape).shape, dtype)
        traced = trace_named(self.subject.value, specs)
        constants = {
            t: np.asarray(traced.constants[t.name])
            for t in traced.program.inputs
            if t.name in traced.constants
        }
        return traced.program, constants

    def _extent(self, axis: Axis) -> int:
        place, k = axis
        return int(np.shape(self.subject.leaves[place])[k])

    def _named(self) -> tuple[dict[Axis, str | int], dict[str, int]]:
        """A name for every set of axes that have to change together, the extent for the others."""
        every = [(p, k) for p in self.places for k in range(np.ndim(self.subject.leaves[p]))]
        groups: dict[int, list[Axis]] = {}
        for axis in every:
            groups.setdefault(self._extent(axis), []).append(axis)
        names = iter(LETTERS)
        axes: dict[Axis, str | int] = {axis: self._extent(axis) for axis in every}
        given: dict[str, int] = {}
        for extent, group in groups.items():
            if extent < 2:
                continue
            for own in self._classes(group, extent):
                name = next(names, None)
                if name is not None:
                    axes.update(dict.fromkeys(own, name))
                    given[name] = extent
        return axes, given

    def _classes(self, group: list[Axis], extent: int) -> Iterator[tuple[Axis, ...]]:
        """The least sets of axes of one extent that can be changed without the others."""
        more = next(p for p in (5, 7) if p != extent)
        fewer = max((p for p in PRIMES if p < extent), default=more)
        left = list(group)
        while left:
            first, rest = left[0], left[1:]
            own = self._changing(first, rest, (fewer, more)) or self._changing(first, rest, (more,))
            if own:
                yield own
            left = [axis for axis in rest if axis not in own]

    def _changing(
        self, first: Axis, rest: Sequence[Axis], others: Sequence[int]
    ) -> tuple[Axis, ...]:
        """The least set with ``first`` that can have each of some other extents; () if none can.

        One that can only grow is no set of its own: rows that labels of another length select.
        """
        for own in _sets(first, rest):
            if all(self._runs(dict.fromkeys(own, n)) for n in others):
                return own
        return ()

    def _runs(self, extents: Mapping[Axis, int]) -> bool:
        if self.runs >= RUNS:
            return False
        return self._outcome(lambda axis: extents.get(axis, self._extent(axis)), 0) is not None

    # Runs.

    def _outcome(
        self, extent: Callable[[Axis], int], mode: int
    ) -> tuple[dict[Place, Any], Outcome] | None:
        """What the functions make of drawn leaves; None where they fail."""
        self.runs += 1
        leaves = {}
        for place in self.places:
            leaf = self.subject.leaves[place]
            shape = tuple(extent((place, k)) for k in range(np.ndim(leaf)))
            if any(n < 0 for n in shape):
                return None
            leaves[place] = drawn(leaf, shape, self.rng, mode)
        try:
            with np.errstate(all="ignore"):
                outcome = self.subject.run(leaves, self.rng)
        except Exception:  # whatever the functions of a person raise at other sizes
            return None
        arrays = [*outcome[0], *(g for g in outcome[2].values())]
        if not all(_is_finite(a) for a in arrays):
            return None
        return leaves, outcome

    def trials(self, draws: int) -> Trials | None:
        found: list[Trial] = []
        sizes = self._sizes()
        for n, own in enumerate(sizes):
            for _ in range(draws if n == 0 else max(1, draws // 2)):
                trial = self._trial(own, 0)
                if trial is not None:
                    found.append(trial)
        for mode in (0, 1, 2):
            if len(found) >= 3:
                break
            found += [t for t in (self._trial(self.given, mode) for _ in range(draws)) if t]
        if not found:
            return None
        letters = tuple(dict.fromkeys(n for t in found for n in t.sizes))
        extents: dict[str, str] = {}
        for (place, k), name in self.axes.items():
            if isinstance(name, str):
                extents.setdefault(name, f"{self.subject.names[place]}.shape[{k}]")
        more = partial(self._more, draws)
        return Trials(self.program, self.backward, self.gradients, found, letters, extents, more)

    def _more(self, draws: int) -> list[Trial]:
        made = [self._trial(self.given, mode) for mode in (0, 1) for _ in range(draws + 1)]
        return [trial for trial in made if trial is not None]

    def _sizes(self) -> list[dict[str, int]]:
        """Assignments of distinct primes at which both functions run."""
        names = list(self.given)
        if not names:
            return []
        found: list[dict[str, int]] = []
        for primes in _rotated(len(names)):
            sizes = dict(zip(names, primes, strict=True))
            if self._trial(sizes, 0) is not None:
                found.append(sizes)
            if len(found) == 3:
                break
        return sorted(found, key=lambda s: prod(s.values()))

    def _trial(self, sizes: Mapping[str, int], mode: int) -> Trial | None:
        def extent(axis: Axis) -> int:
            if self.subject.formula is not None:
                tensor = self.program.inputs[self.places.index(axis[0])]
                return tensor.shape[axis[1]].value(sizes)
            name = self.axes[axis]
            return sizes[name] if isinstance(name, str) else name

        made = self._outcome(extent, mode)
        if made is None:
            return None
        leaves, (outputs, cotangents, gradients) = made
        inputs = self.program.inputs
        arrays = {t: np.asarray(leaves[p]) for t, p in zip(inputs, self.places, strict=False)}
        arrays.update(self.constants)
        grid = Grid(dict(sizes), arrays)
        seeds = [u for u in cotangents if u is not None]
        try:
            for tensor, u in zip(self.backward.cotangents, seeds, strict=True):
                grid.arrays[tensor] = np.asarray(u, np.float64)
            grid.define(self.needed)
            grid.define(self.backward.statements)
            for tensor, y in zip(self.program.outputs, outputs, strict=True):
                known = grid.arrays.get(tensor)
                if known is not None and not near(np.asarray(y, np.float64), known, 1e-7):
                    return None
        except (PullbackError, TooLarge, ValueError, IndexError, KeyError):
            return None
        return Trial(dict(sizes), grid, gradients, mode == 0)


def _rotated(count: int) -> Iterator[tuple[int, ...]]:
    """Distinct primes for so many names, smaller ones first, each for each name."""
    for start in range(len(PRIMES) - count + 1):
        own = PRIMES[start : start + count]
        for turn in range(min(count, 5)):
            yield own[turn:] + own[:turn]


def _sets(first: Axis, rest: Sequence[Axis]) -> Iterator[tuple[Axis, ...]]:
    """Sets with ``first``, smaller ones first, then all."""
    for count in range(min(len(rest), 3) + 1):
        for more in combinations(rest, count):
            yield (first, *more)
    if len(rest) > 3:
        for leave in combinations(rest, 1):
            yield (first, *(axis for axis in rest if axis not in leave))
        yield (first, *rest)


def _is_finite(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def near(left: Array, right: Array, tolerance: float) -> bool:
    """Whether two arrays have one shape and agree up to a part of the greatest element."""
    if left.shape != right.shape:
        return False
    if not left.size:
        return True
    scale = max(float(np.max(np.abs(left))), float(np.max(np.abs(right))), 1e-300)
    return bool(np.max(np.abs(left - right)) <= tolerance * scale)


# Values.


def drawn(leaf: Any, shape: tuple[int, ...], rng: np.random.Generator, mode: int) -> Any:
    """An argument like the one given, of another shape.

    ``mode`` 0 draws a float that keeps what its example has: its signs, the interval from 0 to 1,
    symmetry; 1 moves the example a little; 2 keeps it. Whole numbers are those of the example.
    """
    array = np.asarray(leaf)
    if array.dtype.kind != "f":
        if array.shape == shape:
            return leaf.copy() if isinstance(leaf, np.ndarray) else leaf
        return rng.choice(array.ravel(), shape) if array.size else np.zeros(shape, array.dtype)
    if mode == 2 and array.shape == shape:
        made = array
    elif mode == 1 and array.shape == shape:
        made = array * (1 + 0.05 * rng.uniform(-1, 1, shape))
    else:
        made = _like(array, shape, rng)
    if isinstance(leaf, np.ndarray):
        return np.array(made, np.float64)
    return float(made) if type(leaf) is float else np.float64(made)


def _like(array: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if array.size and float(array.min()) > 0:
        low, high = float(array.min()), float(array.max())
        if high < 1 and array.ndim:
            return np.asarray(rng.uniform(0.1, 0.9, shape))
        return np.asarray(np.exp(rng.uniform(np.log(low / 1.5), np.log(high * 1.5), shape)))
    scale = float(np.std(array)) if array.size else 0.0
    made = np.asarray(rng.standard_normal(shape)) * (scale if 1e-3 < scale < 1e3 else 1.0)
    square = array.ndim >= 2 and array.shape[-1] == array.shape[-2] and shape[-1] == shape[-2]
    if square and np.allclose(array, array.swapaxes(-1, -2)) and array.any():
        positive = float(np.linalg.eigvalsh(array).min()) > 0
        if positive:
            return made @ made.swapaxes(-1, -2) / shape[-1] + np.eye(shape[-1])
        return (made + made.swapaxes(-1, -2)) / 2
    return made
