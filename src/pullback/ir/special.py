"""Special functions at real numbers of mpmath: to any number of digits, and as Python floats.

At poles, beyond a function's domain and at infinities the values are SciPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from ..later import mpmath

DIGITS = 30  # of which a float takes the first 17
FAR = 1e6  # beyond, the first terms of a series in 1/x are enough, if there is one
NEAR = 50  # where the power series of Bessel functions are quick
MOST = 1000  # the highest order that is looked at


def special_values(mp: Any) -> dict[str, Callable[..., Any]]:
    """The functions' values, from mpmath and their definitions alone. They may raise ValueError and
    ZeroDivisionError where there is none.

    >>> from mpmath import mp
    >>> print(special_values(mp)["erfc"](mp.mpf(1)))
    0.157299207050285
    """
    half, one, root2 = mp.mpf(1) / 2, mp.one, mp.sqrt(2)

    def is_pole(x: Any) -> bool:
        return bool(x <= 0 and mp.isint(x))

    def gammaln(x: Any) -> Any:
        if is_pole(x) or mp.isinf(x):
            return mp.ninf if x == mp.ninf else mp.inf
        return mp.re(mp.loggamma(x)) if x > 0 else mp.log(abs(mp.gamma(x)))

    def gamma(x: Any) -> Any:
        if x == 0:
            return mp.inf
        return mp.nan if is_pole(x) or x == mp.ninf else mp.gamma(x)

    def rgamma(x: Any) -> Any:
        return mp.zero if mp.isinf(x) else mp.rgamma(x)

    def gammasgn(x: Any) -> Any:
        if x == 0 or x > 0:
            return one
        return mp.nan if is_pole(x) or x == mp.ninf else one - 2 * (mp.floor(x) % 2)

    def digamma(x: Any) -> Any:
        if x == 0:
            return mp.ninf
        return mp.nan if is_pole(x) or x == mp.ninf else mp.digamma(x)

    def polygamma(n: Any, x: Any) -> Any:
        if not mp.isint(n) or not 0 <= n < MOST or x == mp.ninf:
            return mp.nan
        if n == 0:
            return digamma(x)
        if x == mp.inf or is_pole(x):
            return mp.zero if x == mp.inf else mp.inf if n % 2 else mp.ninf
        return mp.polygamma(int(n), x)

    def with_digits(f: Callable[..., Any]) -> Callable[..., Any]:
        """With more digits for large arguments, which are added to small ones."""

        def value(*args: Any) -> Any:
            if not all(map(mp.isfinite, args)):
                return mp.nan
            largest = max(max(0, int(mp.mag(x))) for x in args if x) if any(args) else 0
            with mp.workdps(mp.dps + largest):
                return f(*args)

        return value

    def betaln(a: Any, b: Any) -> Any:
        if is_pole(a) or is_pole(b):
            return mp.inf
        return gammaln(a) + gammaln(b) - gammaln(a + b)

    def gammainc(a: Any, x: Any) -> Any:
        if a < 0 or x < 0 or (a == 0 and x == 0) or (mp.isinf(a) and mp.isinf(x)):
            return mp.nan
        if a == 0 or x > 2 * a + FAR:
            return one
        if x == 0 or 2 * x < a - FAR:
            return mp.zero
        return mp.nan if max(a, x) > FAR else mp.gammainc(a, 0, x, regularized=True)

    def gammaincc(a: Any, x: Any) -> Any:
        if a <= 0 or x <= 0 or max(a, x) > FAR:
            return 1 - gammainc(a, x)
        return mp.gammainc(a, x, mp.inf, regularized=True)

    def betainc(a: Any, b: Any, x: Any) -> Any:
        if not (0 <= x <= 1) or a <= 0 or b <= 0:
            return mp.nan
        return x if x in (0, 1) else mp.betainc(a, b, 0, x, regularized=True)

    def erfcx(x: Any) -> Any:
        if mp.isinf(x):
            return mp.zero if x > 0 else mp.inf
        if x < -FAR:
            return mp.inf
        if x > FAR:
            return (1 - half / x**2) / (x * mp.sqrt(mp.pi))
        return mp.exp(x * x) * mp.erfc(x)

    def erfc(x: Any) -> Any:
        return mp.mpf(2 * (x < 0)) if abs(x) > FAR else mp.erfc(x)

    def ndtr(x: Any) -> Any:
        return erfc(-x / root2) / 2

    def log_ndtr(x: Any) -> Any:
        if x > 0:
            return mp.log1p(-ndtr(-x))
        if x == mp.ninf:
            return x
        return mp.log(erfcx(-x / root2) / 2) - x * x / 2

    def erfinv(x: Any) -> Any:
        if abs(x) >= 1:
            return mp.sign(x) * mp.inf if abs(x) == 1 else mp.nan
        return mp.erfinv(x)

    def tail(p: Any) -> Any:
        """Above which x the density exp(-x²)·2/√π, which has a total of 2, has this much."""
        if not 0 <= p <= 2:
            return mp.nan
        if p in (0, 2):
            return mp.inf if p == 0 else mp.ninf
        if p > 1:
            return -tail(2 - p)
        if p > mp.mpf("1e-3"):
            return mp.erfinv(1 - p)
        found = mp.sqrt(-mp.log(p))
        for _ in range(60):  # Newton's method for the logarithm, which is nearly a parabola
            step = (mp.log(erfcx(found)) - found * found - mp.log(p)) * erfcx(found)
            step *= mp.sqrt(mp.pi) / 2
            found += step
            if abs(step) < mp.eps * abs(found) * 8:
                break
        return found

    def dawsn(x: Any) -> Any:
        if abs(x) > FAR:
            return half / x
        return mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)

    def exp1(x: Any) -> Any:
        return mp.inf if x == 0 else mp.nan if x < 0 else mp.zero if mp.isinf(x) else mp.e1(x)

    def expi(x: Any) -> Any:
        if mp.isinf(x) or x == 0:
            return mp.zero if x < 0 else mp.inf if x > 0 else mp.ninf
        return mp.re(mp.ei(x))

    def stdtr(df: Any, t: Any) -> Any:
        if df <= 0 or not mp.isfinite(df):
            return ndtr(t) if df == mp.inf else mp.nan
        if mp.isinf(t):
            return mp.mpf(t > 0)
        tail = betainc(df / 2, half, df / (df + t * t)) / 2
        return tail if t <= 0 else 1 - tail

    def entr(x: Any) -> Any:
        return mp.ninf if x < 0 else mp.zero if x == 0 else -x * mp.log(x)

    def rel_entr(x: Any, y: Any) -> Any:
        if x > 0 and y > 0:
            return x * mp.log(x / y)
        return mp.zero if x == 0 and y >= 0 else mp.inf

    def kl_div(x: Any, y: Any) -> Any:
        if x > 0 and y > 0:
            return x * mp.log(x / y) - x + y
        return y if x == 0 and y >= 0 else mp.inf

    found: dict[str, Callable[..., Any]] = {
        "gamma": gamma,
        "rgamma": rgamma,
        "gammaln": gammaln,
        "gammasgn": gammasgn,
        "digamma": digamma,
        "polygamma": polygamma,
        "beta": with_digits(mp.beta),
        "betaln": with_digits(betaln),
        "poch": with_digits(mp.rf),
        "binom": with_digits(mp.binomial),
        "gammainc": gammainc,
        "gammaincc": gammaincc,
        "betainc": betainc,
        "erfc": erfc,
        "erfcx": erfcx,
        "erfinv": erfinv,
        "erfcinv": tail,
        "ndtr": ndtr,
        "log_ndtr": log_ndtr,
        "ndtri": lambda p: -root2 * tail(2 * p),
        "dawsn": dawsn,
        "exp1": exp1,
        "expi": expi,
        **_bessel(mp),
        "stdtr": stdtr,
        "entr": entr,
        "rel_entr": rel_entr,
        "kl_div": kl_div,
    }
    return {name: _remembered(mp, f) for name, f in found.items()}


def _remembered(mp: Any, f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is slow to evaluate, and asked for the same values again and again."""

    @lru_cache(maxsize=1024)
    def value(digits: int, *args: Any) -> Any:
        return f(*args)

    return lambda *args: value(mp.prec, *args)


