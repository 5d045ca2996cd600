"""Formulas as the LaTeX that KaTeX sets in the browser."""

from __future__ import annotations

from collections.abc import Mapping

from ..derivation import Derivation
from ..notation.latex import Latex
from ..report.html import Content, Hand, roles
from ..report.mathml import text
from ..report.tex import equation


class Coloured(Latex):
    r"""LaTeX in which names have classes: ``\gradient{\mathrm{d}X}``, a macro of the book's."""

    def __init__(self, classes: Mapping[str, str]) -> None:
        super().__init__({})
        self.classes = classes

    def pieces(self, name: str) -> tuple[str, str, str, str]:
        """The parts of a drawn name, its base in the macro of its class."""
        base, label, number, primes = super().pieces(name)
        if name in self.classes:
            base = rf"\{self.classes[name]}{{{base}}}"
        return base, label, number, primes


def inline(tex: str) -> str:
    """A formula within a line of text."""
    return f'<span class="tex">{text(tex)}</span>'


def display(tex: str) -> str:
    """A formula on a line of its own, which scrolls where it is too wide."""
    return f'<div class="set"><span class="tex display">{text(tex)}</span></div>'


def by_katex(derivation: Derivation) -> Hand:
    """A hand that writes formulas for KaTeX."""
    return Hand(roles(derivation), _draw)


def _draw(content: Content, classes: Mapping[str, str]) -> str:
    tex = equation(content, Coloured(classes).show)
    return f'<span class="tex display">{text(tex)}</span>'
