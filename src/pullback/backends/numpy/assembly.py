"""Statements whose target is filled part by part: pieces side by side, places a row, windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...ir.expr import Access, Expr, Guard, add, mul
from ...ir.program import Define
from ...ir.sizes import Size, size
from ...ir.subscripts import Index, Subscript, at, indices_of
from ...ir.walk import free_indices, tensors
from ...plan.terms import flat_factors, split_sign
from ..python.code import call, tuple_of
from . import views
from .arrays import Array, aligned
from .assign import assign, finished
from .expressions import Context, Speller
from .grouping import grouped, with_scalars
from .pieces import Piece, Term, locate, split_terms
from .shelter import sheltered


def assembled(speller: Speller, define: Define, name: str) -> bool:
    """Spells a statement whose terms fill parts of its target; False if it has no such terms."""
    outer, terms = split_terms(define.body, define.indices)
    dense, parts = _located(speller, define, terms)
    few = len(dense) + sum(not _is_sparse(piece) for piece in parts) <= 1
    if outer and (few or any(_may_be_infinite(speller, factor) for factor in outer)):
        terms = [Term(term.conds, (*outer, *term.factors)) for term in terms]
        dense, parts = _located(speller, define, terms)
        outer = []
    if not parts or any(not _spellable(piece) for piece in parts):
        return False
    parts = [piece for piece in parts if not _empty(piece)]
    bodies = grouped([*dense, *(piece.body for piece in parts)], speller.scope.facts)
    if outer and (scaled := with_scalars(bodies, outer)) is not None:
        bodies, outer = scaled, []
    dense, rest = bodies[: len(dense)], bodies[len(dense) :]
    parts = [replace(piece, body=body) for piece, body in zip(parts, rest, strict=True)]
    work = _Assembly(speller, define, name)
    speller.claim("" if not dense else name)
    speller.share(*dense, *(piece.body for piece in parts))
    if not dense and not outer and (work.joined(parts) or work.margins(parts)):
        return True
    if define.target.kind != "float":
        return False  # whole numbers are cast as a whole
    work.start(dense, parts)
    speller.claim("")
    for piece in parts:
        work.add(piece)
    if outer:
        work.scale(outer)
    return True


def _may_be_infinite(speller: Speller, factor: Expr) -> bool:
    """Whether a factor may be so for its sizes alone: 1/(N - 1) at N = 1, where nothing may be
    filled. It would make NaNs of the zeros between the pieces."""
    return not any(tensors(factor)) and bool(speller.scope.facts.wildness(factor))


def _located(
    speller: Speller, define: Define, terms: Sequence[Term]
) -> tuple[list[Expr], list[Piece]]:
    """The values of the terms that fill the target, and the pieces that fill a part of it."""
    whole = tuple(map(at, define.indices))
    pieces = [locate(term, define.indices, speller.scope.facts) for term in terms]
    dense = [piece.body for piece in pieces if piece.subs == whole]
    return dense, [piece for piece in pieces if piece.subs != whole]


def _empty(piece: Piece) -> bool:
    """Whether a piece has no elements."""
    return any(_is_range(s) and s.terms[0][0].extent.literal == 0 for s in piece.subs)  # type: ignore[union-attr]


def _is_sparse(piece: Piece) -> bool:
    """Whether the piece has fewer axes than its target."""
    return any(sub.index is None and not _is_range(sub) for sub in piece.subs)


def _is_range(sub: Subscript) -> bool:
    return (
        len(sub.terms) == 1 and isinstance(sub.terms[0][0], Index) and sub.terms[0][1].at_least(1)
    )


def _spellable(piece: Piece) -> bool:
    """Whether the value's indices are those of the places (else it would be a sum over the
    rest)."""
    own = {i for sub in piece.subs for i in indices_of(sub)}
    return set(free_indices(piece.body)) <= own


@dataclass
class _Assembly:
    speller: Speller
    define: Define
    name: str
    apart: bool = False  # whether no two parts share a place
    filled: bool = False  # whether the target holds more than zeros

    @property
    def access(self) -> Access:
        """The target at its own indices."""
        return self.define.access

    def joined(self, parts: Sequence[Piece]) -> bool:
        """``np.concatenate`` of pieces that lie one behind the other along one axis."""
        found = _in_a_row(parts, self.define)
        if found is None:
            return False
        axis, ordered = found
        arrays = [self.full(piece) for piece in ordered]
        texts = ", ".join(str(array.code) for array in arrays)
        named = {"axis": axis} if axis else {}
        code = call("np.concatenate", f"[{texts}]", **named)
        self.speller.scope.emit(f"{self.name} = {code}")
        return True

    def margins(self, parts: Sequence[Piece]) -> bool:
        """``np.pad`` of one piece in the middle, in a forward pass."""
        if len(parts) != 1 or self.define.of or _empty(parts[0]):
            return False
        (piece,) = parts
        if not all(_is_range(sub) and sub.terms[0][1].literal == 1 for sub in piece.subs):
            return False
        if len({sub.terms[0][0] for sub in piece.subs}) < len(piece.subs):
            return False
        scope = self.speller.scope
        widths: list[str] = []
        for sub, extent in zip(piece.subs, self.define.target.shape, strict=True):
            (index, _), *_ = sub.terms
            assert isinstance(index, Index)
            if not index.extent.at_least(0):
                return False
            after = extent - sub.const - index.extent
            widths.append(f"({scope.size(sub.const)}, {scope.size(after)})")
        code = call("np.pad", self.full(piece).code, tuple_of(widths))
        scope.emit(f"{self.name} = {code}")
        return True

    def full(self, piece: Piece) -> Array:
        """The value of a piece over all its axes, with the target's dtype."""
        frame = tuple(indices_of(sub)[0] for sub in piece.subs)
        value = self.speller.value(piece.body, Context((), frame))
        return finished(self.speller, value, frame, self.define.target.dtype)

    def start(self, dense: Sequence[Expr], parts: Sequence[Piece]) -> None:
        """Emits the array that the parts are put into."""
        scope = self.speller.scope
        if dense:
            assign(self.speller, self.name, add(*dense), self.define, fresh=True)
            self.filled = True
            return
        self.speller.claim("")  # from here on the name stands for the array that is filled
        scope.emit(f"{self.name} = {self.speller.zeros(self.define.target)}")
        self.apart = not _overlap(parts)

    def add(self, piece: Piece) -> None:
        """Emits one piece."""
        sign, body = split_sign(piece.body)
        conds = [f.cond for f in flat_factors(body) if isinstance(f, Guard)]
        subs = sheltered(self.speller, piece.subs, self.define.target.shape, conds)
        alone = subs == piece.subs or not self.filled
        if (self.apart and alone) or (sign > 0 and not self.filled):
            op, body = "=", piece.body
        else:
            op = "+=" if sign > 0 else "-="
        self.filled = True
        place = views.place(self.speller, Access(self.define.target, subs))
        value = aligned(self.speller.value(body, Context((), place.indices)), place.axes)
        self.speller.scope.emit(f"{place.code} {op} {value.code}")

    def scale(self, factors: Sequence[Expr]) -> None:
        """Emits a multiplication of the whole."""
        frame = self.define.indices
        value = aligned(self.speller.value(mul(*factors), Context((), frame)), frame)
        self.speller.scope.emit(f"{self.name} *= {value.code}")


