"""Random NumPy programs: functions of the tables put together, on random shapes.

``programs()`` is a hypothesis strategy of :class:`RandomProgram`: a plain NumPy function with the
arrays to call it on. All values stay finite and moderate, and every step is smooth almost
everywhere, so the same programs serve for tests of gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

windows = np.lib.stride_tricks.sliding_window_view
GREATEST = 30.0
MOST_ELEMENTS = 60


@dataclass(frozen=True)
class Step:
    """``v_k = text``: a function of earlier values."""

    text: str
    function: Callable[..., Any]
    arguments: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class RandomProgram:
    """A NumPy function (call it) of ``len(arrays)`` float arrays; its text is its repr."""

    arrays: tuple[np.ndarray, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def __call__(self, *arrays: Any) -> Any:
        values = list(arrays)
        for step in self.steps:
            values.append(step.function(*[values[k] for k in step.arguments]))
        return tuple(values[k] for k in self.outputs)

    def __repr__(self) -> str:
        lines = [f"v{k} = array{a.shape}" for k, a in enumerate(self.arrays)]
        lines += [
            f"v{len(self.arrays) + k} = {step.text.format(*(f'v{n}' for n in step.arguments))}"
            for k, step in enumerate(self.steps)
        ]
        return "\n".join(["", *lines, f"return {', '.join(f'v{k}' for k in self.outputs)}"])


# One argument, always applicable: text and function.
UNARY: list[tuple[str, Callable[..., Any]]] = [
    ("np.exp(np.tanh({0}))", lambda x: np.exp(np.tanh(x))),
    ("np.log({0} * {0} + 1.5)", lambda x: np.log(x * x + 1.5)),
    ("np.sqrt({0}**2 + 0.5)", lambda x: np.sqrt(x**2 + 0.5)),
    ("np.sin({0})", np.sin),
    ("np.tanh({0})", np.tanh),
    ("np.arctan({0})", np.arctan),
    ("1 / (1 + np.exp(-{0}))", lambda x: 1 / (1 + np.exp(-x))),
    ("np.maximum({0}, 0)", lambda x: np.maximum(x, 0)),
    ("np.where({0} > 0.1, {0}, 0.5 * {0})", lambda x: np.where(x > 0.1, x, 0.5 * x)),
    ("np.abs({0})", np.abs),
    ("np.clip({0}, -1, 1.5)", lambda x: np.clip(x, -1, 1.5)),
    ("{0} * ({0} > 0)", lambda x: x * (x > 0)),
    ("np.square({0}) - 1", lambda x: np.square(x) - 1),
    ("({0}**2 + 1) ** -0.5", lambda x: (x**2 + 1) ** -0.5),
    ("np.floor({0}) + {0}", lambda x: np.floor(x) + x),
    ("3 - {0} / 2", lambda x: 3 - x / 2),
    ("{0}.sum()", lambda x: x.sum()),
    ("{0}.mean()", lambda x: x.mean()),
    ("{0}.max()", lambda x: x.max()),
    ("np.linalg.norm({0} + 4)", lambda x: np.linalg.norm(x + 4)),
    ("{0}.T", lambda x: x.T),
    ("{0}.ravel()", lambda x: x.ravel()),
    ("{0}[None]", lambda x: x[None]),
    ("{0}[..., None]", lambda x: x[..., None]),
    ("np.flip({0})", lambda x: np.flip(x)),
    ("{0}.reshape(-1)", lambda x: x.reshape(-1)),
    ("np.squeeze({0})", lambda x: np.squeeze(x)),
    ("np.atleast_2d({0})", lambda x: np.atleast_2d(x)),
    ("np.roll({0}, 1)", lambda x: np.roll(x, 1)),
    ("np.pad({0}, 1)", lambda x: np.pad(x, 1)),
    ("np.pad({0}, 1, mode='edge')", lambda x: np.pad(x, 1, mode="edge")),
    ("np.tile({0}, 2)", lambda x: np.tile(x, 2)),
    ("np.repeat({0}, 2)", lambda x: np.repeat(x, 2)),
    ("np.stack([{0}, 2 * {0}])", lambda x: np.stack([x, 2 * x])),
]

# One argument and one of its axes.
ALONG: list[tuple[str, Callable[..., Any]]] = [
    ("{{0}}.sum({0})", lambda x, k: x.sum(k)),
    ("{{0}}.sum({0}, keepdims=True)", lambda x, k: x.sum(k, keepdims=True)),
    ("np.mean({{0}}, axis={0})", lambda x, k: np.mean(x, axis=k)),
    ("{{0}} - {{0}}.mean({0}, keepdims=True)", lambda x, k: x - x.mean(k, keepdims=True)),
    ("np.var({{0}}, {0})", lambda x, k: np.var(x, k)),
    (
        "np.sqrt(np.var({{0}}, {0}, keepdims=True) + 0.1)",
        lambda x, k: np.sqrt(np.var(x, k, keepdims=True) + 0.1),
    ),
    ("{{0}}.max({0}, keepdims=True)", lambda x, k: x.max(k, keepdims=True)),
    ("np.min({{0}}, {0})", lambda x, k: np.min(x, k)),
    ("np.prod({{0}}, {0})", lambda x, k: np.prod(x, k)),
    (
        "np.exp({{0}} - {{0}}.max({0}, keepdims=True))",
        lambda x, k: np.exp(x - x.max(k, keepdims=True)),
    ),
    ("np.linalg.norm({{0}} + 4, axis={0})", lambda x, k: np.linalg.norm(x + 4, axis=k)),
    (
        "np.take_along_axis({{0}}, np.argmax({{0}}, {0}, keepdims=True), {0})",
        lambda x, k: np.take_along_axis(x, np.argmax(x, k, keepdims=True), k),
    ),
    ("np.moveaxis({{0}}, {0}, 0)", lambda x, k: np.moveaxis(x, k, 0)),
    ("np.flip({{0}}, {0})", lambda x, k: np.flip(x, k)),
    ("np.roll({{0}}, -1, {0})", lambda x, k: np.roll(x, -1, k)),
    ("np.diff({{0}}, axis={0})", lambda x, k: np.diff(x, axis=k)),
    ("np.take({{0}}, 0, {0})", lambda x, k: np.take(x, 0, k)),
    ("np.take({{0}}, [0, -1, 0], {0})", lambda x, k: np.take(x, [0, -1, 0], k)),
    ("np.repeat({{0}}, 2, {0})", lambda x, k: np.repeat(x, 2, k)),
    ("np.concatenate([{{0}}, {{0}}], {0})", lambda x, k: np.concatenate([x, x], k)),
    (
        "np.pad({{0}}, ...wrap {0})",
        lambda x, k: np.pad(x, [(int(j == k), 0) for j in range(x.ndim)], "wrap"),
    ),
    ("{{0}}[::2 of axis {0}]", lambda x, k: x[(slice(None),) * k + (slice(None, None, 2),)]),
    ("{{0}}[::-1 of axis {0}]", lambda x, k: x[(slice(None),) * k + (slice(None, None, -1),)]),
    ("windows({{0}}, 1, {0})", lambda x, k: windows(x, 1, k)),
    ("windows({{0}}, 2, {0}).sum(-1)", lambda x, k: windows(x, 2, k).sum(-1)),
]

# One matrix (or stack of them).
MATRIX: list[tuple[str, Callable[..., Any]]] = [
    ("np.tril({0})", np.tril),
    ("np.triu({0}, 1)", lambda x: np.triu(x, 1)),
    ("np.diagonal({0})", lambda x: np.diagonal(x)),
    ("np.trace({0})", lambda x: np.trace(x)),
    ("np.swapaxes({0}, -1, -2)", lambda x: np.swapaxes(x, -1, -2)),
    ("{0} @ np.swapaxes({0}, -1, -2)", lambda x: x @ np.swapaxes(x, -1, -2)),
    ("{0}[..., 0, :]", lambda x: x[..., 0, :]),
    ("np.einsum('...ij->...ji', {0})", lambda x: np.einsum("...ij->...ji", x)),
    ("{0}[:, np.newaxis] - {0}", lambda x: x[:, np.newaxis] - x),
]

BINARY: list[tuple[str, Callable[..., Any]]] = [
    ("{0} + {1}", lambda x, y: x + y),
    ("{0} - {1}", lambda x, y: x - y),
    ("{0} * {1}", lambda x, y: x * y),
    ("{0} / ({1}**2 + 1)", lambda x, y: x / (y**2 + 1)),
    ("np.maximum({0}, {1})", np.maximum),
    ("np.where({0} < {1}, {0}, {1} * 2)", lambda x, y: np.where(x < y, x, y * 2)),
    ("np.outer({0}, {1})", np.outer),
    ("np.dot({0}, {1})", np.dot),
    ("{0} @ {1}", lambda x, y: x @ y),
    ("{0} @ {1}.T", lambda x, y: x @ y.T),
    ("np.inner({0}, {1})", np.inner),
    ("np.tensordot({0}, {1}, 1)", lambda x, y: np.tensordot(x, y, 1)),
    ("np.einsum('...i,...i->...', {0}, {1})", lambda x, y: np.einsum("...i,...i->...", x, y)),
    ("np.concatenate([{0}, {1}])", lambda x, y: np.concatenate([x, y])),
    ("np.hstack([{0}, {1}])", lambda x, y: np.hstack([x, y])),
    ("np.logaddexp({0}, {1})", np.logaddexp),
    ("np.hypot({0} + 4, {1})", lambda x, y: np.hypot(x + 4, y)),
]


def fits(value: Any) -> bool:
    """Whether a value is one to go on with."""
    found = np.asarray(value)
    return (
        found.dtype.kind == "f"
        and found.ndim <= 4
        and 0 < found.size <= MOST_ELEMENTS
        and bool(np.all(np.abs(found) < GREATEST))
    )


def tried(step: Step, values: Sequence[Any]) -> Any:
    """The step's value, None where NumPy refuses it or it is none to go on with."""
    try:
        with np.errstate(all="ignore"):
            found = step.function(*[values[k] for k in step.arguments])
    except (ValueError, IndexError, TypeError):
        return None
    return found if fits(found) else None


