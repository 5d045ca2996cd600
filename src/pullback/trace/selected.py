"""What a traced mask selects, ``x[m]``: an array whose length is known when it is run only.

It is kept as an array of the full size beside its mask. Element by element work goes on at the full
size, under the mask: where that is false nothing is computed, so nothing that happens there reaches
a value or a gradient. Reductions count the elements where the mask holds. Selections by one and the
same mask go together; they can be stored where they were selected, and not leave the function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from math import isfinite
from typing import Any, NoReturn

import numpy as np

from ..errors import TraceError, TraceIndexError, TraceTypeError
from ..ir.expr import And
from .axes import one_axis
from .operations import Tracer, _built
from .record import Sheet
from .rows import ROWS, Row, numpy_methods, public_name
from .table_elementwise import apply_ufunc, known_ufunc
from .table_reductions import least
from .values import Subs, Value, absent_unless

NO_LENGTH = "its length depends on data"
REDUCE = (
    "reduce it (sum, mean, max, a product with one of the same mask), store it where it was "
    "selected, or keep the shape: np.where(mask, x, 0)"
)


@dataclass(frozen=True)
class Mask:
    """A traced array of bools over some axes of another array, the first of which is ``axis``."""

    array: Tracer
    axis: int = 0

    @property
    def rank(self) -> int:
        """The number of its axes."""
        return self.array.ndim

    def over(self, rank: int) -> Any:
        """The mask as it meets an array of so many axes."""
        behind = rank - self.axis - self.rank
        return self.array[(..., *(None,) * behind)] if behind else self.array

    def test(self, value: Value, subs: Subs) -> Any:
        """Whether an element counts, by the subscripts of the full size."""
        return value.test(subs[self.axis : self.axis + self.rank])

    def is_like(self, other: Mask) -> bool:
        """Whether two masks select the same, each along axes of its own."""
        tensors = [one.array._pullback_value.tensor for one in (self, other)]
        return tensors[0] is tensors[1]


@dataclass
class Changes:
    """How often the elements that a selection and the views of it share have been changed."""

    count: int = 0


class Selected(np.lib.mixins.NDArrayOperatorsMixin):
    """The elements of an array of the full size where a mask holds."""

    __array_priority__ = 1001
    _pullback_plain = None
    _pullback_selects = True

    def __init__(
        self,
        full: Any,
        mask: Mask,
        place: int = -1,
        zero: bool = False,
        of: Selected | None = None,
    ) -> None:
        self._array = full
        self._mask = mask
        self._changes: Changes = Changes() if of is None else of._changes
        self._seen = self._changes.count
        self._place = place  # the axis of which these are the places where the mask holds
        self._zero = zero  # whether the elements are 0 where the mask doesn't hold
        self._pullback_sheet: Sheet = mask.array._pullback_sheet

    @property
    def _full(self) -> Any:
        """The array of the full size."""
        if self._seen != self._changes.count:
            raise self._pullback_sheet.refusal(
                "a view of what a traced mask selects is used after its elements were changed by "
                "another name, which can't be traced",
                hint="write .copy() where the view is made, or store by the mask: y[mask] = ...",
            )
        return self._array

    def _change(self, full: Any, zero: bool = False) -> None:
        """Stores other elements; every view of the old ones is out of date."""
        if not np.can_cast(full.dtype, self.dtype, "same_kind"):
            raise self._pullback_sheet.refusal(
                f"can't put {full.dtype} into an array of {self.dtype} in place",
                kind=TraceTypeError,
            )
        self._array = np.broadcast_to(full, self._full.shape).astype(self.dtype)
        self._zero, self._place = zero, -1
        self._changes.count += 1
        self._seen = self._changes.count

    # What it says of itself

    @property
    def dtype(self) -> Any:
        """The dtype."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """The number of axes, of which the mask's are one."""
        return int(self._array.ndim) - self._mask.rank + 1

    @property
    def size(self) -> Any:
        """The number of elements, as a traced number."""
        inner = 1
        for n in (*self._before, *self._behind):
            inner *= n
        return np.count_nonzero(self._mask.array) * inner

    @property
    def shape(self) -> tuple[Any, ...]:
        """The extents, that of the mask's axis as a traced number."""
        return (*self._before, np.count_nonzero(self._mask.array), *self._behind)

    @property
    def _before(self) -> tuple[int, ...]:
        return tuple(self._array.shape[: self._mask.axis])

    @property
    def _behind(self) -> tuple[int, ...]:
        return tuple(self._array.shape[self._mask.axis + self._mask.rank :])

    @property
    def T(self) -> Any:
        """The axes reversed."""
        return np.transpose(self)

    def __repr__(self) -> str:
        return f"<traced array {self.dtype} of the elements where a mask holds>"

    def __len__(self) -> NoReturn:
        hint = "use .size, or np.count_nonzero(mask), which are traced numbers"
        raise self._refused("len() of", hint)

    def __iter__(self) -> NoReturn:
        raise self._refused("iterating over")

    def __bool__(self) -> NoReturn:
        raise self._refused("deciding (if, while, and, or, not) by")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise self._refused("an array of numbers of")

    @property
    def _pullback_value(self) -> NoReturn:
        raise self._refused("returning, or putting into other arrays,")

    def __getattr__(self, name: str) -> NoReturn:
        if not name.startswith("_") and hasattr(np.ndarray, name):
            raise self._refused(f".{name} of")
        raise AttributeError(f"a traced array has no attribute {name!r}")

    def _refused(self, what: str, hint: str = REDUCE) -> TraceError:
        return self._pullback_sheet.refusal(
            f"{what} what a traced mask selects can't be traced: {NO_LENGTH}",
            hint=hint,
        )

    # Element by element

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        if method == "reduce" and out is None:
            return _reduced(self, ufunc, inputs, options)
        if method != "__call__" or not (known_ufunc(ufunc) or ufunc in ROWS):
            name = public_name(ufunc) + ("" if method == "__call__" else f".{method}")
            raise self._refused(f"{name} of")
        if out is not None and (len(out) != 1 or not isinstance(out[0], Selected)):
            raise self._refused(f"{public_name(ufunc)} with out= of")
        where = options.pop("where", True)
        if where is not True and (out is None or ufunc is np.matmul):
            raise self._refused(
                f"{public_name(ufunc)} with where= of",
                "give out=np.zeros_like(x), too, or write np.where(mask, x, 0) first",
            )
        if ufunc is np.matmul:
            found = _multiplied(*inputs)
        else:
            name, build = public_name(ufunc), partial(_of_ufunc, ufunc=ufunc)
            found = _by_element(name, build, inputs, options, ufunc.__name__)
        if out is None:
            return found
        if where is not True:
            found = np.where(where, found, out[0])
        out[0]._change(_fitting(out[0], found, out[0]._mask), found._zero)
        return out[0]

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if function in ELEMENTS:
            return _by_element(public_name(function), ROWS[function].build, args, options)
        handled = HANDLED.get(function)
        if handled is None:
            raise self._refused(f"{public_name(function)} of")
        try:
            signature(handled).bind(*args, **options)
        except TypeError as error:
            raise self._refused(f"{public_name(function)} with these arguments, of") from error
        return handled(*args, **options)

    def astype(self, dtype: Any, **how: Any) -> Selected:
        """The same numbers as another dtype."""
        shared = how.get("copy") is False and np.dtype(dtype) == self.dtype
        full = self._full.astype(dtype)
        return Selected(full, self._mask, zero=self._zero, of=self if shared else None)

    def copy(self, order: str = "C") -> Selected:
        """The same elements in memory of their own."""
        return Selected(self._full, self._mask, self._place, self._zero)

    # Subscripts

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Selected) and key.dtype.kind == "b":
            return Selected(self._full, Mask(self._both(key), self._mask.axis))
        parts, sliced = _whole_axis(self, key)
        if not sliced:
            raise self._refused("indexing")
        return Selected(self._full[parts], self._mask, of=self)

    def __setitem__(self, key: Any, value: Any) -> None:
        if np.ndim(value) and not isinstance(value, Selected):
            raise self._refused("storing an array into")
        if isinstance(key, Selected) and key.dtype.kind == "b":
            if key.ndim == self.ndim > 1:
                chosen, mask = _fitting(self, key, self._mask), None
            else:
                mask = Mask(self._both(key))
                chosen = mask.over(self._full.ndim)
            full = _fitting(self, value, mask)
        elif key is Ellipsis or (isinstance(key, slice) and key == slice(None)):
            chosen, full = True, _fitting(self, value, self._mask)
        else:
            raise self._refused("storing into parts of")
        new = np.where(chosen, full, self._full)
        self._change(new.astype(self.dtype))

    def _both(self, key: Selected) -> Any:
        """The mask of a selection within a selection."""
        if key.ndim != 1 or self._mask.axis:
            raise key._refused(
                "a mask of several axes in, or one behind other axes of,",
                "reduce it over the other axes first",
            )
        self._same(key)
        return self._mask.array & key._full

    def _same(self, other: Selected) -> None:
        if not self._mask.is_like(other._mask):
            self._differ()

    def _differ(self) -> NoReturn:
        raise self._pullback_sheet.refusal(
            "the selections of different masks meet",
            expected="selections by one mask",
            hint="give the mask a name and use it for both",
        )

    # What reductions see

    def zeroed(self, fill: Any = 0) -> Any:
        """The array of the full size, with a number where the mask doesn't hold."""
        if fill == 0 and self._zero:
            return self._full
        return np.where(self._mask.over(self._full.ndim), self._full, fill)

    def axes(self, axis: Any) -> tuple[tuple[int, ...], bool]:
        """Axes of the selection as those of the full size, and whether the mask's are among."""
        mask = self._mask
        given = range(self.ndim) if axis is None else axis
        given = given if isinstance(given, range | tuple | list) else (given,)
        found: list[int] = []
        for one in (one_axis(k, self.ndim) for k in given):
            if one == mask.axis:
                found += range(mask.axis, mask.axis + mask.rank)
            else:
                found.append(one if one < mask.axis else one + mask.rank - 1)
        return tuple(found), mask.axis in found


