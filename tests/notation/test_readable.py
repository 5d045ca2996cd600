"""Formulas for people: constants by name, no ones and zeros; the value is the same."""

from __future__ import annotations

from fractions import Fraction
from math import pi, sqrt

import pytest

from pullback import derive
from pullback.ir.expr import Add, Expr, Guard, Inside, Mul, Number, Power, number
from pullback.ir.interpret import evaluate
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at, constant
from pullback.notation.latex import latex
from pullback.notation.parse import parse
from pullback.notation.plain import show
from pullback.notation.readable import PI, readable
from pullback.notation.terminal import terminal

ROOT = Fraction("1.1283791670955125738961589031215451716881012586580")  # 2/sqrt(pi)

CONSTANTS = {
    ROOT: "2/sqrt(pi)",
    ROOT / 2: "1/sqrt(pi)",
    -ROOT / 2: "-1/sqrt(pi)",
    ROOT * 3 / 7: "6/7/sqrt(pi)",
    ROOT / 2 / Fraction("1.4142135623730951"): "1/1.4142135623730951/sqrt(pi)",
    ROOT * PI.value / 2: "sqrt(pi)",
    PI.value: "pi",
    2 * PI.value: "2*pi",
    1 / PI.value: "1/pi",
    Fraction(1, 3): "1/3",
    Fraction("0.044715"): "0.044715",
    1 / Fraction("1.4142135623730951"): "1/1.4142135623730951",
    Fraction("0.044715") * Fraction("0.3989422804014327") * 3: "0.05351611220445019",
    Fraction(949641, 370000): "2.5665972972972972",
    Fraction(1, 10**30): "1e-30",
    Fraction(2**80): "1.208925819614629174706176e24",
    Fraction("2.718281828459045"): "2.718281828459045",
}


@pytest.mark.parametrize("value", CONSTANTS)
def test_constants_are_shown_as_one_writes_them(value: Fraction) -> None:
    node = Number(value, "")
    assert show(node) == CONSTANTS[value]
    assert float(evaluate(readable(node))) == pytest.approx(float(value), rel=1e-15)
    assert show(node, exact=True) == show(node, exact=True).strip()
    for text in (latex(node), terminal(node)):
        assert len(text) < 60


def test_no_constant_is_taken_for_a_root_of_pi() -> None:
    for near in (sqrt(pi), 1 / sqrt(pi), pi, 2 / sqrt(pi)):  # floats, as a program computes them
        assert "pi" not in show(number(near))


N = Index("n", size("N"))
I = Index("i", size("N"))  # noqa: E741
X = parse("Y[n] = X[n]").inputs[0]
READ = parse("Y[n] = X[n]").statements[0].body
SIMPLE: dict[str, tuple[Expr, str]] = {
    "one over": (Mul((number(1), Power(Add((number(1), READ)), Fraction(-1)))), "1/(1 + X[n])"),
    "less zero": (Add((READ, Mul((number(-1), number(0))))), "X[n]"),
    "a zero that may be there": (
        Add((READ, Mul((Guard(Inside(at(I), size(1))), number(0))))),
        "X[n]",
    ),
    "times one": (Mul((READ, number(1))), "X[n]"),
    "only ones": (Mul((number(1), number(1))), "1"),
    "nothing left": (Add((number(0), number(0))), "0"),
}


@pytest.mark.parametrize("name", SIMPLE)
def test_what_says_nothing_is_left_out(name: str) -> None:
    node, text = SIMPLE[name]
    assert show(node) == text


def test_a_program_is_shown_as_it_is() -> None:
    text = "X[N]\nY[n] = 1*(1 + X[n])**-1 - 0 + 3.14159265358979323846*X[n]"
    program = parse(text)
    assert parse(show(program)) == program


def test_derivations_have_no_long_numbers() -> None:
    for text in ("Y[n] = 0.5*X[n]*(1 + erf(X[n]/1.4142135623730951))", "Y[n] = erf(3.7*X[n])/0.3"):
        derivation = derive(text)
        shown = str(derivation) + latex(derivation.backward.statements[-1])
        digits = [
            word for word in shown.replace("/", " ").split() if sum(map(str.isdigit, word)) > 18
        ]
        assert not digits and "sqrt(pi)" in shown and "\\sqrt{\\pi}" in shown


def test_a_minus_sign_is_no_factor() -> None:
    derivation = derive("Y[n,k] = sigmoid(-(sum(d) X[n,d]*W[d,k]))")
    assert "−1 " not in str(derivation)


RANGES = {
    "[1 <= n]": at(N) - 1,
    "[n+1 < N]": at(N) + 1,
    "[0 <= 2*n-1 < N]": at(N) * 2 - 1,
    "[n < N-1]": constant(size("N") - 2) - at(N),
}


@pytest.mark.parametrize("text", RANGES)
def test_a_range_is_open_on_the_side_that_always_holds(text: str) -> None:
    wide = Guard(Inside(RANGES[text], size("N")))
    assert show(wide) == text
    for n in range(4):
        shown, meant = (evaluate(node, {N: n}, {}, {"N": 4}) for node in (readable(wide), wide))
        assert shown == meant
