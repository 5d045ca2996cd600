"""Sums that put values at computed places: loops over the taps of windows, and ``np.add.at``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...ir.expr import (
    Access,
    Add,
    Expr,
    Guard,
    Tensor,
    Zero,
    mul,
    total,
)
from ...ir.program import Define
from ...ir.sizes import size
from ...ir.subscripts import Index, Subscript, at, constant, indices_of, reduced
from ...ir.walk import (
    accesses,
    free_indices,
    substitute,
    tensors,
)
from ...plan.spread import Spread, spread_of
from ...plan.terms import in_bounds
from ..python.code import call, leaf, tuple_of
from . import padding, views
from .arrays import Array, aligned
from .assign import assign
from .expressions import Context, Speller
from .loops import loop
from .padding import Margin
from .products import weight
from .shelter import sheltered


def scattered(speller: Speller, define: Define, name: str) -> bool:
    """Spells a statement as sums into computed places; False if it isn't of that kind."""
    if define.target.kind != "float":
        return False
    body = define.body
    if define.scatter is not None and set(tensors(define.scatter)) <= set(tensors(body)):
        body = define.scatter
    terms = body.terms if isinstance(body, Add) else (body,)
    spreads = [spread_of(term, define.indices) for term in terms]
    found = [s for s in spreads if s is not None]
    dense = [term for term, s in zip(terms, spreads, strict=True) if s is None]
    if not found:
        return False
    plans = [_planned(speller, s) for s in found]
    if any(plan is None for plan in plans):
        return False
    speller.share(body)
    work = _Scatter(speller, define, name)
    margins = work.margins([s for s in found if not s.looked_up])
    if margins is None:
        return False
    speller.claim("")
    work.start(dense, margins, found)
    for plan in plans:
        assert plan is not None
        plan.emit(work)
    work.crop()
    return True


# plans


def _planned(speller: Speller, spread: Spread) -> Taps | Places | None:
    if spread.looked_up:
        return _places(speller, spread)
    return _taps(spread)


@dataclass(frozen=True)
class Taps:
    """A loop over ``loops``: each turn adds to one slice of the target."""

    spread: Spread
    loops: tuple[Index, ...]
    rest: tuple[Index, ...]  # summed over before

    def emit(self, work: _Scatter) -> None:
        """Emits the loop."""
        speller, spread = work.speller, self.spread
        body = total(self.rest, mul(*map(Guard, spread.conds), *spread.factors))
        body = work.prepared(body, self)
        with loop(speller, self.loops) as places:
            here = {i: constant(n) for i, n in places.items()}
            subs = tuple(
                reduced(_at(sub, here), ()) + m.low
                for sub, m in zip(spread.subs, work.low, strict=True)
            )
            slot = views.place(speller, Access(work.buffer, subs))
            value = speller.value(substitute(body, here), Context((), slot.indices))  # type: ignore[arg-type]
            code = aligned(value, slot.axes).code
            speller.scope.emit(f"{slot.code} {'=' if work.once else '+='} {code}")


def _at(sub: Subscript, here: dict[Index, Subscript]) -> Subscript:
    moved = substitute(Zero(sub), here)
    assert isinstance(moved, Zero)
    return moved.sub


def _taps(spread: Spread) -> Taps | None:
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
    if any(i in used for i in loops):
        return None
    rest = tuple(i for i in spread.bound if i not in used and i not in loops)
    return Taps(spread, tuple(loops), rest)


@dataclass(frozen=True)
class Places:
    """Values added at places that depend on data."""

    spread: Spread
    rest: tuple[Index, ...]
    once: bool  # whether no place occurs twice

    def emit(self, work: _Scatter) -> None:
        """Emits an assignment, or ``np.add.at``, of single elements on the flattened array."""
        speller, spread = work.speller, self.spread
        body = total(self.rest, mul(*map(Guard, spread.conds), *spread.factors))
        own = sheltered(speller, spread.subs, spread.shape, spread.conds)
        subs = tuple(sub + m.low for sub, m in zip(own, work.low, strict=True))
        target = Access(work.buffer, subs)
        if self.once:
            with speller.grid(tuple(dict.fromkeys(i for s in own for i in indices_of(s)))):
                slot = views.place(speller, target)
            value = aligned(speller.value(body, Context((), slot.indices)), slot.axes)
            speller.scope.emit(f"{slot.code} {'=' if work.once else '+='} {value.code}")
            return
        frame = tuple(dict.fromkeys(i for sub in own for i in indices_of(sub)))
        context = Context((), frame)
        array = speller.value(body, context)
        if self.rows(work, subs, array, context):
            return
        with speller.grid(frame):
            places = [speller.subscript(s, context) for s in subs]
        told = {i for place in places for i in place.indices}
        array = speller.reduced("sum", [i for i in frame if i not in told], array, context)
        frame = tuple(i for i in frame if i in told)
        value, *places = (aligned(a, frame) for a in (array, *places))
        name = str(speller.scope.read(work.buffer))
        if not work.flat or (len(places) == 1 and value.axes == places[0].axes):
            where = ", ".join(str(place.code) for place in places)
            where = f"({where})" if len(places) > 1 else where
            speller.scope.emit(f"np.add.at({name}, {where}, {value.code})")
            return
        place = places[0].code
        if len(places) > 1:
            texts = tuple_of([str(place.code) for place in places])
            place = call("np.ravel_multi_index", texts, f"{name}.shape")
        spot = speller.named(Array(place, frame, "int64"), "place").code
        if value.axes != frame:
            value = Array(leaf(call("np.broadcast_to", value.code, f"{spot}.shape")), frame, "")
        flat = "reshape(-1)"
        speller.scope.emit(f"np.add.at({name}.{flat}, {spot}.{flat}, {value.code.at(8)}.{flat})")

    def rows(
        self, work: _Scatter, subs: Sequence[Subscript], array: Array, context: Context
    ) -> bool:
        """Adds whole rows: where the last axes are plain, only the others' places are told."""
        shape = work.buffer.shape
        whole = [
            sub.index is not None and sub.index.extent is n
            for sub, n in zip(subs, shape, strict=True)
        ]
        count = len(subs) - next((k for k, plain in enumerate(reversed(whole)) if not plain), 0)
        own = dict.fromkeys(i for sub in subs[:count] for i in indices_of(sub))
        rest = [sub.index for sub in subs[count:]]
        if not rest or not own or any(i in own for i in rest) or len(set(rest)) < len(rest):
            return False
        speller = work.speller
        places = [speller.subscript(sub, context) for sub in subs[:count]]
        told = [i for i in own if any(i in place.axes for place in places)]
        if len(told) < len(own):
            return False
        texts = [str(aligned(place, tuple(told)).code) for place in places]
        where = texts[0] if count == 1 else f"({', '.join(texts)})"
        value = aligned(array, (*told, *rest))
        speller.scope.emit(f"np.add.at({speller.scope.read(work.buffer)}, {where}, {value.code})")
        return True


