"""Products that several products of a backward pass hold are made once.

``h[n,k]*g[n]*t[n,k]`` beside ``r[n,k]*g[n]*t[n,k]`` takes ``g*t``, and ``d[n]**2*p[n]`` beside
``d[n]*p[n]*e[n]`` takes ``d*p``: each array would be made on the way anyway. What is summed as a
product of matrices is no array on the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations

from ..calculus.cost import READ, expression_cost, volume
from ..calculus.flatten import float_of
from ..calculus.normal import in_bounds
from ..ir.expr import ONE, Access, Arg, Cond, Expr, Guard, Mul, Power, Reduce, Select, Tensor, mul
from ..ir.program import Define, reads
from ..ir.recurrence import in_order, recurrent
from ..ir.subscripts import Index, at
from ..ir.walk import Tree, children, free_indices, rebuild, substitute
from ..text import PRIVATE

GAIN = 0.5  # operations an element, at least, that a name saves
MOST = 60  # of more products, none is looked at
ROUNDS = 8


@dataclass(frozen=True)
class _Held:
    """A product of a statement, with its factors as they are where the indices of one of them are
    called by their places."""

    statement: Define
    node: Mul
    indices: tuple[Index, ...]
    factors: Counter[Expr]

    @property
    def is_statement(self) -> bool:
        """Whether the product is all of a statement, over its indices."""
        whole = self.node is self.statement.body
        return whole and set(self.indices) == set(self.statement.indices)


def common_products(statements: Sequence[Define], kept: Collection[Tensor]) -> tuple[Define, ...]:
    """The statements of a backward pass with names for such products, in an order in which they
    can run. ``kept`` are their results."""
    out = list(statements)
    names = {t.name for s in statements for t in (s.target, *reads(s))} | {t.name for t in kept}
    for _ in range(ROUNDS):
        found = _best(out, names)
        if found is None:
            break
        out = found
    return tuple(in_order(out)) if out != list(statements) else tuple(statements)


def _best(statements: Sequence[Define], names: set[str]) -> list[Define] | None:
    """The statements with the name that saves most; None where none saves enough."""
    alike: dict[Expr, list[_Held]] = {}
    steps = recurrent(statements)
    count = 0
    for s in statements:
        if s.target in steps or s.scatter is not None:
            continue
        for node, summed in _products(s.body, frozenset()):
            count += 1
            if count > MOST:
                return None
            for pivot, held in _pivots(s, node, summed):
                alike.setdefault(pivot, []).append(held)
    best: tuple[float, Counter[Expr], list[_Held]] | None = None
    for places in alike.values():
        for one, two in combinations(places, 2):
            if one.statement is two.statement and one.node is two.node:
                continue
            shared = _multiplied(one.factors & two.factors)
            saved = _saved(shared, one, two)
            if saved > 0 and (best is None or saved > best[0]):
                best = saved, shared, places
    if best is None:
        return None
    _, shared, places = best
    return _named(statements, shared, places, names)


def _products(node: Tree, summed: frozenset[Index]) -> Iterator[tuple[Mul, frozenset[Index]]]:
    """The products in an expression that are computed whatever holds, each with the indices that
    it is summed over."""
    match node:
        case Select() | Guard() | Arg():
            return
        case Reduce(op, indices, domain, body):
            if domain or op != "sum":
                return
            if isinstance(body, Mul):
                yield from _products(body, frozenset(indices))
                return
        case Mul(factors):
            if any(isinstance(f, Guard) for f in factors):
                return
            yield node, summed
    for child in children(node):
        if not isinstance(child, Cond):
            yield from _products(child, frozenset())


def _pivots(statement: Define, node: Mul, summed: frozenset[Index]) -> Iterator[tuple[Expr, _Held]]:
    """The product by each of its factors that have all of its indices."""
    every = _expanded(node.factors)
    arrays = [f for f in every if free_indices(f)]
    whole = set(free_indices(node))
    if len(arrays) < 2:
        return
    if summed and any(set(free_indices(f)) != whole for f in arrays):
        return  # a product of matrices
    if whole == summed and len(arrays) == 2:
        return  # a product of vectors
    for pivot in dict.fromkeys(arrays):
        if isinstance(pivot, Access) and set(free_indices(pivot)) == whole and in_bounds(node):
            indices = free_indices(pivot)
            places = {i: at(_mark(k, i)) for k, i in enumerate(indices)}
            moved: list[Expr] = [substitute(f, places) for f in every]  # type: ignore[misc]
            first: Expr = substitute(pivot, places)  # type: ignore[assignment]
            yield first, _Held(statement, node, indices, Counter(moved))


def _mark(k: int, index: Index) -> Index:
    """What the k-th index of a factor is called."""
    return Index(f"${PRIVATE}{k}", index.extent)


def _expanded(factors: Sequence[Expr]) -> list[Expr]:
    """Factors, squares and cubes as they are multiplied."""
    out: list[Expr] = []
    for factor in factors:
        match factor:
            case Power(base, exponent) if exponent in (2, 3) and free_indices(base):
                out += [base] * int(exponent)
            case _:
                out.append(factor)
    return out


def _product(factors: Counter[Expr]) -> Expr:
    """Factors multiplied."""
    parts = [f if n == 1 else Power(f, Fraction(n)) for f, n in factors.items()]
    return mul(*parts) if parts else ONE


def _multiplied(factors: Counter[Expr]) -> Counter[Expr]:
    """The factors that nothing is divided by: a quotient of some may overflow where that of all
    doesn't."""
    divisors = [f for f in factors if isinstance(f, Power) and f.exponent < 0]
    return Counter({f: n for f, n in factors.items() if f not in divisors})


