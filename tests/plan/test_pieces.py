"""Parts of an array that are made one by one: which share places, fill it in a row, or are empty,
against the places themselves."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations, product
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.calculus.cost import volume
from pullback.ir.expr import (
    Access,
    Compare,
    Expr,
    Guard,
    Inside,
    Mul,
    Not,
    Power,
    Tensor,
    add,
    mul,
    neg,
    number,
)
from pullback.ir.program import Define
from pullback.ir.sizes import Size, size
from pullback.ir.subscripts import Index, Subscript, at, constant
from pullback.plan.facts import Facts
from pullback.plan.pieces import (
    Piece,
    Term,
    _range,
    cheaper_inside,
    empty,
    in_a_row,
    is_diagonal,
    overlap,
    reused,
    summed,
    whole_and_part,
)

N = size("N")
A, B = Index("i", N), Index("j", N)
SIZES = (1, 2, 3, 5)


def piece(rng: Random, name: str) -> Piece:
    """A piece of a matrix: a range, or one place, along each axis, or a diagonal."""
    subs: list[Subscript] = []
    for axis in range(2):
        index = Index(f"{name}{axis}", rng.choice((size(1), size(2), size(3), N)))
        step, first = rng.choice((1, 1, 1, 2)), rng.choice((0, 0, 1, 2, 3))
        kinds = [constant(first), at(index) * step + constant(first), at(index) + constant(N)]
        subs.append(rng.choice(kinds))
    if rng.random() < 0.1:
        index = Index(name, N)
        subs = [at(index), at(index) + constant(rng.choice((0, 1)))]
    return Piece(tuple(subs), number(1))


def places(part: Piece, n: int) -> Iterator[tuple[int, ...]]:
    """Where a piece is put, at a size N."""
    indices = list(dict.fromkeys(a for sub in part.subs for a, _ in sub.terms))
    for point in product(*(range(i.extent.value({"N": n})) for i in indices)):  # type: ignore[union-attr]
        there = dict(zip(indices, point, strict=True))
        yield tuple(
            sub.const.value({"N": n}) + sum(k.value({"N": n}) * there[a] for a, k in sub.terms)
            for sub in part.subs
        )


def test_pieces_that_are_said_not_to_overlap_share_no_place() -> None:
    rng = Random("overlap")
    apart = 0
    for _ in range(1500):
        parts = [piece(rng, name) for name in "ab"]
        if overlap(parts):
            continue
        apart += 1
        for n in SIZES:
            here, there = (set(places(part, n)) for part in parts)
            assert here.isdisjoint(there), parts
    assert apart > 300


def test_ranges_that_are_seen_to_be_apart() -> None:
    i, j = Index("i", size(3)), Index("j", N)
    for one, two, told in (
        (at(i), constant(3), False),
        (at(i), constant(2), True),
        (at(i) + constant(1), constant(0), False),
        (at(i), at(j) + constant(3), False),
        (at(j), constant(N), False),
        (at(j), constant(N - 1), True),
        (at(j) + constant(N), at(Index("k", N)), False),
        (at(i) * 2, at(Index("k", size(2))) * 2 + constant(1), False),
        (at(i) * 2, at(Index("k", size(2))) * 2 + constant(4), True),
        (at(i) * 2, at(Index("k", size(2))) * 2 + constant(5), False),
        (at(j) * 3, at(Index("k", N)) * 3 + constant(1), False),
        (at(j) * 2, at(Index("k", N)) * 3 + constant(1), True),
    ):
        for pair in ((one, two), (two, one)):
            parts = [Piece((constant(0), sub), number(1)) for sub in pair]
            assert overlap(parts) is told, pair


def test_pieces_in_a_row_fill_an_array_in_order() -> None:
    rng = Random("row")
    found = 0
    for _ in range(400):
        extents = [rng.choice((size(1), size(2), N)) for _ in range(rng.randint(1, 3))]
        rows, axis, here = Index("r", size(2)), rng.randrange(2), size(0)
        parts: list[Piece] = []
        for k, extent in enumerate(extents):
            step = 1 if rng.random() < 0.9 else 2
            along = at(Index(f"i{k}", extent)) * step + constant(here)
            across = at(rows) if rng.random() < 0.9 else constant(1)
            parts.append(Piece((along, across) if axis == 0 else (across, along), number(1)))
            here = here + extent if rng.random() < 0.9 else here + 1
        rng.shuffle(parts)
        ends: Size = here if rng.random() < 0.9 else here + 1
        own = Index("k", ends)
        indices = (own, rows) if axis == 0 else (rows, own)
        define = Define(Tensor("Y", tuple(i.extent for i in indices)), indices, number(0))
        row = in_a_row(parts, define)
        if row is None:
            continue
        found += 1
        assert row[0] == axis and sorted(map(id, row[1])) == sorted(map(id, parts))
        for n in SIZES:
            shape = tuple(i.extent.value({"N": n}) for i in indices)
            starts = [min(p[axis] for p in places(part, n)) for part in row[1]]
            assert starts == sorted(starts)
            assert sorted(p for part in parts for p in places(part, n)) == sorted(np.ndindex(shape))
    assert found > 60
    i = Index("i", N)
    whole = Define(Tensor("Y", (N,)), (i,), number(0))
    assert in_a_row([Piece((at(i),), number(1))], whole) is None


def test_where_a_place_is_inside() -> None:
    """The indices at which ``factor*i + start`` is inside are a range, where that can be told."""
    rng = Random("inside")
    told = 0
    for _ in range(2000):
        factor, start = rng.choice((-1, 1, 1, 2, 3, -2, 0)), rng.randrange(-4, 5)
        extent, count = (rng.choice((N, N - 1, N + 2, size(4), 2 * N)) for _ in "ab")
        begin = size(start) + rng.choice((0, 0, 1)) * N
        facts = Facts()
        facts.reached[N - 1] = None  # N is at least 1
        found = _range(size(factor), begin, extent, count, facts)
        if found is None:
            continue
        told += 1
        for n in SIZES:
            low, high, last, ends, first = (
                s.value({"N": n}) for s in (*found, count, extent, begin)
            )
            inside = [i for i in range(last) if 0 <= factor * i + first < ends]
            assert inside == list(range(low, high)), (factor, begin, extent, count, n)
            assert not inside or 0 <= low <= high <= last
    assert told > 200
    assert _range(N, size(0), N, N, Facts()) is None


def test_empty_and_equal_and_diagonal_pieces() -> None:
    i, x = Index("i", N), Tensor("x", (N,))
    one, two = (Piece((at(i),), Access(x, (at(i),))) for _ in "ab")
    (both,) = summed([one, two])
    assert both.subs == one.subs and both.body is not one.body
    other = Piece((at(i) + constant(1),), number(1))
    assert [p.subs for p in summed([one, other])] == [one.subs, other.subs]
    nothing = Piece((at(Index("i", size(0))),), number(1))
    assert empty(nothing) and not empty(one)
    for n, subs in product(SIZES, combinations((at(i), at(i) + constant(1), constant(0)), 2)):
        part = Piece(subs, number(1))
        box = [len({p[k] for p in places(part, n)}) for k in (0, 1)]
        assert is_diagonal(part) is (all(sub.terms for sub in subs))
        assert n == 1 or is_diagonal(part) is (len(set(places(part, n))) < box[0] * box[1])


BOTH = """
u[N,M]
x[i:N-1, j:M-1] = u[i+1,j] - u[i,j]
y[i:N-1, j:M-1] = u[i,j+1] - u[i,j]
L[] = sum(i:N-1, j:M-1) sqrt(x[i,j]**2 + y[i,j]**2 + 1/9)
"""


HEAT = """
u[N]
a[i] = where(1 <= i < N-1, u[i] + 1/5*(pad(u,0)[i-1] - 2*u[i] + pad(u,0)[i+1]), u[i])
L[] = sum(i) a[i]**3
"""
SLOPES = "u[N]; v[N]; L[] = sum(i:N-1) sqrt((u[i+1] - u[i])**2 + (v[i+1]*u[i] - v[i])**2 + 1/9)"


def test_products_of_other_pieces_are_not_made_again() -> None:
    back = pullback.derive(BOTH).source().partition("def backward")[2]
    assert back.count("shared * ") == 2


def read(name: str, index: Index) -> Expr:
    return Access(Tensor(name, (N,)), (at(index),))


def product_at(index: Index, *names: str) -> Expr:
    return mul(*(read(name, index) for name in names))


def sum_at(index: Index, *names: str) -> Expr:
    return Mul((read("s", index), add(*(read(name, index) for name in names))))


@pytest.mark.parametrize(
    ("value", "made"),
    [
        (sum_at(B, "x", "y"), add(product_at(B, "s", "x"), product_at(B, "y", "s"))),
        (neg(sum_at(B, "x", "y")), neg(add(product_at(B, "s", "x"), product_at(B, "y", "s")))),
        (sum_at(B, "x", "z"), None),
        (sum_at(B, "x", "y", "z"), None),
        (mul(read("s", B), *sum_at(B, "x", "y").factors), None),
        (mul(Guard(Compare("<", read("s", B), number(0))), *sum_at(B, "x", "y").factors), None),
    ],
)
def test_products_that_other_pieces_are_make_a_product_with_a_sum(
    value: Expr, made: Expr | None
) -> None:
    others = [
        Piece((at(A),), product_at(A, "s", "x")),
        Piece((at(A) + constant(1),), neg(product_at(A, "y", "s"))),
    ]
    parts = [Piece((at(B) + constant(2),), value), *others]
    found = reused(parts)
    assert found[1:] == others
    assert found[0].body is (value if made is None else made)


@pytest.mark.parametrize("text", [BOTH, SLOPES, HEAT])
def test_gradients_of_pieces_are_those_of_the_chain_rule(text: str) -> None:
    derivation = pullback.derive(text)
    forward, backward = derivation.compile()
    rng = np.random.default_rng(4)
    arrays = [rng.normal(size=(5,) * len(t.shape)) for t in derivation.backward.program.inputs]
    _, cache = forward(*arrays)
    found = backward(1.0, cache)
    for k, gradient in enumerate(found if isinstance(found, tuple) else (found,)):
        direction = rng.normal(size=arrays[k].shape)

        def value(step: float, k: int = k, direction: Any = direction) -> float:
            moved = [a + step * direction if n == k else a for n, a in enumerate(arrays)]
            return float(forward(*moved)[0])

        slope = (8 * (value(1e-4) - value(-1e-4)) - (value(2e-4) - value(-2e-4))) / 12e-4
        assert abs(slope - float(np.sum(gradient * direction))) < 1e-7


X, Y, Z, C = read("x", A), read("y", A), read("z", A), Access(Tensor("c", ()), ())
LOW = Inside(at(A) - 1, N)
E5, E3 = (number(5), X), (number(3), X)


@pytest.mark.parametrize(
    ("where_not", "where", "expected"),
    [
        (E5, E3, [((), E5), ((LOW,), (number(-2), X))]),
        ((X,), (number(2), X), [((), (X,)), ((LOW,), (number(1), X))]),
        ((X, Y), (number(-1), X, Y), [((), (X, Y)), ((LOW,), (number(-2), X, Y))]),
        (E5, (number(3), Y), None),  # other values
        ((number(1000), X), E3, None),  # a difference that loses
        ((number("0.5"), X), E3, None),
        (E5, E5, None),
        ((number(5), Power(X, Fraction(-1))), (number(3), Power(X, Fraction(-1))), None),
    ],
)
def test_a_part_that_differs_by_a_number_is_added_to_the_whole(
    where_not: tuple[Expr, ...], where: tuple[Expr, ...], expected: Any
) -> None:
    terms = [Term((Not(LOW),), where_not), Term((LOW,), where)]
    wanted = terms if expected is None else [Term(conds, factors) for conds, factors in expected]
    assert whole_and_part(terms, Facts()) == wanted


@pytest.mark.parametrize(
    ("outer", "values", "inside"),
    [
        (["0.2"], [(5, X), (-2, X), (1, Y), (1, Y)], True),
        (["0.2"], [(5, X), (3, X), (1, Y), (1, X)], False),
        (["0.5"], [(2, X), (2, Y)], True),
        (["0.5"], [(1, X), (-1, X), (1, Y)], False),
        (["0.5"], [(2, X), (-2, X), (1, Y)], True),  # one product but for a sign
        ([C], [(2, X), (3, Y)], True),  # numbers meet a number
        ([C], [(1, X), (1, Y), (1, Z)], False),
        ([C], [(1, X), (1, Y), (-1, X)], False),
        ([Y], [(2, X), (2, Y), (3, Z)], False),
    ],
)
def test_factors_in_front_are_multiplied_inside_where_that_spares_a_pass(
    outer: list[str | Expr], values: list[tuple[int, Expr]], inside: bool
) -> None:
    factors = [number(f) if isinstance(f, str) else f for f in outer]
    own = [[v] if c == 1 else [number(c), v] for c, v in values]
    made, within = [mul(*v) for v in own], [mul(*factors, *v) for v in own]
    assert cheaper_inside(factors, made, within, volume([A])) is inside


def test_nothing_is_chosen_for_an_array_of_which_a_part_is_scaled() -> None:
    back = pullback.derive(HEAT).source().partition("def backward")[2]
    assert "where" not in back and "mask" not in back and "arange" not in back
