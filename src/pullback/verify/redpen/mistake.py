"""A mistake as it is told: the term, what it should be, and the corrected lines."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from ...backends.numpy import spell
from ...calculus.step import Backward
from ...errors import PullbackError
from ...ir.expr import ONE, ZERO, Access, Add, Expr, Mul, Number, Power, SizeOf, Tensor, number
from ...ir.program import Define, Program, reads
from ...ir.sizes import ONE as SINGLE
from ...ir.subscripts import constant
from ...ir.walk import bottom_up, bound_indices, map_tensors, nodes, substitute
from ...notation.plain import show
from .changes import scaled
from .fit import PART, Fit, inlined, programs, unnamed
from .trials import Trials

NAMES = 6  # that are explained at most
SHORT = 40  # characters of a sum that is quoted beside its term


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a gradient, in words and as formulas.

    ``kind`` is one of "coefficient", "factor", "twice", "inverse", "operand", "everywhere",
    "order", "sum", "axis", "power", "function", "mask", "value", "factors", "swapped",
    "transposed". ``statement`` is
    the name of the value whose line is wrong, ``term`` the part of it, ``found`` and ``right`` the
    coefficients of that term or the two parts, as text. ``line`` is the corrected line in index
    notation, ``found_line`` the line that gives what was found, ``numpy`` the corrected line in
    NumPy; ``names`` says what the names in these lines are that your functions don't have.
    ``smallest`` are sizes at which the two differ. ``correct`` and ``wrong`` are both
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
    names: tuple[str, ...]
    smallest: Mapping[str, int]
    correct: Program = field(repr=False, compare=False)
    wrong: Program = field(repr=False, compare=False)

    def __str__(self) -> str:
        lines = [self.text, f"is        {self.found_line}", f"should be {self.line}"]
        if self.numpy:
            lines.append(f"in NumPy  {self.numpy}")
        lines += [f"{'' if k else 'with':<10}{name}" for k, name in enumerate(self.names)]
        if self.smallest:
            sizes = ", ".join(f"{name}={n}" for name, n in self.smallest.items())
            lines.append(f"the smallest shape that shows it: {sizes}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The same without the programs, for JSON."""
        own = {k: v for k, v in self.__dict__.items() if k not in ("correct", "wrong")}
        return {**own, "names": list(self.names), "smallest": dict(self.smallest)}


def told(fit: Fit, trials: Trials) -> Mistake:
    """A fit in words."""
    correct, wrong = programs(fit, trials)
    text, term, found, right = _WORDS[fit.kind](_opened(fit, trials))
    if fit.right.target in {s.target for s in trials.backward.forward.statements}:
        text += " that the backward pass uses"
    if fit.spread:
        text += f", and its shape is not that of {fit.gradient.name[1:]}"
    lines = _line(fit.right), _line(fit.found)
    return Mistake(
        fit.kind,
        text,
        fit.right.target.name,
        term,
        found,
        right,
        *lines,
        numpy_line(_on_own_axes(fit.right, trials.program)),
        _names(fit, trials, lines),
        fit.smallest,
        correct,
        wrong,
    )


def _line(statement: Define) -> str:
    return show(replace(statement, body=_rounded(statement.body, 16), scatter=None))


def _names(fit: Fit, trials: Trials, lines: Sequence[str]) -> tuple[str, ...]:
    """What the names in some lines are that a person's own functions don't have."""
    backward = trials.backward
    forward = {s.target: s for s in backward.forward.statements}
    known = {**forward, **{s.target: s for s in fit.statements}}
    nameless = unnamed(tuple(known.values()))
    values = {t: s for t, s in known.items() if t in nameless}
    todo = list(dict.fromkeys([fit.right.target, *reads(fit.right), *reads(fit.found)]))
    if fit.right.target in forward:  # how the backward pass uses it
        users = [s.target for s in fit.statements if fit.right.target in reads(s)]
        values |= {t: known[t] for t in users if t not in forward}
        todo += [t for t in users if t not in todo]
    found: list[str] = []
    for tensor in todo:
        told = _output(tensor, backward, forward) or _gradient(tensor, backward, forward, nameless)
        if not told and tensor in values and tensor is not fit.right.target:
            own = inlined(values[tensor], {t: s for t, s in values.items() if t in nameless})
            told = _line(own)
            todo += [t for t in reads(own) if t not in todo]
        if told and told not in found:
            found.append(told)
    words = {word for line in (*lines, *found) for word in re.findall(r"[^\W\d]\w*", line)}
    sizes = [f"{name} = {axis}" for name, axis in trials.extents.items() if name in words]
    return (*found[:NAMES], *((", ".join(sizes),) if sizes else ()))


