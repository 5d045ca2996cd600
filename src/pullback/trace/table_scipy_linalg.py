"""Functions of ``scipy.linalg``: what they are of NumPy's functions.

They are reached as those of ``scipy.special`` are (:mod:`.scipys`). Options that say how SciPy
computes (``overwrite_a``, ``check_finite``, drivers) change nothing here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..errors import UnsupportedError
from .places import here, show_place
from .record import Sheet
from .rows import composed
from .table_matrices import result, solved, square
from .values import Value

# Name of a function of scipy.linalg -> the builder of its value.
LINALG: dict[str, Callable[..., Any]] = {}

PAIRED = frozenset({"cho_solve", "solve_toeplitz", "matmul_toeplitz"})  # take pairs of arrays


def _linalg(build: Callable[..., Any]) -> Callable[..., Any]:
    """Enters what the function of this name is."""
    LINALG[build.__name__] = composed(build)
    return build


def _refuse(what: str, hint: str) -> NoReturn:
    place = show_place(here())
    raise UnsupportedError(f"scipy.linalg.{what} can't be traced", where=place, hint=hint)


for _name, _function in {
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "svdvals": np.linalg.svdvals,
}.items():

    def _of_matrix(a: Any, function: Any = _function, **how: Any) -> Any:
        return function(a)

    LINALG[_name] = composed(_of_matrix)


@_linalg
def norm(a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, **how: Any) -> Any:
    """A norm of a vector or a matrix."""
    return np.linalg.norm(a, ord, axis, keepdims)


# --------------------------------------------------------------------------------------------------
# Systems of linear equations

_LOWER = ("lower triangular", "lower")
_UPPER = ("upper triangular", "upper")


def _structured(a: Any, kind: str, lower: bool) -> Any:
    """The matrix of which only a part is read."""
    if kind in ("sym", "her", "pos", "symmetric", "hermitian", "positive definite"):
        half, rest = (np.tril(a), np.tril(a, -1)) if lower else (np.triu(a), np.triu(a, 1))
        return half + np.swapaxes(rest, -1, -2)
    if kind in _LOWER:
        return np.tril(a)
    if kind in _UPPER:
        return np.triu(a)
    if kind == "diagonal":
        return np.triu(np.tril(a))
    if kind == "tridiagonal":
        return np.triu(np.tril(a, 1), -1)
    return a


@_linalg
def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: str | None = None,
    transposed: bool = False,
) -> Any:
    """The solutions of a·x = b."""
    matrix = _structured(a, assume_a or "general", lower)
    return np.linalg.solve(np.swapaxes(matrix, -1, -2) if transposed else matrix, b)


def _solve_triangular(
    sheet: Sheet,
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    **how: Any,
) -> Value:
    """The solutions of a system of which one triangle is read."""
    if unit_diagonal:
        a = _with_ones(sheet, a)
    side = "lower" if lower else "upper"
    turned = "" if trans in (0, "N") else "_transposed"
    return solved(sheet, f"solve_{side}{turned}", a, b)


@composed
def _with_ones(a: Any) -> Any:
    """A matrix whose diagonal is 1."""
    return np.where(np.eye(np.shape(a)[-1], dtype=bool), 1, a)


LINALG["solve_triangular"] = _solve_triangular


@_linalg
def cholesky(a: Any, lower: bool = False, **how: Any) -> Any:
    """The triangular factor of a positive definite matrix, of which that triangle is read."""
    return np.linalg.cholesky(a, upper=not lower)


@_linalg
def cho_factor(a: Any, lower: bool = False, **how: Any) -> Any:
    """The factor in one triangle, the matrix itself in the other, and which one it is."""
    factor = np.linalg.cholesky(a, upper=not lower)
    rest = np.triu(a, 1) if lower else np.tril(a, -1)
    return factor + rest, lower


@_linalg
def cho_solve(c_and_lower: Any, b: Any, **how: Any) -> Any:
    """The solutions of a system, given the factor of its matrix."""
    from scipy.linalg import solve_triangular  # the one that is traced

    c, lower = c_and_lower
    first = solve_triangular(c, b, trans=0 if lower else 1, lower=lower)
    return solve_triangular(c, first, trans=1 if lower else 0, lower=lower)


@_linalg
def lstsq(a: Any, b: Any, cond: Any = None, **how: Any) -> Any:
    """The x for which a·x is closest to b."""
    if cond is not None:
        _refuse("lstsq with cond=", "leave it out: a matrix of full rank is needed anyway")
    return np.linalg.lstsq(a, b)


@_linalg
def pinv(
    a: Any, *, atol: Any = None, rtol: Any = None, return_rank: bool = False, **how: Any
) -> Any:
    """The pseudoinverse of a matrix."""
    if atol is not None or return_rank:
        _refuse("pinv with atol= or return_rank=", "use rtol=, and np.linalg.matrix_rank")
    return np.linalg.pinv(a) if rtol is None else np.linalg.pinv(a, rtol=rtol)


# --------------------------------------------------------------------------------------------------
# Decompositions


@_linalg
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, **how: Any) -> Any:
    """A = U·diag(s)·Vh."""
    if not compute_uv:
        return np.linalg.svdvals(a)
    return tuple(np.linalg.svd(a, full_matrices=full_matrices))


@_linalg
def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    """A = Q·R."""
    if pivoting or mode == "raw":
        _refuse("qr with pivoting or mode='raw'", "use mode='economic'")
    modes = {"full": "complete", "economic": "reduced", "r": "r"}
    found: Any = np.linalg.qr(a, mode=modes[mode])  # type: ignore[call-overload]
    if mode != "r":
        return tuple(found)
    rows, columns = np.shape(a)[-2:]
    if rows > columns:  # SciPy's has rows of zeros below
        found = np.concatenate([found, np.zeros((rows - columns, columns), found.dtype)])
    return (found,)


@_linalg
def eigvalsh(a: Any, b: Any = None, *, lower: bool = True, **how: Any) -> Any:
    """The eigenvalues of a symmetric matrix, in ascending order."""
    if b is not None or how.get("subset_by_index") or how.get("subset_by_value"):
        _refuse("eigvalsh with b= or a subset", "use all eigenvalues of one matrix, and index them")
    return np.linalg.eigvalsh(a, "L" if lower else "U")


@_linalg
def eigh(
    a: Any, b: Any = None, *, lower: bool = True, eigvals_only: bool = False, **how: Any
) -> Any:
    """The eigenvalues of a symmetric matrix."""
    if not eigvals_only:
        _refuse("eigh with eigenvectors", "use np.linalg.eigh, whose vectors may have other signs")
    return eigvalsh(a, b, lower=lower, **how)


@_linalg
def polar(a: Any, side: str = "right") -> Any:
    """A product of orthonormal columns and a positive semidefinite matrix."""
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    if side == "right":
        return u @ vh, (vh.T * s) @ vh
    return u @ vh, (u * s) @ u.T


def _expm(sheet: Sheet, A: Any) -> Value:
    """exp(A) of every matrix."""
    return result(sheet, "exponential", square(sheet, A))


LINALG["expm"] = _expm

# --------------------------------------------------------------------------------------------------
# Matrices of few different elements


@_linalg
def toeplitz(c: Any, r: Any = None) -> Any:
    """c[i - j] on and below the diagonal, r[j - i] above."""
    c = np.ravel(c)
    r = c if r is None else np.ravel(r)
    n, m = len(c), len(r)
    places = n - 1 - np.arange(n)[:, None] + np.arange(m)
    return np.concatenate([c[::-1], r[1:]])[places]


@_linalg
def hankel(c: Any, r: Any = None) -> Any:
    """c[i + j], and r from its end on."""
    c = np.ravel(c)
    r = np.zeros(len(c), c.dtype) if r is None else np.ravel(r)
    places = np.arange(len(c))[:, None] + np.arange(len(r))
    return np.concatenate([c, r[1:]])[places]


@_linalg
def circulant(c: Any) -> Any:
    """c[i - j], the places taken round."""
    n = np.shape(c)[-1]
    places = (np.arange(n)[:, None] - np.arange(n)) % n
    return np.take(c, places, axis=-1)


@_linalg
def block_diag(*arrs: Any) -> Any:
    """Matrices along the diagonal, 0 elsewhere."""
    blocks = [np.atleast_2d(block) for block in arrs]
    widths = [np.shape(block)[1] for block in blocks]
    rows = []
    for k, block in enumerate(blocks):
        height = np.shape(block)[0]
        before, after = sum(widths[:k]), sum(widths[k + 1 :])
        rows.append(
            np.concatenate([np.zeros((height, before)), block, np.zeros((height, after))], axis=1)
        )
    return np.concatenate(rows)


@_linalg
def companion(a: Any) -> Any:
    """The matrix whose eigenvalues are a polynomial's roots."""
    n = np.shape(a)[0]
    return np.concatenate([(-a[1:] / a[0])[None, :], np.eye(n - 2, n - 1)])


