"""Graphs, their layout, and curves."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.calculus.reverse import reverse
from pullback.derivation import Derivation
from pullback.graph.layout import Box, lay_out
from pullback.ir.program import reads
from pullback.notation.parse import parse
from pullback.report.circuit import gate_circuit
from pullback.report.circuit import words as gate_words
from pullback.report.curve import MOST_POINTS, curve, running_mean, thinned, ticks
from pullback.report.graph import graph
from tests.report.forms import FORMS, HOSTILE, derived, hostile

SVG = "{http://www.w3.org/2000/svg}"


def drawn(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)


def words(element: ElementTree.Element) -> str:
    return " ".join(element.itertext())


@pytest.mark.parametrize("name", FORMS)
def test_graph_has_a_box_a_value_and_an_edge_a_read(name: str) -> None:
    made = derived(name)
    root = drawn(graph(made))
    program = made.backward.program
    boxes = [r for r in root.iter(f"{SVG}rect") if r.get("class") == "box"]
    assert len(boxes) == len(program.inputs) + len(program.statements)
    edges = sum(len(reads(s)) for s in program.statements)
    paths = [p.get("class") for p in root.iter(f"{SVG}path")]
    assert paths.count("forward") == edges
    assert paths.count("backward") == edges  # every input here is differentiated
    for tensor in (*program.inputs, *(s.target for s in program.statements)):
        assert re.search(rf"\b{tensor.name}\b", words(root))
    for gradient in made.backward.gradients:
        assert gradient.name in words(root)


def test_gradients_flow_only_where_something_is_differentiated() -> None:
    program = parse("L[] = sum(n) X[n,y[n]]*w[n]")
    x = next(t for t in program.inputs if t.name == "X")
    paths = [p.get("class") for p in drawn(graph(Derivation(reverse(program, (x,))))).iter()]
    assert paths.count("backward") == 1 < paths.count("forward")


def test_values_stand_in_the_boxes() -> None:
    assert "= 0.73" in words(drawn(graph(derived("mlp"), {"L": 0.73})))


def test_gates_carry_values_and_gradients() -> None:
    program = parse("f[] = sigmoid(w0[]*x0[] + w1[]*x1[] + w2[])")
    values = {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0}
    made = Derivation(reverse(program))
    shown = gate_circuit(made, values)
    assert [shown.kinds[s.target.name] for s in shown.program.statements] == [
        "multiply",
        "multiply",
        "add",
        "add",
        "sigmoid",
    ]
    f = 1 / (1 + math.exp(-1.0))
    slope = f * (1 - f)
    expected = {"w0": -1, "x0": 2, "w1": -2, "x1": -3, "w2": 1}
    assert math.isclose(shown.values["f"], f) and shown.slopes["f"] == 1
    for name, factor in expected.items():
        assert math.isclose(shown.slopes[name], factor * slope)
    found = words(drawn(graph(made, values, gates=True)))
    assert "= -1" in found and f"dw1 = {-2 * slope:.4g}" in found and f"= {f:.4g}" in found


def test_hostile_names_are_text_in_the_graph() -> None:
    root = drawn(graph(hostile(), {HOSTILE: 1.0}))
    assert not list(root.iter("script")) and not list(root.iter(f"{SVG}script"))
    assert "alert('x')" in words(root)
    assert "<script" not in curve({HOSTILE: [1.0, 2.0]}, up=HOSTILE, across=HOSTILE)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]", ("sum of products", "add")),
        ("Y[i] = max(X[i], 0)", ("max",)),
        ("Y[d] = mean(n) X[n,d]", ("mean",)),
        ("Y[i] = X[i] - Z[i]", ("subtract",)),
        ("Y[i] = exp(X[i])", ("exp",)),
        ("Y[n] = X[n,y[n]]", ("gather",)),
    ],
)
def test_gates_are_named(source: str, found: tuple[str, ...]) -> None:
    assert gate_words(parse(source).statements[-1].body) == found


edge_lists = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.tuples(st.floats(20, 200), st.booleans()), min_size=n, max_size=n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=20),
    )
)


@given(edge_lists)
def test_boxes_never_overlap_and_edges_go_down(
    case: tuple[list[tuple[float, bool]], list[tuple[int, int]]],
) -> None:
    sizes, pairs = case
    edges = sorted({(min(a, b), max(a, b)) for a, b in pairs if a != b})
    ends = {end for _, end in edges}
    boxes = [Box(w, 40.0, source and k not in ends) for k, (w, source) in enumerate(sizes)]
    layout = lay_out(boxes, edges)
    for k, (x, y) in enumerate(layout.places):
        assert x - boxes[k].width / 2 + 0.2 >= 0 and x + boxes[k].width / 2 <= layout.width + 0.2
        for j, (other_x, other_y) in enumerate(layout.places[:k]):
            apart = abs(x - other_x) >= (boxes[k].width + boxes[j].width) / 2
            assert apart or abs(y - other_y) >= 40
    for (start, end), bends in zip(edges, layout.bends, strict=True):
        heights = [layout.places[start][1], *(t for _, t, _ in bends), layout.places[end][1]]
        assert heights == sorted(heights) and heights[0] < heights[-1]
    assert lay_out(boxes, edges) == layout


# Curves


def test_curve_draws_its_values() -> None:
    root = drawn(curve([4.0, 2.0, 1.0]))
    (line,) = [p for p in root.iter(f"{SVG}path") if "line" in (p.get("class") or "")]
    points = [
        tuple(map(float, p.split())) for p in re.findall(r"[ML]([\d. -]+)", line.get("d") or "")
    ]
    assert len(points) == 3
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x0 < x1 < x2 and math.isclose(x1 - x0, x2 - x1, abs_tol=0.2)
    assert y0 < y1 < y2  # down the picture as the values fall
    assert math.isclose((y1 - y0) / (y2 - y1), 2, rel_tol=0.02)  # and in proportion
    assert "4 → 1" in words(root)


def test_curve_over_several_powers_of_ten_is_logarithmic() -> None:
    root = drawn(curve([1000.0, 10.0, 0.1]))
    (line,) = [p for p in root.iter(f"{SVG}path") if "line" in (p.get("class") or "")]
    heights = [float(p.split()[1]) for p in re.findall(r"[ML]([\d. -]+)", line.get("d") or "")]
    assert math.isclose(heights[1] - heights[0], heights[2] - heights[1], abs_tol=0.2)
    assert "logarithmic" in words(root) and "logarithmic" not in words(drawn(curve([9.0, 0.0])))


def test_curve_breaks_where_a_value_is_not_finite() -> None:
    root = drawn(curve([1.0, 2.0, float("nan"), 3.0, float("inf"), 4.0]))
    paths = [p.get("d") or "" for p in root.iter(f"{SVG}path") if "line" in (p.get("class") or "")]
    assert [d.count("M") for d in paths] == [3]


@pytest.mark.parametrize("values", [[], [float("nan")], {}])
def test_curve_of_nothing_says_so(values: object) -> None:
    assert "no values" in curve(values)  # type: ignore[arg-type]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_curve_stays_inside_its_frame(values: list[float]) -> None:
    root = drawn(curve(values))
    for path in root.iter(f"{SVG}path"):
        if "line" in (path.get("class") or ""):
            for point in re.findall(r"[ML]([\d. -]+)", path.get("d") or ""):
                x, y = map(float, point.split())
                assert 0 <= x <= 760 and 0 <= y <= 320


def test_long_series_are_thinned_but_keep_their_extremes() -> None:
    line = [1.0] * 10_000
    line[1234], line[5678] = 9.0, -9.0
    kept = thinned(line)
    assert len(kept) <= MOST_POINTS + 2
    assert (1234, 9.0) in kept and (5678, -9.0) in kept
    assert [step for step, _ in kept] == sorted(step for step, _ in kept)


def test_running_mean_is_the_mean_of_what_is_near() -> None:
    assert running_mean([1.0, 2.0, 6.0, 1.0], 1) == [1.5, 3.0, 3.0, 3.5]
    assert running_mean([1.0, math.inf, 3.0], 1)[::2] == [1.0, 3.0]


@given(st.floats(-1e5, 1e5), st.floats(0.001, 1e5))
def test_ticks_cover_the_range(low: float, span: float) -> None:
    marks = ticks(low, low + span)
    assert marks[0] <= low + 1e-6 * span and marks[-1] >= low + span * (1 - 1e-6)
    assert 2 <= len(marks) <= 9
