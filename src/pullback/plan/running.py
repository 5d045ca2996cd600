"""Sums that run along an axis, and values on one side of a diagonal.

A sum over ``j <= i + c``, or ``j >= c - i``, for each i is read of the sums up to (from) each j; a
mask over all pairs would be an array with an axis more. What isn't finite counts in the sums that
it belongs to only, as under the mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from ..ir.expr import Access, Cond, Expr, Guard, Inside, Reduce, Tensor, mul
from ..ir.program import Define
from ..ir.sizes import ONE, Size, size
from ..ir.subscripts import Index, Subscript, at, bounds, constant, within
from ..ir.walk import Tree, bottom_up, free_indices, nodes, tensors
from . import arrays
from .arrays import Array, Cut
from .laid import Laid, permuted
from .radix import radix
from .terms import flat_factors

if TYPE_CHECKING:
    from .lower import Lowering


def ends(cond: Cond) -> tuple[Index, Index, int] | None:
    """i, j and c where a condition is no more than ``i - j + c >= 0``."""
    if not isinstance(cond, Inside) or len(cond.sub.terms) != 2:
        return None
    signs = {n.literal: atom for atom, n in cond.sub.terms}
    plus, minus, c = signs.get(1), signs.get(-1), cond.sub.const.literal
    if not isinstance(plus, Index) or not isinstance(minus, Index) or c is None:
        return None
    below = (cond.extent - plus.extent - c).at_least(0)  # the other side always holds
    return (plus, minus, c) if below else None


@dataclass(frozen=True)
class Run:
    """A sum over the places up to ``place``, or from there on where ``backwards``.

    A place is counted by ``digits``, bound indices with the highest first; ``cond`` says so.
    """

    cond: Cond
    digits: tuple[Index, ...]
    place: Subscript
    backwards: bool

    @property
    def extent(self) -> Size:
        """The number of places."""
        total = ONE
        for index in self.digits:
            total = total * index.extent
        return total


def run_of(expr: Reduce) -> Run | None:
    """The condition by which a sum runs along an axis; None where there is none."""
    if expr.op != "sum":
        return None
    factors = [*map(Guard, expr.domain), *flat_factors(expr.body)]
    for cond in (f.cond for f in factors if isinstance(f, Guard)):
        run = _run(cond, expr.indices)
        if run is None:
            continue
        inside = _inside(expr, run)
        own = set(free_indices(Inside(run.place, ONE)))
        if inside and not any(own & set(free_indices(f)) for f in inside):
            return run
    return None


def _run(cond: Cond, bound: Sequence[Index]) -> Run | None:
    left = _one_sided(cond)
    if left is None:
        return None
    terms = left.terms
    own = tuple((atom, n) for atom, n in terms if atom in bound)
    rest = tuple((atom, n) for atom, n in terms if atom not in bound)
    if not own or not rest or not all(isinstance(atom, Index) for atom, _ in rest):
        return None
    for sign in (-1, 1):
        digits = radix(Subscript(own, size(0)) * sign)
        if digits is not None:
            return Run(cond, tuple(digits), Subscript(rest, left.const) * -sign, sign > 0)
    return None


def _one_sided(cond: Cond) -> Subscript | None:
    """What a condition asks to be at least 0, where that is all that it asks."""
    if not isinstance(cond, Inside):
        return None
    low, high = within(cond.sub, cond.extent)
    return cond.sub if high else constant(cond.extent - 1) - cond.sub if low else None


def _inside(expr: Reduce, run: Run) -> list[Expr]:
    """The factors of what is summed, without the condition of the run."""
    factors = [*map(Guard, expr.domain), *flat_factors(expr.body)]
    left = [f for f in factors if f is not Guard(run.cond)]
    return [f for f in left if any(i in expr.indices for i in free_indices(f))]


def runs(body: Expr, indices: Iterable[Index]) -> bool:
    """Whether every sum that is tied to some indices by conditions runs along an axis."""
    own = set(indices)
    sums = [node for node in nodes(body) if isinstance(node, Reduce) and node.op == "sum"]
    return all(run_of(node) is not None for node in sums if _is_tied(node, own))


def outside(group: Sequence[Define], names: set[str]) -> tuple[list[Define], tuple[Define, ...]]:
    """The statements of a recurrence, and before them those of sums that run along its steps and
    read nothing that it makes: inside of it each step would sum everything anew."""
    made = {s.target for s in group}
    before: list[Define] = []

    def named(s: Define, node: Tree) -> Tree:
        if not isinstance(node, Reduce) or made & set(tensors(node)):
            return node
        run, own = run_of(node), set(free_indices(node))
        if run is None or s.indices[0] not in own or not own <= set(s.indices):
            return node
        if _margins(run, run.place) is None:
            return node
        indices = tuple(i for i in s.indices if i in own)
        name = next(n for k in count(1) if (n := f"{s.target.name}_sum{k}") not in names)
        names.add(name)
        target = Tensor(name, tuple(i.extent for i in indices), s.target.dtype)
        before.append(Define(target, indices, node, s.source, False, of=s.of))
        return Access(target, tuple(map(at, indices)))

    kept = [replace(s, body=bottom_up(s.body, partial(named, s))) for s in group]  # type: ignore[arg-type]
    return before, tuple(kept)


def _is_tied(node: Reduce, own: set[Index]) -> bool:
    conds = [*node.domain, *(f.cond for f in flat_factors(node.body) if isinstance(f, Guard))]
    found = [set(free_indices(cond)) for cond in conds]
    return any(f & own and f & set(node.indices) for f in found)


def running(lowering: Lowering, expr: Reduce) -> Laid | None:
    """A sum as a running sum; None where it is none."""
    run = run_of(expr)
    margins = None if run is None else _margins(run, lowering.general(run.place))
    if run is None or margins is None:
        return None
    inside = _inside(expr, run)
    factors = [*map(Guard, expr.domain), *flat_factors(expr.body)]
    outside = [f for f in factors if f not in inside and f is not Guard(run.cond)]
    if any(isinstance(f, Guard) for f in outside):
        return None
    if any(n.terms for n in margins) and not lowering.facts.finite_anyway(outside, [run.cond]):
        return None  # a sum over nothing is 0, whatever it is multiplied by
    rest = tuple(i for i in expr.indices if i not in run.digits)
    body = Reduce("sum", rest, (), mul(*inside)) if rest else mul(*inside)
    laid = lowering.value(body)
    laid = permuted(laid, laid.indices)
    if laid.array.scalar or not set(run.digits) <= set(laid.axes):
        return None
    made = _read(lowering, laid, run, margins)
    return lowering.times(outside, made) if outside else made


def _margins(run: Run, place: Subscript) -> tuple[Size, Size] | None:
    """How far places are before the first one and behind the last one; below 0 where all of them
    are inside by so much. None where that isn't known."""
    reach = bounds(place)
    if reach is None:
        return None
    low, high = -reach[0], reach[1] - run.extent + 1
    known = all(n.at_least(0) or (-n).at_least(0) for n in (low, high))
    return (low, high) if known else None


