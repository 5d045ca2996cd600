"""What captured arrays cost in a known call, against the same arrays as arguments, and what calling
through ``grad`` costs beside the generated functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import pullback

from .measure import Thunk, in_turns
from .tables import Result, plain


@dataclass(frozen=True)
class Case:
    """A loss by its first argument; the arrays after it are captured, or passed."""

    name: str
    loss: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]

    def arrays(self) -> list[Any]:
        """Random arrays of the shapes."""
        rng = np.random.default_rng(0)
        return [rng.normal(size=shape) for shape in self.shapes]


def weighted(x: Any, w: Any) -> Any:
    """A loss of next to no work."""
    return (x * w).sum()


def regression(p: Any, X: Any, y: Any) -> Any:
    """Least squares."""
    return ((X @ p - y) ** 2).mean()


def network(x: Any, W1: Any, b1: Any, W2: Any) -> Any:
    """A small network by its input."""
    return (np.tanh(x @ W1 + b1) @ W2).sum()


CASES = (
    Case("weighted sum", weighted, ((3,), (3,))),
    Case("network", network, ((8, 4), (4, 16), (16,), (16, 2))),
    Case("least squares, 1 MiB", regression, ((32,), (4096, 32), (4096,))),
    Case("least squares, 15 MiB", regression, ((32,), (61440, 32), (61440,))),
    Case("least squares, 100 MiB", regression, ((32,), (409600, 32), (409600,))),
)


def row(case: Case, rounds: int) -> dict[str, Any]:
    """The times of one case."""
    first, *rest = case.arrays()
    loss = case.loss
    of_one = pullback.grad(lambda x: loss(x, *rest))
    of_all = pullback.grad(loss)
    names = loss.__code__.co_varnames[: loss.__code__.co_argcount]
    derivation = pullback.derive(loss, argnums=0, **dict(zip(names, case.shapes, strict=True)))
    generated: dict[str, Any] = {}
    exec(derivation.source(), generated)

    def by_hand(forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
        _, cache = forward(first, *rest)
        return backward(1.0, cache)

    thunks: dict[str, Thunk] = {
        "captured": lambda: of_one(first),
        "argument": lambda: of_all(first, *rest),
        "compiled": functools.partial(by_hand, *derivation.compile()),
        "generated": functools.partial(by_hand, generated["forward"], generated["backward"]),
    }
    assert np.array_equal(thunks["captured"](), thunks["argument"]())  # type: ignore[arg-type]
    times = in_turns(thunks, rounds)
    return {
        "case": case.name,
        **{name: plain(found) for name, found in times.items()},
        "captured / argument": times["captured"].ratio(times["argument"]),
        "argument / generated": times["argument"].ratio(times["generated"]),
        "compiled / generated": times["compiled"].ratio(times["generated"]),
    }


def captured(rounds: int) -> Result:
    """Known calls of ``grad``."""
    return Result(
        "Captured arrays",
        (
            "A known call of `grad` by the first argument. *captured*: the other arrays are closed",
            "over; *argument*: they are passed. Beside these, forward and backward by hand:",
            "*compiled*: what `derive(...).compile()` gives; *generated*: its bare source. A ratio",
            "is the median over the rounds.",
        ),
        (
            "case",
            *("captured", "argument", "compiled", "generated"),
            *("captured / argument", "argument / generated", "compiled / generated"),
        ),
        [row(case, rounds) for case in CASES],
    )
