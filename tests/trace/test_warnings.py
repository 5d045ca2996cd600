"""Floating-point warnings that a function turns off are off in what is generated from it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import pullback


def quiet(x: Any) -> Any:
    with np.errstate(divide="ignore"):
        y = np.where(x > 0, np.log(x), 0.0)
    return y.sum()


def loud(x: Any) -> Any:
    return np.where(x > 0, np.log(x), 0.0).sum()


@np.errstate(divide="ignore", invalid="ignore")
def decorated(x: Any) -> Any:
    total = 0.0
    for t in range(x.shape[0]):
        total = total * np.log(x[t]) + x[t]
    return np.exp(-np.abs(total))


@pytest.mark.parametrize("function", [quiet, decorated])
def test_what_is_turned_off_stays_off(function: Any) -> None:
    x = np.array([1.0, 0.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, _ = pullback.value_and_grad(function)(x)
        forward, _ = pullback.derive(function, x="N").compile()
        assert forward(x)[0] == value == function(x)


def test_what_is_not_turned_off_warns() -> None:
    x = np.array([1.0, 0.0, 2.0])
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        pullback.grad(loud)(x)
    assert "@np.errstate" not in pullback.derive(loud, x="N").source().split("def forward")[0]


def test_what_the_caller_has_turned_off_is_no_part_of_the_source() -> None:
    with np.errstate(all="ignore"):
        source = pullback.derive(loud, x="N").source()
    assert source == pullback.derive(loud, x="N").source()