def _fitting(target: Selected, value: Any, mask: Mask | None) -> Any:
    """A value, of the full size, that is stored into what a mask selects of a selection."""
    if not isinstance(value, Selected):
        return value
    if mask is None or not value._mask.is_like(mask):
        target._differ()
    if len(value._behind) != len(target._behind) or value.ndim > target.ndim:
        raise target._refused("storing selections of other axes into")
    return value._full


def _whole_axis(self: Selected, key: Any) -> tuple[tuple[Any, ...], bool]:
    """A key that takes all along the mask's axis, for the full size."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if any(part is Ellipsis for part in parts):
        k = next(k for k, part in enumerate(parts) if part is Ellipsis)
        named = sum(part is not None and part is not Ellipsis for part in parts)
        parts[k : k + 1] = [slice(None)] * (self.ndim - named)
    seen = 0
    for k, part in enumerate(parts):
        if part is None:
            if seen <= self._mask.axis:
                return (), False
            continue
        if not isinstance(part, slice | int) or (seen < self._mask.axis and part != slice(None)):
            return (), False
        if seen == self._mask.axis:
            if part != slice(None):
                return (), False
            parts[k] = Ellipsis
            place = k
        seen += 1
    if seen <= self._mask.axis:
        return (Ellipsis,), all(part == slice(None) for part in parts)
    parts[place : place + 1] = [slice(None)] * self._mask.rank
    return tuple(parts), True


# --------------------------------------------------------------------------------------------------
# Element by element


def _of_ufunc(sheet: Sheet, *values: Any, ufunc: Any, dtype: Any = None, **how: Any) -> Any:
    row = ROWS.get(ufunc)
    return row.build(sheet, *values) if row else apply_ufunc(sheet, ufunc, values, dtype)


def _first(given: Sequence[Any]) -> Selected:
    """The first selection among arguments, the others of which are by the same mask, with as many
    axes behind."""
    found: list[Selected] = []
    for one in given:
        found += [_first(one)] if _holds(one) else [one] if isinstance(one, Selected) else []
    for other in found[1:]:
        found[0]._same(other)
        if len(other._behind) != len(found[0]._behind):
            raise other._refused("broadcasting along the mask's axis of")
    return found[0]


def _holds(given: Any) -> bool:
    if not isinstance(given, list | tuple):
        return False
    return any(isinstance(one, Selected) or _holds(one) for one in given)


# ufuncs that give no warning, and nothing that isn't finite, for finite operands however large they
# are; those that do so where the selections among them are 0; and those that are 0 there.
CALM = frozenset(
    {
        *("add", "subtract", "negative", "positive", "absolute", "fabs", "sign"),
        *("maximum", "minimum", "logical_and", "logical_or", "logical_not", "logical_xor"),
        *("bitwise_and", "bitwise_or", "bitwise_xor", "invert"),
        *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
    }
)
CALM_AT_ZERO = CALM | {"multiply", "square"}
ZERO_AT_ZERO = frozenset({"multiply", "square", "negative", "positive", "absolute", "fabs"})


def _by_element(
    name: str,
    build: Callable[..., Any],
    args: Sequence[Any],
    options: dict[str, Any],
    ufunc: str = "",
) -> Any:
    """What a function makes of the elements, computed where the mask holds."""
    first = _first((*args, *options.values()))
    mask, behind = first._mask, len(first._behind)
    zeros = all(arg._zero for arg in args if isinstance(arg, Selected))
    calm = ufunc in (CALM_AT_ZERO if zeros else CALM)

    def fitted(arg: Any) -> Any:
        if isinstance(arg, Selected):
            return arg._full
        if _holds(arg):
            return [fitted(one) for one in arg]
        shape = np.shape(arg) if ufunc else getattr(arg, "shape", ())
        front, back = shape[: len(shape) - behind], shape[len(shape) - behind :]
        if len(shape) <= behind:
            return arg
        if front[-1] != 1:
            raise first._refused(f"{name} with an array of another length, of")
        return np.reshape(arg, (*front, *(1,) * (mask.rank - 1), *back))

    def moved(found: Any) -> Mask:
        return replace(mask, axis=len(found.shape) - behind - mask.rank)

    def guarded(sheet: Sheet, *given: Any, **named: Any) -> Any:
        found = build(sheet, *given, **named)
        if calm:
            return found
        holds = sheet.value(mask.array)
        parts = tuple(_under(moved(part), holds, sheet.value(part)) for part in _as_tuple(found))
        return parts if isinstance(found, tuple) else parts[0]

    given = [fitted(arg) for arg in args]
    named = {key: fitted(arg) for key, arg in options.items()}
    found = _built(first._pullback_sheet, Row(name, guarded), given, named)
    others = (arg for arg in args if not isinstance(arg, Selected))
    finite = all(isinstance(arg, int | float) and isfinite(arg) for arg in others)
    zero = (zeros and finite and ufunc in ZERO_AT_ZERO) if calm else True
    parts = tuple(Selected(part, moved(part), zero=zero) for part in _as_tuple(found))
    return parts if isinstance(found, tuple) else parts[0]


def _under(mask: Mask, holds: Value, value: Value) -> Value:
    """The elements where a mask holds; nothing is computed elsewhere."""

    def at(subs: Subs) -> Any:
        cond = mask.test(holds, subs)
        if value.is_bool:
            return And((cond, value.test(subs)))
        return absent_unless(cond, value.read(subs))

    return replace(value, at=at, tensor=None, literal=None, weak=None)


def _as_tuple(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


ELEMENTS = (
    *(np.where, np.select, np.clip, np.round, np.around, np.fix, np.sinc, np.nan_to_num, np.i0),
    *(np.real, np.isclose),
)

# --------------------------------------------------------------------------------------------------
# Reductions

HANDLED: dict[Any, Callable[..., Any]] = {}


def _handles(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(handler: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            HANDLED[function] = handler
        return handler

    return enter


_SUM = np.sum


def _over(function: Any, a: Any, axis: Any, keepdims: Any, options: dict[str, Any]) -> Any:
    """A reduction of a selection, over the elements where its mask holds."""
    options = {k: v for k, v in options.items() if v is not None and v is not np._NoValue}
    if options.get("where", True) is True:
        options.pop("where", None)
    if "where" in options or "out" in options:
        raise a._refused(f"{public_name(function)} with where= or out=, of")
    axes, masked = a.axes(axis)
    keepdims = bool(keepdims) and keepdims is not np._NoValue
    if not masked:
        return Selected(
            function(a._full, axis=axes, keepdims=keepdims, **options), _moved(a, axes, keepdims)
        )
    if function is not _SUM or not a._zero:
        options["where"] = a._mask.over(a._full.ndim)
    found = function(a._full, axis=axes, keepdims=keepdims, **options)
    first = a._mask.axis
    return np.squeeze(found, tuple(range(first + 1, first + a._mask.rank))) if keepdims else found


def _moved(a: Selected, axes: Sequence[int], keepdims: bool) -> Mask:
    """The mask where axes have been taken away."""
    gone = 0 if keepdims else sum(k < a._mask.axis for k in axes)
    return Mask(a._mask.array, a._mask.axis - gone)


def _reduction(function: Any) -> None:
    @_handles(function)
    def reduce(a: Any, axis: Any = None, *, keepdims: Any = False, **options: Any) -> Any:
        return _over(function, a, axis, keepdims, options)


for _function in (np.sum, np.prod, np.mean, np.var, np.std, np.any, np.all):
    _reduction(_function)


def _extremum(op: str, function: Any, alias: Any) -> None:
    @_handles(function, alias)
    def reduce(
        a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = None, **options: Any
    ) -> Any:
        if initial is None or initial is np._NoValue:
            initial = least(a.dtype, op)
        if not a.axes(axis)[1]:
            initial = None
        return _over(function, a, axis, keepdims, {"initial": initial, **options})


_extremum("max", np.max, np.amax)
_extremum("min", np.min, np.amin)


@_handles(np.count_nonzero)
def _count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return np.sum(a != 0, axis=axis, keepdims=keepdims)


@_handles(np.ptp)
def _ptp(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@_handles(np.average)
def _average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: Any = False) -> Any:
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.ndim(weights) != np.ndim(a):
        if np.ndim(weights) != 1 or not isinstance(axis, int):
            raise _first((a, weights))._refused("np.average with weights of other axes, of")
        weights = weights if hasattr(weights, "ndim") else np.asarray(weights)
        weights = weights[(slice(None), *(None,) * (a.ndim - 1 - one_axis(axis, a.ndim)))]
    total = np.sum(a * weights, axis=axis, keepdims=keepdims)
    return total / np.sum(np.ones_like(a) * weights, axis=axis, keepdims=keepdims)


def _quantile(function: Any, without_nan: Any) -> None:
    @_handles(function)
    def quantile(a: Any, *q: Any, axis: Any = None, keepdims: Any = False, **options: Any) -> Any:
        axes, masked = a.axes(axis)
        keepdims = keepdims is not np._NoValue and bool(keepdims)
        if not masked:
            several = sum(np.ndim(one) for one in q[:1])
            mask = _moved(a, axes, keepdims)
            found = function(a._full, *q, axis=axes, keepdims=keepdims, **options)
            return Selected(found, replace(mask, axis=mask.axis + several))
        if keepdims and a._mask.rank > 1:
            raise a._refused(f"{public_name(function)} with keepdims=True of")
        full = a.zeroed(np.nan)
        found = without_nan(full, *q, axis=axes, keepdims=keepdims, **options)
        if a.dtype.kind != "f":
            return found
        undefined = np.any(np.isnan(a), axis=axis, keepdims=keepdims)
        return np.where(undefined, np.nan, found)


_quantile(np.median, np.nanmedian)
_quantile(np.quantile, np.nanquantile)
_quantile(np.percentile, np.nanpercentile)


@_handles(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    axes, masked = x.axes(axis)
    if not masked:
        found = np.linalg.norm(x._full, ord, axes[0] if len(axes) == 1 else axes, bool(keepdims))
        return Selected(found, _moved(x, axes, bool(keepdims)))
    one = x.ndim == 1 or isinstance(axis, int)
    if ord is not None and not (one and ord in (1, 2, np.inf)):
        raise x._refused(f"np.linalg.norm(ord={ord}) of")
    size = np.abs(x)
    if ord == np.inf:
        return np.max(size, axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if keepdims and x._mask.rank > 1:
        raise x._refused("np.linalg.norm with keepdims=True of")
    given = None if axis is None else axes[0] if len(axes) == 1 else axes
    return np.linalg.norm(x.zeroed(), axis=given, keepdims=bool(keepdims))


def _reduced(self: Selected, ufunc: Any, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    reductions: dict[str, Any] = {
        "add": np.sum,
        "multiply": np.prod,
        "maximum": np.max,
        "minimum": np.min,
        "logical_and": np.all,
        "logical_or": np.any,
    }
    function = reductions.get(ufunc.__name__)
    if function is None:
        raise self._refused(f"{public_name(ufunc)}.reduce of")
    return function(*inputs, **{"axis": 0, **options})


# --------------------------------------------------------------------------------------------------
# Products


def _multiplied(a: Any, b: Any) -> Any:
    """``a @ b``, where one or both are selections."""
    first = _of_one(a, -1)
    last = _of_one(b, 0 if np.ndim(b) == 1 else -2)
    if first and last:
        a._same(b)
        return np.matmul(_flat(a), _flat(b))
    selected: Selected = a if isinstance(a, Selected) else b
    both = isinstance(a, Selected) and isinstance(b, Selected)
    if first or last or both or selected._mask.rank != 1:
        raise selected._refused("this product with")
    factors = [selected.zeroed() if one is selected else one for one in (a, b)]
    found = np.matmul(*factors)  # of what isn't selected, which may not be finite, it takes 0
    behind = len(selected._behind) - (selected is a and np.ndim(b) == 1)
    return Selected(found, Mask(selected._mask.array, found.ndim - 1 - behind), zero=True)


def _of_one(given: Any, axis: int) -> bool:
    """Whether what is summed over is the axis of a mask."""
    return isinstance(given, Selected) and given._mask.axis == axis % given.ndim


def _flat(selected: Selected) -> Any:
    """The elements of the full size, 0 where the mask doesn't hold, its axes as one."""
    full = selected.zeroed()
    if selected._mask.rank == 1:
        return full
    return np.reshape(full, (*selected._before, -1, *selected._behind))


