"""Turns of a loop as one: statements that are alike become one statement over a step index.

Given are the statements of all turns, place by place. Where they differ, they have to differ in
one of these ways: by whole numbers that are affine in the number of the turn (``X[3]``, ``X[4]``);
by the value of the same turn or of an earlier one (it is carried) that they read; by numbers, which
become a table. What is made is exact: for each turn it is the statement that was there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

from ..functions import TABLE
from ..ir.expr import (
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Cond,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Number,
    Opaque,
    Or,
    Power,
    Reduce,
    Select,
    Tensor,
    Truth,
    Zero,
    number,
)
from ..ir.program import Define
from ..ir.sizes import ONE, Size, size
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    SubscriptAtom,
    at,
    constant,
)
from ..ir.walk import Tree, bound_indices, free_indices, nodes, renamed, substitute, tensors
from ..text import PRIVATE

DEEPEST_CARRY = 4  # turns back that a value may be read


class Unlike(Exception):
    """Turns that can't be said as one."""


def canonical(statement: Define) -> Define:
    """The statement with indices numbered in their order, so that names don't matter."""
    own = dict.fromkeys((*statement.indices, *bound_indices(statement.body)))
    names = {index: Index(f"#{PRIVATE}{n}", index.extent) for n, index in enumerate(own)}
    body: Expr = renamed(statement.body, names, {})  # type: ignore[assignment]
    return replace(statement, indices=tuple(names[i] for i in statement.indices), body=body)


