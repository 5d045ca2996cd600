"""Random NumPy programs: what is traced computes what NumPy computes."""

from __future__ import annotations

from hypothesis import given, settings

from .checking import compare
from .programs import RandomProgram, programs


@settings(max_examples=300)
@given(programs())
def test_traced_program_equals_numpy(program: RandomProgram) -> None:
    compare(program, *program.arrays)


@settings(max_examples=30)
@given(programs())
def test_tracing_twice_gives_the_same_program(program: RandomProgram) -> None:
    first = compare(program, *program.arrays)
    second = compare(program, *program.arrays)
    assert first.program == second.program
