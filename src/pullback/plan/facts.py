"""What is known of the integers that lookups give: reads that the forward pass makes, and args."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement
from math import gcd, prod

from .. import opaque
from ..calculus.guards import positive_names
from ..functions import FINITE, STEEP, TABLE
from ..ir.expr import (
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
    Zero,
)
from ..ir.missing import asks_what_is_finite, selects_by_bools
from ..ir.program import Define
from ..ir.recurrence import groups, is_recurrent
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, Lookup, Subscript, at, bounds, constant, inside, isolated
from ..ir.walk import Tree, accesses, children, free_indices, nodes, substitute, tensors
from ..text import PRIVATE
from .distinct import distinct_axes
from .terms import flat_factors

FACTORS = 3  # of a number of terms


@dataclass
class Facts:
    """``read`` holds the integer tensors that index an axis of that extent somewhere, so that
    their values are inside it, unless a guard asks whether they are (``doubted``); ``sure`` those
    of which every value is read, whatever holds, such reads and such subscripts; ``below`` an upper
    bound of integers that are at least 0; ``distinct`` the axes along which no two integers are
    equal;
    ``wrapped`` integers that were counted from the end of an extent where they were below 0,
    ``stored`` those of them at which a NumPy function adds values."""

    read: set[tuple[Tensor, Size]] = field(default_factory=set)
    doubted: set[tuple[Tensor, Size]] = field(default_factory=set)
    sure: set[tuple[Tensor | Tree, Size]] = field(default_factory=set)
    wraps: bool = False  # whether integers are a NumPy function's, and wrap as there
    strict: bool = False  # whether inputs may be infinite: in a forward pass NumPy's values count
    asked: bool = False  # whether a statement asks what isn't finite: then inputs may be infinite
    infinite: dict[Tensor, int] = field(
        default_factory=dict
    )  # see :meth:`how_infinite`; 0 for others
    unless_empty: dict[Tensor, tuple[frozenset[Size], int]] = field(
        default_factory=dict
    )  # how infinite where some sizes aren't 0
    selects: bool = False  # whether the forward pass selects by bool arrays
    values: set[Tensor] = field(default_factory=set)  # floats of inputs, and what is made of such
    above: set[Tensor] = field(default_factory=set)  # greater than 0 everywhere
    compared: set[Tensor] = field(default_factory=set)  # those of them that are, but for a NaN
    asked_above: dict[Tensor, Define] = field(default_factory=dict)  # where its conditions hold
    below: dict[Tensor, Size] = field(default_factory=dict)
    distinct: dict[Tensor, frozenset[int]] = field(default_factory=dict)
    wrapped: dict[Tensor, Size] = field(default_factory=dict)
    stored: set[tuple[Tensor, Size]] = field(default_factory=set)
    reached: dict[Size, None] = field(default_factory=dict)  # extents, first places of reads: >= 0
    small: set[Tensor] = field(default_factory=set)  # see :meth:`is_small`
    sums: dict[Tensor, frozenset[Size]] = field(default_factory=dict)  # 0 where such a size is 0
    means: set[Size] | None = None  # what the forward pass, if known, divides such sums by

    def learn(self, statements: Iterable[Define]) -> None:
        """Takes in what statements imply."""
        statements = list(statements)
        self.wraps = self.wraps or any(s.source.file for s in statements)
        for group in groups(statements):
            self._learn(group)
            while is_recurrent(group) and self._learn(group):
                pass

    def _learn(self, statements: Iterable[Define]) -> bool:
        """Takes in what some statements imply; whether that says anew how infinite they may be."""
        before = dict(self.infinite)
        for define in statements:
            self._learn_infinite(define)
            self._learn_inputs(define)
            self.sums[define.target] = self.over(define.body)
            if self.is_small(define.body):
                self.small.add(define.target)
            if self.positive(define.body):
                self.above.add(define.target)
                if not replace(self, strict=True).positive(define.body):
                    self.compared.add(define.target)
            elif self._positive_where(define.body) is not None:
                self.asked_above[define.target] = define
            if (bound := self.bound(define.body)) is not None:
                self.below[define.target] = bound
            if axes := distinct_axes(define, self.distinct):
                self.distinct[define.target] = axes
            if (extent := _wrapped(define)) is not None:
                self.wrapped[define.target] = extent
            stored = set(_stored_at(define, self.wrapped))
            self.stored |= stored
            self.sure |= stored
            for term in define.body.terms if isinstance(define.body, Add) else (define.body,):
                self.reached.update(dict.fromkeys(_first_places(term)))
            for node in nodes(define.body):
                if isinstance(node, Inside) and isinstance(node.sub.atom, Lookup):
                    self.doubted.add((node.sub.atom.access.tensor, node.extent))
            self.reached.update(dict.fromkeys(define.target.shape))
            for access in accesses(define.body):
                self.reached.update(dict.fromkeys(access.tensor.shape))
                for sub, extent in zip(access.subs, access.tensor.shape, strict=True):
                    if isinstance(sub.atom, Lookup):
                        self.read.add((sub.atom.access.tensor, extent))
            self.sure.update(_sure_places(define.body))
            self.reached.update(dict.fromkeys(_sure_constants(define.body)))
        return self.infinite != before

    def _learn_inputs(self, define: Define) -> None:
        """Takes in what comes from inputs, and not from upstream gradients alone."""
        read = set(tensors(define.body))
        if not define.of:  # of the forward pass
            self.values.update(t for t in read if t.kind == "float")
            self.asked = self.asked or asks_what_is_finite([define])
            self.selects = self.selects or selects_by_bools([define])
        if not self.values.isdisjoint(read):
            self.values.add(define.target)

    def alias(self, other: Tensor, tensor: Tensor) -> None:
        """From now on the same is known of another tensor, which holds a part of a tensor."""
        if tensor in self.values:
            self.values.add(other)
        if tensor in self.infinite:
            self.infinite[other] = self.infinite[tensor]
        for positive in (self.above, self.compared):
            if tensor in positive:
                positive.add(other)
        if tensor in self.small:
            self.small.add(other)
        if tensor in self.sums:
            self.sums[other] = self.sums[tensor]
        if tensor in self.below:
            self.below[other] = self.below[tensor]
        if tensor in self.distinct:
            self.distinct[other] = self.distinct[tensor]
        for known in (self.read, self.doubted):
            known.update([(other, n) for t, n in known if t is tensor])
        self.sure.update([(other, n) for t, n in self.sure if t is tensor])

    def learn_means(self, forward: Iterable[Define]) -> None:
        """Takes in which sums over nothing a forward pass divides by the number of their terms:
        that is NaN, and so may be what follows from it."""
        self.means = {
            count
            for define in forward
            for node in nodes(define.body)
            if isinstance(node, Mul)
            for count in divisors(node.factors)
            if is_product_of(count, self.over(node))
        }

    def is_small(self, value: Expr) -> bool:
        """Whether a value may be small where something is large: it is divided by something that
        isn't a size, or bounded."""
        match value:
            case Access(tensor, _):
                return tensor in self.small
            case Mul(factors):
                return any(self.is_small(f) for f in factors if tensors(f))
            case Power(base, exponent):
                inner = isinstance(base, SizeOf) or self.is_small(base)
                return inner if exponent > 0 else not inner
            case Apply(function, _):
                return max(-TABLE[function].low, TABLE[function].high) < float("inf")
            case Add(terms):
                return all(self.is_small(t) for t in terms if tensors(t))
            case _:
                return False

    def over(self, value: Expr) -> frozenset[Size]:
        """The sizes of which a value is known to be a sum over nothing where one is 0."""
        match value:
            case Reduce("sum", indices):
                return frozenset(i.extent for i in indices)
            case Access(tensor, _):
                return self.sums.get(tensor, frozenset())
            case Mul(factors):
                return frozenset().union(*map(self.over, factors))
            case Add(terms):
                return frozenset.intersection(*map(self.over, terms))
            case Power(base, exponent) if exponent > 0:
                return self.over(base)
            case _:
                return frozenset()

    def at_least_zero(self, value: Size) -> bool:
        """Whether a size is known not to be below 0 wherever there is something to compute."""
        return value.at_least(0) or any((value - n).at_least(0) for n in self.reached)

    def always_inside(self, sub: Subscript, extent: Size) -> bool:
        """Whether ``0 <= sub < extent`` is known at all sizes that a derivation is made for."""
        if isinstance(sub.atom, Lookup):
            pair = (sub.atom.access.tensor, extent)
            if pair in self.stored or (pair in self.read and pair not in self.doubted):
                return True
        if not sub.terms and self.at_least_zero(sub.const):
            return self.at_least_zero(extent - 1 - sub.const)
        return inside(self.bounded(sub), extent, ())

    def inside(self, sub: Subscript, extent: Size) -> bool:
        """Whether ``0 <= sub < extent`` is known wherever there is something to compute."""
        if self.always_inside(sub, extent):
            return True
        reach = bounds(self.bounded(sub))
        if reach is None:
            return False
        low, high = reach
        return self.at_least_zero(low) and self.at_least_zero(extent - 1 - high)

    def surely_inside(self, sub: Subscript, extent: Size) -> bool:
        """Whether ``0 <= sub < extent`` is known, also where the conditions around are false."""
        if isinstance(sub.atom, Lookup):
            access = sub.atom.access
            if self.sure.isdisjoint([(access.tensor, extent), (_canonical(access), extent)]):
                return inside(self.bounded(sub), extent, ())
        return self.inside(sub, extent) or (_canonical(IndexOf(sub)), extent) in self.sure

    def bound(self, body: Expr) -> Size | None:
        """An upper bound of integers that are at least 0, None where none is known."""
        match body:
            case Arg(_, indices, which):
                return indices[which].extent
            case Opaque(operation, operands):
                return opaque.bound_of(opaque.TABLE[operation], [t.shape for t in operands])
            case Access(tensor):
                return self.below.get(tensor)
            case Apply("clip", (_, Number(low, ""), SizeOf(high))) if low >= 0:
                return high + 1
            case IndexOf(sub):
                reach = bounds(sub)
                return reach[1] + 1 if reach is not None and reach[0].at_least(0) else None
            case Select(_, then, other):
                one, two = self.bound(then), self.bound(other)
                if one is None or two is None:
                    return None
                return one if (one - two).at_least(0) else two if (two - one).at_least(0) else None
            case _:
                return None

    def bounded(self, sub: Subscript) -> Subscript:
        """The subscript with args as indices of their range, for proofs about bounds."""
        total = constant(sub.const)
        for n, (atom, factor) in enumerate(sub.terms):
            if isinstance(atom, Lookup) and atom.access.tensor in self.below:
                atom = Index(f"lookup{PRIVATE}{n}", self.below[atom.access.tensor])
            total = total + at(atom) * factor
        return total

    def decided(
        self, cond: Cond, inside: Callable[[Subscript, Size], bool] | None = None
    ) -> bool | None:
        """Whether a condition always or never holds; None if that depends.

        ``inside``: whether a subscript is also known to be within an extent where it is read.
        """
        match cond:
            case Zero(sub) if not sub.terms and sub.const.literal is not None:
                return sub.const.literal == 0
            case Inside(sub, extent):
                known = self.always_inside(sub, extent) or (inside and inside(sub, extent))
                return True if known else None
            case Divides(divisor, _) if divisor.literal == 1:
                return True
            case Divides(divisor, sub) if not sub.terms:
                rest = (sub.const % divisor).literal
                return None if rest is None else rest == 0
            case Or(conds):
                found = self.decided(And(tuple(map(Not, conds))), inside)
                return None if found is None else not found
            case Not(inner):
                found = self.decided(inner, inside)
                return None if found is None else not found
            case And(conds):
                found_all = [self.decided(c, inside) for c in conds]
                if False in found_all:
                    return False
                return True if all(found_all) else None
            case _:
                return None

    def finite_anyway(self, factors: Iterable[Expr], conds: Iterable[Cond]) -> bool:
        """Whether a product is finite also where conditions are false, for finite inputs.

        Where the program asks which elements are finite, or selects some by a bool array, inputs
        need not be finite. A float that a condition reads may be guarded by it, so it doesn't
        count.
        """
        factors, conds = list(factors), list(conds)
        strict = (self.strict or self.asked) and any(map(tensors, factors))
        return not strict and not self.leaves_out(conds, factors) and self.finite(factors, conds)

    def leaves_out(self, conds: Iterable[Cond], factors: Iterable[Expr]) -> bool:
        """Whether conditions may leave out elements of inputs that are missing, as NaN."""
        if not self.selects or not any(tensors(cond) for cond in conds):
            return False
        return not self.values.isdisjoint(t for f in factors for t in tensors(f))

    def finite(self, factors: Iterable[Expr], conds: Iterable[Cond]) -> bool:
        """As :meth:`finite_anyway`, in a forward pass, too."""
        factors = list(factors)
        guarded = {t for cond in conds for t in tensors(cond) if t.kind == "float"}
        free = dict.fromkeys(i for f in factors for i in free_indices(f))
        names, there = positive_names(free), frozenset(i.extent for i in free)
        return all(
            _is_nonzero_size(f, names)
            or (not self.how_infinite(f, there) and not guarded & set(tensors(f)))
            for f in factors
        )

    def _learn_infinite(self, define: Define) -> None:
        """How infinite elements may be: where there are any, the extents of the axes are above 0;
        and how infinite where a mean isn't one of nothing."""
        there = frozenset(i.extent for i in define.indices)
        own = self.infinite[define.target] = self._how_infinite_with_a_name(define.body, there)
        sizes = there | self.over(define.body)
        other = self._how_infinite_with_a_name(define.body, sizes) if sizes > there else own
        if other < own:
            self.unless_empty[define.target] = sizes - there, other

    def _how_infinite_with_a_name(self, expr: Expr, there: frozenset[Size]) -> int:
        """Of a value with a name. In a sum, an overflow spoils what follows anyway."""
        own = self.how_infinite(expr, there)
        is_sum = isinstance(expr, Reduce) and expr.op == "sum"
        return 0 if own == 1 and is_sum else own

    def how_infinite(self, expr: Expr, there: frozenset[Size] = frozenset()) -> int:
        """Whether an expression may be infinite for finite inputs: 0 no, 1 by overflow, 2 by a
        division by 0. Sizes that are ``there`` are not 0.

        Only functions that overflow easily count, not sums and products.
        """
        match expr:
            case Number(_, special):
                return 2 if special else 0
            case SizeOf() | IndexOf() | Guard() | Arg():
                return 0
            case Access(tensor, _):
                sizes, other = self.unless_empty.get(tensor, (there, 2))
                own = self.infinite.get(tensor, 0)
                return min(own, other) if sizes <= there else own
            case Add(parts) | Mul(parts):
                return max((self.how_infinite(part, there) for part in parts), default=0)
            case Power(SizeOf(count), _) if count in there:
                return 0
            case Power(base, exponent):
                whole = exponent.denominator == 1 and exponent >= 0
                safe = whole or self.positive(base)
                return self.how_infinite(base, there) if safe else 2
            case Apply(function, args):
                own = 0 if function in FINITE else 1 if function in STEEP else 2
                return max(own, *(self.how_infinite(arg, there) for arg in args))
            case Reduce(op, indices, _, body):
                inner = there.union(i.extent for i in indices)
                return max(self.how_infinite(body, inner), op == "prod")
            case Opaque(operation):
                return 0 if opaque.TABLE[operation].kind == "int" else 2
            case Select(_, then, other):
                return max(self.how_infinite(then, there), self.how_infinite(other, there))

    def positive(self, expr: Expr) -> bool:
        """Whether an expression is seen to be greater than 0."""
        match expr:
            case Number(value, special):
                return value > 0 and not special
            case SizeOf(value):
                return value.at_least(1)
            case Access(tensor, subs):  # outside its extent a tensor is read as 0
                known = tensor in self.above and not (self.strict and tensor in self.compared)
                return known and all(
                    inside(sub, n, ()) for sub, n in zip(subs, tensor.shape, strict=True)
                )
            case Add(terms):
                return all(map(self.nonnegative, terms)) and any(map(self.positive, terms))
            case Mul(factors):
                return all(map(self.positive, factors))
            case Power(base, _):
                return self.positive(base)
            case Apply(function, _):
                return TABLE[function].positive if function in TABLE else False
            case Reduce("sum", _, (), body) if self.positive(body):
                return True
            case Reduce("sum", indices, domain, body):
                conds = self._positive_where(body)
                return conds is not None and _somewhere([*domain, *conds], indices, self.strict)
            case _:
                return False

    def _positive_where(self, expr: Expr) -> list[Cond] | None:
        """The conditions where a value is seen to be greater than 0, being 0 elsewhere; None where
        that isn't seen."""
        match expr:
            case Access(tensor, subs) if tensor in self.asked_above:
                define = self.asked_above[tensor]
                conds = self._positive_where(define.body)
                place = dict(zip(define.indices, subs, strict=True))
                return None if conds is None else [substitute(c, place) for c in conds]  # type: ignore[misc]
            case Mul(factors):
                conds = [f.cond for f in factors if isinstance(f, Guard)]
                others = [f for f in factors if not isinstance(f, Guard)]
                return conds if conds and all(map(self.positive, others)) else None
            case Select(cond, then, Number(value, "")) if value == 0 and self.positive(then):
                return [cond]
        return [] if self.positive(expr) else None

    def nonnegative(self, expr: Expr) -> bool:
        """Whether an expression is seen to be at least 0."""
        match expr:
            case Number(value, special):
                return value >= 0 and not special
            case SizeOf() | Guard():
                return True
            case Mul(factors):
                return all(map(self.nonnegative, factors))
            case Add(terms):
                return all(map(self.nonnegative, terms))
            case Power(base, exponent):
                return exponent % 2 == 0 or self.nonnegative(base)
            case Apply(function, _):
                return function in TABLE and TABLE[function].low >= 0
            case Select(_, then, other):
                return self.nonnegative(then) and self.nonnegative(other)
            case Reduce(op, _, _, body) if op != "prod":
                return self.nonnegative(body)
            case _:
                return self.positive(expr)


