"""A derivation as HTML: sections with a style of their own, no script, nothing fetched.

Formulas are MathML, which browsers set by themselves; each carries its plain text for who can't see
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby

from ..derivation import Check, Derivation, ShownStep, shape_text, show_bytes
from ..ir.program import Define
from ..ir.sizes import size
from .mathml import math, text
from .outline import (
    Block,
    Cell,
    Formula,
    Line,
    Listing,
    Prose,
    Section,
    Table,
    Walk,
)
from .tex import Content, Typeset, lines
from .text import spell

WIDTH = 42.0  # em, above which a formula stands on several lines
KINDS = {"passed": "passed", "failed": "failed", "not checked": "open"}


def article(name: str, derivation: Derivation, inner: str, lead: str = "", nav: str = "") -> str:
    """The ``<article>`` around sections, with the style and the facts at a glance."""
    return (
        f'<article class="pullback"><style>{style()}</style><header><h1>{text(name)}</h1>'
        f'<p class="lead">{text(lead or _lead(derivation))}</p>{facts(derivation)}{nav}</header>'
        f"{inner}</article>"
    )


@cache
def style() -> str:
    """The style sheet."""
    return files(__package__).joinpath("style.css").read_text(encoding="utf-8")


def _lead(derivation: Derivation) -> str:
    outputs = ", ".join(t.name for t in derivation.backward.program.outputs)
    return (
        f"The backward pass of {outputs}: derived from its definition, step by step, "
        "without forming a Jacobian."
    )


def facts(derivation: Derivation) -> str:
    """What a reader wants to know first: statements, checks, memory."""
    tally = derivation.tally
    statements = len(derivation.passes.statements)
    found = [(str(statements), f"statement{'s' * (statements != 1)} in the backward pass")]
    if tally.total:
        found.append((f"{tally.passed} of {tally.total}", "steps of the derivation checked"))
    kept = sum((s.size for s in derivation.residuals if s.made), size(0))
    if not kept.names() or derivation.sizes:
        found.append((show_bytes(kept, derivation.sizes), "kept from the forward pass"))
    avoided = [j.size for j in derivation.avoided_jacobians]
    if avoided and all(n in derivation.sizes for j in avoided for n in j.names()):
        most = max(avoided, key=lambda j: j.value(derivation.sizes))
        found.append((show_bytes(most, derivation.sizes), "largest Jacobian, never formed"))
    items = (f"<li><b>{text(value)}</b><span>{text(what)}</span></li>" for value, what in found)
    return f'<ul class="facts">{"".join(items)}</ul>'


@dataclass(frozen=True)
class Hand:
    """How a page is written: the style of its formulas, and what draws one in it."""

    style: Typeset
    draw: Callable[[Content, Typeset], str]

    def formula(self, content: Content) -> str:
        """A formula on a line of its own, which scrolls where it is too wide."""
        return f'<div class="set">{self.draw(content, self.style)}</div>'


def by_mathml(style: Typeset) -> Hand:
    """Formulas as MathML, for which a browser needs nothing."""
    return Hand(style, _set)


def _set(content: Content, style: Typeset) -> str:
    return math(lines(content, style, WIDTH), alt=spell(content), block=True)


def section(part: Section, hand: Hand) -> str:
    """A titled part."""
    inner = blocks(part.blocks, hand)
    return f'<section id="{text(part.anchor)}"><h2>{text(part.title)}</h2>{inner}</section>'


def blocks(found: Iterable[Block], hand: Hand) -> str:
    """What stands in a section."""
    runs = groupby(found, key=_kind)
    return "".join(_run(kind, [_block(b, hand) for b in run]) for kind, run in runs)


def _kind(block: Block) -> str:
    """What blocks beside each other are put into one frame for."""
    if isinstance(block, Walk):
        return "parts" if block.inner else "walks"
    return "formulas" if isinstance(block, Formula) else ""


def _run(kind: str, drawn: list[str]) -> str:
    inner = "".join(drawn)
    if kind == "formulas":
        return f'<div class="formulas">{inner}</div>'
    if kind == "parts":
        count = "a part" if len(drawn) == 1 else f"{len(drawn)} parts"
        own = "its" if len(drawn) == 1 else "their"
        head = f"<summary>By way of {count} with no name of {own} own</summary>"
        return f'<details class="parts">{head}{inner}</details>'
    return inner


def _block(block: Block, hand: Hand) -> str:
    match block:
        case Prose(words):
            return f"<p>{text(words)}</p>"
        case Listing(source, label):
            return f"<p>{text(label)}.</p><pre><code>{_source(source)}</code></pre>"
        case Table():
            return _table(block, hand)
        case Formula():
            return _formula(block, hand)
        case Walk():
            return _walk(block, hand)


def _source(source: str) -> str:
    lines = []
    for line in source.rstrip().split("\n"):
        kind = line.lstrip().startswith("#")
        lines.append(f'<span class="comment">{text(line)}</span>' if kind else text(line))
    return "\n".join(lines)


def _formula(block: Formula, hand: Hand) -> str:
    about = [f"<b>{text(block.label)}</b>" if block.label else ""]
    about.append(f"<span>{text(block.shape)}</span>" if block.shape else "")
    about.append(f"<code>{text(block.origin)}</code>" if block.origin else "")
    matrix = ""
    if block.matrix is not None and block.matrix.plain != spell(block.content):
        matrix = f'<div class="matrix">{hand.formula(block.matrix)}</div>'
    return (
        f'<div class="formula"><div class="about">{"".join(about)}</div>'
        f"{hand.formula(block.content)}{matrix}</div>"
    )


def _walk(block: Walk, hand: Hand) -> str:
    name = f"<code>{text(block.gradient.name)}</code>"
    if block.gradient.name in hand.style.gradients:
        name = f'<span class="gradient">{name}</span>'
    head = f"<h3>{name}, the gradient of <code>{text(block.of.name)}</code></h3>"
    about = f"<span>{text(shape_text(block.gradient.shape))}</span>"
    steps = "".join(_line(line, k, hand) for k, line in enumerate(block.lines, 1))
    closing = f'<p class="closing">{text(block.closing)}.</p>' if block.closing else ""
    return (
        f'<details class="walk"><summary>{head}{about}</summary><ol>{steps}</ol>{closing}</details>'
    )


def _line(line: Line, number: int, hand: Hand) -> str:
    kind = KINDS[line.check.status] if line.check else ""
    mark = line.check.mark if line.check else str(number)
    dot = f'<span class="dot {kind}" aria-hidden="true">{text(mark)}</span>'
    why = f'<div class="why"><b>{text(line.name)}</b>{text(line.reason)}</div>'
    drawn = hand.formula(line.content)
    was = f'<div class="was">{hand.formula(line.before)}</div>' if line.before else ""
    rest = _check(line.check) + _folded(line.folded, hand)
    return f'<li class="line">{dot}{why}{was}{drawn}{rest}</li>'


def _check(check: Check | None) -> str:
    if check is None:
        return ""
    return f'<div class="check {KINDS[check.status]}">{text(str(check))}</div>'


def _folded(steps: tuple[ShownStep, ...], hand: Hand) -> str:
    if len(steps) < 2:
        return ""
    lines = "".join(
        f'<li class="line"><div class="why"><b>{text(step.name)}</b>{text(step.reason)}</div>'
        f"{hand.formula(step.later)}{_check(step.check)}</li>"
        for step in steps
    )
    head = f"<summary>{len(steps)} rewritings in one</summary>"
    return f'<details class="fold">{head}<ol>{lines}</ol></details>'


def _table(block: Table, hand: Hand) -> str:
    def mark(k: int) -> str:
        return ' class="number"' if k in block.numbers else ""

    head = "".join(f"<th{mark(k)}>{text(cell)}</th>" for k, cell in enumerate(block.head))
    rows = "".join(
        "<tr>"
        + "".join(f"<td{mark(k)}>{_cell(c, hand)}</td>" for k, c in enumerate(cells))
        + "</tr>"
        for cells in block.rows
    )
    inner = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="scroll"><table>{inner}</table></div>'


def _cell(cell: Cell, hand: Hand) -> str:
    match cell:
        case Check():
            return _check(cell)
        case Define():
            return hand.formula(cell)
        case _:
            name = ' class="gradient"' if cell in hand.style.gradients else ""
            return f"<span{name}>{text(cell)}</span>"
