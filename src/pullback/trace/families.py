"""Constant arrays that differ between traces, recognised as one family: an expression of indices.

Every guess is tested by evaluating its expression at every trace, so guessing may be bold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from ..ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    And,
    Apply,
    Compare,
    Cond,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Mul,
    Not,
    Number,
    Or,
    Power,
    Select,
    SizeOf,
    Tensor,
    Truth,
    Zero,
    number,
)
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, Lookup, Subscript, at, constant
from ..text import PRIVATE
from .forms import Forms
from .points import Points

Data = np.ndarray[Any, Any]
Subs = tuple[Subscript, ...]

MOST_LISTED = 16


@dataclass(frozen=True, eq=False)
class Family:
    """Constant arrays at all sizes: ``value`` (or, of bools, ``cond``) at ``indices``.

    ``sub`` is the same as a subscript, where it can be one. ``table`` is what of the arrays stays a
    constant (then ``value`` reads it).
    """

    indices: tuple[Index, ...]
    value: Expr
    cond: Cond | None = None
    sub: Subscript | None = None
    table: Tensor | None = None
    data: Data | None = None


def family(name: str, arrays: Sequence[Data], shape: Sequence[Size], forms: Forms) -> Family | None:
    """The family that arrays of symbolic shape ``shape``, one per assignment of ``forms``, are of.

    None where none is known.
    """
    indices = tuple(Index(f"#{PRIVATE}{axis}", extent) for axis, extent in enumerate(shape))
    kept = [axis for axis in range(len(shape)) if any(_varies(a, axis) for a in arrays)]
    parts = [a[tuple(slice(None) if k in kept else 0 for k in range(a.ndim))] for a in arrays]
    if any(a.size == 0 for a in arrays):
        return None
    search = _Search([indices[k] for k in kept], parts, forms)
    fixed = search.table(name)
    for found in (fixed,) if fixed is not None else search.guesses():
        if all(map(partial(fits, found), parts, forms.assignments)):
            return Family(indices, found.value, found.cond, found.sub, found.table, found.data)
    return None


def fits(found: Family, array: Data, sizes: Mapping[str, int]) -> bool:
    """Whether the family holds this array at these sizes."""
    extents = tuple(i.extent.value(sizes) for i in found.indices)
    if extents != array.shape:
        return False
    if found.table is not None:
        return _agree(np.broadcast_to(_lookup(found), extents), array)
    points = Points(dict(zip(found.indices, np.indices(extents, sparse=True), strict=True)), sizes)
    with np.errstate(all="ignore"):
        made = points.expr(found.value) if found.cond is None else points.cond(found.cond)
    return _agree(np.broadcast_to(made, extents), array, _cancels(found.value))


def _lookup(found: Family) -> Data:
    """The table over the family's own indices."""
    assert isinstance(found.value, Access) and found.data is not None
    own = [sub.index for sub in found.value.subs]
    return found.data.reshape(
        [found.data.shape[own.index(i)] if i in own else 1 for i in found.indices]
    )


def _cancels(value: Expr) -> bool:
    """Whether rounding may be large beside an element: where sums of opposite signs meet."""
    match value:
        case Add():
            return True
        case Mul(factors):
            return any(map(_cancels, factors))
        case Power(base, _):
            return _cancels(base)
        case Apply(function, _):
            return function in ("log", "log2")  # near 1
        case _:
            return False


def _agree(made: Data, array: Data, cancels: bool = True) -> bool:
    """Whether numbers are equal but for rounding: relative to each, or where sums may cancel, to
    the greatest.
    """
    if array.dtype.kind in "iub":
        return bool(np.array_equal(made, array))
    limits = np.finfo(array.dtype)
    with np.errstate(all="ignore"):
        size = np.where(np.isfinite(array), np.abs(array), 0)
        digits = 1 + np.abs(np.log(size, where=size > 0, out=np.zeros_like(size)))
        slack = 64 * limits.eps * digits * size + 4 * limits.smallest_subnormal
        slack = slack + 8 * limits.eps * np.max(size, initial=0.0) if cancels else slack
        near = (np.abs(made - array) <= slack) | (made == array)
        near |= np.isnan(made) & np.isnan(array)
    return bool(np.all(near)) and not bool(np.any(np.signbit(array) & (array == 0)))


def _varies(array: Data, axis: int) -> bool:
    first = np.take(array, [0], axis=axis) if array.shape[axis] else array
    return not _equal(np.broadcast_to(first, array.shape), array)


def _equal(a: Data, b: Data) -> bool:
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


