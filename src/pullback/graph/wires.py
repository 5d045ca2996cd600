"""The wires of a drawing: values go down, gradients come up beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .layout import Box, Layout

PORT_GAP = 24.0  # between two edges that meet the same side of a box
BESIDE = 40.0  # the room at the right for edges that lead back to an earlier box

Edge = tuple[int, int]


def wires(
    boxes: Sequence[Box], edges: Sequence[Edge], layout: Layout, back: Sequence[bool]
) -> Iterator[str]:
    """The paths of edges between laid out boxes, as SVG; ``back`` tells along which a gradient
    comes back.

    The classes of the paths are "forward", "backward" and those of their heads.
    """
    leaving = _ports(boxes, edges, layout, 0)
    entering = _ports(boxes, edges, layout, 1)
    for k, ((start, end), bends) in enumerate(zip(edges, layout.bends, strict=True)):
        x1, x2 = leaving[k], entering[k]
        y1 = layout.places[start][1] + boxes[start].height / 2
        y2 = layout.places[end][1] - boxes[end].height / 2
        shift = 3.5 if back[k] else 0.0
        path = _curve(x1 - shift, y1, bends, x2 - shift, y2 - 5, -shift)
        yield f'<path class="forward" d="{path}"/>' + _head("forward-head", x2 - shift, y2, 1)
        if back[k]:
            path = _curve(x1 + shift, y1 + 5, bends, x2 + shift, y2, shift)
            yield f'<path class="backward" d="{path}"/>' + _head(
                "backward-head", x1 + shift, y1, -1
            )


def loops(
    boxes: Sequence[Box], edges: Sequence[Edge], layout: Layout, back: Sequence[bool]
) -> Iterator[str]:
    """The paths of edges to an earlier box or to the same one, which pass at the right of all boxes
    within :data:`BESIDE`; otherwise as :func:`wires`."""
    for (start, end), flows in zip(edges, back, strict=True):
        (x1, y1), (x2, y2) = layout.places[start], layout.places[end]
        x1, x2 = x1 + boxes[start].width / 2, x2 + boxes[end].width / 2
        apart, shift = 8.0 if start == end else 0.0, 3.5 if flows else 0.0
        side = layout.width + BESIDE - 8
        far = side + (side - (x1 + x2) / 2) / 3  # a curve reaches three quarters of the way to it
        for kind, own, gap in (("forward", -shift, (0, 5)), ("backward", shift, (5, 0)))[
            : 1 + flows
        ]:
            out, into = y1 + apart + own, y2 - apart - own
            path = f"M{x1 + gap[0]:.1f} {out:.1f}C{far + own:.1f} {out:.1f} {far + own:.1f} "
            yield f'<path class="{kind}" d="{path}{into:.1f} {x2 + gap[1]:.1f} {into:.1f}"/>'
            x, y = (x1, out) if gap[0] else (x2, into)
            yield (
                f'<path class="{kind}-head" d="M{x:.1f} {y:.1f}L{x + 7:.1f} {y - 3.5:.1f}'
                f'V{y + 3.5:.1f}Z"/>'
            )


def _ports(boxes: Sequence[Box], edges: Sequence[Edge], layout: Layout, side: int) -> list[float]:
    """Where each edge meets its first (0) or last (1) box: side by side, as they go on."""
    found = [0.0] * len(edges)
    for box, of in enumerate(boxes):
        mine = [k for k, edge in enumerate(edges) if edge[side] == box]
        mine.sort(key=lambda k: _towards(edges[k], layout.bends[k], layout, side))
        apart = min(PORT_GAP, (of.width - 40) / max(len(mine), 1))
        for at, k in enumerate(mine):
            found[k] = layout.places[box][0] + (at - (len(mine) - 1) / 2) * apart
    return found


def _towards(
    edge: Edge, bends: tuple[tuple[float, float, float], ...], layout: Layout, side: int
) -> float:
    """The next place across, seen from an edge's first or last box."""
    if bends:
        return bends[-1 if side else 0][0]
    return layout.places[edge[1 - side]][0]


def _curve(
    x1: float,
    y1: float,
    bends: tuple[tuple[float, float, float], ...],
    x2: float,
    y2: float,
    shift: float,
) -> str:
    path = f"M{x1:.1f} {y1:.1f}"
    x, y = x1, y1
    for bend, top, bottom in (*((b + shift, t, u) for b, t, u in bends), (x2, y2, y2)):
        half = (y + top) / 2
        path += f"C{x:.1f} {half:.1f} {bend:.1f} {half:.1f} {bend:.1f} {top:.1f}"
        if bottom != top:
            path += f"V{bottom:.1f}"
        x, y = bend, bottom
    return path


def _head(kind: str, x: float, y: float, way: int) -> str:
    back = y - 7 * way
    return f'<path class="{kind}" d="M{x:.1f} {y:.1f}L{x - 3.5:.1f} {back:.1f}H{x + 3.5:.1f}Z"/>'
