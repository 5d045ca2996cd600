"""Runs ``verify()`` over every form of the tests, the examples and the layers, with many seeds.

    python tools/verify_all.py --seeds 20 --out docs/verified.md

Each form is derived once and verified with every seed. Written are the counts of passed, failed
and not checked, the reasons, and how long ``verify()`` took beside ``derive``; the exit status is
1 if anything failed. ``--only WORD`` takes forms whose name holds the word, ``--limit`` is how
long, in seconds, a single form may take (the seeds that were left out are counted), ``--total``
how long all of them may (the forms that were left out are counted).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from time import process_time, time
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

FACTOR, START = 10.0, 3.0  # verify() may take so many times what derive took, and seconds more


@dataclass
class Outcome:
    """What one form came to: the number of seeds by status, examples of what is not well."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)  # reasons of checks that were not made
    failures: list[str] = field(default_factory=list)
    checks: int = 0
    elements: int = 0
    derived: float = 0.0
    verified: float = 0.0  # the slowest seed
    error: str = ""

    @property
    def ratio(self) -> float:
        """How much of its time ``verify()`` took: above 1 is too long."""
        return self.verified / (FACTOR * self.derived + START)


# --------------------------------------------------------------------------------------------------
# The forms


@cache
def forms() -> dict[str, Callable[[], Any]]:
    """What derives each form, by name."""
    found: dict[str, Callable[[], Any]] = {}
    for group in (_functions, _texts, _examples, _written, _cases, _layers):
        for name, make in group():
            assert name not in found, name
            found[name] = make
    return found


def _texts() -> Iterator[tuple[str, Callable[[], Any]]]:
    from pullback import derive

    for group, module in (
        ("calculus", "tests.calculus.programs"),
        ("recurrences", "tests.recurrences"),
        ("hard to draw for", "tests.verify.programs"),
    ):
        for name, text in import_module(module).PROGRAMS.items():
            yield f"{group}: {name}", partial(derive, text)


def _functions() -> Iterator[tuple[str, Callable[[], Any]]]:
    from pullback import derive

    for name, (function, shapes) in import_module("tests.verify.programs").FUNCTIONS.items():
        yield f"hard to draw for: {name}", partial(derive, function, **shapes)


def _written() -> Iterator[tuple[str, Callable[[], Any]]]:
    module = import_module("tests.test_forms")
    for form in module.FORMS:
        for k, way in enumerate((*form.functions, *form.texts)):
            name = getattr(way, "__name__", f"text {k}")
            yield f"forms: {form.name}, {name}", partial(module.derived, form, way)


def _cases() -> Iterator[tuple[str, Callable[[], Any]]]:
    from pullback import derive

    for case in import_module("tests.backends.programs").CASES:
        yield f"backends: {case.name}", partial(derive, case.text)


def _examples() -> Iterator[tuple[str, Callable[[], Any]]]:
    from pullback import derive

    digits = import_module("examples.digits")
    yield "examples: digits", partial(derive, digits.loss, wrt=digits.PARAMETERS, **digits.SHAPES)


def _layers() -> Iterator[tuple[str, Callable[[], Any]]]:
    from pullback.layers import LAYERS

    for name, kind in LAYERS.items():
        yield f"layers: {name}", partial(_layer, kind, kind.examples[0])
    for name, kind in LAYERS.items():
        for k, example in enumerate(kind.examples[1:], 1):
            yield f"layers: {name}, example {k}", partial(_layer, kind, example)


def _layer(kind: Any, example: Any) -> Any:
    """A layer at an example's options, with named sizes."""
    made = kind(**example.options)
    return made.derive(kind.form(example.shapes[made.inputs[0]]))


# --------------------------------------------------------------------------------------------------
# Running


def verified(name: str, seeds: int, limit: float) -> Outcome:
    """One form, with seeds 0, 1, ... until the time is over."""
    found = Outcome(name)
    start = process_time()
    try:
        derivation = forms()[name]()
    except Exception as error:
        found.error = f"{type(error).__name__}: {error}"
        return found
    found.derived = process_time() - start
    for seed in range(seeds):
        if process_time() - start > limit:
            found.counts["left out"] = seeds - seed
            break
        begun = process_time()
        try:
            verification = derivation.verify(seed)
        except Exception as error:
            found.error = f"seed {seed}: {type(error).__name__}: {error}"
            return found
        found.verified = max(found.verified, process_time() - begun)
        found.counts[verification.status] += 1
        found.checks += len(verification.checks)
        found.elements += sum(check.elements for _, check in verification.checks)
        found.failures += [f"seed {seed}: {what}: {c.how}" for what, c in verification.failures]
        found.open.update(c.how for _, c in verification.unchecked)
    return found


