"""Reading by subscripts, against NumPy: every form of a key, extents 0 and 1 among the shapes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pullback as pb

Array = np.ndarray[Any, Any]
SHAPES = [(), (0,), (1,), (3,), (4,), (2, 3), (3, 1), (0, 3), (3, 0), (2, 1, 3), (3, 3, 2)]


def outcome(function: Callable[[Any], Any], x: Array) -> tuple[str, str]:
    """How the traced function compares with the function itself, and a description.

    The gradient is compared with the scatter of a cotangent: reading is linear, so that the value
    at a unit array says where its element goes.
    """
    try:
        expected = np.asarray(function(x))
    except Exception as error:
        kind = next(base for base in type(error).__mro__ if base.__module__ == "builtins")
        try:
            pb.vjp(function, x)
        except pb.PullbackError as refusal:
            return ("both refuse" if isinstance(refusal, kind) else "other error"), repr(error)
        return "only NumPy refuses", repr(error)
    try:
        found, pull = pb.vjp(function, x)
    except pb.PullbackError as refusal:
        return "refused", str(refusal)
    cotangent = np.random.default_rng(1).normal(size=expected.shape)
    if np.shape(found) != expected.shape or not np.array_equal(found, expected):
        return "wrong", f"{found}, expected {expected}"
    scattered = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        unit = np.zeros(x.shape)
        unit[place] = 1
        scattered[place] = (function(unit) * cotangent).sum()
    gradient = pull(cotangent)[0]
    if gradient.shape != x.shape or not np.allclose(gradient, scattered):
        return "wrong gradient", f"{gradient}, expected {scattered}"
    return "right", ""


# --------------------------------------------------------------------------------------------------
# Random keys


class Keys:
    """Random keys for an array of some shape."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.arrays = np.random.default_rng(seed)

    def shape(self) -> tuple[int, ...]:
        return self.random.choice(SHAPES)

    def key(self, shape: tuple[int, ...]) -> Any:
        parts: list[Any] = []
        left = list(shape)
        while left and self.random.random() < 0.85:
            parts.append(self.part(left))
        alone = len(parts) == 1 and self.random.random() < 0.5
        return parts[0] if alone else tuple(parts)

    def part(self, left: list[int]) -> Any:
        """One part of a key; what it subscripts is taken off the extents that are ``left``."""
        pick = self.random.choice
        kind = self.random.randrange(11)
        if kind < 3:
            return [None, Ellipsis, pick([True, False, np.True_, np.array(True)])][kind]
        n = left.pop(0)
        low = pick([-n, 0])
        if kind < 5:
            ends = (None, 0, 1, -1, -2, 5, -9)
            return slice(pick(ends), pick(ends), pick((None, 1, 2, -1, -2)))
        if kind == 5:
            return self.integer(low, n)
        if kind == 6:
            mask = self.arrays.random(n + (self.random.random() < 0.1)) < pick((0, 0.5, 1))
            return pick((mask, mask.tolist()))
        if kind == 7 and left:
            return self.arrays.random((n, left.pop(0))) < pick((0, 0.4, 1))
        extents = pick([(0,), (1,), (2,), (2, 2), (1, 3), (0, 2), (2, 0), ()])
        high = max(n + (self.random.random() < 0.05), low + 1)
        integers = np.asarray(self.arrays.integers(low, high, extents))
        typed = integers.astype(pick(("int64", "int8") if low else ("int64", "uint8", "uint64")))
        return typed.tolist() if typed.ndim and self.random.random() < 0.25 else typed

    def integer(self, low: int, high: int) -> Any:
        n = self.random.randrange(low, max(high, low + 1))
        return self.random.choice([int, np.int8, np.array])(n)


def test_random_keys() -> None:
    """Never a wrong value, no exception but pullback's own; nearly all that NumPy reads is read."""
    counts: dict[str, int] = {}
    for seed in range(250):
        keys = Keys(seed)
        shape = keys.shape()
        key = keys.key(shape)
        x = keys.arrays.normal(size=shape)
        found, told = outcome(lambda x, key=key: x[key], x)
        assert found in ("right", "both refuse", "refused"), (shape, key, found, told)
        counts[found] = counts.get(found, 0) + 1
    assert counts["right"] > 170 and counts.get("refused", 0) < 3


