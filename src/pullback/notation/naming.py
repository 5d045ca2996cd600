r"""How names are drawn in LaTeX: the way gradients are written, and names that a user gives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import ArgumentError
from ..text import forbidden, nearest

STYLES = ("d", "partial", "bar", "delta")
"""How gradients are written: dX, ∂L/∂X, X with a bar, δ with X above."""

LOSSES = ("L", r"\mathcal{L}", r"\ell", "J")
"""What a loss without a name of its own is called: the first that nothing else is called."""

COLUMN = 31.0
"""The width of an equation, in em, that stands beside its number in an article of one column."""

_TOKEN = re.compile(r"\\(?:[a-zA-Z]+|.?)|.", re.DOTALL)
_MARKUP = (
    r"\begin", r"\end", r"\left", r"\right", r"\par", r"\[", r"\]", r"\(", r"\)", "\\\\", "\\",
    *"%#$&~",
)  # fmt: skip


class Slope(NamedTuple):
    """That a tensor is the gradient of a loss by ``of``.

    ``loss`` is the name of the result that is the loss, "" where the loss is any function of the
    results; ``level`` is 2 in the derivation of a gradient, and so on.
    """

    of: str
    loss: str = ""
    level: int = 1


@dataclass(frozen=True)
class Look:
    """How names are drawn.

    ``style`` is one of STYLES. ``names`` are LaTeX by name, ``slopes`` the gradients by name, and
    ``losses`` what a loss that has no name is called at each level.
    """

    style: str = "d"
    names: Mapping[str, str] = field(default_factory=dict)
    slopes: Mapping[str, Slope] = field(default_factory=dict)
    losses: tuple[str, ...] = LOSSES

    def root(self, name: str) -> str:
        """The value that a gradient is the gradient of, through gradients of gradients."""
        while name in self.slopes:
            name = self.slopes[name].of
        return name


USUAL = Look()
"""How names are drawn where nothing is said."""


def checked_style(style: Any) -> str:
    """A style of gradients. Raises ArgumentError where there is none of the name."""
    if not isinstance(style, str) or style not in STYLES:
        close = nearest(style, STYLES) if isinstance(style, str) else []
        raise ArgumentError(
            "no such style of gradients",
            expected=f"one of {', '.join(STYLES)}",
            found=repr(style)[:80],
            hint=f"did you mean {' or '.join(close)}?" if close else "",
        )
    return style


def checked_latex(text: Any, where: str) -> str:
    r"""LaTeX of a user's for a name: one sign with what belongs to it, ``\hat{X}`` or ``W_1``.

    It goes into formulas as it is. Raises ArgumentError where it would end or change what stands
    around it: braces that aren't balanced, control characters, comments, commands for lines and
    environments, and operators outside braces, which would bind otherwise than a name.

    >>> print(checked_latex(r"\sigma^2", "names['var']"))
    \sigma^2
    """
    why = _amiss(text) if isinstance(text, str) else f"{type(text).__name__} is no text"
    if why:
        raise ArgumentError(
            f"this can't be drawn as a name: {why}",
            where=where,
            expected=r"LaTeX for one sign, such as \hat{X} or \sigma^2",
            found=repr(text)[:80],
            hint="an expression may stand between braces: {a+b}",
        )
    return str(text)


def _amiss(text: str) -> str:
    if forbidden(text) or not text.strip():
        return forbidden(text) or "there is nothing to draw"
    depth = 0
    for token in _TOKEN.findall(text):
        depth += (token == "{") - (token == "}")
        if depth < 0:
            return "a brace closes nothing"
        if token in _MARKUP:
            return f"{token} is more than a name"
        if not depth and token in "+-*/=<>,;:|()[]!?":
            return f"{token} stands outside braces"
    return "a brace isn't closed" if depth else _amiss_in_scripts([*_units(text)])


def _amiss_in_scripts(units: list[str]) -> str:
    found: list[str] = []
    for k, unit in enumerate(units):
        inner = _amiss_in_scripts([*_units(unit[1:-1])]) if unit[0] == "{" else ""
        if inner:
            return inner
        if unit not in ("_", "^", "'"):
            continue
        kind = "_" if unit == "_" else "^"
        if k == 0 or (unit != "'" and units[k + 1 : k + 2] in ([], ["_"], ["^"], ["'"])):
            return f"{unit} has nothing to stand at"
        if kind in found and not (unit == units[k - 1] == "'"):
            return f"{unit} stands twice"
        found.append(kind)
        if unit != "'" and units[k + 1][0] == "\\" and units[k + 2 : k + 3] > ["{"]:
            return f"what stands at {unit} needs braces"
    return ""


def scripts(text: str) -> tuple[str, str]:
    r"""LaTeX of a user's without its subscript, and the subscript.

    >>> print(*scripts(r"\hat{W}_{1}^2"), *scripts("W_1"))
    \hat{W}^2 1 W 1
    """
    parts: list[str] = ["", ""]
    place, depth = 0, 0
    for unit in _units(text):
        if unit == "_":
            place = 1
            continue
        parts[place] += unit
        depth += (unit == "{") - (unit == "}")
        place = 0
    below = parts[1]
    return parts[0], below[1:-1] if below.startswith("{") else below


def _units(text: str) -> Iterator[str]:
    """The tokens outside braces, and groups in braces whole."""
    depth, group = 0, ""
    for token in _TOKEN.findall(text):
        depth += (token == "{") - (token == "}")
        group += token
        if not depth:
            yield group
            group = ""


def raised_above(text: str) -> bool:
    """Whether LaTeX has a superscript of its own, which another one would have to be set beside."""
    return any(unit in "^'" for unit in _units(text))
