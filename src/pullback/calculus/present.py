"""The compact form of a sum of terms: names put back, common factors taken out, sums nested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import gcd

from ..ir.expr import (
    ONE,
    Access,
    Add,
    Apply,
    Cond,
    Expr,
    Mul,
    Number,
    Power,
    Reduce,
    SizeOf,
    Tensor,
    number,
)
from ..ir.subscripts import Index
from ..ir.walk import Tree, free_indices
from .cost import power_cost, volume
from .definitions import Definitions
from .match import Pattern, find
from .normal import (
    Component,
    Factor,
    Poly,
    Term,
    apart,
    collect,
    components_of,
    free_of,
    in_bounds,
    indices_in,
    is_exposed,
    poly,
    replaced,
    safe_alone,
    spelled,
    term,
)

UNIT = Fraction(1)
STATES = 40
EXPONENTS = tuple(Fraction(n) for n in (1, -1, 2, -2, 3, -3))


# Names put back.


def term_cost(value: Term) -> float:
    """A measure of one term: reads, products and powers, each over the points it runs over."""
    outer, components = components_of(value)
    total = _group_cost(outer[0], outer[1])
    for bound, guards, factors in components:
        total += _group_cost(guards, factors) + volume(bound)
    return total


def _group_cost(guards: Sequence[Cond], factors: Sequence[Factor]) -> float:
    """Products are formed from the smallest factors up."""
    parts = sorted(
        ((free_indices(a), e) for a, e in factors if not isinstance(a, SizeOf)),
        key=lambda part: volume(part[0]),
    )
    have: dict[Index, None] = {}
    total = 0.0
    for k, (indices, exponent) in enumerate(parts):
        have.update(dict.fromkeys(indices))
        total += volume(indices) * (1.0 + power_cost(exponent))
        if k:
            total += volume(have)
    for cond in guards:
        total += 2 * volume(free_indices(cond))
    return total


class Names:
    """The names that may stand in a result: forward values, gradients already made, introduced
    values."""

    def __init__(self, definitions: Definitions) -> None:
        self.patterns: dict[Tensor, tuple[Pattern, ...]] = {}
        self.user: dict[Tensor, bool] = {}
        self.ask = definitions.regions.ask
        definitions.regions.questions |= {
            "names": lambda tensor: self.patterns.get(tensor, ()),
            "made up": lambda tensor: not self.user.get(tensor, True),
        }
        for tensor, pattern in definitions.products.items():
            body = definitions.expanded(pattern.body)
            if body is not None and len(body.factors) + abs(len(body.bound)) > 0:
                self.add(Pattern(tensor, pattern.axes, body, pattern.user))

    def add(self, pattern: Pattern) -> None:
        """A name for a product or a sum; later ones are preferred."""
        body = pattern.body
        if body.guards and not body.bound:
            return
        lone = len(body.factors) == 1 and body.factors[0][1] == 1
        if lone and not body.bound and body.coef == 1:
            return  # a view
        atoms = [a for a, _ in body.factors if isinstance(a, Access)]
        if not atoms:
            return
        self.user[pattern.target] = pattern.user
        first = atoms[0].tensor
        self.patterns[first] = (*self.patterns.get(first, ()), pattern)

    def fold(self, value: Term) -> Term:
        """The term with names put back so that it is cheapest."""
        return self.forms(value)[0]

    def forms(self, value: Term) -> list[Term]:
        """Ways to write a term in names, the cheapest first: a small search, best first."""
        rooted = {a.tensor for a, e in value.factors if isinstance(a, Access) and e.denominator > 1}
        found = {value: self._rank(value)}
        frontier = [value]
        while frontier and len(found) < STATES:
            frontier.sort(key=found.__getitem__)
            for option in self._options(frontier.pop(0), rooted):
                if option not in found:
                    found[option] = self._rank(option)
                    frontier.append(option)
        return sorted(found, key=found.__getitem__)

    def _rank(self, value: Term) -> tuple[float, int, str]:
        """Cost first, then fewer made-up names, then the text."""
        made_up = sum(
            self.ask("made up", a.tensor) for a, _ in value.factors if isinstance(a, Access)
        )
        return (term_cost(value), made_up, value.key)

    def _may_root(self, pattern: Pattern, rooted: set[Tensor]) -> bool:
        """Whether the roots in a definition are defined wherever the term is.

        Where x < 0, ``1/x`` must not become the square of a named ``x**(-1/2)``.
        """
        return all(
            isinstance(a, Access) and (a.tensor in rooted or self.ask("nonnegative", a.tensor))
            for a, e in pattern.body.factors
            if e.denominator > 1
        )

    def _options(self, value: Term, rooted: set[Tensor]) -> Iterable[Term]:
        tensors = dict.fromkeys(a.tensor for a, _ in value.factors if isinstance(a, Access))
        for tensor in tensors:
            for pattern in self.ask("names", tensor):
                if not self._may_root(pattern, rooted):
                    continue
                for exponent in _useful_exponents(pattern, value):
                    yield from find(pattern, value, exponent)


def _useful_exponents(pattern: Pattern, value: Term) -> list[Fraction]:
    """The powers of a definition that could stand in a term."""
    if pattern.body.bound:
        return [UNIT]
    first = next((a, e) for a, e in pattern.body.factors if isinstance(a, Access))
    have = [
        e
        for a, e in value.factors
        if isinstance(a, Access) and isinstance(first[0], Access) and a.tensor is first[0].tensor
    ]
    out: dict[Fraction, None] = {}
    for e in have:
        ratio = e / first[1]
        for exponent in EXPONENTS:
            if (exponent > 0) == (ratio > 0) and abs(exponent) <= abs(ratio):
                out[exponent] = None
    return list(out)


# Sums of terms that have a name.


def fold_sums(value: Poly, definitions: Definitions) -> Poly:
    """Terms that together are a multiple of a named sum become that name (x - mu → x̃)."""
    changed = True
    while changed and len(value) > 1:
        changed = False
        present = dict.fromkeys(
            a.tensor for t in value for a, _ in t.factors if isinstance(a, Access)
        )
        for tensor, axes, terms in definitions.regions.ask("additive in", tuple(present)):
            folded = _fold_one_sum(value, tensor, axes, terms, definitions)
            if folded is not None:
                value, changed = folded, True
                break
    return value


def _fold_one_sum(
    value: Poly,
    tensor: Tensor,
    axes: tuple[Index, ...],
    terms: Poly,
    definitions: Definitions,
) -> Poly | None:
    based = collect(definitions.expanded(t) for t in terms)
    if len(based) != len(terms) or any(t.guards for t in based):
        return None
    lead = max(based, key=lambda t: (len(t.factors), t.key))
    if not lead.factors:
        return None
    pattern = Pattern(tensor, axes, lead)
    for candidate in value:
        for found in find(pattern, candidate):
            access = next(
                (a for a, e in found.factors if isinstance(a, Access) and a.tensor is tensor), None
            )
            if access is None:
                continue
            rest = term(
                found.coef,
                found.bound,
                found.guards,
                [(a, e - 1 if a is access else e) for a, e in found.factors],
            )
            if rest is None:
                continue
            binding = dict(zip(axes, access.subs, strict=True))
            whole = []
            for part in based:
                moved = replaced(part, binding)
                whole.append(None if moved is None else _under(rest, moved))
            spread = collect(whole)
            left = collect([*value, *(Term(-t.coef, t.bound, t.guards, t.factors) for t in spread)])
            if len(left) + 1 < len(value) or (len(left) + 1 == len(value) and len(spread) > 2):
                return collect([*left, found])
    return None


def _under(rest: Term, part: Term) -> Term | None:
    """``rest · part`` where part's free indices may be summed in rest."""
    part = apart(part, [i.name for i in indices_in(rest)])
    return term(
        rest.coef * part.coef,
        (*rest.bound, *part.bound),
        (*rest.guards, *part.guards),
        (*rest.factors, *part.factors),
    )


