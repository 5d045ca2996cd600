"""Steps of gradient descent, defined in index notation like the layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..runtime.notated import Formula, text_formula
from ..trees import flatten, same_form, unflatten


class Optimiser:
    """A rule that makes new parameters of parameters W and their gradients dW.

    ``text`` is its definition, element by element: outputs ``W2`` and, for every value that is
    carried from step to step, its next one. ``carried`` names these; they start at 0. ``settings``
    are numbers such as ``rate``; in the text ``step`` is the number of the step, from 1.

    >>> sgd(rate=0.1).text
    'W2[i] = W[i] - rate[]*dW[i]'
    >>> rule = momentum(rate=0.1)
    >>> state = rule.init({"w": np.ones(2)})
    >>> new, state = rule.update({"w": np.ones(2)}, {"w": np.array([1.0, 2.0])}, state)
    >>> new["w"]
    array([0.9, 0.8])

    Arrays are never changed in place: parameters and state are returned anew.
    """

    _pullback_reads = ("text", "carried", "settings")  # what it depends on, see runtime.captured

    def __init__(
        self, text: str, carried: tuple[str, ...] = (), settings: Mapping[str, float] | None = None
    ) -> None:
        self.text = text
        self.carried = carried
        self.settings = dict(settings or {})
        self._formula: Formula | None = None

    def __repr__(self) -> str:
        return f"Optimiser({self.text!r}, {self.carried!r}, {self.settings!r})"

    @property
    def formula(self) -> Formula:
        """The definition as a function of arrays of one axis."""
        if self._formula is None:
            self._formula = text_formula(self.text, {})
        return self._formula

    def init(self, parameters: Any) -> dict[str, Any]:
        """The state before the first step, for these parameters (a tree of float arrays)."""
        leaves, structure = flatten(parameters, "parameters")
        zeros = {
            name: unflatten(structure, [np.zeros_like(leaf) for leaf in leaves])
            for name in self.carried
        }
        return {"step": 0, **zeros}

    def update(
        self, parameters: Any, gradients: Any, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """New parameters and the new state; ``gradients`` is a tree like ``parameters``.

        Raises ArgumentError where the two differ in structure.
        """
        leaves, structure = flatten(parameters, "parameters")
        slopes, other = flatten(gradients, "gradients")
        if not same_form(structure, other):
            raise ArgumentError(
                "gradients and parameters differ in structure",
                expected="a tree like that of the parameters",
                found=f"{len(slopes)} arrays for {len(leaves)} parameters",
            )
        step = int(state["step"]) + 1
        carried = [flatten(state[name], name)[0] for name in self.carried]
        results = [
            self._one(leaf, slope, step, mine)
            for leaf, slope, *mine in zip(leaves, slopes, *carried, strict=True)
        ]
        new, *after = [
            unflatten(structure, list(column)) for column in zip(*results, strict=True)
        ] or [parameters, *(state[name] for name in self.carried)]
        return new, {"step": step, **dict(zip(self.carried, after, strict=True))}

    def _one(self, leaf: Any, slope: Any, step: int, carried: list[Any]) -> list[Any]:
        """A parameter's new value and what is carried for it."""
        leaf = np.asarray(leaf)
        given = {
            "W": leaf,
            "dW": np.asarray(slope),
            **dict(zip(self.carried, carried, strict=True)),
        }
        arrays: dict[str, Any] = {name: np.reshape(value, -1) for name, value in given.items()}
        numbers = {"step": float(step), **self.settings}
        arrays |= {name: leaf.dtype.type(value) for name, value in numbers.items()}
        found = self.formula(**{name: arrays[name] for name in self.formula.inputs})
        outputs = found if isinstance(found, tuple) else (found,)
        named = dict(zip(self.formula.outputs, outputs, strict=True))
        wanted = ("W2", *(f"{name}2" for name in self.carried))
        return [np.reshape(named[name], leaf.shape) for name in wanted]


def sgd(rate: float = 0.01) -> Optimiser:
    """Gradient descent: W − rate·dW."""
    return Optimiser("W2[i] = W[i] - rate[]*dW[i]", (), {"rate": rate})


def momentum(rate: float = 0.01, momentum: float = 0.9, nesterov: bool = False) -> Optimiser:
    """Gradient descent with momentum, as PyTorch's SGD: v ← momentum·v + dW, W − rate·v.

    Nesterov's looks ahead: W − rate·(dW + momentum·v).
    """
    ahead = "dW[i] + momentum[]*v2[i]" if nesterov else "v2[i]"
    return Optimiser(
        f"v2[i] = momentum[]*v[i] + dW[i]\nW2[i] = W[i] - rate[]*({ahead})\nreturn W2, v2",
        ("v",),
        {"rate": rate, "momentum": momentum},
    )


def adam(
    rate: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
) -> Optimiser:
    """Adam (Kingma and Ba, 2015, algorithm 1), with its corrections for the start at 0."""
    return Optimiser(
        "m2[i] = beta1[]*m[i] + (1 - beta1[])*dW[i]\n"
        "v2[i] = beta2[]*v[i] + (1 - beta2[])*dW[i]**2\n"
        "mhat[i] = m2[i]/(1 - beta1[]**step[])\n"
        "vhat[i] = v2[i]/(1 - beta2[]**step[])\n"
        "W2[i] = W[i] - rate[]*mhat[i]/(sqrt(vhat[i]) + epsilon[])\n"
        "return W2, m2, v2",
        ("m", "v"),
        {"rate": rate, "beta1": beta1, "beta2": beta2, "epsilon": epsilon},
    )
