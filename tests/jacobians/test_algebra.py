"""Products, sums, multiples and transposes of Jacobians."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import ArgumentError, LimitError, ShapeError, UnsupportedError
from pullback.jacobians.operator import Jacobian

from .oracles import by_differences, expect_products
from .test_structure import mlp, softmax

RNG = np.random.default_rng(0)
X, W, V = (RNG.normal(size=shape) for shape in ((3, 4), (4, 5), (5, 2)))
S = X @ W


def contracted(outer: Jacobian, inner: Jacobian) -> Any:
    """The product of the dense arrays over the axes between them."""
    n = len(outer.input_shape)
    return np.tensordot(outer.dense(), inner.dense(), axes=n)


def of(function: Any, *arrays: Any, by: int = 0) -> Jacobian:
    found: Jacobian = pullback.jacobian(function, by)(*arrays)
    return found


LAYER = of(lambda X, W: X @ W, X, W)
NEXT = of(lambda S, V: S @ V, S, V)
MASK = of(lambda S: np.maximum(S, 0), S)
EXP = of(np.exp, S)
SOFTMAX = of(softmax, S)
PICK = of(lambda S: S[1:], S)
SWAP = of(lambda S: S.T, S)

PRODUCTS = {
    "Kronecker and Kronecker": (NEXT, LAYER, ("Kronecker product",), "I_3 ⊗ Vᵀ Wᵀ"),
    "diagonal and diagonal": (MASK, EXP, ("diagonal",), ""),
    "Kronecker and diagonal": (NEXT, MASK, ("block diagonal",), ""),
    "diagonal and Kronecker": (MASK, LAYER, ("block diagonal",), ""),
    "selection and Kronecker": (PICK, LAYER, ("selection",), ""),
    "softmax and mask": (SOFTMAX, MASK, ("block diagonal", "diagonal plus rank 1"), ""),
    "permutation and its transpose": (SWAP.T, SWAP, ("identity",), "I_15"),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_has_the_structure_of_its_factors(name: str) -> None:
    outer, inner, kinds, text = PRODUCTS[name]
    J = outer @ inner
    assert J.shape == outer.output_shape + inner.input_shape
    assert J.structure is not None
    if name != "selection and Kronecker":
        assert J.structure.kinds == kinds
    if text:
        assert J.text == text
    wanted = contracted(outer, inner)
    np.testing.assert_allclose(J.dense(), wanted, atol=1e-12)
    expect_products(J, wanted)


def test_the_chain_rule_is_a_product() -> None:
    whole = of(mlp, X, W, V)
    J = NEXT @ MASK @ LAYER
    assert J.label == "∂Y/∂X"
    np.testing.assert_allclose(J.dense(), whole.dense(), atol=1e-12)
    np.testing.assert_allclose(J.dense(), by_differences(mlp, (X, W, V), 0), rtol=1e-6, atol=1e-7)
    u = RNG.normal(size=(3, 2))
    np.testing.assert_allclose(J.T @ u, whole.T @ u, atol=1e-12)


def test_in_the_denominator_layout_the_chain_reads_from_the_left() -> None:
    layer = pullback.jacobian(lambda X: X @ W, layout="denominator")(X)
    mask = pullback.jacobian(lambda S: np.maximum(S, 0), layout="denominator")(S)
    assert layer.shape == (3, 4, 3, 5)
    upstream = RNG.normal(size=(3, 5))
    np.testing.assert_allclose(layer @ upstream, upstream @ W.T, atol=1e-12)
    both = layer @ mask
    np.testing.assert_allclose(both.dense(), (MASK @ LAYER).T.dense(), atol=1e-12)
    np.testing.assert_allclose(both @ upstream, (upstream * (S > 0)) @ W.T, atol=1e-12)
    assert both.label == "(∂Y/∂X)ᵀ"


def test_values_of_one_name_are_told_apart() -> None:
    other = RNG.normal(size=(5, 4))
    one = of(lambda X, W: X @ W, X, W)
    two = of(lambda X, W: X @ W, S, other)
    J = two @ one
    np.testing.assert_allclose(J.dense(), contracted(two, one), atol=1e-12)
    assert J.text == "I_3 ⊗ Wᵀ W2ᵀ"
    expect_products(J, J.dense())


def test_a_product_with_the_transpose_is_a_gram_matrix() -> None:
    J = MASK @ LAYER
    gram = J @ J.T
    assert gram.label == "∂Y/∂X·(∂Y/∂X)ᵀ"
    dense = J.dense().reshape(15, 12)
    np.testing.assert_allclose(gram.dense().reshape(15, 15), dense @ dense.T, atol=1e-12)
    normal = J.T @ J
    np.testing.assert_allclose(normal.dense().reshape(12, 12), dense.T @ dense, atol=1e-12)


def test_sums_and_multiples() -> None:
    J = 2 * MASK - EXP / 4 + SOFTMAX
    wanted = 2 * MASK.dense() - EXP.dense() / 4 + SOFTMAX.dense()
    np.testing.assert_allclose(J.dense(), wanted, atol=1e-12)
    expect_products(J, wanted)
    assert (MASK + EXP).kind == "diagonal"
    assert (SOFTMAX + MASK).kind == "block diagonal, diagonal plus rank 1"
    np.testing.assert_array_equal((MASK - MASK).dense(), np.zeros(MASK.shape))
    assert (MASK - MASK).kind == "zero"
    assert sum([MASK, EXP]).kind == "diagonal"
    assert (-MASK).text == "diag(−1(S > 0))"
    assert (0 * MASK).kind == "zero"
    np.testing.assert_array_equal(np.float64(3) * EXP @ S, 3 * (EXP @ S))


def test_the_transpose_of_the_transpose_is_the_same_object() -> None:
    assert LAYER.T.T is LAYER
    assert LAYER.T.text == "I_3 ⊗ W"
    assert LAYER.T.kind == "Kronecker product"
    product = NEXT @ MASK
    np.testing.assert_allclose((product.T).dense(), (MASK.T @ NEXT.T).dense(), atol=1e-12)


def test_arrays_on_either_side() -> None:
    dense = LAYER.dense()
    np.testing.assert_allclose(np.asarray(LAYER), dense)
    np.testing.assert_allclose(
        np.ones((7, 3, 5)) @ LAYER, np.tensordot(np.ones((7, 3, 5)), dense, 2), atol=1e-12
    )
    np.testing.assert_allclose(
        LAYER @ np.ones((3, 4, 7)), np.tensordot(dense, np.ones((3, 4, 7)), 2), atol=1e-12
    )


def test_what_was_changed_later_does_not_matter() -> None:
    x = np.array([1.0, -2.0, 3.0])
    J = of(lambda x: np.maximum(x, 0), x)
    x[:] = -x
    np.testing.assert_array_equal(J @ np.ones(3), [1, 0, 1])
    np.testing.assert_array_equal(J.dense(), np.diag([1.0, 0, 1]))


def test_dtypes() -> None:
    J = of(lambda x: np.tanh(x), np.ones(3, np.float32))
    assert J.dtype == np.float32
    assert J.dense().dtype == (J @ np.ones(3)).dtype == (np.ones(3) @ J).dtype == np.float32
    assert J.dense_nbytes == 36


def test_bytes() -> None:
    assert LAYER.nbytes == W.nbytes
    assert LAYER.dense_nbytes == 15 * 12 * 8
    assert of(lambda x: x[::-1], np.ones(5)).nbytes == 0


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"∂Y/∂X @ v don't fit"):
        LAYER @ np.ones((4, 3))
    with pytest.raises(ShapeError, match=r"u @ ∂Y/∂X don't fit"):
        np.ones((5, 3)) @ LAYER
    with pytest.raises(ShapeError, match=r"∂Y/∂X @ ∂Y/∂X don't fit"):
        LAYER @ LAYER
    with pytest.raises(ShapeError, match="one shape"):
        LAYER + MASK
    with pytest.raises(ArgumentError, match="multiplied by numbers"):
        LAYER * np.ones(3)
    with pytest.raises(ArgumentError, match="finite"):
        LAYER * float("nan")
    with pytest.raises(ArgumentError, match="not divided by 0"):
        LAYER / 0
    with pytest.raises(ArgumentError, match="arrays of floats"):
        LAYER @ np.ones((3, 4), complex)
    with pytest.raises(TypeError):
        LAYER + 1
    with pytest.raises(IndexError, match="out of range for axis 1"):
        LAYER[0, 5]
    with pytest.raises(IndexError, match="5 indices"):
        LAYER[0, 0, 0, 0, 0]
    with pytest.raises(ArgumentError, match="integers and slices"):
        LAYER[None]
    assert LAYER[..., -1].shape == (3, 5, 3)
    assert LAYER[-1, -1, ..., 0].shape == (3,)


def test_large_ones_are_not_made_dense_unasked() -> None:
    J = of(lambda x: np.maximum(x, 0), np.ones(20_000))
    assert J.dense_nbytes == 3_200_000_000
    with pytest.raises(LimitError, match="too large") as error:
        J.dense()
    assert "1 GiB" in str(error.value) and "2.98 GiB" in str(error.value)
    with pytest.raises(LimitError):
        J[:]
    assert J[7].sum() == 1
    assert (J @ np.ones(20_000)).sum() == 20_000
    small = of(np.tanh, np.ones(3))
    with pytest.raises(LimitError):
        small.dense(limit=8)
    assert small.dense(limit=None).shape == (3, 3)


def test_inside_a_traced_function_it_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="jacobian can't be called inside"):
        pullback.grad(lambda x: (pullback.jacobian(np.exp)(x) @ x).sum())(np.ones(2))


def test_a_composition_without_a_formula() -> None:
    A = np.array([[2.0, 1.0], [1.0, 3.0]])
    J = of(np.linalg.solve, A, np.array([1.0, 2.0]))
    assert J.kind == "composition"
    wanted = by_differences(np.linalg.solve, (A, np.array([1.0, 2.0])), 0)
    np.testing.assert_allclose(J.dense(), wanted, atol=1e-8)
    expect_products(J, J.dense())
    twice = of(np.exp, np.ones(2)) @ J
    assert twice.kind == "composition"
    assert twice.text == "diag(Y)·∂Y/∂a"
    expect_products(twice, twice.dense())
