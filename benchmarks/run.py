"""Runs the benchmarks: ``python -m benchmarks.run [suite ...]``.

Writes benchmarks/results/SUITE.md and SUITE.json. Times are of one machine; what carries over
are the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Runs the suites that are named, all of them by default."""
    parser = argparse.ArgumentParser(description="Runs the benchmarks and writes their results.")
    parser.add_argument(
        "suites", nargs="*", metavar="suite", help="derive, forms, calls, growth, ..."
    )
    parser.add_argument("--threads", type=int, default=1, help="of BLAS (default: 1)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    for name in THREADS:  # BLAS reads these when NumPy is first imported, which is below
        os.environ[name] = str(options.threads)
    from .suites import SUITES

    unknown = [name for name in options.suites if name not in SUITES]
    if unknown:
        parser.error(f"no suite {unknown[0]!r}; there are {', '.join(SUITES)}")
    for name in options.suites or SUITES:
        _write(name, SUITES[name], options)
    return 0


def _write(name: str, suite: Callable[[int], Any], options: argparse.Namespace) -> None:
    from .machine import summary
    from .tables import markdown

    load = os.getloadavg()[0]
    result = suite(options.rounds)
    about = summary(options.threads, options.rounds, load)
    text = markdown(name, result, about)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{name}.md").write_text(text)
    for file, picture in result.pictures.items():
        (options.out / file).write_text(picture)
    record = {"machine": about, "columns": result.columns, "rows": result.rows}
    (options.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
