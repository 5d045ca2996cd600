"""Gradients derived once more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..derivation import Derivation, register_service, shape_text
from ..derivation.fragment import slopes
from ..derivation.gradient import Gradient
from ..errors import ArgumentError
from ..ir.expr import Tensor
from ..ir.program import Define, Program, live
from ..ir.walk import rename_tensors
from ..notation.program_sizes import free_sizes
from ..runtime.calls import check_argnums
from ..runtime.derived import Derived, Origin
from ..runtime.formulas import asked_for, derived_from
from ..runtime.notated import Formula, text_formula
from ..text import nearest
from ..trees import Leaf, Structure


def derive_gradient(
    gradient: Gradient,
    wrt: Any,
    of: str | None,
    conventions: Mapping[str, str] | None,
    shapes: Mapping[str, Any],
) -> Derived:
    """The derivation of a gradient's program; see ``Gradient.derive``."""
    first = gradient.derivation
    origin = first.origin if isinstance(first, Derived) else _origin(first)
    structure: Structure = Leaf.ARRAY
    if of is None:
        if shapes:
            raise ArgumentError(
                "there is nothing to give shapes for",
                expected="shapes of what the text for of=... reads",
                found=", ".join(shapes),
            )
        program = gradient.program
    else:
        program, structure = _continued(gradient, of, shapes)
    program = _constants_last(program, first.backward.program, len(origin.constants))
    before = len(first.backward.program.inputs) - len(origin.constants)
    added = program.inputs[before : len(program.inputs) - len(origin.constants)]
    parameters = (*origin.parameters, *((t.name, Leaf.ARRAY) for t in added))
    asked = asked_for(parameters, program, None if wrt is None else check_argnums(wrt)[0])
    made = derived_from(
        program,
        tuple(t for _, _, tensors in asked for t in tensors),
        first.conventions if conventions is None else conventions,
        {n: v for n, v in first.sizes.items() if n in _names(program)},
        replace(
            origin,
            parameters=parameters,
            structure=structure,
            asked=tuple((name, tree) for name, tree, _ in asked),
            beyond=None,
            examples={},
        ),
    )
    whole = gradient.whole
    values = {t.name for t in (*whole.inputs, *(s.target for s in whole.statements))}
    known = {
        "assumptions": first.assumptions,
        "asserted": first.asserted,
        "said": first.said,
        "slopes": {name: slope for name, slope in slopes(first).items() if name in values},
    }
    return replace(made, **known)  # type: ignore[arg-type]


def _origin(derivation: Derivation) -> Origin:
    """That of a derivation of a bare program."""
    parameters = tuple((t.name, Leaf.ARRAY) for t in derivation.backward.program.inputs)
    return Origin(parameters, Leaf.ARRAY, (), notated=True)


def _names(program: Program) -> list[str]:
    return [*program.sizes, *(n for t in program.inputs for e in t.shape for n in e.names())]


def _constants_last(program: Program, first: Program, constants: int) -> Program:
    """The program with the arrays that a function captured as its last inputs, as compiled
    functions expect them."""
    hidden = first.inputs[len(first.inputs) - constants :]
    inputs = (*(t for t in program.inputs if t not in hidden), *hidden)
    return replace(program, inputs=inputs)


def _continued(
    gradient: Gradient, text: str, shapes: Mapping[str, Any]
) -> tuple[Program, Structure]:
    """The gradient's program with a text behind it, which reads the program's values by their
    names; and the structure of what the text gives."""
    program = gradient.whole
    known = {t.name: t for t in (*program.inputs, *(s.target for s in program.statements))}
    parts = {name: [_part(extent) for extent in t.shape] for name, t in known.items()}
    for name in shapes:
        if name in known:
            raise ArgumentError(
                f"the shape of {name} is known", expected=str(known[name].shape), found=name
            )
    more = _read_by(text, parts, shapes)
    names: dict[Tensor, Tensor] = {}
    for tensor in more.program.inputs:
        if tensor.name not in known:
            continue
        own = known[tensor.name]
        if tensor.kind != own.kind and "float" in (tensor.kind, own.kind) and tensor.dtype:
            raise ArgumentError(
                f"{tensor.name} is of another kind", expected=own.dtype, found=tensor.dtype
            )
        names[tensor] = own
    taken = set(known)
    for s in more.program.statements:
        name = s.target.name
        if name in taken and s.user:
            raise ArgumentError(
                f"{name} is defined already", expected="a name of its own", found=name
            )
        while name in taken:
            name += "_"
        taken.add(name)
        dtype = gradient.dtype if s.target.dtype == "float" else s.target.dtype
        names[s.target] = Tensor(name, s.target.shape, dtype)
    read = [own for tensor, own in names.items() if tensor in more.program.inputs]
    _check_read(gradient, read, [t.name for t in more.program.inputs])
    behind = [
        replace(s, target=names[s.target], body=rename_tensors(s.body, names))  # type: ignore[arg-type]
        for s in more.program.statements
    ]
    new = tuple(t for t in more.program.inputs if t not in names)
    inputs = (*program.inputs, *new)
    statements: tuple[Define, ...] = (*program.statements, *behind)
    outputs = tuple(names.get(t, t) for t in more.program.outputs)
    whole = live(Program(inputs, statements, outputs))
    stated = (*program.sizes, *more.program.sizes)
    sizes = free_sizes(whole.inputs, whole.statements, stated)
    return replace(whole, sizes=sizes), more.structure


def _check_read(gradient: Gradient, found: Iterable[Tensor], named: Sequence[str]) -> None:
    """Refuses a text that reads no gradient: a misspelt name would be an input of its own, and
    whatever is derived by the others 0."""
    passes = gradient.derivation.backward
    backward = {gradient.tensor, *(s.target for s in passes.statements)}
    if any(tensor in backward for tensor in found):
        return
    alike = any(nearest(name, [gradient.name]) for name in named)
    raise ArgumentError(
        f"of= doesn't read the gradient {gradient.name}",
        where="of",
        expected=f"index notation that reads {gradient.name} of shape {shape_text(gradient.shape)}",
        found=f"one that reads {', '.join(named) or 'nothing'}",
        hint=f"did you mean {gradient.name}?" if alike else "",
    )


def _part(extent: Any) -> int | str:
    return str(extent) if extent.literal is None else int(extent.literal)


def _read_by(text: str, known: Mapping[str, list[int | str]], shapes: Mapping[str, Any]) -> Formula:
    """The text as a program whose inputs have the shapes that are known."""
    from ..notation.parse import inputs_read

    if not isinstance(text, str):
        raise ArgumentError(
            "what is computed from the gradient is index notation",
            expected="a text",
            found=f"a {type(text).__name__}",
        )
    scalars = [name for name, shape in known.items() if not shape]
    read = inputs_read(text, scalars)
    return text_formula(text, {**{n: known[n] for n in read if n in known}, **shapes})


register_service("derive_gradient", derive_gradient)
