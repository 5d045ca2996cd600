"""Random functions of what masks select, and of decompositions of matrices, against NumPy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

import pullback
from tests.trace.test_masks import program

from .outcome import Undefined, expect_equal, expect_slope

Function = Callable[..., Any]


def _compared(rng: Random, what: str, function: Function, arrays: list[Any]) -> None:
    """Value, gradients and second derivative of a number."""
    wrt = tuple(range(len(arrays)))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = function(*arrays)
        if not np.isfinite(wanted):
            raise Undefined
        found, gradients = pullback.value_and_grad(function, argnums=wrt)(*arrays)
        expect_equal(f"value of {what}", found, wanted, 1e-9)
        values = np.random.default_rng(rng.randrange(2**32))
        compared = 0
        for _ in range(3):
            along = [values.normal(size=array.shape) for array in arrays]

            def line(t: float, along: list[Any] = along) -> float:
                moved = [x + t * v for x, v in zip(arrays, along, strict=True)]
                try:
                    return float(function(*moved))
                except ValueError:  # the least of no elements: the step left none selected
                    return float("nan")

            says = sum(float(np.sum(g * v)) for g, v in zip(gradients, along, strict=True))
            compared += expect_slope(f"gradient of {what}", line, says, 1e-6)
    if not compared:
        raise Undefined


def _holds_near(
    function: Function, arrays: list[Any], values: np.random.Generator, tolerance: float = 1e-9
) -> bool:
    """Whether the value changes little where the arguments change as they do when rounded."""
    near = [x * (1 + 1e-14 * values.normal(size=x.shape)) for x in arrays]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value, other = function(*arrays), function(*near)
    return np.allclose(value, other, rtol=tolerance, atol=tolerance, equal_nan=True)


def masks(rng: Random) -> None:
    """Selections by random masks, steps on them, stores and reductions."""
    seed = rng.randrange(2**31)
    values = np.random.default_rng(seed)
    arrays = list(values.normal(size=(2, 3 + rng.randrange(9))))
    function = program(seed)
    try:
        if not _holds_near(function, arrays, values):
            raise Undefined  # it compares what is equal but for roundings
    except ValueError:  # the least of no elements
        raise Undefined from None
    _compared(rng, f"tests.trace.test_masks.program({seed})", function, arrays)


PARTS: list[tuple[str, Function]] = [
    ("svd", lambda a: _rebuilt(np.linalg.svd(a, full_matrices=False))),
    ("svdvals", lambda a: np.sin(np.linalg.svd(a, compute_uv=False))),
    ("pinv", lambda a: np.linalg.pinv(a)),
    ("qr", lambda a: np.linalg.qr(a)[0]),
    ("r", lambda a: np.linalg.qr(a, mode="r")),
    ("nuc", lambda a: a * np.linalg.norm(a, "nuc")),
    ("norm 2", lambda a: a / np.linalg.norm(a, 2)),
    ("norm 1", lambda a: a / np.linalg.norm(a, 1)),
    ("norm inf", lambda a: a * np.linalg.norm(a, np.inf)),
    ("lstsq", lambda a: np.linalg.lstsq(a, a[:, :1] ** 2)[0]),
    ("gram", lambda a: np.linalg.inv(a @ a.T + np.eye(a.shape[0]))),
    ("cholesky", lambda a: np.linalg.cholesky(a.T @ a + np.eye(a.shape[1]))),
    ("cond", lambda a: a / np.linalg.cond(a)),
    ("eigh", lambda a: np.linalg.eigh(a @ a.T)[0]),
    ("eig", lambda a: np.linalg.eigvals((a @ a.T + np.eye(len(a))) * np.arange(1, len(a) + 1))),
    ("tanh", lambda a: np.tanh(a)),
    ("turned", lambda a: a.T * 0.5),
    ("rows", lambda a: a - a.mean(0)),
]


def _rebuilt(parts: Any) -> Any:
    u, s, vh = parts
    return (u * np.tanh(s)) @ vh


def matrices(rng: Random) -> None:
    """Decompositions of decompositions, of matrices of all shapes."""
    values = np.random.default_rng(rng.randrange(2**32))
    shape = 1 + rng.randrange(4), 1 + rng.randrange(4)
    chosen = [rng.choice(PARTS) for _ in range(1 + rng.randrange(3))]
    constants = values.normal(size=(5, 5))  # no values are equal, or 0, by construction

    def function(a: Any) -> Any:
        for _, part in chosen:
            a = part(a)
            a = a if a.ndim == 2 else a[:, None] * np.cos(a)
            a = a + constants[: a.shape[0], : a.shape[1]]
        return (np.sin(a) * constants[1 : a.shape[0] + 1, 1 : a.shape[1] + 1]).sum()

    what = f"{' of '.join(name for name, _ in reversed(chosen))} of {shape}"
    arrays = [values.normal(size=shape) + 0.1 * np.eye(*shape)]
    try:
        if not _holds_near(function, arrays, values):
            raise Undefined  # a large value inside of a sine
    except np.linalg.LinAlgError:
        raise Undefined from None
    _compared(rng, what, function, arrays)
