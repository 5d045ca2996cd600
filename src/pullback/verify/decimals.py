"""The interpreter's arithmetic in 50-digit decimals: real numbers, for all practical purposes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

from ..errors import CheckError
from ..ir.arithmetic import COMPARISONS, SINC_ORDERS, WHOLE, Value

DIGITS = 50


class Decimals:
    """Numbers of ``digits`` digits; what is outside a function's domain is NaN.

    >>> from fractions import Fraction
    >>> print(DECIMALS.power(DECIMALS.element(2), Fraction(1, 2)))
    1.4142135623730950488016887242096980785696718753769
    """

    def __init__(self, digits: int = DIGITS) -> None:
        self.digits = digits

    @cached_property
    def context(self) -> Any:
        """A context of its own: nobody's global precision is changed."""
        from mpmath.ctx_mp import MPContext  # what is checked modulo a prime doesn't need it

        made = MPContext()
        made.dps = self.digits
        return made

    @cached_property
    def values(self) -> dict[str, Callable[..., Any]]:
        """The scalar functions."""
        return _functions(self.context)

    @cached_property
    def nan(self) -> Value:
        return self.context.nan

    @cached_property
    def inf(self) -> Value:
        return self.context.inf

    def element(self, value: Any) -> Value:
        if isinstance(value, Fraction):
            return self.context.mpf(value.numerator) / value.denominator
        return self.context.mpf(value)

    def number(self, value: Fraction, special: str) -> Value:
        if special:
            return self.context.mpf(special)
        return value.numerator if value.denominator == 1 else self.element(value)

    def add(self, left: Value, right: Value) -> Value:
        return left + right

    def mul(self, left: Value, right: Value) -> Value:
        return left * right

    def power(self, base: Value, exponent: Fraction) -> Value:
        if isinstance(base, int) and exponent.denominator == 1 and 0 <= exponent <= WHOLE:
            return base**exponent.numerator
        x = self.context.mpf(base)
        if exponent.denominator == 1:
            return self._whole_power(x, exponent.numerator)
        if x < 0 or x != x:
            return self.nan
        if x == 0:
            return self.inf if exponent < 0 else x
        if exponent.denominator == 2:
            return self._whole_power(self.context.sqrt(x), exponent.numerator)
        return self.context.power(x, self.element(exponent))

    def _whole_power(self, x: Value, n: int) -> Value:
        if x == 0 and n < 0:
            return self.inf
        return x**n

    def apply(self, function: str, args: Sequence[Value]) -> Value:
        try:
            found = self.values[function](*map(self.context.mpf, args))
        except (ZeroDivisionError, ValueError, self.context.NoConvergence):
            return self.nan
        return found if isinstance(found, self.context.mpf) else self.nan

    def compare(self, op: str, left: Value, right: Value) -> bool:
        return COMPARISONS[op](left, right)

    def whole(self, value: Value) -> int:
        if isinstance(value, self.context.mpf) and not self.context.isfinite(value):
            raise CheckError("a value that is not a number is cast to an integer", found=str(value))
        return int(value)


def _functions(mp: Any) -> dict[str, Callable[..., Any]]:
    """The scalar functions' values, from mpmath and their definitions alone."""
    from ..ir.special import special_values

    two, ten = mp.mpf(2), mp.mpf(10)

    def log(x: Any) -> Any:
        return mp.ninf if x == 0 else mp.log(x)

    def sign(x: Any) -> Any:
        return mp.mpf((x > 0) - (x < 0)) if x == x else x

    def trunc(x: Any) -> Any:
        return mp.floor(x) if x >= 0 else mp.ceil(x)

    def sinc(order: int) -> Callable[..., Any]:
        def value(x: Any) -> Any:
            """The integral of u^n cos(ut + n pi/2) from 0 to 1, which is the n-th derivative of
            sin(t)/t, by its series or, far from 0, by integrating by parts."""
            if not mp.isfinite(x):
                return mp.nan
            near = abs(x) < order + 1
            with mp.workdps(mp.dps + (4 * order + 10 if near else 10)):
                t = mp.pi * x
                if near:
                    powers = range(order % 2, 400, 2)
                    total = mp.fsum(
                        (-1) ** ((order + p) // 2) * t**p / ((order + p + 1) * mp.factorial(p))
                        for p in powers
                    )
                else:
                    waves = mp.sin(t), mp.cos(t), -mp.sin(t), -mp.cos(t)
                    total = waves[0] / t
                    for k in range(1, order + 1):
                        total = (waves[k % 4] - k * total) / t
                return total * mp.pi**order

        return value

    def larger(x: Any, y: Any) -> Any:
        return x if x != x or x >= y else y

    def smaller(x: Any, y: Any) -> Any:
        return x if x != x or x <= y else y

    def softplus(x: Any) -> Any:
        return larger(x, mp.zero) + mp.log1p(mp.exp(-abs(x)))

    return {
        "exp": mp.exp,
        "exp2": lambda x: two**x,
        "expm1": mp.expm1,
        "log": log,
        "log2": lambda x: log(x) / mp.log(two),
        "log10": lambda x: log(x) / mp.log(ten),
        "log1p": lambda x: log(1 + x) if x == -1 else mp.log1p(x),
        "sin": mp.sin,
        "cos": mp.cos,
        "tan": mp.tan,
        "arcsin": mp.asin,
        "arccos": mp.acos,
        "arctan": mp.atan,
        "sinh": mp.sinh,
        "cosh": mp.cosh,
        "tanh": mp.tanh,
        "arcsinh": mp.asinh,
        "arccosh": mp.acosh,
        "arctanh": mp.atanh,
        "cbrt": lambda x: sign(x) * mp.cbrt(abs(x)),
        "abs": abs,
        "deg2rad": lambda x: x * mp.pi / 180,
        "rad2deg": lambda x: x * 180 / mp.pi,
        "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
        "softplus": softplus,
        "erf": mp.erf,
        "xlogy": lambda x, y: mp.zero if x == 0 and y == y else x * log(y),
        "pow": lambda x, y: mp.inf if x == 0 and y < 0 else x**y,
        "arctan2": lambda y, x: mp.atan2(y, x),
        "hypot": lambda x, y: mp.sqrt(x * x + y * y),
        "logaddexp": lambda x, y: larger(x, y) + mp.log1p(mp.exp(-abs(x - y))),
        "maximum": larger,
        "minimum": smaller,
        "clip": lambda x, low, high: smaller(larger(x, low), high),
        "mod": lambda x, y: x - y * mp.floor(x / y),
        "fmod": lambda x, y: x - y * trunc(x / y),
        "copysign": lambda x, y: abs(x) if y >= 0 else -abs(x),
        "sign": sign,
        "floor": mp.floor,
        "ceil": mp.ceil,
        "trunc": trunc,
        "rint": mp.nint,
        "floor_divide": lambda x, y: mp.floor(x / y),
        "heaviside": lambda x, at_zero: at_zero if x == 0 else mp.mpf(x > 0),
        "sinc": sinc(0),
        **{f"sinc{order}": sinc(order) for order in range(1, SINC_ORDERS + 1)},
        **special_values(mp),
    }


DECIMALS = Decimals()
MORE_DECIMALS = Decimals(2 * DIGITS)
