"""The arrangements of some matrices whose shape is the wanted one, and which of them are right.

A vector counts as a column. An arrangement is a product of up to three factors, each of them used
once and turned or not, an elementwise product of two, or a sum over rows or columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, pairwise, permutations, product
from random import Random
from typing import Any

import numpy as np

from ..calculus.step import Backward
from ..derivation import shape_text
from ..errors import PullbackError
from ..graph.names import label, transposed
from ..ir.expr import Tensor
from ..ir.interpret import FLOAT, run
from ..ir.program import Program, check_extents
from ..ir.sizes import Size, size
from ..notation.spell import show_dimensions
from ..verify.samples import draw_inputs, names_in

DISTINCT = (5, 7, 3, 4, 6, 8, 9, 11)  # sizes at which no shapes coincide
MOST_OPERANDS = 5
CLOSE = 1e-8
# Seeds, and what the numbers are multiplied by: where a kink is far from 0, large ones meet it.
DRAWS = ((7, 1.0), (8, 1.0), (9, 1.0), (10, 40.0), (11, 1000.0))
ONE = size(1)

Matrix = tuple[Size, Size]


@dataclass(frozen=True)
class Operand:
    """What an arrangement is made of: a tensor with the name that it is told by."""

    tensor: Tensor
    name: str

    @property
    def matrix(self) -> Matrix:
        """Its shape as a matrix: a vector is a column, a number 1×1."""
        return as_matrix(self.tensor.shape)


@dataclass(frozen=True)
class Factor:
    """An operand as it stands in a product."""

    operand: Operand
    turned: bool = False

    @property
    def matrix(self) -> Matrix:
        """Its shape."""
        rows, columns = self.operand.matrix
        return (columns, rows) if self.turned else (rows, columns)

    @property
    def text(self) -> str:
        """``Xᵀ``, ``(dL/dY)ᵀ``."""
        return transposed(self.operand.name) if self.turned else self.operand.name

    def value(self, values: Mapping[str, Any]) -> Any:
        """Its array at given values."""
        array = values[self.operand.tensor.name]
        array = array.reshape(array.shape[0] if array.ndim else 1, -1)
        return array.T if self.turned else array


@dataclass(frozen=True)
class Arrangement:
    """Factors that are multiplied: as matrices ("·"), element by element ("∘"), or summed over.

    ``summed`` is "" or what is summed over: "rows" or "columns".
    """

    factors: tuple[Factor, ...]
    sign: str = "·"
    summed: str = ""
    right: bool = False

    @property
    def text(self) -> str:
        """The arrangement with the shapes of its factors: ``Xᵀ (D×N) · dL/dH (N×C)``."""
        parts = [f"{f.text} ({show_dimensions(f.matrix)})" for f in self.factors]
        inner = f" {self.sign} ".join(parts)
        return f"the sum of {inner} over its {self.summed}" if self.summed else inner

    @property
    def short(self) -> str:
        """The same without shapes."""
        inner = f" {self.sign} ".join(f.text for f in self.factors)
        return f"the sum of {inner} over its {self.summed}" if self.summed else inner

    def value(self, values: Mapping[str, Any]) -> Any:
        """What it comes to."""
        found = self.factors[0].value(values)
        for factor in self.factors[1:]:
            other = factor.value(values)
            found = found @ other if self.sign == "·" else found * other
        if self.summed == "rows":
            return found.sum(axis=0).reshape(-1, 1)
        return found.sum(axis=1).reshape(-1, 1) if self.summed else found


def as_matrix(shape: Sequence[Size]) -> Matrix:
    """A shape of at most two axes as that of a matrix."""
    rows, columns = (*shape, ONE, ONE)[:2]
    return rows, columns


def fitting(wanted: Matrix, upstream: Operand, others: Sequence[Operand]) -> list[Arrangement]:
    """The arrangements of the upstream gradient and others that have a shape."""
    return [*dict.fromkeys(_fitting(wanted, upstream, others))]


def _fitting(wanted: Matrix, upstream: Operand, others: Sequence[Operand]) -> Iterator[Arrangement]:
    rows, columns = upstream.matrix
    for turned in (False, True):
        lone = Factor(upstream, turned)
        if lone.matrix == wanted and not (turned and rows is columns and rows is ONE):
            yield Arrangement((lone,))
    for count in (1, 2):
        for chosen in permutations(others, count):
            for at in range(count + 1):
                line = (*chosen[:at], upstream, *chosen[at:])
                for turns in product((False, True), repeat=count + 1):
                    factors = tuple(map(Factor, line, turns))
                    if _chains(factors, wanted):
                        yield Arrangement(factors)
    for other in others:
        for turned in (False, True):
            pair = Factor(upstream), Factor(other, turned)
            if pair[0].matrix == pair[1].matrix == wanted and ONE not in wanted:
                yield Arrangement(pair, "∘")
    if wanted[1] is ONE and ONE not in (rows, columns):
        if columns == wanted[0]:
            yield Arrangement((Factor(upstream),), summed="rows")
        if rows == wanted[0]:
            yield Arrangement((Factor(upstream),), summed="columns")


def _chains(factors: Sequence[Factor], wanted: Matrix) -> bool:
    """Whether factors are a product of the wanted shape: neighbours agree, no vector is turned for
    nothing."""
    if (factors[0].matrix[0], factors[-1].matrix[1]) != wanted:
        return False
    if any(f.turned and f.matrix[0] is f.matrix[1] is ONE for f in factors):
        return False
    return all(a.matrix[1] == b.matrix[0] for a, b in pairwise(factors))


# Which of them are right


@dataclass(frozen=True)
class Trial:
    """Numbers to try arrangements at: the sizes, and pairs of arrays and the true gradient."""

    sizes: Mapping[str, int]
    samples: tuple[tuple[Mapping[str, Any], Any], ...]

    @property
    def where(self) -> str:
        """``at N=5, D=7``, with what that means."""
        if not self.sizes:
            return "checked with random numbers"
        at = ", ".join(f"{name}={n}" for name, n in self.sizes.items())
        return f"checked at {at}"


def trial(backward: Backward) -> Trial | None:
    """Random numbers at distinct sizes for a backward pass by one tensor; None where there is no
    size that the program takes."""
    program = backward.program
    order = [name for t in program.inputs for n in t.shape for name in n.names()]
    used = names_in(program.statements, program.inputs)
    names = list(dict.fromkeys([*(n for n in order if n in used), *used]))
    for shift in range(len(DISTINCT)):
        numbers = (*DISTINCT[shift:], *DISTINCT[:shift])
        sizes = dict(zip(names, cycle(numbers), strict=False))
        try:
            check_extents(program.statements, sizes)
            drawn = [_sample(backward, sizes, seed, scale) for seed, scale in DRAWS]
        except PullbackError:
            continue
        finite = tuple(one for one in drawn if np.all(np.isfinite(one[1])))
        if finite:
            return Trial(sizes, finite)
    return None


def _sample(
    backward: Backward, sizes: Mapping[str, int], seed: int, scale: float
) -> tuple[Mapping[str, Any], Any]:
    """Random arrays for the inputs and the upstream gradient, and the gradient that they give."""
    program = backward.program
    inputs = (*program.inputs, *backward.cotangents)
    drawn = draw_inputs(inputs, program.statements, sizes, Random(seed), FLOAT, "signed")
    arrays = {t.name: np.array(drawn[t.name].flat).reshape(drawn[t.name].shape) for t in inputs}
    given = {
        t.name: arrays[t.name] * scale if t.kind == "float" else arrays[t.name] for t in inputs
    }
    statements = (*backward.forward.statements, *backward.statements)
    found = run(Program(inputs, statements, backward.gradients), given, sizes=sizes)
    (gradient,) = backward.gradients
    own = found[gradient.name]
    return given, np.array(own.flat, dtype=float).reshape(own.shape)


def judged(found: Sequence[Arrangement], tried: Trial | None) -> list[Arrangement]:
    """The arrangements, each with whether it is the gradient."""
    if tried is None:
        return list(found)
    return [
        replace(one, right=all(_is_gradient(one, *sample) for sample in tried.samples))
        for one in found
    ]


def _is_gradient(one: Arrangement, values: Mapping[str, Any], gradient: Any) -> bool:
    wanted = gradient.reshape(gradient.shape[0] if gradient.ndim else 1, -1)
    value = one.value(values)
    if value.shape != wanted.shape:
        return False
    scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
    return bool(np.all(np.abs(value - wanted) <= CLOSE * scale))


def told(tensor: Tensor, name: str = "") -> str:
    """A tensor with its shape: ``X (N×D)``."""
    shape = show_dimensions(tensor.shape) if tensor.shape else shape_text(())
    return f"{name or label(tensor.name)} ({shape})"
