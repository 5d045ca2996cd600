"""A page's derivation as steps to fill in, checked in the page by value."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np

from ..calculus.eliminate import eliminate
from ..calculus.normal import Term, collect, expression, poly, term
from ..calculus.step import Backward
from ..derivation import Derivation
from ..errors import CheckError, PullbackError
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
    Opaque,
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
from ..ir.subscripts import at
from ..ir.walk import free_indices, map_tensors, nodes, substitute, tensors
from ..notation.plain import show
from ..report.html import Hand
from ..report.mathml import text
from ..report.outline import Chain, Walk
from .case import Case
from .dependence import script
from .forms import by_value
from .mistakes import Mistake, mistakes

MOST = 14
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

Point = dict[str, Any]  # all values by name, each a dict of "shape" and "data"


@dataclass(frozen=True)
class Exercise:
    """One step: the gradient ``statement`` of a value, found from the gradients before it.

    With ``through`` it is only what comes back through that reader of the value, at the elements
    of the reader; ``total`` is the gradient as the sum of all that comes back.
    """

    statement: Define
    of: str
    given: tuple[str, ...]
    through: str = ""
    total: Define | None = None


def exercises(derivation: Derivation) -> tuple[Exercise, ...]:
    """The gradients of all values with a name of the user's and of the parts of a differential, in
    the order of the way back; parts with no such name are written out where a page can read them.

    Where a gradient is too long to type, what comes back through each reader is asked for.
    """
    backward = derivation.backward
    asked = {s.target.name for s in backward.program.statements if s.user}
    asked |= {t.name for t in (*backward.program.inputs, *backward.program.outputs)}
    made = (*backward.forward.statements, *backward.values)
    hidden = {
        s.target: s for s in made if s.target.name not in asked and not isinstance(s.body, Opaque)
    }
    asked |= {_changed(s) for s in backward.differentials}
    steps = list(zip(backward.adjoints, by_value(backward), strict=True))
    hidden |= {s.target: s for _, s in steps if s.of not in asked}
    own: list[Exercise] = []
    for raw, step in steps:
        if step.of not in asked:
            continue
        if raw.target in tensors(step.body):  # a recurrence: by the gradients it goes back over
            body = expression(collect(map(eliminate, poly(raw.body))))
            step = replace(step, indices=raw.indices, body=body)
        found = [_exercise(_written_out(step, hidden), step.of)]
        if not _is_asked(found[0]):
            ways, total = _ways(raw, backward, asked)
            found = [
                replace(_exercise(_written_out(s, hidden), step.of), through=name, total=total)
                for name, s in ways.items()
            ]
        own += filter(_is_asked, found)
    return tuple(own)


def _changed(differential: Define) -> str:
    """The value that a differential is of."""
    return differential.target.name.removeprefix("δ")


def _exercise(statement: Define, of: str) -> Exercise:
    return Exercise(statement, of, tuple(t.name for t in tensors(statement.body)))


def _is_asked(exercise: Exercise) -> bool:
    """Whether somebody can type the answer."""
    return _is_readable(exercise.statement) and len(show(exercise.statement)) <= LONGEST


def _ways(
    raw: Define, backward: Backward, named: Collection[str]
) -> tuple[dict[str, Define], Define]:
    """What comes back to a value through each of the ``named`` values that read it, by their names
    and at their elements, and the gradient as the sum of these; none where they can't be told
    apart."""
    of = {s.target: s.of for s in backward.adjoints}
    readers = {s.target.name: s for s in backward.forward.statements}
    found: dict[str, Define] = {}
    summed: list[Term | None] = []
    for one in poly(raw.body):
        upstream = [
            a for a, n in one.factors if isinstance(a, Access) and a.tensor in of and n == 1
        ]
        own = [sub.index for a in upstream for sub in a.subs]
        if len(upstream) != 1 or set(own) != set(one.bound) or len(own) != len(one.bound):
            return {}, raw
        reader = readers[of[upstream[0].tensor]]
        name = _named(reader, backward, named)
        body = _without_place(one, raw)
        if body is None or not name or name in found:
            return {}, raw
        moved = {i: at(j) for i, j in zip(own, reader.indices, strict=True) if i is not None}
        way = Tensor(f"{raw.target.name}_{name}", reader.target.shape)
        put: Expr = substitute(expression((body,)), moved)  # type: ignore[assignment]
        found[name] = replace(raw, target=way, indices=reader.indices, body=put)
        part = (Access(way, upstream[0].subs), Fraction(1))
        summed.append(term(Fraction(1), one.bound, one.guards, [part]))
    return found, replace(raw, body=expression(collect(summed)))


def _named(reader: Define, backward: Backward, named: Collection[str]) -> str:
    """The first named value of the same shape that a value goes into; "" where there is none, or
    more than one."""
    while reader.target.name not in named:
        readers = [s for s in backward.forward.statements if reader.target in reads(s)]
        if len(readers) != 1 or readers[0].target.shape != reader.target.shape:
            return ""
        (reader,) = readers
    return reader.target.name


def _without_place(value: Term, raw: Define) -> Term | None:
    """A term of a gradient at its reader's indices: without the equalities that place it."""
    kept = [g for g in value.guards if not set(free_indices(g)) & set(raw.indices)]
    return term(value.coef, (), kept, value.factors)


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
        found, points = checked(case)
    except (PullbackError, ArithmeticError, ValueError):
        return ""
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


