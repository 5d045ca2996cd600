"""Products with the inverse of a matrix as solutions of linear equations: no inverse is formed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..ir.expr import ZERO, Access, Expr, Mul, Opaque, Reduce, Tensor
from ..ir.program import Define
from ..ir.subscripts import Index, at
from ..ir.walk import Tree, bottom_up, nodes, substitute, tensors
from ..opaque import SYSTEMS
from .linear import Linear
from .residuals import is_whole

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
        match define.body:
            case Opaque(name, (matrix,), _) if name in SYSTEMS:
                out = _without(define.target, matrix, SYSTEMS[name], out, linear)
            case Opaque("exponential_slopes", (matrix,), _):
                from .exponentials import without_slopes  # needed where there is one

                out = without_slopes(define.target, matrix, out, linear)
    return out


def _without(
    inverse: Tensor, matrix: Tensor, word: str, statements: list[Define], linear: Linear
) -> list[Define]:
    """The statements with systems in place of an inverse; as they are where one needs it."""
    given = statements
    statements = [_one_form(s, inverse) for s in given]
    found: dict[Tree, _System] = {}
    for s in statements:
        for node in nodes(s.body):
            system = _system(node, inverse, matrix, word)
            if system is not None:
                found[node] = system
        if inverse in tensors(_replaced(s.body, dict.fromkeys(found, ZERO))):
            return given
    if len({system.key for system in found.values()}) > MOST:
        return given
    made: dict[tuple[str, tuple[Tensor, Tensor]], Tensor] = {}
    out: list[Define] = []
    for s in statements:  # a statement that is nothing else gives the system its name
        whole = found.get(s.body)
        if whole is not None and whole.subs == s.indices:
            made.setdefault(whole.key, s.target)
    for system in found.values():
        if system.key not in made:
            made[system.key] = _named(system, linear, out)
    reads: dict[Tree, Expr] = {
        node: Access(made[system.key], tuple(map(at, system.subs)))
        for node, system in found.items()
    }
    for s in statements:
        whole = found.get(s.body)
        if whole is not None and made[whole.key] is s.target:
            out.append(replace(s, body=whole.body))
        else:
            out.append(replace(s, body=_replaced(s.body, reads)))
    return out


def _one_form(statement: Define, inverse: Tensor) -> Define:
    """The statement without its form as a scatter, where that multiplies with an inverse."""
    if statement.scatter is not None and inverse in tensors(statement.scatter):
        return replace(statement, scatter=None)
    return statement


def _named(system: _System, linear: Linear, out: list[Define]) -> Tensor:
    right = system.operands[1]
    target = Tensor(linear.name(f"solved_{right.name}"), right.shape, right.dtype)
    axes = linear.axes(target)
    linear.letters[target] = linear.letters[right]
    moved = dict(zip(system.subs, map(at, axes), strict=True))
    out.append(Define(target, axes, substitute(system.body, moved), user=False))  # type: ignore[arg-type]
    return target


def _replaced(body: Expr, reads: Mapping[Tree, Expr]) -> Expr:
    """The body with sums replaced."""
    return bottom_up(body, lambda tree: reads.get(tree, tree))  # type: ignore[return-value]


def _system(node: Tree, inverse: Tensor, matrix: Tensor, word: str) -> _System | None:
    """``Σ_j inverse[.., i, j]·right[.., j, k]`` or the same with the inverse transposed."""
    match node:
        case Reduce("sum", (bound,), (), Mul((Access() as left, Access() as right))):
            pass
        case _:
            return None
    if right.tensor is inverse:
        left, right = right, left
    rows, places = plain_indices(left), plain_indices(right)
    if left.tensor is not inverse or right.tensor is inverse or bound not in rows[-2:]:
        return None
    *batch, row, column = rows
    name, free = (word, row) if bound is column else (f"{word}_transposed", column)
    more = places[len(batch) + 1 :]
    if places != (*batch, bound, *more) or len(more) > 1 or free in more:
        return None
    name += "_columns" if more else ""
    return _System(name, (matrix, right.tensor), (*batch, free, *more))


def plain_indices(access: Access) -> tuple[Index, ...]:
    """The indices that a tensor is read at, one an axis over all of it; nothing otherwise."""
    found = [sub.index for sub in access.subs if is_whole(access)]
    plain = tuple(index for index in found if index is not None)
    return plain if len(plain) == len(set(plain)) else ()
