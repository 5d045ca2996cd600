"""Modules that are loaded when something in them is first asked for.

To derive a formula takes no arrays, and NumPy takes as long to load as all the rest. mpmath is
needed for the values of special functions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["mpmath", "np"]


class _Later:
    """A module that isn't loaded yet; what was asked for once is found as in the module itself."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self.__name__), name)
        setattr(self, name, found)
        return found


if TYPE_CHECKING:
    import mpmath
    import numpy as np
else:
    mpmath = _Later("mpmath")
    np = _Later("numpy")
