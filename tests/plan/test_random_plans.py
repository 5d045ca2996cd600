"""Random windows, pieces, recurrences and masked products: whatever way a plan takes, the source
computes what the statements say, and the gradients that differences have."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

import pullback.verify.programs as checks
from pullback.calculus.reverse import reverse
from pullback.notation.parse import parse
from pullback.verify.source import Source

from .test_plan import Spelled


def windows(rng: Random) -> str:
    """A convolution, or a reduction over windows: strides, dilations, margins, either direction."""
    axes = rng.choice(("i", "i", "ij"))
    steps = {a: rng.choice((1, 1, 2, 3)) for a in axes}
    spreads = {a: rng.choice((1, 1, 2)) for a in axes}
    margins = {a: rng.choice((0, 0, 1, 2)) for a in axes}
    taps = {a: rng.choice((2, 3)) if len(axes) == 1 else 2 for a in axes}
    tap = {"i": "p", "j": "q"}
    flipped, turned = ({a for a in axes if rng.random() < 0.3} for _ in range(2))
    extent = {
        a: f"(N{a} + {2 * margins[a] - spreads[a] * (taps[a] - 1) - 1})//{steps[a]} + 1"
        for a in axes
    }

    def place(a: str) -> str:
        reach = spreads[a] * (taps[a] - 1)
        here = f"{steps[a]}*{a}"
        if a in turned and steps[a] == 1:
            here = f"N{a} + {2 * margins[a] - reach - 1} - {a}"
        there = f"{spreads[a]}*{tap[a]}" if a not in flipped else f"{reach} - {spreads[a]}*{tap[a]}"
        return f"{here} + {there} - {margins[a]}"

    places = ",".join(map(place, axes))
    out = ",".join(f"{a}:{extent[a]}" for a in axes)
    bound = ", ".join(f"{tap[a]}:{taps[a]}" for a in axes)
    kernel = ",".join(tap[a] for a in axes)
    sizes = ",".join(f"N{a}" for a in axes)
    padded = any(margins.values())
    if rng.random() < 0.4:
        read = f"pad(X,0)[c,{places}]" if padded else f"X[c,{places}]"
        return f"X[C,{sizes}]; Y[o,{out}] = sum(c, {bound}) {read}*K[o,c,{kernel}]"
    read = f"pad(X,0)[{places}]" if padded else f"X[{places}]"
    body = rng.choice(
        (
            f"sum({bound}) {read}*K[{kernel}]",
            f"sum({bound}) {read}**2*K[{kernel}]",
            f"sum({bound}) exp({read})",
            f"mean({bound}) {read}",
            f"sum({bound}) {read}" if padded else f"max({bound}) {read}",
        )
    )
    return f"X[{sizes}]; Y[{out}] = {body}"


def pieces(rng: Random) -> str:
    """An array that is put together of others, cut, turned round, thinned out and read again."""
    n, k = rng.choice((1, 2, 3)), rng.choice((2, 3))
    join = rng.choice(
        (
            f"Z[i:N+{n}] = where(i < N, X[i], W[i-N])",
            f"Z[i:N+{n}] = where(i < {n}, W[i], X[i-{n}]**2)",
            f"Z[i:N+{2 * n}] = pad(X,0)[i-{n}]",
            f"Z[i:{k}*N] = where(i % {k} = 0, X[i//{k}], 0)",
            f"Z[i:{k}*N] = X[i//{k}]*(i + 1)",
            f"Z[i:{k}*N] = X[i % N]",
            "Z[i:N] = X[N-1-i]*V[i]",
            f"Z[i:N] = X[(i + {n}) % N]",
            "Z[i:N] = [i < N - 1]*V[i]*X[i]",
        )
    )
    use = rng.choice(
        (
            "Y[i] = Z[i]**2",
            "Y[i,j] = Z[i]*Z[j]",
            f"Y[i:N-{n}] = tanh(Z[i+{n}])*Z[i]",
            "Y[] = sum(i) Z[i]*sin(Z[i])",
            "Y[i:(N-1)//2] = Z[2*i]*Z[2*i+1]",
            "Y[i,j] = [j <= i]*exp(Z[i] - Z[j])",
            "Y[i:N] = sum(j) [j <= i]*Z[j]",
        )
    )
    return f"X[N]; W[{n}]; V[N]; {join}; {use}"


def recurrence(rng: Random) -> str:
    """One or two states from step to step, forwards or backwards, that start at something."""
    back = rng.random() < 0.4
    first = rng.choice(("0", "h[j]", "h[j]", "1", "X[t,j]", "2*h[j]"))

    def before(state: str, axis: str = "j", start: str = first) -> str:
        cond, place = ("t < T - 1", "t+1") if back else ("t >= 1", "t-1")
        return f"where({cond}, {state}[{place},{axis}], {start.replace('j', axis)})"

    cell = rng.choice(
        (
            f"H[t,j] = tanh(X[t,j] + {before('H')})",
            f"H[t,j] = X[t,j]*{before('H')} + v[j]",
            f"H[t,j] = tanh(X[t,j] + sum(k) {before('H', 'k')}*U[k,j])",
            f"G[t,j] = {before('H')} + {before('G', start='0')}; H[t,j] = tanh(X[t,j] + G[t,j])",
            f"H[t,j] = [{'t < T - 1' if back else 't >= 1'}]*v[j]*X[t,j] + sigmoid({before('H')})",
            f"P[t,j] = {before('H')}; H[t,j] = sin(P[t,j])*X[t,j]",
            f"H[t,j] = X[t,j] + v[j]*{before('H')}*(1 + [t % 2 = 0])",
            f"H[t,j] = X[t,j] + where({'t < T - 2' if back else 't >= 2'}, "
            f"H[t{'+2' if back else '-2'},j], h[j])*v[j]",
        )
    )
    use = rng.choice(
        (
            "",
            "; L[] = sum(t,j) H[t,j]**2",
            "; L[j] = where(T > 0, H[T-1,j], h[j])**2" if not back else "; L[t,j] = exp(H[t,j])",
            "; Q[t,j] = H[t,j]*X[t,j]; return Q, H",
        )
    )
    return f"X[T,J]; h[J]; v[J]; U[J,J]; {cell}{use}"


def late(rng: Random) -> str:
    """A recurrence that reads the step before from a later step on, beside what reads it at all."""
    back = rng.random() < 0.5
    after, n = ("t+1" if back else "t-1"), rng.choice((1, 2, 2, 3))
    from_here = f"t < T - {n}" if back else f"t >= {n}"
    near = "t < T - 1" if back else "t >= 1"
    first = rng.choice(("0", "h[j]", "2"))
    cell = rng.choice(
        (
            f"H[t,j] = X[t,j] + sum(k) [{from_here}]*H[{after},k]*U[k,j]",
            f"H[t,j] = X[t,j] + sum(k) [{from_here}]*(H[{after},k] + 1)*U[k,j]",
            f"H[t,j] = tanh(X[t,j] + where({from_here}, H[{after},j], {first}))",
            f"H[t,j] = tanh(X[t,j]*where({near}, H[{after},j], {first}) + "
            f"[{from_here}]*H[{after},j]*v[j])",
            f"H[t,j] = X[t,j] + [{from_here}]*v[j]*cos(H[{after},j])",
            f"H[t,j] = X[t,j] + [{from_here}]*X[{after},j]*H[{after},j]",
            f"H[t,j] = X[t,j] + where({from_here} and v[j] > 0, H[{after},j], {first})*v[j]",
        )
    )
    return f"X[T,J]; h[J]; v[J]; U[J,J]; {cell}"


def masked(rng: Random) -> str:
    """A product of which conditions choose elements, summed or not."""
    cond = rng.choice(
        ("i <= j", "i != j", "X[i,j] > 0", "i + j < N", "y[i] > 0", "k[i] != j", "2*i = j")
    )
    factors = rng.sample(("X[i,j]", "y[i]", "z[j]", "exp(z[j])", "1/(2 + y[i])", "X[j,i]"), 3)
    product = "*".join(factors)
    target = rng.choice(("Y[i,j] = ", "Y[i] = sum(j) ", "Y[j] = sum(i) ", "Y[] = sum(i,j) "))
    shape = rng.choice((f"[{cond}]*{product}", f"where({cond}, {product}, 0)"))
    return f"X[N,N]; y[N]; z[N]; k: int[N]; {target}{shape}"


KINDS: dict[str, Callable[[Random], str]] = {
    "windows": windows,
    "pieces": pieces,
    "recurrence": recurrence,
    "late": late,
    "masked": masked,
}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_right_in_any_way(
    kind: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In NumPy's source, and where arrays are not changed in place: with convolutions."""
    backward = reverse(parse(KINDS[kind](Random(f"{kind} {seed}"))))
    for source in (Source, Spelled):
        monkeypatch.setattr(checks, "Source", source)
        report = checks.check_backward_program(backward, samples=2)
        assert report.status != "failed", str(report)
