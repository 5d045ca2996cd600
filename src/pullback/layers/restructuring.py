"""Layers that move elements: padding, cropping, reshaping, joining, resizing, looking up."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError, ShapeError
from .layer import Definition, Example, layer
from .windows import SIZES, batch, joined, shifted
from .writing import axis_letter, choice, each, letters, literal, whole

IMAGE = {"X": (2, 3, 4, 5)}
PLACES = "dhw"


def _amounts(option: str, value: Any, dims: int) -> list[tuple[int, int]]:
    """An option that is a whole number, one an axis, or a pair (before, after) an axis."""
    rows = value if isinstance(value, tuple | list) else (value,) * dims
    if len(rows) != dims:
        raise ArgumentError(
            f"{option} is a whole number, or {dims} of them, or {dims} pairs (before, after)",
            where=f"option {option}",
            expected=f"e.g. {option}=1 or {option}={((1, 2),) * dims}",
            found=repr(value),
        )
    pairs = [row if isinstance(row, tuple | list) else (row, row) for row in rows]
    return [each(option, pair, 2, 0) for pair in pairs]  # type: ignore[misc]


_READS = {
    "edge": ("0", "{n}-1"),
    "reflect": ("{before}-{i}", "{last}-{i}"),
    "wrap": ("{i}+{n}-{before}", "{i}-{n}-{before}"),
}


@layer(
    "restructuring",
    Example(IMAGE, {"amount": 1}),
    Example(IMAGE, {"amount": ((1, 2), (0, 3)), "value": 1.5}),
    Example(IMAGE, {"amount": ((1, 2), (0, 3)), "mode": "edge"}),
    Example(IMAGE, {"amount": (3, 2), "mode": "reflect"}),
    Example(IMAGE, {"amount": ((1, 4), (5, 0)), "mode": "wrap"}),
    Example({"X": (3, 4, 5)}, {"amount": 2, "mode": "edge"}),
    Example({"X": (2, 3, 5)}, {"amount": 4, "mode": "reflect", "dims": 1}),
    Example({"X": (2, 3, 2, 3, 2)}, {"amount": 1, "mode": "wrap", "dims": 3}),
    rank=4,
    notes=(
        "what is padded with a constant gets no gradient from the padding",
        "in the other modes an element gets the gradients of its copies, too",
        "reflecting needs more elements than are padded, wrapping as many; else it is refused",
    ),
)
def padding(
    shape: tuple[int, ...],
    amount: Any = 1,
    mode: str = "constant",
    value: float = 0.0,
    dims: int = 2,
) -> Definition:
    """Elements around the spatial axes: a constant, the edge, the array reflected or repeated."""
    most = choice("mode", mode, {"constant": None, "edge": None, "reflect": -1, "wrap": 0})
    n, N = batch(len(shape), dims)
    pairs = _amounts("amount", amount, dims)
    if mode == "constant":
        fill = literal("value", value)
        outs = [
            f"{i}:{shifted(size, before + after)}"
            for i, size, (before, after) in zip("ijk", SIZES[dims], pairs, strict=False)
        ]
        reads = [shifted(i, -before) for i, (before, _) in zip("ijk", pairs, strict=False)]
        return Definition(
            f"X[{joined(N, 'C', SIZES[dims])}]\n"
            f"Y[{joined(n, 'c', outs)}] = pad(X, {fill})[{joined(n, 'c', reads)}]"
        )
    extents = list(shape[-dims:])
    for extent, pair in zip(extents, pairs, strict=True):
        if extent < 1 or (most is not None and max(pair) > extent + most):
            raise ShapeError(
                f"an axis of {extent} can't be padded by {max(pair)} in mode {mode}",
                where="the first input",
                expected=f"at least {max(pair) - (most or 0)} elements" if extent else "an element",
                found=f"shape {shape}",
            )
    declared = f"X[{joined(N, 'C', extents)}]"
    return Definition("\n".join([declared, *_copies(n, extents, pairs, mode)]))


def _copies(n: str, extents: list[int], pairs: list[tuple[int, int]], mode: str) -> list[str]:
    """One axis after the other: what stands before, the array, what stands after."""
    low, high = _READS[mode]
    lines, name = [], "X"
    for axis, (extent, (before, after)) in enumerate(zip(extents, pairs, strict=True)):
        target = "Y" if axis == len(extents) - 1 else f"P{axis + 1}"
        place = PLACES[3 - len(extents) :]
        i = "ijk"[axis]

        def read(at: str, name: str = name, axis: int = axis, place: str = place) -> str:
            return f"{name}[{joined(n, 'c', [*'ijk'[:axis], at, *place[axis + 1 :]])}]"

        words = {"i": i, "n": extent, "before": before, "last": 2 * extent + before - 2}
        end = extent + before
        parts = [f"[{before} <= {i}]*[{i} < {end}]*{read(shifted(i, -before))}"]
        if before:
            parts.insert(0, f"[{i} < {before}]*{read(low.format(**words))}")
        if after:
            parts.append(f"[{end} <= {i}]*{read(high.format(**words))}")
        outs = joined(n, "c", [*"ijk"[:axis], f"{i}:{end + after}", *place[axis + 1 :]])
        lines.append(f"{target}[{outs}] = {' + '.join(parts)}")
        name = target
    return lines


@layer(
    "restructuring",
    Example(IMAGE, {"amount": 1}),
    Example(IMAGE, {"amount": ((0, 2), (1, 1))}),
    Example({"X": (3, 4, 5)}, {"amount": (1, 2)}),
    Example({"X": (3, 7)}, {"amount": ((2, 3),), "dims": 1}),
    Example({"X": (2, 1, 3, 4, 3)}, {"amount": 1, "dims": 3}),
    rank=4,
    notes=("what is cut off has gradient 0", "cutting off more than there is is refused"),
)
def cropping(rank: int, amount: Any = 1, dims: int = 2) -> Definition:
    """Elements cut off around the spatial axes."""
    n, N = batch(rank, dims)
    rows = list(zip("ijk", SIZES[dims], _amounts("amount", amount, dims), strict=False))
    outs = [f"{i}:{shifted(size, -before - after)}" for i, size, (before, after) in rows]
    reads = [shifted(i, before) for i, _, (before, _) in rows]
    return Definition(
        f"X[{joined(N, 'C', SIZES[dims])}]\nY[{joined(n, 'c', outs)}] = X[{joined(n, 'c', reads)}]",
        {},
        {size: before + after for _, size, (before, after) in rows},
    )


@layer(
    "restructuring",
    Example(IMAGE),
    Example({"X": (2, 3)}),
    Example({"X": (2, 3, 4)}, {"start": 0}),
    Example({"X": (2, 2, 3, 2)}, {"start": 2}),
    rank=4,
)
def flatten(rank: int, start: int = 1) -> Definition:
    """The axes from ``start`` on merged into one, the last one fastest."""
    axis_letter(rank, start, "start")
    merged = letters(rank).split(",")[start % rank :]
    kept = letters(start % rank)
    one = f"({','.join(merged)})" if len(merged) > 1 else merged[0]
    return Definition(f"Y[{joined(kept, one)}] = X[{letters(rank)}]")


@layer(
    "restructuring",
    Example({"X": (2, 12)}, {"sizes": (3, 4)}),
    Example({"X": (2, 12, 3)}, {"sizes": (2, 3, 2), "axis": 1}),
    Example({"X": (6,)}, {"sizes": (2, 3)}),
    title="reshape (an axis split)",
    notes=("with flatten before it, any reshape", "an axis of another size is refused"),
)
def unflatten(rank: int, sizes: Any = (3, 4), axis: int = -1) -> Definition:
    """One axis split into axes of these sizes, the last one fastest."""
    found = each("sizes", sizes, len(sizes) if isinstance(sizes, tuple | list) else 1)
    own = axis_letter(rank, axis)
    digits = "pqrstu"[: len(found)]
    merged = f"({','.join(digits)})" if len(digits) > 1 else digits
    split = joined([f"{d}:{n}" for d, n in zip(digits, found, strict=True)])
    order = letters(rank).split(",")
    outs = joined([split if letter == own else letter for letter in order])
    reads = joined([merged if letter == own else letter for letter in order])
    return Definition(f"Y[{outs}] = X[{reads}]")


@layer(
    "restructuring",
    Example({"X": (2, 3, 4), "Z": (2, 2, 4)}),
    Example({"X": (2, 3), "Z": (4, 3)}, {"axis": 0}),
    Example({"X": (2, 2, 3, 1), "Z": (2, 2, 3, 2)}, {"axis": -1}),
    rank=3,
)
def concatenate(rank: int, axis: int = 1) -> Definition:
    """Two arrays one after the other along an axis."""
    own = axis_letter(rank, axis)
    order = letters(rank).split(",")
    sizes = [letter.upper() for letter in order]

    def listed(at: str, parts: list[str]) -> str:
        return joined(
            [at if letter == own else part for letter, part in zip(order, parts, strict=True)]
        )

    return Definition(
        f"X[{listed('P', sizes)}]\nZ[{listed('Q', sizes)}]\n"
        f"Y[{listed(f'{own}:P+Q', order)}] = [{own} < P]*X[{listed(own, order)}]"
        f" + [P <= {own}]*Z[{listed(f'{own}-P', order)}]"
    )


@layer(
    "restructuring",
    Example({"X": (2, 5, 3)}, {"at": 2}),
    Example({"X": (4, 3)}, {"at": 1, "axis": 0}),
    Example({"X": (2, 3)}, {"at": 3, "axis": -1}),
    rank=3,
    notes=("a part that nothing is made of has gradient 0", "a cut behind the end is refused"),
)
def split(rank: int, at: int = 2, axis: int = 1) -> Definition:
    """An array cut in two along an axis: A of ``at`` places, and the rest B."""
    own, first = axis_letter(rank, axis), whole("at", at, 0)
    order = letters(rank).split(",")

    def listed(place: str, sizes: bool = False) -> str:
        return joined([place if x == own else x.upper() if sizes else x for x in order])

    return Definition(
        f"X[{listed(f'P+{first}', True)}]\n"
        f"A[{listed(f'{own}:{first}')}] = X[{listed(own)}]\n"
        f"B[{listed(f'{own}:P')}] = X[{listed(shifted(own, first))}]\n"
        "return A, B"
    )


@layer(
    "restructuring",
    Example({"X": (2, 3, 4)}),
    Example({"X": (2, 3, 4)}, {"axis": 1}),
    Example({"X": (5,)}, {"axis": 0}),
    rank=3,
)
def flip(rank: int, axis: int = -1) -> Definition:
    """An axis in the opposite order."""
    own = axis_letter(rank, axis)
    sizes = letters(rank).upper()
    reads = letters(rank).replace(own, f"{own.upper()}-1-{own}")
    return Definition(f"X[{sizes}]\nY[{letters(rank)}] = X[{reads}]")


@layer(
    "restructuring",
    Example({"X": (2, 3, 4)}),
    Example({"X": (2, 3, 4)}, {"shift": -5, "axis": 1}),
    Example({"X": (5,)}, {"shift": 2, "axis": 0}),
    rank=3,
)
def roll(rank: int, shift: int = 1, axis: int = -1) -> Definition:
    """An axis moved on by ``shift`` places; what leaves at the end comes back at the start."""
    own = axis_letter(rank, axis)
    if type(shift) is not int:
        raise ArgumentError(
            "shift is not a number of places",
            where="option shift",
            expected="a whole number, negative to move back",
            found=repr(shift),
        )
    sizes = letters(rank).upper()
    reads = letters(rank).replace(own, f"({shifted(own, -shift)})%{own.upper()}")
    outs = letters(rank).replace(own, f"{own}:{own.upper()}")
    return Definition(f"X[{sizes}]\nY[{outs}] = X[{reads}]")


def _size(size: Any, scale: Any, dims: int) -> tuple[tuple[int, ...] | None, tuple[int, ...]]:
    """The extents that are asked for, None where a scale says how large; and the scale, an axis."""
    if size is not None and scale is not None:
        raise ArgumentError(
            "a new size or a scale is needed, and not both",
            where="options size and scale",
            expected="e.g. size=(8, 8) or scale=2",
            found=f"size={size!r}, scale={scale!r}",
        )
    times = each("scale", 2 if scale is None else scale, dims)
    return None if size is None else each("size", size, dims), times


@layer(
    "restructuring",
    Example(IMAGE, {"scale": 2}),
    Example(IMAGE, {"scale": (3, 1)}),
    Example(IMAGE, {"size": (7, 3)}),
    Example({"X": (3, 4, 5)}, {"size": (2, 9)}),
    Example({"X": (2, 3, 5)}, {"scale": 2, "dims": 1}),
    rank=4,
    title="nearest resizing",
    notes=(
        "place i reads floor(i·H/H'), as PyTorch does",
        "twice as large where neither a size nor a scale is given",
        "an empty axis can't be resized",
    ),
)
def nearest(
    shape: tuple[int, ...], scale: Any = None, size: Any = None, dims: int = 2
) -> Definition:
    """An image of another size, each element a copy of the nearest one."""
    n, N = batch(len(shape), dims)
    wanted, times = _size(size, scale, dims)
    if wanted is None:
        outs = [f"{i}:{k}*{s}" for i, k, s in zip("ijk", times, SIZES[dims], strict=False)]
        reads = [f"{i}//{k}" for i, k in zip("ijk", times, strict=False)]
        declared = joined(N, "C", SIZES[dims])
    else:
        extents = _extents(shape, dims)
        outs = [f"{i}:{m}" for i, m in zip("ijk", wanted, strict=False)]
        reads = [f"({e}*{i})//{m}" for i, e, m in zip("ijk", extents, wanted, strict=False)]
        declared = joined(N, "C", extents)
    return Definition(f"X[{declared}]\nY[{joined(n, 'c', outs)}] = X[{joined(n, 'c', reads)}]")


def _extents(shape: tuple[int, ...], dims: int) -> tuple[int, ...]:
    """The spatial extents of a shape, none of them 0."""
    if 0 in shape[-dims:]:
        raise ShapeError(
            "an empty axis can't be resized", where="the first input", found=f"shape {shape}"
        )
    return shape[-dims:]


@layer(
    "restructuring",
    Example(IMAGE, {"scale": 2}),
    Example(IMAGE, {"size": (7, 3)}),
    Example(IMAGE, {"size": (7, 1), "align_corners": True}),
    Example({"X": (3, 4, 1)}, {"size": (2, 9)}),
    Example({"X": (2, 3, 5)}, {"scale": 3, "dims": 1, "align_corners": True}),
    rank=4,
    title="bilinear resizing",
    notes=(
        "each axis is a product with a matrix of weights, max(0, 1 - distance)",
        "twice as large where neither a size nor a scale is given",
        "with align_corners the corners stay where they are; a single new place reads the first",
        "places beyond the border read the border",
    ),
)
def bilinear_resizing(
    shape: tuple[int, ...],
    scale: Any = None,
    size: Any = None,
    align_corners: bool = False,
    dims: int = 2,
) -> Definition:
    """An image of another size, each element between its nearest ones along each axis."""
    n, N = batch(len(shape), dims)
    extents = _extents(shape, dims)
    wanted, times = _size(size, scale, dims)
    if wanted is None:
        wanted = tuple(e * k for e, k in zip(extents, times, strict=True))
    place = PLACES[3 - dims :]
    lines, name = [f"X[{joined(N, 'C', extents)}]"], "X"
    for axis, (extent, new) in enumerate(zip(extents, wanted, strict=True)):
        i, p = "ijk"[axis], place[axis]
        if align_corners:
            source = f"{i}*{extent - 1}/{new - 1}" if new > 1 else f"0*{i}"
        else:
            source = f"clip(({i} + 0.5)*{extent}/{new} - 0.5, 0, {extent - 1})"
        weights = f"A{axis + 1}[{i}:{new},{p}:{extent}]"
        lines.append(f"{weights} = maximum(0, 1 - abs({source} - {p}))")
        target = "Y" if axis == dims - 1 else f"R{axis + 1}"
        rest = ["ijk"[k] for k in range(axis)] + list(place[axis:])
        outs = joined(n, "c", [*"ijk"[: axis + 1], *place[axis + 1 :]])
        lines.append(
            f"{target}[{outs}] = sum({p}) A{axis + 1}[{i},{p}]*{name}[{joined(n, 'c', rest)}]"
        )
        name = target
    return Definition("\n".join(lines))


@layer(
    "restructuring",
    Example({"X": (2, 8, 2, 3)}),
    Example({"X": (9, 2, 1)}, {"factor": 3}),
    rank=4,
    notes=("channels are read as PyTorch reads them: c·r² + r·a + b for row a and column b",),
)
def pixel_shuffle(rank: int, factor: int = 2) -> Definition:
    """r² channels of a small image as one of an image r times as large."""
    n, N = batch(rank, 2)
    r = whole("factor", factor)
    return Definition(
        f"X[{joined(N, f'C*{r * r}', 'H,W')}]\n"
        f"V[{joined(n, f'c:C,a:{r},b:{r},h,w')}] = X[{joined(n, '(c,a,b),h,w')}]\n"
        f"Y[{joined(n, 'c,(h,a),(w,b)')}] = V[{joined(n, 'c,a,b,h,w')}]"
    )


@layer(
    "restructuring",
    Example({"t": (7,), "E": (5, 3)}, {"entries": 5, "width": 3}, {"t": "below 5"}),
    Example({"t": (2, 3), "E": (4, 2)}, {"entries": 4, "width": 2}, {"t": "below 4"}),
    rank=1,
    notes=(
        "rows that are looked up more than once add up what comes back",
        "negative indices count from the end; others outside the table are refused",
    ),
)
def embedding(rank: int, entries: int = 10, width: int = 4) -> Definition:
    """Rows of a learned table, looked up by integers."""
    i = letters(rank)
    sizes = letters(rank).upper()
    table = f"E[{whole('entries', entries)}, {whole('width', width)}]"
    return Definition(f"t: int[{sizes}]\n{table}\nY[{i},z] = E[t[{i}],z]", {"E": "normal"})
