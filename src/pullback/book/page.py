"""The page of one layer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..calculus.cost import TYPICAL
from ..derivation import Derivation, Verification, primed, shape_text, show_bytes
from ..graph import page as stepping
from ..ir.expr import Arg
from ..ir.program import Define, Program
from ..ir.sizes import size
from ..ir.walk import nodes
from ..layers import LAYERS
from ..layers.lessons import called
from ..report.html import Hand, blocks, facts
from ..report.mathml import text
from ..report.outline import Block, Formula, Listing, Prose, Section, Table, Walk, outline
from . import dependence, exercises, mistakes, reduces
from .chapter import Chapter, Part
from .forms import Form, forms
from .formulas import by_katex, prose
from .measure import DRAWS, Error, errors
from .picture import backward_pictures, forward_picture
from .reads import reads
from .subject import Subject

# Statements of a backward pass that the table of layers shows in full.
BRIEF = 3
LONG = 8  # statements of a backward pass, above which what explains it is folded
OPENED = 14  # gates up to which functions can be opened into theirs
MANY = 1e7
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class LayerPage:
    """What stands on the page of a layer, and what the rest of the book says of it.

    ``gradients`` are the formulas of the gradients for the table of all layers, ``names`` other
    names that the search finds it by, ``failed`` the checks that did not pass.
    """

    name: str
    title: str
    group: str
    summary: str
    chapter: Chapter
    gradients: str
    words: str
    names: tuple[str, ...]
    failed: tuple[str, ...]


def layer_page(subject: Subject) -> LayerPage:
    """Derives, explains, draws, checks and measures a layer."""
    derived, taught = subject.derived, subject.taught
    hand = by_katex(taught)
    own = hand if taught is derived else by_katex(derived)
    explained = {part.anchor: part for part in outline(taught, source=False)}
    sections = {part.anchor: part for part in outline(derived, source=False)}
    verification = derived.verify()
    parts = [
        Part("three", "In three lines", _three(subject, hand)),
        *_worked(subject, explained, hand),
        *(
            replace(part, reference=True)
            for part in _reference(subject, sections, own, verification)
        ),
    ]
    return LayerPage(
        subject.name,
        subject.title,
        subject.group,
        subject.lesson.idea or subject.summary,
        Chapter(_lead(subject), tuple(part for part in parts if part.inner)),
        _gradients(taught, hand),
        " ".join([subject.summary, *subject.about, *subject.notes, subject.text]),
        (*subject.lesson.also, *called(subject.name)),
        (*_failed(verification), *_disagreeing(subject)),
    )


def _reference(
    subject: Subject, sections: dict[str, Section], hand: Hand, verification: Verification
) -> list[Part]:
    """The part of the page that is looked up: of the layer as it runs."""
    derived = subject.derived
    found = [
        Part("definition", "Definition", _definition(subject, sections, hand)),
        Part("picture", "What is read, what flows back", _pictures(subject)),
        *_taken(sections, "backward", "Backward pass", hand),
        Part("checks", "Checks", blocks(_checks(verification, subject), hand)),
        *_taken(sections, "dimensions", "Dimension analysis", hand),
        *_taken(sections, "memory", "Residuals and Jacobians", hand),
        Part("source", "Source beside the formulas", _source(derived, hand)),
        Part("form", "Why this form", blocks(_why(forms(derived)), hand)),
        Part("error", "Numerical error", blocks(_error(errors(derived, subject.example)), hand)),
        Part("edges", "Kinks and edges", _edges(subject, sections, hand)),
        Part("options", "Options", blocks(_options(subject), hand)),
    ]
    return [replace(part, reference=True) for part in found]


def _failed(verification: Verification) -> tuple[str, ...]:
    return tuple(f"{name}: {check.how}" for name, check in verification.failures)


def _disagreeing(subject: Subject) -> tuple[str, ...]:
    """What the page's numbers contradict: the gradients of the layer that they are the textbook's
    of, or the graph's own."""
    case = subject.case
    if case is None:
        return ()
    found = [f"numbers of {c.name}: {c.difference:g}" for c in case.numbers.checks if not c.holds]
    if subject.taught is not subject.derived:
        layer = replace(case, derived=subject.derived).numbers
        for t in subject.derived.backward.wrt:
            ours, theirs = layer.gradients[t.name], case.numbers.gradients[t.name]
            if not np.allclose(ours, theirs, rtol=1e-9, atol=1e-9):
                found.append(f"the textbook's gradient of {t.name} is not the layer's")
    return tuple(found)


