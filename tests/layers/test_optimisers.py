"""Optimisers: PyTorch's steps, any tree of parameters, dtypes, nothing changed in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback
from pullback.layers.optimisers import Optimiser, adam, momentum, sgd

RULES = {
    "sgd": (sgd(rate=0.1), "SGD", {"lr": 0.1}),
    "momentum": (momentum(rate=0.1, momentum=0.8), "SGD", {"lr": 0.1, "momentum": 0.8}),
    "nesterov": (
        momentum(rate=0.1, momentum=0.8, nesterov=True),
        "SGD",
        {"lr": 0.1, "momentum": 0.8, "nesterov": True},
    ),
    "adam": (
        adam(rate=0.05, beta1=0.8, beta2=0.95, epsilon=1e-6),
        "Adam",
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-6},
    ),
}


def tree(seed: int, dtype: str = "float64") -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "a": {"W": rng.normal(size=(2, 3)).astype(dtype)},
        "b": [rng.normal(size=4).astype(dtype), np.asarray(rng.normal(), dtype)],
    }


def leaves(parameters: dict[str, Any]) -> list[Any]:
    return [parameters["a"]["W"], *parameters["b"]]


@pytest.mark.parametrize("name", RULES)
def test_the_steps_are_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    rule, optimiser, settings = RULES[name]
    parameters = tree(0)
    theirs = [torch.tensor(leaf, requires_grad=True) for leaf in leaves(parameters)]
    other = getattr(torch.optim, optimiser)(theirs, **settings)
    state = rule.init(parameters)
    for k in range(5):
        gradients = tree(k + 1)
        parameters, state = rule.update(parameters, gradients, state)
        for tensor, slope in zip(theirs, leaves(gradients), strict=True):
            tensor.grad = torch.tensor(slope)
        other.step()
    for ours, tensor in zip(leaves(parameters), theirs, strict=True):
        assert np.allclose(ours, tensor.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", RULES)
def test_nothing_is_changed_in_place_and_dtypes_stay(name: str) -> None:
    rule = RULES[name][0]
    parameters, gradients = tree(0, "float32"), tree(1, "float32")
    before = [leaf.copy() for leaf in (*leaves(parameters), *leaves(gradients))]
    state = rule.init(parameters)
    new, later = rule.update(parameters, gradients, state)
    assert state["step"] == 0 and later["step"] == 1
    for leaf, old in zip((*leaves(parameters), *leaves(gradients)), before, strict=True):
        assert np.array_equal(leaf, old)
    for leaf, old in zip(leaves(new), leaves(parameters), strict=True):
        assert leaf.dtype == np.float32 and leaf.shape == old.shape
        assert not np.shares_memory(leaf, old)


def test_adam_comes_to_rest_at_the_least_value() -> None:
    target = np.array([1.0, -2.0, 0.5])
    slope = pullback.grad(lambda w: ((w - target) ** 2).sum())
    w, rule = np.zeros(3), adam(rate=0.1)
    state = rule.init(w)
    for _ in range(400):
        w, state = rule.update(w, slope(w), state)
    assert np.allclose(w, target, atol=1e-3)


def test_a_tree_of_another_structure_is_refused() -> None:
    rule = sgd()
    with pytest.raises(pullback.ArgumentError, match="differ in structure"):
        rule.update({"w": np.zeros(2)}, [np.zeros(2)], rule.init({"w": np.zeros(2)}))


def test_no_parameters_at_all() -> None:
    for rule, _, _ in RULES.values():
        assert rule.update({}, {}, rule.init({}))[0] == {}


@pytest.mark.parametrize("name", RULES)
def test_a_step_can_be_differentiated_itself(name: str) -> None:
    rule: Optimiser = RULES[name][0]
    assert pullback.derive(rule.text).verify().passed
