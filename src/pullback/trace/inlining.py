"""Constants that became families are read no more: their values stand where they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..errors import TraceError
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
from .skeleton import show_source


def inlined(program: Program, families: Mapping[Tensor, Family]) -> Program:
    """The program without the inputs that are families; their tables are inputs in their place."""
    inputs = [_table(tensor, families) for tensor in program.inputs]
    return Program(
        tuple(tensor for tensor in inputs if tensor is not None),
        tuple(_statement(statement, families) for statement in program.statements),
        program.outputs,
        program.sizes,
    )


def _table(tensor: Tensor, families: Mapping[Tensor, Family]) -> Tensor | None:
    return families[tensor].table if tensor in families else tensor


def _statement(statement: Define, families: Mapping[Tensor, Family]) -> Define:
    change = _Inline(statement, families)
    body: Expr = bottom_up(statement.body, change.node)  # type: ignore[assignment]
    return statement if body is statement.body else replace(statement, body=body)


class _Inline:
    def __init__(self, statement: Define, families: Mapping[Tensor, Family]) -> None:
        self.statement = statement
        self.families = families

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
            raise TraceError(
                "this array of positions can't be written in the named sizes",
                where=show_source(self.statement.source),
                found=f"the constant {access.tensor.name}",
                hint="pass it to the function as an argument",
            )
        return map_indices(found.sub, _at(found, moved), lambda own: Access(own.tensor, own.subs))


def _at(found: Family, subs: Sequence[Subscript]) -> dict[Index, Subscript]:
    return dict(zip(found.indices, subs, strict=True))
