"""Terms that exclude each other, as one choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from ..calculus.guards import settle
from ..ir.expr import (
    ONE,
    Access,
    Add,
    Apply,
    Compare,
    Cond,
    Expr,
    Guard,
    Mul,
    Not,
    Number,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    add,
    mul,
    neg,
    number,
)
from ..ir.magnitudes import is_whole
from ..ir.program import Define
from ..ir.subscripts import at
from ..ir.walk import Tree, bottom_up, free_indices, substitute


def either_or(terms: Sequence[Expr]) -> list[Expr]:
    """Terms of which one is there where a condition holds, and one where it doesn't, joined."""
    return _in_pairs(terms, _joined)


def _in_pairs(terms: Sequence[Expr], join: Callable[[Expr, Expr], Expr | None]) -> list[Expr]:
    """The terms, those pairs joined that can be."""
    left = list(terms)
    for n, one in enumerate(terms):
        for two in terms[n + 1 :]:
            if one in left and two in left and (joined := join(one, two)) is not None:
                left[left.index(one)] = joined
                left.remove(two)
    return left


def sums_joined(terms: Sequence[Expr]) -> list[Expr]:
    """Terms that are sums over the same indices, of what is there where a condition holds and of
    what is there where it doesn't, as one sum of what is chosen: ``sum(j) t*[c]*x`` and
    ``sum(j) t*[not c]*y`` as ``sum(j) t*where(c, x, y)``."""
    return _in_pairs(terms, _sums_joined)


def _sums_joined(one: Expr, two: Expr) -> Expr | None:
    (outer, first), (other, second) = _sum_of(one), _sum_of(two)
    if first is None or second is None:
        return None
    rest = list((Counter(outer) & Counter(other)).elements())
    apart = _left(outer, rest), _left(other, rest)
    if not all(isinstance(f, Number) for own in apart for f in own):
        return None
    places = dict(zip(first.indices, second.indices, strict=False))
    alike = [i.extent for i in first.indices] == [i.extent for i in second.indices]
    if not alike or set(first.indices) & set(free_indices(second)):
        return None
    moved: Expr = substitute(second.body, {j: at(i) for i, j in places.items()})  # type: ignore[assignment]
    x, y = (_factors(body) for body in (first.body, moved))
    shared = list((Counter(x) & Counter(y)).elements())
    shared = [f for f in shared if not isinstance(f, Guard)]
    choice = _joined(*(mul(*own, *_left(f, shared)) for own, f in zip(apart, (x, y), strict=True)))
    if not isinstance(choice, Select):
        return None
    if not set(free_indices(choice)) <= set(free_indices(choice.cond)):
        return None  # what is chosen would be larger than the condition
    return mul(*rest, Reduce("sum", first.indices, (), mul(*shared, choice)))


def _sum_of(expr: Expr) -> tuple[list[Expr], Reduce | None]:
    """A sum without a domain, and what it is multiplied with."""
    factors = _factors(expr)
    sums = [f for f in factors if isinstance(f, Reduce) and f.op == "sum" and not f.domain]
    if len(sums) != 1:
        return factors, None
    return _left(factors, sums), sums[0]


def _factors(expr: Expr) -> list[Expr]:
    return list(expr.factors) if isinstance(expr, Mul) else [expr]


def _left(factors: Sequence[Expr], gone: Sequence[Expr]) -> list[Expr]:
    """What is left of factors without some of them."""
    left = list(factors)
    for factor in gone:
        left.remove(factor)
    return left


def with_clips(statements: Sequence[Define], forward: Sequence[Define]) -> tuple[Define, ...]:
    """The statements of a backward pass with ``where(abs(u) <= c, r*u, r*c*sign(u))``, for a number
    c above 0, as ``r*clip(u, -c, c)``: equal for infinite u and for NaN, too."""
    magnitudes = {
        s.target: s for s in forward if isinstance(s.body, Apply) and s.body.function == "abs"
    }

    def visit(node: Tree) -> Tree:
        if isinstance(node, Select):
            return _clipped(node, magnitudes) or node
        if not isinstance(node, Add):
            return node
        joined = add(*either_or(sums_joined(node.terms)))
        made = bottom_up(joined, lambda n: n if isinstance(n, Add) else visit(n))
        return node if made is joined else made

    out = []
    for s in statements:
        body: Expr = bottom_up(s.body, visit)  # type: ignore[assignment]
        scatter = None if s.scatter is None else bottom_up(s.scatter, visit)
        out.append(s if body is s.body else replace(s, body=body, scatter=scatter))  # type: ignore[arg-type]
    return tuple(out)


