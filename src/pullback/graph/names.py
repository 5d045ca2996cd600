"""Names as formulas show them."""

from __future__ import annotations

from ..notation.terminal import Terminal


def label(name: str) -> str:
    """A name as formulas show it.

    >>> label("w0"), label("dx_hat")
    ('w₀', 'dx̂')
    """
    return Terminal().word(name)
