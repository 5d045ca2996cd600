"""What becomes of one case, and the oracles that decide."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback import trees
from pullback.errors import PullbackError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Outcome:
    """``status`` is "right", "refused", "wrong", "foreign" or "undefined".

    "foreign" is an exception that is no :class:`PullbackError` and that the user's own code doesn't
    raise. "undefined" is a case that says nothing: the function itself fails or isn't finite there,
    or no difference quotient settles. ``reason`` says why a case was refused, or what is wrong.
    """

    status: str
    reason: str = ""


RIGHT = Outcome("right")
UNDEFINED = Outcome("undefined")


class Wrong(Exception):
    """A result that differs from its oracle."""


class Undefined(Exception):
    """A case that says nothing."""


def judged(case: Callable[[], None]) -> Outcome:
    """What becomes of a case: a function that raises :class:`Wrong` where a result differs."""
    try:
        case()
    except Wrong as error:
        return Outcome("wrong", str(error))
    except Undefined:
        return UNDEFINED
    except PullbackError as error:
        return Outcome("refused", reason_of(error))
    except Exception as error:
        return Outcome("foreign", f"{type(error).__name__}: {error}"[:300])
    return RIGHT


def reason_of(error: PullbackError) -> str:
    """The first line of an error, less what differs from case to case."""
    line = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "…", error.message.split("\n")[0])
    return f"{type(error).__name__}: {re.sub(r'[0-9]+', '#', line)}"[:100]


def floats_of(result: Any) -> list[Array]:
    """The float arrays of a result, flat."""
    leaves, _ = trees.flatten(result, "the result", lambda v: isinstance(v, np.generic | float))
    return [np.asarray(leaf) for leaf in leaves if np.asarray(leaf).dtype.kind == "f"]


def finite(arrays: Sequence[Array]) -> bool:
    """Whether every element is a finite number."""
    return all(bool(np.isfinite(array).all()) for array in arrays)


def expect_equal(what: str, found: Any, wanted: Any, tolerance: float = 1e-9) -> None:
    """Raises Wrong where two arrays differ by more than ``tolerance`` of the largest element."""
    left, right = np.asarray(found), np.asarray(wanted)
    if left.shape != right.shape:
        raise Wrong(f"{what}: shape {left.shape}, expected {right.shape}")
    if left.dtype.kind in "biu" and right.dtype.kind in "biu":
        if not np.array_equal(left, right):
            raise Wrong(f"{what}: {left.tolist()!r:.80}, expected {right.tolist()!r:.80}")
        return
    with np.errstate(all="ignore"):
        scale = max(1.0, float(np.max(np.abs(right[np.isfinite(right)]), initial=0.0)))
        same = np.isclose(left, right, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
    if not same.all():
        first = tuple(int(n) for n in np.argwhere(~same)[0])
        raise Wrong(f"{what}{list(first)}: {left[first]!r}, expected {right[first]!r}")


def slopes(line: Callable[[float], float]) -> tuple[float, float, float] | None:
    """The slopes of a function of one number at 0 from the left and from the right, and a bound of
    their error; None where difference quotients don't settle.
    """
    at0 = line(0.0)

    def sided(sign: float) -> tuple[float, float]:
        # The best of several steps: Richardson's extrapolation of one-sided quotients.
        best, error = 0.0, np.inf
        for h in (1e-3, 2e-4, 4e-5):
            d1 = (line(sign * h) - at0) / (sign * h)
            d2 = (line(sign * h / 2) - at0) / (sign * h / 2)
            d3 = (line(sign * h / 4) - at0) / (sign * h / 4)
            e1, e2 = 2 * d2 - d1, 2 * d3 - d2
            found = (4 * e2 - e1) / 3
            guess = abs(found - e2) + 1e-14 * abs(at0) / h
            if guess < error:
                best, error = found, guess
        return best, float(error)

    left, wrong_left = sided(-1.0)
    right, wrong_right = sided(1.0)
    error = max(wrong_left, wrong_right)
    if not np.isfinite([left, right, error]).all() or error > 1e-3 * max(1.0, abs(left)):
        return None
    return left, right, error


def expect_slope(what: str, line: Callable[[float], float], says: float, slack: float) -> bool:
    """Raises Wrong where ``says`` isn't the slope of a function at 0.

    Returns whether anything could be compared: not where the slopes from both sides differ, since
    what holds at a kink of several variables is a convention.
    """
    found = slopes(line)
    if found is None:
        return False
    left, right, error = found
    margin = 10 * error + slack * max(1.0, abs(left), abs(right))
    if abs(left - right) > margin:
        return False
    if not abs(says - left) <= 2 * margin:
        raise Wrong(f"{what}: {says:.9g}, differences say {left:.9g}")
    return True
