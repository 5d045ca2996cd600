"""How the time and the memory of a first gradient grow with the length of an unrolled program.

Each program is run at n, 2n and 4n steps, each in a process of its own, after the gradient of
something unrelated. Beside the seconds stands the time of a fixed workload of plain Python in the
same process, so that figures of different machines can be compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from math import log2
from typing import Any

import numpy as np

from .measure import Timing
from .tables import Result

Program = tuple[Callable[..., Any], tuple[Any, ...]]  # a loss, and its arguments


def _random(*shape: int) -> Any:
    return np.random.default_rng(0).uniform(0.1, 1, size=shape)


def _epidemic(beta: Any, gamma: Any, state: Any) -> Any:
    s, i, _ = state
    new, out = beta * s * i, gamma * i
    return -new, new - out, out


def euler(n: int) -> Program:
    """An epidemic model (SIR) by Euler's method."""

    def loss(beta: Any, gamma: Any, s: Any, i: Any, r: Any) -> Any:
        state = s, i, r
        for _ in range(n):
            slope = _epidemic(beta, gamma, state)
            state = tuple(a + 0.1 * b for a, b in zip(state, slope, strict=True))
        return state[1]

    return loss, (0.3, 0.1, 0.99, 0.01, 0.0)


def runge_kutta(n: int) -> Program:
    """The same by the classical method of order 4."""

    def moved(state: Any, slope: Any, h: float) -> Any:
        return tuple(a + h * b for a, b in zip(state, slope, strict=True))

    def loss(beta: Any, gamma: Any, s: Any, i: Any, r: Any) -> Any:
        state = s, i, r
        for _ in range(n):
            k1 = _epidemic(beta, gamma, state)
            k2 = _epidemic(beta, gamma, moved(state, k1, 0.05))
            k3 = _epidemic(beta, gamma, moved(state, k2, 0.05))
            k4 = _epidemic(beta, gamma, moved(state, k3, 0.1))
            mean = tuple(
                (a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True)
            )
            state = moved(state, mean, 0.1)
        return state[1]

    return loss, (0.3, 0.1, 0.99, 0.01, 0.0)


def _logsumexp(x: Any, axis: int) -> Any:
    top = x.max(axis=axis, keepdims=True)
    return np.squeeze(np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top, axis)


def random_field(n: int) -> Program:
    """The log partition function of a chain (a conditional random field)."""

    def loss(transitions: Any, emissions: Any) -> Any:
        alpha = emissions[0]
        for t in range(1, n):
            alpha = _logsumexp(alpha[:, None] + transitions, 0) + emissions[t]
        return _logsumexp(alpha, 0)

    return loss, (_random(3, 3), _random(n, 3))


def compositing(n: int) -> Program:
    """Front-to-back compositing of colours along a ray."""

    def loss(alpha: Any, colour: Any) -> Any:
        total, left = 0.0 * colour[0], 1.0 + 0.0 * alpha[0]
        for k in range(n):
            total = total + left * alpha[k] * colour[k]
            left = left * (1 - alpha[k])
        return total.sum()

    return loss, (_random(n), _random(n, 3))


def sinkhorn(n: int) -> Program:
    """Entropic transport, iterated in the log domain."""

    def loss(cost: Any) -> Any:
        u, v = np.zeros(4), np.zeros(4)
        for _ in range(n):
            u = -_logsumexp(v[None, :] - cost, 1)
            v = -_logsumexp(u[:, None] - cost, 0)
        return (np.exp(u[:, None] + v[None, :] - cost) * cost).sum()

    return loss, (_random(4, 4),)


def recurrent(n: int) -> Program:
    """A recurrent network."""

    def loss(W: Any, U: Any, x: Any, h: Any) -> Any:
        for t in range(n):
            h = np.tanh(x[t] @ W + h @ U)
        return (h**2).sum()

    return loss, (_random(3, 4), _random(4, 4), _random(n, 3), _random(4))


def _repeated(step: Callable[..., Any], start: float | None = None) -> Callable[[int], Program]:
    def program(n: int) -> Program:
        def loss(x: Any) -> Any:
            y = x if start is None else start
            for _ in range(n):
                y = step(y, x)
            return y

        return loss, (0.9,)

    return program


def pieces(n: int) -> Program:
    """A concatenation of n pieces."""

    def loss(x: Any) -> Any:
        return (np.concatenate([x * (k + 1) for k in range(n)]) ** 2).sum()

    return loss, (_random(3),)


def layers(n: int) -> Program:
    """A network of n layers."""

    def loss(x: Any, *weights: Any) -> Any:
        for w in weights:
            x = np.tanh(x @ w)
        return (x**2).sum()

    return loss, (_random(5, 4), *(_random(4, 4) for _ in range(n)))


