"""What is made can be copied and pickled: derivations, what they compile to, formulas, layers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback import layers

X = np.linspace(0.1, 0.9, 15).reshape(5, 3)


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


WAYS: list[Callable[[Any], Any]] = [pickled, copy.deepcopy, copy.copy]


def softplus(X: Any) -> Any:
    """A function that can be imported."""
    return np.log1p(np.exp(X)).sum(axis=0)


def halves(X: Any) -> Any:
    """At one row it is another program."""
    return X[: (X.shape[0] + 1) // 2].sum()


DERIVED: list[Callable[[], pb.Derivation]] = [
    lambda: pb.derive("Y[i] = sum(j) sin(X[i,j])"),
    lambda: pb.derive(softplus, X="N M"),
    lambda: pb.derive(lambda X: (X * np.array([1.0, 5.0, 2.0])).sum(axis=1), X=("N", 3)),
    lambda: pb.derive(lambda X, f: f(X), X="N M", f=np.tanh),
    lambda: pb.derive("H[t,i] = X[t,i] + 0.5*where(t >= 1, H[t-1,i], 0)\nY[i] = sum(t) H[t,i]"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", DERIVED)
def test_derivations(make: Callable[[], pb.Derivation], way: Callable[[Any], Any]) -> None:
    derivation = make()
    for taken in (way(derivation), way(derivation)):
        assert taken.source() == derivation.source()
        assert taken.formulas() == derivation.formulas()
        assert str(taken) == str(derivation)
    assert taken.backward.statements == derivation.backward.statements  # the same nodes
    assert way(derivation).verify().status != "failed"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", DERIVED[:4])
def test_what_a_derivation_compiles_to(
    make: Callable[[], pb.Derivation], way: Callable[[Any], Any]
) -> None:
    pair = make().compile()
    value, cache = pair.forward(X)  # a function is compared with what was derived at this size
    gradient = pair.backward(np.ones_like(value), cache)
    for forward, backward in (way(pair), (way(pair.forward), way(pair.backward))):
        own, kept = forward(X)
        np.testing.assert_array_equal(own, value)
        np.testing.assert_array_equal(backward(np.ones_like(value), kept), gradient)
        np.testing.assert_array_equal(backward(np.ones_like(value), way(cache)), gradient)


def test_an_unpickled_derivation_still_compares_with_its_function() -> None:
    """It traces the function again where that can be imported, else it refuses to guess."""
    small = X[:1]
    forward, _ = pickled(pb.derive(halves, X="N M")).compile()
    assert forward(X)[0] == pytest.approx(halves(X))
    assert forward(small)[0] == pytest.approx(halves(small))
    derivation = pb.derive(lambda X: X.sum(), X="N M")
    assert derivation.compile()[0](X)[0] == pytest.approx(X.sum())
    forward, _ = pickled(derivation).compile()
    assert forward(X)[0] == pytest.approx(X.sum())  # compared before
    with pytest.raises(pb.ShapeError, match="unpickled"):
        forward(small)


def test_a_function_that_changed_since() -> None:
    derivation = pb.derive(softplus, X="N M")
    text = pickle.dumps(derivation)
    before = softplus.__code__
    try:
        softplus.__code__ = halves.__code__
        with pytest.raises(pb.ShapeError, match="unpickled"):
            pickle.loads(text).compile()[0](X[:1])
    finally:
        softplus.__code__ = before


@pytest.mark.parametrize("way", WAYS)
def test_formulas_layers_and_networks(way: Callable[[Any], Any]) -> None:
    formula = pb.define("Y[i] = sum(j) X[i,j]**2")
    expected = formula(X)  # has been compiled for this shape
    np.testing.assert_array_equal(way(formula)(X), expected)
    layer = layers.leaky_relu(negative_slope=0.2)
    np.testing.assert_array_equal(way(layer)(-X), layer(-X))
    assert repr(way(layer)) == repr(layer) and way(layers.relu) is layers.relu
    network = layers.Network(first=layers.affine(out_features=2), second=layers.relu())
    parameters = network.init(np.random.default_rng(0), 5, 3)
    np.testing.assert_array_equal(way(network)(parameters, X), network(parameters, X))


def test_gradient_functions_are_copied() -> None:
    np.testing.assert_array_equal(copy.deepcopy(pb.grad(np.sum))(X), np.ones_like(X))


@pytest.mark.parametrize("way", WAYS)
def test_errors(way: Callable[[Any], Any]) -> None:
    with pytest.raises(pb.PullbackError) as caught:
        pb.define("Y[i] = X[j]")
    taken = way(caught.value)
    assert type(taken) is type(caught.value) and str(taken) == str(caught.value)
    assert (taken.message, taken.hint) == (caught.value.message, caught.value.hint)