def _bessel(mp: Any) -> dict[str, Callable[..., Any]]:
    """Bessel functions, and those times the exponential that they grow or fall with."""

    def up(f: Callable[..., Any], sign: int) -> Callable[..., Any]:
        """By recurrence for whole orders, which is stable for those that grow with the order."""

        def value(order: Any, x: Any) -> Any:
            if not mp.isint(order) or not 1 < order < FAR:
                return f(order, x)
            below, found = f(0, x), f(1, x)
            for n in range(1, int(order)):
                below, found = found, sign * below + 2 * n / x * found
            return found

        return value

    def of_second_kind(f: Callable[..., Any], sign: int) -> Callable[..., Any]:
        """Of order 0 by its series and of order 1 by the Wronskian: mpmath's takes limits of other
        orders, which is a hundred times slower."""

        def value(order: Any, x: Any) -> Any:
            if order not in (0, 1) or not 0 < x < NEAR:
                return f(order, x)
            with mp.workdps(2 * mp.dps + int(x)):
                square, term, harmonic, k = sign * x * x / 4, mp.one, mp.zero, 0
                total = mp.zero
                while k < x or abs(term) * (1 + harmonic) > mp.eps:
                    k += 1
                    harmonic += mp.one / k
                    term *= square / k**2
                    total += term * harmonic
                first = mp.besseli if sign > 0 else mp.besselj
                found = total - (mp.log(x / 2) + mp.euler) * first(0, x)
                if order and sign > 0:
                    found = (1 / x - first(1, x) * found) / first(0, x)
                elif order:
                    found = (first(1, x) * found + 1 / x) / first(0, x)
            return +found if sign > 0 else -2 * found / mp.pi

        return value

    def everywhere(f: Callable[..., Any], far: Callable[..., Any], at_infinity: Any) -> Any:
        """At all arguments, of which far ones have a limit; real below 0 for whole orders only."""

        def value(order: Any, x: Any) -> Any:
            if (x < 0 and not mp.isint(order)) or abs(order) > FAR:
                return mp.nan
            if mp.isinf(x):
                return at_infinity
            if abs(x) < FAR**2:
                return f(order, x)
            return far(order, abs(x)) * (-1) ** (int(order) % 2 if x < 0 else 0)

        return value

    def positive(f: Any, far: Callable[..., Any], at_zero: Any, at_infinity: Any) -> Any:
        """At arguments above 0."""
        above = everywhere(f, far, at_infinity)
        return lambda order, x: above(order, x) if x > 0 else mp.nan if x < 0 else at_zero

    def wave(order: Any, x: Any) -> Any:
        """The cosine and the sine of x - order π/2 - π/4."""
        turn = (order / 2 + mp.mpf(1) / 4) * mp.pi
        cos, sin, c, s = mp.cos(x), mp.sin(x), mp.cos(turn), mp.sin(turn)
        return cos * c + sin * s, sin * c - cos * s

    def width(x: Any) -> Any:
        return mp.sqrt(2 / (mp.pi * x))

    def scaled(f: Callable[..., Any], sign: int) -> Callable[..., Any]:
        return lambda order, x: f(order, x) * mp.exp(sign * abs(x))

    nan, zero, inf = mp.nan, mp.zero, mp.inf
    second = of_second_kind(mp.besselk, 1)
    functions = {
        "jv": everywhere(mp.besselj, lambda n, x: width(x) * wave(n, x)[0], nan),
        "yv": positive(
            up(of_second_kind(mp.bessely, -1), -1),
            lambda n, x: width(x) * wave(n, x)[1],
            mp.ninf,
            nan,
        ),
        "iv": everywhere(mp.besseli, lambda n, x: inf, nan),
        "kv": positive(up(second, 1), lambda n, x: zero, inf, zero),
        "ive": everywhere(scaled(mp.besseli, -1), lambda n, x: width(x) / 2, zero),
        "kve": positive(up(scaled(second, 1), 1), lambda n, x: width(x) * mp.pi / 2, inf, zero),
    }
    orders = {
        f"{name[0]}{n}{name[2:]}": (lambda x, n=n, f=f: f(mp.mpf(n), x))
        for name, f in functions.items()
        for n in (0, 1)
    }
    return functions | orders


