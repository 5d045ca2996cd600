"""Memory that traced arrays share, and stores into it.

An array that owns its elements is the *root* of a memory. A view knows by which steps it is found
in the root: each step takes slices and moves axes (:class:`Affine`), or reads the elements row by
row in another shape (:class:`Reshape`). A store doesn't change anything that was computed before:
the root's elements have a value, and a store gives the memory another one, which views read from
then on.

Stores into boxes (a range along each axis) are collected until something reads several of them,
and become one statement then: an array made of pieces. What reads a part that one store wrote,
reads the value that was stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ..ir.expr import And, Cond, Divides, Expr, Inside, Not, Or, Select, Zero
from ..ir.sizes import size
from ..ir.subscripts import Index, Subscript, at, constant
from .places import Place
from .record import Sheet
from .values import Subs, Value, absent_unless, added, remapped, reshaped

Box = tuple[range, ...]  # ascending places along each axis


@dataclass(frozen=True)
class Affine:
    """A view by slices, integers, new axes and other orders of axes.

    ``along`` has for each axis of the other array: the first place, the step, and the view's axis
    that moves along it (-1 for none).
    """

    along: tuple[tuple[int, int, int], ...]
    shape: tuple[int, ...]

    def then(self, other: Affine) -> Affine:
        """The view ``other`` of this view."""
        return Affine(
            tuple(
                (first, 0, -1)
                if axis < 0
                else (
                    first + step * other.along[axis][0],
                    step * other.along[axis][1],
                    other.along[axis][2],
                )
                for first, step, axis in self.along
            ),
            other.shape,
        )

    def read(self, value: Value, axes: Sequence[str]) -> Value:
        """What the view holds, given what it is a view of."""

        def change(subs: Subs) -> Subs:
            return tuple(
                constant(first) if axis < 0 else subs[axis] * step + first
                for first, step, axis in self.along
            )

        return remapped(value, self.shape, axes, change)

    def box(self) -> Box:
        """The places that the view has elements at."""
        if 0 in self.shape:
            return (range(0),) * len(self.along)
        return tuple(self._range(*one) for one in self.along)

    def _range(self, first: int, step: int, axis: int) -> range:
        count = 1 if axis < 0 else self.shape[axis]
        last = first + step * (count - 1)
        low, high = min(first, last), max(first, last)
        return range(low, high + 1, abs(step) if count > 1 else 1)

    def placed(self, value: Value, root: Value) -> Value:
        """The view's elements by the subscripts of what it is a view of; only those in its box."""

        def change(subs: Subs) -> Subs:
            own = [constant(0)] * len(self.shape)
            for sub, (first, step, axis) in zip(subs, self.along, strict=True):
                if axis >= 0 and self.shape[axis] > 1:
                    moved = sub - first if step > 0 else constant(first) - sub
                    own[axis] = moved if abs(step) == 1 else moved // abs(step)
            return tuple(own)

        return remapped(value, root.shape, root.axes, change)


@dataclass(frozen=True)
class Reshape:
    """A view of the same elements, row by row, in another shape."""

    shape: tuple[int, ...]


Step = Affine | Reshape


def joined(steps: tuple[Step, ...], view: Affine) -> tuple[Step, ...]:
    """Steps and a view after them; two views in a row are one."""
    if steps and isinstance(last := steps[-1], Affine):
        return (*steps[:-1], last.then(view))
    return (*steps, view)


def whole(shape: Sequence[int]) -> Affine:
    """The view of all elements as they are."""
    return Affine(tuple((0, 1, k) for k in range(len(shape))), tuple(shape))


def affine_view(build: Callable[[Value], Value], viewed: Value) -> Affine | None:
    """The view that an operation takes, seen from where it finds its elements; None for others."""
    found = build(replace(viewed, at=lambda subs: subs, tensor=None))  # type: ignore[arg-type,return-value]
    indices = tuple(Index(f"#view{k}", size(n)) for k, n in enumerate(found.shape))
    subs: Any = found.at(tuple(map(at, indices)))
    along: list[tuple[int, int, int]] = []
    for sub in subs:
        one = _along(sub, indices)
        if one is None or (one[2] >= 0 and one[2] in [axis for _, _, axis in along]):
            return None
        along.append(one)
    used = {axis for _, _, axis in along}
    if any(n != 1 and k not in used for k, n in enumerate(found.shape)):
        return None
    return Affine(tuple(along), found.shape)


def _along(sub: Subscript, indices: Sequence[Index]) -> tuple[int, int, int] | None:
    first = sub.const.literal
    if first is None or len(sub.terms) > 1:
        return None
    for atom, n in sub.terms:
        if not isinstance(atom, Index) or n.literal is None:
            return None
        return first, n.literal, indices.index(atom)
    return first, 0, -1


