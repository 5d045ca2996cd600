"""Which forward values a backward pass reads: conditions told by values that are read anyway."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pullback.calculus.residuals import fewer_residuals
from pullback.calculus.reverse import reverse
from pullback.ir.walk import tensors
from pullback.notation.parse import parse
from tests.calculus.oracle import draw, gradients, worst_difference

PRODUCT = "; Y[n,k] = sum(m) A[n,m]*V[m,k]"

TOLD = [
    "H[n,m] = 2*X[n,m]; A[n,m] = relu(H[n,m])" + PRODUCT,
    "H[n,m] = 2*X[n,m]; A[n,m] = maximum(1, H[n,m])" + PRODUCT,
    "H[n,m] = 2*X[n,m]; A[n,m] = minimum(H[n,m], 1)" + PRODUCT,
    "H[n,m] = 2*X[n,m]; A[n,m] = H[n,m]*[H[n,m] > 0]" + PRODUCT,
    "H[n,m] = 2*X[m,n]; A[n,m] = relu(H[n,m]); Y[m,k] = sum(n) A[n,m]*V[n,k]",
    "H[n,m] = 2*X[n,m]; A[n,m] = relu(H[n,m]); Y[n,k] = sum(m) A[n,m]*V[m,k]*[H[n,k] > 0]",
]
# H is read for its value too; the condition is another; A is not read, or says nothing of H at
# every place where H is asked for; A is what B was, not H; A was rounded
KEPT = [
    "H[n,m] = 2*X[n,m]; A[n,m] = relu(H[n,m])*H[n,m]" + PRODUCT,
    "H[n,m] = 2*X[n,m]; A[n,m] = H[n,m]*[H[n,m] > 1]" + PRODUCT,
    "H[n,m] = 2*X[n,m]; A[n,m] = relu(H[n,m]); Y[n,m] = A[n,m] + V[n,m]",
    "H[n,m] = 2*X[n,m]; A[n,m] = relu(H[n,m]); Y[n,k] = (sum(m) A[n,m]*V[m,k])*[H[n,k] > 1]",
    "H[n,m] = 2*X[n,m]; A[n,m:M-1] = relu(H[n,m]);"
    " Y[n,k] = (sum(m:M-1) A[n,m]*V[m,k])*[H[n,k] > 0]",
    "H[n,m] = 2*X[n,m]; A[n:N-1,m] = relu(H[n+1,m])" + PRODUCT,
    "X[N,2]; H[n] = 2*X[n,0]; A[n,m:M] = relu(H[n])" + PRODUCT,
    "H[n,m] = 2*X[n,m]; B[n,m] = X[n,m] + 1; A[n,m] = B[n,m]*[H[n,m] > 0]" + PRODUCT,
    "H: float64[n,m] = 2*X[n,m]; A: float32[n,m] = relu(H[n,m])" + PRODUCT,
]


# The mask of dY[n,k]*[H[n,k] > 1] is left out of the sum of products with A[n,m], which lacks its
# index k and is taken for finite.
MASKED = [
    "H[n,m] = 2*X[n,m]; A[n,m] = relu(H[n,m]); Y[n,k] = (sum(m) A[n,m]*V[m,k])*[H[n,k] > 1]",
]


def read_by_backward(text: str) -> set[str]:
    return {t.name for s in reverse(parse(text)).statements for t in tensors(s.body)}


@pytest.mark.parametrize("text", TOLD)
def test_a_condition_is_told_by_a_value_that_is_kept(text: str) -> None:
    assert "A" in read_by_backward(text)
    assert "H" not in read_by_backward(text)


@pytest.mark.parametrize("text", KEPT)
def test_a_condition_that_no_kept_value_tells_stays(text: str) -> None:
    assert "H" in read_by_backward(text)


def test_the_form_before_elimination_is_told_too() -> None:
    forward, backward = parse("A[n] = relu(H[n]); D[n] = g[n]*A[n]*[H[n] > 0]").statements
    known = {forward.target: forward}
    (alone,) = fewer_residuals([backward], known)
    (both,) = fewer_residuals([replace(backward, scatter=backward.body)], known)
    assert [t.name for t in tensors(alone.body)] == ["g", "A"] and alone.scatter is None
    assert both.scatter is both.body is alone.body


@pytest.mark.parametrize("text", [*TOLD, *KEPT])
def test_the_gradients_stay_those_of_the_chain_rule(text: str) -> None:
    backward = reverse(parse(text))
    sizes = {"N": 3, "M": 3, "K": 3}
    values = draw((*backward.program.inputs, *backward.cotangents), sizes, seed=1)
    X = np.array([[0.0, 0.5, -1.0], [0.25, 1e99, 2.0], [-0.0, -1e99, np.nan]])
    if text in MASKED:
        X = np.nan_to_num(X)
    values["X"] = X[:, : len(values["X"][0])]
    short = gradients(backward, backward.statements, values, sizes)
    raw = gradients(backward, backward.adjoints, values, sizes)
    assert worst_difference(short, raw) < 1e-12
