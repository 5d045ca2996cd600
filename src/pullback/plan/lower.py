"""A procedure as array operations: axes by position, conditions as masks, sums of products as
contractions.

Every value is laid over the axes that its indices need, and broadcast where it meets others. A
condition becomes a mask: what it guards is computed everywhere, read inside the arrays, and chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeVar

from ..ir.expr import (
    ZERO,
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Cond,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Number,
    Opaque,
    Or,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Truth,
    Zero,
)
from ..ir.magnitudes import is_arithmetic, is_beyond, is_remainder, is_whole
from ..ir.sizes import ONE, Size
from ..ir.subscripts import Index, Subscript, at, constant
from ..ir.walk import free_indices, tensors
from . import arrays
from .choices import chosen, either_or, halves, sums_joined
from .contract import contracted
from .laid import Laid, permuted
from .masks import guarded
from .products import Products
from .reads import is_negative
from .rotations import rolled
from .running import running, triangle
from .scaled import multiplied_through, sign_cost
from .steps import axes_of
from .terms import small_first, split_sign
from .windows import first, looped

NEUTRAL = {"sum": "0", "prod": "1", "max": "-inf", "min": "inf"}


@dataclass
class Lowering(Products):
    """Expressions as array operations, in one procedure."""

    known: dict[tuple[Expr | Cond, bool, bool, bool, str], Laid] = field(default_factory=dict)
    width: frozenset[str] = frozenset()  # the dtype of floats that are made of numbers alone
    mixed: bool = False  # whether there are floats of another width beside these
    integer: str = ""  # the dtype of the integers of a NumPy function that a statement makes
    whole: bool = False  # what is lowered has to be an exact integer
    floating: bool = False  # whole numbers are computed as floats: they may be beyond 64 bits
    wide: bool = False  # such floats are of 64 bits, which hold more whole numbers than others

    def value(self, expr: Expr) -> Laid:
        """The array that holds an expression, over the indices that it depends on."""
        key = expr, self.floating, self.wide, self.whole, self.integer
        if key not in self.known:
            left = self.whole or self.floating or not is_arithmetic(expr)
            if not left and (is_whole(expr) if self.facts.wraps else is_beyond(expr)):
                with self.mode(floating=True):
                    return self.value(expr)
            if self.floating and not self.wide and is_arithmetic(expr) and is_whole(expr):
                self.wide = True
                laid = self.value(expr)
                self.wide = False
                self.known[key] = (
                    laid
                    if laid.array.scalar or self.width == {"float64"}
                    else Laid(arrays.widened(laid.array, "float"), laid.axes)
                )
                return self.known[key]
            turned = rolled(self, expr)
            self.known[key] = self._value(expr) if turned is None else turned
        return self.known[key]

    @contextmanager
    def mode(self, *, floating: bool | None = None, whole: bool | None = None) -> Iterator[None]:
        """Inside, whole numbers are computed this way. Those of a NumPy function are left as they
        are in what makes integers, where NumPy's wrap; in a float they are floats, since what a
        derivative puts together wasn't together before."""
        before = self.floating, self.whole, self.wide
        self.floating = self.floating if floating is None else floating
        self.whole = self.whole if whole is None else whole
        self.wide = self.wide and self.floating
        yield
        self.floating, self.whole, self.wide = before

    @contextmanager
    def making(self, target: Tensor) -> Iterator[None]:
        """Inside, the value of a target is made: integers keep its width."""
        before = self.integer
        wraps = self.facts.wraps and target.kind == "int"
        self.integer = target.dtype if wraps else ""
        with self.mode(floating=False, whole=target.kind != "float"):
            yield
        self.integer = before

    def counted(self, laid: Laid) -> Laid:
        """Whole numbers as a value."""
        if laid.array.kind != "int" or not self.floating or laid.array.scalar:
            return laid
        width = "float64" if self.wide else "float"
        return Laid(arrays.widened(laid.array, width), laid.axes)

    def applied(self, expr: Expr, function: str, args: Sequence[Expr]) -> Laid:
        """A function of the table."""
        with self.mode(floating=False, whole=True) if is_remainder(expr) else nullcontext():
            parts = list(map(self.value, args))
        self.risk()
        if function == "sigmoid":
            self.quiet["over"] = None  # exp(-x) may be inf, and 1 / inf is right
        return self.map(function, *parts)

    def _value(self, expr: Expr) -> Laid:
        match expr:
            case Number():
                return Laid(arrays.number(expr))
            case SizeOf(value):
                counted = arrays.count(value)
                return Laid(arrays.real(counted, self.wide) if self.floating else counted)
            case IndexOf(sub):
                return self.counted(self.position(sub))
            case Access(tensor, _):
                laid = self.read(expr)
                wider = self.integer and bits(tensor.dtype) < bits(self.integer)
                if wider and not laid.array.scalar:
                    return Laid(arrays.as_int(laid.array, self.integer), laid.axes)
                narrow = tensor.kind == "int" and tensor.dtype not in ("int", "int64")
                if narrow and not self.facts.wraps and not laid.array.scalar:
                    laid = Laid(arrays.as_int(laid.array), laid.axes)
                return self.counted(laid)
            case Apply(function, args):
                return self.applied(expr, function, args)
            case Add(terms):
                return self.sum(terms)
            case Mul(factors):
                return self.product(factors)
            case Power(base, exponent):
                if exponent < 0:
                    return self.product((expr,))
                return self.power(self.value(base), exponent)
            case Reduce():
                return self.reduce(expr)
            case Arg():
                return self.arg(expr)
            case Select(cond, then, other):
                decision = self.decided(cond)
                if decision is not None:
                    return self.value(then if decision else other)
                if (padded := self.padded_read(cond, then, other)) is not None:
                    return padded
                mask = self.cond(cond)
                with self.under():
                    return self.where(mask, self.value(then), self.value(other))
            case Guard(cond):
                return self.cond(cond)
            case Opaque(operation, operands, subs):
                if subs and self.step is not None and subs[0] is constant(self.step[0]):
                    parts = [self.operand_at(t, subs[0]) for t in operands]
                    subs = subs[1:]
                else:
                    parts = [self.full(t) for t in operands]
                shape = tuple(ONE if sub.index is None else sub.index.extent for sub in subs)
                axes = tuple(sub.index for sub in subs)
                return Laid(arrays.operation(operation, parts, shape), axes)

    def denied(self, cond: Laid) -> Laid:
        """Where a condition fails."""
        if cond.array.op == "map" and cond.array.told == ("==",):
            return Laid(arrays.apply("!=", *cond.array.parts), cond.axes)
        return self.map("not", cond)

    def operand_at(self, tensor: Tensor, step: Subscript) -> arrays.Array:
        """What a matrix operation is of at a step of a recurrence."""
        axes = axes_of(tensor)
        return self.over(self.value(Access(tensor, (step, *map(at, axes)))), axes)

    def sum(self, terms: Sequence[Expr]) -> Laid:
        """The sum of terms, one with a plus sign first."""
        terms = self.stepped(terms)
        if not self.facts.strict:
            terms = sums_joined(terms)
        joined = either_or(terms)
        if not self.facts.strict:
            joined = small_first(joined)
        signed = [split_sign(term) for term in joined]
        if not signed:
            return self.value(ZERO)
        # where all are subtracted, the sign of the first one meets its smallest factor
        least = 0 if self.facts.strict else joined.index(min(joined, key=sign_cost))
        first = next((n for n, (sign, _) in enumerate(signed) if sign > 0), least)
        signed.insert(0, signed.pop(first))
        (sign, term), *rest = signed
        total = self.value(term if sign > 0 or self.facts.strict else joined[first])
        if sign < 0 and self.facts.strict:
            total = self.map("neg", total)
        for sign, term in rest:
            total = self.map("add" if sign > 0 else "sub", total, self.value(term))
        return total

    def stepped(self, terms: Sequence[Expr]) -> Sequence[Expr]:
        """Terms with one array of 0, 1/2 and 1 for the two masks of a comparison and its tie."""
        exact = self.facts.strict or self.facts.asked or self.facts.selects
        return halves(terms, self.is_finite) if self.in_place and not exact else terms

    def is_finite(self, value: Expr) -> bool:
        """Whether a value is an array of floats that are finite for finite inputs."""
        floats = any(t.kind == "float" for t in tensors(value))
        return floats and bool(free_indices(value)) and not self.facts.how_infinite(value)

    def product(self, factors: Sequence[Expr]) -> Laid:
        """A product, chosen by the conditions among its factors."""
        decisions = {f.cond: self.decided(f.cond) for f in factors if isinstance(f, Guard)}
        if False in decisions.values():
            return self.value(ZERO)
        guards = [cond for cond, decision in decisions.items() if decision is None]
        others = [f for f in factors if not isinstance(f, Guard)]
        if not guards:
            if (choice := chosen(others)) is not None:
                return self.value(choice)
            if self.facts.strict:
                return self.times(others)
            others = [Add((*self.stepped(f.terms),)) if isinstance(f, Add) else f for f in others]
            made = multiplied_through(others)
            return self.times(others) if made is None else self.value(made)
        guards = self.needed(guards, others)
        if not guards:
            return self.times(others)
        return triangle(self, guards, others) or guarded(self, guards, others)

    def needed(self, guards: Sequence[Cond], others: Sequence[Expr]) -> list[Cond]:
        """The conditions without those that only keep a read inside an array with margins of 0."""
        padded = [
            c
            for c in guards
            if isinstance(c, Inside)
            and any(self.has_margin(a, c) for a in others if isinstance(a, Access))
        ]
        plain = all(
            isinstance(f, Number | SizeOf) or (isinstance(f, Access) and self.is_padded(f, padded))
            for f in others
        )
        if not padded or not (plain or self.facts.finite_anyway(others, guards)):
            return list(guards)
        return [c for c in guards if c not in padded]

    def is_padded(self, access: Access, conds: Sequence[Cond]) -> bool:
        """Whether a read is inside its array, but for margins that conditions speak of."""
        return all(
            self.inside(sub, n) or Inside(sub, n) in conds
            for sub, n in zip(access.subs, access.tensor.shape, strict=True)
        )

    def has_margin(self, access: Access, cond: Inside) -> bool:
        """Whether a read is of an array with a margin of 0 where a condition is false. An array
        that is the same along an axis isn't stored along it, and has no margin there."""
        held = self.held.get(access.tensor)
        if held is None or access.tensor.kind != "float" or self.ahead(access) is not None:
            return False
        axes = zip(access.subs, access.tensor.shape, held.present, strict=True)
        return any(
            present and sub is cond.sub and n is cond.extent and self.margins(sub, n) is not None
            for sub, n, present in axes
        )

    # conditions

    def cond(self, cond: Cond) -> Laid:
        """A condition as a mask."""
        key = cond, False, False, False, ""
        if key not in self.known:
            self.known[key] = self._cond(cond)
        return self.known[key]

    def _cond(self, cond: Cond) -> Laid:
        decision = self.decided(cond)
        if decision is not None:
            return self.map("==", Laid(arrays.whole(0)), Laid(arrays.whole(0 if decision else 1)))
        match cond:
            case Compare(op, left, right):
                with self.mode(floating=False, whole=is_whole(left) and is_whole(right)):
                    return self.map(op, self.value(left), self.value(right))
            case Zero(sub):
                return self.compared("==", sub)
            case Inside(sub, extent):
                low, high = self.within(sub, extent)
                tests = [] if low else [self.compared("<=", -sub)]
                tests += [] if high else [self.compared("<", sub - extent)]
                return tests[0] if len(tests) == 1 else self.map("and", *tests)
            case Divides(divisor, sub):
                rest = self.map("mod", self.position(sub), Laid(arrays.count(divisor)))
                return self.map("==", rest, Laid(arrays.whole(0)))
            case And(conds) | Or(conds):
                op = "and" if isinstance(cond, And) else "or"
                left_over = [c for c in conds if self.decided(c) is None]
                with self.under():
                    total = self.cond(left_over[0])
                    for one in left_over[1:]:
                        total = self.map(op, total, self.cond(one))
                return total
            case Not(inner):
                return self.denied(self.cond(inner))
            case Truth(value):
                laid = self.value(value)
                if laid.array.kind == "bool":
                    return laid
                return self.map("!=", laid, Laid(arrays.whole(0)))

    def compared(self, op: str, sub: Subscript) -> Laid:
        """``sub op 0`` for a subscript, with what is negative on the other side."""
        more = tuple((atom, n) for atom, n in sub.terms if not is_negative(n))
        const = Size(tuple((mono, n) for mono, n in sub.const.terms if n > 0))
        left = Subscript(more, const)
        return self.map(op, self.position(left), self.position(left - sub))

    # reductions

    def reduce(self, expr: Reduce) -> Laid:
        """A reduction over indices."""
        if expr.op == "sum":
            return running(self, expr) or contracted(self, expr)
        if self.in_place and (found := looped(self, _undomained(expr))) is not None:
            return found
        expr = _undomained(expr)
        laid = self.value(expr.body)
        lacking = [i for i in expr.indices if i not in laid.indices]
        result = self.folded(expr.op, expr.indices, laid)
        if expr.op == "prod":
            if lacking and result.array.scalar:
                result = Laid(arrays.real(result.array))
            for i in lacking:
                result = self.map("pow", result, Laid(arrays.count(i.extent)))
        return result

    def folded(self, op: str, indices: Iterable[Index], laid: Laid) -> Laid:
        """An array folded along those of the indices that it has."""
        gone = [k for k, axis in enumerate(laid.axes) if axis in set(indices)]
        axes = tuple(axis for k, axis in enumerate(laid.axes) if k not in gone)
        return Laid(arrays.fold(op, laid.array, gone), axes)

    def arg(self, expr: Arg) -> Laid:
        """An index of the first greatest, or least, element."""
        expr = _undomained(expr)
        if self.in_place and (found := first(self, expr)) is not None:
            return self.digit(found, expr)
        laid = self.value(expr.body)
        rest = tuple(i for i in laid.indices if i not in expr.indices)
        made = permuted(laid, (*rest, *expr.indices))
        extents = tuple(i.extent for i in expr.indices)
        axes = (*rest, *expr.indices)
        if made.axes != axes:  # what lacks an index is the same along it
            missing = [k for k, i in enumerate(axes) if i not in made.axes]
            array = arrays.insert(made.array, missing)
            made = Laid(arrays.expand(array, tuple(i.extent for i in axes)), axes)
        total = ONE
        for n in extents:
            total = total * n
        flat = arrays.reshape(made.array, (*(i.extent for i in rest), total))
        return self.digit(Laid(arrays.arg(expr.op, flat, len(rest)), rest), expr)

    def digit(self, place: Laid, expr: Arg) -> Laid:
        """One index of a place that is counted over several, in row-major order."""
        extents = tuple(i.extent for i in expr.indices)
        below = ONE
        for n in extents[expr.which + 1 :]:
            below = below * n
        if below is not ONE:
            place = self.map("floor_divide", place, Laid(arrays.count(below)))
        if expr.which:
            place = self.map("mod", place, Laid(arrays.count(extents[expr.which])))
        return place


def bits(dtype: str) -> int:
    """The width of an integer dtype that says one."""
    digits = dtype.lstrip("uint")
    return int(digits) if "int" in dtype and digits.isdigit() else 64


_Folded = TypeVar("_Folded", Reduce, Arg)


def _undomained(expr: _Folded) -> _Folded:
    """A fold of what is neutral outside of its domain."""
    if not expr.domain:
        return expr
    neutral = _number(NEUTRAL[expr.op])
    return replace(expr, domain=(), body=Select(And(expr.domain), expr.body, neutral))


def _number(text: str) -> Number:
    return Number(Fraction(0), text) if "inf" in text else Number(Fraction(text), "")