@st.composite
def steps(draw: st.DrawFn, values: Sequence[Any]) -> Step:
    """A step on any of these values; most of them fit."""
    last = len(values) - 1
    first = draw(st.one_of(st.just(last), st.integers(0, last)))
    kind = draw(st.sampled_from(["unary", "along", "matrix", "binary", "binary"]))
    rank = np.ndim(values[first])
    if kind == "along" and rank:
        text, function = draw(st.sampled_from(ALONG))
        axis = draw(st.integers(0, rank - 1))
        return Step(text.format(axis), lambda x: function(x, axis), (first,))
    if kind == "matrix" and rank >= 2:
        return Step(*draw(st.sampled_from(MATRIX)), (first,))
    if kind == "binary":
        alike = [k for k in range(last) if np.shape(values[k])[-1:] == np.shape(values[first])[-1:]]
        second = draw(st.one_of(st.sampled_from(alike or [last]), st.integers(0, last)))
        pair = draw(st.sampled_from([(first, second), (second, first)]))
        return Step(*draw(st.sampled_from(BINARY)), pair)
    return Step(*draw(st.sampled_from(UNARY)), (first,))


SHAPES = [
    (3, 2),
    (2, 3),
    (3, 3),
    (3,),
    (2,),
    (2, 3, 4),
    (4, 3),
    (1, 3),
    (3, 1),
    (2, 2, 3),
    (1,),
    (),
]


@st.composite
def programs(draw: st.DrawFn, most_steps: int = 6, outputs: int = 2) -> RandomProgram:
    """A random NumPy program of at most ``most_steps`` steps that fit."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    arrays = tuple(
        np.asarray(rng.uniform(-2, 2, shape))
        for shape in draw(st.lists(st.sampled_from(SHAPES), min_size=2, max_size=3))
    )
    values: list[Any] = list(arrays)
    kept: list[Step] = []
    wanted = draw(st.sampled_from([*range(most_steps, 0, -1)]))
    for _ in range(4 * wanted):
        step = draw(steps(values))
        found = tried(step, values)
        if found is not None:
            values.append(found)
            kept.append(step)
        if len(kept) == wanted:
            break
    last = len(values) - 1
    more = draw(st.lists(st.integers(0, last), max_size=outputs - 1))
    return RandomProgram(arrays, tuple(kept), tuple(dict.fromkeys([last, *more])))
