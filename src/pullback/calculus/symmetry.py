"""Symmetry by construction: a value that stays the same, or changes its sign, when two of its axes
are swapped.

``R = X.T @ X - I`` is symmetric, ``d[i,j] = x[i] - x[j]`` antisymmetric. Nothing is declared: a
definition whose axes are swapped is compared with the definition. Reads of such a value are then
written in one *orientation*, so that ``R[i,j] + R[j,i]`` is ``2*R[i,j]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product

from ..ir.expr import Access, Opaque, Tensor, Zero
from ..ir.program import Define
from ..ir.subscripts import Index, Subscript, at
from ..ir.walk import accesses, free_indices, map_tensors, substitute
from ..opaque import TABLE
from .normal import Poly, Term, canonical, collect, renamed, term

READS = 4  # a term of more reads with a choice of orientation is left as it is

UNIT = Fraction(1)

Swap = tuple[int, int, int]  # two axes, and the sign that swapping them gives
Turn = tuple[Access, Access, int]  # a read, another that is the same value up to this sign


class Symmetries:
    """The swaps of axes under which the tensors of a program are the same up to a sign."""

    def __init__(self) -> None:
        self.swaps: dict[Tensor, tuple[Swap, ...]] = {}

    def learn(self, target: Tensor, axes: Sequence[Index], terms: Poly) -> None:
        """Find the symmetries of a value that is defined as a sum of terms."""
        terms = collect(map(self.oriented, terms))
        found = (
            (a, b, sign)
            for a, b in combinations(range(len(axes)), 2)
            if axes[a].extent is axes[b].extent and terms
            for sign in self._signs(terms, axes[a], axes[b])
        )
        swaps = tuple(found)
        if swaps:
            self.swaps[target] = swaps

    def learn_operation(self, statement: Define) -> None:
        """Find the symmetry of an operation on a symmetric matrix."""
        match statement.body:
            case Opaque(operation, (matrix,)) if TABLE[operation].keeps_symmetry:
                last = len(matrix.shape) - 2, len(matrix.shape) - 1, 1
                if last in self.swaps.get(matrix, ()):
                    self.swaps[statement.target] = (last,)

    def _signs(self, terms: Poly, one: Index, two: Index) -> Iterator[int]:
        """The sign that swapping two axes of a definition gives, if it gives the same definition
        up to one. Where a term is asked to be on the diagonal, the axes are one."""
        terms = collect(_on_diagonal(part, one, two) for part in terms)
        moved = (renamed(part, {one: two, two: one}) for part in terms)
        turned = (_on_diagonal(part, one, two) for part in moved if part is not None)
        there = collect(self.oriented(part) for part in turned if part is not None)
        for sign in (1, -1):
            if not collect([*terms, *(replace(t, coef=-sign * t.coef) for t in there)]):
                yield sign
                return

    def oriented(self, value: Term) -> Term | None:
        """The term with its reads of symmetric values in one orientation, whatever orientation they
        had; None where the term is its own negative, and so 0."""
        if not self.swaps:
            return value
        whole = {a for a, e in value.factors if e.denominator == 1}
        reads = dict.fromkeys(a for atom, _ in value.factors for a in accesses(atom))
        choices = [self._orientations(a, a in whole) for a in reads if a.tensor in self.swaps]
        choices = [options for options in choices if len(options) > 1]
        if not choices or len(choices) > READS:
            return value
        signs: dict[Term, Fraction] = {}
        best, least = value, None
        for choice in product(*choices):
            made = _turned(value, choice)
            key = canonical(made)
            if signs.setdefault(key, made.coef) != made.coef:
                return None
            rank = (_transposes(made, self.swaps), _inversions(made), key.key)
            if least is None or rank < least:
                best, least = made, rank
        return best

    def _orientations(self, access: Access, signed: bool) -> list[Turn]:
        """The reads that are the same value, or where ``signed`` its negative."""
        found: dict[tuple[Subscript, ...], int] = {access.subs: 1}
        left = [access.subs]
        while left:
            subs = left.pop()
            for a, b, sign in self.swaps[access.tensor]:
                swapped = list(subs)
                swapped[a], swapped[b] = subs[b], subs[a]
                if tuple(swapped) not in found and (signed or sign == 1):
                    found[tuple(swapped)] = found[subs] * sign
                    left.append(tuple(swapped))
        return [(access, Access(access.tensor, subs), sign) for subs, sign in found.items()]


def _on_diagonal(value: Term, one: Index, two: Index) -> Term | None:
    """The term with the first index for the second, where a guard says that they are equal."""
    equal = Zero(at(one) - at(two))
    found = [c for c in value.guards if c == equal]
    if not found:
        return value
    moved = {two: at(one)}
    return term(
        value.coef,
        value.bound,
        [c if c in found else substitute(c, moved) for c in value.guards],  # type: ignore[misc]
        [(substitute(a, moved), e) for a, e in value.factors],  # type: ignore[misc]
    )


def _turned(value: Term, choice: Sequence[Turn]) -> Term:
    """The term with reads in other orientations, and the signs that come of those."""
    places = {old: new for old, new, _ in choice}
    signs = {old: Fraction(sign) for old, _, sign in choice}
    coef = value.coef
    for atom, exponent in value.factors:
        coef *= signs.get(atom, UNIT) ** exponent.numerator  # type: ignore[arg-type]
    made = term(
        coef,
        value.bound,
        value.guards,
        [
            (map_tensors(atom, lambda read: places.get(read, read)), exponent)  # type: ignore[misc]
            for atom, exponent in value.factors
        ],
        False,
    )
    assert made is not None  # the same value in another orientation
    return made


def _transposes(value: Term, swaps: Mapping[Tensor, Sequence[Swap]]) -> int:
    """How many symmetric matrices would be written transposed in a product, of matrices or of
    elements."""
    reads = [a for a, _ in value.factors if isinstance(a, Access)]
    turned = 0
    for read in reads:
        if read.tensor not in swaps:
            continue
        own = free_indices(read)
        for other in (a for a in reads if a is not read):
            shared = [i for i in free_indices(other) if i in own]
            if len(shared) > 1:
                turned += shared != [i for i in own if i in shared]
            elif shared and shared[0] in value.bound:
                turned += _is_last(shared[0], read) == _is_last(shared[0], other)
    return turned


def _inversions(value: Term) -> int:
    """How often an index of a sum stands in front of a free one."""
    found = [[i in value.bound for i in free_indices(a)] for a, _ in value.factors]
    return sum(row[:k].count(True) for row in found for k, bound in enumerate(row) if not bound)


def _is_last(index: Index, read: Access) -> bool:
    return read.subs[-1].index is index
