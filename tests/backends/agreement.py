"""Runs generated source beside the interpreter, which is the truth."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pullback.backends.numpy import spell, spell_pair
from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward
from pullback.ir.expr import Tensor
from pullback.ir.interpret import run
from pullback.ir.program import Define, Program
from pullback.notation.parse import parse
from pullback.runtime.load import load, load_module

Values = dict[str, Any]


def values_for(
    tensors: Sequence[Tensor], sizes: Mapping[str, int], seed: int = 0, below: int = 2
) -> Values:
    """Random arrays; integers in [0, below)."""
    rng = np.random.default_rng(seed)
    values: Values = {}
    for tensor in tensors:
        shape = tuple(n.value(sizes) for n in tensor.shape)
        match tensor.kind:
            case "int":
                values[tensor.name] = rng.integers(0, below, shape)
            case "bool":
                values[tensor.name] = rng.integers(0, 2, shape).astype(bool)
            case _:
                values[tensor.name] = np.asarray(rng.normal(size=shape))
    return values


def expected(
    inputs: Sequence[Tensor],
    statements: Sequence[Define],
    outputs: Sequence[Tensor],
    values: Values,
    sizes: Mapping[str, int],
) -> list[np.ndarray]:
    """What the interpreter makes of statements."""
    program = Program(tuple(inputs), tuple(statements), tuple(outputs))
    found = run(program, values, sizes=sizes)
    return [
        np.array(found[t.name].tolist(), dtype=_dtype(t)).reshape(found[t.name].shape)
        if t.name in found
        else np.asarray(values[t.name])
        for t in outputs
    ]


def _dtype(tensor: Tensor) -> type:
    return {"int": int, "bool": bool}.get(tensor.kind, float)


def compare(found: Any, wanted: Sequence[np.ndarray], names: Sequence[str], source: str) -> None:
    """Fails with the source where a result differs in value or shape."""
    results = found if len(wanted) != 1 else (found,)
    assert len(results) == len(wanted), source
    for name, result, want in zip(names, results, wanted, strict=True):
        assert np.shape(result) == want.shape, f"{name}: {np.shape(result)}\n{source}"
        np.testing.assert_allclose(result, want, rtol=1e-9, atol=1e-9, err_msg=f"{name}\n{source}")


def keywords(function: Callable[..., Any], sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes that no input's shape gives, as far as the source needs them."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: sizes[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY}


def check_forward(program: Program, sizes: Mapping[str, int], **options: int) -> str:
    """Checks the source of a program; returns it."""
    values = values_for(program.inputs, sizes, **options)
    source = spell("f", program.inputs, program.statements, program.outputs)
    before = {name: value.copy() for name, value in values.items()}
    function = load(source, "f")
    found = function(*(values[t.name] for t in program.inputs), **keywords(function, sizes))
    wanted = expected(program.inputs, program.statements, program.outputs, values, sizes)
    compare(found, wanted, [t.name for t in program.outputs], source)
    results = found if len(wanted) != 1 else (found,)
    for name, value in values.items():
        np.testing.assert_array_equal(value, before[name])
        assert not any(np.shares_memory(value, result) for result in results), source
    return source


def check_backward(program: Program, sizes: Mapping[str, int], **options: int) -> str:
    """Checks both functions of the pair of a program; returns their source."""
    back = reverse(program)
    values = values_for(program.inputs, sizes, **options)
    source = spell_pair(back)
    module = load_module(source, "pair")
    out, cache = module.forward(
        *(values[t.name] for t in program.inputs), **keywords(module.forward, sizes)
    )
    wanted = expected(program.inputs, program.statements, program.outputs, values, sizes)
    compare(out, wanted, [t.name for t in program.outputs], source)
    upstream = values_for(back.cotangents, sizes, seed=1)
    argument = tuple(upstream[t.name] for t in back.cotangents)
    before = {name: value.copy() for name, value in upstream.items()}
    found = module.backward(argument[0] if len(argument) == 1 else argument, cache)
    compare(found, gradients(back, values, upstream, sizes), [t.name for t in back.wrt], source)
    results = found if len(back.gradients) != 1 else (found,)
    for value in (*values.values(), *upstream.values()):
        assert not any(np.shares_memory(value, result) for result in results), source
    for name, value in upstream.items():
        np.testing.assert_array_equal(value, before[name])
    return source


def gradients(
    back: Backward, values: Values, upstream: Values, sizes: Mapping[str, int]
) -> list[np.ndarray]:
    """The interpreter's gradients."""
    forward = back.forward
    return expected(
        (*forward.inputs, *back.cotangents),
        (*forward.statements, *back.statements),
        back.gradients,
        {**values, **upstream},
        sizes,
    )


def program_of(text: str) -> Program:
    """The program of a text."""
    return parse(text)
