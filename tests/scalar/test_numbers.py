"""Difference quotients that converge, and linear approximations with their remainders."""

from __future__ import annotations

import json
from math import log10
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import mpmath
import numpy as np
import pytest

import pullback
from pullback.cli import main
from pullback.errors import ArgumentError, ShapeError
from pullback.scalar import line
from pullback.scalar.approximation import Approximation
from tests.browser import PHONE, needs_browser, opened

RATIO = "y = sin(x[]**2)/(1 + x[])"
SOFTMAX = "P[n,c] = exp(S[n,c]) / sum(k) exp(S[n,k])"
AFFINE = "Y[n,m] = sum(d) X[n,d]*W[d,m]"
RNG = np.random.default_rng(0)
S, X, W = (RNG.normal(size=shape) for shape in ((2, 3), (2, 4), (4, 3)))


# Difference quotients


def test_quotients_are_those_of_floats_and_their_errors_fall() -> None:
    found = pullback.derive(RATIO).quotients(x=2)
    with mpmath.workdps(60):
        exact = mpmath.diff(lambda x: mpmath.sin(x**2) / (1 + x), 2)

        def value(x: Any) -> Any:
            return mpmath.sin(mpmath.mpf(x) ** 2) / (1 + mpmath.mpf(x))

        for k, row in enumerate(found.rows):
            h = mpmath.mpf(10) ** -k
            forward = (value(2 + h) - value(2)) / h
            central = (value(2 + h) - value(2 - h)) / (2 * h)
            assert row.forward.truncation == pytest.approx(float(abs(forward - exact)), rel=1e-9)
            assert row.central.truncation == pytest.approx(float(abs(central - exact)), rel=1e-9)
            assert row.forward.error == pytest.approx(float(abs(row.forward.value - exact)))
    assert found.slope == pytest.approx(float(exact), rel=1e-15)
    assert found.orders == pytest.approx((1, 2), abs=1e-3)
    first, second = found.takeover
    assert first is not None
    assert second is not None
    assert 1e-10 <= first <= 1e-7 < second <= 1e-4
    for row in found.rows:
        assert row.forward.rounded == (row.h <= first * 1.1)
        assert row.central.rounded == (row.h <= second * 1.1)


@pytest.mark.parametrize(
    ("text", "x", "words"),
    [
        ("y = 3*x[] + 1", 2, "error but rounding; the central one has no error but rounding. The"),
        ("y = x[]**2", 3, "as h (10 times less for a tenth of h); the central one has no error"),
        ("y = sin(x[])", 0, "falls as h² (100 times"),
        ("y = abs(x[])", 0, "no derivative at x: from the right the quotient tends to 1, from "
         "the left to -1. That the derivation gives 0 is a convention."),
        ("y = relu(-x[])", 0, "from the right the quotient tends to 0, from the left to -1"),
        ("y = minimum(x[], 0)", 0, "from the right the quotient tends to 0, from the left to 1"),
        ("y = floor(x[])*x[]", 1, "The function jumps at x"),
        ("y = sqrt(abs(x[]))**3", 0, "falls as h⁰·⁵ (3.16 times"),
    ],
)  # fmt: skip
def test_what_is_said_of_the_errors(text: str, x: float, words: str) -> None:
    said = " ".join(" ".join(pullback.derive(text).quotients(x=x).said()).split())
    assert words in said


def test_a_quotient_over_the_edge_of_the_domain() -> None:
    found = pullback.derive("y = log(x[])").quotients(x=0.1)  # log(0.1 - 0.1), log(0.1 - 1)
    assert [row[3] for row in found.columns()[1][:3]] == [
        "not finite",
        "not finite",
        "10.0335347731",
    ]
    assert found.takeover[1] == 1e-7
    assert found.svg().count("<circle") == 2 * len(found.rows) - 2


def test_quotients_refuse_what_they_are_not_for() -> None:
    with pytest.raises(ArgumentError, match="functions of a number"):
        pullback.derive("y[i] = x[i]**2").quotients(x=[1, 2])
    with pytest.raises(ArgumentError, match="one variable"):
        pullback.derive("y = a[]*x[]").quotients(a=1, x=2)
    with pytest.raises(ArgumentError, match=r"no numbers for x[\s\S]*quotients\(x=...\)"):
        pullback.derive("y = x[]**2").quotients()
    with pytest.raises(ArgumentError, match="the slope of y is not finite"):
        pullback.derive("y = sqrt(x[])").quotients(x=0)


# Linear approximations of the four kinds


