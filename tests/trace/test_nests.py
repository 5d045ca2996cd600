"""Loops within loops, in any order and over any subscripts: found at all sizes, the same program at
all of them, values NumPy's and gradients those of differences."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import PullbackError
from pullback.ir.interpret import run
from pullback.trace.nests import Nests
from pullback.trace.rolling import FEWEST_NAMED, rolled
from pullback.trace.tracer import Spec, Traced, trace
from tests.trace.loops import random_nest, random_pairs
from tests.trace.test_kernels import check

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def product(order: str) -> Function:
    """A matrix product that is added up element by element, its loops in some order."""
    extents = {"i": "A.shape[0]", "k": "A.shape[1]", "j": "B.shape[1]"}
    lines = ["def f(A, B):", "    C = np.zeros((A.shape[0], B.shape[1]))"]
    for depth, v in enumerate(order, 1):
        lines.append("    " * depth + f"for {v} in range({extents[v]}):")
    lines += ["                C[i, j] += A[i, k]*B[k, j]", "    return C"]
    space: dict[str, Any] = {"np": np}
    exec("\n".join(lines), space)  # our own text
    return space["f"]  # type: ignore[no-any-return]


def traced_at(function: Function, shapes: dict[str, str], sizes: dict[str, int]) -> Traced:
    given = {
        name: Spec(tuple(sizes.get(n) or int(n) for n in shape.split()))
        for name, shape in shapes.items()
    }
    return trace(function, given)


def arguments(shapes: dict[str, str], sizes: dict[str, int]) -> dict[str, Array]:
    random = np.random.default_rng(sum(sizes.values()))
    extents = {name: [sizes.get(n) or int(n) for n in s.split()] for name, s in shapes.items()}
    return {name: np.asarray(random.uniform(0.3, 0.9, own)) for name, own in extents.items()}


@pytest.mark.parametrize("order", ["".join(order) for order in permutations("ijk")])
def test_products_are_one_sum_whatever_their_sizes_and_the_order_of_loops(order: str) -> None:
    shapes = {"A": "N K", "B": "K M"}
    for n, k, m in ((5, 11, 6), (7, 5, 3), (6, 6, 6), (3, 4, 8), (8, 3, 5)):
        traced = traced_at(product(order), shapes, {"N": n, "K": k, "M": m})
        made = rolled(traced, FEWEST_NAMED, guarded=True)
        assert len(made.program.statements) == 3
        given = arguments(shapes, {"N": n, "K": k, "M": m})
        found = run(made.program, {**given, **made.constants})
        value = np.array(found[made.program.outputs[0].name].flat, dtype=float).reshape(n, m)
        np.testing.assert_allclose(value, given["A"] @ given["B"], rtol=1e-12)


def test_a_product_of_named_sizes_is_a_product() -> None:
    derivation = pullback.derive(product("ijk"), A="N K", B="K M")
    assert "A @ B" in derivation.source()
    assert "for " not in derivation.source()


def courses_layer(x: Any, w: Any, b: Any) -> Any:
    """A convolution as courses have it, its windows summed by NumPy."""
    size = w.shape[1]
    out = np.zeros((w.shape[0], x.shape[0] - size + 1))
    for f in range(w.shape[0]):
        for i in range(out.shape[1]):
            out[f, i] = np.sum(x[i : i + size] * w[f]) + b[f]
    return out


def rank_k(C: Any, A: Any, a: Any) -> Any:
    """An update below the diagonal, element by element."""
    C = C.copy()
    for i in range(A.shape[0]):
        for j in range(i + 1):
            C[i, j] *= 0.5
        for k in range(A.shape[1]):
            for j in range(i + 1):
                C[i, j] += a * A[i, k] * A[j, k]
    return C


def soft_histogram(x: Any, c: Any) -> Any:
    h = np.zeros(len(c))
    for value in x:
        for j, centre in enumerate(c):
            h[j] += np.exp(-((value - centre) ** 2))
    return h


def two_sums(A: Any, w: Any) -> Any:
    """Running sums of several statements, one of which the loop around adds to, too."""
    total, other = 1.0 * w, np.zeros(A.shape[0])
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            total += A[i, j]
            total += A[i, j] * w
            other[i] -= np.sin(A[i, j])
        total += other[i]
    return total, other


NAMED: list[tuple[Function, dict[str, str], int]] = [
    (courses_layer, {"x": "L", "w": "F S", "b": "F"}, 2),
    (rank_k, {"C": "N N", "A": "N M", "a": ""}, 3),
    (soft_histogram, {"x": "N", "c": "M"}, 1),
    (two_sums, {"A": "N M", "w": ""}, 1),
]


@pytest.mark.parametrize(
    ("function", "shapes", "least"), NAMED, ids=[f.__name__ for f, *_ in NAMED]
)
def test_nests_over_named_sizes(function: Function, shapes: dict[str, str], least: int) -> None:
    forward, backward = pullback.derive(function, **shapes).compile()
    for n in (least, 5):
        sizes = {"N": n, "M": n + 2, "F": n, "S": n + 1, "L": 2 * n + 3}
        given = [*arguments(shapes, sizes).values()]
        out, cache = forward(*given)
        check(function, given, out, lambda c, cache=cache: backward(c, cache))


SHAPES = {"A": "N M", "B": "M K", "Z": "N K", "x": "N", "y": "M", "w": ""}


def are_as_before(
    text: str, function: Function, shapes: dict[str, str], sizes: dict[str, int]
) -> None:
    """The program with loops rolled up gives what the function gives."""
    given = arguments(shapes, sizes)
    wanted = function(**given)
    traced = traced_at(function, shapes, sizes)
    for least in (FEWEST_NAMED, 8):
        made = rolled(traced, least, guarded=least == FEWEST_NAMED)
        found = run(made.program, {**given, **made.constants})
        for tensor, value in zip(made.program.outputs, wanted, strict=True):
            own = np.array(found[tensor.name].flat, dtype=float).reshape(np.shape(value))
            np.testing.assert_allclose(own, value, rtol=1e-9, atol=1e-9, err_msg=text)


@pytest.mark.parametrize("seed", range(24))
def test_random_nests_are_what_they_were_before_they_were_rolled_up(seed: int) -> None:
    text, function = random_nest(seed)
    square = "M = N" in text
    for sizes in ({"N": 5, "M": 4, "K": 3}, {"N": 3, "M": 9, "K": 5}):
        sizes["M"] = sizes["N"] if square else sizes["M"]
        are_as_before(text, function, SHAPES, sizes)


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_random_nests(seed: int) -> None:
    text, function = random_nest(seed)
    shapes = {k: v.replace("M", "N") for k, v in SHAPES.items()} if "M = N" in text else SHAPES
    try:
        forward, backward = pullback.derive(function, **shapes).compile()
    except PullbackError as error:
        assert "depends on" in error.message, text
        return
    given = [*arguments(shapes, {"N": 4, "M": 6, "K": 5}).values()]
    out, cache = forward(*given)
    check(function, given, out, lambda c, cache=cache: backward(c, cache))


PAIRS = {"A": "N N", "x": "N", "w": ""}


@pytest.mark.parametrize("seed", range(20))
def test_loops_over_pairs_of_different_places(seed: int) -> None:
    text, function = random_pairs(seed)
    for n in (4, 5, 6):
        are_as_before(text, function, PAIRS, {"N": n})


@pytest.mark.parametrize("seed", range(8))
def test_gradients_of_loops_over_pairs(seed: int) -> None:
    text, function = random_pairs(seed)
    try:
        derivation = pullback.derive(function, **PAIRS)
    except PullbackError as error:
        assert "depends on" in error.message, text
        assert "y[j]" in text, text  # which needs the turns of both loops
        return
    assert len(derivation.source().splitlines()) < 150, text
    forward, backward = derivation.compile()
    for n in (1, 2, 4):
        given = [*arguments(PAIRS, {"N": n}).values()]
        try:
            out, cache = forward(*given)
        except PullbackError:
            assert n < 4, text  # a first or a last turn that differs
            continue
        check(function, given, out, lambda c, cache=cache: backward(c, cache))


def test_turns_of_loops_that_python_hides_are_not_told() -> None:
    nests = Nests()

    def in_turns() -> list[int]:
        return [len(nests.of([sys._getframe(0)])) for _ in range(2)]

    def set_again() -> None:
        for x in range(3):
            x = x + 1
            nests.of([sys._getframe(0)])

    assert in_turns() == [1, 1]
    assert nests.known
    set_again()
    assert not nests.known
