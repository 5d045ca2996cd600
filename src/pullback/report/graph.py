"""The computational graph of a derivation as inline SVG: values forward, gradients backward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..derivation import Derivation, shape_text
from ..graph.layout import Box, Layout, lay_out
from ..ir.expr import Tensor
from ..ir.program import Define, reads
from ..notation.plain import show
from .circuit import Circuit, circuit, gate_circuit
from .mathml import text

LETTER = 7.3  # the width of a letter of the smaller type
LINE = 18.0
PAD = 12.0
PORT_GAP = 24.0  # between two edges that meet the same side of a box
MOST_LETTERS = 36

STYLE = """
.pb-graph { font: 12px ui-sans-serif, system-ui, sans-serif; }
.pb-graph text { fill: var(--pb-ink, #1c1e26); text-anchor: middle; }
.pb-graph .box { fill: var(--pb-card, #ffffff); stroke: var(--pb-line, #c9ccd6); }
.pb-graph .input .box { fill: var(--pb-soft, #eef0f6); }
.pb-graph .name { font-weight: 650; font-size: 13px; }
.pb-graph .shape, .pb-graph .gate { fill: var(--pb-muted, #666b7a); font-weight: 400; }
.pb-graph .gate { font-size: 11px; letter-spacing: .02em; }
.pb-graph .code { font: 11px ui-monospace, monospace; fill: var(--pb-muted, #666b7a); }
.pb-graph .gradient { fill: var(--pb-gradient, #b4236c); font-weight: 600; }
.pb-graph .forward { fill: none; stroke: var(--pb-forward, #3b6fd4); stroke-width: 1.5; }
.pb-graph .backward { fill: none; stroke: var(--pb-gradient, #b4236c); stroke-width: 1.5;
  stroke-dasharray: 4 3; }
.pb-graph .forward-head { fill: var(--pb-forward, #3b6fd4); }
.pb-graph .backward-head { fill: var(--pb-gradient, #b4236c); }
"""


@dataclass(frozen=True)
class Node:
    """A tensor of the graph, an input or what a statement computes.

    ``lines`` are pairs of a class of the style sheet and text; ``title`` is shown when pointed at.
    """

    tensor: Tensor
    lines: tuple[tuple[str, str], ...]
    title: str
    input: bool

    @property
    def box(self) -> Box:
        """The room it takes."""
        widest = max(len(words) for _, words in self.lines)
        return Box(widest * LETTER + 2 * PAD, len(self.lines) * LINE + 2 * PAD - 6, self.input)


def graph(derivation: Derivation, values: Mapping[str, float] = {}, *, gates: bool = False) -> str:
    """The ``<svg>`` of a derivation's graph.

    A box is an input or a statement with what it computes: what it does, name, shape, the gradient
    that arrives. ``gates=True`` draws one box a gate instead. ``values`` are single numbers, by
    name, to write into the boxes; where they are those of all inputs of a graph of gates, every
    value and every gradient is written (those of the outputs are 1).
    """
    drawn = gate_circuit(derivation, values) if gates else circuit(derivation, values)
    return draw(drawn)


def draw(shown: Circuit) -> str:
    """The ``<svg>`` of a circuit."""
    nodes = list(_nodes(shown))
    place = {node.tensor: k for k, node in enumerate(nodes)}
    edges = [(place[t], place[s.target]) for s in shown.program.statements for t in reads(s)]
    layout = lay_out([node.box for node in nodes], edges)
    parts = [
        *_edges(nodes, edges, layout, shown),
        *(_box(node, *layout.places[k]) for k, node in enumerate(nodes)),
    ]
    margin = 4
    view = f"{-margin} {-margin} {layout.width + 2 * margin:.0f} {layout.height + 2 * margin:.0f}"
    return (
        f'<svg class="pb-graph" xmlns="http://www.w3.org/2000/svg" viewBox="{view}" '
        f'width="{layout.width + 2 * margin:.0f}" height="{layout.height + 2 * margin:.0f}" '
        f'role="img" aria-label="Computational graph with {len(nodes)} values">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>"
    )


def _nodes(shown: Circuit) -> Iterator[Node]:
    own = {s.target: s for s in shown.program.statements}
    used = {t for s in own.values() for t in reads(s)}
    for tensor in [*(t for t in shown.program.inputs if t in used), *own]:
        statement = own.get(tensor)
        title = show(statement) if statement else f"input {tensor.name} {shape_text(tensor.shape)}"
        yield Node(tensor, tuple(_lines(tensor, statement, shown)), title, statement is None)


def _lines(tensor: Tensor, statement: Define | None, shown: Circuit) -> Iterator[tuple[str, str]]:
    name = tensor.name
    if statement is not None and shown.kinds[name]:
        yield "gate", shown.kinds[name]
    value = shown.values.get(name)
    shape = shape_text(tensor.shape) if tensor.shape else ""
    yield "name", f"{name}  {shape if value is None else f'= {value:.4g}'}"
    if statement is not None:
        source = " ".join((statement.source.text or show(statement)).split())
        yield "code", source if len(source) <= MOST_LETTERS else source[: MOST_LETTERS - 1] + "…"
    if name in shown.gradients:
        slope = shown.slopes.get(name)
        yield "gradient", shown.gradients[name] + ("" if slope is None else f" = {slope:.4g}")


# Drawing


def _box(node: Node, x: float, y: float) -> str:
    box = node.box
    left, top = x - box.width / 2, y - box.height / 2
    radius = 16 if node.input else 8
    lines = []
    for k, (kind, words) in enumerate(node.lines):
        base = top + PAD + LINE * k + 10
        name, _, shape = words.partition("  ")
        inner = text(name)
        if kind == "name" and shape:
            inner += f' <tspan class="shape">{text(shape)}</tspan>'
        lines.append(f'<text class="{kind}" x="{x:.1f}" y="{base:.1f}">{inner}</text>')
    kind = "input" if node.input else "value-box"
    return (
        f'<g class="{kind}"><title>{text(node.title)}</title>'
        f'<rect class="box" x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="{radius}"/>{"".join(lines)}</g>'
    )


def _edges(
    nodes: list[Node], edges: list[tuple[int, int]], layout: Layout, shown: Circuit
) -> Iterator[str]:
    leaving = _ports(nodes, edges, layout, 0)
    entering = _ports(nodes, edges, layout, 1)
    for k, ((start, end), bends) in enumerate(zip(edges, layout.bends, strict=True)):
        upper, lower = nodes[start], nodes[end]
        x1, x2 = leaving[k], entering[k]
        y1 = layout.places[start][1] + upper.box.height / 2
        y2 = layout.places[end][1] - lower.box.height / 2
        # The gradient flows wherever both ends are on the way back, absorbed gradients included.
        backward = {upper.tensor, lower.tensor} <= shown.active
        shift = 3.5 if backward else 0.0
        path = _curve(x1 - shift, y1, bends, x2 - shift, y2 - 5, -shift)
        yield f'<path class="forward" d="{path}"/>' + _head("forward-head", x2 - shift, y2, 1)
        if backward:
            path = _curve(x1 + shift, y1 + 5, bends, x2 + shift, y2, shift)
            yield f'<path class="backward" d="{path}"/>' + _head(
                "backward-head", x1 + shift, y1, -1
            )


def _ports(
    nodes: list[Node], edges: list[tuple[int, int]], layout: Layout, side: int
) -> list[float]:
    """Where each edge meets its first (0) or last (1) box: side by side, as they go on."""
    found = [0.0] * len(edges)
    for box, node in enumerate(nodes):
        mine = [k for k, edge in enumerate(edges) if edge[side] == box]
        mine.sort(key=lambda k: _towards(edges[k], layout.bends[k], layout, side))
        apart = min(PORT_GAP, (node.box.width - 40) / max(len(mine), 1))
        for at, k in enumerate(mine):
            found[k] = layout.places[box][0] + (at - (len(mine) - 1) / 2) * apart
    return found


def _towards(
    edge: tuple[int, int], bends: tuple[tuple[float, float, float], ...], layout: Layout, side: int
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
