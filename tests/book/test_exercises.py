"""Exercises and mistakes by value: right answers are taken and wrong ones refused, by the script of
the page, too."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pullback import derive
from pullback.book import exercises, mistakes
from pullback.book.case import Case, case
from pullback.book.exercises import Exercise, Point
from pullback.book.subject import subjects
from pullback.ir.expr import number
from pullback.layers import LAYERS, Example
from pullback.notation.plain import show
from pullback.verify.redpen.changes import scaled

MATRICES = ("inverse", "solve", "determinant", "log_determinant", "cholesky", "eigenvalues")
MOVES = (
    "padding", "cropping", "flatten", "unflatten", "concatenate", "split", "flip", "roll",
    "nearest", "pixel_shuffle", "fold", "unfold", "add", "copy",
)  # fmt: skip
TAUGHT = (*MATRICES, *MOVES, "relu", "softmax", "lstm")


@cache
def paper(name: str) -> Case:
    (subject,) = subjects([name])
    assert subject.case is not None
    return subject.case


@cache
def asked(name: str) -> tuple[list[Exercise], list[Point]]:
    return exercises.checked(paper(name))


def of_text(text: str, shapes: dict[str, tuple[int, ...]]) -> Case:
    found = case(derive(text), Example(shapes), {}, None)
    assert found is not None
    return found


@pytest.mark.parametrize("name", TAUGHT)
def test_every_page_asks_for_something(name: str) -> None:
    assert asked(name)[0]


@pytest.mark.parametrize("name", TAUGHT)
def test_the_sign_of_an_answer_counts(name: str) -> None:
    found, points = asked(name)
    for one in found:
        wrong = replace(one.statement, body=scaled(number(-1), one.statement.body), scatter=None)
        told = [exercises._agrees(wrong, p, paper(name).sizes) for p in points]
        assert not all(told), show(one.statement)


def test_a_matrix_is_asked_for_by_the_steps_of_its_differential() -> None:
    found = {one.of: show(one.statement) for one in asked("cholesky")[0]}
    assert list(found) == ["H", "S", "U", "T", "X"]
    assert found["H"] == "dH[i,j] = sum(i2) Y[i2,i]*dY[i2,j]"
    assert {one.of for one in asked("solve")[0]} == {"R", "A", "B"}


def test_a_long_gradient_is_asked_for_way_by_way() -> None:
    """The gates' slopes, which add up to the gradient of what all gates read."""
    found, points = asked("lstm")
    ways = {one.through: one for one in found if one.through}
    assert set(ways) == set("ifgo") and {one.of for one in ways.values()} == {"Z"}
    total = ways["i"].total
    assert total is not None
    gates = {gate: np.array(points[0][f"dZ_{gate}"]["data"]) for gate in "ifgo"}
    whole = np.reshape(points[0]["dZ"]["data"], points[0]["dZ"]["shape"])
    parts = [np.reshape(gates[g], (*whole.shape[:-1], -1)) for g in "ifgo"]
    np.testing.assert_allclose(np.concatenate(parts, -1), whole, rtol=1e-9)
    lost = replace(ways["i"], total=replace(total, body=number(0)))
    assert not exercises._holds(lost, points[0], paper("lstm").sizes)


def test_a_recurrence_is_asked_for_by_the_two_ways_back() -> None:
    found = {one.of: show(one.statement) for one in asked("lstm")[0]}
    assert "dQ[t+1,n,j]" in found["C"] and "dH2[t,n,j]" in found["C"]
    assert found["H"] == "dH2[t,n,j] = dH[t,n,j] + dP[t+1,n,j]*[t+1 < T]"


def test_a_gradient_that_the_graph_does_not_have_is_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = paper("relu")
    numbers = own.at(0)
    monkeypatch.setitem(numbers.gradients, "X", numbers.gradients["X"] + 1)
    with pytest.raises(exercises.CheckError, match="another gradient of X"):
        exercises._point(own, numbers)


# Mistakes.


@pytest.mark.parametrize("name", (*MATRICES, *MOVES))
def test_every_page_shows_mistakes_that_differences_refute(name: str) -> None:
    (subject,) = subjects([name])
    found = mistakes.caught(subject.taught, paper(name))
    assert len(found) >= 2
    for one in found:
        np.testing.assert_allclose(one.right, one.differences, rtol=1e-4, atol=1e-4)
        assert one.wrong.any()
        assert one.mistake.words.endswith(".")


