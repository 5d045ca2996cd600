"""Random NumPy functions, on arrays of all dtypes and layouts, against the functions themselves."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

import pullback
from tests.trace.programs import (
    ALONG,
    BINARY,
    MATRIX,
    SHAPES,
    UNARY,
    RandomProgram,
    Step,
    tried,
)

from .outcome import Array, Undefined, Wrong, expect_equal, expect_slope, finite

MORE_UNARY: list[tuple[str, Callable[..., Any]]] = [
    ("np.cbrt({0}**2 + 1)", lambda x: np.cbrt(x**2 + 1)),
    ("np.log1p(np.exp(-np.abs({0})))", lambda x: np.log1p(np.exp(-np.abs(x)))),
    ("np.maximum({0}, 0) + np.minimum({0}, 0)", lambda x: np.maximum(x, 0) + np.minimum(x, 0)),
    ("np.sinc({0})", np.sinc),
    ("np.arctan2({0}, 2)", lambda x: np.arctan2(x, 2)),
    ("np.expm1(-{0}**2)", lambda x: np.expm1(-(x**2))),
    ("{0}.std()", lambda x: x.std()),
    ("np.linalg.norm({0})", lambda x: np.linalg.norm(x)),
    ("{0}[np.array([0, -1, 0])]", lambda x: x[np.array([0, -1, 0])]),
    ("np.nan_to_num({0} / ({0}**2))", lambda x: x / (x**2 + 0.1)),
    ("{0}[::-1]", lambda x: x[::-1]),
    ("np.broadcast_to({0}, (2, *shape))", lambda x: np.broadcast_to(x, (2, *x.shape))),
    ("np.float64(0.5) * {0} + np.float32(2)", lambda x: np.float64(0.5) * x + np.float32(2)),
    ("np.cosh(np.tanh({0})) * 1e-200 * 1e200", lambda x: np.cosh(np.tanh(x)) * 1e-200 * 1e200),
    ("np.where({0} > 0, np.log(np.abs({0}) + 0.1), {0})", lambda x: _guarded(x)),
    ("np.einsum('...i,...i,...i->...', {0}, {0}, np.cos({0}))", lambda x: _contracted(x, "i")),
    ("np.einsum('...i,...j,...i->...j', {0}, {0}, np.cos({0}))", lambda x: _contracted(x, "j")),
    ("({0} * {0} * (1 + {0}) * {0}).sum(0)", lambda x: (x * x * (1 + x) * x).sum(0)),
]

KNOTS, HEIGHTS = np.array([-1.5, -0.4, 0.3, 1.1]), np.array([1.0, -0.5, 2.0, 0.25])
Along = Callable[[Any, int], Any]
ORDER: list[tuple[str, Along]] = [
    ("np.cumsum({{0}}, {0})", lambda x, a: np.cumsum(x, a)),
    ("np.cumprod({{0}} / 2, {0})", lambda x, a: np.cumprod(x / 2, a)),
    ("np.maximum.accumulate({{0}}, {0})", lambda x, a: np.maximum.accumulate(x, a)),
    ("np.minimum.accumulate({{0}}, {0})", lambda x, a: np.minimum.accumulate(x, a)),
    ("np.logaddexp.accumulate({{0}}, {0})", lambda x, a: np.logaddexp.accumulate(x, a)),
    ("np.logaddexp.reduce({{0}}, {0})", lambda x, a: np.logaddexp.reduce(x, a)),
    ("np.sort({{0}}, {0})", lambda x, a: np.sort(x, a)),
    ("np.flip(np.cumsum(np.flip({{0}}, {0}), {0}), {0})", lambda x, a: _from_behind(x, a)),
    ("np.median({{0}}, {0}, keepdims=True)", lambda x, a: np.median(x, a, keepdims=True)),
    ("np.quantile({{0}}, 0.3, {0})", lambda x, a: np.quantile(x, 0.3, a)),
    ("np.percentile({{0}}, [20, 75], {0}, method='hazen')", lambda x, a: _hazen(x, a)),
    ("np.take_along_axis({{0}}, np.argsort(-{{0}}, {0}), {0})", lambda x, a: _descending(x, a)),
    ("np.argsort(np.argsort({{0}}, {0}, 'stable'), {0}) * {{0}}", lambda x, a: _ranked(x, a)),
    ("np.trapezoid({{0}}, axis={0})", lambda x, a: np.trapezoid(x, axis=a)),
    ("np.add.reduceat({{0}}, [0, 1], {0})", lambda x, a: np.add.reduceat(x, [0, 1], a)),
    ("np.interp({{0}}, KNOTS, HEIGHTS)", lambda x, a: np.interp(x, KNOTS, HEIGHTS)),
    ("{{0}} * np.searchsorted(KNOTS, {{0}})", lambda x, a: x * np.searchsorted(KNOTS, x)),
    ("np.histogram({{0}}, KNOTS, weights={{0}}**2)[0]", lambda x, a: _counted(x)),
]

COMPOSED: list[tuple[str, Along]] = [
    ("np.delete({{0}}, -1, {0})", lambda x, a: np.delete(x, -1, a)),
    ("np.insert({{0}}, 1, 0.5, {0})", lambda x, a: np.insert(x, 1, 0.5, a)),
    ("np.insert({{0}}, [0, 1], {{0}}, {0})", lambda x, a: np.insert(x, [0, 1], _two(x, a), a)),
    ("np.gradient({{0}}, 0.3, axis={0})", lambda x, a: np.gradient(x, 0.3, axis=a)),
    ("np.diff({{0}}, axis={0}, prepend=1.0)", lambda x, a: np.diff(x, axis=a, prepend=1.0)),
    ("np.take({{0}}, [4, -7], {0}, mode='wrap')", lambda x, a: np.take(x, [4, -7], a, mode="wrap")),
    ("np.take({{0}}, [9, 0], {0}, mode='clip')", lambda x, a: np.take(x, [9, 0], a, mode="clip")),
    ("np.ravel({{0}}, 'F')", lambda x, a: np.ravel(x, "F")),
    ("np.reshape({{0}}.T, {{0}}.shape, 'F')", lambda x, a: np.reshape(x.T, x.shape, "F")),
    ("np.pad({{0}}, 1, mode='mean')", lambda x, a: np.pad(x, 1, mode="mean")),
    ("np.pad({{0}}, 2, mode='linear_ramp')", lambda x, a: np.pad(x, 2, mode="linear_ramp")),
    ("np.unwrap({{0}} * 3, axis={0})", lambda x, a: np.unwrap(x * 3, axis=a)),
    ("np.linspace({{0}}, 1, 3, axis={0})", lambda x, a: np.linspace(x, 1, 3, axis=a)),
    ("np.resize({{0}}, (3, 3))", lambda x, a: np.resize(x, (3, 3))),
    ("np.cov(np.reshape({{0}}, (len({{0}}), -1)), ddof=0)", lambda x, a: _covariance(x)),
    ("np.vander(np.ravel({{0}}), 3)", lambda x, a: np.vander(np.ravel(x), 3)),
    ("np.apply_along_axis(lambda r: r * r[0], {0}, {{0}})", lambda x, a: _along(x, a)),
]

KINDS: dict[str, list[tuple[str, Along]]] = {"along": ALONG, "order": ORDER, "composed": COMPOSED}


def _two(x: Any, axis: int) -> Any:
    return np.take(x, [0, -1], axis)


def _covariance(x: Any) -> Any:
    return np.cov(np.reshape(x, (x.shape[0], -1)), ddof=0)


def _along(x: Any, axis: int) -> Any:
    return np.apply_along_axis(lambda r: r * r[0], axis, x)


def _from_behind(x: Any, axis: int) -> Any:
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis)


def _hazen(x: Any, axis: int) -> Any:
    return np.percentile(x, [20, 75], axis, method="hazen")


def _descending(x: Any, axis: int) -> Any:
    return np.take_along_axis(x, np.argsort(-x, axis), axis)


def _ranked(x: Any, axis: int) -> Any:
    return np.argsort(np.argsort(x, axis, "stable"), axis) * x


def _counted(x: Any) -> Any:
    return np.histogram(x, KNOTS, weights=x**2)[0]


def _contracted(x: Any, other: str) -> Any:
    """A product in which a factor stands twice."""
    if not x.ndim:
        return x
    kept = "" if other == "i" else other
    return np.einsum(f"...i,...{other},...i->...{kept}", x, x, np.cos(x))


def _guarded(x: Any) -> Any:
    return np.where(x > 0, np.log(np.abs(x) + 0.1), x)


def layout(rng: Random, array: Array) -> Array:
    """The same values laid out in memory in another way."""
    kind = rng.randrange(6)
    if kind == 1 and array.ndim:
        return np.asfortranarray(array)
    if kind == 2 and array.ndim:
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if kind == 3 and array.ndim:
        return array[::-1].copy()[::-1]
    if kind == 4:
        fixed = array.copy()
        fixed.flags.writeable = False
        return fixed
    if kind == 5:
        return array.astype(array.dtype.newbyteorder())
    return array


def drawn(rng: Random) -> RandomProgram:
    """A random function of two or three float arrays."""
    values = np.random.default_rng(rng.randrange(2**32))
    shapes = [rng.choice(SHAPES) for _ in range(2 + rng.randrange(2))]
    arrays = tuple(_values(rng, values, shape) for shape in shapes)
    found: list[Any] = list(arrays)
    kept: list[Step] = []
    wanted = 1 + rng.randrange(9)
    for _ in range(4 * wanted):
        step = _step(rng, found)
        value = tried(step, found)
        if value is not None:
            found.append(value)
            kept.append(step)
        if len(kept) == wanted:
            break
    outputs = dict.fromkeys([len(found) - 1, *(rng.sample(range(len(found)), rng.randrange(2)))])
    return RandomProgram(arrays, tuple(kept), tuple(outputs))


def _values(rng: Random, values: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Random numbers, now and then whole ones: 0 and ties among them."""
    if rng.randrange(4) == 0:
        return np.asarray(values.integers(-2, 3, shape).astype(float))
    return np.asarray(values.uniform(-2, 2, shape))


