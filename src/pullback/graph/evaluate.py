"""The numbers of a graph: every value, every local gradient and every gradient on the way back.

Small programs are evaluated by the interpreter, which goes through every point of every index and
shares no code with the generated source; larger ones by generated NumPy source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import unwrap
from math import prod
from typing import Any

import numpy as np

from ..backends.numpy import spell
from ..calculus.step import Backward
from ..ir.expr import Tensor
from ..ir.interpret import Array, fill, value_of
from ..ir.program import Define, reads
from ..ir.walk import bound_indices
from ..runtime.load import load
from .build import Graph, Node

Values = dict[str, Any]

MOST_POINTS = 200_000
"""So many points are gone through by the interpreter; it takes about a microsecond for each."""
MOST_LOCAL = 1_000_000
"""Elements that a local gradient may have to be computed by itself."""


def evaluate(graph: Graph, given: Mapping[str, Any], sizes: Mapping[str, int]) -> Values:
    """All numbers of a graph by name, from those of its inputs and upstream gradients.

    Local gradients are left out where they have more than a million elements.
    """
    values: Values = {name: np.asarray(value) for name, value in given.items()}
    run = Runner(values, sizes)
    for node in graph.nodes:
        run.add((*node.statements, *node.extra))
    for node in reversed(graph.nodes):
        for target in node.targets:
            arrival = graph.arrivals.get(target)
            if arrival is not None and arrival.define is not None:
                run.add([arrival.define])
        run.add(edge.define for edge in node.edges if edge.define is not None)
        local = (edge.local for edge in node.edges if edge.local is not None)
        run.add(s for s in local if points(s, sizes) <= MOST_LOCAL)
        if node.inner is not None:
            run.flush()
            values.update(_sent(graph, node, node.inner, values, sizes))
    run.flush()
    return values


def gradients(backward: Backward, given: Mapping[str, Any], sizes: Mapping[str, int]) -> Values:
    """The values and gradients by a derivation's own statements, to compare with the graph."""
    run = Runner({name: np.asarray(value) for name, value in given.items()}, sizes)
    run.add(backward.forward.statements)
    run.add(backward.statements)
    run.flush()
    return run.values


class Runner:
    """Evaluates statements in order; what they read must be there or be added before."""

    def __init__(self, values: Values, sizes: Mapping[str, int]) -> None:
        self.values = values
        self.sizes = sizes
        self.waiting: list[Define] = []

    def add(self, statements: Iterable[Define]) -> None:
        """More statements; they are evaluated when the next :meth:`flush` comes."""
        self.waiting.extend(statements)

    def flush(self) -> None:
        """Evaluates what waits."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        small = sum(points(s, self.sizes) for s in waiting) <= MOST_POINTS
        (self.interpreted if small else self.compiled)(waiting)

    def interpreted(self, statements: Sequence[Define]) -> None:
        arrays = {t.name: Array.of(self.values[t.name]) for t in self.needed(statements)}
        fill(arrays, statements, self.sizes)
        for s in statements:
            self.values[s.target.name] = _array(arrays[s.target.name], s.target)

    def compiled(self, statements: Sequence[Define]) -> None:
        inputs = self.needed(statements)
        targets = [s.target for s in statements]
        source = spell("evaluate", inputs, statements, targets, comments=False)
        function = load(source, "evaluate")
        code = unwrap(function).__code__
        asked = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
        keywords = {name: self.sizes[name] for name in asked if name in self.sizes}
        with np.errstate(all="ignore"):
            made = function(*(self.values[t.name] for t in inputs), **keywords)
        made = (made,) if len(targets) == 1 else made
        self.values.update({t.name: np.asarray(v) for t, v in zip(targets, made, strict=True)})

    def needed(self, statements: Sequence[Define]) -> list[Tensor]:
        """What the statements read and don't make."""
        made = {s.target for s in statements}
        found = dict.fromkeys(t for s in statements for t in reads(s) if t not in made)
        return list(found)


def points(statement: Define, sizes: Mapping[str, int]) -> int:
    """How many points a statement's indices and those that it sums over have."""
    indices = (*statement.indices, *bound_indices(statement.body))
    return prod(value_of(index.extent, sizes) for index in dict.fromkeys(indices))


def _array(array: Array, tensor: Tensor) -> Any:
    kind = {"int": np.int64, "bool": np.bool_}.get(tensor.kind, np.float64)
    return np.array(array.flat, dtype=kind).reshape(array.shape)


def _sent(
    graph: Graph, node: Node, inner: Backward, values: Values, sizes: Mapping[str, int]
) -> Values:
    """What a gate that is a program sends back: by its own backward pass."""
    given = {t.name: values[t.name] for t in inner.program.inputs}
    for output, upstream in zip(inner.program.outputs, inner.cotangents, strict=True):
        given[upstream.name] = values[graph.arrivals[output].gradient.name]
    found = gradients(inner, given, sizes)
    sent = zip(node.edges, inner.gradients, strict=True)
    return {edge.sent.name: found[gradient.name] for edge, gradient in sent}
