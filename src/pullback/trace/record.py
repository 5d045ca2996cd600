"""The sheet that a trace is written on: statements, constants, the names they wish for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf
from threading import local
from typing import Any

import numpy as np

from ..errors import PullbackError, TraceError, UnsupportedError
from ..ir.expr import ZERO, Access, Expr, Guard, Tensor, Zero
from ..ir.program import Source
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, at, constant
from ..ir.walk import rename_tensors, tensors
from ..text import PRIVATE
from .constants import recognised
from .extents import Extents
from .nests import Nest, Nests
from .places import NOWHERE, Place, here, place_of, show_place, user_frames, variable_holding
from .refusals import REAL_ONLY
from .values import BOOL, FLOAT, INT, DType, Subs, Value, dtype_name, of_number, of_tensor

Data = np.ndarray[Any, Any]
PLAIN_ARRAYS = (np.ndarray, np.memmap)  # matrices, masked arrays, ... compute by rules of their own


@dataclass
class Line:
    """A statement while its names are open: indices are numbered, ``labels`` are the wishes."""

    tensor: Tensor
    indices: tuple[Index, ...]
    body: Expr
    labels: dict[Index, str]
    source: Source
    wish: str
    nest: Nest = ()
    stored: Expr | None = None  # another body, of the same values
    is_copy: bool = False  # of a tensor that there is anyway


class _Running(local):
    """The sheets of the traces that are running in this thread, the innermost last."""

    def __init__(self) -> None:
        self.sheets: list[Sheet] = []
        self.most: float = inf  # statements that a trace may have


_RUNNING = _Running()


class TooLong(TraceError):
    """A trace has more statements than it may have."""


@contextmanager
def at_most(statements: float) -> Iterator[None]:
    """The time in which no trace may have more statements; it raises TooLong."""
    before, _RUNNING.most = _RUNNING.most, statements
    try:
        yield
    finally:
        _RUNNING.most = before


def running() -> Sheet | None:
    """The sheet of the innermost trace that is running in this thread, None outside of traces."""
    return _RUNNING.sheets[-1] if _RUNNING.sheets else None


class Sheet:
    """Collects what a traced function does.

    Traces nest: a traced function may ask for a gradient, whose function is traced in turn. Where
    the inner function reads an array of an ``enclosing`` trace, that is a constant of the inner
    one: an extra input, whose content is the outer traced array.
    """

    def __init__(self, extents: Extents | None = None) -> None:
        self.extents = extents
        self.enclosing: tuple[Sheet, ...] = tuple(_RUNNING.sheets)
        self.packages: tuple[str, ...] = ()  # of the functions that are traced
        self.open = False
        self.composes = False  # a library function of others
        self.spelled = False  # whether arrays that NumPy makes of sizes are traced
        self.closes_over = False  # whether a value of an enclosing trace may be read
        self.lines: list[Line] = []
        self.constants: dict[Tensor, Any] = {}  # arrays, and traced arrays of enclosing traces
        self.wishes: dict[Tensor, str] = {}
        self.defaults: dict[Tensor, str] = {}  # names of outputs that have no other
        self.returned: dict[Tensor, None] = {}
        self.refused: PullbackError | None = None
        self.numbers: dict[Tensor | None, Any] = {}  # tensors whose value is known
        self.steered = False  # whether a known value decided something
        self.watched: dict[Tensor | None, str] = {}  # inputs whose values may be asked for, and
        self.asked: dict[str, bool] = {}  # whether they were
        self.place: Place = NOWHERE
        self.warned = np.geterr()
        self.nests = Nests()
        self.nest: Nest = ()  # the turns of loops that an operation stands in
        self.repeats = False  # whether turns of loops have statements that others have
        self.frames: dict[int, Any] = {}
        self._known: dict[tuple[Any, ...], Line] = {}
        self._data: dict[tuple[Any, ...], Tensor] = {}
        self._read: dict[tuple[Sheet, Tensor], Tensor] = {}
        self._labels: dict[Index, str] = {}
        self._promises = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """The time in which the sheet's function runs: after it, its arrays can't be used."""
        self.open = True
        _RUNNING.sheets.append(self)
        try:
            yield
        finally:
            _RUNNING.sheets.remove(self)
            self.open = False

    @contextmanager
    def composing(self) -> Iterator[None]:
        """The time in which a library function's value is made up of others: these have no name of
        the user's."""
        before, self.composes = self.composes, True
        try:
            yield
        finally:
            self.composes = before

    def stand_here(self) -> Place:
        """Takes note of where in the user's code an operation stands."""
        frames = [*user_frames()]
        self.place = self.quieted(place_of(frames[0]) if frames else NOWHERE)
        if self.nests.known:
            self.nest = self.nests.of(frames)
        return self.place

    # ----------------------------------------------------------------------------------------------
    # Values

    def value(self, given: Any) -> Value:
        """What an operation was given: a tracer's value, a number, or a constant array."""
        if isinstance(given, Value):
            return given
        traced = getattr(given, "_pullback_value", None)
        if isinstance(traced, Value):
            return traced if given._pullback_sheet is self else self._outer_value(given, traced)
        if isinstance(given, bool):
            return of_number(given, BOOL)
        if isinstance(given, int | float) and not isinstance(given, np.generic):
            return self._python_number(given)
        if isinstance(given, np.ndarray | np.generic):
            return self._constant(np.asarray(given), given)
        if isinstance(given, list | tuple) and not _holds_tracer(given):
            return self._constant(np.asarray(given), given)
        if isinstance(given, list | tuple):
            from .stores import array_value

            return self.keep(array_value(self, given))
        is_complex = getattr(getattr(given, "dtype", type(given)), "kind", "") == "c"
        what = "complex value" if is_complex or type(given) is complex else type(given).__name__
        raise self.refusal(
            f"a {what} can't be part of this computation",
            expected="arrays and real numbers",
            hint=REAL_ONLY if what == "complex value" else "use arrays and numbers",
        )

    def _outer_value(self, given: Any, value: Value) -> Value:
        """A traced array of an enclosing trace, as a constant of this one."""
        sheet: Sheet = given._pullback_sheet
        if not (sheet.open and sheet in self.enclosing and self.closes_over):
            raise self.refusal(
                "an array of another trace is used here",
                hint="pass it to the function as an argument, and return what leaves it",
            )
        own = sheet.keep(replace(value, weak=None)) if value.tensor is None else value
        assert own.tensor is not None
        key = sheet, own.tensor
        if key not in self._read:
            tensor = Tensor(f"%o{len(self._read)}", own.tensor.shape, own.tensor.dtype)
            self._read[key] = tensor
            # As it is now: a later change in place gives the traced array another value.
            self.constants[tensor] = given._pullback_copy(own)
            wish = sheet.wish_of(own)
            self.wishes[tensor] = wish if wish.isidentifier() else ""
        lifted = of_tensor(self._read[key], value.axes)
        return replace(lifted, weak=value.weak, nonnegative=value.nonnegative)

    def _python_number(self, given: int | float) -> Value:
        if isinstance(given, float):
            if given == 0 and str(given).startswith("-"):  # a -0.0 has no exact number
                return replace(self._constant(np.asarray(given), given), weak=float)
            return of_number(given, FLOAT, weak=float)
        return of_number(int(given), INT, weak=int)

    def _constant(self, array: Data, given: Any) -> Value:
        if isinstance(given, np.ndarray) and type(given) not in PLAIN_ARRAYS:
            raise self.refusal(
                f"a {type(given).__name__} can't be part of a traced computation",
                expected="plain arrays",
                hint="such arrays compute by rules of their own; write np.asarray(...) of it first",
            )
        if array.dtype.kind not in "fiub":
            raise self.refusal(
                f"constants of dtype {array.dtype} can't be traced",
                expected="floats, integers or bools",
                hint=REAL_ONLY if array.dtype.kind == "c" else "convert the constant first",
            )
        found = recognised(array)
        if found is not None:
            return found
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._data:
            tensor = Tensor(
                f"%{PRIVATE}c{len(self._data)}", tuple(map(size, array.shape)), array.dtype.name
            )
            self._data[key] = tensor
            self.constants[tensor] = array.copy()
            self.wishes[tensor] = variable_holding(given, here().frame)
        value = of_tensor(self._data[key])
        lowest = array.min() if array.size and array.dtype.kind in "iu" else -1
        return replace(value, nonnegative=bool(lowest >= 0))

    # ----------------------------------------------------------------------------------------------
    # Statements

    def bound(self, extent: int, label: str = "") -> Index:
        """A new index to reduce over, within the statement that is being written."""
        index = Index(f"#{PRIVATE}{len(self._labels)}", size(extent))
        self._labels[index] = label
        return index

    def keep(self, value: Value, wish: str = "") -> Value:
        """``value`` as a statement of its own (or as it is, where it already is a tensor)."""
        indices = tuple(_own_index(k, n) for k, n in enumerate(value.shape))
        self._labels = dict(zip(indices, value.axes, strict=True))
        body = _body(value, indices)
        same = _same_tensor(body, indices, value.dtype)
        if same is not None:
            return of_tensor(same, value.axes, value.nonnegative)
        key = (value.shape, dtype_name(value.dtype), body)
        line = self._known.get(key)
        if line is not None and self._is_of_another_turn(line):
            line, self.repeats = None, True
        if line is None:
            line = self._known[key] = self._written(value, indices, body, wish)
        return of_tensor(line.tensor, value.axes, value.nonnegative)

    def keep_store(self, value: Value, other: Value) -> Value:
        """``value`` as a statement of its own, which may be written as ``other``, too."""
        kept = self.keep(value)
        line = self.lines[-1]
        if line.tensor is kept.tensor and line.stored is None:
            line.stored = _body(other, line.indices)
        return kept

    def copied(self, value: Value) -> Tensor:
        """A statement that holds ``value``, even where that is a tensor already."""
        indices = tuple(_own_index(k, n) for k, n in enumerate(value.shape))
        self._labels = dict(zip(indices, value.axes, strict=True))
        line = self._written(value, indices, _body(value, indices), "")
        line.is_copy = True
        return line.tensor

    def _written(self, value: Value, indices: tuple[Index, ...], body: Expr, wish: str) -> Line:
        tensor = Tensor(
            f"%{PRIVATE}{len(self.lines)}",
            tuple(i.extent for i in indices),
            dtype_name(value.dtype),
        )
        line = Line(tensor, indices, body, self._labels, self.place.source, wish, self.nest)
        self.lines.append(line)
        if len(self.lines) > _RUNNING.most:
            raise self.refusal(f"more than {_RUNNING.most} statements", kind=TooLong)
        return line

    def _is_of_another_turn(self, line: Line) -> bool:
        """Whether a statement stands in a turn of a loop that isn't running: each turn of a loop
        has all of its statements."""
        return self.nest[: len(line.nest)] != line.nest

    def promise(self, shape: tuple[Size, ...], dtype: str) -> Tensor:
        """What a recurrence reads before it is written; :meth:`keep_promises` puts it in place."""
        self._promises += 1
        return Tensor(f"%{PRIVATE}p{self._promises}", shape, dtype)

    def keep_promises(self, kept: Mapping[Tensor, Tensor]) -> None:
        """Puts what was written in place of what was promised."""
        for line in self.lines if kept else ():
            line.body = rename_tensors(line.body, kept)  # type: ignore[assignment]

    def name(self, tensor: Tensor | None, wish: str) -> None:
        """The user's own name for a statement's value; the first one stays."""
        if tensor is not None and wish and tensor.name.startswith(f"%{PRIVATE}"):
            self.wishes.setdefault(tensor, wish)

    def wish_of(self, value: Value) -> str:
        """The name that a value will get, "" if it was not asked for."""
        if value.tensor is None:
            return ""
        own = "" if value.tensor.name.startswith(f"%{PRIVATE}") else value.tensor.name
        return self.wishes.get(value.tensor, own)

    # ----------------------------------------------------------------------------------------------
    # Errors

    def refusal(
        self,
        message: str,
        *,
        expected: str = "",
        found: str = "",
        hint: str = "",
        kind: type[TraceError] = UnsupportedError,
    ) -> TraceError:
        """An error that names the user's line; :meth:`refuse` keeps it."""
        place = here()
        place = place if place.source.line else self.place
        error = kind(message, where=show_place(place), expected=expected, found=found, hint=hint)
        self.refuse(error)
        return error

    def quieted(self, place: Place) -> Place:
        """The place, with the warnings that the function itself has turned off there."""
        now = np.geterr().items()
        quiet = tuple(kind for kind, how in now if how == "ignore" != self.warned[kind])  # type: ignore[literal-required]
        return replace(place, source=replace(place.source, quiet=quiet)) if quiet else place

    def behind(self, given: Iterable[Any]) -> list[str]:
        """The names of the watched inputs that some values are computed from."""
        bodies = {line.tensor: line.body for line in self.lines} if self.watched else {}
        left = [value.tensor for value in _values(given, self)] if self.watched else []
        known: dict[Tensor | None, None] = {}
        while left:
            tensor = left.pop()
            if tensor not in known:
                known[tensor] = None
                left += tensors(bodies[tensor]) if tensor in bodies else ()
        return [name for tensor, name in self.watched.items() if tensor in known]

    def ask(self, given: Iterable[Any]) -> None:
        """Takes note of the watched inputs that are behind what is refused."""
        self.asked.update(dict.fromkeys(self.behind(given), True))

    def refuse(self, error: PullbackError) -> None:
        """The first refusal fails the trace even if the user's function catches it.

        The function would not go the way that it goes with arrays. What is running inside of this
        trace, or in place of it where it has ended, fails with it.
        """
        for sheet in (self, running()):
            if sheet is not None:
                sheet.refused = sheet.refused or error


