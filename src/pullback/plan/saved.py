"""What is saved for the backward pass, and what is computed again.

A forward value that the backward pass reads is either saved, which costs its bytes, or computed
again from others, which costs operations; inputs and results are there anyway. For one price of an
operation in bytes the cheapest choice is a minimum cut: each value has two nodes, "needed" and
"computed again"; what is needed and not computed again is saved. All prices together give a
frontier, from saving what is read to saving as little as can be. Values of recurrences and of
matrix operations are never computed again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ..calculus.cost import TYPICAL, operations
from ..calculus.step import Backward
from ..errors import ArgumentError
from ..ir.expr import Opaque, Tensor
from ..ir.program import Define, Program, reads
from ..ir.recurrence import in_order, recurrent
from .statements import live_statements, residuals_of

NEVER = float("inf")
PRICES = tuple(10.0 ** (k / 2) for k in range(12, -13, -1))  # bytes an operation, high to low


@dataclass(frozen=True)
class Saving:
    """A choice: what is saved beyond inputs and results, what is computed again, the bytes of the
    one and the operations of the other."""

    saved: tuple[Tensor, ...]
    again: tuple[Define, ...]
    size: int
    work: float


class Frontier:
    """The choices that a backward pass has, at sizes (a name without one counts as 64)."""

    def __init__(
        self,
        backward: Backward,
        sizes: Mapping[str, int],
        itemsizes: Mapping[str, int],
        keep: Collection[Tensor] = (),
    ) -> None:
        self.backward = backward
        self.itemsizes = itemsizes
        self.free = {*backward.program.inputs, *backward.program.outputs}
        self.keep = frozenset(keep)
        program = backward.program
        every = [*program.inputs, *(s.target for s in backward.forward.statements)]
        names = {n for t in every for e in t.shape for n in e.names()} | {*program.sizes}
        known = {**dict.fromkeys(sorted(names), TYPICAL), **sizes}
        self.sizes, self.given = known, frozenset(sizes)
        forward = backward.forward.statements
        at_sizes = Program((), tuple(forward), ()).with_sizes(known).statements
        self.defined = {s.target: s for s in forward}
        stay = recurrent(forward)
        self.work = {
            s.target: NEVER
            if s.target in stay or isinstance(s.body, Opaque)
            else operations(sized.body)
            for s, sized in zip(forward, at_sizes, strict=True)
        }
        self.weight = {s.target: self.bytes([s.target]) for s in forward}
        statements = live_statements(backward.statements, backward.gradients)
        self.needed = [t for t in residuals_of(statements, backward) if t in self.defined]

    def itemsize(self, tensor: Tensor) -> int:
        """The bytes of an element."""
        return self.itemsizes[tensor.dtype]

    def bytes(self, tensors: Collection[Tensor]) -> int:
        """The bytes of arrays."""
        total = 0
        for tensor in tensors:
            count = self.itemsize(tensor)
            for extent in tensor.shape:
                count *= extent.value(self.sizes)
            total += count
        return total

    def at(self, price: float) -> Saving:
        """The cheapest choice where an operation costs so many bytes."""
        network = _Network()
        source, sink = network.node(), network.node()
        needed: dict[Tensor, int] = {}
        again: dict[Tensor, int] = {}
        left = list(self.needed)
        while left:
            tensor = left.pop()
            if tensor in needed:
                continue
            needed[tensor], again[tensor] = network.node(), network.node()
            left += [t for t in reads(self.defined[tensor]) if t in self.defined]
        for tensor in self.needed:
            network.edge(source, needed[tensor], NEVER)
        for tensor, node in needed.items():
            is_free = tensor in self.free
            network.edge(node, again[tensor], 0.0 if is_free else self.weight[tensor])
            kept = is_free or tensor in self.keep
            network.edge(again[tensor], sink, NEVER if kept else price * self.work[tensor])
            for operand in reads(self.defined[tensor]):
                if operand in needed:
                    network.edge(again[tensor], needed[operand], NEVER)
        side = network.cut(source, sink)
        made = [t for t in self.defined if t in needed and again[t] in side]
        saved = [
            t
            for t in self.defined
            if t in needed and needed[t] in side and again[t] not in side and t not in self.free
        ]
        return Saving(
            tuple(saved),
            tuple(self.defined[t] for t in made),
            self.bytes(saved),
            sum(self.work[t] for t in made),
        )

    def choices(self) -> list[Saving]:
        """The frontier, from the fastest to the one that saves least."""
        found = [self.at(NEVER)]
        for price in PRICES:
            one = self.at(price)
            if one.size < found[-1].size:
                found.append(one)
        return found

    def within(self, budget: int) -> Saving:
        """The fastest choice of the frontier that saves at most so many bytes; raises ArgumentError
        where even the least is more."""
        choices = self.choices()
        for choice in choices:
            if choice.size <= budget:
                return choice
        names = ", ".join(t.name for t in choices[-1].saved)
        raise ArgumentError(
            "the backward pass can't do with so little",
            where="memory",
            expected=f"at least {choices[-1].size} bytes ({names})",
            found=f"{budget} bytes",
        )


def applied(backward: Backward, choice: Saving) -> Backward:
    """The backward pass that computes again what isn't saved."""
    if not choice.again:
        return backward
    again = {s.target for s in choice.again}
    rest = [s for s in backward.statements if s.target not in again]
    return replace(backward, statements=tuple(in_order([*choice.again, *rest])))


