"""Expressions as NumPy source: one array operation a node, over whole index ranges at once.

Every value is spelled over the axes that its free indices need, and broadcast only where it meets
others. A condition becomes a mask; what it guards is computed everywhere (reads kept in bounds)
and selected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import zip_longest

from ...ir.expr import (
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
from ...ir.magnitudes import is_arithmetic, is_beyond, is_whole
from ...ir.program import Define
from ...ir.sizes import Size, size
from ...ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    at,
    constant,
    within,
)
from ...ir.walk import Tree, accesses, free_indices, tensors
from ...plan.choices import chosen, either_or
from ...plan.facts import is_product_of
from ...plan.frames import frame_of
from ...plan.terms import in_bounds, split_sign
from ...text import PRIVATE
from ..python.code import (
    POWER,
    PRODUCT,
    Code,
    binary,
    call,
    elementwise,
    item,
    leaf,
    method,
    minus,
    tuple_of,
)
from ..python.extents import LOCAL
from ..python.literals import in_range, split_number
from . import functions, matrices, padding, products, rotations, running, sharing, taps, views
from .arrays import Array, Axes, aligned, broadcast_axes, renamed, squeezed, transposed
from .dtypes import floated, is_float, is_integer, promoted
from .literals import is_safe, number_array, numpy_scalar
from .reducing import NEUTRAL, axis_argument, reduce_axes
from .scope import Scope
from .triangles import is_triangle, triangle


@dataclass(frozen=True)
class Context:
    """Where an expression is evaluated.

    ``conds`` may be false at some of the points that are computed (then the value is thrown away);
    ``hint`` is the order in which the axes are wanted.
    """

    conds: tuple[Cond, ...] = ()
    hint: tuple[Index, ...] = ()

    def under(self, *conds: Cond) -> Context:
        """The context behind more conditions."""
        return Context((*self.conds, *conds), self.hint)

    def within(self, indices: Sequence[Index]) -> Context:
        """The context inside a reduction."""
        return Context(self.conds, (*(i for i in self.hint if i not in indices), *indices))


@dataclass
class Speller:
    """Spells expressions and conditions in one scope."""

    scope: Scope
    target: str = ""
    done: dict[Expr, Access] = field(default_factory=dict)
    grids: dict[Index, Array] = field(default_factory=dict)
    common: frozenset[Tree] = frozenset()
    whole: bool = False  # what is spelled has to be an exact integer
    floating: bool = False  # whole numbers are spelled as float64: they may be beyond 64 bits

    def value(self, expr: Expr, context: Context) -> Array:
        """The array that holds an expression, over the indices it depends on; shared ones get a
        name."""
        if self.may_float and is_arithmetic(expr) and is_beyond(expr):
            with self.set(floating=True):
                return self._value(expr, context)
        rolled = rotations.spelled(self, expr, context)
        if rolled is not None:
            return rolled
        shares = self.common and not self.floating and not self.scope.indent
        if not shares or not sharing.is_costly(expr):
            return self._value(expr, context)
        form, own = sharing.canonical(expr)
        anywhere = sharing.is_gather(expr) or all(map(in_bounds, accesses(expr)))
        if form not in self.common or not anywhere:
            return self._value(expr, context)
        if form not in self.scope.shared:
            # The target's name is given another value before what is shared is read again.
            target, self.target = self.target, ""
            array = squeezed(self._value(expr, context))
            self.target = target
            if not array.axes and array.weak:
                return array
            array = self.named(array, sharing.wanted_name(expr))
            self.scope.shared[form] = renamed(
                array, {i: Index(f"#{PRIVATE}{n}", i.extent) for n, i in enumerate(own)}
            )
        names = {Index(f"#{PRIVATE}{n}", i.extent): i for n, i in enumerate(own)}
        return renamed(self.scope.shared[form], names)

    @property
    def may_float(self) -> bool:
        """Whether whole numbers may be computed as floats from here on. Those of a NumPy function
        are left as they are: NumPy's integers wrap."""
        return not (self.whole or self.floating or self.scope.facts.wraps)

    @contextmanager
    def set(self, *, floating: bool | None = None, whole: bool | None = None) -> Iterator[None]:
        """Inside, whole numbers are spelled this way."""
        before = self.floating, self.whole
        self.floating = self.floating if floating is None else floating
        self.whole = self.whole if whole is None else whole
        yield
        self.floating, self.whole = before

    def number(self, array: Array) -> Array:
        """Whole numbers as a value, in a dtype that holds what is computed of them."""
        if array.weak or not is_integer(array.dtype) or self.scope.facts.wraps:
            return array
        if self.floating:
            return array.with_code(method(array.code, "astype", "float"), dtype="float64")
        if array.dtype in ("int", "int64"):
            return array
        return array.with_code(method(array.code, "astype", "int"), dtype="int")

    def share(self, *bodies: Expr) -> None:
        """From now on, what stands in several places of these expressions is computed once."""
        self.common = sharing.repeated(bodies)
        self.scope.shared = {}

    def _value(self, expr: Expr, context: Context) -> Array:
        match expr:
            case Number():
                return number_array(expr)
            case SizeOf(value):
                counted = Array(self.scope.size(value), (), "weak int", count=value)
                return numpy_scalar(counted) if self.floating else counted
            case IndexOf(sub):
                return self.number(self.subscript(sub, context))
            case Access():
                return self.number(self.access(expr, context))
            case Apply(function, args):
                return functions.spell(self, function, args, context)
            case Add(terms):
                return self.sum(terms, context)
            case Mul(factors):
                return self.product(factors, context)
            case Power(_, exponent) if exponent < 0:
                one = Array(Code("1"), (), "weak int")
                return self.divided(one, self.inverse(expr, context), context)
            case Power(base, exponent):
                return self.power(self.value(base, context), exponent, context)
            case Reduce():
                return self.reduction(expr, context)
            case Arg():
                return self.arg(expr, context)
            case Select(cond, then, other):
                return self.select(cond, then, other, context)
            case Guard(cond):
                return self.condition(cond, context)
            case Opaque():
                return matrices.spelled(self, expr, context)

    def together(self, arrays: Sequence[Array], context: Context) -> list[Array]:
        """The arrays laid out so that they broadcast."""
        if sum(bool(array.axes) for array in arrays) < 2:
            return list(arrays)
        wider = len({i for array in arrays for i in array.indices}) < len(context.hint)
        layouts = dict.fromkeys(array.axes for array in arrays if None in array.axes)
        for layout in layouts if wider else ():
            same = [_spelled_over(array, layout) for array in arrays]
            if None not in same:
                return same  # type: ignore[return-value]
        frame = frame_of([a.indices for a in arrays], context.hint)
        return [aligned(array, frame) for array in arrays]

    def operation(self, op: str, left: Array, right: Array, context: Context) -> Array:
        """``left op right`` for an arithmetic operator."""
        left, right = self.compatible([left, right])
        one, two = self.together([left, right], context)
        kept = None
        if left.kept is not None and not right.axes:
            kept = self.operation(op, left.kept, right, context)
        elif right.kept is not None and not left.axes:
            kept = self.operation(op, left, right.kept, context)
        dtype = promoted([left.dtype, right.dtype])
        axes = broadcast_axes([one, two])
        code = binary(op, one.code, two.code)
        if axes == one.axes and dtype == one.dtype and one.code.is_name:
            update = (str(one.code), op, two.code.text)
            return Array(code, axes, dtype, kept=kept, update=update)
        return Array(code, axes, dtype, kept=kept)

    def compatible(self, arrays: Sequence[Array]) -> list[Array]:
        """Keeps whole numbers and wider floats from widening the floats of unknown width they
        meet."""
        if not any(array.dtype == "float" for array in arrays):
            return list(arrays)
        return [
            self.cast(array, "float")
            if not array.weak and array.dtype not in ("float", "bool")
            else array
            for array in arrays
        ]

    def cast(self, array: Array, dtype: str) -> Array:
        """The array with another dtype."""
        if array.dtype == dtype:
            return array
        text = self.scope.dtype(dtype) or "float"
        if array.weak:
            return array
        return array.with_code(method(array.code, "astype", text), dtype=dtype, view=False)

    # sums, products, powers

    def sum(self, terms: Sequence[Expr], context: Context) -> Array:
        """The sum of terms, one with a plus sign first."""
        terms = either_or(terms)
        if len(terms) == 1:
            return self.value(terms[0], context)
        signed = [split_sign(term) for term in terms]
        if not signed:
            return number_array(ZERO)
        first = next((n for n, (sign, _) in enumerate(signed) if sign > 0), 0)
        signed.insert(0, signed.pop(first))
        total: Array | None = None
        for sign, term in signed:
            part = self.value(term, context)
            if total is None:
                total = part if sign > 0 else self.negative(part)
                continue
            if total.dtype == part.dtype == "bool":
                total = self.cast(total, "int")
            total = self.operation("+" if sign > 0 else "-", total, part, context)
        assert total is not None
        return total

    def negative(self, array: Array) -> Array:
        """``-array``."""
        if array.dtype == "bool":
            array = self.cast(array, "int")
        return array.with_code(minus(array.code), view=False)

    def product(self, factors: Sequence[Expr], context: Context) -> Array:
        """The product of factors, selected by the guards among them."""
        guards = [f.cond for f in factors if isinstance(f, Guard)]
        others = [f for f in factors if not isinstance(f, Guard)]
        decisions = {cond: self.scope.facts.decided(cond) for cond in guards}
        if False in decisions.values():
            return number_array(ZERO)
        guards = [cond for cond in guards if decisions[cond] is None]
        if not guards and (choice := chosen(others)) is not None:
            return self.value(choice, context)
        if not guards:
            return self.plain_product(others, context)
        factors = [*map(Guard, guards), *others]
        kinked = self.kinked(guards, others, context)
        if kinked is not None:
            return kinked
        if len([f for f in others if not isinstance(f, Number)]) == 1:
            before = self.scope.kept()
            found = padding.padded_factors(self, factors)
            if found is not None and not found[1]:
                return self.plain_product(found[0], context)
            self.scope.restore(before)
        lone = guards[0] if len(guards) == 1 and others else None
        if lone is not None and is_triangle(lone) and not self.scope.facts.tame(others, guards):
            before = self.scope.kept()
            value = self.plain_product(others, context.under(lone))
            half = triangle(value, lone)
            if half is not None:
                return half
            self.scope.restore(before)
        if self.is_factor(guards, others):
            asked = Guard(guards[0] if len(guards) == 1 else And(tuple(guards)))
            return self.plain_product([*others, asked], context.under(*guards))
        mask = self.all_conditions(guards, context)
        if not others:
            return mask
        value = self.plain_product(others, context.under(*guards))
        return self.selected(mask, value, guards, others, context)

    def is_factor(self, guards: Sequence[Cond], others: Sequence[Expr]) -> bool:
        """Whether a mask of fewer axes than a product meets the factors of few axes first, since
        the product is finite anyway; one of them is a float, so that the mask becomes floats of
        that width."""
        facts = self.scope.facts
        axes = [set(free_indices(f)) for f in others]
        own = {i for cond in guards for i in free_indices(cond)}
        if facts.strict or not own or own.issuperset(set().union(*axes)):
            return False
        first = any(len(a) < len(own) or a == own for a in axes)
        floats = any(
            len(a) <= len(own) and any(is_float(t.dtype) for t in tensors(f))
            for f, a in zip(others, axes, strict=True)
        )
        return first and floats and facts.tame(others, guards)

    def kinked(
        self, guards: Sequence[Cond], factors: Sequence[Expr], context: Context
    ) -> Array | None:
        """``x * [x > 0]`` as ``np.maximum(x, 0)``; None where it is something else."""
        if len(guards) != 1 or not isinstance(guards[0], Compare):
            return None
        cond = guards[0]
        for side, other, name in (
            (cond.right, cond.left, "maximum"),
            (cond.left, cond.right, "minimum"),
        ):
            if cond.op in ("<", "<=") and other is ZERO and side in factors:
                rest = list(factors)
                rest[rest.index(side)] = Apply(name, (side, ZERO))
                return self.plain_product(rest, context)
        return None

    def selected(
        self,
        mask: Array,
        value: Array,
        conds: Sequence[Cond],
        factors: Sequence[Expr],
        context: Context,
    ) -> Array:
        """``value``, the product of ``factors``, where the mask holds, else 0.

        It is multiplied by the mask where the value is finite anyway, which is much faster.
        """
        if not value.weak and self.scope.facts.tame(factors, conds):
            return self.operation("*", value, mask, context)
        return self.where(mask, value, number_array(ZERO), context)

    def where(self, mask: Array, then: Array, other: Array, context: Context) -> Array:
        """``np.where(mask, then, other)``."""
        then, other = self.compatible([then, other])
        if mask.weak:
            return then if mask.code.text == "True" else other
        cond, one, two = self.together([mask, then, other], context)
        axes = broadcast_axes([cond, one, two])
        dtype = promoted([then.dtype, other.dtype])
        if then.weak and other.weak:
            dtype = "float64" if dtype == "weak float" else "int64"
        return Array(elementwise("np.where", cond.code, one.code, two.code), axes, dtype)

    def plain_product(self, factors: Sequence[Expr], context: Context) -> Array:
        """The product of factors none of which is a guard: the small ones are multiplied first.

        In the forward pass three or more are multiplied as they stand: in another order they might
        overflow, or underflow, where they don't as they stand.
        """
        if self.scope.facts.strict and len(factors) > 2:
            return self.as_it_stands(factors, context)
        coefficient = Fraction(1)
        above: list[Array] = []
        below: list[Array] = []
        last: list[Array] = []
        factors = _powers_together(factors)
        turns = self.in_turns(factors)
        if turns:
            bases = set(map(_base, turns))
            calm = [f for f in factors if _base(f) not in bases]
            total = self.plain_product([*calm, turns[0]], context)
            return replace(self.one_by_one(total, turns[1:], context), factors=None)
        extents = self.scope.facts.over(Mul(tuple(factors)))
        for factor in factors:
            match factor:
                case Number(value, ""):
                    coefficient *= value
                case Power(base, exponent) if exponent < -1 and not isinstance(base, SizeOf):
                    first, others = _in_steps(base, exponent)
                    below.append(self.inverse(first, context))
                    last += [self.inverse(other, context) for other in others]
                case Power(SizeOf(count), exponent) if exponent < 0 and is_product_of(
                    count, extents
                ):
                    below.append(self.number_of_terms(factor, context))
                case Power(_, exponent) if exponent < 0:
                    below.append(self.inverse(factor, context))
                case _:
                    above.append(self.value(factor, context))
        total = self.quotient(coefficient, above, below, context)
        for array in last:
            total = self.divided(total, array, context)
        return total

    def in_turns(self, factors: Sequence[Expr]) -> list[Expr]:
        """The factors that may over- or underflow, in an order in which one that is large meets
        one that is small early; none where the order makes no difference.

        Of three, the product of two may get in the way of the third. Squares are taken apart, and
        a multiplication comes first.
        """
        facts = self.scope.facts
        most = max((len(free_indices(f)) for f in factors), default=0)
        wild = [f for f in factors if facts.wildness(_base(f))]
        found = [f for f in wild if len(free_indices(f)) == most]  # small arrays come first anyway
        if len(found) < 2:
            return []
        single = _round_robin(map(_taken_apart, found))
        calm = [f for f in factors if f not in found and not isinstance(f, Number | SizeOf)]
        if len(single) + len(calm) < 3 or all(map(_is_divisor, single)):
            return []
        small = [f for f in single if facts.is_small(f)]
        large = [f for f in single if f not in small]
        return _round_robin((large, small))

    def one_by_one(self, total: Array, factors: Sequence[Expr], context: Context) -> Array:
        """What is multiplied with, and divided by, factors one after the other."""
        for factor in factors:
            match factor:
                case Power(_, exponent) if exponent < 0:
                    total = self.divided(total, self.inverse(factor, context), context)
                case _:
                    total = self.operation("*", total, self.value(factor, context), context)
        return total

    def as_it_stands(self, factors: Sequence[Expr], context: Context) -> Array:
        """The product of factors from left to right."""
        one = Array(Code("1"), (), "weak int")
        total: Array | None = None
        negated = False
        for factor in factors:
            match factor:
                case Number(value, "") if abs(value) == 1:
                    negated ^= value < 0
                    continue
                case Power(_, exponent) if exponent < 0:
                    total = self.divided(total or one, self.inverse(factor, context), context)
                    continue
                case Number(value, ""):
                    negated ^= value < 0
                    part = number_array(Number(abs(value), ""))
                case _:
                    part = self.value(factor, context)
            if total is not None and total.dtype == part.dtype == "bool":
                total = self.cast(total, "int")
            total = part if total is None else self.operation("*", total, part, context)
        total = total or one
        return self.negative(total) if negated else total

    def quotient(
        self, coefficient: Fraction, above: list[Array], below: list[Array], context: Context
    ) -> Array:
        """``coefficient * Π above / Π below``."""
        sign, coefficient = (-1 if coefficient < 0 else 1), abs(coefficient)
        negated = sign < 0
        steps: list[str] = []
        if not self.scope.facts.strict:  # the forward pass multiplies by what was written
            dtype = promoted([a.dtype for a in (*above, *below)])
            coefficient, steps = in_range(coefficient, dtype)
        over, under = split_number(coefficient)
        if over != "1":
            weak = "weak float" if "." in over or "e" in over else "weak int"
            above = [Array(Code(over), (), weak), *above]
        if under != "1":
            below = [Array(Code(under), (), "weak int", count=size(int(under))), *below]
        if all(array.dtype == "bool" for array in above) and len(above) > 1:
            above[0] = self.cast(above[0], "int")
        whole = above
        if not self.scope.facts.strict:
            above = [part for a in whole for part in (a.factors[0] if a.factors else (a,))]
            below = [*below, *(part for a in whole for part in (a.factors[1] if a.factors else ()))]
        over_all = frozenset(i for a in (*above, *below) for i in a.indices)
        over_each, under_each = self._apart(above, below, over_all, context)
        parts = [(len(a.indices), 0, n, a) for n, a in enumerate(over_each)]
        parts += [(len(a.indices), 1, n, a) for n, a in enumerate(under_each)]
        parts_rank = max((rank for rank, *_ in parts), default=0)
        total: Array | None = None
        waiting: list[Array] = []  # what to divide by as soon as there is something to divide
        for _, side, _, array in sorted(parts, key=lambda part: part[:3]):
            if side:
                waiting.append(array)
            elif total is None:
                small = array.weak or len(array.indices) < parts_rank
                total = self.negative(array) if sign < 0 and small else array
                sign = 1 if total is not array else sign
            else:
                total = self.operation("*", total, array, context)
            if waiting and total is not None and not (total.weak and waiting[0].weak):
                total = self.divided(total, self.multiplied(waiting, context), context)
                waiting = []
        if total is None:
            total = Array(Code("1") if sign > 0 else minus(Code("1")), (), "weak int")
            sign = 1
        if waiting:
            total = self.divided(total, self.multiplied(waiting, context), context)
        for step in steps:
            total = self.operation("*", total, Array(Code(step), (), "weak float"), context)
        if sign < 0:
            return self.negative(total)
        if negated or steps or _is_narrow(total.dtype):
            return total
        return replace(total, factors=(tuple(above), tuple(below)))

    def _apart(
        self, above: list[Array], below: list[Array], indices: frozenset[Index], context: Context
    ) -> tuple[list[Array], list[Array]]:
        """What is multiplied and what is divided by, of an outer product: what the second and later
        parts are divided by, and further factors over the same axes, are put together first."""
        axes = [*dict.fromkeys(frozenset(a.indices) for a in above if a.indices)]
        if self.scope.facts.strict or len(axes) < 2 or indices in axes:
            return above, below
        least = min(axes, key=len)
        for group in axes:
            over = [a for a in above if frozenset(a.indices) == group]
            under = [a for a in below if frozenset(a.indices) == group]
            if group == least or len(over) + len(under) < 2:
                continue
            total = self.multiplied(over, context)
            if under:
                total = self.divided(total, self.multiplied(under, context), context)
            above = [*(a for a in above if frozenset(a.indices) != group), total]
            below = [a for a in below if frozenset(a.indices) != group]
        return above, below

    def multiplied(self, arrays: Sequence[Array], context: Context) -> Array:
        """The product of arrays, as it stands."""
        total = arrays[0]
        for array in arrays[1:]:
            total = self.operation("*", total, array, context)
        return total

    def divided(self, left: Array, right: Array, context: Context) -> Array:
        """``left / right``; a sum over the number of its terms is a mean."""
        if left.mean is not None and left.count is right.count:
            return left.mean
        if left.weak and right.weak and not is_safe(right):
            left = numpy_scalar(left)
        result = self.operation("/", left, right, context)
        if is_float(result.dtype):
            return result
        dtype = "weak float" if left.weak and right.weak else "float64"
        return result.with_code(result.code, dtype=dtype)

    def number_of_terms(self, power: Power, context: Context) -> Array:
        """A size to divide by which is 0 where what is divided is a sum over nothing: that is 0,
        so it is divided by 1."""
        array = self.inverse(power, context)
        count = power.base.size if isinstance(power.base, SizeOf) else array.count
        means = self.scope.facts.means
        if means is None or (count is not None and (count.at_least(1) or count in means)):
            return array
        return array.with_code(call("max", array.code, 1), count=None)

    def inverse(self, power: Power, context: Context) -> Array:
        """What to divide by instead of multiplying by a power with a negative exponent."""
        self.risk(context)
        if isinstance(power.base, Add) and any(map(_divides, power.base.terms)):
            self.scope.quiet.update(dict.fromkeys(("divide", "over")))  # 1/(1 + inf) is 0
        if power.exponent == -1:
            return self.value(power.base, context)
        return self.value(Power(power.base, -power.exponent), context)

    def power(self, base: Array, exponent: Fraction, context: Context) -> Array:
        """``base ** exponent``."""
        if exponent.denominator > 1:
            self.risk(context)
        if base.dtype == "bool":
            base = self.cast(base, "int")
        whole, rest = divmod(exponent, 1)
        if exponent == 1:
            return base
        if exponent == 0:
            return Array(Code("1"), (), "weak int")
        if base.weak and (self.floating or not is_safe(base)):
            base = numpy_scalar(base)
        if exponent in (4, 6, 8) and not self.scope.facts.strict and is_float(base.dtype):
            # NumPy squares by a product, and takes other powers a hundred times as long
            half = self.power(base, exponent / 2, context)
            return half.with_code(binary("**", half.code, Code("2")), view=False)
        if rest == 0 and (exponent == 2 or exponent > 3 or not base.code.is_name):
            return base.with_code(binary("**", base.code, Code(str(exponent))), view=False)
        if rest == 0:
            return base.with_code(Code(" * ".join([base.code.text] * int(whole)), 5), view=False)
        dtype = "weak float" if base.weak else floated(base.dtype)
        if rest == Fraction(1, 2) and whole <= 1:
            root = base.with_code(elementwise("np.sqrt", base.code), dtype=dtype, view=False)
            if base.weak:
                root = root.with_code(Code(f"{base.code.at(POWER + 1)} ** 0.5", POWER))
            return self.operation("*", base, root, context) if whole else root
        over, under = split_number(exponent)
        text = Code(over) if under == "1" else binary("/", Code(over), Code(under))
        return base.with_code(binary("**", base.code, text), dtype=dtype, view=False)

    def risk(self, context: Context) -> None:
        """Notes that a value which is thrown away may be computed with a warning."""
        if context.conds:
            self.scope.quiet.update(dict.fromkeys(("divide", "invalid", "over")))

    # conditions

    def condition(self, cond: Cond, context: Context) -> Array:
        """The mask of a condition."""
        match cond:
            case Compare(op, left, right):
                with self.set(floating=False, whole=is_whole(left) and is_whole(right)):
                    one, two = self.value(left, context), self.value(right, context)
                return self.comparison(op, one, two, context)
            case Zero(sub):
                return self.equality(sub, context)
            case Inside(sub, extent):
                return self.range(sub, extent, context)
            case Divides(divisor, sub):
                value = self.subscript(sub, context)
                text = binary("%", value.code, self.scope.size(divisor))
                rest = value.with_code(text)
                return self.comparison("==", rest, Array(Code("0"), (), "weak int"), context)
            case And(conds):
                return self.all_conditions(conds, context)
            case Or(conds):
                parts = [self.condition(c, context.under(*conds)) for c in conds]
                return self.joined("|", parts, "False", context)
            case Not(inner):
                value = self.condition(inner, context)
                if value.weak or not value.axes:
                    return value.with_code(elementwise("np.logical_not", value.code))
                return value.with_code(Code(f"~{value.code.at(6)}", 6))
            case Truth(value):
                array = self.value(value, context)
                if array.dtype == "bool":
                    return array
                return self.comparison("!=", array, Array(Code("0"), (), "weak int"), context)

    def all_conditions(self, conds: Sequence[Cond], context: Context) -> Array:
        """The mask where all conditions hold; each is computed also where others don't."""
        masks = [
            self.condition(cond, context.under(*conds[:n], *conds[n + 1 :]))
            for n, cond in enumerate(conds)
        ]
        return self.all_of(masks, context)

    def all_of(self, masks: Sequence[Array], context: Context) -> Array:
        """The mask that is true where all are."""
        return self.joined("&", masks, "True", context)

    def joined(self, op: str, masks: Sequence[Array], empty: str, context: Context) -> Array:
        """Masks joined by ``&`` or ``|``."""
        if not masks:
            return Array(Code(f"np.bool_({empty})"), (), "bool")
        total = masks[0]
        for mask in masks[1:]:
            a, b = self.together([total, mask], context)
            total = Array(binary(op, a.code, b.code), broadcast_axes([a, b]), "bool")
        return total

    def comparison(self, op: str, left: Array, right: Array, context: Context) -> Array:
        """A comparison; one with a number on the left is turned round."""
        if left.weak and not right.weak:
            left, right, op = right, left, TURNED[op]
        axed = self.together([left, right], context)
        code = binary(op, axed[0].code, axed[1].code)
        if left.weak and right.weak:
            code = call("np.bool_", code)
        return Array(code, broadcast_axes(axed), "bool")

    def equality(self, sub: Subscript, context: Context) -> Array:
        """The mask ``sub == 0``."""
        left, right = _sides(sub, size(0))
        if not left.terms:
            left, right = right, left
        one, two = self.subscript(left, context), self.subscript(right, context)
        return self.comparison("==", one, two, context)

    def range(self, sub: Subscript, extent: Size, context: Context) -> Array:
        """The mask ``0 <= sub < extent`` without a side that always holds."""
        above, below = within(sub, extent)
        masks = []
        for holds, limit, op in ((above, size(0), ">="), (below, extent, "<")):
            if not holds:
                left, right = _sides(sub, limit)
                if not left.terms:
                    left, right, op = right, left, TURNED[op]
                one, two = self.subscript(left, context), self.subscript(right, context)
                masks.append(self.comparison(op, one, two, context))
        return self.all_of(masks, context)

    def select(self, cond: Cond, then: Expr, other: Expr, context: Context) -> Array:
        """``then`` where the condition holds, else ``other``."""
        decision = self.scope.facts.decided(cond)
        if decision is not None:
            return self.value(then if decision else other, context)
        padded = padding.padded_select(self, Select(cond, then, other))
        if padded is not None:
            return self.value(padded, context)
        mask = self.condition(cond, context)
        one = self.value(then, context.under(cond))
        two = self.value(other, context.under(Not(cond)))
        return self.where(mask, one, two, context)

    # subscripts and reads

    def subscript(self, sub: Subscript, context: Context) -> Array:
        """The integers that a subscript takes."""
        total: Array | None = None
        for atom, n in sub.terms:
            part = self.atom(atom, context)
            minus_one = n.literal == -1
            if n.literal not in (1, -1):
                factor = Array(self.scope.size(n), (), "weak int")
                part = self.operation("*", factor, part, context)
            if total is None:
                total = self.negative(part) if minus_one else part
            else:
                total = self.operation("-" if minus_one else "+", total, part, context)
        if total is None:
            return Array(self.scope.size(sub.const), (), "weak int")
        if sub.const.terms:
            sign = "+" if _positive(sub.const) else "-"
            value = sub.const if sign == "+" else -sub.const
            total = self.operation(
                sign, total, Array(self.scope.size(value), (), "weak int"), context
            )
        return total

    def atom(self, atom: Index | Quotient | Remainder | Lookup, context: Context) -> Array:
        """The integers that one atom of a subscript takes."""
        match atom:
            case Index() if atom in self.grids:
                return self.grids[atom]
            case Index():
                return Array(
                    leaf(call("np.arange", self.scope.size(atom.extent))), (atom,), "int64"
                )
            case Quotient(value, divisor):
                inner = self.subscript(value, context)
                return inner.with_code(binary("//", inner.code, self.scope.size(divisor)))
            case Remainder(value, divisor):
                inner = self.subscript(value, context)
                return inner.with_code(binary("%", inner.code, self.scope.size(divisor)))
            case Lookup(access):
                return self.access(access, context)

    def access(self, access: Access, context: Context) -> Array:
        """An element of a tensor at every point."""
        plain = [sub.index for sub in access.subs]
        full = all(
            i.extent is n if i is not None else n.literal == 1 and not sub.terms
            for i, sub, n in zip(plain, access.subs, access.tensor.shape, strict=True)
        )
        own = [i for i in plain if i is not None]
        full = full and len(set(own)) == len(own)
        pending = self.scope.pending.get(access.tensor)
        if full and pending is not None:
            self.scope.inlined.append(access.tensor)
            return renamed(pending.array, dict(zip(pending.indices, plain, strict=True)))
        held = self.scope.held(access.tensor)
        if full:
            return Array(held.code, tuple(plain), held.dtype, view=held.view)
        return views.read(self, access, context) or self.gather(access, context)

    def gather(self, access: Access, context: Context) -> Array:
        """A read at computed places; where a condition may fail, a place outside reads a zero."""
        held = self.scope.read(access.tensor)
        places: list[Array] = []
        padding: list[str] = []
        for sub, extent in zip(access.subs, access.tensor.shape, strict=True):
            place = self.subscript(sub, context)
            doubtful = bool(context.conds) and not self.scope.facts.surely_inside(sub, extent)
            padding.append("(0, 1)" if doubtful else "(0, 0)")
            if doubtful:
                place = self.clipped(place, extent, context)
            places.append(place)
        if "(0, 1)" in padding:
            held = call("np.pad", held, f"[{', '.join(padding)}]")
        laid = self.together(places, context)
        code = item(held, [str(place.code) for place in laid])
        return Array(code, broadcast_axes(laid), access.tensor.dtype)

    def clipped(self, place: Array, extent: Size, context: Context) -> Array:
        """Places outside ``[0, extent)`` moved to ``extent``, where there is one more element."""
        limit = self.scope.size(extent)
        if place.weak:
            text = f"{place.code} if 0 <= {place.code.at(1)} < {limit.at(1)} else {limit}"
            return place.with_code(Code(f"({text})"))
        name = self.named(place, "place")
        mask = f"(0 <= {name.code}) & ({name.code} < {limit.at(1)})"
        return name.with_code(call("np.where", mask, name.code, limit))

    def name_of(self, tensor: Tensor) -> str:
        """The name of a tensor in the source."""
        return str(self.scope.read(tensor))

    def extent(self, index: Index) -> Code:
        """The extent of an index."""
        return self.scope.size(index.extent)

    def named(self, array: Array, wanted: str) -> Array:
        """The array under a name, made up unless it has one."""
        if array.code.is_name:
            return array
        name = self.scope.names.fresh(wanted)
        self.scope.emit(f"{name} = {array.code}")
        return array.with_code(leaf(Code(name)), view=True)

    def stored(self, array: Array, wanted: str, dtype: str) -> Expr:
        """A read, at its own indices, of an array that gets a name."""
        array = self.named(squeezed(array), wanted)
        tensor = Tensor(f"{array.code}{LOCAL}", tuple(i.extent for i in array.indices), array.dtype)
        self.scope.arrays[tensor] = Array(array.code, (), array.dtype, view=True)
        return Access(tensor, tuple(map(at, array.indices)))

    def claim(self, name: str) -> None:
        """Makes the name of a statement's target free for the first array that the statement
        builds up."""
        self.target = name

    def fresh_name(self, wanted: str) -> str:
        """A name for an array that lines build up."""
        name, self.target = self.target, ""
        return name or self.scope.names.fresh(wanted)

    def zeros(self, tensor: Tensor, *, like: bool = True) -> Code:
        """Zeros for a tensor that will be filled; laid out ``like`` another one if that will do."""
        scope = self.scope
        for other in scope.named() if like else ():
            same = other.shape == tensor.shape and other.dtype == tensor.dtype
            if same and other is not tensor and not other.name.endswith(LOCAL):
                return call("np.zeros_like", scope.read(other))
        named = {"dtype": dtype} if (dtype := scope.dtype(tensor.dtype)) else {}
        sizes = [str(scope.size(n)) for n in tensor.shape]
        return call("np.zeros", sizes[0] if len(sizes) == 1 else tuple_of(sizes), **named)

    def remember(self, define: Define) -> None:
        """Keeps what a statement reduces, for others that need the same."""
        whole = set(free_indices(define.body)) == set(define.indices)
        if isinstance(define.body, Reduce) and whole and define.target in self.scope.arrays:
            self.done[define.body] = define.access

    @contextmanager
    def grid(self, frame: Sequence[Index]) -> Iterator[None]:
        """Inside, several indices that stand as numbers are the arrays of one ``np.ogrid``."""
        if len(frame) > 2:
            names = [self.scope.names.fresh(index.name) for index in frame]
            ranges = ", ".join(f":{extent}" for extent in self.scope.extents(frame))
            self.scope.emit(f"{', '.join(names)} = np.ogrid[{ranges}]")
            for n, (index, name) in enumerate(zip(frame, names, strict=True)):
                axes = tuple(index if k == n else None for k in range(len(frame)))
                self.grids[index] = Array(leaf(Code(name)), axes, "int64", view=True)
        yield
        self.grids = {}

    @contextmanager
    def trial(self) -> Iterator[None]:
        """What is spelled inside leaves no trace."""
        scope, target = self.scope, self.target
        before = scope.kept()
        yield
        scope.restore(before)
        self.target = target

    # reductions

    def reduction(self, expr: Reduce, context: Context) -> Array:
        """A reduction over whole axes, after selecting what its domain admits."""
        if expr in self.done and self.done[expr].tensor in self.scope.arrays:
            return self.access(self.done[expr], context)
        for special in (running.summed, taps.reduced, products.contract):
            found = special(self, expr, context)
            if found is not None:
                return found
        op, indices = expr.op, expr.indices
        inner = context.within(indices)
        body = self.value(expr.body, inner.under(*expr.domain))
        if expr.domain:
            mask = self.all_conditions(expr.domain, inner)
            body = self.where(mask, body, NEUTRAL[op], inner)
        return self.reduced(op, indices, body, context)

    def reduced(self, op: str, indices: Sequence[Index], body: Array, context: Context) -> Array:
        """``body`` reduced over ``indices``, also over those that it doesn't depend on."""
        body = squeezed(body)
        inside_body = [i for i in indices if i in body.axes]
        absent = [i for i in indices if i not in body.axes]
        if inside_body:
            body = reduce_axes(op, body, inside_body)
        for index in absent:
            if index.extent.literal == 1:
                continue
            extent = Array(self.scope.size(index.extent), (), "weak int")
            if op == "sum":
                body = self.operation("*", extent, body, context)
            elif op == "prod":
                body = numpy_scalar(body) if body.weak else body
                body = body.with_code(binary("**", body.code, extent.code), view=False)
        return body

    def arg(self, expr: Arg, context: Context) -> Array:
        """The place of the first greatest or least value, in the row-major order of its indices."""
        found = taps.arg(self, expr, context)
        if found is not None:
            return found
        inner = context.within(expr.indices)
        body = self.value(expr.body, inner.under(*expr.domain))
        if expr.domain:
            mask = self.all_conditions(expr.domain, inner)
            body = self.where(mask, body, NEUTRAL[expr.op], inner)
        body = squeezed(body)
        bound = [i for i in expr.indices if i in body.axes]
        if expr.indices[expr.which] not in bound:
            return Array(Code("0"), (), "weak int")
        outer = tuple(axis for axis in body.indices if axis not in bound)
        if len(bound) == 1:
            code = method(body.code, f"arg{expr.op}", axis_argument(body, bound))
            return Array(code, outer, "int64")
        flat = transposed(body, (*outer, *bound))
        count = " * ".join(extent.at(PRODUCT + 1) for extent in map(self.extent, bound))
        shape = [*self.scope.extents(outer), count]
        code = method(method(flat.code, "reshape", *shape), f"arg{expr.op}", "axis=-1")
        return self.digit(Array(code, outer, "int64"), expr, bound)

    def digit(self, flat: Array, expr: Arg, bound: Sequence[Index] = ()) -> Array:
        """One index of a place that is counted over several, in row-major order."""
        bound = bound or expr.indices
        code, which = flat.code, bound.index(expr.indices[expr.which])
        below = size(1)
        for index in bound[which + 1 :]:
            below = below * index.extent
        if below.literal != 1:
            code = binary("//", code, self.scope.size(below))
        if which:
            code = binary("%", code, self.extent(bound[which]))
        return flat if code is flat.code else flat.with_code(code, view=False)


TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _spelled_over(array: Array, layout: Axes) -> Array | None:
    """The array spelled over exactly these axes, if it is (a scalar is over any)."""
    if not array.axes or array.axes == layout:
        return array
    return array.kept if array.kept is not None and array.kept.axes == layout else None


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


def _is_narrow(dtype: str) -> bool:
    """Whether the product of two Python ints may be none of the dtype's, where each of them is."""
    return dtype.removeprefix("u") in ("int8", "int16", "int32") or dtype == "uint64"


def _divides(term: Expr) -> bool:
    """Whether a term of a sum may be infinite because it is divided by something."""
    factors = term.factors if isinstance(term, Mul) else (term,)
    return any(isinstance(f, Power) and f.exponent < 0 and free_indices(f) for f in factors)


def _sides(sub: Subscript, limit: Size) -> tuple[Subscript, Subscript]:
    """``sub`` and ``limit`` with what is subtracted moved to the other side."""
    left = Subscript(tuple(t for t in sub.terms if _positive(t[1])), size(0))
    right = constant(limit - sub.const) - (sub - left - sub.const)
    if right.terms and not _positive(right.const):
        return left - right.const, right - right.const
    return left, right


def _positive(value: Size) -> bool:
    return all(n > 0 for _, n in value.terms)
