"""The compact form of a sum of terms: names put back, common factors taken out, sums nested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Any, NamedTuple

from ..functions import STEEP
from ..ir.expr import (
    ONE,
    Access,
    Add,
    Apply,
    Cond,
    Expr,
    Mul,
    Number,
    Reduce,
    SizeOf,
    Tensor,
    Zero,
    number,
)
from ..ir.intern import noted
from ..ir.subscripts import Index, indices_of, isolated
from ..ir.walk import Tree, free_indices, substitute, tensors
from .cost import expression_cost, volume
from .definitions import Definitions
from .flatten import has_lookup_node
from .match import Pattern, find, places
from .normal import (
    Component,
    Factor,
    Poly,
    Term,
    apart,
    canonical,
    collect,
    components_of,
    free_of,
    has_lookup,
    in_bounds,
    indices_in,
    is_exposed,
    joined,
    nonnegative_atom,
    replaced,
    safe_alone,
    spelled,
    term,
)
from .selecting import is_zero_beside

UNIT = Fraction(1)
STATES = 40
SPREAD = 0.95  # of the cost with common factors outside, for them to stand in each term
MANY = 40  # of more terms no common factors are looked for


# Names put back.


class Names:
    """The names that may stand in a result: forward values, gradients already made, introduced
    values."""

    def __init__(self, definitions: Definitions) -> None:
        self.patterns: dict[Tensor, tuple[Pattern, ...]] = {}
        self.user: dict[Tensor, bool] = {}
        self.definitions = definitions
        self.ask = definitions.regions.ask
        self.effort = definitions.regions.effort
        definitions.regions.questions |= {
            "names": lambda tensor: self.patterns.get(tensor, ()),
            "made up": lambda tensor: not self.user.get(tensor, True),
        }
        for tensor, pattern in definitions.products.items():
            body = definitions.expanded(pattern.body)
            if body is not None:
                self.add(Pattern(tensor, pattern.axes, body, pattern.user))
        for tensor, pattern in (definitions.products | definitions.guarded).items():
            body = definitions.unguarded(pattern.body)
            if body is not None and body.guards:
                self.add(Pattern(tensor, pattern.axes, body, pattern.user))

    def add(self, pattern: Pattern) -> None:
        """A name for a product or a sum; later ones are preferred."""
        body = pattern.body
        match body:
            case Term(1, (), (), ((Access() as atom, 1),)) if not has_lookup_node(atom):  # a view
                return
        first = next(iter(_read(body)), None)
        if first is not None:
            self.user[pattern.target] = pattern.user
            self.patterns[first] = (*self.patterns.get(first, ()), pattern)

    def fold(self, value: Term) -> Term:
        """The term with names put back so that it is cheapest."""
        return self.forms(value)[0]

    def forms(self, value: Term) -> list[Term]:
        """Ways to write a term in names, the cheapest first: a small search, best first."""
        roots = (a for a, e in value.factors if e.denominator != 1)
        rooted = {a.tensor for a in roots if isinstance(a, Access)}
        value = self._freed(value)
        found = {value: self._rank(value)}
        frontier = [value]
        for _ in range(STATES):
            if not frontier:
                break
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
        return (expression_cost(nested(value)), made_up, value.key)

    def _may_root(self, pattern: Pattern, rooted: set[Tensor]) -> bool:
        """Whether the roots in a definition are defined wherever the term is.

        Where x < 0, ``1/x`` must not become the square of a named ``x**(-1/2)``.
        """
        return all(
            a.tensor in rooted or self.ask("nonnegative", a.tensor)
            if isinstance(a, Access)
            else nonnegative_atom(a)
            for a, e in pattern.body.factors
            if e.denominator != 1
        )

    def _options(self, value: Term, rooted: set[Tensor]) -> Iterable[Term]:
        yield from _at_places(value)
        for tensor in _read(value):
            for pattern in self.ask("names", tensor):
                if not self._may_root(pattern, rooted):
                    continue
                for exponent in (UNIT,) if pattern.body.guards else (UNIT, -UNIT):
                    self.effort.spend()
                    yield from map(self._freed, find(pattern, value, exponent))

    def _freed(self, value: Term) -> Term:
        """The term without the guards beside a factor that is 0 where they fail."""
        for cond in value.guards:
            kept = [c for c in value.guards if c is not cond]
            if _readable(kept, value.factors) and self._is_idle(cond, value):
                made = term(value.coef, value.bound, kept, value.factors)
                assert made is not None
                return self._freed(made)
        return value

    def _is_idle(self, cond: Cond, value: Term) -> bool:
        """Whether a factor is 0 where a guard fails, and what it is multiplied with is finite."""
        beside = next((f for _, g, f in components_of(value)[1] if cond in g), value.factors)
        return any(
            isinstance(holder, Access)
            and exponent >= 1
            and cond in self.definitions.guards_at(holder)
            and is_zero_beside(holder, beside, cond, self.ask)
            for holder, exponent in beside
        )


def _readable(guards: Sequence[Cond], factors: Sequence[Factor]) -> bool:
    """Whether these guards and factors may be evaluated wherever the guards hold, each guard
    wherever the others do."""
    return all(safe_alone(*f, guards) for f in factors) and not _unprotected(guards)


def _unprotected(guards: Sequence[Cond]) -> list[Cond]:
    """The guards that read beyond an array's range, as far as the others are known to hold."""
    return [c for c in guards if not in_bounds(c, [x for x in guards if x is not c])]


