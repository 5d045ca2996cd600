"""What stands for an array while a function is traced, and what becomes of operations on it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from math import prod
from typing import Any, NoReturn

import numpy as np

from ..errors import (
    PullbackError,
    TraceError,
    TraceIndexError,
    TraceOverflowError,
    TraceTypeError,
)
from . import (  # noqa: F401  (the tables enter their rows)
    table_composed,
    table_counting,
    table_decompositions,
    table_elementwise,
    table_indexing,
    table_matrices,
    table_more,
    table_norms,
    table_order,
    table_pieces,
    table_products,
    table_reductions,
    table_running,
    table_shapes,
)
from .changes import CHANGES
from .extents import plain
from .memory import Affine, Memory, Reshape, Step, affine_view, joined, put_back, whole
from .places import called_name, callee, here, instruction
from .record import Sheet, innermost, running
from .refusals import (
    MAKE_INSIDE,
    NO_ARRAY,
    NO_BOOL,
    NO_NUMBER,
    NO_STORE,
    NO_TABLE,
    REAL_ONLY,
    hint_for,
)
from .rows import ROWS, Row, View, numpy_methods, public_name
from .steering import UNKNOWN, called, number, used
from .stores import accumulated, array_value, chosen, fitted, has_traced_mask, stored
from .table_elementwise import apply_ufunc, broadcast_all, known_ufunc
from .table_indexing import basic, basic_parts, getitem
from .table_reductions import only
from .values import Value, cast, expanded, reshaped


@dataclass(frozen=True)
class Viewed:
    """What an array is a view of, and what makes it of the other's value."""

    of: Tracer
    build: Callable[[Value], Any]
    reshapes: bool = False  # to a shape of other axes, not just with other ones of extent 1


