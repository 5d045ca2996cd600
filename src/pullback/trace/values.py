"""A traced array as a function of its subscripts, and what can be done with it as such."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from ..ir.expr import (
    ZERO,
    Access,
    Add,
    Compare,
    Cond,
    Expr,
    Guard,
    Inside,
    Mul,
    Tensor,
    Truth,
    number,
)
from ..ir.sizes import size
from ..ir.subscripts import Subscript, constant, reduced

Subs = tuple[Subscript, ...]
DType = np.dtype[Any]
INT = np.dtype(np.int64)
FLOAT = np.dtype(np.float64)
BOOL = np.dtype(bool)


@lru_cache(maxsize=256)
def dtype_name(dtype: DType) -> str:
    """A dtype's name, which NumPy spells anew at each request."""
    return str(dtype.name)


@dataclass(frozen=True)
class Value:
    """What a traced expression holds at given subscripts.

    ``at`` gives an expression, for bools a condition. ``axes`` suggests axis names ("" for none).
    ``weak`` marks what behaves as a Python number in NumPy's promotion. ``literal`` is the one
    value of a constant. ``nonnegative`` is known of integers that index. ``tensor`` is what it
    plainly reads.
    """

    shape: tuple[int, ...]
    dtype: DType
    at: Callable[[Subs], Expr | Cond]
    axes: tuple[str, ...]
    weak: type | None = None
    literal: int | float | None = None
    nonnegative: bool = False
    tensor: Tensor | None = None

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def is_bool(self) -> bool:
        """Whether the elements are conditions."""
        return bool(self.dtype.kind == "b")

    def read(self, subs: Subs) -> Expr:
        """The element as a number; of a bool, 1 or 0."""
        found: Any = self.at(subs)
        return Guard(found) if self.is_bool else found

    def test(self, subs: Subs) -> Cond:
        """The element as a condition: whether it is true, or not zero."""
        found: Any = self.at(subs)
        return found if self.is_bool else Compare("!=", found, ZERO)


def of_tensor(tensor: Tensor, axes: Sequence[str] = (), nonnegative: bool = False) -> Value:
    """A named tensor with literal extents."""
    shape = tuple(int(n.literal or 0) for n in tensor.shape)
    is_bool = tensor.dtype == "bool"

    def at(subs: Subs) -> Expr | Cond:
        access = Access(tensor, subs)
        return Truth(access) if is_bool else access

    names = tuple(axes) if len(axes) == len(shape) else ("",) * len(shape)
    dtype = np.dtype(tensor.dtype)
    known = nonnegative or dtype.kind == "u"
    return Value(shape, dtype, at, names, nonnegative=known, tensor=tensor)


def of_number(value: bool | int | float, dtype: DType, weak: type | None = None) -> Value:
    """A 0-d constant."""
    exact = number(int(value) if isinstance(value, bool | int) else float(value))

    def at(subs: Subs) -> Expr | Cond:
        return Compare("!=", exact, ZERO) if dtype.kind == "b" else exact

    return Value((), dtype, at, (), weak=weak, literal=value, nonnegative=bool(value >= 0))


def condition(shape: Sequence[int], at: Callable[[Subs], Cond], axes: Sequence[str]) -> Value:
    """A bool array."""
    return Value(tuple(shape), BOOL, at, tuple(axes))


def remapped(
    value: Value, shape: Sequence[int], axes: Sequence[str], change: Callable[[Subs], Subs]
) -> Value:
    """The same elements found elsewhere: ``change`` takes new subscripts to old ones."""
    return Value(
        tuple(shape),
        value.dtype,
        lambda subs: value.at(change(subs)),
        tuple(axes),
        literal=value.literal,
        nonnegative=value.nonnegative,
    )


def cast(value: Value, dtype: DType) -> Value:
    """The same numbers as another dtype (a float made an integer loses its fraction)."""
    if dtype == value.dtype:
        return replace(value, weak=None)
    at: Callable[[Subs], Expr | Cond] = value.test if dtype.kind == "b" else value.read
    if value.dtype.kind == "f" and dtype.kind in "iu":
        at = lambda subs: _apply("trunc", value.read(subs))  # noqa: E731
    keeps = value.nonnegative and dtype.kind in "iu"
    return replace(value, dtype=dtype, at=at, weak=None, nonnegative=keeps, tensor=None)


def _apply(function: str, *args: Expr) -> Expr:
    from ..functions import fn

    return fn(function, *args)


def transposed(value: Value, order: Sequence[int]) -> Value:
    """Axis k of the result is axis ``order[k]`` of ``value``."""

    def change(subs: Subs) -> Subs:
        back: list[Subscript] = [constant(0)] * len(subs)
        for new, old in enumerate(order):
            back[old] = subs[new]
        return tuple(back)

    return remapped(value, [value.shape[k] for k in order], [value.axes[k] for k in order], change)


def expanded(value: Value, positions: Sequence[int]) -> Value:
    """Axes of extent 1 inserted at ``positions`` of the result."""
    rank = value.ndim + len(positions)
    kept = [k for k in range(rank) if k not in positions]
    shape, axes = [1] * rank, [""] * rank
    for old, new in enumerate(kept):
        shape[new], axes[new] = value.shape[old], value.axes[old]
    return remapped(value, shape, axes, lambda subs: tuple(subs[k] for k in kept))


