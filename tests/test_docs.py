"""What the README and the documentation show is what happens.

In every page: ``python`` blocks run one after the other in one namespace, prompts with their
output compared, and so is an ``output`` block (of any kind) with what the block before it printed;
``index`` blocks are parsed, ``index-refused`` blocks are refused; commands of ``console`` blocks
that start with ``$ pullback`` run, their output compared. Docstring examples of the sources run
with the tests, by pytest's own --doctest-modules.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pullback.calculus.conventions import CONVENTIONS
from pullback.cli import main
from pullback.errors import NotationError
from pullback.notation.parse import parse

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FENCE = re.compile(r"^```([a-z -]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
OUTPUTS = {"python output", "text output", "latex output"}
KINDS = {"python", "index", "index-refused", "console", "bash", *OUTPUTS}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 2)
        for match in FENCE.finditer(text)
    ]


def of_kind(kind: str) -> list[Any]:
    """The blocks of one kind, each with its place."""
    return [
        pytest.param(block.text, id=f"{page.name}:{block.line}")
        for page in PAGES
        for block in blocks(page)
        if block.kind == kind
    ]


def run_python(block: Block, page: Path, scope: dict[str, object]) -> str:
    """Runs a block, returns what it printed; where it has prompts, that is compared."""
    if ">>>" not in block.text:
        printed = io.StringIO()
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, scope)
        return printed.getvalue()
    test = doctest.DocTestParser().get_doctest(
        block.text, scope, page.name, str(page), block.line - 1
    )
    test.globs = scope
    report = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=report.write, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0, report.getvalue()
    return ""


def assert_shown(expected: str, found: str) -> None:
    """Compares outputs; ``...`` stands for anything."""
    equal = doctest.OutputChecker().check_output(expected, found, FLAGS)
    assert equal, f"expected:\n{expected}\nfound:\n{found}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_do_what_they_show(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {"__name__": "snippet"}
    printed = ""
    for block in blocks(page):
        if block.kind == "python":
            printed = run_python(block, page, scope)
        elif block.kind in OUTPUTS:
            assert_shown(block.text, printed)


@pytest.mark.parametrize("text", of_kind("index"))
def test_index_blocks_parse(text: str) -> None:
    assert parse(text).statements


@pytest.mark.parametrize("text", of_kind("index-refused"))
def test_refused_index_blocks_are_refused(text: str) -> None:
    with pytest.raises(NotationError):
        parse(text)


@pytest.mark.parametrize("text", of_kind("console"))
def test_console_blocks_do_what_they_show(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for command, expected in commands(text):
        found = io.StringIO()
        with contextlib.redirect_stdout(found), contextlib.redirect_stderr(found):
            status = main(shlex.split(command)[1:])
        assert status in (0, 1), found.getvalue()
        assert_shown(expected, found.getvalue())


def commands(text: str) -> list[tuple[str, str]]:
    """The ``$ pullback`` commands of a console block, each with the output shown below it."""
    parts = re.split(r"^\$ (.*(?:\\\n.*)*)\n", text, flags=re.MULTILINE)
    found = zip(parts[1::2], parts[2::2], strict=True)
    return [
        (command.replace("\\\n", " "), expected)
        for command, expected in found
        if command.startswith("pullback ")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_have_a_known_kind_and_links_lead_somewhere(page: Path) -> None:
    assert {block.kind for block in blocks(page)} <= KINDS
    text = page.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert missing == []


def test_every_convention_and_choice_is_documented() -> None:
    page = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
    for name, choices in CONVENTIONS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        assert [choice for choice in choices if f"`{choice}`" not in row] == []
