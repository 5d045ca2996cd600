"""Contractions of two arrays in NumPy: ``@``, ``np.vdot``, ``np.tensordot``, or a stack of matrix
products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...ir.sizes import ONE, Size
from ...plan import arrays
from ...plan.arrays import Array
from ...plan.matmul import matrix_product
from ..python.code import ATOM, Code, binary, call, tuple_of

if TYPE_CHECKING:
    from .framework import NumPy


def contraction(numpy: NumPy, array: Array) -> Code:
    """The source of a contraction of two arrays."""
    one, two, result = array.told
    left, right = array.parts
    if one == two and not result:
        codes = numpy.code(left), numpy.code(right)
        return binary("@", *codes) if len(one) == 1 else call("np.vdot", *codes)
    for part in array.parts:
        if part.op == "windows" and part not in numpy.shared:
            numpy.named(part)
    if matrix_product(array) is not None:
        return numpy.product(array)
    if _is_last(right, two, result) < _is_last(left, one, result):
        (one, left), (two, right) = (two, right), (one, left)
    shared = [c for c in one if c in two]
    if not any(c in result for c in shared):
        return _tensordot(numpy, (one, left), (two, right), result)
    return _stack(numpy, (one, left), (two, right), result)


def _is_last(part: Array, word: str, result: str) -> int:
    """Where overlapping windows stand. np.tensordot copies them to a matrix, which is fast where
    the copy ends with the axis along which memory is contiguous: they are the second operand if
    that axis is kept, the first if it is summed over, and any other array may be either."""
    if part.op != "windows":
        return 1
    return 2 if word[part.parts[0].rank - 1] in result else 0


def _tensordot(
    numpy: NumPy, left: tuple[str, Array], right: tuple[str, Array], result: str
) -> Code:
    """Matrices made of several axes."""
    (one, a), (two, b) = left, right
    inner = [c for c in one if c in two]
    if len(inner) == 1 and (order := _matrices(one, two, inner[0])):
        turned = [arrays.permute(x, k) for x, k in zip((a, b), order, strict=True)]
        code = binary("@", *map(numpy.code, turned))
    else:
        axes = [[word.index(c) for c in inner] for word in (one, two)]
        n = len(inner)
        if axes == [list(range(a.rank - n, a.rank)), list(range(n))]:
            told = str(n)
        else:
            told = tuple_of([str(k[0]) if n == 1 else tuple_of([*map(str, k)]) for k in axes])
        code = call("np.tensordot", numpy.code(a), numpy.code(b), axes=told)
    made = "".join(c for c in one + two if c not in inner)
    return numpy.turned_to(code, [made.index(c) for c in result])


def _matrices(one: str, two: str, inner: str) -> tuple[list[int], list[int]] | None:
    """The orders of axes in which ``@`` multiplies a matrix, or rows of many axes, by a matrix."""
    if len(two) > 2 or (len(one) > 2 and one[-1] != inner):
        return None
    first = sorted(range(len(one)), key=lambda k: one[k] == inner)
    return first, sorted(range(len(two)), key=lambda k: two[k] != inner)


def _stack(numpy: NumPy, left: tuple[str, Array], right: tuple[str, Array], result: str) -> Code:
    """Matrix products along axes that both arrays and the result have."""
    (one, a), (two, b) = left, right
    batch = [c for c in result if c in one and c in two]
    inner = [c for c in one if c in two and c not in result]
    rows = [c for c in result if c in one and c not in two]
    columns = [c for c in result if c in two and c not in one]
    first = _matrix(numpy, a, one, batch, rows, inner)
    second = _matrix(numpy, b, two, batch, inner, columns)
    code = binary(
        "@",
        first if rows else Code(f"{first.at(ATOM)}[..., None, :]"),
        second if columns else Code(f"{second.at(ATOM)}[..., None]"),
    )
    if not rows:
        code = Code(f"({code})[..., 0, :]")
    if not columns:
        code = Code(f"({code})[..., 0]")
    made = [*batch, *rows, *columns]
    if len(rows) > 1 or len(columns) > 1:
        extents = dict(zip(one + two, (*a.shape, *b.shape), strict=True))
        code = call(f"{code.at(ATOM)}.reshape", *numpy.shape(extents[c] for c in made))
    return numpy.turned_to(code, [made.index(c) for c in result])


def _matrix(
    numpy: NumPy,
    array: Array,
    word: str,
    batch: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
) -> Code:
    """An array with the axes of the stack first, then its rows and its columns as an axis each."""
    laid = arrays.permute(array, [word.index(c) for c in (*batch, *rows, *columns)])
    if len(rows) > 1 or len(columns) > 1:
        extents = dict(zip(word, array.shape, strict=True))
        groups = [[extents[c] for c in group] for group in (rows, columns) if group]
        shape = [extents[c] for c in batch] + [_product(group) for group in groups]
        laid = arrays.reshape(laid, shape)
    return numpy.code(laid)


def _product(sizes: Sequence[Size]) -> Size:
    total = ONE
    for n in sizes:
        total = total * n
    return total
