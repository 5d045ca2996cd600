"""Comparing a program with named sizes with the function itself, at sizes it was not traced at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pullback.ir.interpret import run
from pullback.trace.annotations import spec
from pullback.trace.generalise import Named


def arguments(specs: Mapping[str, Any], sizes: Mapping[str, int], seed: int = 0) -> dict[str, Any]:
    """Random arguments; integers are positions in an axis of two elements or more."""
    random = np.random.default_rng(seed)
    drawn = {}
    for name, text in specs.items():
        wanted = spec(text)
        shape = wanted.at(sizes)
        if "int" in wanted.dtype:
            drawn[name] = random.integers(-2, 2, shape)
        elif wanted.dtype == "bool":
            drawn[name] = random.random(shape) < 0.5
        else:
            drawn[name] = random.uniform(0.3, 2.0, shape)
    return drawn


def assert_same_values(
    traced: Named,
    function: Callable[..., Any],
    specs: Mapping[str, Any],
    sizes: Mapping[str, int],
    seed: int = 0,
) -> None:
    given = arguments(specs, sizes, seed)
    wanted = function(**{name: value.copy() for name, value in given.items()})
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    found = run(traced.program, {**given, **traced.constants}, sizes=sizes)
    assert len(wanted) == len(traced.program.outputs)
    for value, tensor in zip(wanted, traced.program.outputs, strict=True):
        value = np.asarray(value)
        assert tuple(extent.value(sizes) for extent in tensor.shape) == value.shape
        assert tensor.dtype == value.dtype.name
        made = np.array(found[tensor.name].flat, dtype=value.dtype).reshape(value.shape)
        np.testing.assert_allclose(made, value, rtol=1e-9, atol=1e-12)
