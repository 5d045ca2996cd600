"""The order in which the factors of a sum of products meet, two at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import TypeAlias

from ..ir.subscripts import Index
from .weights import weight

EXACT = 6  # factors of which every order is looked at

# A factor by its number, or a pair and the indices that are summed over when it meets.
Pairs: TypeAlias = "int | tuple[Pairs, Pairs, frozenset[Index]]"


def pairs(axes: tuple[frozenset[Index], ...], bound: frozenset[Index]) -> Pairs:
    """The cheapest order in which pairs of factors meet; greedy beyond six factors."""
    if len(axes) > EXACT:
        return _greedy(axes, bound)
    everything = frozenset(range(len(axes)))

    @cache
    def kept(group: frozenset[int]) -> frozenset[Index]:
        own = frozenset[Index]().union(*(axes[n] for n in group))
        others = frozenset[Index]().union(*(axes[n] for n in everything - group))
        return frozenset(i for i in own if i not in bound or i in others)

    @cache
    def best(group: frozenset[int]) -> tuple[int, Pairs]:
        members = sorted(group)
        if len(members) == 1:
            return 0, members[0]
        options: list[tuple[int, Pairs]] = []
        for mask in range(2 ** (len(members) - 1) - 1):  # the first member is always on the left
            left = frozenset(m for n, m in enumerate(members) if n == 0 or mask >> (n - 1) & 1)
            right = group - left
            cost = best(left)[0] + best(right)[0] + _size(kept(left) | kept(right))
            gone = (kept(left) & kept(right)) - kept(group)
            options.append((cost, (best(left)[1], best(right)[1], gone)))
        return min(options, key=lambda option: option[0])

    return best(everything)[1]


def _greedy(axes: Sequence[frozenset[Index]], bound: frozenset[Index]) -> Pairs:
    items: list[tuple[frozenset[Index], Pairs]] = [(a, n) for n, a in enumerate(axes)]
    while len(items) > 1:
        options = []
        for i in range(len(items)):
            for j in range(i + 1, len(items)):
                others = [a for n, (a, _) in enumerate(items) if n not in (i, j)]
                needed = frozenset[Index]().union(*others)
                gone = (items[i][0] & items[j][0] & bound) - needed
                result = (items[i][0] | items[j][0]) - gone
                growth = _size(result) - _size(items[i][0]) - _size(items[j][0])
                options.append((growth, _size(items[i][0] | items[j][0]), i, j, gone, result))
        *_, i, j, gone, result = min(options, key=lambda option: option[:4])
        joined: Pairs = (items[i][1], items[j][1], gone)
        items = [item for n, item in enumerate(items) if n not in (i, j)]
        items.append((result, joined))
    return items[0][1]


def _size(axes: frozenset[Index]) -> int:
    return prod(map(weight, axes))
