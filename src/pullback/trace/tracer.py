"""Tracing: a plain NumPy function is run once on tracers, which write down what is done to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from .. import trees
from ..errors import PullbackError, TraceError
from ..ir.expr import Tensor
from ..ir.program import Program
from ..ir.sizes import size
from . import (  # noqa: F401  (the tables enter their rows)
    table_elementwise,
    table_indexing,
    table_pieces,
    table_products,
    table_reductions,
    table_shapes,
)
from .naming import Letters, tensor_names, written
from .places import NOWHERE, called_name, here, instruction, own_variables
from .record import PLAIN_ARRAYS, Sheet
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
from .table_elementwise import apply_ufunc, known_ufunc
from .table_indexing import getitem
from .values import FLOAT, Value, broadcast, cast, expanded, of_tensor


@dataclass(frozen=True)
class Spec:
    """An argument's shape and dtype, where there is no array yet. ``axes`` suggests index names."""

    shape: tuple[int, ...]
    dtype: str = "float64"
    axes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Traced:
    """A traced function.

    ``program``: its inputs are the arguments' arrays in order, then the constant arrays that the
    function used. ``constants`` holds those by name. ``structure`` tells how the program's outputs
    make up the function's result (see :mod:`pullback.trees`; :meth:`result` puts it together).
    """

    program: Program
    constants: Mapping[str, np.ndarray[Any, Any]]
    structure: trees.Structure

    def result(self, outputs: Sequence[Any]) -> Any:
        """What the function returns, given the values of the program's outputs."""
        return trees.unflatten(self.structure, outputs)


class _Memory:
    """What traced arrays share as NumPy's views share memory: whose it is, who else looks at it."""

    __slots__ = ("argument", "views")

    def __init__(self, argument: bool = False) -> None:
        self.argument = argument
        self.views = 0


