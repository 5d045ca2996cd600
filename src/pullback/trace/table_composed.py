"""Functions of NumPy that are made up of others, written as one would write them by hand.

Each takes traced arrays, numbers and constant arrays, and gives what NumPy's own function gives.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .rows import composed, row

Part = tuple[Any, ...]
FEW = 8  # powers that are written one by one

# --------------------------------------------------------------------------------------------------
# Pieces put together


def _at(axis: int, part: Any) -> Part:
    """A key that takes a part of one axis."""
    return (*(slice(None),) * axis, part)


def _own_axis(array: Any, axis: Any) -> tuple[Any, int]:
    """An array and the number of its axis; all elements in a row where there is none."""
    if axis is None:
        return np.ravel(array), 0
    return array, range(array.ndim)[operator.index(axis)]


def _place(place: Any, count: int, ends: int) -> int:
    """A place that may be counted from the end, among ``count + ends``."""
    found = operator.index(place)
    if not -count <= found < count + ends:
        raise IndexError(f"index {found} is out of bounds for an axis of {count}")
    return found + count if found < 0 else found


def _is_place(given: Any) -> bool:
    return not isinstance(given, slice) and np.ndim(given) == 0


def _not_traced(places: Any) -> None:
    """Refuses places that depend on data: the result's length, or its order, would, too."""
    if hasattr(type(places), "_pullback_value") and np.ndim(places):
        raise ValueError(
            "the places have to be known when the function is traced; what a traced mask selects "
            "is x[mask], and np.where(mask, values, x) keeps the shape"
        )


@row(np.delete)
@composed
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """An array without some elements of an axis."""
    array, axis = _own_axis(arr, axis)
    count = array.shape[axis]
    _not_traced(obj)
    if _is_place(obj):
        k = _place(obj, count, 0)
        return np.concatenate(
            [array[_at(axis, slice(k))], array[_at(axis, slice(k + 1, None))]], axis
        )
    return np.take(array, np.delete(np.arange(int(count)), obj), axis)


@row(np.insert)
@composed
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """An array with further elements before some of an axis."""
    array, axis = _own_axis(arr, axis)
    count = array.shape[axis]
    _not_traced(obj)
    if np.ndim(values) > array.ndim:
        raise ValueError("the values have more axes than the array")
    more = np.reshape(values, (1,) * (array.ndim - np.ndim(values)) + np.shape(values))
    more = more.astype(array.dtype)
    one = not isinstance(obj, slice) and np.size(obj) == 1 and np.asarray(obj).dtype.kind in "iu"
    if one:
        more = np.moveaxis(more, 0, axis) if np.ndim(obj) == 0 else more
        more = _over(more, array, axis, more.shape[axis])
        k = _place(np.ravel(obj)[0], count, 1)
        parts = [array[_at(axis, slice(k))], more, array[_at(axis, slice(k, None))]]
        return np.concatenate(parts, axis)
    order = np.arange(int(count))
    asked = len(np.insert(order, obj, 0)) - len(order)
    order = np.insert(order, obj, len(order) + np.arange(asked))
    return np.take(np.concatenate([array, _over(more, array, axis, asked)], axis), order, axis)


def _over(values: Any, array: Any, axis: int, count: Any) -> Any:
    """Values of an array's shape, with as many elements along an axis."""
    return np.broadcast_to(values, (*array.shape[:axis], count, *array.shape[axis + 1 :]))


