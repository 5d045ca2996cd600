"""Sums of terms that are added anyway: ``Σ_j A[i,j] + Σ_j A[j,i]`` beside ``Σ_j (A[i,j] +
A[j,i])·X[j,k]`` is the sum over j of one array, which both read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..ir.expr import Access, Add, Expr, Guard, Mul, Reduce, add
from ..ir.program import Define
from ..ir.recurrence import in_order, recurrent
from ..ir.subscripts import Index, at
from ..ir.walk import Tree, accesses, bottom_up, free_indices, nodes
from .flatten import alpha
from .linear import Linear
from .normal import in_bounds
from .share import named_value


@dataclass(frozen=True)
class _Added:
    """A sum of terms that a product is summed with, and the indices that this runs over."""

    value: Add
    bound: tuple[Index, ...]

    @property
    def sums(self) -> list[Tree]:
        """The sum of each term over these indices, whatever they are called."""
        return [alpha(Reduce("sum", self.bound, (), term)) for term in self.value.terms]


def summed_together(statements: Sequence[Define], linear: Linear) -> list[Define]:
    """The statements, arrays named that are added for a product and summed term by term beside it,
    in an order in which they can run."""
    steps = recurrent(statements)
    out: list[Define] = []
    for s in statements:
        for found in () if s.target in steps else tuple(dict.fromkeys(_added(s.body))):
            if not any(_parts(node, found) for node in nodes(s.body)):
                continue
            made = replace(named_value(found.value, "shared", s, linear), of="")
            out.append(made)
            s = _with(s, found, Access(made.target, tuple(map(at, made.indices))))
        out.append(s)
    return in_order(out) if len(out) > len(statements) else list(statements)


def _added(body: Expr) -> Iterator[_Added]:
    """The sums of terms that an expression multiplies with and sums over, as arrays: each of them
    no larger than one that is read."""
    bound = {i for node in nodes(body) if isinstance(node, Reduce) for i in node.indices}
    for node in nodes(body):
        match node:
            case Reduce("sum", indices, (), Mul(factors)) if not _is_guarded(factors):
                for value in factors:
                    free = set(free_indices(value))
                    own = tuple(i for i in indices if i in free)
                    if (
                        isinstance(value, Add)
                        and len(own) == len(indices)
                        and free.intersection(bound) == set(own)
                        and any(free.issubset(free_indices(a)) for a in accesses(value))
                        and in_bounds(value)
                    ):
                        yield _Added(value, own)


def _is_guarded(factors: Sequence[Expr]) -> bool:
    return any(isinstance(factor, Guard) for factor in factors)


def _parts(node: Tree, found: _Added) -> list[Expr]:
    """The parts of a sum that are the sums of all terms; none where one is missing."""
    if not isinstance(node, Add):
        return []
    left = {alpha(part): part for part in node.terms if isinstance(part, Reduce)}
    wanted = found.sums
    if len(set(wanted)) < len(wanted) or not all(key in left for key in wanted):
        return []
    return [left[key] for key in wanted]


def _with(statement: Define, found: _Added, read: Access) -> Define:
    """The statement with the array read in place of its terms, and of their sums."""

    def change(node: Tree) -> Tree:
        if node is found.value:
            return read
        parts = _parts(node, found)
        if not parts or not isinstance(node, Add):
            return node
        return add(*(t for t in node.terms if t not in parts), Reduce("sum", found.bound, (), read))

    body = bottom_up(statement.body, change)
    return replace(statement, body=body)  # type: ignore[arg-type]
