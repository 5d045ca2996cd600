from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.ir.expr import Apply, Expr, Mul, Power, SizeOf, number
from pullback.ir.sizes import size
from pullback.runtime.load import load_module
from pullback.trace.forms import Forms
from pullback.trace.points import Points

AT = [
    {"N": 11, "D": 17, "H": 29, "K": 5},
    {"N": 23, "D": 13, "H": 19, "K": 7},
    {"N": 14, "D": 31, "H": 38, "K": 11},
    {"N": 36, "D": 8, "H": 45, "K": 6},
    {"N": 9, "D": 40, "H": 22, "K": 8},
    {"N": 30, "D": 21, "H": 47, "K": 13},
]
ELSEWHERE = [
    {"N": 100, "D": 7, "H": 64, "K": 3},
    {"N": 6, "D": 90, "H": 33, "K": 10},
    {"N": 12, "D": 12, "H": 12, "K": 12},
]
Of = Callable[[int, int, int, int], int]
OfFloat = Callable[[int, int, int, int], float]


@pytest.mark.parametrize(
    "of",
    [
        lambda N, D, H, K: 12,
        lambda N, D, H, K: N,
        lambda N, D, H, K: N - 1,
        lambda N, D, H, K: 2 * D + 3,
        lambda N, D, H, K: N * D,
        lambda N, D, H, K: N * D * H * K,
        lambda N, D, H, K: N + D - H,
        lambda N, D, H, K: H - K + 1,
        lambda N, D, H, K: N * (H - K + 1),
        lambda N, D, H, K: N // 2,
        lambda N, D, H, K: N - N // 2,
        lambda N, D, H, K: (H - K) // 2 + 1,
        lambda N, D, H, K: (H + 1) // 3 * 3,
        lambda N, D, H, K: D // K,
        lambda N, D, H, K: N * N + 2,
        lambda N, D, H, K: N * D + H,
        lambda N, D, H, K: 4 * N // 5,
        lambda N, D, H, K: 3 - N,
    ],
)
def test_forms_found_at_some_sizes_hold_at_others(of: Of) -> None:
    found = Forms("NDHK", AT).integer(tuple(of(**sizes) for sizes in AT))
    assert found is not None
    for sizes in ELSEWHERE:
        assert found.value(sizes) == of(**sizes), found


@pytest.mark.parametrize(
    "of",
    [
        lambda N, D, H, K: min(N, D),
        lambda N, D, H, K: int(math.sqrt(N) * 10),
        lambda N, D, H, K: N ^ D,
    ],
)
def test_what_has_no_form_is_not_given_one(of: Of) -> None:
    assert Forms("NDHK", AT).integer(tuple(of(**sizes) for sizes in AT)) is None


@pytest.mark.parametrize(
    "of",
    [
        lambda N, D, H, K: 1 / N,
        lambda N, D, H, K: -1 / N,
        lambda N, D, H, K: 1 / (N - 1),
        lambda N, D, H, K: N / 2,
        lambda N, D, H, K: N / D,
        lambda N, D, H, K: (N - 1) / (2 * D),
        lambda N, D, H, K: math.sqrt(D),
        lambda N, D, H, K: D**-0.5,
        lambda N, D, H, K: math.sqrt(2 / (N + D)),
        lambda N, D, H, K: -0.01 / N,
        lambda N, D, H, K: 0.001 * D,
        lambda N, D, H, K: math.log(N),
        lambda N, D, H, K: math.log2(H),
        lambda N, D, H, K: N**1.5,
        lambda N, D, H, K: (N * D) ** -0.25,
        lambda N, D, H, K: float(np.float32(1) / np.sqrt(np.float32(D))),
        lambda N, D, H, K: float(np.float32(1 / N)),
    ],
)
def test_numbers_found_at_some_sizes_hold_at_others(of: OfFloat) -> None:
    column = [number(float(of(**sizes))) for sizes in AT]
    found = Forms("NDHK", AT).number(column)
    assert found is not None
    for sizes in ELSEWHERE:
        single = all(np.float32(float(n.value)) == float(n.value) for n in column)
        made = float(Points({}, sizes).expr(found))
        assert made == pytest.approx(of(**sizes), rel=2e-7 if single else 1e-14), found


def test_numbers_that_stay_the_same_stay_numbers() -> None:
    forms = Forms("NDHK", AT)
    assert forms.number([number(0.1)] * len(AT)) is number(0.1)
    assert forms.number([number(float("inf"))] * len(AT)) is number(float("inf"))
    assert forms.number([number(float("inf")), *map(number, range(len(AT) - 1))]) is None
    assert forms.number([number(math.sin(sizes["N"])) for sizes in AT]) is None


@pytest.mark.parametrize(
    ("of", "expression"),
    [
        (lambda N, D, H, K: N, SizeOf(size("N"))),
        (lambda N, D, H, K: 1 / N, Power(SizeOf(size("N")), -1)),
        (lambda N, D, H, K: -N, Mul((number(-1), SizeOf(size("N"))))),
        (lambda N, D, H, K: math.log(N), Apply("log", (SizeOf(size("N")),))),
    ],
)
def test_numbers_are_written_as_the_tracer_would(of: OfFloat, expression: Expr) -> None:
    column = [number(float(of(**sizes))) for sizes in AT]
    assert Forms("NDHK", AT).number(column) is expression


def test_wide_searches_are_told() -> None:
    forms = Forms("NDHK", AT)
    forms.integer(tuple(sizes["N"] * sizes["D"] for sizes in AT))
    assert not forms.rare
    forms.integer(tuple((sizes["N"] + 1) // 4 + sizes["D"] for sizes in AT))
    assert forms.rare


@pytest.mark.parametrize("square", [2, 3, 5, 97])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_float_of_a_root_is_that_root(square: int, dtype: str) -> None:
    root = np.sqrt(square)

    def scaled(x: Any) -> Any:
        return np.tanh(x / root) * float(root)

    source = pullback.derive(scaled, x="N").source()
    assert f"math.sqrt({square})" in source.partition("def backward")[0]
    x = np.random.default_rng(square).normal(size=5).astype(dtype)
    module = load_module(source, "root")
    value, cache = module.forward(x)
    assert value.dtype == x.dtype
    np.testing.assert_array_equal(value, np.tanh(x / float(root)) * float(root))
    slope = 1 - np.tanh(x.astype(float) / root) ** 2
    np.testing.assert_allclose(module.backward(np.ones_like(x), cache), slope, rtol=1e-4)


def test_other_numbers_stay_as_they_are() -> None:
    def scaled(x: Any) -> Any:
        return 1.41421356 * x + 2.0 * x**2 + 1.5 * x**3 + 10.04987562112089 * np.exp(x)

    assert "math" not in pullback.derive(scaled, x="N").source()
