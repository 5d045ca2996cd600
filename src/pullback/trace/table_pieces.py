"""Arrays made of pieces: concatenating, stacking, padding, rolling, diagonals and triangles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..ir.expr import And, Cond, Expr, Inside, Not, Number, Or, Select, Zero, number
from ..ir.sizes import size
from ..ir.subscripts import Subscript
from .axes import integers, one_axis
from .constants import lower, upper
from .record import Sheet
from .rows import View, row
from .table_elementwise import apply_ufunc, as_wide, common_dtype
from .table_products import diagonal
from .table_reductions import sum_
from .table_shapes import sliced
from .values import (
    DType,
    Subs,
    Value,
    absent_unless,
    added,
    broadcast,
    cast,
    expanded,
    remapped,
    reshaped,
    squeezed,
)

Piece = tuple[Cond, Any]  # where it is, and its body: an expression, of bools a condition


def pieced(
    shape: Sequence[int], dtype: DType, axes: Sequence[str], pieces: Callable[[Subs], list[Piece]]
) -> Value:
    """One array from disjoint ranges: a sum of terms, at most one of them there at each place."""

    def numbers(subs: Subs) -> Expr:
        return added([absent_unless(cond, body) for cond, body in pieces(subs)])

    def truths(subs: Subs) -> Cond:
        return Or(tuple(And((cond, body)) for cond, body in pieces(subs)))

    return Value(tuple(shape), dtype, truths if dtype.kind == "b" else numbers, tuple(axes))


def _moved(subs: Subs, axis: int, sub: Subscript) -> Subs:
    return (*subs[:axis], sub, *subs[axis + 1 :])


def concatenated(values: Sequence[Value], axis: int, dtype: DType) -> Value:
    """One after the other along an axis."""
    shape = list(values[0].shape)
    offsets = [0, *np.cumsum([v.shape[axis] for v in values]).tolist()]
    shape[axis] = offsets[-1]
    for value in values:
        same = [k for k in range(len(shape)) if k != axis]
        if value.ndim != len(shape) or any(value.shape[k] != shape[k] for k in same):
            raise ValueError(
                f"arrays of shapes {', '.join(str(v.shape) for v in values)} don't fit together"
            )

    def pieces(subs: Subs) -> list[Piece]:
        found: list[Piece] = []
        for value, offset in zip(values, offsets, strict=False):
            moved = subs[axis] - offset
            part = _moved(subs, axis, moved)
            body = value.test(part) if dtype.kind == "b" else value.read(part)
            found.append((Inside(moved, size(value.shape[axis])), body))
        return found

    names = [next((v.axes[k] for v in values if v.axes[k]), "") for k in range(len(shape))]
    return pieced(shape, dtype, names, pieces)


def _joined(sheet: Sheet, values: Sequence[Value], axis: int, dtype: Any) -> Value:
    if len(values) == 1:
        return values[0] if dtype is None else cast(values[0], np.dtype(dtype))
    found = common_dtype([replace(v, weak=None) for v in values])
    found = found if dtype is None else np.dtype(dtype)
    return concatenated(as_wide(sheet, values, found), axis, found)


@row(np.concatenate)
def concatenate(sheet: Sheet, arrays: Any, axis: Any = 0, *, dtype: Any = None) -> Value:
    """One after the other along an axis."""
    values = [sheet.value(a) for a in arrays]
    if axis is None:
        values = [sheet.keep(reshaped(v, (v.size,))) for v in values]
    if not values or not values[0].ndim:
        raise ValueError("0-d arrays can't be concatenated")
    return _joined(sheet, values, one_axis(0 if axis is None else axis, values[0].ndim), dtype)


@row(np.append)
def append(sheet: Sheet, arr: Any, values: Any, axis: Any = None) -> Value:
    """The second after the first."""
    return concatenate(sheet, (arr, values), axis)


@row(np.stack)
def stack(sheet: Sheet, arrays: Any, axis: int = 0, *, dtype: Any = None) -> Value:
    """One after the other along a new axis."""
    values = [sheet.value(a) for a in arrays]
    if not values or any(v.shape != values[0].shape for v in values):
        raise ValueError("stack needs arrays of one shape")
    along = one_axis(axis, values[0].ndim + 1)
    found = common_dtype([replace(v, weak=None) for v in values])
    found = found if dtype is None else np.dtype(dtype)
    values = as_wide(sheet, values, found)

    def pieces(subs: Subs) -> list[Piece]:
        rest = (*subs[:along], *subs[along + 1 :])
        return [
            (Zero(subs[along] - k), v.test(rest) if found.kind == "b" else v.read(rest))
            for k, v in enumerate(values)
        ]

    inner = [next((v.axes[k] for v in values if v.axes[k]), "") for k in range(values[0].ndim)]
    extents = list(values[0].shape)
    extents.insert(along, len(values))
    inner.insert(along, "")
    return pieced(extents, found, inner, pieces)


def _lifted(rank: int) -> Callable[[Value], Value]:
    def one(value: Value) -> Value:
        if value.ndim >= rank:
            return value
        places = {0: range(rank), 1: (0, 2)[: rank - 1], 2: (2,)}[value.ndim]
        return expanded(value, places)

    return one


@row(np.vstack)
def vstack(sheet: Sheet, tup: Any, *, dtype: Any = None) -> Value:
    """Rows below each other."""
    return _joined(sheet, [_lifted(2)(sheet.value(a)) for a in tup], 0, dtype)


@row(np.hstack)
def hstack(sheet: Sheet, tup: Any, *, dtype: Any = None) -> Value:
    """Columns beside each other."""
    values = [_lifted(1)(sheet.value(a)) for a in tup]
    return _joined(sheet, values, 0 if values[0].ndim == 1 else 1, dtype)


@row(np.dstack)
def dstack(sheet: Sheet, tup: Any) -> Value:
    """Along the third axis."""
    return _joined(sheet, [_lifted(3)(sheet.value(a)) for a in tup], 2, None)


@row(np.column_stack)
def column_stack(sheet: Sheet, tup: Any) -> Value:
    """Vectors as columns."""
    values = [sheet.value(a) for a in tup]
    columns = [expanded(_lifted(1)(v), (1,)) if v.ndim < 2 else v for v in values]
    return _joined(sheet, columns, 1, None)


@row(np.block)
def block(sheet: Sheet, arrays: Any) -> Value:
    """Nested lists of blocks: the innermost beside each other."""

    def depth(part: Any) -> int:
        return 1 + depth(part[0]) if isinstance(part, list) else 0

    levels = depth(arrays)

    def leaves(part: Any) -> list[Value]:
        if isinstance(part, list):
            return [value for child in part for value in leaves(child)]
        return [sheet.value(part)]

    rank = max(levels, *(v.ndim for v in leaves(arrays)))

    def build(part: Any, level: int) -> Value:
        if not isinstance(part, list):
            value = sheet.value(part)
            return expanded(value, range(rank - value.ndim))
        inner = [build(child, level - 1) for child in part]
        kept = [v if v.tensor is not None else sheet.keep(v) for v in inner]
        return _joined(sheet, kept, rank - level, None)

    return build(arrays, levels)


# --------------------------------------------------------------------------------------------------
# Padding


@row(np.pad)
def pad(sheet: Sheet, array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Value:
    """Longer along each axis: a constant outside, or the elements again (edge, reflect, wrap)."""
    value = sheet.value(array)
    widths = _widths(pad_width, value.ndim)
    if mode == "constant":
        fill = options.pop("constant_values", 0)
        _no_more(sheet, options, mode)
        return _padded_constant(sheet, value, widths, fill)
    if mode in ("maximum", "minimum", "mean", "median", "linear_ramp") and value.dtype.kind == "f":
        from .table_composed import bordered

        return bordered(sheet, array, widths, mode, **options)  # type: ignore[no-any-return]
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise sheet.refusal(
            f"np.pad with mode={mode!r} can't be traced",
            expected="a mode of np.pad other than 'empty', of floats",
            hint="np.concatenate can put any border beside an array",
        )
    if options.pop("reflect_type", "even") != "even":
        raise sheet.refusal("np.pad with reflect_type='odd' can't be traced", expected="'even'")
    _no_more(sheet, options, mode)
    for axis, (before, after) in enumerate(widths):
        if before or after:
            value = sheet.keep(_padded_again(value, axis, before, after, mode))
    return value


def _no_more(sheet: Sheet, options: dict[str, Any], mode: str) -> None:
    if options:
        raise sheet.refusal(
            f"np.pad with {', '.join(options)} can't be traced in mode {mode!r}",
            hint="leave the option out",
        )


def _widths(given: Any, rank: int) -> list[tuple[int, int]]:
    if isinstance(given, dict):
        plain = [(0, 0)] * rank
        for axis, pair in given.items():
            before, after = pair if isinstance(pair, tuple | list) else (pair, pair)
            plain[one_axis(axis, rank)] = (int(before), int(after))
        return plain
    pairs = np.broadcast_to(np.asarray(given), (rank, 2)).tolist()
    for before, after in pairs:
        if before < 0 or after < 0 or before != int(before) or after != int(after):
            raise ValueError("pad widths are integers that are not negative")
    return [(int(before), int(after)) for before, after in pairs]


def _longer(value: Value, widths: Sequence[tuple[int, int]]) -> list[int]:
    return [n + before + after for n, (before, after) in zip(value.shape, widths, strict=True)]


def _padded_constant(sheet: Sheet, value: Value, widths: list[tuple[int, int]], fill: Any) -> Value:
    """NumPy pads axis by axis, so a later axis's constant holds in the corners."""
    try:
        fills = np.broadcast_to(np.asarray(fill), (value.ndim, 2)).tolist()
    except ValueError:
        raise sheet.refusal(
            "traced constant_values of np.pad can't be traced", hint="use np.concatenate"
        ) from None
    constants = [
        [np.asarray(part).astype(value.dtype)[()].item() for part in pair] for pair in fills
    ]
    used = [
        c
        for pair, w in zip(constants, widths, strict=True)
        for c, n in zip(pair, w, strict=True)
        if n
    ]
    if not used:
        return value
    if all(c == used[0] for c in used):
        return _bordered(value, widths, number(used[0]))
    for axis, pair in enumerate(constants):
        own = [(0, 0)] * value.ndim
        for side, part in enumerate(pair):
            own[axis] = (widths[axis][0], 0) if side == 0 else (0, widths[axis][1])
            if any(own[axis]):
                value = sheet.keep(_bordered(value, own, number(part)))
    return value


