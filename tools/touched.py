"""Which tests run which lines of the broken files, for ``mutate.py``: a mutant of a line needs
only the tests that run it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import _lru_cache_wrapper
from typing import Any

from mutants import ROOT, SOURCE, Mutant


@dataclass
class Touched:
    """The seconds that each test takes, and the tests that run a line of a file; or a test that
    fails."""

    failing: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)

    def add(self, other: Touched) -> None:
        """Takes in what was recorded of other tests."""
        self.failing = self.failing or other.failing
        self.seconds |= other.seconds
        for file, lines in other.lines.items():
            own = self.lines.setdefault(file, {})
            for line, tests in lines.items():
                own.setdefault(line, set()).update(tests)

    def needs(self, mutant: Mutant) -> Callable[[str], bool]:
        """Whether a mutant's test has to run: it runs the line, or nothing is known of it. Where
        no test runs the line, all have to."""
        text = (ROOT / SOURCE / mutant.file).read_bytes()
        first, last = (text[:end].count(b"\n") + 1 for end in (mutant.start, mutant.stop))
        lines = self.lines.get(mutant.file, {})
        tests = set().union(*(lines.get(line, ()) for line in range(first, last + 1)))
        return lambda test: not tests or test in tests or test not in self.seconds


def caches() -> Iterator[Callable[[], object]]:
    """How to empty what the project and its tests keep between calls."""
    for thing in gc.get_objects():
        if isinstance(thing, _lru_cache_wrapper) and ours(thing):
            yield thing.cache_clear


def ours(function: Any) -> bool:
    """Whether a function is the project's or its tests'."""
    return str(function.__module__).partition(".")[0] in ("pullback", "tests")


def recorded(items: Sequence[Any], files: Iterable[str]) -> Touched:
    """Runs tests, each with empty caches, and notes which lines they run."""
    from _pytest.runner import runtestprotocol
    from coverage import Coverage

    paths = {str(ROOT / SOURCE / file): file for file in files}
    coverage = Coverage(include=list(paths), data_file=None, config_file=False)
    empty, seconds = list(caches()), dict[str, float]()
    coverage.start()
    for item in items:
        for clear in empty:
            clear()
        coverage.switch_context(item.nodeid)
        began = time.process_time()
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=None)):
            return Touched(failing=item.nodeid)
        seconds[item.nodeid] = time.process_time() - began
    coverage.stop()
    data = coverage.get_data()
    lines = {
        file: {line: set(tests) - {""} for line, tests in data.contexts_by_lineno(path).items()}
        for path, file in paths.items()
    }
    return Touched(seconds=seconds, lines=lines)
