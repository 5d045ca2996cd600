"""NumPy source means what the statements mean: values, shapes, dtypes, memory."""

from __future__ import annotations

import ast
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from pullback.backends.numpy import spell, spell_pair
from pullback.backends.python.layout import broken
from pullback.calculus.reverse import reverse
from pullback.errors import PullbackError
from pullback.ir.program import Program
from pullback.runtime.load import load, load_module
from tests.backends.agreement import (
    check_backward,
    check_forward,
    compare,
    expected,
    keywords,
    program_of,
    values_for,
)
from tests.backends.programs import CASES, Case
from tests.properties.random_programs import programs

EVERY = pytest.mark.parametrize("case", CASES, ids=str)


def sizes_of(case: Case) -> list[dict[str, int]]:
    """The assignments of a case; names it doesn't mention are 3."""
    program = program_of(case.text)
    names = {n for t in program.inputs for form in t.shape for n in form.names()}
    return [{**dict.fromkeys(sorted(names), 3), **sizes} for sizes in case.sizes]


@EVERY
def test_forward_agrees_with_the_interpreter(case: Case) -> None:
    for sizes in sizes_of(case):
        check_forward(program_of(case.text), sizes, below=case.below)


@EVERY
def test_backward_agrees_with_the_interpreter(case: Case) -> None:
    for sizes in sizes_of(case):
        check_backward(program_of(case.text), sizes, below=case.below)


@EVERY
def test_single_precision_stays(case: Case) -> None:
    program, sizes = program_of(case.text), sizes_of(case)[0]
    back = reverse(program)
    module = load_module(spell_pair(back), "pair")
    values = single(values_for(program.inputs, sizes, below=case.below))
    out, cache = module.forward(*values.values(), **keywords(module.forward, sizes))
    seeds = tuple(single(values_for(back.cotangents, sizes)).values())
    found = module.backward(seeds[0] if len(seeds) == 1 else seeds, cache)
    results = [*tupled(out, program.outputs), *tupled(found, back.gradients)]
    for tensor, result in zip((*program.outputs, *back.gradients), results, strict=True):
        if tensor.kind == "float":
            assert result.dtype == np.float32, tensor.name


def single(values: dict) -> dict:
    """The float arrays in single precision."""
    return {k: v.astype(np.float32) if v.dtype == np.float64 else v for k, v in values.items()}


def tupled(found: object, names: tuple) -> tuple:
    """A single result as a tuple."""
    return found if len(names) != 1 else (found,)  # type: ignore[return-value]


@EVERY
def test_source_is_the_same_whole_and_broken(case: Case) -> None:
    source = spell_pair(reverse(program_of(case.text)))
    assert max(map(len, source.splitlines())) <= 160
    for line in source.splitlines():
        text = line.strip()
        if text.startswith(("#", "@", "def ", "for ")) or not _is_statement(text):
            continue
        for width in (10, 30, 60):
            parts = "\n".join(broken(text, width))
            assert ast.dump(ast.parse(parts)) == ast.dump(ast.parse(text)), parts


def _is_statement(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_random_programs_agree_with_the_interpreter(program: Program) -> None:
    tensors = (*program.inputs, *(s.target for s in program.statements))
    names = {n for t in tensors for form in t.shape for n in form.names()}
    for k in (1, 3):
        sizes = {n: k + j % 2 for j, n in enumerate(sorted(names | set(program.sizes)))}
        values = values_for(program.inputs, sizes, below=1)
        try:
            wanted = expected(program.inputs, program.statements, program.outputs, values, sizes)
        except PullbackError:
            continue
        if not all(np.all(np.abs(w) < 1e6) for w in wanted):
            continue
        source = spell("f", program.inputs, program.statements, program.outputs)
        function = load(source, "f")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = function(*values.values(), **keywords(function, sizes))
        compare(found, wanted, [t.name for t in program.outputs], source)
