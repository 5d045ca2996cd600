"""Terms that exclude each other, as one choice."""

from __future__ import annotations

from collections.abc import Sequence

from ..calculus.guards import settle
from ..ir.expr import (
    ONE,
    Access,
    Add,
    Cond,
    Expr,
    Guard,
    Mul,
    Not,
    Number,
    Select,
    SizeOf,
    mul,
)


def either_or(terms: Sequence[Expr]) -> list[Expr]:
    """Terms of which one is there where a condition holds, and one where it doesn't, joined."""
    left = list(terms)
    for n, one in enumerate(terms):
        for two in terms[n + 1 :]:
            if one in left and two in left and (joined := _joined(one, two)) is not None:
                left[left.index(one)] = joined
                left.remove(two)
    return left


def chosen(factors: Sequence[Expr]) -> Select | None:
    """``x*([c]*a + [not c]*b)`` as ``where(c, x*a, x*b)``, if x is read rather than computed."""
    for n, factor in enumerate(factors):
        rest = [*factors[:n], *factors[n + 1 :]]
        if not isinstance(factor, Add) or sum(isinstance(f, Access) for f in rest) > 1:
            continue
        if not all(isinstance(f, Access | Number | SizeOf) for f in rest):
            continue
        joined = either_or(factor.terms)
        if len(joined) == 1 and isinstance(joined[0], Select):
            cond, yes, no = joined[0].cond, joined[0].then, joined[0].other
            return Select(cond, _times(rest, yes), _times(rest, no))
    return None


def _times(factors: Sequence[Expr], expr: Expr) -> Expr:
    own = expr.factors if isinstance(expr, Mul) else () if expr is ONE else (expr,)
    return mul(*factors, *own)


def _joined(one: Expr, two: Expr) -> Expr | None:
    """``[c]*x + [not c]*y`` as ``where(c, x, y)``."""
    (conds, x), (others, y) = _guards_of(one), _guards_of(two)
    if len(conds) != 1 or len(others) != 1 or not (x or y):
        return None
    for cond, other, yes, no in ((conds[0], others[0], x, y), (others[0], conds[0], y, x)):
        if settle([other], ()) == settle([Not(cond)], ()):
            return Select(cond, mul(*(yes or [ONE])), mul(*(no or [ONE])))
    return None


def _guards_of(expr: Expr) -> tuple[list[Cond], list[Expr]]:
    factors = expr.factors if isinstance(expr, Mul) else (expr,)
    conds = [f.cond for f in factors if isinstance(f, Guard)]
    return conds, [f for f in factors if not isinstance(f, Guard)]
