"""No result gets less compact unnoticed: what each backward pass costs, and its length.

``compact.txt`` holds what was reached. Where a change makes results dearer on purpose (a guard that
must stay, say), record it anew with ``python -m tests.calculus.test_compact`` and say so in the
commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from pullback.calculus.cost import cost
from pullback.calculus.reverse import reverse
from pullback.ir.program import Program
from pullback.ir.walk import nodes
from pullback.notation.parse import parse

from ..properties.random_programs import Maker
from ..properties.test_facts import PROGRAMS as FACTS
from ..properties.test_once_wrong import ONCE_WRONG
from ..properties.test_sound_powers import SOUND
from ..properties.test_structures import STRUCTURES
from .programs import PROGRAMS

RECORD = Path(__file__).with_name("compact.txt")
TEXTS = {
    **{f"programs: {name}": text for name, text in PROGRAMS.items()},
    **{f"structures: {name}": text for name, text in STRUCTURES.items()},
    **{f"once wrong: {name}": text for name, text in ONCE_WRONG.items()},
    **{f"facts: {name}": text for name, text in FACTS.items()},
    **{f"powers: {k}": text for k, text in enumerate(SOUND)},
}
SEEDS = range(120)


def programs() -> Iterator[tuple[str, Program]]:
    """Programs by name: those of other tests, and random ones."""
    for name, text in TEXTS.items():
        yield name, parse(text)
    for seed in SEEDS:
        yield f"random: {seed}", Maker(Random(seed), kinks=seed % 2 == 0).program()


def measured(program: Program) -> tuple[float, int]:
    """What the backward pass costs, and how many nodes it has."""
    statements = reverse(program).statements
    return round(cost(statements), 1), sum(1 for s in statements for _ in nodes(s.body))


def recorded() -> dict[str, tuple[float, int]]:
    """What was reached."""
    lines = (line.rsplit(maxsplit=2) for line in RECORD.read_text(encoding="utf-8").splitlines())
    return {name: (float(work), int(length)) for name, work, length in lines}


REACHED = recorded() if RECORD.exists() else {}


@pytest.mark.parametrize(("name", "program"), [pytest.param(*p, id=p[0]) for p in programs()])
def test_no_result_is_less_compact_than_before(name: str, program: Program) -> None:
    work, length = measured(program)
    assert work <= REACHED[name][0] * (1 + 1e-9)
    assert length <= REACHED[name][1]


if __name__ == "__main__":
    made = [f"{name} {' '.join(map(str, measured(program)))}" for name, program in programs()]
    RECORD.write_text("\n".join(made) + "\n", encoding="utf-8")
