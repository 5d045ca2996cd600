"""Python loops of traced functions become recurrences: found at named and at plain lengths, right
at all of them, and of one length of source."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import ArgumentError, ShapeError, TraceError
from pullback.ir.interpret import run
from pullback.ir.program import live
from pullback.ir.recurrence import groups, is_recurrent
from pullback.runtime import forward as forwarding
from pullback.trace.rolling import rolled
from pullback.trace.tracer import Spec, trace
from tests.trace.loops import random_loop

Array = np.ndarray[Any, Any]
LENGTHS = (0, 1, 2, 3, 17)


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def rnn_list(X: Any, W: Any, h: Any) -> Any:
    hs = []
    for x in X:
        h = np.tanh(x + h @ W)
        hs.append(h)
    return np.stack(hs), h


def lstm(X: Any, W: Any, U: Any, b: Any) -> Any:
    h, c = np.zeros(2), np.zeros(2)
    for x in X:
        z = x @ W + h @ U + b
        i, f, o, g = sigmoid(z[:2]), sigmoid(z[2:4]), sigmoid(z[4:6]), np.tanh(z[6:])
        c = f * c + i * g
        h = o * np.tanh(c)
    return h, c


def crf(e: Any, A: Any) -> Any:
    a = e[0]
    for t in range(1, e.shape[0]):
        s = a[:, None] + A
        m = s.max(axis=0)
        a = np.log(np.exp(s - m).sum(axis=0)) + m + e[t]
    return np.log(np.exp(a).sum())


def hmm(pi: Any, A: Any, B: Any) -> Any:
    a, log_likelihood = pi, 0.0
    for t in range(len(B)):
        a = (a @ A) * B[t]
        s = a.sum()
        log_likelihood = log_likelihood + np.log(s)
        a = a / s
    return log_likelihood + a[0]


def kalman(z: Any, q: Any, r: Any) -> Any:
    m, p, total = 0.0, 1.0, 0.0
    for v in z:
        p = p + q
        s = p + r
        e = v - m
        total = total - 0.5 * (np.log(s) + e * e / s)
        m, p = m + p / s * e, p * r / s
    return total + m


def moving_average(x: Any, a: Any) -> Any:
    m, out = 0.0, []
    for t, v in enumerate(x):
        m = a * m + (1 - a) * v * (t + 1)
        out.append(m)
    return np.stack(out)


def selective(x: Any, d: Any, A: Any, B: Any, C: Any) -> Any:
    h, ys = np.zeros((2, 3)), []
    for t in range(x.shape[0]):
        h = np.exp(d[t][:, None] * A) * h + (d[t] * x[t])[:, None] * B[t][None, :]
        ys.append(h @ C[t])
    return np.stack(ys)


def backwards(X: Any, W: Any) -> Any:
    h, out = np.zeros(3), []
    for x, z in zip(reversed(X), X, strict=True):
        h = np.tanh(x + h @ W) * z
        out.append(h)
    return np.stack(out[::-1])


def two_ways(X: Any, W: Any, V: Any) -> Any:
    ahead, behind = [], []
    h = np.zeros(3)
    for x in X:
        h = np.tanh(x + h @ W)
        ahead.append(h)
    h = np.zeros(3)
    for x in X[::-1]:
        h = np.tanh(x + h @ V)
        behind.append(h)
    return np.stack(ahead) * np.stack(behind[::-1])


def two_ago(x: Any, a: Any, b: Any) -> Any:
    for t in range(len(x)):
        a, b = b, np.sin(a * b) + x[t]
    return a + 2 * b


def counted(x: Any) -> Any:
    t, y = 0, np.ones(())
    while t < x.shape[0]:
        y = np.cos(y * x[t])
        t = t + 1
    return y


def running_sum(X: Any, w: Any) -> Any:
    total = np.zeros(())
    for x in X:
        total = total + np.log1p(np.exp(-(x @ w)))
    return total


def scanned(X: Any, W: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = np.tanh(x + h @ W)
        return h, {"h": h, "s": h.sum()}

    h, ys = pullback.scan(step, np.zeros(3), X, reverse=True)
    return h, ys["h"], ys["s"]


def a_turn_late(X: Any) -> Any:
    """The first turn is another one, so that there are two steps less than X has rows."""
    c, d, total = np.zeros(3), X[0], np.zeros(())
    for t in range(1, X.shape[0]):
        v = 0.5 * (X[t] - 0.3 * c)
        c, d = np.tanh(c * X[t - 1]), 0.4 * v
        total = total + d.sum()
    return d, total


def kalman_of_numbers(y: Any, a: Any, q: Any, r: Any) -> Any:
    """Numbers that the first turn computes with, so that it is another one."""
    x, P = 0.0, 1.0
    for value in y:
        x, P = a * x, a * a * P + q
        K = P / (P + r)
        x, P = x + K * (value - x), (1 - K) * P
    return x, P


def adam(g: Any, w: Any) -> Any:
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, len(g) + 1):
        grad = g[t - 1] + 0.1 * w
        m = 0.9 * m + 0.1 * grad
        v = 0.999 * v + 0.001 * grad**2
        w = w - 0.01 * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


LEAST = {a_turn_late: 2, kalman_of_numbers: 1, adam: 1}  # lengths of loops whose first turn differs
NAMED: list[tuple[Callable[..., Any], dict[str, str]]] = [
    (rnn_list, {"X": "T D", "W": "D D", "h": "D"}),
    (lstm, {"X": "T 3", "W": "3 8", "U": "2 8", "b": "8"}),
    (crf, {"e": "T K", "A": "K K"}),
    (hmm, {"pi": "3", "A": "3 3", "B": "T 3"}),
    (kalman, {"z": "T", "q": "", "r": ""}),
    (moving_average, {"x": "T", "a": ""}),
    (selective, {"x": "T 2", "d": "T 2", "A": "2 3", "B": "T 3", "C": "T 3"}),
    (backwards, {"X": "T 3", "W": "3 3"}),
    (two_ways, {"X": "T 3", "W": "3 3", "V": "3 3"}),
    (two_ago, {"x": "T", "a": "", "b": ""}),
    (counted, {"x": "T"}),
    (a_turn_late, {"X": "T 3"}),
    (kalman_of_numbers, {"y": "T", "a": "", "q": "", "r": ""}),
    (adam, {"g": "T 2", "w": "2"}),
    (running_sum, {"X": "T 3", "w": "3"}),
    (scanned, {"X": "T 3", "W": "3 3"}),
]


def arguments(shapes: dict[str, str], length: int) -> list[Array]:
    random = np.random.default_rng(length)
    sizes = {"T": length, "N": 4, "D": 2, "K": 3}
    return [
        random.uniform(0.2, 1.0, tuple(sizes.get(n) or int(n != "T" and n) for n in shape.split()))
        for shape in shapes.values()
    ]


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def check(function: Callable[..., Any], given: list[Array], out: Any, pulled: Any) -> None:
    """Values are NumPy's, and the pullback's product with a direction is the difference's."""
    wanted = as_tuple(function(*given))
    for one, other in zip(as_tuple(out), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
        assert np.shape(one) == np.shape(other)
    random = np.random.default_rng(3)
    cotangents = [random.normal(size=np.shape(value)) for value in wanted]
    gradients = as_tuple(pulled(cotangents[0] if not isinstance(out, tuple) else tuple(cotangents)))
    along = [random.normal(size=value.shape) for value in given]

    def loss(at: float) -> float:
        values = as_tuple(function(*(x + at * u for x, u in zip(given, along, strict=True))))
        return sum(float((v * c).sum()) for v, c in zip(values, cotangents, strict=True))

    step = 1e-5
    slope = (loss(step) - loss(-step)) / (2 * step)
    found = sum(float((g * u).sum()) for g, u in zip(gradients, along, strict=True))
    assert found == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("function", "shapes"), NAMED, ids=[f.__name__ for f, _ in NAMED])
