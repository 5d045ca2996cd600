"""Functions that read something which changes between two calls, or which they change themselves.

Each piece is made twice, from the same seed: once for pullback, once for the oracle, which runs the
function's coefficient by itself, once a call. Every function is (x * coefficient).sum(), so that
its gradient is the coefficient at the time of the call.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.random as other_name
from numpy.random import rand as noise

import pullback

from .outcome import Wrong

Coefficient = Callable[[], Any]
Change = Callable[[Random], None]
Piece = tuple[Coefficient, Change]

SCALE = 2.0
TABLE = [1.0, 2.0, 3.0]


class Base:
    factor = 1.5

    @property
    def doubled(self) -> float:
        return 2 * self.factor

    @staticmethod
    def fixed() -> float:
        return SCALE


class Meta(type):
    hidden = 1.0

    def __getattr__(cls, name: str) -> float:
        return Meta.hidden


class WithMeta(metaclass=Meta):
    pass


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self) -> float:
        return self.value


class Dynamic:
    def __init__(self) -> None:
        self.__dict__["store"] = {"a": 1.0}

    def __getattr__(self, name: str) -> float:
        if name.startswith("__"):
            raise AttributeError(name)
        return float(self.store["a"])


@dataclass
class Settings:
    rate: float = 1.0
    inner: dict[str, Any] = field(default_factory=lambda: {"w": np.ones(3), "k": [1.0, 2.0]})


def _array() -> Piece:
    B = np.ones(3)

    def change(rng: Random) -> None:
        B[rng.randrange(3)] = rng.uniform(-2, 2)

    return (lambda: B), change


def _view() -> Piece:
    B = np.arange(6.0)
    V = B[::2]

    def change(rng: Random) -> None:
        B[rng.randrange(6)] = rng.uniform(-2, 2)

    return (lambda: V), change


def _used_values() -> Piece:
    B = np.ones(3)

    def change(rng: Random) -> None:
        B[rng.randrange(3)] = rng.uniform(-2, 2)

    return (lambda: np.sin(B) if B[0] > 0 else np.cos(B)), change


def _counter() -> Piece:
    state = {"i": 0}

    def coefficient() -> float:
        state["i"] += 1
        return float(state["i"])

    return coefficient, lambda rng: None


def _cycle() -> Piece:
    state = {"i": 0}

    def coefficient() -> float:
        b = TABLE[state["i"]]
        state["i"] = (state["i"] + 1) % 3
        return b

    return coefficient, lambda rng: None


def _iterator() -> Piece:
    numbers = itertools.count(1)
    return (lambda: float(next(numbers))), lambda rng: None


def _generator() -> Piece:
    numbers = (float(n) for n in range(1, 1000))
    return (lambda: next(numbers)), lambda rng: None


def _random() -> Piece:
    rng = np.random.default_rng(3)
    return (lambda: rng.normal(size=3)), lambda rng: None


def _random_module() -> Piece:
    return (lambda: other_name.rand(3)), lambda rng: None


def _random_function() -> Piece:
    return (lambda: noise(3)), lambda rng: None


def _python_random() -> Piece:
    return (lambda: random.random()), lambda rng: None


def _poly() -> Piece:
    p = np.poly1d([1.0, 2.0, 3.0])

    def change(rng: Random) -> None:
        p[rng.randrange(3)] = rng.uniform(-2, 2)

    return (lambda: p(2.0)), change


def _vectorized() -> Piece:
    held = SimpleNamespace(v=2.0)
    v = np.vectorize(lambda t: t * held.v)

    def change(rng: Random) -> None:
        held.v = rng.uniform(-2, 2)

    return (lambda: v(np.ones(3))), change


def _wrapped() -> Piece:
    cell = [2.0]

    @functools.wraps(np.mean)
    def mean() -> float:
        return cell[0]

    def change(rng: Random) -> None:
        cell[0] = rng.uniform(-2, 2)

    return mean, change


def _cached() -> Piece:
    cell = [2.0]

    @functools.lru_cache
    def kept() -> float:
        return cell[0]

    def change(rng: Random) -> None:
        cell[0] = rng.uniform(-2, 2)
        if rng.randrange(2):
            kept.cache_clear()

    return (lambda: kept()), change


def _property() -> Piece:
    class Own(Base):
        pass

    own = Own()

    def change(rng: Random) -> None:
        rng.choice((Own, own)).factor = rng.uniform(-2, 2)  # type: ignore[attr-defined]

    return (lambda: own.doubled), change


def _metaclass() -> Piece:
    def change(rng: Random) -> None:
        Meta.hidden = rng.uniform(-2, 2)

    return (lambda: WithMeta.anything), change  # type: ignore[attr-defined]


def _slots() -> Piece:
    own = Slotted(1.0)

    def change(rng: Random) -> None:
        own.value = rng.uniform(-2, 2)

    return (lambda: own()), change


def _dynamic() -> Piece:
    own = Dynamic()

    def change(rng: Random) -> None:
        own.store["a"] = rng.uniform(-2, 2)

    return (lambda: own.whatever), change


def _settings() -> Piece:
    settings = Settings()

    def change(rng: Random) -> None:
        kind = rng.randrange(3)
        if kind == 0:
            settings.rate = rng.uniform(-2, 2)
        elif kind == 1:
            settings.inner["w"][rng.randrange(3)] = rng.uniform(-2, 2)
        else:
            settings.inner["k"][0] = rng.uniform(-2, 2)

    return (lambda: settings.rate * settings.inner["w"] * settings.inner["k"][0]), change


def _global() -> Piece:
    def change(rng: Random) -> None:
        globals()["SCALE"] = rng.uniform(-2, 2)

    return (lambda: SCALE * Base.fixed()), change


def _default() -> Piece:
    def coefficient(values: list[float] = [1.0]) -> float:  # noqa: B006
        return values[0]

    def change(rng: Random) -> None:
        coefficient.__defaults__[0][0] = rng.uniform(-2, 2)  # type: ignore[index]

    return (lambda: coefficient()), change


def _nonlocal() -> Piece:
    value = 1.0

    def set_value(new: float) -> None:
        nonlocal value
        value = new

    return (lambda: value), lambda rng: set_value(rng.choice((0.0, -0.0, 1.0, rng.uniform(-2, 2))))


def _signed_zero() -> Piece:
    held = SimpleNamespace(z=0.0)

    def change(rng: Random) -> None:
        held.z = rng.choice((0.0, -0.0))

    return (lambda: np.copysign(1.0, held.z)), change


def _partial() -> Piece:
    values = {"k": 1.0}
    part = functools.partial(lambda values, n: values["k"] * n, values, 2.0)

    def change(rng: Random) -> None:
        values["k"] = rng.uniform(-2, 2)

    return (lambda: part()), change


def _replaced() -> Piece:
    space = SimpleNamespace(f=np.sin)

    def change(rng: Random) -> None:
        space.f = rng.choice((np.sin, np.cos, np.exp))

    return (lambda: space.f(np.ones(3))), change


def _layer() -> Piece:
    from pullback import layers

    net = layers.Network(a=layers.relu(), b=layers.relu())

    def change(rng: Random) -> None:
        net.layers["b"] = rng.choice((layers.relu(), layers.tanh(), layers.sigmoid()))

    return (lambda: net({}, np.full((1, 3), 0.5))[0]), change


def _error_state() -> Piece:
    return (lambda: 1.0 if np.geterr()["over"] == "warn" else 2.0), lambda rng: np.seterr(
        over=rng.choice(("warn", "ignore"))
    )


PIECES: tuple[Callable[[], Piece], ...] = (
    *(_array, _view, _used_values, _counter, _cycle, _iterator, _generator, _random),
    *(_random_module, _random_function, _python_random, _poly, _vectorized, _wrapped, _cached),
    *(_property, _metaclass, _slots, _dynamic, _settings, _global, _default, _nonlocal),
    *(_signed_zero, _partial, _replaced, _layer, _error_state),
)


def states(rng: Random) -> None:
    """Random calls and changes in turn, of one or two pieces in one function."""
    made = [rng.choice(PIECES) for _ in range(1 + rng.randrange(2))]
    mine, theirs = [piece() for piece in made], [piece() for piece in made]
    seed = rng.randrange(2**31)

    def f(x: Any) -> Any:
        total = 0.0
        for coefficient, _ in mine:
            total = total + (x * coefficient()).sum()
        return total

    way = rng.choice(("grad", "value_and_grad", "vjp", "jvp"))
    x = np.array([0.5, -1.0, 2.0])
    settings = np.geterr()
    try:
        for turn in range(6):
            if turn and rng.randrange(3):
                move = rng.randrange(2**31)
                for pieces in (mine, theirs):
                    for _, change in pieces:
                        change(Random(move))
            np.random.seed(seed + turn)
            random.seed(seed + turn)
            found = gradient(way, f, x)
            np.random.seed(seed + turn)
            random.seed(seed + turn)
            wanted = sum(np.broadcast_to(coefficient(), (3,)) for coefficient, _ in theirs)
            if way == "jvp":
                wanted = np.sum(wanted)
            if not np.allclose(found, wanted, rtol=1e-12, atol=1e-12):
                names = ", ".join(piece.__name__ for piece in made)
                raise Wrong(f"{way}, call {turn} of {names}: {found}, expected {wanted}")
    finally:
        np.seterr(**settings)


def gradient(way: str, f: Callable[[Any], Any], x: Any) -> Any:
    """The gradient of f at x, in one of four ways."""
    if way == "grad":
        return pullback.grad(f)(x)
    if way == "value_and_grad":
        return pullback.value_and_grad(f)(x)[1]
    if way == "vjp":
        return pullback.vjp(f, x)[1](1.0)[0]
    return pullback.jvp(f, (x,), (np.ones(3),))[1]  # the sum of the gradient
