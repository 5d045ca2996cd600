"""Forward mode: tangents of the outputs against differences, and what goes in and comes out."""

from __future__ import annotations

from typing import Any

import pytest

from pullback.calculus.pushforward import compact_pushforward, pushforward
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.notation.parse import parse

from ..recurrences import PROGRAMS as RECURRENCES
from .oracle import STEP, draw, flat, moved
from .programs import PROGRAMS, SIZES

MORE = {
    "an integer and a float": "k = argmax(n) X[n]\nY = max(n) X[n]",
    "a step of an input": "X[N]\nU[N]\nY[n] = X[n]**2\nZ[n] = floor(U[n])",
    "a solve": "A[N,N]\nb[N]\nY[n] = solve(A, b)[n]",
    "an inverse": "A[N,N]\nY[i,j] = inverse(A)[i,j]",
    "a determinant": "A[N,N]\nY = determinant(A)",
}
OVER_TIME = (
    "lstm",
    "gru",
    "second order, started",
    "first step by itself",
    "last step by itself",
    "whole numbers along",
)
TEXTS = PROGRAMS | MORE | {name: RECURRENCES[name] for name in OVER_TIME}


def at_step(program: Program, values: dict[str, Any], step: float) -> dict[str, Any]:
    """The inputs, so far along their tangents."""
    point = {t.name: values[t.name] for t in program.inputs}
    for name, value in point.items():
        if f"t_{name}" in values:
            point[name] = moved(value, values[f"t_{name}"], step)
    return point


@pytest.mark.parametrize("make", (pushforward, compact_pushforward))
@pytest.mark.parametrize("name", TEXTS)
def test_tangents_agree_with_differences(name: str, make: Any) -> None:
    program = parse(TEXTS[name])
    forward = make(program)
    for seed, sizes in enumerate(SIZES):
        values = draw(forward.inputs, sizes, seed)

        found = run(forward, values, sizes=sizes)
        up, down = (run(program, at_step(program, values, s), sizes=sizes) for s in (STEP, -STEP))
        for out, tangent in zip(
            [t for t in program.outputs if t.kind == "float"], forward.outputs, strict=True
        ):
            pairs = zip(flat(up[out.name]), flat(down[out.name]), strict=True)
            expected = [(a - b) / (2 * STEP) for a, b in pairs]
            assert flat(found[tangent.name]) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_what_goes_in_and_comes_out() -> None:
    program = parse(MORE["an integer and a float"])
    forward = pushforward(program)
    assert [t.name for t in forward.inputs] == ["X", "t_X"]
    assert [t.name for t in forward.outputs] == ["t_Y"]
    program = parse("Y[n] = X[n]*U[n]\nZ[n] = U[n]**2")
    (x,) = [t for t in program.inputs if t.name == "X"]
    forward = pushforward(program, [x])
    assert [t.name for t in forward.inputs] == ["X", "U", "t_X"]
    values = {"X": [2.0], "U": [3.0], "t_X": [5.0]}
    found = run(forward, values, sizes={"N": 1})
    assert [flat(found[t.name]) for t in forward.outputs] == [[15.0], [0.0]]


@pytest.mark.parametrize("name", ("two-layer", "softmax", "an inverse"))
def test_letters_are_for_people(name: str) -> None:
    for statement in pushforward(parse(TEXTS[name])).statements:
        assert all(index.name.isalnum() for index in statement.indices)
