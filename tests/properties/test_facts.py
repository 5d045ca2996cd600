"""What is found out about values (their signs, what their sums are) is true of the values."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from random import Random

import pytest

from pullback.calculus.definitions import Definitions
from pullback.calculus.normal import expression, poly
from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward, Step
from pullback.ir.expr import Access, Expr, Mul, Tensor, number, total
from pullback.ir.program import Define
from pullback.ir.subscripts import Index, at
from pullback.notation.parse import parse
from pullback.verify.decimals import DECIMALS
from pullback.verify.samples import draw, draw_sizes
from pullback.verify.steps import check_steps

SIGNS = {
    "X[i]": False,
    "X[i]**2": True,
    "X[i]**3": False,
    "X[i]**(-2)": True,
    "X[i]**(1/2)": True,
    "X[i]**(-3/2)": True,
    "2*X[i]**2 + W[i]**4": True,
    "X[i]**2 - W[i]**2": False,
    "0 - X[i]**2": False,
    "X[i]**2*W[i]": False,
    "exp(X[i])": True,
    "tanh(X[i])": False,
    "abs(X[i])*exp(W[i])": True,
    "abs(X[i])*W[i]**3": False,
}


@pytest.mark.parametrize("value", SIGNS)
def test_signs(value: str) -> None:
    backward = reverse(parse(f"Z[i] = {value}\nY[i] = Z[i]*X[i] + W[i]"))
    found = Definitions(backward.forward.statements)
    target = next(s.target for s in backward.forward.statements if s.target.name == "Z")
    assert found.nonnegative(target) is SIGNS[value]


PROGRAMS = {
    "softmax": "e[n,c] = exp(S[n,c])\nP[n,c] = e[n,c]/sum(k) e[n,k]\nY[n,c] = P[n,c]*W[n,c]",
    "three times it": "e[n,c] = exp(S[n,c])\nP[n,c] = 3*e[n,c]/sum(k) e[n,k]",
    "centred": "mu[d] = mean(n) X[n,d]\nC[n,d] = X[n,d] - mu[d]\nY[n,d] = C[n,d]**2",
    "half centred": "mu[d] = mean(n) X[n,d]\nC[n,d] = X[n,d] - mu[d]/2",
    "normed": (
        "mu[d] = mean(n) X[n,d]\nC[n,d] = X[n,d] - mu[d]\nv[d] = mean(n) C[n,d]**2\n"
        "s[d] = 1/sqrt(v[d] + 0.1)\nH[n,d] = C[n,d]*s[d]\nY[n,d] = H[n,d]*g[d]"
    ),
    "normed, no epsilon": (
        "mu[d] = mean(n) X[n,d]\nC[n,d] = X[n,d] - mu[d]\nv[d] = mean(n) C[n,d]**2\n"
        "s[d] = 1/sqrt(v[d])\nH[n,d] = C[n,d]*s[d]"
    ),
    "divided inside the sum": "s[n] = sum(d) X[n,d]/W[d]\nY[n,d] = s[n]*X[n,d]",
    "divided outside the sum": "s[n] = sum(d) X[n,d]/W[n]\nY[n,d] = s[n]*X[n,d]",
    "a sum of positions": "s[] = sum(i:N) i\nY[i] = s[]*X[i]",
    "weights": "a[n] = exp(X[n])\nz[] = sum(n) a[n]\nw[n] = 2*a[n]/z[]\nY[] = sum(n) w[n]*V[n]",
    "guarded": "a[i,j] = exp(X[i,j])*[j <= i]\nz[i] = sum(j) a[i,j]\nP[i,j] = a[i,j]/z[i]",
    "squares": "q[n] = sum(d) X[n,d]**2\nU[n,d] = X[n,d]/sqrt(q[n])",
}


def sums(backward: Backward) -> Iterator[Step]:
    """Sums of every forward value, and of every product of two of one shape, over some axes."""
    made = [s for s in backward.forward.statements if s.target.kind == "float"]
    found = Definitions(made)
    for s in made:
        for value in (s.access, *(Mul((s.access, o)) for o in _alike(s, made))):
            for count in range(1, len(s.indices) + 1):
                for bound in combinations(s.indices, count):
                    free = tuple(i for i in s.indices if i not in bound)
                    before = Mul((number(5), total(bound, value)))
                    after = expression(found.base(poly(before)))
                    target = Tensor("a sum", tuple(i.extent for i in free))
                    yield Step("sum", "", target, free, before, after)


def _alike(s: Define, others: list[Define]) -> Iterator[Expr]:
    for o in others:
        if o.target.shape == s.target.shape:
            yield Access(o.target, tuple(map(at, s.indices)))


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_sums_are_said_to_be_they_are(name: str) -> None:
    backward = reverse(parse(PROGRAMS[name]))
    steps = list(sums(backward))
    assert any(step.before is not step.after for step in steps)
    for step, found in zip(steps, check_steps(backward, 2, steps), strict=True):
        assert found.status != "failed", f"{found}\n{step.before.key}\n{step.after.key}"


KNOWN = [
    ("softmax", "P", 1, 1),
    ("three times it", "P", 1, 3),
    ("centred", "C", 0, 0),
    ("normed", "H", 0, 0),
    ("weights", "w", 0, 2),
]


@pytest.mark.parametrize(("name", "tensor", "axis", "expected"), KNOWN)
def test_known_sums_are_found(name: str, tensor: str, axis: int, expected: int) -> None:
    backward = reverse(parse(PROGRAMS[name]))
    found = Definitions(backward.forward.statements)
    s = next(s for s in backward.forward.statements if s.target.name == tensor)
    base = found.base(poly(total((s.indices[axis],), s.access)))
    assert expression(base) is number(expected)


def test_the_samples_see_both_signs() -> None:
    """The oracle of these tests draws negative numbers, zeros and ties."""
    x = Tensor("X", (parse("Y[i] = X[i]").inputs[0].shape[0],))
    i = Index("i", x.shape[0])
    statement = Define(Tensor("Y", x.shape), (i,), Access(x, (at(i),)))
    rng = Random(0)
    values = []
    for sizes in draw_sizes([statement], [x], rng, 3):
        for style in ("signed", "ties"):
            sample = draw([x], [statement], sizes, rng, DECIMALS, style)
            assert sample is not None
            values += sample.arrays["X"].flat
    assert min(values) < 0 < max(values)
    assert 0 in values and len(set(values)) < len(values)
