"""The table of opaque operations: what index notation can't say, by its differential, which it can.

Integer results (the places of a sorted array) have no differential: what is read there has one.

A row holds no vector-Jacobian product: it is the differential as a program in index notation, and
both modes follow from it as from any other statement. In a differential the operands and the result
have the names that the row gives them, ``dA`` is the differential of ``A``; every statement of a
``d`` name is linear in the differentials, the others are values. Batch axes stand in front of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .ir.sizes import Size


@dataclass(frozen=True)
class Operation:
    """One row.

    ``word`` is its name in text (that of several rows where the operands' ranks tell which),
    ``operands`` and ``result`` are names with one letter per core axis: equal letters, equal
    extents. ``triangle`` says that only the "lower" or "upper" triangle of the first operand is
    read, as NumPy does: ``dT`` is then the differential of the symmetric matrix with that triangle;
    ``positive`` that this matrix is positive definite; ``keeps_symmetry`` that the result is
    symmetric where the operand is. In ``latex`` and ``unicode`` an operand stands as ``@A``.

    ``kind`` is that of the result. Integers are at least 0 and less than the extent of the letter
    ``below``, or at most that extent where ``ends``; ``distinct`` says that no two along the last
    axis are equal. ``ascending``: the first operand's elements have to be in order.
    """

    name: str
    operands: tuple[str, ...]
    result: str
    differential: str
    word: str = ""
    triangle: str = ""
    positive: bool = False
    turned: str = ""
    beside: str = ""
    keeps_symmetry: bool = False
    kind: str = "float"
    below: str = ""
    ends: bool = False
    distinct: bool = False
    ascending: bool = False
    latex: str = ""
    unicode: str = ""

    def drawn(self, form: str, operands: Sequence[str]) -> str:
        """A drawn form of the whole result, with the operands' own names."""
        for item, name in zip(self.operands, operands, strict=True):
            form = form.replace(f"@{name_of(item)}", name)
        return form

    @property
    def spelled(self) -> str:
        """The name in text."""
        return self.word or self.name


def axes(item: str) -> str:
    """The letters of an operand or result, ``ij`` of ``A[i,j]``."""
    return "".join(c for c in item.partition("[")[2] if c.isalpha())


def name_of(item: str) -> str:
    """The name of an operand or result, ``A`` of ``A[i,j]``."""
    return item.partition("[")[0]


ROWS = (
    Operation(
        "inverse", ("A[n,n]",), "B[n,n]",
        "dB[i,j] = -sum(k,l) B[i,k]*dA[k,l]*B[l,j]",
        keeps_symmetry=True, latex=r"{@A}^{-1}", unicode="@A⁻¹",
    ),
    Operation(
        "solve", ("A[n,n]", "b[n]"), "x[n]",
        """
        M[i,j] = inverse(A)[i,j]
        dr[i] = db[i] - sum(j) dA[i,j]*x[j]
        dx[i] = sum(j) M[i,j]*dr[j]
        """,
        turned="solve_transposed", latex=r"{@A}^{-1} @b", unicode="@A⁻¹·@b",
    ),
    Operation(
        "solve_columns", ("A[n,n]", "B[n,m]"), "X[n,m]",
        """
        M[i,j] = inverse(A)[i,j]
        dR[i,k] = dB[i,k] - sum(j) dA[i,j]*X[j,k]
        dX[i,k] = sum(j) M[i,j]*dR[j,k]
        """,
        word="solve",
        turned="solve_transposed_columns", latex=r"{@A}^{-1} @B", unicode="@A⁻¹·@B",
    ),
    Operation(
        "solve_transposed", ("A[n,n]", "b[n]"), "x[n]",
        """
        M[i,j] = inverse(A)[i,j]
        dr[i] = db[i] - sum(j) dA[j,i]*x[j]
        dx[i] = sum(j) M[j,i]*dr[j]
        """,
        turned="solve", latex=r"{@A}^{-\top} @b", unicode="@A⁻ᵀ·@b",
    ),
    Operation(
        "solve_transposed_columns", ("A[n,n]", "B[n,m]"), "X[n,m]",
        """
        M[i,j] = inverse(A)[i,j]
        dR[i,k] = dB[i,k] - sum(j) dA[j,i]*X[j,k]
        dX[i,k] = sum(j) M[j,i]*dR[j,k]
        """,
        word="solve_transposed", turned="solve_columns",
        latex=r"{@A}^{-\top} @B", unicode="@A⁻ᵀ·@B",
    ),
    Operation(
        "determinant", ("A[n,n]",), "D[]",
        """
        C[i,j] = cofactors(A)[i,j]
        dD[] = sum(i,j) C[i,j]*dA[i,j]
        """,
        turned="determinant", latex=r"\det @A", unicode="det @A",
    ),
    Operation(
        "cofactors", ("A[n,n]",), "C[n,n]",  # det(A)·A⁻ᵀ, and its limit where A is singular
        """
        M[i,j] = inverse(A)[i,j]
        dt[] = sum(i,j) M[j,i]*dA[i,j]
        dC[i,j] = C[i,j]*dt[] - sum(k,l) C[k,j]*M[l,i]*dA[k,l]
        """,
        keeps_symmetry=True, latex=r"\operatorname{cof} @A", unicode="cof @A",
    ),
    Operation(
        "logdet", ("A[n,n]",), "L[]",  # the logarithm of the determinant's absolute value
        """
        M[i,j] = inverse(A)[i,j]
        dL[] = sum(i,j) M[j,i]*dA[i,j]
        """,
        turned="logdet", beside="detsign",
        latex=r"\log\left|\det @A\right|", unicode="log |det @A|",
    ),
    Operation(
        "detsign", ("A[n,n]",), "s[]", "",
        turned="detsign", beside="logdet",
        latex=r"\operatorname{sign} \det @A", unicode="sign det @A",
    ),
    Operation(
        "cholesky", ("A[n,n]",), "L[n,n]",  # L = L·Φ(L⁻¹·dA·L⁻ᵀ), Φ the lower half (Murray 2016)
        """
        M[i,j] = inverse(L)[i,j]
        dU[i,l] = sum(k) M[i,k]*dT[k,l]
        dS[i,j] = sum(l) dU[i,l]*M[j,l]
        dH[i,j] = ([j < i] + 1/2*[i = j])*dS[i,j]
        dL[i,j] = sum(k) L[i,k]*dH[k,j]
        """,
        triangle="lower", positive=True,
        latex=r"\operatorname{chol} @A", unicode="chol @A",
    ),
    Operation(
        "eigenvalues", ("A[n,n]",), "w[n]",  # in ascending order
        """
        V[i,k] = eigenvectors(A)[i,k]
        dw[k] = sum(i,j) V[i,k]*dT[i,j]*V[j,k]
        """,
        triangle="lower",
        beside="eigenvectors", latex=r"\lambda @A", unicode="λ @A",
    ),
    Operation(
        "eigenvectors", ("A[n,n]",), "V[n,n]",  # in the columns, of length 1, each up to its sign
        """
        w[k] = eigenvalues(A)[k]
        dU[i,l] = sum(j) dT[i,j]*V[j,l]
        dS[k,l] = sum(i) V[i,k]*dU[i,l]
        dH[k,l] = [k != l]/(w[l] - w[k])*dS[k,l]
        dV[i,l] = sum(k) V[i,k]*dH[k,l]
        """,
        triangle="lower",
        beside="eigenvalues", latex=r"\operatorname{eigvec} @A", unicode="eigvec @A",
    ),
    Operation(
        "eigenvalues_upper", ("A[n,n]",), "w[n]",
        """
        V[i,k] = eigenvectors_upper(A)[i,k]
        dw[k] = sum(i,j) V[i,k]*dT[i,j]*V[j,k]
        """,
        triangle="upper",
        beside="eigenvectors_upper", latex=r"\lambda @A", unicode="λ @A",
    ),
    Operation(
        "eigenvectors_upper", ("A[n,n]",), "V[n,n]",
        """
        w[k] = eigenvalues_upper(A)[k]
        dU[i,l] = sum(j) dT[i,j]*V[j,l]
        dS[k,l] = sum(i) V[i,k]*dU[i,l]
        dH[k,l] = [k != l]/(w[l] - w[k])*dS[k,l]
        dV[i,l] = sum(k) V[i,k]*dH[k,l]
        """,
        triangle="upper",
        beside="eigenvalues_upper", latex=r"\operatorname{eigvec} @A", unicode="eigvec @A",
    ),
    Operation(  # the places of the elements in ascending order, equal ones in theirs, NaN last
        "argsort", ("A[n]",), "p[n]", "",
        kind="int", below="n", distinct=True,
        latex=r"\operatorname{argsort} @A", unicode="argsort @A",
    ),
    Operation(  # the same, equal ones in the order in which NumPy's own sorting leaves them
        "argsort_unstable", ("A[n]",), "p[n]", "",
        kind="int", below="n", distinct=True,
        latex=r"\operatorname{argsort} @A", unicode="argsort @A",
    ),
    Operation(  # as argsort; all of them the place of a NaN where there is one
        "argorder", ("A[n]",), "p[n]", "",
        kind="int", below="n", latex=r"\operatorname{argorder} @A", unicode="argorder @A",
    ),
    Operation(  # the place of the first greatest element of those up to each, of the first NaN
        "argcummax", ("A[n]",), "p[n]", "",
        kind="int", below="n", latex=r"\operatorname{argcummax} @A", unicode="argcummax @A",
    ),
    Operation(
        "argcummin", ("A[n]",), "p[n]", "",
        kind="int", below="n", latex=r"\operatorname{argcummin} @A", unicode="argcummin @A",
    ),
    Operation(  # how many elements of a sorted vector are less than each of others
        "searchsorted", ("A[n]", "v[m]"), "p[m]", "",
        kind="int", below="n", ends=True, ascending=True,
        latex=r"\#\{@A < @v\}", unicode="searchsorted(@A, @v)",
    ),
    Operation(  # ... less or equal
        "searchsorted_right", ("A[n]", "v[m]"), "p[m]", "",
        kind="int", below="n", ends=True, ascending=True,
        latex=r"\#\{@A \le @v\}", unicode="searchsorted_right(@A, @v)",
    ),
)  # fmt: skip

TABLE = {row.name: row for row in ROWS}
WORDS = {
    word: tuple(row for row in ROWS if row.spelled == word)
    for word in dict.fromkeys(row.spelled for row in ROWS)
}
ALIASES = {"inv": "inverse", "det": "determinant", "eigvalsh": "eigenvalues", "slogdet": "logdet"}


def batch_of(row: Operation, shapes: Sequence[tuple[Size, ...]]) -> int:
    """How many batch axes operands of these shapes have."""
    return len(shapes[0]) - len(axes(row.operands[0]))


def bound_of(row: Operation, operands: Sequence[tuple[Size, ...]]) -> Size | None:
    """The size that integer results are below, None for other results."""
    for item, shape in zip(row.operands, operands, strict=True):
        letters = axes(item)
        if row.below and row.below in letters:
            extent = shape[len(shape) - len(letters) + letters.index(row.below)]
            return extent + 1 if row.ends else extent
    return None


def result_shape(row: Operation, shapes: Sequence[tuple[Size, ...]]) -> tuple[Size, ...] | None:
    """The result's shape; None where the operands' ranks or extents don't fit."""
    batch = batch_of(row, shapes)
    extents: dict[str, Size] = {}
    for item, shape in zip(row.operands, shapes, strict=True):
        letters = axes(item)
        if batch < 0 or len(shape) != batch + len(letters) or shape[:batch] != shapes[0][:batch]:
            return None
        for letter, extent in zip(letters, shape[batch:], strict=True):
            if extents.setdefault(letter, extent) is not extent:
                return None
    return (*shapes[0][:batch], *(extents[letter] for letter in axes(row.result)))
