"""Roots at 0, where their slope is infinite.

A *norm* is the root of a sum of terms that are at least 0 and vanish so fast that the root has
slopes on both sides: ``(|x|^3 + |y|^3)^(1/3)``. Where it is 0 its gradient is taken as 0, the mean
of these slopes, unless the convention says otherwise.

Any other root is infinitely steep where it is 0, and so is its gradient, but for what the chain
rule multiplies by 0 there: ``sqrt(x*y)`` is 0 for all x where y is 0, so its derivative by x is 0
and not ``0*inf``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

from ..functions import ROOTS, TABLE
from ..ir.expr import ZERO, Access, Add, Apply, Compare, Cond, Expr, Number, Opaque, SizeOf, Tensor
from ..ir.program import Define
from ..ir.subscripts import at
from ..ir.walk import substitute
from .conventions import chosen
from .normal import Factor, Poly, Term, nonnegative_atom, poly

ONE = Fraction(1)
NOUGHT = Fraction(0)
ROUNDING = Fraction(1, 2**40)  # 3 times the float 1/3 is less than 1


class Roots:
    """The roots in a flat program."""

    def __init__(
        self,
        definitions: Mapping[Tensor, Define],
        active: Callable[[Tensor], bool],
        conventions: Mapping[str, str],
    ) -> None:
        self.definitions = dict(definitions)
        self.active = active
        self.guarded = chosen(conventions, "norm") == "zero"
        self._degrees: dict[tuple[Tensor, tuple[int, ...]], Fraction | None] = {}
        floats = [s for s in self.definitions.values() if s.target.kind == "float"]
        self.divisors = {
            a.tensor
            for s in floats
            for t in poly(s.body)
            for a, e in t.factors
            if isinstance(a, Access) and e < 0 and not t.guards
        }
        self.steep = self._steep() if self.guarded else frozenset()

    def is_norm(self, atom: Expr, exponent: Fraction, root: Access | None) -> bool:
        """Whether a power of an atom, named ``root``, takes the norm's convention at 0.

        Where something is divided by it the forward pass itself is undefined at 0, and a convention
        for that point would be idle.
        """
        if not self.guarded or not 0 < exponent < 1:
            return False
        if root is not None and root.tensor in self.divisors:
            return False
        degree = self.degree(atom)
        return degree is not None and degree * exponent > 1 - ROUNDING

    def degree(self, value: Expr) -> Fraction | None:
        """The power of the distance with which a value that is at least 0 goes to 0, None where it
        isn't seen to be at least 0, or to get there."""
        if not isinstance(value, Access):
            return self._degree_of(value)
        first = tuple(map(value.subs.index, value.subs))  # a diagonal has a subscript twice
        key = value.tensor, first
        if key not in self._degrees:
            self._degrees[key] = None  # while it is being looked at
            define = self.definitions.get(value.tensor)
            if define is not None:
                own = {i: at(define.indices[n]) for i, n in zip(define.indices, first, strict=True)}
                self._degrees[key] = self._degree_of(substitute(define.body, own))  # type: ignore[arg-type]
        return self._degrees[key]

    def _degree_of(self, body: Expr) -> Fraction | None:
        match body:
            case Apply("abs", (x,)) | Apply("maximum", (x, Number(0, ""))):
                return self._degree(x, ONE, signed=False)
            case Apply() | Opaque():
                return None
        found = []
        for part in poly(body):
            degrees = [self._degree(a, e) for a, e in part.factors]
            known = [d for d in degrees if d is not None]
            reads = any(isinstance(a, Access) for a, _ in part.factors)
            if part.coef <= 0 or not reads or len(known) < len(degrees):
                return None
            if any(self._moves(a) for a, _ in part.factors):
                found.append(sum(known, NOUGHT))
        return min(found, default=None)

    def _moves(self, atom: Expr) -> bool:
        return isinstance(atom, Access) and self.active(atom.tensor)

    def _degree(self, atom: Expr, exponent: Fraction, signed: bool = True) -> Fraction | None:
        """The share of a factor in the degree of its product."""
        if not isinstance(atom, Access):
            return NOUGHT if exponent % 2 == 0 or nonnegative_atom(atom) else None
        inner = self.degree(atom)
        if signed and inner is None and exponent % 2 != 0:
            return NOUGHT if self.is_positive(atom) else None
        if exponent < 0 or not self._moves(atom):
            return NOUGHT
        return exponent * (ONE if inner is None else inner)

    # Steep roots.

    def _steep(self) -> frozenset[Tensor]:
        """The values of whose roots the slope is infinite where they are 0, and what is multiplied
        with others to get them."""
        left = [
            atom.tensor
            for s in self.definitions.values()
            if s.target.kind == "float" and s.target not in self.divisors
            for atom, e in _powers(s.body)
            if isinstance(atom, Access)
            and 0 < e < 1
            and not self.is_norm(atom, e, s.access)
            and not self.is_positive(atom)
        ]
        found: set[Tensor] = set()
        while left:
            tensor = left.pop()
            if tensor in found:
                continue
            found.add(tensor)
            define = self.definitions.get(tensor)
            for part in poly(define.body) if define is not None else ():
                reads = [(a.tensor, e) for a, e in part.factors if isinstance(a, Access)]
                if not part.bound or len(reads) == 1:
                    left += [t for t, e in reads if e == 1]
        return frozenset(found)

    def present(self, target: Tensor, partial: Term) -> list[Cond]:
        """Where a partial derivative of a value isn't 0, if where it is 0 counts: under a root."""
        if target not in self.steep:
            return []
        return [
            Compare("!=", atom, ZERO)
            for atom, e in partial.factors
            if e > 0 and not self.is_positive(atom)
        ]

    def is_positive(self, atom: Expr) -> bool:
        """Whether a value is seen to be greater than 0."""
        match atom:
            case SizeOf():
                return True
            case Number(value, special):
                return value > 0 or special == "inf"
            case Apply(function, _):
                return TABLE[function].positive
            case Access(tensor, _):
                define = self.definitions.get(tensor)
                if define is None or isinstance(define.body, Opaque):
                    return False
                if isinstance(define.body, Apply):
                    return self.is_positive(define.body)
                return self._is_positive_sum(poly(define.body))
            case Add():
                return self._is_positive_sum(poly(atom))
            case _:
                return False

    def is_nonnegative(self, atom: Expr) -> bool:
        """Whether a value is seen to be at least 0."""
        if isinstance(atom, Apply) and self._degree_of(atom) is not None:
            return True
        return self._degree(atom, ONE) is not None

    def _is_positive_sum(self, parts: Poly) -> bool:
        return any(map(self._is_positive_term, parts)) and all(
            t.coef > 0 and all(e % 2 == 0 or self.is_nonnegative(a) for a, e in t.factors)
            for t in parts
        )

    def _is_positive_term(self, part: Term) -> bool:
        return not part.guards and all(self.is_positive(a) for a, _ in part.factors)


def _powers(body: Expr) -> Iterator[Factor]:
    """The factors in a body, and the power that a function is."""
    match body:
        case Apply(function, (argument,)) if function in ROOTS:
            yield argument, ROOTS[function]
        case _:
            for part in poly(body):
                yield from part.factors
