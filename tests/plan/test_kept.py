"""What the forward pass makes on its way is saved where nothing is computed again."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import pullback
from pullback.calculus.reverse import reverse
from pullback.notation.parse import parse
from pullback.plan.kept import parts_kept
from pullback.verify.programs import check_backward_program

from ..properties.random_programs import Maker

SQUASH = "q[n] = sum(k) S[n,k]**2; Y[n,k] = q[n]/(1 + q[n])*S[n,k]/sqrt(q[n])"
RANKED = "x[l] = sum(k) U[u[l],k]*V[i[l],k]; L[] = sum(l) x[l]**3"
SQUARED = "Y[n,k] = (sum(d) X[n,d]**2*V[d,k])*w[n]"
CHOSEN = "Y[n] = where(x[n] > 0, sqrt(x[n]), 0)*w[n]"
AROUND = "Y[n] = w[n]*(sum(i) [i <= n]*x[i]**2)"


def backward_of(text: str, memory: str) -> str:
    return str(pullback.derive(text, memory=memory).source()).partition("def backward")[2]


@pytest.mark.parametrize(
    ("text", "made"), [(SQUASH, "np.sqrt"), (RANKED, "[u_index]"), (SQUARED, "** 2")]
)
def test_what_the_forward_pass_makes_is_saved_not_made_again(text: str, made: str) -> None:
    count = backward_of(text, "balanced").count(made)
    assert backward_of(text, "fastest").count(made) < count


@pytest.mark.parametrize("text", [CHOSEN, AROUND, "Y[n] = x[n]*w[n]", "L[] = x[]**2*w[]"])
def test_what_a_condition_chooses_and_what_is_read_only_is_left(text: str) -> None:
    backward = reverse(parse(text))
    assert parts_kept(backward) is backward


@pytest.mark.parametrize("text", [SQUASH, RANKED, SQUARED])
def test_the_gradients_are_the_same(text: str) -> None:
    backward = parts_kept(reverse(parse(text)))
    report = check_backward_program(backward, samples=3)
    assert report.status == "passed", str(report)
    assert parts_kept(backward) is backward


@pytest.mark.parametrize("seed", range(6))
def test_gradients_of_random_programs_are_the_same(seed: int) -> None:
    backward = reverse(Maker(Random(f"kept {seed}")).program())
    report = check_backward_program(parts_kept(backward), samples=2)
    assert report.status != "failed", str(report)


def test_a_function_of_numpy_saves_its_gathers() -> None:
    def score(U, V, u, v):  # type: ignore[no-untyped-def]
        return (U[u] * V[v]).sum(axis=1)

    rng = np.random.default_rng(0)
    U, V = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    u, v = np.array([1, -1, 4, 1]), np.array([0, 3, -2, 0])
    derivation = pullback.derive(
        score, U="N K", V="M K", u="L: int64", v="L: int64", memory="fastest"
    )
    forward, backward = derivation.compile()
    _, cache = forward(U, V, u, v)
    dU, dV = backward(np.ones(4), cache)
    expected = np.zeros_like(U), np.zeros_like(V)
    np.add.at(expected[0], u, V[v])
    np.add.at(expected[1], v, U[u])
    np.testing.assert_allclose(dU, expected[0])
    np.testing.assert_allclose(dV, expected[1])


@pytest.mark.parametrize(
    "text", ["Y[n] = a[n]/x[n]**2", "Y[n] = exp(x[n])**2*exp(-2*x[n] + a[n])*w[n]"]
)
def test_what_may_leave_the_range_is_multiplied_in_turns(text: str) -> None:
    x, a = np.array([1e-120, 400.0, 1.0]), np.array([1e-180, 1.0, 2.0])
    arrays = {"x": x, "a": a} | ({"w": np.ones(3)} if "w[" in text else {})
    found = []
    for memory in ("fastest", "balanced"):
        derivation = pullback.derive(text, memory=memory)
        forward, backward = derivation.compile()
        names = [t.name for t in derivation.backward.program.inputs]
        with np.errstate(all="ignore"):
            _, cache = forward(*(arrays[name] for name in names))
            found.append(backward(np.ones(3), cache))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
