"""Products with the derivative of a matrix exponential as exponentials of twice the size: the array
of all slopes, of four axes, isn't formed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir.expr import ONE, Access, Expr, Guard, Mul, Opaque, Reduce, Tensor, Zero, mul, total
from ..ir.program import Define
from ..ir.subscripts import Index, at
from ..ir.walk import Tree, bottom_up, free_indices, nodes, substitute, tensors
from .linear import Linear
from .solves import plain_indices

SUMMED = {"exponential_pulled": (-4, -3), "exponential_pushed": (-2, -1)}
"""By operation, the axes of the slopes that are summed over."""


def without_slopes(
    slopes: Tensor, matrix: Tensor, statements: list[Define], linear: Linear
) -> list[Define]:
    """The statements with exponentials in place of slopes; as they are where one needs these."""
    out: list[Define] = []
    for s in statements:
        if s.scatter is not None and slopes in tensors(s.scatter):
            s = replace(s, scatter=None)
        reads: dict[Tree, Expr] = {}
        for node in nodes(s.body):
            found = _product(node, slopes)
            if found is None:
                continue
            operation, batch, pair, free, rest = found
            if (same := _along_identity(found, matrix, linear)) is not None:
                reads[node] = same
                continue
            along = _along((*batch, *pair), rest, slopes, linear, out)
            body = Opaque(operation, (matrix, along), tuple(map(at, (*batch, *free))))
            if node is s.body and s.indices == (*batch, *free):
                reads[node] = body
                continue
            target = Tensor(linear.name(f"pulled_{along.name}"), along.shape, along.dtype)
            axes = linear.axes(target)
            linear.letters[target] = linear.letters[along]
            moved = dict(zip((*batch, *free), map(at, axes), strict=True))
            out.append(Define(target, axes, substitute(body, moved), user=False))  # type: ignore[arg-type]
            reads[node] = Access(target, body.subs)
        s = replace(s, body=_replaced(s.body, reads))
        if slopes in tensors(s.body):
            return statements
        out.append(s)
    return out


Product = tuple[str, tuple[Index, ...], tuple[Index, ...], tuple[Index, ...], Expr]


def _product(node: Tree, slopes: Tensor) -> Product | None:
    """A sum of slopes times something, over the row and column of one matrix: the operation, the
    batch, that row and column, the ones that stay, and what the slopes are multiplied with."""
    match node:
        case Reduce("sum", bound, (), body):
            factors = body.factors if isinstance(body, Mul) else (body,)
        case _:
            return None
    read = [f for f in factors if isinstance(f, Access) and f.tensor is slopes]
    places = _indices(read[0]) if len(read) == 1 else ()
    if not places:
        return None
    batch = places[:-4]
    for operation, (row, column) in SUMMED.items():
        pair = places[row], places[column]
        free = places[-2:] if column == -3 else places[-4:-2]
        rest = mul(*(f for f in factors if f is not read[0])) if len(factors) > 1 else ONE
        left = tuple(i for i in bound if i not in pair)
        own = {*free_indices(rest)} - {*left, *batch, *pair}
        stay = (*batch, *free)
        if set(pair) <= set(bound) and len({*stay} - set(bound)) == len(stay) and not own:
            return operation, batch, pair, free, total(left, rest)
    return None


def _along_identity(found: Product, matrix: Tensor, linear: Linear) -> Expr | None:
    """Along the identity an exponential's derivative is the exponential itself."""
    operation, batch, pair, (row, column), rest = found
    if pair[0] is not pair[1] or pair[0] in free_indices(rest):
        return None
    own = Opaque("exponential", (matrix,), ())
    known = (t for t, s in linear.definitions.items() if _unread(s.body) is own)
    target = next(known, None)
    if target is None:
        return None
    turned = (row, column) if operation == "exponential_pushed" else (column, row)
    return mul(rest, Access(target, tuple(map(at, (*batch, *turned)))))


def _unread(body: Expr) -> Expr:
    return Opaque(body.operation, body.operands, ()) if isinstance(body, Opaque) else body


def _indices(access: Access) -> tuple[Index, ...]:
    """The indices that a tensor is read at, one an axis over all of it; nothing otherwise."""
    found = [sub.index for sub in access.subs]
    whole = tuple(
        index
        for index, n in zip(found, access.tensor.shape, strict=True)
        if index is not None and index.extent is n
    )
    return whole if len(whole) == len(found) else ()


def _along(
    places: tuple[Index, ...], rest: Expr, slopes: Tensor, linear: Linear, out: list[Define]
) -> Tensor:
    """The matrix that slopes are multiplied with: one that is there, or a statement of its own.

    Slopes that are read on a diagonal are multiplied with a matrix that is 0 beside its own.
    """
    if isinstance(rest, Access) and plain_indices(rest) == places:
        return rest.tensor
    shape = tuple(i.extent for i in places)
    target = Tensor(linear.name("along"), shape, slopes.dtype)
    axes = linear.axes(target)
    linear.letters[target] = linear.letters[slopes][: len(places)]
    moved = dict(zip(places, map(at, axes), strict=True))
    body: Expr = substitute(rest, moved)  # type: ignore[assignment]
    if places[-1] is places[-2]:
        body = mul(Guard(Zero(at(axes[-2]) - at(axes[-1]))), body)
    out.append(Define(target, axes, body, user=False))
    return target


def _replaced(body: Expr, reads: Mapping[Tree, Expr]) -> Expr:
    return bottom_up(body, lambda tree: reads.get(tree, tree)) if reads else body  # type: ignore[return-value]
