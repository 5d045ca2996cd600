"""Compact forms: equal to what they are forms of, and no factor leaves its guard."""

from __future__ import annotations

from fractions import Fraction
from math import exp, inf, isfinite
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.calculus.cost import expression_cost
from pullback.calculus.definitions import Definitions
from pullback.calculus.flatten import flatten
from pullback.calculus.normal import canonical, collect, indices_in, poly, term
from pullback.calculus.present import (
    Names,
    factored,
    fold_sums,
    nested,
)
from pullback.calculus.reverse import reverse
from pullback.calculus.saturated import complements
from pullback.calculus.step import Backward
from pullback.ir.arithmetic import FLOAT
from pullback.ir.expr import (
    ZERO,
    Access,
    Add,
    Compare,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Power,
    Reduce,
    SizeOf,
    Tensor,
    Zero,
    number,
)
from pullback.ir.interpret import Array, evaluate, run
from pullback.ir.program import Program
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.ir.walk import free_indices, nodes, tensors
from pullback.notation.parse import parse
from pullback.notation.plain import show_program
from pullback.verify import samples

from ..properties.random_programs import Maker
from .oracle import draw
from .programs import PROGRAMS
from .programs import SIZES as USUAL
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
    known,
    literal,
    literals,
    made,
    points,
    read,
    terms,
    values,
)

QUICK = settings(max_examples=40, deadline=None)


def all_finite(tensor):
    return True


def none_finite(tensor):
    return False


@QUICK
@given(st.lists(terms(), max_size=5), st.booleans())
def test_a_factored_sum_is_the_sum(given_terms, finite):
    value = collect(given_terms)
    found = factored(value, known(all_finite if finite else none_finite))
    for k, sizes in enumerate(SIZES):
        assert_equal(found, literals(value), (I, J), arrays(sizes, k), sizes)


@QUICK
@given(terms())
def test_nested_sums_are_the_sum(value):
    for k, sizes in enumerate(SIZES):
        assert_equal(nested(value), literal(value), (I, J), arrays(sizes, k), sizes)


@QUICK
@given(st.lists(terms(), min_size=1, max_size=4))
def test_values_that_overflow_don_t_leave_their_guards(given_terms):
    """X may hold infinities (no ``finite`` tensor); where all terms are finite the form is."""
    value = collect(
        term(t.coef, t.bound, (*t.guards, Compare("<", read(X, I), number(9))), t.factors)
        for t in given_terms
    )
    value = collect([*value, made((), (Compare("<=", number(9), read(X, I)),), read(Z, J))])
    found = factored(value, known(lambda tensor: tensor is not X))
    for k, sizes in enumerate(SIZES):
        given = arrays(sizes, k)
        given["X"] = Array(given["X"].shape, [*given["X"].flat[:-1], inf])
        for point in points((I, J), sizes):
            parts = [evaluate(literal(t), point, given, sizes) for t in value]
            if all(map(isfinite, parts)):
                ours = evaluate(found, point, given, sizes)
                assert ours == pytest.approx(sum(parts))


CONDITIONS = (Compare, Inside, Zero)
R, S, T, V = read(X, I), read(Z, J), read(Y, I, J), read(W, I, I)
ONE_N = Power(SizeOf(N), Fraction(-1))
SOME, OTHER = Compare("<", ZERO, S), Compare("<", S, number(-1))
# Reads X[i - 1]: only where 1 <= i.
AFTER = Inside(at(I) - 1, N)
PAST = Compare("<", read(X, at(I) - 1), ZERO)


def test_a_common_factor_is_taken_out_only_where_it_is_finite():
    some = Compare("<", read(X, I), number(9))
    value = collect(
        [made((), (some,), read(X, I), read(Z, J)), made((), (OTHER,), read(X, I), read(Y, I, J))]
    )
    out, kept = factored(value, known(all_finite)), factored(value, known(none_finite))
    assert len([n for n in nodes(out) if isinstance(n, Mul) and read(X, I) in n.factors]) == 1
    assert len([n for n in nodes(kept) if isinstance(n, Mul) and read(X, I) in n.factors]) == 2


def plus(*parts):
    return Add(parts)


def minus(value):
    return Mul((number(-1), value))


def product(*parts):
    return Mul(tuple(number(p) if isinstance(p, int | Fraction) else p for p in parts))


def over(value):
    return Power(value, Fraction(-1))


def terms_of(*sums):
    """``(coef, factors...)`` each; a condition is a guard."""
    return collect(
        made(
            (),
            [f for f in factors if isinstance(f, CONDITIONS)],
            *(f for f in factors if not isinstance(f, CONDITIONS)),
            coef=Fraction(coef),
        )
        for coef, *factors in sums
    )


