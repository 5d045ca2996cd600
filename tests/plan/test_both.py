"""A mask that both passes need is saved where nothing is computed again."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.backends.numpy.module import spell_pair
from pullback.calculus.reverse import reverse
from pullback.notation.parse import parse
from pullback.plan.both import both
from pullback.plan.build import build

from ..compactness.counter import Count, count_source
from ..compactness.random_pairs import drawn, upstream

LEAKY = "Y[n] = where(x[n] > 0, x[n], 0.01*x[n])"
PAIRS = "Y[i] = sum(j) [t[i] <= t[j]]*sqrt(u[i] + v[j])"
UNREAD = "Z[n] = expm1(where(x[n] > 0, 0, x[n])); Y[n] = where(x[n] > 0, x[n], Z[n])"


def passes(text: str, memory: str) -> tuple[str, str]:
    source = str(pullback.derive(text, memory=memory).source())
    forward, _, backward = source.partition("def backward")
    return forward, backward


@pytest.mark.parametrize("text", [LEAKY, PAIRS, UNREAD])
def test_a_mask_of_both_passes_is_saved_where_nothing_is_computed_again(text: str) -> None:
    assert " > 0" in passes(text, "balanced")[1] or " <= " in passes(text, "balanced")[1]
    forward, backward = passes(text, "fastest")
    assert " > 0" not in backward and " <= " not in backward
    (saved,) = [line for line in forward.splitlines() if line.startswith("    return Y, ")]
    (read,) = [line for line in backward.splitlines() if line.endswith(" = cache")]
    assert saved.partition("(")[2].rstrip(",)") == read.removesuffix(" = cache").strip(" ,")


def test_what_only_a_saved_mask_read_is_not_saved() -> None:
    assert "return Y, (mask,)" in passes(LEAKY, "fastest")[0]
    assert "return Y, (Z, mask)" in passes(UNREAD, "fastest")[0]


@pytest.mark.parametrize(
    "text",
    [
        "Y[n] = maximum(x[n], 0)",  # the forward pass makes no mask
        "H[t] = where(t = 0, 0, where(x[t] > 0, H[t-1], x[t]*H[t-1]))",  # in a loop
    ],
)
def test_other_conditions_are_asked_where_they_were(text: str) -> None:
    assert not both(build(replace(reverse(parse(text)), masks=True))).masks


def test_peaks_count_what_is_saved() -> None:
    small, large = (pullback.derive(LEAKY, memory=m) for m in ("balanced", "fastest"))
    assert small.peaks(N=1024).kept == 0
    assert large.peaks(N=1024).kept == 1024


@pytest.mark.parametrize("seed", range(0, 36, 2))
def test_gradients_are_the_same_to_the_last_bit_for_no_more_work(seed: int) -> None:
    plain, ours = masks_of_a_random_program(seed)
    np.testing.assert_equal(ours[1:], plain[1:])
    assert ours[0].work <= plain[0].work


def test_random_programs_have_such_masks() -> None:
    programs = [replace(reverse(drawn(seed)[0]), masks=True) for seed in range(0, 36, 2)]
    assert sum(bool(both(build(backward)).masks) for backward in programs) > 3


@cache
def masks_of_a_random_program(seed: int) -> list[tuple[Count, Any, Any]]:
    program, inputs = drawn(seed)
    backward = reverse(program)
    try:
        with np.errstate(all="ignore"):
            return [
                count_source(
                    spell_pair(replace(backward, masks=masks)), inputs, lambda y: upstream(y, seed)
                )
                for masks in (False, True)
            ]
    except (TypeError, NotImplementedError, AttributeError) as error:
        pytest.skip(f"not counted: {error}")


def test_residuals_tell_what_is_saved() -> None:
    small, large = (pullback.derive(LEAKY, memory=m) for m in ("balanced", "fastest"))
    assert [(s.tensor.name, s.made) for s in small.residuals] == [("x", False)]
    (mask,) = large.residuals
    assert (mask.tensor.name, mask.made, str(mask.size)) == ("mask1", True, "N")
