"""The arithmetics that the interpreter can work in: Python floats, and exactly modulo a prime.

Whole numbers (elements of int and bool tensors, subscripts and sizes as values) are Python ints in
every arithmetic, so that they can always be compared and used as subscripts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Protocol

from ..errors import CheckError

Value = Any


class Abstain(Exception):
    """An arithmetic can't decide this (an order of residues, a root that isn't unique).

    ``tensor`` names the one whose value it is for, where several are computed at once.
    """

    tensor = ""


class Resample(Exception):
    """Undefined at just this point (a root of a non-residue, a division by zero): try another."""


class Arithmetic(Protocol):
    """What the interpreter needs to know about values."""

    def element(self, value: Any) -> Value:
        """An element of a float tensor, from a number given from outside."""

    def number(self, value: Fraction, special: str) -> Value:
        """A literal; ``special`` is "", "inf", "-inf" or "nan"."""

    def add(self, left: Value, right: Value) -> Value:
        """left + right."""

    def mul(self, left: Value, right: Value) -> Value:
        """left · right."""

    def power(self, base: Value, exponent: Fraction) -> Value:
        """A real power with a literal exponent."""

    def apply(self, function: str, args: Sequence[Value]) -> Value:
        """A scalar function of the table."""

    def compare(self, op: str, left: Value, right: Value) -> bool:
        """``op`` is one of < <= == !=."""

    def whole(self, value: Value) -> int:
        """The integer that a value is cast to (towards zero)."""


INF, NAN = math.inf, math.nan
WHOLE = 64  # integer powers up to this exponent are taken in integers


class Float:
    """Python floats with NumPy's answers at the edges: infinities and NaN, never an exception."""

    def element(self, value: Any) -> Value:
        return float(value)

    def number(self, value: Fraction, special: str) -> Value:
        if special:
            return float(special)
        if value.denominator == 1 and abs(value.numerator) < 2**64:
            return value.numerator
        try:
            return float(value)
        except OverflowError:
            return INF if value > 0 else -INF

    def add(self, left: Value, right: Value) -> Value:
        return left + right

    def mul(self, left: Value, right: Value) -> Value:
        return left * right

    def power(self, base: Value, exponent: Fraction) -> Value:
        if isinstance(base, int) and exponent.denominator == 1 and 0 <= exponent <= WHOLE:
            return base**exponent.numerator
        if exponent == Fraction(1, 2):
            return _root(float(base))
        return _pow(float(base), exponent if exponent.denominator > 1 else exponent.numerator)

    def apply(self, function: str, args: Sequence[Value]) -> Value:
        return FLOAT_VALUES[function](*args)

    def compare(self, op: str, left: Value, right: Value) -> bool:
        return COMPARISONS[op](left, right)

    def whole(self, value: Value) -> int:
        if isinstance(value, float) and not math.isfinite(value):
            raise CheckError("a value that is not a number is cast to an integer", found=str(value))
        return int(value)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
}


def _root(x: float) -> float:
    return math.sqrt(x) if x >= 0 else NAN


def _pow(x: float, exponent: float | Fraction) -> float:
    """C's pow, with the fraction's own parity where it is a whole number."""
    n = float(exponent)
    try:
        return math.pow(x, n)
    except OverflowError:
        return -INF if x < 0 and n == int(n) and int(n) % 2 else INF
    except ValueError:
        if x == 0:  # a negative power of zero
            odd = n == int(n) and int(n) % 2 == 1
            return math.copysign(INF, x) if odd else INF
        return NAN


def _safe(
    f: Callable[[float], float],
    poles: dict[float, float] | None = None,
    overflow: Callable[[float], float] = lambda x: INF,
) -> Callable[[Any], float]:
    """``f`` with its poles' values, NaN outside its domain, its limit where it overflows."""

    def value(x: Any) -> float:
        x = float(x)
        if poles and x in poles:
            return poles[x]
        try:
            return f(x)
        except ValueError:
            return NAN
        except OverflowError:
            return overflow(x)

    return value


def _rounded(f: Callable[[float], int]) -> Callable[[Any], Any]:
    def value(x: Any) -> Any:
        if isinstance(x, int) or not math.isfinite(x):
            return x
        return math.copysign(float(f(x)), x)

    return value


def _sigmoid(value: Any) -> float:
    x = float(value)
    small = math.exp(-abs(x))
    return 1 / (1 + small) if x >= 0 else small / (1 + small) if x == x else NAN


def _softplus(value: Any) -> float:
    x = float(value)
    return x if x != x else max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _log_of(f: Callable[[float], float]) -> Callable[[Any], float]:
    return _safe(f, {0.0: -INF})


