"""Random recurrences along two indices: what a plain loop computes, and the gradients of that."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

from pullback import NotationError, derive
from pullback.backends.numpy import spell_pair
from pullback.calculus.pushforward import pushforward
from pullback.calculus.reverse import reverse
from pullback.ir.interpret import run
from pullback.ir.recurrence import depth, groups, is_recurrent
from pullback.notation.parse import parse
from pullback.notation.plain import show
from pullback.runtime.load import load_module
from pullback.verify.programs import check_backward_program
from pullback.verify.steps import check_steps
from tests.backends.agreement import check_backward, check_forward
from tests.differences import close, differences

Array = np.ndarray[Any, Any]
Pair = tuple[str, str]  # a value in index notation, and in Python

FUNCTIONS = (
    ("tanh({})", "np.tanh({})"),
    ("sin({})", "np.sin({})"),
    ("({})/2", "({})/2"),
    ("({})**2/8", "({})**2/8"),
    ("exp(-({})**2)", "np.exp(-({})**2)"),
)


class Written:
    """A random recurrence, as text and as the loop that it is: ``states`` over places i, j, of
    which each reads places that come before in the order of ``ways``."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.ways = self.rng.choice((1, 1, -1)), self.rng.choice((1, 1, -1))
        self.states = [f"S{k}" for k in range(self.rng.randint(1, 3))]
        self.with_row = self.rng.random() < 0.4
        bodies = [self.sum(self.states[:k]) for k in range(len(self.states))]
        self.bodies = dict(zip(self.states, bodies, strict=True))

    @property
    def text(self) -> str:
        lines = ["X[N,M]", "V[M,M]", "a[]", "b[M]"]
        lines += [f"{name}[i:N,j:M] = {text}" for name, (text, _) in self.bodies.items()]
        if self.with_row:
            lines.append(f"R[i:N] = sum(k) {self.states[-1]}[i,k]*b[k]")
        row = "(sum(i) R[i]**2) + " if self.with_row else ""
        lines.append(f"L = {row}sum(i, j) {self.states[-1]}[i,j]*{self.states[0]}[i,j]*X[i,j]")
        return "\n".join([*lines, f"return L, {self.states[-1]}"])

    @property
    def loop(self) -> Callable[..., tuple[float, Array]]:
        """The same, written independently."""
        first, last = self.states[0], self.states[-1]
        ranges = [f"range({n})" if way > 0 else f"reversed(range({n}))"
                  for n, way in zip("NM", self.ways, strict=True)]  # fmt: skip
        lines = ["def f(X, V, a, b):", "    N, M = X.shape"]
        lines += [f"    {name} = np.zeros((N, M))" for name in self.states]
        lines += [
            "    R = np.zeros(N)",
            f"    for i in {ranges[0]}:",
            f"        for j in {ranges[1]}:",
        ]
        lines += [f"            {name}[i, j] = {value}" for name, (_, value) in self.bodies.items()]
        lines += [f"        R[i] = {last}[i] @ b"]
        row = "(R**2).sum() + " if self.with_row else ""
        lines += [f"    return {row}({last}*{first}*X).sum(), {last}"]
        scope: dict[str, Any] = {"np": np, "read": read}
        exec("\n".join(lines), scope)
        made: Callable[..., tuple[float, Array]] = scope["f"]
        return made

    def sum(self, now: list[str]) -> Pair:
        """A statement's value; the first one needs the last one, and each its predecessor."""
        terms = [self.term(now) for _ in range(self.rng.randint(1, 3))]
        if now:
            terms.append((f"{now[-1]}[i,j]", f"{now[-1]}[i, j]"))
        else:
            terms.append(self.before(self.states[-1], 0, -self.ways[1]))
            terms.append(self.before(self.rng.choice(self.states), -self.ways[0], 0))
        terms.append(self.rng.choice((("X[i,j]", "X[i, j]"), ("X[i,j]*a", "X[i, j]*a"))))
        return self.applied(" + ".join(t for t, _ in terms), " + ".join(v for _, v in terms))

    def applied(self, text: str, value: str) -> Pair:
        one, other = self.rng.choice(FUNCTIONS)
        return one.format(text), other.format(value)

    def term(self, now: list[str]) -> Pair:
        text, value = self.read(now)
        match self.rng.randrange(6):
            case 0:
                more = self.rng.choice((("a", "a"), ("X[i,j]", "X[i, j]"), ("b[j]", "b[j]")))
                return f"{more[0]}*{text}", f"{more[1]}*{value}"
            case 1:
                return self.applied(text, value)
            case 2:
                other = self.read(now)
                return f"{text}*{other[0]}", f"{value}*{other[1]}"
            case 3:
                other = self.read(now)
                return f"max({text}, {other[0]})", f"max({value}, {other[1]})"
            case 4:
                name, way = self.rng.choice(self.states), self.ways[0]
                inside = "i >= 1" if way > 0 else "i+1 < N"
                there = f"[i{-way:+d},k]"
                return (
                    f"(sum(k) where({inside}, {name}{there}, b[k])*V[k,j])",
                    f"sum(read({name}, i - {way}, k, b[k])*V[k, j] for k in range(M))",
                )
            case _:
                if not self.with_row:
                    return text, value
                way = self.ways[0]
                return f"{text}*pad(R,1)[i{-way:+d}]", f"{value}*read(R[:, None], i - {way}, 0, 1)"

    def read(self, now: list[str]) -> Pair:
        if now and self.rng.random() < 0.3:
            name = self.rng.choice(now)
            return f"{name}[i,j]", f"{name}[i, j]"
        rows = self.rng.choice((0, 0, 1, 1, 2))
        columns = self.rng.choice((-1, 0, 1)) if rows else -self.rng.choice((1, 1, 2))
        return self.before(
            self.rng.choice(self.states), -rows * self.ways[0], columns * self.ways[1]
        )

    def before(self, name: str, rows: int, columns: int) -> Pair:
        moved = [f"{i}{n:+d}" if n else i for i, n in (("i", rows), ("j", columns))]
        start, value = self.rng.choice((("0", "0"), ("X[i,j]", "X[i, j]"), ("b[j]", "b[j]")))
        found = f"read({name}, i + {rows}, j + {columns}, {value})"
        if start == "0" and self.rng.random() < 0.5:
            return f"pad({name},0)[{moved[0]},{moved[1]}]", found
        conds = [
            f"{place} < {extent}" if n > 0 else f"{place} >= 0"
            for place, n, extent in ((moved[0], rows, "N"), (moved[1], columns, "M"))
            if n
        ]
        text = f"where({' and '.join(conds)}, {name}[{moved[0]},{moved[1]}], {start})"
        return text, found


