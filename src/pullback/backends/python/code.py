"""Pieces of Python source that know how tightly they bind."""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.program import Define
from ...text import one_line

LONGEST = 300  # characters of a comment

# How tightly the operators of Python bind, from loose to tight.
COMPARE, OR, XOR, AND, SUM, PRODUCT, UNARY, POWER, ATOM = range(9)

BINDING = {
    "<": COMPARE, "<=": COMPARE, ">": COMPARE, ">=": COMPARE, "==": COMPARE, "!=": COMPARE,
    "|": OR, "&": AND,
    "+": SUM, "-": SUM,
    "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT, "@": PRODUCT,
    "**": POWER,
}  # fmt: skip


@dataclass(frozen=True)
class Code:
    """The text of an expression and the binding strength of its outermost operator."""

    text: str
    level: int = ATOM

    def at(self, level: int) -> str:
        """The text, in parentheses if it binds less tightly than ``level``."""
        return self.text if self.level >= level else f"({self.text})"

    @property
    def is_name(self) -> bool:
        """Whether this is just a name (reading it twice costs nothing)."""
        return self.text.isidentifier()

    def __str__(self) -> str:
        return self.text


def binary(op: str, left: Code, right: Code) -> Code:
    """``left op right``; every operator but ``**`` associates to the left.

    >>> print(binary("-", Code("a"), binary("-", Code("b"), Code("c"))))
    a - (b - c)
    """
    level = BINDING[op]
    if level in (COMPARE, POWER):
        return Code(f"{left.at(level + 1)} {op} {right.at(level + 1)}", level)
    return Code(f"{left.at(level)} {op} {right.at(level + 1)}", level)


def minus(value: Code) -> Code:
    """``-value``."""
    return Code(f"-{value.at(UNARY)}", UNARY)


def call(function: str, *args: object, **named: object) -> Code:
    """``function(args, name=value)``."""
    parts = [*map(str, args), *(f"{key}={value}" for key, value in named.items())]
    return Code(f"{function}({', '.join(parts)})")


def comment(text: str) -> str:
    r"""A comment of one line, whatever the text holds: the one way that text becomes a comment.

    >>> print(comment("Y[i] = X[i]" + chr(13) + "import os"))
    # Y[i] = X[i] import os

    A very long line, such as a lambda among many others, is cut.
    """
    line = one_line(text)
    return f"# {line if len(line) <= LONGEST else line[: LONGEST - 4].rstrip() + ' ...'}"


def remark(define: Define) -> str:
    """The comment above a statement: the forward line that it is the gradient of, or that it
    computes."""
    text = define.source.text.strip()
    if define.of:
        return comment(f"gradient of {define.of}" + (f", from {text}" if text else ""))
    return comment(text) if text else ""


def without_comment(line: str) -> str:
    """A line of source without the comment that it is, or that stands behind two blanks."""
    return "" if line.lstrip().startswith("# ") else line.partition("  # ")[0]


def tuple_of(parts: list[str]) -> str:
    """A tuple display."""
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
