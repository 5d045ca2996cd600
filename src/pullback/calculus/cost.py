"""What a form costs: elements computed, with weights; the measure by which forms are chosen.

A named size n counts as 64 would. An extent counts for 32 more than it is, at most 4096: the form
that is right for large arrays is wanted for small ones too, but longer axes stay longer. Costs
compare forms of the same value; they predict no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import combinations
from math import prod

from ..ir.expr import (
    Access,
    Add,
    Apply,
    Arg,
    Cond,
    Expr,
    Guard,
    IndexOf,
    Mul,
    Number,
    Power,
    Reduce,
    Select,
    SizeOf,
)
from ..ir.intern import noted
from ..ir.program import Define
from ..ir.sizes import Size
from ..ir.subscripts import Index
from ..ir.walk import Tree, children, free_indices, lookups

Points = Callable[[Iterable[Index]], float]
TYPICAL = 64
FUNCTION = 8.0
READ = 1.0
OPERATION = 1.0


@noted
def extent_cost(extent: Size) -> float:
    """The number an extent counts for."""
    literal = extent.literal
    if literal is None:
        names = dict.fromkeys(extent.names(), TYPICAL)
        literal = extent.value(names)
    return 2.0 if literal <= 1 else float(min(literal, 4096) + 32)


def volume(indices: Iterable[Index]) -> float:
    """The number of points that indices run over."""
    out = 1.0
    for index in indices:
        out *= extent_cost(index.extent)
    return out


def elements(indices: Iterable[Index]) -> float:
    """The number of points that indices of plain extents run over."""
    return float(prod(index.extent.value({}) for index in indices))


def power_cost(exponent: Fraction) -> float:
    """The operations that a power costs beyond its base."""
    if exponent == 1:
        return 0.0
    whole = abs(exponent)
    roots = 0.0 if whole.denominator == 1 else 4.0
    products = 0.0 if whole.denominator > 1 and whole < 1 else min(float(whole), 4.0) - 1.0
    return roots + max(products, 0.0) + (1.0 if exponent < 0 else 0.0)


def cost(statements: Sequence[Define]) -> float:
    """The cost of running statements: every operation and every read times the points it runs
    over."""
    return sum(statement_cost(s) for s in statements)


def statement_cost(statement: Define) -> float:
    """The cost of one statement (every operation writes its result anyway)."""
    return expression_cost(statement.body)


@noted
def expression_cost(value: Expr) -> float:
    """The cost of evaluating an expression at all points of its free indices, parts over their
    own."""
    return _evaluated(value, volume)


def operations(value: Expr) -> float:
    """How many operations that is at sizes that are all plain numbers."""
    return _evaluated(value, elements)


def _evaluated(value: Expr, points: Points) -> float:
    return _visited(value, points, set())


def _visited(node: Tree, points: Points, seen: set[Tree]) -> float:
    if node in seen:  # an equal part is computed once
        return 0.0
    seen.add(node)
    return _own(node, points) + sum([_visited(child, points, seen) for child in children(node)])


def _own(node: Tree, points: Points) -> float:
    match node:
        case Access(_, subs):  # what is read at places from data is gathered first
            return READ * points(free_indices(node)) * (2 if any(map(lookups, subs)) else 1)
        case Number() | SizeOf() | IndexOf():
            return 0.0
        case Mul((Number(value, ""), *parts)) if value == -1:  # a sign: plus becomes minus
            return OPERATION * max(len(parts) - 1, 0) * _least(parts, points)
        case Add(parts) | Mul(parts):
            return OPERATION * max(len(parts) - 1, 0) * _least(parts, points)
        case Power(_, exponent):
            return power_cost(exponent) * points(free_indices(node))
        case Apply(_, _):
            return FUNCTION * points(free_indices(node))
        case Reduce(_, indices, _, body) | Arg(_, indices, _, _, body):
            return OPERATION * points(dict.fromkeys([*indices, *free_indices(body)]))
        case Select():
            return OPERATION * points(free_indices(node))
        case Guard():
            return OPERATION * points(free_indices(node))
        case _:
            return OPERATION * points(free_indices(node)) * 0.5


def _least(parts: Sequence[Expr | Cond], points: Points) -> float:
    """The cost per operation of combining parts, the two of the smallest result first."""
    if len(parts) < 2:
        return 0.0
    left = sorted((dict.fromkeys(free_indices(p)) for p in parts), key=points)
    total = 0.0
    while len(left) > 1:
        first, second = left[:2]
        if not second.keys() >= first.keys():
            first, second = min(combinations(left, 2), key=lambda pair: points(pair[0] | pair[1]))
        both = first | second
        total += points(both)
        left = sorted([*(p for p in left if p is not first and p is not second), both], key=points)
    return total / (len(parts) - 1)
