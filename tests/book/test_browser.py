"""The book in a browser: every page of a small one, in light, dark and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pullback.book import write_book

from ..browser import AXE, DESK, PHONE, Browser, needs_axe, needs_browser, opened

pytestmark = needs_browser

LAYERS = ("relu", "softmax", "cross_entropy", "batch_normalisation", "max_pooling", "lstm_cell")
SCREENS = {"desk": DESK, "phone": PHONE}
VIEWS = [(size, scheme) for size in SCREENS.values() for scheme in ("light", "dark")]
OPEN = """
for (const part of document.querySelectorAll("details")) part.open = true;
return new Promise((done) => setTimeout(() => done(true), 80));  // formulas are fitted by then
"""


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
  const most = colour.startsWith("color(") ? 1 : 255;  // what color-mix() gives counts to 1
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((v) => v / most)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const known = new Map();
const behind = (e) => {
  if (!known.has(e)) known.set(e, found(e));
  return known.get(e);
};
const found = (e) => {
  const colour = getComputedStyle(e).backgroundColor;
  const clear = /rgba\\(.*, 0\\)|\\/ 0\\)/.test(colour);
  return clear && e.parentElement ? behind(e.parentElement) : colour;
};
const within = "main :is(p, td, th, code, button, summary, label, dt, li, span)";
return [...document.querySelectorAll(`${within}, .katex, nav a, h1, h2`)]
  .filter((e) => !e.disabled && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .filter((e) => e.checkVisibility() && e.textContent.trim())
  .filter((e) => {
    const [a, b] = [luminance(getComputedStyle(e).color), luminance(behind(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
  })
  .map((e) => e.outerHTML.slice(0, 120));
"""


# What a formula of its own line hides at the right, set as small as it may be.
CUT = """
const sets = [...document.querySelectorAll("main .set")].filter((e) => e.checkVisibility());
const start = (e) => e.getBoundingClientRect().left;
const left = (e) => Math.min(...[...e.querySelectorAll(".katex-base")].map(start));
return sets
  .filter((e) => e.scrollWidth > e.clientWidth + 1 || left(e) < start(e) - 1)
  .map((e) => `${e.scrollWidth} > ${e.clientWidth}: ${e.textContent.slice(0, 80)}`);
"""
# What a reader who can't see or use a mouse would miss.
UNNAMED = """
const named = (e) => e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
  || e.labels?.length || e.textContent.trim() || e.title;
const out = [...document.querySelectorAll("button, input, a, [role=button], [role=group]")]
  .filter((e) => e.checkVisibility() && !named(e))
  .map((e) => "no name: " + e.outerHTML.slice(0, 90));
for (const e of document.querySelectorAll("svg[role=img], img"))
  if (!e.getAttribute("aria-label") && !e.alt) out.push("no text: " + e.outerHTML.slice(0, 90));
let last = 0;
for (const e of document.querySelectorAll("main :is(h1, h2, h3, h4)")) {
  const level = Number(e.tagName[1]);
  if (level > last + 1) out.push(`a heading is skipped before ${e.textContent}`);
  last = level;
}
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) out.push("twice: #" + id);
for (const e of document.querySelectorAll("[aria-controls], [aria-describedby]")) {
  const id = e.getAttribute("aria-controls") ?? e.getAttribute("aria-describedby");
  if (!document.getElementById(id)) out.push("leads nowhere: " + id);
}
return out;
"""


def wrong_with(browser: Browser, page: Path, size: tuple[int, int], scheme: str) -> list[str]:
    """What is wrong with a page."""
    browser.open(page, size, scheme)
    browser.run(OPEN)
    found = browser.troubles()
    found += [f"not set: {tex}" for tex in browser.run(UNSET)]
    found += [f"wider than the screen: {element}" for element in browser.run(TOO_WIDE)]
    found += [f"hardly readable: {element}" for element in browser.run(UNREADABLE)]
    found += [f"cut: {element}" for element in browser.run(CUT)]
    found += browser.run(UNNAMED)
    if browser.run("return document.documentElement.scrollWidth") > size[0]:
        found.append("the page scrolls sideways")
    if browser.run("return document.querySelectorAll('.katex').length") < 1:
        found.append("no formula")
    return found


@pytest.mark.parametrize(("size", "scheme"), VIEWS)
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
    for word, wanted in EVERY_SYNONYM.items():
        browser.open(tmp_path / "index.html")
        assert searched(browser, word)[0] == wanted, word
    unsolved = {
        page.name: found
        for page in pages
        if (found := unsolved_at(browser, tmp_path / f"{page.name}.html"))
    }
    assert unsolved == {}


