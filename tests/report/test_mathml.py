"""MathML: well formed, every name in it, the parentheses that the meaning needs."""

from __future__ import annotations

import re
from fractions import Fraction
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pullback.ir.expr import (
    Access,
    Add,
    Compare,
    Expr,
    Guard,
    Mul,
    Not,
    Number,
    Power,
    Reduce,
    Tensor,
    number,
)  # fmt: skip
from pullback.ir.program import Define, reads
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.notation.letters import letter
from pullback.notation.matrix import matrix_form
from pullback.notation.parse import parse
from pullback.report.html import WIDTH
from pullback.report.mathml import math, text
from pullback.report.tex import Typeset, decimal, lines, typeset
from tests.report.forms import FORMS, HOSTILE, derived, hostile

STATEMENTS = [
    "Y[i] = X[i]*[X[i] > 0]",
    "T[i:5,j:5] = [i = j]",
    "X[3]; Z[i:6] = X[i//2]",
    "X[3]; Z[i:6] = X[i % 3]",
    "L[] = -mean(n) log(P[n,y[n]])",
    "X[N,C,8,8]; Y[n,c,i:4,j:4] = max(p:2,q:2) X[n,c,2*i+p,2*j+q]",
    "Y[i] = where(X[i] > 1 and not X[i] > 2 or X[i] < 0, X[i], exp(-X[i]))",
    "X[N,9,9]; Y[n,i:5,j:9] = sum(p:3,q:3) pad(X,0)[n,2*i+p-1,j+q-1]*K[p,q]",
    "Y[n] = argmax(c) X[n,c]",
    "Y[i] = abs(X[i]) + floor(X[i]) + ceil(X[i]) + sigmoid(X[i]) + maximum(X[i], 0.5)",
    "Y[i] = (X[i] + 1)**3 / (2*X[i]**2 + sqrt(X[i])) * 0.044715 - 1/X[i]",
    "Y[i] = prod(k) X[i,k] - sum(k) (X[i,k] + 1)",
]


def drawn(content: Define, style: Typeset | None = None, alt: str = "") -> str:
    """A statement as the pages set it."""
    return math(lines(content, style or Typeset(), WIDTH), alt=alt, block=True)


def value(node: Expr) -> str:
    """A value as the pages set it."""
    return math(Typeset().show(node))


def tree(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)


def letters(markup: str) -> str:
    """What is read of a formula, without spaces and signs that aren't seen."""
    return re.sub("\\s|[\u2061\u2062\u2063]", "", "".join(tree(markup).itertext()))


@pytest.mark.parametrize("source", STATEMENTS)
def test_statements_are_well_formed_and_name_all_that_they_read(source: str) -> None:
    statement = parse(source).statements[-1]
    root = tree(drawn(statement))
    assert root.tag == "math"
    identifiers = {node.text for node in root.iter() if node.tag in ("mi", "mtext")}
    for tensor in (statement.target, *reads(statement)):
        assert letter(tensor.name).stem in identifiers


@pytest.mark.parametrize("name", FORMS)
def test_all_that_a_derivation_holds_can_be_drawn(name: str) -> None:
    made = derived(name)
    style = typeset(made)
    for s in (
        *made.backward.statements,
        *made.backward.adjoints,
        *made.backward.forward.statements,
    ):
        tree(drawn(s, style))
        form = matrix_form(s)
        if form is not None:
            tree(math(lines(form, style, WIDTH)))


def test_markup_has_no_text_outside_of_tokens() -> None:
    tokens = {"mi", "mn", "mo", "mtext"}
    for source in STATEMENTS:
        for node in tree(drawn(parse(source).statements[0])).iter():
            if node.tag not in tokens:
                assert not (node.text or "").strip(), (source, node.tag, node.text)
            assert not (node.tail or "").strip()


