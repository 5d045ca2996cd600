"""Text of others: what a name may hold, and text that no terminal, editor or compiler obeys."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable

PRIVATE = "\0"
"""Begins the names that the system makes for itself: no name of a user's holds it."""

_FORBIDDEN = {
    "Cc": "a control character",
    "Cf": "an invisible character, which may turn the direction of text",
    "Cs": "half of a surrogate pair",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


def forbidden(name: str) -> str:
    """What a name holds that no name may hold, in words; "" for a name that may be used.

    Refused are control, format, surrogate, line and paragraph characters: terminals, editors or
    compilers obey them, or show something else than there is.

    >>> forbidden("the weights"), forbidden("a" + chr(13))
    ('', 'U+000D, a control character')
    """
    if name.isprintable():
        return ""
    for character in name:
        why = _FORBIDDEN.get(unicodedata.category(character))
        if why:
            return f"U+{ord(character):04X}, {why}"
    return ""


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known names that a misspelt one may have been meant to be, the likeliest first.

    >>> nearest("tahn", ["tan", "tanh", "sin"]), nearest("softmax", ["fmax", "exp"])
    (['tanh', 'tan'], [])
    """
    allowed = 0 if len(name) < 2 else min(max(1, len(name) // 3), 8)
    near = [other for other in dict.fromkeys(known) if abs(len(other) - len(name)) <= allowed]
    ranked = sorted(
        (_edits(name.lower(), other.lower()), _edits(name, other), abs(len(name) - len(other)), k)
        for k, other in enumerate(near)
    )
    return [near[k] for edits, *_, k in ranked if edits <= allowed][:most]


def _edits(left: str, right: str) -> int:
    """How many letters are to be put in, left out, changed, or exchanged with the next one."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left):
        last, before, row = before, row, [i + 1]
        for j, b in enumerate(right):
            row.append(min(before[j + 1] + 1, row[j] + 1, before[j] + (a != b)))
            if i and j and a == right[j - 1] and b == left[i - 1]:
                row[-1] = min(row[-1], last[j - 1] + 1)
    return row[-1]


def width(words: str) -> int:
    """The columns that words take in a terminal: accents take none.

    >>> width("dx\u0302")
    2
    """
    return sum(not unicodedata.combining(letter) for letter in words)


def padded(words: str, columns: int) -> str:
    """Words with blanks behind them up to a number of columns, in front of them if it is negative.

    >>> padded("x\u0302", 3) + "|", padded("1", -3)
    ('x̂  |', '  1')
    """
    blanks = " " * (abs(columns) - width(words))
    return f"{words}{blanks}" if columns > 0 else f"{blanks}{words}"


def visible(text: str, keep: str = "") -> str:
    r"""Text in which every character that doesn't print is written as an escape; ``keep`` stay.

    >>> print(visible("a" + chr(27) + "[31mb"))
    a\u001b[31mb
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else escape(c) for c in text)


def escape(character: str) -> str:
    r"""A character by its number.

    >>> print(escape(chr(0x202E)))
    \u202e
    """
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def lines(text: str) -> str:
    r"""Text of one or more lines, as a terminal may show it: tabs are blanks, the rest is visible.

    >>> print(lines("x =\t1" + chr(13)))
    x = 1\u000d
    """
    return visible(text.replace("\t", " "), "\n")


def one_line(text: str) -> str:
    r"""Text on one line: runs of blanks are one blank, what doesn't print is an escape.

    >>> print(one_line("Y[i] =\n    X[i]" + chr(0x2028) + chr(0)))
    Y[i] = X[i] \u0000
    """
    return visible(" ".join(text.split()))


def json_text(data: object, indent: int | None = 2) -> str:
    r"""Data as JSON whose text holds nothing that a terminal would obey.

    >>> print(json_text({"name": "γ" + chr(0x202E)}, None))
    {"name": "γ\u202e"}
    """
    text = json.dumps(data, ensure_ascii=False, indent=indent)
    shown = (c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    return "".join(shown)
