"""Text to tokens: names, numbers, operators and the ends of statements."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from ..errors import LimitError, NotationError, PullbackError, caret
from ..text import escape, forbidden
from .limits import MAX_DECIMAL_EXPONENT, MAX_DEPTH, MAX_DIGITS, MAX_NAME, MAX_TEXT

KEYWORDS = frozenset({"and", "or", "not", "if", "of", "return", "inf", "nan"})

LOOKALIKES = {
    "≤": "<=", "≥": ">=", "≠": "!=", "−": "-", "–": "-", "·": "*", "×": "*", "⋅": "*",
    "∑": "sum(n)", "Σ": "sum(n)", "√": "sqrt(...)", "²": "**2", "³": "**3", "∞": "inf",
    "&": "and", "|": "or", "!": "not", "@": "sum(k) A[i,k]*B[k,j]",
}  # fmt: skip

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|\#[^\n]*)
      | (?P<newline>\n)
      | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<name>[^\W\d]\w*'*)
      | (?P<quoted>`(?:[^`\\\n]|\\.)+`)
      | (?P<operator>\*\*|//|<=|>=|==|!=|[-+*/%^<>=()\[\],:;])""",
    re.VERBOSE,
)
_CLOSING = {")": "(", "]": "["}
_GOES_ON = frozenset({
    "**", "//", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "^", "<", ">", "=", ",", ":",
})  # fmt: skip
"""A line that ends in one of these goes on."""
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)")
_PLAIN_NAME = re.compile(r"[^\W\d]\w*'*\Z")


class Token(NamedTuple):
    """A piece of text: ``kind`` is name, quoted, number, operator, end (of a statement) or eof."""

    kind: str
    text: str
    start: int
    end: int


def where(text: str, start: int, end: int | None = None) -> str:
    """The place in a text as errors show it: line number, line, caret."""
    line = text.count("\n", 0, start) + 1
    mark = caret(text, start, end)
    return mark if "\n" not in text.strip() else f"line {line}\n{mark}"


def refuse(
    text: str,
    start: int,
    end: int,
    message: str,
    *,
    expected: str = "",
    found: str = "",
    hint: str = "",
    kind: type[PullbackError] = NotationError,
) -> PullbackError:
    """The error that points at ``text[start:end]``."""
    place = where(text, start, end)
    return kind(message, where=place, expected=expected, found=found, hint=hint)


def tokens(text: str) -> list[Token]:
    """All tokens of a text, an "end" after each statement, an "eof" last.

    A statement ends at ``;`` or at the end of a line, unless a bracket is open or the line ends in
    an operator.
    """
    if len(text) > MAX_TEXT:
        raise LimitError(
            "the text is too long",
            expected=f"at most {MAX_TEXT} characters",
            found=f"{len(text)} characters",
        )
    out: list[Token] = []
    open_: list[Token] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _stray(text, position)
        kind, piece, start, position = found.lastgroup or "", found[0], position, found.end()
        if kind == "space" or (kind == "newline" and (open_ or _goes_on(out))):
            continue
        if kind == "newline" or piece == ";":
            kind = "end"
        _check(text, kind, piece, start)
        token = Token(kind, unquoted(piece) if kind == "quoted" else piece, start, position)
        _check_characters(text, token)
        _balance(text, token, open_)
        out.append(token)
    if open_:
        raise refuse(
            text, open_[-1].start, open_[-1].end, f"this {open_[-1].text!r} is never closed"
        )
    return [*out, Token("end", "", position, position), Token("eof", "", position, position)]


def _goes_on(out: list[Token]) -> bool:
    return bool(out) and out[-1].kind == "operator" and out[-1].text in _GOES_ON


def _stray(text: str, position: int) -> PullbackError:
    character = text[position]
    instead = LOOKALIKES.get(character, "")
    return refuse(
        text,
        position,
        position + 1,
        "a character that is no part of the notation",
        found=repr(character) if character.isprintable() else f"U+{ord(character):04X}",
        hint=f"write {instead}" if instead else "",
    )


def _check(text: str, kind: str, piece: str, start: int) -> None:
    end = start + len(piece)
    if kind == "number":
        _check_number(text, piece, start, end)
    elif kind in ("name", "quoted") and len(piece) > MAX_NAME:
        raise refuse(
            text, start, end, "the name is too long", kind=LimitError,
            expected=f"at most {MAX_NAME} characters", found=f"{len(piece)} characters",
        )  # fmt: skip
    elif kind == "name" and not piece.rstrip("'").isidentifier():
        bad = next(k for k in range(len(piece)) if not piece[: k + 1].isidentifier())
        raise _stray(text, start + bad)


def _check_characters(text: str, token: Token) -> None:
    why = forbidden(token.text) if token.kind in ("name", "quoted") else ""
    if why:
        raise refuse(
            text, token.start, token.end, "a name holds a character that no name may hold",
            found=why, hint="name it by letters, digits and signs that are visible",
        )  # fmt: skip


def _check_number(text: str, piece: str, start: int, end: int) -> None:
    mantissa, _, exponent = piece.lower().partition("e")
    if (
        len(mantissa) > MAX_DIGITS
        or len(exponent) > 9
        or abs(int(exponent or 0)) > (MAX_DECIMAL_EXPONENT)
    ):
        raise refuse(
            text, start, end, "the number is too long", kind=LimitError,
            expected=f"at most {MAX_DIGITS} digits, exponents up to {MAX_DECIMAL_EXPONENT}",
        )  # fmt: skip
    after = text[end : end + 1]
    if after.isalpha() or after == "_":
        raise refuse(
            text, start, end + 1, "a number runs into a name", hint=f"write {piece}*{after}..."
        )


def _balance(text: str, token: Token, open_: list[Token]) -> None:
    if token.kind != "operator":
        return
    if token.text in "([":
        open_.append(token)
        if len(open_) > MAX_DEPTH:
            raise refuse(
                text, token.start, token.end, "brackets are nested too deeply", kind=LimitError,
                expected=f"at most {MAX_DEPTH} levels",
            )  # fmt: skip
    elif token.text in _CLOSING:
        if not open_ or open_[-1].text != _CLOSING[token.text]:
            opener = f", the last one open is {open_[-1].text!r}" if open_ else ""
            raise refuse(
                text, token.start, token.end, f"this {token.text!r} closes nothing{opener}"
            )
        open_.pop()


def exact(piece: str) -> Fraction:
    """The exact value of a number token."""
    return Fraction(piece)


def quoted(name: str) -> str:
    """A name as it is written in a formula: in backquotes where it is no plain name.

    >>> print(quoted("x_hat"), quoted("params['w']"))
    x_hat `params['w']`
    """
    if _PLAIN_NAME.match(name) and name.rstrip("'").isidentifier() and name not in KEYWORDS:
        return name
    return "`" + "".join(_escaped(c) for c in name) + "`"


def _escaped(character: str) -> str:
    if character in "`\\":
        return "\\" + character
    return character if character.isprintable() else escape(character)


def unquoted(piece: str) -> str:
    """The name inside backquotes."""
    return _ESCAPE.sub(
        lambda m: chr(int(m[1][1:], 16)) if m[1][0] in "uU" and len(m[1]) > 1 else m[1], piece[1:-1]
    )
