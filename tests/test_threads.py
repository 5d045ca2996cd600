"""Several threads at once: equal nodes are one object, and traces don't meet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.expr import number
from pullback.ir.intern import Node

THREADS = 8


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(work: Callable[[int], Any]) -> list[Any]:
    """What each thread's work gives; all start at the same time."""
    start = Barrier(THREADS)

    def run(n: int) -> Any:
        start.wait()
        return work(n)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_equal_nodes_are_one_object() -> None:
    def make(_: int) -> list[Node]:
        return [number(1_000_000 + k) for k in range(2_000)]

    for _ in range(5):
        made = together(make)
        assert all(len({id(node) for node in row}) == 1 for row in zip(*made, strict=True))
        del made


def test_nodes_that_go_while_others_are_made() -> None:
    def make_and_drop(_: int) -> bool:
        return all(number(2_000_000 + k % 7) is number(2_000_000 + k % 7) for k in range(5_000))

    assert all(together(make_and_drop))


def loss(n: int) -> Callable[..., Any]:
    """A different function for each n, with a derivative inside."""
    return lambda x: (pb.grad(lambda y: np.sin(y * x + n).sum())(x * (n + 1)) * x).sum()


def test_traces_do_not_meet() -> None:
    X = np.linspace(0.1, 0.9, 5)

    def work(n: int) -> list[Any]:
        value, gradient = pb.value_and_grad(loss(n))(X)
        text = pb.derive(lambda X: X * n, X="N").source()
        return [value, gradient, text, pb.jvp(loss(n), (X[:3],), (X[:3],))[1]]

    found = together(work)
    for n in range(THREADS):
        value, gradient, text, moved = work(n)
        np.testing.assert_array_equal(found[n][1], gradient)
        assert (found[n][0], found[n][2], found[n][3]) == (value, text, moved)
