"""NumPy's functions that make arrays, while a function is traced.

``np.zeros(3)`` and ``np.array([x[0], x[1]])`` have no traced array among their arguments that NumPy
would ask, or don't ask it. So while a trace runs, the names of these functions, in NumPy and in the
modules of the functions that are traced, stand for others. Each of them is NumPy's own function for
whoever calls it outside of the traced function: in another thread, or in a library.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from threading import RLock
from types import FrameType, FunctionType
from typing import Any

import numpy as np

from . import complex_table, selected  # noqa: F401  (while NumPy's names are its own)
from .complexes import Complex
from .made import Made, made
from .of_numbers import of_numbers
from .operations import Tracer, built, make_array
from .places import calls, here, is_user
from .record import Sheet, running
from .rows import ROWS, Row
from .scipys import imported_by, scipy_standing_in
from .spelled import SPELLED, WINDOWS, traced_constant
from .table_indexing import full

_MAKES = (
    *("zeros", "ones", "empty", "full", "eye", "identity", "arange", "linspace", "tri", "copy"),
    *("zeros_like", "ones_like", "empty_like", "full_like", "diag", "tile", "logspace"),
    *("fromfunction", "indices", "outer", "geomspace", *WINDOWS),
)
_TAKES = ("array", "asarray", "asanyarray", "ascontiguousarray")
_TRICKS = ("r_", "c_")


def _sheet_of_user(function: Any = None) -> Sheet | None:
    """The running trace, where the user's code made the call."""
    sheet, frame = running(), sys._getframe(2)
    if sheet is None or not is_user(frame) or _installed(frame, sheet):
        return None
    return sheet if function is None or calls(frame, function) else None


def _installed(frame: FrameType, sheet: Sheet) -> bool:
    """Whether a frame runs code of an installed package other than the traced function's own."""
    file = frame.f_code.co_filename
    if "site-packages" not in file and "dist-packages" not in file:
        return False
    return _package(frame.f_globals) not in sheet.packages


def _package(space: Mapping[str, Any]) -> str:
    return str(space.get("__name__", "")).partition(".")[0]


def _making(function: Any) -> Any:
    empty, fills = function in (np.empty, np.empty_like), function is np.full

    @wraps(function)
    def stand_in(*args: Any, **options: Any) -> Any:
        sheet = _sheet_of_user(stand_in)
        if sheet is not None and sheet.spelled and function in SPELLED:
            return SPELLED[function](sheet, *args, **options)
        if sheet is not None and fills and any(map(_is_traced, args)):
            return built(sheet, function, Row("np.full", full), args, options)
        found = function(*args, **options)
        if isinstance(found, Made) and sheet is not None and sheet.spelled:
            return traced_constant(sheet, found._pullback_plain)
        if sheet is None or type(found) is not np.ndarray:
            return found
        if empty:
            found[...] = 0  # what is read before it is written is the same in each trace
        if sheet.spelled and found.dtype.kind in "fiub":
            return traced_constant(sheet, found)
        if sheet.spelled and found.dtype.kind == "c":
            re, im = (traced_constant(sheet, part) for part in (found.real, found.imag))
            return Complex(sheet, re, im)
        return made(sheet, found, here().name)

    return stand_in


def _taking(function: Any) -> Any:
    copies = function is np.array

    @wraps(function)
    def stand_in(*args: Any, **options: Any) -> Any:
        sheet = _sheet_of_user(stand_in)
        if sheet is None or not args:
            return function(*args, **options)
        given = args[0]
        if _is_traced(given):
            return make_array(sheet, function.__name__, *args, **options)
        if isinstance(given, Made) and not copies and len(args) == 1 and not options:
            return given
        found = function(*args, **options)
        outside = isinstance(given, np.ndarray) and not copies
        return found if outside else made(sheet, found, here().name)

    return stand_in


def _is_traced(given: Any) -> bool:
    if isinstance(given, list | tuple):
        return any(map(_is_traced, given))
    return isinstance(given, Tracer | Complex) and given._pullback_plain is None


def _listing(function: Any) -> Any:
    """A function that NumPy doesn't ask traced arrays of, where they are in a list."""
    sequence = function in _OF_SEQUENCES

    @wraps(function)
    def stand_in(*args: Any, **options: Any) -> Any:
        given = [*args, *options.values()]
        if any(isinstance(arg, list | tuple) and _is_traced(arg) for arg in given):
            sheet = _sheet_of_user(stand_in)
            if sheet is not None:
                args = tuple(_gathered(sheet, arg, sequence) for arg in args)
                options = {k: _gathered(sheet, arg, sequence) for k, arg in options.items()}
        return function(*args, **options)

    return stand_in


def _gathered(sheet: Sheet, given: Any, sequence: bool) -> Any:
    """A list of traced values as an array; in a sequence of arrays, its parts."""
    if not isinstance(given, list | tuple) or not _is_traced(given):
        return given
    if sequence:
        return [_gathered(sheet, part, False) for part in given]
    return make_array(sheet, "asarray", given)