@dataclass(eq=False)
class Turns:
    """The turns of a loop: ``turns[k][m]`` is the statement at place m of turn k, canonical.

    ``made`` gives a fresh name for a wish; ``table`` the tensor of a constant that holds numbers,
    one a turn. ``stored`` are other bodies of statements, of equal values.

    An axis, or a range of a sum, may have another extent in each turn, as long as these are affine
    in the turn, too: the statement has the greatest of them, and a condition.

    ``steps`` are the targets of recurrences. Those of all turns, where no turn needs another's,
    become one that takes the same step in all turns at once.
    """

    turns: Sequence[Sequence[Define]]
    made: Callable[[str], str]
    table: Callable[[Sequence[Fraction], str], Tensor]
    stored: Mapping[Tensor, Define] = field(default_factory=dict)
    steps: Collection[Tensor] = ()
    shifted: dict[tuple[int, int], Define] = field(default_factory=dict)
    spread: dict[Tensor, Define] = field(default_factory=dict)
    rolled: tuple[Define, ...] = ()
    widths: dict[Index, tuple[int, int]] = field(default_factory=dict)
    first: dict[tuple[int, int], Expr] = field(default_factory=dict)  # read for what is carried
    stepwise: bool = False  # whether the statement at hand is of a recurrence
    idle: int | None = None  # a further turn, in which nothing is computed
    by_rows: bool = False  # whether turns may be those of a loop in a loop, one behind the other
    row: int = 0  # of how many turns each is then
    borders: bool = False  # whether the first or the last turn may read another thing

    def __post_init__(self) -> None:
        turns = range(len(self.turns))
        self.steps_of = [k + (self.idle is not None and k >= self.idle) for k in turns]
        self.count = len(self.turns) + (self.idle is not None)
        self.step = Index(f"#{PRIVATE}t", size(self.count))
        self.place = {
            s.target: (m, k) for k, turn in enumerate(self.turns) for m, s in enumerate(turn)
        }
        self.columns = [[turn[m] for turn in self.turns] for m in range(len(self.turns[0]))]
        self.targets = [self.stacked(column) for column in self.columns]
        self.at_once = {
            m: self.beside(column)
            for m, column in enumerate(self.columns)
            if column[-1].target in self.steps
        }

    def run(self) -> Turns:
        """Makes one statement of each place; raises Unlike."""
        rolled = []
        for m, column in enumerate(self.columns):
            self.stepwise = m in self.at_once
            stores = [self.stored.get(s.target) for s in column]
            before = dict(self.shifted), dict(self.spread)
            try:
                rolled.append(self.one(m, column))
            except Unlike:
                if None in stores:
                    raise
                self.shifted, self.spread = before
                rolled.append(self.one(m, stores))  # type: ignore[arg-type]
        if self.row and not self.shifted:
            raise Unlike  # each of both loops is an axis of its own
        if self.idle is not None:
            rolled = self.with_idle(rolled, self.idle)
        self.rolled = (*self.spread.values(), *self.shifted.values(), *rolled, *self.copies_of())
        return self

    def with_idle(self, rolled: Sequence[Define], idle: int) -> list[Define]:
        """The statements with a turn that leaves as it was what turns hand on."""
        if self.at_once or self.spread or any(back > 1 for _, back in self.shifted):
            raise Unlike
        cond = Not(Zero(at(self.step) - idle))

        def there(value: Expr) -> Expr:
            return Mul((Guard(cond), *(value.factors if isinstance(value, Mul) else (value,))))

        absent: set[Tensor] = set()  # what is 0 in that turn
        out: list[Define] = []
        for m, own in enumerate(rolled):
            body, before = own.body, self.shifted.get((m, 1))
            if before is not None:
                if before.target.shape != own.target.shape or own.target.kind == "bool":
                    raise Unlike
                read = Access(before.target, tuple(map(at, own.indices)))
                terms = body.terms if isinstance(body, Add) else ()
                if sum(term is read for term in terms) == 1:
                    own_terms = (t if t is read or _is_of(t, absent) else there(t) for t in terms)
                    body = Add(tuple(own_terms))
                else:
                    body = Select(cond, body, read)
            elif own.target.kind == "float" and not _is_finite(body):
                absent.add(own.target)
                body = there(body)
            out.append(replace(own, body=body))
        return out

    def step_of(self, tensor: Tensor) -> Subscript:
        """The step at which the value of a turn is: what the last one hands on stays as it is."""
        place, turn = self.place[tensor]
        last = turn == len(self.turns) - 1 == (self.idle or 0) - 1 and (place, 1) in self.shifted
        return constant(self.count - 1 if last else self.steps_of[turn])

    def copies_of(self) -> Iterator[Define]:
        """What recurrences of all turns made, turn by turn."""
        for m, tensor in self.at_once.items():
            last = self.columns[m][-1]
            first, *rest = last.indices
            body = Access(tensor, (at(first), at(self.step), *map(at, rest)))
            yield replace(
                last, target=self.targets[m], indices=(self.step, *last.indices), body=body
            )

    def one(self, m: int, column: Sequence[Define]) -> Define:
        """One statement for those at a place."""
        last = column[-1]
        if any(s.target.dtype != last.target.dtype for s in column):
            raise Unlike
        self.dtype = last.target.dtype
        every = self.widened(column)
        if any(s.indices != every[-1].indices for s in every):
            raise Unlike
        indices = every[-1].indices
        if self.idle is not None and self.widths:
            raise Unlike
        body = self.expr([s.body for s in every])
        for index in reversed([i for i in indices if i in self.widths]):
            if self.dtype == "bool":
                raise Unlike
            factors = body.factors if isinstance(body, Mul) else (body,)
            body = Mul((Guard(self.within(index)), *factors))
        if m in self.at_once:
            first, *rest = indices
            if self.widths:
                raise Unlike
            return replace(
                last, target=self.at_once[m], indices=(first, self.step, *rest), body=body
            )
        return replace(last, target=self.targets[m], indices=(self.step, *indices), body=body)

    def stacked(self, column: Sequence[Define]) -> Tensor:
        """The tensor that holds the values of all turns at a place."""
        named = next((s for s in column if s.user), column[0])
        target = column[-1].target
        shapes = [s.target.shape for s in (column[0], column[-1])]
        shape = [_greatest(pair) for pair in zip(*shapes, strict=False)]
        if any(len(s.target.shape) != len(shape) for s in column):
            raise Unlike
        return Tensor(self.made(named.target.name), (size(self.count), *shape), target.dtype)

    def beside(self, column: Sequence[Define]) -> Tensor:
        """The tensor that holds the values of all turns of a recurrence, its steps first."""
        target = column[-1].target
        first, *rest = target.shape
        if any(s.target.shape != target.shape or s.target not in self.steps for s in column):
            raise Unlike
        shape = (first, size(self.count), *rest)
        return Tensor(self.made(target.name), shape, target.dtype)

    # ---------------------------------------------------------------------------------------------
    # Extents that differ

    def widened(self, column: Sequence[Define]) -> Sequence[Define]:
        """The statements, indices whose extents differ having the greatest of these."""
        self.widths = {}
        every = [dict.fromkeys((*s.indices, *bound_indices(s.body))) for s in column]
        if all(own == every[-1] for own in every):
            return column
        if any(len(own) != len(every[-1]) for own in every):
            raise Unlike
        names: list[dict[Index, Index]] = [{} for _ in every]
        for indices in zip(*every, strict=True):
            wide = self.wide(indices)
            for own, index in zip(names, indices, strict=True):
                own[index] = wide
        return [
            replace(
                s,
                indices=tuple(own[i] for i in s.indices),
                body=renamed(s.body, own, {}),  # type: ignore[arg-type]
            )
            for s, own in zip(column, names, strict=True)
        ]

    def wide(self, indices: Sequence[Index]) -> Index:
        """The index of one place of all turns."""
        last = indices[-1]
        if all(index is last for index in indices):
            return last
        extents = [index.extent.literal for index in indices]
        if None in extents:
            raise Unlike
        line = self.line(extents, 0)  # type: ignore[arg-type]
        if line is None:
            raise Unlike
        index = Index(last.name, _greatest((indices[0].extent, last.extent)))
        self.widths[index] = line
        return index

    def within(self, index: Index) -> Cond:
        """Whether a widened index is one that its turn has."""
        slope, first = self.widths[index]
        return Inside(at(self.step) * slope + first - 1 - at(index), index.extent)

    # ---------------------------------------------------------------------------------------------
    # What is read

    def expr(self, every: Sequence[Expr]) -> Expr:
        """One expression over the step for those of all turns."""
        last = every[-1]
        if all(node is last for node in every) and not self.reads(last) and not self.widens(last):
            return last
        if isinstance(last, Access) and last.tensor in self.place:
            return self.own(every, last)
        if self.borders and isinstance(last, Select):
            every = [_chosen_at(node, last.cond) for node in every]
        kinds = {type(node) for node in every}
        if self.borders and isinstance(last, Number | Access):
            same = isinstance(last, Access) and all(
                _is_read_of(node, last.tensor) for node in every
            )
            found = None if same else self.with_border(every)
            if found is not None:
                return found
        if kinds != {type(last)}:
            raise Unlike
        return self.parts(every, last)

    def with_border(self, every: Sequence[Expr]) -> Expr | None:
        """A choice between what the first or the last turn reads and what all others do; None where
        they aren't so."""
        if self.idle is not None or self.widths or "float" not in self.dtype:
            return None
        there = size(self.count - 1)
        for odd, others, first in ((every[0], every[1:], 1), (every[-1], every[:-1], 0)):
            then = others[-1]
            if not isinstance(odd, Number | IndexOf | Access) or self.reads(odd):
                continue
            if any(isinstance(n, Access) and n.tensor.dtype != self.dtype for n in (odd, then)):
                continue
            if isinstance(then, Access) and all(_is_read_of(n, then.tensor) for n in others):
                if not first and self.reads(then):
                    continue  # the last turn is the one that tells what is carried
                then = Access(then.tensor, self.subs([n.subs for n in others], first))  # type: ignore[union-attr]
            elif any(node is not then for node in others):
                continue
            return Select(Inside(at(self.step) - first, there), then, odd)
        return None

    def widens(self, node: Tree) -> bool:
        """Whether a range of another extent in each turn is inside."""
        return bool(self.widths) and any(i in self.widths for i in bound_indices(node))

    def reads(self, node: Tree) -> bool:
        """Whether an expression reads what a turn makes."""
        return any(t in self.place for t in tensors(node))

    def own(self, every: Sequence[Expr], last: Access) -> Expr:
        """A read of what a turn makes: always the same one, that of this turn, or an earlier."""
        place, turn = self.place[last.tensor]
        stepwise = self.stepwise and place in self.at_once
        if all(isinstance(node, Access) and node.tensor is last.tensor for node in every):
            if stepwise:
                raise Unlike
            subs = self.subs([node.subs for node in every])  # type: ignore[union-attr]
            return Access(self.targets[place], (constant(self.steps_of[turn]), *subs))
        last_turn = len(self.turns) - 1
        back = last_turn - turn
        if not 0 <= back <= DEEPEST_CARRY or back >= last_turn:
            raise Unlike
        later = []
        for k in range(back, last_turn + 1):
            node = every[k]
            if not isinstance(node, Access) or self.place.get(node.tensor) != (place, k - back):
                raise Unlike
            later.append(node.subs)
        subs = self.subs(later, back)
        if stepwise:
            if back:
                raise Unlike
            return Access(self.at_once[place], (subs[0], at(self.step), *subs[1:]))
        if not back:
            return Access(self.targets[place], (at(self.step), *subs))
        for k in reversed(range(back)):  # what the first turns read in its place
            own = self.before(place, back - k, every[k], self.at_turn(subs, k))
            first = self.first[place, back - k]
            if substitute(first, self.axes(own, self.at_turn(subs, k))) is not every[k]:
                raise Unlike
        return Access(self.shifted[place, back].target, (at(self.step), *subs))

    def at_turn(self, subs: Sequence[Subscript], k: int) -> tuple[Subscript, ...]:
        moved = substitute(
            Access(self.targets[0], tuple(subs)), {self.step: constant(self.steps_of[k])}
        )
        return moved.subs  # type: ignore[union-attr]

    def axes(self, own: Define, subs: Sequence[Subscript]) -> dict[Index, Subscript]:
        return dict(zip(own.indices[1:], subs, strict=True))

    def before(self, place: int, back: int, first: Expr, subs: Sequence[Subscript]) -> Define:
        """The statement of the value ``back`` turns ago: ``first`` is what the first turn has."""
        if (place, back) not in self.shifted:
            of = self.targets[place]
            shape = self.carried_shape(first, subs, of) if back == 1 else of.shape[1:]
            target = Tensor(self.made(_before(of.name, back)), (of.shape[0], *shape), of.dtype)
            axes = tuple(Index(f"#{PRIVATE}{n}", extent) for n, extent in enumerate(shape))
            start = self.first[place, back] = self.start(first, subs, target, axes)
            if isinstance(start, Access) and start.subs == tuple(map(at, axes)):
                start = _within(start)
            earlier = of if back == 1 else self.earlier(place, back - 1)
            if earlier.shape[1:] != shape and back > 1:
                raise Unlike
            read = _within(Access(earlier, (at(self.step) - 1, *map(at, axes))))
            there = Inside(at(self.step) - 1, size(self.count - 1))
            source = self.turns[-1][place]
            self.shifted[place, back] = Define(
                target, (self.step, *axes), Select(there, read, start), source.source, False
            )
        return self.shifted[place, back]

    def carried_shape(self, first: Expr, subs: Sequence[Subscript], of: Tensor) -> tuple[Size, ...]:
        """The shape that holds what is carried, and what the first turn has in its place."""
        own = of.shape[1:]
        most = [self.greatest_at_first(sub) for sub in subs]
        reached = tuple(_greatest(pair) for pair in zip(own, most, strict=True))
        if reached != own and self.dtype == "bool":
            raise Unlike
        if not isinstance(first, Access) or first.subs != tuple(subs) or self.dtype == "bool":
            return reached
        pairs = zip(reached, first.tensor.shape, strict=True)
        return tuple(_greatest(pair) for pair in pairs)

    def greatest_at_first(self, sub: Subscript) -> Size:
        """The extent that the first turn reads up to, where a range shrinks from turn to turn."""
        most = sub.const.literal or 0
        for atom, factor in sub.terms:
            if not isinstance(atom, Index) or factor.literal is None:
                return size(0)  # a place that data tells is seen to by what reads it
            count = self.widths[atom][1] if atom in self.widths else atom.extent.literal or 0
            most += max(0, factor.literal * (count - 1))
        return size(max(0, most + 1))

    def earlier(self, place: int, back: int) -> Tensor:
        if (place, back) not in self.shifted:
            raise Unlike
        return self.shifted[place, back].target

    def start(
        self, first: Expr, subs: Sequence[Subscript], of: Tensor, axes: tuple[Index, ...]
    ) -> Expr:
        """What the first turn reads, over the axes of what is carried."""
        if (
            isinstance(first, Access)
            and first.subs == tuple(subs)
            and first.tensor.dtype == of.dtype
            and len(first.tensor.shape) == len(axes)
        ):
            return Access(first.tensor, tuple(map(at, axes)))
        if self.borders and (moved := _moved(first, subs, axes)) is not None:
            return moved
        plain = [sub.index for sub in subs]
        free = free_indices(first)
        if None in plain or len(set(plain)) < len(plain) or set(free) - set(plain):
            if free:
                raise Unlike
            return first
        own = {old: at(new) for old, new in zip(plain, axes, strict=True) if old is not None}
        if any(old.extent is not new.extent for old, new in zip(plain, axes, strict=True) if old):
            raise Unlike
        found: Expr = substitute(first, own)  # type: ignore[assignment]
        return found

    # ---------------------------------------------------------------------------------------------
    # Parts

    def exprs(self, columns: Sequence[Sequence[Expr]]) -> tuple[Expr, ...]:
        if len({len(column) for column in columns}) > 1:
            raise Unlike
        return tuple(self.expr(list(parts)) for parts in zip(*columns, strict=True))

    def conds(self, columns: Sequence[Sequence[Cond]]) -> tuple[Cond, ...]:
        if len({len(column) for column in columns}) > 1:
            raise Unlike
        return tuple(self.cond(list(parts)) for parts in zip(*columns, strict=True))

    def same(self, values: Sequence[object]) -> None:
        if any(value != values[0] for value in values):
            raise Unlike

    def parts(self, every: Sequence[Expr], last: Expr) -> Expr:
        own: Sequence[object] = every
        match last:
            case Number():
                return self.number(every)  # type: ignore[arg-type]
            case IndexOf():
                return IndexOf(self.sub([node.sub for node in every]))  # type: ignore[union-attr]
            case Access():
                self.same([node.tensor for node in every])  # type: ignore[union-attr]
                return Access(last.tensor, self.subs([node.subs for node in every]))  # type: ignore[union-attr]
            case Apply():
                self.same([node.function for node in every])  # type: ignore[union-attr]
                return Apply(last.function, self.exprs([node.args for node in every]))  # type: ignore[union-attr]
            case Add():
                return Add(self.exprs([node.terms for node in every]))  # type: ignore[union-attr]
            case Mul():
                return Mul(self.exprs([node.factors for node in every]))  # type: ignore[union-attr]
            case Power():
                self.same([node.exponent for node in every])  # type: ignore[union-attr]
                return Power(self.expr([node.base for node in every]), last.exponent)  # type: ignore[union-attr]
            case Reduce():
                self.same([(node.op, node.indices) for node in every])  # type: ignore[union-attr]
                domain = self.domain(every, last)
                return Reduce(last.op, last.indices, domain, self.expr([n.body for n in every]))  # type: ignore[union-attr]
            case Arg():
                self.same([(node.op, node.indices, node.which) for node in every])  # type: ignore[union-attr]
                domain = self.domain(every, last)
                body = self.expr([n.body for n in every])  # type: ignore[union-attr]
                return Arg(last.op, last.indices, last.which, domain, body)
            case Select():
                cond = self.cond([node.cond for node in every])  # type: ignore[union-attr]
                then = self.expr([node.then for node in every])  # type: ignore[union-attr]
                return Select(cond, then, self.expr([node.other for node in every]))  # type: ignore[union-attr]
            case Guard():
                return Guard(self.cond([node.cond for node in every]))  # type: ignore[union-attr]
            case Opaque():
                return self.opaque(own, last)  # type: ignore[arg-type]
            case _:
                raise Unlike

    def domain(self, every: Sequence[Expr], last: Reduce | Arg) -> tuple[Cond, ...]:
        """The conditions of a range, those of extents that differ among them."""
        own = self.conds([node.domain for node in every])  # type: ignore[union-attr]
        return (*own, *(self.within(i) for i in last.indices if i in self.widths))

    def cond(self, every: Sequence[Cond]) -> Cond:
        last = every[-1]
        if all(node is last for node in every) and not self.reads(last) and not self.widens(last):
            return last
        if {type(node) for node in every} == {Zero, Inside}:  # a range of a single place
            every = [Inside(c.sub, ONE) if isinstance(c, Zero) else c for c in every]
            last = every[-1]
        self.same([type(node) for node in every])
        match last:
            case Compare():
                self.same([node.op for node in every])  # type: ignore[union-attr]
                left = self.expr([node.left for node in every])  # type: ignore[union-attr]
                return Compare(last.op, left, self.expr([node.right for node in every]))  # type: ignore[union-attr]
            case Zero():
                return Zero(self.sub([node.sub for node in every]))  # type: ignore[union-attr]
            case Inside():
                return self.inside(every)  # type: ignore[arg-type]
            case Divides():
                self.same([node.divisor for node in every])  # type: ignore[union-attr]
                return Divides(last.divisor, self.sub([node.sub for node in every]))  # type: ignore[union-attr]
            case And() | Or():
                return type(last)(self.conds([node.conds for node in every]))  # type: ignore[union-attr]
            case Not():
                return Not(self.cond([node.cond for node in every]))  # type: ignore[union-attr]
            case Truth():
                return Truth(self.expr([node.value for node in every]))  # type: ignore[union-attr]
        raise Unlike

    def inside(self, every: Sequence[Inside]) -> Cond:
        """A range, whose extent may be another one in each turn."""
        extents = [node.extent for node in every]
        sub = self.sub([node.sub for node in every])
        if all(extent is extents[-1] for extent in extents):
            return Inside(sub, extents[-1])
        line = self.line([-1 if n.literal is None else n.literal for n in extents], 0)
        if line is None or line[0] * (self.count - 1) + line[1] < 0 or line[1] < 0:
            raise Unlike
        most = _greatest((extents[0], extents[-1]))
        last = at(self.step) * line[0] + line[1] - 1 - sub
        least = _least(last)
        if least is not None and least >= 0:
            return Inside(sub, most)
        return And((Inside(sub, most), Inside(last, most)))

    def number(self, every: Sequence[Number]) -> Expr:
        """A number that differs from turn to turn: affine in the turn, or a table's."""
        values = [node.value for node in every]
        if any(node.special for node in every):
            raise Unlike
        line = (
            self.line([int(v) for v in values], 0)
            if all(v.denominator == 1 for v in values)
            else None
        )
        if line is not None:
            return IndexOf(at(self.step) * line[0] + line[1])
        if self.by_rows and all(v.denominator == 1 for v in values):
            return IndexOf(self.in_rows([int(v) for v in values], 0))
        if "float" not in self.dtype:
            raise Unlike
        if self.idle is not None:
            values.insert(self.idle, Fraction(0))
        return Access(self.table(values, self.dtype), (at(self.step),))

    def opaque(self, every: Sequence[Opaque], last: Opaque) -> Expr:
        """A matrix operation, of one matrix a turn: all operands get the step as a batch axis."""
        self.same([node.operation for node in every])
        operands = tuple(
            self.operand([Access(node.operands[n], ()) for node in every])
            for n in range(len(last.operands))
        )
        return Opaque(
            last.operation, operands, (at(self.step), *self.subs([n.subs for n in every]))
        )

    def operand(self, every: Sequence[Access]) -> Tensor:
        """What an operation on whole tensors reads of all turns."""
        last = every[-1].tensor
        if last not in self.place:
            self.same([access.tensor for access in every])
            return self.copies(last)
        axes = [Index(f"#{PRIVATE}{n}", extent) for n, extent in enumerate(last.shape)]
        read = self.own(
            [Access(a.tensor, tuple(map(at, axes))) for a in every],
            Access(last, tuple(map(at, axes))),
        )
        if not isinstance(read, Access) or read.subs[0] is not at(self.step):
            raise Unlike
        return read.tensor

    def copies(self, tensor: Tensor) -> Tensor:
        """A tensor that all turns read, once for each turn."""
        if tensor not in self.spread:
            axes = tuple(Index(f"#{PRIVATE}{n}", extent) for n, extent in enumerate(tensor.shape))
            target = Tensor(
                self.made(f"{tensor.name.split(PRIVATE)[0]}_each"),
                (size(self.count), *tensor.shape),
                tensor.dtype,
            )
            body = Access(tensor, tuple(map(at, axes)))
            self.spread[tensor] = Define(target, (self.step, *axes), body, user=False)
        return self.spread[tensor].target

    # ---------------------------------------------------------------------------------------------
    # Subscripts

    def subs(self, columns: Sequence[Sequence[Subscript]], first: int = 0) -> tuple[Subscript, ...]:
        if len({len(column) for column in columns}) > 1:
            raise Unlike
        return tuple(self.sub(list(parts), first) for parts in zip(*columns, strict=True))

    def sub(self, every: Sequence[Subscript], first: int = 0) -> Subscript:
        """One subscript over the step for those of the turns from ``first`` on."""
        last = every[-1]
        if all(sub is last for sub in every) and not any(
            isinstance(atom, Lookup | Quotient | Remainder) for atom, _ in last.terms
        ):
            return last
        self.same([len(sub.terms) for sub in every])
        total = self.constant(every, first)
        for terms in zip(*(sub.terms for sub in every), strict=True):
            self.same([n for _, n in terms])
            total = total + at(self.atom([atom for atom, _ in terms], first)) * terms[-1][1]
        return total

    def constant(self, every: Sequence[Subscript], first: int) -> Subscript:
        values = [sub.const.literal for sub in every]
        if any(value is None for value in values):
            raise Unlike
        line = self.line(values, first)  # type: ignore[arg-type]
        if line is None:
            return self.in_rows(values, first)  # type: ignore[arg-type]
        return at(self.step) * line[0] + line[1]

    def line(self, values: Sequence[int], first: int) -> tuple[int, int] | None:
        """(a, b) so that the value of each step k, from that of turn ``first`` on, is a*k + b; None
        if there's no such line."""
        steps = self.steps_of[first : first + len(values)]
        if len(values) < 2:
            return None
        slope, rest = divmod(values[1] - values[0], steps[1] - steps[0])
        start = values[0] - slope * steps[0]
        alike = all(slope * k + start == v for k, v in zip(steps, values, strict=True))
        return (slope, start) if alike and not rest else None

    def in_rows(self, values: Sequence[int], first: int) -> Subscript:
        """Whole numbers that are affine in the turn of the outer and in that of the inner loop."""
        row = self.row or _row_length(values, first)
        if (
            not self.by_rows
            or self.idle is not None
            or first + 1 >= row
            or not 0 <= row - first < len(values)
        ):
            raise Unlike
        slope = values[1] - values[0]
        start = values[0] - slope * first
        outer = values[row - first] - start
        turns = range(first, first + len(values))
        made = [start + outer * (k // row) + slope * (k % row) for k in turns]
        if made != list(values):
            raise Unlike
        self.row = row
        turn = at(self.step)
        return (turn // size(row)) * outer + (turn % size(row)) * slope + start

    def atom(self, every: Sequence[SubscriptAtom], first: int) -> SubscriptAtom:
        last = every[-1]
        self.same([type(atom) for atom in every])
        match last:
            case Index():
                self.same(every)
                return last
            case Quotient() | Remainder():
                self.same([atom.divisor for atom in every])  # type: ignore[union-attr]
                return type(last)(self.sub([a.value for a in every], first), last.divisor)  # type: ignore[union-attr]
            case Lookup():
                if first:
                    raise Unlike
                inner = self.expr([atom.access for atom in every])  # type: ignore[union-attr]
                if not isinstance(inner, Access):
                    raise Unlike
                return Lookup(inner)
        raise Unlike


def _is_read_of(node: Expr, tensor: Tensor) -> bool:
    return isinstance(node, Access) and node.tensor is tensor


def _chosen_at(node: Expr, cond: Cond) -> Expr:
    """An expression as a choice whose condition fails at place 0 of an index only."""
    if isinstance(node, Select) or not isinstance(cond, Inside):
        return node
    index = (cond.sub + 1).index
    if index is None or cond.extent is not index.extent - 1:
        return node
    other: Expr = substitute(node, {index: constant(0)})  # type: ignore[assignment]
    if isinstance(other, IndexOf) and (value := other.sub.const.literal) is not None:
        other = number(value) if not other.sub.terms else other
    return Select(cond, node, other)


def _moved(first: Expr, subs: Sequence[Subscript], axes: Sequence[Index]) -> Expr | None:
    """What is read at places some steps from those of the axes, over the axes; None where that may
    be outside of an array."""
    names: dict[Index, Subscript] = {}
    for sub, axis in zip(subs, axes, strict=True):
        index = next((atom for atom, n in sub.terms if isinstance(atom, Index)), None)
        if index is None or index in names or (ahead := sub - at(index)).terms:
            return None
        names[index] = at(axis) - ahead
    if not set(free_indices(first)) <= set(names):
        return None
    found: Expr = substitute(first, names)  # type: ignore[assignment]
    if isinstance(found, Access):
        for sub, extent in zip(found.subs, found.tensor.shape, strict=True):
            ends = _least(sub), _least(constant(extent - 1) - sub)
            if any(end is None or end < 0 for end in ends):
                return None
        return found
    return found if isinstance(found, IndexOf | Number) else None


def _least(sub: Subscript) -> int | None:
    """The least value that a subscript may have, None where that isn't seen."""
    least = sub.const.literal
    for atom, factor in sub.terms:
        slope = factor.literal
        if least is None or slope is None or not isinstance(atom, Index):
            return None
        most = None if atom.extent.literal is None else atom.extent.literal - 1
        if most is None:
            return None
        least += min(0, slope * most)
    return least


def _is_finite(value: Expr) -> bool:
    """Whether a value is finite where what it reads is, short of an overflow."""
    return all(
        not isinstance(node, Opaque | Arg)
        and not (isinstance(node, Number) and node.special)
        and not (isinstance(node, Power) and (node.exponent < 0 or node.exponent.denominator > 1))
        and not (isinstance(node, Apply) and not TABLE[node.function].finite)
        for node in nodes(value)
    )


def _is_of(value: Expr, made: Collection[Tensor]) -> bool:
    """Whether a value is a read of one of these."""
    return isinstance(value, Access) and value.tensor in made


def _within(read: Access) -> Expr:
    """A read, absent where an index is beyond the array's extent."""
    found: Expr = read
    for sub, extent in reversed(list(zip(read.subs, read.tensor.shape, strict=True))):
        index = sub.index
        if index is not None and index.extent is not extent:
            factors = found.factors if isinstance(found, Mul) else (found,)
            found = Mul((Guard(Inside(sub, extent)), *factors))
    return found


def _greatest(extents: Sequence[Size]) -> Size:
    return max(extents, key=lambda extent: extent.literal or 0)


def _row_length(values: Sequence[int], first: int) -> int:
    """The turn at which values begin anew; 0 where they don't."""
    steps = [b - a for a, b in pairwise(values)]
    return next((first + k + 1 for k, step in enumerate(steps) if step != steps[0]), 0)


def _before(name: str, back: int) -> str:
    """A wish for the name of what was there some turns ago."""
    number = back if back > 1 else ""
    plain = name.split(PRIVATE)[0]
    made_up = plain[:1] == "t" and plain[1:].isdigit()
    return f"before{number}" if made_up else f"{plain}_before{number}"
