"""The normal form: a value is a sum of terms; a term is a coefficient, guards and factors with exponents.

All sums of a term are flattened into one set of bound indices (``Σ_a f · Σ_b g = Σ_ab f·g``), so that equal terms
are equal up to the names of bound indices, and a name can be recognised across nested sums. Sums of terms that
are raised to a power, or that a product keeps undistributed, are atoms.

Exponents of equal atoms are added: ``f^a·f^b = f^(a+b)``. Where f is 0 and the signs of a and b differ this takes
the limit where the product is undefined; it changes no finite value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations, product
from math import isqrt

from ..ir.expr import (
    ONE,
    Access,
    Add,
    And,
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
    Power,
    Reduce,
    Select,
    SizeOf,
    Zero,
    number,
)
from ..ir.intern import Node
from ..ir.sizes import Size, size
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    at,
    bounds,
    indices_of,
    inside,
    is_name,
    reduced,
)
from ..ir.walk import Tree, bottom_up, free_indices, fresh, nodes, substitute

Factor = tuple[Expr, Fraction]


@dataclass(frozen=True, eq=False, repr=False)
class Term(Node):
    """``coef · Σ_bound [guards] · Π atom^exponent``. Build with :func:`term`."""

    coef: Fraction
    bound: tuple[Index, ...]
    guards: tuple[Cond, ...]
    factors: tuple[Factor, ...]


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

    A bound index that occurs nowhere becomes a factor of its extent, unless not ``count``: then more factors are
    still to come.
    """
    if not coef:
        return None
    coef, exponents = _gather(coef, factors)
    if not coef:
        return None
    held = settle(guards, [*bound, *_indices(exponents)])
    if held is None:
        return None
    if count:
        coef, exponents, bound = _counted(coef, exponents, bound, held)
    ordered = tuple(sorted(exponents.items(), key=lambda item: (item[0].key, item[1])))
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
            exponents[part] = exponents.get(part, Fraction(0)) + power
    return coef, {atom: power for atom, power in exponents.items() if power}


def _plain(atom: Expr, exponent: Fraction) -> list[Factor]:
    """A size splits into its names, an index value without indices is a size."""
    match atom:
        case IndexOf(sub) if not sub.terms:
            return _plain(SizeOf(sub.const), exponent)
        case SizeOf(value) if len(value.terms) == 1:
            mono, n = value.terms[0]
            if not mono:
                return [(number(n), exponent)]
            named = [(SizeOf(Size((((a,), 1),))), exponent) for a in mono]
            return [*named, (number(n), exponent)]
        case SizeOf(value) if not value.terms:
            return [(number(0), exponent)]
        case _:
            return [(atom, exponent)]


def rational_power(value: Fraction, exponent: Fraction) -> Fraction | None:
    """``value ** exponent`` where that is rational (and of sensible length), else None."""
    if abs(exponent) > 64 or (value == 0 and exponent <= 0):
        return None
    if exponent.denominator == 1:
        return value**exponent.numerator
    if exponent.denominator == 2 and value > 0:
        over, under = isqrt(value.numerator), isqrt(value.denominator)
        if over * over == value.numerator and under * under == value.denominator:
            return Fraction(over, under) ** exponent.numerator
    return None


def _indices(atoms: Iterable[Expr]) -> list[Index]:
    return [index for atom in atoms for index in free_indices(atom)]


