"""What a call costs besides computing: known calls at tiny sizes, and first calls at new sizes."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import autograd
import autograd.numpy
import numpy as np

import pullback
from pullback.trace.tracer import Spec, trace

from .forms import under
from .measure import Thunk, Timing, in_turns
from .tables import Result, plain


def weighted(x: Any, w: Any) -> Any:
    """A loss of next to no work."""
    return (x * w).sum()


def network(x: Any, W1: Any, b1: Any, W2: Any) -> Any:
    """A small network."""
    return (np.tanh(x @ W1 + b1) @ W2).sum()


def _log_softmax(z: Any) -> Any:
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def classifier(W: Any, b: Any, X: Any, y: Any) -> Any:
    """Cross-entropy of a linear classifier, by way of a function of its own."""
    return -_log_softmax(X @ W + b)[np.arange(y.shape[0]), y].mean()


@dataclass(frozen=True)
class Case:
    """A loss, its arguments, and how many of these, from the first on, it is differentiated by."""

    name: str
    loss: Callable[..., Any]
    arguments: tuple[Any, ...]
    floats: int


def _random(*shape: int) -> Any:
    return np.random.default_rng(len(shape)).normal(size=shape)


CASES = (
    Case("weighted sum", weighted, (_random(3), _random(3)), 2),
    Case("network", network, (_random(8, 4), _random(4, 16), _random(16), _random(16, 2)), 4),
    Case(
        "classifier",
        classifier,
        (_random(4, 3), _random(3), _random(5, 4), np.array([0, 2, 1, 1, 0])),
        2,
    ),
)


def row(case: Case, rounds: int) -> dict[str, Any]:
    """The times of one case."""
    loss, arguments = case.loss, case.arguments
    asked = tuple(range(case.floats))
    names = loss.__code__.co_varnames[: loss.__code__.co_argcount]
    shapes = dict(zip(names, arguments, strict=True))
    derivation = pullback.derive(loss, argnums=asked, **shapes)
    generated: dict[str, Any] = {}
    exec(derivation.source(), generated)
    rival = autograd.grad(under(autograd.numpy, _with_rival(loss)), asked)
    slope = pullback.grad(loss, asked)
    floats, rest = arguments[: case.floats], arguments[case.floats :]
    of_floats = pullback.grad(lambda *given: loss(*given, *rest), asked)

    def by_hand(forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
        _, cache = forward(*arguments)
        return backward(1.0, cache)

    thunks: dict[str, Thunk] = {
        "generated": functools.partial(by_hand, generated["forward"], generated["backward"]),
        "compiled": functools.partial(by_hand, *derivation.compile()),
        "grad": lambda: slope(*arguments),
        "captured": lambda: of_floats(*floats),
        "vjp": lambda: pullback.vjp(loss, *arguments)[1](1.0)[: case.floats],
        "autograd": lambda: rival(*arguments),
    }
    _check_equal({name: thunk() for name, thunk in thunks.items()})
    times = in_turns(thunks, rounds)
    base = times["generated"]
    return {
        "case": case.name,
        **{name: plain(found) for name, found in times.items()},
        **{
            f"{name} / generated": times[name].ratio(base)
            for name in ("compiled", "grad", "captured", "vjp")
        },
        "autograd / grad": times["autograd"].ratio(times["grad"]),
    }


def _with_rival(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The loss, with the functions of this module that it calls meaning autograd's NumPy, too."""
    scope = dict(loss.__globals__)  # type: ignore[attr-defined]
    scope["_log_softmax"] = under(autograd.numpy, _log_softmax)
    return type(_log_softmax)(loss.__code__, scope, loss.__name__)  # type: ignore[attr-defined]


