"""The table of opaque operations: what index notation can't say, by its differential, which it can.

Integer results (the places of a sorted array) have no differential: what is read there has one.

A row holds no vector-Jacobian product: it is the differential as a program in index notation, and
both modes follow from it as from any other statement. In a differential the operands and the result
have the names that the row gives them, ``dA`` is the differential of ``A``; every statement of a
``d`` name is linear in the differentials, the others are values. Batch axes stand in front of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .ir.expr import Opaque
from .ir.program import Define
from .ir.size_conditions import Choice, SizeCondition, empty_unless
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

    ``shape`` is "tall" where the first operand has at least as many rows as columns, "wide" where
    it has at most as many. ``beside`` are the operations that the same computation gives.
    ``refuses`` is what can't be written of a result that has a derivative.

    ``kind`` is that of the result. Integers are at least 0 and less than the extent of the letter
    ``below``, or at most that extent where ``ends``; ``distinct`` says that no two along the last
    axis are equal. ``ascending``: the first operand's elements have to be in order.
    ``apart``: its eigenvalues have to be real, and to differ.
    """

    name: str
    operands: tuple[str, ...]
    result: str
    differential: str
    word: str = ""
    triangle: str = ""
    positive: bool = False
    turned: str = ""
    beside: tuple[str, ...] = ()
    shape: str = ""
    refuses: str = ""
    keeps_symmetry: bool = False
    kind: str = "float"
    below: str = ""
    ends: bool = False
    distinct: bool = False
    ascending: bool = False
    apart: bool = False
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


SYSTEMS = {"inverse": "solve", "inverse_lower": "solve_lower", "inverse_upper": "solve_upper"}
"""What an inverse times a right side is, without the inverse."""

WAVES = ("fourier_cos", "fourier_sin", "half_cos", "half_sin")
"""The operations that are matrices of transforms: differentials multiply with them."""
FOURIER = {"cos": "P", "sin": "Q"}
"""The matrices of cosines and sines of 2π k j/n, and what they are called in differentials."""


def _transform(inverse: bool, real: bool, whole: bool) -> Operation:
    """The row of one part of a discrete Fourier transform: real or imaginary, of a ``whole``
    complex array A + iB or of A.

    The transform of A + iB is P·A + Q·B + i(P·B - Q·A), with the cosines P and the sines Q; the
    inverse one is P·A - Q·B + i(P·B + Q·A), divided by n.
    """
    own, turned = ("A", "B") if real else ("B", "A")
    terms = [("", "P", own), ("-" if real is inverse else "", "Q", turned)]
    used = [(sign, matrix, x) for sign, matrix, x in terms if whole or x == "A"]
    over = "/N" if inverse else ""
    sums = [f"{sign}sum(j) {matrix}[k,j]*d{x}[j]{over}" for sign, matrix, x in used]
    values = [
        f"{matrix}[k,j] = fourier_{name}(A)[k,j]"
        for name, matrix in FOURIER.items()
        if any(matrix == one for _, one, _ in used)
    ]
    word = f"{'c' if whole else ''}{'i' if inverse else ''}fft"
    transform = r"\mathcal{F}^{-1}" if inverse else r"\mathcal{F}"
    given = r"\left(@A + i\,@B\right)" if whole else "@A"
    return Operation(
        f"{word}_{'real' if real else 'imag'}",
        ("A[n]", "B[n]") if whole else ("A[n]",),
        "F[n]",
        "\n".join([*values, f"dF[k] = {' + '.join(sums)}".replace("+ -", "- ")]),
        beside=(f"{word}_{'imag' if real else 'real'}",),
        latex=rf"\operatorname{{{'Re' if real else 'Im'}}} {transform} {given}",
        unicode=f"{'Re' if real else 'Im'} F{'⁻¹' if inverse else ''}"
        + ("(@A + i·@B)" if whole else " @A"),
    )


