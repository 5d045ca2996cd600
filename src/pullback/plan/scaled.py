"""Numbers that all readers of an array multiply with, multiplied where the array is made.

Of ``g = 2*dL*a`` and ``dX = c @ g/N``, ``dX`` takes a pass over all of its elements for ``1/N``;
in ``g = 2*dL/N*a`` numbers meet a number. So does a sign. An array that has no number to meet may
be made of one other array that has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from ..calculus.cost import expression_cost, volume
from ..ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Expr,
    Guard,
    Mul,
    Number,
    Opaque,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    add,
    mul,
    number,
)
from ..ir.program import Define, reads
from ..ir.recurrence import recurrent
from ..ir.walk import Tree, bottom_up, free_indices, nodes, rename_tensors, tensors
from .terms import split_sign

FREE = 0.25  # operations an element, at most, for which an array takes a number
GAIN = 0.5  # operations an element, at least, that this saves where the array is read
DEPTH = 8  # arrays of which each is made of the next
MINUS = number(-1)

Scale = Mapping[Expr, Fraction]  # a product of scalars, each with its exponent
_NONE: Scale = {}


def scaled(statements: Sequence[Define], kept: Collection[Tensor]) -> tuple[Define, ...]:
    """The statements of a backward pass, in their order, with the scalars that all readers of an
    array multiply with where it is made. ``kept`` tensors keep their values."""
    found = _Scaling(statements, kept)
    for n in reversed(range(len(statements))):
        found.visit(n)
    for n in range(len(statements)):
        found.sign(n)
    return tuple(found.statements)


def divided_through(statements: Sequence[Define]) -> tuple[Define, ...]:
    """The statements with ``(N*a - b)/N`` as ``a - b/N``, where ``b`` is made of fewer elements, or
    has a factor of fewer: a pass over all elements for ``N`` is left out."""
    return tuple(_changed(s, _divided_through) for s in statements)


def multiplied_through(factors: Sequence[Expr]) -> Expr | None:
    """A product ``-1*(a + r*b)`` as ``-r*b - a``, and ``c*(2*a + r)`` as ``2*c*a + c*r``, where
    numbers meet numbers or have fewer elements: a pass over all elements is left out."""
    scalars, others = _apart(factors)
    sums = [f for f in others if isinstance(f, Add)]
    if not scalars or len(sums) != 1:
        return None
    (total,) = sums
    divisors = [base for base, exponent in scalars.items() if exponent < 0]
    if any(isinstance(base, Access) for base in divisors):
        return None  # infinite terms of different signs would be NaN
    if divisors and not all(map(tensors, total.terms)):
        return None  # 1/N may be 1/0
    if scalars != {MINUS: 1} and any(isinstance(n, Guard) for n in nodes(total)):
        return None  # parts of an array have costs of their own
    through = _times(total, scalars)
    made = mul(*(through if f is total else f for f in others))
    cheaper = _cost_of(made) + _first_sign(through) < _cost_of(mul(*factors))
    return made if cheaper else None


def _first_sign(value: Expr) -> float:
    """What the sign of a sum's first term costs, where all of them are subtracted."""
    terms = value.terms if isinstance(value, Add) else ()
    if any(split_sign(term)[0] > 0 for term in terms):
        return 0.0
    return min(map(sign_cost, terms), default=0.0)


def sign_cost(term: Expr) -> float:
    """The elements that the sign of the first term of a sum takes a pass over.

    >>> sign_cost(number(-2))
    0.0
    """
    return _sign(term) if isinstance(term, Mul) else 0.0


def _changed(define: Define, change: Callable[[Tree], Tree]) -> Define:
    body = bottom_up(define.body, change)
    if body is define.body:
        return define
    scatter = None if define.scatter is None else bottom_up(define.scatter, change)
    return replace(define, body=body, scatter=scatter)  # type: ignore[arg-type]


