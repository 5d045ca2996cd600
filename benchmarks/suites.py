"""What is measured: deriving, generated NumPy against autograd and against a person, calls."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import autograd
import autograd.numpy
import numpy as np

import pullback
from tests.handwritten import Form

from .captured import captured
from .forms import CONTESTS, Contest
from .frameworks import frameworks
from .growth import growth
from .jacobians import jacobians
from .measure import Thunk, Timing, in_turns
from .memory import memory
from .overhead import batches, overhead
from .published import published
from .tables import Result, plain


def derivation(form: Form) -> Any:
    """The form's derivation, with named sizes."""
    return pullback.derive(form.value, **form.shapes)


def floats(form: Form) -> list[str]:
    """The arguments that gradients are taken of."""
    return [name for name in form.axes if name not in form.integer]


def ours(form: Form, arguments: Sequence[Any], upstream: Any) -> Thunk:
    """Forward and backward by the generated source."""
    forward, backward = derivation(form).compile()

    def call() -> Any:
        _, cache = forward(*arguments)
        return backward(upstream, cache)

    return call


def by_hand(form: Form, arguments: Sequence[Any], upstream: Any) -> Thunk:
    """Forward and backward as a person wrote them."""
    assert form.forward is not None and form.backward is not None
    forward, backward = form.forward, form.backward

    def call() -> Any:
        _, cache = forward(*arguments)
        return backward(upstream, cache)

    return call


def by_autograd(contest: Contest, arguments: Sequence[Any], upstream: Any) -> Thunk:
    """Forward and backward by HIPS autograd, which traces at each call."""
    form = contest.form
    program = contest.rival_program(autograd.numpy)
    places = [list(form.axes).index(name) for name in floats(form)]
    given = list(arguments)

    def function(chosen: tuple[Any, ...]) -> Any:
        placed = list(given)
        for place, value in zip(places, chosen, strict=True):
            placed[place] = value
        return program(*placed)

    chosen = tuple(given[place] for place in places)

    def call() -> Any:
        vjp, _ = autograd.make_vjp(function)(chosen)
        return vjp(upstream)

    return call


def agree(results: Sequence[Any]) -> None:
    """Raises unless all contenders found the same gradients."""
    first, *others = (r if isinstance(r, tuple) else (r,) for r in results)
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


def contest(
    form: Form, sizes: dict[str, int], makers: dict[str, Callable[..., Thunk]], rounds: int
) -> Any:
    """A row: each contender's time and how many times faster ours is."""
    arguments = form.arguments(sizes)
    upstream = np.asarray(np.random.default_rng(1).normal(size=np.shape(form.value(*arguments))))[
        ()
    ]
    thunks = {name: make(arguments, upstream) for name, make in makers.items()}
    agree([thunk() for thunk in thunks.values()])
    times = in_turns(thunks, rounds)
    row: dict[str, Any] = {"form": form.name, "elements": sum(map(np.size, arguments))}
    row |= {name: plain(found) for name, found in times.items()}
    mine = times["pullback"]
    row |= {
        f"{name} / pullback": found.ratio(mine)
        for name, found in times.items()
        if name != "pullback"
    }
    return row


def forms(rounds: int) -> Result:
    """Generated NumPy against autograd at large sizes."""
    rows = [
        contest(
            c.form,
            dict(c.form.large),
            {
                "pullback": functools.partial(ours, c.form),
                "autograd": functools.partial(by_autograd, c),
            },
            rounds,
        )
        for c in CONTESTS
    ]
    return Result(
        "Generated NumPy against HIPS autograd",
        (
            "Forward and backward together, float64, an arbitrary cotangent, gradients of all",
            "float arguments. autograd runs the same program; for convolution and pooling one that",
            "stacks strided slices. A ratio is the median over the rounds; above 1 means that",
            "pullback is faster. Deriving and compiling are not in the times.",
        ),
        ("form", "elements", "pullback", "autograd", "autograd / pullback"),
        rows,
    )


