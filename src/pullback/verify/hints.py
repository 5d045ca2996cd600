"""What a wrong gradient looks like where no formula of the red pen fits: facts about the numbers.

Nothing is said here of terms, factors or extents: the numbers of one run can't tell them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FEW = 4


@dataclass(frozen=True)
class Around:
    """What is known beside the wrong gradient.

    ``name`` is the input's, ``integers`` are the integer inputs by name, ``others`` the right
    gradients of the other inputs, ``ones`` gives the right gradient for a cotangent of ones (None
    where it is not known).
    """

    name: str
    integers: Mapping[str, Array] = field(default_factory=dict)
    others: Mapping[str, Array] = field(default_factory=dict)
    ones: Callable[[], Array | None] = lambda: None


def hint(found: Array, right: Array, around: Around) -> str:
    """What the mistake looks like; "" where nothing fits.

    >>> hint(np.array([2.0, 4.0]), np.array([-2.0, -4.0]), Around("X"))
    'the sign is wrong everywhere'
    """
    found, right = np.asarray(found, np.float64), np.asarray(right, np.float64)
    tests = SHAPES if found.shape != right.shape else MISTAKES
    if found.shape == right.shape and not np.isfinite(found).all():
        bad = int(np.sum(~np.isfinite(found)))
        return f"{bad} of {found.size} elements are not finite"
    if right.size == 1 and found.shape == right.shape:
        return ""  # one number fits any story
    for test in tests:
        told = test(found, right, around)
        if told:
            return told
    return ""


def close(left: Array, right: Array) -> bool:
    """Whether two arrays agree in shape and, up to 1e-6 of the greatest value, everywhere."""
    if left.shape != right.shape or not left.size:
        return False
    scale = max(float(np.max(np.abs(right))), float(np.max(np.abs(left))))
    return scale > 0 and bool(np.max(np.abs(left - right)) <= 1e-6 * scale)


Test = Callable[[Array, Array, Around], str]


def _zero(found: Array, right: Array, around: Around) -> str:
    return "it is zero everywhere: nothing is ever added to it" if not found.any() else ""


def _sign(found: Array, right: Array, around: Around) -> str:
    return "the sign is wrong everywhere" if close(-found, right) else ""


def _factor(found: Array, right: Array, around: Around) -> str:
    """One factor everywhere; not for a few numbers, which many factors fit."""
    norm = float(np.sum(right * right))
    if norm == 0 or found.size < FEW:
        return ""
    ratio = float(np.sum(found * right)) / norm
    if ratio == 0 or not close(found / ratio, right):
        return ""
    return f"it is {ratio:.6g} times what it should be, everywhere"


def _permuted(found: Array, right: Array, around: Around) -> str:
    for axes in permutations(range(found.ndim)):
        if axes != tuple(range(found.ndim)) and close(found.transpose(axes), right):
            return (
                "it is transposed" if found.ndim == 2 else f"its axes are permuted: transpose{axes}"
            )
    for axis in range(found.ndim):
        if found.shape[axis] > 1 and close(np.flip(found, axis), right):
            return f"it is reversed along axis {axis}"
    return ""


def _swapped(found: Array, right: Array, around: Around) -> str:
    for name, other in around.others.items():
        if close(found, np.asarray(other, np.float64)):
            return f"it is the gradient of {name}: two gradients are in each other's place"
    return ""


def _upstream(found: Array, right: Array, around: Around) -> str:
    ones = around.ones()
    if ones is not None and close(found, ones):
        return "the upstream gradient is not used: multiply by it"
    return ""


def _repeats(found: Array, right: Array, around: Around) -> str:
    """Rows are wrong exactly where an integer input holds their number more than once."""
    if not found.ndim:
        return ""
    for name, integers in around.integers.items():
        for axis, extent in enumerate(found.shape):
            rows = np.moveaxis(np.abs(found - right), axis, 0).reshape(extent, -1).max(1)
            wrong = set(
                np.nonzero(rows > 1e-6 * max(1.0, float(np.max(np.abs(right)))))[0].tolist()
            )
            numbers, counts = np.unique(integers % extent, return_counts=True)
            once = (counts == 1).any()  # else "where it repeats" is everywhere
            if once and wrong and wrong == set(numbers[counts > 1].tolist()):
                return (
                    f"wrong exactly where {name} repeats (index {min(wrong)} along axis {axis}): "
                    "are contributions overwritten? np.add.at accumulates them"
                )
    return ""


def _mask(found: Array, right: Array, around: Around) -> str:
    scale = 1e-6 * max(
        float(np.max(np.abs(right), initial=0)), float(np.max(np.abs(found), initial=0))
    )
    wrong = np.abs(found - right) > scale
    count = int(wrong.sum())
    if not count or count == found.size:
        return ""
    if not right[wrong].any():
        return f"{count} elements should be 0 and are not; all others are right"
    if not found[wrong].any():
        return f"{count} elements are 0 and should not be; all others are right"
    return ""


def _sum_missing(found: Array, right: Array, around: Around) -> str:
    """The right numbers before a sum over some axes, or in another shape."""
    for axes in _axes(found):
        for keep in (False, True):
            summed = found.sum(axes, keepdims=keep)
            if close(summed, right):
                keepdims = ", keepdims=True" if keep else ""
                return f"it is not summed over {_spoken(axes)}: .sum({axes}{keepdims})"
    if found.size == right.size and close(found.reshape(right.shape), right):
        return f"the numbers are right, the shape is not: .reshape({right.shape})"
    if found.ndim == right.ndim:
        return _permuted(found, right, around)
    return ""


def _axes(array: Array) -> Iterator[tuple[int, ...]]:
    for count in range(1, array.ndim + 1):
        yield from combinations(range(array.ndim), count)


def _spoken(axes: Sequence[int]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


MISTAKES: tuple[Test, ...] = (
    _zero,
    _sign,
    _factor,
    _upstream,
    _permuted,
    _swapped,
    _repeats,
    _mask,
)
SHAPES: tuple[Test, ...] = (_sum_missing, _swapped)
