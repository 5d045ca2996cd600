"""Element-wise functions: every ufunc that is a row of the scalar table or made of such rows."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from ..functions import LN2, MADE, TABLE, fn
from ..ir.expr import (
    ONE,
    ZERO,
    Add,
    And,
    Compare,
    Cond,
    Expr,
    Mul,
    Not,
    Number,
    Or,
    Power,
    Select,
    neg,
    number,
    power,
)
from ..ir.special import NAMES as SPECIAL
from .record import Sheet
from .refusals import hint_for
from .rows import row
from .values import BOOL, DType, Value, broadcast, cast, condition, joined_axes

Numbers = Callable[..., Expr]
Conditions = Callable[..., Cond]

HALF = Fraction(1, 2)
INFINITY = number(float("inf"))


def _same(x: Expr) -> Expr:
    return x


def _calls(name: str) -> Numbers:
    return lambda *args: fn(name, *args)


def _power(base: Expr, exponent: Expr) -> Expr:
    if isinstance(exponent, Number) and not exponent.special:
        return Power(base, exponent.value)
    return fn("pow", base, exponent)


def _isnan(x: Expr) -> Cond:
    return Compare("!=", x, x)


def _unless_nan(name: str) -> Numbers:
    """``name(a, b)``, or the other one where one of them is NaN."""

    def lowered(a: Expr, b: Expr) -> Expr:
        body = fn(name, a, b)
        if not isinstance(b, Number):
            body = Select(_isnan(b), a, body)
        return body if isinstance(a, Number) else Select(_isnan(a), b, body)

    return lowered


def _logaddexp2(a: Expr, b: Expr) -> Expr:
    ln2 = number(LN2)
    return Mul((fn("logaddexp", Mul((ln2, a)), Mul((ln2, b))), Power(ln2, Fraction(-1))))


def _fraction(x: Expr) -> Expr:
    endless = Compare("==", fn("abs", x), INFINITY)
    return Select(endless, fn("copysign", ZERO, x), fn("fmod", x, ONE))


# ufunc name -> what it is of the elements as numbers
NUMBERS: dict[str, Numbers] = {
    "add": lambda a, b: Add((a, b)),
    "subtract": lambda a, b: Add((a, neg(b))),
    "multiply": lambda a, b: Mul((a, b)),
    "divide": lambda a, b: Mul((a, power(b, -1))),
    "negative": neg,
    "positive": _same,
    "conjugate": _same,
    "square": lambda x: power(x, 2),
    "sqrt": lambda x: power(x, HALF),
    "reciprocal": lambda x: power(x, -1),
    "power": _power,
    "float_power": _power,
    "fabs": _calls("abs"),
    "absolute": _calls("abs"),
    "remainder": _calls("mod"),
    "radians": _calls("deg2rad"),
    "degrees": _calls("rad2deg"),
    "fmax": _unless_nan("maximum"),
    "fmin": _unless_nan("minimum"),
    "logaddexp2": _logaddexp2,
    "ldexp": lambda x, n: Mul((x, fn("exp2", n))),
    "invert": lambda x: Add((neg(x), number(-1))),
    "expit": _calls("sigmoid"),
    "psi": _calls("digamma"),
    **{
        row.name: _calls(row.name)
        for row in TABLE.values()
        if row.name in SPECIAL and not row.counted
    },
    **{name: made for name, (_, made) in MADE.items()},
    **{
        name: _calls(name)
        for name in (
            *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt"),
            *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "hypot"),
            *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "deg2rad", "rad2deg"),
            *("maximum", "minimum", "clip", "sign", "floor", "ceil", "trunc", "rint", "heaviside"),
            *("floor_divide", "fmod", "copysign", "logaddexp", "erf", "xlogy"),
        )
    },
}

# ufunc name -> the condition it is of the elements as numbers
TESTS: dict[str, Conditions] = {
    "less": lambda a, b: Compare("<", a, b),
    "less_equal": lambda a, b: Compare("<=", a, b),
    "greater": lambda a, b: Compare("<", b, a),
    "greater_equal": lambda a, b: Compare("<=", b, a),
    "equal": lambda a, b: Compare("==", a, b),
    "not_equal": lambda a, b: Compare("!=", a, b),
    "isnan": _isnan,
    "isinf": lambda x: Compare("==", fn("abs", x), INFINITY),
    "isfinite": lambda x: Compare("<", fn("abs", x), INFINITY),
    "signbit": lambda x: Compare("<", fn("copysign", ONE, x), ZERO),
}

# ufunc name -> the condition it is of the elements as conditions, where the result is bool
LOGIC: dict[str, Conditions] = {
    "logical_and": lambda a, b: And((a, b)),
    "logical_or": lambda a, b: Or((a, b)),
    "logical_not": Not,
    "logical_xor": lambda a, b: Or((And((a, Not(b))), And((Not(a), b)))),
}
ROUNDINGS = "floor", "ceil", "trunc"
OTHERS: dict[str, Conditions] = {
    "bitwise_and": LOGIC["logical_and"],
    "bitwise_or": LOGIC["logical_or"],
    "bitwise_xor": LOGIC["logical_xor"],
    "invert": LOGIC["logical_not"],
    "add": LOGIC["logical_or"],
    "maximum": LOGIC["logical_or"],
    "multiply": LOGIC["logical_and"],
    "minimum": LOGIC["logical_and"],
    "not_equal": LOGIC["logical_xor"],
    "clip": lambda a, low, high: And((Or((a, low)), high)),
    "fmax": LOGIC["logical_or"],
    "fmin": LOGIC["logical_and"],
    **dict.fromkeys(("absolute", "conjugate", *ROUNDINGS), lambda a: a),
}
LOGIC |= OTHERS

# ufuncs with two results -> the single-result lowerings of each
PAIRS: dict[str, tuple[Numbers, Numbers]] = {
    "divmod": (_calls("floor_divide"), _calls("mod")),
    "modf": (_fraction, _calls("trunc")),
}


def known_ufunc(ufunc: Any) -> bool:
    """Whether a ufunc has a row."""
    name = ufunc.__name__
    return name in NUMBERS or name in TESTS or name in LOGIC or name in PAIRS


def sample(value: Value) -> Any:
    """A tiny operand that takes part in NumPy's promotion as ``value`` does."""
    if value.weak is not None:
        return value.weak(value.literal if value.literal is not None else 1)
    fill = 1 if value.literal is None else value.literal
    return np.full((1,), fill, value.dtype)