def _at_places(value: Term) -> Iterator[Term]:
    """The term read where an equality with data says: under ``[y[n] = c]``, ``p[n,c]`` is
    ``p[n,y[n]]``, which may have a name."""
    for cond in value.guards:
        if not isinstance(cond, Zero) or not has_lookup(cond.sub):
            continue
        for index in indices_of(cond.sub):
            place = isolated(cond.sub, index)
            if place is None or index in value.bound or index in indices_of(place):
                continue
            factors = [(substitute(a, {index: place}), e) for a, e in value.factors]
            made = term(value.coef, value.bound, value.guards, factors)  # type: ignore[arg-type]
            if made is not None and made is not value:
                yield made


def _read(value: Term) -> dict[Tensor, None]:
    """The tensors that a term reads as factors, and in functions that are factors."""
    return dict.fromkeys(
        t for a, _ in value.factors if isinstance(a, Access | Apply) for t in tensors(a)
    )


# Sums of terms that have a name.


def fold_sums(value: Poly, definitions: Definitions) -> Poly:
    """Terms that together are a multiple of a named sum become that name (x - mu → x̃)."""
    present = dict.fromkeys(a.tensor for t in value for a, _ in t.factors if isinstance(a, Access))
    for tensor, axes, terms in definitions.regions.ask("additive in", tuple(present)):
        based = collect(map(definitions.expanded, terms))
        if any(t.guards for t in based):
            continue
        definitions.regions.effort.spend(len(value) * len(based))
        for folded in _with_sum(value, tensor, axes, based):
            definitions.regions.effort.spend(len(value))
            if len(folded) < len(value):
                return fold_sums(folded, definitions)
    return value


def _with_sum(value: Poly, tensor: Tensor, axes: tuple[Index, ...], terms: Poly) -> Iterator[Poly]:
    """Each way to add and take away a multiple of ``tensor[axes]``, which is the sum of terms, so
    that the longest of these cancels."""
    for lead in terms:
        for candidate in value:
            for named, access in places(Pattern(tensor, axes, lead), candidate):
                binding = dict(zip(axes, access.subs, strict=True))
                spread = collect(_spelled_out(named, access, replaced(t, binding)) for t in terms)
                yield collect([*value, *map(_negative, spread), named])


