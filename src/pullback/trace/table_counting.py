"""Places in sorted arrays, and what is counted or summed by place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..functions import fn
from ..ir.expr import (
    Access,
    Add,
    Compare,
    Expr,
    Guard,
    IndexOf,
    Mul,
    Reduce,
    Select,
    SizeOf,
    Zero,
    neg,
    number,
    power,
)
from ..ir.sizes import size
from ..ir.subscripts import Lookup, Subscript, at, constant
from .axes import one_axis
from .record import Sheet
from .refusals import hint_for
from .rows import row
from .table_elementwise import apply_ufunc, common_dtype, elementwise, select, test_elementwise
from .table_indexing import lookup, taken
from .table_matrices import result
from .table_order import sorting_places
from .table_pieces import concatenated, stack
from .table_reductions import sum_
from .table_running import at_places, in_a_row, summed
from .table_shapes import sliced
from .values import FLOAT, INT, Subs, Value, cast, reshaped, squeezed

FEW = 16  # segments that are summed one by one


def _vector(sheet: Sheet, given: Any, name: str) -> Value:
    value = sheet.value(given)
    if value.ndim != 1:
        raise ValueError(f"{name} has {value.ndim} axes, expected one")
    return value


def searched(sheet: Sheet, inside: Value, value: Value, side: str) -> Value:
    """How many elements of a sorted vector are before each of others."""
    if side not in ("left", "right"):
        raise ValueError(f"side is {side!r}, expected 'left' or 'right'")
    found = common_dtype([inside, value])
    found = INT if found.kind == "b" else found
    wanted = sheet.keep(reshaped(cast(value, found), (value.size,)))
    operation = "searchsorted" if side == "left" else "searchsorted_right"
    places = result(sheet, operation, sheet.keep(cast(inside, found)), wanted)
    if value.ndim == 1:
        return replace(places, axes=value.axes)
    places = sheet.keep(places)
    return squeezed(places, (0,)) if not value.ndim else reshaped(places, value.shape)


@row(np.searchsorted)
def searchsorted(sheet: Sheet, a: Any, v: Any, side: str = "left", sorter: Any = None) -> Value:
    """The places at which elements would be put into a sorted vector."""
    inside = _vector(sheet, a, "a")
    if sorter is not None:
        inside = sheet.keep(taken(sheet, inside, sorter, 0))
    return searched(sheet, inside, sheet.value(v), side)


@row(np.digitize)
def digitize(sheet: Sheet, x: Any, bins: Any, right: bool = False) -> Value:
    """The number of the bin that each element is in, between edges in ascending or descending
    order."""
    if hasattr(bins, "_pullback_value"):
        raise sheet.refusal(
            "np.digitize with traced bins can't be traced",
            expected="a plain array of edges",
            hint="write np.searchsorted(bins, x, side='right') for ascending edges",
        )
    edges, value = np.asarray(bins), sheet.value(x)
    np.digitize(np.zeros(1), edges)  # refuses edges in no order
    if len(edges) > 1 and edges[0] > edges[-1]:
        places = sheet.keep(
            searched(sheet, sheet.value(edges[::-1]), value, "right" if right else "left")
        )
        found = elementwise(
            lambda n: Add((SizeOf(size(len(edges))), neg(n))), [places], places.dtype
        )
        return replace(found, nonnegative=True)
    return searched(sheet, sheet.value(edges), value, "left" if right else "right")


@row(np.interp)
def interp(
    sheet: Sheet, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Value:
    """The values at x of the straight lines between the points (xp, fp), xp in ascending order."""
    point = cast(sheet.value(x), FLOAT)
    knots, heights = (
        cast(_vector(sheet, one, name), FLOAT) for one, name in ((xp, "xp"), (fp, "fp"))
    )
    if knots.shape != heights.shape:
        raise ValueError("fp and xp are not of the same length")
    if not knots.size:
        raise ValueError("array of sample points is empty")
    if period is not None:
        point, knots, heights = _periodic(sheet, point, knots, heights, period)
        left = right = None
    point, knots, heights = map(sheet.keep, (point, knots, heights))
    count = knots.size

    def end(of: Value, k: int) -> Value:
        return squeezed(sliced(of, 0, k, k + 1), (0,))

    low, high = end(heights, 0), end(heights, count - 1)
    low, high = (
        own if given is None else sheet.value(given) for own, given in ((low, left), (high, right))
    )
    inside = end(heights, 0) if count == 1 else _between(sheet, point, knots, heights)
    last = test_elementwise(lambda t, k: Compare("==", t, k), [point, end(knots, count - 1)], False)
    above = test_elementwise(lambda t, k: Compare("<", k, t), [point, end(knots, count - 1)], False)
    below = test_elementwise(lambda t, k: Compare("<", t, k), [point, end(knots, 0)], False)
    found = sheet.keep(select(last, end(heights, count - 1), inside, FLOAT))
    found = sheet.keep(select(above, high, found, FLOAT))
    return select(below, low, found, FLOAT)


def _between(sheet: Sheet, point: Value, knots: Value, heights: Value) -> Value:
    """The straight line of the segment that a point is in, the first or the last one beyond."""
    top = knots.size - 2
    found = sheet.keep(searched(sheet, knots, point, "right"))

    def segment(subs: Subs) -> Expr:
        before = Add((found.read(subs), number(-1)))
        return fn("clip", before, number(0), SizeOf(size(top)))

    places = sheet.keep(Value(point.shape, INT, segment, point.axes, nonnegative=True))
    sub_of = lookup(sheet, places)[1]

    def read(subs: Subs) -> Expr:
        here: Subscript = sub_of(subs)
        x, y = knots.read((here,)), heights.read((here,))
        rise = Add((heights.read((here + 1,)), neg(y)))
        run = Add((knots.read((here + 1,)), neg(x)))
        return Add((y, Mul((Add((point.read(subs), neg(x))), rise, power(run, -1)))))

    return sheet.keep(Value(point.shape, FLOAT, read, point.axes))


def _periodic(
    sheet: Sheet, point: Value, knots: Value, heights: Value, period: Any
) -> tuple[Value, Value, Value]:
    """The points of one period in order, with one of the periods before and behind at the ends."""
    if hasattr(period, "_pullback_value") or not period:
        raise ValueError("period must be a plain number other than zero")
    width = abs(float(period))
    point, knots = (
        sheet.keep(apply_ufunc(sheet, np.remainder, (one, width))) for one in (point, knots)
    )
    order = sorting_places(sheet, knots)
    knots, heights = (sheet.keep(at_places(one, order)) for one in (knots, sheet.keep(heights)))
    count = knots.size
    before = apply_ufunc(sheet, np.subtract, (sliced(knots, 0, count - 1, count), width))
    behind = apply_ufunc(sheet, np.add, (sliced(knots, 0, 0, 1), width))
    wide = concatenated([sheet.keep(before), knots, sheet.keep(behind)], 0, FLOAT)
    ends = sliced(heights, 0, count - 1, count), sliced(heights, 0, 0, 1)
    return point, wide, concatenated([ends[0], heights, ends[1]], 0, FLOAT)


# --------------------------------------------------------------------------------------------------
# Counts, and sums of what has the same number


def _within(places: Value, count: int) -> Value:
    """Places that are known to be below a number, so that the program knows, too."""
    top = SizeOf(size(max(count - 1, 0)))
    found = elementwise(lambda n: fn("clip", n, number(0), top), [places], INT)
    return replace(found, nonnegative=True)


def _gathered(sheet: Sheet, places: Value, weights: Value | None, count: int, dtype: Any) -> Value:
    """For each k the sum of the weights whose place is k, or how many these are."""
    tensor = sheet.keep(places).tensor
    assert tensor is not None
    extent = places.size

    def read(subs: Subs) -> Expr:
        index = sheet.bound(extent, places.axes[0])
        place = at(Lookup(Access(tensor, (at(index),))))
        here: Expr = Guard(Zero(place - subs[0]))
        body = here if weights is None else Mul((here, weights.read((at(index),))))
        return Reduce("sum", (index,), (), body)

    return Value((count,), dtype, read, ("",))


@row(np.bincount)
def bincount(sheet: Sheet, x: Any, weights: Any = None, minlength: int = 0) -> Value:
    """How often each number is there, or the sums of the weights that stand beside it."""
    if hasattr(x, "_pullback_value"):
        raise sheet.refusal(
            "np.bincount of traced integers can't be traced: the result's length depends on them",
            expected="plain integers, with weights that may be traced",
            hint="write y = np.zeros(n); np.add.at(y, x, weights)",
        )
    numbers = np.asarray(x)
    count = len(np.bincount(numbers, minlength=minlength))  # refuses what are no counts
    value = _within(sheet.value(numbers.astype(np.int64)), count)
    if weights is None:
        return _gathered(sheet, value, None, count, INT)
    weight = sheet.keep(cast(sheet.value(weights), FLOAT))
    if weight.shape != value.shape:
        raise ValueError("The weights and list don't have the same length.")
    return _gathered(sheet, value, weight, count, FLOAT)


@row(np.histogram)
def histogram(
    sheet: Sheet,
    a: Any,
    bins: Any = 10,
    range: Any = None,
    density: Any = None,
    weights: Any = None,
) -> Any:
    """How many elements are in each bin, or the sums of their weights; and the bins' edges."""
    value = sheet.value(a)
    weight = None if weights is None else sheet.value(weights)
    if weight is not None and weight.shape != value.shape:
        raise ValueError("weights should have the same shape as a.")
    edges = _edges(sheet, a, value, bins, range)
    dtype = np.histogram(np.zeros(1), weights=None if weight is None else np.ones(1, weight.dtype))[
        0
    ].dtype
    flat = sheet.keep(reshaped(value, (value.size,)))
    own = common_dtype([flat, edges])
    flat, limits = sheet.keep(cast(flat, own)), sheet.keep(cast(edges, own))
    count = edges.size - 1
    found = sheet.keep(searched(sheet, limits, flat, "right"))
    last = limits.read((constant(count),))

    def number_of(subs: Subs) -> Expr:
        return Select(
            Compare("==", flat.read(subs), last), IndexOf(constant(count)), found.read(subs)
        )

    places = sheet.keep(Value(flat.shape, INT, number_of, flat.axes, nonnegative=True))
    if weight is not None:
        weight = sheet.keep(reshaped(cast(weight, dtype), (weight.size,)))
    whole = sheet.keep(_gathered(sheet, places, weight, count + 2, dtype))
    counted = sheet.keep(sliced(whole, 0, 1, count + 1))
    if density:
        counted = _density(sheet, counted, edges)
    return counted, edges


