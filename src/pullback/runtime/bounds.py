"""What running a formula would take, known before it is run: whole numbers and memory.

Formula text may come from anyone, and the sizes in it from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ..errors import LimitError, ShapeError
from ..ir.expr import (
    Access,
    Apply,
    Arg,
    Compare,
    Cond,
    Expr,
    Guard,
    IndexOf,
    Mul,
    Reduce,
    Select,
    Tensor,
)
from ..ir.magnitudes import (
    ENDLESS,
    INT64,
    Magnitudes,
    is_arithmetic,
    is_beyond,
    is_remainder,
    is_whole,
)
from ..ir.program import Define, Program, solve_sizes
from ..ir.recurrence import depth, groups, is_recurrent
from ..ir.walk import Tree, children, free_indices
from ..later import np

ITEM = 8  # bytes
STEPS = 1000  # of a recurrence that are followed one by one


@dataclass
class Limits:
    """What a formula may take when it is run; larger ones are refused by a LimitError.

    ``bytes`` bounds each array that is made on the way, 16 GiB unless it is set.

    >>> limits.bytes == 2**34
    True
    """

    bytes: int = 2**34


limits = Limits()


def check_work(program: Program, sizes: Mapping[str, int]) -> None:
    """Refuses to make arrays larger than the limit, and to take a maximum over no elements.

    Raises LimitError and ShapeError.
    """
    for statement in program.statements:
        counted = Magnitudes(sizes)
        outer = prod(counted.size(n) for n in statement.target.shape)
        for node in _nodes(statement.body):
            if isinstance(node, Reduce | Arg) and outer:
                _check_filled(node, statement, counted)
        most = max([outer, *(_elements(n, counted) for n in _made(statement.body))])
        if most * ITEM > limits.bytes:
            raise LimitError(
                f"evaluating {statement.target.name} would make an array of {most} elements",
                where=statement.source.text or statement.target.name,
                expected=f"at most {limits.bytes} bytes, pullback.limits.bytes",
                found=f"{most * ITEM} bytes" + _at(sizes),
                hint="make the sizes smaller, or set pullback.limits.bytes",
            )


def _check_filled(node: Reduce | Arg, statement: Define, counted: Magnitudes) -> None:
    if isinstance(node, Reduce) and node.op in ("sum", "prod"):
        return
    for index in node.indices:
        if not counted.size(index.extent):
            word = f"arg{node.op}" if isinstance(node, Arg) else node.op
            raise ShapeError(
                f"{word} over no elements has no value",
                where=statement.source.text or statement.target.name,
                expected=f"an index {index.name} that takes a value",
                found=f"an extent of 0, {index.extent}" + _at(counted.sizes),
            )


def _at(sizes: Mapping[str, int]) -> str:
    given = ", ".join(f"{name} = {value}" for name, value in sizes.items())
    return f" at {given}" if given else ""


def _nodes(tree: Tree) -> Iterator[Tree]:
    yield tree
    for child in children(tree):
        yield from _nodes(child)


def _made(tree: Tree) -> Iterator[Tree]:
    """The parts of a body that become arrays: all but reads and products that are contracted."""
    if not isinstance(tree, Access | Guard):
        yield tree
    inner: Sequence[Tree] = children(tree)
    match tree:
        case Reduce("sum", _, domain, Mul() as body):
            inner = (*domain, *children(body))
    for child in inner:
        yield from _made(child)


def _elements(node: Tree, counted: Magnitudes) -> int:
    return prod(counted.size(index.extent) for index in free_indices(node))


# Whole numbers


def is_watched(program: Program, sizes: Mapping[str, int]) -> bool:
    """Whether whole numbers may go beyond 64 bits for some elements of the integer inputs, so that
    these have to be looked at in every call. Raises LimitError where they do for all."""
    integers = [t for t in program.inputs if t.kind == "int"]
    most = Magnitudes(sizes, dict.fromkeys(integers, INT64))
    if _first_beyond(program, most) is None:
        return False
    _check(program, Magnitudes(sizes, dict.fromkeys(integers, 0)))
    return True


def check_integers(program: Program, arrays: Sequence[Any]) -> None:
    """Refuses integers that arithmetic would take beyond 64 bits; raises LimitError."""
    shapes = {t: np.shape(a) for t, a in zip(program.inputs, arrays, strict=True)}
    elements = {
        tensor: _largest(array)
        for tensor, array in zip(program.inputs, arrays, strict=True)
        if tensor.kind == "int"
    }
    _check(program, Magnitudes(solve_sizes(shapes), elements))


def check_as_traced(program: Program, values: Sequence[Any], sizes: Mapping[str, int]) -> None:
    """Refuses a formula inside a NumPy function that is traced where its whole numbers may go
    beyond 64 bits: there they are computed as NumPy computes integers. Raises LimitError."""
    elements = {
        tensor: _largest(value)
        for tensor, value in zip(program.inputs, values, strict=True)
        if tensor.kind == "int" and isinstance(value, np.ndarray | np.generic | int)
    }
    _check(program, Magnitudes(sizes, elements), every=True)


def _largest(array: Any) -> int:
    found = np.asarray(array)
    return max(abs(int(found.max())), abs(int(found.min()))) if found.size else 0


def _check(program: Program, known: Magnitudes, every: bool = False) -> None:
    found = _first_beyond(program, known, every)
    if found is None:
        return
    statement, most, limit = found
    shown = str(most) if most < ENDLESS and most < 10**40 else "a number too long to be written"
    raise LimitError(
        f"integers in {statement.target.name} may not fit into {limit.bit_length()} bits",
        where=statement.source.text or statement.target.name,
        expected=f"magnitudes of at most {limit - 1}",
        found=f"up to {shown}",
        hint="compute with floats: declare the integer arrays as floats",
    )


def _first_beyond(
    program: Program, known: Magnitudes, every: bool = False
) -> tuple[Define, int, int] | None:
    """The first statement in which whole numbers are too large, how large, and the limit; of
    ``every`` whole number, or of those that aren't computed as floats."""
    elements = dict(known.elements)
    now = Magnitudes(known.sizes, elements, known.usual)
    for group in groups(program.statements):
        if is_recurrent(group):
            _follow(group, now, elements)
        for statement in group:
            limit = _limit(statement.target)
            most = max((now.of(node) for node in _kept_whole(statement, every)), default=1)
            if statement.target.kind == "int":
                own = elements.get(statement.target, 0)
                elements[statement.target] = own = max(own, now.of(statement.body))
                most = max(most, own)
                if isinstance(statement.body, Access | Select) and limit == INT64:
                    continue  # what is only handed on
            if most >= limit:
                return statement, most, limit
    return None


