"""Quotients of values that overflow, or underflow, together: written so that they don't."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ..ir.expr import ONE, Access, Add, Apply, Expr
from ..ir.subscripts import Index
from .definitions import Definitions
from .match import covers
from .normal import Poly, Term, collect, expression, poly, replaced, term
from .present import Known, Names

UNIT = Fraction(1)
NONE = Fraction(0)
TERMS = 4


def complements(value: Poly, definitions: Definitions, names: Names) -> Poly:
    """``u/(c + u)`` is ``1/(1 + c/u)``, where u may overflow.

    There the quotient would be inf/inf, and 1/(1 + c/u) is 1/(1 + 0). It is as accurate for small u
    as the quotient is; ``1 - c/(c + u)`` would lose what u is beside c.
    """
    known = Known(definitions.regions.ask)
    made = [_complement(t, definitions, names, known) for t in value]
    written = [t for t in made if t is not None]
    balanced = [_balanced(t, definitions, known) for t in written]
    return collect(
        _joined(t, [*balanced[:k], *balanced[k + 1 :]], definitions) for k, t in enumerate(balanced)
    )


def _complement(value: Term, definitions: Definitions, names: Names, known: Known) -> Term | None:
    for atom, exponent in value.factors:
        if exponent > -1:
            continue
        parts = _two_terms(atom, definitions)
        if parts is None:
            continue
        constant, tau = parts
        have = dict(value.factors)
        if not all(covers(have.get(a, Fraction(0)), e) for a, e in tau.factors):
            continue
        plain = Term(UNIT, (), (), ((atom, -UNIT),))
        named = exponent <= -2 and names.fold(plain) is not plain
        overflows = any(known.overflows(a) for a, _ in tau.factors)
        if not overflows and not (named and _is_power(tau)):
            continue
        for a, e in tau.factors:
            have[a] -= e
        have[atom] += 1
        over = [(a, -e) for a, e in tau.factors]
        one_plus = Add((ONE, expression(collect([term(constant / tau.coef, (), (), over)]))))
        made = term(
            value.coef / tau.coef, value.bound, value.guards, [*have.items(), (one_plus, -UNIT)]
        )
        return None if made is None else _complement(made, definitions, names, known)
    return value


def _is_power(value: Term) -> bool:
    """Whether a product may overflow where what it is made of does not."""
    return sum(e for _, e in value.factors) > 1 or any(e < 0 for _, e in value.factors)


def _two_terms(atom: Expr, definitions: Definitions) -> tuple[Fraction, Term] | None:
    """The constant and the other term of a sum of two."""
    match sorted(terms_of(atom, definitions), key=lambda t: len(t.factors)):
        case [Term(constant, (), (), ()), Term(_, (), (), _) as other]:
            return constant, other
        case _:
            return None


def terms_of(atom: Expr, definitions: Definitions) -> Poly:
    """The terms of a sum, in base form, sums in it spelled out; none of what is no sum of a few."""
    if isinstance(atom, Add):
        return definitions.spread(poly(atom)) or ()
    known = definitions.regions.ask("spread", atom.tensor) if isinstance(atom, Access) else None
    if known is None or known[1] is None:
        return ()
    return _at(atom, known)  # type: ignore[arg-type]


def _at(read: Access, known: tuple[tuple[Index, ...], Poly]) -> Poly:
    """Terms over axes at the subscripts of a read."""
    axes, terms = known
    binding = dict(zip(axes, read.subs, strict=True))
    return collect(replaced(t, binding) for t in terms)


# Powers of what overflows, in sums of several terms.


def _balanced(value: Term, definitions: Definitions, known: Known) -> Term:
    """The term with sums over powers of what it multiplies them with: ``u/(1 + u^2)`` is
    ``1/(1/u + u)``, which is neither inf/inf nor 0*inf."""
    for atom, exponent in value.factors:
        terms = terms_of(atom, definitions) if exponent <= -1 else ()
        if not 1 < len(terms) <= TERMS:
            continue
        for base in _bases(value, terms, known):
            powers = {a: _power(a, base, definitions) for a, e in value.factors if e > 0}
            have = sum((e * (powers.get(a) or NONE) for a, e in value.factors), NONE)
            factors = [f for f in value.factors if not powers.get(f[0])]
            if have or len(factors) == len(value.factors):  # exp(w)*exp(-w) is 1
                over = _over_power(terms, base, have, exponent == -1, definitions, known)
                if over is None:
                    continue
                shift, divided = over
                factors += [(atom, UNIT), (base, have - shift), (divided, -UNIT)]
            made = term(value.coef, value.bound, value.guards, factors)
            assert made is not None  # the same value
            return _balanced(made, definitions, known)
    return value


def _bases(value: Term, terms: Poly, known: Known) -> list[Expr]:
    """What overflows of a term's factors, and then of those of a sum that it is divided by."""
    atoms = [a for a, e in value.factors if e > 0]
    if not any(map(known.overflows, atoms)):
        return []
    atoms += [a for t in terms for a, _ in t.factors]
    return [a for a in dict.fromkeys(atoms) if known.overflows(a)]


