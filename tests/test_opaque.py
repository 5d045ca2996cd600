"""Opaque operations: every row of the table in text, in every arithmetic, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pullback.errors import NotationError
from pullback.ir.interpret import MODULAR, run
from pullback.notation.latex import latex
from pullback.notation.parse import parse
from pullback.notation.plain import show
from pullback.notation.terminal import terminal
from pullback.opaque import ROWS, TABLE, Operation, axes, name_of, result_shape
from pullback.verify.decimals import DECIMALS

Array = NDArray[Any]
LETTERS = "ijk"
BATCHES = ((), (2,), (2, 3))


def cofactors(a: Array) -> Array:
    return np.asarray(np.linalg.det(a)[..., None, None] * np.swapaxes(np.linalg.inv(a), -1, -2))


def solve(a: Array, b: Array) -> Array:
    return np.asarray(np.linalg.solve(a, b[..., None])[..., 0])


NUMPY = {
    "inverse": np.linalg.inv,
    "solve": solve,
    "solve_columns": np.linalg.solve,
    "determinant": np.linalg.det,
    "cofactors": cofactors,
    "logdet": lambda a: np.linalg.slogdet(a).logabsdet,
    "detsign": lambda a: np.linalg.slogdet(a).sign,
    "cholesky": np.linalg.cholesky,
    "eigenvalues": np.linalg.eigvalsh,
    "eigenvectors": lambda a: np.linalg.eigh(a).eigenvectors,
}


def text(row: Operation, batch: int = 0) -> str:
    """A program of one operation on declared inputs, over a batch."""
    outer = [*"st"[:batch]]
    shapes = [(name_of(x), ",".join([*outer, *axes(x)]).upper()) for x in row.operands]
    letters = [*outer, *LETTERS[: len(axes(row.result))]]
    names = ", ".join(map(name_of, row.operands))
    left = ",".join(letters)
    declared = "; ".join(f"{name}[{shape}]" for name, shape in shapes)
    return f"{declared}\nY[{left}] = {row.spelled}({names})[{left}]"


def operands(row: Operation, batch: tuple[int, ...] = (), n: int = 3, seed: int = 0) -> list[Array]:
    """Well-conditioned operands: a symmetric positive matrix first where a triangle is read."""
    rng = np.random.default_rng(seed)
    extents = {"n": n, "m": 2}
    found = [rng.normal(size=(*batch, *(extents[c] for c in axes(x)))) for x in row.operands]
    first = found[0]
    if row.triangle:
        first = first @ np.swapaxes(first, -1, -2)
    found[0] = first + n * np.eye(n)
    return found


def named(row: Operation, values: list[Array]) -> dict[str, Array]:
    return {name_of(item): value for item, value in zip(row.operands, values, strict=True)}


def upright(vectors: Array) -> Array:
    """Eigenvectors with the greatest component of each positive."""
    most = np.take_along_axis(vectors, np.abs(vectors).argmax(-2)[..., None, :], -2)
    return np.asarray(vectors * np.sign(most))


def compared(row: Operation, value: Any) -> Array:
    value = np.asarray(value, dtype=float)
    return upright(value) if row.name == "eigenvectors" else value


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("batch", (0, 1, 2))
def test_text_reads_back(row: Operation, batch: int) -> None:
    program = parse(text(row, batch))
    again = parse(show(program))
    assert show(again) == show(program)
    assert again == program
    body = program.statements[0].body
    assert body.operation == row.name  # type: ignore[union-attr]
    assert program.statements[0].target.shape == result_shape(
        row, [t.shape for t in program.inputs]
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("n", (1, 2, 4))
@pytest.mark.parametrize("batch", BATCHES)
def test_the_interpreter_gives_what_numpy_gives(
    row: Operation, n: int, batch: tuple[int, ...]
) -> None:
    values = operands(row, batch, n)
    found = run(parse(text(row, len(batch))), named(row, values))["Y"]
    assert np.allclose(
        compared(row, found.tolist()), compared(row, NUMPY[row.name](*values)), rtol=1e-9
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_empty_matrix_is_like_numpys(row: Operation) -> None:
    values = operands(row, (), 0)
    found = run(parse(text(row)), named(row, values))["Y"]
    if row.name != "cofactors":
        assert found.shape == np.shape(NUMPY[row.name](*values))
        assert np.allclose(found.flat, np.ravel(NUMPY[row.name](*values)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_decimals_agree_with_floats(row: Operation) -> None:
    values = operands(row, (2,))
    program = parse(text(row, 1))
    exact = run(program, named(row, values), DECIMALS)["Y"]
    floats = run(program, named(row, values))["Y"]
    assert np.allclose([float(x) for x in exact.flat], floats.flat, rtol=1e-10)


IDENTITIES = {
    "inverse": "B[i,j] = inverse(A)[i,j]; Z[i,j] = sum(k) A[i,k]*B[k,j] - [i = j]",
    "solve": "x[i] = solve(A, b)[i]; Z[i] = sum(k) A[i,k]*x[k] - b[i]",
    "solve_columns": "x[i,j] = solve(A, c)[i,j]; Z[i,j] = sum(k) A[i,k]*x[k,j] - c[i,j]",
    "determinant": "A[3,3]; Z[] = determinant(A)[] - A[0,0]*(A[1,1]*A[2,2] - A[1,2]*A[2,1])"
    " + A[0,1]*(A[1,0]*A[2,2] - A[1,2]*A[2,0]) - A[0,2]*(A[1,0]*A[2,1] - A[1,1]*A[2,0])",
    "cofactors": "C[i,j] = cofactors(A)[i,j]; D[] = determinant(A)[];"
    " Z[i,j] = sum(k) A[i,k]*C[j,k] - [i = j]*D[]",
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_what_is_rational_is_exact_modulo_the_prime(name: str) -> None:
    values = {"A": [[2, 7, 1], [8, 2, 8], [1, 8, 2]], "b": [3, 1, 4], "c": [[1, 5], [9, 2], [6, 5]]}
    program = parse(IDENTITIES[name])
    found = run(program, {t.name: values[t.name] for t in program.inputs}, MODULAR)["Z"]
    assert all(x == 0 for x in found.flat)


def test_a_singular_matrix_has_cofactors_and_no_inverse() -> None:
    singular = [[1.0, 2.0], [2.0, 4.0]]
    program = parse("C[i,j] = cofactors(A)[i,j]; B[i,j] = inverse(A)[i,j]; D[] = determinant(A)[]")
    found = run(program, {"A": singular})
    assert found["C"].flat == [4.0, -2.0, -2.0, 1.0]
    assert found["D"].flat == [0.0]
    assert all(np.isnan(found["B"].flat))


def test_inside_an_expression_an_operation_gets_a_statement_of_its_own() -> None:
    program = parse("L[] = -logdet(A)[] + sum(i) inverse(A)[i,i]*inverse(A)[i,i] + logdet(A)[]")
    assert show(program) == (
        "A[I,I]\nlogdet_A = logdet(A)[]\ninverse_A[i,j] = inverse(A)[i,j]\n"
        "L = -logdet_A + sum(i) inverse_A[i,i]*inverse_A[i,i] + logdet_A"
    )
    assert [s.user for s in program.statements] == [False, False, True]


def test_the_name_of_a_lifted_statement_is_free() -> None:
    program = parse("inverse_A[i] = b[i]\nY[i,j] = 2*inverse(A)[j,i]*inverse_A[i]")
    assert [s.target.name for s in program.statements] == ["inverse_A", "inverse_A2", "Y"]


def test_axes_that_no_index_names_get_a_size() -> None:
    assert show(parse("L[] = determinant(A)[]")) == "A[N,N]\nL = determinant(A)[]"


def test_other_names_of_operations() -> None:
    assert show(parse("L[] = det(A)")) == show(parse("L[] = determinant(A)[]"))
    assert show(parse("Y[i,j] = inv(A)[i,j]")) == show(parse("Y[i,j] = inverse(A)[i,j]"))


REFUSED = {
    "B[i] = inverse(A)[i]": ("wrong number of subscripts", "inverse(A)[i]"),
    "A[2,3]; B[i,j] = inverse(A)[i,j]": ("the extents don't fit inverse", "A"),
    "A[N,M]; B[i,j] = inverse(A)[i,j]": ("the extents don't fit inverse", "A"),
    "A[3,3]; b[4]; x[i] = solve(A, b)[i]": ("the extents don't fit solve", "A"),
    "A[2,N,N]; b[3,N]; x[n,i] = solve(A, b)[n,i]": ("the extents don't fit solve", "A"),
    "b[N,M,K]; A[N,N]; x[i] = solve(A, b)[i]": ("wrong number of axes for solve", "b"),
    "y[i,j] = inverse(A)": ("is read with subscripts", ""),
    "y[i,j] = inverse(A, B)[i,j]": ("inverse takes 1 array", "inverse"),
    "y[i,j] = inverse(A + 1)[i,j]": ("takes whole arrays, by their names", "A + 1"),
    "y[i,j] = inverze(A)[i,j]": ("inverze is no operation on whole arrays", "inverze"),
    "A: int[3,3]; B[i,j] = inverse(A)[i,j]": ("takes arrays of floats", "A"),
    "X[i,j] = inverse(X)[i,j]": ("read before it is defined", "X"),
    "Y[i,j] = inverse(X)[i,j]; X[i,j] = 2*A[i,j]": ("read before it is defined", "X"),
}


@pytest.mark.parametrize("source", REFUSED)
def test_what_is_no_operation_is_refused_with_its_place(source: str) -> None:
    message, marked = REFUSED[source]
    with pytest.raises(NotationError) as caught:
        parse(source)
    assert message in str(caught.value)
    lines = str(caught.value).splitlines()
    caret = next(k for k, line in enumerate(lines) if set(line.strip()) == {"^"})
    start, end = lines[caret].index("^"), len(lines[caret])
    assert lines[caret - 1][start:end] == marked or not marked


def test_formulas_are_drawn_as_people_write_them() -> None:
    statement = parse("x[i] = solve(A, b)[i]").statements[0]
    assert latex(statement) == r"x_{i} = \left({A}^{-1} b\right)_{i}"
    assert terminal(statement) == "x[i] = (A⁻¹·b)[i]"
    assert terminal(parse("L[] = logdet(A)[]").statements[0]) == "L = log |det A|"


def test_every_row_is_drawn_and_has_an_oracle() -> None:
    for row in ROWS:
        assert row.latex and row.unicode and row.name in NUMPY
        assert all(f"@{name_of(item)}" in row.latex for item in row.operands)
    assert list(TABLE) == list(NUMPY)
