"""The book in a browser: every page of a small one, in light, dark and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pullback.book import write_book

from ..browser import DESK, PHONE, Browser, needs_browser, opened

pytestmark = needs_browser

LAYERS = ("relu", "prelu", "softmax", "neuron")
VIEWS = [(DESK, "light"), (DESK, "dark"), (PHONE, "light")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    write_book(out, LAYERS, jobs=1)
    return out


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


UNSET = """
return [...document.querySelectorAll(".tex")]
  .filter((e) => !e.querySelector(".katex") || e.querySelector(".katex-error"))
  .map((e) => e.textContent.slice(0, 120));
"""
TOO_WIDE = """
const wide = document.documentElement.clientWidth;
const scrolls = (e) => e && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX)
  || scrolls(e.parentElement));
return [...document.querySelectorAll("main *, header *")]
  .filter((e) => e.getBoundingClientRect().right > wide + 1 && !scrolls(e))
  .map((e) => e.outerHTML.slice(0, 120));
"""
UNREADABLE = """
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (e) => {
  const colour = getComputedStyle(e).backgroundColor;
  return /rgba\\(.*, 0\\)/.test(colour) && e.parentElement ? behind(e.parentElement) : colour;
};
return [...document.querySelectorAll("main p, main td, main th, main code, .katex, nav a, h1, h2")]
  .filter((e) => e.checkVisibility() && e.textContent.trim())
  .filter((e) => {
    const [a, b] = [luminance(getComputedStyle(e).color), luminance(behind(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
  })
  .map((e) => e.outerHTML.slice(0, 120));
"""


def wrong_with(browser: Browser, page: Path, size: tuple[int, int], scheme: str) -> list[str]:
    """What is wrong with a page."""
    browser.open(page, size, scheme)
    found = browser.troubles()
    found += [f"not set: {tex}" for tex in browser.run(UNSET)]
    found += [f"wider than the screen: {element}" for element in browser.run(TOO_WIDE)]
    found += [f"hardly readable: {element}" for element in browser.run(UNREADABLE)]
    if browser.run("return document.documentElement.scrollWidth") > size[0]:
        found.append("the page scrolls sideways")
    if browser.run("return document.querySelectorAll('.katex').length") < 1:
        found.append("no formula")
    return found


@pytest.mark.parametrize(("size", "scheme"), VIEWS, ids=["light", "dark", "phone"])
@pytest.mark.parametrize("name", ("index", "layers", *LAYERS))
def test_a_page_is_whole(
    browser: Browser, site: Path, name: str, size: tuple[int, int], scheme: str
) -> None:
    assert wrong_with(browser, site / f"{name}.html", size, scheme) == []


def test_every_page_of_the_book_is_whole(browser: Browser, tmp_path: Path) -> None:
    """One test, so that one process builds the book."""
    pages = write_book(tmp_path)
    assert {page.name: page.failed for page in pages if page.failed} == {}
    names = [path.name for path in sorted(tmp_path.glob("*.html"))]
    assert len(names) == len(pages) + 2
    wrong = {
        (name, scheme, size): found
        for name in names
        for size, scheme in VIEWS
        if (found := wrong_with(browser, tmp_path / name, size, scheme))
    }
    assert wrong == {}


def test_what_is_wrong_with_a_page_is_noticed(browser: Browser, site: Path) -> None:
    whole = (site / "relu.html").read_text(encoding="utf-8")
    broken = {
        "Failed to load resource": '<img src="nothing.png" alt="">',
        '"oh"': '<script>console.error("oh")</script>',
        "not set": '<span class="tex">\\nocommand{</span>',
        "wider than": '<div style="width:5000px">x</div>',
        "hardly readable": '<p style="color:#999;background:#aaa">x</p>',
        "sideways": '<div style="width:5000px">x</div>',
    }
    for sign, element in broken.items():
        (site / "broken.html").write_text(whole.replace("</main>", element + "</main>"))
        found = wrong_with(browser, site / "broken.html", PHONE, "light")
        assert any(sign in line for line in found), (sign, found)


def test_search_finds(browser: Browser, site: Path) -> None:
    browser.open(site / "index.html")
    box = browser.driver.find_element("id", "search")
    box.send_keys("soft")
    found = browser.run("return [...document.querySelectorAll('#results a')].map((a) => a.href)")
    assert found[0].endswith("softmax.html")
    box.send_keys("max\n")
    assert browser.driver.current_url.endswith("softmax.html")
    box = browser.driver.find_element("id", "search")
    box.send_keys("zzz")
    assert "nothing found" in browser.run("return document.getElementById('results').textContent")
    assert browser.troubles() == []


def test_the_theme_is_the_readers_choice_and_stays(browser: Browser, site: Path) -> None:
    colour = "return getComputedStyle(document.querySelector('main')).backgroundColor"
    browser.open(site / "index.html")
    light = browser.run(colour)
    browser.driver.find_element("id", "theme").click()
    dark = browser.run(colour)
    assert dark != light
    browser.open(site / "relu.html")
    assert browser.run(colour) == dark
    browser.driver.find_element("id", "theme").click()
    assert browser.run(colour) == light
    browser.run("localStorage.clear()")


def test_the_contents_open_on_a_phone(browser: Browser, site: Path) -> None:
    browser.open(site / "relu.html", PHONE)
    contents = browser.driver.find_element("id", "contents")
    assert not contents.is_displayed()
    browser.driver.find_element("id", "menu").click()
    assert contents.is_displayed()


def test_pictures_are_drawn(browser: Browser, site: Path) -> None:
    browser.open(site / "softmax.html")
    boxes = browser.run(
        "return [...document.querySelectorAll('.panel svg')].map((s) => s.getBBox().width)"
    )
    assert len(boxes) == 5 and min(boxes) > 0
