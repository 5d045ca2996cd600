"""Merged axes kept apart: all reshapes of a value meet in a common refinement of its axes.

A value that is reshaped, worked on and reshaped back has an axis that is read as digits, ``m // L``
and ``m % L``, and is read at ``L*a + b``. Such an axis of a made-up or intermediate value is split
into those digits, with the axes and the summation indices that it meets; inputs and outputs keep
their shapes and are read through the digits. Where the digits are no chain, in which each weight
divides the next, nothing changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ..ir.digits import Digit, Places, chain, composed, digit, number
from ..ir.expr import Access, Opaque, Reduce, Tensor
from ..ir.program import Define, Program
from ..ir.recurrence import groups, is_recurrent
from ..ir.sizes import ONE, Size
from ..ir.subscripts import (
    Index,
    Quotient,
    Remainder,
    Subscript,
    constant,
    reduced,
)
from ..ir.walk import (
    Tree,
    bound_indices,
    children,
    free_indices,
    fresh,
    map_tensors,
    nodes,
    rebuild,
    subscripts,
    substitute,
    tensors,
)
from .guards import tidy

# An axis of a tensor, or an index of a statement: what is split alike if it meets.
Place = tuple[Tensor, int] | tuple[Tensor, Index]


def refined(program: Program) -> Program:
    """The program with merged axes kept apart and without axes of one place; itself where it has
    neither."""
    return _apart(thinned(program))


def thinned(program: Program) -> Program:
    """The program without the axes of one place that its values have (``keepdims=True``); inputs
    and outputs keep theirs, as do operands and results of opaque operations."""
    rigid = {*program.inputs, *program.outputs}
    for group in groups(program.statements):
        for s in group:
            if is_recurrent(group) or isinstance(s.body, Opaque):
                rigid.update((s.target, *(tensors(s.body) if isinstance(s.body, Opaque) else ())))
    thin = {
        s.target: Tensor(s.target.name, _kept(s.target.shape, s.target.shape), s.target.dtype)
        for s in program.statements
        if s.target not in rigid and any(n is ONE for n in s.target.shape)
    }
    if not thin:
        return program

    def read(access: Access) -> Access:
        tensor = thin.get(access.tensor)
        return Access(tensor, _kept(access.subs, access.tensor.shape)) if tensor else access

    made = []
    for s in program.statements:
        body = map_tensors(s.body, read)
        if s.target in thin:
            places = {i: constant(0) for i in s.indices if i.extent is ONE}
            indices = _kept(s.indices, s.target.shape)
            s = replace(s, target=thin[s.target], indices=indices)
            body = substitute(body, places)
        made.append(replace(s, body=body))  # type: ignore[arg-type]
    return Program(program.inputs, tuple(made), program.outputs, program.sizes)


T = TypeVar("T")


def _kept(parts: Sequence[T], shape: Sequence[Size]) -> tuple[T, ...]:
    """What stands at the axes of more than one place."""
    return tuple(part for part, n in zip(parts, shape, strict=True) if n is not ONE)


def _apart(program: Program) -> Program:
    """The program with merged axes kept apart; itself where it has none."""
    if not any(_reads_digits(statement.body) for statement in program.statements):
        return program
    tidied = [replace(s, body=tidy(s.body)) for s in program.statements]
    splitting = _Splitting(program, _Axes(program, tidied).digits())
    found = splitting.run(tidied)
    return found if splitting.tensors else program


def _reads_digits(node: Tree) -> bool:
    return any(
        isinstance(atom, Quotient | Remainder)
        for tree in nodes(node)
        for sub in subscripts(tree)
        for atom, _ in sub.terms
    )


class _Axes:
    """Which axes and indices meet, and how they are read."""

    def __init__(self, program: Program, statements: Sequence[Define]) -> None:
        outputs = set(program.outputs)
        self.own = {s.target for s in statements if s.target not in outputs}
        self.parent: dict[Place, Place] = {}
        self.fixed: set[Place] = set()
        self.merged: dict[Place, set[Size]] = {}  # weights of the digits that it is read as
        self.split: dict[Place, set[Size]] = {}  # weights of the digits that it is read at
        self.links: list[tuple[Place, list[tuple[Digit, Size]], Tensor]] = []
        for group in groups(statements):
            for statement in group:
                self._statement(statement, is_recurrent(group))

    def _statement(self, statement: Define, rigid: bool) -> None:
        target, body = statement.target, statement.body
        for axis, index in enumerate(statement.indices):
            if target in self.own:
                self._meet((target, axis), (target, index))
            if rigid or target not in self.own or isinstance(body, Opaque):
                self.fixed.add((target, index))
        for node in nodes(body):
            if isinstance(node, Opaque):
                self.fixed.update((t, axis) for t in node.operands for axis in range(len(t.shape)))
            for axis, sub in enumerate(subscripts(node)):
                self._digits(target, sub)
                if isinstance(node, Access) and node.tensor in self.own:
                    self._read(target, node.tensor, axis, sub)

    def _digits(self, target: Tensor, sub: Subscript) -> None:
        """The digits that indices of a statement are read as."""
        for atom, _ in sub.terms:
            part = digit(atom)
            if part is not None:
                self.merged.setdefault((target, part.index), set()).update(part.bounds)

    def _read(self, target: Tensor, tensor: Tensor, axis: int, sub: Subscript) -> None:
        """An axis of a value that is read at an index, or at the digits of a number."""
        place, extent = (tensor, axis), tensor.shape[axis]
        if sub.index is not None and sub.index.extent is extent:
            self._meet(place, (target, sub.index))
        elif sub != constant(0):
            digits = number(sub, extent)
            if not digits:
                self.fixed.add(place)
            self.links.append((place, digits, target))
            self.split.setdefault(place, set()).update(n for _, n in digits[1:])

    def _meet(self, one: Place, other: Place) -> None:
        if (root := self._root(one)) != self._root(other):
            self.parent[root] = self._root(other)

    def _root(self, place: Place) -> Place:
        passed = []
        while (above := self.parent.get(place)) is not None:
            passed.append(place)
            place = above
        self.parent.update(dict.fromkeys(passed, place))  # the next way there is shorter
        return place

    def digits(self) -> Callable[[Place], Places]:
        """The weights and extents of the digits that an axis or an index is split into, the
        highest first; none where it stays."""
        fixed = set(map(self._root, self.fixed))
        while True:
            cuts = self._cuts(fixed)
            loose = {root for root, weights in cuts.items() if weights is None}
            if not loose:
                break
            fixed |= loose
        return lambda place: cuts.get(self._root(place)) or []

    def _cuts(self, fixed: set[Place]) -> dict[Place, Places | None]:
        """The digits of the axes that are read in both ways; None where they are no chain."""
        merged, split = self._by_root(self.merged), self._by_root(self.split)
        cuts = {r: merged[r] | split[r] for r in merged if split.get(r) and r not in fixed}
        broken = set(self._spread(cuts)) if cuts else set()
        return {
            r: None if r in broken else chain(weights, _extent(r)) for r, weights in cuts.items()
        }

    def _by_root(self, found: Mapping[Place, set[Size]]) -> dict[Place, set[Size]]:
        out: dict[Place, set[Size]] = {}
        for place, weights in found.items():
            if weights:
                out.setdefault(self._root(place), set()).update(weights)
        return out

    def _spread(self, cuts: dict[Place, set[Size]]) -> Iterator[Place]:
        """Where an axis is cut, the number at which it is read is cut, and so are its digits; axes
        whose cuts lie in no digit."""
        links = [
            (self._root(place), [(self._root((target, d.index)), d, n) for d, n in digits])
            for place, digits, target in self.links
        ]
        left = True
        while left:
            left = False
            for root, digits in links:
                for weight in sorted(cuts.get(root, ()), key=lambda n: n.key):
                    own = [(r, d, _within(weight, d, n)) for r, d, n in digits]
                    if all(part is None for _, _, part in own):
                        yield root
                    for r, d, part in own:
                        if part is None or part is ONE or r not in cuts:
                            continue
                        left |= d.weight * part not in cuts[r]
                        cuts[r].add(d.weight * part)


def _within(weight: Size, part: Digit, counts: Size) -> Size | None:
    """Where a digit is cut at a weight of the number: 1 at its lower end, None if elsewhere."""
    cut = weight.exactly_over(counts)
    whole = cut is not None and part.extent.exactly_over(cut) is not None
    return cut if whole and cut is not part.extent else None


def _extent(place: Place) -> Size:
    tensor, axis = place
    return axis.extent if isinstance(axis, Index) else tensor.shape[axis]


class _Splitting:
    """Writes the statements with an axis, and an index, for each digit."""

    def __init__(self, program: Program, digits: Callable[[Place], Places]) -> None:
        self.program = program
        self.digits = digits
        self.tensors: dict[Tensor, Tensor] = {}

    def run(self, statements: Sequence[Define]) -> Program:
        """The whole program."""
        inputs, outputs, sizes = self.program.inputs, self.program.outputs, self.program.sizes
        return Program(inputs, tuple(map(self._statement, statements)), outputs, sizes)

    def _statement(self, statement: Define) -> Define:
        target, body = statement.target, statement.body
        every = dict.fromkeys((*statement.indices, *free_indices(body), *bound_indices(body)))
        names = Counter(index.name for index in every)
        taken = set(names)
        split: dict[Index, tuple[Index, ...]] = {}
        for index in every:
            digits = self.digits((target, index))
            if digits:
                if names[index.name] == 1:
                    taken.discard(index.name)
                split[index] = tuple(fresh(Index(index.name, n), taken) for _, n in digits)
        places = {
            index: composed(own, self.digits((target, index))) for index, own in split.items()
        }

        def bind(tree: Tree) -> Tree:
            tree = rebuild(tree, tuple(map(bind, children(tree))))
            if not isinstance(tree, Reduce):
                return tree
            moved = {i: places[i] for i in tree.indices if i in split}
            inner = tuple(substitute(part, moved) for part in children(tree))
            indices = tuple(new for i in tree.indices for new in split.get(i, (i,)))
            return Reduce(tree.op, indices, inner[:-1], inner[-1])  # type: ignore[arg-type]

        moved = map_tensors(substitute(bind(body), places), self._read)
        indices = tuple(new for i in statement.indices for new in split.get(i, (i,)))
        if indices != statement.indices:
            shape = tuple(i.extent for i in indices)
            self.tensors[target] = Tensor(target.name, shape, target.dtype)
        target = self.tensors.get(target, target)
        return replace(statement, target=target, indices=indices, body=tidy(moved))  # type: ignore[arg-type]

    def _read(self, access: Access) -> Access:
        tensor = self.tensors.get(access.tensor)
        if tensor is None:
            return access
        subs: list[Subscript] = []
        for axis, sub in enumerate(access.subs):
            digits = self.digits((access.tensor, axis))
            top = True
            for weight, extent in digits:
                above = reduced(sub // weight)
                subs.append(above if top else reduced(above % extent))
                top = False
            if not digits:
                subs.append(sub)
        return Access(tensor, tuple(subs))
