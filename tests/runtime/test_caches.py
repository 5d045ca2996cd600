"""Plans are kept for as long as nothing that a function reads has changed, and no longer.

The oracle is the function itself: it is run plainly, in a namespace of its own, as often as its
gradient is asked for. Where a call draws random numbers or counts, both agree only if asking for
the gradient runs the function exactly once.
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import dataclasses
import decimal
import enum
import functools
import math
import operator
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pullback
from pullback import layers
from pullback.runtime.captured import reason
from tests.runtime.changes import CHANGES

PRELUDE = """
import array, collections, copy, dataclasses, enum, functools, importlib, itertools, math, operator
import decimal, os, random, struct, types
from fractions import Fraction
import numpy as np
import pullback
from pullback import layers
"""
X = np.array([2.0])
RESTORED = ((np, "tanh"), (builtins, "round"))

# One call of the function each: what it gives for an x of one element.
ASKED: dict[str, Callable[[Callable[..., Any], Any], Any]] = {
    "grad": lambda f, x: 2 * pullback.grad(f)(x)[0],
    "value_and_grad": lambda f, x: pullback.value_and_grad(f)(x)[0],
    "vjp": lambda f, x: 2 * pullback.vjp(f, x)[1](1.0)[0][0],
    "jvp": lambda f, x: pullback.jvp(f, (x,), (x,))[1],
}


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """The settings of the process stay as they were."""
    kept = [(home, name, getattr(home, name)) for home, name in (*RESTORED, (time, "monotonic_ns"))]
    options, errors, precision = np.get_printoptions(), np.geterr(), decimal.getcontext().prec
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for home, name, value in kept:
                setattr(home, name, value)
            decimal.getcontext().prec = precision
            np.seterr(**errors)
            options.pop("override_repr", None)
            np.set_printoptions(**options)


def sequence(source: str, change: str, ask: Callable[[Callable[..., Any], Any], Any]) -> list[Any]:
    """What is found in two calls, and after the change in two more."""
    found = []
    with restored():
        space: dict[str, Any] = {"__name__": "user"}
        exec(compile(PRELUDE + source, "<user>", "exec", dont_inherit=True), space)
        for step in range(4):
            if step == 2:
                exec(change, space)
            found.append(float(ask(space["f"], X)))
    return found


@pytest.mark.parametrize(
    ("source", "change"), [row[1:] for row in CHANGES], ids=[r[0] for r in CHANGES]
)
def test_changes_are_seen(source: str, change: str) -> None:
    if "scipy" in source:
        pytest.importorskip("scipy")
    expected = sequence(source, change, lambda f, x: f(x))
    for name, ask in ASKED.items():
        found = sequence(source, change, ask)
        np.testing.assert_allclose(found, expected, rtol=1e-13, err_msg=name)


# --------------------------------------------------------------------------------------------------
# What is kept


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every trace that is made."""
    made: list[Any] = []
    real = pullback.gradients.forward_of

    def counting(function: Any, *rest: Any) -> Any:
        made.append(function)
        return real(function, *rest)

    monkeypatch.setattr(pullback.gradients, "forward_of", counting)
    return made


W1, W2, X2, Y2 = np.ones((2, 3)), np.ones((3, 1)), np.ones((5, 2)), np.zeros((5, 1))
SETTINGS = {"rate": 0.1, "layers": [1, 2], "name": "a"}
NETWORK = layers.Network(first=layers.affine(out_features=3), second=layers.tanh())
PARAMETERS = NETWORK.init(np.random.default_rng(0), 5, 2)


def affine(x: Any, w: Any) -> Any:
    return x @ w


def mlp(w: Any) -> Any:
    return ((affine(np.tanh(affine(X2, W1 * w)), W2) - Y2) ** 2).mean() * SETTINGS["rate"]


class Model:
    kind = "model"

    def __init__(self, units: int) -> None:
        self.w = np.random.default_rng(0).normal(size=units)
        self.rng = np.random.default_rng(1)

    def __call__(self, x: Any) -> Any:
        return self.scaled(x).sum()

    def scaled(self, x: Any) -> Any:
        return x * self.w

    def save(self) -> None:
        np.save("model.npy", self.w)


@dataclasses.dataclass
class Options:
    rate: float = 0.5
    names: tuple[str, ...] = ("a", "b")

    @property
    def double(self) -> float:
        return 2 * self.rate


