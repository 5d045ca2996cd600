"""Times one derivation, in a process of its own that ``benchmarks.suites`` starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from examples import digits

from .forms import CONTESTS
from .models import MODELS


def _form(value: Callable[..., Any], shapes: dict[str, Any]) -> Callable[[], Any]:
    import pullback

    return lambda: pullback.derive(value, **shapes)


_MAKERS: dict[str, Callable[[], Callable[[], Any]]] = {
    **{c.form.name: lambda f=c.form: _form(f.value, f.shapes) for c in CONTESTS},  # type: ignore[misc]
    "digits model": lambda: _form(digits.loss, digits.SHAPES),
    **{name: lambda m=model: _form(*m) for name, model in MODELS.items()},  # type: ignore[misc]
}

CASES: tuple[str, ...] = tuple(_MAKERS)

LIMITS: dict[str, str] = {
    **dict.fromkeys(CASES, "0.3 s"),
    "digits model": "1 s",
    "24-layer MLP": "2 s",
    "12-block transformer": "5 s",
}


def _unrelated(a: Any, b: Any) -> Any:
    return (np.cos(a) * b).sum(axis=0)


def probe(case: str) -> dict[str, float]:
    """Seconds for a cold derivation of something unrelated, for this case, for its source."""
    start = time.perf_counter()
    unrelated = _form(_unrelated, {"a": "N D", "b": "N D"})()
    unrelated.source("numpy")
    cold = time.perf_counter() - start
    run = _MAKERS[case]()
    start = time.perf_counter()
    derived = run()
    warm = time.perf_counter() - start
    start = time.perf_counter()
    derived.compile()
    return {"cold": cold, "warm": warm, "source": time.perf_counter() - start}
