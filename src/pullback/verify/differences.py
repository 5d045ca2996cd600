"""Derivatives by differences: oracles that know nothing of how a gradient was derived."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEVELS = 5
STEP = 2.0**-5
SIDES = 1e-4  # one-sided slopes that are closer to each other, relatively, are one slope


@dataclass(frozen=True)
class Slope:
    """A derivative by differences: its value and an estimate of its error.

    ``kink`` tells that the slopes from the left and from the right differ: there is no derivative.
    ``sides`` are these two slopes then, None where they are not finite.
    """

    value: float
    error: float
    kink: bool = False
    sides: tuple[float, float] | None = None

    def admits(self, value: float, tolerance: float) -> bool:
        """Whether a finite value lies between the slopes from the left and from the right.

        >>> slope(abs).admits(0.3, 1e-3), slope(abs).admits(2.0, 1e-3)
        (True, False)
        """
        if self.sides is None or not np.isfinite(value):
            return False
        slack = tolerance + SIDES * max(1.0, *map(abs, self.sides))
        return min(self.sides) - slack <= value <= max(self.sides) + slack


def slope(line: Callable[[float], float], step: float = STEP) -> Slope:
    """The derivative of ``line`` at 0, by central differences extrapolated to a vanishing step.

    Steps start at ``step`` and are halved (Richardson); of the extrapolations the one that changes
    least is taken. Where none settles, smaller steps are tried, then one-sided slopes are compared.

    >>> import math
    >>> abs(slope(lambda t: math.exp(t)).value - 1) < 1e-11
    True
    >>> slope(abs).kink
    True
    """
    best = Slope(float("nan"), float("inf"))
    for scale in (step, step / 32, step / 1024, step / 2**20):
        found = _extrapolated(line, scale)
        if found.error < best.error:
            best = found
        if best.error <= 1e-8 * max(1.0, abs(best.value)):
            return _with_kink(line, best)
    return _with_kink(line, best)


def _extrapolated(line: Callable[[float], float], step: float) -> Slope:
    rows: list[list[float]] = []
    best = Slope(float("nan"), float("inf"))
    for level in range(LEVELS):
        h = step / 2**level
        row = [(line(h) - line(-h)) / (2 * h)]
        for k, before in enumerate(rows[-1] if rows else []):
            row.append(row[k] + (row[k] - before) / (4.0 ** (k + 1) - 1))
        if rows:
            for k in range(1, len(row)):
                error = max(abs(row[k] - row[k - 1]), abs(row[k] - rows[-1][k - 1]))
                if error < best.error:
                    best = Slope(row[k], error)
        rows.append(row)
    return best


def _with_kink(line: Callable[[float], float], found: Slope) -> Slope:
    """The same, with the slopes on both sides compared: at a kink they don't get closer."""
    here, before = line(0.0), float("nan")
    last = float("nan"), float("nan")
    for h in (1e-6, 1e-6 / 16, 1e-6 / 256):
        left, right = line(-h), line(h)
        sides = (here - left) / h, (right - here) / h
        noise = 64 * np.finfo(np.float64).eps * max(abs(here), abs(left), abs(right)) / h
        apart = abs(sides[1] - sides[0])
        if apart <= SIDES * max(1.0, *map(abs, sides)) + noise or apart < before / 2:
            return found
        before, earlier, last = apart, last, sides
    pairs = zip(earlier, last, strict=True)
    settled = all(abs(b - a) <= SIDES * max(1.0, abs(b)) + noise for a, b in pairs)
    kink = before == before
    return Slope(found.value, found.error, kink, last if kink and settled else None)


def complex_slope(line: Callable[[complex], complex]) -> float | None:
    """The derivative at 0 by a complex step, exact to rounding; None where there is none.

    There is none where ``line`` takes no complex number. A function may take complex numbers and
    yet not be analytic (an abs, a comparison): compare with :func:`slope` before relying on it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            value = line(1e-30j)
        except (
            Exception
        ):  # whatever a user's function raises on complex numbers: it doesn't take them
            return None
    found = complex(value).imag / 1e-30
    return found if np.isfinite(found) else None
