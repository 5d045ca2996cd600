"""Pictures of what is read for one output and what flows back to one input, drawn from the reads.

Arrays are drawn as grids of cells: the last two axes are rows and columns, the axes before them
stand beside and above each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import prod

from ..derivation import Derivation
from ..ir.expr import Tensor
from ..report.mathml import text
from .reads import Reads

CELL, GAP = 18, 10  # of a cell, and between the grids of an array of three or more axes
WIDEST = 240  # an array that would be wider gets smaller cells
LEAST = 5
MOST = 2500  # cells of an array above which it is not drawn
PATTERN, THINNEST = 250, 30  # sides of a drawn Jacobian
LARGEST = 1000  # rows or columns of a Jacobian above which it is not drawn


def forward_picture(derivation: Derivation, reads: Reads) -> str:
    """What is read for one element of the output, in every input."""
    output = _output(derivation)
    k = _middle(reads.shapes[output.name])
    inputs = derivation.backward.program.inputs
    found = {t.name: reads.of(output.name, k, t.name) for t in inputs}
    panels = [_panel(t.name, reads.shapes[t.name], found[t.name], "read") for t in inputs]
    target = _panel(output.name, reads.shapes[output.name], (k,), "one")
    words = ", ".join(f"{_count(len(places))} of {name}" for name, places in found.items())
    caption = f"{_place(output.name, k, reads)} is computed from {words}."
    return _figure([*panels, _after("forward", target)], "", caption)


def backward_pictures(derivation: Derivation, reads: Reads) -> str:
    """For every input that has a gradient, what flows back to one of its elements."""
    backward = derivation.backward
    output = _output(derivation)
    pairs = zip(backward.wrt, backward.gradients, strict=True)
    return "".join(
        _backward_picture(t, g, output, derivation, reads) for t, g in pairs if _drawn(t, reads)
    )


def _backward_picture(
    tensor: Tensor, gradient: Tensor, output: Tensor, derivation: Derivation, reads: Reads
) -> str:
    k = _busiest(tensor, output, reads)
    cotangents = {
        t.name: c.name
        for t, c in zip(
            dict.fromkeys(t for t in derivation.backward.program.outputs if t.kind == "float"),
            dict.fromkeys(derivation.backward.cotangents),
            strict=False,
        )
    }
    found = {name: reads.by(tensor.name, k, name) for name in cotangents}
    target = _panel(gradient.name, reads.shapes[tensor.name], (k,), "one back")
    panels = [
        _panel(cotangents[name], reads.shapes[name], places, "read back")
        for name, places in found.items()
    ]
    words = " and ".join(f"{_count(len(places))} of {name}" for name, places in found.items())
    caption = (
        f"{_place(tensor.name, k, reads)} takes part in {words}; "
        "what arrives there flows back to it."
    )
    beside = [target, _after("back", panels[0]), *panels[1:]]
    return _figure(beside, _pattern(tensor.name, output.name, reads), caption)


def _output(derivation: Derivation) -> Tensor:
    return next(t for t in derivation.backward.program.outputs if t.kind == "float")


def _drawn(tensor: Tensor, reads: Reads) -> bool:
    return 0 < prod(reads.shapes[tensor.name]) <= MOST


def _busiest(tensor: Tensor, output: Tensor, reads: Reads) -> int:
    """The element of an input that most outputs depend on; of several the one in the middle."""
    shape = reads.shapes[tensor.name]
    times = [0] * prod(shape)
    for row in reads.pattern(output.name, tensor.name):
        for k in row:
            times[k] += 1
    middle = [n // 2 for n in shape]

    def far(k: int) -> int:
        return sum(abs(a - b) for a, b in zip(_unflat(k, shape), middle, strict=True))

    return min(range(len(times)), key=lambda k: (-times[k], far(k), k))


def _middle(shape: Sequence[int]) -> int:
    k = 0
    for n in shape:
        k = k * n + n // 2
    return k


def _unflat(k: int, shape: Sequence[int]) -> tuple[int, ...]:
    out: list[int] = []
    for n in reversed(shape):
        k, rest = divmod(k, n)
        out.append(rest)
    return tuple(reversed(out))


def _place(name: str, k: int, reads: Reads) -> str:
    place = ",".join(map(str, _unflat(k, reads.shapes[name])))
    return f"{name}[{place}]" if place else name


def _count(n: int) -> str:
    return "no element" if n == 0 else f"{n} element{'s' * (n != 1)}"


# Drawing


def _figure(panels: Sequence[str], pattern: str, caption: str) -> str:
    return (
        f'<figure class="reads"><div class="drawn"><div class="panels">{"".join(panels)}</div>'
        f"{pattern}</div><figcaption>{text(caption)}</figcaption></figure>"
    )


def _after(kind: str, panel: str) -> str:
    """An array with the arrow before it."""
    sign = "→" if kind == "forward" else "←"
    return (
        f'<div class="after"><div class="arrow {kind}" aria-hidden="true">{sign}</div>{panel}</div>'
    )


def _panel(name: str, shape: Sequence[int], marked: Collection[int], kind: str) -> str:
    """One array: its grid, its name and shape; ``kind`` is the class of the marked cells."""
    size = " × ".join(map(str, shape))
    label = f"<b>{text(name)}</b> {size}".rstrip()
    drawn = grid(shape, marked, kind) if 0 < prod(shape) <= MOST else ""
    return f'<div class="panel">{drawn}<span>{label}</span></div>'


def grid(shape: Sequence[int], marked: Collection[int], kind: str) -> str:
    """The ``<svg>`` of an array's cells."""
    corners = list(_corners(shape))
    across = max(x for x, _ in corners) + CELL
    down = max(y for _, y in corners) + CELL
    scale = max(min(1.0, WIDEST / across), LEAST / CELL)
    chosen = set(marked)
    plain = "".join(_cell(*c) for k, c in enumerate(corners) if k not in chosen)
    told = "".join(_cell(*c) for k, c in enumerate(corners) if k in chosen)
    return (
        f'<svg class="cells" viewBox="-1 -1 {across + 2} {down + 2}" '
        f'width="{(across + 2) * scale:.0f}" height="{(down + 2) * scale:.0f}" role="img" '
        f'aria-label="{len(chosen)} of {len(corners)} cells marked">'
        f'<path class="cell" d="{plain}"/><path class="{kind}" d="{told}"/></svg>'
    )


