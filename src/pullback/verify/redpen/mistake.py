"""A mistake as it is told: the term, what it should be, and the corrected lines."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from ...backends.numpy import spell
from ...errors import PullbackError
from ...ir.expr import ONE, ZERO, Access, Expr, Mul, Number, SizeOf, number
from ...ir.program import Define, Program, reads
from ...notation.plain import show
from .changes import scaled
from .fit import Fit, programs
from .trials import Trials


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a gradient, in words and as formulas.

    ``kind`` is one of "coefficient", "factor", "twice", "inverse", "operand", "everywhere",
    "order", "sum", "axis", "power", "function", "mask", "value", "factors", "swapped",
    "transposed". ``statement`` is
    the name of the value whose line is wrong, ``term`` the part of it, ``found`` and ``right`` the
    coefficients of that term or the two parts, as text. ``line`` is the corrected line in index
    notation, ``found_line`` the line that gives what was found, ``numpy`` the corrected line in
    NumPy. ``smallest`` are sizes at which the two differ. ``correct`` and ``wrong`` are both
    backward passes as programs, from the inputs and cotangents to this gradient.
    """

    kind: str
    text: str
    statement: str
    term: str
    found: str
    right: str
    line: str
    found_line: str
    numpy: str
    smallest: Mapping[str, int]
    correct: Program = field(repr=False, compare=False)
    wrong: Program = field(repr=False, compare=False)

    def __str__(self) -> str:
        lines = [self.text, f"is        {self.found_line}", f"should be {self.line}"]
        if self.numpy:
            lines.append(f"in NumPy  {self.numpy}")
        if self.smallest:
            sizes = ", ".join(f"{name}={n}" for name, n in self.smallest.items())
            lines.append(f"the smallest shape that shows it: {sizes}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The same without the programs, for JSON."""
        own = {k: v for k, v in self.__dict__.items() if k not in ("correct", "wrong")}
        return {**own, "smallest": dict(self.smallest)}


def told(fit: Fit, trials: Trials) -> Mistake:
    """A fit in words."""
    correct, wrong = programs(fit, trials)
    text, term, found, right = _WORDS[fit.kind](fit)
    if fit.spread:
        text += f", and it lacks the shape of {fit.gradient.name[1:]}"
    return Mistake(
        fit.kind,
        text,
        fit.right.target.name,
        term,
        found,
        right,
        _line(fit.right),
        _line(fit.found),
        numpy_line(fit.right),
        fit.smallest,
        correct,
        wrong,
    )


def _line(statement: Define) -> str:
    return show(replace(statement, scatter=None))


def numpy_line(statement: Define) -> str:
    """A statement as NumPy, sizes taken for known; "" where that takes a loop."""
    inputs = [t for t in reads(statement) if t is not statement.target]
    if len(inputs) != len(reads(statement)):
        return ""
    try:
        source = spell("line", inputs, [statement], [statement.target], comments=False)
    except PullbackError:
        return ""
    function = next(n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef))
    *body, last = function.body
    if not all(isinstance(n, ast.Assign) for n in body) or not isinstance(last, ast.Return):
        return ""
    lines = [ast.unparse(n) for n in body if "shape" not in ast.unparse(n)]
    name = ast.unparse(last.value) if last.value is not None else ""
    return "; ".join(
        lines if name.isidentifier() else [*lines, f"{statement.target.name} = {name}"]
    )


def _value(value: Expr) -> str:
    return f"`{show(value)}`"


def _coefficient(value: Expr) -> str:
    return show(value)


def _own(value: Expr) -> Fraction:
    """The number in front of a term."""
    if isinstance(value, Number):
        return value.value
    if isinstance(value, Mul) and value.factors and isinstance(value.factors[0], Number):
        return value.factors[0].value
    return Fraction(1)


def _where(fit: Fit) -> str:
    """In which value, where that is not the gradient itself."""
    name = fit.right.target.name
    return "" if fit.right.target is fit.gradient else f" in {name}"


def _number(value: Fraction) -> str:
    return show(number(value)).replace("-", "−") if abs(value) > 1e-3 else show(number(value))


