"""Roots at 0: norms of every order have gradient 0, other roots what the chain rule leaves."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.backends.numpy import spell_pair
from pullback.calculus.reverse import reverse
from pullback.calculus.roots import Roots
from pullback.ir.expr import Add, Compare, Guard, Number
from pullback.ir.walk import nodes
from pullback.notation.parse import parse
from pullback.runtime.load import load_module

Array = Any

NORMS: dict[str, Callable[[Array], Array]] = {
    "ord 1": lambda x: np.linalg.norm(x, ord=1),
    "ord 2": lambda x: np.linalg.norm(x),
    "ord 3": lambda x: np.linalg.norm(x, ord=3),
    "ord 1.5": lambda x: np.linalg.norm(x, ord=1.5),
    "ord 1/2": lambda x: np.linalg.norm(x, ord=0.5),
    "ord inf": lambda x: np.linalg.norm(x, ord=np.inf),
    "ord -inf": lambda x: np.linalg.norm(x, ord=-np.inf),
    "ord -1": lambda x: np.linalg.norm(x, ord=-1),
    "hypot": lambda x: np.hypot(x[0], x[1]),
    "a power": lambda x: (x[0] ** 2 + x[1] ** 2) ** 0.5,
    "powers of sizes": lambda x: (np.abs(x) ** 3).sum() ** (1 / 3),
    "fourth powers": lambda x: (x**4).sum() ** 0.25,
    "a cubic root": lambda x: np.cbrt((np.abs(x) ** 3).sum()),
    "a root of a product": lambda x: np.sqrt(x[0] * x[1]),
    "a root of a product of products": lambda x: np.sqrt((x[0] * x[1]) * x[1] * x[1]),
    "a root of a dot product": lambda x: np.sqrt(x @ x[::-1]),
    "a root of a product beside": lambda x: np.sqrt((x[0] * x[1]) * np.exp(x[1])),
    "a root of a sum of values": lambda x: np.sqrt((t := x * x[::-1]).sum()) + (t**3).sum(),
    "a root of a sum of products": lambda x: np.sqrt((x[:1] * x[1:]).sum()),
    "a root of a cube": lambda x: np.sqrt(x**3).sum(),
    "a root of a size": lambda x: np.sqrt(np.abs(x)).sum(),
    "a root of 1 - cos": lambda x: np.sqrt(1 - np.cos(x)).sum(),
}


@pytest.mark.parametrize("name", NORMS)
def test_the_gradient_is_0_where_the_norm_is(name: str) -> None:
    with np.errstate(all="ignore"):
        assert np.array_equal(pb.grad(NORMS[name])(np.zeros(2)), [0, 0])


@pytest.mark.parametrize("name", ["ord 3", "ord 1.5", "ord -1", "hypot", "a root of a product"])
def test_elsewhere_it_is_the_slope(name: str) -> None:
    f, x = NORMS[name], np.array([0.7, 1.9])
    found = pb.grad(f)(x)
    for k, step in enumerate(np.eye(2) * 1e-6):
        assert np.isclose(found[k], (f(x + step) - f(x - step)) / 2e-6, rtol=1e-7)


@pytest.mark.parametrize("order", [-2, -1, 0.5, 1, 3, np.inf])
def test_norms_along_an_axis_have_the_values_of_numpy(order: float) -> None:
    X = np.array([[0.0, 0.0], [1.0, -2.0], [0.0, 3.0]])
    with np.errstate(all="ignore"):
        value, gradient = pb.value_and_grad(lambda X: np.linalg.norm(X, order, axis=1).sum())(X)
        assert np.isclose(value, np.linalg.norm(X, order, axis=1).sum())
    assert np.isfinite(gradient).all()


def test_a_root_of_one_value_is_infinitely_steep() -> None:
    with np.errstate(all="ignore"):
        assert np.array_equal(pb.grad(lambda x: np.sqrt(x).sum())(np.zeros(1)), [np.inf])
        assert np.array_equal(pb.grad(lambda x: np.sqrt(3 * x).sum())(np.zeros(1)), [np.inf])
        dx, dy = pb.grad(lambda x, y: np.sqrt(x * y).sum(), argnums=(0, 1))(
            np.array([0.0, 0.0]), np.array([1.0, 0.0])
        )
    assert np.array_equal(dx, [np.inf, 0])
    assert np.array_equal(dy, [0, 0])


def test_a_norm_may_have_data_in_it() -> None:
    text = "Y[] = sqrt((mean(n) X[n]**2) + (mean(n) C[n]**2))"
    forward, backward = pb.derive(text, wrt="X").compile()
    for X, C in (([0.0, 0], [0.0, 0]), ([0.5, 0], [0.0, 1])):
        _, saved = forward(np.array(X), np.array(C))
        norm = np.sqrt(np.mean(np.square(X)) + np.mean(np.square(C)))
        assert np.allclose(backward(1.0, saved), np.array(X) / 2 / (norm or 1))


def test_the_convention_may_be_switched_off() -> None:
    for text in ("sqrt(X[i]**2 + Z[i]**2)", "hypot(X[i], Z[i])", "sqrt(X[i]*Z[i])"):
        for convention, kept in (("zero", True), ("infinite", False)):
            found = reverse(parse(f"Y[i] = {text}"), None, {"norm": convention})
            guards = [n for s in found.statements for n in nodes(s.body) if isinstance(n, Guard)]
            assert bool(guards) is kept


def test_numbers_that_are_greater_than_0() -> None:
    roots = Roots({}, lambda tensor: True, {})
    values = [Number(Fraction(n), special) for n, special in ((-1, ""), (0, ""), (2, ""))]
    endless = [Number(Fraction(0), special) for special in ("inf", "-inf", "nan")]
    found = [v for v in (*values, *endless) if roots.is_positive(v)]
    assert found == [values[2], endless[0]]


def test_the_root_of_a_product_of_many_steps() -> None:
    text = "X[T]; h[t:T] = where(t = 0, X[0], h[t-1]*X[t]); Y[] = sqrt(h[T-1])"
    forward, backward = pb.derive(text).compile()
    with np.errstate(all="ignore"):
        _, saved = forward(np.array([1.0, 0.0, 2.0, 0.0]))
        assert np.array_equal(backward(1.0, saved), np.zeros(4))


def test_what_is_never_0_needs_no_condition() -> None:
    texts = ("sqrt(X[i]**2*Z[i]**2 + 1)", "sqrt(exp(X[i])*exp(Z[i]))", "(X[i]*Z[i])**-0.5")
    texts += ("sqrt(X[i]*Z[i])\nR[i] = 1/Y[i]",)
    for text in (*texts, "X[i]*sqrt(i)", "sqrt(X[i]*exp(Z[i]))", "sqrt(X[i]/Z[i])"):
        program = parse(f"Y[i] = {text}")
        found = reverse(program, program.inputs[: None if text in texts else 1])
        assert not any(isinstance(n, Guard) for s in found.statements for n in nodes(s.body))


def test_the_diagonal_of_a_product_with_its_transpose_is_a_sum_of_squares() -> None:
    for diagonal, guarded in (("G[i,i]", False), ("G[i,j]", True)):
        text = f"G[i,j] = sum(n) X[n,i]*X[n,j]\nY[i,j] = sqrt({diagonal} + 1) + 0*G[i,j]"
        found = reverse(parse(text))
        guards = [n for s in found.statements for n in nodes(s.body) if isinstance(n, Guard)]
        assert any(isinstance(g.cond, Compare) for g in guards) is guarded


def test_what_stands_on_a_diagonal_is_symmetric() -> None:
    text = "G[i,j] = sum(n) X[n,i]*X[n,j]\nL[] = (sum(i) exp(G[i,i])*s[i]) + sum(i,j) G[i,j]**3"
    program = parse(text)
    (gradient,) = reverse(program, program.inputs[:1]).statements[-1:]
    assert not any(isinstance(n, Add) for n in nodes(gradient.body)), gradient.body
    rng = np.random.default_rng(0)
    X, s = rng.normal(size=(5, 3)), rng.normal(size=3)

    def loss(X: Array) -> Array:
        G = X.T @ X
        return (np.exp(np.diag(G)) * s).sum() + (G**3).sum()

    module = load_module(spell_pair(reverse(program)), "pair")
    dX, _ = module.backward(1.0, module.forward(X, s)[1])
    for place in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[place] = 1e-6
        slope = (loss(X + step) - loss(X - step)) / 2e-6
        assert np.isclose(dX[place], slope, rtol=1e-5)
