"""The table of docs/compactness.md: each derived backward pass beside the published one.

python -m tests.layers.compactness > docs/compactness.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pullback.calculus.cost import volume
from pullback.calculus.normal import poly
from pullback.calculus.reverse import is_contraction
from pullback.ir.expr import Add, Apply, Guard, Mul, Power, Reduce, Select
from pullback.ir.program import Define
from pullback.ir.walk import Tree, free_indices, nodes
from pullback.layers import LAYERS, Kind
from tests.layers.checks import (
    Reference,
    gradient_cost,
    gradient_statements,
    published_program,
    published_statements,
)

HEAD = """# How compact the derived backward passes are

For every layer of the table (its first example), what `pullback` derives beside the backward pass
that people publish, both written as programs and counted by the same counter: *contractions*
(sums of products of arrays), *passes* (operations that go over a whole array of the largest kind)
and the *cost* by which forms are chosen (`pullback/calculus/cost.py`: elements computed, with
weights, that is flops). The test of the layers fails where ours costs more than the last column
allows. `python -m tests.layers.compactness > docs/compactness.md` writes this page.

| layer | contractions | passes | cost, ours : published | allowed | why not less |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Tally:
    """What statements take."""

    contractions: int
    passes: int


def tally(statements: Sequence[Define]) -> Tally:
    """Contractions, and operations over arrays within a quarter of the largest."""
    largest = max((volume(s.indices) for s in statements), default=1.0)
    parts = [node for s in statements for node in dict.fromkeys(nodes(s.body))]
    return Tally(
        sum(is_contraction(t) for s in statements for t in poly(s.body)),
        sum(_operations(node) for node in parts if volume(free_indices(node)) * 4 >= largest),
    )


def _operations(node: Tree) -> int:
    match node:
        case Add(parts) | Mul(parts):
            return max(len(parts) - 1, 0)
        case Power() | Apply() | Reduce() | Guard() | Select():
            return 1
        case _:
            return 0


def row(kind: Kind, reference: Reference) -> str:
    """A layer's line."""
    example = kind.examples[0]
    layer = kind(**example.options)
    form = kind.form(example.shapes[layer.inputs[0]])
    backward = layer.derive(form).backward
    program, published = published_program(layer, form, reference.published)
    ours = tally(gradient_statements(backward))
    theirs = tally(published_statements(program, layer, form))
    ratio = gradient_cost(backward) / published if published else 1.0
    allowed = f"{reference.allowed:.2f}" if reference.allowed > 1.01 else ""
    return (
        f"| {kind.title} | {ours.contractions} : {theirs.contractions} "
        f"| {ours.passes} : {theirs.passes} | {ratio:.2f} | {allowed} | {reference.why} |"
    )


def page() -> str:
    """The whole page."""
    from tests.layers.test_layers import REFERENCES

    return HEAD + "\n".join(row(kind, REFERENCES[name]) for name, kind in LAYERS.items()) + "\n"


if __name__ == "__main__":
    print(page(), end="")
