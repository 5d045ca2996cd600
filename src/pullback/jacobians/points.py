"""Where a Jacobian can be nonzero, from the subscripts and conditions of its formula: no value is
probed.

A term is nonzero at most where its equalities and ranges of indices hold. Rows that are given (all
of them, or a few) are lists of integers; each equality that has one index left gives its list, and
an index that none gives takes every place in its range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..calculus.normal import Term
from ..errors import LimitError
from ..ir.expr import Access, And, Cond, Divides, Inside, Not, Or, Tensor, Zero
from ..ir.subscripts import Index, Lookup, Quotient, Remainder, Subscript, at, indices_of
from ..ir.walk import lookups, subscripts
from .closed import Closed

Array = np.ndarray[Any, Any]
Places = dict[Index, Array]
MOST = 2**27
"""Points that are listed at once."""


def looked_up(closed: Closed) -> tuple[Tensor, ...]:
    """The integer tensors that decide where a Jacobian can be nonzero."""
    found: dict[Tensor, None] = {}
    for part in closed.terms:
        for cond in _conditions(part):
            for sub in _subscripts(cond):
                found.update(dict.fromkeys(access.tensor for access in lookups(sub)))
    return tuple(found)


def points(
    closed: Closed, integers: Mapping[Tensor, Array], rows: Array | None = None
) -> tuple[Array, Array]:
    """The rows and the columns, flat, of the elements that can be nonzero; some may come twice.

    ``rows`` are those that are asked for, all if not given. Raises LimitError where there are too
    many of them.
    """
    extents = [i.extent.value({}) for i in closed.rows]
    count = int(np.prod(extents, dtype=np.int64))
    wanted = np.arange(count) if rows is None else np.asarray(rows)
    shape = [i.extent.value({}) for i in closed.columns]
    found = [_of_term(closed, part, integers, wanted, extents, shape) for part in closed.terms]
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([r for r, _ in found]), np.concatenate([c for _, c in found])


def _of_term(
    closed: Closed,
    part: Term,
    integers: Mapping[Tensor, Array],
    wanted: Array,
    extents: Sequence[int],
    shape: Sequence[int],
) -> tuple[Array, Array]:
    places: Places = {}
    if extents:
        grid = np.unravel_index(wanted, extents)
        places = {i: g.astype(np.int64) for i, g in zip(closed.rows, grid, strict=True)}
    solver = _Solver(part, places, len(wanted), integers)
    solver.solve(closed.columns)
    flat = np.zeros(solver.count, np.int64)
    for index, extent in zip(closed.columns, shape, strict=True):
        flat = flat * extent + solver.places[index]
    chosen = wanted[solver.origin]
    return chosen, flat


class _Solver:
    """Lists of places of the indices, longer with each index that is not determined."""

    def __init__(
        self, part: Term, places: Places, count: int, integers: Mapping[Tensor, Array]
    ) -> None:
        self.places = places
        self.count = count
        self.origin = np.arange(count)  # the wanted row that each place belongs to
        self.integers = integers
        self.left = _conditions(part)
        self.read: Array = np.ones(count, bool)  # whether all that was looked up is in range
        self.filter()

    def solve(self, columns: Sequence[Index]) -> None:
        asked = {*columns, *(i for c in self.left for s in _subscripts(c) for i in indices_of(s))}
        left = sorted((i for i in asked if i not in self.places), key=lambda index: index.key)
        while left:
            index = self.determined(left) or self.spread(left)
            left.remove(index)
            self.filter()

    def determined(self, left: Sequence[Index]) -> Index | None:
        """The index that an equality gives, put in place."""
        for cond in self.left:
            if not isinstance(cond, Zero):
                continue
            open_ones = [i for i in indices_of(cond.sub) if i not in self.places]
            if len(open_ones) != 1 or open_ones[0] not in left:
                continue
            index = open_ones[0]
            step = cond.sub.coefficient(index).literal
            rest = cond.sub - at(index) * cond.sub.coefficient(index)
            if not step or index in indices_of(rest):
                continue
            self.read = np.ones(self.count, bool)
            value, off = np.divmod(-self.at(rest), step)
            kept = (off == 0) & (value >= 0) & (value < index.extent.value({})) & self.read
            self.places[index] = value
            self.keep(kept)
            return index
        return None

    def spread(self, left: Sequence[Index]) -> Index:
        """An index put at every place of its range: the one with the fewest."""
        ranges = {index: self.range(index) for index in left}
        index = min(left, key=lambda i: (ranges[i][1], left.index(i)))
        low, width = ranges[index]
        if self.count * width > MOST:
            raise LimitError(
                "the Jacobian has too many elements that can be nonzero",
                expected=f"at most {MOST}",
                found=f"about {self.count * width}",
                hint="multiply by it with @, which forms none of them",
            )
        repeated = {i: np.repeat(p, width) for i, p in self.places.items()}
        start = np.repeat(low, width) if isinstance(low, np.ndarray) else low
        steps = np.tile(np.arange(width), self.count)
        self.places = {**repeated, index: start + steps}
        self.origin = np.repeat(self.origin, width)
        self.count *= width
        value = self.places[index]
        self.keep((value >= 0) & (value < index.extent.value({})))
        return index

    def range(self, index: Index) -> tuple[Array | int, int]:
        """Where an index begins and how many places it has, by its extent or by a condition."""
        best: tuple[Array | int, int] = (0, index.extent.value({}))
        for cond in self.left:
            if not isinstance(cond, Inside):
                continue
            step = cond.sub.coefficient(index).literal
            rest = cond.sub - at(index) * cond.sub.coefficient(index)
            known = all(i in self.places for i in indices_of(rest))
            width = cond.extent.value({})
            if step in (1, -1) and known and width < best[1]:
                value = self.at(rest)
                best = (-value if step == 1 else value - width + 1), width
        return best

    def filter(self) -> None:
        """Drops the points where a condition fails whose indices all have places."""
        for cond in list(self.left):
            if all(i in self.places for s in _subscripts(cond) for i in indices_of(s)):
                self.left.remove(cond)
                self.read = np.ones(self.count, bool)
                self.keep(self.holds(cond) & self.read)

    def keep(self, kept: Array | bool) -> None:
        kept = np.broadcast_to(kept, (self.count,))
        if kept.all():
            return
        self.places = {index: place[kept] for index, place in self.places.items()}
        self.origin = self.origin[kept]
        self.count = len(self.origin)

    def holds(self, cond: Cond) -> Any:
        match cond:
            case Zero(sub):
                return self.at(sub) == 0
            case Inside(sub, extent):
                value = self.at(sub)
                return (value >= 0) & (value < extent.value({}))
            case Divides(divisor, sub):
                return self.at(sub) % divisor.value({}) == 0
            case Not(inner):
                return ~np.asarray(self.holds(inner))
            case And(conds):
                return np.logical_and.reduce([np.asarray(self.holds(c)) for c in conds])
            case Or(conds):
                return np.logical_or.reduce([np.asarray(self.holds(c)) for c in conds])
        raise AssertionError(cond)  # others were left out

    def at(self, sub: Subscript) -> Array:
        """The values of a subscript."""
        total = np.full(self.count, sub.const.value({}), np.int64)
        for atom, n in sub.terms:
            total = total + self.atom(atom) * n.value({})
        return total

    def atom(self, atom: Any) -> Array:
        match atom:
            case Index():
                return self.places[atom]
            case Quotient(value, divisor):
                return self.at(value) // divisor.value({})
            case Remainder(value, divisor):
                return self.at(value) % divisor.value({})
            case Lookup(access):
                return self.looked_up(access)
        raise AssertionError(atom)

    def looked_up(self, access: Access) -> Array:
        """The integers that are read; beyond its range, where another condition fails, none is."""
        array = self.integers[access.tensor]
        places = []
        for sub, n in zip(access.subs, array.shape, strict=True):
            place = self.at(sub)
            self.read = self.read & (place >= 0) & (place < n)
            places.append(np.clip(place, 0, max(n - 1, 0)))
        if not array.size:
            return np.zeros(self.count, np.int64)
        return np.broadcast_to(array[tuple(places)], (self.count,)).astype(np.int64)


def _conditions(part: Term) -> list[Cond]:
    """The conditions on indices alone; what depends on values may hold anywhere."""
    return [c for c in part.guards if _on_indices(c)]


def _on_indices(cond: Cond) -> bool:
    match cond:
        case Zero() | Inside() | Divides():
            return True
        case Not(inner):
            return _on_indices(inner)
        case And(conds) | Or(conds):
            return all(map(_on_indices, conds))
    return False


def _subscripts(cond: Cond) -> list[Subscript]:
    match cond:
        case Not(inner):
            return _subscripts(inner)
        case And(conds) | Or(conds):
            return [sub for c in conds for sub in _subscripts(c)]
    return [*subscripts(cond)]
