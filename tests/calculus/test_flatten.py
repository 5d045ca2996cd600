"""Flat form: the same values, equal values once, views read through."""

from __future__ import annotations

from math import exp, inf, log
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.calculus.flatten import alpha, flatten, is_view, split_digits
from pullback.calculus.normal import poly
from pullback.calculus.reverse import reverse
from pullback.ir.arithmetic import FLOAT
from pullback.ir.expr import (
    And,
    Apply,
    Arg,
    Compare,
    Divides,
    Inside,
    Mul,
    Not,
    Or,
    Reduce,
    Tensor,
    Truth,
    Zero,
)
from pullback.ir.interpret import Array, define, run
from pullback.ir.program import Define
from pullback.ir.subscripts import Index, Quotient, Remainder
from pullback.ir.walk import children, nodes, subscripts, tensors
from pullback.notation.parse import parse
from pullback.verify.samples import draw, draw_sizes

from ..properties.random_programs import programs
from . import oracle
from .programs import PROGRAMS, SIZES
from .terms import N, W, X, read

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
}


@pytest.mark.parametrize("name", SPLIT)
def test_summation_indices_are_split_into_the_digits_they_are_read_as(name):
    text, count = SPLIT[name]
    heads = {"halves": "X[M]\nW[2]\n", "rows": "A[M,N]\n", "no digits": "", "a rest": "X[M]\n"}
    program = parse(heads[name] + text)
    (statement,) = program.statements
    body = split_digits(statement.body, ())
    (total,) = [n for n in nodes(body) if isinstance(n, Reduce)]
    assert len(total.indices) == count
    kinds = [a for n in nodes(body) for s in subscripts(n) for a, _ in s.terms]
    assert (count == 1 and name == "a rest") or not any(
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
