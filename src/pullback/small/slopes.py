"""The derivative of one entry by another: of expressions without indices."""

from __future__ import annotations

from collections.abc import Mapping

from ..calculus.normal import expression, poly
from ..calculus.reverse import reverse
from ..ir.expr import ONE, ZERO, Access, Expr, Tensor
from ..ir.program import Define, Program
from ..ir.walk import map_tensors, tensors


def slopes(
    value: Expr,
    name: Tensor,
    symbols: tuple[Tensor, ...],
    conventions: Mapping[str, str],
    beside: Mapping[Tensor, Expr] = {},
) -> dict[Tensor, Expr]:
    """The partial derivatives of a value by each symbol that it depends on.

    ``name`` is the symbol of the value itself, ``beside`` are other values by their symbols:
    derivatives may be written in them.
    """
    used = tuple(t for t in symbols if t in tensors(value))
    if not used:
        return {}
    named = {**beside, name: value}
    inputs = tuple(dict.fromkeys(t for one in named.values() for t in tensors(one)))
    defines = tuple(Define(t, (), one, user=True) for t, one in named.items())
    backward = reverse(Program(inputs, defines, (name,)), used, dict(conventions))
    (seed,) = backward.cotangents
    known: dict[Tensor, Expr] = {seed: ONE}
    for s in (*backward.forward.statements, *backward.statements):
        if s.target not in named:
            known[s.target] = _put(s.body, known)
    pairs = zip(used, backward.gradients, strict=True)
    return {t: expression(poly(known.get(g, ZERO))) for t, g in pairs}


def _put(body: Expr, known: Mapping[Tensor, Expr]) -> Expr:
    """A body with values in the place of names."""

    def change(access: Access) -> Expr:
        return known.get(access.tensor, access)

    return map_tensors(body, change)  # type: ignore[return-value]
