"""NumPy source from statements: what a good engineer would write by hand."""

from __future__ import annotations

from .module import spell, spell_pair

__all__ = ["spell", "spell_pair"]
