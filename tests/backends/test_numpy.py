"""NumPy source means what the statements mean: values, shapes, dtypes, memory."""

from __future__ import annotations

import pytest

from tests.backends.agreement import check_backward, check_forward, program_of
from tests.backends.programs import CASES, Case

EVERY = pytest.mark.parametrize("case", CASES, ids=str)


def sizes_of(case: Case) -> list[dict[str, int]]:
    """The assignments of a case; names it doesn't mention are 3."""
    program = program_of(case.text)
    names = {n for t in program.inputs for form in t.shape for n in form.names()}
    return [{**dict.fromkeys(sorted(names), 3), **sizes} for sizes in case.sizes]


@EVERY
def test_forward_agrees_with_the_interpreter(case: Case) -> None:
    for sizes in sizes_of(case):
        check_forward(program_of(case.text), sizes, below=case.below)


@EVERY
def test_backward_agrees_with_the_interpreter(case: Case) -> None:
    for sizes in sizes_of(case):
        check_backward(program_of(case.text), sizes, below=case.below)
