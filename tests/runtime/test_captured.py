"""What a function reads besides its arguments: compared completely, or not at all."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pullback
from pullback.runtime.captured import MAX_NODES, captured, reason

SCALE = 2.0
TABLE = {"w": np.ones(3), "names": ["a", "b"]}
COUNT = 0


@dataclasses.dataclass
class Settings:
    rate: float
    weights: Any

    def scaled(self, x: Any) -> Any:
        return x * self.rate * SCALE


class Point(NamedTuple):
    x: float
    y: float


class Slotted:
    __slots__ = ("w",)

    def __init__(self) -> None:
        self.w = 1.0


class Plain:
    def __init__(self) -> None:
        self.w = np.ones(2)

    def __call__(self, x: Any) -> Any:
        return x * self.w

    def method(self, x: Any) -> Any:
        return x * self.w


SETTINGS = Settings(0.5, np.ones(2))
SLOTTED = Slotted()
RNG = np.random.default_rng(0)
GENERATOR = (n for n in range(3))


def helper(x: Any) -> Any:
    return x * TABLE["w"]


def counting(x: Any) -> Any:
    global COUNT
    COUNT += 1
    return x


def closure_of(value: Any) -> Callable[..., Any]:
    return lambda x: (x, value)


def importing_numpy(x: Any) -> Any:
    import numpy

    return numpy.tanh(x)


def importing_random(x: Any) -> Any:
    import random as chance

    return x * chance.random()


LISTED: list[Callable[..., Any]] = [
    lambda x: np.tanh(x) * SCALE,
    lambda x: helper(x),
    lambda x: SETTINGS.scaled(x),
    lambda x: x * SLOTTED.w,
    lambda x: Point(x, SCALE),
    lambda x: math.pi * x + len(TABLE["names"]),
    lambda x: sum(part * part for part in [x, x]),
    lambda x: pullback.grad(helper)(x),
    importing_numpy,
    functools.partial(helper),
    Plain().method,
    Plain(),
    np.sin,
    closure_of((1, "a", None, np.float32(2), slice(1), np.dtype(float), np.ones(2)[::-1])),
]
NOT_LISTED: list[Callable[..., Any]] = [
    lambda x: x * np.random.rand(3),
    lambda x: x * RNG.random(),
    lambda x: x * random.random(),
    lambda x: x * time.time(),
    lambda x: x * float(os.environ["SCALE"]),
    lambda x: np.load("weights.npy") * x,
    lambda x: np.empty(3) * x,
    lambda x: x * next(GENERATOR),
    lambda x: print(x),
    lambda x: eval("x"),
    lambda x: globals()["SCALE"] * x,
    lambda x: open("scale.txt").read(),  # noqa: SIM115
    counting,
    importing_random,
    RNG.normal,
    closure_of(np.array([None])),
    closure_of([0.5] * MAX_NODES),
]


@pytest.mark.parametrize("function", LISTED)
def test_what_can_be_listed_is_the_same_twice(function: Callable[..., Any]) -> None:
    assert reason(function) == ""
    found = captured(function)
    assert found is not None
    assert found.hold(function)


@pytest.mark.parametrize("function", NOT_LISTED)
def test_what_may_change_unseen_is_not_listed(function: Callable[..., Any]) -> None:
    assert captured(function) is None
    assert reason(function)


def changes(before: Any, after: Any) -> bool:
    """Whether functions that capture these are told apart."""
    found = captured(closure_of(before))
    assert found is not None
    return not found.hold(closure_of(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, 2),
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ("a", b"a"),
        (np.float32(1), np.float64(1)),
        (np.ones(2), np.ones(3)),
        (np.ones(2), np.ones(2, np.float32)),
        (np.zeros(2), -np.zeros(2)),
        (np.ones((2, 1)), np.ones((1, 2))),
        ([1, 2], (1, 2)),
        ([1], [1, 1]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.sin, np.cos),
        (slice(1), slice(2)),
        (Settings(1.0, 2.0), Settings(1.0, 3.0)),
        (Point(1.0, 2.0), (1.0, 2.0)),
        (functools.partial(helper, 1), functools.partial(helper, 2)),
        (lambda x: x, lambda x: 2 * x),
    ],
)
def test_differences_are_seen(before: Any, after: Any) -> None:
    assert changes(before, after)
    assert not changes(before, before)


def test_arrays_are_compared_by_content_at_the_time() -> None:
    array = np.array([1.0, np.nan, 3.0])
    function = closure_of([array])
    before = captured(function)
    assert before is not None
    assert before.hold(function)
    array[0] = 2.0
    assert not before.hold(function)
    array[0] = 1.0
    assert before.hold(function)


def test_a_structure_that_contains_itself_ends() -> None:
    loop: list[Any] = [1.0]
    loop.append(loop)
    found = captured(closure_of(loop))
    assert found is not None
    assert found.hold(closure_of(loop))
    assert not found.hold(closure_of([1.0, [1.0, loop]]))


def test_recursive_functions_end() -> None:
    def down(x: Any, n: int) -> Any:
        return x if n == 0 else down(x, n - 1)

    assert captured(down) is not None


def test_classes_of_arguments_are_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(settings: Settings) -> Any:
        return settings.scaled(1.0)

    before = captured(f, (Settings,))
    assert before is not None
    assert before.hold(f, (Settings,))
    assert not before.hold(f, (Point,))
    assert not before.hold(f)
    monkeypatch.setattr(Settings, "scaled", lambda self, x: 2 * x)
    assert not before.hold(f, (Settings,))