def _somewhere(conds: Sequence[Cond], indices: Sequence[Index], strict: bool) -> bool:
    """Whether conditions hold at some values of indices, whatever the others are: each of them the
    value of another index, as ``i = j`` does, and unless ``strict``, ``t[i] <= t[j]``, which does
    for what is no NaN."""
    others = [*dict.fromkeys(i for c in conds for i in free_indices(c))]
    for bound in indices:
        if not any(bound in free_indices(c) for c in conds):
            continue
        like = (i for i in others if i not in indices and i.extent is bound.extent)
        moved = ([substitute(c, {bound: at(i)}) for c in conds] for i in like)
        conds = next((m for m in moved if all(_holds(c, strict) for c in m)), conds)  # type: ignore[misc, arg-type]
    return all(_holds(c, strict) for c in conds)


def _holds(cond: Cond, strict: bool) -> bool:
    """Whether a condition holds by what it says."""
    match cond:
        case Compare("<=" | "==", left, right):
            return left is right and not strict
        case Zero(sub):
            return not sub.terms and sub.const.literal == 0
        case And(conds):
            return all(_holds(c, strict) for c in conds)
        case Or(conds):
            return any(_holds(c, strict) for c in conds)
    return False


def _wrapped(define: Define) -> Size | None:
    """The extent where a statement is ``where(y < 0, y + extent, y)``."""
    match define.body:
        case Select(Compare("<", low, Number()), Add((moved, SizeOf(extent))), other):
            return extent if low is moved is other else None
        case Select(Compare("<", low, Number()), Add((moved, Number(by, ""))), other):
            return size(int(by)) if low is moved is other and by.denominator == 1 else None
        case _:
            return None


