"""The derivative of one flat statement: one term per occurrence of a tensor in its body.

``d value = Σ partial · d access``: the partials are terms in normal form, their bound indices are
summed together with the access. Both modes use the same partials: reverse mode pairs them with the
cotangent of the whole and an equality per subscript, forward mode with the tangent of the access.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ..errors import DerivationError
from ..functions import ROOTS, STEEP, TABLE
from ..ir.expr import (
    ZERO,
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Cond,
    Expr,
    Guard,
    IndexOf,
    Mul,
    Not,
    Number,
    Opaque,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Zero,
)
from ..ir.program import Define
from ..ir.subscripts import Index, Lookup, Subscript, at
from ..ir.walk import bound_indices, free_indices, fresh, substitute, tensors
from .conventions import partial_at_kink
from .guards import in_range
from .kinks import SMOOTH, Kinks
from .normal import (
    UNIT,
    Poly,
    Term,
    apart,
    collect,
    expression,
    indices_in,
    poly,
    renamed,
    term,
    undistributed,
)
from .roots import Roots

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Occurrence:
    """One read of a tensor and the partial derivative of the whole body with respect to it."""

    access: Access
    partial: Term


@dataclass(frozen=True)
class Context:
    """What differentiation needs to know besides the statement.

    ``active`` tells which tensors are differentiated; ``arg`` names the index of the element that
    a max or min picks; ``conventions`` switches the published choices at kinks; ``kinks`` and
    ``roots`` are those of the whole program, and ``strict`` tells that in a product of steps each
    is taken as it stands, since their product takes the mean.
    """

    active: Callable[[Tensor], bool]
    arg: Callable[[Reduce, int], Access]
    conventions: Mapping[str, str]
    kinks: Kinks
    roots: Roots
    strict: bool = False

    def depends(self, value: Expr) -> bool:
        """Whether a value depends on a differentiated tensor."""
        return any(self.active(tensor) for tensor in tensors(value))


def occurrences(statement: Define, context: Context) -> list[Occurrence]:
    """Every differentiated occurrence in a statement's body with its partial derivative."""
    out = []
    for found in _occurrences(statement, context):
        guards = context.roots.present(statement.target, found.partial)
        partial = _under(found.partial, guards) if guards else found.partial
        if partial is not None:
            out.append(Occurrence(found.access, partial))
    return out


def _under(part: Term, guards: Sequence[Cond]) -> Term | None:
    return term(part.coef, part.bound, (*part.guards, *guards), part.factors, False)


def _occurrences(statement: Define, context: Context) -> list[Occurrence]:
    close = context.kinks.close(statement.body)
    away = _away(statement, context)
    if close is None:
        return away
    tie, value = close
    return _apart_where(tie, _calmly(value, context), away)


def _away(statement: Define, context: Context) -> list[Occurrence]:
    """The occurrences away from where two functions of one argument are 0 together."""
    terms = poly(statement.body)
    found = _resolved(terms, context)
    if found is not None:
        return found
    written = _as_written(statement, terms, context)
    met = context.kinks.coinciding(statement.body)
    if met is None:
        return written
    equal, there = met
    return _apart_where(equal, _resolved(poly(there), context), written)


def _apart_where(
    cond: Cond, there: Sequence[Occurrence] | None, elsewhere: list[Occurrence]
) -> list[Occurrence]:
    """The occurrences where a condition holds, and those where it doesn't."""
    if there is None:
        return elsewhere
    both = [*((o, cond) for o in there), *((o, Not(cond)) for o in elsewhere)]
    made = [(o.access, _under(o.partial, [guard])) for o, guard in both]
    return [Occurrence(access, part) for access, part in made if part is not None]


def _as_written(statement: Define, terms: Poly, context: Context) -> list[Occurrence]:
    body = statement.body
    if isinstance(body, Apply):  # the function's own value has a name: the target's
        return _settled(_of_apply(body, statement.access, context), context)
    root = None
    match terms:
        case (Term(1, (), _, (_,)),):
            root = statement.access
    if context.kinks.lone:
        return _of_poly(terms, context, root)
    return [found for part in terms for found in _of_part(part, terms, context, root)]


def _resolved(value: Poly, context: Context) -> list[Occurrence] | None:
    """The occurrences in a sum that is the same formula on both sides of its kinks, or has kinks in
    kinks, None for any other sum."""
    bounds = dict.fromkeys(part.bound for part in value)
    if len(bounds) != 1:
        return None
    (bound,) = bounds
    if bound:
        inner = _resolved(tuple(replace(t, bound=()) for t in value), context)
        return None if inner is None else [_summed(o, bound) for o in inner]
    for found in context.kinks.resolved(expression(value)):
        above, below = (_calmly(parts, context) for parts in (found.above, found.below))
        if above is not None and found.above == found.below:
            return above
        if above is None or below is None:
            continue
        reads = dict.fromkeys(o.access for o in (*above, *below))
        return [
            Occurrence(read, part)
            for read in reads
            for part in context.kinks.stepped(
                found.argument, _partials(above, read), _partials(below, read)
            )
        ]
    return None


