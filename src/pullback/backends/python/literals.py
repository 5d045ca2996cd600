"""Numbers as literals, and the signs of terms."""

from __future__ import annotations

from fractions import Fraction

from ...errors import PullbackError


def split_number(value: Fraction) -> tuple[str, str]:
    """Numerator and denominator of a positive number, as literals; a short decimal is one
    literal."""
    if value.denominator == 1 and value < 2**53:
        return str(value.numerator), "1"
    try:
        text = repr(float(value))
    except OverflowError:
        raise PullbackError(
            "a number is too large for a float",
            found=f"a number of {len(str(int(value)))} digits",
        ) from None
    short = Fraction(text) == value and len(text) <= 12
    if short or value.denominator > 1000 or value.numerator >= 2**53:
        return text, "1"
    return str(value.numerator), str(value.denominator)


def in_range(value: Fraction, dtype: str) -> tuple[Fraction, list[str]]:
    """A positive number as one that a float of this dtype can hold, and literals to multiply by
    afterwards, one by one: their product alone would overflow, or underflow."""
    digits = 290 if dtype == "float64" else 30
    large, steps = Fraction(10) ** digits, []
    while value > large:
        value /= large
        steps.append(f"1e+{digits}")
    while value and value < 1 / large:
        value *= large
        steps.append(f"1e-{digits}")
    return value, steps