@_handles(np.dot)
def _dot(a: Any, b: Any) -> Any:
    if not np.ndim(a) or not np.ndim(b):
        return a * b
    if np.ndim(b) > 2:
        raise _first((a, b))._refused("np.dot over more than two axes of")
    return _multiplied(a, b)


@_handles(np.inner, np.vdot)
def _inner(a: Any, b: Any) -> Any:
    if np.ndim(a) != 1 or np.ndim(b) != 1:
        raise _first((a, b))._refused("np.inner over more than one axis of")
    return np.sum(a * b)


@_handles(np.transpose)
def _transpose(a: Any, axes: Any = None) -> Any:
    mask = a._mask
    if axes is not None or mask.rank != 1:
        raise a._refused("np.transpose of")
    place = a._full.ndim - 1 - mask.axis
    return Selected(np.transpose(a._full), Mask(mask.array, place), zero=a._zero, of=a)


@_handles(np.ndim)
def _ndim(a: Any) -> int:
    return int(a.ndim)


@_handles(np.shape)
def _shape(a: Any) -> Any:
    return a.shape


@_handles(np.size)
def _size(a: Any, axis: Any = None) -> Any:
    return a.size if axis is None else a.shape[axis]


@_handles(np.copy)
def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return a.copy()


@_handles(np.ravel)
def _ravel(a: Any, order: str = "C") -> Any:
    if a.ndim != 1:
        raise a._refused("np.ravel of")
    return a


