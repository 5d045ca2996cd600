"""What a derivation assumes of its sizes: shown, asserted, checked before the first result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.errors import ShapeError
from pullback.runtime.load import load_module

SCALE = 2.0
FACTOR = [2.0]


def small(X: Any) -> Any:
    if X.shape[0] >= 1e3:
        X = X * X
    return X.sum()


def nested(X: Any) -> Any:
    if X.shape[0] % 2 == 0 and X.shape[0] > 500:
        X = X * 2
    return X.sum()


def square(X: Any) -> Any:
    return X @ X if X.shape[0] == X.shape[1] else X + X


def harmless(X: Any) -> Any:
    X = X * [1.0, 1.0][X.shape[0] > 1]
    assert X.shape[0] == X.size
    return X.sum() / max(X.shape[0], 1)


def conditions(derivation: Any) -> list[str]:
    return [assumption.condition for assumption in derivation.assumptions]


def test_a_branch_on_a_size_is_an_assumption() -> None:
    derivation = pb.derive(small, X="N")
    branch, compared = derivation.assumptions
    condition, line, known = branch
    assert condition == "N < 1000" and known == "asserted in the source"
    assert "test_assumptions.py" in line and "if X.shape[0] >= 1e3:" in line
    assert compared.condition == "the same program at all N" and "N = " in compared.known
    forward, backward = derivation.compile()
    value, cache = forward(np.full(999, 2.0))
    assert value == 1998 and (backward(1.0, cache) == 1).all()
    with pytest.raises(ShapeError, match=r"N < 1000(.|\n)*if X.shape\[0\] >= 1e3(.|\n)*hint"):
        forward(np.ones(1000))
    value, cache = pb.derive(small, X=np.ones(1000)).compile()[0](np.full(1000, 3.0))
    assert value == 9000


@pytest.mark.parametrize("style", ["compact", "flat"])
def test_source_that_stands_alone_asserts_and_says_where_it_was_compared(style: str) -> None:
    derivation = pb.derive(small, X="N")
    module = load_module(derivation.source(style=style))
    assert "Compared with the function at N = " in module.forward.__doc__
    assert module.forward(np.ones(999))[0] == 999
    with pytest.raises(ValueError, match="derived for N < 1000"):
        module.forward(np.ones(1000))


def test_a_branch_behind_another_is_found() -> None:
    derivation = pb.derive(nested, X="N")
    assert "N <= 500" in conditions(derivation)
    with pytest.raises(ValueError, match="N <= 500"):
        load_module(derivation.source()).forward(np.ones(502))


def test_sizes_that_were_taken_for_different_ones() -> None:
    derivation = pb.derive(square, X="N M")
    assert conditions(derivation)[0] == "N != M"
    forward, _ = derivation.compile()
    assert (forward(np.ones((3, 4)))[0] == 2).all()
    with pytest.raises(ShapeError, match="N != M"):
        forward(np.ones((3, 3)))


def test_what_makes_no_difference_is_not_asserted() -> None:
    derivation = pb.derive(harmless, X="N")
    assert "ValueError" not in derivation.source()
    known = {a.condition: a.known for a in derivation.assumptions}
    assert known["N > 1"] == "makes no difference at N = 1"
    assert "N == N" not in known and "N >= 1" not in known
    assert derivation.compile()[0](np.ones(1))[0] == 1


def test_only_traced_functions_with_named_sizes_assume_anything() -> None:
    for derivation in (
        pb.derive("Y[i] = 2*X[i]"),
        pb.derive(pb.define("X[N]\nL[] = sum(i) X[i]*N")),
        pb.derive(small, X=(3,)),
    ):
        assert derivation.assumptions == () and '"""' not in derivation.source()


@pytest.mark.parametrize("n", [0, 1, 2, 60, 1000, 4096])
def test_index_notation_is_the_program_at_every_size(n: int) -> None:
    forward, backward = pb.derive("X[N]\nL[] = sum(i) X[i]*i*N/(i + 1)").compile()
    X, i = np.random.default_rng(n).normal(size=n), np.arange(n)
    value, cache = forward(X)
    assert np.allclose(value, (X * i * n / (i + 1)).sum())
    assert np.allclose(backward(1.0, cache), i * n / (i + 1))


def test_known_sizes_cost_no_trace() -> None:
    calls = []

    def counted(X: Any) -> Any:
        calls.append(X.shape)
        return X.sum()

    forward, _ = pb.derive(counted, X="N").compile()
    del calls[:]
    for n in (70, 70, 80, 70, 80):
        forward(np.ones(n))
    assert calls == [(70,), (80,)]


def test_a_function_that_changed_is_no_longer_what_was_derived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forward, _ = pb.derive(lambda X: X.sum() * SCALE, X="N").compile()
    assert forward(np.ones(3))[0] == 6
    monkeypatch.setattr(f"{__name__}.SCALE", 3.0)
    assert forward(np.full(3, 2.0))[0] == 12  # what was derived
    with pytest.raises(ShapeError, match="no longer what was derived"):
        forward(np.ones(4))


def test_a_function_that_fails_at_a_size_is_quoted() -> None:
    def picky(X: Any) -> Any:
        table = dict.fromkeys(range(500), 1.0)
        return X.sum() * table[len(X)]

    forward, _ = pb.derive(picky, X="N").compile()
    with pytest.raises(ShapeError, match=r"N = 600(.|\n)*KeyError: 600"):
        forward(np.ones(600))


def test_verify_goes_beyond_the_numbers_of_the_function() -> None:
    table = [1.0] * 70
    wrong = pb.derive(lambda X: (X * np.minimum(np.arange(len(X)), 60)).sum(), X="N").verify()
    assert not wrong.passed and "N = 62: the function computes something else" in str(wrong)
    wrong = pb.derive(lambda X: (X if len(X) < len(table) else X * X).sum(), X="N").verify()
    assert not wrong.passed and "N = 72" in str(wrong)
    right = pb.derive(lambda X: (X * 60).sum(), X="N").verify()
    assert right.passed and "the function itself: traced to this program at N = 62, 123" in str(
        right
    )
    assert pb.derive(small, X="N").verify().passed  # for N < 1000, as it says


def test_reports_show_the_assumptions() -> None:
    derivation = pb.derive(small, X="N")
    assert "N < 1000" in str(derivation) and "asserted in the source" in str(derivation)
    assert "N &lt; 1000" in derivation._repr_html_()
    assert "the same program at all N" in derivation.markdown()


def test_large_sizes_are_affordable() -> None:
    forward, backward = pb.derive(lambda X: (X * np.arange(len(X))).sum(), X="N").compile()
    value, cache = forward(np.ones(10**6))
    assert value == (10**6 - 1) * 10**6 / 2 and backward(1.0, cache)[-1] == 10**6 - 1


def test_the_class_of_ints_that_note_comparisons_changes_nothing() -> None:
    def f(X: Any) -> Any:
        return X * 3 if type(X.shape[0]) is int else X

    forward, backward = pb.derive(f, X="N").compile()
    value, cache = forward(np.ones(70))
    assert (value == 3).all() and (backward(np.ones(70), cache) == 3).all()


def test_windows_that_no_array_has_are_refused_as_numpy_does() -> None:
    windows = np.lib.stride_tricks.sliding_window_view
    forward, _ = pb.derive(lambda X: windows(X, 3).sum(axis=1), X="N + 2").compile()
    assert forward(np.ones(3))[0] == [3]
    with pytest.raises(ShapeError, match="larger than its axis"):
        forward(np.ones(2))
