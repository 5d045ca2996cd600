"""Arrays that NumPy makes of sizes, by how they are made: where their numbers alone don't show what
they are at other sizes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from math import pi
from typing import Any

import numpy as np

from .operations import Tracer
from .record import Sheet

WINDOWS = ("bartlett", "blackman", "hamming", "hanning")


def traced_constant(sheet: Sheet, array: np.ndarray[Any, Any]) -> Tracer:
    """An array of numbers as a traced one."""
    return Tracer(sheet, sheet.value(array))


def _indices(
    sheet: Sheet, dimensions: Sequence[int], dtype: Any = int, sparse: bool = False
) -> Any:
    """``np.indices``: of each axis its positions."""
    shape = tuple(map(operator.index, dimensions))
    lines = []
    for k, n in enumerate(shape):
        line = traced_constant(sheet, np.arange(n, dtype=dtype))
        lines.append(np.reshape(line, (1,) * k + (-1,) + (1,) * (len(shape) - k - 1)))
    if sparse:
        return tuple(lines)
    return np.stack([np.broadcast_to(line, shape) for line in lines])


def _fromfunction(
    sheet: Sheet,
    function: Callable[..., Any],
    shape: Sequence[int],
    *,
    dtype: Any = float,
    **more: Any,
) -> Any:
    return function(*_indices(sheet, shape, dtype), **more)


def _logspace(
    sheet: Sheet, start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0
) -> Any:
    return np.power(base, traced_constant(sheet, np.linspace(start, stop, num, endpoint)))


def _geomspace(sheet: Sheet, start: Any, stop: Any, num: int = 50, endpoint: bool = True) -> Any:
    exponents = traced_constant(sheet, np.linspace(0.0, 1.0, num, endpoint))
    return start * np.power(stop / start, exponents)


def _window(*waves: float) -> Callable[[Sheet, int], Any]:
    """A sum of cosines that ends at both ends of the array."""

    def build(sheet: Sheet, count: int) -> Any:
        if count < 2:
            return np.ones(max(count, 0))
        turn = traced_constant(sheet, np.arange(count)) * (2 * pi / (count - 1))
        return sum(w * np.cos(k * turn) if k else w for k, w in enumerate(waves))

    return build


def _bartlett(sheet: Sheet, count: int) -> Any:
    if count < 2:
        return np.ones(max(count, 0))
    place = traced_constant(sheet, np.arange(count)) / (count - 1)
    return 1 - np.abs(2 * place - 1)


def _fftfreq(sheet: Sheet, n: int, d: Any = 1.0) -> Any:
    """0, 1, ..., then the negative ones, over n·d."""
    place = traced_constant(sheet, np.arange(n))
    return np.where(place < (n + 1) // 2, place, place - n) / (n * d)


def _rfftfreq(sheet: Sheet, n: int, d: Any = 1.0) -> Any:
    return traced_constant(sheet, np.arange(n // 2 + 1)) / (n * d)


SPELLED: dict[Any, Callable[..., Any]] = {
    np.indices: _indices,
    np.fft.fftfreq: _fftfreq,
    np.fft.rfftfreq: _rfftfreq,
    np.fromfunction: _fromfunction,
    np.logspace: _logspace,
    np.geomspace: _geomspace,
    np.hanning: _window(0.5, -0.5),
    np.hamming: _window(0.54, -0.46),
    np.blackman: _window(0.42, -0.5, 0.08),
    np.bartlett: _bartlett,
}
