"""A report as one HTML file that needs no network: derivation, graph, how a training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from .. import __version__
from ..derivation import Derivation
from .circuit import is_scalar
from .curve import curve
from .graph import graph
from .html import article, by_mathml, section
from .mathml import text
from .outline import Prose, Section, outline
from .outline import title as title_of
from .tex import typeset

LEGEND = (
    '<span class="key"></span>values go forward<span class="key back"></span>gradients come back; '
    "the name of the gradient that arrives stands in each box. Rounded boxes are inputs."
)


def write_report(
    path: str | PathLike[str],
    derivation: Derivation,
    *,
    losses: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    title: str = "",
    extra: Mapping[str, str] | None = None,
    values: Mapping[str, float] | None = None,
) -> None:
    """Writes :func:`page` to a file, its folder made where there is none. Raises OSError."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(
        page(derivation, losses=losses, title=title, extra=extra, values=values), encoding="utf-8"
    )


def page(
    derivation: Derivation,
    *,
    losses: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    title: str = "",
    extra: Mapping[str, str] | None = None,
    values: Mapping[str, float] | None = None,
) -> str:
    """The HTML of a report.

    ``losses`` is a loss a step, or several named series; ``extra`` paragraphs of plain text by
    their titles; ``values`` single numbers, by name, to write into the graph. A program of numbers
    is drawn gate by gate.
    """
    hand = by_mathml(typeset(derivation))
    parts = outline(derivation)
    sections = [(part.anchor, part.title, section(part, hand)) for part in parts]
    fine = is_scalar(derivation.backward.program)
    figure = _figure(graph(derivation, values or {}, gates=fine), LEGEND)
    sections.insert(
        2, ("graph", "Computational graph", _titled("graph", "Computational graph", figure))
    )
    if losses is not None:
        drawn = _figure(curve(losses), "The loss of every step; the bold line is a running mean.")
        sections.append(("training", "Training", _titled("training", "Training", drawn)))
    for k, (name, words) in enumerate((extra or {}).items(), 1):
        part = Section(f"extra-{k}", name, tuple(Prose(p) for p in words.split("\n\n")))
        sections.append((part.anchor, part.title, section(part, hand)))
    links = "".join(f'<a href="#{anchor}">{text(name)}</a>' for anchor, name, _ in sections)
    footer = f"<footer>Written by pullback {__version__}. What is shown is what runs.</footer>"
    name = title or title_of(derivation)
    inner = "".join(drawn for _, _, drawn in sections) + footer
    return frame(name, article(name, derivation, inner, nav=f"<nav>{links}</nav>"))


def frame(name: str, inner: str) -> str:
    """A whole page around an ``<article class="pullback">``, in the colours of its surroundings."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{text(name)}</title><style>{FRAME}</style></head><body>{inner}</body></html>\n"
    )


FRAME = (
    "html{background:#f7f8fb}body{margin:0}.pullback{border-radius:0}"
    "@media(prefers-color-scheme:dark){html{background:#12141b}}"
)


def _titled(anchor: str, name: str, inner: str) -> str:
    return f'<section id="{anchor}"><h2>{text(name)}</h2>{inner}</section>'


def _figure(drawn: str, caption: str) -> str:
    return f"<figure>{drawn}<figcaption>{caption}</figcaption></figure>"
