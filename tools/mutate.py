"""Breaks each derivative and each rule in turn and counts how many of these mutants the tests kill.

Four kinds of mistakes are put in, one at a time: a wrong sign, a wrong factor, a dropped term (or
condition), a wrong index (or the wrong one of two arguments); see ``mutants.py``. Then the tests
that concern the broken file run. A mutant that no test notices survives. Run it from
the project's root:

    python tools/mutate.py                      # everything
    python tools/mutate.py --sample 100         # a random hundred
    python tools/mutate.py --only functions.py  # one file
    python tools/mutate.py --list               # no run: what would be broken

Each mutant runs in a process of its own, forked from one that has imported everything: the code of
the broken function is put in place of the right one, and no file is written. What is broken
outside functions (tables, constants) is imported anew. First all tests run once as the code is, and
``touched.py`` notes (by coverage.py) which lines each runs: only these tests run for a mutant, the
likeliest and quickest first.

``--seconds 0.3`` leaves out the tests that take longer than that, and ``--again LOG`` runs again
what survived in a former run, whose output is in LOG: a long run is one of the quick tests, and
then one of all tests for what survived. With ``--report FILE`` the result is written there;
``tools/survivors.toml`` says why known survivors are none that a test of results could notice.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import pickle
import random
import re
import resource
import select
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from mutants import KINDS, ROOT, SOURCE, Breaker, Mutant
from touched import Touched, caches, recorded

# What is broken, and the tests that must notice. Left out: cost.py and letters.py (they choose
# among right forms and letters), regions.py (a cache) and step.py (data alone).
LEFT_OUT = ("cost", "letters", "regions", "step")
CALCULUS = (
    *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests/calculus").glob("test_*.py")),
    "tests/properties/test_structures.py",
    "tests/properties/test_facts.py",
    "tests/properties/test_once_wrong.py",
    "tests/test_opaque.py",
    "tests/properties/test_recurrences.py",
    "tests/verify/test_steps.py",
    "tests/verify/test_programs.py",
    "tests/properties/test_programs.py",
    "tests/test_forms.py",
    "tests/properties/test_sound_powers.py",
    "tests/accuracy/test_saturated.py",
)
PLAN = (
    *(
        str(p.relative_to(ROOT))
        for folder in ("plan", "backends")
        for p in sorted((ROOT / "tests" / folder).glob("test_*.py"))
    ),
    "tests/trace/test_masks.py",
)
TARGETS: dict[str, tuple[str, ...]] = {
    "functions.py": ("tests/test_functions.py", *CALCULUS),
    "opaque.py": CALCULUS,
    **{
        f"calculus/{path.name}": CALCULUS
        for path in sorted((ROOT / SOURCE / "calculus").glob("[a-z]*.py"))
        if path.stem not in LEFT_OUT
    },
    **{f"plan/{path.name}": PLAN for path in sorted((ROOT / SOURCE / "plan").glob("[a-z]*.py"))},
}
PRELOADED = ("coverage", "hypothesis", "mpmath", "numpy", "pytest", "rich")
OPTIONS = ("-s", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no")
CPU = 600  # seconds of one mutant
SLOWER = 10  # how many times longer than without a mutant, and some seconds, a test may take
WALL = 1200.0
FEW = 5  # mutants for which it isn't worth finding out what the tests touch
MEMORY = 8 << 30


def all_mutants() -> list[Mutant]:
    """Every mutant of every target."""
    found = []
    for file in TARGETS:
        found += Breaker(file, (ROOT / SOURCE / file).read_text(encoding="utf-8")).mutants()
    return found


# --------------------------------------------------------------------------------------------------
# A mutant in place of the right code


def broken(mutant: Mutant) -> str:
    """The source of the mutant's module."""
    whole = (ROOT / SOURCE / mutant.file).read_bytes()
    return (whole[: mutant.start] + mutant.text.encode() + whole[mutant.stop :]).decode()


