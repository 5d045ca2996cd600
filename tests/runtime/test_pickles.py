"""Gradient functions pickle and copy where their functions do."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback import gradients

Array = Any


def loss(x: Array, w: Array) -> Array:
    return (x * w**2).sum()


def with_more(x: Array, w: Array) -> tuple[Array, Array]:
    return (x * w**2).sum(), w + 1


@pb.grad
def decorated(x: Array, w: Array) -> Array:
    return (x * w**2).sum()


def shared(x: Array) -> Array:
    """A gradient function that another function reads."""
    return (decorated(x, x) * x).sum()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "grad": pb.grad(loss),
    "by name": pb.grad(loss, argnums="w"),
    "by several": pb.grad(loss, argnums=(0, "w")),
    "value and grad": pb.value_and_grad(loss, argnums=1),
    "with more": pb.grad(with_more, has_aux=True),
    "value, grad and more": pb.value_and_grad(with_more, has_aux=True),
    "decorated": decorated,
    "of another": pb.grad(lambda x: x),
    "of index notation": pb.grad(pb.define("Y = sum(i) X[i]*W[i]**2")),
}
FUNCTIONS["of another"] = pb.grad(shared)
COPIES: tuple[Callable[[Any], Any], ...] = (
    lambda g: pickle.loads(pickle.dumps(g)),
    copy.deepcopy,
    copy.copy,
)


def flat(value: Any) -> list[Array]:
    return [one for v in value for one in flat(v)] if isinstance(value, tuple) else [value]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("made", COPIES)
def test_a_copy_gives_the_same_values(name: str, made: Callable[[Any], Any]) -> None:
    g = FUNCTIONS[name]
    args = [np.array([1.0, 3.0]), np.array([2.0, -1.0])][: len(inspect.signature(g).parameters)]
    before = made(g)
    expected = flat(g(*args))
    for copied in (before, made(g)):  # before anything was derived, and afterwards
        assert repr(copied) == repr(g) and copied.__name__ == g.__name__
        assert inspect.signature(copied) == inspect.signature(g)
        for one, other in zip(flat(copied(*args)), expected, strict=True):
            assert np.array_equal(one, other)


def test_a_function_that_does_not_pickle_says_so_and_copies() -> None:
    g = pb.grad(lambda x: (x**2).sum())
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(g)
    assert np.array_equal(copy.deepcopy(g)(np.ones(2)), [2, 2])


def test_a_gradient_function_made_anew_keeps_what_was_derived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pb.grad(pb.grad(cube))(2.0)
    for name in ("Gradient", "forward_of"):
        monkeypatch.setattr(gradients, name, None)
    assert pb.grad(pb.grad(cube))(3.0) == 18.0
    assert pickle.loads(pickle.dumps(pb.grad(pb.grad(cube))))(1.0) == 6.0


def cube(x: Array) -> Array:
    return x**3


def test_it_is_a_method_where_its_function_would_be_one() -> None:
    @dataclass
    class Model:
        w: Array

        @pb.grad
        def loss(self) -> Array:
            return (self.w**2).sum()

    assert isinstance(Model.loss, type(pb.grad(loss)))
    assert np.array_equal(Model(np.ones(2)).loss().w, [2, 2])


# What vjp returns.


def outputs(x: Array, w: dict[str, Array]) -> tuple[Array, Array]:
    return np.sin(x) * w["a"], (x**2).sum()


@pytest.mark.parametrize("way", COPIES)
def test_a_pullback(way: Callable[[Any], Any]) -> None:
    x, w = np.linspace(0.1, 1, 6).reshape(2, 3), {"a": np.array([1.0, -2.0, 3.0])}
    _, pull = pb.vjp(outputs, x, w)
    cotangent = (np.ones((2, 3)), 0.5)
    for own, theirs in zip(flat(pull(cotangent)[0]), flat(way(pull)(cotangent)[0]), strict=True):
        np.testing.assert_array_equal(own, theirs)
    np.testing.assert_array_equal(way(pull)(cotangent)[1]["a"], np.sin(x).sum(axis=0))


def test_a_pullback_inside_a_trace_is_not_pickled() -> None:
    def outer(x: Array) -> Array:
        _, pull = pb.vjp(lambda z: (np.sin(z) * x).sum(), x)
        with pytest.raises(pb.TraceError, match="inside a trace can't be pickled"):
            pickle.dumps(pull)
        return copy.deepcopy(pull)(1.0)[0].sum()

    x = np.array([0.3, 0.7])
    np.testing.assert_allclose(pb.grad(outer)(x), np.cos(x) - np.sin(x) * x)
