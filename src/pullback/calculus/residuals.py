"""What the backward pass keeps of the forward pass: conditions read a value that is kept anyway.

After ``A = max(H, 0)``, ``[H > 0]`` is ``[A > 0]``: where the backward pass reads A too and H for
nothing else, H need not be kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..ir.expr import ZERO, Access, Apply, Compare, Expr, Guard, Mul, Tensor
from ..ir.program import Define
from ..ir.subscripts import Index, Subscript
from ..ir.walk import Tree, accesses, bottom_up, substitute, tensors


def fewer_residuals(statements: Sequence[Define], forward: Mapping[Tensor, Define]) -> list[Define]:
    """The statements of a backward pass, reading no value of which they only need a condition that
    another value tells that they read."""
    out = list(statements)
    for target in dict.fromkeys(t for s in statements for t in tensors(s.body) if t in forward):
        for known in _equal(forward[target]):
            changed = [_told(s, known) for s in out]
            if not any(known.spared in tensors(s.body) for s in changed):
                out = changed
    return out


@dataclass(frozen=True)
class _Equal:
    """``cond``, which reads ``spared``, holds exactly where ``told`` does, at all ``indices`` of a
    statement."""

    cond: Compare
    told: Compare
    spared: Tensor
    define: Define

    def at(self, cond: Compare) -> dict[Index, Subscript] | None:
        """The subscripts for the statement's indices at which ``cond`` is this condition."""
        place = {
            sub.index: value
            for mine, other in zip(accesses(self.cond), accesses(cond), strict=False)
            for sub, value in zip(mine.subs, other.subs, strict=False)
            if sub.index is not None
        }
        complete = place.keys() >= set(self.define.indices)
        return place if complete and substitute(self.cond, place) is cond else None


def _equal(define: Define) -> Iterator[_Equal]:
    """The conditions that the value of a statement tells (a NaN fails them all)."""
    found: list[tuple[Expr, Compare, Compare]] = []
    value = define.access
    match define.body:
        case Apply("maximum", (a, b)):
            found += [(x, Compare("<", y, x), Compare("<", y, value)) for x, y in ((a, b), (b, a))]
        case Apply("minimum", (a, b)):
            found += [(x, Compare("<", x, y), Compare("<", value, y)) for x, y in ((a, b), (b, a))]
        case Mul((x, Guard(Compare("<", zero, y) as cond))) | Mul(
            (Guard(Compare("<", zero, y) as cond), x)
        ) if x is y and zero is ZERO:
            found.append((x, cond, Compare("<", zero, value)))
    for spared, cond, told in found:
        if not isinstance(spared, Access) or spared.tensor.dtype != define.target.dtype:
            continue  # a value that is rounded may be equal to what it was greater than
        if all(map(is_whole, accesses(cond))):
            yield _Equal(cond, told, spared.tensor, define)


def is_whole(access: Access) -> bool:
    """Whether a tensor is read over all its axes."""
    shape = access.tensor.shape
    return all(
        s.index is not None and s.index.extent is n for s, n in zip(access.subs, shape, strict=True)
    )


def _told(statement: Define, known: _Equal) -> Define:
    """The statement with that condition told by the other value."""

    def change(tree: Tree) -> Tree:
        place = known.at(tree) if isinstance(tree, Compare) else None
        return tree if place is None else substitute(known.told, place)

    body = bottom_up(statement.body, change)
    scatter = None if statement.scatter is None else bottom_up(statement.scatter, change)
    return replace(statement, body=body, scatter=scatter)  # type: ignore[arg-type]
