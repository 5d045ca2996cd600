"""Guards put in order: the always-true ones dropped, those that can't hold together seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..ir.expr import (
    Access,
    And,
    Compare,
    Cond,
    Divides,
    Expr,
    IndexOf,
    Inside,
    Not,
    Number,
    Zero,
)
from ..ir.intern import kept
from ..ir.sizes import Size
from ..ir.subscripts import (
    Index,
    Lookup,
    Remainder,
    Subscript,
    at,
    bounds,
    indices_of,
    inside,
    is_name,
    isolated,
    reduced,
    within,
)
from ..ir.walk import Tree, bottom_up, free_indices, substitute


@kept
def tidy(node: Expr) -> Expr:
    """The same value with every subscript's quotients and remainders resolved where ranges decide
    them."""
    return bottom_up(node, _tidy_node)  # type: ignore[return-value]


def _tidy_node(node: Tree) -> Tree:
    match node:
        case Access(tensor, subs):
            return Access(tensor, tuple(reduced(sub) for sub in subs))
        case IndexOf(sub):
            return IndexOf(reduced(sub))
        case Zero(sub):
            return Zero(reduced(sub))
        case Inside(sub, extent):
            return Inside(reduced(sub), extent)
        case Divides(divisor, sub):
            return _divisible(divisor, reduced(sub))
        case Compare("==" | "!=" as op, one, other) if (gap := _difference(one, other)) is not None:
            return Zero(gap) if op == "==" else Not(Zero(gap))
        case Not(Divides(divisor, sub)) if divisor.literal == 2:
            return _divisible(divisor, reduced(sub + 1))
        case Not(Zero(sub)):
            return _other_place(sub) or node
        case Not(Inside(sub, extent)):
            return _only_place(sub, extent) or node
        case _:
            return node


def _difference(one: Expr, other: Expr) -> Subscript | None:
    """``c - y[n]`` for an index and an integer that are compared: where they are equal is a place,
    ``np.arange(C) == y[:, None]`` as well as ``[y[n] = c]``."""
    match one, other:
        case (IndexOf(sub), Access(tensor) as read) | (Access(tensor) as read, IndexOf(sub)):
            if tensor.kind == "int" and indices_of(sub):
                return reduced(sub - at(Lookup(read)))
    return None


def _divisible(divisor: Size, sub: Subscript) -> Cond:
    """``[D | D*q + r]`` is ``[r = 0]`` for a digit r, and ``[D | r]`` else."""
    rest = reduced(sub % divisor)
    match rest.atom:
        case Remainder(value, same) if same is divisor:
            return Divides(divisor, sub if value.terms == sub.terms else value)
    return Zero(rest)


def _other_place(sub: Subscript) -> Cond | None:
    """``[not r = 0]`` as ``[r = 1]`` where r has two values."""
    known = bounds(sub)
    if known is None:
        return None
    low, high = known
    if low.literal == 0 and high.literal == 1:
        return Zero(reduced(sub - 1))
    return Zero(reduced(sub + 1)) if low.literal == -1 and high.literal == 0 else None


def _only_place(sub: Subscript, extent: Size) -> Cond | None:
    """``[not 1 <= t]`` as ``[t = 0]``: the one place outside a range, None where there are more."""
    known = bounds(sub)
    if known is None:
        return None
    low, high = known
    if low.literal == -1 and (extent - 1 - high).at_least(0):
        return Zero(reduced(sub + 1))
    if low.at_least(0) and (high - extent).literal == 0:
        return Zero(reduced(sub - extent))
    return None


def says_where(cond: Cond) -> bool:
    """Whether a condition is that an index is what data says."""
    match cond:
        case Zero(sub):
            found = [atom for atom, _ in sub.terms]
            return any(isinstance(a, Lookup) for a in found) and any(
                isinstance(a, Index) and isolated(sub, a) is not None for a in found
            )
    return False


def in_range(guards: Iterable[Cond]) -> list[Cond]:
    """``[y[n] = c]`` as somebody's own condition: where y is no place of c's axis, there is no
    c."""
    out: list[Cond] = []
    for cond in guards:
        if isinstance(cond, Zero):
            for atom, _ in cond.sub.terms:
                other = isolated(cond.sub, atom)
                if isinstance(atom, Lookup) and other is not None and other.index is not None:
                    out.append(Inside(at(atom), other.index.extent))
    return out


def is_inside(sub: Subscript, extent: Size, held: Iterable[Cond]) -> bool:
    """Whether a subscript is inside an axis where some conditions hold: it is said so, or it is
    where an index of that axis is."""
    for cond in held:
        match cond:
            case Inside(other, n) if other is sub and n is extent:
                return True
            case Zero(place):
                found = [i for i, _ in place.terms if isinstance(i, Index) and i.extent is extent]
                if any(isolated(place, index) is sub for index in found):
                    return True
    return False


def positive_names(indices: Iterable[Index]) -> tuple[str, ...]:
    """The named sizes that are >= 1 wherever all these indices have a value."""
    names = {index.extent.names()[0] for index in indices if is_name(index.extent)}
    return tuple(sorted(names))


def settle(guards: Iterable[Cond], scope: Iterable[Index]) -> tuple[Cond, ...] | None:
    """Guards with the always-true ones dropped, sorted; None if they can't all hold."""
    return _settled(tuple(guards), tuple(scope))