def _read(lowering: Lowering, laid: Laid, run: Run, margins: tuple[Size, Size]) -> Laid:
    """The sums up to each place, or from there on, where they are asked for."""
    axes = [i for i in laid.indices if i not in run.digits]
    first = [laid.indices.index(i) for i in run.digits]
    stays = first == list(range(first[0], first[0] + len(first)))
    axis = first[0] if stays else len(axes)
    order = [*axes[:axis], *run.digits, *axes[axis:]]
    array = permuted(laid, order).array
    if len(run.digits) > 1:
        extents = [i.extent for i in order]
        extents[axis : axis + len(run.digits)] = [run.extent]
        array = arrays.reshape(array, extents)
    low, high = margins
    before, behind = (n if n.at_least(0) else size(0) for n in margins)
    array = _padded(array, axis, before, behind)
    skipped = -low if run.backwards and not low.at_least(0) else size(0)
    left = high if not run.backwards and not high.at_least(0) else size(0)
    if skipped.terms or left.terms:
        count = array.shape[axis] - skipped + left
        cuts = [Cut(size(0), ONE, n) for n in array.shape]
        cuts[axis] = Cut(skipped, ONE, count)
        array = arrays.slice_of(array, cuts)
    turned = [axis] if run.backwards else []
    array = arrays.flip(arrays.cumsum(arrays.flip(array, turned), axis), turned)
    subs = [at(i) for i in axes]
    subs.insert(axis, run.place + before - skipped)
    return lowering.look(array, subs)


def _padded(array: Array, axis: int, before: Size, behind: Size) -> Array:
    if not before.terms and not behind.terms:
        return array
    nought = size(0)
    low = [before if k == axis else nought for k in range(array.rank)]
    high = [behind if k == axis else nought for k in range(array.rank)]
    return arrays.pad(array, low, high, arrays.NOUGHT)


def triangle(lowering: Lowering, guards: Sequence[Cond], others: Sequence[Expr]) -> Laid | None:
    """A product where such a condition holds, else 0; None where it is none, or is no array of
    both indices, or is finite anyway."""
    found = ends(guards[0]) if len(guards) == 1 and others else None
    if found is None or lowering.facts.finite_anyway(others, guards):
        return None
    plus, minus, c = found
    with lowering.under():
        value = lowering.times(others)
    if len(value.axes) < 2 or value.array.scalar:
        return None
    for axes, half, k in (((plus, minus), "tril", c), ((minus, plus), "triu", -c)):
        if value.axes[-2:] == axes:
            return Laid(arrays.half(half, value.array, k), value.axes)
    return None
