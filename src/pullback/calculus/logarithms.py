"""Exponentials whose arguments differ by logarithms: ``exp(a + log(x))`` is ``x*exp(a)``.

With ``d = log(S/K)/q + q/2``, ``S*exp(-d**2/2)`` and ``K*exp(-(d - q)**2/2)`` are one value. Where
terms cancel in this way, what would be left of them is what they were rounded by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

from ..ir.expr import Access, Apply, Expr
from .definitions import Definitions
from .normal import Factor, Poly, Term, collect, poly, replaced, term

UNIT = Fraction(1)
TERMS = 12  # of an argument that is multiplied out
STEPS = 20
MOST = 12  # terms of a value that are compared


def exponentials_joined(value: Poly, definitions: Definitions) -> Poly:
    """The terms with one exponential for two, where terms are left out for that."""
    found = [(t, f) for t in value for f in t.factors if _argument(f[0], definitions) is not None]
    if not 1 < len(found) <= MOST:
        return value
    for (one, first), (two, second) in combinations(found, 2):
        if one is two or first[0] is second[0] or first[1] != second[1]:
            continue
        ratio = _ratio(first[0], second[0], definitions)
        if ratio is None:
            continue
        exponent = first[1]
        more = [(a, e * exponent) for a, e in ratio]
        factors = [*two.factors, (second[0], -exponent), (first[0], exponent), *more]
        made = term(two.coef, two.bound, two.guards, factors)
        out = collect([*(t for t in value if t is not two), made])
        if len(out) < len(value):
            return exponentials_joined(out, definitions)
    return value


def _argument(atom: Expr, definitions: Definitions) -> Poly | None:
    """The terms of what an exponential is taken of; None for any other factor."""
    match atom:
        case Apply("exp", (argument,)):
            return poly(argument)
        case Access(tensor, _) if definitions.function_of(tensor) == "exp":
            return _read(atom, definitions)
    return None


def _read(atom: Access, definitions: Definitions) -> Poly:
    """The terms of what a function is taken of, at the place of a read of its value."""
    axes, terms = definitions.argument_of(atom.tensor)
    place = dict(zip(axes, atom.subs, strict=True))
    return collect(replaced(t, place) for t in terms)


def _ratio(one: Expr, two: Expr, definitions: Definitions) -> list[Factor] | None:
    """The factors of ``exp(b)/exp(a)`` for exponentials of a and b that differ by logarithms."""
    first, second = (_argument(atom, definitions) for atom in (one, two))
    assert first is not None and second is not None
    difference = [*second, *(replace(t, coef=-t.coef) for t in first)]
    left = _multiplied_out(collect(difference), definitions)
    factors: list[Factor] = []
    for part in left if left is not None else ():
        inside = _logarithm(part, definitions)
        if inside is None:
            return None
        factors += [(a, e * part.coef) for a, e in inside.factors]
    return factors or None


def _logarithm(value: Term, definitions: Definitions) -> Term | None:
    """The product that a number times a logarithm is that of; None for any other term."""
    match value:
        case Term(_, (), (), ((Apply("log", (argument,)), 1),)):
            terms = poly(argument)
        case Term(_, (), (), ((Access(tensor, _) as atom, 1),)) if (
            definitions.function_of(tensor) == "log"
        ):
            terms = _read(atom, definitions)
        case _:
            return None
    inside = definitions.expanded(terms[0]) if len(terms) == 1 else None
    plain = inside is not None and inside.coef == 1 and not inside.bound and not inside.guards
    return inside if plain else None


def _multiplied_out(value: Poly, definitions: Definitions) -> Poly | None:
    """Terms with the sums in them multiplied out; None where too much would come of it."""
    value = collect(map(definitions.expanded, value))
    for _ in range(STEPS):
        made = next(_steps(value, definitions), None)
        if made is None:
            return value
        value = collect(map(definitions.expanded, made))
        if len(value) > TERMS:
            return None
    return None


def _parts(atom: Expr, definitions: Definitions) -> Poly:
    """The products that a value is the sum of; none where it is anything else."""
    if not isinstance(atom, Access) or (known := definitions.value_of(atom.tensor)) is None:
        return ()
    axes, terms = known
    place = dict(zip(axes, atom.subs, strict=True))
    if any(t.bound or t.guards or any(isinstance(a, Apply) for a, _ in t.factors) for t in terms):
        return ()
    return collect(replaced(t, place) for t in terms)


def _steps(value: Poly, definitions: Definitions) -> Iterator[Poly]:
    """The terms with one power of a defined value in one of them as a power less by 1, times its
    terms."""
    for k, part in enumerate(value):
        for atom, exponent in part.factors:
            parts = _parts(atom, definitions) if exponent >= 1 else ()
            if not parts:
                continue
            made = (
                term(
                    part.coef * t.coef,
                    part.bound,
                    part.guards,
                    [*part.factors, (atom, -UNIT), *t.factors],
                )
                for t in parts
            )
            yield collect([*value[:k], *made, *value[k + 1 :]])
