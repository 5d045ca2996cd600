"""Jacobians of random NumPy programs: two modes, the formula and differences agree."""

from __future__ import annotations

import warnings
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import PullbackError
from pullback.jacobians.operator import Jacobian
from tools.hunt.numpy_programs import drawn
from tools.hunt.outcome import expect_slope, finite

from .oracles import as_matrix, expect_products

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize("seed", (0, 1, 3, 5, 7, 9, 10, 11, 84))
def test_all_ways_agree(seed: int) -> None:
    program = drawn(Random(seed))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if not finite([np.asarray(value) for value in program(*program.arrays)]):
            pytest.skip("not finite")
        which = max(range(len(program.arrays)), key=lambda n: _depends(program, n))
        try:
            J = pullback.jacobian(lambda *arrays: program(*arrays)[0], which)(*program.arrays)
        except PullbackError:
            pytest.skip("refused")
        _check(J, program, which, seed)


def _depends(program: Any, n: int) -> bool:
    moved = [a + (k == n) * 0.01 for k, a in enumerate(program.arrays)]
    pairs = program(*moved)[0], program(*program.arrays)[0]
    return not np.array_equal(*pairs)


def _check(J: Jacobian, program: Any, which: int, seed: int) -> None:
    count = prod(J.input_shape)
    matrix = as_matrix(J @ np.eye(count).reshape(*J.input_shape, count), J)
    if not np.isfinite(matrix).all():
        pytest.skip("infinite slopes")
    expect_products(J, matrix.reshape(J.shape), seed, tolerance=1e-8)
    gram = J.T @ J
    scale = max(1.0, float(np.abs(matrix).max(initial=0))) ** 2
    np.testing.assert_allclose(
        gram.dense().reshape(count, count), matrix.T @ matrix, atol=1e-8 * scale
    )
    twice = J + J.T.T
    np.testing.assert_allclose(as_matrix(twice.dense(), J), 2 * matrix, atol=1e-8 * scale)
    assert J.text and J.kind and J.latex() and str(J)
    if J.closed is not None:
        np.testing.assert_allclose(J.sparse().toarray(), matrix, atol=1e-8 * scale)
    rng = np.random.default_rng(seed)
    v, u = rng.normal(size=J.input_shape), rng.normal(size=J.output_shape)

    def line(t: float) -> float:
        moved = [a + t * v if k == which else a for k, a in enumerate(program.arrays)]
        return float(np.sum(u * program(*moved)[0]))

    expect_slope(f"{J.label} of{program}", line, float(np.sum(u * (J @ v))), 1e-6)
