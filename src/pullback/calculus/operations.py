"""A program whose statements are one operation each, as a NumPy function's are.

Index notation says much in one statement. Products, powers and functions inside of it get names
here, and a sum over three factors or more becomes sums over two, the smallest first: what the
forward pass computes on its way may be what the backward pass needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations, count

from ..functions import FINITE
from ..ir.expr import Access, Add, Apply, Expr, Guard, Mul, Power, Reduce, Select, Tensor, mul
from ..ir.program import Define, Program
from ..ir.recurrence import recurrent
from ..ir.subscripts import Index, at
from ..ir.walk import accesses, free_indices
from .cost import volume
from .flatten import dtype_of, has_lookup_node
from .normal import in_bounds

OPERATIONS = (Add, Mul, Power, Apply, Select, Reduce)


def one_operation_each(program: Program) -> Program:
    """The program with its long statements in steps; itself where it has none."""
    taken = {t.name for t in program.inputs} | {s.target.name for s in program.statements}
    names = (name for n in count(1) if (name := f"t{n}") not in taken)
    stay = recurrent(program.statements)
    found: list[Define] = []
    for statement in program.statements:
        if statement.target in stay or statement.target.kind != "float":
            found.append(statement)
            continue
        steps = _Steps(statement, names)
        body = steps.operation(statement.body)
        found += [*steps.made, replace(statement, body=body)]
    if len(found) == len(program.statements):
        return program
    return replace(program, statements=tuple(found))


class _Steps:
    """The steps of one statement."""

    def __init__(self, statement: Define, names: Iterator[str]) -> None:
        self.statement = statement
        self.names = names
        self.made: list[Define] = []
        self.known: dict[Expr, Access] = {}
        self.guarded = False  # whether a condition stands around: what is named is always computed

    @contextmanager
    def under(self, guarded: bool) -> Iterator[None]:
        """Inside, a condition may stand around."""
        before, self.guarded = self.guarded, self.guarded or guarded
        yield
        self.guarded = before

    def operation(self, expr: Expr) -> Expr:
        """An expression as one operation of values with names."""
        match expr:
            case Add(terms):
                return Add(tuple(map(self.value, terms)))
            case Mul(factors):
                return self.product(factors)
            case Power(base, exponent):
                return Power(self.value(base), exponent)
            case Apply(function, args):
                return Apply(function, tuple(map(self.value, args)))
            case Select(cond, then, other):
                with self.under(True):
                    return Select(cond, self.value(then), self.value(other))
            case Reduce("sum", indices, (), Mul(factors)):
                return self.contraction(indices, factors)
            case Reduce(op, indices, domain, body):
                with self.under(bool(domain)):
                    inner = self.operation if isinstance(body, Mul) else self.value
                    return Reduce(op, indices, domain, inner(body))
            case _:
                return expr

    def value(self, expr: Expr) -> Expr:
        """An expression under a name, unless it is one, a number, or a number times one."""
        if isinstance(expr, Access) or not accesses(expr):
            return expr
        if isinstance(expr, Mul):
            numbers, others = _apart(expr.factors)
            if numbers:
                rest = others[0] if len(others) == 1 else Mul(tuple(others))
                return Mul((*numbers, self.value(rest))) if others else expr
        if not isinstance(expr, OPERATIONS):
            return expr
        step = self.operation(expr)
        return self.named(step) if self.may_be_named(step) else step

    def named(self, expr: Expr) -> Access:
        """An operation under a name."""
        if expr not in self.known:
            own = free_indices(expr)
            first = [i for i in self.statement.indices if i in own]
            free = tuple(dict.fromkeys((*first, *own)))
            shape = tuple(i.extent for i in free)
            target = Tensor(next(self.names), shape, dtype_of(expr))
            about = self.statement
            self.made.append(Define(target, free, expr, about.source, False))
            self.known[expr] = Access(target, tuple(map(at, free)))
        return self.known[expr]

    def product(self, factors: Sequence[Expr]) -> Expr:
        """A product of numbers and of at most two values."""
        numbers, values = self.factors(factors)
        with self.under(any(isinstance(f, Guard) for f in numbers)):
            while len(values) > 2 and self.may_be_named(first := Mul(tuple(values[:2]))):
                values[:2] = [self.named(first)]
        return mul(*numbers, *values)

    def may_be_named(self, expr: Expr) -> bool:
        """Whether an operation may be computed whatever conditions stand around."""
        if self.guarded and not _is_finite(expr):
            return False
        return in_bounds(expr) and not (self.guarded and has_lookup_node(expr))

    def factors(self, factors: Sequence[Expr]) -> tuple[list[Expr], list[Expr]]:
        """The numbers and conditions, and the values among factors."""
        numbers, others = _apart(factors)
        with self.under(any(isinstance(f, Guard) for f in numbers)):
            return numbers, list(map(self.factor, others))

    def factor(self, expr: Expr) -> Expr:
        """A factor: a value, or one to divide by."""
        if isinstance(expr, Power) and expr.exponent == -1:
            return Power(self.value(expr.base), expr.exponent)
        return self.value(expr)

    def contraction(self, indices: Sequence[Index], factors: Sequence[Expr]) -> Expr:
        """A sum of products of at most two values."""
        numbers, values = self.factors(factors)
        left = set(indices)
        if any(map(free_indices, numbers)) or not all(map(in_bounds, values)):
            return Reduce("sum", tuple(indices), (), mul(*numbers, *values))
        while len(values) > 2:
            pairs = combinations(range(len(values)), 2)  # by place: a value may be there twice
            first, second = min(pairs, key=lambda pair: self.size(pair, values, left))
            one, two = values[first], values[second]
            kept = {i for v in _without(values, first, second) for i in free_indices(v)}
            own = dict.fromkeys((*free_indices(one), *free_indices(two)))
            gone = tuple(i for i in own if i in left and i not in kept)
            left -= set(gone)
            both = Mul((one, two))
            step = self.named(Reduce("sum", gone, (), both) if gone else both)
            values[first] = step
            del values[second]
        body = mul(*numbers, *values)
        last = tuple(i for i in indices if i in left)
        return Reduce("sum", last, (), body) if last else body

    def size(
        self, pair: tuple[int, int], values: Sequence[Expr], left: set[Index]
    ) -> tuple[float, float]:
        """How many elements the product of the values at two places has, and its sum."""
        own = dict.fromkeys(i for k in pair for i in free_indices(values[k]))
        others = {i for v in _without(values, *pair) for i in free_indices(v)}
        kept = [i for i in own if i not in left or i in others]
        return volume(own), volume(kept)


def _apart(factors: Sequence[Expr]) -> tuple[list[Expr], list[Expr]]:
    """Numbers and conditions, and the values among factors."""
    values: list[Expr] = [f for f in factors if accesses(f) and not isinstance(f, Guard)]
    return [f for f in factors if f not in values], values


def _without(values: Sequence[Expr], *places: int) -> list[Expr]:
    """The values at other places."""
    return [v for k, v in enumerate(values) if k not in places]


def _is_finite(expr: Expr) -> bool:
    """Whether an operation of finite values is seen to be finite."""
    match expr:
        case Apply(function, _):
            return function in FINITE
        case Power(_, exponent):
            return exponent >= 0 and exponent.denominator == 1
        case Reduce(op, _, _, body):
            return op != "prod" and _is_finite(body)
        case Add(parts) | Mul(parts):
            return all(map(_is_finite, parts))
        case Select(_, then, other):
            return _is_finite(then) and _is_finite(other)
        case _:
            return True
