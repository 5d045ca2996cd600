"""Values on either side of a zero: kinks and steps of one argument, resolved.

Where u > 0 ``max(max(u, 0), 0) + min(u, 0)`` is ``u``, and so it is where u < 0: each kink and each
step whose argument has a known sign there is what it is on that side, however deep it stands. Two
sides that are the same formula have no kink between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product, starmap

from ..ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Apply,
    Compare,
    Cond,
    Expr,
    Guard,
    IndexOf,
    Mul,
    Not,
    Number,
    Power,
    Select,
    SizeOf,
    Tensor,
    mul,
    neg,
)
from ..ir.program import Define
from ..ir.walk import accesses
from .normal import Factor, Poly, Term, collect, expression, poly, rational_power, term
from .roots import Roots

Signs = frozenset[int]
ANY: Signs = frozenset((-1, 0, 1))
NONNEGATIVE: Signs = frozenset((0, 1))
NONPOSITIVE: Signs = frozenset((-1, 0))
HALF = Fraction(1, 2)
ORDERED: dict[str, Callable[..., int]] = {  # the sign of the value is that of the signs
    "abs": abs,
    "maximum": max,
    "minimum": min,
    "clip": lambda x, low, high: min(max(x, low), high),
}
MOST = 6  # kinks and steps that are looked at in one value


class Sides:
    """``argument`` gives a value up to a positive number and its sign, ``definition`` what defines
    an element with its places put in (None for what isn't defined element by element), ``spelled``
    a condition by what it says, ``depends`` whether a value is differentiated, and ``signed`` the
    functions that have the sign of their argument."""

    def __init__(
        self,
        argument: Callable[[Expr], tuple[Poly, int]],
        definition: Callable[[Access], Define | None],
        placed: Callable[[Define, Access, Expr], Expr],
        spelled: Callable[[Cond], Cond],
        depends: Callable[[Expr], bool],
        signed: frozenset[str],
        roots: Roots,
    ) -> None:
        self.argument = argument
        self.definition = definition
        self.placed = placed
        self.spelled = spelled
        self.depends = depends
        self.signed = signed
        self.roots = roots
        self._knots: dict[Tensor, tuple[Expr, ...]] = {}
        self._jumping: dict[Tensor, bool] = {}
        self._signs: dict[tuple[Expr, Poly, int], Signs] = {}
        self._values: dict[tuple[Expr, Poly, int], Expr] = {}

    # Where a value has kinks and steps.

    def own(self, value: Expr) -> list[Expr]:
        """The arguments at whose zeros a formula has a kink or a step, those of the values that it
        reads apart."""
        return [*dict.fromkeys(filter(self._moves, self._own(value)))]

    def _moves(self, knot: Expr) -> bool:
        return self.depends(knot) and not self._is_step(knot)

    def meet(self, value: Expr, zero: Poly) -> bool:
        """Whether several kinks and steps have their signs by that of one argument."""
        own = [k for k in self._own(value) if self._moves(k) and self.is_known(k, zero)]
        inner = [a for a in _read(value) if any(self.is_known(k, zero) for k in self.behind(a))]
        return len(own) + len(inner) > 1

    def _own(self, value: Expr) -> list[Expr]:
        match value:
            case Apply(function, args):
                return [*_arguments(function, args), *(k for a in args for k in self._own(a))]
            case Guard(cond):
                return self._of_condition(cond)
            case Select(cond, then, other):
                return [*self._of_condition(cond), *self._own(then), *self._own(other)]
            case Add(parts) | Mul(parts):
                return [k for part in parts for k in self._own(part)]
            case Power(base, exponent):
                root = self.root(base, exponent)
                return [*self._own(base), *([] if root is None else [root])]
            case Access() if self._is_step(value):
                return self.behind(value)
            case _:
                return []

    def _is_step(self, value: Expr) -> bool:
        """Whether a value changes by jumps alone."""
        match value:
            case Number() | SizeOf() | IndexOf() | Guard() | Apply("sign" | "heaviside", _):
                return True
            case Access(tensor, _):
                if tensor not in self._jumping:
                    self._look_at(value)
                return self._jumping[tensor]
            case Apply(_, args) | Add(args) | Mul(args):
                return all(map(self._is_step, args))
            case Power(base, _):
                return self._is_step(base)
            case Select(_, then, other):
                return self._is_step(then) and self._is_step(other)
            case _:
                return False

    def _look_at(self, value: Access) -> None:
        """Finds out whether a value changes by jumps alone, after the values that it is made of:
        one after the other, since they may be hundreds, each made of the one before."""
        left = [(value, False)]
        while left:
            access, ready = left.pop()
            define = self.definition(access)
            if ready:
                assert define is not None
                self._jumping[access.tensor] = self._is_step(define.body)
            elif access.tensor not in self._jumping:
                whole = access.tensor.kind != "float" or not self.depends(access)
                self._jumping[access.tensor] = whole  # False while it is being looked at
                if not whole and define is not None:
                    left.append((access, True))
                    left += [(inner, False) for inner in accesses(define.body)]

    def _of_condition(self, cond: Cond) -> list[Expr]:
        match self.spelled(cond):
            case Compare(_, left, right) | Not(Compare(_, left, right)) if left is not right:
                return [difference(right, left)]
        return []

    def within(self, value: Expr) -> list[Expr]:
        """The arguments of all kinks and steps that a value is made of, element by element."""
        found = dict.fromkeys(self.own(value))
        for access in _read(value):
            found.update(dict.fromkeys(self.behind(access)))
        return [*found]

    def behind(self, access: Access) -> list[Expr]:
        """The arguments of the kinks and steps that an element is made of."""
        define = self.definition(access)
        if define is None:
            return []
        if access.tensor not in self._knots:
            self._knots[access.tensor] = ()  # while it is being looked at
            found = self.within(define.body)
            self._knots[access.tensor] = tuple(found) if len(found) <= MOST else ()
        return [self.placed(define, access, knot) for knot in self._knots[access.tensor]]

    # What a value is on one side.

    def on(self, value: Expr, zero: Poly, side: int) -> Expr:
        """A value where the argument ``zero`` has the sign ``side``."""
        key = value, zero, side
        if key not in self._values:
            self._values[key] = self._on(value, zero, side)
        return self._values[key]

    def _on(self, value: Expr, zero: Poly, side: int) -> Expr:
        def there(inner: Expr) -> Expr:
            return self.on(inner, zero, side)

        match value:
            case Access():
                define = self.definition(value)
                if define is None or not any(
                    self.is_known(knot, zero) for knot in self.behind(value)
                ):
                    return value
                return there(self.placed(define, value, define.body))
            case Apply(function, args):
                return self._applied(function, tuple(map(there, args)), zero, side)
            case Guard(cond):
                return self._chosen(cond, ONE, ZERO, zero, side) or value
            case Select(cond, then, other):
                then, other = there(then), there(other)
                return self._chosen(cond, then, other, zero, side) or Select(cond, then, other)
            case Add(parts):
                return Add(tuple(map(there, parts)))
            case Mul(parts):
                return Mul(tuple(map(there, parts)))
            case Power(base, exponent):
                base = there(base)
                root = self.root(base, exponent)
                return Power(base, exponent) if root is None else self._abs(root, zero, side)
            case _:
                return value

    def is_known(self, knot: Expr, zero: Poly) -> bool:
        """Whether a sign is known on both sides of a zero, and by the zero."""
        above, at, below = (self.signs(knot, zero, side) for side in (1, 0, -1))
        return ANY not in (above, below) and not above == at == below

    def _chosen(self, cond: Cond, then: Expr, other: Expr, zero: Poly, side: int) -> Expr | None:
        """What a condition chooses, None where that isn't known."""
        match self.spelled(cond):
            case Not(Compare() as inner):
                return self._chosen(inner, other, then, zero, side)
            case Compare(op, left, right) if left is not right:
                signs = self.signs(difference(right, left), zero, side)
                holds = {
                    "<": {1},
                    "<=": {0, 1},
                    "==": {0},
                    "!=": {-1, 1},
                }[op]
                if signs <= holds:
                    return then
                if not signs & holds:
                    return other
        return None

    def _applied(self, function: str, args: tuple[Expr, ...], zero: Poly, side: int) -> Expr:
        match function, args:
            case "abs", (x,):
                return self._abs(x, zero, side)
            case "hypot", (x, y) if self.roots.guarded and ZERO in (x, y):
                return self._abs(x if y is ZERO else y, zero, side)
            case "maximum" | "minimum", (x, y):
                signs = self.signs(difference(x, y), zero, side)
                first, second = (x, y) if function == "maximum" else (y, x)
                if signs <= NONNEGATIVE:
                    return first
                if signs <= NONPOSITIVE:
                    return second
            case "clip", (x, low, high):
                if self.signs(difference(x, high), zero, side) <= NONNEGATIVE:
                    return high
                signs = self.signs(difference(x, low), zero, side)
                if signs <= NONPOSITIVE:
                    return self._applied("minimum", (low, high), zero, side)
                if signs <= NONNEGATIVE:
                    return self._applied("minimum", (x, high), zero, side)
                below = difference(x, high), difference(low, high)  # NumPy lets the bounds cross
                if all(self.signs(d, zero, side) <= NONPOSITIVE for d in below):
                    return Apply("maximum", (x, low))
            case "copysign", (x, y):
                if self.signs(x, zero, side) == {0}:
                    return ZERO
                signs = self.signs(y, zero, side)
                if len(signs) == 1 and 0 not in signs:
                    return mul(Number(Fraction(*signs), ""), self._abs(x, zero, side))
            case "sign", (x,):
                signs = self.signs(x, zero, side)
                if len(signs) == 1:
                    return Number(Fraction(*signs), "")
            case "heaviside", (x, level):
                signs = self.signs(x, zero, side)
                if len(signs) == 1:
                    return {-1: ZERO, 0: level, 1: ONE}[next(iter(signs))]
        return Apply(function, args)

    def _abs(self, x: Expr, zero: Poly, side: int) -> Expr:
        signs = self.signs(x, zero, side)
        if signs <= NONNEGATIVE:
            return x
        return neg(x) if signs <= NONPOSITIVE else Apply("abs", (x,))

    def root(self, base: Expr, exponent: Fraction) -> Expr | None:
        """What a root is the absolute value of: the root of a square."""
        if exponent != HALF or not self.roots.guarded:
            return None
        match poly(self._body(base)):
            case (only,) if only.factors and not only.bound:
                coef = rational_power(only.coef, HALF)
                if coef is not None and all(e % 2 == 0 and e > 0 for _, e in only.factors):
                    made = term(coef, (), only.guards, [(a, e * HALF) for a, e in only.factors])
                    return expression(collect([made]))
        return None

    def _body(self, value: Expr) -> Expr:
        if not isinstance(value, Access):
            return value
        define = self.definition(value)
        return value if define is None else self.placed(define, value, define.body)

    # Signs.

    def signs(self, value: Expr, zero: Poly, side: int) -> Signs:
        """The signs that a value may have where an argument has the sign ``side``."""
        key = value, zero, side
        if key not in self._signs:
            self._signs[key] = ANY  # while it is being looked at
            there = collect(map(_if_no_nan, poly(self.on(value, zero, side))))
            argument, turned = self.argument(expression(there))
            if argument == zero:
                self._signs[key] = frozenset((turned * side,))
            else:
                spread = _times(self._of_sum(argument, zero, side), frozenset((turned,)))
                self._signs[key] = spread & self._of_sum(there, zero, side) or ANY
        return self._signs[key]

    def _of_sum(self, value: Poly, zero: Poly, side: int) -> Signs:
        if any(part.bound for part in value):
            return ANY
        endless = [t for t in value if any(_is_endless(a) for a, _ in t.factors)]
        found = []
        for part in endless or value:
            own = frozenset((1 if part.coef > 0 else -1, *([0] if part.guards else [])))
            found.append(_times(self._of_product(part.factors, zero, side), own))
        return _sum(found)

    def _of_product(self, factors: Sequence[Factor], zero: Poly, side: int) -> Signs:
        out: Signs = frozenset((1,))
        for atom, exponent in factors:
            signs = self._of_atom(atom, zero, side)
            if exponent % 2 == 0:
                signs = frozenset(map(abs, signs))
            elif exponent.denominator != 1:
                signs = signs & NONNEGATIVE or ANY  # of what is negative nothing is said
            if 0 in signs and exponent < 0:
                signs = ANY
            out = _times(out, signs)
        return out

    def _of_atom(self, atom: Expr, zero: Poly, side: int) -> Signs:
        match atom:
            case Number(_, "-inf"):
                return frozenset((-1,))
        argument, turned = self.argument(atom)
        if argument == zero:
            return frozenset((turned * side,))
        if self.roots.is_positive(atom):
            return frozenset((1,))
        if self.roots.is_nonnegative(atom):
            return NONNEGATIVE
        match self._body(atom):
            case Apply(function, args):
                signs = [self.signs(x, zero, side) for x in args]
                if function in self.signed:
                    return signs[0]
                if function in ORDERED:
                    return frozenset(starmap(ORDERED[function], product(*signs)))
            case Add() | Mul() | Power() as body:
                return self.signs(body, zero, side)
        return ANY


def _arguments(function: str, args: tuple[Expr, ...]) -> list[Expr]:
    """The arguments at whose zeros a function has a kink or a step."""
    match function, args:
        case "abs" | "sign", (x,):
            return [x]
        case "heaviside", (x, _):
            return [x]
        case "maximum" | "minimum", (x, y):
            return [difference(x, y)]
        case "copysign", (x, y):
            return [x, y]
        case "hypot", (x, y) if ZERO in (x, y):
            return [x if y is ZERO else y]
        case "clip", (x, low, high):
            bounds = [b for b in (low, high) if not isinstance(b, Number) or not b.special]
            return [difference(x, bound) for bound in bounds]
        case _:
            return []


def _read(value: Expr) -> list[Access]:
    """The elements that a formula reads, those under sums and products over indices apart."""
    match value:
        case Access():
            return [value]
        case Apply(_, args):
            parts: Sequence[Expr] = args
        case Add(inner) | Mul(inner):
            parts = inner
        case Power(base, _):
            parts = [base]
        case Select(_, then, other):
            parts = [then, other]
        case _:
            parts = []
    return [access for part in parts for access in _read(part)]


def _is_endless(atom: Expr) -> bool:
    return isinstance(atom, Number) and atom.special in ("inf", "-inf")


def _if_no_nan(part: Term) -> Term | None:
    """A term without conditions that only a NaN fails, or None where it needs one."""
    if Not in map(type, part.guards):
        return part
    same = [c for c in part.guards if isinstance(c, Compare) and c.left is c.right]
    if any(c.op == "!=" for c in same):
        return None
    guards = [c for c in part.guards if c not in same]
    return term(part.coef, part.bound, guards, part.factors)


def difference(left: Expr, right: Expr) -> Expr:
    """``left - right``."""
    if right is ZERO:
        return left
    return neg(right) if left is ZERO else Add((left, neg(right)))


def _times(one: Signs, other: Signs) -> Signs:
    return frozenset(a * b for a in one for b in other)


def _sum(found: Sequence[Signs]) -> Signs:
    """The signs that a sum may have, given those of its terms."""
    every = frozenset().union(*found) if found else frozenset((0,))
    if not (every <= NONNEGATIVE or every <= NONPOSITIVE):
        return ANY
    sure = any(0 not in signs for signs in found)
    return every - {0} if sure else every
