"""Terms and their factors."""

from __future__ import annotations

from ..ir.expr import Access, Expr, Guard, Mul, Number
from ..ir.subscripts import inside


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
