"""The named sizes of a program whose values no input's shape gives."""

from __future__ import annotations

from collections.abc import Iterator

from ..ir.expr import Access, Arg, Divides, Inside, Opaque, Reduce, SizeOf, Tensor
from ..ir.program import Define
from ..ir.sizes import Size
from ..ir.subscripts import Index, Lookup, Quotient, Remainder, Subscript
from ..ir.walk import Tree, nodes, subscripts


def free_sizes(
    inputs: tuple[Tensor, ...], statements: tuple[Define, ...], stated: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The names, those of ``stated`` first, then in order of first occurrence."""
    given = solvable(inputs)
    found = dict.fromkeys(name for name in stated if name not in given)
    for form in program_sizes(inputs, statements):
        found.update(dict.fromkeys(name for name in form.names() if name not in given))
    return tuple(found)


def solvable(inputs: tuple[Tensor, ...]) -> dict[str, None]:
    """The names that the inputs' actual shapes give: by forms that are linear in one unknown."""
    forms = [form for tensor in inputs for form in tensor.shape]
    known: dict[str, None] = {}
    progress = True
    while progress:
        progress = False
        for form in forms:
            unknown = [name for name in form.names() if name not in known]
            if len(unknown) == 1 and _linear(form, unknown[0]):
                known[unknown[0]] = None
                progress = True
    return known


def _linear(form: Size, name: str) -> bool:
    """Whether a form is linear in a name, so that its value can be solved for."""
    own = [mono for mono, _ in form.terms if any(name in _names(atom) for atom in mono)]
    return (
        len(own) == 1
        and own[0].count(name) == 1
        and all(atom == name or name not in _names(atom) for atom in own[0])
    )


def _names(atom: object) -> tuple[str, ...]:
    if isinstance(atom, str):
        return (atom,)
    return (*atom.numerator.names(), *atom.denominator.names())  # type: ignore[attr-defined]


def program_sizes(inputs: tuple[Tensor, ...], statements: tuple[Define, ...]) -> Iterator[Size]:
    """Every size that a program mentions, those of the inputs first."""
    for tensor in inputs:
        yield from tensor.shape
    for statement in statements:
        yield from (index.extent for index in statement.indices)
        yield from tree_sizes(statement.body)


def tree_sizes(tree: Tree) -> Iterator[Size]:
    """Every size that an expression or condition mentions."""
    for node in nodes(tree):
        for sub in subscripts(node):
            yield from forms_in(sub)
        match node:
            case SizeOf(form) | Inside(_, form) | Divides(form, _):
                yield form
            case Access(tensor, _):
                yield from tensor.shape
            case Opaque(_, operands, _):
                for tensor in operands:
                    yield from tensor.shape
            case Reduce(_, indices, _, _) | Arg(_, indices, _, _, _):
                yield from (index.extent for index in indices)
            case _:
                pass


def forms_in(sub: Subscript) -> Iterator[Size]:
    """The sizes in a subscript."""
    yield sub.const
    for atom, n in sub.terms:
        yield n
        match atom:
            case Index(_, extent):
                yield extent
            case Quotient(value, divisor) | Remainder(value, divisor):
                yield divisor
                yield from forms_in(value)
            case Lookup(access):
                for inner in access.subs:
                    yield from forms_in(inner)
