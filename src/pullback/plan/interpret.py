"""Runs a plan element by element: what it means, before any source is written.

Each operation is a loop over scalars, in any arithmetic of :mod:`pullback.ir.arithmetic`. An array
that is being made can't be read, and one that has been made doesn't change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from types import MappingProxyType

from ..errors import CheckError
from ..ir.arithmetic import Arithmetic, Value
from ..ir.expr import Add, Expr, Guard, IndexOf, Tensor, mul
from ..ir.interpret import FLOAT, Array, define, define_group
from ..ir.program import Define
from ..ir.subscripts import indices_of
from .ops import Build, Let, Loop, Procedure
from .pieces import Piece
from .spread import Spread


def run(
    procedure: Procedure,
    arrays: Mapping[str, Array],
    sizes: Mapping[str, int],
    arithmetic: Arithmetic = FLOAT,
) -> dict[str, Array]:
    """The arrays of a procedure by name: its inputs, and what its operations make."""
    made = {t.name: arrays[t.name] for t in procedure.inputs}
    for op in procedure.ops:
        seen = MappingProxyType(made)
        match op:
            case Let(statement):
                fresh = {statement.target.name: define(statement, seen, sizes, arithmetic)}
            case Loop(group, _):
                fresh = define_group(group, seen, sizes, arithmetic)
            case Build():
                fresh = {op.define.target.name: _build(op, seen, sizes, arithmetic)}
        made |= {name: Array(a.shape, list(a.flat)) for name, a in fresh.items()}
    return made


def _build(
    op: Build, arrays: Mapping[str, Array], sizes: Mapping[str, int], arithmetic: Arithmetic
) -> Array:
    """A target made part by part; raises CheckError where pieces in a row don't fill it."""
    target, indices = op.define.target, op.define.indices
    start = define(Define(target, indices, Add(op.terms)), arrays, sizes, arithmetic)
    points = list(product(*map(range, start.shape)))
    flat = dict(zip(points, start.flat, strict=True))
    written: Counter[tuple[int, ...]] = Counter()
    for part in op.parts:
        for where, value in _values(part, arrays, sizes, arithmetic):
            if where not in flat:
                if isinstance(part, Piece):
                    raise CheckError(f"{target.name} has no element {list(where)}")
                continue  # a scatter leaves out what lies outside
            flat[where] = arithmetic.add(flat[where], value)
            written[where] += 1
    if op.row is not None and any(written[where] != 1 for where in points):
        raise CheckError(f"the pieces of {target.name} leave a gap, or lie over one another")
    made = Array(start.shape, [flat[where] for where in points])
    if not op.factors:
        return made
    scaled = Define(target, indices, mul(op.define.access, *op.factors))
    return define(
        replace(scaled, target=Tensor(f"{target.name} scaled", target.shape, target.dtype)),
        {**arrays, target.name: made},
        sizes,
        arithmetic,
    )


def _values(
    part: Spread | Piece,
    arrays: Mapping[str, Array],
    sizes: Mapping[str, int],
    arithmetic: Arithmetic,
) -> Iterator[tuple[tuple[int, ...], Value]]:
    """Where a part puts values, and which."""
    own = dict.fromkeys(i for sub in part.subs for i in indices_of(sub))
    if isinstance(part, Spread):
        bound, guards, body = part.bound, tuple(map(Guard, part.conds)), mul(*part.factors)
    else:
        bound, guards, body = (), (), part.body
    indices = tuple(dict.fromkeys((*own, *bound)))
    shape = tuple(i.extent for i in indices)

    def at_all(name: str, dtype: str, value: Expr) -> Array:
        statement = Define(Tensor(name, shape, dtype), indices, mul(*guards, value))
        return define(statement, arrays, sizes, arithmetic)

    values = at_all("value", "float", body)
    places = [at_all("place", "int", IndexOf(sub)) for sub in part.subs]
    yield from zip(zip(*(p.flat for p in places), strict=True), values.flat, strict=True)
