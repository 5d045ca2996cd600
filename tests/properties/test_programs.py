"""Random index programs: every derivation is right, by oracles that know nothing of its steps."""

from __future__ import annotations

import inspect
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.backends.numpy import spell_pair
from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward
from pullback.ir.arithmetic import FLOAT
from pullback.ir.expr import Tensor
from pullback.ir.interpret import Array, define
from pullback.ir.program import Program
from pullback.ir.walk import tensors
from pullback.runtime.load import load_module
from pullback.verify.programs import check_backward_program
from pullback.verify.samples import draw, draw_sizes
from pullback.verify.steps import check_steps

from .random_programs import Maker, programs

SOME = settings(max_examples=20, deadline=None, derandomize=True)


def check(program: Program, seed: int) -> None:
    backward = reverse(program)
    report = check_backward_program(backward, seed, samples=2)
    assert not report.failures, str(report)
    for step, found in zip(backward.steps, check_steps(backward, seed), strict=True):
        assert found.status != "failed", f"{step.name} of {step.target.name}: {found}"


@SOME
@given(programs(kinks=False), st.integers(0, 99))
def test_smooth_programs(program: Program, seed: int) -> None:
    check(program, seed)


@SOME
@given(programs(), st.integers(0, 99))
def test_programs_with_kinks_and_ties(program: Program, seed: int) -> None:
    check(program, seed)


@SOME
@given(programs(), st.integers(0, 99))
def test_generated_numpy_is_the_interpreter(program: Program, seed: int) -> None:
    backward = reverse(program)
    source = spell_pair(backward)
    module = load_module(source, "pair")
    inputs = (*program.inputs, *backward.cotangents)
    statements = [*program.statements, *backward.forward.statements, *backward.statements]
    rng = Random(seed)
    for sizes in draw_sizes(statements, inputs, rng, 2):
        for style in ("signed", "ties"):
            sample = draw(inputs, program.statements, sizes, rng, FLOAT, style)
            if sample is None:
                continue
            values = dict(sample.arrays)
            for s in statements[len(program.statements) :]:
                if s.target.name not in values:
                    values[s.target.name] = define(s, values, sizes)
            found = run_pair(module, backward, values, sizes)
            for tensor, array in found:
                same(array, plain(values[tensor.name], tensor), f"{tensor.name}\n{source}")


def run_pair(
    module: Any, backward: Backward, values: dict[str, Array], sizes: dict[str, int]
) -> list[tuple[Tensor, Any]]:
    """Outputs and gradients of generated source, by tensor."""
    program = backward.program
    inputs = [plain(values[t.name], t) for t in program.inputs]
    parameters = inspect.signature(module.forward).parameters.values()
    keywords = {p.name: sizes[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY}
    out, cache = module.forward(*inputs, **keywords)
    outs = out if len(program.outputs) > 1 else (out,)
    cotangents = tuple(plain(values[t.name], t) for t in backward.cotangents)
    got = module.backward(cotangents if len(cotangents) > 1 else cotangents[0], cache)
    gradients = got if len(backward.gradients) > 1 else (got,)
    targets = (*program.outputs, *backward.gradients)
    return list(zip(targets, (*outs, *gradients), strict=True))


def plain(array: Array, tensor: Tensor) -> np.ndarray[Any, Any]:
    dtype = {"float": np.float64, "int": np.int64, "bool": np.bool_}[tensor.kind]
    return np.array(array.flat, dtype=dtype).reshape(array.shape)


def same(found: Any, expected: np.ndarray[Any, Any], told: str) -> None:
    assert np.shape(found) == expected.shape, told
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=told)


@pytest.mark.parametrize("seed", [192, 346, *range(12)])
def test_scatters_read_what_there_is(seed: int) -> None:
    """An adjoint that no statement reads any more isn't read by another form of one either."""
    rng = Random(f"fw {seed}")
    backward = reverse(Maker(rng, kinks=rng.randrange(2) == 0).program())
    made = [*backward.forward.statements, *backward.values, *backward.statements]
    known = {*backward.program.inputs, *backward.cotangents, *(s.target for s in made)}
    for statement in backward.statements:
        if statement.scatter is not None:
            assert known.issuperset(tensors(statement.scatter)), statement.target.name