@_linalg
def convolution_matrix(a: Any, n: int, mode: str = "full") -> Any:
    """The matrix whose product with a vector of n elements is its convolution with ``a``."""
    count = np.shape(a)[0]
    longer, shorter = max(n, count), min(n, count)
    first = {"full": 0, "same": (shorter - 1) // 2, "valid": shorter - 1}[mode]
    rows = {"full": n + count - 1, "same": longer, "valid": longer - shorter + 1}[mode]
    places = first + np.arange(operator.index(rows))[:, None] - np.arange(n)
    inside = (places >= 0) & (places < count)
    return np.where(inside, a[np.where(inside, places, 0)], 0)


@_linalg
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: bool = True) -> Any:
    """The solutions of a system whose matrix is the same along each diagonal."""
    c, r = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, None)
    return np.linalg.solve(toeplitz(c, r), b)


@_linalg
def matmul_toeplitz(c_or_cr: Any, x: Any, check_finite: bool = False, workers: Any = None) -> Any:
    """The product of a matrix that is the same along each diagonal."""
    c, r = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, None)
    return toeplitz(c, r) @ x


@_linalg
def solve_circulant(
    c: Any,
    b: Any,
    singular: str = "raise",
    tol: Any = None,
    caxis: int = -1,
    baxis: int = 0,
    outaxis: int = 0,
) -> Any:
    """The solutions of a system whose matrix is c[i - j], the places taken round."""
    if singular != "raise" or (caxis, baxis, outaxis) != (-1, 0, 0):
        _refuse("solve_circulant with axes, or singular='lstsq'", "use one vector c and no options")
    return np.linalg.solve(circulant(c), b)


# --------------------------------------------------------------------------------------------------
# Equations of matrices: each is one system of linear equations in all elements


@_linalg
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """The X for which a·X + X·b = q."""
    n, m = np.shape(q)
    system = np.kron(a, np.eye(m)) + np.kron(np.eye(n), np.transpose(b))
    return np.reshape(np.linalg.solve(system, np.ravel(q)), (n, m))


@_linalg
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """The X for which a·X + X·aᵀ = q."""
    return solve_sylvester(a, np.transpose(a), q)


@_linalg
def solve_discrete_lyapunov(a: Any, q: Any, method: Any = None) -> Any:
    """The X for which a·X·aᵀ - X + q = 0."""
    n = np.shape(a)[0]
    system = np.eye(n * n) - np.kron(a, a)
    return np.reshape(np.linalg.solve(system, np.ravel(q)), (n, n))
