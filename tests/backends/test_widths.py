"""Every operation on arrays of every dtype, alone and beside floats of another width: values and
dtypes are those of NumPy, and gradients those of difference quotients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from tools.hunt.numpy_programs import BINARY, KINDS, MORE_UNARY, UNARY

Function = Callable[..., Any]

DTYPES = ["bool", "int8", "uint8", "int16", "uint32", "int64", "float32"]
PAIRS = [("int8", "uint8"), ("bool", "int8"), ("float32", "int8"), ("float32", "float64")]
ALONE = [*UNARY, *MORE_UNARY]
ALONG = [both for kind in KINDS.values() for both in kind]
KNOWN = {  # a bool's power is of int8 in NumPy, and of int64 here
    "np.square({0}) - 1",
    "np.cbrt({0}**2 + 1)",
    "np.expm1(-{0}**2)",
    "np.histogram({{0}}, KNOTS, weights={{0}}**2)[0]",
    "{0} / ({1}**2 + 1)",
    # an array that is only copied is no arithmetic: integers may come back as int64
    "np.squeeze({0})",
    "np.atleast_2d({0})",
    "np.insert({{0}}, 1, 0.5, {0})",
}


def _array(dtype: str, seed: int) -> Any:
    values = np.random.default_rng(seed).uniform(-6, 6, (3, 4))
    if dtype == "bool":
        return values > 0
    return (np.abs(values) if dtype[0] == "u" else values).astype(dtype)


def _compared(text: str, function: Function, arrays: list[Any]) -> str:
    """What differs from NumPy, "" for nothing."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wanted = function(*arrays)
        except (TypeError, ValueError, IndexError):
            return ""  # NumPy has no such operation
        extra = np.ones(2)  # so that something is differentiated
        try:
            (found, _), _ = pullback.vjp(
                lambda extra, *given: (function(*given), extra), extra, *arrays
            )
        except pullback.PullbackError:
            return ""
    given = ", ".join(str(array.dtype) for array in arrays)
    if found.dtype != wanted.dtype and text not in KNOWN:
        return f"{text} of {given}: {found.dtype}, not {wanted.dtype}"
    rough = 2e-2 if wanted.dtype == np.float16 or text in KNOWN else 1e-4
    wide = [np.asarray(x, np.float64) for x in (found, wanted)]
    if not np.allclose(*wide, rtol=rough, atol=rough, equal_nan=True):
        return f"{text} of {given}: {found.ravel()[:4]}, not {wanted.ravel()[:4]}"
    return ""


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_array(dtype: str) -> None:
    x = _array(dtype, 1)
    found = [_compared(text, f, [x]) for text, f in ALONE]
    found += [_compared(text, lambda x, f=f: f(x, 1), [x]) for text, f in ALONG]
    assert not any(found), "\n".join(filter(None, found))


@pytest.mark.parametrize("pair", PAIRS)
def test_two_arrays(pair: tuple[str, str]) -> None:
    x, y = (_array(dtype, n) for n, dtype in enumerate(pair))
    found = [_compared(text, f, given) for text, f in BINARY for given in ([x, y], [y, x])]
    assert not any(found), "\n".join(filter(None, found))


INTEGERS: list[Function] = [
    lambda x, n: x * (n * n) * (n * n),
    lambda x, n: x * n + x * n[::-1],
    lambda x, n: x * n**2 + np.sin(x) * n,
    lambda x, n: (x * (n * n)).sum() * (n + n),
    lambda x, n: (n * n) * x / (n * 3) + x @ (n - n[::-1]),
    lambda x, n: x * (np.outer(n, n) @ n),
    lambda x, n: x * (n // 7 * n) + x[(n * n) % 3],
    lambda x, n: np.exp(x / (n + n)) * np.exp(-np.abs(n) / 100),
]


@pytest.mark.parametrize("function", INTEGERS)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64"])
def test_integers_that_wrap_beside_what_is_differentiated(function: Function, dtype: str) -> None:
    x = np.array([0.5, 1.25, 2.0])
    n = np.array([100, 121, 90] if dtype[-1] == "8" else [1000, 1210, 900]).astype(dtype)
    with np.errstate(all="ignore"):
        value, pull = pullback.vjp(function, x, n)
        np.testing.assert_allclose(value, function(x, n), rtol=1e-12)
        (gradient, _) = pull(np.ones_like(value))
        steps = 1e-6 * np.eye(3)
        wanted = [np.sum(function(x + h, n) - function(x - h, n)) / 2e-6 for h in steps]
        scale = np.max(np.abs(value))
    np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=1e-8 * scale)


