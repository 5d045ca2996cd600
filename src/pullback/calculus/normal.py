"""The normal form: a value is a sum of terms; a term is a coefficient, guards and factors with
exponents.

All sums of a term are flattened into one set of bound indices (``Σ_a f · Σ_b g = Σ_ab f·g``), so
that equal terms are equal up to the names of bound indices, and a name can be recognised across
nested sums. Sums of terms that are raised to a power, or that a product keeps undistributed, are
atoms.

Exponents of equal atoms are added: ``f^a·f^b = f^(a+b)``. Where f is 0 and the signs of a and b
differ this takes the limit where the product is undefined; it changes no finite value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, permutations, product
from math import isqrt
from typing import Any

from ..functions import TABLE
from ..ir.expr import (
    ONE,
    Access,
    Add,
    Apply,
    Cond,
    Expr,
    Guard,
    IndexOf,
    Mul,
    Number,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    number,
)
from ..ir.intern import Node, kept, noted
from ..ir.sizes import Size, size
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    at,
    indices_of,
    inside,
)
from ..ir.walk import Tree, accesses, free_indices, fresh, substitute
from ..text import PRIVATE
from .guards import is_inside, negation, positive_names, settle, tidy

Factor = tuple[Expr, Fraction]


@dataclass(frozen=True, eq=False, repr=False)
class Term(Node):
    """``coef · Σ_bound [guards] · Π atom^exponent``. Build with :func:`term`."""

    coef: Fraction
    bound: tuple[Index, ...]
    guards: tuple[Cond, ...]
    factors: tuple[Factor, ...]

    @staticmethod
    def placed(
        coef: Fraction,
        bound: tuple[Index, ...],
        guards: tuple[Cond, ...],
        factors: tuple[Factor, ...],
    ) -> tuple[Any, ...]:
        """A term's place in the table of nodes, without fractions: these take long to hash."""
        parts: list[Any] = [coef.as_integer_ratio(), bound, guards]
        for atom, exponent in factors:
            parts.append(atom)
            parts.append(exponent.as_integer_ratio())
        return tuple(parts)


Poly = tuple[Term, ...]
UNIT = Term(Fraction(1), (), (), ())


def term(
    coef: Fraction,
    bound: Sequence[Index],
    guards: Iterable[Cond],
    factors: Iterable[Factor],
    count: bool = True,
) -> Term | None:
    """The term in normal form, None where it is zero.

    A bound index that occurs nowhere becomes a factor of its extent, unless not ``count``: then
    more factors are still to come.
    """
    if not coef:
        return None
    coef, exponents = _gather(coef, factors)
    if not coef:
        return None
    given = tuple(guards)
    held = settle(given, [*bound, *_indices(exponents)]) if given else ()
    if held is None:
        return None
    if count:
        coef, exponents, bound = _counted(coef, exponents, bound, held)
    ordered = tuple(sorted(exponents.items(), key=lambda item: item[0].key))
    return Term(coef, tuple(bound), held, ordered)


def _gather(coef: Fraction, factors: Iterable[Factor]) -> tuple[Fraction, dict[Expr, Fraction]]:
    exponents: dict[Expr, Fraction] = {}
    for atom, exponent in factors:
        for part, power in _plain(tidy(atom), exponent):
            if isinstance(part, Number) and not part.special:
                root = rational_power(part.value, power)
                if root is not None:
                    coef *= root
                    continue
            have = exponents.get(part)
            exponents[part] = power if have is None else have + power
    return coef, {atom: power for atom, power in exponents.items() if power}


def _plain(atom: Expr, exponent: Fraction) -> list[Factor]:
    """A size splits into its names, an index value without indices is a size."""
    match atom:
        case IndexOf(sub) if not sub.terms:
            return _plain(SizeOf(sub.const), exponent)
        case SizeOf(value) if value.literal is not None:
            return [(number(value.literal), exponent)]
        case SizeOf(Size(((mono, n),))):
            named = [(SizeOf(Size((((a,), 1),))), exponent) for a in mono]
            return [*named, (number(n), exponent)]
        case _:
            return [(atom, exponent)]


