"""Reads of a tensor as views: slices, steps, flips, diagonals, windows, reshapes; else fancy
indexing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...ir.expr import Access
from ...ir.sizes import Size, size
from ...ir.subscripts import (
    Index,
    Quotient,
    Remainder,
    Subscript,
    at,
    indices_of,
    inside,
    map_indices,
    reduced,
)
from ...plan.frames import frame_of
from ...plan.radix import backwards, joined, radix
from ..python.code import Code, call, item, leaf, method
from .arrays import Array, Axes, aligned
from .rotations import rolled
from .scope import Scope

if TYPE_CHECKING:
    from .expressions import Context, Speller

WINDOWS = "from numpy.lib.stride_tricks import sliding_window_view"


@dataclass(frozen=True)
class Source:
    """What is being indexed: its source, its extents, and the subscript of each axis."""

    code: Code
    shape: tuple[Size, ...]
    subs: tuple[Subscript, ...]
    view: bool = True


def read(speller: Speller, access: Access, context: Context) -> Array | None:
    """``access`` as one chain of views or one fancy index; None where it may leave the array."""
    held = speller.scope.held(access.tensor)
    subs = tuple(reduced(sub, ()) for sub in access.subs)
    if context.conds:
        shape = access.tensor.shape
        places = zip(subs, shape, strict=True)
        if not all(inside(sub, n, ()) or speller.scope.is_step(sub, n) for sub, n in places):
            return None
    source = Source(held.code, access.tensor.shape, subs, held.view)
    source = _turned(speller.scope, merged(speller.scope, _repeated(speller.scope, source)))
    if all(_is_slice(sub) for sub in source.subs):
        return _diagonals(_sliced(speller.scope, source, access.tensor.dtype))
    if all(_is_affine(sub) and (len(sub.terms) > 1 or _is_slice(sub)) for sub in source.subs):
        source = _split(speller.scope, source)
        if all(_is_slice(sub) for sub in source.subs):
            return _diagonals(_sliced(speller.scope, source, access.tensor.dtype))
        return _windows(speller.scope, source, access.tensor.dtype)
    return _fancy(speller, source, access.tensor.dtype, context)


def place(speller: Speller, access: Access) -> Array:
    """The places of a tensor that a statement writes to: one slice, or one fancy index."""
    from .expressions import Context

    subs = tuple(reduced(sub, ()) for sub in access.subs)
    source = Source(speller.scope.read(access.tensor), access.tensor.shape, subs)
    distinct = [i for sub in subs for i in indices_of(sub)]
    if len(set(distinct)) == len(distinct) and all(_is_slice(sub) for sub in subs):
        array = _sliced(speller.scope, source, access.tensor.dtype)
        if str(array.code).isidentifier():
            array = array.with_code(item(array.code, ["..."]))
        return array
    return _fancy(speller, source, access.tensor.dtype, Context())


def _is_affine(sub: Subscript) -> bool:
    return all(isinstance(atom, Index) for atom, _ in sub.terms)


def _is_slice(sub: Subscript) -> bool:
    """Whether it is one place, or one index with a step that can't be 0."""
    return _is_affine(sub) and len(sub.terms) < 2 and all(_is_step(n) for _, n in sub.terms)


def _is_step(n: Size) -> bool:
    return n.at_least(1) or (-n).at_least(1)


# one axis read at i // d: repeated elements


def _repeated(scope: Scope, source: Source) -> Source:
    """Axes read at ``i // d``, all of them, become axes of repeated elements read at i."""
    code, shape, subs = source.code, list(source.shape), list(source.subs)
    for axis, sub in enumerate(source.subs):
        atom = sub.atom
        if not isinstance(atom, Quotient) or not isinstance(index := atom.value.atom, Index):
            continue
        if index.extent is not shape[axis] * atom.divisor:
            continue
        if any(index in indices_of(other) for n, other in enumerate(subs) if n != axis):
            continue
        named = {"axis": axis} if len(shape) > 1 else {}
        code = leaf(call("np.repeat", code, scope.size(atom.divisor), **named))
        shape[axis], subs[axis] = index.extent, atom.value
    if code is source.code:
        return source
    return Source(code, tuple(shape), tuple(subs), view=False)


# adjacent axes read at the digits of one number: one axis


def merged(scope: Scope, source: Source) -> Source:
    """Adjacent axes read at ``v // D`` and ``v % D`` become one axis read at ``v``."""
    shape, subs = joined(source.shape, source.subs)
    if len(shape) == len(source.shape):
        return source
    return Source(reshape(scope, source.code, shape), shape, subs, source.view)


# one axis read at (D*h + d + c) % N: its elements moved on