@kept
def _settled(guards: tuple[Cond, ...], scope: tuple[Index, ...]) -> tuple[Cond, ...] | None:
    flat: dict[Cond, None] = {}
    for cond in guards:
        _spread(cond, flat)
    at_hand = [*scope, *(i for c in flat for i in free_indices(c))]
    names = positive_names(at_hand)
    taken = {index.extent for index in at_hand}
    pinned = _pinned(flat)
    held: dict[Cond, None] = {}
    for cond in flat:
        verdict = decide(cond, names)
        if verdict is None:
            verdict = _taken(cond, taken)
        if verdict is None and not isinstance(cond, Zero):
            verdict = decide(_tidy_cond(substitute(cond, pinned)), names)  # type: ignore[arg-type]
        if verdict is False:
            return None
        if verdict is None:
            held[_oriented(cond)] = None
    for cond in held:
        if negation(cond) in held or (isinstance(cond, Compare) and _clashes(cond, held)):
            return None
    kept = [c for c in held if not _weaker(c, held)]
    return tuple(sorted(kept, key=lambda cond: cond.key))


def _taken(cond: Cond, extents: set[Size]) -> bool | None:
    """True for a condition that an axis has a last place, False for the opposite, where an index
    runs over an axis of that extent: it takes a value, so there is one."""
    match cond:
        case Inside(Subscript((), last), extent) if extent in extents and last is extent - 1:
            return True
        case Not(Inside(Subscript((), last), extent)) if extent in extents:
            return False if last is extent - 1 else None
        case _:
            return None


def _pinned(guards: Iterable[Cond]) -> dict[Index, Subscript]:
    """Indices that an equality fixes to a size, as in ``[m - 1 = 0]``."""
    out: dict[Index, Subscript] = {}
    for cond in guards:
        match cond:
            case Zero(Subscript(((Index() as index, _),)) as sub):
                value = isolated(sub, index)
                if value is not None:
                    out[index] = value
    return out


def _spread(cond: Cond, into: dict[Cond, None]) -> None:
    match cond:
        case And(conds):
            for part in conds:
                _spread(part, into)
        case Not(Not(inner)):
            _spread(inner, into)
        case Inside(sub, extent) if extent.literal == 1:
            into[_tidy_cond(Zero(sub))] = None
        case _:
            into[_tidy_cond(cond)] = None


def _tidy_cond(cond: Cond) -> Cond:
    return tidy(cond)  # type: ignore[arg-type, return-value]


