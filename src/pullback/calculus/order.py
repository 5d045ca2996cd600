"""Maxima and minima of values whose order is known: ``maximum(v, v.min())`` is v.

They have no kink where both values are equal. A value is at most each of the elements that it is
the least of, and at most what it is the smaller one beside; the same holds the other way around,
and for their difference (``v - v.min()`` is at least 0).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..ir.expr import ZERO, Access, Apply, Expr, Number, Opaque, Reduce, Tensor, neg
from ..ir.program import Define
from ..ir.recurrence import recurrent
from ..ir.subscripts import Index, Subscript, inside
from ..ir.walk import substitute
from .normal import Poly, Term, collect, poly

DEPTH = 4  # values in values that are looked into


def without_known_maxima(statements: Sequence[Define]) -> list[Define]:
    """The statements, with maxima, minima, clipped and absolute values as the one value that they
    always are. NaN aside: it passes through a maximum from either side."""
    order = _Order(statements)
    found = [(s, order.simpler(s.body)) for s in statements]
    return [s if body is None else replace(s, body=body) for s, body in found]


class _Order:
    def __init__(self, statements: Sequence[Define]) -> None:
        steps = recurrent(statements)
        self.bodies: Mapping[Tensor, Define] = {
            s.target: s for s in statements if s.target not in steps
        }

    def simpler(self, body: Expr) -> Expr | None:
        """The argument that a choice between arguments always is."""
        match body:
            case Apply("maximum", (one, other)):
                return self._greater(one, other)
            case Apply("minimum", (one, other)):
                greater = self._greater(one, other)
                return None if greater is None else other if greater is one else one
            case Apply("clip", (value, low, high)):
                kept = self.at_most(low, value) and self.at_most(value, high)
                return value if kept else None
            case Apply("abs", (value,)) if self.at_most(ZERO, value):
                return value
        return None

    def _greater(self, one: Expr, other: Expr) -> Expr | None:
        if self.at_most(one, other):
            return other
        return one if self.at_most(other, one) else None

    def at_most(self, low: Expr, high: Expr, depth: int = DEPTH) -> bool:
        """Whether a value is known never to be greater than another."""
        if low is high:
            return True
        if isinstance(low, Number) and isinstance(high, Number):
            return not (low.special or high.special) and low.value <= high.value
        if depth == 0:
            return False
        down, up = self._body(low), self._body(high)
        if any(self.at_most(x, high, depth - 1) for x in self._all_above(down, high)):
            return True
        if any(self.at_most(low, x, depth - 1) for x in self._all_below(up, low)):
            return True
        return self._is_nonnegative(collect([*poly(up), *poly(neg(down))]), depth)

    def _all_above(self, body: Expr, high: Expr) -> Iterator[Expr]:
        """Values that one with this definition is never greater than."""
        match body:
            case Apply("minimum", args):
                yield from args
            case Apply("clip", (_, _, bound)):
                yield bound
            case Reduce("min") if _is_among(high, body):
                yield high

    def _all_below(self, body: Expr, low: Expr) -> Iterator[Expr]:
        """Values that one with this definition is never less than."""
        match body:
            case Apply("maximum", args):
                yield from args
            case Apply("clip", (_, bound, high)) if self.at_most(bound, high, 1):
                yield bound
            case Apply("abs", (value,)):
                yield value
                yield ZERO
            case Reduce("max") if _is_among(low, body):
                yield low

    def _is_nonnegative(self, value: Poly, depth: int) -> bool:
        """Whether a difference is one of two values in known order."""
        match sorted(value, key=lambda part: part.coef):
            case [
                Term(less, (), (), ((low, 1),)),
                Term(more, (), (), ((high, 1),)),
            ] if more == -less:
                return self.at_most(low, high, depth - 1)
        return False

    def _body(self, value: Expr) -> Expr:
        """What defines an element, where it is read; any other value itself."""
        define = self.bodies.get(value.tensor) if isinstance(value, Access) else None
        if define is None or isinstance(define.body, Opaque) or not isinstance(value, Access):
            return value
        return substitute(define.body, dict(zip(define.indices, value.subs, strict=True)))  # type: ignore[return-value]


def _is_among(value: Expr, extremum: Reduce) -> bool:
    """Whether a value is one of those whose least or greatest is taken."""
    inner = extremum.body
    if extremum.domain or not isinstance(inner, Access) or not isinstance(value, Access):
        return False
    if inner.tensor is not value.tensor:
        return False
    found: dict[Index, Subscript] = {}
    for pattern, sub in zip(inner.subs, value.subs, strict=True):
        index = pattern.index
        if index in extremum.indices:
            assert index is not None
            if found.setdefault(index, sub) != sub or not inside(sub, index.extent):
                return False
        elif pattern != sub:
            return False
    return True