def _check_equal(results: dict[str, Any]) -> None:
    """Raises unless all contenders found the same gradients."""
    first = results["generated"]
    for found in results.values():
        for mine, theirs in zip(first, found, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def overhead(rounds: int) -> Result:
    """Known calls at tiny sizes, beside the generated functions."""
    columns = ("generated", "compiled", "grad", "captured", "vjp", "autograd")
    ratios = ("compiled", "grad", "captured", "vjp")
    return Result(
        "What a known call costs",
        (
            "Forward and backward together, tiny arrays. *generated*: the bare functions of the",
            "generated source, called by hand; *compiled*: those of `derive(...).compile()`, which",
            "check their arguments; *grad* and *vjp*: all arrays are arguments; *captured*: of",
            "`grad`, what isn't differentiated is closed over; *autograd*: HIPS autograd's `grad`.",
            "A ratio is the median over the rounds.",
        ),
        ("case", *columns, *(f"{name} / generated" for name in ratios), "autograd / grad"),
        [row(case, rounds) for case in CASES],
    )


# --------------------------------------------------------------------------------------------------
# New sizes


def step(params: Any, X: Any, y: Any) -> Any:
    """The loss of a network of two layers: what a step of training differentiates."""
    (W1, b1), (W2, b2) = params
    return -_log_softmax(np.maximum(X @ W1 + b1, 0) @ W2 + b2)[np.arange(len(y)), y].mean()


PARAMETERS = [(_random(20, 16), _random(16)), (_random(16, 5), _random(5))]
MET = (32, 7)  # batch sizes at which the gradient was taken before
NEW = (3, 5, 6, *range(40, 80))


def _batch(n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, 20)), rng.integers(0, 5, size=n)


def _timed(thunk: Thunk) -> float:
    start = time.perf_counter()
    thunk()
    return time.perf_counter() - start


def _workload() -> None:
    """A fixed workload of plain Python, of a millisecond or so."""
    found: dict[int, int] = {}
    for k in range(10_000):
        found[k % 1009] = found.get(k % 1013, 0) + k


def probe(sizes: Iterable[int]) -> dict[str, list[float]]:
    """Seconds of each contender at each of the sizes, the first two sizes having been met."""
    slope = pullback.grad(step)
    for n in MET:
        slope(PARAMETERS, *_batch(n))
    seconds: dict[str, list[float]] = {
        name: [] for name in ("new", "known", "trace", "autograd", "workload")
    }
    rival = autograd.grad(under(autograd.numpy, _with_rival(step)))
    leaves = [Spec(np.shape(a)) for pair in PARAMETERS for a in pair]
    for n in sizes:
        X, y = _batch(n)

        def flat(a: Any, b: Any, c: Any, d: Any, X: Any, y: Any) -> Any:
            return step([(a, b), (c, d)], X, y)

        specs = dict(zip("abcdXy", (*leaves, Spec(X.shape), Spec(y.shape, "int64")), strict=True))
        thunks: dict[str, Thunk] = {
            "new": functools.partial(slope, PARAMETERS, X, y),
            "known": functools.partial(slope, PARAMETERS, X, y),
            "trace": functools.partial(trace, flat, specs),
            "autograd": functools.partial(rival, PARAMETERS, X, y),
            "workload": _workload,
        }
        for name, thunk in thunks.items():
            seconds[name].append(_timed(thunk))
    return seconds


_PROBE = """
import json, sys
from benchmarks.overhead import probe
print(json.dumps(probe(json.loads(sys.argv[1]))))
"""


def _probed(sizes: Sequence[int]) -> dict[str, list[float]]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, json.dumps(sizes)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def batches(rounds: int) -> Result:
    """First calls at new batch sizes."""
    rows = []
    for name, sizes, count in (("any", NEW, 1), ("1", (1,), 3), ("2", (2,), 3)):
        many = [_probed(sizes) for _ in range(max(1, count * rounds // 9))]
        times = {k: Timing(tuple(s for one in many for s in one[k])) for k in many[0]}
        rows.append(
            {
                "batch size": name,
                **{k: plain(found) for k, found in times.items()},
                "new / trace": times["new"].ratio(times["trace"]),
                "new / workload": times["new"].ratio(times["workload"]),
                "autograd / known": times["autograd"].ratio(times["known"]),
            }
        )
    return Result(
        "A new batch size",
        (
            f"`grad` of a network's loss, met at the batch sizes {MET[0]} and {MET[1]} before.",
            "*new*: the first call at another batch size; *known*: the same again; *trace*:",
            "tracing the function at that size, nothing else; *workload*: 10,000 turns of a loop",
            "of plain Python in that process. A ratio is the median over the sizes.",
        ),
        (
            "batch size",
            *("new", "known", "trace", "autograd", "workload"),
            *("new / trace", "new / workload", "autograd / known"),
        ),
        rows,
    )