def _density(sheet: Sheet, counted: Value, edges: Value) -> Value:
    count = counted.size
    upper, lower = sliced(edges, 0, 1, count + 1), sliced(edges, 0, 0, count)
    widths = sheet.keep(apply_ufunc(sheet, np.subtract, (upper, lower)))
    total = sheet.keep(sum_(sheet, counted))
    shares = sheet.keep(apply_ufunc(sheet, np.divide, (counted, widths)))
    return sheet.keep(apply_ufunc(sheet, np.divide, (shares, total)))


def _edges(sheet: Sheet, a: Any, value: Value, bins: Any, range: Any) -> Value:
    """The edges of the bins, in ascending order."""
    if hasattr(bins, "_pullback_value") or np.ndim(bins):
        edges = _vector(sheet, bins, "bins")
        if not hasattr(bins, "_pullback_value"):
            np.histogram_bin_edges(np.zeros(1), bins)  # refuses edges in no order
        return sheet.keep(edges)
    traced = hasattr(a, "_pullback_value")
    if not traced or (range is not None and not isinstance(bins, str)):
        data = np.zeros(1) if traced else np.asarray(a)
        return sheet.value(np.histogram_bin_edges(data, bins, range))
    raise sheet.refusal(
        "np.histogram of traced values in bins that depend on them can't be traced",
        expected="a number of bins with range=(low, high), or the edges of the bins",
        hint="write bins=np.linspace(low, high, count + 1)",
    )


