"""Functions that do something else at some sizes, derived with named sizes and run at others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

import pullback

from .outcome import Array, Undefined, expect_equal, expect_slope

Function = Callable[[Any], Any]


class Holder:
    """Hides a number in an attribute."""

    def __init__(self, value: int) -> None:
        self.value = value


def function(rng: Random) -> Function:
    """A function of one array that may change its ways at sizes the tracer doesn't see."""
    n = rng.choice((2, 3, 5, 8, 16, 33, 50, 60, 64, 97, 128, 200, 1000, 2500))
    held, table = Holder(n), {"limit": n, n: "found"}
    wide = np.int64(n)
    some = {n, n + 3}
    conditions: list[Callable[[int], bool]] = [
        lambda size: size > held.value,
        lambda size: size >= table["limit"],
        lambda size: size < wide,
        lambda size: size in some,
        lambda size: size in table,
        lambda size: size & (size - 1) == 0,
        lambda size: size % 7 == n % 7,
        lambda size: len(str(size)) > 2,
        lambda size: float(size) >= n + 0.5,
        lambda size: size.bit_length() > n.bit_length(),
        lambda size: int(size**0.5) ** 2 == size,
        lambda size: min(size, n) == n,
        lambda size: f"{size}".endswith("3"),
        lambda size: bool(np.array(size) > n),
    ]
    branch = rng.choice(conditions)
    constants: list[Callable[[int], Any]] = [
        lambda size: np.minimum(np.arange(size), n),
        lambda size: np.clip(np.arange(size), 1, n),
        lambda size: np.arange(size).astype(np.int8),
        lambda size: np.arange(size) % max(n, 1),
        lambda size: (np.arange(size) < n) * 1.0,
        lambda size: np.where(np.arange(size) == n, 2.0, 1.0),
        lambda size: 1.0 * min(size, n),
        lambda size: 1.0 / max(size, n),
        lambda size: float(size // n if n else 0),
        lambda size: float(int(size * 0.1)),
        lambda size: np.arange(size) + 1.0,
        lambda size: np.float32(size),
        lambda size: np.arange(size)[::-1] * 1.0,
    ]
    constant = rng.choice(constants)
    forms: list[Function] = [
        lambda X: (X**2).sum() if branch(X.shape[0]) else X.sum(),
        lambda X: (X * constant(X.shape[0])).sum(),
        lambda X: (X * constant(len(X))).sum() + (X[0] if branch(X.size) else 0.0),
        lambda X: X[: min(len(X), n)].sum(),
        lambda X: np.sin(X) * (2.0 if branch(X.shape[-1]) else 3.0),
        lambda X: (X - X.mean()) * constant(X.shape[0]),
        lambda X: X.reshape(2, -1).sum(0) if X.shape[0] % 2 == 0 and branch(len(X)) else X * 2,
    ]
    return rng.choice(forms)


def sizes(rng: Random) -> None:
    """The compiled pair, and grad and vjp at several sizes one after the other."""
    f = function(rng)
    tried = [rng.choice((1, 2, 3, 4, 7, 9, 16, 23, 36, 64, 100, 101, 129, 256, 1024, 3000))]
    tried += [rng.randrange(1, 300) for _ in range(2)]
    values = np.random.default_rng(rng.randrange(2**32))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused: Exception | None = None
        try:
            forward, backward = pullback.derive(f, X="N").compile()
        except pullback.PullbackError as error:
            refused = error
        for n in tried:
            X = np.asarray(values.normal(size=n))
            wanted = np.asarray(f(X))
            seed = np.asarray(values.normal(size=wanted.shape))
            if refused is None:
                try:
                    value, cache = forward(X)
                except pullback.PullbackError as error:
                    refused = error
                else:
                    expect_equal(f"forward at N = {n}", value, wanted)
                    compare(rng, f, X, seed, backward(seed, cache), f"backward at N = {n}")
            out, pull = pullback.vjp(f, X)
            expect_equal(f"vjp's value at N = {n}", out, wanted)
            compare(rng, f, X, seed, pull(seed)[0], f"vjp at N = {n}")
        if refused is not None:
            raise refused


def compare(rng: Random, f: Function, X: Array, seed: Array, found: Any, what: str) -> None:
    along = np.random.default_rng(rng.randrange(2**32)).normal(size=X.shape)

    def line(t: float) -> float:
        return float(np.sum(seed * f(X + t * along)))

    if not expect_slope(what, line, float(np.sum(found * along)), 1e-6):
        raise Undefined
