"""Sharing across the backward pass: a sum, or a function of an array, that is needed more than once
is computed once and gets a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from ..ir.expr import Access, Apply, Expr, Reduce, Tensor
from ..ir.intern import noted
from ..ir.program import Define
from ..ir.recurrence import groups, in_order, is_recurrent, recurrent
from ..ir.subscripts import Index, at
from ..ir.walk import Tree, bottom_up, free_indices, nodes, substitute, tensors
from ..text import PRIVATE
from .cost import FUNCTION, expression_cost, volume
from .flatten import alpha, dtype_of
from .linear import Linear
from .normal import in_bounds


def share(
    statements: Sequence[Define], linear: Linear, before: Sequence[Define] = ()
) -> list[Define]:
    """The statements with sums that occur more than once named, in an order in which they can
    run. What one of the statements ``before`` has computed is read."""
    found = _occurrences(statements)
    computed = {
        value_key(s.body, s.indices): s
        for s in reversed(before)
        if _is_dear(s.body) and set(free_indices(s.body)) == set(s.indices)
    }
    names = {key: computed[key] for key in found if key in computed}
    origins = _origins(statements)
    wholes = {
        value_key(s.body, s.indices): s
        for s in reversed(statements)
        if set(free_indices(s.body)) == set(s.indices)
    }
    for key, places in found.items():
        if key in names:
            continue
        whole = wholes.get(key)
        if whole is not None:
            users = [p.statement.target for p in places if p.statement is not whole]
            if not any(user in origins[whole.target] for user in users):
                names[key] = whole
        elif len({p.statement.target for p in places} if _is_function(places[0]) else places) > 1:
            node, about = places[0].node, places[0].statement
            word = node.function if isinstance(node, Apply) else "sum"
            names[key] = named_value(node, f"{word}1", about, linear)
    if not names:
        return in_order(statements)
    fresh = [d for d in names.values() if d not in statements and d not in before]
    changed = [_with_names(s, names) for s in (*fresh, *statements)]
    return in_order(changed)


def _origins(statements: Sequence[Define]) -> dict[Tensor, set[Tensor]]:
    """For every target, the targets that it is computed from."""
    found: dict[Tensor, set[Tensor]] = {}
    for group in groups(in_order(statements)):
        own = {s.target for s in group} if is_recurrent(group) else set()
        read = {t for s in group for t in tensors(s.body) if t in found}
        whole = own.union(read, *(found[t] for t in read))
        found.update({s.target: whole for s in group})
    return found


@dataclass(frozen=True)
class _Place:
    node: Reduce | Apply
    statement: Define


def _is_function(place: _Place) -> bool:
    """Whether a value is a function's: equal ones in one statement are computed once anyway."""
    return isinstance(place.node, Apply)


def _occurrences(statements: Sequence[Define]) -> dict[Tree, list[_Place]]:
    found: dict[Tree, list[_Place]] = {}
    steps = recurrent(statements)
    for statement in statements:
        for node in nodes(statement.body):
            if not _is_dear(node) or _inside_binder(node, statement.body):
                continue
            along = statement.indices[: steps.get(statement.target, 0)]
            free = free_indices(node)
            if any(i in free and free.index(i) != axis for axis, i in enumerate(along)):
                continue  # its value would not have the steps on its first axes
            if node is statement.body or in_bounds(node):
                found.setdefault(value_key(node), []).append(_Place(node, statement))
    return found


def _is_dear(node: Tree) -> TypeGuard[Reduce | Apply]:
    """Whether a value is a sum, or a function of an array that is dearer than a product."""
    return isinstance(node, Reduce) or (
        isinstance(node, Apply)
        and bool(free_indices(node))
        and expression_cost(node) > FUNCTION * volume(free_indices(node))
    )


def cost_together(bodies: Iterable[Expr]) -> float:
    """What values cost that are computed together: sums, and functions of arrays, that stand more
    than once are computed once."""
    total = 0.0
    known: set[Tree] = set()
    for body in bodies:
        total += expression_cost(body)
        for key, cost in _dear_values(body):
            if key in known:
                total -= cost
            known.add(key)
    return total


@noted
def _dear_values(body: Expr) -> tuple[tuple[Tree, float], ...]:
    """The sums and dear functions in a value, whatever their indices are called, with their
    costs."""
    return tuple(
        (value_key(node), expression_cost(node))
        for node in nodes(body)
        if _is_dear(node) and not (isinstance(node, Reduce) and _inside_binder(node, body))
    )


def _inside_binder(node: Reduce | Apply, body: Expr) -> bool:
    """Whether a sum depends on another sum's index (then it is no value of its own here)."""
    bound = {i for tree in nodes(body) if isinstance(tree, Reduce) for i in tree.indices}
    return any(i in bound for i in free_indices(node))


def value_key(node: Tree, free: Iterable[Index] | None = None) -> Tree:
    """What a value is whatever its free indices are called: equal for equal values."""
    found = free_indices(node) if free is None else free
    marks = {i: at(Index(f"${PRIVATE}{k}", i.extent)) for k, i in enumerate(found)}
    return alpha(substitute(node, marks))


def named_value(node: Expr, word: str, about: Define, linear: Linear) -> Define:
    """The statement that gives a value in another statement a name of its own, over its free
    indices, with that statement's letters."""
    free = free_indices(node)
    widest = dtype_of(node)  # of a statement with a narrower result this may be a part
    dtype = widest if widest.startswith("float") else about.target.dtype
    target = Tensor(linear.name(word), tuple(i.extent for i in free), dtype)
    letters = linear.letters.get(about.target, ())
    names = dict(zip(about.indices, letters, strict=False))
    if all(i in names for i in free):
        linear.letters[target] = tuple(names[i] for i in free)
    return Define(target, free, node, about.source, False, None, about.of)


def _with_names(statement: Define, names: Mapping[Tree, Define]) -> Define:
    def change(tree: Tree) -> Tree:
        if not _is_dear(tree):
            return tree
        free = free_indices(tree)
        known = names.get(value_key(tree, free))
        if known is None or known.target is statement.target:
            return tree
        return Access(known.target, tuple(map(at, free)))

    body = bottom_up(statement.body, change)
    return statement if body is statement.body else replace(statement, body=body)  # type: ignore[arg-type]
