"""Formulas evaluated at all points of their indices at once, parts that are shared only once.

The value of a node is an array with one axis for each index that is free in the node. As equal
nodes are the same object, a formula that differs from another in one place costs only the nodes
that lead to that place. A read outside an array's extent is NaN, which no guard lets through.

This is the third evaluator, beside :mod:`pullback.ir.interpret` (one point after the other, in any
arithmetic: what everything is checked against) and :mod:`pullback.trace.points` (conditions and
subscripts over one grid, without recurrences). Thousands of formulas that differ in one place are
tried here, so it alone keeps the values of nodes between formulas and counts its work.
tests/verify/test_redpen_grid.py compares it with the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ...errors import CheckError
from ...functions import TABLE
from ...ir.arithmetic import FLOAT, FLOAT_VALUES
from ...ir.expr import (
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Cond,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Number,
    Opaque,
    Or,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Truth,
    Zero,
)
from ...ir.interpret import value_of
from ...ir.matrices import batch_axes, opaque
from ...ir.program import Define
from ...ir.recurrence import Group, direction, groups, is_recurrent
from ...ir.subscripts import Index, Lookup, Quotient, Remainder, Subscript
from ...ir.walk import Tree, tensors

Array = np.ndarray[Any, Any]
Value = tuple[tuple[Index, ...], Any]  # its axes, in the order of their keys, and the elements

MOST = 400_000  # elements of one value
OVERHEAD = 5_000  # of a node, in elements


class TooLarge(Exception):
    """A value would have more elements than are worth it."""


@dataclass
class Grid:
    """Evaluates formulas over arrays by tensor, at one assignment of the sizes.

    ``base`` is the grid that this one differs from in the tensors ``changed``: what depends on
    none of them is taken from there.
    """

    sizes: Mapping[str, int]
    arrays: dict[Tensor, Array]
    base: Grid | None = None
    changed: frozenset[Tensor] = frozenset()
    memo: dict[Tree, Value] = field(default_factory=dict)
    work: int = 0
    extents: dict[Index, int] = field(default_factory=dict)

    def over(self) -> Grid:
        """A grid of its own that shares what this one knows."""
        return Grid(self.sizes, dict(self.arrays), self, extents=self.extents)

    def define(self, statements: Sequence[Define]) -> None:
        """Adds the values of statements, in their order."""
        with np.errstate(all="ignore"):
            if not any(self._waits(k, statements) for k in range(len(statements))):
                for statement in statements:
                    self._put(statement, self.array(statement.body, statement.indices))
                return
            for group in groups(statements):
                if is_recurrent(group):
                    self._step(group)
                else:
                    self._put(group[0], self.whole(group[0]))

    def _waits(self, k: int, statements: Sequence[Define]) -> bool:
        """Whether a statement reads itself or one that comes later."""
        read = reads(statements[k].body)
        return any(s.target in read for s in statements[k:])

    def _put(self, statement: Define, value: Array) -> None:
        self.arrays[statement.target] = value
        if self.base is not None:
            self.changed |= {statement.target}

    def whole(self, statement: Define) -> Array:
        """The value of a statement, its axes in the order of its indices."""
        with np.errstate(all="ignore"):
            return self.array(statement.body, statement.indices)

    def array(self, body: Expr, indices: Sequence[Index]) -> Array:
        """The elements of a formula at all points of some indices."""
        axes, value = self.value(body)
        shape = tuple(self.extent(i) for i in indices)
        order = [i for i in indices if i in axes]
        if len(order) != len(axes):
            raise CheckError("a formula has stray indices")
        turned = np.asarray(value).transpose([axes.index(i) for i in order])
        keep = tuple(slice(None) if i in axes else None for i in indices)
        return np.broadcast_to(turned[keep], shape)

    def _step(self, group: Sequence[Define]) -> None:
        """A recurrence, place by place of the indices that it steps along."""
        extents = [tuple(self.extent(i) for i in s.indices) for s in group]
        made = {s.target: np.full(e, np.nan) for s, e in zip(group, extents, strict=True)}
        for statement in group:
            self._put(statement, made[statement.target])
        self._steps(tuple(group), made, ())

    def _steps(self, group: Group, made: Mapping[Tensor, Array], before: tuple[int, ...]) -> None:
        """The same at one place of the indices before the one that is left to step along."""
        axis = len(before)
        steps: Iterable[int] = range(self.extent(group[0].indices[axis]))
        if direction(group, axis) < 0:
            steps = reversed(range(self.extent(group[0].indices[axis])))
        inner = groups(group, axis + 1)
        for step in steps:
            place = (*before, step)
            at = Step(self.sizes, self.arrays)
            for own in inner:
                if is_recurrent(own, axis + 1):
                    self._steps(own, made, place)
                    continue
                (s,) = own
                self.work += at.work
                at.memo, at.work = {}, 0
                at.places = dict(zip(s.indices, place, strict=False))
                made[s.target][place] = at.array(s.body, s.indices)[(0,) * len(place)]

    def extent(self, index: Index) -> int:
        """How many places an index has."""
        found = self.extents.get(index)
        if found is None:
            found = self.extents[index] = value_of(index.extent, self.sizes)
        return found

    # Values, by the kind of node.

    def value(self, node: Tree) -> Value:
        """A value, or a condition as a bool."""
        found = self.memo.get(node)
        if found is None and self.base is not None and not self.changed & reads(node):
            found = self.base.memo.get(node)
        if found is None:
            found = self.memo[node] = self._value(node)
            self.work += OVERHEAD + getattr(found[1], "size", 1)
        return found

    def _value(self, node: Tree) -> Value:
        match node:
            case Number(value, special):
                return (), float(FLOAT.number(value, special))
            case SizeOf(size):
                return (), float(value_of(size, self.sizes))
            case IndexOf(sub):
                return self.sub(sub)
            case Access():
                return self.access(node)
            case Apply(function, args):
                return self.joined(function_of(function), *map(self.value, args))
            case Add(terms):
                return self.joined(_total, *map(self.value, terms))
            case Mul(factors):
                return self.product(factors)
            case Power(base, exponent):
                axes, inner = self.value(base)
                return axes, _power(inner, exponent)
            case Reduce(op, indices, domain, body):
                return self.reduction(op, indices, domain, body)
            case Arg():
                return self.arg(node)
            case Select(cond, then, other):
                return self.joined(np.where, *map(self.value, (cond, then, other)))
            case Guard(cond):
                axes, held = self.value(cond)
                return axes, np.where(held, 1.0, 0.0)
            case Opaque():
                return self.opaque(node)
            case _:
                return self.cond(node)

    def cond(self, node: Cond) -> Value:
        match node:
            case Compare(op, left, right):
                return self.joined(COMPARE[op], self.value(left), self.value(right))
            case Zero(sub):
                axes, where = self.sub(sub)
                return axes, where == 0
            case Inside(sub, extent):
                axes, where = self.sub(sub)
                return axes, (where >= 0) & (where < value_of(extent, self.sizes))
            case Divides(divisor, sub):
                axes, where = self.sub(sub)
                return axes, where % max(1, value_of(divisor, self.sizes)) == 0
            case And(conds):
                return self.joined(lambda *all_: np.logical_and.reduce(all_), *self.each(conds))
            case Or(conds):
                return self.joined(lambda *any_: np.logical_or.reduce(any_), *self.each(conds))
            case Not(cond):
                axes, held = self.value(cond)
                return axes, ~np.asarray(held)
            case Truth(value):
                axes, inner = self.value(value)
                return axes, np.asarray(inner) != 0

    def each(self, nodes: Iterable[Tree]) -> list[Value]:
        """Values that all have the same shape."""
        return self.spread([self.value(node) for node in nodes])

    def joined(self, operation: Any, *values: Value) -> Value:
        """An element-wise operation on values."""
        axes, arrays = self.aligned(values)
        return axes, operation(*arrays)

    def aligned(self, values: Sequence[Value]) -> tuple[tuple[Index, ...], list[Any]]:
        """The axes of several values together, and the values so that they broadcast."""
        first = values[0][0]
        if all(axes == first for axes, _ in values):
            return first, [value for _, value in values]
        every = {i for axes, _ in values for i in axes}
        joint = tuple(sorted(every, key=lambda i: i.key))
        if prod(self.extent(i) for i in joint) > MOST:
            raise TooLarge
        found = []
        for axes, value in values:
            if axes != joint and axes:
                value = value[tuple(slice(None) if i in axes else None for i in joint)]
            found.append(value)
        return joint, found

    def spread(self, values: Sequence[Value]) -> list[Value]:
        """The values, all with the axes of all of them."""
        axes, arrays = self.aligned(values)
        shape = tuple(self.extent(i) for i in axes)
        return [(axes, np.broadcast_to(a, shape)) for a in arrays]

    def product(self, factors: Sequence[Expr]) -> Value:
        """A product; it is absent where a guard is false."""
        rest = [self.value(f) for f in factors if not isinstance(f, Guard)]
        value: Value = self.joined(_multiplied, *rest) if rest else ((), 1.0)
        held = [self.value(f.cond) for f in factors if isinstance(f, Guard)]
        if not held:
            return value
        axes, masks = self.aligned(held)
        mask = masks[0]
        for more in masks[1:]:
            mask = mask & more
        return self.joined(lambda m, v: np.where(m, v, 0.0), (axes, mask), value)

    def reduction(
        self, op: str, indices: Sequence[Index], domain: Sequence[Cond], body: Expr
    ) -> Value:
        value = self.value(body)
        of_none = {"sum": 0.0, "prod": 1.0, "max": -np.inf, "min": np.inf}[op]
        for cond in domain:
            value = self.joined(lambda m, v: np.where(m, v, of_none), self.value(cond), value)
        axes, array = value
        inner = tuple(k for k, i in enumerate(axes) if i in indices)
        absent = prod(self.extent(i) for i in indices if i not in axes)
        kept = tuple(i for i in axes if i not in indices)
        out = (
            REDUCE[op](np.asarray(array, np.float64), axis=inner, initial=of_none)
            if inner
            else array
        )
        if op == "sum":
            out = out * float(absent) if absent != 1 else out
        elif op == "prod":
            out = out**absent
        elif not absent:
            out = np.full_like(out, of_none)
        return kept, out

    def arg(self, node: Arg) -> Value:
        held = [self.value(cond) for cond in node.domain]
        value = self.value(node.body)
        worst = -np.inf if node.op == "max" else np.inf
        for cond in held:
            value = self.joined(lambda m, v: np.where(m, v, worst), cond, value)
        axes, array = value
        outer = [i for i in axes if i not in node.indices]
        shape = tuple(self.extent(i) for i in (*outer, *node.indices))
        turned = np.asarray(array).transpose(
            [axes.index(i) for i in (*outer, *(j for j in node.indices if j in axes))]
        )
        keep = tuple(slice(None) if i in axes else None for i in (*outer, *node.indices))
        flat = np.broadcast_to(turned[keep], shape).reshape(*shape[: len(outer)], -1)
        best = (np.argmax if node.op == "max" else np.argmin)(flat, axis=-1)
        places = np.unravel_index(best, shape[len(outer) :])
        return tuple(outer), places[node.which]

    def sub(self, sub: Subscript) -> Value:
        """The integers that a subscript is."""
        parts: list[Value] = [((), value_of(sub.const, self.sizes))]
        for atom, n in sub.terms:
            axes, value = self.atom(atom)
            parts.append((axes, value * value_of(n, self.sizes)))
        return self.joined(_total, *parts)

    def atom(self, atom: Index | Quotient | Remainder | Lookup) -> Value:
        match atom:
            case Index():
                return (atom,), np.arange(self.extent(atom))
            case Quotient(value, divisor):
                axes, inner = self.sub(value)
                return axes, inner // max(1, value_of(divisor, self.sizes))
            case Remainder(value, divisor):
                axes, inner = self.sub(value)
                return axes, inner % max(1, value_of(divisor, self.sizes))
            case Lookup(access):
                axes, inner = self.value(access)
                return axes, np.where(np.isfinite(inner), inner, -1).astype(np.int64)

    def access(self, node: Access) -> Value:
        array = self.arrays.get(node.tensor)
        if array is None or array.ndim != len(node.subs):
            raise CheckError(f"{node.tensor.name} has no value here")
        plain = [sub.index for sub in node.subs]
        if None not in plain and len(set(plain)) == len(plain):
            axes = tuple(i for i in plain if i is not None)
            if tuple(self.extent(i) for i in axes) == array.shape:
                order = sorted(axes, key=lambda i: i.key)
                return tuple(order), array.transpose([axes.index(i) for i in order])
        if not node.subs:
            return (), array[()]
        fixed = [sub.const.literal if not sub.terms else None for sub in node.subs]
        indexed = [i for i in plain if i is not None]
        if (
            all(i is not None or n is not None for i, n in zip(plain, fixed, strict=True))
            and len(set(indexed)) == len(indexed)
            and all(
                (0 <= n < size) if n is not None else i is not None and self.extent(i) == size
                for i, n, size in zip(plain, fixed, array.shape, strict=True)
            )
        ):
            part = array[tuple(slice(None) if n is None else n for n in fixed)]
            order = sorted(indexed, key=lambda i: i.key)
            return tuple(order), part.transpose([indexed.index(i) for i in order])
        every, places = self.aligned([self.sub(sub) for sub in node.subs])
        inside: Any = True
        moved = []
        for place, n in zip(places, array.shape, strict=True):
            inside = inside & (place >= 0) & (place < n)
            moved.append(np.clip(place, 0, max(0, n - 1)))
        if 0 in array.shape:
            raise TooLarge
        found = array[tuple(moved)]
        return every, found if np.all(inside) else np.where(inside, found, np.nan)

    def opaque(self, node: Opaque) -> Value:
        arrays = [self.arrays[t] for t in node.operands]
        flat = [(a.shape, np.asarray(a, np.float64).ravel().tolist()) for a in arrays]
        batch = arrays[0].shape[: batch_axes(node.operation, len(node.operands[0].shape))]
        index = node.subs[-1].index if node.subs else None
        last = 0 if index is None else self.extent(index)
        rows = [
            opaque(FLOAT, node.operation, flat, place, last)
            for place in product(*map(range, batch))
        ]
        whole = np.asarray(rows)
        whole = whole.reshape((*batch, *whole.shape[1:]))
        axes = [sub.index for sub in node.subs]
        if None in axes or len(set(axes)) != len(axes):
            raise CheckError("an operation is read at its statement's indices")
        order = sorted((i for i in axes if i is not None), key=lambda i: i.key)
        return tuple(order), whole.transpose([axes.index(i) for i in order])


@dataclass
class Step(Grid):
    """One place of a recurrence: the indices that it steps along have only this place."""

    places: dict[Index, int] = field(default_factory=dict)

    def extent(self, index: Index) -> int:
        return 1 if index in self.places else super().extent(index)

    def atom(self, atom: Index | Quotient | Remainder | Lookup) -> Value:
        if isinstance(atom, Index) and atom in self.places:
            return (atom,), np.array([self.places[atom]])
        return super().atom(atom)


_READS: dict[Tree, frozenset[Tensor]] = {}


def reads(node: Tree) -> frozenset[Tensor]:
    """The tensors that a node reads."""
    found = _READS.get(node)
    if found is None:
        if len(_READS) > 100_000:
            _READS.clear()
        found = _READS[node] = frozenset(tensors(node))
    return found


def _total(*parts: Any) -> Any:
    out = parts[0] if parts else 0.0
    for part in parts[1:]:
        out = out + part
    return out


def _multiplied(*parts: Any) -> Any:
    out = parts[0]
    for part in parts[1:]:
        out = out * part
    return out


def _power(base: Any, exponent: Any) -> Any:
    base = np.asarray(base, np.float64)
    if exponent.denominator == 1:
        return base**exponent.numerator if exponent > 0 else 1 / base**-exponent.numerator
    if exponent.denominator == 2:
        return _power(np.sqrt(base), exponent * 2)
    return base ** float(exponent)


def function_of(name: str) -> Any:
    """A scalar function on arrays: NumPy's, or one element at a time where there is none."""
    row = TABLE[name]
    if row.numpy.startswith("np.") and hasattr(np, row.numpy[3:]):
        return getattr(np, row.numpy[3:])
    return np.vectorize(FLOAT_VALUES[name], otypes=[float])


COMPARE: dict[str, Any] = {
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
REDUCE: dict[str, Any] = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}
