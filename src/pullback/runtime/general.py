"""One derivation for many shapes: a function met at a second shape is generalised, once.

A training loop's short last batch, sequences of all lengths: the program with named sizes is
derived and compiled once. For each new shape the function is still traced, which is cheap, and the
trace compared with the named program; where they disagree, the shape gets a derivation of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from threading import RLock
from typing import TYPE_CHECKING

from ..errors import PullbackError
from ..ir.program import solve_sizes
from ..trace.tracer import Traced

if TYPE_CHECKING:
    from ..trace.generalise import Named

Shapes = tuple[tuple[int, ...], ...]
TraceAt = Callable[[Shapes], Traced]  # the trace for inputs of these shapes

MOST = 256
LETTERS = "NMKLPQRSTUVWXYZ"


class Generals:
    """Named programs by the form of a call; at first only the shapes of the first call."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.found: OrderedDict[Hashable, Shapes | Named | None] = OrderedDict()
        self.lock = RLock()

    def best(
        self, form: Hashable, shapes: Shapes, avoid: Sequence[str], plain: Traced, trace: TraceAt
    ) -> Traced:
        """The trace at these shapes (``plain``): with named sizes, where the form was met at other
        shapes before.
        """
        known = self.met(form, shapes)
        if isinstance(known, tuple):
            if known == shapes:
                return plain
            known = _generalised(known, shapes, avoid, trace)
            with self.lock:
                self.found[form] = known
        if known is not None and _agrees(known, shapes, plain):
            return known
        return plain

    def met(self, form: Hashable, shapes: Shapes) -> Shapes | Named | None:
        """What is known of a form: at first the shapes of this call."""
        with self.lock:
            known = self.found.setdefault(form, shapes)
            while len(self.found) > self.most:
                self.found.popitem(last=False)
        return known


def _generalised(
    first: Shapes, second: Shapes, avoid: Sequence[str], trace: TraceAt
) -> Named | None:
    """The program in which every extent that changed is a named size, None where there is none."""
    from ..trace.generalise import generalise  # not loaded while all shapes stay the same

    names: dict[tuple[int, int], str] = {}
    free = _free_names(avoid)
    axes: list[list[int | str]] = []
    for one, other in zip(first, second, strict=True):
        row: list[int | str] = []
        for pair in zip(one, other, strict=True):
            if pair[0] != pair[1] and pair not in names:
                names[pair] = next(free)
            row.append(names.get(pair, pair[0]))
        axes.append(row)

    def at(sizes: Mapping[str, int]) -> Traced:
        return trace(tuple(tuple(sizes.get(n, n) for n in row) for row in axes))  # type: ignore[arg-type]

    fixed = [n for row in axes for n in row if isinstance(n, int)]
    try:
        return generalise(at, list(names.values()), avoid=fixed)
    except PullbackError:
        return None


def _free_names(avoid: Sequence[str]) -> Iterator[str]:
    taken = set(avoid)
    n = 0
    while True:
        for letter in LETTERS:
            name = letter if not n else f"{letter}{n}"
            if name not in taken:
                yield name
        n += 1


def _agrees(named: Named, shapes: Shapes, plain: Traced) -> bool:
    """Whether the function, as it is now, is the named program at these shapes."""
    inputs = named.program.inputs[: len(shapes)]
    try:
        sizes = solve_sizes(dict(zip(inputs, shapes, strict=True)))
    except PullbackError:
        return False
    return named.found.is_literally(plain, sizes)