def affine_in(root: np.ndarray[Any, Any], part: np.ndarray[Any, Any]) -> Affine | None:
    """The view of a dense array that another array of its memory is, by addresses and strides."""
    start = _address(part) - _address(root)
    origin = _digits(root, start)
    along = [(first, 0, -1) for first in origin]
    for axis, (extent, stride) in enumerate(zip(part.shape, part.strides, strict=True)):
        if extent <= 1:
            continue
        ahead = _digits(root, start + stride)
        moved = [k for k in range(root.ndim) if ahead[k] != origin[k]]
        if len(moved) != 1 or along[moved[0]][2] >= 0:
            return None
        k = moved[0]
        step = ahead[k] - origin[k]
        if not 0 <= origin[k] + step * (extent - 1) < root.shape[k]:
            return None
        along[k] = (origin[k], step, axis)
    return Affine(tuple(along), part.shape)


def _address(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])


def _digits(root: np.ndarray[Any, Any], place: int) -> list[int]:
    """The subscripts of the element of a dense array that so many bytes lie before."""
    found = [0] * root.ndim
    for k in sorted(range(root.ndim), key=lambda k: -root.strides[k]):
        if root.shape[k] > 1:
            found[k], place = divmod(place, root.strides[k])
    return found


# --------------------------------------------------------------------------------------------------
# Boxes


def conditions(box: Box, shape: Sequence[int], subs: Subs) -> list[Cond]:
    """That subscripts lie in a box."""
    found: list[Cond] = []
    for places, extent, sub in zip(box, shape, subs, strict=True):
        if len(places) == extent:
            continue
        moved = sub - places.start
        if len(places) == 1:
            found.append(Zero(moved))
            continue
        found.append(Inside(moved, size(places[-1] - places.start + 1)))
        if places.step != 1:
            found.append(Divides(size(places.step), moved))
    return found


def count(box: Box) -> int:
    """The number of elements of a box."""
    return prod(map(len, box))


def covers(large: Box, small: Box) -> bool:
    """Whether a box has all elements of another one."""
    return all(map(_covers, large, small))


def _covers(large: range, small: range) -> bool:
    if small.start not in large or small[-1] not in large:
        return False
    return len(small) == 1 or small.step % large.step == 0


def apart(one: Box, other: Box) -> bool:
    """Whether two boxes are seen to have no element in common."""
    return any(map(_apart, one, other))


def _apart(one: range, other: range) -> bool:
    if one[-1] < other.start or other[-1] < one.start:
        return True
    if len(one) == 1 or len(other) == 1:
        single, many = (one, other) if len(one) == 1 else (other, one)
        return single.start not in many
    return one.step == other.step and (one.start - other.start) % one.step != 0


def without(boxes: list[Box], box: Box) -> list[Box] | None:
    """What boxes hold besides another one, again as boxes; None where steps are involved."""
    left: list[Box] = []
    for given in boxes:
        if apart(given, box):
            left.append(given)
            continue
        if any(places.step != 1 for places in (*given, *box)):
            return None
        rest = list(given)
        for k, (own, taken) in enumerate(zip(given, box, strict=True)):
            low, high = max(own.start, taken.start), min(own.stop, taken.stop)
            for part in (range(own.start, low), range(high, own.stop)):
                if part:
                    left.append((*rest[:k], part, *rest[k + 1 :]))
            rest[k] = range(low, high)
    return left


# --------------------------------------------------------------------------------------------------
# Stores


@dataclass(frozen=True)
class Store:
    """What a box holds from a store on: a value by the root's subscripts, right within the box."""

    box: Box
    value: Value
    place: Place


def _cut(stores: Sequence[Store], box: Box) -> list[Store] | None:
    """Stores without what a later one writes; None where one of them would fall apart."""
    out: list[Store] = []
    for store in stores:
        left = without([store.box], box)
        if left is None or len(left) > 1:
            return None
        out += [replace(store, box=one) for one in left]
    return out


