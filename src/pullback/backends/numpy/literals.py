"""Numbers as literals, and the signs of terms."""

from __future__ import annotations

from ...ir.expr import Number
from ..python.code import ATOM, UNARY, Code, binary, call, minus
from ..python.literals import split_number
from .arrays import Array


def number_array(number: Number) -> Array:
    """A Python literal."""
    if number.special:
        text = {"inf": "np.inf", "-inf": "-np.inf", "nan": "np.nan"}[number.special]
        return Array(Code(text, ATOM if text[0] != "-" else UNARY), (), "weak float")
    over, under = split_number(abs(number.value))
    kind = "weak int" if number.value.denominator == 1 and "." not in over else "weak float"
    code = Code(over)
    if under != "1":
        code, kind = binary("/", code, Code(under)), "weak float"
    return Array(minus(code) if number.value < 0 else code, (), kind)


def is_safe(scalar: Array) -> bool:
    """Whether Python divides by a scalar of its own, and takes roots of it, as NumPy does."""
    if scalar.count is not None:
        return True
    try:
        return 1e-100 < float(str(scalar.code)) < 1e100
    except ValueError:
        return False


def numpy_scalar(scalar: Array) -> Array:
    """A scalar of Python as one of NumPy, which divides by 0 and overflows without an error."""
    return Array(call("np.float64", scalar.code), (), "float64")
