"""What is known of the integers that lookups give: reads that the forward pass makes, and args."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...functions import TABLE
from ...ir.expr import (
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
    Tensor,
)
from ...ir.program import Define
from ...ir.sizes import Size
from ...ir.subscripts import Index, Lookup, Subscript, at, constant, inside
from ...ir.walk import accesses, tensors

# Functions that are finite for finite arguments, and not easily so large that they overflow.
FINITE = frozenset(
    "sin cos tanh arctan arcsinh sigmoid softplus erf abs sign maximum minimum clip floor ceil trunc rint "
    "hypot heaviside logaddexp cbrt deg2rad rad2deg copysign".split()
)


@dataclass
class Facts:
    """``read`` holds the integer tensors that index an axis of that extent somewhere, so that their values are
    inside it; ``below`` an upper bound of the values of args."""

    read: set[tuple[Tensor, Size]] = field(default_factory=set)
    wild: set[Tensor] = field(default_factory=set)  # may be infinite for finite inputs
    above: set[Tensor] = field(default_factory=set)  # greater than 0 everywhere
    below: dict[Tensor, Size] = field(default_factory=dict)

    def learn(self, statements: Iterable[Define]) -> None:
        """Takes in what statements imply."""
        for define in statements:
            if not self.finite(define.body, named=True):
                self.wild.add(define.target)
            if self.positive(define.body):
                self.above.add(define.target)
            if isinstance(define.body, Arg):
                index = define.body.indices[define.body.which]
                self.below[define.target] = index.extent
            for access in accesses(define.body):
                for sub, extent in zip(access.subs, access.tensor.shape, strict=True):
                    if isinstance(sub.atom, Lookup):
                        self.read.add((sub.atom.access.tensor, extent))

    def inside(self, sub: Subscript, extent: Size) -> bool:
        """Whether ``0 <= sub < extent`` is known."""
        if isinstance(sub.atom, Lookup) and (sub.atom.access.tensor, extent) in self.read:
            return True
        return inside(self.bounded(sub), extent, ())

    def bounded(self, sub: Subscript) -> Subscript:
        """The subscript with args as indices of their range, for proofs about bounds."""
        total = constant(sub.const)
        for n, (atom, factor) in enumerate(sub.terms):
            if isinstance(atom, Lookup) and atom.access.tensor in self.below:
                atom = Index(f"lookup {n}", self.below[atom.access.tensor])
            total = total + at(atom) * factor
        return total

    def tame(self, factors: Iterable[Expr], conds: Iterable[Cond]) -> bool:
        """Whether a product is finite also where conditions are false, for finite inputs.

        A tensor that a condition reads may be guarded by it, so it doesn't count.
        """
        guarded = {t for cond in conds for t in tensors(cond)}
        return all(self.finite(f) and not guarded & set(tensors(f)) for f in factors)

    def finite(self, expr: Expr, named: bool = False) -> bool:
        """Whether an expression is finite for finite inputs, as far as that is seen (overflow of products
        and sums apart). A sum that has a name counts as finite: with an infinite term, little of what
        follows is."""
        match expr:
            case Number(_, special):
                return not special
            case SizeOf() | IndexOf() | Guard() | Arg():
                return True
            case Access(tensor, _):
                return tensor not in self.wild
            case Add(parts) | Mul(parts):
                return all(self.finite(part, named) for part in parts)
            case Power(base, exponent):
                whole = exponent.denominator == 1 and exponent >= 0
                return self.finite(base) and (whole or self.positive(base))
            case Apply(function, args):
                return function in FINITE and all(map(self.finite, args))
            case Reduce(op, _, _, body):
                return (named and op == "sum") or (op != "prod" and self.finite(body))
            case Select(_, then, other):
                return self.finite(then) and self.finite(other)

    def positive(self, expr: Expr) -> bool:
        """Whether an expression is seen to be greater than 0."""
        match expr:
            case Number(value, special):
                return value > 0 and not special
            case SizeOf(value):
                return value.at_least(1)
            case Access(tensor, _):
                return tensor in self.above
            case Add(terms):
                return all(map(self.nonnegative, terms)) and any(map(self.positive, terms))
            case Mul(factors):
                return all(map(self.positive, factors))
            case Power(base, _):
                return self.positive(base)
            case Apply(function, _):
                return TABLE[function].positive if function in TABLE else False
            case Reduce("sum", _, (), body):
                return self.positive(body)
            case _:
                return False

    def nonnegative(self, expr: Expr) -> bool:
        """Whether an expression is seen to be at least 0."""
        match expr:
            case Number(value, special):
                return value >= 0 and not special
            case SizeOf() | Guard():
                return True
            case Mul(factors):
                return all(map(self.nonnegative, factors))
            case Add(terms):
                return all(map(self.nonnegative, terms))
            case Power(base, exponent):
                return exponent % 2 == 0 or self.nonnegative(base)
            case Apply(function, _):
                return function in TABLE and TABLE[function].low >= 0
            case Reduce(op, _, _, body) if op != "prod":
                return self.nonnegative(body)
            case _:
                return self.positive(expr)
