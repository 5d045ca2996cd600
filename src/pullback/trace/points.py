"""Values and conditions over a grid of indices, by NumPy: what constant arrays are tested with."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, assert_never

import numpy as np

from ..ir.expr import (
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Cond,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Number,
    Opaque,
    Or,
    Power,
    Reduce,
    Select,
    SizeOf,
    Truth,
    Zero,
)
from ..ir.subscripts import Index, Lookup, Quotient, Remainder, Subscript

Data = np.ndarray[Any, Any]

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "log": np.log,
    "log2": np.log2,
    "pow": np.power,
}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


class Points:
    """Evaluates what a family may be at all points of a grid at once."""

    def __init__(self, grid: Mapping[Index, Data], sizes: Mapping[str, int]) -> None:
        self.grid = grid
        self.sizes = sizes

    def expr(self, node: Expr) -> Any:
        match node:
            case Number(value, special):
                return float(special) if special else _plain(value)
            case SizeOf(value):
                return value.value(self.sizes)
            case IndexOf(sub):
                return self.sub(sub)
            case Add(terms):
                return reduce(operator.add, map(self.expr, terms), 0)
            case Mul(factors):
                return self.product(factors)
            case Power(base, exponent):
                inner = np.asarray(self.expr(base), dtype=np.float64)
                return np.sqrt(inner) if exponent == Fraction(1, 2) else inner ** float(exponent)
            case Apply(function, args):
                floats = [np.asarray(self.expr(arg), dtype=np.float64) for arg in args]
                return _FUNCTIONS[function](*floats)
            case Select(cond, then, other):
                return np.where(self.cond(cond), self.expr(then), self.expr(other))
            case Guard(cond):
                return np.where(self.cond(cond), 1, 0)
            case Access() | Reduce() | Arg() | Opaque():
                raise ValueError(f"{node} is in no family of constants")
        assert_never(node)

    def product(self, factors: Sequence[Expr]) -> Any:
        """Where a guard is false there's nothing to multiply."""
        holds = [self.cond(factor.cond) for factor in factors if isinstance(factor, Guard)]
        values = [self.expr(factor) for factor in factors if not isinstance(factor, Guard)]
        made = reduce(operator.mul, values, 1)
        return np.where(reduce(np.logical_and, holds), made, 0) if holds else made

    def cond(self, node: Cond) -> Any:
        match node:
            case Compare(op, left, right):
                return _COMPARISONS[op](self.expr(left), self.expr(right))
            case Zero(sub):
                return self.sub(sub) == 0
            case Inside(sub, extent):
                inner = self.sub(sub)
                return (inner >= 0) & (inner < extent.value(self.sizes))
            case Divides(divisor, sub):
                return self.sub(sub) % divisor.value(self.sizes) == 0
            case And(conds):
                return reduce(np.logical_and, map(self.cond, conds))
            case Or(conds):
                return reduce(np.logical_or, map(self.cond, conds))
            case Not(cond):
                return np.logical_not(self.cond(cond))
            case Truth(value):
                return self.expr(value) != 0
        assert_never(node)

    def sub(self, sub: Subscript) -> Any:
        total: Any = sub.const.value(self.sizes)
        for atom, n in sub.terms:
            match atom:
                case Index():
                    part = self.grid[atom]
                case Quotient(value, divisor):
                    part = self.sub(value) // divisor.value(self.sizes)
                case Remainder(value, divisor):
                    part = self.sub(value) % divisor.value(self.sizes)
                case Lookup():
                    raise ValueError(f"{sub} is in no family of constants")
            total = total + part * n.value(self.sizes)
        return total


def _plain(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
