"""The layers of docs/compactness.md, counted by running what is generated of both passes.

Their published backward passes are index notation, beside the layer's text. Both programs are
spelled by the NumPy backend: what is compared is the calculus alone.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from pullback.backends.numpy.module import spell
from pullback.ir.program import Program
from pullback.layers import Example, Kind
from tests.compactness.counter import (
    Count,
    Meter,
    count_source,
    counted_in,
    counting_module,
    given,
    largest_of_source,
    plain,
)
from tests.compactness.measure import Array, Measured, agree, upstream_of
from tests.layers.checks import published_program
from tests.layers.test_layers import REFERENCES

# Extents of named sizes, for so many of them.
EXTENTS = {1: (60,), 2: (60, 40), 3: (24, 20, 16), 4: (12, 10, 14, 16)}


def larger(example: Example, program: Program) -> dict[str, Array]:
    """Inputs of a layer's example, at extents that the example's are too small for."""
    shapes = {t.name: t.shape for t in program.inputs}
    names = list(dict.fromkeys(n for shape in shapes.values() for s in shape for n in s.names()))
    extents = EXTENTS[min(len(names), 4)] if names else ()
    sizes = {n: extents[k % len(extents)] for k, n in enumerate(names)}
    drawn = {name: tuple(s.value(sizes) for s in shape) for name, shape in shapes.items()}
    return replace(example, shapes={name: drawn[name] for name in example.shapes}).arrays(1)


def published_count(
    program: Program, outputs: int, arrays: dict[str, Array]
) -> tuple[Count, int, dict[str, Array]]:
    """What a published program takes beyond its first ``outputs`` outputs, the elements of its
    largest forward value, and its gradients."""
    meter = Meter()
    source = spell("run", program.inputs, program.statements, program.outputs)
    wrapped = [given(meter, arrays[t.name]) for t in program.inputs]
    found = counting_module(source, meter)["run"](*wrapped)
    results = found if isinstance(found, tuple) else (found,)
    forward = meter.needed(counted_in(list(results[:outputs])))
    rest = [n for n in range(len(meter.operations)) if n not in forward]
    largest = max([meter.operations[n].made for n in forward], default=0)
    names = [t.name for t in program.outputs[outputs:]]
    return meter.total(rest), largest, dict(zip(names, plain(results[outputs:]), strict=True))


def measure_layer(kind: Kind) -> Measured:
    """Derives a layer's first example, and counts both passes."""
    example = kind.examples[0]
    layer = kind(**example.options)
    form = kind.form(example.shapes[layer.inputs[0]])
    start = time.process_time()
    derivation = layer.derive(form).saving("fastest")
    source = derivation.source()
    seconds = time.process_time() - start
    arrays = larger(example, derivation.backward.program)
    outputs = derivation.backward.program.outputs
    wrt = [t.name for t in derivation.backward.wrt]
    upstream: dict[str, Any] = {}

    def cotangents(values: Any) -> Any:
        drawn = upstream_of(values)
        through = [f"d{t.name}" for t in outputs if t.kind == "float"]
        upstream.update(zip(through, _several(drawn), strict=True))
        return drawn

    ours, _, found = count_source(source, arrays, cotangents)
    gradients = dict(zip(wrt, _several(found), strict=True))
    text = REFERENCES[kind.name].published
    program, _ = published_program(layer, form, text)
    made = {s.target.name: s.target for s in program.statements}
    wanted = [*(t.name for t in outputs), *(f"d{name}" for name in wrt)]
    program = replace(program, outputs=tuple(made[name] for name in wanted))
    theirs, largest, expected = published_count(program, len(outputs), {**arrays, **upstream})
    wrong = [name for name in wrt if not agree(gradients[name], expected[f"d{name}"])]
    bound = max([largest, *(np.size(a) for a in arrays.values())])
    return Measured(
        f"{kind.name} layer",
        kind.title,
        "index",
        ours,
        theirs,
        largest_of_source(source, arrays),
        bound,
        seconds,
        source,
        text,
        tuple(wrong),
    )


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
