"""The computational graph of a program: gates, what each reads, and what it sends back there.

Everything here is symbolic. A *node* is an input or a gate; an *edge* is one read of one value,
with its local gradient and the gradient that goes back along it as statements. A recurrence and a
matrix operation are one gate each, whose gradient is that of a program of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ..backends.adjoints import on_axes, sent_back
from ..backends.gates import EXPANSIONS, gates
from ..calculus.differentiate import Occurrence, occurrences
from ..calculus.linear import Linear
from ..calculus.normal import Term, expression, free_of
from ..calculus.reverse import reverse
from ..calculus.step import Backward
from ..ir.expr import ZERO, Access, Apply, Opaque, Tensor, add
from ..ir.program import Define, Program, reads
from ..ir.recurrence import groups, is_recurrent
from ..ir.subscripts import Index, at
from ..ir.walk import fresh, substitute
from ..ir.walk import nodes as walked
from ..opaque import TABLE

Kept = tuple[Define, ...]


@dataclass(frozen=True)
class Edge:
    """One read of one value by a gate.

    ``local`` defines the local gradient on the indices that it depends on (None where it is that of
    a program), ``sent`` what goes back along the edge: the name of that, defined where the gate is
    a formula.
    """

    of: Tensor
    sent: Tensor
    define: Define | None = None
    local: Define | None = None


@dataclass(frozen=True)
class Node:
    """An input (no statements) or a gate.

    ``kind`` is what it does, ``edges`` lead to what it reads and is differentiated by, ``extra``
    are integers that its gradient needs (where the greatest element is), ``owner`` is the statement
    of the program that it is a part of. ``inner`` is the backward pass of a gate that is no single
    formula.
    """

    targets: tuple[Tensor, ...]
    kind: str = "input"
    statements: Kept = ()
    edges: tuple[Edge, ...] = ()
    extra: Kept = ()
    owner: Define | None = None
    inner: Backward | None = None

    @property
    def reads(self) -> tuple[Tensor, ...]:
        """The tensors that the gate reads, its own results aside."""
        every = dict.fromkeys(t for s in self.statements for t in reads(s))
        return tuple(t for t in every if t not in self.targets)


@dataclass(frozen=True)
class Arrival:
    """The gradient of one value: ``parts`` are what comes back along its edges and from outside.

    ``define`` adds the parts up; None where there is one part, which is the gradient itself.
    """

    of: Tensor
    gradient: Tensor
    parts: tuple[Tensor, ...]
    define: Define | None


@dataclass(frozen=True)
class Graph:
    """The nodes in the order of evaluation, and the gradients by value."""

    backward: Backward
    nodes: tuple[Node, ...]
    arrivals: Mapping[Tensor, Arrival]


def expandable(backward: Backward) -> tuple[str, ...]:
    """The functions of a program that can be taken apart into gates, in alphabetical order."""
    found = {
        node.function
        for s in backward.program.statements
        for node in walked(s.body)
        if isinstance(node, Apply)
    }
    return tuple(name for name in sorted(EXPANSIONS) if name in found)


def build(
    backward: Backward, conventions: Mapping[str, str] = {}, expand: Collection[str] = ()
) -> Graph:
    """The graph of a program and its gradients, gate by gate.

    >>> from pullback.calculus.reverse import reverse
    >>> from pullback.notation.parse import parse
    >>> graph = build(reverse(parse("f[] = sigmoid(w[]*x[] + b[])")))
    >>> [(node.kind, node.targets[0].name) for node in graph.nodes[3:]]
    [('multiply', 'p1'), ('add', 's1'), ('sigmoid', 'f')]
    """
    return _Builder(backward, conventions, expand).graph()


class _Builder:
    def __init__(
        self, backward: Backward, conventions: Mapping[str, str], expand: Collection[str]
    ) -> None:
        self.backward = backward
        program = backward.program
        self.together = [g for g in groups(program.statements) if is_recurrent(g)]
        kept = {s.target for g in self.together for s in g}
        kept |= {s.target for s in program.statements if isinstance(s.body, Opaque)}
        parts = gates(program, expand, kept)
        self.owners = _owners([g.define for g in parts], program.statements)
        self.kinds = {g.define.target: g.kind for g in parts}
        defines = tuple(g.define for g in parts)
        self.flat = Program(program.inputs, defines, program.outputs, program.sizes)
        self.linear = Linear(self.flat, backward.wrt, conventions)
        given = (*backward.cotangents, *backward.gradients)
        self.linear.taken.update(t.name for t in given)
        self.conventions = conventions

    def graph(self) -> Graph:
        gated = self.gated()
        used = {t for node in gated for t in node.reads}
        inputs = [Node((t,)) for t in self.backward.program.inputs if t in used or self.is_asked(t)]
        found = self.found(gated)
        self.counts = sources = self.sources(found)
        self.names = self.named(sources)
        nodes = [self.with_edges(node, *found.get(k, ({}, ()))) for k, node in enumerate(gated)]
        return Graph(self.backward, (*inputs, *nodes), self.arrivals(nodes, sources))

    def is_asked(self, tensor: Tensor) -> bool:
        return tensor in self.backward.wrt or tensor in self.backward.program.outputs

    # The gates

    def gated(self) -> list[Node]:
        """The gates without edges; statements that need each other are one."""
        of = {s.target: k for k, group in enumerate(self.together) for s in group}
        made: list[Node] = []
        begun: set[int] = set()
        for define in self.flat.statements:
            group = of.get(define.target)
            if group is None:
                made.append(self.gate(define))
            elif group not in begun:
                begun.add(group)
                statements = tuple(self.together[group])
                targets = tuple(s.target for s in statements)
                made.append(Node(targets, "recurrence", statements, owner=statements[-1]))
        return made

    def gate(self, define: Define) -> Node:
        owner = self.owners[define.target]
        kind = self.kinds[define.target]
        if isinstance(define.body, Opaque):
            kind = TABLE[define.body.operation].spelled
        return Node((define.target,), kind, (define,), owner=owner)

    # What they are differentiated by, from the outputs back

    def found(
        self, gated: Sequence[Node]
    ) -> dict[int, tuple[dict[Access, list[Occurrence]], tuple[Tensor, ...]]]:
        """By gate: its occurrences by what is read, or the tensors of a gate that is a program."""
        reached = {t for t in self.backward.program.outputs if t.kind == "float"}
        found: dict[int, tuple[dict[Access, list[Occurrence]], tuple[Tensor, ...]]] = {}
        for k in reversed(range(len(gated))):
            node = gated[k]
            if not any(t in reached and t in self.linear.active for t in node.targets):
                continue
            if self.is_program(node):
                tensors = tuple(t for t in node.reads if t in self.linear.active)
                found[k] = {}, tensors
                reached.update(tensors)
                continue
            define = on_axes(node.statements[0], self.linear)
            apart: dict[Access, list[Occurrence]] = {}
            for one in occurrences(define, self.linear.context(define)):
                apart.setdefault(one.access, []).append(one)
            found[k] = apart, ()
            reached.update(access.tensor for access in apart)
        return found

    def is_program(self, node: Node) -> bool:
        return node.kind == "recurrence" or isinstance(node.statements[0].body, Opaque)

    def sources(
        self, found: Mapping[int, tuple[Mapping[Access, object], tuple[Tensor, ...]]]
    ) -> dict[Tensor, int]:
        """By value: how many parts its gradient has."""
        counts = dict.fromkeys(self.backward.wrt, 0)
        for apart, tensors in found.values():
            for tensor in (*(access.tensor for access in apart), *tensors):
                counts[tensor] = counts.get(tensor, 0) + 1
        for output, _ in self.outputs():
            counts[output] = counts.get(output, 0) + 1
        return counts

    def outputs(self) -> list[tuple[Tensor, Tensor]]:
        """The differentiated outputs with their upstream gradients, in their order."""
        floats = [t for t in self.backward.program.outputs if t.kind == "float"]
        return list(zip(floats, self.backward.cotangents, strict=True))

    def named(self, counts: Mapping[Tensor, int]) -> dict[Tensor, Tensor]:
        """The names of all gradients."""
        names = dict(zip(self.backward.wrt, self.backward.gradients, strict=True))
        upstream = dict(self.outputs())
        for tensor, count in counts.items():
            if tensor in names:
                continue
            alone = count == 1 and tensor in upstream
            made = Tensor(self.linear.gradient_name(tensor.name), tensor.shape, tensor.dtype)
            names[tensor] = upstream[tensor] if alone else made
        letters = self.linear.letters
        letters.update({names[t]: letters[t] for t in names if t in letters})
        return names

    def part(self, of: Tensor, gate: Tensor) -> Tensor:
        """The name of what a gate sends back to a value: of the gradient, if there is no other."""
        whole = self.names[of]
        if self.counts[of] == 1:
            return whole
        return Tensor(self.linear.name(f"{whole.name}_{gate.name}"), whole.shape, whole.dtype)

    def with_edges(
        self,
        node: Node,
        apart: Mapping[Access, Sequence[Occurrence]],
        tensors: Sequence[Tensor],
    ) -> Node:
        if tensors:
            return self.program(node, tensors)
        if not apart:
            return node
        order = {tensor: k for k, tensor in enumerate(node.reads)}
        read = sorted(apart.items(), key=lambda item: order.get(item[0].tensor, len(order)))
        edges = tuple(self.edge(node, access, found) for access, found in read)
        target = node.targets[0]
        extra = tuple(
            self.linear.lettered(made, target) for made in self.linear.extra.get(target, ())
        )
        return replace(node, edges=edges, extra=extra)

    def edge(self, node: Node, access: Access, found: Sequence[Occurrence]) -> Edge:
        define = on_axes(node.statements[0], self.linear)
        of, target = access.tensor, node.targets[0]
        body, scatter = sent_back(define, self.names[target], found, self.linear)
        sent = self.part(of, target)
        made = Define(
            sent,
            self.linear.axes(of),
            body,
            scatter=None if scatter is body else scatter,
            of=of.name,
        )
        return Edge(of, sent, self.linear.lettered(made, of), self.local(target, found))

    def local(self, target: Tensor, found: Sequence[Occurrence]) -> Define:
        """The local gradient on the indices that it depends on, those of the gate first."""
        terms = [replace(one.partial, bound=()) for one in found]
        free = dict.fromkeys(i for part in terms for i in free_of(part))
        axes = self.linear.axes(target)
        own = [i for i in axes if i in free]
        indices = (*own, *(i for i in free if i not in own))
        names = dict(zip(axes, self.linear.letters.get(target, ()), strict=False))
        taken: set[str] = set()
        letters: dict[Index, Index] = {}
        for index in indices:
            letter = fresh(Index(names.get(index, index.name), index.extent), taken)
            taken.add(letter.name)
            letters[index] = letter
        body = substitute(expression(_sorted(terms)), {i: at(j) for i, j in letters.items()})
        name = Tensor(self.linear.name(f"local_{target.name}"), tuple(i.extent for i in indices))
        return Define(name, tuple(letters.values()), body)  # type: ignore[arg-type]

    def program(self, node: Node, tensors: Sequence[Tensor]) -> Node:
        """A gate that is a program: its backward pass is derived by itself."""
        outputs = tuple(t for t in node.targets if t in self.names)
        inner = reverse(
            Program(node.reads, node.statements, outputs, self.flat.sizes),
            tuple(tensors),
            dict(self.conventions),
        )
        edges = tuple(Edge(t, self.part(t, node.targets[-1])) for t in tensors)
        return replace(node, edges=edges, inner=inner)

    # What comes together

    def arrivals(
        self, nodes: Sequence[Node], counts: Mapping[Tensor, int]
    ) -> dict[Tensor, Arrival]:
        parts: dict[Tensor, list[Tensor]] = {t: [] for t in counts}
        for output, upstream in self.outputs():
            parts[output].append(upstream)
        for node in nodes:
            for edge in node.edges:
                parts[edge.of].append(edge.sent)
        return {t: self.arrival(t, found) for t, found in parts.items()}

    def arrival(self, of: Tensor, parts: Sequence[Tensor]) -> Arrival:
        gradient = self.names[of]
        if len(parts) == 1 and parts[0] is gradient:
            return Arrival(of, gradient, tuple(parts), None)
        axes = self.linear.axes(of)
        body = add(*(Access(t, tuple(map(at, axes))) for t in parts)) if parts else ZERO
        made = self.linear.lettered(Define(gradient, axes, body, of=of.name), of)
        return Arrival(of, gradient, tuple(parts), made)


def _owners(defines: Sequence[Define], statements: Sequence[Define]) -> dict[Tensor, Define]:
    """The statement of the program that each gate is a part of: the next one that is made."""
    own = {s.target: s for s in statements}
    found: dict[Tensor, Define] = {}
    waiting: list[Tensor] = []
    for define in defines:
        waiting.append(define.target)
        if define.target in own:
            found.update(dict.fromkeys(waiting, own[define.target]))
            waiting.clear()
    return found


def _sorted(terms: Sequence[Term]) -> tuple[Term, ...]:
    return tuple(sorted(terms, key=lambda part: part.key))
