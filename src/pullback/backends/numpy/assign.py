"""The last step of a statement: all its axes, its dtype, memory of its own, its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ...ir.expr import Expr
from ...ir.program import Define
from ...ir.subscripts import Index
from ..python.code import call, method
from .arrays import Array, expanded
from .dtypes import is_float, is_integer
from .expressions import Context, Speller


def assign(speller: Speller, name: str, body: Expr, define: Define, *, fresh: bool) -> Array:
    """Emits ``name = body``; a ``fresh`` value shares memory with nothing that has a name."""
    value = speller.value(body, Context((), define.indices))
    value = finished(speller, value, define.indices, define.target.dtype)
    if fresh and value.view:
        value = value.with_code(method(value.code, "copy"), view=False)
    text = str(value.code)
    if value.update and value.update[0] == name:
        speller.scope.emit("{} {}= {}".format(*value.update))
    elif text != name:
        speller.scope.emit(f"{name} = {text}")
    return value


def finished(speller: Speller, value: Array, frame: Sequence[Index], dtype: str) -> Array:
    """The value over all axes of ``frame``, cast where NumPy would give it another dtype."""
    scope = speller.scope
    text = scope.dtype(dtype)
    shape = partial(scope.shape, frame)
    if value.weak:
        if not frame:
            code = call("np.array", value.code, dtype=text or "float")
            return Array(code, (), dtype)
        return replace(expanded(value, frame, shape, text or "float"), dtype=dtype)
    if not is_a(value.dtype, dtype):
        value = speller.cast(value, dtype)
    return expanded(value, frame, shape, text)


def is_a(found: str, wanted: str) -> bool:
    """Whether a dtype is (one of) the wanted."""
    match wanted:
        case "float":
            return is_float(found)
        case "int":
            return is_integer(found)
        case _:
            return found == wanted
