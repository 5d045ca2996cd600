"""Formulas for readers: the terminal's and LaTeX's."""

from __future__ import annotations

import re
from fractions import Fraction
from math import prod
from random import Random

import pytest
from hypothesis import given, settings

from pullback.ir.expr import Access, Add, Expr, Mul, Number, Power, Tensor, number
from pullback.ir.program import Program
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.notation.latex import escaped, latex, latex_name
from pullback.notation.letters import GREEK, letter
from pullback.notation.naming import Look, Slope
from pullback.notation.parse import parse
from pullback.notation.terminal import terminal

from .random_statements import programs

SHOWN = [
    (
        "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]",
        "Y[n,m] = Σ_d X[n,d]·W[d,m] + b[m]",
        r"Y_{n,m} = \sum_{d} X_{n,d} \, W_{d,m} + b_{m}",
    ),
    (
        "dX[n,d] = gamma[d]*s[d]/N*(N*dY[n,d] - dbeta[d] - x_hat[n,d]*dgamma[d])",
        "dX[n,d] = γ[d]·s[d]/N·(N·dY[n,d] − dβ[d] − x̂[n,d]·dγ[d])",
        r"\mathrm{d}X_{n,d} = \frac{\gamma_{d} \, s_{d}}{N} \, \left(N \, \mathrm{d}Y_{n,d}"
        r" - \mathrm{d}\beta_{d} - \hat{x}_{n,d} \, \mathrm{d}\gamma_{d}\right)",
    ),
    (
        "s[d] = 1/sqrt(v[d] + 1e-5) - mu[d]**2",
        "s[d] = 1/√(v[d] + 1e-5) − μ[d]²",
        r"s_{d} = \frac{1}{\sqrt{v_{d} + 10^{-5}}} - \mu_{d}^{2}",
    ),
    (
        "L = -mean(n) log(P[n,k[n]])",
        "L = −1/N·Σ_n log(P[n,k_index[n]])",
        r"L = -\frac{1}{N} \, \sum_{n} \log\left(P_{n,k_{\mathrm{index};n}}\right)",
    ),
    (
        "Y[i] = where(X[i] <= 0, -inf, X[i])*[i % 2 = 0 and i != 3]*W1[i]",
        "Y[i] = W₁[i]·(−∞ if X[i] ≤ 0 else X[i])·[2 | i ∧ i ≠ 3]",
        r"Y_{i} = W^{(1)}_{i} \, \begin{cases} -\infty & \text{if } X_{i} \le 0 \\ X_{i} &"
        r" \text{otherwise} \end{cases} \, \left[2 \mid i \land i \ne 3\right]",
    ),
    (
        "m[i:4] = max(p:2 if i + p < 4) x[i//2]*abs(x[p])/(a[]*b[])",
        "m[i] = max_{p: i+p < 4} x[⌊i/2⌋]·|x[p]|/(a·b)",
        r"m_{i} = \max_{p: i+p < 4} \frac{x_{\lfloor i/2 \rfloor} \, \left|x_{p}\right|}{a \, b}",
    ),
    ("Y = -(a[] + b[])*c[]", "Y = −c·(a + b)", r"Y = -c \, \left(a + b\right)"),
    ("Y = a[] - (b[] - c[])", "Y = a − (b − c)", r"Y = a - \left(b - c\right)"),
    ("Y = (a[]**2)**b[]", "Y = (a²)^(b)", r"Y = {\left(a^{2}\right)}^{b}"),
    ("Y = 2*(1/3)*x[]", "Y = 2·(1/3)·x", r"Y = 2 \cdot \frac{1}{3} \, x"),
    (
        "Y = sum(i:3) -x[]",
        "Y = Σ_i (−x)",
        r"Y = \sum_{i} \left(-x\right)",
    ),
    (
        "Y[i:4] = v[(i+1)//2]*v[i//2]*v[i%2]*(i%2)*w[]",
        "Y[i] = v[⌊(i+1)/2⌋]·v[⌊i/2⌋]·v[i mod 2]·(i mod 2)·w",
        r"Y_{i} = v_{\lfloor (i+1)/2 \rfloor} \, v_{\lfloor i/2 \rfloor} \, v_{i \bmod 2} \,"
        r" \left(i \bmod 2\right) \, w",
    ),
    ("Y = 2*3*x[]**(2/3)", "Y = 2·3·x^(2/3)", r"Y = 2 \cdot 3 \, x^{2/3}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown", "tex"), SHOWN)
def test_formulas_as_a_reader_sees_them(text: str, shown: str, tex: str) -> None:
    statement = parse(
        text, {"x": (9,)} if "x[p" in text else {"v": (3,)} if "v[" in text else {}
    ).statements[-1]
    assert terminal(statement) == shown
    assert latex(statement) == tex