def _spelled_out(value: Term, access: Access, part: Term | None) -> Term | None:
    """The term with a part of a sum in place of the sum's name."""
    if part is None:
        return None
    part = apart(part, [i.name for i in indices_in(value)])
    return term(
        value.coef * part.coef,
        (*value.bound, *part.bound),
        value.guards,
        (*value.factors, (access, -UNIT), *part.factors),
    )


def _negative(value: Term) -> Term:
    return Term(-value.coef, value.bound, value.guards, value.factors)


# Factoring.


@dataclass(frozen=True)
class Known:
    """What is known of the values of tensors, by the questions of a derivation's regions."""

    ask: Callable[[str, Tensor], Any]

    def finite(self, tensor: Tensor) -> bool:
        """Whether a tensor is taken for finite wherever it is read: inputs, gradients."""
        return bool(self.ask("finite", tensor))

    def overflows(self, atom: Expr) -> bool:
        """Whether an atom is the value of a function that overflows for large arguments."""
        match atom:
            case Access(tensor, _):
                return self.ask("function", tensor) in STEEP
            case Apply(function, _):
                return function in STEEP
            case _:
                return False

    def crowded(self, value: Term) -> bool:
        """Whether a product may overflow where each of its factors does not."""
        return sum(e for a, e in value.factors if e.numerator > 0 and self.overflows(a)) > 1


def factored(value: Poly, known: Known) -> Expr:
    """One expression for a sum of terms: common factors outside, shared ones in groups.

    Only what is finite (inputs, gradients) may leave a guard that other terms don't share, or a
    product that may overflow. Elsewhere a guard, or a factor that is small, may be what keeps an
    overflow out.
    """
    if not value:
        return number(0)
    if len(value) == 1:
        return nested(value[0])
    if len(value) > MANY:
        return Add(tuple(sorted(map(nested, value), key=_is_negative)))
    scattered = [t for t in value if is_gathered(t)]
    if scattered:  # each is added up by itself, and a factor of all would be one of the whole array
        rest = tuple(t for t in value if t not in scattered)
        others = [] if not rest else [factored(rest, known)]
        return Add(tuple(sorted([*others, *map(nested, scattered)], key=_is_negative)))
    terms = _with_sums_as_factors(value)
    coef, guards, factors, rest = _common(terms, known)
    if coef == -1 and not guards and not factors and any(map(_is_outer, rest)):
        rest = tuple(map(_negative, rest))  # a part of an outer product takes the sign
        return _grouped(rest, known)
    out = _product(coef, guards, factors, [_grouped(rest, known)])
    ways = _spread(coef, guards, factors, rest, known)
    best = min(ways, key=expression_cost, default=out)
    return best if expression_cost(best) < SPREAD * expression_cost(out) else out


def _spread(
    coef: Fraction, guards: Sequence[Cond], factors: Sequence[Factor], rest: Poly, known: Known
) -> Iterator[Expr]:
    """Ways to write a product with the common factors that have fewer axes than the terms in each
    term: outer products are smaller before they are added than after, and a part with fewer axes
    that a term has anyway may take the factors.
    """
    free = dict.fromkeys(i for t in rest for i in free_of(t))
    held = [(f, set(free_indices(f[0])).intersection(free)) for f in factors]
    small = [f for f, axes in held if 0 < len(axes) < len(free)]
    if small and any(map(_is_outer, rest)):
        left = [f for f in factors if f not in small]
        yield _product(coef, guards, left, [_grouped(_times(rest, small), known)])
    small = [f for f, axes in held if len(axes) < len(free)]
    axes = {i for f, own in held if f in small for i in own}
    scaled = abs(coef) != 1 and all(map(_has_scalar, rest))
    if (small or scaled) and all(_takes(t, axes, len(free)) for t in rest):
        left = [f for f in factors if f not in small]
        inside = tuple(
            Term(t.coef * coef, t.bound, t.guards, t.factors) for t in _times(rest, small)
        )
        yield _product(UNIT, guards, left, [_grouped(inside, known)])