def result_dtypes(ufunc: Any, values: Sequence[Value], dtype: Any = None) -> tuple[DType, ...]:
    """The dtypes of a ufunc's results: NumPy itself is asked, on one element."""
    with np.errstate(all="ignore"):
        options = {} if dtype is None else {"dtype": dtype}
        found = ufunc(*map(sample, values), **options)
    return tuple(part.dtype for part in (found if isinstance(found, tuple) else (found,)))


def apply_ufunc(sheet: Sheet, ufunc: Any, inputs: Sequence[Any], dtype: Any = None) -> Any:
    """One or two values: a ufunc on traced arrays, constants and numbers."""
    values = [sheet.value(given) for given in inputs]
    results = result_dtypes(ufunc, values, dtype)
    if dtype is not None and results[0].kind == "f":
        values = all_as(sheet, values, results[0])
    values = _widened(sheet, ufunc, values, results)
    name = ufunc.__name__
    weak = float if values and all(v.weak for v in values) and results[0].kind == "f" else None
    if name in PAIRS:
        pair = zip(PAIRS[name], results, strict=True)
        return tuple(elementwise(lowered, values, found) for lowered, found in pair)
    if results[0] == BOOL:
        logic = name in LOGIC and (name not in TESTS or all(v.is_bool for v in values))
        return test_elementwise(LOGIC[name] if logic else TESTS[name], values, logic)
    if name in ROUNDINGS and results[0].kind in "iu":  # whole numbers are rounded already
        return elementwise(lambda whole: whole, values, results[0])
    if name not in NUMBERS:
        raise sheet.refusal(f"np.{name} of integers can't be traced", hint=hint_for(name))
    return replace(elementwise(NUMBERS[name], values, results[0]), weak=weak)


