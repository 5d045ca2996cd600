"""Conditions: what is decided or dropped is so at every point, by enumeration."""

from __future__ import annotations

from itertools import permutations
from math import nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.calculus.guards import decide, negation, positive_names, settle, tidy
from pullback.ir.expr import And, Compare, Cond, Divides, Guard, Inside, Not, Zero, number
from pullback.ir.interpret import evaluate, holds, place
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Lookup, at, constant, reduced
from pullback.ir.walk import free_indices

from .terms import SIZES, A, B, I, J, M, N, X, arrays, comparisons, points, ranges, read, subscripts

SCOPE = (I, J, A, B)
QUICK = settings(max_examples=100, deadline=None)
ONE = Index("o", size(1))
CONDITIONS = st.one_of(
    ranges(),
    comparisons(),
    st.builds(Not, comparisons()),
    st.builds(lambda a, b: And((a, b)), ranges(), comparisons()),
)


def everywhere(conds: list[Cond]):
    """Each point of small ranges with the truth of every condition, values NaN among them."""
    for k, sizes in enumerate(SIZES):
        given = arrays(sizes, k, among=(nan, 0.0, 1.0, -1.0))
        for point in points(SCOPE, sizes):
            yield [holds(cond, point, given, sizes) for cond in conds]


@QUICK
@given(CONDITIONS)
def test_what_is_decided_is_so_at_every_point(cond):
    verdict = decide(cond, ("M", "N"))
    if verdict is not None:
        assert {truth for (truth,) in everywhere([cond])} <= {verdict}


@QUICK
@given(ranges((A, B)))
def test_without_positive_names_the_verdict_holds_at_size_0_too(cond):
    verdict = decide(cond)
    if verdict is None:
        return
    for sizes in ({"N": 0, "M": 0}, {"N": 0, "M": 2}, {"N": 2, "M": 0}):
        for point in points((Index("a", size(2)), Index("b", size(2))), sizes):
            inside = dict(zip((A, B), point.values(), strict=True))
            if all(n < i.extent.value(sizes) for i, n in inside.items() if i in free_indices(cond)):
                assert holds(cond, inside, {}, sizes) == verdict


@QUICK
@given(st.lists(CONDITIONS, max_size=4))
def test_settled_guards_hold_exactly_where_the_given_ones_do(conds):
    kept = settle(conds, SCOPE)
    for truths in everywhere([*conds, *(kept or ())]):
        given, left = truths[: len(conds)], truths[len(conds) :]
        assert all(given) == (kept is not None and all(left))


@QUICK
@given(CONDITIONS)
def test_a_negation_holds_exactly_where_its_condition_fails(cond):
    for held, failed in everywhere([cond, negation(cond)]):
        assert held != failed


@QUICK
@given(subscripts())
def test_tidying_keeps_the_place(sub):
    for sizes in SIZES:
        for point in points(SCOPE, sizes):
            found = evaluate(tidy(Guard(Zero(sub))), point, {}, sizes)
            assert found == (place(sub, point, {}, sizes) == 0)
            assert place(reduced(sub), point, {}, sizes) == place(sub, point, {}, sizes)


ZERO_OR = Compare("<", number(0), read(X, I))
ABOVE = Inside(at(I) - 1, N)
DECIDED = [
    (Zero(constant(0)), True),
    (Zero(constant(2)), False),
    (Zero(at(I) + 1), False),
    (Zero(-at(I) - 1), False),
    (Zero(at(ONE)), True),
    (Zero(at(I)), None),
    (Zero(constant(N)), False),
    (Inside(at(I), N), True),
    (Inside(at(I) + 1, N + 1), True),
    (Inside(at(I) + 1, N), None),
    (Inside(at(I) - 1, N), None),
    (Inside(at(I) + N, N), False),
    (Inside(-at(I) - 1, N), False),
    (Inside(at(I) % 3, size(3)), True),
    (Divides(size(2), at(I) * 2 + 4), True),
    (Divides(size(2), at(I) * 2 + 1), None),
    (Divides(size(2), constant(3)), False),
    (Divides(size(1), at(I)), True),
    (Divides(size(2), constant(N)), None),
    (Divides(N, constant(3)), None),
    (Divides(N, at(I) * N + N * 2), True),
    (Compare("<", number(0), number(1)), True),
    (Compare("<=", number(1), number(1)), True),
    (Compare("==", number(0), number(1)), False),
    (Compare("!=", number(0), number(1)), True),
    (Compare("<", read(X, I), read(X, I)), False),
    (Compare("<=", read(X, I), read(X, I)), None),  # NaN
    (Not(Inside(at(I), N)), False),
    (ZERO_OR, None),
]


@pytest.mark.parametrize(("cond", "verdict"), DECIDED, ids=str)
def test_what_ranges_decide_is_decided(cond, verdict):
    assert decide(cond, ("N",)) is verdict


