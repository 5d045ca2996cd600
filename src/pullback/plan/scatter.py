"""Sums into computed subscripts, and parts put where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from ..ir.expr import ZERO, Access, Expr, Guard, Inside, Mul, Zero, mul, total
from ..ir.sizes import ONE, Size, size
from ..ir.subscripts import Index, Subscript, constant, indices_of, reduced
from ..ir.walk import free_indices, substitute
from . import arrays
from .arrays import Array, Cut
from .contract import inner_sum
from .convolve import transposed
from .distinct import told_by
from .facts import Facts
from .laid import Laid, aligned, permuted
from .lower import Lowering
from .pieces import Piece, is_range
from .spread import Spread
from .terms import flat_factors, split_sign
from .weights import weight
from .windows import turn


def placed(lowering: Lowering, piece: Piece, base: Array, *, apart: bool) -> Array:
    """``base`` with the values of a piece added where the piece is; ``apart`` if it is 0 there."""
    own = [i for sub in piece.subs for i in indices_of(sub)]
    plain = all(not sub.terms or is_range(sub) for sub in piece.subs)
    if not plain or len(set(own)) < len(own):
        bound = tuple(dict.fromkeys(own))
        parts = flat_factors(piece.body)
        conds = tuple(f.cond for f in parts if isinstance(f, Guard))
        rest = mul(*(f for f in parts if not isinstance(f, Guard))) if conds else piece.body
        spread = Spread(bound, base.shape, piece.subs, conds, (rest,))
        return scattered(lowering, spread, base)
    cuts = [lowering.cut(sub, extent) for sub, extent in zip(piece.subs, base.shape, strict=True)]
    added = lowering.in_place and not apart and not arrays.is_zeros(base)
    sign, body = split_sign(piece.body) if added else (1, piece.body)
    value = lowering.over(lowering.value(body), own)
    return arrays.put(base, value, cuts, (), sign=sign, once=True, apart=apart)


def filled(lowering: Lowering, piece: Piece) -> Array:
    """The values of a piece, with all its axes."""
    own = [i for sub in piece.subs for i in indices_of(sub)]
    return lowering.over(lowering.value(piece.body), own)


def scattered(lowering: Lowering, spread: Spread, base: Array) -> Array:
    """``base`` with values added at subscripts."""
    if lowering.in_place:
        if (found := _by_turns(lowering, spread, base)) is not None:
            return found
    elif (found := transposed(lowering, spread)) is not None:
        return found if arrays.is_zeros(base) else arrays.apply("add", base, found)
    conds = [c for c in spread.conds if lowering.decided(c) is not True]
    own = dict.fromkeys(i for sub in spread.subs for i in indices_of(sub))
    rest = [i for i in spread.bound if i not in own]
    count = len(spread.subs)
    while count and _is_free(spread.subs[count - 1], spread, count - 1):
        count -= 1
    trailing = [sub.index for sub in spread.subs[count:]]
    clipped = [
        not lowering.inside(sub, extent)
        for sub, extent in zip(spread.subs, spread.shape, strict=True)
    ]
    once = is_injective(spread, lowering.facts, clipped)
    sign, factors = 1, spread.factors
    if lowering.in_place and not (once and arrays.is_zeros(base)):
        sign, whole = split_sign(mul(*factors))
        factors = factors if sign > 0 else whole.factors if isinstance(whole, Mul) else (whole,)
    if rest or not conds:
        value = inner_sum(lowering, rest, conds, factors)
    else:
        value = lowering.product([*map(Guard, conds), *factors])
    places = []
    for sub, extent, outside in zip(spread.subs[:count], spread.shape, clipped, strict=False):
        place = lowering.position(sub)
        if outside:
            asked = Inside(sub, extent)
            if asked not in conds and lowering.decided(asked) is not True:
                value = lowering.where(lowering.cond(asked), value, lowering.value(ZERO))
            top = Laid(arrays.count(extent - 1))
            place = lowering.map("clip", place, Laid(arrays.whole(0)), top)
        places.append(place)
    frame = tuple(i for i in own if i not in trailing)
    if not once:
        frame = tuple(i for i in frame if any(i in place.axes for place in places))
    extra = [i for i in value.indices if i not in frame and i not in trailing]
    value = lowering.folded("sum", extra, value)
    axes = (*frame, *(i for i in trailing if i is not None))
    full = lowering.over(value, axes)
    parts = [aligned(place, frame).array for place in places]
    return arrays.put(base, full, range(count), parts, sign=sign, once=once)


def _is_free(sub: Subscript, spread: Spread, axis: int) -> bool:
    """Whether an axis is gone through by an index of its own."""
    index = sub.index
    others = [s for k, s in enumerate(spread.subs) if k != axis]
    return (
        index is not None
        and index.extent is spread.shape[axis]
        and all(index not in indices_of(other) for other in others)
    )


def is_injective(spread: Spread, facts: Facts, clipped: Sequence[bool] = ()) -> bool:
    """Whether every index can be told from the subscripts, so that none of them occurs twice;
    those that are ``clipped`` tell nothing."""
    told: set[Index] = set()
    subs = [s for s, gone in zip_longest(spread.subs, clipped) if not gone]
    for sub in subs:
        bounded = facts.bounded(sub)
        if sub.index is not None:
            told.add(sub.index)
            continue
        terms = sorted(bounded.terms, key=lambda term: term[1].literal or 10**9)
        reach = size(0)
        digits: list[Index] = []
        for atom, n in terms:
            if not isinstance(atom, Index) or not (n - reach).at_least(1):
                break  # what overlaps tells no index apart
            reach = reach + n * (atom.extent - 1)
            digits.append(atom)
        else:
            told.update(digits)
    while True:
        more = (told_by(sub, told, facts.distinct) for sub in subs)
        found = {index for index in more if index is not None} - told
        if not found:
            return all(i in told for sub in spread.subs for i in indices_of(sub))
        told |= found


# loops over a few indices, a slice a turn


def _by_turns(lowering: Lowering, spread: Spread, base: Array) -> Array | None:
    """A loop over small indices, each turn of which adds to one slice of the target; None where a
    subscript is looked up, or a slice may reach beyond the target by who knows how much."""
    found = None if spread.looked_up else _loops(spread)
    if found is None:
        return None
    loops, rest = found
    turns = tuple((turn(i), i.extent) for i in loops)
    here = {i: constant(turn(i)) for i in loops}
    margins = _margins(lowering, spread)
    if margins is None:
        return None
    padded = any(low.terms or high.terms for low, high in margins)
    shape = tuple(n + low + high for n, (low, high) in zip(spread.shape, margins, strict=True))
    cuts: list[Cut] = []
    axes: list[Index] = []
    for sub, (low, _) in zip(spread.subs, margins, strict=True):
        moved = reduced(_at(sub, here), ()) + low
        cut = Cut(moved.const, ONE, None)
        if moved.terms:
            ((index, step),) = moved.terms
            assert isinstance(index, Index)
            axes.append(index)
            cut = Cut(moved.const, step, index.extent)
        cuts.append(cut)
    if len(set(axes)) < len(axes):
        return None
    body = total(rest, mul(*map(Guard, spread.conds), *spread.factors))
    value = _turned(lowering, body, loops, turns, axes, hoist=bool(rest))
    once = is_injective(spread, lowering.facts)
    buffer = arrays.zeros(shape) if padded else base
    made = arrays.spread(buffer, value, cuts, turns, once=once)
    if not padded:
        return made
    low_cuts = [Cut(low, ONE, n) for (low, _), n in zip(margins, spread.shape, strict=True)]
    middle = arrays.slice_of(made, low_cuts)
    return middle if arrays.is_zeros(base) else arrays.apply("add", base, middle)


def _turned(
    lowering: Lowering,
    body: Expr,
    loops: Sequence[Index],
    turns: arrays.Turns,
    axes: Sequence[Index],
    *,
    hoist: bool,
) -> Array:
    """What one turn adds. A sum, or what is the same in all turns, is made before the loop."""
    if not isinstance(body, Access) and (hoist or not set(loops) & set(free_indices(body))):
        hint, lowering.hint = lowering.hint, (*loops, *axes)  # a turn's part is one of memory
        laid = lowering.value(body)
        lowering.hint = hint
        laid = permuted(laid, laid.indices)
        cuts = [
            Cut(turn(i), ONE, None) if i in loops else Cut(size(0), ONE, n)
            for i, n in zip(laid.indices, laid.array.shape, strict=True)
        ]
        array = arrays.slice_of(laid.array, cuts) if not laid.array.scalar else laid.array
        return lowering.over(Laid(array, tuple(i for i in laid.indices if i not in loops)), axes)
    before = lowering.turns
    lowering.turns = (*before, *turns)
    here = {i: constant(turn(i)) for i in loops}
    value = lowering.over(lowering.value(substitute(body, here)), axes)  # type: ignore[arg-type]
    lowering.turns = before
    return value


def _at(sub: Subscript, here: dict[Index, Subscript]) -> Subscript:
    moved = substitute(Zero(sub), here)
    assert isinstance(moved, Zero)
    return moved.sub


def _margins(lowering: Lowering, spread: Spread) -> list[tuple[Size, Size]] | None:
    """The margins of the target that let every slice be written in full."""
    found = []
    for sub, extent in zip(spread.subs, spread.shape, strict=True):
        if lowering.inside(sub, extent):
            found.append((size(0), size(0)))
            continue
        margin = lowering.margins(sub, extent)
        if margin is None:
            return None
        found.append(margin)
    return found


def _loops(spread: Spread) -> tuple[tuple[Index, ...], tuple[Index, ...]] | None:
    """The indices to loop over, and those to sum over before."""
    used: set[Index] = set()
    loops: dict[Index, None] = {}
    among = [i for sub in spread.subs for i in indices_of(sub)]
    for sub in spread.subs:
        own = [(i, n) for i, n in sub.terms if isinstance(i, Index)]
        if any(i in used for i, _ in own):
            return None
        candidates = [(i, n) for i, n in own if n.at_least(1)]
        if not candidates:
            if own:
                return None
            continue
        position = max(candidates, key=lambda p: (weight(p[0], among), p[1].literal or 0))[0]
        used.add(position)
        for i, _ in own:
            if i is not position:
                loops[i] = None
    if not loops or any(i in used for i in loops):
        return None
    rest = tuple(i for i in spread.bound if i not in used and i not in loops)
    return tuple(loops), rest