def rational_power(value: Fraction, exponent: Fraction) -> Fraction | None:
    """``value ** exponent`` where that is rational (and of sensible length), else None."""
    times, root = exponent.as_integer_ratio()
    if times == root:
        return value
    if abs(times) > 64 * root or (not value and times <= 0):
        return None
    if root == 1:
        return value**times
    if root == 2 and value >= 0:
        over, under = isqrt(value.numerator), isqrt(value.denominator)
        if over * over == value.numerator and under * under == value.denominator:
            return Fraction(over, under) ** times
    return None


def _indices(atoms: Iterable[Expr]) -> list[Index]:
    return [index for atom in atoms for index in free_indices(atom)]


def _counted(
    coef: Fraction,
    exponents: dict[Expr, Fraction],
    bound: Sequence[Index],
    guards: tuple[Cond, ...],
) -> tuple[Fraction, dict[Expr, Fraction], Sequence[Index]]:
    """A bound index that occurs nowhere becomes a factor of its extent."""
    if not bound:
        return coef, exponents, bound
    used = set(_indices(exponents))
    for cond in guards:
        used.update(free_indices(cond))
    for index in bound:
        if index not in used:
            coef, more = _gather(coef, [*exponents.items(), (SizeOf(index.extent), Fraction(1))])
            exponents = more
    return coef, exponents, tuple(index for index in bound if index in used)


# Terms.


@noted
def indices_in(value: Term) -> tuple[Index, ...]:
    """All indices in a term, bound ones included, in order of first occurrence."""
    order = dict.fromkeys(value.bound)
    for cond in value.guards:
        order.update(dict.fromkeys(free_indices(cond)))
    for atom, _ in value.factors:
        order.update(dict.fromkeys(free_indices(atom)))
    return tuple(order)


@noted
def tensors_in(value: Term) -> frozenset[Tensor]:
    """The tensors that are factors of a term, to whatever power."""
    return frozenset(a.tensor for a, _ in value.factors if isinstance(a, Access))


def free_of(value: Term) -> tuple[Index, ...]:
    """The free indices of a term."""
    return tuple(index for index in indices_in(value) if index not in value.bound)


def renamed(value: Term, names: Mapping[Index, Index], count: bool = True) -> Term | None:
    """The term with indices renamed, bound ones too."""
    moved = {old: at(new) for old, new in names.items() if old is not new}
    if not moved:
        return value
    return term(
        value.coef,
        [names.get(index, index) for index in value.bound],
        [substitute(c, moved) for c in value.guards],  # type: ignore[misc]
        [(substitute(a, moved), e) for a, e in value.factors],  # type: ignore[misc]
        count,
    )


def apart(value: Term, taken: Iterable[str]) -> Term:
    """The term with its bound indices renamed away from names that are taken."""
    names = set(taken)
    if not any(index.name in names for index in value.bound):
        return value
    names.update(index.name for index in indices_in(value))
    fresh_names = {i: fresh(i, names) for i in value.bound if i.name in set(taken)}
    out = renamed(value, fresh_names)
    assert out is not None  # renaming can't make a term vanish
    return out


def times(left: Term, right: Term) -> Term | None:
    """The product of two terms."""
    right = apart(right, [index.name for index in indices_in(left)])
    left = apart(left, [index.name for index in indices_in(right)])
    return term(
        left.coef * right.coef,
        (*left.bound, *right.bound),
        (*left.guards, *right.guards),
        (*left.factors, *right.factors),
    )


def replaced(value: Term, indices: Mapping[Index, Subscript]) -> Term | None:
    """The term with *free* indices replaced by subscripts."""
    if not indices:
        return value
    incoming = [i.name for sub in indices.values() for i in indices_of(sub)]
    value = apart(value, incoming)
    return term(
        value.coef,
        value.bound,
        [substitute(c, indices) for c in value.guards],  # type: ignore[misc]
        [(substitute(a, indices), e) for a, e in value.factors],  # type: ignore[misc]
    )


def collect(terms: Iterable[Term | None]) -> Poly:
    """Equal terms (up to names of bound indices) added; zeros dropped; in order of first
    occurrence."""
    total: dict[Term, Term] = {}
    for value in terms:
        if value is None:
            continue
        key = canonical(value)
        first = total.get(key)
        total[key] = value if first is None else _scaled(first, first.coef + value.coef)
    return tuple(value for value in total.values() if value.coef)


