r"""Formulas in LaTeX. Names from users are escaped; nothing they hold becomes a command."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import groupby

from ..functions import TABLE
from ..ir.expr import Access, Expr
from ..opaque import Operation
from .display import Display, Displayed
from .letters import ACCENTS, COMMANDS, GREEK, letter
from .levels import ATOM, LOOSEST, POWER, PRODUCT
from .naming import USUAL, Look, Slope, raised_above, scripts
from .spell import show_brief

REDUCTIONS = {
    "sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min",
    "argmax": r"\operatorname*{arg\,max}", "argmin": r"\operatorname*{arg\,min}",
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
_FRACTION = re.compile(r"\\frac\{\d")  # which would make a mixed number of a number before it
_SINGLE = re.compile(r"[^\W\d_]|\\[a-zA-Z]+(\{([^\W\d_]|\\[a-zA-Z]+)\})?")
SIGNS = {sign: name for name, sign in reversed(GREEK.items())}


def latex(what: Displayed, look: Look = USUAL) -> str:
    r"""A statement, expression, condition, subscript or size in LaTeX.

    ``look`` says how names are drawn; without it a name such as ``dX`` is ``\mathrm{d}X``.

    >>> from .parse import parse
    >>> statement = parse("dX[n,d] = sum(m) dY[n,m]*W1[d,m]/sqrt(x_hat[n])").statements[0]
    >>> print(latex(statement))
    \mathrm{d}X_{n,d} = \sum_{m} \frac{\mathrm{d}Y_{n,m} \, W^{(1)}_{d,m}}{\sqrt{\hat{x}_{n}}}
    """
    return Latex(look).show(what)


def latex_name(name: str, look: Look = USUAL) -> str:
    r"""A name in LaTeX.

    >>> print(latex_name("x_hat"), latex_name("score"), latex_name("mu2"))
    \hat{x} \mathrm{score} \mu_{2}
    """
    return Latex(look).word(name)


def derivative(loss: str, by: Sequence[str]) -> str:
    r"""A partial derivative, of a drawn name by others.

    >>> print(derivative("L", ["w", "w", "x_{i}"]))
    \frac{\partial^{3} L}{\partial w^{2} \, \partial x_{i}}
    """
    order = f"^{{{len(by)}}}" if len(by) > 1 else ""
    below = []
    for name, same in groupby(by):
        count = len([*same])
        below.append(rf"\partial {set_above(name, str(count)) if count > 1 else name}")
    under = r" \, ".join(below)
    return rf"\frac{{\partial{order} {loss}}}{{{under}}}"


def set_above(text: str, what: str) -> str:
    r"""LaTeX with a superscript, in parentheses where it has one of its own.

    >>> print(set_above("W_{n}", r"\top"), set_above("W^{(1)}_{n}", r"\top"))
    W_{n}^{\top} \left(W^{(1)}_{n}\right)^{\top}
    """
    return rf"\left({text}\right)^{{{what}}}" if raised_above(text) else f"{text}^{{{what}}}"


def settled(look: Look, names: Collection[str], letters: Collection[str] = ()) -> Look:
    r"""The look in which all ``names`` are drawn differently, and so are all ``letters``.

    Names that would be drawn alike are spelled out, but for the first of them, the gradients first
    of all, since how these are drawn is the style. ``letters`` are those of indices and sizes.

    >>> names = settled(USUAL, ["lam", "lambda", "x"]).names
    >>> print(names["lambda"], *names)
    \text{lambda} lambda
    """
    for every in (names, letters):
        ordered = sorted(every, key=lambda name: (name not in look.names, name not in look.slopes))
        for _ in ordered:
            drawn: dict[str, str] = {}
            twice = [n for n in ordered if drawn.setdefault(latex_name(n, look), n) != n]
            again = [one for n in twice for one in (look.root(n), n) if one not in look.names]
            if not again:
                break
            look = replace(look, names={**look.names, again[0]: rf"\text{{{escaped(again[0])}}}"})
    return look


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

    def __init__(self, look: Look = USUAL) -> None:
        self.look = look

    def equation(self, left: str, right: str) -> str:
        return f"{left} = {right}"

    def read(self, name: str, subs: list[str]) -> str:
        slope = self.slope(self.moved(name) or name)
        if slope is not None and self.look.style == "partial":
            return self.partial(slope, subs, r"\dot{%s}" if self.moved(name) else "%s")
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

    def tied(self, name: str) -> str:
        word = self.word(name)
        return word if self.held(name) == ATOM else self.parenthesised(word)

    def held(self, name: str) -> int:
        name = self.moved(name) or name
        slope = self.slope(name)
        if slope is None or self.look.style == "d":
            return POWER if raised_above(self.look.names.get(self.look.root(name), "")) else ATOM
        return ATOM if self.look.style == "bar" else POWER

    def tall(self, node: Expr) -> bool:
        if self.look.style != "partial" or not isinstance(node, Access):
            return False
        name = node.tensor.name
        return self.slope(self.moved(name) or name) is not None

    def slope(self, name: str) -> Slope | None:
        """What a name is the gradient of; None of one that the user draws otherwise."""
        return None if name in self.look.names else self.look.slopes.get(name)

    def moved(self, name: str) -> str:
        """What a name is the tangent of, if that isn't drawn as its letters say; else ""."""
        inner = name.removeprefix("t_")
        if inner == name or name in self.look.names or name in self.look.slopes:
            return ""
        marked = inner in self.look.slopes and self.look.style != "d"
        return inner if marked or inner in self.look.names else ""

    def partial(self, slope: Slope, subs: list[str], form: str) -> str:
        """A gradient as a partial derivative, the loss in a form; where the loss is a gradient,
        of higher order."""
        by = [self.read(slope.of, subs)]
        while slope.loss:
            inner = self.slope(slope.loss)
            if inner is None:
                return derivative(form % self.word(slope.loss), by)
            by.insert(0, self.word(inner.of))
            slope = inner
        return derivative(form % self.look.losses[slope.level - 1], by)

    def pieces(self, name: str) -> tuple[str, str, str, str]:
        """The parts of a drawn name: base, label, number, primes."""
        if name in self.look.names:
            return *scripts(self.look.names[name]), "", ""
        slope = self.slope(name)
        if slope is not None:
            found = self.marked(name, slope)
            if found is not None:
                return found
        if self.moved(name):
            base, *rest = self.pieces(self.moved(name))
            return rf"\dot{{{base}}}", rest[0], rest[1], rest[2]
        parts = letter(name)
        base = self.stem(parts.stem)
        if parts.accent:
            base = f"{ACCENTS[parts.accent][1]}{{{base}}}"
        base = self.ordered(parts.orders, base)
        label = rf"\mathrm{{{escaped(parts.label)}}}" if parts.label else ""
        return base, label, parts.number, r"\prime" * len(parts.primes)

    def marked(self, name: str, slope: Slope) -> tuple[str, str, str, str] | None:
        """The parts of a gradient in the style; None where they are those of its name."""
        level = "" if slope.level == 1 else f"{{}}^{{{slope.level}}}"
        if self.look.style == "delta":
            return rf"{level}\delta^{{{self.word(slope.of)}}}", "", "", ""
        parts = letter(name)
        if (
            self.look.style == "d"
            and parts.gradient
            and self.look.root(name) not in self.look.names
        ):
            return None
        base, *rest = self.pieces(slope.of)
        if self.look.style == "d":
            orders = parts.orders[:1] or ("" if slope.level == 1 else str(slope.level),)
            return self.ordered(orders, base), rest[0], rest[1], rest[2]
        bar = r"\bar" if _SINGLE.fullmatch(base) else r"\overline"
        return f"{level}{bar}{{{base}}}", rest[0], rest[1], rest[2]

    def ordered(self, orders: Sequence[str], base: str) -> str:
        """A name with the d's of a gradient in front."""
        for order in reversed(orders):
            raised = f"^{{{order}}}" if order else ""
            base = rf"\mathrm{{d}}{raised}{base}"
        return base

    def stem(self, stem: str) -> str:
        if stem in GREEK:
            return f"\\{COMMANDS.get(stem, stem)}"
        if stem in SIGNS:
            return self.stem(SIGNS[stem])
        if stem.isalpha() and stem.isascii():
            return stem if len(stem) == 1 else rf"\mathrm{{{escaped(stem)}}}"
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
            return self.fraction(str(value.numerator), str(value.denominator))[0], POWER
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
        """A power: of a name with the exponent above its subscripts, of one that has a superscript
        of its own in parentheses."""
        if r"\left" in base or " " in base:
            return f"{{{base}}}^{{{exponent}}}"
        return set_above(base, exponent)

    def product(self, factors: list[str]) -> str:
        out = factors[0]
        for factor in factors[1:]:
            digits = factor[0].isdigit() or factor.startswith("-")
            digits |= out[-1].isdigit() and _FRACTION.match(factor) is not None
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
        return rf"\lfloor {above}/{below} \rfloor"

    def modulo(self, left: str, right: str) -> str:
        return rf"{left} \bmod {right}"

    def connective(self, word: str) -> str:
        return WORDS[word]

    def divisible(self, divisor: str, sub: str) -> str:
        return rf"{divisor} \mid {sub}"
