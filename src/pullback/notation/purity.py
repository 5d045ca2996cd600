"""What a syntax or a printed value holds, as bits."""

from __future__ import annotations

NUMBER, SIZE, INDEX, LOOKUP, IMPURE = 0, 1, 2, 4, 8
"""Integers only (0), sizes, indices, integer arrays; anything that can't be in a subscript."""
