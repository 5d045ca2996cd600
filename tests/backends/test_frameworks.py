"""PyTorch's and JAX's source: run, compared with the statements, compiled, and read."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
import pullback.verify.programs as checks
from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward
from pullback.runtime.load import load_module
from pullback.verify.source import Source
from tools.verify_all import forms

from ..properties.random_programs import Maker
from .golden import GOLDEN, TEXTS, sections

NAMES = ("torch", "jax")


class Framework:
    """A framework's arrays from NumPy's, and back."""

    def __init__(self, name: str) -> None:
        self.name = name
        module: Any = pytest.importorskip(name, reason=f"needs {name}: the extra frameworks")
        if name == "torch":
            module.set_num_threads(1)
            self.array: Callable[[Any], Any] = lambda a: module.from_numpy(np.array(a))
        else:
            module.config.update("jax_enable_x64", True)
            self.array = lambda a: module.numpy.asarray(np.array(a))
        self.module = module

    def spell(self, backward: Backward) -> str:
        """The source."""
        text: str = importlib.import_module(f"pullback.backends.{self.name}").spell(backward)
        return text

    def check(self, backward: Backward, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the source computes, against the statements."""
        framework = self

        class Spelled(Source):
            def __init__(self, backward: Backward) -> None:
                super().__init__(backward)
                self.module = framework.load(framework.spell(backward))

        monkeypatch.setattr(checks, "Source", Spelled)
        for comparison in checks._Checks(backward, 0, 3).source():
            assert comparison.status != "failed", str(comparison)

    def load(self, source: str) -> Any:
        """The functions, on arrays of NumPy."""
        made = load_module(source, self.name)

        class Module:
            @staticmethod
            def forward(*arrays: Any, **sizes: int) -> Any:
                forward = self.compiled(functools.partial(made.forward, **sizes))
                out, cache = forward(*map(self.array, arrays))
                return self.back(out), cache

            @staticmethod
            def backward(dY: Any, cache: Any) -> Any:
                each = isinstance(dY, tuple)
                given = tuple(map(self.array, dY)) if each else self.array(dY)
                return self.back(self.compiled(made.backward)(given, cache))

        return Module

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """With JAX by ``jax.jit``: otherwise JAX compiles each operation by itself.

        Sizes in arguments and results stay numbers of Python, as where forward and backward are
        compiled as one function.
        """
        if self.name == "torch":
            return function
        tree = self.module.tree

        def call(*arguments: Any) -> Any:
            given, shape = tree.flatten(arguments)
            told: list[Any] = []

            def traced(arrays: list[Any]) -> list[Any]:
                found, form = tree.flatten(function(*shape.unflatten(_joined(given, arrays))))
                told[:] = found, form
                return [leaf for leaf in found if not isinstance(leaf, int)]

            arrays = self.module.jit(traced)([a for a in given if not isinstance(a, int)])
            found, form = told
            return form.unflatten(_joined(found, arrays))

        return call

    def back(self, result: Any) -> Any:
        """Results as arrays of NumPy; each must be an array of the framework."""
        if isinstance(result, tuple):
            return tuple(map(self.back, result))
        assert isinstance(result, self.module.Tensor if self.name == "torch" else self.module.Array)
        return np.asarray(result)


def _joined(leaves: list[Any], arrays: list[Any]) -> list[Any]:
    """The leaves, with these arrays in the place of the leaves that are not numbers."""
    rest = iter(arrays)
    return [leaf if isinstance(leaf, int) else next(rest) for leaf in leaves]


@pytest.fixture(scope="module", params=NAMES)
def framework(request: pytest.FixtureRequest) -> Framework:
    return Framework(request.param)