HALF, THIRD = Fraction(1, 2), Fraction(1, 3)
PER_N = (SizeOf(N), -1)
# Terms, and how they are written where no tensor is known to be finite.
FACTORED = {
    "nothing": ([], number(0)),
    "one number": ([(3,)], number(3)),
    "a common factor": ([(1, R, S), (-1, R, T)], product(R, plus(S, minus(T)))),
    "a power of it": ([(1, (R, 2), S), (1, R, T)], product(R, plus(product(R, S), T))),
    "a divisor": (
        [(1, (R, -2), S), (1, (R, -1), T)],
        product(over(R), plus(product(S, over(R)), T)),
    ),
    "no common power": ([(1, R, S), (1, (R, -1), T)], plus(product(R, S), product(T, over(R)))),
    "equal numbers": ([(2, R), (2, S)], product(2, plus(R, S))),
    "numbers with a divisor": ([(2, R), (-4, S)], product(2, plus(R, product(-2, S)))),
    "halves": ([(HALF, R), (HALF, S)], product(HALF, plus(R, S))),
    "equal up to the sign": ([(HALF, R), (-HALF, S)], product(HALF, plus(R, minus(S)))),
    "a half of both": ([(3 * HALF, R), (9 * HALF, S)], product(3 * HALF, plus(R, product(3, S)))),
    "a half of one": ([(HALF, R), (1, S)], plus(product(HALF, R), S)),
    "most are fractions": (
        [(HALF, R), (THIRD, S), (1, T)],
        product(Fraction(1, 6), plus(product(3, R), product(2, S), product(6, T))),
    ),
    "half are fractions": (
        [(HALF, R), (1, S), (HALF, T), (1, V)],
        plus(product(HALF, R), S, product(HALF, T), V),
    ),
    "all negative": ([(-1, R), (-1, S)], minus(plus(R, S))),
    "negative halves": ([(-HALF, R), (-1, S)], minus(plus(product(HALF, R), S))),
    "sixteen times": ([(3, R), (48, S)], product(3, plus(R, product(16, S)))),
    "more often": ([(3, R), (51, S)], plus(product(3, R), product(51, S))),
    "positive ones first": ([(-1, R), (2, S)], plus(product(2, S), minus(R))),
    "a negative number last": ([(-1,), (1, R), (1, S)], plus(R, S, number(-1))),
    "a size under all": ([(1, PER_N, T), (1, PER_N, V)], product(ONE_N, plus(T, V))),
    "a size under rows and columns": (
        [(1, PER_N, R), (1, PER_N, S)],
        plus(product(R, ONE_N), product(S, ONE_N)),
    ),
    "a size under most": (
        [(1, PER_N, R), (1, PER_N, S), (1, T)],
        product(ONE_N, plus(R, S, product(SizeOf(N), T))),
    ),
    "a size under half": (
        [(1, PER_N, R), (1, PER_N, S), (1, T), (1, V)],
        plus(product(R, ONE_N), product(S, ONE_N), T, V),
    ),
    "a size under one of many": (
        [(1, PER_N, R), (1, S), (1, T)],
        plus(product(R, ONE_N), S, T),
    ),
    "a size in most": (
        [(1, SizeOf(N), R), (1, SizeOf(N), S), (1, T)],
        plus(product(SizeOf(N), R), product(SizeOf(N), S), T),
    ),
    "a size under all, twice under most": (
        [(1, (SizeOf(N), -2), R), (1, (SizeOf(N), -2), S), (1, PER_N, T)],
        product(ONE_N, plus(product(R, ONE_N), product(S, ONE_N), T)),
    ),
    "a group": ([(1, R, S), (1, R, T), (1, V)], plus(product(R, plus(S, T)), V)),
    "a group to subtract": (
        [(-1, R, S), (-1, R, T), (1, V)],
        plus(V, Mul((number(-1), R, plus(S, T)))),
    ),
    "a group and two others": (
        [(1, R, S), (-1, (S, 2)), (1, R, T), (1, V)],
        plus(product(R, plus(S, T)), V, minus(Power(S, Fraction(2)))),
    ),
    "a group with a divisor": (
        [(1, S, (R, -1)), (1, T, (R, -1)), (1, V)],
        plus(product(over(R), plus(S, T)), V),
    ),
    "no group of a factor and its inverse": (
        [(1, R, S), (1, (R, -1), T), (1, V)],
        plus(product(R, S), product(T, over(R)), V),
    ),
    "many small products rather than one large": (
        [(1, R, S), (1, R, V), (1, R, T), (1, T, (S, 2))],
        plus(product(R, plus(S, V, T)), product(Power(S, Fraction(2)), T)),
    ),
    "the larger of two": (
        [(1, R, V), (1, R, T), (1, S, T), (1, (S, 3))],
        plus(product(T, plus(R, S)), product(V, R), Power(S, Fraction(3))),
    ),
    "a guard of all": ([(1, SOME, R), (1, SOME, V)], product(Guard(SOME), plus(R, V))),
    "all its guards": (
        [(1, SOME, R, T), (1, SOME, R, V)],
        product(R, Guard(SOME), plus(T, V)),
    ),
    "a guard that holds its own reads": (
        [(1, PAST, SOME, R), (1, PAST, V)],
        plus(product(R, Guard(PAST), Guard(SOME)), product(V, Guard(PAST))),
    ),
    "a guard and what protects it": (
        [(1, AFTER, PAST, SOME, R), (1, AFTER, PAST, V)],
        product(Guard(PAST), Guard(AFTER), plus(product(R, Guard(SOME)), V)),
    ),
    "a factor under a guard of its own": (
        [(1, SOME, R, T), (1, R, V)],
        product(R, plus(product(T, Guard(SOME)), V)),
    ),
    "a factor under two guards": (
        [(1, SOME, R, T), (1, OTHER, R, V)],
        plus(product(R, T, Guard(SOME)), product(V, R, Guard(OTHER))),
    ),
    "a group under a guard": (
        [(1, SOME, OTHER, R), (1, SOME, T), (1, V)],
        plus(product(Guard(SOME), plus(product(R, Guard(OTHER)), T)), V),
    ),
    "no group under a guard that others protect": (
        [(1, SOME, PAST, R), (1, PAST, T), (1, V)],
        plus(product(R, Guard(PAST), Guard(SOME)), product(T, Guard(PAST)), V),
    ),
    "no group of factors under guards": (
        [(1, SOME, R, S), (1, R, T), (1, V)],
        plus(product(R, plus(product(S, Guard(SOME)), T)), V),
    ),
}


