"""The sheet that a trace is written on: statements, constants, the names they wish for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import TraceError
from ..ir.expr import ZERO, Access, Expr, Guard, Tensor, Zero
from ..ir.program import Source
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, at, constant
from ..ir.walk import rename_tensors
from .constants import recognised
from .places import NOWHERE, Place, here, show_place, variable_holding
from .refusals import REAL_ONLY
from .values import BOOL, FLOAT, INT, DType, Subs, Value, of_number, of_tensor

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


class Sheet:
    """Collects what a traced function does."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.constants: dict[Tensor, Data] = {}
        self.wishes: dict[Tensor, str] = {}
        self.defaults: dict[Tensor, str] = {}  # names of outputs that have no other
        self.returned: dict[Tensor, None] = {}
        self.refused: TraceError | None = None
        self.place: Place = NOWHERE
        self.frames: dict[int, Any] = {}
        self._known: dict[tuple[Any, ...], Line] = {}
        self._data: dict[tuple[Any, ...], Tensor] = {}
        self._labels: dict[Index, str] = {}
        self._promises = 0

    # ----------------------------------------------------------------------------------------------
    # Values

    def value(self, given: Any) -> Value:
        """What an operation was given: a tracer's value, a number, or a constant array."""
        if isinstance(given, Value):
            return given
        traced = getattr(given, "_pullback_value", None)
        if isinstance(traced, Value):
            if given._pullback_sheet is not self:
                raise self.refusal(
                    "an array of another trace is used here",
                    hint="pass it to the function as an argument",
                )
            return traced
        if isinstance(given, bool):
            return of_number(given, BOOL)
        if isinstance(given, int | float) and not isinstance(given, np.generic):
            return self._python_number(given)
        if isinstance(given, np.ndarray | np.generic):
            return self._constant(np.asarray(given), given)
        if isinstance(given, list | tuple) and not _holds_tracer(given):
            return self._constant(np.asarray(given), given)
        if isinstance(given, list | tuple):
            raise self.refusal(
                "a list that holds traced arrays is used as an array",
                hint="write np.stack([...]) to make one array of them",
            )
        raise self.refusal(
            f"a {type(given).__name__} can't be part of a traced computation",
            expected="arrays and real numbers",
            hint=REAL_ONLY if isinstance(given, complex) else "use arrays and numbers",
        )

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
            tensor = Tensor(f"%c{len(self._data)}", tuple(map(size, array.shape)), array.dtype.name)
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
        index = Index(f"#{len(self._labels)}", size(extent))
        self._labels[index] = label
        return index

    def keep(self, value: Value, wish: str = "") -> Value:
        """``value`` as a statement of its own (or as it is, where it already is a tensor)."""
        indices = tuple(Index(f"#{k}", size(n)) for k, n in enumerate(value.shape))
        self._labels = dict(zip(indices, value.axes, strict=True))
        body = _body(value, indices)
        same = _same_tensor(body, indices, value.dtype)
        if same is not None:
            return replace(of_tensor(same, value.axes), nonnegative=value.nonnegative)
        key = (value.shape, value.dtype.name, body)
        line = self._known.get(key)
        if line is None:
            line = self._known[key] = self._written(value, indices, body, wish)
        kept = of_tensor(line.tensor, value.axes)
        return replace(kept, nonnegative=value.nonnegative or kept.nonnegative)

    def copied(self, value: Value) -> Tensor:
        """A statement that holds ``value``, even where that is a tensor already."""
        indices = tuple(Index(f"#{k}", size(n)) for k, n in enumerate(value.shape))
        self._labels = dict(zip(indices, value.axes, strict=True))
        return self._written(value, indices, _body(value, indices), "").tensor

    def _written(self, value: Value, indices: tuple[Index, ...], body: Expr, wish: str) -> Line:
        tensor = Tensor(f"%{len(self.lines)}", tuple(i.extent for i in indices), value.dtype.name)
        line = Line(tensor, indices, body, self._labels, self.place.source, wish)
        self.lines.append(line)
        return line

    def promise(self, shape: tuple[Size, ...], dtype: str) -> Tensor:
        """What a recurrence reads before it is written; :meth:`keep_promises` puts it in place."""
        self._promises += 1
        return Tensor(f"%p{self._promises}", shape, dtype)

    def keep_promises(self, kept: Mapping[Tensor, Tensor]) -> None:
        """Puts what was written in place of what was promised."""
        for line in self.lines if kept else ():
            line.body = rename_tensors(line.body, kept)  # type: ignore[assignment]

    def name(self, tensor: Tensor | None, wish: str) -> None:
        """The user's own name for a statement's value; the first one stays."""
        if tensor is not None and wish and tensor.name.startswith("%"):
            self.wishes.setdefault(tensor, wish)

    def wish_of(self, value: Value) -> str:
        """The name that a value will get, "" if it was not asked for."""
        if value.tensor is None:
            return ""
        own = "" if value.tensor.name.startswith("%") else value.tensor.name
        return self.wishes.get(value.tensor, own)

    # ----------------------------------------------------------------------------------------------
    # Errors

    def refusal(
        self, message: str, *, expected: str = "", found: str = "", hint: str = ""
    ) -> TraceError:
        """An error that names the user's line.

        The first one fails the trace even if somebody catches it: the function would not go the
        way that it goes with arrays.
        """
        place = here()
        place = place if place.source.line else self.place
        error = TraceError(
            message, where=show_place(place), expected=expected, found=found, hint=hint
        )
        self.refused = self.refused or error
        return error


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
    if isinstance(body, Access) and body.subs == plain and body.tensor.dtype == dtype.name:
        return body.tensor if body.tensor.shape == tuple(i.extent for i in indices) else None
    return None
