"""Comparisons of a product with the same product of a clipped value, and comparisons joined.

Of ``min(A·r, A·clip(r))`` both sides have the same slope where r isn't clipped: there they are
equal, so that none is less than the other. And they are equal nowhere else, but where A is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ..ir.expr import Access, Apply, Compare, Cond, Expr, Mul, Number, SizeOf, Tensor
from ..ir.program import Define
from ..ir.walk import substitute
from .guards import settle
from .normal import Poly, Term, collect, poly, term

UNIT = Fraction(1)


@dataclass(frozen=True)
class _Clipped:
    """Sides of a comparison that differ in a factor: a value in one, that value clipped in the
    other. Where ``free`` holds it isn't clipped, and the sides are equal; where they are equal, it
    holds, or one of the factors ``both`` is 0."""

    value: Expr
    free: tuple[Cond, ...]
    both: tuple[Expr, ...]


def resolved(
    value: Poly, definitions: Mapping[Tensor, Define], finite: Callable[[Tensor], bool]
) -> Poly:
    """A sum of terms with comparisons decided where nothing is clipped, and joined: ``[a < b] + [a
    = b]`` is ``[a <= b]``."""
    return _weakened(collect(_decided(part, definitions, finite) for part in value))


def _decided(
    part: Term, definitions: Mapping[Tensor, Define], finite: Callable[[Tensor], bool]
) -> Term | None:
    """A term without conditions that follow from others; None where they exclude each other."""
    for cond in part.guards:
        if not isinstance(cond, Compare) or cond.op not in ("<", "=="):
            continue
        found = _clipped(cond, definitions)
        if found is None or not set(found.free) <= set(part.guards):
            continue
        if cond.op == "<":
            return None
        gone = found.free if _holds_where_equal(part, found, definitions, finite) else (cond,)
        guards = [c for c in part.guards if c not in gone]
        return term(part.coef, part.bound, guards, part.factors, False)
    return part


def _holds_where_equal(
    part: Term,
    found: _Clipped,
    definitions: Mapping[Tensor, Define],
    finite: Callable[[Tensor], bool],
) -> bool:
    """Whether a term is 0 where the sides are equal though a value is clipped. What is infinite
    makes the sides NaN there, which are not equal."""
    have = dict(part.factors)
    sides = {found.value, *found.both}

    def multiplied(atom: Expr) -> bool:
        if isinstance(atom, Number) or have.get(atom, 0) > 0:
            return True
        body = _body(atom, definitions)
        match () if body is None else poly(body):
            case (Term(_, (), (), factors),) if factors:
                sides.update(a for a, _ in factors)
                return all(e > 0 and multiplied(a) for a, e in factors)
        return False

    return all(map(multiplied, found.both)) and all(
        isinstance(a, SizeOf) or (e > 0 and (a in sides or _is_finite(a, finite)))
        for a, e in part.factors
    )


def _is_finite(atom: Expr, finite: Callable[[Tensor], bool]) -> bool:
    return isinstance(atom, Access) and finite(atom.tensor)


def _clipped(cond: Compare, definitions: Mapping[Tensor, Define]) -> _Clipped | None:
    """What a comparison says of a product and the same product of a clipped value."""
    for one, other in ((cond.left, cond.right), (cond.right, cond.left)):
        pairs = _pairs_of(one, other, definitions)
        different = dict.fromkeys((a, b) for a, b in pairs or () if a is not b)
        if pairs is None or len(different) != 1:
            continue
        ((value, clip),) = different
        body = _body(clip, definitions)
        if isinstance(body, Apply) and body.function == "clip" and body.args[0] is value:
            _, low, high = body.args
            free = settle((Compare("<=", low, value), Compare("<=", value, high)), ())
            both = tuple(a for a, b in pairs if a is b)
            return None if free is None else _Clipped(value, free, both)
    return None


def _pairs_of(
    one: Expr, other: Expr, definitions: Mapping[Tensor, Define]
) -> list[tuple[Expr, Expr]] | None:
    """The factors of two products side by side, where both are multiplied in the same order: with
    equal factors they are equal to the last bit."""
    if one is other:
        return [(one, other)]
    match _body(one, definitions), _body(other, definitions):
        case Mul(left), Mul(right) if len(left) == len(right):
            pass
        case _:
            return [(one, other)]
    orders = [right, right[::-1]] if len(right) == 2 else [right]
    for order in orders:
        found = [_pairs_of(a, b, definitions) for a, b in zip(left, order, strict=True)]
        pairs = [pair for part in found for pair in part or ()]
        if sum(a is not b for a, b in pairs) == 1:
            return pairs
    return None


def _body(value: Expr, definitions: Mapping[Tensor, Define]) -> Expr | None:
    """What defines an element, at its place."""
    define = definitions.get(value.tensor) if isinstance(value, Access) else None
    if define is None or not isinstance(value, Access):
        return None
    return substitute(define.body, dict(zip(define.indices, value.subs, strict=True)))  # type: ignore[return-value]


def _weakened(value: Poly) -> Poly:
    """``[a < b]·x + [a = b]·x`` as ``[a <= b]·x``."""
    known: dict[Term, Term] = {_unit(part): part for part in value}
    for part in value:
        for less, equal in _pairs(part):
            other = known.get(_unit(equal))
            if other is None or other.coef != part.coef:
                continue
            made = _with(part, less, Compare("<=", less.left, less.right))
            rest = [t for t in value if t is not part and t is not other]
            return _weakened(collect([*rest, made]))
    return value


def _pairs(part: Term) -> Iterator[tuple[Compare, Term]]:
    """Each strict comparison of a term, and the term with an equality in its place."""
    for cond in part.guards:
        if isinstance(cond, Compare) and cond.op == "<":
            made = _with(part, cond, Compare("==", cond.left, cond.right))
            if made is not None:
                yield cond, made


def _with(part: Term, cond: Cond, other: Cond) -> Term | None:
    guards = [other if c is cond else c for c in part.guards]
    return term(part.coef, part.bound, guards, part.factors, False)


def _unit(part: Term) -> Term:
    return Term(UNIT, part.bound, part.guards, part.factors)