def test_children_of_scripts_and_fractions_are_counted() -> None:
    arity = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "msqrt": 1}
    for source in STATEMENTS:
        for node in tree(drawn(parse(source).statements[0])).iter():
            if node.tag in arity:
                assert len(node) == arity[node.tag], (source, node.tag)


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("y[] = (a[] + b[])*c[]", "y=c(a+b)"),
        ("y[] = a[] + b[]*c[]", "y=a+bc"),
        ("y[] = a[] - (b[] + c[])", "y=a−(b+c)"),
        ("y[] = a[] - (b[] - c[])", "y=a−(b−c)"),
        ("y[] = -(a[] + b[])", "y=−(a+b)"),
        ("y[] = (a[] + b[])**2", "y=(a+b)2"),
        ("y[] = (a[]*b[])**3", "y=(ab)3"),
        ("y[] = (-a[])**2", "y=(−a)2"),
        ("y[] = a[]*(-2)", "y=−a⋅2"),
        ("y[] = (sum(i) X[i])*a[]", "y=a∑iXi"),
        ("y[] = sum(i) (X[i] + a[])", "y=∑i(Xi+a)"),
        ("y[] = (sum(i) X[i]) + a[]", "y=∑iXi+a"),
        ("y[] = a[]**2 * exp(-b[])", "y=a2exp(−b)"),
        ("Y[i] = [X[i] > 0]", "Yi=[Xi>0]"),
        ("X[3]; Z[i:6] = X[i//2]", "Zi=X⌊i/2⌋"),
        ("X[9]; Z[i:4] = X[2*i+1]", "Zi=X2i+1"),
        ("X[3]; Z[i:4] = X[(i+1)//2]", "Zi=X⌊(i+1)/2⌋"),
        ("X[3]; Z[i:4] = X[(i+1) % 3]", "Zi=X(i+1)mod3"),
        ("X[H]; y[] = ((H+1)//(2*H))*a[]", "y=⌊(H+1)/(2H)⌋a"),
        ("y[] = a[]/(b[]*c[])*d[]", "y=adbc"),
    ],
)
def test_parentheses_stand_where_the_meaning_needs_them(source: str, read: str) -> None:
    assert letters(drawn(parse(source).statements[0])) == read


def test_a_quotient_is_a_fraction() -> None:
    (fraction,) = tree(drawn(parse("y[] = a[]/(b[] + c[])").statements[0])).iter("mfrac")
    assert ["".join(part.itertext()) for part in fraction] == ["a", "b+c"]


def test_greek_accents_and_numbers_of_names() -> None:
    assert letters(drawn(parse("y[] = gamma[]").statements[0])) == "y=γ"
    for name in ("x_hat", "xhat"):
        (accent,) = tree(drawn(parse(f"y[] = {name}[]").statements[0])).iter("mover")
        assert accent[0].text == "x" and accent.get("accent") == "true"
    (power,) = tree(drawn(parse("Y[i] = W1[i]**2").statements[0])).iter("msup")
    assert ["".join(part.itertext()) for part in power] == ["(Wi(1))", "2"]
    (power,) = tree(drawn(parse("Y[i] = x[i]**2").statements[0])).iter("msubsup")
    assert ["".join(part.itertext()) for part in power] == ["x", "i", "2"]


def test_gradients_carry_their_class() -> None:
    for name, parts in (("dX", ["d", "X"]), ("dW1", ["d", "W"]), ("y", ["y"])):
        markup = math(Typeset({name}).show(Access(Tensor(name, ()), ())))
        (marked,) = (node for node in tree(markup).iter() if node.get("class") == "gradient")
        assert [node.text for node in marked.iter("mi")] == parts
    made = derived("mlp")
    loss = next(s for s in made.backward.adjoints if s.target.name == "dZ")
    assert 'class="gradient"' in drawn(loss, typeset(made))
    assert 'class="gradient"' not in drawn(loss)


def test_a_gradient_of_a_word_has_its_d_set_apart() -> None:
    from pullback import derive

    made = derive("loss[n] = X[n]**2; Y[n] = loss[n]**2")
    style = typeset(made)
    assert style.word("dloss") == r"\gradient{\mathrm{d}\mathrm{loss}}"
    assert style.word("dimension") == r"\mathrm{dimension}"


