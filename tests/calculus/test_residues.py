"""Terms that cover all remainders of an index are one; their quotients are one."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.calculus.normal import Term, expression, term
from pullback.calculus.residues import joined
from pullback.calculus.reverse import reverse
from pullback.ir.expr import Divides, Tensor
from pullback.ir.interpret import Array
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Subscript, at, constant
from pullback.ir.walk import nodes
from pullback.notation.parse import parse

from .oracle import draw, gradients, worst_difference
from .terms import literals, made, read, values

SIZES = ({"N": 3, "M": 2}, {"N": 1, "M": 1}, {"N": 4, "M": 3})
# A program, and how many conditions on remainders are left in the gradient of X.
CASES = [
    ("X[2*N]\nY[n:N] = X[2*n] + X[2*n + 1]", 0),
    ("X[3*N]\nY[n:N] = X[3*n] - X[3*n + 1] + X[3*n + 2]", 3),  # not alike
    ("X[3*N]\nY[n:N] = X[3*n] + X[3*n + 2]", 2),  # not all
    (
        "X[2*N, 2*M]\nY[n:N,m:M] = X[2*n,2*m] + X[2*n+1,2*m] + X[2*n,2*m+1] + X[2*n+1,2*m+1]",
        0,
    ),
    ("X[2*N]\nY[n:N] = X[2*N - 1 - 2*n] + X[2*N - 2 - 2*n]", 2),  # quotients of -i are left alone
    ("X[2*N + 2]\nY[n:N] = X[2*n + 1] + X[2*n + 2]", 2),  # each has a range of its own
    ("X[2*N]\nY[n:N] = X[2*n]*Z[n] + X[2*n + 1]*Z[n]", 0),
    ("X[2*N]\nY[n:N] = exp(X[2*n]) + exp(X[2*n + 1])", 2),  # two values have two names
]


@pytest.mark.parametrize(("text", "left"), CASES)
def test_terms_for_all_remainders_are_joined(text: str, left: int) -> None:
    backward = reverse(parse(text))
    (dX,) = [s for s in backward.statements if s.target.name == "dX"]
    assert sum(isinstance(node, Divides) for node in nodes(dX.body)) == left
    for sizes in SIZES:
        values = draw((*backward.program.inputs, *backward.cotangents), sizes, 5)
        compact = gradients(backward, backward.statements, values, sizes)
        raw = gradients(backward, backward.adjoints, values, sizes)
        assert worst_difference(compact, raw) < 1e-12


I, K = Index("i", size(9)), Index("k", size(4))  # noqa: E741
NAMED = size("N")
LONG = Tensor("X", (size(25),))
SHIFTS = st.integers(-4, 4)


@st.composite
def told(draw: st.DrawFn) -> Subscript:
    """What a condition says of a remainder: mostly i or -i, and a number."""
    i, k = at(I) * draw(st.sampled_from((1, 1, 1, -1, -1, 2))), at(K)
    if not draw(st.integers(0, 5)):
        i = draw(st.sampled_from((k * 2, at(I) // 2, i + k, constant(NAMED) - at(I))))
    return i + draw(st.sampled_from((0, 1, -1, 2, 3))) + draw(SHIFTS)


@st.composite
def remainders(draw: st.DrawFn) -> list[Term]:
    """Terms that read quotients of i by a number, each under a condition on its remainder."""
    m = draw(st.sampled_from((2, 3, 5)))
    k = draw(st.integers(0, m - 1))
    out = []
    for part in range(draw(st.integers(1, m))):
        wanted = at(I) * draw(st.sampled_from((1, 1, -1))) + k + part
        divisor = draw(st.sampled_from((size(m), size(m), size(m), NAMED)))
        cond = Divides(divisor, draw(st.one_of(st.just(wanted), told())))
        by = size(draw(st.sampled_from((m, m, m, 4))))
        other = draw(st.sampled_from((*[constant(0)] * 5, at(K), constant(NAMED))))
        place = (at(I) + draw(SHIFTS) + other) // by * draw(st.sampled_from((1, 1, 2)))
        atom = read(LONG, place + 8)
        out.append(term(Fraction(1), (), (cond,), ((atom, Fraction(1)),)))
    return [t for t in out if t is not None]


@given(remainders())
def test_joining_keeps_the_value(terms: list[Term]) -> None:
    arrays = {"X": Array((25,), [2**n for n in range(25)])}
    before = values(literals(tuple(terms)), (I, K), arrays, {"N": 3})
    assert values(expression(joined(tuple(terms))), (I, K), arrays, {"N": 3}) == before


def test_a_quotient_is_known_by_what_is_known_of_a_quotient_inside() -> None:
    half = at(I) // size(2)
    value = made((), [Divides(size(3), half + 1)], read(LONG, (half + 3) // size(3)))
    assert joined((value,)) == (made((), value.guards, read(LONG, half // size(3) + 1)),)


def test_a_shift_by_a_named_size_stays() -> None:
    place = (at(I) + 1 + NAMED) // size(3)
    value = made((), [Divides(size(3), at(I) + 1)], read(LONG, place))
    assert joined((value,)) == (value,)
