"""NumPy source from statements: what a good engineer would write by hand."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .module import spell as spell
    from .module import spell_pair as spell_pair

__all__ = ["spell", "spell_pair"]


def __getattr__(name: str) -> Any:
    """Nothing is loaded before it is asked for: names are checked by a part of this."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(".module", __name__), name)
    return value