def _turned(scope: Scope, source: Source) -> Source:
    """Axes read at ``(D*h + d + c) % N``, all of N places, become axes read at ``D*h + d``."""
    code, subs = source.code, list(source.subs)
    for axis, (sub, extent) in enumerate(zip(source.subs, source.shape, strict=True)):
        if not isinstance(atom := sub.atom, Remainder) or atom.divisor is not extent:
            continue
        place = atom.value - atom.value.const
        total = size(1)
        for index in radix(place) or ():
            total = total * index.extent
        shared = {i for n, other in enumerate(subs) if n != axis for i in indices_of(other)}
        if total is extent and shared.isdisjoint(indices_of(place)):
            code, subs[axis] = rolled(scope, code, {axis: atom}, len(subs)), place
    return source if code is source.code else Source(code, source.shape, tuple(subs), view=False)


def reshape(scope: Scope, code: Code, shape: Sequence[Size]) -> Code:
    """``code.reshape(shape)``; one symbolic extent is left to NumPy if nothing can be of size 0."""
    texts = [str(scope.size(n)) for n in shape]
    return method(code, "reshape", *texts)


# one axis read at D*h + d: two axes


def _split(scope: Scope, source: Source) -> Source:
    """Axes read at numbers with several digits become one axis per digit."""
    shape: list[Size] = []
    subs: list[Subscript] = []
    cuts: list[str] = []
    for n, sub in zip(source.shape, source.subs, strict=True):
        back = backwards(sub) if len(sub.terms) > 1 else {}
        digits = radix(map_indices(sub, back)) if len(sub.terms) > 1 else None
        total = size(1)
        for index in digits or ():
            total = total * index.extent
        if digits is None or not (n - total).at_least(0):
            shape.append(n)
            subs.append(sub)
            cuts.append(":")
            continue
        cuts.append(":" if total is n else f":{scope.size(total)}")
        shape.extend(index.extent for index in digits)
        subs.extend(back.get(index, at(index)) for index in digits)
    if len(shape) == len(source.shape):
        return source
    while cuts and cuts[-1] == ":":
        cuts.pop()
    code = item(source.code, cuts) if cuts else source.code
    return Source(reshape(scope, code, shape), tuple(shape), tuple(subs), source.view)


# slices


def _sliced(scope: Scope, source: Source, dtype: str) -> Array:
    """Every axis read at a constant or at one index: a basic slice."""
    parts: list[str] = []
    flips: list[bool] = []
    axes: list[Index | None] = []
    for sub, extent in zip(source.subs, source.shape, strict=True):
        if not sub.terms and extent.literal == 1:
            parts.append(":")
            flips.append(False)
            axes.append(None)
            continue
        if not sub.terms:
            parts.append(_place(scope, sub.const, extent))
            continue
        (index, step), *_ = sub.terms
        assert isinstance(index, Index)
        text, flipped = slice_text(scope, sub.const, step, index.extent, extent)
        parts.append(text)
        flips.append(flipped)
        axes.append(index)
    code = _indexed(source.code, parts)
    if any(flips):
        code = _indexed(code, ["::-1" if flipped else ":" for flipped in flips])
    return Array(code, tuple(axes), dtype, view=source.view)


def _indexed(code: Code, parts: list[str]) -> Code:
    while parts and parts[-1] == ":":
        parts.pop()
    return item(code, parts) if parts else code


def _place(scope: Scope, place: Size, extent: Size) -> str:
    behind = (place - extent).literal
    if place.literal is None and behind is not None and behind < 0:
        return str(behind)
    return str(scope.size(place))


def slice_text(
    scope: Scope, start: Size, step: Size, count: Size, extent: Size
) -> tuple[str, bool]:
    """``start:stop:step`` that takes ``count`` elements, and whether to flip them afterwards."""
    if not step.at_least(1):
        low = start + step * (count - 1)
        text, _ = slice_text(scope, low, -step, count, extent)
        return text, True
    stop = start + step * count
    spelled = [
        _place(scope, start, extent) if start.terms else "",
        "" if _reaches(stop, step, extent) else _end(scope, stop, extent),
    ]
    if step.literal != 1:
        spelled.append(str(scope.size(step)))
    return ":".join(spelled), False


def _end(scope: Scope, stop: Size, extent: Size) -> str:
    """Where a slice ends; at 0 if there is nothing to take (below 0 NumPy counts from behind)."""
    text = _place(scope, stop, extent)
    known = text.startswith("-") or scope.facts.at_least_zero(stop)
    return text if known else f"max(0, {text})"


def _reaches(stop: Size, step: Size, extent: Size) -> bool:
    """Whether a slice without a stop takes the same elements: there is no room for one more."""
    return (stop - extent).at_least(0) and (extent - stop + step).at_least(1)


def _diagonals(array: Array) -> Array:
    """Axes that run over the same index become one."""
    axes, code = list(array.axes), array.code
    while True:
        repeated = next((axis for axis in axes if axis and axes.count(axis) > 1), None)
        if repeated is None:
            return Array(code, tuple(axes), array.dtype, view=array.view)
        first = axes.index(repeated)
        second = axes.index(repeated, first + 1)
        named = {} if (first, second) == (0, 1) else {"axis1": first, "axis2": second}
        code = method(code, "diagonal", **named)
        axes = [*axes[:first], *axes[first + 1 : second], *axes[second + 1 :], repeated]


