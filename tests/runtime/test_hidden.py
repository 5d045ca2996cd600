"""Captured arrays are inputs: read at each call, compared only where their values were asked for.

The oracle is the function itself, run plainly: all functions are linear in x, so the value, the
tangent along x and the product of the gradient with x are one number.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import operator
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback
from pullback import gradients
from pullback.runtime import hidden, plans
from pullback.runtime.captured import captured

X = np.array([2.0, 3.0, 5.0])


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every trace that is made; no plan is known before."""
    made: list[Any] = []
    monkeypatch.setattr(gradients, "_PLANS", plans.Plans())
    real = gradients.forward_of

    def counting(function: Any, *rest: Any) -> Any:
        made.append(function)
        return real(function, *rest)

    monkeypatch.setattr(gradients, "forward_of", counting)
    return made


def found(f: Callable[..., Any], x: Any) -> list[Any]:
    """The value, by all transforms."""
    value, tangent = pullback.jvp(f, (x,), (x,))
    out, pull = pullback.vjp(f, x)
    return [value, tangent, out, pull(1.0)[0] @ x, pullback.grad(f)(x) @ x]


def check(f: Callable[..., Any], x: Any = X, **options: Any) -> None:
    expected = f(x)
    for value in found(f, x):
        assert value.dtype == expected.dtype
        np.testing.assert_allclose(value, expected, **{"rtol": 1e-12, **options})


# --------------------------------------------------------------------------------------------------
# Where a function finds an array


class Plain:
    def __init__(self, w: Any) -> None:
        self.w = w
        self.parts = [self]

    def __call__(self, x: Any) -> Any:
        return (x * self.parts[0].w).sum()

    @property
    def twice(self) -> Any:
        return 2 * self.w


class Slotted:
    __slots__ = ("w",)

    def __init__(self, w: Any) -> None:
        self.w = w


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    w: Any
    k: float = 2.0


Pair = collections.namedtuple("Pair", "w k")


def with_default(w: Any) -> Callable[..., Any]:
    def f(x: Any, own: Any = w, *, other: Any = w) -> Any:
        return (x * own * other).sum()

    return f


def with_helper(w: Any) -> Callable[..., Any]:
    def helper(x: Any, depth: int = 2) -> Any:
        return x * w if not depth else helper(x, depth - 1)

    return lambda x: sum(part.sum() for part in (helper(x), helper(x)))


def with_global(w: Any) -> Callable[..., Any]:
    space: dict[str, Any] = {"W": w, "__name__": "user"}
    exec("def g(x):\n    return x * W\ndef f(x):\n    return (g(x) * W).sum()", space)
    return space["f"]  # type: ignore[no-any-return]


def with_loop(w: Any) -> Callable[..., Any]:
    held: list[Any] = [w]
    loop = (held, 2.0)
    held.append(loop)
    return lambda x: (x * held[1][0][0]).sum() * loop[1]


def holding(read: Callable[[Any], Any], make: Callable[[Any], Any]) -> Callable[..., Any]:
    """From an array to a function that reads it from an object that holds it."""

    def of(w: Any) -> Callable[..., Any]:
        held = make(w)
        return lambda x: (x * read(held)).sum()

    return of


# A function that finds an array; whether all ways to it can be copied.
WAYS: dict[str, tuple[Callable[[Any], Callable[..., Any]], bool]] = {
    "a closure": (lambda w: lambda x: (x * w).sum(), True),
    "a global": (with_global, True),
    "a default": (with_default, True),
    "a function that is called": (with_helper, True),
    "a partial": (lambda w: functools.partial(lambda v, x: (x * v["w"]).sum(), {"w": w}), True),
    "a list in a dict": (holding(lambda h: h["a"][1], lambda w: {"a": [1, w]}), True),
    "an ordered dict": (holding(lambda h: h["w"], lambda w: collections.OrderedDict(w=w)), True),
    "a namespace": (holding(lambda h: h.w, lambda w: types.SimpleNamespace(w=w)), True),
    "an attribute": (holding(lambda h: h.w * h.twice, Plain), True),
    "an object that is called": (Plain, True),
    "a method": (lambda w: Plain(w).__call__, True),
    "a slot": (holding(lambda h: h.w, Slotted), True),
    "a frozen data class": (holding(lambda h: h.w * h.k, Frozen), True),
    "a named tuple": (holding(lambda h: h.w * h[1], lambda w: Pair(w, 2.0)), True),
    "a loop": (with_loop, True),
    "a class": (holding(lambda h: h.w, lambda w: type("Held", (), {"w": w})()), False),
    "a deque": (holding(lambda h: h[0], lambda w: collections.deque([w])), False),
    "keys that are numbers": (holding(lambda h: h[1], lambda w: {1: w}), False),
}


