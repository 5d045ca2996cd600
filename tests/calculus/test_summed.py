"""Arrays that are added for a product and summed term by term beside it: the same values, and named
only where both stand."""

from __future__ import annotations

import pytest

from pullback.calculus.linear import Linear
from pullback.calculus.repeated import summed_together
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.notation.parse import parse

from .oracle import draw

BOTH = "Y[i,k] = X[i,k]*((sum(j) A[i,j]) + sum(j) A[j,i]) - sum(j) (A[i,j] + A[j,i])*X[j,k]"
NAMED = {
    "a matrix and its transpose": BOTH,
    "two matrices": "Y[i,k] = X[i,k]*((sum(j) A[i,j]) + sum(j) B[i,j])"
    " + sum(j) (A[i,j] + B[i,j])*X[j,k]",
    "more is added to the sums": "Y[i,k] = ((sum(j) A[i,j]) + w[i] + sum(j) A[j,i])*X[i,k]"
    " - sum(j) (A[i,j] + A[j,i])*X[j,k]",
}
LEFT = {
    "only the product": "Y[i,k] = sum(j) (A[i,j] + A[j,i])*X[j,k]",
    "the sum of one term": "Y[i,k] = X[i,k]*((sum(j) A[i,j]) + w[i])"
    " - sum(j) (A[i,j] + A[j,i])*X[j,k]",
    "other sums": "Y[i,k] = X[i,k]*((sum(j) B[i,j]) + sum(j) B[j,i])"
    " - sum(j) (A[i,j] + A[j,i])*X[j,k]",
    "a sum over rows": "Y[i,k] = X[i,k]*((sum(j) A[j,i]) + sum(j) A[j,i])"
    " - sum(j) (A[i,j] + A[j,i])*X[j,k]",
    "where a condition holds": "Y[i,k] = X[i,k]*((sum(j) A[i,j]) + sum(j) A[j,i])"
    " - sum(j if j < i) (A[i,j] + A[j,i])*X[j,k]",
    "beside a condition": "Y[i,k] = X[i,k]*((sum(j) A[i,j]) + sum(j) A[j,i])"
    " - sum(j) [j < i]*(A[i,j] + A[j,i])*X[j,k]",
    "larger than what is read": "Y[i,k] = X[i,k]*((sum(j:N) w[i]) + sum(j) v[j])"
    " - sum(j) (w[i] + v[j])*X[j,k]",
    "an index beyond the end": "Y[i,k] = [i > 0]*(X[i,k]*((sum(j) A[i-1,j]) + sum(j) B[i,j])"
    " + sum(j) (A[i-1,j] + B[i,j])*X[j,k])",
    "in a recurrence": "H[t,k] = where(t = 0, X[0,k], H[t-1,k] + X[t,k])",
}


@pytest.mark.parametrize("text", [*NAMED.values(), *LEFT.values()], ids=[*NAMED, *LEFT])
def test_an_array_is_named_where_it_is_added_and_summed(text: str) -> None:
    program = parse(f"A[N,N]; B[N,N]; X[N,K]; w[N]; v[N]; {text}")
    made = summed_together(program.statements, Linear(program, None, {}))
    assert len(made) - len(program.statements) == (text in NAMED.values())
    found = Program(program.inputs, tuple(made), program.outputs, program.sizes)
    for sizes in ({"N": 4, "K": 2}, {"N": 1, "K": 1}):
        values = draw(program.inputs, sizes, 1)
        before, after = run(program, values, sizes=sizes), run(found, values, sizes=sizes)
        for tensor in program.outputs:
            assert after[tensor.name].flat == pytest.approx(before[tensor.name].flat)