def _stored_at(define: Define, wrapped: Mapping[Tensor, Size]) -> Iterator[tuple[Tensor, Size]]:
    """The integers that say at which places of an axis a NumPy function adds values, which it does
    inside of it alone."""
    body = define.body
    if not define.source.file or define.of or not isinstance(body, Reduce) or body.op != "sum":
        return
    conds = [*body.domain, *(f.cond for f in flat_factors(body.body) if isinstance(f, Guard))]
    places = [cond.sub for cond in conds if isinstance(cond, Zero)]
    for sub in places if len(places) == len(conds) else ():
        index = next((i for i in define.indices if sub.coefficient(i).terms), None)
        other = None if index is None else isolated(sub, index)
        atom = None if other is None else other.atom
        if index is not None and isinstance(atom, Lookup) and _is_full(atom.access):
            tensor = atom.access.tensor
            if wrapped.get(tensor) is index.extent:
                yield tensor, index.extent


def is_product_of(count: Size, extents: Iterable[Size]) -> bool:
    """Whether a size is a number times a product of these, so that it is 0 only where one is."""
    sorts = [e for e in extents if e.literal is None]
    return any(
        _primitive(prod(chosen, start=size(1))) is _primitive(count)
        for n in range(1, FACTORS + 1)
        for chosen in combinations_with_replacement(sorts, n)
    )


