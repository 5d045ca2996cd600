"""What is read at ``(i + c) % N`` along a whole axis: a plain value, moved on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..ir.expr import Add, Arg, Expr, Guard, Mul, Reduce
from ..ir.intern import kept
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, Remainder, Subscript, SubscriptAtom, at, indices_of
from ..ir.walk import Tree, bottom_up, children, map_subscripts, nodes, subscripts
from . import arrays
from .facts import Facts
from .laid import Laid, permuted

if TYPE_CHECKING:
    from .lower import Lowering


def rolled(lowering: Lowering, expr: Expr) -> Laid | None:
    """An expression that reads all along some axes at ``(±i + c) % N``, as a roll of the same
    expression read at i; None where it has no such axis."""
    turns = rotations(expr)
    if not turns:
        return None
    laid = lowering.value(unturned(expr))
    moved = [i for i in turns if i in laid.axes]
    if not moved:
        return laid
    laid = permuted(laid, laid.indices)
    axes = {i: laid.axes.index(i) for i in moved}
    array = arrays.flip(laid.array, sorted(axes[i] for i in moved if backwards(turns[i])))
    return Laid(arrays.roll(array, {axes[i]: _shift(turns[i]) for i in moved}), laid.axes)


def unturned(expr: Expr) -> Expr:
    """The expression read at i wherever it is read all along an axis at ``(±i + c) % N``."""
    turns = rotations(expr)
    if not turns:
        return expr
    plain = {turn: index for index, turn in turns.items()}
    return map_subscripts(expr, lambda sub: _without(sub, plain))  # type: ignore[return-value]


def together(body: Expr, facts: Facts) -> Expr:
    """The expression with the factors, and the terms, that are read at the same ``(i + c) % N`` as
    a product, or a sum, of their own: it is rolled once. What may be infinite stays in its place.
    """

    def change(tree: Tree) -> Tree:
        match tree:
            case Mul(parts) if not any(map(facts.how_infinite, parts)):
                return _grouped(tree)
            case Add():
                return _grouped(tree)
            case _:
                return tree

    return bottom_up(body, change)  # type: ignore[return-value]


def _grouped(tree: Mul | Add) -> Mul | Add:
    groups: dict[object, list[Expr]] = {}
    for part in tree.factors if isinstance(tree, Mul) else tree.terms:
        guarded = any(isinstance(node, Guard) for node in nodes(part))
        turns = [] if guarded else sorted(turn.key for turn in rotations(part).values())
        groups.setdefault(tuple(turns) or part, []).append(part)
    if len(groups) in (1, len(children(tree))):
        return tree
    kind = type(tree)
    return kind(tuple(g[0] if len(g) == 1 else kind(tuple(g)) for g in groups.values()))


def rotations(node: Tree) -> Mapping[Index, Remainder]:
    """The free indices that are read in one rotation only, and that rotation."""
    ways: dict[Index, list[Remainder | None]] = {}
    for index, turn in _ways(node):
        ways.setdefault(index, []).append(turn)
    return {i: turn for i, (turn, *more) in ways.items() if turn is not None and not more}


@kept
def _ways(node: Tree) -> tuple[tuple[Index, Remainder | None], ...]:
    """How the free indices are read: in which rotation, None for any other way."""
    found: dict[tuple[Index, Remainder | None], None] = {}
    for sub in subscripts(node):
        for atom, _ in sub.terms:
            index = _rotated(atom)
            if index is not None and isinstance(atom, Remainder):
                found[index, atom] = None
            else:
                found.update(dict.fromkeys((i, None) for i in indices_of(at(atom))))
    for child in children(node):
        found.update(dict.fromkeys(_ways(child)))
    bound = node.indices if isinstance(node, Reduce | Arg) else ()
    return tuple(way for way in found if way[0] not in bound)


def _rotated(atom: SubscriptAtom) -> Index | None:
    """The index i of ``(±i + c) % N``, N its extent and c a size."""
    if not isinstance(atom, Remainder) or len(atom.value.terms) != 1:
        return None
    (index, n), *_ = atom.value.terms
    if not isinstance(index, Index) or n.literal not in (1, -1):
        return None
    return index if index.extent is atom.divisor else None


def backwards(turn: Remainder) -> bool:
    """Whether a rotation goes through its axis backwards."""
    return turn.value.terms[0][1].literal == -1


def _shift(turn: Remainder) -> Size:
    """By how many elements what is read at i (backwards: at N - 1 - i) is moved on."""
    const = turn.value.const
    by = const + 1 if backwards(turn) else -const
    extent, places = turn.divisor.literal, by.literal
    if extent and places is not None:
        places %= extent
        by = size(places if 2 * places <= extent else places - extent)
    return by


def _without(sub: Subscript, plain: Mapping[Remainder, Index]) -> Subscript:
    """The subscript with indices in the places of rotations."""
    for atom, n in sub.terms:
        if isinstance(atom, Remainder) and atom in plain:
            sub = sub + (at(plain[atom]) - at(atom)) * n
    return sub
