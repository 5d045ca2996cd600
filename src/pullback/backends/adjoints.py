"""What one statement sends back to the values that it reads: upstream times local, summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from ..calculus.differentiate import Occurrence, adjoint_terms
from ..calculus.eliminate import eliminate, sift
from ..calculus.linear import Linear
from ..calculus.normal import collect, expression, replaced, term
from ..ir.expr import Access, Expr, Tensor
from ..ir.program import Define
from ..ir.subscripts import at, constant
from ..ir.walk import substitute


def on_axes(define: Define, linear: Linear) -> Define:
    """The statement on its target's own axes."""
    axes = linear.axes(define.target)
    moved = {i: at(j) for i, j in zip(define.indices, axes, strict=True)}
    return replace(define, indices=axes, body=substitute(define.body, moved))  # type: ignore[arg-type]


def sent_back(
    define: Define, adjoint: Tensor, found: Sequence[Occurrence], linear: Linear
) -> tuple[Expr, Expr]:
    """What a statement on its axes sends back to one tensor, and the same as a scatter.

    ``adjoint`` is the gradient of the statement's value; ``found`` are occurrences of the tensor.
    Both results are bodies on the axes of that tensor.
    """
    seed = term(Fraction(1), (), (), ((Access(adjoint, define.access.subs), Fraction(1)),))
    assert seed is not None
    lone = {i: constant(0) for i in define.indices if i.extent.literal == 1}
    wide = [i for i in define.indices if i not in lone]
    made = [
        replaced(part, lone)
        for one in found
        for part in adjoint_terms((seed,), one, linear.axes(one.access.tensor), wide)
    ]
    sifted = collect(sift(part) for part in made if part is not None)
    return expression(collect(map(eliminate, sifted))), expression(sifted)
