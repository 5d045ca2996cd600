"""Names put in the place of what they are defined by: the value stays, wherever they are put."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.calculus.match import Pattern, find, places
from pullback.calculus.normal import Term, term, times
from pullback.ir.expr import ZERO, Apply, Compare, IndexOf, Inside, Tensor
from pullback.ir.interpret import Array
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at, constant

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
    literal,
    made,
    read,
    terms,
    values,
)

QUICK = settings(max_examples=80, deadline=None)
T = Tensor("T", (N, M))
Q = Tensor("Q", (N * 9,))
MOST = Index("h", N - 1)
S = Tensor("S", (N,))
U, V = Index("u", N), Index("v", M)


def assert_kept(pattern: Pattern, within: Term, found: Term, seed: int = 0) -> None:
    """The term with the name has the value that it had, the name being what defines it."""
    for k, sizes in enumerate(SIZES):
        given = arrays(sizes, seed + k)
        shape = tuple(n.value(sizes) for n in pattern.target.shape)
        defined = values(literal(pattern.body), pattern.axes, given, sizes)
        given[pattern.target.name] = Array(shape, defined)
        free = [I, J, U, V]
        expected = values(literal(within), free, given, sizes)
        assert values(literal(found), free, given, sizes) == pytest.approx(expected)


@QUICK
@given(terms(), terms(guarded=False), st.sampled_from((1, 1, 2, -1)), st.booleans())
def test_a_name_stands_for_its_definition(body, rest, exponent, turned):
    axes = (I, J)
    pattern = Pattern(T, axes, body)
    inner = body
    if not body.bound:
        powers = [(a, e * exponent) for a, e in body.factors]
        inner = term(body.coef**exponent, (), body.guards, powers)
    if turned and I not in rest.bound:
        rest = times(rest, made((), (), (read(X, I), 2)))
    within = times(inner, rest) if inner else None
    if within is None:
        return
    power = Fraction(1 if body.bound else exponent)
    for found, name in places(pattern, within, power):
        assert name.tensor is T
        assert_kept(pattern, within, found)


LESS = Compare("<", ZERO, read(X, U))
FOUND = {
    "a product": (
        Pattern(T, (U, V), made((), (), read(X, U), read(Z, V))),
        made((), (), read(X, I), read(Z, J), read(Y, I, J)),
    ),
    "at summed indices": (
        Pattern(T, (U, V), made((), (), read(X, U), read(Z, V))),
        made((A, B), (), read(X, A), read(Z, B), read(Y, A, B)),
    ),
    "a part of a power": (
        Pattern(T, (U, V), made((), (), read(X, U), read(Z, V))),
        made((), (), (read(X, I), 3), read(Z, J)),
    ),
    "with a coefficient": (
        Pattern(T, (U, V), made((), (), read(X, U), (read(Z, V), -1), coef=2)),
        made((), (), read(X, I), (read(Z, J), -1), coef=3),
    ),
    "a sum": (
        Pattern(S, (U,), made((A,), (), read(W, U, A), read(X, A))),
        made((C,), (), read(W, I, C), read(X, C), read(Z, J)),
    ),
    "a sum under a sum": (
        Pattern(S, (U,), made((A,), (), read(W, U, A), read(X, A))),
        made((A, C), (), read(W, A, C), read(X, C), read(X, A)),
    ),
    "a guarded sum": (
        Pattern(S, (U,), made((A,), (Inside(at(A) - at(U), size(1)),), read(W, U, A))),
        made((C,), (Inside(at(C) - at(I), size(1)),), read(W, I, C)),
    ),
    "a function": (
        Pattern(S, (U,), made((), (), Apply("exp", (read(X, U),)), (read(X, U), 2))),
        made((), (), Apply("exp", (read(X, I),)), (read(X, I), 2), read(Z, J)),
    ),
    "a shifted read": (
        Pattern(T, (U, V), made((), (), read(X, U), read(Z, V))),
        made((), (), read(X, constant(N - 1) - at(I)), read(Z, J)),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_definition_is_found(name):
    pattern, within = FOUND[name]
    found = list(find(pattern, within))
    assert found
    for other in found:
        assert any(a.tensor is pattern.target for a, _ in other.factors if hasattr(a, "tensor"))
        assert len(other.factors) <= len(within.factors)
        assert_kept(pattern, within, other)


def test_a_power_of_a_definition_is_found():
    pattern = Pattern(T, (U, V), made((), (), read(X, U), (read(Z, V), -1), coef=2))
    within = made((), (), (read(X, I), 2), (read(Z, J), -2))
    (found,) = find(pattern, within, Fraction(2))
    assert found.factors == ((read(T, I, J), Fraction(2)),) and found.coef == Fraction(1, 4)
    within = made((), (), (read(X, I), -1), read(Z, J))
    (found,) = find(pattern, within, Fraction(-1))
    assert found.factors == ((read(T, I, J), Fraction(-1)),) and found.coef == 2


SQUARE = Pattern(T, (U, V), made((), (), read(X, U), read(Z, V)))
SUM = Pattern(S, (U,), made((A,), (), read(W, U, A), read(X, A)))
LOST = {
    "another function": (
        Pattern(S, (U,), made((), (), Apply("exp", (read(X, U),)), read(X, U))),
        made((), (), (Apply("tanh", (read(X, I),)), 1), read(X, I)),
    ),
    "a longer range": (
        Pattern(Tensor("R", (N - 1,)), (MOST,), made((), (), (read(X, MOST), 2))),
        made((), (), (read(X, I), 2)),
    ),
    "a sum over a shorter range": (
        SUM,
        made((MOST,), (), read(W, I, MOST), read(X, MOST)),
    ),
    "a summed index that no factor has": (
        Pattern(S, (U,), made((A,), (Inside(at(U) - at(A), size(2)),), (read(X, U), 2))),
        made((C,), (Inside(at(I) - at(C), size(2)),), (read(X, I), 2)),
    ),
    "a free index": (SUM, made((), (), read(W, I, U), read(X, U))),
    "other factors": (
        Pattern(T, (U, V), made((), (), read(Q, at(U) * 4 + at(V)))),
        made((), (), read(Q, at(I) * 2 + at(J) * 3)),
    ),
    "a quotient for an index": (
        Pattern(T, (U, V), made((), (), read(Q, at(U) * 4 + at(V)))),
        made((), (), read(Q, (at(I) // 2) * 4 + at(J))),
    ),
    "an index for a quotient": (
        Pattern(T, (U, V), made((), (), read(Q, (at(U) // 2) * 4 + at(V)))),
        made((), (), read(Q, at(I) * 4 + at(J))),
    ),
    "a sum of indices": (
        Pattern(T, (U, V), made((), (), read(Q, at(U) + at(V)))),
        made((), (), read(Q, at(I) + at(J))),
    ),
    "a factor is missing": (SQUARE, made((), (), read(X, I), read(Y, I, J))),
    "the power is of the other sign": (SQUARE, made((), (), (read(X, I), -2), read(Z, J))),
    "another factor needs the index": (
        SUM,
        made((C,), (), read(W, I, C), read(X, C), read(Y, C, J)),
    ),
    "a guard needs the index": (
        SUM,
        made((C,), (Compare("<", ZERO, read(X, C)),), read(W, I, C), read(X, C)),
    ),
    "the index isn't summed": (SUM, made((), (), read(W, I, I), read(X, I))),
    "the index is one, not two": (
        Pattern(S, (U,), made((A, C), (), read(W, U, A), read(W, U, C))),
        made((A,), (), (read(W, I, A), 2)),
    ),
    "a guard is missing": (
        Pattern(S, (U,), made((A,), (Inside(at(A) - at(U), size(1)),), read(W, U, A))),
        made((C,), (), read(W, I, C)),
    ),
    "the sides are turned": (SUM, made((C,), (), read(W, C, I), read(X, C))),
    "an axis of the name isn't fixed": (
        Pattern(T, (U, V), made((), (), read(X, U))),
        made((), (), read(X, I)),
    ),
    "a root of a negative coefficient": (
        Pattern(S, (U,), made((), (), read(X, U), coef=-1)),
        made((), (), (read(X, I), "1/2")),
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_what_is_no_instance_is_not_replaced(name):
    pattern, within = LOST[name]
    exponent = Fraction(1, 2) if "root" in name else Fraction(1)
    assert list(find(pattern, within, exponent)) == []


def test_a_sum_of_squares_is_no_square_of_a_sum():
    squares = made((C,), (), (read(W, I, C), 2), (read(X, C), 2))
    assert list(find(SUM, squares, Fraction(2))) == []


def test_guards_of_other_indices_stay():
    within = made((C,), (Compare("<", ZERO, read(X, I)),), read(W, I, C), read(X, C))
    (found,) = find(SUM, within)
    assert found.guards == within.guards and found.bound == ()


def test_an_axis_of_one_is_read_at_0():
    one = Index("o", size(1))
    pattern = Pattern(Tensor("P", (N, size(1))), (U, one), made((), (), (read(X, U), 2)))
    (found,) = find(pattern, made((), (), (read(X, I), 2)))
    assert found.factors == ((read(pattern.target, I, 0), Fraction(1)),)


COMPUTED = {
    "beside a plain read": (
        (read(Q, at(U) + at(V)), read(Y, U, V)),
        (read(Q, at(I) + at(J)), read(Y, I, J)),
    ),
    "by its factors": ((read(Q, at(U) * 4 + at(V)),), (read(Q, at(I) * 4 + at(J)),)),
    "with a quotient": (
        (read(Q, at(U) // 2 + at(V) * 4), read(Y, U, V)),
        (read(Q, at(I) // 2 + at(J) * 4), read(Y, I, J)),
    ),
    "a read that a guard keeps inside": (
        (read(X, U), read(Z, V)),
        (read(X, at(I) + 1), read(Z, J)),
    ),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_read_at_a_computed_place_is_found(name):
    body, within = COMPUTED[name]
    guards = (Inside(at(I) + 1, N),) if "guard" in name else ()
    pattern = Pattern(T, (U, V), made((), (), *body))
    ((found, read_at),) = places(pattern, made((), guards, *within))
    first = at(I) + 1 if "guard" in name else I
    assert read_at is read(T, first, J) and found.factors == ((read_at, Fraction(1)),)


def test_a_position_is_found_beside_a_read():
    pattern = Pattern(S, (U,), made((), (), read(X, U), (IndexOf(at(U)), 1)))
    (found,) = find(pattern, made((), (), read(X, I), (IndexOf(at(I)), 1), read(Z, J)))
    assert found.factors == made((), (), read(S, I), read(Z, J)).factors


def test_a_range_of_its_own_is_found():
    rest = Index("g", N - 1)
    pattern = Pattern(Tensor("R", (N - 1,)), (MOST,), made((), (), (read(X, MOST), 2)))
    (found,) = find(pattern, made((rest,), (), (read(X, rest), 2), read(Z, J)))
    assert found.factors == made((), (), read(pattern.target, rest), read(Z, J)).factors
