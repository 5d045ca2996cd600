"""The forms that a backward pass could have had, with what each costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from ..calculus.cost import TYPICAL, cost
from ..calculus.step import Backward, Step
from ..derivation import Derivation
from ..ir.expr import Expr, Tensor
from ..ir.program import Define, Program, live
from ..ir.sizes import Size

COMPACT = "compact form"


@dataclass(frozen=True)
class Form:
    """A way to compute all gradients: its name, what it is, what it costs (see ``calculus.cost``).

    ``elements`` are the elements of the arrays that it computes, named sizes taken as ``TYPICAL``.
    """

    name: str
    what: str
    cost: float
    elements: int


def forms(derivation: Derivation) -> tuple[Form, ...]:
    """From the generalized Jacobians to the form that is used, which stands last."""
    backward = derivation.backward
    programs = (
        ("raw adjoint", "the chain rule, every sum over all its deltas", backward.adjoints),
        ("value by value", "a gradient for every value of the definition", by_value(backward)),
        ("expanded", "only the gradients asked for, spelled out", _expanded(backward)),
        ("as derived", "what is shown and runs", backward.statements),
    )
    found = [_form(name, what, tuple(made), backward) for name, what, made in programs]
    return (_jacobians(backward, found[-1].cost), *found)


def _form(name: str, what: str, statements: tuple[Define, ...], backward: Backward) -> Form:
    needed = live(Program((), statements, backward.gradients)).statements
    return Form(name, what, cost(needed), sum(_elements(s.target.shape) for s in needed))


def _elements(shape: tuple[Size, ...]) -> int:
    return prod(n.value(dict.fromkeys(n.names(), TYPICAL)) for n in shape)


def by_value(backward: Backward) -> Iterator[Define]:
    """Each adjoint by itself, its deltas summed: what automatic differentiation would compute."""
    stages = _stages(backward)
    for adjoint in backward.adjoints:
        named = {step.name: step for step in stages.get(adjoint.target, ())}
        step = named.get("eliminate", named.get("sift"))
        yield adjoint if step is None else _after(adjoint, step, step.after)


def _expanded(backward: Backward) -> Iterator[Define]:
    """Each gradient as it was before its compact form was looked for, after the adjoints that it
    may read."""
    stages = _stages(backward)
    own = {s.target for s in backward.statements}
    yield from (s for s in by_value(backward) if s.target not in own)
    for s in backward.statements:
        steps = stages.get(s.target, ())
        last = steps[-1] if steps else None
        if last is None:
            yield s
        else:
            yield _after(s, last, last.before if last.name == COMPACT else last.after)


def _stages(backward: Backward) -> dict[Tensor, tuple[Step, ...]]:
    found: dict[Tensor, tuple[Step, ...]] = {}
    for step in backward.steps:
        found[step.target] = (*found.get(step.target, ()), step)
    return found


def _after(statement: Define, step: Step, value: Expr) -> Define:
    return replace(statement, indices=step.indices, body=value, scatter=None)


def _jacobians(backward: Backward, filling: float) -> Form:
    """A product of each upstream gradient with a Jacobian, ``filling`` it included: that costs no
    less than the gradients do, which are the Jacobian where the output is one number."""
    outputs = dict.fromkeys(t for t in backward.program.outputs if t.kind == "float")
    total = sum(_elements((*o.shape, *t.shape)) for o in outputs for t in backward.wrt)
    what = "each upstream gradient times its Jacobian"
    return Form("generalized Jacobian", what, filling + 2.0 * total, total)
