"""What is finite wherever its inputs are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..ir.expr import (
    Access,
    Apply,
    Expr,
    Guard,
    IndexOf,
    Number,
    Opaque,
    Reduce,
    Select,
    SizeOf,
    Tensor,
)
from ..ir.program import Define
from .arguments import LOGARITHMS
from .normal import Factor, expression, poly
from .roots import Roots


class Calm:
    """``spelled_out`` gives what defines an element at its places, None where nothing does."""

    def __init__(
        self,
        definitions: Mapping[Tensor, Define],
        spelled_out: Callable[[Expr], Expr | None],
        roots: Roots,
    ) -> None:
        self.definitions = definitions
        self.spelled_out = spelled_out
        self.roots = roots
        self._known: dict[tuple[Tensor, frozenset[str]], bool] = {}

    def product(self, factors: Sequence[Factor], functions: frozenset[str]) -> bool:
        """Whether a product is finite wherever its inputs are, short of an overflow, given that
        these functions are."""
        return all(
            self._is_calm(atom, functions)
            and ((e > 0 and e.denominator == 1) or self.roots.is_positive(atom))
            for atom, e in factors
        )

    def _is_calm(self, atom: Expr, functions: frozenset[str]) -> bool:
        match atom:
            case Number(_, special):
                return not special
            case SizeOf() | IndexOf() | Guard():
                return True
            case Access(tensor, _):
                key = tensor, functions
                if key not in self._known:
                    self._known[key] = False  # a recurrence may grow without end
                    define = self.definitions.get(tensor)
                    self._known[key] = define is None or self._is_calm(define.body, functions)
                return self._known[key]
            case Apply("log1p", (x,)) if self.roots.is_nonnegative(x):
                return self._is_calm(x, functions)
            case Apply(name, (x,)) if name in LOGARITHMS and self.is_away(x):
                return self._is_calm(x, functions)
            case Apply(function, args):
                return function in functions and all(self._is_calm(a, functions) for a in args)
            case Select(_, then, other):
                return self._is_calm(then, functions) and self._is_calm(other, functions)
            case Reduce(_, _, _, body):
                return self._is_calm(body, functions)
            case Opaque():
                return False
            case _:
                return all(self.product(part.factors, functions) for part in poly(atom))

    def is_away(self, value: Expr) -> bool:
        """Whether a value is seen to be greater than some constant that is greater than 0."""
        parts = poly(self.spelled_out(value) or value)
        constant = any(not (t.guards or t.factors) for t in parts)
        return constant and self.roots.is_positive(expression(parts))
