"""Numbers that all readers of an array multiply with are multiplied where it is made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.backends.numpy import spell
from pullback.calculus.cost import cost
from pullback.calculus.reverse import reverse
from pullback.ir.program import Define, Program, reads
from pullback.ir.walk import tensors
from pullback.notation.parse import parse
from pullback.plan.scaled import divided_through, scaled
from pullback.runtime.load import load_module
from pullback.verify.programs import check_backward_program

from ..properties.random_programs import Maker

COVARIANCE = "C[i,j] = (sum(n) X[n,i]*Z[n,j])/N; L[] = sum(i,j) C[i,j]**4"
SIGN = "e[n] = 1 - x[n]*t[n]; L[] = sum(k) g[k]*e[y[k]]**2"
PAIRS = "R[n,k] = sum(d) (X[n,d] - m[k,d])**2; L[] = -sum(n) log(sum(k) exp(-R[n,k]))"
SOFT = "S[i,k] = sum(d) X[i,d]*m[k,d]; L[] = -3*sum(i) log(sum(k) exp(S[i,k]))"
FIRING = {"covariance": COVARIANCE, "sign": SIGN, "pairs": PAIRS, "soft": SOFT}

ATTENTION = """
S[i,j] = (sum(d) Q[i,d]*K[j,d])/8
E[i,j] = exp(S[i,j])
z[i] = sum(j) E[i,j]
Y[i,d] = (sum(j) E[i,j]*V[j,d])/z[i]
"""
UNLIKE = "h[n,k] = sum(d) X[n,d]*W[d,k]; L[] = sum(n,k) h[n,k]**2*h[n,k]"
LOOP = "H[t,j] = tanh(X[t,j] + where(t >= 1, H[t-1,j], 0)); L[] = 3*sum(t,j) H[t,j]**2"
NAMED = "C[i,j] = 2*A[i,j]; L[] = sum(i,j) C[i,j]**3"


def with_scaled(program: Program) -> pullback.calculus.step.Backward:
    backward = reverse(program)
    return replace(backward, statements=scaled(backward.statements, backward.gradients))


@pytest.mark.parametrize("title", FIRING)
def test_numbers_go_to_where_an_array_is_made(title: str) -> None:
    backward = with_scaled(parse(FIRING[title]))
    assert any(s.target.name.startswith("scaled") for s in backward.statements)
    report = check_backward_program(backward, samples=3)
    assert report.status == "passed", str(report)


@pytest.mark.parametrize("text", [ATTENTION, UNLIKE, LOOP, NAMED])
def test_an_array_that_has_no_number_to_meet_keeps_its_value(text: str) -> None:
    backward = reverse(parse(text))
    assert scaled(backward.statements, backward.gradients) == backward.statements


def test_a_gradient_keeps_its_value() -> None:
    program = parse("C[i] = sum(n) X[n,i]; L[] = sum(i) 4*C[i]**2; Y[n,i] = X[n,i]/N")
    backward = with_scaled(program)
    assert {t.name for t in backward.gradients} <= {s.target.name for s in backward.statements}


def test_the_source_says_it_in_fewer_passes() -> None:
    source = str(pullback.derive(COVARIANCE).source())
    assert "/ N" not in source.partition("gradient of X")[2]
    assert "gradient of C" not in source
    assert "dC[" in pullback.derive(COVARIANCE).formula("X")  # for readers it is as it was


@pytest.mark.parametrize("seed", range(8))
def test_gradients_of_random_programs_are_the_same(seed: int) -> None:
    backward = with_scaled(Maker(Random(f"scaled {seed}")).program())
    report = check_backward_program(backward, samples=2)
    assert report.status != "failed", str(report)


CENTRED = "m[n] = mean(d) X[n,d]; c[n,d] = X[n,d] - m[n]; L[] = sum(n,d) c[n,d]**4"
RATIO = "b[] = sum(n,d) X[n,d]**2*Z[n,d]; L[] = (sum(n,d) X[n,d]*r[n])/b[]"
NORMED = "q[n] = mean(d) X[n,d]**2; Y[n,d] = g[n]*X[n,d]/sqrt(q[n] + 1/1000)"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Y[n,d] = (D*X[n,d] - s[n])*c[n]/D", "c[:, None] * (X - (s / D)[:, None])"),
        ("Y[n,d] = (D*X[n,d] - r[n]*Z[n,d])/D", "X - (r / D)[:, None] * Z"),
        ("Y[n,d] = (D*X[n,d] - Z[n,d])/D", "X - Z / D"),
        ("Y[n,d] = (a[]*X[n,d] - s[n])/a[]", "(a * X - s[:, None]) / a"),  # a may be 0
        ("Y[n,d] = (X[n,d] - sum(e) X[n,e]*Z[n,d])/D", " / D"),  # nothing to cancel
        ("Y[n,d] = (D*X[n,d] - Z[n,d] - V[n,d])/D", "/ D"),  # as many passes
        ("Y[n,d] = (D*X[n,d] - 1)/D", "(D * X - 1) / D"),  # 1/D may be 1/0
    ],
)
def test_sums_are_divided_through_where_that_spares_a_pass(text: str, written: str) -> None:
    (define,) = divided_through(parse(text).statements)
    gradient = replace(define, of="Y")
    source = spell("f", tuple(tensors(define.body)), [gradient], [define.target])
    assert written in source


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Y[n,d] = -(X[n,d] + r[n]*Z[n,d])", "(-r)[:, None] * Z - X"),
        ("Y[n,d] = -(2*X[n,d] + Z[n,d])", "-2 * X - Z"),
        ("Y[n,d] = a[]*(2*X[n,d] - r[n])", "2 * a * X - (a * r)[:, None]"),
        ("Y[n,d] = a[]*(X[n,d]/2 - 3*Z[n,d])", "0.5 * a * X - 3 * a * Z"),
        ("Y[n,d] = -(X[n,d] + Z[n,d])", "-(X + Z)"),  # as many passes
        ("Y[n,d] = a[]*(2*X[n,d] - Z[n,d])", "a * (2 * X - Z)"),
        ("Y[n,d] = a[]*(X[n,d] - r[n])", "a * (X - r[:, None])"),
        ("Y[n,d] = (2*X[n,d] - 1)/D", "(2 * X - 1) / D"),  # 1/D may be 1/0
        ("Y[n,d] = a[]*(2*X[n,d] - s[d])*Z[n,d]", "(2 * a * X - a * s) * Z"),
        ("Y[n,d] = a[]*(2*X[n,d] - s[d])*r[n]", "(a * r)[:, None] * (2 * X - s)"),
        ("Y[n,d] = X[n,d] + r[n] - s[n]", "X + (r - s)[:, None]"),
        ("Y[n,d] = X[n,d] - r[n] - 2*s[n]", "X - (r + 2 * s)[:, None]"),
        (
            "Y[n,d] = r[n] + X[n,d] - s[d] - r[n]*a[] + s[d]**2",
            "X + (r - a * r)[:, None] + (s ** 2 - s)",
        ),
        ("Y[n,d] = (2*X[n,d] - r[n])/a[]", "(2 * X - r[:, None]) / a"),  # a may be 0
    ],
)
def test_sums_are_multiplied_through_where_that_spares_a_pass(text: str, written: str) -> None:
    (define,) = parse(text).statements
    source = spell("f", tuple(tensors(define.body)), [replace(define, of="Y")], [define.target])
    assert f"Y = {written}\n" in source
    shapes = {"a": (), "r": (3,), "s": (4,) if "s[d]" in text else (3,), "X": (3, 4), "Z": (3, 4)}
    rng = np.random.default_rng(4)
    arrays = {t.name: np.asarray(rng.normal(size=shapes[t.name])) for t in tensors(define.body)}
    (found,) = run_all([define, define], arrays)
    terms = {
        k: np.broadcast_to(v[:, None] if v.shape == (3,) else v, (3, 4)) for k, v in arrays.items()
    }
    expected = eval(re.sub(r"\[[nd,]*\]", "", text.partition("=")[2]), {"D": 4, **terms})
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("seed", range(12))
def test_divided_sums_of_random_programs_are_the_same(seed: int) -> None:
    backward = reverse(Maker(Random(f"divided {seed}")).program())
    made = replace(backward, statements=divided_through(backward.statements))
    report = check_backward_program(made, samples=2)
    assert report.status != "failed", str(report)
    assert cost(made.statements) <= cost(backward.statements)


@pytest.mark.parametrize("text", [CENTRED, NORMED, RATIO])
def test_divided_sums_give_the_same_gradients(text: str) -> None:
    backward = reverse(parse(text))
    made = replace(backward, statements=divided_through(backward.statements))
    report = check_backward_program(made, samples=3)
    assert report.status == "passed", str(report)


def statement(text: str) -> Define:
    (define,) = parse(text).statements
    return replace(define, of="x")


@pytest.mark.parametrize(
    ("readers", "moves"),
    [
        (["B[n] = c[n] + a[n]"], True),
        (["B[n] = c[n] - a[n]"], True),
        (["B[n] = 2*a[n]*c[n]"], True),
        (["B[n] = c[n] + a[n]", "C[n] = 3*a[n]"], True),
        (["B[n] = c[n]*a[n]"], False),
        (["B[n] = c[n] + a[n]", "C[n] = a[n]*c[n]"], False),
        (["B[n] = sqrt(a[n]) + c[n]"], False),
    ],
)
def test_a_sign_goes_to_those_that_have_a_use_for_it(readers: list[str], moves: bool) -> None:
    statements = [statement(text) for text in ("a[n] = -x[n]*y[n]", *readers)]
    found = scaled(statements, [s.target for s in statements[1:]])
    assert (found[0].target.name != "a") is moves
    assert cost(found) <= cost(statements)
    arrays = {k: np.array([0.5, -2.0]) * n for k, n in (("x", -1), ("y", 1), ("c", 3))}
    for one, other in zip(run_all(found, arrays), run_all(statements, arrays), strict=True):
        np.testing.assert_array_equal(one, other)


def run_all(statements: Sequence[Define], arrays: Mapping[str, Any]) -> Any:
    """What all but the first of some statements make of arrays."""
    inputs = [t for t in dict.fromkeys(t for s in statements for t in reads(s)) if t.name in arrays]
    source = spell("f", inputs, statements, [s.target for s in statements[1:]])
    with np.errstate(all="ignore"):
        made = load_module(source, "f").f(*(arrays[t.name] for t in inputs))
    return made if isinstance(made, tuple) else (made,)