def _constant(function: Any) -> None:
    @_handles(function)
    def like(a: Any, *fill: Any, dtype: Any = None, **how: Any) -> Any:
        return Selected(function(a._full, *fill, dtype=dtype), a._mask)


for _like in (np.zeros_like, np.ones_like, np.full_like, np.empty_like):
    _constant(_like)


numpy_methods(
    Selected,
    *("sum", "prod", "mean", "var", "std", "max", "min", "any", "all", "ptp", "dot"),
    *("transpose", "ravel", "clip", "round"),
)


# --------------------------------------------------------------------------------------------------
# Selecting and storing


def mask_of(array: Any, key: Any) -> tuple[Mask, tuple[Any, ...]] | None:
    """The mask in a key, and the key of slices and integers without it; None for other keys."""
    parts = key if isinstance(key, tuple) else (key,)
    if not any(isinstance(part, Tracer | Selected) for part in parts):
        return None
    places = [part for part in parts if isinstance(part, Selected)]
    if places:
        return _of_places(array, parts, places)
    masks = [part for part in parts if isinstance(part, Tracer) and _is_mask(part)]
    if not masks:
        return None
    mask = masks[0]
    at = next(k for k, part in enumerate(parts) if part is mask)
    before, behind = parts[:at], parts[at + 1 :]
    if any(part is Ellipsis for part in before):
        named = sum(part is not Ellipsis for part in before) + mask.ndim
        named += sum(part is not None for part in behind)
        missing = array.ndim - named
        before = tuple(
            one
            for part in before
            for one in ((slice(None),) * missing if part is Ellipsis else (part,))
        )
    return _selecting(array, mask, before, behind)


