"""A formula for readers: products without names put in place, and ``1 - p`` for what is computed
as ``1/(1 + 1/t)``, where p is ``1/(1 + t)``."""

from __future__ import annotations

from fractions import Fraction

from ..calculus.normal import Poly, Term, collect, expression, poly, term
from ..calculus.normal import replaced as at_places
from ..ir.expr import ONE, Access, Add, Expr, Tensor, neg
from ..ir.program import Define, Program
from .closed import Closed
from .shown import definitions

UNIT = Fraction(1)


def readable(closed: Closed, forward: Program) -> Closed:
    """The formula with the complements of named values written as such, and with made-up names of
    products spelled out.

    Both are equal as real numbers. Near p = 1 the difference would lose what it differs by, so
    values are computed by the quotient.
    """
    known = {s.target: s for s in definitions(forward, closed.tensors)}
    spelled = collect(_spelled(part, known) for part in closed.terms)
    terms = collect(_complemented(part, known) for part in spelled)
    return Closed(closed.rows, closed.columns, terms)


def _spelled(value: Term, known: dict[Tensor, Define]) -> Term | None:
    """The term with products that have no name of the user's put in place."""
    coef = value.coef
    factors: list[tuple[Expr, Fraction]] = []
    for atom, exponent in value.factors:
        inner = _product(atom, known) if exponent == 1 else None
        if inner is None:
            factors.append((atom, exponent))
        else:
            coef *= inner.coef
            factors.extend(inner.factors)
    return term(coef, value.bound, value.guards, factors)


def _product(atom: Expr, known: dict[Tensor, Define]) -> Term | None:
    """What a read of a made-up name stands for, if that is a product."""
    if not isinstance(atom, Access) or atom.tensor not in known or known[atom.tensor].user:
        return None
    define = known[atom.tensor]
    match poly(define.body):
        case (Term(_, (), (), (_, *_)) as made,) if len(made.factors) > 1 or made.coef != 1:
            return at_places(made, dict(zip(define.indices, atom.subs, strict=True)))
    return None


def _complemented(value: Term, known: dict[Tensor, Define]) -> Term | None:
    odds = {}
    for atom, _ in value.factors:
        if isinstance(atom, Access) and atom.tensor in known:
            found = _odds_against(atom, known[atom.tensor])
            if found is not None:
                odds[found] = atom
    factors: list[tuple[Expr, Fraction]] = []
    for atom, exponent in value.factors:
        other = _beside_one(poly(atom)) if exponent == -1 and isinstance(atom, Add) else None
        whole = None if other is None else odds.get(expression(collect([_inverse(other)])))
        factors.append((atom, exponent) if whole is None else (Add((ONE, neg(whole))), UNIT))
    return term(value.coef, value.bound, value.guards, factors)


def _odds_against(access: Access, define: Define) -> Expr | None:
    """The t of a value that is ``1/(1 + t)``."""
    match poly(define.body):
        case (Term(coef, (), (), ((Add() as below, exponent),)),) if coef == 1 and exponent == -1:
            other = _beside_one(poly(below))
            place = dict(zip(define.indices, access.subs, strict=True))
            moved = None if other is None else at_places(other, place)
            return None if moved is None else expression((moved,))
    return None


def _beside_one(value: Poly) -> Term | None:
    """The t of ``1 + t``."""
    match sorted(value, key=lambda part: len(part.factors)):
        case [Term(coef, (), (), ()), Term(_, (), (), (_, *_)) as other] if coef == 1:
            return other
    return None


def _inverse(value: Term) -> Term | None:
    return term(1 / value.coef, (), (), [(a, -e) for a, e in value.factors])
