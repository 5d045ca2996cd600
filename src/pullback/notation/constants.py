"""Constants that literals spell, kept small while they are worked out."""

from __future__ import annotations

from fractions import Fraction

from ..ir.expr import Add, Expr, Mul, Number, Power, number
from .limits import MAX_EXPONENT
from .tree import Chain, Group, Neg, Num, Pow, Sum, Syntax

MOST_BITS = 1_000
HUGE = Fraction(10) ** 400
"""Stands for every constant that is too large to be worked out: no exponent may be that large."""


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _kept(value: Fraction) -> Fraction:
    return value if _bits(value) <= MOST_BITS else HUGE


def negated(value: Number) -> Number:
    """-value, a literal again."""
    if value.special:
        return number(float({"inf": "-inf", "-inf": "inf"}.get(value.special, "nan")))
    return number(-value.value)


def rational(node: Syntax) -> Fraction | None:
    """The value of a constant expression of literals."""
    match node:
        case Num(value=value):
            return value.value
        case Group(inner=inner):
            return rational(inner)
        case Neg(value=inner):
            found = rational(inner)
            return None if found is None else -found
        case Sum(parts=pairs):
            total = Fraction(0)
            for sign, part in pairs:
                found = rational(part)
                if found is None:
                    return None
                total = _kept(total + (found if sign == "+" else -found))
            return total
        case Chain(parts=pairs):
            out = Fraction(1)
            for op, part in pairs:
                found = rational(part)
                if found is None or op not in ("*", "/") or (op == "/" and not found):
                    return None
                out = _kept(out * found if op == "*" else out / found)
            return out
        case Pow(base=base, exponent=exponent):
            low, high = rational(base), rational(exponent)
            if low is None or high is None or high.denominator != 1 or not low:
                return None
            return low ** int(high) if _bits(low) * abs(high) < MOST_BITS else HUGE
        case _:
            return None


def is_decimal(value: Fraction) -> bool:
    """Whether a number is a decimal of few digits, such as 0.1234."""
    return abs(value) <= MAX_EXPONENT and 10**20 % value.denominator == 0


def bits_of(node: Expr) -> int | Fraction | None:
    """How many bits a constant has at most; None for what is no constant."""
    match node:
        case Number(value, _):
            return _bits(value)
        case Power(base, exponent):
            inner = bits_of(base)
            return None if inner is None else inner * abs(exponent)
        case Mul(parts) | Add(parts):
            found = [bits_of(part) for part in parts]
            known = [bits for bits in found if bits is not None]
            return sum(known) + 1 if len(known) == len(found) else None
        case _:
            return None