def _divided_through(node: Tree) -> Tree:
    if not isinstance(node, Mul):
        return node
    scalars, others = _apart(node.factors)
    sums = [f for f in others if isinstance(f, Add)]
    if len(sums) != 1 or not all(map(tensors, sums[0].terms)):
        return node
    (total,) = sums
    inner = [_apart(t.factors if isinstance(t, Mul) else (t,))[0] for t in total.terms]
    over: dict[Expr, Fraction] = {
        a: e
        for a, e in scalars.items()
        if isinstance(a, SizeOf) and any(own.get(a) == -e for own in inner)
    }
    if not over:
        return node
    left = {a: e for a, e in scalars.items() if a not in over}
    made = _product(left, [_times(total, over) if f is total else f for f in others])
    return made if expression_cost(made) < expression_cost(node) else node


class _Scaling:
    """Statements, by their places."""

    def __init__(self, statements: Sequence[Define], kept: Collection[Tensor]) -> None:
        self.statements = list(statements)
        self.place = {s.target: n for n, s in enumerate(statements)}
        self.loops = recurrent(statements)
        self.stay = {*kept, *self.loops}
        self.users: list[list[int]] = [[] for _ in statements]
        for n, s in enumerate(statements):
            for tensor in reads(s):
                if tensor in self.place:
                    self.users[self.place[tensor]].append(n)
        self.names = {t.name for s in statements for t in (s.target, *reads(s))}

    def visit(self, n: int) -> None:
        """Moves what all readers of an array multiply with to where it is made, if that pays."""
        users = {k: self.statements[k] for k in self.users[n]}
        if not users or not self._may_change(n):
            return
        tensor = self.statements[n].target
        scale = _common([_scale(s.body, tensor) or _NONE for s in users.values()])
        changed = self._takes(n, scale, DEPTH) if scale else None
        if changed is None:
            return
        read = changed[n].target
        for k, s in users.items():
            found = _without(s, tensor, read, scale)
            if found is None:
                return
            changed[k] = found
        saved = sum(_cost(s) - _cost(changed[k]) for k, s in users.items())
        if saved >= GAIN * volume(self.statements[n].indices):
            self._put(changed)

    def sign(self, n: int) -> None:
        """Leaves the sign of an array to those that read it, if they add it or have numbers."""
        define = self.statements[n]
        users = {k: self.statements[k] for k in self.users[n]}
        if not users or not self._may_change(n) or not _is_negative(define):
            return
        scale: Scale = {MINUS: Fraction(1)}
        made = self._renamed(define, _times(define.body, scale), None)
        changed = {n: made}
        for k, s in users.items():
            found = _without(s, define.target, made.target, scale)
            if found is None:
                return
            changed[k] = found
        if sum(_cost(s) - _cost(self.statements[k]) for k, s in changed.items()) < 0:
            self._put(changed)

    def _put(self, changed: Mapping[int, Define]) -> None:
        for k, s in changed.items():
            self.statements[k] = s
            self.place[s.target] = k

    def _may_change(self, n: int) -> bool:
        define = self.statements[n]
        return (
            bool(define.indices)
            and define.target.kind == "float"
            and define.target not in self.stay
            and not isinstance(define.body, Opaque)
            and not any(self.statements[k].target in self.loops for k in self.users[n])
        )

    def _takes(self, n: int, scale: Scale, depth: int) -> dict[int, Define] | None:
        """The statements that make a multiple of an array, if that takes no further pass."""
        define = self.statements[n]
        if all(self.place.get(a.tensor, -1) < n for a in scale if isinstance(a, Access)):
            body: Expr = _times(define.body, scale)
            scatter = None if define.scatter is None else _times(define.scatter, scale)
            made = self._renamed(define, body, scatter)
            if _cost(made) - _cost(define) <= FREE * volume(define.indices):
                return {n: made}
        if not depth or define.scatter is not None:
            return None
        for tensor in reads(define):
            k = self.place.get(tensor, n)
            if k < n and self.users[k] == [n] and self._may_change(k):
                if not _is_linear(define.body, tensor):
                    continue
                inner = self._takes(k, scale, depth - 1)
                if inner is not None:
                    body = rename_tensors(define.body, {tensor: inner[k].target})  # type: ignore[assignment]
                    return inner | {n: self._renamed(define, body, None)}
        return None

    def _renamed(self, define: Define, body: Expr, scatter: Expr | None) -> Define:
        """A statement that makes a multiple of what it made, under another name."""
        name = f"scaled_{define.target.name}"
        while name in self.names:
            name += "_"
        target = replace(define.target, name=name)
        return replace(define, target=target, body=body, scatter=scatter, of="", user=False)