def module_of(mutant: Mutant) -> str:
    """The name of the mutant's module."""
    return ".".join(("pullback", *Path(mutant.file).with_suffix("").parts))


def in_function(mutant: Mutant) -> bool:
    """Whether the mistake is in the code of a function, not in what an import computes."""
    source = (ROOT / SOURCE / mutant.file).read_text(encoding="utf-8")
    lines = [0]
    for line in source.splitlines(keepends=True):
        lines.append(lines[-1] + len(line.encode()))
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            continue
        body = node.body if isinstance(node.body, list) else [node.body]
        first, last = body[0], body[-1]
        start = lines[first.lineno - 1] + first.col_offset
        stop = lines[(last.end_lineno or 0) - 1] + (last.end_col_offset or 0)
        if start <= mutant.start and mutant.stop <= stop:
            return True
    return False


class Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from another text than its file's."""

    text = ""

    def get_code(self, fullname: str) -> CodeType:
        """The code of that text."""
        return compile(self.text, self.path, "exec")


class Finder(importlib.abc.MetaPathFinder):
    """Finds one module, broken."""

    def __init__(self, mutant: Mutant) -> None:
        self.name, self.text = module_of(mutant), broken(mutant)
        self.path = str(ROOT / SOURCE / mutant.file)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        """The spec of the broken module."""
        if fullname != self.name:
            return None
        loader = Changed(fullname, self.path)
        loader.text = self.text
        return importlib.util.spec_from_file_location(fullname, self.path, loader=loader)


def put_in(mutant: Mutant) -> None:
    """Gives the functions of an imported module the mutant's code."""
    module = sys.modules[module_of(mutant)]
    path = str(module.__file__)
    source = Path(path).read_text(encoding="utf-8")
    right, wrong = compile(source, path, "exec"), compile(broken(mutant), path, "exec")
    change = {place(old): new for old, new in changed(right, wrong)}
    made = [f for f in gc.get_objects() if isinstance(f, FunctionType)]
    count = 0
    for function in made:
        new = (
            change.get(place(function.__code__)) if function.__code__.co_filename == path else None
        )
        if new is not None:
            function.__code__ = new
            count += 1
    if not count:
        raise LookupError(f"no function to break: {mutant.name}")
    for clear in caches():
        clear()