def _is_mask(part: Tracer) -> bool:
    return bool(part.dtype.kind == "b" and part._pullback_plain is None and part.ndim)


def _selecting(
    array: Any, mask: Tracer, before: tuple[Any, ...], behind: tuple[Any, ...]
) -> tuple[Mask, tuple[Any, ...]]:
    at = len(before)
    odd = [part for part in before if part != slice(None)]
    odd += [part for part in behind if not (part is Ellipsis or isinstance(part, slice | int))]
    if odd:
        raise array._pullback_sheet.refusal(
            "a traced mask beside other index arrays, or behind other subscripts, can't be traced",
            expected="all along the axes in front, slices and integers behind",
            hint="index in two steps, or keep the shape with np.where",
        )
    if tuple(array.shape[at : at + mask.ndim]) != tuple(mask.shape):
        raise array._pullback_sheet.refusal(
            "a boolean index has another shape than what it indexes",
            expected=f"shape {tuple(array.shape[at : at + mask.ndim])}",
            found=f"shape {tuple(mask.shape)}",
            kind=TraceIndexError,
        )
    return Mask(_kept(mask), at), (*before, *(slice(None),) * mask.ndim, *behind)


def _of_places(
    array: Any, parts: tuple[Any, ...], places: list[Selected]
) -> tuple[Mask, tuple[Any, ...]]:
    """Places where a mask holds, one after the other for all of its axes, are the mask."""
    first = places[0]
    count = len(places)
    fits = [place._place for place in places] == list(range(count)) == list(range(first._mask.rank))
    fits = fits and all(place._mask.is_like(first._mask) for place in places)
    if not fits or any(part is not place for part, place in zip(parts, places, strict=False)):
        raise first._refused(
            "indexing by other numbers than the places of",
            "index by the mask, or by what np.nonzero gives of it, for all axes",
        )
    return _selecting(array, first._mask.array, (), parts[count:])