def handwritten(rounds: int) -> Result:
    """Generated NumPy against what a person wrote."""
    rows = [
        contest(
            c.form,
            dict(c.form.large),
            {
                "pullback": functools.partial(ours, c.form),
                "by hand": functools.partial(by_hand, c.form),
            },
            rounds,
        )
        for c in CONTESTS
        if c.form.backward is not None
    ]
    return Result(
        "Generated NumPy against hand-written NumPy",
        (
            "Forward and backward together, float64; the pairs are in tests/handwritten/.",
            "A ratio is the median over the rounds; above 1 means that pullback is faster.",
        ),
        ("form", "elements", "pullback", "by hand", "by hand / pullback"),
        rows,
    )


def calls(rounds: int) -> Result:
    """What a call costs where there is next to nothing to compute."""
    rows = []
    for c in CONTESTS:
        makers: dict[str, Callable[..., Thunk]] = {
            "pullback": functools.partial(ours, c.form),
            "autograd": functools.partial(by_autograd, c),
        }
        if c.form.backward is not None:
            makers["by hand"] = functools.partial(by_hand, c.form)
        row = contest(c.form, dict(c.form.small), makers, rounds)
        rows.append({"by hand": "", "by hand / pullback": "", **row})
    return Result(
        "Calls at tiny sizes",
        ("Forward and backward together, arrays of a few elements: the cost of calling is left.",),
        ("form", "pullback", "by hand", "autograd", "by hand / pullback", "autograd / pullback"),
        rows,
    )


# Each case in a process of its own: what was derived before must not help. The first derivation of
# anything imports and fills tables; "warm" is a form's first derivation after an unrelated one.
_PROBE = """
import json, sys, time
from benchmarks.probe import probe
print(json.dumps(probe(sys.argv[1])))
"""


def derive(rounds: int) -> Result:
    """How long deriving takes, each case in fresh processes."""
    from .probe import CASES, LIMITS

    rows = []
    for case in CASES:
        found = [_probed(case) for _ in range(max(3, rounds // 2))]
        row: dict[str, Any] = {"case": case, "limit": LIMITS[case]}
        for key in ("cold", "warm", "source"):
            row[key] = plain(Timing(tuple(f[key] for f in found)))
        row["limit / warm"] = float(LIMITS[case][:-2]) / row["warm"]["median"]
        rows.append(row)
    return Result(
        "Deriving",
        (
            "Each figure is from processes of its own. *warm*: the case derived for the first",
            "time, after an unrelated one; *cold*: that unrelated one, the first derivation of the",
            "process, with the package's import (not NumPy's); *source*: printing and compiling.",
        ),
        ("case", "warm", "limit", "limit / warm", "cold", "source"),
        rows,
    )


def _probed(case: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, case], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{case}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def imports(rounds: int) -> Result:
    """What importing the package costs beyond NumPy."""
    code = (
        "import time, numpy; s = time.perf_counter(); import pullback; a = time.perf_counter();"
        "pullback.derive; b = time.perf_counter(); print(a - s, b - s)"
    )
    found = []
    for _ in range(max(5, rounds)):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        found.append([float(part) for part in done.stdout.split()])
    package, first = (Timing(tuple(column)) for column in zip(*found, strict=True))
    rows: list[dict[str, Any]] = [
        _import_row("import pullback", package),
        _import_row("import pullback; pullback.derive", first),
    ]
    return Result(
        "Importing",
        ("In a fresh process, after NumPy has been imported.",),
        ("what", "time", "limit"),
        rows,
    )


def _import_row(what: str, found: Timing) -> dict[str, Any]:
    return {"what": what, "time": plain(found), "limit": "0.15 s"}


SUITES: dict[str, Callable[[int], Result]] = {
    "imports": imports,
    "derive": derive,
    "forms": forms,
    "handwritten": handwritten,
    "published": published,
    "calls": calls,
    "captured": captured,
    "overhead": overhead,
    "batches": batches,
    "growth": growth,
    "jacobians": jacobians,
    "frameworks": frameworks,
    "memory": memory,
}
