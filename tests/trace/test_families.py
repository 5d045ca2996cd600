from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pullback.ir.expr import Compare, Guard, IndexOf, Zero
from pullback.ir.sizes import Size, size
from pullback.trace.families import Family, family, fits
from pullback.trace.forms import Forms

AT = [{"N": 7, "M": 11}, {"N": 17, "M": 5}, {"N": 12, "M": 9}, {"N": 10, "M": 14}]
ELSEWHERE = [{"N": 6, "M": 6}, {"N": 5, "M": 21}, {"N": 16, "M": 3}]
N, M = size("N"), size("M")
Make = Callable[[int, int], Any]


def found_family(make: Make, shape: tuple[Size | int, ...]) -> Family | None:
    arrays = [np.asarray(make(**sizes)) for sizes in AT]
    return family("c", arrays, [size(n) for n in shape], Forms(["N", "M"], AT))


FAMILIES: list[tuple[Make, tuple[Size | int, ...]]] = [
    (lambda N, M: np.zeros((N, M)), (N, M)),
    (lambda N, M: np.full(N, 1 / M), (N,)),
    (lambda N, M: np.full((N, M), -np.inf), (N, M)),
    (lambda N, M: np.arange(N), (N,)),
    (lambda N, M: np.arange(N)[::-1] * 2 + M, (N,)),
    (lambda N, M: np.arange(N) / N, (N,)),
    (lambda N, M: np.arange(N, dtype=np.float32) / np.float32(N), (N,)),
    (lambda N, M: np.linspace(-1, 1, N), (N,)),
    (lambda N, M: np.arange(N * M).reshape(N, M), (N, M)),
    (lambda N, M: np.arange(N)[:, None] - np.arange(M), (N, M)),
    (lambda N, M: np.eye(N), (N, N)),
    (lambda N, M: np.eye(N, M, k=-1) * 3, (N, M)),
    (lambda N, M: 1 - np.eye(N), (N, N)),
    (lambda N, M: np.fliplr(np.eye(N)), (N, N)),
    (lambda N, M: np.tri(N, M, -1), (N, M)),
    (lambda N, M: np.tri(N, M, 2) * 0.5 - 1, (N, M)),
    (lambda N, M: np.triu(np.full((N, N), -np.inf), 1), (N, N)),
    (lambda N, M: np.tril(np.ones((N, N), bool)), (N, N)),
    (lambda N, M: np.abs(np.subtract.outer(np.arange(N), np.arange(N))) > 2, (N, N)),
    (lambda N, M: np.arange(N) < N // 2, (N,)),
    (lambda N, M: np.arange(N) == N - 2, (N,)),
    (lambda N, M: np.arange(N * M) == M - 1, (N * M,)),
    (lambda N, M: np.arange(N) % 2 == 1, (N,)),
    (lambda N, M: np.indices((N, M)).sum(0) % 2, (N, M)),
    (lambda N, M: np.kron(np.eye(N), np.ones((M, M))), (N * M, N * M)),
    (lambda N, M: np.repeat(np.eye(N), M, axis=0), (N * M, N)),
    (lambda N, M: np.tile(np.arange(N), M), (N * M,)),
    (lambda N, M: np.repeat(np.arange(N), M), (N * M,)),
    (lambda N, M: np.roll(np.arange(N), 2), (N,)),
    (lambda N, M: np.outer(np.arange(1, N + 1), 1 / np.arange(1, M + 1)), (N, M)),
    (lambda N, M: np.arange(N)[:, None] ** 2 + 1 / (np.arange(M) + 1), (N, M)),
    (lambda N, M: np.sqrt(np.arange(N)), (N,)),
    (lambda N, M: 0.9 ** np.arange(N), (N,)),
    (lambda N, M: 1 - 0.9 ** np.arange(1, N + 1), (N,)),
    (lambda N, M: np.array([1 - 0.999**t for t in range(1, N + 1)]), (N,)),
    (lambda N, M: 2 - 3 * 0.5 ** np.arange(N), (N,)),
    (lambda N, M: 1 / (1 - 0.9 ** np.arange(2, N + 2)), (N,)),
    (lambda N, M: np.log(np.arange(N) + 1), (N,)),
    (lambda N, M: np.zeros((N, 3)) + np.array([1.0, 5.0, -2.0]), (N, 3)),
    (lambda N, M: np.array([0, N - 1, M]), (3,)),
]


@pytest.mark.parametrize(("make", "shape"), FAMILIES)
def test_families_found_at_some_sizes_hold_at_others(
    make: Make, shape: tuple[Size | int, ...]
) -> None:
    found = found_family(make, shape)
    assert found is not None
    for sizes in ELSEWHERE:
        array = np.asarray(make(**sizes))
        assert fits(found, array, sizes), found.value
        wrong = array.copy()
        wrong.flat[-1] = ~wrong.flat[-1] if array.dtype == bool else 1000
        assert not fits(found, wrong, sizes)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda N, M: np.random.default_rng(0).normal(size=N), (N,)),
        (lambda N, M: np.array([i for i in range(10 * N) if i % 7 in (1, 2)][:N]), (N,)),
        (lambda N, M: -np.zeros(N) * N, (N,)),
    ],
)
def test_other_arrays_are_no_family(make: Make, shape: tuple[Size | int, ...]) -> None:
    assert found_family(make, shape) is None


def test_what_varies_along_literal_axes_only_stays_a_table() -> None:
    found = found_family(lambda N, M: np.zeros((N, 2, M)) + np.array([[3.0], [4.5]]), (N, 2, M))
    assert found is not None
    assert found.table is not None
    assert found.table.shape == (size(2),)
    np.testing.assert_array_equal(found.data, [3.0, 4.5])


def test_positions_are_subscripts_where_they_can_be() -> None:
    assert found_family(lambda N, M: np.arange(N), (N,)).sub is not None
    assert found_family(lambda N, M: np.arange(N) % 3, (N,)).sub is not None
    assert found_family(lambda N, M: np.eye(N, dtype=int), (N, N)).sub is None


def test_bools_are_conditions() -> None:
    found = found_family(lambda N, M: np.eye(N, dtype=bool), (N, N))
    assert isinstance(found.cond, Zero)
    found = found_family(lambda N, M: np.tri(N, dtype=bool), (N, N))
    assert isinstance(found.cond, Compare)
    found = found_family(lambda N, M: np.tri(N), (N, N))
    assert isinstance(found.value, Guard)
    found = found_family(lambda N, M: np.arange(N), (N,))
    assert isinstance(found.value, IndexOf)