_OF_SEQUENCES = (
    *(np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack, np.select),
    *(np.choose, np.linalg.multi_dot),
)


class _Trick:
    """``np.r_`` and ``np.c_``: arrays beside each other."""

    def __init__(self, original: Any, columns: bool) -> None:
        self.original, self.columns = original, columns

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __len__(self) -> int:
        return len(self.original)

    def __getitem__(self, key: Any) -> Any:
        sheet = _sheet_of_user()
        parts = key if isinstance(key, tuple) else (key,)
        if sheet is None or not _is_traced(list(parts)):
            return self.original[key]
        if any(isinstance(part, str) for part in parts):
            raise sheet.refusal(
                "np.r_ and np.c_ with a text among traced arrays can't be traced",
                hint="use np.concatenate or np.stack",
            )
        arrays = [self.original[part] if isinstance(part, slice) else part for part in parts]
        if self.columns:
            flat = [np.atleast_1d(make_array(sheet, "asarray", one)) for one in arrays]
            wide = [one[:, None] if one.ndim == 1 else one for one in flat]
            return np.concatenate(wide, axis=-1)
        return np.concatenate([np.atleast_1d(make_array(sheet, "asarray", one)) for one in arrays])


def _stand_ins() -> dict[int, tuple[Any, Any]]:
    """Originals and what stands for them, by the ids of the originals."""
    found: dict[int, tuple[Any, Any]] = {}
    pairs = [(getattr(np, name), _making(getattr(np, name))) for name in _MAKES]
    pairs += [(getattr(np, name), _taking(getattr(np, name))) for name in _TAKES]
    pairs += [(function, _making(function)) for function in (np.fft.fftfreq, np.fft.rfftfreq)]
    pairs += [(getattr(np, name), _Trick(getattr(np, name), name == "c_")) for name in _TRICKS]
    pairs += of_numbers()
    known = [original for original, _ in pairs]
    pairs += [
        (function, _listing(function))
        for function in ROWS
        if hasattr(function, "_implementation")
        and function is not np.block
        and not any(function is one for one in known)
    ]
    for original, stand_in in pairs:
        found[id(original)] = original, stand_in
    return found


_STAND_INS = _stand_ins()
_ORIGINALS = {id(stand_in): original for original, stand_in in _STAND_INS.values()}
_HOMES: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = tuple(
    (vars(home), tuple(name for name, held in vars(home).items() if id(held) in _STAND_INS))
    for home in (np, np.linalg, np.fft, math)
)
_BUILT_IN = {"min": min, "max": max}  # names that a module has without holding them
_LOCK = RLock()
_USES: dict[tuple[int, str], int] = {}  # how many traces a name of a module stands in for
_ADDED: set[tuple[int, str]] = set()  # names that a module holds only while functions are traced


@contextmanager
def standing_in(sheet: Sheet, function: Callable[..., Any]) -> Iterator[None]:
    """The time in which NumPy's names stand for what is traced."""
    spaces = _spaces(function)
    sheet.packages = tuple(map(_package, spaces))
    taken: list[tuple[dict[str, Any], str]] = []
    with _LOCK:
        for space in spaces:
            for name in _BUILT_IN.keys() - space.keys():
                space[name] = _BUILT_IN[name]
                _ADDED.add((id(space), name))
        for space, names in (*_HOMES, *((space, list(space)) for space in spaces)):
            for name in names:
                held, key = space[name], (id(space), name)
                if id(held) in _STAND_INS:
                    space[name] = _STAND_INS[id(held)][1]
                elif id(held) not in _ORIGINALS or key not in _USES:
                    continue
                _USES[key] = _USES.get(key, 0) + 1
                taken.append((space, name))
    try:
        with scipy_standing_in():
            yield
    finally:
        with _LOCK:
            for space, name in taken:
                _give_back(space, name)


def _give_back(space: dict[str, Any], name: str) -> None:
    key = (id(space), name)
    _USES[key] -= 1
    if _USES[key]:
        return
    del _USES[key]
    held = space.get(name)
    if key in _ADDED:
        _ADDED.discard(key)
        del space[name]
    elif id(held) in _ORIGINALS:
        space[name] = _ORIGINALS[id(held)]


def _spaces(function: Any) -> list[dict[str, Any]]:
    """The global names of a function and of the functions that these hold, libraries apart."""
    found: dict[int, dict[str, Any]] = {}
    seen: dict[int, Any] = {}
    left = [function]
    while left:
        one = left.pop()
        one = getattr(one, "__func__", one)
        if not isinstance(one, FunctionType) or id(one) in seen:
            continue
        seen[id(one)] = one
        imported_by(one.__code__)
        left += [cell.cell_contents for cell in one.__closure__ or () if _filled(cell)]
        space = one.__globals__
        if _package(space) in ("numpy", "scipy", "pullback") or id(space) in found:
            continue
        found[id(space)] = space
        left += [held for held in list(space.values()) if type(held) is FunctionType]
    return list(found.values())


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