@row(np.resize)
@composed
def resize(a: Any, new_shape: Any) -> Any:
    """The elements again and again, as many as a shape has."""
    shape = tuple(new_shape) if np.iterable(new_shape) else (new_shape,)
    array, total = np.ravel(a), int(np.prod(shape, dtype=int))
    if not array.size or not total:
        return np.zeros(shape, array.dtype)
    return np.reshape(np.concatenate([array] * -(-total // array.size))[:total], shape)


@composed
def bordered(
    array: Any,
    widths: Sequence[tuple[int, int]],
    mode: str,
    stat_length: None = None,
    end_values: Any = 0,
) -> Any:
    """An array with a statistic of each axis, or a ramp to a number, before and after."""
    if stat_length is not None:
        raise TypeError("a stat_length")
    ends = np.broadcast_to(end_values, (array.ndim, 2))
    for axis, (before, after) in enumerate(widths):
        if mode == "linear_ramp":
            first, last = array[_at(axis, slice(1))], array[_at(axis, slice(-1, None))]
            left = _ramp(ends[axis, 0], first, before, axis)
            right = np.flip(_ramp(ends[axis, 1], last, after, axis), axis)
        else:
            own: dict[str, Any] = {
                "maximum": np.max,
                "minimum": np.min,
                "mean": np.mean,
                "median": np.median,
            }
            found = own[mode](array, axis=axis, keepdims=True)
            left, right = np.repeat(found, before, axis), np.repeat(found, after, axis)
        array = np.concatenate([left, array, right], axis)
    return array


def _ramp(end: Any, edge: Any, width: int, axis: int) -> Any:
    """Numbers from an end on towards the elements at an edge."""
    shape = tuple(width if k == axis else 1 for k in range(edge.ndim))
    steps = np.reshape(np.arange(width) / max(width, 1), shape)
    return (end + steps * (edge - end)).astype(edge.dtype)


@row(np.dsplit)
@composed
def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Parts along the third axis."""
    if ary.ndim < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return np.split(ary, indices_or_sections, 2)


@row(np.choose)
@composed
def choose(a: Any, choices: Sequence[Any], out: Any = None, mode: str = "raise") -> Any:
    """Of several arrays, at each place the element of that with a number."""
    parts = list(choices)
    if mode not in ("raise", "wrap", "clip") or out is not None or not parts:
        raise TypeError("an unknown mode, an output, or no choices")
    which = a % len(parts) if mode == "wrap" else a
    which = np.clip(which, 0, len(parts) - 1) if mode == "clip" else which
    if not hasattr(which, "_pullback_value"):
        if np.any((which < 0) | (which >= len(parts))):
            raise ValueError("invalid entry in choice array")
    elif mode == "raise":
        which = np.where(which < 0, len(parts), which)  # out of range, as in NumPy
    which, *parts = np.broadcast_arrays(which, *parts)
    return np.take_along_axis(np.stack(parts), which[None], 0)[0]


@row(np.apply_over_axes)
@composed
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """A function of an array and an axis, axis after axis."""
    value = a
    for axis in np.atleast_1d(axes).tolist():
        own = range(a.ndim)[axis]
        found = func(value, own)
        value = found if np.ndim(found) == a.ndim else np.expand_dims(found, own)
        if value.ndim != a.ndim:
            raise ValueError("function is not returning an array of the correct shape")
    return value


@row(np.apply_along_axis)
@composed
def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Any:
    """A function of a vector, for each of an axis."""
    axis = range(arr.ndim)[operator.index(axis)]
    moved = np.moveaxis(arr, axis, -1)
    outer = moved.shape[:-1]
    found = [func1d(moved[place], *args, **kwargs) for place in np.ndindex(*map(int, outer))]
    if not found:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    own = np.shape(found[0])
    back = np.reshape(np.stack(found), (*outer, *own))
    last = range(back.ndim)[len(outer) :]
    return np.moveaxis(back, list(last), list(range(axis, axis + len(own))))


# --------------------------------------------------------------------------------------------------
# Spaced numbers


def _spread(start: Any, stop: Any, num: Any, endpoint: bool, axis: int) -> tuple[Any, Any]:
    """Numbers at equal distances, and the distance."""
    count = operator.index(num)
    if count < 0:
        raise ValueError(f"Number of samples, {count}, must be non-negative.")
    over = count - 1 if endpoint else count
    traced = any(hasattr(one, "_pullback_value") for one in (start, stop))
    width = (1.0 * start + 1.0 * stop).dtype if traced else np.result_type(start, stop, 1.0)
    start, stop = (one.astype(width) for one in np.broadcast_arrays(1.0 * start, 1.0 * stop))
    step = (stop - start) / over if over > 0 else np.nan * (stop - start)
    steps = np.reshape(np.arange(count), (count,) + (1,) * np.ndim(start)).astype(width)
    found = start + steps * (step if over > 0 else stop - start)
    return (np.moveaxis(found, 0, axis) if axis else found), step


@row(np.linspace)
@composed
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Numbers at equal distances between two."""
    if dtype is not None and np.dtype(dtype).kind != "f":
        raise TypeError("linspace rounds down to a dtype that is no float")
    found, step = _spread(start, stop, num, endpoint, axis)
    found = found if dtype is None else found.astype(dtype)
    return (found, step) if retstep else found


@row(np.logspace)
@composed
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Powers of a base, their exponents at equal distances."""
    base = base if hasattr(base, "dtype") else np.float64(base)
    found = np.power(base, _spread(start, stop, num, endpoint, axis)[0])
    return found if dtype is None else found.astype(dtype)


@row(np.geomspace)
@composed
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Numbers of equal quotients between two of the same sign."""
    sign = np.sign(start)
    logs = _spread(np.log10(sign * start), np.log10(sign * stop), num, endpoint, axis)[0]
    found = sign * np.power(10.0, logs)
    return found.astype(float if dtype is None else dtype)


# --------------------------------------------------------------------------------------------------
# Differences


@row(np.gradient)
@composed
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Central differences, one-sided ones of order 1 or 2 at the ends."""
    count = f.ndim
    axes = range(count) if axis is None else [range(count)[k] for k in np.atleast_1d(axis).tolist()]
    given = list(varargs) or [1.0]
    if len(given) == 1 and np.ndim(given[0]) == 0:
        given *= len(axes)
    if len(given) != len(axes) or edge_order not in (1, 2):
        raise TypeError("invalid number of arguments, or an edge_order other than 1 and 2")
    f = f if f.dtype.kind == "f" else f.astype(np.float64)  # differences of integers would wrap
    found = []
    for own, spacing in zip(axes, given, strict=True):
        if f.shape[own] < edge_order + 1:
            raise ValueError("too few elements to calculate a numerical gradient")
        found.append(_slopes(f, own, spacing, edge_order).astype(f.dtype))
    return found[0] if len(found) == 1 else tuple(found)


def _slopes(f: Any, axis: int, spacing: Any, edge_order: int) -> Any:
    def part(start: Any, stop: Any) -> Any:
        return f[_at(axis, slice(start, stop))]

    if np.ndim(spacing) == 0:
        h = spacing
        middle = (part(2, None) - part(None, -2)) / (2.0 * h)
        if edge_order == 1:
            first, last = (part(1, 2) - part(0, 1)) / h, (part(-1, None) - part(-2, -1)) / h
        else:
            first = (-1.5 * part(0, 1) + 2.0 * part(1, 2) - 0.5 * part(2, 3)) / h
            last = (0.5 * part(-3, -2) - 2.0 * part(-2, -1) + 1.5 * part(-1, None)) / h
        return np.concatenate([first, middle, last], axis)
    if np.ndim(spacing) != 1 or np.shape(spacing)[0] != f.shape[axis]:
        raise ValueError("distances must be either scalars or vectors of the axis's length")
    h = np.reshape(np.diff(spacing), (-1,) + (1,) * (f.ndim - 1 - axis))

    def step(start: Any, stop: Any) -> Any:
        return h[start:stop]

    one, two = step(None, -1), step(1, None)
    middle = (
        -two / (one * (one + two)) * part(None, -2)
        + (two - one) / (one * two) * part(1, -1)
        + one / (two * (one + two)) * part(2, None)
    )
    if edge_order == 1:
        first = (part(1, 2) - part(0, 1)) / step(0, 1)
        last = (part(-1, None) - part(-2, -1)) / step(-1, None)
    else:
        one, two = step(0, 1), step(1, 2)
        first = (
            -(2.0 * one + two) / (one * (one + two)) * part(0, 1)
            + (one + two) / (one * two) * part(1, 2)
            - one / (two * (one + two)) * part(2, 3)
        )
        one, two = step(-2, -1), step(-1, None)
        last = (
            two / (one * (one + two)) * part(-3, -2)
            - (two + one) / (one * two) * part(-2, -1)
            + (2.0 * two + one) / (two * (one + two)) * part(-1, None)
        )
    return np.concatenate([first, middle, last], axis)


@row(np.unwrap)
@composed
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    """Phases, to which periods are added where they jump."""
    if p.dtype.kind != "f":
        raise TypeError("phases that are no floats are unwrapped in whole numbers")
    axis = range(p.ndim)[operator.index(axis)]
    steps = np.diff(p, axis=axis)
    half = period / 2
    least = half if discont is None else discont
    moved = (steps + half) % period - half
    moved = np.where((moved == -half) & (steps > 0), half, moved)
    more = np.where(np.abs(steps) < least, 0, moved - steps)
    behind = p[_at(axis, slice(1, None))] + np.cumsum(more, axis=axis)
    return np.concatenate([p[_at(axis, slice(1))], behind], axis)


# --------------------------------------------------------------------------------------------------
# Covariances


@row(np.cov)
@composed
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """The covariances of variables, each a row."""
    X = _variables(m, rowvar)
    if y is not None:
        X = np.concatenate([X, _variables(y, rowvar)])
    X = X.astype(float if dtype is None else dtype)
    taken = ddof if ddof is not None else 0 if bias else 1
    _check_counts(fweights)
    weights = fweights
    if aweights is not None:
        weights = aweights if fweights is None else fweights * aweights
    if weights is None:
        centred = X - np.mean(X, axis=1, keepdims=True)
        if taken > 1 and X.shape[1] <= taken:
            raise ValueError("ddof is not less than the number of observations")
        return np.squeeze(centred @ centred.T / (X.shape[1] - taken))
    total = np.sum(weights)
    centred = X - np.sum(X * weights, axis=1, keepdims=True) / total
    lost = taken if aweights is None else taken * np.sum(weights * aweights) / total
    return np.squeeze((centred * weights) @ centred.T / np.maximum(total - lost, 0))


def _check_counts(fweights: Any) -> None:
    """Refuses counts that NumPy refuses, and those whose numbers aren't known."""
    if fweights is None:
        return
    counts = np.asarray(fweights)
    if np.any(counts != np.around(counts)) or np.any(counts < 0):
        raise TypeError("fweights must be integers that are not negative")


def _variables(given: Any, rowvar: bool) -> Any:
    if np.ndim(given) > 2:
        raise ValueError("m has more than 2 dimensions")
    rows = np.atleast_2d(given)
    return rows if rowvar or np.ndim(given) < 2 else rows.T


@row(np.corrcoef)
@composed
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """The correlations of variables, each a row."""
    found = np.cov(x, y, rowvar, dtype=dtype)
    if np.ndim(found) == 0:
        return found / found
    deviations = np.sqrt(np.diagonal(found))
    return found / deviations[:, None] / deviations


# --------------------------------------------------------------------------------------------------
# Polynomials, and matrices of powers


@row(np.vander)
@composed
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    """Powers of a vector's elements, one a column."""
    if np.ndim(x) != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    count = x.shape[0] if N is None else N
    if count == 0:
        return np.zeros((x.shape[0], 0))
    column = x.astype(np.promote_types(x.dtype, int))[:, None]
    if type(count) is int and count <= FEW:
        order = range(count) if increasing else range(count - 1, -1, -1)
        return np.concatenate([column**k for k in order], axis=1)
    powers = np.cumprod(np.broadcast_to(column, (x.shape[0], count - 1)), axis=1)
    found = np.concatenate([np.ones_like(column), powers], axis=1)
    return found if increasing else found[:, ::-1]


@row(np.polyder)
@composed
def polyder(p: Any, m: int = 1) -> Any:
    """The coefficients of a polynomial's derivative."""
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    for _ in range(m):
        p = p[:-1] * np.arange(p.shape[0] - 1, 0, -1)
    return p


@row(np.polyint)
@composed
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """The coefficients of a polynomial's integral."""
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = np.zeros(m) if k is None else np.broadcast_to(k, (m,))
    for n in range(m):
        behind = np.reshape(constants[n], (1,))
        p = np.concatenate([p / np.arange(p.shape[0], 0, -1), behind])
    return p


@row(np.polymul)
@composed
def polymul(a1: Any, a2: Any) -> Any:
    """The coefficients of a product of polynomials."""
    return np.convolve(a1, a2)


@row(np.polyadd)
@composed
def polyadd(a1: Any, a2: Any) -> Any:
    """The coefficients of a sum of polynomials."""
    one, two = _as_long(a1, a2)
    return one + two


@row(np.polysub)
@composed
def polysub(a1: Any, a2: Any) -> Any:
    """The coefficients of a difference of polynomials."""
    one, two = _as_long(a1, a2)
    return one - two


def _as_long(*given: Any) -> list[Any]:
    """Coefficients with zeros before them, all as many."""
    rows = [np.atleast_1d(one) for one in given]
    most = max(len(one) for one in rows)
    return [np.concatenate([np.zeros(most - len(one), one.dtype), one]) for one in rows]
