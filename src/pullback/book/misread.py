"""Reads at a wrong place, as people write them: a shift the other way, a flip left out, axes that
are merged in the wrong order, one copy in the place of all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from math import prod

from ..ir.expr import Access, Expr, IndexOf, Power, Reduce, SizeOf, mul, number
from ..ir.program import Define
from ..ir.sizes import ONE, Size
from ..ir.subscripts import (
    Index,
    Quotient,
    Remainder,
    Subscript,
    SubscriptAtom,
    at,
    constant,
    indices_of,
    is_name,
    reduced,
)
from ..ir.walk import accesses, map_sizes, map_subscripts, map_tensors, substitute
from ..notation.plain import show
from ..verify.redpen.changes import scaled, sites

# What is said of each kind, in the order in which they are shown.
SAID = {
    "direction": "Shifted the wrong way",
    "turned": "The axis is not turned round",
    "shift": "The shift is missing",
    "part": "The wrong part is read",
    "first": "One term stands for the whole sum",
    "mean": "The mean stands where the sum should",
    "merged": "Elements are counted in the wrong order",
    "axis": "The wrong axis",
    "inverse": "A permutation stands in the place of its inverse",
    "remainder": "A remainder stands in the place of a quotient",
    "order": "Axes are exchanged",
    "stride": "The stride is missing",
    "index": "A part of the subscript is missing",
    "sign": "The sign is wrong",
    "half": "A gradient is copied, not shared out",
}

Misread = tuple[str, Define, str]  # what is wrong in words, the wrong line, the kind


def misread(statement: Define) -> list[Misread]:
    """The statement with a read at a wrong place, or with only a part of what is copied.

    >>> from pullback.notation.parse import parse
    >>> (s,) = parse("dX[i:I] = dY[I-1-i]").statements
    >>> [words for words, _, _ in misread(s)]
    ['The axis is not turned round: dY[i] stands where dY[I-1-i] should.']
    """
    found = [
        *(made for access in accesses(statement.body) for made in _elsewhere(access, statement)),
        *_of_copies(statement),
    ]
    return sorted(found, key=lambda made: list(SAID).index(made[2]))


def _elsewhere(access: Access, statement: Define) -> Iterator[Misread]:
    """The statement with one of an access's subscripts changed, wherever it stands: a condition
    says where an array is read, too."""
    subs, shape = access.subs, access.tensor.shape
    for k, sub in enumerate(subs):
        for kind, other in _instead(sub, shape[k]):
            body = map_subscripts(
                statement.body,
                lambda s, sub=sub, other=other: other if s is sub else s,  # type: ignore[misc]
            )
            yield _made(statement, body, access, _with(access, {k: other}), kind)  # type: ignore[arg-type]
    if _is_plain(access):
        order = [statement.indices.index(i) for i in _own(access, statement)]
        back = sorted(range(len(order)), key=order.__getitem__)
        if back != order:
            after = Access(access.tensor, tuple(at(statement.indices[k]) for k in back))
            yield _moved(statement, access, after, "inverse")
        return
    for one, two in combinations(range(len(subs)), 2):
        moved = {"order": _with(access, {one: subs[two], two: subs[one]})}
        for own, new in ((one, two), (two, one)):
            if (other_axis := _on_axis(subs[own], shape[own], subs[new], shape[new])) is not None:
                index = at(_only(subs[own]))  # type: ignore[arg-type]
                moved["axis"] = _with(access, {own: index, new: other_axis})
        for kind, after in moved.items():
            if after is not access:
                yield _moved(statement, access, after, kind)


def _own(access: Access, statement: Define) -> list[Index]:
    """The indices of a read that is a permutation of the statement's; none of another one."""
    own = [sub.index for sub in access.subs]
    return [i for i in own if i is not None] if set(own) == set(statement.indices) else []


def _moved(statement: Define, before: Access, after: Access, kind: str) -> Misread:
    body = map_tensors(statement.body, lambda a: after if a is before else a)
    return _made(statement, body, before, after, kind)  # type: ignore[arg-type]


def _made(statement: Define, body: Expr, before: Expr, after: Expr, kind: str) -> Misread:
    words = f"{SAID[kind]}: {show(after)} stands where {show(before)} should."
    return words, replace(statement, body=body, scatter=None), kind


def _with(access: Access, subs: dict[int, Subscript]) -> Access:
    return Access(access.tensor, tuple(subs.get(k, s) for k, s in enumerate(access.subs)))


def _is_plain(access: Access) -> bool:
    """Whether all of an array is read, just at indices."""
    return all(_is_whole(s, n) for s, n in zip(access.subs, access.tensor.shape, strict=True))


