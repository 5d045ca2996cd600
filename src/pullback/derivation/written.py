"""The forward pass as its author would write it: parts without a name put in place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import chain

from ..ir.expr import Access, Add, Arg, Expr, Mul, Reduce, Tensor
from ..ir.program import Define, Program, live, reads
from ..ir.recurrence import read_ahead
from ..ir.subscripts import at
from ..ir.walk import (
    Tree,
    bound_indices,
    children,
    free_indices,
    fresh,
    lookups,
    map_tensors,
    nodes,
    rebuild,
    subscripts,
    substitute,
)

# Nodes of a statement above which no part is put in place.
LARGEST = 60


def written(program: Program, keep: Collection[Tensor] = ()) -> Program:
    """The program with every part put where it is read, if that is one place.

    A part is a float that the user has no name for. Outputs, what ``keep`` names and what serves
    as a subscript stay statements of their own.
    """
    parts: dict[Tensor, Define] = {}
    statements: list[Define] = []
    places = _places(program)
    keep = {*keep, *read_ahead(program.statements)}
    for s in program.statements:
        placed = _placed(s, parts)
        whole = placed if size_of(placed.body) <= LARGEST else s
        used = {t for t in reads(whole) if t in parts}
        statements += [parts.pop(t) for t in parts.copy() if t in used]
        if _is_part(s, program, keep) and places.get(s.target) == 1:
            parts[s.target] = whole
        else:
            statements.append(whole)
    return live(Program(program.inputs, tuple(statements), program.outputs, program.sizes))


def size_of(body: Expr) -> int:
    """How many nodes an expression has."""
    return sum(1 for _ in nodes(body))


def apart(node: Tree, taken: Collection[str]) -> Tree:
    """The same value with its bound indices named otherwise than ``taken``."""
    if isinstance(node, Reduce | Arg) and any(i.name in taken for i in node.indices):
        names = {*taken, *(i.name for i in (*bound_indices(node), *free_indices(node)))}
        renamed = tuple(fresh(i, names) if i.name in taken else i for i in node.indices)
        moved = {i: at(j) for i, j in zip(node.indices, renamed, strict=True)}
        *domain, body = (substitute(child, moved) for child in children(node))
        node = replace(node, indices=renamed, domain=tuple(domain), body=body)  # type: ignore[arg-type]
    return rebuild(node, tuple(apart(child, taken) for child in children(node)))


def joined(tree: Tree) -> Tree:
    """A sum of sums as one sum, a product of products as one product."""
    match tree:
        case Add(terms):
            sums = (part.terms if isinstance(part, Add) else (part,) for part in terms)
            return Add(tuple(chain.from_iterable(sums)))
        case Mul(factors):
            products = (part.factors if isinstance(part, Mul) else (part,) for part in factors)
            return Mul(tuple(chain.from_iterable(products)))
        case _:
            return tree


def _is_part(statement: Define, program: Program, keep: Collection[Tensor]) -> bool:
    target = statement.target
    named = statement.user or target in keep or target in program.outputs
    return not named and target.kind == "float"


def _places(program: Program) -> dict[Tensor, int]:
    """How often every tensor is read; as a subscript counts for many."""
    found: dict[Tensor, int] = {}
    for s in program.statements:
        for node in nodes(s.body):
            for tensor in _read(node):
                found[tensor] = found.get(tensor, 0) + 1
            for sub in subscripts(node):
                for access in lookups(sub):
                    found[access.tensor] = found.get(access.tensor, 0) + 2
        if isinstance(s.body, Access):
            found[s.body.tensor] = found.get(s.body.tensor, 0) + 1
    return found


def _read(node: Tree) -> list[Tensor]:
    return [child.tensor for child in children(node) if isinstance(child, Access)]


def _placed(statement: Define, parts: dict[Tensor, Define]) -> Define:
    """The statement with the parts that it reads put in place."""

    taken = {i.name for i in statement.indices}

    def place(access: Access) -> Expr:
        part = parts.get(access.tensor)
        if part is None:
            return access
        moved = dict(zip(part.indices, access.subs, strict=True))
        return substitute(apart(part.body, taken), moved)  # type: ignore[return-value]

    body: Expr = map_tensors(statement.body, place)  # type: ignore[assignment]
    if body is statement.body:
        return statement
    return Define(statement.target, statement.indices, body, statement.source, statement.user)