@dataclass(frozen=True)
class _Search:
    """Guesses for arrays that vary along each of their axes."""

    indices: Sequence[Index]
    arrays: Sequence[Data]
    forms: Forms

    def table(self, name: str) -> Family | None:
        """The arrays themselves, where they are equal and all their axes have literal extents."""
        first = self.arrays[0]
        if not first.ndim or any(index.extent.names() for index in self.indices):
            return None
        if not all(_equal(a, first) for a in self.arrays):
            return None
        tensor = Tensor(name, tuple(i.extent for i in self.indices), first.dtype.name)
        read = Access(tensor, tuple(map(at, self.indices)))
        if first.dtype.kind == "b":
            truth = Truth(read)
            return Family(tuple(self.indices), read, truth, None, tensor, first)
        sub = at(Lookup(read)) if first.dtype.kind in "iu" and bool(first.min() >= 0) else None
        return Family(tuple(self.indices), read, None, sub, tensor, first)

    def guesses(self) -> Iterator[Family]:
        if self.arrays[0].dtype.kind == "b":
            if not self.indices:
                yield self.of_cond(Zero(constant(0 if self.arrays[0][()] else 1)))
            yield from map(self.of_cond, self.conditions(self.arrays))
            return
        yield from map(self.of_value, self.values(self.arrays, self.indices))

    def of_cond(self, cond: Cond) -> Family:
        return Family(tuple(self.indices), Guard(cond), cond)

    def of_value(self, value: Expr) -> Family:
        return Family(tuple(self.indices), value, None, _subscript(value))

    def solved(self, column: Sequence[Any]) -> Expr | None:
        """The numbers of one place in all arrays."""
        return self.forms.number([number(_python(value)) for value in column])

    def slope(self, lines: Sequence[Data]) -> Expr | None:
        """The mean step of a line in each array."""
        if any(line.size < 2 for line in lines):
            return None
        return self.forms.number(list(map(_slope, lines)))

    def values(self, arrays: Sequence[Data], indices: Sequence[Index]) -> Iterator[Expr]:
        if not indices:
            found = self.solved([a[()] for a in arrays])
            yield from () if found is None else (found,)
            return
        yield from self.affine(arrays, indices)
        yield from self.two_valued(arrays)
        if len(indices) == 1:
            yield from self.periodic(arrays, indices[0])
            yield from self.geometric(arrays, indices[0])
        yield from self.separated(arrays, indices)
        yield from self.inverted(arrays, indices)
        yield from self.listed(arrays, indices)

    def affine(self, arrays: Sequence[Data], indices: Sequence[Index]) -> Iterator[Expr]:
        """``c + Σ a·i``, whole or not."""
        corner = (0,) * len(indices)
        terms: list[tuple[Expr, Index]] = []
        for axis, index in enumerate(indices):
            line = [np.moveaxis(a, axis, -1)[corner[1:]] for a in arrays]
            slope = self.slope(line)
            if slope is None:
                return
            terms.append((slope, index))
        start = self.solved([a[corner] for a in arrays])
        if start is not None:
            yield _affine(start, terms)

    def two_valued(self, arrays: Sequence[Data]) -> Iterator[Expr]:
        pairs = [_two(a) for a in arrays]
        if any(pair is None for pair in pairs):
            return
        low = self.solved([pair[0] for pair in pairs if pair])
        high = self.solved([pair[1] for pair in pairs if pair])
        if low is None or high is None:
            return
        masks = [a == pair[1] for a, pair in zip(arrays, pairs, strict=True) if pair]
        if low is ZERO or high is not ZERO:
            yield from (_chosen(cond, high, low) for cond in self.conditions(masks))
        if low is not ZERO:
            opposite = [~mask for mask in masks]
            yield from (_chosen(cond, low, high) for cond in self.conditions(opposite))

    def conditions(self, masks: Sequence[Data]) -> Iterator[Cond]:
        """Conditions on one index, on a difference or on a sum of two."""
        if len(self.indices) == 1:
            index = at(self.indices[0])
            lines = [dict(enumerate(mask.tolist())) for mask in masks]
            yield from self.on_line(lines, index, constant(0))
        elif len(self.indices) == 2:
            row, column = map(at, self.indices)
            for sign, left, right in ((-1, row, column), (1, row, -column)):
                found = [_line(mask, sign) for mask in masks]
                if all(line is not None for line in found):
                    yield from self.on_line([line for line in found if line], left, right)
            yield from self.blocks(masks, row, column)

    def on_line(
        self, lines: Sequence[dict[int, bool]], left: Subscript, right: Subscript
    ) -> Iterator[Cond]:
        """Conditions on ``t = left - right``, of which each line says where they hold."""
        true = [[t for t, holds in line.items() if holds] for line in lines]
        false = [[t for t, holds in line.items() if not holds] for line in lines]
        if not all(true) or not all(false):
            return
        low, high = (self.offset([f(ts) for ts in true]) for f in (min, max))
        if low is not None and all(len(ts) == 1 for ts in true):
            yield Zero(left - right - low)
        hole = self.offset([min(ts) for ts in false])
        if hole is not None and all(len(ts) == 1 for ts in false):
            yield Not(Zero(left - right - hole))
        if low is not None:
            yield _ordered(right, left, low)
        if high is not None:
            yield _ordered(left, right, -high)
        if low is not None and high is not None:
            yield And((_ordered(right, left, low), _ordered(left, right, -high)))
        if hole is not None:
            end = self.offset([max(ts) for ts in false])
            if end is not None:
                yield Or((_ordered(left, right, 1 - hole), _ordered(right, left, end + 1)))
        yield from self.repeating(true, left - right)

    def repeating(self, true: Sequence[list[int]], line: Subscript) -> Iterator[Cond]:
        if all(len(ts) > 1 for ts in true):
            step = self.offset([ts[1] - ts[0] for ts in true])
            start = self.offset([ts[0] % (ts[1] - ts[0]) for ts in true])
            if step is not None and start is not None and step.literal != 1:
                yield Divides(step, line - start)

    def blocks(self, masks: Sequence[Data], row: Subscript, column: Subscript) -> Iterator[Cond]:
        """``i // b == j // b`` and ``i // b >= j // b``, also with different b."""
        tall = [_run(mask[:, 0]) for mask in masks]
        wide = [_run(mask[0, :]) for mask in masks]
        a, b = self.offset(tall), self.offset(wide)
        for height, width in ((a, b), (a, a), (b, b)):
            if height is None or width is None or 0 in (height.literal, width.literal):
                continue
            left = row if height.literal == 1 else row // height
            right = column if width.literal == 1 else column // width
            yield Zero(left - right)
            yield _ordered(right, left, size(0))
            yield _ordered(left, right, size(0))

    def offset(self, column: Sequence[int]) -> Size | None:
        return self.forms.integer(tuple(map(int, column)))

    def periodic(self, arrays: Sequence[Data], index: Index) -> Iterator[Expr]:
        """``a*((i + c) % m) + d`` and ``a*((i + c) // m) + d``."""
        for describe, combine in ((_cycle, Subscript.__mod__), (_stairs, Subscript.__floordiv__)):
            found = [describe(a) for a in arrays]
            if any(numbers is None for numbers in found):
                continue
            starts, steps, shifts, periods = zip(*(n for n in found if n), strict=True)
            first, step = self.solved(starts), self.solved(steps)
            shift, period = self.offset(shifts), self.offset(periods)
            if first is None or step is None or shift is None or period is None:
                continue
            if period.literal not in (0, 1):
                yield _affine(first, [(step, combine(at(index) + shift, period))])

    def geometric(self, arrays: Sequence[Data], index: Index) -> Iterator[Expr]:
        """``c * r**i`` and ``a + c * r**i``."""
        if any(a.dtype.kind != "f" or a.size < 3 for a in arrays):
            return
        limits: Sequence[Any] = [0.0] * len(arrays)
        if all(map(np.all, (a[:2] for a in arrays))):
            ratios = [_short(float(a[1] / a[0]), a.dtype) for a in arrays]
            yield from self.approaching(arrays, limits, ratios, index)
        with np.errstate(all="ignore"):
            ratios = [_few_digits((a[2] - a[1]) / (a[1] - a[0])) for a in arrays]
            limits = [
                _few_digits((a[1] - ratio * a[0]) / (1 - ratio))
                for a, ratio in zip(arrays, ratios, strict=True)
            ]
        if np.all(np.isfinite((*ratios, *limits))):
            yield from self.approaching(arrays, limits, ratios, index)

    def approaching(
        self, arrays: Sequence[Data], limits: Sequence[float], ratios: Sequence[float], index: Index
    ) -> Iterator[Expr]:
        """``a + c * r**i``, for the a and the r of each array."""
        limit, ratio = self.solved(limits), self.solved(ratios)
        pairs = zip(arrays, limits, strict=True)
        first = self.solved(
            [_short(float(a[0]) - far, a.dtype) if far else a[0] for a, far in pairs]
        )
        if limit is not None and ratio is not None and first is not None:
            power = Apply("pow", (ratio, IndexOf(at(index))))
            term = power if first is ONE else Mul((first, power))
            yield term if limit is ZERO else Add((limit, term))

    def listed(self, arrays: Sequence[Data], indices: Sequence[Index]) -> Iterator[Expr]:
        """A few elements, each by itself, along axes of literal extents."""
        first = arrays[0]
        if first.size > MOST_LISTED or any(a.shape != first.shape for a in arrays):
            return
        terms: list[Expr] = []
        for place in np.ndindex(first.shape):
            found = self.solved([a[place] for a in arrays])
            if found is None:
                return
            if found is not ZERO:
                here = [Guard(Zero(at(i) - k)) for i, k in zip(indices, place, strict=True)]
                terms.append(Mul((*here, found)))
        yield Add(tuple(terms))

    def separated(self, arrays: Sequence[Data], indices: Sequence[Index]) -> Iterator[Expr]:
        """``f(i, ...) + g(j)`` and ``f(i, ...) * g(j)``."""
        if len(indices) < 2:
            return
        for node, combine in (
            (Add, _sum_parts),
            (Add, _sum_parts_from_tail),
            (Mul, _product_parts),
        ):
            parts = [combine(a) for a in arrays]
            if any(part is None for part in parts):
                continue
            head = self.own([part[0] for part in parts if part], indices[:-1])
            tail = self.own([part[1] for part in parts if part], indices[-1:])
            if head is not None and tail is not None:
                yield node((head, tail))

    def own(self, arrays: Sequence[Data], indices: Sequence[Index]) -> Expr | None:
        """The first guess that fits arrays over some of the indices."""
        search = _Search(indices, arrays, self.forms)
        for value in search.values(arrays, indices):
            found = Family(tuple(indices), value)
            if all(map(partial(fits, found), arrays, self.forms.assignments)):
                return value
        return None

    def inverted(self, arrays: Sequence[Data], indices: Sequence[Index]) -> Iterator[Expr]:
        """A function of something affine: 1/(i + 1), sqrt(i), i**2, exp(i)."""
        if arrays[0].dtype.kind == "b":
            return
        for undo, redo in _OUTER:
            with np.errstate(all="ignore"):
                inner = [_rounded(undo(np.asarray(a, dtype=np.float64))) for a in arrays]
            if all(np.all(np.isfinite(a)) for a in inner):
                yield from map(redo, self.affine(inner, indices))
                if len(indices) == 1:
                    yield from map(redo, self.geometric(inner, indices[0]))