def _widened(
    sheet: Sheet, ufunc: Any, values: list[Value], results: tuple[DType, ...]
) -> list[Value]:
    """The operands, cast where only a constant of a wider dtype, or integers that meet floats, make
    the result as wide as it is.

    A constant is printed as a plain number, which by itself widens nothing; integers are written as
    floats of the width of those that they meet.
    """
    wide = results[0]
    counts = "iu" if wide.kind == "f" else ""
    strong = [
        v
        for v in values
        if v.weak is None and not v.is_bool and (v.literal is not None or v.dtype.kind in counts)
    ]
    if wide.kind == "f" and ufunc is not np.true_divide and _only_integral(values):
        return [sheet.keep(cast(v, wide)) if v.literal is None else v for v in values]
    if not strong or len(strong) == len(values) or wide == BOOL:
        return values
    kinds = {"f": float, "i": int, "u": int}
    weak = [replace(v, weak=kinds[v.dtype.kind]) if v in strong else v for v in values]
    try:
        natural = result_dtypes(ufunc, weak)
    except (OverflowError, TypeError, ValueError):
        natural = ()
    if natural == results:
        return values
    kinds_of = {"i": "iu", "u": "iu"}.get(wide.kind, wide.kind)
    same = [v.dtype.kind in (*kinds_of, *counts) and v.literal is None for v in values]
    return [sheet.keep(cast(v, wide)) if s else v for v, s in zip(values, same, strict=True)]


def _only_integral(values: Sequence[Value]) -> bool:
    """Whether integers meet no floats but constants such as 2.0, which are printed as integers."""
    known = [v.literal for v in values if v.literal is not None and v.dtype.kind == "f"]
    rest = [v for v in values if v.literal is None]
    return (
        any(float(one).is_integer() for one in known)
        and bool(rest)
        and all(v.dtype.kind in "iu" for v in rest)
    )


def elementwise(lowered: Numbers, values: Sequence[Value], dtype: DType) -> Value:
    """``lowered`` of the elements of values broadcast together, as numbers."""
    wide = broadcast_all(values)
    return Value(
        wide[0].shape,
        dtype,
        lambda subs: lowered(*(v.read(subs) for v in wide)),
        joined_axes(wide),
    )


def test_elementwise(lowered: Conditions, values: Sequence[Value], logic: bool) -> Value:
    """A condition of the elements of values broadcast together."""
    wide = broadcast_all(values)
    return condition(
        wide[0].shape,
        lambda subs: lowered(*(v.test(subs) if logic else v.read(subs) for v in wide)),
        joined_axes(wide),
    )


test_elementwise.__test__ = False  # type: ignore[attr-defined]


def broadcast_all(values: Sequence[Value]) -> list[Value]:
    """Values broadcast to their common shape."""
    shape = np.broadcast_shapes(*(v.shape for v in values))
    return [broadcast(v, shape) for v in values]


def common_dtype(values: Sequence[Value]) -> DType:
    """What NumPy promotes these to together."""
    return np.result_type(*map(sample, values))


def as_wide(sheet: Sheet, values: Sequence[Value], dtype: DType) -> list[Value]:
    """The values, cast to a dtype of floats where it is wider than their own floats because of the
    integers among them: narrower floats would hold fewer of these."""
    arrays = [v for v in values if v.literal is None and v.weak is None]
    floats = {v.dtype for v in arrays if v.dtype.kind == "f"}
    counts = any(v.dtype.kind in "iu" for v in arrays)
    if dtype.kind != "f" or not counts or not floats or dtype in floats:
        return list(values)
    return all_as(sheet, values, dtype)


def all_as(sheet: Sheet, values: Sequence[Value], dtype: DType) -> list[Value]:
    """Numbers as floats of one dtype."""
    stay = [v.literal is not None or v.is_bool or v.dtype == dtype for v in values]
    return [v if s else sheet.keep(cast(v, dtype)) for v, s in zip(values, stay, strict=True)]


@row(np.where)
def where(sheet: Sheet, condition: Any, x: Any, y: Any) -> Value:
    """x where the condition holds, else y."""
    test, then, other = map(sheet.value, (condition, x, y))
    dtype = common_dtype((then, other))
    then, other = as_wide(sheet, (then, other), dtype)
    return select(test, then, other, dtype)


def select(test: Value, then: Value, other: Value, dtype: DType) -> Value:
    """Element-wise choice."""
    test, then, other = broadcast_all((test, then, other))
    axes = joined_axes((then, other, test))
    if dtype == BOOL:
        return Value(
            test.shape,
            dtype,
            lambda s: Or(
                (And((test.test(s), then.test(s))), And((Not(test.test(s)), other.test(s))))
            ),
            axes,
        )
    return Value(
        test.shape, dtype, lambda s: Select(test.test(s), then.read(s), other.read(s)), axes
    )