def _times(value: Poly, factors: Sequence[Factor]) -> Poly:
    return collect(term(t.coef, t.bound, t.guards, [*t.factors, *factors]) for t in value)


def _takes(value: Term, axes: set[Index], count: int) -> bool:
    """Whether a term of a sum over so many axes has fewer itself, or multiplies with a factor with
    fewer that has all of ``axes``, so that a factor over these costs little."""
    if len(free_of(value)) < count:
        return True
    outer = components_of(value)[0][1]
    if any(isinstance(a, SizeOf) and e > 0 for a, e in outer):
        return False  # N*x - sum x, as people write a centred value
    found = [set(free_indices(a)) for a, e in outer if e > 0 and not isinstance(a, SizeOf)]
    return any(axes <= own and len(own) < count for own in found)


def _has_scalar(value: Term) -> bool:
    """Whether a scalar value multiplies a term, so that a number meets it before any array."""
    return any(isinstance(a, Access) and not a.subs for a, _ in components_of(value)[0][1])


def _is_outer(value: Term) -> bool:
    """Whether a term is a product of factors of which each lacks some of its indices."""
    free = set(free_of(value))
    return len(free) > 1 and not any(free.issubset(free_indices(a)) for a, _ in value.factors)


def is_gathered(value: Term) -> bool:
    """Whether a term is the adjoint of a gather: a sum of what goes to a place that is read from
    data."""
    return any(
        isinstance(c, Zero)
        and has_lookup(c.sub)
        and not set(value.bound).isdisjoint(free_indices(c))
        for c in value.guards
    )


def _with_sums_as_factors(value: Poly) -> Poly:
    """Terms with each sum over indices that several of them hold as one factor."""
    found = [[(part, _key(part)) for part in components_of(t)[1]] for t in value]
    counts = Counter(key for parts in found for key in {key for _, key in parts})
    if not any(count > 1 for count in counts.values()):
        return value
    atoms: dict[Term, Expr] = {}
    out = []
    for t, parts in zip(value, found, strict=True):
        bound, guards, factors = list(t.bound), list(t.guards), list(t.factors)
        for part, key in parts:
            if counts[key] > 1:
                bound = [i for i in bound if i not in part[0]]
                guards = [c for c in guards if c not in part[1]]
                factors = [f for f in factors if f not in part[2]]
                factors.append((atoms.setdefault(key, _nested_sum(*part)), UNIT))
        out.append(term(t.coef, bound, guards, factors))
    return collect(out)


def _key(part: Component) -> Term:
    return canonical(Term(UNIT, *part))


def _product(
    coef: Fraction, guards: Iterable[Cond], factors: Iterable[Factor], more: Iterable[Expr]
) -> Expr:
    parts = (number(coef), *spelled(guards, factors), *more)
    return joined([part for part in parts if part is not ONE])


def _common(value: Poly, known: Known) -> tuple[Fraction, Sequence[Cond], Sequence[Factor], Poly]:
    """What all terms share outside their sums, and the terms without it."""
    outers = [components_of(t)[0] for t in value]
    guards = _shared_guards([guards for guards, _ in outers], value)
    exponents = [dict(factors) for _, factors in outers]
    factors: list[Factor] = []
    for atom in exponents[0]:
        if not all(atom in given for given in exponents):
            continue
        least = _shared_exponent([given[atom] for given in exponents])
        if least and _may_leave(atom, least, value, guards, known):
            factors.append((atom, least))
    factors.extend(_scalar_factors(exponents, dict(factors)))
    if len(dict(factors)) == max(map(len, exponents)) and all(map(_is_masked, value)):
        factors = []  # nothing but masks would be left: a triangle of a matrix is a value
    coef = _shared_coefficient([t.coef for t in value])
    rest = collect(
        term(
            t.coef / coef,
            t.bound,
            [c for c in t.guards if c not in guards],
            [*t.factors, *((a, -e) for a, e in factors)],
        )
        for t in value
    )
    return coef, guards, factors, rest


