"""Sums of products that are convolutions, and scatters that are transposed ones.

A sum over taps p of ``X[n,c,a*i + s*p + k] * K[f,c,p]`` is a convolution with stride a and
dilation s. Which of i and p is summed over decides what is called image and kernel, so the gradient
by the kernel is one, too. Adding ``A[n,f,i]*B[f,c,p]`` at ``a*i + s*p + k`` is a transposed one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..ir.expr import Access, Expr
from ..ir.sizes import ONE, Size, size
from ..ir.subscripts import Index, Subscript, indices_of
from ..ir.walk import free_indices
from . import arrays
from .arrays import Array, Cut
from .laid import Laid
from .spread import Spread

if TYPE_CHECKING:
    from .lower import Lowering

MOST_AXES = 3  # along which something slides


@dataclass(frozen=True)
class Slide:
    """``step*here + spread*tap + start``: an axis along which a kernel slides."""

    here: Index
    step: Size
    tap: Index
    spread: Size
    start: Size


def slide(sub: Subscript, taps: Iterable[Index]) -> Slide | None:
    """A subscript of two indices, one of which is a tap."""
    if len(sub.terms) != 2:
        return None
    (one, a), (two, b) = sub.terms
    if two not in set(taps):
        (one, a), (two, b) = (two, b), (one, a)
    if not isinstance(one, Index) or not isinstance(two, Index) or two not in set(taps):
        return None
    if one in set(taps) or not a.at_least(1) or not (b.at_least(1) or (-b).at_least(1)):
        return None
    return Slide(one, a, two, b, sub.const)


def convolution(
    lowering: Lowering, indices: Sequence[Index], factors: Sequence[Expr]
) -> Laid | None:
    """A sum over indices as a convolution; None where it is none."""
    bound = set(indices)
    windows = [
        f
        for f in factors
        if isinstance(f, Access)
        and f.tensor.kind == "float"
        and f.tensor in lowering.held
        and all(lowering.held[f.tensor].present)
        and any(slide(sub, bound) for sub in f.subs)
    ]
    if len(windows) != 1:
        return None
    (image,) = windows
    rest = [f for f in factors if f is not image]
    own = {i for f in rest for i in free_indices(f)}
    slides: list[Slide] = []
    batch: list[Index] = []
    channels: list[Index] = []
    order: list[tuple[int, int]] = []  # of the image's axes: batch, channels, slides
    for axis, (sub, extent) in enumerate(zip(image.subs, image.tensor.shape, strict=True)):
        found, index = slide(sub, bound & own), sub.index
        if found is not None and found.here not in own:
            slides.append(found)
            order.append((2, axis))
        elif index is not None and index.extent is extent and (index in bound) == (index in own):
            (channels if index in bound else batch).append(index)
            order.append((1 if index in bound else 0, axis))
        else:
            return None
    taps = [s.tap for s in slides]
    free = [i for i in own if i not in bound]
    every = [*batch, *channels, *taps, *(s.here for s in slides), *free]
    if not 0 < len(slides) <= MOST_AXES or len(set(every)) < len(every):
        return None
    if own != {*free, *channels, *taps} or bound != {*channels, *taps}:
        return None
    cut = _cut(lowering, image, slides)
    if cut is None:
        return None
    picture = arrays.permute(cut, [axis for _, axis in sorted(order)])
    kernel = lowering.over(lowering.times(rest), [*free, *channels, *taps])
    turned = [k for k, s in enumerate(slides) if not s.spread.at_least(1)]
    kernel = arrays.flip(kernel, [k + kernel.rank - len(taps) for k in turned])
    made = arrays.convolve(
        _merged(picture, len(batch), len(channels)),
        _merged(kernel, len(free), len(channels)),
        [s.step for s in slides],
        [-s.spread if k in turned else s.spread for k, s in enumerate(slides)],
        [s.here.extent for s in slides],
    )
    axes = (*batch, *free, *(s.here for s in slides))
    return Laid(arrays.reshape(made, [i.extent for i in axes]), axes)


def _cut(lowering: Lowering, image: Access, slides: Sequence[Slide]) -> Array | None:
    """The part of an image that the kernel slides over, with margins of 0."""
    array = lowering.full(image.tensor)
    lows: list[Size] = []
    highs: list[Size] = []
    cuts: list[Cut] = []
    left = list(slides)
    for sub, extent in zip(image.subs, image.tensor.shape, strict=True):
        if len(sub.terms) < 2:
            lows.append(size(0))
            highs.append(size(0))
            cuts.append(Cut(size(0), ONE, extent))
            continue
        s = left.pop(0)
        reach = s.spread * (s.tap.extent - 1)
        first = s.start if s.spread.at_least(1) else s.start + reach
        length = s.step * (s.here.extent - 1) + (reach if s.spread.at_least(1) else -reach) + 1
        inside = lowering.inside(sub, extent)
        margins = (size(0), size(0)) if inside else lowering.margins(sub, extent)
        if margins is None:
            return None
        lows.append(margins[0])
        highs.append(margins[1])
        cuts.append(Cut(first + margins[0], ONE, length))
    if any(n.terms for n in (*lows, *highs)):
        array = arrays.pad(array, lows, highs, arrays.NOUGHT)
    return arrays.slice_of(array, cuts)


def _merged(array: Array, first: int, second: int) -> Array:
    """The first axes as one, and the next ones as one."""
    one, two = ONE, ONE
    for n in array.shape[:first]:
        one = one * n
    for n in array.shape[first : first + second]:
        two = two * n
    return arrays.reshape(array, (one, two, *array.shape[first + second :]))


def transposed(lowering: Lowering, spread: Spread) -> Array | None:
    """A scatter as a transposed convolution, over all of the target; None where it is none."""
    if spread.conds or spread.looked_up:
        return None
    bound = set(spread.bound)
    small = _taps(spread)
    slides: dict[int, Slide] = {}
    simple: dict[int, Index] = {}
    for axis, (sub, extent) in enumerate(zip(spread.subs, spread.shape, strict=True)):
        found, index = slide(sub, small), sub.index
        if found is not None and found.spread.at_least(1) and {found.here, found.tap} <= bound:
            slides[axis] = found
        elif index is not None and index.extent is extent:
            simple[axis] = index
        else:
            return None
    taps = [s.tap for s in slides.values()]
    here = [s.here for s in slides.values()]
    kernels = [f for f in spread.factors if set(taps) & set(free_indices(f))]
    images = [f for f in spread.factors if f not in kernels]
    inner = {i for f in kernels for i in free_indices(f)}
    outer = {i for f in images for i in free_indices(f)}
    summed = [i for i in spread.bound if i in inner & outer]
    batch = [i for i in simple.values() if i in outer]
    out = [i for i in simple.values() if i in inner]
    every = [*batch, *out, *summed, *here, *taps]
    if not 0 < len(slides) <= MOST_AXES or not kernels or not images:
        return None
    if len(set(every)) < len(every) or len(batch) + len(out) < len(simple):
        return None
    if inner != {*out, *summed, *taps} or outer != {*batch, *summed, *here}:
        return None
    image = lowering.over(lowering.times(images), [*batch, *summed, *here])
    kernel = lowering.over(lowering.times(kernels), [*summed, *out, *taps])
    made = arrays.convolve_transposed(
        _merged(image, len(batch), len(summed)),
        _merged(kernel, len(summed), len(out)),
        [s.step for s in slides.values()],
        [s.spread for s in slides.values()],
    )
    lengths = made.shape[2:]
    axes = [*batch, *out]
    array = arrays.reshape(made, (*(i.extent for i in axes), *lengths))
    order = [
        axes.index(i) if (i := simple.get(k)) else len(axes) + list(slides).index(k)
        for k in range(len(spread.subs))
    ]
    array = arrays.permute(array, order)
    nought = size(0)
    lows = [slides[k].start if k in slides else nought for k in range(array.rank)]
    highs = [n - low - m for n, low, m in zip(spread.shape, lows, array.shape, strict=True)]
    if any(n.terms for n in (*lows, *highs)):
        array = arrays.pad(array, lows, highs, arrays.NOUGHT)
    return array


def _taps(spread: Spread) -> set[Index]:
    """The indices of the kernel: those of a factor that has one of each pair, the smaller ones."""
    pairs = [set(indices_of(sub)) for sub in spread.subs if len(sub.terms) == 2]
    for factor in spread.factors:
        inside = [pair & set(free_indices(factor)) for pair in pairs]
        small = {i for found in inside for i in found}
        others = {i for pair in pairs for i in pair} - small
        if all(len(found) == 1 for found in inside) and _is_smaller(small, others):
            return small
    return set()


def _is_smaller(small: set[Index], others: set[Index]) -> bool:
    """Whether extents are numbers, or stand in those of the places: ``H - P + 1`` counts places."""
    names = {n for i in others for n in i.extent.names()}
    return all(i.extent.literal is not None or names & set(i.extent.names()) for i in small)
