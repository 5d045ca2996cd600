"""Elements of inputs that may be missing, as NaN or infinities: a program asks which are finite, or
a bool array says which ones count. Inputs of other programs are taken for finite."""

from __future__ import annotations

from collections.abc import Iterable

from .expr import Compare, Number
from .program import Define
from .walk import Tree, nodes, tensors


def asks_what_is_finite(statements: Iterable[Define]) -> bool:
    """Whether a comparison tells infinite values or NaN from others.

    >>> from ..notation.parse import parse
    >>> asks_what_is_finite(parse("x[N]; y[n] = x[n]*[x[n] == x[n]]").statements)
    True
    >>> asks_what_is_finite(parse("x[N]; y[n] = x[n]*[x[n] > 0]").statements)
    False
    """
    return any(_tells(node) for define in statements for node in nodes(define.body))


def _tells(node: Tree) -> bool:
    match node:
        case Compare(_, left, right):
            special = any(isinstance(side, Number) and side.special for side in (left, right))
            return special or (left is right and bool(tensors(left)))
        case _:
            return False


def selects_by_bools(statements: Iterable[Define]) -> bool:
    """Whether a bool array is read or made."""
    return any(
        tensor.kind == "bool"
        for define in statements
        for tensor in (define.target, *tensors(define.body))
    )
