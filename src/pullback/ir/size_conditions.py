"""Conditions on named sizes: two forms, and how they compare."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .program import Source
from .sizes import Size

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
}
OPPOSITE = {"<": ">=", "<=": ">", "==": "!=", "!=": "==", ">": "<=", ">=": "<"}


@dataclass(frozen=True)
class SizeCondition:
    """``left op right``, where the right side may be a number that is not whole.

    >>> from .sizes import size
    >>> small = SizeCondition(size("N"), "<", size(1000))
    >>> print(small, "and", small.opposite, small.holds({"N": 7}))
    N < 1000 and N >= 1000 True
    """

    left: Size
    op: str
    right: Size | Fraction

    def __str__(self) -> str:
        right = self.right if isinstance(self.right, Size) else repr(float(self.right))
        return f"{self.left} {self.op} {right}"

    @property
    def names(self) -> tuple[str, ...]:
        """The named sizes in it."""
        right = self.right.names() if isinstance(self.right, Size) else ()
        return tuple(dict.fromkeys((*self.left.names(), *right)))

    @property
    def opposite(self) -> SizeCondition:
        """The condition that holds where this one doesn't."""
        return SizeCondition(self.left, OPPOSITE[self.op], self.right)

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether it holds at given values of the names."""
        right = self.right.value(sizes) if isinstance(self.right, Size) else self.right
        return COMPARE[self.op](self.left.value(sizes), right)

    @property
    def always(self) -> bool:
        """Whether it is known to hold at all sizes of at least 1; False means "not known"."""
        if not isinstance(self.right, Size):
            return False
        names = self.names
        less, more = self.right - self.left, self.left - self.right
        match self.op:
            case "<":
                return less.at_least(1, names)
            case "<=":
                return less.at_least(0, names)
            case ">":
                return more.at_least(1, names)
            case ">=":
                return more.at_least(0, names)
            case "==":
                return self.left is self.right
            case _:
                return less.at_least(1, names) or more.at_least(1, names)


@dataclass(frozen=True)
class Choice:
    """A condition on sizes that decides what a function computes, as it came out; and its line."""

    condition: SizeCondition
    source: Source