@pytest.mark.parametrize("name", WAYS)
def test_an_array_is_read_at_each_call(name: str, traces: list[Any]) -> None:
    make, is_input = WAYS[name]
    w = np.array([1.5, 2.5, 3.5])
    f = make(w)
    for turn in range(4):
        w[turn % 3] += 1.0
        check(f)
    assert (len(traces) == 3) == is_input, len(traces)


@pytest.mark.parametrize("name", [name for name in WAYS if WAYS[name][1]])
def test_a_function_made_anew_reads_its_own_array(name: str, traces: list[Any]) -> None:
    for turn in range(4):
        check(WAYS[name][0](np.array([1.0, 2.0, turn])))
    if name not in ("a global", "an object that is called"):  # another function, another object
        assert len(traces) == 3


def test_what_is_not_the_content_is_compared(traces: list[Any]) -> None:
    held: list[Any] = [np.arange(3.0)]

    def f(x: Any) -> Any:
        return (x * held[0]).sum() * held[0].ndim * held[0].itemsize

    rounds = [
        *(np.ones(3), np.ones(3, np.float32), np.ones((2, 3)), np.array(2.0), np.ones(1)),
        *(np.array([True, False, True]), np.array([3, 4, 2]), np.array([3, 4, 2], np.int8)),
        *(np.ones(3, ">f8"), np.ones(3, np.float16), np.ones((3, 3))[:, 0], np.ones(3)[::-1]),
    ]
    for array in (*rounds, *rounds):
        held[0] = array
        check(f, rtol=1e-3 if array.dtype == np.float16 else 1e-6)


def test_two_names_of_one_array_are_not_two_arrays() -> None:
    one, other = np.ones(3), np.ones(3)
    held = [one, one]

    def f(x: Any) -> Any:
        return (x * held[0] * (3.0 if held[0] is held[1] else 4.0)).sum()

    for second in (one, other, one, other):
        held[1] = second
        check(f)
        one[0] += 1


def test_a_captured_array_is_also_an_argument() -> None:
    w = X.copy()

    def f(x: Any) -> Any:
        return (x * w).sum()

    for _ in range(3):
        np.testing.assert_allclose(pullback.grad(f)(w), w)
        w *= 2


def test_an_array_in_a_file(tmp_path: Path, traces: list[Any]) -> None:
    w = np.memmap(tmp_path / "w", "f8", "w+", shape=(3,))
    other = np.memmap(tmp_path / "w", "f8", "r+", shape=(3,))

    def f(x: Any) -> Any:
        return (x * w).sum()

    for turn in range(3):
        other[turn] = turn + 1.0
        check(f)
    assert len(traces) == 3


# --------------------------------------------------------------------------------------------------
# Memory


def test_results_share_no_memory_with_a_captured_array() -> None:
    w = np.array([1.5, 2.5, 3.5])

    def f(x: Any) -> Any:
        return (x * w).sum(), {"w": w}

    for _ in range(2):
        kept = w.copy()
        gradient, more = pullback.grad(f, has_aux=True)(X)
        out, pull = pullback.vjp(lambda x: x * w, X)  # noqa: B023
        assert np.array_equal(more["w"], w)
        gradient[:] = more["w"][:] = out[:] = 7.0
        assert np.array_equal(w, kept)
        w += 1.0  # before the pullback runs
        assert np.array_equal(pull(np.ones(3))[0], kept)


def test_a_function_that_changes_what_it_captures_runs_once_a_call() -> None:
    w, log = np.array([1.5, 2.5, 3.5]), [0.0]

    def f(x: Any) -> Any:
        result = (x * w).sum() * len(log)
        w[0] += 1.0
        log.append(w[0])
        return result

    for turn in range(4):
        expected = w * len(log)
        np.testing.assert_allclose(pullback.grad(f)(X), expected)
        assert len(log) == turn + 2


def test_no_copy_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    w = np.array([1.5, 2.5, 3.5])

    def f(x: Any) -> Any:
        return (x * w).sum()

    pullback.grad(f)(X)
    (kept,) = [
        surroundings
        for key, entries in gradients._PLANS.found.items()
        for surroundings, _ in entries
        if key[0] is f.__code__  # type: ignore[index]
    ]
    assert kept.hidden == 1
    assert kept.held(f) == [w]


