"""Random recurrences: derived, and checked by everything that checks a derivation."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from pullback.calculus.reverse import reverse
from pullback.errors import NotationError
from pullback.ir.program import Program
from pullback.notation.parse import parse
from pullback.notation.plain import show
from pullback.verify.programs import check_backward_program
from pullback.verify.steps import check_steps

FUNCTIONS = ("{}", "tanh({})", "sigmoid({})", "({})/2", "sin({})", "({})**2/8", "exp(-({})**2)")


class Written:
    """A random recurrence as text: one to three states over time, what they make, what reads it."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.ahead = self.rng.random() < 0.3
        self.states = [f"S{k}" for k in range(self.rng.randint(1, 3))]

    def text(self) -> str:
        lines = ["X[T,N]", "V[N,N]"]
        for k, name in enumerate(self.states):
            left = f"{name}[t:T,n:N]"
            lines.append(f"{left} = {self.sum(self.states[:k])}")
        last = self.states[-1]
        lines.append(
            self.rng.choice(
                (
                    f"return {last}",
                    f"return {', '.join(reversed(self.states))}",
                    f"Y[t,n] = {last}[t,n]*X[t,n]; return Y",
                    f"L = sum(t, n if t = T-1) {last}[t,n]**2; return L",
                    f"L[t] = sum(n) {last}[t,n]*{self.states[0]}[t,n]; return L, {last}",
                )
            )
        )
        return "\n".join(lines)

    def sum(self, now: list[str]) -> str:
        terms = [self.term(now) for _ in range(self.rng.randint(1, 3))]
        terms.append(self.rng.choice(("X[t,n]", "X[t,n]*a", "b[n]", "1/3")))
        value = " + ".join(terms)
        return self.rng.choice(FUNCTIONS).format(value)

    def term(self, now: list[str]) -> str:
        value = self.read(now, "n")
        match self.rng.randrange(6):
            case 0:
                return f"{self.coefficient()}*{value}"
            case 1:
                return f"(sum(k) {self.read(now, 'k')}*V[k,n])"
            case 2:
                return self.rng.choice(FUNCTIONS).format(value)
            case 3:
                return f"{value}*{self.read(now, 'n')}"
            case 4:
                return f"[X[t,n] > 0]*{value}"
            case _:
                return f"(mean(k) {self.read(now, 'k')})"

    def coefficient(self) -> str:
        return self.rng.choice(("a", "X[t,n]", "b[n]", "1/2", "z[t]"))

    def read(self, now: list[str], index: str) -> str:
        if now and self.rng.random() < 0.4:
            return f"{self.rng.choice(now)}[t,{index}]"
        name, steps = self.rng.choice(self.states), self.rng.choice((1, 1, 1, 2))
        place = f"t+{steps}" if self.ahead else f"t-{steps}"
        inside = f"t+{steps} < T" if self.ahead else f"t >= {steps}"
        return self.rng.choice(
            (
                f"pad({name},0)[{place},{index}]",
                f"where({inside}, {name}[{place},{index}], h[{index}])",
                f"where({inside}, {name}[{place},{index}], X[t,{index}])",
                f"(where({inside}, {name}[{place},{index}]*X[t,{index}], 0))",
            )
        )


def written(seed: int) -> tuple[str, Program]:
    """A random recurrence; one that reads ahead what does not depend on it is no program."""
    rng = Random(seed)
    while True:
        text = Written(rng.randrange(2**32)).text()
        with suppress(NotationError):
            return text, parse(text)


@pytest.mark.parametrize("seed", range(16))
def test_random_recurrences_are_derived_right(seed: int) -> None:
    text, program = written(seed)
    assert parse(show(program)) == program
    backward = reverse(program)
    wrong = [
        (s.name, s.target.name, str(c))
        for s, c in zip(backward.steps, check_steps(backward), strict=True)
        if c.status == "failed"
    ]
    assert wrong == [], text
    failed = [
        c for c in check_backward_program(backward, samples=3).comparisons if c.status == "failed"
    ]
    assert failed == [], text
