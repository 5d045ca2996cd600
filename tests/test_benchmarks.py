"""The benchmarks measure what they say; the models are good for deriving."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest

import pullback
from benchmarks import frameworks, jacobians
from benchmarks.forms import CONTESTS, Contest, under
from benchmarks.measure import Timing, in_turns
from benchmarks.models import mlp, mlp_arguments, transformer, transformer_arguments

CONTEST = pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: contest.form.name)


@CONTEST
def test_large_sizes_are_large(contest: Contest) -> None:
    form = contest.form
    arguments = form.arguments(form.large)
    assert sum(map(np.size, arguments)) >= 1e5


@CONTEST
def test_the_rival_computes_the_same(contest: Contest) -> None:
    form = contest.form
    arguments = form.arguments(form.small)
    rival = contest.rival_program(np)
    np.testing.assert_allclose(rival(*arguments), form.value(*arguments), rtol=1e-12)


def test_under_swaps_the_module_and_leaves_the_function() -> None:
    class Doubling:
        tanh = staticmethod(lambda x: 2 * x)

    tanh = next(c.form.value for c in CONTESTS if c.form.name == "tanh")
    assert under(Doubling, tanh)(3.0) == 6.0
    assert tanh(0.0) == 0.0


def test_a_ratio_is_that_of_the_rounds() -> None:
    assert Timing((2.0, 20.0, 3.0)).ratio(Timing((1.0, 10.0, 1.0))) == 2.0


def test_contenders_are_called_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # which takes long beside thousands of tests
    calls: list[str] = []
    found = in_turns(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")},
        rounds=3,
        at_least=0.0,
        gap=0.0,
    )
    assert calls[-6:] == ["b", "a", "a", "b", "b", "a"]
    assert {name: len(timing.rounds) for name, timing in found.items()} == {"a": 3, "b": 3}


@pytest.mark.parametrize(
    ("model", "arguments"),
    [(mlp, mlp_arguments(3)), (transformer, transformer_arguments(1))],
    ids=["MLP", "transformer"],
)
def test_gradients_of_models_fit_differences(model, arguments) -> None:  # type: ignore[no-untyped-def]
    report = pullback.check_grads(lambda *given: (model(*given) ** 2).sum(), arguments)
    report.raise_if_failed()


@pytest.mark.parametrize(
    ("make", "sizes"),
    [
        (jacobians.layer, (3, 4)),
        (jacobians.factorisation, (5, 2)),
        (jacobians.regression, (7, 3)),
        (jacobians.softmax, (3, 4)),
        (jacobians.product, (4, 3)),
        (jacobians.stencil, (5,)),
    ],
    ids=lambda item: getattr(item, "__name__", str(item)),
)
def test_jacobians_are_those_by_hand(
    make: Callable[..., jacobians.Case], sizes: tuple[int, ...]
) -> None:
    case = make(*sizes)
    jacobians.agree([case.ours(), case.by_hand()])


@pytest.mark.parametrize("name", ["PyTorch", "JAX"])
def test_frameworks_own_forward_passes_compute_the_same(name: str) -> None:
    """At small sizes; JAX compiles each, so that a few are enough."""
    (framework,) = (f for f in frameworks.FRAMEWORKS if f.name == name)
    if not framework.there:
        pytest.skip(f"needs {name}")
    with framework.settings():
        for case in frameworks.CASES if name == "PyTorch" else frameworks.CASES[5::4]:
            frameworks.contenders(framework, case, case.small)


def test_a_gradient_that_differs_is_not_timed() -> None:
    one, other = np.float32([1, 2]), np.float32([1, 2.1])
    frameworks.agree((one, one), (one, one))
    with pytest.raises(AssertionError):
        frameworks.agree((one, one), (one, other))


def test_saved_storages_count_once_and_without_the_inputs() -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    case = next(c for c in frameworks.CASES if c.name == "softmax")
    inputs = case.inputs({"N": 512, "D": 1024})
    found = frameworks.Torch().saved(case, inputs)
    assert found["autograd saved, MiB"] == 2  # the result


def test_absent_frameworks_leave_their_columns_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frameworks.Torch, "there", False)
    monkeypatch.setattr(frameworks.Jax, "there", False)
    monkeypatch.setattr(frameworks, "torch", None)
    monkeypatch.setattr(frameworks, "keep_memory", lambda: False)  # it would last
    result = frameworks.frameworks(1)
    assert any("JAX is not installed" in note for note in result.notes)
    assert all(row[c] == "" for row in result.rows for c in result.columns[2:])
