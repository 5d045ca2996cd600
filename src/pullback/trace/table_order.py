"""Order: sorting, order statistics, and places in sorted arrays.

``np.argsort`` is an operation with an integer result: the places of the elements in ascending
order. Everything else reads there, so what is differentiated is a gather, and its adjoint puts
each gradient back at its element's place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np

from ..functions import fn
from ..ir.expr import (
    ZERO,
    Access,
    Add,
    Compare,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Reduce,
    Select,
    Tensor,
    Zero,
    neg,
    number,
    power,
)
from ..ir.sizes import size
from ..ir.subscripts import Lookup, Subscript, at, constant
from .axes import all_axes, one_axis
from .record import Sheet
from .rows import row
from .table_indexing import lookup
from .table_matrices import result
from .table_reductions import asked
from .table_running import at_places, in_a_row
from .values import (
    INT,
    DType,
    Subs,
    Value,
    absent_unless,
    added,
    cast,
    expanded,
    remapped,
    reshaped,
    transposed,
)

NAN = number(float("nan"))
HALF = Fraction(1, 2)
Statistic = Callable[[Subs], Expr]
KINDS = (None, "quicksort", "heapsort", "mergesort", "stable")


def last(value: Value, axes: Sequence[int]) -> Value:
    """The value with some axes as one, the last."""
    others = [k for k in range(value.ndim) if k not in axes]
    moved = transposed(value, [*others, *axes])
    shape = [value.shape[k] for k in others]
    count = int(np.prod([value.shape[k] for k in axes], dtype=int))
    return moved if len(axes) == 1 else reshaped(moved, (*shape, count))


def sorting_places(sheet: Sheet, rows: Value, operation: str = "argsort") -> Value:
    """The places of the elements along the last axis in ascending order."""
    keys = cast(rows, INT) if rows.is_bool else rows
    return sheet.keep(result(sheet, operation, keys))


def _back(value: Value, axis: int) -> Value:
    """The last axis put where it was."""
    order = list(range(value.ndim - 1))
    order.insert(axis, value.ndim - 1)
    return transposed(value, order)


def _check_kind(kind: Any, order: Any, stable: Any) -> None:
    if kind not in KINDS or order is not None or stable not in (None, True, False):
        raise TypeError("an unknown kind or order of sorting")


@row(np.argsort)
def argsort(
    sheet: Sheet,
    a: Any,
    axis: Any = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: Any = None,
) -> Value:
    """The places of the elements in ascending order.

    NumPy puts equal elements in the order in which they are only if asked for: without
    ``kind="stable"`` the generated source calls ``np.argsort`` as the function does.
    """
    _check_kind(kind, order, stable)
    if kind == "heapsort":
        raise sheet.refusal(
            'kind="heapsort" can\'t be traced: it puts equal elements in an order of its own',
            hint='write kind="stable"',
        )
    value, own = _sorted_along(sheet, a, axis)
    steady = stable or kind in ("stable", "mergesort")
    if value.is_bool and not steady:
        raise sheet.refusal(
            "np.argsort of booleans can't be traced: equal ones may be put in any order",
            hint='write kind="stable"',
        )
    rows = sheet.keep(last(value, (own,)))
    return _back(sorting_places(sheet, rows, "argsort" if steady else "argsort_unstable"), own)


@row(np.sort)
def sort(
    sheet: Sheet,
    a: Any,
    axis: Any = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: Any = None,
) -> Value:
    """The elements in ascending order, NaN last."""
    _check_kind(kind, order, stable)
    value, own = _sorted_along(sheet, a, axis)
    return _back(sheet.keep(in_order(sheet, sheet.keep(last(value, (own,))))), own)


def _sorted_along(sheet: Sheet, a: Any, axis: Any) -> tuple[Value, int]:
    value = sheet.value(a)
    if not value.ndim and axis is not None:
        one_axis(axis, 0)
    return in_a_row(sheet, value, axis)


def in_order(sheet: Sheet, rows: Value) -> Value:
    """The elements along the last axis in ascending order."""
    return at_places(rows, sorting_places(sheet, rows))


def _check_kth(a: Any, axis: Any, kth: Any) -> None:
    """NumPy itself says whether there are such places."""
    np.partition(np.zeros(a.shape[axis]), kth)


@row(np.partition)
def partition(
    sheet: Sheet, a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Value:
    """The elements in ascending order: what is before and behind the k-th may be in any."""
    value, own = _sorted_along(sheet, a, axis)
    _check_kth(value, own, kth)
    return sort(sheet, value, own, order=order)


@row(np.argpartition)
def argpartition(
    sheet: Sheet, a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Value:
    """The places of the elements in ascending order."""
    value, own = _sorted_along(sheet, a, axis)
    _check_kth(value, own, kth)
    return argsort(sheet, value, own, "stable", order)


@row(np.lexsort)
def lexsort(sheet: Sheet, keys: Any, axis: int = -1) -> Value:
    """The places of the elements in the order of the last key, equal ones in that of the one
    before."""
    several = isinstance(keys, list | tuple)
    values = [sheet.value(key) for key in keys] if several else _parts(sheet.value(keys))
    if not values or any(v.shape != values[0].shape for v in values):
        raise ValueError("all keys need to be the same shape")
    own = one_axis(axis, values[0].ndim)
    found: Value | None = None
    for value in values:
        rows = sheet.keep(last(value, (own,)))
        if found is None:
            found = sorting_places(sheet, rows)
        else:
            again = sorting_places(sheet, sheet.keep(at_places(rows, found)))
            found = sheet.keep(at_places(found, again))
    assert found is not None
    return _back(found, own)


def _parts(value: Value) -> list[Value]:
    """The elements of the first axis."""
    rest = value.shape[1:], value.axes[1:]

    def part(k: int) -> Value:
        return remapped(value, *rest, lambda subs: (constant(k), *subs))

    return [part(k) for k in range(value.shape[0] if value.ndim else 0)]


# --------------------------------------------------------------------------------------------------
# Order statistics


def _rows(sheet: Sheet, a: Any, axis: Any) -> tuple[Value, tuple[int, ...], Value]:
    """An array, the axes that are reduced, and the array with these as one, the last."""
    value = sheet.value(a)
    axes = all_axes(axis, value.ndim)
    return value, axes, sheet.keep(last(value, axes))


def _kept(found: Value, axes: Sequence[int], keepdims: bool, lead: int = 0) -> Value:
    return expanded(found, [k + lead for k in axes]) if keepdims else found


def _nothing(rows: Value, dtype: DType) -> Value:
    """What is NaN for want of elements."""
    return Value(rows.shape[:-1], dtype, lambda subs: NAN, rows.axes[:-1])


def _of_rows(rows: Value, read: Callable[[Subs], Expr]) -> Value:
    """A value of each row."""
    return Value(rows.shape[:-1], rows.dtype, read, rows.axes[:-1])


@dataclass(frozen=True)
class Ordered:
    """The elements of each row by their place in ascending order: all are NaN where one is."""

    sheet: Sheet
    rows: Value
    places: Tensor

    @classmethod
    def of(cls, sheet: Sheet, rows: Value) -> Ordered:
        operation = "argorder" if rows.dtype.kind == "f" else "argsort"
        keys = cast(rows, INT) if rows.is_bool else rows
        tensor = sheet.keep(result(sheet, operation, keys)).tensor
        assert tensor is not None
        return cls(sheet, rows, tensor)

    def read(self, subs: Subs, place: Subscript) -> Expr:
        """A row's element at a place."""
        return self.rows.read((*subs, at(Lookup(Access(self.places, (*subs, place))))))

    def kept(self, place: Subscript) -> Value:
        """The rows' elements at a place where every row has one."""
        return self.sheet.keep(_of_rows(self.rows, lambda subs: self.read(subs, place)))