def _worked(subject: Subject, explained: dict[str, Section], hand: Hand) -> list[Part]:
    """The part of the page that teaches, in the order in which a person would find it."""
    taught, case = subject.taught, subject.case
    walks = {
        block.gradient.name: block for block in explained["steps"].blocks if isinstance(block, Walk)
    } if "steps" in explained else {}  # fmt: skip
    long = len(taught.backward.statements) > LONG
    jacobian = dependence.dependence(taught, case)
    fills = exercises.section(taught, case, walks, hand) if case is not None else ""
    wrong = mistakes.section(taught, case) if case is not None else ""
    count = fills.count("<form ")
    return [
        Part("numbers", "With numbers", _numbers(subject)),
        Part(
            "jacobian", "The local Jacobian", jacobian,
            "For each input, with its entries." if long else "",
        ),
        Part(
            "reduces", "What reduces where", blocks(reduces.where(taught), hand),
            "Who mixes rows, what is saved." if long else "",
        ),
        *_taken(
            explained, "steps", "How you would find it yourself", hand,
            "One gradient after the other.",
        ),
        Part(
            "exercises", "Your turn", fills,
            f"{count} gradient{'s' * (count != 1)} to fill in, checked here.",
        ),
        Part(
            "mistakes", "Common mistakes, caught", wrong,
            "Wrong lines, refuted by differences.",
        ),
    ]  # fmt: skip


def _three(subject: Subject, hand: Hand) -> str:
    """Forward, backward, what is saved."""
    taught = subject.taught
    program = taught.forward
    parts = [s for s in taught.shared if program.definition(s.target) is None]
    forward = [hand.formula(primed(s)) for s in (*program.statements, *parts)]
    backward = [hand.formula(primed(s)) for s in taught.passes.statements]
    rows = (
        ("forward", "b", _first(forward, "line") + _positions(parts)),
        ("backward", "g", _first(backward, "gradient")),
        ("saved", "", f"<p>{_kept(subject)}</p>"),
    )
    items = "".join(
        f'<div><dt class="{kind}">{name}</dt><dd>{inner}</dd></div>' for name, kind, inner in rows
    )
    return f'<dl class="card three">{items}</dl>'


def _positions(parts: Sequence[Define]) -> str:
    """What an argmax is, where the way back reads one."""
    found = [s.target.name for s in parts if any(isinstance(n, Arg) for n in nodes(s.body))]
    if not found:
        return ""
    return text_in(
        f"{listed(found)}: where in its range the greatest (or least) element stands, counted from "
        "0; at a tie, the first. It is a whole number, so it has no gradient of its own: it only "
        "says where the gradient goes."
    )


def text_in(words: str) -> str:
    """A quiet paragraph."""
    return f'<p class="quiet">{text(words)}</p>'


def _first(lines: Sequence[str], what: str) -> str:
    """The lines, of many the first ones with the others folded."""
    if len(lines) <= 2 * BRIEF:
        return "".join(lines)
    rest = "".join(lines[BRIEF:])
    more = f"{len(lines) - BRIEF} more {what}s"
    return (
        "".join(lines[:BRIEF]) + f"<details class='more'><summary>{more}</summary>{rest}</details>"
    )


def _kept(subject: Subject) -> str:
    """What the backward pass needs of the forward pass, in words."""
    taught, case = subject.taught, subject.case
    made = [s for s in taught.residuals if s.made]
    inputs = [s.tensor.name for s in taught.residuals if not s.made]
    there = f" {listed(inputs)} {'is' if len(inputs) == 1 else 'are'} there anyway." * bool(inputs)
    if not made:
        return text(f"Nothing.{there}" if inputs else "Nothing: it reads none of the numbers.")
    names = listed([f"{s.tensor.name} {shape_text(s.tensor.shape)}" for s in made])
    total = sum((s.size for s in made), size(0))
    here = ""
    if case is not None and all(name in case.sizes for name in total.names()) and total.names():
        here = f", {show_bytes(total, case.sizes)} at the numbers below"
    amount = show_bytes(total, {}).replace("*", "·")
    return text(f"{names}: {amount} in float64{here}.{there}")


