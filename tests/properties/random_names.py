"""Names and texts from all of Unicode, and programs that differ in their names only.

``odd_names()`` and ``odd_texts()`` are strategies of hypothesis; ``draw_name(random)`` and
``draw_text(random)`` give the same kind of thing from a plain random generator, for a hunt that
goes on. ``formula(names)`` and ``function(keys)`` are programs under these names.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from random import Random
from typing import Any

from hypothesis import strategies as st

from pullback.derivation.fragment import NEEDS
from pullback.notation.tokens import quoted
from pullback.text import forbidden

NASTY = (
    "\r", "\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\u202e", "\u2066", "\u200d", "\0",
    "\x1b[31m", "\x9b31m", "\x7f", "\ud800", "\udcff", "\ue000", "\U000e0001", "\u00a0", "\u3000",
    '"', "'", '"""', "'''", "\\", "\\\\", "\\n", "\\u202e", "`", "#", "%", "%s", "{}", "{0}", "$",
    "^", "~", "&", "_", "__", "<", ">", "</script>", "<!--", "]]>", "&lt;", "\\input", "\\end{x}",
    "}{", "\\)", "$$", "|", "[red]", "[/]", ":", ";", ",", ".", "(", ")", "[", "]", "=", "  # ",
    "lambda", "class", "None", "np", "cache", "forward", "dY", "self", "sum", "ﬁ", "fi", "K",
    "\u017f", "é", "e\u0301", "α", "alpha", "\u0301", "\U0001d499", "x", "X'", "²", "٣", "2x",
    "the weights",
    "import os", "X.0", "?0", "#0", "$0", "~0", " of the source", "size", "if", "not",
    " ", "\t", "a" * 60,
)  # fmt: skip
"""Pieces of text that somebody takes for something else."""


def odd_names() -> st.SearchStrategy[str]:
    """Names: anything but nothing."""
    pieces = st.one_of(st.sampled_from(NASTY), st.text(min_size=1, max_size=4))
    return st.lists(pieces, min_size=1, max_size=3).map("".join)


def allowed_names() -> st.SearchStrategy[str]:
    """Names that hold no forbidden character."""
    pieces = st.one_of(
        st.sampled_from([piece for piece in NASTY if not forbidden(piece) and len(piece) < 20]),
        st.text(
            st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), min_size=1, max_size=3
        ),
    )
    return st.lists(pieces, min_size=1, max_size=2).map("".join)


def odd_texts() -> st.SearchStrategy[str]:
    """Texts: anything."""
    pieces = st.one_of(st.sampled_from(NASTY), st.text(max_size=8))
    return st.lists(pieces, max_size=6).map("".join)


def draw_text(random: Random, most: int = 4) -> str:
    """A text of one to ``most`` pieces."""
    return "".join(_piece(random) for _ in range(random.randint(1, most)))


def _piece(random: Random) -> str:
    if random.random() < 0.6:
        return random.choice(NASTY)
    return "".join(chr(random.randrange(sys.maxunicode + 1)) for _ in range(random.randint(1, 3)))


def draw_name(random: Random) -> str:
    """A name that may or may not be allowed."""
    return draw_text(random, 3)


def is_allowed(names: Sequence[str]) -> bool:
    """Whether a program may have these names: they hold no forbidden character, aren't too long
    and differ."""
    shown = [quoted(name) for name in names]
    return (
        len(set(names)) == len(names)
        and not any(map(forbidden, names))
        and all(len(text) <= 100 for text in shown)
    )


PLAIN = ("x", "w", "y", "i", "j", "n")
"""The names of :func:`formula`: two inputs, an output, two indices, a size."""


def backquoted(name: str) -> str:
    """A name as somebody writes it who escapes only what has to be."""
    return "`" + re.sub(r"([`\\])", r"\\\1", name) + "`"


def formula(names: Sequence[str] = PLAIN) -> str:
    """Index notation in which every name stands."""
    x, w, y, i, j, n = map(backquoted, names)
    return (
        f"{x}[{n}, {n}]\n"
        f"{y}[{i}] = sin({w}[{i}])*(sum({j}) {x}[{i},{j}]*{w}[{j}])/{n} + exp({w}[{i}])\n"
    )


def function(keys: Sequence[str]) -> tuple[Callable[..., Any], Mapping[str, str]]:
    """A NumPy function of a dict with two keys, and its shapes."""
    import numpy as np

    def f(p: Any) -> Any:
        return np.sin(p[keys[0]]) * (p[keys[0]] @ p[keys[1]])

    return f, {keys[0]: "N", keys[1]: "N N"}


def tree(source: str) -> str:
    """The syntax tree of source, its names replaced by their order of occurrence."""
    module = ast.parse(source)
    order: dict[str, str] = {}

    def renamed(name: str) -> str:
        own = name in ("np", "forward", "backward")
        return name if own else order.setdefault(name, f"v{len(order)}")

    for node in ast.walk(module):
        if isinstance(node, ast.Name):
            node.id = renamed(node.id)
        elif isinstance(node, ast.arg):
            node.arg = renamed(node.arg)
    return ast.dump(module)


def parts(source: str) -> list[str]:
    """What the statements of source are made of, in no order: names decide in which order equally
    good forms stand, and nothing else."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef):
            inner = sorted(_part(part) for part in ast.walk(node))
            found.append(" ".join(inner))
        elif isinstance(node, ast.FunctionDef):
            found.append(f"{node.name} of {len(node.args.args)}, {len(node.body)} statements")
    return sorted(found)


def _part(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=value):
            return repr(value)
        case ast.Attribute(attr=name):
            return f".{name}"
        case _:
            return type(node).__name__


class Tags(HTMLParser):
    """The elements of a page with their attributes; those inside formulas apart."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, ...]] = []
        self.inside: set[str] = set()
        self.formula = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element opens."""
        self.note(tag, *sorted(name for name, _ in attrs))
        self.formula = self.formula or tag == "math"

    def handle_endtag(self, tag: str) -> None:
        """An element closes."""
        self.formula = self.formula and tag != "math"
        self.note(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        """A comment."""
        self.note("comment")

    def handle_decl(self, decl: str) -> None:
        """A declaration."""
        self.note("declaration")

    def unknown_decl(self, data: str) -> None:
        """Something between ``<![`` and ``]>``."""
        self.note("unknown")

    def note(self, *parts: str) -> None:
        """Keeps an element; in a formula, where names are drawn in more than one way, its kind."""
        if self.formula:
            self.inside.update(parts)
        else:
            self.found.append(parts)


def tags(page: str) -> tuple[list[tuple[str, ...]], set[str]]:
    """The elements of a page in order, and the kinds of elements inside its formulas."""
    parser = Tags()
    parser.feed(page)
    parser.close()
    return parser.found, parser.inside


def controls(text: str) -> list[str]:
    """The characters of a text that a terminal may obey, line breaks aside."""
    return [c for c in text if c != "\n" and forbidden(c)]


def views(derivation: Any) -> dict[str, str]:
    """Everything that a derivation is shown as, by kind."""
    import io

    from rich.console import Console

    from pullback.report.page import page

    printed = io.StringIO()
    Console(file=printed, width=100, no_color=True, highlight=False).print(derivation)
    return {
        "page": page(derivation),
        "latex": derivation.latex(),
        "text": str(derivation),
        "markdown": derivation.markdown(),
        "terminal": printed.getvalue(),
    }


_COMMAND = re.compile(r"\\([a-zA-Z]+|.)")


def commands(latex: str) -> set[str]:
    """The commands of LaTeX text; raises AssertionError where its braces aren't balanced, or a
    comment or parameter stands in it."""
    text = latex.removeprefix(NEEDS)
    found = set(_COMMAND.findall(text))
    rest = _COMMAND.sub("", text)
    depth = 0
    for sign in rest:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0, "a brace closes nothing"
    assert not depth, "a brace isn't closed"
    assert "%" not in rest and "#" not in rest, "a sign of TeX's own stands unescaped"
    return found
