"""A procedure as lines of array operations, and what it returns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..ir.expr import Access, Expr, Opaque, Tensor, add
from ..ir.program import Define, reads
from ..ir.recurrence import direction, groups, is_recurrent, offset
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, at, constant
from ..ir.walk import map_tensors, substitute, tensors
from ..text import PRIVATE
from . import arrays
from .accumulated import accumulated, accumulation
from .arrays import Array
from .build import operation, pieced
from .laid import Held, Laid, permuted
from .lower import Lowering, bits
from .ops import Build, Let, Loop, Op, Procedure
from .pieces import Piece, fills, overlap
from .scatter import filled, placed, scattered
from .statements import counts_of
from .steps import Handed, axes_of

WIDTHS = ("float16", "float32", "float64")
SHORT = 8  # operations of a value that stands where it is read
VIEWS = frozenset({"name", "slice", "permute", "insert", "reshape", "expand", "diagonal"})
VIEWS_IN_MEMORY = VIEWS | {"flip", "windows"}  # what shares memory with another array in NumPy


@dataclass(frozen=True)
class Assign:
    """``tensor = array``, of a statement."""

    tensor: Tensor
    array: Array
    define: Define


@dataclass(frozen=True)
class Steps:
    """A loop over the steps of a recurrence.

    ``step`` is the size that stands for the step at hand, ``lines`` what is done at it, loops along
    the next index among it, ``carried`` the tensors that a step hands
    on: what they are called in the next step, what they are before the first one, and what they are
    at the end of a step. ``kept`` are the tensors of which all steps are stacked: the whole, and a
    step's. ``last`` are those of the tensors handed on that are read after the last step, ``wide``
    those of the stacked ones whose floats are wider than an input's.
    """

    step: Size
    count: Size
    turn: int
    lines: tuple[Line, ...]
    carried: tuple[tuple[Tensor, Array, Tensor], ...]
    kept: tuple[tuple[Tensor, Tensor], ...]
    last: tuple[Tensor, ...] = ()
    wide: frozenset[Tensor] = frozenset()


Line: TypeAlias = Assign | Steps


def assigned(lines: Iterable[Line]) -> Iterator[Assign]:
    """The statements of lines, those of loops and of loops in loops among them."""
    for line in lines:
        if isinstance(line, Steps):
            yield from assigned(line.lines)
        else:
            yield line


def looped(lines: Iterable[Line]) -> Iterator[Steps]:
    """The loops of lines, those in loops among them."""
    for line in lines:
        if isinstance(line, Steps):
            yield line
            yield from looped(line.lines)


@dataclass(frozen=True)
class Lines:
    """A procedure's lines, and the arrays that it returns: results, then what is saved."""

    inputs: tuple[Tensor, ...]
    lines: tuple[Line, ...]
    results: tuple[Array, ...]
    saved: tuple[Array, ...]
    quiet: tuple[str, ...] = ()  # the warnings of values that are thrown away


def lines_of(
    procedure: Procedure,
    saved: Sequence[Tensor] = (),
    *,
    in_place: bool = False,
    named: bool = False,
) -> Lines:
    """The lines of a procedure that also hands over ``saved``; ``in_place`` where arrays are
    memory, parts of which are views and are written to; ``named`` where each statement is a line,
    though nothing but the next one reads its value."""
    lowering = Lowering(procedure.facts, in_place=in_place)
    for tensor in procedure.inputs:
        lowering.held[tensor] = Held(arrays.name(tensor), (True,) * len(tensor.shape))
    floats = [t.dtype for t in floats_of(procedure)]
    lowering.width = frozenset(floats[:1])
    lowering.mixed = len({*floats, *_widths(procedure)}) > 1
    found: list[Line] = []
    waiting = set() if named else _waiting(procedure, saved)
    left = list(procedure.ops)
    while left:
        op = left.pop(0)
        if isinstance(op, Loop):
            later = {t for other in left for s in _of(other) for t in reads(s)}
            if (known := accumulation(op, {*later, *procedure.results, *saved})) is not None:
                laid = accumulated(lowering, *known)
                found.append(_held(lowering, known[0].target, known[0].indices, laid, known[0]))
                continue
            handed = Handed(op, procedure.facts)
            left = [_after(handed, other) for other in left]
            later = {t for other in left for s in _of(other) for t in reads(s)}
            wanted = {*later, *procedure.results, *saved}
            steps = _steps(lowering, handed, wanted, waiting)
            last = tuple(t for t in handed.before.values() if t in later)
            found.append(replace(steps, last=last))
        else:
            line = _assigned(lowering, op)
            if op.define.target in waiting and _length(line.array) <= SHORT:
                held = lowering.held[op.define.target]
                lowering.held[op.define.target] = Held(line.array, held.present)
            else:
                found.append(line)
    found, results = _apart(procedure, lowering, found, saved)
    return Lines(
        procedure.inputs,
        tuple(found),
        tuple(results),
        tuple(lowering.full(t) for t in saved),
        tuple(sorted(lowering.quiet)),
    )


