r"""Equations in LaTeX, set under each other, long ones broken at their operators.

A formula that :class:`~pullback.notation.latex.Latex` printed is read again as pieces: what can't
be broken (a fraction, a subscript, a function's name), operators at which it can, and brackets. The
width that a piece takes when set is estimated from the letters' widths in Computer Modern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from typing import Any

from ..errors import ArgumentError
from .naming import COLUMN

NARROWEST = 8.0
QUAD = 1.0

_TOKEN = re.compile(r"\\(?:[a-zA-Z]+\*?|.)|\s+|.", re.DOTALL)
_SIGNS = {"+": "sum", "-": "sum", r"\,": "product", r"\cdot": "product", r"\circ": "product"}
_WORDS = {
    name: sum({"m": 0.83, "i": 0.28, "l": 0.28, "t": 0.39}.get(letter, 0.5) for letter in name)
    for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min", "det")
}
_WIDTHS = {
    **dict.fromkeys("ijlt", 0.37), **dict.fromkeys("fmw", 0.75), **dict.fromkeys("MW", 1.0),
    **dict.fromkeys("()[]", 0.39), **dict.fromkeys(".:|'", 0.28), **dict.fromkeys(",;", 0.45),
    "I": 0.5, r"\,": 0.17, r"\ ": 0.33, r"\quad": 1.0, r"\partial": 0.57, r"\infty": 1.0,
    r"\prime": 0.3, r"\lfloor": 0.45, r"\rfloor": 0.45, r"\mid": 0.83, r"\land": 1.1,
    r"\lor": 1.1, r"\lnot": 0.67, r"\bmod": 2.6, r"\top": 0.78, r"\sum": 1.45, r"\prod": 1.3,
    r"\ldots": 1.2, r"\operatorname": 0.17, r"\operatorname*": 0.17,
    **dict.fromkeys((r"\mathbf", r"\mathrm", r"\mathcal", r"\text"), 0.0),
    **{rf"\{name}": width + 0.17 for name, width in _WORDS.items()},
}  # fmt: skip
_RELATIONS = {"=", "<", ">", r"\le", r"\ge", r"\ne", r"\nless", r"\nleq", r"\ngtr", r"\ngeq"}
_BIG = {r"\sum", r"\prod", r"\frac", r"\begin"}
_LIMITS = {r"\sum", r"\prod", r"\max", r"\min", r"\operatorname*"}
_REDUCTIONS = (*sorted(_LIMITS), r"\operatorname")
_ACCENTS = {r"\hat", r"\bar", r"\tilde", r"\dot", r"\vec", r"\overline"}
_SCALES = (1.0, 1.0, 0.72, 0.55)  # of text in displays, in fractions, in subscripts, and deeper


@dataclass(frozen=True)
class Piece:
    """A part of a formula: its LaTeX and its width in em.

    ``kind`` is "sum" or "product" for an operator, "open" or "close" for a bracket, else "". A
    piece that is too wide for a line can be written as ``wider()`` instead, of the same value.
    """

    text: str
    width: float
    kind: str = ""
    tall: bool = False
    wider: Callable[[], str] | None = None


def block(
    environment: str, equations: Sequence[tuple[str, str]], width: float | None = None
) -> str:
    r"""Equations, by their left and right sides, aligned at ``=`` in an environment of amsmath.

    A right side that is wider than ``width`` leaves, in em, is broken: at sums, and at products
    where need be, never inside a fraction or a subscript. ``align`` numbers each equation once.

    >>> print(block("align", [("y", r"a \, \left(b + c\right) + d \, \left(e + f\right)")], 9))
    \begin{align}
      y &= a \, \left(b + c\right) \notag \\
        &\quad + d \, \left(e + f\right)
    \end{align}
    """
    turn = r" \notag \\" if environment == "align" else r" \\"
    room = None
    if width is not None:
        left = max((_width(pieces(text)) for text, _ in equations), default=0)
        room = max(width - left - 1.4, NARROWEST)
    lines = []
    for text, value in equations:
        first, *rest = [value] if room is None else broken(value, room)
        lines.append(f"{turn}\n".join([f"  {text} &= {first}", *(f"    &{line}" for line in rest)]))
    inner = " \\\\\n".join(lines)
    return f"\\begin{{{environment}}}\n{inner}\n\\end{{{environment}}}"


def checked_width(width: Any) -> float | None:
    """A width in em, None for one line an equation. Raises ArgumentError for anything else."""
    number = isinstance(width, int | float) and not isinstance(width, bool)
    if width is not None and not (number and NARROWEST <= width < float("inf")):
        raise ArgumentError(
            "the width is no width of a column",
            expected=f"a number of em, at least {NARROWEST:g}, or None for no breaks",
            found=repr(width)[:80],
            hint=f"an article of one column has about {COLUMN:g}, one of two about 21",
        )
    return None if width is None else float(width)


# Lines -------------------------------------------------------------------------------------------


def broken(text: str, width: float) -> list[str]:
    r"""A formula as lines of at most ``width`` em, where it can be broken.

    >>> broken(r"\left(a + b\right) \, \left(c - d\right)", 6)
    ['\\left(a + b\\right)', '\\quad \\cdot \\left(c - d\\right)']
    """
    parts = pieces(text)
    if _width(parts) <= width:
        return [text]
    parts = [*_opened(parts, width)]
    starts = [0, *_breaks(parts, width)]
    return _lines(parts, [*zip(starts, [*starts[1:], len(parts)], strict=True)])


def _opened(parts: Sequence[Piece], width: float) -> Iterator[Piece]:
    """Pieces that are too wide for a line, written so that they can be broken."""
    for part in parts:
        if part.wider and part.width > width - QUAD:
            yield from _opened(pieces(part.wider()), width)
        else:
            yield part


def _breaks(parts: Sequence[Piece], width: float) -> list[int]:
    """The operators that lines begin with: as few and as far outside as the width allows."""
    total = [0.0]
    for part in parts:
        total.append(total[-1] + part.width)
    reduced, opened, closed = [False], list[int](), _closed(parts)
    costs, depths = {0: 0.0}, {0: 0}
    for k, part in enumerate(parts):
        if part.kind == "open":
            opened.append(k)
            reduced.append(False)
        elif part.kind == "close":
            opened.pop()
            reduced.pop()
        reduced[-1] = part.kind != "sum" and (reduced[-1] or part.text.startswith(_REDUCTIONS))
        if part.kind in ("sum", "product"):
            short = sum(total[closed[at]] - total[at] < width / 2 for at in opened)
            costs[k] = 1 + 2 * len(opened) + 3 * short
            costs[k] += (4 + 2 * reduced[-1]) * (part.kind == "product")
            depths[k] = len(opened)
    ends = [*costs, len(parts)]
    best: dict[int, tuple[float, int]] = {len(parts): (0.0, 0)}
    for position in range(len(ends) - 2, -1, -1):
        start = ends[position]
        indent = (1 + depths[start]) * QUAD if start else 0
        for end in islice(ends, position + 1, None):
            free = width - indent - (total[end] - total[start])
            cost = costs.get(end, 0) + best[end][0]
            cost += -1000 * free if free < 0 else 2 * free / width if end < len(parts) else 0
            if start not in best or cost < best[start][0]:
                best[start] = (cost, end)
            if free < 0:
                break
    found, k = [], best[0][1]
    while k < len(parts):
        found.append(k)
        k = best[k][1]
    return found


def _closed(parts: Sequence[Piece]) -> dict[int, int]:
    """Where brackets close, by where they open."""
    found, opened = {}, list[int]()
    for k, part in enumerate(parts):
        if part.kind == "open":
            opened.append(k)
        elif part.kind == "close":
            found[opened.pop()] = k
    return found


def _lines(parts: list[Piece], spans: Sequence[tuple[int, int]]) -> list[str]:
    """The text of the lines; brackets that stand on two lines have a size of their own."""
    line_of = [n for n, (start, end) in enumerate(spans) for _ in range(start, end)]
    drawn = [part.text for part in parts]
    closed = _closed(parts)
    for start, end in closed.items():
        apart = line_of[start] != line_of[end]
        size = r"\bigg" if any(inner.tall for inner in parts[start:end]) else r"\big"
        for at, side, whole in ((start, "l", r"\left"), (end, "r", r"\right")):
            drawn[at] = f"{size}{side}{parts[at].text}" if apart else whole + parts[at].text
    depth = [*accumulate((p.kind == "open") - (p.kind == "close") for p in parts)]
    found = ["".join(drawn[: spans[0][1]]).rstrip()]
    for start, stop in spans[1:]:
        sign = r"\cdot" if drawn[start].strip() == r"\," else drawn[start].strip()
        indent = r"\quad" * (1 + depth[start])
        found.append(f"{indent} {sign} {''.join(drawn[start + 1 : stop]).strip()}")
    return found


# Pieces ------------------------------------------------------------------------------------------


def pieces(text: str, style: int = 0) -> list[Piece]:
    """A formula as pieces, with the widths that it has in a display (0), in a fraction (1), in a
    subscript (2) or deeper (3)."""
    return _Reader(_TOKEN.findall(text), style).read()


def _width(parts: Sequence[Piece]) -> float:
    return sum(part.width for part in parts)


class _Reader:
    def __init__(self, tokens: Sequence[str], style: int) -> None:
        self.tokens, self.style, self.place = tokens, style, 0

    def read(self) -> list[Piece]:
        found: list[Piece] = []
        while self.place < len(self.tokens):
            start = self.place
            if self.tokens[start] in ("_", "^") and found:
                found[-1] = self.script(found[-1])
            elif self.tokens[start].isspace() and found:
                self.place += 1
                found[-1] = replace(found[-1], text=found[-1].text + self.tokens[start])
            else:
                found.append(self.piece())
        return found

    def piece(self) -> Piece:
        token = self.next()
        scale = _SCALES[self.style]
        spaced = self.place > 1 and self.tokens[self.place - 2].isspace()
        spaced = spaced and self.tokens[self.place : self.place + 1] == [" "]
        if token in (r"\left", r"\right"):
            kind = "open" if token == r"\left" else "close"
            return Piece(self.next(), 0.6 * scale, kind)
        if spaced and token in _SIGNS:
            width = 0.17 if token == r"\," else 1.22 if self.style < 2 else 0.8 * scale
            return Piece(token, width, _SIGNS[token])
        if token == r"\frac":
            return self.fraction()
        if token == r"\sqrt":
            under = self.group()
            width = 0.9 * scale + _width(pieces(under, self.style))
            return Piece(
                rf"\sqrt{{{under}}}",
                width,
                tall=r"\frac" in under,
                wider=lambda: rf"\left({under}\right)^{{1/2}}",
            )
        if token == r"\begin":
            return self.cases()
        if token in _ACCENTS:
            inner = self.group()
            return Piece(f"{token}{{{inner}}}", _width(pieces(inner, self.style)))
        if token == "{":
            self.place -= 1
            inner = self.group()
            whole = inner.startswith(r"\left") and inner.endswith((r"\right)", r"\right]"))
            parts = pieces(inner, self.style)
            tall = any(part.tall for part in parts)
            return Piece(
                f"{{{inner}}}", _width(parts), "", tall, (lambda: inner) if whole else None
            )
        if token in _RELATIONS:
            return Piece(token, 1.33 if self.style < 2 else 0.8 * scale)
        usual = 0.75 if token.isupper() else 0.6 if token[0] == "\\" else 0.53
        return Piece(token, _WIDTHS.get(token, usual) * scale, "", token in _BIG and not self.style)

    def next(self) -> str:
        token = self.tokens[self.place]
        self.place += 1
        return token

    def group(self) -> str:
        """The argument that comes next, without its braces."""
        while self.tokens[self.place].isspace():
            self.place += 1
        depth, start = 0, self.place
        while True:
            token = self.next()
            depth += (token == "{") - (token == "}")
            if not depth:
                break
        inner = self.tokens[start : self.place]
        return "".join(inner[1:-1] if inner[0] == "{" else inner)

    def script(self, base: Piece) -> Piece:
        """A piece with the sub- or superscript that comes next."""
        sign, inner = self.next(), self.group()
        own = _width(pieces(inner, 2 if self.style < 2 else 3))
        limits = base.text.strip() in _LIMITS and not self.style
        width = max(base.width, own + 0.17) if limits else base.width + own + 0.05
        if "^" in base.text and sign == "_":
            width -= min(own, base.width / 2)
        own_wider = base.wider if base.text[0] == "{" else None
        wider = own_wider and (lambda: f"{own_wider()}{sign}{{{inner}}}")
        return replace(base, text=f"{base.text}{sign}{{{inner}}}", width=width, wider=wider)

    def fraction(self) -> Piece:
        above, below = self.group(), self.group()
        style = min(self.style + 1, 3)
        width = max(_width(pieces(part, style)) for part in (above, below)) + 0.24
        times = r"\cdot" if above[0].isdigit() else r"\,"
        wider = None
        if above != "1" and not above.startswith(r"\partial"):  # a derivative is no quotient
            wider = lambda: rf"\frac{{1}}{{{below}}} {times} {_factor(above)}"  # noqa: E731
        return Piece(rf"\frac{{{above}}}{{{below}}}", width, "", self.style == 0, wider)

    def cases(self) -> Piece:
        """An environment, as wide as its widest row."""
        start, depth, rows = self.place - 1, 1, [""]
        self.group()
        while depth:
            token = self.next()
            depth += (token == r"\begin") - (token == r"\end")
            if depth == 1 and token == r"\\":
                rows.append("")
            elif depth:
                rows[-1] += r"\quad" if depth == 1 and token == "&" else token
        self.group()
        width = max(_width(pieces(row, 1)) for row in rows) + 0.9
        return Piece("".join(self.tokens[start : self.place]), width, "", True)


def _factor(text: str) -> str:
    """A formula as a factor: in parentheses where it is a sum, or reaches as far as it can."""
    bound = any(p.kind == "sum" or p.text.startswith(_REDUCTIONS) for p in pieces(text))
    return rf"\left({text}\right)" if bound or text[0] in "+-" else text
