"""Recurrences in the notation: what they are, their order, and that what is printed parses back."""

from __future__ import annotations

import pytest

from pullback.ir.recurrence import direction, groups, is_recurrent
from pullback.notation.parse import parse
from pullback.notation.plain import show

RNN = """
A[t,n,j] = sum(d) X[t,n,d]*U[d,j] + sum(k) where(t >= 1, H[t-1,n,k], h[n,k])*W[k,j] + b[j]
H[t,n,j] = tanh(A[t,n,j])
"""
# text, names by group (those of recurrences in brackets), directions, outputs
PROGRAMS = [
    ("S[t] = X[t] + where(t >= 1, S[t-1], 0)", "[S]", [1], "S"),
    ("S[t] = X[t] + pad(S,0)[t-1] - pad(S,0)[t-2]", "[S]", [1], "S"),
    ("S[t] = X[t] + pad(S,0)[t+1]", "[S]", [-1], "S"),
    ("c: int[t] = m[t] + where(t >= 1, c[t-1], 0)", "[c]", [1], "c"),
    ("m: int[T]; c: int[t] = m[t] + where(t >= 1, c[t-1], 0)", "[c]", [1], "c"),
    ("X: float32[T]; S: float32[t] = X[t] + pad(S,0)[t-1]", "[S]", [1], "S"),
    ("X: float32[T]; S[t] = X[t] + pad(S,0)[t-1]", "[S]", [1], "S"),
    ("S[t:T,n:4] = 1/2 + sin(pad(S,0)[t-1,n])", "[S]", [1], "S"),
    (RNN, "[A H]", [1], "H"),
    (RNN + "Y[n,o] = sum(t, j if t = T-1) H[t,n,j]*V[j,o]", "[A H] Y", [1], "Y"),
    (RNN + "Z[t,n,j] = A[t,n,j]*H[t,n,j]", "[A H] Z", [1], "Z"),
    ("A[t] = pad(B,0)[t-1]; Z[t] = X[t]**2; B[t] = A[t]*Z[t]", "Z [A B]", [1], "B"),
    ("A[t] = pad(B,0)[t-1]; Z[t] = A[t]**2; B[t] = A[t]*X[t]", "[A B] Z", [1], "B Z"),
    ("A[t] = X[t] + pad(A,0)[t-1]; B[t] = A[t] + pad(B,0)[t+1]", "[A] [B]", [1, -1], "B"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "names", "directions", "outputs"), PROGRAMS)
def test_statements_that_need_each_other_stand_together(
    text: str, names: str, directions: list[int], outputs: str
) -> None:
    program = parse(text)
    found = groups(program.statements)
    shown = [" ".join(s.target.name for s in group) for group in found]
    marked = [f"[{s}]" if is_recurrent(g) else s for g, s in zip(found, shown, strict=True)]
    assert " ".join(marked) == names
    assert [direction(group) for group in found if is_recurrent(group)] == directions
    assert " ".join(t.name for t in program.outputs) == outputs


@pytest.mark.parametrize("text", [text for text, *_ in PROGRAMS])
def test_what_is_printed_parses_back(text: str) -> None:
    program = parse(text)
    assert parse(show(program, exact=True)) == program
    assert parse(show(program)) == program


def test_a_condition_on_the_first_steps_reads_as_it_was_written() -> None:
    assert "where(1 <= t, S[t-1], 0)" in show(parse(PROGRAMS[0][0]))
