"""Plans: what they mean, element by element, and what comes of them as array operations."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
import pullback.verify.programs as checks
from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward
from pullback.ir.interpret import fill
from pullback.notation.parse import parse
from pullback.plan.build import build
from pullback.plan.interpret import run
from pullback.plan.ops import Build, Loop
from pullback.runtime.load import load_module
from pullback.verify.source import Source
from tools.verify_all import forms

from ..properties.random_programs import Maker
from . import array_api


class Spelled(Source):
    """The source that is made from the plan."""

    def __init__(self, backward: Backward) -> None:
        super().__init__(backward)
        self.module = load_module(array_api.spell(backward), "planned")


@pytest.fixture(autouse=True)
def spelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "Source", Spelled)


def check(backward: Backward) -> None:
    """The plan and the source made from it against the statements."""
    found = checks._Checks(backward, 0, 3)
    for comparison in found.source():
        assert comparison.status != "failed", str(comparison)
    plan = build(backward)
    for drawn in found.decimal[:1]:
        sample = drawn.sample
        forward = {t.name: sample.arrays[t.name] for t in backward.program.inputs}
        wanted = dict(forward)
        fill(wanted, backward.forward.statements, sample.sizes, sample.arithmetic)
        made = run(plan.forward, forward, sample.sizes, sample.arithmetic)
        given = {t.name: sample.arrays[t.name] for t in backward.cotangents}
        given |= {t.name: made[t.name] for t in plan.saved}
        made |= run(plan.backward, given, sample.sizes, sample.arithmetic)
        for tensor in (*backward.program.outputs, *backward.gradients):
            right = wanted.get(tensor.name) or sample.arrays[tensor.name]
            for x, y in zip(made[tensor.name].flat, right.flat, strict=True):
                assert x == y or abs(x - y) <= 1e-30 * (1 + abs(y)), tensor.name


@pytest.mark.parametrize("name", list(forms())[::10])
def test_forms(name: str) -> None:
    check(forms()[name]().backward)


@pytest.mark.parametrize("seed", [122, 335, 1022, 1044, 1112, 1213, 2005, *range(20)])
def test_random_programs(seed: int) -> None:
    rng = Random(f"fw {seed}")
    check(reverse(Maker(rng, kinks=rng.randrange(2) == 0).program()))


THIN = (
    "X[N]; t[i:N] = w[]*2 + 1; Y[i:N] = pad(t,0)[i-1]*X[i]",
    "X[N,M]; t[i:N,j:M] = v[j]**2; Y[j:M] = sum(i) pad(t,0)[i-1,j]*X[i,j]",
    "X[N,M]; t[i:N,j:M] = v[i]**2; Y[i:N] = sum(j) pad(t,0)[i,j+1]*X[i,j]",
    "X[N]; K[3]; t[i:N] = w[]**2; Y[i:N] = sum(p) pad(t,0)[i+p-1]*X[i]*K[p]",
)


@pytest.mark.parametrize("text", THIN)
def test_what_is_the_same_along_an_axis_has_no_margin_there(text: str) -> None:
    """It isn't stored along the axis, so that the condition has to stay."""
    check(reverse(parse(text)))


PLANNED = {
    "softmax loss": (
        "P[n,c] = exp(S[n,c])/sum(k) exp(S[n,k]); L[] = -sum(n) log(P[n,y[n]])",
        [(Build, "dS")],
    ),
    "embedding": ("Y[n,v] = E[t[n],v]", [(Build, "dE")]),
    "pieces": ("X[N+2]; A[i:2] = X[i]**2; B[i:N] = exp(X[i+2])", [(Build, "dX")]),
    "crop": ("X[N]; Y[i:N-2] = X[i+1]**2", [(Build, "dX")]),
    "recurrence": (
        "H[t,j] = tanh(X[t,j] + where(t >= 1, H[t-1,j], 0))",
        [(Loop, "H"), (Loop, "dH")],
    ),
}


@pytest.mark.parametrize("name", PLANNED)
def test_how_a_statement_is_made(name: str) -> None:
    text, wanted = PLANNED[name]
    plan = build(reverse(parse(text)))
    found = {
        s.target.name: type(op)
        for op in (*plan.forward.ops, *plan.backward.ops)
        for s in (op.group if isinstance(op, Loop) else (op.define,))
    }
    for kind, target in wanted:
        assert any(n.startswith(target) and k is kind for n, k in found.items()), found


def test_results_share_no_memory() -> None:
    source = array_api.spell(reverse(parse("Y[j,i] = X[i,j]; Z[i,j] = X[i,j]; V[i,j:2] = w[i]")))
    module = load_module(source, "planned")
    X, w = np.ones((3, 2)), np.ones(3)
    (Y, Z, V), cache = module.forward(X, w)
    arrays: list[Any] = [X, w, Y, Z, V, *module.backward((Y, Z, V), cache)]
    for k, one in enumerate(arrays):
        one[...] = k
    for k, one in enumerate(arrays):
        assert (one == k).all()


@pytest.mark.parametrize("axis", (0, 1))
def test_diagonals_are_joined_as_matrices(axis: int) -> None:
    def f(x: Any) -> Any:
        return np.concatenate([np.diag(x), np.eye(3), np.diag(x) * 2, np.ones((3, 3))], axis=axis)

    x = np.array([2.0, 3.0, 5.0])
    value, pull = pullback.vjp(f, x)
    assert np.array_equal(value, f(x))
    u = np.arange(36.0).reshape(value.shape)
    first, _, second, _ = np.split(u, 4, axis)
    expected = np.diagonal(first) + 2 * np.diagonal(second)
    assert np.array_equal(pull(u)[0], expected)
