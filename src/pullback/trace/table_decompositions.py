"""Decompositions of matrices that need not be square, and what is made of them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..ir.expr import Add, Expr, neg, power, total
from ..ir.subscripts import Index
from .axes import integers
from .record import Sheet
from .rows import composed, row
from .table_elementwise import common_dtype, elementwise
from .table_matrices import IDENTITY, result
from .table_products import matmul
from .table_reductions import folded
from .values import Value, cast

UNIQUE = "the columns beyond those are not determined by the matrix"


def _floats(sheet: Sheet, a: Any, dtype: Any = None) -> Value:
    """A stack of matrices of floats."""
    value = sheet.value(a)
    if value.ndim < 2:
        raise ValueError(f"{value.ndim}-dimensional array given, at least two axes are needed")
    return sheet.keep(cast(value, np.linalg.inv(IDENTITY.astype(dtype or value.dtype)).dtype))


def _suffix(value: Value) -> str:
    rows, columns = value.shape[-2:]
    return "_square" if rows == columns else "_wide" if rows < columns else ""


@row(np.linalg.svd)
def svd(
    sheet: Sheet,
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
) -> Any:
    """A = U·diag(s)·Vh of every matrix, s in descending order; s alone without ``compute_uv``."""
    value = _floats(sheet, a)
    if hermitian:
        raise sheet.refusal(
            "np.linalg.svd(hermitian=True) can't be traced", hint="use np.linalg.eigh"
        )
    suffix = _suffix(value)
    if not compute_uv:
        return result(sheet, f"svd_values{suffix}", value)
    if full_matrices and suffix != "_square":
        raise sheet.refusal(
            "np.linalg.svd of a matrix that isn't square, with all columns, can't be traced",
            expected="full_matrices=False",
            hint=f"write np.linalg.svd(A, full_matrices=False): {UNIQUE}",
        )
    kind: Any = type(np.linalg.svd(IDENTITY))
    parts = (f"svd_{part}{suffix}" for part in ("left", "values", "right"))
    return kind(*(result(sheet, part, value) for part in parts))


@row(np.linalg.svdvals)
def svdvals(sheet: Sheet, x: Any) -> Value:
    """The singular values of every matrix, in descending order."""
    value: Value = svd(sheet, x, compute_uv=False)
    return value


@row(np.linalg.qr)
def qr(sheet: Sheet, a: Any, mode: str = "reduced") -> Any:
    """A = Q·R of every matrix, Q with orthonormal columns and R a triangle."""
    value = _floats(sheet, a)
    rows, columns = value.shape[-2:]
    if mode not in ("reduced", "r", "complete"):
        raise sheet.refusal(
            f"np.linalg.qr(mode={mode!r}) can't be traced", expected="mode='reduced' or 'r'"
        )
    if mode == "complete" and rows > columns:
        raise sheet.refusal(
            "np.linalg.qr(mode='complete') of more rows than columns can't be traced",
            expected="mode='reduced'",
            hint=f"write np.linalg.qr(A): {UNIQUE}",
        )
    if rows >= columns:
        made: Sequence[Any] = [result(sheet, part, value) for part in ("qr_factor", "qr_triangle")]
    else:
        made = _wide(sheet, a)
    kind: Any = type(np.linalg.qr(IDENTITY))
    return made[1] if mode == "r" else kind(*made)


@composed
def _wide(a: Any) -> Any:
    """Of fewer rows than columns: the first columns decide what is orthonormal."""
    q, _ = np.linalg.qr(a[..., : a.shape[-2]])
    return q, np.triu(np.matmul(np.swapaxes(q, -1, -2), a))


@row(np.linalg.pinv)
def pinv(
    sheet: Sheet, a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None
) -> Any:
    """The pseudoinverse of every matrix."""
    if hermitian:
        raise sheet.refusal("np.linalg.pinv(hermitian=True) can't be traced", hint="leave it out")
    if rcond is None and rtol is None:
        return result(sheet, "pseudoinverse", _floats(sheet, a))
    return _cut_off(sheet, a, rcond if rtol is None else rtol)


@composed
def _cut_off(a: Any, least: Any) -> Any:
    """A pseudoinverse for which singular values up to a part of the greatest are 0."""
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    large = s > np.asarray(least)[..., None] * np.max(s, axis=-1, keepdims=True)
    inverse = np.where(large, 1 / np.where(large, s, 1), 0)
    scaled = inverse[..., None] * np.swapaxes(u, -1, -2)
    return np.matmul(np.swapaxes(vh, -1, -2), scaled)


@row(np.linalg.lstsq)
def lstsq(sheet: Sheet, a: Any, b: Any, rcond: Any = None) -> Any:
    """The x for which a·x is closest to b, its squared distances, the rank, singular values."""
    right = sheet.value(b)
    dtype = common_dtype([sheet.value(a), right])
    left = _floats(sheet, a, dtype)
    if left.ndim != 2 or right.ndim not in (1, 2):
        raise ValueError("a matrix and a vector or matrix of right sides are needed")
    if left.shape[0] != right.shape[0]:
        raise ValueError("Incompatible dimensions")
    if rcond not in (None, -1):
        raise sheet.refusal(
            "np.linalg.lstsq with rcond= can't be traced",
            hint="leave it out: a matrix of full rank is needed anyway",
        )
    right = sheet.keep(cast(right, left.dtype))
    operation = "least_squares" if right.ndim == 1 else "least_squares_columns"
    x = sheet.keep(result(sheet, operation, left, right))
    rank = cast(sheet.value(matrix_rank(sheet, a)), np.dtype(np.int32))
    return x, _residuals(sheet, left, right, x), rank, svdvals(sheet, left)


def _residuals(sheet: Sheet, a: Value, b: Value, x: Value) -> Any:
    """The squared distances, for a matrix of full rank; NumPy gives none for one that has at most
    as many rows as columns."""
    if a.shape[0] <= a.shape[1]:
        return np.zeros(0, a.dtype)
    near = sheet.keep(matmul(sheet, a, x))
    apart = sheet.keep(elementwise(lambda one, other: Add((one, neg(other))), [b, near], a.dtype))

    def squared(indices: tuple[Index, ...], body: Expr) -> Expr:
        return total(indices, power(body, 2))

    return folded(sheet, apart, (0,), b.ndim == 1, a.dtype, squared)


@row(np.linalg.matrix_rank)
@composed
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """How many singular values are not nearly 0."""
    s = np.linalg.svdvals(A)
    if tol is None:
        least = np.finfo(s.dtype).eps * max(A.shape[-2:]) if rtol is None else rtol
        tol = np.max(s, axis=-1, keepdims=True) * np.asarray(least)[..., None]
    else:
        tol = np.asarray(tol)[..., None]
    return np.count_nonzero(s > tol, axis=-1)


@row(np.linalg.cond)
@composed
def cond(x: Any, p: Any = None) -> Any:
    """How much a matrix times its inverse enlarges errors, in a norm."""
    if p in (None, 2, -2):
        s = np.linalg.svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    inverse = np.linalg.inv(x)
    norms = [np.linalg.norm(one, ord=p, axis=(-2, -1)) for one in (x, inverse)]
    return norms[0] * norms[1]


@row(np.linalg.tensorsolve)
@composed
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """The x for which the sum of a·x over all axes of x is b."""
    if axes is not None:
        rest = [k for k in range(np.ndim(a)) if k not in integers(axes)]
        a = np.transpose(a, [*rest, *integers(axes)])
    shape = np.shape(a)[np.ndim(b) :]
    square = np.reshape(a, (prod(shape), prod(shape)))
    return np.reshape(np.linalg.solve(square, np.ravel(b)), shape)


@row(np.linalg.tensorinv)
@composed
def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse of what a sum of products over some axes does."""
    k = operator.index(ind)
    first, last = np.shape(a)[:k], np.shape(a)[k:]
    if k < 1:
        raise ValueError("Invalid ind argument.")
    square = np.reshape(a, (prod(first), prod(last)))
    return np.reshape(np.linalg.inv(square), (*last, *first))
