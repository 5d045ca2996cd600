"""What every layer is checked by: oracles from elsewhere, and the published backward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pullback.calculus.cost import cost
from pullback.calculus.step import Backward
from pullback.ir.expr import Add, Expr, Mul, add
from pullback.ir.interpret import run
from pullback.ir.program import Define, Program, live
from pullback.ir.walk import Tree, bottom_up
from pullback.layers import Layer
from pullback.layers.layer import Form
from pullback.notation.parse import parse
from pullback.notation.plain import show
from pullback.plan.choices import chosen, either_or

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Reference:
    """What is known of a layer from elsewhere.

    ``torch(options, arrays)`` is PyTorch's forward pass of the same layer and options, on a
    dict of tensors: autograd gives the gradients. Where PyTorch has no such layer, ``numpy(options,
    arrays)`` is the forward pass in NumPy, and differences give the gradients. ``published`` is the
    backward pass as a careful person writes it by hand, in index notation, in the names of the
    layer's text (first example) and dY; it defines dX, dW, .... ``allowed`` is how many times its
    cost ours may have, with ``why``."""

    published: str
    torch: Callable[[Mapping[str, Any], Mapping[str, Any]], Any] | None = None
    numpy: Callable[[Mapping[str, Any], Mapping[str, Array]], Any] | None = None
    allowed: float = 1.01
    why: str = ""
    skip_torch: Callable[[Mapping[str, Any]], bool] = field(default=lambda options: False)
    at: Sequence[tuple[Mapping[str, Any], Mapping[str, Array]]] = ()
    refused: Sequence[tuple[Mapping[str, Any], str]] = ()
    refused_at: Sequence[tuple[Mapping[str, Any], Mapping[str, Array], str]] = ()


def as_spelled(statements: Sequence[Define]) -> list[Define]:
    """Statements with terms that exclude each other as one choice: as they run."""

    def change(node: Tree) -> Tree:
        if isinstance(node, Add):
            return add(*either_or(node.terms))
        if isinstance(node, Mul):
            return chosen(node.factors) or node
        return node

    bodies = [(s, bottom_up(s.body, change)) for s in statements]
    return [replace(s, body=body) for s, body in bodies if isinstance(body, Expr)]


def gradient_statements(backward: Backward) -> list[Define]:
    """What the gradients need beyond the forward pass."""
    forward = backward.forward.statements
    outputs = backward.program.outputs
    whole = live(Program((), (*forward, *backward.statements), (*outputs, *backward.gradients)))
    given = {s.target for s in live(Program((), forward, outputs)).statements}
    return as_spelled([s for s in whole.statements if s.target not in given])


def gradient_cost(backward: Backward) -> float:
    """What the gradients cost beyond the forward pass."""
    return cost(gradient_statements(backward))


def published_statements(program: Program, layer: Layer, form: Form) -> list[Define]:
    """The backward pass of a published program."""
    known = {s.target.name for s in parse(layer.definition(form).text).statements}
    return as_spelled([s for s in program.statements if s.target.name not in known])


def published_program(layer: Layer, form: Form, published: str) -> tuple[Program, float]:
    """The forward pass and the published backward pass as one program, and the cost of the
    latter."""
    forward = parse(layer.definition(form).text)
    cotangents = "\n".join(
        f"d{t.name}[{', '.join(map(str, t.shape))}]" for t in forward.outputs if t.kind == "float"
    )
    whole = parse(f"{show(forward)}\n{cotangents}\n{published}")
    return whole, cost(published_statements(whole, layer, form))


def evaluated(program: Program, arrays: Mapping[str, Any]) -> dict[str, Array]:
    """All values of a program, by the slow interpreter."""
    return {name: np.reshape(v.flat, v.shape) for name, v in run(program, dict(arrays)).items()}
