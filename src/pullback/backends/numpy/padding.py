"""Reads that a guard keeps inside an array, as reads of a padded array without the guard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...ir.expr import Access, And, Cond, Expr, Guard, Inside, Mul, Number, Select, Tensor, mul
from ...ir.sizes import Size, size
from ...ir.subscripts import Index, Subscript, bounds
from ...ir.walk import Tree, accesses, bottom_up
from ...plan.terms import in_bounds
from ..python.code import Code, call, leaf, tuple_of
from ..python.extents import LOCAL
from .arrays import Array

if TYPE_CHECKING:
    from .expressions import Speller
    from .scope import Scope


@dataclass(frozen=True)
class Margin:
    """How far a subscript reaches beyond an axis, below and above."""

    low: Size
    high: Size


def margin(scope: Scope, sub: Subscript, extent: Size) -> Margin | None:
    """The margin an axis needs so that every value of ``sub`` is inside; None if that isn't known.

    The upper margin may be wider than needed where that makes it the same as the lower one.
    """
    if not all(isinstance(atom, Index) for atom, _ in sub.terms):
        return None
    known = bounds(sub)
    if known is None:
        return None
    least, most = known
    low = _at_least_zero(scope, -least)
    above = most - extent + 1
    high = low if (low - above).at_least(0) else _at_least_zero(scope, above)
    return Margin(low, high)


def _at_least_zero(scope: Scope, value: Size) -> Size:
    """``max(0, value)`` as a size; a name is made for it where its sign isn't known."""
    if (-value).at_least(0):
        return size(0)
    if value.at_least(0):
        return value
    return scope.local_size("margin", call("max", 0, scope.size(value)))


def padded(
    speller: Speller, access: Access, conds: Sequence[Cond], fill: str = "0"
) -> tuple[Access, list[Cond]] | None:
    """A read of ``access``'s tensor with margins, and the conditions that it makes unneeded.

    None where no condition speaks of the access.
    """
    subs: list[Subscript] = []
    margins: list[Margin] = []
    used: list[Cond] = []
    for sub, extent in zip(access.subs, access.tensor.shape, strict=True):
        cond = Inside(sub, extent)
        found = margin(speller.scope, sub, extent) if cond in conds else None
        if found is None:
            found = Margin(size(0), size(0))
        else:
            used.append(cond)
        margins.append(found)
        subs.append(sub + found.low)
    if not used:
        return None
    if not any(m.low.terms or m.high.terms for m in margins):
        return access, used
    return Access(_padded_tensor(speller, access.tensor, margins, fill), tuple(subs)), used


def _padded_tensor(
    speller: Speller, tensor: Tensor, margins: Sequence[Margin], fill: str
) -> Tensor:
    """The tensor with margins, made once."""
    scope = speller.scope
    shape = tuple(n + m.low + m.high for n, m in zip(tensor.shape, margins, strict=True))
    lows = tuple(m.low for m in margins)
    key = (tensor, shape, lows, fill)
    if key not in scope.paddings:
        made = Tensor(f"{speller.name_of(tensor)}_pad", shape, tensor.dtype)
        name = scope.names.fresh(made.name)
        widths = [f"({scope.size(m.low)}, {scope.size(m.high)})" for m in margins]
        named = {} if fill == "0" else {"constant_values": fill}
        scope.emit(f"{name} = {call('np.pad', speller.name_of(tensor), tuple_of(widths), **named)}")
        made = Tensor(name + LOCAL, shape, tensor.dtype)
        scope.arrays[made] = Array(leaf(Code(name)), (), tensor.dtype, view=True)
        scope.paddings[key] = made
    return scope.paddings[key]


def padded_select(speller: Speller, expr: Select) -> Access | None:
    """``where(inside, X[...], number)`` as a read of a padded array."""
    conds = expr.cond.conds if isinstance(expr.cond, And) else (expr.cond,)
    before = speller.scope.kept()
    if not isinstance(expr.then, Access) or not isinstance(expr.other, Number):
        return None
    if expr.then.tensor.kind != "float":
        return None
    fill = {"": str(float(expr.other.value)), "inf": "np.inf", "-inf": "-np.inf", "nan": "np.nan"}
    found = padded(speller, expr.then, conds, fill[expr.other.special].removesuffix(".0"))
    if found is None or set(found[1]) != set(conds) or not in_bounds(found[0]):
        speller.scope.restore(before)
        return None
    return found[0]


def padded_factors(
    speller: Speller, factors: Sequence[Expr]
) -> tuple[list[Expr], list[Cond]] | None:
    """The factors of a product with guarded reads padded, and the conditions that are still needed.

    None where nothing is gained. What is read without a margin must be in bounds everywhere.
    """
    conds = [f.cond for f in factors if isinstance(f, Guard)]
    before = speller.scope.kept()
    left = dict.fromkeys(conds)
    changed: list[Expr] = []
    for factor in factors:
        if isinstance(factor, Guard):
            continue
        found = padded(speller, factor, conds) if isinstance(factor, Access) else None
        if found is not None:
            left = {cond: None for cond in left if cond not in found[1]}
        changed.append(found[0] if found is not None else factor)
    if len(left) == len(conds):
        return None
    if not all(in_bounds(access) for tree in (*changed, *left) for access in accesses(tree)):
        speller.scope.restore(before)
        return None
    return changed, list(left)


def prepared(speller: Speller, body: Expr, op: str) -> Expr:
    """``body`` with its guarded reads padded, where the reduction ``op`` allows."""

    def change(tree: Tree) -> Tree:
        if isinstance(tree, Select):
            return padded_select(speller, tree) or tree
        if isinstance(tree, Mul) and (op == "sum" or len(tree.factors) == 2):
            found = padded_factors(speller, tree.factors)
            if found is not None:
                return mul(*map(Guard, found[1]), *found[0])
        return tree

    return bottom_up(body, change)  # type: ignore[return-value]