ROWS: tuple[Operation, ...] = (
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
        turned="logdet", beside=("detsign",),
        latex=r"\log\left|\det @A\right|", unicode="log |det @A|",
    ),
    Operation(
        "detsign", ("A[n,n]",), "s[]", "",
        turned="detsign", beside=("logdet",),
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
        beside=("eigenvectors",), latex=r"\lambda @A", unicode="λ @A",
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
        beside=("eigenvalues",), latex=r"\operatorname{eigvec} @A", unicode="eigvec @A",
    ),
    Operation(
        "eigenvalues_upper", ("A[n,n]",), "w[n]",
        """
        V[i,k] = eigenvectors_upper(A)[i,k]
        dw[k] = sum(i,j) V[i,k]*dT[i,j]*V[j,k]
        """,
        triangle="upper",
        beside=("eigenvectors_upper",), latex=r"\lambda @A", unicode="λ @A",
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
        beside=("eigenvalues_upper",), latex=r"\operatorname{eigvec} @A", unicode="eigvec @A",
    ),
    Operation(  # of any matrix whose eigenvalues are real (Giles 2008, section 3.1)
        "real_eigenvalues", ("A[n,n]",), "w[n]",
        """
        V[i,k] = real_eigenvectors(A)[i,k]
        M[k,i] = inverse(V)[k,i]
        dw[k] = sum(i,j) M[k,i]*dA[i,j]*V[j,k]
        """,
        apart=True,
        beside=("real_eigenvectors",), latex=r"\lambda @A", unicode="λ @A",
    ),
    Operation(
        "real_eigenvectors", ("A[n,n]",), "V[n,n]",  # in the columns, of length 1
        """
        w[k] = real_eigenvalues(A)[k]
        M[k,i] = inverse(V)[k,i]
        dU[i,l] = sum(j) dA[i,j]*V[j,l]
        dS[k,l] = sum(i) M[k,i]*dU[i,l]
        dH[k,l] = [k != l]/(w[l] - w[k])*dS[k,l]
        dW[i,l] = sum(k) V[i,k]*dH[k,l]
        dV[i,l] = dW[i,l] - V[i,l]*(sum(k) V[k,l]*dW[k,l])
        """,
        apart=True,
        beside=("real_eigenvalues",), latex=r"\operatorname{eigvec} @A", unicode="eigvec @A",
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
    Operation(  # the first h = n//2 + 1 elements of the transform of a real array
        "rfft_real", ("A[n]",), "F[h]",
        """
        P[k:H,j:N] = half_cos(A)[k,j]
        dF[k] = sum(j) P[k,j]*dA[j]
        """,
        beside=("rfft_imag",),
        latex=r"\operatorname{Re} \mathcal{F}_{\ge 0} @A", unicode="Re F₊ @A",
    ),
    Operation(
        "rfft_imag", ("A[n]",), "F[h]",
        """
        Q[k:H,j:N] = half_sin(A)[k,j]
        dF[k] = -sum(j) Q[k,j]*dA[j]
        """,
        beside=("rfft_real",),
        latex=r"\operatorname{Im} \mathcal{F}_{\ge 0} @A", unicode="Im F₊ @A",
    ),
    Operation(  # the real array of n elements of which A is half the transform
        "irfft", ("A[h]",), "F[n]",
        """
        W[k:H] = half_weights(F)[k]
        P[k:H,j:N] = half_cos(F)[k,j]
        dF[j] = sum(k) W[k]*P[k,j]*dA[k]/N
        """,
        latex=r"\mathcal{F}_{\ge 0}^{-1} @A", unicode="F₊⁻¹ @A",
    ),
    Operation(
        "cirfft", ("A[h]", "B[h]"), "F[n]",
        """
        W[k:H] = half_weights(F)[k]
        P[k:H,j:N] = half_cos(F)[k,j]
        Q[k:H,j:N] = half_sin(F)[k,j]
        dF[j] = sum(k) W[k]*P[k,j]*dA[k]/N - sum(k) W[k]*Q[k,j]*dB[k]/N
        """,
        latex=r"\mathcal{F}_{\ge 0}^{-1} \left(@A + i\,@B\right)",
        unicode="F₊⁻¹(@A + i·@B)",
    ),
    *(
        _transform(inverse, real, whole)
        for whole in (False, True)
        for inverse in (False, True)
        for real in (True, False)
    ),
    Operation(  # of the operand, only the extent is read
        "fourier_cos", ("A[n]",), "P[n,n]", "",
        latex=r"C_{@A}", unicode="C(@A)",
    ),
    Operation(
        "fourier_sin", ("A[n]",), "Q[n,n]", "",
        latex=r"S_{@A}", unicode="S(@A)",
    ),
    Operation(  # their first n//2 + 1 rows
        "half_cos", ("A[n]",), "P[h,n]", "",
        latex=r"C_{@A}", unicode="C(@A)",
    ),
    Operation(
        "half_sin", ("A[n]",), "Q[h,n]", "",
        latex=r"S_{@A}", unicode="S(@A)",
    ),
    Operation(  # how many elements of a whole transform each of these stands for: 2, 1 at the ends
        "half_weights", ("A[n]",), "W[h]", "",
        latex=r"w_{@A}", unicode="w(@A)",
    ),
)  # fmt: skip


