"""Common mistakes in a backward pass: from the list that the red pen tries, each as caught."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from ..derivation import Derivation
from ..errors import PullbackError
from ..ir.expr import Expr, Number, Reduce, SizeOf, Tensor
from ..ir.interpret import run
from ..ir.program import Define, Program, reads
from ..ir.walk import accesses, nodes
from ..notation.plain import show
from ..report.mathml import text
from ..verify.redpen.changes import Change, changes
from .case import Case
from .misread import misread

Array = np.ndarray[Any, Any]

SHOWN = 3
TRIED = 60  # changes of one gradient that are evaluated
STEP = 1e-5  # of the differences
APART = 1e-3  # relative, from where on values differ visibly
# The kinds that people make most, in the order in which they are shown.
KINDS = ("coefficient", "factor", "mask", "power", "order", "operand", "function", "twice")


@dataclass(frozen=True)
class Mistake:
    """A wrong statement, what is wrong with it in words, of which kind that is."""

    wrong: Define
    words: str
    kind: str


def mistakes(statement: Define, known: Sequence[Tensor]) -> Iterator[Mistake]:
    """What is often written in the place of a statement, by the red pen's list of changes.

    >>> from pullback.notation.parse import parse
    >>> (s,) = parse("db[m] = sum(n) dY[n,m]*X[n,m]").statements
    >>> [found.words for found in mistakes(s, ())][:2]
    ['The factor dY[n,m] is missing.', 'The factor X[n,m] is missing.']
    """
    elsewhere = [Mistake(wrong, words, kind) for words, wrong, kind in misread(statement)]
    changed = _changed(statement, known)
    moved = len(accesses(statement.body)) == 1  # it only moves elements
    told: set[str | Expr] = set()
    for found in chain(elsewhere, changed) if moved else chain(changed, elsewhere):
        if told.isdisjoint((found.words, found.wrong.body)):
            told |= {found.words, found.wrong.body}
            yield found


def _changed(statement: Define, known: Sequence[Tensor]) -> Iterator[Mistake]:
    """The red pen's changes that people make."""
    for change in _missing(statement):
        yield Mistake(change.wrong, f"The term {show(change.before)} is missing.", "term")
    found = [c for c in changes(statement, known, 0, False) if not c.scaled and c.kind in KINDS]
    for change in sorted(found, key=lambda c: KINDS.index(c.kind)):
        if words := _words(change):
            yield Mistake(change.wrong, words, change.kind)


def _missing(statement: Define) -> Iterator[Change]:
    """The terms of a sum, each left out."""
    for change in changes(statement, (), 0, True):
        gone = isinstance(change.after, Number) and not change.after.value
        if change.kind == "coefficient" and gone and not change.scaled:
            yield change


def _words(change: Change) -> str:
    """What is wrong, in a sentence; "" where that takes more than one."""
    before, after = show(change.before), show(change.after)
    match change.kind:
        case "factor":
            return "" if _is_small(change.before) else f"The factor {before} is missing."
        case "twice":
            return f"The factor {before} stands twice."
        case "order" | "operand" if not isinstance(change.before, Reduce):
            return f"{after} stands where {before} should."
        case "coefficient" if isinstance(change.after, Expr) and after == f"-{before}":
            return f"The sign of {before} is wrong."
        case "power":
            return f"The power is wrong: {after} in the place of {before}."
        case "function":
            return f"{after} stands in the place of {before}."
        case "mask":
            return f"The condition {before} is missing." if after == "1" else ""
        case _:
            return ""


def _is_small(value: Expr) -> bool:
    return isinstance(value, Number | SizeOf)


@dataclass(frozen=True)
class Caught:
    """A mistake at the case's numbers: what it gives, what differences of the forward pass give,
    and the right values."""

    mistake: Mistake
    of: str
    found: Array
    differences: Array
    right: Array

    @property
    def wrong(self) -> Array:
        """The elements that the differences refute."""
        return ~np.isclose(self.found, self.differences, rtol=APART, atol=APART)


def caught(derivation: Derivation, case: Case) -> tuple[Caught, ...]:
    """A few mistakes in the gradients, each of another kind, that differences catch."""
    if [t.name for t in derivation.backward.wrt] != [t.name for t in case.derived.backward.wrt]:
        return ()
    pairs = list(zip(case.derived.backward.wrt, case.derived.backward.gradients, strict=True))
    statements = {s.target: s for s in case.derived.backward.statements}
    out: list[Caught] = []
    order = sorted(pairs, key=lambda pair: -sum(1 for _ in nodes(statements[pair[1]].body)))
    for tensor, gradient in order:
        if case.arrays[tensor.name].size > 40 or len(out) >= SHOWN:
            continue
        kinds: list[str] = []
        known = list(dict.fromkeys((*reads(statements[gradient]),)))
        right = differences = None
        for k, mistake in enumerate(mistakes(statements[gradient], known)):
            if k >= TRIED or len(out) >= SHOWN:
                break
            if kinds.count(mistake.kind) >= (2 if mistake.kind == "term" else 1):
                continue
            if right is None:
                right = _value(case, gradient, None)
                differences = _differences(case, tensor.name)
            found = _value(case, gradient, mistake.wrong)
            if found is None or right is None or differences is None:
                continue
            if found.shape != right.shape or not np.allclose(right, differences, 1e-4, 1e-4):
                continue
            made = Caught(mistake, tensor.name, found, differences, right)
            if made.wrong.any():
                kinds.append(mistake.kind)
                out.append(made)
    return tuple(out)