def reduceat(ufunc: Any, sheet: Sheet, array: Any, indices: Any, axis: Any = 0) -> Value:
    """The sums of the segments that begin at given places: up to the next place, where that is
    further on, else of one element."""
    value = sheet.value(array)
    own = one_axis(axis, value.ndim)
    if ufunc is not np.add or hasattr(indices, "_pullback_value"):
        raise sheet.refusal(
            f"np.{ufunc.__name__}.reduceat can't be traced",
            expected="np.add.reduceat with plain indices",
            hint=hint_for("reduceat"),
        )
    starts = np.asarray(indices)
    extent = value.shape[own]
    ufunc.reduceat(np.zeros(extent), starts)  # refuses places that aren't there
    ends = [*starts[1:].tolist(), extent]
    pairs = [(k, max(end, k + 1)) for k, end in zip(starts.tolist(), ends, strict=True)]
    dtype = np.add.reduceat(np.zeros(1, value.dtype), [0]).dtype
    value = sheet.keep(cast(value, dtype))
    if len(pairs) <= FEW:
        parts = [
            sheet.keep(sum_(sheet, sliced(value, own, start, end), own)) for start, end in pairs
        ]
        return stack(sheet, parts, own) if parts else sliced(value, own, 0, 0)
    return _segments(sheet, value, own, pairs)