def unsolved_at(browser: Browser, page: Path) -> list[str]:
    """The exercises of a page that don't accept their own answer, or accept a wrong one."""
    browser.open(page)
    return list(browser.run(SOLVED) or [])


def test_what_is_wrong_with_a_page_is_noticed(browser: Browser, site: Path) -> None:
    whole = (site / "relu.html").read_text(encoding="utf-8")
    broken = {
        "Failed to load resource": '<img src="nothing.png" alt="">',
        '"oh"': '<script>console.error("oh")</script>',
        "not set": '<span class="tex">\\nocommand{</span>',
        "wider than": '<div style="width:5000px">x</div>',
        "hardly readable": '<p style="color:#999;background:#aaa">x</p>',
        "sideways": '<div style="width:5000px">x</div>',
        "cut": '<div class="set" style="padding:0"><span class="tex display">a = b</span></div>',
    }
    for sign, element in broken.items():
        (site / "broken.html").write_text(whole.replace("</main>", element + "</main>"))
        found = wrong_with(browser, site / "broken.html", PHONE, "light")
        assert any(sign in line for line in found), (sign, found)


ACCESSIBLE = """
const runOnly = ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"];
const told = (v) => `${v.id}: ${v.help}, ${v.nodes.length} × ${v.nodes[0].html.slice(0, 120)}`;
return axe.run(document, {runOnly, preload: false}).then((found) => found.violations.map(told));
"""


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ("index", "layers", *LAYERS))
def test_axe_finds_nothing(browser: Browser, site: Path, name: str, scheme: str) -> None:
    browser.open(site / f"{name}.html", DESK, scheme)
    browser.run(OPEN)
    browser.run(AXE.read_text(encoding="utf-8"))
    assert browser.run(ACCESSIBLE) == []


# What the exercises say of their own answers, of these with a sign, and of the wrong lines.
SOLVED = """
const source = document.getElementById("exercise-data");
if (!source) return [];
const { points, exercises } = JSON.parse(source.textContent);
const out = [];
for (const one of exercises) {
  const answer = one.solution.slice(one.solution.indexOf(" = ") + 3);
  const right = Answers.check(answer, one, points);
  if (right.right !== true) out.push(`${one.solution}: ${right.say}`);
  const zero = points.every((p) => p[one.name].data.every((x) => Math.abs(x) < 1e-6));
  const minus = Answers.check(`-(${answer})`, one, points);
  if (minus.right !== false && !zero) out.push(`minus is taken for right: ${one.solution}`);
  for (const [wrong, say] of one.wrong) {
    const said = Answers.check(wrong, one, points);
    if (said.right === true) out.push(`${wrong} is taken for ${one.solution}`);
  }
}
return out;
"""


@pytest.mark.parametrize("name", LAYERS)
def test_exercises_take_the_right_and_refuse_the_wrong(
    browser: Browser, site: Path, name: str
) -> None:
    assert unsolved_at(browser, site / f"{name}.html") == []


ANSWERS = [  # the gradient of gamma, as people write it
    ("sum(n) dY[n,c]*xhat[n,c]", "right"),
    ("(dY * xhat).sum(0)", "right"),
    ("np.sum(dY*xhat, axis=0)", "right"),
    ("Σ(n) dY[n,c]·x̂[n,c]", "right"),
    ("dgamma[c] = sum(n) xhat[n,c]*dY[n,c]", "right"),
    ("-(dY * xhat).sum(0)", "wrong"),
    ("dY * xhat", "wrong"),
    ("dY.sum(0)", "wrong"),
    ("(dY * xhat", "unread"),
    ("dY * nothing", "unread"),
    ("dY[n]", "unread"),
    ("2", "wrong"),
]


@pytest.mark.parametrize(("answer", "state"), ANSWERS)
def test_an_answer_is_compared_by_value(
    browser: Browser, site: Path, answer: str, state: str
) -> None:
    browser.open(site / "batch_normalisation.html")
    browser.run(OPEN)
    field = browser.driver.find_element("id", "answer-0")
    field.send_keys(answer + "\n")  # by the keyboard alone
    form = browser.driver.find_element("css selector", "form.exercise")
    assert form.get_attribute("data-state") == state
    assert form.find_element("css selector", ".said").text
    assert browser.troubles() == []


