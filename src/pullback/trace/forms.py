"""Numbers seen at several sizes, solved as forms in the named sizes.

What a trace holds are plain numbers. Seen at several assignments of the names, 55, 119 and 323 at
(N, D) = (5, 11), (7, 17) and (17, 19) are N*D. The simplest form that fits every assignment is
taken; whoever asks must test it at further ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import combinations, combinations_with_replacement
from typing import NamedTuple

from ..ir.expr import Apply, Expr, Mul, Number, Power, SizeOf, number
from ..ir.sizes import Size, size

Column = tuple[int, ...]  # the values of one thing, one per assignment

LARGEST_DIVISOR = 9  # of the floor quotients by a literal that are looked for
MOST_FACTORS = 5
LARGEST_ROOT = 10  # a number that is looked at as the root of another
MOST_DENOMINATOR = 10**6
ULPS = 8.0
DOUBLE, SINGLE = 2.0**-52, 2.0**-23


class Known(NamedTuple):
    """A form, its values and what it costs (simpler forms are cheaper)."""

    form: Size
    values: Column
    cost: int


class Found(NamedTuple):
    """A fit: what it costs, and the form, to be built only if it is chosen."""

    cost: int
    form: Callable[[], Size]


class Quotient(NamedTuple):
    """``(numerator + shift) // divisor`` and its values."""

    numerator: Known
    shift: int
    divisor: Known
    values: Column

    @property
    def cost(self) -> int:
        """As of a form."""
        return self.numerator.cost + self.divisor.cost + abs(self.shift) + 2

    @property
    def form(self) -> Size:
        """The form."""
        return (self.numerator.form + self.shift) // self.divisor.form