class Slotted:
    __slots__ = ("w",)

    def __init__(self) -> None:
        self.w = 2.0


class Color(enum.Enum):
    RED = 1
    BLUE = 2


OPTIONS, MODEL, SLOTTED = Options(), Model(1), Slotted()
POINT = collections.namedtuple("Point", "a b")(1.0, np.ones(1))
SQUARE = pullback.define("Y[i] = X[i]**2")
GRAD = pullback.grad(lambda y: (y**2).sum())


def closure(w: Any, helper: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: (helper(x) * w).sum()


def importing(x: Any) -> Any:
    import math
    from math import exp

    import numpy.linalg as la

    return (x * math.pi * la.norm(np.ones(2)) * exp(1.0)).sum()


def nested(x: Any) -> Any:
    def inner(y: Any) -> Any:
        return sum([y * w for w in SETTINGS["layers"]]) * scale

    scale = 3.0
    return sum(map(inner, [x.sum(), x.sum()]))


KEPT: dict[str, Callable[..., Any]] = {
    "plain": lambda x: (x**2).sum(),
    "a closure over a number": closure(2.0, np.sin),
    "a closure over an array": closure(np.ones(1), np.sin),
    "a captured data set": mlp,
    "a method": MODEL.__call__,
    "an object that is called": MODEL,
    "a method that is called": lambda x: MODEL.scaled(x).sum(),
    "a partial": functools.partial(lambda w, x: (x * w).sum(), np.ones(1)),
    "a partial with a keyword": functools.partial(lambda x, w: (x * w).sum(), w=2.0),
    "a layer": lambda x: layers.tanh()(x).sum(),
    "a network": lambda x: NETWORK(PARAMETERS, X2 * x).sum(),
    "a formula": lambda x: SQUARE(x).sum(),
    "a gradient": lambda x: GRAD(x).sum(),
    "vjp inside": lambda x: pullback.vjp(np.sin, x)[1](x)[0].sum(),
    "a nested function": nested,
    "imports": importing,
    "a data class": lambda x: (x * OPTIONS.rate * OPTIONS.double * len(OPTIONS.names)).sum(),
    "slots": lambda x: (x * SLOTTED.w).sum(),
    "a named tuple": lambda x: (x * POINT.a * POINT.b).sum(),
    "an enumeration": lambda x: (x * Color.RED.value if Color.RED is not Color.BLUE else x).sum(),
    "a key made by a format": lambda x: (x * {"w1": 2.0}[f"w{1}"]).sum(),
    "an error state of its own": lambda x: _quiet(x).sum(),
    "functions of NumPy": lambda x: np.linalg.norm(x) + np.einsum("i->", x) * np.add.reduce(x),
    "built-in functions": lambda x: (x * max(len([1, 2]), round(2.2), abs(-1))).sum(),
    "math and operator": lambda x: (operator.mul(x, math.sqrt(2)) * math.pi).sum(),
    "functools.reduce": lambda x: functools.reduce(lambda a, b: a * b, [x.sum(), x.sum()]),
    "zip and enumerate": lambda x: sum((x * n * w).sum() for n, w in enumerate([1, 2])),
}


def _quiet(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return x * 2


@pytest.mark.parametrize("name", KEPT)
def test_a_pure_function_is_traced_once(name: str, traces: list[Any]) -> None:
    function = KEPT[name]
    assert reason(function) == ""
    pullback.grad(function)(X)  # layers fill their own stores
    traces.clear()
    for _ in range(3):
        pullback.grad(function)(X)
        pullback.vjp(function, X)
        pullback.jvp(function, (X,), (X,))
    assert traces.count(function) == 2


def test_a_function_made_anew_is_not_traced_anew(traces: list[Any]) -> None:
    made: Callable[..., Any] = lambda w: lambda x: (np.cos(x) * w).sum()  # noqa: E731
    for _ in range(3):
        pullback.grad(made(np.full(1, 7.25)))(X)
        pullback.grad(Model(1).scaled)
    assert len(traces) == 1


def test_a_change_that_is_undone_is_known_again(traces: list[Any]) -> None:
    w = [11.0]

    def f(x: Any) -> Any:
        return (np.sin(x) * w[0]).sum()

    for value in (11.0, 12.0, 11.0, 12.0):
        w[:] = [value]
        assert np.allclose(pullback.grad(f)(X), value * np.cos(X))
    assert len(traces) == 2


@pytest.mark.parametrize("index", range(len(CHANGES)))
def test_a_function_says_why_it_is_traced_at_each_call(index: int) -> None:
    """Or it is kept; in no case does listing what it reads fail with an error of its own."""
    with restored():
        space: dict[str, Any] = {"__name__": "user"}
        exec(compile(PRELUDE + CHANGES[index][1], "<user>", "exec", dont_inherit=True), space)
        assert "object has no" not in reason(space["f"])


# --------------------------------------------------------------------------------------------------
# Arguments


class Weight(int):
    """An int with a state."""

    w = 1.0


class Scale:
    def __init__(self, w: float) -> None:
        self.w = w

    def __call__(self, x: Any) -> Any:
        return self.w * x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scale)

    def __hash__(self) -> int:
        return 1


def by_type(x: Any, given: Any) -> Any:
    """A different number for each type and sign of what is given."""

    def number(value: Any) -> float:
        if isinstance(value, dict):
            return sum(7 * number(k) + number(v) for k, v in value.items())
        if isinstance(value, tuple | list | frozenset):
            return sum((n + 2) * number(v) for n, v in enumerate(value))
        kinds = {bool: 3.0, int: 5.0, str: 7.0, float: 11.0, type(None): 13.0}
        return kinds.get(type(value), 17.0) * (2 if str(value).startswith("-") else 1)

    return (x * number(given)).sum()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, False),
        ({1: "a"}, {True: "a"}),
        ({1: "a"}, {1.0: "a"}),
        ({0.0: "a"}, {-0.0: "a"}),
        ({(1, 0.0): "a"}, {(1, -0.0): "a"}),
        ({(1, 0.0): "a"}, {(True, 0.0): "a"}),
        (frozenset({1}), frozenset({True})),
        ({frozenset({1}): 1}, {frozenset({True}): 1}),
        ((1, "a"), [1, "a"]),
        ((1, 0), (True, 0)),
        ({"a": 1, "b": True}, {"b": True, "a": 1}),
        ("1", b"1"),
    ],
)
def test_static_arguments_are_told_apart(one: Any, other: Any) -> None:
    for given in (one, other, one, other):
        assert pullback.grad(by_type)(X, given)[0] == by_type(np.ones(1), given)
        out, pull = pullback.vjp(lambda x, given=given: by_type(x, given), X)
        assert pull(1.0)[0][0] * 2 == out == by_type(X, given)
        assert pullback.grad(lambda x, **kw: by_type(x, kw["given"]))(X, given=given)[0] * 2 == out


