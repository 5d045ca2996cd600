"""A derived gradient is as accurate as the chain rule that it replaces, to a factor of 8.

Both run in the same dtype on the same inputs; the reference is the chain rule in 60 decimals or
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
WIDE = ("mean", "@37", "@-37")  # what is hard in float64, too


def error(found: Any, reference: Any) -> float:
    """The greatest error of an element; infinite where one is not finite."""
    found = np.asarray(found)
    if not np.all(np.isfinite(found)):
        return np.inf
    apart = np.ravel(np.abs(chain.exact(found) - reference))
    return max(map(float, apart), default=0.0)


def measured(function: Callable[..., Any], inputs: Sequence[Any], random: Any) -> list[str]:
    """Where the derived gradient has more than the allowed error; nowhere, if the forward pass is
    not right to three digits itself."""
    info = np.finfo(inputs[0].dtype)
    eps, tiny, most = map(float, (info.eps, info.smallest_subnormal, info.max))
    with np.errstate(all="ignore"):
        value = np.asarray(function(*inputs))
        seed = random.normal(size=value.shape).astype(inputs[0].dtype)
        if not np.all(np.isfinite(value)):
            return []
        exact = [chain.exact(x) for x in inputs]
        right, reference = chain.gradients(function, exact, chain.exact(seed))
        if error(value, right) > 1e-3 * greatest(right) + 4 * tiny:
            return []
        _, stepwise = chain.gradients(function, inputs, seed)
        found = pullback.vjp(function, *inputs)[1](seed)
    out = []
    for k, (ours, theirs, wanted) in enumerate(zip(found, stepwise, reference, strict=True)):
        size, apart, least = greatest(wanted), error(ours, wanted), error(theirs, wanted)
        allowed = FACTOR * least + ROUNDINGS * eps * size + 64 * tiny
        if size < most and not apart <= allowed:
            out.append(f"argument {k}: {apart / size:.1e}, the chain rule {least / size:.1e}")
    return out


def greatest(value: Any) -> float:
    """The size of the greatest element."""
    return max((float(abs(x)) for x in np.ravel(value)), default=0.0)


@pytest.mark.parametrize("name", PASSES)
def test_as_accurate_as_the_chain_rule(name: str) -> None:
    function, specs, kinds = PASSES[name]
    wrong = []
    for kind in kinds:
        chain.CONTEXT.dps = 900 if kind in ("@1000", "@-1000") else 60
        for dtype in DTYPES if kind in WIDE else DTYPES[:1]:
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
@pytest.mark.parametrize("seed", range(8))
def test_random_programs_are_as_accurate_as_the_chain_rule(seed: int, kind: str) -> None:
    chain.CONTEXT.dps = 60
    function = random_function(seed, kind)
    random = np.random.default_rng(seed)
    dtype = DTYPES[seed % 2]
    inputs = [drawn("5 3", kind, random, dtype) for _ in range(2)]
    assert not measured(function, inputs, random)