def _keeps(sheet: Sheet, overwrite_input: bool) -> None:
    """Refuses to leave an argument in disorder: nobody could say what it then holds."""
    if overwrite_input:
        raise sheet.refusal(
            "overwrite_input=True can't be traced: what the argument then holds is in any order",
            hint="leave overwrite_input out",
        )


@row(np.median)
def median(
    sheet: Sheet, a: Any, axis: Any = None, *, overwrite_input: bool = False, keepdims: bool = False
) -> Value:
    """The middle element in ascending order, or the mean of the two in the middle."""
    _keeps(sheet, overwrite_input)
    value, axes, rows = _rows(sheet, a, axis)
    found = asked(np.median, value)
    rows = sheet.keep(cast(rows, found)) if rows.is_bool else rows
    count = rows.shape[-1]
    if not count:
        return _kept(_nothing(rows, found), axes, keepdims)
    ordered = Ordered.of(sheet, rows)

    lower, upper = (ordered.kept(constant(n) // 2) for n in (count - 1, count))

    def middle(subs: Subs) -> Expr:
        both = Add((lower.read(subs), upper.read(subs)))
        even = Divides(size(2), constant(count))
        return Select(even, Mul((number(HALF), both)), upper.read(subs))

    made = replace(_of_rows(rows, middle), dtype=found)
    return _kept(made, axes, keepdims)


@dataclass(frozen=True)
class Between:
    """A place between sorted elements, ``(times*n + more) / over`` of n elements, not outside of
    them."""

    times: int
    more: int
    over: int

    @classmethod
    def of(cls, q: Fraction, alpha: Fraction, beta: Fraction) -> Between:
        """Hyndman and Fan's place of a quantile."""
        more = alpha + q * (1 - alpha - beta) - 1
        over = lcm(q.denominator, more.denominator)
        return cls(int(q * over), int(more * over), over)


ONE_THIRD = Fraction(1, 3)
# alpha and beta of the methods that interpolate everywhere
CONTINUOUS: dict[str, tuple[Fraction, Fraction]] = {
    "linear": (Fraction(1), Fraction(1)),
    "interpolated_inverted_cdf": (Fraction(0), Fraction(1)),
    "hazen": (HALF, HALF),
    "weibull": (Fraction(0), Fraction(0)),
    "median_unbiased": (ONE_THIRD, ONE_THIRD),
    "normal_unbiased": (Fraction(3, 8), Fraction(3, 8)),
}


def _inverted(n: int, q: Any) -> tuple[Any, Any]:
    place = n * q - 1
    low = np.floor(place)
    return np.where(place == low, low, low + 1), 0.0


def _closest(n: int, q: Any) -> tuple[Any, Any]:
    place = n * q - 1.5
    low = np.floor(place)
    return np.where((place == low) & (low % 2 == 1), low, low + 1), 0.0


def _averaged(n: int, q: Any) -> tuple[Any, Any]:
    place = n * q - 1
    low = np.floor(place)
    return low, np.where(place == low, 0.5, 1.0)


def _midpoint(n: int, q: Any) -> tuple[Any, Any]:
    low, high = np.floor((n - 1) * q), np.ceil((n - 1) * q)
    return low, np.where(low == high, 0.0, 0.5)


# The place below and the weight of the next one, rounded as NumPy does; these methods jump.
JUMPING: dict[str, Callable[[int, Any], tuple[Any, Any]]] = {
    "inverted_cdf": _inverted,
    "closest_observation": _closest,
    "averaged_inverted_cdf": _averaged,
    "midpoint": _midpoint,
    "lower": lambda n, q: (np.floor((n - 1) * q), 0.0),
    "higher": lambda n, q: (np.ceil((n - 1) * q), 0.0),
    "nearest": lambda n, q: (np.around((n - 1) * q), 0.0),
}


def _at_continuous(ordered: Ordered, place: Between, count: int) -> Statistic:
    """The value between two sorted elements, of the first or the last one beyond them."""
    total, over = place.times * count + place.more, place.over
    if over == 1:
        return ordered.kept(constant(total)).read
    low, high = constant(total) // over, constant(total + over - 1) // over
    weight = Mul((IndexOf(constant(total) % over), power(number(over), -1)))

    def between(one: Expr, other: Expr) -> Expr:
        return Add((one, Mul((weight, Add((other, neg(one)))))))

    if place.more == -place.times:  # the linear method stays inside
        one, other = ordered.kept(low), ordered.kept(high)
        return lambda subs: between(one.read(subs), other.read(subs))
    first, most = ordered.kept(constant(0)), ordered.kept(constant(count - 1))
    inside = Inside(constant(total), size(over * (count - 1) + 1))
    below = Inside(constant(total + over), size(over))

    def limited(subs: Subs) -> Expr:
        here = between(ordered.read(subs, low), ordered.read(subs, high))
        return Select(inside, here, Select(below, first.read(subs), most.read(subs)))

    return limited


def _at_jumping(ordered: Ordered, method: str, q: float, count: int) -> Statistic:
    found, share = JUMPING[method](count, np.float64(q))
    weight = float(share)
    places = (min(max(k, 0), count - 1) for k in (int(found), int(found) + 1))
    one, other = (ordered.kept(constant(k)) for k in places)
    if weight in (0.0, 1.0):
        return (other if weight else one).read

    def read(subs: Subs) -> Expr:
        low, high = one.read(subs), other.read(subs)
        return Add((low, Mul((number(weight), Add((high, neg(low)))))))

    return read


def _quantiles(sheet: Sheet, q: Any, over: int) -> tuple[list[Fraction], tuple[int, ...]]:
    """The quantiles that are asked for, exactly as they are written, and their shape."""
    if hasattr(q, "_pullback_value"):
        raise sheet.refusal(
            "quantiles at traced places can't be traced",
            expected="q as a plain number, or a plain array",
            hint="sort with np.sort and interpolate with np.interp(q, np.linspace(0, 1, n), s)",
        )
    array = np.asarray(q)
    if array.dtype.kind not in "fiu" or array.ndim > 2:
        raise ValueError("q must be a number or an array of them")
    found = [Fraction(repr(float(one))) / over for one in array.ravel()]
    if not all(0 <= one <= 1 for one in found):
        raise ValueError(f"quantiles must be in the range [0, {over}]")
    return found, array.shape


def _quantile(
    sheet: Sheet,
    function: Any,
    a: Any,
    q: Any,
    axis: Any,
    method: str,
    keepdims: bool,
    over: int,
) -> Value:
    value, axes, rows = _rows(sheet, a, axis)
    wanted, shape = _quantiles(sheet, q, over)
    if method not in CONTINUOUS and method not in JUMPING:
        raise ValueError(f"{method!r} is no method: one of {', '.join((*CONTINUOUS, *JUMPING))}")
    found = asked(function, value, q=q, method=method)
    count = rows.shape[-1]
    if not count:
        raise IndexError("a quantile of no elements")
    ordered = Ordered.of(sheet, rows)
    reads = [
        _at_continuous(ordered, Between.of(one, *CONTINUOUS[method]), count)
        if method in CONTINUOUS
        else _at_jumping(ordered, method, float(one), count)
        for one in wanted
    ]

    def read(subs: Subs) -> Expr:
        lead, own = subs[: len(shape)], subs[len(shape) :]
        if not lead:
            return reads[0](own)
        flat = constant(0)
        for n, sub in zip(shape, lead, strict=True):
            flat = flat * n + sub
        terms = [absent_unless(Zero(flat - k), one(own)) for k, one in enumerate(reads)]
        return added(terms)

    made = Value((*shape, *rows.shape[:-1]), found, read, ("",) * len(shape) + rows.axes[:-1])
    return _kept(made, axes, keepdims, len(shape))


def _quantile_row(function: Any, over: int) -> Callable[..., Value]:
    def build(
        sheet: Sheet,
        a: Any,
        q: Any,
        axis: Any = None,
        *,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: bool = False,
    ) -> Value:
        _keeps(sheet, overwrite_input)
        return _quantile(sheet, function, a, q, axis, method, keepdims, over)

    return build


row(np.quantile)(_quantile_row(np.quantile, 1))
row(np.percentile)(_quantile_row(np.percentile, 100))


# Of what is not NaN: how many there are depends on data, and so do the places.


def _nan_rows(
    sheet: Sheet, a: Any, axis: Any
) -> tuple[Value, tuple[int, ...], Value, Callable[[Subs], Expr]]:
    """An array, its axes that are reduced, its elements in order, and how many are not NaN."""
    value, axes, rows = _rows(sheet, a, axis)
    ordered = sheet.keep(in_order(sheet, rows))
    bound = rows.shape[-1]

    def count(subs: Subs) -> Expr:
        index = sheet.bound(bound)
        one = rows.read((*subs, at(index)))
        return Reduce("sum", (index,), (), Guard(Compare("==", one, one)))

    counted = sheet.keep(Value(rows.shape[:-1], INT, count, rows.axes[:-1], nonnegative=True))
    return value, axes, ordered, counted.read


def _looked_up(
    sheet: Sheet, ordered: Value, place: Callable[[Subs], Expr]
) -> Callable[[Subs], Expr]:
    """The sorted elements at places that depend on data."""
    top = number(ordered.shape[-1] - 1)
    inside = Value(
        ordered.shape[:-1],
        INT,
        lambda subs: fn("clip", place(subs), ZERO, top),
        ordered.axes[:-1],
        nonnegative=True,
    )
    sub_of = lookup(sheet, sheet.keep(inside))[1]
    return lambda subs: ordered.read((*subs, sub_of(subs)))


def _nan_quantile(
    sheet: Sheet, function: Any, a: Any, q: Any, axis: Any, method: str, keepdims: bool, over: int
) -> Value:
    value, axes, ordered, count = _nan_rows(sheet, a, axis)
    wanted, shape = _quantiles(sheet, q, over)
    if method not in CONTINUOUS or shape:
        raise sheet.refusal(
            f"{function.__name__} of several quantiles, or by method {method!r}, can't be traced",
            expected=f"one number q, and a method of {', '.join(CONTINUOUS)}",
            hint="call it for one q after the other and np.stack the results",
        )
    found = asked(function, value, q=q, method=method)
    place = Between.of(wanted[0], *CONTINUOUS[method])
    divisor = number(place.over)

    def total(subs: Subs) -> Expr:
        own = count(subs)
        line = Add((Mul((number(place.times), own)), number(place.more)))
        most = Mul((divisor, Add((own, number(-1)))))
        return fn("maximum", fn("minimum", line, most), ZERO)

    placed = sheet.keep(Value(ordered.shape[:-1], INT, total, ordered.axes[:-1], nonnegative=True))
    low = _looked_up(sheet, ordered, lambda s: fn("floor_divide", placed.read(s), divisor))
    above = number(place.over - 1)
    high = _looked_up(
        sheet, ordered, lambda s: fn("floor_divide", Add((placed.read(s), above)), divisor)
    )

    def read(subs: Subs) -> Expr:
        first, second = low(subs), high(subs)
        weight = Mul((fn("mod", placed.read(subs), divisor), power(divisor, -1)))
        return Add((first, Mul((weight, Add((second, neg(first)))))))

    made = Value(ordered.shape[:-1], found, read, ordered.axes[:-1])
    return _kept(made, axes, keepdims)


def _nan_row(function: Any, over: int) -> Callable[..., Value]:
    def build(
        sheet: Sheet,
        a: Any,
        q: Any,
        axis: Any = None,
        *,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: bool = False,
    ) -> Value:
        _keeps(sheet, overwrite_input)
        if not sheet.value(a).size or sheet.value(a).dtype.kind != "f":
            plain = np.percentile if over == 100 else np.quantile
            return _quantile(sheet, plain, a, q, axis, method, keepdims, over)
        return _nan_quantile(sheet, function, a, q, axis, method, keepdims, over)

    return build


row(np.nanquantile)(_nan_row(np.nanquantile, 1))
row(np.nanpercentile)(_nan_row(np.nanpercentile, 100))


@row(np.nanmedian)
def nanmedian(
    sheet: Sheet, a: Any, axis: Any = None, *, overwrite_input: bool = False, keepdims: bool = False
) -> Value:
    """The median of what is not NaN."""
    _keeps(sheet, overwrite_input)
    if not sheet.value(a).size or sheet.value(a).dtype.kind != "f":
        return median(sheet, a, axis, keepdims=keepdims)
    value, axes, ordered, count = _nan_rows(sheet, a, axis)
    two = number(2)

    def half(subs: Subs, less: int) -> Expr:
        return fn("floor_divide", Add((count(subs), number(-less))) if less else count(subs), two)

    lower = _looked_up(sheet, ordered, lambda subs: half(subs, 1))
    upper = _looked_up(sheet, ordered, lambda subs: half(subs, 0))

    def middle(subs: Subs) -> Expr:
        odd = Compare("==", half(subs, 1), half(subs, 0))
        both = Mul((number(HALF), Add((lower(subs), upper(subs)))))
        return Select(odd, upper(subs), both)

    made = Value(ordered.shape[:-1], asked(np.nanmedian, value), middle, ordered.axes[:-1])
    return _kept(made, axes, keepdims)
