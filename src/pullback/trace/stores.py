"""What an array holds after a store by index arrays or masks; arrays made of nested lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ..ir.expr import (
    ZERO,
    Add,
    And,
    Compare,
    Cond,
    Expr,
    Guard,
    IndexOf,
    Mul,
    Reduce,
    Select,
    Zero,
    number,
)
from ..ir.sizes import size
from ..ir.subscripts import Index, Subscript, at, constant, map_indices
from .memory import Box, conditions, pieces, selected
from .record import Sheet
from .table_elementwise import common_dtype
from .table_indexing import advanced, complete, lookup
from .values import INT, Subs, Value, broadcast, cast, remapped, reshaped


def fitted(value: Value, shape: Sequence[int]) -> Value:
    """A value as it is stored into places of a shape: repeated, leading axes of one element off."""
    extra = value.ndim - len(shape)
    if extra > 0 and value.shape[:extra] == (1,) * extra:
        lead = (constant(0),) * extra
        value = remapped(
            value, value.shape[extra:], value.axes[extra:], lambda subs: (*lead, *subs)
        )
    fits = value.ndim <= len(shape) and all(
        n in (1, wide) for n, wide in zip(value.shape[::-1], shape[::-1], strict=False)
    )
    if not fits:
        raise ValueError(
            f"could not broadcast input array from shape {value.shape} into shape {tuple(shape)}"
        )
    return broadcast(value, shape) if value.shape != tuple(shape) else value


def array_value(sheet: Sheet, given: Any, dtype: Any = None) -> Value:
    """The array that ``np.array`` makes of numbers, traced arrays, and nested lists of them."""
    if not isinstance(given, list | tuple) or not _holds_traced(given):
        value = sheet.value(given)
        return value if dtype is None else cast(value, np.dtype(dtype))
    leaves: list[Value] = []
    shape = _gathered(sheet, given, leaves)
    found = common_dtype([replace(leaf, weak=None) for leaf in leaves])
    found = found if dtype is None else np.dtype(dtype)
    inner = leaves[0].shape
    if any(leaf.shape != inner for leaf in leaves):
        raise ValueError("the parts of an array have different shapes")
    outer = shape[: len(shape) - len(inner)]
    like = Value(tuple(shape), found, leaves[0].at, ("",) * len(shape), literal=0)
    depth = len(outer)

    def placed(leaf: Value) -> Value:
        return remapped(cast(leaf, found), shape, like.axes, lambda subs: subs[depth:])

    spots = np.ndindex(*outer)
    own: tuple[range, ...] = tuple(map(range, inner))
    boxes = [(*(range(k, k + 1) for k in spot), *own) for spot in spots]
    return pieces(like, list(zip(boxes, map(placed, leaves), strict=True)))


def _holds_traced(given: Any) -> bool:
    if isinstance(given, list | tuple):
        return any(map(_holds_traced, given))
    return hasattr(type(given), "_pullback_value")


def _gathered(sheet: Sheet, given: Any, leaves: list[Value]) -> list[int]:
    """The shape of nested lists; their parts are added to ``leaves``, row by row."""
    if not isinstance(given, list | tuple):
        value = sheet.value(given)
        leaves.append(value)
        return list(value.shape)
    if not given:
        raise ValueError("an empty list beside traced values")
    if any(isinstance(part, list | tuple) for part in given) and any(map(_is_array, given)):
        given = [array_value(sheet, part) for part in given]  # lists beside arrays are arrays, too
    shapes = [_gathered(sheet, part, leaves) for part in given]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("the parts of an array have different shapes")
    return [len(given), *shapes[0]]


def _is_array(given: Any) -> bool:
    return hasattr(given, "ndim") and bool(given.ndim)


def chosen(sheet: Sheet, old: Value, mask: Value, value: Value) -> Value:
    """``value`` where a mask holds."""
    where = fitted(mask, old.shape)
    return selected(where.test, fitted(value, old.shape), old)


def stored(sheet: Sheet, old: Value, key: Any, value: Value) -> Value:
    """``old`` after ``old[key] = value``, for a key with index arrays or a mask."""
    parts = key if isinstance(key, tuple) else (key,)
    mask = _traced_mask(sheet, parts)
    if mask is not None:
        return _masked(sheet, old, mask, value)
    places = _Places.of(sheet, old, complete(sheet, old, parts))
    value = fitted(value, places.shape)
    if not places.open:
        return selected(places.inside, places.placed(value, old), old)
    if not any(isinstance(part, Value) for part in places.parts):
        return _overwritten(sheet, old, parts, value)
    return _last(sheet, old, places, value)


def accumulated(sheet: Sheet, old: Value, key: Any, value: Value) -> Value:
    """``old`` after ``np.add.at(old, key, value)``: a sum over all places that are one."""
    parts = key if isinstance(key, tuple) else (key,)
    if _traced_mask(sheet, parts) is not None:
        raise sheet.refusal(
            "np.add.at with a traced bool array can't be traced",
            hint="write y += np.where(mask, value, 0)",
        )
    places = _Places.of(sheet, old, complete(sheet, old, parts))
    value = fitted(value, places.shape)
    if old.is_bool:
        raise TypeError("numbers can't be added to bools in place")

    def read(subs: Subs) -> Expr:
        bound = {k: sheet.bound(value.shape[k], value.axes[k]) for k in places.open}
        full = {k: at(index) for k, index in bound.items()}
        conds, own = places.solved(subs, full)
        body = Mul((*map(Guard, conds), value.read(own))) if conds else value.read(own)
        added = Reduce("sum", tuple(bound.values()), (), body) if bound else body
        return added if old.literal == 0 else Add((old.read(subs), added))

    return Value(old.shape, old.dtype, read, old.axes)


def _traced_mask(sheet: Sheet, parts: Sequence[Any]) -> Value | None:
    """The one traced bool array that a key is, None for other keys."""
    masks = [part for part in parts if _is_traced_mask(part)]
    if not masks:
        return None
    rest = [part for part in parts if part is not masks[0]]
    plain = all(part is Ellipsis or part == slice(None) for part in rest)
    if len(masks) > 1 or not plain or parts[0] is not masks[0]:
        raise sheet.refusal(
            "a traced bool array beside other subscripts can't be traced",
            hint="write y = np.where(mask, value, y)",
        )
    return sheet.value(masks[0])


def has_traced_mask(key: Any) -> bool:
    """Whether a traced bool array is part of a key."""
    return any(map(_is_traced_mask, key if isinstance(key, tuple) else (key,)))


def _is_traced_mask(part: Any) -> bool:
    return hasattr(type(part), "_pullback_value") and part.dtype.kind == "b"


def _masked(sheet: Sheet, old: Value, mask: Value, value: Value) -> Value:
    lead = mask.ndim
    if mask.shape != old.shape[:lead]:
        raise IndexError(f"a boolean index of shape {mask.shape} doesn't fit the array")
    if value.ndim > old.ndim - lead and value.shape[: value.ndim - (old.ndim - lead)] != (1,):
        raise sheet.refusal(
            "storing an array into the places of a traced mask can't be traced",
            expected="one value for all places",
            found=f"shape {value.shape}",
            hint="write y = np.where(mask, values of y's shape, y)",
        )
    value = fitted(value, old.shape[lead:])
    wide = remapped(value, old.shape, old.axes, lambda subs: subs[lead:])
    return selected(lambda subs: mask.test(subs[:lead]), wide, old)


@dataclass(frozen=True)
class _Places:
    """Where a key's elements lie: subscripts of the array in terms of those of what is stored.

    ``own``: for each axis of what is stored the axis of the array that tells its subscript.
    ``open`` are the axes that none tells.
    """

    parts: Sequence[Any]
    shape: tuple[int, ...]
    extents: tuple[int, ...]
    indices: tuple[Index, ...]
    subs: tuple[Subscript, ...]
    own: dict[int, int]
    open: tuple[int, ...]

    @classmethod
    def of(cls, sheet: Sheet, old: Value, parts: Sequence[Any]) -> _Places:
        seen = replace(old, at=lambda subs: subs, tensor=None)  # type: ignore[arg-type,return-value]
        found = advanced(sheet, seen, parts)
        indices = tuple(Index(f"#put{k}", size(n)) for k, n in enumerate(found.shape))
        subs: Any = found.at(tuple(map(at, indices)))
        own: dict[int, int] = {}
        for k, sub in enumerate(subs):
            only = [atom for atom, _ in sub.terms]
            if len(only) == 1 and isinstance(only[0], Index):
                own.setdefault(indices.index(only[0]), k)
        left = tuple(k for k, n in enumerate(found.shape) if n != 1 and k not in own)
        return cls(parts, found.shape, old.shape, indices, subs, own, left)

    def solved(self, subs: Subs, known: dict[int, Subscript]) -> tuple[list[Cond], Subs]:
        """When an element is one of them, and its subscripts there, given those of open axes."""
        conds: list[Cond] = []
        found = [known.get(k, constant(0)) for k in range(len(self.shape))]
        for k, axis in self.own.items():
            sub = self.subs[axis]
            step, first = int(sub.terms[0][1].literal or 0), int(sub.const.literal or 0)
            count = self.shape[k]
            last = first + step * (count - 1)
            box: Box = (range(min(first, last), max(first, last) + 1, abs(step)),)
            conds += conditions(box, (self.extents[axis],), (subs[axis],))
            moved = subs[axis] - first if step > 0 else constant(first) - subs[axis]
            found[k] = moved if abs(step) == 1 else moved // abs(step)
        if 0 in self.shape:
            return [Zero(constant(1))], tuple(found)
        values = dict(zip(self.indices, found, strict=True))
        for axis, sub in enumerate(self.subs):
            if axis not in self.own.values() and self.extents[axis] != 1:
                conds.append(Zero(subs[axis] - map_indices(sub, values)))
        return conds, tuple(found)

    def inside(self, subs: Subs) -> Cond:
        """Whether an element is one of them, where no axis is open."""
        conds, _ = self.solved(subs, {})
        return conds[0] if len(conds) == 1 else And(tuple(conds))

    def placed(self, value: Value, old: Value) -> Value:
        """What is stored, by the array's subscripts."""
        return remapped(value, old.shape, old.axes, lambda subs: self.solved(subs, {})[1])