class Memory:
    """The elements of an array that owns them, as stores have left them.

    ``argument``: they are the caller's. ``scalar``: they are a number, which is never changed.
    ``ordered``: they are known to lie in memory row by row. ``related`` are memories that may or
    may not be this one, and ``unsure`` is a message from when one of these was changed.
    ``version`` counts the stores. ``wish`` is the name of the variable that holds the array.
    ``data`` are the elements while they are known numbers, and ``views`` weak references to the
    arrays that look at them.
    """

    __slots__ = (
        *("argument", "data", "ordered", "related", "scalar", "sheet", "unsure", "version"),
        *("views", "wish", "_single", "_stores", "_value", "_wide"),
    )

    def __init__(
        self,
        sheet: Sheet,
        value: Value | None,
        *,
        argument: bool = False,
        scalar: bool = False,
        ordered: bool = False,
    ) -> None:
        self.sheet = sheet
        self.argument, self.scalar, self.ordered = argument, scalar, ordered
        self.unsure = ""
        self.related: list[Memory] = []
        self.version = 0
        self.wish = ""
        self.data: np.ndarray[Any, Any] | None = None  # while they are known numbers
        self.views: list[Any] = []  # weak references to the arrays that look at ``data``
        self._value = value
        self._stores: list[Store] = []
        self._single: dict[tuple[int, ...], int] = {}  # the last store into a single element
        self._wide: list[int] = []  # the stores into more than one element

    @property
    def base(self) -> Value:
        """The value before the stores that are collected: shape, dtype and names are up to date."""
        assert self._value is not None
        return self._value

    def begin(self, value: Value) -> None:
        """The value from which on stores are traced."""
        self._value, self.data = value, None

    def store(self, view: Affine, value: Value, place: Place) -> None:
        """Puts a value of the view's shape into the view's elements."""
        if 0 in view.shape:
            return
        self.version += 1
        box = view.box()
        placed = view.placed(value, self.base)
        if count(box) == self.base.size:
            self._forget()
            self._value = self.sheet.keep(placed)
            self.sheet.name(self._value.tensor, self.wish)
            return
        if count(box) == 1:
            self._single[tuple(places.start for places in box)] = len(self._stores)
        else:
            self._wide.append(len(self._stores))
        self._stores.append(Store(box, placed, place))

    def _forget(self) -> None:
        self._stores, self._single, self._wide = [], {}, []

    def part(self, view: Affine, axes: Sequence[str]) -> Value | None:
        """The view's elements where one store wrote them all, or none of them; else None."""
        box = view.box()
        if 0 in view.shape or not self._stores:
            return view.read(self.base, axes)
        single = count(box) == 1
        last = -1
        if single:
            last = self._single.get(tuple(places.start for places in box), -1)
        for k in reversed(self._wide if single else range(len(self._stores))):
            if k < last:
                break
            if apart(self._stores[k].box, box):
                continue
            if not covers(self._stores[k].box, box):
                return None
            last = k
            break
        return view.read(self.base if last < 0 else self._stores[last].value, axes)

    def now(self) -> Value:
        """The value of all elements, which becomes one statement or a few."""
        stores = self._alive()
        self._forget()
        while stores:
            layer, taken = self._layer(stores)
            stores = stores[taken:]
            outer, self.sheet.place = self.sheet.place, layer[-1].place
            parts = [(store.box, store.value) for store in self._joined(layer)]
            alone = [(store.box, store.value) for store in layer]
            other = pieces(self.base, alone, selects=True)
            self._value = self.sheet.keep_store(pieces(self.base, parts), other)
            self.sheet.name(self._value.tensor, self.wish)
            self.sheet.place = outer
        return self.base

    def _alive(self) -> list[Store]:
        """The stores that are not overwritten entirely by a later one, in order."""
        kept: list[Store] = []
        wide: list[Box] = []
        for k in reversed(range(len(self._stores))):
            store = self._stores[k]
            single = count(store.box) == 1
            if single and self._single[tuple(places.start for places in store.box)] != k:
                continue
            if any(covers(box, store.box) for box in wide):
                continue
            if not single:
                wide.append(store.box)
            kept.append(store)
        return kept[::-1]

    def _layer(self, stores: Sequence[Store]) -> tuple[list[Store], int]:
        """The first stores that have no element in common, and how many they are; what a later one
        writes again is left out of an earlier one, where a box is left."""
        layer: list[Store] = []
        taken = 0
        wide: list[Box] = []
        singles: list[Box] = []
        for store in stores:
            single = count(store.box) == 1  # of these, no two are alike
            others = wide if single else [*wide, *singles]
            if not all(apart(box, store.box) for box in others):
                cut = _cut(layer, store.box)
                if cut is None:
                    break
                layer, before = cut, set(singles)
                singles = [one.box for one in layer if one.box in before]
                wide = [one.box for one in layer if one.box not in before]
            (singles if single else wide).append(store.box)
            layer.append(store)
            taken += 1
        return layer, taken

    def _joined(self, layer: list[Store]) -> list[Store]:
        """Single elements of a matrix that fill a box are one store of a reshaped stack."""
        singles = [store for store in layer if count(store.box) == 1]
        if len(singles) < 2 or self.base.ndim < 2:
            return layer
        places = [tuple(one.start for one in store.box) for store in singles]
        low, high = (tuple(map(f, zip(*places, strict=True))) for f in (min, max))
        box = tuple(range(a, b + 1) for a, b in zip(low, high, strict=True))
        wide = [places for places in box if len(places) > 1]
        if count(box) != len(singles) or len(wide) < 2:
            return layer
        order = sorted(range(len(singles)), key=lambda k: places[k])

        def element(k: int) -> Value:
            spot = tuple(map(constant, places[k]))
            own = singles[k].value
            return replace(own, shape=(), axes=(), at=lambda _: own.at(spot), tensor=None)

        flat = self.sheet.keep(stacked([element(k) for k in order], self.base))
        shaped = reshaped(flat, tuple(map(len, box)))
        moved = Affine(tuple((first, 1, k) for k, first in enumerate(low)), shaped.shape)
        joined = Store(box, moved.placed(shaped, self.base), layer[-1].place)
        return [store for store in layer if count(store.box) > 1] + [joined]