def _widths(procedure: Procedure) -> set[str]:
    """The dtypes of the floats that a procedure computes."""
    return {s.target.dtype for s in procedure.statements() if s.target.dtype in WIDTHS}


def floats_of(procedure: Procedure) -> list[Tensor]:
    """The inputs that are floats: the first says what numbers alone become."""
    return [t for t in procedure.inputs if t.kind == "float"]


def _apart(
    procedure: Procedure, lowering: Lowering, found: Sequence[Line], saved: Sequence[Tensor]
) -> tuple[list[Line], list[Array]]:
    """The lines and what is returned, so that results share no memory with the arguments or with
    each other."""
    made = {line.tensor: line for line in found if isinstance(line, Assign)}
    views = VIEWS_IN_MEMORY if lowering.in_place else VIEWS
    taken: set[Array] = {arrays.name(t) for t in procedure.inputs}
    taken.update(arrays.name(t) for line in found if isinstance(line, Steps) for t in line.last)
    read = _read(found, saved) if lowering.in_place else set(procedure.results)
    results: list[Array] = []
    for tensor in procedure.results:
        array = lowering.full(tensor)
        if array.op == "full":  # numbers alone, of the width that NumPy gives them
            array = _as_wide(array, tensor, lowering)
        root = _root(array, made, views)
        if root in taken or array.op == "expand":
            line = made.get(tensor)
            if line is not None and array.op == "name" and line.array.op in views:
                made[tensor] = replace(line, array=_copied(line.array))
            elif line is not None and array.op == "expand" and tensor not in read:
                made[tensor] = replace(line, array=_copied(_rebased(array, line.array)))
                array = arrays.name(tensor)
            else:
                array = _copied(array)
        taken.add(_root(array, made, views))
        results.append(array)
    return [made[x.tensor] if isinstance(x, Assign) else x for x in found], results


def _read(found: Sequence[Line], saved: Sequence[Tensor]) -> set[Tensor]:
    """The tensors that lines read, or that are saved."""
    read = set(saved)
    seen: set[Array] = set()
    for line in found:
        for array in arrays_of(line):
            nodes = arrays.nodes(array, seen)
            read.update(node.told[0] for node in nodes if node.op == "name")
    return read


def arrays_of(line: Line) -> list[Array]:
    """The arrays that a line computes."""
    firsts = [first for steps in looped([line]) for _, first, _ in steps.carried]
    return [*firsts, *(one.array for one in assigned([line]))]


def _after(handed: Handed, op: Op) -> Op:
    """A later operation that reads what the last step of a loop handed on."""
    match op:
        case Let(define) if any(t in handed.made for t in reads(define)):
            return operation(handed.after(define), handed.facts)
        case Build(define) if any(t in handed.made for t in reads(define)):
            return operation(handed.after(define), handed.facts)
        case _:
            return op