def _python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _slope(line: Data) -> Number:
    """The mean step of a line of numbers."""
    if not np.all(np.isfinite(line)):
        return number(float("nan"))
    first, last = (Fraction(str(_python(line[k]) + 0)) for k in (0, -1))
    return number((last - first) / (line.size - 1))


def _cycle(line: Data) -> tuple[Any, Any, int, int] | None:
    """Start, step, shift and period of ``start + step*((i + shift) % period)``."""
    steps = np.diff(line)
    if line.size < 3 or not np.all(np.isfinite(line)):
        return None
    step = steps[0] if steps[0] == steps[-1] else np.median(steps)
    if not step:
        return None
    least = line.min() if step > 0 else line.max()
    most = line.max() if step > 0 else line.min()
    return (
        least,
        step,
        round(float((line[0] - least) / step)),
        round(float((most - least) / step)) + 1,
    )


def _stairs(line: Data) -> tuple[Any, Any, int, int] | None:
    """Start, step, shift and period of ``start + step*((i + shift) // period)``."""
    ends = np.flatnonzero(np.diff(line))
    if not ends.size or not np.all(np.isfinite(line)):
        return None
    runs = np.diff([-1, *ends, line.size - 1])
    period = int(runs.max())
    return line[0], line[ends[0] + 1] - line[ends[0]], period - int(runs[0]), period