def _bordered(value: Value, widths: Sequence[tuple[int, int]], fill: Expr) -> Value:
    def split(subs: Subs) -> tuple[list[Cond], Subs]:
        moved = tuple(s - before for s, (before, _) in zip(subs, widths, strict=True))
        conds: list[Cond] = [
            Inside(sub, size(n))
            for sub, n, width in zip(moved, value.shape, widths, strict=True)
            if any(width)
        ]
        return conds, moved

    def numbers(subs: Subs) -> Expr:
        conds, moved = split(subs)
        if isinstance(fill, Number) and not fill.value and not fill.special:
            body = value.read(moved)
            for cond in reversed(conds):
                body = absent_unless(cond, body)
            return body
        return Select(conds[0] if len(conds) == 1 else And(tuple(conds)), value.read(moved), fill)

    def truths(subs: Subs) -> Cond:
        conds, moved = split(subs)
        inside = And((*conds, value.test(moved)))
        if isinstance(fill, Number) and not fill.value:
            return inside
        return Or((inside, Not(And(tuple(conds)))))

    return Value(
        tuple(_longer(value, widths)),
        value.dtype,
        truths if value.is_bool else numbers,
        value.axes,
        nonnegative=value.nonnegative and isinstance(fill, Number) and fill.value >= 0,
    )