def _step(rng: Random, values: list[Any]) -> Step:
    last = len(values) - 1
    first = last if rng.randrange(2) else rng.randrange(last + 1)
    kind = rng.choice([*KINDS, "unary", "more", "matrix", "binary", "binary"])
    rank = np.ndim(values[first])
    if kind in KINDS and rank:
        text, function = rng.choice(KINDS[kind])
        axis = rng.randrange(rank)
        return Step(text.format(axis), lambda x: function(x, axis), (first,))
    if kind == "matrix" and rank >= 2:
        return Step(*rng.choice(MATRIX), (first,))
    if kind == "binary":
        second = rng.randrange(last + 1)
        return Step(*rng.choice(BINARY), rng.choice([(first, second), (second, first)]))
    return Step(*rng.choice(MORE_UNARY if kind == "more" else UNARY), (first,))


def numpy_program(rng: Random) -> None:
    """Value, gradient and directional derivative of a random function."""
    program = drawn(rng)
    widths = rng.choice([[np.float64], [np.float64], [np.float32], [np.float32, np.float64]])
    single = np.float32 in widths
    arrays = [layout(rng, a.astype(rng.choice(widths))) for a in program.arrays]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = program(*arrays)
        if not finite([np.asarray(value) for value in wanted]):
            raise Undefined
        check(rng, program, arrays, wanted, single)