MIXED: list[Function] = [
    lambda a, v: np.gradient(v, 0.3, axis=0),
    lambda a, v: np.hypot(np.arange(4) + 4, v),
    lambda a, v: np.cumsum(np.triu(v, 1), 1),
    lambda a, v: np.logaddexp.reduce(v, 0),
    lambda a, v: np.stack([v, 2 * v]),
    lambda a, v: np.exp(v - v.max(0)) / np.exp(v - v.max(0)).sum(0),
    lambda a, v: np.pad(v, 1) * np.float32(2),
    lambda a, v: v[[0, 0, 1]],
    lambda a, v: a[:, None] * v,
]


@pytest.mark.parametrize("function", MIXED)
@pytest.mark.parametrize("widths", [("float64", "float32"), ("float32", "float64")])
def test_the_width_of_another_input_says_nothing(
    function: Function, widths: tuple[str, str]
) -> None:
    a, v = np.ones(3, widths[0]), _array("float64", 3).astype(widths[1])
    value, pull = pullback.vjp(function, a, v)
    assert value.dtype == function(a, v).dtype
    assert [g.dtype.name for g in pull(np.ones_like(value))] == [*widths]
    derivation = pullback.derive(function, a=f"3: {widths[0]}", v=f"3 4: {widths[1]}")
    assert derivation.compile()[0](a, v)[0].dtype == value.dtype


STEPS = 1e-4 * np.eye(3)
SHARED: list[Function] = [
    lambda x, z, n: np.stack([np.sin(x) * (n * n) * (n * n), z * (n * n) * (n * n)]),
    lambda x, z, n: np.stack([np.sin(x) * n * n, z * n**2]),
    lambda x, z, n: np.stack([x * n + x * n[::-1], z * (n + n[::-1])]),
    lambda x, z, n: np.stack([np.cos(x) * (n * n) * n, np.exp(z) * n * n * n]),
]


@pytest.mark.parametrize("function", SHARED)
@pytest.mark.parametrize("dtype", ["int8", "int16", "int64"])
def test_integers_that_several_gradients_share(function: Function, dtype: str) -> None:
    x, z = np.array([0.5, 1.25, 2.0]), np.array([-0.5, 0.25, 1.0])
    sizes = {"int8": 1, "int16": 10, "int64": 10**8}
    n = (np.array([100, 121, 90]) * sizes[dtype]).astype(dtype)
    with np.errstate(all="ignore"):
        value = function(x, z, n)
        upstream = np.random.default_rng(0).normal(size=value.shape)
        ends = [
            (function(x + dx, z + dz, n), function(x - dx, z - dz, n))
            for dx, dz in [(d, 0 * d) for d in STEPS] + [(0 * d, d) for d in STEPS]
        ]
        wanted = np.reshape([np.sum(upstream * (up - down)) / 2e-4 for up, down in ends], (2, 3))
        found = pullback.vjp(function, x, z, n)[1](upstream)[:2]
        derivation = pullback.derive(
            function, x="N", z="N", n=f"N: {dtype}", memory="fastest"
        ).compile()
        _, saved = derivation[0](x, z, n)
        for gradients in (found, derivation[1](upstream, saved)):
            np.testing.assert_allclose(gradients, wanted, rtol=1e-5)
