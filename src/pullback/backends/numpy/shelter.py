"""Places that are looked up where a condition may fail: there they may be anywhere."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.expr import Access, Cond
from ...ir.subscripts import Lookup, Subscript, at, indices_of
from ...ir.walk import free_indices
from .arrays import Array
from .code import Code
from .expressions import Context, Speller


def sheltered(
    speller: Speller, subs: Sequence[Subscript], conds: Sequence[Cond]
) -> tuple[Subscript, ...]:
    """The places that something is added to where ``conds`` hold.

    One that is looked up is 0 where they fail, and what is added there is 0, too.
    """
    own = {i for sub in subs for i in indices_of(sub)}
    known = [cond for cond in conds if own.issuperset(free_indices(cond))]
    return tuple(_kept(speller, sub, known) if known and looked_up(sub) else sub for sub in subs)


def looked_up(sub: Subscript) -> bool:
    """Whether a place is read from an array."""
    return any(isinstance(atom, Lookup) for atom, _ in sub.terms)


def _kept(speller: Speller, sub: Subscript, conds: Sequence[Cond]) -> Subscript:
    context = Context((), indices_of(sub))
    mask = speller.all_conditions(conds, context)
    places = speller.subscript(sub, context)
    nought = Array(Code("0"), (), "weak int")
    found = speller.stored(speller.where(mask, places, nought, context), "place", "int64")
    assert isinstance(found, Access)
    return at(Lookup(found))