def _saved(shared: Counter[Expr], one: _Held, two: _Held) -> float:
    """What a name for some factors of two products saves."""
    if shared.total() < 2 or not any(map(free_indices, shared)):
        return 0.0
    axes = [_mark(k, i) for k, i in enumerate(one.indices)]
    name = Tensor(f"{PRIVATE}shared", tuple(i.extent for i in axes))
    read: Expr = Access(name, tuple(map(at, axes)))
    saved = -expression_cost(_product(shared))
    for held in (one, two):
        left = Counter([read, *(held.factors - shared).elements()])
        saved += expression_cost(_product(held.factors)) - expression_cost(_product(left))
        saved += READ * volume(axes)  # what is made on the way is read, too
    return saved if saved >= GAIN * volume(axes) else 0.0


def _named(
    statements: Sequence[Define], shared: Counter[Expr], places: Sequence[_Held], names: set[str]
) -> list[Define]:
    """The statements that read a product of factors, and the one that makes it."""
    holding = [p for p in places if p.factors & shared == shared]
    first = next((p for p in holding if p.factors == shared and p.is_statement), None)
    if first is not None:  # has a name already
        made = []
        target = first.statement.target
        order = [first.indices.index(i) for i in first.statement.indices]
        holding.remove(first)
    else:
        first = holding[0]
        count = 1
        while f"shared{count}" in names:
            count += 1
        names.add(f"shared{count}")
        body = _back(_product(shared), first)
        target = Tensor(f"shared{count}", tuple(i.extent for i in first.indices), float_of(body))
        order = [*range(len(first.indices))]
        made = [Define(target, first.indices, body, first.statement.source, False)]
    changed = {s.target: s for s in statements}
    for held in holding:
        read = Access(target, tuple(at(held.indices[k]) for k in order))
        left = _back(_product(held.factors - shared), held)
        new = read if left is ONE else mul(*_factors(left), read)
        s = changed[held.statement.target]

        def change(node: Tree, old: Mul = held.node, new: Expr = new) -> Tree:
            return new if node is old else node

        body = _replaced(s.body, change)
        changed[s.target] = replace(s, body=body)
    return [*made, *changed.values()]


def _factors(value: Expr) -> tuple[Expr, ...]:
    return value.factors if isinstance(value, Mul) else (value,)


def _back(value: Expr, held: _Held) -> Expr:
    """A value with the indices that a product has."""
    places = {_mark(k, i): at(i) for k, i in enumerate(held.indices)}
    return substitute(value, places)  # type: ignore[return-value]


def _replaced(node: Expr, change: Callable[[Tree], Tree]) -> Expr:
    """A value with some of its nodes changed, outer ones first."""

    def visit(tree: Tree) -> Tree:
        new = change(tree)
        return new if new is not tree else rebuild(tree, tuple(map(visit, children(tree))))

    return visit(node)  # type: ignore[return-value]
