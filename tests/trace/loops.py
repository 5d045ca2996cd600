"""Random functions with a loop, as text and as functions: what a trace has to find again."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

UNARY = ("np.tanh({})", "np.sin({})", "0.5*{}", "np.exp(-{}**2)", "{}[::-1]", "np.roll({}, 1)")
BINARY = ("{} + {}", "{}*{}", "{} - 0.3*{}", "np.maximum({}, {} + 0.1)", "{} + ({} @ W)")
LOOPS = (
    "for t in range(X.shape[0]):",
    "for t, x in enumerate(X):",
    "for x, z in zip(X, Z):",
    "for t in reversed(range(len(X))):",
    "for t in range(1, X.shape[0]):",
    "for x in X[::-1]:",
    "t = -1\n    while t < len(X) - 1:\n        t = t + 1",
)


def random_loop(seed: int) -> tuple[str, Callable[..., Any]]:
    """A function ``f(X, Z, W, a)`` of arrays of shapes (T, D), (T, D), (D, D) and (D,)."""
    random = Random(seed)
    loop = random.choice(LOOPS)
    known = ["a", "c0"]
    if "zip" in loop:
        given = ["x", "z"]
    elif "x in X" in loop:
        given = ["x"]
    elif "enumerate" in loop:
        given = ["x", "Z[t]", "x*t"]
    elif "(1, " in loop:
        given = ["X[t]", "X[t-1]", "Z[t-1]"]
    else:
        given = ["X[t]", "Z[t]", "X[t]*(t + 1)"]
    carries = [f"c{k}" for k in range(random.randint(1, 3))]
    starts = [
        random.choice(("np.zeros(3)", "a", "a + 1", "np.ones(3)", "Z.sum(0)", "a*W[0]"))
        for _ in carries
    ]
    known += carries + given
    body: list[str] = []
    for k in range(random.randint(1, 4)):
        body.append(f"v{k} = {_value(random, known)}")
        known.append(f"v{k}")
    news = [_value(random, known[-5:] + given) for _ in carries]
    if random.random() < 0.3 and len(carries) > 1:  # what was there a step ago
        news[1] = carries[0]
    if random.random() < 0.3:
        news[0] = f"{carries[0]} + {random.choice(known[-3:])}"
    news = [f"np.tanh({new})" if random.random() < 0.7 else f"0.4*({new})" for new in news]
    if random.random() < 0.3 and len(carries) > 1:
        news[1] = carries[0]
    body.append(f"{', '.join(carries)}, = {', '.join(news)},")
    returned = [random.choice(carries)]
    if random.random() < 0.5:
        body.append(f"out.append({random.choice([carries[0], *(f'v{k}' for k in range(1))])})")
        returned.append(random.choice(("np.stack(out)", "np.stack(out[::-1])", "sum(out)")))
    if random.random() < 0.3:
        body.append(f"total = total + {carries[-1]}.sum()")
        returned.append("total")
    lines = [
        "def f(X, Z, W, a):",
        f"    {', '.join(carries)}, = {', '.join(starts)},",
        *(["    c0 = c0 + 0"] if random.random() < 0.2 else []),
        "    out, total = [], 0.0",
        f"    {loop}",
        *(f"        {line}" for line in body),
        f"    return {', '.join(returned)},",
    ]
    text = "\n".join(lines)
    space: dict[str, Any] = {"np": np}
    exec(text, space)  # our own text
    return text, space["f"]


def _value(random: Random, known: list[str]) -> str:
    value = random.choice(known)
    if random.random() < 0.6:
        value = f"({random.choice(BINARY).format(value, random.choice(known))})"
    if random.random() < 0.6:
        value = random.choice(UNARY).format(value)
    return value