def test_large_arrays_are_inputs_or_looked_at_in_each_call(
    monkeypatch: pytest.MonkeyPatch, traces: list[Any]
) -> None:
    monkeypatch.setattr(plans, "MAX_BYTES", 16)
    monkeypatch.setattr(hidden, "MAX_BYTES", 16)
    w = np.array([1.5, 2.5, 3.5])
    for f, times in (
        (lambda x: (x * w).sum(), 3),
        (lambda x: (x * float(w[0])).sum(), 12),
    ):
        traces.clear()
        for _ in range(4):
            w[0] += 1.0
            pullback.grad(f)(X)
            pullback.jvp(f, (X,), (X,))
            _, pull = pullback.vjp(f, X)
            np.testing.assert_allclose(pull(1.0)[0] @ X, f(X))
        assert len(traces) == times


# --------------------------------------------------------------------------------------------------
# Arrays of other shapes, positions, steering


def softmax_loss(p: Any, X: Any, y: Any) -> Any:
    z = X @ p
    z = z - z.max(1, keepdims=True)
    return -(z - np.log(np.exp(z).sum(1, keepdims=True)))[np.arange(len(y)), y].mean()


def test_a_training_loop_is_traced_once_a_shape(traces: list[Any]) -> None:
    """To the bit what it gives for the batch as arguments."""
    rng = np.random.default_rng(0)
    p = rng.normal(size=(3, 4))
    by_arguments: Any = pullback.grad(softmax_loss)
    for rows in (5, 5, 6, 5, 6, 7):
        X, y = rng.normal(size=(rows, 3)), rng.integers(0, 4, rows)
        gradient = pullback.grad(lambda p: softmax_loss(p, X, y))(p)  # noqa: B023
        assert np.array_equal(gradient, by_arguments(p, X, y))
    assert len(traces) == 6  # three shapes, each by arguments, too


def test_positions_in_a_captured_array_are_checked() -> None:
    rows = np.array([2, 0, 1])

    def f(x: Any) -> Any:
        return x[rows].sum()

    check(f)
    rows[0] = -3
    check(f)
    for wrong in (3, -4):
        rows[0] = wrong
        with pytest.raises(pullback.PositionError):
            pullback.grad(f)(X)


def test_a_float_steers_beside_a_captured_array(traces: list[Any]) -> None:
    w = np.array([1.5, 2.5, 3.5])

    def f(x: Any, rate: float) -> Any:
        return (x * w * (rate if rate > 0.5 else 2 * rate)).sum()

    for turn in range(6):
        w[0] += 1.0
        rate = (0.25, 0.75)[turn % 2]
        np.testing.assert_allclose(pullback.grad(f)(X, rate), w * (0.75 if rate > 0.5 else 0.5))
    assert len(traces) == 2


# --------------------------------------------------------------------------------------------------
# What asks for values, or tells an array from a traced one


class Silent:
    def __enter__(self) -> None: ...

    def __exit__(self, *more: Any) -> bool:
        return True


def goes_on(x: Any, w: Any) -> Any:
    try:
        return (x * len({w})).sum()
    except TypeError:
        return (x * w).sum()


def goes_on_silently(x: Any, w: Any) -> Any:
    with Silent():
        return (x * len({w})).sum()
    return (x * w).sum()


def takes_other_ways(x: Any, w: Any) -> Any:
    part = w[:]
    part.shape = (3, 1)
    return (x @ part).sum()


