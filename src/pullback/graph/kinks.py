"""Which gates of a graph stand at a kink or a tie at given numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from ..ir.expr import ZERO, Access, Apply, Compare, Expr, Guard, Reduce, Tensor
from ..ir.interpret import value_of
from ..ir.program import Define
from ..ir.subscripts import at
from .build import Graph, Node
from .evaluate import MOST_LOCAL, Runner, Values

# The arguments of a function that are equal at its kinks, by their places; None stands for 0.
EQUAL: dict[str, tuple[tuple[int, int | None], ...]] = {
    "maximum": ((0, 1),),
    "minimum": ((0, 1),),
    "abs": ((0, None),),
    "clip": ((0, 1), (0, 2)),
}


def at_kinks(graph: Graph, values: Values, sizes: Mapping[str, int]) -> dict[str, int]:
    """How many elements of each gate are at a kink, or at a tie of the greatest or least, by the
    name of the gate; those without one, and those of more than a million points, are left out.
    """
    gates = [node for node in graph.nodes if node.edges]
    found = {node.targets[-1].name: _count(node, values, sizes) for node in gates}
    return {name: count for name, count in found.items() if count}


def _count(node: Node, values: Values, sizes: Mapping[str, int]) -> int:
    equal = [_values(define, values, sizes) for define in _equalities(node)]
    if not equal:
        return 0
    ties = isinstance(node.statements[0].body, Reduce)
    own = len(node.statements[0].indices)
    if ties:
        return int(np.sum(np.sum(equal[0], axis=tuple(range(own, equal[0].ndim))) > 1))
    return int(np.sum(np.any(equal, axis=0)))


def _equalities(node: Node) -> Iterator[Define]:
    """Where the arguments are equal, as statements."""
    if node.inner is not None or len(node.statements) != 1:
        return
    (define,) = node.statements
    match define.body:
        case Apply(function, args):
            for one, other in EQUAL.get(function, ()):
                yield _equality(define, args[one], ZERO if other is None else args[other])
        case Reduce("max" | "min", indices, (), value):
            result = Access(define.target, tuple(map(at, define.indices)))
            inside = Define(define.target, (*define.indices, *indices), define.body)
            yield _equality(inside, value, result)


def _equality(define: Define, one: Expr, other: Expr) -> Define:
    shape = tuple(index.extent for index in define.indices)
    return Define(Tensor("equal", shape, "bool"), define.indices, Guard(Compare("==", one, other)))


def _values(define: Define, values: Values, sizes: Mapping[str, int]) -> np.ndarray[Any, Any]:
    shape = [value_of(index.extent, sizes) for index in define.indices]
    if prod(shape) > MOST_LOCAL:
        return np.zeros(shape, bool)
    run = Runner(dict(values), sizes)
    name = define.target.name
    while name in values:
        name += "_"
    run.add([replace(define, target=replace(define.target, name=name))])
    run.flush()
    return np.asarray(run.values[name])