OVERFLOWING = ("exp", "exp2", "expm1", "cosh", "sinh")


def complements(value: Poly, definitions: Definitions, names: Names) -> Poly:
    """``u/(c + u)`` is ``1 - c/(c + u)``.

    It is written so where 1/(c + u) has a name (a sigmoid by hand), and where u may overflow: then
    the quotient would be inf/inf, where its complement is 1 - 0.
    """
    return collect(_complement(t, definitions, names) for t in value)


def _complement(value: Term, definitions: Definitions, names: Names) -> Term | None:
    for atom, exponent in value.factors:
        if exponent.denominator != 1 or exponent > -1:
            continue
        parts = _two_terms(atom, definitions)
        if parts is None:
            continue
        constant, other = parts
        tau = definitions.expanded(other) or other
        have = dict(value.factors)
        if any(have.get(a, Fraction(0)) < e or e < 0 for a, e in tau.factors):
            continue
        inverse = _named_inverse(atom, names)
        if inverse is None and not any(_may_overflow(a, definitions) for a, _ in tau.factors):
            continue
        if inverse is not None and exponent > -2:
            continue
        for a, e in tau.factors:
            have[a] -= e
        have[atom] += 1
        one_minus = Add((ONE, Mul((number(-constant.coef), inverse or Power(atom, -UNIT)))))
        made = term(
            value.coef / tau.coef, value.bound, value.guards, [*have.items(), (one_minus, UNIT)]
        )
        return None if made is None else _complement(made, definitions, names)
    return value


