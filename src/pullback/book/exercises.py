"""A page's derivation as steps to fill in, checked in the page by value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from ..derivation import Derivation
from ..errors import PullbackError
from ..graph.numbers import Numbers
from ..ir.expr import (
    Access,
    Add,
    And,
    Apply,
    Compare,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Number,
    Or,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Zero,
)
from ..ir.interpret import FLOAT, Array, fill, typed
from ..ir.program import Define, reads
from ..ir.walk import map_tensors, nodes, substitute, tensors
from ..notation.plain import show
from ..report.html import Hand
from ..report.mathml import text
from ..report.outline import Chain, Walk
from .case import Case
from .dependence import script
from .forms import by_value
from .mistakes import Mistake, mistakes

MOST = 10
HINTS = 14
LONGEST = 200  # characters of an answer that somebody may type
# What the page's reader of formulas knows.
KNOWN = (
    Access, Add, And, Compare, Guard, IndexOf, Inside, Mul, Not, Number, Or, Power, Select, SizeOf,
    Zero,
)  # fmt: skip
FUNCTIONS = (
    "exp", "log", "sqrt", "tanh", "abs", "sin", "cos", "sigmoid", "sign", "maximum", "minimum",
    "softplus", "cosh", "sinh", "floor",
)  # fmt: skip

Point = Mapping[str, Any]  # all values by name, each a dict of "shape" and "data"


@dataclass(frozen=True)
class Exercise:
    """One step: the gradient ``statement`` of a value, found from the gradients before it."""

    statement: Define
    of: str
    given: tuple[str, ...]


def exercises(derivation: Derivation) -> tuple[Exercise, ...]:
    """The gradients of all values with a name of the user's, in the order of the way back; parts
    with no such name are written out."""
    backward = derivation.backward
    user = {s.target.name for s in backward.program.statements if s.user}
    user |= {t.name for t in (*backward.program.inputs, *backward.program.outputs)}
    steps = list(by_value(backward))
    made = (*backward.forward.statements, *backward.values)
    hidden = {s.target: s for s in made if s.target.name not in user}
    hidden |= {s.target: s for s in steps if s.of not in user}
    found = [_written_out(s, hidden) for s in steps if s.of in user]
    own = [
        Exercise(s, s.of, tuple(t.name for t in tensors(s.body)))
        for s in found
        if _is_readable(s) and len(show(s)) <= LONGEST
    ]
    return tuple(own[:MOST])


def _written_out(statement: Define, hidden: Mapping[Tensor, Define]) -> Define:
    """The statement with parts that have no name of the user's in the place of their names."""

    def put(access: Access) -> Expr:
        own = hidden.get(access.tensor)
        if own is None:
            return access
        place = dict(zip(own.indices, access.subs, strict=True))
        return map_tensors(substitute(own.body, place), put)  # type: ignore[return-value]

    body = map_tensors(statement.body, put)
    return replace(statement, body=body, scatter=None)  # type: ignore[arg-type]


def _is_readable(statement: Define) -> bool:
    """Whether a page can read the answer as it is written here."""
    return all(
        isinstance(node, KNOWN)
        or (isinstance(node, Reduce) and not node.domain)
        or (isinstance(node, Apply) and node.function in FUNCTIONS)
        for node in nodes(statement.body)
    )


def section(derivation: Derivation, case: Case, walks: dict[str, Walk], hand: Hand) -> str:
    """The exercises of a page with the numbers that answers are compared with; "" where there are
    none. ``walks`` are the walks of the derivation by gradient."""
    own = case.derived
    if _names(derivation) != _names(own):
        walks = {}
    try:
        points = [_point(case, numbers) for numbers in (case.numbers, case.at(0), case.at(1))]
    except PullbackError:
        return ""
    found = [
        e
        for e in exercises(own)
        if all(_has(p, e) and _agrees(e.statement, p, case.sizes) for p in points)
    ]
    if not found:
        return ""
    data = {"points": points, "exercises": [_data(e, points, case.sizes) for e in found]}
    lead = (
        "<p>Fill in the way back, one gradient after the other. Answers are compared <b>by value"
        "</b> at the numbers above and at two others, so any correct way of writing counts: index "
        "notation (<code>sum(n) dY[n,c]</code>) or NumPy (<code>dY.sum(0)</code>). All values, and "
        "gradients that come before, can be used.</p>"
    )
    forms = "".join(
        _form(e, k, _question(e, walks.get(e.statement.target.name), own, hand))
        for k, e in enumerate(found)
    )
    return f"{lead}<ol class='exercises'>{forms}</ol>{script(data, 'exercise-data')}"


