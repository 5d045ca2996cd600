"""What a notebook shows of a derivation and of its parts: formulas first, the rest folded.

The colours are those of the notebook: text and background are inherited, and a gradient's colour is
mixed with that of the text, so that both can be read on light and on dark. Formulas are MathML, for
which a notebook needs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..derivation import Check, Derivation, ShownStep, Verification, verdict
from ..errors import PullbackError
from .html import KINDS, Hand, by_mathml, facts
from .mathml import text
from .outline import Formula, Section, outline, title
from .tex import Typeset, typeset
from .text import safe, sections

MOST = 20_000  # bytes, above which the folded part says only how to print it
STYLE = """
.pb-out{color:var(--jp-content-font-color1,var(--vscode-editor-foreground,inherit));background:none;text-align:left}
.pb-out .gradient{color:color-mix(in srgb,currentColor 35%,#e0338a)}
.pb-out .passed{color:color-mix(in srgb,currentColor 40%,#1a9c5a)}
.pb-out .failed{color:color-mix(in srgb,currentColor 25%,#e03a2e)}
.pb-out .quiet{opacity:.75;font-size:.92em}
.pb-out .set{overflow-x:auto;padding:.2em 0}
.pb-out math{font-size:1.08em}
.pb-out summary{cursor:pointer;padding:.25em 0}
.pb-out pre{overflow-x:auto;font-size:.88em;line-height:1.45;background:none;color:inherit;margin:0}
.pb-out table{border-collapse:collapse;color:inherit}
.pb-out :is(td,th){padding:.2em .9em .2em 0;text-align:left;background:none}
.pb-out ul{list-style:none;padding:0;margin:.3em 0;display:flex;flex-wrap:wrap;gap:.1em 1.4em}
.pb-out li b{margin-right:.35em}
""".strip().replace("\n", "")


def framed(inner: str) -> str:
    """An output cell's HTML."""
    return f'<div class="pb-out"><style>{STYLE}</style>{inner}</div>'


def fragment(derivation: Derivation) -> str:
    """A derivation: its forward and its backward pass as formulas, all else folded as text."""
    hand = by_mathml(typeset(derivation))
    parts = {part.anchor: part for part in outline(derivation, source=False)}
    head = f"<b>{text(title(derivation))}</b>{facts(derivation)}"
    passes = "".join(_formulas(parts[name], hand) for name in ("forward", "backward"))
    rest = [part for anchor, part in parts.items() if anchor not in ("forward", "backward")]
    written = "\n".join(sections(rest)).strip()
    made = framed(head + passes + _folded("How it is found, dimensions, memory, kinks", written))
    if len(made.encode()) <= MOST:
        return made
    counted = f"{derivation.tally}. print(derivation) shows the steps, dimensions and memory."
    return framed(f'{head}{passes}<p class="quiet">Steps checked: {text(counted)}</p>')


def _formulas(part: Section, hand: Hand) -> str:
    inner = "".join(hand.formula(b.content) for b in part.blocks if isinstance(b, Formula))
    return f'<div class="quiet">{text(part.title)}</div>{inner}'


def _folded(head: str, written: str) -> str:
    return f"<details><summary>{text(head)}</summary><pre>{text(written)}</pre></details>"


def step(shown: ShownStep) -> str:
    """A step: what it is called and why, the two forms, its check."""
    inner = "".join(map(by_mathml(Typeset()).formula, (shown.earlier, shown.later)))
    why = f"<div><b>{text(shown.name)}</b> {text(shown.reason)}</div>"
    return framed(f"{why}{inner}{_check(shown.check)}")


def _check(check: Check) -> str:
    return f'<div class="{KINDS[check.status]}">{text(str(check))}</div>'


def verification(found: Verification) -> str:
    """A report of checks: the verdict and the checks of the whole, the steps folded."""
    whole = found.checks[found.steps :]
    rows = [(name, check.mark, check.how) for name, check in whole]
    steps = "\n".join(f"{c.mark} {name}: {c.how}" for name, c in found.checks[: found.steps])
    tally = found.tally
    head = f"{tally.passed} of {tally.total} steps passed"
    kind = KINDS[found.status]
    said = f'<div class="{kind}"><b>{text(verdict(found.status))}</b></div>'
    return framed(said + table(("check", "", "how"), rows) + _folded(head, steps))


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of texts."""
    top = "".join(f"<th>{text(cell)}</th>" for cell in head)
    inner = "".join(
        "<tr>" + "".join(f"<td>{text(safe(str(cell)))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{inner}</tbody></table>"


def choices(head: Sequence[str], rows: Sequence[Sequence[Any]], said: str) -> str:
    """What could be saved, as a table."""
    return framed(f'{table(head, rows)}<p class="quiet">{text(said)}</p>')


def jacobian(shown: Any) -> str:
    """A Jacobian: its lines of text and, where it has one, the picture of where it is not 0."""
    written = f"<pre>{text(safe_lines(str(shown)))}</pre>"
    try:
        picture = shown.picture()
    except PullbackError:  # a composition has no pattern that is known
        return framed(written)
    return framed(
        f"{written}<details><summary>Where it can be nonzero</summary>{picture}</details>"
    )


def safe_lines(words: str) -> str:
    """Lines without what a terminal would obey."""
    return "\n".join(map(safe, words.split("\n")))
