"""The dtype that a statement has when its text gives none."""

from __future__ import annotations

from ..ir.expr import (
    Access,
    Add,
    Apply,
    Arg,
    Expr,
    Guard,
    IndexOf,
    Mul,
    Number,
    Opaque,
    Reduce,
    Select,
    SizeOf,
)
from ..ir.walk import tensors
from ..opaque import TABLE

WHOLE = frozenset({"maximum", "minimum", "mod", "floor_divide", "sign", "abs"})
"""Functions that give integers for integers."""


def natural_dtype(body: Expr) -> str:
    """ "int" for what is made of arg indices, indices and integer arrays only; else the dtype that
    all float arrays in it have, "float" where they differ.

    Literal numbers and sizes alone make no integer array: ``Z[i:3] = 2`` holds floats.
    """
    if _whole(body) is True:
        return "int"
    floats = {t.dtype for t in tensors(body) if t.kind == "float"}
    return floats.pop() if len(floats) == 1 else "float"


def _whole(node: Expr) -> bool | None:
    """True: integers; False: not always; None: fits both (a whole number, a guard)."""
    match node:
        case Arg() | IndexOf():
            return True
        case Access(tensor, _):
            return tensor.kind == "int"
        case Opaque(operation):
            return TABLE[operation].kind == "int"
        case Number(value, special):
            return None if not special and value.denominator == 1 else False
        case SizeOf() | Guard():
            return None
        case Add(parts) | Mul(parts):
            return _all(parts)
        case Apply(function, args):
            return _all(args) if function in WHOLE else False
        case Reduce(_, _, _, inner):
            return _whole(inner)
        case Select(_, then, other):
            return _all((then, other))
        case _:
            return False


def _all(nodes: tuple[Expr, ...]) -> bool | None:
    found = [_whole(node) for node in nodes]
    return False if False in found else True if True in found else None
