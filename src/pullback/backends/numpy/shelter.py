"""Places that are looked up where a condition may fail: there they may be anywhere."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.expr import Access, Cond, Inside
from ...ir.sizes import Size
from ...ir.subscripts import Lookup, Subscript, at, indices_of
from ...ir.walk import free_indices
from ..python.code import Code
from .arrays import Array
from .expressions import Context, Speller


def sheltered(
    speller: Speller, subs: Sequence[Subscript], shape: Sequence[Size], conds: Sequence[Cond]
) -> tuple[Subscript, ...]:
    """The places in an array of a shape that something is added to where ``conds`` hold.

    One that is looked up, and may be outside where they fail, is 0 there; what is added there is 0,
    too. A value may be 0 by its own definition where a condition fails: then no condition stands
    beside the place, and one outside is 0.
    """
    own = {i for sub in subs for i in indices_of(sub)}
    known = [cond for cond in conds if own.issuperset(free_indices(cond))]
    sure = speller.scope.facts.surely_inside
    return tuple(
        _kept(speller, sub, known or [Inside(sub, extent)])
        if looked_up(sub) and not sure(sub, extent)
        else sub
        for sub, extent in zip(subs, shape, strict=True)
    )


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
