"""A backward pass as a plan: which forward values are saved, and how each statement is made."""

from __future__ import annotations

from collections.abc import Sequence

from ..calculus.step import Backward
from ..errors import PullbackError
from ..ir.expr import Add, Tensor
from ..ir.program import Define
from ..ir.recurrence import direction, groups, is_recurrent
from ..ir.walk import tensors
from .ops import Build, Let, Loop, Op, Plan, Procedure
from .spread import reads_quotients, spread_of, ties
from .statements import live_statements, residuals_of, without_copies


def build(backward: Backward) -> Plan:
    """The plan of a backward pass and its forward pass."""
    statements = live_statements(backward.statements, backward.gradients)
    saved = tuple(residuals_of(statements, backward))
    outputs = backward.program.outputs
    kept = live_statements(backward.forward.statements, [*outputs, *saved])
    return Plan(
        procedure("forward", backward.program.inputs, kept, outputs, saved),
        procedure(
            "backward",
            (*backward.cotangents, *saved),
            statements,
            backward.gradients,
            lenient=True,
        ),
        saved,
    )


def procedure(
    name: str,
    inputs: Sequence[Tensor],
    statements: Sequence[Define],
    results: Sequence[Tensor],
    saved: Sequence[Tensor] = (),
    *,
    lenient: bool = False,
) -> Procedure:
    """Statements as a procedure."""
    statements = without_copies(statements, (*results, *saved))
    ops = tuple(map(_op, groups(statements)))
    return Procedure(name, tuple(inputs), ops, tuple(results), lenient)


def _op(group: tuple[Define, ...]) -> Op:
    if is_recurrent(group):
        turn = direction(group)
        if not turn:
            names = ", ".join(s.target.name for s in group)
            raise PullbackError(
                f"{names} need each other, and neither the step before nor the step after comes "
                "first",
                where=names,
            )
        return Loop(group, turn)
    (define,) = group
    return _built(define) or Let(define)


def _built(define: Define) -> Build | None:
    """A statement that puts values at computed subscripts, where its elements would be compared
    with each value, or be read at quotients of subscripts."""
    if define.target.kind != "float" or not (ties(define) or reads_quotients(define)):
        return None
    body = define.body
    if define.scatter is not None and set(tensors(define.scatter)) <= set(tensors(body)):
        body = define.scatter
    terms = body.terms if isinstance(body, Add) else (body,)
    spreads = [spread_of(term, define.indices) for term in terms]
    parts = tuple(s for s in spreads if s is not None)
    if not parts:
        return None
    rest = tuple(term for term, s in zip(terms, spreads, strict=True) if s is None)
    return Build(define, rest, parts)
