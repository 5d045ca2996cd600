"""What a loop hands from one step to the next: random recurrences beside the interpreter."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from pullback.notation.parse import parse
from tests.backends.agreement import check_backward, check_forward

CONDITIONS = ("t >= 1", "t >= 1", "t >= 2", "t != 1", "t < T-1", "t >= 1 and t < T-1", "x[t,n] > 0")
PLACES = ("t-1,n", "t-1,n", "t-1,n", "t-2,n", "t-1,N-1-n", "t-1,0", "t,n")
STARTS = ("s[n]", "s[n]", "x[t,n]", "2", "s[N-1-n]", "x[T-1,n]", "pad(S,0)[t-1,n]")
SCALES = (
    "a[]",
    "x[t,n]",
    "1/maximum(w[n], 0)",
    "log(maximum(w[n], 0))",
    "pad(S,0)[t-1,n]",
    "pad(x,0)[t+1,n]",
    "1",
)
ENDS = (
    "S[t,n]*a[]",
    "pad(S,0)[T-1,n] + 0*x[t,n]",
    "where(T >= 1, pad(S,0)[T-1,n], s[n])*x[t,n]",
    "pad(S,0)[T-1,n]*pad(P,0)[T-1,n]*x[t,n]",
    "pad(S,0)[T-1,n]/w[n]*x[0,n]",
)


def selection(rng: Random, target: str) -> str:
    """A value that may be no more than what the step before handed on."""
    place = rng.choice(PLACES)
    read = f"pad(S,0)[{place}]" if place != "t,n" or target == "E" else "x[t,n]"
    return f"{target}[t,n] = where({rng.choice(CONDITIONS)}, {read}, {rng.choice(STARTS)})"


def term(rng: Random) -> str:
    """A term that may be 0 at the first step whatever its condition says."""
    read = f"pad({rng.choice('SSP')},0)[{rng.choice(PLACES[:5])}]"
    product = f"{rng.choice(SCALES)}*{read}*{rng.choice(SCALES)}"
    inner = f"sum(k) V[k,n]*pad(S,0)[{rng.choice(('t-1,k', 't-1,k', 't-2,k'))}]"
    return f"[{rng.choice(CONDITIONS)}]*({rng.choice((product, product, inner))})"


def random_recurrence(seed: int) -> str:
    rng = Random(seed)
    turned = rng.random() < 0.4
    lines = [selection(rng, "P")]
    if rng.random() < 0.5:
        lines.append(selection(rng, "Q"))
    names = [line[0] for line in lines]
    parts = [f"{rng.choice(('a[]', 'x[t,n]', 'w[n]'))}*{name}[t,n]" for name in names]
    parts += [term(rng) for _ in range(rng.randint(0, 2))]
    lines.append(f"S[t,n] = x[t,n]/2 + ({' + '.join(parts)})/4")
    lines.append(f"Y[t:T,n] = {rng.choice(ENDS)}")
    text = "\n".join(["x[T,N]; s[N]; w[N]; a[]; V[N,N]", *lines])
    if turned:
        swaps = {"t-1": "t+1", "t-2": "t+2", "t+1": "t-1", "t >= 1": "t < T-1", "t < T-1": "t >= 1"}
        swaps |= {"t >= 2": "t < T-2", "t != 1": "t != T-2", "T-1,n": "0,n", "0,n": "T-1,n"}
        for k, old in enumerate(swaps):
            text = text.replace(old, f"<{k}>")
        for k, new in enumerate(swaps.values()):
            text = text.replace(f"<{k}>", new)
    return text


@pytest.mark.parametrize("seed", range(24))
def test_random_recurrences_hand_on_what_their_statements_say(seed: int) -> None:
    text = random_recurrence(seed)
    program = parse(text)
    with np.errstate(all="ignore"):
        for steps in (1, 2, 4):
            check_forward(program, {"T": steps, "N": 2}, seed=seed)
    if "maximum" not in text:  # with infinite values, how a gradient is put together is seen
        check_backward(program, {"T": 3, "N": 2}, seed=seed)
