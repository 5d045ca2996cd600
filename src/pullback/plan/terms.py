"""Terms and their factors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..ir.expr import Access, Expr, Guard, Mul, Number, add, neg
from ..ir.subscripts import Index, inside
from ..ir.walk import free_indices


def in_bounds(access: Access) -> bool:
    """Whether a read is in bounds everywhere."""
    shape = access.tensor.shape
    return all(inside(sub, n, ()) for sub, n in zip(access.subs, shape, strict=True))


def flat_factors(expr: Expr) -> list[Expr]:
    """The factors of a product, those of nested products without guards included."""
    if not isinstance(expr, Mul):
        return [expr]
    found: list[Expr] = []
    for factor in expr.factors:
        nested = flat_factors(factor)
        guarded = any(isinstance(f, Guard) for f in nested) and isinstance(factor, Mul)
        found.extend([factor] if guarded else nested)
    return found


def small_first(terms: Sequence[Expr]) -> list[Expr]:
    """The terms of a sum, those with fewer indices than all of them have as one term: ``x[i,j] +
    r[i] - s[i]`` as ``x[i,j] + (r[i] - s[i])``, a pass over all elements less."""
    left = list(terms)
    every = _indices(left)
    small = [t for t in left if _indices([t]) != every]
    alike = ([t for t in small if _indices([t]) == _indices([one])] for one in small)
    for group in (small, *alike):
        if 1 < len(group) < len(left) and _indices(group) != every:
            rest = [t for t in left if t not in group]
            signs = [split_sign(t) for t in group]
            subtracted = all(sign < 0 for sign, _ in signs)
            made = neg(add(*(t for _, t in signs))) if subtracted else add(*group)
            return small_first([*rest, made])
    return left


def _indices(terms: Iterable[Expr]) -> set[Index]:
    return {i for term in terms for i in free_indices(term)}


def split_sign(expr: Expr) -> tuple[int, Expr]:
    """A term as a sign and the rest, so that ``-1 * x`` prints as a subtraction."""
    match expr:
        case Number(value, "") if value < 0:
            return -1, Number(-value, "")
        case Mul(factors):
            for n, factor in enumerate(factors):
                if isinstance(factor, Number) and not factor.special and factor.value < 0:
                    rest = [*factors[:n], *factors[n + 1 :]]
                    if factor.value != -1:
                        rest.insert(n, Number(-factor.value, ""))
                    return -1, rest[0] if len(rest) == 1 else Mul(tuple(rest))
        case _:
            pass
    return 1, expr