def _scaled(value: Term, coef: Fraction) -> Term:
    return Term(coef, value.bound, value.guards, value.factors)


@kept
def canonical(value: Term) -> Term:
    """The term with coefficient 1 and bound indices renamed so that equal terms are the same
    object."""
    if not value.bound:
        return Term(UNIT.coef, (), value.guards, value.factors)
    colours = _refine(value)
    groups: dict[str, list[Index]] = {}
    for index in value.bound:
        groups.setdefault(colours[index], []).append(index)
    ordered = [groups[colour] for colour in sorted(groups)]
    orders: Iterable[tuple[tuple[Index, ...], ...]] = product(
        *(permutations(group) if len(group) <= 4 else [tuple(group)] for group in ordered)
    )
    return min((_ordered(value, chain(*order)) for order in orders), key=lambda trial: trial.key)


def _ordered(value: Term, order: Iterable[Index]) -> Term:
    """The term with coefficient 1 and its bound indices numbered in an order."""
    out = renamed(value, {old: Index(f"@{PRIVATE}{k}", old.extent) for k, old in enumerate(order)})
    assert out is not None  # renaming can't make a term vanish
    bound = tuple(sorted(out.bound, key=lambda index: index.key))
    return Term(Fraction(1), bound, out.guards, out.factors)


def _refine(value: Term) -> dict[Index, str]:
    """Colours of the bound indices by the role they play; stable under renaming."""
    colours = {index: str(index.extent) for index in value.bound}
    parts: list[tuple[Tree, str]] = [(c, "g") for c in value.guards]
    parts += [(atom, str(exponent)) for atom, exponent in value.factors]
    holding = {i: [p for p in parts if i in free_indices(p[0])] for i in value.bound}
    for _ in range(2):
        marks = {i: Index(f"#{PRIVATE}{colours[i]}", size(1)) for i in value.bound}
        nxt = {}
        for index in value.bound:
            own = {i: at(marks[i]) for i in value.bound}
            own[index] = at(Index(f"#{PRIVATE}self", size(1)))
            seen = sorted(f"{substitute(p, own).key}^{e}" for p, e in holding[index])
            nxt[index] = f"{index.extent}|" + "|".join(seen)
        if len(set(nxt.values())) == len(nxt):
            return nxt
        ranks = {text: str(k) for k, text in enumerate(sorted(set(nxt.values())))}
        colours = {i: ranks[nxt[i]] for i in value.bound}
    return colours


# From and to expressions.


@kept
def poly(value: Expr, distribute: bool = False) -> Poly:
    """The normal form of an expression.

    Sums inside a product stay atoms unless ``distribute``; a :class:`Select` becomes two guarded
    terms.
    """
    match value:
        case Number(exact, ""):
            return collect([term(exact, (), (), ())])
        case Guard(cond):
            return collect([term(Fraction(1), (), (cond,), ())])
        case Add(parts):
            return collect(t for part in parts for t in poly(part, distribute))
        case Mul(parts):
            return _product([poly(part, distribute) for part in parts], distribute)
        case Power(base, exponent):
            return _powered(base, exponent, distribute)
        case Reduce("sum", indices, domain, body):
            return collect(
                _summed(apart(part, [i.name for i in indices]), indices, domain)
                for part in poly(body, distribute)
            )
        case Select(cond, then, other):
            yes = _product([poly(Guard(cond)), poly(then, distribute)], True)
            no = _product([poly(Guard(negation(cond))), poly(other, distribute)], True)
            return collect([*yes, *no])
        case Apply(function, args) if any(isinstance(arg, Add) for arg in args):
            value = Apply(function, tuple(map(_summed_up, args)))
            return collect([term(Fraction(1), (), (), ((value, Fraction(1)),))])
        case _:
            return collect([term(Fraction(1), (), (), ((value, Fraction(1)),))])


def _summed_up(arg: Expr) -> Expr:
    """A sum that a function is applied to, without the terms that come to nothing."""
    return expression(poly(arg)) if isinstance(arg, Add) else arg


