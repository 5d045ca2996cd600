"""Programs, reduced from random ones, whose gradient was once wrong; each by every oracle."""

from __future__ import annotations

import pytest

from pullback.calculus.reverse import reverse
from pullback.ir.expr import Access, Reduce, Tensor, Zero
from pullback.ir.program import Define, Program
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.notation.parse import parse

from .test_programs import check

ONCE_WRONG = {
    "a fold into a name lost a guard": (
        "T[i] = where(x[i] < w[i], x[i], 1)*[0 < x[i]]\nU[i] = T[i]**2"
    ),
    "both sides of a tie": "T[] = where(x[] < w[], minimum(x[],x[]), w[])*[0 < x[]]",
    "a shared sum read outside": "Z[i:N] = sin(X[i]) + cos(W[i])\nY[k:K,j:M] = pad(Z,0)[k+2]",
    "the same with two outputs": (
        "Z[i:N] = sin(X[i]) + cos(W[i])\nY[k:K,j:M] = pad(Z,0)[k+2]\nreturn Z,Y"
    ),
    "a root left its guard": "Y[i,j:M] = sqrt(sum(k) X[i,k]**2)",
    "a root left its guard in the raw sums": "Z[i:K] = sqrt(sum(j) X[j]**2)",
    "a product of norms": "Z[i:K] = sqrt(sum(j:K) log(1+X[i,i]**2)**2)\nY[] = prod(i:K) Z[i]",
    "a norm of extrema": "Y[] = sqrt(sum(j:K) (max(i) X[i])**2)",
    "a norm with weights": "Y[j:M] = sqrt(sum(i) (j*X[i,j])**2)",
    "a gradient broadcast back": (
        "Y0[] = sum(i:M) (sum(j:M) X0[i,j] - log(1 + X1[i]**2))\nY1[k:M,l:M] = Y0[]"
    ),
    "a norm in a product of sums": (
        "Z[] = sum(i) X[i]**2*sin(X[i])**2\nY[i:K,j:K] = sqrt(sum(k:K) (Z[]*sum(l) cos(X[l]))**2)"
    ),
    "a condition under its own guard": (
        "T[i] = sigmoid(X[i])\nY[i] = X[i]*[0 < where(T[i] < W[i], 1, W[i])]*T[i]"
    ),
}


@pytest.mark.parametrize("name", ONCE_WRONG)
@pytest.mark.parametrize("seed", [0, 1])
def test_gradients_that_were_once_wrong(name: str, seed: int) -> None:
    check(parse(ONCE_WRONG[name]), seed)


def test_a_product_over_a_domain_that_never_holds() -> None:
    m = size("M")
    i, x = Index("i", m), Tensor("X", (m,))
    never = Reduce("prod", (i,), (Zero(at(i) + 1),), Access(x, (at(i),)))
    y = Tensor("Y", ())
    program = Program((x,), (Define(y, (), never),), (y,))
    check(program, 0)
    assert len(reverse(program).gradients) == 1
