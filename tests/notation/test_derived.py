"""What the calculus makes of a program is printed as text that parses back, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pullback.calculus.reverse import reverse
from pullback.ir.expr import Tensor
from pullback.ir.program import Define, Program
from pullback.ir.walk import tensors
from pullback.notation.parse import parse
from pullback.notation.plain import show

from .random_statements import as_user

TEXTS = {
    "affine": "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]",
    "relu": "Y[n,d] = max(X[n,d], 0)",
    "softmax": "m[n] = max(c) S[n,c]\nE[n,c] = exp(S[n,c] - m[n])\nP[n,c] = E[n,c]/sum(k) E[n,k]",
    "softmax loss": "P[n,c] = exp(S[n,c])/sum(k) exp(S[n,k])\nL = -mean(n) log(P[n,y[n]])",
    "batch norm": """
        mu[d] = mean(n) X[n,d]
        v[d] = mean(n) (X[n,d] - mu[d])**2
        Y[n,d] = gamma[d]*(X[n,d] - mu[d])/sqrt(v[d] + 1e-5) + beta[d]""",
    "convolution": """
        X[N,C,H,W]; K[O,C,3,3]
        Y[n,o,i:(H-1)//2+1,j:(W-1)//2+1] =
            sum(c,p,q) pad(X,0)[n,c,2*i+p-1,2*j+q-1]*K[o,c,p,q]""",
    "max pooling": "Y[n,i,j] = max(p:2,q:2) X[n,2*i+p,2*j+q]",
    "total variation": """
        X[H,W]
        L = sum(i:H-1,j:W-1) sqrt((X[i+1,j] - X[i,j])**2 + (X[i,j+1] - X[i,j])**2)""",
    "gather": "Y[n,d] = X[y[n],d]*where(mask[n], 2, 0.5)",
    "scan": "X[N]; Y[i:N] = sum(j if j <= i) X[j]**3",
    "digits": "Y[n,(h,d)] = X[n,h,d]*V[d]",
    "a diagonal": "Y[i] = X[i,i]",
}


def derived(text: str) -> Iterator[Program]:
    """The flattened forward pass, the backward pass, and every step as a program of its own."""
    program = parse(text)
    backward = reverse(program)
    yield backward.forward
    targets = (s.target for s in backward.forward.statements)
    known = tuple(dict.fromkeys([*program.inputs, *targets, *backward.cotangents]))
    yield Program(known, backward.statements, backward.gradients)
    for step in backward.steps:
        for body in (step.before, step.after):
            yield alone(Define(step.target, step.indices, body), known)


def alone(statement: Define, known: tuple[Tensor, ...]) -> Program:
    read = dict.fromkeys([*known, *tensors(statement.body)])
    inputs = tuple(t for t in read if t.name != statement.target.name)
    return Program(inputs, (statement,), (statement.target,))


def plain(program: Program) -> Program:
    """The program without what text does not hold: whose gradients its statements are."""
    statements = tuple(replace(s, of="", scatter=None) for s in as_user(program).statements)
    return replace(program, statements=statements)


@pytest.mark.parametrize("name", TEXTS)
def test_derived_programs_parse_back(name: str) -> None:
    found = list(derived(TEXTS[name]))
    assert len(found) > 2
    for program in found:
        assert plain(parse(show(program))) == plain(program)