def _output(tensor: Tensor, backward: Backward, forward: Mapping[Tensor, Define]) -> str:
    """What a result without a name is, or its gradient; "" for anything else."""
    floats = [t for t in backward.program.outputs if t.kind == "float"]
    for output, cotangent in zip(floats, backward.cotangents, strict=False):
        if tensor in (output, cotangent) and output in forward and not forward[output].user:
            which = "what" if len(backward.program.outputs) == 1 else "one of those that"
            return (
                f"{output.name} is {which} the forward pass returns, {cotangent.name} its gradient"
            )
    return ""


def _gradient(
    tensor: Tensor, backward: Backward, forward: Mapping[Tensor, Define], nameless: set[Tensor]
) -> str:
    """Of what a tensor is the gradient, if its name can't tell."""
    taken = {t.name for t in backward.cotangents}
    for value, statement in forward.items():
        name = f"d{value.name}"
        if value in nameless and tensor in nameless and tensor.name == name:
            parts = {t: s for t, s in forward.items() if t in nameless}
            return f"{name} is the gradient of {_line(inlined(statement, parts))}"
        if name in taken and re.fullmatch(rf"{re.escape(name)}\d+", tensor.name):
            return f"{tensor.name} is the gradient of {value.name} over all paths"
    return ""


def _opened(fit: Fit, trials: Trials) -> Fit:
    """The same with values that have no name written out where they stand alone in the text."""
    forward = {s.target: s for s in trials.backward.forward.statements if not s.user}

    def opened(value: Expr) -> Expr:
        if not isinstance(value, Access) or value.tensor not in forward:
            return value
        if value.tensor in trials.backward.program.outputs:
            return value
        own = inlined(forward[value.tensor], forward)
        if sum(1 for _ in nodes(own.body)) > PART or not all(s.index for s in value.subs):
            return value
        taken = {i.name for i in bound_indices(own.body)}
        if taken & {i.name for s in value.subs for i in ([s.index] if s.index else [])}:
            return value
        moved = dict(zip(own.indices, value.subs, strict=True))
        return substitute(own.body, moved)  # type: ignore[return-value]

    return replace(fit, before=opened(fit.before), after=opened(fit.after))


def _rounded(value: Expr, digits: int) -> Expr:
    """A formula with so many digits of its longer decimals."""

    def change(node: Any) -> Any:
        if not isinstance(node, Number) or node.special or node.value.denominator < 1000:
            return node
        return number(float(f"{float(node.value):.{digits}g}"))

    return bottom_up(value, change)  # type: ignore[return-value]


def _text(value: Expr) -> str:
    """A formula as it stands in a sentence."""
    return show(_rounded(value, 6))


def _on_own_axes(statement: Define, program: Program) -> Define:
    """The statement with a program's values read as the program makes them, axes of one place
    (``keepdims=True``) included."""
    own = {s.target.name: s.target for s in program.statements}

    def read(access: Access) -> Access:
        tensor = own.get(access.tensor.name, access.tensor)
        if [n for n in tensor.shape if n is not SINGLE] != list(access.tensor.shape):
            return access
        subs = iter(access.subs)
        places = tuple(constant(0) if n is SINGLE else next(subs) for n in tensor.shape)
        return Access(tensor, places)

    body: Expr = map_tensors(statement.body, read)  # type: ignore[assignment]
    return replace(statement, body=body)


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
    return f"`{_text(value)}`"


def _coefficient(value: Expr) -> str:
    return _text(value)


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
    return _text(number(value)).replace("-", "−") if abs(value) > 1e-3 else _text(number(value))


def _inside(fit: Fit) -> str:
    """In which sum, where that is not the value of the whole statement, and in which value."""
    if isinstance(fit.outer, Add) and fit.outer is not fit.right.body:
        outer = _text(fit.outer)
        return f" in `{outer}`{_where(fit)}" if len(outer) <= SHORT else _where(fit)
    return _where(fit)


