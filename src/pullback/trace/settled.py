"""Quotients of sizes that stand as subscripts, as the sizes that they are."""

from __future__ import annotations

from dataclasses import replace

from ..ir.expr import Access
from ..ir.program import Program
from ..ir.sizes import Size
from ..ir.subscripts import Lookup, Quotient, Remainder, Subscript, at, constant
from ..ir.walk import map_subscripts, nodes, subscripts


def settled(program: Program) -> Program:
    """The program, ``index(N) // 2`` as the size ``N // 2``; itself where there is none."""
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


def _is_plain(value: Subscript, divisor: Size) -> bool:
    """Whether a quotient is written as a size just so: ``(N - 1) // 2`` is ``(N + 1) // 2 - 1``."""
    rest = dict(value.const.terms).get((), 0)
    return value.const.literal is not None or 0 <= rest < (divisor.literal or 1)


def _settled(sub: Subscript) -> Subscript:
    total = constant(sub.const)
    for atom, n in sub.terms:
        match atom:
            case Quotient(value, divisor) | Remainder(value, divisor):
                inner = _settled(value)
                if not inner.terms and isinstance(atom, Quotient) and _is_plain(inner, divisor):
                    part = constant(inner.const // divisor)
                elif not inner.terms and inner.const.literal is not None and divisor.literal:
                    part = constant(inner.const.literal % divisor.literal)
                else:
                    part = at(type(atom)(inner, divisor))
            case Lookup(access):
                part = at(Lookup(Access(access.tensor, tuple(map(_settled, access.subs)))))
            case _:
                part = at(atom)
        total = total + part * n
    return total