def _padded_again(value: Value, axis: int, before: int, after: int, mode: Any) -> Value:
    """Runs of the axis, forwards, backwards or standing still, as NumPy itself lays them out."""
    extent = value.shape[axis]
    found: list[int] = np.pad(np.arange(extent), (before, after), mode=mode).tolist()
    runs = [
        *reversed([_mirrored(run, before) for run in _runs(found[:before][::-1])]),
        (before, extent, 0, 1),
        *(
            (before + extent + at, n, first, step)
            for at, n, first, step in _runs(found[before + extent :])
        ),
    ]

    def pieces(subs: Subs) -> list[Piece]:
        parts: list[Piece] = []
        for at, length, first, step in runs:
            moved = subs[axis] - at
            own = _moved(subs, axis, moved * step + first)
            body = value.test(own) if value.is_bool else value.read(own)
            parts.append((Inside(moved, size(length)), body))
        return parts

    shape = list(value.shape)
    shape[axis] += before + after
    return replace(pieced(shape, value.dtype, value.axes, pieces), nonnegative=value.nonnegative)


Run = tuple[int, int, int, int]  # where it begins, its length, its first element, its step


def _mirrored(run: Run, width: int) -> Run:
    at, length, first, step = run
    return width - at - length, length, first + step * (length - 1), -step


