"""Names in generated source: ASCII identifiers that clash with nothing."""

from __future__ import annotations

import builtins
import keyword
import unicodedata

OWN = frozenset({"cache", "forward", "backward", "cotangents"})  # what generated functions use
RESERVED = frozenset(
    {
        *keyword.kwlist,
        *keyword.softkwlist,
        *dir(builtins),
        *("np", "numpy", "scipy", "sliding_window_view"),
        *OWN,
    }
)


def identifier(name: str) -> str:
    """An ASCII identifier like ``name``; not yet one that clashes with nothing.

    >>> identifier("γ"), identifier("x'"), identifier("2x"), identifier("a b")
    ('gamma', 'x_', '_2x', 'a_b')
    """
    text = "".join(map(_ascii, unicodedata.normalize("NFKD", name))) or "_"
    return f"_{text}" if text[0].isdigit() else text


def _ascii(char: str) -> str:
    if char.isascii():
        return char if char.isalnum() else "_"
    if unicodedata.combining(char):
        return ""
    words = unicodedata.name(char, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        word = words[words.index("LETTER") + 1]
        word = words[words.index("LETTER") + 2] if word == "FINAL" else word
        return word.lower() if "SMALL" in words else word.capitalize()
    return f"u{ord(char):x}_"


class Names:
    """Hands out distinct identifiers."""

    def __init__(self, *, plain: bool = False) -> None:
        """``plain`` names need only not be words of Python or modules in use."""
        self.reserved = RESERVED - OWN if plain else RESERVED
        self.taken = set(self.reserved)

    def fresh(self, wanted: str) -> str:
        """An identifier like ``wanted`` that was not handed out before.

        >>> names = Names()
        >>> names.fresh("x"), names.fresh("x"), names.fresh("lambda"), names.fresh("__2x")
        ('x', 'x_2', 'lambda_', '_2x_')
        """
        stem = identifier(wanted)
        if stem in self.reserved or stem.startswith("__"):
            inner = stem.strip("_")
            stem = (identifier(inner) if inner else "") + "_"
        name, n = stem, 2
        while name in self.taken:
            name, n = f"{stem}{'' if stem.endswith('_') else '_'}{n}", n + 1
        self.taken.add(name)
        return name