def _affine(start: Expr, terms: Sequence[tuple[Expr, Index | Subscript]]) -> Expr:
    """``start + Σ slope·sub``: an IndexOf where all are whole."""
    subs = [(slope, at(s) if isinstance(s, Index) else s) for slope, s in terms]
    whole = _whole(start)
    slopes = [_whole(slope) for slope, _ in subs]
    if whole is not None and all(slope is not None for slope in slopes):
        total = constant(whole)
        for slope, (_, sub) in zip(slopes, subs, strict=True):
            total = total + sub * (slope if slope is not None else 0)
        return IndexOf(total)
    parts: list[Expr] = [] if start is ZERO else [start]
    for factor, sub in subs:
        parts.append(IndexOf(sub) if factor is ONE else Mul((factor, IndexOf(sub))))
    return parts[0] if len(parts) == 1 else Add(tuple(parts))


def _whole(value: Expr) -> Size | None:
    match value:
        case Number(n, "") if n.denominator == 1:
            return size(int(n))
        case SizeOf(n):
            return n
        case Mul((Number(a, ""), SizeOf(n))) if a.denominator == 1:
            return n * int(a)
        case _:
            return None


def _subscript(value: Expr) -> Subscript | None:
    if isinstance(value, IndexOf):
        return value.sub
    whole = _whole(value)
    return None if whole is None else constant(whole)


