"""Formulas as the LaTeX that KaTeX sets in the browser."""

from __future__ import annotations

import re

from ..derivation import Derivation
from ..report.html import Hand
from ..report.mathml import text
from ..report.tex import Content, Typeset, equation, typeset

FENCE = re.compile(r"\\(left|right)([()\[\]])|[{}]")
TALL = re.compile(r"\\(frac|sum|prod|sqrt|left|max|min)")


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
    return Hand(typeset(derivation), _draw)


def _draw(content: Content, style: Typeset) -> str:
    return f'<span class="tex display">{text(breakable(equation(content, style)))}</span>'
