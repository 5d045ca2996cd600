"""Integers no two of which are equal, such as the places of a sorted array."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..ir.expr import Access, Opaque, Tensor
from ..ir.program import Define
from ..ir.subscripts import Index, Lookup, Subscript, indices_of
from ..opaque import TABLE

Distinct = Mapping[Tensor, frozenset[int]]


def distinct_axes(define: Define, known: Distinct) -> frozenset[int]:
    """The axes of a statement's target along which its integers differ, the other axes fixed."""
    match define.body:
        case Opaque(operation) if TABLE[operation].distinct:
            return frozenset({len(define.indices) - 1})
        case Access() as access:
            others = set(define.indices)
            return frozenset(
                axis
                for axis, index in enumerate(define.indices)
                if told_by_read(access, others - {index}, known) is index
            )
        case _:
            return frozenset()


def told_by_read(access: Access, told: Collection[Index], known: Distinct) -> Index | None:
    """The index that is told by the integer that is read and those that are told already."""
    for axis in sorted(known.get(access.tensor, ())):
        open_ = [
            index
            for k, sub in enumerate(access.subs)
            for index in indices_of(sub)
            if index not in told
        ]
        if len(open_) == 1 and told_by(access.subs[axis], told, known) is open_[0]:
            return open_[0]
    return None


def told_by(sub: Subscript, told: Collection[Index], known: Distinct) -> Index | None:
    """The one index that is told by a subscript and the indices that are told already."""
    left = [(atom, n) for atom, n in sub.terms if not set(_own(atom)) <= set(told)]
    if len(left) != 1:
        return None
    atom, n = left[0]
    if not (n.at_least(1) or (-n).at_least(1)):
        return None
    match atom:
        case Index():
            return atom
        case Lookup(access):
            return told_by_read(access, told, known)
        case _:
            return None


def _own(atom: object) -> tuple[Index, ...]:
    match atom:
        case Index():
            return (atom,)
        case Lookup(access):
            return tuple(i for sub in access.subs for i in indices_of(sub))
        case _:
            return indices_of(atom.value)  # type: ignore[attr-defined]
