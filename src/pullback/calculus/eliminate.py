"""Eliminating equalities of subscripts: a sum over deltas becomes a sum over what is left.

A bound index that an equality determines is substituted; its range becomes a guard unless it is
implied. What can't be eliminated stays as a guard: being right never depends on elimination. Each
rewriting is the statement of one equation about integers:

* ``[r = e]``            r := e, guard [0 <= e < extent]
* ``[c·r = e]``          r := e // c, guards [c | e] and [0 <= e//c < extent]
* ``[Σ c_k·r_k = e]``    with mixed-radix digits r_k: r_k := (e // c_k) % extent_k
* ``[h = e // D]``       e = D·h + r with a new bound index r < D
* ``[d = e % D]``        e = D·q + d with a new bound index q
* ``[a = (i + c) % N]``  i := (a - c) % N where i and a both run over N values
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ..ir.expr import Cond, Divides, Expr, Inside, Zero
from ..ir.sizes import Size, size
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    at,
    bounds,
    indices_of,
    isolated,
    reduced,
)
from ..ir.walk import Tree, fresh, map_subscripts, substitute
from .cost import TYPICAL, extent_cost
from .normal import Term, indices_in, term


def sift(value: Term) -> Term | None:
    """Only the plain equalities ``[a = r]`` and ``[r = data]`` are eliminated: nothing else
    changes."""
    return _run(value, plain=True)


def eliminate(value: Term) -> Term | None:
    """Every equality that determines a bound index is eliminated; None if the term vanishes."""
    return _run(value, plain=False)


def cancel(value: Term) -> Term | None:
    """Where an equality stays, ``[i = e]``, a factor at i and its inverse at e cancel:
    ``f[i]·f[e]^-1·[i = e] = [i = e]``."""
    for cond in value.guards:
        if not isinstance(cond, Zero):
            continue
        for index, _ in cond.sub.terms:
            solved = isolated(cond.sub, index)
            if isinstance(index, Index) and solved is not None:
                met = _met(value, index, solved)
                if met is not value:
                    return met
    return value


def _met(value: Term, index: Index, solved: Subscript) -> Term | None:
    """The term with those factors put at ``solved`` whose exponents then go down."""
    if index in indices_of(solved):
        return value
    there: dict[Expr, list[tuple[Expr, Fraction]]] = {}
    for atom, exponent in value.factors:
        there.setdefault(substitute(atom, {index: solved}), []).append((atom, exponent))  # type: ignore[arg-type]
    factors = []
    for place, group in there.items():
        total = sum((e for _, e in group), Fraction(0))
        less = abs(total) < sum(abs(e) for _, e in group)
        factors += [(place, total)] if less else group
    if len(factors) == len(value.factors):
        return value
    return term(value.coef, value.bound, value.guards, factors)


def _run(value: Term | None, plain: bool) -> Term | None:
    for _ in range(200):
        if value is None:
            return None
        changed = _once(value, plain)
        if changed is value:
            return value
        value = changed
    return value


def _once(value: Term, plain: bool) -> Term | None:
    equalities = [c for c in value.guards if isinstance(c, Zero)]
    best: tuple[tuple[tuple[float, int], str], Cond, Index, Subscript] | None = None
    for cond in equalities:
        for index, solved in _plain_solutions(cond.sub, value.bound):
            rank = (_extent_rank(index.extent), index.name)
            if best is None or rank < best[0]:
                best = (rank, cond, index, solved)
    if best is not None:
        return _substituted(value, best[1], best[2], best[3])
    if plain:
        return value
    for cond in equalities:
        split = _split_digits(value, cond, Quotient)
        if split is not None:
            return split
    options: list[tuple[tuple[object, ...], str, Cond, Index]] = []
    for cond in equalities:
        for index in value.bound:
            if _solvable(cond.sub, index):
                unit = abs(cond.sub.coefficient(index).literal or 2) != 1
                place = (_extent_rank(index.extent), unit, -value.bound.index(index))
                options.append((place, index.name, cond, index))
    for cond in equalities:
        merged = _mixed_radix(value, cond)
        if merged is not None:
            return merged
    if options:
        _, _, chosen, index = min(options, key=lambda option: (option[0], option[1]))
        return _solved(value, chosen, index)
    for cond in equalities:
        split = _split_digits(value, cond, Remainder)
        if split is not None:
            return split
    return value


def _extent_rank(extent: Size) -> tuple[float, int]:
    """Larger extents first, so that the smaller sum remains; of what costs the same, too."""
    return -extent_cost(extent), -extent.value(dict.fromkeys(extent.names(), TYPICAL))


def _plain_solutions(sub: Subscript, bound: Sequence[Index]) -> list[tuple[Index, Subscript]]:
    """Ways to read ``sub = 0`` as ``r = other index`` or ``r = constant`` or ``r = data``."""
    out = []
    for index in (atom for atom, _ in sub.terms if isinstance(atom, Index) and atom in bound):
        solved = isolated(sub, index)
        if solved is None or index in indices_of(solved):
            continue
        if not solved.terms or solved.index is not None or isinstance(solved.atom, Lookup):
            out.append((index, solved))
    return out


def _substituted(value: Term, cond: Cond, index: Index, solved: Subscript) -> Term | None:
    guards = [c for c in value.guards if c is not cond]
    if not isinstance(solved.atom, Lookup):
        guards.append(Inside(solved, index.extent))
    moved = {index: solved}
    return term(
        value.coef,
        [i for i in value.bound if i is not index],
        [substitute(c, moved) for c in guards],  # type: ignore[misc]
        [(substitute(a, moved), e) for a, e in value.factors],  # type: ignore[misc]
    )


def _solvable(sub: Subscript, index: Index) -> bool:
    """Whether ``index`` stands in ``sub`` once, at the top level, with a coefficient known to be
    nonzero."""
    n = sub.coefficient(index)
    if not n.terms:
        return False
    if not (n.at_least(1) or (-n).at_least(1) or _named_divisor(n)):
        return False
    return index not in indices_of(sub - at(index) * n)


def _named_divisor(n: Size) -> bool:
    """A coefficient that is a product of names is taken for >= 1: strides and digits are."""
    return len(n.terms) == 1


def _solved(value: Term, cond: Cond, index: Index) -> Term | None:
    assert isinstance(cond, Zero)
    n = cond.sub.coefficient(index)
    rest = cond.sub - at(index) * n
    if _negative(n):
        n, rest = -n, -rest
    rest = -rest
    guards = [c for c in value.guards if c is not cond]
    if n.literal == 1:
        solved = rest
    else:
        solved = rest // n
        guards.append(Divides(n, rest))
    guards.append(Inside(solved, index.extent))
    moved = {index: reduced(solved)}

    def put(node: Expr | Cond) -> Tree:
        out = substitute(node, moved)
        return out if n.literal == 1 else map_subscripts(out, lambda sub: undivided(sub, n, rest))

    return term(
        value.coef,
        [i for i in value.bound if i is not index],
        [*map(put, guards[:-1]), guards[-1]],  # type: ignore[list-item]
        [(put(a), e) for a, e in value.factors],  # type: ignore[misc]
    )


def undivided(sub: Subscript, divisor: Size, exact: Subscript) -> Subscript:
    """``sub`` where ``divisor`` is known to divide ``exact``: ``divisor·(exact // divisor)`` is
    ``exact``."""
    quotient = Quotient(exact, divisor)
    n = sub.coefficient(quotient)
    over = n.exactly_over(divisor) if n.terms else None
    return sub if over is None else sub - at(quotient) * n + exact * over


def _negative(n: Size) -> bool:
    return (-n).at_least(1) or (len(n.terms) == 1 and n.terms[0][1] < 0)


def _mixed_radix(value: Term, cond: Cond) -> Term | None:
    """``[Σ c_k·r_k = e]`` where the bound r_k are the digits of a number: all solved at once."""
    assert isinstance(cond, Zero)
    for sign in (1, -1):
        sub = cond.sub * sign
        digits = [
            (atom, n)
            for atom, n in sub.terms
            if isinstance(atom, Index) and atom in value.bound and not _negative(n)
        ]
        chain = _radix_chain(digits)
        if chain is None:
            continue
        whole = sub
        for index, n in chain:
            whole = whole - at(index) * n
        whole = -whole
        if any(index in indices_of(whole) for index, _ in chain):
            continue
        guards: list[Cond] = [c for c in value.guards if c is not cond]
        moved: dict[Index, Subscript] = {}
        for k, (index, n) in enumerate(chain):
            digit = whole // n if n.literal != 1 else whole
            if k == 0:
                guards.append(Inside(reduced(digit), index.extent))
                moved[index] = reduced(digit)
            else:
                moved[index] = reduced(digit % index.extent)
        gone = set(moved)
        return term(
            value.coef,
            [i for i in value.bound if i not in gone],
            [substitute(c, moved) for c in guards],  # type: ignore[misc]
            [(substitute(a, moved), e) for a, e in value.factors],  # type: ignore[misc]
        )
    return None


def _radix_chain(digits: list[tuple[Index, Size]]) -> list[tuple[Index, Size]] | None:
    """Digits from the highest to the lowest: each coefficient is the next one's times its
    extent."""
    if len(digits) < 2:
        return None
    chain: list[tuple[Index, Size]] = []
    need = size(1)
    left = list(digits)
    while left:
        nxt = next((d for d in left if d[1] is need), None)
        if nxt is None:
            return None
        left.remove(nxt)
        chain.append(nxt)
        need = need * nxt[0].extent
    return chain[::-1]


def _split_digits(value: Term, cond: Cond, kind: type[Quotient | Remainder]) -> Term | None:
    """``[h = e // D]`` and ``[d = e % D]`` with a bound index in e become an affine equality."""
    assert isinstance(cond, Zero)
    for atom, _ in cond.sub.terms:
        rest = isolated(cond.sub, atom)
        if not isinstance(atom, kind) or rest is None:
            continue
        inside_value = atom.value
        if not any(i in value.bound for i in indices_of(inside_value)):
            continue
        if any(i in indices_of(rest) and i in indices_of(inside_value) for i in value.bound):
            continue
        guards: list[Cond] = [c for c in value.guards if c is not cond]
        if isinstance(atom, Quotient):
            taken = {i.name for i in indices_in(value)}
            r = fresh(Index("r", atom.divisor), taken)
            guards.append(Zero(inside_value - rest * atom.divisor - at(r)))
            return term(value.coef, (*value.bound, r), guards, value.factors)
        rotated = _rotation(value, guards, atom, rest)
        if rotated is not None:
            return rotated
        known = bounds(inside_value)
        if known is None:
            continue
        low, high = known
        first = low // atom.divisor
        taken = {i.name for i in indices_in(value)}
        q = fresh(Index("q", high // atom.divisor - first + 1), taken)
        guards.append(Zero(inside_value - (at(q) + first) * atom.divisor - rest))
        guards.append(Inside(rest, atom.divisor))
        return term(value.coef, (*value.bound, q), guards, value.factors)
    return None


def _rotation(value: Term, guards: Sequence[Cond], atom: Remainder, rest: Subscript) -> Term | None:
    """``[a = (±i + c) % N]`` with i over N values: i := (±(a - c)) % N."""
    for part in value.bound:
        solved = isolated(atom.value - rest, part)
        if solved is None or part in indices_of(solved) or part.extent is not atom.divisor:
            continue
        moved = {part: reduced(solved % atom.divisor)}
        held = [*guards, Inside(rest, atom.divisor)]
        return term(
            value.coef,
            [i for i in value.bound if i is not part],
            [substitute(c, moved) for c in held],  # type: ignore[misc]
            [(substitute(a, moved), e) for a, e in value.factors],  # type: ignore[misc]
        )
    return None