@pytest.mark.parametrize("name", list(forms())[3::10])
def test_forms(framework: Framework, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    every = list(forms())
    if framework.name == "jax" and every.index(name) % 40 != 3:
        pytest.skip("JAX compiles at each size: every fourth form is enough")
    framework.check(forms()[name]().backward, monkeypatch)


ORDER: dict[str, tuple[Callable[..., Any], dict[str, str]]] = {
    "running sum": (lambda x: np.cumsum(x, 1)[:, ::-1], {"x": "B N"}),
    "running product": (lambda x: np.cumprod(x), {"x": "N"}),
    "running maximum": (lambda x: np.maximum.accumulate(x, axis=1), {"x": "B N"}),
    "logaddexp": (lambda x: np.logaddexp.accumulate(x), {"x": "N"}),
    "sort": (lambda x: np.sort(x, 0), {"x": "N B"}),
    "median": (lambda x: np.median(x, axis=1), {"x": "B N"}),
    "quantile": (lambda x: np.quantile(x, 0.3), {"x": "N"}),
    "searchsorted": (lambda a, v: np.searchsorted(a, v, "right") * v, {"a": "N", "v": "M"}),
    "interp": (lambda x, p, f: np.interp(x, p, f), {"x": "M", "p": "N", "f": "N"}),
    "histogram": (
        lambda x, e: np.histogram(x, bins=e, weights=x)[0],
        {"x": "M", "e": "N"},
    ),
}


@pytest.mark.parametrize("name", ORDER)
def test_order(framework: Framework, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, shapes = ORDER[name]
    framework.check(pullback.derive(function, **shapes).backward, monkeypatch)


def test_batches_of_vectors_are_searched(
    framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "p[b,j] = searchsorted(a, v)[b,j]; Y[b,j] = p[b,j]*v[b,j]"
    framework.check(pullback.derive(text).backward, monkeypatch)


@pytest.mark.parametrize("seed", [1022, 1044, 1112, 1213, 2005, *range(8)])
def test_random_programs(framework: Framework, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if framework.name == "jax" and seed > 3:
        pytest.skip("JAX compiles at each size")
    rng = Random(f"fw {seed}")
    program = Maker(rng, kinks=rng.randrange(2) == 0).program()
    framework.check(reverse(program), monkeypatch)


NORM = (
    "mu[n] = mean(d) X[n,d]; c[n,d] = X[n,d] - mu[n]; r[n] = (mean(d) c[n,d]**2 + eps[])**(-1/2);"
    " Y[n,d] = g[d]*c[n,d]*r[n] + b[d]"
)


def test_dtypes_are_those_of_the_arguments(framework: Framework) -> None:
    made = load_module(framework.spell(pullback.derive(NORM).backward), framework.name)
    values = np.random.default_rng(0)
    shapes = {"X": (3, 4), "eps": (), "g": (4,), "b": (4,)}
    for dtype in ("float32", "float64"):
        inputs = [
            framework.array(abs(values.normal(size=s)).astype(dtype)) for s in shapes.values()
        ]
        out, cache = made.forward(*inputs)
        for array in (out, *made.backward(out, cache)):
            assert dtype in str(array.dtype)


def test_gradients_are_the_frameworks_own(framework: Framework) -> None:
    made = load_module(framework.spell(pullback.derive(NORM).backward), framework.name)
    values = np.random.default_rng(1)
    arrays = [abs(values.normal(size=s)) for s in ((3, 4), (), (4,), (4,))]
    seed = framework.array(values.normal(size=(3, 4)))
    inputs = [framework.array(a) for a in arrays]
    out, cache = made.forward(*inputs)
    found = made.backward(seed, cache)
    if framework.name == "torch":
        for tensor in inputs:
            tensor.requires_grad_()
        out, _ = made.forward(*inputs)
        wanted = framework.module.autograd.grad(out, inputs, seed)
    else:
        _, back = framework.module.vjp(lambda *a: made.forward(*a)[0], *inputs)
        wanted = back(seed)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-10, atol=1e-12)


def test_a_loop_may_have_no_steps_in_pytorch() -> None:
    framework = Framework("torch")
    text = "H[t,j] = tanh(X[t,j] + sum(k) W[j,k]*where(t >= 1, H[t-1,k], h[k]))"
    made = load_module(framework.spell(pullback.derive(text).backward), "torch")
    out, cache = made.forward(*(framework.array(np.ones(s)) for s in ((0, 3), (3, 3), (3,))))
    assert tuple(out.shape) == (0, 3)
    found = made.backward(out, cache)
    assert [tuple(g.shape) for g in found] == [(0, 3), (3, 3), (3,)]
    assert all(not g.any() for g in found)


def test_jit_compiles_forward_and_backward() -> None:
    framework = Framework("jax")
    texts = (NORM, "H[t,j] = tanh(X[t,j] + sum(k) W[j,k]*where(t >= 1, H[t-1,k], h[k]))")
    for text in texts:
        derivation = pullback.derive(text)
        made = load_module(framework.spell(derivation.backward), "jax")
        values = np.random.default_rng(2)
        shapes = {"X": (3, 4), "eps": (), "g": (4,), "b": (4,), "W": (4, 4), "h": (4,)}
        names = [t.name for t in derivation.backward.program.inputs]
        inputs = [framework.array(abs(values.normal(size=shapes[n]))) for n in names]

        def both(*arrays: Any, made: Any = made) -> Any:
            out, cache = made.forward(*arrays)
            return out, made.backward(out, cache)

        plain, compiled = both(*inputs), framework.module.jit(both)(*inputs)
        for one, other in zip(
            framework.module.tree.leaves(plain), framework.module.tree.leaves(compiled), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("title", TEXTS)
def test_the_source_reads_as_it_did(name: str, title: str) -> None:
    """A change is looked at, and written by ``python -m tests.backends.golden``."""
    assert sections(Path(GOLDEN.format(name)).read_text())[title] == pullback.derive(
        TEXTS[title]
    ).source(name)


def test_source_names_what_can_not_be_spelled() -> None:
    derivation = pullback.derive("Y[n] = sinc(X[n])")
    with pytest.raises(
        pullback.PullbackError, match="torch has no spelling for the function sinc1"
    ):
        derivation.source("torch")