def changed(right: CodeType, wrong: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The pairs of code objects that differ, inner ones too."""
    olds, news = inner(right), inner(wrong)
    for old, new in zip(olds, news, strict=len(olds) == len(news)):
        if old.co_name == new.co_name and old != new:
            yield old, new
            yield from changed(old, new)


def inner(code: CodeType) -> list[CodeType]:
    """The code objects that are constants of this one."""
    return [c for c in code.co_consts if isinstance(c, CodeType)]


def place(code: CodeType) -> tuple[Any, ...]:
    """What tells two functions of a module apart."""
    return code.co_qualname, code.co_firstlineno, *code.co_positions()


# --------------------------------------------------------------------------------------------------
# The tests


@dataclass(frozen=True)
class Result:
    """What the tests said of one mutant, and how long that took."""

    mutant: Mutant | None
    by: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether some test failed."""
        return bool(self.by)


class Loop:
    """A plugin of pytest that hands the collected tests on instead of running them."""

    def __init__(self, work: Callable[[list[Any]], None]) -> None:
        self.work = work
        self.broken = ""  # the first file that can't be imported

    def pytest_collectreport(self, report: Any) -> None:
        """Takes in a file."""
        if report.failed and not self.broken:
            self.broken = report.nodeid

    def pytest_runtestloop(self, session: Any) -> bool:
        """What pytest does with the tests."""
        if not self.broken:
            self.work(session.items)
        return True


def collected(tests: Sequence[str], work: Callable[[list[Any]], None]) -> str:
    """Does ``work`` with the collected tests; the file that can't be imported, "" if all can."""
    import pytest

    loop = Loop(work)
    pytest.main([*OPTIONS, *tests], plugins=[loop])
    return loop.broken


def first_failing(items: Sequence[Any], usual: dict[str, float]) -> str:
    """The first of these tests that fails, "" if none does; a test that takes much longer than
    usual ends the process."""
    from _pytest.runner import runtestprotocol

    for item in items:
        if item.nodeid in usual:
            most = time.process_time() + SLOWER * (1 + usual[item.nodeid])
            resource.setrlimit(resource.RLIMIT_CPU, (min(int(most), CPU), CPU))
        reports = runtestprotocol(item, log=False, nextitem=None)
        if any(report.failed for report in reports):
            return str(item.nodeid)
    return ""


class Order:
    """Which tests run for a mutant, and in which order: those that killed most mutants of the same
    function, or of the same file, for the time they take come first."""

    def __init__(self, most: float) -> None:
        self.most = most  # the seconds a test may take; longer ones are left out
        self.kills: Counter[tuple[str, str, str]] = Counter()
        self.touched = Touched()

    def sorted(self, items: Sequence[Any], mutant: Mutant | None) -> list[Any]:
        """The tests for a mutant."""
        if mutant is None:
            return list(items)
        # What an import computes, tests read without running its line.
        needs = self.touched.needs(mutant) if in_function(mutant) else lambda test: True
        wanted = TARGETS[mutant.file]
        own = f"/test_{Path(mutant.file).stem}.py"

        def worth(item: Any) -> float:
            name = item.nodeid
            file = self.kills[mutant.file, "", name] + (own in name)
            chance = 0.02 + self.kills[mutant.file, mutant.function, name] + 0.1 * min(file, 5)
            return chance / (0.005 + self.touched.seconds.get(name, 0.2))

        chosen = [
            i
            for i in items
            if i.nodeid.split("::")[0] in wanted
            and self.touched.seconds.get(i.nodeid, 0) <= self.most
            and needs(i.nodeid)
        ]
        return sorted(chosen, key=worth, reverse=True)

    def learn(self, result: Result) -> None:
        """Takes in who killed a mutant."""
        if result.mutant is not None and result.killed:
            self.kills[result.mutant.file, result.mutant.function, result.by] += 1
            self.kills[result.mutant.file, "", result.by] += 1


# --------------------------------------------------------------------------------------------------
# Processes


@dataclass
class Running:
    """A process with one mutant in it."""

    mutant: Mutant | None
    pid: int
    pipe: int
    began: float

    def answer(self, late: bool) -> Result:
        """Its result; ends it if it is late."""
        if late:
            os.kill(self.pid, signal.SIGKILL)
        with open(self.pipe, encoding="utf-8") as pipe:
            said = pipe.read()
        os.waitpid(self.pid, 0)
        by = json.loads(said) if said else "(took too long, or ended the process)"
        return Result(self.mutant, by, time.monotonic() - self.began)


def started(mutant: Mutant | None, tests: Callable[[], str]) -> Running:
    """A new process that runs tests of a mutant (None: of the code as it is)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return Running(mutant, pid, reader, time.monotonic())
    by = "(broke the tool)"
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        by = tests()
    except SyntaxError as error:
        by = f"(no program: {error})"
    finally:
        with open(writer, "w", encoding="utf-8") as pipe:
            json.dump(by, pipe)
        os._exit(0)


def recorded_apart(tests: Sequence[str], files: Sequence[str], jobs: int) -> Touched:
    """What the tests touch of some files, found in as many processes."""
    pipes = []
    for k in range(jobs):
        reader, writer = os.pipe()
        if not os.fork():
            with open(writer, "wb") as pipe:
                pickle.dump(recorded_part(tests, files, slice(k, None, jobs)), pipe)
            os._exit(0)
        os.close(writer)
        pipes.append(reader)
    touched = Touched()
    for reader in pipes:
        with open(reader, "rb") as pipe:
            touched.add(pickle.load(pipe))
        os.wait()
    return touched


def recorded_part(tests: Sequence[str], files: Sequence[str], part: slice) -> Touched:
    """What some of the collected tests touch."""
    found: list[Touched] = []
    broken = collected(tests, lambda items: found.append(recorded(items[part], files)))
    return Touched(failing=broken) if broken else found[0]


class Runner:
    """Runs mutants, ``jobs`` at a time, until ``deadline``."""

    def __init__(
        self, jobs: int, deadline: float, order: Order, tell: Callable[[Result, int], None]
    ) -> None:
        self.jobs, self.deadline, self.order, self.tell = jobs, deadline, order, tell
        self.found: dict[Mutant, Result] = {}
        self.wrong = ""  # what fails without any mutant

    def cold(self, mutants: Sequence[Mutant]) -> None:
        """Runs mutants of what an import computes: each process imports the project."""

        def tests(mutant: Mutant | None) -> str:
            assert mutant is not None
            sys.meta_path.insert(0, Finder(mutant))
            by: list[str] = []
            broken = collected(
                TARGETS[mutant.file],
                lambda items: by.append(first_failing(self.order.sorted(items, mutant), {})),
            )
            return broken or by[0]

        self.run(mutants, tests)

    def warm(self, mutants: Sequence[Mutant], items: Sequence[Any]) -> None:
        """Runs mutants of functions, and the tests once without any if they haven't run; all is
        imported."""

        def tests(mutant: Mutant | None) -> str:
            if mutant is not None:
                put_in(mutant)
            return first_failing(self.order.sorted(items, mutant), self.order.touched.seconds)

        first = [] if self.order.touched.seconds else [None]
        self.run([*first, *mutants], tests)

    def run(
        self,
        mutants: Sequence[Mutant | None],
        tests: Callable[[Mutant | None], str],
    ) -> None:
        """Runs the mutants; None stands for the code as it is."""
        waiting, running = list(reversed(mutants)), list[Running]()
        while running or (waiting and not self.over):
            while waiting and len(running) < self.jobs and not self.over:
                mutant = waiting.pop()
                running.append(started(mutant, partial(tests, mutant)))
            ready, _, _ = select.select([r.pipe for r in running], [], [], 1.0)
            for r in list(running):
                late = time.monotonic() - r.began > WALL
                if r.pipe in ready or late:
                    running.remove(r)
                    self.take(r.answer(late))

    @property
    def over(self) -> bool:
        """Whether no more mutants are to be started."""
        return bool(self.wrong) or time.monotonic() > self.deadline

    def take(self, result: Result) -> None:
        """Takes in a result."""
        self.order.learn(result)
        if result.mutant is None:
            self.wrong = result.by
            return
        self.found[result.mutant] = result
        self.tell(result, len(self.found))


def run_all(mutants: Sequence[Mutant], seed: int, runner: Runner) -> list[Result]:
    """The results of the mutants, in order: those of the first in a random order if time is up."""
    mixed = random.Random(seed).sample(list(mutants), len(mutants))
    functions = [m for m in mixed if in_function(m)]
    every = list(dict.fromkeys(t for m in mutants for t in TARGETS[m.file]))
    if len(mutants) > FEW:
        files = list(dict.fromkeys(m.file for m in mutants))
        runner.order.touched = recorded_apart(every, files, runner.jobs)
        runner.wrong = runner.order.touched.failing
    runner.cold([m for m in mixed if m not in functions])
    runner.wrong = collected(every, lambda items: runner.warm(functions, items)) or runner.wrong
    return [runner.found[m] for m in mutants if m in runner.found]


# --------------------------------------------------------------------------------------------------
# The report


def table(results: Sequence[Result], explained: dict[str, str], command: str) -> str:
    """The result as Markdown."""
    lines = [f"    {command}", "", "| | mutants | killed | |", "|---|---|---|---|"]
    lines += [_row(kind, [r for r in results if r.mutant.kind == kind]) for kind in KINDS]
    lines.append(_row("**all**", results))
    lines += ["", "| file | mutants | killed | |", "|---|---|---|---|"]
    for file in TARGETS:
        own = [r for r in results if r.mutant.file == file]
        if own:
            lines.append(_row(f"`{file}`", own))
    survivors = [r for r in results if not r.killed]
    lines += ["", f"Survivors: {len(survivors)}.", ""]
    for r in survivors:
        why = explained.get(r.mutant.name, "**not explained**")
        lines += [f"- `{r.mutant.name}`  ", f"  {why}"]
    return "\n".join(lines) + "\n"


def _row(name: str, results: Sequence[Result]) -> str:
    killed = sum(r.killed for r in results)
    share = f"{killed / len(results):.1%}" if results else ""
    return f"| {name} | {len(results)} | {killed} | {share} |"


def explanations() -> dict[str, str]:
    """Why known survivors are none that a test could notice."""
    path = ROOT / "tools" / "survivors.toml"
    if not path.exists():
        return {}
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", [])
    return {name: entry["why"] for entry in entries for name in entry["names"]}


def chosen(given: argparse.Namespace) -> list[Mutant]:
    """The mutants that the command line asks for."""
    mutants = [
        m
        for m in all_mutants()
        if (not given.only or any(o in m.file for o in given.only))
        and (not given.kind or m.kind in given.kind)
        and (not given.name or m.name in given.name)
    ]
    if given.tests:
        TARGETS.update(dict.fromkeys(TARGETS, tuple(given.tests)))
    if given.again:
        log = given.again.read_text(encoding="utf-8")
        left = set(re.findall(r"^\d+/\d+ SURVIVED (.*)  \[\d+ s\]$", log, re.M))
        mutants = [m for m in mutants if m.name in left]
    if given.sample is not None and given.sample < len(mutants):
        drawn = sorted(random.Random(given.seed).sample(range(len(mutants)), given.sample))
        mutants = [mutants[k] for k in drawn]
    return mutants


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 0 if at least 95 % are killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sample", type=int, help="so many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--only", action="append", help="files to break: functions.py, plan/")
    parser.add_argument("--kind", action="append", choices=KINDS, help="kinds of mistakes")
    parser.add_argument("--name", action="append", help="a mutant by the name that is reported")
    parser.add_argument("--again", type=Path, help="only what survived in this former output")
    parser.add_argument("--tests", action="append", help="only this file of tests")
    parser.add_argument("--seconds", type=float, default=1e6, help="no tests that take longer")
    parser.add_argument("--minutes", type=float, default=1e6, help="start no mutant after that")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="list the mutants, run nothing")
    parser.add_argument("--report", type=Path, help="write the result as Markdown")
    given = parser.parse_args(argv)
    mutants = chosen(given)
    if given.list:
        for m in mutants:
            print(f"{m.kind:8} {m.line:4} {m.name}")
        print(dict(Counter(m.kind for m in mutants)), len(mutants))
        return 0
    os.chdir(ROOT)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    for name in PRELOADED:
        importlib.import_module(name)

    def tell(result: Result, done: int) -> None:
        mark = "killed  " if result.killed else "SURVIVED"
        told = f"{result.seconds:.0f} s{', ' if result.by else ''}{result.by}"
        print(f"{done}/{len(mutants)} {mark} {result.mutant.name}  [{told}]", flush=True)

    order = Order(given.seconds)
    runner = Runner(given.jobs, time.monotonic() + 60 * given.minutes, order, tell)
    results = run_all(mutants, given.seed, runner)
    if runner.wrong:
        print(f"the tests fail without any mutant: {runner.wrong}", file=sys.stderr)
        return 2
    killed = sum(r.killed for r in results)
    print(f"{killed} of {len(results)} killed ({killed / max(1, len(results)):.1%})")
    if given.report:
        words = [w for w in (argv if argv is not None else sys.argv[1:]) if w]
        text = table(results, explanations(), " ".join(["python tools/mutate.py", *words]))
        given.report.write_text(text, encoding="utf-8")
    return 0 if killed >= 0.95 * len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
