"""Recurrences as loops: a turn computes one step, over whole arrays of the other axes.

What a step hands on to the next one is held in a variable, ``H_prev`` (``dH_next`` where the loop
runs backwards); arrays over all steps are filled only for values that are read elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from ...calculus.guards import settle
from ...ir.expr import (
    ZERO,
    Access,
    Add,
    And,
    Cond,
    Expr,
    Guard,
    Inside,
    Mul,
    Not,
    Or,
    Reduce,
    Select,
    Tensor,
    Zero,
    add,
    mul,
)
from ...ir.program import Define
from ...ir.recurrence import Group, direction, offset
from ...ir.sizes import Size
from ...ir.subscripts import Index, Subscript, at, constant, within
from ...ir.walk import Tree, accesses, bottom_up, children, free_indices, map_tensors, substitute
from ...ir.walk import rebuild as rebuilt
from ...plan.terms import in_bounds
from ...text import PRIVATE
from ..python.code import Code, call, leaf, tuple_of
from ..python.extents import LOCAL
from .assign import assign
from .expressions import Context, Speller
from .loops import loop
from .statements import statement

Branch = tuple[tuple[Cond, ...], Expr]
"""A term, and conditions on the step under which it is there."""


@dataclass
class Recurrence:
    """The loop of a group of statements that need each other.

    ``waiting`` are the values that may be spelled where they are read; ``emitted`` is called with
    each statement and the line that it starts at.
    """

    speller: Speller
    group: Group
    waiting: Collection[Tensor]
    emitted: Callable[[Define, int], None]
    stored: set[Tensor] = field(default_factory=set)
    now: dict[Tensor, Tensor] = field(default_factory=dict)
    before: dict[Tensor, Tensor] = field(default_factory=dict)
    starts: dict[Tensor, Expr] = field(default_factory=dict)
    carried: dict[Tensor, Tensor] = field(default_factory=dict)
    step: Size = field(default=constant(0).const)

    def __post_init__(self) -> None:
        self.turn = direction(self.group)
        if not self.turn:
            names = ", ".join(s.target.name for s in self.group)
            raise AssertionError(f"no direction in which {names} can be computed")
        self.made = {s.target for s in self.group}
        for s in self.group:
            self.carry(s)
            for access in accesses(s.body):
                ahead = offset(s, access) if access.tensor in self.made else 0
                if ahead == -self.turn:
                    self.starts.setdefault(access.tensor, ZERO)
                elif ahead:
                    self.stored.add(access.tensor)
        suffix = "prev" if self.turn > 0 else "next"
        self.before = {tensor: self.local(tensor, suffix) for tensor in self.starts}

    def carry(self, s: Define) -> None:
        """Sees a statement that is only the step before's value, or what the first step takes."""
        match s.body:
            case Select(cond, Access(tensor, subs) as then, other):
                rest = tuple(map(at, s.indices[1:]))
                read = {a.tensor for a in accesses(other)}
                if (
                    tensor in self.made
                    and offset(s, then) == -self.turn
                    and subs[1:] == rest
                    and self.has_before(cond, s.indices[0])
                    and s.indices[0] not in free_indices(other)
                    and not read & self.made
                    and tensor not in self.starts
                    and tensor.dtype == s.target.dtype
                ):
                    moved = {i: at(j) for i, j in zip(s.indices[1:], _axes(tensor), strict=True)}
                    self.starts[tensor] = substitute(other, moved)  # type: ignore[assignment]
                    self.carried[s.target] = tensor

    def has_before(self, cond: Cond, index: Index) -> bool:
        """Whether a condition holds at all steps but the first one that the loop takes."""
        if not isinstance(cond, Inside) or (cond.sub - at(index)).terms:
            return False
        low = -(cond.sub - at(index)).const  # it holds from here
        high = cond.extent + low  # up to here
        if self.turn > 0:
            return low.literal == 1 and (high - index.extent).at_least(0)
        return (-low).at_least(0) and (high - index.extent).literal == -1

    def after(self, s: Define) -> Define:
        """A later statement, with the variables of the last step for reads of it that a condition
        guards which fails where there are no steps: then the variables hold 0."""
        steps = self.group[0].target.shape[0]
        last = constant(steps - 1 if self.turn > 0 else 0)
        guard = Guard(Inside(last, steps))

        def change(node: Tree) -> Tree:
            if not isinstance(node, Mul) or guard not in node.factors:
                return node
            parts = [self.at_last(f, last) for f in node.factors if f is not guard]
            free = all(map(in_bounds, (a for f in parts for a in accesses(f))))
            return mul(*parts) if free else node

        return replace(s, body=bottom_up(s.body, change))  # type: ignore[arg-type]

    def at_last(self, factor: Expr, last: Subscript) -> Expr:
        match factor:
            case Access(tensor, (step, *rest)) if step is last and self.starts.get(tensor) is ZERO:
                return Access(self.before[tensor], tuple(rest))
            case _:
                return factor

    # The loop.

    def emit(self, stored: Collection[Tensor]) -> None:
        """Emits everything; ``stored`` are those of the targets that are read elsewhere."""
        speller, scope = self.speller, self.speller.scope
        scope.settle()
        self.stored.update(stored)
        for s in self.group:
            if s.target in self.stored:
                name = scope.bind(s.target)
                scope.emit(f"{name} = {self.empty(s.target)}")
        letter = self.group[0].indices[0]
        for tensor, value in self.starts.items():
            self.start(tensor, value)
        kept = speller.done
        speller.done = dict(kept)
        with loop(speller, (letter,), back=self.turn < 0) as steps:
            self.step = steps[letter]
            for s in self.group:
                self.now[s.target] = self.local(s.target, str(scope.size(self.step)))
                start = len(scope.lines)
                self.define(s)
                self.emitted(s, start)
            for tensor, before in self.before.items():
                scope.emit(f"{scope.read(before)} = {scope.read(self.now[tensor])}")
            scope.settle()
        speller.done = kept

    def local(self, tensor: Tensor, suffix: str) -> Tensor:
        """A tensor for one step of another one."""
        made = Tensor(f"{tensor.name}_{suffix}{LOCAL}", tensor.shape[1:], tensor.dtype)
        self.speller.scope.facts.alias(made, tensor)
        return made

    def empty(self, tensor: Tensor) -> Code:
        """An array over all steps, to be filled."""
        scope = self.speller.scope
        named = {"dtype": dtype} if (dtype := scope.dtype(tensor.dtype)) else {}
        sizes = [str(scope.size(n)) for n in tensor.shape]
        return call("np.empty", sizes[0] if len(sizes) == 1 else tuple_of(sizes), **named)

    def start(self, tensor: Tensor, value: Expr) -> None:
        """What the first step finds for the step before."""
        speller, scope = self.speller, self.speller.scope
        before = self.before[tensor]
        if value is ZERO:
            zeros = speller.zeros(before)
            scope.emit(f"{scope.bind(before)} = {zeros}")
            return
        define = Define(before, _axes(tensor), value)
        assign(speller, scope.bind(before), value, define, fresh=False)

    # One statement.

    def define(self, s: Define) -> None:
        """Emits a statement for the step at hand."""
        scope, now = self.speller.scope, self.now[s.target]
        if s.target in self.carried:
            before = self.before[self.carried[s.target]]
            scope.arrays[now] = scope.arrays[before]
            if s.target in self.stored:
                scope.emit(f"{self.place(s.target)} = {scope.read(before)}")
            return
        branches = self.branches(s)
        kept = s.target in self.stored or s.target in self.before
        start = len(scope.lines)
        waits = s.target in self.waiting and not kept
        self.branched(now, s.indices[1:], branches, s, waits)
        if s.target in self.stored:
            self.store(s.target, start)

    def store(self, tensor: Tensor, start: int) -> None:
        """Puts the value of a step in its place; a value of one line is computed there."""
        scope, now = self.speller.scope, self.now[tensor]
        name, place = str(scope.read(now)), self.place(tensor)
        head = f"{scope.indent}{name} = "
        if len(scope.lines) == start + 1 and scope.lines[start].startswith(head):
            value = scope.lines[start].removeprefix(head)
            scope.lines[start] = f"{scope.indent}{place} = {value}"
            scope.names.taken.discard(name)
            scope.arrays[now] = replace(scope.arrays[now], code=leaf(Code(place)), view=True)
        else:
            scope.emit(f"{place} = {name}")

    def place(self, tensor: Tensor) -> str:
        """The place of the step at hand in an array over all steps."""
        scope = self.speller.scope
        return f"{scope.read(tensor)}[{scope.size(self.step)}]"

    def branched(
        self,
        now: Tensor,
        indices: tuple[Index, ...],
        branches: Sequence[Branch],
        s: Define,
        waits: bool,
    ) -> None:
        """Emits a sum of terms that are there under conditions on the step."""
        scope = self.speller.scope
        plain = next(([term] for conds, term in branches if not conds), [])
        rest = [(conds, term) for conds, term in branches if conds]
        made = Define(now, indices, add(*plain) if plain else ZERO, s.source, s.user)
        if not rest:
            statement(self.speller, made, final=False, waits=waits)
            return
        if not plain and len(rest) == 2 and _excluded(rest[0][0]) == rest[1][0]:
            (conds, one), (_, other) = rest
            self.either(made, self.test(conds, s), one, other)
            return
        if plain:
            known = dict(self.speller.done)  # what follows changes the value
            statement(self.speller, made, final=True, waits=False)
            self.speller.done = known
        elif len(rest) == 1:
            ((conds, one),) = rest
            self.either(made, self.test(conds, s), one, None)
            return
        else:
            zeros = self.speller.zeros(now)
            scope.emit(f"{scope.bind(now)} = {zeros}")
        for conds, term in rest:
            self.block(f"if {self.test(conds, s)}:", made, add(made.access, term))

    def either(self, made: Define, test: str, one: Expr, other: Expr | None) -> None:
        """Emits a choice; ``other`` None is zeros."""
        scope = self.speller.scope
        scope.settle()
        zeros = self.speller.zeros(made.target)
        name = scope.bind(made.target)
        self.block(f"if {test}:", made, one)
        if other is not None:
            self.block("else:", made, other)
            return
        scope.emit("else:")
        with scope.indented():
            scope.emit(f"{name} = {zeros}")

    def block(self, head: str, made: Define, value: Expr) -> None:
        """Emits a block that assigns to a name that there is already."""
        scope = self.speller.scope
        scope.settle()
        scope.emit(head)
        held = scope.arrays[made.target]
        caches = dict(scope.paddings), dict(scope.windows), dict(scope.args)
        with scope.indented():
            self.speller.share(value)
            assign(self.speller, str(held.code), value, made, fresh=True)
        scope.paddings, scope.windows, scope.args = caches
        scope.arrays[made.target] = held

    # Conditions on the step.

    def branches(self, s: Define) -> list[Branch]:
        """The terms of a statement, over the step at hand, with their conditions on it."""
        index = s.indices[0]
        body = bottom_up(s.body, lambda node: _hoisted(node, index))
        found: dict[tuple[Cond, ...], list[Expr]] = {}
        for conds, term in _branches(body, index):  # type: ignore[arg-type]
            kept = settle([c for c in conds if not self.idle(c, term, s)], (index,))
            if kept is not None and term is not ZERO:
                found.setdefault(kept, []).append(self.here(self.parted(term, s), s))
        return [(conds, add(*terms)) for conds, terms in found.items()]

    def idle(self, cond: Cond, term: Expr, s: Define) -> bool:
        """Whether a term is 0 anyway where a condition fails: at the first step, where what the
        step before hands on is 0."""
        if not self.has_before(cond, s.indices[0]):
            return False
        factors = term.factors if isinstance(term, Mul) else (term,)
        while len(sums := [f for f in factors if isinstance(f, Reduce)]) == 1:
            (inner,) = sums
            if inner.op != "sum" or inner.domain:
                return False
            own = inner.body.factors if isinstance(inner.body, Mul) else (inner.body,)
            factors = (*(f for f in factors if f is not inner), *own)
        handed = [f for f in factors if isinstance(f, Access) and self.is_before(f, s)]
        if len(handed) != 1 or self.starts[handed[0].tensor] is not ZERO:
            return False
        others = [f for f in factors if f is not handed[0]]
        reads = [a for f in others for a in accesses(f)]
        if any(not in_bounds(a) or self.is_before(a, s) for a in reads):
            return False
        return not others or self.speller.scope.facts.tame(others, ())

    def is_before(self, access: Access, s: Define) -> bool:
        """Whether an access reads what the step before handed on."""
        return access.tensor in self.made and offset(s, access) == -self.turn

    def parted(self, term: Expr, s: Define) -> Expr:
        """A term with values of its own for the parts that conditions on the step still hold."""
        index = s.indices[0]

        def visit(node: Tree) -> Tree:
            if isinstance(node, Mul | Select) and _conditions(node, index):
                free = tuple(i for i in free_indices(node) if i is not index)
                shape = tuple(i.extent for i in free)
                part = Tensor(f"{s.target.name}_part{LOCAL}", shape, s.target.dtype)
                while part in self.speller.scope.arrays:
                    part = replace(part, name=f"{part.name} ")
                inner = [
                    (conds, self.here(self.parted(inner, s), s))
                    for conds, inner in _branches(node, index)
                ]
                self.branched(part, free, inner, s, False)
                return Access(part, tuple(map(at, free)))
            return rebuilt(node, tuple(map(visit, children(node))))

        return visit(term)  # type: ignore[return-value]

    def here(self, value: Expr, s: Define) -> Expr:
        """A value at the step at hand: the group's targets as what holds them now."""

        def held(access: Access) -> Access:
            if access.tensor not in self.made:
                return access
            ahead = offset(s, access)
            if ahead == 0:
                return Access(self.now[access.tensor], access.subs[1:])
            if ahead == -self.turn:
                return Access(self.before[access.tensor], access.subs[1:])
            return access

        inner = map_tensors(value, held)
        return substitute(inner, {s.indices[0]: constant(self.step)})  # type: ignore[return-value]

    def test(self, conds: Sequence[Cond], s: Define) -> str:
        """Conditions on the step as Python spells them."""
        return " and ".join(self.condition(c, s.indices[0]) for c in conds)

    def condition(self, cond: Cond, index: Index) -> str:
        match cond:
            case Inside(sub, extent):
                above, below = within(sub, extent)
                sides = [] if above else [self.sides(sub, ">=")]
                sides += [] if below else [self.sides(sub - extent, "<")]
                return " and ".join(sides) or "True"
            case Zero(sub):
                return self.sides(sub, "==")
            case Not(Zero(sub)):
                return self.sides(sub, "!=")
            case Not(inner):
                return f"not ({self.condition(inner, index)})"
            case And(conds):
                return " and ".join(f"({self.condition(c, index)})" for c in conds) or "True"
            case Or(conds):
                return " or ".join(f"({self.condition(c, index)})" for c in conds) or "False"
            case _:
                here: Cond = substitute(cond, {index: constant(self.step)})  # type: ignore[assignment]
                return str(self.speller.condition(here, Context()).code)

    def sides(self, sub: Subscript, op: str) -> str:
        """``sub`` compared with 0, what is subtracted moved to the other side."""
        scope = self.speller.scope
        here = substitute(Zero(sub), {i: constant(self.step) for i in free_indices(Zero(sub))})
        whole = here.sub  # type: ignore[union-attr]
        if whole.terms:
            inner = Zero(whole)
            raise AssertionError(f"no condition on the step: {inner}")
        left = Size(tuple((m, n) for m, n in whole.const.terms if n > 0))
        right = left - whole.const
        return f"{scope.size(left)} {op} {scope.size(right)}"


