"""One statement's partial derivatives: their sum against differences, and what they are not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.calculus.differentiate import (
    Context,
    Occurrence,
    adjoint_terms,
    occurrences,
    sifted_terms,
)
from pullback.calculus.kinks import Kinks
from pullback.calculus.normal import UNIT, Term, canonical
from pullback.calculus.roots import Roots
from pullback.errors import DerivationError
from pullback.functions import ROWS
from pullback.ir.arithmetic import SINC_ORDERS
from pullback.ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Apply,
    Compare,
    Expr,
    Guard,
    Inside,
    Mul,
    Not,
    Opaque,
    Power,
    Reduce,
    Select,
    Tensor,
    Zero,
    number,
)
from pullback.ir.interpret import Array, define, evaluate
from pullback.ir.program import Define
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Lookup, Subscript, at

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
)

R = Tensor("R", (N, M))
L = Tensor("L", (M,), "int")
PICKS = (Tensor("arg0", (N, M), "int"), Tensor("arg1", (N, M), "int"))
HALF, STEP = Fraction(1, 2), 1e-5
A1 = Index("a1", N)


def pick(_: Reduce, k: int) -> Access:
    return read(PICKS[k], I, J)


NO_ROOTS = Roots({}, lambda t: t.kind == "float", {})
NO_KINKS = Kinks({}, lambda t: t.kind == "float", {}, NO_ROOTS, ())
ALL = Context(lambda t: t.kind == "float", pick, {}, NO_KINKS, NO_ROOTS)
QUICK = settings(max_examples=30, deadline=None)


def to(base: Expr, exponent: int | str) -> Expr:
    return Power(base, Fraction(exponent))


def over(body: Expr, *indices: Index) -> Expr:
    return Reduce("sum", indices, (), body)


def fn(name: str, *args: Expr) -> Expr:
    return Apply(name, args)


x, y, z = read(X, I), read(Y, I, J), read(Z, J)
xa, wa = read(X, A), read(W, I, A)
ALIKE = Zero(at(Lookup(read(L, J))) - at(A))
BODIES = {
    "a product": Mul((x, x, z, number(3))),
    "a sum": Add((x, Mul((number(-2), y)), number(5))),
    "a quotient": Mul((x, to(z, -1))),
    "a root": to(Add((Mul((x, x)), ONE)), "1/2"),
    "a norm": to(over(Mul((wa, wa)), A), "1/2"),
    "sums of one letter": Mul((over(Mul((xa, wa)), A), fn("exp", over(Mul((xa, wa)), A)))),
    "sums of sums": over(Mul((xa, fn("tanh", over(Mul((wa, read(W, A, C))), C)))), A),
    "a letter under another sum": Mul((over(xa, A), Add((over(read(W, A, I), A), ONE)))),
    "the next letter under another sum": Mul(
        (over(xa, A), Add((over(Mul((read(W, A, A1), xa)), A, A1), ONE)))
    ),
    "a square of a sum": to(Add((over(wa, A), x)), 2),
    "a function of a function": fn("sin", fn("tanh", Mul((x, z)))),
    "a function twice": fn("arctan2", Mul((x, x)), Add((z, number(3)))),
    "flat steps": Mul((fn("floor", Mul((x, x))), x, fn("sign", z), fn("copysign", x, z))),
    "a condition": Mul((Guard(Compare("<", x, z)), x, z)),
    "a choice": Select(Compare("<", x, z), Mul((x, x)), Mul((z, x))),
    "a product over an index": Reduce("prod", (A,), (), wa),
    "a product over two": Reduce("prod", (A, B), (), Add((read(Y, A, B), x))),
    "a product of the others": Reduce("prod", (A,), (Not(Zero(at(A) - at(I))),), xa),
    "a product of sums": Reduce("prod", (A,), (), over(read(W, A, A1), A1)),
    "a product in a sum": over(Mul((xa, Reduce("prod", (A,), (), Add((wa, number(2)))))), A),
    "a product over no points": Reduce("prod", (A,), (Zero(at(A) + 1),), xa),
    "an element by its label": over(Mul((Guard(ALIKE), xa, z)), A),
}


def differences(statement: Define, given: dict[str, Array], along: Any, sizes: Any) -> list[float]:
    def at_step(step: float) -> list[float]:
        moved = dict(given)
        for name, array in along.items():
            pairs = zip(given[name].flat, array.flat, strict=True)
            moved[name] = Array(array.shape, [v + step * d for v, d in pairs])
        return define(statement, moved, sizes).flat

    pairs = zip(at_step(STEP), at_step(-STEP), strict=True)
    return [(up - down) / (2 * STEP) for up, down in pairs]


def derivative(statement: Define, context: Context = ALL) -> Expr:
    """The sum of all partials times the tangents of what is read."""

    def times_tangent(found: Occurrence) -> Expr:
        tensor = found.access.tensor
        tangent = Access(tangent_of(tensor), found.access.subs)
        part = found.partial
        factors = (*part.factors, (tangent, Fraction(1)))
        return literal(Term(part.coef, part.bound, part.guards, factors))

    return Add(tuple(map(times_tangent, occurrences(statement, context))))


def tangent_of(tensor: Tensor) -> Tensor:
    return Tensor(f"t_{tensor.name}", tensor.shape)


def assert_derivative(body: Expr, indices: tuple[Index, ...] = (I, J), seed: int = 0) -> None:
    statement = Define(R, indices, body)
    for k, sizes in enumerate(SIZES):
        given = arrays(sizes, seed + k)
        along = arrays(sizes, seed + 50 + k)
        given["L"] = Array((sizes["M"],), [j % sizes["N"] for j in range(sizes["M"])])
        given["R"] = define(statement, given, sizes)
        tangents = {f"t_{name}": array for name, array in along.items()}
        if isinstance(body, Reduce) and body.op in ("max", "min"):
            given |= picked(body, given, sizes)
        expected = differences(statement, given, along, sizes)
        total = derivative(statement)
        found = [evaluate(total, p, given | tangents, sizes) for p in points(indices, sizes)]
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def picked(body: Reduce, given: dict[str, Array], sizes: dict[str, int]) -> dict[str, Array]:
    """Where an extremum is taken, for each of its indices."""
    best = max if body.op == "max" else min
    out = {t.name: Array((sizes["N"], sizes["M"]), []) for t in PICKS}
    for point in points((I, J), sizes):
        places = points(body.indices, sizes)
        place = best(places, key=lambda p: evaluate(body.body, point | p, given, sizes))
        for tensor, index in zip(PICKS, body.indices, strict=False):
            out[tensor.name].flat.append(place[index])
    return out


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", BODIES)
def test_partials_agree_with_differences(name: str, seed: int) -> None:
    assert_derivative(BODIES[name], seed=100 * seed)


@pytest.mark.parametrize("op", ("max", "min"))
def test_an_extremum_passes_to_what_it_picks(op: str) -> None:
    assert_derivative(Reduce(op, (A,), (), Mul((wa, z))))
    assert_derivative(Reduce(op, (A, B), (), Add((Mul((read(Y, A, B), x)), read(Z, B)))))


LAST = f"sinc{SINC_ORDERS}"  # has a derivative that is refused


@pytest.mark.parametrize(
    "row", [r for r in ROWS if any(r.partials) and r.name != LAST], ids=lambda r: r.name
)
def test_functions_of_products(row: Any) -> None:
    """Each argument in its domain, and both of x and z; those without a derivative are numbers."""
    middle = [Fraction(lo + hi) / 2 for lo, hi in row.domain]
    small = [Fraction(hi - lo) / 20 for lo, hi in row.domain]
    args: list[Expr] = [
        Add((number(m), Mul((number(s), v))))
        for m, s, v in zip(middle, small, (Mul((x, z)), Add((x, z)), z), strict=False)
    ]
    for k in range(row.parameters):  # an order, by which there is no derivative
        args[k] = number(Fraction(round(middle[k])))
    assert_derivative(Apply(row.name, tuple(args)))


@pytest.mark.parametrize(
    "body",
    [
        Reduce("prod", (A,), (), read(W, A, A1)),
        Mul((over(xa, A), Add((over(read(W, A, A1), A), ONE)))),
    ],
)
def test_a_new_letter_is_not_one_of_the_statements(body: Expr) -> None:
    assert_derivative(body, (A1, J))


@QUICK
@given(st.lists(terms(), min_size=1, max_size=2), st.sampled_from(("", "tanh", "sum")))
def test_partials_of_random_terms(parts: list[Term], outer: str) -> None:
    body: Expr = literals(tuple(parts))
    if outer == "sum":
        body = Mul((over(xa, A), Add((body, ONE))))
    assert_derivative(fn("tanh", body) if outer == "tanh" else body)


def partials(body: Expr, context: Context = ALL) -> dict[Expr, Term]:
    return {o.access: o.partial for o in occurrences(Define(R, (I, J), body), context)}


def test_what_is_not_differentiated_is_a_constant() -> None:
    def none(*_: object) -> Access:
        raise AssertionError("nobody needs the place")

    only_x = replace(ALL, active=lambda t: t is X, arg=none)
    found = partials(Mul((x, z, Reduce("max", (A,), (), read(Y, A, J)))), only_x)
    assert set(found) == {x}
    assert partials(fn("arctan2", z, x), only_x).keys() == {x}
    assert partials(fn("floor", x)) == {}


def test_nothing_comes_from_a_product_over_no_points() -> None:
    assert partials(Reduce("prod", (A,), (Zero(at(A) + 1),), xa)) == {}


def test_an_operation_inside_an_expression_is_refused() -> None:
    body = Mul((Opaque("cholesky", (W,), (at(I), at(I))), x))
    with pytest.raises(DerivationError, match="cholesky is not differentiated"):
        occurrences(Define(R, (I, J), body), ALL)


K = Index("k", size(5))
LABEL = at(Lookup(read(L, J)))
LABELS = [
    (Zero(LABEL - at(A)), [Inside(LABEL, N)]),
    (Zero(at(A) - LABEL), [Inside(LABEL, N)]),
    (Zero(LABEL * 2 - at(A)), []),
    (Zero(LABEL - at(A) - 1), []),
    (Zero(at(K) - at(A)), []),
]


@pytest.mark.parametrize(("cond", "more"), LABELS, ids=str)
def test_a_label_is_a_place_of_its_axis(cond: Zero, more: list[Inside]) -> None:
    partial = partials(over(Mul((Guard(cond), xa)), A, K))[xa]
    assert set(partial.guards) == {*made((), (cond, *more)).guards}


SQUARE = over(to(wa, 2), A)
ROOT = to(SQUARE, "1/2")
POSITIVE = Compare("<", ZERO, x)


def dividing(by: Tensor) -> Context:
    """What to know where something is divided by a tensor."""
    roots = Roots({}, ALL.active, {})
    roots.divisors = {by}
    return replace(ALL, roots=roots)


def nonzero(value: Expr) -> set[Any]:
    return set(made((), (Compare("!=", value, ZERO),)).guards)


def test_where_a_norm_is_0_it_passes_nothing() -> None:
    own = read(R, I, J)
    assert set(partials(ROOT)[wa].guards) == nonzero(own)
    assert set(partials(Mul((Guard(POSITIVE), ROOT)))[wa].guards) == {
        POSITIVE,
        *nonzero(own),
    }
    for body in (
        Mul((number(2), ROOT)),
        Mul((z, ROOT)),
        Add((ROOT, z)),
        over(Mul((Guard(Zero(at(B) - at(J))), ROOT)), B),
    ):
        assert nonzero(SQUARE) <= set(partials(body)[wa].guards)


def test_other_powers_and_sums_have_no_such_condition() -> None:
    infinite = Roots({}, ALL.active, {"norm": "infinite"})
    for context, body in (
        (ALL, to(SQUARE, "3/2")),
        (ALL, to(SQUARE, "1/3")),
        (ALL, to(over(Mul((to(wa, 2), z)), A), "1/2")),
        (replace(ALL, roots=infinite), ROOT),
        (dividing(R), ROOT),
    ):
        assert partials(body, context)[wa].guards == ()
    assert partials(Mul((number(2), ROOT)), dividing(R))[wa].guards


# Adjoints.

ROW, COLUMN = Index("W.0", N), Index("W.1", N)
SPOTS = st.sampled_from((at(I), at(A), at(C), at(I) - 1, at(A) + 1))


@QUICK
@given(st.lists(terms(), min_size=1, max_size=2), terms(), st.tuples(SPOTS, SPOTS))
def test_adjoints_are_sums_over_where_the_place_is_read(
    seed: list[Term], partial: Term, subs: tuple[Subscript, ...]
) -> None:
    axes, own = (ROW, COLUMN), (I, J)
    bound = {i for sub in subs for i, _ in sub.terms} - {I}
    opened = replace_bound(partial, (*partial.bound, *(bound - {*partial.bound})))
    found = Occurrence(Access(W, subs), opened)
    equal = [Guard(Zero(at(axis) - sub)) for axis, sub in zip(axes, subs, strict=True)]
    under = Mul((literal(replace_bound(opened, ())), *equal))
    inner = over(under, *opened.bound) if opened.bound else under
    expected = over(Mul((literals(tuple(seed)), inner)), *own)
    sizes = {"N": 2, "M": 2}
    given = arrays(sizes, 3)
    for make in (adjoint_terms, sifted_terms):
        assert_equal(
            literals(tuple(make(tuple(seed), found, axes, own))), expected, axes, given, sizes
        )


def replace_bound(value: Term, bound: tuple[Index, ...]) -> Term:
    return Term(value.coef, bound, value.guards, value.factors)


@pytest.mark.parametrize("make", (adjoint_terms, sifted_terms))
@pytest.mark.parametrize("letter", ("a", "i", "W.0"))
def test_a_seed_keeps_its_letters_to_itself(make: Any, letter: str) -> None:
    found = Occurrence(read(W, C, A), Term(Fraction(1), (A, C), (), ((xa, Fraction(1)),)))

    def adjoint(name: str) -> Term:
        own = Index(name, N)
        seed = made((own,), (), read(X, own), z)
        (only,) = make((seed,), found, (ROW, COLUMN), (I, J))
        return canonical(only)

    assert adjoint(letter) is adjoint("s")


def test_plain_places_are_sifted() -> None:
    def sifted(*subs: Subscript) -> Term:
        found = Occurrence(Access(W, subs), UNIT)
        (only,) = sifted_terms((made((), (), y),), found, (ROW, COLUMN), (I, J))
        return only

    assert sifted(at(I), at(I)) is made((J,), (Zero(at(COLUMN) - at(ROW)),), read(Y, ROW, J))
    assert sifted(at(I), at(J)).bound == (J,)  # J's range is another one
    assert sifted(at(I) - 1, at(I)) is made(
        (J,), (Zero(at(ROW) - at(COLUMN) + 1),), read(Y, COLUMN, J)
    )
