"""Random functions of a number: as index notation, and as the same in mpmath."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import mpmath

Value = Callable[[Any, Any], Any]


def _real(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that is not a number where mpmath's is complex."""
    return lambda v: function(v) if v > 0 else mpmath.nan


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sin": mpmath.sin, "cos": mpmath.cos, "exp": mpmath.exp, "log": _real(mpmath.log),
    "tanh": mpmath.tanh, "arctan": mpmath.atan, "sqrt": _real(mpmath.sqrt), "abs": abs,
    "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)), "cosh": mpmath.cosh,
    "relu": lambda v: v if v > 0 else 0 * v,
}  # fmt: skip


@dataclass(frozen=True)
class Function:
    """Text in x and a, and what it is at numbers for both."""

    text: str
    value: Value


def function(rng: Random, depth: int = 3) -> Function:
    """A random function of x; a is a constant in it."""
    if depth == 0 or rng.random() < 0.1:
        return rng.choice([VARIABLE, VARIABLE, CONSTANT, _number(rng)])
    kind = rng.choice(["sum", "minus", "product", "quotient", "power", *["function"] * 4, "cases"])
    one, two = function(rng, depth - 1), function(rng, depth - 1)
    f, g = one.value, two.value
    match kind:
        case "sum":
            return Function(f"({one.text} + {two.text})", lambda x, a: f(x, a) + g(x, a))
        case "minus":
            return Function(f"({one.text} - {two.text})", lambda x, a: f(x, a) - g(x, a))
        case "product":
            return Function(f"{one.text}*{two.text}", lambda x, a: f(x, a) * g(x, a))
        case "quotient":
            return Function(f"{one.text}/({two.text})", lambda x, a: f(x, a) / g(x, a))
        case "power":
            n = rng.choice([2, 3, -1, -2])
            return Function(f"({one.text})**({n})", lambda x, a: f(x, a) ** n)
        case "cases":
            text = f"where(x[] < 0.5, {one.text}, {two.text})"
            return Function(text, lambda x, a: f(x, a) if x < 0.5 else g(x, a))
        case _:
            name = rng.choice([*FUNCTIONS])
            return Function(f"{name}({one.text})", lambda x, a: FUNCTIONS[name](f(x, a)))


VARIABLE = Function("x[]", lambda x, a: x)
CONSTANT = Function("a[]", lambda x, a: a)


def _number(rng: Random) -> Function:
    value = rng.choice([2, 3, -1, 0.5])
    return Function(f"({value})", lambda x, a: mpmath.mpf(value))


def slope(found: Function, x: float, a: float) -> Any:
    """The derivative by x in 40 digits, by differences; None where there is none."""
    with mpmath.workdps(40):
        h = mpmath.mpf(10) ** -12
        try:
            left, here, right = (mpmath.mpf(found.value(x + t, mpmath.mpf(a))) for t in (-h, 0, h))
        except (ZeroDivisionError, TypeError, ValueError, OverflowError):  # not a real number
            return None
        sides = (here - left) / h, (right - here) / h
        if not mpmath.isfinite(sides[0] - sides[1]) or abs(sides[0] - sides[1]) > 1e-6:
            return None
        return (sides[0] + sides[1]) / 2
