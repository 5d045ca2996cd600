"""Calling a function with arguments by the names of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ArgumentError


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """A function's parameters; none for one that doesn't say what it takes.

    >>> list(parameters_of(lambda X, *more: X))
    ['X', 'more']
    """
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return {}


def bound(
    function: Callable[..., Any], given: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments for values by parameter.

    ``*xs`` takes a list, ``**more`` a mapping. A function whose parameters go by other names takes
    the values in their order. Raises ArgumentError where an argument before others is missing.

    >>> bound(lambda X, k=2, *more: X, {"X": 1, "more": [5, 6]})
    ([1, 2, 5, 6], {})
    """
    parameters = parameters_of(function)
    kinds = {parameter.kind: name for name, parameter in parameters.items()}
    more, rest = (kinds.get(kind) for kind in (_KEYWORDS, _REST))
    left = dict(given)
    keywords = dict(left.pop(more, {})) if more else {}
    values = list(left.pop(rest, ())) if rest else []
    if more is None and not values and not any(name in parameters for name in given):
        return list(given.values()), {}
    positional: list[Any] = []
    skipped: list[inspect.Parameter] = []
    for name, parameter in parameters.items():
        if parameter.kind not in _BY_POSITION:
            continue
        if name not in left:
            skipped.append(parameter)
        elif not skipped or values or parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            positional += [*map(_default, skipped), left.pop(name)]
            skipped = []
    if values:
        positional += [*map(_default, skipped), *values]
    return positional, {**keywords, **left}


_REST, _KEYWORDS = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _default(parameter: inspect.Parameter) -> Any:
    """What stands in the place of an argument that isn't given."""
    if parameter.default is parameter.empty:
        raise ArgumentError(
            f"the argument {parameter.name} is missing", hint="others follow it by position"
        )
    return parameter.default