def test_a_negative_size_before_an_index_is_subtracted() -> None:
    n, k = Index("n", size("N")), Index("k", size("K"))
    for times, tex in (
        (size("M") * -2, "k-2M n-2"),
        (size(1) - size("M"), r"k+\left(1-M\right)n-2"),
    ):
        assert latex(at(k) + at(n) * times - 2) == tex
    assert terminal(at(k) - at(n) * size("M")) == "k−M·n"


NAMES = [
    ("X", "X"),
    ("mu", r"\mu"),
    ("eps", r"\epsilon"),
    ("x_hat", r"\hat{x}"),
    ("dx_hat", r"\mathrm{d}\hat{x}"),
    ("t_x", r"\dot{x}"),
    ("W1", "W_{1}"),
    ("dW1", r"\mathrm{d}W_{1}"),
    ("score", r"\mathrm{score}"),
    ("x_pos", r"x_{\mathrm{pos}}"),
    ("x'", r"x^{\prime}"),
    ("dropout", r"\mathrm{dropout}"),
    ("a\\b{c}$", r"\text{a\textbackslash{}b\{c\}\$}"),
    ("x\ny", "\\text{x\ufffdy}"),
]


@pytest.mark.parametrize(("name", "tex"), NAMES)
def test_names_in_latex(name: str, tex: str) -> None:
    assert latex_name(name) == tex


def test_a_gradient_can_be_drawn_as_a_partial_derivative() -> None:
    statement = parse("dX[n] = dY[n]*W1[n]").statements[0]
    shown = latex(statement, Look("partial", slopes={"dX": Slope("X"), "dY": Slope("Y")}))
    assert shown == (
        r"\frac{\partial L}{\partial X_{n}} = \frac{\partial L}{\partial Y_{n}} \, W^{(1)}_{n}"
    )


def test_every_greek_letter_is_one_sign() -> None:
    for name, sign in GREEK.items():
        assert len(sign) == 1 and letter(name).stem == name
        assert re.fullmatch(r"\\[a-zA-Z]+", latex_name(name))


@settings(max_examples=100)
@given(programs())
def test_latex_of_a_random_program_is_balanced(program: Program) -> None:
    for statement in program.statements:
        tex = latex(statement)
        assert depth(re.sub(r"\\[{}]", "", tex)) == 0
        assert tex.count(r"\left") == tex.count(r"\right") + tex.count(r"\leftarrow")
        assert tex.count(r"\begin") == tex.count(r"\end")
        assert "\n" not in tex and "$" not in tex


def depth(text: str) -> int:
    """The braces left open; -1 where one closes too early."""
    level = 0
    for sign in text:
        level += (sign == "{") - (sign == "}")
        if level < 0:
            return -1
    return level


@settings(max_examples=100)
@given(programs())
def test_the_terminal_never_gets_control_characters(program: Program) -> None:
    for statement in program.statements:
        assert all(sign.isprintable() or sign in "\u0300\u20d7" for sign in terminal(statement))


def test_text_of_users_never_becomes_a_command() -> None:
    assert "\\" not in re.sub(r"\\(text\w+|[{}$&#_%])", "", escaped("\\input{x}^~_&%$#"))


def _tree(random: Random, depth: int) -> Expr:
    if depth == 0 or random.random() < 0.2:
        names = "abc"
        return random.choice([*(Access(Tensor(n, (), "float"), ()) for n in names), number(2)])
    parts = tuple(_tree(random, depth - 1) for _ in range(random.choice([1, 2, 2, 3])))
    match random.choice(["add", "add", "mul", "minus", "minus", "times", "inverse", "square"]):
        case "add":
            return Add(parts)
        case "mul":
            return Mul(parts)
        case "minus":
            return Mul((number(-1), parts[0]))
        case "times":
            return Mul((number(random.choice([-3, -1, 2])), *parts))
        case "inverse":
            return Power(parts[0], Fraction(-1))
        case _:
            return Power(parts[0], Fraction(2))


VALUES = {"a": 1.37, "b": -0.61, "c": 2.23}


def _value(node: Expr) -> float:
    match node:
        case Access(tensor, _):
            return VALUES[tensor.name]
        case Number(value, _):
            return float(value)
        case Add(terms):
            return sum(map(_value, terms))
        case Mul(factors):
            return prod(map(_value, factors))
        case Power(base, exponent):
            return float(_value(base) ** exponent.numerator)
    raise AssertionError(node)


@pytest.mark.parametrize("seed", range(200))
def test_a_formula_for_people_has_the_value_of_what_it_shows(seed: int) -> None:
    """Once ``-(a + b)`` was shown without its parentheses."""
    value = _tree(Random(seed), 4)
    shown = terminal(value).replace("·", "*").replace("−", "-").replace("²", "**2")
    try:
        expected = _value(value)
    except ZeroDivisionError:
        pytest.skip("divided by 0")
    assert eval(shown, {}, VALUES) == pytest.approx(expected, rel=1e-9)