def _shared_guards(outers: Sequence[Sequence[Cond]], terms: Sequence[Term]) -> list[Cond]:
    """The guards of all terms, less those that read where only some term's own guards allow it."""
    first, *others = outers
    shared = [c for c in first if all(c in guards for guards in others)]
    if all(c in shared for t in terms for c in t.guards):
        return shared
    while exposed := _unprotected(shared):
        shared = [c for c in shared if c not in exposed]  # what is left out protects no other
    return shared


def _is_masked(value: Term) -> bool:
    """Whether a term stands under guards on indices alone."""
    return bool(value.guards) and not value.bound and not any(map(tensors, value.guards))


def _may_leave(
    part: Tree, exponent: Fraction, terms: Sequence[Term], shared: Sequence[Cond], known: Known
) -> bool:
    """Whether a factor of all terms may be evaluated where some of their guards fail, or after
    what it is multiplied with."""
    if isinstance(part, SizeOf):
        return True
    # Where the others' guards fail, what is left is the term that has none of its own. A divisor
    # is left where it is: of a small one, what it divides is a number yet, and its inverse is not.
    free = [all(c in shared for c in t.guards) for t in terms]
    whole = any(free) if exponent > 0 else all(free)
    if whole and not any(map(known.crowded, terms)):
        return True
    return isinstance(part, Access) and known.finite(part.tensor) and safe_alone(part, exponent)


def _shared_exponent(exponents: Sequence[Fraction]) -> Fraction:
    """The power that all can give: the least of positive ones, the greatest of negative ones."""
    none = Fraction(0)
    return max(min(exponents), none) + min(max(exponents), none)


def _scalar_factors(
    outers: Sequence[Mapping[Expr, Fraction]], done: Collection[Expr]
) -> list[Factor]:
    """A size that divides more than half of the terms is taken out of all (1/N·(N·a - b - c))."""
    counts = Counter(
        (atom, exponent)
        for factors in outers
        for atom, exponent in factors.items()
        if isinstance(atom, SizeOf) and exponent < 0 and atom not in done
    )
    return [factor for factor, count in counts.items() if 2 * count > len(outers)]


def _shared_coefficient(coefs: Sequence[Fraction]) -> Fraction:
    """The greatest common divisor of the coefficients, negative if all are."""
    sign = Fraction(-1 if max(coefs) < 0 else 1)
    under = lcm(*(c.denominator for c in coefs))
    shared = Fraction(gcd(*(c.numerator for c in coefs)), under)
    whole = [c for c in coefs if c.denominator == 1]
    if max(map(abs, coefs)) > 16 * shared or (under > 1 and 2 * len(whole) >= len(coefs)):
        return sign
    return sign * shared


def _grouped(value: Poly, known: Known) -> Expr:
    """Terms in groups that share a factor, positive ones first."""
    best = _best_group(value, known)
    if best:
        left = tuple(t for t in value if t not in best)
        rest = factored(left, known)  # one that is a sum itself, 1 - y^2, is not taken apart
        others = rest.terms if isinstance(rest, Add) and len(left) > 1 else (rest,)
        parts = [factored(tuple(best), known), *others]
    else:
        parts = [nested(t) for t in value]
    return Add(tuple(sorted(parts, key=_is_negative)))


def _is_negative(value: Expr) -> bool:
    match value:
        case Mul((Number(coef, ""), *_)) | Number(coef, ""):
            return coef < 0
        case _:
            return False