def _of_coefficient(fit: Fit) -> tuple[str, str, str, str]:
    whole = fit.before is fit.right.body
    value = scaled(number(fit.number), fit.before)
    if isinstance(fit.before, Number):
        value = number(fit.before.value * fit.number)
    name, term = fit.right.target.name, _text(value)
    own = _own(value)
    k = fit.coefficient
    if fit.after is ZERO:
        return f"the term `{term}` is missing{_inside(fit)}", term, "0", _number(own)
    if fit.after is not fit.before:  # inside a function, where no coefficient can be fitted
        return _of_operand(fit)
    if isinstance(k, Number):
        ratio = k.value
        found, right = _number(ratio * own), _number(own)
        if ratio == 0:
            what = f"{name} is zero everywhere" if whole else f"the term `{term}` is missing"
            return what + ("" if whole else _inside(fit)), term, "0", right
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
        elif value is not fit.before or len(right) > 5:
            what += f", {_number(1 / ratio)} times that" if ratio.numerator == 1 else ""
        return what, term, found, right
    times = _coefficient(k)
    subject = f"{name} is" if whole else f"the term `{term}` is"
    why = " (a sum for a mean)" if isinstance(k, SizeOf) else ""
    if isinstance(k, Power) and isinstance(k.base, SizeOf):
        why = " (a mean for a sum)"
    text = f"{subject} {times} times what it should be{'' if whole else _where(fit)}{why}"
    return text, term, times, "1"


def _of_factor(fit: Fit) -> tuple[str, str, str, str]:
    part, outer = _text(fit.before), _text(fit.outer)
    return f"the factor `{part}` is missing in `{outer}`{_where(fit)}", part, "1", part


def _of_twice(fit: Fit) -> tuple[str, str, str, str]:
    part, outer = _text(fit.before), _text(fit.outer)
    return f"the factor `{part}` is there once too often in `{outer}`{_where(fit)}", part, "2", "1"


def _of_inverse(fit: Fit) -> tuple[str, str, str, str]:
    part, outer = _text(fit.before), _text(fit.outer)
    does, should = "divides", "multiply"
    if isinstance(fit.before, Power) and fit.before.exponent < 0:
        does, should = "multiplies", "divide"
        part = _text(Power(fit.before.base, -fit.before.exponent))
    text = f"`{part}` {does} where it should {should}, in `{outer}`{_where(fit)}"
    return text, _text(fit.before), _text(fit.after), _text(fit.before)


def _of_operand(fit: Fit) -> tuple[str, str, str, str]:
    return (
        f"{_value(fit.after)} stands where {_value(fit.before)} should{_where(fit)}",
        _text(fit.before), _text(fit.after), _text(fit.before),
    )  # fmt: skip


def _of_mask(fit: Fit) -> tuple[str, str, str, str]:
    if fit.after is not ONE:
        return _of_operand(fit)
    part = _text(fit.before)
    return f"the mask `{part}` is missing{_where(fit)}", part, "1", part


def _of_order(fit: Fit) -> tuple[str, str, str, str]:
    if not isinstance(fit.before, Access):
        text, term, found, right = _of_operand(fit)
        return f"two factors are in each other's place: {text}", term, found, right
    name = fit.before.tensor.name
    return (
        f"{name} is transposed: {_value(fit.after)} stands where {_value(fit.before)} "
        f"should{_where(fit)}",
        _text(fit.before), _text(fit.after), _text(fit.before),
    )  # fmt: skip


def _of_sum(fit: Fit) -> tuple[str, str, str, str]:
    return (
        f"a sum is missing: {_value(fit.after)} stands where {_value(fit.before)} "
        f"should{_where(fit)}",
        _text(fit.before), _text(fit.after), _text(fit.before),
    )  # fmt: skip


def _of_axis(fit: Fit) -> tuple[str, str, str, str]:
    return (
        f"summed over the wrong axis: {_value(fit.after)} stands where {_value(fit.before)} "
        f"should{_where(fit)}",
        _text(fit.before), _text(fit.after), _text(fit.before),
    )  # fmt: skip


def _of_swapped(fit: Fit) -> tuple[str, str, str, str]:
    name = fit.right.target.name
    return (
        f"{fit.other} is returned in the place of {name}",
        name, fit.other, name,
    )  # fmt: skip


def _of_transposed(fit: Fit) -> tuple[str, str, str, str]:
    name = fit.right.target.name
    return f"{name} is transposed", name, _text(fit.found.access), _text(fit.right.access)


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