def test_the_intermediate_gradients_are_asked_for(browser: Browser, site: Path) -> None:
    names = "return [...document.querySelectorAll('form.exercise label')].map((e) => e.textContent)"
    browser.open(site / "batch_normalisation.html")
    browser.run(OPEN)
    asked = " ".join(browser.run(names))
    assert all(f"{name}[" in asked for name in ("dxhat", "ds", "dv", "dxc", "dmu", "dX"))
    browser.open(site / "cross_entropy.html")
    browser.run(OPEN)
    asked = " ".join(browser.run(names))
    assert all(f"{name}[" in asked for name in ("dl", "dP", "ds", "dE", "dX"))


def test_a_graph_is_stepped_through(browser: Browser, site: Path) -> None:
    browser.open(site / "batch_normalisation.html")
    step = "return Number(document.documentElement.dataset.step)"
    body = browser.driver.find_element("tag name", "body")
    assert browser.run(step) == 0
    body.send_keys("\ue014")  # an arrow to the right
    assert browser.run(step) == 1
    browser.driver.find_element("css selector", "[data-go=next]").click()
    assert browser.run(step) == 2
    body.send_keys("\ue012")
    assert browser.run(step) == 1
    while not browser.run("return document.querySelector('[data-go=next]').disabled"):
        body.send_keys("\ue014")
    assert "backward" in browser.run("return document.querySelector('.say').textContent")
    assert browser.troubles() == []


def test_a_cell_of_the_gradient_says_what_it_reads(browser: Browser, site: Path) -> None:
    browser.open(site / "batch_normalisation.html")
    said = "return document.querySelector('#depend .sum').textContent"
    assert "dX[0,0]" in browser.run(said) and "0.536" in browser.run(said)
    first = browser.driver.find_element("css selector", "#depend .pick button")
    first.click()
    step = browser.run("return document.documentElement.dataset.step")
    browser.driver.switch_to.active_element.send_keys("\ue015")  # down
    assert "dX[1,0]" in browser.run(said) and "−0.152" in browser.run(said)
    assert browser.run("return document.documentElement.dataset.step") == step, "the graph rests"


def test_an_lstm_fits_two_screens(browser: Browser, site: Path) -> None:
    browser.open(site / "lstm_cell.html", (1280, 1080))
    end = "return document.querySelector('#reference').getBoundingClientRect().bottom + scrollY"
    assert browser.run(end) <= 2 * 1080


def test_a_link_to_a_folded_section_unfolds_it(browser: Browser, site: Path) -> None:
    browser.open(site / "relu.html")
    browser.run("location.hash = '#source'")
    browser.run("return new Promise((done) => setTimeout(() => done(true), 100))")
    assert browser.run("return document.getElementById('source').checkVisibility()")


SYNONYMS = {
    "batchnorm": "batch_normalisation",
    "BatchNorm2d": "batch_normalisation",
    "BN": "batch_normalisation",
    "maxpool": "max_pooling",
    "MaxPool2d": "max_pooling",
    "softmax loss": "cross_entropy",
    "log loss": "cross_entropy",
    "rectifier": "relu",
    "LSTMCell": "lstm_cell",
}


@pytest.mark.parametrize(("word", "page"), SYNONYMS.items())
def test_search_knows_other_names(browser: Browser, site: Path, word: str, page: str) -> None:
    browser.open(site / "index.html")
    assert searched(browser, word)[:1] == [page]


EVERY_SYNONYM = {
    "batchnorm": "batch_normalisation",
    "conv2d": "convolution",
    "maxpool": "max_pooling",
    "linear": "affine",
    "dense": "affine",
    "LN": "layer_normalisation",
    "dropout": "multiply",
    "fully connected": "affine",
    "RMSNorm": "rms_normalisation",
    "nn.Embedding": "embedding",
    "Conv2DTranspose": "transposed_convolution",
}


def searched(browser: Browser, word: str) -> list[str]:
    """The names of the pages that a search finds, the best first."""
    browser.driver.find_element("id", "search").send_keys(word)
    found = browser.run("return [...document.querySelectorAll('#results a')].map((a) => a.href)")
    return [Path(link).stem for link in found]


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
    browser.run(OPEN)
    boxes = browser.run(
        "return [...document.querySelectorAll('.panel svg')].map((s) => s.getBBox().width)"
    )
    assert len(boxes) == 5 and min(boxes) > 0