def _svd(suffix: str, given: str, values: str) -> list[Operation]:
    """The parts of A = U·diag(s)·W, of tall, wide or square matrices.

    The columns of U and the rows of W stay orthonormal: they turn among themselves by H, and of a
    matrix that isn't square those of the longer side turn out of their span.
    """
    rows, columns = tuple(axes(given))
    shape = suffix.removeprefix("_") if suffix == "_wide" else "tall"
    left, middle, right = [f"svd_{part}{suffix}" for part in ("left", "values", "right")]
    u, s, w = f"U[i,k] = {left}(A)[i,k]", f"s[k] = {middle}(A)[k]", f"W[k,j] = {right}(A)[k,j]"
    turns = "dE[k,j] = sum(i) U[i,k]*dA[i,j]; dP[k,l] = sum(j) dE[k,j]*W[l,j]"
    gap = "[k != l]/((s[l] - s[k])*(s[l] + s[k]))"
    of_left = f"""
        {s}; {w}
        {turns}
        dH[k,l] = {gap}*(dP[k,l]*s[l] + s[k]*dP[l,k])"""
    of_right = f"""
        {u}; {s}
        {turns}
        dH[k,l] = {gap}*(s[k]*dP[k,l] + s[l]*dP[l,k])"""
    if suffix:
        of_left += "; dU[i,l] = sum(k) U[i,k]*dH[k,l]"
    else:
        of_left += """
        dB[i,l] = sum(j) dA[i,j]*W[l,j]
        dU[i,l] = sum(k) U[i,k]*dH[k,l] + (dB[i,l] - sum(k) U[i,k]*dP[k,l])/s[l]"""
    if suffix == "_wide":
        of_right += """
        dW[k,j] = sum(l) W[l,j]*dH[l,k] + (dE[k,j] - sum(l) dP[k,l]*W[l,j])/s[k]"""
    else:
        of_right += "; dW[k,j] = sum(l) W[l,j]*dH[l,k]"
    return [
        Operation(
            left, (given,), f"U[{rows},{values}]", of_left, beside=(middle, right), shape=shape,
            latex=r"\operatorname{svd}_U @A", unicode="svd_U @A",
        ),
        Operation(
            middle, (given,), f"s[{values}]",
            f"{u}; {w}; ds[k] = sum(i,j) U[i,k]*dA[i,j]*W[k,j]",
            beside=(left, right), shape=shape, latex=r"\sigma @A", unicode="σ @A",
        ),
        Operation(
            right, (given,), f"W[{values},{columns}]", of_right, beside=(left, middle),
            shape=shape, latex=r"\operatorname{svd}_V @A", unicode="svd_V @A",
        ),
    ]  # fmt: skip


def _triangular(side: str) -> list[Operation]:
    """Systems with a triangle of a matrix, of which the rest isn't read."""
    other = "upper" if side == "lower" else "lower"
    inside, turned = ("j <= i", "i <= j") if side == "lower" else ("i <= j", "j <= i")
    sign = r"\triangle" if side == "lower" else r"\nabla"
    drawn = "◣" if side == "lower" else "◥"
    made = [
        Operation(
            f"inverse_{side}", ("A[n,n]",), "B[n,n]",
            f"""
            dT[i,j] = [{inside}]*dA[i,j]
            dB[i,j] = -sum(k,l) B[i,k]*dT[k,l]*B[l,j]
            """,
            latex=rf"{{@A}}_{{{sign}}}^{{-1}}", unicode=f"@A{drawn}⁻¹",
        )
    ]  # fmt: skip
    for transposed, condition, read, row, power in (
        ("", inside, "i,j", "i,j", ("{-1}", "⁻¹")),
        ("_transposed", turned, "j,i", "j,i", (r"{-\top}", "⁻ᵀ")),
    ):
        made += [
            Operation(
                f"solve_{side}{transposed}{columns}", ("A[n,n]", f"B[n{more}]"), f"X[n{more}]",
                f"""
                M[i,j] = inverse_{side}(A)[i,j]
                dR[i{c}] = dB[i{c}] - sum(j) [{condition}]*dA[{read}]*X[j{c}]
                dX[i{c}] = sum(j) M[{row}]*dR[j{c}]
                """,
                word=f"solve_{side}{transposed}",
                turned=f"solve_{other}{'' if transposed else '_transposed'}{columns}",
                latex=rf"{{@A}}_{{{sign}}}^{power[0]} @B", unicode=f"@A{drawn}{power[1]}·@B",
            )
            for columns, more, c in (("", "", ""), ("_columns", ",m", ",c"))
        ]  # fmt: skip
    return made


