"""From a function or a text, and shapes, to a derivation."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..calculus.reverse import reverse
from ..errors import ArgumentError
from ..ir.expr import Tensor
from ..ir.program import Program
from ..trace.annotations import Spec, annotated, spec
from ..trace.named import trace_named
from ..trees import (
    Branch,
    Leaf,
    Structure,
    distinct,
    flatten,
    leaf_name,
    paths,
)
from .derived import Derived, Origin
from .notated import Formula

Wanted = Sequence["int | str"] | None


def derive_formula(
    formula: Formula,
    wanted: Wanted,
    conventions: Mapping[str, str],
    sizes: Mapping[str, int],
) -> Derived:
    """The derivation of index notation."""
    program = formula.program
    parameters = tuple((name, Leaf.ARRAY) for name in formula.inputs)
    asked = _asked(parameters, program, wanted)
    origin = Origin(parameters, formula.structure, tuple((n, s) for n, s, _ in asked))
    wrt = tuple(t for _, _, tensors in asked for t in tensors)
    return _derived(program, wrt, conventions, sizes, origin)


def derive_function(
    function: Callable[..., Any],
    wanted: Wanted,
    conventions: Mapping[str, str],
    sizes: Mapping[str, int],
    shapes: Mapping[str, Any],
) -> Derived:
    """The derivation of a NumPy function, with named sizes where the shapes have names."""
    specs, statics = _arguments(function, shapes)
    traced = trace_named(function, specs, statics)
    parameters = tuple(
        (name, flatten(tree, name, _is_spec)[1]) for name, tree in _ordered(function, specs)
    )
    asked = _asked(parameters, traced.program, wanted)
    constants = [t for t in traced.program.inputs if t.name in traced.constants]
    origin = Origin(
        parameters,
        traced.structure,
        tuple((name, structure) for name, structure, _ in asked),
        tuple(traced.constants[t.name] for t in constants),
        traced.agrees,
    )
    wrt = tuple(t for _, _, tensors in asked for t in tensors)
    return _derived(traced.program, wrt, conventions, sizes, origin)


def _derived(
    program: Program,
    wrt: tuple[Tensor, ...],
    conventions: Mapping[str, str],
    sizes: Mapping[str, int],
    origin: Origin,
) -> Derived:
    known = dict.fromkeys(n for t in program.inputs for e in t.shape for n in e.names())
    for name in sizes:
        if name not in known and name not in program.sizes:
            raise ArgumentError(
                f"there is no size {name}",
                expected=f"one of {', '.join((*known, *program.sizes)) or 'none: all are numbers'}",
                found=name,
            )
    backward = reverse(program, wrt, dict(conventions))
    floats = {t.dtype for t in program.inputs if t.kind == "float"}
    dtype = "float32" if floats == {"float32"} else "float64"
    return Derived(backward, dict(conventions), dict(sizes), dtype, origin=origin)


# --------------------------------------------------------------------------------------------------
# Arguments


def _arguments(
    function: Callable[..., Any], shapes: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is known of each argument: trees of specs, and static values."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {name: _spec(shape, name) for name, shape in shapes.items()}, {}
    extra = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    unknown = [name for name in shapes if name not in parameters and not extra]
    if unknown:
        raise ArgumentError(
            f"the function has no parameter {unknown[0]}",
            expected=f"one of {', '.join(parameters)}",
            found=unknown[0],
        )
    given = {**annotated(function), **shapes}
    missing = [
        p.name
        for p in parameters.values()
        if p.name not in given
        and p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if missing:
        first = missing[0]
        raise ArgumentError(
            f"no shape is given for {', '.join(missing)}",
            expected="a shape, an example array, or an annotation for each parameter",
            hint=f'name the sizes of {first}: {first}="N D" (on the command line '
            f'--shape {first}="N D"); {first}="" is a scalar',
        )
    statics = {name: value for name, value in given.items() if _is_static(value)}
    specs = {name: _spec(value, name) for name, value in given.items() if name not in statics}
    return specs, statics


def _is_static(value: Any) -> bool:
    return value is None or isinstance(value, bool | int) or callable(value)


def _spec(value: Any, where: str) -> Any:
    """A tree of specs from shapes, example arrays and containers of them."""
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "fiub":
            flatten(value, where)  # refuses it
        return Spec(spec(tuple(value.shape)).shape, value.dtype.name)
    if isinstance(value, float):
        return spec("")
    if isinstance(value, dict):
        return {key: _spec(part, f"{where}[{key!r}]") for key, part in value.items()}
    if isinstance(value, list | tuple) and not _is_shape(value):
        parts = [_spec(part, f"{where}[{n}]") for n, part in enumerate(value)]
        return _like(value, parts)
    if dataclasses.is_dataclass(value) and not isinstance(value, Spec):
        raise ArgumentError(
            "shapes inside a dataclass can't be told to derive yet",
            where=f"argument {where}",
            found=f"a {type(value).__name__}",
            hint="pass its arrays in a dict; grad and vjp take dataclasses",
        )
    return spec(value, where)


def _like(value: Any, parts: list[Any]) -> Any:
    if hasattr(value, "_make"):
        raise ArgumentError(
            "shapes inside a named tuple can't be told to derive yet",
            found=f"a {type(value).__name__}",
            hint="pass them in a tuple or a dict; grad and vjp take named tuples",
        )
    return type(value)(parts)


def _is_shape(value: Sequence[Any]) -> bool:
    """Whether a tuple or list is a shape, (64, "D"), rather than a container of shapes."""
    return all(
        isinstance(part, int | np.integer) or (isinstance(part, str) and " " not in part.strip())
        for part in value
    ) and (isinstance(value, tuple) or not value or isinstance(value[0], int))


def _is_spec(value: Any) -> bool:
    return isinstance(value, Spec)


def _ordered(function: Callable[..., Any], specs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The arguments in the order of the parameters."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = []
    known = [name for name in names if name in specs]
    yield from ((name, specs[name]) for name in dict.fromkeys((*known, *specs)))


# --------------------------------------------------------------------------------------------------
# What to differentiate by

_Asked = tuple[str, Structure, tuple[Tensor, ...]]


def _asked(
    parameters: Sequence[tuple[str, Structure]], program: Program, wanted: Wanted
) -> list[_Asked]:
    """The arguments asked for: a name, the tree of its gradient, and its float inputs."""
    leaves = [(name, path) for name, structure in parameters for path in paths(structure)]
    names = distinct(leaf_name(name, path) for name, path in leaves)
    tensors = dict(zip(names, program.inputs, strict=False))
    found: dict[str, _Asked] = {}
    for name, structure in parameters:
        own = [n for n, (of, _) in zip(names, leaves, strict=True) if of == name]
        floats = tuple(tensors[n] for n in own if tensors[n].kind == "float")
        if floats:
            found[name] = name, _only_floats(structure, [tensors[n] for n in own]), floats
    if wanted is None:
        if not found:
            raise ArgumentError(
                "there is nothing to differentiate by", expected="an input of floats"
            )
        return list(found.values())
    asked = [_one(item, parameters, found, tensors) for item in wanted]
    every = [tensor for _, _, own in asked for tensor in own]
    twice = next((t.name for n, t in enumerate(every) if t in every[:n]), "")
    if twice:
        raise ArgumentError(f"{twice} is asked for twice", hint="name each input once")
    return asked


def _one(
    item: int | str,
    parameters: Sequence[tuple[str, Structure]],
    found: Mapping[str, _Asked],
    tensors: Mapping[str, Tensor],
) -> _Asked:
    if isinstance(item, int) and -len(parameters) <= item < len(parameters):
        item = parameters[item][0]
    if item in found:
        return found[item]  # type: ignore[index]
    tensor = tensors.get(item)  # type: ignore[arg-type]
    if tensor is not None and tensor.kind == "float":
        return tensor.name, Leaf.ARRAY, (tensor,)
    known = [*found, *(name for name, t in tensors.items() if t.kind == "float")]
    raise ArgumentError(
        f"{item!r} can't be differentiated by"
        if item in tensors
        else f"there is no input {item!r} to differentiate by",
        expected=f"one of {', '.join(dict.fromkeys(known)) or 'none: there are no floats'}",
        found=f"{item} of dtype {tensor.dtype}" if tensor is not None else repr(item),
    )


def _only_floats(structure: Structure, tensors: Sequence[Tensor]) -> Structure:
    """The tree of an argument's gradient: None in the place of what is no float."""
    places: list[Any] = [Leaf.ARRAY if t.kind == "float" else None for t in tensors]
    return _pruned(structure, iter(places))


def _pruned(structure: Structure, places: Iterator[Any]) -> Structure:
    if isinstance(structure, Leaf):
        kept = next(places)
        return flatten(None)[1] if kept is None else kept
    if isinstance(structure, Branch):
        children = tuple(_pruned(child, places) for child in structure.children)
        return Branch(structure.make, structure.steps, children)
    return structure
