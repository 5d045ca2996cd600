"""A derived gradient is as accurate as the chain rule that it replaces, to a factor of 8.

Both run in the same dtype on the same inputs; the reference is the chain rule in 120 decimals or
more. Errors are taken over all elements, as a part of the greatest.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback

from . import chain
from .passes import PASSES, centred, drawn, sigmoid, softmax

FACTOR = 8.0
ROUNDINGS = 16  # of the greatest element, which are allowed anyway
DTYPES = ("float32", "float64")


def error(found: Any, reference: Any) -> float:
    """The greatest error of an element; infinite where one is not finite."""
    found = np.asarray(found)
    if not np.all(np.isfinite(found)):
        return np.inf
    apart = np.ravel(np.abs(chain.exact(found) - reference))
    return max(map(float, apart), default=0.0)


def differences(function: Callable[..., Any], inputs: Sequence[Any], seed: Any) -> list[str]:
    """Where the derived gradient has more than the allowed error."""
    info = np.finfo(inputs[0].dtype)
    exact = [chain.exact(x) for x in inputs]
    reference = chain.gradients(function, exact, chain.exact(seed))
    stepwise = chain.gradients(function, inputs, seed)
    _, pull = pullback.vjp(function, *inputs)
    found = pull(seed)
    out = []
    for k, (ours, theirs, right) in enumerate(zip(found, stepwise, reference, strict=True)):
        size = max((float(abs(x)) for x in np.ravel(right)), default=0.0)
        if size > info.max:
            continue
        apart, least = error(ours, right), error(theirs, right)
        allowed = FACTOR * least + ROUNDINGS * info.eps * size + 64 * info.smallest_subnormal
        if not apart <= allowed:
            out.append(f"argument {k}: {apart / size:.1e}, the chain rule {least / size:.1e}")
    return out


def is_accurate(function: Callable[..., Any], inputs: Sequence[Any]) -> bool:
    """Whether the forward pass is right to three digits."""
    value = np.asarray(function(*inputs))
    if not np.all(np.isfinite(value)):
        return False
    exact = function(*(chain.Var(chain.exact(x)) for x in inputs)).value
    size = max((float(abs(x)) for x in np.ravel(exact)), default=0.0)
    return error(value, exact) <= 1e-3 * size + 4 * np.finfo(value.dtype).smallest_subnormal


def measured(function: Callable[..., Any], inputs: Sequence[Any], random: Any) -> list[str]:
    """The differences at some inputs, none where the forward pass itself is not accurate."""
    with np.errstate(all="ignore"):
        if not is_accurate(function, inputs):
            return []
        value = np.asarray(function(*inputs))
        seed = random.normal(size=value.shape).astype(inputs[0].dtype)
        return differences(function, inputs, seed)


@pytest.mark.parametrize("name", PASSES)
def test_as_accurate_as_the_chain_rule(name: str) -> None:
    function, specs, kinds = PASSES[name]
    wrong = []
    for kind in kinds:
        chain.CONTEXT.dps = 900 if kind in ("@1000", "@-1000") else 120
        for dtype in DTYPES:
            random = np.random.default_rng(zlib.crc32(f"{name} {kind}".encode()))
            inputs = [drawn(spec, kind, random, dtype) for spec in specs]
            wrong += [f"{kind}, {dtype}: {text}" for text in measured(function, inputs, random)]
    assert not wrong


# Random programs.

UNARY: dict[str, Callable[[Any], Any]] = {
    "exp": lambda x: np.exp(-np.abs(x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "root": lambda x: np.sqrt(1 + x**2),
    "square": lambda x: x**2,
    "reciprocal": lambda x: 1 / (1 + x**2),
    "arctan": np.arctan,
    "log": lambda x: np.log(1 + x**2),
    "sin": np.sin,
    "centred": lambda x: centred(x, 0),
    "centred row": lambda x: centred(x, 1),
    "unit": lambda x: x / np.sqrt(1 + (x**2).sum(axis=1, keepdims=True)),
    "softmax": softmax,
    "spread": lambda x: centred(x, 0) / np.sqrt(centred(x, 0).var(axis=0) + 1),
    "share": lambda x: x**2 / (1 + (x**2).sum(axis=1, keepdims=True)),
    "scaled": lambda x: x * 1e-3,
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "plus": lambda x, y: x + y,
    "minus": lambda x, y: x - y,
    "times": lambda x, y: x * y,
    "over": lambda x, y: x / (1 + y**2),
    "mean": lambda x, y: x * y.mean(axis=0),
}


def random_function(seed: int, kind: str) -> Callable[..., Any]:
    """A composition of a few functions of two matrices; of large means, what is centred."""
    random = Random(seed)
    first = ("centred", "centred row", "spread") if kind == "mean" else tuple(UNARY)
    plan: list[tuple[str, int, int]] = [(random.choice(first), 0, 0), (random.choice(first), 1, 1)]
    for _ in range(random.randint(1, 3)):
        choice = random.choice([*UNARY, *BINARY, *BINARY])
        plan.append(
            (choice, random.randrange(2, 2 + len(plan)), random.randrange(2, 2 + len(plan)))
        )

    def function(X: Any, Y: Any) -> Any:
        values = [X, Y]
        for name, one, two in plan:
            if name in UNARY:
                values.append(UNARY[name](values[one]))
            else:
                values.append(BINARY[name](values[one], values[two]))
        return values[-1] + values[-2]

    return function


@pytest.mark.parametrize("kind", ["near", "mean", "1e-3", "@17", "@-37"])
@pytest.mark.parametrize("seed", range(12))
def test_random_programs_are_as_accurate_as_the_chain_rule(seed: int, kind: str) -> None:
    chain.CONTEXT.dps = 120
    function = random_function(seed, kind)
    random = np.random.default_rng(seed)
    dtype = DTYPES[seed % 2]
    inputs = [drawn("5 3", kind, random, dtype) for _ in range(2)]
    assert not measured(function, inputs, random)
