# ruff: noqa: RUF001
"""Matrix forms: what they say, and that they are worth what the index form is worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.errors import ShapeError
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.notation.matrix import dimension_analysis, matrix_form
from pullback.notation.parse import parse

FORMS = [
    ("dX[n,d] = sum(m) dY[n,m]*W[d,m]", "dX = dY Wᵀ"),
    ("dW[d,m] = sum(n) X[n,d]*dY[n,m]", "dW = Xᵀ dY"),
    ("dW[d,m] = sum(n) dY[n,m]*X[n,d]", "dW = Xᵀ dY"),
    ("Y[i,j] = sum(k) A[k,i]*B[j,k]", "Y = Aᵀ Bᵀ"),
    ("Y[j,i] = sum(k) A[i,k]*B[k,j]", "Y = Bᵀ Aᵀ"),
    ("db[m] = sum(n) dY[n,m]", "db = dYᵀ 𝟏"),
    ("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]", "Y = X W + 𝟏 bᵀ"),
    ("dX[i,d] = sum(j) (dG[i,j] + dG[j,i])*X[j,d]", "dX = (dG + dGᵀ) X"),
    ("dS[n,c] = P[n,c]*(dP[n,c] - sum(k) P[n,k]*dP[n,k])", "dS = P ∘ (dP − (P ∘ dP) 𝟏 𝟏ᵀ)"),
    ("dX[n,m] = dY[n,m]*[X[n,m] > 0]", "dX = dY ∘ [0 < X]"),
    ("dX[n,d] = dY[n,d]*(1 - Y[n,d]**2)", "dX = dY ∘ (𝟏 𝟏ᵀ − Y^∘2)"),
    ("Y[n,d] = gamma[d]*x[n,d]/N", "Y = 1/N x diag(γ)"),
    ("Y[n,c] = E[n,c]/Z[n]", "Y = diag(Z^∘-1) E"),
    ("O[i,j] = u[i]*v[j]", "O = u vᵀ"),
    ("O[i,j] = v[j]*u[i]", "O = u vᵀ"),
    ("s = sum(i) u[i]*v[i]", "s = uᵀ v"),
    ("s = sum(i) u[i]", "s = 𝟏ᵀ u"),
    ("q = sum(i,j) x[i]*A[i,j]*y[j]", "q = xᵀ A y"),
    ("t = sum(i) A[i,i]", "t = tr(A)"),
    ("d[i] = A[i,i]", "d = diag(A)"),
    ("L = sum(n,c) A[n,c]*B[n,c]", "L = 𝟏ᵀ (A ∘ B) 𝟏"),
    ("Y[i,j] = sum(k,l) A[i,k]*B[k,l]*C[l,j]", "Y = A B C"),
    ("Y[i,j] = sum(k) A[i,k]*w[k]*B[k,j]", "Y = A diag(w) B"),
    ("Y[i,j] = X[i,j]*(sum(k) A[i,k]*B[k,j])", "Y = X ∘ (A B)"),
    ("Y[i,j] = sum(k) (A[i,k]*C[k,i])*B[k,j]", "Y = (A ∘ Cᵀ) B"),
    ("dW[d,m] = 2*sum(n) X[n,d]*(Y[n,m] - T[n,m])", "dW = 2 Xᵀ (Y − T)"),
    ("T[i,j:I] = [i = j]*u[i]", "T = diag(u)"),
    ("T[i:3,j:3] = [i = j]*c[j] + A[j,i]", "T = diag(c) + Aᵀ"),
    ("Y[b,i,j] = sum(k) A[b,i,k]*B[b,k,j]", "Y[b] = A[b] B[b]"),
    ("Y[b,i,j] = sum(k) A[b,i,k]*B[k,j] + c[b,j]", "Y[b] = A[b] B + 𝟏 c[b]ᵀ"),
    ("Y[n,m] = sum(d) x[n,d]*W[n,d,m]", "Y[n] = W[n]ᵀ x[n]"),
    ("Y[i,j] = exp(A[j,i]) + max(B[i,j], 0)", "Y = exp(Aᵀ) + max(B, 0)"),
    ("Y[i,j] = X[i,j] + 1", "Y = X + 𝟏 𝟏ᵀ"),
    ("Y[i,j,k,l] = A[i,j]*B[l,k]", "Y[i,j] = A[i,j] Bᵀ"),
    ("Y[i] = u[i]*(sum(j) v[j]*w[j])", "Y = (vᵀ w) u"),
    ("Y[i:K,j] = sum(k) [i = k]*A[k,j]", "Y = A"),
    ("Y[i] = a[]*x[i] - 2*z[i]", "Y = a x − 2 z"),
]  # fmt: skip


def arrays_for(program: Program, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        t.name: rng.uniform(0.2, 1.5, [n.value(sizes) for n in t.shape]) for t in program.inputs
    }


@pytest.mark.parametrize(("text", "plain"), FORMS)
def test_a_matrix_form_says_and_is_the_same(text: str, plain: str) -> None:
    program = parse(text)
    (statement,) = program.statements
    form = matrix_form(statement)
    assert form is not None and form.plain == plain
    names = dict.fromkeys(n for t in program.inputs for size in t.shape for n in size.names())
    for shift in (0, 1):
        sizes = {name: 1 + (k + shift) % 4 for k, name in enumerate(names)}
        arrays = arrays_for(program, sizes)
        expected = run(program, arrays)[statement.target.name].tolist()
        np.testing.assert_allclose(form.evaluate(arrays), expected, rtol=1e-12)
    assert form.latex.count("{") == form.latex.count("}")


NO_FORM = [
    "Y[i] = max(j) X[i,j]",
    "Y[i] = X[i]*i",
    "Y[i] = sum(p:2) X[i+p]",
    "L[n] = X[n,y[n]]",
    "Y[i] = sum(j if j < 2) X[i,j]",
    "Y[i] = sum(j,k) A[i,j]*B[j,k]*C[k,i]*D[i,k]*E[j,i]*F[i,j]*G[k,j]*H[j]*T[i,j,k]",
    "Y[i,j] = sum(k) A[i,k]*B[j,k]*C[k,i]*T[i,j,k]",
    "Y = sum(i,j,k) A[i,j]*B[j,k]*C[k,i]*u[i]*T[i,j,k]",
    "Y[i,j] = sum(k) A[i,k]*B[j,k]*C[k,j]*where(A[i,k] < 1, 2, 3)",
    "Y[i] = where(x[i] < 1, 2, 3)",
    "f = a[]*b[] + 1",
]


@pytest.mark.parametrize("text", NO_FORM)
def test_where_there_is_no_honest_form_there_is_none(text: str) -> None:
    assert matrix_form(parse(text).statements[-1]) is None


LETTERS = st.sampled_from("ijkl")
FACTORS = st.one_of(
    st.tuples(LETTERS),
    st.tuples(LETTERS, LETTERS),
    st.just(()),
)


@settings(max_examples=150)
@given(st.lists(FACTORS, min_size=1, max_size=4), st.integers(0, 2), st.booleans())
def test_products_of_random_arrays(factors: list[tuple[str, ...]], kept: int, plus: bool) -> None:
    """Whatever form is given for a sum of products, it is worth the same as NumPy's einsum."""
    letters = list(dict.fromkeys(letter for factor in factors for letter in factor))
    left, bound = letters[:kept], letters[kept:]
    terms = [f"{'ABCD'[k]}[{','.join(f)}]" for k, f in enumerate(factors)]
    product = (f"sum({','.join(bound)}) " if bound else "") + "*".join(terms)
    extra = f" + V[{','.join(left)}]" if plus else ""
    sizes = dict(zip("ijkl", (2, 3, 4, 5), strict=True))
    shapes = {"ABCD"[k]: [sizes[x] for x in f] for k, f in enumerate(factors)}
    if plus:
        shapes["V"] = [sizes[x] for x in left]
    program = parse(f"Y[{','.join(left)}] = {product}{extra}", shapes)
    form = matrix_form(program.statements[0])
    if form is None:
        return
    rng = np.random.default_rng(1)
    arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    spec = ",".join("".join(f) for f in factors) + "->" + "".join(left)
    expected = np.einsum(spec, *(arrays["ABCD"[k]] for k in range(len(factors))))
    expected = expected + arrays["V"] if plus else expected
    np.testing.assert_allclose(form.evaluate(arrays), expected, rtol=1e-10, atol=1e-12)


