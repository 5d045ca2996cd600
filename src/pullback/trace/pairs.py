"""Complex arithmetic on pairs of real arrays: each operation by the real ones it is made of.

A part that is None is 0 and is left out. Roots, logarithms and powers are the principal ones. What
is divided by, squared: its square must neither overflow nor underflow.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

Part = Any
Pair = tuple[Any, Any]
LONGEST = 64  # powers up to this exponent are products


def plus(left: Part, right: Part) -> Part:
    """left + right."""
    if left is None or right is None:
        return left if right is None else right
    return left + right


def minus(left: Part, right: Part) -> Part:
    """left - right."""
    if right is None:
        return left
    return -right if left is None else left - right


def times(left: Part, right: Part) -> Part:
    """left * right."""
    return None if left is None or right is None else left * right


def _filled(part: Part, other: Part) -> Part:
    """The part, or 0 of the other one's kind."""
    return other * 0 if part is None else part


def add(z: Pair, w: Pair) -> Pair:
    """z + w."""
    return plus(z[0], w[0]), plus(z[1], w[1])


def subtract(z: Pair, w: Pair) -> Pair:
    """z - w."""
    return minus(z[0], w[0]), minus(z[1], w[1])


def multiply(z: Pair, w: Pair) -> Pair:
    """z * w."""
    return some(
        minus(times(z[0], w[0]), times(z[1], w[1])),
        plus(times(z[0], w[1]), times(z[1], w[0])),
        z,
        w,
    )


def some(re: Part, im: Part, *given: Pair) -> Pair:
    """The pair, which has a part even where both are 0."""
    if re is None and im is None:
        parts = [part for pair in given for part in pair if part is not None]
        return sum(part * 0 for part in parts), None
    return re, im


def square_of(z: Pair) -> Part:
    """|z|², a real array."""
    return plus(*(None if part is None else part**2 for part in z))


def scaled(z: Pair, by: Part) -> Pair:
    """z times a real array."""
    return times(z[0], by), times(z[1], by)


def conjugate(z: Pair) -> Pair:
    """The conjugate."""
    return z[0], None if z[1] is None else -z[1]


def divide(z: Pair, w: Pair) -> Pair:
    """z / w."""
    re, im = w
    if im is None:
        return tuple(None if part is None else part / re for part in z)  # type: ignore[return-value]
    if re is None:  # -i z / im
        return (
            None if z[1] is None else z[1] / im,
            None if z[0] is None else -z[0] / im,
        )
    over = square_of(w)
    return tuple(  # type: ignore[return-value]
        None if part is None else part / over for part in multiply(z, conjugate(w))
    )


def absolute(z: Pair) -> Any:
    """|z|; its slope at 0 is 0."""
    if z[1] is None or z[0] is None:
        return np.abs(z[1] if z[0] is None else z[0])
    return np.sqrt(square_of(z))


def angle(z: Pair) -> Any:
    """The angle from -π to π."""
    re, im = z
    if im is None:
        return np.where(re < 0, np.pi, re * 0)
    return np.arctan2(im, _filled(re, im))


def exp(z: Pair) -> Pair:
    """exp(z)."""
    re, im = z
    if im is None:
        return np.exp(re), None
    wave = np.cos(im), np.sin(im)
    return wave if re is None else scaled(wave, np.exp(re))


def log(z: Pair) -> Pair:
    """The principal logarithm."""
    if z[0] is None or z[1] is None:
        return np.log(absolute(z)), angle(z)
    return np.log(square_of(z)) / 2, angle(z)


def sqrt(z: Pair) -> Pair:
    """The principal root."""
    return polar(np.sqrt(absolute(z)), angle(z) / 2)


def polar(size: Part, turn: Part) -> Pair:
    """The number of an absolute value and an angle."""
    return size * np.cos(turn), size * np.sin(turn)


def power(z: Pair, w: Pair) -> Pair:
    """z ** w, a product where w is a small whole number."""
    exponent = w[0]
    if w[1] is None and isinstance(exponent, int | float | np.integer | np.floating):
        n = float(exponent)
        if n == 0.5:
            return sqrt(z)
        if n.is_integer() and abs(n) <= LONGEST:
            return whole_power(z, int(n))
    if z[1] is None and w[1] is None:
        return exp(scaled(log(z), exponent))
    if z[1] is None and not np.any(_known(z[0]) <= 0):
        return exp(multiply((np.log(z[0]), None), w))
    return exp(multiply(log(z), w))


def _known(part: Part) -> Any:
    """A number, or one that isn't positive for what isn't known."""
    return part if isinstance(part, int | float | np.number) else -1