def _primitive(value: Size) -> Size:
    """The size over the greatest number that divides it."""
    over = value.exactly_over(size(gcd(*(n for _, n in value.terms)) or 1))
    return value if over is None else over


def divisors(factors: Iterable[Expr]) -> Iterator[Size]:
    """The sizes that a product is divided by."""
    for factor in factors:
        match factor:
            case Power(SizeOf(count), exponent) if exponent < 0:
                yield count


def _sure_places(expr: Tree) -> Iterator[tuple[Tensor | Tree, Size]]:
    """The reads of integers that index an axis of some extent under no condition, the tensors that
    are read so as a whole, and the other subscripts of such an axis."""
    match expr:
        case Access(tensor, subs):
            for sub, extent in zip(subs, tensor.shape, strict=True):
                if isinstance(sub.atom, Lookup):
                    yield _canonical(sub.atom.access), extent
                    if _is_full(sub.atom.access):
                        yield sub.atom.access.tensor, extent
                elif sub.terms:
                    yield _canonical(IndexOf(sub)), extent
        case Mul(factors) if any(isinstance(f, Guard) for f in factors):
            return
        case Select(cond, _, _):
            yield from _sure_places(cond)
        case Reduce(_, _, domain, _) | Arg(_, _, _, domain, _) if domain:
            return
        case And() | Or():
            return
        case _:
            for part in children(expr):
                yield from _sure_places(part)


