"""The frame around every page: head, bar, contents, sections."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby
from string import Template

from .. import __version__
from ..report.mathml import text
from .chapter import Chapter, Part

# What draws a graph that is stepped through, on the pages that have one.
GRAPH = (
    '<script defer src="assets/dagre.js"></script>\n<script defer src="assets/graph.js"></script>\n'
)
START = (("index", "The general layer"), ("layers", "All layers"))


@dataclass(frozen=True)
class Contents:
    """The layers of the book: (group, name, title) each, in its order."""

    layers: tuple[tuple[str, str, str], ...]


def framed(title: str, chapter: Chapter, contents: Contents, here: str) -> str:
    """A whole page."""
    read = [part for part in chapter.parts if not part.reference]
    found = [part for part in chapter.parts if part.reference]
    if found:
        inner = "".join(
            f'<section id="{p.anchor}"><h3>{text(p.title)}</h3>{p.inner}</section>' for p in found
        )
        teaser = "Definition, checks, source, costs, errors, options."
        read.append(Part("reference", "Reference", inner, teaser))
    sections = "".join(map(_section, read))
    toc = "".join(f'<a href="#{p.anchor}">{text(p.title)}</a>' for p in read)
    return _template("page.html").substitute(
        title=text(title),
        lead=_linked(chapter.lead, contents),
        sections=sections,
        toc=toc,
        contents="".join(_contents(contents, here)),
        around=_around(contents, here),
        version=text(__version__),
        scripts=GRAPH if 'id="circuit"' in sections else "",
    )


def _linked(html: str, contents: Contents) -> str:
    """The HTML without the links to pages that this book does not have."""
    there = {name for _, name, _ in contents.layers} | {name for name, _ in START}
    return re.sub(
        r'<a href="(\w+)\.html">(.*?)</a>', lambda m: m[0] if m[1] in there else m[2], html
    )


def _section(part: Part) -> str:
    head = f"<h2>{text(part.title)}</h2>"
    if not part.teaser:
        return f'<section id="{part.anchor}">{head}{part.inner}</section>'
    return (
        f'<section id="{part.anchor}"><details class="part"><summary>{head}'
        f"<span>{text(part.teaser)}</span></summary>{part.inner}</details></section>"
    )


def printed(chapters: Iterable[tuple[str, str, Chapter]]) -> str:
    """All pages (name, title, chapter) as one, for paper."""
    return _template("print.html").substitute(
        chapters="".join(_printed(*one) for one in chapters), version=text(__version__)
    )


def _printed(name: str, title: str, chapter: Chapter) -> str:
    sections = "".join(
        f"<section><h2>{text(p.title)}</h2>{p.inner}</section>" for p in chapter.parts
    )
    whole = f'<article id="{name}"><header><h1>{text(title)}</h1>{chapter.lead}</header>{sections}'
    return re.sub(r'href="(\w+)\.html"', r'href="#\1"', whole) + "</article>"


@cache
def _template(name: str) -> Template:
    return Template(files(__package__).joinpath("assets", name).read_text(encoding="utf-8"))


def _contents(contents: Contents, here: str) -> Iterator[str]:
    for name, title in START:
        yield _link(name, title, here)
    for group, entries in groupby(contents.layers, key=lambda entry: entry[0]):
        yield f"<h2>{text(group)}</h2>"
        yield "".join(_link(name, title, here) for _, name, title in entries)


def _link(name: str, title: str, here: str) -> str:
    current = ' aria-current="page"' if name == here else ""
    return f'<a href="{name}.html"{current}>{text(title)}</a>'


def _around(contents: Contents, here: str) -> str:
    """Links to the page before and the one after."""
    order = [*START, *((name, title) for _, name, title in contents.layers)]
    k = [name for name, _ in order].index(here)
    before = (
        f'<a rel="prev" href="{order[k - 1][0]}.html">← {text(order[k - 1][1])}</a>' if k else ""
    )
    last = k + 1 == len(order)
    after = (
        "" if last else f'<a rel="next" href="{order[k + 1][0]}.html">{text(order[k + 1][1])} →</a>'
    )
    return f"{before}<span></span>{after}"
