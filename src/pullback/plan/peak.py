"""How many bytes of arrays the functions of a plan hold at most at one time, told before they run.

The count is that of NumPy's functions: what has a name stays until the function returns, a value in
between until the next one is made of it, and arithmetic of two such values is done in the memory of
one of them. What NumPy or a library takes inside a single call is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod

from . import arrays
from .arrays import Array
from .both import both
from .lines import VIEWS_IN_MEMORY, Lines, Steps, arrays_of
from .ops import Plan

IN_PLACE = (
    "add",
    "sub",
    "mul",
    "div",
    "neg",
    "pow",
    "square",
)  # what NumPy writes into such a value
LEAST = 256 * 1024  # bytes of an array for NumPy to do so
SCATTERED = ("put", "withdraw", "add", "deduct", "set", "spread")


def peaks(
    plan: Plan, sizes: Mapping[str, int], itemsize: Callable[[str], int]
) -> tuple[int, int, int]:
    """The peak of the forward pass, what it keeps, and the peak of the backward pass with that, in
    bytes, where named sizes have these values."""
    lines = both(plan, in_place=True)
    forward = _Held(sizes, itemsize)
    forward.run(lines.forward)
    made = (t for t in lines.saved if t not in plan.forward.inputs)
    kept = sum(forward.bytes_of(arrays.name(t)) for t in made)
    backward = _Held(sizes, itemsize, kept)
    backward.run(lines.backward)
    return forward.most, kept, backward.most


@dataclass
class _Held:
    """The bytes that are held now, and at most so far."""

    sizes: Mapping[str, int]
    itemsize: Callable[[str], int]
    now: int = 0
    most: int = 0
    named: set[Array] = field(default_factory=set)
    repeated: set[Array] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.most = self.now

    def run(self, lines: Lines) -> None:
        """What the lines hold, one after the other."""
        every = [a for line in lines.lines for a in arrays_of(line)]
        every += [*lines.results, *lines.saved]
        self.repeated = arrays.read_twice(every)
        for line in lines.lines:
            if isinstance(line, Steps):
                self.loop(line)
            else:
                self.keep(line.array)
        for result in lines.results:
            self.keep(result)

    def loop(self, steps: Steps) -> None:
        """A recurrence: stacks of all steps, and the values of one step."""
        count = max(steps.count.value(self.sizes), 0)
        for whole, _ in steps.kept:
            self.hold(self.bytes_of(arrays.name(whole)))
        for _, first, _ in steps.carried:
            self.keep(first)
        for line in steps.lines if count else ():
            if isinstance(line, Steps):
                self.loop(line)
            else:
                self.keep(line.array)

    def keep(self, array: Array) -> None:
        """Makes an array that gets a name, after what several arrays need."""
        for node in arrays.nodes(array, set()):
            if node in self.repeated and node not in self.named and node is not array:
                self.hold(self.made(node, self.now))
                self.named.add(node)
        self.hold(self.made(array, self.now))
        self.named.add(array)

    def hold(self, count: int) -> None:
        """Adds bytes that are held until the end."""
        self.now += count
        self.most = max(self.most, self.now)

    def made(self, array: Array, before: int) -> int:
        """The bytes that an array takes that has no name yet, with ``before`` held beside."""
        if array.scalar or array in self.named or array.op == "name":
            return 0
        parts: list[int] = []
        for part in array.parts:
            parts.append(self.made(part, before + sum(parts)))
        held = sum(parts)
        if array.op in VIEWS_IN_MEMORY and not _copies(array):
            return held
        own = self.bytes_of(array)
        self.most = max(self.most, before + held)
        takes_place = array.op == "map" and array.told[0] in IN_PLACE and own in parts
        takes_place = takes_place and own >= LEAST
        if takes_place or (array.op in SCATTERED and parts[0]):
            return own
        self.most = max(self.most, before + held + own)
        return own

    def bytes_of(self, array: Array) -> int:
        """The bytes of an array in memory of its own."""
        count = prod(max(extent.value(self.sizes), 0) for extent in array.shape)
        return count * self.item(array)

    def item(self, array: Array) -> int:
        """The bytes of an element."""
        if array.kind == "bool":
            return self.itemsize("bool")
        found = arrays.whole_widths(array) if array.kind == "int" else arrays.widths(array)
        return max(map(self.itemsize, found), default=self.itemsize(array.kind))


def _copies(array: Array) -> bool:
    """Whether a reshape has to lay elements down in another order."""
    return array.op == "reshape" and array.parts[0].op in ("permute", "windows", "slice", "flip")
