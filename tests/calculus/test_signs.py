"""What is said of the signs of values, and of values on either side of a zero, is so: at points."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest

from pullback.calculus.arguments import UNITY, scaled
from pullback.calculus.kinks import SMOOTH
from pullback.calculus.linear import Linear
from pullback.calculus.normal import Poly, collect, expression, poly
from pullback.ir.expr import ZERO, Access, Expr, Mul, Tensor
from pullback.ir.interpret import Array, evaluate
from pullback.ir.walk import bottom_up, map_tensors
from pullback.notation.parse import parse

FORMS = (
    *("2", "-3", "1", "E + F", "E - F", "E*F", "E**2", "E**3", "1/(1 + exp(E))", "E/(1 + F**2)"),
    *("exp(E)", "exp(E) - 1", "expm1(E)", "tanh(E)", "sigmoid(E)", "cosh(E) - 1", "sin(E)"),
    *("cos(E)", "exp(-abs(E))", "log1p(abs(E))", "log1p(E**2)", "log(1 + E**2)", "log(2 + E**4)"),
    *(
        "abs(E)",
        "sqrt(E**2)",
        "(E**2)**1.5",
        "hypot(E, 0)",
        "sign(E)",
        "copysign(E, U)",
        "heaviside(U, 0.5)",
    ),
    *("maximum(E, 0)", "minimum(0, E)", "maximum(E, F)", "minimum(E, F)", "1 - sqrt(1 + E**2)"),
    *("clip(E, 0, 1)", "clip(E, -1, 0)", "clip(E, F, 1)", "clip(E, F, U)", "clip(E, -inf, 0)"),
    *(
        "E**2 - 1",
        "E**3 - 1",
        "sqrt(abs(E)) - 1",
        "1/E",
        "log(E)",
        "log2(E**2)",
        "exp2(E)",
        "sqrt(E)",
    ),
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
            assert abs(number) < float("inf") or not kinks.calm(((read, UNITY),), SMOOTH), read
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


# Formulas, a side of 0 on which x is, and what they are there; p is at least 0.
SIDES = (
    ("maximum(0, -p[])", 1, "0"),
    ("maximum(p[], 0)", 1, "p[]"),
    ("minimum(0, p[])", 1, "0"),
    ("minimum(-p[], 0)", 1, "-p[]"),
    ("maximum(minimum(y[], 0) + minimum(y[] - 1, 0), 0)", 1, "0"),
    ("maximum(x[], y[])", 1, "maximum(x[], y[])"),
    ("abs(p[])", 1, "p[]"),
    ("abs(-p[])", 1, "p[]"),
    ("abs(1/x[])", -1, "-1/x[]"),
    ("abs(sqrt(x[]))", 1, "sqrt(x[])"),
    ("abs(x[] + 1)", 1, "x[] + 1"),
    ("abs(x[] + 1)", -1, "abs(x[] + 1)"),
    ("hypot(x[], 0)", -1, "-x[]"),
    ("hypot(0, p[])", 1, "p[]"),
    ("sqrt(x[]**2)", -1, "-x[]"),
    ("sqrt(y[]**2)", -1, "abs(y[])"),
    ("(x[]**2)**1.5", -1, "(x[]**2)**1.5"),
    ("clip(p[], -1, 0)", 1, "0"),
    ("clip(p[], 0, 1)", 1, "minimum(p[], 1)"),
    ("clip(-p[], 0, 1)", 1, "0"),
    ("clip(-p[], -1, 0)", 1, "maximum(-p[], -1)"),
    ("clip(x[], 0, inf)", -1, "0"),
    ("clip(x[], -inf, 0)", -1, "x[]"),
    ("clip(y[], -inf, inf)", 1, "y[]"),
    ("clip(x[], y[], 0)", -1, "clip(x[], y[], 0)"),
    ("clip(x[], -p[], 0)", -1, "maximum(x[], -p[])"),
    ("clip(y[], -inf, 0)", 1, "minimum(y[], 0)"),
    ("clip(y[], 0, inf)", 1, "maximum(y[], 0)"),
    ("copysign(y[], x[])", 1, "abs(y[])"),
    ("copysign(y[], x[])", -1, "-abs(y[])"),
    ("copysign(y[], p[])", 1, "copysign(y[], p[])"),
    ("copysign(p[], x[])", -1, "-p[]"),
    ("copysign(x[], x[])", -1, "x[]"),
    ("copysign(x[], y[])", 0, "0"),
    ("sign(x[])", 0, "0"),
    ("sign(-x[])", 1, "-1"),
    ("sign(p[] + 1)", 1, "1"),
    ("sign(p[])", 1, "sign(p[])"),
    ("heaviside(x[], 0.25)", 0, "0.25"),
    ("heaviside(x[], 0.25)", 1, "1"),
    ("heaviside(x[], 0.25)", -1, "0"),
    ("heaviside(p[], 0.25)", 1, "heaviside(p[], 0.25)"),
    ("where(x[] > 0, y[], p[])", 1, "y[]"),
    ("where(x[] > 0, y[], p[])", 0, "p[]"),
    ("where(x[] >= 0, y[], p[])", 0, "y[]"),
    ("where(x[] = 0, y[], p[])", 0, "y[]"),
    ("where(x[] = 0, y[], p[])", 1, "p[]"),
    ("where(x[] != 0, y[], p[])", 0, "p[]"),
    ("where(x[] != 0, y[], p[])", 1, "y[]"),
    ("where(p[] >= 0, y[], x[])", 1, "y[]"),
    ("where(p[] < 0, y[], x[])", 1, "x[]"),
    ("where(p[] > 0, y[], x[])", 1, "where(p[] > 0, y[], x[])"),
    ("where(y[] > 0, abs(x[]), y[])", -1, "where(y[] > 0, -x[], y[])"),
    ("where(y[] > 0, y[], abs(x[]))", -1, "where(y[] > 0, y[], -x[])"),
)


# Values, arguments that are 0, and what the values are there.
AT_ZERO = (
    ("x[]*y[]", "x[] - y[]", "y[]**2"),
    ("x[]*y[] + 2", "x[]", "2"),
    ("sign(x[]*y[])*y[]", "x[]", "0"),
    ("sum(i:3) x[]*(y[] + i)", "x[]", "0"),
    ("sum(i:3) y[]*(x[] + i)", "x[]", "sum(i:3) y[]*(x[] + i)"),
    ("max(i:3) (x[] + i)", "x[]", "max(i:3) (x[] + i)"),
    ("minimum(x[] + inf, 3)", "x[]", "minimum(x[] + inf, 3)"),
    ("exp(-abs(x[]))", "x[]", "1"),
    ("sigmoid(3*x[])", "x[]", "0.5"),
    ("1/(1 + exp(x[]))**2", "x[]", "0.25"),
    ("sqrt(4 + x[])", "x[]", "2"),
    ("1/x[]", "x[]", "1/x[]"),
    ("y[]/(1 + x[])", "x[]", "y[]"),
    ("tanh(x[] - y[])*y[]", "x[] - y[]", "0"),
    ("log(1 + x[])", "x[]", "0"),
    ("maximum(x[] - 2, x[] + 1)", "x[]", "1"),
    ("maximum(x[], y[])", "x[]", "maximum(x[], y[])"),
    ("minimum(x[] - 2, 1)", "x[]", "-2"),
    ("clip(x[] + 1, -inf, 3)", "x[]", "1"),
    ("clip(x[] + 1, -inf, 0)", "x[]", "0"),
    ("clip(x[] - 1, -2, inf)", "x[]", "-1"),
    ("clip(x[] + 4, 2, 3)", "x[]", "3"),
    ("abs(x[] - 2)", "x[]", "2"),
    ("x[]*y[]", "x[]*y[]", "0"),
    ("clip(inf, -inf, inf)", "x[]", "clip(inf, -inf, inf)"),
    ("sin(x[] + 1)", "x[]", "sin(x[] + 1)"),
)
# Values, and values that have their sign.
SIGNED_AS = (
    ("x[]*exp(y[])", "x[]"),
    ("tanh(x[])*exp(y[])", "x[]"),
    ("-x[]**3/2", "-x[]"),
    ("exp(x[]) - 1", "x[]"),
    ("2 - 2*exp(x[])", "-x[]"),
    ("x[] + x[]**3 + sinh(x[])", "x[]"),
    ("log(exp(y[] + x[]))", "x[] + y[]"),
    ("log2(x[])", "x[] - 1"),
    ("x[]**3 - 1", "x[] - 1"),
    ("1 - 1/exp(x[])", "x[]"),
    ("sqrt(p[]) - 1", "p[] - 1"),
    ("1/p[] - 1", "1 - p[]"),
    ("cosh(x[]) - 1", "x[]**2"),
    ("x[]*abs(x[])", "x[]"),
    ("abs(x[])", "x[]**2"),
    ("exp(x[])*2", "1"),
    ("cbrt(x[])*p[]*x[]", "cbrt(x[])*p[]*x[]"),
    ("x[]**2 - 1", "x[]**2 - 1"),
)
# Values that are finite wherever their inputs are, short of an overflow, and values that aren't.
CALM = ("log(2 + y[]**4)", "log1p(p[])", "1/(1 + p[])", "tanh(x[])", "where(x[] > 0, x[], y[])")
WILD = (
    *(
        "log(p[])",
        "log(sigmoid(x[]) + p[])",
        "log1p(x[])",
        "1/p[]",
        "sqrt(x[])",
        "exp(x[])",
        "exp(1 + p[])",
    ),
    *(
        "where(x[] > 0, 1/x[], y[])",
        "where(x[] > 0, y[], 1/x[])",
        "tanh(1/x[])",
        "log([x[] > 0] + sigmoid(y[]))",
    ),
)
# Formulas, and where they have kinks and steps.
KNOTS = (
    ("where(y[] > 0, abs(x[]), sign(x[] - 1))", ("y[]", "x[]", "x[] - 1")),
    ("maximum(x[], y[])*[x[] != 2]", ("x[] - y[]", "x[] - 2")),
    ("clip(x[], 1, y[]) + clip(x[], -inf, 2)", ("x[] - 1", "x[] - y[]", "x[] - 2")),
    ("copysign(x[], y[])", ("x[]", "y[]")),
    ("hypot(x[], 0) + hypot(0, y[]) + hypot(x[], y[])", ("x[]", "y[]")),
    ("sqrt(x[]**2) + sqrt(x[]**2 + p[])", ("x[]",)),
    ("heaviside(x[], 0.5)**2", ("x[]",)),
    ("abs(sign(x[]) + 2)", ("x[]",)),
    ("exp(x[])", ()),
)


def two_values(text: str, expected: str) -> tuple[Linear, Expr, Expr, dict[Tensor, Expr]]:
    """A program, what two of its values are, spelled out, and its bodies."""
    program = Linear(parse(f"p[] = y[]**2\nv[] = {text}\ne[] = {expected}\nw[] = x[]"), None, {})
    bodies = {s.target: s.body for s in program.flat}
    found, wanted = (b for t, b in bodies.items() if t.name in ("v", "e"))
    return program, found, wanted, bodies


def spelled(expr: Expr, bodies: Mapping[Tensor, Expr]) -> Expr:
    """A value without names."""

    def read(access: Access) -> Expr:
        body = bodies.get(access.tensor)
        return access if body is None else spelled(body, bodies)

    return map_tensors(expr, read)  # type: ignore[return-value]


def same(one: Poly, other: Poly, bodies: Mapping[Tensor, Expr]) -> bool:
    """Whether two sums are the same up to names."""
    left, right = (poly(spelled(expression(x), bodies), True) for x in (one, other))
    return not collect([*left, *(scaled(t, -UNITY) for t in right)])


@pytest.mark.parametrize(("text", "zero", "expected"), AT_ZERO)
def test_what_a_value_is_where_an_argument_is_0(text: str, zero: str, expected: str) -> None:
    program, found, wanted, bodies = two_values(text, expected + f"\nz[] = {zero}")
    (argument,) = (program.kinks.zero(b) for t, b in bodies.items() if t.name == "z")
    level = program.kinks.levels.at_zero(found, argument)
    assert same(level, poly(wanted), bodies), level


def test_what_has_the_sign_of_a_value() -> None:
    lines = [f"v{k}[] = {v}\ne{k}[] = {e}" for k, (v, e) in enumerate(SIGNED_AS)]
    program = Linear(parse("\n".join(["p[] = y[]**2", *lines, "w[] = x[]"])), None, {})
    bodies = {s.target: s.body for s in program.flat}
    named = {t.name: b for t, b in bodies.items()}
    for k, (text, _) in enumerate(SIGNED_AS):
        one, two = (program.kinks.argument(named[f"{letter}{k}"]) for letter in "ve")
        assert one[1] == two[1] and same(one[0], two[0], bodies), text


@pytest.mark.parametrize(("text", "expected"), KNOTS)
def test_where_a_formula_has_kinks_and_steps(text: str, expected: tuple[str, ...]) -> None:
    program, found, _, bodies = two_values(
        text, "\n".join(["0", *(f"z{k}[] = {e}" for k, e in enumerate(expected))])
    )
    kinks = program.kinks
    zeros = [kinks.argument(b)[0] for t, b in bodies.items() if t.name[0] == "z"]
    own = [kinks.argument(knot)[0] for knot in kinks.sides.own(spelled(found, bodies))]
    assert len(own) == len(zeros)
    assert all(any(same(one, zero, bodies) for one in own) for zero in zeros), own


@pytest.mark.parametrize("text", [*CALM, *WILD])
def test_what_is_finite_where_its_inputs_are(text: str) -> None:
    program, *_, bodies = two_values(text, "0")
    (read,) = (Access(t, ()) for t in bodies if t.name == "v")
    assert program.kinks.calm(((read, UNITY),), SMOOTH) is (text in CALM)


@pytest.mark.parametrize(("text", "side", "expected"), SIDES)
def test_what_a_formula_is_on_one_side(text: str, side: int, expected: str) -> None:
    program, body, wanted, bodies = two_values(text, expected)
    (x,) = (t for t in program.program.inputs if t.name == "x")
    found = program.kinks.sides.on(body, program.kinks.zero(Access(x, ())), side)
    assert same(poly(found, True), poly(wanted, True), bodies), found


@pytest.mark.parametrize("convention", ["zero", "infinite"])
def test_a_root_of_a_square_is_an_absolute_value_by_convention(convention: str) -> None:
    program = Linear(parse("Y[] = sqrt(x[]**2)"), None, {"norm": convention})
    (body,) = (s.body for s in program.flat if s.target.name == "Y")
    assert len(program.kinks.sides.own(body)) == (convention == "zero")