def read(array: Array, i: int, j: int, other: float) -> float:
    """An element, or another value outside of the array."""
    inside = 0 <= i < array.shape[0] and 0 <= j < array.shape[1]
    return float(array[i, j]) if inside else other


def given(seed: int, rows: int, columns: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    shapes = {"X": (rows, columns), "V": (columns, columns), "a": (), "b": (columns,)}
    return {name: np.asarray(rng.normal(size=shape)) * 0.7 for name, shape in shapes.items()}


@pytest.mark.parametrize("seed", range(12))
def test_random_recurrences_along_two_indices(seed: int) -> None:
    written = Written(seed)
    text, loop = written.text, written.loop
    program = parse(text)
    assert parse(show(program)) == program
    along = [depth(group) for group in groups(program.statements) if is_recurrent(group)]
    assert max(along) == 2
    backward = reverse(program)
    module = load_module(spell_pair(backward))
    for rows, columns in ((3, 4), (1, 3), (2, 1)):
        values = given(seed, rows, columns)
        arrays = [values[t.name] for t in program.inputs]
        total, state = loop(**values)
        if not (np.abs(state).max() < 1e3 and abs(total) < 1e3):
            continue
        found = run(program, values)
        assert close(found[written.states[-1]].tolist(), state, 1e-10), text
        (value, last), cache = module.forward(*arrays)
        assert close(value, total, 1e-10) and close(last, state, 1e-10), text
        cotangent = np.random.default_rng(seed + 1).normal(size=state.shape)

        def scalar(*arrays: Array, cotangent: Any = cotangent) -> float:
            total, state = loop(*arrays)
            return float(0.7 * total + (cotangent * state).sum())

        gradients = module.backward((np.asarray(0.7), cotangent), cache)
        for k, gradient in enumerate(gradients):
            wanted = differences(scalar, arrays, np.ones(()), k, 3e-5)
            assert close(gradient, wanted, 1e-5), f"{program.inputs[k].name} of\n{text}"


@pytest.mark.parametrize("seed", range(100, 104))
def test_what_is_made_of_them_is_checked_step_by_step(seed: int) -> None:
    text = Written(seed).text
    program = parse(text)
    backward = reverse(program)
    wrong = [
        (s.name, s.target.name, str(c))
        for s, c in zip(backward.steps, check_steps(backward), strict=True)
        if c.status == "failed"
    ]
    assert wrong == [], text
    report = check_backward_program(backward, samples=2)
    assert [str(c) for c in report.comparisons if c.status == "failed"] == [], text
    check_forward(program, {"N": 2, "M": 3}, below=3)
    check_backward(program, {"N": 2, "M": 3}, below=3)
    check_forward(pushforward(program), {"N": 2, "M": 3}, below=3)


CASES = {
    "three indices": """
        X[N,M,K]
        u[i:N,j:M,k:K] = tanh(X[i,j,k] + pad(u,0)[i-1,j,k] + pad(u,0)[i,j-1,k]/2 +
            pad(u,0)[i,j,k-1])
        L = sum(i,j,k) u[i,j,k]**2
    """,
    "a gather of the row before": """
        X[N,M]; idx: int[M]
        u[i:N,j:M] = tanh(where(i >= 1, u[i-1,idx[j]], X[i,j]) + 0.3*pad(u,0)[i,j-1])
        L = sum(i,j) u[i,j]**2
    """,
    "every other place of the row before": """
        X[N,M]
        u[i:N,j:M] = tanh(pad(u,0)[i-1,2*j] + pad(u,0)[i,j-1] + X[i,j])
        L = sum(i,j) u[i,j]**2
    """,
    "paths": """
        X[N,M]
        D[i:N,j:M] = X[i,j] + where(i >= 1 and j >= 1, min(D[i-1,j-1], min(D[i-1,j], D[i,j-1])),
            where(i >= 1, pad(D,0)[i-1,j], pad(D,0)[i,j-1]))
        L = D[N-1,M-1]
    """,
    "matrices": """
        A[N,M,2,2]; B[N,M,2,2]
        u[i:N,j:M,a:2,b:2] = A[i,j,a,b] + 4*[a = b] + where(j >= 1, v[i,j-1,b,0], 0)/9 +
            where(i >= 1, v[i-1,j,a,1], 0)/9
        v[i:N,j:M,a:2,b:2] = solve(u, B)[i,j,a,b]
        L = sum(i,j,a,b) v[i,j,a,b]**2
    """,
    "names of what is handed on": """
        X[N,M]; u_prev[M]; u_prev_2[]
        u[i:N,j:M] = tanh(X[i,j] + where(i >= 1, u[i-1,j], u_prev[j])/2 +
            where(j >= 1, u[i,j-1], u_prev_2[]))
        L = sum(i,j) u[i,j]**2*u_prev[j]*u_prev_2[]
    """,
    "a name of what one index hands on": """
        X[N,M]; u_prev[M]; v[M]
        u[i:N,j:M] = tanh(X[i,j] + where(i >= 1, u[i-1,j], v[j])/2) + u_prev[j]
        L = sum(i,j) u[i,j]**2*u_prev[j]
    """,
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_such_recurrences_are_verified(name: str) -> None:
    text = re.sub(r"([,+])\n *", r"\1 ", CASES[name])  # long lines go on in the next one
    text = "\n".join(line.strip() for line in text.splitlines())
    assert derive(f"{text}\nreturn L").verify().status == "passed"


@pytest.mark.parametrize(
    "body, message",
    [
        ("pad(u,0)[i-1,j] + pad(u,0)[i,j-1] + pad(u,0)[i,j+1]", "two directions"),
        ("pad(u,0)[i-1,j] + pad(u,0)[i,2*j-1]", "in terms of itself"),
        ("pad(u,0)[i-1,j] + sum(k:M) [k < j]*u[i,k]", "in terms of itself"),
        ("pad(u,0)[i-1,j] + pad(u,0)[i,j-1] + pad(u,0)[i,2*j-1]", "in terms of itself"),
        ("pad(u,0)[i-1,j] + u[i,j]", "in terms of itself"),
        ("pad(u,0)[i-1,j] + pad(u,0)[j,i]", "in terms of itself"),
        ("pad(u,0)[i-1,j] + R[i]\nR[i:N] = sum(k:M) u[i,k]", "of each other"),
        ("pad(u,0)[i-1,j] + pad(v,0)[i,j-1]\nv[i:N,j:K] = pad(u,0)[i,j]*Y[j]", "at no fixed step"),
        ("pad(u,0)[i,j-1]", "in terms of itself"),
    ],
)
def test_what_no_order_of_steps_computes_is_refused(body: str, message: str) -> None:
    with pytest.raises(NotationError, match=message):
        parse(f"X[N,M]\nY[K]\nu[i:N,j:M] = {body}\nreturn u")
