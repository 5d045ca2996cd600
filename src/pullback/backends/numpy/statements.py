"""One statement as one piece of source: its comment, its lines, a name for its value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from ...ir.expr import Tensor
from ...ir.program import Define
from .arrays import Array, expanded
from .code import call, method
from .dtypes import is_float, is_integer
from .expressions import Context, Speller
from .scope import Scope


def statement(speller: Speller, define: Define, *, final: bool) -> None:
    """Emits the source of a statement; a ``final`` value shares memory with nothing else."""
    scope = speller.scope
    value = speller.value(define.body, Context((), define.indices))
    value = _of_dtype(speller, value, define)
    if final and value.view:
        value = value.with_code(method(value.code, "copy"), view=False)
    name = scope.bind(define.target)
    scope.arrays[define.target] = replace(scope.arrays[define.target], dtype=value.dtype)
    scope.emit(f"{name} = {value.code}")


def returned(scope: Scope, tensors: Iterable[Tensor], shared: Iterable[Tensor]) -> list[str]:
    """The texts of returned values; one of ``shared``, or one returned before, is copied."""
    seen = set(shared)
    texts = []
    for tensor in tensors:
        code = scope.read(tensor)
        texts.append(str(method(code, "copy") if tensor in seen else code))
        seen.add(tensor)
    return texts


def _of_dtype(speller: Speller, value: Array, define: Define) -> Array:
    """The value over all axes of a statement, cast where NumPy would give it another dtype."""
    scope, dtype = speller.scope, define.target.dtype
    text = scope.dtype(dtype)
    shape = partial(scope.shape, define.indices)
    if value.weak:
        if not define.indices:
            code = call("np.array", value.code, dtype=text or "float")
            return Array(code, (), dtype)
        return replace(expanded(value, define.indices, shape, text or "float"), dtype=dtype)
    if not _is(value.dtype, dtype):
        value = speller.cast(value, dtype)
    return expanded(value, define.indices, shape, text)


def _is(found: str, wanted: str) -> bool:
    match wanted:
        case "float":
            return is_float(found)
        case "int":
            return is_integer(found)
        case _:
            return found == wanted
