"""Sharing across the backward pass: a sum that several statements need is computed once."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.program import Define
from .linear import Linear


def share(statements: Sequence[Define], linear: Linear) -> list[Define]:
    """The statements with sums that occur more than once named."""
    return list(statements)
