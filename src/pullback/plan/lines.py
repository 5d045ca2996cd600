"""A procedure as lines of array operations, and what it returns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..ir.expr import Expr, Tensor, add
from ..ir.program import Define, reads
from ..ir.recurrence import offset
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, constant
from ..ir.walk import accesses, substitute
from ..text import PRIVATE
from . import arrays
from .arrays import Array
from .build import pieced
from .laid import Held, Laid, permuted
from .lower import Lowering
from .ops import Build, Let, Loop, Procedure
from .pieces import Piece
from .scatter import filled, placed, scattered
from .statements import counts_of

SHORT = 8  # operations of a value that stands where it is read
VIEWS = frozenset({"name", "slice", "permute", "insert", "reshape", "expand", "diagonal"})


@dataclass(frozen=True)
class Assign:
    """``tensor = array``, of a statement."""

    tensor: Tensor
    array: Array
    define: Define


@dataclass(frozen=True)
class Steps:
    """A loop over the steps of a recurrence.

    ``step`` is the size that stands for the step at hand, ``carried`` the tensors that a step hands
    on: what they are called in the next step, what they are before the first one, and what they are
    at the end of a step. ``kept`` are the tensors of which all steps are stacked: the whole, and a
    step's.
    """

    step: Size
    count: Size
    turn: int
    lines: tuple[Assign, ...]
    carried: tuple[tuple[Tensor, Array, Tensor], ...]
    kept: tuple[tuple[Tensor, Tensor], ...]


Line: TypeAlias = Assign | Steps


@dataclass(frozen=True)
class Lines:
    """A procedure's lines, and the arrays that it returns: results, then what is saved."""

    inputs: tuple[Tensor, ...]
    lines: tuple[Line, ...]
    results: tuple[Array, ...]
    saved: tuple[Array, ...]
    quiet: tuple[str, ...] = ()  # the warnings of values that are thrown away


def lines_of(
    procedure: Procedure, saved: Sequence[Tensor] = (), *, in_place: bool = False
) -> Lines:
    """The lines of a procedure that also hands over ``saved``; ``in_place`` where arrays are
    memory, parts of which are views and are written to."""
    lowering = Lowering(procedure.facts, in_place=in_place)
    for tensor in procedure.inputs:
        lowering.held[tensor] = Held(arrays.name(tensor), (True,) * len(tensor.shape))
    found: list[Line] = []
    waiting = _waiting(procedure, saved)
    for k, op in enumerate(procedure.ops):
        if isinstance(op, Loop):
            later = {t for other in procedure.ops[k + 1 :] for s in _of(other) for t in reads(s)}
            found.append(_steps(lowering, op, {*later, *procedure.results, *saved}, waiting))
        else:
            line = _assigned(lowering, op)
            if op.define.target in waiting and _length(line.array) <= SHORT:
                held = lowering.held[op.define.target]
                lowering.held[op.define.target] = Held(line.array, held.present)
            else:
                found.append(line)
    made = {line.tensor: line.array for line in found if isinstance(line, Assign)}
    results = []
    taken: set[Array] = {arrays.name(t) for t in procedure.inputs}
    for tensor in procedure.results:
        array = lowering.full(tensor)
        root = _root(array, made)
        results.append(_copied(array) if root in taken or array.op == "expand" else array)
        taken.add(root)
    return Lines(
        procedure.inputs,
        tuple(found),
        tuple(results),
        tuple(lowering.full(t) for t in saved),
        tuple(sorted(lowering.quiet)),
    )


def _waiting(procedure: Procedure, saved: Sequence[Tensor]) -> set[Tensor]:
    """The values without a name of the user's that are read once, and may stand where they are
    read."""
    statements = list(procedure.statements())
    counts = counts_of(statements)
    kept = {*procedure.results, *saved}
    return {
        s.target
        for s in statements
        if counts[s.target] == 1 and not s.user and s.target not in kept
    }


def _length(array: Array) -> int:
    """How many operations an array takes."""
    return sum(not node.scalar and node.op != "name" for node in arrays.nodes(array, set()))


def _of(op: Let | Build | Loop) -> tuple[Define, ...]:
    return op.group if isinstance(op, Loop) else (op.define,)


def _root(array: Array, made: Mapping[Tensor, Array]) -> Array:
    """The array whose memory an array may be a view of."""
    while array.op in VIEWS:
        if array.op == "name":
            if array.told[0] not in made:
                break
            array = made[array.told[0]]
        else:
            array = array.parts[0]
    return array


def _copied(array: Array) -> Array:
    """A copy."""
    return Array("copy", (array,), (), array.shape, array.kind, False)


def _assigned(lowering: Lowering, op: Let | Build) -> Assign:
    """A statement as a line; its target is then known by its name."""
    define = op.define
    lowering.hint = define.indices
    laid = lowering.value(define.body) if isinstance(op, Let) else _built(lowering, op)
    return _held(lowering, define.target, define.indices, laid, define)


