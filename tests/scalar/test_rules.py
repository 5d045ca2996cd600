"""Derivatives by named rules: equal to the derivation's own, checked step by step, readable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import pullback
from pullback.errors import ArgumentError, DerivationError, LimitError
from pullback.functions import TABLE
from pullback.ir.expr import Expr, number
from pullback.ir.interpret import Array, evaluate
from pullback.scalar.checks import checked
from pullback.scalar.derived import ByRules
from pullback.verify.decimals import DECIMALS
from tests.scalar.random_functions import function, slope

RATIO = "y = sin(x[]**2)/(1 + x[])"


def rules(text: str, notation: str = "leibniz", **options: Any) -> ByRules:
    return pullback.derive(text, wrt="x", **options).rules(notation)


def at(shown: ByRules, value: Expr, **numbers: float) -> Any:
    """An expression in the program's names at numbers for the inputs."""
    arrays = {name: Array((), [DECIMALS.element(v)]) for name, v in numbers.items()}
    for step in shown.steps:
        arrays[step.name.name] = Array((), [evaluate(step.value, {}, arrays, {}, DECIMALS)])
    return evaluate(value, {}, arrays, {}, DECIMALS)


# Equal to differences in mpmath, and to the derivation


@pytest.mark.parametrize("seed", range(16))
def test_a_random_function(seed: int) -> None:
    rng = Random(seed)
    found = function(rng, 1 + seed % 4)
    while "x[]" not in found.text:
        found = function(rng, 1 + seed % 4)
    shown = rules(f"y = {found.text}")
    assert not [str(check) for check in shown.checks if check.status == "failed"]
    for _ in range(4):
        x, a = rng.uniform(-3, 3), rng.uniform(0.2, 2)
        wanted = slope(found, x, a)
        if wanted is None:
            continue
        for value in (shown.steps[-1].derivative, shown.formula):
            assert abs(at(shown, value, x=x, a=a) - wanted) <= 1e-9 * max(1, abs(wanted))
    assert shown.latex().count("{") == shown.latex().count("}")
    ElementTree.fromstring(f"<p>{shown.body()}</p>")


# Derivatives of sinc have no name in index notation, and its series is slow in 100 digits.
UNARY = [n for n, row in TABLE.items() if row.arity == 1 and not n.startswith("sinc")]


@pytest.mark.parametrize("name", UNARY)
def test_every_function_of_the_table_alone_and_as_outer_function(name: str) -> None:
    shown = rules(f"y = {name}(x[]) + {name}(x[]**3)")
    assert {check.status for check in shown.checks} == {"passed"}


# The steps


def names(shown: ByRules) -> list[str]:
    return [step.rule for step in shown.steps[-1].every]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x[]", ["identity"]),
        ("x[]**3", ["power rule"]),
        ("1/x[]", ["power rule"]),
        ("5*x[]", ["constant factor"]),
        ("5*sin(x[])", ["constant factor, elementary"]),
        ("x[]**2 + 1", ["sum rule", "power rule"]),
        ("x[]*exp(x[])", ["product rule", "elementary"]),
        ("sin(x[])/x[]", ["quotient rule", "elementary"]),
        ("2/(1 + x[])", ["quotient rule, constant numerator", "sum rule"]),
        ("sin(2*x[])", ["chain rule", "constant factor"]),
        ("sqrt(sin(x[]))", ["chain rule", "elementary"]),
        ("x[]**x[]", ["chain rule, several variables", "identity", "identity"]),
        ("where(x[] > 0, x[]**2, sin(x[]))", ["by cases", "power rule", "elementary"]),
        ("3 + 0*x[]", ["constant"]),
    ],
)
def test_each_rule_has_its_name(text: str, wanted: list[str]) -> None:
    assert names(rules(f"y = {text}"))[: len(wanted)] == wanted


