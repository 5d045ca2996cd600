"""Subscripts: what is proved or simplified symbolically holds at every point of the indices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.errors import CheckError, ShapeError
from pullback.ir.expr import Access, Tensor
from pullback.ir.interpret import Array, place, value_of
from pullback.ir.sizes import Size, size
from pullback.ir.subscripts import (
    Index,
    Lookup,
    Subscript,
    at,
    bounds,
    constant,
    indices_of,
    inside,
    is_name,
    isolated,
    map_indices,
    reduced,
)

EXTENTS = (size("N"), size("M"), size(3), size("N") * "M", size("N") + 1, size("N") // 2, size(1))
DIVISORS = (size(2), size(3), size("N"), size("M"), size("N") * "M", size("N") + 1, size(1))
FACTORS = (size(1), size(-1), size(2), size("N"), size("M"), size(3), size("M") * 2)

indices = st.tuples(st.sampled_from("ijk"), st.sampled_from(EXTENTS)).map(lambda p: Index(*p))
plain = st.one_of(indices.map(at), st.sampled_from((0, 1, -1, 5, "N")).map(constant))
subscripts = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, st.sampled_from(FACTORS)).map(lambda p: p[0] * p[1]),
        st.tuples(inner, st.sampled_from(DIVISORS)).map(lambda p: p[0] // p[1]),
        st.tuples(inner, st.sampled_from(DIVISORS)).map(lambda p: p[0] % p[1]),
    ),
    max_leaves=5,
)
SIZES = tuple({"N": n, "M": m} for n in range(4) for m in range(4))
Point = dict[Index, int]


def points(sub: Subscript, sizes: dict[str, int]) -> Iterator[Point]:
    """Every point of a subscript's indices."""
    own = indices_of(sub)
    extents = [max(0, value_of(i.extent, sizes)) for i in own]
    for values in itertools.product(*map(range, extents)):
        yield dict(zip(own, values, strict=True))


def values(*subs: Subscript) -> Iterator[tuple[dict[str, int], Point, list[int]]]:
    """The values of subscripts at all points where every divisor is at least 1."""
    every = sum(subs[1:], subs[0])
    whole = Subscript((), size(0))
    for sub in subs:
        whole = whole + sub * 7919  # no cancelling: all indices of all of them
    for sizes in SIZES:
        for point in points(whole, sizes):
            try:
                yield sizes, point, [place(sub, point, sizes=sizes) for sub in subs]
            except (CheckError, ShapeError, ZeroDivisionError):
                break
    assert every is not None


@given(subscripts, subscripts, st.sampled_from(DIVISORS))
def test_operators_act_on_values(a: Subscript, b: Subscript, d: Size) -> None:
    forms = (a, b, a + b, a - b, -a, a * d, a + 2, a - 1, a // d, a % d)
    for sizes, _, found in values(*forms):
        x, y, n = found[0], found[1], d.value(sizes)
        assert found[2:] == [x + y, x - y, -x, x * n, x + 2, x - 1, x // n, x % n]


@given(subscripts)
def test_reducing_changes_no_value(sub: Subscript) -> None:
    for sizes, point, (before, after) in values(sub, reduced(sub)):
        assert before == after, (sizes, point)


@given(subscripts)
def test_bounds_hold(sub: Subscript) -> None:
    known = bounds(sub)
    for sizes, point, (found,) in values(sub) if known else ():
        low, high = known
        assert low.value(sizes) <= found <= high.value(sizes), (sizes, point)


@given(subscripts)
def test_what_is_isolated_makes_it_zero(sub: Subscript) -> None:
    for atom, n in sub.terms:
        alone = isolated(sub, atom)
        assert (alone is not None) == (n.literal in (1, -1))
        assert alone is None or (at(atom) - alone in (sub, -sub))


@given(subscripts, st.sampled_from(EXTENTS))
def test_what_is_proved_inside_is_inside(sub: Subscript, extent: Size) -> None:
    if inside(sub, extent):
        for sizes, point, (found,) in values(sub):
            assert 0 <= found < extent.value(sizes), (sizes, point)


@given(subscripts, st.sampled_from(EXTENTS), st.sets(st.sampled_from("NM")))
def test_what_is_proved_inside_for_positive_sizes_is_inside(
    sub: Subscript, extent: Size, positive: set[str]
) -> None:
    if inside(sub, extent, positive):
        for sizes, point, (found,) in values(sub):
            if all(sizes[name] >= 1 for name in positive):
                assert 0 <= found < extent.value(sizes), (sizes, point)


@given(subscripts, indices, subscripts)
def test_replacing_an_index_is_evaluating_there(
    sub: Subscript, index: Index, by: Subscript
) -> None:
    replaced = map_indices(sub, {index: by})
    for sizes, point, (found, there) in values(replaced, by):
        try:
            expected = place(sub, {**_all(sub, point), index: there}, sizes=sizes)
        except CheckError:
            continue
        assert found == expected


def _all(sub: Subscript, point: Point) -> Point:
    return {i: point.get(i, 0) for i in indices_of(sub)}


N, M, i, j = size("N"), size("M"), Index("i", size("N")), Index("j", size("M"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((at(i) * M + at(j)) // M, at(i)),
        ((at(i) * M + at(j)) % M, at(j)),
        (at(i) // 1, at(i)),
        (at(i) % 1, constant(0)),
        (at(i) % N, at(i)),
        (at(i) // N, constant(0)),
        ((at(i) // 2) // 3, at(i) // 6),
        ((at(i) % 6) % 3, at(i) % 3),
        ((at(i) * 4 + 7) // 2, at(i) * 2 + 3),
        ((at(i) * 4 + 7) % 2, constant(1)),
    ],
    ids=str,
)
def test_what_the_ranges_decide_is_resolved(before: Subscript, after: Subscript) -> None:
    assert reduced(before) is after


def test_the_same_subscript_is_the_same_object() -> None:
    assert at(i) + at(j) is at(j) + at(i)
    assert at(i) + 1 - 1 is at(i)
    assert at(i) * 0 is constant(0)
    assert (at(i) * 2).index is None and at(i).index is i


def test_a_lookup_is_never_proved_inside() -> None:
    idx = Tensor("idx", (N,), "int")
    sub = at(Lookup(Access(idx, (at(i),))))
    assert not inside(sub, M)
    assert not inside(sub + at(j), M)
    assert bounds(sub) is None
    assert indices_of(sub) == (i,)
    array = Array((3,), [2, 0, 1])
    assert place(sub, {i: 0}, {"idx": array}, {"N": 3}) == 2


def test_a_plain_name() -> None:
    assert is_name(N)
    assert not any(map(is_name, (N * 2, N * M, N + 1, size(3), size(0), N // 2)))
