"""What the names of a text mean: indices, sizes, arrays and their kinds, constants."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NoReturn

from ..errors import LimitError, NotationError, PullbackError
from ..functions import TABLE
from ..ir.expr import Number, number
from ..opaque import WORDS
from ..opaque import Operation as Row
from ..opaque import axes as axes_of
from ..text import nearest
from .limits import MAX_INDICES, MAX_NODES
from .tokens import quoted, refuse
from .tree import (
    Bind,
    Binder,
    Call,
    Chain,
    Comparison,
    Declaration,
    Definition,
    Group,
    Iverson,
    Line,
    Logic,
    Name,
    Neg,
    Not,
    Num,
    Operation,
    Pad,
    Part,
    Pow,
    Radix,
    Read,
    SizeNames,
    Sum,
    Syntax,
    bare,
    walk,
)

PI = "3.14159265358979323846264338327950288419716939937510"
E = "2.71828182845904523536028747135266249775724709369995"
KNOWN = 8  # names that are listed for one that is not known
ALWAYS: dict[str, Number] = {"inf": number(float("inf")), "nan": number(float("nan"))}
CONSTANTS: dict[str, Number] = {**ALWAYS, "pi": number(PI), "e": number(E)}
"""Names that stand for numbers where nothing else has that name."""

Scope = Mapping[str, Binder]
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Use:
    """One read of an array; ``role``: value, subscript, truth, match (compared with indices)."""

    name: str
    node: Part
    subs: tuple[Syntax, ...]
    role: str
    scope: Scope
    padded: bool
    guarded: frozenset[str]
    line: int


@dataclass(frozen=True)
class Bare:
    """A name without brackets that is no index in scope."""

    node: Name
    role: str
    scope: Scope
    line: int


@dataclass
class Array:
    """What is known of an array; ``line`` is the line that defines it (None: an input)."""

    name: str
    rank: int
    dtype: str
    first: Part
    line: int | None
    roles: dict[str, None] = field(default_factory=dict)


@dataclass
class Names:
    """The meaning of every name.

    ``meaning`` maps the position of a bare name to "index", "size", "scalar", "constant" or to the
    binder whose extent it is. ``bound`` maps the position of an index's name to its binder.
    ``ahead`` holds the reads of what is not defined further up. ``operations`` are the opaque ones
    with their lines, ``rows`` maps their positions to rows of the table.
    """

    text: str
    uses: list[Use] = field(default_factory=list)
    bares: list[Bare] = field(default_factory=list)
    binders: dict[int, list[Binder]] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    given: dict[str, None] = field(default_factory=dict)
    stated: dict[str, None] = field(default_factory=dict)
    bound: dict[int, Binder] = field(default_factory=dict)
    meaning: dict[int, str | Binder] = field(default_factory=dict)
    ahead: list[Use] = field(default_factory=list)
    operands: list[Use] = field(default_factory=list)
    operations: list[tuple[Operation, int]] = field(default_factory=list)
    rows: dict[int, Row] = field(default_factory=dict)

    def fail(
        self, place: Part, message: str, *, expected: str = "", found: str = "", hint: str = "",
        kind: type[PullbackError] = NotationError,
    ) -> NoReturn:  # fmt: skip
        raise refuse(
            self.text, place.start, place.end, message,
            expected=expected, found=found, hint=hint, kind=kind,
        )  # fmt: skip


def resolve(
    text: str, lines: list[Line], sizes: Mapping[str, None], scalars: Collection[str] = ()
) -> Names:
    """The names of a program; ``sizes`` are those that the caller's shapes mention, ``scalars``
    the inputs whose shape they say to have no axis."""
    names = Names(text, given=dict(sizes))
    _count(names, lines)
    _definitions(names, lines)
    for number_, line in enumerate(lines):
        if isinstance(line, Definition):
            _Reader(names, number_).definition(line)
        elif isinstance(line, Declaration):
            _Reader(names, number_).declaration(line)
        elif isinstance(line, SizeNames):
            names.given.update(dict.fromkeys(line.names))
            names.stated.update(dict.fromkeys(line.names))
    _arrays(names)
    for use in names.bares:
        _bare(names, use, scalars)
    _dtypes(names)
    return names


def _count(names: Names, lines: list[Line]) -> None:
    total = 0
    for line in lines:
        if isinstance(line, Definition):
            for part in walk(line.body):
                total += 1
                if total > MAX_NODES:
                    names.fail(
                        part, "the text has too many parts", kind=LimitError,
                        expected=f"at most {MAX_NODES} names, numbers and operations",
                    )  # fmt: skip


def _definitions(names: Names, lines: list[Line]) -> None:
    for number_, line in enumerate(lines):
        if not isinstance(line, Definition | Declaration):
            continue
        rank = len(line.dims) if isinstance(line, Declaration) else len(line.left)
        own = number_ if isinstance(line, Definition) else None
        head = Part(line.start, line.start + max(1, len(line.name)))
        before = names.arrays.get(line.name)
        if before is not None:
            names.fail(
                head, f"{line.name} is there already",
                expected="one definition, or one declaration as an input, of every name",
                hint="give the new value a name of its own",
            )  # fmt: skip
        names.arrays[line.name] = Array(line.name, rank, line.dtype, head, own)


class _Reader:
    """Walks one line and notes what is used how."""

    def __init__(self, names: Names, line: int) -> None:
        self.names = names
        self.line = line
        names.binders[line] = []

    def declaration(self, line: Declaration) -> None:
        for dim in line.dims:
            self.extent(dim, stated=True)

    def definition(self, line: Definition) -> None:
        scope = self.bind({}, line.binders)
        self.value(line.body, scope, NOTHING)

    def bind(self, scope: Scope, binders: tuple[Binder, ...]) -> Scope:
        wider = dict(scope)
        for binder in binders:
            if binder.name in wider:
                self.names.fail(
                    binder, f"index {binder.name} is bound twice",
                    hint="give one of the two indices another letter",
                )  # fmt: skip
            wider[binder.name] = binder
            self.names.binders[self.line].append(binder)
            if binder.extent is not None:
                self.extent(binder.extent, scope=scope)
        if len(self.names.binders[self.line]) > MAX_INDICES:
            self.names.fail(
                binders[-1], "too many indices in one statement", kind=LimitError,
                expected=f"at most {MAX_INDICES}",
            )  # fmt: skip
        return wider

    def extent(self, node: Syntax, *, scope: Scope | None = None, stated: bool = False) -> None:
        for part in walk(node):
            if isinstance(part, Name):
                if scope and part.name in scope and part.name not in self.names.stated:
                    self.names.fail(
                        part, f"an extent can't depend on the index {part.name}",
                        hint=f"restrict the range by a condition: sum(j if j < {part.name}) ...",
                    )  # fmt: skip
                self.names.given[part.name] = None
                if stated:
                    self.names.stated[part.name] = None

    def use(
        self, node: Read | Pad | Name, subs: tuple[Syntax, ...], role: str, scope: Scope,
        guarded: frozenset[str],
    ) -> None:  # fmt: skip
        padded = isinstance(node, Pad)
        self.names.uses.append(Use(node.name, node, subs, role, scope, padded, guarded, self.line))
        for sub in subs:
            self.subscript(sub, scope, guarded)

    def name(self, node: Name, role: str, scope: Scope) -> None:
        if node.name in scope and (node.quoted or node.name not in ALWAYS):
            self.names.meaning[node.start] = "index"
            self.names.bound[node.start] = scope[node.name]
        else:
            self.names.bares.append(Bare(node, role, scope, self.line))

    def value(self, node: Syntax, scope: Scope, guarded: frozenset[str]) -> None:
        match node:
            case Name():
                self.name(node, "value", scope)
            case Read(subs=subs):
                self.use(node, subs, "value", scope, guarded)
            case Pad(fill=fill, mode=mode, subs=subs):
                self.use(node, subs, "value", scope, guarded)
                if not mode:
                    self.value(fill, scope, guarded)
            case Call(name="size", args=args):
                for arg in args:
                    self.extent(arg)
            case Call(name="index", args=args):
                for arg in args:
                    self.subscript(arg, scope, guarded)
            case Call(name="where", args=(cond, *rest)):
                self.condition(cond, scope, guarded)
                for arg in rest:
                    self.value(arg, scope, guarded | _mentioned(cond))
            case Call(name="all" | "any", args=args):
                for arg in args:
                    self.condition(arg, scope, guarded)
            case Bind(binders=binders, domain=domain, body=body):
                inner = self.bind(scope, binders)
                guarded = self.in_turn(domain, inner, guarded)
                self.value(body, inner, guarded)
            case Chain(parts=pairs):
                conds = [part.cond for _, part in pairs if isinstance(part, Iverson)]
                under = self.in_turn(tuple(conds), scope, guarded)
                for _, part in pairs:
                    if not isinstance(part, Iverson):
                        self.value(part, scope, under)
            case Sum(parts=pairs):
                for _, part in pairs:
                    self.value(part, scope, guarded)
            case Call(args=args):
                for arg in args:
                    self.value(arg, scope, guarded)
            case Pow(base=base, exponent=exponent):
                self.value(base, scope, guarded)
                self.value(exponent, scope, guarded)
            case Neg(value=inner) | Group(inner=inner):
                self.value(inner, scope, guarded)
            case Iverson(cond=cond):
                self.condition(cond, scope, guarded)
            case Comparison() | Logic() | Not():
                self.names.fail(
                    node, "a condition where a value is expected",
                    hint="[condition] is 1 where it holds, else 0",
                )  # fmt: skip
            case Radix():
                self.names.fail(node, "a value where several are given", expected="one value")
            case Operation(subs=subs):
                self.names.operations.append((node, self.line))
                for sub in subs:
                    self.subscript(sub, scope, guarded)
            case Num():
                pass

    def in_turn(
        self, conds: tuple[Syntax, ...], scope: Scope, guarded: frozenset[str]
    ) -> frozenset[str]:
        for cond in conds:
            self.condition(cond, scope, guarded)
            guarded = guarded | _mentioned(cond)
        return guarded

    def condition(self, node: Syntax, scope: Scope, guarded: frozenset[str]) -> None:
        match node:
            case Group(inner=inner) | Not(cond=inner):
                self.condition(inner, scope, guarded)
            case Logic(op="and", parts=conds):
                self.in_turn(conds, scope, guarded)
            case Logic(parts=conds) | Call(name="all" | "any", args=conds):
                for cond in conds:
                    self.condition(cond, scope, guarded)
            case Comparison(ops=ops, operands=operands):
                matched = len(ops) == 1 and ops[0] in ("==", "!=")
                for one, other in zip(operands, reversed(operands), strict=True):
                    plain = bare(one)
                    if matched and isinstance(plain, Read) and _is_position(other, scope):
                        self.use(plain, plain.subs, "match", scope, guarded)
                    else:
                        self.value(one, scope, guarded)
            case Read(subs=subs):
                self.use(node, subs, "truth", scope, guarded)
            case Name():
                self.name(node, "truth", scope)
            case _:
                self.value(node, scope, guarded)

    def subscript(self, node: Syntax, scope: Scope, guarded: frozenset[str]) -> None:
        match node:
            case Num():
                pass
            case Name():
                self.name(node, "subscript", scope)
            case Read(subs=subs):
                self.use(node, subs, "subscript", scope, guarded)
            case Sum(parts=pairs) | Chain(parts=pairs):
                for _, part in pairs:
                    self.subscript(part, scope, guarded)
            case Neg(value=inner) | Group(inner=inner):
                self.subscript(inner, scope, guarded)
            case Call(name="index", args=args):
                for arg in args:
                    self.subscript(arg, scope, guarded)
            case Call(name="size", args=args):
                for arg in args:
                    self.extent(arg)
            case Radix(parts=binders):
                for binder in binders:
                    if binder.extent is not None or binder.name not in scope:
                        self.names.fail(
                            binder, "a merged axis takes indices that are bound elsewhere",
                            hint="give extents on the left side or in sum(h:H, d:D)",
                        )  # fmt: skip
                    self.names.bound[binder.start] = scope[binder.name]
            case _:
                self.names.fail(
                    node, "this can't be a subscript",
                    expected="integers, indices and sizes with + - * // %, or an integer array",
                    hint="compute it in a statement of its own: k: int[i] = ...",
                )  # fmt: skip


def _mentioned(cond: Syntax) -> frozenset[str]:
    return frozenset(part.name for part in walk(cond) if isinstance(part, Name))


def _is_position(node: Syntax, scope: Scope) -> bool:
    """Whether a syntax is made of indices, sizes and integers only, an index among them."""
    found = False
    for part in walk(node):
        match part:
            case Name(name=name):
                found = found or name in scope
            case Num() | Sum() | Chain() | Neg() | Group():
                pass
            case _:
                return False
    return found


def _arrays(names: Names) -> None:
    for use in names.uses:
        _register(names, use)
    for node, line in names.operations:
        _register_operands(names, node, line)


def _register(names: Names, use: Use) -> None:
    array = names.arrays.get(use.name)
    if array is None:
        array = Array(use.name, len(use.subs), "", use.node, None)
        names.arrays[use.name] = array
    if array.rank != len(use.subs):
        names.fail(
            use.node, f"{use.name} is read with the wrong number of subscripts",
            expected=_axes(array.rank) + _since(names, array), found=_axes(len(use.subs)),
        )  # fmt: skip
    if array.line is not None and array.line >= use.line:
        names.ahead.append(use)
    array.roles[use.role] = None


def _register_operands(names: Names, node: Operation, line: int) -> None:
    """Find an operation's row by the ranks, and give operands that nothing else reads theirs."""
    rows, count = WORDS[node.name], len(node.subs)
    first = names.arrays.get(node.operands[0].name)
    batch = min(count - len(axes_of(row.result)) for row in rows)
    if first is not None:
        batch = first.rank - len(axes_of(rows[0].operands[0]))
    elif len(rows) > 1 and count < 3:
        batch = 0
    row = next((r for r in rows if batch >= 0 and batch + len(axes_of(r.result)) == count), None)
    if row is None:
        names.fail(
            node, f"the result of {node.name} is read with the wrong number of subscripts",
            expected=" or ".join(_axes(max(batch, 0) + len(axes_of(r.result))) for r in rows),
            found=_axes(count),
            hint="axes in front of the matrix's two are a batch, and the result has them too",
        )  # fmt: skip
    names.rows[node.start] = row
    for operand, item in zip(node.operands, row.operands, strict=True):
        rank = batch + len(axes_of(item))
        array = names.arrays.setdefault(operand.name, Array(operand.name, rank, "", operand, None))
        if array.rank != rank:
            names.fail(
                operand, f"{operand.name} has the wrong number of axes for {node.name}",
                expected=str(rank) + _since(names, array), found=str(array.rank),
            )  # fmt: skip
        use = Use(operand.name, operand, node.subs[:batch], "value", {}, False, NOTHING, line)
        names.operands.append(use)
        if array.line is not None and array.line >= line:
            if not batch:
                names.fail(
                    operand, f"{operand.name} is read before it is defined",
                    hint=f"{node.name} takes a whole array: put its definition first",
                )  # fmt: skip
            names.ahead.append(use)
        array.roles["value"] = None


