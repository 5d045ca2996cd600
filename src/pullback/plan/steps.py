"""Recurrences as loops: what a step hands on to the next one, and what the first one finds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..ir.expr import (
    ZERO,
    Access,
    And,
    Cond,
    Expr,
    Guard,
    Inside,
    Mul,
    Reduce,
    Select,
    Tensor,
    mul,
)
from ..ir.program import Define
from ..ir.recurrence import offset
from ..ir.subscripts import Index, Subscript, at, constant
from ..ir.walk import Tree, accesses, bottom_up, free_indices, substitute
from ..text import PRIVATE
from .facts import Facts
from .ops import Loop
from .terms import in_bounds


@dataclass
class Handed:
    """What the steps of a loop hand on.

    ``depth`` says how many steps back a tensor is read, ``starts`` what the first step finds for
    the step before (0 for what isn't in here), ``same`` the tensors that are no more than another
    one at the step before.
    """

    loop: Loop
    facts: Facts
    depth: dict[Tensor, int] = field(default_factory=dict)
    starts: dict[Tensor, Expr] = field(default_factory=dict)
    same: dict[Tensor, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.made = {s.target for s in self.loop.group}
        for s in self.loop.group:
            self._carry(s)
            for access in accesses(s.body):
                ahead = offset(s, access) if access.tensor in self.made else None
                if ahead:
                    back = -ahead * self.loop.turn
                    self.depth[access.tensor] = max(self.depth.get(access.tensor, 0), back)
        word = "prev" if self.loop.turn > 0 else "next"
        self.before = {
            (tensor, k): Tensor(
                f"{tensor.name}{PRIVATE}{word}{k if k > 1 else ''}", tensor.shape[1:], tensor.dtype
            )
            for tensor, depth in self.depth.items()
            for k in range(1, depth + 1)
        }

    def _carry(self, s: Define) -> None:
        """Sees a statement that is only the step before's value, or what the first step takes."""
        match s.body:
            case Select(cond, Access(tensor, subs) as then, other):
                index, *rest = s.indices
                if (
                    self._is_before(then, s)
                    and subs[1:] == tuple(map(at, rest))
                    and self.has_before(cond, index)
                    and index not in free_indices(other)
                    and tensor not in self.starts
                    and tensor.dtype == s.target.dtype
                ):
                    moved = {i: at(j) for i, j in zip(rest, axes_of(tensor), strict=True)}
                    self.starts[tensor] = substitute(other, moved)  # type: ignore[assignment]
                    self.same[s.target] = tensor

    def has_before(self, cond: Cond, index: Index) -> bool:
        """Whether a condition holds at all steps but the first one that the loop takes."""
        if not isinstance(cond, Inside) or (cond.sub - at(index)).terms:
            return False
        low = -(cond.sub - at(index)).const  # it holds from here
        high = cond.extent + low  # up to here
        if self.loop.turn > 0:
            return low.literal == 1 and (high - index.extent).at_least(0)
        return (-low).at_least(0) and (high - index.extent).literal == -1

    # conditions on the step

    def body(self, s: Define) -> Expr:
        """A statement's value, with conditions on the step outside of sums, and without those of
        terms that are 0 anyway where they fail."""
        index = s.indices[0]
        body = bottom_up(s.body, lambda node: _hoisted(node, index))

        def change(node: Tree) -> Tree:
            if not isinstance(node, Mul):
                return node
            conds = _conditions(node, index)
            rest = mul(*(f for f in node.factors if not (isinstance(f, Guard) and f.cond in conds)))
            kept = [c for c in conds if not self._idle(c, rest, s)]
            return node if len(kept) == len(conds) else mul(*map(Guard, kept), rest)

        return bottom_up(body, change)  # type: ignore[return-value]

    def _idle(self, cond: Cond, term: Expr, s: Define) -> bool:
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
        handed = [f for f in factors if isinstance(f, Access) and self._is_before(f, s)]
        if len(handed) != 1 or handed[0].tensor in self.starts:
            return False
        others = [f for f in factors if f is not handed[0]]
        reads = [a for f in others for a in accesses(f)]
        if any(not in_bounds(a) or self._is_before(a, s) for a in reads):
            return False
        return not others or self.facts.finite_anyway(others, ())

    def _is_before(self, access: Access, s: Define) -> bool:
        """Whether an access reads what the step before handed on."""
        return access.tensor in self.made and offset(s, access) == -self.loop.turn

    # after the loop

    def after(self, s: Define) -> Define:
        """A later statement, with what the last step handed on for reads of it, which is what the
        first step finds where there are no steps.

        It stands for a read under a condition that fails then, if it is 0 then, for a selection of
        it or of what the first step finds, and for any read where there are steps.
        """
        steps = self.loop.group[0].target.shape[0]
        last = constant(steps - 1 if self.loop.turn > 0 else 0)
        there = Inside(last, steps)
        guard = Guard(there)

        def change(node: Tree) -> Tree:
            match node:
                case Select(cond, Access(tensor, (step, *rest)), other) if (
                    cond is there and step is last and (tensor, 1) in self.before
                ):
                    axes = dict(zip(axes_of(tensor), rest, strict=True))
                    if substitute(self.starts.get(tensor, ZERO), axes) is other:
                        return Access(self.before[tensor, 1], tuple(rest))
                case Access(tensor, (step, *rest)) if step is last and steps.literal:
                    if (tensor, 1) in self.before:
                        return Access(self.before[tensor, 1], tuple(rest))
                case Mul(factors) if guard in factors:
                    others = [f for f in factors if f is not guard]
                    parts = [self._at_last(f, last) for f in others]
                    free = all(map(in_bounds, (a for f in parts for a in accesses(f))))
                    # only a factor that is 0 where there are no steps makes up for the guard
                    return mul(*parts) if free and parts != others else node
                case _:
                    pass
            return node

        return replace(s, body=bottom_up(s.body, change))  # type: ignore[arg-type]

    def _at_last(self, factor: Expr, last: Subscript) -> Expr:
        match factor:
            case Access(tensor, (step, *rest)) if step is last and tensor not in self.starts:
                before = self.before.get((tensor, 1))
                return factor if before is None else Access(before, tuple(rest))
            case _:
                return factor


def axes_of(tensor: Tensor) -> tuple[Index, ...]:
    """Indices for the axes of one step of a tensor."""
    return tuple(Index(f"{tensor.name}.{PRIVATE}{k}", n) for k, n in enumerate(tensor.shape[1:]))


def _is_condition(cond: Cond, index: Index) -> bool:
    """Whether a condition is one on the step alone."""
    return free_indices(cond) == (index,) and not accesses(cond)


def _conditions(node: Tree, index: Index) -> list[Cond]:
    """The conditions on the step that a product is under."""
    factors = node.factors if isinstance(node, Mul) else ()
    guards = [f.cond for f in factors if isinstance(f, Guard)]
    return [c for c in guards if _is_condition(c, index)]


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
                body = mul(*(f for f in body.factors if f not in guards))
            left = tuple(c for c in domain if c not in outer)
            return Mul((*guards, Reduce("sum", indices, left, body)))
        case _:
            return node
