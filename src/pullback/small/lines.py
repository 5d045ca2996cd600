"""What the derivatives by the elements of a matrix have in common: a line of another matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

from ..graph.names import label
from ..ir.expr import ZERO, Expr
from .entries import Place, entry, places, read

if TYPE_CHECKING:
    from .case import Element, Small

WORDS = ("row", "column")
LETTERS = ("i", "j")


def common_line(case: Small, elements: Sequence[Element]) -> str:
    """Where each ∂Y/∂x_ij is 0 but for one row or column, which is a row or column of an input.

    >>> import pullback
    >>> case = pullback.derive("y[n,m] = sum(d) x[n,d]*w[d,m]").small(N=2, D=3, M=4)
    >>> case.lines("x")
    'row i is row j of w, all else is 0'
    """
    if len(case.floats) != 1 or len(case.floats[0].shape) != 2 or len(elements) < 2:
        return ""
    if any(len(element.at) != 2 for element in elements):
        return ""
    shape = case.shape(case.floats[0])
    for tensor in case.program.inputs:
        if len(tensor.shape) != 2 or tensor.kind != "float":
            continue
        other = case.shape(tensor)
        for mine, which, theirs, of in product((0, 1), repeat=4):
            if shape[1 - mine] != other[1 - theirs] or which == of:
                continue
            if all(
                _is_line(element.parts[0].slopes, shape, mine, element.at[which], tensor.name,
                         other, theirs, element.at[of])
                for element in elements
            ):  # fmt: skip
                return (
                    f"{WORDS[mine]} {LETTERS[which]} is {WORDS[theirs]} {LETTERS[of]} of "
                    f"{label(tensor.name)}, all else is 0"
                )
    return ""


def _is_line(
    slopes: Mapping[Place, Expr],
    shape: Sequence[int],
    mine: int,
    at: int,
    name: str,
    other: Sequence[int],
    theirs: int,
    of: int,
) -> bool:
    """Whether one line of an array is a line of an input, and the rest is 0."""
    if at >= shape[mine] or of >= other[theirs]:
        return False
    for place in places(shape):
        wanted: Expr = ZERO
        if place[mine] == at:
            along = place[1 - mine]
            there = (of, along) if theirs == 0 else (along, of)
            wanted = read(entry(name, there))
        if slopes[place] is not wanted:
            return False
    return True
