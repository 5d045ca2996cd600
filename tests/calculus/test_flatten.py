"""Flat form: the same values, equal values once, views read through."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import exp, inf, log
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.calculus.flatten import alpha, flatten, is_reshape, is_view, split_digits
from pullback.calculus.normal import canonical, poly
from pullback.calculus.reverse import reverse
from pullback.ir.arithmetic import FLOAT
from pullback.ir.expr import (
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Divides,
    Expr,
    Guard,
    Inside,
    Mul,
    Not,
    Opaque,
    Or,
    Power,
    Reduce,
    Tensor,
    Truth,
    Zero,
    number,
)
from pullback.ir.interpret import Array, define, run
from pullback.ir.program import Define, Program
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Lookup, Quotient, Remainder, Subscript, at
from pullback.ir.walk import bound_indices, children, nodes, subscripts, tensors
from pullback.notation.parse import parse
from pullback.verify.samples import draw, draw_sizes

from ..properties.random_programs import programs
from . import oracle
from .programs import PROGRAMS, SIZES
from .terms import I, J, M, N, W, X, read

QUICK = settings(max_examples=40, deadline=None)


@QUICK
@given(programs(), st.integers(0, 99))
def test_flat_programs_compute_the_same_values(program, seed):
    plain = flatten(program)
    rng = Random(seed)
    for sizes in draw_sizes((*program.statements, *plain.statements), program.inputs, rng, 2):
        sample = draw(program.inputs, program.statements, sizes, rng, FLOAT)
        if sample is None:
            continue
        given = {t.name: sample.arrays[t.name] for t in program.inputs}
        found = run(plain, given, sizes=sizes)
        for statement in program.statements:
            name = statement.target.name
            expected = sample.arrays[name].flat
            assert found[name].flat == pytest.approx(expected, rel=1e-9, abs=1e-9)


@QUICK
@given(programs())
def test_flat_statements_have_the_promised_shapes(program):
    for statement in flatten(program).statements:
        if statement.target.kind == "float":
            parts = [n for n in values_in(statement.body) if isinstance(n, Apply | Reduce | Arg)]
            assert len(parts) <= 1


def values_in(node):
    """The values in a statement, those that conditions compare aside."""
    yield node
    if not isinstance(node, Compare | Not | And | Or | Truth | Zero | Inside | Divides):
        for child in children(node):
            yield from values_in(child)


@pytest.mark.parametrize("name", [n for n, text in PROGRAMS.items() if "where" not in text])
def test_flattening_twice_changes_nothing(name):
    once = flatten(parse(PROGRAMS[name]))
    if any(not s.user and isinstance(s.body, Mul) for s in once.statements):
        return  # a guarded value is named by a statement of two
    assert [s.target for s in flatten(once).statements] == [s.target for s in once.statements]


SAME = {
    "named and unnamed": ("A[n] = exp(X[n])\nY[n] = A[n]*W[n]", "Y[n] = exp(X[n])*W[n]"),
    "other letters": (
        "Y[n] = exp(sum(k) X[n,k])*W[n]",
        "A[m] = sum(j) X[m,j]\nY[m] = exp(A[m])*W[m]",
    ),
    "nested products": ("Y[n] = X[n]*(W[n]*exp(X[n]))", "Y[n] = (X[n]*W[n])*exp(X[n])"),
    "a root and a quotient": ("Y[n] = 1/sqrt(X[n])", "Y[n] = X[n]**(-0.5)"),
    "a square of a product": ("Y[n] = (X[n]*W[n])**2", "Y[n] = X[n]**2*W[n]**2"),
}


@pytest.mark.parametrize("name", SAME)
def test_however_it_is_written_the_flat_form_is_the_same(name):
    left, right = (flatten(parse(text)) for text in SAME[name])
    assert len(left.statements) == len(right.statements)
    for a, b in zip(left.statements, right.statements, strict=True):
        named = dict(zip(tensors(b.body), tensors(a.body), strict=True))
        assert len(named) == len(tensors(a.body))
        assert [t.coef for t in poly(a.body)] == [t.coef for t in poly(b.body)]
        assert [[e for _, e in t.factors] for t in poly(a.body)] == [
            [e for _, e in t.factors] for t in poly(b.body)
        ]


# A program, and its flat form.
FORMS = {
    "sums are spread": (
        "Y[n] = X[n] + 2*(Z[n] - (exp(W[n]) + V[n]))",
        "t1[n] = exp(W[n])\nY[n] = X[n] + 2*Z[n] - 2*t1[n] - 2*V[n]",
    ),
    "a sum in a sum": ("Y[n] = X[n] + (Z[n] + V[n]*W[n])", "Y[n] = X[n] + Z[n] + V[n]*W[n]"),
    "products are spread": (
        "Y[n] = X[n]*(Z[n]*(exp(W[n])*V[n]))",
        "t1[n] = exp(W[n])\nY[n] = X[n]*Z[n]*t1[n]*V[n]",
    ),
    "a mean is one statement": ("Y[n] = 3*(sum(k) X[n,k])/N", "Y[n] = 3*(sum(k) X[n,k])/N"),
    "a root of a size is a number, too": (
        "Y[n] = (sum(k) X[n,k])/(2*N**3)**0.5",
        "Y[n] = (sum(k) X[n,k])/(2*N**3)**0.5",
    ),
    "a multiple of a maximum is two": (
        "Y[n] = 3*(max(k) X[n,k])",
        "t1[n] = max(k) X[n,k]\nY[n] = 3*t1[n]",
    ),
    "a product of a sum is two": (
        "Y[n] = Z[n]*(sum(k) X[n,k])",
        "t1[n] = sum(k) X[n,k]\nY[n] = Z[n]*t1[n]",
    ),
    "two sums have two names": (
        "Y[n] = (sum(k) X[n,k])*(sum(k) Z[n,k])",
        "t1[n] = sum(k) X[n,k]\nt2[n] = sum(k) Z[n,k]\nY[n] = t1[n]*t2[n]",
    ),
    "a sum twice has one": (
        "Y[n] = 2*(sum(k) X[n,k])*(sum(k) X[n,k])",
        "t1[n] = sum(k) X[n,k]\nY[n] = 2*t1[n]**2",
    ),
    "a root of a root": ("Y[n] = sqrt(sqrt(X[n]))", "Y[n] = X[n]**0.25"),
    "a root of a power": ("Y[n] = (X[n]**3)**0.5", "t1[n] = X[n]**3\nY[n] = t1[n]**0.5"),
    "a root of a power of what is >= 0": (
        "Y[n] = (exp(X[n])**3)**0.5",
        "t1[n] = exp(X[n])\nY[n] = t1[n]**1.5",
    ),
    "a power of a power": ("Y[n] = (X[n]**3)**2", "Y[n] = X[n]**6"),
    "a power of a third root": ("Y[n] = (X[n]**(1/3))**6", "Y[n] = X[n]**2"),
    "a power of a product": ("Y[n] = (X[n]*Z[n]**2)**3", "Y[n] = X[n]**3*Z[n]**6"),
    "one over a product": ("Y[n] = 1/(X[n]*(Z[n]*V[n]))", "Y[n] = 1/X[n]/Z[n]/V[n]"),
    "a root of a product": (
        "Y[n] = (X[n]*Z[n])**0.5",
        "t1[n] = X[n]*Z[n]\nY[n] = t1[n]**0.5",
    ),
    "one over a root of a product": (
        "Y[n] = (X[n]*Z[n])**(-0.5)",
        "t1[n] = X[n]*Z[n]\nY[n] = t1[n]**(-0.5)",
    ),
    "a power of a mean": (
        "Y[n] = ((sum(k) X[n,k])/N)**2",
        "t1[n] = sum(k) X[n,k]\nY[n] = t1[n]**2/N**2",
    ),
    "one over a mean": (
        "Y[n] = 1/((sum(k) X[n,k])/N)",
        "t1[n] = (sum(k) X[n,k])/N\nY[n] = 1/t1[n]",
    ),
    "a power of what may be absent": (
        "Y[n] = (X[n]*(V[n]*[0 < Z[n]]))**2",
        "t1[n] = X[n]*V[n]*[0 < Z[n]]\nY[n] = t1[n]**2",
    ),
    "one over what may be absent": (
        "Y[n] = 1/(X[n]*(V[n]*[0 < Z[n]]))",
        "t1[n] = X[n]*V[n]*[0 < Z[n]]\nY[n] = 1/t1[n]",
    ),
    "a condition is computed wherever the others fail": (
        "Y[n] = [X[n] < 5]*[exp(Z[n]) < 3]*W[n]",
        "t1[n] = exp(Z[n])\nY[n] = [X[n] < 5]*[t1[n] < 3]*W[n]",
    ),
    "a condition reads inside the others' ranges": (
        "X[N]\nY[n:N] = [n + 1 < N]*[exp(X[n+1]) < 3]*W[n]",
        "X[N]\nt1[n:N] = [n + 1 < N]*exp(X[n+1])\nY[n:N] = [n + 1 < N]*[t1[n] < 3]*W[n]",
    ),
    "a condition in a condition's range": (
        "X[N]\nY[n:N] = [n + 1 < N]*where(exp(X[n+1]) < 3, X[n]*exp(X[n+1]), W[n])",
        "X[N]\nt1[n:N] = [n + 1 < N]*exp(X[n+1])\n"
        "t2[n:N] = [n + 1 < N]*[t1[n] < 3]*exp(X[n+1])\n"
        "t3[n:N] = [n + 1 < N]*where(t1[n] < 3, X[n]*t2[n], W[n])\n"
        "Y[n:N] = [n + 1 < N]*t3[n]",
    ),
    "functions of numbers stay in conditions": (
        "Y[n] = [exp(2) < X[n]]*W[n]",
        "Y[n] = [exp(2) < X[n]]*W[n]",
    ),
    "axes in the statement's order": (
        "X[M,N]\nY[n,m] = exp(X[m,n])*W[n]",
        "X[M,N]\nt1[n,m] = exp(X[m,n])\nY[n,m] = t1[n,m]*W[n]",
    ),
    "axes in the widest tensor's order": (
        "Y[n:N,m] = sum(k) exp(A[k]*D[m,k])",
        "t1[m,k] = A[k]*D[m,k]\nt2[m,k] = exp(t1[m,k])\nY[n:N,m] = sum(k) t2[m,k]",
    ),
    "what is summed last": (
        "Y[n,m] = sum(k) exp(A[k]*B[m]*C[n])",
        "t1[n,m,k] = A[k]*B[m]*C[n]\nt2[n,m,k] = exp(t1[n,m,k])\nY[n,m] = sum(k) t2[n,m,k]",
    ),
    "made-up names are new": (
        "t1[n] = 2*X[n]\nY[n] = exp(X[n])*t1[n]*exp(W[n])",
        "t1[n] = 2*X[n]\nt2[n] = exp(X[n])\nt3[n] = exp(W[n])\nY[n] = t2[n]*t1[n]*t3[n]",
    ),
    "a maximum of products": (
        "Y[n] = max(k if exp(W[k]) < 2) X[n,k]*W[k]",
        "t1[k] = exp(W[k])\nt2[n,k] = X[n,k]*W[k]\nY[n] = max(k if t1[k] < 2) t2[n,k]",
    ),
    "where the greatest product is": (
        "Y[n] = argmax(k if exp(W[k]) < 2) X[n,k]*W[k]",
        "t1[k] = exp(W[k])\nt2[n,k] = X[n,k]*W[k]\nY[n] = argmax(k if t1[k] < 2) t2[n,k]",
    ),
    "a sum of guarded values": (
        "Y[n] = sum(k if W[k] < 2) X[n,k]*exp(W[k])",
        "t1[k] = [W[k] < 2]*exp(W[k])\nY[n] = sum(k if W[k] < 2) X[n,k]*t1[k]",
    ),
    "the steps of a recurrence come first": (
        "H[t:3,j:M] = tanh(sum(k:M) exp(A[k,j]*[t >= 1]*H[t-1,k]))",
        "t1[t:3,j:M,k:M] = A[k,j]*[t >= 1]*H[t-1,k]\nt2[t:3,j:M,k:M] = exp(t1[t,j,k])\n"
        "t3[t:3,j:M] = sum(k) t2[t,j,k]\nH[t:3,j:M] = tanh(t3[t,j])",
    ),
    "then the statement's, then the widest tensor's": (
        "H[t:3,j:M] = tanh(sum(k:M,l:M) exp([t >= 1]*H[t-1,k]*A[l,j,k]))",
        "t1[t:3,j:M,l:M,k:M] = A[l,j,k]*[t >= 1]*H[t-1,k]\n"
        "t2[t:3,j:M,l:M,k:M] = exp(t1[t,j,l,k])\n"
        "t3[t:3,j:M] = sum(k,l) t2[t,j,l,k]\nH[t:3,j:M] = tanh(t3[t,j])",
    ),
    "a recurrence of one step reads nothing": (
        "H[t:1,j:M] = X[t,j] + where(t >= 1, H[t-1,j], Z[j])",
        "H[t:1,j:M] = X[t,j] + Z[j]",
    ),
    "a recurrence of one step, the other way": (
        "H[t:1,j:M] = X[t,j] + where(t = 0, Z[j], H[t-1,j])",
        "H[t:1,j:M] = X[t,j] + Z[j]",
    ),
    "a recurrence of one step, in brackets": (
        "H[t:1,j:M] = X[t,j] + [t >= 1]*[Z[j] < 0]*H[t-1,j]",
        "H[t:1,j:M] = X[t,j]",
    ),
    "other brackets of a recurrence": (
        "H[t:3,j:M] = X[t,j] + [t >= 1]*[Z[j] < 0]*H[t-1,j]",
        "H[t:3,j:M] = X[t,j] + [t >= 1]*[Z[j] < 0]*H[t-1,j]",
    ),
    "a condition of the first step comes last": (
        "H[t:3,j:M] = where(t = 0, Z[j], H[t-1,j])",
        "H[t:3,j:M] = where(t >= 1, H[t-1,j], Z[j])",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_flat_form(name: str) -> None:
    found, expected = (_meaning(p) for p in (flatten(parse(FORMS[name][0])), parse(FORMS[name][1])))
    assert found == expected


def _meaning(program):
    return [
        (s.target, s.indices, {canonical(t): t.coef for t in poly(alpha(s.body))})
        for s in program.statements
    ]


SHARED = {
    "in one statement": "Y[n] = exp(X[n]) + exp(X[n])*W[n]",
    "in two statements": "A[n] = exp(X[n])*W[n]\nY[n] = exp(X[n]) + A[n]",
    "under other letters": "A[n] = exp(X[n])*W[n]\nY[m] = exp(X[m])**2 + A[m]",
    "a named one": "E[n] = exp(X[n])\nY[n] = exp(X[n])*W[n] + E[n]",
    "sums with other letters": "Y[n] = exp(sum(k) W[n,k])*X[n] + exp(sum(j) W[n,j])",
    "factors turned": "Y[n] = exp(X[n]*W[n]) + exp(W[n]*X[n])*X[n]",
}


@pytest.mark.parametrize("name", SHARED)
def test_equal_values_are_computed_once(name):
    plain = flatten(parse(SHARED[name]))
    functions = [n for s in plain.statements for n in nodes(s.body) if isinstance(n, Apply)]
    assert len(functions) == 1


def test_the_same_statement_again_reads_the_first():
    plain = flatten(parse("A[n] = exp(X[n])\nB[m] = exp(X[m])\nreturn A, B"))
    first, second = plain.statements
    assert tensors(second.body) == (first.target,)


def test_different_values_keep_names_of_their_own():
    text = "Y[n,m:N] = exp(X[n])*exp(X[m])*exp(-X[n])"
    plain = flatten(parse(text))
    made_up = [s for s in plain.statements if not s.user]
    assert len({s.target for s in made_up}) == len(made_up) >= 2
    found = run(plain, {"X": [1.0, 2.0]})
    assert found["Y"].flat == pytest.approx(run(parse(text), {"X": [1.0, 2.0]})["Y"].flat)


VIEWS = {
    "a transpose": "X[N,M]\nV[a,b] = X[b,a]",
    "a shift": "X[N,M]\nV[a:N,b:M] = pad(X,0)[a+1,b]",
    "a row": "X[3,M]\nV[a,b:2] = X[0,a]",
    "a view of a view": "X[N,M]\nU[a,b] = X[b,a]\nV[a,b] = U[b,a]",
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_are_read_through(name):
    text = VIEWS[name] + "\nY[i,j] = exp(V[i,j])*V[i,j]"
    program = parse(text)
    plain = flatten(program)
    (last,) = [s for s in plain.statements if s.target.name == "Y"]
    assert {t.name for t in tensors(last.body)} <= {"X", "t1"}
    views = [s for s in plain.statements if s.target.name in "UV"]
    assert views and all(map(is_view, views))
    for sizes in SIZES:
        values = oracle.draw(program.inputs, sizes, 3)
        ours, theirs = (run(p, values, sizes=sizes)["Y"].flat for p in (plain, program))
        assert ours == pytest.approx(theirs)


def test_what_is_computed_or_looked_up_is_no_view():
    texts = ("V[n] = 2*X[n]", "V[n] = X[n]*X[n]", "V[n] = X[y[n]]", "V[n] = X[n]*[0 < X[n]]")
    for text in texts:
        assert not is_view(parse(text).statements[-1])


def test_nothing_is_evaluated_where_a_guard_fails():
    """exp overflows where the guard fails; the value that gets a name is absent there."""
    program = parse("Y[n] = [X[n] < 9]*exp(X[n])*W[n] + where(X[n] < 9, log(9 - X[n]), 1)")
    plain = flatten(program)
    values = {"X": [1.0, 9999.0], "W": [2.0, 0.5]}
    found = run(plain, values)
    assert found["Y"].flat == pytest.approx(run(program, values)["Y"].flat)
    for statement in plain.statements:
        assert all(abs(x) < inf for x in found[statement.target.name].flat)


def test_the_other_branch_is_absent_where_the_first_is_taken():
    program = parse("Y[n] = where(X[n] < 9, 1, log(X[n] - 8)*W[n])")
    plain = flatten(program)
    found = run(plain, {"X": [-9.0, 12.0], "W": [2.0, 0.5]})
    logs = [s for s in plain.statements if any(isinstance(n, Apply) for n in nodes(s.body))]
    assert [found[s.target.name].flat[0] for s in logs] == [0.0]
    assert found["Y"].flat == [1.0, pytest.approx(log(4.0) / 2)]


def test_a_root_of_a_square_is_no_first_power():
    plain = flatten(parse("Y[n] = exp((X[n]**2)**0.5)\nZ[n] = sqrt(X[n]**6)"))
    found = run(plain, {"X": [-2.0]})
    assert found["Y"].flat == [pytest.approx(exp(2.0))] and found["Z"].flat == [8.0]


def test_a_cast_is_no_view():
    source, target = Tensor("X", (N,), "float64"), Tensor("V", (N,), "float32")
    index = Index("i", N)
    assert not is_view(Define(target, (index,), read(source, index)))
    assert is_view(Define(source, (index,), read(Tensor("W", (N,), "float64"), index)))


GUARDED_READS = {
    "a power": ("X[N]\nY[n:N] = [n + 1 < N]*exp(X[n + 1])**2", {}),
    "a function of a function": ("X[N]\nY[n:N] = [n + 1 < N]*exp(exp(X[n + 1]))", {}),
    "a function of a sum": ("X[N]\nY[n:N] = [n + 1 < N]*exp(X[n + 1]*2 + 1)", {}),
    "a lookup": ("X[K]\ny: int[N]\nY[n] = [y[n] < 2]*exp(exp(X[y[n]]))", {"y": [0, 7]}),
}


@pytest.mark.parametrize("name", GUARDED_READS)
def test_reads_stay_inside_their_arrays(name):
    """A value that is named in a guarded product is guarded itself, and what it is made of."""
    text, more = GUARDED_READS[name]
    plain = flatten(parse(text))
    assert len(plain.statements) > 1
    assert run(plain, {"X": [1.0, 0.5], **more})["Y"].flat[1] == 0


# Digits.


SPLIT = {
    "halves": ("Y[] = sum(k:2*M) X[k//2]*W[k%2]", 2),
    "rows": ("Y[] = sum(k:M*N) A[k//N,k%N]", 2),
    "no digits": ("Y[] = sum(k:M) X[k]", 1),
    "a rest": ("Y[] = sum(k:2*M-1) X[k//2]", 1),
    "one by one": ("Y[] = sum(k:M) X[k//1]", 1),
    "three digits": ("Y[] = sum(k:6*M) X[k//6]*V[(k%6)//2]*W[k%2]", 3),
    "three large digits": ("Y[] = sum(k:12*M) X[k//12]*W[(k%12)//6]*U[k%6]", 3),
    "in a condition": ("Y[] = sum(k:2*M if X[k//2] < 0) V[0]", 2),
    "in a product": ("Y[] = 2*(sum(k:2*M) X[k//2]*W[k%2])", 2),
    "in a sum": ("Y[] = V[0] + (sum(k:2*M) X[k//2]*W[k%2])", 2),
}
HEADS = "X[M]\nW[2]\nV[3]\nU[6]\n"


@pytest.mark.parametrize("name", SPLIT)
def test_summation_indices_are_split_into_the_digits_they_are_read_as(name):
    text, count = SPLIT[name]
    program = parse({"rows": "A[M,N]\n", "no digits": ""}.get(name, HEADS) + text)
    statement = program.statements[-1]
    body = split_digits(statement.body, ())
    (total,) = [n for n in nodes(body) if isinstance(n, Reduce)]
    assert len(total.indices) == count
    kinds = [a for n in nodes(body) for s in subscripts(n) for a, _ in s.terms]
    assert name in ("a rest", "one by one") or not any(
        isinstance(a, Quotient | Remainder) for a in kinds
    )
    for sizes in SIZES:
        values = oracle.draw(program.inputs, sizes, 3)
        expected = run(program, values, sizes=sizes)
        given = {t.name: Array.of(values[t.name]) for t in program.inputs}
        found = define(Define(statement.target, (), body), given, sizes)
        assert found.flat == pytest.approx(expected["Y"].flat)


def test_bound_names_don_t_matter_after_alpha():
    a, b = Index("p", N), Index("q", N)

    def total(outer, inner):
        part = Reduce("max", (inner,), (), Mul((read(W, outer, inner), read(X, inner))))
        return Reduce("sum", (outer,), (), Mul((part, read(X, outer))))

    assert alpha(total(a, b)) is alpha(total(b, a))
    assert alpha(total(a, Index("r", N))) is alpha(total(a, b))
    inner = Reduce("max", (b,), (), read(W, a, b))
    assert alpha(inner) is not alpha(Reduce("max", (b,), (), read(W, b, a)))
    own = Reduce("max", (b,), (), read(W, b, b))
    assert alpha(Reduce("sum", (a,), (), inner)) is not alpha(Reduce("sum", (a,), (), own))


@pytest.mark.parametrize(
    "text",
    [
        "Y[i,j] = where(mean(k) X[i,k] < W[i], exp(X[i,j])**2, sin(X[i,j])**3)",
        "Y[i] = [max(k) X[i,k] < W[i]]*exp(sin(W[i]))",
        "Y[i] = sum(j if sum(k) X[i,k] < X[i,j]) exp(sin(X[i,j]))",
    ],
)
def test_what_a_guard_computes_is_computed_once(text):
    backward = reverse(parse(text))
    conds = [c for s in (*backward.forward.statements, *backward.statements) for c in _guards(s)]
    assert conds and not any(isinstance(n, Reduce) for c in conds for n in nodes(c))


def _guards(statement):
    return [n for n in nodes(statement.body) if isinstance(n, Compare)]


GROUPS = "X[N, 6]\ng[n,m:2,c:3] = X[n, 3*m + c]\nmu[n,m] = mean(c) g[n,m,c]\n"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (GROUPS + "Y[n,m,c] = g[n,m,c] - mu[n,m]", True),
        (GROUPS + "Y[n,m] = 2*mu[n,m]", False),  # read once
        (GROUPS.replace("3*m + c", "2*m + c") + "Y[n,m,c] = g[n,m,c] - mu[n,m]", False),  # overlap
        (GROUPS.replace("m:2", "m:1") + "Y[n,m,c] = g[n,m,c] - mu[n,m]", False),  # not the whole
    ],
)
def test_groups_that_several_statements_read_are_not_read_through(text: str, kept: bool) -> None:
    flat = flatten(parse(text)).statements
    read = {t.name for s in flat for t in tensors(s.body)}
    assert ("g" in read) is kept


OPERATIONS = {
    "a transpose": ("A[K,K]\nB[i,j] = A[j,i]\nx[i] = solve(B, b)[i]", "solve_transposed", "A"),
    "transposes of a stack": (
        "A[N,K,K]\nB[n,i,j] = A[n,j,i]\nx[n,i] = solve(B, b)[n,i]",
        "solve_transposed",
        "A",
    ),
    "a copy": ("A[K,K]\nB[i,j] = A[i,j]\nx[i] = solve(B, b)[i]", "solve", "A"),
    "a matrix of a stack": ("A[3,K,K]\nB[i,j] = A[0,j,i]\nx[i] = solve(B, b)[i]", "solve", "B"),
    "a stack, turned": (
        "A[K,K,K]\nB[n,i,j] = A[i,n,j]\nb[K,K]\nx[n,i] = solve(B, b)[n,i]",
        "solve",
        "B",
    ),
    "a stack, turned round": (
        "A[K,K,K]\nB[n,i,j] = A[i,j,n]\nb[K,K]\nx[n,i] = solve(B, b)[n,i]",
        "solve",
        "B",
    ),
    "an operation that has no such twin": (
        "A[K,K]\nB[i,j] = A[j,i]\nx[i,j] = inverse(B)[i,j]",
        "inverse",
        "B",
    ),
    "a triangle": ("A[K,K]\nB[i,j] = [i <= j]*A[j,i]\nx[i] = solve(B, b)[i]", "solve", "B"),
    "what is computed": ("A[K,K]\nB[i,j] = 2*A[j,i]\nx[i] = solve(B, b)[i]", "solve", "B"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_read_through_copies_and_transposes(name: str) -> None:
    text, operation, first = OPERATIONS[name]
    body = flatten(parse(text)).statements[-1].body
    assert isinstance(body, Opaque)
    assert (body.operation, body.operands[0].name) == (operation, first)
    assert [t.name for t in body.operands[1:]] == (["b"] if "solve" in operation else [])


def test_a_condition_is_not_computed_only_where_it_holds_itself() -> None:
    text = "Y[n:N] = X[n]*[sum(k:N) n*k < 5]"
    found, expected = (run(p, {"X": [1.0, 2.0, 3.0]}) for p in (flatten(parse(text)), parse(text)))
    assert found["Y"].flat == expected["Y"].flat == [1.0, 2.0, 0.0]


Y_, Z_ = read(Tensor("y", (N,), "int"), I), read(Tensor("Z", (N,)), I)
WHOLE = [
    (Y_, True),
    (Z_, False),
    (Mul((number(2), Y_)), True),
    (Mul((number(0.5), Y_)), False),
    (Apply("minimum", (Y_, number(2))), True),
    (Apply("minimum", (Y_, number(inf))), False),
    (Apply("minimum", (Y_, Z_)), False),
    (Apply("sin", (Y_,)), False),
    (Power(Y_, Fraction(2)), True),
    (Power(Y_, Fraction(0)), True),
    (Power(Y_, Fraction(-1)), False),
    (Power(Y_, Fraction(1, 2)), False),
]


@pytest.mark.parametrize(("value", "whole"), WHOLE)
def test_values_of_whole_numbers_are_whole(value: Expr, whole: bool) -> None:
    """The greatest one, compared in a condition, gets a name of that dtype."""
    cond = Compare("<", Reduce("max", (I,), (), Mul((number(3), value))), number(5))
    target = Tensor("R", (M,))
    define = Define(target, (J,), Mul((Guard(cond), read(Tensor("V", (M,)), J))))
    first, *_ = flatten(Program((Y_.tensor, Z_.tensor), (define,), (target,))).statements
    assert first.target.dtype == ("int" if whole else "float")


def test_where_something_is_greatest_is_whole_and_a_bracket_is_true_or_false() -> None:
    text = "Y[n] = X[n]*[(argmax(k) exp(X[k])) < 3]"
    dtypes = {s.target.name: s.target.dtype for s in flatten(parse(text)).statements}
    assert sorted(dtypes.values()) == ["float", "float", "int"]


def test_a_made_up_value_has_the_widest_dtype_that_it_reads() -> None:
    text = "X: float32[N]\nZ: float64[N]\ny: int[N]\nY[n] = exp({})**2"
    for read_, dtype in (("X[n]", "float32"), ("Z[n]", "float64"), ("y[n]*X[n]", "float32")):
        assert flatten(parse(text.format(read_))).statements[0].target.dtype == dtype
    both = flatten(parse(text.format("X[n] + Z[n]"))).statements[0]
    assert both.target.dtype == "float64"


def test_whole_numbers_keep_their_form() -> None:
    (body,) = (s.body for s in flatten(parse("y: int[N]\nz[n] = 2*(y[n] + 3)")).statements)
    assert body == parse("y: int[N]\nz[n] = 2*(y[n] + 3)").statements[0].body


def test_what_is_no_view() -> None:
    whole, other = Tensor("z", (N,), "int"), Tensor("X", (N,), "bool")
    for target, body, view in (
        (whole, Y_, True),
        (whole, Add((Y_, number(1))), False),
        (whole, Mul((Y_, number(2))), False),
        (whole, read(other, I), False),
        (other, Truth(read(other, I)), False),
        (X, Mul((Z_, Guard(Inside(at(I) - 1, N)))), True),
        (X, Mul((Guard(Inside(at(I) - 1, N)), Z_, Guard(Inside(at(I) - 2, N)))), True),
        (X, Mul((Guard(Inside(at(I) - 1, N)),)), False),
        (X, Guard(Inside(at(I) - 1, N)), False),
        (X, Mul((Z_, Guard(Compare("<", Z_, number(0))))), False),
        (X, Mul((Z_, Z_)), False),
        (X, read(X, at(Lookup(Y_))), False),
        (X, read(X, at(Lookup(Y_)) // 2), False),
    ):
        assert is_view(Define(target, (I,), body)) is view  # type: ignore[arg-type]


def test_masks_with_made_up_names_are_spelled_out() -> None:
    mask = Tensor("m", (N,), "bool")
    named = Define(mask, (I,), Compare("<", Z_, number(0)), user=False)  # type: ignore[arg-type]
    last = Define(X, (I,), Mul((Guard(Truth(read(mask, I))), Z_)))
    program = Program((Z_.tensor,), (named, last), (X,))
    assert mask not in tensors(flatten(program).statements[-1].body)
    users = replace(program, statements=(replace(named, user=True), last))
    assert mask in tensors(flatten(users).statements[-1].body)


def test_other_made_up_names_stay() -> None:
    first, last = parse("E[n] = exp(X[n])\nY[n] = [X[n] < 5]*E[n]*X[n]").statements
    program = Program(tensors(first.body), (replace(first, user=False), last), (last.target,))
    assert flatten(program).statements == program.statements


A, B, C, D = (Index(name, size(n)) for name, n in zip("abcd", (2, 3, 4, 6), strict=True))
SIX = Tensor("S", (N, size(6)))
E = Index("e", size(24))
PIECES = [
    ((at(I), at(A) * 3 + at(B)), (I, A, B), True),
    ((at(I), at(B) * 2 + at(A)), (A, B, I), True),
    ((at(I), at(A) * 3 + at(B)), (I, A, B, C), False),  # repeated along another axis
    ((at(I), at(A) * 2 + at(B)), (I, A, B), False),  # some places twice
    ((at(I), at(A) * 3 + at(B) + 1), (I, A, B), False),
    ((at(I), at(B)), (I, B), False),
    ((at(I), at(D)), (I, D), False),  # nothing is split
    ((at(I), at(A) * 3 + at(D) // 2), (I, A, D), False),
]
MERGED = Tensor("M", (size(4), size(6)))
MERGES = [
    ((at(E) // 6, at(E) % 6), (E,), True),
    ((at(E) % 4, at(E) // 4), (E,), True),
    ((at(E) // 3 % 4, at(E) // 12 * 3 + at(E) % 3), (E,), True),  # split, transposed, merged
    ((at(Index("g", size(8))) // 2, at(A) * 3 + at(B)), (A, B, Index("g", size(8))), False),
    ((at(C), at(D)), (D, C), False),  # only transposed
    ((at(E) // 6, at(E) // 6), (E,), False),
    ((at(E) // 6, at(E) // 4), (E,), False),
    ((at(C), at(Index("g", size(12))) % 6), (C, Index("g", size(12))), False),
]


@pytest.mark.parametrize(("subs", "indices", "split"), PIECES)
def test_reshapes_that_split_axes(
    subs: tuple[Subscript, ...], indices: tuple[Index, ...], split: bool
) -> None:
    target = Tensor("T", tuple(i.extent for i in indices))
    assert is_reshape(Define(target, indices, Access(SIX, subs))) is split
    wide = Tensor("T", target.shape, "float64")
    assert not is_reshape(Define(wide, indices, Access(SIX, subs)))
    assert not is_reshape(Define(target, indices, Mul((number(2), Access(SIX, subs)))))


@pytest.mark.parametrize(("subs", "indices", "merged"), MERGES)
def test_reshapes_that_merge_axes(
    subs: tuple[Subscript, ...], indices: tuple[Index, ...], merged: bool
) -> None:
    target = Tensor("T", tuple(i.extent for i in indices))
    assert is_reshape(Define(target, indices, Access(MERGED, subs))) is merged


def test_a_diagonal_is_no_reshape() -> None:
    square = Tensor("S", (size(6), size(2)))
    target = Tensor("T", (size(2), size(3)))
    assert not is_reshape(Define(target, (A, B), Access(square, (at(A) * 3 + at(B), at(A)))))


NAMES = {
    "the statement's index": "Y[k1:M] = sum(k:2*M) X[k//2]*W[k%2]",
    "another index of the sum": "V[N]\nY[] = sum(k:2*M,k1) X[k//2]*W[k%2]*V[k1]",
    "another index before it": "V[N]\nY[] = sum(k1,k:2*M) X[k//2]*W[k%2]*V[k1]",
    "an index of a sum inside": "V[N]\nY[] = sum(k:2*M) X[k//2]*W[k%2]*(sum(k1) V[k1])",
    "a sum around it": "V[N]\nY[] = sum(k1) V[k1]*(sum(k:2*M) X[k//2]*W[k%2])",
    "a sum around it that has the statement's": (
        "V[N]\nY[k1:M] = sum(j) V[j]*(sum(k:2*M) X[k//2]*W[k%2])"
    ),
    "digits in digits": "Y[] = sum(k:2*M) X[k//2]*W[k%2]*(sum(k1:2*M) X[k1//2]*W[k1%2])",
}


@pytest.mark.parametrize("name", NAMES)
def test_digits_get_names_of_their_own(name: str) -> None:
    program = parse("X[M]\nW[2]\n" + NAMES[name])
    statement = program.statements[-1]
    body = split_digits(statement.body, statement.indices)
    names = [i.name for i in (*statement.indices, *bound_indices(body))]
    assert len(set(names)) == len(names)
    for sizes in SIZES:
        values = oracle.draw(program.inputs, sizes, 3)
        given = {t.name: Array.of(values[t.name]) for t in program.inputs}
        found = define(replace(statement, body=body), given, sizes)
        assert found.flat == pytest.approx(run(program, values, sizes=sizes)["Y"].flat)