def _two_terms(atom: Expr, definitions: Definitions) -> tuple[Term, Term] | None:
    """The constant and the other term of a sum of two."""
    if isinstance(atom, Add):
        terms: Sequence[Term | None] = poly(atom)
    elif isinstance(atom, Access) and (known := definitions.regions.ask("additive", atom.tensor)):
        axes, defined = known
        binding = dict(zip(axes, atom.subs, strict=True))
        terms = [replaced(t, binding) for t in defined]
    else:
        return None
    if len(terms) != 2:
        return None
    constants = [t for t in terms if t is not None and not t.factors and not t.guards]
    others = [t for t in terms if t is not None and t.factors]
    if len(constants) != 1 or len(others) != 1 or others[0].bound or others[0].guards:
        return None
    return constants[0], others[0]


def _named_inverse(atom: Expr, names: Names) -> Access | None:
    """The name of ``1/atom``, if it has one."""
    if not isinstance(atom, Access):
        return None
    for pattern in names.ask("names", atom.tensor):
        if pattern.body.coef != 1 or [e for _, e in pattern.body.factors] != [-UNIT]:
            continue
        own = pattern.body.factors[0][0]
        assert isinstance(own, Access)
        if own.subs == pattern.access.subs:  # the name has the same axes, no more and no fewer
            return Access(pattern.target, atom.subs)
    return None


def _may_overflow(atom: Expr, definitions: Definitions) -> bool:
    """Whether an atom is the value of a function that overflows for large arguments."""
    if isinstance(atom, Access):
        return definitions.regions.ask("function", atom.tensor) in OVERFLOWING
    return isinstance(atom, Apply) and atom.function in OVERFLOWING


# Factoring.


Finite = Callable[[Tensor], bool]


def factored(value: Poly, finite: Finite) -> Expr:
    """One expression for a sum of terms: common factors outside, shared ones in groups.

    ``finite`` tells the tensors that are finite wherever they are read (inputs, gradients): only
    those may leave a guard that other terms don't share. Elsewhere a guard may be what keeps an
    overflow out.
    """
    if not value:
        return number(0)
    if len(value) == 1:
        return nested(value[0])
    shared, rest = _common(value, finite)
    inner = _grouped(rest, finite)
    if shared is None:
        return inner
    return _product_of(shared, inner)


def _product_of(shared: Term, inner: Expr) -> Expr:
    parts: list[Expr] = []
    if shared.coef != 1:
        parts.append(number(shared.coef))
    parts.extend(spelled(shared.guards, shared.factors))
    if inner is not ONE:
        parts.append(inner)
    return parts[0] if len(parts) == 1 else Mul(tuple(parts))


def _common(value: Poly, finite: Finite) -> tuple[Term | None, Poly]:
    """What all terms share outside their sums, and the terms without it."""
    outers = [components_of(t)[0] for t in value]
    guards = _shared_guards([o[0] for o in outers], value)
    factors: list[Factor] = []
    for atom, _ in outers[0][1]:
        exponents = [dict(o[1]).get(atom, Fraction(0)) for o in outers]
        least = _shared_exponent(exponents)
        if least and _may_leave(atom, least, value, guards, finite):
            factors.append((atom, least))
    factors.extend(_scalar_factors(outers, factors))
    coef = _shared_coefficient([t.coef for t in value])
    if coef == 1 and not guards and not factors:
        return None, value
    shared = term(coef, (), guards, factors)
    if shared is None:
        return None, value
    divided = [
        term(
            t.coef / coef,
            t.bound,
            [c for c in t.guards if c not in guards],
            [*t.factors, *((a, -e) for a, e in factors)],
        )
        for t in value
    ]
    rest = tuple(t for t in divided if t is not None)
    if len(rest) != len(value):
        return None, value
    return shared, rest