def test_a_quotient_in_leibniz_notation() -> None:
    text = str(rules(RATIO))
    for line in (
        "y = u/v        quotient rule       dy/dx = (du/dx·v − u·dv/dx)/v², where v ≠ 0",
        "  u = sin(w)   chain rule          du/dx = du/dw |_{w = x²} · dw/dx",
        "    sin(w)     outer, elementary   du/dw = cos(w)",
        "  v = 1 + x    sum rule            dv/dx = 0 + 1 = 1",
        "               so                  dy/dx = (2·x·cos(x²)·(1 + x) − sin(x²))/(1 + x)²",
        "               simplified          dy/dx = (2·x·cos(x²) − y)/(1 + x)",
    ):
        assert line in text.splitlines()
    assert text.count("✓") == 2
    assert "✗" not in text


def test_a_composition_in_lagrange_notation() -> None:
    text = str(rules(RATIO, "lagrange"))
    for line in (
        "  u(x) = g(w(x))    chain rule          (g ∘ w)'(x) = g'(w(x))·w'(x)",
        "    g(w) = sin(w)   outer, elementary   g'(w) = cos(w)",
        "    w(x) = x²       power rule          w'(x) = 2·x",
    ):
        assert line in text.splitlines()


def test_conditions_of_quotients_powers_and_kinks() -> None:
    assert "where 0 < u" in str(rules("y = sqrt(1 + x[])"))
    assert "where x ≠ 0" in str(rules("y = x[]**(-2)"))
    assert "where u − 1 ≠ 0   (a kink; there the conventions hold)" in str(
        rules("y = maximum(x[]**2, 1)")
    )


@pytest.mark.parametrize(
    "text",
    [
        "y = log(1 + exp(2*x[]))",  # 1/exp(2x) in the formula
        "y = relu(x[] - x[])",  # always at a kink
        "u = x[]**2 + 1; y = u[]**u[]",  # one part twice
        "y = sin(x[])**cos(x[])",
    ],
)
def test_no_step_of_these_fails(text: str) -> None:
    shown = rules(text)
    assert "failed" not in [check.status for check in shown.checks]
    if "relu" not in text:
        assert all(check.passed for check in shown.checks)


def test_formulas_are_written_without_what_only_programs_need() -> None:
    assert "dy/dx = −x/y" in str(rules("y = sqrt(1 - x[]**2)")).splitlines()[-4]
    assert "where" not in str(rules("y = sqrt(1 - x[]**2)")).splitlines()[-4]
    assert "dy/dx = y/(1 + exp(x))" in str(rules("y = 1/(1 + exp(-x[]))"))
    assert "dy/dx = 2^(x)·log(2)" in str(rules("y = 2**x[]"))
    assert "dy/dx = [0 < x]   (between the points" in str(rules("y = x[]*[x[] > 0]"))


def test_named_values_keep_their_names_and_letters_avoid_them() -> None:
    shown = rules("u = x[]**2; y = sin(u[])/(1 + u[])")
    text = str(shown)
    assert text.splitlines()[0] == "u = x²; y = sin(u)/(1 + u)"
    assert "v = sin(u)   chain rule          dv/dx = dv/du |_{u = x²} · du/dx" in text
    assert [step.name.name for step in shown.steps] == ["u", "y"]


def test_a_python_function_of_a_number() -> None:
    def wave(x: Any) -> Any:
        u = x**2
        return np.sin(u) / (1 + u) - 2 * x

    shown = pullback.derive(wave, x=2.0).rules()
    assert all(check.passed for check in shown.checks)
    found = float(at(shown, shown.formula, x=0.7))
    h = 1e-6
    assert found == pytest.approx((wave(0.7 + h) - wave(0.7 - h)) / (2 * h), abs=1e-8)


def test_other_inputs_are_constants() -> None:
    shown = pullback.derive("y = a[]*x[]**2 + a[]", wrt=("a", "x")).rules(wrt="x")
    assert "(a held constant)" in str(shown).splitlines()[0]
    assert float(at(shown, shown.steps[-1].derivative, a=3, x=2)) == 12


