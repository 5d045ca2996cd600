"""The order in which factors meet: what it gives is the sum of the product, and no order is
cheaper; costs of extents, and minimum cuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from math import prod
from random import Random

import numpy as np
import pytest

from pullback.ir.sizes import size
from pullback.ir.subscripts import Index
from pullback.plan.pairing import EXACT, Pairs, pairs
from pullback.plan.saved import NEVER, _Network
from pullback.plan.weights import NAMED, SHORT, SHORTER, weight

EXTENTS = (2, 3, 5, 7, 11)
INDICES = [Index("abcde"[k], size(n)) for k, n in enumerate(EXTENTS)]
Axes = tuple[frozenset[Index], ...]


def drawn(rng: Random, count: int) -> tuple[Axes, frozenset[Index]]:
    """Factors with axes that are met by others, and what is summed over."""
    axes = tuple(frozenset(rng.sample(INDICES, rng.randint(1, 3))) for _ in range(count))
    every = sorted(frozenset().union(*axes), key=lambda i: i.name)
    return axes, frozenset(rng.sample(every, rng.randint(1, len(every))))


def size_of(axes: frozenset[Index]) -> int:
    return prod(EXTENTS[INDICES.index(i)] for i in axes)


def kept(group: Sequence[int], axes: Axes, bound: frozenset[Index]) -> frozenset[Index]:
    """What a product of some factors still depends on, once what no other has is summed over."""
    own = frozenset[Index]().union(*(axes[n] for n in group))
    others = frozenset[Index]().union(*(a for n, a in enumerate(axes) if n not in group))
    return frozenset(i for i in own if i not in bound or i in others)


def least(group: tuple[int, ...], axes: Axes, bound: frozenset[Index]) -> int:
    """The least cost of all orders, each meeting at what both sides together depend on."""
    if len(group) == 1:
        return 0
    splits = (c for n in range(1, len(group)) for c in combinations(group, n) if group[0] in c)
    return min(
        least(left, axes, bound)
        + least(right, axes, bound)
        + size_of(kept(left, axes, bound) | kept(right, axes, bound))
        for left in splits
        for right in [tuple(n for n in group if n not in left)]
    )


def members(order: Pairs) -> tuple[int, ...]:
    return (order,) if isinstance(order, int) else (*members(order[0]), *members(order[1]))


def costs(order: Pairs, axes: Axes, bound: frozenset[Index]) -> Iterator[int]:
    """The cost of each meeting of an order."""
    if isinstance(order, int):
        return
    sides = [kept(members(part), axes, bound) for part in order[:2]]
    yield size_of(sides[0] | sides[1])
    for part in order[:2]:
        yield from costs(part, axes, bound)


def met(order: Pairs, arrays: list[np.ndarray], axes: Axes) -> tuple[np.ndarray, list[Index]]:
    """The product in an order, summed over what the order says when two factors meet."""
    if isinstance(order, int):
        return arrays[order], sorted(axes[order], key=lambda i: i.name)
    left, right, gone = order
    (one, own), (two, theirs) = met(left, arrays, axes), met(right, arrays, axes)
    assert gone <= {*own} & {*theirs}
    free = sorted({*own, *theirs} - gone, key=lambda i: i.name)
    words = ["".join(i.name for i in part) for part in (own, theirs, free)]
    return np.einsum(f"{words[0]},{words[1]}->{words[2]}", one, two), free


@pytest.mark.parametrize("seed", range(40))
def test_an_order_gives_the_sum_of_the_product(seed: int) -> None:
    rng = Random(f"pairs {seed}")
    axes, bound = drawn(rng, rng.randint(2, EXACT + 2))
    draws = np.random.default_rng(seed)
    named = ["".join(sorted(i.name for i in a)) for a in axes]
    arrays = [draws.normal(size=[EXTENTS["abcde".index(c)] for c in word]) for word in named]
    order = pairs(axes, bound)
    assert sorted(members(order)) == list(range(len(axes)))
    found, left = met(order, arrays, axes)
    free = [i for i in left if i not in bound]
    found = found.sum(axis=tuple(k for k, i in enumerate(left) if i in bound))
    wanted = np.einsum(",".join(named) + "->" + "".join(i.name for i in free), *arrays)
    assert np.allclose(found, wanted)
    shared = {i for i in bound if sum(i in a for a in axes) > 1}
    assert shared.isdisjoint(left)


@pytest.mark.parametrize("seed", range(30))
def test_no_order_is_cheaper(seed: int) -> None:
    rng = Random(f"cheapest {seed}")
    axes, bound = drawn(rng, rng.randint(2, EXACT))
    everything = tuple(range(len(axes)))
    assert sum(costs(pairs(axes, bound), axes, bound)) == least(everything, axes, bound)


@pytest.mark.parametrize("seed", range(20))
def test_many_factors_meet_about_as_cheaply(seed: int) -> None:
    """A chain of matrices: what is greedy keeps every product a matrix."""
    rng = Random(f"chain {seed}")
    extents = [rng.choice((2, 3, 50)) for _ in range(EXACT + 3)]
    chain = [Index(f"i{k}", size(n)) for k, n in enumerate(extents)]
    axes = tuple(map(frozenset, pairwise(chain)))
    order = pairs(axes, frozenset(chain[1:-1]))

    def ends(part: Pairs) -> frozenset[Index]:
        if isinstance(part, int):
            return axes[part]
        own = ends(part[0]) | ends(part[1])
        assert part[2] == ends(part[0]) & ends(part[1])
        return own - part[2]

    assert ends(order) == {chain[0], chain[-1]}


def test_a_vector_at_the_end_of_a_long_chain_meets_it_first() -> None:
    chain = [Index(f"i{k}", size(50)) for k in range(EXACT + 2)]
    axes = tuple(map(frozenset, pairwise(chain)))
    axes = (*axes, frozenset({chain[-1]}))
    order = pairs(axes, frozenset(chain[1:]))

    def sides(part: Pairs) -> frozenset[Index]:
        if isinstance(part, int):
            return axes[part]
        one, two = sides(part[0]), sides(part[1])
        assert len(one) == 1 or len(two) == 1
        return (one | two) - part[2]

    assert sides(order) == {chain[0]}


def test_what_extents_count_as() -> None:
    N, M, K, S = (size(n) for n in "NMKS")
    window = Index("i", N - K + 1)
    strided = Index("j", (N - K) // S + 1)
    counted = [weight(Index("n", extent)) for extent in (N, N * M, 2 * N, size(5), N + 3, size(0))]
    assert counted == [NAMED, NAMED**2, 2 * NAMED, 5, NAMED + 3, 1]
    assert weight(window) == NAMED + 1
    assert weight(strided) == NAMED // SHORTER + 1
    k = Index("k", K)
    assert weight(k) == NAMED
    assert weight(k, [window]) == weight(k, [strided]) == SHORT
    assert weight(Index("s", S), [strided]) == SHORTER
    assert weight(Index("n", N), [window, strided]) == NAMED


@pytest.mark.parametrize("seed", range(40))
def test_no_cut_is_smaller(seed: int) -> None:
    rng = Random(f"cut {seed}")
    network = _Network()
    count = rng.randint(3, 7)
    nodes = [network.node() for _ in range(count)]
    edges = [
        (a, b, rng.choice((1.0, 2.0, 3.5, NEVER if (a, b) != (0, 1) else 1.0, 0.0)))
        for a in nodes
        for b in nodes
        if a != b and rng.random() < 0.5
    ]
    if any(c == NEVER for a, b, c in edges) and rng.random() < 0.7:
        edges = [(a, b, min(c, 9.0)) for a, b, c in edges]

    def value(side: set[int]) -> float:
        return sum(c for a, b, c in edges if a in side and b not in side)

    wanted = min(
        value({0, *chosen}) for n in range(count - 1) for chosen in combinations(nodes[2:], n)
    )
    for edge in edges:
        network.edge(*edge)
    if wanted == NEVER:
        return
    side = network.cut(0, 1)
    assert 0 in side and 1 not in side
    assert value(side) == pytest.approx(wanted)
    smaller = (s for n in range(len(side) - 1) for s in combinations(sorted(side - {0}), n))
    assert all(value({0, *s}) > wanted for s in smaller)
