"""Jacobians by central differences: an oracle that knows nothing of the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from pullback.jacobians.operator import Jacobian

Array = np.ndarray[Any, Any]


def by_differences(
    function: Callable[..., Any], inputs: Sequence[Any], which: int, h: float = 1e-4
) -> Array:
    """∂Y/∂X of shape Y.shape + X.shape, by fourth-order central differences."""
    base = [np.asarray(x) for x in inputs]
    shape = base[which].shape
    columns = []
    for place in np.ndindex(shape):

        def moved(steps: int, place: tuple[int, ...] = place) -> Array:
            copy = list(base)
            copy[which] = base[which].astype(np.float64)
            copy[which][place] += steps * h
            return np.asarray(function(*copy), np.float64)

        columns.append((8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * h))
    output = np.shape(function(*base))
    if not columns:
        return np.zeros((*output, *shape))
    return np.stack(columns, axis=-1).reshape((*output, *shape))


def by_complex_step(function: Callable[..., Any], inputs: Sequence[Any], which: int) -> Array:
    """∂Y/∂X by the complex step, exact to rounding, for functions that take complex numbers."""
    base = [np.asarray(x) for x in inputs]
    shape = base[which].shape
    columns = []
    for place in np.ndindex(shape):
        copy = list(base)
        copy[which] = base[which].astype(complex)
        copy[which][place] += 1e-30j
        columns.append(np.imag(function(*copy)) / 1e-30)
    return np.stack(columns, axis=-1).reshape((*np.shape(function(*base)), *shape))


def as_matrix(array: Any, J: Jacobian) -> Array:
    """An array of a Jacobian's shape as a matrix: rows are outputs, columns inputs."""
    return np.asarray(array).reshape(prod(J.output_shape), prod(J.input_shape))


def expect_products(J: Jacobian, dense: Array, seed: int = 0, tolerance: float = 1e-9) -> None:
    """Every product with a Jacobian, and its parts, are those of the dense array."""
    rng = np.random.default_rng(seed)
    matrix = as_matrix(dense, J)
    scale = max(1.0, float(np.max(np.abs(matrix), initial=0.0)))

    def same(found: Any, wanted: Array, shape: tuple[int, ...]) -> None:
        assert np.shape(found) == shape
        np.testing.assert_allclose(
            found, wanted.reshape(shape), rtol=tolerance, atol=tolerance * scale * 10
        )

    rows, columns = J.output_shape, J.input_shape
    same(J.dense(), dense, J.shape)
    same(J.T.dense(), matrix.T, columns + rows)
    v, u = rng.normal(size=columns), rng.normal(size=rows)
    same(J @ v, matrix @ v.reshape(-1), rows)
    same(J.T @ u, u.reshape(-1) @ matrix, columns)
    same(u @ J, u.reshape(-1) @ matrix, columns)
    same(v @ J.T, matrix @ v.reshape(-1), rows)
    for more in ((1,), (3,), (2, 3)):
        V, U = rng.normal(size=(*columns, *more)), rng.normal(size=(*more, *rows))
        count = prod(more)
        same(J @ V, matrix @ V.reshape(-1, count), (*rows, *more))
        same(U @ J, U.reshape(count, -1) @ matrix, (*more, *columns))
    for _ in range(3):
        picks = [slice(None), *range(2)]
        key = tuple(
            int(rng.integers(n)) if rng.choice(picks) != slice(None) and n else slice(None)
            for n in J.shape
        )
        same(J[key], dense[key], dense[key].shape)
    if rows and prod(rows):
        key = tuple(int(rng.integers(n)) for n in rows)
        same(J[key], dense[key], columns)
    assert J.rank >= (np.linalg.matrix_rank(matrix) if matrix.size else 0)
    assert J.dense_nbytes == dense.nbytes
