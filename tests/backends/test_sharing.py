"""What a statement needs more than once is computed before, and keeps its value until then."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import grad
from pullback.notation.parse import parse
from tests.backends.agreement import check_backward
from tests.differences import close, differences

windows = np.lib.stride_tricks.sliding_window_view


def test_a_shared_sum_is_not_built_up_under_the_name_of_the_target() -> None:
    """The target gets its own value before the sum is read for the last time."""

    def padded(x: Any) -> Any:
        wide = np.pad(x, 1, mode="edge")
        norms = np.linalg.norm(wide + 4, axis=0)
        return np.einsum("...i,...i->...", norms, windows(wide, 2, 0).sum(-1)).std()

    x = np.random.default_rng(0).normal(size=(3, 2))
    assert close(grad(padded)(x), differences(padded, (x,), np.ones(()), 0))


def test_lines_of_a_spelling_that_is_given_up_are_not_read() -> None:
    text = """
        X[M,M]
        Y[i,j] = -(sum(k:M,l:M) pad(X,0.5)[i+l+2,j])*sum(m:M) X[j,i]**3
        Z[i,j:M] = prod(k:M) [k < M]*Y[i,i]"""
    for m in (1, 2, 3):
        check_backward(parse(text), {"M": m})