def _axes(rank: int) -> str:
    return f"{rank} subscript{'' if rank == 1 else 's'}"


def _since(names: Names, array: Array) -> str:
    line = names.text.count("\n", 0, array.first.start) + 1
    return f", as in line {line}" if "\n" in names.text.strip() else ""


def _bare(names: Names, use: Bare, scalars: Collection[str]) -> None:
    """Decide what a bare name is: a size, a scalar, the extent of an index, a constant."""
    node, name = use.node, use.node.name
    array = names.arrays.get(name)
    if name in ALWAYS and not node.quoted:
        meaning: str | Binder = "constant"
    elif name in names.given:
        if array is not None and array.rank == 0:
            names.fail(
                node, f"{name} is both a size and a scalar",
                hint=f"write {name}[] for the scalar, size({name}) for the size",
            )  # fmt: skip
        meaning = "size"
    elif array is not None or name in scalars:
        meaning = "scalar"
    elif (binder := _extent_of(names, use)) is not None:
        meaning = binder
    elif name in CONSTANTS and not node.quoted:
        meaning = "constant"
    else:
        _unknown(names, use)
    names.meaning[node.start] = meaning
    if meaning == "scalar":
        scalar = Use(name, node, (), use.role, use.scope, False, NOTHING, use.line)
        names.uses.append(scalar)
        _register(names, scalar)
    elif meaning == "constant" and use.role == "subscript":
        names.fail(node, f"{name} can't be a subscript", expected="an integer")