class Tracer(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array while a function is traced; every operation becomes a statement."""

    __slots__ = (
        "__weakref__",
        "_memory",
        "_pullback_sheet",
        "_seen",
        "_square",
        "_value",
        "_viewed",
    )
    _square: Callable[[], Any]  # that of an absolute value
    __array_priority__ = 1000

    def __init__(
        self,
        sheet: Sheet,
        value: Value,
        memory: Memory | None = None,
        viewed: Viewed | None = None,
    ) -> None:
        self._pullback_sheet = sheet
        self._value = value
        self._memory = memory or Memory(sheet, value, scalar=not value.shape)
        self._viewed = viewed
        self._seen = self._memory.version

    # What the array holds

    @property
    def _pullback_value(self) -> Value:
        """The elements as the last store has left them."""
        memory = self._memory
        if memory.unsure:
            raise self._pullback_sheet.refusal(
                memory.unsure, hint="write .copy() where one of them is made"
            )
        if self._seen != memory.version:
            value = memory.now()
            for step in self._steps():
                value = _seen_by(step, value, self._value.axes)
            if self._viewed is not None:
                value = self._pullback_sheet.keep(value)
            self._value, self._seen = value, memory.version
        return self._value

    @property
    def _pullback_plain(self) -> Any:
        """The array of numbers that this one is so far, None for one that is traced."""
        return None

    def _pullback_complex(self, real: Any, imag: Any) -> Any:
        """The complex array of two parts."""
        return complexes().Complex(self._pullback_sheet, real, imag)

    def _pullback_copy(self, value: Value) -> Tracer:
        """An array of its own that holds this value."""
        return Tracer(self._pullback_sheet, value)

    def _steps(self) -> tuple[Step, ...]:
        """How the array is found in the memory's root: a view, perhaps of another shape of it."""
        if self._viewed is None:
            return (whole(self._value.shape),)
        outer = self._viewed.of._steps()
        if self._viewed.reshapes:
            return (*outer, Reshape(self._value.shape))
        own = affine_view(self._viewed.build, self._viewed.of._value)
        assert own is not None
        return joined(outer, own)

    def _view_at(self, parts: Sequence[Any]) -> tuple[Step, ...]:
        """How a key's part of the array is found in the memory's root."""
        own = affine_view(lambda value: basic(value, parts), self._value)
        assert own is not None
        return joined(self._steps(), own)

    def _part(self, sheet: Sheet, key: Any) -> Value | None:
        """The value at a key of slices and integers, where it needs no look at the whole array."""
        memory = self._memory
        if self._seen == memory.version or memory.unsure or sheet is not self._pullback_sheet:
            return None
        parts = basic_parts(sheet, self._value, key)
        steps = () if parts is None else self._view_at(parts)
        if parts is None or len(steps) != 1 or not isinstance(steps[0], Affine):
            return None
        return memory.part(steps[0], basic(self._value, parts).axes)

    def _put(self, view: Affine, value: Value) -> None:
        """Stores a value of the view's shape into a view of this array."""
        memory, sheet = self._memory, self._pullback_sheet
        steps = self._steps()
        if isinstance(steps[-1], Affine):
            view = steps[-1].then(view)
            steps = steps[:-1]
        for related in memory.related:
            related.unsure = (
                "an array is read that may or may not share memory with one that was changed: "
                "that depends on how its elements lie in memory"
            )
        if not steps:
            memory.store(view, value, sheet.place)
            return
        values = [memory.now()]
        for step in steps:
            values.append(_seen_by(step, values[-1], ("",) * len(step.shape)))
        new = put_back(view, values[-1], value, sheet)
        for step, before in zip(reversed(steps), reversed(values[:-1]), strict=True):
            new = put_back(step, before, sheet.keep(new), sheet)
        memory.store(whole(new.shape), new, sheet.place)

    # What an array says of itself

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents."""
        extents, shape = self._pullback_sheet.extents, self._value.shape
        return shape if extents is None else extents.shape(shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype."""
        return self._value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._value.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def itemsize(self) -> int:
        """The bytes of an element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.dtype.itemsize * self._value.size

    @property
    def T(self) -> Any:
        """The axes reversed."""
        return np.transpose(self)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return np.swapaxes(self, -1, -2)

    @property
    def real(self) -> Tracer:
        """The array itself."""
        return self

    @property
    def imag(self) -> Any:
        """Zeros."""
        return np.imag(self)

    def __len__(self) -> int:
        if not self.ndim:
            raise self._refused("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Any:
        if not self.ndim:
            raise self._refused("iterating over a 0-d array")
        return iter([self[k] for k in range(self._value.shape[0])])

    def __repr__(self) -> str:
        if number(self) is not UNKNOWN:
            return repr(used(self))
        if self._pullback_sheet.behind([self]):
            raise self._refused("the text of a captured array")
        wish = self._pullback_sheet.wish_of(self._pullback_value)
        return f"<traced array{' ' + wish if wish else ''} {self.dtype}{list(self.shape)}>"

    # NumPy's ways in

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if any(map(_selects, inputs)):
            return NotImplemented  # they know what to do
        squared = _known_square(ufunc, method, inputs, options)
        if squared is not None:
            return squared
        if _complex_in(inputs):
            return complexes().called_ufunc(self._pullback_sheet, ufunc, method, inputs, options)
        return _called_ufunc(self, ufunc, method, inputs, options)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if any(map(_selects, (*args, *options.values()))):
            return NotImplemented
        if function in complexes_of_real() or complexes().complex_in((*args, *options.values())):
            return complexes().called_function(self._pullback_sheet, function, args, options)

        def traced() -> Any:
            change = CHANGES.get(function)
            if change is not None:
                row = Row(public_name(function), change)
                return _built(self._pullback_sheet, row, args, options)
            out = options.get("out")
            if isinstance(out, Tracer):
                rest = {name: given for name, given in options.items() if name != "out"}
                return _into(out, function(*args, **rest))
            selecting = _selecting(function, args, options)
            if selecting is not None:
                return selecting(*args, **options)
            known = ROWS.get(function)
            if known is None:
                name = public_name(function)
                raise self._refused(name, hint=hint_for(name))
            return _built(self._pullback_sheet, known, args, options)

        return called(self._pullback_sheet, function, args, options, traced)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if number(self) is not UNKNOWN:
            return np.array(used(self), dtype)
        raise self._no_values("", NO_ARRAY)

    # Subscripts

    def __getitem__(self, key: Any) -> Tracer:
        def build(sheet: Sheet, array: Any, key: Any) -> Any:
            part = array._part(sheet, key) if isinstance(array, Tracer) else None
            found, is_view = (
                getitem(sheet, sheet.value(array), key) if part is None else (part, True)
            )
            is_view = is_view and (bool(found.shape) or Ellipsis in _as_tuple(key))
            return View(found) if is_view else found

        def traced() -> Any:
            part = _selection(self, key)
            if part is not None:
                return part
            return _built(self._pullback_sheet, Row("indexing", build), (self, key), {})

        found: Tracer = called(self._pullback_sheet, operator.getitem, (self, key), {}, traced)
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        if _stored_selection(self, key, value):
            return
        _built(
            self._pullback_sheet, Row("assigning to elements", _assigned), (self, key, value), {}
        )

    def __contains__(self, item: Any) -> NoReturn:
        raise self._refused("`in` with a traced array", hint="write np.any(x == item)")

    def __mul__(self, other: Any) -> Any:
        self._refuse_repetition(other)
        return super().__mul__(other)

    def __rmul__(self, other: Any) -> Any:
        self._refuse_repetition(other)
        return super().__rmul__(other)

    def _refuse_repetition(self, other: Any) -> None:
        """A NumPy integer repeats a list, an array of no axes multiplies it: which one this is
        isn't known.
        """
        if not self.ndim and self.dtype.kind in "iub" and isinstance(other, list | tuple):
            raise self._refused("a list times a traced integer", hint=NO_NUMBER)

    # What would need the values

    def __bool__(self) -> bool:
        if number(self) is not UNKNOWN:
            return bool(used(self))
        raise self._refused("deciding (if, while, and, or, not) by a traced array", hint=NO_BOOL)

    def __float__(self) -> float:
        if number(self) is not UNKNOWN:
            return float(used(self))
        raise self._no_values("float()", NO_NUMBER)

    def __int__(self) -> int:
        if number(self) is not UNKNOWN:
            return int(used(self))
        raise self._no_values("int()", NO_NUMBER)

    def __index__(self) -> int:
        if number(self) is not UNKNOWN:
            return operator.index(used(self))
        raise self._no_values("", "sizes are plain ints: use x.shape and len(x)")

    def __complex__(self) -> complex:
        if number(self) is not UNKNOWN:
            return complex(used(self))
        raise self._no_values("complex()", REAL_ONLY)

    def _no_values(self, what: str, hint: str) -> TraceError:
        """The refusal of what would need an array's values: told by what the user's line does."""
        place = here()
        if place.frame is not None and callee(place.frame) == "dot":
            hint = (
                "write M @ x or np.dot(M, x): NumPy doesn't ask x when a plain M is asked for .dot"
            )
        hints = {"BINARY_SUBSCR": NO_TABLE, "STORE_SUBSCR": NO_STORE}
        hint = hints.get(instruction(place.frame), hint)
        name = called_name()
        self._pullback_sheet.ask([self])
        shown = f"`{place.text}`" if 0 < len(place.text) < 60 else what or "this"
        return self._pullback_sheet.refusal(
            f"{name or shown} needs a traced array's values, which can't be traced",
            hint=hint_for(name, default=hint),
        )

    def __format__(self, spec: str) -> str:
        return repr(self) if number(self) is UNKNOWN else format(used(self), spec)

    def __round__(self, digits: int | None = None) -> Any:
        if number(self) is not UNKNOWN:
            return round(used(self), digits)
        return np.round(self, digits or 0)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and hasattr(number(self), name):
            return getattr(used(self), name)
        if not name.startswith("_") and hasattr(np.ndarray, name):
            raise self._refused(f".{name}", hint=hint_for(name, f"np.{name}"))
        raise AttributeError(f"a traced array has no attribute {name!r}")

    def _refused(self, what: str, hint: str = "") -> TraceError:
        self._pullback_sheet.ask([self])
        return self._pullback_sheet.refusal(f"{what} can't be traced", hint=hint)

    # Methods of arrays

    def astype(
        self,
        dtype: Any,
        order: str = "K",
        casting: str = "unsafe",
        subok: bool = True,
        copy: bool = True,
    ) -> Any:
        """The same numbers as another dtype."""
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        if np.dtype(dtype).kind == "c":
            return complexes().array(self._pullback_sheet, (self, None), [self]).astype(dtype)

        def traced() -> Any:
            row = Row(".astype", table_shapes.astype)
            return _built(self._pullback_sheet, row, (self, dtype), {"copy": copy})

        return called(self._pullback_sheet, _astype, (self, dtype), {}, traced)

    def copy(self, order: str = "C") -> Any:
        """The same elements in memory of their own."""
        found: Any = np.copy(self)
        found._memory.ordered, found._memory.scalar = order == "C", False
        return found

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    @property
    def flat(self) -> Flat:
        """The elements row by row, to read and to store into."""
        return Flat(self)

    def fill(self, value: Any) -> None:
        """All elements the same."""
        self[...] = value

    def sort(self, axis: Any = -1, kind: Any = None, order: Any = None, **options: Any) -> None:
        """The elements in ascending order, in place."""
        _into(self, np.sort(self, axis, kind, order, **options))

    def partition(self, kth: Any, axis: Any = -1, **options: Any) -> None:
        """The elements in ascending order, in place."""
        _into(self, np.partition(self, kth, axis, **options))

    def conj(self) -> Any:
        """The array itself."""
        return self

    conjugate = conj

    def flatten(self, order: Any = "C") -> Any:
        """One axis of all elements."""
        return np.copy(np.ravel(self, order))

    def reshape(self, *shape: Any, **options: Any) -> Any:
        """The same elements in another shape."""
        wanted = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return np.reshape(self, wanted, **options)

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order."""
        if len(axes) == 1 and not isinstance(axes[0], int):
            axes = axes[0]
        return np.transpose(self, axes or None)

    def clip(self, min: Any = None, max: Any = None, **options: Any) -> Any:
        """Not below ``min`` nor above ``max``."""
        return np.clip(self, min, max, **options)


class Flat:
    """The elements of an array row by row, as NumPy's ``flat``: copies when read."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __len__(self) -> int:
        return int(self._array.size)

    def __iter__(self) -> Any:
        return iter(np.ravel(self._array))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(np.ravel(self._array), dtype)

    def __getitem__(self, key: Any) -> Any:
        return np.ravel(self._array)[key] * 1

    def __setitem__(self, key: Any, value: Any) -> None:
        array = self._array
        places = np.arange(array.size)[plain(key)]
        if not isinstance(places, np.ndarray):
            array[tuple(map(int, np.unravel_index(places, array.shape)))] = value
            return
        given = np.ravel(value) if hasattr(value, "ndim") else np.ravel(np.asarray(value))
        if len(given) not in (1, len(places)):
            given = given[np.arange(len(places)) % len(given)]
        array[np.unravel_index(places, array.shape)] = given


def _selects(given: Any) -> bool:
    """Whether something is, or holds, a selection by a traced mask."""
    if isinstance(given, list | tuple):
        return any(map(_selects, given))
    return hasattr(type(given), "_pullback_selects")


def _selecting(function: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """What makes a selection of a traced array, None for other functions."""
    from .selected import selecting

    return selecting(function, len(args) + len(options))


def _selection(array: Tracer, key: Any) -> Any:
    """What a traced mask selects, None for other keys."""
    if not has_traced_mask(key) and not _selects(key):
        return None
    from .selected import selected

    return selected(array, key)


def _stored_selection(array: Tracer, key: Any, value: Any) -> bool:
    """Stores a selection where it was selected; False where it is none."""
    if (
        not _selects(value)
        and not _selects(key)
        and not (isinstance(key, tuple) and has_traced_mask(key))
    ):
        return False
    from .selected import stored as stored_selection

    return stored_selection(array, key, value)


def _astype(array: Any, dtype: Any) -> Any:
    return np.asarray(array).astype(dtype)[()]


numpy_methods(
    Tracer,
    *("sum", "prod", "mean", "var", "std", "max", "min", "argmax", "argmin", "any", "all"),
    *("dot", "trace", "diagonal", "swapaxes", "squeeze", "ravel", "repeat", "take", "round"),
    *("cumsum", "cumprod", "argsort", "argpartition", "searchsorted", "nonzero"),
)


# --------------------------------------------------------------------------------------------------
# Operations


def _called_ufunc(
    self: Tracer, ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    def traced() -> Any:
        return _traced_ufunc(self, ufunc, method, inputs, {**options})

    return called(self._pullback_sheet, getattr(ufunc, method), inputs, options, traced)


def _traced_ufunc(
    self: Tracer, ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    sheet = self._pullback_sheet
    row = ROWS.get(ufunc)
    out = options.pop("out", None)
    options = {k: v for k, v in options.items() if not (k == "where" and v is True)}
    if method == "__call__" and row is not None and out is None:
        return _built(sheet, row, inputs, options)
    name = public_name(ufunc)
    if not known_ufunc(ufunc) and row is None:
        raise self._refused(name, hint=hint_for(ufunc.__name__, name))
    if method == "at":
        return _accumulated(self, ufunc, inputs)
    if out is not None:
        return _in_place(self, ufunc, method, inputs, options, out)
    if method == "reduce":
        return _reduced(self, ufunc, inputs, options)
    if method in _METHODS:
        made = partial(_METHODS[method], ufunc)
        return _built(sheet, Row(f"{name}.{method}", made), inputs, options)
    if method not in ("__call__", "outer"):
        raise self._refused(f"{name}.{method}", hint=hint_for(method))

    def build(
        sheet: Sheet, *args: Any, dtype: Any = None, casting: str = "", order: str = ""
    ) -> Any:
        if method == "outer":
            first, second = map(sheet.value, args)
            args = (expanded(first, range(first.ndim, first.ndim + second.ndim)), second)
        return apply_ufunc(sheet, ufunc, args, dtype)

    return _built(sheet, Row(name, build), inputs, options)


def _log_of_summed_powers(
    array: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False
) -> Any:
    """``np.logaddexp.reduce``: the greatest is taken out of what are floats first."""
    array = array.astype(np.logaddexp(array, array).dtype if dtype is None else dtype)
    most = np.max(array, axis=axis, keepdims=True)
    most = np.where(np.abs(most) < np.inf, most, 0)
    total = np.sum(np.exp(array - most), axis=axis, keepdims=keepdims)
    return np.log(total) + (most if keepdims else np.reshape(most, np.shape(total)))


_METHODS: dict[str, Any] = {
    "accumulate": table_running.accumulate,
    "reduceat": table_counting.reduceat,
}
_REDUCTIONS: dict[str, Any] = {
    "add": np.sum,
    "multiply": np.prod,
    "maximum": np.max,
    "minimum": np.min,
    "logical_and": np.all,
    "logical_or": np.any,
    "logaddexp": _log_of_summed_powers,
}


def _reduced(self: Tracer, ufunc: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    function = _REDUCTIONS.get(ufunc.__name__)
    if function is None:
        name = public_name(ufunc)
        raise self._refused(f"{name}.reduce", hint="use np.sum, np.prod, np.max or np.min")
    array, *positional = inputs
    names = ("axis", "dtype", "out", "keepdims")
    given = {"axis": 0, **dict(zip(names, positional, strict=False)), **options}
    given = {k: v for k, v in given.items() if not (k in ("dtype", "out") and v is None)}
    return function(array, **given)


def _in_place(
    self: Tracer,
    ufunc: Any,
    method: str,
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    out: tuple[Any, ...],
) -> Any:
    """``x += y``, ``np.add(x, y, out=z)``: the target holds the new value from then on."""
    name = public_name(ufunc)
    target = out[0]
    if len(out) != 1 or not isinstance(target, Tracer):
        raise self._refused(
            f"{name} with out=",
            hint="write y = np.add(x, ...) without out=, or make the array inside the function",
        )
    where = options.pop("where", True)
    if where is True or method != "__call__" or ufunc in ROWS:
        new = _traced_ufunc(self, ufunc, method, inputs, options)
    else:
        row = Row(name, partial(_where_it_holds, ufunc, where))
        new = _built(self._pullback_sheet, row, inputs, options)
    if target._memory.scalar and target._viewed is None and where is True:
        return new  # a number is never changed
    return _into(target, new, where)


def _where_it_holds(
    ufunc: Any, where: Any, sheet: Sheet, *args: Any, dtype: Any = None, casting: str = ""
) -> Value:
    """What a ufunc gives where a mask holds; nothing is computed elsewhere."""
    value, mask = broadcast_all([apply_ufunc(sheet, ufunc, args, dtype), sheet.value(where)])
    return only(value, mask)


def _into(target: Tracer, new: Any, where: Any = True) -> Tracer:
    """The target, which holds a new value from now on, as far as its shape and dtype allow it."""
    options = {} if where is True else {"where": where}
    _built(
        target._pullback_sheet, Row("changing an array in place", _taken_in), (target, new), options
    )
    return target


def _taken_in(sheet: Sheet, target: Tracer, new: Any, where: Any = None) -> None:
    value = sheet.value(new)
    if not np.can_cast(value.dtype, target.dtype, "same_kind"):
        raise TypeError(f"can't put {value.dtype} into an array of {target.dtype} in place")
    _stored(sheet, target, (), value, where)


def _changeable(sheet: Sheet, target: Any) -> None:
    """Refuses to change what isn't the function's own."""
    if not isinstance(target, Tracer):
        raise sheet.refusal(
            "an array from outside can't take in a traced value",
            hint=MAKE_INSIDE,
        )
    if target._pullback_sheet is not (running() or sheet):
        raise sheet.refusal(
            "changing an array of an enclosing function in place can't be traced",
            hint="write x = x + ..., which makes a new array, and return it",
        )
    if target._memory.argument or any(one.argument for one in target._memory.related):
        raise sheet.refusal(
            "changing an argument in place (x[i] = ..., +=, -=, *=, out=) can't be traced",
            hint="write x = x.copy() first, or x = x + ..., which makes a new array",
        )
    if target._memory.scalar and target._viewed is None:
        raise TypeError("a number does not support item assignment")
    if target._memory.unsure:
        raise sheet.refusal(target._memory.unsure, hint="write .copy() where one of them is made")


def _assigned(sheet: Sheet, target: Any, key: Any, given: Any) -> None:
    """``target[key] = given``."""
    _changeable(sheet, target)
    if isinstance(given, Tracer) and given._memory is target._memory:
        parts = None if has_traced_mask(key) else basic_parts(sheet, target._value, key)
        if parts is not None and target._view_at(parts) == given._steps():
            return  # the end of y[i] += ...: the view has changed the array already
    _stored(sheet, target, key, array_value(sheet, given))


def _stored(sheet: Sheet, target: Any, key: Any, value: Value, where: Any = None) -> None:
    _changeable(sheet, target)
    value = cast(value, target.dtype)
    masked = where is not None or has_traced_mask(key)
    parts = None if masked else basic_parts(sheet, target._value, key)
    if parts is not None:
        view = affine_view(lambda viewed: basic(viewed, parts), target._value)
        assert view is not None
        target._put(view, fitted(value, view.shape))
        return
    old = target._pullback_value
    if where is not None:
        new = chosen(sheet, old, sheet.value(where), value)
    else:
        new = stored(sheet, old, key, value)
    target._put(whole(old.shape), sheet.keep(new))


def _accumulated(self: Tracer, ufunc: Any, inputs: tuple[Any, ...]) -> None:
    """``np.add.at(target, key, values)``: repeated places add up."""
    if ufunc not in (np.add, np.subtract):
        raise self._refused(
            f"{public_name(ufunc)}.at", hint="np.add.at and np.subtract.at can be traced"
        )

    def build(sheet: Sheet, target: Any, key: Any, given: Any) -> None:
        _changeable(sheet, target)
        value = array_value(sheet, given)
        if ufunc is np.subtract:
            value = apply_ufunc(sheet, np.negative, (value,))
        value = sheet.keep(cast(value, target.dtype))
        new = accumulated(sheet, target._pullback_value, key, value)
        target._put(whole(target._value.shape), sheet.keep(new))

    _built(self._pullback_sheet, Row(f"{public_name(ufunc)}.at", build), inputs, {})


def _as_tuple(key: Any) -> tuple[Any, ...]:
    return tuple(one for one in (key if isinstance(key, tuple) else (key,)) if one is Ellipsis)


def _seen_by(step: Step, value: Value, axes: Sequence[str]) -> Value:
    if isinstance(step, Reshape):
        return reshaped(value, step.shape)
    fitting = axes if len(axes) == len(step.shape) else ("",) * len(step.shape)
    return step.read(value, fitting)


def _built(sheet: Sheet, row: Row, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """What a row makes of its arguments, each value a statement; errors name the user's line."""
    args, options = plain(tuple(args)), plain(options)
    if not sheet.open or sheet is not running():
        sheet = innermost((args, tuple(options.values())))
    place = sheet.stand_here()
    if place.frame is not None:
        sheet.frames[id(place.frame)] = place.frame
    options = {k: v for k, v in options.items() if not _is_default(k, v)}
    if not row.takes(1 + len(args), tuple(options)):
        raise _unknown_argument(sheet, row, args, options)
    try:
        found = row.build(sheet, *args, **options)
        wish = "" if sheet.composes else place.name
        return _kept(sheet, row, found, args, wish, _again(sheet, row, args, options))
    except PullbackError as error:
        sheet.ask((args, tuple(options.values())))
        sheet.refuse(error)
        raise
    except tuple(_AS_NUMPY) as error:
        raise numpys_refusal(sheet, row.name, error, args, options) from error


def numpys_refusal(
    sheet: Sheet, name: str, error: Exception, args: Sequence[Any], options: Mapping[str, Any]
) -> TraceError:
    """The refusal of arguments that a builder takes as little as NumPy does."""
    sheet.ask((args, tuple(options.values())))
    kind = next(own for base, own in _AS_NUMPY.items() if isinstance(error, base))
    return sheet.refusal(
        f"{name}: {error}",
        found=_shapes(args),
        hint="check shapes, axes and dtypes",
        kind=kind,
    )


def _known_square(
    ufunc: Any, method: str, inputs: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    """The square of an absolute value: that of a complex number needs no root. None for others."""
    if ufunc not in (np.square, np.power, np.multiply) or method != "__call__" or options:
        return None
    square = getattr(inputs[0], "_square", None)
    twice = ufunc is np.square or (
        inputs[1] is inputs[0]
        if ufunc is np.multiply
        else isinstance(inputs[1], int | float) and inputs[1] == 2
    )
    if square is None or not twice or inputs[0]._memory.version:
        return None
    return square()


def _complex_in(given: Sequence[Any]) -> bool:
    """Whether a complex value is among the operands of a ufunc."""
    return any(
        type(one) is complex or getattr(getattr(one, "dtype", None), "kind", "") == "c"
        for one in given
    )


@cache
def complexes() -> Any:
    """The module of complex arrays, which needs this one."""
    from . import complexes as module

    return module


@cache
def complexes_of_real() -> frozenset[Any]:
    """The functions of real arrays that give complex ones."""
    from .complex_table import OF_REAL

    return OF_REAL


def built_value(sheet: Sheet, build: Callable[..., Any], *args: Any) -> Any:
    """What a builder that is no function of NumPy's makes of its arguments."""
    return _built(sheet, Row(build.__name__.strip("_").replace("_", " "), build), args, {})


def built(
    sheet: Sheet,
    function: Any,
    row: Row,
    args: Sequence[Any],
    options: dict[str, Any],
    *,
    lists: bool = True,
) -> Any:
    """What a row makes of a function's arguments; of numbers that are known, also its value.

    ``lists`` of traced values are arrays."""

    def array(arg: Any) -> Any:
        listed = (
            lists and isinstance(arg, list | tuple) and any(isinstance(one, Tracer) for one in arg)
        )
        return make_array(sheet, "asarray", arg) if listed else arg

    def traced() -> Any:
        given = {name: array(arg) for name, arg in options.items()}
        return _built(sheet, row, [*map(array, args)], given)

    return called(sheet, function, args, options, traced)


def _again(
    sheet: Sheet, row: Row, args: Sequence[Any], options: dict[str, Any]
) -> Callable[[Value], Any]:
    """The row's result for another value of the first traced array."""

    def build(value: Value) -> Any:
        first = next(k for k, arg in enumerate(args) if isinstance(arg, Tracer))
        return row.build(sheet, *args[:first], value, *args[first + 1 :], **options)

    return build


# What NumPy raises for operands that don't fit, and the refusal that is such an error, too.
_AS_NUMPY: dict[type[Exception], type[TraceError]] = {
    IndexError: TraceIndexError,  # first: an AxisError is a ValueError and an IndexError
    ValueError: TraceError,
    TypeError: TraceTypeError,
    OverflowError: TraceOverflowError,
}


def _is_default(name: str, value: Any) -> bool:
    """Whether an option says nothing: NumPy's own functions pass these on."""
    return (
        value is np._NoValue
        or (name == "out" and value is None)
        or (name == "where" and value is True)
        or (name == "initial" and value is None)
    )


def _unknown_argument(
    sheet: Sheet, row: Row, args: Sequence[Any], options: Mapping[str, Any]
) -> TraceError:
    known = row.signature.parameters
    wrong = [name for name in options if name not in known]
    shown = ", ".join(f"{name}=" for name in wrong)
    hints = {
        "out": "write y = ... without out=",
        "where": "give out=np.zeros_like(x), too, or write np.where(mask, x, 0) first",
        "initial": "add the initial value afterwards",
    }
    able = f"{row.name}({', '.join([*known][1:])}) can be traced"  # the first one is the sheet
    left_out = f"leave {shown} out" if wrong else able
    return sheet.refusal(
        f"{row.name} with {shown or 'these arguments'} can't be traced",
        found=_shapes(args),
        hint=next((hints[name] for name in wrong if name in hints), left_out),
    )


def _shapes(args: Sequence[Any]) -> str:
    def one(arg: Any) -> str:
        if isinstance(arg, list | tuple):
            return "[" + ", ".join(map(one, arg)) + "]"
        if isinstance(arg, Tracer | np.ndarray):
            return f"{arg.dtype}{list(arg.shape)}"
        return repr(arg)[:40]

    return ", ".join(map(one, args))


def _kept(sheet: Sheet, row: Row, found: Any, args: Sequence[Any], wish: str, again: Any) -> Any:
    view = row.view
    if isinstance(found, View):
        view, found = True, found.value
    if isinstance(found, tuple | list) and any(isinstance(part, Value) for part in found):
        parts = [
            _kept(sheet, row, part, args, "", lambda value, k=k: again(value)[k])
            for k, part in enumerate(found)
        ]
        return found._make(parts) if hasattr(found, "_make") else type(found)(parts)
    if isinstance(found, np.ndarray):
        from .made import made

        return made(sheet, found, wish, ordered=found.ndim < 2)
    if not isinstance(found, Value):
        return found
    kept = sheet.keep(found)
    if found.weak is not None:
        kept = replace(kept, weak=found.weak)
    sheet.name(kept.tensor, wish)
    viewed = [arg for arg in args if isinstance(arg, Tracer)] if view else []
    if viewed and viewed[0]._pullback_sheet is sheet:
        return _view(sheet, row, kept, viewed, again)
    memory = Memory(sheet, kept, scalar=not kept.shape, ordered=kept.ndim < 2)
    memory.wish = wish
    return Tracer(sheet, kept, memory)


def _view(sheet: Sheet, row: Row, kept: Value, viewed: list[Tracer], again: Any) -> Tracer:
    """An array that may share memory with the first of those that it is made of."""
    base = viewed[0]
    if row.name == "indexing":
        return Tracer(sheet, kept, base._memory, Viewed(base, lambda value: again(value).value))
    certain = len(viewed) == 1 and row.name not in _MAY_SHARE
    if certain and affine_view(again, base._value) is not None and row.name != "np.ravel":
        return Tracer(sheet, kept, base._memory, Viewed(base, again))
    if certain and row.name in _RESHAPES:
        shares = _shares(base, kept.shape, row.name == "np.ravel")
        if shares is True:
            affine = affine_view(again, base._value) is not None
            return Tracer(sheet, kept, base._memory, Viewed(base, again, not affine))
        if shares is False:
            return Tracer(sheet, kept, Memory(sheet, kept, ordered=True))
    memory = Memory(sheet, kept, ordered=row.name in _RESHAPES)
    for one in viewed:
        memory.related.append(one._memory)
        one._memory.related.append(memory)
    return Tracer(sheet, kept, memory)


_RESHAPES = ("np.reshape", "np.ravel")
# Rows of which it isn't followed which elements they share.
_MAY_SHARE = ("np.broadcast_to", "np.broadcast_arrays", "np.diagonal", "np.diag", "np.einsum")


def _shares(base: Tracer, shape: Sequence[int], ravels: bool) -> bool | None:
    """Whether an array in another shape shares memory, None where that isn't known.

    NumPy is asked, of an array that lies in memory in the same way.
    """
    memory = base._memory
    if not memory.ordered:
        return None
    probe = np.empty(memory.base.shape, bool)
    for step in base._steps():
        if isinstance(step, Reshape):
            probe = np.reshape(probe, step.shape)
        else:
            probe = _strided(probe, step)
    found = np.ravel(probe) if ravels else np.reshape(probe, tuple(shape))
    return bool(np.may_share_memory(found, probe)) if probe.size else False


def _strided(probe: np.ndarray[Any, Any], step: Affine) -> np.ndarray[Any, Any]:
    """The view of an array that a step is."""
    if not probe.size or not prod(step.shape):
        return np.empty(step.shape, bool)
    corner = probe[tuple(slice(first, first + 1) for first, _, _ in step.along)]
    strides = [0] * len(step.shape)
    for own, (_, by, axis) in zip(probe.strides, step.along, strict=True):
        if axis >= 0:
            strides[axis] = own * by
    return np.lib.stride_tricks.as_strided(corner, step.shape, strides)


def make_array(
    sheet: Sheet, name: str, given: Any, dtype: Any = None, *, copy: Any = True, **options: Any
) -> Any:
    """``np.array``, ``np.asarray`` and their relatives of traced values."""
    if isinstance(given, Tracer) and (dtype is None or np.dtype(dtype) == given.dtype):
        if name != "array" or not copy:
            return given
        return given.copy()
    left = {key: held for key, held in options.items() if held not in (None, "K", "C", False, 0)}
    if left:
        raise sheet.refusal(
            f"np.{name} with {', '.join(left)} can't be traced", hint="leave it out"
        )
    if complexes().complex_in([given]) or (dtype is not None and np.dtype(dtype).kind == "c"):
        return complexes().array_of(sheet, given, dtype, name == "array" and copy)

    def build(sheet: Sheet, given: Any) -> Value:
        return array_value(sheet, given, dtype)

    found = _built(sheet, Row(f"np.{name}", build), (given,), {})
    found._memory.scalar = False
    found._memory.ordered = True
    return found
