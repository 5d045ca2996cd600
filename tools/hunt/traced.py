"""Random subscripts against NumPy, and random derivatives inside derivatives."""

from __future__ import annotations

import warnings
from random import Random

import numpy as np

import pullback
from tests.test_nested import DERIVATIVES, Nested, along
from tests.trace.test_indexing import Keys, outcome

from .outcome import Undefined, Wrong


class Refused(pullback.PullbackError):
    """A key that NumPy takes and pullback refuses."""


def subscripts(rng: Random) -> None:
    """``x[key]`` for a random key: value, gradient, and refusals that NumPy shares."""
    keys = Keys(rng.randrange(2**31))
    shape = keys.shape()
    key = keys.key(shape)
    x = keys.arrays.normal(size=shape)
    found, told = outcome(lambda x: x[key], x)
    if found == "both refuse":
        raise Undefined
    if found == "refused":
        raise Refused(told.split("\n")[0])
    if found != "right":
        raise Wrong(f"{found}: x{list(shape)}[{key!r}]: {told}")


def nested(rng: Random) -> None:
    """A function that asks for derivatives of functions which close over its argument."""
    f = Nested(rng.randrange(2**31)).function()
    x = rng.uniform(0.5, 1.5)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not abs(f(x)) < 1e6:
            raise Undefined
        h = 1e-4  # a smooth function away from its one step; each value traces a good deal
        near, far = [(float(f(x + k * h)) - float(f(x - k * h))) / (2 * k * h) for k in (1, 2)]
        wanted, error = (4 * near - far) / 3, abs(near - far)
        if not error < 1e-4 * max(1.0, abs(wanted)):
            raise Undefined
        for derivative in (DERIVATIVES[0], along):
            says = float(derivative(f, x))
            if not abs(says - wanted) <= error + 1e-6 * max(1.0, abs(wanted)):
                raise Wrong(f"a derivative: {says:.9g}, differences say {wanted:.9g}")
