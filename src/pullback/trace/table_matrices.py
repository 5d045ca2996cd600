"""Inverses, systems, determinants, factors, eigenvalues: the opaque operations of ``np.linalg``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.expr import Expr, Guard, Opaque, Tensor, Zero
from ..opaque import TABLE, axes, batch_of
from .record import Sheet
from .rows import row
from .table_elementwise import common_dtype
from .table_products import matmul
from .values import INT, DType, Subs, Value, broadcast, cast, transposed

IDENTITY = np.eye(1)


def result(sheet: Sheet, operation: str, *operands: Value, last: int = 0) -> Value:
    """The result of an operation on operands of one batch and one dtype. ``last`` is the extent of
    its last axis, where the operands don't tell that."""
    tensors = tuple(_tensor(sheet, value) for value in operands)
    shapes = [value.shape for value in operands]
    row_ = TABLE[operation]
    count = batch_of(row_, [tensor.shape for tensor in tensors])
    extents: dict[str, int] = {}
    names: dict[str, str] = {}
    for item, value in zip(row_.operands, operands, strict=True):
        for letter, n, name in zip(
            axes(item), value.shape[count:], value.axes[count:], strict=True
        ):
            if extents.setdefault(letter, n) != n:
                raise ValueError(f"extents {extents[letter]} and {n} where they should be equal")
            names[letter] = names.get(letter) or name
    letters = axes(row_.result)
    own = [names.get(c, "") for c in letters]
    own = [name if name not in own[:k] else "" for k, name in enumerate(own)]

    def read(subs: Subs) -> Expr:
        return Opaque(operation, tensors, subs)

    whole = row_.kind == "int"
    return Value(
        (*shapes[0][:count], *(extents.get(c, last) for c in letters)),
        INT if whole else operands[0].dtype,
        read,
        (*operands[0].axes[:count], *own),
        nonnegative=whole,
    )


def _tensor(sheet: Sheet, value: Value) -> Tensor:
    """The statement that holds an operand; a constant is copied to one."""
    kept = sheet.keep(value)
    assert kept.tensor is not None
    return sheet.copied(kept) if kept.tensor in sheet.constants else kept.tensor


def square(sheet: Sheet, a: Any, dtype: DType | None = None) -> Value:
    """A stack of square matrices of floats, as the operations of ``np.linalg`` take it."""
    value = sheet.value(a)
    if value.ndim < 2 or value.shape[-1] != value.shape[-2]:
        raise ValueError("the last two axes must be those of a square matrix")
    return cast(value, np.linalg.inv(IDENTITY.astype(dtype or value.dtype)).dtype)


@row(np.linalg.inv)
def inv(sheet: Sheet, a: Any) -> Value:
    """The inverse of every matrix."""
    return result(sheet, "inverse", square(sheet, a))


@row(np.linalg.det)
def det(sheet: Sheet, a: Any) -> Value:
    """The determinant of every matrix."""
    return result(sheet, "determinant", square(sheet, a))


@row(np.linalg.slogdet)
def slogdet(sheet: Sheet, a: Any) -> Any:
    """The determinant's sign, and the logarithm of its absolute value."""
    value = square(sheet, a)
    kind: Any = type(np.linalg.slogdet(IDENTITY))
    return kind(result(sheet, "detsign", value), result(sheet, "logdet", value))


@row(np.linalg.solve)
def solve(sheet: Sheet, a: Any, b: Any) -> Value:
    """The solutions of a·x = b: of one vector where b is one, else of the columns of b."""
    return solved(sheet, "solve", a, b)


def solved(sheet: Sheet, operation: str, a: Any, b: Any) -> Value:
    """The solutions of a system, by an operation of this name for vectors and for columns."""
    right = sheet.value(b)
    if not right.ndim:
        raise ValueError("solve: b is 0-d")
    dtype = common_dtype([sheet.value(a), right])
    left = square(sheet, a, dtype)
    right = cast(right, left.dtype)
    core = 1 if right.ndim == 1 else 2
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[: right.ndim - core])
    left, right = (
        value if value.shape[:-n] == batch else broadcast(value, (*batch, *value.shape[-n:]))
        for value, n in ((left, 2), (right, core))
    )
    return result(sheet, operation if core == 1 else f"{operation}_columns", left, right)


@row(np.linalg.cholesky)
def cholesky(sheet: Sheet, a: Any, *, upper: bool = False) -> Value:
    """The lower triangular factor of every positive definite matrix, or the upper one."""
    value = square(sheet, a)
    if not upper:
        return result(sheet, "cholesky", value)
    return _turned(sheet.keep(result(sheet, "cholesky", _turned(value))))


def _turned(value: Value) -> Value:
    *outer, last, first = range(value.ndim)
    return transposed(value, [*outer, first, last])


def _of_triangle(operation: str, uplo: str) -> str:
    """The operation that reads this triangle: LAPACK takes them on different ways, which give the
    eigenvectors other signs."""
    if uplo.upper() not in ("L", "U"):
        raise ValueError("UPLO is 'L' or 'U'")
    return operation if uplo.upper() == "L" else f"{operation}_upper"


@row(np.linalg.eigvalsh)
def eigvalsh(sheet: Sheet, a: Any, UPLO: str = "L") -> Value:
    """The eigenvalues of every symmetric matrix, in ascending order."""
    return result(sheet, _of_triangle("eigenvalues", UPLO), square(sheet, a))


@row(np.linalg.eigh)
def eigh(sheet: Sheet, a: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of every symmetric matrix, and its eigenvectors in columns."""
    value = sheet.keep(square(sheet, a))
    kind: Any = type(np.linalg.eigh(IDENTITY))
    parts = (_of_triangle(name, UPLO) for name in ("eigenvalues", "eigenvectors"))
    return kind(*(result(sheet, part, value) for part in parts))


@row(np.linalg.eigvals)
def eigvals(sheet: Sheet, a: Any) -> Value:
    """The eigenvalues of every matrix, which have to be real."""
    return result(sheet, "real_eigenvalues", square(sheet, a))


@row(np.linalg.eig)
def eig(sheet: Sheet, a: Any) -> Any:
    """The eigenvalues of every matrix, which have to be real, and its eigenvectors in columns."""
    value = sheet.keep(square(sheet, a))
    kind: Any = type(np.linalg.eig(IDENTITY))
    return kind(*(result(sheet, part, value) for part in ("real_eigenvalues", "real_eigenvectors")))


@row(np.linalg.matrix_power)
def matrix_power(sheet: Sheet, a: Any, n: int) -> Value:
    """A product of n equal matrices, by squaring; of their inverses where n is negative."""
    value = sheet.value(a)
    if value.ndim < 2 or value.shape[-1] != value.shape[-2]:
        raise ValueError("the last two axes must be those of a square matrix")
    if not isinstance(n, int):
        raise TypeError("the exponent must be an integer")
    if n < 0:
        value, n = sheet.keep(inv(sheet, a)), -n
    if not n:
        return Value(value.shape, value.dtype, lambda s: Guard(Zero(s[-2] - s[-1])), value.axes)
    out: Value | None = None
    while True:
        if n % 2:
            out = value if out is None else sheet.keep(matmul(sheet, out, value))
        n //= 2
        if not n:
            break
        value = sheet.keep(matmul(sheet, value, value))
    assert out is not None
    return out
