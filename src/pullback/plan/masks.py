"""Products that conditions choose. Where arrays are memory, a mask is a factor of what is finite
anyway: that is much faster than a choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..ir.expr import ZERO, And, Apply, Compare, Cond, Expr, Guard, Not, Power, Zero
from ..ir.sizes import ONE, size
from ..ir.subscripts import Lookup, Subscript, at, indices_of, isolated
from ..ir.walk import free_indices, tensors
from . import arrays
from .arrays import Cut
from .laid import Laid

if TYPE_CHECKING:
    from .lower import Lowering


def guarded(lowering: Lowering, conds: Sequence[Cond], factors: Sequence[Expr]) -> Laid:
    """A product where conditions hold, else 0."""
    exact = lowering.facts.strict or lowering.facts.leaves_out(conds, factors)
    if lowering.in_place and not exact and (kinked := _kinked(conds, factors)):
        return lowering.times(kinked)
    if lowering.in_place and _is_factor(lowering, conds, factors):
        asked = Guard(conds[0] if len(conds) == 1 else And(tuple(conds)))
        with lowering.under():
            return lowering.times([*factors, asked])
    mask = lowering.cond(And(tuple(conds)))
    if not factors:
        return mask
    small, large = _apart(conds, factors)
    if lowering.in_place and small and large and lowering.facts.finite_anyway(large, conds):
        with lowering.under():
            value = lowering.times(small)
        return lowering.times(large, selected(lowering, mask, value, conds, small))
    with lowering.under():
        value = lowering.times(factors)
    return selected(lowering, mask, value, conds, factors)


def _apart(conds: Sequence[Cond], factors: Sequence[Expr]) -> tuple[list[Expr], list[Expr]]:
    """The factors that have no further axes than the conditions, and the others: where these are
    finite anyway, the few elements of the first are chosen. None of the first without a float, or
    where a division has to come last, and none where sizes alone decide: then one side is made."""
    own = {i for cond in conds for i in free_indices(cond)}
    small = [f for f in factors if own.issuperset(free_indices(f))]
    floats = any(t.kind == "float" for f in small for t in tensors(f))
    late = any(isinstance(f, Power) and f.exponent < -1 and tensors(f) for f in small)
    if late or not floats or not any(map(tensors, conds)):
        return [], list(factors)
    return small, [f for f in factors if f not in small]


def selected(
    lowering: Lowering, mask: Laid, value: Laid, conds: Sequence[Cond], factors: Sequence[Expr]
) -> Laid:
    """``value``, the product of ``factors``, where a mask holds, else 0."""
    if lowering.in_place and not lowering.facts.strict and len(conds) == 1:
        match conds[0]:
            case Not(Zero(sub)) if (made := _emptied(lowering, value, sub)) is not None:
                return made
    scalar = value.array.scalar or mask.array.scalar or value.array.kind != "float"
    if lowering.in_place and not scalar and lowering.facts.finite_anyway(factors, conds):
        return lowering.map("mul", value, mask)
    return lowering.where(mask, value, lowering.value(ZERO))


def _emptied(lowering: Lowering, value: Laid, sub: Subscript) -> Laid | None:
    """An array with 0 written where a subscript is 0: a diagonal, or a place a row from data. None
    where that is anything else, or no place of the array."""
    for index in value.indices:
        place = isolated(sub, index)
        if place is None or value.array.kind != "float" or None in value.axes:
            continue
        rows = indices_of(place)
        if len(rows) != 1 or rows[0] is index or rows[0] not in value.indices:
            continue
        if not (place.index or isinstance(place.atom, Lookup)):
            continue
        if not lowering.inside(place, index.extent):
            continue
        subs = {rows[0]: lowering.position(at(rows[0])), index: lowering.position(place)}
        axes = [i for i in value.indices if i in subs]
        told = [axes.index(i) if i in subs else Cut(size(0), ONE, i.extent) for i in value.indices]
        if told.index(1) - told.index(0) != 1:  # NumPy puts the places of axes apart in front
            continue
        rest = tuple(i.extent for i in (rows[0], *(i for i in value.indices if i not in subs)))
        zeros = arrays.expand(arrays.whole(0), rest, "float")
        places = [subs[i].array for i in axes]
        made = arrays.put(value.array, zeros, told, places, once=True, apart=True)
        return Laid(made, value.axes)
    return None


def _kinked(conds: Sequence[Cond], factors: Sequence[Expr]) -> list[Expr] | None:
    """``x * [x > 0]`` as a maximum, which keeps NaN; None where it is something else."""
    if len(conds) != 1 or not isinstance(conds[0], Compare) or conds[0].op not in ("<", "<="):
        return None
    for side, other, name in (
        (conds[0].right, conds[0].left, "maximum"),
        (conds[0].left, conds[0].right, "minimum"),
    ):
        if other is ZERO and side in factors:
            rest = list(factors)
            rest[rest.index(side)] = Apply(name, (side, ZERO))
            return rest
    return None


def _is_factor(lowering: Lowering, conds: Sequence[Cond], factors: Sequence[Expr]) -> bool:
    """Whether a mask of fewer axes than a product meets the factors of few axes first, since the
    product is finite anyway; one of them is a float, so that the mask becomes floats of that
    width."""
    axes = [set(free_indices(f)) for f in factors]
    own = {i for cond in conds for i in free_indices(cond)}
    if lowering.facts.strict or not own or own.issuperset(set().union(*axes)):
        return False
    first = any(len(a) < len(own) or a == own for a in axes)
    floats = any(
        len(a) <= len(own) and any(t.kind == "float" for t in tensors(f))
        for f, a in zip(factors, axes, strict=True)
    )
    return first and floats and lowering.facts.finite_anyway(factors, conds)
