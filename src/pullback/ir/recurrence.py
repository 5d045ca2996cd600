"""Recurrences: statements that need each other, evaluated step by step along their first indices.

A statement may read its own target, or one that is defined further down, at another place of the
first index: ``H[t,j] = tanh(X[t,j] + where(t >= 1, H[t-1,j], h[j]))``. Statements that need each
other make a *group*. It has a value if it can be evaluated one place of the first index after the
other, upwards or downwards: at each place all its statements in their order. No statement says
that it belongs to a group; what it reads does.

At one place of the first index, statements may again need each other: ``u[i,j] = u[i-1,j] +
u[i,j-1]``. They are then a group along the next index, evaluated one place of that after the other.
So ``axis`` says in what follows along which of their indices a group's steps go: only what is read
at the same place of all indices before is needed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush

from .expr import Access, Cond, Guard, Mul, Opaque, Tensor, Zero
from .matrices import batch_axes
from .program import Define, reads
from .subscripts import Index, Subscript, at, indices_of
from .walk import Tree, accesses, bottom_up, map_tensors

Group = tuple[Define, ...]


def groups(statements: Sequence[Define], axis: int = 0) -> list[Group]:
    """The statements, those that need each other together and every other one alone.

    They must be in order (:func:`in_order`).
    """
    found: list[Group] = []
    start = end = 0
    for k, needed in enumerate(_needs(statements, axis)):
        end = max(end, k, *needed)
        if k == end:
            found.append(tuple(statements[start : k + 1]))
            start = k + 1
    return found


def is_recurrent(group: Group, axis: int = 0) -> bool:
    """Whether statements need themselves."""
    if len(group) > 1:
        return True
    return bool(_needs(group, axis)[0])


def recurrent(statements: Sequence[Define]) -> dict[Tensor, int]:
    """The targets of all recurrences among statements, in whatever order these are, and along how
    many indices the steps of each go."""
    every = [group for group in groups(in_order(statements)) if is_recurrent(group)]
    return {s.target: along for group in every for along in [depth(group)] for s in group}


def read_ahead(statements: Sequence[Define]) -> frozenset[Tensor]:
    """The targets that a statement reads which is not further down."""
    place = {s.target: k for k, s in enumerate(statements)}
    return frozenset(t for k, s in enumerate(statements) for t in reads(s) if place.get(t, -1) >= k)


def offset(statement: Define, access: Access, axis: int = 0) -> int | None:
    """How many places ahead on an index an access reads (-1: the one before).

    None where that is no fixed number.
    """
    if len(access.subs) <= axis or len(statement.indices) <= axis:
        return None
    ahead = access.subs[axis] - at(statement.indices[axis])
    return None if ahead.terms else ahead.const.literal


def reads_at(statement: Define) -> tuple[Access, ...]:
    """The reads of a statement, and of the operands of a matrix operation those of their matrices:
    ``inverse(A)[t,i,j]`` reads ``A[t]``."""
    if not isinstance(statement.body, Opaque):
        return accesses(statement.body)
    body = statement.body
    batch = body.subs[: batch_axes(body.operation, len(body.operands[0].shape))]
    return tuple(Access(tensor, batch) for tensor in body.operands)


def _is_here(statement: Define, access: Access, axis: int) -> bool:
    """Whether an access reads at the same place of all indices before ``axis`` that both have."""
    shared = min(axis, len(access.subs), len(statement.indices))
    return all(offset(statement, access, k) == 0 for k in range(shared))


def offsets(group: Group, axis: int = 0) -> list[tuple[Define, Access, int | None]]:
    """The reads of a group's own targets, each with its statement and :func:`offset`."""
    made = {s.target for s in group}
    return [
        (s, a, offset(s, a, axis))
        for s in group
        for a in reads_at(s)
        if a.tensor in made and _is_here(s, a, axis)
    ]


def elsewhere(group: Group, axis: int = 0) -> list[tuple[Define, Access]]:
    """The reads of a group's own targets at other places than that at hand, along any index that
    it steps along, each with its statement."""
    found = [(s, a) for s, a, ahead in offsets(group, axis) if ahead]
    for inner in groups(group, axis + 1):
        if _steps_within(inner, axis + 1):
            found += elsewhere(inner, axis + 1)
    return found


def direction(group: Group, axis: int = 0) -> int:
    """1 where a group runs upwards along an index (or may run either way), -1 downwards, 0 where
    neither is sure, or where what is left at one place of it can't be evaluated step by step."""
    extents = {s.indices[axis].extent if len(s.indices) > axis else None for s in group}
    steps = [n for _, _, n in offsets(group, axis) if n != 0]
    if len(extents) > 1 or None in steps:
        return 0
    turn = 1 if all(n < 0 for n in steps) else -1 if all(n > 0 for n in steps) else 0  # type: ignore[operator]
    inner = [own for own in groups(group, axis + 1) if is_recurrent(own, axis + 1)]
    return turn if all(direction(own, axis + 1) for own in inner) else 0


def depth(group: Group, axis: int = 0) -> int:
    """Along how many indices a group's steps go, from ``axis`` on."""
    inner = [own for own in groups(group, axis + 1) if _steps_within(own, axis + 1)]
    return 1 + max((depth(own, axis + 1) for own in inner), default=0)


