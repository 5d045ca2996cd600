"""The table of scalar functions: one row says all that the rest of the package knows about a
function.

A row has no hand-written derivative of anything but the scalar function itself. Powers with a
literal exponent, sums and products are no rows: they are nodes of the representation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .errors import DerivationError
from .ir.arithmetic import SINC_ORDERS
from .ir.expr import (
    ONE,
    ZERO,
    Add,
    Apply,
    Compare,
    Expr,
    Guard,
    Mul,
    Number,
    Power,
    Select,
    number,
)

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
    its argument is at least 0. ``whole`` functions of whole numbers are whole numbers. By the first
    ``parameters`` arguments no derivative can be written (the order of a Bessel function): their
    partials refuse; ``counted`` are those that take whole numbers only.
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
    parameters: int = 0
    counted: bool = False

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
ROOT_HALF = "0.70710678118654752440084436210484903928483593768847"
ROOT_PI = "1.7724538509055160272981674833411451827975494561224"
ROOT_TWO_PI = "2.5066282746310005024157652848110452530069867406099"
ROOT_TWO_OVER_PI = "0.79788456080286535587989211986876373695171726232986"
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
            lambda a, y: fn("log", a[1]),
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


def _unwritten(name: str, argument: str) -> Partial:
    """The partial derivative by an argument for which there is no formula in these functions."""

    def partial(a: tuple[Expr, ...], y: Expr) -> Expr:
        raise DerivationError(
            f"the derivative of {name} by {argument} can't be written",
            expected=f"{argument} is a number, or isn't differentiated",
            hint=f"pass {argument} as a plain number, or leave it out of what is differentiated",
        )

    return partial


def _special(name: str, *partials: Partial | None, **facts: Any) -> Function:
    """A function that SciPy has under the same name."""
    return Function(name, partials, f"scipy.special.{name}", **facts)


def _shifted(order: Expr, by: int) -> Expr:
    """The order that is higher by so much."""
    if isinstance(order, Number) and not order.special:
        return number(order.value + by)
    return _add(order, _num(by))


# Bessel functions of orders 0 and 1 have names of their own; the last number is what the one of
# order -1 is of that of order 1.
_BESSEL = {
    "jv": ("j0", "j1", -1),
    "yv": ("y0", "y1", -1),
    "iv": ("i0", "i1", 1),
    "kv": ("k0", "k1", 1),
    "ive": ("i0e", "i1e", 1),
    "kve": ("k0e", "k1e", 1),
}


def bessel(kind: str, order: Expr, x: Expr) -> Expr:
    """A Bessel function of an order, by its own name where it has one."""
    zeroth, first, turned = _BESSEL[kind]
    match order:
        case Number(0, ""):
            return fn(zeroth, x)
        case Number(1, ""):
            return fn(first, x)
        case Number(-1, ""):
            return fn(first, x) if turned == 1 else _minus(fn(first, x))
    return fn(kind, order, x)


def _slope(kind: str, order: Expr, x: Expr, y: Expr) -> Expr:
    """The derivative of a Bessel function: half of the sum, or the difference, of its neighbours.
    Scaled ones have that of their factor exp(-|x|), or exp(x), too."""
    below, above = (bessel(kind, _shifted(order, by), x) for by in (-1, 1))
    half, beside = (_num("-1/2") if kind in ("kv", "kve") else _num("1/2")), above
    if kind in ("jv", "yv"):
        beside = _minus(above)
    found = _mul(half, _add(below, beside))
    if kind == "ive":
        return _add(found, _minus(_mul(fn("sign", x), y)))
    return _add(found, y) if kind == "kve" else found


def _falling(kind: str, zeroth: Expr, y: Expr, by_x: Expr) -> Expr:
    """The derivative of a Bessel function of order 1 that falls from infinity at 0."""
    match kind:
        case "yv":
            return _add(zeroth, _minus(by_x))
        case "kv":
            return _add(_minus(zeroth), _minus(by_x))
    return _add(y, _minus(zeroth), _minus(by_x))


def _of_order(kind: str, order: int) -> Partial:
    """The derivative of a Bessel function of order 0 or 1."""
    zeroth, first, _ = _BESSEL[kind]
    if order and kind[0] in "yk":  # no number at 0 anyway
        return lambda a, y: _falling(kind, fn(zeroth, a[0]), y, _mul(y, _pow(a[0], -1)))
    if order:
        return lambda a, y: _slope(kind, ONE, a[0], y)
    match kind:
        case "ive":
            return lambda a, y: _add(fn(first, a[0]), _minus(_mul(fn("sign", a[0]), y)))
        case "kve":
            return lambda a, y: _add(y, _minus(fn(first, a[0])))
        case "iv":
            return lambda a, y: fn(first, a[0])
    return lambda a, y: _minus(fn(first, a[0]))


def _bessels(kind: str, domain: tuple[float, float], *facts: dict[str, Any]) -> list[Function]:
    """The rows of a kind: of order 0, of order 1, of any."""
    zeroth, first, _ = _BESSEL[kind]
    return [
        _special(zeroth, _of_order(kind, 0), domain=(domain,), **facts[0]),
        _special(first, _of_order(kind, 1), domain=(domain,), **facts[1]),
        _special(
            kind,
            _unwritten(kind, "its order"),
            lambda a, y: _slope(kind, a[0], a[1], y),
            domain=((1.2, 4.0), (max(domain[0], 0.3), domain[1])),
            parameters=1,
        ),
    ]


def _digammas(*parts: tuple[int, Expr]) -> Expr:
    """A sum of digammas with signs."""
    return _add(*(fn("digamma", x) if sign > 0 else _minus(fn("digamma", x)) for sign, x in parts))


def _gamma_density(a: tuple[Expr, ...]) -> Expr:
    """x^(a - 1) exp(-x) / gamma(a)."""
    order, x = a
    log = _add(fn("xlogy", _shifted(order, -1), x), _minus(x), _minus(fn("gammaln", order)))
    return fn("exp", log)


def _beta_density(a: tuple[Expr, ...]) -> Expr:
    """x^(a - 1) (1 - x)^(b - 1) / beta(a, b)."""
    one, two, x = a
    rest = _mul(_shifted(two, -1), fn("log1p", _minus(x)))
    # (1 - x)^0 is 1 at x = 1, too
    rest = ZERO if two is ONE else Select(Compare("==", two, ONE), ZERO, rest)
    log = _add(fn("xlogy", _shifted(one, -1), x), rest, _minus(fn("betaln", one, two)))
    return fn("exp", log)


def _student_density(df: Expr, t: Expr) -> Expr:
    """The density of Student's distribution, without the quotient of two large gammas."""
    half, more = _mul(_num("1/2"), df), _mul(_num("1/2"), _add(df, ONE))
    width = _mul(_num("1/2"), fn("log", df))
    tails = _mul(more, fn("log1p", _mul(_pow(t, 2), _pow(df, -1))))
    log = _add(_minus(fn("betaln", half, _num("1/2"))), _minus(width), _minus(tails))
    return fn("exp", log)