def test_loops_over_a_named_size(function: Callable[..., Any], shapes: dict[str, str]) -> None:
    derivation = pullback.derive(function, **shapes)
    assert len(derivation.source().splitlines()) < 160
    forward, backward = derivation.compile()
    for length in LENGTHS:
        if length < LEAST.get(function, 0):
            with pytest.raises(ShapeError, match="negative extent"):
                forward(*arguments(shapes, length))
            continue
        given = arguments(shapes, length)
        try:
            function(*given)
        except (ValueError, IndexError):
            continue  # NumPy stacks no empty lists
        out, cache = forward(*given)
        check(function, given, out, lambda c, cache=cache: backward(c, cache))


def euler(p: Any) -> Any:
    s, i = 0.9, 0.1
    for _ in range(20):
        ds, di = -p[0] * s * i, p[0] * s * i - p[1] * i
        s, i = s + 0.1 * ds, i + 0.1 * di
    return i


def rate(s: Any, i: Any, p: Any) -> Any:
    return -p[0] * s * i, p[0] * s * i - p[1] * i


def runge_kutta(p: Any) -> Any:
    s, i, h = 0.9, 0.1, 0.1
    for _ in range(12):
        a = rate(s, i, p)
        b = rate(s + h / 2 * a[0], i + h / 2 * a[1], p)
        c = rate(s + h / 2 * b[0], i + h / 2 * b[1], p)
        d = rate(s + h * c[0], i + h * c[1], p)
        s = s + h / 6 * (a[0] + 2 * b[0] + 2 * c[0] + d[0])
        i = i + h / 6 * (a[1] + 2 * b[1] + 2 * c[1] + d[1])
    return i


def sinkhorn(C: Any) -> Any:
    f, g = np.zeros(C.shape[0]), np.zeros(C.shape[1])
    for _ in range(15):
        f = -np.log(np.exp(g[None, :] - C).sum(1))
        g = -np.log(np.exp(f[:, None] - C).sum(0))
    return (np.exp(f[:, None] + g[None, :] - C) * C).sum()