class Tracer(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array while a function is traced; every operation becomes a statement."""

    __slots__ = ("_memory", "_pullback_sheet", "_pullback_value")
    __array_priority__ = 1000

    def __init__(self, sheet: Sheet, value: Value, memory: _Memory | None = None) -> None:
        self._pullback_sheet = sheet
        self._pullback_value = value
        self._memory = _Memory() if memory is None else memory

    # What an array says of itself

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents."""
        return self._pullback_value.shape

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
        return self._pullback_value.size

    @property
    def itemsize(self) -> int:
        """The bytes of an element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.dtype.itemsize * self.size

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
        if not self.shape:
            raise self._refused("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Any:
        if not self.shape:
            raise self._refused("iterating over a 0-d array")
        return iter([self[k] for k in range(self.shape[0])])

    def __repr__(self) -> str:
        wish = self._pullback_sheet.wish_of(self._pullback_value)
        return f"<traced array{' ' + wish if wish else ''} {self.dtype}{list(self.shape)}>"

    # NumPy's ways in

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return _called_ufunc(self, ufunc, method, inputs, options)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        row = ROWS.get(function)
        if row is None:
            name = public_name(function)
            raise self._refused(name, hint=hint_for(name))
        return _built(self._pullback_sheet, row, args, options)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise self._no_values("", NO_ARRAY)

    # Subscripts

    def __getitem__(self, key: Any) -> Tracer:
        def build(sheet: Sheet, value: Any, key: Any) -> Any:
            found, is_view = getitem(sheet, sheet.value(value), key)
            return View(found) if is_view else found

        row = Row("indexing", build)
        return _built(self._pullback_sheet, row, (self, key), {})  # type: ignore[no-any-return]

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise self._refused("assigning to elements of a traced array", hint=NO_ASSIGNMENT)

    def __contains__(self, item: Any) -> NoReturn:
        raise self._refused("`in` with a traced array", hint="write np.any(x == item)")

    # What would need the values

    def __bool__(self) -> NoReturn:
        raise self._refused("deciding (if, while, and, or, not) by a traced array", hint=NO_BOOL)

    def __float__(self) -> NoReturn:
        raise self._no_values("float()", NO_NUMBER)

    def __int__(self) -> NoReturn:
        raise self._no_values("int()", NO_NUMBER)

    def __index__(self) -> NoReturn:
        raise self._no_values("", "sizes are plain ints: use x.shape and len(x)")

    def __complex__(self) -> NoReturn:
        raise self._no_values("complex()", REAL_ONLY)

    def _no_values(self, what: str, hint: str) -> TraceError:
        """The refusal of what would need an array's values: told by what the user's line does."""
        place = here()
        hints = {"BINARY_SUBSCR": NO_TABLE, "STORE_SUBSCR": NO_STORE}
        hint = hints.get(instruction(place.frame), hint)
        name = called_name()
        shown = f"`{place.text}`" if 0 < len(place.text) < 60 else what or "this"
        return self._pullback_sheet.refusal(
            f"{name or shown} needs a traced array's values, which can't be traced",
            hint=hint_for(name, default=hint),
        )

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __round__(self, digits: int = 0) -> Any:
        return np.round(self, digits)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and hasattr(np.ndarray, name):
            raise self._refused(f".{name}", hint=hint_for(name, f"np.{name}"))
        raise AttributeError(f"a traced array has no attribute {name!r}")

    def _refused(self, what: str, hint: str = "") -> TraceError:
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
        row = Row(".astype", table_shapes.astype)
        return _built(self._pullback_sheet, row, (self, dtype), {"copy": copy})

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
    place = sheet.place = here()
    if place.frame is not None:
        sheet.frames[id(place.frame)] = place.frame
    options = {k: v for k, v in options.items() if not _is_default(k, v)}
    try:
        inspect.signature(row.build).bind(sheet, *args, **options)
    except TypeError:
        raise _unknown_argument(sheet, row, args, options) from None
    try:
        found = row.build(sheet, *args, **options)
        return _kept(sheet, row, found, args, place.name)
    except PullbackError:
        raise
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise sheet.refusal(
            f"{row.name}: {error}",
            found=_shapes(args),
            hint="NumPy refuses this too: check shapes, axes and dtypes",
        ) from error


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
    known = inspect.signature(row.build).parameters
    wrong = [name for name in options if name not in known]
    shown = ", ".join(f"{name}=" for name in wrong)
    hints = {
        "out": "write y = ... without out=",
        "where": "write np.where(mask, x, 0) first",
        "initial": "add the initial value afterwards",
    }
    return sheet.refusal(
        f"{row.name} with {shown or 'these arguments'} can't be traced",
        found=_shapes(args),
        hint=next((hints[name] for name in wrong if name in hints), "leave the argument out"),
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
        return type(found)(_kept(sheet, row, part, args, "") for part in found)
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


# --------------------------------------------------------------------------------------------------
# Tracing a function


def trace(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Traced:
    """The program that a plain NumPy function computes, for arguments of these shapes.

    ``arguments`` maps parameter names to arrays, :class:`Spec` s, or nested dicts, lists, tuples
    and dataclasses of them; Python floats are traced as 0-d arrays; ints, bools, strings and None
    are passed as they are. The arrays' values are not looked at. Raises TraceError, naming the
    source line, for what can't be traced.

    >>> traced = trace(lambda X, w: X @ w, {"X": Spec((3, 2)), "w": Spec((2,))})
    >>> [tensor.name for tensor in traced.program.inputs], len(traced.program.statements)
    (['X', 'w'], 1)
    """
    sheet = Sheet()
    leaves, names, structures = _flat_arguments(arguments)
    letters = Letters(names)
    inputs = [_input(sheet, name, leaf, letters) for name, leaf in zip(names, leaves, strict=True)]
    handles = iter(inputs)
    given = {
        name: trees.unflatten(structure, [next(handles) for _ in range(trees.count(structure))])
        for name, structure in structures.items()
    }
    try:
        result = _call(function, given)
    except Exception as error:
        if sheet.refused is None or sheet.refused is error:
            raise
        raise sheet.refused from error
    if sheet.refused is not None:
        raise sheet.refused
    tensors = [handle._pullback_value.tensor for handle in inputs]
    return _finished(sheet, [t for t in tensors if t is not None], result)


def _flat_arguments(
    arguments: Mapping[str, Any],
) -> tuple[list[Any], list[str], dict[str, trees.Structure]]:
    leaves: list[Any] = []
    names: list[str] = []
    structures: dict[str, trees.Structure] = {}
    for name, tree in arguments.items():
        own, structures[name] = trees.flatten(
            tree, name, lambda leaf: isinstance(leaf, Spec | np.ndarray)
        )
        leaves += own
        names += [trees.leaf_name(name, path) for path in trees.paths(structures[name])]
    return leaves, trees.distinct(names), structures


def _input(sheet: Sheet, name: str, leaf: Any, letters: Letters) -> Tracer:
    if isinstance(leaf, np.ndarray) and type(leaf) not in PLAIN_ARRAYS:
        raise TraceError(
            f"the argument {name} is a {type(leaf).__name__}",
            where=f"argument {name}",
            expected="a plain array",
            hint="such arrays compute by rules of their own; pass np.asarray(...) of it",
        )
    weak = float if type(leaf) is float else None
    dtype = FLOAT if weak else np.dtype(leaf.dtype)
    shape = () if weak else tuple(leaf.shape)
    if dtype.kind not in "fiub":
        raise TraceError(
            f"the argument {name} has dtype {dtype}",
            where=f"argument {name}",
            expected="floats, integers or bools",
            found=str(dtype),
            hint=REAL_ONLY
            if dtype.kind == "c"
            else "convert it to a float array with .astype(float)",
        )
    axes = leaf.axes if isinstance(leaf, Spec) and leaf.axes else letters.axes(shape)
    tensor = Tensor(name, tuple(map(size, shape)), dtype.name)
    return Tracer(
        sheet,
        replace(of_tensor(tensor, axes), weak=weak),
        _Memory(argument=isinstance(leaf, np.ndarray | Spec)),
    )


def _call(function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """The function's result. (Its frame is where the search for the user's code ends.)"""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return function(*given.values())
    if not any(name in parameters for name in given):  # a ufunc, or one that takes *arrays
        return function(*given.values())
    positional: list[Any] = []
    named: dict[str, Any] = {}
    left = dict(given)
    gap = False
    for name, parameter in parameters.items():
        if name not in left:
            gap = True
        elif parameter.kind is parameter.VAR_POSITIONAL:
            positional += left.pop(name)
        elif parameter.kind is parameter.VAR_KEYWORD:
            named.update(left.pop(name))
        elif not gap and parameter.kind is not parameter.KEYWORD_ONLY:
            positional.append(left.pop(name))
    return function(*positional, **named, **left)


def _finished(sheet: Sheet, inputs: list[Tensor], result: Any) -> Traced:
    """The program, once everything has its final name."""
    _name_by_final_variables(sheet)
    leaves, structure = trees.flatten(
        result, "the result", lambda leaf: isinstance(leaf, Tracer | np.ndarray | np.generic)
    )
    outputs = [_output(sheet, leaf, inputs) for leaf in leaves]
    _name_outputs(sheet, outputs, structure, inputs)
    fixed = [tensor.name for tensor in inputs]
    names, own = tensor_names(sheet, fixed)
    tensors = {old: Tensor(name, old.shape, old.dtype) for old, name in names.items()}
    letters = Letters([*fixed, *names.values()])
    for tensor in inputs:
        letters.axes(tensor.shape)
    statements = tuple(written(line, letters, tensors, line.tensor in own) for line in sheet.lines)
    constants = {names[tensor]: data for tensor, data in sheet.constants.items()}
    all_inputs = (*inputs, *(tensors[tensor] for tensor in sheet.constants))
    program = Program(all_inputs, statements, tuple(tensors[tensor] for tensor in outputs))
    return Traced(program, constants, structure)


def _output(sheet: Sheet, leaf: Any, inputs: Sequence[Tensor]) -> Tensor:
    """The tensor that holds an output: its statement, or a copy of what is no statement's own."""
    sheet.place = NOWHERE
    value = sheet.value(leaf)
    tensor = value.tensor
    if tensor is None or tensor in inputs or tensor in sheet.constants or tensor in sheet.returned:
        tensor = sheet.copied(value)
    sheet.returned[tensor] = None
    return tensor


def _name_by_final_variables(sheet: Sheet) -> None:
    """Names for values that no instruction was seen to store: ``a, b = x + 1, x * 2``."""
    for frame in sheet.frames.values():
        for name, held in own_variables(frame).items():
            if isinstance(held, Tracer) and held._pullback_sheet is sheet and name.isidentifier():
                sheet.name(held._pullback_value.tensor, name)


def _name_outputs(
    sheet: Sheet, outputs: Sequence[Tensor], structure: trees.Structure, inputs: Sequence[Tensor]
) -> None:
    """Names for outputs that no variable names: the key of a dict, or Y, and L for a scalar."""
    for tensor, path in zip(outputs, trees.paths(structure), strict=True):
        if tensor in sheet.wishes:
            continue
        if path and path[-1][0] in ("key", "attr") and str(path[-1][1]).isidentifier():
            sheet.defaults[tensor] = str(path[-1][1])
        else:
            sheet.defaults[tensor] = "Y" if tensor.shape else "L"
