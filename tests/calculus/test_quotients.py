"""Quotients over sums, multiplied out or balanced: the same values, without what can be divided."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest

from pullback.calculus.arguments import UNITY, scaled
from pullback.calculus.effort import Effort
from pullback.calculus.linear import Linear
from pullback.calculus.normal import Poly, collect, expression, poly, term
from pullback.calculus.quotients import loses, multiplied_out
from pullback.calculus.reverse import _Reverse
from pullback.calculus.saturated import complements
from pullback.ir.expr import Access, Expr
from pullback.ir.interpret import Array, evaluate
from pullback.ir.walk import map_tensors
from pullback.notation.parse import parse

NAMES = """
    u[] = exp(-x[]); s[] = 1 + u[]; p[] = 1/s[]; q[] = u[]/s[]; r[] = 1 - p[]; z[] = 2 - 2*p[]
    h[] = tanh(y[]); g[] = 1 - h[]**2; a[] = y[] + 3; b[] = y[]/a[]; c[] = 3/a[]; d[] = 1 - b[]
    e[] = u[]**2; f[] = 1 + e[]; k[] = u[]/f[]; m[] = 1 - q[]; n[] = 3 - 3*q[]
    l[] = x[] + y[] + x[]**2 + y[]**2 + x[]**3 + y[]**3 + u[] + h[] + x[]*y[] + 3; o[] = 1/l[]
"""


def search(text: str) -> _Reverse:
    return _Reverse(Linear(parse("\n".join([NAMES, text])), None, {}), Effort())


def spelled(value: Poly, program: Linear) -> Poly:
    bodies = {s.target: s.body for s in program.flat}

    def read(access: Access) -> Expr:
        body = bodies.get(access.tensor)
        return access if body is None else map_tensors(body, read)  # type: ignore[return-value]

    return poly(map_tensors(expression(value), read), True)  # type: ignore[arg-type]


def number(value: Poly, program: Linear, x: float, y: float) -> float:
    arrays = {"x": Array((), [x]), "y": Array((), [y])}
    for s in program.flat:
        arrays[s.target.name] = Array((), [evaluate(s.body, {}, arrays)])
    return float(evaluate(expression(value), {}, arrays))


def random_sum(rng: Random, program: Linear) -> Poly:
    reads = [Access(s.target, ()) for s in program.flat if s.target.kind == "float"]
    terms = []
    for _ in range(rng.randint(1, 3)):
        factors = [
            (rng.choice(reads), Fraction(rng.choice((1, 1, 2, -1, -1, -2)))) for _ in range(3)
        ]
        terms.append(term(Fraction(rng.choice((1, -1, 3)), rng.choice((1, 2))), (), (), factors))
    return collect(terms)


@pytest.mark.parametrize("seed", range(60))
def test_random_sums_keep_their_values(seed: int) -> None:
    found = search("w[] = p[]*h[]")
    value = random_sum(Random(seed), found.lin)
    made = [multiplied_out(value, found.defs), complements(value, found.defs, found.names)]
    for x, y in ((0.5, 0.75), (-1.5, 2.0), (3.0, -1.25)):
        expected = number(value, found.lin, x, y)
        for other in made:
            if other is not None:
                assert number(other, found.lin, x, y) == pytest.approx(expected), (value, other)


# Sums, and what they are multiplied out; None where there is nothing to be divided.
MADE = (
    ("p[]/z[]", "1/z[] - 1/2"),
    ("y[]/a[]", "1 - 3/a[]"),
    ("3/a[] + y[]/a[]", "1"),
    ("y[]**2/a[]", "y[] - 3 + 9/a[]"),
    ("u[]**2/s[]", "u[] - 1 + 1/s[]"),
    ("x[]/n[]", "x[]*s[]/3"),
    ("n[]**2*u[]/s[]", "9/s[]**2 - 9/s[]**3"),
    ("r[]/p[]", None),
    ("g[]*h[]", None),
    ("sqrt(s[])*x[]", None),
    ("x[]/sqrt(s[])*u[]", None),
)


@pytest.mark.parametrize(("text", "expected"), MADE)
def test_what_is_divided(text: str, expected: str | None) -> None:
    found = search(f"v[] = {text}\nw[] = {expected or 0}")
    value, wanted = (poly(s.body) for s in found.lin.flat if s.target.name in ("v", "w"))
    made = multiplied_out(collect(map(found.defs.expanded, value)), found.defs)
    if expected is None:
        assert made is None
    else:
        assert made is not None
        parts = [
            *spelled(made, found.lin),
            *(scaled(t, -UNITY) for t in spelled(wanted, found.lin)),
        ]
        assert not collect(parts), made


LOST = {
    "1 - 1/s[]": True,
    "x[] - x[]/s[]": True,
    "2*x[] - x[]/s[]": False,
    "1/s[]": False,
    "1/s[] + 1/a[]": True,
    "y[] - 3 + 9/a[]": False,
    "1/sqrt(s[]) - 1": False,
    "x[]/u[] - x[]": False,
}


@pytest.mark.parametrize("text", LOST)
def test_what_loses_accuracy(text: str) -> None:
    found = search(f"v[] = {text}")
    (value,) = (poly(s.body) for s in found.lin.flat if s.target.name == "v")
    assert loses(value, found.defs) is LOST[text]