def test_most_simple_products_have_a_form() -> None:
    for spec in ("ik,kj->ij", "ki,jk->ij", "i,j->ij", "ij->j", "ij,j->i", "ij,ij->", "ij,jk,k->i"):
        reads, left = spec.split("->")
        factors = [f"{'ABC'[k]}[{','.join(f)}]" for k, f in enumerate(reads.split(","))]
        bound = [x for x in "ijk" if x in reads and x not in left]
        text = (
            f"Y[{','.join(left)}] = sum({','.join(bound)}) " if bound else f"Y[{','.join(left)}] = "
        )
        assert matrix_form(parse(text + "*".join(factors)).statements[0]) is not None, spec


def test_evaluate_needs_every_array() -> None:
    form = matrix_form(parse("Y[i] = sum(j) A[i,j]*v[j]").statements[0])
    assert form is not None
    with pytest.raises(ShapeError, match="v"):
        form.evaluate({"A": [[1.0]]})


DIMENSIONS = [
    ("dX[n,d] = sum(m) dY[n,m]*W[d,m]", "dX (N×D) = dY (N×M) · Wᵀ (M×D)"),
    ("db[m] = sum(n) dY[n,m]", "db (M) = dYᵀ (M×N) · 𝟏 (N)"),
    ("Y[n,c] = P[n,c]*S[n,c]", "Y (N×C) = P (N×C) ∘ S (N×C)"),
    ("Y[i] = max(p:2) X[2*i+p]", "Y (I//2) from X (I), over p (2)"),
    ("Y[i,j] = max(p:2) X[2*i+p,j]", "Y ((I//2)×J) from X (I×J), over p (2)"),
    ("T[i:3] = i", "T (3) from sizes only"),
]


@pytest.mark.parametrize(("text", "shown"), DIMENSIONS)
def test_dimension_analysis(text: str, shown: str) -> None:
    assert dimension_analysis(parse(text).statements[-1]) == shown