def checked(case: Case) -> tuple[list[Exercise], list[Point]]:
    """The exercises of a case that agree with its values, and the values at its numbers and at two
    other draws."""
    points = [_point(case, numbers) for numbers in (case.numbers, case.at(0), case.at(1))]
    made = exercises(case.derived)
    for point in points:
        for one in made:
            if one.through and all(name in point for name in one.given):
                point |= _valued(one.statement, point, case.sizes)
    found = [one for one in made if all(_holds(one, point, case.sizes) for point in points)]
    return found[:MOST], points


def _holds(exercise: Exercise, point: Point, sizes: Mapping[str, int]) -> bool:
    """Whether the answer is what the point has; a part of a gradient, if all of them add up."""
    lines = [exercise.statement, *([exercise.total] if exercise.total is not None else [])]
    names = {t.name for s in lines for t in (s.target, *tensors(s.body))}
    known = all(name in point and None not in point[name]["data"] for name in names)
    return known and all(_agrees(line, point, sizes) for line in lines)


def _names(derivation: Derivation) -> list[tuple[str, str]]:
    """The gradients, each with what it is of: the same in a case that an exercise is checked at."""
    return [(s.target.name, s.of) for s in derivation.backward.adjoints]


def _point(case: Case, numbers: Numbers) -> Point:
    """All values, gradients and sizes by name, as a script reads them.

    Gradients are those by the chain rule, with all its sums; raises CheckError where the graph has
    others.
    """
    backward = case.derived.backward
    kinds = {t.name: t for t in backward.program.inputs}
    given = {name: Array.of(numbers.given[name]) for name in kinds}
    values = {name: typed(array, kinds[name], FLOAT) for name, array in given.items()}
    values |= {c.name: Array.of(numbers.upstream[c.name]) for c in backward.cotangents}
    fill(values, (*backward.forward.statements, *backward.values), numbers.sizes)
    fill(values, backward.adjoints, numbers.sizes)
    named: dict[str, Any] = {n: np.reshape(a.flat, a.shape) for n, a in values.items()}
    for s in backward.adjoints:
        own, graph = named[s.target.name], numbers.gradients.get(s.of)
        if s.of in kinds and not np.allclose(own, graph, equal_nan=True):  # type: ignore[arg-type]
            raise CheckError(f"the graph has another gradient of {s.of} than the chain rule")
    named |= {name: np.asarray(n) for name, n in numbers.sizes.items() if name not in named}
    return {name: _array(value) for name, value in named.items()}


def _array(value: Any) -> dict[str, Any]:
    array = np.asarray(value, float)
    flat = [float(f"{x:.12g}") if np.isfinite(x) else None for x in array.ravel()]
    return {"shape": list(array.shape), "data": flat}


def _data(exercise: Exercise, points: Sequence[Point], sizes: Mapping[str, int]) -> dict[str, Any]:
    statement = exercise.statement
    wrong = (m for m in mistakes(statement, tensors(statement.body)) if _is_wrong(m, points, sizes))
    return {
        "name": statement.target.name,
        "of": exercise.through or exercise.of,
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
    try:
        made = _valued(line, point, sizes)
    except (PullbackError, ArithmeticError, ValueError):
        return None
    name = line.target.name
    found, right = (np.asarray(p[name]["data"], float) for p in (made, point))
    return found.shape == right.shape and np.allclose(found, right, rtol=1e-6, atol=1e-6)


def _valued(line: Define, point: Point, sizes: Mapping[str, int]) -> Point:
    """The value of a line, by its target's name."""
    values = {
        t.name: Array(tuple(point[t.name]["shape"]), list(point[t.name]["data"]))
        for t in tensors(line.body)
    }
    fill(values, [line], sizes)
    made = values[line.target.name]
    return {line.target.name: _array(np.reshape(made.flat, made.shape))}


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
    lines that read the value, and where the value is changed by a differential, that one."""
    backward = derivation.backward
    opaque = [
        s
        for s in (*backward.forward.statements, *backward.values)
        if isinstance(s.body, Opaque) and not s.user and s.target.name in exercise.given
    ]
    changed = [s for s in backward.differentials if f"δ{exercise.of}" in map(_name, reads(s))]
    forward = derivation.forward.statements
    if exercise.through:
        line = [s for s in forward if s.target.name == exercise.through]
        return _told(
            f"What comes back to {exercise.of} through {exercise.through} alone:", line, hand
        )
    if changed:
        given = (_told(f"with {s.target.name}, which is", [s], hand) for s in opaque)
        words = f"A change δ{exercise.of} of {exercise.of} makes this change, to first order:"
        return _told(words, changed, hand) + "".join(given)
    chains = (
        [line.content for line in walk.lines if isinstance(line.content, Chain)] if walk else []
    )
    named = {s.target.name for s in forward}
    through = {value.tensor.name for chain in chains for _, value in chain.terms}
    if chains and through <= named:
        return "".join(map(hand.formula, chains))
    return "".join(hand.formula(s) for s in forward if exercise.of in map(_name, reads(s)))


def _told(words: str, lines: Sequence[Define], hand: Hand) -> str:
    """Formulas after words."""
    return f"<p>{text(words)}</p>" + "".join(map(hand.formula, lines))


def _name(tensor: Tensor) -> str:
    return tensor.name