def test_the_order_of_keyword_arguments_is_the_callers() -> None:
    def f(x: Any, **more: Any) -> Any:
        return sum((x * n * w).sum() for n, w in enumerate(more.values()))

    a, b = np.array([2.0]), np.array([3.0])
    assert pullback.grad(f)(X, a=a, b=b) == 3.0
    assert pullback.grad(f)(X, b=b, a=a) == 2.0


def test_a_callable_argument_is_told_by_its_state_not_by_its_own_equality() -> None:
    def f(x: Any, scale: Any) -> Any:
        return scale(x).sum()

    for w in (2.0, 3.0, 2.0):
        assert pullback.grad(f)(X, Scale(w)) == w
    scale = Scale(2.0)
    for w in (2.0, 5.0):
        scale.w = w
        assert pullback.grad(f)(X, scale) == w
        assert pullback.vjp(scale, X)[0] == w * X


def test_an_int_argument_with_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(x: Any, weight: Any) -> Any:
        return (x * weight.w).sum()

    for w in (2.0, 3.0):
        monkeypatch.setattr(Weight, "w", w)
        assert pullback.grad(f)(X, Weight(1)) == w


def test_an_object_that_is_returned_is_the_functions_own_now() -> None:
    held = {"v": Scale(1.0)}

    def f(x: Any) -> Any:
        return x.sum(), held["v"]

    for _ in range(2):
        assert pullback.grad(f, has_aux=True)(X)[1] is held["v"]
        held["v"] = Scale(1.0)


# --------------------------------------------------------------------------------------------------
# How often a function runs


