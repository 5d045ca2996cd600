"""Terms that have a divisor, or an exponential, in common though it looks otherwise."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import pullback
from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward
from pullback.notation.parse import parse
from pullback.notation.plain import show

from .oracle import draw, gradients, worst_difference

SIZES = {"N": 3, "M": 2, "C": 2}


def right(backward: Backward, seed: int = 3, positive: bool = False) -> None:
    values = draw((*backward.program.inputs, *backward.cotangents), SIZES, seed)
    if positive:
        values = {name: np.abs(value).tolist() for name, value in values.items()}
    compact = gradients(backward, backward.statements, values, SIZES)
    raw = gradients(backward, backward.adjoints, values, SIZES)
    assert worst_difference(compact, raw) < 1e-9


def forms(text: str) -> dict[str, str]:
    backward = reverse(parse(text))
    right(backward)
    return {s.target.name: show(s.body) for s in backward.statements}


# Divisors.

MARGIN = """
t[n] = exp(x[n])
o[n] = sum(c) Z[n,c]**2
L[] = -sum(n) log(t[n]/(t[n] + o[n]))
"""


def test_a_quotient_less_another_is_one_quotient() -> None:
    assert " - " not in forms(MARGIN)["dx"]


def test_what_is_small_beside_another_is_not_lost() -> None:
    forward, backward = pullback.derive(MARGIN, wrt="x").compile()
    x, Z = np.array([30.0, 2.0]), np.array([[1e-9], [0.5]])
    _, cache = forward(x, Z)
    small = (Z**2).sum(axis=1)
    np.testing.assert_allclose(backward(1.0, cache), -small / (np.exp(x) + small), rtol=1e-14)


@pytest.mark.parametrize(
    "loss",
    [
        "sum(n) (log(t[n] + o[n]) - 2*log(t[n]))",  # not as much of both
        "sum(n) (log(t[n] + o[n]) + log(t[n]))",
        "sum(n) (log(2*t[n] + o[n]) - log(t[n]))",  # not that in it
        "sum(n) (log(t[n] + o[n] + w[n]) - log(t[n]))",  # two more terms
        "sum(n) (w[n]*log(t[n] + o[n]) - log(t[n]))",
    ],
)
def test_other_differences_of_quotients_stay(loss: str) -> None:
    found = forms(f"t[n] = x[n]**2 + 1/9; o[n] = sum(c) Z[n,c]**2; L[] = {loss}")
    assert any(" - " in form or " + " in form for name, form in found.items() if name == "dx")


@pytest.mark.parametrize("seed", range(8))
def test_quotients_of_random_sums(seed: int) -> None:
    rng = Random(seed)
    parts = ["a[n]", "b[n]", "a[n]*b[n]", "1", "2*a[n]", "a[n]**2"]
    divisors = [f"({' + '.join(rng.sample(parts, 2))})" for _ in range(3)]
    terms = [f"{rng.choice(['', '2*', 'w[n]*'])}log({d})" for d in [*divisors, "a[n]", "b[n]"]]
    signs = [rng.choice("+-") for _ in terms]
    loss = " ".join(f"{s} {t}" for s, t in zip(signs, terms, strict=True))
    right(reverse(parse(f"a[n] = x[n]**2; b[n] = y[n]**2; L[] = sum(n) (1 {loss})")), seed)


# Exponentials.

BLACK_SCHOLES = """
q[n] = s[n]*sqrt(t[n])
d[n] = log(S[n]/K[n])/q[n] + q[n]/2
C[n] = S[n]*erf(d[n]/sqrt(2)) - K[n]*erf((d[n] - q[n])/sqrt(2))
"""


@pytest.mark.parametrize("seed", range(3))
def test_exponentials_that_differ_by_a_logarithm_are_one(seed: int) -> None:
    backward = reverse(parse(BLACK_SCHOLES))
    right(backward, seed, positive=True)
    forms = {s.target.name: show(s.body) for s in backward.statements}
    assert {forms["dS"], forms["dK"]} == {"dC[n]*t5[n]", "-dC[n]*t8[n]"}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Y[n] = x[n]*exp(b[n]) - exp(log(x[n]) + b[n])", "0"),
        ("Y[n] = x[n]**2*exp(b[n]) - exp(2*log(x[n]) + b[n])", "0"),
        ("Y[n] = x[n]*exp(b[n]/3) - exp(log(x[n]) + 1/3*(b[n] + c[n]) - 1/3*c[n])", "0"),
        ("Y[n] = x[n]*exp(b[n]) - 2*exp(log(x[n]) + b[n])", "-dY[n]*t4[n]"),
        ("Y[n] = x[n]*exp(b[n]) - exp(log(x[n]) + 2*b[n])", ""),
        ("Y[n] = x[n]*exp(b[n]) - w[n]*exp(log(x[n]) + b[n])", ""),
        ("Y[n] = exp(b[n]) - exp(log(1 + x[n]) + b[n])", ""),
        ("Y[n] = x[n]*exp(b[n]) - exp(log(x[n] + c[n]) + b[n])", ""),
    ],
)
def test_exponentials_are_joined_where_terms_are_left_out(text: str, form: str) -> None:
    backward = reverse(parse(text), [t for t in parse(text).inputs if t.name == "b"])
    right(backward, positive=True)
    (db,) = (show(s.body) for s in backward.statements if s.target.name == "db")
    assert db == form if form else "dY[n]" in db and db != "0"


@pytest.mark.parametrize("seed", range(8))
def test_exponentials_of_random_sums(seed: int) -> None:
    rng = Random(seed)
    parts = ["log(x[n])", "2*log(y[n])", "b[n]", "b[n]**2", "b[n]*c[n]", "c[n]/2", "1"]
    arguments = [" + ".join(rng.sample(parts, rng.randint(1, 3))) for _ in range(3)]
    factors = ["x[n]", "y[n]**2", "1/x[n]", "x[n]*y[n]**2", "1"]
    terms = [f"{rng.choice(factors)}*exp(1/9*({a}))**9" for a in arguments]
    terms += [f"{rng.choice(factors)}*exp({a})" for a in arguments]
    right(reverse(parse(f"Y[n] = {' - '.join(terms)}")), seed, positive=True)


# Guards beside what is 0 where they fail.

CHOSEN = """
x[N]; P[N,N]
d[i,j] = (x[i] - x[j])**2
W[i,j] = 1/({} + d[i,j])
V[i,j] = [{}]*W[i,j]
L[] = sum(i,j) P[i,j]*log(W[i,j]/sum(k,l) V[k,l])
"""


@pytest.mark.parametrize(
    ("constant", "cond", "left"),
    [("1", "i != j", False), ("1", "y[i] = y[j]", True), ("y[i]**2", "i != j", True)],
)
def test_a_guard_on_indices_goes_beside_what_is_finite(
    constant: str, cond: str, left: bool
) -> None:
    backward = forms(CHOSEN.format(constant, cond))
    guards = [form for form in backward.values() if "!=" in form or "==" in form]
    assert bool(guards) is left, backward