def _waiting(procedure: Procedure, saved: Sequence[Tensor]) -> set[Tensor]:
    """The values without a name of the user's that are read once, and may stand where they are
    read."""
    statements = list(procedure.statements())
    counts = counts_of(statements)
    kept = {*procedure.results, *saved}
    loops = [op.group for op in procedure.ops if isinstance(op, Loop)]
    for group in loops:  # what a loop reads is made before, not in every step
        made = {s.target for s in group}
        kept.update(t for s in group for t in reads(s) if t not in made)
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


def _root(array: Array, made: Mapping[Tensor, Assign], views: Collection[str]) -> Array:
    """The array whose memory an array may be a view of."""
    while array.op in views:
        if array.op == "name":
            if array.told[0] not in made:
                break
            array = made[array.told[0]].array
        else:
            array = array.parts[0]
    return array


def _rebased(array: Array, base: Array) -> Array:
    """The new axes, and the repetitions, of a name for another array."""
    match array.op:
        case "insert":
            return arrays.insert(_rebased(array.parts[0], base), array.told)
        case "expand":
            return arrays.expand(_rebased(array.parts[0], base), array.shape, array.kind)
        case _:
            return base


def _copied(array: Array) -> Array:
    """A copy; made before a reshape, which might copy as well."""
    if array.op == "full":
        return array
    if array.op == "reshape":
        return arrays.reshape(_copied(array.parts[0]), array.shape)
    return Array("copy", (array,), (), array.shape, array.kind, False)


def _assigned(lowering: Lowering, op: Let | Build) -> Assign:
    """A statement as a line; its target is then known by its name."""
    define = op.define
    lowering.hint = define.indices
    with lowering.making(define.target):
        if isinstance(op, Build):
            laid = _built(lowering, op)
        elif op.split is not None:
            lowering.hint = op.split.indices
            kind = "bool" if define.target.kind == "bool" else ""
            digits = lowering.over(lowering.value(op.split.body), op.split.indices, kind)
            laid = Laid(arrays.reshape(digits, define.target.shape), define.indices)
        else:
            laid = lowering.value(define.body)
    return _held(lowering, define.target, define.indices, laid, define)


def _held(
    lowering: Lowering, target: Tensor, indices: Sequence[Index], laid: Laid, define: Define
) -> Assign:
    array, missing = _ordered(laid, indices, target.kind)
    array = _fitted(array, target, lowering, define)
    present = tuple(k not in missing for k in range(len(indices)))
    name = arrays.name(target, array.shape)
    if array.scalar:
        name = Array("name", (), (target,), (), array.kind, True)
    lowering.held[target] = Held(name, present)
    return Assign(target, array, define)


def _fitted(array: Array, target: Tensor, lowering: Lowering, define: Define) -> Array:
    """The array of a statement in the width of its target."""
    lowering.quiet.update(dict.fromkeys(define.source.quiet))
    array = _as_narrow(array, target, lowering, define)
    if lowering.mixed and target.dtype in WIDTHS:
        read = [dtype for dtype in arrays.widths(array) if dtype in WIDTHS]
        array = arrays.made_wide(array, max(read, key=WIDTHS.index, default=target.dtype))
    return _as_wide(array, target, lowering)


def _as_wide(
    array: Array, target: Tensor, lowering: Lowering, *, only_wider: bool = False
) -> Array:
    """Floats of the width of a target, where what they are computed of has another one."""
    if target.dtype not in WIDTHS or array.kind != "float" or array.scalar:
        return array
    found = arrays.widths(array) or lowering.width
    known = [WIDTHS.index(dtype) for dtype in found if dtype in WIDTHS]
    own = WIDTHS.index(target.dtype)
    if not known or max(known) == own or (only_wider and max(known) > own):
        return array
    return arrays.widened(array, target.dtype)


def _as_narrow(array: Array, target: Tensor, lowering: Lowering, define: Define) -> Array:
    """Integers of the dtype of a target, where that holds fewer numbers than what they are computed
    of: NumPy's wrap."""
    if not lowering.facts.wraps or target.kind != "int" or target.dtype == "int":
        return array
    read = [t.dtype for t in tensors(define.body) if t.kind == "int"]
    if all(_holds(target.dtype, dtype) for dtype in (*read, *arrays.whole_widths(array))):
        return array
    return arrays.as_int(array, target.dtype)


