"""Gates that repeat: layers that are equal but for their names are one box until it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..ir.repeats import longest_repeat
from .build import Node

FEWEST_TURNS = 3
FEWEST_GATES = 6


@dataclass(frozen=True)
class Fold:
    """``count`` equal turns of ``period`` gates each, from the place ``start`` on."""

    start: int
    period: int
    count: int

    @property
    def turns(self) -> tuple[range, ...]:
        """The places of every turn's gates."""
        starts = range(self.start, self.start + self.period * self.count, self.period)
        return tuple(range(k, k + self.period) for k in starts)


def folds(nodes: Sequence[Node]) -> tuple[Fold, ...]:
    """The longest repeats of a graph, first the one that covers most, then beside it.

    Three turns and six gates are the least that is folded.
    """
    first = next((k for k, node in enumerate(nodes) if node.statements), len(nodes))
    return tuple(sorted(_between(nodes, first, len(nodes)), key=lambda fold: fold.start))


def _between(nodes: Sequence[Node], start: int, stop: int) -> list[Fold]:
    part = nodes[start:stop]
    if len(part) < FEWEST_GATES or any(len(node.statements) != 1 for node in part):
        return _around(nodes, start, stop)
    found = longest_repeat([node.statements[0] for node in part])
    if found is None or found.count < FEWEST_TURNS or found.covered < FEWEST_GATES:
        return []
    fold = Fold(start + found.start, found.period, found.count)
    end = fold.start + found.covered
    return [fold, *_between(nodes, start, fold.start), *_between(nodes, end, stop)]


def _around(nodes: Sequence[Node], start: int, stop: int) -> list[Fold]:
    """The repeats between gates that are programs of their own."""
    if stop - start < FEWEST_GATES:
        return []
    large = next(k for k in range(start, stop) if len(nodes[k].statements) != 1)
    return [*_between(nodes, start, large), *_between(nodes, large + 1, stop)]