# Of matrices that need not be square. Singular values are in descending order, singular vectors
# each up to its sign.
ROWS += (
    *_triangular("lower"),
    *_triangular("upper"),
    *_svd("", "A[n,m]", "m"),
    *_svd("_wide", "A[n,m]", "n"),
    *_svd("_square", "A[n,n]", "n"),
    Operation(
        "qr_factor", ("A[n,m]",), "Q[n,m]",
        """
        R[k,l] = qr_triangle(A)[k,l]
        M[k,l] = inverse(R)[k,l]
        dB[i,l] = sum(k) dA[i,k]*M[k,l]
        dC[k,l] = sum(i) Q[i,k]*dB[i,l]
        dT[k,l] = [k <= l]*dC[k,l] + [k < l]*dC[l,k]
        dQ[i,l] = dB[i,l] - sum(k) Q[i,k]*dT[k,l]
        """,
        beside=("qr_triangle",), shape="tall",
        latex=r"\operatorname{qr}_Q @A", unicode="qr_Q @A",
    ),
    Operation(
        "qr_triangle", ("A[n,m]",), "R[m,m]",
        """
        Q[i,k] = qr_factor(A)[i,k]
        M[k,l] = inverse(R)[k,l]
        dE[k,j] = sum(i) Q[i,k]*dA[i,j]
        dC[k,l] = sum(j) dE[k,j]*M[j,l]
        dT[k,l] = [k <= l]*dC[k,l] + [k < l]*dC[l,k]
        dR[k,l] = sum(j) dT[k,j]*R[j,l]
        """,
        beside=("qr_factor",), shape="tall",
        latex=r"\operatorname{qr}_R @A", unicode="qr_R @A",
    ),
    Operation(
        "pseudoinverse", ("A[n,m]",), "P[m,n]",  # where the rank stays (Golub and Pereyra 1973)
        """
        N[k,l] = sum(i) P[k,i]*P[l,i]
        H[i,j] = sum(k) P[k,i]*P[k,j]
        dE[l,k] = sum(i) dA[i,l]*A[i,k]
        dF[l,j] = dA[j,l] - sum(k) dE[l,k]*P[k,j]
        dG[j,k] = sum(l) A[j,l]*dA[k,l]
        dK[i,k] = dA[k,i] - sum(j) P[i,j]*dG[j,k]
        dB[i,l] = sum(k) P[i,k]*dA[k,l]
        dP[i,j] = sum(l) N[i,l]*dF[l,j] + sum(k) dK[i,k]*H[k,j] - sum(l) dB[i,l]*P[l,j]
        """,
        latex="{@A}^{+}", unicode="@A⁺",
    ),
    Operation(
        "exponential", ("A[n,n]",), "E[n,n]",
        """
        K[i,j,k,l] = exponential_slopes(A)[i,j,k,l]
        dE[i,j] = sum(k,l) K[i,j,k,l]*dA[k,l]
        """,
        keeps_symmetry=True, latex="e^{@A}", unicode="exp @A",
    ),
    *(
        Operation(
            name, operands, result, "", refuses="the second derivative of a matrix exponential",
            latex=latex, unicode=unicode,
        )
        for name, operands, result, latex, unicode in (
            # the derivative of exponential(A) by A; along a direction; and along one that is pulled
            # back, which is that of the exponential of the transpose
            ("exponential_slopes", ("A[n,n]",), "K[n,n,n,n]", r"D e^{@A}", "D exp @A"),
            (
                "exponential_pushed", ("A[n,n]", "X[n,n]"), "Y[n,n]",
                r"D e^{@A}[@X]", "D exp @A[@X]",
            ),
            (
                "exponential_pulled", ("A[n,n]", "X[n,n]"), "Y[n,n]",
                r"D e^{@A^\top}[@X]", "D exp @Aᵀ[@X]",
            ),
        )
    ),
    *(
        Operation(
            f"least_squares{suffix}", ("A[n,m]", f"B[n{more}]"), f"X[m{more}]",
            f"""
            P[i,j] = pseudoinverse(A)[i,j]
            R[i{c}] = B[i{c}] - sum(j) A[i,j]*X[j{c}]
            Z[i{c}] = sum(j) P[j,i]*X[j{c}]
            dT[j{c}] = sum(i) dA[i,j]*R[i{c}]
            dU[j{c}] = sum(i) dA[i,j]*Z[i{c}]
            dV[i{c}] = dB[i{c}] - sum(j) dA[i,j]*X[j{c}] + sum(j) P[j,i]*dT[j{c}]
            dW[i{c}] = dV[i{c}] - sum(j) A[i,j]*dU[j{c}]
            dX[j{c}] = dU[j{c}] + sum(i) P[j,i]*dW[i{c}]
            """,
            word="least_squares", latex="{@A}^{+} @B", unicode="@A⁺·@B",
        )
        for suffix, more, c in (("", "", ""), ("_columns", ",q", ",c"))
    ),
)  # fmt: skip

