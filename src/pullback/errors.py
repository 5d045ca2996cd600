"""What pullback says when it refuses: where, what was expected, what was found, what to do.

Each error is also the built-in error that NumPy raises for the same mistake, so that ``except
ValueError`` and its like catch it. A refusal inside a traced function fails the trace even where
the function catches it (:class:`pullback.trace.record.Sheet` keeps the first one).
"""

from __future__ import annotations

from .text import lines as shown


class PullbackError(Exception):
    """Base of every error this package raises on purpose.

    ``where`` names the place (a formula with a caret, a source line, an argument), ``expected`` and
    ``found`` the two sides of the disagreement, ``hint`` what to write instead. Text of others in
    them is shown, never obeyed: characters that don't print are escapes.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        expected: str = "",
        found: str = "",
        hint: str = "",
    ) -> None:
        self.message = shown(message)
        self.where = shown(where)
        self.expected = shown(expected)
        self.found = shown(found)
        self.hint = shown(hint)
        lines = [self.message]
        for label, text in (
            ("where", self.where),
            ("expected", self.expected),
            ("found", self.found),
            ("hint", self.hint),
        ):
            if text:
                lines.append(f"  {label + ':':<10}" + text.replace("\n", "\n" + " " * 12))
        super().__init__("\n".join(lines))


class NotationError(PullbackError, ValueError):
    """Index notation that can't be read, or that contradicts itself."""


class TraceError(PullbackError, ValueError):
    """A NumPy function that can't be traced into index notation."""


class UnsupportedError(TraceError, NotImplementedError):
    """An operation that works in NumPy and that no index notation is known for."""


class TraceTypeError(TraceError, TypeError):
    """An operation on operands of a kind that NumPy refuses with a TypeError."""


class TraceIndexError(TraceError, IndexError):
    """A position that is out of range while a function is traced."""


class TraceOverflowError(TraceError, OverflowError):
    """A number that its dtype can't hold."""


class ShapeError(PullbackError, ValueError):
    """Arrays whose shapes, dtypes or sizes don't fit the program."""


class PositionError(ShapeError, IndexError):
    """Integer arrays that point outside the axis that they subscript."""


class ArgumentError(PullbackError, TypeError, ValueError):
    """A call with arguments of a kind, structure or dtype that can't be worked with."""


class DerivationError(PullbackError, NotImplementedError):
    """A program that can't be differentiated."""


class LimitError(PullbackError, ValueError):
    """An input larger than the stated limits."""


class CheckError(PullbackError, AssertionError):
    """A check that failed: a derived or a written result is wrong."""


def caret(text: str, start: int, end: int | None = None) -> str:
    """The line of ``text`` that holds position ``start``, with carets below it.

    >>> print(caret("Y[i] = Q[i]", 7, 8))
    Y[i] = Q[i]
           ^
    """
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", start)
    stop = len(text) if stop < 0 else stop
    before, line = shown(text[begin:start]), shown(text[begin:stop])
    column = len(before)
    marked = shown(text[start : min(max(end or 0, start + 1), stop)])
    width = max(1, len(marked))
    if len(line) > 100:
        cut = max(0, column - 60)
        line, column = ("…" if cut else "") + line[cut : cut + 98] + "…", column - cut + bool(cut)
        width = min(width, 98 - column if column < 98 else 1)
    return f"{line}\n{' ' * column}{'^' * width}"
