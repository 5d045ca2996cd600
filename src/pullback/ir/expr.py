"""The expressions: a small closed set of interned nodes. No constructor simplifies.

A *value* (Expr) at a point of the indices is a number; a *condition* (Cond) is true or false. A
:class:`Guard` (Iverson bracket) inside a product is no number that multiplies: where its condition
is false the whole product is exactly absent (0, and nothing in it is evaluated, so nothing outside
an array is read).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .intern import Node
from .sizes import Size
from .subscripts import Index, Subscript


@dataclass(frozen=True, eq=False, repr=False)
class Tensor(Node):
    """A named array. ``dtype`` is a NumPy dtype name, or "float", "int", "bool" where any of the
    kind will do."""

    name: str
    shape: tuple[Size, ...]
    dtype: str = "float"

    @property
    def kind(self) -> str:
        """ "float", "int" or "bool"."""
        return "bool" if self.dtype == "bool" else "int" if "int" in self.dtype else "float"


@dataclass(frozen=True, eq=False, repr=False)
class Number(Node):
    """An exact number; ``special`` is "", "inf", "-inf" or "nan" (then value is 0)."""

    value: Fraction
    special: str

    @staticmethod
    def placed(value: Fraction, special: str) -> tuple[int, int, str]:
        """A number's place in the table of nodes."""
        return *value.as_integer_ratio(), special


@dataclass(frozen=True, eq=False, repr=False)
class SizeOf(Node):
    """A size as a value."""

    size: Size


@dataclass(frozen=True, eq=False, repr=False)
class IndexOf(Node):
    """A subscript as a value (what ``np.arange`` holds)."""

    sub: Subscript


@dataclass(frozen=True, eq=False, repr=False)
class Access(Node):
    """``tensor[subs]``, in bounds wherever it is evaluated; a 0-d tensor has no subscripts."""

    tensor: Tensor
    subs: tuple[Subscript, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Apply(Node):
    """A scalar function of the table in ``functions.py`` applied to values."""

    function: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Add(Node):
    """A sum of terms (the empty sum is 0)."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Mul(Node):
    """A product of factors (the empty product is 1); a false :class:`Guard` makes it absent."""

    factors: tuple[Expr, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Power(Node):
    """``base`` to a literal rational exponent, a real power: a root of a negative number is NaN."""

    base: Expr
    exponent: Fraction

    @staticmethod
    def placed(base: Expr, exponent: Fraction) -> tuple[Expr, int, int]:
        """A power's place in the table of nodes."""
        return base, *exponent.as_integer_ratio()


@dataclass(frozen=True, eq=False, repr=False)
class Reduce(Node):
    """sum, prod, max or min of ``body`` over the points of ``indices`` where all of ``domain``
    holds.

    Of no points: 0, 1, -inf and inf.
    """

    op: str
    indices: tuple[Index, ...]
    domain: tuple[Cond, ...]
    body: Expr


@dataclass(frozen=True, eq=False, repr=False)
class Arg(Node):
    """The value of ``indices[which]`` at the first greatest ("max") or least ("min") ``body``.

    First in the row-major order of ``indices``. An integer.
    """

    op: str
    indices: tuple[Index, ...]
    which: int
    domain: tuple[Cond, ...]
    body: Expr


@dataclass(frozen=True, eq=False, repr=False)
class Select(Node):
    """``then`` where the condition holds, else ``other``; only the chosen one is evaluated."""

    cond: Cond
    then: Expr
    other: Expr


@dataclass(frozen=True, eq=False, repr=False)
class Guard(Node):
    """The Iverson bracket [cond]: 1 where it holds; where it does not, the product it is in is
    absent."""

    cond: Cond


@dataclass(frozen=True, eq=False, repr=False)
class Opaque(Node):
    """``operation(operands)[subs]``: an element of what a row of ``opaque.py`` makes of whole
    tensors, matrix by matrix over their leading axes.

    It is the whole body of a statement, read at the statement's own indices.
    """

    operation: str
    operands: tuple[Tensor, ...]
    subs: tuple[Subscript, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Compare(Node):
    """A comparison of two values; ``op`` is one of < <= == !=."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, eq=False, repr=False)
class Zero(Node):
    """``sub == 0``, an equality of subscripts."""

    sub: Subscript


@dataclass(frozen=True, eq=False, repr=False)
class Inside(Node):
    """``0 <= sub < extent``."""

    sub: Subscript
    extent: Size


@dataclass(frozen=True, eq=False, repr=False)
class Divides(Node):
    """``divisor`` divides ``sub``."""

    divisor: Size
    sub: Subscript


@dataclass(frozen=True, eq=False, repr=False)
class And(Node):
    """All of them, left to right; the rest is not evaluated after a false one."""

    conds: tuple[Cond, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Or(Node):
    """Any of them."""

    conds: tuple[Cond, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Not(Node):
    """The opposite."""

    cond: Cond


@dataclass(frozen=True, eq=False, repr=False)
class Truth(Node):
    """Whether a value (a bool tensor's element) is nonzero."""

    value: Expr


Expr = (
    Number | SizeOf | IndexOf | Access | Apply | Add | Mul | Power | Reduce | Arg | Select | Guard
    | Opaque
)  # fmt: skip
Cond = Compare | Zero | Inside | Divides | And | Or | Not | Truth


def number(value: int | float | Fraction | str) -> Number:
    """An exact number; a float is the decimal that its repr spells.

    >>> number(0.1).value
    Fraction(1, 10)
    """
    if isinstance(value, float):
        if value != value:
            return Number(Fraction(0), "nan")
        if value in (float("inf"), float("-inf")):
            return Number(Fraction(0), "inf" if value > 0 else "-inf")
        return Number(Fraction(repr(value)), "")
    return Number(Fraction(value), "")


ZERO = number(0)
ONE = number(1)


def add(*terms: Expr) -> Expr:
    """The sum; one term stands for itself."""
    return terms[0] if len(terms) == 1 else Add(terms)


def mul(*factors: Expr) -> Expr:
    """The product; one factor stands for itself."""
    return factors[0] if len(factors) == 1 else Mul(factors)


def neg(value: Expr) -> Expr:
    """-value."""
    return Mul((number(-1), value))


def power(base: Expr, exponent: int | Fraction) -> Expr:
    """base to a literal exponent."""
    return Power(base, Fraction(exponent))


def total(indices: tuple[Index, ...], body: Expr, domain: tuple[Cond, ...] = ()) -> Expr:
    """The sum of ``body`` over ``indices``; ``body`` itself where there are none."""
    return Reduce("sum", indices, domain, body) if indices else body
