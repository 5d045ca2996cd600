"""The site as files: whole, linked, the same every time, and what its pages say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag

import pytest

from pullback.book import write_book
from pullback.book.pdf import printer
from pullback.cli import main
from pullback.errors import ArgumentError

TAUGHT = ["three", "numbers", "jacobian", "reduces", "steps", "exercises", "mistakes", "reference"]
SECTIONS = (
    *TAUGHT, "definition", "picture", "backward", "checks", "memory", "source", "form", "error",
)  # fmt: skip


VOID = {"meta", "link", "input", "br", "hr", "path", "rect", "col"}


class Page(HTMLParser):
    """The links, names and open elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [given[key] or "" for key in ("href", "src") if key in given]
        self.names += [given["id"] or ""] if "id" in given else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("book")
    pages = write_book(out, ["relu"], jobs=1)
    assert [page.failed for page in pages] == [()]
    return out


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {path.name: Page(path.read_text(encoding="utf-8")) for path in site.glob("*.html")}
    assert {"index.html", "layers.html", "relu.html"} == set(pages)
    for name, page in pages.items():
        assert not page.open
        assert len(page.names) == len(set(page.names))
        for link in page.links:
            if link.startswith("data:"):
                continue
            file, anchor = urldefrag(link)
            assert "//" not in file, "the book needs no network"
            assert not file or (site / file).is_file(), link
            assert not anchor or anchor in pages[file or name].names or anchor == "main", link


def test_a_page_has_all_its_sections(site: Path) -> None:
    names = Page((site / "relu.html").read_text(encoding="utf-8")).names
    assert set(SECTIONS) <= set(names)


def test_a_page_teaches_before_it_is_looked_up(site: Path) -> None:
    names = Page((site / "relu.html").read_text(encoding="utf-8")).names
    assert [name for name in names if name in TAUGHT] == TAUGHT


def test_the_opening_has_all_its_parts(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    assert {"layer", "notation", "rules", "errata"} <= set(Page(text).names)
    assert not re.search(r"\\[(\[]|\$\w", text), "a formula or a place of the template is left"


def test_no_two_builds_differ(site: Path, tmp_path: Path) -> None:
    code = f"from pullback.book import write_book; write_book({str(tmp_path)!r}, ['relu'], jobs=1)"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    files = sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    for file in files:
        assert (site / file).read_bytes() == (tmp_path / file).read_bytes(), file


OWN = r"""
from pullback.layers import Definition, Example, layer

@layer("mine", Example({"X": (3, 4), "theta": (2,)}), title="Two slopes")
def two_slopes(rank):
    "theta[0]*x where x > 0, theta[1]*x elsewhere"
    return Definition(
        "theta[2]\nY[i,j] = where(X[i,j] > 0, theta[0]*X[i,j], theta[1]*X[i,j])", {"theta": "ones"}
    )
"""


def test_a_layer_of_ones_own_gets_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pullback.layers import LAYERS

    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    out = tmp_path / "out"
    try:
        assert main(["book", str(out), "--layer", f"{tmp_path / 'mine.py'}:two_slopes"]) == 0
    finally:
        LAYERS.pop("two_slopes", None)
    text = (out / "two_slopes.html").read_text(encoding="utf-8")
    assert "gradient of theta" in text
    assert "Two slopes" in (out / "layers.html").read_text(encoding="utf-8")
    assert str(out / "index.html") in capsys.readouterr().out


FUNCTION = """
import numpy as np

def swish(x: 'Float[np.ndarray, "N D"]', theta: 'Float[np.ndarray, "D"]'):
    "x·sigmoid(theta·x)"
    return x / (1 + np.exp(-theta * x))
"""


def test_a_numpy_function_gets_a_page(tmp_path: Path) -> None:
    (tmp_path / "swish.py").write_text(FUNCTION, encoding="utf-8")
    out = tmp_path / "out"
    assert main(["book", str(out), "--layer", f"{tmp_path / 'swish.py'}:swish"]) == 0
    page = (out / "swish.html").read_text(encoding="utf-8")
    assert "gradient of theta" in page and "As it is written, in NumPy" in page
    assert set(SECTIONS) <= set(Page(page).names)


def test_a_function_may_stand_in_the_place_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "swish.py").write_text(FUNCTION, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["book", "swish.py:swish"]) == 0
    page = Page((tmp_path / "book" / "swish.html").read_text(encoding="utf-8"))
    assert set(TAUGHT) <= set(page.names), "it teaches as a page of the table does"
    assert main(["book", "one", "two"]) == 2


def test_a_layer_with_ones_own_options_gets_a_page(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from pullback import layers\n"
        "wave = layers.neuron(f='x + theta[0]*sin(theta[1]*x)', parameters=2)",
        encoding="utf-8",
    )
    assert main(["book", str(tmp_path), "--layer", f"{tmp_path / 'own.py'}:wave"]) == 0
    assert "sin(theta[1]*X[i,j])" in (tmp_path / "neuron.html").read_text(encoding="utf-8")


def test_a_pdf_needs_its_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["book", str(tmp_path / "out"), "--layer", "relu", "--pdf"]) == 2
    said = capsys.readouterr().err
    assert "PDF" in said and "chromium" in said
    assert not (tmp_path / "out").exists(), "refused before anything is made"


@pytest.mark.skipif(not printer(), reason="needs Chromium")
def test_a_pdf_holds_all_pages(tmp_path: Path) -> None:
    assert main(["book", str(tmp_path), "--layer", "relu", "--pdf"]) == 0
    made = (tmp_path / "book.pdf").read_bytes()
    assert made.startswith(b"%PDF")
    assert made.count(b"/Type /Page\n") >= 8
    assert not (tmp_path / "print.html").exists()


def test_what_is_no_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="there is no layer nothing"):
        write_book(tmp_path, ["nothing"])
    assert main(["book", str(tmp_path), "--layer", "nothing"]) == 2


def test_the_examples_on_the_command_line_name_layers() -> None:
    from pullback.cli.book import EXAMPLES
    from pullback.layers import LAYERS

    named = re.findall(r"--layer (\w+)(?=\s)", EXAMPLES)
    assert named and set(named) <= set(LAYERS)
