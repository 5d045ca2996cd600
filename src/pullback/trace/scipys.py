"""SciPy's functions and distributions, while a function is traced.

SciPy's ufuncs ask a traced array, as NumPy's do. Its other functions would look at the array's
values. So while a trace runs, the code of ``scipy.special.logsumexp``, of the method behind
``scipy.stats.norm.logpdf`` and so on is another, whoever calls them by whatever name: for traced
arrays they are traced, and all others go to SciPy's own code. Nothing of SciPy is loaded that isn't
loaded already, or imported by the function that is traced.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from threading import RLock
from types import CodeType, FunctionType
from typing import Any

from .operations import Tracer, built
from .rows import Row
from .table_scipy_linalg import LINALG, PAIRED
from .table_special import SPECIAL
from .table_stats import DISTRIBUTIONS, METHODS, MULTIVARIATE, PARAMETERS, distribution

MODULES = ("scipy.special", "scipy.linalg", "scipy.stats")
FUNCTIONS = {"scipy.special": SPECIAL, "scipy.linalg": LINALG}


def imported_by(code: CodeType) -> None:
    """Loads what of SciPy a function will import while it runs, since it can stand for others only
    once it is there."""
    named = {name for name in code.co_names if name.partition(".")[0] == "scipy"}
    for module in MODULES if named else ():
        if module in named or ("scipy" in named and module.partition(".")[2] in code.co_names):
            import_module(module)


# --------------------------------------------------------------------------------------------------
# Functions whose code is another for a while


@dataclass
class _Swap:
    """A function, its own code, and what runs in its place while traces use it."""

    function: FunctionType
    stand_in: Callable[..., Any]
    own: CodeType = field(init=False)
    other: CodeType = field(init=False)
    uses: int = 0

    def __post_init__(self) -> None:
        self.own = self.function.__code__
        self.other = _calling(self.stand_in, self.own)

    def begin(self) -> None:
        """One trace more."""
        self.uses += 1
        if self.uses == 1:
            self.function.__code__ = self.other

    def end(self) -> None:
        """One trace less."""
        self.uses -= 1
        if not self.uses:
            self.function.__code__ = self.own


def _template(*args: Any, **options: Any) -> Any:
    call: Any = "what is called"
    return call(*args, **options)


def _calling(stand_in: Callable[..., Any], like: CodeType) -> CodeType:
    """Code that calls another function, for a function of this code and its closure."""
    code = _template.__code__
    constants = tuple(stand_in if held == "what is called" else held for held in code.co_consts)
    return code.replace(co_consts=constants, co_freevars=like.co_freevars, co_name=like.co_name)


def _copy(function: FunctionType) -> Callable[..., Any]:
    """The same function, whose code stays."""
    made = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


_LOCK = RLock()


@contextmanager
def scipy_standing_in() -> Iterator[None]:
    """The time in which SciPy's functions are traced where they meet a traced array."""
    with _LOCK:
        used = list(_swaps())
        for swap in used:
            swap.begin()
    try:
        yield
    finally:
        with _LOCK:
            for swap in used:
                swap.end()


def _swaps() -> Iterator[_Swap]:
    """Of what is loaded."""
    for name in FUNCTIONS:
        if name in sys.modules:
            yield from _functions(sys.modules[name])
    if "scipy.stats" in sys.modules:
        yield from _stats(sys.modules["scipy.stats"])


@cache
def _functions(module: Any) -> tuple[_Swap, ...]:
    table = FUNCTIONS[module.__name__]
    found = ((name, getattr(module, name, None), build) for name, build in table.items())
    return tuple(
        _Swap(
            function, _function(function, Row(f"{module.__name__}.{name}", build), name in PAIRED)
        )
        for name, function, build in found
        if isinstance(function, FunctionType)
    )