def _of_coefficient(fit: Fit) -> tuple[str, str, str, str]:
    whole = fit.before is fit.right.body
    value = scaled(number(fit.number), fit.before)
    if isinstance(fit.before, Number):
        value = number(fit.before.value * fit.number)
    name, term = fit.right.target.name, show(value)
    own = _own(value)
    k = fit.coefficient
    if fit.after is ZERO:
        return f"the term `{term}` is missing{_where(fit)}", term, "0", _number(own)
    if fit.after is not fit.before:  # inside a function, where no coefficient can be fitted
        return _of_operand(fit)
    if isinstance(k, Number):
        ratio = k.value
        found, right = _number(ratio * own), _number(own)
        if ratio == 0:
            what = f"{name} is zero everywhere" if whole else f"the term `{term}` is missing"
            return what + ("" if whole else _where(fit)), term, "0", right
        if whole:
            if ratio == -1:
                return f"the sign of {name} is wrong everywhere", term, found, right
            return (
                f"{name} is {_number(ratio)} times what it should be, everywhere",
                term,
                found,
                right,
            )
        if isinstance(value, Number):
            return (
                f"the constant term is {found}{_where(fit)}, it should be {right}",
                term,
                found,
                right,
            )
        what = f"the term `{term}` has the coefficient {found}{_where(fit)}, it should be {right}"
        if ratio == -1:
            what += ": its sign is wrong"
        return what, term, found, right
    times = _coefficient(k)
    subject = f"{name} is" if whole else f"the term `{term}` is"
    why = " (a sum for a mean)" if isinstance(k, SizeOf) else ""
    text = f"{subject} {times} times what it should be{'' if whole else _where(fit)}{why}"
    return text, term, times, "1"


def _of_factor(fit: Fit) -> tuple[str, str, str, str]:
    part, outer = show(fit.before), show(fit.outer)
    return f"the factor `{part}` is missing in `{outer}`{_where(fit)}", part, "1", part


def _of_twice(fit: Fit) -> tuple[str, str, str, str]:
    part, outer = show(fit.before), show(fit.outer)
    return f"the factor `{part}` is there once too often in `{outer}`{_where(fit)}", part, "2", "1"


def _of_inverse(fit: Fit) -> tuple[str, str, str, str]:
    part, outer = show(fit.before), show(fit.outer)
    return (
        f"`{outer}`{_where(fit)} holds `{part}` the other way up: divided for multiplied",
        part, show(fit.after), part,
    )  # fmt: skip


def _of_operand(fit: Fit) -> tuple[str, str, str, str]:
    return (
        f"{_value(fit.after)} stands where {_value(fit.before)} should{_where(fit)}",
        show(fit.before), show(fit.after), show(fit.before),
    )  # fmt: skip


def _of_mask(fit: Fit) -> tuple[str, str, str, str]:
    if fit.after is not ONE:
        return _of_operand(fit)
    part = show(fit.before)
    return f"the mask `{part}` is missing{_where(fit)}", part, "1", part


def _of_order(fit: Fit) -> tuple[str, str, str, str]:
    if not isinstance(fit.before, Access):
        text, term, found, right = _of_operand(fit)
        return f"two factors are in each other's place: {text}", term, found, right
    name = fit.before.tensor.name
    return (
        f"{name} is transposed: {_value(fit.after)} stands where {_value(fit.before)} "
        f"should{_where(fit)}",
        show(fit.before), show(fit.after), show(fit.before),
    )  # fmt: skip


def _of_sum(fit: Fit) -> tuple[str, str, str, str]:
    return (
        f"{_value(fit.before)} is not summed: {_value(fit.after)} stands there{_where(fit)}",
        show(fit.before), show(fit.after), show(fit.before),
    )  # fmt: skip


def _of_axis(fit: Fit) -> tuple[str, str, str, str]:
    return (
        f"summed over the wrong axis: {_value(fit.after)} stands where {_value(fit.before)} "
        f"should{_where(fit)}",
        show(fit.before), show(fit.after), show(fit.before),
    )  # fmt: skip


def _of_swapped(fit: Fit) -> tuple[str, str, str, str]:
    name = fit.right.target.name
    return (
        f"it is {fit.other}, not {name}: two gradients are in each other's place",
        name, fit.other, name,
    )  # fmt: skip


def _of_transposed(fit: Fit) -> tuple[str, str, str, str]:
    name = fit.right.target.name
    return f"{name} is transposed", name, show(fit.found.access), show(fit.right.access)


_WORDS = {
    "coefficient": _of_coefficient,
    "factor": _of_factor,
    "twice": _of_twice,
    "inverse": _of_inverse,
    "operand": _of_operand,
    "everywhere": _of_operand,
    "power": _of_operand,
    "function": _of_operand,
    "value": _of_operand,
    "factors": _of_operand,
    "mask": _of_mask,
    "order": _of_order,
    "sum": _of_sum,
    "axis": _of_axis,
    "swapped": _of_swapped,
    "transposed": _of_transposed,
}

__all__ = ["Mistake", "told"]