def _held(
    lowering: Lowering, target: Tensor, indices: Sequence[Index], laid: Laid, define: Define
) -> Assign:
    array, missing = _ordered(laid, indices, target.kind)
    present = tuple(k not in missing for k in range(len(indices)))
    name = arrays.name(target, array.shape)
    if array.scalar:
        name = Array("name", (), (target,), (), array.kind, True)
    lowering.held[target] = Held(name, present)
    return Assign(target, array, define)


def _ordered(laid: Laid, indices: Sequence[Index], kind: str) -> tuple[Array, list[int]]:
    """The array with its axes in the order of ``indices``, of a kind, and the places of those that
    it lacks."""
    own = permuted(laid, indices)
    array = own.array
    if array.kind != kind and kind != "bool":
        array = arrays.cast(array, kind)
    return array, [k for k, i in enumerate(indices) if i not in own.axes]


def _built(lowering: Lowering, op: Build) -> Laid:
    """A target made part by part."""
    define = op.define
    shape = define.target.shape
    if op.row is not None:
        pieces = [filled(lowering, part) for part in op.parts if isinstance(part, Piece)]
        return Laid(arrays.concatenate(pieces, op.row, shape), define.indices)
    base = arrays.zeros(shape)
    if op.terms:
        laid = permuted(lowering.value(add(*op.terms)), define.indices)
        missing = [k for k, i in enumerate(define.indices) if i not in laid.axes]
        dense = arrays.insert(laid.array, missing) if laid.axes else laid.array
        base = arrays.expand(dense, shape, "float")
    for part in op.parts:
        if isinstance(part, Piece):
            base = placed(lowering, part, base)
        else:
            base = scattered(lowering, part, base)
    laid = Laid(base, define.indices)
    return lowering.times(op.factors, laid) if op.factors else laid


def _steps(
    lowering: Lowering, op: Loop, wanted: Collection[Tensor], waiting: Collection[Tensor]
) -> Steps:
    """A recurrence as a loop."""
    count = op.group[0].indices[0].extent
    step = size(f"{op.group[0].indices[0].name}{PRIVATE}step")
    made = {s.target for s in op.group}
    now = {t: Tensor(t.name, t.shape[1:], t.dtype) for t in made}
    depth: dict[Tensor, int] = {}
    for s in op.group:
        for access in accesses(s.body):
            if access.tensor in made:
                ahead = offset(s, access)
                if ahead:
                    depth[access.tensor] = max(depth.get(access.tensor, 0), -ahead * op.turn)
    inner = Lowering(
        lowering.facts,
        dict(lowering.held),
        step=(step, count),
        in_place=lowering.in_place,
        quiet=lowering.quiet,
    )
    carried: list[tuple[Tensor, Array, Tensor]] = []
    word = "prev" if op.turn > 0 else "next"
    for tensor in (s.target for s in op.group):
        before = now[tensor]
        fresh: list[tuple[Tensor, Array, Tensor]] = []
        for k in range(1, depth.get(tensor, 0) + 1):
            own = Tensor(
                f"{tensor.name}_{word}{k if k > 1 else ''}", tensor.shape[1:], tensor.dtype
            )
            fresh.append((own, arrays.zeros(own.shape, own.kind), before))
            inner.rows[tensor, -k * op.turn] = Held(arrays.name(own), (True,) * len(own.shape))
            before = own
        carried += reversed(fresh)  # the oldest first: each takes what the next one still holds
    found: list[Assign] = []
    for s in op.group:
        first, *rest = s.indices
        body: Expr = substitute(s.body, {first: constant(step)})  # type: ignore[assignment]
        inner.hint = tuple(rest)
        inner.rows.setdefault((s.target, 0), Held(arrays.name(now[s.target]), (True,) * len(rest)))
        at_step = Define(now[s.target], tuple(rest), body, s.source, s.user, of=s.of)
        built = pieced(at_step, inner.facts)
        laid = inner.value(body) if built is None else _built(inner, built)
        array, missing = _ordered(laid, rest, s.target.kind)
        array = arrays.insert(array, missing) if array.rank else array
        array = arrays.expand(array, tuple(i.extent for i in rest))
        here = s.target in waiting and s.target not in wanted and s.target not in depth
        if here and _length(array) <= SHORT:
            inner.rows[s.target, 0] = Held(array, (True,) * len(rest))
            continue
        found.append(Assign(now[s.target], array, s))
    kept = tuple((s.target, now[s.target]) for s in op.group if s.target in wanted)
    for tensor, _ in kept:
        lowering.held[tensor] = Held(arrays.name(tensor), (True,) * len(tensor.shape))
    return Steps(step, count, op.turn, tuple(found), tuple(carried), kept)