@pytest.mark.parametrize("name", FACTORED)
def test_a_factored_sum_is_written_so(name):
    value, expected = FACTORED[name]
    assert factored(terms_of(*value), known(none_finite)) is expected


# The same where all tensors are finite.
FINITE = {
    "a factor under a guard of its own": (
        [(1, SOME, R, T), (1, R, V)],
        product(R, plus(product(T, Guard(SOME)), V)),
    ),
    "a divisor under a guard of its own": (
        [(1, SOME, T, (R, -1)), (1, V, (R, -1))],
        plus(product(T, Guard(SOME), over(R)), product(V, over(R))),
    ),
    "a divisor under two guards": (
        [(1, SOME, T, (R, -1)), (1, OTHER, V, (R, -1))],
        plus(product(T, Guard(SOME), over(R)), product(V, Guard(OTHER), over(R))),
    ),
    "divisors in a group": (
        [(1, SOME, T, (R, -1)), (1, V, (R, -1)), (1, S)],
        plus(product(T, Guard(SOME), over(R)), product(V, over(R)), S),
    ),
    "an index's value": (
        [(1, SOME, IndexOf(at(I)), R), (1, IndexOf(at(I)), T)],
        product(IndexOf(at(I)), plus(product(R, Guard(SOME)), T)),
    ),
}


@pytest.mark.parametrize("name", FINITE)
def test_where_tensors_are_finite_it_is_written_so(name):
    value, expected = FINITE[name]
    assert factored(terms_of(*value), known(all_finite)) is expected


@QUICK
@given(st.lists(terms(), min_size=1, max_size=3))
def test_quotients_by_zero_don_t_leave_their_guards(given_terms):
    """Each divisor is under a guard that it isn't 0; then no form divides by 0."""
    value = collect(
        term(
            t.coef,
            t.bound,
            (*t.guards, *(Compare("!=", a, ZERO) for a, e in t.factors if e < 0)),
            t.factors,
        )
        for t in given_terms
    )
    forms = [factored(value, known(all_finite)), *(map(nested, value) if len(value) == 1 else ())]
    for k, sizes in enumerate(SIZES):
        given = arrays(sizes, k, among=(0.0, 0.0, 1.0, -2.0))
        for found in forms:
            assert_equal(found, literals(value), (I, J), given, sizes)


def total(indices, *parts):
    return Reduce("sum", indices, (), parts[0] if len(parts) == 1 else product(*parts))


