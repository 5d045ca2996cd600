"""The generalized Jacobian ∂Y[o]/∂X[a] as one formula: a sum of terms in the indices o and a.

The backward pass is linear in its upstream gradient. With a Kronecker delta for that, ``dY[c] =
[c = o]``, each statement becomes a formula in o, and the gradient of X at a the element of the
Jacobian: the same calculus eliminates the deltas, so the formula is as compact as the gradient's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..calculus.eliminate import cancel, eliminate
from ..calculus.normal import (
    Poly,
    Term,
    apart,
    collect,
    expression,
    indices_in,
    poly,
    term,
    undistributed,
)
from ..calculus.normal import renamed as with_names
from ..calculus.normal import replaced as at_places
from ..calculus.step import Backward
from ..ir.expr import Access, Cond, Expr, Inside, Opaque, Tensor, Zero
from ..ir.program import Define, computing, reads
from ..ir.sizes import SizeLike
from ..ir.subscripts import Index, Subscript, at, indices_of, isolated
from ..ir.walk import fresh, map_sizes, rename_tensors, substitute, tensors
from ..text import PRIVATE

MOST_TERMS = 48
MOST_FACTORS = 24
MOST_DEPTH = 40


class NoClosedForm(Exception):
    """The Jacobian is not written as one formula: the text says why."""


@dataclass(frozen=True)
class Closed:
    """``∂Y[rows]/∂X[columns]``, a sum of terms in these indices.

    Terms read inputs and values of the forward pass by their names.
    """

    rows: tuple[Index, ...]
    columns: tuple[Index, ...]
    terms: Poly

    @property
    def expression(self) -> Expr:
        """The element at ``rows`` and ``columns``."""
        return expression(self.terms)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What the terms read."""
        return tensors(self.expression)

    @property
    def transposed(self) -> Closed:
        """With rows and columns exchanged."""
        terms = collect(tied(t, self.columns, self.rows) for t in self.terms)
        return Closed(self.columns, self.rows, terms)

    def times(self, factor: Fraction) -> Closed:
        """A multiple."""
        made = (term(t.coef * factor, t.bound, t.guards, t.factors) for t in self.terms)
        return Closed(self.rows, self.columns, collect(made))

    def plus(self, other: Closed) -> Closed:
        """The sum of two Jacobians of one shape."""
        moved = other.over(self.rows, self.columns)
        return _bounded(self.rows, self.columns, collect([*self.terms, *moved.terms]))

    def after(self, inner: Closed) -> Closed:
        """The product with the Jacobian of what is computed first: the sum over the axes between.

        Raises NoClosedForm where that has too many terms.
        """
        if len(self.terms) * len(inner.terms) > 2 * MOST_TERMS:
            raise NoClosedForm("the product has too many terms")
        taken = {i.name for i in self.rows}
        bare = (Index(i.name.rstrip("'"), i.extent) for i in inner.columns)
        columns = tuple(primed(i, taken) for i in bare)
        names = {i.name for i in (*self.rows, *columns)}
        between = tuple(fresh(i, names) for i in self.columns)
        outer = self.over(self.rows, between)
        moved = inner.over(between, columns)
        own = [i.name for i in between]
        products = (
            _times(apart(a, [*_names(b), *own]), b, between)
            for a in outer.terms
            for b in moved.terms
        )
        rows = self.rows
        terms = collect(tied(t, rows, columns) for t in products if t is not None)
        return _bounded(rows, columns, terms)

    def over(self, rows: Sequence[Index], columns: Sequence[Index]) -> Closed:
        """The same formula in other indices."""
        pairs = zip((*self.rows, *self.columns), (*rows, *columns), strict=True)
        moved = {old: at(new) for old, new in pairs if old is not new}
        names = {i.name for i in (*rows, *columns)}
        terms = collect(letters_of(at_places(t, moved), names) for t in self.terms)
        return Closed(tuple(rows), tuple(columns), terms)

    def with_sizes(self, names: Mapping[str, SizeLike]) -> Closed:
        """The same formula with named sizes replaced."""

        def index(of: Index) -> Index:
            return Index(of.name, of.extent.replace(names))

        made = [
            term(
                t.coef,
                [index(i) for i in t.bound],
                [map_sizes(c, names) for c in t.guards],  # type: ignore[misc]
                [(map_sizes(a, names), e) for a, e in t.factors],  # type: ignore[misc]
            )
            for t in self.terms
        ]
        return Closed(tuple(map(index, self.rows)), tuple(map(index, self.columns)), collect(made))

    def reading(self, names: Mapping[Tensor, Tensor]) -> Closed:
        """The same formula of tensors with other names."""
        if not names:
            return self
        made = [
            term(
                t.coef,
                t.bound,
                [rename_tensors(c, names) for c in t.guards],  # type: ignore[misc]
                [(rename_tensors(a, names), e) for a, e in t.factors],  # type: ignore[misc]
            )
            for t in self.terms
        ]
        return Closed(self.rows, self.columns, collect(made))


