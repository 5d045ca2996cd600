"""What is saved: a minimum cut, against all choices; and the same gradients whatever is saved."""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import pytest

import pullback
from pullback.calculus.reverse import reverse
from pullback.ir.expr import Tensor
from pullback.ir.program import reads
from pullback.plan.saved import NEVER, Frontier, applied
from pullback.verify.programs import check_backward_program

from ..backends.golden import TEXTS
from ..properties.random_programs import Maker

WIDTHS = {"float": 8, "int": 8, "bool": 1}
NORM = """
mu[n] = mean(d) X[n,d]
c[n,d] = X[n,d] - mu[n]
r[n] = (mean(d) c[n,d]**2 + eps[])**(-1/2)
Y[n,d] = g[d]*c[n,d]*r[n] + b[d]
"""


def price_of(frontier: Frontier, again: set[Tensor], price: float) -> float:
    """What a choice costs: ``again`` is computed again where it is needed, the rest saved."""
    total, seen, left = 0.0, set[Tensor](), list(frontier.needed)
    while left:
        tensor = left.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        if tensor in frontier.free:
            continue
        if tensor in again:
            total += price * frontier.work[tensor]
            left += [t for t in reads(frontier.defined[tensor]) if t in frontier.defined]
        else:
            total += frontier.weight[tensor]
    return total


def reached(frontier: Frontier, again: set[Tensor]) -> set[Tensor]:
    """What is needed, and what is needed to compute some of that again."""
    found, left = set[Tensor](), list(frontier.needed)
    while left:
        tensor = left.pop()
        if tensor not in found:
            found.add(tensor)
            if tensor in again:
                left += [t for t in reads(frontier.defined[tensor]) if t in frontier.defined]
    return found


def least(frontier: Frontier, price: float) -> float:
    """The least cost of all choices."""
    tensors = [t for t, work in frontier.work.items() if work < NEVER and t not in frontier.free]
    choices = product((False, True), repeat=len(tensors))
    sets = ({t for t, a in zip(tensors, chosen, strict=True) if a} for chosen in choices)
    return min(price_of(frontier, again, price) for again in sets)


@pytest.mark.parametrize("seed", range(30))
def test_no_choice_is_cheaper_than_the_minimum_cut(seed: int) -> None:
    rng = Random(f"saved {seed}")
    frontier = Frontier(reverse(Maker(rng).program()), {}, WIDTHS)
    if len(frontier.work) > 10:
        pytest.skip("too many choices to try them all")
    for price in (NEVER, 10.0, 1.0, 0.1, 0.01):
        choice = frontier.at(price)
        again = {s.target for s in choice.again}
        kept = {t for t in reached(frontier, again) if t not in frontier.free | again}
        assert set(choice.saved) == kept and choice.size == frontier.bytes(kept)
        found = price_of(frontier, again - frontier.free, price if again else 1.0)
        wanted = least(frontier, price) if price < NEVER else price_of(frontier, set(), 1.0)
        assert found == pytest.approx(wanted)


def test_layer_norm_saves_mean_and_root() -> None:
    sizes = {"N": 4096, "D": 768}
    derivation = pullback.derive(NORM, sizes=sizes, wrt=("X", "g", "b"))
    names = [[t.name for t in choice.saved] for choice in derivation.savings()]
    assert names[0] == ["c", "r"] and ["mu", "r"] in names
    within = derivation.saving(100_000)
    assert [s.tensor.name for s in within.residuals if s.made] == ["mu", "r"]
    assert "c[n,d] = X[n,d] - mu[n]" in within.formula("X")
    assert [s.tensor.name for s in derivation.residuals if s.made] == ["mu", "r"]  # balanced
    fastest = derivation.saving("fastest")
    assert [s.tensor.name for s in fastest.residuals if s.made] == ["c", "r"]
    assert fastest.saving("fastest") is fastest and fastest.saving("balanced").again
    with pytest.raises(pullback.PullbackError, match=r"can't do with so little[^)]*\(H\)"):
        pullback.derive(
            "H[t,j] = tanh(X[t,j] + where(t >= 1, H[t-1,j], 0)); L[] = sum(t,j) H[t,j]**2"
        ).saving(3)


def test_what_is_kept_is_not_computed_again() -> None:
    derivation = pullback.derive(NORM, sizes={"N": 64, "D": 32})
    least = derivation.saving("least", keep=["r"])
    assert [s.tensor.name for s in least.residuals if s.made] == ["r"]
    assert derivation.saving("least", keep=["X"]).residuals == derivation.saving("least").residuals
    with pytest.raises(pullback.PullbackError, match="no forward value"):
        derivation.saving("least", keep=["xhat"])
    one = derivation.saving("least", keep="mu")  # a name by itself
    assert [s.tensor.name for s in one.residuals if s.made] == ["mu"]
    with pytest.raises(pullback.PullbackError, match="how much may be saved"):
        derivation.saving("most")


