"""Sparse Jacobians: the pattern from subscripts, coloured, and one product a colour.

Columns that share no row can be told apart in one product (Curtis, Powell and Reid 1974), so they
may have one colour. Colours are given out in rounds, as Jones and Plassmann (1993) do: in each, a
column takes the least colour that is free if it comes first, by a fixed random order, among those
that it shares a row with and that have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, UnsupportedError
from ..ir.expr import Cond, Inside, Zero
from ..ir.subscripts import Index, Subscript, at, constant, indices_of, isolated
from .closed import Closed
from .points import looked_up, points

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from .operator import Jacobian

Array = np.ndarray[Any, Any]
CHUNK = 2**25  # elements of the directions that are multiplied at once
MOST_OFFSETS = 256
MOST_FACTORS = 2**18


def pattern(of: Jacobian, rows: Array | None = None) -> tuple[Array, Array]:
    """The rows and columns, flat, of the elements that can be nonzero."""
    if of.closed is None:
        raise ArgumentError(
            f"{of.label} has no formula to read its pattern from",
            expected="a Jacobian that is not a composition of too many parts",
            found=" ".join(of.text.split())[:80],
            hint="J @ v and u @ J work; J.dense() makes the array",
        )
    values = of._reads.values() if looked_up(of.closed) else {}
    found = points(of.closed, values, rows)
    if rows is not None:
        return found
    flat = distinct(found[0] * max(prod(of.input_shape), 1) + found[1])
    return np.divmod(flat, max(prod(of.input_shape), 1))


def distinct(values: Array) -> Array:
    """The distinct values in order; quick where they are a few ordered lists in turn."""
    ordered = np.sort(values, kind="stable")
    found: Array = ordered[np.diff(ordered, prepend=-1) != 0]
    return found


def sparse(of: Jacobian) -> csr_array:
    """A Jacobian as a ``scipy.sparse.csr_array``."""
    try:
        from scipy.sparse import csr_array
    except ImportError as error:
        raise UnsupportedError(
            "sparse Jacobians are arrays of SciPy, which is not installed",
            hint="pip install scipy",
        ) from error
    rows, columns = pattern(of)
    shape = prod(of.output_shape), prod(of.input_shape)
    data = compressed(of, rows, columns, shape)
    made = csr_array((data, columns, _starts(rows, shape[0])), shape=shape)
    made.has_sorted_indices = True
    return made


def compressed(of: Jacobian, rows: Array, columns: Array, shape: tuple[int, int]) -> Array:
    """The elements at a pattern, from products along its colours."""
    if not len(rows):
        return np.zeros(0, of.dtype)
    by_columns = np.bincount(rows).max() <= np.bincount(columns).max()
    if by_columns:
        colour = None if of.closed is None else periodic(of.closed)
        if colour is None:
            colour = colours(rows, columns, shape[1])
        return _values(of._push, of.input_shape, colour, columns, rows, of.dtype)
    colour = None if of.closed is None else periodic(of.closed.transposed)
    if colour is None:
        colour = colours(columns, rows, shape[0])
    return _values(of._pull, of.output_shape, colour, rows, columns, of.dtype)


def _values(
    way: Any, shape: tuple[int, ...], colour: Array, own: Array, other: Array, dtype: Any
) -> Array:
    """The element of each pair: along the colour of ``own``, at the place ``other``."""
    count = int(colour.max()) + 1
    step = max(1, CHUNK // max(len(colour), 1))
    data = np.zeros(len(own), dtype)
    mine = colour[own]
    for start in range(0, count, step):
        stop = min(start + step, count)
        seeds = np.zeros((len(colour), stop - start), dtype)
        chosen = np.flatnonzero((colour >= start) & (colour < stop))
        seeds[chosen, colour[chosen] - start] = 1
        found = np.asarray(way(seeds.reshape(*shape, stop - start)))
        flat = found.reshape(-1, stop - start)
        here = np.flatnonzero((mine >= start) & (mine < stop))
        data[here] = flat[other[here], mine[here] - start]
    return data


def periodic(closed: Closed) -> Array | None:
    """Colours ``(Σ factor_k·place_k) mod m`` of the columns, for a stencil: where each row's
    columns lie at fixed distances from a place that all terms share. None for any other pattern.

    For 5 points in the plane that is ``(i + 2·j) mod 5`` (Goldfarb and Toint 1984).
    """
    offsets = _offsets(closed)
    if offsets is None or not len(offsets):
        return None
    shape = [i.extent.value({}) for i in closed.columns]
    if not shape:
        return np.zeros(1, np.int64)
    apart = np.unique((offsets[:, None] - offsets[None, :]).reshape(-1, len(shape)), axis=0)
    apart = apart[apart.any(axis=1)]
    for count in range(len(offsets), 3 * len(offsets) + 8):
        if count ** len(shape) > MOST_FACTORS:
            return None
        factors = np.indices((count,) * len(shape)).reshape(len(shape), -1)
        kept = np.ones(factors.shape[1], bool)
        for difference in apart:
            kept &= difference @ factors % count != 0
        if kept.any():
            chosen = factors[:, int(np.argmax(kept))]
            places = np.indices(shape, sparse=True)
            total = sum(int(f) * place for f, place in zip(chosen, places, strict=True))
            return np.broadcast_to(np.asarray(total) % count, shape).reshape(-1)
    return None


def _offsets(closed: Closed) -> Array | None:
    """The distances of a row's columns from a place that the row has in all terms."""
    found: set[tuple[int, ...]] = set()
    places: list[Subscript] | None = None
    for part in closed.terms:
        ways = [_place(column, closed, part.guards) for column in closed.columns]
        if any(way is None for way in ways):
            return None
        own = [place for place, _ in ways]  # type: ignore[misc]
        if places is not None and own != places:
            return None
        places = own
        spans = [span for _, span in ways]  # type: ignore[misc]
        if len(found) + prod(map(len, spans)) > MOST_OFFSETS:
            return None
        found.update(product(*spans))
    return np.array(sorted(found), np.int64).reshape(len(found), len(closed.columns))


