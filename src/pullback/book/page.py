"""The page of one layer."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..calculus.cost import TYPICAL
from ..derivation import Derivation, Verification
from ..report.html import Hand, blocks, facts
from ..report.mathml import text
from ..report.outline import Block, Formula, Listing, Prose, Section, Table, outline
from .chapter import Chapter, Part
from .forms import Form, forms
from .formulas import by_katex, prose
from .measure import DRAWS, Error, errors
from .picture import backward_pictures, forward_picture
from .reads import reads
from .subject import Subject

# Statements of a backward pass that the table of layers shows in full.
BRIEF = 6
MANY = 1e7
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class LayerPage:
    """What stands on the page of a layer, and what the rest of the book says of it.

    ``gradients`` are the formulas of the gradients for the table of all layers, ``failed`` names
    the checks that did not pass.
    """

    name: str
    title: str
    group: str
    summary: str
    chapter: Chapter
    gradients: str
    words: str
    failed: tuple[str, ...]


def layer_page(subject: Subject) -> LayerPage:
    """Derives, draws, checks and measures a layer."""
    derived = subject.derived
    hand = by_katex(derived)
    sections = {part.anchor: part for part in outline(derived, source=False)}
    verification = derived.verify()
    parts = [
        Part("definition", "Definition", _definition(subject, sections, hand)),
        Part("picture", "What is read, what flows back", _pictures(subject)),
        *_taken(sections, "backward", "Backward pass", hand),
        *_taken(sections, "steps", "How it is found", hand),
        Part("checks", "Checks", blocks(_checks(verification), hand)),
        *_taken(sections, "dimensions", "Dimension analysis", hand),
        *_taken(sections, "memory", "Residuals and Jacobians", hand),
        Part("source", "Source beside the formulas", _source(derived, hand)),
        Part("form", "Why this form", blocks(_why(forms(derived)), hand)),
        Part("error", "Numerical error", blocks(_error(errors(derived, subject.example)), hand)),
        Part("edges", "Kinks and edges", _edges(subject, sections, hand)),
        Part("options", "Options", blocks(_options(subject), hand)),
    ]
    return LayerPage(
        subject.name,
        subject.title,
        subject.group,
        subject.summary,
        Chapter(_lead(subject), tuple(part for part in parts if part.inner)),
        _gradients(derived, hand),
        " ".join([subject.summary, *subject.about, *subject.notes, subject.text]),
        tuple(f"{name}: {check.how}" for name, check in verification.failures),
    )


def _taken(sections: dict[str, Section], anchor: str, title: str, hand: Hand) -> list[Part]:
    """A section of the report's outline."""
    if anchor not in sections:
        return []
    return [Part(anchor, title, blocks(sections[anchor].blocks, hand))]


def _lead(subject: Subject) -> str:
    typical = dict.fromkeys(_names(subject.derived), TYPICAL)
    summary = f'<p class="summary">{prose(subject.summary)}</p>'
    paragraphs = summary + "".join(f"<p>{prose(part)}</p>" for part in subject.about)
    glance = facts(replace(subject.derived, sizes=typical))
    note = f"<p class='small'>Bytes are in float64 with every named size {TYPICAL}.</p>"
    return paragraphs + glance + (note if typical else "")


def _names(derivation: Derivation) -> tuple[str, ...]:
    inputs = derivation.backward.program.inputs
    return tuple(dict.fromkeys(n for t in inputs for e in t.shape for n in e.names()))


def _definition(subject: Subject, sections: dict[str, Section], hand: Hand) -> str:
    derived = subject.derived
    found: list[Block] = []
    for block in sections["forward"].blocks:
        if isinstance(block, Formula):
            block = replace(block, matrix=derived.matrix(block.content), origin="")
        found.append(block)
    chosen = ", ".join(f"{name} = {value!r}" for name, value in subject.example.options.items())
    if chosen:
        found.insert(0, Prose(f"Shown with {chosen}."))
    found.append(Listing(subject.text, f"As it is written, in {subject.written}"))
    return blocks(found, hand)


def _pictures(subject: Subject) -> str:
    found = reads(subject.derived.backward.program, subject.example.arrays())
    lead = (
        "<p>At the shapes of the example, found by running the definition element by element.</p>"
    )
    return (
        lead + forward_picture(subject.derived, found) + backward_pictures(subject.derived, found)
    )


def _checks(verification: Verification) -> Iterator[Block]:
    tally = verification.tally
    yield Prose(
        f"{tally.passed} of {tally.total} steps passed: what stands after each equals what "
        "stood before, exactly modulo a prime or in 50-digit decimals. "
        "The whole was checked against:"
    )
    whole = verification.checks[verification.steps :]
    yield Table(("what", "result"), tuple((name, check) for name, check in whole))