def _runs(places: Sequence[int]) -> list[Run]:
    """A list of integers as runs of constant step -1, 0 or 1, each as long as it goes."""
    runs: list[Run] = []
    start = 0
    while start < len(places):
        step = places[start + 1] - places[start] if start + 1 < len(places) else 0
        step = step if abs(step) <= 1 else 0
        stop = start + 1
        while stop < len(places) and places[stop] - places[stop - 1] == step:
            stop += 1
        runs.append((start, stop - start, places[start], step if stop - start > 1 else 0))
        start = stop
    return runs


# --------------------------------------------------------------------------------------------------
# Rolling, diagonals, triangles


def rolled(value: Value, axis: int, shift: int) -> Value:
    """Moved on along an axis, what falls off comes back at the start."""
    extent = value.shape[axis]
    if not extent or not shift:
        return value
    return remapped(
        value,
        value.shape,
        value.axes,
        lambda subs: _moved(subs, axis, (subs[axis] - shift) % extent),
    )


@row(np.roll)
def roll(sheet: Sheet, a: Any, shift: Any, axis: Any = None) -> Value:
    """Moved on along some axes, what falls off comes back."""
    value = sheet.value(a)
    if axis is None:
        flat = sheet.keep(reshaped(value, (value.size,)))
        for by in integers(shift):
            flat = sheet.keep(rolled(flat, 0, by))
        return reshaped(flat, value.shape)
    along = [one_axis(k, value.ndim) for k in integers(axis)]
    for by, k in np.broadcast(np.asarray(shift), np.asarray(along)):
        value = sheet.keep(rolled(value, int(k), int(by)))
    return value


@row(np.diag)
def diag(sheet: Sheet, v: Any, k: int = 0) -> Value | View:
    """A vector as the diagonal of a matrix, or a matrix's diagonal."""
    value = sheet.value(v)
    return View(diagonal(sheet, value, k)) if value.ndim == 2 else _on_diagonal(value, k)


def _on_diagonal(value: Value, k: int) -> Value:
    if value.ndim != 1:
        raise ValueError("diag needs a vector or a matrix")
    extent = value.shape[0] + abs(k)

    def pieces(subs: Subs) -> list[Piece]:
        i, j = subs
        return [(Zero(j - i - k), value.at((i if k >= 0 else j,)))]

    return pieced((extent, extent), value.dtype, (value.axes[0], ""), pieces)


@row(np.diagflat)
def diagflat(sheet: Sheet, v: Any, k: int = 0) -> Value:
    """All elements as the diagonal of a matrix."""
    value = sheet.value(v)
    flat = value if value.ndim == 1 else sheet.keep(reshaped(value, (value.size,)))
    return _on_diagonal(flat, k)


def _triangle(
    sheet: Sheet, m: Any, cond: Callable[[Subscript, Subscript, int, int], Cond]
) -> Value:
    value = sheet.value(m)
    if value.ndim == 1:
        value = sheet.keep(_square(value))
    if not value.ndim:
        raise ValueError("a triangle needs an axis")
    rows, columns = value.shape[-2:]

    def pieces(subs: Subs) -> list[Piece]:
        return [(cond(subs[-2], subs[-1], rows, columns), value.at(subs))]

    return replace(
        pieced(value.shape, value.dtype, value.axes, pieces), nonnegative=value.nonnegative
    )


def _square(value: Value) -> Value:
    return broadcast(value, (value.shape[0], value.shape[0]))


