"""Formulas for a terminal, in Unicode. Not parsed back: ``plain`` is."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ..opaque import Operation
from .display import Display, Displayed
from .letters import ACCENTS, GREEK, letter
from .levels import ATOM, POWER, PRODUCT
from .spell import show_brief

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
REDUCTIONS = {"sum": "Σ", "prod": "Π"}
WORDS = {"and": " ∧ ", "or": " \N{LOGICAL OR} ", "not": "¬"}
SPECIALS = {"inf": "∞", "-inf": "−∞", "nan": "nan", "true": "true", "false": "false"}


def terminal(what: Displayed) -> str:
    """A statement, expression, condition, subscript or size for a terminal.

    >>> from .parse import parse
    >>> print(terminal(parse("dx_hat[n] = dY[n]*gamma[] - 2*sum(m) Y[m]**2").statements[0]))
    dx̂[n] = dY[n]·γ − 2·Σ_m Y[m]²
    """
    return Terminal().show(what)


class Terminal(Display):
    """The Unicode style."""

    minus = "−"
    plus = "+"
    relations: Mapping[str, str] = {"<": "<", "<=": "≤", "==": "=", "!=": "≠"}

    def equation(self, left: str, right: str) -> str:
        return f"{left} = {right}"

    def read(self, name: str, subs: list[str]) -> str:
        return self.word(name) + (f"[{','.join(subs)}]" if subs else "")

    def word(self, name: str) -> str:
        parts = letter(name)
        if not parts.stem.isalnum():
            return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in name)
        stem = GREEK.get(parts.stem, parts.stem)
        accent = ACCENTS[parts.accent][0] if parts.accent else ""
        if len(stem) > 1 and accent:
            return name
        label = f"_{parts.label}" if parts.label else ""
        digits = parts.number.translate(SUBSCRIPTS) if stem.isalpha() else parts.number
        signs = "".join(f"d{order.translate(SUPERSCRIPTS)}" for order in parts.orders)
        return signs + stem + accent + label + digits + parts.primes

    def parenthesised(self, text: str) -> str:
        return f"({text})"

    def bracketed(self, text: str) -> str:
        return f"[{text}]"

    def fraction(self, above: str, below: str) -> tuple[str, int]:
        return f"{above}/{below}", PRODUCT

    def bar_level(self, below: bool) -> int:
        return POWER if below else PRODUCT

    def ratio(self, value: Fraction) -> tuple[str, int]:
        text = show_brief(value)
        return text, PRODUCT if "/" in text else ATOM

    def root(self, text: str, atomic: bool) -> tuple[str, int]:
        return (f"√{text}" if atomic else f"√({text})"), POWER

    def raised(self, base: str, exponent: Fraction) -> str:
        if exponent.denominator == 1:
            return base + str(exponent.numerator).translate(SUPERSCRIPTS)
        return f"{base}^({exponent})"

    def raised_to(self, base: str, exponent: str) -> str:
        return f"{base}^({exponent})"

    def product(self, factors: list[str]) -> str:
        return "·".join(factors)

    def tight(self, factors: list[str]) -> str:
        return "·".join(factors)

    def call(self, function: str, args: list[str]) -> str:
        name = {"maximum": "max", "minimum": "min", "sigmoid": "σ"}.get(function, function)
        if function == "abs":
            return f"|{args[0]}|"
        return f"{name}({', '.join(args)})"

    def form(self, row: Operation) -> str:
        return row.unicode

    def element(self, whole: str, subs: list[str]) -> str:
        return f"({whole})[{','.join(subs)}]" if subs else whole

    def reduction(self, op: str, below: str) -> str:
        symbol = REDUCTIONS.get(op, op)
        return f"{symbol}_{below}" if len(below) == 1 else f"{symbol}_{{{below}}}"

    def choice(self, cond: str, then: str, other: str) -> tuple[str, int]:
        return f"({then} if {cond} else {other})", ATOM

    def special(self, name: str) -> str:
        return SPECIALS[name]

    def floor(self, above: str, below: str) -> str:
        return f"⌊{above}/{below}⌋"

    def modulo(self, left: str, right: str) -> str:
        return f"{left} mod {right}"

    def connective(self, word: str) -> str:
        return WORDS[word]

    def divisible(self, divisor: str, sub: str) -> str:
        return f"{divisor} | {sub}"
