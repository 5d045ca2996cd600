"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .measure import Timing


@dataclass(frozen=True)
class Result:
    """A suite's table: a title, what was measured, named columns and a row a case; pictures by the
    names of their files."""

    title: str
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    pictures: Mapping[str, str] = field(default_factory=dict)


def plain(timing: Timing) -> dict[str, Any]:
    """A timing as JSON holds it, in seconds."""
    return {"median": timing.median, "rounds": list(timing.rounds)}


def markdown(name: str, result: Result, about: Mapping[str, str]) -> str:
    """The page of one suite."""
    lines = [f"# {result.title}", "", *result.notes, ""]
    lines += [f"    python -m benchmarks.run {name} --threads {about['BLAS threads']}", ""]
    lines += [", ".join(f"{key} {value}" for key, value in about.items()) + ".", ""]
    lines += ["| " + " | ".join(result.columns) + " |"]
    lines += ["|---" * len(result.columns) + "|"]
    lines += [
        "| " + " | ".join(_cell(row[key]) for key in result.columns) + " |" for row in result.rows
    ]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return str(Timing(tuple(value["rounds"])))
    return f"{value:.2f}" if isinstance(value, float) else str(value)
