"""The arguments of kinks and steps, by their signs.

``tanh(u)``, ``u**3`` and ``exp(u) - 1`` have the sign of u, and ``u**2``, ``abs(u)`` and
``cosh(u) - 1`` are 0 where u is: kinks of all of these meet at one place.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from ..ir.expr import Access, Apply, Expr, Power, SizeOf
from ..ir.program import Define
from .normal import UNIT, Factor, Poly, Term, collect, expression, multiply, poly, term
from .roots import Roots

UNITY = Fraction(1)
DEPTH = 8
TERMS = 16

# Functions that have the sign of their argument, and those that have where 1 is subtracted.
SIGNED = frozenset(["expm1", "log1p", "tanh", "sinh", "arctan", "arcsinh", "erf", "cbrt", "sign"])
NEARBY = SIGNED | {"sin", "tan", "arcsin", "arctanh"}  # where the argument is small
RISING = frozenset(["exp", "exp2"])
LOGARITHMS = frozenset(["log", "log2", "log10"])


class Arguments:
    """``definition`` gives what defines an element, ``placed`` a body of a statement where its
    target is read, ``without_kinks`` what defines a value, as one formula where it is the same on
    both sides of its kinks, ``signed`` the functions that have the sign of their argument."""

    def __init__(
        self,
        definition: Callable[[Expr], Define | None],
        placed: Callable[[Define, Access, Expr], Expr],
        without_kinks: Callable[[Define], Expr],
        roots: Roots,
        signed: frozenset[str] = SIGNED,
    ) -> None:
        self.definition = definition
        self.placed = placed
        self.without_kinks = without_kinks
        self.roots = roots
        self.signed = signed
        self._known: dict[Expr, tuple[Poly, int]] = {}
        self._nested = 0

    def argument(self, value: Expr) -> tuple[Poly, int]:
        """An argument as a sum of terms, up to a positive number, and the sign it is taken with."""
        if value not in self._known:
            spread = poly(value, True)
            for _ in range(DEPTH):
                more = self._same_sign(collect(t for part in spread for t in self._spread(part)))
                if more == spread or len(more) > TERMS:
                    break
                spread = more
            ordered = sorted(spread, key=lambda t: scaled(t, 1 / t.coef).key)
            scale = ordered[0].coef if ordered else UNITY
            own = tuple(scaled(t, 1 / scale) for t in ordered)
            self._known[value] = own, 1 if scale > 0 else -1
        return self._known[value]

    def zero(self, value: Expr) -> Poly:
        """A sum that is 0 where a value is, and has both signs there if any does: ``u`` for
        ``u**2``."""
        return self._radical(self.argument(value)[0])

    def _radical(self, argument: Poly) -> Poly:
        if is_square(argument):
            return self.argument(argument[0].factors[0][0])[0]
        return argument

    def _spread(self, part: Term) -> Poly:
        """A term with one value spelled out that is a sum of products."""
        for atom, exponent in part.factors:
            define = self.definition(atom)
            body = self.without_kinks(define) if define is not None and exponent == 1 else None
            if body is None or not all(map(_is_product, poly(body))):
                continue
            inner = poly(self.placed(define, atom, body))  # type: ignore[arg-type]
            rest = term(part.coef, part.bound, part.guards, (*part.factors, (atom, -UNITY)), False)
            return multiply(collect([rest]), inner)
        return (part,)

    def spelled_out(self, atom: Expr) -> Expr | None:
        """What defines an element, at its places."""
        define = self.definition(atom)
        return None if define is None else self.placed(define, atom, define.body)  # type: ignore[arg-type]

    def _same_sign(self, value: Poly) -> Poly:
        """A simpler sum with the sign of this one: ``u`` for ``tanh(u)``, ``u**3`` and ``exp(u) -
        1``, ``u**2`` for ``abs(u)``."""
        if self._nested >= DEPTH:
            return value
        self._nested += 1
        try:
            match sorted(value, key=lambda t: len(t.factors)):
                case [Term(_, (), (), (_, *_)) as only]:
                    return self._of_factors(only) or value
                case [Term(lower, (), (), ()), Term(coef, (), (), (factor,))]:
                    found = self._less_one(factor) if lower == -coef else None
                    return value if found is None else _scaled_all(found, coef)
                case [Term(_, (), (), (_, *_)), *_]:
                    return self._of_terms(value) or value
                case _:
                    return value
        finally:
            self._nested -= 1

    def _of_factors(self, part: Term) -> Poly | None:
        """A sum with the sign of a product whose factors are 0 where one argument is."""
        left = [f for f in part.factors if not self.roots.is_positive(f[0])]
        if not left:
            return _scaled_all((UNIT,), part.coef)
        if [e for _, e in left] == [UNITY]:
            found = self._of_function(left[0][0])
            return _scaled_all(poly(left[0][0]) if found is None else found, part.coef)
        zeros: dict[Poly, None] = {}
        sign, power = 1 if part.coef > 0 else -1, 0
        for atom, exponent in left:
            if exponent < 0:
                return None
            times = exponent.numerator if exponent.denominator == 1 else 1  # a root has the sign
            argument, turned = self.argument(atom)
            zeros[self._radical(argument)] = None
            sign *= turned**times
            power += times * (2 if is_square(argument) else 1)
        if len(zeros) > 1:
            return None
        (zero,) = zeros
        return _scaled_all(zero if power % 2 else _squared(zero), Fraction(sign))

    def _of_terms(self, value: Poly) -> Poly | None:
        """A sum with the sign of one whose terms all have the sign of one argument."""
        first: tuple[Poly, int] | None = None
        for part in value:
            found = self.argument(expression((part,)))
            if first not in (None, found):
                return None
            first = found
        return None if first is None else _scaled_all(first[0], Fraction(first[1]))

    def _of_function(self, atom: Expr) -> Poly | None:
        """A sum with the sign of a function, None where there is none."""
        match self.spelled_out(atom) or atom:
            case Apply(name, (inner,)) if name in self.signed:
                return poly(inner, True)
            case Apply(name, (inner,)) if name in LOGARITHMS:
                return collect([*poly(inner, True), scaled(UNIT, -UNITY)])
            case Apply("abs", (inner,)):
                return _squared(self.zero(inner))
        return None

    def _less_one(self, factor: Factor) -> Poly | None:
        """A sum with the sign of a factor less 1, None where there is none."""
        atom, exponent = factor
        if exponent == 1:
            match self.spelled_out(atom) or atom:
                case Apply(name, (inner,)) if name in RISING:
                    return poly(inner, True)
                case Apply("cosh", (inner,)):
                    return _squared(self.zero(inner))
                case Apply("cos", (inner,)) if self.signed is NEARBY:
                    return _scaled_all(_squared(self.zero(inner)), -UNITY)
                case Power(base, power):
                    atom, exponent = base, power
                case _:
                    return None
        odd = exponent.numerator % 2 == 1 and exponent.denominator == 1
        if not (odd and exponent > 0) and not self.roots.is_nonnegative(atom):
            return None
        less = collect([*poly(atom, True), scaled(UNIT, -UNITY)])
        return _scaled_all(less, UNITY if exponent > 0 else -UNITY)


def _is_product(value: Term) -> bool:
    return not value.guards and all(isinstance(a, Access | SizeOf) for a, _ in value.factors)


def is_square(value: Poly) -> bool:
    """Whether an argument is the square of another."""
    match value:
        case (Term(_, (), (), ((_, exponent),)),):
            return exponent == 2
    return False


def _squared(value: Poly) -> Poly:
    return collect([term(UNITY, (), (), [(expression(value), 2 * UNITY)])])


def _scaled_all(value: Poly, coef: Fraction) -> Poly:
    return collect(scaled(t, coef) for t in value)


def scaled(value: Term, coef: Fraction) -> Term:
    """A term times a number."""
    return Term(value.coef * coef, value.bound, value.guards, value.factors)
