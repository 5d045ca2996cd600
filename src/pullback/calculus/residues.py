"""Where an index is known modulo a number: its quotients by that number are one and the same, and
equal terms for all remainders are one term without the condition.

The gradients of slices ``X[::2]`` and ``X[1::2]`` meet so: ``[i even]·dY[i//2] + [i odd]·dY[i//2]``
is ``dY[i//2]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..ir.expr import Cond, Divides, IndexOf
from ..ir.subscripts import Quotient, Subscript, SubscriptAtom, at, constant, isolated
from ..ir.walk import map_subscripts
from .normal import Factor, Poly, Term, canonical, collect, term

UNIT = Fraction(1)


@dataclass(frozen=True)
class _Residue:
    """``atom`` leaves ``rest`` when divided by ``divisor``."""

    atom: SubscriptAtom
    divisor: int
    rest: int


def joined(value: Poly) -> Poly:
    """The sum of terms with quotients in one form, and those joined that cover all remainders."""
    terms = collect(map(_one_quotient, value))
    while True:
        left = _without_one(terms)
        if left is None:
            return terms
        terms = left


def _residue(cond: Cond) -> _Residue | None:
    """What ``[m | i + s]`` tells of i (or of a quotient in its place)."""
    if not isinstance(cond, Divides) or len(cond.sub.terms) != 1:
        return None
    ((atom, _),) = cond.sub.terms
    place, divisor = isolated(cond.sub, atom), cond.divisor.literal
    rest = None if place is None else place.const.literal
    if rest is None or divisor is None:
        return None
    return _Residue(atom, divisor, rest % divisor)


def _one_quotient(value: Term) -> Term | None:
    """The term with ``(i + k) // m`` as ``i // m`` and a number where i is known modulo m."""
    for known in filter(None, map(_residue, value.guards)):

        def change(sub: Subscript, known: _Residue = known) -> Subscript:
            total = constant(sub.const)
            for atom, factor in sub.terms:
                part = _over(atom, known) if isinstance(atom, Quotient) else at(atom)
                total += part * factor
            return total

        changed = term(
            value.coef,
            value.bound,
            [c if _residue(c) else map_subscripts(c, change) for c in value.guards],  # type: ignore[misc]
            [(map_subscripts(a, change), e) for a, e in value.factors],  # type: ignore[misc]
        )
        if changed is None:
            return None
        value = changed
    return value


def _over(atom: Quotient, known: _Residue) -> Subscript:
    rest = atom.value - at(known.atom)
    shift = rest.const.literal
    if atom.divisor.literal != known.divisor or rest.terms or shift is None:
        return at(atom)
    return at(Quotient(at(known.atom), atom.divisor)) + (known.rest + shift) // known.divisor


def _without_one(terms: Poly) -> Poly | None:
    """The terms with one group joined that differ in a remainder only; None if there is none."""
    groups: dict[object, dict[int, Term]] = {}
    for value in terms:
        for cond in value.guards:
            known = _residue(cond)
            if known is None:
                continue
            rest = _freed(value, cond)
            # Under a sum the remainder is that of one of its indices: of which, makes a difference.
            marked = term(UNIT, rest.bound, rest.guards, [*rest.factors, _mark(known)])
            assert marked is not None  # a place is no number that may be 0
            key = known.divisor, value.coef, canonical(marked)
            group = groups.setdefault(key, {})
            group.setdefault(known.rest, value)
            if len(group) == known.divisor:
                gone = group.values()
                return collect([*(t for t in terms if t not in gone), rest])
    return None


def _mark(known: _Residue) -> Factor:
    """What a remainder is of, as a factor."""
    return IndexOf(at(known.atom)), UNIT


def _freed(value: Term, cond: Cond) -> Term:
    """The term without one of its guards."""
    guards = [c for c in value.guards if c is not cond]
    freed = term(value.coef, value.bound, guards, value.factors)
    assert freed is not None
    return freed
