"""What is printed in index notation parses back to the same program."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.ir.expr import Access, Add, Apply, IndexOf, Mul, Power, Reduce, SizeOf, Tensor, number
from pullback.ir.interpret import run
from pullback.ir.program import Define, Program
from pullback.ir.sizes import Size, size
from pullback.ir.subscripts import Index, at
from pullback.notation.parse import parse
from pullback.notation.plain import show

from .random_statements import as_user, programs


@settings(max_examples=250)
@given(programs())
def test_a_random_program_parses_back_to_itself(program: Program) -> None:
    assert as_user(parse(show(program))) == as_user(program)


@settings(max_examples=40)
@given(programs(depth=6))
def test_a_deep_random_program_parses_back_to_itself(program: Program) -> None:
    assert as_user(parse(show(program))) == as_user(program)


SIZES = st.recursive(
    st.one_of(st.sampled_from(["N", "M", "H w"]).map(size), st.integers(0, 9).map(size)),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a - b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, b: a // (b * b + 1), inner, inner),
    ),
    max_leaves=4,
)


@given(SIZES)
def test_a_size_parses_back_to_itself(form: Size) -> None:
    program = parse(f"size N, M, `H w`; Y = size({show(form)})")
    assert program.statements[0].body is SizeOf(form)


PRETTY = [
    "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]",
    "mu[d] = mean(n) X[n,d]",
    "dX[n,d] = gamma[d]*s[d]/N*(N*dY[n,d] - dbeta[d] - x_hat[n,d]*dgamma[d])",
    "s[n] = 1/sqrt(v[n] + 1e-5)",
    "Z[n] = -x[n]**2/y[n]**2 - 2*x[n] + 0.5*y[n]",
    "P[n,c] = E[n,c]/(sum(k) E[n,k])",
    "L = -mean(n) log(P[n,y[n]])",
    "Y[i] = X[i]*[0 < X[i]]",
    "Y[i] = where(X[i] < 500, exp(X[i]), 1)",
    "Y[i] = x[i]**a - (a - b)*(c + 1)",
    "Y[i] = 1/3*x[i] - 2/7",
    "Y[i:5] = max(p:3) pad(X,0)[i+p-1]",
    "Y[i] = sum(j if j <= i, j < 3) X[i,j]*[i != j]",
    "Y[i] = x[i]*[not (x[i] < 1 or x[i] == 2) and mask[i]]",
    "Y[n] = argmax(q of p, q) X[n,p,q]",
    "Y[i] = -(x[i] + 1)*[i % 2 = 0]",
]


@pytest.mark.parametrize("text", PRETTY)
def test_what_a_person_writes_is_printed_as_written(text: str) -> None:
    shapes = {"X": (4,)} if "pad" in text else {}
    scalars = "a[]; b[]; c[]\n" if "a - b" in text else ""
    assert show(parse(scalars + text, shapes)).splitlines()[-1].replace("y_index", "y") == text


def test_a_statement_alone_needs_no_marks_on_lookups() -> None:
    y, x = Tensor("y", (size("N"),), "int"), Tensor("X", (size("C"),))
    n = Index("n", size("N"))
    statement = parse("L[n] = X[y[n]]").statements[-1]
    assert show(statement) == "L[n] = X[y_index[n]]"
    assert show(statement, exact=True) == "L[n] = X[index(y_index[n])]"
    assert y.kind == "int" and show(x) == "X[C]" and show(at(n) * 2 + 1) == "2*n+1"


def define(body: Mul | Add | Power | Apply, *indices: Index) -> Program:
    target = Tensor("Y", tuple(index.extent for index in indices))
    x = Tensor("x", (size("N"),))
    return Program((x,), (Define(target, indices, body),), (target,))


I = Index("i", size("N"))  # noqa: E741
X = Access(Tensor("x", (size("N"),)), (at(I),))


@pytest.mark.parametrize(
    "body",
    [
        Mul((number(1), Power(X, Fraction(-1)))),
        Mul((number(2), Power(number(3), Fraction(-1)), X)),
        Mul((Mul((X, X)), X)),
        Mul((number(-1), number(2), X)),
        Mul((X, number(-2), number(Fraction(1, 3)))),
        Add((Add((X, X)), Mul((number(-1), Mul((number(-1), X)))))),
        Add((IndexOf(at(I)), number(1))),
        Mul((SizeOf(size("N")), SizeOf(size("N")))),
        Power(Power(X, Fraction(2)), Fraction(-1)),
        Power(number(-2), Fraction(2)),
        Power(Power(X, Fraction(1, 2)), Fraction(1, 2)),
        Apply("pow", (X, number(2))),
        Apply("pow", (X, Mul((number(2), number(3))))),
        Apply("floor_divide", (IndexOf(at(I)), number(2))),
        Mul((X,)),
        Add(()),
    ],
    ids=lambda body: body.key[:40],
)
def test_shapes_that_look_alike_stay_apart(body: Mul | Add | Power | Apply) -> None:
    program = define(body, I)
    assert as_user(parse(show(program))) == as_user(program)


def test_an_index_that_hides_another_is_printed_with_another_letter() -> None:
    inner = Reduce("sum", (I,), (), Mul((X, IndexOf(at(I)))))
    program = define(Mul((X, Reduce("max", (I,), (), Add((X, inner))))), I)
    again = parse(show(program))
    values = {"x": [0.5, -1.0, 2.0]}
    assert run(again, values)["Y"] == run(program, values)["Y"]


def test_numbers_with_endless_decimals_are_fractions() -> None:
    for value in (Fraction(1, 2**300), Fraction(10**30 + 1, 10**70), Fraction(7, 3)):
        program = define(Mul((X, number(value))), I)
        assert as_user(parse(show(program))) == as_user(program)


def test_outputs_and_free_sizes_are_kept() -> None:
    text = "X[N]\nA[i] = X[i]*K\nB[i:M] = A[0]*[i < M - 1]\nreturn A, B, X"
    program = parse(f"size K, M\n{text}", {"X": (5,)})
    assert program.sizes == ("K", "M")
    assert [t.name for t in program.outputs] == ["A", "B", "X"]
    assert as_user(parse(show(program))) == as_user(program)


def test_the_text_is_the_same_under_every_hash_seed() -> None:
    script = (
        "from pullback.notation.parse import parse\n"
        "from pullback.notation.plain import show\n"
        "text = 'm[d] = mean(n) X[n,d]; L = -mean(n) log(P[n,y[n]])*Q[n,2*n]; '\n"
        "text += 'Z[n] = a[]*b[]/N+M[n]'\n"
        "print(show(parse('Q[N,2*N]; y[N]; ' + text)))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(found) == 1
