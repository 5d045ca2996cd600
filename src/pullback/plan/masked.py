"""Sums over a masked array, read where the function made this array.

A derivation reads through masks: ``np.tril(S) @ V`` is a sum of products under a condition. A
forward pass that chose the products by this condition would make an array with the axes of all
factors; the function itself made ``np.tril(S)``, and so does its source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..calculus.flatten import indices_in
from ..ir.expr import Access, And, Cond, Expr, Guard, Reduce, Tensor, mul
from ..ir.program import Define
from ..ir.recurrence import recurrent
from ..ir.subscripts import Index, Subscript, at
from ..ir.walk import Tree, bottom_up, substitute
from .terms import flat_factors


def masks_read(statements: Sequence[Define]) -> list[Define]:
    """The statements with their sums over a masked array as sums over the statement that masks.

    Infinite values meet zeros in these sums as they do in NumPy's.
    """
    loops = recurrent(statements)
    masked: dict[Tensor, list[Define]] = {}
    found: list[Define] = []
    for define in statements:
        if define.target in loops:
            found.append(define)
            continue

        def change(node: Tree) -> Tree:
            return _sum(node, masked) if isinstance(node, Reduce) else node

        body = bottom_up(define.body, change) if masked else define.body
        found.append(define if body is define.body else replace(define, body=body))  # type: ignore[arg-type]
        if (tensor := _masks(define)) is not None:
            masked.setdefault(tensor, []).append(define)
    return found


def _masks(define: Define) -> Tensor | None:
    """The tensor that a statement is, element by element, where conditions hold, else 0."""
    conds, others = _apart(define.body)
    match others:
        case [Access(tensor, subs)] if conds and define.target.dtype == tensor.dtype:
            own = set(map(at, define.indices))
            return tensor if set(subs) == own and len(subs) == len(own) else None
    return None


def _apart(body: Expr) -> tuple[list[Cond], list[Expr]]:
    """The conditions among the factors of a product, and the others."""
    conds: list[Cond] = []
    others: list[Expr] = []
    for factor in flat_factors(body):
        match factor:
            case Guard(And(parts)):
                conds += parts
            case Guard(cond):
                conds.append(cond)
            case _:
                others.append(factor)
    return conds, others


def _sum(total: Reduce, masked: dict[Tensor, list[Define]]) -> Expr:
    """A sum, of a masked array if one has its conditions."""
    if total.op != "sum":
        return total
    conds, others = _apart(mul(*map(Guard, total.domain), total.body))
    for n, factor in enumerate(others if conds else ()):
        if not isinstance(factor, Access):
            continue
        for define in masked.get(factor.tensor, ()):
            moved = _moved(define, factor)
            if moved is not None and moved[1] <= set(conds):
                left = [Guard(c) for c in conds if c not in moved[1]]
                return Reduce(
                    "sum", total.indices, (), mul(*left, *others[:n], moved[0], *others[n + 1 :])
                )
    return total


def _moved(define: Define, read: Access) -> tuple[Access, set[Tree]] | None:
    """A masked array at the place of a read of the array itself, and its conditions there."""
    conds, (access,) = _apart(define.body)
    assert isinstance(access, Access)
    places: dict[Index, Subscript] = {}
    for sub, own in zip(read.subs, indices_in(access), strict=True):
        if sub.index is None or sub != at(sub.index) or sub.index.extent is not own.extent:
            return None
        places[own] = sub
    moved = Access(define.target, tuple(places[i] for i in define.indices))
    return moved, {substitute(c, places) for c in conds}