def _segments(sheet: Sheet, value: Value, axis: int, pairs: list[tuple[int, int]]) -> Value:
    """The sums of many segments: each element is added to the segment that it is in."""
    numbers = np.repeat(np.arange(len(pairs)), [end - start for start, end in pairs])
    places = np.concatenate([np.arange(start, end) for start, end in pairs])
    whole = len(places) == value.shape[axis] and bool((places == np.arange(len(places))).all())
    element = None if whole else lookup(sheet, sheet.value(places))[1]
    segment = lookup(sheet, sheet.keep(_within(sheet.value(numbers), len(pairs))))[1]
    shape = list(value.shape)
    shape[axis] = len(pairs)

    def read(subs: Subs) -> Expr:
        index = at(sheet.bound(len(places)))
        here = Guard(Zero(segment((index,)) - subs[axis]))
        place = index if element is None else element((index,))
        body = value.read((*subs[:axis], place, *subs[axis + 1 :]))
        return Reduce("sum", (index.index,), (), Mul((here, body)))  # type: ignore[arg-type]

    return Value(tuple(shape), value.dtype, read, value.axes)


# --------------------------------------------------------------------------------------------------
# What is there once


class Unsized(np.lib.mixins.NDArrayOperatorsMixin):
    """An array whose size depends on data: it can't be used."""

    def __init__(self, sheet: Sheet, name: str) -> None:
        self._sheet, self._name = sheet, name

    def _refused(self) -> Exception:
        return self._sheet.refusal(
            f"{self._name} of traced values can't be used: its size depends on them",
            hint="its inverse, return_inverse=True, can be used",
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__array__":
            raise AttributeError(name)
        raise self._refused()

    def __array_ufunc__(self, *given: Any, **options: Any) -> Any:
        raise self._refused()

    def __array_function__(self, *given: Any) -> Any:
        raise self._refused()

    def __getitem__(self, key: Any) -> Any:
        raise self._refused()

    def __len__(self) -> int:
        raise self._refused()

    def __iter__(self) -> Any:
        raise self._refused()


@row(np.unique)
def unique(
    sheet: Sheet,
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """Which of the different values, in ascending order, each element is; these themselves are of
    no size that is known."""
    if not return_inverse or axis is not None or not equal_nan:
        raise sheet.refusal(
            "np.unique of traced values can't be traced: the result's size depends on them",
            expected="np.unique(x, return_inverse=True), of which the inverse is used",
            hint="keep the shape with np.where or a product with a mask",
        )
    value = sheet.value(ar)
    flat, _ = in_a_row(sheet, value, None)
    found = sheet.keep(_inverse(sheet, sheet.keep(flat)))
    inverse = replace(reshaped(found, value.shape), nonnegative=True)
    gone = Unsized(sheet, "np.unique")
    kinds = ((True, gone), (return_index, gone), (True, inverse), (return_counts, gone))
    return tuple(one for wanted, one in kinds if wanted)


def _inverse(sheet: Sheet, flat: Value) -> Value:
    """For each element the number of different values that are less."""
    if not flat.size:
        return Value(flat.shape, INT, lambda subs: number(0), flat.axes)
    order = sorting_places(sheet, flat)
    ordered = sheet.keep(at_places(flat, order))

    def is_new(subs: Subs) -> Expr:
        here, before = ordered.read(subs), ordered.read((subs[0] - 1,))
        differs: Expr = Guard(Compare("!=", here, before))
        if flat.dtype.kind == "f":  # all NaN, which are sorted last, are one
            differs = Mul((differs, Guard(Compare("==", before, before))))
        return Select(Zero(subs[0]), number(0), differs)

    steps = sheet.keep(Value(flat.shape, INT, is_new, flat.axes))
    ranks = sheet.keep(replace(summed(sheet, steps, 0, INT), nonnegative=True))
    return at_places(ranks, sorting_places(sheet, order))
