"""Finding a defined value inside a term: the definition's factors among the term's, up to names of
indices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ..ir.expr import Access, Apply, Cond, Expr, Tensor
from ..ir.sizes import Size
from ..ir.subscripts import Index, Subscript, at, constant, inside
from ..ir.walk import free_indices, substitute
from .guards import settle, tidy
from .normal import Factor, Term, apart, indices_in, rational_power, tensors_in, term


@dataclass(frozen=True)
class Pattern:
    """``target[axes] = body``: a term that may be replaced by the target (to a power).

    ``body`` has no coefficient other than what ``target`` is divided by when it replaces it.
    """

    target: Tensor
    axes: tuple[Index, ...]
    body: Term
    user: bool = True

    @property
    def access(self) -> Access:
        """The target at the pattern's own axes."""
        return Access(self.target, tuple(map(at, self.axes)))


Binding = dict[Index, Subscript]


def find(pattern: Pattern, within: Term, exponent: Fraction = Fraction(1)) -> Iterator[Term]:
    """Each way to write ``within`` with one ``pattern ** exponent`` replaced by its name."""
    return (made for made, _ in places(pattern, within, exponent))


def places(
    pattern: Pattern, within: Term, exponent: Fraction = Fraction(1)
) -> Iterator[tuple[Term, Access]]:
    """As :func:`find`, each with the read of the name that was put in (it may cancel in the
    term)."""
    if not tensors_in(pattern.body) <= tensors_in(within):
        return
    body = apart(pattern.body, [i.name for i in indices_in(within)])
    if body.bound and exponent != 1:
        return
    plain_first = sorted(body.factors, key=lambda factor: _computed(factor[0]))
    wanted = plain_first if exponent == 1 else [(atom, e * exponent) for atom, e in plain_first]
    left = dict(within.factors)
    for binding, rest in _factors(wanted, left, {}, frozenset(body.bound), within):
        made = _replace(pattern, body, within, exponent, binding, rest)
        if made is not None:
            yield made


def _computed(atom: Expr) -> int:
    """How many subscripts of a read tell no index by themselves."""
    subs = atom.subs if isinstance(atom, Access) else ()
    return sum(sub.index is None for sub in subs)


def _factors(
    wanted: list[Factor],
    left: Mapping[Expr, Fraction],
    binding: Binding,
    bound: frozenset[Index],
    within: Term,
) -> Iterator[tuple[Binding, dict[Expr, Fraction]]]:
    if not wanted:
        yield binding, dict(left)
        return
    atom, need = wanted[0]
    for other, have in list(left.items()):
        merged = _unify(atom, other, binding, bound, within)
        if merged is None or not covers(have, need):
            continue
        rest = dict(left)
        if have == need:
            del rest[other]
        else:
            rest[other] = have - need
        yield from _factors(wanted[1:], rest, merged, bound, within)


def covers(have: Fraction, need: Fraction) -> bool:
    mine, theirs = have.numerator * need.denominator, need.numerator * have.denominator
    return 0 < theirs <= mine or mine <= theirs < 0


def _unify(
    atom: Expr, other: Expr, binding: Binding, bound: frozenset[Index], within: Term
) -> Binding | None:
    """The binding extended so that ``atom`` becomes ``other``, None if that can't be."""
    match atom, other:
        case Access(tensor, subs), Access(tensor2, subs2) if tensor is tensor2:
            out = dict(binding)
            axes = zip(tensor.shape, subs, subs2, strict=True)
            for extent, index, sub2 in (found for axis in axes for found in _digits(*axis)):
                if index in out:
                    continue
                if index.extent is not extent and not inside(sub2, index.extent):
                    return None
                if index in bound and (
                    sub2.index not in within.bound
                    or sub2.index.extent is not index.extent
                    or any(out.get(b) is sub2 for b in bound)
                ):
                    return None
                out[index] = sub2
            return out if tidy(substitute(atom, out)) is other else None  # type: ignore[arg-type]
        case Access(), _:
            return None
        case Apply(f, args), Apply(g, args2) if f == g:
            merged: Binding | None = binding
            for a, b in zip(args, args2, strict=True):
                merged = _unify(a, b, merged, bound, within) if merged is not None else None
            return merged
        case _:
            if atom is other:
                return binding
            if all(i in binding for i in free_indices(atom)):
                return binding if tidy(substitute(atom, binding)) is other else None  # type: ignore[arg-type]
            return None


def _digits(
    extent: Size, sub: Subscript, other: Subscript
) -> Iterator[tuple[Size, Index, Subscript]]:
    """Each index of a subscript with what stands in its place in another one, and below what that
    is known to be: for an index with a factor, the index with the same factor."""
    if sub.index is not None:
        yield extent, sub.index, other
        return
    for atom, factor in sub.terms:
        same = [a for a, n in other.terms if n is factor and isinstance(a, Index)]
        if isinstance(atom, Index) and len(same) == 1:
            yield same[0].extent, atom, at(same[0])


def _replace(
    pattern: Pattern,
    body: Term,
    within: Term,
    exponent: Fraction,
    binding: Binding,
    rest: dict[Expr, Fraction],
) -> tuple[Term, Access] | None:
    lone = {axis: constant(0) for axis in pattern.axes if axis.extent.literal == 1}
    binding = {**lone, **binding}
    if any(axis not in binding for axis in (*pattern.axes, *body.bound)):
        return None
    used = [binding[i].index for i in body.bound]
    needed = settle((substitute(c, binding) for c in body.guards), ())  # type: ignore[misc]
    if needed is None or not all(c in within.guards for c in needed):
        return None
    kept: list[Cond] = []
    for cond in within.guards:
        if any(i in used for i in free_indices(cond)):
            if cond not in needed:
                return None
        else:
            kept.append(cond)
    if any(i in used for atom in rest for i in free_indices(atom)):
        return None
    subs = tuple(binding[axis] for axis in pattern.axes)
    if any(i in used for sub in subs for i in free_indices(Access(pattern.target, (sub,)))):
        return None
    scale = rational_power(body.coef, exponent)
    if scale is None:
        return None
    name = Access(pattern.target, subs)
    made = term(
        within.coef / scale,
        [i for i in within.bound if i not in used],
        kept,
        [*rest.items(), (name, exponent)],
    )
    return None if made is None else (made, name)