def test_conventions_at_kinks_are_those_of_the_derivation() -> None:
    for choice, wanted in (("zero", 0), ("one", 1)):
        shown = rules("y = relu(x[])", conventions={"maximum": choice})
        assert float(at(shown, shown.steps[-1].derivative, x=0.0)) == wanted


# The checks fail where a step is wrong


def _wrong_derivative(shown: ByRules) -> None:
    (step,) = shown.steps
    shown.steps = (replace(step, derivative=number(1)),)


def _wrong_outer(shown: ByRules) -> None:
    (step,) = shown.steps
    chain = step.parts[0]
    assert chain.outer is not None
    slopes = dict.fromkeys(chain.outer.slopes, number(2))
    parts = (replace(chain, outer=replace(chain.outer, slopes=slopes)), *step.parts[1:])
    shown.steps = (replace(step, parts=parts),)


@pytest.mark.parametrize("spoil", [_wrong_derivative, _wrong_outer])
def test_a_wrong_step_is_found(spoil: Callable[[ByRules], None]) -> None:
    shown = rules(RATIO)
    spoil(shown)
    assert "failed" in [check.status for check in checked(shown)]


def test_a_wrong_formula_of_the_derivation_is_found() -> None:
    shown = rules(RATIO)
    shown.__dict__["formula"] = number(1)
    assert checked(shown)[-1].status == "failed"
    assert "✗" in str(shown)


def test_a_function_without_values_is_not_checked() -> None:
    shown = rules("y = sqrt(-1 - x[]**2)")
    assert {check.status for check in shown.checks} == {"not checked"}
    assert "✓" not in str(shown)


# Refusals, files


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match=r"(?s)x of shape \(I\).*\.small"):
        pullback.derive("y[i] = x[i]**2").rules()
    with pytest.raises(ArgumentError, match="'leibniz' or 'lagrange'"):
        pullback.derive("y = x[]**2").rules("newton")
    with pytest.raises(ArgumentError, match="one result"):
        pullback.derive("y = x[]**2; z = sin(x[])").rules()
    with pytest.raises(ArgumentError, match="nothing was derived for 'b'"):
        pullback.derive("y = x[]**2").rules(wrt="b")
    with pytest.raises(LimitError, match="60 steps"):
        pullback.derive("y = " + " + ".join(f"sin({k}*x[])" for k in range(2, 34))).rules()
    with pytest.raises(DerivationError, match="sums, products"):
        pullback.derive("y = sum(k:3) x[]**2*k").rules()


def test_files(tmp_path: Any) -> None:
    shown = rules(RATIO)
    for name, start in (("a.html", "<!DOCTYPE html>"), ("a.tex", r"\begin{array}"), ("a.txt", "y")):
        shown.save(tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    for name in ("a.png", "a.svg"):  # no picture is made of rules
        with pytest.raises(ArgumentError, match="not written as"):
            shown.save(tmp_path / name)


def test_constants_are_named_as_in_formulas() -> None:
    shown = str(pullback.derive("f = w0[]*x[]").rules(wrt="x"))
    assert shown.splitlines()[0] == "f = w₀·x     (w₀ held constant)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("y = x[]/(1 + x[]**2)", "dy/dx = (1 + x² − 2·x²)/(1 + x²)²"),
        ("y = x[]**2*exp(x[]**2)", "dy/dx = 2·x·exp(x²) + 2·x³·exp(x²)"),
        ("y = x[]*x[]*x[]", "dy/dx = x·x + x·x + x·x = x² + x² + x²"),
    ],
)
def test_equal_factors_of_a_derivative_are_one_power(text: str, shown: str) -> None:
    found = pullback.derive(text).rules()
    assert shown in str(found)
    assert all(check.passed for check in found.checks)