@row(np.select)
def select_many(sheet: Sheet, condlist: Any, choicelist: Any, default: Any = 0) -> Value:
    """The choice of the first condition that holds."""
    choices = [sheet.value(choice) for choice in choicelist]
    out = sheet.value(default)
    dtype = common_dtype([*choices, out])
    *choices, out = as_wide(sheet, [*choices, out], dtype)
    for test, choice in reversed(list(zip(condlist, choices, strict=True))):
        out = sheet.keep(select(sheet.value(test), choice, out, dtype))
    return out


@row(np.clip)
def clip(
    sheet: Sheet, a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
) -> Value:
    """a, but not below ``a_min`` nor above ``a_max``."""
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if low is None and high is None:
        return sheet.value(a)
    if high is None:
        return apply_ufunc(sheet, np.maximum, (a, low))  # type: ignore[no-any-return]
    if low is None:
        return apply_ufunc(sheet, np.minimum, (a, high))  # type: ignore[no-any-return]
    values = [sheet.value(v) for v in (a, low, high)]
    dtype = np.clip(*map(sample, values)).dtype
    return elementwise(NUMBERS["clip"], values, dtype)


MOST_DECIMALS = 300  # as far as powers of ten are floats


@row(np.round, np.around)
def round_(sheet: Sheet, a: Any, decimals: int = 0) -> Value:
    """The nearest multiple of 10^-decimals, ties to even."""
    value, decimals = sheet.value(a), operator.index(decimals)
    if abs(decimals) > MOST_DECIMALS:
        raise OverflowError(f"decimals is beyond {MOST_DECIMALS}")
    if value.dtype.kind == "i" and decimals >= 0:
        return value
    if decimals == 0:
        return elementwise(_calls("rint"), [value], np.round(sample(value)).dtype)
    scale = number(10 ** abs(decimals))
    up, down = (scale, power(scale, -1)) if decimals > 0 else (power(scale, -1), scale)
    return elementwise(
        lambda x: Mul((fn("rint", Mul((x, up))), down)),
        [value],
        np.round(sample(value), decimals).dtype,
    )


@row(np.fix)
def fix(sheet: Sheet, x: Any) -> Value:
    """Rounded towards zero."""
    value = sheet.value(x)
    return elementwise(_calls("trunc"), [value], np.fix(sample(value)).dtype)


@row(np.sinc)
def sinc(sheet: Sheet, x: Any) -> Value:
    """sin(pi x)/(pi x), 1 at 0."""
    value = sheet.value(x)
    return elementwise(_calls("sinc"), [value], np.sinc(sample(value)).dtype)


@row(np.nan_to_num)
def nan_to_num(
    sheet: Sheet,
    x: Any,
    copy: bool = True,
    nan: float = 0.0,
    posinf: Any = None,
    neginf: Any = None,
) -> Value:
    """NaN replaced by ``nan``, infinities by the given or the greatest numbers."""
    value = sheet.value(x)
    if not copy:
        raise sheet.refusal("np.nan_to_num(copy=False) changes its argument", hint="leave copy out")
    if value.dtype.kind != "f":
        return value
    top = number(float(np.finfo(value.dtype).max) if posinf is None else float(posinf))
    bottom = number(float(np.finfo(value.dtype).min) if neginf is None else float(neginf))

    def lowered(a: Expr) -> Expr:
        below = Select(Compare("==", a, number(float("-inf"))), bottom, a)
        above = Select(Compare("==", a, INFINITY), top, below)
        return Select(_isnan(a), number(float(nan)), above)

    return elementwise(lowered, [value], value.dtype)


@row(np.real, view=True)
def real(sheet: Sheet, val: Any) -> Value:
    """The array itself."""
    return sheet.value(val)


@row(np.isclose)
def isclose(
    sheet: Sheet, a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Value:
    """|a - b| <= atol + rtol·|b|, or equal."""
    if equal_nan:
        raise sheet.refusal(
            "np.isclose(equal_nan=True) can't be traced", hint="leave equal_nan out"
        )

    def lowered(x: Expr, y: Expr) -> Cond:
        apart = fn("abs", Add((x, neg(y))))
        bound = Add((number(float(atol)), Mul((number(float(rtol)), fn("abs", y)))))
        near = And((Compare("<", fn("abs", y), INFINITY), Compare("<=", apart, bound)))
        return Or((near, Compare("==", x, y)))

    return test_elementwise(lowered, [sheet.value(a), sheet.value(b)], False)
