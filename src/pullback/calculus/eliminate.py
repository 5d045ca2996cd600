"""Eliminating equalities of subscripts: a sum over deltas becomes a sum over what is left.

A bound index that an equality determines is substituted; its range becomes a guard unless it is
implied. What can't be eliminated stays as a guard: being right never depends on elimination. Each
rewriting is the statement of one equation about integers:

* ``[r = e]``            r := e, guard [0 <= e < extent]
* ``[c·r = e]``          r := e // c, guards [c | e] and [0 <= e//c < extent]
* ``[Σ c_k·r_k = e]``    with mixed-radix digits r_k: r_k := (e // c_k) % extent_k
* ``[h = e // D]``       e = D·h + r with a new bound index r < D
* ``[d = e % D]``        e = D·q + d with a new bound index q
* ``[a = (i + c) % N]``  i := (a - c) % N where i runs over N values, or over digits of a number
                         that does
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from ..ir.digits import composed, read_as
from ..ir.expr import Access, Cond, Divides, Expr, Inside, Zero
from ..ir.sizes import Size, size
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    at,
    bounds,
    constant,
    indices_of,
    isolated,
    map_indices,
    reduced,
)
from ..ir.walk import Tree, fresh, map_subscripts, nodes, subscripts, substitute
from .cost import TYPICAL, extent_cost
from .normal import Term, indices_in, term

Chain = list[tuple[Index, Size]]  # the digits of a number, lowest first, and what each counts
_Rotation = tuple[Zero, Inside, Chain, Subscript]  # the range of a, the digits of i, ±(a - c)


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
        for index in indices_of(cond.sub):
            solved = isolated(cond.sub, index)
            if solved is not None:
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
    known = [way for cond in equalities for way in _plain_solutions(cond, value.bound)]
    if known:
        best = min(known, key=lambda way: (_extent_rank(way[1].extent), way[1].name))
        return _substituted(value, *best)
    if plain:
        return value
    for index in value.bound:
        apart = _in_digits(value, index)
        if apart is not None:
            return apart
    for cond in equalities:
        split = _split_digits(value, cond, Quotient)
        if split is not None:
            return split
    for cond in equalities:
        merged = _mixed_radix(value, cond) or _turned_round(value, cond)
        if merged is not None:
            return merged
    rotations = [way for cond in equalities for way in _rotations(cond, value.bound)]
    if rotations:
        rotated = max(rotations, key=lambda way: len(way[2]))
        return _rotated(value, *rotated)
    options = [
        (cond, index)
        for index in reversed(value.bound)
        for cond in equalities
        if _solvable(cond.sub, index)
    ]
    if options:
        return _solved(value, *min(options, key=lambda option: _option_rank(*option)))
    for cond in equalities:
        split = _split_digits(value, cond, Remainder)
        if split is not None:
            return split
    return value


def _option_rank(cond: Zero, index: Index) -> tuple[tuple[float, int], bool]:
    """The larger sums first, then those that need no condition of divisibility."""
    return _extent_rank(index.extent), isolated(cond.sub, index) is None


def _extent_rank(extent: Size) -> tuple[float, int]:
    """Larger extents first, so that the smaller sum remains; of what costs the same, too."""
    return -extent_cost(extent), -extent.value(dict.fromkeys(extent.names(), TYPICAL))


def _plain_solutions(cond: Zero, bound: Sequence[Index]) -> list[tuple[Zero, Index, Subscript]]:
    """Ways to read an equality as ``r = other index`` or ``r = constant`` or ``r = data``."""
    out = []
    for index in bound:
        solved = isolated(cond.sub, index)
        if solved is None or index in indices_of(solved):
            continue
        if not solved.terms or solved.index is not None or isinstance(solved.atom, Lookup):
            out.append((cond, index, solved))
    return out


def _substituted(value: Term, cond: Cond, index: Index, solved: Subscript) -> Term | None:
    guards = _without(value, cond)
    if not isinstance(solved.atom, Lookup):
        guards.append(Inside(solved, index.extent))
    return _moved(value, guards, {index: solved})


def _without(value: Term, cond: Cond) -> list[Cond]:
    return [c for c in value.guards if c is not cond]


def _moved(value: Term, guards: Iterable[Cond], moved: Mapping[Index, Subscript]) -> Term | None:
    """The term with these guards and bound indices replaced."""
    return term(
        value.coef,
        [i for i in value.bound if i not in moved],
        [substitute(c, moved) for c in guards],  # type: ignore[misc]
        [(substitute(a, moved), e) for a, e in value.factors],  # type: ignore[misc]
    )


def _solvable(sub: Subscript, index: Index) -> bool:
    """Whether ``index`` stands in ``sub`` once, at the top level, with a coefficient known to be
    nonzero."""
    n = sub.coefficient(index)
    return (_positive(n) or _positive(-n)) and index not in indices_of(sub - at(index) * n)


def _positive(n: Size) -> bool:
    """Whether a coefficient is a sum of products of names, which are taken for >= 1: strides and
    digits are."""
    return min((factor for _, factor in n.terms), default=0) > 0


def _solved(value: Term, cond: Zero, index: Index) -> Term | None:
    n = cond.sub.coefficient(index)
    rest = at(index) * n - cond.sub
    if not _positive(n):
        n, rest = -n, -rest
    solved = reduced(rest // n)

    def put(node: Expr | Cond) -> Tree:
        out = substitute(node, {index: solved})
        return map_subscripts(out, lambda sub: undivided(sub, n, rest))

    guards = [*map(put, _without(value, cond)), Divides(n, rest), Inside(solved, index.extent)]
    return term(
        value.coef,
        [i for i in value.bound if i is not index],
        guards,  # type: ignore[arg-type]
        [(put(a), e) for a, e in value.factors],  # type: ignore[misc]
    )


def undivided(sub: Subscript, divisor: Size, exact: Subscript) -> Subscript:
    """``sub`` where ``divisor`` is known to divide ``exact``: ``divisor·(exact // divisor)`` is
    ``exact``."""
    quotient = Quotient(exact, divisor)
    n = sub.coefficient(quotient)
    over = n.exactly_over(divisor) if n.terms else None
    return sub if over is None else sub - at(quotient) * n + exact * over


def _mixed_radix(value: Term, cond: Zero) -> Term | None:
    """``[Σ c_k·r_k = e]`` where the bound r_k are the digits of a number: all solved at once."""
    for sub in (cond.sub, -cond.sub):
        chain = _radix_chain(sub, value.bound)
        if len(chain) < 2:
            continue
        whole = -sub
        for index, n in chain:
            whole = whole + at(index) * n
        if any(index in indices_of(whole) for index, _ in chain):
            continue
        moved = _digits(whole, chain)
        top, _ = chain[-1]
        return _moved(value, [*_without(value, cond), Inside(moved[top], top.extent)], moved)
    return None


def _turned_round(value: Term, cond: Zero) -> Term | None:
    """``[D*q - r + c = e]``: with D - 1 - r for the digit r, both are digits of a number."""
    for sub in (cond.sub, -cond.sub):
        back = [i for i in value.bound if (n := sub.coefficient(i)).terms and _positive(-n)]
        turned = {i: constant(i.extent - 1) - at(i) for i in back}
        chain = _radix_chain(map_indices(sub, turned), value.bound)
        if back and chain and chain[-1][0] not in back and set(back) <= set(dict(chain)):
            moved = _moved(value, value.guards, turned)
            return moved and term(moved.coef, value.bound, moved.guards, moved.factors)
    return None


def _radix_chain(sub: Subscript, bound: Sequence[Index]) -> Chain:
    """The bound indices that are added up, from the lowest digit to the highest: each coefficient
    is the one before times its extent. Empty if they aren't digits."""
    coefficients = [(index, sub.coefficient(index)) for index in bound]
    left = [(index, n) for index, n in coefficients if n.terms and not _positive(-n)]
    chain: Chain = []
    need = size(1)
    while left:
        digit = next((d for d in left if d[1] is need), None)
        if digit is None:
            return []
        left.remove(digit)
        chain.append(digit)
        need = need * digit[0].extent
    return chain


def _in_digits(value: Term, index: Index) -> Term | None:
    """The term with a bound index that is read as digits, ``k // D`` and ``k % D``, as those, where
    one stands beside something else."""
    trees = (*value.guards, *(atom for atom, _ in value.factors))
    if not any(_stands_beside(index, tree, value.bound) for tree in trees):
        return None
    places = read_as(index, trees)
    if not places:
        return None
    taken = {i.name for i in indices_in(value)}
    names = ["q"] * (len(places) - 1) + ["r"]
    digits = [fresh(Index(name, n), taken) for name, (_, n) in zip(names, places, strict=True)]
    moved = {index: composed(digits, places)}
    return term(
        value.coef,
        [*(i for i in value.bound if i is not index), *digits],
        [substitute(c, moved) for c in value.guards],  # type: ignore[misc]
        [(substitute(a, moved), e) for a, e in value.factors],  # type: ignore[misc]
    )


def _stands_beside(index: Index, tree: Tree, bound: Sequence[Index]) -> bool:
    """Whether a digit of an index is added to another part of a place: in an equality to one of
    bound indices, other than ``[r = k // D]``, which is solved for r."""
    for node in nodes(tree):
        for sub in subscripts(node) if isinstance(node, Access | Zero) else ():
            for atom, n in sub.terms:
                if isinstance(atom, Index) or index not in indices_of(at(atom)):
                    continue
                rest = sub - at(atom) * n
                own = [i for i in indices_of(rest) if i in bound]
                alone = n.literal in (1, -1) and any(isolated(rest, i) is not None for i in own)
                if (own and not alone) if isinstance(node, Zero) else rest.terms:
                    return True
    return False


def _split_digits(value: Term, cond: Zero, kind: type[Quotient | Remainder]) -> Term | None:
    """``[h = e // D]`` and ``[d = e % D]`` with a bound index in e become an affine equality."""
    for atom, _ in cond.sub.terms:
        rest = isolated(cond.sub, atom)
        if not isinstance(atom, kind) or rest is None:
            continue
        inner = [i for i in indices_of(atom.value) if i in value.bound]
        if not inner or any(i in indices_of(rest) for i in inner):
            continue
        guards = _without(value, cond)
        taken = {i.name for i in indices_in(value)}
        if isinstance(atom, Quotient):
            r = fresh(Index("r", atom.divisor), taken)
            guards.append(Zero(atom.value - rest * atom.divisor - at(r)))
            return term(value.coef, (*value.bound, r), guards, value.factors)
        guards.append(Inside(rest, atom.divisor))
        known = bounds(atom.value)
        if known is None:
            continue
        first, last = (bound // atom.divisor for bound in known)
        q = fresh(Index("q", last - first + 1), taken)
        guards.append(Zero(atom.value - (at(q) + first) * atom.divisor - rest))
        return term(value.coef, (*value.bound, q), guards, value.factors)
    return None


def _rotations(cond: Zero, bound: Sequence[Index]) -> Iterator[_Rotation]:
    """Ways to read an equality as ``[a = (±i + c) % N]``, i over N values."""
    for atom, _ in cond.sub.terms:
        rest = isolated(cond.sub, atom)
        if not isinstance(atom, Remainder) or rest is None:
            continue
        free = [i for i in bound if i not in indices_of(rest)]
        for sign in (1, -1):
            for chain in _turned(atom.value * sign, atom.divisor, free):
                left = atom.value * sign
                for index, n in chain:
                    left = left - at(index) * n
                if not any(index in indices_of(left) for index, _ in chain):
                    yield cond, Inside(rest, atom.divisor), chain, rest * sign - left


def _rotated(value: Term, cond: Zero, held: Inside, chain: Chain, place: Subscript) -> Term | None:
    """i := (±(a - c)) % N."""
    guards = [*_without(value, cond), held]
    return _moved(value, guards, _digits(place % held.extent, chain))


def _turned(sub: Subscript, extent: Size, bound: Sequence[Index]) -> Iterator[Chain]:
    """The digits in a subscript, or the one index, that take each value below an extent once."""
    chain = _radix_chain(sub, bound)
    if chain and chain[-1][1] * chain[-1][0].extent is extent:
        yield chain
    for index in bound:
        if index.extent is extent and sub.coefficient(index).literal == 1:
            yield [(index, size(1))]


def _digits(place: Subscript, chain: Chain) -> dict[Index, Subscript]:
    """The digits of a number, the highest of which is not bounded."""
    moved = {index: reduced(place // n % index.extent) for index, n in chain}
    top, n = chain[-1]
    return {**moved, top: reduced(place // n)}