@row(np.tril)
def tril(sheet: Sheet, m: Any, k: int = 0) -> Value:
    """What is on or below the k-th diagonal."""
    return _triangle(sheet, m, lambda i, j, rows, columns: lower(i, j, rows, k))


@row(np.triu)
def triu(sheet: Sheet, m: Any, k: int = 0) -> Value:
    """What is on or above the k-th diagonal."""
    return _triangle(sheet, m, lambda i, j, rows, columns: upper(i, j, columns, k))


@row(np.diff)
def diff(
    sheet: Sheet, a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None
) -> Value:
    """Each element less the one before, n times."""
    value = sheet.value(a)
    along = one_axis(axis, value.ndim)
    if n < 0:
        raise ValueError("n is negative")
    ends = [None if end is None else _end(sheet, end, value, along) for end in (prepend, append)]
    if n and any(end is not None for end in ends):
        parts = [part for part in (ends[0], value, ends[1]) if part is not None]
        value = sheet.keep(_joined(sheet, parts, along, None))

    for _ in range(n):
        extent = value.shape[along]
        if not extent:
            return value
        later = sliced(value, along, 1, extent)
        earlier = sliced(value, along, 0, extent - 1)
        less = np.not_equal if value.is_bool else np.subtract
        value = sheet.keep(apply_ufunc(sheet, less, (later, earlier)))
    return value


def _end(sheet: Sheet, given: Any, value: Value, axis: int) -> Value:
    """What is put before or behind an array: one number stands for a slice of them."""
    end = sheet.value(given)
    if end.ndim:
        return end
    shape = [1 if k == axis else n for k, n in enumerate(value.shape)]
    return broadcast(replace(end, weak=None), shape)


@row(np.ediff1d)
def ediff1d(sheet: Sheet, ary: Any, to_end: Any = None, to_begin: Any = None) -> Value:
    """Each element less the one before, of all elements in a row, between others."""
    flat = sheet.value(ary)
    flat = flat if flat.ndim == 1 else sheet.keep(reshaped(flat, (flat.size,)))
    inner = sheet.keep(diff(sheet, flat))
    ends = [None if end is None else sheet.value(end) for end in (to_begin, to_end)]
    first, last = (None if v is None else sheet.keep(reshaped(v, (v.size,))) for v in ends)
    parts = [cast(part, inner.dtype) for part in (first, inner, last) if part is not None]
    return concatenated(parts, 0, inner.dtype) if len(parts) > 1 else inner


@row(np.trapezoid)
def trapezoid(sheet: Sheet, y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Value:
    """The area under straight lines between points."""
    value = sheet.value(y)
    along = one_axis(axis, value.ndim)
    if not value.shape[along]:
        raise ValueError("the area under no points")
    later = sliced(value, along, 1, value.shape[along])
    earlier = sliced(value, along, 0, value.shape[along] - 1)
    width: Any = dx
    if x is not None:
        places = sheet.value(x)
        width = sheet.keep(diff(sheet, places, axis=-1 if places.ndim == 1 else along))
        if width.ndim == 1:
            width = expanded(width, [k for k in range(value.ndim) if k != along])
    middle = sheet.keep(apply_ufunc(sheet, np.add, (later, earlier)))
    strips = sheet.keep(apply_ufunc(sheet, np.multiply, (middle, width)))
    halves = sheet.keep(apply_ufunc(sheet, np.divide, (strips, 2.0)))
    return sum_(sheet, halves, along)


@row(np.polyval)
def polyval(sheet: Sheet, p: Any, x: Any) -> Value:
    """A polynomial by Horner's rule, the highest power first."""
    factors = sheet.value(p)
    if factors.ndim != 1 or not factors.size:
        raise ValueError("a polynomial is a vector of coefficients")
    point = sheet.value(x)
    value = squeezed(sliced(factors, 0, 0, 1), (0,))
    for k in range(1, factors.size):
        scaled = sheet.keep(apply_ufunc(sheet, np.multiply, (value, point)))
        factor = squeezed(sliced(factors, 0, k, k + 1), (0,))
        value = sheet.keep(apply_ufunc(sheet, np.add, (scaled, factor)))
    dtype = common_dtype((point, replace(factors, shape=(), axes=())))
    return broadcast(cast(value, dtype), point.shape)
