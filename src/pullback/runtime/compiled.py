"""Programs as functions of arrays: forward, forward with backward, forward with tangents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from ..backends.numpy import spell, spell_pair
from ..calculus.effort import NUMBERS
from ..calculus.pushforward import compact_pushforward
from ..calculus.reverse import reverse
from ..calculus.seeds import with_ones
from ..calculus.step import Backward
from ..ir.expr import Tensor
from ..ir.program import Define, Program, computing, live, reads
from ..ir.recurrence import groups
from ..plan.statements import residuals_of
from .load import load, load_module

Array = np.ndarray[Any, Any]
Cache = tuple[Any, ...]
Conventions = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Pair:
    """A forward and a backward pass over flat arrays; tuples in, tuples out.

    ``cotangents`` are the outputs that take one, by position; ``source`` is what runs.
    """

    program: Program
    conventions: Conventions
    passes: Backward
    residuals: tuple[Tensor, ...]
    cotangents: tuple[int, ...]
    source: str
    forward: Callable[..., tuple[tuple[Any, ...], Cache]]
    backward: Callable[[tuple[Any, ...], Cache], tuple[Any, ...]]

    def __reduce__(self) -> tuple[Any, ...]:
        through = tuple(self.program.outputs[n] for n in self.cotangents)
        return pair, (self.program, self.passes.wrt, through, self.conventions)

    @property
    def forward_program(self) -> Program:
        """From the inputs to the outputs and then the residuals."""
        forward = self.passes.forward
        outputs = (*self.program.outputs, *self.residuals)
        return Program(forward.inputs, forward.statements, outputs, forward.sizes)

    @property
    def backward_program(self) -> Program:
        """From the cotangents and then the residuals to the gradients."""
        inputs = (*self.passes.cotangents, *self.residuals)
        return Program(inputs, self.passes.statements, self.passes.gradients)

    @property
    def gradient_program(self) -> Program:
        """:attr:`backward_program` where every cotangent is 1."""
        passes = self.passes
        statements = with_ones(passes.statements, passes.cotangents, passes.gradients)
        return replace(self.backward_program, statements=tuple(statements))


@lru_cache(maxsize=512)
def pair(
    program: Program,
    wrt: tuple[Tensor, ...],
    through: tuple[Tensor, ...],
    conventions: Conventions = (),
) -> Pair:
    """The compiled forward and backward pass of a program, by its inputs ``wrt``, through some
    outputs.

    The other outputs are values that come along (integers, auxiliary ones); they take no cotangent.
    """
    loss = Program(program.inputs, program.statements, through, program.sizes)
    derived = reverse(loss, wrt, dict(conventions), NUMBERS)
    whole = replace(
        derived,
        program=program,
        forward=Program(
            program.inputs,
            (*derived.forward.statements, *missing(derived.forward.statements, program)),
            program.outputs,
            program.sizes,
        ),
    )
    source = spell_pair(whole)
    module = load_module(source, "gradient")
    kept = live(Program((), whole.statements, whole.gradients)).statements
    return Pair(
        program,
        conventions,
        whole,
        tuple(residuals_of(kept, whole)),
        tuple(n for n, tensor in enumerate(program.outputs) if tensor in through),
        source,
        forward_of(module.forward, len(program.outputs)),
        backward_of(module.backward, len(through), len(wrt)),
    )


@lru_cache(maxsize=512)
def evaluation(program: Program) -> Callable[..., tuple[Any, ...]]:
    """The outputs of a program as a function of its inputs."""
    source = spell("forward", program.inputs, program.statements, program.outputs)
    return _tupled(load(source, "forward"), len(program.outputs))


@lru_cache(maxsize=512)
def tangents(program: Program, wrt: tuple[Tensor, ...], conventions: Conventions = ()) -> Program:
    """From the inputs, then the tangents of ``wrt``, to the outputs, then the float outputs'
    tangents.
    """
    pushed = compact_pushforward(program, wrt, dict(conventions))
    statements = (*pushed.statements, *missing(pushed.statements, program))
    outputs = (*program.outputs, *pushed.outputs)
    return live(Program(pushed.inputs, statements, outputs, pushed.sizes))


@lru_cache(maxsize=512)
def moved(
    program: Program, wrt: tuple[Tensor, ...], conventions: Conventions = ()
) -> Callable[..., tuple[Any, ...]]:
    """:func:`tangents` as a function."""
    passes = split_tangents(program, wrt, conventions)
    along = passes.cotangents
    module = load_module(spell_pair(passes), "tangent")
    forward = forward_of(module.forward, len(program.outputs))
    onwards = backward_of(module.backward, len(along), len(passes.gradients))

    def evaluate(*arrays: Array) -> tuple[Any, ...]:
        out, cache = forward(*arrays[: len(program.inputs)])
        return (*out, *onwards(arrays[len(program.inputs) :], cache))

    return evaluate


def split_tangents(
    program: Program, wrt: tuple[Tensor, ...], conventions: Conventions = ()
) -> Backward:
    """:func:`tangents` as a forward pass and, as a function of the tangents and what that left, a
    pass of its own.

    The order in which that multiplies is not the user's, so it is chosen as in a backward pass.
    """
    whole = tangents(program, wrt, conventions)
    along = whole.inputs[len(program.inputs) :]
    moving = set(along)
    first: list[Define] = []
    second: list[Define] = []
    for group in groups(whole.statements):
        moves = any(not moving.isdisjoint(reads(s)) for s in group)
        (second if moves else first).extend(group)
        moving.update(s.target for s in group if moves)
    return Backward(
        program,
        Program(program.inputs, tuple(first), program.outputs, program.sizes),
        wrt,
        along,
        tuple(second),
        whole.outputs[len(program.outputs) :],
        (),
        (),
    )


def missing(statements: Iterable[Define], program: Program) -> tuple[Define, ...]:
    """The statements of a program that its outputs need and ``statements`` don't have."""
    made = {s.target for s in statements}
    rest = [s for s in program.statements if s.target not in made]
    return tuple(computing(rest, program.outputs))


def _tupled(function: Callable[..., Any], outputs: int) -> Callable[..., tuple[Any, ...]]:
    """A generated function returns a single result bare."""
    if outputs == 1:
        return lambda *arrays: (function(*arrays),)
    return function


def forward_of(
    function: Callable[..., Any], outputs: int
) -> Callable[..., tuple[tuple[Any, ...], Cache]]:
    """A generated forward pass with its outputs as a tuple; it takes no sizes."""
    if outputs != 1:
        return function

    def forward(*arrays: Array) -> tuple[tuple[Any, ...], Cache]:
        out, cache = function(*arrays)
        return (out,), cache

    return forward


def backward_of(
    function: Callable[..., Any], cotangents: int, gradients: int
) -> Callable[[tuple[Any, ...], Cache], tuple[Any, ...]]:
    """A generated backward pass with cotangents and gradients as tuples."""

    def backward(seeds: tuple[Any, ...], cache: Cache) -> tuple[Any, ...]:
        found = function(seeds[0] if cotangents == 1 else seeds, cache)
        return (found,) if gradients == 1 else found

    return backward


def apart(values: Iterable[Any], others: Sequence[Any]) -> tuple[Any, ...]:
    """The values, copied where they share memory with one of ``others``.

    Arrays that are no views share memory only with themselves and with views.
    """
    found = []
    for value in values:
        if isinstance(value, np.ndarray):
            for other in others:
                if value is other or (
                    isinstance(other, np.ndarray)
                    and (value.base is not None or other.base is not None)
                    and np.may_share_memory(value, other)
                ):
                    value = value.copy()
                    break
        found.append(value)
    return tuple(found)
