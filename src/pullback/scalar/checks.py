"""The steps of a derivation by rules, checked: each against differences of the part itself.

The parts are evaluated in 100-digit numbers, by their values alone, so that a difference over a
step of 1e-30 has 50 right digits and more. Two steps that give different slopes tell nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Any

from ..derivation import Check
from ..errors import CheckError
from ..ir.expr import Access, Expr, Tensor
from ..ir.interpret import Array, evaluate, fill, typed
from ..verify.decimals import MORE_DECIMALS

if TYPE_CHECKING:
    from .derived import ByRules
    from .rules import Step

STEP = Fraction(1, 10**30)
TOLERANCE, KINK = 1e-15, 1e-8
POINTS, DRAWS = 3, 60
RANGES = ((-3.0, 3.0), (0.1, 3.0), (-0.9, 0.9), (1.1, 4.0), (-100.0, 100.0), (0.001, 0.1))
Values = Mapping[str, Array]


def points() -> str:
    """Where steps are checked, in words."""
    return f"in 100-digit numbers at {POINTS} random points"


def checked(shown: ByRules) -> tuple[Check, ...]:
    """The checks of :attr:`ByRules.checks`."""
    steps = [step for whole in shown.steps for step in whole.every]
    errors: list[list[float]] = [[] for _ in steps]
    whole: list[float] = []
    for at, values in _draws(shown):
        found = [_errors(shown, step, at, values) for step in steps]
        ends = shown.steps[-1].derivative, shown.formula, shown.simplified[0]
        equal = [_value(end, values(at)) for end in ends]
        if not all(map(_finite, equal)) or any(error is None for error in found):
            continue
        for mine, error in zip(errors, found, strict=True):
            mine.append(error or 0.0)
        whole.append(max(_apart(equal[0], other) for other in equal[1:]))
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
        held = {*shown.constants}
        given |= {name: v for name, v in shown.derivation.known.items() if name in held}

        def values(x: Any, given: Mapping[str, Any] = given) -> Values:
            placed = {**given, shown.variable.name: x}
            arrays = {
                t.name: typed(Array.of(placed[t.name]), t, MORE_DECIMALS) for t in program.inputs
            }
            fill(arrays, program.statements, {}, MORE_DECIMALS)
            return arrays

        yield MORE_DECIMALS.element(given[shown.variable.name]), values


def _drawn(tensor: Tensor, draw: int, random: Random) -> Any:
    if tensor.kind != "float":
        return random.randrange(2 if tensor.kind == "bool" else 4)
    return random.uniform(*RANGES[draw % len(RANGES)])


def _value(value: Expr, values: Values) -> Any:
    try:
        return MORE_DECIMALS.context.mpf(evaluate(value, {}, values, {}, MORE_DECIMALS))
    except (ArithmeticError, CheckError):
        return MORE_DECIMALS.nan


def _finite(value: Any) -> bool:
    return bool(MORE_DECIMALS.context.isfinite(value))


def _apart(one: Any, other: Any, least: float = 1e-30) -> float:
    """The difference relative to the greater one, or to the least number that counts."""
    return float(abs(one - other) / max(least, abs(one), abs(other)))


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
    h = MORE_DECIMALS.element(STEP)
    left, middle, right = line(-h), line(0), line(h)
    found = _value(slope, values)
    if not all(map(_finite, (left, middle, right, found))):
        return None
    before, after = (middle - left) / h, (right - middle) / h
    wider = (line(2 * h) - line(-2 * h)) / (4 * h)
    central = (before + after) / 2
    if _apart(before, after, 1e-12) > KINK or not _apart(central, wider) <= TOLERANCE / 10:
        return None
    return _apart(central, found)
