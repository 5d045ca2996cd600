r"""Formulas of a derivation, chain rules and matrix forms among them, in LaTeX for readers.

Pages set all their formulas from this: the book by KaTeX, reports and notebooks as MathML.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import assert_never

from ..derivation import Derivation
from ..derivation.fragment import drawn
from ..ir.expr import Compare, Cond, Expr, Not, Number
from ..ir.program import Define
from ..ir.subscripts import at
from ..notation.latex import Latex, derivative
from ..notation.levels import COMPARE, LOOSEST, SUM
from ..notation.matrix import MatrixForm
from ..notation.naming import USUAL, Look
from ..notation.spell import show_magnitude
from ..notation.typeset import block, broken
from ..notation.whole import LatexArrays
from .outline import Chain, Local, summed

Content = Define | Chain | Local | MatrixForm

HAT = re.compile(r"^(d?[a-zA-Z])hat$")  # a name that is read as a letter with a hat
LONGEST = 9  # signs of a fraction; a longer one is a decimal
DIGITS = 7  # of a long decimal that are shown
# How a comparison is written from right to left, and how where it fails.
MIRRORED = {"<": ">", "<=": r"\ge", "==": "=", "!=": r"\ne"}
FAILING = {"<": r"\nless", "<=": r"\nleq", "==": r"\ne", "!=": "="}
FAILING_MIRRORED = {**FAILING, "<": r"\ngtr", "<=": r"\ngeq"}


class Typeset(Latex):
    r"""LaTeX for readers: long decimals cut, variables left of constants, gradients in colour.

    ``gradients`` are the names that stand in a macro of the page's: ``\gradient{\mathrm{d}X}``.
    """

    def __init__(self, gradients: Collection[str] = (), look: Look = USUAL) -> None:
        super().__init__(look)
        self.gradients = gradients

    def pieces(self, name: str) -> tuple[str, str, str, str]:
        """The parts of a drawn name, a gradient's base in its macro."""
        accented = HAT.sub(r"\1_hat", name) if name not in self.look.names else name
        base, label, number, primes = super().pieces(accented)
        if name in self.gradients:
            base = rf"\gradient{{{base}}}"
        return base, label, number, primes

    def magnitude(self, value: Fraction) -> str:
        """A number >= 0, in about seven digits where it has many."""
        drawn = decimal(value)
        if "/" in drawn and len(drawn) > LONGEST:
            drawn = decimal(Fraction(f"{float(value):.15g}"))
        return drawn.replace("…", r"{\ldots}")

    def condition(self, node: Cond) -> tuple[str, int]:
        """A condition, a comparison with the constant on its right."""
        match node:
            case Compare(op, left, right):
                return self._compared(op, left, right, self.relations, MIRRORED)
            case Not(Compare(op, left, right)):
                return self._compared(op, left, right, FAILING, FAILING_MIRRORED)
        return super().condition(node)

    def _compared(
        self,
        op: str,
        left: Expr,
        right: Expr,
        signs: Mapping[str, str],
        mirrored: Mapping[str, str],
    ) -> tuple[str, int]:
        if isinstance(left, Number) and not isinstance(right, Number):
            left, right, signs = right, left, mirrored
        return f"{self.expr(left, SUM)} {signs[op]} {self.expr(right, SUM)}", COMPARE


def typeset(derivation: Derivation) -> Typeset:
    """How the formulas of a derivation are set: gradients in colour, no two names alike."""
    backward = derivation.backward
    found = [t.name for t in (*backward.cotangents, *backward.gradients)]
    found += [s.target.name for s in (*backward.statements, *backward.adjoints) if s.of]
    return Typeset(frozenset(found), drawn(derivation).look)


def equation(content: Content, style: Latex) -> str:
    """A formula in a style."""
    return " = ".join(sides(content, style))


def lines(content: Content, style: Latex, width: float) -> str:
    """A formula, on several lines where it is wider than ``width`` em and can be broken."""
    left, right = sides(content, style)
    wide = len(broken(f"{left} = {right}", width)) > 1
    return block("aligned", [(left, right)], width) if wide else f"{left} = {right}"


def sides(content: Content, style: Latex) -> tuple[str, str]:
    """The left and the right side of a formula in a style."""
    match content:
        case Define():
            return style.show(content.access), style.show(content.body)
        case Chain():
            return style.show(content.gradient), _chain(content, style)
        case Local(value, of, body):
            return derivative(style.show(value), [style.show(of)]), style.show(body)
        case MatrixForm():
            arrays = LatexArrays(display=style)
            return arrays.whole(content.target), arrays.text(content.value, LOOSEST)
        case _:
            assert_never(content)


def _chain(content: Chain, style: Latex) -> str:
    terms = list(map(style.show, content.given))
    for upstream, value in content.terms:
        over = ",".join(style.show(at(index)) for index in summed(value))
        local = derivative(style.show(value), [style.show(content.of)])
        sign = rf"\sum_{{{over}}} " if over else ""
        terms.append(rf"{sign}{style.show(upstream)} \, {local}")
    return " + ".join(terms)


def decimal(value: Fraction) -> str:
    """A number >= 0 for reading: what has many digits is cut, and ends in ….

    >>> decimal(Fraction("0.044715")), decimal(Fraction(1, 100000))
    ('0.044715', '1e-5')
    >>> decimal(Fraction(2**40 + 1, 2**40)), decimal(Fraction(12500000001, 125))
    ('1.000000…', '100000000…')
    """
    written = show_magnitude(value)
    mantissa, _, exponent = written.partition("e")
    if "." in mantissa and len(mantissa.lstrip("0.")) > DIGITS + 2:
        lead = len(mantissa) - len(mantissa.lstrip("0."))
        kept = max(lead + DIGITS + (lead == 0), mantissa.index("."))
        mantissa = mantissa[:kept] + "…"
    return f"{mantissa}e{exponent}" if exponent else mantissa
