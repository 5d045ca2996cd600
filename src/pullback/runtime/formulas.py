"""From index notation to a derivation, and what is differentiated by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..calculus.reverse import reverse
from ..derivation.assumptions import Assumption, line_of
from ..errors import ArgumentError
from ..ir.expr import Tensor
from ..ir.program import Program
from ..opaque import assumed
from ..trees import Branch, Leaf, Structure, distinct, flatten, leaf_name, paths
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
    found = asked_for(parameters, program, wanted)
    named = tuple((n, s) for n, s, _ in found)
    origin = Origin(parameters, formula.structure, named, notated=True)
    wrt = tuple(t for _, _, tensors in found for t in tensors)
    made = derived_from(program, wrt, conventions, sizes, origin)
    choices = assumed(program.statements)
    every = [
        Assumption(str(one.condition), line_of(one.source), "asserted in the source")
        for one in choices
    ]
    return replace(made, assumptions=tuple(every), asserted=choices) if choices else made


def derived_from(
    program: Program,
    wrt: tuple[Tensor, ...],
    conventions: Mapping[str, str],
    sizes: Mapping[str, int],
    origin: Origin,
) -> Derived:
    """The derivation of a program; ArgumentError for values of sizes that it doesn't have."""
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
# What to differentiate by

_Asked = tuple[str, Structure, tuple[Tensor, ...]]


def asked_for(
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
