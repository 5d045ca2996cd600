"""Long lines of generated source, broken where they bind least."""

from __future__ import annotations

import re

WIDTH = 96
INDENT = "    "
ASSIGNMENT = re.compile(r" (?:[-+*/&]|//)?= ")
OPERATORS = (
    (" == ", " != ", " <= ", " >= ", " < ", " > "),
    (" | ",),
    (" & ",),
    (" + ", " - "),
    (" * ", " / ", " // ", " % ", " @ "),
)


def broken(line: str, width: int = WIDTH) -> list[str]:
    """A statement as one or more lines.

    >>> broken("y = aaa * bbb + ccc", 12)
    ['y = (', '    aaa * bbb', '    + ccc', ')']
    """
    text = line.lstrip(" ")
    space = line[: len(line) - len(text)]
    if len(line) <= width or text.startswith(("#", "for ", "@", "import ", "from ")):
        return [line]
    if text.startswith("def "):
        return _packed(space, text[: text.index("(")], text[text.index("(") + 1 : -2], "):", width)
    if text.startswith("return ") and len(parts := _split(text, (", ",))) > 1:
        if parts[-1].startswith(", (") and len(space + text) - len(parts[-1]) < width // 2:
            before = text.removesuffix(parts[-1]) + ", "
            return _packed(space, before, parts[-1][3:-1], ")", width)
        return _packed(space, "return ", text.removeprefix("return "), ")", width)
    if text.endswith(" = cache"):
        return _packed(space, "", text.removesuffix(" = cache").rstrip(","), ") = cache", width)
    found = next((m for m in ASSIGNMENT.finditer(text) if _depth(text, m.start()) == 0), None)
    start = found.end() if found is not None else 7 if text.startswith("return ") else 0
    head, value = text[:start], text[start:]
    inner = _expression(value, width - len(space) - len(INDENT))
    if _is_bracketed(inner):
        return [space + head + inner[0], *(space + part for part in inner[1:])]
    return [f"{space}{head}(", *(space + INDENT + part for part in inner), f"{space})"]


def _packed(space: str, before: str, items: str, after: str, width: int) -> list[str]:
    """A list of many items in brackets, as many a line as fit."""
    parts = [part.removeprefix(", ") for part in _split(items, (", ",))]
    lines = [space + INDENT]
    for part in parts:
        if len(lines[-1]) + len(part) + 2 > width and lines[-1].strip():
            lines.append(space + INDENT)
        lines[-1] += f"{part}, "
    return [f"{space}{before}(", *(line.rstrip() for line in lines), f"{space}{after}"]


def _is_bracketed(lines: list[str]) -> bool:
    return (
        len(lines) > 1
        and lines[0][-1] in "(["
        and lines[-1][0] in ")]"
        and all(part.startswith(" ") for part in lines[1:-1])
    )


def _expression(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    for operators in OPERATORS:
        parts = _split(text, operators)
        if len(parts) > 1 and " * " in operators and max(map(len, parts)) > width // 2:
            return _operand(text, width)
        if len(parts) > 1:
            return [line for part in parts for line in _operand(part, width)]
    return _operand(text, width)


def _operand(text: str, width: int) -> list[str]:
    """Breaks inside the longest bracket."""
    if len(text) <= width:
        return [text]
    groups = _groups(text)
    if not groups:
        return [text]
    start, end = max(groups, key=lambda group: group[1] - group[0])
    items = _split(text[start + 1 : end], (", ",))
    if len(items) == 1:
        inner = _expression(items[0], width - len(INDENT))
    else:
        inner = []
        for item in items:
            lines = _expression(item.removeprefix(", "), width - len(INDENT) - 1)
            inner += [*lines[:-1], lines[-1] + ","]
    first, *rest = _operand(text[end + 1 :], width - 1)
    return [text[: start + 1], *(INDENT + line for line in inner), text[end] + first, *rest]


def _split(text: str, operators: tuple[str, ...]) -> list[str]:
    """The text cut before every operator outside brackets."""
    cuts = [0]
    depth = 0
    for n, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        if depth == 0 and n and text.startswith(operators, n):
            cuts.append(n)
    parts = [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]
    return [parts[0], *(part if operators == (", ",) else part[1:] for part in parts[1:])]


def _groups(text: str) -> list[tuple[int, int]]:
    """Where the outermost brackets open and close."""
    found: list[tuple[int, int]] = []
    opened: list[int] = []
    for n, char in enumerate(text):
        if char in "([":
            opened.append(n)
        elif char in ")]":
            start = opened.pop()
            if not opened:
                found.append((start, n))
    return found


def _depth(text: str, end: int) -> int:
    return sum((c in "([") - (c in ")]") for c in text[:end])