def _best_group(value: Poly, known: Known) -> Sequence[Term]:
    """The terms sharing the factor whose sharing saves most, none if nothing is worth it."""
    holders: dict[tuple[Tree, Fraction], list[Term]] = {}
    for t in value:
        (guards, factors), _ = components_of(t)
        for cond in guards:
            holders.setdefault((cond, UNIT), []).append(t)
        for base, exponent in factors:
            if not isinstance(base, SizeOf):
                holders.setdefault((base, UNIT if exponent > 0 else -UNIT), []).append(t)
    found: dict[tuple[float, str, Fraction], list[Term]] = {}
    for (part, sign), terms in holders.items():
        shared = _shared_guards([t.guards for t in terms], terms)
        leaves = any(c is part for c in shared) or _may_leave(part, sign, terms, shared, known)
        if leaves and 2 <= len(terms) < len(value):
            scope = dict.fromkeys(i for t in terms for i in free_of(t))
            saved = (len(terms) - 1) * (volume(scope) + volume(free_indices(part)))
            found[-saved, part.key, sign] = terms
    return found[min(found)] if found else ()


# Nested sums.


class _Split(NamedTuple):
    """A sum to take first, and what is left to sum over, of the guards, and of the factors.

    ``sheltered`` factors are in the inner sum only because its guards may protect them.
    """

    inner: Component
    bound: tuple[Index, ...]
    guards: tuple[Cond, ...]
    factors: tuple[Factor, ...]
    sheltered: int


@noted
def nested(value: Term) -> Expr:
    """One term: independent sums apart, connected ones nested so that the work is least."""
    (guards, factors), components = components_of(value)
    return _product(value.coef, guards, factors, [_nested_sum(*c) for c in components])


def _nested_sum(
    bound: tuple[Index, ...], guards: tuple[Cond, ...], factors: tuple[Factor, ...]
) -> Expr:
    split = _inner_sum(bound, guards, factors)
    if split is not None:
        inner = _nested_sum(*split.inner)
        return _nested_sum(split.bound, split.guards, (*split.factors, (inner, UNIT)))
    return Reduce("sum", bound, (), joined(spelled(guards, factors)))


def _inner_sum(
    bound: Sequence[Index], guards: Sequence[Cond], factors: Sequence[Factor]
) -> _Split | None:
    """A group of indices that is better summed first, because what holds it lacks some other
    index."""
    everything = len(_indices_of(guards, factors))
    splits = (_split(index, bound, guards, factors) for index in bound)
    smaller = [s for s in splits if len(_indices_of(*s.inner[1:])) < everything]
    return min(smaller, key=_work, default=None)


def _split(
    index: Index, bound: Sequence[Index], guards: Sequence[Cond], factors: Sequence[Factor]
) -> _Split:
    """The sum over ``index`` and what only it holds, and the rest."""
    in_guards = tuple(c for c in guards if index in free_indices(c))
    out_guards = tuple(c for c in guards if c not in in_guards)
    own = [f for f in factors if index in free_indices(f[0])]
    others = [f for f in factors if f not in own]
    exposed = [f for f in others if in_guards and is_exposed(f, out_guards)]
    out_factors = tuple(f for f in others if f not in exposed)
    outside = _indices_of(out_guards, out_factors)
    first = tuple(i for i in bound if i not in outside)
    later = tuple(i for i in bound if i in outside)
    inner = (first, in_guards, (*own, *exposed))
    return _Split(inner, later, out_guards, out_factors, len(exposed))


def _work(split: _Split) -> tuple[int, float, str]:
    """The points that the inner and the outer sum run over; better none is sheltered."""
    first, guards, factors = split.inner
    inside = _indices_of(guards, factors)
    left = {i: None for i in inside if i not in first}
    outside = {**left, **_indices_of(split.guards, split.factors)}
    return split.sheltered, volume(inside) + volume(outside), first[0].name


def _indices_of(guards: Iterable[Cond], factors: Iterable[Factor]) -> dict[Index, None]:
    parts = (*guards, *(a for a, _ in factors))
    return dict.fromkeys(i for part in parts for i in free_indices(part))
