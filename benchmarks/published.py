"""Generated NumPy against the published backward passes of tests/compactness, at three sizes."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tests.compactness.forms import FORMS
from tests.compactness.forms.form import SIZES, Form
from tests.compactness.measure import derive, upstream_of

from .measure import Thunk, in_turns
from .tables import Result

SCALES = {"small": 0.25, "middle": 1.0, "large": 3.0}  # of the sizes at which passes are counted


def published(rounds: int) -> Result:
    """Forward and backward by the generated source and by the published pass."""
    rows = [row(form, rounds) for form in FORMS.values() if form.published is not None]
    found = [r[scale] for r in rows for scale in SCALES]
    least = min(found)
    return Result(
        "Generated NumPy against published backward passes",
        (
            "Forward and backward together, float64, the forms of docs/papers.md in NumPy.",
            "A figure is published / pullback, the median over the rounds: above 1 pullback is",
            f"faster. The sizes are {', '.join(f'{n} x {k}' for k, n in SCALES.items())} of those",
            f"of docs/papers.md. Median of all: {np.median(found):.2f}; least: {least:.2f}; below",
            f"0.85: {sum(f < 0.85 for f in found)} of {len(found)}.",
        ),
        ("form", *SCALES),
        rows,
    )


def row(form: Form, rounds: int) -> dict[str, Any]:
    """A form's ratios."""
    assert form.published is not None
    generator = form.published(*form.arrays().values())
    wrt = list(_sent(generator, upstream_of(next(generator))))
    derivation = derive(form, "NumPy", wrt)
    gc.collect()
    gc.freeze()  # the derivation's nodes, which would be looked at before each turn
    scope: dict[str, Any] = {}
    exec(derivation.source(), scope)
    inputs = [t.name for t in derivation.backward.program.inputs]
    gradients = [t.name for t in derivation.backward.wrt]
    found: dict[str, Any] = {"form": str(form)}
    for name, scale in SCALES.items():
        sizes = {k: max(2, round(n * scale)) for k, n in {**SIZES, **form.sizes}.items()}
        arrays = replace(form, sizes=sizes).arrays()
        upstream = upstream_of(form.forward(*arrays.values()))
        given = [arrays[t] for t in inputs]

        def ours(given: list[Any] = given, upstream: Any = upstream) -> dict[str, Any]:
            _, cache = scope["forward"](*given)
            made = scope["backward"](upstream, cache)
            return dict(zip(gradients, made if len(gradients) > 1 else (made,), strict=True))

        def theirs(arrays: dict[str, Any] = arrays, upstream: Any = upstream) -> dict[str, Any]:
            generator = form.published(*arrays.values())  # type: ignore[misc]
            next(generator)
            return _sent(generator, upstream)

        found[name] = ratio(ours, theirs, rounds)
    return found


def ratio(
    ours: Callable[[], dict[str, Any]], theirs: Callable[[], dict[str, Any]], rounds: int
) -> float:
    """How many times longer the published pass takes, which gives the same gradients."""
    wanted = theirs()
    for key, value in ours().items():
        scale = 1 + float(np.max(np.abs(wanted[key]), initial=0))
        np.testing.assert_allclose(value / scale, wanted[key] / scale, atol=1e-7, rtol=0)
    contenders: dict[str, Thunk] = {"pullback": ours, "published": theirs}
    times = in_turns(contenders, rounds, at_least=0.01, gap=0.005)
    return times["published"].ratio(times["pullback"])


def _sent(generator: Any, upstream: Any) -> dict[str, Any]:
    """What a generator returns once it is sent the upstream gradient."""
    try:
        generator.send(upstream)
    except StopIteration as end:
        found: dict[str, Any] = end.value
        return found
    raise AssertionError("a published pass yields once")