def _shared_guards(outers: Sequence[Sequence[Cond]], terms: Sequence[Term]) -> list[Cond]:
    """The guards of all terms, less those that read where only some term's own guards allow it."""
    shared = [c for c in outers[0] if all(c in o for o in outers[1:])]
    if all(c in shared for t in terms for c in t.guards):
        return shared
    return [c for c in shared if in_bounds(c, [other for other in shared if other is not c])]


def _may_leave(
    atom: Expr, exponent: Fraction, terms: Sequence[Term], shared: Sequence[Cond], finite: Finite
) -> bool:
    """Whether a factor of all terms may be evaluated where some of their guards fail."""
    if all(c in shared for t in terms for c in t.guards) or isinstance(atom, SizeOf):
        return True
    return isinstance(atom, Access) and finite(atom.tensor) and safe_alone(atom, exponent)


def _shared_exponent(exponents: Sequence[Fraction]) -> Fraction:
    """The power that all can give: the least of positive ones, the greatest of negative ones."""
    if all(e > 0 for e in exponents):
        return min(exponents)
    if all(e < 0 for e in exponents):
        return max(exponents)
    return Fraction(0)


def _scalar_factors(
    outers: Sequence[tuple[Sequence[Cond], Sequence[Factor]]], have: Sequence[Factor]
) -> list[Factor]:
    """A size that divides more than half of the terms is taken out of all (1/N·(N·a - b - c))."""
    done = {a for a, _ in have}
    counts: Counter[Factor] = Counter()
    order: dict[Factor, None] = {}
    for _, factors in outers:
        for atom, exponent in factors:
            if isinstance(atom, SizeOf) and exponent < 0 and atom not in done:
                counts[(atom, exponent)] += 1
                order[(atom, exponent)] = None
    return [f for f in order if 2 * counts[f] > len(outers)]


def _shared_coefficient(coefs: Sequence[Fraction]) -> Fraction:
    """The greatest common divisor of the coefficients, negative if most are."""
    sign = -1 if all(c < 0 for c in coefs) else 1
    size = abs(coefs[0])
    if all(abs(c) == size for c in coefs):
        return sign * size
    over = 0
    for c in coefs:
        over = gcd(over, c.numerator)
    under = coefs[0].denominator
    for c in coefs:
        under = under * c.denominator // gcd(under, c.denominator)
    shared = Fraction(over, under)
    simple = all(c / shared <= 16 for c in map(abs, coefs))
    if not simple or (under > 1 and sum(c.denominator == 1 for c in coefs) * 2 >= len(coefs)):
        return Fraction(sign)
    return sign * shared


def _grouped(value: Poly, finite: Finite) -> Expr:
    """Terms in groups that share a factor, positive ones first."""
    ordered = sorted(value, key=lambda t: t.coef < 0)
    if len(ordered) > 2:
        best = _best_group(ordered, finite)
        if best is not None:
            within = [t for t in ordered if t in best]
            outside = [t for t in ordered if t not in best]
            parts = [factored(tuple(within), finite)]
            rest = factored(tuple(outside), finite)
            parts.extend(rest.terms if isinstance(rest, Add) else [rest])
            parts.sort(key=_is_negative)
            return Add(tuple(parts))
    return Add(tuple(nested(t) for t in ordered)) if len(ordered) > 1 else nested(ordered[0])


def _is_negative(value: Expr) -> bool:
    match value:
        case Mul((Number(coef, ""), *_)):
            return coef < 0
        case Number(coef, ""):
            return coef < 0
        case _:
            return False


def _best_group(value: Sequence[Term], finite: Finite) -> list[Term] | None:
    """The terms sharing the factor whose sharing saves most, None if nothing is worth it."""
    holders: dict[Tree, list[Term]] = {}
    for t in value:
        (guards, factors), _ = components_of(t)
        for base, exponent in factors:
            if not isinstance(base, SizeOf):
                key = base if exponent > 0 else Power(base, -UNIT)
                holders.setdefault(key, []).append(t)
        for cond in guards:
            holders.setdefault(cond, []).append(t)
    best: tuple[float, str, list[Term]] | None = None
    for atom, terms in holders.items():
        if not 2 <= len(terms) < len(value):
            continue
        shared = _shared_guards([t.guards for t in terms], terms)
        if not any(c is atom for c in shared) and not _leaves(atom, terms, shared, finite):
            continue
        scope = dict.fromkeys(i for t in terms for i in free_of(t))
        saved = (len(terms) - 1) * (volume(scope) + volume(free_indices(atom)))
        if best is None or (-saved, atom.key) < (-best[0], best[1]):
            best = (saved, atom.key, terms)
    return None if best is None else best[2]


