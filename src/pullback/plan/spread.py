"""Sums that put values at computed subscripts: what is added where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..ir.expr import (
    Add,
    Cond,
    Divides,
    Expr,
    Guard,
    Inside,
    Reduce,
    Tensor,
    Zero,
    mul,
)
from ..ir.program import Define
from ..ir.sizes import Size
from ..ir.subscripts import Index, Quotient, Remainder, Subscript, at, indices_of
from ..ir.walk import (
    Tree,
    accesses,
    bound_indices,
    free_indices,
    fresh,
    nodes,
    substitute,
)
from .radix import joined
from .terms import flat_factors, in_bounds


@dataclass(frozen=True)
class Spread:
    """``target[subs] += factors`` summed over ``bound``, where ``conds`` hold.

    What lies outside the target is left out.
    """

    bound: tuple[Index, ...]
    shape: tuple[Size, ...]
    subs: tuple[Subscript, ...]
    conds: tuple[Cond, ...]
    factors: tuple[Expr, ...]

    @property
    def looked_up(self) -> bool:
        """Whether a place depends on data."""
        return any(not isinstance(atom, Index) for sub in self.subs for atom, _ in sub.terms)


def reads_quotients(define: Define) -> bool:
    """Whether a statement reads repeated elements, and there is another form of it, no longer,
    that doesn't."""
    if isinstance(define.scatter, Add) and not isinstance(define.body, Add):
        return False
    return define.scatter is not None and not _repeated(define.body) <= _repeated(define.scatter)


def _repeated(expr: Expr) -> set[Tensor]:
    """The tensors of which an expression reads each element several times, at a quotient. Beside
    its remainder this is a place of its own."""
    return {
        access.tensor
        for access in accesses(expr)
        for sub in joined(access.tensor.shape, access.subs)[1]
        for atom, _ in sub.terms
        if isinstance(atom, Quotient)
        and not sub.coefficient(Remainder(atom.value, atom.divisor)).terms
    }


def ties(define: Define) -> bool:
    """Whether some condition ties a target's index to an index that is summed over."""
    for node in nodes(define.body):
        if not isinstance(node, Reduce) or node.op != "sum":
            continue
        for factor in flat_factors(node.body):
            match factor:
                case Guard(Zero(sub) | Inside(sub, _) | Divides(_, sub)):
                    own = indices_of(sub)
                    tied = any(i in node.indices for i in own)
                    if tied and any(i in define.indices for i in own):
                        return True
                case _:
                    pass
    return False


def spread_of(term: Expr, indices: Sequence[Index]) -> Spread | None:
    """A term that adds values at computed subscripts; None for any other."""
    factors = flat_factors(term)
    factors = [_merged(f, indices) if isinstance(f, Reduce) else f for f in factors]
    sums = [f for f in factors if isinstance(f, Reduce) and f.op == "sum" and not f.domain]
    sums = [f for f in sums if any(isinstance(g, Guard) for g in flat_factors(f.body))]
    if len(sums) != 1:
        return None
    inner = flat_factors(sums[0].body)
    bound = sums[0].indices
    conds = [f.cond for f in (*factors, *inner) if isinstance(f, Guard)]
    others = [f for f in (*factors, *inner) if not isinstance(f, Guard) and f is not sums[0]]
    subs: list[Subscript] = []
    solved: dict[Index, Subscript] = {}
    for index in indices:
        place = _place(conds, index, bound)
        if place is not None:
            cond, value = place
            conds.remove(cond)
            solved[index] = value
        subs.append(solved.get(index, at(index)))
    if not solved or any(i in solved for sub in solved.values() for i in indices_of(sub)):
        return None  # a place that is looked up at another place is none of its own
    left = conds
    places = [Inside(value, index.extent) for index, value in solved.items()]
    moved = [substitute(f, solved) for f in others]
    if _all_inside(others):
        left = [c for c in conds if c not in places]
    asked = [substitute(c, solved) for c in left]
    pairs = zip((*moved, *asked), (*others, *left), strict=True)
    if not _all_inside([there for there, here in pairs if there is not here]):
        left = list(dict.fromkeys([*places, *left]))  # the places outside the target count
    return Spread(
        bound,
        tuple(i.extent for i in indices),
        tuple(subs),
        tuple(substitute(c, solved) for c in left),  # type: ignore[misc]
        tuple(moved),  # type: ignore[arg-type]
    )


def _all_inside(factors: Iterable[Tree]) -> bool:
    """Whether everything that is read is in bounds, whatever conditions stand around."""
    return all(in_bounds(access) for factor in factors for access in accesses(factor))


def _merged(expr: Reduce, indices: Sequence[Index]) -> Reduce:
    """A sum of products with sums inside that say where to put things as one sum."""
    if expr.op != "sum" or expr.domain:
        return expr
    factors = flat_factors(expr.body)
    for factor in factors:
        if not isinstance(factor, Reduce) or factor.op != "sum" or factor.domain:
            continue
        inner = _merged(factor, indices)
        guards = [f.cond for f in flat_factors(inner.body) if isinstance(f, Guard)]
        if not any(isinstance(c, Zero) and _ties(c, indices) for c in guards):
            continue
        rest = [f for f in factors if f is not factor]
        taken = {i.name for f in (*rest, expr) for i in (*free_indices(f), *bound_indices(f))}
        moved = {i: fresh(i, taken) for i in inner.indices}
        body = substitute(inner.body, {i: at(n) for i, n in moved.items()})
        whole = mul(*rest, *flat_factors(body))  # type: ignore[arg-type]
        return _merged(Reduce("sum", (*expr.indices, *moved.values()), (), whole), indices)
    return expr


def _ties(cond: Zero, indices: Sequence[Index]) -> bool:
    return any(i in indices for i in indices_of(cond.sub))


def _place(
    conds: Sequence[Cond], index: Index, bound: Sequence[Index]
) -> tuple[Cond, Subscript] | None:
    """The equality that says where ``index`` is, and where."""
    for cond in conds:
        if not isinstance(cond, Zero):
            continue
        factor = cond.sub.coefficient(index).literal
        if factor not in (1, -1):
            continue
        place = (cond.sub - at(index) * factor) * -factor
        own = indices_of(place)
        if index not in own and any(i in bound for i in own):
            return cond, place
    return None
