"""A program written out element by element: each entry of each tensor as an expression in symbols.

An *entry* is a tensor without axes. Indices become numbers, sums are written out, conditions on
indices are decided; conditions on values stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from ..errors import DerivationError, LimitError
from ..ir.expr import (
    ONE,
    ZERO,
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
    Tensor,
    Truth,
    Zero,
    number,
)
from ..ir.interpret import Array, holds, place, value_of
from ..ir.program import Define
from ..ir.subscripts import Index, Subscript
from ..ir.walk import accesses, lookups
from ..opaque import TABLE

Point = Mapping[Index, int]
Place = tuple[int, ...]

MOST_NODES = 20_000  # of all expressions together
ABSENT = {"sum": ZERO, "prod": ONE}
BINARY = {"max": "maximum", "min": "minimum"}


def places(shape: Sequence[int]) -> Iterator[Place]:
    """Every place of an array, row by row."""
    return product(*map(range, shape))


def entry(name: str, at: Place) -> Tensor:
    """The symbol of one entry of a tensor.

    >>> entry("x", (0, 1)).name
    'x[1,2]'
    """
    return Tensor(f"{name}[{','.join(str(k + 1) for k in at)}]" if at else name, ())


def read(symbol: Tensor) -> Access:
    """The value of a symbol."""
    return Access(symbol, ())


class Entries:
    """The entries of the tensors of some statements, from symbols for what they don't define.

    ``fixed`` are tensors that are one value everywhere; ``whole`` are integer and bool arrays whose
    values are known. Raises LimitError where there is too much to write out.
    """

    def __init__(
        self,
        statements: Sequence[Define],
        sizes: Mapping[str, int],
        fixed: Mapping[Tensor, Expr] = {},
        whole: Mapping[str, Array] = {},
    ) -> None:
        self.of = {s.target: s for s in statements}
        self.fixed = fixed
        self.sizes = sizes
        self.whole = dict(whole)
        self.known: dict[tuple[Tensor, Place], Expr] = {}
        self.nodes = 0

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """The shape of a tensor at the sizes of this case."""
        return tuple(value_of(n, self.sizes) for n in tensor.shape)

    def value(self, tensor: Tensor, at: Place) -> Expr:
        """What one entry of a tensor is."""
        if tensor.name in self.whole:
            return number(int(self.whole[tensor.name][at]))
        if tensor in self.fixed:
            return self.fixed[tensor]
        define = self.of.get(tensor)
        if define is None:
            return read(entry(tensor.name, at))
        if (tensor, at) not in self.known:
            self.known[tensor, at] = self.expr(
                define.body, dict(zip(define.indices, at, strict=True))
            )
        return self.known[tensor, at]

    # Expressions at a point

    def expr(self, node: Expr, point: Point) -> Expr:
        """An expression with its indices replaced by the numbers of a point."""
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise LimitError(
                "this case is too large to be written out",
                expected=f"at most {MOST_NODES} parts of expressions",
                hint="make the sizes smaller",
            )
        match node:
            case Number():
                return node
            case SizeOf(size):
                return number(value_of(size, self.sizes))
            case IndexOf(sub):
                return number(self.place(sub, point))
            case Access(tensor, subs):
                return self.value(tensor, tuple(self.place(sub, point) for sub in subs))
            case Apply(function, args):
                return Apply(function, tuple(self.expr(arg, point) for arg in args))
            case Add(terms):
                return total([self.expr(term, point) for term in terms])
            case Mul(factors):
                return self.product(factors, point)
            case Power(base, exponent):
                value = self.expr(base, point)
                return ZERO if value is ZERO and exponent > 0 else Power(value, exponent)
            case Reduce():
                return self.reduction(node, point)
            case Select(cond, then, other):
                chosen = self.cond(cond, point)
                if isinstance(chosen, bool):
                    return self.expr(then if chosen else other, point)
                return Select(chosen, self.expr(then, point), self.expr(other, point))
            case Guard():
                return self.product((node,), point)
            case Arg():
                raise DerivationError(
                    "where the greatest element is depends on numbers",
                    hint="Derivation.at shows it at given numbers",
                )
            case Opaque(operation, _, _):
                raise DerivationError(
                    f"{TABLE[operation].spelled} has no formula for its elements",
                    hint="Derivation.at shows it at given numbers",
                )

    def place(self, sub: Subscript, point: Point) -> int:
        """The number that a subscript is."""
        self.check_reads(sub)
        return place(sub, point, self.whole, self.sizes)

    def check_reads(self, of: Subscript | Cond) -> None:
        """Refuses places that depend on values."""
        for access in lookups(of) if isinstance(of, Subscript) else accesses(of):
            if access.tensor.name not in self.whole:
                raise DerivationError(
                    f"what is read depends on {access.tensor.name}, which depends on numbers",
                    hint="Derivation.at shows it at given numbers",
                )

    def product(self, factors: Sequence[Expr], point: Point) -> Expr:
        """A product; absent where a guard fails."""
        guards: list[Expr] = []
        for factor in factors:
            if isinstance(factor, Guard):
                cond = self.cond(factor.cond, point)
                if cond is False:
                    return ZERO
                if not isinstance(cond, bool):
                    guards.append(Guard(cond))
        found = [self.expr(f, point) for f in factors if not isinstance(f, Guard)]
        return times([*guards, *found])

    def reduction(self, node: Reduce, point: Point) -> Expr:
        """A sum, a product, a maximum or a minimum over all of its points."""
        extents = [value_of(index.extent, self.sizes) for index in node.indices]
        found = []
        for at in places(extents):
            inner = {**point, **dict(zip(node.indices, at, strict=True))}
            conds = [self.cond(cond, inner) for cond in node.domain]
            if False in conds:
                continue
            guards = [Guard(cond) for cond in conds if not isinstance(cond, bool)]
            if guards and node.op != "sum":
                raise DerivationError(f"a {node.op} over what values choose is not written out")
            found.append(times([*guards, self.expr(node.body, inner)]))
        if node.op in ABSENT:
            return total(found) if node.op == "sum" else times(found)
        if not found:
            return Number(ZERO.value, "-inf" if node.op == "max" else "inf")
        value = found[0]
        for other in found[1:]:
            value = Apply(BINARY[node.op], (value, other))
        return value

    # Conditions at a point

    def cond(self, node: Cond, point: Point) -> Cond | bool:
        """A condition: decided, or what is left of it."""
        match node:
            case And(conds) | Or(conds):
                return self.connected(node, [self.cond(c, point) for c in conds])
            case Not(inner):
                found = self.cond(inner, point)
                return not found if isinstance(found, bool) else Not(found)
            case Compare(op, left, right):
                one, two = self.expr(left, point), self.expr(right, point)
                compared = Compare(op, one, two)
                if isinstance(one, Number) and isinstance(two, Number):
                    return holds(compared)
                return compared
            case Truth(value):
                found_value = self.expr(value, point)
                if isinstance(found_value, Number):
                    return bool(found_value.value)
                return Truth(found_value)
            case Zero() | Inside() | Divides():
                self.check_reads(node)
                return holds(node, point, self.whole, self.sizes)

    def connected(self, node: And | Or, conds: Sequence[Cond | bool]) -> Cond | bool:
        decides = isinstance(node, Or)
        if any(c is decides for c in conds):
            return decides
        left = tuple(c for c in conds if not isinstance(c, bool))
        if not left:
            return not decides
        return left[0] if len(left) == 1 else type(node)(left)


def total(terms: Sequence[Expr]) -> Expr:
    """A sum without zeros."""
    left = [term for term in terms if term is not ZERO]
    if not left:
        return ZERO
    return left[0] if len(left) == 1 else Add(tuple(left))


def times(factors: Sequence[Expr]) -> Expr:
    """A product without ones and products in it, numbers first; 0 where a factor is."""
    if ZERO in factors:
        return ZERO
    parts = [p for f in factors for p in (f.factors if isinstance(f, Mul) else (f,))]
    left = [part for part in parts if part is not ONE]
    left.sort(key=lambda part: not isinstance(part, Number))
    if not left:
        return ONE
    return left[0] if len(left) == 1 else Mul(tuple(left))


def arrays(values: Mapping[str, Any]) -> dict[str, Array]:
    """Plain arrays by name."""
    return {name: Array.of(value) for name, value in values.items()}


def count(shape: Sequence[int]) -> int:
    """How many entries an array has."""
    return prod(shape)
