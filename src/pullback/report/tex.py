"""Formulas of a derivation, chain rules and matrix forms among them, in LaTeX."""

from __future__ import annotations

from typing import assert_never

from ..ir.program import Define
from ..ir.subscripts import at
from ..notation.latex import Latex, derivative
from ..notation.matrix import MatrixForm
from ..notation.whole import LatexArrays
from .outline import Chain, Local, summed


def equation(content: Define | Chain | Local | MatrixForm, style: Latex) -> str:
    """A formula in a style."""
    match content:
        case Define():
            return f"{style.show(content.access)} = {style.show(content.body)}"
        case Chain():
            return f"{style.show(content.gradient)} = {_chain(content, style)}"
        case Local(value, of, body):
            left = derivative(style.show(value), [style.show(of)])
            return f"{left} = {style.show(body)}"
        case MatrixForm():
            return LatexArrays(display=style).equation(content.target, content.value)
        case _:
            assert_never(content)


def _chain(content: Chain, style: Latex) -> str:
    terms = []
    for upstream, value in content.terms:
        over = ",".join(style.show(at(index)) for index in summed(value))
        local = derivative(style.show(value), [style.show(content.of)])
        sign = rf"\sum_{{{over}}} " if over else ""
        terms.append(rf"{sign}{style.show(upstream)} \, {local}")
    return " + ".join(terms)