def _scalar(factor: Expr) -> tuple[Expr, Fraction] | None:
    """A factor as a number, a size or a scalar, with its exponent; None where it is none."""
    base, exponent = (
        (factor.base, factor.exponent) if isinstance(factor, Power) else (factor, Fraction(1))
    )
    match base:
        case Number(_, "") | SizeOf() | Access(_, ()):
            return base, exponent
    return None


def _apart(factors: Sequence[Expr]) -> tuple[dict[Expr, Fraction], list[Expr]]:
    """The scalars among factors, the sign and the size of a number apart, and the other factors."""
    scalars: dict[Expr, Fraction] = {}
    others: list[Expr] = []
    coefficient = Fraction(1)
    for factor in factors:
        match _scalar(factor):
            case None:
                others.append(factor)
            case (Number(value, _), exponent) if exponent == 1:
                coefficient *= value
            case (base, exponent):
                scalars[base] = scalars.get(base, Fraction(0)) + exponent
    if coefficient < 0:
        scalars[MINUS] = Fraction(1)
    if abs(coefficient) != 1:
        scalars[number(abs(coefficient))] = Fraction(1)
    return {a: e for a, e in scalars.items() if e}, others


def _product(scale: Scale, others: Sequence[Expr]) -> Expr:
    """Scalars times factors, numbers as one."""
    coefficient = Fraction(1)
    scalars: list[Expr] = []
    for base, exponent in scale.items():
        if isinstance(base, Number) and exponent.denominator == 1:
            coefficient *= base.value**exponent.numerator
        else:
            scalars.append(base if exponent == 1 else Power(base, exponent))
    numbers = [] if coefficient == 1 else [number(coefficient)]
    return mul(*numbers, *scalars, *others) if numbers or scalars or others else ONE


def _and(scale: Scale, other: Scale) -> dict[Expr, Fraction]:
    """The product of scalars. Two signs are none."""
    found = dict(scale)
    for base, exponent in other.items():
        found[base] = found.get(base, Fraction(0)) + exponent
    if found.get(MINUS) == 2:
        del found[MINUS]
    return {a: e for a, e in found.items() if e}


def _common(scales: Sequence[Scale]) -> dict[Expr, Fraction]:
    """The scalars that all have, with the same exponents."""
    first, *others = scales
    return {a: e for a, e in first.items() if all(s.get(a) == e for s in others)}


def _scale(node: Expr, tensor: Tensor) -> Scale | None:
    """The scalars that every read of a tensor is multiplied with; None where it isn't read."""
    if tensor not in tensors(node):
        return None
    match node:
        case Mul(factors):
            scalars, others = _apart(factors)
            inner = [s for s in (_scale(f, tensor) for f in others) if s is not None]
            return _and(scalars, inner[0]) if len(inner) == 1 else _NONE
        case Add(terms):
            return _common([s for s in (_scale(t, tensor) for t in terms) if s is not None])
        case Reduce("sum", _, domain, body) if not any(tensor in tensors(c) for c in domain):
            return _scale(body, tensor)
    return _NONE


