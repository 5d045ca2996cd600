"""Draws random cases for as long as it is told to, and counts what becomes of them.

    python -m tools.hunt --seconds 3600            # all kinds in turn, on all cores
    python -m tools.hunt --kind sizes --seconds 60
    python -m tools.hunt --kind sizes --seed 4711  # one case again, with its error

A case is its kind and its seed. The table says how many cases were tried, right, refused (by
reason), undefined (the function itself fails there, or no difference quotient settles), wrong, and
foreign (an exception that is neither pullback's nor the user's code's own). The exit status is 1
where anything was wrong or foreign.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from .index_programs import index_program
from .names import names
from .numpy_programs import numpy_program
from .outcome import Outcome, judged
from .selections import masks, matrices
from .sizes import sizes
from .states import states
from .stores import stores
from .traced import nested, subscripts

KINDS: dict[str, Callable[[Random], None]] = {
    "NumPy": numpy_program,
    "index notation": index_program,
    "names": names,
    "sizes": sizes,
    "state": states,
    "stores": stores,
    "masks": masks,
    "matrices": matrices,
    "subscripts": subscripts,
    "nested": nested,
}
LIMIT = 60  # seconds of work on one case, after which the case counts as foreign: a hang
IDLE = 20  # times as long by the clock, of which other programs may have most
BATCH = 5.0  # seconds of work between two reports of a process


@dataclass
class Tally:
    """The outcomes of one kind, with the seeds of what is wrong or foreign."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[int, Outcome]] = field(default_factory=list)

    def add(self, seed: int, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        if outcome.status == "refused":
            self.refused[outcome.reason] += 1
        elif outcome.status in ("wrong", "foreign"):
            self.bad.append((seed, outcome))

    def join(self, other: Tally) -> None:
        self.counts += other.counts
        self.refused += other.refused
        self.bad += other.bad


class TooLong(Exception):
    """A case that takes longer than ``LIMIT``."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise TooLong(f"no result after {LIMIT} s")


def one(kind: str, seed: int) -> Outcome:
    """What becomes of one case."""
    signal.signal(signal.SIGALRM, _stop)
    signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    signal.alarm(IDLE * LIMIT)
    try:
        return judged(lambda: KINDS[kind](Random(f"{kind} {seed}")))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def batch(task: tuple[str, int, int]) -> tuple[str, Tally]:
    """Some seconds of cases of one kind: seeds ``start``, ``start + step``, ..."""
    kind, start, step = task
    tally = Tally()
    end = time.monotonic() + BATCH
    seed = start
    while time.monotonic() < end:
        tally.add(seed, one(kind, seed))
        seed += step
    return kind, tally


def hunt(kinds: list[str], seconds: float, jobs: int, first: int) -> dict[str, Tally]:
    """Cases of all kinds in turn, in ``jobs`` processes that are renewed now and then."""
    found = {kind: Tally() for kind in kinds}
    end = time.monotonic() + seconds
    turns = 1 + int(seconds * jobs / BATCH / len(kinds))
    tasks = [(kind, first + 10_000 * turn, 1) for turn in range(turns) for kind in kinds]
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, maxtasksperchild=8) as pool:
        for kind, tally in pool.imap_unordered(batch, tasks):
            found[kind].join(tally)
            for seed, outcome in tally.bad:
                print(f"{outcome.status}: {kind}, seed {seed}\n{outcome.reason}\n", flush=True)
            if time.monotonic() > end:
                pool.terminate()
                break
    return found


def table(found: dict[str, Tally]) -> str:
    """The result as Markdown."""
    columns = ("right", "refused", "undefined", "wrong", "foreign")
    lines = [f"| kind | tried | {' | '.join(columns)} |", "|---" * 7 + "|"]
    total: Counter[str] = Counter()
    for kind, tally in found.items():
        total += tally.counts
        cells = [tally.counts.total(), *(tally.counts[c] for c in columns)]
        lines.append(f"| {kind} | {' | '.join(f'{n:,}' for n in cells)} |")
    cells = [total.total(), *(total[c] for c in columns)]
    lines.append(f"| **all** | {' | '.join(f'{n:,}' for n in cells)} |")
    reasons = [
        (count, kind, reason)
        for kind, tally in found.items()
        for reason, count in tally.refused.most_common(8)
    ]
    if reasons:
        lines += ["", "Refused, the commonest reasons:", "", "| cases | kind | reason |"]
        lines.append("|---" * 3 + "|")
    for count, kind, reason in reasons:
        lines.append(f"| {count:,} | {kind} | {reason.replace('|', '/')} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns 1 where anything was wrong or foreign."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.hunt", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--seed", type=int, help="one case of one kind")
    parser.add_argument("--first", type=int, default=0, help="the first seed of a hunt")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--report", type=Path, help="write the table here")
    options = parser.parse_args(arguments)
    kinds = options.kind or list(KINDS)
    if options.seed is not None:
        outcome = one(kinds[0], options.seed)
        print(f"{outcome.status}\n{outcome.reason}")
        return int(outcome.status in ("wrong", "foreign"))
    start = time.monotonic()
    found = hunt(kinds, options.seconds, options.jobs, options.first)
    minutes = (time.monotonic() - start) / 60
    text = f"{table(found)}\n\n{minutes:.0f} minutes in {options.jobs} processes."
    print(text)
    if options.report:
        options.report.write_text(text + "\n", encoding="utf-8")
    return int(any(tally.bad for tally in found.values()))
