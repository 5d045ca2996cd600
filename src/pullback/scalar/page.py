"""What is shown as text, as HTML in a notebook, and as a page of its own."""

from __future__ import annotations

import textwrap
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ..report.html import style
from ..report.mathml import text
from ..report.page import frame

STYLE = """
.pullback .tables { padding: .2rem 1rem; }
.pullback .tables table { margin: 0; }
.pullback .tables td { vertical-align: baseline; }
.pullback .tables tr:last-child td { border-bottom: 0; }
.pullback .scroll .pb-curve { max-width: none; width: max(100%, 34rem); }
"""


class Page(ABC):
    """Something to print, to show in a notebook and to save."""

    @abstractmethod
    def title(self) -> str:
        """The heading."""

    @abstractmethod
    def body(self) -> str:
        """What stands below the heading, in HTML."""

    def _repr_html_(self) -> str:
        return (
            f'<article class="pullback"><style>{style()}{STYLE}</style>'
            f"<header><h1>{text(self.title())}</h1></header><section>{self.body()}</section></article>"
        )

    def html(self) -> str:
        """A page of its own that needs no network."""
        return frame(self.title(), self._repr_html_())

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the page where the name ends in .html, the plot where it ends in .svg, or else
        the text. Raises OSError."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.written(target.suffix), encoding="utf-8")

    def written(self, ending: str) -> str:
        """What stands in a file whose name has this ending."""
        if ending in (".html", ".htm"):
            return self.html()
        return f"{self}\n"


class Plot(Page):
    """A page with a plot."""

    @abstractmethod
    def svg(self) -> str:
        """The plot."""

    def written(self, ending: str) -> str:
        """What stands in a file whose name has this ending."""
        return self.svg() if ending == ".svg" else super().written(ending)


def figure_html(svg: str, caption: str = "") -> str:
    """A plot; what is wider than the screen scrolls."""
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f'<figure><div class="scroll">{svg}</div>{below}</figure>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of numbers as lines of text, to the right in their columns.

    >>> table(["h", "error"], [["1", "0.5"], ["0.1", "0.05"]])
    ['  h  error', '  1    0.5', '0.1   0.05']
    """
    columns = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(cell.rjust(wide) for cell, wide in zip(row, columns, strict=True)).rstrip()
        for row in (heads, *rows)
    ]


def table_html(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same in HTML; what is wider than the screen scrolls."""
    top = "".join(f'<th class="number">{text(head)}</th>' for head in heads)
    body = "".join(
        "<tr>" + "".join(f'<td class="number">{text(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'


def width(words: str) -> int:
    """The columns that words take in a terminal: accents take none.

    >>> width("dx\u0302")
    2
    """
    return sum(not unicodedata.combining(letter) for letter in words)


def wrapped(words: str) -> list[str]:
    """A paragraph as lines."""
    return textwrap.wrap(words, 100)