def selected(array: Any, key: Any) -> Selected | None:
    """``array[key]`` for a key with a mask; None for other keys."""
    found = mask_of(array, key)
    if found is None:
        return None
    mask, parts = found
    whole = all(part == slice(None) for part in parts)
    return Selected(_kept(array if whole else array[parts]), mask)


def _kept(array: Tracer) -> Tracer:
    """An array as it is now, whatever is stored into it later."""
    return array._pullback_copy(array._pullback_value)


def stored(array: Any, key: Any, value: Any) -> bool:
    """``array[key] = value`` for a key with a mask; False for other keys."""
    found = mask_of(array, key)
    if found is None:
        if isinstance(value, Selected):
            raise value._refused("storing into other places")
        return False
    mask, parts = found
    part = array[parts]
    if isinstance(value, Selected):
        value = _fitting(Selected(part, mask), value, mask)
    elif np.ndim(value) > part.ndim - mask.axis - mask.rank:
        raise Selected(array, mask)._refused(
            "storing an array into", "write np.where(mask, values of its shape, y)"
        )
    part[...] = np.where(mask.over(part.ndim), value, part)
    return True


def nonzero(a: Any) -> tuple[Selected, ...]:
    """``np.nonzero``: the places along each axis where elements are not 0."""
    mask = a if a.dtype.kind == "b" else a != 0
    if not mask.ndim:
        raise ValueError("Calling nonzero on 0d arrays is not allowed.")
    found = []
    for axis, n in enumerate(mask.shape):
        shape = [1] * mask.ndim
        shape[axis] = n
        places = np.zeros_like(mask, dtype=int) + np.arange(n).reshape(shape)
        found.append(Selected(places, Mask(_kept(mask)), axis))
    return tuple(found)


