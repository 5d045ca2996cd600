"""The numerical error of derived gradients, measured: float32 against float64, and differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..derivation import Derivation
from ..layers import Example
from ..verify.differences import slope

Array = np.ndarray[Any, Any]

DRAWS = 5  # sets of arrays that are tried; the worst counts
LARGE = 0.01  # elements of at least this part of the largest are measured in ulp of their own
MOST = 200  # elements of an input by which differences are taken


@dataclass(frozen=True)
class Error:
    """The worst error of one gradient over several draws.

    ``ulp`` is that of float32 in units in the last place of each element (those of at least
    ``LARGE`` of the largest), ``relative`` that of float32 relative to the largest element,
    ``differences`` that of float64 against differences of the forward pass, relative to the
    largest element; nan where there is none to tell.
    """

    name: str
    ulp: float
    relative: float
    differences: float


def errors(derived: Derivation, example: Example) -> tuple[Error, ...]:
    """The worst errors, for each input that has a gradient."""
    found = [_errors(derived, example, seed) for seed in range(DRAWS)]
    names = [t.name for t in derived.backward.wrt]
    return tuple(Error(name, *(_worst(of) for of in zip(*rows, strict=True)))
                 for name, rows in zip(names, zip(*found, strict=True), strict=True))  # fmt: skip


def _worst(values: tuple[float, ...]) -> float:
    known = [v for v in values if v == v]
    return max(known, default=float("nan"))


def _errors(derived: Derivation, example: Example, seed: int) -> list[tuple[float, float, float]]:
    narrow = example.arrays(seed, "float32")
    wide = {n: a.astype("float64") if a.dtype.kind == "f" else a for n, a in narrow.items()}
    floats = [t for t in derived.backward.program.inputs if t.kind == "float"]
    with np.errstate(all="ignore"):
        _, exact = _gradients(derived, wide, seed, "float64")
        rounded = dict[str, Array]()
        if all(t.dtype == "float" for t in floats):  # not traced in one precision
            _, rounded = _gradients(derived, narrow, seed, "float32")
        quotients = _differences(derived, wide, seed) if seed == 0 else {}
    return [
        (*_rounding(rounded.get(n), exact[n]), _distance(quotients.get(n), exact[n])) for n in exact
    ]


def _gradients(
    derived: Derivation, arrays: Mapping[str, Array], seed: int, dtype: str
) -> tuple[list[Array], dict[str, Array]]:
    """The outputs, and the gradients by name for an upstream gradient drawn for the seed."""
    forward, backward = derived.compile()
    value, cache = forward(**arrays)
    outputs = list(map(np.asarray, value if isinstance(value, tuple) else (value,)))
    upstream = [u.astype(dtype) for u in _upstream(outputs, seed)]
    found = backward(tuple(upstream) if isinstance(value, tuple) else upstream[0], cache)
    names = [t.name for t in derived.backward.wrt]
    return outputs, {n: np.asarray(found if len(names) == 1 else found[n]) for n in names}


def _upstream(outputs: list[Array], seed: int) -> list[Array]:
    """Random cotangents of the float outputs, of float32's precision."""
    rng = np.random.default_rng(seed + 1)
    floats = [o for o in outputs if o.dtype.kind == "f"]
    return [np.asarray(rng.normal(size=o.shape), "float32") for o in floats]


def _rounding(rounded: Array | None, exact: Array) -> tuple[float, float]:
    """In ulp of the elements, and relative to the largest."""
    if rounded is None:
        return float("nan"), float("nan")
    size = np.abs(exact)
    if not size.size or not size.max() > 0 or not np.isfinite(size.max()):
        return 0.0, 0.0
    error = np.abs(np.asarray(rounded, "float64") - exact)
    large = size >= LARGE * size.max()
    units = np.asarray(np.spacing(np.asarray(size[large], "float32")), "float64")
    return float((error[large] / units).max()), float(error.max() / size.max())


def _distance(quotient: Array | None, exact: Array) -> float:
    if quotient is None or not exact.size:
        return float("nan")
    told = np.isfinite(quotient)
    if not told.any():
        return float("nan")
    scale = max(float(np.abs(exact).max()), 1.0)
    return float(np.abs(quotient - exact)[told].max() / scale)


def _differences(derived: Derivation, arrays: Mapping[str, Array], seed: int) -> dict[str, Array]:
    """The gradients by differences of the forward pass; nan at kinks and for large inputs."""
    forward, _ = derived.compile()

    def loss(name: str, array: Array) -> float:
        value, _ = forward(**{**arrays, name: array})
        outputs = list(map(np.asarray, value if isinstance(value, tuple) else (value,)))
        floats = [o for o in outputs if o.dtype.kind == "f"]
        return float(
            sum((o * u).sum() for o, u in zip(floats, _upstream(outputs, seed), strict=True))
        )

    return {
        t.name: _slopes(lambda a, name=t.name: loss(name, a), arrays[t.name])  # type: ignore[misc]
        for t in derived.backward.wrt
        if 0 < arrays[t.name].size <= MOST
    }


def _slopes(loss: Callable[[Array], float], array: Array) -> Array:
    found = np.empty(array.shape)
    for place in np.ndindex(array.shape):

        def line(t: float, place: tuple[int, ...] = place) -> float:
            moved = array.copy()
            moved[place] += t
            return loss(moved)

        one = slope(line)
        found[place] = float("nan") if one.kink else one.value
    return found
