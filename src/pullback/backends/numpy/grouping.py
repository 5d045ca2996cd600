"""Masked values that several products share, taken out of them so that they are computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...ir.expr import Expr, Guard, Mul, mul
from ...ir.walk import Tree, accesses, bottom_up, free_indices, nodes
from ...plan.facts import Facts
from ...plan.terms import in_bounds
from .sharing import canonical


def grouped(bodies: Sequence[Expr], facts: Facts) -> list[Expr]:
    """The expressions with what a guard protects from being infinite as a product of its own.

    ``[t != 0]*x/t + [t != 0]*y/t`` becomes ``([t != 0]/t)*x + ([t != 0]/t)*y``: the rest of a
    product is finite, so it may be multiplied by the 0 that the guarded product is elsewhere.
    """
    groups = {
        node: group
        for body in bodies
        for node in nodes(body)
        if isinstance(node, Mul) and (group := _group(node, facts)) is not None
    }
    counts = Counter(canonical(group[0])[0] for group in groups.values())

    def change(tree: Tree) -> Tree:
        group = groups.get(tree) if isinstance(tree, Mul) else None
        if group is None or counts[canonical(group[0])[0]] < 2:
            return tree
        return Mul(group)

    return [bottom_up(body, change) for body in bodies] if groups else list(bodies)  # type: ignore[misc]


def _group(product: Mul, facts: Facts) -> tuple[Expr, ...] | None:
    """The guarded part of a product, then its other factors; None if one of them is empty."""
    guards = [f for f in product.factors if isinstance(f, Guard)]
    conds = [guard.cond for guard in guards]
    others = [f for f in product.factors if not isinstance(f, Guard)]
    tame = [f for f in others if facts.tame([f], conds) and all(map(in_bounds, accesses(f)))]
    wild = [f for f in others if f not in tame]
    if not guards or not wild or not tame:
        return None
    return Mul((*guards, *wild)), *tame


def with_scalars(bodies: Sequence[Expr], scalars: Sequence[Expr]) -> list[Expr] | None:
    """Products that have a guarded part in common, with scalars multiplied into that part.

    None where they have none, or where a factor is no scalar.
    """
    if any(free_indices(scalar) for scalar in scalars):
        return None
    parts = [_guarded(body) for body in bodies]
    forms = {canonical(part)[0] for part in parts if part is not None}
    if None in parts or len(forms) != 1:
        return None
    changed: list[Expr] = []
    for body, part in zip(bodies, parts, strict=True):
        assert isinstance(body, Mul) and isinstance(part, Mul)
        rest = [f for f in body.factors if f is not part]
        changed.append(mul(Mul((*scalars, *part.factors)), *rest))
    return changed


def _guarded(body: Expr) -> Mul | None:
    """The one factor of a product that is a guarded product."""
    if not isinstance(body, Mul):
        return None
    found = [
        f
        for f in body.factors
        if isinstance(f, Mul) and any(isinstance(g, Guard) for g in f.factors)
    ]
    return found[0] if len(found) == 1 else None
