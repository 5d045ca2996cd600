"""Index notation text to a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..errors import LimitError, NotationError, ShapeError
from ..ir.expr import Access, Expr, Tensor
from ..ir.program import Define, Program, Source
from ..ir.recurrence import Group, elsewhere, groups, reads_at
from ..ir.size_conditions import last_places
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, Subscript, at, bounds
from ..ir.walk import Tree, children, substitute
from .affine import Affine
from .bounds import Stray, is_natural_value, strays
from .dtypes import natural_dtype
from .grammar import Grammar
from .infer import Extents
from .lifting import lifted
from .limits import MAX_DEPTH
from .lower import Lower
from .names import Names, resolve
from .program_sizes import free_sizes
from .recurrences import recurrences
from .spell import Spelling
from .tokens import where
from .tree import Binder, Definition, Line, Name, Return, SizeNames

Shape = str | Sequence[int | str]


def parse(text: str, shapes: Mapping[str, Shape] | None = None) -> Program:
    """The program that a text defines.

    ``shapes`` fixes the extents of inputs, as names (``"N D"``) or numbers (``(64, 10)``). The
    inputs are the arrays that are declared or read and never defined, in order of first occurrence;
    the outputs are those of ``return``, else the definitions that no statement reads (but earlier
    steps of a recurrence). Raises
    NotationError, ShapeError or LimitError.

    >>> program = parse("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]")
    >>> [(t.name, *map(str, t.shape)) for t in program.inputs]
    [('X', 'N', 'D'), ('W', 'D', 'M'), ('b', 'M')]
    """
    lines = lifted(Grammar(text).lines())
    forms = {name: _shape(name, shape) for name, shape in (shapes or {}).items()}
    given = {n: None for shape in forms.values() for form in shape for n in form.names()}
    scalars = [name for name, shape in forms.items() if not shape]
    names = resolve(text, lines, given, scalars)
    extents = Extents(names, lines, forms)
    extents.solve()
    return _Program(names, extents, lines).build()


def inputs_read(text: str, scalars: Sequence[str] = (), sizes: Sequence[str] = ()) -> list[str]:
    """The names of the arrays that a text reads and doesn't define, in order of first occurrence.

    ``scalars`` are arrays without axes, ``sizes`` named sizes that are known from elsewhere.

    >>> inputs_read("P[] = L + sum(d) dx[d]**2", ["L"])
    ['L', 'dx']
    """
    names = resolve(text, lifted(Grammar(text).lines()), dict.fromkeys(sizes), list(scalars))
    found = [a for a in names.arrays.values() if a.line is None]
    return [a.name for a in sorted(found, key=lambda array: array.first.start)]


def _shape(name: str, shape: Shape) -> tuple[Size, ...]:
    parts = shape.replace(",", " ").split() if isinstance(shape, str) else shape
    return tuple(_size(name, part) for part in parts)


def _size(name: str, part: int | str) -> Size:
    if isinstance(part, str):
        return _size_text(part)
    try:
        value = int(part)
    except (TypeError, ValueError):
        value = -1
    if value < 0 or isinstance(part, bool) or value != part:
        raise ShapeError(
            f"the shape of {name} has a size that is none", where=f"shapes[{name!r}]",
            expected="integers >= 0 or names", found=repr(part),
        )  # fmt: skip
    return size(value)


def _size_text(text: str) -> Size:
    grammar = Grammar(text)
    node = grammar.expression(0)
    if grammar.next.kind != "end" or grammar.look(1).kind != "eof":
        grammar.fail(grammar.next, "a size is one name, number or expression")
    return Affine(Names(text), lambda b: size(0), _no_lookup, {}).size(node)


def _no_lookup(node: object) -> Access:
    raise NotationError("a size reads no array")


class _Program:
    """Builds the program from what the inference found."""

    def __init__(self, names: Names, extents: Extents, lines: list[Line]) -> None:
        self.names = names
        self.extents = extents
        self.lines = lines
        letters = [b.name for found in names.binders.values() for b in found]
        taken = dict.fromkeys((*names.arrays, *letters, *names.given, *extents.taken))
        self.lower = Lower(names, extents, taken)
        self.statements: list[Define] = []

    def build(self) -> Program:
        inputs = [a for a in self.names.arrays.values() if a.line is None]
        inputs.sort(key=lambda array: array.first.start)
        for array in inputs:
            shape = self.extents.shape(array.name)
            self.lower.tensors[array.name] = Tensor(array.name, shape, array.dtype)
        for use in self.names.ahead:
            dtype = self.names.arrays[use.name].dtype or "float"
            shape = self.extents.shape(use.name)
            self.lower.tensors[use.name] = Tensor(use.name, shape, dtype)
        for number, line in enumerate(self.lines):
            if isinstance(line, Definition):
                self.define(number, line)
        if not self.statements and not any(isinstance(line, Return) for line in self.lines):
            raise NotationError(
                "the text defines nothing", where=where(self.names.text, 0),
                expected="name[indices] = expression",
            )  # fmt: skip
        own = tuple(self.lower.tensors[array.name] for array in inputs)
        statements = tuple(self.statements)
        if self.names.ahead:
            ordered = recurrences(self.names, self.lower, self.lines, statements)
            statements = tuple(ordered)
        outputs = self.outputs(statements)
        stated = [n for line in self.lines if isinstance(line, SizeNames) for n in line.names]
        sizes = free_sizes(own, statements, tuple(stated))
        return Program(own, statements, outputs, sizes)

    def define(self, number: int, line: Definition) -> None:
        lower = self.lower
        lower.line, lower.helpers = number, []
        start = self.names.text.count("\n", 0, line.start) + 1
        lower.source = Source(self.names.text[line.start : line.end], start)
        body = lower.whole(line.body)
        if depth(body) > MAX_DEPTH:
            self.names.fail(
                line, "the statement is nested too deeply", kind=LimitError,
                expected=f"at most {MAX_DEPTH} levels",
                hint="name parts in statements of their own",
            )  # fmt: skip
        indices = tuple(map(lower.affine.index, line.binders))
        for helper in lower.helpers:
            self.check(helper.body, helper.indices, line)
        self.check(body, indices, line)
        left, body = self.left(line, body)
        shape = tuple(index.extent for index in left)
        ahead = lower.tensors.get(line.name)
        dtype = line.dtype or (ahead.dtype if ahead else natural_dtype(body))
        tensor = Tensor(line.name, shape, dtype)
        lower.tensors[line.name] = tensor
        if tensor.kind == "int" and is_natural_value(body, lower.natural):
            lower.natural[tensor] = None
        self.statements += [*lower.helpers, Define(tensor, left, body, lower.source, line.user)]

    def left(self, line: Definition, body: Expr) -> tuple[tuple[Index, ...], Expr]:
        """The plain indices of the left side; merged axes are split in the body."""
        lower = self.lower
        taken = {b.name for b in self.names.binders[lower.line]}
        found: list[Index] = []
        for item in line.left:
            if isinstance(item, Binder):
                found.append(lower.affine.index(item))
                continue
            parts = tuple(map(lower.affine.index, item.parts))
            name = "".join(index.name for index in parts)
            while name in taken:
                name += "'"
            taken.add(name)
            body, index = _split(body, parts, name)
            found.append(index)
        return tuple(found), body

    def check(self, body: Expr, indices: tuple[Index, ...], line: Definition) -> None:
        probe = Define(Tensor("", ()), (), body)
        last = None
        for stray in strays(body, indices):
            last = set(last_places(probe)) if last is None else last
            if (stray.access, stray.axis) not in last:  # else it is assumed that there is one
                self.refuse(stray, line)

    def refuse(self, stray: Stray, line: Definition) -> None:
        access, axis = stray.access, stray.axis
        sub, extent = access.subs[axis], access.tensor.shape[axis]
        known = bounds(sub)
        shown = Spelling().sub(sub)
        ranges = " runs from {} to {}".format(*known) if known and sub.terms else ""
        place = self.lower.places.get(access, line)
        name = access.tensor.name
        inside = f"0 <= {shown} < {extent}"
        remedies = [
            f"pad it: pad({name}, 0)[...]",
            f"guard it: [{inside}]*{name}[...]",
        ]
        if sub.terms:
            remedies.append("give an index a smaller range where it is bound: i:EXTENT")
        if name in self.names.arrays:
            counted = self.counted(access.tensor)
            declared = counted or self.extents.declaration(name)
            remedies.insert(0 if counted else len(remedies), f"declare the extents: {declared}")
        self.names.fail(
            place, f"{name} is read outside its extent, or not provably inside",
            expected=f"{inside}, axis {axis} of {name}", found=f"{shown}{ranges}",
            hint="\nor ".join(remedies),
        )  # fmt: skip

    def counted(self, tensor: Tensor) -> str:
        """The declaration of an array that is read at single positions, by the greatest of them;
        "" for any other."""
        found = [access.subs for access in self.lower.places if access.tensor is tensor]
        dims = []
        for extent, subs in zip(tensor.shape, zip(*found, strict=True), strict=False):
            ends = [sub.const.literal for sub in subs if not sub.terms]
            most = max((end for end in ends if end is not None), default=-1)
            dims.append(str(extent) if most < 0 or extent.literal is not None else str(most + 1))
        text = f"{tensor.name}[{', '.join(dims)}]"
        return "" if [*map(str, tensor.shape)] == dims else text

    def outputs(self, statements: tuple[Define, ...]) -> tuple[Tensor, ...]:
        returns = [line for line in self.lines if isinstance(line, Return)]
        if not returns:
            return default_outputs(statements)
        if len(returns) > 1:
            self.names.fail(returns[1], "there is a second return", expected="one at most")
        return tuple(self.returned(name) for name in returns[0].names)

    def returned(self, name: Name) -> Tensor:
        found = self.lower.tensors.get(name.name)
        if found is None:
            self.names.fail(name, f"{name.name} is not defined", expected="a name of the program")
        return found


def depth(body: Expr) -> int:
    """How many nodes are inside each other, found without recursion."""
    found: dict[Tree, int] = {}
    stack: list[Tree] = [body]
    while stack:
        node = stack[-1]
        inner = children(node)
        waiting = [child for child in inner if child not in found]
        stack.extend(waiting)
        if not waiting:
            found[stack.pop()] = 1 + max((found[child] for child in inner), default=0)
    return found[body]


def default_outputs(statements: tuple[Define, ...]) -> tuple[Tensor, ...]:
    """The targets that no statement reads, other steps of its own recurrence left aside."""
    read = {tensor for group in groups(statements) for tensor in _finished(group)}
    return tuple(s.target for s in statements if s.target not in read)


def _finished(group: Group) -> Iterator[Tensor]:
    """What statements read of other statements, or at the same step."""
    steps = {(s.target, access) for s, access in elsewhere(group)}
    for s in group:
        for access in reads_at(s):
            if (s.target, access) not in steps:
                yield access.tensor


def _split(body: Expr, parts: tuple[Index, ...], name: str) -> tuple[Expr, Index]:
    """``body`` with several indices read off one: ``(h, d)`` is ``hd//D`` and ``hd % D``."""
    whole = size(1)
    for index in parts:
        whole = whole * index.extent
    merged = Index(name, whole)
    places: dict[Index, Subscript] = {}
    below = size(1)
    for index in reversed(parts):
        place = at(merged) if below.literal == 1 else at(merged) // below
        places[index] = place if index is parts[0] else place % index.extent
        below = below * index.extent
    return substitute(body, places), merged  # type: ignore[return-value]
