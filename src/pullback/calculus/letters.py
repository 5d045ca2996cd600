"""Index letters for people: the engine's own names are replaced by the letters of the user's
program."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ..ir.expr import Arg, Expr, Reduce, Tensor
from ..ir.program import Define, Program
from ..ir.subscripts import Index, at
from ..ir.walk import Tree, accesses, children, nodes, rebuild, substitute

SPARE = "ijklabcdefghmnopqrstuvwxyz"


def hints(program: Program) -> dict[Tensor, tuple[str, ...]]:
    """The letter of every axis of every tensor, as the program's statements use them."""
    found: dict[Tensor, list[str]] = {}
    for s in program.statements:
        found[s.target] = [i.name for i in s.indices]
    for s in program.statements:
        for access in accesses(s.body):
            names = found.setdefault(access.tensor, [""] * len(access.subs))
            for k, sub in enumerate(access.subs):
                if not names[k] and sub.index is not None and sub.index.name not in names:
                    names[k] = sub.index.name
    for tensor in program.inputs:
        found.setdefault(tensor, [""] * len(tensor.shape))
    return {tensor: tuple(_filled(tensor, names)) for tensor, names in found.items()}


def _filled(tensor: Tensor, names: Sequence[str]) -> list[str]:
    out = list(names)
    for k, extent in enumerate(tensor.shape):
        if out[k]:
            continue
        own = str(extent).lower()
        options = [own] if own.isalpha() and len(own) == 1 else []
        out[k] = next(c for c in [*options, *SPARE, *(f"i{n}" for n in range(99))] if c not in out)
    return out


def lettered(statement: Define, letters: Mapping[Tensor, tuple[str, ...]], of: Tensor) -> Define:
    """The statement with its free indices named after ``of``'s axes and its bound indices after
    theirs."""
    wanted = letters.get(of) or tuple(_filled(of, [""] * len(of.shape)))
    free = {
        old: Index(name, old.extent) for old, name in zip(statement.indices, wanted, strict=True)
    }
    return Define(
        statement.target,
        tuple(free.values()),
        spell_indices(statement.body, free, letters),
        statement.source,
        statement.user,
        None if statement.scatter is None else spell_indices(statement.scatter, free, letters),
        statement.of,
    )


def spell_indices(
    body: Expr, free: Mapping[Index, Index], letters: Mapping[Tensor, tuple[str, ...]]
) -> Expr:
    """An expression with free indices renamed as given and bound ones to letters of their axes.

    Sums that don't stand inside one another may use the same letter.
    """

    moved = {old: at(new) for old, new in free.items() if old is not new}
    scope = frozenset(index.name for index in free.values())
    return _spelled(substitute(body, moved), scope, letters)  # type: ignore[return-value]


def _spelled(tree: Tree, scope: frozenset[str], letters: Mapping[Tensor, tuple[str, ...]]) -> Tree:
    if not isinstance(tree, Reduce | Arg):
        return rebuild(tree, tuple([_spelled(c, scope, letters) for c in children(tree)]))
    names: dict[Index, Index] = {}
    for index in tree.indices:
        taken = scope | {other.name for other in names.values()}
        names[index] = Index(_letter(index, tree.body, letters, taken), index.extent)
    moved = {old: at(new) for old, new in names.items()}
    inner = scope | {new.name for new in names.values()}
    parts = tuple([_spelled(substitute(c, moved), inner, letters) for c in children(tree)])
    indices = tuple(names.values())
    if isinstance(tree, Reduce):
        return Reduce(tree.op, indices, parts[:-1], parts[-1])  # type: ignore[arg-type]
    return Arg(tree.op, indices, tree.which, parts[:-1], parts[-1])  # type: ignore[arg-type]


def _letter(
    index: Index,
    body: Expr,
    letters: Mapping[Tensor, tuple[str, ...]],
    taken: Collection[str],
) -> str:
    """A free letter for a bound index: that of an axis it runs over, primed by a number if need
    be."""
    options = list(_axis_letters(index, body, letters))
    own = index.name.rstrip("0123456789")
    if own.isidentifier():
        options.append(own)
    for option in options:
        if option not in taken:
            return option
    stem = (options or ["k"])[0].rstrip("0123456789") or "k"
    n = 2
    while f"{stem}{n}" in taken:
        n += 1
    return f"{stem}{n}"


def _axis_letters(index: Index, body: Expr, letters: Mapping[Tensor, tuple[str, ...]]) -> list[str]:
    found: list[str] = []
    for node in nodes(body):
        for access in accesses(node) if not found else ():
            names = letters.get(access.tensor)
            for k, sub in enumerate(access.subs):
                if sub.index is index and names and k < len(names):
                    found.append(names[k])
        break
    return found
