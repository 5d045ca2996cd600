"""Every convention, every choice: the gradient at the kink itself."""

from __future__ import annotations

import pytest

from pullback.calculus.conventions import CONVENTIONS
from pullback.calculus.reverse import reverse
from pullback.errors import ArgumentError
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.notation.parse import parse

RELU, TIE, NORM = "Y = max(x[], 0)", "Y = max(x[], w[])", "Y = sqrt(sum(i) x[i]**2)"
CLIP = "Y = clip(x[], 0, 1)"
CASES = [
    ("maximum", "zero", RELU, {"x": 0.0}, {"dx": 0.0}),
    ("maximum", "half", RELU, {"x": 0.0}, {"dx": 0.5}),
    ("maximum", "one", RELU, {"x": 0.0}, {"dx": 1.0}),
    ("maximum", "one", "Y = min(0, x[])", {"x": 0.0}, {"dx": 1.0}),
    ("ties", "share", TIE, {"x": 2.0, "w": 2.0}, {"dx": 0.5, "dw": 0.5}),
    ("ties", "first", TIE, {"x": 2.0, "w": 2.0}, {"dx": 1.0, "dw": 0.0}),
    ("norm", "zero", NORM, {"x": [0.0, 0.0]}, {"dx": [0.0, 0.0]}),
    ("norm", "infinite", NORM, {"x": [0.0, 0.0]}, {"dx": [float("nan")] * 2}),
    ("clip", "inclusive", CLIP, {"x": 1.0}, {"dx": 1.0}),
    ("clip", "exclusive", CLIP, {"x": 1.0}, {"dx": 0.0}),
    ("clip", "exclusive", CLIP, {"x": 0.5}, {"dx": 1.0}),
    (
        "clip",
        "exclusive",
        "Y = clip(x[], l[], h[])",
        {"x": -1.0, "l": 0.0, "h": 1.0},
        {"dx": 0.0, "dl": 1.0, "dh": 0.0},
    ),
]


@pytest.mark.parametrize(("name", "choice", "text", "point", "expected"), CASES)
def test_gradient_at_the_kink(name, choice, text, point, expected):
    backward = reverse(parse(text), conventions={name: choice})
    program = Program(
        (*backward.program.inputs, *backward.cotangents),
        (*backward.forward.statements, *backward.statements),
        backward.gradients,
    )
    found = run(program, {**point, "dY": 1.0}, sizes={"I": 2})
    for gradient, value in expected.items():
        ours = found[gradient].tolist()
        assert ours == pytest.approx(value, nan_ok=True)


def test_every_choice_is_tried():
    tried = {(name, choice) for name, choice, *_ in CASES}
    assert tried == {(name, choice) for name, choices in CONVENTIONS.items() for choice in choices}


@pytest.mark.parametrize("given", [{"maximun": "zero"}, {"maximum": "two"}])
def test_unknown_conventions_are_refused(given):
    with pytest.raises(ArgumentError, match="convention"):
        reverse(parse(RELU), conventions=given)
