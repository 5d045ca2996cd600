"""What is shown as text, as HTML in a notebook, and as a page of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
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
        """Writes the page, or the text where the name doesn't end in .html. Raises OSError."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        page = target.suffix in (".html", ".htm")
        target.write_text(self.html() if page else f"{self}\n", encoding="utf-8")