class Forms:
    """Solves columns of values at ``assignments`` as forms in ``names``.

    ``rare`` tells whether a form came from a search so wide that it may fit a few assignments by
    chance.
    """

    def __init__(self, names: Sequence[str], assignments: Sequence[Mapping[str, int]]) -> None:
        self.names = tuple(names)
        self.assignments = tuple(assignments)
        self.rare = False
        self._solved: dict[Column, Size | None] = {}
        self._known: dict[Size, Known] = {}
        for name in self.names:
            self._learn(size(name))

    @property
    def enough(self) -> int:
        """As many assignments as the widest search needs."""
        return len(self._monomials) + 3

    def column(self, form: Size) -> Column:
        """The values of a form."""
        return tuple(form.value(sizes) for sizes in self.assignments)

    def integer(self, values: Column) -> Size | None:
        """The simplest form with these values, None where none is found.

        >>> at = [{"N": 5, "D": 11}, {"N": 7, "D": 17}, {"N": 17, "D": 19}]
        >>> str(Forms(["N", "D"], at).integer((55, 119, 323)))
        'D*N'
        """
        if values not in self._solved:
            form = self._simple(values, MOST_FACTORS)
            if form is None:
                form = self._complex(values)
                self.rare |= form is not None
            if form is not None and form.names():
                self._learn(form)
            self._solved[values] = form
        return self._solved[values]

    def _known_as(self, form: Size) -> Known:
        return Known(form, self.column(form), len(str(form)))

    def _learn(self, form: Size) -> None:
        """Later forms may be sums and products of forms that occurred."""
        self._known.setdefault(form, self._known_as(form))

    def _simple(self, values: Column, factors: int) -> Size | None:
        if len(set(values)) == 1:
            return size(values[0])
        found = _cheapest(_line(values, known) for known in self._known.values())
        found = found or self._polynomial(values)
        return found or self._product(values, factors, self._simple)

    def _polynomial(self, values: Column) -> Size | None:
        """The integer combination of the names, or of the names and their products of two.

        Only where there are assignments enough to be sure.
        """
        for basis, spare in ((self._monomials[: len(self.names)], 2), (self._monomials, 3)):
            if len(values) < len(basis) + spare:
                return None
            columns = [known.values for known in basis]
            rows = [[*row, 1] for row in zip(*columns, strict=True)]
            solution = _integers(rows, values)
            if solution is not None:
                total = size(solution[-1])
                for known, n in zip(basis, solution[:-1], strict=True):
                    total = total + known.form * n
                return total
        return None

    def _product(
        self, values: Column, factors: int, solve: Callable[[Column, int], Size | None]
    ) -> Size | None:
        """``x * rest`` for a form x that occurred and divides every value."""
        if factors <= 1:
            return None
        for known in sorted(self._known.values(), key=lambda known: known.cost):
            if not all(n > 1 and v % n == 0 for v, n in zip(values, known.values, strict=True)):
                continue
            rest = tuple(v // n for v, n in zip(values, known.values, strict=True))
            found = solve(rest, factors - 1)
            if found is not None:
                return known.form * found
        return None

    def _complex(self, values: Column) -> Size | None:
        found = self._pair(values) or self._quotient(values)
        return found or self._product(values, 3, lambda rest, _: self._quotient(rest))

    def _pair(self, values: Column) -> Size | None:
        """``a*x + b*y + c`` with a small a, x and y names or products of two."""
        return _cheapest(
            _plus(_line(_minus(values, a, x), y), a, x)
            for x in self._monomials
            for a in (1, -1, 2, -2, 3, 4)
            for y in self._monomials
        )

    def _quotient(self, values: Column) -> Size | None:
        """``a * (e // d) + c`` for simple e and d, or such a form and a name."""
        for quotients in (self._literal_quotients, self._named_quotients):
            found = _cheapest(_line(values, quotient) for quotient in quotients)
            if found is not None:
                return found
        return _cheapest(
            _plus(_line(rest, quotient), a, x)
            for x in self._monomials
            for a in (1, -1, 2)
            for rest in (_minus(values, a, x),)
            for quotient in self._literal_quotients
        )

    @cached_property
    def _monomials(self) -> tuple[Known, ...]:
        names = [size(name) for name in self.names]
        pairs = [x * y for x, y in combinations_with_replacement(names, 2)]
        return tuple(map(self._known_as, (*names, *pairs)))

    @cached_property
    def _numerators(self) -> tuple[Known, ...]:
        """``N``, ``2*N``, ``N - M``, ``N + 2*M - K``, ``N*M``, ``N*(N + 1)`` and their kin."""
        names = [size(name) for name in self.names]
        out = [n * a for a in range(1, LARGEST_DIVISOR) for n in names]
        out += [x + y * a for x in names for y in names if x is not y for a in (1, -1, 2, -2)]
        out += [x + p * 2 - k for x in names for p in names for k in names if len({x, p, k}) == 3]
        out += [x * y for x, y in combinations_with_replacement(names, 2)]
        out += [n * n + n for n in names] + [n * n - n for n in names]
        return tuple(map(self._known_as, dict.fromkeys((*out, *self._known))))

    @cached_property
    def _literal_quotients(self) -> tuple[Quotient, ...]:
        divisors = [self._known_as(size(n)) for n in range(2, LARGEST_DIVISOR + 1)]
        return tuple(
            _divide(numerator, shift, divisor)
            for numerator in self._numerators
            for divisor in divisors
            for shift in range(divisor.values[0])
        )

    @cached_property
    def _named_quotients(self) -> tuple[Quotient, ...]:
        divisors = [k for k in self._known.values() if all(n > 0 for n in k.values)]
        return tuple(
            _divide(numerator, shift, divisor)
            for numerator in self._numerators
            for divisor in divisors
            for shift in range(-3, 4)
            if numerator.form is not divisor.form
        )

    def number(self, values: Sequence[Number]) -> Expr | None:
        """The simplest value with these numbers: a quotient of sizes, its root or logarithm."""
        if all(value is values[0] for value in values):
            return _root(values[0])
        if any(value.special for value in values):
            return None
        column = tuple(value.value for value in values)
        if all(value <= 0 for value in column):
            positive = self._positive(tuple(-value for value in column))
            return None if positive is None else Mul((number(-1), positive))
        return self._positive(column)

    def _positive(self, column: tuple[Fraction, ...]) -> Expr | None:
        exact = self._rational(column)
        if exact is not None:
            return _quotient(exact, Fraction(1))
        if not all(value > 0 for value in column):
            return None
        for precision in (DOUBLE, SINGLE):
            if precision is SINGLE and not all(map(is_single, column)):
                break
            for undo, redo in _OUTER:
                inner = _rationals(column, undo, precision)
                found = None if inner is None else self._rational(inner)
                if found is not None:
                    return redo(found)
        return self._multiple(column)

    def _multiple(self, column: tuple[Fraction, ...]) -> Expr | None:
        """A number that is no quotient of small ones, such as π, times a size or over one."""
        for known in self._denominators:
            if 0 in known.values or len({*known.values}) < min(3, len(column)):
                continue
            for power in (-1, 1):
                scales = [float(n) ** -power for n in known.values]
                found = [float(v) * n for v, n in zip(column, scales, strict=True)]
                if all(abs(value - found[0]) <= 4 * DOUBLE * abs(found[0]) for value in found):
                    return Mul((number(found[0]), Power(SizeOf(known.form), Fraction(power))))
        return None

    def _rational(self, column: tuple[Fraction, ...]) -> Ratio | None:
        """The column as an integer form over a literal, or over another form."""
        if any(value.denominator > MOST_DENOMINATOR for value in column):
            return None
        common = math.lcm(*(value.denominator for value in column))
        literal = Known(size(common), (common,) * len(column), 0)
        if common <= 100:
            return self._over(column, literal)
        if common <= MOST_DENOMINATOR and 10**6 % common == 0:
            over = self._simple(tuple(int(value * common) for value in column), MOST_FACTORS)
            if over is not None:
                return Ratio(over, literal.form)
        if all(abs(value.numerator) == 1 for value in column):
            under = self.integer(tuple(int(1 / value) for value in column))
            return None if under is None else Ratio(size(1), under)
        for known in self._denominators:
            found = self._over(column, known)
            if found is not None:
                return found
        return self._over(column, literal) if common <= MOST_DENOMINATOR else None

    def _over(self, column: tuple[Fraction, ...], under: Known) -> Ratio | None:
        scaled = [v * n for v, n in zip(column, under.values, strict=True)]
        if any(value.denominator != 1 for value in scaled):
            return None
        over = self.integer(tuple(int(value) for value in scaled))
        return None if over is None else Ratio(over, under.form)

    @property
    def _denominators(self) -> Iterator[Known]:
        yield from sorted(self._known.values(), key=lambda known: known.cost)
        names = [size(name) for name in self.names]
        sums = [n + a for n in names for a in (-1, 1, -2, 2)]
        sums += [x + y for x, y in combinations(names, 2)]
        known = [k.form for k in self._known.values()]
        products = [x * y for x, y in combinations_with_replacement(known, 2)]
        for form in (*sums, *products):
            yield self._known_as(form)


class Ratio(NamedTuple):
    """A rational number: one form over another."""

    over: Size
    under: Size


def _line(values: Column, known: Known | Quotient) -> Found | None:
    """``a*x + c`` through the values of the form x, with whole a and c."""
    v0, x0 = values[0], known.values[0]
    v1, x1 = next(((v, x) for v, x in zip(values, known.values, strict=True) if x != x0), (v0, x0))
    if x1 == x0 or (v1 - v0) % (x1 - x0):
        return None
    a = (v1 - v0) // (x1 - x0)
    c = v0 - a * x0
    if not a or any(a * x + c != v for v, x in zip(values, known.values, strict=True)):
        return None
    return Found(known.cost + 2 * abs(a - 1) + 2 * abs(c), lambda: known.form * a + c)


def _minus(values: Column, a: int, known: Known) -> Column:
    return tuple(v - a * n for v, n in zip(values, known.values, strict=True))


def _plus(found: Found | None, a: int, known: Known) -> Found | None:
    if found is None:
        return None
    return Found(found.cost + known.cost + 2 * (a != 1), lambda: found.form() + known.form * a)


def _divide(numerator: Known, shift: int, divisor: Known) -> Quotient:
    pairs = zip(numerator.values, divisor.values, strict=True)
    return Quotient(numerator, shift, divisor, tuple((n + shift) // d for n, d in pairs))


def _cheapest(found: Iterable[Found | None]) -> Size | None:
    """The first of the least cost (the searches go in a fixed order)."""
    best = min((f for f in found if f is not None), key=lambda f: f.cost, default=None)
    return None if best is None else best.form()


def _integers(rows: Sequence[Sequence[int]], values: Sequence[int]) -> list[int] | None:
    """The whole solution of an overdetermined linear system, None where it hasn't exactly one."""
    width = len(rows[0])
    table = [[Fraction(x) for x in (*row, v)] for row, v in zip(rows, values, strict=True)]
    for column in range(width):
        pivot = next((r for r in range(column, len(table)) if table[r][column]), None)
        if pivot is None:
            return None
        table[column], table[pivot] = table[pivot], table[column]
        head = table[column]
        for r, row in enumerate(table):
            if r != column and row[column]:
                ratio = row[column] / head[column]
                table[r] = [x - ratio * y for x, y in zip(row, head, strict=True)]
    if any(row[-1] for row in table[width:]):
        return None
    solution = [table[c][-1] / table[c][c] for c in range(width)]
    return [int(x) for x in solution] if all(x.denominator == 1 for x in solution) else None


def is_single(value: Fraction) -> bool:
    """Whether a number was a float32 (or has few digits anyway)."""
    mantissa = math.frexp(float(value))[0] * 2**24
    return mantissa == int(mantissa)


def _root(value: Number) -> Expr:
    """A number, or the root of a small one of which it is the float: ``np.sqrt(2)`` squared is 2,
    which 1.4142135623730951 squared is not."""
    square = round(value.value**2) if 1 < value.value <= LARGEST_ROOT and not value.special else 0
    if value.value.denominator > 1 and value.value == Fraction(repr(math.sqrt(square))):
        return Power(number(square), Fraction(1, 2))
    return value


def _rationals(
    column: tuple[Fraction, ...], undo: Callable[[float], float], precision: float
) -> tuple[Fraction, ...] | None:
    """``undo`` of each value, as fractions with small denominators, None where one isn't such."""
    out = []
    for value in column:
        try:
            inner = undo(float(value))
        except (OverflowError, ValueError):
            return None
        near = Fraction(inner).limit_denominator(MOST_DENOMINATOR if precision == DOUBLE else 1000)
        slack = ULPS * precision * max(1.0, abs(math.log(inner)) if inner > 0 else 1.0)
        if abs(float(near) - inner) > slack * abs(inner):
            return None
        out.append(near)
    return tuple(out)


def _quotient(value: Ratio, exponent: Fraction) -> Expr:
    """``(over/under)**exponent`` as the tracer would spell it."""
    over, under = value.over, value.under
    literal, shared = under.literal, over.exactly_over(under)
    if shared is not None:
        return _power(SizeOf(shared), exponent)
    if over.literal == 1:
        return Power(SizeOf(under), -exponent)
    bottom = number(literal) if literal is not None else SizeOf(under)
    top = number(over.literal) if over.literal is not None else SizeOf(over)
    return _power(Mul((top, Power(bottom, Fraction(-1)))), exponent)


def _power(base: Expr, exponent: Fraction) -> Expr:
    return base if exponent == 1 else Power(base, exponent)


# What a number may be of a quotient of sizes: how to undo it, and how to write it.
_OUTER: tuple[tuple[Callable[[float], float], Callable[[Ratio], Expr]], ...] = (
    (lambda v: v, lambda q: _quotient(q, Fraction(1))),
    (lambda v: v**2, lambda q: _quotient(q, Fraction(1, 2))),
    (lambda v: v**0.5, lambda q: _quotient(q, Fraction(2))),
    (lambda v: v**4, lambda q: _quotient(q, Fraction(1, 4))),
    (lambda v: v**3, lambda q: _quotient(q, Fraction(1, 3))),
    (lambda v: v ** (2 / 3), lambda q: _quotient(q, Fraction(3, 2))),
    (math.exp, lambda q: Apply("log", (_quotient(q, Fraction(1)),))),
    (lambda v: 2.0**v, lambda q: Apply("log2", (_quotient(q, Fraction(1)),))),
)
