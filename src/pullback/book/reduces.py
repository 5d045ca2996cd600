"""What reduces where: over which indices each gradient sums, and whether rows mix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..derivation import Derivation, human, shape_text, show_bytes
from ..ir.expr import Expr, Reduce, Tensor
from ..ir.program import Define, reads
from ..ir.sizes import Size, size
from ..ir.walk import bound_indices, nodes
from ..report.outline import Block, Prose, Table

# Sizes that networks have, by the names that they are called in definitions.
USUAL = {
    "N": 256, "I": 256, "T": 128, "S": 128, "C": 64, "D": 512, "J": 512, "K": 512, "M": 512,
    "E": 64, "H": 32, "W": 32,
}  # fmt: skip


@dataclass(frozen=True)
class Sums:
    """What one statement of the backward pass adds up.

    ``rows`` are the indices along the first axis of what flows in, of which one is one example;
    ``others`` all other indices that are summed over.
    """

    statement: Define
    rows: tuple[str, ...]
    others: tuple[str, ...]


def sums(derivation: Derivation) -> Iterator[Sums]:
    """Every statement of the backward pass, shared values included."""
    row = _row(derivation)
    for statement in derivation.backward.statements:
        found = _summed(statement.body)
        rows = tuple(name for name, extent in found.items() if extent is row)
        others = tuple(name for name, extent in found.items() if extent is not row)
        yield Sums(statement, rows, others)


def _row(derivation: Derivation) -> Size | None:
    """The extent of the first axis of what flows in, where other axes have other extents."""
    first = next((t for t in derivation.backward.program.inputs if t.shape), None)
    if first is None or len(first.shape) < 2 or first.shape[0] in first.shape[1:]:
        return None
    return first.shape[0]


def _summed(body: Expr) -> dict[str, Size]:
    """The indices that a value is reduced over, each with its extent."""
    indices = [i for node in nodes(body) if isinstance(node, Reduce) for i in node.indices]
    bound = set(bound_indices(body))
    return {i.name: i.extent for i in indices if i in bound}


def where(derivation: Derivation) -> Iterator[Block]:
    """The table of gradients, and what is saved with what its recomputation costs."""
    found = list(sums(derivation))
    across = {s.statement.target for s in found if s.rows}
    has_rows = _row(derivation) is not None
    rows = [_row_of(one, across, has_rows) for one in found]
    if rows:
        yield Table(("gradient", "shape", "reads", "where it sums"), tuple(rows))
    yield from _saved(derivation)


def _row_of(one: Sums, across: set[Tensor], has_rows: bool) -> tuple[str, ...]:
    s = one.statement
    read = ", ".join(t.name for t in reads(s))
    return (s.target.name, shape_text(s.target.shape), read, in_words(one, across, has_rows))


def in_words(one: Sums, across: set[Tensor], has_rows: bool) -> str:
    """Where a statement sums, in words; ``across`` are the values that sum over rows."""
    if not has_rows:
        return f"over {', '.join(one.others)}" if one.others else "each element by itself"
    waits = [t.name for t in reads(one.statement) if t in across]
    after = f", after {', '.join(waits)}" if waits else ""
    if one.rows:
        along = f", and over {', '.join(one.others)}" if one.others else ""
        return f"across {', '.join(one.rows)} (one reduction over all rows){along}{after}"
    if one.others:
        return f"row-local: over {', '.join(one.others)} within each row{after}"
    return f"row-local: each element by itself{after}"


def _saved(derivation: Derivation) -> Iterator[Block]:
    names = sorted(
        {n for t in derivation.backward.program.inputs for e in t.shape for n in e.names()}
    )
    sized = replace(derivation, sizes={name: USUAL.get(name, 64) for name in names})
    choices = list(sized.savings())
    made = [s for s in derivation.residuals if s.made]
    if not made:
        yield Prose("Nothing has to be saved but the inputs, which are there anyway.")
        return
    total = show_bytes(sum((s.size for s in made), size(0)), {}).replace("*", "·")
    kept = ", ".join(s.tensor.name for s in made)
    more = " Less can be saved:" if len(choices) > 1 else ""
    yield Prose(f"Saved from the forward pass: {kept}, {total}.{more}")
    if not more:
        return
    rows = []
    for choice in choices:
        kept = ", ".join(t.name for t in choice.saved) or "nothing"
        again = ", ".join(s.target.name for s in choice.again) or "nothing"
        cost = f"{choice.work:,.0f}" if choice.work >= 1 else "none"
        rows.append((kept, human(choice.size), again, cost))
    head = ("saved", "bytes", "computed again", "operations for that")
    yield Table(head, tuple(rows), (1, 3))
    if names:
        counted = ", ".join(f"{name} = {sized.sizes[name]}" for name in names)
        yield Prose(f"Counted at {counted}, in float64.")
