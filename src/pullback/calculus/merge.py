"""Sums merged: ``Σ_k f·a + Σ_k f·b`` is ``Σ_k f·(a + b)``, whatever the summation indices are
called."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ..ir.expr import Access
from ..ir.subscripts import Index, at
from ..ir.walk import free_indices, substitute
from .guards import tidy
from .normal import (
    Component,
    Factor,
    Poly,
    Term,
    apart,
    collect,
    components_of,
    expression,
    indices_in,
    renamed,
    term,
)

UNIT = Fraction(1)


def merge_sums(value: Poly) -> Poly:
    """The sum of terms with pairs of sums over a common factor merged, as long as there are any."""
    terms = list(value)
    while True:
        found = next(_pairs(terms), None)
        if found is None:
            return tuple(terms)
        i, j, made = found
        terms = [*terms[:i], made, *(t for k, t in enumerate(terms) if k > i and k != j)]


def _pairs(terms: list[Term]) -> Iterator[tuple[int, int, Term]]:
    for i, left in enumerate(terms):
        for j in range(i + 1, len(terms)):
            made = _merged(left, terms[j])
            if made is not None:
                yield i, j, made


def _merged(left: Term, right: Term) -> Term | None:
    """One term for two sums that share a factor under their sums and everything outside them."""
    if not left.bound or sorted(str(i.extent) for i in left.bound) != sorted(
        str(i.extent) for i in right.bound
    ):
        return None
    right = apart(right, [i.name for i in indices_in(left)])
    outer, inner = components_of(left)
    outer2, inner2 = components_of(right)
    if outer != outer2 or len(inner) != 1 or len(inner2) != 1:
        return None
    for names in _alignments(inner[0], inner2[0]):
        moved = renamed(right, names)
        if moved is not None:
            made = _joined(left, moved)
            if made is not None:
                return made
    return None


def _alignments(left: Component, right: Component) -> Iterator[dict[Index, Index]]:
    """Ways to name the right sum's indices after the left's so that a factor of both becomes the
    same."""
    for atom, exponent in left[2]:
        for other, exponent2 in right[2]:
            if exponent != exponent2 or not isinstance(atom, Access):
                continue
            if not isinstance(other, Access) or other.tensor is not atom.tensor:
                continue
            names: dict[Index, Index] = {}
            for sub, sub2 in zip(atom.subs, other.subs, strict=True):
                if sub.index in left[0] and sub2.index in right[0]:
                    names[sub2.index] = sub.index
            if len(names) != len(right[0]) or len(set(names.values())) != len(names):
                continue
            if any(old.extent is not new.extent for old, new in names.items()):
                continue
            subs = {old: at(new) for old, new in names.items()}
            if tidy(substitute(other, subs)) is atom:  # type: ignore[arg-type]
                yield names


def _joined(left: Term, right: Term) -> Term | None:
    if left.guards != right.guards or set(left.bound) != set(right.bound):
        return None
    shared: list[Factor] = [f for f in left.factors if f in right.factors]
    held = {i for a, _ in shared for i in free_indices(a)}
    if not any(i in held for i in left.bound):
        return None
    parts = [
        term(t.coef, (), (), [f for f in t.factors if f not in shared], False)
        for t in (left, right)
    ]
    if any(p is None or not p.factors for p in parts):
        return None
    together = collect(parts)
    if len(together) != 2:
        return None
    return term(UNIT, left.bound, left.guards, [*shared, (expression(together), UNIT)])
