"""What is saved for the backward pass, and what is computed again.

A forward value that the backward pass reads is either saved, which costs its bytes, or computed
again from others, which costs operations; inputs and results are there anyway. For one price of an
operation in bytes the cheapest choice is a minimum cut: each value has two nodes, "needed" and
"computed again"; what is needed and not computed again is saved. All prices together give a
frontier, from saving what is read to saving as little as can be. Values of recurrences and of
matrix operations are never computed again.

One price is the default: at :data:`BALANCED` what one multiplication or addition makes of saved
arrays and inputs is computed again. An array in memory is written once and read once to be saved;
the operation reads what is read anyway, so the time is about the same, and the memory is free. Two
operations an element are dearer than that, so they are saved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..calculus.cost import TYPICAL, operations
from ..calculus.step import Backward
from ..errors import ArgumentError
from ..ir.expr import Access, Opaque, Tensor
from ..ir.program import Define, Program, reads
from ..ir.recurrence import in_order, recurrent
from ..ir.walk import accesses, lookups
from .statements import live_statements, residuals_of

NEVER = float("inf")
BALANCED = 0.49  # of an element: an operation on two arrays counts twice, for work and for reads
SMALL = 8  # times smaller than the largest array
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
        names = {n for t in program.inputs for e in t.shape for n in e.names()} | {*program.sizes}
        known = {**dict.fromkeys(sorted(names), TYPICAL), **sizes}
        self.sizes, self.given = known, frozenset(sizes)
        forward = backward.forward.statements
        self.defined = {s.target: s for s in forward}
        self.stay = recurrent(forward)
        self.weight = {s.target: self.bytes([s.target]) for s in forward}
        self.statements = live_statements(backward.statements, backward.gradients)
        self.needed = [t for t in residuals_of(self.statements, backward) if t in self.defined]

    @cached_property
    def work(self) -> dict[Tensor, float]:
        """The operations that make each forward value of others."""
        return {tensor: self._work(define) for tensor, define in self.defined.items()}

    def _work(self, define: Define) -> float:
        if define.target in self.stay or isinstance(define.body, Opaque):
            return NEVER
        (sized,) = Program((), (define,), ()).with_sizes(self.sizes).statements
        return operations(sized.body)

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

    def at(self, price: float, keep: Collection[Tensor] = ()) -> Saving:
        """The cheapest choice where an operation costs so many bytes, and some values are kept."""
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
            network.edge(node, again[tensor], 0.0 if tensor in self.free else self.weight[tensor])
            kept = tensor in self.keep or tensor in keep
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

    def fastest(self) -> Saving:
        """The choice that computes nothing again."""
        saved = tuple(t for t in self.needed if t not in self.free)
        return Saving(saved, (), self.bytes(saved), 0.0)

    def balanced(self) -> Saving:
        """The choice at the price :data:`BALANCED`, where what is saved is worth it: arrays that
        are small beside others are saved, and those of which few elements are read."""
        price = BALANCED * self.itemsizes["float"]
        most = max(map(self.bytes, ([t] for t in (*self.free, *self.defined))), default=0)
        few = {a.tensor for s in self.statements for a in accesses(s.body) if _is_gathered(a)}
        saved = self.fastest()
        keep = {t for t in self.defined if t in few or self.weight[t] * SMALL < most}
        cheap = (t for t in saved.saved if t not in keep)
        if any(self.weight[t] > price * self._work(self.defined[t]) for t in cheap):
            return self.at(price, keep)
        return saved

    def choices(self) -> list[Saving]:
        """The frontier, from the fastest to the one that saves least."""
        found = [self.fastest()]
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


def applied(backward: Backward, again: Sequence[Define]) -> Backward:
    """The backward pass that computes some values again."""
    if not again:
        return backward
    return replace(backward, statements=tuple(in_order([*again, *backward.statements])))


def _is_gathered(access: Access) -> bool:
    """Whether elements at computed subscripts are read."""
    return any(map(lookups, access.subs))


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
