"""Integer arguments that subscripts look up: they point inside the axis that they subscript.

A negative position counts from the end, once: below that, NumPy raises an error, and a position
made positive by adding the extent would silently point elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PositionError
from ..ir.expr import (
    ZERO,
    Access,
    Add,
    Compare,
    Expr,
    Guard,
    Mul,
    Number,
    Select,
    SizeOf,
    Tensor,
    Zero,
)
from ..ir.program import Define, Program, solve_sizes
from ..ir.sizes import Size, size
from ..ir.subscripts import Lookup
from ..ir.walk import Tree, children, lookups, nodes, subscripts, tensors
from ..later import np


@dataclass(frozen=True)
class Positions:
    """An integer input (by place) that is looked up in an axis of this extent."""

    input: int
    name: str
    extent: Size


def check_lookups(found: Sequence[Positions], program: Program, arrays: Sequence[Any]) -> None:
    """Refuses integer arrays among a program's inputs that point outside what they subscript.

    ``found`` are the program's :func:`positions`.
    """
    sizes: dict[str, int] | None = None
    for one in found:
        if sizes is None and one.extent.literal is None:
            shapes = {t: np.shape(a) for t, a in zip(program.inputs, arrays, strict=True)}
            sizes = solve_sizes(shapes)
        literal = one.extent.literal
        extent = one.extent.value(sizes or {}) if literal is None else literal
        array = np.asarray(arrays[one.input])
        if array.size and (array.min() < -extent or array.max() >= extent):
            wrong = array[(array < -extent) | (array >= extent)]
            raise PositionError(
                f"{one.name} points outside the axis that it subscripts",
                where=f"argument {one.name}",
                expected=f"integers from {-extent} to {extent - 1}",
                found=str(wrong.flat[0]),
            )


def positions(program: Program) -> tuple[Positions, ...]:
    """The inputs that are looked up as a whole, wherever the program is evaluated."""
    places = {tensor: n for n, tensor in enumerate(program.inputs)}
    wrapped = {s.target: s for s in program.statements}
    found: dict[Positions, None] = {}
    for statement in program.statements:
        for tensor in (*_unguarded(statement.body), *_stored_at(statement)):
            source = wrapped.get(tensor)
            normal = None if source is None else _wrapped_input(source)
            if normal is not None and normal[0] in places and normal[1] is not None:
                found[Positions(places[normal[0]], normal[0].name, normal[1])] = None
    return tuple(found)


def _stored_at(statement: Define) -> Iterator[Tensor]:
    """The tensors that say where a NumPy function puts values: ``np.add.at(y, t, w)``."""
    for node in nodes(statement.body) if statement.source.file else ():
        if isinstance(node, Zero):
            yield from (access.tensor for access in lookups(node.sub))


def unchecked(program: Program, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Those of some integer inputs that are looked up in another way than :func:`positions` finds:
    a part of them, what is computed of them, unsigned ones.
    """
    wanted = [tensor for tensor in inputs if tensor.kind == "int"]
    bodies = {s.target: s for s in program.statements}
    found: dict[Tensor, None] = {}
    left = [
        access.tensor
        for statement in program.statements if wanted
        for node in nodes(statement.body)
        for sub in subscripts(node)
        for access in lookups(sub)
    ]  # fmt: skip
    known: set[Tensor] = set()
    while left:
        tensor = left.pop()
        if tensor in known:
            continue
        known.add(tensor)
        source = bodies.get(tensor)
        if source is None:
            found[tensor] = None
        elif (normal := _wrapped_input(source)) is None or normal[1] is None:
            left += tensors(source.body)
        elif normal[0] not in wanted:
            left.append(normal[0])
    return [tensor for tensor in wanted if tensor in found]


def _unguarded(node: Tree) -> Iterator[Tensor]:
    """The tensors looked up in a body that no condition stands before."""
    if isinstance(node, Select) or (
        isinstance(node, Mul) and any(isinstance(f, Guard) for f in node.factors)
    ):
        return
    for sub in subscripts(node):
        for atom, _ in sub.terms:
            if isinstance(atom, Lookup) and not _looks_up(atom.access):
                yield atom.access.tensor
    if getattr(node, "domain", ()):
        return
    for child in children(node):
        yield from _unguarded(child)


def _looks_up(access: Access) -> bool:
    """Whether the subscripts of an access look something up themselves."""
    return any(lookups(sub) for sub in access.subs)


def _wrapped_input(statement: Define) -> tuple[Tensor, Size | None] | None:
    """The tensor and the extent where a statement is ``where(y < 0, y + extent, y)``, all of y."""
    match statement.body:
        case Select(
            Compare("<", Access() as low, zero), Add((Access() as moved, by)), Access() as y
        ):
            if zero is ZERO and low is moved is y and _is_whole(y):
                return y.tensor, _extent(by)
    return None


def _extent(by: Expr) -> Size | None:
    match by:
        case SizeOf(extent):
            return extent
        case Number(value, "") if value.denominator == 1:
            return size(int(value))
    return None


def _is_whole(access: Access) -> bool:
    """Whether every element of the tensor is read."""
    indices = [sub.index for sub in access.subs]
    return len(set(indices)) == len(indices) and all(
        index is not None and index.extent is extent
        for index, extent in zip(indices, access.tensor.shape, strict=True)
    )