def _places(speller: Speller, spread: Spread) -> Places | None:
    facts = speller.scope.facts
    shape = zip(spread.subs, spread.shape, strict=True)
    if not all(facts.inside(sub, extent) for sub, extent in shape):
        return None
    if not all(in_bounds(a) for sub in spread.subs for a in accesses(Zero(sub))):
        return None
    used: set[Index] = {i for sub in spread.subs for i in indices_of(sub)}
    rest = tuple(i for i in spread.bound if i not in used)
    return Places(spread, rest, _injective(spread, speller))


def _injective(spread: Spread, speller: Speller) -> bool:
    """Whether every index can be told from the places."""
    told: set[Index] = set()
    for sub in spread.subs:
        bounded = speller.scope.facts.bounded(sub)
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
    return all(i in told for sub in spread.subs for i in indices_of(sub))


@dataclass
class _Scatter:
    speller: Speller
    define: Define
    name: str
    low: tuple[Margin, ...] = ()
    once: bool = False
    flat: bool = False  # whether the target is known to be contiguous

    def __post_init__(self) -> None:
        self.buffer = self.define.target

    def margins(self, spreads: Sequence[Spread]) -> tuple[Margin, ...] | None:
        """The margins of the target that let every slice be written in full."""
        none = Margin(size(0), size(0))
        found = [none] * len(self.define.indices)
        for spread in spreads:
            for axis, (sub, extent) in enumerate(
                zip(spread.subs, self.define.target.shape, strict=True)
            ):
                if self.speller.scope.facts.inside(sub, extent):
                    continue
                margin = padding.margin(self.speller.scope, sub, extent)
                if margin is None:
                    return None
                old = found[axis]
                if old is not none and old != margin:
                    return None
                found[axis] = margin
        return tuple(found)

    def start(
        self, dense: Sequence[Expr], margins: tuple[Margin, ...], spreads: Sequence[Spread]
    ) -> None:
        """Emits the array that is added to."""
        self.low = margins
        scope = self.speller.scope
        target = self.define.target
        padded = any(m.low.terms or m.high.terms for m in margins)
        if padded:
            shape = tuple(n + m.low + m.high for n, m in zip(target.shape, margins, strict=True))
            self.buffer = Tensor(f"{target.name}_pad", shape, target.dtype)
            scope.bind(self.buffer)
        if dense and not padded:
            self.speller.claim(self.name)
            assign(self.speller, self.name, Add(tuple(dense)), self.define, fresh=True)
            self.speller.claim("")
            return
        self.dense = dense
        self.once = len(spreads) == 1 and not dense and self._apart(spreads[0])
        self.speller.claim("")  # from here on the name stands for the array that is added to
        self.flat = any(s.looked_up for s in spreads)
        zeros = self.speller.zeros(self.buffer, like=not self.flat)
        scope.emit(f"{scope.read(self.buffer)} = {zeros}")

    def _apart(self, spread: Spread) -> bool:
        """Whether every place is written at most once."""
        return _injective(spread, self.speller)

    def prepared(self, body: Expr, taps: Taps) -> Expr:
        """What a turn of the loop adds; what is the same in all turns is computed before."""
        depends = any(i in free_indices(body) for i in taps.loops)
        if isinstance(body, Access) or (depends and not taps.rest):
            return body
        context = Context((), ())
        array = self.speller.value(body, context)
        wanted = "taps" if depends else "share"
        return self.speller.stored(array, wanted, self.define.target.dtype)

    def crop(self) -> None:
        """Emits the middle of the padded array as the result."""
        scope = self.speller.scope
        if self.buffer is self.define.target:
            return
        subs = tuple(at(i) + m.low for i, m in zip(self.define.indices, self.low, strict=True))
        middle = views.place(self.speller, Access(self.buffer, subs))
        scope.emit(f"{self.name} = {middle.code}")
        if self.dense:
            assign_more(self.speller, self.name, self.dense, self.define)


def assign_more(speller: Speller, name: str, terms: Sequence[Expr], define: Define) -> None:
    """Emits ``name += terms``."""
    frame = define.indices
    value = aligned(speller.value(Add(tuple(terms)), Context((), frame)), frame)
    speller.scope.emit(f"{name} += {value.code}")
