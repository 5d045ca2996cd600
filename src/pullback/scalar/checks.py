"""The steps of a derivation by rules, checked: each against differences of the part itself.

The parts are evaluated in 50-digit numbers, by their values alone, so that a difference over a step
of 1e-12 has 20 right digits and more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from ..derivation import Check
from ..errors import CheckError
from ..ir.expr import Access, Expr, Tensor
from ..ir.interpret import Array, evaluate, fill, typed
from ..verify.decimals import DECIMALS

if TYPE_CHECKING:
    from .derived import ByRules
    from .rules import Step

STEP = 1e-12
TOLERANCE, KINK = 1e-15, 1e-8
POINTS, DRAWS = 3, 60
RANGES = ((-3.0, 3.0), (0.1, 3.0), (-0.9, 0.9), (1.1, 4.0), (-100.0, 100.0), (0.001, 0.1))
Values = Mapping[str, Array]


def points() -> str:
    """Where steps are checked, in words."""
    return f"in 50-digit numbers at {POINTS} random points"


def checked(shown: ByRules) -> tuple[Check, ...]:
    """The checks of :attr:`ByRules.checks`."""
    steps = [step for whole in shown.steps for step in whole.every]
    errors: list[list[float]] = [[] for _ in steps]
    whole: list[float] = []
    for at, values in _draws(shown):
        found = [_errors(shown, step, at, values) for step in steps]
        equal = _value(shown.formula, values(at)), _value(shown.steps[-1].derivative, values(at))
        if not all(map(_finite, equal)) or any(error is None for error in found):
            continue
        for mine, error in zip(errors, found, strict=True):
            mine.append(error or 0.0)
        whole.append(_apart(*equal))
        if len(whole) == POINTS:
            break
    made = [
        _check(f"{step.rule} for {step.name.name}, {points()}", mine)
        for step, mine in zip(steps, errors, strict=True)
    ]
    return (*made, _check("the derivation's own formula has the same values there", whole))


def _check(how: str, errors: list[float]) -> Check:
    if not errors:
        return Check("not checked", f"{how}: no point was found with values and slopes")
    worst = max(errors)
    return Check("passed" if worst <= TOLERANCE else "failed", how, len(errors), 0, worst)


def _draws(shown: ByRules) -> Iterator[tuple[Any, Callable[[Any], Values]]]:
    """Random points: the variable, and the values of the program where it is some number."""
    program, random = shown.program, Random(shown.derivation.seed)
    for draw in range(DRAWS):
        given: dict[str, Any] = {t.name: _drawn(t, draw, random) for t in program.inputs}
        given |= {name: v for name, v in shown.derivation.known.items() if name in given}

        def values(x: Any, given: Mapping[str, Any] = given) -> Values:
            placed = {**given, shown.variable.name: x}
            arrays = {t.name: typed(Array.of(placed[t.name]), t, DECIMALS) for t in program.inputs}
            fill(arrays, program.statements, {}, DECIMALS)
            return arrays

        yield DECIMALS.element(given[shown.variable.name]), values


def _drawn(tensor: Tensor, draw: int, random: Random) -> Any:
    if tensor.kind != "float":
        return random.randrange(2 if tensor.kind == "bool" else 4)
    return random.uniform(*RANGES[draw % len(RANGES)])


def _value(value: Expr, values: Values) -> Any:
    try:
        return DECIMALS.context.mpf(evaluate(value, {}, values, {}, DECIMALS))
    except (ArithmeticError, CheckError):
        return DECIMALS.nan


def _finite(value: Any) -> bool:
    return bool(DECIMALS.context.isfinite(value))


def _apart(one: Any, other: Any) -> float:
    """The difference, relative where the values are large."""
    return float(abs(one - other) / max(1, abs(one), abs(other)))


def _errors(shown: ByRules, step: Step, x: Any, values: Callable[[Any], Values]) -> float | None:
    """How far the derivatives of a step are from slopes; None where there is no slope."""
    here = values(x)
    worst = _error(step.derivative, here, lambda t: _value(step.value, values(x + t)))
    if step.outer is None or worst is None:
        return worst
    inner = {part.name.name: part.value for part in step.parts}
    letters = {
        of.name: Array((), [_value(inner.get(of.name, Access(of, ())), here)])
        for of in step.outer.slopes
    }
    for of, slope in step.outer.slopes.items():
        at = {**here, **letters}

        def moved(
            t: Any, name: str = of.name, at: Values = at, form: Expr = step.outer.form
        ) -> Any:
            return _value(form, {**at, name: Array((), [at[name].flat[0] + t])})

        error = _error(slope, at, moved)
        if error is None:
            return None
        worst = max(worst, error)
    return worst


def _error(slope: Expr, values: Values, line: Callable[[Any], Any]) -> float | None:
    """How far a derivative is from the slope of a line at 0."""
    h = DECIMALS.element(STEP)
    left, middle, right = line(-h), line(0), line(h)
    found = _value(slope, values)
    if not all(map(_finite, (left, middle, right, found))):
        return None
    before, after = (middle - left) / h, (right - middle) / h
    if _apart(before, after) > KINK * max(1, float(abs(before))):
        return None
    return _apart((before + after) / 2, found)