def test_a_function_that_is_not_shown_pure_runs_once_a_call() -> None:
    """At new shapes, and where a float steers it; it is refused rather than run again."""
    runs: list[Any] = []

    def f(x: Any, rate: Any = 1.0) -> Any:
        runs.append(len(runs))
        scale = rate if rate > 0.5 else 2 * rate
        return (x * scale * len(runs)).sum()

    expected = 0
    for n in (1, 2, 3, 5, 2, 1):
        for rate in (0.25, 3.0):
            x = np.ones(n)
            expected += 1
            found = pullback.grad(f)(x, rate)
            assert len(runs) == expected
            assert np.allclose(found, (rate if rate > 0.5 else 2 * rate) * expected)
    for ask in (
        lambda: pullback.vjp(f, X, 0.25),
        lambda: pullback.jvp(f, (X, 0.25), (X, 0.0)),
        lambda: pullback.grad(f, argnums=1)(X, 0.25),
    ):
        expected += 1
        with pytest.raises(pullback.TraceError, match="deciding"):
            ask()
        assert len(runs) == expected


def test_a_state_that_comes_round_is_followed_each_time() -> None:
    state, parts = {"i": 0}, [1.0, 2.0, 3.0]

    def f(x: Any) -> Any:
        part = parts[state["i"]]
        state["i"] = (state["i"] + 1) % 3
        return (x * part).sum()

    found = [float(pullback.grad(f)(X)[0]) for _ in range(7)]
    assert found == [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]


def test_a_random_function_runs_once_a_call_at_every_shape() -> None:
    ours, plain = np.random.default_rng(0), np.random.default_rng(0)

    def f(rng: Any) -> Callable[..., Any]:
        return lambda x, p: (x * (rng.random(x.shape) < p)).sum() / float(p)

    for n in (3, 4, 5, 6, 3, 4):
        found = pullback.grad(f(ours))(np.ones(n), 0.5)
        assert np.allclose(found, (plain.random(n) < 0.5) / 0.5)


STEERED: dict[str, Callable[..., Any]] = {
    "if": lambda x, a: (x * a if a > 0.3 else x).sum(),
    "if of a sum": lambda x, a: (x * a if 2 * a + 1 > 1.8 else x).sum(),
    "if of a power": lambda x, a: (x * a if a**0.5 < 0.7 else x).sum(),
    "bool": lambda x, a: (x if a else 2 * x).sum(),
    "float": lambda x, a: (x * float(a)).sum(),
    "math": lambda x, a: (x * math.exp(a)).sum(),
    "int": lambda x, a: sum((x.sum() for _ in range(int(10 * a))), x.sum()),
    "round": lambda x, a: x[: round(3 * a)].sum(),
    "format": lambda x, a: (x * len(f"{a:.3f}")).sum() + (x * len(str(a))).sum(),
    "min and max": lambda x, a: (x * min(max(a, 0.1), 0.4)).sum(),
    "a NumPy function of it": lambda x, a: (x if np.sin(a) > 0.2 else 3 * x).sum(),
    "an array of it": lambda x, a: (x * np.linspace(0, a, 3)).sum(),
    "what can't be traced": lambda x, a: (x * np.histogram(np.ones(3) * a, 3)[0]).sum(),
    "a condition on an array of it": lambda x, a: (
        x if (np.ones(3) * a).sum() > 1 else 2 * x
    ).sum(),
    "an element": lambda x, a: (x if (np.arange(3.0) * a)[2] > 0.7 else 2 * x).sum(),
    "a method of floats": lambda x, a: (x if a.is_integer() else 2 * x).sum(),
    "in": lambda x, a: (x if a in (0.25, 0.75) else 2 * x).sum(),
    "np.asarray": lambda x, a: (x * np.asarray(a)).sum(),
    "astype": lambda x, a: sum((x.sum() for _ in range(np.multiply(4, a).astype(int))), x.sum()),
}


@pytest.mark.parametrize("name", STEERED)
def test_a_float_steers_in_one_run(name: str, traces: list[Any]) -> None:
    function = STEERED[name]
    x = np.array([1.0, 2.0, 3.0])
    for _ in range(2):
        for a in (0.25, 0.75, 1.0, 0.0, 0.5):
            step = 1e-6
            plain = [(function(x + d, a) - function(x - d, a)) / 2e-6 for d in step * np.eye(3)]
            value, found = pullback.value_and_grad(function)(x, a)
            np.testing.assert_allclose(value, function(x, a), rtol=1e-14)
            np.testing.assert_allclose(found, plain, rtol=1e-8, atol=1e-8)
    traced = ("np.asarray", "an array of it", "math", "min and max")
    assert len(traces) == 5 or name in traced