def _excluded(conds: Sequence[Cond]) -> tuple[Cond, ...]:
    """The condition that holds where a single one doesn't."""
    only = settle([Not(c) for c in conds], ()) if len(conds) == 1 else ()
    return only or ()


def _axes(tensor: Tensor) -> tuple[Index, ...]:
    """Indices for the axes of one step of a tensor."""
    return tuple(Index(f"{tensor.name}.{PRIVATE}{k}", n) for k, n in enumerate(tensor.shape[1:]))


def _is_condition(cond: Cond, index: Index) -> bool:
    """Whether a condition is one on the step alone."""
    return free_indices(cond) == (index,) and not accesses(cond)


def _conditions(node: Tree, index: Index) -> list[Cond]:
    """The conditions on the step that a product or a selection is under."""
    match node:
        case Mul(factors):
            guards = [f.cond for f in factors if isinstance(f, Guard)]
            return [c for c in guards if _is_condition(c, index)]
        case Select(cond, _, _):
            return [cond] if _is_condition(cond, index) else []
        case _:
            return []


def _hoisted(node: Tree, index: Index) -> Tree:
    """A sum under conditions on the step as a product with them; products in products as one."""
    match node:
        case Mul(factors) if any(isinstance(f, Mul) and _conditions(f, index) for f in factors):
            parts = [f.factors if isinstance(f, Mul) else (f,) for f in factors]
            return Mul(tuple(part for own in parts for part in own))
        case Select(And(conds), then, other) if any(_is_condition(c, index) for c in conds):
            steps = And(tuple(c for c in conds if _is_condition(c, index)))
            others = tuple(c for c in conds if c not in steps.conds)
            return Select(steps, Select(And(others), then, other), other) if others else node
        case Reduce("sum", indices, domain, body):
            outer = [c for c in domain if _is_condition(c, index)]
            inner = _conditions(body, index) if isinstance(body, Mul) else []
            if not outer and not inner:
                return node
            guards: list[Expr] = [Guard(c) for c in (*outer, *inner)]
            if isinstance(body, Mul):
                body = Mul(tuple(f for f in body.factors if f not in guards))
            left = tuple(c for c in domain if c not in outer)
            return Mul((*guards, Reduce("sum", indices, left, body)))
        case _:
            return node


def _branches(value: Expr, index: Index) -> list[Branch]:
    """The terms of a value with the conditions on the step that they are under."""
    match value:
        case Add(terms):
            return [branch for term in terms for branch in _branches(term, index)]
        case Select(cond, then, other) if _is_condition(cond, index):
            return [
                *(((cond, *conds), term) for conds, term in _branches(then, index)),
                *(((Not(cond), *conds), term) for conds, term in _branches(other, index)),
            ]
        case Mul(factors) if found := _conditions(value, index):
            left = [f for f in factors if not (isinstance(f, Guard) and f.cond in found)]
            return [((*found, *more), term) for more, term in _branches(mul(*left), index)]
        case _:
            return [((), value)]