def _limit(tensor: Tensor) -> int:
    """What integers of a tensor's dtype are below in magnitude."""
    if tensor.kind != "int" or tensor.dtype == "int":
        return INT64
    return min(INT64, int(np.iinfo(tensor.dtype).max) + 1)


def _follow(group: Sequence[Define], now: Magnitudes, elements: dict[Tensor, int]) -> None:
    """The elements of integer recurrences, step by step; what still grows faster and faster after
    many steps is taken to be beyond every bound."""
    along = depth(tuple(group))
    steps = max(prod(now.size(i.extent) for i in s.indices[:along]) for s in group)
    integers = [s for s in group if s.target.kind == "int"]
    elements.update((s.target, 1) for s in integers)
    grown: dict[Tensor, int] = {}
    for _ in range(min(steps, STEPS)):
        new = {s.target: now.of(s.body) for s in integers}
        before, grown = grown, {t: n - elements[t] for t, n in new.items()}
        elements.update(new)
        if not any(grown.values()):
            return
    for tensor, more in grown.items() if steps > STEPS else ():
        even = before.get(tensor) == more
        elements[tensor] = elements[tensor] + more * (steps - STEPS) if even else ENDLESS


def _kept_whole(statement: Define, every: bool) -> Iterator[Expr]:
    """The largest parts of a body that are computed in integers of 64 bits."""
    yield from _whole_parts(statement.body, every or statement.target.kind == "int")


def _whole_parts(node: Tree, whole: bool) -> Iterator[Expr]:
    arithmetic = is_arithmetic(node)
    if whole or not (arithmetic and is_beyond(node)):  # type: ignore[arg-type]
        if arithmetic or isinstance(node, Apply | IndexOf):
            yield node  # type: ignore[misc]
            yield from _in_conditions(node)
            return
        inner = [child for child in children(node) if not _is_condition(child)]
        for child in inner:
            yield from _whole_parts(child, whole)
    yield from _in_conditions(node)


def _in_conditions(node: Tree) -> Iterator[Expr]:
    """The same of the comparisons and remainders inside."""
    if is_remainder(node):
        for argument in children(node):
            yield from _whole_parts(argument, True)
        return
    if isinstance(node, Compare):
        whole = is_whole(node.left) and is_whole(node.right)
        for side in (node.left, node.right):
            yield from _whole_parts(side, whole)
        return
    for child in children(node):
        yield from _in_conditions(child)


def _is_condition(node: Tree) -> bool:
    return isinstance(node, Cond)
