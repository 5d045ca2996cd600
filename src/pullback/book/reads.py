"""Which elements a program reads for which: what its subscripts come to, found by running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

from ..ir.interpret import FLOAT, Array, Context, Scope, fill, typed, value_of
from ..ir.program import Define, Program, solve_sizes

Place = tuple[str, int]  # a tensor's name, and the place of an element in row-major order


@dataclass(frozen=True)
class Reads:
    """The elements that each computed element of a program reads, at one set of arrays.

    >>> from pullback.notation.parse import parse
    >>> found = reads(parse("X[4]; Y[i:2] = X[2*i] + X[2*i+1]"), {"X": [1.0, 2.0, 3.0, 4.0]})
    >>> found.of("Y", 1, "X"), found.by("X", 0, "Y")
    ((2, 3), (0,))
    """

    shapes: Mapping[str, tuple[int, ...]]
    direct: Mapping[Place, tuple[Place, ...]]
    _through: dict[Place, dict[Place, None]] = field(default_factory=dict, compare=False)

    def of(self, output: str, k: int, name: str) -> tuple[int, ...]:
        """The elements of an input that element ``k`` of an output depends on."""
        return tuple(sorted(place for tensor, place in self._inputs(output, k) if tensor == name))

    def by(self, name: str, k: int, output: str) -> tuple[int, ...]:
        """The elements of an output that depend on element ``k`` of an input."""
        rows = self.pattern(output, name)
        return tuple(row for row, found in enumerate(rows) if k in found)

    def pattern(self, output: str, name: str) -> list[tuple[int, ...]]:
        """For each element of an output the elements of an input that it depends on."""
        return [self.of(output, k, name) for k in range(prod(self.shapes[output]))]

    def _inputs(self, name: str, k: int) -> dict[Place, None]:
        """The elements of inputs that an element depends on, through all that lies between."""
        place = (name, k)
        if place not in self._through:
            found = {} if place in self.direct else {place: None}
            for inner in self.direct.get(place, ()):
                found.update(self._inputs(*inner))
            self._through[place] = found
        return self._through[place]


class Watched(list[Any]):
    """The elements of a tensor, noting which of them are read."""

    def __init__(self, name: str, elements: list[Any], seen: dict[Place, None]) -> None:
        super().__init__(elements)
        self.name, self.seen = name, seen

    def __getitem__(self, k: Any) -> Any:
        for place in range(len(self))[k] if isinstance(k, slice) else (k,):
            self.seen[self.name, place] = None
        return super().__getitem__(k)

    def __iter__(self) -> Iterator[Any]:
        return iter(self[:])


def reads(program: Program, arrays: Mapping[str, Any]) -> Reads:
    """Runs a program element by element and notes what each of them reads.

    A false guard reads nothing, a choice only what it takes: the arrays' values matter there.
    """
    given = {t: Array.of(arrays[t.name]) for t in program.inputs}
    sizes = solve_sizes({t: array.shape for t, array in given.items()})
    values = {t.name: typed(array, t, FLOAT) for t, array in given.items()}
    fill(values, program.statements, sizes)
    found: dict[Place, tuple[Place, ...]] = {}
    for statement in program.statements:
        found.update(_statement(statement, values, sizes))
    return Reads({name: array.shape for name, array in values.items()}, found)


def _statement(
    statement: Define, values: Mapping[str, Array], sizes: Mapping[str, int]
) -> Iterator[tuple[Place, tuple[Place, ...]]]:
    """The elements of a statement, each with what it reads."""
    seen: dict[Place, None] = {}
    watched = {name: Array(a.shape, Watched(name, a.flat, seen)) for name, a in values.items()}
    context = Context(watched, sizes, FLOAT)
    slots = {index: k for k, index in enumerate(statement.indices)}
    extents = [range(value_of(index.extent, sizes)) for index in statement.indices]
    for k, place in enumerate(product(*extents)):
        body = Scope(context, slots).value(statement.body)  # anew: it may keep what it has read
        seen.clear()
        context.point[: len(place)] = place
        body(context.point)
        yield (statement.target.name, k), tuple(seen)