P, Q = Index("p", size(100)), Index("q", size(110))
FEW, MANY = Index("f", size(10)), Index("m", size(1000))
LEFT, MIDDLE, RIGHT, CUBE = (
    read(Tensor("L", (P.extent, FEW.extent)), P, FEW),
    read(Tensor("K", (FEW.extent, MANY.extent)), FEW, MANY),
    read(Tensor("H", (MANY.extent, Q.extent)), MANY, Q),
    read(Tensor("U", (N, N, M)), A, C, B),
)
SMALLER = Compare("<", read(X, A), read(Z, B))
NESTED = {
    "independent": (
        made((A, B), (), read(X, A), read(Z, B)),
        product(total((A,), read(X, A)), total((B,), read(Z, B))),
    ),
    "together": (
        made((A, B), (), read(X, A), read(Y, A, B)),
        total((A, B), product(read(X, A), read(Y, A, B))),
    ),
    "the sum with less work first": (
        made((FEW, MANY), (), LEFT, MIDDLE, RIGHT),
        total((FEW,), LEFT, total((MANY,), RIGHT, MIDDLE)),
    ),
    "two indices at once": (
        made((A, C, B), (), CUBE, read(Y, I, B)),
        total((B,), total((A, C), CUBE), read(Y, I, B)),
    ),
    "a divisor that needs no guard": (
        made((A, B), (), read(X, A), (read(Z, B), -1), read(Y, A, B), read(Y, I, B)),
        total((B,), total((A,), read(X, A), read(Y, A, B)), read(Y, I, B), over(read(Z, B))),
    ),
    "a divisor stays under the guard that protects it": (
        made((A, B), (SMALLER,), read(X, A), (read(Z, B), -1), read(Y, I, B)),
        total((B,), total((A,), read(X, A), Guard(SMALLER), over(read(Z, B))), read(Y, I, B)),
    ),
    "no sum that would need all indices inside": (
        made((A, B), (SMALLER,), read(X, A), (read(Y, I, B), -1)),
        total((A, B), read(X, A), Guard(SMALLER), over(read(Y, I, B))),
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_sums_are_nested_so(name):
    value, expected = NESTED[name]
    assert nested(value) is expected


def test_the_smaller_product_is_summed_first():
    """Σ_ac W[i,a]·W[a,c]·X[c] is W·(W·X), not (W·W)·X."""
    found = nested(made((A, C), (), read(W, I, A), read(W, A, C), read(X, C)))
    (inner,) = [n for n in nodes(found.body) if n is not found and hasattr(n, "indices")]
    assert free_indices(inner) == (A,)


# Names put back.

NAMED = ("batch norm", "softmax", "layer norm", "unit vectors", "gelu", "a value under a guard")


def flat(name):
    program = parse(PROGRAMS[name])
    plain = flatten(program)
    values = draw(program.inputs, USUAL[0], 5)
    return plain, run(plain, values, sizes=USUAL[0]) | {
        t.name: Array.of(values[t.name]) for t in program.inputs
    }


@st.composite
def products(draw_, plain: Program):
    """A product of powers of the program's tensors, summed over some of their axes."""
    reads = []
    pool = [t for t in (*plain.inputs, *(s.target for s in plain.statements)) if t.kind == "float"]
    names: dict = {}
    for tensor in draw_(st.lists(st.sampled_from(pool), min_size=1, max_size=4)):
        subs = []
        for extent in tensor.shape:
            letter = draw_(st.sampled_from("pq"))
            index = names.setdefault((letter, extent), Index(f"{letter}{len(names)}", extent))
            subs.append(at(index))
        exponent = draw_(st.sampled_from((1, 1, 1, 2, -1)))
        reads.append((Access(tensor, tuple(subs)), Fraction(exponent)))
    found = {i for a, _ in reads for i in free_indices(a)}
    free = sorted(found, key=lambda i: i.key)
    bound = draw_(st.lists(st.sampled_from(free), unique=True, max_size=2)) if free else []
    value = term(Fraction(1), bound, (), reads)
    assert value is not None
    return value


@settings(max_examples=12, deadline=None)
@pytest.mark.parametrize("name", NAMED)
@given(data=st.data())
def test_base_form_and_names_keep_the_value(name, data):
    plain, given = flat(name)
    definitions = Definitions(plain.statements)
    names = Names(definitions)
    value = data.draw(products(plain))
    free = [i for i in indices_in(value) if i not in value.bound]
    base = definitions.base((value,))
    forms = [literals(base), *(literal(names.fold(t)) for t in base[:1] if len(base) == 1)]
    forms.append(literals(fold_sums(base, definitions)))
    forms.append(literals(complements(base, definitions, names)))
    for found in forms:
        ours, theirs = (values(x, free, given, USUAL[0]) for x in (found, literal(value)))
        for a, b in zip(ours, theirs, strict=True):
            if isfinite(b):
                assert a == pytest.approx(b, rel=1e-7, abs=1e-7)


def test_the_cheapest_names_come_first():
    plain, _ = flat("batch norm")
    definitions = Definitions(plain.statements)
    names = Names(definitions)
    for statement in plain.statements:
        for part in definitions.base(poly(statement.body)):
            costs = [expression_cost(nested(form)) for form in names.forms(part)]
            assert costs == sorted(costs) and costs[0] <= expression_cost(nested(part))


def test_a_sum_that_has_a_name_is_called_by_it():
    program = flatten(parse("m[] = mean(n) X[n]\nc[n] = X[n] - m[]\nY[n] = c[n]**2"))
    definitions = Definitions(program.statements)
    spread = poly(program.statements[1].body)
    folded = fold_sums(spread, definitions)
    assert len(spread) == 2
    assert [t.name for part in folded for t in tensors(literal(part))] == ["c"]


def test_complements_are_written_in_the_inverse():
    program = flatten(parse("u[n] = exp(X[n])\nq[n] = 1 + u[n]\nY[n] = 1/q[n]"))
    definitions = Definitions(program.statements)
    names = Names(definitions)
    u, q, y = (s.target for s in program.statements[-3:])
    i = Index("i", u.shape[0])
    value = made((), (), read(u, i), (read(q, i), -2))
    (found,) = complements((value,), definitions, names)
    folded = names.fold(found)
    assert q not in tensors(literal(folded)) and y in tensors(literal(folded))
    sizes = {str(u.shape[0]): 4}
    given = run(program, {"X": [0.3, -0.7, -37.0, 1000.0]}, sizes=sizes)
    small = [exp(-abs(x)) for x in (0.3, -0.7, -37.0, 1000.0)]
    assert values(literal(folded), (i,), given, sizes) == pytest.approx(
        [s / (1 + s) ** 2 for s in small], rel=1e-15
    )


def test_quotients_that_would_overflow_are_written_as_complements():
    """u/(2 + u) is 1/(1 + 2/u), which is 1 where u is infinite."""
    program = flatten(parse("u[n] = exp(X[n])\nq[n] = 2 + u[n]\nY[n] = q[n]*X[n]"))
    u, q = (s.target for s in program.statements[:2])
    i = Index("i", u.shape[0])
    definitions = Definitions(program.statements)
    found = complements(
        (made((), (), read(u, i), (read(q, i), -1)),), definitions, Names(definitions)
    )
    given = run(program, {"X": [0.5, 9999.0]}, sizes={str(u.shape[0]): 2})
    half = given["u"].flat[0]
    assert values(literals(found), (i,), given, {str(u.shape[0]): 2}) == [
        pytest.approx(half / (2 + half)),
        1.0,
    ]


def test_a_root_s_name_isn_t_put_where_the_root_is_undefined():
    """1/x must not become (x**(-1/2))**2 where x < 0."""
    program = flatten(parse("r[n] = X[n]**(-0.5)\nY[n] = r[n]*W[n]"))
    names = Names(Definitions(program.statements))
    i = Index("i", program.inputs[0].shape[0])
    x = next(t for t in program.inputs if t.name == "X")
    value = made((), (), (read(x, i), -1))
    assert all(tensors(literal(form)) == (x,) for form in names.forms(value))


def test_unused_tensor_names_make_no_forms():
    names = Names(Definitions(()))
    value = made((B,), (), read(Y, I, B), read(Z, B))
    assert names.forms(value) == [value]
    assert Tensor("T", (N, M)) not in names.user


def test_a_size_leaves_guards_that_terms_dont_share():
    """[a]·X·N + [b]·Y·N is N·([a]·X + [b]·Y): one product, as nothing protects a size."""
    first = Guard(Compare("<", ZERO, read(W, I)))
    other = Guard(Compare("<", read(W, I), ZERO))
    parts = [(first, read(X, I)), (other, read(Y, I))]
    value = collect(t for guard, x in parts for t in poly(Mul((guard, x, SizeOf(N)))))
    assert len(value) == 2
    by_hand = Mul((SizeOf(N), Add(tuple(Mul(part) for part in parts))))
    assert expression_cost(factored(value, known(none_finite))) <= expression_cost(by_hand)


def defined(text):
    """The definitions of a program's statements, its tensors by name, and values of them."""
    program = flatten(parse(text))
    made_of = {t.name: t for t in (*program.inputs, *(s.target for s in program.statements))}
    shapes = {t.name: [n.value({"N": 3, "M": 2}) for n in t.shape] for t in program.inputs}
    inputs = {name: draw_array(name, shape) for name, shape in shapes.items()}
    sizes = {"N": 3, "M": 2}
    return (
        Definitions(program.statements),
        made_of,
        run(program, inputs, sizes=sizes) | inputs,
    )


def draw_array(name, shape):
    rng, count = Random(name), 1
    for n in shape:
        count *= n
    return Array(tuple(shape), [rng.uniform(0.5, 2) for _ in range(count)])


SUM = "X[N]\nZ[N]\nW[N,N]\nm[]\nc[i:N] = X[i] - m[]\ns[i:N] = 4*X[i] - 6*m[]*Z[i] + 2\n"
# A sum of terms, and how often each name stands in what it becomes.
SUMS = {
    "a multiple": ([(3, "X[i]", "Z[i]"), (-3, "m[]", "Z[i]")], [(3, "Z[i]", "c[i]")]),
    "with a third": (
        [(1, "X[i]", "Z[i]"), (-1, "m[]", "Z[i]"), (1, "Z[i]")],
        [(1, "Z[i]"), (1, "Z[i]", "c[i]")],
    ),
    "a part": ([(2, "X[i]"), (-3, "m[]", "Z[i]")], [(2, "X[i]"), (-3, "Z[i]", "m[]")]),
    "another multiple": ([(1, "X[i]"), (-2, "m[]")], [(1, "X[i]"), (-2, "m[]")]),
    "three terms, a half of them": (
        [(2, "X[i]"), (-3, "m[]", "Z[i]"), (1,)],
        [(HALF, "s[i]")],
    ),
    "under a sum": (
        [(1, "sum", "X[a]", "Z[a]"), (-1, "sum", "m[]", "Z[a]")],
        [(1, "sum", "Z[a]", "c[a]")],
    ),
    "a gradient that is a sum of sums": (
        [(5, "sum", "W[i,a]", "X[a]"), (-10, "Z[i]")],
        [(5, "D[i]")],
    ),
    "a sum over such a gradient": (
        [(1, "sums", "Z[a]", "W[a,c]", "X[c]"), (-2, "sum", "Z[a]", "Z[a]")],
        [(1, "sum", "D[a]", "Z[a]")],
    ),
}


def written(tensors, parts):
    """Terms from ``(coef, "sum", "X[i]", ...)``; sums run over a, or a and c."""
    letters = {"i": I, "a": A, "c": C}
    out = []
    for coef, *reads in parts:
        bound = {"sum": (A,), "sums": (A, C)}.get(reads[0] if reads else "", ())
        factors = []
        for text in reads[1:] if bound else reads:
            name, _, subs = text.rstrip("]").partition("[")
            factors.append(read(tensors[name], *(letters[k] for k in subs.split(",") if k)))
        out.append(made(bound, (), *factors, coef=Fraction(coef)))
    return collect(out)


@pytest.mark.parametrize("name", SUMS)
def test_sums_get_their_names(name):
    before, after = SUMS[name]
    definitions, tensors_, given = defined(SUM)
    tensors_["D"] = Tensor("D", (N,))
    gradient = written(tensors_, [(1, "sum", "W[i,a]", "X[a]"), (-2, "Z[i]")])
    definitions.learn_gradient(tensors_["D"], (I,), gradient)
    sizes = {"N": 3, "M": 2}
    given["D"] = Array((3,), values(literals(gradient), (I,), given, sizes))
    value, expected = written(tensors_, before), written(tensors_, after)
    found = fold_sums(value, definitions)
    assert set(map(canonical, found)) == set(map(canonical, expected))
    assert sorted(t.coef for t in found) == sorted(t.coef for t in expected)
    assert values(literals(found), (I,), given, sizes) == pytest.approx(
        values(literals(value), (I,), given, sizes)
    )


PLAIN = "X[N]\nZ[N]\nv[n:N] = X[n]**2\nq[n:N] = 1 + v[n]\n"
LARGE = "X[N]\nZ[N]\nu[n:N] = exp(X[n])\n"
# A program, a value, and whether it is written as a complement.
COMPLEMENTS = {
    "no name": (PLAIN, [("X", 2), ("q", -2)], False),
    "a name": (PLAIN + "P[n:N] = 1/q[n]\n", [("X", 2), ("q", -2)], True),
    "a name, used once": (PLAIN + "P[n:N] = 1/q[n]\n", [("X", 2), ("q", -1)], False),
    "a name, used often": (PLAIN + "P[n:N] = 1/q[n]\n", [("X", 4), ("q", -4)], True),
    "a part of what it takes": (PLAIN + "P[n:N] = 1/q[n]\n", [("X", 1), ("q", -2)], False),
    "more than it takes": (PLAIN + "P[n:N] = 1/q[n]\n", [("X", 3), ("q", -2)], True),
    "a name of minus the inverse": (PLAIN + "P[n:N] = -1/q[n]\n", [("X", 2), ("q", -2)], True),
    "a name over more axes": (
        "X[N]\nv[n:N] = X[n]**2\nq[n:N] = 1 + v[n]\nP[n:N,m:M] = 1/q[n]\n",
        [("X", 2), ("q", -2)],
        False,
    ),
    "a mean": (PLAIN, [("X", 2), ("N", -1)], False),
    "no sum of two": (
        "X[N]\nZ[N]\nv[n:N] = X[n]**2\nq[n:N] = 1 + v[n] + Z[n]\nP[n:N] = 1/q[n]\n",
        [("X", 2), ("q", -2)],
        False,
    ),
    "no constant": (
        "X[N]\nZ[N]\nv[n:N] = X[n]**2\nq[n:N] = Z[n] + v[n]\nP[n:N] = 1/q[n]\n",
        [("X", 2), ("q", -2)],
        False,
    ),
    "numbers": (LARGE + "q[n:N] = 2 + 3*u[n]\n", [("u", 1), ("q", -1)], True),
    "a difference": (LARGE + "q[n:N] = u[n] - 2\n", [("u", 1), ("q", -1)], True),
    "a root beside it": (LARGE + "q[n:N] = 2 + 3*u[n]\n", [("u", 1), ("q", "-3/2")], True),
    "a root alone": (LARGE + "q[n:N] = 2 + 3*u[n]\n", [("u", 1), ("q", "-1/2")], False),
    "twice": (LARGE + "q[n:N] = 2 + 3*u[n]\n", [("u", 2), ("q", -2)], True),
    "no quotient": (LARGE + "q[n:N] = 2 + 3*u[n]\n", [("u", 1), ("q", 1)], False),
    "a product with a name": (
        LARGE + "w[n:N] = u[n]*Z[n]\nq[n:N] = 1 + w[n]\n",
        [("u", 1), ("Z", 1), ("q", -1)],
        True,
    ),
    "a name that is twice the inverse": (
        LARGE + "q[n:N] = 1 + u[n]\nP[n:N] = 2/q[n]\n",
        [("u", 1), ("q", -1)],
        True,
    ),
    "an inverse": (
        "X[N]\nZ[N]\nq[n:N] = 1 + 1/X[n]\nP[n:N] = 1/q[n]\n",
        [("X", -1), ("q", -2)],
        True,
    ),
    "another function": (
        "X[N]\nZ[N]\nu[n:N] = tanh(X[n])\nq[n:N] = 2 + u[n]\n",
        [("u", 1), ("q", -1)],
        False,
    ),
}


def powers(tensors, factors):
    """Factors of tensors, and of the size N, by their names."""
    return [(SizeOf(N) if name == "N" else read(tensors[name], I), e) for name, e in factors]


@pytest.mark.parametrize("name", COMPLEMENTS)
def test_quotients_are_written_as_complements(name):
    text, factors, changes = COMPLEMENTS[name]
    definitions, tensors_, given = defined(text)
    value = made((), (), *powers(tensors_, factors), coef=5)
    found = complements((value,), definitions, Names(definitions))
    assert (found != (value,)) == changes
    assert values(literals(found), (I,), given, {"N": 3, "M": 2}) == pytest.approx(
        values(literal(value), (I,), given, {"N": 3, "M": 2})
    )
    if changes:  # what was divided by is divided by less often
        (part,) = found
        quotient = read(tensors_["q"], I)
        assert dict(part.factors).get(quotient, 0) > dict(value.factors)[quotient]
        assert all(a in dict(value.factors) or isinstance(a, Add) for a, _ in part.factors)


# A program, a value, and its cheapest form in names.
NAMES = {
    "a product": ("P[n:N] = X[n]*Z[n]", [("X", 1), ("Z", 1)], [("P", 1)]),
    "its power": ("P[n:N] = X[n]*Z[n]", [("X", 3), ("Z", 3)], [("P", 3)]),
    "its inverse": ("P[n:N] = X[n]*Z[n]", [("X", -2), ("Z", -1)], [("X", -1), ("P", -1)]),
    "the inverse's name": ("P[n:N] = 1/X[n]", [("X", -2), ("Z", 1)], [("P", 2), ("Z", 1)]),
    "the last of two": (
        "P[n:N] = X[n]*Z[n]\nQ[n:N] = P[n]*V[n]",
        [("X", 1), ("Z", 1), ("V", 1)],
        [("Q", 1)],
    ),
    "the first of two": (
        "P[n:N] = X[n]*Z[n]\nQ[n:N] = X[n]*V[n]",
        [("X", 1), ("Z", 1), ("U", 1)],
        [("P", 1), ("U", 1)],
    ),
    "of two with the same factor": (
        "P[n:N] = V[n]*X[n]\nQ[n:N] = V[n]*Z[n]",
        [("V", 1), ("X", 1)],
        [("P", 1)],
    ),
    "a root": ("P[n:N] = X[n]**0.5*Z[n]", [("X", "1/2"), ("Z", 1)], [("P", 1)]),
    "a root of what is positive": (
        "q[n:N] = 1 + X[n]**2\nA[n:N] = q[n]**(-0.5)",
        [("q", -1)],
        [("A", 2)],
    ),
    "a root of what may be negative": (
        "q[n:N] = 1 + X[n]**3\nA[n:N] = q[n]**(-0.5)",
        [("q", -1)],
        [("q", -1)],
    ),
    "no view": ("P[n:N] = X[n]", [("X", 1), ("Z", 1)], [("X", 1), ("Z", 1)]),
    "no value under a guard": (
        "P[n:N] = [V[n] > 0]*X[n]*Z[n]",
        [("X", 1), ("Z", 1)],
        [("X", 1), ("Z", 1)],
    ),
    "a root of a square": (
        "v[n:N] = X[n]**2\nr[n:N] = (v[n] + exp(X[n]))**0.5\nP[n:N] = exp(X[n])**0.5*Z[n]",
        [("t1", "1/2"), ("Z", 1)],
        [("P", 1)],
    ),
    "a size's root": ("P[n:N] = X[n]*N**(-0.5)", [("X", 1), ("N", "-1/2")], [("P", 1)]),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_put_back(name):
    text, value, expected = NAMES[name]
    definitions, tensors_, _ = defined(f"X[N]\nZ[N]\nV[N]\nU[N]\n{text}\n")
    before, after = (made((), (), *powers(tensors_, part)) for part in (value, expected))
    assert Names(definitions).fold(before) is after


def test_among_many_names_few_forms_are_looked_at():
    letters = "ABCDEFGHKL"
    text = "\n".join(f"{k}{n}[n:N] = X{n}[n]*Z{n}[n]" for n, k in enumerate(letters))
    inputs = "\n".join(f"X{n}[N]\nZ{n}[N]" for n in range(len(letters)))
    definitions, tensors_, _ = defined(f"{inputs}\n{text}\n")
    factors = [read(tensors_[f"{k}{n}"], I) for n in range(len(letters)) for k in "XZ"]
    forms = Names(definitions).forms(made((), (), *factors))
    assert len(forms) <= 1 + 40 * len(letters)  # of 1024
    assert len(forms[0].factors) == len(letters)


def test_coefficients_may_be_larger_than_any_float() -> None:
    big = Fraction(10) ** 400
    value = (made((), (), read(X, I), coef=-big), made((), (), read(X, A), coef=-big))
    assert factored(value, known(lambda tensor: True)) == Mul(
        (number(-big), Add((read(X, I), read(X, A))))
    )


READS_UNDER_MASKS = {
    "a scatter to a place that is read under a mask": (
        "X[N]; U[N]; idx: int[N]; "
        "t[i] = [i + 1 < N]*U[i]; Y[i] = [i + 1 < N]*X[index(idx[i+1])]*sin(U[i])"
    ),
    "the place of a place": (
        "X[N,N]; u[N]; idx: int[N]; "
        "Y[i,j:N] = [2*i+j+2 < N]*X[N-1-j,index(idx[index(idx[2*i+j+2])])]*where(j != 0, 2, u[i])"
    ),
    "in a later statement": (
        "X[N]; idx: int[2]; A[i,j:N] = [0 <= 2*i-j+1 < 2]*cos(X[index(idx[i])]); "
        "B[n,i] = [i < 2]*A[i,n]; "
        "Y[k:N,l:N] = abs(log(1 + ([k < 2]*B[index(idx[k]),k%2])**2))*X[l]"
    ),
}


@pytest.mark.parametrize("name", READS_UNDER_MASKS)
def test_a_mask_stays_where_it_protects_what_another_condition_reads(name: str) -> None:
    """``[2i < N]`` beside ``[idx[2i] = n]`` and a factor that is 0 where the mask fails."""
    backward = reverse(parse(READS_UNDER_MASKS[name]))
    for n in (2, 3, 4):
        _evaluates(backward, {"N": n}, n)


@pytest.mark.parametrize("seed", [23, 49, *range(400, 412)])
def test_no_backward_pass_of_a_random_program_reads_beyond_an_array(seed: int) -> None:
    rng = Random(seed)
    program = Maker(rng, kinks=rng.randrange(2) == 0).program()
    backward = reverse(parse(show_program(program)))
    _evaluates(backward, {"N": 3, "M": 2, "K": 4}, seed)


def _evaluates(backward: Backward, sizes: dict[str, int], seed: int) -> None:
    """The interpreter refuses what is read beyond an array's range."""
    rng = Random(seed)
    inputs = (*backward.program.inputs, *backward.cotangents)
    sample = samples.draw(inputs, backward.program.statements, sizes, rng, FLOAT, "signed")
    if sample is not None:
        program = Program(
            inputs,
            (*backward.forward.statements, *backward.statements),
            backward.gradients,
            tuple(sizes),
        )
        run(program, dict(sample.arrays), sizes=sizes)
