"""A graph with its numbers as text: forward, and backward as upstream × local = downstream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..notation.terminal import terminal
from ..text import padded, width
from .figures import exact, is_small, norm, number, rows, shape
from .folds import Fold
from .names import label

if TYPE_CHECKING:
    from .numbers import Numbers, Value, Wire

GAP = "    "
MOST_LINES = 10  # of the program
MOST_PARTS = 4  # of a sum that is written out
LONGEST_SLOPE = 18
LONGEST_HEAD = 48  # of a grid that stands behind it
LOCAL = 3  # the column of the local gradient


def text(shown: Numbers) -> str:
    """The numbers of a graph: a table of two halves for single numbers, a list with grids
    otherwise."""
    single = all(np.ndim(n.value) == 0 and len(n.names) == 1 for n in shown.nodes)
    body = _scalars(shown) if single else _tensors(shown)
    return "\n".join([*body, "", *_closing(shown)])


def _closing(shown: Numbers) -> Iterator[str]:
    gradient = {n.name: label(n.gradient_name) for n in shown.nodes}
    good = [gradient[c.name] for c in shown.checks if c.holds]
    if good:
        verb = "is" if len(good) == 1 else "are"
        yield f"✓ {', '.join(good)} {verb} what the derivation's own formulas give"
    for check in shown.checks:
        if not check.holds:
            yield (
                f"✗ {gradient[check.name]} differs from the derivation's own formula by "
                f"{check.difference:.2g}: at a kink the derivation sees what the gates don't, or a "
                "product on the way over- or underflows"
            )
    for name, count in shown.kinks.items():
        one = np.ndim(shown.values[name]) == 0
        where = "" if one else f" in {count} element{'s' if count > 1 else ''}"
        said = "is at a kink or a tie"
        yield f"* {label(name)} {said}{where}: what is sent back there is a convention"


# Single numbers


def _scalars(shown: Numbers) -> Iterator[str]:
    folded = {k: fold for fold in shown.folds for k in _inside(fold)}
    left = [line for k, n in _gates(shown) if k not in folded for line in _forward(n)]
    forward = _columns(left)
    backward = list(_backward(shown, folded))
    given = ", ".join(f"{label(n.name)} = {exact(n.value)}" for n in shown.nodes if n.is_input)
    yield from _programs(shown, given)
    yield ""
    wide = max([width(line) for line in forward] + [len("forward")])
    back = _table(backward) if backward else ["no gradient is asked for"]
    for k in range(max(len(forward) + 1, len(back))):
        one = ["forward", *forward][k] if k <= len(forward) else ""
        other = back[k] if k < len(back) else ""
        yield f"{padded(one, wide)}{GAP}{other}".rstrip()


def _programs(shown: Numbers, given: str) -> Iterator[str]:
    statements = [f"{s}" for s in _statements(shown)]
    lines = statements if statements else [""]
    yield from lines[:-1]
    yield f"{lines[-1]}{GAP}at {given}" if given else lines[-1]


def _statements(shown: Numbers) -> Iterator[str]:
    lines = [terminal(s) for s in shown.derivation.forward.statements]
    if len(lines) > MOST_LINES:
        middle = len(lines) - MOST_LINES + 1
        lines[MOST_LINES - 3 : -2] = [f"⋮ {middle} more statements"]
    yield from lines


def _gates(shown: Numbers) -> Iterator[tuple[int, Value]]:
    for k, node in enumerate(shown.nodes):
        if not node.is_input:
            yield k, node


def _inside(fold: Fold) -> range:
    """The gates of a fold that are not shown: all turns but the first and the last."""
    return range(fold.turns[1].start, fold.turns[-1].start)


def _forward(node: Value) -> Iterator[list[str]]:
    yield [node.right, f"{label(node.name)} =", f"{number(node.value):>6}"]


def _table(lines: Sequence[Sequence[str]]) -> list[str]:
    """The columns of the backward pass with the headings above them."""
    head = "backward"
    widths = _widths(lines)
    widths[0] = max(widths[0], len(head))
    above = (
        f"{head:<{widths[0] + 2}}{'upstream':>{widths[1]}} × {'local':<{widths[3]}}   = downstream"
    )
    return [above, *_columns(lines, widths)]


def _backward(shown: Numbers, folded: dict[int, Fold]) -> Iterator[list[str]]:
    """Gate by gate, from the output back: name, upstream, ×, local, =, downstream, remark."""
    said: set[str] = set()
    told: set[Fold] = set()
    for k, node in reversed([*enumerate(shown.nodes)]):
        if k in folded:
            if folded[k] not in told:
                told.add(folded[k])
                yield [_more(folded[k]), *[""] * 5]
            continue
        if node.parts:
            total = _total([number(v) for v in node.parts.values()])
            remark = "" if "copies" in said else "   gradients of copies add up"
            said.add("copies")
            start = f"{label(node.name)}  copies"
            yield [
                start,
                "",
                "",
                total,
                f"= {label(node.gradient_name)}",
                number(node.gradient),
                remark,
            ]
        for j, wire in enumerate(node.wires):
            name = f"{label(node.name)}  {node.kind}" if j == 0 else ""
            remark = "" if j or node.kind in said else _remark(node)
            if j == 0:
                said.add(node.kind)
            yield [
                name,
                number(wire.upstream),
                "×",
                _local(wire),
                f"= {label(wire.sent)}",
                number(wire.downstream),
                remark,
            ]


def _remark(node: Value) -> str:
    return f"   {node.rule.partition(':')[0]}"


def _more(fold: Fold) -> str:
    turns, gates = fold.count - 2, fold.period
    each = f"{gates} gate{'s' if gates > 1 else ''} each"
    return f"⋮ {turns} more like the one below ({each})"


def _local(wire: Wire) -> str:
    """The local gradient as a formula with its value, or its value alone."""
    if wire.local is None:
        return ""
    value = number(wire.local)
    constant = wire.slope.lstrip("-−").replace("/", "").replace(".", "").isdigit()
    if constant:
        return wire.slope
    return f"{wire.slope} = {value:>5}" if len(wire.slope) <= LONGEST_SLOPE else value


def _total(parts: Sequence[str]) -> str:
    """Numbers that are added up; of many the first and the last."""
    if len(parts) > MOST_PARTS:
        parts = [*parts[:2], "…", parts[-1]]
    return " + ".join(parts).replace("+ -", "− ")


def _columns(lines: Sequence[Sequence[str]], widths: Sequence[int] = ()) -> list[str]:
    """Rows of cells in columns: what has a number behind is set flush right."""
    widths = widths or _widths(lines)
    out = []
    for line in lines:
        if len(line) > 1 and not any(line[1:]):
            out.append(line[0])
            continue
        cells = [
            padded(cell, -widths[k] if flush and _is_number(cell) else widths[k])
            for k, cell in enumerate(line)
            for flush in (k != LOCAL,)
        ]
        head, *rest = cells
        out.append(f"{head}  {' '.join(rest)}".rstrip())
    return out


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    most = max((len(line) for line in lines), default=0)
    counted = [line for line in lines if any(line[1:])]
    return [
        max((width(line[k]) for line in counted if k < len(line)), default=0) for k in range(most)
    ]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


# Tensors


def _tensors(shown: Numbers) -> Iterator[str]:
    yield from _statements(shown)
    yield ""
    folded = {k: fold for fold in shown.folds for k in _inside(fold)}
    yield "forward"
    told: set[Fold] = set()
    for k, node in enumerate(shown.nodes):
        if k in folded:
            if folded[k] not in told:
                told.add(folded[k])
                yield f"  {_more(folded[k]).replace('below', 'above')}"
            continue
        title = "input" if node.is_input else node.title
        for name, value in zip(node.names, _all(shown, node.names), strict=True):
            formula = label(name) if node.is_input or len(node.names) > 1 else node.formula
            yield from _block(f"  {formula}", value, f"   {title}")
        for formula, value in node.beside.items():
            yield from _block(f"  {formula}", value, "   read by the gradient")
    yield ""
    yield "backward     upstream × local = downstream"
    yield from _tensors_back(shown, folded)


def _all(shown: Numbers, names: Sequence[str]) -> list[Any]:
    return [shown.values[name] for name in names]


def _tensors_back(shown: Numbers, folded: dict[int, Fold]) -> Iterator[str]:
    told: set[Fold] = set()
    for k, node in reversed([*enumerate(shown.nodes)]):
        if k in folded:
            if folded[k] not in told:
                told.add(folded[k])
                yield f"  {_more(folded[k])}"
            continue
        if node.parts:
            yield f"  {label(node.name)}: {len(node.parts)} copies, whose gradients add up"
            total = _total([label(part) for part in node.parts])
            yield from _block(f"    {label(node.gradient_name)} = {total}", node.gradient)
        if not node.wires:
            continue
        upstream = node.wires[0].upstream
        yield f"  {label(node.name)}  {node.title}: {node.rule}"
        if node.is_output:
            yield from _block(f"    upstream {label(node.gradient_name)}", upstream)
        for wire in node.wires:
            yield from _block(
                f"    to {label(wire.of)}:  {wire.rule or label(wire.sent)}", wire.downstream
            )


def _block(head: str, value: Any, tail: str = "") -> Iterator[str]:
    """A heading with a small array as a grid behind it, or with the shape and the norm."""
    array = np.asarray(value)
    if array.ndim == 0:
        yield f"{head} = {number(array[()])}{tail}"
        return
    size = f"({shape(array)})"
    if not is_small(array):
        about = "empty" if array.size == 0 else f"norm {norm(array)}"
        yield f"{head}  {size} {about}{tail}"
        return
    cells = rows(array)
    wide = max(len(cell) for row in cells for cell in row)
    lines = ["[" + " ".join(f"{cell:>{wide}}" for cell in row) + "]" for row in cells]
    start = f"{head}  {size}  "
    if len(start) > LONGEST_HEAD:
        yield f"{head}  {size}{tail}"
        start, tail = " " * (len(head) - len(head.lstrip()) + 4), ""
    for k, line in enumerate(lines):
        yield f"{start if k == 0 else ' ' * len(start)}{line}{tail if k == 0 else ''}"
