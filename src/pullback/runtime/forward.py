"""A function traced at one signature of its arguments: a program, and the tree of what it
returns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..ir.expr import Tensor
from ..ir.program import Program, solve_sizes
from ..trace.constants import is_pattern
from ..trace.record import running
from ..trace.rolling import rolled
from ..trace.settled import settled
from ..trace.steering import UNKNOWN, number, use_numbers
from ..trace.tracer import Spec, Traced, trace
from ..trees import (
    Branch,
    Leaf,
    Structure,
    count,
    distinct,
    is_traced,
    paths,
    show_path,
    statics,
    unflatten,
)
from .bounds import check_integers, is_watched
from .calls import Call, as_array, identity
from .general import Generals, Shapes
from .hidden import Around, Candidate
from .lookups import Positions, check_lookups, positions, unchecked
from .notated import Formula

Array = np.ndarray[Any, Any]

_PLAIN = (int, bool, str, bytes, type(None), type(Ellipsis), range)
_GENERALS = Generals()
ATTEMPTS = 6  # to find the captured arrays whose values are not asked for


@dataclass(frozen=True)
class Forward:
    """What a function does with arguments of one signature.

    The program's inputs are the ``given`` leaves of the arguments, by position, then the captured
    arrays that are inputs (:attr:`Call.hidden`), then ``constants``. Its outputs are the leaves of
    the result (``structure``), then those of the auxiliary result (``more``, where asked for).
    ``steered``: values of Python floats decided something, so the program is that of these values
    only.
    """

    program: Program
    given: tuple[int, ...]
    constants: tuple[Array, ...]
    structure: Structure
    more: Structure | None = None
    steered: bool = False
    notated: bool = False

    @property
    def is_data(self) -> bool:
        """Whether the results hold arrays and plain values only, no object with a state."""
        found = [*statics(self.structure), *(statics(self.more) if self.more is not None else ())]
        return all(type(value) in _PLAIN for _, value in found)

    @property
    def results(self) -> int:
        """The number of leaves of the result proper."""
        return count(self.structure)

    @property
    def through(self) -> tuple[Tensor, ...]:
        """The outputs that take a cotangent: the floats of the result proper."""
        return tuple(t for t in self.program.outputs[: self.results] if t.kind == "float")

    def leaves(self, call: Call) -> list[Any]:
        """A call's leaves and the captured arrays, as they are."""
        if self.notated:
            return list(map(call.leaves.__getitem__, self.given))
        return [*call.leaves, *call.hidden]

    def arrays(self, call: Call) -> list[Array]:
        """A call's leaves, the captured arrays and the constants: what the program is run on."""
        found = list(map(as_array, self.leaves(call)))
        found += self.constants
        if self.positions:
            check_lookups(self.positions, self.program, found)
        if self.notated and self.watched:
            check_integers(self.program, found)
        return found

    @cached_property
    def is_free(self) -> bool:
        """Whether nothing is asked of the values of its arguments."""
        return not self.notated and not self.positions

    @cached_property
    def watched(self) -> bool:
        """Whether the integers of index notation have to be looked at in every call."""
        return is_watched(self.program, {})

    @cached_property
    def positions(self) -> tuple[Positions, ...]:
        """The integer inputs that have to point inside an axis."""
        return positions(self.program)

    def input(self, leaf: int) -> Tensor:
        """The program's input for a leaf of the arguments."""
        return self.program.inputs[self.given.index(leaf)]

    def built(self, outputs: Sequence[Any]) -> tuple[Any, Any]:
        """The result and the auxiliary result (None where there is none), from the program's
        outputs.
        """
        if self.more is None:
            if type(self.structure) is Leaf:
                return _scalar(outputs[0]), None
            return unflatten(self.structure, map(_scalar, outputs)), None
        values = list(map(_scalar, outputs))
        split = self.results
        return unflatten(self.structure, values[:split]), unflatten(self.more, values[split:])

    def places(self, name: str) -> list[str]:
        """Each leaf of the result proper as a person writes it, the result being called
        ``name``.
        """
        return [show_path(name, path) for path in paths(self.structure)]


def _scalar(value: Any) -> Any:
    """NumPy's own functions return scalars, not 0-d arrays."""
    return value[()] if type(value) is np.ndarray and value.ndim == 0 else value


