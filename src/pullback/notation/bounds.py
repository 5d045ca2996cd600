"""Proofs that a subscript stays inside an extent: by the ranges of indices and by guards around."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from ..ir.expr import (
    ZERO,
    Access,
    Add,
    And,
    Arg,
    Compare,
    Cond,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Opaque,
    Or,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Zero,
)
from ..ir.sizes import FloorQuotient, Size
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    at,
    bounds,
    constant,
    indices_of,
    is_name,
    reduced,
)
from ..ir.walk import Tree, accesses, children, subscripts

MAX_FACTS = 12

Facts = tuple[Subscript, ...]
"""Subscripts that are known to be >= 0."""


def inside(sub: Subscript, extent: Size, facts: Facts = (), scope: tuple[Index, ...] = ()) -> bool:
    """Whether ``0 <= sub < extent`` is proved wherever ``facts`` hold; False means "not proved"."""
    ranges = (*scope, *indices_of(sub))
    positive = _positive(ranges, (sub, constant(extent), *facts))
    known = (*facts[:MAX_FACTS], *_nonempty(ranges))
    candidates = [sub]
    if (simpler := reduced(sub, positive)) is not sub:
        candidates.append(simpler)
    for one in candidates:
        lows, highs = [one], [constant(extent - 1) - one]
        for atom, n in one.terms:
            if isinstance(atom, Quotient) and n.literal == 1:
                # v//d + r < e exactly where v + r*d < e*d
                whole = atom.value + (one - at(atom)) * atom.divisor
                lows.append(whole)
                highs.append(constant(extent * atom.divisor - 1) - whole)
        if any(nonnegative(low, known, positive) for low in lows) and any(
            nonnegative(high, known, positive) for high in highs
        ):
            return True
    return False


def nonnegative(sub: Subscript, facts: Facts, positive: tuple[str, ...]) -> bool:
    """Whether ``sub >= 0`` follows from the ranges and at most two of the facts."""
    if _low(sub, positive):
        return True
    rests = [sub - fact for fact in facts]
    if any(_low(rest, positive) for rest in rests):
        return True
    return any(_low(sub - a - b, positive) for a, b in combinations(facts, 2))


def _low(sub: Subscript, positive: tuple[str, ...]) -> bool:
    known = bounds(sub, positive)
    return known is not None and known[0].at_least(0, positive)


def _positive(ranges: tuple[Index, ...], subs: tuple[Subscript, ...]) -> tuple[str, ...]:
    """Sizes that are >= 1 where a point of the ranges exists: extents, and whatever divides."""
    names = [name for i in ranges for name in _needed(i.extent)]
    for form in (*(i.extent for i in ranges), *(s for sub in subs for s in _sizes(sub))):
        names.extend(_divisors(form))
    for sub in subs:
        names.extend(d.names()[0] for d in _sub_divisors(sub) if is_name(d))
    return tuple(dict.fromkeys(names))


def _needed(form: Size) -> Iterator[str]:
    """Sizes that are >= 1 where a form is: with one of them 0, it would not be."""
    plain = all(isinstance(atom, str) for mono, _ in form.terms for atom in mono)
    for name in form.names() if plain else ():
        if (-form.replace({name: 0})).at_least(0):
            yield name


def _nonempty(ranges: tuple[Index, ...]) -> Facts:
    """extent - 1 >= 0 for the extents that are no plain names."""
    forms = dict.fromkeys(i.extent for i in ranges)
    return tuple(
        constant(form - 1) for form in forms if form.literal is None and not is_name(form)
    )[:4]


def _sizes(sub: Subscript) -> Iterator[Size]:
    yield sub.const
    for atom, n in sub.terms:
        yield n
        if isinstance(atom, Quotient | Remainder):
            yield atom.divisor
            yield from _sizes(atom.value)


def _sub_divisors(sub: Subscript) -> Iterator[Size]:
    for atom, _ in sub.terms:
        if isinstance(atom, Quotient | Remainder):
            yield atom.divisor
            yield from _sub_divisors(atom.value)


def _divisors(form: Size) -> Iterator[str]:
    for mono, _ in form.terms:
        for atom in mono:
            if isinstance(atom, FloorQuotient):
                if len(atom.denominator.terms) == 1:
                    yield from (a for a in atom.denominator.terms[0][0] if isinstance(a, str))
                yield from _divisors(atom.numerator)


def facts_of(cond: Cond) -> Facts:
    """What is >= 0 where a condition holds."""
    match cond:
        case And(conds):
            return tuple(fact for part in conds for fact in facts_of(part))
        case Inside(sub, extent):
            return (sub, constant(extent - 1) - sub)
        case Zero(sub):
            return (sub, -sub)
        case Not(inner):
            return facts_against(inner)
        case _:
            return ()


def facts_against(cond: Cond) -> Facts:
    """What is >= 0 where a condition does not hold."""
    match cond:
        case Or(conds):
            return tuple(fact for part in conds for fact in facts_against(part))
        case Not(inner):
            return facts_of(inner)
        case Zero(sub):
            positive = _positive(indices_of(sub), (sub,))
            return tuple(s - 1 for s in (sub, -sub) if nonnegative(s, (), positive))
        case Inside(sub, extent):
            positive = _positive(indices_of(sub), (sub, constant(extent)))
            known = _nonempty(indices_of(sub))
            above = constant(extent - 1) - sub
            if nonnegative(sub, known, positive):
                return (sub - extent,)
            if nonnegative(above, known, positive):
                return (-sub - 1,)
            return ()
        case _:
            return ()


@dataclass(frozen=True)
class Stray:
    """A read that is not proved in bounds: its tensor's ``axis``, and the subscript there."""

    access: Access
    axis: int