LESS, MORE = Compare("<", read(X, I), read(X, A)), Compare("<", read(X, A), read(X, I))
AT_MOST = Compare("<=", read(X, I), read(X, A))
EQUAL, UNEQUAL = Compare("==", read(X, A), read(X, I)), Compare("!=", read(X, I), read(X, A))
SETTLED = [
    ([Inside(at(I), N)], ()),
    ([Zero(at(I) + 1)], None),
    ([LESS, LESS], (LESS,)),
    ([Not(Not(LESS))], (LESS,)),
    ([And((LESS, And((Inside(at(I), N),))))], (LESS,)),
    ([LESS, MORE], None),
    ([LESS, Not(LESS)], None),
    ([LESS, EQUAL], None),
    ([EQUAL, UNEQUAL], None),
    ([LESS, Compare("<=", read(X, A), read(X, I))], None),
    ([LESS, AT_MOST], (LESS,)),
    ([EQUAL, AT_MOST], (EQUAL,)),
    ([LESS, UNEQUAL], (LESS,)),
    ([MORE, UNEQUAL], (MORE,)),
    ([Inside(at(I), size(1))], (Zero(at(I)),)),
    ([Zero(-at(I) + at(J))], (Zero(at(I) - at(J)),)),
    ([Zero(at(I) - 2), Inside(at(I), size(3))], (Zero(at(I) - 2),)),
    ([Zero(at(I) - 2), Inside(at(I), size(2))], None),
    ([Zero(constant(2) - at(I)), Inside(at(I), size(2))], None),
    ([Zero(at(I) - 1), Inside(at(I) + at(J), M + 1)], (Zero(at(I) - 1),)),
    ([Zero(at(I) - M), Inside(at(I), N)], (Zero(at(I) - M),)),
    ([Zero(at(I) * 2 - 4), ABOVE], (Zero(at(I) * 2 - 4), ABOVE)),
    ([Zero(constant(N) - 3)], (Zero(constant(N) - 3),)),
    ([Inside(at(I) - 1, N), Inside(at(I) - 1, N - 1)], (Inside(at(I) - 1, N),)),
    ([Inside(at(I) - 1, N - 3), Inside(at(I) + 1, N)], (Inside(at(I) - 1, N - 3),)),
    ([Inside(at(I) - 1, N), Inside(at(J) - 1, N)], (Inside(at(I) - 1, N), Inside(at(J) - 1, N))),
]


@pytest.mark.parametrize(("conds", "kept"), SETTLED, ids=str)
def test_idle_guards_are_dropped_and_clashing_ones_seen(conds, kept):
    found = settle(conds, SCOPE)
    assert found == (None if kept is None else tuple(sorted(kept, key=lambda c: c.key)))


def test_a_size_is_not_0_where_an_index_runs_over_it():
    nowhere = Zero(constant(N))
    assert settle([nowhere], ()) == (nowhere,)
    assert settle([nowhere], (I,)) is None
    assert settle([nowhere, ZERO_OR], ()) is None


WIDE = Index("k", size(12))
SPANS = st.builds(
    lambda shift, extent: Inside(at(WIDE) + shift, size(extent)),
    st.integers(-8, 3),
    st.integers(2, 14),
)


@QUICK
@given(st.lists(SPANS, min_size=2, max_size=3))
def test_of_ranges_only_those_are_kept_that_no_other_implies(spans):
    def where(cond):
        return {k for k in range(12) if holds(cond, {WIDE: k}, {}, {})}

    kept = settle(spans, ())
    both = set.intersection(*map(where, spans))
    assert both == (set() if kept is None else set(range(12)).intersection(*map(where, kept)))
    for one, other in permutations(kept or (), 2):
        assert not where(one) <= where(other)


K = Index("k", size(4))
BEYOND = [
    (Inside(at(K) - 1, size(4)), Zero(at(K))),
    (Inside(at(K) - 1, size(3)), Zero(at(K))),
    (Inside(at(K) - 1, size(2)), None),
    (Inside(at(K) - 2, size(4)), None),
    (Inside(at(K), size(3)), Zero(at(K) - 3)),
    (Inside(at(K), size(2)), None),
    (Inside(at(K) + 1, size(4)), Zero(at(K) - 3)),
    (Inside(at(I) - 1, N), Zero(at(I))),
    (Inside(at(I) + 1, N), Zero(at(I) + 1 - N)),
    (Inside(at(Lookup(read(X, I))), N), None),
]


@pytest.mark.parametrize(("span", "place"), BEYOND, ids=str)
def test_the_one_place_beyond_a_range_is_an_equality(span, place):
    assert tidy(Guard(Not(span))) == Guard(place or Not(span))


def test_a_name_is_positive_where_an_index_runs_over_it():
    assert positive_names([I, J, Index("k", N * 2), Index("l", size(3))]) == ("M", "N")
