"""The forms that a backward pass could have had, with what each costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ..calculus.cost import TYPICAL, cost
from ..derivation import Derivation
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
    """The generalized Jacobians, the raw adjoint, the expanded form, and the one that is used."""
    backward = derivation.backward
    found = [_jacobians(derivation)]
    raw = tuple(backward.adjoints)
    found.append(
        _form("raw adjoint", "every sum of the chain rule over all its deltas", raw, derivation)
    )
    expanded = tuple(_expanded(derivation))
    found.append(
        _form("expanded", "sums over deltas done, values spelled out", expanded, derivation)
    )
    found.append(_form("as derived", "what is shown and runs", backward.statements, derivation))
    return tuple(found)


def _form(name: str, what: str, statements: tuple[Define, ...], derivation: Derivation) -> Form:
    needed = live(Program((), statements, derivation.backward.gradients)).statements
    elements = sum(_elements(s.target.shape) for s in needed)
    return Form(name, what, cost(needed), elements)


def _elements(shape: tuple[Size, ...]) -> int:
    return prod(n.value(dict.fromkeys(n.names(), TYPICAL)) for n in shape)


def _expanded(derivation: Derivation) -> Iterator[Define]:
    """Each gradient as it was before its compact form was looked for."""
    by_target = {a.raw.target: a for a in derivation.accounts}
    for s in derivation.backward.statements:
        account = by_target.get(s.target)
        steps = account.steps if account else ()
        before = [step.earlier for step in steps if step.name == COMPACT]
        yield before[-1] if before else steps[-1].later if steps else s


def _jacobians(derivation: Derivation) -> Form:
    """One product of each cotangent with a Jacobian that was formed; filling it is not counted."""
    outputs = [t for t in derivation.backward.program.outputs if t.kind == "float"]
    total = sum(
        _elements((*output.shape, *tensor.shape))
        for output in dict.fromkeys(outputs)
        for tensor in derivation.backward.wrt
    )
    what = "each upstream gradient times its Jacobian, were it given"
    return Form("generalized Jacobian", what, 2.0 * total, total)