def _summed(inner: Term, indices: Sequence[Index], domain: Sequence[Cond]) -> Term | None:
    return term(inner.coef, (*indices, *inner.bound), (*domain, *inner.guards), inner.factors)


def _product(parts: Sequence[Poly], distribute: bool) -> Poly:
    whole: Poly = (UNIT,)
    for part in parts:
        whole = multiply(whole, part if distribute else undistributed(part))
    return whole


def undistributed(value: Poly) -> Poly:
    """A sum of several terms as one term with an atom (guards keep it a sum: they make terms
    absent)."""
    if len(value) < 2 or any(t.guards for t in value):
        return value
    made = term(Fraction(1), (), (), ((expression(value), Fraction(1)),))
    return collect([made])


def multiply(left: Poly, right: Poly) -> Poly:
    """The product of two sums, distributed."""
    return collect(times(a, b) for a in left for b in right)


def _powered(base: Expr, exponent: Fraction, distribute: bool) -> Poly:
    inner = poly(base, distribute)
    if not inner and exponent > 0:
        return ()
    if len(inner) == 1 and not inner[0].bound:
        only = inner[0]
        whole = exponent.denominator == 1
        coef = rational_power(only.coef, exponent)
        if (
            coef is not None
            and (exponent > 0 or not only.guards)
            and (whole or _splits(only.factors))
        ):
            return collect(
                [term(coef, (), only.guards, [(a, e * exponent) for a, e in only.factors])]
            )
    if distribute and exponent.denominator == 1 and 1 < exponent <= 4:
        return _product([inner] * int(exponent), True)
    return collect([term(Fraction(1), (), (), ((expression(inner), exponent),))])


def _splits(factors: Sequence[Factor]) -> bool:
    """Whether a root of this product is the product of the roots: at most one factor of unknown
    sign."""
    free = [e for atom, e in factors if not nonnegative_atom(atom)]
    return len(free) <= 1 and all(e.denominator % 2 == 0 or abs(e) == 1 for e in free)


def nonnegative_atom(atom: Expr) -> bool:
    """Whether an atom is >= 0 by what it is, whatever the tensors hold."""
    match atom:
        case SizeOf():
            return True
        case Number(value, special):
            return special == "inf" or (not special and value >= 0)
        case Apply(function, _):
            return TABLE[function].low >= 0
        case _:
            return False


def expression(value: Poly) -> Expr:
    """A plain expression of a normal form: no factoring, independent sums apart."""
    parts = [_term_expression(t) for t in value]
    if not parts:
        return number(0)
    return parts[0] if len(parts) == 1 else Add(tuple(parts))


def _term_expression(value: Term) -> Expr:
    parts: list[Expr] = []
    if value.coef != 1:
        parts.append(number(value.coef))
    outer, components = components_of(value)
    parts.extend(spelled(*outer))
    for bound, guards, factors in components:
        body = joined(spelled(guards, factors))
        parts.append(Reduce("sum", bound, (), body))
    return joined(parts)


def joined(parts: Sequence[Expr]) -> Expr:
    return ONE if not parts else parts[0] if len(parts) == 1 else Mul(tuple(parts))


def spelled(guards: Iterable[Cond], factors: Iterable[Factor]) -> list[Expr]:
    """Guards and factors as the factors of a product, as people order them: sizes, small arrays,
    large ones, guards, divisors."""
    ordered = sorted(factors, key=_place)
    out: list[Expr] = [a if e == 1 else Power(a, e) for a, e in ordered if e.numerator > 0]
    out.extend(Guard(cond) for cond in guards)
    out.extend(Power(a, e) for a, e in ordered if e.numerator < 0)
    return out


def _place(factor: Factor) -> tuple[bool, int, str]:
    atom, _ = factor
    return not isinstance(atom, SizeOf), len(free_indices(atom)), atom.key


def safe_alone(atom: Expr, exponent: Fraction, held: Sequence[Cond] = ()) -> bool:
    """Whether a factor may be evaluated where the guards beside it fail, all but those ``held``."""
    match atom:
        case SizeOf() | Number() | IndexOf():
            return True
        case Access() if exponent > 0:
            return in_bounds(atom, held)
        case _:
            return False


