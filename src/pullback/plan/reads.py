"""Reads as array operations: subscripts become slices, reshapes, margins, diagonals or gathers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import PullbackError
from ..ir.expr import (
    ZERO,
    Access,
    And,
    Cond,
    Expr,
    Inside,
    Number,
    Tensor,
)
from ..ir.sizes import ONE, Size, size
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    at,
    bounds,
    indices_of,
    inside,
    map_indices,
    within,
)
from . import arrays
from .arrays import Array, Cut
from .facts import Facts
from .frames import frame_of
from .laid import Held, Laid, aligned, permuted
from .radix import backwards, joined, radix
from .windows import windows


@dataclass
class Reading:
    """Reads of tensors in one procedure.

    ``held`` says what each tensor is, ``rows`` those of a loop at the step at hand and at steps
    before it, by how many steps ahead; ``step`` is that step and the number of all, ``around`` the
    same of the loops around this one. ``turns`` are
    the variables of loops inside a statement with their extents. ``hint`` is the order in which
    axes are wanted. Where ``in_place``, arrays are memory: parts of them are views, and are
    written to.
    """

    facts: Facts
    held: dict[Tensor, Held] = field(default_factory=dict)
    rows: dict[tuple[Tensor, int], Held] = field(default_factory=dict)
    step: tuple[Size, Size] | None = None
    around: tuple[tuple[Size, Size], ...] = ()
    turns: tuple[tuple[Size, Size], ...] = ()
    hint: tuple[Index, ...] = ()
    in_place: bool = False

    # element by element

    def together(self, laid: Sequence[Laid]) -> tuple[list[Array], tuple[Index | None, ...]]:
        """The arrays so that they broadcast, and the axes of what comes of it."""
        frame = frame_of([one.indices for one in laid], self.hint)
        every = [aligned(one, frame) for one in laid]
        rank = max((len(one.axes) for one in every), default=0)
        axes: list[Index | None] = [None] * rank
        for one in every:
            for k, axis in enumerate(one.axes, rank - len(one.axes)):
                axes[k] = axis or axes[k]
        return [one.array for one in every], tuple(axes)

    def map(self, function: str, *laid: Laid) -> Laid:
        """A function, element by element."""
        parts, axes = self.together(laid)
        return Laid(arrays.apply(function, *parts), axes)

    def where(self, mask: Laid, one: Laid, other: Laid) -> Laid:
        """``one`` where the mask holds, else ``other``."""
        parts, axes = self.together([mask, one, other])
        return Laid(arrays.where(*parts), axes)

    def over(self, laid: Laid, axes: Sequence[Index], kind: str = "") -> Array:
        """An array with exactly these axes; bools are numbers unless that ``kind`` is asked for."""
        own = permuted(laid, axes)
        missing = [k for k, i in enumerate(axes) if i not in own.axes]
        shape = tuple(i.extent for i in axes)
        array = own.array if own.array.scalar else arrays.insert(own.array, missing)
        return arrays.expand(array, shape, kind if kind or array.kind != "bool" else "float")

    # subscripts as integers

    def position(self, sub: Subscript) -> Laid:
        """A subscript as an array of integers."""
        total: Laid | None = None
        for atom, n in sorted(sub.terms, key=lambda term: is_negative(term[1])):
            part, times = self.atom(atom), -n if is_negative(n) else n
            if times is not ONE:
                part = self.map("mul", Laid(arrays.count(times)), part)
            if total is None:
                total = self.map("neg", part) if is_negative(n) else part
            else:
                total = self.map("sub" if is_negative(n) else "add", total, part)
        const = sub.const
        if total is None:
            return Laid(arrays.count(const))
        if not const.terms:
            return total
        op, by = ("sub", -const) if is_negative(const) else ("add", const)
        return self.map(op, total, Laid(arrays.count(by)))

    def atom(self, atom: object) -> Laid:
        """An atom of a subscript."""
        match atom:
            case Index(_, extent):
                return Laid(arrays.positions(extent), (atom,))
            case Quotient(value, divisor):
                return self.map("floor_divide", self.position(value), Laid(arrays.count(divisor)))
            case Remainder(value, divisor):
                return self.map("mod", self.position(value), Laid(arrays.count(divisor)))
            case Lookup(access):
                return self.read(access)
        raise AssertionError(atom)

    # reads

    def full(self, tensor: Tensor) -> Array:
        """A tensor's array with all its axes."""
        held = self.held[tensor]
        if held.array.scalar:
            return arrays.expand(held.array, tensor.shape, tensor.kind)
        missing = [k for k, present in enumerate(held.present) if not present]
        return arrays.expand(arrays.insert(held.array, missing), tensor.shape)

    def read(self, access: Access) -> Laid:
        """A read of a tensor."""
        held, subs = self.held.get(access.tensor), access.subs
        if held is None or (self.step is not None and self.ahead(access) is not None):
            ahead = self.ahead(access)
            held = self.rows.get((access.tensor, ahead)) if ahead is not None else None
            subs = subs[1:]
        if held is None:
            raise PullbackError(
                f"{access.tensor.name} is read at steps of its recurrence that are not at hand",
                found=str(access),
                hint='source("numpy") writes it',
            )
        own = [sub for sub, present in zip(subs, held.present, strict=True) if present]
        return self.look(held.array, own)

    def ahead(self, access: Access) -> int | None:
        """How many steps ahead a tensor of the loop at hand is read."""
        if (
            self.step is None
            or not access.subs
            or all(t is not access.tensor for t, _ in self.rows)
        ):
            return None
        rest = access.subs[0] - self.step[0]
        return None if rest.terms else rest.const.literal

    def padded_read(self, cond: Cond, then: Expr, other: Expr) -> Laid | None:
        """``where(inside, X[...], number)`` as a read with margins of that number; None where a
        condition says anything else."""
        if not isinstance(then, Access) or not isinstance(other, Number):
            return None
        held = self.held.get(then.tensor)
        if held is None or not all(held.present) or then.tensor.kind != "float":
            return None
        conds = set(cond.conds if isinstance(cond, And) else (cond,))
        pairs = list(zip(then.subs, then.tensor.shape, strict=True))
        outside = {Inside(sub, n) for sub, n in pairs if not self.inside(sub, n)}
        known = all(self.margins(c.sub, c.extent) for c in outside)
        if not known or not outside <= conds <= {Inside(sub, n) for sub, n in pairs}:
            return None
        return self.look(held.array, then.subs, other)

    def look(self, array: Array, subs: Sequence[Subscript], margin: Number = ZERO) -> Laid:
        """Elements of an array at subscripts; beyond the ends of its axes a number."""
        shape, places = joined(array.shape, subs)
        array = arrays.reshape(array, shape)
        array, places = self.rolled(array, places)
        array, places = self.repeated(array, places)
        array, places = self.digits(array, places)
        array, places = self.padded(array, places, margin)
        if self.in_place and (found := windows(self, array, places)) is not None:
            return found
        fancy = self.fancy(array.shape, places)
        cuts = [
            Cut(size(0), ONE, n) if k in fancy else self.cut(sub, n)
            for k, (sub, n) in enumerate(zip(places, array.shape, strict=True))
        ]
        kept = [k for k, cut in enumerate(cuts) if cut.count is not None]
        array = self.sliced(array, cuts)
        axes = [None if k in fancy else indices_of(places[k])[0] for k in kept]
        subs_of = {kept.index(k): places[k] for k in fancy}
        if fancy:
            taken = self.taken(array, axes, subs_of)
            array, axes = taken.array, list(taken.axes)
        return self.diagonals(array, axes)

    def rolled(
        self, array: Array, subs: Sequence[Subscript]
    ) -> tuple[Array, tuple[Subscript, ...]]:
        """Axes read at ``(v + c) % N``, v below N, as axes moved on by -c that are read at v."""
        found = list(subs)
        shifts: dict[int, Size] = {}
        for axis, sub in enumerate(subs):
            atom = sub.atom
            if not isinstance(atom, Remainder) or atom.divisor is not array.shape[axis]:
                continue
            value = atom.value - atom.value.const
            if sub.terms[0][1] is ONE and not sub.const.terms and inside(value, atom.divisor, ()):
                shifts[axis] = -atom.value.const
                found[axis] = value
        return (arrays.roll(array, shifts) if shifts else array), tuple(found)

    def repeated(
        self, array: Array, subs: Sequence[Subscript]
    ) -> tuple[Array, tuple[Subscript, ...]]:
        """Axes read at ``i // d``, all of them, as axes of repeated elements read at i."""
        found = list(subs)
        for axis, sub in enumerate(subs):
            atom = sub.atom
            if not isinstance(atom, Quotient) or not isinstance(index := atom.value.atom, Index):
                continue
            if atom.value.index is None or index.extent is not array.shape[axis] * atom.divisor:
                continue
            if any(index in indices_of(other) for k, other in enumerate(subs) if k != axis):
                continue
            array = arrays.repeat(array, axis, atom.divisor)
            found[axis] = atom.value
        return array, tuple(found)

    def digits(
        self, array: Array, subs: Sequence[Subscript]
    ) -> tuple[Array, tuple[Subscript, ...]]:
        """Axes read at numbers of several digits as one axis a digit."""
        shape: list[Size] = []
        found: list[Subscript] = []
        cuts: list[Cut] = []
        for n, sub in zip(array.shape, subs, strict=True):
            back = backwards(sub) if len(sub.terms) > 1 else {}
            places = radix(map_indices(sub, back)) if len(sub.terms) > 1 else None
            total = ONE
            for index in places or ():
                total = total * index.extent
            if places is None or not (n - total).at_least(0):
                shape.append(n)
                found.append(sub)
                cuts.append(Cut(size(0), ONE, n))
                continue
            cuts.append(Cut(size(0), ONE, total))
            shape.extend(index.extent for index in places)
            found.extend(back.get(index, at(index)) for index in places)
        return arrays.reshape(arrays.slice_of(array, cuts), shape), tuple(found)

    def inside(self, sub: Subscript, extent: Size) -> bool:
        """Whether a subscript is inside an axis, whatever conditions stand around."""
        return self.facts.surely_inside(self.general(sub), extent)

    def within(self, sub: Subscript, extent: Size) -> tuple[bool, bool]:
        """Whether a subscript is known to be at least 0, and below an extent."""
        return within(self.facts.bounded(self.general(sub)), extent)

    def decided(self, cond: Cond) -> bool | None:
        """Whether a condition always or never holds; None if that depends."""
        in_a_step = self.turns or self.step is not None
        return self.facts.decided(cond, self.inside if in_a_step else None)

    def general(self, sub: Subscript) -> Subscript:
        """A subscript with indices for the steps at hand: for proofs about bounds."""
        steps = self.around if self.step is None else (*self.around, self.step)
        for step, count in (*steps, *self.turns):
            (key,) = step.names()
            times = sub.const.replace({key: 1}) - sub.const.replace({key: 0})
            if key in sub.const.names() and key not in times.names():
                rest = Subscript(sub.terms, sub.const - step * times)
                sub = rest + at(Index(key, count)) * times
        return sub

    def margins(self, sub: Subscript, extent: Size) -> tuple[Size, Size] | None:
        """How far a subscript reaches beyond an axis, below and above, where that is known."""
        sub = self.general(sub)
        if not sub.terms or not all(isinstance(atom, Index) for atom, _ in sub.terms):
            return None
        reach = bounds(sub)
        if reach is None:
            return None
        found = [_at_least_zero(n) for n in (-reach[0], reach[1] - extent + 1)]
        low, high = found
        return None if low is None or high is None else (low, high)

    def padded(
        self, array: Array, subs: Sequence[Subscript], margin: Number
    ) -> tuple[Array, tuple[Subscript, ...]]:
        """The array with margins of a number where it is read outside."""
        margins = []
        for sub, n in zip(subs, array.shape, strict=True):
            reach = None if self.inside(sub, n) else self.margins(sub, n)
            margins.append(reach or (size(0), size(0)))
        if not any(low.terms or high.terms for low, high in margins):
            return array, tuple(subs)
        lows, highs = zip(*margins, strict=True)
        wide = arrays.pad(array, lows, highs, margin)
        return wide, tuple(sub + low for sub, low in zip(subs, lows, strict=True))

    def fancy(self, shape: Sequence[Size], subs: Sequence[Subscript]) -> set[int]:
        """The axes that arrays of integers index: all but slices, and those that share an index
        with one."""
        found = {
            k
            for k, (sub, n) in enumerate(zip(subs, shape, strict=True))
            if not self.is_slice(sub, n)
        }
        while True:
            own = {i for k in found for i in indices_of(subs[k])}
            more = {k for k, sub in enumerate(subs) if own & set(indices_of(sub))} | found
            if more == found:
                return found
            found = more

    def is_slice(self, sub: Subscript, extent: Size) -> bool:
        """Whether a subscript is one place, or one index with a step, inside the axis."""
        if not sub.terms:
            return True
        if sub.index is None and len(sub.terms) > 1:
            return False
        atom, n = sub.terms[0]
        step = n.at_least(1) or (-n).at_least(1)
        return isinstance(atom, Index) and step and self.inside(sub, extent)

    def cut(self, sub: Subscript, extent: Size) -> Cut:
        """A subscript as a slice."""
        if not sub.terms:
            if self.inside(sub, extent):
                return Cut(sub.const, ONE, None)
            low, high = self.within(sub, extent)
            return Cut(sub.const, ONE, None, not low, not high)
        (index, step) = sub.terms[0]
        assert isinstance(index, Index)
        return Cut(sub.const, step, index.extent)

    def sliced(self, array: Array, cuts: Sequence[Cut]) -> Array:
        """The elements that cuts say. A place of an axis that may be empty is the sum of a slice,
        which has then no element."""
        alone = [
            k
            for k, (cut, n) in enumerate(zip(cuts, array.shape, strict=True))
            if self.step is None and (cut.below or cut.above) and not n.at_least(1)
        ]
        if not alone or array.kind != "float":
            return arrays.slice_of(array, cuts)
        wide = [Cut(c.start, ONE, ONE) if k in alone else c for k, c in enumerate(cuts)]
        kept = [k for k, cut in enumerate(wide) if cut.count is not None]
        return arrays.fold("sum", arrays.slice_of(array, wide), [kept.index(k) for k in alone])

    def taken(self, array: Array, axes: list[Index | None], subs: dict[int, Subscript]) -> Laid:
        """Elements at integers along some axes, which are brought together."""
        order = sorted(subs)
        if order != list(range(order[0], order[-1] + 1)):
            rest = [k for k in range(array.rank) if k not in subs]
            array = arrays.permute(array, [*order, *rest])
            axes = [*(None for _ in order), *(axes[k] for k in rest)]
            subs = {n: subs[k] for n, k in enumerate(order)}
            order = list(range(len(order)))
        places = []
        empty: list[Size] = []  # extents that may be 0 where there is something to read
        read = [i.extent for sub in subs.values() for i in indices_of(sub)]
        for k in order:
            place = self.position(subs[k])
            if not self.inside(subs[k], array.shape[k]):
                if not self.has_some(array.shape[k], read):
                    empty.append(array.shape[k])
                top = Laid(arrays.count(array.shape[k] - 1))
                place = self.map("clip", place, Laid(arrays.whole(0)), top)
            places.append(place)
        parts, inner = self.together(places)
        made = arrays.take(array, order, parts)
        for extent in empty:
            some = arrays.apply("<", arrays.whole(0), arrays.count(extent))
            made = arrays.where(some, made, arrays.zeros(made.shape, made.kind))
        return Laid(made, (*axes[: order[0]], *inner, *axes[order[-1] + 1 :]))

    def has_some(self, extent: Size, read: Sequence[Size]) -> bool:
        """Whether an axis has a place wherever ranges of these extents have one each."""
        fewer = any((extent - n).at_least(0) for n in read)
        return fewer or self.facts.at_least_zero(extent - 1)

    def diagonals(self, array: Array, axes: list[Index | None]) -> Laid:
        """Axes that run over the same index as one."""
        while True:
            twice = next((i for i in axes if i is not None and axes.count(i) > 1), None)
            if twice is None:
                return Laid(array, tuple(axes))
            one = axes.index(twice)
            two = axes.index(twice, one + 1)
            array = arrays.diagonal(array, one, two)
            axes = [*axes[:one], *axes[one + 1 : two], *axes[two + 1 :], twice]


def is_negative(n: Size) -> bool:
    """Whether all terms of a size are subtracted."""
    return all(count < 0 for _, count in n.terms) and bool(n.terms)


def _at_least_zero(value: Size) -> Size | None:
    if (-value).at_least(0):
        return size(0)
    return value if value.at_least(0) else None