_LOG = _log_of(math.log)


def _xlogy(x: Any, y: Any) -> float:
    if x == 0 and y == y:
        return 0.0
    return float(x) * _LOG(y)


def _power(x: Any, y: Any) -> Any:
    if isinstance(x, int) and isinstance(y, int) and 0 <= y <= WHOLE:
        return x**y
    return _pow(float(x), float(y))


def _logaddexp(x: Any, y: Any) -> float:
    left, right = float(x), float(y)
    if left != left or right != right:
        return NAN
    if left == right:
        return left + math.log(2)
    return max(left, right) + math.log1p(math.exp(-abs(left - right)))


def _larger(x: Any, y: Any) -> Any:
    return x if x != x or x >= y else y


def _smaller(x: Any, y: Any) -> Any:
    return x if x != x or x <= y else y


def _over(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Division with NumPy's results for a zero divisor: NaN, for integers 0."""

    def value(x: Any, y: Any) -> Any:
        try:
            return f(x, y)
        except (ZeroDivisionError, ValueError):
            return 0 if isinstance(x, int) and isinstance(y, int) else NAN

    return value


def _fmod(x: Any, y: Any) -> Any:
    if isinstance(x, int) and isinstance(y, int):
        return x - y * (abs(x) // abs(y)) * (1 if (x < 0) == (y < 0) else -1)
    return math.fmod(x, y)


def _floor_divide(x: Any, y: Any) -> Any:
    if y == 0 and not (isinstance(x, int) and isinstance(y, int)):
        return NAN if x == 0 or x != x else math.copysign(INF, x) * math.copysign(1.0, y)
    return x // y


def _sign(x: Any) -> Any:
    return x if x != x else type(x)((x > 0) - (x < 0))


def _heaviside(x: Any, at_zero: Any) -> float:
    return float(x) if x != x else 0.0 if x < 0 else 1.0 if x > 0 else float(at_zero)


SINC_ORDERS = 8  # the highest derivative of sinc that is a function of its own


def sinc_series(order: int) -> tuple[float, list[float]]:
    """Below which |t| the derivative of this order of sin(t)/t is taken from its series, and the
    coefficients of that: of t^0, t^2, ..., for an odd order of t^1, t^3, ...

    >>> sinc_series(0)[1][:2]
    [1.0, -0.16666666666666666]
    """
    limit = 1.0 + order / 2
    found: list[float] = []
    for half in range((order + 1) // 2, 2 * order + 40):
        power = 2 * half - order
        size = 1.0 / ((2 * half + 1) * math.factorial(power))
        found.append(-size if half % 2 else size)
        if size * limit**power < 1e-17:
            break
    return limit, found


def _sinc(order: int) -> Callable[[float], float]:
    limit, series = sinc_series(order)
    waves = math.sin, math.cos, lambda t: -math.sin(t), lambda t: -math.cos(t)

    def value(x: float) -> float:
        t = math.pi * x
        if abs(t) < limit:
            total = 0.0
            for coefficient in reversed(series):
                total = total * t * t + coefficient
            return total * t ** (order % 2) * math.pi**order
        total = math.sin(t) / t
        for k in range(1, order + 1):  # t s(t) = sin(t), differentiated k times
            total = (waves[k % 4](t) - k * total) / t
        return total * math.pi**order

    return value


class _Values(dict[str, Callable[..., Any]]):
    """Values of functions by name; those of special functions when they are first asked for."""

    def __missing__(self, name: str) -> Callable[..., Any]:
        from .special import special_value

        self[name] = found = special_value(name)
        return found


# The interpreter is an oracle for the table of functions: Python's math alone, and mpmath for
# special functions, give these values.
FLOAT_VALUES: dict[str, Callable[..., Any]] = _Values(
    {
        "exp": _safe(math.exp),
        "exp2": _safe(lambda x: math.pow(2.0, x)),
        "expm1": _safe(math.expm1),
        "log": _LOG,
        "log2": _log_of(math.log2),
        "log10": _log_of(math.log10),
        "log1p": _safe(math.log1p, {-1.0: -INF}),
        "sin": _safe(math.sin),
        "cos": _safe(math.cos),
        "tan": _safe(math.tan),
        "arcsin": _safe(math.asin),
        "arccos": _safe(math.acos),
        "arctan": _safe(math.atan),
        "sinh": _safe(math.sinh, overflow=lambda x: math.copysign(INF, x)),
        "cosh": _safe(math.cosh),
        "tanh": _safe(math.tanh),
        "arcsinh": _safe(math.asinh),
        "arccosh": _safe(math.acosh),
        "arctanh": _safe(math.atanh, {1.0: INF, -1.0: -INF}),
        "cbrt": _safe(math.cbrt),
        "abs": abs,
        "deg2rad": _safe(math.radians),
        "rad2deg": _safe(math.degrees),
        "sigmoid": _sigmoid,
        "softplus": _softplus,
        "erf": _safe(math.erf),
        "xlogy": _xlogy,
        "pow": _power,
        "arctan2": lambda y, x: math.atan2(y, x),
        "hypot": lambda x, y: math.hypot(x, y),
        "logaddexp": _logaddexp,
        "maximum": _larger,
        "minimum": _smaller,
        "clip": lambda x, low, high: _smaller(_larger(x, low), high),
        "mod": _over(lambda x, y: x % y),
        "fmod": _over(_fmod),
        "copysign": lambda x, y: math.copysign(x, y),
        "sign": _sign,
        "floor": _rounded(math.floor),
        "ceil": _rounded(math.ceil),
        "trunc": _rounded(math.trunc),
        "rint": _rounded(round),
        "floor_divide": _over(_floor_divide),
        "heaviside": _heaviside,
        "sinc": _safe(_sinc(0)),
        **{f"sinc{order}": _safe(_sinc(order)) for order in range(1, SINC_ORDERS + 1)},
    }
)

PRIME = 2**61 - 1


class Residue(int):
    """A residue modulo :data:`PRIME`; whole numbers stay plain ints."""

    __slots__ = ()


class Modular:
    """Exact arithmetic modulo 2⁶¹ − 1.

    Roots are the ones that are residues themselves; where there is none the point is to be drawn
    again. Scalar functions are pseudo-random functions of their arguments. An order of residues is
    not known: :class:`Abstain`.
    """

    def element(self, value: Any) -> Value:
        value = Fraction(value)
        return _residue(value.numerator, value.denominator)

    def number(self, value: Fraction, special: str) -> Value:
        if special:
            raise Abstain(f"{special} is not a residue")
        return value.numerator if value.denominator == 1 else self.element(value)

    def add(self, left: Value, right: Value) -> Value:
        if type(left) is int and type(right) is int:
            return left + right
        return Residue((left + right) % PRIME)

    def mul(self, left: Value, right: Value) -> Value:
        if type(left) is int and type(right) is int:
            return left * right
        return Residue((left * right) % PRIME)

    def power(self, base: Value, exponent: Fraction) -> Value:
        if type(base) is int and exponent.denominator == 1 and 0 <= exponent <= WHOLE:
            return base**exponent.numerator
        root, rest = int(base) % PRIME, exponent.denominator
        while rest % 2 == 0:
            if root and pow(root, (PRIME - 1) // 2, PRIME) != 1:
                raise Resample("a root of a non-residue")
            root, rest = pow(root, (PRIME + 1) // 4, PRIME), rest // 2
        if math.gcd(rest, PRIME - 1) != 1:
            raise Abstain(f"a root of degree {rest} is not unique modulo the prime")
        if not root and exponent < 0:
            raise Resample("a division by zero")
        n = exponent.numerator * pow(rest, -1, PRIME - 1)
        return Residue(pow(root, n % (PRIME - 1), PRIME) if root else int(exponent == 0))

    def apply(self, function: str, args: Sequence[Value]) -> Value:
        canonical = [int(a) % PRIME for a in args]
        if function in SYMMETRIC:
            canonical.sort()
        return _scrambled(function, tuple(canonical))

    def compare(self, op: str, left: Value, right: Value) -> bool:
        if type(left) is int and type(right) is int:
            return COMPARISONS[op](left, right)
        if op in ("==", "!="):
            return COMPARISONS[op](int(left) % PRIME, int(right) % PRIME)
        raise Abstain(f"the order of residues ({op}) is not known")

    def whole(self, value: Value) -> int:
        if type(value) is int or type(value) is bool:
            return int(value)
        raise Abstain("a residue is no integer")


SYMMETRIC = frozenset(("maximum", "minimum", "hypot", "logaddexp", "beta", "betaln"))


def _residue(numerator: int, denominator: int) -> Residue:
    if denominator % PRIME == 0:
        raise Resample("a division by zero")
    return Residue(numerator * pow(denominator, -1, PRIME) % PRIME)


@lru_cache(maxsize=100_000)
def _scrambled(function: str, args: tuple[int, ...]) -> Residue:
    digest = blake2b(f"{function}{args}".encode(), digest_size=16).digest()
    return Residue(int.from_bytes(digest, "big") % PRIME)


FLOAT = Float()
MODULAR = Modular()
