"""Expressions that a statement needs more than once."""

from __future__ import annotations

from collections.abc import Iterable

from ...ir.expr import Add, Apply, Arg, Expr, Mul, Power, Reduce, Select
from ...ir.subscripts import Index, at
from ...ir.walk import Tree, accesses, children, free_indices, substitute

Form = tuple[Tree, tuple[Index, ...]]


def canonical(expr: Expr) -> Form:
    """The expression with its free indices numbered, and those indices: equal for equal arrays."""
    own = free_indices(expr)
    names = {index: at(Index(f"#{n}", index.extent)) for n, index in enumerate(own)}
    return substitute(expr, names), own


def repeated(bodies: Iterable[Expr]) -> frozenset[Tree]:
    """The canonical forms of those expressions that stand in several places and cost an array operation.

    What stands only inside something that is repeated isn't among them.
    """
    seen: dict[Tree, int] = {}

    def visit(tree: Tree) -> None:
        if isinstance(tree, Power) and tree.exponent < 0:
            tree = tree.base if tree.exponent == -1 else Power(tree.base, -tree.exponent)
        if isinstance(tree, COSTLY) and accesses(tree) and _costs(tree):
            form, _ = canonical(tree)
            seen[form] = seen.get(form, 0) + 1
            if seen[form] > 1:
                return
        for child in children(tree):
            visit(child)

    for body in bodies:
        visit(body)
    return frozenset(form for form, count in seen.items() if count > 1)


COSTLY = (Add, Apply, Arg, Mul, Power, Reduce, Select)


def _costs(tree: Tree) -> bool:
    """Whether a node is more than a negation."""
    return not isinstance(tree, Mul) or sum(bool(free_indices(f)) for f in tree.factors) > 1


def wanted_name(expr: Expr) -> str:
    """What a shared value may be called."""
    match expr:
        case Apply(function, _):
            return function.rstrip("0123456789")
        case Power():
            return "root" if expr.exponent.denominator == 2 else "power"
        case Reduce(op, _, _, _):
            return {"sum": "total", "prod": "product", "max": "most", "min": "least"}[op]
        case _:
            return "shared"
