"""The lines of both passes, and what one hands over to the other.

Where nothing is to be computed again, a mask that both passes need is saved: a byte an element. All
that is known of the condition was used before, so that the lines are the same but for its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from ..ir.expr import Tensor
from ..text import PRIVATE
from . import arrays
from .arrays import CHEAP, Array, open_turns
from .lines import Assign, Line, Lines, arrays_of, lines_of
from .ops import Plan


@dataclass(frozen=True)
class Both:
    """The lines of the forward pass and of the backward pass, and what is saved in between, masks
    among it that no statement names."""

    forward: Lines
    backward: Lines
    saved: tuple[Tensor, ...]
    masks: frozenset[Tensor] = frozenset()

    def called(self) -> list[Tensor]:
        """What is saved, masks under names of their own."""
        number = count(1)
        return [
            replace(t, name=f"mask{next(number)}") if t in self.masks else t for t in self.saved
        ]


def both(plan: Plan, *, in_place: bool = False) -> Both:
    """The lines of a plan."""
    forward = lines_of(plan.forward, plan.saved, in_place=in_place)
    backward = lines_of(plan.backward, in_place=in_place)
    made = _masks(forward) if plan.masks else set()
    needed = _first_of(backward, made) if made else []
    if not needed:
        return Both(forward, backward, plan.saved)
    names = {
        mask: arrays.name(Tensor(f"mask{PRIVATE}{n}", mask.shape, "bool"))
        for n, mask in enumerate(needed)
    }
    masks = frozenset(array.told[0] for array in names.values())
    lines = [_reading(line, names) for line in backward.lines]
    results = tuple(_replaced(array, names) for array in backward.results)
    read = {node.told[0] for node in _nodes(lines, results) if node.op == "name"}
    saved = [(t, a) for t, a in zip(plan.saved, forward.saved, strict=True) if t in read]
    saved += [(names[mask].told[0], mask) for mask in needed]
    tensors = tuple(tensor for tensor, _ in saved)
    inputs = (*(t for t in backward.inputs if t not in plan.saved), *tensors)
    return Both(
        replace(forward, saved=tuple(array for _, array in saved)),
        replace(backward, inputs=inputs, lines=tuple(lines), results=results),
        tensors,
        masks,
    )


def _masks(forward: Lines) -> set[Array]:
    """The masks that a forward pass makes outside of its loops."""
    lines = [line for line in forward.lines if isinstance(line, Assign)]
    return {
        node
        for node in _nodes(lines)
        if node.kind == "bool" and node.rank and node.op not in CHEAP and not open_turns(node)
    }


def _first_of(backward: Lines, made: set[Array]) -> list[Array]:
    """Those of some arrays that the backward pass needs outside of its loops, in its order, and
    not only as parts of others."""
    found: dict[Array, None] = {}
    seen: set[Array] = set()

    def visit(array: Array) -> None:
        if array in made:
            found[array] = None
        elif array not in seen:
            seen.add(array)
            for part in array.parts:
                visit(part)

    for line in backward.lines:
        if isinstance(line, Assign):
            visit(line.array)
    for array in backward.results:
        visit(array)
    return [*found]


def _reading(line: Line, names: dict[Array, Array]) -> Line:
    """A line that reads arrays by names."""
    return replace(line, array=_replaced(line.array, names)) if isinstance(line, Assign) else line


def _replaced(array: Array, known: dict[Array, Array]) -> Array:
    """An array with others in place of some parts; ``known`` holds what became of each."""
    if array not in known:
        parts = tuple(_replaced(part, known) for part in array.parts)
        known[array] = array if parts == array.parts else replace(array, parts=parts)
    return known[array]


def _nodes(lines: Sequence[Line], others: Sequence[Array] = ()) -> Iterator[Array]:
    """All arrays that are needed for some lines, and for some arrays."""
    seen: set[Array] = set()
    for array in (*(a for line in lines for a in arrays_of(line)), *others):
        yield from arrays.nodes(array, seen)
