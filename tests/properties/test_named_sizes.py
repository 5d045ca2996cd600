"""Random NumPy programs traced with named sizes compute what NumPy computes, at any size."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pullback.errors import PullbackError
from pullback.trace.named import trace_named
from tests.trace.named_checks import arguments, assert_same_values
from tests.trace.programs import RandomProgram, programs

NAMES = "NDMKPQRS"
WRAPPERS: dict[int, Callable[[RandomProgram], Callable[..., Any]]] = {
    1: lambda p: lambda a: p(a),
    2: lambda p: lambda a, b: p(a, b),
    3: lambda p: lambda a, b, c: p(a, b, c),
}


def named(program: RandomProgram) -> tuple[Callable[..., Any], dict[str, str], list[str]]:
    """The program as a function of named parameters, its shapes with a name for each extent."""
    names: dict[int, str] = {}
    specs = {}
    for parameter, array in zip("abc", program.arrays, strict=False):
        for n in array.shape:
            if n != 1 and n not in names:
                names[n] = NAMES[len(names)]
        specs[parameter] = " ".join(names.get(n, str(n)) for n in array.shape)
    return WRAPPERS[len(program.arrays)](program), specs, list(names.values())


def runs(function: Callable[..., Any], specs: dict[str, str], sizes: dict[str, int]) -> bool:
    try:
        function(**arguments(specs, sizes))
    except (ValueError, IndexError, TypeError):
        return False
    return True


@settings(max_examples=120)
@given(programs(), st.integers(0, 2**32 - 1))
def test_random_programs_hold_at_random_sizes(program: RandomProgram, seed: int) -> None:
    assume(len(program.arrays) in WRAPPERS)
    function, specs, names = named(program)
    try:
        traced = trace_named(function, specs)
    except PullbackError:
        assume(False)
    rng = random.Random(seed)
    usual = {name: rng.randint(4, 7) for name in names}
    tiny = {name: rng.randint(1, 3) for name in names}
    if runs(function, specs, usual):
        assert_same_values(traced, function, specs, usual, seed)
    if runs(function, specs, tiny) and traced.agrees(tiny):
        assert_same_values(traced, function, specs, tiny, seed)


def test_most_random_programs_are_generalised() -> None:
    """What is refused depends on the sizes: a diagonal of min(N, M), extents that must be equal."""
    count = {True: 0, False: 0}

    @settings(max_examples=100, database=None)
    @given(programs())
    def each(program: RandomProgram) -> None:
        if len(program.arrays) in WRAPPERS:
            function, specs, _ = named(program)
            try:
                trace_named(function, specs)
            except PullbackError:
                count[False] += 1
            else:
                count[True] += 1

    each()
    assert count[True] >= 4 * count[False], count


@settings(max_examples=25)
@given(programs())
def test_programs_are_the_same_every_time(program: RandomProgram) -> None:
    assume(len(program.arrays) in WRAPPERS)
    function, specs, _ = named(program)
    try:
        once = trace_named(function, specs)
    except PullbackError:
        assume(False)
    again = trace_named(function, specs)
    assert once.program == again.program
    assert {k: np.shape(v) for k, v in once.constants.items()} == {
        k: np.shape(v) for k, v in again.constants.items()
    }