# windows


def _windows(scope: Scope, source: Source, dtype: str) -> Array | None:
    """Axes read at ``a*i + b*p + c``: a sliding window of p's at positions i."""
    widths: list[str] = []
    places: list[int] = []
    first: list[Subscript] = []
    extents: list[Size] = []
    inner: list[Subscript] = []
    lengths: list[Size] = []
    for axis, (sub, extent) in enumerate(zip(source.subs, source.shape, strict=True)):
        if len(sub.terms) < 2:
            first.append(sub)
            extents.append(extent)
            continue
        found = _window(sub)
        if found is None:
            return None
        (index, step), (tap, spread) = found
        backwards = not spread.at_least(1)
        width = (-spread if backwards else spread) * (tap.extent - 1) + 1
        if not _is_step(spread) or not width.at_least(1):
            return None
        start = sub.const + (spread * (tap.extent - 1) if backwards else 0)
        first.append(Subscript(((index, step),), start))
        extents.append(extent - width + 1)
        offset = (-spread) * (tap.extent - 1) if backwards else size(0)
        inner.append(Subscript(((tap, spread),), offset))
        lengths.append(width)
        widths.append(str(scope.size(width)))
        places.append(axis)
    scope.imports[WINDOWS] = None
    if len(widths) == 1:
        code = call("sliding_window_view", source.code, widths[0], axis=places[0])
    else:
        shape = f"({', '.join(widths)})"
        code = call("sliding_window_view", source.code, shape, axis=tuple(places))
    windows = Source(leaf(code), (*extents, *lengths), (*first, *inner), source.view)
    array = _diagonals(_sliced(scope, windows, dtype))
    last = next((atom for atom, _ in first[-1].terms if isinstance(atom, Index)), None)
    return replace(array, inner=last)


def _window(sub: Subscript) -> tuple[tuple[Index, Size], tuple[Index, Size]] | None:
    """Position and tap of a window: the tap is the index of small, literal extent."""
    if len(sub.terms) != 2:
        return None
    (one, a), (two, b) = sub.terms
    assert isinstance(one, Index) and isinstance(two, Index)
    pairs = [((one, a), (two, b)), ((two, b), (one, a))]
    pairs.sort(key=lambda pair: _extent_rank(pair[1][0].extent))
    for position, tap in pairs:
        if position[1].at_least(1) and tap[0].extent.at_least(1):
            return position, tap
    return None


def _extent_rank(extent: Size) -> tuple[int, int]:
    return (0, extent.literal) if extent.literal is not None else (1, 0)


# fancy indexing


def _fancy(speller: Speller, source: Source, dtype: str, context: Context) -> Array:
    """Axes with lookups, and those that share an index with them, by integer arrays."""
    fancy = _fancy_axes(source.subs)
    places = [
        speller.subscript(sub, context) if axis in fancy else None
        for axis, sub in enumerate(source.subs)
    ]
    frame = frame_of([place.indices for place in places if place is not None], context.hint)
    parts: list[str] = []
    before: list[Index] = []
    after: list[Index] = []
    for axis, (sub, place) in enumerate(zip(source.subs, places, strict=True)):
        if place is not None:
            parts.append(str(aligned(place, frame).code))
            continue
        if not sub.terms:
            parts.append(_place(speller.scope, sub.const, source.shape[axis]))
            continue
        (index, step), *_ = sub.terms
        assert isinstance(index, Index)
        text, _ = slice_text(speller.scope, sub.const, step, index.extent, source.shape[axis])
        parts.append(text)
        (before if axis < min(fancy) else after).append(index)
    if not _adjacent(source.subs, fancy):
        before, after = [], [*before, *after]
    axes: Axes = (*before, *frame, *after)
    return Array(_indexed(source.code, parts), axes, dtype)


def _fancy_axes(subs: Sequence[Subscript]) -> set[int]:
    """The axes that need integer arrays."""
    fancy = {
        n
        for n, sub in enumerate(subs)
        if not _is_affine(sub) or len(sub.terms) > 1 or any(not c.at_least(1) for _, c in sub.terms)
    }
    while True:
        shared = {index for n in fancy for index in indices_of(subs[n])}
        seen: set[Index] = set()
        more = set(fancy)
        for n, sub in enumerate(subs):
            own = set(indices_of(sub))
            if n not in fancy and own & (shared | seen):
                more.add(n)
            seen |= own
        if more == fancy:
            return fancy
        fancy = more


def _adjacent(subs: Sequence[Subscript], fancy: set[int]) -> bool:
    """Whether NumPy leaves the axes of integer arrays where they are (constants count as such)."""
    places = sorted(n for n, sub in enumerate(subs) if n in fancy or not sub.terms)
    return places == list(range(places[0], places[-1] + 1))
