"""Terms that cover all remainders of an index are one; their quotients are one."""

from __future__ import annotations

import pytest

from pullback.calculus.reverse import reverse
from pullback.ir.expr import Divides
from pullback.ir.walk import nodes
from pullback.notation.parse import parse

from .oracle import draw, gradients, worst_difference

SIZES = ({"N": 3, "M": 2}, {"N": 1, "M": 1}, {"N": 4, "M": 3})
# A program, and how many conditions on remainders are left in the gradient of X.
CASES = [
    ("X[2*N]\nY[n:N] = X[2*n] + X[2*n + 1]", 0),
    ("X[3*N]\nY[n:N] = X[3*n] - X[3*n + 1] + X[3*n + 2]", 3),  # not alike
    ("X[3*N]\nY[n:N] = X[3*n] + X[3*n + 2]", 2),  # not all
    (
        "X[2*N, 2*M]\nY[n:N,m:M] = X[2*n,2*m] + X[2*n+1,2*m] + X[2*n,2*m+1] + X[2*n+1,2*m+1]",
        0,
    ),
    ("X[2*N]\nY[n:N] = X[2*N - 1 - 2*n] + X[2*N - 2 - 2*n]", 2),  # quotients of -i are left alone
    ("X[2*N + 2]\nY[n:N] = X[2*n + 1] + X[2*n + 2]", 2),  # each has a range of its own
    ("X[2*N]\nY[n:N] = X[2*n]*Z[n] + X[2*n + 1]*Z[n]", 0),
    ("X[2*N]\nY[n:N] = exp(X[2*n]) + exp(X[2*n + 1])", 2),  # two values have two names
]


@pytest.mark.parametrize(("text", "left"), CASES)
def test_terms_for_all_remainders_are_joined(text: str, left: int) -> None:
    backward = reverse(parse(text))
    (dX,) = [s for s in backward.statements if s.target.name == "dX"]
    assert sum(isinstance(node, Divides) for node in nodes(dX.body)) == left
    for sizes in SIZES:
        values = draw((*backward.program.inputs, *backward.cotangents), sizes, 5)
        compact = gradients(backward, backward.statements, values, sizes)
        raw = gradients(backward, backward.adjoints, values, sizes)
        assert worst_difference(compact, raw) < 1e-12
