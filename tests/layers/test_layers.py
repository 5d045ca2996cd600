"""Every layer of the table, at every example."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import pullback
import tests.layers.references as references
from pullback.errors import PullbackError
from pullback.layers import LAYERS, Example, Kind
from pullback.layers.layer import Form, Layer
from tests.differences import close, differences
from tests.layers.checks import Array, Reference, evaluated, gradient_cost, published_program

REFERENCES: dict[str, Reference] = {}
for module in pkgutil.iter_modules(references.__path__):
    REFERENCES |= importlib.import_module(f"{references.__name__}.{module.name}").REFERENCES

CASES = [
    pytest.param(kind, example, id=f"{kind.name}-{n}")
    for kind in LAYERS.values()
    for n, example in enumerate(kind.examples)
]
# The first example of each layer; ``make verify`` checks the derivations of all.
DERIVED = [
    pytest.param(kind, example, id=f"{kind.name}-{n}")
    for kind in LAYERS.values()
    for n, example in enumerate(kind.examples[:1])
]


def listed(what: str) -> list[Any]:
    """The rows of a field of all references, each after its layer's name."""
    return [
        pytest.param(name, *row, id=f"{name}-{n}")
        for name, reference in REFERENCES.items()
        for n, row in enumerate(getattr(reference, what))
    ]


ULPS = 200
AT, REFUSED, REFUSED_AT = listed("at"), listed("refused"), listed("refused_at")


def form_of(kind: Kind, example: Example) -> Form:
    """What the definition for an example depends on."""
    return kind.form(example.shapes[kind(**example.options).inputs[0]])


_DERIVED: dict[tuple[str, str, Form], tuple[Any, Any]] = {}


def derived(layer: Layer, form: Form) -> tuple[Any, Any]:
    """A layer's derivation and the compiled pair: tests that ask for the same share them."""
    key = layer.kind.name, repr(sorted(layer.options.items())), form
    if key not in _DERIVED:
        derivation = layer.derive(form)
        _DERIVED[key] = derivation, derivation.compile()
    return _DERIVED[key]


def run_both(kind: Kind, example: Example, seed: int, dtype: str = "float64") -> tuple[Any, ...]:
    """The generated code at an example: inputs, value, cotangent and gradients by name."""
    return run_at(kind(**example.options), example.arrays(seed, dtype), seed, dtype)


def run_at(
    layer: Layer, arrays: dict[str, Array], seed: int, dtype: str = "float64"
) -> tuple[Any, ...]:
    """The generated code at some inputs: them, value, cotangent and gradients by name."""
    derivation, (forward, backward) = derived(layer, layer.kind.form(arrays[layer.inputs[0]].shape))
    value, cache = forward(**arrays)
    whole = as_one(value)
    upstream = np.random.default_rng(seed + 1).normal(size=whole.shape).astype(dtype)
    found = backward(apart(upstream, value), cache)
    wrt = [t.name for t in derivation.backward.wrt]
    gradients = {wrt[0]: found} if len(wrt) == 1 else {name: found[name] for name in wrt}
    return arrays, whole, upstream, gradients


def as_one(value: Any) -> Array:
    """An output; several one after the other, as one vector."""
    several = isinstance(value, tuple)
    return np.concatenate([np.ravel(v) for v in value]) if several else np.asarray(value)


def apart(whole: Array, like: Any) -> Any:
    """A vector as several outputs again, where there are several."""
    if not isinstance(like, tuple):
        return whole
    ends = np.cumsum([np.size(v) for v in like])[:-1]
    return tuple(
        np.reshape(w, np.shape(v)) for w, v in zip(np.split(whole, ends), like, strict=True)
    )


def test_every_layer_is_referenced() -> None:
    assert set(REFERENCES) == set(LAYERS)


