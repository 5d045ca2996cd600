"""Upstream gradients that are 1: what a backward pass is where its result is a single number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ..ir.expr import ONE, Access, Expr, Mul, Number, Opaque, Tensor, mul
from ..ir.program import Define, reads
from ..ir.recurrence import recurrent
from ..ir.walk import Tree, bottom_up, map_tensors, nodes


def with_ones(
    statements: Sequence[Define], ones: Collection[Tensor], kept: Collection[Tensor]
) -> list[Define]:
    """The statements with 1 in place of what the tensors ``ones`` hold, without products by 1.

    Statements that are constants then are put in place where they are read, but those of ``kept``.
    An opaque operation reads tensors only: what one reads stays.

    >>> from ..notation.parse import parse
    >>> from ..notation.plain import show
    >>> program = parse("da[i] = dL[]*2\\ndx[i] = da[i]*x[i]")
    >>> print(*map(show, with_ones(program.statements, program.inputs[:1], program.outputs)))
    dx[i] = 2*x[i]
    """
    constants: dict[Tensor, Expr] = dict.fromkeys(ones, ONE)
    stay = {*kept, *recurrent(statements)}
    for s in statements:
        for node in nodes(s.body):
            if isinstance(node, Opaque):
                stay.update(node.operands)

    def constant(access: Access) -> Expr:
        return constants.get(access.tensor, access)

    out = []
    for s in statements:
        if constants.keys().isdisjoint(reads(s)):
            out.append(s)
            continue
        body: Expr = bottom_up(map_tensors(s.body, constant), _multiplied)  # type: ignore[assignment]
        if isinstance(body, Number) and s.target not in stay:
            constants[s.target] = body
        else:
            out.append(replace(s, body=body, scatter=None))
    return out


def _multiplied(tree: Tree) -> Tree:
    """A product without factors of 1, its numbers multiplied."""
    if not isinstance(tree, Mul):
        return tree
    number = ONE
    rest: list[Expr] = []
    for factor in tree.factors:
        if isinstance(factor, Number) and not factor.special:
            number = Number(number.value * factor.value, "")
        else:
            rest.append(factor)
    return mul(*([number] if number is not ONE or not rest else []), *rest)
