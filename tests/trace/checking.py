"""Comparing a traced function with the function itself, through the slow interpreter."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import trees
from pullback.ir.expr import Tensor
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.ir.subscripts import indices_of
from pullback.ir.walk import accesses, bound_indices, free_indices
from pullback.trace.tracer import Spec, Traced, trace


def draw(spec: Any, rng: np.random.Generator) -> Any:
    """An array for a spec; Python numbers and other things stand for themselves."""
    if not isinstance(spec, Arg):
        return spec
    if spec.dtype == "bool":
        return rng.random(spec.shape) > 0.5
    if spec.dtype.startswith(("int", "uint")):
        return rng.integers(int(spec.low), int(spec.high), spec.shape).astype(spec.dtype)
    return rng.uniform(spec.low, spec.high, spec.shape).astype(spec.dtype)


class Arg:
    """An argument to draw: shape, dtype, range."""

    def __init__(
        self, *shape: int, dtype: str = "float64", low: float = -2, high: float = 2
    ) -> None:
        self.shape, self.dtype, self.low, self.high = shape, dtype, low, high

    def __repr__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def F(*shape: int, low: float = -2.0, high: float = 2.0) -> Arg:
    return Arg(*shape, low=low, high=high)


def I(*shape: int, low: int = -3, high: int = 4, dtype: str = "int64") -> Arg:  # noqa: E743
    return Arg(*shape, dtype=dtype, low=low, high=high)


def B(*shape: int) -> Arg:
    return Arg(*shape, dtype="bool")


def traced(function: Callable[..., Any], arrays: Sequence[Any]) -> Traced:
    """The trace, for arguments named as the parameters, or a, b, c, ..."""
    names = [chr(ord("a") + k) for k in range(len(arrays))]
    if inspect.isfunction(function):
        kinds = [p for p in inspect.signature(function).parameters.values() if p.kind < 2]
        names = [p.name for p in kinds][: len(arrays)] or names
    return trace(function, dict(zip(names, arrays, strict=True)))


def outcome(found: Traced, arrays: Sequence[Any]) -> Any:
    """What the traced program computes, put together as the function's result."""
    leaves = [leaf for array in arrays for leaf in trees.flatten(array)[0]]
    names = [tensor.name for tensor in found.program.inputs]
    values = dict(zip(names, leaves, strict=False)) | dict(found.constants)
    results = run(found.program, {k: np.asarray(v) for k, v in values.items()})
    return found.result([shaped(results[t.name], t) for t in found.program.outputs])


def shaped(result: Any, tensor: Tensor) -> np.ndarray:
    shape = tuple(int(n.literal) for n in tensor.shape)
    flat = getattr(result, "flat", result)
    return np.array(list(flat), dtype=tensor.dtype).reshape(shape)


def compare(function: Callable[..., Any], *arrays: Any) -> Traced:
    """Traces ``function``; holds the program against it: values, shapes, dtypes."""
    before = [np.copy(a) for a in arrays]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = traced(function, arrays)
        expected = function(*[np.copy(a) if isinstance(a, np.ndarray) else a for a in arrays])
        well_formed(found.program)
        actual = outcome(found, arrays)
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)
    left, structure = trees.flatten(expected, is_leaf=lambda v: isinstance(v, np.generic))
    right, same = trees.flatten(actual)
    assert trees.same_form(structure, same)
    for want, got in zip(left, right, strict=True):
        assert np.shape(want) == got.shape
        assert np.asarray(want).dtype == got.dtype
        close(got, np.asarray(want), coarsest(arrays))
    return found


def coarsest(arrays: Sequence[Any]) -> int:
    """The bytes of the least exact float among the arguments."""
    floats = [a.dtype.itemsize for a in map(np.asarray, arrays) if a.dtype.kind == "f"]
    return min(floats, default=8)


def close(got: np.ndarray, want: np.ndarray, itemsize: int) -> None:
    if want.dtype.kind in "iub":
        np.testing.assert_array_equal(got, want)
    else:
        tolerance = {2: 5e-2, 4: 2e-5}.get(min(itemsize, want.dtype.itemsize), 1e-10)
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def well_formed(program: Program) -> None:
    """What the representation promises: ranks, distinct names, indices bound and of their axis."""
    known = set(program.inputs)
    assert len(
        {t.name for t in program.inputs} | {s.target.name for s in program.statements}
    ) == len(program.inputs) + len(program.statements)
    for statement in program.statements:
        assert tuple(i.extent for i in statement.indices) == statement.target.shape
        assert set(free_indices(statement.body)) <= set(statement.indices)
        names = [i.name for i in (*statement.indices, *bound_indices(statement.body))]
        assert len(set(names)) == len({*statement.indices, *bound_indices(statement.body)})
        for access in accesses(statement.body):
            assert access.tensor in known or access.tensor is statement.target
            assert len(access.subs) == len(access.tensor.shape)
            for sub in access.subs:
                indices_of(sub)
        known.add(statement.target)
    assert set(program.outputs) <= known


__all__ = ["B", "F", "I", "Spec", "compare", "draw", "outcome", "traced", "well_formed"]