def listed(words: Sequence[str]) -> str:
    """Words as a sentence has them: ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), *words[-1:]] if len(words) > 1 else words)


def _numbers(subject: Subject) -> str:
    """The worked example on its graph, to step through."""
    case = subject.case
    if case is None:
        return ""
    shown = case.numbers
    variants = stepping.variants_of(shown)
    if len(shown.nodes) > OPENED:
        variants = variants[:1]
    lead = (
        "<p>Values go forward along solid lines, gradients come back along dashed ones; the graph "
        "shows two digits behind the point, sentences four.</p>"
    )
    chosen = ", ".join(f"{n} = {v!r}" for n, v in subject.lesson.options.items())
    options = f'<p class="quiet">Here with {text(chosen)}.</p>' if chosen and case.arrays else ""
    return f"{lead}{options}{stepping.stepper(variants)}"


def _taken(
    sections: dict[str, Section], anchor: str, title: str, hand: Hand, teaser: str = ""
) -> list[Part]:
    """A section of the report's outline."""
    if anchor not in sections:
        return []
    return [Part(anchor, title, blocks(sections[anchor].blocks, hand), teaser)]


def _lead(subject: Subject) -> str:
    """The idea, other names and links, before the first section."""
    lesson = subject.lesson
    idea = prose(lesson.idea or subject.summary)
    for word, kind in (("orward", "b"), ("ackward", "g")):
        idea = re.sub(rf"\b([FfBb]{word})\b", rf'<b class="{kind}">\1</b>', idea)
    out = f'<p class="idea">{idea}</p>'
    out += "".join(f"<p>{prose(part)}</p>" for part in subject.about)
    if lesson.also:
        out += f'<p class="small">Also called {text(", ".join(lesson.also))}.</p>'
    links = [
        f'<a href="{name}.html">{text(LAYERS[name].title)}</a> ({prose(words)})'
        for name, words in lesson.see
        if name in LAYERS
    ]
    return out + (f'<p class="see">See also {", ".join(links)}.</p>' if links else "")


def sizes_of(program: Program) -> tuple[str, ...]:
    """The named sizes of a program's inputs."""
    return tuple(dict.fromkeys(n for t in program.inputs for e in t.shape for n in e.names()))


def _definition(subject: Subject, sections: dict[str, Section], hand: Hand) -> str:
    derived = subject.derived
    typical = dict.fromkeys(sizes_of(derived.backward.program), TYPICAL)
    found: list[Block] = [Prose(subject.summary)] if subject.summary else []
    for block in sections["forward"].blocks:
        if isinstance(block, Formula):
            block = replace(block, matrix=derived.matrix(block.content), origin="")
        found.append(block)
    chosen = ", ".join(f"{name} = {value!r}" for name, value in subject.example.options.items())
    if chosen:
        found.insert(0, Prose(f"Shown with {chosen}."))
    found.append(Listing(subject.text, f"As it is written, in {subject.written}"))
    glance = facts(replace(derived, sizes=typical))
    note = f"<p class='small'>Bytes are in float64 with every named size {TYPICAL}.</p>"
    return blocks(found, hand) + glance + (note if typical else "")


def _pictures(subject: Subject) -> str:
    found = reads(subject.derived.backward.program, subject.example.arrays())
    lead = (
        "<p>At the shapes of the example, found by running the definition element by element.</p>"
    )
    return (
        lead + forward_picture(subject.derived, found) + backward_pictures(subject.derived, found)
    )


def _checks(verification: Verification, subject: Subject) -> Iterator[Block]:
    if subject.taught is not subject.derived:
        yield Prose(
            "The page explains the textbook's definition. The layer computes the same with more "
            "care for rounding; both have the same gradients at the numbers above, which was "
            "compared, and the layer's own were checked:"
        )
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
        "backward": [Formula(s) for s in derived.passes.statements],
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
    ours = found[-1]
    cheaper = [form.name for form in found[:-1] if form.cost < ours.cost]
    taken = (
        f"The form that is used is not the cheapest by this count: {listed(cheaper)} is cheaper. "
        "Forms are compared term by term while deriving, and names of the program's own count."
        if cheaper
        else "The form that is used is the cheapest of them."
    )
    yield Prose(
        "What all gradients together cost in other forms: operations and reads, weighted, with "
        f"every named size {TYPICAL}. {taken}"
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
    return "".join(hand.formula(primed(s)) for s in whole)
