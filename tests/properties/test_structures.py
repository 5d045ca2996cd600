"""Structures that elimination has a rule for, each with what makes the rule apply or not."""

from __future__ import annotations

import pytest

from pullback.notation.parse import parse

from .test_programs import check

STRUCTURES = {
    "split": "X[H*D]\nY[i:H,j:D] = X[i*D + j]**2",
    "merged": "X[H,D]\nY[i:H*D] = X[i//D,i%D]**2",
    "merged among others": "W[N,H,D]\nY[] = sum(n, i:H*D) X[n,i]*W[n,i//D,i%D]",
    "merged between others": "W[N,H,D,M,K]\nY[m] = sum(n, i:H*D, k) X[n,i,k]*W[n,i//D,i%D,m,k]",
    "split in three": "X[H]\nW[4]\nY[i:4*H] = X[i//4]*W[i%4]",
    "a digit alone": "X[H]\nY[i:H*D] = X[i//D]",
    "the low digit alone": "X[D]\nY[i:H*D] = X[i%D]",
    "repeated": "X[H]\nW[H]\nY[i:3*H] = X[i//3] + W[i%H]",
    "not whole": "X[H]\nY[i:H] = X[i//2]",
    "rotated": "X[N]\nY[i:N] = X[(i+1)%N]*W[i]",
    "rotated back": "X[N]\nY[i:N] = X[(i+N-2)%N]*W[i]",
    "reversed": "X[N]\nY[i:N] = X[N-1-i]*W[i]",
    "window": "X[N]\nY[i:N-2] = sum(p:3) X[i+p]*K[p]",
    "strided": "X[N]\nY[i:(N+1)//2] = sum(p:3) pad(X,0)[2*i+p-1]*K[p]",
    "strided and dilated": "X[N]\nY[i:(N+1)//2] = sum(p:2) pad(X,0)[2*i+3*p-1]*K[p]",
    "dilated only": "X[N]\nY[i:N] = sum(p:3) pad(X,0)[i+2*p-2]*K[p]",
    "stride three": "X[N]\nY[i:(N+2)//3] = X[3*i]",
    "edge": "Y[i:N] = where(i < 2, X[0], X[i])*W[i]",
    "diagonal": "Y[i] = X[i,i]*W[i]",
    "trace": "Y[] = sum(i) X[i,i]",
    "antidiagonal": "X[N,N]\nY[i:N] = X[i,N-1-i]",
    "outer": "Y[i,j] = X[i]*X[j]",
    "gram": "Y[i,j] = sum(n) X[n,i]*X[n,j]",
    "gathered twice": "Y[n] = E[a[n],b[n]]*E[b[n],a[n]]",
    "gathered window": "Y[n,p:2] = E[a[n]]*W[p]",
    "picked": "Y[n] = S[n,y[n]]",
    "pooled": "Y[i] = max(p:2) X[2*i+p]*W[p]",
    "overlapping pools": "X[N]\nY[i:N-2] = max(p:3) X[i+p]",
    "masked sum": "Y[i] = sum(j:N if j <= i) X[j]*W[i,j]",
    "band": "Y[i] = sum(j:N if 0 <= i-j < 2) X[j]*W[i,j]",
    "one and a bracket": "Y[i] = W[i]/(1 + [X[i] > 0])",
    "a ratio to one and a bracket": "Y[i] = exp(W[i])/(1 + [X[i] > 0]*exp(W[i]))",
    "running product": "Y[i:N] = prod(j:N if j <= i) X[j]",
    "a quotient by a sum with a size": "Y[i:N] = X[i]*log(1 + N*X[i]**2)",
    "pieces": "X[N]\nW[N]\nY[i:2*N] = where(i < N, pad(X,0)[i], pad(W,0)[i-N])",
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name: str) -> None:
    check(parse(STRUCTURES[name]), 1)
