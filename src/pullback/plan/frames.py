"""The order of axes in which arrays meet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..ir.subscripts import Index


def frame_of(axes: Iterable[Sequence[Index]], hint: Sequence[Index] = ()) -> tuple[Index, ...]:
    """An order of the axes of several arrays that asks for few transpositions.

    ``hint`` breaks ties.
    """
    axes = [tuple(own) for own in axes]
    wanted = dict.fromkeys(axis for own in axes for axis in own)
    hinted = tuple(axis for axis in hint if axis in wanted)
    if len(hinted) == len(wanted) and all(_in_order(own, hinted) for own in axes):
        return hinted
    order: list[Index] = []
    for own in sorted(axes, key=lambda own: -len(own)):
        for n, axis in enumerate(own):
            if axis in order:
                continue
            later = [order.index(other) for other in own[n + 1 :] if other in order]
            order.insert(min(later) if later else len(order), axis)
    return tuple(order)


def _in_order(axes: Sequence[Index], frame: Sequence[Index]) -> bool:
    places = [frame.index(axis) for axis in axes]
    return places == sorted(places)
