"""Running sums: a sum over ``j <= i + c``, or ``j >= i + c``, for each i, as ``np.cumsum``.

The sum at each place adds one element to the sum before; a mask over all pairs would be an array
with an axis more. What isn't finite counts in the sums that it belongs to only, as under the mask.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...ir.expr import Guard, Reduce, mul
from ...ir.subscripts import Index
from ...ir.walk import free_indices
from ...plan.terms import flat_factors
from ..python.code import Code, call, item, leaf
from .arrays import PLAIN, Array, squeezed
from .dtypes import is_float
from .products import times
from .triangles import ends

if TYPE_CHECKING:
    from .expressions import Context, Speller


def summed(speller: Speller, expr: Reduce, context: Context) -> Array | None:
    """A sum as a running sum; None where it is none."""
    if expr.op != "sum":
        return None
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
        if lag and not speller.scope.facts.tame(outside, [cond]):
            return None  # a sum over nothing is 0, whatever it is multiplied by
        rest = tuple(i for i in expr.indices if i is not bound)
        body = Reduce("sum", rest, (), mul(*inside)) if rest else mul(*inside)
        before = speller.scope.kept()
        inner = context.within((bound,))
        array = squeezed(speller.value(body, inner.under(cond) if lag else inner))
        if bound not in array.axes or not is_float(array.dtype) or array.weak:
            speller.scope.restore(before)
            return None
        array = _running(array, bound, index, -lag, backwards=bound is above)
        return times(speller, outside, array, context) if outside else array
    return None


def _running(array: Array, bound: Index, index: Index, lag: int, *, backwards: bool) -> Array:
    """The sums of what is at least ``lag`` places before each, or after each where backwards."""
    axis = array.axes.index(bound)
    code = _along(array.code, axis, "::-1") if backwards else array.code
    if lag:
        widths = ", ".join(f"({lag}, 0)" if k == axis else "(0, 0)" for k in range(len(array.axes)))
        code = leaf(call("np.pad", code, f"[{widths}]"))
        code = _along(code, axis, f":-{lag}")
    named = {"axis": axis} if len(array.axes) > 1 else {}
    code = leaf(call("np.cumsum", code, **named))
    code = _along(code, axis, "::-1") if backwards else code
    axes = tuple(index if a is bound else a for a in array.axes)
    return replace(array, code=code, axes=axes, view=False, inner=None, **PLAIN)


def _along(code: Code, axis: int, part: str) -> Code:
    """Places along one axis, and all of the axes before."""
    return item(code, [*[":"] * axis, part])
