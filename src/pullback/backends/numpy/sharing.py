"""Expressions that a statement needs more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeGuard

from ...ir.expr import Access, Add, Apply, Arg, Expr, Guard, Mul, Power, Reduce, Select
from ...ir.subscripts import Index, Lookup, at
from ...ir.walk import Tree, accesses, children, free_indices, nodes, substitute
from ...text import PRIVATE
from .rotations import unturned

Form = tuple[Tree, tuple[Index, ...]]


def canonical(expr: Expr) -> Form:
    """The expression with its free indices numbered, and those indices: equal for equal arrays."""
    own = free_indices(expr)
    names = {index: at(Index(f"#{PRIVATE}{n}", index.extent)) for n, index in enumerate(own)}
    return substitute(expr, names), own


def repeated(bodies: Iterable[Expr]) -> frozenset[Tree]:
    """The canonical forms of those expressions that stand in several places and cost an array
    operation.

    What stands only inside something that is repeated isn't among them.
    """
    bodies = tuple(bodies)
    outlines: dict[Tree, str] = {}
    likely = Counter(
        _outline(tree, outlines) for body in bodies for tree in nodes(body) if is_costly(tree)
    )
    found: dict[Tree, int] = {}

    def visit(tree: Tree) -> None:
        if isinstance(tree, Power) and tree.exponent < 0:
            tree = tree.base if tree.exponent == -1 else Power(tree.base, -tree.exponent)
        if is_costly(tree) and _costs(tree) and accesses(tree):
            form, _ = canonical(unturned(tree))
            found[form] = found.get(form, 0) + 1
            if found[form] > 1:
                return
        for child in children(tree):
            visit(child)

    if len(likely) < sum(likely.values()) or _stands_twice(bodies):
        for body in bodies:
            visit(body)
    return frozenset(form for form, count in found.items() if count > 1)


def _stands_twice(bodies: Sequence[Expr]) -> bool:
    """Whether one and the same costly node has several places."""
    seen: set[Tree] = set()
    stack: list[Tree] = list(bodies)
    while stack:
        tree = stack.pop()
        if is_costly(tree):
            if tree in seen:
                return True
            seen.add(tree)
        stack.extend(children(tree))
    return False


def _outline(tree: Tree, known: dict[Tree, str]) -> str:
    """What a tree has in common with all trees that differ in the names of indices only."""
    if tree not in known:
        if isinstance(tree, Power):
            label = f"Power {abs(tree.exponent)}"
        else:
            label = f"{type(tree).__name__} {getattr(tree, 'function', getattr(tree, 'op', ''))}"
        own = tree.tensor.name if isinstance(tree, Access) else ""
        inner = ",".join(_outline(child, known) for child in children(tree))
        known[tree] = f"{label}{own}({inner})"
    return known[tree]


COSTLY = (Add, Apply, Arg, Mul, Power, Reduce, Select)


def is_costly(tree: Tree) -> TypeGuard[Expr]:
    """Whether a value is computed, or gathered from places that are looked up."""
    return isinstance(tree, COSTLY) or is_gather(tree)


def is_gather(tree: Tree) -> bool:
    """Whether a value is a read at places that are looked up."""
    return isinstance(tree, Access) and any(
        isinstance(atom, Lookup) for sub in tree.subs for atom, _ in sub.terms
    )


def _costs(tree: Tree) -> bool:
    """Whether a node is more than a negation."""
    return not isinstance(tree, Mul) or sum(bool(free_indices(f)) for f in tree.factors) > 1


def wanted_name(expr: Expr) -> str:
    """What a shared value may be called."""
    match expr:
        case Apply(function, _):
            return function.rstrip("0123456789")
        case Mul(factors) if any(isinstance(f, Guard) for f in factors):
            return "masked"
        case Access():
            return "gathered"
        case Power():
            return "root" if expr.exponent.denominator == 2 else "power"
        case Reduce(op, _, _, _):
            return {"sum": "total", "prod": "product", "max": "most", "min": "least"}[op]
        case _:
            return "shared"
