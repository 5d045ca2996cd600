"""Matrix functions of NumPy and SciPy in traced functions: these are the oracle of values, and
their differences that of derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from scipy.linalg import cho_factor, cho_solve, solve_triangular

import pullback
from pullback.trace.table_scipy_linalg import LINALG

Code = Callable[..., Any]
RNG = np.random.default_rng(7)
SHAPES = ((4, 3), (3, 4), (3, 3), (1, 3), (3, 1), (1, 1), (2, 4, 3), (2, 3, 4))
A = RNG.normal(size=(3, 3)) + 3 * np.eye(3)
S = A @ A.T
R = RNG.normal(size=(4, 3))
b, c, r = RNG.normal(size=(3, 4))
B = RNG.normal(size=(3, 2))


def weighted(found: Any) -> Any:
    """A number made of all elements of all results."""
    parts = found if isinstance(found, tuple | list) else (found,)
    total: Any = 0.0
    for k, part in enumerate(parts):
        if isinstance(part, float):
            total = total + np.sin(part) * np.cos(k)
        elif hasattr(part, "shape") and part.dtype.kind == "f":
            weights = np.cos(np.arange(np.prod(part.shape)) + k).reshape(part.shape)
            total = total + np.sum(np.sin(part) * weights.astype(part.dtype))
    return total


def check(function: Code, *args: Any, rel: float = 1e-6) -> None:
    """The value, and the gradient along a few directions."""

    def total(*xs: Any) -> Any:
        return weighted(function(*xs))

    wrt = tuple(range(len(args)))
    value, gradients = pullback.value_and_grad(total, argnums=wrt)(*args)
    assert value == pytest.approx(total(*args), rel=1e-10, abs=1e-10)
    rng = np.random.default_rng(1)
    for _ in range(3):
        directions = [rng.normal(size=x.shape) for x in args]
        up, down = (
            total(*(x + h * d for x, d in zip(args, directions, strict=True)))
            for h in (1e-6, -1e-6)
        )
        found = sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True))
        assert found == pytest.approx((up - down) / 2e-6, rel=rel, abs=rel)


def reduced(a: Any) -> Any:
    return tuple(np.linalg.svd(a, full_matrices=False))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "function",
    (
        reduced,
        lambda a: np.linalg.svd(a, compute_uv=False),
        np.linalg.pinv,
        lambda a: tuple(np.linalg.qr(a)),
        lambda a: np.linalg.norm(a, "nuc", axis=(-2, -1)),
        lambda a: np.linalg.norm(a, 2, axis=(-2, -1)),
        lambda a: np.linalg.norm(a, -2, axis=(-1, -2), keepdims=True),
        lambda a: np.linalg.matrix_norm(a, ord=1),
        lambda a: np.linalg.matrix_norm(a, ord=-np.inf),
        np.linalg.cond,
    ),
    ids=("svd", "values", "pinv", "qr", "nuc", "2", "-2", "1", "-inf", "cond"),
)
def test_matrices_of_any_shape(function: Code, shape: tuple[int, ...]) -> None:
    check(function, np.random.default_rng(3).normal(size=shape), rel=3e-5)


@pytest.mark.parametrize("shape", ((5, 3), (3, 5), (3, 3)), ids=str)
@pytest.mark.parametrize("more", ((), (2,)), ids=str)
def test_least_squares(shape: tuple[int, int], more: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    a, right = rng.normal(size=shape), rng.normal(size=(shape[0], *more))
    check(lambda a, b: tuple(np.linalg.lstsq(a, b)), a, right, rel=1e-5)


@pytest.mark.parametrize("order", (0.5, 1, 2, 2.5, 3, -1, -2.5, np.inf, -np.inf, None))
@pytest.mark.parametrize("axis", (None, 1, (0, 2), (2, 1)))
def test_norms_of_vectors(order: Any, axis: Any) -> None:
    x = np.random.default_rng(4).normal(size=(2, 3, 4))
    check(lambda x: np.linalg.vector_norm(x, ord=order, axis=axis, keepdims=True), x)


TRANSPOSES = (0, 1, 2, "N", "T", "C")
SCIPY: dict[str, list[tuple[Any, ...]]] = {
    "solve": [
        (lambda a, x: scipy.linalg.solve(a, x), A, b[:3]),
        (lambda a, x: scipy.linalg.solve(a, x, transposed=True), A, B),
        (lambda a, x: scipy.linalg.solve(a, x, assume_a="pos"), S, B),
        (lambda a, x: scipy.linalg.solve(a, x, lower=True, assume_a="sym"), S, B),
        (lambda a, x: scipy.linalg.solve(a, x, assume_a="lower triangular"), np.tril(A), B),
        (lambda a, x: scipy.linalg.solve(a, x, assume_a="diagonal"), np.diag(np.diag(A)), B),
    ],
    "solve_triangular": [
        (lambda a, x, t=t, low=low: solve_triangular(a, x, trans=t, lower=low), A, B)
        for t in TRANSPOSES
        for low in (False, True)
    ]
    + [(lambda a, x: solve_triangular(a, x, lower=True, unit_diagonal=True), A, b[:3])],
    "cho_factor": [(lambda a, k=k: cho_factor(a, lower=k)[0], S) for k in (False, True)],
    "cho_solve": [
        (lambda a, x, k=k: cho_solve(cho_factor(a, lower=k), x), S, B) for k in (False, True)
    ],
    "cholesky": [(lambda a, k=k: scipy.linalg.cholesky(a, lower=k), S) for k in (False, True)],
    "eigvalsh": [(lambda a, k=k: scipy.linalg.eigvalsh(a, lower=k), A) for k in (False, True)],
    "eigh": [(lambda a: scipy.linalg.eigh(a, eigvals_only=True), A)],
    "inv": [(lambda a: scipy.linalg.inv(a), A)],
    "det": [(lambda a: scipy.linalg.det(a), A)],
    "pinv": [(lambda a: scipy.linalg.pinv(a), R), (lambda a: scipy.linalg.pinv(a, rtol=1e-3), R.T)],
    "lstsq": [(lambda a, x: scipy.linalg.lstsq(a, x)[0], R, c)],
    "svd": [(lambda a: scipy.linalg.svd(a, full_matrices=False), R), (scipy.linalg.svd, A)],
    "svdvals": [(lambda a: scipy.linalg.svdvals(a), R)],
    "qr": [
        (lambda a: scipy.linalg.qr(a, mode="economic"), R),
        (lambda a: scipy.linalg.qr(a, mode="r"), R),
        (lambda a: scipy.linalg.qr(a), R.T),
    ],
    "expm": [
        (lambda a: scipy.linalg.expm(a), A / 3),
        (lambda a: scipy.linalg.expm(a), RNG.normal(size=(2, 3, 3))),
        (lambda a: scipy.linalg.expm(a @ a.T) @ b[:3], A / 5),
        (lambda a: np.trace(scipy.linalg.expm(a * a)), A / 3),
        (lambda t: scipy.linalg.expm(t[0] * A / 3 + t[1] * A.T / 4), b[:2]),
    ],
    "polar": [(lambda a, s=s: scipy.linalg.polar(a, s), R) for s in ("right", "left")],
    "norm": [(lambda a, o=o: scipy.linalg.norm(a, o), R) for o in (None, 1, 2, "nuc")],
    "toeplitz": [
        (lambda x, y: scipy.linalg.toeplitz(x, y), c, b[:3]),
        (lambda x: scipy.linalg.toeplitz(x), c),
    ],
    "hankel": [
        (lambda x, y: scipy.linalg.hankel(x, y), c, b[:3]),
        (lambda x: scipy.linalg.hankel(x), c),
    ],
    "circulant": [(lambda x: scipy.linalg.circulant(x), c)],
    "block_diag": [(lambda x, y: scipy.linalg.block_diag(x, y, 2 * x), c, R)],
    "companion": [(lambda x: scipy.linalg.companion(x), c)],
    "convolution_matrix": [
        (lambda x, n=n, m=m: scipy.linalg.convolution_matrix(x, n, mode=m), c)
        for m in ("full", "same", "valid")
        for n in (3, 4, 6)
    ],
    "solve_toeplitz": [
        (lambda x, y: scipy.linalg.solve_toeplitz(x, y), c + 5 * np.eye(4)[0], r),
        (lambda x, y: scipy.linalg.solve_toeplitz((x, r), y), c + 5 * np.eye(4)[0], b),
    ],
    "matmul_toeplitz": [(lambda x, y: scipy.linalg.matmul_toeplitz((x, y), r), c, b)],
    "solve_circulant": [(lambda x, y: scipy.linalg.solve_circulant(x, y), c + 5 * np.eye(4)[0], r)],
    "solve_sylvester": [(lambda a, x, q: scipy.linalg.solve_sylvester(a, x, q), A, A[:2, :2], B)],
    "solve_continuous_lyapunov": [
        (lambda a, q: scipy.linalg.solve_continuous_lyapunov(a, q), A, S)
    ],
    "solve_discrete_lyapunov": [
        (lambda a, q: scipy.linalg.solve_discrete_lyapunov(a, q), A / 9, S)
    ],
}


@pytest.mark.parametrize("name", LINALG)
def test_functions_of_scipy(name: str) -> None:
    for function, *args in SCIPY[name]:
        check(function, *args, rel=1e-5)


@pytest.mark.parametrize("shape", ((4, 3), (3, 4), (3, 3)), ids=str)
def test_second_derivatives(shape: tuple[int, ...]) -> None:
    def spectral(a: Any) -> Any:
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return np.sum(((u * np.sin(s)) @ vh)[0])

    a = np.random.default_rng(5).normal(size=shape)
    for function in (
        spectral,
        lambda a: np.sum(np.linalg.pinv(a) ** 2),
        lambda a: np.sum(np.linalg.qr(a)[1] ** 3),
        lambda a: np.linalg.norm(a, "nuc"),
    ):
        check(pullback.grad(function), a, rel=1e-4)


def test_float32_stays() -> None:
    a = R.astype(np.float32)
    for function in (reduced, np.linalg.pinv, lambda a: tuple(np.linalg.qr(a)), np.linalg.cond):
        value, gradient = pullback.value_and_grad(lambda a, f=function: weighted(f(a)))(a)
        exact = pullback.grad(lambda a, f=function: weighted(f(a)))(R)
        assert value.dtype == gradient.dtype == np.float32
        np.testing.assert_allclose(gradient, exact, rtol=2e-3, atol=2e-3)


def test_a_decomposition_is_one_call() -> None:
    def f(a: Any) -> Any:
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return (u * s**2) @ vh

    for function in (f, lambda a: np.linalg.svdvals(a)):
        lines = pullback.derive(function, a=(4, 3)).source().splitlines()
        assert sum("np.linalg.svd(" in line and "#" not in line for line in lines) == 1


def test_triangular_systems_stay_triangular() -> None:
    for function in (
        lambda a, x: solve_triangular(a, x, lower=True),
        lambda a, x: solve_triangular(a.T, x),
        lambda a, x: cho_solve(cho_factor(a, lower=True), x),
    ):
        source = pullback.derive(function, a=(3, 3), x=(3, 2)).source()
        assert source.count("solve_triangular(") >= 2
        assert "linalg.solve(" not in source


def test_repeated_singular_values() -> None:
    """Values have the gradients of the vectors that were found, vectors have none."""
    gradient = pullback.grad(lambda a: np.linalg.norm(a, "nuc"))(2 * np.eye(3))
    np.testing.assert_allclose(gradient, np.eye(3), atol=1e-12)
    vectors = pullback.grad(lambda a: weighted(np.linalg.svd(a).U))
    with np.errstate(all="ignore"):
        assert not np.all(np.isfinite(vectors(2 * np.eye(3))))
    top = pullback.grad(lambda a: np.linalg.norm(a, 2))(2 * np.eye(3))  # the first greatest
    assert np.sum(top != 0) == 1 and np.sum(top) == pytest.approx(1)


REFUSED: dict[str, Code] = {
    "full_matrices=False": lambda a: np.linalg.svd(a[:2])[2],
    "mode='reduced'": lambda a: np.linalg.qr(a[:, :2], mode="complete")[0],
    "use np.linalg.eigh": lambda a: np.linalg.svd(a, hermitian=True)[0],
    "Invalid norm order": lambda a: np.linalg.norm(a, 3),
    "whose vectors may have other signs": lambda a: scipy.linalg.eigh(a)[1],
    "use mode='economic'": lambda a: scipy.linalg.qr(a, pivoting=True)[0],
    "docs/matrices.md": lambda a: scipy.linalg.lu(a)[0],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused_says_what_to_write(message: str) -> None:
    with pytest.raises(pullback.PullbackError) as caught:
        pullback.grad(lambda a: weighted(REFUSED[message](a)))(A)
    assert message in str(caught.value)


def test_a_matrix_of_the_wrong_shape_is_refused_in_index_notation() -> None:
    with pytest.raises(pullback.PullbackError, match="at least as many rows as columns"):
        pullback.derive("A[2,3]; R[i,j] = qr_triangle(A)[i,j]")
    qr = pullback.define("A[N,M]; R[i,j] = qr_triangle(A)[i,j]")
    assert qr(R).shape == (3, 3)
    with pytest.raises(pullback.PullbackError, match="too few rows or columns"):
        qr(R.T)
    source = pullback.derive("A[N,M]; R[i,j] = qr_triangle(A)[i,j]").source()
    assert "if N < M" in source