@kept
def decide(cond: Cond, positive: tuple[str, ...] = ()) -> bool | None:
    """Whether a condition always holds (True), never holds (False), or neither is proved (None)."""
    match cond:
        case Zero(sub):
            return _decide_zero(sub, positive)
        case Inside(sub, extent):
            return _decide_inside(sub, extent, positive)
        case Divides(divisor, sub):
            return _decide_divides(divisor, sub)
        case Compare(op, Number(a, ""), Number(b, "")):
            return {"<": a < b, "<=": a <= b, "==": a == b, "!=": a != b}[op]
        case Compare(op, left, right) if left is right and op == "<":
            return False
        case Not(inner):
            verdict = decide(inner, positive)
            return None if verdict is None else not verdict
        case _:
            return None


def _decide_zero(sub: Subscript, positive: Sequence[str]) -> bool | None:
    known = bounds(sub)
    if known is None:
        return None
    low, high = known
    if low.at_least(1, positive) or (-high).at_least(1, positive):
        return False
    return True if low.literal == high.literal == 0 else None


def _decide_inside(sub: Subscript, extent: Size, positive: Sequence[str]) -> bool | None:
    if inside(sub, extent, positive):
        return True
    known = bounds(sub)
    if known is None:
        return None
    low, high = known
    never = (low - extent).at_least(0, positive) or (-high).at_least(1, positive)
    return False if never else None


def _decide_divides(divisor: Size, sub: Subscript) -> bool | None:
    parts = [*(n for _, n in sub.terms), sub.const]
    if all(n.exactly_over(divisor) is not None for n in parts):
        return True
    if not sub.terms and sub.const.literal is not None and divisor.literal:
        return False
    return None


def _oriented(cond: Cond) -> Cond:
    match cond:
        case Zero(sub) if sub.terms and (-sub.terms[0][1]).at_least(1):
            return Zero(-sub)
        case Compare("==" | "!=" as op, left, right):
            return Compare(op, *sorted((left, right), key=lambda side: side.key))
        case Not(inner):
            return Not(_oriented(inner))
        case _:
            return cond


def negation(cond: Cond) -> Cond:
    """The condition that holds exactly where ``cond`` doesn't (NaN included)."""
    match cond:
        case Not(inner):
            return inner
        case Compare("==", left, right):
            return Compare("!=", left, right)
        case Compare("!=", left, right):
            return Compare("==", left, right)
        case _:
            return Not(cond)


def _clashes(cond: Compare, held: Mapping[Cond, None]) -> bool:
    op, left, right = cond.op, cond.left, cond.right
    swapped = Compare("<", right, left)
    if op == "<":
        equal = _oriented(Compare("==", left, right))
        return swapped in held or Compare("<=", right, left) in held or equal in held
    return False


def _weaker(cond: Cond, held: Mapping[Cond, None]) -> bool:
    """Whether another guard that is held implies this one."""
    match cond:
        case Compare("<=", left, right):
            return Compare("<", left, right) in held or (
                _oriented(Compare("==", left, right)) in held
            )
        case Compare("!=", left, right):
            return Compare("<", left, right) in held or Compare("<", right, left) in held
        case Inside():
            return any(isinstance(c, Inside) and _narrower(c, cond) for c in held)
        case _:
            return False


def _narrower(one: Inside, other: Inside) -> bool:
    """Whether a range implies another one of the same subscript, shifted; of two that say the same
    the one of the simpler extent does."""
    return _within(one, other) and (not _within(other, one) or _simpler(one) < _simpler(other))


def _within(one: Inside, other: Inside) -> bool:
    """Whether ``other`` follows from ``one``."""
    ahead = other.sub - one.sub
    if ahead.terms:
        return False
    above, below = within(other.sub, other.extent)
    return (above or ahead.const.at_least(0)) and (
        below or (other.extent - one.extent - ahead.const).at_least(0)
    )


def _simpler(cond: Inside) -> tuple[int, str]:
    return len(cond.extent.terms), cond.key