def _summed(found: Occurrence, bound: Sequence[Index]) -> Occurrence:
    """An occurrence under a sum over these indices."""
    inner = found.partial
    return Occurrence(found.access, replace(inner, bound=(*bound, *inner.bound)))


def _calmly(value: Poly, context: Context) -> list[Occurrence] | None:
    """The occurrences in a sum, None where a partial derivative may be without a value."""
    found = _resolved(value, context)
    if found is None:
        found = [o for part in value for o in _of_part(part, value, context, None)]
    calm = all(context.kinks.calm(o.partial.factors, SMOOTH | STEEP) for o in found)
    return found if calm else None


def _partials(found: Sequence[Occurrence], read: Access) -> Poly:
    return collect(o.partial for o in found if o.access is read)


def _of_part(part: Term, whole: Poly, context: Context, root: Access | None) -> list[Occurrence]:
    resolved = _resolved((part,), context) if len(whole) > 1 else None
    if resolved is not None:
        return resolved
    opened = context.kinks.opened(part, whole)
    if opened is None:
        found = _of_poly((part,), context, root)
    else:
        found = _of_poly((opened,), replace(context, strict=True))
    return _settled(found, context, context.kinks.kinked(part, whole))


def _settled(
    found: Sequence[Occurrence], context: Context, kinked: Sequence[Poly] | None = None
) -> list[Occurrence]:
    """The occurrences with the means of kinks and steps that share their argument."""
    if context.kinks.lone:
        return list(found)
    means = context.kinks.settled
    return [Occurrence(o.access, t) for o in found for t in means(o.partial, o.access, kinked)]


def _of_poly(value: Poly, context: Context, root: Access | None = None) -> list[Occurrence]:
    """``root`` is the name of the value where it is one root of one atom."""
    out: list[Occurrence] = []
    for part in value:
        for k, (atom, exponent) in enumerate(part.factors):
            if not context.depends(atom):
                continue
            rest = (*part.factors[:k], *part.factors[k + 1 :])
            guards = (*part.guards, *in_range(part.guards))
            if context.roots.is_norm(atom, exponent, root):
                guards = (*guards, Compare("!=", root or atom, ZERO))  # the norm's convention
            outer = term(
                part.coef * exponent, part.bound, guards, (*rest, (atom, exponent - 1)), False
            )
            if outer is not None:
                out.extend(_through((outer,), _of_atom(atom, context)))
    return out


def _through(outer: Poly, inner: Sequence[Occurrence]) -> list[Occurrence]:
    """The chain rule."""
    found = [(_apart(read, part), part) for part in outer for read in inner]
    made = [(read.access, times_open(part, read.partial)) for read, part in found]
    return [Occurrence(access, partial) for access, partial in made if partial is not None]


def _apart(inner: Occurrence, outer: Term) -> Occurrence:
    """An occurrence with its bound indices renamed away from those of a term."""
    names = {i.name for i in indices_in(outer)}
    taken = names.union(i.name for i in (*indices_in(inner.partial), *free_indices(inner.access)))
    moved = {index: fresh(index, taken) for index in inner.partial.bound if index.name in names}
    partial = renamed(inner.partial, moved, False)
    assert partial is not None  # renaming can't make a term vanish
    access = substitute(inner.access, {old: at(new) for old, new in moved.items()})
    return Occurrence(access, partial)  # type: ignore[arg-type]


def _of_atom(atom: Expr, context: Context) -> list[Occurrence]:
    match atom:
        case Access():
            return [Occurrence(atom, UNIT)]
        case Apply():
            return _of_apply(atom, atom, context)
        case Add() | Mul() | Power() | Select() | Reduce("sum"):
            return _of_poly(poly(atom), context)
        case Reduce("prod"):
            return _of_product(atom, context)
        case Reduce():
            return _of_extremum(atom, context)
        case Number() | SizeOf() | IndexOf() | Guard() | Arg():
            return []
        case Opaque():
            raise DerivationError(
                f"{atom.operation} is not differentiated inside an expression",
                hint="give its result a statement of its own",
            )


def _of_apply(value: Apply, result: Expr, context: Context) -> list[Occurrence]:
    row = TABLE[value.function]
    out: list[Occurrence] = []
    for k, (argument, partial) in enumerate(zip(value.args, row.partials, strict=True)):
        if partial is None or (k < row.parameters and _keeps(argument, context)):
            continue
        others = (a for j, a in enumerate(value.args) if j != k)
        lone = not any(map(context.depends, others))
        mixed = context.strict or context.kinks.is_mixed(value)
        local = partial_at_kink(value, k, lone, context.conventions, mixed)
        outer = undistributed(poly(local or partial(value.args, result)))
        root = result if isinstance(result, Access) else None
        if context.roots.is_norm(argument, ROOTS.get(value.function, Fraction(1)), root):
            outer = collect(_under(part, [Compare("!=", result, ZERO)]) for part in outer)
        out.extend(_through(outer, _of_poly(poly(argument), context)))
    return out


