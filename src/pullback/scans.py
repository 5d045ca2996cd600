"""Loops that say outright what they carry from step to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import trees
from .errors import ArgumentError

Step = Callable[[Any, Any], tuple[Any, Any]]


def scan(
    function: Step, carry: Any, xs: Any = None, *, length: int | None = None, reverse: bool = False
) -> tuple[Any, Any]:
    """Goes along the first axis of ``xs``, a value carried along.

    ``function(carry, x)`` gives the next carry and an output ``y``; ``x`` holds element t of every
    array of ``xs``, of shape ``shape[1:]``. Returned are the last carry and the outputs, stacked
    along a new first axis: element t is that of step t, also where ``reverse`` goes from the
    last step to the first. ``xs``, ``carry`` and ``y`` may be nested; ``y`` may be None. Without
    ``xs`` there are ``length`` steps, and ``x`` is None. Of no steps the carry comes back as it is;
    the function is then called once, with zeros, for the shapes of its outputs.

    In a function that is derived, the steps are one recurrence, whatever their number. Outside of
    one, this is the plain loop. Raises ArgumentError where the arrays have no common first axis.

    >>> def step(mean, x):
    ...     mean = 0.5 * mean + 0.5 * x
    ...     return mean, mean
    >>> last, means = scan(step, 0.0, np.array([1.0, 2.0, 4.0]))
    >>> print(last, means)
    2.625 [0.5   1.25  2.625]
    """
    leaves, structure = trees.flatten(xs, "xs")
    steps = _steps(leaves, length)
    outputs: list[list[Any]] = []
    form: trees.Structure | None = None
    for t in reversed(range(steps)) if reverse else range(steps):
        x = trees.unflatten(structure, [leaf[t] for leaf in leaves])
        carry, y = function(carry, x)
        found, form = trees.flatten(y, "the output of a step")
        outputs.append(found)
    if form is None:
        zeros = [np.zeros(leaf.shape[1:], dtype=leaf.dtype) for leaf in leaves]
        found, form = trees.flatten(function(carry, trees.unflatten(structure, zeros))[1])
        return carry, trees.unflatten(form, [_empty(leaf) for leaf in found])
    ordered = outputs[::-1] if reverse else outputs
    return carry, trees.unflatten(form, [np.stack(parts) for parts in zip(*ordered, strict=True)])


def _steps(leaves: list[Any], length: int | None) -> int:
    """The number of steps."""
    shapes = [np.shape(leaf) for leaf in leaves]
    extents = {shape[0] for shape in shapes if shape} | ({length} if length is not None else set())
    if len(extents) != 1 or () in shapes:
        raise ArgumentError(
            "the number of steps isn't known",
            where="pullback.scan",
            expected="arrays with a first axis of one length, or length=",
            found=f"shapes {', '.join(map(str, shapes)) or 'of no arrays'}, length={length}",
            hint="pass what is the same at all steps by closing over it",
        )
    (found,) = extents
    return int(found)


def _empty(leaf: Any) -> Any:
    return np.zeros((0, *np.shape(leaf)), dtype=getattr(leaf, "dtype", float))