@lru_cache(maxsize=4096)
def _own_index(place: int, extent: int) -> Index:
    """The index of an axis of what is written down."""
    return Index(f"#{PRIVATE}{place}", size(extent))


def innermost(given: Iterable[Any]) -> Sheet:
    """The sheet to write on what is computed of these values: that of the innermost trace.

    The values may be containers of traced arrays, of which there is at least one. Raises TraceError
    where that trace has ended.
    """
    found = max(_sheets(given), key=lambda sheet: len(sheet.enclosing))
    if not found.open:
        raise found.refusal(
            "an array is used after its trace has ended",
            hint="a traced function must not keep its arrays: return them",
        )
    return found


def _sheets(given: Iterable[Any]) -> Iterator[Sheet]:
    for value in given:
        sheet = getattr(value, "_pullback_sheet", None)
        if isinstance(sheet, Sheet):
            yield sheet
        elif isinstance(value, list | tuple):
            yield from _sheets(value)


def _values(given: Iterable[Any], sheet: Sheet) -> Iterator[Value]:
    for one in given:
        if isinstance(one, list | tuple):
            yield from _values(one, sheet)
        elif getattr(one, "_pullback_sheet", None) is sheet:
            yield one._pullback_value


def _body(value: Value, indices: Sequence[Index]) -> Expr:
    """What a value is at these indices; nothing is read for one without elements."""
    if not value.size:
        return Guard(Zero(constant(1))) if value.is_bool else ZERO
    return value.read(tuple(map(at, indices)))


def _holds_tracer(given: Any) -> bool:
    if isinstance(given, list | tuple):
        return any(map(_holds_tracer, given))
    return hasattr(given, "_pullback_value")


def _same_tensor(body: Expr, indices: Sequence[Index], dtype: DType) -> Tensor | None:
    """The tensor that a body is a plain copy of."""
    plain: Subs = tuple(map(at, indices))
    if isinstance(body, Guard):
        with suppress(AttributeError):
            body = body.cond.value  # type: ignore[union-attr]
    if isinstance(body, Access) and body.subs == plain and body.tensor.dtype == dtype_name(dtype):
        return body.tensor if body.tensor.shape == tuple(i.extent for i in indices) else None
    return None
