"""Sums under a condition on two indices: running sums, without an array over all pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback
from pullback.backends.numpy import spell_pair
from pullback.calculus.reverse import reverse
from pullback.notation.parse import parse
from pullback.runtime.load import load_module

CONDITIONS = {
    "j <= i": np.less_equal,
    "j < i": np.less,
    "j >= i": np.greater_equal,
    "j > i": np.greater,
    "j <= i - 2": lambda j, i: j <= i - 2,
    "j >= i + 3": lambda j, i: j >= i + 3,
}
ROWS = "X[N,M]\nZ[N,M]\nY[n,i:M] = sum(j if {}) X[n,j]*Z[n,j]"
OTHERS = (
    "X[N,M]\nZ[N,M]\nY[i:M,n] = sum(j if {}) X[n,j]*Z[n,i]",
    "X[N,M]\nZ[N,M]\nY[i:M] = sum(n, j if {}) X[n,j]*Z[n,j]",
)


def module_of(text: str) -> tuple[str, Any]:
    source = spell_pair(reverse(parse(text)))
    return source, load_module(source, "pair")


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("sizes", [(2, 5), (3, 1), (2, 0)])
def test_values_and_gradients_are_those_of_the_masked_sum(
    condition: str, sizes: tuple[int, int]
) -> None:
    rng = np.random.default_rng(1)
    X, Z = rng.normal(size=sizes), rng.normal(size=sizes)
    places = np.arange(sizes[1])
    mask = CONDITIONS[condition](places, places[:, None]).astype(float)  # over i, j
    text = ROWS.format(condition)
    source, module = module_of(text)
    assert "np.cumsum(" in source and "np.arange" not in source
    value, cache = module.forward(X, Z)
    np.testing.assert_allclose(value, (X * Z) @ mask.T, atol=1e-14)
    dY = rng.normal(size=sizes)
    dX, dZ = module.backward(dY, cache)
    np.testing.assert_allclose(dX, (dY @ mask) * Z, atol=1e-14)
    np.testing.assert_allclose(dZ, (dY @ mask) * X, atol=1e-14)


@pytest.mark.parametrize("text", OTHERS)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_other_factors_and_other_sums_stand_outside(text: str, condition: str) -> None:
    rng = np.random.default_rng(2)
    X, Z = rng.normal(size=(2, 6)), rng.normal(size=(2, 6))
    places = np.arange(6)
    mask = CONDITIONS[condition](places, places[:, None]).astype(float)
    _, module = module_of(text.format(condition))
    value, cache = module.forward(X, Z)
    dY = rng.normal(size=value.shape)
    found = module.backward(dY, cache)
    if value.ndim == 1:
        expected = mask @ (X * Z).sum(axis=0), (dY @ mask) * Z, (dY @ mask) * X
    else:
        expected = (X @ mask.T * Z).T, (dY.T * Z) @ mask, X @ mask.T * dY.T
    for one, other in zip((value, *found), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13)


def test_what_is_infinite_counts_only_where_it_is_summed() -> None:
    _, module = module_of("X[N]\nY[i:N] = sum(j if j < i) exp(X[j])")
    with np.errstate(over="ignore"):
        value, _ = module.forward(np.array([0.0, 1000.0, 0.0, 0.0]))
    np.testing.assert_array_equal(value, [0, 1, np.inf, np.inf])


def test_a_product_with_a_triangle_of_ones_is_a_running_sum() -> None:
    def total(x: Any) -> Any:
        return np.log(np.exp(x) @ np.triu(np.ones((len(x), len(x))))).sum()

    source = pullback.derive(total, x="N").source()
    assert source.count("np.cumsum(") == 2 and "np.arange" not in source
    x = np.random.default_rng(3).normal(size=7)
    value, gradient = pullback.value_and_grad(total)(x)
    e = np.exp(x)
    assert np.isclose(value, np.log(np.cumsum(e)).sum())
    np.testing.assert_allclose(gradient, e * np.cumsum((1 / np.cumsum(e))[::-1])[::-1])


@pytest.mark.parametrize("condition", ["t[j] >= t[i]", "t[j] = t[i]", "t[i] < t[j]"])
def test_a_sum_under_a_condition_on_data_is_a_product_with_the_mask(condition: str) -> None:
    text = f"t[N]\nX[N,D]\nw[N]\nY[i,d] = sum(j) [{condition}]*X[j,d]*w[j]"
    source, module = module_of(text.replace("t[N]", "t: int[N]"))
    backward = source[source.index("def backward") :]
    assert " @ " in backward and "[:, :, None]" not in backward and "None, :]" not in backward
    rng = np.random.default_rng(4)
    t, X, w = rng.integers(0, 3, 7), rng.normal(size=(7, 2)), rng.normal(size=7)
    one, two = t[:, None], t[None]
    mask = {"t[j] >= t[i]": two >= one, "t[j] = t[i]": two == one, "t[i] < t[j]": one < two}
    value, cache = module.forward(t, X, w)
    np.testing.assert_allclose(value, mask[condition] @ (X * w[:, None]))
    dY = rng.normal(size=(7, 2))
    dX, dw = module.backward(dY, cache)
    np.testing.assert_allclose(dX, mask[condition].T @ dY * w[:, None])
    np.testing.assert_allclose(dw, (mask[condition].T @ dY * X).sum(axis=1))


SURE = ("j <= i+2", "j >= i-1", "i+j < M")  # the others may end before or behind the axis
ENDS = (*SURE, "i+j >= 2", "2*i >= j", "j >= 2*i+1", "j+2 > 2*i")


@pytest.mark.parametrize("extent", ["M", "M+3", "M-1", "2*M"])
@pytest.mark.parametrize("condition", ENDS)
def test_sums_may_end_at_any_place_that_is_affine(condition: str, extent: str) -> None:
    text = f"x[B,M]\nC[b,i:{extent}] = sum(j:M) [{condition}]*x[b,j]\nY[b,i] = C[b,i]**2"
    source, module = module_of(text)
    assert source.count("np.cumsum(") == 2 or condition not in SURE or extent == "2*M"
    for size in (5, 2, 1):
        count = eval(extent, {"M": size})
        x = np.random.default_rng(size).normal(size=(2, size))
        places = {"i": np.arange(count)[:, None], "j": np.arange(size), "M": size}
        mask = np.broadcast_to(eval(condition, places), (count, size)).astype(float)
        value, cache = module.forward(x)
        np.testing.assert_allclose(value, (x @ mask.T) ** 2, atol=1e-12)
        dY = np.cos(value)
        np.testing.assert_allclose(
            module.backward(dY, cache), (2 * dY * (x @ mask.T)) @ mask, atol=1e-12
        )
