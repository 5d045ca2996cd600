"""Python's ``math``, ``min`` and ``max`` of traced numbers, which are NumPy's functions then.

``math.exp(x)`` and ``max(a, b)`` would look at a traced array's value. What a call without a traced
array gives is Python's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import reduce, wraps
from typing import Any

import numpy as np

from .operations import Tracer, built, make_array
from .rows import Row
from .table_elementwise import NUMBERS, elementwise

UFUNCS = (
    *("exp", "exp2", "expm1", "log10", "log2", "log1p", "sqrt", "cbrt", "fabs"),
    *("sin", "cos", "tan", "sinh", "cosh", "tanh", "degrees", "radians", "fmod", "copysign"),
)
OTHER_NAMES = {
    **{f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")},
    "pow": "power",
}
SPECIAL = {"erf": "erf", "erfc": "erfc", "gamma": "gamma", "lgamma": "gammaln"}
ROUNDINGS = ("floor", "ceil", "trunc")


def of_numbers() -> Iterator[tuple[Any, Callable[..., Any]]]:
    """Python's own functions, each with what stands for it."""
    for name, ufunc in {**{name: name for name in UFUNCS}, **OTHER_NAMES}.items():
        yield _pair(name, getattr(np, ufunc))
    for name in ROUNDINGS:
        yield _pair(name, _whole(getattr(np, name)))
    for name, row in SPECIAL.items():
        yield _pair(name, _special(getattr(math, name), f"math.{name}", row))
    yield _pair("log", _log)
    yield _pair("hypot", lambda *parts: reduce(np.hypot, parts) if parts[1:] else abs(parts[0]))
    for function, of_two, of_all in ((max, np.maximum, np.max), (min, np.minimum, np.min)):
        yield function, _extreme(function, of_two, of_all)


def _pair(name: str, traced: Callable[..., Any]) -> tuple[Any, Callable[..., Any]]:
    """A function of ``math``, which computes with double precision whatever it is given: traced
    integers are converted, and narrower floats, of which NumPy's function would be as narrow,
    stay refused."""
    function = getattr(math, name)

    @wraps(function)
    def stand_in(*args: Any) -> Any:
        own = [arg for arg in args if _is_number(arg)]
        narrow = any(arg.dtype.kind == "f" and arg.dtype != np.float64 for arg in own)
        if not own or narrow or not all(map(_is_scalar, args)):
            return function(*args)
        return traced(*(1.0 * a if _is_number(a) and a.dtype.kind != "f" else a for a in args))

    return function, stand_in


def _is_number(given: Any) -> bool:
    """Whether something is a traced array without axes."""
    return isinstance(given, Tracer) and given._pullback_plain is None and not given.ndim


def _is_scalar(given: Any) -> bool:
    return _is_number(given) or isinstance(given, int | float | np.number)


def _whole(ufunc: Any) -> Callable[..., Any]:
    return lambda x: ufunc(x).astype(np.int64)


def _special(function: Any, title: str, name: str) -> Callable[..., Any]:
    def build(sheet: Any, x: Any) -> Any:
        value = sheet.value(x)
        return elementwise(NUMBERS[name], [value], value.dtype)

    row = Row(title, build)
    return lambda x: built(x._pullback_sheet, function, row, (x,), {})


def _log(x: Any, *base: Any) -> Any:
    logs = [np.log(part) if _is_number(part) else math.log(part) for part in (x, *base)]
    return logs[0] / logs[1] if base else logs[0]


def _extreme(function: Any, of_two: Any, of_all: Any) -> Callable[..., Any]:
    """The least or the greatest of several numbers: of two arguments, or of what one holds."""

    @wraps(function)
    def stand_in(*args: Any, **options: Any) -> Any:
        whole = isinstance(args[0], np.ndarray | Tracer | str | bytes) if args else True
        if len(args) == 1 and not whole and isinstance(args[0], Iterable):
            args = (list(args[0]),)
        given = args[0] if len(args) == 1 and isinstance(args[0], list) else args
        if options or not any(isinstance(part, Tracer) for part in given):
            return function(*args, **options)
        if len(args) > 1 and any(map(_is_number, args)) and all(map(_is_scalar, args)):
            return reduce(of_two, args)
        if len(args) == 1 and given is not args and all(map(_is_scalar, given)):
            traced = next(filter(_is_number, given), None)
            if traced is not None:
                return of_all(make_array(traced._pullback_sheet, "asarray", given))
        if given is args and len(args) == 1 and args[0].ndim == 1 and _is_traced(args[0]):
            return of_all(args[0])
        return function(*args)

    return stand_in


def _is_traced(given: Any) -> bool:
    return isinstance(given, Tracer) and given._pullback_plain is None
