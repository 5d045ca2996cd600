"""Terminal, plain text and Markdown."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pullback import derive
from pullback.derivation import Derivation, primed
from pullback.notation.latex import Latex
from pullback.notation.plain import show as plain
from pullback.report.outline import Chain, Walk, outline
from pullback.report.terminal import Terminal, show
from pullback.report.tex import sides
from pullback.report.text import markdown, spell, text
from tests.report.forms import FORMS, derived, hostile


def printed(made: Derivation, width: int, **options: object) -> str:
    file = io.StringIO()
    Console(file=file, width=width, **options).print(Terminal(made))  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize("name", FORMS)
def test_text_holds_every_statement_and_every_step(name: str) -> None:
    made = derived(name)
    found = text(made)
    for s in (*made.backward.program.statements, *made.backward.statements, *made.shared):
        assert plain(s) in found
    named = {s.target for s in made.backward.program.statements} | set(made.backward.program.inputs)
    for account in made.accounts:
        for step in account.steps if account.of in named else ():
            assert step.name in found and step.after in found
    assert str(made) == found


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", FORMS)
def test_terminal_keeps_to_the_width(name: str, width: int) -> None:
    lines = printed(derived(name), width).split("\n")
    assert max(map(len, lines)) <= width
    for s in derived(name).backward.statements:
        assert any(s.target.name[1:2] in line for line in lines)


def test_without_a_terminal_there_is_no_escape() -> None:
    assert "\x1b" not in printed(derived("softmax"), 80)
    file = io.StringIO()
    show(derived("softmax"), 80, file)
    assert "\x1b" not in file.getvalue()


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = printed(derived("softmax"), 80, force_terminal=True, color_system="standard")
    assert re.search("\x1b\\[[0-9;]*3[0-7]m", coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    plain_text = printed(derived("softmax"), 80, force_terminal=True)
    assert not re.search("\x1b\\[[0-9;]*3[0-7]m", plain_text)


def test_terminal_of_few_letters_gets_plain_formulas() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    Console(file=file, width=100).print(Terminal(derived("softmax")))
    file.flush()
    found = file.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert plain(derived("softmax").backward.statements[-1]) in found


def test_a_reason_is_given_once() -> None:
    reasons = [
        line.reason
        for s in outline(derived("mlp"))
        for b in s.blocks
        if isinstance(b, Walk)
        for line in b.lines
        if line.name == "element by element"
    ]
    assert len(reasons) > 1
    assert text(derived("mlp")).count(reasons[0]) == 1


def test_what_terminals_obey_is_not_passed_on() -> None:
    assert "\x1b" not in printed(hostile(), 100) and "\x00" not in printed(hostile(), 100)
    assert "\x00" not in text(hostile())


# Walks


@pytest.mark.parametrize("name", FORMS)
def test_a_walk_goes_from_the_chain_rule_to_the_result(name: str) -> None:
    made = derived(name)
    walks = [b for s in outline(made) for b in s.blocks if isinstance(b, Walk)]
    assert len(walks) == len(made.accounts)
    final = {s.target.name: s for s in made.backward.statements}
    for walk in walks:
        names = [line.name for line in walk.lines]
        assert "element by element" in names
        target = final.get(walk.gradient.name)
        written = [spell(line.content) for line in walk.lines]
        if target is None:
            assert walk.closing
        else:
            assert plain(primed(target)) in written


def test_chain_rule_sums_over_the_readers() -> None:
    walks = [b for s in outline(derived("batch_norm")) for b in s.blocks if isinstance(b, Walk)]
    (x,) = [w for w in walks if w.of.name == "X"]
    chain = next(spell(line.content) for line in x.lines if line.name == "chain rule")
    assert re.fullmatch(
        r"dX\[n,d\] = sum\(d'\) dmu\[d'\]\*∂mu\[d'\]/∂X\[n,d\] \+ "
        r"sum\(n',d'\) dc\[n',d'\]\*∂c\[n',d'\]/∂X\[n,d\]",
        chain,
    )


def twice(x: Any) -> Any:
    y = np.exp(x)
    return y, y * x


def test_chain_rule_of_an_output_that_is_read_again_begins_with_what_arrives_at_it() -> None:
    walks = [b for s in outline(derive(twice, x="N")) for b in s.blocks if isinstance(b, Walk)]
    lines = {w.of.name: line for w in walks for line in w.lines if line.name == "chain rule"}
    assert spell(lines["y"].content) == "dy2[n] = dy[n] + sum(n') dY[n']*∂Y[n']/∂y[n]"
    assert spell(lines["x"].content).startswith("dx[n] = sum(n') ")
    content = lines["y"].content
    assert isinstance(content, Chain)
    assert sides(content, Latex())[1].startswith(Latex().show(content.given[0]) + " + ")


# Markdown


@pytest.mark.parametrize("name", FORMS)
def test_markdown_holds_every_formula_in_code(name: str) -> None:
    made = derived(name)
    found = markdown(made)
    fences = re.findall(r"^ *```\w+\n(.*?)^ *```$", found, re.DOTALL | re.MULTILINE)
    inside = "\n".join(fences)
    for s in made.backward.statements:
        assert plain(s) in inside
    assert found.startswith("# Gradient")
    rows = [line for line in found.split("\n") if line.startswith("|")]
    assert rows and all(row.endswith("|") for row in rows)


def test_hostile_names_are_no_markup() -> None:
    found = markdown(hostile())
    outside = re.sub(r"^ *(`{3,}).*?^ *\1$", "", found, flags=re.DOTALL | re.MULTILINE)
    outside = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", outside)
    assert "<script" not in outside.replace("\\<script", "")