def _over_power(
    terms: Poly, base: Expr, have: Fraction, once: bool, definitions: Definitions, known: Known
) -> tuple[Fraction, Expr] | None:
    """A sum over a power of one of its values, of the power of which a term has so much, and this
    power; None where that makes no difference, or where it could be 0/0.

    A sum that is divided by ``once`` and grows no faster than that is infinite where the value is,
    and so is what it comes from.
    """
    parts = [_as_power(t, base, definitions, known) for t in terms]
    powers = [part[0] for part in parts if part is not None]
    most = max(powers, default=NONE)
    if have <= 0 or have.denominator != 1 or len(powers) < len(parts) or most <= 0:
        return None
    if once and have >= most:
        return None
    shift = min(have, most)
    divided = []
    for power, rest in filter(None, parts):
        if rest.factors and power < shift and not _never_both(base, rest, definitions):
            return None
        divided.append(term(rest.coef, (), (), [*rest.factors, (base, power - shift)]))
    return shift, expression(collect(divided))


def _as_power(
    value: Term, base: Expr, definitions: Definitions, known: Known
) -> tuple[Fraction, Term] | None:
    """A term as a whole power of a value times what doesn't overflow; None where it is none."""
    if value.bound or value.guards:
        return None
    power, rest = NONE, []
    for atom, exponent in value.factors:
        ratio = _power(atom, base, definitions)
        if ratio is not None:
            power += ratio * exponent
        elif exponent < 0 or known.overflows(atom):
            return None
        else:
            rest.append((atom, exponent))
    left = term(value.coef, (), (), rest)
    return None if left is None or power.denominator != 1 else (power, left)


def _power(atom: Expr, base: Expr, definitions: Definitions) -> Fraction | None:
    """The power of a value that another one is, None where that isn't seen: one exponential may
    be a power of another."""
    if atom is base:
        return UNIT
    one, other = (_argument(a, definitions) for a in (atom, base))
    if not one or len(one) != len(other):
        return None
    ratio = one[0].coef / other[0].coef
    scaled = [Term(t.coef * ratio, t.bound, t.guards, t.factors) for t in other]
    return ratio if all(a is b for a, b in zip(one, scaled, strict=True)) else None


def _argument(atom: Expr, definitions: Definitions) -> Poly:
    """The terms of what the exponential is taken of, in base form and in order."""
    if not isinstance(atom, Access):
        return ()
    known = definitions.regions.ask("exponent", atom.tensor)
    if known is None:
        return ()
    based = definitions.spread(_at(atom, known)) or ()
    return tuple(sorted(based, key=lambda t: Term(UNIT, t.bound, t.guards, t.factors).key))


def _never_both(base: Expr, rest: Term, definitions: Definitions) -> bool:
    """Whether a product isn't 0 where the exponential of one of its factors is."""
    match _argument(base, definitions):
        case (Term(_, (), (), ((argument, 1),)),):
            return all(a is argument for a, _ in rest.factors)
    return False


# Exponentials of exponentials.


def _joined(value: Term, others: Sequence[Term], definitions: Definitions) -> Term:
    """The term, beside others, with ``exp(-u)*u``, u an exponential itself, as one exponential:
    where u overflows the product would be 0*inf. So for powers of both, ``u/exp(u)**2``. What u is
    divided by (``exp(u/v)``, v a sum of such values) may keep it small. Where another term is
    infinite with u anyway, nothing is gained."""
    beside = [t for t in others if set(t.guards) <= set(value.guards)]
    for outer, exponent in value.factors:
        terms = _argument(outer, definitions) if exponent.denominator == 1 else ()
        read = {a for t in terms if all(e > 0 for _, e in t.factors) for a, _ in t.factors}
        for inner, power in value.factors:
            added = _argument(inner, definitions) if inner in read else ()
            if not added or power.denominator != 1:
                continue
            if power > 0 and any(_grows_with(t, inner, definitions) for t in beside):
                continue
            scaled = [
                Term(t.coef * count, t.bound, t.guards, t.factors)
                for count, parts in ((exponent, terms), (power, added))
                for t in parts
            ]
            one = Apply("exp", (expression(collect(scaled)),))
            factors = [*value.factors, (outer, -exponent), (inner, -power), (one, UNIT)]
            made = term(value.coef, value.bound, value.guards, factors)
            assert made is not None  # the same value
            return _joined(made, others, definitions)
    return value


def _grows_with(value: Term, atom: Expr, definitions: Definitions) -> bool:
    """Whether a term is a value to a power above 0, times what no exponential is taken for."""
    exponentials = any(_argument(a, definitions) for a, _ in value.factors if a is not atom)
    return not exponentials and dict(value.factors).get(atom, Fraction(0)) > 0
