"""jacrev, jacfwd, hessian, linearize, hvp: arrays, with JAX's names and signatures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import ArgumentError, LimitError, ShapeError, UnsupportedError

from .oracles import by_differences
from .test_structure import mlp, softmax

RNG = np.random.default_rng(0)
X, W, V = (RNG.normal(size=shape) for shape in ((3, 4), (4, 5), (5, 2)))


@pytest.mark.parametrize("transform", [pullback.jacrev, pullback.jacfwd])
def test_both_modes_give_the_array(transform: Any) -> None:
    for which in range(3):
        found = transform(mlp, argnums=which)(X, W, V)
        wanted = by_differences(mlp, (X, W, V), which)
        assert type(found) is np.ndarray
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)
    assert transform(lambda x: x**2)(3.0) == 6.0
    assert transform(lambda x: x.sum())(np.ones((2, 3))).shape == (2, 3)


def test_structures_of_arguments_and_results() -> None:
    def f(p: dict[str, Any], x: Any) -> dict[str, Any]:
        return {"y": p["w"] * x, "sum": (p["b"] * x).sum(), "count": 3}

    p = {"w": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}
    found = pullback.jacrev(f)(p, np.array([5.0, 6.0]))
    np.testing.assert_array_equal(found["y"]["w"], np.diag([5.0, 6.0]))
    np.testing.assert_array_equal(found["y"]["b"], np.zeros((2, 2)))
    np.testing.assert_array_equal(found["sum"]["b"], [5, 6])
    assert found["count"] is None
    both = pullback.jacobian(f, argnums=("p", "x"))(p, np.array([5.0, 6.0]))
    assert both["y"][1].text == "diag(p_w)"


def test_by_name_by_position_and_several() -> None:
    by_name = pullback.jacrev(lambda X, W: X @ W, argnums="W")(X, W)
    both = pullback.jacrev(lambda X, W: X @ W, argnums=(0, -1))(X, W)
    assert isinstance(both, tuple)
    np.testing.assert_array_equal(both[1], by_name)
    assert both[0].shape == (3, 5, 3, 4)


def test_more_results_come_along() -> None:
    J, more = pullback.jacobian(lambda x: (x**2, {"twice": 2 * x}), has_aux=True)(np.ones(2))
    assert J.kind == "diagonal"
    np.testing.assert_array_equal(more["twice"], [2, 2])
    found, count = pullback.hessian(lambda x: (x**3, 5), has_aux=True)(2.0)
    assert (found, count) == (12.0, 5)


def logistic(w: Any, X: Any, y: Any) -> Any:
    z = X @ w
    return (np.logaddexp(0, z) - y * z).sum()


def test_the_hessian_of_logistic_regression() -> None:
    data, y, w = RNG.normal(size=(7, 3)), (RNG.random(7) > 0.5) * 1.0, RNG.normal(size=3)
    p = 1 / (1 + np.exp(-data @ w))
    H = pullback.hessian(logistic)(w, data, y)
    np.testing.assert_allclose(H, data.T @ np.diag(p * (1 - p)) @ data, rtol=1e-12)
    J = pullback.jacobian(pullback.grad(logistic))(w, data, y)
    assert J.text.startswith("Xᵀ diag(") and J.text.endswith(") X")


def test_the_hessian_of_cross_entropy() -> None:
    def loss(s: Any) -> Any:
        return np.log(np.exp(s).sum()) - s[1]

    s = RNG.normal(size=4)
    p = np.exp(s) / np.exp(s).sum()
    H = pullback.hessian(loss)(s)
    np.testing.assert_allclose(H, np.diag(p) - np.outer(p, p), rtol=1e-12, atol=1e-15)
    J = pullback.jacobian(pullback.grad(loss))(s)
    assert J.kind == "diagonal plus rank 1"


def test_the_hessian_of_matrix_factorisation() -> None:
    T, U, M = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 2)), RNG.normal(size=(2, 5))

    def loss(U: Any, M: Any) -> Any:
        return ((T - U @ M) ** 2).sum()

    (uu, um), (mu, mm) = pullback.hessian(loss, argnums=(0, 1))(U, M)
    np.testing.assert_allclose(uu.reshape(8, 8), np.kron(np.eye(4), 2 * M @ M.T), atol=1e-12)
    np.testing.assert_allclose(mm.reshape(10, 10), np.kron(2 * U.T @ U, np.eye(5)), atol=1e-12)
    np.testing.assert_allclose(um.reshape(8, 10), mu.reshape(10, 8).T, atol=1e-12)
    J = pullback.jacobian(pullback.grad(loss))(U, M)
    assert J.kind == "Kronecker product"
    assert J.text == "I_4 ⊗ 2·M Mᵀ"


def test_hessians_are_symmetric_and_those_of_differences() -> None:
    def loss(x: Any) -> Any:
        return (np.tanh(x @ W) ** 2).sum() + np.log(np.exp(x).sum())

    H = pullback.hessian(loss)(X)
    np.testing.assert_allclose(H, H.transpose(2, 3, 0, 1), atol=1e-12)
    wanted = by_differences(pullback.grad(loss), (X,), 0)
    np.testing.assert_allclose(H, wanted, rtol=1e-6, atol=1e-7)


def test_a_product_with_the_hessian() -> None:
    def loss(x: Any, y: Any) -> Any:
        return (x**2 * y).sum() + np.exp(y).sum()

    x, y, dx, dy = (RNG.normal(size=3) for _ in range(4))
    (xx, xy), (yx, yy) = pullback.hessian(loss, argnums=(0, 1))(x, y)
    found = pullback.hvp(loss, (x, y), (dx, dy))
    np.testing.assert_allclose(found[0], xx @ dx + xy @ dy, atol=1e-12)
    np.testing.assert_allclose(found[1], yx @ dx + yy @ dy, atol=1e-12)
    alone = pullback.hvp(lambda x: (x**3).sum(), (x,), (dx,))
    np.testing.assert_allclose(alone, 6 * x * dx, atol=1e-12)


def test_the_derivative_as_a_linear_function() -> None:
    out, along = pullback.linearize(mlp, X, W, V)
    np.testing.assert_allclose(out, mlp(X, W, V))
    dX, dW, dV = (RNG.normal(size=a.shape) for a in (X, W, V))
    _, wanted = pullback.jvp(mlp, (X, W, V), (dX, dW, dV))
    np.testing.assert_allclose(along(dX, dW, dV), wanted, atol=1e-12)
    np.testing.assert_allclose(along(2 * dX, None, None), along(dX, None, None) * 2, atol=1e-12)
    out, along, more = pullback.linearize(lambda x: (x**2, "note"), 3.0, has_aux=True)
    assert (out, along(1.0), more) == (9.0, 6.0, "note")
    _, along = pullback.linearize(lambda p: {"y": p["a"] * 2}, {"a": np.ones(2)})
    np.testing.assert_array_equal(along({"a": np.ones(2)})["y"], [2, 2])


def test_at_kinks_the_conventions_hold_and_elsewhere_slopes_are_infinite() -> None:
    x = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_array_equal(np.diag(pullback.jacrev(np.abs)(x)), [-1, 0, 1])
    relu = pullback.jacrev(lambda x: np.maximum(x, 0))(x)
    np.testing.assert_array_equal(np.diag(relu), [0, 0, 1])
    norm = pullback.jacrev(lambda x: np.sqrt((x**2).sum()))(np.zeros(2))
    np.testing.assert_array_equal(norm, [0, 0])
    with np.errstate(divide="ignore"):
        assert np.isposinf(pullback.jacrev(np.sqrt)(np.zeros(1))[0, 0])
    with pytest.raises(np.linalg.LinAlgError):
        pullback.jacrev(np.linalg.inv)(np.zeros((2, 2)))


def test_elements_keep_the_digits_of_the_gradient() -> None:
    x = np.array([-1e3, -800.0, -37.0, 0.0, 17.0, 37.0, 700.0, 1e200])
    for function in (
        lambda x: 1 / (1 + np.exp(-x)),
        lambda x: np.logaddexp(0, x),
        lambda x: np.exp(x) / (1 + np.exp(x) ** 2),
        lambda x: x * 1e-200 * 1e-200 * 1e200 * 1e200,
    ):
        with np.errstate(all="ignore"):
            dense = pullback.jacrev(function)(x)
            slopes = [pullback.grad(function)(one) for one in x]
        np.testing.assert_allclose(dense, np.diag(slopes), rtol=1e-13, atol=0)
    norm = pullback.jacrev(lambda x: np.linalg.norm(x / 1e200))(np.array([1.0, 1e200]))
    np.testing.assert_allclose(norm, [1e-400, 1e-200], rtol=1e-13)


def test_what_has_no_hessian_or_no_array_is_refused() -> None:
    with pytest.raises(ArgumentError, match="hessian needs a function with a scalar result"):
        pullback.hessian(lambda x: x**2)(np.ones(3))
    with pytest.raises(ArgumentError, match="hvp needs a function with a scalar result"):
        pullback.hvp(lambda x: x**2, (np.ones(3),), (np.ones(3),))
    with pytest.raises(ArgumentError, match="hvp takes the primals as a tuple"):
        pullback.hvp(lambda x: (x**2).sum(), np.ones(3), np.ones(3))  # type: ignore[arg-type]
    with pytest.raises(LimitError, match="too large"):
        pullback.jacrev(lambda x: np.tanh(x))(np.ones(20_000))
    with pytest.raises(ArgumentError, match="argument x"):
        pullback.jacobian(lambda x: x * 2.0)(np.arange(3))
    with pytest.raises(ArgumentError, match="returns arrays"):
        pullback.jacobian(lambda x: None)(np.ones(3))
    with pytest.raises(ArgumentError, match="layout"):
        pullback.jacobian(np.exp, layout="column")
    with pytest.raises(UnsupportedError, match="jacrev can't be called inside"):
        pullback.grad(lambda x: pullback.jacrev(np.exp)(x).sum())(np.ones(2))
    with pytest.raises(ArgumentError, match="one tangent an argument"):
        pullback.linearize(mlp, X, W, V)[1](X)
    with pytest.raises(ShapeError, match="tangent of x"):
        pullback.linearize(lambda x: x * 2, np.ones(3))[1](np.ones(2))


def test_other_shapes() -> None:
    g = pullback.jacrev(softmax)
    for n in (3, 5, 2):
        x = RNG.normal(size=(n, n + 1))
        np.testing.assert_allclose(g(x), by_differences(softmax, (x,), 0), atol=1e-8)
    assert repr(pullback.jacobian(np.exp)).startswith("<jacobian of ")


def test_index_notation() -> None:
    affine = pullback.define("Y[n,m] = sum(d) X[n,d]*W[d,m]")
    J = pullback.jacobian(affine, argnums="W")(X, W)
    assert J.text == "X ⊗ I_5"
    np.testing.assert_allclose(J @ np.ones(W.shape), X @ np.ones(W.shape))
