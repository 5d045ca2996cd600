"""Extents: of every index and of every axis of every array, from what is said and how it is read.

An unshifted index has the extent of the axis that it reads. The rest follows in this order: axes
split by ``(h, d)``; the largest legal extent of an index that only shifted reads mention; the index
letter upper-cased as the name of an axis that nothing else gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import ShapeError
from ..ir.expr import Access, Tensor
from ..ir.program import solve_sizes
from ..ir.sizes import Size, size
from ..ir.subscripts import Quotient, Subscript, bounds, indices_of
from ..opaque import axes as axes_of
from ..text import PRIVATE
from .affine import Affine
from .bounds import has_lookup
from .names import Names, Use
from .tokens import where
from .tree import (
    Binder,
    Declaration,
    Definition,
    Line,
    Name,
    Operation,
    Part,
    Radix,
    Read,
    Syntax,
    bare,
    walk,
)

AxisKey = tuple[str, int]
Key = int | AxisKey  # the position of a binder, or an axis of an array

UNKNOWN = f"?{PRIVATE}"  # begins the names of extents that are not known yet


@dataclass(frozen=True)
class Known:
    """The extent of a class of equal extents, and what gave it."""

    extent: Size
    why: str


@dataclass(frozen=True)
class Shifted:
    """A read whose subscript is no plain index of unknown extent."""

    use: Use
    axis: int
    sub: Syntax


class Extents:
    """The inference. After ``solve()``, ``of_binder`` and ``shape`` answer."""

    def __init__(
        self, names: Names, lines: Sequence[Line], shapes: Mapping[str, tuple[Size, ...]]
    ) -> None:
        self.names = names
        self.lines = lines
        self.shapes = shapes
        self.parent: dict[Key, Key] = {}
        self.known: dict[Key, Known] = {}
        self.members: dict[Key, list[Key]] = {}
        self.letters: dict[int, Binder] = {}
        self.fixed: dict[int, Size] = {}
        self.shifted: list[Shifted] = []
        self.moved: dict[int, list[Shifted]] = {}
        self.merged: list[tuple[AxisKey, tuple[Binder, ...]]] = []
        self.touching: dict[Key, list[tuple[AxisKey, tuple[Binder, ...]]]] = {}
        self.restricted: list[tuple[Binder, Use, int]] = []
        self.operand_axes: list[tuple[str, AxisKey]] = []
        self.replaced: dict[str, Size] = {}
        self.taken: dict[str, None] = {}
        self.counts: dict[str, int] = {}
        self.used = {b.name for found in names.binders.values() for b in found} | {*names.arrays}
        self.affine = Affine(names, self.of_binder, self.raw_lookup, self.replaced)

    # classes -----------------------------------------------------------------------------------

    def find(self, key: Key) -> Key:
        self.parent.setdefault(key, key)
        self.members.setdefault(key, [key])
        while self.parent[key] != key:
            self.parent[key] = self.parent[self.parent[key]]
            key = self.parent[key]
        return key

    def extent(self, key: Key) -> Size | None:
        known = self.known.get(self.find(key))
        return known.extent if known else None

    def give(self, key: Key, extent: Size, why: str) -> None:
        self.known[self.find(key)] = Known(extent, why)

    def unify(self, binder: Binder, axis: AxisKey, use: Part) -> None:
        left, right = self.known.get(self.find(binder.start)), self.known.get(self.find(axis))
        if left and right and left.extent is not right.extent:
            self.disagree(binder, left, right, use)
        self.join(binder.start, axis)

    def join(self, one: Key, other: Key) -> None:
        """Two extents that agree as far as they are known are one."""
        one, other = self.find(one), self.find(other)
        if one == other:
            return
        if other in self.known and one not in self.known:
            one, other = other, one
        self.parent[other] = one
        self.members[one].extend(self.members.pop(other))
        self.known.pop(other, None)

    def disagree(self, binder: Binder, left: Known, right: Known, use: Part) -> None:
        self.names.fail(
            use, f"index {binder.name} runs over two different extents",
            expected=f"{left.extent}, {left.why}", found=f"{right.extent}, {right.why}",
            hint=f"give its range where it is bound ({binder.name}:EXTENT), or use two indices",
        )  # fmt: skip

    def of_binder(self, binder: Binder) -> Size:
        """The extent of an index; a size named after its place while that is not known."""
        if binder.start in self.fixed:
            return self.fixed[binder.start]
        found = self.extent(binder.start)
        return size(f"{UNKNOWN}{binder.start}") if found is None else found

    def shape(self, name: str) -> tuple[Size, ...]:
        """The shape of an array."""
        rank = self.names.arrays[name].rank
        found = [self.extent((name, axis)) for axis in range(rank)]
        return tuple(size(0) if form is None else form for form in found)

    def raw_lookup(self, node: Read | Name) -> Access:
        subs = node.subs if isinstance(node, Read) else ()
        shape = tuple(size(UNKNOWN) for _ in subs)
        return Access(
            Tensor(node.name, shape, "int"), tuple(self.affine.subscript(sub) for sub in subs)
        )

    # steps -------------------------------------------------------------------------------------

    def solve(self) -> None:
        """Find every extent or raise."""
        self.given_sizes()
        self.declared()
        self.left_sides()
        for use in self.names.uses:
            for axis, sub in enumerate(use.subs):
                self.read(use, axis, sub)
        for node, line in self.names.operations:
            self.operation(node, line)
        for axis_key, binders in self.merged:
            members: list[Key] = [axis_key, *(b.start for b in binders)]
            for member in members:
                self.touching.setdefault(self.find(member), []).append((axis_key, binders))
        steps = (
            self.radices, self.largest, self.named_axes, self.restricted_axes, self.shifted_axes,
            self.operands,
        )  # fmt: skip
        while any(step() for step in steps):
            pass
        self.complain()
        self.nonnegative()

    def given_sizes(self) -> None:
        """Literal sizes of declared names, from the caller's shapes."""
        literal: dict[Tensor, tuple[int, ...]] = {}
        for line in self.lines:
            if not isinstance(line, Declaration) or line.name not in self.shapes:
                continue
            dims = tuple(self.affine.size(dim) for dim in line.dims)
            for dim, actual in zip(dims, self.shapes[line.name], strict=False):
                if (
                    actual.literal is None
                    and dim is not actual
                    and len(dim.names()) == 1
                    and (dim is size(dim.names()[0]))
                ):
                    self.replaced[dim.names()[0]] = actual
            numbers = [form.literal for form in self.shapes[line.name]]
            if len(dims) == len(numbers) and all(n is not None for n in numbers):
                literal[Tensor(line.name, dims)] = tuple(n for n in numbers if n is not None)
        for name, value in solve_sizes(literal).items():
            self.replaced[name] = size(value)

    def declared(self) -> None:
        for line in self.lines:
            if isinstance(line, Declaration):
                for axis, dim in enumerate(line.dims):
                    form = self.affine.size(dim)
                    self.check_literal(form, dim)
                    self.give((line.name, axis), form, f"axis {axis} of {line.name}")
                    self.taken.update(dict.fromkeys(form.names()))
        for name, shape in self.shapes.items():
            self.shaped(name, shape)
        self.taken.update(dict.fromkeys(self.names.stated))

    def shaped(self, name: str, shape: tuple[Size, ...]) -> None:
        array = self.names.arrays.get(name)
        inputs = ", ".join(a.name for a in self.names.arrays.values() if a.line is None)
        if array is None or array.line is not None:
            raise ShapeError(
                f"a shape is given for {name}, which is no input of the program",
                where=f"shapes[{name!r}]", expected=f"one of {inputs}" if inputs else "no shape",
            )  # fmt: skip
        if len(shape) != array.rank:
            raise ShapeError(
                f"{name} has {array.rank} axes", expected=f"{array.rank} sizes",
                found=f"{len(shape)} sizes",
                where=where(self.names.text, array.first.start, array.first.end),
            )  # fmt: skip
        for axis, form in enumerate(shape):
            before = self.extent((name, axis))
            if before is not None and before is not form:
                raise ShapeError(
                    f"axis {axis} of {name} has two extents", expected=f"{before}, as declared",
                    found=f"{form}, as given",
                    where=where(self.names.text, array.first.start, array.first.end),
                )  # fmt: skip
            self.give((name, axis), form, f"axis {axis} of {name}")
            self.taken.update(dict.fromkeys(form.names()))

    def left_sides(self) -> None:
        for number, line in enumerate(self.lines):
            for binder in self.names.binders.get(number, []):
                self.letters[binder.start] = binder
                self.find(binder.start)
                if binder.extent is not None:
                    form = self.affine.size(binder.extent)
                    self.check_literal(form, binder.extent)
                    self.fixed[binder.start] = form
                    self.give(binder.start, form, f"given for {binder.name}")
            if isinstance(line, Definition):
                for axis, item in enumerate(line.left):
                    if isinstance(item, Binder):
                        self.unify(item, (line.name, axis), item)
                    else:
                        self.merged.append(((line.name, axis), item.parts))

    def check_literal(self, form: Size, place: Part) -> None:
        if form.literal is not None and form.literal < 0:
            self.names.fail(place, "an extent is negative", found=str(form.literal))

    def read(self, use: Use, axis: int, sub: Syntax) -> None:
        key = (use.name, axis)
        plain = bare(sub)
        if isinstance(plain, Name) and self.names.meaning[plain.start] == "index":
            binder = self.names.bound[plain.start]
            if binder.start not in self.fixed:
                self.unify(binder, key, use.node)
            elif not use.padded:
                self.restricted.append((binder, use, axis))
            return
        if isinstance(plain, Radix):
            binders = tuple(self.names.bound[part.start] for part in plain.parts)
            self.merged.append((key, binders))
        self.note_shifted(Shifted(use, axis, sub))

    def operation(self, node: Operation, line: int) -> None:
        """The core axes of an opaque operation with the same letter agree, and its batch axes."""
        row = self.names.rows[node.start]
        batch = len(node.subs) - len(axes_of(row.result))
        places: dict[str, Key] = {}
        left = self.names.binders[line][: len(node.subs)]
        keys: list[tuple[str, Key, Part]] = [
            (str(k) if k < batch else axes_of(row.result)[k - batch], binder.start, node)
            for k, binder in enumerate(left)
        ]
        for operand, item in zip(node.operands, row.operands, strict=True):
            letters = [*map(str, range(batch)), *axes_of(item)]
            keys += [(c, (operand.name, k), operand) for k, c in enumerate(letters)]
        for letter, key, place in reversed(keys):
            first = self.find(places.setdefault(letter, key))
            known, own = self.known.get(first), self.known.get(self.find(key))
            if known and own and known.extent is not own.extent:
                self.names.fail(
                    place, f"the extents don't fit {node.name}",
                    expected=f"{known.extent}, {known.why}", found=f"{own.extent}, {own.why}",
                    hint="the last two axes of a matrix are equal, those in front are a batch",
                )  # fmt: skip
            self.join(first, key)
        self.operand_axes += [(c, key) for c, key, _ in keys if isinstance(key, tuple)]

    def operands(self) -> bool:
        """Name the axes of matrices that nothing else names."""
        for letter, key in self.operand_axes:
            if self.extent(key) is None:
                self.name(key, letter)
                self.spread(key)
                return True
        return False

    def radices(self) -> bool:
        """Axes split into radices: the product of all, or the one that is missing."""
        progress = False
        for key, binders in self.merged:
            progress |= self.radix(key, binders) is not None
        return progress

    def radix(self, key: AxisKey, binders: tuple[Binder, ...]) -> Key | None:
        """Find the one extent that is missing; what has it now, None if nothing new was found."""
        extents = [self.extent(b.start) for b in binders]
        whole = self.extent(key)
        if extents.count(None) != (whole is not None):
            return None
        product = size(1)
        for form in extents:
            product = product if form is None else product * form
        if whole is None:
            self.give(key, product, f"axis {key[1]} of {key[0]}")
            return key
        missing = binders[extents.index(None)]
        part = whole.exactly_over(product)
        if part is None:
            return None
        self.give(missing.start, part, f"{whole} over the other extents of the merged axis")
        return missing.start

    def largest(self) -> bool:
        """The largest legal extent of an index that only shifted reads mention."""
        progress = False
        for start, binder in self.letters.items():
            if self.extent(start) is None and not self.reads_input(start):
                form = self.limit(start)
                if form is not None:
                    self.check_limit(form, binder)
                    self.give(start, form, f"the largest legal one for {binder.name}")
                    progress = True
        return progress

    def reads_input(self, start: int) -> bool:
        """Whether an axis of an input that nothing gives has the index's extent."""
        return any(
            isinstance(key, tuple) and self.names.arrays[key[0]].line is None
            for key in self.members[self.find(start)]
        )

    def check_limit(self, form: Size, binder: Binder) -> None:
        if form.literal is not None and form.literal < 0:
            self.names.fail(
                binder,
                f"no range of {binder.name} is legal: what is read is shorter than the window",
                found=f"an extent of {form.literal}",
                hint="pad the array, or make the window smaller",
            )  # fmt: skip

    def limit(self, start: int) -> Size | None:
        """The largest extent that all shifted reads of an index allow, None if it is not known."""
        same = [k for k in self.members[self.find(start)] if isinstance(k, int)]
        limits: list[Size] = []
        for key in same:
            for item in self.moved.get(key, ()):
                whole = self.extent((item.use.name, item.axis))
                if whole is None or self.letters[key].name in item.use.guarded:
                    return None
                found = _limit(self.affine.subscript(item.sub), key, whole)
                if found is None:
                    return None
                limits.append(found)
        return _least(limits)

    def note_shifted(self, item: Shifted) -> None:
        """Remember a shifted read, also under the indices in its subscript."""
        self.shifted.append(item)
        if item.use.padded or isinstance(bare(item.sub), Radix):
            return
        found = {
            self.names.bound[part.start].start: None
            for part in walk(item.sub)
            if isinstance(part, Name) and part.start in self.names.bound
        }
        for start in found:
            self.moved.setdefault(start, []).append(item)

    def named_axes(self) -> bool:
        """Name an input's axis after the first index that reads it."""
        progress = False
        for key in self.input_axes():
            letters = [k for k in self.members[self.find(key)] if isinstance(k, int)]
            if self.extent(key) is None and letters:
                self.name(key, self.letters[min(letters)].name)
                self.spread(key)
                progress = True
        return progress

    def spread(self, key: Key) -> None:
        """What a new extent says about the axes split by its index, and so on."""
        stack = [self.find(key)]
        while stack:
            for axis, binders in self.touching.get(stack.pop(), ()):
                found = self.radix(axis, binders)
                if found is not None:
                    stack.append(self.find(found))

    def input_axes(self) -> list[AxisKey]:
        inputs = [a for a in self.names.arrays.values() if a.line is None]
        inputs.sort(key=lambda array: array.first.start)
        return [(array.name, axis) for array in inputs for axis in range(array.rank)]

    def name(self, key: AxisKey, letter: str) -> None:
        stem = name = letter.upper()
        while name in self.used or name in self.taken:
            n = self.counts[stem] = self.counts.get(stem, 0) + 1
            name = f"{stem}{n}"
        self.taken[name] = None
        self.give(key, size(name), f"axis {key[1]} of {key[0]}")

    def restricted_axes(self) -> bool:
        """An axis that only indices with given extents read has that extent."""
        progress = False
        for binder, use, axis in self.restricted:
            if self.extent((use.name, axis)) is None:
                self.give((use.name, axis), self.fixed[binder.start], f"axis {axis} of {use.name}")
                progress = True
        return progress

    def shifted_axes(self) -> bool:
        """Name an input's axis that only shifted reads mention."""
        progress = False
        for item in self.shifted:
            key = (item.use.name, item.axis)
            if self.extent(key) is None and self.names.arrays[key[0]].line is None:
                self.name(key, self.letter(key, item))
                progress = True
        return progress

    def letter(self, key: AxisKey, item: Shifted) -> str:
        """The first index of a shifted subscript, where no given size could be meant instead."""
        sub = self.affine.subscript(item.sub)
        letters = [] if has_lookup(sub) else [index.name for index in indices_of(sub)]
        if not letters:
            return f"{key[0]}_{key[1]}"
        loose = [n for n in self.names.given if n not in self.taken and n not in self.replaced]
        if loose and letters[0].upper() not in loose:
            self.names.fail(
                item.use.node, f"the extent of axis {key[1]} of {key[0]} can't be inferred",
                hint=f"declare it on a line of its own: {self.declaration(key[0])}",
            )  # fmt: skip
        return letters[0]

    def declaration(self, name: str) -> str:
        """An array's declaration, as far as its extents are known."""
        dims = []
        for axis in range(self.names.arrays[name].rank):
            form = self.extent((name, axis))
            dims.append("..." if form is None else str(form))
        return f"{name}[{', '.join(dims)}]"

    def complain(self) -> None:
        """Raise for what could not be inferred."""
        for start, binder in self.letters.items():
            if self.extent(start) is not None:
                continue
            self.names.fail(
                binder, f"the extent of index {binder.name} can't be inferred",
                expected=f"an unshifted read of {binder.name}, or its extent where it is bound",
                hint=f"write {binder.name}:EXTENT here, for example {binder.name}:3 or "
                f"{binder.name}:N",
            )  # fmt: skip
        for item in self.shifted:
            plain = bare(item.sub)
            if isinstance(plain, Radix):
                self.check_radix(item, plain)
        for use in self.names.bares:
            meaning = self.names.meaning[use.node.start]
            if isinstance(meaning, Binder) and use.scope.get(meaning.name) is not meaning:
                near = self.names.binders[use.line]
                every = [b for found in self.names.binders.values() for b in found]
                self.check_named(use.node, meaning, near if meaning in near else every)

    def check_named(self, node: Name, binder: Binder, binders: list[Binder]) -> None:
        """``N`` outside the reach of an index ``n`` is the extent of all that are called so."""
        own = self.of_binder(binder)
        for other in binders:
            if other.name == binder.name and self.of_binder(other) is not own:
                self.names.fail(
                    node, f"{node.name} could be the extent of different indices {binder.name}",
                    found=f"{own} and {self.of_binder(other)}",
                    hint="declare the sizes of the arrays, or use different letters",
                )  # fmt: skip

    def check_radix(self, item: Shifted, plain: Radix) -> None:
        whole = self.extent((item.use.name, item.axis))
        product = size(1)
        for binder in plain.parts:
            product = product * self.of_binder(self.names.bound[binder.start])
        if whole is not product:
            self.names.fail(
                item.sub, "the merged extents are not the axis",
                expected=f"{whole}, axis {item.axis} of {item.use.name}", found=str(product),
            )  # fmt: skip

    def nonnegative(self) -> None:
        for binder in self.letters.values():
            self.check_limit(self.of_binder(binder), binder)


def _limit(sub: Subscript, start: int, extent: Size) -> Size | None:
    """The largest extent of the index that is bound at ``start`` with ``0 <= sub < extent``."""
    unknown = f"{UNKNOWN}{start}"
    atom = sub.atom
    if isinstance(atom, Quotient):
        return _limit(atom.value, start, extent * atom.divisor)
    own = [a for a, _ in sub.terms if getattr(a, "extent", None) is size(unknown)]
    if len(own) != 1:
        return None
    factor = sub.coefficient(own[0])
    known = bounds(sub - Subscript(((own[0], factor),), size(0)))
    if known is None:
        return None
    low, high = known
    if unknown in (*low.names(), *high.names()):
        return None
    if any(name.startswith(UNKNOWN) for name in (*low.names(), *high.names())):
        return None
    names = factor.names()
    if factor.at_least(1, names):
        return (extent - 1 - high) // factor + 1
    if (-factor).at_least(1, names):
        return low // -factor + 1
    return None


def _least(limits: list[Size]) -> Size | None:
    for form in limits:
        if all((other - form).at_least(0) for other in limits):
            return form
    return None
