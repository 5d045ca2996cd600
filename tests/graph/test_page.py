"""The page with numbers on the graph, in a browser: by mouse and keyboard, on each screen."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import pullback
from pullback.graph.numbers import Numbers

from ..browser import Browser, needs_browser, opened
from .test_numbers import AT, NEURON, _deep


def neuron() -> Numbers:
    return pullback.derive(NEURON).at(**AT)


def layer() -> Numbers:
    text = "S[n,m] = sum(d) X[n,d]*W[d,m] + b[m]; H[n,m] = relu(S[n,m]); L[] = sum(n,m) H[n,m]**2"
    return pullback.derive(text).at(X=[[1, 2], [3, -4]], W=[[1, 0], [0, 1]], b=[1, -1])


def deep() -> Numbers:
    random = np.random.default_rng(0)
    given = {"x": random.normal(size=(2, 3)), "Ws": [random.normal(size=(3, 3)) for _ in range(9)]}
    leaves = {f"Ws_{k}": W for k, W in enumerate(given["Ws"])}
    return pullback.derive(_deep, **given).at(leaves, x=given["x"])


# Without a browser


class Plain(HTMLParser):
    """The text of a page and what it refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_one_file_with_its_licences() -> None:
    page = Plain()
    html = neuron().html("A neuron")
    page.feed(html)
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert "A neuron" in page.text
    assert "Copyright (c) 2012-2014 Chris Pettitt" in html
    assert "sourceMappingURL" not in html
    for number in ("−0.1966", "0.3932", "−0.3932", "−0.5898", "0.7311"):
        assert number in page.text


def test_names_can_not_break_out_of_the_page(tmp_path: Path) -> None:
    shown = neuron()
    shown.save(tmp_path / "deep" / "neuron.html", title="</script><b>&")
    html = (tmp_path / "deep" / "neuron.html").read_text(encoding="utf-8")
    assert "&lt;/script&gt;&lt;b&gt;&amp;" in html
    assert html.count("</script>") == 4
    shown.save(tmp_path / "neuron.svg")
    assert (tmp_path / "neuron.svg").read_text(encoding="utf-8").startswith("<svg")
    shown.save(tmp_path / "neuron.txt")
    assert (tmp_path / "neuron.txt").read_text(encoding="utf-8") == f"{shown}\n"


# In a browser

DESK, PHONE = (1200, 900), (390, 844)
VIEWS = [
    ("neuron", DESK, "light"),
    ("neuron", PHONE, "dark"),
    ("layer", DESK, "dark"),
    ("layer", PHONE, "light"),
    ("deep", PHONE, "dark"),
]
KEY = "dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))"
CLICK = (
    "document.querySelector(arguments[0])"
    ".dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))"
)
STEP = "return Number(document.documentElement.dataset.step)"
SAID = "return document.querySelector('.say').textContent"
SHOWN = """
return [...document.querySelectorAll("svg.graph text." + arguments[0] + ":not(.hid)")]
  .map((e) => e.textContent);
"""
CUT = """
const wide = document.documentElement.clientWidth;
const scrolls = (e) => e && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX)
  || scrolls(e.parentElement));
return [...document.querySelectorAll("main *")]
  .filter((e) => e.getBoundingClientRect().right > wide + 1 && !scrolls(e))
  .map((e) => e.outerHTML.slice(0, 120));
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {"neuron": neuron(), "layer": layer(), "deep": deep()}
    for name, shown in made.items():
        shown.save(folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in made}


@needs_browser
@pytest.mark.parametrize(("name", "size", "scheme"), VIEWS)
def test_a_page_on_each_screen(
    browser: Browser, pages: dict[str, Path], name: str, size: tuple[int, int], scheme: str
) -> None:
    browser.open(pages[name], size, scheme)
    assert browser.troubles() == []
    assert browser.run(CUT) == []
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]
    assert browser.run("return document.querySelectorAll('svg.graph .gate').length") > 2
    while not browser.run("return document.querySelector('[data-go=next]').disabled"):
        browser.run(KEY, "ArrowRight")
    assert browser.troubles() == []


@needs_browser
def test_stepping_by_keys_and_by_mouse(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["neuron"], DESK)
    assert browser.run(STEP) == 0
    assert sorted(browser.run(SHOWN, "gv")) == sorted(
        ["−0.20", "0.39", "−0.39", "−0.59", *["0.20"] * 5, "1.00"]
    )
    browser.run(KEY, "ArrowRight")
    assert browser.run(STEP) == 1
    assert "p₁ = 2·(−1) = −2.0000" in browser.run(SAID)
    assert browser.run(SHOWN, "gv") == []
    browser.run(CLICK, "[data-go=next]")
    browser.run(KEY, "ArrowLeft")
    assert browser.run(STEP) == 1
    for _ in range(5):
        browser.run(KEY, "ArrowRight")
    assert browser.run(STEP) == 6
    assert "A sigmoid scales" in browser.run(SAID)
    assert "0.1966" in browser.run(SAID)
    assert sorted(browser.run(SHOWN, "gv")) == ["0.20", "1.00"]
    browser.run(CLICK, "[data-go=first]")
    assert browser.run(STEP) == 0


@needs_browser
def test_a_gate_a_wire_and_a_line_can_be_chosen(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["neuron"], DESK)
    browser.run(CLICK, ".gate[data-id=n6] circle")
    assert "p₂ = (−3)·(−2) = 6.0000" in browser.run(SAID)
    browser.run(CLICK, ".gate[data-id=n6] circle")
    said = browser.run(SAID)
    assert "A multiply gate swaps" in said and "−0.3932" in said and "−0.5898" in said
    browser.run(CLICK, ".code .r:last-child")
    assert browser.run(STEP) == 10
    browser.run(CLICK, ".hit")
    assert "backward" in browser.run(SAID)


@needs_browser
def test_a_sigmoid_opens_into_its_gates(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["neuron"], DESK)
    closed = browser.run("return document.querySelectorAll('.gate').length")
    before = set(browser.run(SHOWN, "gv"))
    browser.run(CLICK, "#open")
    assert browser.run("return document.querySelectorAll('.gate').length") == closed + 3
    assert before <= set(browser.run(SHOWN, "gv"))
    browser.run(CLICK, "#open")
    assert browser.run("return document.querySelectorAll('.gate').length") == closed
    assert browser.troubles() == []


@needs_browser
def test_what_repeats_is_one_box_until_it_is_opened(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["deep"], DESK)
    boxes = "return document.querySelectorAll('.gate').length"
    folded = browser.run(boxes)
    browser.run(KEY, "ArrowRight")
    assert "9 equal layers" in browser.run(SAID)
    browser.run(CLICK, ".gate.fold rect")
    assert browser.run(boxes) == folded - 1 + 18
    browser.run(CLICK, "#unfold")
    assert browser.troubles() == []
