"""Which statements are needed, and which forward values the backward statements read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..calculus.step import Backward
from ..ir.expr import Access, Opaque, Tensor
from ..ir.program import Define, Program, live, reads
from ..ir.walk import Tree, children, lookups, subscripts


def residuals_of(statements: Sequence[Define], backward: Backward) -> list[Tensor]:
    """The forward values that the backward statements read, inputs first, in the forward order."""
    made = {s.target for s in statements} | set(backward.cotangents)
    needed = dict.fromkeys(t for s in statements for t in reads(s) if t not in made)
    needed.update(dict.fromkeys(t for t in backward.gradients if t not in made))
    order = [*backward.program.inputs, *(s.target for s in backward.forward.statements)]
    return [t for t in order if t in needed]


def live_statements(statements: Sequence[Define], outputs: Sequence[Tensor]) -> tuple[Define, ...]:
    """The statements that the outputs need."""
    return live(Program((), tuple(statements), tuple(outputs))).statements


def without_copies(statements: Sequence[Define], kept: Sequence[Tensor]) -> list[Define]:
    """The statements without those that only copy a value which nothing else reads.

    The value is computed under the name of its copy instead. ``kept`` values keep their own.
    """
    counts = counts_of(statements)
    made = {s.target: n for n, s in enumerate(statements)}
    found: list[Define | None] = list(statements)
    for n, define in enumerate(statements):
        copied = define.copied
        if copied not in made or copied in kept or counts[copied] != 1:
            continue
        place = made[copied]
        first = found[place]
        if first is not None and first.target.dtype == define.target.dtype:
            found[place] = replace(first, target=define.target, of=define.of, user=define.user)
            made[define.target] = place
            found[n] = None
    return [define for define in found if define is not None]


def counts_of(statements: Sequence[Define]) -> Counter[Tensor]:
    """How often each tensor is read."""
    return Counter(tensor for define in statements for tensor in _reads(define.body))


def _reads(tree: Tree) -> Iterator[Tensor]:
    """Every tensor that an expression reads, as often as it stands there."""
    if isinstance(tree, Access):
        yield tree.tensor
    if isinstance(tree, Opaque):
        yield from tree.operands
    for sub in subscripts(tree):
        for access in lookups(sub):
            yield from _reads(access)
    for child in children(tree):
        yield from _reads(child)
