"""Extents as a traced function sees them: ints that note what they are compared with."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.ir.size_conditions import SizeCondition
from pullback.ir.sizes import size
from pullback.trace.extents import Extent, extents_of, plain
from pullback.trace.named import trace_named

N, D = size("N"), size("D")


def extents() -> tuple[Any, Any, Any]:
    """N = 7 and D = 11, and where they note what they are compared with."""
    noting = extents_of([(N, D)], {"N": 7, "D": 11})
    return noting.seen(7), noting.seen(11), noting


def conditions(noting: Any) -> list[str]:
    return [str(choice.condition) for choice in noting.choices]


NOTED: list[tuple[Callable[[Any, Any], Any], list[str]]] = [
    (lambda n, d: n < 1000, ["N < 1000"]),
    (lambda n, d: n > 1000, ["N <= 1000"]),
    (lambda n, d: n >= 1e3, ["N < 1000"]),
    (lambda n, d: n > 2.5, ["N > 2.5"]),
    (lambda n, d: n > np.int64(60), ["N <= 60"]),
    (lambda n, d: n >= np.float64(1e3), ["N < 1000"]),
    (lambda n, d: n == 7, ["N == 7"]),
    (lambda n, d: n != 8, ["N != 8"]),
    (lambda n, d: n == d, ["N != D"]),
    (lambda n, d: n * d > 100 + n, ["D*N <= N + 100"]),
    (lambda n, d: 2 * n - 1 < d, ["2*N - 1 >= D"]),
    (lambda n, d: n % 2 == 0, ["N - 2*(N//2) != 0"]),
    (lambda n, d: bool(n // 8), ["N//8 == 0"]),
    (lambda n, d: 100 // n > 3, ["100//N > 3"]),
    (lambda n, d: -n < 0, ["-N < 0"]),
    (lambda n, d: max(n, 9) + min(d, 3), ["N < 9", "D > 3"]),
    (lambda n, d: (n, d) == (7, 12), ["N == 7", "D != 12"]),
    (lambda n, d: n in (5, d), ["N != 5", "D != N"]),
    # what can't be followed is an int like any other
    (lambda n, d: n & 3 > 1, []),
    (lambda n, d: n**2 > 3, []),
    (lambda n, d: n / 2 > 3, []),
    (lambda n, d: int(n) > 3, []),
    (lambda n, d: n == "seven", []),
    (lambda n, d: n == None, []),  # noqa: E711
]


@pytest.mark.parametrize(("use", "wanted"), NOTED)
def test_comparisons_are_noted_in_named_sizes(
    use: Callable[[Any, Any], Any], wanted: list[str]
) -> None:
    n, d, noting = extents()
    result = use(n, d)
    assert result == use(7, 11)
    assert conditions(noting) == wanted
    for choice in noting.choices:
        assert choice.condition.holds({"N": 7, "D": 11})
        assert choice.source.file == __file__


@given(st.integers(-9, 9), st.integers(1, 9), st.sampled_from("+-*") | st.sampled_from(["//", "%"]))
def test_arithmetic_is_that_of_ints_and_of_forms(a: int, b: int, op: str) -> None:
    n, d, _ = extents()
    scope = {"n": n, "d": d, "a": a, "b": b}
    for text in (f"n {op} b", f"n {op} d", f"b {op} n", f"a*n {op} (b + d)", f"(a + n*d) {op} b"):
        found = eval(text, scope)
        assert found == eval(text, {"n": 7, "d": 11, "a": a, "b": b})
        if isinstance(found, Extent):
            assert found.form.value({"N": 7, "D": 11}) == found


def test_an_extent_is_an_int() -> None:
    n, d, noting = extents()
    assert isinstance(n, int) and hash(n) == hash(7) and {7: "seven"}[n] == "seven"
    assert (f"{n}", f"{n:03}", repr(n), str(n), json.dumps(n)) == ("7", "007", "7", "7", "7")
    assert [*range(n)] == [*range(7)] and [0] * n == [0] * 7 and "abcdefghij"[n] == "h"
    assert type(pickle.loads(pickle.dumps(n))) is int and type(copy.deepcopy(n)) is int
    assert np.zeros((n, d)).shape == (7, 11) and np.arange(n).dtype == np.arange(7).dtype
    assert np.sqrt(n) == np.sqrt(7) and (n / 2, n**2, 2**n, n & 3) == (3.5, 49, 128, 3)
    assert (np.arange(9) < n).sum() == 7 and np.array([n, d]).dtype == np.array([7]).dtype
    assert type(plain([(n, {"a": slice(n, None)})])[0][0]) is int
    with pytest.raises(ZeroDivisionError):
        n // 0
    with pytest.raises(TypeError):
        assert n < "seven"
    assert noting.seen(5) == 5 and type(noting.seen(5)) is int  # of no form
    assert type(extents_of([(N, size(7))], {"N": 7}).seen(7)) is int  # of two forms


def test_library_code_notes_nothing() -> None:
    n, _, noting = extents()
    np.linspace(0, 1, n)
    np.broadcast_to(np.zeros(1), (n,))
    np.tri(n, n)
    assert conditions(noting) == ["N == 7"] or not conditions(noting)


@given(
    st.sampled_from(["<", "<=", "==", "!=", ">", ">="]),
    st.integers(-3, 3),
    st.integers(-3, 3),
    st.integers(-9, 9) | st.fractions(-9, 9, max_denominator=2),
)
def test_conditions_are_decided_as_they_are_tested(op: str, a: int, b: int, c: Any) -> None:
    right = size(c) if isinstance(c, int) else Fraction(c)
    condition = SizeCondition(N * a + D * b, op, right)
    held = [condition.holds({"N": n, "D": d}) for n in range(1, 9) for d in range(1, 9)]
    other = [condition.opposite.holds({"N": n, "D": d}) for n in range(1, 9) for d in range(1, 9)]
    assert [not h for h in held] == other
    assert all(held) or not condition.always


def test_the_program_holds_no_extents() -> None:
    def f(X: Any, W: Any) -> Any:
        n, d = X.shape
        Y = X.reshape(n * d)[: n * d - 1] * n
        return (np.stack([Y, Y * d]) + np.zeros((2, n * d - 1))).sum(axis=(0, 1)) / n, Y[n]

    traced = trace_named(f, {"X": "N D", "W": "D"})
    for statement in traced.found.sample.traced.program.statements:
        for extent in statement.target.shape:
            assert all(type(n) is int for _, n in extent.terms)
