"""Reductions over the taps of a window: a loop over the taps, each turn on whole arrays."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ...ir.expr import Access, Arg, Expr, Reduce
from ...ir.sizes import Size
from ...ir.subscripts import Index, constant, indices_of
from ...ir.walk import Tree, accesses, free_indices, nodes, subscripts, substitute
from ...plan.radix import radix
from ...plan.terms import flat_factors
from ..python.code import Code, call, leaf, tuple_of
from . import padding
from .arrays import Array, aligned
from .loops import loop
from .products import weight

if TYPE_CHECKING:
    from .expressions import Context, Speller

FEW = 16  # turns of a loop, where an axis could be split instead and nothing else is reduced
MOST = 64**3  # turns of a loop

START = {
    "sum": ("np.zeros",),
    "prod": ("np.ones",),
    "max": ("np.full", "-np.inf"),
    "min": ("np.full", "np.inf"),
}


def reduced(speller: Speller, expr: Reduce, context: Context) -> Array | None:
    """A reduction over windows; None where it is none, or where a matrix product does better."""
    if any(i.extent.literal == 0 for i in expr.indices):
        return None
    taps = _taps(expr.indices, expr.body)
    if not taps or expr.domain or (expr.op == "sum" and _is_product(expr)):
        return None
    inner = padding.prepared(speller, expr.body, expr.op)
    rest = tuple(i for i in expr.indices if i not in taps)
    body = Reduce(expr.op, rest, (), inner) if rest else inner
    with speller.trial():
        array = speller.value(body, context.within(taps))
    frame = tuple(i for i in context.hint if i in array.indices)
    frame += tuple(i for i in array.indices if i not in frame and i not in taps)
    if not frame or array.weak:
        return None
    scope = speller.scope
    name = speller.fresh_name("total")
    kind = "int64" if array.dtype == "bool" and expr.op in ("sum", "prod") else array.dtype
    dtype = scope.dtype(kind)
    function, *fill = START[expr.op]
    named = {"dtype": dtype} if dtype else {}
    shape = tuple_of([_extent(speller, index.extent) for index in frame])
    scope.emit(f"{name} = {call(function, shape, *fill, **named)}")
    beside = _others(taps, expr)
    if _count(beside, taps) < _count(taps, beside):
        _each(speller, Reduce(expr.op, expr.indices, (), inner), name, (frame, beside), context)
        return Array(leaf(Code(name)), frame, kind)
    with loop(speller, taps) as places:
        here = {i: constant(n) for i, n in places.items()}
        value = speller.value(substitute(body, here), context)  # type: ignore[arg-type]
        code = aligned(value, frame).code
        scope.emit(UPDATE[expr.op].format(name=name, value=code))
    return Array(leaf(Code(name)), frame, kind)


def _each(
    speller: Speller,
    expr: Expr,
    name: str,
    axes: tuple[tuple[Index, ...], tuple[Index, ...]],
    context: Context,
) -> None:
    """Fills an array over ``axes[0]`` in a loop over ``axes[1]``, a reduction a turn."""
    frame, turns = axes
    with loop(speller, turns) as places:
        here = {i: constant(n) for i, n in places.items()}
        value = speller.value(substitute(expr, here), context)  # type: ignore[arg-type]
        code = aligned(value, tuple(i for i in frame if i not in turns)).code
        slots = [str(speller.scope.size(places[i])) if i in turns else ":" for i in frame]
        while slots[-1] == ":":
            slots.pop()
        speller.scope.emit(f"{name}[{', '.join(slots)}] = {code}")


def _others(taps: tuple[Index, ...], expr: Reduce) -> tuple[Index, ...]:
    """The indices from outside that taps stand beside."""
    outside = free_indices(expr)
    found = {
        i: None
        for node in nodes(expr.body)
        for sub in subscripts(node)
        if any(i in taps for i in indices_of(sub))
        for i in indices_of(sub)
        if i in outside
    }
    return tuple(found)


def _count(indices: tuple[Index, ...], beside: Sequence[Index] = ()) -> int:
    """About how many turns a loop over indices has."""
    return prod(weight(i, (*indices, *beside)) for i in indices)


def _extent(speller: Speller, extent: Size) -> str:
    """An extent of an array; one that only a part of a target has may come out as less than 0."""
    scope = speller.scope
    text = scope.size(extent)
    if extent.at_least(0) or any(extent in tensor.shape for tensor in scope.arrays):
        return str(text)
    return str(call("max", 0, text))


UPDATE = {
    "sum": "{name} += {value}",
    "prod": "{name} *= {value}",
    "max": "np.maximum({name}, {value}, out={name})",
    "min": "np.minimum({name}, {value}, out={name})",
}


def arg(speller: Speller, expr: Arg, context: Context) -> Array | None:
    """The first greatest or least of a window: how many taps come before the one that equals it."""
    taps = _taps(expr.indices, expr.body)
    if len(taps) != len(expr.indices) or expr.domain:
        return None
    best = speller.value(Reduce(expr.op, expr.indices, (), expr.body), context)
    body = padding.prepared(speller, expr.body, expr.op)
    key = Arg(expr.op, expr.indices, 0, (), body)
    scope = speller.scope
    frame = best.indices
    if key not in scope.args:
        best = speller.named(best, "best")
        count, later = scope.names.fresh("first"), scope.names.fresh("later")
        scope.emit(f"{later} = np.ones({best.code}.shape, bool)")
        scope.emit(f"{count} = np.zeros({best.code}.shape, int)")
        with loop(speller, taps, last=False) as places:
            here = {i: constant(n) for i, n in places.items()}
            value = speller.value(substitute(body, here), context)  # type: ignore[arg-type]
            code = aligned(value, frame).code
            scope.emit(f"{later} &= {code.at(1)} != {best.code}")
            scope.emit(f"{count} += {later}")
        scope.args[key] = Array(leaf(Code(count)), frame, "int64", view=True)
    return speller.digit(scope.args[key], expr)


def _taps(indices: tuple[Index, ...], body: Expr) -> tuple[Index, ...]:
    """The indices that stand beside an index from outside in some subscript, if they are few."""
    found: list[Index] = []
    outside = [i for i in free_indices(body) if i not in indices]
    for index in indices:
        if any(_beside(index, outside, node) for node in nodes(body)):
            found.append(index)
    count = _count(tuple(found))
    long = count > FEW or len(found) < len(indices)
    if long and all(_is_split(index, body) for index in found):
        return ()
    return tuple(found) if 0 < count <= MOST else ()


def _is_split(index: Index, body: Expr) -> bool:
    """Whether an index is, wherever it stands beside others, a digit of a number: its axis can be
    split."""
    return all(
        radix(sub) is not None
        for access in accesses(body)
        for sub in access.subs
        if index in indices_of(sub) and len(sub.terms) > 1
    )


def _beside(index: Index, outside: Sequence[Index], node: Tree) -> bool:
    if not isinstance(node, Access):
        return False
    return any(
        index in (own := indices_of(sub)) and any(i in outside for i in own)
        for sub in subscripts(node)
    )


def _is_product(expr: Reduce) -> bool:
    """Whether two factors that are summed over together each bring an index the other lacks."""
    factors = [frozenset(free_indices(f)) for f in flat_factors(expr.body)]
    bound = frozenset(expr.indices)
    return any(
        one & two & bound and one - two - bound and two - one - bound
        for n, one in enumerate(factors)
        for two in factors[:n]
    )