def closed_form(
    backward: Backward, cotangent: Tensor, gradient: Tensor, rows: Sequence[str]
) -> Closed:
    """The Jacobian that a backward pass multiplies by, from one cotangent to one gradient.

    ``rows`` are letters for the axes of the output. Raises NoClosedForm for a recurrence, a system
    of equations that the backward pass solves, and a formula of too many terms.
    """
    return _Seeded(backward, cotangent, gradient, rows).closed()


def moving(backward: Backward) -> frozenset[Tensor]:
    """The tensors of a backward pass that depend on the cotangents."""
    found = set(backward.cotangents)
    while True:
        more = {s.target for s in backward.statements if not found.isdisjoint(reads(s))} - found
        if not more:
            return frozenset(found)
        found |= more


def primed(index: Index, taken: set[str]) -> Index:
    """``index`` with as many primes as its name needs to be no other's."""
    name = index.name
    while name in taken:
        name += "'"
    taken.add(name)
    return Index(name, index.extent)


class _Seeded:
    def __init__(
        self, backward: Backward, cotangent: Tensor, gradient: Tensor, rows: Sequence[str]
    ) -> None:
        self.backward = backward
        self.gradient = gradient
        self.moving = moving(backward)
        self.letters = rows
        self.rows = tuple(
            Index(f"{PRIVATE}row{k}'", extent) for k, extent in enumerate(cotangent.shape)
        )
        self.forms: dict[Tensor, tuple[tuple[Index, ...], Poly]] = {}
        for other in backward.cotangents:
            axes = tuple(Index(f"{PRIVATE}{k}'", extent) for k, extent in enumerate(other.shape))
            deltas = [Zero(at(o) - at(c)) for o, c in zip(self.rows, axes, strict=False)]
            seed = term(Fraction(1), (), deltas, ()) if other is cotangent else None
            self.forms[other] = axes, collect([seed])

    def closed(self) -> Closed:
        needed = computing(self.backward.statements, [self.gradient])
        for define in needed:
            if define.target in self.moving:
                self.forms[define.target] = self.seeded(define)
        define = next(s for s in needed if s.target is self.gradient)
        axes, value = self.forms.get(self.gradient, (define.indices, ()))
        made = collect(tied(t, self.rows, axes) for t in value)
        found = _bounded(self.rows, axes, made)
        taken: set[str] = set()
        named = (Index(name, i.extent) for name, i in zip(self.letters, self.rows, strict=True))
        rows = tuple(primed(index, taken) for index in named)
        columns = tuple(primed(i, taken) for i in define.indices)
        return found.over(rows, columns)

    def seeded(self, define: Define) -> tuple[tuple[Index, ...], Poly]:
        """A statement with the delta put in, over axes that no row is called like."""
        if isinstance(define.body, Opaque):
            raise NoClosedForm(f"{define.body.operation} of the upstream gradient is no formula")
        count = len(self.forms)
        axes = tuple(
            Index(f"{PRIVATE}{count}.{k}'", i.extent) for k, i in enumerate(define.indices)
        )
        moved = {old: at(new) for old, new in zip(define.indices, axes, strict=True)}
        source = define.body if define.scatter is None else define.scatter  # deltas not yet solved
        body: Expr = substitute(source, moved)  # type: ignore[assignment]
        return axes, self.linear(poly(body), MOST_DEPTH)

    def linear(self, value: Poly, depth: int) -> Poly:
        """A value that is linear in what moves, each of that replaced by its formula."""
        out: list[Term | None] = []
        for part in value:
            out.extend(self.through(part, depth))
            if len(out) > 4 * MOST_TERMS:
                raise NoClosedForm("its formula has too many terms")
        made = collect(out)
        if len(made) > MOST_TERMS:
            raise NoClosedForm("its formula has too many terms")
        return made

    def through(self, part: Term, depth: int) -> list[Term | None]:
        places = [k for k, (atom, _) in enumerate(part.factors) if self.moves(atom)]
        if len(places) != 1 or part.factors[places[0]][1] != 1 or not depth:
            raise NoClosedForm("the backward pass is not a sum of products")
        atom, _ = part.factors[places[0]]
        rest = [factor for k, factor in enumerate(part.factors) if k != places[0]]
        outer = term(part.coef, part.bound, part.guards, rest, False)
        if outer is None:
            return []
        return [_eliminated(_times(outer, inner, ())) for inner in self.inner(atom, part, depth)]

    def inner(self, atom: Expr, part: Term, depth: int) -> list[Term]:
        """What moves in a product, as formulas apart from the rest of it."""
        if isinstance(atom, Access):
            known = self.forms.get(atom.tensor)
            if known is None:
                raise NoClosedForm("the backward pass is a recurrence")
            axes, value = known
            place = dict(zip(axes, atom.subs, strict=True))
            moved = (at_places(apart(t, _names(part)), place) for t in value)
            return [t for t in moved if t is not None]
        whole = poly(atom)
        if len(whole) == 1 and [a for a, _ in whole[0].factors] == [atom]:
            raise NoClosedForm("the backward pass is not a sum of products")
        return list(self.linear(whole, depth - 1))

    def moves(self, atom: Expr) -> bool:
        return any(t in self.moving for t in tensors(atom))


