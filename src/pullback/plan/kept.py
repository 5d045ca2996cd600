"""Values that the forward pass makes on its way, and the backward pass again, get a name.

Of ``Y = S/sqrt(q)`` the forward pass has the root, of ``sum(k) U[u[l],k]*t[l,k]`` the rows of U.
Where nothing is to be computed again they are saved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ..calculus.flatten import dtype_of
from ..calculus.normal import in_bounds
from ..calculus.share import value_key
from ..calculus.step import Backward
from ..ir.expr import (
    Access,
    Add,
    And,
    Apply,
    Arg,
    Cond,
    Expr,
    Guard,
    Mul,
    Or,
    Power,
    Reduce,
    Select,
    Tensor,
)
from ..ir.magnitudes import is_arithmetic, is_whole
from ..ir.program import Define, computing
from ..ir.recurrence import in_order, recurrent
from ..ir.subscripts import at
from ..ir.walk import (
    Tree,
    accesses,
    bottom_up,
    children,
    free_indices,
    lookups,
    nodes,
    rebuild,
    substitute,
)
from .facts import Facts

ROUNDS = 3  # what reads a value that got a name may have one itself


def parts_kept(backward: Backward) -> Backward:
    """The backward pass reading such values, and the forward pass with names for them.

    What a condition chooses has none: the forward pass makes it where the condition holds.
    """
    for _ in range(ROUNDS):
        before, backward = backward, _read_where_made(backward)
        if backward is before:
            break
    return backward


def asks(backward: Backward) -> bool:
    """Whether the backward pass asks conditions."""
    return any(isinstance(n, Cond) for s in backward.statements for n in nodes(s.body))


def _read_where_made(backward: Backward) -> Backward:
    forward, statements = backward.forward, backward.statements
    loops = recurrent([*forward.statements, *statements])
    again = {
        value_key(part)
        for s in statements
        if s.target not in loops
        for part, _ in _parts(s.body)
        if _is_kept(part)
    }
    if not again:
        return backward
    if any(isinstance(key, Power) for key in again):
        again -= _in_turns(backward)
    named = {*forward.inputs, *(s.target for s in (*forward.statements, *statements))}
    names = _Names({t.name for t in named})
    known: dict[Tree, Define] = {}
    for s in computing(forward.statements, forward.outputs):
        for part, held in _parts(s.body) if s.target not in loops else ():
            if held or isinstance(part, Cond) or not _is_kept(part) or not in_bounds(part):
                continue
            key = value_key(part)
            if key in again and key not in known:
                known[key] = names.define(part, s)
    if not known:
        return backward
    reading = _Reading(known)
    every = [*(d for d in known.values() if d.target not in named), *forward.statements]
    made = [s if s.target in loops else reading.statement(s) for s in every]
    out = [s if s.target in loops else reading.statement(s) for s in statements]
    return replace(
        backward,
        forward=replace(forward, statements=tuple(in_order(made))),
        statements=_without_copies(out, {*backward.gradients}),
    )


def _in_turns(backward: Backward) -> set[Tree]:
    """The powers in products of several factors that may over- or underflow: these are multiplied
    in turns, a power one factor at a time."""
    facts = Facts()
    facts.learn([*backward.forward.statements, *backward.statements])
    found: set[Tree] = set()
    for s in backward.statements:
        for node, _ in _parts(s.body):
            if isinstance(node, Mul):
                bases = [f.base if isinstance(f, Power) else f for f in node.factors]
                if sum(map(bool, map(facts.how_infinite, bases))) > 1:
                    powers = [f for f in node.factors if isinstance(f, Power)]
                    found |= {value_key(_divisor(f) or f) for f in powers}
    return found


def _without_copies(statements: Sequence[Define], kept: Collection[Tensor]) -> tuple[Define, ...]:
    """The statements, those left out that only read what has a name now."""
    copies: dict[Tensor, Define] = {}

    def change(node: Tree) -> Tree:
        if isinstance(node, Access) and node.tensor in copies:
            define = copies[node.tensor]
            return substitute(define.body, dict(zip(define.indices, node.subs, strict=True)))
        return node

    out = []
    for s in statements:
        if copies:
            body = bottom_up(s.body, change)
            scatter = None if s.scatter is None else bottom_up(s.scatter, change)
            s = replace(s, body=body, scatter=scatter)  # type: ignore[arg-type]
        if (
            s.target not in kept
            and isinstance(s.body, Access)
            and set(s.indices) == set(free_indices(s.body))
            and not any(map(lookups, s.body.subs))
        ):
            copies[s.target] = s
        else:
            out.append(s)
    return tuple(out)


def _parts(node: Tree, held: bool = False) -> Iterator[tuple[Tree, bool]]:
    """The values in an expression, outer ones first, and whether they are computed only where a
    condition holds."""
    yield node, held
    if (divisor := _divisor(node)) is not None:
        yield divisor, held
    inside = held or _holds(node)
    for child in children(node):
        yield from _parts(child, held if isinstance(child, Cond | Guard) else inside)


def _holds(node: Tree) -> bool:
    """Whether there are conditions without which parts of a node aren't computed."""
    match node:
        case Mul(factors):
            return any(isinstance(f, Guard) for f in factors)
        case Reduce(_, _, domain, _) | Arg(_, _, _, domain, _):
            return bool(domain)
    return isinstance(node, Select | And | Or)


