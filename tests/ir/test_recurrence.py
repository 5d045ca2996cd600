"""Recurrences: their order, and what the interpreter makes of them in every arithmetic."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.errors import CheckError
from pullback.ir.arithmetic import MODULAR, PRIME, Abstain
from pullback.ir.expr import Access, Expr, Tensor, add
from pullback.ir.interpret import define_group, run
from pullback.ir.program import Define, Program, live
from pullback.ir.recurrence import direction, groups, in_order, is_recurrent
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.notation.parse import parse
from pullback.verify.decimals import DECIMALS

FIBONACCI = "F[t:8] = where(t >= 2, pad(F,0)[t-1] + pad(F,0)[t-2], a[] + 0*t)"


def test_a_second_order_recurrence() -> None:
    assert run(parse(FIBONACCI), {"a": 1})["F"].tolist() == [1, 1, 2, 3, 5, 8, 13, 21]
    assert run(parse(FIBONACCI), {"a": 1}, DECIMALS)["F"].tolist() == [1, 1, 2, 3, 5, 8, 13, 21]
    modular = run(parse(FIBONACCI), {"a": PRIME - 1}, MODULAR)["F"].tolist()
    assert [int(x) % PRIME for x in modular] == [PRIME - n for n in (1, 1, 2, 3, 5, 8, 13, 21)]


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_running_sums_upwards_and_downwards(steps: int) -> None:
    x = np.random.default_rng(0).normal(size=(steps, 2))
    up = run(parse("S[t,n] = X[t,n] + pad(S,0)[t-1,n]"), {"X": x})["S"]
    down = run(parse("S[t,n] = X[t,n] + pad(S,0)[t+1,n]"), {"X": x})["S"]
    assert np.allclose(np.reshape(up.tolist(), (steps, 2)), np.cumsum(x, axis=0))
    assert np.allclose(np.reshape(down.tolist(), (steps, 2)), np.cumsum(x[::-1], axis=0)[::-1])


def test_a_network_over_time_is_the_loop() -> None:
    rng = np.random.default_rng(1)
    program = parse("""
        A[t,n,j] = sum(d) X[t,n,d]*U[d,j] + sum(k) where(t >= 1, H[t-1,n,k], h[n,k])*W[k,j]
        H[t,n,j] = tanh(A[t,n,j])
    """)
    x, u, w, h = (rng.normal(size=s) for s in [(4, 2, 3), (3, 5), (5, 5), (2, 5)])
    found = run(program, {"X": x, "U": u, "W": w, "h": h})["H"].tolist()
    for t in range(4):
        h = np.tanh(x[t] @ u + h @ w)
        assert np.allclose(found[t], h)


def test_an_arithmetic_that_abstains_says_from_which_value() -> None:
    program = parse("A[t] = X[t] + pad(H,0)[t-1]; H[t] = where(A[t] < 0, 0, A[t])")
    with pytest.raises(Abstain) as caught:
        run(program, {"X": [1, 2]}, MODULAR)
    assert caught.value.tensor == "H"


def test_integers_and_truths_run_along() -> None:
    text = "c: int[t] = m[t] + where(t >= 1, c[t-1], 0); q: bool[t] = [c[t] > 3]"
    found = run(parse(text), {"m": [1, 2, 3]})
    assert found["c"].tolist() == [1, 3, 6] and found["q"].tolist() == [False, False, True]


T = Index("t", size("T"))


def tensor(name: str) -> Tensor:
    return Tensor(name, (size("T"),))


def defined(name: str, *read: Access) -> Define:
    parts: list[Expr] = list(read)
    return Define(tensor(name), (T,), add(*parts))


def read(name: str, ahead: int = 0) -> Access:
    return Access(tensor(name), (at(T) + ahead,))


def test_what_neither_direction_can_evaluate_is_refused() -> None:
    circle = (defined("A", read("B")), defined("B", read("A")))
    with pytest.raises(CheckError, match="before it has a value"):
        define_group(circle, {}, {"T": 2})
    other = Define(Tensor("B", ()), (), Access(tensor("A"), (at(T) * 0,)))
    with pytest.raises(CheckError, match="first axis"):
        define_group((defined("A", Access(other.target, ())), other), {}, {"T": 2})


def test_order_is_stable_and_groups_stand_together() -> None:
    needy = [
        defined("Z", read("H")),
        defined("H", read("A")),
        defined("X2", read("X")),
        defined("A", read("H", -1), read("X2")),
    ]
    ordered = in_order(needy)
    assert [s.target.name for s in ordered] == ["X2", "A", "H", "Z"]
    assert [len(group) for group in groups(ordered)] == [1, 2, 1]
    assert direction(groups(ordered)[1]) == 1
    assert in_order(ordered) == ordered
    with pytest.raises(AssertionError, match="need each other"):
        in_order([defined("A", read("B")), defined("B", read("A"))])


def test_a_group_is_live_as_a_whole() -> None:
    statements = (defined("A", read("X"), read("H", -1)), defined("H", read("A")))
    program = Program((tensor("X"),), statements, (tensor("A"),))
    assert live(program) == program


@given(st.integers(0, 2**32), st.integers(1, 9))
def test_any_order_of_any_statements_is_put_right(seed: int, count: int) -> None:
    rng = Random(seed)
    names = [f"v{k}" for k in range(count)]
    statements = []
    for k, name in enumerate(names):
        now = [read(n) for n in names[:k] if rng.random() < 0.3]
        before = [read(n, -rng.randint(1, 2)) for n in names if rng.random() < 0.15]
        statements.append(defined(name, read("X"), *now, *before))
    shuffled = rng.sample(statements, count)
    ordered = in_order(shuffled)
    assert sorted(s.target.name for s in ordered) == names
    place = {s.target: k for k, s in enumerate(ordered)}
    group_of = {s.target: k for k, group in enumerate(groups(ordered)) for s in group}
    for s in ordered:
        for n in (-2, -1, 0):
            for other in names:
                if read(other, n) in getattr(s.body, "terms", ()):
                    assert group_of[tensor(other)] <= group_of[s.target]
                    assert n < 0 or place[tensor(other)] < place[s.target]
    for group in groups(ordered):
        if is_recurrent(group):
            assert direction(group) == 1
            assert all(_reaches(a, b, group) for a in group for b in group)


def _reaches(one: Define, other: Define, group: tuple[Define, ...]) -> bool:
    """Whether a statement of a group needs another one, perhaps through others of the group."""
    inner = Program((), group, (one.target,))
    return other in live(inner).statements
