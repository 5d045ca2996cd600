"""Sums over a common factor become one sum, whatever their indices are called."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.calculus.merge import merge_sums
from pullback.calculus.normal import collect, renamed
from pullback.ir.expr import ZERO, Compare
from pullback.ir.subscripts import Index

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
    literals,
    made,
    read,
    terms,
)

K = Index("k", N)
MOST = Index("h", N - 1)


def free(value):
    """Merging is never too dear here."""
    return 0.0


def assert_kept(value, seed=0):
    found = merge_sums(value, free)
    for k, sizes in enumerate(SIZES):
        given = arrays(sizes, seed + k)
        assert_equal(literals(found), literals(value), (I, J), given, sizes)
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(terms(), max_size=3), terms(guarded=False))
def test_merging_keeps_the_value(given_terms, like):
    moved = renamed(like, {i: Index(f"{i.name}9", i.extent) for i in like.bound})
    more = made(like.bound, like.guards, *like.factors[:-1], (read(X, I), 2), coef=3)
    assert_kept(collect([*given_terms, moved, more]))


MERGED = {
    "two factors": [
        made((A,), (), read(W, I, A), read(X, A)),
        made((C,), (), read(W, I, C), (read(X, C), 2), coef=-1),
    ],
    "three factors": [
        made((A,), (), read(W, I, A), read(X, A)),
        made((C,), (), read(W, I, C), (read(X, C), 2)),
        made((K,), (), read(W, I, K), (read(X, K), -1)),
    ],
    "turned reads of one tensor": [
        made((A,), (), read(W, I, A), read(X, A)),
        made((C,), (), read(W, C, I), read(X, C)),
    ],
    "two indices": [
        made((A, B), (), read(Y, A, B), read(X, A)),
        made((C, B), (), read(Y, C, B), read(Z, B)),
    ],
    "two factors with outer ones": [
        made((A,), (), read(W, I, A), read(X, A), read(Z, J)),
        made((C,), (), read(W, I, C), (read(X, C), 2), read(Z, J)),
    ],
    "a read at a place": [
        made((A,), (), read(W, 0, A), read(X, A)),
        made((C,), (), read(W, 0, C), (read(X, C), 2)),
    ],
    "under equal guards": [
        made((A,), (Compare("<", ZERO, read(X, A)),), read(W, I, A), read(X, A)),
        made((C,), (Compare("<", ZERO, read(X, C)),), read(W, I, C), (read(X, C), 2)),
    ],
}
APART = {
    "no common factor": [
        made((A,), (), read(W, I, A)),
        made((C,), (), read(X, C)),
    ],
    "other factors outside": [
        made((A,), (), read(W, I, A), read(X, A), read(Z, J)),
        made((C,), (), read(W, I, C), (read(X, C), 2)),
    ],
    "guards that differ": [
        made((A,), (Compare("<", ZERO, read(X, A)),), read(W, I, A), read(X, A)),
        made((C,), (Compare("<=", ZERO, read(X, C)),), read(W, I, C), (read(X, C), 2)),
    ],
    "no common factor, but a tensor": [
        made((A,), (), read(W, I, A), read(X, A)),
        made((C,), (), read(W, C, I), (read(X, C), 2)),
    ],
    "an index that is summed on one side": [
        made((A,), (), read(W, A, A), read(X, A)),
        made((C,), (), read(W, C, I), read(X, C), (read(X, C), 2)),
    ],
    "one index for two": [
        made((A, C), (), read(W, A, C), read(X, A)),
        made((A,), (), read(W, A, A), read(X, A)),
    ],
    "two indices for one": [
        made((A,), (), read(W, A, A), (read(X, A), 2)),
        made((A, C), (), read(W, A, C), read(X, A), read(X, C)),
    ],
    "one factor more": [
        made((A,), (), read(W, I, A)),
        made((C,), (), read(W, I, C), read(X, C)),
    ],
    "one factor less": [
        made((A,), (), read(W, I, A), read(X, A)),
        made((C,), (), read(W, I, C)),
    ],
    "two sums and one": [
        made((A, C), (), read(W, I, A), (read(X, A), 2), read(X, C)),
        made((A,), (), read(W, I, A), read(X, A)),
    ],
    "one sum and two": [
        made((A,), (), read(W, I, A), read(X, A)),
        made((A, C), (), read(W, I, A), (read(X, A), 2), read(X, C)),
    ],
    "a sum that can be turned": [
        made((A, C), (), read(W, A, C), read(W, C, A), read(X, A)),
    ],
    "a place and an index": [
        made((A,), (), read(W, 0, A), read(X, A)),
        made((C,), (), read(W, C, C), (read(X, C), 2)),
    ],
    "no sums": [
        made((), (), read(X, I), read(Z, J)),
        made((), (), read(X, I), (read(Z, J), 2)),
    ],
    "parts of one array": [
        made((A,), (), read(X, A), read(W, I, A)),
        made((MOST,), (), read(X, MOST), read(W, MOST, I)),
    ],
    "ranges that differ": [
        made((A,), (), read(X, A), read(W, I, A)),
        made((Index("b", M),), (), read(Z, Index("b", M)), read(X, I)),
    ],
}


def test_the_others_keep_their_places():
    first, second = MERGED["two factors"]
    others = [made((), (), read(X, I)), made((), (), read(Z, J))]
    found = assert_kept((others[0], first, others[1], second))
    assert len(found) == 3 and (found[0], found[2]) == tuple(others)


@pytest.mark.parametrize("name", MERGED)
def test_sums_over_a_common_factor_become_one(name):
    value = collect(MERGED[name])
    assert len(value) == len(MERGED[name])
    assert len(assert_kept(value)) == 1


@pytest.mark.parametrize("name", APART)
def test_other_sums_stay_apart(name):
    value = collect(APART[name])
    assert assert_kept(value) == value
