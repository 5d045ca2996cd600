"""Tracing: a plain NumPy function is run once on tracers, which write down what is done to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from traceback import walk_tb
from typing import Any

import numpy as np

from .. import trees
from ..errors import LimitError, TraceError
from ..ir.expr import Expr, Tensor
from ..ir.program import Define, Program
from ..ir.sizes import size
from ..ir.walk import rename_tensors
from ..text import PRIVATE
from .calling import bound
from .extents import Extents, plain
from .memory import Memory
from .naming import Letters, tensor_names, written
from .nests import Nest, Values
from .operations import Tracer
from .places import NOWHERE, own_variables
from .record import PLAIN_ARRAYS, Line, Sheet
from .refusals import REAL_ONLY
from .standins import standing_in
from .values import FLOAT, dtype_name, of_tensor

__all__ = ["Spec", "Traced", "Tracer", "trace"]


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
    function used. ``constants`` holds those by name (traced arrays, where they are of an enclosing
    trace). ``structure`` tells how the program's outputs
    make up the function's result (see :mod:`pullback.trees`; :meth:`result` puts it together).
    ``steered``: the value of a Python float decided something, so the program is that of this
    value only. ``stored``: other bodies of the statements that stores made, as a selection of what
    was stored. ``turns``: where there are loops within loops, the statements with the turns that
    they were computed in; those that several turns share, once for each of these. Empty where the
    turns of loops can't be told. ``values``: those of the variables of loops in loops.
    """

    program: Program
    constants: Mapping[str, Any]
    structure: trees.Structure
    steered: bool = field(default=False, kw_only=True)
    stored: Mapping[Tensor, Expr] = field(default_factory=dict, kw_only=True, compare=False)
    turns: Sequence[tuple[Define, Nest]] = field(default=(), kw_only=True, compare=False)
    values: Values = field(default_factory=dict, kw_only=True, compare=False)

    def result(self, outputs: Sequence[Any]) -> Any:
        """What the function returns, given the values of the program's outputs."""
        return trees.unflatten(self.structure, outputs)


def trace(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    extents: Extents | None = None,
    *,
    closes_over: bool = False,
    known: Mapping[str, Any] | None = None,
    asked: dict[str, bool] | None = None,
    spelled: bool = False,
) -> Traced:
    """The program that a plain NumPy function computes, for arguments of these shapes.

    ``arguments`` maps parameter names to arrays, :class:`Spec` s, or nested dicts, lists, tuples
    and dataclasses of them; Python floats are traced as 0-d arrays; ints, bools, strings and None
    are passed as they are. The arrays' values are not looked at. Where the function
    ``closes_over`` arrays of a trace that is running, these traced arrays stand among the
    constants. Raises TraceError, naming the source line, for what can't be traced.
    ``extents`` tell the forms of extents in named sizes, and take note of what they are compared
    with. ``known`` are values of numbers among the arguments, which the function may ask for
    (``if rate > 0``). ``asked`` holds names of arguments; where the values of one are asked for,
    which is refused, it is set to True. Where constants are to be ``spelled``, arrays that NumPy
    makes of sizes (``np.arange``) are traced, as what is computed from them is, so that it is known
    how it is made. The function runs once.

    >>> traced = trace(lambda X, w: X @ w, {"X": Spec((3, 2)), "w": Spec((2,))})
    >>> [tensor.name for tensor in traced.program.inputs], len(traced.program.statements)
    (['X', 'w'], 1)
    """
    sheet = Sheet(extents)
    sheet.closes_over, sheet.spelled = closes_over, spelled
    sheet.asked = {} if asked is None else asked
    try:
        with sheet.running(), standing_in(sheet, function):
            return _traced(sheet, function, arguments, known or {})
    except RecursionError as error:
        if _is_own(error):
            raise _too_deep() from error
        raise


def _traced(
    sheet: Sheet,
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    known: Mapping[str, Any],
) -> Traced:
    leaves, names, structures = _flat_arguments(arguments)
    letters = Letters(names)
    inputs = [_input(sheet, name, leaf, letters) for name, leaf in zip(names, leaves, strict=True)]
    for name, handle in zip(names, inputs, strict=True):
        if name in known:
            sheet.numbers[handle._pullback_value.tensor] = known[name]
    tensors = [handle._pullback_value.tensor for handle in inputs]
    sheet.watched = {t: name for name, t in zip(names, tensors, strict=True) if name in sheet.asked}
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
    return _finished(sheet, [t for t in tensors if t is not None], plain(result))


