"""What was traced, derived and compiled for one signature of the arguments: the plans of grad,
vjp, jvp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..errors import ArgumentError, TraceError
from ..ir.program import show_shape
from ..trees import Leaf, Static, is_complex, is_traced, matched, unflatten
from .calls import Call, kinds
from .compiled import apart, moved, pair, tangents
from .cotangents import ARRAY, FINISH, check_nothing, dtype_of, like_primal, shape_of
from .forward import Forward, sizes_of
from .nested import inlined


class Backward:
    """The compiled pair of a traced function, between trees and flat arrays."""

    def __init__(self, forward: Forward, call: Call, slots: Sequence[int]) -> None:
        self.forward = forward
        leaf_kinds = kinds(call)
        self.trees = [(call.structures[slot], call.leaves_of(slot)) for slot in slots]
        inputs = {n: forward.input(n) for _, leaves in self.trees for n in leaves}
        floats = [n for n in inputs if inputs[n].kind == "float"]
        self.order = {n: k for k, n in enumerate(floats)}
        self.finish = [
            (FINISH[leaf_kinds[n]], shape_of(call.leaves[n]), dtype_of(call.leaves[n]))
            for n in floats
        ]
        self.pair = pair(forward.program, tuple(inputs[n] for n in floats), forward.through)
        plain = all(isinstance(structure, Leaf) for structure, _ in self.trees)
        self.flat = plain and len(floats) == len(self.trees)
        self.arrays = self.flat and all(finish is ARRAY for finish, _, _ in self.finish)
        # Whether what goes in are arrays as they are, in every call of this plan.
        self.direct = (
            forward.is_free
            and call.is_plain
            and all(
                type(leaf) is np.ndarray and leaf.dtype.isnative for leaf in forward.leaves(call)
            )
        )

    def run(self, call: Call) -> tuple[Sequence[Any], Any, Sequence[Any]]:
        """The outputs, what the backward pass needs, and the arrays that went in."""
        if call.closes_over or call.given_traced:
            return self.run_traced(self.forward.leaves(call))
        if self.direct:
            inputs: Sequence[Any] = (*call.leaves, *call.hidden, *self.forward.constants)
        else:
            inputs = self.forward.arrays(call)
        outputs, cache = self.pair.forward(*inputs)
        return outputs, cache, inputs

    def run_traced(self, values: list[Any]) -> tuple[Sequence[Any], Any, Sequence[Any]]:
        """The same inside a trace."""
        values += self.forward.constants
        sizes = sizes_of(self.forward.program, values)
        program = self.pair.forward_program.with_sizes(sizes)
        found = inlined(program, values)
        split = len(self.forward.program.outputs)
        return found[:split], tuple(found[split:]), values

    def gradients(
        self, seeds: tuple[Any, ...], cache: Any, inputs: Sequence[Any], traced: bool
    ) -> tuple[Any, ...]:
        """The gradients of the slots, as trees like the arguments."""
        if traced:
            found = self.gradients_traced(seeds, cache, inputs)
        else:
            found = self.pair.backward(seeds, cache)
        if self.arrays:
            for gradient, (_, shape, dtype) in zip(found, self.finish, strict=True):
                if (
                    type(gradient) is not np.ndarray
                    or gradient.dtype is not dtype
                    or gradient.shape != shape
                ):
                    break
            else:
                return tuple(found)
        flat = [
            finish(gradient, shape, dtype)
            for (finish, shape, dtype), gradient in zip(self.finish, found, strict=True)
        ]
        if self.flat:
            return tuple(flat)
        return tuple(
            unflatten(
                structure,
                [flat[self.order[n]] if n in self.order else None for n in leaves],
                static=False,
                conjugate=True,
            )
            for structure, leaves in self.trees
        )

    def gradients_traced(
        self, seeds: tuple[Any, ...], cache: Any, inputs: Sequence[Any]
    ) -> Sequence[Any]:
        """The gradients inside a trace."""
        values = [*seeds, *cache[: len(self.pair.residuals)]]
        sizes = sizes_of(self.forward.program, inputs)
        ones = all(isinstance(s, np.ndarray) and s is _one(s.dtype) for s in seeds)
        program = self.pair.gradient_program if ones else self.pair.backward_program
        return inlined(program.with_sizes(sizes), values, beside=inputs)


class Gradient:
    """:func:`grad` for one signature of the arguments."""

    def __init__(
        self, call: Call, forward: Forward, chosen: Sequence[int], name: str = "grad"
    ) -> None:
        self.forward = forward
        _check_scalar(forward, name)
        self.backward = Backward(forward, call, chosen)
        self.seeds: tuple[Any, ...] | None = None

    def __call__(self, call: Call) -> tuple[Any, Any, tuple[Any, ...]]:
        backward = self.backward
        outputs, cache, inputs = backward.run(call)
        seeds = self.seeds
        if seeds is None:
            seeds = self.seeds = tuple(_one(outputs[n].dtype) for n in backward.pair.cotangents)
        traced = call.closes_over or call.given_traced
        gradients = backward.gradients(seeds, cache, inputs, traced)
        value, more = self.forward.built(outputs)
        return value, more, gradients


@cache
def _one(dtype: np.dtype[Any]) -> Any:
    """The cotangent of a scalar loss; shared, so nobody may write to it."""
    one = np.ones((), dtype)
    one.flags.writeable = False
    return one


def _check_scalar(forward: Forward, name: str) -> None:
    """Refuses a result that has no gradient: not a single float."""
    if isinstance(forward.structure, Static):
        found = f"{forward.structure.value.value!r}, which is not an array"[:80]
        hint = "return a float that is computed from the arguments"
    elif is_complex(forward.structure):
        found = "a complex result"
        hint = "return its real part, its absolute value, or another real number"
    elif not isinstance(forward.structure, Leaf):
        n = forward.results
        found = f"a result of {n} arrays" if n != 1 else "an array inside a container"
        hint = "return one scalar, with has_aux=True (scalar, more); or use vjp"
    else:
        tensor = forward.program.outputs[0]
        if tensor.shape:
            found = f"an array of shape {show_shape(tensor.shape)}"
            hint = "sum it or take its mean; or use vjp, which takes a cotangent of that shape"
        elif tensor.kind != "float":
            found = f"dtype {tensor.dtype}"
            hint = "the gradient of a count or a condition is zero wherever it exists"
        else:
            return
    raise ArgumentError(
        f"{name} needs a function with a scalar result",
        expected="one float",
        found=found,
        hint=hint,
    )


def _check_result(forward: Forward, name: str) -> None:
    """Refuses a result that holds no array: None of a function without ``return``, a text."""
    if forward.results:
        return
    found = "an empty container"
    if isinstance(forward.structure, Static):
        found = f"{forward.structure.value.value!r}, which is not an array"[:80]
    raise ArgumentError(
        f"{name} needs a function that returns arrays",
        expected="an array, or a tree with some",
        found=found,
        hint="return what is computed from the arguments",
    )


class Pullback:
    """:func:`vjp` for one signature of the arguments."""

    def __init__(self, call: Call, forward: Forward) -> None:
        self.forward = forward
        _check_result(forward, "vjp")
        self.backward = Backward(forward, call, range(len(call.structures)))
        self.places = forward.places("the cotangent")
        self.single = isinstance(forward.structure, Leaf) and self.backward.pair.cotangents == (0,)
        self.like: list[tuple[Any, Any]] | None = None  # shapes and dtypes of the outputs

    def __call__(self, call: Call) -> tuple[Any, Any, Callable[[Any], tuple[Any, ...]]]:
        backward = self.backward
        outputs, cache, inputs = backward.run(call)
        # The caller may change its own arrays, and the result, before the pullback runs.
        cache = apart(cache, (*inputs, *outputs))
        like = self.like
        if like is None:
            like = self.like = [(out.shape, out.dtype) for out in outputs]
        value, more = self.forward.built(outputs)
        enclosed = call.closes_over or call.given_traced
        return value, more, Pulled(self, cache, inputs, enclosed)

    def pulled(
        self, cotangent: Any, cache: Any, inputs: Sequence[Any], enclosed: bool
    ) -> tuple[Any, ...]:
        """The gradients for a cotangent of the result."""
        like = self.like
        assert like is not None  # known from the first call on
        if self.single:
            shape, dtype = like[0]
            seed = like_primal(cotangent, shape, dtype, self.places[0], "the result")
            seeds: tuple[Any, ...] = (seed,)
            traced = enclosed or (type(seed) is not np.ndarray and is_traced(seed))
        else:
            seeds = self.seeds(cotangent, like)
            traced = enclosed or any(map(is_traced, seeds))
        return self.backward.gradients(seeds, cache, inputs, traced)

    def seeds(self, cotangent: Any, like: Sequence[Any]) -> tuple[Any, ...]:
        """The outputs' cotangents."""
        form = self.forward.structure
        given = matched(cotangent, form, "the cotangent", "the result", conjugate=True)
        found: dict[int, Any] = {}
        for n, (value, place) in enumerate(zip(given, self.places, strict=True)):
            if n in self.backward.pair.cotangents:
                shape, dtype = like[n]
                found[n] = like_primal(value, shape, dtype, place, "the result")
            else:
                check_nothing(value, place, "the result")
        return tuple(found[n] for n in self.backward.pair.cotangents)


