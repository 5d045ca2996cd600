"""Forward mode, by the same partial derivatives: tangents of the inputs in, tangents of the
outputs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from ..ir.expr import Access, Tensor, number
from ..ir.program import Define, Program, live
from ..ir.recurrence import in_order, recurrent, unpinned
from .eliminate import eliminate
from .linear import Linear
from .normal import Term, collect, expression, term


def pushforward(
    program: Program,
    wrt: Sequence[Tensor] | None = None,
    conventions: Mapping[str, str] = {},
) -> Program:
    """The program of the outputs' tangents.

    Inputs: the program's, then one tangent ``t_X`` per tensor X of ``wrt`` (default: all float
    inputs), of X's shape and dtype. Outputs: one tangent per float output, of its shape.
    """
    lin = Linear(program, wrt, conventions)
    tangents = {t: Tensor(lin.name(f"t_{t.name}"), t.shape, t.dtype) for t in lin.wrt}
    active = [s for s in lin.chain if s.target in lin.active]
    for s in active:  # a recurrence reads the tangents of later statements
        tangents[s.target] = Tensor(lin.name(f"t_{s.target.name}"), s.target.shape, s.target.dtype)
    statements = [*lin.flat, *lin.later]
    steps = {tangents[t] for t in recurrent(lin.flat) if t in tangents}
    for statement in active:
        target = statement.target
        terms: list[Term | None] = []
        for found in lin.occurrences(statement):
            access = Access(tangents[found.access.tensor], found.access.subs)
            terms.append(
                term(
                    found.partial.coef,
                    found.partial.bound,
                    found.partial.guards,
                    (*found.partial.factors, (access, Fraction(1))),
                )
            )
        body = expression(collect(eliminate(t) for t in terms if t is not None))
        made = unpinned(Define(tangents[target], statement.indices, body, statement.source), steps)
        statements.extend(lin.extra.get(target, []))
        statements.append(lin.lettered(made, target))
    outputs = []
    for out in program.outputs:
        if out.kind != "float":
            continue
        if out not in tangents:
            zero = Tensor(lin.name(f"t_{out.name}"), out.shape, out.dtype)
            statements.append(lin.lettered(Define(zero, lin.axes(out), number(0)), out))
            tangents[out] = zero
        outputs.append(tangents[out])
    inputs = (*program.inputs, *(tangents[t] for t in lin.wrt))
    lettered = tuple(
        lin.lettered(s, s.target) if s.target in lin.letters else s for s in in_order(statements)
    )
    return live(Program(inputs, lettered, tuple(outputs), program.sizes))
