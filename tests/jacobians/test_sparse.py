"""Sparse Jacobians and Hessians: patterns from subscripts, colours, values."""

from __future__ import annotations

import builtins
import sys
from math import prod
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import ArgumentError, LimitError, UnsupportedError
from pullback.jacobians.operator import Jacobian
from pullback.jacobians.sparse import colours, periodic

from .test_structure import CASES, inputs, jacobian

sparse = pytest.importorskip("scipy.sparse")


def laplace(u: Any) -> Any:
    return u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]


def reaction(u: Any) -> Any:
    return laplace(u) + u[1:-1, 1:-1] ** 3


def boundary(X: Any) -> Any:
    """The residual of five points with zeros around."""
    u = np.pad(X, 1)
    return laplace(u) - np.exp(X)


SPARSE = ("zero", "scalar", "mask", "transpose", "affine layer, data", "bias", "softmax", "pad",
          "flip", "gather", "max pooling", "diagonal of a matrix", "differences with a reaction",
          "reversed sum", "sum")  # fmt: skip


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_is_dense(name: str) -> None:
    case = CASES[name]
    J = jacobian(case, inputs(case))
    rows, columns = prod(J.output_shape), prod(J.input_shape)
    for of, shape in ((J, (rows, columns)), (J.T, (columns, rows))):
        found = of.sparse()
        assert found.shape == shape and found.dtype == J.dtype
        np.testing.assert_allclose(found.toarray(), of.dense().reshape(shape), atol=1e-12)


def test_the_pattern_depends_on_no_value() -> None:
    at_zero = pullback.jacobian(lambda u: u**2)(np.zeros(4))
    np.testing.assert_array_equal(at_zero.pattern(), [np.arange(4)] * 2)
    mask = pullback.jacobian(lambda u: np.maximum(u, 0))(-np.ones(4))
    assert len(mask.pattern()[0]) == 4
    rows, columns = pullback.jacobian(lambda u: u[2:] - 2 * u[1:-1] + u[:-2])(np.ones(5)).pattern()
    np.testing.assert_array_equal(rows, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    np.testing.assert_array_equal(columns, [0, 1, 2, 1, 2, 3, 2, 3, 4])


def test_a_stencil_takes_as_many_products_as_it_has_points() -> None:
    u = np.random.default_rng(0).normal(size=(9, 11))
    for function in (laplace, reaction):
        J = pullback.jacobian(function)(u)
        colour = periodic(J.closed)
        assert colour is not None and colour.max() == 4
        expect_apart(J, colour)
    J = pullback.jacobian(boundary)(u)
    assert J.sparse().nnz == 5 * 99 - 2 * (9 + 11)
    np.testing.assert_allclose(J.sparse().toarray(), J.dense().reshape(99, 99), atol=1e-12)


def expect_apart(J: Jacobian, colour: Any) -> None:
    """No row has two columns of one colour."""
    rows, columns = J.pattern()
    pairs = list(zip(rows.tolist(), colour[columns].tolist(), strict=True))
    assert len({*pairs}) == len(pairs)


@pytest.mark.parametrize("seed", range(5))
def test_random_patterns_are_coloured(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2)
    rows, columns = np.nonzero(rng.random((height, width)) < rng.choice([0.02, 0.1, 0.5, 1.0]))
    found = colours(rows, columns, int(width))
    assert found.shape == (width,) and found.min() >= 0
    pairs = list(zip(rows.tolist(), found[columns].tolist(), strict=True))
    assert len({*pairs}) == len(pairs)
    if len(rows):
        assert found.max() + 1 >= np.bincount(rows).max()


def test_colours_are_the_same_each_time() -> None:
    rows, columns = np.nonzero(np.random.default_rng(1).random((30, 30)) < 0.1)
    np.testing.assert_array_equal(colours(rows, columns, 30), colours(rows, columns, 30))


def test_a_graph_is_no_stencil() -> None:
    rng = np.random.default_rng(0)
    ends = rng.integers(0, 50, (2, 120))

    def stretch(x: Any) -> Any:
        return (x[ends[0]] - x[ends[1]]) ** 2

    x = rng.normal(size=50)
    J = pullback.jacobian(stretch)(x)
    assert periodic(J.closed) is None
    np.testing.assert_allclose(J.sparse().toarray(), J.dense(), atol=1e-12)
    H = pullback.jacobian(pullback.grad(lambda x: stretch(x).sum()))(x)
    found = H.sparse()
    np.testing.assert_allclose(found.toarray(), pullback.hessian(lambda x: stretch(x).sum())(x))
    assert abs(found - found.T).max() < 1e-12


def test_the_hessian_of_a_chain_is_tridiagonal() -> None:
    def rosenbrock(x: Any) -> Any:
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    x = np.random.default_rng(0).normal(size=8)
    J = pullback.jacobian(pullback.grad(rosenbrock))(x)
    found = J.sparse()
    assert found.nnz == 8 + 7 + 7
    np.testing.assert_allclose(found.toarray(), pullback.hessian(rosenbrock)(x), rtol=1e-12)
    np.testing.assert_allclose(found.toarray(), found.toarray().T, rtol=1e-12)


def test_a_million_unknowns() -> None:
    u = np.random.default_rng(0).normal(size=(302, 302))  # benchmarks take 1000 × 1000
    J = pullback.jacobian(reaction)(u)
    found = J.sparse()
    assert found.shape == (90_000, 302 * 302) and found.nnz == 450_000
    v = np.random.default_rng(1).normal(size=u.shape)
    np.testing.assert_allclose(found @ v.ravel(), (J @ v).ravel(), atol=1e-11)


def test_what_has_no_pattern_is_refused() -> None:
    solve = pullback.jacobian(np.linalg.solve)(np.eye(2), np.ones(2))
    with pytest.raises(ArgumentError, match="no formula to read its pattern from"):
        solve.sparse()
    large = pullback.jacobian(lambda x: np.tanh(np.outer(x, x).sum() * x))(np.ones(20_000))
    with pytest.raises(LimitError, match="too many elements"):
        large.sparse()


def test_without_scipy_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *rest)

    for name in [name for name in sys.modules if name.split(".")[0] == "scipy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refuse)
    J = pullback.jacobian(np.exp)(np.ones(2))
    with pytest.raises(UnsupportedError, match="SciPy"):
        J.sparse()
    assert len(J.pattern()[0]) == 2


def test_pictures() -> None:
    J = pullback.jacobian(lambda u: u[2:] - 2 * u[1:-1] + u[:-2])(np.ones(6))
    assert J.blocks() == "███   \n ███  \n  ███ \n   ███"
    drawn = J.picture()
    assert drawn.startswith("<svg") and drawn.count("<path") == 12
    assert "∂Y/∂u, 4 × 6: banded, Toeplitz" in drawn
    layer = pullback.jacobian(lambda X, W: X @ W)(np.ones((64, 256)), np.ones((256, 256)))
    grid = layer.blocks(64).splitlines()
    assert [line.index("█") for line in grid] == [*range(64)]
    assert all(line.count("█") == 1 for line in grid)
    empty = pullback.jacobian(lambda x: x * 2)(np.ones(0))
    assert empty.blocks() == "" and empty.picture().startswith("<svg")
