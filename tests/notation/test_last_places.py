"""Reads of an axis's last place: allowed where there is one, which is asserted."""

from __future__ import annotations

import numpy as np
import pytest

import pullback
from pullback.errors import NotationError, ShapeError

LAST = "G[t] = where(t >= 1, pad(G, 0)[t-1]*X[t], X[t]); Y[] = 2*G[T-1]; X[T]"


@pytest.mark.parametrize("length", [1, 2, 5])
def test_the_last_step_of_a_recurrence(length: int) -> None:
    x = np.random.default_rng(length).uniform(0.5, 2, length)
    forward, backward = pullback.derive(LAST).compile()
    value, cache = forward(x)
    assert value == pytest.approx(2 * np.prod(x))
    np.testing.assert_allclose(backward(1.0, cache), 2 * np.prod(x) / x)
    assert pullback.define(LAST)(x) == pytest.approx(2 * np.prod(x))


def test_what_is_assumed_is_shown_and_asserted() -> None:
    derivation = pullback.derive(LAST)
    (told,) = derivation.assumptions
    assert (told.condition, told.known) == ("T >= 1", "asserted in the source")
    assert told.line.startswith("line 1: ")
    assert "if T < 1:" in derivation.source()
    assert derivation.verify()


def test_an_empty_axis_has_no_last_place() -> None:
    forward, _ = pullback.derive(LAST).compile()
    for run in (forward, pullback.define(LAST)):
        with pytest.raises(ShapeError, match=r"empty axis.*\n.*G\[T-1\]"):
            run(np.zeros(0))


@pytest.mark.parametrize(
    "text",
    [
        "X[L]; Y[] = X[L-2]",  # there may be one place only
        "X[L]; Y[] = X[L]",
        "X[L]; Z[M]; Y[] = X[M-1]*Z[0]",  # the last place of another axis
        "X[L]; b[]; Y[] = where(b > 0, X[L-1], 0)",  # under a condition
    ],
)
def test_other_places_are_refused(text: str) -> None:
    with pytest.raises(NotationError, match="outside its extent"):
        pullback.derive(text)
