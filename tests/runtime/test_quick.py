"""The short way of a call gives what the long way gives: the same numbers, or the same refusal."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.runtime.compiled import apart


def scaled(x: Any, w: Any) -> Any:
    return (x * w).sum(axis=0)


def picked(x: Any, rows: Any) -> Any:
    return (x[rows] ** 2).sum()


def shifted(x: Any, w: Any) -> Any:
    return x @ w + np.array([1.0, 5.0, 2.0])


def several(x: Any, w: Any) -> Any:
    return {"a": (x * w).sum(), "b": x[0] * w}


A, B = np.linspace(0.1, 1, 6).reshape(2, 3), np.linspace(1, 2, 3)
LARGE = np.array([3, 0, 1])
X = np.arange(12.0).reshape(4, 3)
# What may come in the places of the arguments of a known call, refused or not.
OTHERS: list[Callable[[Any], Any]] = [
    lambda a: a,
    lambda a: a.copy(),
    lambda a: a.tolist(),
    lambda a: a.astype(np.float32),
    lambda a: a.astype(a.dtype.newbyteorder()),
    lambda a: np.asfortranarray(a),
    lambda a: a[::-1],
    lambda a: a[:1],
    lambda a: a.astype(int),
    lambda a: a.astype(complex),
    lambda a: a.astype(object),
    lambda a: a.astype(str),
    lambda a: np.ma.masked_array(a),
    lambda a: a.reshape(-1),
    lambda a: -1.0 - a,
    lambda a: a + 9,
    lambda a: 1.0,
    lambda a: None,
]
FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, str], tuple[Any, Any]]] = {
    "sizes": (scaled, {"x": "N D", "w": "D"}, (A, B)),
    "numbers": (scaled, {"x": "2 3", "w": "3"}, (A, B)),
    "float32": (
        scaled,
        {"x": "N 3: float32", "w": "3: float32"},
        (A.astype(np.float32), B.astype(np.float32)),
    ),
    "positions": (picked, {"x": "N 3", "rows": "K: int64"}, (X, LARGE)),
    "constants": (shifted, {"x": "N 2", "w": "2 3"}, (X[:, :2], A)),
    "a tree": (several, {"x": "N D", "w": "D"}, (A, B)),
}


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or how it is refused."""
    try:
        return call()
    except pullback.PullbackError as error:
        return type(error), str(error)


def same(one: Any, other: Any) -> bool:
    """Whether two results are the same, dtypes and types included."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, tuple) and not isinstance(one[0], type):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray | np.generic):
        alike = type(one) is type(other) and one.dtype == other.dtype
        return alike and np.array_equal(one, other, equal_nan=True)
    return bool(one == other)


def both(pair: Any, args: tuple[Any, ...], kwargs: dict[str, Any], seed: Any) -> Any:
    def call() -> Any:
        value, cache = pair.forward(*args, **kwargs)
        return value, tuple(cache), pair.backward(seed(value), cache)

    return outcome(call)


def ones(value: Any) -> Any:
    return (
        {k: ones(v) for k, v in value.items()} if isinstance(value, dict) else np.ones_like(value)
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_known_call_is_as_the_first(name: str) -> None:
    function, shapes, arguments = FUNCTIONS[name]
    derivation = pullback.derive(function, **shapes)
    warm = derivation.compile()
    names = list(shapes)
    for _ in range(2):
        assert not isinstance(both(warm, arguments, {}, ones)[0], type)
    for first in OTHERS:
        for second in (OTHERS[0], OTHERS[7], first):
            given = first(arguments[0]), second(arguments[1])
            for args, named in ((given, ()), (given[:1], names[1:]), ((), names)):
                kwargs = {n: given[names.index(n)] for n in named}
                found = both(warm, args, kwargs, ones)
                assert same(found, both(derivation.compile(), args, kwargs, ones)), (args, kwargs)
                assert same(found, both(warm, args, kwargs, ones)), (args, kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((A,), {}),
        ((A, B, B), {}),
        ((A,), {"x": A}),
        ((A, B), {"w": B}),
        ((A,), {"v": B}),
        ((A, B), {"N": 2}),
    ],
)
def test_arguments_that_do_not_fit_are_refused_alike(args: Any, kwargs: Any) -> None:
    derivation = pullback.derive(scaled, x="N D", w="D")
    warm = derivation.compile()
    warm.forward(A, B)
    warm.forward(A, B)
    found = outcome(lambda: warm.forward(*args, **kwargs))
    assert found == outcome(lambda: derivation.compile().forward(*args, **kwargs))
    assert found[0] is pullback.ArgumentError


@pytest.mark.parametrize("function", [scaled, lambda x, w: (x * w).sum()])
def test_cotangents_of_every_kind(function: Any) -> None:
    derivation = pullback.derive(function, x="N D", w="D")
    warm = derivation.compile()
    for _ in range(2):
        value, cache = warm.forward(A, B)
        warm.backward(np.ones_like(value), cache)
    for seed in (
        1.0,
        2,
        None,
        np.float32(3),
        [1.0, 2.0, 3.0],
        np.ones(3),
        np.ones((1, 3)),
        "a",
        1j,
    ):
        found = both(warm, (A, B), {}, lambda _, seed=seed: seed)
        assert same(found, both(derivation.compile(), (A, B), {}, lambda _, seed=seed: seed)), seed


@pytest.mark.parametrize(
    "way", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)
def test_a_cache_can_be_copied(way: Callable[[Any], Any]) -> None:
    forward, backward = pullback.derive(scaled, x="N D", w="D").compile()
    for _ in range(2):
        value, cache = forward(A, B)
        taken = way(cache)
        assert type(taken) is type(cache)
        assert same(backward(np.ones_like(value), taken), backward(np.ones_like(value), cache))


def test_only_a_cache_is_a_cache() -> None:
    forward, backward = pullback.derive(scaled, x="N D", w="D").compile()
    value, cache = forward(A, B)
    with pytest.raises(pullback.ArgumentError, match="the cache that forward returned"):
        backward(value, tuple(cache))


def test_sources_are_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from pullback.backends import numpy as backend

    written = []
    spell = backend.spell_pair
    monkeypatch.setattr(backend, "spell_pair", lambda *a, **k: written.append(1) or spell(*a, **k))
    derivation = pullback.derive(scaled, x="N D", w="D")
    derivation.source()
    derivation.compile()
    derivation.compile()
    derivation.source()
    assert len(written) == 1


def test_what_shares_memory_is_copied() -> None:
    base = np.arange(12.0)
    own = np.ones(3)
    others = [base, base[2:5], own, np.float64(1), np.arange(3.0)[::-1]]
    kept = [base, base[4:], base.reshape(3, 4), own, own[:1], np.ones(3), 3, others[-1][:2]]
    found = apart(kept, others)
    for given, taken in zip(kept, found, strict=True):
        shares = isinstance(given, np.ndarray) and any(
            np.may_share_memory(given, o) for o in others if isinstance(o, np.ndarray)
        )
        assert (taken is given) != shares
        assert np.array_equal(taken, given)
        assert not any(np.shares_memory(taken, o) for o in others)