class Pulled:
    """The pullback of a function at one point: from the cotangent of its result to those of its
    arguments.

    A pickle takes along what the backward pass needs; what was derived is derived again. Inside a
    trace there is nothing to take along.
    """

    __slots__ = ("cache", "enclosed", "inputs", "plan")

    def __init__(self, plan: Pullback, cache: Any, inputs: Sequence[Any], enclosed: bool) -> None:
        self.plan, self.cache, self.inputs, self.enclosed = plan, cache, inputs, enclosed

    def __call__(self, cotangent: Any) -> tuple[Any, ...]:
        return self.plan.pulled(cotangent, self.cache, self.inputs, self.enclosed)

    def __copy__(self) -> Pulled:
        return self

    def __deepcopy__(self, memo: Any) -> Pulled:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.enclosed:
            raise TraceError(
                "the pullback of a function inside a trace can't be pickled",
                expected="a pullback at arrays",
                hint="pickle it outside of the function that is traced or differentiated",
            )
        return Pulled, (self.plan, tuple(self.cache), tuple(self.inputs), False)


class Pushforward:
    """:func:`jvp` for one signature of the arguments."""

    def __init__(self, call: Call, forward: Forward) -> None:
        self.forward = forward
        _check_result(forward, "jvp")
        inputs = [forward.input(n) for n in range(len(call.leaves))]
        self.floats = [n for n, tensor in enumerate(inputs) if tensor.kind == "float"]
        wrt = tuple(inputs[n] for n in self.floats)
        self.program = tangents(forward.program, wrt)
        self.evaluate = moved(forward.program, wrt)
        outputs = forward.program.outputs
        floats = [n for n, tensor in enumerate(outputs) if tensor.kind == "float"]
        self.position = {n: len(outputs) + k for k, n in enumerate(floats)}
        self.labels, self.structures, self.places = call.labels, call.structures, call.places

    def __call__(self, call: Call, given: Sequence[Any]) -> tuple[Any, Any, Any]:
        along = self.along(call, given)
        if call.traced or any(map(is_traced, along)):
            results = self.run_traced(self.forward.leaves(call), along)
        else:
            results = self.evaluate(*self.forward.arrays(call), *along)
        value, more = self.forward.built(results[: len(self.forward.program.outputs)])
        moved = [
            _scalar(results[self.position[n]]) if n in self.position else None
            for n in range(self.forward.results)
        ]
        return value, unflatten(self.forward.structure, moved, static=False), more

    def run_traced(self, values: list[Any], along: Sequence[Any]) -> Sequence[Any]:
        """The results inside a trace."""
        values += self.forward.constants
        program = self.program.with_sizes(sizes_of(self.forward.program, values))
        return inlined(program, [*values, *along])

    def along(self, call: Call, given: Sequence[Any]) -> list[Any]:
        """The tangents of the float leaves of the arguments."""
        if len(given) != len(self.structures):
            raise ArgumentError(
                "jvp takes one tangent an argument",
                expected=f"{len(self.structures)} tangents",
                found=str(len(given)),
            )
        flat = [
            value
            for label, structure, tangent in zip(self.labels, self.structures, given, strict=True)
            for value in matched(tangent, structure, f"the tangent of {label}", label)
        ]
        found = []
        for n, (value, leaf, place) in enumerate(zip(flat, call.leaves, self.places, strict=True)):
            if n in self.floats:
                like = shape_of(leaf), dtype_of(leaf)
                found.append(like_primal(value, *like, f"the tangent of {place}", place))
            else:
                check_nothing(value, f"the tangent of {place}", place)
        return found


def _scalar(value: Any) -> Any:
    return value[()] if type(value) is np.ndarray and value.ndim == 0 else value
