"""Sums that put values at computed places: loops over the taps of windows, and ``np.add.at``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...ir.expr import (
    Access,
    Add,
    Cond,
    Divides,
    Expr,
    Guard,
    Inside,
    Reduce,
    Tensor,
    Zero,
    mul,
    total,
)
from ...ir.program import Define
from ...ir.sizes import Size, size
from ...ir.subscripts import Index, Quotient, Subscript, at, constant, indices_of, reduced
from ...ir.walk import (
    Tree,
    accesses,
    bound_indices,
    free_indices,
    fresh,
    nodes,
    substitute,
    tensors,
)
from . import padding, views
from .arrays import Array, aligned
from .assign import assign
from .code import call, leaf, tuple_of
from .expressions import Context, Speller
from .loops import loop
from .padding import Margin
from .products import flat_factors, weight
from .shelter import sheltered


@dataclass(frozen=True)
class Spread:
    """``target[subs] += factors`` summed over ``bound``, where ``conds`` hold."""

    bound: tuple[Index, ...]
    shape: tuple[Size, ...]
    subs: tuple[Subscript, ...]
    conds: tuple[Cond, ...]
    factors: tuple[Expr, ...]

    @property
    def looked_up(self) -> bool:
        """Whether a place depends on data."""
        return any(not isinstance(atom, Index) for sub in self.subs for atom, _ in sub.terms)


def scattered(speller: Speller, define: Define, name: str) -> bool:
    """Spells a statement as sums into computed places; False if it isn't of that kind."""
    if define.target.kind != "float":
        return False
    body = define.body
    if define.scatter is not None and set(tensors(define.scatter)) <= set(tensors(body)):
        body = define.scatter
    terms = body.terms if isinstance(body, Add) else (body,)
    spreads = [_spread(term, define.indices) for term in terms]
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


def reads_quotients(define: Define) -> bool:
    """Whether a statement reads repeated elements, and there is another form of it, no longer."""
    if isinstance(define.scatter, Add) and not isinstance(define.body, Add):
        return False
    return define.scatter is not None and any(
        isinstance(atom, Quotient)
        for access in accesses(define.body)
        for sub in views.joined(access.tensor.shape, access.subs)[1]
        for atom, _ in sub.terms
    )


def ties(define: Define) -> bool:
    """Whether some condition ties a target's index to an index that is summed over."""
    for node in nodes(define.body):
        if not isinstance(node, Reduce) or node.op != "sum":
            continue
        for factor in flat_factors(node.body):
            match factor:
                case Guard(Zero(sub) | Inside(sub, _) | Divides(_, sub)):
                    own = indices_of(sub)
                    tied = any(i in node.indices for i in own)
                    if tied and any(i in define.indices for i in own):
                        return True
                case _:
                    pass
    return False


def _spread(term: Expr, indices: Sequence[Index]) -> Spread | None:
    factors = flat_factors(term)
    factors = [_merged(f, indices) if isinstance(f, Reduce) else f for f in factors]
    sums = [f for f in factors if isinstance(f, Reduce) and f.op == "sum" and not f.domain]
    sums = [f for f in sums if any(isinstance(g, Guard) for g in flat_factors(f.body))]
    if len(sums) != 1:
        return None
    inner = flat_factors(sums[0].body)
    bound = sums[0].indices
    conds = [f.cond for f in (*factors, *inner) if isinstance(f, Guard)]
    others = [f for f in (*factors, *inner) if not isinstance(f, Guard) and f is not sums[0]]
    subs: list[Subscript] = []
    solved: dict[Index, Subscript] = {}
    for index in indices:
        place = _place(conds, index, bound)
        if place is not None:
            cond, value = place
            conds.remove(cond)
            solved[index] = value
        subs.append(solved.get(index, at(index)))
    if not solved or any(i in solved for sub in solved.values() for i in indices_of(sub)):
        return None  # a place that is looked up at another place is none of its own
    left = conds
    places = [Inside(value, index.extent) for index, value in solved.items()]
    moved = [substitute(f, solved) for f in others]
    if _all_inside(others):
        left = [c for c in conds if c not in places]
    asked = [substitute(c, solved) for c in left]
    pairs = zip((*moved, *asked), (*others, *left), strict=True)
    if not _all_inside([there for there, here in pairs if there is not here]):
        left = list(dict.fromkeys([*places, *left]))  # the places outside the target count
    return Spread(
        bound,
        tuple(i.extent for i in indices),
        tuple(subs),
        tuple(substitute(c, solved) for c in left),  # type: ignore[misc]
        tuple(moved),  # type: ignore[arg-type]
    )


def _all_inside(factors: Iterable[Tree]) -> bool:
    """Whether everything that is read is in bounds, whatever conditions stand around."""
    return all(padding.in_bounds(access) for factor in factors for access in accesses(factor))


def _merged(expr: Reduce, indices: Sequence[Index]) -> Reduce:
    """A sum of products with sums inside that say where to put things as one sum."""
    if expr.op != "sum" or expr.domain:
        return expr
    factors = flat_factors(expr.body)
    for factor in factors:
        if not isinstance(factor, Reduce) or factor.op != "sum" or factor.domain:
            continue
        inner = _merged(factor, indices)
        guards = [f.cond for f in flat_factors(inner.body) if isinstance(f, Guard)]
        if not any(isinstance(c, Zero) and _ties(c, indices) for c in guards):
            continue
        rest = [f for f in factors if f is not factor]
        taken = {i.name for f in (*rest, expr) for i in (*free_indices(f), *bound_indices(f))}
        moved = {i: fresh(i, taken) for i in inner.indices}
        body = substitute(inner.body, {i: at(n) for i, n in moved.items()})
        whole = mul(*rest, *flat_factors(body))  # type: ignore[arg-type]
        return _merged(Reduce("sum", (*expr.indices, *moved.values()), (), whole), indices)
    return expr


def _ties(cond: Zero, indices: Sequence[Index]) -> bool:
    return any(i in indices for i in indices_of(cond.sub))


def _place(
    conds: Sequence[Cond], index: Index, bound: Sequence[Index]
) -> tuple[Cond, Subscript] | None:
    """The equality that says where ``index`` is, and where."""
    for cond in conds:
        if not isinstance(cond, Zero):
            continue
        factor = cond.sub.coefficient(index).literal
        if factor not in (1, -1):
            continue
        place = (cond.sub - at(index) * factor) * -factor
        own = indices_of(place)
        if index not in own and any(i in bound for i in own):
            return cond, place
    return None


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
    if not all(padding.in_bounds(a) for sub in spread.subs for a in accesses(Zero(sub))):
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
