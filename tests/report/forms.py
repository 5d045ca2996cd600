"""Derivations that the views are tested with."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from pullback.calculus.reverse import reverse
from pullback.derivation import Derivation
from pullback.ir.expr import Access, Power, Tensor
from pullback.ir.program import Define, Program
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.notation.parse import parse

AFFINE = "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]"
SOFTMAX = "P[n,c] = exp(S[n,c]) / sum(k) exp(S[n,k])"
BATCH_NORM = """\
mu[d] = mean(n) X[n,d]
c[n,d] = X[n,d] - mu[d]
v[d] = mean(n) c[n,d]**2
xhat[n,d] = c[n,d] / sqrt(v[d] + 1e-5)
Y[n,d] = gamma[d]*xhat[n,d] + beta[d]
"""
MLP = """\
H[n,h] = sum(d) X[n,d]*W1[d,h] + b1[h]
A[n,h] = max(H[n,h], 0)
Z[n,c] = sum(h) A[n,h]*W2[h,c] + b2[c]
L[] = mean(n) sum(c) Z[n,c]**2
"""
RECURRENCE = """\
P[t:T] = where(t >= 1, H[t-1], 0)
H[t] = tanh(P[t] + w[]*X[t])
S[t] = where(t >= 1, S[t-1], 0) + H[t]
"""
FORMS = {
    "affine": AFFINE,
    "softmax": SOFTMAX,
    "batch_norm": BATCH_NORM,
    "mlp": MLP,
    "recurrence": RECURRENCE,
}

HOSTILE = "<script>alert('x')</script>&\"]]>`|\\end{verbatim}$_#\x00"


@cache
def derived(name: str) -> Derivation:
    """The derivation of one of the forms, all sizes of it given."""
    program = parse(FORMS[name])
    names = dict.fromkeys(n for t in program.inputs for e in t.shape for n in e.names())
    sizes = {n: 10 + k for k, n in enumerate(names)}
    return Derivation(reverse(program), sizes=sizes, dtype="float32")


@cache
def hostile() -> Derivation:
    """A derivation in which every name is an attack on the page that it is shown in."""
    x = Tensor(HOSTILE, (size(HOSTILE),))
    y = Tensor("y" + HOSTILE, x.shape)
    i = Index(HOSTILE, x.shape[0])
    define = Define(y, (i,), Power(Access(x, (at(i),)), Fraction(2)))
    return Derivation(reverse(Program((x,), (define,), (y,))), conventions={HOSTILE: HOSTILE})
