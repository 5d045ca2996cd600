"""How large whole numbers can get: bounds for arithmetic that has to fit into 64 bits."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from .expr import (
    Access,
    Add,
    Apply,
    Arg,
    Expr,
    Guard,
    IndexOf,
    Mul,
    Number,
    Opaque,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
)
from .intern import kept
from .sizes import Size
from .subscripts import Index, Lookup, Quotient, Remainder, Subscript, bounds
from .walk import Tree

INT64 = 2**63
"""Whole numbers of 64 bits are below this in magnitude."""

USUAL = 2**31
"""What named sizes and the elements of integer arrays are taken for while source is written."""

ENDLESS = 2**4096
"""Stands for every bound above it."""


FLOAT_BITS = 1000
"""Integers of so many bits are no larger than the largest float."""

CONSTANT = Number | SizeOf


class Magnitudes:
    """Bounds of whole numbers, with the sizes and the elements of integer arrays that are known.

    ``sizes`` are the values of named sizes, ``elements`` bounds for the elements of integer
    tensors; ``usual`` bounds those that are not given.
    """

    def __init__(
        self,
        sizes: Mapping[str, int] = {},
        elements: Mapping[Tensor, int] = {},
        usual: int = USUAL,
    ) -> None:
        self.sizes, self.elements, self.usual = sizes, elements, usual

    def of(self, node: Expr) -> int:
        """A bound for the product of all whole numbers in a product, in whatever order they are
        multiplied, and for every sum of whole numbers; at least 1. Floats count as 1, and so do
        literals and sizes that meet nothing else."""
        return min(max(1, self._of(node)), ENDLESS)

    def _of(self, node: Expr) -> int:
        match node:
            case Number(value, special):
                return abs(value.numerator) if not special and value.denominator == 1 else 1
            case SizeOf(form):
                return self.size(form)
            case IndexOf(sub):
                return self.subscript(sub)
            case Access(tensor, _):
                return self.elements.get(tensor, self.usual) if tensor.kind == "int" else 1
            case Guard() | Opaque():
                return 1
            case Add(parts):
                others = sum(self.of(part) for part in parts if self._counts(part))
                return others + sum(map(self.constant, parts)) if others else 1
            case Mul(parts):
                others = prod(self.of(part) for part in parts if not _is_constant(part))
                return (
                    others * prod(max(1, self.constant(part)) for part in parts)
                    if others > 1
                    else 1
                )
            case Apply("pow", (base, exponent)) if is_whole(node):
                natural = _is_natural(exponent)
                return _power(self.of(base), self.of(exponent)) if natural else ENDLESS
            case Apply(_, parts):
                return max(map(self.of, parts), default=1) if is_whole(node) else 1
            case Power(Number() | SizeOf() as constant, exponent):
                bits = self.of(constant).bit_length() * abs(exponent)
                return 1 if bits <= FLOAT_BITS else ENDLESS
            case Power(base, exponent):
                return _power(self.of(base), max(abs(exponent.numerator), 1))
            case Select(_, then, other):
                return max(self.of(then), self.of(other)) if is_whole(node) else 1
            case Arg(_, indices, _, _, _):
                return prod(self.size(index.extent) for index in indices)
            case Reduce(op, indices, _, body):
                count = prod(max(1, self.size(index.extent)) for index in indices)
                inner = self.of(body)
                if op == "prod":
                    return _power(inner, count)
                return inner * count if op == "sum" and is_whole(body) else inner

    def constant(self, part: Expr) -> int:
        """A bound for a constant where it meets whole numbers that are none; 0 for others."""
        match part:
            case Number() | SizeOf():
                return self.of(part)
            case Power(Number() | SizeOf() as base, exponent):
                return _power(self.of(base), max(abs(exponent.numerator), 1))
            case _:
                return 0

    def _counts(self, part: Expr) -> bool:
        """Whether a term is a whole number and no constant, or holds some in its factors."""
        if _is_constant(part) or isinstance(part, Guard):
            return False
        return is_whole(part) or self.of(part) > 1

    def size(self, form: Size) -> int:
        """A bound for a size."""
        total = 0
        for mono, n in form.terms:
            for atom in mono:
                if isinstance(atom, str):
                    n *= self.sizes.get(atom, self.usual)
                else:
                    n *= self.size(atom.numerator)
            total += abs(n)
        return total

    def subscript(self, sub: Subscript) -> int:
        """A bound for a subscript as a number."""
        total = self.size(sub.const)
        for atom, n in sub.terms:
            match atom:
                case Index(_, extent):
                    inner = self.size(extent)
                case Quotient(value, _):
                    inner = self.subscript(value)
                case Remainder(value, divisor):
                    inner = max(self.subscript(value), self.size(divisor))
                case Lookup(access):
                    inner = self.of(access)
            total += self.size(n) * inner
        return total


def _is_constant(part: Expr) -> bool:
    """Whether a value is a literal, a size or a power of one. They are Python's integers, which
    never wrap, and of one of these and a float Python makes a float."""
    return isinstance(part, CONSTANT) or (
        isinstance(part, Power) and isinstance(part.base, CONSTANT)
    )


def _power(base: int, exponent: int) -> int:
    if base <= 1 or exponent * base.bit_length() <= ENDLESS.bit_length():
        return base**exponent if base > 1 else 1
    return ENDLESS


def is_remainder(node: Tree) -> bool:
    """Whether a value is the remainder of whole numbers, of which no digit may be lost."""
    return isinstance(node, Apply) and node.function in ("mod", "fmod") and is_whole(node)


def is_arithmetic(node: Tree) -> bool:
    """Whether whole numbers become larger ones in a node, or fractions."""
    return isinstance(node, Add | Mul | Power | Reduce) or (
        isinstance(node, Apply) and node.function == "pow"
    )


def _is_natural(exponent: Expr) -> bool:
    """Whether a whole number is seen to be at least 0."""
    match exponent:
        case Number(value, _):
            return value >= 0
        case SizeOf(form):
            return form.at_least(0)
        case IndexOf(sub):
            known = bounds(sub)
            return known is not None and known[0].at_least(0)
        case Add(parts) | Mul(parts):
            return all(map(_is_natural, parts))
        case _:
            return False


def is_whole(node: Expr) -> bool:
    """Whether a value is a whole number that NumPy computes in integers."""
    match node:
        case Number(value, special):
            return not special and value.denominator == 1
        case SizeOf() | IndexOf() | Guard() | Arg():
            return True
        case Access(tensor, _):
            return tensor.kind != "float"
        case Add(parts) | Mul(parts):
            return all(map(is_whole, parts))
        case Power(base, exponent):
            return exponent.denominator == 1 and exponent >= 0 and is_whole(base)
        case Reduce(_, _, _, body):
            return is_whole(body)
        case Select(_, then, other):
            return is_whole(then) and is_whole(other)
        case Apply(_, parts):
            return all(map(is_whole, parts))
        case Opaque():
            return False


@kept
def is_beyond(node: Expr) -> bool:
    """Whether whole numbers in a value may be beyond 64 bits at usual sizes and elements."""
    return Magnitudes().of(node) >= INT64