def flatnonzero(a: Any) -> Selected:
    """``np.flatnonzero``: the places where the elements, in a row, are not 0."""
    return nonzero(np.ravel(a))[0]


def compress(condition: Any, a: Any, axis: Any = None) -> Any:
    """``np.compress``: the parts along an axis where a mask of the same length holds."""
    array, axis = (np.ravel(a), 0) if axis is None else (a, one_axis(axis, a.ndim))
    if not isinstance(condition, Tracer):
        return np.take(array, np.flatnonzero(condition), axis)
    mask = condition if condition.dtype.kind == "b" else condition != 0
    return array[(*(slice(None),) * axis, mask)]


def extract(condition: Any, arr: Any) -> Any:
    """``np.extract``: the elements where a mask holds."""
    return np.ravel(arr)[np.ravel(condition) != 0]


# By function, and how many arguments at least and at most; the names stand for others in a trace.
SELECTING: dict[Any, tuple[Callable[..., Any], int, int]] = {
    np.nonzero: (nonzero, 1, 1),
    np.flatnonzero: (flatnonzero, 1, 1),
    np.compress: (compress, 2, 3),
    np.extract: (extract, 2, 2),
    np.where: (nonzero, 1, 1),
}


def selecting(function: Any, count: int) -> Callable[..., Any] | None:
    """What makes a selection of so many arguments; None for other functions."""
    build, fewest, most = SELECTING.get(function, (None, 0, 0))
    return build if fewest <= count <= most else None
