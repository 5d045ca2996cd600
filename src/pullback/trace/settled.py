"""Quotients that were written for sizes with names, where the sizes are plain numbers."""

from __future__ import annotations

from dataclasses import replace

from ..ir.expr import Access
from ..ir.program import Program
from ..ir.subscripts import Lookup, Quotient, Remainder, Subscript, at, constant
from ..ir.walk import map_subscripts, nodes, subscripts


def settled(program: Program) -> Program:
    """The program, ``5 // 2`` as 2; itself where there is none."""
    open_ = [
        any(sub is not _settled(sub) for node in nodes(s.body) for sub in subscripts(node))
        for s in program.statements
    ]
    if not any(open_):
        return program
    statements = (
        replace(s, body=map_subscripts(s.body, _settled)) if is_open else s  # type: ignore[arg-type]
        for s, is_open in zip(program.statements, open_, strict=True)
    )
    return replace(program, statements=tuple(statements))


def _settled(sub: Subscript) -> Subscript:
    total = constant(sub.const)
    for atom, n in sub.terms:
        match atom:
            case Quotient(value, divisor) | Remainder(value, divisor):
                inner = _settled(value)
                whole, by = inner.const.literal, divisor.literal
                if not inner.terms and whole is not None and by:
                    found = whole // by if isinstance(atom, Quotient) else whole % by
                    part = constant(found)
                else:
                    part = at(type(atom)(inner, divisor))
            case Lookup(access):
                part = at(Lookup(Access(access.tensor, tuple(map(_settled, access.subs)))))
            case _:
                part = at(atom)
        total = total + part * n
    return total
