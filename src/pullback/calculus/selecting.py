"""Where a product is 0 because one of its factors is, under a condition that fails.

A condition on data (``[x[n] > 0]``) may hold nowhere: the sum of what it selects is 0 then, and
what is divided by this sum isn't finite. A program that reads the quotient under the condition
alone has a finite result, and must have finite gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from ..functions import FINITE, STEEP
from ..ir.expr import (
    Access,
    Apply,
    Cond,
    Expr,
    Not,
    Opaque,
    Power,
    Reduce,
    SizeOf,
    Tensor,
    Zero,
)
from ..ir.subscripts import Index, at, constant, isolated
from ..ir.walk import free_indices, nodes, substitute, tensors
from .guards import settle
from .normal import Factor


class Selections:
    """Which values select by data, and which divide by such values, by what defines them."""

    def __init__(self, bodies: Mapping[Tensor, Expr], is_away: Callable[[Expr], object]) -> None:
        self.bodies = bodies
        self.is_away = is_away  # from 0, whatever is selected
        self._selects: dict[Tensor, bool] = {}
        self._divides: dict[Tensor, bool] = {}

    def selects(self, tensor: Tensor) -> bool:
        """Whether a value depends on a condition on data."""
        self._learn()
        return self._selected(tensor)

    def divides(self, tensor: Tensor) -> bool:
        """Whether a value may be infinite, or undefined, because such a condition holds nowhere."""
        self._learn()
        return self._divides.get(tensor, False)

    def _learn(self) -> None:
        """Takes in what was defined since, in order: a chain of values may be long."""
        if len(self._selects) == len(self.bodies):
            return
        for tensor, body in self.bodies.items():
            if tensor not in self._selects:
                self._selects[tensor] = self._chooses(body)
                self._divides[tensor] = self._is_open(body)

    def _chooses(self, body: Expr) -> bool:
        conditions = (node for node in nodes(body) if isinstance(node, Cond))
        return any(tensors(c) for c in conditions) or any(map(self._selected, tensors(body)))

    def _selected(self, tensor: Tensor) -> bool:
        return self._selects.get(tensor, tensor.kind == "bool")

    def _is_open(self, body: Expr) -> bool:
        for node in nodes(body):
            match node:
                case Power(base, exponent) if exponent < 0:
                    found = self._chooses(base) and not self.is_away(base)
                case Apply(function, args) if function not in FINITE | STEEP:
                    found = any(map(self._chooses, args))
                case Reduce(op) if op in ("max", "min"):
                    found = self._chooses(node)
                case Opaque():
                    found = any(map(self._selected, node.operands))
                case _:
                    found = False
            if found:
                return True
        return any(self._divides.get(tensor, False) for tensor in tensors(body))


def is_zero_beside(
    holder: Access, factors: Iterable[Factor], cond: Cond, ask: Callable[[str, Tensor], object]
) -> bool:
    """Whether a product is 0 where a condition fails, given that one factor is: whether the others
    are finite.

    What lacks an index of the condition counts as finite where the condition holds somewhere along
    this index: where it isn't finite, the product isn't where the condition holds, either.
    """
    along, on_data = free_indices(cond), bool(tensors(cond))

    def is_finite(atom: Expr, exponent: Fraction) -> bool:
        lacking = [index for index in along if index not in free_indices(atom)]
        if any(_holds_somewhere(cond, index) for index in lacking):
            return True
        if not isinstance(atom, Access):
            return isinstance(atom, SizeOf)
        if ask("finite" if exponent > 0 else "away from 0", atom.tensor):
            return True
        if exponent > 0 and not on_data and ask("calm", atom.tensor):
            return True
        if not (lacking and on_data) or ask("divides by a selection", atom.tensor):
            return False
        return exponent > 0 or not ask("selects", atom.tensor)

    return all(atom is holder or is_finite(atom, exponent) for atom, exponent in factors)


def _holds_somewhere(cond: Cond, index: Index) -> bool:
    """Whether a condition is seen to hold at some value of an index, whatever else it reads: at the
    first or last, or where it is another index of the same extent. An inequality (``[i != j]``)
    holds somewhere along an axis of more than one element: shorter ones aren't thought of.
    """
    match cond:
        case Not(Zero(sub)) if isolated(sub, index) is not None:
            return True
    if tensors(cond):
        return False
    others = [i for i in free_indices(cond) if i.extent is index.extent]
    tried = [constant(0), constant(index.extent - 1), *map(at, others)]
    return any(settle((substitute(cond, {index: place}),), ()) == () for place in tried)  # type: ignore[arg-type]
