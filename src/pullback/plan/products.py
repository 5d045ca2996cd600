"""Products and quotients in an order in which what need not over- or underflow does not.

Arrays of few axes meet first. In a forward pass three or more factors are multiplied as they stand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import zip_longest
from math import prod

from ..ir.expr import Add, Expr, Mul, Number, Power, SizeOf
from ..ir.sizes import ONE, Size
from ..ir.subscripts import Index
from ..ir.walk import free_indices
from . import arrays
from .facts import is_product_of
from .laid import Laid
from .reads import Reading
from .terms import split_sign

HALF = Fraction(1, 2)
DIGITS = 30  # of a power of ten that floats of any width hold


@dataclass
class Products(Reading):
    """Products of expressions.

    ``guarded`` says how many conditions stand around: what is computed may be thrown away.
    ``quiet`` collects the warnings of such values.
    """

    guarded: int = 0
    quiet: dict[str, None] = field(default_factory=dict)

    def value(self, expr: Expr) -> Laid:
        """The array that holds an expression."""
        raise NotImplementedError

    @contextmanager
    def under(self) -> Iterator[None]:
        """Inside, what is computed may be thrown away."""
        self.guarded += 1
        yield
        self.guarded -= 1

    def risk(self) -> None:
        """Notes that a value which may be thrown away may be computed with a warning."""
        if self.guarded:
            self.quiet.update(dict.fromkeys(("divide", "invalid", "over")))

    def times(self, factors: Sequence[Expr], made: Laid | None = None) -> Laid:
        """A product of factors that are no conditions, and of what has been made already."""
        if self.facts.strict and len(factors) + (made is not None) > 2:
            return self.as_it_stands(factors, made)
        coefficient = Fraction(1)
        above: list[Laid] = [] if made is None else [made]
        below: list[Laid] = []
        last: list[Laid] = []
        factors = _powers_together(factors)
        turns = self.in_turns(factors) if made is None else []
        if turns:
            bases = set(map(_base, turns))
            calm = [f for f in factors if _base(f) not in bases]
            return self.one_by_one(self.times([*calm, turns[0]]), turns[1:])
        extents = self.facts.over(Mul(tuple(factors)))
        factors = _counts_together(factors, extents)
        for factor in factors:
            sign, rest = split_sign(factor)
            coefficient *= sign
            match rest:
                case Number(value, ""):
                    coefficient *= value
                case Power(base, exponent) if exponent < -1 and not isinstance(base, SizeOf):
                    first, others = _in_steps(base, exponent)
                    below.append(self.inverse(first))
                    last += [self.inverse(other) for other in others]
                case Power(SizeOf(count), exponent) if exponent < 0 and is_product_of(
                    count, extents
                ):
                    below.append(self.number_of_terms(rest))
                case Power(_, exponent) if exponent < 0:
                    below.append(self.inverse(rest))
                case _:
                    above.append(self.value(rest))
        total = self.quotient(coefficient, above, below)
        for laid in last:
            total = self.divided(total, laid)
        return total

    def in_turns(self, factors: Sequence[Expr]) -> list[Expr]:
        """The factors that may over- or underflow, in an order in which one that is large meets
        one that is small early; none where the order makes no difference.

        Of three, the product of two may get in the way of the third. Squares are taken apart, and
        a multiplication comes first.
        """
        facts = self.facts
        most = max((len(free_indices(f)) for f in factors), default=0)
        infinite = [f for f in factors if facts.how_infinite(_base(f))]
        # small arrays come first anyway
        found = [f for f in infinite if len(free_indices(f)) == most]
        if len(found) < 2:
            return []
        single = _round_robin(map(_taken_apart, found))
        calm = [f for f in factors if f not in found and not isinstance(f, Number | SizeOf)]
        if len(single) + len(calm) < 3 or all(map(_is_divisor, single)):
            return []
        small = [f for f in single if facts.is_small(f)]
        large = [f for f in single if f not in small]
        return _round_robin((large, small))

    def one_by_one(self, total: Laid, factors: Sequence[Expr]) -> Laid:
        """What is multiplied with, and divided by, factors one after the other."""
        for factor in factors:
            if _is_divisor(factor):
                assert isinstance(factor, Power)
                total = self.divided(total, self.inverse(factor))
            else:
                total = self.map("mul", total, self.value(factor))
        return total

    def as_it_stands(self, factors: Sequence[Expr], made: Laid | None = None) -> Laid:
        """The product of factors from left to right."""
        one = Laid(arrays.whole(1))
        total: Laid | None = None
        negated = False
        for factor in factors:
            match factor:
                case Number(value, "") if abs(value) == 1:
                    negated ^= value < 0
                    continue
                case Power(_, exponent) if exponent < 0:
                    total = self.divided(total or one, self.inverse(factor))
                    continue
                case Number(value, ""):
                    negated ^= value < 0
                    part = Laid(arrays.number(Number(abs(value), "")))
                case _:
                    part = self.value(factor)
            total = part if total is None else self.map("mul", total, part)
        if made is not None:
            total = made if total is None else self.map("mul", total, made)
        total = total or one
        return self.map("neg", total) if negated else total

    def quotient(self, coefficient: Fraction, above: list[Laid], below: list[Laid]) -> Laid:
        """``coefficient * Π above / Π below``."""
        sign, coefficient = (-1 if coefficient < 0 else 1), abs(coefficient)
        steps: list[Fraction] = []
        if not self.facts.strict:  # the forward pass multiplies by what was written
            coefficient, steps = _in_range(coefficient)
        if coefficient.numerator != 1 or coefficient.denominator != 1:
            over, under = _split(coefficient)
            above = above if over == 1 else [_literal(over), *above]
            below = below if under == 1 else [_literal(under), *below]
        axes = frozenset(i for one in (*above, *below) for i in one.indices)
        above, below = self._apart(above, below, axes)
        parts = [(len(one.indices), 0, n, one) for n, one in enumerate(above)]
        parts += [(len(one.indices), 1, n, one) for n, one in enumerate(below)]
        most = len({i for one in (*above, *below) for i in one.indices})
        if sign < 0 and self._takes_sign(above, below, most):
            parts.append((0, 0, -1, _literal(Fraction(1))))
        total: Laid | None = None
        waiting: list[Laid] = []  # what to divide by as soon as there is something to divide
        for _, side, _, one in sorted(parts, key=lambda part: part[:3]):
            if side:
                waiting.append(one)
            elif total is None:
                small = one.array.scalar or len(one.indices) < most
                total = self.map("neg", one) if sign < 0 and small else one
                sign = 1 if total is not one else sign
            else:
                total = self.map("mul", total, one)
            if waiting and total is not None and not _by_count(total, waiting[0]):
                total = self.divided(total, self.multiplied(waiting))
                waiting = []
        if total is None:
            total, sign = Laid(arrays.whole(sign)), 1
        if waiting:
            total = self.divided(total, self.multiplied(waiting))
        for step in steps:
            total = self.map("mul", total, _literal(step))
        return self.map("neg", total) if sign < 0 else total

    def _takes_sign(self, above: Sequence[Laid], below: Sequence[Laid], most: int) -> bool:
        """Whether a sign costs least in what is divided by: ``-1/s*x``, not ``-(x/s)``."""
        if self.facts.strict or not above or any(len(one.indices) < most for one in above):
            return False
        one = _literal(Fraction(1))
        return any(len(by.indices) < most and not _by_count(one, by) for by in below)

    def _apart(
        self, above: list[Laid], below: list[Laid], indices: frozenset[Index]
    ) -> tuple[list[Laid], list[Laid]]:
        """What is multiplied and what is divided by, of an outer product: what the second and later
        parts are divided by, and further factors over the same axes, are put together first."""
        axes = [*dict.fromkeys(frozenset(one.indices) for one in above if one.indices)]
        if self.facts.strict:
            return above, below
        if len(axes) == 1 and indices not in axes:
            return self._inverted(above, below, indices)
        if len(axes) < 2 or indices in axes:
            return above, below
        least = min(axes, key=len)
        for group in axes:
            over = [one for one in above if frozenset(one.indices) == group]
            under = [one for one in below if frozenset(one.indices) == group]
            if group == least or len(over) + len(under) < 2:
                continue
            total = self.multiplied(over)
            if under:
                total = self.map("div", total, self.multiplied(under))
            above = [*(one for one in above if frozenset(one.indices) != group), total]
            below = [one for one in below if frozenset(one.indices) != group]
        return above, below

    def _inverted(
        self, above: list[Laid], below: list[Laid], indices: frozenset[Index]
    ) -> tuple[list[Laid], list[Laid]]:
        """What is multiplied and what is divided by, where each array lacks some index of the
        result: numbers are divided before there are as many elements as the result has."""
        under = [one for one in below if one.indices]
        groups = {frozenset(one.indices) for one in under}
        if len(groups) != 1 or indices in groups:
            return above, below
        over = [one for one in above if not one.indices] or [Laid(arrays.whole(1))]
        made = self.map("div", self.multiplied(over), self.multiplied(under))
        left = [one for one in above if one.indices]
        return [made, *left], [one for one in below if not one.indices]

    def multiplied(self, parts: Sequence[Laid]) -> Laid:
        """The product of arrays, as it stands."""
        total = parts[0]
        for part in parts[1:]:
            total = self.map("mul", total, part)
        return total

    def divided(self, laid: Laid, by: Laid) -> Laid:
        """A quotient; a sum over the number of its terms is a mean."""
        mean = arrays.mean(laid.array, by.array)
        return self.map("div", laid, by) if mean is None else Laid(mean, laid.axes)

    def inverse(self, power: Power) -> Laid:
        """What to divide by instead of multiplying by a power with a negative exponent."""
        self.risk()
        if isinstance(power.base, Add) and any(map(_divides, power.base.terms)):
            self.quiet.update(dict.fromkeys(("divide", "over")))  # 1/(1 + inf) is 0
        if power.exponent == -1:
            return self.value(power.base)
        return self.value(Power(power.base, -power.exponent))

    def number_of_terms(self, power: Power) -> Laid:
        """A size to divide by which is 0 where what is divided is a sum over nothing: that is 0,
        so it is divided by 1."""
        laid = self.inverse(power)
        assert isinstance(power.base, SizeOf)
        count: Size = power.base.size
        means = self.facts.means
        if means is None or count.at_least(1) or count in means:
            return laid
        return self.map("maximum", laid, Laid(arrays.whole(1)))

    def power(self, base: Laid, exponent: Fraction) -> Laid:
        """A base to an exponent above 0."""
        if exponent.denominator > 1:
            self.risk()
        whole, rest = divmod(exponent, 1)
        if exponent == 0:
            return Laid(arrays.whole(1))
        if exponent == 1:
            return base
        if exponent == 2:
            return self.map("square", base)
        if exponent == 3:
            return self.map("mul", self.map("square", base), base)
        if exponent in (4, 6, 8) and not self.facts.strict and base.array.kind == "float":
            # frameworks square by a product, and take other powers a hundred times as long
            return self.map("square", self.power(base, exponent / 2))
        if rest == HALF and whole <= 1:
            root = self.map("sqrt", base)
            return self.map("mul", base, root) if whole else root
        return self.map("pow", base, Laid(arrays.number(Number(exponent, ""))))


def _by_count(total: Laid, by: Laid) -> bool:
    """Whether one number of Python is divided by another one that depends on sizes: an array is
    multiplied first, ``2*X/sqrt(N)``, since N may be 0, but ``(2/sqrt(3))*X``."""
    sized = any(node.op == "size" for node in arrays.nodes(by.array, set()))
    return total.array.scalar and by.array.scalar and sized


def _literal(value: Fraction) -> Laid:
    return Laid(arrays.number(Number(value, "")))


def _split(value: Fraction) -> tuple[Fraction, Fraction]:
    """A number as one literal, or as a quotient of two whole numbers."""
    if value.denominator == 1 or value.denominator > 1000 or value.numerator >= 2**53:
        return value, Fraction(1)
    text = repr(float(value))
    if Fraction(text) == value and len(text) <= 12:
        return value, Fraction(1)
    return Fraction(value.numerator), Fraction(value.denominator)


def _in_range(value: Fraction) -> tuple[Fraction, list[Fraction]]:
    """A positive number as one that floats of any width hold, and numbers to multiply by
    afterwards, one by one: their product alone would overflow, or underflow."""
    large, steps = Fraction(10) ** DIGITS, []
    while value > large:
        value /= large
        steps.append(large)
    while value and value < 1 / large:
        value *= large
        steps.append(1 / large)
    return value, steps


def _powers_together(factors: Sequence[Expr]) -> list[Expr]:
    """``a**2/b**2`` as ``(a/b)**2``: the squares might overflow where the quotient does not."""
    groups: dict[Fraction, list[Power]] = {}
    for factor in factors:
        if isinstance(factor, Power) and not isinstance(factor.base, SizeOf):
            groups.setdefault(abs(factor.exponent), []).append(factor)
    out = list(factors)
    for exponent, group in groups.items():
        if exponent in (2, 3) and len(group) > 1 and any(p.exponent > 0 for p in group):
            parts = (p.base if p.exponent > 0 else Power(p.base, Fraction(-1)) for p in group)
            out[out.index(group[0])] = Power(Mul(tuple(parts)), exponent)
            out = [factor for factor in out if factor not in group]
    return out


def _counts_together(factors: Sequence[Expr], extents: Collection[Size]) -> list[Expr]:
    """Divisions by sizes that count the terms of a sum together as one: that is its mean."""
    counts = [f for f in factors if isinstance(f, Power) and isinstance(f.base, SizeOf)]
    counts = [f for f in counts if f.exponent == -1]
    together = prod((f.base.size for f in counts if isinstance(f.base, SizeOf)), start=ONE)
    if len(counts) < 2 or not is_product_of(together, extents):
        return list(factors)
    one = Power(SizeOf(together), Fraction(-1))
    return [one if f is counts[0] else f for f in factors if f not in counts[1:]]


def _in_steps(base: Expr, exponent: Fraction) -> tuple[Power, list[Power]]:
    """A division by a power of more than 1 as divisions one after the other, the first of which
    leaves something to divide."""
    whole, rest = divmod(-exponent, 1)
    first = Power(base, -(rest or Fraction(1)))
    return first, [Power(base, Fraction(-1))] * (int(whole) - (not rest))


def _base(factor: Expr) -> Expr:
    return factor.base if isinstance(factor, Power) else factor


def _is_divisor(factor: Expr) -> bool:
    return isinstance(factor, Power) and factor.exponent < 0


def _taken_apart(factor: Expr) -> list[Expr]:
    """A factor as factors to be multiplied with, or divided by, one after the other."""
    match factor:
        case Power(base, exponent) if exponent < -1:
            first, others = _in_steps(base, exponent)
            return [first, *others]
        case Power(base, exponent) if exponent in (2, 3):
            return [base] * int(exponent)
        case _:
            return [factor]


def _round_robin(rows: Iterable[Sequence[Expr]]) -> list[Expr]:
    """The first of each row, then the second of each, and so on."""
    return [f for column in zip_longest(*rows) for f in column if f is not None]


def _divides(term: Expr) -> bool:
    """Whether a term of a sum may be infinite because it is divided by something."""
    factors = term.factors if isinstance(term, Mul) else (term,)
    return any(isinstance(f, Power) and f.exponent < 0 and free_indices(f) for f in factors)
