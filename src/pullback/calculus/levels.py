"""What values are where an argument is 0, as far as that is seen.

``exp(-|x|)`` is 1 where x is 0, so ``1/(1 + exp(-|x|)) - exp(-|x|)/(1 + exp(-|x|))`` is 0 there: a
selection between the two has no jump at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from ..ir.expr import Access, Apply, Expr, IndexOf, Number, Opaque, SizeOf, number
from ..ir.walk import accesses
from .normal import Factor, Poly, Term, collect, expression, multiply, poly, rational_power, term

ONE = Fraction(1)

# Functions that are 0 at 0, all else that is a fraction, and functions of fractions.
ODD = (
    *("expm1", "log1p", "tanh", "sinh", "arctan", "arcsinh", "erf", "cbrt"),
    *("sin", "tan", "arcsin", "arctanh", "deg2rad", "rad2deg"),
)
VALUES = {
    **dict.fromkeys(((name, Fraction(0)) for name in ODD), Fraction(0)),
    **dict.fromkeys(((name, Fraction(0)) for name in ("exp", "exp2", "cos", "cosh", "sinc")), ONE),
    **dict.fromkeys(((name, ONE) for name in ("log", "log2", "log10")), Fraction(0)),
    ("sigmoid", Fraction(0)): Fraction(1, 2),
}
EXACT: dict[str, Callable[..., Fraction]] = {
    "abs": abs,
    "maximum": max,
    "minimum": min,
    "clip": lambda x, low, high: min(max(x, low), high),
}


class Levels:
    """Values where arguments are 0.

    ``argument`` gives a value up to a positive number, spelled out; ``definition`` what defines an
    element with its indices put in, None for what isn't defined element by element.
    """

    def __init__(
        self,
        argument: Callable[[Expr], Poly],
        definition: Callable[[Expr], Expr | None],
    ) -> None:
        self.argument = argument
        self.definition = definition
        self._known: dict[tuple[Expr, Poly], Poly] = {}

    def at_zero(self, value: Expr, argument: Poly) -> Poly:
        """The value where an argument is 0; what isn't known there stays as it is."""
        key = value, argument
        if key not in self._known:
            self._known[key] = poly(value)  # while it is being looked at
            spread = self.argument(value)
            zero = spread == argument or not self._sum(spread, argument)
            self._known[key] = () if zero else self._of(value, argument)
            solved = _solved(argument)
            if solved is not None and value is solved[0]:
                self._known[key] = solved[1]
        return self._known[key]

    def _of(self, value: Expr, argument: Poly) -> Poly:
        body = self.definition(value) or value
        match body:
            case Apply(function, args):
                known = [_number(self.at_zero(a, argument)) for a in args if not _is_endless(a)]
                exact = _exact(function if len(known) == len(args) else _bound(args), known)
                return poly(value) if exact is None else poly(number(exact))
            case Access() | Number() | SizeOf() | IndexOf() | Opaque():
                return poly(value) if body is value else self.at_zero(body, argument)
        found = self._sum(poly(body), argument)
        return poly(value) if found == poly(body) else found

    def _sum(self, value: Poly, argument: Poly) -> Poly:
        return collect(t for part in value for t in self._product(part, argument))

    def _product(self, part: Term, argument: Poly) -> Poly:
        factors = [(self.at_zero(a, argument), (a, e)) for a, e in part.factors]
        if any(e > 0 and not level for level, (_, e) in factors):
            return ()
        if part.bound:
            return (part,)
        out = collect([term(part.coef, (), part.guards, ())])
        for level, factor in factors:
            out = multiply(out, _powered(level, factor))
        return out


def _solved(argument: Poly) -> tuple[Expr, Poly] | None:
    """A value that is in one term of an argument, and the rest of it where the argument is 0."""
    for part in argument:
        match part:
            case Term(coef, (), (), ((Access() as atom, 1),)):
                rest = [t for t in argument if t is not part]
                if all(atom not in accesses(a) for t in rest for a, _ in t.factors):
                    scale = collect([term(-1 / coef, (), (), ())])
                    return atom, multiply(scale, tuple(rest))
    return None


def _powered(level: Poly, factor: Factor) -> Poly:
    """A factor whose base is a value, which stays as it is where its power isn't known."""
    _, exponent = factor
    if exponent == 1:
        return level
    known = _number(level)
    power = rational_power(known, exponent) if known is not None else None
    if power is not None:
        return poly(number(power))
    return collect([term(ONE, (), (), [factor])])


def _number(value: Poly) -> Fraction | None:
    if not value:
        return Fraction(0)
    only = expression(value)
    return only.value if isinstance(only, Number) and not only.special else None


def _is_endless(value: Expr) -> bool:
    return isinstance(value, Number) and value.special in ("inf", "-inf")


def _bound(args: Sequence[Expr]) -> str:
    """What ``clip(x, low, high)`` is where one of its bounds bounds nothing."""
    match args:
        case [_, _, Number(_, "inf")]:
            return "maximum"
        case [_, Number(_, "-inf"), _]:
            return "minimum"
    return ""


def _exact(function: str, values: Sequence[Fraction | None]) -> Fraction | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return None
    if function in EXACT:
        return EXACT[function](*known)
    return VALUES.get((function, known[0]))