def _overlap(parts: Sequence[Piece]) -> bool:
    """Whether two pieces may share a place."""
    return any(not _disjoint(one, two) for n, one in enumerate(parts) for two in parts[:n])


def _disjoint(one: Piece, two: Piece) -> bool:
    for a, b in zip(one.subs, two.subs, strict=True):
        (low_a, high_a), (low_b, high_b) = _span(a), _span(b)
        if None in (low_a, high_a, low_b, high_b):
            continue
        if (low_b - high_a).at_least(0) or (low_a - high_b).at_least(0):  # type: ignore[operator]
            return True
    return False


def _span(sub: Subscript) -> tuple[Size | None, Size | None]:
    """The first place, and the one behind the last."""
    if not sub.terms:
        return sub.const, sub.const + 1
    if not _is_range(sub):
        return None, None
    (index, step), *_ = sub.terms
    assert isinstance(index, Index)
    return sub.const, sub.const + step * (index.extent - 1) + 1


def _in_a_row(parts: Sequence[Piece], define: Define) -> tuple[int, list[Piece]] | None:
    """The axis along which the pieces make up the target, and their order."""
    uneven = [
        axis
        for axis, index in enumerate(define.indices)
        if any(piece.subs[axis] != at(index) for piece in parts)
    ]
    if len(uneven) != 1 or len(parts) < 2:
        return None
    (axis,) = uneven
    left = list(parts)
    ordered: list[Piece] = []
    here = size(0)
    while left:
        piece = next((p for p in left if _starts(p.subs[axis], here)), None)
        if piece is None:
            return None
        left.remove(piece)
        ordered.append(piece)
        here = _span(piece.subs[axis])[1] or here
    return (axis, ordered) if here is define.target.shape[axis] else None


def _starts(sub: Subscript, here: Size) -> bool:
    return _is_range(sub) and sub.terms[0][1].literal == 1 and sub.const is here