ASKING: dict[str, Callable[..., Any]] = {
    "a branch": lambda x, w: (x if w[0] > 1 else 2 * x).sum(),
    "float": lambda x, w: (x * float(w[0])).sum(),
    "a list": lambda x, w: (x * w.tolist()[1]).sum(),
    "a text": lambda x, w: (x * len(str(w))).sum(),
    "a format": lambda x, w: (x * len(f"{w[0]}")).sum(),
    "round": lambda x, w: (x * (3 * round(w[0]) // 2)).sum(),
    "asarray": lambda x, w: (x * np.asarray(w)).sum(),
    "a function that can't be traced": lambda x, w: (x * np.histogram(w, 3)[0]).sum(),
    "a store": lambda x, w: (x * functools.reduce(operator.add, [*w[w > 0]])).sum(),
    "positions that are computed": lambda x, w: x[np.argsort(w)].sum(),
    "whole numbers made of it": lambda x, w: x[w.astype(int) % 3].sum(),
    "a mask": lambda x, w: x[w > 2.0].sum(),
    "the type": lambda x, w: (x * w * (2.0 if isinstance(w, np.ndarray) else 3.0)).sum(),
    "the type of an element": lambda x, w: (x * w * (2 if isinstance(w[0], float) else 3)).sum(),
    "the one True": lambda x, w: (x * w * (2.0 if (w > 1)[0] is np.True_ else 3.0)).sum(),
    "the class": lambda x, w: (x * w * (2.0 if w.__class__ is np.ndarray else 3.0)).sum(),
    "whether it is a scalar": lambda x, w: (x * w * (2.0 if np.isscalar(w[0]) else 3.0)).sum(),
    "a list times an integer": lambda x, w: (x * len([1, 2] * w.astype(int)[0])).sum(),
    "an exception": goes_on,
    "an exception that is kept silent": goes_on_silently,
    "a shape that is set": takes_other_ways,
    "strides": lambda x, w: (x * w * w.strides[0]).sum(),
    "flags": lambda x, w: (x * w * (2.0 if w.flags.c_contiguous else 3.0)).sum(),
    "the order in memory": lambda x, w: (
        np.outer(x, [1.0, 1.0]).ravel() * np.stack([w, -w]).T.ravel("K")
    ).sum(),
    "sizes": lambda x, w: x[: int(abs(w[0])) % 3].sum(),
}


@pytest.mark.parametrize("name", ASKING)
def test_where_values_are_asked_for_the_function_is_traced_again(name: str) -> None:
    held = [np.array([1.5, 2.5, 3.5])]
    asking = ASKING[name]

    def f(x: Any) -> Any:
        return asking(x, held[0])

    for value in (0.5, 2.5, 7.0, 1.5, 12345.678):
        held[0][0] = value
        check(f)
    held[0] = np.repeat(held[0], 2)[::2]
    check(f)


def test_only_the_array_whose_values_are_asked_for_is_compared(traces: list[Any]) -> None:
    w, switch = np.array([1.5, 2.5, 3.5]), np.array([1.0])

    def f(x: Any) -> Any:
        return (x * w if switch[0] > 0 else -x * w).sum()

    for turn in range(4):
        w[turn % 3] += 1.0
        check(f)
    assert len(traces) == 3
    switch[0] = -1.0
    check(f)
    assert len(traces) == 6


def test_the_order_in_memory_of_a_compared_array_counts() -> None:
    held = [np.arange(6.0).reshape(2, 3)]

    def f(x: Any) -> Any:
        return (x * held[0].ravel("K")[:3]).sum()

    for array in (held[0], np.asfortranarray(held[0])):
        held[0] = array
        check(f)


# --------------------------------------------------------------------------------------------------
# Random functions, random changes

TERMS = (
    *("x * W", "x * W[::-1]", "x * (M @ W)", "x * np.where(B, W, -1.0)", "x * (W > 1)"),
    *("x[I]", "x * W[I]", "x[I % 3]", "x * I", "x * 2.0**I", "x * (I - 1.0)", "x * N * N"),
    *("x[B]", "x * B.sum()", "x * ~B", "x * W[B].sum()", "x * S", "x * (S + 1)"),
    *("x * float(W[0])", "x * sum(W)", "x * np.cumsum(W)", "x if S > 0 else -x"),
    *("x * M.ravel('K')[:3]", "x * np.exp(-np.abs(M)).T[0]", "x * np.linalg.norm(M)"),
    *("x * np.linalg.solve(M + 20 * np.eye(3), W)", "x * round(S.item(), 2)", "x * F"),
    *("x * F * F[0]", "x * W.mean() / W.std()", "x * W.argmax()", "x * np.eye(3)[I % 3][0]"),
    *("sum(x[k] * w for k, w in enumerate(W))", "x * (1 if W is V else 2)", "x * V"),
)
HELD = ("W", "M", "I", "B", "S", "N", "F", "V")
PLACES = (  # how the function finds an array that is called {0}
    "global {0}",
    "closure {0}",
    "default {0}",
    "D['{0}']",
    "L[{1}]",
    "O.{0}",
    "O.inner['{0}'][0]",
)


def drawn(rng: np.random.Generator, name: str) -> Any:
    """A new array for a name."""
    match name:
        case "M":
            return np.asarray(rng.normal(size=(3, 3)), order=rng.choice(["C", "F"]))
        case "I":
            return rng.integers(-3, 3, 3)
        case "B":
            return rng.random(3) > 0.5
        case "S":
            return np.array(rng.normal())
        case "N":
            return rng.integers(-128, 128, 3).astype(np.int8)
        case "F":
            return rng.normal(size=3).astype(np.float32)
        case _:
            return rng.normal(size=3) + 2.0


class Holder:
    """An object that holds arrays."""


class Case:
    """A function of a few terms that finds its arrays in random places."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.arrays = {name: drawn(rng, name) for name in HELD}
        self.places = {name: str(rng.choice(PLACES)) for name in HELD}
        terms = [f"({term}).sum()" for term in rng.choice(TERMS, rng.integers(1, 4), replace=False)]
        held = {name: self.places[name] for name in HELD}
        lines = [
            f"        {name} = {place.format(name, n)}"
            for n, (name, place) in enumerate(held.items())
            if place[0] in "DLO"
        ]
        by_default = ", ".join(f"{n}={n}" for n, p in held.items() if p.startswith("default"))
        closed = ", ".join(name for name, place in held.items() if place.startswith("closure"))
        result = " + ".join(terms)
        self.source = "\n".join((
            f"def make({closed}):",
            f"    def f(x, {by_default}):",
            *lines,
            f"        return {result}",
            "    return f",
        ))  # fmt: skip
        self.space: dict[str, Any] = {"np": np, "__name__": "user", "D": {}, "L": [0] * len(HELD)}
        self.space["O"] = Holder()
        self.space["O"].inner = {}
        self.closed = closed
        for name in HELD:
            self.put(name)
        self.f = self.made()

    def put(self, name: str) -> None:
        """Puts the array of a name where the function finds it."""
        space, array = self.space, self.arrays[name]
        space[name] = space["D"][name] = space["L"][HELD.index(name)] = array
        setattr(space["O"], name, array)
        space["O"].inner[name] = [array]

    def made(self) -> Callable[..., Any]:
        """The function anew."""
        exec(compile(self.source, "<case>", "exec"), self.space)
        own = [self.arrays[name] for name in self.closed.split(", ") if name]
        return self.space["make"](*own)  # type: ignore[no-any-return]

    def change(self) -> None:
        """Changes an array in place, or puts another one in its place."""
        name = str(self.rng.choice(HELD))
        new = self.arrays["W"] if name == "V" and self.rng.random() < 0.5 else None
        if self.rng.random() < 0.6:
            self.arrays[name][...] = drawn(self.rng, name)
        elif self.places[name].startswith(("default", "closure")):
            self.arrays[name] = drawn(self.rng, name) if new is None else new
            self.f = self.made()
        else:
            self.arrays[name] = drawn(self.rng, name) if new is None else new
            if name == "W" and self.rng.random() < 0.3:
                self.arrays[name] = self.arrays[name].astype(np.float32)
            self.put(name)


@pytest.mark.parametrize("seed", range(12))
def test_random_functions_of_captured_arrays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = Case(rng)
    for turn in range(6):
        with np.errstate(all="ignore"):
            x = X if turn % 3 else rng.normal(size=3)
            expected = case.f(x)
            values = found(case.f, x)
            fresh = found(case.made(), x)
        for value, other in zip(values, fresh, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-5, err_msg=case.source)
            np.testing.assert_allclose(value, other, rtol=1e-6, err_msg=case.source)
            assert value.dtype == other.dtype
        for _ in range(rng.integers(0, 4)):
            case.change()


def test_what_is_copied_is_not_made_by_the_class() -> None:
    """No method of the user's runs for a copy, and none when it goes away."""
    made: list[str] = []

    class Noted:
        def __new__(cls, *args: Any) -> Any:
            made.append("new")
            return object.__new__(cls)

        def __init__(self, w: Any) -> None:
            self.w = w

    class Finished(Noted):
        def __del__(self) -> None:
            made.append("del")

    for kind in (Noted, Finished):
        held = kind(np.array([1.5, 2.5, 3.5]))
        made.clear()
        with contextlib.suppress(pullback.TraceError):
            pullback.grad(lambda x, held=held: (x * held.w).sum())(X)
        assert not made


def test_hidden_inputs_are_compared_but_for_their_content() -> None:
    w = np.array([1.5, 2.5, 3.5])
    f = with_default(w)
    before = captured(f)
    assert before is not None
    w[0] = 9.0
    assert before.held(f) is None
