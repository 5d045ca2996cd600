"""Python floats that know their value while they are traced: a function may decide by them.

``if rate > 0`` has to go one way. The value of ``rate`` is known beside the traced number, and so
are the numbers that are computed from known ones alone. Where the function asks for the value, the
value is given and the sheet is marked: what was traced is right for this value only. So one run of
the function is enough to find out.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import PullbackError
from .record import Sheet, running

UNKNOWN = type("Unknown", (), {"__slots__": ()})()

# Python's own arithmetic rounds some results differently from NumPy's.
_PYTHON: dict[Any, Callable[[Any, Any], Any]] = {
    np.power: operator.pow,
    np.remainder: operator.mod,
    np.floor_divide: operator.floordiv,
    np.divide: operator.truediv,
}


def number(value: Any) -> Any:
    """The value of a traced number or a Python float, UNKNOWN where only the shape is known."""
    if not hasattr(value, "_pullback_value"):
        return value if type(value) is float else UNKNOWN
    sheet: Sheet = value._pullback_sheet
    if not sheet.numbers or not sheet.open:
        return UNKNOWN
    return sheet.numbers.get(value._pullback_value.tensor, UNKNOWN)


def used(tracer: Any) -> Any:
    """The known value, which decides something from here on."""
    tracer._pullback_sheet.steered = True
    return number(tracer)


def called(
    sheet: Sheet,
    function: Callable[..., Any],
    args: Sequence[Any],
    options: Mapping[str, Any],
    traced: Callable[[], Any],
) -> Any:
    """What ``traced`` gives for a call of a NumPy function; the result's value is known where those
    of the arguments are.

    Where such a call can't be traced, NumPy's own result.
    """
    if not sheet.numbers or options.get("out") is not None:
        return traced()
    given = [_known(arg) for arg in (*args, *options.values())]
    if any(value is UNKNOWN for value in given):
        return traced()
    positional, named = given[: len(args)], dict(zip(options, given[len(args) :], strict=True))
    before = [(one, one.refused) for one in (sheet, running()) if one is not None]
    try:
        found = traced()
    except PullbackError:
        value = _value(function, positional, named)
        if value is UNKNOWN:
            raise
        for one, refused in before:
            one.refused = refused
        use_numbers((*args, *options.values()))
        return value
    _learn(found, _value(function, positional, named))
    return found


def _known(arg: Any) -> Any:
    """An argument with the values of the traced arrays in it, UNKNOWN where one isn't known."""
    if type(arg) in (list, tuple):
        parts = [_known(part) for part in arg]
        return UNKNOWN if any(part is UNKNOWN for part in parts) else type(arg)(parts)
    if not hasattr(arg, "_pullback_value"):
        return arg
    return number(arg) if arg._pullback_plain is None else arg._pullback_plain


def use_numbers(values: Iterable[Any]) -> None:
    """Says of all traced numbers among the values that they decide something."""
    for value in values:
        if isinstance(value, list | tuple):
            use_numbers(value)
        elif hasattr(value, "_pullback_value"):
            used(value)


def _learn(found: Any, value: Any) -> None:
    """Keeps the value of what was traced."""
    if isinstance(found, list | tuple) and isinstance(value, list | tuple):
        for part, one in zip(found, value, strict=False):
            _learn(part, one)
    elif hasattr(found, "_pullback_value") and value is not UNKNOWN:
        found._pullback_sheet.numbers[found._pullback_value.tensor] = value


def _value(
    function: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]
) -> Any:
    """What the function gives for these values, UNKNOWN where it fails."""
    plain = not named and all(type(value) in (bool, int, float) for value in positional)
    ufunc = getattr(function, "__self__", None)
    try:
        if plain and isinstance(ufunc, np.ufunc) and function == ufunc.__call__:
            if ufunc in _PYTHON:
                return _PYTHON[ufunc](*positional)
            return function(*positional).item()
        with np.errstate(all="ignore"):
            return function(*positional, **named)
    except Exception:
        return UNKNOWN
