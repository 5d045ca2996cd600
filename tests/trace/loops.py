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


ROWS = ("range(n)", "range(1, n)", "range(n - 1, -1, -1)", "reversed(range(n))", "range(1, n - 1)")
COLUMNS = ("range(m)", "range(1, m)", "range(min(i, m))", "range(min(i + 1, m))", "range(m)[::-1]")
ELEMENTS = (
    *("A[i, j]", "B[i, j]", "x[i]", "y[i]", "s", "A[i - 1, j]", "Z[i, j]", "A[n - 1 - i, j]"),
    *("B[i, :j + 1].sum()", "A[:i + 1, j] @ x[:i + 1]", "A[i:, j].sum()", "y[:i + 1].sum()"),
    *("y[i:] @ x[i:]", "Z[i].sum()", "A[i, :j] @ B[i, :j]"),
)
VECTORS = ("0.5*A[i]", "B[i] + A[i]", "A[i]*y[i]", "Z[i] + B[i]", "A[i]*B[i].sum()", "0.1*A[i - 1]")


def random_stores(seed: int) -> tuple[str, Callable[..., Any]]:
    """A function ``f(A, B, x)`` of arrays of shapes (n, m), (n, m) and (n,) with loops that store
    into arrays of its own, and loops in these."""
    random = Random(seed)

    def element(j: str) -> str:
        found = random.choice(ELEMENTS)
        for _ in range(random.randint(0, 2)):
            found = f"({found} {random.choice('+*-')} {random.choice(ELEMENTS)})"
        return found.replace("j", j) if j != "j" else found

    def store(targets: tuple[str, ...], value: str) -> str:
        return f"{random.choice(targets)} {random.choice(('=', '+='))} {value}"

    body: list[str] = []
    for _ in range(random.randint(1, 2)):
        body.append(f"for i in {random.choice(ROWS)}:")
        for _ in range(random.randint(1, 3)):
            match random.randrange(5):
                case 0 | 1:
                    body.append(f"    for j in {random.choice(COLUMNS)}:")
                    value = f"0.3*np.sin({element('j')})"
                    body.append(f"        {store(('A[i, j]', 'Z[i, j]', 'y[i]', 's'), value)}")
                case 2:
                    value = random.choice(VECTORS)
                    body.append(f"    {store(('A[i]', 'Z[i]', 'A[i - 1]', 'Z[n - 1 - i]'), value)}")
                case 3:
                    body.append(f"    {store(('y[i]', 's'), '0.3*' + element('0'))}")
                case 4:
                    body.append(f"    y[:i + 1] {random.choice(('*=', '+='))} 0.5*x[i]")
    lines = [
        "def f(A, B, x):",
        "    A, y, Z, s = A.copy(), x.copy(), np.zeros_like(B), 0.0",
        "    n, m = A.shape",
        *(f"    {line}" for line in body),
        "    return A, y, Z, s + 0*A[0, 0]",
    ]
    text = "\n".join(lines)
    space: dict[str, Any] = {"np": np}
    exec(text, space)  # our own text
    return text, space["f"]


EXTENTS = {"n": "N", "m": "M", "k": "K"}
RANGES = ("range({})", "range({})", "range({})", "range(1, {})", "range({} - 1)", "range({})[::-1]")
BELOW = ("range({i} + 1)", "range({i})", "range({i}, N)", "range({i} + 1, N)")
READ = {"A": "nm", "B": "mk", "Z": "nk", "x": "n", "y": "m"}