def whole_power(z: Pair, n: int) -> Pair:
    """A product of n equal factors, by squaring; a quotient where n is negative."""
    if n < 0:
        return divide((1.0, None), whole_power(z, -n))
    if not n:
        part = z[1] if z[0] is None else z[0]
        return part * 0 + 1.0, None
    found: Pair | None = None
    while True:
        if n % 2:
            found = z if found is None else multiply(found, z)
        n //= 2
        if not n:
            return found  # type: ignore[return-value]
        z = square(z)


def square(z: Pair) -> Pair:
    """z * z."""
    re, im = z
    if re is None or im is None:
        return (re**2 if im is None else -(im**2)), None
    return re**2 - im**2, 2 * (re * im)


def sin(z: Pair) -> Pair:
    """sin(z)."""
    re, im = z
    if im is None:
        return np.sin(re), None
    if re is None:
        return None, np.sinh(im)
    return np.sin(re) * np.cosh(im), np.cos(re) * np.sinh(im)


def cos(z: Pair) -> Pair:
    """cos(z)."""
    re, im = z
    if im is None:
        return np.cos(re), None
    if re is None:
        return np.cosh(im), None
    return np.cos(re) * np.cosh(im), -np.sin(re) * np.sinh(im)


def turned(z: Pair) -> Pair:
    """i z."""
    return (None if z[1] is None else -z[1]), z[0]


def back(z: Pair) -> Pair:
    """-i z."""
    return z[1], None if z[0] is None else -z[0]


def sinh(z: Pair) -> Pair:
    """sinh(z) = -i sin(iz)."""
    return back(sin(turned(z)))


def cosh(z: Pair) -> Pair:
    """cosh(z) = cos(iz)."""
    return cos(turned(z))


def tanh(z: Pair) -> Pair:
    """tanh(z) by those of the parts, which doesn't overflow."""
    re, im = z
    if im is None:
        return np.tanh(re), None
    if re is None:
        return None, np.tan(im)
    slope, wave = np.tanh(re), np.tan(im)
    return divide((slope, wave), (1.0, slope * wave))


def tan(z: Pair) -> Pair:
    """tan(z) = -i tanh(iz)."""
    return back(tanh(turned(z)))


def _logarithm(base: float) -> Callable[[Pair], Pair]:
    return lambda z: scaled(log(z), 1 / float(np.log(base)))


def _exp2(z: Pair) -> Pair:
    return exp(scaled(z, float(np.log(2.0))))


def _both(test: Callable[[Any], Any], join: Callable[[Any, Any], Any]) -> Callable[[Pair], Any]:
    """A test of both parts."""

    def tested(z: Pair) -> Any:
        found = [test(part) for part in z if part is not None]
        return found[0] if len(found) == 1 else join(*found)

    return tested


def _equal(z: Pair, w: Pair) -> Any:
    re, im = subtract(z, w)
    found = [part == 0 for part in (re, im) if part is not None]
    return found[0] if len(found) == 1 else found[0] & found[1]


def _not_equal(z: Pair, w: Pair) -> Any:
    return ~_equal(z, w)


def matmul(z: Pair, w: Pair) -> Pair:
    """z @ w."""
    return multilinear(np.matmul, [z, w])


def multilinear(function: Callable[..., Any], given: list[Pair]) -> Pair:
    """What a function that is linear in each array makes of complex ones."""
    parts: list[list[Any]] = [[], []]
    for choice in range(2 ** len(given)):
        imaginary = [choice >> k & 1 for k in range(len(given))]
        chosen = [pair[k] for pair, k in zip(given, imaginary, strict=True)]
        if any(part is None for part in chosen):
            continue
        count = sum(imaginary)  # i to this power
        made = function(*chosen)
        parts[count % 2].append((count % 4 > 1, made))
    re, im = map(_signed, parts)
    return re, im


def _signed(terms: list[tuple[bool, Any]]) -> Part:
    """A sum of terms, of which some are subtracted."""
    total: Part = None
    for negative, term in sorted(terms, key=operator.itemgetter(0)):
        total = minus(total, term) if negative else plus(total, term)
    return total


UFUNCS: dict[str, Callable[..., Any]] = {
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
    "divide": divide,
    "negative": lambda z: tuple(None if part is None else -part for part in z),
    "positive": lambda z: z,
    "conjugate": conjugate,
    "absolute": absolute,
    "square": square,
    "reciprocal": lambda z: divide((1.0, None), z),
    "power": power,
    "float_power": power,
    "sqrt": sqrt,
    "exp": exp,
    "exp2": _exp2,
    "log": log,
    "log2": _logarithm(2.0),
    "log10": _logarithm(10.0),
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "equal": _equal,
    "not_equal": _not_equal,
    "isfinite": _both(np.isfinite, operator.and_),
    "isinf": _both(np.isinf, operator.or_),
    "isnan": _both(np.isnan, operator.or_),
    "matmul": matmul,
}
