"""Sums merged: ``Σ_k f·a + Σ_k f·b`` is ``Σ_k f·(a + b)``, whatever the summation indices are
called, where one sum costs no more than two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product

from ..ir.expr import Access
from ..ir.subscripts import Index
from ..ir.walk import free_indices
from .normal import (
    Factor,
    Poly,
    Term,
    apart,
    components_of,
    expression,
    indices_in,
    renamed,
    term,
)

UNIT = Fraction(1)


def merge_sums(value: Poly, cost: Callable[[Poly], float]) -> Poly:
    """The sum of terms with pairs of sums over a common factor merged, as long as there are any
    that make the sum no costlier.

    ``Σ_d dY[n,d]·Y[n,e,d] - Σ_d dY[n,d]·O[n,d]`` stays: a difference of all elements would cost
    more than the second sum.
    """
    terms = list(value)
    while True:
        found = next(_pairs(terms, cost), None)
        if found is None:
            return tuple(terms)
        i, j, made = found
        terms = [*terms[:i], made, *(t for k, t in enumerate(terms) if k > i and k != j)]


def _pairs(terms: list[Term], cost: Callable[[Poly], float]) -> Iterator[tuple[int, int, Term]]:
    for i, left in enumerate(terms):
        for j in range(i + 1, len(terms)):
            made = _merged(left, terms[j])
            if made is not None and cost((made,)) <= cost((left, terms[j])):
                yield i, j, made


def _merged(left: Term, right: Term) -> Term | None:
    """One term for two sums that share a factor under their sums and everything outside them."""
    right = apart(right, [i.name for i in indices_in(left)])
    match components_of(left), components_of(right):
        case (outer, [_]), (outer2, [_]) if outer == outer2:
            options = (renamed(right, names) for names in _alignments(left, right))
            joined = (_joined(left, moved) for moved in options if moved is not None)
            return next((made for made in joined if made is not None), None)
    return None


def _alignments(left: Term, right: Term) -> Iterator[dict[Index, Index]]:
    """Ways to name the right sum's indices after the left's so that reads of both meet."""
    for (atom, _), (other, _) in product(left.factors, right.factors):
        match atom, other:
            case Access(tensor, subs), Access(tensor2, subs2) if tensor is tensor2:
                yield {
                    theirs.index: ours.index
                    for ours, theirs in zip(subs, subs2, strict=True)
                    if ours.index in left.bound
                    and theirs.index in right.bound
                    and theirs.index.extent is ours.index.extent
                }


def _joined(left: Term, right: Term) -> Term | None:
    if left.guards != right.guards or sorted(map(str, left.bound)) != sorted(map(str, right.bound)):
        return None
    shared: list[Factor] = [f for f in left.factors if f in right.factors]
    held = {i for a, _ in shared for i in free_indices(a)}
    scale = left.coef if abs(left.coef) == abs(right.coef) else UNIT
    parts = [
        Term(t.coef / scale, (), (), tuple(f for f in t.factors if f not in shared))
        for t in (left, right)
    ]
    if held.isdisjoint(left.bound) or not all(p.factors for p in parts):
        return None
    return term(scale, left.bound, left.guards, [*shared, (expression(tuple(parts)), UNIT)])