def _holds(wide: str, dtype: str) -> bool:
    """Whether an integer dtype has all the numbers of another one."""
    if wide == dtype:
        return True
    return bits(dtype) < bits(wide) and (dtype.startswith("u") or not wide.startswith("u"))


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
        row = [filled(lowering, part) for part in op.parts if isinstance(part, Piece)]
        return Laid(arrays.concatenate(row, op.row, shape), define.indices)
    pieces = [part for part in op.parts if isinstance(part, Piece)]
    apart = not op.terms and len(pieces) == len(op.parts) and not overlap(pieces)
    bare = lowering.in_place and apart and fills(pieces, define)
    base = arrays.unwritten(shape) if bare else arrays.zeros(shape)
    base = _as_wide(base, define.target, lowering, only_wider=True)
    if op.terms:
        laid = permuted(lowering.value(add(*op.terms)), define.indices)
        missing = [k for k, i in enumerate(define.indices) if i not in laid.axes]
        dense = arrays.insert(laid.array, missing) if laid.axes else laid.array
        base = arrays.expand(dense, shape, "float")
    for part in op.parts:
        if isinstance(part, Piece):
            base = placed(lowering, part, base, apart=apart)
        else:
            base = scattered(lowering, part, base)
    laid = Laid(base, define.indices)
    return lowering.times(op.factors, laid) if op.factors else laid


def _at_step(
    lowering: Lowering, handed: Handed, group: Sequence[Define], now: Mapping[Tensor, Tensor]
) -> tuple[Define, ...]:
    """Statements at the step at hand, of which what is left is a recurrence along the next index:
    of what this step and those before it made."""
    assert lowering.step is not None
    for (tensor, ahead), held in lowering.rows.items():
        row = now[tensor] if not ahead else handed.before[tensor, -ahead * handed.loop.turn]
        lowering.held[row] = held
        lowering.facts.alias(row, tensor)
    found: list[Define] = []
    for s in group:
        first, *rest = s.indices
        lowering.facts.alias(now[s.target], s.target)

        def row_of(access: Access, s: Define = s) -> Access:
            ahead = offset(s, access) if access.tensor in now else None
            if ahead is None:
                return access
            back = -ahead * handed.loop.turn
            row = handed.before[access.tensor, back] if back else now[access.tensor]
            return Access(row, access.subs[1:])

        value = handed.body(s)
        if isinstance(value, Opaque) and value.subs[0] is at(first):
            operands = tuple(_operand_at(lowering, t, now) for t in value.operands)
            value = Opaque(value.operation, operands, value.subs[1:])
        step = constant(lowering.step[0])
        body: Expr = substitute(map_tensors(value, row_of), {first: step})  # type: ignore[assignment]
        found.append(Define(now[s.target], tuple(rest), body, s.source, s.user, of=s.of))
    return tuple(found)


def _operand_at(lowering: Lowering, tensor: Tensor, now: Mapping[Tensor, Tensor]) -> Tensor:
    """What a matrix operation is of at the step at hand, as a tensor."""
    assert lowering.step is not None
    if tensor in now:
        return now[tensor]
    row = Tensor(tensor.name, tensor.shape[1:], tensor.dtype)
    array = lowering.operand_at(tensor, constant(lowering.step[0]))
    lowering.held[row] = Held(array, (True,) * len(row.shape))
    lowering.facts.alias(row, tensor)
    return row


def _loop(
    lowering: Lowering,
    group: tuple[Define, ...],
    wanted: Collection[Tensor],
    waiting: Collection[Tensor],
) -> Line:
    """A recurrence at one step of another."""
    loop = Loop(group, direction(group))
    if (known := accumulation(loop, wanted)) is not None:
        laid = accumulated(lowering, *known)
        return _held(lowering, known[0].target, known[0].indices, laid, known[0])
    return _steps(lowering, Handed(loop, lowering.facts), wanted, waiting)


