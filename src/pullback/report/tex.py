"""A derivation as a LaTeX document: forward pass, backward pass, every walk as an align block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import assert_never

from ..derivation import Derivation
from ..ir.program import Define
from ..ir.subscripts import at
from ..notation.latex import Latex
from ..notation.letters import COMMANDS, GREEK
from ..notation.matrix import MatrixForm
from ..notation.whole import LatexArrays
from .outline import (
    Block,
    Chain,
    Formula,
    Line,
    Listing,
    Prose,
    Table,
    Walk,
    outline,
    summed,
    title,
)
from .text import spell

PREAMBLE = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb}
\usepackage[margin=2.5cm]{geometry}
\allowdisplaybreaks
"""

_SPECIAL = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **dict.fromkeys("\u2018\u2019", "'"),
    **{c: f"${c}$" for c in "<>|"},
    **{c: f"$^{n}$" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{c: f"$_{n}$" for n, c in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{sign: rf"$\{COMMANDS.get(name, name)}$" for name, sign in GREEK.items()},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "∂": r"$\partial$",
    "·": r"$\cdot$",
    "∘": r"$\circ$",
    "×": r"$\times$",
    "\U0001d7cf": r"$\mathbf{1}$",
    "ᵀ": r"$^\top$",
    "√": r"$\surd$",
    "Σ": r"$\Sigma$",
    "⟨": r"$\langle$",
    "⟩": r"$\rangle$",
    "✓": r"$\checkmark$",
    "✗": r"$\times$",
    "…": r"\dots{}",
    "≤": r"$\leq$",
    "\u2212": "$-$",
    "\u2013": "--",
    "“": "``",
    "”": "''",
    "\u0302": r"\textasciicircum{}",
}


def document(derivation: Derivation) -> str:
    """A whole LaTeX document, to be set by pdflatex."""
    lines = [PREAMBLE + r"\begin{document}", rf"\section*{{{words(title(derivation))}}}"]
    for section in outline(derivation):
        lines.append(rf"\subsection*{{{words(section.title)}}}")
        group: list[Formula] = []
        for block in section.blocks:
            if isinstance(block, Formula):
                group.append(block)
                continue
            lines += [*_formulas(group), *_block(block)]
            group = []
        lines += _formulas(group)
    return "\n".join([*lines, r"\end{document}"]) + "\n"


def words(text: str) -> str:
    """Text in which nothing is a command."""
    return re.sub(
        r"[^\x20-\x7e]|[\\&%$#_{}~^<>|]", lambda m: _SPECIAL.get(m[0], _other(m[0])), text
    )


def _other(character: str) -> str:
    """A letter that pdflatex may not know, by its number."""
    return rf"\texttt{{U+{ord(character):04X}}}" if character.isprintable() else " "


def _formulas(group: list[Formula]) -> list[str]:
    if not group:
        return []
    return [align([_equation(block.content) for block in group])]


def align(lines: list[str]) -> str:
    """Lines, each with its ``&``, as an ``align*`` block."""
    return "\\begin{align*}\n  " + " \\\\\n  ".join(lines) + "\n\\end{align*}"


def equation(
    content: Define | Chain | MatrixForm, style: Latex | None = None, gives: str = "="
) -> str:
    """A formula in a style, with the sign ``gives`` between its two sides."""
    style = style or Latex()
    match content:
        case Define():
            return f"{style.show(content.access)} {gives} {style.show(content.body)}"
        case Chain():
            return f"{style.show(content.gradient)} {gives} {_chain(content, style)}"
        case MatrixForm():
            whole = LatexArrays(display=style).equation(content.target, content.value)
            return whole.replace("=", gives, 1)
        case _:
            assert_never(content)


def _equation(content: Define | Chain | MatrixForm) -> str:
    return equation(content, gives="&=")


def _chain(content: Chain, style: Latex) -> str:
    terms = []
    for upstream, value in content.terms:
        over = ",".join(style.show(at(index)) for index in summed(value))
        local = rf"\frac{{\partial {style.show(value)}}}{{\partial {style.show(content.of)}}}"
        sign = rf"\sum_{{{over}}} " if over else ""
        terms.append(rf"{sign}{style.show(upstream)} \, {local}")
    return " + ".join(terms)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Prose(text):
            yield words(text) + "\n"
        case Listing(source, label):
            yield words(label) + ":"
            yield _verbatim(source)
        case Table():
            yield from _table(block)
        case Walk():
            yield from _walk(block)
        case Formula():
            yield align([_equation(block.content)])


def _verbatim(source: str) -> str:
    """Source as it is; nothing in it can end the block."""
    safe = source.rstrip().encode("ascii", "backslashreplace").decode()
    safe = "".join(c if c.isprintable() or c == "\n" else " " for c in safe)
    return (
        "\\begin{verbatim}\n"
        + safe.replace("\\end{verbatim}", "\\end {verbatim}")
        + "\n\\end{verbatim}"
    )


def _walk(block: Walk) -> Iterator[str]:
    yield rf"\paragraph{{{words(block.gradient.name)}, the gradient of {words(block.of.name)}}}"
    yield align([_lined(line) for line in block.lines])


def _lined(line: Line) -> str:
    return rf"{_equation(line.content)} && \text{{({words(line.name)})}}"


def _table(block: Table) -> Iterator[str]:
    columns = "".join("r" if k in block.numbers else "l" for k in range(len(block.head)))
    yield rf"\medskip\noindent\begin{{tabular}}{{{columns}}}"
    yield " & ".join(rf"\textbf{{{words(cell)}}}" for cell in block.head) + r" \\ \hline"
    for row in block.rows:
        yield " & ".join(words(spell(cell)) for cell in row) + r" \\"
    yield r"\end{tabular}\medskip" + "\n"
