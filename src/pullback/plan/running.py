"""Sums that run along an axis, and values on one side of a diagonal.

A sum over ``j <= i + c``, or ``j >= i + c``, for each i adds one element to the sum before; a mask
over all pairs would be an array with an axis more. What isn't finite counts in the sums that it
belongs to only, as under the mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..ir.expr import Cond, Expr, Guard, Inside, Reduce, mul
from ..ir.sizes import ONE, size
from ..ir.subscripts import Index
from ..ir.walk import free_indices
from . import arrays
from .arrays import Cut
from .laid import Laid, permuted
from .terms import flat_factors

if TYPE_CHECKING:
    from .lower import Lowering


def ends(cond: Cond) -> tuple[Index, Index, int] | None:
    """i, j and c where a condition is no more than ``i - j + c >= 0``."""
    if not isinstance(cond, Inside) or len(cond.sub.terms) != 2:
        return None
    signs = {n.literal: atom for atom, n in cond.sub.terms}
    plus, minus, c = signs.get(1), signs.get(-1), cond.sub.const.literal
    if not isinstance(plus, Index) or not isinstance(minus, Index) or c is None:
        return None
    below = (cond.extent - plus.extent - c).at_least(0)  # the other side always holds
    return (plus, minus, c) if below else None


def running(lowering: Lowering, expr: Reduce) -> Laid | None:
    """A sum as a running sum; None where it is none."""
    factors = [*map(Guard, expr.domain), *flat_factors(expr.body)]
    for cond in (f.cond for f in factors if isinstance(f, Guard)):
        found = ends(cond)
        if found is None or found[2] > 0 or found[0].extent is not found[1].extent:
            continue
        above, below, lag = found  # above + lag >= below
        bound, index = (below, above) if below in expr.indices else (above, below)
        if bound not in expr.indices or index in expr.indices:
            continue
        left = [f for f in factors if f is not Guard(cond)]
        inside = [f for f in left if any(i in expr.indices for i in free_indices(f))]
        outside = [f for f in left if f not in inside]
        if not inside or any(index in free_indices(f) for f in inside):
            return None
        if any(isinstance(f, Guard) for f in outside):
            return None
        if lag and not lowering.facts.tame(outside, [cond]):
            return None  # a sum over nothing is 0, whatever it is multiplied by
        rest = tuple(i for i in expr.indices if i is not bound)
        body = Reduce("sum", rest, (), mul(*inside)) if rest else mul(*inside)
        laid = lowering.value(body)
        laid = permuted(laid, laid.indices)
        if bound not in laid.axes or laid.array.kind != "float" or laid.array.scalar:
            return None
        made = _along(laid, bound, index, -lag, backwards=bound is above)
        return lowering.times(outside, made) if outside else made
    return None


def _along(laid: Laid, bound: Index, index: Index, lag: int, *, backwards: bool) -> Laid:
    """The sums of what is at least ``lag`` places before each, or after each where backwards."""
    axis = laid.axes.index(bound)
    array = arrays.flip(laid.array, [axis] if backwards else [])
    if lag:
        nought = size(0)
        low = [size(lag) if k == axis else nought for k in range(array.rank)]
        wide = arrays.pad(array, low, [nought] * array.rank, arrays.NOUGHT)
        array = arrays.slice_of(wide, [Cut(nought, ONE, n) for n in array.shape])
    array = arrays.flip(arrays.cumsum(array, axis), [axis] if backwards else [])
    return Laid(array, tuple(index if a is bound else a for a in laid.axes))


def triangle(lowering: Lowering, guards: Sequence[Cond], others: Sequence[Expr]) -> Laid | None:
    """A product where such a condition holds, else 0; None where it is none, or is no array of
    both indices, or is finite anyway."""
    found = ends(guards[0]) if len(guards) == 1 and others else None
    if found is None or lowering.facts.tame(others, guards):
        return None
    plus, minus, c = found
    with lowering.under():
        value = lowering.times(others)
    if len(value.axes) < 2 or value.array.scalar:
        return None
    for axes, half, k in (((plus, minus), "tril", c), ((minus, plus), "triu", -c)):
        if value.axes[-2:] == axes:
            return Laid(arrays.half(half, value.array, k), value.axes)
    return None