@pytest.mark.parametrize(
    ("text", "given", "kind"),
    [
        (RATIO, {"x": 2.0}, "∂y/∂x is a number, the derivative"),
        ("L = sum(i) x[i]**3", {"x": [1, 2, 3]}, "∂L/∂x is the gradient, of x's shape 3"),
        ("y[i] = x[i]*sum(j) x[j]**2", {"x": [1, -2]}, "∂y/∂x is the Jacobian, a matrix 2×2"),
        ("y[i:3] = x[]**(i + 1)", {"x": 2.0}, "∂y/∂x is the derivative by a number, of y's shape"),
        (SOFTMAX, {"S": S}, "∂P/∂S is the generalized Jacobian, 2×3×2×3: summed with Δ over the"),
        (AFFINE, {"X": X, "W": W}, "∂Y/∂W is the generalized Jacobian, 2×3×4×3"),
    ],
)  # fmt: skip
def test_the_remainder_falls_as_the_square(text: str, given: dict[str, Any], kind: str) -> None:
    found = pullback.derive(text).approximation(given)
    assert any(one.startswith(kind) for one in found.kinds())
    assert found.order == pytest.approx(2, abs=0.01)
    ratio = found.rows[-2].remainder / found.rows[-1].remainder
    assert log10(ratio) == pytest.approx(2, abs=0.01)
    assert "falls as" in found.verdict()
    assert "✗" not in str(found)


def test_the_rows_are_those_of_the_function() -> None:
    V = np.ones((2, 3)) * [[1], [-1]]
    V[0, 0] = 3

    def softmax(s: Any) -> Any:
        e = np.exp(s)
        return e / e.sum(1, keepdims=True)

    found = pullback.derive(SOFTMAX).approximation(S=S, along=V)
    p = softmax(S)
    linear = p * (V - (p * V).sum(1, keepdims=True))
    for k, row in enumerate(found.rows[:3]):
        t = 10.0**-k
        change = softmax(S + t * V) - p
        assert row.length == pytest.approx(t * np.linalg.norm(V))
        assert row.change == pytest.approx(np.linalg.norm(change))
        assert row.first == pytest.approx(t * np.linalg.norm(linear))
        assert row.remainder == pytest.approx(np.linalg.norm(change - t * linear), rel=1e-9)


@pytest.mark.parametrize(
    ("text", "given", "along", "words"),
    [
        (AFFINE, {"X": X, "W": W}, {"X": X}, "remainder is 0: the function is linear along Δ"),
        ("Y[i] = relu(X[i])", {"X": [0, -2]}, [1, 1], "a kink at X"),
        ("Y[i] = relu(X[i])", {"X": [0, -2]}, [-1, 1], "a kink at X"),
        ("Y[i] = relu(X[i])", {"X": [0.05, -2]}, [-1, 1], "at ‖Δ‖ = 0.141421 and above"),
        ("y = floor(x[])*x[]", {"x": 1.0}, 1, "jumps at x"),
        ("y = sqrt(abs(x[]))**3", {"x": 0.0}, 1, "no second derivative at x"),
        ("y = sin(x[])", {"x": 0.0}, 1, "falls as Δ³: a tenth of Δ leaves 1000 times less"),
        ("y = x[]**6 + 1", {"x": 0.0}, 1, "falls as Δ⁶"),
        ("y = sqrt(x[]**2 + 1e-18)", {"x": 1e-9}, 1, "The steps in the table are too long"),
    ],
)  # fmt: skip
def test_what_is_said_where_the_remainder_does_not_fall_as_the_square(
    text: str, given: dict[str, Any], along: Any, words: str
) -> None:
    found = pullback.derive(text).approximation(given, along=along)
    assert words in found.verdict()
    drawn = found.svg().count("<circle")
    some = sum(row.change > 0 for row in found.rows)
    assert drawn == some + sum(not row.rounded for row in found.rows)


def test_in_floats_what_is_rounding_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    shifted = SOFTMAX.replace("=", "= 1000 +")
    exact = pullback.derive(shifted).approximation(S=S)
    monkeypatch.setattr(line, "MOST_EXACT", 0)
    found = pullback.derive(shifted).approximation(S=S)
    assert not found.line.exact
    assert found.order == pytest.approx(2, abs=0.1)
    assert found.rows[-1].rounded
    for mine, wanted in zip(found.rows, exact.rows, strict=True):
        if not mine.rounded:
            assert mine.remainder == pytest.approx(wanted.remainder, rel=0.1)
    linear = pullback.derive(AFFINE).approximation(X=X, W=W, along={"W": W})
    assert linear.order is None
    assert "remainder is 0, as far as rounding lets one see" in linear.verdict()
    assert linear.svg().count("<circle") == len(linear.rows)
    kink = pullback.derive("Y[i] = abs(X[i])").approximation(X=[0.0, 1.0], along=[1, 1])
    assert "a kink at X" in kink.verdict()


def test_a_step_to_the_left() -> None:
    text = str(pullback.derive("y = x[]**2").approximation(x=3, along=-2))
    assert "at x = 3: y = 9, y'(x) = 6" in text
    assert ["-0.2", "7.84", "7.8", "0.04", "1"] in [line.split() for line in text.splitlines()]


