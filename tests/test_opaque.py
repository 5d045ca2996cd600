"""Opaque operations: every row of the table in text, in every arithmetic, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

import pullback
from pullback.backends.flat import spell_flat
from pullback.backends.numpy import spell, spell_pair
from pullback.calculus.pushforward import pushforward
from pullback.calculus.reverse import reverse
from pullback.errors import DerivationError, NotationError
from pullback.ir.interpret import MODULAR, run
from pullback.ir.program import Program
from pullback.ir.sizes import size
from pullback.notation.latex import latex
from pullback.notation.matrix import matrix_form
from pullback.notation.parse import parse
from pullback.notation.plain import show
from pullback.notation.terminal import terminal
from pullback.opaque import ROWS, TABLE, Operation, axes, name_of, result_shape
from pullback.verify.decimals import DECIMALS
from pullback.verify.programs import check_backward_program
from pullback.verify.steps import check_steps

Array = NDArray[Any]
# Of matrices that need not be square, and those whose results have a sign to choose.
RECTANGULAR = [row for row in ROWS if axes(row.operands[0]) == "nm"]
SIGNED = [
    row
    for row in ROWS
    if row.name.startswith(("eigenvectors", "real_eigenvectors", "svd_left", "svd_right"))
]
LETTERS = "ijkl"
BATCHES = ((), (2,), (2, 3))
# Rows that are others of another shape, or of the other triangle.
ALIKE = [
    row
    for row in ROWS
    if row.name.endswith(("_wide", "_square", "_upper_columns", "_upper_transposed"))
    or row.name.startswith(("solve_upper", "inverse_upper"))
]


def sized(rows: list[Operation]) -> list[tuple[Operation, int, tuple[int, ...]]]:
    """Rows with sizes and batches: all of them for few, some for each."""
    every = [(n, batch) for n in (1, 2, 4) for batch in BATCHES]
    return [
        (row, n, batch)
        for row in rows
        for n, batch in (every if row.name in CHECKED_IN_FULL else [(1, ()), (4, ()), (2, (2, 3))])
        if row not in ALIKE or n == 2
    ]


# Without second derivatives, or alike to second order.
NOT_TWICE = {
    *("exponential", "inverse_lower", "solve_lower_transposed", "solve_lower_columns"),
    *("solve_lower_transposed_columns", "least_squares_columns"),
}
CHECKED_IN_FULL = ("inverse", "solve_columns", "cholesky", "eigenvalues", "svd_values", "argsort")


def named_case(value: Any) -> str:
    return value.name if isinstance(value, Operation) else str(value)


def cofactors(a: Array) -> Array:
    return np.asarray(np.linalg.det(a)[..., None, None] * np.swapaxes(np.linalg.inv(a), -1, -2))


def solve(a: Array, b: Array) -> Array:
    return np.asarray(np.linalg.solve(a, b[..., None])[..., 0])


def running_place(a: Array, arg: Any) -> Array:
    found = [arg(a[..., : k + 1], axis=-1) for k in range(a.shape[-1])]
    return np.stack(found, -1) if found else np.zeros(a.shape, int)


def searched(a: Array, v: Array, side: Any) -> Array:
    compare = np.less if side == "left" else np.less_equal
    return np.asarray(compare(a[..., None, :], v[..., None]).sum(-1))


def each_least_squares(a: Array, b: Array) -> Array:
    found = np.zeros((*a.shape[:-2], a.shape[-1], b.shape[-1]))
    for k in np.ndindex(a.shape[:-2]):
        found[k] = np.linalg.lstsq(a[k], b[k])[0]
    return found


def triangular(part: Any, side: str) -> dict[str, Any]:
    """Systems with a triangle of a matrix."""
    return {
        f"solve_{side}": lambda a, b: solve(part(a), b),
        f"solve_{side}_columns": lambda a, b: np.linalg.solve(part(a), b),
        f"solve_{side}_transposed": lambda a, b: solve(np.swapaxes(part(a), -1, -2), b),
        f"solve_{side}_transposed_columns": lambda a, b: np.linalg.solve(
            np.swapaxes(part(a), -1, -2), b
        ),
    }


def slope_along(a: Array, x: Array) -> Array:
    found = np.zeros(a.shape)
    for k in np.ndindex(a.shape[:-2]):
        found[k] = scipy.linalg.expm_frechet(a[k], x[k], compute_expm=False)
    return found


def all_slopes(a: Array) -> Array:
    found = np.zeros((*a.shape, *a.shape[-2:]))
    for place in np.ndindex(a.shape[-2:]):
        unit = np.zeros(a.shape)
        unit[(..., *place)] = 1
        found[(..., *place)] = slope_along(a, unit)
    return found


def waves(n: int) -> Any:
    """The matrix of a discrete Fourier transform, by its definition."""
    k = np.arange(n)
    return np.exp(-2j * np.pi * (np.outer(k, k) % max(n, 1)) / max(n, 1))


def fft(a: Array, b: Any = 0.0, inverse: bool = False) -> Any:
    matrix = waves(a.shape[-1])
    return (a + 1j * b) @ (matrix.conj() / max(a.shape[-1], 1) if inverse else matrix)


def rfft(a: Array) -> Any:
    n = a.shape[-1]
    return fft(a)[..., : n // 2 + 1] if n else np.zeros((*a.shape[:-1], 1), complex)


def irfft(a: Array, b: Any = 0.0) -> Array:
    """Of 2h - 1 elements, the other half conjugate."""
    half = a + 1j * b
    whole = np.concatenate([half[..., :1].real, half[..., 1:], half[..., :0:-1].conj()], -1)
    return np.asarray((whole @ waves(whole.shape[-1]).conj()).real / max(whole.shape[-1], 1))


def spread(a: Array, matrix: Array, rank: int = 2) -> Array:
    return np.broadcast_to(matrix, (*a.shape[:-1], *matrix.shape[-rank:]))


def half(matrix: Array) -> Array:
    return matrix[: len(matrix) // 2 + 1] if len(matrix) else np.zeros((1, 0))


def weights(n: int) -> Array:
    k = np.arange(n // 2 + 1)
    return np.where((k == 0) | (2 * k == n), 1.0, 2.0)


NUMPY: dict[str, Any] = {
    "inverse": np.linalg.inv,
    "solve": solve,
    "solve_columns": np.linalg.solve,
    "solve_transposed": lambda a, b: solve(np.swapaxes(a, -1, -2), b),
    "solve_transposed_columns": lambda a, b: np.linalg.solve(np.swapaxes(a, -1, -2), b),
    "determinant": np.linalg.det,
    "cofactors": cofactors,
    "logdet": lambda a: np.linalg.slogdet(a).logabsdet,
    "detsign": lambda a: np.linalg.slogdet(a).sign,
    "cholesky": np.linalg.cholesky,
    "eigenvalues": np.linalg.eigvalsh,
    "eigenvectors": lambda a: np.linalg.eigh(a).eigenvectors,
    "eigenvalues_upper": lambda a: np.linalg.eigvalsh(a, "U"),
    "eigenvectors_upper": lambda a: np.linalg.eigh(a, "U").eigenvectors,
    "real_eigenvalues": np.linalg.eigvals,
    "real_eigenvectors": lambda a: np.linalg.eig(a).eigenvectors,
    "argsort": lambda a: np.argsort(a, kind="stable"),
    "argsort_unstable": lambda a: np.argsort(a, kind="stable"),
    "argorder": lambda a: np.argsort(a, kind="stable"),
    "argcummax": lambda a: running_place(a, np.argmax),
    "argcummin": lambda a: running_place(a, np.argmin),
    "searchsorted": lambda a, v: searched(a, v, "left"),
    "searchsorted_right": lambda a, v: searched(a, v, "right"),
    "rfft_real": lambda a: rfft(a).real,
    "rfft_imag": lambda a: rfft(a).imag,
    "irfft": irfft,
    "cirfft": irfft,
    "fft_real": lambda a: fft(a).real,
    "fft_imag": lambda a: fft(a).imag,
    "ifft_real": lambda a: fft(a, inverse=True).real,
    "ifft_imag": lambda a: fft(a, inverse=True).imag,
    "cfft_real": lambda a, b: fft(a, b).real,
    "cfft_imag": lambda a, b: fft(a, b).imag,
    "cifft_real": lambda a, b: fft(a, b, inverse=True).real,
    "cifft_imag": lambda a, b: fft(a, b, inverse=True).imag,
    "fourier_cos": lambda a: spread(a, waves(a.shape[-1]).real),
    "fourier_sin": lambda a: spread(a, -waves(a.shape[-1]).imag),
    "half_cos": lambda a: spread(a, half(waves(a.shape[-1]).real)),
    "half_sin": lambda a: spread(a, half(-waves(a.shape[-1]).imag)),
    "half_weights": lambda a: spread(a, weights(a.shape[-1]), 1),
    "inverse_lower": lambda a: np.linalg.inv(np.tril(a)),
    **triangular(np.tril, "lower"),
    "inverse_upper": lambda a: np.linalg.inv(np.triu(a)),
    **triangular(np.triu, "upper"),
    **{
        f"svd_{part}{suffix}": lambda a, k=k: np.linalg.svd(a, full_matrices=False)[k]
        for suffix in ("", "_wide", "_square")
        for k, part in enumerate(("left", "values", "right"))
    },
    "qr_factor": lambda a: np.linalg.qr(a).Q,
    "qr_triangle": lambda a: np.linalg.qr(a).R,
    "pseudoinverse": np.linalg.pinv,
    "exponential": scipy.linalg.expm,
    "exponential_slopes": lambda a: all_slopes(a),
    "exponential_pushed": lambda a, x: slope_along(a, x),
    "exponential_pulled": lambda a, x: slope_along(np.swapaxes(a, -1, -2), x),
    "least_squares": lambda a, b: each_least_squares(a, b[..., None])[..., 0],
    "least_squares_columns": lambda a, b: each_least_squares(a, b),
}


def text(row: Operation, batch: int = 0) -> str:
    """A program of one operation on declared inputs, over a batch."""
    outer = [*"st"[:batch]]
    shapes = [(name_of(x), ",".join([*outer, *axes(x)]).upper()) for x in row.operands]
    letters = [*outer, *LETTERS[: len(axes(row.result))]]
    names = ", ".join(map(name_of, row.operands))
    left = ",".join(letters)
    declared = "; ".join(f"{name}[{shape}]" for name, shape in shapes)
    told = "".join(map(axes, row.operands))
    own = [
        letter if c in told else f"{letter}:{'N//2 + 1' if c == 'h' else '2*H - 1'}"
        for letter, c in zip(letters[batch:], axes(row.result), strict=True)
    ]
    return f"{declared}\nY[{','.join([*outer, *own])}] = {row.spelled}({names})[{left}]"


def operands(row: Operation, batch: tuple[int, ...] = (), n: int = 3, seed: int = 0) -> list[Array]:
    """Well-conditioned operands: a symmetric positive matrix first where a triangle is read, sorted
    vectors with ties among them for what gives places."""
    rng = np.random.default_rng(seed)
    extents = {"n": n, "m": 2, "q": 2, "h": n}
    if row in RECTANGULAR:
        extents |= {"n": n, "m": n + 1} if row.shape == "wide" else {"n": n + 1, "m": n}
    found = [rng.normal(size=(*batch, *(extents[c] for c in axes(x)))) for x in row.operands]
    if row.kind == "int":
        ties = [np.round(value) for value in found]
        return [np.sort(ties[0]), *ties[1:]] if len(ties) > 1 else ties
    first = found[0]
    if len(axes(row.operands[0])) == 1:
        return found
    if row.triangle:
        first = first @ np.swapaxes(first, -1, -2)
    found[0] = first + n * (np.diag(np.arange(n) * 2.0) if row.apart else np.eye(*first.shape[-2:]))
    return found


def named(row: Operation, values: list[Array]) -> dict[str, Array]:
    return {name_of(item): value for item, value in zip(row.operands, values, strict=True)}


def upright(vectors: Array) -> Array:
    """Eigenvectors with the greatest component of each positive."""
    most = np.take_along_axis(vectors, np.abs(vectors).argmax(-2)[..., None, :], -2)
    return np.asarray(vectors * np.sign(most))


def compared(row: Operation, value: Any) -> Array:
    value = np.asarray(value, dtype=float)
    if row.name.startswith("svd_right"):
        return np.swapaxes(upright(np.swapaxes(value, -1, -2)), -1, -2)
    return upright(value) if row in SIGNED else value


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("batch", (0, 1, 2))
def test_text_reads_back(row: Operation, batch: int) -> None:
    program = parse(text(row, batch))
    again = parse(show(program))
    assert show(again) == show(program)
    assert again == program
    body = program.statements[0].body
    assert body.operation == row.name  # type: ignore[union-attr]
    shape = result_shape(row, [t.shape for t in program.inputs])
    if "irfft" not in row.name:  # an odd number of elements here
        assert program.statements[0].target.shape == shape


@pytest.mark.parametrize(("row", "n", "batch"), sized([*ROWS]), ids=named_case)
def test_the_interpreter_gives_what_numpy_gives(
    row: Operation, n: int, batch: tuple[int, ...]
) -> None:
    values = operands(row, batch, n)
    found = run(parse(text(row, len(batch))), named(row, values))["Y"]
    assert np.allclose(
        compared(row, found.tolist()), compared(row, NUMPY[row.name](*values)), rtol=1e-9
    )


NO_HALVES = [row for row in ROWS if "irfft" not in row.name]  # half of nothing has an element


@pytest.mark.parametrize("row", NO_HALVES, ids=lambda row: row.name)
def test_an_empty_matrix_is_like_numpys(row: Operation) -> None:
    values = operands(row, (), 0)
    found = run(parse(text(row)), named(row, values))["Y"]
    if row.name not in ("cofactors", "pseudoinverse", "least_squares", "least_squares_columns"):
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
    "solve_transposed": "x[i] = solve_transposed(A, b)[i]; Z[i] = sum(k) A[k,i]*x[k] - b[i]",
    "solve_transposed_columns": "x[i,j] = solve_transposed(A, c)[i,j];"
    " Z[i,j] = sum(k) A[k,i]*x[k,j] - c[i,j]",
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


# Gradients ----------------------------------------------------------------------------------------

DIFFERENTIABLE = [row for row in ROWS if row.differential]
ALIKE = ("fft_imag", "ifft_real", "cfft_real", "cifft_imag")  # one formula makes all of these rows
STEADY = [row for row in DIFFERENTIABLE if row not in SIGNED and row.name not in ALIKE]
# Each kind once: the parts of a decomposition have one differential for matrices of all shapes.
KINDS = [
    row
    for row in STEADY
    if not row.name.endswith(("_wide", "_square")) and "upper_" not in row.name
]


def derived(program: Program) -> tuple[Any, Any]:
    space: dict[str, Any] = {}
    exec(spell_pair(reverse(program)), space)
    return space["forward"], space["backward"]


def gradients(program: Program, values: list[Array], cotangent: Array) -> tuple[Array, ...]:
    forward, backward = derived(program)
    _, cache = forward(*values)
    found = backward(cotangent, cache)
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize(("row", "n", "batch"), sized(STEADY), ids=named_case)
def test_gradients_are_those_of_what_numpy_computes(
    row: Operation, n: int, batch: tuple[int, ...]
) -> None:
    values = operands(row, batch, n)
    numpy = NUMPY[row.name]
    rng = np.random.default_rng(5)
    cotangent = rng.normal(size=np.shape(numpy(*values)))
    found = gradients(parse(text(row, len(batch))), values, cotangent)
    for k, gradient in enumerate(found):
        for _ in range(3):
            direction = rng.normal(size=values[k].shape)

            def moved(step: float, k: int = k, direction: Array = direction) -> Any:
                return numpy(*(v + step * direction if j == k else v for j, v in enumerate(values)))

            slope = np.sum(cotangent * (moved(1e-5) - moved(-1e-5))) / 2e-5
            assert np.isclose(np.sum(gradient * direction), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("row", "batch"),
    [(row, k) for row in KINDS for k in (0, 1) if not k or row.name in CHECKED_IN_FULL],
    ids=named_case,
)
def test_a_derivation_passes_every_check(row: Operation, batch: int) -> None:
    report = check_backward_program(reverse(parse(text(row, batch))))
    assert report.passed, str(report)


def test_the_slopes_of_an_exponential_are_not_formed() -> None:
    for source, what in (
        ("E[i,j] = exponential(A)[i,j]", "exponential_pulled(A, dE)"),
        ("E[i,j] = exponential(A)[i,j]; y[i] = sum(j) E[i,j]*v[j]", "exponential_pulled(A, along)"),
        ("E[i,j] = exponential(A)[i,j]; y = sum(i,j) E[i,j]; return y", "exponential_pulled(A, al"),
        ("E[i,j] = exponential(A)[i,j]; y = sum(i) E[i,i]; return y", "dA[i,j] = dy*E[j,i]"),
    ):
        backward = reverse(parse(source))
        shown = "; ".join(map(show, backward.statements))
        assert what in shown and "slopes" not in shown
        assert check_backward_program(backward).passed
    with pytest.raises(DerivationError, match="second derivative of a matrix exponential"):
        pullback.grad(lambda a: np.sum(pullback.grad(lambda b: np.sum(scipy.linalg.expm(b)))(a)))(
            np.eye(2)
        )


FUNCTIONS = (
    "A[4,3]; U[i,k] = svd_left(A)[i,k]; s[k] = svd_values(A)[k]; V[k,j] = svd_right(A)[k,j];"
    " Y[i,j] = sum(k) U[i,k]*exp(s[k]/4)*V[k,j]; return Y",
    "A[2,3]; U[i,k] = svd_left_wide(A)[i,k]; s[k] = svd_values_wide(A)[k];"
    " V[k,j] = svd_right_wide(A)[k,j]; Y[i,j] = sum(k) U[i,k]*s[k]**2*V[k,j]; return Y",
    "A[3,3]; U[i,k] = svd_left_square(A)[i,k]; V[k,j] = svd_right_square(A)[k,j];"
    " Y[i,j] = sum(k) U[i,k]*V[k,j]; return Y",
    "A[4,3]; Q[i,k] = qr_factor(A)[i,k]; R[k,j] = qr_triangle(A)[k,j];"
    " Y[i] = sum(k) Q[i,k]*log(abs(R[k,k])); return Y",
    "w[k] = eigenvalues(A)[k]; V[i,k] = eigenvectors(A)[i,k];"
    " Y[i,j] = sum(k) V[i,k]*exp(w[k]/4)*V[j,k]; return Y",
    "S[i,j] = sum(n) X[n,i]*X[n,j] + [i = j]; L[i,j] = cholesky(S)[i,j];"
    " y[] = sum(i) log(L[i,i]) - logdet(S)[]/3",
    "B[i,j] = inverse(A)[i,j]; Y[i,j] = sum(k) B[i,k]*B[k,j] + A[i,j]; return Y",
    "x[i] = solve(A, b)[i]; y[i] = solve(A, x)[i] + x[i]*determinant(A)[]; return y",
    "X[N,I,I]; y[n] = logdet(X)[n]*sum(i) inverse(X)[n,i,i]",
    "x[i,j] = solve(A, A)[i,j]; y[i] = sum(j) x[i,j]**2; return y",
)


@pytest.mark.parametrize("source", FUNCTIONS)
def test_programs_of_several_operations_pass_every_check(source: str) -> None:
    backward = reverse(parse(source))
    report = check_backward_program(backward)
    assert report.passed, str(report)
    assert all(check.status != "failed" for check in check_steps(backward))


@pytest.mark.parametrize("row", STEADY, ids=lambda row: row.name)
def test_forward_mode_agrees_with_differences(row: Operation) -> None:
    program = parse(text(row))
    pushed = pushforward(program)
    values, rng = operands(row), np.random.default_rng(2)
    directions = [rng.normal(size=v.shape) for v in values]
    given = named(row, values) | {
        f"t_{name}": d for name, d in zip(named(row, values), directions, strict=True)
    }
    found = run(pushed, given)[pushed.outputs[0].name]
    up, down = (
        np.asarray(NUMPY[row.name](*(v + h * d for v, d in zip(values, directions, strict=True))))
        for h in (1e-5, -1e-5)
    )
    assert np.allclose(found.flat, np.ravel(up - down) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("row", [r for r in KINDS if r.name not in NOT_TWICE], ids=named_case)
def test_second_derivatives_come_from_deriving_the_derivative(row: Operation) -> None:
    backward = reverse(parse(text(row)))
    second = Program(
        (*backward.program.inputs, *backward.cotangents),
        (*backward.forward.statements, *backward.statements),
        backward.gradients[:1],
        backward.program.sizes,
    )
    report = check_backward_program(reverse(second), samples=2)
    assert report.passed, str(report)


def test_the_gradient_of_a_solution_solves_with_the_transpose() -> None:
    backward = reverse(parse("x[i,j] = solve(A, B)[i,j]"))
    assert [show(s) for s in backward.statements] == [
        "dB[i,j] = solve_transposed(A, dx)[i,j]",
        "dA[i,j] = -sum(j2) dB[i,j2]*x[j,j2]",
    ]
    source = spell_pair(backward)
    assert "dB = np.linalg.solve(A.T, dx)" in source
    assert "inv" not in source


def test_the_gradient_of_an_inverse_is_two_products() -> None:
    source = spell_pair(reverse(parse("B[i,j] = inverse(A)[i,j]")))
    assert "dA = -(B.T @ dB @ B.T)" in source


def test_an_inverse_that_is_there_is_not_computed_twice() -> None:
    program = parse("L[] = logdet(A)[]; B[i,j] = inverse(A)[i,j]; return L, B")
    assert spell_pair(reverse(program)).count("np.linalg.inv(") == 1


def test_values_and_vectors_of_one_matrix_are_one_call() -> None:
    source = spell_pair(reverse(parse("w[k] = eigenvalues(A)[k]")))
    assert source.count("np.linalg.eigh(A)") == 1 and "eigvalsh" not in source
    both = spell_pair(reverse(parse("s = detsign(A)[]; L = logdet(A)[]; return s, L")))
    assert both.count("s, L = np.linalg.slogdet(A)") == 1


def test_the_gradient_of_the_determinant_of_a_singular_matrix_is_exact() -> None:
    singular = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    (found,) = gradients(parse("D = determinant(A)[]"), [singular], np.array(1.0))
    assert np.allclose(found, [[-3, 6, -3], [6, -12, 6], [-3, 6, -3]], atol=1e-13)


def test_a_singular_matrix_is_refused_where_its_inverse_is_needed() -> None:
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    forward, backward = derived(parse("L = logdet(A)[]"))
    value, cache = forward(singular)
    assert value == -np.inf
    with pytest.raises(np.linalg.LinAlgError):
        backward(np.array(1.0), cache)


def test_an_operation_on_a_transpose_is_one_on_the_matrix() -> None:
    program = parse("T[i,j] = L[j,i]; x[i] = solve(T, b)[i]; C[i,j] = inverse(T)[i,j]; return x, C")
    source = spell_pair(reverse(program))
    assert "x = np.linalg.solve(L.T, b)" in source
    assert check_backward_program(reverse(program)).passed


def test_only_the_lower_triangle_has_a_gradient_where_only_it_is_read() -> None:
    values = operands(TABLE["cholesky"])
    (found,) = gradients(parse("L[i,j] = cholesky(A)[i,j]"), values, np.ones((3, 3)))
    assert np.array_equal(found, np.tril(found)) and np.all(found[np.tril_indices(3)] != 0)


def test_the_flat_style_refuses_by_name() -> None:
    with pytest.raises(DerivationError, match="inverse is no gate"):
        spell_flat(reverse(parse("B[i,j] = 2*inverse(A)[i,j]")))


# PyTorch, where it is installed -------------------------------------------------------------------

TORCH = {
    "inverse": lambda torch: torch.linalg.inv,
    "solve_columns": lambda torch: torch.linalg.solve,
    "determinant": lambda torch: torch.linalg.det,
    "logdet": lambda torch: lambda a: torch.linalg.slogdet(a).logabsdet,
    "cholesky": lambda torch: torch.linalg.cholesky,
    "eigenvalues": lambda torch: torch.linalg.eigvalsh,
}


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("batch", BATCHES)
def test_gradients_are_pytorchs(name: str, batch: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    row = TABLE[name]
    values = operands(row, batch)
    cotangent = np.random.default_rng(3).normal(size=np.shape(NUMPY[name](*values)))
    found = gradients(parse(text(row, len(batch))), values, cotangent)
    leaves = [torch.tensor(v, requires_grad=True) for v in values]
    TORCH[name](torch)(*leaves).backward(torch.tensor(cotangent))
    for ours, leaf in zip(found, leaves, strict=True):
        if row.triangle:  # PyTorch's is symmetric: the half of what each pair of elements has
            ours = (ours + np.swapaxes(ours, -1, -2)) / 2
        assert np.allclose(ours, leaf.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_halves_of_matrices_are_np_tril_and_np_triu() -> None:
    source = spell_pair(reverse(parse("w[k] = eigenvalues(A)[k]")))
    assert "dA = np.tril(dT) + np.tril(dT, -1)" in source


@pytest.mark.parametrize("condition", ("j <= i", "i <= j", "j < i", "i < j", "j <= i + 2"))
@pytest.mark.parametrize("body", ("log(X[i,j])", "log(X[j,i])", "(log(X[i,j]) + log(X[j,i]))/v[i]"))
def test_a_triangle_of_any_side_and_place(condition: str, body: str) -> None:
    source = f"Y[j,i] = [{condition}]*{body} + [i < j]*{body} + log(X[i,j]); return Y"
    program = parse(f"X[4,4]; v[4]\n{source}")
    rng = np.random.default_rng(1)
    given = {"X": rng.random((4, 4)) + 1, "v": rng.random(4) + 1}
    values = [given[t.name] for t in program.inputs]
    space: dict[str, Any] = {}
    exec(spell("f", program.inputs, program.statements, program.outputs), space)
    assert np.allclose(space["f"](*values), np.array(run(program, given)["Y"].tolist()))


def test_matrix_forms_of_operations() -> None:
    forms = {
        "X[i,j] = solve(A, B)[i,j]": "X = A⁻¹ B",
        "X[n,i,j] = inverse(A)[n,i,j]": "X[n] = A[n]⁻¹",
        "x[i] = solve_transposed(A, b)[i]": "x = A⁻ᵀ b",
        "X[j,i] = 2*Z[i,j]; L[] = logdet(X)[]": "L = log |det X|",
    }
    for source, plain in forms.items():
        statement = parse(source).statements[-1]
        form = matrix_form(statement)
        assert form is not None and form.plain == plain
    form = matrix_form(parse("X[i,j] = solve(A, B)[i,j]").statements[0])
    assert form is not None and form.latex == r"X = {A}^{-1} B"


def test_a_derivation_is_told_in_matrices_and_as_a_page() -> None:
    derivation = pullback.derive("X[i,j] = solve(A, B)[i,j]")
    assert "dB = A⁻ᵀ dX" in str(derivation)
    assert "δX[i,j]" in str(derivation)
    page = derivation._repr_html_()
    assert "<msup>" in page and "δ" in page


def test_cofactors_of_larger_matrices_are_those_of_small_ones() -> None:
    values = operands(TABLE["cofactors"], (), 8)
    found = run(parse(text(TABLE["cofactors"])), named(TABLE["cofactors"], values))["Y"]
    assert np.allclose(np.array(found.tolist()), cofactors(values[0]), rtol=1e-9)


def test_a_check_that_would_take_too_long_says_so() -> None:
    report = check_backward_program(reverse(parse("A[90,90]\nD[] = determinant(A)[]")))
    assert not report.passed and "too large" in str(report)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("inverse", [(3,)]),
        ("inverse", [(2, 3)]),
        ("solve", [(3, 3), ()]),
        ("solve", [(3, 3), (2,)]),
        ("solve", [(3, 3), (3, 2)]),
        ("solve", [(4, 3, 3), (3,)]),
        ("solve", [(4, 3, 3), (5, 3)]),
        ("solve_columns", [(3, 3), (2, 3)]),
    ],
)
def test_operands_that_don_t_fit_have_no_result(name: str, shapes: list[tuple[int, ...]]) -> None:
    assert result_shape(TABLE[name], [tuple(map(size, shape)) for shape in shapes]) is None


@pytest.mark.parametrize("uplo", ["L", "U", "u"])
@pytest.mark.parametrize("seed", range(4))
def test_eigenvectors_have_the_signs_that_numpy_gives_them(uplo: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(4, 4))

    def f(x: Array) -> Any:
        w, v = np.linalg.eigh(x, uplo)
        return (w[:, None] * v * weights).sum() + np.linalg.eigvalsh(x, uplo)[0]

    x = rng.normal(size=(4, 4))  # the other triangle holds something else
    value, gradient = pullback.value_and_grad(f)(x)
    assert value == pytest.approx(f(x), rel=1e-14)
    for i, j in np.ndindex(4, 4):
        step = np.zeros((4, 4))
        step[i, j] = 1e-6
        assert gradient[i, j] == pytest.approx((f(x + step) - f(x - step)) / 2e-6, abs=1e-6)
