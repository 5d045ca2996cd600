"""Tracing a function whose arguments have named sizes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import ceil
from types import CodeType
from typing import Any

import numpy as np

from ..errors import PullbackError
from ..ir.size_conditions import Choice
from ..trees import Branch
from .annotations import Spec, annotated, spec
from .extents import Extents, extents_of
from .generalise import Named, Unwritten, generalise
from .lettering import Letters
from .tracer import Spec as Plain
from .tracer import Traced, trace

DTYPES = {"float": "float64", "int": "int64"}
DEEPEST = 3
CHECKED = (7, 20)  # sizes at which the numbers of constants are compared with their formulas
LARGEST, MOST_PARTS = 10**9, 100  # of the numbers and the parts that are looked at
NUMBERS = (int, float, np.integer, np.floating, tuple, list, dict, set, frozenset)


def trace_named(
    function: Callable[..., Any], specs: Mapping[str, Any], statics: Mapping[str, Any] = {}
) -> Named:
    """The program that a plain NumPy function computes, for arguments with named sizes.

    ``specs`` gives shapes (``X="N D"``, see :func:`pullback.trace.annotations.spec`), also in
    nested dicts, and in lists and tuples of them; what is missing there is read from the function's
    annotations. ``statics`` are other arguments, passed as they are. Raises TraceError where the
    function isn't of one form for all sizes.

    >>> traced = trace_named(lambda X, W: X @ W, {"X": "N D", "W": "D M"})
    >>> [str(extent) for extent in traced.program.outputs[0].shape]
    ['N', 'M']
    """
    given = {**annotated(function), **specs}
    shapes = {
        name: _specs(tree, f"argument {name}")
        for name, tree in given.items()
        if name not in statics
    }
    leaves = list(_leaves(shapes))
    names = tuple(dict.fromkeys(name for leaf in leaves for name in leaf.names))
    letters = Letters(names, list(shapes))

    def at(
        sizes: Mapping[str, int], extents: Extents | None = None, spelled: bool = False
    ) -> Traced:
        arguments = {name: _plain(tree, sizes, letters) for name, tree in shapes.items()}
        ordered = _ordered(function, {**arguments, **statics})
        return trace(function, ordered, extents, spelled=spelled)

    def search(spelled: bool) -> Named:
        def notes(sizes: Mapping[str, int]) -> tuple[Choice, ...]:
            extents = extents_of([leaf.shape for leaf in leaves], sizes)
            at(sizes, extents, spelled)
            return tuple(extents.choices)

        return generalise(
            lambda sizes: at(sizes, None, spelled),
            names,
            avoid=literals,
            thresholds=plain,
            literals=numbers,
            notes=notes,
        )

    literals = [n.literal for leaf in leaves for n in leaf.shape if n.literal is not None]
    numbers = _numbers(function)
    plain = [n for n, in_sight in numbers.items() if in_sight]
    try:
        return search(spelled=False)
    except Unwritten as error:
        # what the constant is made of may have a formula where its numbers have none that is found
        try:
            found = search(spelled=True)
        except PullbackError:
            raise error from None
        checked = replace(found, found=replace(found.found, by_value=at))
        for n in CHECKED:
            sizes = {name: n + k for k, name in enumerate(names)}
            if not checked.agrees(sizes):
                raise error from None
        return checked


def _specs(tree: Any, where: str) -> Any:
    """The nested arguments with a Spec for each array."""
    if isinstance(tree, Mapping):
        return {key: _specs(part, f"{where}[{key!r}]") for key, part in tree.items()}
    nested = (Mapping, Spec, list, tuple)
    if isinstance(tree, list | tuple) and any(isinstance(part, nested) for part in tree):
        return type(tree)(_specs(part, f"{where}[{k}]") for k, part in enumerate(tree))
    return spec(tree, where)


def _leaves(tree: Any) -> Iterator[Spec]:
    match tree:
        case Spec():
            yield tree
        case Mapping():
            for part in tree.values():
                yield from _leaves(part)
        case list() | tuple():
            for part in tree:
                yield from _leaves(part)


def _plain(tree: Any, sizes: Mapping[str, int], letters: Letters) -> Any:
    match tree:
        case Spec(shape, dtype):
            return Plain(tree.at(sizes), DTYPES.get(dtype, dtype), letters.axes(shape))
        case Mapping():
            return {key: _plain(part, sizes, letters) for key, part in tree.items()}
        case _:
            return type(tree)(_plain(part, sizes, letters) for part in tree)


def _ordered(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments in the order of the parameters."""
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return dict(arguments)
    known = [name for name in parameters if name in arguments]
    return {name: arguments[name] for name in (*known, *arguments)}


def _numbers(function: Callable[..., Any]) -> dict[int, bool]:
    """Whole numbers that sizes may be compared with, and whether each is an int in plain sight.

    Looked at are a function's code, defaults and closure, and what it calls of its own module. Not
    in plain sight are floats, NumPy's numbers, lengths of tables, what tables and objects hold.
    """
    found: dict[int, bool] = {}
    seen: set[Any] = set()

    def add(value: float, plain: bool) -> None:
        if abs(value) < LARGEST:
            found[ceil(value)] = found.get(ceil(value), False) or plain

    def look(value: Any, depth: int, plain: bool = True) -> None:
        if isinstance(value, bool | np.timedelta64) or depth > DEEPEST:
            return
        if isinstance(value, int):
            add(value, plain)
        elif isinstance(value, float | np.integer | np.floating):
            add(float(value), False)
        elif isinstance(value, Branch):  # an argument's place among others is no size
            look(value.children, depth)
        elif isinstance(value, tuple | list | slice):
            parts = (value.start, value.stop) if isinstance(value, slice) else value
            for part in parts[:MOST_PARTS]:
                look(part, depth, plain)
        elif isinstance(value, dict | set | frozenset):
            held = [*value, *(value.values() if isinstance(value, dict) else ())]
            for part in held[:MOST_PARTS]:
                look(part, depth + 1, False)
        elif isinstance(value, CodeType):
            for constant in value.co_consts:
                look(constant, depth)
        elif inspect.isfunction(value) and value not in seen:
            seen.add(value)
            look_into(value, depth)
        elif inspect.ismethod(value):
            look(value.__func__, depth)
            look_at_object(value.__self__, depth)

    def look_into(function: Any, depth: int) -> None:
        look(function.__code__, depth)
        look(function.__defaults__, depth)
        closure = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
        names = [name for name in function.__code__.co_names if name in function.__globals__]
        for part in (*closure, *(function.__globals__[name] for name in names)):
            if isinstance(part, tuple | list | dict | set | frozenset):
                look(len(part), depth, False)
            own = getattr(part, "__module__", None) == function.__module__
            if own or isinstance(part, NUMBERS):
                look(part, depth + 1)
            if own:
                look_at_object(part, depth + 1)

    def look_at_object(value: Any, depth: int) -> None:
        if not inspect.isfunction(value):
            held = {**getattr(type(value), "__dict__", {}), **getattr(value, "__dict__", {})}
            for part in held.values():
                if isinstance(part, NUMBERS):
                    look(part, depth, False)

    look(inspect.unwrap(function), 0)
    return found


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