def test_names_that_would_look_alike_are_told_apart() -> None:
    from pullback import derive

    style = typeset(derive("Y[n] = lam[]*X[n] + lambda[]*X[n]**2"))
    assert style.word("lam") != style.word("lambda")


def test_hostile_names_stay_text() -> None:
    for s in hostile().backward.statements:
        markup = drawn(s, Typeset({s.target.name}), alt=HOSTILE)
        assert "<script" not in markup
        root = tree(markup)
        assert not any(node.tag == "script" for node in root.iter())
        assert "<script>alert" in "".join(root.itertext())
        assert root.get("alttext") == HOSTILE.replace("\x00", "\ufffd")


@given(st.text(), st.booleans())
@example("a}b", True)
@example("%", False)
@example("\\input{x}", True)
@example("&ApplyFunction;", False)
@example("d\U000e0100X", True)
def test_any_text_survives(words: str, marked: bool) -> None:
    element = tree(f'<a b="{text(words)}">{text(words)}</a>')
    kept = element.text or ""
    assert len(kept) == len(words.replace("\r\n", "\n")) or "\r" in words
    x = Tensor(words or "x", (size("N"),))
    i = Index(words or "i", size(words or "N"))
    statement = Define(x, (i,), Reduce("sum", (i,), (), Power(Access(x, (at(i),)), Fraction(2))))
    root = tree(drawn(statement, Typeset({x.name} if marked else ())))
    assert {node.tag for node in root.iter()} <= {
        "math", "mi", "mn", "mo", "mtext", "mrow", "mspace", "mpadded", "msub", "msup", "msubsup",
        "munder", "mover",
    }  # fmt: skip


@given(st.fractions(min_value=0, max_value=10**12))
@example(Fraction(12500000001, 125))
def test_a_number_is_written_as_what_it_is(value: Fraction) -> None:
    written = decimal(value)
    if "…" not in written:
        assert Fraction(written) == value
    else:
        assert abs(float(written.replace("…", "")) - float(value)) <= 1e-5 * float(value)


@pytest.mark.parametrize("special", ["inf", "-inf", "nan"])
def test_special_numbers(special: str) -> None:
    assert letters(value(Number(Fraction(0), special))) in ("∞", "−∞", "nan")


@pytest.mark.parametrize(("op", "sign"), [("<", "≮"), ("<=", "≰")])
def test_what_fails_is_a_relation_with_space_around(op: str, sign: str) -> None:
    a, b = (Access(Tensor(name, ()), ()) for name in "ab")
    drawn = tree(value(Guard(Not(Compare(op, a, b)))))
    (found,) = (node for node in drawn.iter("mo") if node.text == sign)
    assert found.get("lspace") == found.get("rspace") == "0.2778em"


def test_deep_sums_and_products_do_not_lose_factors() -> None:
    a, b = (Access(Tensor(name, ()), ()) for name in "ab")
    drawn = value(
        Mul((number(-1), Power(a, Fraction(-1)), Add((b, number(2))), Power(b, Fraction(-1, 2))))
    )
    found = letters(drawn)
    assert found.startswith("−") and found.count("a") == 1 and found.count("b") == 2
    assert len(list(tree(drawn).iter("msqrt"))) == 1


LONG = (
    "Y[n] = alpha[]*(" + " + ".join(f"A{k}[n]*B{k}[n]" for k in range(12)) + ")",
    "Y[n] = " + " - ".join(f"A{k}[n]*(B{k}[n] + 1)" for k in range(12)),
    "Y[n] = sum(k) " + "*".join(f"A{k}[n,k]" for k in range(20)),
    "Y[n] = " + "*".join(f"(A{k}[n] + 1)" for k in range(20)),
)


@pytest.mark.parametrize("source", LONG)
def test_a_long_formula_stands_on_several_lines_and_says_the_same(source: str) -> None:
    statement = parse(source).statements[0]
    rows = list(next(tree(drawn(statement)).iter("mtable")))
    assert len(rows) > 1
    whole = math(lines(statement, Typeset(), 1000))
    assert letters(drawn(statement)).replace("⋅", "") == letters(whole).replace("⋅", "")
