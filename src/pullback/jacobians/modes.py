"""What a Jacobian multiplies by: the tangents' pass and the backward pass of a program, compiled,
for one direction and for many at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ..backends.numpy import spell_pair
from ..calculus.effort import NUMBERS
from ..calculus.letters import hints
from ..calculus.reverse import reverse
from ..calculus.step import Backward
from ..ir.expr import Access, Expr, Opaque, Tensor
from ..ir.program import Define, Program, computing, live, reads
from ..ir.sizes import size
from ..ir.subscripts import Index, at
from ..ir.walk import Tree, bottom_up
from ..plan.statements import residuals_of
from ..runtime.compiled import Conventions, evaluation, split_tangents
from ..runtime.load import load_module
from ..text import PRIVATE
from .closed import Closed, NoClosedForm, closed_form, moving
from .readable import readable

Array = np.ndarray[Any, Any]
COLUMN = Index(f"{PRIVATE}column", size("K"))


@lru_cache(maxsize=256)
def local(program: Program, output: Tensor, wrt: Tensor, conventions: Conventions = ()) -> Local:
    """The derivative of one output of a program, whose sizes are all numbers, by one input."""
    return Local(program, output, wrt, conventions)


class Local:
    """The derivative of ``output`` by ``wrt``: both passes and the formula of the Jacobian.

    ``why`` tells why there is no formula, "" where there is one.
    """

    def __init__(
        self, program: Program, output: Tensor, wrt: Tensor, conventions: Conventions
    ) -> None:
        whole = live(Program(program.inputs, program.statements, (output,), program.sizes))
        self.program, self.output, self.wrt = whole, output, wrt
        self.backward = reverse(whole, (wrt,), dict(conventions), NUMBERS)
        self.conventions = conventions
        self.closed: Closed | None = None
        self.why = ""
        rows = hints(whole).get(output, ())
        try:
            ends = self.backward.cotangents[0], self.backward.gradients[0]
            self.closed = closed_form(self.backward, *ends, rows)
        except NoClosedForm as error:
            self.why = str(error)

    @cached_property
    def readable(self) -> Closed | None:
        """The formula as readers know it; values are computed by ``closed``."""
        return None if self.closed is None else readable(self.closed, self.backward.forward)

    @cached_property
    def tangents(self) -> Backward:
        """The pass from tangents of the input to those of the output."""
        return split_tangents(self.program, (self.wrt,), self.conventions)

    @cached_property
    def push(self) -> Mode:
        """From a tangent of the input to that of the output."""
        return Mode(self.tangents)

    @cached_property
    def pull(self) -> Mode:
        """From a cotangent of the output to that of the input."""
        return Mode(self.backward)

    @cached_property
    def kept(self) -> tuple[Tensor, ...]:
        """The inputs and forward values that the derivative is computed from."""
        passes = self.backward
        return tuple(residuals_of(_live(passes), passes))

    @cached_property
    def read(self) -> frozenset[Tensor]:
        """The inputs of which the derivative needs the values."""
        found: set[Tensor] = set()
        for passes in (self.backward, self.tangents):
            made = [*passes.forward.statements, *passes.statements]
            needed = computing(made, residuals_of(_live(passes), passes))
            found |= {t for s in (*needed, *_live(passes)) for t in reads(s)}
        if self.closed is not None:
            found |= set(self.closed.tensors)
            made = [*self.backward.forward.statements, *self.backward.statements]
            found |= {t for s in computing(made, self.closed.tensors) for t in reads(s)}
        return frozenset(found.intersection(self.program.inputs))

    def values(self, inputs: Mapping[Tensor, Array], wanted: Sequence[Tensor]) -> list[Any]:
        """Values of inputs and of what the forward pass makes of them."""
        still = moving(self.backward)
        made = (s for s in self.backward.statements if s.target not in still)
        statements = (*self.backward.forward.statements, *made)
        targets = {s.target for s in statements}
        asked = tuple(t for t in wanted if t in targets)
        program = live(Program(self.program.inputs, statements, asked, self.program.sizes))
        found = dict(zip(asked, _evaluated(program, inputs), strict=True))
        return [found[t] if t in found else inputs[t] for t in wanted]


def _evaluated(program: Program, inputs: Mapping[Tensor, Array]) -> tuple[Any, ...]:
    if not program.outputs:
        return ()
    read = {t for s in program.statements for t in reads(s)} | set(program.outputs)
    used = tuple(t for t in program.inputs if t in read)
    short = Program(used, program.statements, program.outputs, program.sizes)
    return tuple(map(np.asarray, evaluation(short)(*(inputs[t] for t in used))))


def _live(passes: Backward) -> tuple[Define, ...]:
    return live(Program((), passes.statements, passes.gradients)).statements


class Mode:
    """One pass over directions, with the forward pass that it needs."""

    def __init__(self, passes: Backward) -> None:
        inputs = passes.program.inputs
        bare = Program(inputs, (), (), ())
        forward = Program(inputs, passes.forward.statements, (), ())
        self.passes = replace(passes, program=bare, forward=forward)

    @cached_property
    def one(self) -> Any:
        """The module for a single direction."""
        return load_module(spell_pair(self.passes), "jacobian")

    @cached_property
    def many(self) -> Any:
        """The module for directions side by side along a last axis; None where an operation on
        whole matrices takes them one by one."""
        wide = widened(self.passes)
        return None if wide is None else load_module(spell_pair(wide), "jacobian")

    def prepared(self, inputs: Mapping[Tensor, Array]) -> Callable[[Array], Array]:
        """The pass at a point, as a function of a direction, or of several along a last axis."""
        order = self.passes.program.inputs
        rank = len(self.passes.cotangents[0].shape)
        target = self.passes.gradients[0]
        if target not in moving(self.passes):  # nothing flows there
            shape = [n.value({}) for n in target.shape]
            return lambda given: np.zeros((*shape, *given.shape[rank:]), given.dtype)
        caches: dict[bool, Any] = {}

        def cache(module: Any, wide: bool) -> Any:
            if wide not in caches:
                caches[wide] = module.forward(*(inputs[t] for t in order))[1]
            return caches[wide]

        def run(given: Array) -> Array:
            if given.ndim == rank:
                return np.asarray(self.one.backward(given, cache(self.one, False)))
            if self.many is not None:
                return np.asarray(self.many.backward(given, cache(self.many, True)))
            columns = [run(given[..., k]) for k in range(given.shape[-1])]
            return np.stack(columns, axis=-1)

        return run


def widened(passes: Backward) -> Backward | None:
    """A pass over directions that stand along a last axis; None for an operation on whole
    matrices."""
    still = moving(passes)
    names = {t: Tensor(t.name, (*t.shape, COLUMN.extent), t.dtype) for t in still}

    def change(tree: Tree) -> Tree:
        if isinstance(tree, Access) and tree.tensor in names:
            return Access(names[tree.tensor], (*tree.subs, at(COLUMN)))
        return tree

    def wide(body: Expr) -> Expr:
        return bottom_up(body, change)  # type: ignore[return-value]

    statements = []
    for s in passes.statements:
        if s.target not in still:
            statements.append(s)
            continue
        if isinstance(s.body, Opaque):
            return None
        scatter = None if s.scatter is None else wide(s.scatter)
        indices = (*s.indices, COLUMN)
        statements.append(
            replace(s, target=names[s.target], indices=indices, body=wide(s.body), scatter=scatter)
        )
    return replace(
        passes,
        cotangents=tuple(names[t] for t in passes.cotangents),
        statements=tuple(statements),
        gradients=tuple(names[t] for t in passes.gradients),
    )
