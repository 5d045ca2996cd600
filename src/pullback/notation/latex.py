r"""Formulas in LaTeX. Names from users are escaped; nothing they hold becomes a command."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ..functions import TABLE
from ..opaque import Operation
from .display import Display, Displayed
from .letters import ACCENTS, COMMANDS, GREEK, letter
from .levels import ATOM, LOOSEST, POWER, PRODUCT
from .spell import show_brief

REDUCTIONS = {
    "sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min",
    "argmax": r"\operatorname{arg\,max}", "argmin": r"\operatorname{arg\,min}",
}  # fmt: skip
WORDS = {"and": r" \land ", "or": r" \lor ", "not": r"\lnot "}
SPECIALS = {
    "inf": r"\infty", "-inf": r"-\infty", "nan": r"\mathrm{nan}", "true": r"\mathrm{true}",
    "false": r"\mathrm{false}",
}  # fmt: skip
ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "_": r"\_", "%": r"\%", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def latex(what: Displayed, gradients: Mapping[str, str] | None = None) -> str:
    r"""A statement, expression, condition, subscript or size in LaTeX.

    A name such as ``dX`` is drawn as ``\mathrm{d}X``; with ``gradients``, from names to the names
    of what they are gradients of, it is ``\frac{\partial L}{\partial X}``.

    >>> from .parse import parse
    >>> statement = parse("dX[n,d] = sum(m) dY[n,m]*W1[d,m]/sqrt(x_hat[n])").statements[0]
    >>> print(latex(statement))
    \mathrm{d}X_{n,d} = \sum_{m} \frac{\mathrm{d}Y_{n,m} \, W^{(1)}_{d,m}}{\sqrt{\hat{x}_{n}}}
    """
    return Latex(gradients or {}).show(what)


def latex_name(name: str) -> str:
    r"""A name in LaTeX.

    >>> print(latex_name("x_hat"), latex_name("score"), latex_name("mu2"))
    \hat{x} \mathrm{score} \mu_{2}
    """
    return Latex({}).word(name)


def escaped(text: str) -> str:
    r"""Any text as LaTeX text.

    >>> print(escaped("params['w_1']"))
    params['w\_1']
    """
    return "".join(ESCAPES.get(c, c if c.isprintable() else "\ufffd") for c in text)


class Latex(Display):
    """The LaTeX style."""

    minus = "-"
    plus = "+"
    relations: Mapping[str, str] = {"<": "<", "<=": r"\le", "==": "=", "!=": r"\ne"}

    def __init__(self, gradients: Mapping[str, str]) -> None:
        self.gradients = gradients

    def equation(self, left: str, right: str) -> str:
        return f"{left} = {right}"

    def read(self, name: str, subs: list[str]) -> str:
        base, label, number, primes = self.pieces(name)
        place = ",".join(subs)
        above = (
            f"^{{({number}){primes}}}" if number and subs else f"^{{{primes}}}" if primes else ""
        )
        if not subs and number:
            label = f"{label},{number}" if label else number
        below = ";".join(part for part in (label, place) if part)
        return base + above + (f"_{{{below}}}" if below else "")

    def word(self, name: str) -> str:
        return self.read(name, [])

    def pieces(self, name: str) -> tuple[str, str, str, str]:
        """The parts of a drawn name: base, label, number, primes."""
        if name in self.gradients:
            inner = self.word(self.gradients[name])
            return rf"\frac{{\partial L}}{{\partial {inner}}}", "", "", ""
        parts = letter(name)
        base = self.stem(parts.stem)
        if parts.accent:
            base = f"{ACCENTS[parts.accent][1]}{{{base}}}"
        for order in reversed(parts.orders):
            raised = f"^{{{order}}}" if order else ""
            base = rf"\mathrm{{d}}{raised}{base}"
        label = rf"\mathrm{{{escaped(parts.label)}}}" if parts.label else ""
        return base, label, parts.number, r"\prime" * len(parts.primes)

    def stem(self, stem: str) -> str:
        if stem in GREEK:
            return f"\\{COMMANDS.get(stem, stem)}"
        if len(stem) == 1 and stem.isalpha():
            return stem
        if stem.isalpha():
            return rf"\mathrm{{{escaped(stem)}}}"
        return rf"\text{{{escaped(stem)}}}"

    def parenthesised(self, text: str) -> str:
        return rf"\left({text}\right)"

    def bracketed(self, text: str) -> str:
        return rf"\left[{text}\right]"

    def fraction(self, above: str, below: str) -> tuple[str, int]:
        return rf"\frac{{{above}}}{{{below}}}", PRODUCT

    def bar_level(self, below: bool) -> int:
        return LOOSEST

    def magnitude(self, value: Fraction) -> str:
        """A number >= 0 in digits."""
        return show_brief(value)

    def ratio(self, value: Fraction) -> tuple[str, int]:
        text = self.magnitude(value)
        if "/" in text:
            return self.fraction(str(value.numerator), str(value.denominator))[0], PRODUCT
        mantissa, _, exponent = text.partition("e")
        if not exponent:
            return text, ATOM
        times = "" if mantissa == "1" else rf"{mantissa} \cdot "
        return rf"{times}10^{{{exponent}}}", PRODUCT if times else POWER

    def root(self, text: str, atomic: bool) -> tuple[str, int]:
        return rf"\sqrt{{{text}}}", ATOM

    def raised(self, base: str, exponent: Fraction) -> str:
        shown = (
            str(exponent.numerator)
            if exponent.denominator == 1
            else (f"{exponent.numerator}/{exponent.denominator}")
        )
        return self.raised_to(base, shown)

    def raised_to(self, base: str, exponent: str) -> str:
        return f"{{{base}}}^{{{exponent}}}"

    def product(self, factors: list[str]) -> str:
        out = factors[0]
        for factor in factors[1:]:
            digits = factor[0].isdigit() or factor.startswith("-")
            out += (r" \cdot " if digits else r" \, ") + factor
        return out

    def tight(self, factors: list[str]) -> str:
        out = factors[0]
        for factor in factors[1:]:
            out += (
                r" \cdot " if factor[0].isdigit() else " " if out[-1].isalpha() else ""
            ) + factor
        return out

    def call(self, function: str, args: list[str]) -> str:
        inner = ", ".join(args)
        if function == "abs":
            return rf"\left|{inner}\right|"
        row = TABLE.get(function)
        name = row.latex if row and row.latex else rf"\operatorname{{{escaped(function)}}}"
        return rf"{name}\left({inner}\right)"

    def form(self, row: Operation) -> str:
        return row.latex

    def element(self, whole: str, subs: list[str]) -> str:
        return rf"\left({whole}\right)_{{{','.join(subs)}}}" if subs else whole

    def reduction(self, op: str, below: str) -> str:
        return f"{REDUCTIONS[op]}_{{{below}}}"

    def choice(self, cond: str, then: str, other: str) -> tuple[str, int]:
        rows = rf"{then} & \text{{if }} {cond} \\ {other} & \text{{otherwise}}"
        return rf"\begin{{cases}} {rows} \end{{cases}}", ATOM

    def special(self, name: str) -> str:
        return SPECIALS[name]

    def floor(self, above: str, below: str) -> str:
        return (
            rf"\lfloor {above}/{below} \rfloor"
            if below.isalnum()
            else (rf"\lfloor {above}/({below}) \rfloor")
        )

    def modulo(self, left: str, right: str) -> str:
        return rf"{left} \bmod {right}"

    def connective(self, word: str) -> str:
        return WORDS[word]

    def divisible(self, divisor: str, sub: str) -> str:
        return rf"{divisor} \mid {sub}"
