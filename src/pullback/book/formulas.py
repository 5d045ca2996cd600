"""Formulas as the LaTeX that KaTeX sets in the browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from ..derivation import Derivation
from ..ir.expr import Compare, Cond, Expr, Not, Number
from ..notation.latex import Latex
from ..notation.levels import COMPARE, SUM
from ..report.html import Content, Hand, roles
from ..report.mathml import decimal, text
from ..report.tex import equation

HAT = re.compile(r"^(d?[a-zA-Z])hat$")  # a name that is read as a letter with a hat
FENCE = re.compile(r"\\(left|right)([()\[\]])|[{}]")
TALL = re.compile(r"\\(frac|sum|prod|sqrt|left|max|min)")
LONGEST = 9  # signs of a fraction; a longer one is a decimal
# How a comparison is written from right to left, and how where it fails.
MIRRORED = {"<": ">", "<=": r"\ge", "==": "=", "!=": r"\ne"}
FAILING = {"<": r"\nless", "<=": r"\nleq", "==": r"\ne", "!=": "="}
FAILING_MIRRORED = {**FAILING, "<": r"\ngtr", "<=": r"\ngeq"}


class Typeset(Latex):
    r"""LaTeX for readers: long decimals cut, variables left of constants, names with classes.

    ``classes`` are macros of the book's, by name: ``\gradient{\mathrm{d}X}``.
    """

    def __init__(self, classes: Mapping[str, str]) -> None:
        super().__init__()
        self.classes = classes

    def pieces(self, name: str) -> tuple[str, str, str, str]:
        """The parts of a drawn name, its base in the macro of its class."""
        accented = HAT.sub(r"\1_hat", name) if name not in self.look.names else name
        base, label, number, primes = super().pieces(accented)
        if name in self.classes:
            base = rf"\{self.classes[name]}{{{base}}}"
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


def prose(words: str) -> str:
    """Text of a docstring or a note, names between backticks as code.

    >>> prose("``at`` < 2")
    '<code>at</code> &lt; 2'
    """
    return re.sub(r"(`+)([^`]+)\1", r"<code>\2</code>", text(words))


def breakable(tex: str) -> str:
    r"""The formula with fences of a fixed size: it may break inside those of its outermost level.

    >>> breakable(r"a \left(b + \frac{c}{d}\right)")
    'a \\Bigl(b + \\frac{c}{d}\\Bigr)'
    """
    out, start, depth = "", 0, 0
    opened: list[tuple[int, str]] = []  # where the fences that are not closed yet begin
    for match in FENCE.finditer(tex):
        kind, sign = match[1], match[2]
        if kind is None:
            depth += 1 if match[0] == "{" else -1
            if tex[match.start() - 1 : match.start()] == "\\":  # a brace that is drawn
                depth -= 1 if match[0] == "{" else -1
            continue
        if depth:
            continue
        if kind == "left":
            out += tex[start : match.start()]
            opened.append((len(out), sign))
        elif opened:
            out += tex[start : match.start()]
            at, first = opened.pop()
            size = "Big" if TALL.search(out[at:]) else "big"
            out = f"{out[:at]}\\{size}l{first}{out[at:]}\\{size}r{sign}"
        start = match.end()
    return tex if opened else out + tex[start:]


def inline(tex: str) -> str:
    """A formula within a line of text."""
    return f'<span class="tex">{text(tex)}</span>'


def display(tex: str) -> str:
    """A formula on a line of its own, which breaks where it is too wide."""
    return f'<div class="set"><span class="tex display">{text(breakable(tex))}</span></div>'


def by_katex(derivation: Derivation) -> Hand:
    """A hand that writes formulas for KaTeX."""
    return Hand(roles(derivation), _draw)


def _draw(content: Content, classes: Mapping[str, str]) -> str:
    tex = breakable(equation(content, Typeset(classes)))
    return f'<span class="tex display">{text(tex)}</span>'
