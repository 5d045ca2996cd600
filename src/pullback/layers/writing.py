"""Pieces of definitions: index letters, options that mean one number an axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from ..errors import ArgumentError

T = TypeVar("T")


def letters(rank: int, of: str = "ijklmn", without: str = "") -> str:
    """That many index letters, with commas.

    >>> letters(3), letters(3, without="j")
    ('i,j,k', 'i,k')
    """
    if rank > len(of):
        raise ArgumentError(f"there are layers of up to {len(of)} axes", found=f"{rank} axes")
    return ",".join(letter for letter in of[:rank] if letter not in without)


def declared(name: str, rank: int) -> str:
    """An input with sizes called as its letters are.

    >>> declared("X", 2)
    'X[I,J]'
    """
    return f"{name}[{letters(rank).upper()}]"


def axis_letter(rank: int, axis: int, option: str = "axis", of: str = "ijklmn") -> str:
    """The index letter of an axis, counted from the end where negative.

    >>> axis_letter(3, -1)
    'k'
    """
    if type(axis) is not int or not -rank <= axis < rank:
        raise ArgumentError(
            f"there is no such axis among {rank}",
            where=f"option {option}",
            expected=f"a whole number from {-rank} to {rank - 1}",
            found=repr(axis),
        )
    return of[axis % rank]


def literal(option: str, value: Any, above: float = float("-inf"), most: float = 1e300) -> str:
    """A number as index notation writes it; refuses what is no finite number > ``above`` and
    <= ``most``.

    >>> literal("alpha", 0.5), literal("alpha", 2.0)
    ('0.5', '2')
    """
    if type(value) not in (int, float) or not above < value <= most:
        bounds = (above > float("-inf")) * f" > {above}" + (most < 1e300) * f", at most {most}"
        raise ArgumentError(
            f"{option} is not a number that is allowed here",
            where=f"option {option}",
            expected=f"a number{bounds}",
            found=repr(value),
        )
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def whole(option: str, value: Any, least: int = 1) -> int:
    """An option that is a whole number >= ``least``."""
    if type(value) is not int or value < least:
        raise ArgumentError(
            f"{option} is a whole number >= {least}",
            where=f"option {option}",
            expected=f"e.g. {option}={least + 1}",
            found=repr(value),
        )
    return value


def choice(option: str, value: Any, choices: Mapping[str, T]) -> T:
    """What an option stands for that is one of some words."""
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(
            f"{option} is one of {len(choices)} words",
            where=f"option {option}",
            expected=f"one of {', '.join(choices)}",
            found=repr(value),
        )
    return choices[value]


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
