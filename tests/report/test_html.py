"""Pages: whole, self-contained, escaped, the same in every run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pullback.derivation import Check, Derivation, registry, show_bytes
from pullback.report.html import style
from pullback.report.notebook import fragment
from pullback.report.page import page, write_report
from tests.report.forms import FORMS, HOSTILE, derived, hostile

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Reader(HTMLParser):
    """The tags, attributes and text of a page; checks that tags are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data + " "


@pytest.mark.parametrize("name", FORMS)
def test_page_is_whole_and_names_every_value(name: str) -> None:
    made = derived(name)
    read = Reader(page(made, losses=[2.0, 1.0, 0.5], title="A title"))
    assert read.open == []
    assert "A title" in read.text
    backward = made.backward
    names = [t.name for t in (*backward.program.inputs, *backward.cotangents)]
    names += [s.target.name for s in (*backward.program.statements, *backward.statements)]
    spoken = " ".join(value or "" for key, value in read.attributes if key == "alttext")
    for value in names:
        assert re.search(rf"\b{re.escape(value)}\b", read.text + spoken), value


@pytest.mark.parametrize("name", FORMS)
def test_page_tells_of_every_step_and_its_check(name: str) -> None:
    made = derived(name)
    read = Reader(page(made))
    for step in made.steps:
        assert step.name in read.text
        assert str(step.check) in read.text


def test_page_fetches_nothing() -> None:
    for text in (page(derived("mlp"), losses=[1.0]), fragment(derived("mlp")), style()):
        rest = text.replace("http://www.w3.org/2000/svg", "").replace(
            "http://www.w3.org/1998/Math/MathML", ""
        )
        assert not re.search(r"https?:|//[a-z]|@import|url\(|\bsrc=|<script|<link|<img", rest)


def test_page_has_no_handler_and_its_links_lead_somewhere() -> None:
    read = Reader(page(derived("mlp"), losses=[1.0], extra={"Notes": "One.\n\nTwo."}))
    attributes = [(key, value or "") for key, value in read.attributes]
    assert not [key for key, _ in attributes if key.startswith("on")]
    targets = {value for key, value in attributes if key == "id"}
    links = [value for key, value in attributes if key == "href"]
    assert links and all(link[1:] in targets for link in links)
    assert re.search(r"Notes\s+One\.\s+Two\.", read.text)


def test_hostile_names_are_text_on_the_page() -> None:
    made = hostile()
    text = page(made, title=HOSTILE, extra={HOSTILE: HOSTILE}, losses={HOSTILE: [1.0, 2.0]})
    read = Reader(text)
    assert read.open == []
    assert "script" not in read.tags
    assert "alert('x')" in read.text
    assert not [key for key, _ in read.attributes if key.startswith("on")]


@pytest.mark.parametrize("name", FORMS)
def test_formulas_are_well_formed_and_speak(name: str) -> None:
    text = page(derived(name))
    found = re.findall(r"<math.*?</math>", text, re.DOTALL)
    assert len(found) >= 2 * len(derived(name).backward.statements)
    for markup in found:
        element = ElementTree.fromstring(markup)
        assert element.get("alttext")


def test_memory_of_the_page_is_that_of_the_derivation() -> None:
    big = {"N": 64, "D": 4096, "M": 4096}
    made = Derivation(derived("affine").backward, sizes=big, dtype="float32")
    read = Reader(fragment(made))
    assert "256 GiB" in read.text and "16 TiB" in read.text
    used = 4 * (2 * 64 * 4096 + 4096 * 4096)
    assert used == 66 * 2**20 and "66 MiB" in read.text
    assert show_bytes(made.residuals[0].size, big) in read.text


def test_a_failed_check_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Derivation(derived("softmax").backward)
    made.source("numpy")  # registers all services
    failed = [Check("failed", "it is wrong") for _ in made.backward.steps]
    monkeypatch.setitem(registry.SERVICES, "check_steps", lambda backward, seed: failed)
    text = page(made)
    assert "✗ it is wrong" in text and 'class="dot failed"' in text
    assert f"0 of {len(made.steps)}" in Reader(text).text


@pytest.mark.parametrize("name", FORMS)
def test_a_notebook_shows_formulas_first_and_little(name: str) -> None:
    made = derived(name)
    shown = fragment(made)
    read = Reader(shown)
    assert read.open == [] and "script" not in read.tags
    assert len(shown.encode()) <= 20_000
    assert shown.count("<math") >= len(made.backward.statements)
    if "<details" in shown:
        assert shown.rindex("<math") < shown.index("<details")


def test_parts_have_displays_of_their_own() -> None:
    made = derived("softmax")
    parts = [made.verify(), made.savings(), *made.steps[:3], made.jacobian()]
    for shown in (part._repr_html_() for part in parts):
        read = Reader(shown)
        assert read.open == [] and "script" not in read.tags
        assert len(shown.encode()) <= 20_000


def test_a_notebook_shows_a_batch_norm_in_20_kb_in_its_own_colours() -> None:
    from pullback import layers

    made = layers.batch_normalisation(dims=0).derive(2)
    shown = fragment(made)
    assert len(shown.encode()) <= 20_000
    assert "How it is found" in shown
    assert "--jp-content-font-color1" in shown and "light-dark(" not in shown
    assert not re.search(r"background:\s*#", shown), "the background is the notebook's"


def test_parts_print_on_one_screen() -> None:
    made = derived("softmax")
    shown = [repr(made.steps), repr(made.verify()), repr(made.residuals), str(made.savings())]
    shown += [str(made.jacobian()), str(made.verify())]
    for text in shown:
        assert len(text) < 40 * 100 and "Tensor(" not in text


def test_colours_are_defined_for_light_and_dark() -> None:
    css = style()
    used = set(re.findall(r"var\((--pb-[a-z]+)", css))
    for name in used:
        assert f"{name}: light-dark(" in css


def test_report_is_written_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.html"
    write_report(path, derived("softmax"), losses=[1.0, float("nan"), 0.5])
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and 'lang="en"' in text
    assert 'name="viewport"' in text and "<svg" in text


SCRIPT = """
import hashlib
from tests.report.forms import derived
from pullback.report.page import page
from pullback.report.text import markdown, text
made = derived("batch_norm")
parts = (page(made, losses=[1.0, 2.0]), text(made), markdown(made), made.latex())
print(hashlib.sha256("".join(parts).encode()).hexdigest())
"""


def test_output_does_not_depend_on_the_hash_seed() -> None:
    root = Path(__file__).parents[2]
    found = set()
    for seed in ("0", "1", "77"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{root / 'src'}:{root}"}
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True
        )
        found.add(run.stdout)
    assert len(found) == 1