def in_bounds(node: Tree, held: Sequence[Cond] = ()) -> bool:
    """Whether every read in here is proved to be inside its array where ``held`` hold, whatever
    other guards stand around."""
    names = positive_names(free_indices(node))
    return all(
        inside(sub, extent, names) or is_inside(sub, extent, held)
        for access in accesses(node)
        for sub, extent in zip(access.subs, access.tensor.shape, strict=True)
        if not isinstance(sub.atom, Lookup)
    )


Part = tuple[tuple[Cond, ...], tuple[Factor, ...]]
Component = tuple[tuple[Index, ...], tuple[Cond, ...], tuple[Factor, ...]]


@noted
def components_of(value: Term) -> tuple[Part, list[Component]]:
    """What is free of the bound indices, and the connected groups of bound indices with what they
    hold.

    A factor that a guard of another group may protect (it could be read outside its array, or
    divide by 0, where that guard fails everywhere) stays in one group with it.
    """
    if not value.bound:
        return (value.guards, value.factors), []
    bound = set(value.bound)
    guards = [(c, [i for i in free_indices(c) if i in bound]) for c in value.guards]
    factors = [(f, [i for i in free_indices(f[0]) if i in bound]) for f in value.factors]
    leader = _connected(value.bound, [inner for _, inner in (*guards, *factors)])
    outer: _Group = ([], [], [])
    groups: dict[Index, _Group] = {}
    for index in value.bound:
        groups.setdefault(leader[index], ([], [], []))[0].append(index)
    for cond, inner in guards:
        (groups[leader[inner[0]]] if inner else outer)[1].append(cond)
    for factor, inner in factors:
        (groups[leader[inner[0]]] if inner else outer)[2].append(factor)
    free, parts = _sheltered(outer[2], list(groups.values()))
    return (tuple(outer[1]), tuple(free)), [(tuple(b), tuple(g), tuple(f)) for b, g, f in parts]


_Group = tuple[list[Index], list[Cond], list[Factor]]


def _connected(bound: Sequence[Index], links: Iterable[Sequence[Index]]) -> dict[Index, Index]:
    """For each index the one that stands for its group; indices in one link are in one group."""
    leader = {index: index for index in bound}

    def find(index: Index) -> Index:
        while leader[index] is not index:
            index = leader[index]
        return index

    for link in links:
        for index in link[1:]:
            leader[find(index)] = find(link[0])
    return {index: find(index) for index in bound}


def _sheltered(
    factors: Sequence[Factor], parts: list[_Group]
) -> tuple[Sequence[Factor], list[_Group]]:
    """The factors that may stand outside the sums, and the sums with the others in them."""
    guarded = [g for g in parts if g[1]]
    exposed = [f for f in factors if is_exposed(f)]
    needy = [
        g
        for g in parts
        if any(h is not g for h in guarded) and any(is_exposed(f, g[1]) for f in g[2])
    ]
    if not guarded or not (exposed or needy):
        return factors, parts
    one: _Group = ([], [], list(exposed))  # which of the sums protects them isn't known
    joined = [g for g in parts if g in guarded or g in needy]
    for group in joined:
        one[0].extend(group[0])
        one[1].extend(group[1])
        one[2].extend(group[2])
    return [f for f in factors if f not in exposed], [*(g for g in parts if g not in joined), one]


def is_exposed(factor: Factor, held: Sequence[Cond] = ()) -> bool:
    """Whether a factor has to stay under the guards of its term, those that are ``held`` apart."""
    match factor:
        case Reduce("sum", _, (), Mul(parts)), 1:
            own = (*held, *(p.cond for p in parts if isinstance(p, Guard)))
            return any(is_exposed((part, UNIT.coef), own) for part in parts)
        case Reduce("sum", _, (), part), 1:
            return is_exposed((part, UNIT.coef), held)
        case Guard(), _:
            return False
        case atom, exponent:
            return not safe_alone(atom, exponent, held)


def has_lookup(sub: Subscript) -> bool:
    """Whether a subscript depends on data."""
    for atom, _ in sub.terms:
        match atom:
            case Lookup():
                return True
            case Quotient(value, _) | Remainder(value, _):
                if has_lookup(value):
                    return True
    return False
