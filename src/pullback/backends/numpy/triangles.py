"""Values on one side of a diagonal of their last two axes: ``np.tril`` and ``np.triu``."""

from __future__ import annotations

from ...ir.expr import Cond, Inside
from ...ir.subscripts import Index
from ..python.code import call, leaf
from .arrays import Array


def is_triangle(cond: Cond) -> bool:
    """Whether a condition is ``i - j + c >= 0`` for two indices and a literal c."""
    return ends(cond) is not None


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


def triangle(value: Array, cond: Cond) -> Array | None:
    """The value where such a condition holds, else 0; None where it is over other axes."""
    found = ends(cond)
    if found is None or len(value.axes) < 2 or value.weak:
        return None
    plus, minus, c = found
    for axes, name, k in (((plus, minus), "np.tril", c), ((minus, plus), "np.triu", -c)):
        if value.axes[-2:] == axes:
            code = leaf(call(name, value.code, *([k] if k else [])))
            return value.with_code(code, view=False)
    return None
