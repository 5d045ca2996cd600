"""The base form: what can be spelled out is, and has the value that it had."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from pullback.calculus.definitions import Definitions
from pullback.calculus.flatten import flatten
from pullback.calculus.normal import Poly, canonical, expression, poly
from pullback.calculus.reverse import reverse
from pullback.ir.arithmetic import FLOAT
from pullback.ir.expr import ZERO, Access, Reduce
from pullback.ir.interpret import define
from pullback.ir.program import Define, Program
from pullback.ir.walk import nodes, tensors
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
    "a root of one over": ("P[i] = 4/X[i]\nV[i] = W[i]*sqrt(P[i])", "X W"),
    "a root of a root and one": ("P[i] = sqrt(X[i])*W[i]\nV[i] = X[i]*sqrt(P[i])", "X W"),
    "no root of 2": ("P[i] = 2*X[i]\nV[i] = W[i]*sqrt(P[i])", "P W"),
    "a masked product": ("P[i:N] = [i >= 1]*X[i]*W[i]\nV[i] = U[i]*P[i]", "P U"),
    "a product on one axis": ("P[i,j:M] = X[i]*W[i]\nV[i] = X[i]*sum(j:M) P[i,j]", "X W"),
    "a number": ("C[i:N] = 3\nV[i] = C[i]*X[i]", "X"),
    "a sum times a size": ("X[N]\nZ[] = N*(sum(i) X[i]*W[i])\nV[j:N] = sum(i) X[i]*W[i]", "Z"),
    "a sum of ratios": ("Z[] = sum(i) X[i]/W[i]\nV[j] = X[j]*sum(i) X[i]/W[i]", "X Z"),
    "a sum over another value": ("Z[] = sum(i) X[i]/y[]\nV[j] = X[j]*sum(i) X[i]", "X Z y"),
    "a sum times what may be 0": ("Z[] = sum(i) y[]*X[i]\nV[j] = X[j]*sum(i) X[i]", "X"),
    "a count": ("Z[j:N] = sum(i:N if i <= j) 1\nV[j] = X[j]*sum(i:N if i <= j) X[i]", "X"),
    "two sums that begin alike": (
        "Z[] = sum(i) X[i]*W[i]\nQ[] = sum(i) X[i]**2\nV[j] = X[j]*(sum(i) X[i]**2)*Z[]",
        "X Q Z",
    ),
    "a sum of a product on another axis": (
        "P[i,j:M] = X[i]*W[i]\nS[i] = sum(j) P[i,j]\nV[i] = X[i]*W[i]*U[i]",
        "X W U",
    ),
    "a sum over a size": ("Z[] = mean(i) X[i]*W[i]\nV[j] = X[j]*sum(i) X[i]*W[i]", "X Z"),
}


def before(program: Program, last: int) -> Program:
    """The program without its last statements."""
    return replace(program, statements=program.statements[:-last])


def assert_value(program: Program, last: Define, value: Poly) -> None:
    """Terms have the statement's value."""
    flat = flatten(program)
    rng = Random(0)
    for sizes in draw_sizes(program.statements, program.inputs, rng, 3):
        sample = draw(program.inputs, flat.statements, sizes, rng, FLOAT, "positive")
        assert sample is not None
        made = Define(last.target, last.indices, expression(value))
        found = define(made, sample.arrays, sizes).flat
        assert found == pytest.approx(sample.arrays[last.target.name].flat, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", BASE)
def test_the_base_form_reads_what_it_can_be_spelled_in(name: str) -> None:
    text, reads = BASE[name]
    program = parse(text)
    last = program.statements[-1]
    definitions = Definitions(flatten(before(program, 1)).statements)
    value = definitions.base(poly(last.body))
    assert {t.name for t in tensors(expression(value))} == set(reads.split())
    assert_value(program, last, value)


# Definitions, V, and the base form E of it; gradients begin with d.
WEIGHED = "w[i] = exp(U[i])\nq[] = (sum(i) X[i]*w[i])/(sum(i) w[i])\nC[i] = X[i] - q[]\n"
SOFTMAX = "e[i] = exp(X[i])\nz[] = sum(i) e[i]\nP[i] = e[i]/z[]\n"
MASKED = (
    "X[N]\nw[i:N,k:N] = exp(U[i,k])\nt[i] = sum(k if k <= i) w[i,k]\n"
    "m[i] = (sum(k if k <= i) X[k]*w[i,k])/t[i]\nD[i,k] = X[k] - m[i] + 1\n"
)
ATTENTION = "O[q,d] = sum(k) P[q,k]*B[k,d]\ndP[q,k] = sum(d) {}*dO[q,d]*B[k,d]\n"
FORMS = {
    "a centred value, weighed": WEIGHED + "V[] = sum(i) C[i]*w[i]\nE[] = 0",
    "it beside others": WEIGHED
    + "V[j] = 3*y[]*X[j]*(sum(i) C[i]*w[i]) + y[]*X[j]\nE[j] = y[]*X[j]",
    "a centred value beside an input": WEIGHED + "V[] = sum(i) C[i]*B[i]\nE[] = sum(i) C[i]*B[i]",
    "a softmax": SOFTMAX + "V[j] = 3*X[j]*sum(i) P[i]\nE[j] = 3*X[j]",
    "two sums": SOFTMAX + "V[j] = X[j]*(sum(i) P[i])*(sum(k) P[k])\nE[j] = X[j]",
    "a sum that is no simpler": SOFTMAX
    + "D[i] = P[i]*a[] + P[i]*b[]\nV[] = sum(i) D[i]\nE[] = sum(i) D[i]",
    "a sum that is a sum of others": WEIGHED
    + "D[i] = C[i]*w[i] + B[i]\nV[] = sum(i) D[i]\nE[] = sum(i) D[i]",
    "a sum with a scale that is a sum": SOFTMAX
    + "s[] = a[] + b[]\nc[] = mean(i) B[i]\nC[i] = B[i] - c[]\n"
    "F[i] = P[i]*s[] + C[i]\nV[] = sum(i) F[i]\nE[] = s[]",
    "a sum with a part at one place": "X[N]\nc[] = mean(i) X[i]\n"
    "D[i] = X[i] - c[] + [i = 0]*s[]\nV[] = sum(i) D[i]\nE[] = sum(i) D[i]",
    "positions of centred values": "X[N]\n"
    + WEIGHED
    + "V[] = sum(i:N) i*C[i]*w[i]\nE[] = sum(i:N) i*C[i]*w[i]",
    "a reflection": "n[] = sum(i) B[i]**2\nr[] = sum(i) X[i]*B[i]\ns[] = sum(i) X[i]**2\n"
    "D[i] = X[i] - 2*r[]*B[i]/n[]\nV[] = sum(i) D[i]**2\nE[] = s[]",
    "a part of what is masked": MASKED
    + "V[i] = X[i]*(sum(k:N if k <= i) D[i,k]*w[i,k])\nE[i] = X[i]*t[i]",
    "a masked part of it": MASKED
    + "V[i] = [i >= 2]*X[i]*(sum(k:N if k <= i) D[i,k]*w[i,k])\nE[i] = [i >= 2]*X[i]*t[i]",
    "where the masks differ": MASKED
    + "V[i] = sum(k:N if k < i) D[i,k]*w[i,k]\nE[i] = sum(k:N if k < i) D[i,k]*w[i,k]",
    "a gradient of no mean": "z[] = mean(k) X[k]\ndX[i] = X[i] - z[]\n"
    "V[] = y[]*sum(i) dX[i]\nE[] = 0",
    "a gradient with a sum in it": "w[i] = exp(X[i])\ns[] = sum(i) w[i]\n"
    "dX[i] = dY[i] - w[i]*(sum(k) dY[k])/s[]\nV[] = sum(i) dX[i]\nE[] = 0",
    "a gradient summed with a value": ATTENTION.format(1)
    + "V[q] = sum(k) P[q,k]*dP[q,k]\nE[q] = sum(d) dO[q,d]*O[q,d]",
    "of other factors, too": ATTENTION.format(2)
    + "V[q] = 3*X[q]*sum(k) P[q,k]*dP[q,k]\nE[q] = 6*X[q]*sum(d) dO[q,d]*O[q,d]",
    "over both axes": ATTENTION.format(1)
    + "V[] = sum(q,k) X[q]*P[q,k]*dP[q,k]\nE[] = sum(q,d) X[q]*dO[q,d]*O[q,d]",
    "beside another sum": "R[9,999]\n"
    + ATTENTION.format(1)
    + "V[q] = (sum(a, b) R[a,b])*(sum(k) P[q,k]*dP[q,k])\n"
    "E[q] = (sum(a,b) R[a,b])*(sum(d) dO[q,d]*O[q,d])",
    "a gradient over a short axis": "B[2,99]\n"
    + ATTENTION.format(1)
    + "V[q] = sum(k) P[q,k]*dP[q,k]\nE[q] = sum(k) P[q,k]*dP[q,k]",
    "a gradient's square": ATTENTION.format(1)
    + "V[q] = sum(k) P[q,k]*dP[q,k]**2\nE[q] = sum(k) P[q,k]*dP[q,k]**2",
    "a gradient that is summed in another": "dO[q,d] = sum(k) P[q,k]*B[k,d]\n"
    "dP[q,k] = sum(d) R[q,d]*B[k,d]\n"
    "V[q] = sum(k) P[q,k]*dP[q,k]\nE[q] = sum(k) P[q,k]*dP[q,k]",
    "lower names first": "O[q,d] = sum(k) p[q,k]*y[k,d]\ndP[q,k] = sum(d) G[q,d]*y[k,d]\n"
    "V[q] = sum(k) p[q,k]*dP[q,k]\nE[q] = sum(d) G[q,d]*O[q,d]",
    "a masked gradient": "O[q:N,d] = sum(k:N) P[q,k]*B[k,d]\n"
    "dP[q:N,k:N] = sum(d) [k <= q]*dO[q,d]*B[k,d]\n"
    "V[q:N] = sum(k:N) P[q,k]*dP[q,k]\nE[q] = sum(k:N) P[q,k]*dP[q,k]",
}


def learned(program: Program) -> Definitions:
    """The definitions without V and E; names that begin with d are gradients."""
    known = flatten(before(program, 2)).statements
    definitions = Definitions([s for s in known if s.target.name[0] != "d"])
    for s in known:
        if s.target.name[0] == "d":
            definitions.learn_gradient(s.target, s.indices, poly(s.body))
    return definitions


@pytest.mark.parametrize("name", FORMS)
def test_the_base_form_is(name: str) -> None:
    program = parse(FORMS[name])
    value, expected = program.statements[-2:]
    found = learned(program).base(poly(value.body))
    assert [canonical(t) for t in found] == [canonical(t) for t in poly(expected.body)]
    assert [t.coef for t in found] == [t.coef for t in poly(expected.body)]
    assert_value(program, value, found)


def test_what_was_found_out_is_kept() -> None:
    program = parse(FORMS["it beside others"])
    value, _ = program.statements[-2:]
    definitions = learned(program)
    definitions.base(poly(value.body))
    ((inner, known),) = definitions.found
    assert {t.name for t in tensors(expression((inner,)))} == {"C", "w"} and known == ()


ROUNDED = {
    "squares": ("Y = sum(n) c[n]**2", True),
    "a mean of squares": ("v = mean(n) c[n]**2\nY = sqrt(v)", True),
    "cubes": ("Y = sum(n) c[n]**3", False),
    "the values": ("Y[n] = 3*c[n]", False),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_a_sum_of_centred_values_is_kept_where_it_is_the_whole_path_of_the_mean(name):
    """It is 0 but for the mean's rounding, which it takes out of the values themselves."""
    text, kept = ROUNDED[name]
    statements = reverse(
        parse(f"X[N]\nV[N]\nm = mean(n) X[n]\nc[n:N] = X[n] - m\n{text}")
    ).statements
    sums = [n for s in statements for n in nodes(s.body) if isinstance(n, Reduce)]
    plain = [n.body.tensor.name for n in sums if isinstance(n.body, Access)]
    assert any(name in ("c", "dc") for name in plain) == kept


def test_what_is_added_to_all_values_has_the_gradient_0_exactly():
    program = parse("X[N]\nb[]\nz[n:N] = X[n] + b[]\nm = mean(n) z[n]\nY = sum(n) (z[n] - m)**2")
    (db,) = (s for s in reverse(program).statements if s.target.name == "db")
    assert db.body is ZERO