def _is_kept(node: Tree) -> bool:
    """Whether a node is an array that takes more than a read: a sum, a power, a function, a
    gather."""
    wraps = is_arithmetic(node) and is_whole(node)  # type: ignore[arg-type]
    if wraps or not free_indices(node):  # integers of a float are floats in a derivative
        return False
    match node:
        case Access(_, subs):
            return any(map(lookups, subs))
        case Power(_, exponent):
            return exponent > 0
    return isinstance(node, Apply | Add) and bool(accesses(node))


class _Names:
    """New names beside those that are taken."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.count = 0

    def define(self, part: Expr, about: Define) -> Define:
        """The statement of the forward pass that makes a part of a statement: it itself, or a new
        one."""
        free = free_indices(part)
        if part is about.body and set(free) == set(about.indices):
            return about
        while not self.count or f"t{self.count}" in self.taken:
            self.count += 1
        self.taken.add(f"t{self.count}")
        target = Tensor(f"t{self.count}", tuple(i.extent for i in free), dtype_of(part))
        return Define(target, free, part, about.source, False)


@dataclass(frozen=True)
class _Reading:
    """Reads of values that have names, by what they are."""

    known: Mapping[Tree, Define]

    def statement(self, define: Define) -> Define:
        """A statement with the names in place of the values, but for its own."""
        body = self.read(define.body, define)
        if body is define.body:
            return define
        scatter = None if define.scatter is None else self.read(define.scatter, define)
        return replace(define, body=body, scatter=scatter)  # type: ignore[arg-type]

    def read(self, node: Tree, within: Define) -> Tree:
        """A node with names in place of the values in it."""
        if (name := self._name(node, within)) is not None:
            return name
        if (divisor := _divisor(node)) is not None:
            name = self._name(divisor, within)
            if name is not None:
                return Power(name, Fraction(-1))
        return rebuild(node, tuple(self.read(child, within) for child in children(node)))

    def _name(self, node: Tree, within: Define) -> Access | None:
        define = self.known.get(value_key(node)) if _is_kept(node) else None
        if define is None or define.target is within.target:
            return None
        places = dict(zip(free_indices(define.body), map(at, free_indices(node)), strict=True))
        return Access(define.target, tuple(places[i] for i in define.indices))


def _divisor(node: Tree) -> Power | None:
    """What a division by a root divides by; None where it is a plain value. A division by a square
    is two, since the square may underflow."""
    match node:
        case Power(base, exponent) if -1 < exponent < 0:
            return Power(base, -exponent)
    return None
