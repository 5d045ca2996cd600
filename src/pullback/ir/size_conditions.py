"""Conditions on named sizes: two forms, and how they compare; those that reads rely on."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .expr import Access, Guard, Mul, Select
from .program import Define, Source
from .sizes import Size, size
from .walk import Tree, children

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


def last_places(statement: Define) -> Iterator[tuple[Access, int]]:
    """The reads, each with its axis, of the last place of an axis of named extent that stand
    under no condition: they are made wherever the statement has an element."""
    pending: list[Tree] = [statement.body]
    while pending:
        node = pending.pop()
        if isinstance(node, Access):
            for axis, (sub, extent) in enumerate(zip(node.subs, node.tensor.shape, strict=True)):
                if not sub.terms and extent.literal is None and sub.const is extent - 1:
                    yield node, axis
        elif not isinstance(node, Select) and not _is_guarded(node):
            pending += reversed(children(node))


def empty_unless(statements: Iterable[Define]) -> tuple[Choice, ...]:
    """The conditions that the axes aren't empty whose last place is read.

    >>> from ..notation.parse import parse
    >>> program = parse("X[L]; Y[] = X[L-1]")
    >>> print(*(choice.condition for choice in empty_unless(program.statements)))
    L >= 1
    """
    found: dict[SizeCondition, Choice] = {}
    for statement in statements:
        for access, axis in last_places(statement):
            condition = SizeCondition(access.tensor.shape[axis], ">=", size(1))
            found.setdefault(condition, Choice(condition, statement.source))
    return tuple(found.values())


def _is_guarded(node: Tree) -> bool:
    return isinstance(node, Mul) and any(isinstance(factor, Guard) for factor in node.factors)
