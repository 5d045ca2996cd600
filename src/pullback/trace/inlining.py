"""Constants that became families are read no more: their values stand where they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..ir.expr import Access, Divides, Expr, IndexOf, Inside, Tensor, Truth, Zero
from ..ir.program import Define, Program
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    at,
    constant,
    map_indices,
)
from ..ir.walk import Tree, bottom_up, substitute
from .families import Family


def inlined(program: Program, families: Mapping[Tensor, Family]) -> Program:
    """The program without the inputs that are families; their tables are inputs in their place.

    Families of positions that are no plain subscripts become statements.
    """
    inputs = [_table(tensor, families) for tensor in program.inputs]
    looked_up: dict[Tensor, None] = {}
    statements = [_statement(s, families, looked_up) for s in program.statements]
    positions = [_positions(tensor, families[tensor]) for tensor in looked_up]
    return Program(
        tuple(tensor for tensor in inputs if tensor is not None),
        (*positions, *statements),
        program.outputs,
        program.sizes,
    )


def _table(tensor: Tensor, families: Mapping[Tensor, Family]) -> Tensor | None:
    return families[tensor].table if tensor in families else tensor


def _positions(tensor: Tensor, found: Family) -> Define:
    return Define(tensor, found.indices, found.value, user=False)


def _statement(
    statement: Define, families: Mapping[Tensor, Family], looked_up: dict[Tensor, None]
) -> Define:
    change = _Inline(families, looked_up)
    body: Expr = bottom_up(statement.body, change.node)  # type: ignore[assignment]
    return statement if body is statement.body else replace(statement, body=body)


class _Inline:
    def __init__(self, families: Mapping[Tensor, Family], looked_up: dict[Tensor, None]) -> None:
        self.families = families
        self.looked_up = looked_up

    def node(self, node: Tree) -> Tree:
        match node:
            case Access(tensor, subs):
                moved = tuple(map(self.sub, subs))
                found = self.families.get(tensor)
                if found is None or found.cond is not None:
                    return Access(tensor, moved)
                return substitute(found.value, _at(found, moved))
            case Truth(Access(tensor, subs)) if tensor in self.families:
                found = self.families[tensor]  # its own access was left as it was
                cond = Truth(found.value) if found.cond is None else found.cond
                return substitute(cond, _at(found, subs))
            case IndexOf(sub):
                return IndexOf(self.sub(sub))
            case Zero(sub):
                return Zero(self.sub(sub))
            case Inside(sub, extent):
                return Inside(self.sub(sub), extent)
            case Divides(divisor, sub):
                return Divides(divisor, self.sub(sub))
            case _:
                return node

    def sub(self, sub: Subscript) -> Subscript:
        total = constant(sub.const)
        for atom, n in sub.terms:
            match atom:
                case Index():
                    part = at(atom)
                case Quotient(value, divisor):
                    part = self.sub(value) // divisor
                case Remainder(value, divisor):
                    part = self.sub(value) % divisor
                case Lookup(access):
                    part = self.lookup(access)
            total = total + part * n
        return total

    def lookup(self, access: Access) -> Subscript:
        moved = tuple(map(self.sub, access.subs))
        found = self.families.get(access.tensor)
        if found is None:
            return at(Lookup(Access(access.tensor, moved)))
        if found.sub is None:
            self.looked_up[access.tensor] = None
            return at(Lookup(Access(access.tensor, moved)))
        return map_indices(found.sub, _at(found, moved), lambda own: Access(own.tensor, own.subs))


def _at(found: Family, subs: Sequence[Subscript]) -> dict[Index, Subscript]:
    return dict(zip(found.indices, subs, strict=True))