@pytest.mark.parametrize(("kind", "example"), DERIVED)
def test_the_derivation_is_right(kind: Kind, example: Example) -> None:
    """Each step, the gradients against the un-eliminated formula, differences and the dot test."""
    checked = derived(kind(**example.options), form_of(kind, example))[0].verify()
    assert checked.passed, str(checked)


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_gradients_are_the_differences_of_the_layer(kind: Kind, example: Example) -> None:
    layer = kind(**example.options)
    arrays, _, upstream, gradients = run_both(kind, example, 3)

    def value(*inputs: Array) -> Any:
        return as_one(layer(**dict(zip(arrays, inputs, strict=True))))

    for name, gradient in gradients.items():
        which = list(arrays).index(name)
        assert close(gradient, differences(value, list(arrays.values()), upstream, which)), name


def compare(kind: Kind, options: Mapping[str, Any], ran: tuple[Any, ...]) -> None:
    """What `run_both` gave against PyTorch's value and gradients, where it has the layer, and
    NumPy's value."""
    reference = REFERENCES[kind.name]
    options = {**kind.options, **options}
    arrays, value, upstream, gradients = ran
    if reference.numpy is not None:
        assert close(value, as_one(reference.numpy(options, arrays)), 1e-10)
    if reference.torch is None or reference.skip_torch(options):
        assert reference.numpy is not None, "neither PyTorch nor NumPy says what is right"
        return
    torch = pytest.importorskip("torch")
    tensors = {
        name: torch.tensor(array).requires_grad_(array.dtype.kind == "f")
        for name, array in arrays.items()
    }
    out = reference.torch(options, tensors)
    if isinstance(out, tuple):
        out = torch.cat([part.ravel() for part in out])
    assert close(value, out.detach().numpy(), 1e-10)
    if out.requires_grad:
        out.backward(torch.tensor(upstream))
    for name, gradient in gradients.items():
        expected = tensors[name].grad
        wanted = np.zeros(arrays[name].shape) if expected is None else expected.numpy()
        assert close(gradient, wanted, 1e-9), name


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_values_and_gradients_are_those_of_others(kind: Kind, example: Example) -> None:
    """PyTorch's, where it has the layer; else NumPy's value."""
    compare(kind, example.options, run_both(kind, example, 5))


@pytest.mark.parametrize(("name", "options", "arrays"), AT)
def test_at_kinks_and_extremes(
    name: str, options: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    compare(LAYERS[name], options, run_at(LAYERS[name](**options), dict(arrays), 13))


@pytest.mark.parametrize(("name", "options", "words"), REFUSED)
def test_meaningless_options_are_refused(name: str, options: Mapping[str, Any], words: str) -> None:
    with pytest.raises(PullbackError) as caught:
        LAYERS[name](**options).text  # noqa: B018
    assert words in str(caught.value)


@pytest.mark.parametrize(("name", "options", "arrays", "words"), REFUSED_AT)
def test_meaningless_inputs_are_refused(
    name: str, options: Mapping[str, Any], arrays: Mapping[str, Array], words: str
) -> None:
    with pytest.raises(PullbackError) as caught:
        LAYERS[name](**options)(**arrays)
    assert words in str(caught.value)


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_layout_does_not_matter(kind: Kind, example: Example) -> None:
    """Inputs that are not contiguous, read-only ones, and float32."""
    layer = kind(**example.options)
    forward, backward = derived(layer, form_of(kind, example))[1]
    arrays, value, upstream, gradients = run_both(kind, example, 7)
    strided = {}
    for name, array in arrays.items():
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]) if array.ndim else (), array.dtype)
        strided[name] = wide[..., ::2] if array.ndim else array
        if array.ndim:
            strided[name][...] = array
            strided[name].flags.writeable = False
    again, cache = forward(**strided)
    assert close(as_one(again), value, 1e-12)
    found = backward(apart(upstream, again), cache)
    for name, gradient in gradients.items():
        assert close(found if len(gradients) == 1 else found[name], gradient, 1e-12), name


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_float32_stays_float32_and_near(kind: Kind, example: Example) -> None:
    """In units of the last place of the greatest element: most are within 2. Where a result is
    close to saturated, 1 - tanh² takes more; one that nearly cancels is measured by what does."""
    narrow, value, upstream, gradients = run_both(kind, example, 9, "float32")
    layer = kind(**example.options)
    forward, backward = derived(layer, form_of(kind, example))[1]
    wide = {n: a.astype("float64") if a.dtype.kind == "f" else a for n, a in narrow.items()}
    exact, cache = forward(**wide)
    assert value.dtype == np.float32 or value.dtype.kind != "f"
    assert ulps(value, as_one(exact)) <= ULPS
    found = backward(apart(upstream.astype("float64"), exact), cache)
    for name, gradient in gradients.items():
        assert np.asarray(gradient).dtype == np.float32
        exact_gradient = found if len(gradients) == 1 else found[name]
        assert ulps(gradient, exact_gradient, np.max(np.abs(upstream), initial=0)) <= ULPS, name