@cache
def _stats(module: Any) -> tuple[_Swap, ...]:
    found: list[_Swap] = []

    def enter(family: type, name: str, make: Callable[[Any], Any]) -> None:
        function = vars(family).get(name)
        if isinstance(function, FunctionType):
            found.append(_Swap(function, make(_copy(function))))

    for family in (module.rv_continuous, module.rv_discrete):
        for name in METHODS:
            enter(family, name, partial(_method, name))
    for name, own in MULTIVARIATE.items():
        family = type(getattr(module, name))
        frozen = getattr(sys.modules[family.__module__], f"{name}_frozen")
        for method, build in own.items():
            row = Row(f"scipy.stats.{name}.{method}", build)
            enter(family, method, partial(_of_many, row, ()))
            enter(frozen, method, partial(_of_many, row, PARAMETERS[name]))
        enter(family, "__call__", _frozen)
    return tuple(found)


def is_traced(value: Any) -> bool:
    """Whether a value is a function or a distribution of SciPy that is traced.

    The results of these depend on their arguments only.
    """
    if isinstance(value, FunctionType):
        loaded = [sys.modules[name] for name in FUNCTIONS if name in sys.modules]
        return any(swap.function is value for module in loaded for swap in _functions(module))
    if not type(value).__module__.startswith("scipy.stats."):
        return False
    stats = sys.modules["scipy.stats"]
    return any(getattr(stats, name, None) is value for name in (*DISTRIBUTIONS, *MULTIVARIATE))


# --------------------------------------------------------------------------------------------------
# What runs in their place


def _traced_among(given: tuple[Any, ...]) -> Any:
    """The sheet of a traced array among arguments, None if there is none."""
    for arg in given:
        if isinstance(arg, Tracer) and arg._pullback_plain is None:
            return arg._pullback_sheet
        if isinstance(arg, list | tuple) and (sheet := _traced_among(tuple(arg))) is not None:
            return sheet
    return None


def _with_numbers(function: Callable[..., Any], args: tuple[Any, ...], options: Any) -> Any:
    """What a function gives for arrays of numbers; those made in the traced function are NumPy's
    here."""

    def plain(arg: Any) -> Any:
        return arg._pullback_plain if isinstance(arg, Tracer) else arg

    return function(*map(plain, args), **{name: plain(arg) for name, arg in options.items()})


def _function(function: FunctionType, row: Row, paired: bool) -> Callable[..., Any]:
    original = _copy(function)

    def stand_in(*args: Any, **options: Any) -> Any:
        sheet = _traced_among((*args, *options.values()))
        if sheet is None:
            return _with_numbers(original, args, options)
        return built(sheet, original, row, args, options, lists=not paired)

    return stand_in


def _method(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """A method of distributions of one variable."""

    def stand_in(self: Any, *args: Any, **options: Any) -> Any:
        sheet = _traced_among((*args, *options.values()))
        if sheet is None:
            return _with_numbers(original, (self, *args), options)
        row = Row(f"scipy.stats.{self.name}.{name}", distribution(self, name))
        return built(sheet, partial(original, self), row, args, options)

    return stand_in


def _of_many(row: Row, held: tuple[str, ...], original: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a distribution of several variables, which may hold its parameters."""

    def stand_in(self: Any, *args: Any, **options: Any) -> Any:
        sheet = _traced_among((*args, *options.values()))
        if sheet is None:
            return _with_numbers(original, (self, *args), options)
        own = {name: getattr(self, name) for name in held}
        return built(sheet, partial(original, self), row, args, {**own, **options})

    return stand_in


class Frozen:
    """A distribution of several variables whose parameters are traced."""

    def __init__(self, family: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._family, self._args, self._options = family, args, options

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._family, name)
        if name == "entropy":
            return partial(method, *self._args, **self._options)
        return lambda x: method(x, *self._args, **self._options)


def _frozen(original: Callable[..., Any]) -> Callable[..., Any]:
    """The call of a distribution of several variables with its parameters."""

    def stand_in(self: Any, *args: Any, **options: Any) -> Any:
        if _traced_among((*args, *options.values())) is not None:
            return Frozen(self, args, options)
        return _with_numbers(original, (self, *args), options)

    return stand_in