def run(names: Sequence[str], seeds: int, limit: float, jobs: int) -> Iterator[Outcome]:
    """The outcomes, in the order of the names."""
    one = partial(verified, seeds=seeds, limit=limit)
    if jobs == 1:
        yield from map(one, names)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(one, names)


# --------------------------------------------------------------------------------------------------
# What is written


def table(outcomes: Sequence[Outcome], seeds: int, left: int) -> str:
    """The result as Markdown; ``left`` forms were not reached."""
    total = sum((o.counts for o in outcomes), Counter())
    failed = [o for o in outcomes if o.failures or o.error]
    slowest = sorted(outcomes, key=lambda o: (-o.ratio, o.name))[:8]
    lines = [
        "# verify() over every form",
        "",
        f"Written by `make verify SEEDS={seeds}`: {len(outcomes)} forms of the tests, the examples "
        f"and the layers, each derived once and verified with up to {seeds} seeds. "
        + (f"{left} more forms were not reached in the time that was given. " if left else "")
        + "[checks.md](checks.md) says what the three outcomes mean.",
        "",
        "| forms | verifications | passed | failed | not checked | left out | checks | not made |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_row(group, own) for group, own in _groups(outcomes)),
        _row("all", outcomes),
        "",
        "*Left out* are verifications that a time limit for each form left no time for; *not made* "
        "are single checks, such as that of one step, in which nothing could be compared.",
        "",
        "## Failed",
        "",
        *([f"- {o.name}: {'; '.join(o.failures[:3]) or o.error}" for o in failed] or ["None."]),
        "",
        "## Not made, by reason",
        "",
        *_reasons(outcomes),
        "",
        "## Time",
        "",
        f"`verify()` is to take at most {FACTOR:g} times what `derive` took, and {START:g} seconds "
        "more. The forms that come closest to it:",
        "",
        "| form | derive | verify, slowest seed | share of the time allowed |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {o.name} | {o.derived:.2f} s | {o.verified:.2f} s | {o.ratio:.0%} |"
            for o in slowest
        ),
    ]
    assert total["failed"] == sum(o.counts["failed"] for o in outcomes)
    return "\n".join(lines) + "\n"


def _groups(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[Outcome]]]:
    names = dict.fromkeys(o.name.partition(":")[0] for o in outcomes)
    for name in names:
        yield name, [o for o in outcomes if o.name.partition(":")[0] == name]


def _row(name: str, own: Sequence[Outcome]) -> str:
    total = sum((o.counts for o in own), Counter())
    tried = sum(total.values()) - total["left out"]
    counts = [total[status] for status in ("passed", "failed", "not checked", "left out")]
    made = [sum(o.checks for o in own), sum(o.open.total() for o in own)]
    cells = [f"{name} ({len(own)})", *map(str, (tried, *counts, *made))]
    return f"| {' | '.join(cells)} |"


def _reasons(outcomes: Sequence[Outcome]) -> Iterator[str]:
    total = sum((o.open for o in outcomes), Counter())
    if not total:
        yield "None."
    for reason, count in sorted(total.items(), key=lambda entry: (-entry[1], entry[0]))[:20]:
        where = [o.name for o in outcomes if reason in o.open]
        more = f" and {len(where) - 3} more" if len(where) > 3 else ""
        yield f"- {count}: {reason} ({', '.join(where[:3])}{more})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked for; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=20, help="so many seeds (default: 20)")
    parser.add_argument("--only", default="", help="forms whose name holds this")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for each form")
    parser.add_argument("--total", type=float, default=1e9, help="seconds for all forms")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--out", help="write the table to this file")
    asked = parser.parse_args(arguments)
    names = [name for name in forms() if asked.only in name]
    outcomes: list[Outcome] = []
    start = time()
    for found in run(names, asked.seeds, asked.limit, asked.jobs):
        outcomes.append(found)
        counts = ", ".join(f"{n} {status}" for status, n in found.counts.items())
        print(
            f"{found.name}: {counts or found.error} "
            f"(derive {found.derived:.2f} s, verify {found.verified:.2f} s, {found.ratio:.0%})",
            flush=True,
        )
        for line in found.failures[:5]:
            print(f"  {line}", flush=True)
        if time() - start > asked.total:
            break
    text = table(outcomes, asked.seeds, len(names) - len(outcomes))
    if asked.out:
        Path(asked.out).write_text(text, encoding="utf-8")
    else:
        print(text)
    return int(any(o.failures or o.error for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
