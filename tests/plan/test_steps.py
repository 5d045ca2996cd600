"""What a loop hands from one step to the next: random recurrences beside the interpreter."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from pullback.notation.parse import parse
from tests.backends.agreement import check_backward, check_forward

BEFORE = ("t >= 1", "t >= 1", "t >= 1", "t >= 2", "t >= 1 and t < T-1")  # there is a step before
CONDITIONS = (*BEFORE, "t != 1", "t < T-1", "x[t,n] > 0")
PLACES = ("t-1,n", "t-1,n", "t-1,n", "t-1,N-1-n", "t-1,0", "t-2,n")
STARTS = ("x[t,n]", "x[t,n]", "2", "s[N-1-n]", "x[T-1,n]", "pad(S,0)[t-1,n]")
SCALES = ("a[]", "x[t,n]", "1/maximum(w[n], 0)", "log(maximum(w[n], 0))", "pad(S,0)[t-1,n]", "1")
ENDS = (
    "S[t,n]*a[]",
    "S[T-1,n] + 0*x[t,n]",
    "where(T >= 1, S[T-1,n], s[n])*x[t,n]",
    "where(T >= 1, S[T-1,n], 2*s[n])*x[t,n]",
    "where(T >= 1, S[T-1,n], 0)*x[t,n]",
    "pad(S,0)[T-1,n]*pad(P,0)[T-1,n]*x[t,n]",
    "S[T-1,n]/w[n]*x[0,n]",
    "[T >= 1]*S[T-1,n]*x[t,n]",
    "S[t,n] + S[0,n]*P[T-1,n]",
)


def read(tensor: str, place: str, condition: str) -> str:
    """An element of a step before, which is 0 where there is none."""
    there = condition in BEFORE and (place.startswith("t-1") or condition == "t >= 2")
    return f"{tensor}[{place}]" if there else f"pad({tensor},0)[{place}]"


def selection(rng: Random, target: str, made: str) -> str:
    """What the step before handed on, or, for one reason, no more than nearly that."""
    fault = rng.choice(("", "", "condition", "place", "start", "tensor"))
    condition = rng.choice(CONDITIONS) if fault == "condition" else "t >= 1"
    place = rng.choice(PLACES) if fault == "place" else "t-1,n"
    start = rng.choice(STARTS) if fault == "start" else rng.choice(("s[n]", "w[n]"))
    found = read("x" if fault == "tensor" else "S", place, condition)
    if fault == "tensor" and made:
        found = f"{made}[t,n]"
    return f"{target}[t,n] = where({condition}, {found}, {start})"


def term(rng: Random) -> str:
    """A term that is 0 at the first step whatever its condition says, or for one reason isn't."""
    fault = rng.choice(("", "", "condition", "place", "scale", "tensor", "domain", "inside"))
    condition = rng.choice(CONDITIONS) if fault == "condition" else "t >= 1"
    place = rng.choice(PLACES) if fault == "place" else "t-1,n"
    factors = ["a[]", read("P" if fault == "tensor" else "S", place, condition)]
    if fault == "scale":
        factors.append(rng.choice(SCALES))
    rng.shuffle(factors)
    product = "*".join(factors)
    if rng.random() < 0.6:
        domain = rng.choice(("k:N if k < n", "k:N if t >= 1")) if fault == "domain" else "k"
        inside = rng.choice(("[t >= 1]*", "[k > 0]*")) if fault == "inside" else ""
        scale = rng.choice(("1/maximum(V[k,n], 0)", "x[t,k]")) if fault == "scale" else "V[k,n]"
        inner = read("S", "t-2,k" if fault == "place" else "t-1,k", condition)
        product = f"sum({domain}) {inside}{scale}*{inner}"
    return f"[{condition}]*({product})"


def random_recurrence(seed: int) -> str:
    rng = Random(seed)
    turned = rng.random() < 0.4
    lines = [selection(rng, "P", "")]
    if rng.random() < 0.5:
        lines.append(selection(rng, "Q", "P"))
    names = [line[0] for line in lines]
    parts = [f"{rng.choice(('a[]', 'x[t,n]', 'w[n]'))}*{name}[t,n]" for name in names]
    parts += [term(rng) for _ in range(rng.randint(0, 1))]
    lines.append(f"S[t,n] = x[t,n]/2 + ({' + '.join(parts)})/4")
    lines.append(f"Y[t:T,n] = {rng.choice(ENDS)}")
    text = "\n".join(["x[T,N]; s[N]; w[N]; a[]; V[N,N]", *lines])
    if turned:
        swaps = {"t-1": "t+1", "t-2": "t+2", "t >= 1 and t < T-1": "t < T-1 and t >= 1"}
        swaps |= {
            "t >= 1": "t < T-1",
            "t < T-1": "t >= 1",
            "t >= 2": "t < T-2",
            "t != 1": "t != T-2",
        }
        swaps |= {"[T-1,n]": "[0,n]", "[0,n]": "[T-1,n]"}
        for k, old in enumerate(swaps):
            text = text.replace(old, f"<{k}>")
        for k, new in enumerate(swaps.values()):
            text = text.replace(f"<{k}>", new)
    return text


@pytest.mark.parametrize("seed", range(48))
def test_random_recurrences_hand_on_what_their_statements_say(seed: int) -> None:
    text = random_recurrence(seed)
    program = parse(text)
    with np.errstate(all="ignore"):
        for steps in (1, 2, 4):
            check_forward(program, {"T": steps, "N": 2}, seed=seed)
    if "maximum" not in text:  # with infinite values, how a gradient is put together is seen
        check_backward(program, {"T": 3, "N": 2}, seed=seed)


def test_whole_numbers_are_handed_on_as_such() -> None:
    text = "x[T]; P[t] = where(t >= 1, c[t-1], 0.5); c: int[t] = where(x[t]*P[t] > 0, 1, 2)"
    program = parse(f"{text}; Y[t] = P[t] + c[t]")
    for steps in (1, 4):
        check_forward(program, {"T": steps})