def _is_own(error: RecursionError) -> bool:
    """Whether the calls that nest too deeply are those of this package."""
    names = [str(frame.f_globals.get("__name__", "")) for frame, _ in walk_tb(error.__traceback__)]
    return sum(name.startswith("pullback.") for name in names[-200:]) > 100


def _too_deep() -> LimitError:
    return LimitError(
        "a value in the function is nested too deeply",
        expected="lists and expressions that nest at most some hundred times",
        hint="does a list contain itself?",
    )


def _flat_arguments(
    arguments: Mapping[str, Any],
) -> tuple[list[Any], list[str], dict[str, trees.Structure]]:
    leaves: list[Any] = []
    names: list[str] = []
    structures: dict[str, trees.Structure] = {}
    for name, tree in arguments.items():
        own, structures[name] = trees.flatten(
            tree, name, lambda leaf: isinstance(leaf, Spec) or _is_leaf(leaf)
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
    tensor = Tensor(name, tuple(map(size, shape)), dtype_name(dtype))
    value = replace(of_tensor(tensor, axes), weak=weak)
    is_array = isinstance(leaf, np.ndarray | Spec)
    return Tracer(sheet, value, Memory(sheet, value, argument=is_array, scalar=not is_array))


def _call(function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """The function's result. (Its frame is where the search for the user's code ends.)"""
    positional, keywords = bound(function, given)
    return function(*positional, **keywords)


def _finished(sheet: Sheet, inputs: list[Tensor], result: Any) -> Traced:
    """The program, once everything has its final name."""
    sheet.nest = ()
    _name_by_final_variables(sheet)
    leaves, structure = trees.flatten(
        result,
        "the result",
        _is_leaf,
    )
    outputs = [_output(sheet, leaf, inputs) for leaf in leaves]
    _name_outputs(sheet, outputs, structure, inputs)
    every = sheet.lines
    sheet.lines, same = _without_repeats(sheet) if sheet.repeats else (every, {})
    outputs = [same.get(t, t) for t in outputs]
    fixed = [tensor.name for tensor in inputs]
    names, own = tensor_names(sheet, fixed)
    names |= {
        t: f"{names[first].split(PRIVATE)[0]}{PRIVATE}again{n}"
        for n, (t, first) in enumerate(same.items())
    }
    tensors = {old: Tensor(name, old.shape, old.dtype) for old, name in names.items()}
    letters = Letters([*fixed, *names.values()])
    for tensor in inputs:
        letters.axes(tensor.shape)

    def lines(some: Sequence[Line]) -> tuple[Define, ...]:
        first = (same.get(line.tensor, line.tensor) for line in some)
        return tuple(
            written(line, letters, tensors, t in own) for line, t in zip(some, first, strict=True)
        )

    statements = lines(sheet.lines)
    constants = {names[tensor]: data for tensor, data in sheet.constants.items()}
    all_inputs = (*inputs, *(tensors[tensor] for tensor in sheet.constants))
    program = Program(all_inputs, statements, tuple(tensors[tensor] for tensor in outputs))
    stored = {
        tensors[line.tensor]: written(replace(line, body=line.stored), letters, tensors, True).body
        for line in (*every, *sheet.lines)
        if line.stored is not None
    }
    nests = [line.nest for line in every] if sheet.nests.known else []
    deep = any(len(nest) > 1 for nest in nests)
    turns = [*zip(lines(every), nests, strict=True)] if deep else []
    return Traced(
        program,
        constants,
        structure,
        steered=sheet.steered,
        stored=stored,
        turns=turns,
        values=sheet.nests.values if deep else {},
    )


def _without_repeats(sheet: Sheet) -> tuple[list[Line], dict[Tensor, Tensor]]:
    """The statements without those that are another one again, and what these are."""
    known: dict[tuple[Any, ...], Tensor] = {}
    same: dict[Tensor, Tensor] = {}
    out: list[Line] = []
    for line in sheet.lines:
        body: Expr = rename_tensors(line.body, same)  # type: ignore[assignment]
        key = line.tensor.shape, line.tensor.dtype, body
        first = line.tensor if line.is_copy else known.setdefault(key, line.tensor)
        if first is not line.tensor and not {line.tensor, first} <= sheet.returned.keys():
            same[line.tensor] = first
            sheet.name(first, sheet.wishes.pop(line.tensor, ""))
            if line.tensor in sheet.defaults:
                sheet.defaults.setdefault(first, sheet.defaults.pop(line.tensor))
            continue
        stored: Any = None if line.stored is None else rename_tensors(line.stored, same)
        out.append(replace(line, body=body, stored=stored))
    return out, same


def _is_leaf(value: Any) -> bool:
    """Whether a value is one real array."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind != "c"
    return isinstance(value, Tracer)


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
