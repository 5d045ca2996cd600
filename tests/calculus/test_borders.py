"""Where an adjoint gets a name: kinds of terms, and what the names save."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pullback.calculus.cost import cost
from pullback.calculus.effort import Effort
from pullback.calculus.linear import Linear
from pullback.calculus.reverse import (
    CHEAPER,
    IN_ALL,
    Naming,
    _is_better,
    _Reverse,
    is_alias,
    is_contraction,
    is_product,
    is_product_of_matrices,
    is_scatter,
    reverse,
)
from pullback.calculus.step import Backward
from pullback.ir.expr import Apply, Compare, Divides, Inside, SizeOf, Tensor, Zero, number
from pullback.ir.subscripts import Lookup, Subscript, at
from pullback.ir.walk import accesses, tensors
from pullback.notation.parse import parse

from .oracle import draw, gradients, worst_difference
from .terms import A, B, C, I, J, M, N, W, X, Y, Z, made, read

S, T, Q = Tensor("s", ()), Tensor("t", ()), Tensor("q", (M,), "int")
U, V = Tensor("U", (N, N, M)), Tensor("Z3", (N, N, M))
SIGN = Apply("sign", (read(X, I),))
NUMBER = at(Lookup(read(Q, J)))


def equal(left: Subscript, right: Subscript | int) -> Zero:
    return Zero(left - right)


ALIASES = {
    "an element": made((), (), read(X, I)),
    "a multiple": made((), (), read(X, I), coef=-2),
    "a multiple by sizes": made((), (), (SizeOf(N), -1), (SizeOf(M), 2), read(X, I)),
    "a multiple by scalars": made((), (), (read(S), -1), (read(T), 2), read(X, I)),
    "scalars": made((), (), (read(S), 2), read(T)),
    "a function's value": made((), (), read(S), (SIGN, 1)),
    "on a diagonal": made((), (equal(at(I), at(C)),), read(X, I)),
    "on a diagonal, the other way": made((), (equal(at(C), at(I)),), read(X, I)),
    "a number": made((), (), coef=3),
}
NO_ALIASES = {
    "two elements": made((), (), read(X, I), read(Z, J)),
    "a square": made((), (), (read(X, I), 2)),
    "an inverse": made((), (), (read(X, I), -1)),
    "a sum": made((A,), (), read(X, A)),
    "in a range": made((), (Inside(at(I) - 1, N),), read(X, I)),
    "under a comparison": made((), (Compare("<", number(0), read(X, I)),), read(X, I)),
    "at one place": made((), (equal(at(I), 0),), read(X, I)),
    "beside a diagonal": made((), (equal(at(I), at(C) + 1),), read(X, I)),
    "on an antidiagonal": made((), (equal(at(I) + at(C), 0),), read(X, I)),
    "at every other place": made((), (equal(at(I), at(C) * 2),), read(X, I)),
    "where a lookup says": made((), (equal(at(I), NUMBER),), read(X, I)),
    "at a quotient": made((), (equal(at(I) // 2, at(C)),), read(X, C)),
    "on a line of three": made((), (equal(at(I), at(A) + at(C)),), read(X, I)),
}


@pytest.mark.parametrize("name", ALIASES)
def test_a_multiple_of_an_element_is_an_alias(name: str) -> None:
    assert is_alias(ALIASES[name])


@pytest.mark.parametrize("name", NO_ALIASES)
def test_what_is_more_than_a_multiple_is_none(name: str) -> None:
    assert not is_alias(NO_ALIASES[name]) and is_product(NO_ALIASES[name])


@pytest.mark.parametrize("name", ALIASES)
def test_of_the_aliases_only_products_of_scalars_are_worth_a_name(name: str) -> None:
    assert is_product(ALIASES[name]) is (name in ("scalars", "a function's value"))


def test_a_function_or_a_scalar_alone_is_no_product() -> None:
    assert not is_product(made((), (), (SizeOf(N), 1), (SIGN, 1)))
    assert not is_product(made((), (), (SizeOf(N), -1), read(S)))


POSITIVE = Compare("<", number(0), read(X, A))
CONTRACTIONS = {
    "a product of matrices": made((A,), (), read(W, I, A), read(Y, A, J)),
    "with a third": made((A,), (), read(W, I, A), read(X, A), read(Y, A, J)),
    "of three in a row": made((A, B), (), read(Y, A, B), read(W, I, A), read(Z, B), read(Y, A, J)),
}
NO_CONTRACTIONS = {
    "a matrix and a vector": made((B,), (), read(Y, I, B), read(Z, B)),
    "a row's sum of squares": made((B,), (), (read(Y, I, B), 2)),
    "two reads of a row": made((A,), (), read(W, I, A), read(W, A, I)),
    "a matrix and a stack of them": made((A,), (), read(W, I, A), read(V, I, A, J)),
    "a stack of matrices and one": made((A,), (), read(W, I, A), read(U, I, A, J)),
    "no sum": made((), (), read(X, I), read(Z, J)),
    "two sums": made((A, C), (), read(W, I, A), read(Y, C, J)),
    "a sum beside a factor": made((A,), (), read(W, I, A), read(Z, J)),
    "a sum over a divisor": made((A,), (POSITIVE,), read(W, I, A), (read(Z, J), -1)),
}


@pytest.mark.parametrize("name", CONTRACTIONS)
def test_contractions(name: str) -> None:
    assert is_contraction(CONTRACTIONS[name])


@pytest.mark.parametrize("name", NO_CONTRACTIONS)
def test_no_contractions(name: str) -> None:
    assert not is_contraction(NO_CONTRACTIONS[name])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Y[n,m] = sum(d) X[n,d]*W[d,m]", True),
        ("Y[n] = sum(d) X[n,d]*w[d]", True),
        ("Y[n] = 2*(sum(d) X[n,d]*w[d]*v[d])", True),
        ("Y[n] = sum(d) X[n,d]*V[n,d]", False),
        ("Y[n] = sum(d) X[n,d]**2", False),
        ("Y[n] = w[n]*(sum(d) X[n,d])", False),
        ("Y[n,m] = X[n]*W[m]", False),
        ("Y[n] = (sum(d) X[n,d]*w[d]) + b[n]", False),
    ],
)
def test_products_of_matrices(text: str, expected: bool) -> None:
    (define,) = parse(text).statements
    assert is_product_of_matrices(define) is expected


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        (equal(at(I), at(A) * 2), True),
        (Divides(N, at(I) - at(A)), True),
        (equal(at(I), at(C)), False),
        (Divides(N, at(I) - 1), False),
        (Inside(at(I) - at(A), N), False),
        (POSITIVE, False),
    ],
)
def test_scatters(guard: Zero | Divides | Inside | Compare, expected: bool) -> None:
    assert is_scatter(made((A,), (guard,), read(X, A))) is expected


# Whole backward passes: the statements that have to be there, and what they read.

GATES = """U[D,4*K]; V[K,4*K]; b[4*K]; c[4*K]
A[n,m:4*K] = (sum(d) X[n,d]*U[d,m]) + b[m]
B[n,m:4*K] = (sum(k) P[n,k]*V[k,m]) + c[m]
Z[n,m:4*K] = A[n,m] + B[n,m]
i[n,k:K] = sigmoid(Z[n,k]); f[n,k:K] = sigmoid(Z[n,k+K]); g[n,k:K] = tanh(Z[n,k+2*K])
o[n,k:K] = sigmoid(Z[n,k+3*K])
R[n,k] = f[n,k]*Q[n,k] + i[n,k]*g[n,k]
H[n,k] = o[n,k]*tanh(R[n,k])
return H, R"""
GROUPS = """X[N,3*C,D]
Xg[n,g:3,c:C,d] = X[n,c+C*g,d]
mu[n,g] = mean(c, d) Xg[n,g,c,d]
xc[n,g,c,d] = Xg[n,g,c,d] - mu[n,g]
s[n,g] = 1/sqrt((mean(c, d) xc[n,g,c,d]**2) + 0.001)
gamma[3*C]; Y[n,k:3*C,d] = xc[n,k//C,k%C,d]*s[n,k//C]*gamma[k]"""
PASSES = {
    # a scalar times a function's value goes into two gradients, one a multiple of the other
    "D[i,j] = X[i,j] - T[i,j]; L = sum(i,j) abs(D[i,j])": {
        "dX": "D dL",
        "dT": "dX",
    },
    # both arguments of a product of matrices get its gradient by name
    "A[n,m] = tanh(X[n,m]); Y[n,k] = sum(m) A[n,m]*V[m,k]; Z[n,k] = exp(Y[n,k])": {
        "dY": "Z dZ",
        "dV": "A dY",
        "dA": "V dY",
        "dX": "A dA",
    },
    # so does a sum of elements
    "H[n,k] = sum(m) X[n,m]*W[m,k]; Y[n,k] = 2*H[n,k]; Z[n,k] = H[n,k]": {
        "dH": "dY dZ",
        "dX": "W dH",
        "dW": "X dH",
    },
}


@pytest.mark.parametrize("text", PASSES)
def test_a_name_stands_at_the_border(text: str) -> None:
    backward = reverse(parse(text))
    found = {s.target.name: {t.name for t in tensors(s.body)} for s in backward.statements}
    assert found == {name: set(reads.split()) for name, reads in PASSES[text].items()}


def right(backward: Backward, sizes: dict[str, int]) -> None:
    values = draw((*backward.program.inputs, *backward.cotangents), sizes, 3)
    compact = gradients(backward, backward.statements, values, sizes)
    raw = gradients(backward, backward.adjoints, values, sizes)
    assert worst_difference(compact, raw) < 1e-12


@pytest.mark.parametrize(("text", "names"), [(GATES, "dR2 dZ"), (GROUPS, "dXg")])
def test_what_goes_into_many_sums_is_named(text: str, names: str) -> None:
    backward = reverse(parse(text))
    assert set(names.split()) <= {s.target.name for s in backward.statements}
    right(backward, dict.fromkeys("NMDKC", 2))


# The adjoint of T has two terms: a name is worth it where it goes into more than three products.
WAVES = "; Y[i] = sin(T[i]) + cos(T[i])"
FANS = [
    ("T[i] = A[i] + B[i] + C[i] + D[i]", "ABCD", True),
    ("T[i] = A[i] + B[i] + C[i] + D[i]", "ABC", False),
    ("T[i] = A[i] + B[i] + C[i] + n[i]*2; n: int[I]", "ABC", False),
    ("U[i] = A[i] + B[i]; V[i] = C[i] + D[i]; T[i] = U[i] + V[i]", "ABCD", True),
    ("U[i] = A[i] + B[i]; V[i] = C[i] + D[i]; T[i] = U[i] + V[i]; Z[i] = exp(U[i])", "ABCD", False),
    ("U[i] = A[i]*B[i] + C[i]; T[i] = U[i] + D[i]", "ABCD", True),
    ("U[i] = A[i] + B[i] + C[i]; T[i] = U[i]*D[i]", "ABCD", False),
    ("U[i] = A[i] + B[i] + C[i]; T[i] = U[i]*[1 <= i] + D[i]", "ABCD", False),
    ("A[I,I]; U[j,i] = A[j,i] + B[j,i] + C[j,i]; T[i] = (sum(j) U[j,i]) + D[i]", "ABCD", True),
]


@pytest.mark.parametrize(("text", "wrt", "named"), FANS)
def test_an_adjoint_that_goes_into_many_products_is_named(text: str, wrt: str, named: bool) -> None:
    program = parse(text + WAVES)
    linear = Linear(program, [t for t in program.inputs if t.name in wrt], {})
    backward = _Reverse(linear, Effort(), Naming.FEW).run()
    assert ("dT" in {s.target.name for s in backward.statements}) is named
    right(backward, {"I": 3})


@pytest.mark.parametrize("text", [*PASSES, GATES, GROUPS])
def test_a_statement_says_of_what_it_is_the_gradient(text: str) -> None:
    for s in reverse(parse(text)).statements:
        assert s.target.name in (f"d{s.of}", f"d{s.of}2")


SHARED = "mu[d] = mean(n) X[n,d]\nC[n,d] = X[n,d] - mu[d]\nY[n,d] = C[n,d]**2\nZ[d] = 2*w[d]"


def test_a_shared_part_is_told_by_a_line_of_what_reads_it() -> None:
    statements = reverse(parse(SHARED)).statements
    (shared,) = (s for s in statements if not s.user)
    (reader,) = (s for s in statements if shared.target in tensors(s.body))
    assert reader.target.name == "dX"
    assert shared.source is reader.source


def test_an_input_that_nothing_reads_has_the_gradient_zero() -> None:
    backward = reverse(parse("b[N]; Y[n] = 2*X[n]"))
    (db,) = [s for s in backward.statements if s.target.name == "db"]
    assert db.body is number(0)


TURNED = "Y[n,m] = tanh((sum(d) X[n,d]*W[d,m]) + B[m,n])"


def test_a_transposed_copy_is_no_other_name() -> None:
    backward = reverse(parse(TURNED))
    (dB,) = (s for s in backward.statements if s.target.name == "dB")
    assert dB.indices == tuple(s.index for s in accesses(dB.body)[0].subs)[::-1]
    right(backward, {"N": 2, "M": 3, "D": 2})


# What a derivation tells.

NORM = "r[n] = sqrt(sum(d) X[n,d]**2)"
CENTRED = "C[n,d] = X[n,d] - (mean(k) X[k,d]); v[d] = mean(n) C[n,d]**2; Y[n,d] = C[n,d]*v[d]"


def steps(text: str) -> dict[str, list[str]]:
    """The reasons of the steps, by the rules' names."""
    found: dict[str, list[str]] = {}
    for step in reverse(parse(text)).steps:
        found.setdefault(step.name, []).append(step.reason)
    return found


def test_a_known_sum_is_told_by_an_equation() -> None:
    assert "sum(n) C[n,d] = 0" in steps(CENTRED)["known sums"]


@pytest.mark.parametrize("text", [CENTRED, NORM, TURNED, "L = -mean(n) log(P[n,y[n]])"])
def test_every_step_has_a_reason(text: str) -> None:
    assert all(reason for found in steps(text).values() for reason in found)


def test_only_a_system_is_solved() -> None:
    assert len(steps("A[N,N]; x[i] = solve(A, b)[i]")["solve"]) == 1
    assert "solve" not in steps(CENTRED)


def test_a_norm_says_its_convention_once() -> None:
    told = [reason for reasons in steps(NORM).values() for reason in reasons]
    assert sum("the root of a sum of squares is a norm" in reason for reason in told) == 1
    assert not any("norm" in reason for reasons in steps(CENTRED).values() for reason in reasons)


def test_each_rule_that_changes_something_is_a_step() -> None:
    found = steps("X[N]; Y[i:N-2] = (sum(p:3) X[i+p]*W[p])*X[i]")
    assert {"sift", "eliminate"} <= found.keys()
    assert "compact form" in steps("Y[n] = 1/(1 + exp(-X[n]))")


def test_the_steps_of_made_up_values_are_quiet() -> None:
    backward = reverse(parse("A[n] = X[n]*2; Y[n] = exp(sin(A[n])*A[n])"))
    quiet = {s.target.name for s in backward.steps if s.quiet}
    assert quiet and all(name.startswith("dt") for name in quiet)
    assert {s.target.name for s in backward.steps if not s.quiet} >= {"dX"}


def test_what_both_passes_make_says_nothing_of_which_is_cheaper() -> None:
    backward = reverse(parse("Y[i] = sum(j) A[i,j]*b[j]"))
    (product,) = (s for s in backward.statements if s.target.name == "db")

    def made(body: str) -> Backward:
        (define,) = parse(f"d[n] = {body}").statements
        return replace(backward, statements=(product, define))

    long, short = made("x[n] + y[n] + 2*x[n] + x[n]*y[n]"), made("x[n] + y[n]")
    assert CHEAPER < cost(short.statements) / cost(long.statements) < IN_ALL
    assert _is_better(short, long)
    assert not _is_better(long, short)
    assert not _is_better(long, long)
    assert not _is_better(short, long, more=cost(long.statements))
    assert not _is_better(made("x[n]"), made("2*x[n]"))  # next to nothing, in all
