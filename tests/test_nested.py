"""Gradients inside gradients: traces nest, and an inner function may close over outer arrays."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.errors import TraceError

Function = Callable[..., Any]


def along(f: Function, x: float, slope: float = 1.0) -> Any:
    """The derivative by the pushforward."""
    return pb.jvp(f, (x,), (slope,))[1]


def pulled(f: Function, x: float) -> Any:
    """The derivative by the pullback."""
    return pb.vjp(f, x)[1](1.0)[0]


DERIVATIVES: list[Function] = [
    lambda f, x: pb.grad(f)(x),
    lambda f, x: pb.value_and_grad(f)(x)[1],
    along,
    pulled,
]
NAMES = ["grad", "value_and_grad", "jvp", "vjp"]


@pytest.mark.parametrize("outer", DERIVATIVES, ids=NAMES)
@pytest.mark.parametrize("inner", DERIVATIVES, ids=NAMES)
def test_no_confusion_of_perturbations(outer: Function, inner: Function) -> None:
    """The classic traps, each with its value by hand."""
    assert outer(lambda x: x * inner(lambda y: x + y, 1.0), 1.0) == 1
    assert outer(lambda x: x * inner(lambda y: x * y, 2.0), 3.0) == 6
    assert outer(lambda x: inner(lambda y: x, 2.0) + x, 3.0) == 1
    assert outer(lambda x: x * inner(lambda x: x * x, 2.0), 3.0) == 4
    assert outer(lambda x: inner(lambda y: x * y * y, x), 3.0) == 12
    assert outer(lambda x: inner(lambda y: inner(lambda z: x * y * y * z * z, x), x), 2.0) == 48
    assert outer(lambda x: inner(lambda y: np.maximum(x * y, 3.0) * x, 2.0), 3.0) == 6
    assert outer(lambda x: inner(lambda y: np.where(y > x, y**2, x * y), x), 3.0) == 1
    assert outer(lambda x: inner(lambda y: np.sin(x) * y, 1.0) ** 2, 0.5) == pytest.approx(
        np.sin(1.0)
    )


@dataclass
class Holder:
    """An object with an attribute."""

    held: Any


def test_outer_arrays_in_containers_and_objects() -> None:
    X = np.array([1.0, 2.0, 3.0])

    def through(x: Any) -> Any:
        kept = Holder([{"x": x, "sum": (x**2).sum()}])

        def inner(y: Any) -> Any:
            return (kept.held[0]["x"] ** 2 * y).sum() * kept.held[0]["sum"]

        return pb.grad(inner)(np.ones(3)).sum()

    np.testing.assert_allclose(pb.grad(through)(X), 4 * X * (X**2).sum())


def test_what_an_outer_array_holds_at_the_time_is_read() -> None:
    def changed(x: Any) -> Any:
        h = x * 2
        first = pb.grad(lambda y: (y * h).sum())(np.ones(3))
        h += 1
        return (first * x).sum() + (pb.grad(lambda y: (y * h).sum())(np.ones(3)) * x).sum()

    np.testing.assert_array_equal(pb.grad(changed)(np.ones(3)), 9 * np.ones(3))


def test_cotangents_and_pullbacks_of_other_levels() -> None:
    X = np.array([0.3, 0.4])
    pull = pb.vjp(np.sin, X)[1]
    C = np.array([1.0, 2.0])
    np.testing.assert_allclose(pb.grad(lambda c: (pull(c)[0] * c).sum())(C), 2 * C * np.cos(X))
    linear = pb.vjp(lambda x: 2 * x, X)[1]  # keeps nothing of its forward pass
    np.testing.assert_array_equal(pb.grad(lambda c: linear(c)[0].sum())(C), [2.0, 2.0])

    def inside(x: Any) -> Any:
        own = pb.vjp(lambda y: x * y * y, 2.0)[1]
        return pb.grad(lambda c: own(c)[0] * c)(x)

    assert pb.grad(inside)(3.0) == 16 * 3


def test_results_have_the_dtype_of_what_they_belong_to() -> None:
    def loss(x: Any) -> Any:
        return pb.grad(lambda y: (y * np.ones(3)).sum() * x)(np.float32(2.0)) * x

    found = pb.grad(loss)(np.float32(2.0))
    assert found == 12 and found.dtype == np.float32
    W = np.ones((3, 2), np.float32)
    norm = pb.grad(lambda w: (pb.grad(lambda v: ((v @ w) ** 2).sum())(W.T) ** 2).sum())
    assert norm(W).dtype == np.float32


def test_second_derivatives_do_not_keep_the_first_calls_arrays() -> None:
    def of(c: float) -> Function:
        return lambda x: x * pb.grad(lambda y: c * x * y)(2.0)

    assert [pb.grad(of(c))(x) for c in (1.0, 2.0) for x in (3.0, 4.0)] == [6, 8, 12, 16]


def test_formulas_over_arrays_of_two_levels() -> None:
    F = pb.define("Y[i] = a[]*X[i]*X[i]")
    inner = lambda a: pb.grad(lambda x: F(X=x, a=a).sum())(np.ones(2)).sum()  # noqa: E731
    assert pb.grad(inner)(3.0) == 4


# --------------------------------------------------------------------------------------------------
# Refusals


def escaping(x: Any) -> Any:
    kept = []

    def inner(y: Any) -> Any:
        kept.append(y * 2)
        return y * x

    return pb.grad(inner)(2.0) * kept[0]


def changing(x: Any) -> Any:
    h = x * 2

    def inner(y: Any) -> Any:
        nonlocal h
        h += 1
        return (y * h).sum()

    return pb.grad(inner)(np.ones(3)).sum()


def deciding(x: Any) -> Any:
    try:
        return x * pb.grad(lambda y: y * (1.0 if x > 0 else 2.0))(2.0)
    except Exception:
        return x


def masking(x: Any) -> Any:
    try:
        return pb.grad(lambda y: (y * np.sort(np.arange(3.0)[x > 0])).sum())(2.0)
    except ValueError:
        return x.sum()


def indexing(x: Any) -> Any:
    try:
        return pb.grad(lambda y: y[x > 0][0])(np.arange(3.0)).sum()
    except ValueError:
        return x.sum()


@pytest.mark.parametrize(
    "function, X",
    [
        (escaping, 3.0),
        (changing, np.ones(3)),
        (deciding, 3.0),
        (masking, np.ones(3)),
        (indexing, np.ones(3)),
        (lambda x: (pb.derive(lambda y: y * x, y=""), x)[1], 3.0),
    ],
)
def test_refused(function: Function, X: Any) -> None:
    """Even where the function catches the refusal: with arrays, the inner one may not fail."""
    with pytest.raises(TraceError):
        pb.grad(function)(X)


def test_a_compiled_forward_pass_is_refused_by_name() -> None:
    """Also where the function catches the refusal."""
    forward, _ = pb.derive("Y[i] = sin(X[i])*X[i]").compile()
    X = np.array([0.3, 0.7])

    def caught(x: Any) -> Any:
        try:
            return forward(x)[0].sum()
        except Exception:
            return x.sum()

    with pytest.raises(TraceError, match="compiles to"):
        pb.grad(caught)(X)
    np.testing.assert_allclose(pb.grad(lambda x: (forward(X)[0] * x).sum())(X), np.sin(X) * X)


def test_an_array_that_outlives_its_trace() -> None:
    kept: list[Any] = []

    def keeping(x: Any) -> Any:
        kept.append(x * 2)
        return x

    pb.grad(keeping)(1.0)
    for use in (
        lambda: kept[0] * 2,
        lambda: np.stack(kept),
        lambda: kept[0][None],
        lambda: pb.grad(lambda x: x * kept[0])(1.0),
        lambda: pb.grad(lambda x: kept[0] * x)(1.0),
        lambda: pb.grad(np.sin)(kept[0]),
    ):
        with pytest.raises(TraceError, match="trace"):
            use()


# --------------------------------------------------------------------------------------------------
# Random nested programs


class Nested:
    """A random function of a scalar that asks for derivatives of functions that close over it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.steps: list[Any] = []

    def expression(self, names: list[str], depth: int) -> str:
        pick = self.random.choice
        kind = self.random.randrange(8 if depth else 6)
        if kind == 0 or depth < -2:
            return pick(names)
        a = self.expression(names, depth - 1)
        match kind:
            case 1 | 2:
                return f"({a}*{self.expression(names, depth - 1)})"
            case 3:
                return f"({a} + {self.expression(names, depth - 1)})"
            case 4:
                return f"np.{pick(['sin', 'tanh', 'cos'])}({a})"
            case 5:
                return f"np.where({pick(names)} > 0.4, {a}, 0.5*{pick(names)})"
        new = f"v{len(names)}"
        body = self.expression([*names, new], depth - 1)
        return f"{pick(['grad', 'jvp', 'vjp'])}(lambda {new}: {new}*({body}), {a})"

    def function(self) -> Function:
        known = {"np": np, "grad": DERIVATIVES[0], "jvp": along, "vjp": pulled}
        found: Function = eval(f"lambda v0: {self.expression(['v0'], 2)}*v0", known)
        return found


@pytest.mark.parametrize("seed", range(1, 17))
def test_random_nested_programs(seed: int) -> None:
    """Against differences of the function itself, which takes its inner derivatives of numbers."""
    f = Nested(seed).function()
    x, step = 0.7, 1e-5
    expected = (f(x + step) - f(x - step)) / (2 * step)
    for derivative in (DERIVATIVES[0], along):
        assert derivative(f, x) == pytest.approx(expected, rel=1e-6, abs=1e-6)
