"""The whole book: its pages made in processes, its search, its assets."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from ..graph.page import asset, layout
from ..report.html import style
from .chapter import Chapter
from .frame import Contents, framed, printed
from .opening import opening
from .page import LayerPage, layer_page
from .pdf import needed_printer, print_pdf
from .subject import Subject, Wanted, subjects
from .table import layers_table

ASSETS = "assets"
Said = Callable[[str], None]


def write_book(
    out: str | os.PathLike[str],
    layers: Sequence[Wanted] = (),
    *,
    jobs: int | None = None,
    pdf: bool = False,
    say: Said = lambda line: None,
) -> tuple[LayerPage, ...]:
    """Writes the site into a folder, ``index.html`` its start; gives back what its pages say.

    ``layers`` are names, layers of one's own, or annotated functions; if none are given, all of the
    table. ``jobs`` is the number of processes, by default that of the processors. ``pdf`` prints
    the book to ``book.pdf``, too. ``say`` is told each page that is done. Raises ArgumentError for
    a layer that there is not and where nothing can print, OSError where files can't be written.
    """
    browser = needed_printer() if pdf else ""
    pages = _made(subjects(layers), jobs or len(os.sched_getaffinity(0)), say)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    contents = Contents(tuple((page.group, page.name, page.title) for page in pages))
    for name, html in _files(pages, contents):
        (folder / name).write_text(html, encoding="utf-8")
    _write_assets(folder / ASSETS, pages)
    if browser:
        say("printing")
        print_pdf(browser, folder, printed(_chapters(pages)))
    return pages


def _made(found: Sequence[Subject], jobs: int, say: Said) -> tuple[LayerPage, ...]:
    """The pages; those of the package's own layers are made in processes."""
    own = [s for s in found if not s.shipped]
    shipped = [s.name for s in found if s.shipped]
    made: dict[str, LayerPage] = {}

    def add(page: LayerPage) -> None:
        made[page.name] = page
        say(f"{len(made)}/{len(found)} {page.name}")

    for subject in own:
        add(layer_page(subject))
    if jobs > 1 and len(shipped) > 1:
        with ProcessPoolExecutor(jobs) as pool:
            for page in pool.map(page_of, shipped):
                add(page)
    else:
        for name in shipped:
            add(page_of(name))
    return tuple(made[s.name] for s in found)


def page_of(name: str) -> LayerPage:
    """The page of a layer of the table."""
    (subject,) = subjects([name])
    return layer_page(subject)


def _files(pages: Sequence[LayerPage], contents: Contents) -> Iterator[tuple[str, str]]:
    """The HTML files by name."""
    for name, title, chapter in _chapters(pages):
        yield f"{name}.html", framed(title, chapter, contents, name)


def _chapters(pages: Sequence[LayerPage]) -> Iterator[tuple[str, str, Chapter]]:
    """The pages of the book in its order: name, title, what stands on it."""
    yield "index", "Back-propagation reference", opening()
    yield "layers", "All layers", layers_table(pages)
    for page in pages:
        yield page.name, page.title, page.chapter


def _write_assets(folder: Path, pages: Sequence[LayerPage]) -> None:
    with as_file(files(__package__).joinpath(ASSETS)) as shipped:
        shutil.copytree(
            shipped, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.html")
        )
    licence = "\n".join(f"// {line}".rstrip() for line in asset("dagre", "LICENSE").split("\n"))
    made = {
        "report.css": style(),
        "graph.css": asset("graph.css"),
        "graph.js": asset("graph.js"),
        "dagre.js": f"{licence}\n{layout()}",
    }
    for name, written in made.items():
        (folder / name).write_text(f"{written}\n", encoding="utf-8")
    (folder / "search-index.js").write_text(_index(pages), encoding="utf-8")


def _index(pages: Sequence[LayerPage]) -> str:
    """What search looks through, as a script: a page from a file may not fetch."""
    entries: list[dict[str, Any]] = [
        {"page": "index.html#" + part.anchor, "title": part.title, "group": "Opening", "words": ""}
        for part in opening().parts
    ]
    entries += [_entry(page) for page in pages]
    return f"const SEARCH_INDEX = {json.dumps(entries, ensure_ascii=False, indent=0)};\n"


def _entry(page: LayerPage) -> dict[str, Any]:
    return {
        "page": f"{page.name}.html",
        "title": page.title,
        "group": page.group,
        "words": f"{page.name.replace('_', ' ')} {page.words}",
        "names": page.names,
    }
