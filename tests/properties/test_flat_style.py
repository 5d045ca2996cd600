"""Random NumPy programs in the flat style: the gradients of the compact style, gate by gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import assume, given, settings

from pullback.backends.flat import spell_flat
from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.runtime.load import load_module
from pullback.trace.tracer import Traced, trace
from tests.trace.programs import RandomProgram, programs

WRAPPERS: dict[int, Callable[[RandomProgram], Callable[..., Any]]] = {
    1: lambda p: lambda a: p(a),
    2: lambda p: lambda a, b: p(a, b),
    3: lambda p: lambda a, b, c: p(a, b, c),
}


def traced_program(program: RandomProgram) -> Traced:
    assume(len(program.arrays) in WRAPPERS)
    function = WRAPPERS[len(program.arrays)](program)
    return trace(function, dict(zip("abc", program.arrays, strict=False)))


def adjoints(backward: Backward, known: dict[str, Any]) -> list[Any]:
    """The gradients by the interpreter, from the statements that nothing has simplified."""
    statements = (*backward.forward.statements, *backward.adjoints)
    inputs = (*backward.program.inputs, *backward.cotangents)
    found = run(Program(inputs, statements, backward.gradients), known)
    return [np.array(found[t.name].flat, dtype=float) for t in backward.gradients]


@settings(max_examples=60)
@given(programs())
def test_flat_gradients_are_the_underived_ones(program: RandomProgram) -> None:
    traced = traced_program(program)
    arguments = [t for t in traced.program.inputs if t.name not in traced.constants]
    backward = reverse(traced.program, arguments)
    module = load_module(spell_flat(backward), "flat")
    given_arrays = [*(a.copy() for a in program.arrays), *traced.constants.values()]
    outputs, cache = module.forward(*given_arrays)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    random = np.random.default_rng(0)
    seeds = [np.asarray(random.normal(size=np.shape(output))) for output in outputs]
    with np.errstate(all="ignore"):
        found = module.backward(seeds[0] if len(seeds) == 1 else tuple(seeds), cache)
    found = found if isinstance(found, tuple) else (found,)
    known = dict(zip((t.name for t in traced.program.inputs), given_arrays, strict=True))
    known |= dict(zip((t.name for t in backward.cotangents), seeds, strict=True))
    for mine, wanted in zip(found, adjoints(backward, known), strict=True):
        scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
        np.testing.assert_allclose(np.ravel(mine), wanted, rtol=1e-7, atol=1e-9 * scale)
