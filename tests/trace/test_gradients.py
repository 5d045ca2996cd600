"""The gradient of every row, derived, compiled and run, against central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import pullback
from pullback import trees

from .checking import draw
from .examples import EXAMPLES, PLAIN
from .programs import RandomProgram, programs
from .test_rows import public_name, seeded


def leaves(result: Any) -> list[Any]:
    return [np.asarray(leaf) for leaf in trees.flatten(result)[0]]


def agrees(function: Callable[..., Any], arrays: Sequence[Any], rng: np.random.Generator) -> bool:
    """Whether the pullback fits the slope along a random direction, for random cotangents."""
    results = leaves(function(*arrays))
    weights = [
        rng.normal(size=r.shape) if r.dtype.kind == "f" else np.zeros(r.shape) for r in results
    ]
    step = 1e-6 if all(r.dtype != np.float32 for r in results) else 1e-2
    directions = [rng.normal(size=np.shape(a)) for a in arrays]

    def total(sign: int) -> float:
        moved = [a + sign * step * d for a, d in zip(arrays, directions, strict=True)]
        found = leaves(function(*moved))
        return sum(float((r * w).sum()) for r, w in zip(found, weights, strict=True))

    slope = (total(1) - total(-1)) / (2 * step)
    value, back = pullback.vjp(function, *arrays)
    gradients = back(trees.unflatten(trees.flatten(value)[1], weights))
    found = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    return abs(found - slope) <= 1e-4 * (1 + abs(found) + abs(slope))


def split(example: tuple[Any, ...]) -> tuple[Callable[..., Any], list[Any]] | None:
    """An example as a function of its float arrays alone; None without finite ones."""
    function, *specs = example
    rng = seeded(repr(specs))
    arguments = [draw(spec, rng) for spec in specs]
    places = [k for k, a in enumerate(arguments) if np.asarray(a).dtype == np.float64]
    floats = [arguments[k] for k in places]
    if not floats or not all(np.all(np.isfinite(a)) for a in floats):
        return None

    def of_floats(*given: Any) -> Any:
        full = list(arguments)
        for k, array in zip(places, given, strict=True):
            full[k] = array
        return function(*full)

    with np.errstate(all="ignore"):
        results = leaves(of_floats(*floats))
    if not all(np.all(np.isfinite(r)) for r in results) or all(
        r.dtype.kind != "f" for r in results
    ):
        return None
    return of_floats, floats


NAMED = [
    (f"{public_name(function)}-{k}", split(example))
    for function, examples in EXAMPLES.items()
    for k, example in enumerate(examples)
]
NAMED += [(f"plain-{k}", split(example)) for k, example in enumerate(PLAIN)]
CASES = [pytest.param(*case, id=name) for name, case in NAMED if case is not None]


def test_most_examples_have_gradients_to_check() -> None:
    assert len(CASES) > 300


@pytest.mark.parametrize(("function", "arrays"), CASES)
def test_gradient_of_a_row(function: Callable[..., Any], arrays: list[Any]) -> None:
    with np.errstate(all="ignore"):
        assert agrees(function, arrays, np.random.default_rng(0))


@settings(max_examples=100)
@given(programs())
def test_gradient_of_a_random_program(program: RandomProgram) -> None:
    assert agrees(program, program.arrays, np.random.default_rng(0))
