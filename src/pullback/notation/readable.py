"""Formulas for people: constants as one writes them, and nothing that is only there because a
program says so.

What is shown equals what it stands for to the precision of a float. ``1/sqrt(pi)`` is worked with
as 48 digits; ``1*y`` and ``x - 0`` are what the text of a program may say.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from math import isqrt
from typing import overload

from ..ir.expr import (
    ONE,
    ZERO,
    Add,
    Cond,
    Expr,
    Guard,
    Inside,
    Mul,
    Number,
    Power,
    add,
    mul,
    number,
)
from ..ir.program import Define
from ..ir.sizes import Size
from ..ir.subscripts import Subscript, constant, within
from ..ir.walk import Tree, bottom_up
from .bounds import one_sided
from .names import CONSTANTS
from .spell import FLOAT_DIGITS, show_magnitude, sides

PI = CONSTANTS["pi"]
DIGITS = 44  # in which a constant has to agree
LONGEST_FRACTION = 9  # of a fraction and its bar
LARGEST = 10**18  # numerator and denominator of what multiplies a root of pi


@overload
def readable(what: Define) -> Define: ...
@overload
def readable(what: Expr) -> Expr: ...
@overload
def readable(what: Define | Tree) -> Define | Tree: ...
def readable(what: Define | Tree) -> Define | Tree:
    """The same for people.

    >>> from ..ir.expr import mul, number
    >>> from .plain import show
    >>> print(show(mul(number("1.1283791670955125738961589031215451716881012586580"), number(3))))
    2/sqrt(pi)*3
    """
    if isinstance(what, Define):
        return replace(what, body=bottom_up(what.body, _plain))  # type: ignore[arg-type]
    return bottom_up(what, _plain)


def _plain(node: Tree) -> Tree:
    match node:
        case Number():
            return _constant(node)
        case Mul(factors) if len(factors) > 1:
            return _product([part for factor in factors for part in _constants(factor)])
        case Add(terms) if len(terms) > 1:
            left = [term for term in terms if not _is_zero(term)]
            return add(*left) if left else ZERO
        case Inside(sub, extent):
            return _open(sub, extent) or node
        case _:
            return node


def _open(sub: Subscript, extent: Size) -> Cond | None:
    """``[0 <= t - 1 < T]`` as ``[1 <= t]``: a range without the side that always holds."""
    above, below = within(sub, extent)
    if above == below:
        return None
    least, most = sides(sub)
    if most.terms:
        least, most = least - most.const, most - most.const
    return one_sided(sub, constant(extent)) if above else one_sided(most, least + 1)


def _constants(factor: Expr) -> tuple[Expr, ...]:
    """The factors of what one constant became."""
    spread = isinstance(factor, Mul) and all(map(_is_constant, factor.factors))
    return factor.factors if spread and isinstance(factor, Mul) else (factor,)


def _is_constant(factor: Expr) -> bool:
    return isinstance(factor.base if isinstance(factor, Power) else factor, Number)


def _is_zero(term: Expr) -> bool:
    """Whether a term is 0, or 0 wherever it is there."""
    return term is ZERO or (
        isinstance(term, Mul)
        and ZERO in term.factors
        and all(isinstance(f, Number | Guard) for f in term.factors)
    )


def _product(factors: list[Expr]) -> Expr:
    """A product without ones, its sign in front."""
    left = [factor for factor in factors if factor is not ONE]
    return mul(*left) if left else ONE


@lru_cache(maxsize=1000)
def _constant(node: Number) -> Expr:
    """A number as one writes it: a short one as it is, a root of pi by name, the reciprocal of a
    literal as such; any other to the digits that a float has."""
    value = abs(node.value)
    if node.special or value.denominator == 1 or node is PI:
        return node
    sign = () if node.value > 0 else (number(-1),)
    found = _short(value) or _root_of_pi(value)
    if found is None:
        return number(Fraction(repr(float(node.value))))
    if found == (number(value),):
        return node
    return mul(*sign, *found)


def _short(value: Fraction) -> tuple[Expr, ...] | None:
    """A short number, or 1 over one."""
    if _is_short(value):
        return (number(value),)
    return (Power(number(1 / value), Fraction(-1)),) if _is_short(1 / value) else None


def _is_short(value: Fraction) -> bool:
    text = show_magnitude(value)
    return len(text) <= (LONGEST_FRACTION if "/" in text else FLOAT_DIGITS)


def _root_of_pi(value: Fraction) -> tuple[Expr, ...] | None:
    for half in (-1, 1, -2, 2):
        root = PI.value if half % 2 == 0 else _root()
        ratio = value / root if half > 0 else value * root
        near = ratio.limit_denominator(LARGEST)
        if near and abs(ratio - near) * 10**DIGITS < ratio and (part := _short(near)):
            power = PI if half == 2 else Power(PI, Fraction(half, 2))
            return (power,) if part == (ONE,) else (*part, power)
    return None


def _root() -> Fraction:
    """The root of pi to 60 digits."""
    scale = 10**60
    return Fraction(isqrt(int(PI.value * scale * scale)), scale)