def _sure_constants(expr: Tree) -> Iterator[Size]:
    """What is at least 0 because an element at a fixed place is read under no condition."""
    match expr:
        case Access(tensor, subs):
            for sub, extent in zip(subs, tensor.shape, strict=True):
                match bounds(sub):
                    case (low, high) if low is high and low.literal is None:
                        yield from (low, extent - 1 - low)
                for access in (a.access for a, _ in sub.terms if isinstance(a, Lookup)):
                    yield from _sure_constants(access)
        case Mul(factors) if any(isinstance(f, Guard) for f in factors):
            return
        case Select(cond, _, _):
            yield from _sure_constants(cond)
        case Reduce(_, _, domain, _) | Arg(_, _, _, domain, _) if domain:
            return
        case And() | Or():
            return
        case _:
            for part in children(expr):
                yield from _sure_constants(part)


def _is_nonzero_size(factor: Expr, positive: Sequence[str]) -> bool:
    """Whether a factor is a power of a size that is at least 1 where an index has a value."""
    match factor:
        case Power(SizeOf(count), _):
            return count.at_least(1, positive)
    return False


def _canonical(node: Tree) -> Tree:
    """A read, or a subscript, with its indices numbered."""
    own = free_indices(node)
    return substitute(node, {i: at(Index(f"#{PRIVATE}{n}", i.extent)) for n, i in enumerate(own)})


def _is_full(access: Access) -> bool:
    """Whether every element of a tensor is read, an index an axis."""
    own = [sub.index for sub in access.subs]
    pairs = zip(own, access.tensor.shape, strict=True)
    return len(set(own)) == len(own) and all(i is not None and i.extent is n for i, n in pairs)


def _first_places(term: Expr) -> list[Size]:
    """Where a product reads first, of an index that is only asked to be below some number >= 1."""
    if isinstance(term, Access):
        return [
            sub.const for sub in term.subs if sub.index is not None and sub.index.extent.at_least(1)
        ]
    if not isinstance(term, Mul):
        return []
    conds = [f.cond for f in term.factors if isinstance(f, Guard)]
    ranges = [c for c in conds if isinstance(c, Inside) and c.extent.at_least(1)]
    starts = [c.sub.index for c in ranges if c.sub.index is not None]
    if len(starts) < len(conds):
        return []
    return [
        sub.const
        for factor in term.factors
        if isinstance(factor, Access)
        for sub in factor.subs
        if len(sub.terms) == 1 and sub.terms[0][0] in starts and sub.terms[0][1].at_least(1)
    ]
