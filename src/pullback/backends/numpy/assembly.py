"""Statements whose target is filled part by part: pieces side by side, places a row, windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...ir.expr import Access, Expr, Guard, add, mul
from ...ir.program import Define
from ...ir.subscripts import Index, at, indices_of
from ...ir.walk import tensors
from ...plan.pieces import (
    Piece,
    Term,
    empty,
    in_a_row,
    is_range,
    is_sparse,
    locate,
    overlap,
    spellable,
    split_terms,
)
from ...plan.terms import flat_factors, split_sign
from ..python.code import call, tuple_of
from . import views
from .arrays import Array, aligned
from .assign import assign, finished
from .expressions import Context, Speller
from .grouping import grouped, with_scalars
from .shelter import sheltered


def assembled(speller: Speller, define: Define, name: str) -> bool:
    """Spells a statement whose terms fill parts of its target; False if it has no such terms."""
    outer, terms = split_terms(define.body, define.indices)
    dense, parts = _located(speller, define, terms)
    few = len(dense) + sum(not is_sparse(piece) for piece in parts) <= 1
    if outer and (few or any(_may_be_infinite(speller, factor) for factor in outer)):
        terms = [Term(term.conds, (*outer, *term.factors)) for term in terms]
        dense, parts = _located(speller, define, terms)
        outer = []
    if not parts or any(not spellable(piece) for piece in parts):
        return False
    parts = [piece for piece in parts if not empty(piece)]
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
        found = in_a_row(parts, self.define)
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
        if len(parts) != 1 or self.define.of or empty(parts[0]):
            return False
        (piece,) = parts
        if not all(is_range(sub) and sub.terms[0][1].literal == 1 for sub in piece.subs):
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
        self.apart = not overlap(parts)

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