@pytest.mark.parametrize("title", [*TEXTS, NORM])
def test_gradients_are_the_same_whatever_is_saved(title: str) -> None:
    derivation = pullback.derive(TEXTS.get(title, title))
    frontier = Frontier(derivation.backward, {}, WIDTHS)
    for choice in frontier.choices():
        assert frontier.within(choice.size) == choice
    for choice in frontier.choices()[1:]:
        report = check_backward_program(applied(derivation.backward, choice.again), samples=2)
        assert report.status == "passed", str(report)


def test_what_few_elements_are_read_of_is_saved() -> None:
    """To make all of a table again for a few rows is dear, however cheap an element is."""
    text = "E[v,d] = 2*X[v,d]\nS[n,d] = 3*W[n,d]\nY[n,d] = E[k[n],d]**2*S[n,d]**2"
    derivation = pullback.derive(text, X="V D", W="N D", k="N: int64")
    saved = [s.tensor.name for s in derivation.residuals if s.made]
    assert "E" in saved and "S" not in saved


def test_one_operation_is_computed_again_and_two_are_saved() -> None:
    text = "A[n,d] = 2*X[n,d]\nB[n,d] = 2*W[n,d] + 3\nY[n,d] = A[n,d]**2*B[n,d]**2"
    derivation = pullback.derive(text)
    assert [s.tensor.name for s in derivation.residuals if s.made] == ["B"]


def test_a_function_with_other_savings_compiles() -> None:
    def gate(x, w):  # type: ignore[no-untyped-def]
        s = 1 / (1 + np.exp(-x * w))
        return s * x

    derivation = pullback.derive(gate, x="N D", w="D")
    x, w = np.random.default_rng(0).normal(size=(4, 3)), np.ones(3)
    found = []
    for memory in ("fastest", "least"):
        forward, backward = derivation.saving(memory).compile()
        y, cache = forward(x, w)
        found.append(backward(y, cache))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def layer_norm(X, g, b):  # type: ignore[no-untyped-def]
    m, v = X.mean(-1, keepdims=True), X.var(-1, keepdims=True)
    return (X - m) / np.sqrt(v + 1e-5) * g + b


def rms_norm(X, g):  # type: ignore[no-untyped-def]
    return X / np.sqrt((X**2).mean(-1, keepdims=True) + 1e-5) * g


def cell(x, w, keep, memory):  # type: ignore[no-untyped-def]
    i, g = 1 / (1 + np.exp(-x @ w)), np.tanh(x)
    return i * g * keep + memory


@pytest.mark.parametrize(
    ("function", "shapes", "arrays"),
    [(layer_norm, {"X": "N D", "g": "D", "b": "D"}, 1), (rms_norm, {"X": "N D", "g": "D"}, 0)],
)
def test_by_default_norms_save_no_product_that_one_multiplication_makes(
    function, shapes, arrays
) -> None:  # type: ignore[no-untyped-def]
    derivation = pullback.derive(function, **shapes)
    inputs = {*shapes, "Y"}
    saved = [s.tensor for s in derivation.residuals if s.tensor.name not in inputs]
    assert [len(t.shape) for t in saved].count(2) == arrays
    assert [len(t.shape) for t in saved].count(1) == 1
    names = [t.name for t in saved]
    fastest = pullback.derive(function, memory="fastest", **shapes)
    more = [s.tensor.name for s in fastest.residuals if s.tensor.name not in inputs]
    assert set(names) < set(more) and len(more) == len(names) + 1
    (again,) = set(more) - set(names)
    kept = pullback.derive(function, keep=[again], **shapes)
    assert again in [s.tensor.name for s in kept.residuals]
    assert f"{again} = " in derivation.source().partition("def backward")[2] or arrays


def test_arguments_may_be_called_keep_and_memory() -> None:
    named = {"x": "N N", "w": "N N", "keep": "N", "memory": (1, "N")}
    derivation = pullback.derive(cell, **named)
    saved = [s.tensor.name for s in derivation.residuals]
    assert "keep" in saved and "memory" not in saved


@pytest.mark.parametrize("seed", range(12))
def test_what_the_default_saves_gives_the_same_gradients(seed: int) -> None:
    program = Maker(Random(f"balanced {seed}")).program()
    frontier = Frontier(reverse(program), {}, WIDTHS)
    choice = frontier.balanced()
    assert choice.size <= frontier.fastest().size
    report = check_backward_program(applied(frontier.backward, choice.again), samples=2)
    assert report.status != "failed", str(report)
