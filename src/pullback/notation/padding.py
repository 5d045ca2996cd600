"""Reads of padded arrays: values outside as conditions, modes as other places to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import LimitError
from ..ir.expr import ZERO, Access, And, Compare, Cond, Expr, Guard, IndexOf, Inside, Select, Tensor
from ..ir.sizes import Size
from ..ir.subscripts import Subscript, constant
from .bounds import inside, one_sided, pad_conditions
from .limits import MAX_PAD_READS
from .tree import Pad

if TYPE_CHECKING:
    from .lower import Lower

Places = tuple[list[tuple[Cond, Subscript]], Subscript]
"""Places to read under conditions, and the place otherwise."""


def _negative(sub: Subscript) -> Cond:
    return one_sided(sub, constant(0)) or Compare("<", IndexOf(sub), ZERO)


def pad(lower: Lower, node: Pad) -> list[Expr]:
    subs = lower.subs(node)
    tensor = lower.tensors[node.name]
    if node.mode:
        return [PADDING[node.mode](lower, node, tensor, subs)]
    fill = lower.whole(node.fill)
    conds = pad_conditions(subs, tensor.shape)
    read = lower.at(Access(tensor, subs), node)
    if fill is ZERO:
        return [*map(Guard, conds), read]
    if not conds:
        return [read]
    return [Select(conds[0] if len(conds) == 1 else And(conds), read, fill)]


def _wrap(lower: Lower, node: Pad, tensor: Tensor, subs: tuple[Subscript, ...]) -> Expr:
    """Subscripts modulo the extent."""
    moved = tuple(
        sub if inside(sub, extent) else sub % extent
        for sub, extent in zip(subs, tensor.shape, strict=True)
    )
    return lower.at(Access(tensor, moved), node)


def _edge(lower: Lower, node: Pad, tensor: Tensor, subs: tuple[Subscript, ...]) -> Expr:
    """The nearest element."""

    def places(sub: Subscript, extent: Size) -> Places:
        return [(Inside(sub, extent), sub), (_negative(sub), constant(0))], constant(extent - 1)

    return _chosen(lower, node, tensor, subs, places)


def _symmetric(lower: Lower, node: Pad, tensor: Tensor, subs: tuple[Subscript, ...]) -> Expr:
    """Mirrors between the outermost elements and their copies."""

    def places(sub: Subscript, extent: Size) -> Places:
        turned = sub % (extent * 2)
        return [(Inside(turned, extent), turned)], constant(extent * 2 - 1) - turned

    return _chosen(lower, node, tensor, subs, places)


def _reflect(lower: Lower, node: Pad, tensor: Tensor, subs: tuple[Subscript, ...]) -> Expr:
    """Mirrors in the outermost elements."""

    def places(sub: Subscript, extent: Size) -> Places:
        if extent.literal is None or extent.literal < 2:
            lower.names.fail(
                node, "pad(..., reflect) needs an axis of known extent, at least 2",
                found=f"an extent of {extent}", hint="give the shape, or use symmetric",
            )  # fmt: skip
        turned = sub % (extent * 2 - 2)
        return [(Inside(turned, extent), turned)], constant(extent * 2 - 2) - turned

    return _chosen(lower, node, tensor, subs, places)


def _chosen(
    lower: Lower, node: Pad, tensor: Tensor, subs: tuple[Subscript, ...],
    places: Callable[[Subscript, Size], Places],
) -> Expr:  # fmt: skip
    """The read at the place that the conditions choose, axis after axis."""
    options: list[tuple[list[tuple[Cond, Subscript]], Subscript]] = []
    count = 1
    for sub, extent in zip(subs, tensor.shape, strict=True):
        held = inside(sub, extent)
        options.append(([], sub) if held else places(sub, extent))
        count *= len(options[-1][0]) + 1
    lower.pad_reads += count
    if lower.pad_reads > MAX_PAD_READS:
        lower.names.fail(
            node, "padding by a mode expands to too many reads", kind=LimitError,
            expected=f"at most {MAX_PAD_READS}", hint="pad fewer axes at once",
        )  # fmt: skip

    def choose(done: tuple[Subscript, ...]) -> Expr:
        if len(done) == len(subs):
            return lower.at(Access(tensor, done), node)
        chosen, last = options[len(done)]
        out = choose((*done, last))
        for cond, place in reversed(chosen):
            out = Select(cond, choose((*done, place)), out)
        return out

    return choose(())


PADDING: dict[str, Callable[[Lower, Pad, Tensor, tuple[Subscript, ...]], Expr]] = {
    "edge": _edge, "wrap": _wrap, "reflect": _reflect, "symmetric": _symmetric,
}  # fmt: skip
"""The modes of ``pad``."""
