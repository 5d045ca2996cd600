"""Sums of what is there where a condition holds, and of what is there where it doesn't, against
NumPy."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random

import numpy as np
import pytest

import pullback
from pullback.backends.numpy import spell
from pullback.ir.walk import tensors
from pullback.notation.parse import parse
from pullback.runtime.load import load_module

CONDITIONS = {
    "u[n,{j}] < v[n]": lambda u, v: u < v,
    "u[n,{j}] = v[n]": lambda u, v: u == v,
    "u[n,{j}] <= 0": lambda u, v: u <= 0,
}
VALUES = {
    "2": lambda t, v: 2 * np.ones_like(t),
    "v[n]": lambda t, v: v + np.zeros_like(t),
    "t[n,{j}]": lambda t, v: t,
    "t[n,{j}]*v[n]": lambda t, v: t * v,
    "(1 - v[n])": lambda t, v: 1 - v + np.zeros_like(t),
}


def source_of(text: str) -> tuple[str, list[str]]:
    """What a statement of a backward pass is spelled as, and the names it reads."""
    (define,) = parse(text).statements
    inputs = tuple(dict.fromkeys(tensors(define.body)))
    return spell("f", inputs, [replace(define, of="Y")], [define.target]), [t.name for t in inputs]


@pytest.mark.parametrize("seed", range(24))
def test_sums_under_a_condition_and_its_opposite_are_what_they_were(seed: int) -> None:
    rng = Random(f"sums {seed}")
    cond, holds = rng.choice(list(CONDITIONS.items()))
    one, two = rng.choice(list(VALUES)), rng.choice(list(VALUES))
    shared = rng.choice(["", "t[n,{j}]*"])
    first = f"sum(j) {shared}[{cond}]*{one}".format(j="j")
    second = f"sum(k) {shared}[not ({cond})]*{two}".format(j="k")
    sign, outer = rng.choice("+-"), rng.choice(["", "v[n]*"])
    text = f"y[n] = {outer}({first}) {sign} {outer}({second})"
    source, names = source_of(text)
    draw = np.random.default_rng(seed)
    for n, m in ((3, 5), (1, 1), (2, 1), (2, 0), (0, 4)):
        arrays = {"t": draw.normal(size=(n, m)), "u": draw.integers(-1, 2, (n, m)).astype(float)}
        arrays["u"][draw.random((n, m)) < 0.1] = np.nan  # the opposite of a condition holds there
        arrays["v"] = draw.integers(-1, 2, n).astype(float)
        t, u, v = arrays["t"], arrays["u"], arrays["v"][:, None]
        factor = t if shared else np.ones_like(t)
        with np.errstate(all="ignore"):
            a, b = (factor * VALUES[key](t, v) for key in (one, two))
            low, high = (np.where(c, x, 0) for c, x in ((holds(u, v), a), (~holds(u, v), b)))
            expected = low.sum(axis=1) + (1 if sign == "+" else -1) * high.sum(axis=1)
            found = load_module(source, "f").f(*(arrays[name] for name in names))
        expected = expected * (arrays["v"] if outer else 1)
        np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=text)


@pytest.mark.parametrize(
    ("text", "sums"),
    [
        ("y[n] = (sum(j) t[n,j]*[u[n,j] < 0]*2) - sum(j) t[n,j]*[not u[n,j] < 0]", 1),
        ("y[n] = (sum(j) [u[n,j] < 0]*t[n,j]) - sum(k) [not u[n,k] < 0]*v[n]*t[n,k]", 1),
        ("y[n] = v[n]*(sum(j) [u[n,j] < 0]*t[n,j]) - v[n]*sum(k) [not u[n,k] < 0]*3", 1),
        ("y[n] = (sum(j) t[n,j]*[u[n,j] < 0]*2) - sum(j) t[n,j]*[u[n,j] > 0]", 2),
        ("y[n] = (sum(j) t[n,j]*[v[n] < 0]*w[j]) - sum(j) t[n,j]*[not v[n] < 0]*z[n]", 2),
    ],
)
def test_one_sum_of_what_is_chosen_takes_the_place_of_two(text: str, sums: int) -> None:
    source, _ = source_of(text)
    assert source.count(".sum(") + source.count(" @ ") == sums, source


HUBER = "A[n,j] = abs(u[n,j]); h[n,j] = where(A[n,j] {op} {c}, {then}, {other}); "
LOSSES = {
    "plain": "L[] = sum(n,j) h[n,j]",
    "weights": "L[] = sum(n,j) w[n,j]*h[n,j]",
    "rows": "s[n] = sum(j) h[n,j]; L[] = sum(n) s[n]**2",
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
@pytest.mark.parametrize("c", ["1/2", "1", "3"])
@pytest.mark.parametrize("op", ["<", "<="])
def test_a_choice_by_a_magnitude_is_a_clip(loss: str, c: str, op: str) -> None:
    other = f"{c}*A[n,j] - ({c})**2/2"
    text = HUBER.format(op=op, c=c, then="u[n,j]**2/2", other=other) + loss
    derivation = pullback.derive(text, wrt=("u",))
    back = derivation.source().partition("def backward")[2]
    assert "np.clip(u, " in back and "where" not in back and "mask" not in back, back
    top = float(Fraction(c))
    w = np.random.default_rng(0).normal(size=(2, 7))
    u = np.array([[-top, top, 0.0, -0.0, 4.0, -0.25, 0.1], [np.nan, np.inf, -np.inf, 1, 2, 3, -3]])
    values = {"u": u, "w": w}
    module = load_module(derivation.source(), "clip")
    with np.errstate(all="ignore"):
        inputs = [values[t.name] for t in derivation.backward.program.inputs]
        _, cache = module.forward(*inputs)
        found = module.backward(np.float64(1.5), cache)
        slope = np.where(np.abs(u) <= top, u, top * np.sign(u))
        if "w[" in loss:
            slope = w * slope
        if "s[" in loss:
            value = np.where(np.abs(u) <= top, u * u / 2, top * np.abs(u) - top**2 / 2)
            slope = 2 * value.sum(axis=1, keepdims=True) * slope
    np.testing.assert_allclose(found, 1.5 * slope, rtol=1e-14)


@pytest.mark.parametrize(
    ("then", "other"),
    [("u[n,j]**2/2", "2*A[n,j]"), ("u[n,j]**2", "A[n,j]"), ("u[n,j]**3", "A[n,j]")],
)
def test_a_choice_that_jumps_stays_a_choice(then: str, other: str) -> None:
    text = HUBER.format(op="<=", c="1", then=then, other=other) + LOSSES["weights"]
    assert "clip" not in pullback.derive(text, wrt=("u",)).source()