def kinds(own: Case) -> dict[str, str]:
    found = mistakes.caught(own.derived, own)
    return {one.mistake.kind: show(one.mistake.wrong.body) for one in found}


@pytest.mark.parametrize("by", [-2, -1, 1, 2])
def test_a_roll_the_other_way_is_a_mistake(by: int) -> None:
    own = of_text(f"X[I,J]\nY[i,j:J] = X[i,(j{-by:+d})%J]", {"X": (3, 3)})
    (right,) = own.derived.backward.statements
    assert show(right.body) == f"dY[i,(j{by:+d})%J]"
    assert kinds(own)["direction"] == f"dY[i,(j{-by:+d})%J]"


def test_a_flip_of_another_axis_and_none_at_all_are_mistakes() -> None:
    own = of_text("X[I,J]\nY[i,j:J] = X[i,J-1-j]", {"X": (2, 3)})
    assert kinds(own) == {"turned": "dY[i,j]", "axis": "dY[I-1-i,j]"}


def test_another_part_of_what_was_joined_is_a_mistake() -> None:
    own = of_text(
        "X[I,P]\nZ[I,Q]\nY[i,j:P+Q] = pad(X, 0)[i,j] + pad(Z, 0)[i,j-P]",
        {"X": (2, 3), "Z": (2, 1)},
    )
    assert kinds(own)["part"] == "dY[i,j+Q]" and kinds(own)["shift"] == "dY[i,q]"


@pytest.mark.parametrize("before", [1, 2])
def test_a_margin_that_is_taken_off_at_the_wrong_side_is_a_mistake(before: int) -> None:
    own = of_text(f"X[W]\nY[i:W+3] = pad(X, 0)[i-{before}]", {"X": (3,)})
    assert kinds(own)["shift"] == "dY[w]"


def test_a_permutation_in_the_place_of_its_inverse_is_a_mistake() -> None:
    own = of_text("X[A,B,C]\nY[b,c,a] = X[a,b,c]", {"X": (2, 2, 2)})
    (right,) = own.derived.backward.statements
    assert show(right.body) == "dY[b,c,a]"
    assert kinds(own)["inverse"] == "dY[c,a,b]"


def test_elements_in_another_order_are_a_mistake() -> None:
    own = of_text("X[I,J]\nY[ij:I*J] = X[ij//J,ij%J]", {"X": (2, 3)})
    assert kinds(own)["merged"] == "dY[i+I*j]"


# The script of the page.

SOLVED = """
const out = {};
for (const [name, [points, exercises]] of Object.entries(pages)) {
  out[name] = exercises.map((one) => {
    const answer = one.solution.slice(one.solution.indexOf(" = ") + 3);
    const say = (text) => Answers.check(text, one, points).right;
    return [one.solution, say(answer), say(`-(${answer})`), one.wrong.map(([wrong]) => say(wrong))];
  });
}
console.log(JSON.stringify(out));
"""


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node")
def test_the_script_takes_right_answers_and_refuses_wrong_ones(tmp_path: Path) -> None:
    script = files("pullback.book").joinpath("assets", "exercises.js").read_text(encoding="utf-8")
    checker = script.partition("// The page's exercises.")[0]
    pages = {}
    for name in TAUGHT:
        found, points = asked(name)
        data = [exercises._data(one, points, paper(name).sizes) for one in found]
        pages[name] = (points, data)
    run = tmp_path / "run.js"
    run.write_text(f"{checker}\nconst pages = {json.dumps(pages)};\n{SOLVED}", encoding="utf-8")
    ran = subprocess.run(["node", str(run)], capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(ran.stdout)
    for name, lines in told.items():
        assert len(lines) == len(asked(name)[0]) > 0
        for solution, right, minus, wrong in lines:
            assert right is True, (name, solution)
            assert minus is not True, (name, solution)
            assert True not in wrong, (name, solution)


def test_every_layer_is_in_the_book() -> None:
    assert set(TAUGHT) <= set(LAYERS)