def _counted(
    coef: Fraction, exponents: dict[Expr, Fraction], bound: Sequence[Index], guards: tuple[Cond, ...]
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


_TIDY: dict[Tree, Tree] = {}


def tidy(node: Expr) -> Expr:
    """The same value with every subscript's quotients and remainders resolved where ranges decide them."""
    found = _TIDY.get(node)
    if found is None:
        if len(_TIDY) > 100_000:
            _TIDY.clear()
        found = _TIDY[node] = bottom_up(node, _tidy_node)
    return found  # type: ignore[return-value]


def _tidy_node(node: Tree) -> Tree:
    match node:
        case Access(tensor, subs):
            return Access(tensor, tuple(reduced(sub) for sub in subs))
        case IndexOf(sub):
            return IndexOf(reduced(sub))
        case Zero(sub):
            return Zero(reduced(sub))
        case Inside(sub, extent):
            return Inside(reduced(sub), extent)
        case Divides(divisor, sub):
            return Divides(divisor, reduced(sub))
        case _:
            return node


# Guards.


def positive_names(indices: Iterable[Index]) -> tuple[str, ...]:
    """The named sizes that are >= 1 wherever all these indices have a value."""
    names = {index.extent.names()[0] for index in indices if is_name(index.extent)}
    return tuple(sorted(names))


def settle(guards: Iterable[Cond], scope: Iterable[Index]) -> tuple[Cond, ...] | None:
    """Guards with the always-true ones dropped, sorted; None if they can't all hold."""
    flat: dict[Cond, None] = {}
    for cond in guards:
        _spread(cond, flat)
    names = positive_names(dict.fromkeys([*scope, *(i for c in flat for i in free_indices(c))]))
    pinned = _pinned(flat)
    held: dict[Cond, None] = {}
    for cond in flat:
        verdict = decide(cond, names)
        if verdict is None and pinned and not isinstance(cond, Zero):
            verdict = decide(_tidy_cond(substitute(cond, pinned)), names)  # type: ignore[arg-type]
        if verdict is False:
            return None
        if verdict is None:
            held[_oriented(cond)] = None
    for cond in held:
        if _opposite(cond) in held or (isinstance(cond, Compare) and _clashes(cond, held)):
            return None
    kept = [c for c in held if not _weaker(c, held)]
    return tuple(sorted(kept, key=lambda cond: cond.key))


def _pinned(guards: Iterable[Cond]) -> dict[Index, Subscript]:
    """Indices that an equality fixes to a size, as in ``[m - 1 = 0]``."""
    out: dict[Index, Subscript] = {}
    for cond in guards:
        if isinstance(cond, Zero) and len(cond.sub.terms) == 1:
            atom, n = cond.sub.terms[0]
            if isinstance(atom, Index) and abs(n.literal or 0) == 1:
                out[atom] = (cond.sub - at(atom) * n) * -(n.literal or 1)
    return out


def _spread(cond: Cond, into: dict[Cond, None]) -> None:
    match cond:
        case And(conds):
            for part in conds:
                _spread(part, into)
        case Not(Not(inner)):
            _spread(inner, into)
        case Inside(sub, extent) if extent.literal == 1:
            into[_tidy_cond(Zero(sub))] = None
        case _:
            into[_tidy_cond(cond)] = None


def _tidy_cond(cond: Cond) -> Cond:
    return tidy(cond)  # type: ignore[arg-type, return-value]


def decide(cond: Cond, positive: Sequence[str] = ()) -> bool | None:
    """Whether a condition always holds (True), never holds (False), or neither is proved (None)."""
    match cond:
        case Zero(sub):
            if not sub.terms and sub.const.literal is not None:
                return sub.const.literal == 0
            low, high = bounds(sub)
            if low is not None and low.at_least(1, positive):
                return False
            if high is not None and (-high).at_least(1, positive):
                return False
            if low is not None and high is not None and low.literal == high.literal == 0:
                return True
            return None
        case Inside(sub, extent):
            if inside(sub, extent, positive):
                return True
            low, high = bounds(sub)
            if (low is not None and (low - extent).at_least(0, positive)) or (
                high is not None and (-high).at_least(1, positive)
            ):
                return False
            return None
        case Divides(divisor, sub):
            if divisor.literal == 1:
                return True
            parts = [*(n for _, n in sub.terms), sub.const]
            if all(n.exactly_over(divisor) is not None for n in parts):
                return True
            if not sub.terms and sub.const.literal is not None and divisor.literal:
                return sub.const.literal % divisor.literal == 0
            return None
        case Compare(op, Number(a, ""), Number(b, "")):
            return {"<": a < b, "<=": a <= b, "==": a == b, "!=": a != b}[op]
        case Compare(op, left, right) if left is right and op == "<":
            return False
        case Not(inner):
            verdict = decide(inner, positive)
            return None if verdict is None else not verdict
        case _:
            return None


def _oriented(cond: Cond) -> Cond:
    match cond:
        case Zero(sub) if sub.terms and (-sub.terms[0][1]).at_least(1):
            return Zero(-sub)
        case Compare("==" | "!=" as op, left, right) if right.key < left.key:
            return Compare(op, right, left)
        case _:
            return cond


def _opposite(cond: Cond) -> Cond:
    match cond:
        case Not(inner):
            return inner
        case Compare("==", left, right):
            return Compare("!=", left, right)
        case Compare("!=", left, right):
            return Compare("==", left, right)
        case _:
            return Not(cond)


def negation(cond: Cond) -> Cond:
    """The condition that holds exactly where ``cond`` doesn't (NaN included)."""
    match cond:
        case Not(inner):
            return inner
        case Compare("==", left, right):
            return Compare("!=", left, right)
        case Compare("!=", left, right):
            return Compare("==", left, right)
        case _:
            return Not(cond)


def _clashes(cond: Compare, held: Mapping[Cond, None]) -> bool:
    op, left, right = cond.op, cond.left, cond.right
    swapped = Compare("<", right, left)
    if op == "<":
        equal = _oriented(Compare("==", left, right))
        return swapped in held or Compare("<=", right, left) in held or equal in held
    return False


def _weaker(cond: Cond, held: Mapping[Cond, None]) -> bool:
    """Whether another guard that is held implies this one."""
    match cond:
        case Compare("<=", left, right):
            return Compare("<", left, right) in held or (
                _oriented(Compare("==", left, right)) in held
            )
        case Compare("!=", left, right):
            return Compare("<", left, right) in held or Compare("<", right, left) in held
        case _:
            return False


# Terms.


def indices_in(value: Term) -> tuple[Index, ...]:
    """All indices in a term, bound ones included, in order of first occurrence."""
    order = dict.fromkeys(value.bound)
    for cond in value.guards:
        order.update(dict.fromkeys(free_indices(cond)))
    for atom, _ in value.factors:
        order.update(dict.fromkeys(free_indices(atom)))
    return tuple(order)


def free_of(value: Term) -> tuple[Index, ...]:
    """The free indices of a term."""
    return tuple(index for index in indices_in(value) if index not in value.bound)


def scaled(value: Term, coef: Fraction) -> Term:
    """The term with another coefficient multiplied in (nonzero)."""
    return Term(value.coef * coef, value.bound, value.guards, value.factors)


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
    """Equal terms (up to names of bound indices) added; zeros dropped; in order of first occurrence."""
    total: dict[Term, tuple[Fraction, Term]] = {}
    for value in terms:
        if value is None:
            continue
        key = canonical(value)
        coef, first = total.get(key, (Fraction(0), value))
        total[key] = (coef + value.coef, first)
    return tuple(
        Term(coef, first.bound, first.guards, first.factors)
        for coef, first in total.values()
        if coef
    )


_CANONICAL: dict[Term, Term] = {}


def canonical(value: Term) -> Term:
    """The term with coefficient 1 and bound indices renamed so that equal terms are the same object."""
    found = _CANONICAL.get(value)
    if found is None:
        if len(_CANONICAL) > 100_000:
            _CANONICAL.clear()
        found = _CANONICAL[value] = _canonical(value)
    return found


def _canonical(value: Term) -> Term:
    if not value.bound:
        return Term(Fraction(1), (), value.guards, value.factors)
    colours = _refine(value)
    groups: dict[str, list[Index]] = {}
    for index in value.bound:
        groups.setdefault(colours[index], []).append(index)
    ordered = [groups[colour] for colour in sorted(groups)]
    orders: Iterable[tuple[tuple[Index, ...], ...]] = product(
        *(permutations(group) if len(group) <= 4 else [tuple(group)] for group in ordered)
    )
    best: Term | None = None
    for order in orders:
        flat = [index for group in order for index in group]
        names = {old: Index(f"@{k}", old.extent) for k, old in enumerate(flat)}
        trial = renamed(value, names)
        if trial is not None and (best is None or trial.key < best.key):
            best = trial
    assert best is not None
    bound = tuple(sorted(best.bound, key=lambda index: index.key))
    return Term(Fraction(1), bound, best.guards, best.factors)


def _refine(value: Term) -> dict[Index, str]:
    """Colours of the bound indices by the role they play; stable under renaming."""
    colours = {index: str(index.extent) for index in value.bound}
    parts: list[tuple[Tree, str]] = [(c, "g") for c in value.guards]
    parts += [(atom, str(exponent)) for atom, exponent in value.factors]
    holding = {i: [p for p in parts if i in free_indices(p[0])] for i in value.bound}
    for _ in range(2 if len(value.bound) > 1 else 1):
        marks = {i: Index(f"#{colours[i]}", size(1)) for i in value.bound}
        nxt = {}
        for index in value.bound:
            own = {i: at(marks[i]) for i in value.bound}
            own[index] = at(Index("#self", size(1)))
            seen = sorted(f"{substitute(p, own).key}^{e}" for p, e in holding[index])
            nxt[index] = f"{index.extent}|" + "|".join(seen)
        if len(set(nxt.values())) == len(nxt):
            return nxt
        ranks = {text: str(k) for k, text in enumerate(sorted(set(nxt.values())))}
        colours = {i: ranks[nxt[i]] for i in value.bound}
    return colours


# From and to expressions.


def poly(value: Expr, distribute: bool = False) -> Poly:
    """The normal form of an expression.

    Sums inside a product stay atoms unless ``distribute``; a :class:`Select` becomes two guarded terms.
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
        case _:
            return collect([term(Fraction(1), (), (), ((value, Fraction(1)),))])


def _summed(inner: Term, indices: Sequence[Index], domain: Sequence[Cond]) -> Term | None:
    return term(
        inner.coef, (*indices, *inner.bound), (*domain, *inner.guards), inner.factors
    )


def _product(parts: Sequence[Poly], distribute: bool) -> Poly:
    whole: Poly = (UNIT,)
    for part in parts:
        whole = multiply(whole, part if distribute else undistributed(part))
    return whole


def undistributed(value: Poly) -> Poly:
    """A sum of several terms as one term with an atom (guards keep it a sum: they make terms absent)."""
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
        if coef is not None and (exponent > 0 or not only.guards) and (
            whole or _splits(only.factors)
        ):
            return collect([term(coef, (), only.guards, [(a, e * exponent) for a, e in only.factors])])
    if distribute and exponent.denominator == 1 and 1 < exponent <= 4:
        out = inner
        for _ in range(int(exponent) - 1):
            out = multiply(out, inner)
        return out
    atom = expression(inner) if inner else number(0)
    return collect([term(Fraction(1), (), (), ((atom, exponent),))])


def _splits(factors: Sequence[Factor]) -> bool:
    """Whether a root of this product is the product of the roots: at most one factor of unknown sign."""
    free = [1 for atom, e in factors if not nonnegative_atom(atom)]
    if len(free) > 1:
        return False
    return all(nonnegative_atom(atom) or e.denominator % 2 == 0 or abs(e) == 1 for atom, e in factors)


def nonnegative_atom(atom: Expr) -> bool:
    """Whether an atom is >= 0 by what it is, whatever the tensors hold."""
    from ..functions import TABLE
    from ..ir.expr import Apply

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
        body = _joined(spelled(guards, factors))
        parts.append(Reduce("sum", bound, (), body))
    return _joined(parts)


def _joined(parts: Sequence[Expr]) -> Expr:
    return ONE if not parts else parts[0] if len(parts) == 1 else Mul(tuple(parts))


def spelled(guards: Iterable[Cond], factors: Iterable[Factor]) -> list[Expr]:
    """Guards and factors as the factors of a product."""
    out: list[Expr] = [Guard(cond) for cond in guards]
    out.extend(atom if exponent == 1 else Power(atom, exponent) for atom, exponent in factors)
    return out


Part = tuple[tuple[Cond, ...], tuple[Factor, ...]]
Component = tuple[tuple[Index, ...], tuple[Cond, ...], tuple[Factor, ...]]


def components_of(value: Term) -> tuple[Part, list[Component]]:
    """What is free of the bound indices, and the connected groups of bound indices with what they hold."""
    leader = {index: index for index in value.bound}

    def find(index: Index) -> Index:
        while leader[index] is not index:
            index = leader[index]
        return index

    held: list[tuple[Tree, Fraction | None, list[Index]]] = []
    for cond in value.guards:
        held.append((cond, None, [i for i in free_indices(cond) if i in leader]))
    for atom, exponent in value.factors:
        held.append((atom, exponent, [i for i in free_indices(atom) if i in leader]))
    for _, _, inner in held:
        for index in inner[1:]:
            leader[find(index)] = find(inner[0])
    groups: dict[Index | None, tuple[list[Index], list[Cond], list[Factor]]] = {
        None: ([], [], [])
    }
    for index in value.bound:
        groups.setdefault(find(index), ([], [], []))[0].append(index)
    for node, exponent, inner in held:
        group = groups[find(inner[0]) if inner else None]
        if exponent is None:
            group[1].append(node)  # type: ignore[arg-type]
        else:
            group[2].append((node, exponent))  # type: ignore[arg-type]
    outer = groups.pop(None)
    return (tuple(outer[1]), tuple(outer[2])), [
        (tuple(b), tuple(g), tuple(f)) for b, g, f in groups.values()
    ]


def mentions(node: Tree, index: Index) -> bool:
    """Whether an index is free in a node."""
    return index in free_indices(node)


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


__all__ = [
    "UNIT", "Component", "Factor", "Poly", "Term", "apart", "canonical", "collect", "components_of",
    "decide", "expression", "free_of", "has_lookup", "indices_in", "mentions", "multiply", "negation",
    "nodes", "nonnegative_atom", "poly", "positive_names", "rational_power", "renamed", "replaced",
    "scaled", "settle", "spelled", "term", "tidy", "times", "undistributed",
]