def _overwritten(sheet: Sheet, old: Value, parts: Sequence[Any], value: Value) -> Value:
    """A store at constant places, of which some may be one: the last one stays."""
    flat = np.arange(old.size).reshape(old.shape)[tuple(parts)].ravel()
    writer = np.full(old.size, -1)
    writer[flat] = np.arange(flat.size)
    writer = writer.reshape(old.shape)
    mask = sheet.value(writer >= 0)
    if not flat.size:
        return old
    rows = sheet.keep(reshaped(sheet.keep(value), (value.size,)))
    sub_of: Callable[[Subs], Subscript] = lookup(sheet, sheet.value(np.maximum(writer, 0)))[1]
    placed = remapped(rows, old.shape, old.axes, lambda subs: (sub_of(subs),))
    return selected(mask.test, placed, old)


def _last(sheet: Sheet, old: Value, places: _Places, value: Value) -> Value:
    """A store at places that data tells: of those that are one, the last one stays."""
    extents = [places.shape[k] for k in places.open]

    def last(subs: Subs) -> Expr:
        bound = {k: sheet.bound(places.shape[k]) for k in places.open}
        conds, _ = places.solved(subs, {k: at(index) for k, index in bound.items()})
        flat = constant(1)
        for k, index in bound.items():
            flat = flat + at(index) * prod(places.shape[j] for j in places.open if j > k)
        cond = conds[0] if len(conds) == 1 else And(tuple(conds))
        return Reduce("max", tuple(bound.values()), (), Select(cond, IndexOf(flat), ZERO))

    counted = sheet.keep(Value(old.shape, INT, last, ("",) * old.ndim, nonnegative=True))
    before = Value(
        old.shape,
        INT,
        lambda subs: Select(
            Compare("<", ZERO, counted.read(subs)),
            Add((counted.read(subs), number(-1))),
            ZERO,
        ),
        counted.axes,
        nonnegative=True,
    )
    sub_of = lookup(sheet, sheet.keep(before))[1]

    def change(subs: Subs) -> Subs:
        flat = sub_of(subs)
        known = {
            k: (flat // prod(extents[j + 1 :])) % extents[j] for j, k in enumerate(places.open)
        }
        return places.solved(subs, known)[1]

    placed = remapped(sheet.keep(value), old.shape, old.axes, change)
    return selected(lambda subs: Compare("<", ZERO, counted.read(subs)), placed, old)
