r"""Reads formulas in LaTeX back, and says what they come to at numbers: an oracle for the printer.

It knows LaTeX and how mathematics is read, and of the printer only how names are drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import floor, inf, nan, pi, prod
from typing import Any

from pullback.functions import TABLE
from pullback.ir.arithmetic import FLOAT

Scope = dict[str, int]
Value = Callable[[Scope], float]

_BROKEN = re.compile(r"(?: \\notag)? \\\\\n *&((?:\\quad)+) ")
_SIZES = re.compile(r"\\[bB]igg?([lr])")
_RELATIONS = {
    "<": lambda a, b: a < b, r"\le": lambda a, b: a <= b, "=": lambda a, b: a == b,
    r"\ne": lambda a, b: a != b, r"\mid": lambda a, b: b % a == 0,
}  # fmt: skip
_FUNCTIONS = {row.latex or rf"\operatorname{{{name}}}": name for name, row in TABLE.items()}
_STARTS = re.compile(
    r"[A-Za-z0-9{(]|\\(?!right|rfloor|land|lor|le\b|ne\b|mid|bmod|text|end|begin|\\|,|cdot)"
)


def equations(fragment: str) -> dict[str, str]:
    """The right sides of all equations of a fragment by their left ones, broken lines joined."""
    found = {}
    for block in re.findall(r"\\begin\{align\}\n(.*?)\n\\end\{align\}", fragment, re.DOTALL):
        whole = _SIZES.sub(lambda m: r"\left" if m[1] == "l" else r"\right", block)
        for line in _BROKEN.sub(" ", whole).split(" \\\\\n"):
            left, right = line.strip().split(" &= ")
            found[left] = right
    return found


class Reader:
    """Formulas over tensors, which are given with what is drawn before and behind the subscripts
    (of a scalar, all of it before), over letters of sizes, and of indices with their extents."""

    def __init__(
        self,
        tensors: Mapping[tuple[str, str], Any],
        letters: Mapping[str, int],
        extents: Mapping[str, int],
    ) -> None:
        self.tensors = sorted(tensors.items(), key=lambda item: -len(item[0][0]))
        self.letters = sorted([*letters, *extents], key=lambda text: -len(text))
        self.sizes, self.extents = letters, extents

    def read(self, text: str) -> Value:
        """The value of a formula, by the values of its indices."""
        self.text, self.place = text, 0
        value = self.sum()
        assert self.place == len(text), f"not read: {text[self.place :]}"
        return value

    # what stands next

    def skip(self) -> None:
        while self.text[self.place : self.place + 1] == " ":
            self.place += 1

    def take(self, *options: str) -> str:
        """The first of some texts that stands next, which is read; "" if none does."""
        self.skip()
        for option in options:
            end = self.place + len(option)
            word = option[-1:].isalpha() and self.text[end : end + 1].isalpha()
            if self.text.startswith(option, self.place) and not (option[0] == "\\" and word):
                self.place = end
                return option
        return ""

    def need(self, option: str) -> None:
        assert self.take(option), f"no {option} before {self.text[self.place :]}"

    def inside(self, opened: str, closed: str, what: Callable[[], Any]) -> Any:
        self.need(opened)
        value = what()
        self.need(closed)
        return value

    # values

    def sum(self) -> Value:
        terms: list[tuple[int, Value]] = []
        sign = -1 if self.take("-") else 1
        while True:
            terms.append((sign, self.product()))
            found = self.take("+", "-")
            if not found:
                break
            sign = 1 if found == "+" else -1
        return lambda at: sum(sign * value(at) for sign, value in terms)

    def product(self) -> Value:
        factors: list[tuple[bool, Value]] = []
        self.skip()
        while True:
            sign = -1 if factors and self.take("-") else 1
            guard = self.text.startswith(r"\left[", self.place)
            value = self.factor()
            if sign < 0:
                value = _negated(value)
            while found := self.take("/", r"\bmod"):
                value = _binary(found, value, self.factor())
            factors.append((guard, value))
            if not self.take(r"\,", r"\cdot") and not _STARTS.match(self.text, self.place):
                break
            self.skip()
        return lambda at: _multiplied(factors, at)

    def factor(self) -> Value:
        value = self.atom()
        if self.take("^"):
            exponent = self.inside("{", "}", self.sum)
            return lambda at: _power(value(at), exponent(at))
        return value

    def atom(self) -> Value:
        found = self.tensor() or self.function() or self.letter()
        if found is not None:
            return found
        if self.take(r"\frac"):
            above, below = (self.inside("{", "}", self.sum) for _ in range(2))
            return lambda at: _power(below(at), -1) * above(at)
        if self.take(r"\sqrt"):
            inner = self.inside("{", "}", self.sum)
            return lambda at: _power(inner(at), 0.5)
        op = self.take(r"\sum", r"\prod", r"\max", r"\min")
        if op:
            return self.reduced(op)
        if self.take(r"\begin{cases}"):
            return self.cases()
        if self.take(r"\lfloor"):
            whole = self.sum()
            self.need(r"\rfloor")
            return lambda at: floor(whole(at))
        if self.take(r"\left["):
            cond = self.condition()
            self.need(r"\right]")
            return lambda at: float(cond(at))
        if self.take(r"\left|"):
            inside = self.sum()
            self.need(r"\right|")
            return lambda at: abs(inside(at))
        for opened, closed in ((r"\left(", r"\right)"), ("(", ")"), ("{", "}")):
            if self.take(opened):
                value = self.sum()
                self.need(closed)
                return value
        if self.take(r"\pi"):
            return lambda at: pi
        number = re.compile(r"[0-9.]+").match(self.text, self.place)
        assert number, f"not read: {self.text[self.place :]}"
        self.place = number.end()
        return lambda at: float(number[0])

    def tensor(self) -> Value | None:
        for (before, behind), array in self.tensors:
            if self.take(before):
                subs = []
                if behind:
                    subs = [self.sum()]
                    while self.take(","):
                        subs.append(self.sum())
                    self.need(behind)
                return lambda at, array=array: _element(array, [sub(at) for sub in subs])  # type: ignore[misc]
        return None

    def letter(self) -> Value | None:
        name = self.take(*self.letters)
        if not name:
            return None
        return lambda at: at[name] if name in at else self.sizes[name]

    def function(self) -> Value | None:
        for drawn, name in _FUNCTIONS.items():
            if self.take(rf"{drawn}\left("):
                args = [self.sum()]
                while self.take(","):
                    args.append(self.sum())
                self.need(r"\right)")
                return lambda at, name=name: FLOAT.apply(name, [arg(at) for arg in args])  # type: ignore[misc]
        return None

    def reduced(self, op: str) -> Value:
        self.need("_{")
        names = [self.take(*self.letters)]
        while self.take(","):
            names.append(self.take(*self.letters))
        conds = []
        if self.take(":"):
            conds.append(self.condition())
            while self.take(","):
                conds.append(self.condition())
        self.need("}")
        body = self.product()
        fold = {r"\sum": sum, r"\prod": prod, r"\max": max, r"\min": min}[op]

        def value(at: Scope) -> float:
            places = product(*(range(self.extents[name]) for name in names))
            scopes = [{**at, **dict(zip(names, place, strict=True))} for place in places]
            inside = [body(scope) for scope in scopes if all(cond(scope) for cond in conds)]
            empty = {r"\max": -inf, r"\min": inf}
            return fold(inside) if inside or op not in empty else empty[op]  # type: ignore[operator]

        return value

    def cases(self) -> Value:
        then = self.sum()
        self.need(r"& \text{if }")
        cond = self.condition()
        self.need(r"\\")
        other = self.sum()
        self.need(r"& \text{otherwise} \end{cases}")
        return lambda at: then(at) if cond(at) else other(at)

    # conditions

    def condition(self) -> Callable[[Scope], bool]:
        ways = [self.conjunction()]
        while self.take(r"\lor"):
            ways.append(self.conjunction())
        return lambda at: any(way(at) for way in ways)

    def conjunction(self) -> Callable[[Scope], bool]:
        parts = [self.comparison()]
        while self.take(r"\land"):
            parts.append(self.comparison())
        return lambda at: all(part(at) for part in parts)

    def comparison(self) -> Callable[[Scope], bool]:
        if self.take(r"\lnot"):
            inner = self.comparison()
            return lambda at: not inner(at)
        start = self.place
        try:
            sides, signs = [self.sum()], []
            while sign := self.take(*_RELATIONS):
                signs.append(sign)
                sides.append(self.sum())
        except AssertionError:
            self.place = start
            return self.inside(r"\left(", r"\right)", self.condition)  # type: ignore[no-any-return]
        if not signs:
            return lambda at: sides[0](at) != 0
        return lambda at: all(
            _RELATIONS[sign](left(at), right(at))
            for left, sign, right in zip(sides, signs, sides[1:], strict=False)
        )


def _negated(value: Value) -> Value:
    return lambda at: -value(at)


def _element(array: Any, subs: Sequence[float]) -> float:
    """An element; NaN where it is out of range, which must not matter."""
    for sub in subs:
        if not 0 <= sub < len(array):
            return nan
        array = array[int(sub)]
    return float(array)


def _multiplied(factors: Sequence[tuple[bool, Value]], at: Scope) -> float:
    if not all(value(at) for guard, value in factors if guard):
        return 0.0
    return prod(value(at) for guard, value in factors if not guard)


def _power(base: float, exponent: float) -> float:
    return FLOAT.apply("pow", [base, exponent])  # type: ignore[no-any-return]


def _binary(op: str, left: Value, right: Value) -> Value:
    return (lambda at: left(at) / right(at)) if op == "/" else (lambda at: left(at) % right(at))
