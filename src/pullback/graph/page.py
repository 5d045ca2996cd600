"""A graph with its numbers as one HTML file that needs no network, to step through."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..notation.terminal import terminal
from ..text import json_text, visible
from .figures import exact, is_small, norm, number, rows, shape, summary
from .folds import Fold
from .names import label

if TYPE_CHECKING:
    from .numbers import Numbers, Value, Wire

FINE = 4  # digits behind the point in sentences
SHORT = 30  # letters of a formula in a box
MOST_STATEMENTS = 14
MOST_TURNS = 12

SYMBOLS = {
    "add": "+",
    "subtract": "−",
    "multiply": "×",
    "negate": "−x",
    "reciprocal": "1/x",
    "square": "x²",
    "sqrt": "√",
    "sigmoid": "σ",
    "maximum": "max",
    "minimum": "min",
    "copy": "=",
    "abs": "|x|",
    "select": "if",
    "guard": "[ ]",
}
BOLD = {
    "add": "+ distributes",
    "multiply": "× swaps",
    "sum": "Σ distributes",
    "copies": "A copy adds",
    "maximum": "Max routes",
    "max": "Max routes",
}


def page(shown: Numbers, title: str = "") -> str:
    """The HTML of a page; ``title`` is its heading, "Numbers on the graph" if not given."""
    variants = variants_of(shown)
    parts = {
        "title": _text(title or "Numbers on the graph"),
        "style": asset("page.css"),
        "graph-style": asset("graph.css"),
        "program": _program(shown),
        "stepper": stepper(variants),
        "drawing": shown.svg(),
        "rules": _rules(variants),
        "numbers": _table(shown),
        "checks": _checks(variants),
        "version": __version__,
        "licence": asset("dagre", "LICENSE"),
        "dagre": layout(),
        "graph-script": asset("graph.js"),
        "script": asset("page.js"),
    }
    return _filled_in("page.html", parts)


def variants_of(shown: Numbers) -> tuple[Numbers, ...]:
    """The graph and, where functions can be opened into gates, the graph with them opened."""
    if not shown.expandable or shown.expand:
        return (shown,)
    return (shown, shown.expanded())


def stepper(variants: Sequence[Numbers]) -> str:
    """The drawing with its buttons and its data, which :func:`layout` and ``graph.js`` draw."""
    data = {"graphs": [_data(one) for one in variants]}
    buttons = ""
    if len(variants) > 1:
        buttons += _button("open", f"Open {', '.join(variants[0].expandable)}")
    folds = any(one.folds for one in variants)
    if folds:
        buttons += _button("unfold", "Open what repeats")
    parts = {
        "buttons": buttons,
        "folded": " A box with a dashed border stands for gates that repeat; a click opens it."
        if folds
        else "",
        "data": json_text(data, None).replace("<", "\\u003c"),
    }
    return _filled_in("stepper.html", parts)


def layout() -> str:
    """The script that lays graphs out, dagre."""
    return re.sub(r"\n//# sourceMappingURL=.*", "", asset("dagre", "dagre.min.js"))


def _filled_in(name: str, parts: Mapping[str, str]) -> str:
    pattern = re.compile("{(" + "|".join(parts) + ")}")
    return pattern.sub(lambda match: parts[match[1]], asset(name))


def asset(*path: str) -> str:
    """A file that is part of the page."""
    found = files(__package__).joinpath("assets", *path)
    return found.read_text(encoding="utf-8").strip()


def _button(name: str, words: str) -> str:
    pressed = f'id="{name}" type="button" aria-pressed="false"'
    return f'<button class="btn" {pressed}>{_text(words)}</button>'


def _text(words: str) -> str:
    return html.escape(visible(words))


def _minus(words: str) -> str:
    """A number with the minus sign of print."""
    return re.sub(r"(?<![\w)])-(?=[\d.i])", "−", words)


def _number(value: Any, digits: int = 2) -> str:
    return _minus(number(value, digits))


# The data of the drawing


@dataclass(frozen=True)
class _Numbered:
    """The nodes and edges of a graph by number."""

    nodes: Sequence[Value]
    edges: Sequence[tuple[int, int | None, Wire | None]]
    from_gate: Mapping[int, Sequence[int]]


def _numbered(shown: Numbers) -> _Numbered:
    """Every read of every gate as an edge, with its gradients where there are any."""
    nodes = shown.nodes
    place = {name: k for k, node in enumerate(nodes) for name in node.names}
    edges: list[tuple[int, int | None, Wire | None]] = []
    from_gate: dict[int, list[int]] = {}
    for k, node in enumerate(nodes):
        wired = {wire.of for wire in node.wires}
        for wire in node.wires:
            from_gate.setdefault(k, []).append(len(edges))
            edges.append((place[wire.of], k, wire))
        edges += [(place[name], k, None) for name in node.reads if name not in wired]
    edges += [(k, None, None) for k, node in enumerate(nodes) if node.is_output]
    return _Numbered(nodes, edges, from_gate)


def _data(shown: Numbers) -> dict[str, Any]:
    graph = _numbered(shown)
    single = all(np.ndim(n.value) == 0 and len(n.names) == 1 for n in graph.nodes)
    return {
        "single": single,
        "nodes": [_node(node) for node in graph.nodes],
        "edges": [_edge(graph, *edge) for edge in graph.edges],
        "steps": list(_steps(graph)),
        "folds": [_fold(graph, fold) for fold in shown.folds],
        "code": list(_code(graph)),
        "overview": _overview(shown),
    }


def _node(node: Value) -> dict[str, Any]:
    gradient = "" if node.gradient is None else f", gradient {_number_of(node.gradient)}"
    return {
        "label": label(node.name),
        "input": node.is_input,
        "title": node.title,
        "symbol": _symbol(node),
        "brief": node.brief,
        "short": _short(node.formula or label(node.name)),
        "value": _lines(node.value, ""),
        "gradient": []
        if node.gradient is None
        else _lines(node.gradient, label(node.gradient_name)),
        "tip": f"{node.formula or label(node.name)} = {_number_of(node.value)}{gradient}",
    }


def _symbol(node: Value) -> str:
    if node.kind == "scale" and node.wires and np.ndim(node.wires[0].local) == 0:
        return f"×{_minus(exact(node.wires[0].local))}"
    return SYMBOLS.get(node.kind, node.kind)


def _short(words: str) -> str:
    return words if len(words) <= SHORT else words[: SHORT - 1] + "…"


def _lines(value: Any, name: str) -> list[str]:
    """A number, a small array row by row, or the shape and the norm of a larger one."""
    array = np.asarray(value)
    start = f"{name} = " if name else ""
    if array.ndim == 0:
        return [f"{start}{_number(array[()])}"]
    if not is_small(array):
        about = "empty" if array.size == 0 else f"norm {norm(array)}"
        return [f"{name}  {shape(array)}, {about}".strip()]
    cells = [[_minus(cell) for cell in row] for row in rows(array)]
    widest = max(len(cell) for row in cells for cell in row)
    inner = ["[" + " ".join(cell.rjust(widest, "\u2007") for cell in row) + "]" for row in cells]
    return [*([f"{name} ="] if name else []), *inner]


def _number_of(value: Any) -> str:
    return _minus(summary(value))


def _edge(graph: _Numbered, start: int, end: int | None, wire: Wire | None) -> dict[str, Any]:
    node = graph.nodes[start]
    tip, sent = f"{label(node.name)} = {_number_of(node.value)}", ""
    if wire is not None:
        sent = _number_of(wire.downstream)
        local = wire.slope or "Jacobian"
        if wire.local is not None and not _is_plain(wire):
            local += f" = {_number_of(wire.local)}"
        tip += (
            f"\nupstream {_number_of(wire.upstream)} × local {local}"
            f" = downstream {label(wire.sent)} = {sent}"
        )
    elif end is None and node.gradient is not None:
        sent = _number_of(node.gradient if not node.parts else next(iter(node.parts.values())))
    return {
        "from": start,
        "to": end,
        "value": _number_of(node.value),
        "sent": sent,
        "tip": tip,
    }


# The steps


def _steps(graph: _Numbered) -> Iterator[dict[str, Any]]:
    for k, node in enumerate(graph.nodes):
        if not node.is_input:
            yield {"p": "f", "n": k, "edges": [], "say": _forward(graph, node)}
    for k, node in reversed([*enumerate(graph.nodes)]):
        if node.wires:
            edges = graph.from_gate.get(k, ())
            yield {"p": "b", "n": k, "edges": list(edges), "say": _backward(node)}
        elif node.parts:
            yield {"p": "b", "n": k, "edges": [], "say": _copies(node)}


def _head(words: str, backward: bool = False) -> str:
    colour = ' class="g"' if backward else ""
    return f"<p><b{colour}>{_text(words[:1].upper() + words[1:])}</b></p>"


def _forward(graph: _Numbered, node: Value) -> str:
    """What a gate computes, with numbers in the place of names where all are numbers."""
    out = _head(node.title)
    values = {n.name: n.value for n in graph.nodes}
    given = {name: values[name] for name in node.reads if name in values}
    out += f"<p>{_text(node.formula)}</p>"
    if np.ndim(node.value) or any(np.ndim(value) for value in given.values()):
        return f"{out}<div class='prod'>{cell(node.value, label(node.name), '')}</div>"
    filled = _filled(node.right, {label(name): value for name, value in given.items()})
    result = f'<b class="b">{_number(node.value, FINE)}</b>'
    return f"{out}<p>{_text(label(node.name))} = {_text(filled)} = {result}</p>"


def _filled(formula: str, values: Mapping[str, Any]) -> str:
    """A formula with numbers in the place of names; negative ones stand in parentheses."""
    if not values:
        return formula
    names = sorted(map(re.escape, values), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w₀-₉])(?:{'|'.join(names)})(?![\w₀-₉(])")

    def put(match: re.Match[str]) -> str:
        spelled = _minus(exact(_rounded(values[match[0]])))
        return f"({spelled})" if spelled.startswith("−") else spelled

    return pattern.sub(put, formula)


def _rounded(value: Any) -> Any:
    """A number with as many digits as sentences show, unless that would leave nothing."""
    near = round(float(value), FINE)
    return near if near or not value else value


def _backward(node: Value) -> str:
    out = _copies(node) if node.parts else ""
    out += _head(node.rule, True)
    if node.is_output and not node.parts:
        given = _number_of(node.gradient)
        out += f"<p>{_text(label(node.gradient_name))} = {_text(given)} arrives from outside.</p>"
    return out + "".join(_product(wire) for wire in node.wires)


def _product(wire: Wire) -> str:
    """One edge: upstream × local = downstream."""
    rule = f'<span class="rule">{_text(wire.rule)}</span>' if wire.rule else ""
    local = _local(wire)
    parts = [cell(wire.upstream, "upstream", "r")]
    if local:
        parts += ["<i>×</i>", local]
    parts += ["<i>=</i>" if local else "<i>→</i>", cell(wire.downstream, label(wire.sent), "r")]
    return f"<div class='prod'>{''.join(parts)}{rule}</div>"


def _local(wire: Wire) -> str:
    if wire.local is None:
        return ""
    words = "local" if _is_plain(wire) else f"local: {_short(wire.slope)}"
    return cell(wire.local, words, "l")


def _is_plain(wire: Wire) -> bool:
    """Whether the local gradient is a number that its formula spells already."""
    return np.ndim(wire.local) == 0 and wire.slope.replace("−", "-") == exact(wire.local)


def cell(value: Any, words: str, kind: str) -> str:
    """A value with a caption below: a number, a small array as a grid, or shape and norm."""
    array = np.asarray(value)
    colour = {"r": "g", "": "b"}.get(kind, "")
    if array.ndim == 0:
        inner = f'<b class="{colour}">{_number(array[()], FINE)}</b>'
    elif is_small(array):
        inner = _grid(array, kind)
    else:
        about = "empty" if array.size == 0 else f"norm {norm(array)}"
        inner = f'<b class="large {colour}">{shape(array)}, {about}</b>'
    return f"<span>{inner}<small>{_text(words)}</small></span>"


def _grid(array: Any, kind: str) -> str:
    cells = "".join(
        "<tr>" + "".join(f"<td>{_minus(cell)}</td>" for cell in row) + "</tr>"
        for row in rows(array)
    )
    return f'<table class="grid {kind}"><tbody>{cells}</tbody></table>'


def _copies(node: Value) -> str:
    """What comes back to a value that is read several times."""
    count = len(node.parts)
    out = _head(f"a copy adds: {label(node.name)} is used in {count} places", True)
    items = list(node.parts.items())
    shown = items if count <= 4 else [*items[:2], items[-1]]
    cells = []
    for k, (name, value) in enumerate(shown):
        if k:
            cells.append("<i>+ … +</i>" if count > 4 and k == 2 else "<i>+</i>")
        cells.append(cell(value, label(name), "r"))
    cells += ["<i>=</i>", cell(node.gradient, label(node.gradient_name), "r")]
    return f"{out}<div class='prod'>{''.join(cells)}</div>"


def _overview(shown: Numbers) -> str:
    outputs = [node for node in shown.nodes if node.is_output]
    out = '<p class="where"><b>Overview</b></p>'
    for node in outputs:
        out += f"<div class='prod'>{cell(node.value, label(node.name), '')}</div>"
    asked = [n for n in shown.nodes if n.is_input and n.gradient is not None]
    if asked and all(np.ndim(n.gradient) == 0 for n in asked):
        best = max(asked, key=lambda n: abs(float(n.gradient)))
        out += (
            f"<p>The strongest lever is <b>{_text(label(best.name))}</b>, with the gradient "
            f'<b class="g">{_number(best.gradient, FINE)}</b>.</p>'
        )
    return f"{out}<p>Press <b>Start</b>, or →, and walk through it one gate at a time.</p>"


# What repeats


def _fold(graph: _Numbered, fold: Fold) -> dict[str, Any]:
    gates = [graph.nodes[k] for k in fold.turns[0]]
    kinds = " → ".join(dict.fromkeys(node.title for node in gates))
    return {
        "turns": [list(turn) for turn in fold.turns],
        "title": f"{fold.count} × ({kinds})",
        "lines": [f"{fold.count} equal layers", _short(kinds), "choose to open"],
        "say": {"f": _turns(graph, fold, False), "b": _turns(graph, fold, True)},
    }


def _turns(graph: _Numbered, fold: Fold, backward: bool) -> str:
    """The last value of every turn, or the gradient that arrives there, as a table."""
    out = _head(f"{fold.count} equal layers, one after the other", backward)
    ends = [graph.nodes[turn[-1]] for turn in fold.turns]
    numbered = [*enumerate(ends, 1)]
    if len(numbered) > MOST_TURNS:
        numbered = [*numbered[: MOST_TURNS - 3], *numbered[-2:]]
    if backward:
        numbered = [pair for pair in numbered[::-1] if pair[1].gradient is not None]
    body, last = "", 0
    for k, node in numbered:
        if last and abs(k - last) > 1:
            body += "<tr><td>⋮</td><td></td></tr>"
        value = node.gradient if backward else node.value
        name = node.gradient_name if backward else node.name
        body += f"<tr><td>{k}</td><td>{_text(label(name))}</td><td>{_number_of(value)}</td></tr>"
        last = k
    kind = "r" if backward else ""
    return f'{out}<table class="grid {kind}"><tbody>{body}</tbody></table>'


# Line by line


def _code(graph: _Numbered) -> Iterator[dict[str, Any]]:
    for k, node in enumerate(graph.nodes):
        if not node.is_input:
            yield {"p": "f", "n": k, "t": node.formula, "v": _brief(node.value)}
    for k, node in reversed([*enumerate(graph.nodes)]):
        if node.is_output and not node.parts and node.gradient is not None:
            given = f"{label(node.gradient_name)} given"
            yield {"p": "b", "n": k, "t": given, "v": _brief(node.gradient)}
        if node.parts:
            total = " + ".join(map(label, node.parts))
            line = f"{label(node.gradient_name)} = {_short(total)}"
            yield {"p": "b", "n": k, "t": line, "v": _brief(node.gradient)}
        for wire in node.wires:
            line = wire.rule or f"{label(wire.sent)} through {node.title}"
            yield {"p": "b", "n": k, "t": line, "v": _brief(wire.downstream)}


def _brief(value: Any) -> str:
    """A value beside a line of code: a number, a few numbers, or shape and norm."""
    spelled = _number_of(value)
    if np.ndim(value) == 0 or len(spelled) <= SHORT:
        return spelled
    return _minus(f"{shape(value)}, norm {norm(value)}")


# Around the graph


def _program(shown: Numbers) -> str:
    lines = [terminal(s) for s in shown.derivation.forward.statements]
    if len(lines) > MOST_STATEMENTS:
        lines[MOST_STATEMENTS - 4 : -3] = ["⋮"]
    out = "".join(f"<div>{_text(line)}</div>" for line in lines)
    given = ", ".join(
        f"{label(n.name)} = {_minus(exact(n.value))}"
        if np.ndim(n.value) == 0
        else f"{label(n.name)} {shape(n.value)}"
        for n in shown.nodes
        if n.is_input
    )
    return f'{out}<div class="at">at {_text(given)}</div>' if given else out


def _rules(variants: Sequence[Numbers]) -> str:
    """What each kind of gate does to a gradient, once each."""
    from .numbers import RULES

    found: dict[str, str] = {}
    for shown in variants:
        for node in shown.nodes:
            if node.wires:
                found.setdefault(node.kind, node.rule)
            if node.parts:
                found.setdefault("copies", RULES["copies"])
    items = ""
    for kind, rule in found.items():
        head, _, rest = rule.partition(": ")
        bold = BOLD.get(kind, head[:1].upper() + head[1:])
        more = f"{_text(rest[:1].upper() + rest[1:])}." if rest else ""
        items += f"<li><b>{_text(bold)}</b>{more}</li>"
    if not items:
        return ""
    return f'<section><h2>Gates to remember</h2><ul class="rules">{items}</ul></section>'


def _table(shown: Numbers) -> str:
    """Every node with its value and its gradient, and every edge, as tables."""
    values = "".join(_value_row(node) for node in shown.nodes)
    edges = "".join(_edge_row(node, wire) for node in reversed(shown.nodes) for wire in node.wires)
    head = "<tr><th>value</th><th>forward</th><th>gradient</th></tr>"
    out = f'<div class="wide"><table class="all"><thead>{head}</thead><tbody>{values}'
    out += "</tbody></table></div>"
    if not edges:
        return out
    head = "<tr><th>edge</th><th>upstream</th><th>local</th><th>downstream</th></tr>"
    return (
        f"{out}<details><summary>Every edge: upstream × local = downstream</summary>"
        f'<div class="wide"><table class="all"><thead>{head}</thead><tbody>{edges}</tbody></table>'
        "</div></details>"
    )


def _value_row(node: Value) -> str:
    words = _text(label(node.name) if node.is_input else node.formula)
    gradient = "" if node.gradient is None else cell(node.gradient, "", "r")
    return (
        f'<tr><td>{words}</td><td data-l="forward">{cell(node.value, "", "")}</td>'
        f'<td data-l="gradient">{gradient}</td></tr>'
    )


def _edge_row(node: Value, wire: Wire) -> str:
    words = _text(f"{label(node.name)} → {label(wire.of)}")
    local = _local(wire) or _text(wire.slope)
    return (
        f'<tr><td>{words}</td><td data-l="upstream">{cell(wire.upstream, "", "r")}</td>'
        f'<td data-l="local">{local}</td>'
        f'<td data-l="downstream">{cell(wire.downstream, label(wire.sent), "r")}</td></tr>'
    )


def _checks(variants: Sequence[Numbers]) -> str:
    good = all(check.holds for shown in variants for check in shown.checks)
    if good:
        names = ", ".join(label(check.name) for check in variants[0].checks)
        also = " The gates of an opened function give the same." if len(variants) > 1 else ""
        return (
            f'<p><b class="ok">✓</b> What comes along the edges to {_text(names)} adds up to the '
            f"gradients by the derivation's own formulas.{also}</p>"
        )
    return "".join(
        f'<p><b class="no">✗</b> The gradient of {_text(label(check.name))} differs from the '
        f"derivation's own formula by {check.difference:.2g}: at a kink the derivation sees what "
        "the gates don't, or a product on the way over- or underflows.</p>"
        for check in {check.name: check for shown in variants for check in shown.checks}.values()
        if not check.holds
    )