def check(
    rng: Random, program: RandomProgram, arrays: list[Array], wanted: tuple[Any, ...], single: bool
) -> None:
    before = [array.copy() for array in arrays]
    found, pull = pullback.vjp(program, *arrays)
    for n, (one, other) in enumerate(zip(found, wanted, strict=True)):
        if np.asarray(one).dtype != np.asarray(other).dtype.newbyteorder("="):
            raise Wrong(f"result {n} of dtype {one.dtype}, expected {other.dtype}{program}")
        expect_equal(f"result {n} of{program}", one, other, 2e-4 if single else 1e-9)
    values = np.random.default_rng(rng.randrange(2**32))
    seeds = tuple(np.asarray(values.normal(size=np.shape(y)), np.asarray(y).dtype) for y in wanted)
    gradients = pull(seeds)
    wide = [np.asarray(array, np.float64) for array in arrays]
    # Where float32 over- or underflows, differences in float64 are of another value.
    for one, other in zip(program(*wide), wanted, strict=True):
        scale = float(np.max(np.abs(one), initial=1.0))
        if not np.allclose(one, other, rtol=1e-2, atol=1e-2 * scale):
            raise Undefined
    compared = 0
    for _ in range(3):
        along = [np.asarray(values.normal(size=array.shape)) for array in wide]
        if rng.randrange(2):  # one element alone
            along = [_one_element(rng, array) for array in wide]

        def line(t: float, along: list[Array] = along) -> float:
            moved = program(*(x + t * v for x, v in zip(wide, along, strict=True)))
            return sum(float(np.sum(s * y)) for s, y in zip(seeds, moved, strict=True))

        pairs = zip(gradients, along, strict=True)
        says = sum(float(np.sum(np.asarray(g, np.float64) * v)) for g, v in pairs)
        if not expect_slope(f"gradient of{program}", line, says, 2e-3 if single else 1e-6):
            continue
        compared += 1
        if not single:
            _, moved = pullback.jvp(program, tuple(arrays), tuple(along))
            forward = sum(float(np.sum(s * t)) for s, t in zip(seeds, moved, strict=True))
            expect_slope(f"pushforward of{program}", line, forward, 1e-6)
    for array, old in zip(arrays, before, strict=True):
        if not np.array_equal(array, old):
            raise Wrong(f"an argument was changed by{program}")
    if not compared:
        raise Undefined


def _one_element(rng: Random, array: Array) -> Array:
    found = np.zeros(array.shape)
    if array.size:
        found.flat[rng.randrange(array.size)] = 1.0
    return found