def _steps_within(group: Group, axis: int) -> bool:
    """Whether statements need each other, at other places of an index that they have."""
    return is_recurrent(group, axis) and all(len(s.indices) > axis for s in group)


def unpinned(statement: Define, made: Collection[Tensor]) -> Define:
    """The statement reading ``made`` at its own first index where an equality says what that is:
    ``[t = 0]*A[1]`` is ``[t = 0]*A[t+1]``, and ``[t = s]*A[s+1]`` is ``[t = s]*A[t+1]``, of which
    the step can be told."""
    if not statement.indices:
        return statement
    index = statement.indices[0]

    def change(node: Tree) -> Tree:
        factors = node.factors if isinstance(node, Mul) else ()
        conds = [f.cond for f in factors if isinstance(f, Guard)]
        fixed = [place for c in conds if (place := _fixed(c, index)) is not None]

        def moved(access: Access) -> Access:
            if access.tensor not in made or not access.subs or not fixed:
                return access
            for place in fixed:
                ahead = access.subs[0] - place
                if not ahead.terms:
                    return Access(access.tensor, (at(index) + ahead, *access.subs[1:]))
            return access

        if not fixed:
            return node
        return map_tensors(node, moved)

    body = bottom_up(statement.body, change)
    return statement if body is statement.body else replace(statement, body=body)  # type: ignore[arg-type]


def _fixed(cond: Cond, index: Index) -> Subscript | None:
    """What a condition says an index is, if it says so."""
    if not isinstance(cond, Zero):
        return None
    sign = next((n.literal for atom, n in cond.sub.terms if atom is index), None)
    if sign not in (1, -1):
        return None
    found = at(index) - cond.sub * sign
    return None if index in indices_of(found) else found


def in_order(statements: Sequence[Define], axis: int = 0) -> list[Define]:
    """The statements in an order in which each reads only earlier ones and its own group; stable.

    Those of a group stand together, in an order in which they can be evaluated at one place.
    """
    needs = _needs(statements, axis)
    if all(needed < k for k, own in enumerate(needs) for needed in own):
        return list(statements)
    if all(len(s.indices) < axis for s in statements):  # the same place of all indices
        raise AssertionError("statements that need each other")
    part = _components(needs)
    members: dict[int, list[int]] = {}
    for k, of in enumerate(part):
        members.setdefault(of, []).append(k)
    found = [
        in_order([statements[k] for k in own], axis + 1) if _is_circle(own, needs)
        else [statements[k] for k in own]
        for own in members.values()
    ]  # fmt: skip
    groups_of = {of: n for n, of in enumerate(members)}
    outer = [
        {groups_of[part[n]] for k in own for n in needs[k]} - {groups_of[of]}
        for of, own in members.items()
    ]
    return [s for n in _sorted(outer) for s in found[n]]


def _is_circle(own: Sequence[int], needs: Sequence[Sequence[int]]) -> bool:
    """Whether the places of one component need each other, or themselves."""
    return len(own) > 1 or own[0] in needs[own[0]]


def _needs(statements: Sequence[Define], axis: int = 0) -> list[list[int]]:
    """For every statement, the places of those whose targets it reads, at the same place of the
    indices before ``axis``."""
    place = {s.target: k for k, s in enumerate(statements)}
    if not axis:
        return [[place[t] for t in reads(s) if t in place] for s in statements]
    return [
        [place[a.tensor] for a in reads_at(s) if a.tensor in place and _is_here(s, a, axis)]
        for s in statements
    ]


def _sorted(needs: Sequence[set[int]]) -> list[int]:
    """Places so that what each needs comes before it, otherwise in their order."""
    users: dict[int, list[int]] = {}
    for k, own in enumerate(needs):
        for needed in own:
            users.setdefault(needed, []).append(k)
    missing = [len(own) for own in needs]
    ready = [k for k, count in enumerate(missing) if not count]
    heapify(ready)
    out: list[int] = []
    while ready:
        done = heappop(ready)
        out.append(done)
        for user in users.get(done, ()):
            missing[user] -= 1
            if not missing[user]:
                heappush(ready, user)
    if len(out) < len(needs):
        raise AssertionError("statements that need each other")
    return out


def _components(needs: Sequence[Sequence[int]]) -> list[int]:
    """For every place the component that it is in: places that need each other have the same."""
    users: list[list[int]] = [[] for _ in needs]
    for k, own in enumerate(needs):
        for needed in own:
            users[needed].append(k)
    component = [-1] * len(needs)
    for root in reversed(_finished(needs)):
        stack = [root] if component[root] < 0 else []
        while stack:
            k = stack.pop()
            if component[k] < 0:
                component[k] = root
                stack.extend(user for user in users[k] if component[user] < 0)
    return component


def _finished(needs: Sequence[Sequence[int]]) -> list[int]:
    """Places in the order in which a search that goes to what each needs leaves them."""
    seen = [False] * len(needs)
    out: list[int] = []
    for root in range(len(needs)):
        stack = [] if seen[root] else [(root, iter(needs[root]))]
        seen[root] = True
        while stack:
            k, rest = stack[-1]
            inner = next((n for n in rest if not seen[n]), None)
            if inner is None:
                out.append(k)
                stack.pop()
            else:
                seen[inner] = True
                stack.append((inner, iter(needs[inner])))
    return out