def _cell(x: int, y: int) -> str:
    return f"M{x} {y}h{CELL - 2}v{CELL - 2}h-{CELL - 2}z"


def _corners(shape: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where each element's cell is, in row-major order."""
    *outer, rows, columns = (1,) * (2 - len(shape)) + tuple(shape)
    beside = outer[-1] if outer else 1
    width, height = columns * CELL + GAP, rows * CELL + GAP
    for block in range(prod(outer)):
        x, y = block % beside * width, block // beside * height
        for row in range(rows):
            for column in range(columns):
                yield x + column * CELL, y + row * CELL


def _pattern(name: str, output: str, reads: Reads) -> str:
    """The places of the Jacobian that may hold something else than 0."""
    rows, columns = prod(reads.shapes[output]), prod(reads.shapes[name])
    if not 0 < rows <= LARGEST or not 0 < columns <= LARGEST:
        return ""
    found = reads.pattern(output, name)
    drawn = "".join(
        f"M{first} {row}h{count}v1h-{count}z"
        for row, places in enumerate(found)
        for first, count in _runs(places)
    )
    scale = min(PATTERN / max(rows, columns), CELL)
    width, height = (max(n * scale, min(THINNEST, n * CELL)) for n in (columns, rows))
    share = 100 * sum(map(len, found)) / (rows * columns)
    label = (
        f"<b>∂{text(output)}/∂{text(name)}</b> {rows} × {columns}<br>{share:.3g} % can be nonzero"
    )
    return (
        f'<div class="panel"><svg class="pattern" viewBox="0 0 {columns} {rows}" '
        f'width="{width:.0f}" height="{height:.0f}" preserveAspectRatio="none" role="img" '
        f'aria-label="where the Jacobian can be nonzero"><path d="{drawn}"/></svg>'
        f"<span>{label}</span></div>"
    )


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Neighbours as (first, how many)."""
    start = 0
    for k in range(1, len(places) + 1):
        if k == len(places) or places[k] != places[k - 1] + 1:
            yield places[start], k - start
            start = k