def _steps(
    lowering: Lowering, handed: Handed, wanted: Collection[Tensor], waiting: Collection[Tensor]
) -> Steps:
    """A recurrence as a loop."""
    group, turn = handed.loop.group, handed.loop.turn
    count = group[0].indices[0].extent
    around = lowering.around if lowering.step is None else (*lowering.around, lowering.step)
    step = size(f"{group[0].indices[0].name}{PRIVATE}step{len(around) or ''}")
    now = {t: Tensor(t.name, t.shape[1:], t.dtype) for t in handed.made}
    inner = Lowering(
        lowering.facts,
        dict(lowering.held),
        step=(step, count),
        around=around,
        in_place=lowering.in_place,
        quiet=lowering.quiet,
        width=lowering.width,
        mixed=lowering.mixed,
    )
    for target, tensor in handed.same.items():
        now[target] = handed.before[tensor, 1]
    carried: list[tuple[Tensor, Array, Tensor]] = []
    for (tensor, back), own in handed.before.items():
        inner.rows[tensor, -back * turn] = Held(arrays.name(own), (True,) * len(own.shape))
        newer = now[tensor] if back == 1 else handed.before[tensor, back - 1]
        first = arrays.zeros(own.shape, own.kind)
        if tensor in handed.starts:
            laid = lowering.value(handed.starts[tensor])
            first = lowering.over(laid, axes_of(tensor))
            first = arrays.cast(first, own.kind) if own.kind != "bool" else first
        first = _as_wide(first, own, lowering, only_wider=True)
        carried.append((own, first, newer))
    carried.reverse()  # the oldest first: each takes what the next one still holds
    found: list[Line] = []
    for together in groups(group, 1):
        if is_recurrent(together, 1):
            others = {t for s in group if s not in together for t in reads(s)}
            kept_on = {*wanted, *others, *(t for t, _ in handed.before)}
            rows = _at_step(inner, handed, together, now)
            needed = {now[s.target] for s in together if s.target in kept_on}
            found.append(_loop(inner, rows, needed, {now[t] for t in waiting if t in now}))
            inner.rows.update({(t, 0): inner.held[now[t]] for t in now if now[t] in needed})
            continue
        (s,) = together
        first_index, *rest = s.indices
        whole = (True,) * len(rest)
        inner.rows.setdefault((s.target, 0), Held(arrays.name(now[s.target]), whole))
        if s.target in handed.same:
            continue
        body: Expr = substitute(handed.body(s), {first_index: constant(step)})  # type: ignore[assignment]
        inner.hint = tuple(rest)
        at_step = Define(now[s.target], tuple(rest), body, s.source, s.user, of=s.of)
        built = pieced(at_step, inner.facts)
        with inner.making(s.target):
            laid = inner.value(body) if built is None else _built(inner, built)
        array, missing = _ordered(laid, rest, s.target.kind)
        array = _fitted(array, s.target, lowering, s)
        array = arrays.insert(array, missing) if array.rank else array
        array = arrays.expand(array, tuple(i.extent for i in rest))
        alone = (s.target, 1) not in handed.before
        here = s.target in waiting and s.target not in wanted and alone
        if here and _length(array) <= SHORT:
            inner.rows[s.target, 0] = Held(array, whole)
            continue
        found.append(Assign(now[s.target], array, s))
    kept = tuple((s.target, now[s.target]) for s in group if s.target in wanted)
    for tensor, _ in kept:
        lowering.held[tensor] = Held(arrays.name(tensor), (True,) * len(tensor.shape))
    for own in handed.before.values():
        lowering.held[own] = Held(arrays.name(own), (True,) * len(own.shape))
    wide = frozenset(
        tensor
        for tensor, _ in kept
        if (made := arrays.zeros(tensor.shape, tensor.kind))
        is not _as_wide(made, tensor, lowering, only_wider=True)
    )
    return Steps(step, count, turn, tuple(found), tuple(carried), kept, wide=wide)