def strays(body: Expr, scope: tuple[Index, ...] = (), facts: Facts = ()) -> Iterator[Stray]:
    """The reads of ``body`` that are not proved to stay in their arrays.

    A lookup itself (``P[n, y[n]]``) is left to the run time; what is read inside it is not.
    """
    yield from _visit(body, scope, facts)


def _visit(node: Tree, scope: tuple[Index, ...], facts: Facts) -> Iterator[Stray]:
    for sub in subscripts(node):
        yield from _visit_lookups(sub, scope, facts)
    match node:
        case Access():
            yield from _stray_axes(node, scope, facts)
        case Mul(factors):
            guards = tuple(f.cond for f in factors if isinstance(f, Guard))
            yield from _in_turn(_in_order(guards), scope, facts)
            inner = (*facts, *(fact for cond in guards for fact in facts_of(cond)))
            for factor in factors:
                if not isinstance(factor, Guard):
                    yield from _visit(factor, scope, inner)
        case And(conds):
            yield from _in_turn(conds, scope, facts)
        case Reduce(_, indices, domain, body) | Arg(_, indices, _, domain, body):
            wider = (*scope, *indices)
            yield from _in_turn(_in_order(domain), wider, facts)
            inner = (*facts, *(fact for cond in domain for fact in facts_of(cond)))
            yield from _visit(body, wider, inner)
        case Select(cond, then, other):
            yield from _visit(cond, scope, facts)
            yield from _visit(then, scope, (*facts, *facts_of(cond)))
            yield from _visit(other, scope, (*facts, *facts_against(cond)))
        case _:
            for child in children(node):
                yield from _visit(child, scope, facts)


def _in_order(conds: Sequence[Cond]) -> list[Cond]:
    """Conditions that read no array first, as everything that runs a program takes them."""
    return sorted(conds, key=lambda cond: bool(accesses(cond)))


def _in_turn(conds: Sequence[Cond], scope: tuple[Index, ...], facts: Facts) -> Iterator[Stray]:
    for cond in conds:
        yield from _visit(cond, scope, facts)
        facts = (*facts, *facts_of(cond))


def _visit_lookups(sub: Subscript, scope: tuple[Index, ...], facts: Facts) -> Iterator[Stray]:
    for atom, _ in sub.terms:
        match atom:
            case Lookup(access):
                yield from _visit(access, scope, facts)
            case Quotient(value, _) | Remainder(value, _):
                yield from _visit_lookups(value, scope, facts)
            case _:
                pass


def _stray_axes(access: Access, scope: tuple[Index, ...], facts: Facts) -> Iterator[Stray]:
    for axis, (sub, extent) in enumerate(zip(access.subs, access.tensor.shape, strict=True)):
        if has_lookup(sub):
            continue
        index = sub.index
        if index is not None and index.extent is extent:
            continue
        if not inside(sub, extent, facts, scope):
            yield Stray(access, axis)


def has_lookup(sub: Subscript) -> bool:
    """Whether an integer tensor is read in a subscript."""
    return any(
        isinstance(atom, Lookup)
        or (isinstance(atom, Quotient | Remainder) and has_lookup(atom.value))
        for atom, _ in sub.terms
    )


def is_natural(sub: Subscript, natural: Collection[Tensor]) -> bool:
    """Whether a subscript with lookups is >= 0 because the integer arrays in it are."""
    rest = constant(sub.const)
    for atom, n in sub.terms:
        match atom:
            case Lookup(access):
                unsigned = access.tensor.dtype.startswith("uint")
                if not (unsigned or access.tensor in natural) or not n.at_least(0):
                    return False
            case Quotient(value, _) if has_lookup(value):
                if not n.at_least(0) or not is_natural(value, natural):
                    return False
            case Remainder(value, _) if has_lookup(value):
                if not n.at_least(0):
                    return False
            case _:
                rest = rest + at(atom) * n
    return nonnegative(rest, (), ())


def is_natural_value(body: Expr, natural: Collection[Tensor]) -> bool:
    """Whether an integer value is >= 0: an arg, a position, a place in a sorted array, a subscript
    counted from the end, or an element of such an array."""
    match body:
        case Arg() | Opaque():
            return True
        case Access(tensor):
            return tensor in natural
        case IndexOf(sub):
            return is_natural(sub, natural)
        case Select(Compare("<", value, zero), Add((term, SizeOf())), other):
            return zero is ZERO and term is value and other is value
        case _:
            return False


def pad_conditions(subs: tuple[Subscript, ...], shape: tuple[Size, ...]) -> tuple[Cond, ...]:
    """The conditions under which a padded read is inside, those that always hold left out."""
    return tuple(
        Inside(sub, extent)
        for sub, extent in zip(subs, shape, strict=True)
        if not has_lookup(sub) and not inside(sub, extent)
    )


def one_sided(low: Subscript, high: Subscript) -> Cond | None:
    """``low < high`` as a range that is open on the side that always holds, or None."""
    if low.terms and not high.terms:
        if nonnegative(low, (), ()):
            return Inside(low, high.const)
        if (known := bounds(low)) is not None:
            least, _ = known
            return Inside(low - least, high.const - least)
    gap = high - low - 1
    known = bounds(gap)
    return None if known is None else Inside(gap, known[1] + 1)