def test_a_float_steers_through_a_gradient_inside() -> None:
    def inner(y: Any, a: Any) -> Any:
        return (y**2 if a > 0.5 else y**3).sum()

    def outer(x: Any, a: Any) -> Any:
        closed = pullback.grad(lambda y: (y**2 if a > 0.5 else y**3).sum())(x)
        return (pullback.grad(inner)(x, a) + closed).sum()

    for a in (0.25, 0.75, 0.25):
        assert pullback.grad(outer)(X, a)[0] == (4.0 if a > 0.5 else 24.0)


def test_floats_that_do_not_steer_share_a_plan(traces: list[Any]) -> None:
    for a in (0.25, 0.75, -0.0, 0.0):
        pullback.grad(lambda x, a: (x * a).sum())(X, a)
    assert len(traces) == 1


# --------------------------------------------------------------------------------------------------
# Random changes


@pytest.mark.parametrize("seed", range(2))
def test_random_changes_are_seen(seed: int) -> None:
    """A function of all of an environment, whose parts change in random order between calls."""
    rng = np.random.default_rng(seed)

    class Part:
        shared = 1.0

        def __init__(self) -> None:
            self.own = 1.0

        def __call__(self, x: Any) -> Any:
            return x * self.own * self.shared

    held: dict[str, Any] = {
        "number": 1.0,
        "list": [1.0, [2.0, (1.0,)]],
        "array": np.ones(3),
        "view": np.ones(9)[::3],
        "part": Part(),
        "function": lambda x: x,
        "partial": functools.partial(lambda w, x: w * x, 1.0),
        "flag": True,
    }
    helper_default = [1.0]

    def helper(x: Any, w: Any = helper_default) -> Any:
        return x * w[0]

    def f(x: Any) -> Any:
        y = helper(x) * held["number"] * held["list"][1][0] * held["array"].sum()
        y = held["part"](held["function"](held["partial"](y))) * (held["view"] * [1, 2, 3]).sum()
        return (y if held["flag"] else -y).sum() * len(held["list"])

    def draw() -> float:
        return float(rng.integers(1, 4))

    changes: list[Callable[[], Any]] = [
        lambda: held.update(number=draw()),
        lambda: held["list"][1].__setitem__(0, draw()),
        lambda: held["list"].append(1) if len(held["list"]) < 4 else held["list"].pop(),
        lambda: held["array"].__setitem__(rng.integers(3), draw()),
        lambda: held.update(array=held["array"].astype(rng.choice(["f4", "f8"]))),
        lambda: held["view"].base.__setitem__(rng.integers(9), draw()),
        lambda: setattr(held["part"], "own", draw()),
        lambda: setattr(Part, "shared", draw()),
        lambda: held.update(part=Part()),
        lambda: held.update(function=rng.choice([lambda x: x, lambda x: 2 * x, np.negative])),
        lambda: held.update(partial=functools.partial(lambda w, x: w * x, draw())),
        lambda: held.update(flag=not held["flag"]),
        lambda: helper_default.__setitem__(0, draw()),
        lambda: held.update(dict(reversed(held.items()))),
    ]
    ask = [*ASKED.values()]
    for _ in range(50):
        for _ in range(rng.integers(0, 3)):
            changes[rng.integers(len(changes))]()
        found = ask[rng.integers(len(ask))](f, X)
        np.testing.assert_allclose(found, f(X), rtol=1e-12)


# --------------------------------------------------------------------------------------------------
# Threads


def test_threads_share_the_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while plans are evicted all the time."""
    monkeypatch.setattr(pullback.gradients._PLANS, "most", 2)
    monkeypatch.setattr(pullback.runtime.forward._GENERALS, "most", 2)
    functions = [closure(np.full(1, float(n)), np.positive) for n in range(4)]
    functions += [lambda x: (x**2).sum(), lambda x: (x**3).sum(), lambda x: x.sum()]
    wrong: list[Any] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(25):
            function, x = functions[rng.integers(len(functions))], np.full(rng.integers(1, 4), 2.0)
            try:
                if not np.allclose(pullback.jvp(function, (x,), (x,))[0], function(x)):
                    wrong.append(function)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
    assert len(pullback.gradients._PLANS.found) <= 2
