"""What saving less of a transformer block costs: bytes kept, peaks of both passes, time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pullback

from .measure import Thunk, Timing, in_turns, shown
from .models import transformer, transformer_arguments
from .tables import Result, plain

BATCH, LENGTH, WIDTH = 4, 128, 256
MIB = 2**20
LEFT, TOP, ACROSS, UP = 70, 30, 620, 300  # of the picture, in pixels

Passes = tuple[Callable[..., Any], Callable[..., Any]]


def arrays_in(tree: Any) -> list[np.ndarray]:
    """The arrays of nested tuples, lists and dicts."""
    if isinstance(tree, np.ndarray):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    return [a for part in parts for a in arrays_in(part)] if hasattr(tree, "__iter__") else []


def kept(cache: Any, free: Sequence[np.ndarray]) -> int:
    """The bytes that a cache holds beyond arrays that are there anyway; views count once."""
    owners = {id(_owner(a)): _owner(a) for a in arrays_in(cache)}
    known = {id(_owner(a)) for a in free}
    return sum(a.nbytes for place, a in owners.items() if place not in known)


def _owner(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def peak(call: Thunk) -> tuple[int, Any]:
    """The bytes that a call allocates at most at one time, and its result."""
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def row(name: str, derivation: Any, arguments: Sequence[Any]) -> tuple[dict[str, Any], Thunk]:
    """What one choice takes, but for its time."""
    forward, backward = derivation.compile()
    upstream = np.ones((BATCH, LENGTH, WIDTH))
    forward(*arguments)  # the first call compares the program at these sizes
    most_forward, (result, cache) = peak(lambda: forward(*arguments))
    most_backward, _ = peak(lambda: backward(upstream, cache))
    found = {
        "choice": name,
        "saved": len([s for s in derivation.residuals if s.made]),
        "computed again": len(derivation.again),
        "kept MiB": kept(cache, [*arrays_in(list(arguments)), result]) / MIB,
        "peak of forward MiB": most_forward / MIB,
        "peak of backward MiB": most_backward / MIB,
    }
    return found, lambda: backward(upstream, forward(*arguments)[1])


def memory(rounds: int) -> Result:
    """Every choice of the frontier of a transformer block."""
    arguments = transformer_arguments(1, BATCH, LENGTH, WIDTH)
    shapes = dict(zip(("X", "blocks"), arguments, strict=True))
    fastest = pullback.derive(transformer, memory="fastest", heads=4, **shapes)
    choices = {"fastest": fastest, "balanced (default)": fastest.saving("balanced")}
    for choice in fastest.savings():
        derivation = fastest.saving(choice.size)
        if all(derivation.again != other.again for other in choices.values()):
            choices[f"at most {choice.size / MIB:.3g} MiB"] = derivation
    rows, calls = [], {}
    for name, derivation in choices.items():
        found, calls[name] = row(name, derivation, arguments)
        rows.append(found)
    times = in_turns(calls, rounds)
    for found in rows:
        found["time"] = plain(times[found["choice"]])
        found["time / fastest"] = times[found["choice"]].ratio(times["fastest"])
    points = [(f["kept MiB"], times[f["choice"]], f["choice"]) for f in rows]
    return Result(
        "Memory against time",
        (
            f"A transformer block ({BATCH} sequences of {LENGTH}, width {WIDTH}, 4 heads,",
            "float64): forward and backward by the generated NumPy for each choice of",
            "`savings()`. *saved* and *computed again* count forward values; *kept* is what the",
            "cache holds beyond inputs and the result; peaks are those of `tracemalloc` while one",
            "pass runs, the backward's beside the cache. The ratio is the median over the rounds.",
            "",
            "![Kept memory against time](memory.svg)",
        ),
        (
            *("choice", "saved", "computed again", "kept MiB", "peak of forward MiB"),
            *("peak of backward MiB", "time", "time / fastest"),
        ),
        rows,
        {"memory.svg": picture(points)},
    )


def picture(points: Sequence[tuple[float, Timing, str]]) -> str:
    """Kept memory across, time up, a dot a choice."""
    most = max(x for x, _, _ in points) or 1
    slowest = max(t.median for _, t, _ in points)
    marks = []
    for x, timing, name in points:
        across, up = LEFT + ACROSS * x / most, TOP + UP * (1 - timing.median / slowest)
        default = name.startswith("balanced")
        marks.append(f'<circle cx="{across:.1f}" cy="{up:.1f}" r="{6 if default else 4}"/>')
        if not name.startswith("at most"):
            marks.append(
                f'<text x="{across:.1f}" y="{up + 20:.1f}" text-anchor="end">{name}</text>'
            )
    bottom = TOP + UP
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + ACROSS + 30}" '
            f'height="{bottom + 50}" font-family="sans-serif" font-size="12" fill="#2f5fc4">',
            f'<rect width="{LEFT + ACROSS + 30}" height="{bottom + 50}" fill="white"/>',
            f'<path d="M{LEFT} {TOP}V{bottom}H{LEFT + ACROSS}" stroke="#5d6378" fill="none"/>',
            f'<text x="{LEFT}" y="{bottom + 20}" fill="#5d6378">0</text>',
            f'<text x="{LEFT + ACROSS}" y="{bottom + 20}" text-anchor="end" fill="#5d6378">'
            f"{most:.3g} MiB kept for the backward pass</text>",
            f'<text x="{LEFT - 8}" y="{bottom}" text-anchor="end" fill="#5d6378">0</text>',
            f'<text x="{LEFT - 8}" y="{TOP + 4}" text-anchor="end" fill="#5d6378">'
            f"{shown(slowest)}</text>",
            *marks,
            "</svg>\n",
        )
    )