_EVERYWHERE = {"finite": True}
_QUOTIENT = {"low": 0, "high": 1}

ROWS += (
    # The gamma function and what is made of it
    _special(
        "gamma",
        lambda a, y: _mul(y, fn("digamma", a[0])),
        domain=((0.3, 5.0),),
        latex=r"\Gamma",
    ),
    _special("rgamma", lambda a, y: _minus(_mul(y, fn("digamma", a[0]))), domain=((0.3, 5.0),)),
    _special("gammaln", lambda a, y: fn("digamma", a[0]), domain=((0.3, 5.0),)),
    _special("gammasgn", None, low=-1, high=1),
    _special(
        "digamma",
        lambda a, y: fn("polygamma", ONE, a[0]),
        domain=((0.3, 5.0),),
        latex=r"\psi",
    ),
    _special(
        "polygamma",
        _unwritten("polygamma", "its order"),
        lambda a, y: fn("polygamma", _shifted(a[0], 1), a[1]),
        domain=((1.0, 4.0), (0.4, 5.0)),
        parameters=1,
        counted=True,
    ),
    _special(
        "beta",
        lambda a, y: _mul(y, _digammas((1, a[0]), (-1, _add(*a)))),
        lambda a, y: _mul(y, _digammas((1, a[1]), (-1, _add(*a)))),
        domain=((0.3, 4.0), (0.3, 4.0)),
        latex=r"\mathrm{B}",
    ),
    _special(
        "betaln",
        lambda a, y: _digammas((1, a[0]), (-1, _add(*a))),
        lambda a, y: _digammas((1, a[1]), (-1, _add(*a))),
        domain=((0.3, 4.0), (0.3, 4.0)),
    ),
    _special(
        "poch",
        lambda a, y: _mul(y, _digammas((1, _add(*a)), (-1, a[0]))),
        lambda a, y: _mul(y, fn("digamma", _add(*a))),
        domain=((0.3, 4.0), (0.3, 3.0)),
    ),
    _special(
        "binom",
        lambda a, y: _mul(y, _digammas((1, _add(a[0], ONE)), (-1, _add(a[0], _minus(a[1]), ONE)))),
        lambda a, y: _mul(y, _digammas((1, _add(a[0], _minus(a[1]), ONE)), (-1, _add(a[1], ONE)))),
        domain=((3.0, 6.0), (0.3, 2.5)),
    ),
    _special(
        "gammainc",
        _unwritten("gammainc", "its first argument"),
        lambda a, y: _gamma_density(a),
        domain=((0.3, 4.0), (0.2, 4.0)),
        parameters=1,
        **_QUOTIENT,
    ),
    _special(
        "gammaincc",
        _unwritten("gammaincc", "its first argument"),
        lambda a, y: _minus(_gamma_density(a)),
        domain=((0.3, 4.0), (0.2, 4.0)),
        parameters=1,
        **_QUOTIENT,
    ),
    _special(
        "betainc",
        _unwritten("betainc", "its first argument"),
        _unwritten("betainc", "its second argument"),
        lambda a, y: _beta_density(a),
        domain=((0.3, 4.0), (0.3, 4.0), (0.1, 0.9)),
        parameters=2,
        **_QUOTIENT,
    ),
    # The error function and what is made of it
    _special(
        "erfc",
        lambda a, y: _minus(_mul(_num(TWO_OVER_ROOT_PI), fn("exp", _minus(_pow(a[0], 2))))),
        low=0,
        high=2,
        positive=True,
        finite=True,
    ),
    _special(
        "erfcx",
        lambda a, y: _add(_mul(_num(2), a[0], y), _minus(_num(TWO_OVER_ROOT_PI))),
        low=0,
        positive=True,
        steep=True,
    ),
    _special(
        "erfinv",
        lambda a, y: _mul(_num("1/2"), _num(ROOT_PI), fn("exp", _pow(y, 2))),
        domain=_UNIT,
    ),
    _special(
        "erfcinv",
        lambda a, y: _mul(_num("-1/2"), _num(ROOT_PI), fn("exp", _pow(y, 2))),
        domain=((0.1, 1.9),),
    ),
    _special(
        "ndtr",
        lambda a, y: _mul(
            _pow(_num(ROOT_TWO_PI), -1), fn("exp", _mul(_num("-1/2"), _pow(a[0], 2)))
        ),
        low=0,
        high=1,
        positive=True,
        finite=True,
        latex=r"\Phi",
    ),
    _special(
        "log_ndtr",
        # the quotient of density and distribution, which are both 0 far below 0
        lambda a, y: _mul(
            _num(ROOT_TWO_OVER_PI),
            _pow(fn("erfcx", _mul(_num(f"-{ROOT_HALF}"), a[0])), -1),
        ),
        high=0,
    ),
    _special(
        "ndtri",
        lambda a, y: _mul(_num(ROOT_TWO_PI), fn("exp", _mul(_num("1/2"), _pow(y, 2)))),
        domain=((0.05, 0.95),),
    ),
    _special(
        "dawsn",
        lambda a, y: _add(ONE, _mul(_num(-2), a[0], y)),
        low=-0.5411,
        high=0.5411,
        finite=True,
    ),
    _special(
        "exp1", lambda a, y: _minus(_mul(fn("exp", _minus(a[0])), _pow(a[0], -1))), domain=_POSITIVE
    ),
    _special("expi", lambda a, y: _mul(fn("exp", a[0]), _pow(a[0], -1)), domain=_POSITIVE),
    # Bessel functions
    *_bessels(
        "jv",
        (-3.0, 3.0),
        {"low": -0.4028, "high": 1, **_EVERYWHERE},
        {"low": -0.5819, "high": 0.5819, **_EVERYWHERE},
    ),
    *_bessels("yv", (0.3, 4.0), {"high": 0.5214}, {"high": 0.4168}),
    *_bessels("iv", (-3.0, 3.0), {"low": 1, "positive": True, "steep": True}, {"steep": True}),
    *_bessels("kv", (0.3, 4.0), {"low": 0}, {"low": 0}),
    *_bessels(
        "ive",
        (-3.0, 3.0),
        {"low": 0, "high": 1, "positive": True, **_EVERYWHERE},
        {"low": -0.2191, "high": 0.2191, **_EVERYWHERE},
    ),
    *_bessels("kve", (0.3, 4.0), {"low": 0}, {"low": 0}),
    # Entropies
    _special(
        "entr", lambda a, y: _minus(_add(fn("log", a[0]), ONE)), domain=_POSITIVE, high=0.3679
    ),
    _special(
        "rel_entr",
        lambda a, y: _add(fn("log", _mul(a[0], _pow(a[1], -1))), ONE),
        lambda a, y: _minus(_mul(a[0], _pow(a[1], -1))),
        domain=_POSITIVE * 2,
    ),
    _special(
        "kl_div",
        lambda a, y: fn("log", _mul(a[0], _pow(a[1], -1))),
        lambda a, y: _add(ONE, _minus(_mul(a[0], _pow(a[1], -1)))),
        domain=_POSITIVE * 2,
        low=0,
    ),
    # Student's distribution
    _special(
        "stdtr",
        _unwritten("stdtr", "its first argument"),
        lambda a, y: _student_density(*a),
        domain=((1.2, 5.0), (-3.0, 3.0)),
        parameters=1,
        **_QUOTIENT,
    ),
)