def _leaves(key: Tree, terms: Sequence[Term], shared: Sequence[Cond], finite: Finite) -> bool:
    match key:
        case Power(base, exponent):
            return _may_leave(base, exponent, terms, shared, finite)
        case _:
            return _may_leave(key, UNIT, terms, shared, finite)  # type: ignore[arg-type]


# Nested sums.

# A sum to take first, what is left to sum over, and what of the guards and factors is left.
_Split = tuple[Component, tuple[Index, ...], tuple[Cond, ...], tuple[Factor, ...]]


def nested(value: Term) -> Expr:
    """One term: independent sums apart, connected ones nested so that the work is least."""
    (guards, factors), components = components_of(value)
    parts: list[Expr] = []
    if value.coef != 1:
        parts.append(number(value.coef))
    parts.extend(spelled(guards, factors))
    parts.extend(_nested_sum(c) for c in components)
    return ONE if not parts else parts[0] if len(parts) == 1 else Mul(tuple(parts))


def _nested_sum(component: Component) -> Expr:
    bound, guards, factors = component
    if len(bound) > 1:
        split = _inner_sum(bound, guards, factors)
        if split is not None:
            inner, rest_bound, rest_guards, rest_factors = split
            made = _nested_sum(inner)
            return _nested_sum((rest_bound, rest_guards, (*rest_factors, (made, UNIT))))
    body = spelled(guards, factors)
    return Reduce("sum", bound, (), body[0] if len(body) == 1 else Mul(tuple(body)))


def _inner_sum(
    bound: Sequence[Index], guards: Sequence[Cond], factors: Sequence[Factor]
) -> _Split | None:
    """A group of indices that is better summed first, because what holds it lacks some other
    index."""
    everything = _indices_of(guards, factors)
    ranked: list[tuple[float, str, Index]] = []
    for index in bound:
        held = _indices_of(*_holding(index, guards, factors))
        if len(held) < len(everything):
            ranked.append((volume(held), index.name, index))
    splits = [_split(rank[2], bound, guards, factors) for rank in sorted(ranked, key=_first_two)]
    possible = [split for split in splits if split[1]]
    for split in possible:
        if not split[0][1] or not any(is_exposed(f, split[2]) for f in split[3]):
            return split
    sheltered = [_sheltering(split) for split in possible]
    smaller = [s for s in sheltered if len(_indices_of(*s[0][1:])) < len(everything)]
    return min(smaller, key=_work, default=None)


def _sheltering(split: _Split) -> _Split:
    """The split with what the inner guards may protect inside, too."""
    (first, in_guards, in_factors), later, out_guards, out_factors = split
    exposed = tuple(f for f in out_factors if is_exposed(f, out_guards))
    rest = tuple(f for f in out_factors if f not in exposed)
    return (first, in_guards, (*in_factors, *exposed)), later, out_guards, rest


def _work(split: _Split) -> float:
    """The points that the inner and the outer sum run over."""
    (first, in_guards, in_factors), _, out_guards, out_factors = split
    inside = _indices_of(in_guards, in_factors)
    left = {i: None for i in inside if i not in first}
    return volume(inside) + volume({**left, **_indices_of(out_guards, out_factors)})


def _first_two(rank: tuple[float, str, Index]) -> tuple[float, str]:
    return rank[:2]


def _indices_of(guards: Iterable[Cond], factors: Iterable[Factor]) -> dict[Index, None]:
    parts = (*guards, *(a for a, _ in factors))
    return dict.fromkeys(i for part in parts for i in free_indices(part))


def _holding(
    index: Index, guards: Sequence[Cond], factors: Sequence[Factor]
) -> tuple[tuple[Cond, ...], tuple[Factor, ...]]:
    return (
        tuple(c for c in guards if index in free_indices(c)),
        tuple(f for f in factors if index in free_indices(f[0])),
    )


def _split(
    index: Index, bound: Sequence[Index], guards: Sequence[Cond], factors: Sequence[Factor]
) -> _Split:
    """The sum over ``index`` and what only it holds, and the rest."""
    in_guards, in_factors = _holding(index, guards, factors)
    out_guards = tuple(c for c in guards if c not in in_guards)
    out_factors = tuple(f for f in factors if f not in in_factors)
    inside, outside = _indices_of(in_guards, in_factors), _indices_of(out_guards, out_factors)
    first = tuple(i for i in bound if i is index or (i in inside and i not in outside))
    later = tuple(i for i in bound if i not in first)
    return (first, in_guards, in_factors), later, out_guards, out_factors
