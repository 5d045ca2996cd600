"""Where the boxes of a layered drawing go: ranks from the edges, few crossings, straight lines.

The method of Sugiyama, small: longest-path ranks, dummy boxes where an edge passes a rank,
barycentre sweeps for the order within a rank, and least squares (pool adjacent violators) for the
places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 12
GAP = 26.0
DUMMY_GAP = 16.0
RANK_GAP = 46.0
# How much the place of a box counts for those that it is joined to.
SOURCE, DUMMY, COMPUTED = 0.1, 0.5, 4.0


@dataclass(frozen=True)
class Box:
    """What has to be placed; a source may sink to its readers."""

    width: float
    height: float
    source: bool = False


@dataclass(frozen=True)
class Layout:
    """Centres of the boxes, the points every edge passes, the extent.

    A point is (x, top, bottom): the edge goes straight down there. An edge between neighbouring
    ranks has none.
    """

    places: tuple[tuple[float, float], ...]
    bends: tuple[tuple[tuple[float, float, float], ...], ...]
    width: float
    height: float


def lay_out(boxes: Sequence[Box], edges: Sequence[tuple[int, int]]) -> Layout:
    """Places for boxes joined by edges (from, to), which must go from an earlier to a later box."""
    ranks = _ranks(boxes, edges)
    cells, chains = _chains(boxes, edges, ranks)
    order = _ordered(cells, chains)
    across = _across(cells, order, chains)
    tops, heights = _down(cells, order)
    places = tuple(
        (across[k], tops[cells[k].rank] + heights[cells[k].rank] / 2) for k in range(len(boxes))
    )
    bends = tuple(
        tuple(
            (across[k], tops[cells[k].rank], tops[cells[k].rank] + heights[cells[k].rank])
            for k in chain[1:-1]
        )
        for chain in chains
    )
    width = max((across[k] + cell.width / 2 for k, cell in enumerate(cells)), default=0.0)
    height = tops[-1] + heights[-1] if tops else 0.0
    return Layout(places, bends, width, height)


@dataclass(frozen=True)
class _Cell:
    rank: int
    width: float
    height: float
    dummy: bool
    weight: float


def _ranks(boxes: Sequence[Box], edges: Sequence[tuple[int, int]]) -> list[int]:
    ranks = [0] * len(boxes)
    for start, end in sorted(edges, key=lambda edge: edge[1]):
        ranks[end] = max(ranks[end], ranks[start] + 1)
    for k, box in enumerate(boxes):
        readers = [ranks[end] for start, end in edges if start == k]
        if box.source and readers:
            ranks[k] = min(readers) - 1
    return ranks


def _chains(
    boxes: Sequence[Box], edges: Sequence[tuple[int, int]], ranks: Sequence[int]
) -> tuple[list[_Cell], list[list[int]]]:
    """The boxes and the dummies, and each edge as the cells that it passes."""
    cells = [
        _Cell(r, b.width, b.height, False, SOURCE if b.source else COMPUTED)
        for b, r in zip(boxes, ranks, strict=True)
    ]
    chains: list[list[int]] = []
    for start, end in edges:
        chain = [start]
        for rank in range(ranks[start] + 1, ranks[end]):
            chain.append(len(cells))
            cells.append(_Cell(rank, 0.0, 0.0, True, DUMMY))
        chains.append([*chain, end])
    return cells, chains


def _links(cells: Sequence[_Cell], chains: Sequence[Sequence[int]]) -> tuple[list[list[int]], ...]:
    """For every cell the cells above it and those below it that it is joined to."""
    above: list[list[int]] = [[] for _ in cells]
    below: list[list[int]] = [[] for _ in cells]
    for chain in chains:
        for start, end in pairwise(chain):
            below[start].append(end)
            above[end].append(start)
    return above, below


def _ordered(cells: Sequence[_Cell], chains: Sequence[Sequence[int]]) -> list[list[int]]:
    """The cells of every rank from left to right."""
    depth = max((cell.rank for cell in cells), default=-1) + 1
    order: list[list[int]] = [[] for _ in range(depth)]
    for k, cell in enumerate(cells):
        order[cell.rank].append(k)
    above, below = _links(cells, chains)
    best, least = [list(rank) for rank in order], _crossings(order, below)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for rank in range(1, depth) if down else range(depth - 2, -1, -1):
            beside = order[rank - 1] if down else order[rank + 1]
            place = {k: at for at, k in enumerate(beside)}
            links = above if down else below
            now = {k: at for at, k in enumerate(order[rank])}
            order[rank].sort(key=lambda k: _centre([place[j] for j in links[k]], now[k]))
        count = _crossings(order, below)
        if count < least:
            best, least = [list(rank) for rank in order], count
    return best


def _centre(places: Sequence[int], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def _crossings(order: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> int:
    count = 0
    for upper, lower in pairwise(order):
        place = {k: at for at, k in enumerate(lower)}
        ends = [place[j] for k in upper for j in sorted(below[k], key=place.__getitem__)]
        count += sum(a > b for n, a in enumerate(ends) for b in ends[n + 1 :])
    return count


def _across(
    cells: Sequence[_Cell], order: Sequence[Sequence[int]], chains: Sequence[Sequence[int]]
) -> list[float]:
    """The centres from left to right: near what a cell is joined to, at least a gap apart."""
    above, below = _links(cells, chains)
    places = [0.0] * len(cells)
    for sweep in range(-1, 3 * SWEEPS):
        for rank in order if sweep % 2 == 0 else reversed(order):
            wanted = [_pull([*above[k], *below[k]], cells, places, places[k]) for k in rank]
            for k, place in zip(rank, _apart(wanted, [cells[j] for j in rank]), strict=True):
                places[k] = place
    left = min((places[k] - cell.width / 2 for k, cell in enumerate(cells)), default=0.0)
    return [round(place - left, 1) for place in places]


def _pull(
    joined: Sequence[int], cells: Sequence[_Cell], places: Sequence[float], otherwise: float
) -> float:
    """Where a cell is drawn to: sources weigh little, so that what is computed stands in line."""
    weight = sum(cells[j].weight for j in joined)
    return sum(places[j] * cells[j].weight for j in joined) / weight if weight else otherwise


def _apart(wanted: Sequence[float], cells: Sequence[_Cell]) -> list[float]:
    """The places nearest to the wanted ones (least squares) in the same order, a gap apart."""
    offsets = [0.0]
    for left, right in pairwise(cells):
        gap = DUMMY_GAP if left.dummy or right.dummy else GAP
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + gap)
    groups: list[tuple[float, float, int]] = []  # mean, weight, count: the means must rise
    for place, offset, cell in zip(wanted, offsets, cells, strict=False):
        mean, weight, count = place - offset, cell.weight, 1
        while groups and groups[-1][0] > mean:
            other, heavy, n = groups.pop()
            mean = (mean * weight + other * heavy) / (weight + heavy)
            weight, count = weight + heavy, count + n
        groups.append((mean, weight, count))
    means = [mean for mean, _, count in groups for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]


def _down(
    cells: Sequence[_Cell], order: Sequence[Sequence[int]]
) -> tuple[list[float], list[float]]:
    """The top and the height of every rank."""
    heights = [max(cells[k].height for k in rank) for rank in order]
    tops, top = [], 0.0
    for height in heights:
        tops.append(top)
        top += height + RANK_GAP
    return tops, heights