def heat(u: Any, k: Any) -> Any:
    for _ in range(60):
        u = u + k * (np.roll(u, 1) - 2 * u + np.roll(u, -1))
    return (u**2).sum()


def newton(a: Any) -> Any:
    x = a
    for _ in range(10):
        x = x - (x * x - a) / (2 * x)
    return x.sum()


def scheduled(x: Any) -> Any:
    for k in range(12):
        x = x + np.sin(x) * 0.7**k
    return x.sum()


PLAIN: list[tuple[Callable[..., Any], list[Array]]] = [
    (euler, [np.array([1.0, 0.3])]),
    (runge_kutta, [np.array([1.0, 0.3])]),
    (sinkhorn, [np.random.default_rng(0).uniform(size=(3, 4))]),
    (heat, [np.random.default_rng(1).uniform(size=9), np.array(0.1)]),
    (newton, [np.array([1.5, 2.5])]),
    (scheduled, [np.array([0.3, 0.9])]),
]


@pytest.mark.parametrize(("function", "given"), PLAIN, ids=[f.__name__ for f, _ in PLAIN])
def test_loops_of_a_plain_number_of_steps(function: Callable[..., Any], given: list[Array]) -> None:
    names = function.__code__.co_varnames[: len(given)]
    traced = trace(function, {n: Spec(x.shape) for n, x in zip(names, given, strict=True)})
    made = rolled(traced)
    assert any(map(is_recurrent, groups(live(made.program).statements)))
    assert len(made.program.statements) * 3 < len(live(traced.program).statements)
    out, pulled = pullback.vjp(function, *given)
    check(function, given, out, pulled)


def test_source_is_of_one_length_whatever_the_number_of_steps() -> None:
    def repeated(steps: int) -> Callable[..., Any]:
        def f(x: Any, a: Any) -> Any:
            for _ in range(steps):
                x = np.sin(a * x) + x
            return x

        return f

    def source(steps: int) -> str:
        text = pullback.derive(repeated(steps), x="N", a="").source()
        text = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)  # where it was compared
        return re.sub(rf"\b{steps - 1}\b", "LAST", re.sub(rf"\b{steps}\b", "STEPS", text))

    assert source(20) == source(40)


def test_a_trace_of_few_turns_stays_as_it_is() -> None:
    traced = trace(lambda x: np.sin(np.sin(np.sin(x))), {"x": Spec((3,))})
    assert rolled(traced) is traced


@pytest.mark.parametrize("seed", range(6))
def test_random_loops(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rolled up they are what they were unrolled: by the interpreter, and their gradients."""
    text, function = random_loop(seed)
    random = np.random.default_rng(seed)
    shapes = {"X": (9, 3), "Z": (9, 3), "W": (3, 3), "a": (3,)}
    given = {name: random.normal(size=shape) * 0.5 for name, shape in shapes.items()}
    traced = trace(function, {name: Spec(shape) for name, shape in shapes.items()})
    made = rolled(traced, 3, guarded=True)
    left, right = run(traced.program, given), run(made.program, {**given, **made.constants})
    for one, other in zip(traced.program.outputs, made.program.outputs, strict=True):
        np.testing.assert_allclose(
            left[one.name].flat, right[other.name].flat, rtol=1e-12, err_msg=text
        )
    out, pulled = pullback.vjp(function, *given.values())
    monkeypatch.setattr(forwarding, "rolled", lambda traced: traced)
    _, unrolled = pullback.vjp(lambda *args: function(*args), *given.values())
    for one, other in zip(pulled(out), unrolled(out), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=text)


def test_turns_that_do_something_else_are_refused_with_what_works() -> None:
    def two_kinds(X: Any) -> Any:
        h = np.ones(())
        for t in range(X.shape[0]):
            h = np.sin(h * X[t]) if t % 3 else np.exp(h - X[t])
        return h

    with pytest.raises(TraceError, match=r"(?s)depends on T.*scan.*index notation"):
        pullback.derive(two_kinds, X="T")


def test_a_scan_is_the_plain_loop_outside_of_a_trace() -> None:
    last, sums = pullback.scan(lambda c, x: (c + x, c + x), 0.0, np.arange(5.0))
    assert last == 10.0
    np.testing.assert_array_equal(sums, np.cumsum(np.arange(5.0)))
    power, nothing = pullback.scan(lambda c, _: (2 * c, None), 1.0, length=7)
    assert (power, nothing) == (128.0, None)


def test_a_scan_of_no_steps() -> None:
    last, found = pullback.scan(lambda c, x: (c, {"y": x @ x}), 3.0, np.zeros((0, 4)))
    assert last == 3.0
    assert found["y"].shape == (0,)


@pytest.mark.parametrize("given", [(None,), ((np.zeros(2), np.zeros(3)),), (np.zeros(()),)])
def test_a_scan_without_a_number_of_steps_is_refused(given: tuple[Any, ...]) -> None:
    with pytest.raises(ArgumentError, match="number of steps"):
        pullback.scan(lambda c, x: (c, x), 0.0, *given)