def _keeps(value: Expr, context: Context) -> bool:
    """Whether a value doesn't depend on a differentiated tensor but by functions that keep their
    value in pieces (floor)."""
    match value:
        case Access(tensor, _):
            define = context.roots.definitions.get(tensor)
            if define is None or define.scatter is not None:
                return not context.active(tensor)
            return not context.active(tensor) or _keeps(define.body, context)
        case Apply(function, args):
            partials = TABLE[function].partials
            pairs = zip(args, partials, strict=True)
            return all(partial is None or _keeps(arg, context) for arg, partial in pairs)
        case Add(parts) | Mul(parts):
            return all(_keeps(part, context) for part in parts)
        case Power(base, _):
            return _keeps(base, context)
    return not context.depends(value)


def _of_product(value: Reduce, context: Context) -> list[Occurrence]:
    """d Π_r f(r) = Σ_r (Π_{r' ≠ r} f(r')) d f(r): leave one out, nothing is divided."""
    taken = {i.name for i in (*bound_indices(value), *free_indices(value))}
    others = {i: fresh(i, taken) for i in value.indices}
    moved = {old: at(new) for old, new in others.items()}
    different: list[Cond] = [Not(_all_equal(value.indices, others))]
    domain = [*(substitute(c, moved) for c in value.domain), *different]
    rest = Reduce(
        "prod",
        tuple(others.values()),
        tuple(domain),  # type: ignore[arg-type]
        substitute(value.body, moved),  # type: ignore[arg-type]
    )
    outer = term(Fraction(1), value.indices, value.domain, ((rest, Fraction(1)),), False)
    if outer is None:  # a product over no points
        return []
    return _through((outer,), _of_poly(poly(value.body), context))


def _all_equal(indices: Sequence[Index], others: Mapping[Index, Index]) -> Cond:
    conds: list[Cond] = [Zero(at(others[i]) - at(i)) for i in indices]
    return conds[0] if len(conds) == 1 else And(tuple(conds))


def _of_extremum(value: Reduce, context: Context) -> list[Occurrence]:
    """d max_r f(r) = Σ_r [r = arg] d f(r): the first arg takes all."""
    chosen: list[Cond] = [
        Zero(at(index) - at(Lookup(context.arg(value, k)))) for k, index in enumerate(value.indices)
    ]
    outer = term(Fraction(1), value.indices, chosen, (), False)
    assert outer is not None
    return _through((outer,), _of_poly(poly(value.body), context))


def adjoint_terms(
    seed: Poly,
    found: Occurrence,
    axes: Sequence[Index],
    own: Sequence[Index],
    sifted: Mapping[Index, Subscript] = {},
) -> list[Term]:
    """``dX[axes] += Σ_own seed · partial · Π [axis = subscript]``, one raw term per term of the
    seed; what replaces an index that is ``sifted`` is known."""
    equal = [Zero(at(axis) - sub) for axis, sub in zip(axes, found.access.subs, strict=True)]
    partial = found.partial
    used = [i.name for i in (*indices_in(partial), *own, *axes)]
    out = []
    for part in (apart(part, used) for part in seed):
        made = term(
            part.coef * partial.coef,
            [i for i in (*own, *partial.bound, *part.bound) if i not in sifted],
            [substitute(c, sifted) for c in (*part.guards, *partial.guards, *equal)],  # type: ignore[misc]
            [(substitute(a, sifted), e) for a, e in (*part.factors, *partial.factors)],  # type: ignore[misc]
        )
        if made is not None:
            out.append(made)
    return out


def sifted_terms(
    seed: Poly, found: Occurrence, axes: Sequence[Index], own: Sequence[Index]
) -> list[Term]:
    """:func:`adjoint_terms` with the plain equalities ``[axis = r]`` already sifted: r is the
    axis."""
    free = {*own, *found.partial.bound}
    moved: dict[Index, Subscript] = {}
    for axis, sub in zip(axes, found.access.subs, strict=True):
        index = sub.index
        if index in free and index not in moved and index.extent is axis.extent:
            moved[index] = at(axis)
    return adjoint_terms(seed, found, axes, own, moved)


def times_open(left: Term, right: Term) -> Term | None:
    """The product of two terms whose bound indices are apart; one may be under the other's sums."""
    return term(
        left.coef * right.coef,
        (*left.bound, *right.bound),
        (*left.guards, *right.guards),
        (*left.factors, *right.factors),
        False,
    )
