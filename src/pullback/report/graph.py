"""The computational graph of a derivation as inline SVG: values forward, gradients backward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..derivation import Derivation, shape_text
from ..graph.layout import Box, lay_out
from ..graph.wires import BESIDE, loops, wires
from ..ir.expr import Tensor
from ..ir.program import Define, reads
from ..notation.plain import show
from .circuit import Circuit, circuit, gate_circuit
from .mathml import text

LETTER = 7.3  # the width of a letter of the smaller type
LINE = 18.0
PAD = 12.0
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
    boxes = [node.box for node in nodes]
    joined = [(place[t], place[s.target]) for s in shown.program.statements for t in reads(s)]
    edges = [edge for edge in joined if edge[0] < edge[1]]
    again = [edge for edge in joined if edge[0] >= edge[1]]  # of a recurrence
    layout = lay_out(boxes, edges)
    parts = [
        *wires(boxes, edges, layout, _flows(nodes, edges, shown)),
        *loops(boxes, again, layout, _flows(nodes, again, shown)),
        *(_box(node, *layout.places[k]) for k, node in enumerate(nodes)),
    ]
    margin = 4
    width = layout.width + 2 * margin + (BESIDE if again else 0)
    view = f"{-margin} {-margin} {width:.0f} {layout.height + 2 * margin:.0f}"
    return (
        f'<svg class="pb-graph" xmlns="http://www.w3.org/2000/svg" viewBox="{view}" '
        f'width="{width:.0f}" height="{layout.height + 2 * margin:.0f}" '
        f'role="img" aria-label="Computational graph with {len(nodes)} values">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>"
    )


def _flows(nodes: list[Node], edges: list[tuple[int, int]], shown: Circuit) -> list[bool]:
    """Whether a gradient flows along each edge: both ends are on the way back, absorbed gradients
    included."""
    return [all(nodes[k].tensor in shown.active for k in edge) for edge in edges]


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
