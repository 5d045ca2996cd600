"""Which contractions are matrix products."""

from __future__ import annotations

from dataclasses import dataclass

from .arrays import Array


@dataclass(frozen=True)
class Product:
    """``left @ right``; an operand that is ``turned`` has its last two axes exchanged first."""

    left: Array
    right: Array
    left_turned: bool = False
    right_turned: bool = False


def matrix_product(array: Array) -> Product | None:
    """A contraction of two arrays as a matrix product, with the batch axes in front; None where it
    is none."""
    if len(array.parts) != 2:
        return None
    one, two, result = array.told
    left, right = array.parts
    both = (
        _ordered(left, right, one, two, result),
        _ordered(right, left, two, one, result),
    )
    found = [product for product in both if product is not None]
    return min(found, key=lambda p: p.left_turned + p.right_turned, default=None)


def _ordered(left: Array, right: Array, one: str, two: str, result: str) -> Product | None:
    if len(two) == 2 and one[:-1] + two.replace(one[-1], "") == result and one[-1] in two:
        return Product(left, right, False, two[1] == one[-1])  # each row of many axes
    batch = 0
    while (
        batch < min(len(one), len(two), len(result)) and one[batch] == two[batch] == result[batch]
    ):
        batch += 1
    one, two, result = one[batch:], two[batch:], result[batch:]
    bound = [c for c in one if c in two]
    if len(bound) != 1 or any(c in result for c in bound):
        return None
    (k,) = bound
    rows, columns = one.replace(k, ""), two.replace(k, "")
    if rows + columns != result or max(len(rows), len(columns)) > 1:
        return None
    if batch and (not rows or not columns):
        return None
    return Product(
        left, right, one == k + rows and bool(rows), two == columns + k and bool(columns)
    )
