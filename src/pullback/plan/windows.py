"""Windows that slide along axes, as views; loops over what is inside them; and where a loop over a
few indices does what no single array operation does as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ..ir.expr import Access, Arg, Expr, Reduce
from ..ir.sizes import ONE, Size, size
from ..ir.subscripts import Index, Subscript, constant, indices_of
from ..ir.walk import Tree, accesses, free_indices, nodes, subscripts, substitute
from . import arrays
from .arrays import Array, Cut, Window
from .laid import Laid
from .radix import radix
from .terms import flat_factors
from .weights import weight

if TYPE_CHECKING:
    from .lower import Lowering
    from .reads import Reading

FEW = 16  # turns of a loop, where an axis could be split instead and nothing else is reduced
MOST = 64**3  # turns of a loop


# views


def windows(reading: Reading, array: Array, subs: Sequence[Subscript]) -> Laid | None:
    """A read of windows as a view; None where there is none, or not all is a view."""
    pairs: dict[int, tuple[Index, Size, Index, Size]] = {}
    seen: set[Index] = set()
    for axis, (sub, n) in enumerate(zip(subs, array.shape, strict=True)):
        if seen & (own := set(indices_of(sub))):
            return None
        seen |= own
        if len(sub.terms) < 2:
            if not reading.is_slice(sub, n):
                return None
            continue
        pair = _pair(sub)
        if pair is None or not reading.inside(sub, n):
            return None
        pairs[axis] = pair
    if not pairs:
        return None
    cuts: list[Cut] = []
    axes: list[Index | None] = []
    inside: list[Index] = []
    told: list[Window] = []
    turned: list[Index] = []
    for axis, (sub, n) in enumerate(zip(subs, array.shape, strict=True)):
        if axis not in pairs:
            cut = reading.cut(sub, n)
            cuts.append(cut)
            if cut.count is not None:
                axes.append(sub.terms[0][0])  # type: ignore[arg-type]
            continue
        here, step, place, spread = pairs[axis]
        first, a, s = sub.const, step, spread
        if not step.at_least(1):
            first, a = first + step * (here.extent - 1), -step
            turned.append(here)
        if not spread.at_least(1):
            first, s = first + spread * (place.extent - 1), -spread
            turned.append(place)
        reach = s * (place.extent - 1)
        if not (reach + 1).at_least(1):  # a window may be longer than what it slides along
            return None
        every = (n - 1 - reach) // a + 1 if a is not ONE else n - reach
        all_of_them = first.literal == 0 and every is here.extent
        length = n if all_of_them else a * (here.extent - 1) + reach + 1
        cuts.append(Cut(first, ONE, length))
        told.append(Window(len(axes), a, here.extent, s, place.extent))
        axes.append(here)
        inside.append(place)
    made = arrays.windows(arrays.slice_of(array, cuts), told)
    axes += inside
    return Laid(arrays.flip(made, [k for k, i in enumerate(axes) if i in turned]), tuple(axes))


def _pair(sub: Subscript) -> tuple[Index, Size, Index, Size] | None:
    """``a*i + s*p`` with the index of the window, the smaller one, last."""
    if len(sub.terms) != 2:
        return None
    (one, a), (two, b) = sub.terms
    if not isinstance(one, Index) or not isinstance(two, Index):
        return None
    if not all(n.at_least(1) or (-n).at_least(1) for n in (a, b)):
        return None
    if weight(one, (two,)) < weight(two, (one,)):
        one, a, two, b = two, b, one, a
    return one, a, two, b


# loops


def turn(index: Index) -> Size:
    """The variable of a loop over an index."""
    return size(f"{index.name}{arrays.TURN}")


def looped(lowering: Lowering, expr: Reduce) -> Laid | None:
    """A reduction over windows as a loop over what is inside them; None where it is none, or where
    a matrix product does better."""
    if any(i.extent.literal == 0 for i in expr.indices):
        return None
    places = _places(expr.indices, expr.body)
    if not places or (expr.op == "sum" and _is_product(expr)):
        return None
    beside = _others(places, expr)
    if _count(beside, places) < _count(places, beside):
        here = {i: constant(turn(i)) for i in beside}
        turns = tuple((turn(i), i.extent) for i in beside)
        moved = Reduce(expr.op, expr.indices, (), substitute(expr.body, here))  # type: ignore[arg-type]
        laid = _at(lowering, moved, turns)
        if laid.array.scalar or None in laid.axes:
            return None
        return Laid(arrays.fill(turns, laid.array), (*laid.axes, *beside))
    rest = tuple(i for i in expr.indices if i not in places)
    here = {i: constant(turn(i)) for i in places}
    body: Expr = substitute(expr.body, here)  # type: ignore[assignment]
    turns = tuple((turn(i), i.extent) for i in places)
    laid = _at(lowering, Reduce(expr.op, rest, (), body) if rest else body, turns)
    if not laid.axes or None in laid.axes:
        return None
    if expr.op in ("max", "min") and laid.array.kind != "float":
        return None  # integers have no infinity to start from
    return Laid(arrays.each(expr.op, turns, laid.array), laid.axes)


def first(lowering: Lowering, expr: Arg) -> Laid | None:
    """How many places of a window come before its greatest, or least, element; None where not all
    indices are of a window."""
    places = _places(expr.indices, expr.body)
    if len(places) != len(expr.indices):
        return None
    best = lowering.value(Reduce(expr.op, expr.indices, (), expr.body))
    here = {i: constant(turn(i)) for i in expr.indices}
    turns = tuple((turn(i), i.extent) for i in expr.indices)
    body: Expr = substitute(expr.body, here)  # type: ignore[assignment]
    laid = _at(lowering, body, turns)
    if laid.axes != best.axes or not laid.axes or None in laid.axes:
        return None
    return Laid(arrays.first(turns, laid.array, best.array), laid.axes)


def _at(lowering: Lowering, body: Expr, turns: arrays.Turns) -> Laid:
    """An expression at one turn of loops."""
    before = lowering.turns
    lowering.turns = (*before, *turns)
    laid = lowering.value(body)
    lowering.turns = before
    return laid


def _places(indices: tuple[Index, ...], body: Expr) -> tuple[Index, ...]:
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


def _others(places: tuple[Index, ...], expr: Reduce) -> tuple[Index, ...]:
    """The indices from outside that those inside windows stand beside."""
    outside = free_indices(expr)
    found = {
        i: None
        for node in nodes(expr.body)
        for sub in subscripts(node)
        if any(i in places for i in indices_of(sub))
        for i in indices_of(sub)
        if i in outside
    }
    return tuple(found)


def _count(indices: tuple[Index, ...], beside: Sequence[Index] = ()) -> int:
    """About how many turns a loop over indices has."""
    return prod(weight(i, (*indices, *beside)) for i in indices)