def _clipped(choice: Select, magnitudes: Mapping[Tensor, Define]) -> Expr | None:
    match choice.cond:
        case Compare("<" | "<=", left, Number(top, "")) if top > 0:
            size: Expr = left
        case _:
            return None
    define = magnitudes.get(size.tensor) if isinstance(size, Access) else None
    if define is not None and isinstance(size, Access):
        size = substitute(define.body, dict(zip(define.indices, size.subs, strict=True)))  # type: ignore[assignment]
    if not isinstance(size, Apply) or size.function != "abs":
        return None
    (value,) = size.args
    inside, outside = _factors(choice.then), _factors(choice.other)
    sign = Apply("sign", (value,))
    if value not in inside or sign not in outside:
        return None
    coef, rest = _number_apart(_left(inside, [value]))
    scale, other = _number_apart(_left(outside, [sign]))
    if Counter(rest) != Counter(other) or scale != coef * top:
        return None
    clip = Apply("clip", (value, number(-top), number(top)))
    return mul(*([number(coef)] if coef != 1 else []), *rest, clip)


def _number_apart(factors: Sequence[Expr]) -> tuple[Fraction, list[Expr]]:
    """The numbers of a product, multiplied, and its other factors."""
    coef, others = Fraction(1), []
    for factor in factors:
        if isinstance(factor, Number) and not factor.special:
            coef *= factor.value
        else:
            others.append(factor)
    return coef, others


def chosen(factors: Sequence[Expr]) -> Select | None:
    """``x*(2*[c] + [not c]*b)`` as ``where(c, 2*x, x*b)``, if x is read rather than computed. Where
    both are arrays, one product with what is chosen is less than two."""
    for n, factor in enumerate(factors):
        rest = [*factors[:n], *factors[n + 1 :]]
        if not isinstance(factor, Add) or sum(isinstance(f, Access) for f in rest) > 1:
            continue
        if not all(isinstance(f, Access | Number | SizeOf) for f in rest):
            continue
        joined = either_or(factor.terms)
        if len(joined) == 1 and isinstance(joined[0], Select):
            cond, yes, no = joined[0].cond, joined[0].then, joined[0].other
            if all(map(free_indices, (yes, no))):
                return None
            return Select(cond, _times(rest, yes), _times(rest, no))
    return None


def halves(terms: Sequence[Expr], is_finite: Callable[[Expr], bool]) -> list[Expr]:
    """Terms in which ``[a < b] + [a = b]/2`` is ``heaviside(b - a, 1/2)``, and the opposite is 1
    less that, for values that are finite: one array of 0, 1/2 and 1 instead of two masks."""
    found: dict[tuple[Expr, Expr], dict[str, tuple[Expr, Fraction]]] = {}
    for term in terms:
        if (side := _side(term)) is not None:
            pair, which, coef = side
            found.setdefault(pair, {})[which] = term, coef
    left = list(terms)
    for (low, high), sides in found.items():
        above, below, tie = (sides.get(k, (ONE, Fraction(0))) for k in "<>=")
        if above[1] == below[1] or 2 * tie[1] != above[1] + below[1]:
            continue
        if above[1] * below[1] and not (_is_small_whole(above[1]) and _is_small_whole(below[1])):
            continue  # a difference of numbers that are rounded loses the small one
        if is_whole(low) and is_whole(high):
            continue  # a difference of integers without a sign wraps
        if is_finite(low) and is_finite(high):
            left = [t for t in left if all(t is not gone for gone, _ in sides.values())]
            step = Apply("heaviside", (Add((high, neg(low))), number(Fraction(1, 2))))
            left += [number(below[1])] if below[1] else []
            left.append(mul(number(above[1] - below[1]), step))
    return left


def _is_small_whole(value: Fraction) -> bool:
    """Whether floats of any width hold a number, and numbers of that size, exactly."""
    return value.denominator == 1 and abs(value) <= 1000


def _side(term: Expr) -> tuple[tuple[Expr, Expr], str, Fraction] | None:
    """A number under a comparison of two values: these in an order of their own, how they compare,
    and the number."""
    conds, others = _guards_of(term)
    match conds, others:
        case [Compare("<" | "==" as op, left, right)], ([] | [Number(_, "")]):
            coef = others[0].value if others else Fraction(1)  # type: ignore[union-attr]
            turned = left.key > right.key
            pair = (right, left) if turned else (left, right)
            return pair, "=" if op == "==" else ">" if turned else "<", coef
    return None


def _times(factors: Sequence[Expr], expr: Expr) -> Expr:
    own = expr.factors if isinstance(expr, Mul) else () if expr is ONE else (expr,)
    return mul(*factors, *own)


def _joined(one: Expr, two: Expr) -> Expr | None:
    """``[c]*x + [not c]*y`` as ``where(c, x, y)``."""
    (conds, x), (others, y) = _guards_of(one), _guards_of(two)
    if len(conds) != 1 or len(others) != 1 or not (x or y):
        return None
    for cond, other, yes, no in ((conds[0], others[0], x, y), (others[0], conds[0], y, x)):
        if settle([other], ()) == settle([Not(cond)], ()):
            return Select(cond, mul(*(yes or [ONE])), mul(*(no or [ONE])))
    return None


def _guards_of(expr: Expr) -> tuple[list[Cond], list[Expr]]:
    factors = expr.factors if isinstance(expr, Mul) else (expr,)
    conds = [f.cond for f in factors if isinstance(f, Guard)]
    return conds, [f for f in factors if not isinstance(f, Guard)]