def stacked(elements: Sequence[Value], like: Value) -> Value:
    """A vector of values without axes, of the dtype of ``like``."""
    shape = (len(elements),)
    empty = replace(like, shape=shape, axes=("",), literal=0, tensor=None)
    return pieces(
        empty,
        [
            ((range(k, k + 1),), remapped(one, shape, ("",), lambda subs: ()))
            for k, one in enumerate(elements)
        ],
    )


def pieces(base: Value, parts: Sequence[tuple[Box, Value]], *, selects: bool = False) -> Value:
    """``base`` with other elements in some boxes, no two of which have an element in common.

    ``selects``: as a selection, which is of one form wherever the boxes lie.
    """
    shape = base.shape
    covered = sum(count(box) for box, _ in parts)
    absent = base.literal is not None and base.literal == 0
    rest = [] if covered == base.size or absent else _rest(shape, [box for box, _ in parts])
    if selects:
        rest = None
    axes = tuple(
        name or next((value.axes[k] for _, value in parts if value.axes[k]), "")
        for k, name in enumerate(base.axes)
    )

    def cond(box: Box, subs: Subs) -> Cond:
        found = conditions(box, shape, subs)
        return found[0] if len(found) == 1 else And(tuple(found))

    def term(box: Box, value: Value, subs: Subs) -> Expr:
        body = value.read(subs)
        for one in reversed(conditions(box, shape, subs)):
            body = absent_unless(one, body)
        return body

    def numbers(subs: Subs) -> Expr:
        terms = [term(box, value, subs) for box, value in parts]
        if rest is not None:
            return added([*terms, *(term(box, base, subs) for box in rest)])
        inside = [cond(box, subs) for box, _ in parts]
        if len(parts) == 1:
            return Select(inside[0], parts[0][1].read(subs), base.read(subs))
        return Select(Or(tuple(inside)), added(terms), base.read(subs))

    def truths(subs: Subs) -> Cond:
        inside = [cond(box, subs) for box, _ in parts]
        found: list[Cond] = [
            And((one, value.test(subs))) for one, (_, value) in zip(inside, parts, strict=True)
        ]
        if covered < base.size and not absent:
            found.append(And((*map(Not, inside), base.test(subs))))
        return Or(tuple(found))

    return Value(shape, base.dtype, truths if base.is_bool else numbers, axes)


def _rest(shape: Sequence[int], boxes: Sequence[Box]) -> list[Box] | None:
    """What boxes leave of an array, as a few boxes; None where these would be many."""
    rest: list[Box] | None = [tuple(map(range, shape))]
    for box in boxes:
        rest = without(rest or [], box)
        if rest is None or len(rest) > 2 + 2 * len(shape):
            return None
    return rest


def selected(cond: Callable[[Subs], Cond], value: Value, other: Value) -> Value:
    """``value`` where a condition holds, else ``other``: two of one shape and dtype."""

    def numbers(subs: Subs) -> Expr:
        return Select(cond(subs), value.read(subs), other.read(subs))

    def truths(subs: Subs) -> Cond:
        chosen = cond(subs)
        return Or((And((chosen, value.test(subs))), And((Not(chosen), other.test(subs)))))

    return Value(other.shape, other.dtype, truths if other.is_bool else numbers, other.axes)


def put_back(step: Step, viewed: Value, new: Value, sheet: Sheet) -> Value:
    """What is viewed, once its view by a step is ``new``."""
    if isinstance(step, Reshape):
        return reshaped(new, viewed.shape)
    box = step.box()
    placed = step.placed(new, viewed)
    if 0 in step.shape:
        return viewed
    if count(box) == viewed.size:
        return placed
    return pieces(viewed, [(box, placed)])