def _source(derived: Derivation, hand: Hand) -> str:
    source = derived.source("numpy")
    formulas = {
        "forward": [Formula(s) for s in derived.forward.statements],
        "backward": [Formula(s) for s in derived.backward.statements],
    }
    out = []
    for name, code in _functions(source):
        beside = blocks(formulas[name], hand) if name in formulas else ""
        listing = f"<pre><code>{_code(code)}</code></pre>"
        out.append(f'<div class="beside"><div>{beside}</div>{listing}</div>' if beside else listing)
    return "".join(out)


def _functions(source: str) -> Iterator[tuple[str, str]]:
    """The top-level functions of a module, each with its name, and what stands before them."""
    lines = source.rstrip().split("\n")
    start = 0
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            before = "\n".join(lines[start : node.lineno - 1]).strip()
            if before:
                yield "", before
            yield node.name, "\n".join(lines[node.lineno - 1 : node.end_lineno])
            start = node.end_lineno or start


def _code(source: str) -> str:
    return "\n".join(
        f'<span class="comment">{text(line)}</span>'
        if line.lstrip().startswith("#")
        else text(line)
        for line in source.split("\n")
    )


def _why(found: Sequence[Form]) -> Iterator[Block]:
    yield Prose(
        "What all gradients together cost in other forms: operations and reads, weighted, with "
        f"every named size {TYPICAL}. While deriving, forms are compared term by term: the "
        "cheaper one is taken, of equals the one with fewer made-up names, then the shorter."
    )
    least = found[-1].cost or 1
    rows = [
        (form.name, form.what, _many(form.cost), f"{_many(form.cost / least)} ×",
         _many(form.elements)) for form in found
    ]  # fmt: skip
    yield Table(
        ("form", "what it is", "cost", "of ours", "elements stored"), tuple(rows), (2, 3, 4)
    )


def _many(value: float) -> str:
    """A count or a ratio, in three digits where it is long: ``4.4·10¹²``."""
    if value < MANY:
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    digits, _, exponent = f"{value:.2e}".partition("e")
    return f"{digits}·10{str(int(exponent)).translate(RAISED)}"


def _error(found: Sequence[Error]) -> Iterator[Block]:
    yield Prose(
        f"The worst of {DRAWS} draws of the example's arrays. Float32 is compared with float64 on "
        "the same numbers: in units in the last place of the element (of those not below 1 % of "
        "the largest), and relative to the largest element. Float64 is compared with extrapolated "
        "differences of the forward pass, away from kinks."
    )
    rows = [
        (error.name, _figure(error.ulp, ".3g"), _figure(error.relative, ".1e"),
         _figure(error.differences, ".1e")) for error in found
    ]  # fmt: skip
    head = ("gradient of", "float32, ulp", "float32, relative", "float64, differences")
    yield Table(head, tuple(rows), (1, 2, 3))


def _figure(value: float, form: str) -> str:
    return "–" if value != value else "0" if value == 0 else format(value, form)


def _edges(subject: Subject, sections: dict[str, Section], hand: Hand) -> str:
    notes = "".join(f"<li>{prose(note)}</li>" for note in subject.notes)
    listed = f'<ul class="notes">{notes}</ul>' if notes else ""
    kinks = blocks(sections["conventions"].blocks, hand) if "conventions" in sections else ""
    return listed + kinks


def _options(subject: Subject) -> Iterator[Block]:
    if not subject.options:
        yield Prose("It has no options.")
    else:
        yield Table(("option", "default", "checked at"), subject.options)
    count = len(subject.examples)
    yield Prose(
        f"Checked at {count} example{'s' * (count != 1)}: "
        + "; ".join(_example(subject, k) for k in range(count))
        + "."
    )


def _example(subject: Subject, k: int) -> str:
    example = subject.examples[k]
    shapes = ", ".join(
        f"{n} {'×'.join(map(str, s)) or 'a number'}" for n, s in example.shapes.items()
    )
    options = ", ".join(f"{n}={v!r}" for n, v in example.options.items())
    return f"{shapes} ({options})" if options else shapes


def _gradients(derived: Derivation, hand: Hand) -> str:
    """The backward pass for the table of layers; of a long one only the gradients."""
    backward = derived.backward
    shown = [s for s in backward.statements if s.target in backward.gradients]
    whole = backward.statements if len(backward.statements) <= BRIEF else shown
    return "".join(map(hand.formula, whole))
