"""Pieces of definitions: index letters, options that mean one number an axis."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError


def letters(rank: int, of: str = "ijklmn") -> str:
    """That many index letters, with commas.

    >>> letters(3)
    'i,j,k'
    """
    return ",".join(of[:rank])


def each(option: str, value: Any, dims: int, least: int = 1) -> tuple[int, ...]:
    """An option that is one whole number for all axes or one an axis.

    >>> each("stride", 2, 3)
    (2, 2, 2)
    """
    found = tuple(value) if isinstance(value, tuple | list) else (value,) * dims
    if len(found) != dims or not all(type(n) is int and n >= least for n in found):
        raise ArgumentError(
            f"{option} is a whole number >= {least}, or {dims} of them",
            where=f"option {option}",
            expected=f"e.g. {option}={least + 1}",
            found=repr(value),
        )
    return found