TABLE = {row.name: row for row in ROWS}
WORDS = {
    word: tuple(row for row in ROWS if row.spelled == word)
    for word in dict.fromkeys(row.spelled for row in ROWS)
}
ALIASES = {
    "inv": "inverse",
    "det": "determinant",
    "eigvalsh": "eigenvalues",
    "eigvals": "real_eigenvalues",
    "slogdet": "logdet",
    "pinv": "pseudoinverse",
    "lstsq": "least_squares",
    "expm": "exponential",
}


def batch_of(row: Operation, shapes: Sequence[tuple[Size, ...]]) -> int:
    """How many batch axes operands of these shapes have."""
    return len(shapes[0]) - len(axes(row.operands[0]))


def is_of_shape(row: Operation, first: tuple[Size, ...]) -> bool:
    """Whether a first operand may have at least as many rows as columns, where that is asked."""
    if not row.shape or len(first) < 2:
        return True
    rows, columns = (extent.literal for extent in first[-2:])
    if rows is None or columns is None:
        return True
    return rows >= columns if row.shape == "tall" else rows <= columns


def assumed(statements: Sequence[Define]) -> tuple[Choice, ...]:
    """What statements take for granted of the sizes: axes whose last place is read aren't empty,
    and a matrix has as many rows and columns as an operation takes.

    >>> from .notation.parse import parse
    >>> program = parse("A[N,M]; R[i,j] = qr_triangle(A)[i,j]; y[j] = A[N-1,j]")
    >>> print(*(choice.condition for choice in assumed(program.statements)), sep=", ")
    N >= 1, N >= M
    """
    return (*empty_unless(statements), *dict.fromkeys(_shapes_assumed(statements)))


def _shapes_assumed(statements: Iterable[Define]) -> Iterable[Choice]:
    for statement in statements:
        match statement.body:
            case Opaque(operation, (matrix, *_)) if TABLE[operation].shape:
                rows, columns = matrix.shape[-2:]
                op = ">=" if TABLE[operation].shape == "tall" else "<="
                condition = SizeCondition(rows, op, columns)
                if condition.names and not condition.always:
                    yield Choice(condition, statement.source)


def is_told(row: Operation, axis: int) -> bool:
    """Whether the operands tell the extent of an axis of the result, counted from its end.

    >>> is_told(TABLE["inverse"], -1), is_told(TABLE["irfft"], -1)
    (True, False)
    """
    letters = axes(row.result)
    if -axis > len(letters):
        return True  # of the batch
    return any(letters[axis] in axes(item) for item in row.operands)


def bound_of(row: Operation, operands: Sequence[tuple[Size, ...]]) -> Size | None:
    """The size that integer results are below, None for other results."""
    for item, shape in zip(row.operands, operands, strict=True):
        letters = axes(item)
        if row.below and row.below in letters:
            extent = shape[len(shape) - len(letters) + letters.index(row.below)]
            return extent + 1 if row.ends else extent
    return None


def result_shape(row: Operation, shapes: Sequence[tuple[Size, ...]]) -> tuple[Size, ...] | None:
    """The result's shape; None where the operands' ranks or extents don't fit.

    What half a transform h = n//2 + 1 is the half of is taken for even.
    """
    if not is_of_shape(row, shapes[0]):
        return None
    batch = batch_of(row, shapes)
    extents: dict[str, Size] = {}
    for item, shape in zip(row.operands, shapes, strict=True):
        letters = axes(item)
        if batch < 0 or len(shape) != batch + len(letters) or shape[:batch] != shapes[0][:batch]:
            return None
        for letter, extent in zip(letters, shape[batch:], strict=True):
            if extents.setdefault(letter, extent) is not extent:
                return None
    if "n" in extents:
        extents.setdefault("h", extents["n"] // 2 + 1)
    elif "h" in extents:
        extents["n"] = (extents["h"] - 1) * 2
    return (*shapes[0][:batch], *(extents[letter] for letter in axes(row.result)))
