"""Random functions that store into arrays of their own and into views of these, against NumPy."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

import pullback
from tests.trace.store_programs import drawn

from .outcome import Undefined, Wrong, expect_equal, expect_slope


def stores(rng: Random) -> None:
    """Values and gradients of a function that stores; its arguments stay what they were."""
    text, arguments = drawn(rng.randrange(2**32))
    space: dict[str, Any] = {"np": np}
    exec(compile(text, "<a program of stores>", "exec"), space)
    program = space["program"]
    x, z, n = arguments.values()
    expected = program(x.copy(), z.copy(), n)
    given = x.copy(), z.copy()
    found, pull = pullback.vjp(lambda x, z: program(x, z, n), *given)
    if not all(map(np.array_equal, given, (x, z))):
        raise Wrong(f"an argument was changed by {text}")
    for k, (one, other) in enumerate(zip(found, expected, strict=True)):
        expect_equal(f"result {k} of {text}", one, other, 1e-10)
    values = np.random.default_rng(rng.randrange(2**32))
    seeds = tuple(values.normal(size=y.shape) for y in expected)
    gradients = pull(seeds)
    compared = 0
    for _ in range(2):
        along = [values.normal(size=array.shape) for array in (x, z)]

        def line(t: float, along: Any = along) -> float:
            moved = program(x + t * along[0], z + t * along[1], n)
            return sum(float(np.sum(s * y)) for s, y in zip(seeds, moved, strict=True))

        says = sum(float(np.sum(g * v)) for g, v in zip(gradients, along, strict=True))
        compared += expect_slope(f"gradient of {text}", line, says, 1e-6)
    if not compared:
        raise Undefined
