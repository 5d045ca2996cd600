"""A Jacobian's formula in numbers: each term computed over the indices that it depends on, and
written where its equalities of indices put it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..calculus.guards import settle
from ..calculus.normal import Term, expression
from ..ir.expr import Access, Cond, Inside, Tensor, Zero
from ..ir.program import Define, Program
from ..ir.subscripts import Index, Subscript, at, isolated
from ..ir.walk import free_indices, substitute, tensors
from ..runtime.compiled import evaluation
from .closed import Closed

Array = np.ndarray[Any, Any]
Fixed = Mapping[int, int]  # axes of which one place is asked for


@dataclass(frozen=True)
class Group:
    """Axes of a Jacobian along which a term is on the diagonal; most have a single one."""

    index: Index
    axes: tuple[int, ...]


def tie(cond: Cond) -> tuple[Index, Index] | None:
    """The two indices of ``[a = o]``, None for any other condition."""
    match cond:
        case Zero(Subscript(((Index() as one, _), (Index() as other, _)))):
            if cond.sub in (at(one) - at(other), at(other) - at(one)):
                return one, other
    return None


def groups(closed: Closed, part: Term) -> tuple[Group, ...]:
    """The axes of a Jacobian, those together that a term's equalities tie."""
    found: dict[Index, list[int]] = {}
    for axis, index in enumerate(_leaders(closed, part).values()):
        found.setdefault(index, []).append(axis)
    return tuple(Group(index, tuple(own)) for index, own in found.items())


def _leaders(closed: Closed, part: Term) -> dict[Index, Index]:
    """The first of the axes that each axis is tied to."""
    axes = (*closed.rows, *closed.columns)
    leader = {index: index for index in axes}
    for cond in part.guards:
        pair = tie(cond)
        if pair is not None and pair[0] in leader and pair[1] in leader:
            first, second = (leader[index] for index in sorted(pair, key=axes.index))
            leader = {i: first if of is second else of for i, of in leader.items()}
    return leader


@lru_cache(maxsize=1024)
def core(closed: Closed, part: Term) -> tuple[Term, tuple[Group, ...]]:
    """A term without the equalities that tie axes, and the groups of these with its indices: each
    runs over the places that all of its axes have."""
    axes = (*closed.rows, *closed.columns)
    made = []
    moved: dict[Index, Subscript] = {}
    for group in groups(closed, part):
        own = [axes[axis] for axis in group.axes]
        least = min((i.extent for i in own), key=lambda extent: extent.value({}))
        index = Index(group.index.name, least)
        made.append(Group(index, group.axes))
        moved.update({i: at(index) for i in own if i is not index})
    kept = [c for c in part.guards if not _ties(c, axes)]
    guards = [*(substitute(c, moved) for c in kept), *_implied(kept, axes, moved)]
    factors = [(substitute(a, moved), e) for a, e in part.factors]
    found = settle(guards, [*part.bound, *(group.index for group in made)])  # type: ignore[arg-type]
    coef = part.coef if found is not None else Fraction(0)
    return Term(coef, part.bound, found or (), tuple(factors)), tuple(made)  # type: ignore[arg-type]


def _implied(
    guards: Sequence[Cond], axes: Sequence[Index], moved: Mapping[Index, Subscript]
) -> list[Cond]:
    """Ranges of the subscripts that equalities put in place of an axis."""
    ways = [
        (isolated(cond.sub, axis), axis)
        for cond in guards
        if isinstance(cond, Zero)
        for axis in axes
    ]
    known = [Inside(sub, axis.extent) for sub, axis in ways if sub is not None]
    return [substitute(cond, moved) for cond in known]  # type: ignore[misc]


def _ties(cond: Cond, axes: Sequence[Index]) -> bool:
    pair = tie(cond)
    return pair is not None and pair[0] in axes and pair[1] in axes


def dense(
    closed: Closed, values: Mapping[Tensor, Array], dtype: Any, fixed: Fixed | None = None
) -> Array:
    """The elements of a Jacobian as an array, of the axes that are not ``fixed`` to a place."""
    fixed = fixed or {}
    shape = _extents(closed)
    kept = [axis for axis in range(len(shape)) if axis not in fixed]
    out = np.zeros([shape[axis] for axis in kept], dtype)
    for part in closed.terms:
        _add(out, closed, part, values, fixed, kept)
    return out


