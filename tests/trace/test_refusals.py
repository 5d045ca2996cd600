"""What can't be traced is refused by name, with the user's line and what to write instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

from pullback.errors import TraceError
from pullback.trace.changes import CHANGES
from pullback.trace.complex_table import OF_REAL
from pullback.trace.refusals import HINTS
from pullback.trace.rows import ROWS, public_name
from pullback.trace.selected import SELECTING
from pullback.trace.tracer import Spec, trace

TABLE = np.ones((3, 3))


def branching(x: Any) -> Any:
    if x.sum() > 0:
        return x
    return -x


def filling(x: Any) -> Any:
    TABLE[0] = x
    return x


def changing_an_argument(x: Any) -> Any:
    x += 1
    return x


def changing_a_view_of_an_argument(x: Any) -> Any:
    row = x[1:]
    row *= 2
    return x


def storing_into_an_argument(x: Any) -> Any:
    x[0] = x[1]
    return x


def adding_at_an_argument(x: Any) -> Any:
    np.add.at(x, [0], 1)
    return x


def changing_what_may_share_memory(x: Any) -> Any:
    h = (x[:, None] * x).T * 2
    flat = h.reshape(-1)
    h += 1
    return flat * 2


def catching(x: Any) -> Any:
    try:
        return float(x.sum())
    except Exception:
        return x.sum() * 2


def deeper(x: Any) -> Any:
    return branching(x * 2)


# function, what the message names, a piece of the quoted line, a piece of the hint
REFUSED: list[tuple[Callable[..., Any], str, str, str]] = [
    (branching, "deciding (if", "if x.sum() > 0:", "np.where"),
    (deeper, "deciding (if", "if x.sum() > 0:", "np.where"),
    (lambda x: x if x[0] > 0 and x[1] > 0 else -x, "deciding (if", "x[0] > 0", "np.where"),
    (lambda x: max(x[0], x[1], key=abs), "deciding (if", "max(x[0], x[1]", "np.maximum"),
    (lambda x: sorted(x), "deciding (if", "sorted(x)", "np.maximum"),
    (filling, "`TABLE[0]`", "TABLE[0] = x", "np.stack"),
    (storing_into_an_argument, "changing an argument in place", "x[0] = x[1]", "x = x.copy()"),
    (adding_at_an_argument, "changing an argument in place", "np.add.at(x", "x = x.copy()"),
    (lambda x: x.fill(x[0]), "changing an argument in place", "x.fill(x[0])", "x = x.copy()"),
    (lambda x: np.copyto(x, 2 * x), "changing an argument", "np.copyto(x", "x = x.copy()"),
    (lambda x: np.fill_diagonal(TABLE, x[0]), "np.fill_diagonal", "np.fill_diagonal", "np.zeros"),
    (lambda x: np.maximum.at(x * 2, [0], 1), "np.maximum.at", "np.maximum.at", "np.add.at"),
    (lambda x: TABLE.dot(x), "`TABLE.dot(x)`", "TABLE.dot(x)", "M @ x"),
    (changing_an_argument, "changing an argument in place", "x += 1", "x = x + ..."),
    (changing_a_view_of_an_argument, "changing an argument in place", "row *= 2", "x = x + ..."),
    (changing_what_may_share_memory, "may or may not share memory", "flat * 2", ".copy()"),
    (catching, "`float(x.sum())`", "float(x.sum())", "keep it an array"),
    (
        lambda x: TABLE[x.astype(int)],
        "`TABLE[x.astype(int)]`",
        "TABLE",
        "make the table an argument",
    ),
    (lambda x: TABLE[x.astype(int)[0]], "`TABLE", "TABLE", "make the table an argument"),
    (
        lambda x: np.take(TABLE, x.astype(int), 0),
        "np.take",
        "np.take",
        "make the table an argument",
    ),
    (lambda x: list(range(x.astype(int)[0])), "`range(", "range(", "x.shape"),
    (lambda x: math.frexp(x[0]), "`math.frexp(x[0])`", "math.frexp", "keep it an array"),
    (lambda x: int(x[0]), "`int(x[0])`", "int(x[0])", "keep it an array"),
    (lambda x: x.sum().item(), ".item", ".item()", "keep it an array"),
    (lambda x: x.tolist(), ".tolist", ".tolist()", "keep it an array"),
    (lambda x: x.sort(), "changing an argument in place", "x.sort()", "x = x.copy()"),
    (lambda x: np.quantile(x, x[0]), "at traced places", "np.quantile(x, x[0])", "np.interp"),
    (lambda x: np.nanquantile(x, [0.1, 0.2]), "several quantiles", "np.nanq", "np.stack"),
    (lambda x: np.median(x, overwrite_input=True), "in any order", "np.median", "leave"),
    (lambda x: np.unique(x), "np.unique", "np.unique(x)", "np.where"),
    (lambda x: np.unique(x, return_inverse=True)[0] * 2, "its size depends", "* 2", "inverse"),
    (lambda x: np.bincount(x.astype(int)), "length depends", "np.bincount", "np.add.at"),
    (lambda x: np.histogram(x, 3), "depend on them", "np.histogram(x, 3)", "np.linspace"),
    (lambda x: np.digitize(1.0, x), "traced bins", "np.digitize", "np.searchsorted"),
    (lambda x: np.interp(x, x[:2], x), "same length", "np.interp", "check shapes"),
    (lambda x: np.partition(x, 7), "kth", "np.partition(x, 7)", "check shapes"),
    (lambda x: np.maximum.reduceat(x, [0, 1]), "np.maximum.reduceat", "reduceat", "np.stack"),
    (lambda x: np.linalg.svd(x[:, None]), "np.linalg.svd", "np.linalg.svd", "full_matrices=False"),
    (lambda x: np.linalg.inv(x), "square matrix", "np.linalg.inv", "check shapes"),
    (lambda x: np.linalg.solve(x[:, None] * x, x[1:]), "equal", "np.linalg.solve", "check shapes"),
    (lambda x: np.argwhere(x), "np.argwhere", "np.argwhere(x)", "np.where"),
    (lambda x: np.where(x > 0)[0][0], "indexing", "np.where(x > 0)", "np.where(mask, x, 0)"),
    (lambda x: np.where(x > 0, x), "np.where", "np.where(x > 0, x)", "np.where(condition, x, y)"),
    (lambda x: np.add(x, 1, out=TABLE[0]), "np.add with out=", "np.add", "without out="),
    (lambda x: np.nansum(x, where=x > 0), "np.nansum with where=", "np.nansum", "np.where"),
    (lambda x: np.nansum(x, initial=1.0), "np.nansum with initial=", "np.nansum", "afterwards"),
    (lambda x: np.sum(x, where=x), "where= takes bools", "np.sum", "check shapes"),
    (lambda x: np.max(x, where=x > 0), "needs an initial value", "np.max", "check shapes"),
    (lambda x: np.logical_or.accumulate(x), "np.logical_or.accumulate", "np.logical", "loop"),
    (
        lambda x: np.lib.stride_tricks.as_strided(x, (2,), (8,)),
        "as_strided",
        "as_strided",
        "sliding_window_view",
    ),
    (lambda x: np.arctan2.reduce(x), "np.arctan2.reduce", "np.arctan2", "np.sum"),
    (lambda x: x[x > 0][0], "a traced mask selects", "x[x > 0]", "np.where(mask, x, 0)"),
    (lambda x: x[x], "index is not an integer", "x[x]", "astype(int)"),
    (lambda x: np.pad(x, 1, mode="empty"), "mode='empty'", "np.pad", "np.concatenate"),
    (lambda x: np.ravel(np.stack([x, x]), "A"), "order='A'", "np.ravel", "write order='C'"),
    (lambda x: np.linalg.norm(x[None], 3), "norm order", "np.linalg.norm", "check shapes"),
    (lambda x: scipy.special.zeta(x, 2), "scipy.special.zeta", "zeta(x, 2)", "write it with"),
    (lambda x: scipy.special.spence(x), "scipy.special.spence", "spence(x)", "write it with"),
    (lambda x: scipy.special.loggamma(x), "scipy.special.loggamma", "loggamma(x)", "gammaln"),
    (lambda x: np.arccos(x * 1j), "complex arrays", "np.arccos(x * 1j)", "imaginary part"),
    (lambda x: np.sort(x * np.array([1j])), "np.sort of complex", "np.sort(", "imaginary part"),
    (lambda x: x.astype(complex).max(), ".max of a complex", ".max", "imaginary part"),
    (lambda x: x + "a", "a str", 'x + "a"', "arrays and numbers"),
    (lambda x: 1.0 in x, "`in`", "1.0 in x", "np.any"),
    (lambda x: np.gcd(x.astype(int), 2), "np.gcd", "np.gcd", "outside"),
    (lambda x: x @ np.ones(4), "extents 3 and 4", "x @ np.ones(4)", "check shapes"),
    (lambda x: x + np.ones(4), "broadcast", "x + np.ones(4)", "check shapes"),
    (lambda x: x.reshape(2, 2), "don't fit", "x.reshape(2, 2)", "check shapes"),
    (lambda x: x[5], "out of bounds", "x[5]", "check shapes"),
    (lambda x: x[[0, 7]], "out of bounds", "x[[0, 7]]", "check shapes"),
    (lambda x: x.sum(axis=2), "out of bounds", "x.sum(axis=2)", "check shapes"),
    (lambda x: x[:0].max(), "no elements", "x[:0].max()", "check shapes"),
    (lambda x: x[0, 0], "2 indices", "x[0, 0]", "check shapes"),
    (lambda x: len(x[0]), "len() of a 0-d array", "len(x[0])", ""),
    (lambda x: list(x[0]), "iterating over a 0-d array", "list(x[0])", ""),
]


@pytest.mark.parametrize("case", REFUSED, ids=[f"{k}-{case[1]}" for k, case in enumerate(REFUSED)])
def test_refused_by_name_with_line_and_hint(case: tuple[Any, ...]) -> None:
    function, name, line, hint = case
    x = np.array([1.0, 2.0, 3.0])
    with pytest.raises(TraceError) as caught:
        trace(function, {"x": x})
    assert name in caught.value.message
    assert "test_refusals.py:" in caught.value.where
    assert line in caught.value.where
    assert hint in caught.value.hint
    np.testing.assert_array_equal(x, [1, 2, 3])


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        (np.array(["a"]), "float array"),
        (np.array([None]), "float array"),
    ],
)
def test_arguments_of_other_dtypes_are_refused(argument: Any, hint: str) -> None:
    with pytest.raises(TraceError, match="dtype") as caught:
        trace(lambda x: x, {"x": argument})
    assert hint in caught.value.hint


@pytest.mark.parametrize("array", [np.ma.array([1.0, 2.0]), np.ones(2).view(np.recarray)])
def test_arrays_with_rules_of_their_own_are_refused(array: Any) -> None:
    kind = type(array).__name__
    with pytest.raises(TraceError, match=f"the argument x is a {kind}"):
        trace(lambda x: x, {"x": array})
    with pytest.raises(TraceError, match=f"a {kind} can't be part"):
        trace(lambda x: x * array, {"x": Spec((2,))})


def test_an_array_of_another_trace_is_refused() -> None:
    kept: list[Any] = []
    trace(lambda x: kept.append(x) or x * 2, {"x": Spec((3,))})
    with pytest.raises(TraceError, match="another trace"):
        trace(lambda x: x + kept[0], {"x": Spec((3,))})


def test_what_is_traced_is_not_refused() -> None:
    known = [*ROWS, *SELECTING]
    assert [public_name(f) for f in known if public_name(f) in HINTS] == ["np.take"]


def test_every_public_numpy_function_is_traced_or_refused_by_name() -> None:
    """Nothing slips through: each function that NumPy dispatches ends in a row or in an error."""
    for name in dir(np):
        function = getattr(np, name)
        entered = (*ROWS, *CHANGES, *SELECTING, *OF_REAL)
        if not hasattr(function, "_implementation") or function in entered:
            continue
        with pytest.raises(TraceError, match=rf"np\.{name} can't be traced"):
            trace(lambda x, f=function: x.__array_function__(f, (), (x,), {}), {"x": Spec((3,))})
