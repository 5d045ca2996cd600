"""A graph with its numbers as one drawing that stands by itself: an inline SVG."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..text import visible
from .figures import is_small, norm, number, rows, shape
from .layout import Box, lay_out
from .names import label
from .wires import wires

if TYPE_CHECKING:
    from .numbers import Numbers, Value

LETTER, LINE, PAD, MARGIN = 7.3, 17.0, 10.0, 4
LONGEST = 34  # letters of a formula

STYLE = """
.pb-numbers { font: 12px ui-sans-serif, system-ui, sans-serif; color-scheme: light dark; }
.pb-numbers text { fill: light-dark(#1a1d29, #e6e9f3); text-anchor: middle; }
.pb-numbers .box { fill: light-dark(#ffffff, #1a1d27); stroke: light-dark(#c3c9da, #474e62); }
.pb-numbers .input .box { fill: light-dark(#eef1f8, #222633); }
.pb-numbers .fold .box { fill: light-dark(#eef1f8, #222633); stroke-dasharray: 6 4; }
.pb-numbers .name { font-weight: 650; font-size: 13px; }
.pb-numbers .gate { fill: light-dark(#5d6378, #a0a7bd); font-size: 11px; }
.pb-numbers :is(.value, .gradient) { font: 12px ui-monospace, "DejaVu Sans Mono", monospace; }
.pb-numbers .value { fill: light-dark(#2f5fc4, #8db0ff); }
.pb-numbers .gradient { fill: light-dark(#ae1f67, #ff8fc4); }
.pb-numbers .forward { fill: none; stroke: light-dark(#2f5fc4, #8db0ff); stroke-width: 1.5; }
.pb-numbers .backward { fill: none; stroke: light-dark(#ae1f67, #ff8fc4); stroke-width: 1.5;
  stroke-dasharray: 4 3; }
.pb-numbers .forward-head { fill: light-dark(#2f5fc4, #8db0ff); }
.pb-numbers .backward-head { fill: light-dark(#ae1f67, #ff8fc4); }
"""


@dataclass(frozen=True)
class Shown:
    """A box of the drawing: ``lines`` are pairs of a class and text, ``tip`` is a tooltip."""

    kind: str
    lines: tuple[tuple[str, str], ...]
    tip: str

    @property
    def box(self) -> Box:
        """The room that it takes."""
        widest = max(len(words) for _, words in self.lines)
        height = len(self.lines) * LINE + 2 * PAD
        return Box(widest * LETTER + 2 * PAD, height, self.kind == "input")


def draw(shown: Numbers, *, fold: bool = True) -> str:
    """The ``<svg>`` of a graph with its numbers; gates that repeat are one box if ``fold``."""
    nodes = shown.nodes
    folded = {k: f for f in (shown.folds if fold else ()) for turn in f.turns for k in turn}
    boxes: list[Shown] = []
    place: dict[int, int] = {}
    first: dict[Any, int] = {}
    for k, node in enumerate(nodes):
        one = folded.get(k)
        if one in first:
            place[k] = first[one]
            continue
        place[k] = len(boxes)
        if one is None:
            boxes.append(_box(node))
        else:
            first[one] = place[k]
            gates = dict.fromkeys(nodes[j].title for j in one.turns[0])
            lines = (("name", f"{one.count} equal layers"), ("gate", " → ".join(gates)))
            boxes.append(Shown("fold", lines, "folded"))
    owner = {name: k for k, node in enumerate(nodes) for name in node.names}
    found: dict[tuple[int, int], bool] = {}
    for k, node in enumerate(nodes):
        wired = {wire.of for wire in node.wires}
        for name in node.reads:
            edge = place[owner[name]], place[k]
            if edge[0] != edge[1]:
                found[edge] = found.get(edge, False) or name in wired
    sizes = [box.box for box in boxes]
    layout = lay_out(sizes, list(found))
    drawn = [*wires(sizes, list(found), layout, list(found.values()))]
    drawn += [_drawn(box, *layout.places[k]) for k, box in enumerate(boxes)]
    width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    return (
        f'<svg class="pb-numbers" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="{-MARGIN} {-MARGIN} {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="Computational graph with {len(boxes)} boxes">'
        f"<style>{STYLE}</style>{''.join(drawn)}</svg>"
    )


def _box(node: Value) -> Shown:
    kind = "input" if node.is_input else "gates"
    tip = node.formula or f"input {label(node.name)}"
    return Shown(kind, tuple(_lines(node)), f"{tip}\n{node.rule}" if node.wires else tip)


def _lines(node: Value) -> Iterator[tuple[str, str]]:
    if not node.is_input:
        yield "gate", f"{node.title} · {node.brief}" if node.brief else node.title
    words = label(node.name) if node.is_input else node.formula
    yield "name", words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    for name in node.names[:-1]:
        yield "gate", label(name)
    yield from (("value", line) for line in _numbers(node.value))
    if node.gradient is not None:
        lines = [*_numbers(node.gradient)]
        name = f"{label(node.gradient_name)} = "
        yield "gradient", name + lines[0] if len(lines) == 1 else name
        yield from (("gradient", line) for line in lines if len(lines) > 1)


def _numbers(value: Any) -> list[str]:
    array = np.asarray(value)
    if array.ndim == 0:
        return [number(array[()])]
    if not is_small(array):
        return [f"{shape(array)}, norm {norm(array)}" if array.size else f"{shape(array)}, empty"]
    cells = rows(array)
    wide = max(len(cell) for row in cells for cell in row)
    return ["[" + " ".join(cell.rjust(wide, "\u2007") for cell in row) + "]" for row in cells]


def _drawn(box: Shown, x: float, y: float) -> str:
    size = box.box
    left, top = x - size.width / 2, y - size.height / 2 + 12
    lines = "".join(
        f'<text class="{kind}" x="{x:.1f}" y="{top + PAD + LINE * k:.1f}">{_text(words)}</text>'
        for k, (kind, words) in enumerate(box.lines)
    )
    return (
        f'<g class="{box.kind}"><title>{_text(box.tip)}</title>'
        f'<rect class="box" x="{left:.1f}" y="{top - 12:.1f}" width="{size.width:.1f}" '
        f'height="{size.height:.1f}" rx="{16 if box.kind == "input" else 8}"/>{lines}</g>'
    )


def _text(words: str) -> str:
    return html.escape(visible(words, "\n\u2007"))
