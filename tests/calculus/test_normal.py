"""The normal form: terms and expressions mean the same, equal terms are one object."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, permutations
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback import derive
from pullback.calculus.normal import (
    canonical,
    collect,
    components_of,
    expression,
    free_of,
    in_bounds,
    indices_in,
    is_exposed,
    nonnegative_atom,
    poly,
    rational_power,
    renamed,
    replaced,
    term,
    times,
)
from pullback.ir.arithmetic import FLOAT
from pullback.ir.expr import (
    ZERO,
    Access,
    Add,
    Apply,
    Compare,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Power,
    Reduce,
    Select,
    SizeOf,
    Zero,
    number,
)
from pullback.ir.interpret import Array, define, evaluate
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at, constant
from pullback.verify.samples import draw, draw_sizes

from ..properties.random_programs import programs
from .terms import (
    SIZES,
    A,
    B,
    C,
    I,
    J,
    M,
    N,
    W,
    X,
    Y,
    Z,
    arrays,
    assert_equal,
    literal,
    literals,
    made,
    read,
    terms,
)

QUICK = settings(max_examples=40, deadline=None)
POSITIVE = Compare("<", ZERO, read(X, A))
HALF = Fraction(1, 2)


def same_everywhere(found, expected, seed=0, indices=(I, J)):
    for k, sizes in enumerate(SIZES):
        assert_equal(found, expected, indices, arrays(sizes, seed + k), sizes)


# To terms and back.


@QUICK
@given(programs(), st.integers(0, 99), st.booleans())
def test_an_expression_is_its_normal_form(program, seed, distribute):
    rng = Random(seed)
    for sizes in draw_sizes(program.statements, program.inputs, rng, 1):
        sample = draw(program.inputs, program.statements, sizes, rng, FLOAT)
        for statement in program.statements if sample else ():
            body = expression(poly(statement.body, distribute))
            found = define(replace(statement, body=body), sample.arrays, sizes)
            expected = sample.arrays[statement.target.name]
            assert found.flat == pytest.approx(expected.flat, rel=1e-7, abs=1e-7)


x, y, n = read(X, I), read(X, A), SizeOf(N)
FORMS = {
    "product of sums": Mul((Add((x, n)), Add((x, Mul((number(-1), n)))))),
    "square of a sum": Power(Add((x, number(2))), Fraction(2)),
    "root of a square": Power(Power(x, Fraction(2)), HALF),
    "root of a product": Power(Mul((x, n)), HALF),
    "root of two signs": Power(Mul((x, Add((x, number(1))))), HALF),
    "root of a scaled value": Power(Mul((number(4), x)), HALF),
    "root of a negative value": Power(Mul((number(-4), x)), HALF),
    "cube root": Power(Mul((number(8), x)), Fraction(1, 3)),
    "root of a reciprocal": Power(Power(x, Fraction(-1)), HALF),
    "square of a root": Power(Power(x, HALF), Fraction(2)),
    "power 3/2": Power(Power(x, Fraction(3)), HALF),
    "reciprocal": Power(Mul((x, Power(n, Fraction(-1)))), Fraction(-1)),
    "sum squared": Power(Reduce("sum", (A,), (), y), Fraction(2)),
    "sum of sums": Mul((Reduce("sum", (A,), (), y), Reduce("sum", (A,), (), Power(y, HALF * 4)))),
    "sum of a constant": Reduce("sum", (A, B), (), x),
    "sum over a domain": Reduce("sum", (A,), (Inside(at(A) - 1, size(1)),), Mul((x, y))),
    "same letter inside": Mul((y, Reduce("sum", (A,), (), y), Reduce("sum", (A,), (), y))),
    "select": Select(Compare("<", ZERO, x), Power(x, HALF), Mul((number(-1), x))),
    "select of a guard": Mul((Select(POSITIVE, y, ZERO), Add((x, y)))),
    "guard to the power 0": Power(Guard(Compare("<", ZERO, x)), Fraction(0)),
    "guarded root": Mul((Guard(Compare("<", ZERO, x)), Power(x, Fraction(-1, 2)))),
    "root of a guard": Power(Mul((Guard(Compare("<", ZERO, x)), x)), HALF),
    "nothing to a power": Power(Mul((ZERO, x)), Fraction(2)),
    "nothing to the power 0": Power(Mul((ZERO, x)), Fraction(0)),
    "a sum to the power 3/2": Power(Add((x, number(3))), Fraction(3, 2)),
    "the empty product": Mul(()),
    "the empty sum": Add(()),
    "sizes": Mul((SizeOf(N * M * 3), SizeOf(N + 1), Power(SizeOf(N * 2), Fraction(-1)))),
    "cancelling": Add((Mul((x, y)), Mul((number(-1), y, x)), n)),
}


@pytest.mark.parametrize("distribute", (False, True))
@pytest.mark.parametrize("name", FORMS)
def test_forms_keep_their_value_at_both_signs(name, distribute):
    for seed in range(4):
        found = expression(poly(FORMS[name], distribute))
        same_everywhere(found, FORMS[name], seed, (I, A))


def test_a_root_of_a_square_keeps_the_sign_out():
    for value, expected in ((-2.0, 2.0), (3.0, 3.0)):
        found = expression(poly(FORMS["root of a square"]))
        assert evaluate(found, {I: 0}, {"X": Array((1,), [value])}, {"N": 1}) == expected


def test_sums_distribute_only_when_asked():
    two = Mul((Add((x, n)), Add((x, number(1)))))
    assert len(poly(two)) == 1
    assert len(poly(two, distribute=True)) == 4
    assert poly(FORMS["cancelling"]) == poly(n)


@pytest.mark.parametrize(
    ("value", "exponent", "expected"),
    [
        (4, "1/2", 2),
        ("9/4", "-1/2", "2/3"),
        ("9/4", "3/2", "27/8"),
        (2, "1/2", None),
        (-4, "1/2", None),
        ("4/3", "1/2", None),
        ("3/4", "1/2", None),
        (8, "1/3", None),
        (4, "1/3", None),
        (0, "-1", None),
        (0, "0", None),
        (0, "1/2", 0),
        (0, "2", 0),
        (-2, "3", -8),
        (2, "64", 2**64),
        (2, "65", None),
    ],
)
def test_rational_powers(value, exponent, expected):
    found = rational_power(Fraction(value), Fraction(exponent))
    assert found == (None if expected is None else Fraction(expected))


def to(base, exponent):
    return Power(base, Fraction(exponent))


# Two spellings of one value that have one normal form.
SAME = {
    "a product in a product": (Mul((Mul((x, y)), to(x, -1))), y),
    "a product squared": (to(Mul((x, y)), 2), Mul((x, x, y, y))),
    "a reciprocal of a product": (to(Mul((x, y)), -1), Mul((to(x, -1), to(y, -1)))),
    "a guarded value squared": (
        to(Mul((Guard(POSITIVE), x)), 2),
        Mul((Guard(POSITIVE), x, x)),
    ),
    "a root of a size times a value": (to(Mul((n, x)), "1/2"), Mul((to(n, "1/2"), to(x, "1/2")))),
    "a root of a reciprocal": (to(to(x, -1), "1/2"), to(x, "-1/2")),
    "a root of a root": (to(to(x, "1/2"), "1/2"), to(x, "1/4")),
    "a root of a scaled value": (to(Mul((number(4), x)), "1/2"), Mul((number(2), to(x, "1/2")))),
    "a size of 0": (SizeOf(size(0)), ZERO),
    "a size of 3": (SizeOf(size(3)), number(3)),
    "a place of no index": (IndexOf(constant(N * 2)), Mul((number(2), n))),
}


@pytest.mark.parametrize("name", SAME)
def test_spellings_have_one_form(name):
    one, other = SAME[name]
    assert poly(one) == poly(other)


def test_a_sum_is_multiplied_out_only_when_asked():
    square = to(Add((x, n)), 2)
    assert len(poly(square)) == 1
    assert poly(square, True) == poly(Add((to(x, 2), Mul((number(2), x, n)), to(n, 2))))
    assert len(poly(to(Add((x, n)), 4), True)) == 5
    assert len(poly(to(Add((x, n)), 5), True)) == 1


def test_what_is_not_finite_stays():
    assert evaluate(expression(poly(number(inf))), {}, {}) == inf
    assert evaluate(expression(poly(to(Mul((ZERO, n)), -1))), {}, {}, {"N": 2}) == inf


NONNEGATIVE = [
    (n, True),
    (number(2), True),
    (ZERO, True),
    (number(-1), False),
    (number(inf), True),
    (number(-inf), False),
    (number(float("nan")), False),
    (Apply("abs", (x,)), True),
    (Apply("cosh", (x,)), True),
    (Apply("tanh", (x,)), False),
    (x, False),
]


@pytest.mark.parametrize(("atom", "expected"), NONNEGATIVE, ids=str)
def test_what_is_never_negative(atom, expected):
    assert nonnegative_atom(atom) is expected


# Terms.


@QUICK
@given(terms())
def test_a_term_is_its_expression(value):
    same_everywhere(expression((value,)), literal(value))


def test_an_idle_summation_index_counts_its_extent():
    value = made((A, B, Index("k", size(3))), (), read(X, I))
    assert value.bound == () and value.coef == 3
    assert {a for a, _ in value.factors} == {read(X, I), SizeOf(N), SizeOf(M)}
    kept = term(Fraction(1), (A,), (), ((read(X, I), Fraction(1)),), count=False)
    assert kept.bound == (A,)


def test_terms_that_can_hold_nowhere_are_none():
    assert term(Fraction(1), (), (Zero(at(I) + 1),), ()) is None
    assert term(Fraction(0), (), (), ((x, Fraction(1)),)) is None
    nowhere, factors = Zero(constant(N)), ((read(Z, J), Fraction(1)),)
    assert term(Fraction(1), (), (nowhere,), factors) is not None  # where N is 0
    assert term(Fraction(1), (), (nowhere,), (*factors, (x, Fraction(1)))) is None
    assert term(Fraction(1), (A,), (nowhere,), factors, count=False) is None


def test_indices_of_a_term():
    value = made((A,), (Compare("<", ZERO, read(X, I)),), read(W, A, A), read(Z, J))
    assert set(indices_in(value)) == {A, I, J}
    assert set(free_of(value)) == {I, J}


def test_exponents_of_equal_atoms_are_added():
    assert made((), (), (x, 2), (x, -1)) is made((), (), x)
    assert made((), (), (x, 2), (x, -2)) is made()
    assert made((), (), (number(4), "1/2"), x) is made((), (), x, coef=2)


@QUICK
@given(terms(), st.data())
def test_canonical_terms_don_t_depend_on_names_or_order(value, data):
    order = data.draw(st.permutations(value.bound))
    names = data.draw(st.permutations(["p", "q", "r", "a", "b"]))
    moved = {i: Index(name, i.extent) for i, name in zip(order, names, strict=False)}
    other = renamed(value, moved)
    turned = term(other.coef * 2, [moved[i] for i in order], other.guards, other.factors[::-1])
    assert canonical(turned) is canonical(value)
    assert canonical(value).coef == 1


@QUICK
@given(terms(), terms())
def test_equal_canonical_terms_have_equal_values(left, right):
    if canonical(left) is canonical(right):
        same_everywhere(literal(left), literal(times(right, made(coef=left.coef / right.coef))))


DIFFERENT = [
    made((A,), (), read(X, A), read(Y, A, J)),
    made((A,), (), read(X, I), read(Y, A, J)),
    made((A, C), (), read(X, A), read(Y, C, J)),
    made((A,), (), read(W, A, I)),
    made((A,), (), read(W, I, A)),
    made((A,), (), read(W, A, A)),
    made((A, C), (), read(W, A, C)),
    made((A, C), (), read(W, A, C), read(W, C, A)),
    made((A, C), (), read(W, A, C), read(W, A, C)),
    made((A, C), (), read(W, A, C), read(X, A)),
    made((A, C), (), read(W, A, C), read(X, C)),
    made((A,), (POSITIVE,), read(X, A)),
    made((A,), (), read(X, A)),
    made((A,), (), (read(X, A), 2)),
    made((Index("a", M),), (), read(Z, Index("a", M))),
]


def test_canonical_terms_tell_different_terms_apart():
    assert len(set(map(canonical, DIFFERENT))) == len(DIFFERENT)


def test_canonical_terms_of_symmetric_sums():
    ring = [Index(name, N) for name in "pqrs"]
    forms = {
        canonical(made(ring, (), *(read(W, o[k], o[(k + 1) % 4]) for k in range(4))))
        for o in permutations(ring)
    }
    assert len(forms) == 1


@given(st.permutations(range(7)))
def test_canonical_terms_of_long_chains(order):
    names = [Index(f"p{k}", N) for k in range(7)]
    chain = [names[k] for k in order]
    steps = [read(W, a, b) for a, b in pairwise(chain)]
    found = made(names, (), read(X, chain[0]), *steps)
    assert canonical(found) is canonical(
        made(names, (), read(X, names[0]), *map(read, [W] * 6, names, names[1:]))
    )


@QUICK
@given(terms(), terms())
def test_products_and_sums_of_terms(left, right):
    both = times(left, right)
    found = expression((both,)) if both else ZERO
    same_everywhere(found, Mul((literal(left), literal(right))))
    total = collect([left, right, left, times(right, made(coef=-1)), None])
    same_everywhere(literals(total), Add((literal(left), literal(left))))
    assert len(set(map(canonical, total))) == len(total)


@QUICK
@given(terms(), st.sampled_from([at(A), at(Index("n", N)), constant(0), constant(N - 1) - at(A)]))
def test_free_indices_are_replaced_without_capture(value, sub):
    found = replaced(value, {I: sub})
    for k, sizes in enumerate(SIZES):
        given = arrays(sizes, k)
        for here in range(sizes["N"]):
            for j in range(sizes["M"]):
                point = {A: here, Index("n", N): here, J: j}
                place = {at(A): here, at(Index("n", N)): here, constant(0): 0}
                i = place.get(sub, sizes["N"] - 1 - here)
                ours = evaluate(literal(found), point, given, sizes) if found else 0
                theirs = evaluate(literal(value), {I: i, J: j}, given, sizes)
                assert ours == pytest.approx(theirs)


D = Index("a1", N)
CAPTURES = {
    "a subscript with a bound index's name": (
        lambda: replaced(made((A,), (), read(W, I, A), read(X, A)), {I: at(A)}),
        Reduce("sum", (C,), (), Mul((read(W, A, C), read(X, C)))),
    ),
    "a bound index on the left, free on the right": (
        lambda: times(made((A,), (), read(X, A)), made((), (), read(W, A, A))),
        Mul((Reduce("sum", (C,), (), read(X, C)), read(W, A, A))),
    ),
    "a bound index on the right, free on the left": (
        lambda: times(made((), (), read(W, A, A)), made((A,), (), read(X, A))),
        Mul((Reduce("sum", (C,), (), read(X, C)), read(W, A, A))),
    ),
    "a bound index on the left, free in a guard on the right": (
        lambda: times(made((A,), (), read(X, A)), made((), (POSITIVE,), read(X, D))),
        Mul((Reduce("sum", (C,), (), read(X, C)), Guard(POSITIVE), read(X, D))),
    ),
    "a name that is new elsewhere is taken here": (
        lambda: times(made((), (), read(X, A)), made((A,), (), read(W, A, D))),
        Mul((read(X, A), Reduce("sum", (C,), (), read(W, C, D)))),
    ),
    "one bound index on both sides": (
        lambda: times(made((A,), (), read(X, A)), made((A,), (), (read(X, A), 2))),
        Mul(
            (
                Reduce("sum", (A,), (), read(X, A)),
                Reduce("sum", (A,), (), Power(read(X, A), Fraction(2))),
            )
        ),
    ),
}


@pytest.mark.parametrize("name", CAPTURES)
def test_no_index_is_captured(name):
    make, expected = CAPTURES[name]
    same_everywhere(literal(make()), expected, indices=(A, D))


def test_a_guarded_sum_is_distributed():
    guarded = Add((Mul((Guard(POSITIVE), y)), x))
    value = poly(Mul((guarded, n)))
    assert len(value) == 2 and [t.guards for t in value] == [(POSITIVE,), ()]


# Independent sums apart, and what has to stay together.


@QUICK
@given(terms())
def test_components_hold_everything_once(value):
    (guards, factors), sums = components_of(value)
    assert sorted(c.key for c in (*guards, *(c for s in sums for c in s[1]))) == [
        c.key for c in value.guards
    ]
    assert sorted(str(f) for f in (*factors, *(f for s in sums for f in s[2]))) == sorted(
        map(str, value.factors)
    )
    assert {i for s in sums for i in s[0]} == set(value.bound)
    assert all(not set(g) & set(h) for (g, _, _), (h, _, _) in permutations(sums, 2))


SHELTERED = {
    "a divisor": made((A,), (POSITIVE,), read(X, A), (read(Z, J), -1)),
    "a root": made((A,), (POSITIVE,), read(X, A), (read(Z, J), Fraction(-1, 2))),
    "a read out of bounds": made((A,), (Inside(at(J) + at(A) + 1, M),), read(Z, at(J) + 1)),
    "under two sums": made(
        (A, B), (POSITIVE, Compare("<", ZERO, read(Z, B))), read(X, A), read(Z, B), (read(Z, J), -1)
    ),
}


@pytest.mark.parametrize("name", SHELTERED)
def test_no_factor_leaves_the_guard_that_protects_it(name):
    value = SHELTERED[name]
    given = {"X": Array((2,), [-1.0, -2.0]), "Z": Array((2,), [-1.0, 0.0])}
    for j in range(2):
        point = {J: j}
        expected = evaluate(literal(value), point, given, {"N": 2, "M": 2})
        assert evaluate(expression((value,)), point, given, {"N": 2, "M": 2}) == expected


def test_a_plain_read_may_leave_a_guard():
    value = made((A,), (POSITIVE,), read(X, A), read(Z, J))
    (_, outside), _ = components_of(value)
    assert outside == ((read(Z, J), Fraction(1)),)


OF_ANOTHER = Compare("<", ZERO, read(Z, B))
DIVISORS = ((read(X, A), -1), (read(Z, B), -1))
AHEAD = Inside(at(A) + 1, N)
# Terms, and which of their bound indices are summed together, in this order.
APART = {
    "nothing is guarded": (made((A, B), (), *DIVISORS, (read(Z, J), -1)), ["a", "b"]),
    "one's own guard": (made((A, B), (POSITIVE,), DIVISORS[0], read(Z, B)), ["a", "b"]),
    "another's guard": (made((A, B), (POSITIVE,), read(X, A), DIVISORS[1]), ["ab"]),
    "the other sums": (
        made((A, B, C), (POSITIVE,), read(X, A), DIVISORS[1], read(Y, C, J)),
        ["c", "ab"],
    ),
    "two guarded sums, one exposed": (made((A, B), (POSITIVE, OF_ANOTHER), *DIVISORS), ["ab"]),
    "a range of one's own": (
        made((A, B), (AHEAD, OF_ANOTHER), read(X, at(A) + 1), read(Z, B)),
        ["a", "b"],
    ),
    "another's range": (
        made((A, B), (AHEAD, OF_ANOTHER), read(X, at(A) + 1), DIVISORS[1]),
        ["ab"],
    ),
}


@pytest.mark.parametrize("name", APART)
def test_only_sums_that_need_it_stay_together(name):
    value, expected = APART[name]
    _, sums = components_of(value)
    assert ["".join(i.name for i in bound) for bound, _, _ in sums] == expected


EXPOSED = [
    (read(X, I), (), False),
    (read(X, at(I) + 1), (), True),
    (read(X, at(I) + 1), (Inside(at(I) + 1, N),), False),
    (read(X, at(I) + 1), (Inside(at(I) + 2, N),), True),
    (Guard(POSITIVE), (), False),
    (Reduce("sum", (A,), (), read(W, A, at(I) + 1)), (), True),
    (Reduce("sum", (A,), (), read(W, A, at(I) + 1)), (Inside(at(I) + 1, N),), False),
    (Reduce("sum", (A,), (), Mul((read(X, A), read(W, A, at(I) + 1)))), (), True),
    (
        Reduce("sum", (A,), (), Mul((read(X, A), read(W, A, at(I) + 1)))),
        (Inside(at(I) + 1, N),),
        False,
    ),
    (Reduce("sum", (A,), (), Mul((Guard(AHEAD), read(X, at(A) + 1)))), (), False),
    (Reduce("sum", (A,), (), Mul((Guard(AHEAD), read(X, A), read(X, at(A) + 2)))), (), True),
]


@pytest.mark.parametrize(("atom", "held", "expected"), EXPOSED, ids=str)
def test_what_needs_the_guards_around_it(atom, held, expected):
    assert is_exposed((atom, Fraction(1)), held) is expected


def test_reads_are_in_bounds_only_where_proved():
    assert in_bounds(read(X, at(I) + 1), (Inside(at(I) + 1, N),))
    assert not in_bounds(read(X, at(I) + 1), (Inside(at(I) + 2, N),))
    assert in_bounds(read(X, I))
    assert in_bounds(read(X, constant(N - 1) - at(I)))
    assert not in_bounds(read(X, at(I) + 1))
    assert not in_bounds(read(X, at(I) - 1))
    assert not in_bounds(Access(X, (at(Index("k", N + 1)),)))


def test_infinite_values_stay_under_their_guards():
    value = made((A,), (POSITIVE,), read(X, A), (read(Z, J), -1))
    given = {"X": Array((1,), [-inf]), "Z": Array((1,), [0.0])}
    assert evaluate(expression((value,)), {J: 0}, given, {"N": 1, "M": 1}) == 0


def test_a_sum_in_a_function_drops_what_comes_to_nothing() -> None:
    derivation = derive("Y[i] = logaddexp(0, X[i])")
    assert "sigmoid(X[i])" in derivation.formula("X")