def forward_of(
    function: Callable[..., Any],
    call: Call,
    has_aux: bool,
    steering: Collection[int] = (),
    around: Around | None = None,
) -> Forward:
    """What ``function`` does with a call's arguments.

    The values of those Python floats that are among the leaves ``steering`` may decide what the
    function does. The function runs once, and again, with captured arrays as inputs and at other
    shapes, only where nothing that is ``around`` it changed, so that nobody can tell. Raises
    TraceError for what can't be traced, ArgumentError where ``has_aux`` doesn't fit the result.
    """
    if isinstance(function, Formula):
        return Forward(*function.bound(call), structure=function.structure, notated=True)
    given = tuple(range(len(call.leaves)))
    known = {call.names[n]: number(call.leaves[n]) for n in steering}
    known = {name: value for name, value in known.items() if value is not UNKNOWN}
    nested = running() is not None

    def at(
        shapes: Shapes, chosen: Sequence[Candidate] = (), asked: dict[str, bool] | None = None
    ) -> Traced:
        def flat(*__traced: Any) -> Any:
            positional, keywords = call.rebuilt(__traced[: len(given)])
            run = function
            if chosen and around is not None:
                nodes = [one.node for one in chosen]
                run = around.with_arrays(dict(zip(nodes, __traced[len(given) :], strict=True)))
            return run(*positional, **keywords)

        leaves = [*call.leaves, *(one.array for one in chosen)]
        names = [*call.names, *_names(call, chosen)]
        arguments = dict(zip(names, map(_spec, leaves, shapes), strict=True))
        return trace(flat, arguments, closes_over=nested, known=known, asked=asked)

    shapes = tuple(() if isinstance(leaf, float) else tuple(leaf.shape) for leaf in call.leaves)
    traced = at(shapes)
    steered = traced.steered
    chosen: Sequence[Candidate] = ()
    if around is not None and not call.traced and not nested and around.same():
        chosen, traced = _with_captured(around, call, traced, shapes, at)
        around.hide(chosen)
        call.hidden = [one.array for one in chosen]
        shapes += tuple(tuple(one.array.shape) for one in chosen)
        steered |= traced.steered
        if not steered:
            own = tuple((one.name, one.array.ndim, one.array.dtype) for one in chosen)
            form = (identity(function), has_aux, call.form, own)
            names = [*call.names, *_names(call, chosen)]
            traced = _GENERALS.best(form, shapes, names, traced, lambda s: at(s, chosen))
    if type(traced) is Traced:
        traced = rolled(replace(traced, program=settled(traced.program)))
    if steered:
        use_numbers([call.leaves[n] for n in steering])
    constants = tuple(traced.constants[t.name] for t in traced.program.inputs[len(shapes) :])
    call.closes_over = any(map(is_traced, constants))
    structure, more = _split(traced.structure, has_aux)
    return Forward(traced.program, given, constants, structure, more, steered)


def _names(call: Call, chosen: Sequence[Candidate]) -> list[str]:
    """Names for captured arrays beside those of a call's leaves."""
    return distinct([*call.names, *(one.name for one in chosen)])[len(call.names) :]


def _with_captured(
    around: Around, call: Call, plain: Traced, shapes: Shapes, at: Callable[..., Traced]
) -> tuple[Sequence[Candidate], Traced]:
    """The captured arrays that are inputs, and the trace with these; ``plain`` has none.

    Where the values of some are asked for, these are left as they are.
    """
    chosen = [one for one in around.candidates() if not is_pattern(one.array)]
    for _ in range(ATTEMPTS):
        if not chosen:
            break
        names = _names(call, chosen)
        asked = dict.fromkeys(names, False)
        try:
            found = at((*shapes, *(tuple(one.array.shape) for one in chosen)), chosen, asked)
        except Exception:
            if not any(asked.values()):
                break
        else:
            start = len(call.leaves)
            inputs = found.program.inputs[start : start + len(chosen)]
            asked |= dict.fromkeys((t.name for t in unchecked(found.program, inputs)), True)
            if not any(asked.values()):
                return (chosen, found) if _is_like(found, plain) else ((), plain)
        chosen = [one for one, name in zip(chosen, names, strict=True) if not asked[name]]
    return (), plain


def _is_like(one: Traced, other: Traced) -> bool:
    """Whether two traces return the same tree of arrays of the same shapes and dtypes."""
    first, second = ([(t.shape, t.dtype) for t in x.program.outputs] for x in (one, other))
    return one.structure == other.structure and first == second


def _spec(leaf: Any, shape: tuple[int, ...]) -> Any:
    return leaf if isinstance(leaf, float) else Spec(shape, leaf.dtype.name)


def sizes_of(program: Program, values: Sequence[Any]) -> dict[str, int]:
    """The values of a program's named sizes (none where it was traced at plain ones)."""
    if not any(extent.names() for tensor in program.inputs for extent in tensor.shape):
        return {}
    shapes = {t: tuple(np.shape(v)) for t, v in zip(program.inputs, values, strict=True)}
    return solve_sizes(shapes)


def _split(structure: Structure, has_aux: bool) -> tuple[Structure, Structure | None]:
    """The structures of the result and of the auxiliary result."""
    if not has_aux:
        return structure, None
    if (
        isinstance(structure, Branch)
        and structure.make in (tuple, list)
        and len(structure.children) == 2
    ):
        return structure.children
    raise ArgumentError(
        "with has_aux=True the function returns two things",
        expected="(result, more)",
        found=f"{len(structure.children)} things" if isinstance(structure, Branch) else "one thing",
        hint="leave has_aux out, or return a pair",
    )