NAMES = (
    *("gamma", "rgamma", "gammaln", "gammasgn", "digamma", "polygamma", "beta", "betaln", "poch"),
    *("binom", "gammainc", "gammaincc", "betainc", "erfc", "erfcx", "erfinv", "erfcinv", "ndtr"),
    *("log_ndtr", "ndtri", "dawsn", "exp1", "expi", "jv", "j0", "j1", "yv", "y0", "y1"),
    *("iv", "i0", "i1", "kv", "k0", "k1", "ive", "i0e", "i1e", "kve", "k0e", "k1e"),
    *("stdtr", "entr", "rel_entr", "kl_div"),
)


@cache
def _values() -> tuple[Any, dict[str, Callable[..., Any]]]:
    made = mpmath.ctx_mp.MPContext()
    made.dps = DIGITS
    return made, special_values(made)


@cache
def _at(name: str, args: tuple[float, ...]) -> float:
    made, values = _values()
    try:
        found = values[name](*map(made.mpf, args))
    except (ZeroDivisionError, ValueError, made.NoConvergence):
        return float("nan")
    return float(found) if isinstance(found, made.mpf) else float("nan")


def special_value(name: str) -> Callable[..., float]:
    """A function of Python floats: not a number where an argument isn't.

    >>> special_value("gammaln")(3.0)
    0.6931471805599453
    """

    def value(*args: Any) -> float:
        given = tuple(map(float, args))
        return float("nan") if any(x != x for x in given) else _at(name, given)

    return value