def _two(array: Data) -> tuple[Any, Any] | None:
    found = np.unique(array)
    if len(found) != 2:
        return None
    return found[0], found[1]


def _chosen(cond: Cond, true: Expr, false: Expr) -> Expr:
    if false is not ZERO:
        return Select(cond, true, false)
    return Guard(cond) if true is ONE else Mul((true, Guard(cond)))


def _ordered(low: Subscript, high: Subscript, gap: Size) -> Cond:
    """``low + gap <= high``, written without the gap where < or <= says it."""
    if gap.literal == 1:
        return Compare("<", IndexOf(low), IndexOf(high))
    if gap.literal is not None and gap.literal < 0:
        return Compare("<=", IndexOf(low), IndexOf(high - gap))
    return Compare("<=", IndexOf(low + gap), IndexOf(high))


def _line(mask: Data, sign: int) -> dict[int, bool] | None:
    """``mask[i, j]`` as a function of ``i + sign*j``, None where it isn't one."""
    rows, columns = np.indices(mask.shape)
    line: dict[int, bool] = {}
    for t, holds in zip(
        (rows + sign * columns).ravel().tolist(), mask.ravel().tolist(), strict=True
    ):
        if line.setdefault(t, holds) != holds:
            return None
    return dict(sorted(line.items()))


def _run(line: Data) -> int:
    """How many elements are as the first."""
    other = np.flatnonzero(line != line[0])
    return int(other[0]) if other.size else int(line.size)


def _period(line: Data) -> int:
    for period in range(1, line.size):
        if np.array_equal(line[period:], line[:-period]):
            return period
    return int(line.size)


def _short(value: float, dtype: Any) -> float:
    """A ratio of rounded numbers, as the short decimal that it is near to."""
    short = float(f"{value:.{6 if dtype.itemsize < 8 else 12}g}")
    return short if abs(short - value) <= 8 * np.finfo(dtype).eps * abs(value) else value


def _few_digits(value: float) -> float:
    """A number of few digits that is near to one from which others were subtracted."""
    return float(f"{value:.9g}")


def _rounded(array: Data) -> Data:
    near = np.rint(array)
    return np.asarray(np.where(np.abs(array - near) <= 1e-9 * (1 + np.abs(near)), near, array))


def _sum_parts(array: Data) -> tuple[Data, Data] | None:
    if array.dtype.kind == "b":
        return None
    head, tail = array[..., 0], array[(0,) * (array.ndim - 1)]
    with np.errstate(all="ignore"):
        rest = tail - tail[0]
        return (head, rest) if _agree(head[..., None] + rest, array) else None


def _sum_parts_from_tail(array: Data) -> tuple[Data, Data] | None:
    """The same with the corner's value in the other part."""
    parts = _sum_parts(array)
    return None if parts is None else (parts[0] - parts[0].flat[0], parts[1] + parts[0].flat[0])


def _product_parts(array: Data) -> tuple[Data, Data] | None:
    if array.dtype.kind != "f":
        return None
    flat = np.abs(np.where(np.isfinite(array), array, 0))
    pivot = np.unravel_index(int(np.argmax(flat == 1 if np.any(flat == 1) else flat)), array.shape)
    if not flat[pivot]:
        return None
    head, tail = array[..., pivot[-1]], array[pivot[:-1]]
    with np.errstate(all="ignore"):
        rest = tail / tail[pivot[-1]]
        return (head, rest) if _agree(head[..., None] * rest, array) else None


_OUTER: tuple[tuple[Callable[[Data], Data], Callable[[Expr], Expr]], ...] = (
    (lambda a: 1 / a, lambda e: Power(e, Fraction(-1))),
    (np.sqrt, lambda e: Power(e, Fraction(2))),
    (np.square, lambda e: Power(e, Fraction(1, 2))),
    (lambda a: 1 / np.square(a), lambda e: Power(e, Fraction(-1, 2))),
    (np.exp, lambda e: Apply("log", (e,))),
    (np.log, lambda e: Apply("exp", (e,))),
)
