"""A piece of source that holds an array, and which index each of its axes runs over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...ir.sizes import Size
from ...ir.subscripts import Index
from ..python.code import ATOM, Code, call, leaf, postfix

Axes = tuple[Index | None, ...]


@dataclass(frozen=True)
class Array:
    """``code`` evaluates to an array with one axis per entry of ``axes``; None is an axis of
    length 1.

    ``dtype`` is a NumPy dtype name, "float", "int" (of unknown width), or "weak int", "weak float"
    for Python's own scalars. ``kept`` is the same value spelled with the reduced axes kept, as
    length 1. ``view`` tells that it may share memory with something that has a name. ``update`` is
    the outermost operation as (left operand, operator, right operand) where the left one has the
    result's shape and dtype. ``count`` is the size that a number is; of a sum it is how many terms
    it has, and ``mean`` is their mean. ``inner`` is, of overlapping windows, the index along which
    memory is contiguous. ``factors`` are those of a product, and what it is divided by.
    """

    code: Code
    axes: Axes
    dtype: str
    view: bool = False
    kept: Array | None = None
    update: tuple[str, str, str] | None = None
    mean: Array | None = None
    count: Size | None = None
    inner: Index | None = None
    factors: tuple[tuple[Array, ...], tuple[Array, ...]] | None = None

    @property
    def indices(self) -> tuple[Index, ...]:
        """The axes that are not of length 1."""
        return tuple(axis for axis in self.axes if axis is not None)

    @property
    def weak(self) -> bool:
        """Whether this is a Python scalar, which has no dtype of its own."""
        return self.dtype.startswith("weak")

    def with_code(self, code: Code, **changes: object) -> Array:
        """Another spelling over the same axes."""
        return replace(self, code=code, **{**PLAIN, **changes})


# Other spellings of an array, which another layout of it doesn't have.
PLAIN: dict[str, Any] = dict.fromkeys(("kept", "update", "mean", "count", "factors"))


def squeezed(array: Array) -> Array:
    """The array without its axes of length 1."""
    if None not in array.axes:
        return array
    parts = ["0" if axis is None else ":" for axis in array.axes]
    while parts and parts[-1] == ":":
        parts.pop()
    code = postfix(array.code, f"[{', '.join(parts)}]")
    return replace(array, code=code, axes=array.indices, **PLAIN)


def renamed(array: Array, names: Mapping[Index, Index | None]) -> Array:
    """The same array with its axes under other indices."""
    axes = tuple(None if axis is None else names.get(axis, axis) for axis in array.axes)
    kept = renamed(array.kept, names) if array.kept is not None else None
    mean = renamed(array.mean, names) if array.mean is not None else None
    factors = None
    if array.factors is not None:
        above, below = (tuple(renamed(a, names) for a in side) for side in array.factors)
        factors = (above, below)
    return replace(array, axes=axes, kept=kept, mean=mean, factors=factors)


def transposed(array: Array, order: Sequence[Index]) -> Array:
    """The array with its (named) axes in another order."""
    array = squeezed(array)
    order = tuple(order)
    if array.axes == order:
        return array
    places = [array.axes.index(axis) for axis in order]
    if order == array.axes[::-1]:
        change = ".T"
    else:
        moved = [n for n, place in enumerate(places) if n != place]
        name, numbers = ("swapaxes", moved) if len(moved) == 2 else ("transpose", places)
        change = f".{name}({', '.join(map(str, numbers))})"
    return replace(array, code=postfix(array.code, change), axes=order, **PLAIN)


def aligned(array: Array, frame: Sequence[Index | None], *, full: bool = False) -> Array:
    """The array laid out so that it broadcasts against axes ``frame``; ``full`` with all of
    them."""
    own = set(array.indices)
    order = tuple(axis for axis in frame if axis in own)
    if not order:
        return squeezed(array) if array.axes else array
    start = 0 if full else list(frame).index(order[0])
    wanted: Axes = tuple(axis if axis in own else None for axis in frame[start:])
    for spelling in (array, array.kept):
        if spelling is not None and _fits(spelling.axes, wanted, len(frame)):
            return spelling
    plain = transposed(array, order)
    parts = ["None" if axis is None else ":" for axis in wanted]
    if None not in wanted:
        return plain
    code = postfix(plain.code, f"[{', '.join(parts)}]")
    return replace(plain, code=code, axes=wanted, **PLAIN)


def _fits(axes: Axes, wanted: Axes, most: int) -> bool:
    extra = len(axes) - len(wanted)
    return extra >= 0 and len(axes) <= most and axes[extra:] == wanted and not any(axes[:extra])


def expanded(
    array: Array, frame: Sequence[Index], shape_of: Callable[[], str], dtype: str
) -> Array:
    """The array with exactly the axes ``frame``, repeated along those it lacks.

    ``dtype`` is the text of its dtype, for the case that it is a Python scalar.
    """
    frame = tuple(frame)
    own = array.indices
    thin = all(axis in own or axis.extent.literal == 1 for axis in frame)
    laid = aligned(array, frame, full=thin)
    if laid.axes == frame or (thin and len(laid.axes) == len(frame)):
        return laid
    shape = shape_of()
    if not laid.indices:
        named = {"dtype": dtype} if array.weak and dtype else {}
        code = leaf(_filled(shape, laid.code, named))
        return Array(code, frame, array.dtype)
    return Array(leaf(call("np.broadcast_to", laid.code, shape)), frame, array.dtype, view=True)


def _filled(shape: str, value: Code, named: dict[str, str]) -> Code:
    for text, function in (("0", "np.zeros"), ("1", "np.ones")):
        if value.text in (text, text + ".0") and value.level == ATOM:
            return call(function, shape, **named)
    return call("np.full", shape, value, **named)


def broadcast_axes(arrays: Sequence[Array]) -> tuple[Index | None, ...]:
    """The axes of what laid-out arrays broadcast to."""
    rank = max((len(array.axes) for array in arrays), default=0)
    axes: list[Index | None] = [None] * rank
    for array in arrays:
        for n, axis in enumerate(array.axes, rank - len(array.axes)):
            axes[n] = axis or axes[n]
    return tuple(axes)