def _names(value: Term) -> list[str]:
    return [index.name for index in indices_in(value)]


def _times(left: Term, right: Term, between: Sequence[Index]) -> Term | None:
    """The product of two terms, summed over the indices ``between``, its deltas eliminated.

    What the left one sums over, the right one may read.
    """
    right = apart(right, [*_names(left), *(index.name for index in between)])
    made = term(
        left.coef * right.coef,
        (*left.bound, *right.bound, *between),
        (*left.guards, *right.guards),
        (*left.factors, *right.factors),
    )
    return _eliminated(made) if between else made


def _eliminated(made: Term | None) -> Term | None:
    made = None if made is None else eliminate(made)
    return None if made is None else cancel(made)


def _bounded(rows: tuple[Index, ...], columns: tuple[Index, ...], terms: Poly) -> Closed:
    terms = merged(terms, columns)
    if len(terms) > MOST_TERMS or any(len(t.factors) > MOST_FACTORS for t in terms):
        raise NoClosedForm("its formula has too many terms")
    return Closed(rows, columns, terms)


def merged(terms: Poly, columns: Sequence[Index]) -> Poly:
    """Terms at the same places added up: those under the same conditions, which fix each column.

    ``3*u[i+1]**2*[i' = i+1] - 4*[i' = i+1]`` is ``(3*u[i+1]**2 - 4)*[i' = i+1]``.
    """
    found: dict[object, list[Term]] = {}
    for part in terms:
        alone = part.bound or not _fixes(part, columns)
        found.setdefault(part if alone else part.guards, []).append(part)
    out: list[Term | None] = []
    for parts in found.values():
        if len(parts) == 1:
            out += parts
            continue
        values = undistributed(collect(Term(t.coef, (), (), t.factors) for t in parts))
        out += [term(t.coef, t.bound, parts[0].guards, t.factors) for t in values]
    return collect(out)


def _fixes(part: Term, columns: Sequence[Index]) -> bool:
    """Whether each column stands in an equality of a term."""
    equal = {i for c in part.guards if isinstance(c, Zero) for i in indices_of(c.sub)}
    return bool(columns) and equal.issuperset(columns)


def tied(value: Term, rows: Sequence[Index], columns: Sequence[Index]) -> Term | None:
    """A term in which a column that an equality ties to rows, ``[a = o + c]``, occurs only there:
    everywhere else the rows stand for it."""
    for _ in columns:
        following = _tied_once(value, rows, columns)
        if following is None or following is value:
            return following
        value = following
    return value


def _tied_once(value: Term, rows: Sequence[Index], columns: Sequence[Index]) -> Term | None:
    moved: dict[Index, Subscript] = {}
    kept: list[Cond] = []
    ties: list[Cond] = []
    ranges: list[Cond] = []
    for cond in value.guards:
        found = _tie(cond, rows, columns, moved)
        if found is None:
            kept.append(cond)
        else:
            column, sub = found
            moved[column] = sub
            ties.append(cond)
            ranges.append(Inside(sub, column.extent))
    if not moved:
        return value
    made = term(
        value.coef,
        value.bound,
        [*(substitute(c, moved) for c in kept), *ranges],  # type: ignore[list-item]
        [(substitute(a, moved), e) for a, e in value.factors],  # type: ignore[misc]
    )
    if made is None:
        return None
    others = [c for c in made.guards if c not in ranges]  # that follow from the equalities
    return term(made.coef, made.bound, [*ties, *others], made.factors)


def _tie(
    cond: Cond, rows: Sequence[Index], columns: Sequence[Index], known: Mapping[Index, Subscript]
) -> tuple[Index, Subscript] | None:
    """A column and what an equality says that it is, in rows alone."""
    if not isinstance(cond, Zero):
        return None
    for column in columns:
        sub = isolated(cond.sub, column)
        if sub is not None and column not in known and set(indices_of(sub)) <= set(rows):
            return column, sub
    return None


def letters_of(value: Term | None, taken: set[str]) -> Term | None:
    """The term with bound indices named by letters that are free."""
    if value is None:
        return None
    moved: dict[Index, Index] = {}
    own = set(taken)
    for index in value.bound:
        stem = index.name.rpartition(PRIVATE)[2].rstrip("'0123456789") or "i"
        moved[index] = fresh(Index(stem, index.extent), own)
    return with_names(value, moved)
