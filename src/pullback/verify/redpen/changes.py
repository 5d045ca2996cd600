"""All formulas that differ from a right one by a single mistake.

A change replaces one part of one statement. Nothing here knows a layer: the parts are those of
which every formula is made, and the mistakes those that can be made with such a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, islice, permutations, product

from ...ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Apply,
    Expr,
    Guard,
    Mul,
    Not,
    Number,
    Power,
    Reduce,
    SizeOf,
    Tensor,
    mul,
    number,
)
from ...ir.program import Define
from ...ir.subscripts import Index, Subscript, at, constant
from ...ir.walk import Tree, children, free_indices, fresh, map_tensors, rebuild, substitute

SITES = 300  # parts of one statement that are looked at
READS = 16  # ways to read one tensor in one place
PAIRS = {"sin": "cos", "sinh": "cosh", "exp": "log", "maximum": "minimum"}
OTHER = {**PAIRS, **{b: a for a, b in PAIRS.items()}}

# What a mistake costs: of two that fit alike the cheaper one is told.
COST = {
    "coefficient": 10,
    "factor": 12,
    "operand": 13,
    "order": 13,
    "sum": 13,
    "axis": 14,
    "power": 14,
    "twice": 14,
    "inverse": 14,
    "function": 15,
    "mask": 15,
    "everywhere": 15,
    "factors": 15,
    "value": 16,
}
CONDITION = 3  # more inside a condition: many make it hold everywhere, as if there were none


@dataclass(frozen=True)
class Change:
    """``right`` is a statement, ``wrong`` the same with ``after`` in the place of ``before``.

    ``put`` makes the statement with anything else in that place. With ``scaled`` the part in
    question has a coefficient that is not known yet; ``term`` is what it multiplies.
    """

    kind: str
    cost: int
    right: Define
    before: Expr
    after: Expr
    put: Callable[[Expr], Define]
    scaled: bool = False
    outer: Expr = ONE  # the product or the sum that ``before`` is a part of
    number: Fraction = Fraction(1)  # by which the term is multiplied further out

    @property
    def wrong(self) -> Define:
        """The statement with the mistake."""
        return self.put(self.after)


@dataclass(frozen=True)
class Site:
    """A part of a statement, what is bound around it, and the statement with something else."""

    node: Tree
    put: Callable[[Tree], Define]
    scope: tuple[Index, ...]
    parent: Tree | None
    number: Fraction = Fraction(1)  # by which a sum that this is a term of is multiplied
    inside: bool = False  # a condition


def sites(statement: Define) -> Iterator[Site]:
    """Every occurrence of every part, outer ones first."""

    def body(new: Tree) -> Define:
        return replace(statement, body=new, scatter=None)  # type: ignore[arg-type]

    todo = [Site(statement.body, body, statement.indices, None)]
    for _ in range(SITES):
        if not todo:
            return
        site = todo.pop(0)
        yield site
        parts = children(site.node)
        scope = site.scope
        if isinstance(site.node, Reduce):
            scope = (*scope, *(i for i in site.node.indices if i not in scope))
        for k, part in enumerate(parts):
            times = _number(site.node, k) * site.number
            inside = site.inside or isinstance(site.node, Guard)
            todo.append(Site(part, _inner(site, parts, k), scope, site.node, times, inside))


def _number(node: Tree, k: int) -> Fraction:
    """The product of the numbers beside a part; 0 where a part is not just multiplied."""
    match node:
        case Mul(factors):
            found = Fraction(1)
            for n, f in enumerate(factors):
                if n != k and isinstance(f, Number) and not f.special:
                    found *= f.value
            return found
        case Add() | Reduce("sum"):
            return Fraction(1)
        case _:
            return Fraction(0)


def _inner(site: Site, parts: tuple[Tree, ...], k: int) -> Callable[[Tree], Define]:
    return lambda new: site.put(rebuild(site.node, (*parts[:k], new, *parts[k + 1 :])))


def changes(
    statement: Define, known: Sequence[Tensor], penalty: int, forward: bool
) -> list[Change]:
    """The changes of one statement; ``known`` are the tensors that could be read in it.

    ``forward`` tells that it is part of the forward pass, in which gradients are not linear.
    """
    found: list[Change] = []
    for site in sites(statement):
        for kind, after, free in _of(site, known, forward):
            if free or after is not site.node:
                found.append(
                    Change(
                        kind,
                        COST[kind] + penalty + (CONDITION if site.inside else 0),
                        statement,
                        site.node,  # type: ignore[arg-type]
                        after,
                        site.put,
                        free,
                        site.parent if isinstance(site.parent, Mul | Add) else ONE,
                        site.number or Fraction(1),
                    )
                )
    found += _everywhere(statement, known, penalty)
    return found


Made = tuple[str, Expr, bool]


def _of(site: Site, known: Sequence[Tensor], forward: bool) -> Iterator[Made]:
    node = site.node
    if (site.parent is None or isinstance(site.parent, Add)) and isinstance(node, Expr):
        yield "coefficient", node, True
    if isinstance(site.parent, Mul) and not isinstance(node, Number | Guard | SizeOf):
        yield "factor", ONE, False
        yield "twice", Mul((node, node)), False  # type: ignore[arg-type]
        yield "inverse", Power(node, Fraction(-1)), False  # type: ignore[arg-type]
    if isinstance(site.parent, Apply | Power) and isinstance(node, Mul | Access):
        for times in (-1, 2, Fraction(1, 2)):
            yield "coefficient", scaled(number(times), node), False
    if isinstance(site.parent, Add) and isinstance(node, Expr) and (forward or not site.number):
        for times in (-1, 2, Fraction(1, 2), 0):  # where the result is not linear in a term
            yield "coefficient", scaled(number(times), node), False
    if isinstance(node, Reduce | Add | Mul | Power | Apply):
        for access in values_instead(node, site.scope, known):
            yield "value", access, False
    match node:
        case Mul(factors):
            yield from _pairs(factors, site.scope, known)
        case Guard(cond):
            yield "mask", ONE, False
            yield "mask", Guard(cond.cond if isinstance(cond, Not) else Not(cond)), False
        case Access():
            for access in reads_instead(node, site.scope, known):
                yield ("order" if access.tensor is node.tensor else "operand"), access, False
        case Power(base, exponent):
            for other in (Fraction(1), exponent * 2, exponent / 2, -exponent, exponent + 1,
                          exponent - 1):  # fmt: skip
                if other and other != exponent:
                    yield "power", _power(base, other), False
        case Apply(function, args):
            if len(args) == 1:
                yield "function", args[0], False
            if function in OTHER:
                yield "function", Apply(OTHER[function], args), False
        case Reduce("sum", _, (), _):
            yield from _reductions(node, site.scope)
            yield from _exchanged(node, site.scope)
        case Reduce("max" | "min", indices, domain, body):
            opposite = "min" if node.op == "max" else "max"
            yield "function", Reduce(opposite, indices, domain, body), False


def _power(base: Expr, exponent: Fraction) -> Expr:
    """A power; an odd one of a square root is a power of what stands under the root."""
    if isinstance(base, Power) and base.exponent == Fraction(1, 2) and exponent.numerator % 2:
        base, exponent = base.base, exponent / 2
    return base if exponent == 1 else Power(base, exponent)


# Reads.


def reads_instead(
    access: Access, scope: Sequence[Index], known: Sequence[Tensor]
) -> Iterator[Access]:
    """Reads of any known tensor that could stand where this one does."""
    own = list(dict.fromkeys(access.subs))
    plain = [at(i) for i in scope]
    options = [*own, *(s for s in plain if s not in own)]
    extents = dict(zip(access.subs, (n for n in access.tensor.shape), strict=True))
    extents.update({at(i): i.extent for i in scope})
    for tensor in known:
        if tensor.kind != access.tensor.kind:
            continue
        choices: list[list[Subscript]] = []
        for extent in tensor.shape:
            fitting = [s for s in options if extents[s] is extent]
            if extent.literal == 1:
                fitting = [constant(0)]
            choices.append(fitting)
        made = (
            Access(tensor, subs)
            for subs in product(*choices)
            if len({s for s in subs if s.terms}) == len([s for s in subs if s.terms])
        )
        yield from (a for a in islice(made, READS) if a is not access)


def values_instead(node: Tree, scope: Sequence[Index], known: Sequence[Tensor]) -> Iterator[Access]:
    """Reads of any known tensor in the place of a value that has no name of its own."""
    free = free_indices(node)
    for tensor in known:
        if len(tensor.shape) > len(scope) or tensor.kind != "float":
            continue
        choices = [
            [constant(0)]
            if extent.literal == 1
            else [
                at(i) for i in (*free, *(j for j in scope if j not in free)) if i.extent is extent
            ]
            for extent in tensor.shape
        ]
        made = (
            Access(tensor, subs)
            for subs in product(*choices)
            if len({s for s in subs if s.terms}) == len([s for s in subs if s.terms])
        )
        yield from islice(made, 6)


def _pairs(
    factors: tuple[Expr, ...], scope: Sequence[Index], known: Sequence[Tensor]
) -> Iterator[Made]:
    """Two factors that are left out together, or for which another value stands; all factors that
    are the same everywhere left out."""
    same = [f for f in factors if not free_indices(f)]
    if len(same) > 1 and len(same) < len(factors):
        yield "factors", mul(*(f for f in factors if f not in same)), False
    able = [k for k, f in enumerate(factors) if not isinstance(f, Number | Guard | SizeOf)]
    for one, other in combinations(able, 2):
        rest = tuple(f for k, f in enumerate(factors) if k not in (one, other))
        yield "factors", mul(*rest) if rest else ONE, False
        pair = Mul((factors[one], factors[other]))
        if not rest:
            continue
        for access in values_instead(pair, scope, known):
            yield "value", mul(access, *rest), False


def _everywhere(statement: Define, known: Sequence[Tensor], penalty: int) -> Iterator[Change]:
    """One tensor in the place of another in the whole statement."""
    count: dict[Tensor, int] = {}
    for site in sites(statement):
        if isinstance(site.node, Access):
            count[site.node.tensor] = count.get(site.node.tensor, 0) + 1
    for old, n in count.items():
        for new in known:
            if n < 2 or new is old or new.shape != old.shape or new.kind != old.kind:
                continue

            def moved(a: Access, old: Tensor = old, new: Tensor = new) -> Access:
                return Access(new, a.subs) if a.tensor is old else a

            body = map_tensors(statement.body, moved)
            indices = tuple(at(i) for i in statement.indices)
            shown = indices if len(indices) == len(old.shape) else ()
            before = Access(old, shown) if len(shown) == len(old.shape) else statement.body
            yield Change(
                "everywhere",
                COST["everywhere"] + penalty,
                statement,
                before if isinstance(before, Access) else Access(old, ()),
                Access(new, before.subs if isinstance(before, Access) else ()),
                lambda _, body=body: replace(statement, body=body, scatter=None),  # type: ignore[misc]
            )


# Sums.


def _reductions(node: Reduce, scope: Sequence[Index]) -> Iterator[Made]:
    """The sum left out, or taken over other axes."""
    free = [i for i in free_indices(node) if i in scope]
    outer = [i for i in scope if i not in node.indices]
    for count in range(min(len(node.indices), 3) + 1):
        for left in combinations(node.indices, count):
            partners = [[i for i in outer if i.extent is b.extent] for b in left]
            for chosen in product(*partners):
                if len(set(chosen)) != len(chosen):
                    continue
                moved = {b: at(i) for b, i in zip(left, chosen, strict=True)}
                for more in range(min(len(free), 2) + 1):
                    for bound in combinations(free, more):
                        if any(i in chosen for i in bound) or not (left or bound):
                            continue
                        kept = tuple(i for i in node.indices if i not in left)
                        made = _summed(node.body, kept, moved, bound, scope)
                        yield ("axis" if bound else "sum"), made, True


def _exchanged(node: Reduce, scope: Sequence[Index]) -> Iterator[Made]:
    """A product of two matrices with the matrices in the other order."""
    if len(node.indices) != 1 or not isinstance(node.body, Mul):
        return
    (k,) = node.indices
    free = [i for i in free_indices(node) if i in scope and i.extent is k.extent]
    for a, b in permutations(free, 2):
        left = [f for f in node.body.factors if a in free_indices(f)]
        right = [f for f in node.body.factors if b in free_indices(f)]
        if any(f in right for f in left) or a.key > b.key:
            continue
        moved = {
            **{f: substitute(f, {a: at(k), k: at(b)}) for f in left},
            **{f: substitute(f, {k: at(a), b: at(k)}) for f in right},
        }
        factors = tuple(moved.get(f, f) for f in node.body.factors)
        yield "order", Reduce("sum", node.indices, (), Mul(factors)), False  # type: ignore[arg-type]


def _summed(
    body: Expr,
    kept: tuple[Index, ...],
    moved: dict[Index, Subscript],
    bound: Sequence[Index],
    scope: Sequence[Index],
) -> Expr:
    taken = {i.name for i in (*scope, *kept)} | {i.name for i in moved}
    new = {i: fresh(i, taken) for i in bound}
    inner: Tree = substitute(body, {i: at(n) for i, n in new.items()})
    inner = substitute(inner, moved)
    indices = (*kept, *new.values())
    assert isinstance(inner, Expr)  # as the body is
    return Reduce("sum", indices, (), inner) if indices else inner


def reshaped(statement: Define, rank: int, most: int = 120) -> Iterator[tuple[str, Define]]:
    """The statement with its result's axes in another order, or with other axes summed over."""
    factors, inner = _opened(statement.body)
    if inner is None:
        indices: tuple[Index, ...] = statement.indices
        body: Expr = statement.body
        bound: tuple[Index, ...] = ()
    else:
        bound = inner.indices
        indices = (*statement.indices, *bound)
        body = mul(*factors, inner.body)
    made = 0
    for chosen in permutations(indices, rank):
        rest = tuple(i for i in indices if i not in chosen)
        if chosen == statement.indices:
            continue
        made += 1
        if made > most:
            return
        value = Reduce("sum", rest, (), body) if rest else body
        target = Tensor(statement.target.name, tuple(i.extent for i in chosen), "float64")
        kind = (
            "transposed"
            if set(chosen) == set(statement.indices)
            else "sum"
            if set(chosen) > set(statement.indices)
            else "axis"
        )
        yield kind, replace(statement, target=target, indices=chosen, body=value, scatter=None)


