"""What stands for an array while a function is traced, and what becomes of operations on it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
    table_elementwise,
    table_indexing,
    table_matrices,
    table_pieces,
    table_products,
    table_reductions,
    table_shapes,
)
from .extents import plain
from .places import called_name, here, instruction
from .record import Sheet, innermost, running
from .refusals import (
    NO_ARRAY,
    NO_ASSIGNMENT,
    NO_BOOL,
    NO_NUMBER,
    NO_STORE,
    NO_TABLE,
    REAL_ONLY,
    hint_for,
)
from .rows import ROWS, Row, View, public_name
from .steering import UNKNOWN, called, number, used
from .table_elementwise import apply_ufunc, known_ufunc
from .table_indexing import getitem
from .values import Value, broadcast, cast, expanded


class Memory:
    """What traced arrays share as NumPy's views share memory: whose it is, who else looks at it."""

    __slots__ = ("argument", "views")

    def __init__(self, argument: bool = False) -> None:
        self.argument = argument
        self.views = 0


class Tracer(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array while a function is traced; every operation becomes a statement."""

    __slots__ = ("_memory", "_pullback_sheet", "_pullback_value")
    __array_priority__ = 1000

    def __init__(self, sheet: Sheet, value: Value, memory: Memory | None = None) -> None:
        self._pullback_sheet = sheet
        self._pullback_value = value
        self._memory = Memory() if memory is None else memory

    # What an array says of itself

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents."""
        extents, shape = self._pullback_sheet.extents, self._pullback_value.shape
        return shape if extents is None else extents.shape(shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype."""
        return self._pullback_value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._pullback_value.ndim

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
        return self.dtype.itemsize * self._pullback_value.size

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

    def __len__(self) -> int:
        if not self.ndim:
            raise self._refused("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Any:
        if not self.ndim:
            raise self._refused("iterating over a 0-d array")
        return iter([self[k] for k in range(self._pullback_value.shape[0])])

    def __repr__(self) -> str:
        if number(self) is not UNKNOWN:
            return repr(used(self))
        if self._pullback_sheet.behind([self]):
            raise self._refused("the text of a captured array")
        wish = self._pullback_sheet.wish_of(self._pullback_value)
        return f"<traced array{' ' + wish if wish else ''} {self.dtype}{list(self.shape)}>"

    # NumPy's ways in

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return _called_ufunc(self, ufunc, method, inputs, options)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        def traced() -> Any:
            row = ROWS.get(function)
            if row is None:
                name = public_name(function)
                raise self._refused(name, hint=hint_for(name))
            return _built(self._pullback_sheet, row, args, options)

        return called(self._pullback_sheet, function, args, options, traced)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if number(self) is not UNKNOWN:
            return np.array(used(self), dtype)
        raise self._no_values("", NO_ARRAY)

    # Subscripts

    def __getitem__(self, key: Any) -> Tracer:
        def build(sheet: Sheet, value: Any, key: Any) -> Any:
            found, is_view = getitem(sheet, sheet.value(value), key)
            return View(found) if is_view else found

        def traced() -> Any:
            return _built(self._pullback_sheet, Row("indexing", build), (self, key), {})

        found: Tracer = called(self._pullback_sheet, operator.getitem, (self, key), {}, traced)
        return found

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise self._refused("assigning to elements of a traced array", hint=NO_ASSIGNMENT)

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

        def traced() -> Any:
            row = Row(".astype", table_shapes.astype)
            return _built(self._pullback_sheet, row, (self, dtype), {"copy": copy})

        return called(self._pullback_sheet, _astype, (self, dtype), {}, traced)

    def copy(self, order: str = "C") -> Any:
        """The same array."""
        return np.copy(self)

    def conj(self) -> Any:
        """The array itself."""
        return np.positive(self)

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


def _astype(array: Any, dtype: Any) -> Any:
    return np.asarray(array).astype(dtype)[()]


def _method(name: str, function: Any) -> Callable[..., Any]:
    def method(self: Tracer, *args: Any, **options: Any) -> Any:
        return function(self, *args, **options)

    method.__name__ = name
    method.__doc__ = f"As the NumPy function {function.__name__}."
    return method


for _name in (
    *("sum", "prod", "mean", "var", "std", "max", "min", "argmax", "argmin", "any", "all"),
    *("dot", "trace", "diagonal", "swapaxes", "squeeze", "ravel", "repeat", "take", "round"),
):
    setattr(Tracer, _name, _method(_name, getattr(np, _name)))


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
    if out is not None:
        return _in_place(self, ufunc, method, inputs, options, out)
    if method == "reduce":
        return _reduced(self, ufunc, inputs, options)
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


_REDUCTIONS: dict[str, Any] = {
    "add": np.sum,
    "multiply": np.prod,
    "maximum": np.max,
    "minimum": np.min,
    "logical_and": np.all,
    "logical_or": np.any,
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
    """``x += y``: the same tracer goes on with the new value, as NumPy's array would."""
    sheet = self._pullback_sheet
    name = public_name(ufunc)
    target = out[0]
    if len(out) != 1 or method != "__call__" or options or not isinstance(target, Tracer):
        raise self._refused(f"{name} with out=", hint="write y = np.add(x, ...) without out=")
    memory = target._memory
    if target._pullback_sheet is not (running() or sheet):
        raise self._refused(
            "changing an array of an enclosing function in place",
            hint="write x = x + ..., which makes a new array, and return it",
        )
    if memory.argument:
        raise self._refused(
            "changing an argument in place (+=, -=, *=, out=)",
            hint="write x = x + ..., which makes a new array",
        )
    if memory.views:
        raise self._refused(
            "changing an array in place that shares memory with another one (its view or base)",
            hint="write x = x + ..., which makes a new array",
        )

    def build(sheet: Sheet, *args: Any) -> Any:
        value: Value = apply_ufunc(sheet, ufunc, args)
        if not np.can_cast(value.dtype, target.dtype, "same_kind"):
            raise TypeError(f"can't put {value.dtype} into an array of {target.dtype} in place")
        if value.shape != target.shape and target.shape:
            if np.broadcast_shapes(value.shape, target.shape) != target.shape:
                raise ValueError(f"shape {value.shape} doesn't fit into {target.shape}")
            value = broadcast(value, target.shape)
        return value if not target.shape else cast(value, target.dtype)

    new = _built(sheet, Row(name, build), inputs, {})
    if not target.shape:
        return new  # NumPy's scalars are never changed
    target._pullback_value = new._pullback_value
    return target


def _built(sheet: Sheet, row: Row, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """What a row makes of its arguments, each value a statement; errors name the user's line."""
    args, options = plain(tuple(args)), plain(options)
    if not sheet.open or sheet is not running():
        sheet = innermost((args, tuple(options.values())))
    place = sheet.place = here()
    if place.frame is not None:
        sheet.frames[id(place.frame)] = place.frame
    options = {k: v for k, v in options.items() if not _is_default(k, v)}
    if not row.takes(1 + len(args), tuple(options)):
        raise _unknown_argument(sheet, row, args, options)
    try:
        found = row.build(sheet, *args, **options)
        return _kept(sheet, row, found, args, place.name)
    except PullbackError as error:
        sheet.ask((args, tuple(options.values())))
        sheet.refuse(error)
        raise
    except tuple(_AS_NUMPY) as error:
        sheet.ask((args, tuple(options.values())))
        kind = next(own for base, own in _AS_NUMPY.items() if isinstance(error, base))
        raise sheet.refusal(
            f"{row.name}: {error}",
            found=_shapes(args),
            hint="check shapes, axes and dtypes",
            kind=kind,
        ) from error


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
        "where": "write np.where(mask, x, 0) first",
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


def _kept(sheet: Sheet, row: Row, found: Any, args: Sequence[Any], wish: str) -> Any:
    view = row.view
    if isinstance(found, View):
        view, found = True, found.value
    if isinstance(found, tuple | list) and any(isinstance(part, Value) for part in found):
        parts = [_kept(sheet, row, part, args, "") for part in found]
        return found._make(parts) if hasattr(found, "_make") else type(found)(parts)
    if not isinstance(found, Value):
        return found
    kept = sheet.keep(found)
    if found.weak is not None:
        kept = replace(kept, weak=found.weak)
    sheet.name(kept.tensor, wish)
    memory = None
    if view:
        base = next((arg for arg in args if isinstance(arg, Tracer)), None)
        if base is not None:
            memory = base._memory
            memory.views += 1
    return Tracer(sheet, kept, memory)
