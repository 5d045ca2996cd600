"""Which statements are needed, and which forward values the backward statements read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from ..calculus.step import Backward
from ..ir.expr import Access, Guard, Mul, Opaque, Tensor
from ..ir.program import Define, Program, live, reads
from ..ir.subscripts import at
from ..ir.walk import (
    Tree,
    accesses,
    bottom_up,
    children,
    free_indices,
    lookups,
    subscripts,
    substitute,
)


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


def joined(
    statements: Sequence[Define], kept: Sequence[Tensor], loops: Collection[Tensor]
) -> list[Define]:
    """The statements with quotients and products that are read once, and have no name of the
    user's, where they are read: a factor with few axes meets those of few axes first.

    ``(dL/N)*(E[n,i]/s[n])`` divides numbers and vectors, then multiplies a matrix once. What
    ``loops`` read or make stays: it would be computed anew at every step.
    """
    counts = counts_of(statements)
    stay = {*kept, *loops, *(t for s in statements if s.target in loops for t in reads(s))}
    bodies = {
        s.target: s
        for s in statements
        if counts[s.target] == 1 and not s.user and s.target not in stay and _is_uneven(s)
    }

    def change(node: Tree) -> Tree:
        match node:
            case Access(tensor, subs) if tensor in bodies:
                define = bodies[tensor]
                if any(sub.index is None or sub != at(sub.index) for sub in subs):
                    return node
                done.add(tensor)
                moved = substitute(define.body, dict(zip(define.indices, subs, strict=True)))
                put.add(moved)
                return moved
            case Mul(factors) if put.intersection(factors):
                parts = [f.factors if isinstance(f, Mul) and f in put else (f,) for f in factors]
                return Mul(tuple(chain(*parts)))
            case _:
                return node

    found: list[Define] = []
    done: set[Tensor] = set()
    put: set[Tree] = set()
    for define in statements:
        body = bottom_up(define.body, change) if bodies else define.body
        define = define if body is define.body else replace(define, body=body)  # type: ignore[arg-type]
        found.append(define)
        if define.target in bodies:
            bodies[define.target] = define
    return [s for s in found if s.target not in done]


def _is_uneven(define: Define) -> bool:
    """Whether a statement is a product of floats of which some have fewer axes than others."""
    if not isinstance(define.body, Mul) or define.target.kind != "float":
        return False
    factors = define.body.factors
    if any(isinstance(f, Guard) or not accesses(f) for f in factors):
        return False
    return len({len(free_indices(f)) for f in factors}) > 1


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