def _opened(body: Expr) -> tuple[list[Expr], Reduce | None]:
    """The factors beside a sum, and the sum, where a value is such a product."""
    factors = list(body.factors) if isinstance(body, Mul) else [body]
    sums = [f for f in factors if isinstance(f, Reduce) and f.op == "sum" and not f.domain]
    if len(sums) != 1:
        return [], None
    return [f for f in factors if f is not sums[0]], sums[0]


def scaled(coefficient: Expr, value: Expr) -> Expr:
    """A value times a coefficient, signs and numbers drawn together, sizes cancelled."""
    if isinstance(coefficient, Number) and not coefficient.special:
        if coefficient.value == 1:
            return value
        if coefficient.value == 0:
            return ZERO
        if isinstance(value, Mul) and value.factors and isinstance(value.factors[0], Number):
            joint = coefficient.value * value.factors[0].value
            rest = value.factors[1:]
            return mul(*rest) if joint == 1 and rest else Mul((number(joint), *rest))
    if isinstance(coefficient, SizeOf) and isinstance(value, Mul):
        inverse = Power(coefficient, Fraction(-1))
        if inverse in value.factors:
            k = value.factors.index(inverse)
            return mul(*value.factors[:k], *value.factors[k + 1 :])
        if isinstance(value.factors[0], Number):
            return Mul((value.factors[0], coefficient, *value.factors[1:]))
    return Mul((coefficient, value))
