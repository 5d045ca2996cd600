"""What is said of the signs of values, and of values on either side of a zero, is so: at points."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest

from pullback.calculus.linear import Linear
from pullback.calculus.normal import expression
from pullback.ir.expr import ZERO, Access, Expr, Mul
from pullback.ir.interpret import Array, evaluate
from pullback.ir.walk import bottom_up
from pullback.notation.parse import parse

FORMS = (
    *("2", "-3", "1", "E + F", "E - F", "E*F", "E**2", "E**3", "1/(1 + exp(E))", "E/(1 + F**2)"),
    *("exp(E)", "exp(E) - 1", "expm1(E)", "tanh(E)", "sigmoid(E)", "cosh(E) - 1", "sin(E)"),
    *("cos(E)", "exp(-abs(E))", "log1p(abs(E))", "log1p(E**2)", "log(1 + E**2)", "log(2 + E**4)"),
    *("abs(E)", "sqrt(E**2)", "hypot(E, 0)", "sign(E)", "copysign(E, U)", "heaviside(U, 0.5)"),
    *("maximum(E, 0)", "minimum(0, E)", "maximum(E, F)", "minimum(E, F)", "1 - sqrt(1 + E**2)"),
    *("clip(E, 0, 1)", "clip(E, -1, 0)", "clip(E, F, 1)", "clip(E, F, U)", "clip(E, -inf, 0)"),
    *("E*sign(U)", "E*[U > 0]", "E*[U != 0]", "where(0 >= U, E, F)", "where(U = 0, E, F)"),
)
INPUTS = ("x[]", "x[]", "-x[]", "2*x[]", "(-1/2)*x[]", "y[]", "(x[] - y[])")
LEVELS = (-1.75, -0.5, 0.0, 0.5, 1.75)
NEAR = 1e-9  # a value that is nearer to 0 is 0, or rounded


def random_value(rng: Random, depth: int) -> str:
    if not depth:
        return rng.choice(INPUTS)
    text = rng.choice(FORMS)
    for letter in "EFU":
        left = 0 if letter == "U" else depth - rng.randint(1, depth)
        text = text.replace(letter, f"({random_value(rng, left)})")
    return text


def random_program(seed: int) -> Linear:
    rng = Random(seed)
    lines = [f"v{k}[] = {random_value(rng, rng.randint(1, 3))}" for k in range(3)]
    return Linear(parse("\n".join([*lines, "w[] = x[] + y[] + v0[] + v1[]*v2[]"])), None, {})


def points(program: Linear) -> list[dict[str, Array]]:
    """All values of a program at points of both signs and at 0."""
    found = []
    for x in LEVELS:
        for y in LEVELS:
            values = {"x": Array((), [x]), "y": Array((), [y])}
            for s in program.flat:
                values[s.target.name] = Array((), [evaluate(s.body, {}, values)])
            found.append(values)
    return found


def value(expr: Expr, values: Mapping[str, Array]) -> float:
    """A value at a point; a product with 0 is 0, whatever the others are."""

    def multiplied(tree: object) -> object:
        return ZERO if isinstance(tree, Mul) and ZERO in tree.factors else tree

    return float(evaluate(bottom_up(expr, multiplied), {}, values))  # type: ignore[arg-type]


def sign(number: float) -> int:
    return (number > 0) - (number < 0)


def is_rounded(number: float) -> bool:
    return 0 < abs(number) < NEAR or not abs(number) < float("inf")


@pytest.mark.parametrize("seed", range(40))
def test_what_is_known_of_a_value_holds_at_every_point(seed: int) -> None:
    program = random_program(seed)
    kinks, at = program.kinks, points(program)
    inputs = [Access(t, ()) for t in program.program.inputs]
    for read in [Access(s.target, ()) for s in program.flat if s.target.kind == "float"]:
        own, turned = kinks.argument(read)
        zeros = [kinks.zero(x) for x in (*inputs, *kinks.sides.within(read))]
        for values in at:
            number = value(read, values)
            if is_rounded(number):
                continue
            assert sign(number) == turned * sign(value(expression(own), values)), read
            assert number or abs(value(expression(kinks.zero(read)), values)) < NEAR, read
            assert number > 0 or not kinks.roots.is_positive(read), read
            assert number >= 0 or not kinks.roots.is_nonnegative(read), read
            assert number > 1e-3 or not kinks.is_away(read), read
            for zero in filter(None, dict.fromkeys(zeros)):
                distance = value(expression(zero), values)
                if is_rounded(distance):
                    continue
                side = sign(distance)
                assert sign(number) in kinks.sides.signs(read, zero, side), (read, zero)
                there = kinks.sides.on(read, zero, side)
                assert value(there, values) == pytest.approx(number, abs=NEAR), (read, zero)
                if not side:
                    there = expression(kinks.levels.at_zero(read, zero))
                    assert value(there, values) == pytest.approx(number, abs=NEAR), (read, zero)
