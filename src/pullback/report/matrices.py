"""MathML of formulas in whole matrices."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import assert_never

from ..ir.expr import Access, number
from ..ir.subscripts import at
from ..notation.arrays import (
    Diagonal,
    DiagonalOf,
    Elementwise,
    Hadamard,
    Identity,
    Indicator,
    Matrix,
    Ones,
    Plus,
    Product,
    Raised,
    Result,
    Scalar,
    Trace,
    Transposed,
    Whole,
)
from ..notation.matrix import MatrixForm
from ..notation.readable import readable
from .mathml import (
    ATOM,
    COMPARISONS,
    MIRRORED,
    PRODUCT,
    SUM,
    MathML,
    commas,
    fenced,
    joined,
    op,
    parens,
    prefix,
    row,
    text,
)


class Matrices:
    """A printer of MathML for matrices; ``elements`` draws names and scalars."""

    def __init__(self, elements: MathML) -> None:
        self.elements = elements

    def equation(self, form: MatrixForm) -> str:
        """``target = value``."""
        return row(self.draw(form.target), op("="), self.draw(form.value))

    def draw(self, node: Matrix, outer: int = SUM) -> str:
        """A formula, in parentheses where it binds less than ``outer``."""
        strength, drawn = self._draw(node)
        return parens(drawn) if strength < outer else drawn

    def _draw(self, node: Matrix) -> tuple[int, str]:
        match node:
            case Whole(tensor, _, _, batch):
                return ATOM, self.elements.expr(Access(tensor, tuple(map(at, batch))))
            case Ones():
                return ATOM, "<mn>&#x1d7cf;</mn>"
            case Identity():
                return ATOM, "<mi>I</mi>"
            case Scalar(value):
                return ATOM, self.elements.expr(readable(value), ATOM)
            case Transposed(inner):
                return (
                    ATOM,
                    f'<msup>{self.draw(inner, ATOM)}<mi mathvariant="normal">&#x22a4;</mi></msup>',
                )
            case Product((Scalar(value), first, *others)) if value is number(-1):
                drawn = [self._factor(f) for f in (first, *others)]
                return PRODUCT, row(prefix("−"), joined(drawn, _THIN))
            case Product(factors):
                return PRODUCT, joined([self._factor(f) for f in factors], _THIN)
            case Hadamard(factors):
                return PRODUCT, joined([self._factor(f) for f in factors], op("∘"))
            case Plus(terms):
                return SUM, self._plus(terms)
            case Diagonal(inner) | DiagonalOf(inner):
                return ATOM, self._call("diag", [inner])
            case Trace(inner):
                return ATOM, self._call("tr", [inner])
            case Elementwise(function, args):
                return ATOM, self._call(function, args)
            case Result(operation, operands):
                return PRODUCT, self.elements.result(operation, [self.draw(x) for x in operands])
            case Raised(inner, exponent):
                return ATOM, self._raised(inner, exponent)
            case Indicator(name, left, right):
                return ATOM, fenced("[", self._compared(name, left, right), "]")
            case _:
                assert_never(node)

    def _compared(self, name: str, left: Matrix, right: Matrix) -> str:
        if isinstance(left, Scalar) and not isinstance(right, Scalar):
            return row(self.draw(right), op(MIRRORED[name]), self.draw(left))
        return row(self.draw(left), op(COMPARISONS[name]), self.draw(right))

    def _factor(self, node: Matrix) -> str:
        """A factor; another kind of product in it is set apart."""
        return self.draw(node, ATOM if isinstance(node, Hadamard | Product | Plus) else PRODUCT)

    def _plus(self, terms: Sequence[tuple[int, Matrix]]) -> str:
        parts: list[str] = []
        for sign, term in terms:
            if sign < 0:
                parts.append(op("−") if parts else prefix("−"))
            elif parts:
                parts.append(op("+"))
            parts.append(self.draw(term, PRODUCT))
        return row(*parts)

    def _call(self, function: str, args: Sequence[Matrix]) -> str:
        inside = row(*commas([self.draw(arg) for arg in args]))
        return row(f"<mi>{text(function)}</mi>", "<mo>&#x2061;</mo>", parens(inside))

    def _raised(self, inner: Matrix, exponent: Fraction) -> str:
        """Every element to a power."""
        drawn = f"{exponent.numerator}" if exponent.denominator == 1 else str(exponent)
        shown = row(op("∘"), f"<mn>{drawn.replace('-', '−')}</mn>")
        return f"<msup>{self.draw(inner, ATOM)}{shown}</msup>"


_THIN = '<mspace width="0.17em"/>'
