"""The table of scalar functions: one row says all that the rest of the package knows about a
function.

A row has no hand-written derivative of anything but the scalar function itself. Powers with a
literal exponent, sums and products are no rows: they are nodes of the representation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from .errors import DerivationError
from .ir.arithmetic import SINC_ORDERS
from .ir.expr import ONE, ZERO, Add, Apply, Compare, Expr, Guard, Mul, Power, Select, number

Partial = Callable[[tuple[Expr, ...], Expr], Expr]


@dataclass(frozen=True)
class Function:
    """A scalar function.

    ``partials`` gives, for each argument, the partial derivative as an expression of the arguments
    ``a`` and the output ``y``, or None where it is zero wherever it exists (piecewise constant).
    ``numpy`` is how NumPy spells it ("np.exp"; "scipy.special.erf"). ``domain`` is an interval of
    each argument to sample in, open ends excluded. ``low``/``high`` bound the output. ``positive``
    means > 0 for every finite argument, ``nonzero`` is implied by it. ``integer`` marks outputs
    that are whole numbers; ``finite`` that they are finite for finite arguments, ``steep`` that
    they are but overflow easily. ``root`` is the exponent below 1 of which it is the power where
    its argument is at least 0. ``whole`` functions of whole numbers are whole numbers.
    """

    name: str
    partials: tuple[Partial | None, ...]
    numpy: str
    domain: tuple[tuple[float, float], ...] = ((-3.0, 3.0),)
    low: float = float("-inf")
    high: float = float("inf")
    positive: bool = False
    integer: bool = False
    latex: str = ""
    finite: bool = False
    steep: bool = False
    root: Fraction | None = None
    whole: bool = False

    @property
    def arity(self) -> int:
        """The number of arguments."""
        return len(self.partials)


def fn(name: str, *args: Expr) -> Expr:
    """``name(args)``."""
    return Apply(name, args)


def _mul(*parts: Expr) -> Expr:
    return Mul(parts)


def _add(*parts: Expr) -> Expr:
    return Add(parts)


def _pow(base: Expr, n: int | Fraction) -> Expr:
    return Power(base, Fraction(n))


def _num(value: str | int) -> Expr:
    return number(value)


def _one_plus_square(x: Expr) -> Expr:
    return _add(ONE, _pow(x, 2))


def _one_minus_square(x: Expr) -> Expr:
    return _add(ONE, _mul(_num(-1), _pow(x, 2)))


def _minus(x: Expr) -> Expr:
    return _mul(_num(-1), x)


def _holds(op: str, left: Expr, right: Expr) -> Expr:
    return Guard(Compare(op, left, right))


HALF = Fraction(1, 2)
TWO_OVER_ROOT_PI = "1.1283791670955125738961589031215451716881012586580"
LN2 = "0.69314718055994530941723212145817656807550013436026"
LN10 = "2.3025850929940456840179914546843642076011014886288"
DEGREE = "0.017453292519943295769236907684886127134428718885417"

_INF = float("inf")
_POSITIVE = ((0.2, 4.0),)
_UNIT = ((-0.9, 0.9),)

ROWS: tuple[Function, ...] = (
    Function("exp", (lambda a, y: y,), "np.exp", low=0, positive=True, latex=r"\exp", steep=True),
    Function(
        "exp2", (lambda a, y: _mul(_num(LN2), y),), "np.exp2", low=0, positive=True, steep=True
    ),
    Function("expm1", (lambda a, y: _add(y, ONE),), "np.expm1", low=-1, steep=True),
    Function("log", (lambda a, y: _pow(a[0], -1),), "np.log", _POSITIVE, latex=r"\log"),
    Function(
        "log2", (lambda a, y: _mul(_pow(a[0], -1), _pow(_num(LN2), -1)),), "np.log2", _POSITIVE
    ),
    Function(
        "log10", (lambda a, y: _mul(_pow(a[0], -1), _pow(_num(LN10), -1)),), "np.log10", _POSITIVE
    ),
    Function("log1p", (lambda a, y: _pow(_add(ONE, a[0]), -1),), "np.log1p", ((-0.8, 3.0),)),
    Function(
        "sin", (lambda a, y: fn("cos", a[0]),), "np.sin", low=-1, high=1, latex=r"\sin", finite=True
    ),
    Function(
        "cos",
        (lambda a, y: _minus(fn("sin", a[0])),),
        "np.cos",
        low=-1,
        high=1,
        latex=r"\cos",
        finite=True,
    ),
    Function("tan", (lambda a, y: _one_plus_square(y),), "np.tan", ((-1.4, 1.4),), latex=r"\tan"),
    Function("arcsin", (lambda a, y: _pow(_one_minus_square(a[0]), -HALF),), "np.arcsin", _UNIT),
    Function(
        "arccos", (lambda a, y: _minus(_pow(_one_minus_square(a[0]), -HALF)),), "np.arccos", _UNIT
    ),
    Function("arctan", (lambda a, y: _pow(_one_plus_square(a[0]), -1),), "np.arctan", finite=True),
    Function("sinh", (lambda a, y: fn("cosh", a[0]),), "np.sinh", latex=r"\sinh", steep=True),
    Function(
        "cosh",
        # not sinh(x): in 1/cosh(x) that would be inf/inf where cosh overflows
        (lambda a, y: _mul(y, fn("tanh", a[0])),),
        "np.cosh",
        low=1,
        positive=True,
        latex=r"\cosh",
        steep=True,
    ),
    Function(
        "tanh",
        (lambda a, y: _one_minus_square(y),),
        "np.tanh",
        low=-1,
        high=1,
        latex=r"\tanh",
        finite=True,
    ),
    Function(
        "arcsinh", (lambda a, y: _pow(_one_plus_square(a[0]), -HALF),), "np.arcsinh", finite=True
    ),
    Function(
        "arccosh",
        (lambda a, y: _pow(_add(_pow(a[0], 2), _num(-1)), -HALF),),
        "np.arccosh",
        ((1.1, 4.0),),
        low=0,
    ),
    Function("arctanh", (lambda a, y: _pow(_one_minus_square(a[0]), -1),), "np.arctanh", _UNIT),
    Function(
        "cbrt",
        (lambda a, y: _mul(_num("1/3"), _pow(y, -2)),),
        "np.cbrt",
        _POSITIVE,
        finite=True,
        root=Fraction(1, 3),
    ),
    Function("abs", (lambda a, y: fn("sign", a[0]),), "np.abs", low=0, finite=True, whole=True),
    Function("deg2rad", (lambda a, y: _num(DEGREE),), "np.deg2rad", finite=True),
    Function("rad2deg", (lambda a, y: _pow(_num(DEGREE), -1),), "np.rad2deg", finite=True),
    Function(
        "sigmoid",
        (lambda a, y: _mul(y, _add(ONE, _minus(y))),),
        "scipy.special.expit",
        low=0,
        high=1,
        positive=True,
        latex=r"\sigma",
        finite=True,
    ),
    Function(
        "softplus", (lambda a, y: fn("sigmoid", a[0]),), "", low=0, positive=True, finite=True
    ),
    Function(
        "erf",
        (lambda a, y: _mul(_num(TWO_OVER_ROOT_PI), fn("exp", _minus(_pow(a[0], 2)))),),
        "scipy.special.erf",
        low=-1,
        high=1,
        latex=r"\operatorname{erf}",
        finite=True,
    ),
    Function(
        "xlogy",
        (
            lambda a, y: Select(Compare("==", a[0], ZERO), fn("log", a[1]), fn("log", a[1])),
            lambda a, y: Select(Compare("==", a[0], ZERO), ZERO, _mul(a[0], _pow(a[1], -1))),
        ),
        "scipy.special.xlogy",
        ((0.2, 3.0), (0.2, 4.0)),
    ),
    Function(
        "pow",
        (
            # x**0 is 1 everywhere: 0*x**(-1) would be 0*inf at 0
            lambda a, y: _mul(
                _holds("!=", a[1], ZERO), a[1], fn("pow", a[0], _add(a[1], _num(-1)))
            ),
            lambda a, y: Select(Compare("==", a[0], ZERO), ZERO, _mul(y, fn("log", a[0]))),
        ),
        "np.power",
        ((0.3, 3.0), (-2.0, 2.0)),
        whole=True,
    ),
    Function(
        "arctan2",
        (
            lambda a, y: _mul(a[1], _pow(_add(_pow(a[0], 2), _pow(a[1], 2)), -1)),
            lambda a, y: _mul(_num(-1), a[0], _pow(_add(_pow(a[0], 2), _pow(a[1], 2)), -1)),
        ),
        "np.arctan2",
        ((0.3, 2.0), (0.3, 2.0)),
    ),
    Function(
        "hypot",
        # where it is 0, a norm's gradient is 0
        (
            lambda a, y: _mul(_holds("!=", y, ZERO), a[0], _pow(y, -1)),
            lambda a, y: _mul(_holds("!=", y, ZERO), a[1], _pow(y, -1)),
        ),
        "np.hypot",
        ((-2.0, 2.0), (0.3, 2.0)),
        low=0,
        finite=True,
    ),
    Function(
        "logaddexp",
        (
            lambda a, y: fn("sigmoid", _add(a[0], _minus(a[1]))),
            lambda a, y: fn("sigmoid", _add(a[1], _minus(a[0]))),
        ),
        "np.logaddexp",
        ((-2.0, 2.0), (-2.0, 2.0)),
        finite=True,
    ),
    # Ties between two differentiated values share equally; against a constant the strict side
    # passes
    # (differentiate.py swaps the rule in where only one argument is differentiated).
    Function(
        "maximum",
        (
            lambda a, y: _add(_holds("<", a[1], a[0]), _mul(_num("1/2"), _holds("==", a[0], a[1]))),
            lambda a, y: _add(_holds("<", a[0], a[1]), _mul(_num("1/2"), _holds("==", a[0], a[1]))),
        ),
        "np.maximum",
        ((-2.0, 2.0), (-2.0, 2.0)),
        latex=r"\max",
        finite=True,
        whole=True,
    ),
    Function(
        "minimum",
        (
            lambda a, y: _add(_holds("<", a[0], a[1]), _mul(_num("1/2"), _holds("==", a[0], a[1]))),
            lambda a, y: _add(_holds("<", a[1], a[0]), _mul(_num("1/2"), _holds("==", a[0], a[1]))),
        ),
        "np.minimum",
        ((-2.0, 2.0), (-2.0, 2.0)),
        latex=r"\min",
        finite=True,
        whole=True,
    ),
    # clip(x, lo, hi) = minimum(maximum(x, lo), hi); passes at its bounds.
    Function(
        "clip",
        (
            lambda a, y: _mul(_holds("<=", a[1], a[0]), _holds("<=", a[0], a[2])),
            lambda a, y: _mul(_holds("<", a[0], a[1]), _holds("<=", a[1], a[2])),
            lambda a, y: Select(Compare("<", a[2], a[0]), ONE, _holds("<", a[2], a[1])),
        ),
        "np.clip",
        ((-2.0, 2.0), (-1.5, -0.5), (0.5, 1.5)),
        finite=True,
        whole=True,
    ),
    # fmod and mod: the quotient is piecewise constant.
    Function(
        "mod",
        (
            lambda a, y: ONE,
            lambda a, y: _minus(fn("floor", _mul(a[0], _pow(a[1], -1)))),
        ),
        "np.mod",
        ((-3.0, 3.0), (0.7, 2.0)),
        whole=True,
    ),
    Function(
        "fmod",
        (
            lambda a, y: ONE,
            lambda a, y: _minus(fn("trunc", _mul(a[0], _pow(a[1], -1)))),
        ),
        "np.fmod",
        ((-3.0, 3.0), (0.7, 2.0)),
        whole=True,
    ),
    Function(
        "copysign",
        (lambda a, y: _mul(fn("sign", a[0]), fn("copysign", ONE, a[1])), None),
        "np.copysign",
        ((-2.0, 2.0), (-2.0, 2.0)),
        finite=True,
    ),
    Function(
        "sign",
        (None,),
        "np.sign",
        low=-1,
        high=1,
        integer=True,
        latex=r"\operatorname{sign}",
        finite=True,
        whole=True,
    ),
    Function("floor", (None,), "np.floor", integer=True, finite=True, whole=True),
    Function("ceil", (None,), "np.ceil", integer=True, finite=True, whole=True),
    Function("trunc", (None,), "np.trunc", integer=True, finite=True, whole=True),
    Function("rint", (None,), "np.rint", integer=True, finite=True, whole=True),
    Function(
        "floor_divide",
        (None, None),
        "np.floor_divide",
        ((-3.0, 3.0), (0.7, 2.0)),
        integer=True,
        whole=True,
    ),
    Function("heaviside", (None, None), "np.heaviside", ((-2.0, 2.0), (0.1, 0.9)), finite=True),
)


def _sinc(order: int) -> Function:
    """The derivative of this order of sin(pi x)/(pi x): a function of its own, since the quotient's
    derivative has no accurate value at 0, or near it."""

    def partial(a: tuple[Expr, ...], y: Expr) -> Expr:
        if order == SINC_ORDERS:
            raise DerivationError(
                f"the derivative of order {order + 1} of sinc can't be written",
                expected=f"at most {SINC_ORDERS} derivatives",
            )
        return fn(f"sinc{order + 1}", a[0])

    if not order:
        return Function("sinc", (partial,), "np.sinc", high=1, finite=True)
    return Function(
        f"sinc{order}", (partial,), "", latex=rf"\operatorname{{sinc}}^{{({order})}}", finite=True
    )


ROWS += tuple(map(_sinc, range(SINC_ORDERS + 1)))

TABLE: dict[str, Function] = {row.name: row for row in ROWS}

# Functions that are powers of an exponent below 1 where their argument is at least 0.
ROOTS = {row.name: row.root for row in ROWS if row.root is not None}
# Functions that are finite for finite arguments, but overflow easily, and those that don't.
STEEP = frozenset(row.name for row in ROWS if row.steep)
FINITE = frozenset(row.name for row in ROWS if row.finite)
# Functions whose values are whole numbers where their arguments are.
WHOLE = frozenset(row.name for row in ROWS if row.whole)
