"""Lessons: every layer has one, names lead to layers, numbers fit, textbooks agree with layers."""

from __future__ import annotations

import pydoc

import numpy as np
import pytest

import pullback
from pullback import layers
from pullback.layers import LAYERS
from pullback.layers.lessons import ELSEWHERE, LESSONS, meant


def test_every_layer_has_a_lesson_in_a_sentence() -> None:
    assert LESSONS.keys() == LAYERS.keys()
    for name, lesson in LESSONS.items():
        assert lesson.idea.endswith(".") and lesson.idea.count(". ") == 0, name
        assert len(lesson.idea) < 260, name


def test_links_and_names_lead_to_layers() -> None:
    for name, lesson in LESSONS.items():
        assert all(other in LAYERS and other != name for other, _ in lesson.see), name
        assert all(meant(other) in LAYERS for other in (name, *lesson.also)), name
        assert meant(name) == name
    assert all(meant(other) == name for other, name in ELSEWHERE.items())


NAMES = {
    "BatchNorm2d": "batch_normalisation",
    "BatchNormalization": "batch_normalisation",
    "batchnorm": "batch_normalisation",
    "Conv2d": "convolution",
    "Conv2D": "convolution",
    "conv": "convolution",
    "MaxPool2d": "max_pooling",
    "maxpool": "max_pooling",
    "Linear": "affine",
    "Dense": "affine",
    "LayerNorm": "layer_normalisation",
    "LN": "layer_normalisation",
    "Dropout": "multiply",
    "CrossEntropyLoss": "cross_entropy",
    "LSTMCell": "lstm_cell",
    "batch_normalization": "batch_normalisation",  # one letter apart
}


@pytest.mark.parametrize(("name", "layer"), NAMES.items())
def test_a_name_of_another_library_says_which_layer_is_meant(name: str, layer: str) -> None:
    with pytest.raises(AttributeError, match=rf"did you mean layers\.{layer}\b"):
        getattr(layers, name)


@pytest.mark.parametrize("name", ["_private", "__wrapped__", "zzzzzzz"])
def test_what_nobody_means_has_no_hint(name: str) -> None:
    with pytest.raises(AttributeError) as raised:
        getattr(layers, name)
    assert "did you mean" not in str(raised.value)


def test_help_shows_the_options() -> None:
    shown = pydoc.render_doc(layers.convolution, renderer=pydoc.plaintext)
    assert all(name in shown for name in LAYERS["convolution"].options)
    assert "kernel = 3" in shown and "correlation" in shown
    assert "It has no options." in pydoc.render_doc(layers.relu, renderer=pydoc.plaintext)


@pytest.mark.parametrize("name", [name for name, lesson in LESSONS.items() if lesson.text])
def test_a_textbooks_definition_has_the_layers_gradients(name: str) -> None:
    lesson = LESSONS[name]
    given = {n: np.asarray(v) for n, v in lesson.numbers.items()}
    given = {n: v.astype(float) if n not in ("y", "t") else v for n, v in given.items()}
    layer = LAYERS[name](**lesson.options)
    rng = np.random.default_rng(0)
    for scale in (1.0, 0.1):
        arrays = {n: v * scale if v.dtype.kind == "f" else v for n, v in given.items()}
        found = []
        for made in (pullback.derive(lesson.text), layer.derive()):
            forward, backward = made.compile()
            value, cache = forward(**arrays)
            rng = np.random.default_rng(1)
            gradients = backward(rng.normal(size=np.shape(value)), cache)
            names = [t.name for t in made.backward.wrt]
            by_name = {n: gradients[n] for n in names} if len(names) > 1 else {names[0]: gradients}
            found.append((np.asarray(value), by_name))
        (ours, mine), (theirs, other) = found
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        assert mine.keys() == other.keys()
        for n in mine:
            np.testing.assert_allclose(mine[n], other[n], rtol=1e-8, atol=1e-12)
