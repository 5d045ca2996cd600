"""Precedences: how tightly things bind, the same for the parser and all printers."""

from __future__ import annotations

LOOSEST, OR, AND, NOT, COMPARE, SUM, PRODUCT, UNARY, POWER, ATOM = range(10)

LEVELS: dict[str, int] = {
    "or": OR, "and": AND,
    "=": COMPARE, "==": COMPARE, "!=": COMPARE,
    "<": COMPARE, "<=": COMPARE, ">": COMPARE, ">=": COMPARE,
    "+": SUM, "-": SUM,
    "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT,
    "**": POWER, "^": POWER,
}  # fmt: skip
"""What the infix operators bind with."""
