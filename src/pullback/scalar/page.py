"""What is shown as text, as HTML in a notebook, and as a page of its own."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ..graph.saved import check_text
from ..report.html import style
from ..report.mathml import text
from ..report.page import frame
from ..text import padded, width

STYLE = """
.pullback .tables { padding: .2rem 1rem; }
.pullback .tables table { margin: 0; }
.pullback .tables td { vertical-align: baseline; }
.pullback .tables tr:last-child td { border-bottom: 0; }
.pullback .scroll .pb-curve { max-width: none; width: max(100%, 34rem); }
"""
WIDTH = 100
SUPERSCRIPTS = str.maketrans("0123456789.", "⁰¹²³⁴⁵⁶⁷⁸⁹·")


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
        the text. Raises OSError, and ArgumentError for other pictures."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.written(target.suffix), encoding="utf-8")

    def written(self, ending: str) -> str:
        """What stands in a file whose name has this ending."""
        if ending in (".html", ".htm"):
            return self.html()
        check_text(ending)
        return f"{self}\n"


class Plot(Page):
    """A page with a table of numbers and its plot."""

    caption = ""

    @abstractmethod
    def intro(self) -> list[str]:
        """What is said first."""

    @abstractmethod
    def columns(self) -> tuple[list[str], list[list[str]]]:
        """The table: its heads, and its rows as text."""

    @abstractmethod
    def said(self) -> list[str]:
        """What follows from the table, a paragraph each."""

    @abstractmethod
    def svg(self) -> str:
        """The plot."""

    def written(self, ending: str) -> str:
        """What stands in a file whose name has this ending."""
        return self.svg() if ending == ".svg" else super().written(ending)

    def __str__(self) -> str:
        head = [line for one in (self.title(), *self.intro()) for line in _wrapped(one)]
        said = [line for one in self.said() for line in _wrapped(one)]
        return "\n".join([*head, "", *table(*self.columns()), "", *said])

    def body(self) -> str:
        """The words, the plot and the table in HTML."""
        before, after = ("".join(f"<p>{text(p)}</p>" for p in f()) for f in (self.intro, self.said))
        below = f"<figcaption>{text(self.caption)}</figcaption>" if self.caption else ""
        drawn = f'<figure><div class="scroll">{self.svg()}</div>{below}</figure>'
        heads, rows = self.columns()
        top = "".join(f'<th class="number">{text(head)}</th>' for head in heads)
        cells = "".join(
            "<tr>" + "".join(f'<td class="number">{text(cell)}</td>' for cell in row) + "</tr>"
            for row in rows
        )
        below = f'<div class="scroll"><table><tr>{top}</tr>{cells}</table></div>'
        return f"{before}{drawn}{after}{below}"


def _wrapped(words: str) -> list[str]:
    """A paragraph in lines; further ones of an indented paragraph are indented alike."""
    blanks = " " * (len(words) - len(words.lstrip()))
    return textwrap.wrap(words, WIDTH, subsequent_indent=blanks)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of numbers as lines of text, to the right in their columns.

    >>> table(["h", "error"], [["1", "0.5"], ["0.1", "0.05"]])
    ['  h  error', '  1    0.5', '0.1   0.05']
    """
    columns = [max(map(width, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(padded(cell, -wide) for cell, wide in zip(row, columns, strict=True)).rstrip()
        for row in (heads, *rows)
    ]


def power_of(name: str, order: float) -> str:
    """A name to a measured power.

    >>> power_of("h", 1.999), power_of("h", 1.0001), power_of("h", 0.5)
    ('h²', 'h', 'h⁰·⁵')
    """
    power = f"{order:.2g}"
    return name if power == "1" else name + power.translate(SUPERSCRIPTS)


def times_less(order: float) -> str:
    """What a tenth of a step leaves of an error of this order.

    >>> times_less(2.0), times_less(2.9999), times_less(0.5)
    ('100 times less', '1000 times less', '3.16 times less')
    """
    times = 10**order
    return f"{times:.3g} times less" if times < 200 else f"{times:.0f} times less"