def test_a_wrong_slope_is_seen() -> None:
    found = pullback.derive(SOFTMAX).approximation(S=S)
    found.line.__dict__["slope"] = [2 * v for v in found.line.slope]
    assert found.order == pytest.approx(1, abs=0.01)
    assert found.said()[1].startswith("✗")


def test_a_direction_is_random_and_repeated_by_its_seed() -> None:
    derived = pullback.derive(SOFTMAX)
    one, same, other = (derived.approximation(S=S, seed=seed) for seed in (1, 1, 2))
    assert str(one) == str(same) != str(other)
    assert one.line.length == pytest.approx(1)


def test_approximations_refuse() -> None:
    derived = pullback.derive(AFFINE)
    with pytest.raises(
        ArgumentError, match=r"no numbers for W[\s\S]*approximation\(X=..., W=...\)"
    ):
        derived.approximation(X=X)
    with pytest.raises(ArgumentError, match="nothing was derived for 'V'"):
        derived.approximation(X=X, W=W, along={"V": W})
    with pytest.raises(ArgumentError, match="several inputs"):
        derived.approximation(X=X, W=W, along=W)
    with pytest.raises(ShapeError, match="another shape than W"):
        derived.approximation(X=X, W=W, along={"W": X})
    with pytest.raises(ArgumentError, match="direction is 0"):
        derived.approximation(X=X, W=W, along={"W": 0 * W})
    with pytest.raises(ArgumentError, match="y is not finite at these numbers"):
        pullback.derive("y = log(x[])").approximation(x=-1)


def test_a_python_function_and_integers_that_are_held() -> None:
    def loss(X: Any, w: Any, y: Any) -> Any:
        return ((X @ w)[y] ** 2).sum()

    derived = pullback.derive(loss, X="N D", w="D", y="K: int64")
    found = derived.approximation(X=X, w=W[:, 0], y=[0, 1, 1])
    assert found.order == pytest.approx(2, abs=0.01)


# The command, files, the page


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["derive", RATIO, "--rules"]) == 0
    assert "dy/dx = (du/dx·v − u·dv/dx)/v², where v ≠ 0" in capsys.readouterr().out
    assert main(["derive", RATIO, "--rules", "--notation", "lagrange", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["agrees"] is True
    assert main(["derive", RATIO, "--quotients", "x=2"]) == 0
    assert "(y(x + h) − y(x))/h → y'(x)" in capsys.readouterr().out
    assert main(["derive", RATIO, "--quotients", "x=2", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 16
    asked = ["derive", "y[i] = x[i]**2", "--approximate", "x=[1,2]", "--along", "x=[1,0]"]
    assert main(asked) == 0
    assert "‖remainder‖" in capsys.readouterr().out
    assert main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["order"] == pytest.approx(2)
    assert main([*asked, "--format", "latex"]) == 2
    assert "--format text or html" in capsys.readouterr().err
    assert main([*asked, "--out", str(tmp_path / "a.svg")]) == 0
    ElementTree.parse(tmp_path / "a.svg")
    assert main(["derive", RATIO, "--rules", "--format", "latex"]) == 0
    assert capsys.readouterr().out.startswith(r"\begin{array}")


def _pages() -> list[Any]:
    ratio = pullback.derive(RATIO)
    softmax: Approximation = pullback.derive(SOFTMAX).approximation(S=S)
    return [ratio.rules(), ratio.rules("lagrange"), ratio.quotients(x=2), softmax]


def test_pages_are_well_formed_and_fetch_nothing() -> None:
    for page in _pages():
        assert "http" not in page.html().replace("http://www.w3.org/2000/svg", "")
        ElementTree.fromstring(f"<div>{page.body()}</div>")
        assert page._repr_html_() in page.html()


@needs_browser
def test_pages_fit_a_phone_in_light_and_dark(tmp_path: Path) -> None:
    with opened(tmp_path / "profile") as browser:
        width, height = PHONE
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        browser.command("Emulation.setDeviceMetricsOverride", **size)
        for scheme, wanted in (("light", "rgb(26, 29, 41)"), ("dark", "rgb(230, 233, 243)")):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.command("Emulation.setEmulatedMedia", features=features)
            for k, page in enumerate(_pages()[1:3]):
                page.save(tmp_path / f"{k}.html")
                browser.driver.get((tmp_path / f"{k}.html").as_uri())
                assert browser.run("return document.documentElement.scrollWidth") <= width
                ink = "return getComputedStyle(document.querySelector('h1')).color"
                assert browser.run(ink) == wanted
        assert browser.troubles() == []


def test_several_numbers_have_partial_derivatives_in_lines_that_fit() -> None:
    neuron = pullback.derive("f = sigmoid(w0[]*x0[] + w1[]*x1[] + w2[])")
    shown = str(neuron.approximation(w0=2, x0=-1, w1=-3, x1=-2, w2=-3))
    assert "∂f/∂w₀ is a number, the partial derivative" in shown
    assert max(map(len, shown.splitlines())) <= 100
