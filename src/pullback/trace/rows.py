"""The tables of what can be traced: a row says what a NumPy function is in index notation.

A row of ``ROWS`` is a builder: it takes the sheet and the function's own arguments (as far as they
can be traced) and gives a :class:`Value`, several, or something static such as a shape.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from types import CellType, CodeType, FunctionType
from typing import Any, TypeVar

import numpy as np

from .values import Value

Builder = Callable[..., Any]
B = TypeVar("B", bound=Builder)


@dataclass(frozen=True)
class Row:
    """How a NumPy function is traced. ``view``: its result may share memory with its argument."""

    name: str
    build: Builder
    view: bool = False

    @property
    def signature(self) -> inspect.Signature:
        """What the builder takes."""
        if type(self.build) is not FunctionType:
            return inspect.signature(self.build)
        return _signature(*_defined(self.build))

    def takes(self, count: int, names: tuple[str, ...]) -> bool:
        """Whether the builder takes so many arguments by position, and these by name."""
        if type(self.build) is not FunctionType:
            return _binds(self.signature, count, names)
        return _takes(*_defined(self.build), count, names)


def _defined(build: FunctionType) -> tuple[CodeType, int, tuple[str, ...]]:
    """The code of a function, how many of its parameters have a default, and which by name."""
    return build.__code__, len(build.__defaults__ or ()), tuple(build.__kwdefaults__ or ())


def _binds(signature: inspect.Signature, count: int, names: tuple[str, ...]) -> bool:
    try:
        signature.bind(*(None,) * count, **dict.fromkeys(names))
    except TypeError:
        return False
    return True


@lru_cache(maxsize=1024)
def _takes(
    code: CodeType, defaults: int, named: tuple[str, ...], count: int, names: tuple[str, ...]
) -> bool:
    return _binds(_signature(code, defaults, named), count, names)


@lru_cache(maxsize=1024)
def _signature(code: CodeType, defaults: int, named: tuple[str, ...]) -> inspect.Signature:
    """The signature of all builders of some code: which parameters have a default, not which one.
    Builders are defined inside functions, anew for each operation."""
    build = FunctionType(code, {}, closure=tuple(CellType() for _ in code.co_freevars))
    build.__defaults__ = (None,) * defaults
    build.__kwdefaults__ = dict.fromkeys(named)
    return inspect.signature(build)


@dataclass(frozen=True)
class View:
    """A row's result where it is a view only sometimes."""

    value: Value


ROWS: dict[Any, Row] = {}


def row(*functions: Any, view: bool = False) -> Callable[[B], B]:
    """Enters a builder for NumPy functions."""

    def enter(build: B) -> B:
        for function in functions:
            ROWS[function] = Row(public_name(function), build, view)
        return build

    return enter


def public_name(function: Any) -> str:
    """A library function's name as a user writes it.

    >>> public_name(np.linalg.norm), public_name(np.sum)
    ('np.linalg.norm', 'np.sum')
    """
    name = str(getattr(function, "__name__", function))
    if isinstance(function, np.ufunc):  # ufuncs don't know their module
        special = sys.modules.get("scipy.special")
        if getattr(special, name, None) is function or name.startswith("_"):
            return f"scipy.special.{name.removeprefix('_')}"
        return f"np.{name}"
    module = str(getattr(function, "__module__", "") or "numpy")
    public = ".".join(part for part in module.split(".") if not part.startswith("_"))
    return f"np.{name}" if public == "numpy" else f"{public.replace('numpy.', 'np.', 1)}.{name}"


def composed(function: Builder) -> Builder:
    """The builder of a function that is written with NumPy's functions, of traced arrays. What is
    computed on the way has no name of the user's."""

    @wraps(function)
    def build(sheet: Any, *args: Any, **options: Any) -> Any:
        wish = sheet.place.name
        with sheet.composing():
            found = function(*args, **options)
        if hasattr(found, "_pullback_value"):
            sheet.name(found._pullback_value.tensor, wish)
        return found

    return build


def numpy_methods(owner: type, *names: str) -> None:
    """Gives a class NumPy's functions as methods of the same names."""
    for name in names:
        setattr(owner, name, _method(name, getattr(np, name)))


def _method(name: str, function: Any) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **options: Any) -> Any:
        return function(self, *args, **options)

    method.__name__ = name
    method.__doc__ = f"As the NumPy function {name}."
    return method
