"""What is taken at kinks and ties, where more than one choice is right. The first choice is the
default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from ..errors import ArgumentError
from ..ir.expr import ZERO, Add, Apply, Compare, Expr, Guard, Mul, Number, Power, neg
from ..text import nearest

CONVENTIONS: dict[str, dict[str, str]] = {
    "maximum": {
        "zero": "maximum(x, c) against a constant passes nothing at x = c: relu'(0) = 0",
        "half": "it passes one half at x = c",
        "one": "it passes all at x = c",
    },
    "ties": {
        "share": "between two differentiated values each gets one half at a tie",
        "first": "at a tie the first argument gets all",
    },
    "norm": {
        "zero": "a root of a sum of squares, or of other powers, has gradient 0 where the sum is 0",
        "infinite": "roots are differentiated without exception: infinite, or undefined, at 0",
    },
    "clip": {
        "inclusive": "clip(x, lo, hi) passes at its bounds",
        "exclusive": "it passes nothing at its bounds",
    },
}


def chosen(conventions: Mapping[str, str], name: str) -> str:
    """The choice made for a convention, the default where none was."""
    return conventions.get(name, next(iter(CONVENTIONS[name])))


def checked(conventions: Mapping[str, str]) -> Mapping[str, str]:
    """The conventions, if all are known; raises ArgumentError."""
    for name, choice in conventions.items():
        if name not in CONVENTIONS:
            raise ArgumentError(
                f"there is no convention {name!r}",
                expected=f"one of {', '.join(CONVENTIONS)}",
                found=repr(name),
                hint=_meant(name, CONVENTIONS),
            )
        if choice not in CONVENTIONS[name]:
            raise ArgumentError(
                f"the convention {name!r} has no choice {choice!r}",
                where=f"conventions[{name!r}]",
                expected=f"one of {', '.join(CONVENTIONS[name])}",
                found=repr(choice),
                hint=_meant(choice, CONVENTIONS[name]),
            )
    return conventions


def _meant(given: str, known: Iterable[str]) -> str:
    close = nearest(str(given), known, 1)
    return f"did you mean {close[0]!r}?" if close else ""


def partial_at_kink(
    value: Apply, k: int, lone: bool, conventions: Mapping[str, str], strict: bool = False
) -> Expr | None:
    """The partial derivative that a convention puts in place of the table's, None where none does.

    ``lone`` tells whether argument ``k`` is the only differentiated one; ``strict`` that the
    derivative wanted is 0 at a kink of ``maximum`` and ``minimum``, whatever the convention.
    """
    match value.function, value.args:
        case "maximum" | "minimum", (first, second):
            mine, other = (first, second) if k == 0 else (second, first)
            pair = (other, mine) if value.function == "maximum" else (mine, other)
            op: str | None
            if strict:
                op = "<"
            elif lone:
                choice = chosen(conventions, "maximum")
                op = {"zero": "<", "one": "<=", "half": None}[choice]
            else:
                choice = chosen(conventions, "ties")
                op = {"share": None, "first": "<=" if k == 0 else "<"}[choice]
            return None if op is None else Guard(Compare(op, *pair))
        case "hypot", legs if chosen(conventions, "norm") == "infinite":
            return Mul((legs[k], Power(value, Fraction(-1))))
        case "clip", (x, low, high) if k == 0 and chosen(conventions, "clip") == "exclusive":
            return Mul((Guard(Compare("<", low, x)), Guard(Compare("<", x, high))))
        case _:
            return None


def sides_at_kink(
    value: Apply, k: int, lone: bool, conventions: Mapping[str, str]
) -> list[tuple[Expr, int]]:
    """The arguments at whose zeros a function has a kink in its argument ``k``, each with the side
    from which its derivative is taken there: -1, 1, or 0 for the mean of both.

    ``lone`` tells whether argument ``k`` is the only differentiated one.
    """
    match value.function, value.args:
        case ("abs" | "sign", (x,)) | ("copysign", (x, _)) if k == 0:
            return [(x, 0)]
        case "maximum" | "minimum", (first, second):
            least = value.function == "minimum"
            if lone:
                side = {"zero": -1, "half": 0, "one": 1}[chosen(conventions, "maximum")]
                turned = -1 if (k == 1) is not least else 1
                return [(_minus(first, second), side * turned)]
            side = {"share": 0, "first": -1 if least else 1}[chosen(conventions, "ties")]
            return [(_minus(first, second), side)]
        case "clip", (x, low, high):
            inside = chosen(conventions, "clip") == "inclusive" or k != 0
            above = [(_minus(x, low), 1 if inside else -1)] * is_finite(low)
            below = [(_minus(x, high), -1 if inside else 1)] * is_finite(high)
            return [[*above, *below], above, below][k]
        case "hypot", (x, y) if ZERO in (x, y) and chosen(conventions, "norm") == "zero":
            return [(x if y is ZERO else y, 0)]
        case _:
            return []


def is_finite(bound: Expr) -> bool:
    """Whether a value isn't written as an infinity, which bounds nothing."""
    return not isinstance(bound, Number) or not bound.special


def _minus(left: Expr, right: Expr) -> Expr:
    return left if right is ZERO else Add((left, neg(right)))