def random_nest(seed: int) -> tuple[str, Callable[..., Any]]:
    """A function ``f(A, B, Z, x, y, w)`` of arrays of shapes (N, M), (M, K), (N, K), (N,), (M,)
    and (): two or three loops, in any order, that store into arrays and add to them."""
    random = Random(seed)
    order = random.sample("nmk", random.choice((2, 3, 3)))
    heads = [f"for {v} in {random.choice(RANGES).format(EXTENTS[v])}:" for v in order]
    square = {"n", "m"} <= set(order) and random.random() < 0.4  # a triangle
    if square:
        outer, inner = (v for v in order if v != "k")
        heads[order.index(inner)] = f"for {inner} in {random.choice(BELOW).format(i=outer)}:"

    def term(known: list[str]) -> str:
        read = [f"{a}[{', '.join(axes)}]" for a, axes in READ.items() if set(axes) <= set(known)]
        one, other = random.choice(read or ["w"]), random.choice(read or ["w"])
        return random.choice((one, one, f"np.sin({one})", f"{one}*{other}", f"{one}*0.5"))

    start, stores = [], dict[int, list[str]]()
    for name in ("C", "D"):
        axes = random.sample(order, random.choice((0, 1, 1, 2, 2)))
        shape = ", ".join(EXTENTS[v] for v in axes)
        whole = f"{random.choice(('np.zeros', 'np.ones'))}(({shape},))"
        start.append(f"{name} = {whole if axes else random.choice(('0.0', '1.0*w'))}")
        target = f"{name}[{', '.join(axes)}]" if axes else name
        least = max((order.index(v) + 1 for v in axes), default=1)
        for _ in range(random.choice((1, 1, 2))):
            depth = random.choice((len(order), len(order), random.randint(least, len(order))))
            how = random.choice(("+=", "+=", "+=", "-=", "*=", "=") if axes else ("+=", "-="))
            stores.setdefault(depth, []).append(f"{target} {how} {term(order[:depth])}")
    lines = []
    for depth, head in enumerate(heads, 1):
        lines.append("    " * depth + head)
        first = random.random() < 0.7 or depth == len(order)
        own = ["    " * (depth + 1) + line for line in stores.get(depth, [])]
        lines += own if first else []
        if depth == len(order) and not own:
            lines.append("    " * (depth + 1) + "pass")
        stores[depth] = [] if first else own
    for depth in range(len(order), 0, -1):  # after the inner loop
        lines += stores[depth]
    text = "\n".join(
        [
            "def f(A, B, Z, x, y, w):",
            f"    (N, M), K = A.shape, B.shape[1]{'; M = N' if square else ''}",
            *(f"    {line}" for line in start),
            *lines,
            "    return C + 0*w, D + 0*w",
        ]
    )
    space: dict[str, Any] = {"np": np}
    exec(text, space)  # our own text
    return text, space["f"]


TERMS = (
    *("x[j]", "x[i]*x[j]", "A[i, j]", "1/(x[i] - x[j])", "np.log(np.abs(x[i] - x[j]))"),
    *("A[j, i]*d", "d/(d*d + w)", "np.exp(-d**2)*x[i]", "np.sqrt(np.abs(d))"),
)


def random_pairs(seed: int) -> tuple[str, Callable[..., Any]]:
    """A function ``f(A, x, w)`` of arrays of shapes (N, N), (N,) and () that goes through all pairs
    of different places, and may do something else with equal ones."""
    random = Random(seed)
    every = ("range(n)", "range(n)", "reversed(range(n))")
    stores = random.sample(
        (
            "y[i] += {}",
            "y[j] -= {}",
            "s = s + {}",
            "K[i, j] = {}",
            "p[i] *= 0.5 + {}",
            "y[i] = np.tanh(y[i] + {})",
        ),
        random.choice((1, 2)),
    )
    body = [store.format(random.choice(TERMS)) for store in stores]
    before = ["d = x[i] - x[j]"]
    match random.randrange(3):
        case 0:
            inner = ["if i != j:", *(f"    {line}" for line in (*before, *body))]
        case 1:
            inner = [*before, "if i == j:", "    continue", *body]
        case _:
            other = random.choice(("K[i, i] = x[i]*w", "K[i, j] = A[i, i]"))
            inner = ["if i == j:", f"    {other}", "else:"]
            inner += [f"    {line}" for line in (*before, *body)]
    lines = [
        "def f(A, x, w):",
        "    n, s = len(x), 0.0",
        "    y, K, p = np.zeros(n), np.zeros((n, n)), np.ones(n)",
        f"    for i in {random.choice(every)}:",
        f"        for j in {random.choice(every)}:",
        *(f"            {line}" for line in inner),
        "    return y + 0*w, K + 0*w, p + 0*w, s + 0*w",
    ]
    text = "\n".join(lines)
    space: dict[str, Any] = {"np": np}
    exec(text, space)  # our own text
    return text, space["f"]