def squeezed(value: Value, positions: Sequence[int]) -> Value:
    """Axes of extent 1 taken away."""
    kept = [k for k in range(value.ndim) if k not in positions]

    def change(subs: Subs) -> Subs:
        back = [constant(0)] * value.ndim
        for new, old in enumerate(kept):
            back[old] = subs[new]
        return tuple(back)

    return remapped(value, [value.shape[k] for k in kept], [value.axes[k] for k in kept], change)


def broadcast(value: Value, shape: Sequence[int]) -> Value:
    """``value`` repeated along new leading axes and along axes of extent 1."""
    lead = len(shape) - value.ndim
    fixed = [old == 1 and new != 1 for old, new in zip(value.shape, shape[lead:], strict=True)]
    axes = [""] * lead + ["" if f else name for f, name in zip(fixed, value.axes, strict=True)]

    def change(subs: Subs) -> Subs:
        own = subs[lead:]
        return tuple(constant(0) if f else sub for f, sub in zip(fixed, own, strict=True))

    return remapped(value, shape, axes, change)


def joined_axes(values: Sequence[Value]) -> tuple[str, ...]:
    """For values of one shape, the first name that any of them has for each axis."""
    rank = values[0].ndim
    return tuple(next((v.axes[k] for v in values if v.axes[k]), "") for k in range(rank))


def reshaped(value: Value, shape: Sequence[int]) -> Value:
    """The same elements in row-major order in another shape of as many elements."""
    blocks = _blocks(value.shape, tuple(shape))
    axes = [""] * len(shape)
    for old, new in blocks:
        wide_old = [k for k in old if value.shape[k] != 1]
        wide_new = [k for k in new if shape[k] != 1]
        if len(wide_old) == len(wide_new) == 1:
            axes[wide_new[0]] = value.axes[wide_old[0]]

    def change(subs: Subs) -> Subs:
        back = [constant(0)] * value.ndim
        for old, new in blocks:
            _unravel(subs, [(k, shape[k]) for k in new], [(k, value.shape[k]) for k in old], back)
        return tuple(back)

    return remapped(value, shape, axes, change)


Axis = tuple[int, int]  # where it is, and its extent


def _unravel(subs: Subs, new: list[Axis], old: list[Axis], into: list[Subscript]) -> None:
    """The old subscripts of a block, digit by digit where both shapes have a common refinement."""
    new = [axis for axis in new if axis[1] != 1]
    old = [axis for axis in old if axis[1] != 1]
    if not prod(n for _, n in old):
        return
    cuts = sorted({*_strides(new), *_strides(old), 1})
    if any(large % small for small, large in pairwise(cuts)):
        _unravel_flat(subs, new, old, into)
        return
    for (k, extent), stride in zip(old, _strides(old), strict=False):
        for low, high in pairwise(cuts):
            if stride <= low < stride * extent:
                into[k] = into[k] + _digit(subs, new, low, high // low) * (low // stride)


def _strides(axes: list[Axis]) -> list[int]:
    return [prod(n for _, n in axes[k + 1 :]) for k in range(len(axes))] + (
        [prod(n for _, n in axes)] if axes else []
    )


def _digit(subs: Subs, axes: list[Axis], place: int, radix: int) -> Subscript:
    """The digit of weight ``place`` of the place that ``subs`` name in row-major order."""
    for (k, extent), stride in zip(axes, _strides(axes), strict=False):
        if stride <= place < stride * extent:
            inner = place // stride
            sub = subs[k] if inner == 1 else subs[k] // inner
            return sub if inner * radix == extent else reduced(sub % radix)
    return constant(0)


def _unravel_flat(subs: Subs, new: list[Axis], old: list[Axis], into: list[Subscript]) -> None:
    flat = constant(0)
    for k, extent in new:
        flat = flat * extent + subs[k]
    for (k, extent), stride in zip(old, _strides(old), strict=False):
        part = flat if stride == 1 else flat // stride
        into[k] = reduced(part if k == old[0][0] else reduced(part) % extent)


def _blocks(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """Runs of old and new axes with equal numbers of elements, as fine as can be."""
    if 0 in old:
        return [(list(range(len(old))), list(range(len(new))))]
    blocks: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        left: list[int] = []
        right: list[int] = []
        have = want = 1
        while not (left or right) or have != want:
            if have <= want and i < len(old) and not (have == want and j < len(new) and left):
                have, i = have * old[i], i + 1
                left.append(i - 1)
            else:
                want, j = want * new[j], j + 1
                right.append(j - 1)
        blocks.append((left, right))
    return blocks


def shifted_out(value: Value, axis: int, offset: int, extent: int) -> Value:
    """``value`` placed at ``offset`` of a longer axis; absent (0, false) elsewhere."""
    shape = list(value.shape)
    own, shape[axis] = shape[axis], extent

    def at(subs: Subs) -> Expr | Cond:
        from ..ir.expr import And

        moved = subs[axis] - offset
        inner = (*subs[:axis], moved, *subs[axis + 1 :])
        here = Inside(moved, size(own))
        if value.is_bool:
            return And((here, value.test(inner)))
        return absent_unless(here, value.read(inner))

    return replace(value, shape=tuple(shape), at=at, weak=None, literal=None, tensor=None)


def absent_unless(cond: Cond, body: Expr) -> Expr:
    """[cond]·body, one flat product."""
    factors = body.factors if isinstance(body, Mul) else (body,)
    return Mul((Guard(cond), *factors))


def added(terms: Sequence[Expr]) -> Expr:
    """A sum of any number of terms."""
    return terms[0] if len(terms) == 1 else Add(tuple(terms))


def exact(value: int | float) -> Fraction:
    """The exact decimal that a number spells."""
    return number(value).value
