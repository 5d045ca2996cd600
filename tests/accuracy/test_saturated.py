"""Compositions of exponentials and their like, far out: never NaN where the chain rule is finite,
and as accurate, in both modes."""

from __future__ import annotations

from random import Random
from typing import Any

import mpmath
import numpy as np
import pytest

import pullback

from .compositions import Undefined, exact, forward, function, random_tree, reverse, text, varies

FACTOR, ROUNDINGS = 8, 16
EPS, TINY = 2.0**-52, 1e-300
POINTS = [s * v for v in (1e-8, 1.0, 3, 20, 40, 400, 720, 800, 1e4) for s in (1, -1)]


def taken(source: Any, w: Any, notation: bool) -> dict[str, Any]:
    """The gradient and the tangent of a function of each element."""
    ones = np.ones_like(w)
    made = pullback.define(f"w[N]\nY[i] = {source}") if notation else function(source)
    return {
        "vjp": pullback.vjp(made, w)[1](ones)[0],
        "jvp": pullback.jvp(made, (w,), (ones,))[1],
    }


def places(tree: Any) -> tuple[Any, list[Any]]:
    """The points at which the value in float64 is right, and the derivatives there."""
    values = np.broadcast_to(forward(tree, np.array(POINTS))[0], len(POINTS))
    found: list[tuple[float, Any]] = []
    for w, value in zip(POINTS, values, strict=True):
        if not np.isfinite(value):
            continue
        try:
            right, slope = exact(tree, w)
        except Undefined:
            continue
        if abs(right - mpmath.mpf(float(value))) <= 1e-3 * abs(right) + TINY and abs(slope) < 1e300:
            found.append((w, slope))
    return np.array([float(w) for w, _ in found]), [slope for _, slope in found]


def error(value: float, right: Any) -> Any:
    """The distance; infinite of what is not finite."""
    return abs(mpmath.mpf(float(value)) - right) if np.isfinite(value) else mpmath.inf


@pytest.mark.parametrize("notation", [False, True], ids=["numpy", "notation"])
@pytest.mark.parametrize("seed", range(40))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_compositions(seed: int, notation: bool) -> None:
    random = Random(f"{seed} {notation}")
    tree = random_tree(random, random.choice([2, 3, 3, 4]))
    while not varies(tree):
        tree = random_tree(random, 3)
    w, slopes = places(tree)
    if not slopes:
        return
    chains = {"vjp": reverse(tree, w), "jvp": forward(tree, w)[1]}
    sizes = forward(tree, w, size=True)[1]
    for mode, found in taken(text(tree, notation), w, notation).items():
        rows = zip(w, found, chains[mode] + 0 * w, slopes, sizes + 0 * w, strict=True)
        for at, ours, chain, right, size in rows:
            if np.isfinite(chain):
                rounding = ROUNDINGS * EPS * (abs(right) + (size if np.isfinite(size) else 0))
                allowed = FACTOR * error(chain, right) + rounding + TINY
                assert error(ours, right) <= allowed, (mode, text(tree), at, ours, chain, right)


# What was NaN, or 0, where something overflows: right everywhere.
RIGHT = [
    "1/(1 + exp(-w))",
    "log(1/(1 + exp(-w)))",
    "1/(1 + exp(-w) + exp(-2*w))",
    "1/(exp(w) + exp(-w))",
    "1/(1 + exp(w) + exp(-w))",
    "exp(-exp(w))",
    "exp(-exp(-w))",
    "exp(-w - exp(-w))",
    "exp(w)/(exp(w) + exp(-w))",
    "1/(1 + w**2*exp(w))",
    "1/(w**2 + exp(w))",
    "arctan(exp(w))",
    "exp(arctan(exp(2*w)))",
    "1/(1 + 3*exp(w))**2",
    "exp(w)/(1 + exp(2*w))",
    "exp(-exp(w))**3",
    "w*exp(-exp(w))**2",
    "1/exp(exp(w))",
]


@pytest.mark.parametrize("notation", [False, True], ids=["numpy", "notation"])
@pytest.mark.parametrize("source", RIGHT)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_right_where_something_overflows(source: str, notation: bool) -> None:
    w = np.array([s * v for v in (0.5, 1, 20, 40, 300, 400, 800) for s in (1, -1)])
    w = w[np.isfinite(function(source)(w))]
    context = mpmath.mp.clone()
    names = {n: getattr(context, n) for n in ("exp", "log")} | {"arctan": context.atan}
    context.dps = 1500
    steps = [mpmath.mpf(10) ** -740 * s for s in (1, -1)]
    right = []
    for place in w:
        up, down = (eval(source, names, {"w": context.mpf(float(place)) + s}) for s in steps)
        right.append(float((up - down) / (2 * steps[0])))
    for mode, found in taken(
        source.replace("w", "w[i]") if notation else source, w, notation
    ).items():
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-300, err_msg=mode)


@pytest.mark.parametrize(
    ("source", "at", "right"),
    [
        ("sqrt(abs(w))*w", 0.0, 0.0),
        ("cbrt(w)**3", 0.0, 1.0),
        ("log(1/(1 + exp(-w)))", -400.0, 1.0),
        ("sinh(log(sinh(w)))", 400.0, np.cosh(400.0) / 2),
        ("(1 + exp(w))*arctan(sinh(w))", 400.0, np.exp(400.0) * np.pi / 2),
        ("tanh(1 + exp(w) + sinh(w)**2)", 400.0, 0.0),
        ("tanh((expm1(w)*w)**2)", 400.0, 0.0),
        ("1/sinh(w)", 400.0, -2 * np.exp(-400.0)),
        ("1/expm1(w)*(1 + 2*w)", 400.0, -799 * np.exp(-400.0)),
        ("1/sinh(exp(w))", -400.0, -np.exp(400.0)),
        ("(tanh(w) + 1/w)/w", 400.0, -(400.0**-2) - 2 * 400.0**-3),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_where_the_order_of_factors_matters(source: str, at: float, right: float) -> None:
    """Factors that cancel at a singular point; products that overflow before they are divided."""
    names = {n: getattr(np, n) for n in ("abs", "cbrt", "exp", "log", "sqrt", "sinh", "tanh")}
    names |= {"arctan": np.arctan, "expm1": np.expm1}
    made = eval(f"lambda w: {source}", names)
    w = np.array([at])
    (gradient,) = pullback.vjp(made, w)[1](np.ones(1))
    _, tangent = pullback.jvp(made, (w,), (np.ones(1),))
    np.testing.assert_allclose([gradient[0], tangent[0]], right, rtol=1e-12)
