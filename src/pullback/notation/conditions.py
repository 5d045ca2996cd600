"""Conditions: comparisons of subscripts become equalities, ranges, divisibility.

All other comparisons compare values.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ..ir.expr import ZERO, And, Compare, Cond, Divides, Inside, Not, Or, Truth, Zero
from .bounds import one_sided
from .purity import IMPURE, INDEX, LOOKUP, SIZE
from .tree import Call, Chain, Comparison, Group, Logic, Num, Syntax, bare
from .tree import Not as NotSyntax

if TYPE_CHECKING:
    from .lower import Lower


def cond(lower: Lower, node: Syntax) -> Cond:
    """The condition that a part is."""
    match node:
        case Group(inner=inner):
            return cond(lower, inner)
        case NotSyntax(cond=inner):
            return Not(cond(lower, inner))
        case Logic(op=op, parts=conds):
            return (And if op == "and" else Or)(tuple(cond(lower, part) for part in conds))
        case Call(name="all" | "any", args=conds):
            return (And if node.name == "all" else Or)(tuple(cond(lower, part) for part in conds))
        case Comparison():
            return _comparison(lower, node)
        case _:
            return Truth(lower.whole(node))


def _comparison(lower: Lower, node: Comparison) -> Cond:
    ops, operands = node.ops, node.operands
    if ops[0] in (">", ">=") and all(op in (">", ">=") for op in ops):
        ops = tuple(op.replace(">", "<") for op in reversed(ops))
        operands = tuple(reversed(operands))
    ranged = _ranged(lower, ops, operands)
    if ranged is not None:
        return ranged
    conds = tuple(
        _compared(lower, op, left, right)
        for op, (left, right) in zip(ops, pairwise(operands), strict=True)
    )
    return conds[0] if len(conds) == 1 else And(conds)


def _ranged(lower: Lower, ops: tuple[str, ...], operands: tuple[Syntax, ...]) -> Cond | None:
    """``low <= subscript < high`` with sizes at the ends, or None."""
    if len(operands) != 3 or any(op not in ("<", "<=") for op in ops):
        return None
    low, middle, high = operands
    ends = lower.kind(low) | lower.kind(high)
    if ends & ~SIZE or not lower.kind(middle) & INDEX or lower.kind(middle) & (LOOKUP | IMPURE):
        return None
    least = lower.affine.subscript(low).const + (ops[0] == "<")
    above = lower.affine.subscript(high).const + (ops[1] == "<=")
    return Inside(lower.affine.subscript(middle) - least, above - least)


def _compared(lower: Lower, op: str, left: Syntax, right: Syntax) -> Cond:
    if op in (">", ">="):
        op, left, right = op.replace(">", "<"), right, left
    kinds = lower.kind(left) | lower.kind(right)
    if op in ("==", "!="):
        if not kinds & IMPURE and (kinds & INDEX or kinds == SIZE):
            same = _equal(lower, left, right)
            return same if op == "==" else Not(same)
    elif not kinds & (IMPURE | LOOKUP) and kinds & (INDEX | SIZE):
        found = _below(lower, op, left, right)
        if found is not None:
            return found
    values = (lower.whole(left), lower.whole(right))
    return Compare(op, *values)


def _equal(lower: Lower, left: Syntax, right: Syntax) -> Cond:
    plain = bare(left)
    if (
        isinstance(plain, Chain) and plain.parts[-1][0] == "%"
        and isinstance(right, Num) and right.value is ZERO
    ):  # fmt: skip
        divisor = lower.affine.subscript(plain.parts[-1][1]).const
        lower.affine.check_divisor("%", divisor, plain)
        rest = plain.parts[:-1]
        last = rest[-1][1]
        value = rest[0][1] if len(rest) == 1 else Chain(plain.start, last.end, rest)
        return Divides(divisor, lower.affine.subscript(value))
    return Zero(lower.affine.subscript(left) - lower.affine.subscript(right))


def _below(lower: Lower, op: str, left: Syntax, right: Syntax) -> Cond | None:
    """An inequality of subscripts as a range that is open on the side that always holds."""
    low, high = lower.affine.subscript(left), lower.affine.subscript(right)
    step = 1 if op == "<" else 0
    return one_sided(low, high + (1 - step))