def _place(column: Index, closed: Closed, guards: Sequence[Cond]) -> tuple[Subscript, range] | None:
    """A place that depends on rows only, and how far behind it a column can be."""
    rows = {*closed.rows}
    for cond in guards:
        match cond:
            case Zero(sub):
                place = isolated(sub, column)
                width = 1
            case Inside(sub, extent) if sub.coefficient(column).literal == 1:
                place, width = at(column) - sub, extent.value({})
            case _:
                continue
        if place is not None and rows.issuperset(indices_of(place)):
            first = place.const.value({})
            return place - first, range(first, first + width)
    return constant(0), range(column.extent.value({}))


def colours(rows: Array, columns: Array, count: int) -> Array:
    """A colour for each of ``count`` columns, so that those of one colour share no row.

    >>> colours(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 2, 2, 3]), 4).tolist()
    [1, 0, 1, 0]
    """
    first, second = _sharing(rows, columns)
    order = np.random.default_rng(0).permutation(count)  # a fixed order
    colour = np.full(count, -1)
    lone = np.ones(count, bool)
    lone[first] = False
    colour[lone] = 0
    while len(first):
        ahead = np.zeros(count, bool)  # whether a column without a colour comes before
        waiting = colour[second] < 0
        later = order[first] > order[second]
        ahead[first[waiting & later]] = True
        ready = (colour < 0) & ~ahead
        _take_least(colour, ready, first, second)
        left = colour[first] < 0
        first, second = first[left], second[left]
    colour[colour < 0] = 0
    return colour


def _take_least(colour: Array, ready: Array, first: Array, second: Array) -> None:
    """Each column that is ready takes the least colour that none beside it has."""
    chosen = ready[first] & (colour[second] >= 0)
    here, taken = first[chosen], colour[second[chosen]]
    width = int(colour.max(initial=0)) + 2
    marks = np.zeros((len(colour), width), bool) if len(colour) * width <= 2**28 else None
    if marks is not None:
        marks[here, taken] = True
        colour[ready] = np.argmin(marks[ready], axis=1)
        return
    order = np.lexsort((taken, here))
    for column in np.flatnonzero(ready):  # many colours: one column after the other
        lo, hi = np.searchsorted(here[order], [column, column + 1])
        used = np.unique(taken[order][lo:hi])
        gaps = np.flatnonzero(used != np.arange(len(used)))
        colour[column] = gaps[0] if len(gaps) else len(used)


def _sharing(rows: Array, columns: Array) -> tuple[Array, Array]:
    """All pairs of different columns that share a row."""
    order = np.lexsort((columns, rows))
    rows, columns = rows[order].astype(np.int64), columns[order].astype(np.int64)
    counts = np.bincount(rows)
    starts = np.concatenate([[0], np.cumsum(counts)])[:-1]
    first, second = [], []
    place = np.arange(len(rows)) - starts[rows]
    for step in range(1, int(counts.max(initial=0))):
        kept = place + step < counts[rows]
        here = np.flatnonzero(kept)
        first.append(columns[here])
        second.append(columns[here + step])
    if not first:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    one, other = np.concatenate(first), np.concatenate(second)
    total = int(columns.max()) + 1
    keys = distinct(np.minimum(one, other) * total + np.maximum(one, other))
    low, high = np.divmod(keys, total)
    return np.concatenate([low, high]), np.concatenate([high, low])


def _starts(rows: Array, count: int) -> Array:
    counts = np.bincount(rows, minlength=count)
    return np.concatenate([[0], np.cumsum(counts)])
