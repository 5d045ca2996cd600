"""The base form: what can be spelled out is, and has the value that it had."""

from __future__ import annotations

from random import Random

import pytest

from pullback.calculus.definitions import Definitions
from pullback.calculus.flatten import flatten
from pullback.calculus.normal import expression, poly
from pullback.ir.arithmetic import FLOAT
from pullback.ir.interpret import define
from pullback.ir.program import Define
from pullback.ir.walk import tensors
from pullback.notation.parse import parse
from pullback.verify.samples import draw, draw_sizes

# Definitions, the last one of V; what the base form of V reads.
BASE = {
    "a product": ("P[i] = X[i]*W[i]\nV[i] = P[i]**2*X[i]", "X W"),
    "a product of a product": ("P[i] = X[i]*W[i]\nQ[i] = P[i]/W[i]**3\nV[i] = X[i]*Q[i]", "X W"),
    "a root of roots": ("P[i] = sqrt(X[i])*sqrt(W[i])\nV[i] = X[i]*sqrt(P[i])", "X W"),
    "a root of a square": ("P[i] = X[i]**2*W[i]\nV[i] = X[i]*sqrt(P[i])", "X P"),
    "a root of one factor and sizes": ("P[i:N] = 4*N*X[i]\nV[i] = W[i]*sqrt(P[i])", "X W"),
    "a root of two": ("P[i] = X[i]*W[i]\nV[i] = X[i]*sqrt(P[i])", "X P"),
    "no root of 2, but the other": (
        "A[i] = 2*X[i]**3\nC[i] = X[i]*W[i]\nV[i] = sqrt(A[i])*C[i]",
        "A X W",
    ),
    "a sum": ("Z[] = sum(i) X[i]*W[i]\nV[j] = X[j]*sum(i) X[i]*W[i]", "X Z"),
    "a sum over a size": ("Z[] = mean(i) X[i]*W[i]\nV[j] = X[j]*sum(i) X[i]*W[i]", "X Z"),
}


@pytest.mark.parametrize("name", BASE)
def test_the_base_form_reads_what_it_can_be_spelled_in(name: str) -> None:
    text, reads = BASE[name]
    program = parse(text)
    last = program.statements[-1]
    flat = flatten(program)
    definitions = Definitions([s for s in flat.statements if s.target.name != "V"])
    value = expression(definitions.base(poly(last.body)))
    assert {t.name for t in tensors(value)} == set(reads.split())
    rng = Random(0)
    for sizes in draw_sizes(program.statements, program.inputs, rng, 3):
        sample = draw(program.inputs, flat.statements, sizes, rng, FLOAT, "positive")
        assert sample is not None
        found = define(Define(last.target, last.indices, value), sample.arrays, sizes)
        assert found.flat == pytest.approx(sample.arrays["V"].flat, rel=1e-9)