class _Network:
    """A network of capacities: maximum flow along shortest paths (Dinic, 1970)."""

    def __init__(self) -> None:
        self.ends: list[list[int]] = []  # of each node, the edges that leave it
        self.heads: list[int] = []
        self.left: list[float] = []

    def node(self) -> int:
        """A new node."""
        self.ends.append([])
        return len(self.ends) - 1

    def edge(self, tail: int, head: int, capacity: float) -> None:
        """An edge, and the one back that flow opens."""
        for a, b, c in ((tail, head, capacity), (head, tail, 0.0)):
            self.ends[a].append(len(self.heads))
            self.heads.append(b)
            self.left.append(c)

    def levels(self, source: int) -> dict[int, int]:
        """How far from the source each node is that flow can still reach."""
        found = {source: 0}
        queue = deque([source])
        while queue:
            node = queue.popleft()
            for e in self.ends[node]:
                if self.left[e] > 0 and self.heads[e] not in found:
                    found[self.heads[e]] = found[node] + 1
                    queue.append(self.heads[e])
        return found

    def cut(self, source: int, sink: int) -> set[int]:
        """The nodes on the source's side of a minimum cut, as few as there can be."""
        while sink in (levels := self.levels(source)):
            blocked = [0] * len(self.ends)
            while self._pushed(source, sink, levels, blocked):
                pass
        return set(levels)

    def _pushed(
        self, source: int, sink: int, levels: Mapping[int, int], blocked: list[int]
    ) -> float:
        """Flow along one path, whose nodes are each one level on; how much."""
        path: list[int] = []
        node = source
        while node != sink:
            edges = self.ends[node]
            while blocked[node] < len(edges):
                e = edges[blocked[node]]
                head = self.heads[e]
                if self.left[e] > 0 and levels.get(head) == levels[node] + 1:
                    break
                blocked[node] += 1
            else:
                if not path:
                    return 0.0
                node = self.heads[path.pop() ^ 1]
                blocked[node] += 1
                continue
            path.append(e)
            node = head
        flow = min(self.left[e] for e in path)
        for e in path:
            self.left[e] -= flow
            self.left[e ^ 1] += flow
        return flow


def tensors_named(backward: Backward, names: Sequence[str]) -> list[Tensor]:
    """The forward values of these names; raises ArgumentError for one that there isn't."""
    known = {s.target.name: s.target for s in backward.forward.statements}
    known |= {t.name: t for t in backward.program.inputs}
    for name in names:
        if name not in known:
            raise ArgumentError(
                f"no forward value has the name {name}",
                where="keep",
                expected=f"some of {', '.join(n for n in known if known[n].kind == 'float')}",
                found=repr(name)[:80],
            )
    return [known[name] for name in names]