def _value(case: Case, gradient: Tensor, wrong: Define | None) -> Array | None:
    """A gradient at the numbers, with a wrong statement in the place of its own."""
    backward = case.derived.backward
    statements = [
        wrong if wrong is not None and s.target is wrong.target else s
        for s in (*backward.forward.statements, *backward.statements)
    ]
    inputs = (*backward.program.inputs, *backward.cotangents)
    try:
        program = Program(inputs, tuple(statements), (gradient,))
        values = run(program, _given(case), sizes=case.sizes)
    except (PullbackError, ArithmeticError, ValueError):
        return None
    found = values[gradient.name]
    return np.asarray(found.flat, float).reshape(found.shape)


def _given(case: Case) -> Mapping[str, Any]:
    floats = dict.fromkeys(t for t in case.derived.backward.program.outputs if t.kind == "float")
    cotangents = zip(floats, case.derived.backward.cotangents, strict=False)
    return {**case.arrays, **{c.name: case.upstream[t.name] for t, c in cotangents}}


def _differences(case: Case, name: str) -> Array:
    """The gradient by central differences of Σ upstream·output."""
    program = case.derived.backward.program

    def loss(array: Array) -> float:
        found = run(program, {**case.arrays, name: array}, sizes=case.sizes)
        return float(
            sum(np.dot(found[n].flat, u.ravel()) for n, u in case.upstream.items() if n in found)
        )

    own = case.arrays[name]
    out = np.empty(own.shape)
    for place in np.ndindex(own.shape):
        moved = [own.copy(), own.copy()]
        moved[0][place] += STEP
        moved[1][place] -= STEP
        out[place] = (loss(moved[0]) - loss(moved[1])) / (2 * STEP)
    return out


def section(derivation: Derivation, case: Case) -> str:
    """The mistakes as they are caught, the first one open; "" where none is."""
    found = caught(derivation, case)
    if not found:
        return ""
    lead = (
        "<p>Each line differs from the right one in one place. The wrong gradient is compared with "
        f"differences of the forward pass: one number at a time is moved by {STEP:g} up and down, "
        "and the loss, Σ upstream·output, is computed again.</p>"
    )
    return lead + "".join(_shown(one, k == 0) for k, one in enumerate(found))


def _shown(one: Caught, opened: bool) -> str:
    wrong = one.wrong
    first = tuple(int(k) for k in np.argwhere(wrong)[0]) if wrong.ndim else ()
    place = f"[{','.join(map(str, first))}]" if first else ""
    name = one.mistake.wrong.target.name
    grids = "".join(
        _grid(values, caption, marks)
        for values, caption, marks in (
            (one.found, "by the wrong line", wrong),
            (one.differences, "by differences", None),
            (one.right, "by the right line", None),
        )
    )
    count = int(wrong.sum())
    verdict = (
        f'<p><b class="no">✗ Caught:</b> {count} of {wrong.size} '
        f"element{'s' * (wrong.size != 1)} differ{'s' * (count == 1)}. "
        f"{text(name + place)} is {_figure(one.found[first])}, but the loss moves by "
        f"{_figure(one.differences[first])} per unit.</p>"
    )
    state = " open" if opened else ""
    return (
        f'<details class="mistake"{state}><summary>{text(one.mistake.words)}</summary>'
        f'<pre class="wrong-line"><code>{text(show(one.mistake.wrong))}</code></pre>'
        f'<div class="caught">{grids}</div>{verdict}</details>'
    )


def _figure(value: Any) -> str:
    return f"{float(value):.4g}".replace("-", "−")


def _grid(values: Array, caption: str, marks: Array | None) -> str:
    rows = np.reshape(values, (-1, values.shape[-1] if values.ndim else 1))
    flags = np.zeros(rows.shape, bool) if marks is None else np.reshape(marks, rows.shape)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="bad">{_figure(x)} ✗</td>' if bad else f"<td>{_figure(x)}</td>"
            for x, bad in zip(row, flag, strict=True)
        )
        + "</tr>"
        for row, flag in zip(rows, flags, strict=True)
    )
    return f'<table class="grid r"><caption>{text(caption)}</caption><tbody>{body}</tbody></table>'
