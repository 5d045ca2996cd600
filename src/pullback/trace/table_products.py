"""Products summed over shared axes: dot, matmul, einsum and their kin, all one contraction."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..ir.expr import ZERO, Compare, Cond, Expr, Guard, Inside, Mul, total
from ..ir.sizes import size
from ..ir.subscripts import Subscript, at, constant
from .axes import all_axes, one_axis
from .record import Sheet
from .rows import View, row
from .table_elementwise import all_as, apply_ufunc, as_wide, common_dtype, elementwise
from .table_reductions import asked, folded
from .values import BOOL, DType, Subs, Value, expanded, remapped, reshaped, transposed

Label = Hashable


def contracted(
    sheet: Sheet,
    operands: Sequence[tuple[Value, Sequence[Label]]],
    out: Sequence[Label],
    dtype: DType | None = None,
) -> Value:
    """The product of the operands, summed over every label that ``out`` lacks.

    Axes with one label run together; one of extent 1 stays where it is while the others run.
    """
    extents: dict[Label, int] = {}
    names: dict[Label, str] = {}
    for value, labels in operands:
        for label, extent, name in zip(labels, value.shape, value.axes, strict=True):
            known = extents.get(label, 1)
            if 1 not in (known, extent) and known != extent:
                raise ValueError(f"axes that run together have extents {known} and {extent}")
            extents[label] = extent if known == 1 else known
            if name and not names.get(label):
                names[label] = name
    found = common_dtype([value for value, _ in operands]) if dtype is None else dtype
    values = [value for value, _ in operands]
    forced = dtype is not None and dtype.kind == "f"
    values = (all_as if forced else as_wide)(sheet, values, found)
    operands = [(value, labels) for value, (_, labels) in zip(values, operands, strict=True)]

    def read(subs: Subs) -> Expr:
        place: dict[Label, Subscript] = dict(zip(out, subs, strict=True))
        bound = {
            label: sheet.bound(extent, names.get(label, ""))
            for label, extent in extents.items()
            if label not in place
        }
        place.update({label: at(index) for label, index in bound.items()})
        factors = [
            value.read(
                tuple(
                    constant(0) if n == 1 and extents[label] != 1 else place[label]
                    for label, n in zip(labels, value.shape, strict=True)
                )
            )
            for value, labels in operands
        ]
        body = factors[0] if len(factors) == 1 else Mul(tuple(factors))
        return total(tuple(bound.values()), body)

    def truth(subs: Subs) -> Cond:
        return Compare("<", ZERO, read(subs))

    return Value(
        tuple(extents[label] for label in out),
        found,
        truth if found == BOOL else read,
        tuple(names.get(label, "") for label in out),
    )


def _scaled(sheet: Sheet, a: Value, b: Value) -> Value:
    dtype = common_dtype((a, b))
    return elementwise(lambda x, y: Mul((x, y)), as_wide(sheet, (a, b), dtype), dtype)


@row(np.matmul, np.linalg.matmul)
def matmul(sheet: Sheet, a: Any, b: Any) -> Value:
    """Matrix products over the last two axes, the axes before broadcast."""
    left, right = sheet.value(a), sheet.value(b)
    if not left.ndim or not right.ndim:
        raise ValueError("matmul: an operand is 0-d; use * instead")
    rank = max(left.ndim, right.ndim, 2)
    batch = list(range(rank - 2))
    first = [*batch[len(batch) - max(left.ndim - 2, 0) :], *(["row"] if left.ndim > 1 else []), "k"]
    last = [
        *batch[len(batch) - max(right.ndim - 2, 0) :],
        "k",
        *(["column"] if right.ndim > 1 else []),
    ]
    _same_inner(left.shape[-1], right.shape[max(right.ndim - 2, 0)])
    out = [
        *batch,
        *(["row"] if left.ndim > 1 else []),
        *(["column"] if right.ndim > 1 else []),
    ]
    return contracted(sheet, [(left, first), (right, last)], out)


def _same_inner(left: int, right: int) -> None:
    if left != right:
        raise ValueError(f"the axes that are summed over have extents {left} and {right}")


@row(np.dot)
def dot(sheet: Sheet, a: Any, b: Any) -> Value:
    """The sum over a's last axis and b's last but one."""
    left, right = sheet.value(a), sheet.value(b)
    if not left.ndim or not right.ndim:
        return _scaled(sheet, left, right)
    inner = max(right.ndim - 2, 0)
    return _tensordot(sheet, left, right, (left.ndim - 1,), (inner,))


@row(np.inner)
def inner(sheet: Sheet, a: Any, b: Any) -> Value:
    """The sum over both last axes."""
    left, right = sheet.value(a), sheet.value(b)
    if not left.ndim or not right.ndim:
        return _scaled(sheet, left, right)
    return _tensordot(sheet, left, right, (left.ndim - 1,), (right.ndim - 1,))


def _tensordot(
    sheet: Sheet, left: Value, right: Value, first: Sequence[int], last: Sequence[int]
) -> Value:
    for i, j in zip(first, last, strict=True):
        _same_inner(left.shape[i], right.shape[j])
    own: list[Label] = [("left", k) for k in range(left.ndim)]
    other: list[Label] = [("right", k) for k in range(right.ndim)]
    for i, j in zip(first, last, strict=True):
        other[j] = own[i]
    out = [label for k, label in enumerate(own) if k not in first]
    out += [label for k, label in enumerate(other) if k not in last]
    return contracted(sheet, [(left, own), (right, other)], out)


@row(np.tensordot, np.linalg.tensordot)
def tensordot(sheet: Sheet, a: Any, b: Any, axes: Any = 2) -> Value:
    """The sum over several axes of both."""
    left, right = sheet.value(a), sheet.value(b)
    try:
        first, last = axes
    except TypeError:
        n = operator.index(axes)
        if n > min(left.ndim, right.ndim):
            raise ValueError("more axes are summed over than there are") from None
        first, last = tuple(range(left.ndim - n, left.ndim)), tuple(range(n))
    return _tensordot(sheet, left, right, all_axes(first, left.ndim), all_axes(last, right.ndim))


@row(np.outer, np.linalg.outer)
def outer(sheet: Sheet, a: Any, b: Any) -> Value:
    """a[i]·b[j], both flat."""
    left, right = _flat(sheet, a), _flat(sheet, b)
    return contracted(sheet, [(left, "i"), (right, "j")], "ij")


@row(np.vdot)
def vdot(sheet: Sheet, a: Any, b: Any) -> Value:
    """The sum of the products of all elements."""
    left, right = _flat(sheet, a), _flat(sheet, b)
    _same_inner(left.size, right.size)
    return contracted(sheet, [(left, "i"), (right, "i")], "")


def _flat(sheet: Sheet, given: Any) -> Value:
    value = sheet.value(given)
    return value if value.ndim == 1 else sheet.keep(reshaped(value, (value.size,)))


def _vector_product(name: str) -> None:
    """np.vecdot, np.matvec and np.vecmat, where NumPy has them."""
    function = getattr(np, name, None)
    if function is None:
        return
    first, last, out = {"vecdot": ("k", "k", ""), "matvec": ("ik", "k", "i")}.get(
        name, ("k", "kj", "j")
    )

    def build(sheet: Sheet, a: Any, b: Any, *, axis: int = -1) -> Value:
        left, right = sheet.value(a), sheet.value(b)
        if axis != -1:
            if name != "vecdot":
                raise TypeError("unexpected axis")
            left, right = (_to_last(v, axis) for v in (left, right))
        lead = [v.ndim - len(core) for v, core in ((left, first), (right, last))]
        if min(lead) < 0:
            raise ValueError(f"np.{name}: an operand has too few axes")
        batch = [str(n) for n in range(max(lead))]
        _same_inner(left.shape[-1], right.shape[-1 if last == "k" else -2])
        return contracted(
            sheet,
            [
                (left, [*batch[len(batch) - lead[0] :], *first]),
                (right, [*batch[len(batch) - lead[1] :], *last]),
            ],
            [*batch, *out],
        )

    row(function)(build)
    if name == "vecdot" and hasattr(np.linalg, "vecdot"):
        row(np.linalg.vecdot)(build)


def _to_last(value: Value, axis: int) -> Value:
    along = one_axis(axis, value.ndim)
    return transposed(value, [*(k for k in range(value.ndim) if k != along), along])


for _name in ("vecdot", "matvec", "vecmat"):
    _vector_product(_name)


@row(np.linalg.multi_dot)
def multi_dot(sheet: Sheet, arrays: Any) -> Value:
    """A chain of matrix products, from the left."""
    first, *others = arrays
    out = sheet.value(first)
    for other in others:
        out = sheet.keep(matmul(sheet, out, other))
    return out


@row(np.kron)
def kron(sheet: Sheet, a: Any, b: Any) -> Value:
    """a[i//q]·b[i % q] along each axis of extent p·q."""
    left, right = sheet.value(a), sheet.value(b)
    rank = max(left.ndim, right.ndim)
    left = expanded(left, range(rank - left.ndim))
    right = expanded(right, range(rank - right.ndim))
    wide = replace(
        contracted(
            sheet,
            [(left, [(k, 0) for k in range(rank)]), (right, [(k, 1) for k in range(rank)])],
            [(k, side) for k in range(rank) for side in (0, 1)],
        ),
        axes=("",) * (2 * rank),
    )
    shape = [m * n for m, n in zip(left.shape, right.shape, strict=True)]
    return reshaped(sheet.keep(wide), shape)


@row(np.einsum)
def einsum(sheet: Sheet, *operands: Any, optimize: Any = False, dtype: Any = None) -> Value | View:
    """A sum of products as its subscripts say."""
    spec, arrays = _einsum_arguments(operands)
    values = [sheet.value(array) for array in arrays]
    labels, out = einsum_labels(spec, [v.ndim for v in values])
    named = [
        replace(
            v, axes=tuple(_label_name(label, name) for label, name in zip(ls, v.axes, strict=True))
        )
        for v, ls in zip(values, labels, strict=True)
    ]
    found = np.dtype(dtype) if dtype is not None else np.result_type(*(v.dtype for v in values))
    result = contracted(sheet, list(zip(named, labels, strict=True)), out, found)
    return View(result) if len(values) == 1 else result


def _label_name(label: str, name: str) -> str:
    return label if label.isalpha() else name


def _einsum_arguments(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    if isinstance(operands[0], str):
        return operands[0], list(operands[1:])
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

    def spelled(labels: Sequence[Any]) -> str:
        return "".join("..." if label is Ellipsis else letters[label] for label in labels)

    arrays = list(operands[0 : len(operands) // 2 * 2 : 2])
    spec = ",".join(spelled(labels) for labels in operands[1::2])
    return spec + (f"->{spelled(operands[-1])}" if len(operands) % 2 else ""), arrays


def einsum_labels(spec: str, ranks: Sequence[int]) -> tuple[list[list[str]], list[str]]:
    """One label per axis of each operand, and those of the result; "..." becomes "0", "1", ...

    >>> einsum_labels("...ij,jk", [3, 2])
    ([['0', 'i', 'j'], ['j', 'k']], ['0', 'i', 'k'])
    """
    left, arrow, right = spec.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(ranks):
        raise ValueError(f"{len(parts)} subscripts for {len(ranks)} operands")
    hidden = [rank - len(part.replace("...", "")) for part, rank in zip(parts, ranks, strict=True)]
    widest = max((n for part, n in zip(parts, hidden, strict=True) if "..." in part), default=0)
    dots = [str(n) for n in range(widest)]
    labels = [
        _spread(part, dots[widest - n :] if n > 0 else [], rank)
        for part, n, rank in zip(parts, hidden, ranks, strict=True)
    ]
    if arrow:
        out = _spread(right, dots, None)
    else:
        seen = [label for part in labels for label in part]
        once = sorted(x for x in dict.fromkeys(seen) if seen.count(x) == 1 and x.isalpha())
        out = [*dots, *once]
    missing = [label for label in out if not any(label in part for part in labels)]
    if missing or len(set(out)) != len(out):
        raise ValueError(f"the result's subscripts {right!r} repeat a letter or add a new one")
    return labels, out


def _spread(part: str, dots: Sequence[str], rank: int | None) -> list[str]:
    before, ellipsis, after = part.partition("...")
    found = [*before, *(dots if ellipsis else ()), *after]
    if not all(label.isalpha() or label in dots for label in found):
        raise ValueError(f"the subscripts {part!r} hold something else than letters")
    if rank is not None and len(found) != rank:
        raise ValueError(f"the subscripts {part!r} don't fit an array of {rank} axes")
    return found


@row(np.diagonal, view=True)
def diagonal(sheet: Sheet, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """a[i, i + offset], the new axis last."""
    value = sheet.value(a)
    first, second = one_axis(axis1, value.ndim), one_axis(axis2, value.ndim)
    if first == second:
        raise ValueError("axis1 and axis2 are the same")
    down, across = max(-offset, 0), max(offset, 0)
    length = max(0, min(value.shape[first] - down, value.shape[second] - across))
    kept = [k for k in range(value.ndim) if k not in (first, second)]

    def change(subs: Subs) -> Subs:
        back: list[Subscript] = [constant(0)] * value.ndim
        for k, sub in zip(kept, subs, strict=False):
            back[k] = sub
        back[first], back[second] = subs[-1] + down, subs[-1] + across
        return tuple(back)

    return remapped(
        value,
        [*(value.shape[k] for k in kept), length],
        [*(value.axes[k] for k in kept), value.axes[first]],
        change,
    )


@row(np.trace)
def trace(sheet: Sheet, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """The sum of the diagonal."""
    line = diagonal(sheet, a, offset, axis1, axis2)
    return folded(sheet, line, (line.ndim - 1,), False, asked(np.sum, line), total)


def _convolved(sheet: Sheet, a: Any, v: Any, mode: str, turned: bool) -> Value:
    """Σ_k a[n - k]·v[k] where the two overlap (for a correlation, v backwards)."""
    left, right = sheet.value(a), sheet.value(v)
    if left.ndim != 1 or right.ndim != 1 or not left.size or not right.size:
        raise ValueError("two vectors that are not empty are needed")
    if left.size < right.size and not turned:
        left, right = right, left
    m, n = left.size, right.size
    lengths = {"full": m + n - 1, "same": max(m, n), "valid": max(m, n) - min(m, n) + 1}
    if mode not in lengths:
        raise ValueError("mode is 'full', 'same' or 'valid'")
    if n > m:
        raise sheet.refusal(
            "np.correlate with a longer second array can't be traced",
            hint="write np.correlate(v, a, mode)[::-1]",
        )
    start = {"full": 0, "same": (n - 1) // 2, "valid": n - 1}[mode]
    dtype = common_dtype((left, right))
    left, right = as_wide(sheet, (left, right), dtype)

    def read(subs: Subs) -> Expr:
        k = sheet.bound(n, right.axes[0])
        place = subs[0] + start - at(k)
        tap = constant(n - 1) - at(k) if turned else at(k)
        factors = (left.read((place,)), right.read((tap,)))
        inside = () if mode == "valid" else (Guard(Inside(place, size(m))),)
        return total((k,), Mul((*inside, *factors)))

    if dtype == BOOL:
        raise sheet.refusal("np.convolve of bools can't be traced", hint="convert them to integers")
    return Value((lengths[mode],), dtype, read, left.axes)


@row(np.convolve)
def convolve(sheet: Sheet, a: Any, v: Any, mode: str = "full") -> Value:
    """Σ_k a[n - k]·v[k]."""
    return _convolved(sheet, a, v, mode, False)


@row(np.correlate)
def correlate(sheet: Sheet, a: Any, v: Any, mode: str = "valid") -> Value:
    """Σ_k a[n + k]·v[k]."""
    return _convolved(sheet, a, v, mode, True)


@row(np.cross)
def cross(
    sheet: Sheet,
    a: Any,
    b: Any,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Value:
    """The vector product of 3-vectors."""
    if axis is not None:
        axisa = axisb = axisc = axis
    left, right = _to_last(sheet.value(a), axisa), _to_last(sheet.value(b), axisb)
    if left.shape[-1] != 3 or right.shape[-1] != 3:
        raise sheet.refusal(
            "np.cross can be traced for vectors of 3 only",
            found=f"vectors of {left.shape[-1]} and {right.shape[-1]}",
            hint="in the plane, write a[..., 0]*b[..., 1] - a[..., 1]*b[..., 0]",
        )

    def turned(value: Value, by: int) -> Value:
        from .table_pieces import rolled

        return sheet.keep(rolled(value, value.ndim - 1, -by))

    one = sheet.keep(apply_ufunc(sheet, np.multiply, (turned(left, 1), turned(right, 2))))
    two = sheet.keep(apply_ufunc(sheet, np.multiply, (turned(left, 2), turned(right, 1))))
    out: Value = apply_ufunc(sheet, np.subtract, (one, two))
    back = one_axis(axisc, out.ndim)
    order = list(range(out.ndim - 1))
    order.insert(back, out.ndim - 1)
    return transposed(sheet.keep(out), order)
