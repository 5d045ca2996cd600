"""Windowed layers: convolution and pooling along 1 to 3 axes, for C×... and N×C×... inputs."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ..errors import ArgumentError
from .layer import Definition, Example, layer
from .windows import Axis, Windows, axes, batch, joined, shifted, times
from .writing import each, whole

UNREAD = "places that no window reads, where strides don't tile, have gradient 0"
NARROW = "a window larger than the padded input is refused"
OVERHANG = "with ceil_mode a last window may overhang; one that would start beyond is left out"


@layer(
    "windowed",
    Example({"X": (2, 3, 5, 6), "K": (4, 3, 3, 3), "b": (4,)}, {"channels": 4}),
    Example(
        {"X": (2, 2, 5, 6), "K": (3, 2, 3, 2), "b": (3,)},
        {"channels": 3, "kernel": (3, 2), "stride": 2, "padding": 1},
    ),
    Example(
        {"X": (2, 4, 6, 5), "K": (6, 2, 2, 3), "b": (6,)},
        {"channels": 6, "kernel": (2, 3), "groups": 2, "stride": (1, 2)},
    ),
    Example(
        {"X": (4, 5, 4), "K": (4, 2, 3, 2)},
        {"channels": 4, "kernel": (3, 2), "groups": 2, "bias": False, "padding": (1, 0)},
    ),
    Example(
        {"X": (1, 2, 5, 4), "K": (2, 2, 2, 4)},
        {"channels": 2, "kernel": (2, 4), "padding": "same", "bias": False},
    ),
    Example(
        {"X": (2, 2, 7), "K": (2, 2, 3), "b": (2,)},
        {"channels": 2, "dims": 1, "dilation": 2, "padding": 2, "stride": 3},
    ),
    Example({"X": (2, 7), "K": (3, 2, 2), "b": (3,)}, {"dims": 1, "kernel": 2, "channels": 3}),
    Example(
        {"X": (2, 3, 3, 4), "K": (2, 2, 2, 1, 3), "b": (2,)},
        {"channels": 2, "dims": 3, "kernel": (2, 1, 3), "padding": (1, 0, 1), "stride": (2, 1, 1)},
    ),
    rank=4,
    notes=(
        UNREAD,
        NARROW,
        "padding 'same' with a kernel of even span pads one more at the end, as PyTorch does",
        "the kernel is not flipped: signal processing calls this a correlation",
    ),
)
def convolution(
    rank: int,
    channels: int = 8,
    kernel: Any = 3,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    bias: bool = True,
    dims: int = 2,
) -> Definition:
    """The sum of a window times a kernel over the input channels, of all or of the own group."""
    w = axes(dims, kernel, stride, padding, dilation)
    n, N = batch(rank, dims)
    lines = [
        f"X[{joined(N, times(groups, 'C'), w.size)}]",
        f"K[{channels},C,{w.kernel}]",
        *[f"b[{channels}]"] * bias,
    ]
    per_group = _divided(channels, groups)
    if groups == 1:
        product = f"sum(c,{w.tap}) {w.read('X', n, 'c')}*K[o,c,{w.tap}]"
        lines += [f"Y[{joined(n, 'o', w.outs)}] = {product}" + " + b[o]" * bias]
    else:
        product = f"sum(c,{w.tap}) {w.read('Xg', n, 'g,c')}*Kg[g,o,c,{w.tap}]"
        lines += [
            f"Xg[{joined(n, f'g:{groups},c:C', w.place)}] = X[{joined(n, '(g,c)', w.place)}]",
            f"Kg[g:{groups},o:{per_group},c,{w.tap}] = K[(g,o),c,{w.tap}]",
            f"Z[{joined(n, 'g,o', w.outs)}] = {product}",
            f"Y[{joined(n, '(g,o)', w.out)}] = Z[{joined(n, 'g,o', w.out)}]" + " + b[(g,o)]" * bias,
        ]
    return Definition("\n".join(lines), _kernel(bias), w.least)


@layer(
    "windowed",
    Example({"X": (2, 3, 5, 6), "K": (3, 1, 3, 3), "b": (3,)}, {"padding": 1}),
    Example(
        {"X": (2, 5, 4), "K": (4, 1, 2, 3)}, {"kernel": (2, 3), "multiplier": 2, "bias": False}
    ),
    Example(
        {"X": (2, 2, 7), "K": (6, 1, 2), "b": (6,)},
        {"dims": 1, "kernel": 2, "stride": 2, "dilation": 2, "multiplier": 3, "padding": 1},
    ),
    rank=4,
    notes=(UNREAD, NARROW, "output channel m·c + j is the j-th kernel's of input channel c"),
)
def depthwise_convolution(
    rank: int,
    kernel: Any = 3,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    multiplier: int = 1,
    bias: bool = True,
    dims: int = 2,
) -> Definition:
    """The sum of a window times a kernel, each channel for itself."""
    w = axes(dims, kernel, stride, padding, dilation)
    n, N = batch(rank, dims)
    several = whole("multiplier", multiplier)
    channel, made = ("c", "c") if several == 1 else ("(c,m)", f"(c,m:{several})")
    product = f"sum({w.tap}) {w.read('X', n, 'c')}*K[{channel},0,{w.tap}]"
    lines = [
        f"X[{joined(N, 'C', w.size)}]",
        f"K[{times(several, 'C')},1,{w.kernel}]",
        f"Y[{joined(n, made, w.outs)}] = {product}" + f" + b[{channel}]" * bias,
    ]
    return Definition("\n".join(lines), _kernel(bias), w.least)


@layer(
    "windowed",
    Example({"X": (2, 3, 4, 3), "K": (3, 4, 3, 3), "b": (4,)}, {"channels": 4, "stride": 2}),
    Example(
        {"X": (3, 4, 3), "K": (3, 2, 3, 2), "b": (2,)},
        {"channels": 2, "kernel": (3, 2), "stride": 2, "padding": (1, 0), "output_padding": 1},
    ),
    Example(
        {"X": (2, 4, 3, 3), "K": (4, 3, 2, 2), "b": (6,)},
        {"channels": 6, "kernel": 2, "groups": 2, "padding": 1, "stride": (1, 2)},
    ),
    Example(
        {"X": (2, 2, 4), "K": (2, 3, 3)},
        {"channels": 3, "dims": 1, "dilation": 2, "padding": 1, "bias": False},
    ),
    Example(
        {"X": (1, 2, 2, 3, 2), "K": (2, 1, 2, 2, 2), "b": (1,)},
        {"channels": 1, "dims": 3, "kernel": 2, "stride": (2, 1, 3), "padding": (0, 1, 0)},
    ),
    rank=4,
    notes=(
        "its padding crops the output: it is the adjoint of the convolution with that padding",
        "output_padding is less than stride or dilation, as PyTorch has it",
    ),
)
def transposed_convolution(
    rank: int,
    channels: int = 8,
    kernel: Any = 3,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    bias: bool = True,
    dims: int = 2,
) -> Definition:
    """Each input value times the kernel, added up where the windows of a convolution lie."""
    w = axes(dims, kernel, stride, each("padding", padding, dims, 0), dilation)
    more = each("output_padding", output_padding, dims, 0)
    for a, extra in zip(w, more, strict=True):
        if extra >= max(a.stride, a.dilation):
            raise ArgumentError(
                "output_padding must be less than stride or dilation",
                where="option output_padding",
                expected=f"less than {max(a.stride, a.dilation)}",
                found=str(extra),
            )
    n, N = batch(rank, dims)
    per_group = _divided(channels, groups)
    x, k, of, made, o = (
        ("Xg", "Kg", "g,c", "g,o", "(g,o)") if groups > 1 else ("X", "K", "c", *"oo")
    )
    lines = [
        f"X[{joined(N, times(groups, 'C'), w.size)}]",
        f"K[{times(groups, 'C')},{per_group},{w.kernel}]",
        *[f"b[{channels}]"] * bias,
    ]
    if groups > 1:
        lines += [
            f"Xg[{joined(n, f'g:{groups},c:C', w.out)}] = X[{joined(n, '(g,c)', w.out)}]",
            f"Kg[g:{groups},c:C,o,{w.tap}] = K[(g,c),o,{w.tap}]",
        ]
    lands = "*".join(f"[{a.place} = {a.at}]" for a in w)
    total = f"sum(c,{w.tap},{w.out}) {x}[{joined(n, of, w.out)}]*{k}[{of},o,{w.tap}]*{lands}"
    lines += _cropped(w, more, total, joined(n, made), joined(n, o) if groups > 1 else "")
    lines[-1] += f" + b[{o}]" * bias
    return Definition(
        "\n".join(lines),
        _kernel(bias),
        {a.size: _least(a, m) for a, m in zip(w, more, strict=True)},
    )


@layer(
    "windowed",
    Example({"X": (2, 3, 6, 4)}),
    Example({"X": (2, 2, 7, 5)}, {"kernel": 3, "stride": 2, "padding": 1}),
    Example(
        {"X": (2, 7, 6)}, {"kernel": (3, 2), "stride": (2, 3), "padding": 1, "ceil_mode": True}
    ),
    Example({"X": (2, 2, 8)}, {"dims": 1, "dilation": 2, "padding": 1, "stride": 1}),
    Example({"X": (1, 8)}, {"dims": 1, "kernel": 3, "ceil_mode": True, "stride": 2}),
    Example({"X": (1, 2, 4, 3, 5)}, {"dims": 3, "kernel": (2, 1, 3), "stride": (1, 2, 2)}),
    rank=4,
    notes=(
        "of equal values the first one, in the order of the window, gets the gradient",
        "padding is -inf, so it is never the greatest where a window sees the input; it may be no "
        "more than half a window",
        UNREAD,
        OVERHANG,
        NARROW,
    ),
)
def max_pooling(
    rank: int,
    kernel: Any = 2,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    dims: int = 2,
) -> Definition:
    """The greatest value of each window; the stride is the window unless it is given."""
    w = _pooling(dims, kernel, stride, padding, dilation, ceil_mode)
    n, N = batch(rank, dims)
    lines, x = [f"X[{joined(N, 'C', w.size)}]"], "X"
    if w.padded:
        extents = [f"{a.place}:{shifted(a.size, a.reach)}" for a in w]
        inside = [shifted(a.place, -a.before) for a in w]
        lines += [f"P[{joined(n, 'c', extents)}] = pad(X, -inf)[{joined(n, 'c', inside)}]"]
        x = "P"
    greatest = f"max({w.taps}) {x}[{joined(n, 'c', [a.at for a in w])}]"
    lines += [f"Y[{joined(n, 'c', w.outs)}] = {greatest}"]
    return Definition("\n".join(lines), least=w.least)


@layer(
    "windowed",
    Example({"X": (2, 3, 6, 4)}),
    Example({"X": (2, 2, 7, 5)}, {"kernel": 3, "stride": 2, "padding": 1}),
    Example(
        {"X": (2, 7, 5)},
        {"kernel": 3, "stride": 2, "padding": 1, "count_include_pad": False},
    ),
    Example(
        {"X": (2, 7, 6)}, {"kernel": (3, 2), "stride": (2, 3), "padding": 1, "ceil_mode": True}
    ),
    Example(
        {"X": (2, 2, 8)},
        {"dims": 1, "kernel": 3, "ceil_mode": True, "count_include_pad": False, "padding": 1},
    ),
    Example({"X": (1, 8)}, {"dims": 1, "kernel": 3, "ceil_mode": True, "stride": 2}),
    Example({"X": (1, 2, 4, 3, 5)}, {"dims": 3, "kernel": (2, 1, 3), "stride": (1, 2, 2)}),
    rank=4,
    notes=(
        "a window that overhangs is divided by how many places of it lie in the input and its "
        "padding, without count_include_pad in the input; the backward pass divides by the same",
        UNREAD,
        OVERHANG,
        NARROW,
    ),
)
def average_pooling(
    rank: int,
    kernel: Any = 2,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    dims: int = 2,
) -> Definition:
    """The mean of each window; the stride is the window unless it is given."""
    w = _pooling(dims, kernel, stride, padding, 1, ceil_mode)
    n, N = batch(rank, dims)
    lines = [f"X[{joined(N, 'C', w.size)}]"]
    counted, fixed = [], 1
    for a in w:
        if a.overhangs or (a.padded and not count_include_pad):
            before, after = (a.before, a.after) if count_include_pad else (0, 0)
            inside = f"{-before} <= {a.reads} < {shifted(a.size, after)}"
            lines += [f"n_{a.out}[{a.out}:{a.count}] = sum({a.tap}:{a.kernel}) [{inside}]"]
            counted += [f"n_{a.out}[{a.out}]"]
        else:
            fixed *= a.kernel
    read = w.read("X", n, "c")
    if counted:
        divisors = "*".join([*[str(fixed)] * (fixed > 1), *counted])
        lines += [f"Y[{joined(n, 'c', w.outs)}] = (sum({w.taps}) {read})/({divisors})"]
    else:
        lines += [f"Y[{joined(n, 'c', w.outs)}] = mean({w.taps}) {read}"]
    return Definition("\n".join(lines), least=w.least)


@layer(
    "windowed",
    Example({"X": (1, 2, 2, 3), "place": (1, 2, 2, 3)}, draws={"place": "below 24"}),
    Example(
        {"X": (2, 2, 2), "place": (2, 2, 2)},
        {"kernel": 3, "stride": 2, "padding": (1, 0)},
        {"place": "below 12"},
    ),
    Example({"X": (2, 4), "place": (2, 4)}, {"dims": 1, "kernel": 2}, {"place": "below 8"}),
    rank=4,
    notes=(
        "place is the position in the flat output, as PyTorch's max pooling returns it",
        "values for the same place add up, where PyTorch keeps one of them",
        "values for places that are not in the output are left out",
    ),
)
def max_unpooling(
    rank: int, kernel: Any = 2, stride: Any = None, padding: Any = 0, dims: int = 2
) -> Definition:
    """Each value at the place in the output that an integer says, 0 elsewhere."""
    w = _pooling(dims, kernel, stride, padding, 1, False)
    n, N = batch(rank, dims)
    extents = [_covered(a, -2 * a.before) for a in w]
    value, whole_shape = joined(n, "c", w.out), joined(N, "C", w.size)
    lines = [
        f"X[{whole_shape}]",
        f"place: int[{whole_shape}]",
        f"F[{joined(n, 'c')},l:{'*'.join(f'({e})' for e in extents)}] = "
        f"sum({w.out}) X[{value}]*[place[{value}] = l]",
        f"Y[{joined(n, 'c', map(':'.join, zip([a.place for a in w], extents, strict=True)))}] = "
        f"F[{joined(n, 'c')},{w.place if dims == 1 else f'({w.place})'}]",
    ]
    return Definition("\n".join(lines), least={a.size: _least(a, 0) for a in w})


@layer(
    "windowed",
    Example({"X": (2, 3, 2, 3)}),
    Example({"X": (2, 3, 2)}, {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 0)}),
    Example({"X": (1, 2, 4)}, {"dims": 1, "kernel": 2, "stride": 3}),
    Example({"X": (2, 2, 1, 2)}, {"dims": 3}),
    rank=4,
    notes=(
        "the adjoint of average pooling with padding counted: where windows overlap, shares add up",
    ),
)
def average_unpooling(
    rank: int, kernel: Any = 2, stride: Any = None, padding: Any = 0, dims: int = 2
) -> Definition:
    """Each value shared out evenly over its window."""
    w = _pooling(dims, kernel, stride, padding, 1, False)
    n, N = batch(rank, dims)
    size = prod(a.kernel for a in w)
    lands = "*".join(f"[{a.place} = {a.at}]" for a in w)
    total = f"1/{size}*sum({w.taps},{w.out}) X[{joined(n, 'c', w.out)}]*{lands}"
    lines = [f"X[{joined(N, 'C', w.size)}]", *_cropped(w, [0] * dims, total, joined(n, "c"))]
    return Definition("\n".join(lines), least={a.size: _least(a, 0) for a in w})


@layer(
    "windowed",
    Example({"X": (2, 3, 5, 7)}, {"size": 3}),
    Example({"X": (2, 5, 4)}, {"size": (2, 6)}),
    Example({"X": (1, 2, 5)}, {"size": 3, "dims": 1}),
    Example({"X": (2, 3, 2, 4)}, {"size": (2, 1, 3), "dims": 3}),
    rank=4,
    notes=(
        "window i of O covers the places from floor(i·H/O) to ceil((i+1)·H/O), as PyTorch's do",
    ),
)
def adaptive_average_pooling(rank: int, size: Any = 1, dims: int = 2) -> Definition:
    """The mean of as many windows as are wanted, as even as they can be."""
    w = axes(dims, 1)
    n, N = batch(rank, dims)
    lines = [f"X[{joined(N, 'C', w.size)}]"]
    for a, count in zip(w, each("size", size, dims), strict=True):
        i, h, H = a.out, a.place, a.size
        inside = f"[{i}*{H} < {count}*({h}+1)]*[{count}*{h} < ({i}+1)*{H}]"
        lines += [
            f"in_{i}[{i}:{count},{h}:{H}] = {inside}",
            f"A_{i}[{i},{h}] = in_{i}[{i},{h}]/sum(l) in_{i}[{i},l]",
        ]
    shares = "*".join(f"A_{a.out}[{a.out},{a.place}]" for a in w)
    lines += [f"Y[{joined(n, 'c', w.out)}] = sum({w.place}) {shares}*X[{joined(n, 'c', w.place)}]"]
    return Definition("\n".join(lines), least={a.size: 1 for a in w})


@layer(
    "windowed",
    Example({"X": (2, 3, 4, 5)}),
    Example({"X": (2, 5, 4)}, {"kernel": (3, 2), "stride": 2, "padding": 1}),
    Example({"X": (1, 2, 6)}, {"dims": 1, "dilation": 2}),
    Example({"X": (1, 2, 3, 4)}, {"dims": 3, "kernel": 2, "stride": (1, 1, 2)}),
    rank=4,
    notes=(
        "the axes are channel, place in the window, window: PyTorch merges them to C·p·q and i·j",
        UNREAD,
        NARROW,
    ),
)
def unfold(
    rank: int, kernel: Any = 2, stride: Any = 1, padding: Any = 0, dilation: Any = 1, dims: int = 2
) -> Definition:
    """What the windows read, each on its own (im2col)."""
    w = axes(dims, kernel, stride, each("padding", padding, dims, 0), dilation)
    n, N = batch(rank, dims)
    lines = [
        f"X[{joined(N, 'C', w.size)}]",
        f"Y[{joined(n, 'c', w.taps, w.outs)}] = {w.read('X', n, 'c')}",
    ]
    return Definition("\n".join(lines), least=w.least)


@layer(
    "windowed",
    Example({"X": (2, 3, 2, 2, 3, 4)}),
    Example({"X": (2, 3, 2, 2, 3)}, {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 0)}),
    Example({"X": (1, 2, 2, 4)}, {"dims": 1, "dilation": 2}),
    Example({"X": (2, 2, 1, 2, 1, 2, 1)}, {"dims": 3, "kernel": (2, 1, 2)}),
    rank=6,
    per_dim=2,
    notes=(
        "the adjoint of unfold, of the least array that has so many windows",
        "the axes are channel, place in the window, window: PyTorch merges them to C·p·q and i·j",
    ),
)
def fold(
    rank: int, kernel: Any = 2, stride: Any = 1, padding: Any = 0, dilation: Any = 1, dims: int = 2
) -> Definition:
    """The sum, place by place, of what windows hold (col2im)."""
    w = axes(dims, kernel, stride, each("padding", padding, dims, 0), dilation)
    n, N = batch(rank - dims, dims)
    lands = "*".join(f"[{a.place} = {a.at}]" for a in w)
    total = f"sum({w.tap},{w.out}) X[{joined(n, 'c', w.tap, w.out)}]*{lands}"
    lines = [
        f"X[{joined(N, 'C', w.kernel, w.size)}]",
        *_cropped(w, [0] * dims, total, joined(n, "c")),
    ]
    return Definition("\n".join(lines), least={a.size: _least(a, 0) for a in w})


def _cropped(w: Windows, more: Sequence[int], total: str, lead: str, to: str = "") -> list[str]:
    """Statements of ``Y``, what lands in windows, without the padding.

    ``lead`` are the indices before the spatial ones, ``to`` those of ``Y`` where they differ.
    """
    covered = [f"{a.place}:{_covered(a, m)}" for a, m in zip(w, more, strict=True)]
    if not to and not any(a.before for a in w):
        return [f"Y[{joined(lead, covered)}] = {total}"]
    kept = [f"{a.place}:{_covered(a, m - 2 * a.before)}" for a, m in zip(w, more, strict=True)]
    inside = joined(lead, [shifted(a.place, a.before) for a in w])
    return [f"F[{joined(lead, covered)}] = {total}", f"Y[{joined(to or lead, kept)}] = F[{inside}]"]


def _covered(a: Axis, more: int) -> str:
    """The extent that the windows cover, one at each place of the input, and more."""
    return shifted(times(a.stride, a.size), a.span - a.stride + more)


def _pooling(
    dims: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Windows:
    """The windows of a pooling; raises ArgumentError where the padding is beyond half a window."""
    padding = each("padding", padding, dims, 0)
    w = axes(dims, kernel, kernel if stride is None else stride, padding, dilation, ceil_mode)
    for a in w:
        if 2 * a.before > a.span:
            raise ArgumentError(
                "padding is beyond half a pooling window",
                where="option padding",
                expected=f"at most {a.span // 2}",
                found=str(a.before),
            )
    return w


def _divided(channels: int, groups: int) -> int:
    """The output channels of each group; raises ArgumentError where groups don't divide them."""
    if whole("channels", channels) % whole("groups", groups):
        raise ArgumentError(
            "groups must divide the output channels",
            where="option groups",
            expected=f"a divisor of channels={channels}",
            found=f"groups={groups}",
        )
    return channels // groups


def _least(a: Axis, more: int) -> int:
    """The least input of which padding, as cropping, leaves something."""
    return max(1, -((a.span - a.stride - 2 * a.before + more - 1) // a.stride))


def _kernel(bias: bool) -> dict[str, str]:
    return {"K": "scaled", "b": "zeros"} if bias else {"K": "scaled"}
