"""What a generated forward pass says and asserts before it computes anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from textwrap import wrap
from typing import Protocol

from ...ir.program import Define
from ...ir.size_conditions import Choice, SizeCondition
from ...ir.sizes import Size
from ...text import one_line
from .code import Code, comment
from .layout import INDENT

WIDTH = 84


class Scope(Protocol):
    """What spells sizes."""

    def size(self, value: Size) -> Code:
        """The source of a size."""


@dataclass(frozen=True)
class Preface:
    """``said`` is the docstring ("" for none), ``asserted`` what is taken for granted of sizes."""

    said: str = ""
    asserted: tuple[Choice, ...] = ()

    def docstring(self) -> list[str]:
        """The lines of the docstring."""
        lines = wrap(one_line(self.said).replace("\\", "/").replace('"', "'"), WIDTH)
        if len(lines) < 2:
            return [f'"""{line}"""' for line in lines]
        return [f'"""{lines[0]}', *lines[1:], '"""']

    def checks(self, scope: Scope) -> list[str]:
        """The lines that refuse sizes at which an assumption doesn't hold."""
        lines: list[str] = []
        for choice in self.asserted:
            if choice.source.text:
                lines.append(comment(choice.source.text))
            lines.append(f"if {_spelled(scope, choice.condition.opposite)}:")
            lines.append(
                f"{INDENT}raise ValueError({_quoted(f'this was derived for {choice.condition}')})"
            )
        return lines


NOTHING = Preface()


def extent_checks(scope: Scope, statements: Iterable[Define]) -> list[str]:
    """The lines that refuse sizes at which a tensor that the user names would have a negative
    extent. What has no name is a slice beyond an array's end, which NumPy takes for empty."""
    lines: list[str] = []
    seen: set[Size] = set()
    for statement in (s for s in statements if s.user):
        for axis, extent in enumerate(statement.target.shape):
            if extent in seen or extent.at_least(0):
                continue
            seen.add(extent)
            told = f"axis {axis} of {one_line(statement.target.name)} would have a negative extent"
            lines.append(f"if {scope.size(extent)} < 0:")
            lines.append(f"{INDENT}raise ValueError({_quoted(told)})")
    return lines


def _quoted(text: str) -> str:
    return repr(text) if '"' in text or "\\" in repr(text) else f'"{text}"'


def _spelled(scope: Scope, condition: SizeCondition) -> str:
    right = condition.right
    if isinstance(right, Fraction):
        return f"{scope.size(condition.left)} {condition.op} {float(right)!r}"
    return f"{scope.size(condition.left)} {condition.op} {scope.size(right)}"
