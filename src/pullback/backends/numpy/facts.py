"""What is known of the integers that lookups give: reads that the forward pass makes, and args."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...ir.expr import Arg, Tensor
from ...ir.program import Define
from ...ir.sizes import Size
from ...ir.subscripts import Index, Lookup, Subscript, at, constant, inside
from ...ir.walk import accesses


@dataclass
class Facts:
    """``read`` holds the integer tensors that index an axis of that extent somewhere, so that their values are
    inside it; ``below`` an upper bound of the values of args."""

    read: set[tuple[Tensor, Size]] = field(default_factory=set)
    below: dict[Tensor, Size] = field(default_factory=dict)

    def learn(self, statements: Iterable[Define]) -> None:
        """Takes in what statements imply."""
        for define in statements:
            if isinstance(define.body, Arg):
                index = define.body.indices[define.body.which]
                self.below[define.target] = index.extent
            for access in accesses(define.body):
                for sub, extent in zip(access.subs, access.tensor.shape, strict=True):
                    if isinstance(sub.atom, Lookup):
                        self.read.add((sub.atom.access.tensor, extent))

    def inside(self, sub: Subscript, extent: Size) -> bool:
        """Whether ``0 <= sub < extent`` is known."""
        if isinstance(sub.atom, Lookup) and (sub.atom.access.tensor, extent) in self.read:
            return True
        return inside(self.bounded(sub), extent, ())

    def bounded(self, sub: Subscript) -> Subscript:
        """The subscript with args as indices of their range, for proofs about bounds."""
        total = constant(sub.const)
        for n, (atom, factor) in enumerate(sub.terms):
            if isinstance(atom, Lookup) and atom.access.tensor in self.below:
                atom = Index(f"lookup {n}", self.below[atom.access.tensor])
            total = total + at(atom) * factor
        return total
