"""The dot test: ⟨u, Jv⟩ = ⟨Jᵀu, v⟩ for random u and v, to rounding, without any differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .differences import STEP
from .gradients import Function, GradientCheck, as_tuple, own
from .report import Report


def dot_test(
    f: Function,
    args: Sequence[Any],
    *,
    seed: int = 0,
    vjp: Function | None = None,
    jvp: Function | None = None,
) -> Report:
    """Whether the pullback and the pushforward of ``f`` at ``args`` are transposes of each other.

    >>> import numpy as np
    >>> dot_test(lambda X, w: np.tanh(X @ w), (np.eye(3), np.ones(3))).passed
    True
    """
    check = GradientCheck(f, as_tuple(args), None, STEP, 0.0, 0.0, seed)
    found = check.dot(vjp or own("vjp"), jvp or own("jvp"))
    return Report("dot test", (found,), seed)
