"""Compact forms: equal to what they are forms of, and no factor leaves its guard."""

from __future__ import annotations

from fractions import Fraction
from math import inf, isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.calculus.cost import expression_cost
from pullback.calculus.definitions import Definitions
from pullback.calculus.flatten import flatten
from pullback.calculus.normal import collect, expression, indices_in, poly, term
from pullback.calculus.present import (
    Names,
    complements,
    factored,
    fold_sums,
    nested,
)
from pullback.ir.expr import (
    ZERO,
    Access,
    Add,
    Compare,
    Guard,
    Mul,
    SizeOf,
    Tensor,
    number,
)
from pullback.ir.interpret import Array, evaluate, run
from pullback.ir.program import Program
from pullback.ir.subscripts import Index, at
from pullback.ir.walk import free_indices, nodes, tensors
from pullback.notation.parse import parse

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
    found = factored(value, all_finite if finite else none_finite)
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
    found = factored(value, lambda tensor: tensor is not X)
    for k, sizes in enumerate(SIZES):
        given = arrays(sizes, k)
        given["X"] = Array(given["X"].shape, [*given["X"].flat[:-1], inf])
        for point in points((I, J), sizes):
            parts = [evaluate(literal(t), point, given, sizes) for t in value]
            if all(map(isfinite, parts)):
                ours = evaluate(found, point, given, sizes)
                assert ours == pytest.approx(sum(parts))


def test_a_common_factor_is_taken_out_only_where_it_is_finite():
    some = Compare("<", read(X, I), number(9))
    value = collect(
        [made((), (some,), read(X, I), read(Z, J)), made((), (), read(X, I), read(Y, I, J))]
    )
    out, kept = factored(value, all_finite), factored(value, none_finite)
    assert len([n for n in nodes(out) if isinstance(n, Mul) and read(X, I) in n.factors]) == 1
    assert len([n for n in nodes(kept) if isinstance(n, Mul) and read(X, I) in n.factors]) == 2


FACTORED = {
    "a common factor": (
        [made((), (), read(X, I), read(Z, J)), made((), (), read(X, I), read(Y, I, J), coef=-1)],
        1,
    ),
    "a common guard": (
        [
            made((), (Compare("<", ZERO, read(X, I)),), read(X, I)),
            made((), (Compare("<", ZERO, read(X, I)),), read(Z, J)),
        ],
        0,
    ),
    "a group": (
        [
            made((), (), read(X, I), read(Z, J)),
            made((), (), read(X, I), read(Y, I, J)),
            made((), (), read(W, I, I)),
        ],
        1,
    ),
}


@pytest.mark.parametrize("name", FACTORED)
def test_what_is_shared_is_written_once(name):
    value, reads = FACTORED[name]
    found = factored(collect(value), all_finite)
    assert expression_cost(found) < expression_cost(expression(collect(value))) or not reads
    guards = [n for n in nodes(found) if isinstance(n, Guard)]
    assert len(guards) == (1 if "guard" in name else 0)
    text = str(found)
    assert reads == 0 or text.count(str(read(X, I))) == reads


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
    assert u not in tensors(literal(folded)) and y in tensors(literal(folded))
    given = {
        "X": Array((2,), [0.3, -0.7]),
    }
    sizes = {str(u.shape[0]): 2}
    given |= run(program, {"X": [0.3, -0.7]}, sizes=sizes)
    ours, theirs = (values(literal(t), (i,), given, sizes) for t in (folded, value))
    assert ours == pytest.approx(theirs)


def test_quotients_that_would_overflow_are_written_as_complements():
    """u/(2 + u) is 1 - 2/(2 + u), which is 1 where u is infinite."""
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
    assert expression_cost(factored(value, none_finite)) <= expression_cost(by_hand)
