"""Numbers that are small enough for paper: a derivation at arrays, and what arrives at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice
from typing import Any

import numpy as np

from ..derivation import Derivation
from ..errors import PullbackError
from ..graph.numbers import Numbers, numbers_given
from ..ir.interpret import value_of
from ..ir.sizes import Size
from ..layers import Example

Array = np.ndarray[Any, Any]

LARGEST = 3  # a named size of a case that nobody has chosen numbers for
ROUNDED = ("normal", "positive", "unit", "probabilities", "definite", "symmetric")
ARRIVING = (1.0, 2.0, -1.0, 3.0, 0.5, -2.0)  # upstream gradients, where none are chosen


@dataclass(frozen=True)
class Case:
    """A derivation at numbers.

    ``arrays`` are the inputs, ``sizes`` the named sizes, ``upstream`` the gradients that arrive, by
    output; ``draws`` are other numbers of the same shapes and kinds, to compare answers at.
    """

    derived: Derivation
    arrays: Mapping[str, Array]
    sizes: Mapping[str, int]
    upstream: Mapping[str, Array]
    draws: tuple[Mapping[str, Array], ...]

    @cached_property
    def numbers(self) -> Numbers:
        """The graph at the numbers."""
        return Numbers(self.derived, self.arrays, self.upstream)

    def at(self, draw: int) -> Numbers:
        """The graph at one of the other draws, with another upstream gradient."""
        rng = np.random.default_rng(draw)
        arriving = {name: rng.normal(size=a.shape) for name, a in self.upstream.items()}
        return Numbers(self.derived, self.draws[draw], arriving)


def case(
    derived: Derivation, example: Example, numbers: Mapping[str, Any], upstream: Any
) -> Case | None:
    """A case for paper; None where a program has none, for it refuses what is so small.

    ``numbers`` are those of a lesson; where there are none, the example's arrays are taken, small
    and rounded.
    """
    try:
        arrays = dict(numbers) if numbers else _round(_small(derived, example))
        given, sizes = numbers_given(derived, arrays)
        shapes = {name: np.shape(value) for name, value in given.items()}
        draws = tuple(_like(example, shapes, given, seed) for seed in (1, 2))
        return Case(derived, given, sizes, _arriving(derived, sizes, upstream), draws)
    except PullbackError:
        return None


def _like(
    example: Example, shapes: Mapping[str, tuple[int, ...]], given: Mapping[str, Array], seed: int
) -> dict[str, Array]:
    """Other arrays of these shapes; integers stay, for they decide what is read."""
    drawn = Example(shapes, example.options, example.draws).arrays(seed)
    return {n: given[n] if a.dtype.kind != "f" else drawn[n] for n, a in given.items()}


def _small(derived: Derivation, example: Example) -> Example:
    """The example with no named size above :data:`LARGEST`, where the program knows such sizes."""
    inputs = derived.backward.program.inputs
    _, sizes = numbers_given(derived, example.arrays())
    less = {name: min(n, LARGEST) for name, n in sizes.items()}
    shapes = {t.name: tuple(_extent(n, less) for n in t.shape) for t in inputs}
    made = Example(shapes, example.options, example.draws)
    try:
        numbers_given(derived, made.arrays())
    except (PullbackError, IndexError, ValueError):
        return example
    return made


def _extent(extent: Size, sizes: Mapping[str, int]) -> int:
    return int(value_of(extent, sizes))


def _round(example: Example) -> dict[str, Array]:
    """The arrays of an example, floats with one digit behind the point and none of them 0."""
    out: dict[str, Array] = {}
    for name, array in example.arrays(0).items():
        if array.dtype.kind == "f" and example.draws.get(name, "normal") in ROUNDED:
            array = np.round(array, 1)
            array = np.where(array == 0, 0.1, array)
        out[name] = array
    return out


def _arriving(derived: Derivation, sizes: Mapping[str, int], given: Any) -> dict[str, Array]:
    """The upstream gradients: those given, else a few small numbers in turn."""
    floats = [t for t in derived.backward.program.outputs if t.kind == "float"]
    found: dict[str, Array] = {}
    for t in dict.fromkeys(floats):
        shape = tuple(_extent(n, sizes) for n in t.shape)
        value = given.get(t.name) if isinstance(given, Mapping) else given
        if value is None:
            count = int(np.prod(shape))
            value = np.reshape(list(islice(cycle(ARRIVING), count)), shape)
        found[t.name] = np.asarray(value, float).reshape(shape)
    return found
