"""Quotients over sums, and products with sums, multiplied out.

What is divided by a sum often holds a part of this sum: a gradient of a cross-entropy holds
``p/(1 - p)`` times ``1 - p``. In place of the part stands the sum less its other parts, and then
the powers meet: with ``p = 1/(1 + u)``, all that is left is ``p - t``. Where a quotient stays, as
in ``1 - 1/(1 + u)`` for ``u/(1 + u)``, the form is not taken (:func:`loses`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import permutations

from ..ir.expr import Access, Expr, Tensor
from ..ir.subscripts import Index
from .definitions import Definitions
from .match import covers
from .normal import Factor, Poly, Term, canonical, collect, replaced, term
from .saturated import terms_of

UNIT = Fraction(1)
PARTS = 2  # of the sums that are looked at
TERMS = 24
STEPS = 40


def multiplied_out(value: Poly, definitions: Definitions) -> Poly | None:
    """The terms with sums in them multiplied out, and divided by where they can be.

    None where there is no quotient to be divided, or too much would come of it.
    """
    if not any(_is_divisor(e) and _parts(a, definitions) for t in value for a, e in t.factors):
        return None
    divided = False
    for _ in range(STEPS):
        definitions.regions.effort.spend(len(value))
        found = next(_steps(value, definitions), None)
        if found is None:
            return value if divided else None
        value, by_division = found
        divided = divided or by_division
        if len(value) > TERMS:
            return None
    return None


def cancelled(value: Poly, definitions: Definitions) -> Poly | None:
    """The terms with sums in them spelled out where that leaves fewer: ``a*(1 + u) - a*t`` with
    ``t = 1 + u + u**2`` is ``-a*u**2``, which a small u keeps its digits in. None where none are
    fewer."""
    for atom in dict.fromkeys(a for t in value for a, e in t.factors if e == 1):
        definitions.regions.effort.spend(len(value))
        holding = [t for t in value if dict(t.factors).get(atom) == 1]
        others = [t for t in value if t not in holding]
        if not any(_may_meet(t, atom, other) for t in holding for other in others):
            continue
        parts = terms_of(atom, definitions)
        if len(parts) < 2 or any(t.bound or t.guards for t in parts):
            continue
        made = collect([*others, *(x for t in holding for x in _times(t, [(atom, -UNIT)], parts))])
        if len(made) < len(value):
            return cancelled(made, definitions) or made
    return None


def _may_meet(value: Term, atom: Expr, other: Term) -> bool:
    """Whether another term has all factors of a term but one."""
    have = dict(other.factors)
    return all(a is atom or have.get(a) == e for a, e in value.factors)


def over_both(value: Poly, definitions: Definitions) -> Poly:
    """``1/(a + b) - 1/a`` as ``-b/a/(a + b)``: a difference would lose a b that is small."""
    out = list(value)
    for one, two in permutations(value, 2):
        made = _over_both(one, two, definitions) if one in out and two in out else None
        if made is not None:
            out[out.index(one)] = made
            out.remove(two)
    return value if len(out) == len(value) else over_both(collect(out), definitions)


def _over_both(one: Term, two: Term, definitions: Definitions) -> Term | None:
    """Two terms as one, where they are alike but for what they are divided by, which in the first
    is that in the second and one more term; None where they are not."""
    if one.coef != -two.coef or one.bound != two.bound or one.guards != two.guards:
        return None
    rest = dict(one.factors)
    for atom, exponent in two.factors:
        rest[atom] = rest.get(atom, Fraction(0)) - exponent
    left = {a: e for a, e in rest.items() if e}
    divisors = [a for a, e in left.items() if e == -1]
    parts = [a for a, e in left.items() if e == 1]
    if len(left) != 2 or len(divisors) != 1 or len(parts) != 1:
        return None
    if dict(two.factors).get(parts[0], UNIT) >= 0:
        return None
    match [*terms_of(divisors[0], definitions)]:
        case [Term(1, (), (), ((first, 1),)), other] | [other, Term(1, (), (), ((first, 1),))] if (
            first is parts[0] and not other.bound and not other.guards
        ):
            factors = [*one.factors, (first, -UNIT), *other.factors]
            return term(-one.coef * other.coef, one.bound, one.guards, factors)
    return None


class Divided:
    """What the sums of a derivation are, multiplied out: the answer to a question about a tensor.

    Each is worked out once, in the order of the definitions.
    """

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.known: dict[Tensor, tuple[tuple[Index, ...], Poly] | None] = {}
        definitions.regions.questions["divided"] = self
        for tensor in definitions.additive:
            self.learn(tensor)

    def learn(self, tensor: Tensor) -> None:
        """Work out what a sum is, while there is work left for it."""
        self.definitions.regions.effort.tried(lambda: self(tensor), None)

    def __call__(self, tensor: Tensor) -> tuple[tuple[Index, ...], Poly] | None:
        if tensor not in self.known:
            axes, parts = self.definitions.regions.ask("spread", tensor)
            found = multiplied_out(parts or (), self.definitions)
            self.known[tensor] = None if found is None else (axes, found)
        return self.known[tensor]


def _divided(atom: Expr, parts: Poly, definitions: Definitions) -> Poly | None:
    """A sum of these parts, multiplied out."""
    if not isinstance(atom, Access):
        return multiplied_out(parts, definitions)
    known = definitions.regions.ask("divided", atom.tensor)
    if known is None:
        return None
    axes, terms = known
    place = dict(zip(axes, atom.subs, strict=True))
    return collect(replaced(t, place) for t in terms)


def loses(value: Poly, definitions: Definitions) -> bool:
    """Whether ``1 - 1/(1 + u)`` or the like stands in terms: where u is small, that loses what
    ``u/(1 + u)`` keeps."""
    spelled = collect(map(definitions.expanded, value))
    keys = {canonical(t): t.coef for t in spelled}
    found = [
        (part, atom)
        for part in spelled
        for atom, exponent in part.factors
        if _is_divisor(exponent) and _parts(atom, definitions)
    ]
    for part, atom in found:
        whole = term(part.coef, part.bound, part.guards, [*part.factors, (atom, UNIT)])
        if whole is not None and keys.get(canonical(whole)) == -whole.coef:
            return True
    return len(found) > 1


def _is_divisor(exponent: Fraction) -> bool:
    """Whether a factor is divided by, and not its root."""
    return exponent < 0 and exponent.denominator == 1


def _steps(value: Poly, definitions: Definitions) -> Iterator[tuple[Poly, bool]]:
    """The terms with one of them multiplied out, or divided."""
    for k, part in enumerate(value):
        for made, by_division in _ways(part, definitions):
            yield collect([*value[:k], *made, *value[k + 1 :]]), by_division


def _ways(value: Term, definitions: Definitions) -> Iterator[tuple[Poly, bool]]:
    have = dict(value.factors)
    for atom, exponent in value.factors:
        parts = _parts(atom, definitions)
        if not parts or exponent.denominator != 1:
            continue
        match _divided(atom, parts, definitions):
            case (Term(coef, (), (), factors),):  # 1 - u/(1 + u) is 1/(1 + u)
                powers = [
                    *have.items(),
                    (atom, -exponent),
                    *((a, e * exponent) for a, e in factors),
                ]
                scale = value.coef * coef**exponent.numerator
                yield collect([term(scale, value.bound, value.guards, powers)]), True
                continue
        if exponent > 0:
            yield _times(value, [(atom, -UNIT)], parts), False
            continue
        for part in parts:
            if part.factors and all(covers(have.get(a, Fraction(0)), e) for a, e in part.factors):
                whole = collect([term(UNIT / part.coef, (), (), [(atom, UNIT)])])
                others = (replace(t, coef=-t.coef / part.coef) for t in parts if t is not part)
                over = [(a, -e) for a, e in part.factors]
                yield _times(value, over, (*whole, *others)), True


def _times(value: Term, factors: Sequence[Factor], parts: Poly) -> Poly:
    """The term times factors and times each of the parts, which may read what it sums over."""
    return collect(
        term(
            value.coef * part.coef,
            value.bound,
            value.guards,
            [*value.factors, *factors, *part.factors],
        )
        for part in parts
    )


def _parts(atom: Expr, definitions: Definitions) -> Poly:
    """The parts of a sum of a few products; nothing of any other value."""
    parts = terms_of(atom, definitions)
    small = 1 < len(parts) <= PARTS and not any(t.bound or t.guards for t in parts)
    return parts if small else ()
