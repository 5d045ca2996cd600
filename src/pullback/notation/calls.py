"""Calls of functions, by their names."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, NoReturn

from ..functions import MADE, TABLE
from ..ir.expr import ZERO, Add, Apply, Expr, IndexOf, Mul, Select, SizeOf
from ..text import nearest
from .conditions import cond as condition
from .tree import Call

if TYPE_CHECKING:
    from .lower import Lower

POWERS = {
    "sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2), "square": Fraction(2),
    "reciprocal": Fraction(-1),
}  # fmt: skip
"""Functions that are literal powers."""

SPELLINGS = {
    "ln": "log", "expit": "sigmoid", "logistic": "sigmoid", "sgn": "sign", "absolute": "abs",
    "fabs": "abs", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "atan2": "arctan2", "round": "rint", "max": "maximum",
    "min": "minimum", "fmax": "maximum", "fmin": "minimum", "remainder": "mod", "power": "pow",
    "radians": "deg2rad", "degrees": "rad2deg", "psi": "digamma", "lgamma": "gammaln",
}  # fmt: skip
"""Other names of functions."""

OVER_AXES = {
    "softmax": "E[i,j] = exp(X[i,j] - max(k) X[i,k]); P[i,j] = E[i,j] / sum(k) E[i,k]",
    "log_softmax": "Z[i,j] = X[i,j] - max(k) X[i,k]; Y[i,j] = Z[i,j] - log(sum(k) exp(Z[i,k]))",
    "logsumexp": "M[i] = max(k) X[i,k]; Y[i] = M[i] + log(sum(k) exp(X[i,k] - M[i]))",
}
"""Functions of whole axes, which have no name in index notation, and how they are written."""

CHAINED = frozenset({"maximum", "minimum"})
"""Functions of two arguments that take more by nesting to the left."""


def call(lower: Lower, node: Call) -> Expr:
    """The value of a call; refuses unknown functions and wrong numbers of arguments."""
    own = BUILDERS.get(node.name)
    if own is not None:
        return own(lower, node)
    if node.name in POWERS:
        (arg,) = _args(lower, node, 1)
        return lower.powered(arg, POWERS[node.name], node)
    name = SPELLINGS.get(node.name, node.name)
    row = TABLE.get(name)
    if node.name in lower.names.arrays or (row is None and name not in MADE):
        _unknown(lower, node)
    if row is None or name in MADE:
        count, made = MADE[name]
        return made(*_args(lower, node, count))
    if name in CHAINED and len(node.args) > 2:
        args = [lower.whole(arg) for arg in node.args]
        out = args[0]
        for arg in args[1:]:
            out = Apply(name, (out, arg))
        return out
    return Apply(name, tuple(_args(lower, node, row.arity)))


def _unknown(lower: Lower, node: Call) -> NoReturn:
    known = sorted({*TABLE, *MADE, *SPELLINGS, *POWERS, *BUILDERS} - {"add", "mul"})
    close = nearest(node.name, known, 2)
    hint = f"did you mean {' or '.join(close)}?" if close else ""
    if node.name in OVER_AXES:
        hint = f"over an axis it is written {OVER_AXES[node.name]}"
    if node.name in lower.names.arrays:
        hint = f"{node.name} is an array: its subscripts go in brackets"
    lower.names.fail(
        node, f"there is no function {node.name}", hint=hint,
        expected="a function of the table (exp, log, tanh, ...)",
    )  # fmt: skip


def _args(lower: Lower, node: Call, count: int) -> list[Expr]:
    _check_count(lower, node, count)
    return [lower.whole(arg) for arg in node.args]


def _check_count(lower: Lower, node: Call, count: int) -> None:
    if len(node.args) != count:
        lower.names.fail(
            node, f"{node.name} has the wrong number of arguments",
            expected=str(count), found=str(len(node.args)),
        )  # fmt: skip


def _where(lower: Lower, node: Call) -> Expr:
    _check_count(lower, node, 3)
    cond, then, other = node.args
    return Select(condition(lower, cond), lower.whole(then), lower.whole(other))


def _relu(lower: Lower, node: Call) -> Expr:
    return Apply("maximum", (*_args(lower, node, 1), ZERO))


def _one_index(lower: Lower, node: Call) -> Expr:
    _check_count(lower, node, 1)
    return IndexOf(lower.affine.subscript(node.args[0]))


def _one_size(lower: Lower, node: Call) -> Expr:
    _check_count(lower, node, 1)
    return SizeOf(lower.affine.size(node.args[0]))


def _one_value(lower: Lower, node: Call) -> Expr:
    return _args(lower, node, 1)[0]


def _sum_of(lower: Lower, node: Call) -> Expr:
    return Add(tuple(map(lower.whole, node.args)))


def _product_of(lower: Lower, node: Call) -> Expr:
    return Mul(tuple(map(lower.whole, node.args)))


def _no_value(lower: Lower, node: Call) -> Expr:
    lower.names.fail(node, "a condition where a value is expected", hint="write it in brackets")


BUILDERS: dict[str, Callable[[Lower, Call], Expr]] = {
    "where": _where, "relu": _relu, "index": _one_index, "size": _one_size,
    "value": _one_value, "add": _sum_of, "mul": _product_of, "all": _no_value, "any": _no_value,
}  # fmt: skip
"""Calls that are no functions of the table; some of them say how a part is read."""