TABLE: dict[str, Function] = {row.name: row for row in ROWS}


def _huber(delta: Expr, r: Expr) -> Expr:
    size = fn("abs", r)
    far = _mul(delta, _add(size, _mul(_num("-1/2"), delta)))
    inner = Select(Compare("<=", size, delta), _mul(_num("1/2"), _pow(r, 2)), far)
    if isinstance(delta, Number) and delta.value >= 0:
        return inner
    return Select(Compare("<", delta, ZERO), number(_INF), inner)


def _pseudo_huber(delta: Expr, r: Expr) -> Expr:
    root = _pow(_add(ONE, _pow(_mul(r, _pow(delta, -1)), 2)), HALF)
    inner = _mul(_pow(delta, 2), _add(root, _num(-1)))
    if isinstance(delta, Number) and delta.value > 0:
        return inner
    rest = Select(Compare("==", delta, ZERO), ZERO, inner)
    return Select(Compare("<", delta, ZERO), number(_INF), rest)


def _xlog1py(x: Expr, y: Expr) -> Expr:
    return Select(Compare("==", x, ZERO), ZERO, _mul(x, fn("log1p", y)))


def _of_kind(kind: str) -> Callable[..., Expr]:
    return lambda order, x: bessel(kind, order, x)


# Functions that are made of others, under the names that SciPy has for them: how many arguments
# they take, and what they are of these.
MADE: dict[str, tuple[int, Callable[..., Expr]]] = {
    "logit": (1, lambda p: fn("log", _mul(p, _pow(_add(ONE, _minus(p)), -1)))),
    "log_expit": (1, lambda x: _minus(fn("softplus", _minus(x)))),
    "xlog1py": (2, _xlog1py),
    "cosm1": (1, lambda x: _mul(_num(-2), _pow(fn("sin", _mul(_num("1/2"), x)), 2))),
    "exp10": (1, lambda x: fn("pow", _num(10), x)),
    "huber": (2, _huber),
    "pseudo_huber": (2, _pseudo_huber),
    "jn": (2, _of_kind("jv")),
    "yn": (2, _of_kind("yv")),
    "kn": (2, _of_kind("kv")),
    **{kind: (2, _of_kind(kind)) for kind in _BESSEL},
}

# Functions that are powers of an exponent below 1 where their argument is at least 0.
ROOTS = {row.name: row.root for row in ROWS if row.root is not None}
# Functions that are finite for finite arguments, but overflow easily, and those that don't.
STEEP = frozenset(row.name for row in ROWS if row.steep)
FINITE = frozenset(row.name for row in ROWS if row.finite)
# Functions whose values are whole numbers where their arguments are.
WHOLE = frozenset(row.name for row in ROWS if row.whole)