def ulps(found: Any, exact: Any, of: float = 0.0) -> float:
    """The greatest error in units of the last place of float32 at the greatest element, or at a
    hundredth ``of`` what it is made of."""
    found, exact = np.asarray(found, np.float64), np.asarray(exact, np.float64)
    assert found.shape == exact.shape
    if not exact.size or np.array_equal(found, exact, equal_nan=True):
        return 0.0
    scale = max(np.max(np.abs(exact)), of / 100)
    return float(np.max(np.abs(found - exact)) / np.spacing(np.float32(scale)))


PUBLISHED = [
    pytest.param(LAYERS[name], r, id=name) for name, r in REFERENCES.items() if name in LAYERS
]


@pytest.mark.parametrize(("kind", "reference"), PUBLISHED)
def test_as_compact_as_published(kind: Kind, reference: Reference) -> None:
    """The published backward pass has the same values, and ours costs no more."""
    example = kind.examples[0]
    form = form_of(kind, example)
    layer = kind(**example.options)
    program, published = published_program(layer, form, reference.published)
    arrays, _, upstream, gradients = run_both(kind, example, 11)
    outputs = layer.formula(form).program.outputs
    parts = apart(upstream, layer(**arrays))
    given = zip(outputs, parts if isinstance(parts, tuple) else (parts,), strict=True)
    values = evaluated(program, {**arrays, **{f"d{t.name}": part for t, part in given}})
    for name, gradient in gradients.items():
        assert close(gradient, values[f"d{name}"], 1e-9), name
    assert gradient_cost(derived(layer, form)[0].backward) <= reference.allowed * published, (
        reference.why
    )


@pytest.mark.parametrize("kind", LAYERS.values(), ids=lambda kind: kind.name)
def test_the_derived_can_be_derived(kind: Kind) -> None:
    """Second derivatives, along a direction, against differences of the first."""
    example = kind.examples[0]
    layer = kind(**example.options)
    arrays = example.arrays(13)
    floats = tuple(name for name, array in arrays.items() if array.dtype.kind == "f")
    rng = np.random.default_rng(14)
    like = layer(**arrays)
    upstream = apart(rng.normal(size=as_one(like).shape), like)
    along = {name: rng.normal(size=arrays[name].shape) for name in floats}
    fixed = {name: array for name, array in arrays.items() if name not in floats}

    def slope(inputs: dict[str, Array]) -> Any:
        """The directional derivative of Σ upstream·layer."""

        def loss(inputs: dict[str, Any]) -> Any:
            out = layer(**inputs, **fixed)
            pairs = zip(upstream, out, strict=True) if isinstance(out, tuple) else [(upstream, out)]
            return sum((part * value).sum() for part, value in pairs)

        found = pullback.grad(loss)(inputs)
        return sum((found[name] * along[name]).sum() for name in floats)

    given = {name: arrays[name] for name in floats}
    curvature = pullback.grad(slope)(given)
    found = sum(float((curvature[name] * along[name]).sum()) for name in floats)
    steps = {
        k: slope({name: given[name] + k * 1e-5 * along[name] for name in floats})
        for k in (-2, -1, 1, 2)
    }
    expected = (8 * (steps[1] - steps[-1]) - (steps[2] - steps[-2])) / 12e-5
    assert found == pytest.approx(float(expected), rel=1e-6, abs=1e-6)