def _add(
    out: Array,
    closed: Closed,
    part: Term,
    values: Mapping[Tensor, Array],
    fixed: Fixed,
    kept: Sequence[int],
) -> None:
    inner, tied = core(closed, part)
    if not inner.coef:
        return
    used, array = evaluated(inner, [group.index for group in tied], values, out.dtype)
    shape: list[int] = []
    strides: list[int] = []
    offset = 0
    order: list[Index] = []
    for group in tied:
        places = {fixed[axis] for axis in group.axes if axis in fixed}
        if len(places) > 1:
            return  # off the diagonal
        own = [kept.index(axis) for axis in group.axes if axis not in fixed]
        stride = sum(out.strides[k] for k in own)
        count = group.index.extent.value({})
        if places:
            place = places.pop()
            if place >= count:
                return
            offset += place * stride
            if group.index in used:
                array = array[(slice(None),) * used.index(group.index) + (place,)]
                used.remove(group.index)
        else:
            shape.append(count)
            strides.append(stride)
            order.append(group.index)
    view = _view(out, shape, strides, offset)
    rank = [used.index(index) for index in order if index in used]
    array = array.transpose(rank)
    view += array.reshape([n if i in used else 1 for n, i in zip(shape, order, strict=True)])


def _extents(closed: Closed) -> list[int]:
    return [i.extent.value({}) for i in (*closed.rows, *closed.columns)]


def _view(out: Array, shape: Sequence[int], strides: Sequence[int], offset: int) -> Array:
    """The elements of an array at steps of these bytes, from an offset on."""
    if not out.size or 0 in shape:
        return np.empty(shape, out.dtype)
    flat = out.reshape(-1)  # out is contiguous
    return as_strided(flat[offset // out.itemsize :], tuple(shape), tuple(strides))


def evaluated(
    inner: Term, axes: Sequence[Index], values: Mapping[Tensor, Array], dtype: Any
) -> tuple[list[Index], Array]:
    """The indices that a term depends on, and its values over them."""
    program = _program(inner, tuple(axes), np.dtype(dtype).name)
    indices = [*program.statements[0].indices]
    plain = _plain(inner, indices, values)
    if plain is not None:
        return indices, plain
    found = evaluation(program)(*(values[t] for t in program.inputs))[0]
    return indices, np.asarray(found, dtype)


@lru_cache(maxsize=1024)
def _program(inner: Term, axes: tuple[Index, ...], dtype: str) -> Program:
    """The program of a term's values over those of the indices that it depends on."""
    body = expression((inner,))
    free = free_indices(body)
    indices = tuple(index for index in axes if index in free)
    target = Tensor("dY/dX", tuple(i.extent for i in indices), dtype)
    define = Define(target, indices, body, of="X")  # written as a gradient: see docs/conventions.md
    return Program(tensors(body), (define,), (target,))


def _plain(inner: Term, indices: Sequence[Index], values: Mapping[Tensor, Array]) -> Array | None:
    """The array itself, transposed, of a term that is an element of it."""
    if not _is_element(inner, indices):
        return None
    access: Access = inner.factors[0][0]  # type: ignore[assignment]
    order = [sub.index for sub in access.subs]
    return values[access.tensor].transpose([order.index(i) for i in indices])


def _is_element(inner: Term, indices: Sequence[Index]) -> bool:
    """Whether a term is an element of an array, at these indices in some order."""
    match inner:
        case Term(coef, (), (), ((Access(tensor, subs), exponent),)) if coef == exponent == 1:
            order = [sub.index for sub in subs]
            pairs = zip(order, tensor.shape, strict=True)
            whole = all(i is not None and i.extent is n for i, n in pairs)
            return whole and len({*order}) == len(order) == len(indices)
    return False


@lru_cache(maxsize=1024)
def work(closed: Closed) -> int:
    """The elements of all terms' values, those that are arrays as they are left out."""
    total = 0
    for part in closed.terms:
        inner, tied = core(closed, part)
        free = free_indices(expression((inner,)))
        own = [group.index for group in tied if group.index in free]
        if not _is_element(inner, own):
            total += prod(i.extent.value({}) for i in (*own, *inner.bound))
    return total