def _is_whole(sub: Subscript, extent: Size) -> bool:
    return sub.index is not None and sub.index.extent is extent


def _only(sub: Subscript) -> Index | None:
    """The one index that a subscript is made of."""
    found = set(indices_of(sub))
    return found.pop() if len(found) == 1 else None


def _on_axis(sub: Subscript, extent: Size, other: Subscript, size: Size) -> Subscript | None:
    """What is done along an axis, done along another one that is read just at its index."""
    own = _only(sub)
    if own is None or own.extent is not extent or sub.index is not None:
        return None
    if not _is_whole(other, size) or not is_name(extent) or not is_name(size):
        return None
    moved = map_sizes(IndexOf(sub), {str(extent): size})
    renamed = dict.fromkeys(indices_of(moved.sub), other)  # type: ignore[union-attr]
    return substitute(moved, renamed).sub  # type: ignore[union-attr]


def _instead(sub: Subscript, extent: Size | None = None) -> Iterator[tuple[str, Subscript]]:
    """What is written in the place of a subscript, of an axis of this extent."""
    index = sub.index
    if index is not None:
        if extent is not None and index.extent is not extent:  # the part at the axis's other end
            yield "part", sub + (extent - index.extent)
        return
    if len(sub.terms) == 1 and sub.const.terms:
        (atom, times) = sub.terms[0]
        if times.literal == -1:
            yield "turned", at(atom)
        else:
            yield "direction", sub - sub.const * 2
            yield "shift", sub - sub.const
    if len(sub.terms) > 1:
        yield from _of_several(sub)
    for atom, times in sub.terms:
        for kind, other in _inside(atom):
            yield kind, reduced(sub + (other - at(atom)) * times)


def _of_several(sub: Subscript) -> Iterator[tuple[str, Subscript]]:
    """What is written in the place of a sum of multiples of indices."""
    yield from (("merged", other) for other in _in_other_order(sub))
    for atom, times in sub.terms:
        rest = sub - at(atom) * times
        if times.literal == -1:
            yield "direction", rest + at(atom)
        elif times is not ONE:
            yield "stride", rest + at(atom)
        if times.literal in (1, -1) and any(n.at_least(1) for _, n in rest.terms):
            yield "index", rest


def _inside(atom: SubscriptAtom) -> Iterator[tuple[str, Subscript]]:
    """What is written in the place of a quotient or a remainder."""
    match atom:
        case Quotient(value, divisor):
            yield "remainder", value % divisor
            yield from ((kind, other // divisor) for kind, other in _instead(value))
        case Remainder(value, divisor):
            yield from ((kind, other % divisor) for kind, other in _instead(value))


def _in_other_order(sub: Subscript) -> Iterator[Subscript]:
    """A place that is counted along several axes, counted along the last of them first."""
    left = {times: atom for atom, times in sub.terms}
    step, order = ONE, list[tuple[SubscriptAtom, Size]]()
    while left:
        atom = left.pop(step, None)
        extent = _extent(atom)
        if atom is None or extent is None:
            return
        order.append((atom, extent))
        step = step * extent
    total, step = constant(sub.const), ONE
    for atom, extent in reversed(order):
        total, step = total + at(atom) * step, step * extent
    yield total


def _extent(atom: SubscriptAtom | None) -> Size | None:
    match atom:
        case Index(_, extent):
            return extent
        case Remainder(_, divisor):
            return divisor
        case _:
            return None


def _of_copies(statement: Define) -> Iterator[Misread]:
    """Sums of which one term is taken, or the mean; gradients that are copied, of which half is."""
    for site in sites(statement):
        node = site.node
        match node:
            case Reduce("sum", indices, (), body):
                for index in indices:
                    first: Expr = substitute(body, {index: constant(0)})  # type: ignore[assignment]
                    rest = tuple(i for i in indices if i is not index)
                    one = Reduce("sum", rest, (), first) if rest else first
                    words = f"{SAID['first']}: only the first over {index.name} is there."
                    yield words, site.put(one), "first"
                every = prod((i.extent for i in indices), start=ONE)
                names = ", ".join(i.name for i in indices)
                words = f"{SAID['mean']}: the sum over {names} is divided by {every}."
                yield words, site.put(mul(node, _over(every))), "mean"
    body = statement.body
    if isinstance(body, Access) and _is_plain(body):
        for kind, times in (("sign", Fraction(-1)), ("half", Fraction(1, 2))):
            wrong = scaled(number(times), body)
            yield _made(statement, wrong, body, wrong, kind)


def _over(extent: Size) -> Expr:
    """One over a size."""
    n = extent.literal
    return Power(SizeOf(extent), Fraction(-1)) if n is None else number(Fraction(1, n or 1))