# --------------------------------------------------------------------------------------------------
# np.take and np.take_along_axis

PLACES: list[Any] = [
    *(0, -1, 5, np.uint8(1), np.array(1), [], np.zeros(0, int), np.zeros((2, 0), int)),
    *(np.array([1, 0, 1]), np.array([[0, 1], [1, 1]]), np.eye(2, dtype=int), range(2)),
    *(np.array([1, 2], np.uint8), [True, False], np.array([False] * 3), np.array([-1, -3])),
    *(np.array([-4]), np.zeros(0), np.array([1.0]), None, "a"),
]


def takes() -> Iterator[tuple[Callable[[Any], Any], tuple[int, ...]]]:
    draw = np.random.default_rng(0)
    for shape in ((), (0,), (3,), (2, 3), (0, 3)):
        for axis in (None, 1) if shape else (0,):
            for places in PLACES:
                yield lambda x, i=places, k=axis: np.take(x, i, axis=k), shape
            for extents in ((), (0,), (2,), (2, 2), (2, 3), (1, 3), (3, 1), (0, 3), (2, 1, 3)):
                i = draw.integers(-1, 2, extents)
                yield lambda x, i=i, k=axis: np.take_along_axis(x, i, axis=k), shape


def test_take() -> None:
    counts: dict[str, int] = {}
    for function, shape in takes():
        found, told = outcome(function, np.arange(float(np.prod(shape))).reshape(shape))
        assert found in ("right", "both refuse", "refused"), (shape, function.__defaults__, told)
        counts[found] = counts.get(found, 0) + 1
    assert counts["right"] > 60 and counts.get("refused", 0) < 5


# --------------------------------------------------------------------------------------------------
# Reductions

REDUCTIONS = [
    *("sum", "prod", "mean", "var", "std", "max", "min", "ptp", "argmax", "any", "all"),
    *("count_nonzero", "nansum", "nanmean"),
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"axis": 0},
    {"axis": -1},
    {"axis": 1},
    {"axis": (0,)},
    {"axis": (0, 1)},
    {"axis": 0, "keepdims": True},
    {"keepdims": True},
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_of_all_shapes(name: str) -> None:
    """NumPy takes axis 0 of a number for no axis where the reduction is one of a ufunc."""
    draw = np.random.default_rng(0)
    for shape in ((), (0,), (1,), (3,), (2, 3), (3, 0), (0, 3), (0, 0)):
        x = draw.normal(size=shape)
        for options in OPTIONS:
            function = lambda x, o=options: getattr(np, name)(x, **o)  # noqa: E731
            try:
                expected = function(x)
            except Exception:
                with pytest.raises(pb.PullbackError):
                    pb.vjp(function, x)
                continue
            found = pb.vjp(function, x)[0]
            assert np.shape(found) == np.shape(expected)
            np.testing.assert_allclose(found, expected, err_msg=f"{shape} {options}")
            assert np.asarray(found).dtype == np.asarray(expected).dtype


@pytest.mark.parametrize(
    "function, error",
    [
        (lambda x: x[3], IndexError),
        (lambda x: x[1.0], IndexError),
        (lambda x: x[x], IndexError),
        (lambda x: x["a"], IndexError),
        (lambda x: x[[True, False]], IndexError),
        (lambda x: x[0, 0], IndexError),
        (lambda x: np.take(x, 7), IndexError),
        (lambda x: x.reshape(2, 2), ValueError),
        (lambda x: x + np.ones(4), ValueError),
        (lambda x: x.sum(axis=1), np.exceptions.AxisError),
        (lambda x: x.sum(axis="a"), TypeError),
        (lambda x: np.int8(1) * x.astype(np.int8) + 300, OverflowError),
        (lambda x: np.linalg.inv(x), np.linalg.LinAlgError),
        (lambda x: np.nonzero(x), NotImplementedError),
    ],
)
def test_a_refusal_is_the_error_that_numpy_raises(
    function: Callable[..., Any], error: type[Exception]
) -> None:
    """``except IndexError`` catches it: it is every built-in error that NumPy's is."""
    with pytest.raises(pb.PullbackError) as caught:
        pb.vjp(function, np.ones(3))
    for base in error.__mro__:
        if base.__module__ == "builtins":
            assert isinstance(caught.value, base)