def _unknown(names: Names, use: Bare) -> NoReturn:
    """Refuse a name that means nothing."""
    name = use.node.name
    if any(binder.name == name for binder in names.binders[use.line]):
        names.fail(
            use.node, f"index {name} is used outside the product that its binder binds",
            hint="parentheses extend it: sum(i) (a[i] + b[i])",
        )  # fmt: skip
    if any(b.role == "subscript" and b.node.name == name for b in names.bares):
        names.fail(
            use.node, f"index {name} is not bound",
            expected=f"{name} on the left side, or under sum({name}) or another binder",
            hint=f"an integer scalar is declared as {name}: int[], a size as size {name}",
        )  # fmt: skip
    if name in TABLE:
        names.fail(
            use.node, f"{name} is a function", expected=f"{name}(...)",
            hint=f"a scalar input of this name is written {name}[]",
        )  # fmt: skip
    known = _known(names, use)
    close = nearest(name, known) or nearest(name, CONSTANTS)
    here = ", ".join(map(quoted, known[:KNOWN])) + (", ..." if len(known) > KNOWN else "")
    kind = ": bool" if use.role == "truth" else ""
    names.fail(
        use.node, f"{quoted(name)} is not known",
        expected="an index, a size, or a scalar that is declared or read with brackets",
        hint=(f"did you mean {' or '.join(map(quoted, close))}?\n" if close else "")
        + (f"known here: {here}\n" if here and not close else "")
        + f"a scalar input is written {quoted(name)}[], or declared: {quoted(name)}{kind}[]",
    )  # fmt: skip


def _known(names: Names, use: Bare) -> list[str]:
    """The names that could stand at a place: scalars, sizes, indices and their extents."""
    scalars = [array.name for array in names.arrays.values() if not array.rank]
    extents = [b.name.upper() for found in names.binders.values() for b in found]
    return [*dict.fromkeys((*scalars, *use.scope, *names.given, *extents))]


def _extent_of(names: Names, use: Bare) -> Binder | None:
    """The index whose extent a name is: N is that of n where nothing else is called N.

    Indices around the name come first, then those of its line, then those of other lines.
    """
    name = use.node.name
    lines = (names.binders[use.line], *names.binders.values())
    every = chain(use.scope.values(), *lines)
    return next((b for b in every if b.name != name and b.name.upper() == name), None)


def _dtypes(names: Names) -> None:
    for array in names.arrays.values():
        if array.line is None and not array.dtype:
            array.dtype = _dtype(array)


def _dtype(array: Array) -> str:
    roles = set(array.roles)
    if "subscript" in roles or roles == {"match"}:
        return "int"
    return "bool" if roles == {"truth"} else "float"


__all__ = ["CONSTANTS", "Array", "Names", "Scope", "Use", "resolve"]
