"""Programs inside a trace: what pullback's own functions do when a traced array is among their
arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import PullbackError
from ..ir.expr import Guard, Tensor
from ..ir.program import Define, Program, reads
from ..ir.recurrence import Group, groups, is_recurrent
from ..ir.subscripts import Index
from ..ir.walk import bound_indices, renamed
from ..trace.places import here
from ..trace.record import Sheet, innermost, running
from ..trace.tracer import Tracer
from ..trace.values import Subs, Value


def refuse_around(error: PullbackError) -> None:
    """Where a refusal leaves one of pullback's own functions inside a traced function, the trace
    fails with it, whoever catches it: with arrays instead of traced ones it may not come up.
    """
    outer = running()
    if outer is not None:
        outer.refuse(error)


def inlined(
    program: Program, values: Sequence[Any], name: str = "", beside: Sequence[Any] = ()
) -> list[Tracer]:
    """The program's outputs; ``values`` are its inputs, some of them traced (or of ``beside``).

    Its statements are written on the sheet of the innermost trace among these. A single output is
    called ``name`` or, where that is empty, as the variable that it goes to. Every size in the
    program is a number. Raises TraceError where a value's trace has ended.
    """
    sheet = innermost((*values, *beside))
    place = here()
    tensors: dict[Tensor, Tensor] = {}
    kept: dict[Tensor, Value] = {}
    read = {t for s in program.statements for t in reads(s)} | set(program.outputs)
    for tensor, value in zip(program.inputs, values, strict=True):
        kept[tensor] = sheet.value(value)
        if tensor in read:
            kept[tensor] = _tensor(sheet, kept[tensor])
            tensors[tensor] = _named(kept[tensor])
    strong = [v.dtype for v in kept.values() if v.dtype.kind == "f" and v.weak is None]
    floats = np.result_type(*strong) if strong else np.dtype(np.float64)
    for group in groups(program.statements):
        promised = _promised(sheet, group, floats) if is_recurrent(group) else {}
        for statement in group:
            own = replace(statement.source, line=place.source.line, file=place.source.file)
            sheet.place = replace(place, source=own if own.text else place.source)
            dtype = _dtype(statement.target, floats)
            kept[statement.target] = _statement(sheet, statement, {**promised, **tensors}, dtype)
            tensors[statement.target] = _named(kept[statement.target])
        sheet.keep_promises({promised[t]: tensors[t] for t in promised})
    if len(program.outputs) == 1:
        sheet.name(tensors[program.outputs[0]], name or place.name)
    return [Tracer(sheet, kept[tensor]) for tensor in program.outputs]


def _promised(sheet: Sheet, group: Group, floats: np.dtype[Any]) -> dict[Tensor, Tensor]:
    """Stands for the targets of a recurrence until they are written."""
    return {s.target: sheet.promise(s.target.shape, _dtype(s.target, floats).name) for s in group}


def _dtype(tensor: Tensor, floats: np.dtype[Any]) -> np.dtype[Any]:
    """A statement's dtype; one of no given width follows the floats that go in."""
    match tensor.dtype:
        case "float":
            return floats
        case "int":
            return np.dtype(np.int64)
        case name:
            return np.dtype(name)


def _tensor(sheet: Sheet, value: Value) -> Value:
    """The value as a tensor that subscripts can look up."""
    if value.tensor is not None:
        return value
    return sheet.keep(replace(value, weak=None))


def _named(value: Value) -> Tensor:
    assert value.tensor is not None
    return value.tensor


def _statement(
    sheet: Sheet, statement: Define, tensors: dict[Tensor, Tensor], dtype: np.dtype[Any]
) -> Value:
    """The statement's value, written on the sheet."""

    def at(subs: Subs) -> Any:
        names: dict[Index, Index] = {}
        for index, sub in zip(statement.indices, subs, strict=True):
            assert sub.index is not None
            names[index] = sub.index
        for index in bound_indices(statement.body):
            names[index] = sheet.bound(int(index.extent.value({})), index.name)
        body = renamed(statement.body, names, tensors)
        return body.cond if dtype.kind == "b" and isinstance(body, Guard) else body

    shape = tuple(int(extent.value({})) for extent in statement.target.shape)
    axes = tuple(index.name for index in statement.indices)
    return sheet.keep(Value(shape, dtype, at, axes), statement.target.name)