def _without(define: Define, old: Tensor, new: Tensor, scale: Scale) -> Define | None:
    """A statement that reads a multiple of an array in place of the array; None where a factor
    can't be left out."""
    body = _divided(define.body, old, new, scale, _NONE)
    scatter = None
    if define.scatter is not None and old in tensors(define.scatter):
        scatter = _divided(define.scatter, old, new, scale, _NONE)
        if scatter is None:
            return None
    if body is None:
        return None
    return replace(define, body=body, scatter=scatter or define.scatter)


def _divided(node: Expr, old: Tensor, new: Tensor, scale: Scale, beside: Scale) -> Expr | None:
    """A value ``a*old + b`` as ``a/scale*new + beside*b``."""
    if old not in tensors(node):
        return _product(beside, [node]) if beside else node
    match node:
        case Access(tensor, subs) if tensor is old and scale.keys() <= {MINUS}:
            return _product(scale, [Access(new, subs)])
        case Mul(factors):
            scalars, others = _apart(factors)
            out = {a: e for a, e in scale.items() if scalars.get(a) == e}
            holders = [f for f in others if old in tensors(f)]
            if len(holders) != 1:
                return None
            (holder,) = holders
            left = {a: e for a, e in scale.items() if a not in out}
            kept = {a: e for a, e in scalars.items() if a not in out}
            if left.keys() == {MINUS} and isinstance(holder, Access):  # over -1 is times -1
                kept, left = _and(kept, left), {}
            inner = _divided(holder, old, new, left, _and(beside, out))
            if inner is None:
                return None
            return _product(kept, [inner if f is holder else f for f in others])
        case Add(terms):
            parts = [_divided(t, old, new, scale, beside) for t in terms]
            found = [part for part in parts if part is not None]
            return add(*found) if len(found) == len(parts) else None
        case Reduce("sum", indices, domain, body):
            inner = _divided(body, old, new, scale, beside)
            return None if inner is None else Reduce("sum", indices, domain, inner)
    return None


def _is_negative(define: Define) -> bool:
    """Whether a value is a product with a sign, and no other number that could take it."""
    if not isinstance(define.body, Mul) or define.scatter is not None:
        return False
    return _apart(define.body.factors)[0] == {MINUS: 1}


def _is_linear(node: Expr, tensor: Tensor) -> bool:
    """Whether a value is a multiple of a tensor's elements."""
    match node:
        case Access():
            return node.tensor is tensor
        case Mul(factors):
            held = [f for f in factors if tensor in tensors(f)]
            return len(held) == 1 and _is_linear(held[0], tensor)
        case Add(terms):
            return all(_is_linear(t, tensor) for t in terms)
        case Reduce("sum", _, domain, body):
            return not any(tensor in tensors(c) for c in domain) and _is_linear(body, tensor)
        case Select(cond, then, other):
            return tensor not in tensors(cond) and all(
                part is ZERO or _is_linear(part, tensor) for part in (then, other)
            )
    return False


def _times(node: Expr, scale: Scale) -> Expr:
    """A value times scalars, term by term."""
    match node:
        case Add(terms):
            return add(*(_times(t, scale) for t in terms))
        case Mul(factors):
            scalars, others = _apart(factors)
            return _product(_and(scale, scalars), others)
    return _product(scale, [node])


def _cost(define: Define) -> float:
    """What a statement costs."""
    return _cost_of(define.body)


def _cost_of(value: Expr) -> float:
    """What a value costs, signs that are no part of a sum included."""
    found = tuple(nodes(value))
    inner = {t for node in found if isinstance(node, Add) for t in node.terms}
    signs = (n for n in found if isinstance(n, Mul) and n not in inner)
    return expression_cost(value) + sum(map(_sign, signs))


def _sign(product: Mul) -> float:
    """What the sign of a product costs: a pass over its smallest factor."""
    scalars, others = _apart(product.factors)
    if set(scalars) != {MINUS}:
        return 0.0
    return min((volume(free_indices(f)) for f in others), default=0.0)