def _names(derivation: Derivation) -> list[tuple[str, str]]:
    """The gradients, each with what it is of: the same in a case that an exercise is checked at."""
    return [(s.target.name, s.of) for s in derivation.backward.adjoints]


def _has(point: dict[str, Any], exercise: Exercise) -> bool:
    names = (exercise.statement.target.name, *exercise.given)
    return all(name in point and None not in point[name]["data"] for name in names)


def _point(case: Case, numbers: Numbers) -> dict[str, Any]:
    """All values, gradients and sizes by name, as a script reads them."""
    backward = case.derived.backward
    given = {t.name: Array.of(numbers.given[t.name]) for t in backward.program.inputs}
    kinds = {t.name: t for t in backward.program.inputs}
    values = {name: typed(array, kinds[name], FLOAT) for name, array in given.items()}
    fill(values, backward.forward.statements, numbers.sizes)
    named: dict[str, Any] = {n: np.reshape(a.flat, a.shape) for n, a in values.items()}
    floats = dict.fromkeys(t for t in backward.program.outputs if t.kind == "float")
    for _, c in zip(floats, backward.cotangents, strict=False):
        named[c.name] = numbers.upstream[c.name]
    for s in backward.adjoints:
        if s.of in numbers.gradients:
            named[s.target.name] = numbers.gradients[s.of]
    named |= {name: np.asarray(n) for name, n in numbers.sizes.items() if name not in named}
    return {name: _array(value) for name, value in named.items() if value is not None}


def _array(value: Any) -> dict[str, Any]:
    array = np.asarray(value, float)
    flat = [float(f"{x:.12g}") if np.isfinite(x) else None for x in array.ravel()]
    return {"shape": list(array.shape), "data": flat}


def _data(exercise: Exercise, points: Sequence[Point], sizes: Mapping[str, int]) -> dict[str, Any]:
    statement = exercise.statement
    wrong = (m for m in mistakes(statement, tensors(statement.body)) if _is_wrong(m, points, sizes))
    return {
        "name": statement.target.name,
        "of": exercise.of,
        "indices": [i.name for i in statement.indices],
        "solution": show(statement),
        "right": f"It is {show(statement)}.",
        "wrong": [[show(found.wrong.body), found.words] for found in islice(wrong, HINTS)],
    }


def _is_wrong(mistake: Mistake, points: Sequence[Point], sizes: Mapping[str, int]) -> bool:
    """Whether another line has another value, for some are the same in other words."""
    found = [_agrees(mistake.wrong, point, sizes) for point in points]
    return None not in found and not all(found)


def _agrees(line: Define, point: Point, sizes: Mapping[str, int]) -> bool | None:
    """Whether a line gives the value that a point has for its target; None where it gives none."""
    values = {
        t.name: Array(tuple(point[t.name]["shape"]), list(point[t.name]["data"]))
        for t in tensors(line.body)
    }
    try:
        fill(values, [line], sizes)
    except (PullbackError, ArithmeticError, ValueError):
        return None
    name = line.target.name
    found, right = np.asarray(values[name].flat, float), np.asarray(point[name]["data"], float)
    return found.shape == right.shape and np.allclose(found, right, rtol=1e-6, atol=1e-6)


def _form(exercise: Exercise, k: int, question: str) -> str:
    name = exercise.statement.target.name
    at = ",".join(i.name for i in exercise.statement.indices)
    label = text(f"{name}[{at}]" if at else name)
    return (
        f'<li><form class="exercise" data-k="{k}">{question}'
        f'<label for="answer-{k}"><code>{label} =</code></label>'
        f'<input id="answer-{k}" autocomplete="off" spellcheck="false" autocapitalize="off" '
        f'aria-describedby="said-{k}"><button class="btn" type="submit">Check</button>'
        '<button class="btn show" type="button" hidden>Show one</button>'
        f'<p class="said" id="said-{k}" aria-live="polite"></p></form></li>'
    )


def _question(exercise: Exercise, walk: Walk | None, derivation: Derivation, hand: Hand) -> str:
    """The chain rule that is to be worked out; where it goes through parts that have no name, the
    lines that read the value."""
    chains = (
        [line.content for line in walk.lines if isinstance(line.content, Chain)] if walk else []
    )
    named = {s.target.name for s in derivation.forward.statements}
    through = {value.tensor.name for chain in chains for _, value in chain.terms}
    if chains and through <= named:
        return "".join(map(hand.formula, chains))
    readers = (
        s for s in derivation.forward.statements if exercise.of in (t.name for t in reads(s))
    )
    return "".join(map(hand.formula, readers))
