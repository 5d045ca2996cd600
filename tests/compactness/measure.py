"""Measures forms: what ours and the published backward pass take, and whether both are right."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import pullback
from pullback.backends.numpy.module import spell_pair
from pullback.calculus.effort import Limit
from pullback.calculus.reverse import reverse
from tests.compactness.counter import (
    Count,
    count_generator,
    count_source,
    largest_forward,
    largest_of_source,
)
from tests.compactness.forms.form import Array, Form

NOTATIONS = ("NumPy", "index")


@dataclass(frozen=True)
class Measured:
    """One derivation beside the published pass: what both took, the elements of the largest array
    that our forward pass made, those of the largest of inputs, outputs and the function's forward
    values, CPU seconds of deriving, and the gradients that differ."""

    name: str
    title: str
    notation: str
    ours: Count
    theirs: Count
    forward: int
    bound: int
    seconds: float
    source: str
    published: str
    wrong: tuple[str, ...]

    @property
    def ratio(self) -> float:
        return self.ours.work / self.theirs.work

    @property
    def too_large(self) -> float:
        """The largest temporary, of both passes, as a multiple of what may be made."""
        return max(self.forward, self.ours.largest) / max(self.bound, self.theirs.largest)


@dataclass(frozen=True)
class Published:
    """The published pass at the sizes of the measurement."""

    arrays: dict[str, Array]
    upstream: Any
    value: Any
    gradients: dict[str, Array]
    count: Count
    bound: int


@cache
def measured_published(name: str) -> Published:
    """The published pass of a form, run once."""
    from tests.compactness.forms import FORMS

    form = FORMS[name]
    assert form.published is not None, f"{name} has no published pass"
    arrays = form.arrays()
    kept: list[Any] = []

    def cotangents(outputs: Any) -> Any:
        kept.append(upstream_of(outputs))
        return kept[0]

    count, value, gradients = count_generator(form.published, list(arrays.values()), cotangents)
    bound = largest_forward(form.forward, list(arrays.values()))
    return Published(arrays, kept[0], value, gradients, count, bound)


def upstream_of(outputs: Any) -> Any:
    """An upstream gradient."""
    rng = np.random.default_rng(7)
    if isinstance(outputs, tuple):
        return tuple(rng.normal(size=np.shape(o)) for o in outputs)
    return np.asarray(rng.normal(size=np.shape(outputs)) if np.ndim(outputs) else 1.5)


def derive(form: Form, notation: str, wrt: Sequence[str]) -> Any:
    """The derivation of a form."""
    if notation == "NumPy":
        return pullback.derive(form.forward, wrt=tuple(wrt), memory="fastest", **form.shapes())
    return pullback.derive(form.program, wrt=tuple(wrt), memory="fastest")


def measure(form: Form, notation: str) -> Measured:
    """Derives a form, runs its source, and counts."""
    known = measured_published(form.forward.__name__)
    start = time.process_time()
    derivation = derive(form, notation, list(known.gradients))
    source = derivation.source()
    seconds = time.process_time() - start
    names = [t.name for t in derivation.backward.wrt]
    inputs = {t.name: known.arrays[t.name] for t in derivation.backward.program.inputs}
    ours, value, found = count_source(source, inputs, lambda _: known.upstream)
    gradients = dict(zip(names, found if len(names) > 1 else (found,), strict=True))
    wrong = [name for name in names if not agree(gradients[name], known.gradients[name])]
    wrong += [] if agree(value, known.value) else ["the value"]
    assert form.published is not None
    return Measured(
        f"{form} {notation}",
        f"{form.title} ({form.source})",
        notation,
        ours,
        known.count,
        largest_of_source(source, inputs),
        known.bound,
        seconds,
        source,
        inspect.getsource(form.published),
        tuple(wrong),
    )


def plain_work(form: Form, notation: str) -> float:
    """The work of the chain rule, statement by statement, without a search for a compact form."""
    known = measured_published(form.forward.__name__)
    backward = derive(form, notation, list(known.gradients)).backward
    plain = reverse(backward.program, backward.wrt, limit=Limit(0, 0))
    inputs = {t.name: known.arrays[t.name] for t in plain.program.inputs}
    return count_source(spell_pair(plain), inputs, lambda _: known.upstream)[0].work


def agree(a: Any, b: Any) -> bool:
    """Whether values or tuples of values are the same up to rounding."""
    if isinstance(a, tuple):
        return len(a) == len(b) and all(agree(x, y) for x, y in zip(a, b, strict=True))
    a, b = np.asarray(a), np.asarray(b)
    scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= 1e-8 * scale))


def slope_errors(form: Form, seed: int = 3, step: float = 1e-6) -> dict[str, float]:
    """How far the published gradients are from central differences of the plain forward pass,
    along a random direction of each input."""
    known = measured_published(form.forward.__name__)
    rng = np.random.default_rng(seed)
    return {
        name: _slope_error(form.forward, known, name, rng.normal(size=np.shape(gradient)), step)
        for name, gradient in known.gradients.items()
    }


def _slope_error(
    forward: Callable[..., Any], known: Published, name: str, direction: Array, step: float
) -> float:
    def paired(steps: float) -> float:
        moved = {**known.arrays, name: known.arrays[name] + steps * step * direction}
        value = forward(*moved.values())
        return _pairing(value, known.upstream)

    slope = (8 * (paired(1) - paired(-1)) - (paired(2) - paired(-2))) / (12 * step)
    expected = float(np.sum(known.gradients[name] * direction))
    scale = float(np.sqrt(np.sum(np.square(known.gradients[name]))))
    return abs(slope - expected) / max(scale, 1e-3)


def _pairing(value: Any, upstream: Any) -> float:
    if isinstance(value, tuple):
        return sum(_pairing(v, u) for v, u in zip(value, upstream, strict=True))
    return float(np.sum(np.asarray(value) * upstream))


def cases() -> list[tuple[Form, str]]:
    """All forms in all notations."""
    from tests.compactness.forms import FORMS

    return [(f, n) for f in FORMS.values() for n in NOTATIONS if n == "NumPy" or f.text]


def sample() -> list[tuple[Form, str]]:
    """All forms in one notation each, in turns: what every run of the tests has time for."""
    from tests.compactness.forms import FORMS

    turns = [(f, NOTATIONS[k % 2]) for k, f in enumerate(FORMS.values())]
    return [(f, n if f.text else "NumPy") for f, n in turns]