@dataclass(frozen=True)
class Case:
    """A program of some length, and the least n at which it is measured."""

    program: Callable[[int], Program]
    least: int


CASES: dict[str, Case] = {
    "SIR, Euler": Case(euler, 10),
    "SIR, Runge-Kutta": Case(runge_kutta, 3),
    "conditional random field": Case(random_field, 5),
    "compositing": Case(compositing, 20),
    "Sinkhorn, log domain": Case(sinkhorn, 2),
    "recurrent network": Case(recurrent, 10),
    "sin(sin(...))": Case(_repeated(lambda y, x: np.sin(y)), 100),
    "y*y": Case(_repeated(lambda y, x: y * y), 10),
    "Newton's square root": Case(_repeated(lambda y, x: 0.5 * (y + x / y), 1.0), 25),
    "y/3.7*3.6999": Case(_repeated(lambda y, x: y / 3.7 * 3.6999), 50),
    "np.concatenate": Case(pieces, 40),
    "layers": Case(layers, 10),
}


def workload() -> float:
    """Seconds of a fixed workload of plain Python."""
    start = time.process_time()
    found: dict[int, int] = {}
    for k in range(400_000):
        found[k % 1009] = found.get(k % 1013, 0) + k
    return time.process_time() - start


def probe(name: str, n: int, memory: bool) -> dict[str, float]:
    """Seconds of CPU of a first gradient, or its peak of memory in MiB, and of the workload."""
    import pullback

    pullback.grad(lambda a, b: (np.cos(a) * b).sum())(np.ones(3), np.ones(3))
    loss, arguments = CASES[name].program(n)
    every = tuple(range(len(arguments)))
    if memory:
        tracemalloc.start()
        pullback.grad(loss, argnums=every)(*arguments)
        return {"memory": tracemalloc.get_traced_memory()[1] / 2**20}
    before = workload()
    start = time.process_time()
    gradients = pullback.grad(loss, argnums=every)(*arguments)
    seconds = time.process_time() - start
    _check(loss, arguments, gradients)
    return {"seconds": seconds, "workload": (before + workload()) / 2}


def _check(loss: Callable[..., Any], arguments: tuple[Any, ...], gradients: Any) -> None:
    """Raises unless the gradients agree with a difference quotient in a random direction."""
    rng = np.random.default_rng(1)
    way = [rng.normal(size=np.shape(a)) for a in arguments]
    ends = [loss(*(a + h * d for a, d in zip(arguments, way, strict=True))) for h in (1e-6, -1e-6)]
    slope = sum(np.sum(g * d) for g, d in zip(gradients, way, strict=True))
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-7)


_PROBE = """
import json, sys
from benchmarks.growth import probe
print(json.dumps(probe(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "memory")))
"""


def _probed(name: str, n: int, what: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, name, str(n), what],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name}, n = {n}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def growth(rounds: int) -> Result:
    """A row a program: its time and memory at n, 2n and 4n."""
    rows = []
    for name, case in CASES.items():
        sizes = [case.least, 2 * case.least, 4 * case.least]
        seconds, parts = [], []
        for n in sizes:
            found = [_probed(name, n, "time") for _ in range(max(1, rounds // 3))]
            seconds.append(Timing(tuple(f["seconds"] for f in found)).median)
            parts.append(Timing(tuple(f["seconds"] / f["workload"] for f in found)).median)
        memory = [_probed(name, n, "memory")["memory"] for n in sizes]
        rows.append(
            {
                "program": name,
                "n": ", ".join(map(str, sizes)),
                "seconds": ", ".join(f"{s:.2f}" for s in seconds),
                "workloads": ", ".join(f"{p:.1f}" for p in parts),
                "from 2n to 4n": parts[2] / parts[1],
                "exponent": log2(parts[2] / parts[0]) / 2,
                "MiB": ", ".join(f"{m:.1f}" for m in memory),
                "memory, from 2n to 4n": memory[2] / memory[1],
            }
        )
    return Result(
        "The first gradient of a longer and longer program",
        (
            "`pullback.grad` by all arguments: tracing, deriving, compiling, and the call. Seconds",
            "of CPU at n, 2n and 4n steps, each from processes of its own; *workloads* is the same",
            "as a multiple of a fixed workload of plain Python in that process. The exponent is",
            "that of a power law from n to 4n; 1 is linear. Memory is the peak of what Python",
            "allocates. Every gradient is compared with a difference quotient.",
        ),
        (
            "program", "n", "seconds", "workloads", "from 2n to 4n", "exponent", "MiB",
            "memory, from 2n to 4n",
        ),
        rows,
    )  # fmt: skip
