"""Products with the inverse of a matrix as solutions of linear equations: no inverse is formed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..ir.expr import Access, Expr, Mul, Opaque, Reduce, Tensor
from ..ir.program import Define
from ..ir.recurrence import in_order
from ..ir.subscripts import Index, at
from ..ir.walk import Tree, bottom_up, nodes, substitute, tensors
from .linear import Linear

MOST = 2
"""More systems than this with one matrix are cheaper by its inverse."""


@dataclass(frozen=True)
class _System:
    """``operation(matrix, right)`` at these indices."""

    operation: str
    operands: tuple[Tensor, Tensor]
    subs: tuple[Index, ...]

    @property
    def key(self) -> tuple[str, tuple[Tensor, Tensor]]:
        return self.operation, self.operands

    @property
    def body(self) -> Opaque:
        return Opaque(self.operation, self.operands, tuple(map(at, self.subs)))


def solved(statements: Sequence[Define], linear: Linear) -> list[Define]:
    """The statements of a backward pass, every made-up inverse that only multiplies replaced."""
    out = list(statements)
    for define in linear.later:
        body = define.body
        if isinstance(body, Opaque) and body.operation == "inverse":
            out = _without(define.target, body.operands[0], out, linear)
    return out


def _without(
    inverse: Tensor, matrix: Tensor, statements: list[Define], linear: Linear
) -> list[Define]:
    """The statements with systems in place of an inverse; as they are where one needs it."""
    found: dict[Reduce, _System] = {}
    for s in statements:
        if s.scatter is not None and inverse in tensors(s.scatter):
            return statements
        for node in nodes(s.body):
            system = _system(node, inverse, matrix) if isinstance(node, Reduce) else None
            if isinstance(node, Reduce) and system is not None:
                found[node] = system
        if inverse in tensors(_replaced(s.body, dict.fromkeys(found, None))):
            return statements
    if not found or len({system.key for system in found.values()}) > MOST:
        return statements
    made: dict[tuple[str, tuple[Tensor, Tensor]], Tensor] = {}
    out: list[Define] = []
    for s in statements:  # a statement that is nothing else gives the system its name
        whole = found.get(s.body) if isinstance(s.body, Reduce) else None
        if whole is not None and whole.subs == s.indices and whole.key not in made:
            made[whole.key] = s.target
    for system in found.values():
        if system.key not in made:
            made[system.key] = _named(system, linear, out)
    for s in statements:
        whole = found.get(s.body) if isinstance(s.body, Reduce) else None
        if whole is not None and made[whole.key] is s.target:
            out.append(replace(s, body=whole.body))
            continue
        reads: dict[Reduce, Expr | None] = {
            node: Access(made[system.key], tuple(map(at, system.subs)))
            for node, system in found.items()
        }
        out.append(replace(s, body=_replaced(s.body, reads)))
    return in_order(out)


def _named(system: _System, linear: Linear, out: list[Define]) -> Tensor:
    right = system.operands[1]
    target = Tensor(linear.name(f"solved_{right.name}"), right.shape, right.dtype)
    axes = linear.axes(target)
    if right in linear.letters:
        linear.letters[target] = linear.letters[right]
    moved = dict(zip(system.subs, map(at, axes), strict=True))
    out.append(Define(target, axes, substitute(system.body, moved), user=False))  # type: ignore[arg-type]
    return target


def _replaced(body: Expr, reads: dict[Reduce, Expr | None]) -> Expr:
    """The body with sums replaced (by a read; by nothing that reads where that is None)."""

    def change(tree: Tree) -> Tree:
        if isinstance(tree, Reduce) and tree in reads:
            return reads[tree] or Mul(())
        return tree

    return bottom_up(body, change)  # type: ignore[return-value]


def _system(node: Reduce, inverse: Tensor, matrix: Tensor) -> _System | None:
    """``Σ_j inverse[.., i, j]·right[.., j, k]`` or the same with the inverse transposed."""
    if node.op != "sum" or node.domain or len(node.indices) != 1 or not isinstance(node.body, Mul):
        return None
    reads = [f for f in node.body.factors if isinstance(f, Access)]
    if len(reads) != 2 or len(node.body.factors) != 2:
        return None
    left, right = sorted(reads, key=lambda a: a.tensor is not inverse)
    if left.tensor is not inverse or right.tensor is inverse:
        return None
    rows, places = _plain(left), _plain(right)
    (bound,) = node.indices
    if rows is None or places is None or bound not in rows[-2:] or bound in rows[:-2]:
        return None
    count = len(rows) - 2
    free = rows[-1] if rows[-2] is bound else rows[-2]
    more = places[count + 1 :]
    if places[:count] != rows[:count] or len(places) <= count or places[count] is not bound:
        return None
    if len(more) > 1 or set(more) & set(rows) or free is bound:
        return None
    name = "solve" if rows[-1] is bound else "solve_transposed"
    name += "_columns" if more else ""
    return _System(name, (matrix, right.tensor), (*rows[:count], free, *more))


def _plain(access: Access) -> tuple[Index, ...] | None:
    """The indices that a tensor is read at, one an axis over all of it; None otherwise."""
    found = [sub.index for sub in access.subs]
    plain = tuple(index for index in found if index is not None)
    whole = all(i.extent is n for i, n in zip(plain, access.tensor.shape, strict=False))
    return plain if len(plain) == len(found) == len(set(plain)) and whole else None
