"""What a Jacobian is called, as text, and what it is in numbers: kind by kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pullback
from pullback.jacobians.operator import Jacobian

from .oracles import as_matrix, by_complex_step, by_differences, expect_products

Array = np.ndarray[Any, Any]


def softmax(X: Any) -> Any:
    E = np.exp(X - X.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


def batch_norm(X: Any) -> Any:
    C = X - X.mean(axis=0)
    return C / np.sqrt((C**2).mean(axis=0) + 1e-5)


def mlp(X: Any, W: Any, V: Any) -> Any:
    S = X @ W
    return np.maximum(S, 0) @ V


def convolution(X: Any, W: Any) -> Any:
    width = len(W)
    return sum(X[k : len(X) - width + 1 + k] * W[k] for k in range(width))


class Case(NamedTuple):
    """A function of arrays of these shapes, by one of which it is differentiated."""

    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    which: int
    kinds: tuple[str, ...]
    text: str  # "" where the text is not the point
    rank: int


CASES = {
    "zero": Case(np.sign, ((3,),), 0, ("zero",), "0", 0),
    "identity": Case(lambda X, b: X + b, ((2, 3), (3,)), 0, ("identity",), "I_6", 6),
    "scaled identity": Case(lambda x: 3 * x, ((4,),), 0, ("scaled identity",), "3·I_4", 4),
    "scaled by a value": Case(lambda x, s: s * x, ((4,), ()), 0, ("scaled identity",), "s·I_4", 4),
    "scalar": Case(lambda x: 3 * x, ((),), 0, ("scalar",), "3", 1),
    "diagonal": Case(np.exp, ((2, 3),), 0, ("diagonal",), "diag(Y)", 6),
    "mask": Case(
        lambda X: np.maximum(X, 0), ((2, 3),), 0, ("diagonal",), "diag(1(X > 0))", 6
    ),
    "transpose": Case(lambda X: X.T, ((2, 3),), 0, ("permutation",), "P(1, 0)", 6),
    "affine layer, data": Case(
        lambda X, W: X @ W, ((3, 4), (4, 5)), 0, ("Kronecker product",), "I_3 ⊗ Wᵀ", 12
    ),
    "affine layer, weights": Case(
        lambda X, W: X @ W, ((3, 4), (4, 5)), 1, ("Kronecker product",), "X ⊗ I_5", 15
    ),
    "bias": Case(
        lambda X, b: X + b, ((3, 4), (4,)), 1, ("Kronecker product",), "1_3 ⊗ I_4", 4
    ),
    "matrix times vector": Case(lambda x, W: W @ x, ((4,), (3, 4)), 0, ("dense",), "W", 3),
    "two-sided product": Case(
        lambda X, A, B: A @ X @ B,
        ((3, 4), (2, 3), (4, 5)), 0, ("Kronecker product",), "A ⊗ Bᵀ", 8,
    ),
    "inverse": Case(np.linalg.inv, ((3, 3),), 0, ("Kronecker product",), "−Y ⊗ Yᵀ", 9),
    "row sums": Case(
        lambda X: X.sum(axis=1), ((3, 4),), 0, ("Kronecker product",), "I_3 ⊗ 1_4ᵀ", 3
    ),
    "sum": Case(lambda X: X.sum(), ((2, 3),), 0, ("row vector",), "1_2ᵀ ⊗ 1_3ᵀ", 1),
    "column": Case(lambda s, x: s * x, ((), (4,)), 0, ("column vector",), "x", 1),
    "rank 1": Case(lambda x, y: x * y.sum(), ((3,), (4,)), 1, ("rank 1",), "x 1_4ᵀ", 1),
    "softmax": Case(
        softmax, ((3, 4),), 0, ("block diagonal", "diagonal plus rank 1"),
        "blockdiag_i(diag(Y[i]) − Y[i] Y[i]ᵀ)", 12,
    ),
    "softmax of one vector": Case(
        softmax, ((4,),), 0, ("diagonal plus rank 1",), "diag(Y) − Y Yᵀ", 4
    ),
    "softmax of columns": Case(
        lambda X: softmax(X.T).T, ((3, 4),), 0, ("block diagonal", "diagonal plus rank 1"), "", 12
    ),
    "norm": Case(
        lambda x: x / np.sqrt((x**2).sum()), ((4,),), 0, ("diagonal plus rank 1",), "", 4
    ),
    "batch norm": Case(
        batch_norm, ((5, 3),), 0, ("block diagonal", "diagonal plus rank 2"), "", 15
    ),
    "centred": Case(
        lambda X: X - X.mean(axis=0), ((3, 2),), 0, ("Kronecker product", "diagonal plus rank 1"),
        "(I_3 − 1/3·1_3 1_3ᵀ) ⊗ I_2", 6,
    ),
    "two layers": Case(
        mlp, ((3, 4), (4, 5), (5, 2)), 0, ("block diagonal", "product of matrices"),
        "blockdiag_i(Vᵀ diag(1(S[i] > 0)) Wᵀ)", 6,
    ),
    "log of a sum": Case(
        lambda X: np.log(np.exp(X).sum(axis=1)), ((3, 4),), 0, ("block diagonal", "row vector"),
        "", 3,
    ),
    "pad": Case(lambda x: np.pad(x, 2), ((3,),), 0, ("selection",), "S[i'+2 = i]", 3),
    "crop": Case(lambda X: X[1:3], ((5, 2),), 0, ("selection",), "S[i' = i+1] ⊗ I_2", 4),
    "flip": Case(lambda x: x[::-1], ((5,),), 0, ("selection",), "S[i'+i = 4]", 5),
    "strided": Case(lambda x: x[1::2], ((7,),), 0, ("selection",), "S[i' = 2*i+1]", 3),
    "gather": Case(lambda x: x[np.array([2, 0, 2])], ((4,),), 0, ("selection",), "", 3),
    "diagonal of a matrix": Case(np.diagonal, ((3, 3),), 0, ("selection",), "", 3),
    "max pooling": Case(
        lambda x: x.reshape(-1, 2).max(axis=1), ((6,),), 0, ("selection",), "", 3
    ),
    "weighted gather": Case(
        lambda x: (x**2)[::-1], ((4,),), 0, ("weighted selection",), "", 4
    ),
    "differences": Case(
        lambda u: u[2:] - 2 * u[1:-1] + u[:-2], ((6,),), 0, ("banded", "Toeplitz"),
        "S[i' = i] + S[i' = i+2] − 2·S[i' = i+1]", 4,
    ),
    "differences with a reaction": Case(
        lambda u: u[2:] - 2 * u[1:-1] + u[:-2] + u[1:-1] ** 3, ((6,),), 0, ("banded",), "", 4
    ),
    "five points": Case(
        lambda u: u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1],
        ((4, 5),), 0, ("banded", "Toeplitz"), "", 6,
    ),
    "reversed sum": Case(lambda x: x + x[::-1], ((5,),), 0, ("sum",), "I_5 + S[i'+i = 4]", 5),
    "outer square": Case(
        lambda x: np.outer(x, x), ((3,),), 0, ("sum",), "I_3 ⊗ x + x ⊗ I_3", 3
    ),
}  # fmt: skip


def inputs(case: Case, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in case.shapes]


def jacobian(case: Case, arrays: list[Array]) -> Jacobian:
    found: Jacobian = pullback.jacobian(case.function, case.which)(*arrays)
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_structure_is_named(name: str) -> None:
    case = CASES[name]
    J = jacobian(case, inputs(case))
    assert J.structure is not None
    assert J.structure.kinds == case.kinds
    assert J.kind == ", ".join(case.kinds)
    if case.text:
        assert J.text == case.text
    assert J.rank == case.rank


MULTIPLIED = [name for name in CASES if name not in (
    "scaled identity", "scaled by a value", "bias", "row sums", "column", "softmax of columns",
    "crop", "strided", "norm", "batch norm", "two layers", "log of a sum", "outer square",
)]  # fmt: skip


@pytest.mark.parametrize("name", MULTIPLIED)
def test_products_and_parts_are_those_of_differences(name: str) -> None:
    case = CASES[name]
    arrays = inputs(case)
    J = jacobian(case, arrays)
    dense = J.dense()
    np.testing.assert_allclose(
        dense, by_differences(case.function, arrays, case.which), rtol=1e-7, atol=1e-7
    )
    expect_products(J, dense)


SMOOTH = ("diagonal", "affine layer, data", "two-sided product", "inverse", "outer square",
          "norm", "batch norm", "differences with a reaction", "log of a sum")  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_elements_are_those_of_the_complex_step(name: str) -> None:
    case = CASES[name]
    arrays = inputs(case, 1)
    wanted = by_complex_step(case.function, arrays, case.which)
    np.testing.assert_allclose(jacobian(case, arrays).dense(), wanted, rtol=1e-12, atol=1e-13)


NOTATED = {
    "convolution": ("Y[h] = sum(k) X[h+k]*W[k]", "X", ("Toeplitz",), "Toeplitz(W[h'-h])"),
    "convolution, weights": ("Y[h] = sum(k) X[h+k]*W[k]", "W", ("dense",), ""),
    "strided convolution": (
        "X[2*H+K]; W[K]\nY[h:H] = sum(k) X[2*h+k]*W[k]", "X", ("Toeplitz",), "",
    ),
    "images": (
        "Y[n,f,h,w] = sum(c,k,l) X[n,c,h+k,w+l]*W[f,c,k,l]", "X", ("Toeplitz",),
        "I_N ⊗ Toeplitz(W[f,c,h'-h,i-w])",
    ),
    "softmax": (
        "P[n,c] = exp(S[n,c])/sum(k) exp(S[n,k])", "S",
        ("block diagonal", "diagonal plus rank 1"), "blockdiag_n(diag(P[n]) − P[n] P[n]ᵀ)",
    ),
    "gather": (
        "x[N]; i: int[K]\nY[k] = x[i[k]]", "x", ("selection",), "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTATED)
def test_the_structure_for_all_sizes(name: str) -> None:
    text, wrt, kinds, wanted = NOTATED[name]
    J = pullback.derive(text).jacobian(wrt=wrt)
    assert J.structure is not None
    assert J.structure.kinds == kinds
    if wanted:
        assert J.text == wanted


def test_named_sizes_give_a_bound_on_the_rank() -> None:
    affine = pullback.derive("Y[n,m] = sum(d) X[n,d]*W[d,m]")
    assert affine.jacobian("Y", "X").rank == "N·min(M, D)"
    assert affine.jacobian("Y", "W").rank == "M·min(N, D)"


SIZES: list[tuple[str, Callable[..., Any], tuple[tuple[int, ...], ...]]] = [
    ("affine", lambda X, W: X @ W, ((1, 1), (1, 1))),
    ("affine", lambda X, W: X @ W, ((7, 1), (1, 5))),
    ("affine", lambda X, W: X @ W, ((0, 3), (3, 2))),
    ("affine", lambda X, W: X @ W, ((2, 0), (0, 3))),
    ("softmax", softmax, ((1, 1),)),
    ("softmax", softmax, ((5, 1),)),
    ("batch norm", batch_norm, ((1, 3),)),
    ("batch norm", batch_norm, ((7, 1),)),
    ("two layers", mlp, ((1, 1), (1, 1), (1, 1))),
    ("differences", lambda u: u[2:] - 2 * u[1:-1] + u[:-2], ((3,),)),
    ("differences", lambda u: u[2:] - 2 * u[1:-1] + u[:-2], ((2,),)),
    ("convolution", convolution, ((7,), (3,))),
    ("convolution", convolution, ((5,), (1,))),
    ("transpose", lambda X: X.T * 2, ((1, 5),)),
]


@pytest.mark.parametrize(
    ("name", "function", "shapes"), SIZES, ids=[f"{name} {shapes}" for name, _, shapes in SIZES]
)
def test_sizes_of_one_odd_ones_and_none(
    name: str, function: Callable[..., Any], shapes: tuple[tuple[int, ...], ...]
) -> None:
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=shape) for shape in shapes]
    for which in range(len(shapes)):
        J = pullback.jacobian(function, which)(*arrays)
        dense = by_differences(function, arrays, which)
        np.testing.assert_allclose(J.dense(), dense, rtol=1e-6, atol=1e-6)
        expect_products(J, J.dense(), seed=which)


def test_kronecker_products_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    X, W, A, B = (rng.normal(size=s) for s in ((3, 4), (4, 5), (2, 3), (4, 5)))
    layer = pullback.jacobian(lambda X, W: X @ W, (0, 1))(X, W)
    np.testing.assert_allclose(as_matrix(layer[0].dense(), layer[0]), np.kron(np.eye(3), W.T))
    np.testing.assert_allclose(as_matrix(layer[1].dense(), layer[1]), np.kron(X, np.eye(5)))
    both = pullback.jacobian(lambda X: A @ X @ B)(X)
    np.testing.assert_allclose(as_matrix(both.dense(), both), np.kron(A, B.T))
    Z = rng.normal(size=(3, 3))
    inverse = pullback.jacobian(np.linalg.inv)(Z)
    Y = np.linalg.inv(Z)
    np.testing.assert_allclose(as_matrix(inverse.dense(), inverse), -np.kron(Y, Y.T))


def permutation(shape: tuple[int, ...], order: tuple[int, ...]) -> Array:
    """The matrix that takes an array of a shape to its transpose."""
    size = int(np.prod(shape))
    return np.eye(size).reshape(*shape, size).transpose(*order, len(shape)).reshape(size, size)


def test_texts_are_products_of_matrices_in_their_order() -> None:
    rng = np.random.default_rng(0)
    X, W, T = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(2, 3, 4))
    ones = np.ones
    cases: list[tuple[Callable[[Any], Any], Array, str, Array]] = [
        (lambda X: (X @ W).T, X, "(Wᵀ ⊗ I_2)·P(1, 0)",
         np.kron(W.T, np.eye(2)) @ permutation((2, 3), (1, 0))),
        (lambda T: T.transpose(2, 0, 1), T, "P(2, 0, 1)", permutation((2, 3, 4), (2, 0, 1))),
        (lambda T: T.transpose(2, 0, 1) ** 2, T, "diag(2*T[i,j,k])·P(2, 0, 1)",
         np.diag(2 * T.transpose(2, 0, 1).ravel()) @ permutation((2, 3, 4), (2, 0, 1))),
        (lambda T: T.sum(axis=1), T, "I_2 ⊗ 1_3ᵀ ⊗ I_4",
         np.kron(np.kron(np.eye(2), ones((1, 3))), np.eye(4))),
        (lambda X: X[:, None] * ones((2, 5, 3)), X, "I_2 ⊗ 1_5 ⊗ I_3",
         np.kron(np.kron(np.eye(2), ones((5, 1))), np.eye(3))),
        (lambda T: T.sum(axis=0).T, T, "(1_2ᵀ ⊗ I_12)·P(0, 2, 1)",
         np.kron(ones((1, 2)), np.eye(12)) @ permutation((2, 3, 4), (0, 2, 1))),
        (lambda x: x * ones((2, 3, 4)).transpose(1, 0, 2), W[0], "1_3 ⊗ 1_2 ⊗ I_4",
         np.kron(ones((6, 1)), np.eye(4))),
        (lambda x: np.einsum("k,ij->ikj", x, ones((2, 3))), W[0], "P(0, 2, 1)·(1_2 ⊗ 1_3 ⊗ I_4)",
         permutation((2, 3, 4), (0, 2, 1)) @ np.kron(ones((6, 1)), np.eye(4))),
    ]  # fmt: skip
    for function, at, text, wanted in cases:
        J = pullback.jacobian(function)(at)
        assert J.text == text
        np.testing.assert_allclose(as_matrix(J.dense(), J), wanted, atol=1e-12)


def test_a_mask_by_hand() -> None:
    x = np.array([1.0, -2.0, 3.0, -1.0])
    J = pullback.jacobian(lambda x: np.maximum(x, 0))(x)
    upstream = np.array([4.0, -1.0, 5.0, 9.0])
    np.testing.assert_array_equal(J.dense(), np.diag([1.0, 0.0, 1.0, 0.0]))
    downstream = J.T @ upstream
    np.testing.assert_array_equal(downstream, [4, 0, 5, 0])
    assert not np.signbit(downstream).any()
    assert not np.signbit(J.dense()).any()


def test_a_row_of_a_layer_is_a_matrix_with_one_row_of_weights() -> None:
    X, W = np.ones((2, 3)), np.arange(12.0).reshape(3, 4)
    J = pullback.jacobian(lambda X, W: X @ W)(X, W)
    row = J[1, 2]
    np.testing.assert_array_equal(row, [[0, 0, 0], W[:, 2]])
    column = J[:, :, 1, 0]  # ∂Y/∂X[1,0]: row 1 is W[0,:], the rest 0
    np.testing.assert_array_equal(column, [[0, 0, 0, 0], W[0, :]])


@pytest.mark.parametrize(
    ("fun", "kind", "text"),
    [
        (lambda x: x, "identity", "I_1"),
        (lambda x: 2 * x, "scaled identity", "2·I_1"),
        (lambda x: np.maximum(x, 0), "scaled identity", None),
        (lambda x: x * x.sum(), "scaled identity", None),
    ],
)
@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_one_element_by_one_is_a_number_times_the_identity(
    fun: Any, kind: str, text: str | None, shape: tuple[int, ...]
) -> None:
    x = np.full(shape, 0.75)
    J = pullback.jacobian(fun)(x)
    assert J.kind == kind and J.text.endswith("I_1") and text in (None, J.text)
    assert J.shape == shape * 2 and J.rank == 1
    difference = (fun(x + 1e-6) - fun(x - 1e-6)).item() / 2e-6
    np.testing.assert_allclose(J.dense().item(), difference, rtol=1e-6)


def test_the_extent_of_several_axes_is_in_parentheses() -> None:
    J = pullback.derive("Y[b,n,m] = sum(d) X[b,n,d]*W[d,m]").jacobian("Y", "X")
    assert J.text == "I_(B·N) ⊗ Wᵀ"
