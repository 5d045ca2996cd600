"""Recurrences that libraries have a word for: each element combines the one before with another."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ..ir.expr import Access, Add, Apply, Cond, Expr, Guard, Inside, Mul, Select, Tensor
from ..ir.program import Define
from ..ir.subscripts import at
from ..ir.walk import tensors
from . import arrays
from .laid import Laid
from .ops import Loop

if TYPE_CHECKING:
    from .lower import Lowering

WORDS = frozenset({"maximum", "minimum", "logaddexp"})  # sums and products have one, too


def accumulation(loop: Loop, wanted: Collection[Tensor]) -> tuple[Define, str, Expr] | None:
    """The statement ``y[t] = f(y[t-1], x[t])``, ``y[0] = x[0]`` that a loop is, f, and x[t]; None
    for other loops, and where something else that they make is wanted."""
    *parts, define = loop.group
    body = define.body
    hidden = {s.target for s in parts}
    if loop.turn < 0 or len(parts) > 1 or hidden & set(wanted) or not isinstance(body, Select):
        return None
    cond, then, here = body.cond, body.then, body.other
    made = {s.target for s in loop.group}
    if not _is_first(cond, define) or made & set(tensors(here)):
        return None
    for s in parts:
        if then is not Access(s.target, tuple(map(at, s.indices))) or s.indices != define.indices:
            return None
        then = s.body
    first, *rest = map(at, define.indices)
    before = Access(define.target, (first - 1, *rest))
    function = _combined(_bare(then, cond), before, here)
    return None if function is None else (define, function, here)


def _is_first(cond: Cond, define: Define) -> bool:
    """Whether a condition holds at all steps but the first."""
    first = define.indices[0]
    return cond is Inside(at(first) - 1, first.extent - 1)


def _bare(value: Expr, cond: Cond) -> Expr:
    """A value without a condition that holds."""
    if not isinstance(value, Mul) or Guard(cond) not in value.factors:
        return value
    left = [f for f in value.factors if f is not Guard(cond)]
    return left[0] if len(left) == 1 else Mul(tuple(left))


def _combined(value: Expr, before: Access, here: Expr) -> str | None:
    match value:
        case Mul(parts):
            word = "mul"
        case Add(parts):
            word = "add"
        case Apply(word, parts) if word in WORDS:
            pass
        case _:
            return None
    return word if parts == (before, here) else None


def accumulated(lowering: Lowering, define: Define, function: str, here: Expr) -> Laid:
    """The array of all steps, for indices in the order of the statement's."""
    lowering.hint = define.indices
    with lowering.making(define.target):
        array = lowering.over(lowering.value(here), define.indices)
    return Laid(arrays.accumulate(function, array, 0), define.indices)
