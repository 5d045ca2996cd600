"""Programs, reduced from random ones, whose gradient was once wrong; each by every oracle."""

from __future__ import annotations

import numpy as np
import pytest

import pullback
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
    "a place looked up at another place": (
        "X[N,N]\nidx: int[N]\nZ[i:N,j] = min(k) X[k,j]\nY[n] = Z[n,idx[n]]"
    ),
    "two guards and a division": (
        "idx: int[K]\nX[K,K]\nY[i,j:K] = sqrt(sum(k:K) X[i,idx[K-1-k]]**2)"
    ),
    "a guard that reads in front of the guards that allow it": (
        "X[N,M]\nT[i:N] = sin(W[i])\nU[i:N] = exp(W[i])\nZ[i] = minimum(T[i], U[i])\n"
        "Y[i:N] = where(i < M, X[i//2,i], 0.5)*[T[i] < U[i]]\n"
        "L[] = where(V[] < 0, pad(Y,0)[0], V[])\nreturn Y, L"
    ),
    "two axes outside at once": "X[M,M]\nY[i:N] = where(3*i+2 < M, X[M-3-3*i,3*i+2], 1)",
    "a step that may be 0": "size N\nsize M\nX[M*N+N+1]\nY[i:M] = X[N*i]",
    "a slice that ends before 0": (
        "X[N]\nmask: bool[3*N]\nY[i:N] = where(0 <= i-1 < 3*N and mask[i-1], pad(X,0)[i+1], 0)"
    ),
    "a value read both where it stands and by its name": (
        "X[2]\nY[i] = abs(where(0 <= i-1 < 2, X[i], X[i]) + log(1 + X[i]**2))\n"
        "Z[] = log(1 + exp(X[0]/2))\nreturn Y, Z"
    ),
    "reads at the places of a scatter": (
        "X[N,N]\nT[i:N] = exp(W[i])\nY[i:N] = sum(j) [2*j = i+1]*T[i]*X[i,j]"
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


ABSENT = {
    "in a sum of its own": "y[] = sum(i,j,k) C[i]*[0 < A[j]]/B[k]",
    "in the outer of two sums": "y[] = sum(i,j,k) C[i]*[0 < A[j]]*[B[k] < 2]/B[j]/B[k]",
    "outside all sums": "y[] = sum(i,j) C[i]*[0 < A[j]]/B[i]",
}


@pytest.mark.parametrize("text", ABSENT.values(), ids=ABSENT)
def test_what_a_guard_that_holds_nowhere_protects_is_absent(text: str) -> None:
    given = {"A": -np.ones(2), "B": np.zeros(2), "C": np.ones(2)}
    for name in given:
        assert pullback.grad(pullback.define(text), name)(**given).tolist() == [0.0, 0.0]
