"""The public functions, with JAX's names and signatures."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .errors import ArgumentError, CheckError, ShapeError
from .ir.program import show_shape
from .runtime.calls import Argnums, Call, check_argnums, check_floats, kinds, parameters, slots
from .runtime.compiled import apart, evaluation, pair, tangents
from .runtime.forward import Forward, forward_of, sizes_of
from .runtime.nested import inlined, is_traced, sheet_of
from .runtime.plans import Plans
from .trees import Leaf, matched, unflatten

Array = np.ndarray[Any, Any]

_PLANS: Plans[Any] = Plans()


def grad(fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function with a scalar result, as a function of the same arguments.

    ``argnums`` says by which arguments: a position, a parameter's name, or a tuple of them (then a tuple of
    gradients comes back). A gradient has its argument's shape, dtype and, where that is a dict, list, tuple or
    dataclass, its structure. With ``has_aux`` the function returns ``(result, more)`` and its gradient
    function ``(gradient, more)``.

    >>> loss = lambda X, w: ((X @ w) ** 2).sum()
    >>> grad(loss, argnums="w")(np.eye(2), np.array([1.0, 3.0]))
    array([2., 6.])

    Raises TraceError for what can't be traced, ArgumentError for arguments that are no floats and for a
    result that is no scalar.
    """
    return _gradient_function(
        fun,
        argnums,
        has_aux,
        lambda value, more, gradient: (gradient, more) if has_aux else gradient,
        "grad",
    )


def value_and_grad(
    fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Like :func:`grad`, but the function returns ``(value, gradient)``.

    With ``has_aux``, ``((value, more), gradient)``.

    >>> value_and_grad(lambda x: x ** 3)(2.0)
    (np.float64(8.0), np.float64(12.0))
    """
    return _gradient_function(
        fun,
        argnums,
        has_aux,
        lambda value, more, gradient: ((value, more) if has_aux else value, gradient),
        "value_and_grad",
    )


def _gradient_function(
    fun: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool,
    arrange: Callable[[Any, Any, Any], Any],
    name: str,
) -> Callable[..., Any]:
    about = parameters(fun)
    wanted, single = check_argnums(argnums)
    kind = ("grad", wanted, has_aux)

    def make(call: Call, fixed: Sequence[int]) -> _Gradient:
        chosen = slots(wanted, about, call)
        for slot in chosen:
            check_floats(call, slot)
        fixed = [n for n in fixed if not any(n in call.leaves_of(slot) for slot in chosen)]
        return _Gradient(call, forward_of(fun, call, has_aux, fixed), chosen)

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def gradient_function(*args: Any, **kwargs: Any) -> Any:
        call = Call(about, args, kwargs)
        plan = _PLANS.get(fun, call, kind, make)
        value, more, gradients = plan(call)
        return arrange(value, more, gradients[0] if single else gradients)

    gradient_function.__pullback__ = (name, wanted, has_aux)  # type: ignore[attr-defined]
    return gradient_function


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of a function, and its pullback: from the cotangent of the result to those of the arguments.

    Returns ``(out, vjp_fn)``, with ``has_aux`` ``(out, vjp_fn, more)``. ``vjp_fn(cotangent)`` takes a tree like
    ``out`` (None stands for zeros) and returns a tuple with one gradient an argument, None in the place of what
    is no float.

    >>> out, pull = vjp(lambda X, w: X @ w, np.eye(2), np.array([1.0, 3.0]))
    >>> pull(np.array([1.0, 10.0]))[1]
    array([ 1., 10.])
    """
    about = parameters(fun)
    call = Call(about, primals, {})

    def make(call: Call, fixed: Sequence[int]) -> _Pullback:
        return _Pullback(call, forward_of(fun, call, has_aux))

    plan = _PLANS.get(fun, call, ("vjp", has_aux), make)
    out, more, vjp_fn = plan(call)
    return (out, vjp_fn, more) if has_aux else (out, vjp_fn)


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> Any:
    """The value of a function and its derivative along ``tangents``, which are trees like ``primals``.

    Returns ``(out, tangent_out)``, with ``has_aux`` ``(out, tangent_out, more)``. None stands for a zero tangent;
    it is the only tangent of what is no float.

    >>> jvp(lambda x: x ** 2, (3.0,), (1.0,))
    (np.float64(9.0), np.float64(6.0))
    """
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, tuple | list):
            raise ArgumentError(
                f"jvp takes the {name} as a tuple, one entry an argument",
                expected="jvp(fun, (x, y), (dx, dy))",
                found=f"a {type(given).__name__}",
                hint="for a single argument: jvp(fun, (x,), (dx,))",
            )
    about = parameters(fun)
    call = Call(about, primals, {})

    def make(call: Call, fixed: Sequence[int]) -> _Pushforward:
        return _Pushforward(call, forward_of(fun, call, has_aux))

    plan = _PLANS.get(fun, call, ("jvp", has_aux), make)
    out, tangent, more = plan(call, tangents)
    return (out, tangent, more) if has_aux else (out, tangent)


# ---------------------------------------------------------------------------------------------------
# Plans: what was traced, derived and compiled for one signature of the arguments


class _Backward:
    """The compiled pair of a traced function, between trees and flat arrays."""

    def __init__(self, forward: Forward, call: Call, slots: Sequence[int]) -> None:
        self.forward = forward
        leaf_kinds = kinds(call)
        self.trees = [(call.structures[slot], call.leaves_of(slot)) for slot in slots]
        inputs = {n: forward.input(n) for _, leaves in self.trees for n in leaves}
        floats = [n for n in inputs if inputs[n].kind == "float"]
        self.order = {n: k for k, n in enumerate(floats)}
        self.finish = [
            (_FINISH[leaf_kinds[n]], _shape_of(call.leaves[n]), _dtype_of(call.leaves[n]))
            for n in floats
        ]
        self.pair = pair(forward.program, tuple(inputs[n] for n in floats), forward.through)
        self.plain = all(isinstance(structure, Leaf) for structure, _ in self.trees)

    def run(self, call: Call) -> tuple[Sequence[Any], Any, Sequence[Any]]:
        """The outputs, what the backward pass needs, and the arrays that went in."""
        if call.traced:
            return self.run_traced([*map(call.leaves.__getitem__, self.forward.given)])
        inputs = self.forward.arrays(call)
        outputs, cache = self.pair.forward(*inputs)
        return outputs, cache, inputs

    def run_traced(self, values: list[Any]) -> tuple[Sequence[Any], Any, Sequence[Any]]:
        """The same inside a trace."""
        values += self.forward.constants
        sizes = sizes_of(self.forward.program, values)
        program = self.pair.forward_program.with_sizes(sizes)
        found = inlined(sheet_of(values), program, values)
        split = len(self.forward.program.outputs)
        return found[:split], tuple(found[split:]), values

    def gradients(self, seeds: tuple[Any, ...], cache: Any, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The gradients of the slots, as trees like the arguments."""
        if any(map(is_traced, (*seeds, *cache))):
            found = self.gradients_traced(seeds, cache, inputs)
        else:
            found = self.pair.backward(seeds, cache)
        flat = [
            finish(gradient, shape, dtype)
            for (finish, shape, dtype), gradient in zip(self.finish, found, strict=True)
        ]
        if self.plain and len(flat) == len(self.trees):
            return tuple(flat)
        return tuple(
            unflatten(
                structure,
                [flat[self.order[n]] if n in self.order else None for n in leaves],
                static=False,
            )
            for structure, leaves in self.trees
        )

    def gradients_traced(
        self, seeds: tuple[Any, ...], cache: Any, inputs: Sequence[Any]
    ) -> Sequence[Any]:
        """The gradients inside a trace."""
        values = [*seeds, *cache[: len(self.pair.residuals)]]
        sizes = sizes_of(self.forward.program, inputs)
        return inlined(sheet_of(values), self.pair.backward_program.with_sizes(sizes), values)


def _shape_of(leaf: Any) -> tuple[int, ...]:
    return () if isinstance(leaf, float) else tuple(leaf.shape)


def _dtype_of(leaf: Any) -> np.dtype[Any]:
    return np.dtype(np.float64) if isinstance(leaf, float) else leaf.dtype.newbyteorder("=")


def _array(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """A gradient of an array: an array, 0-d ones too, of the argument's shape and dtype."""
    found = value if is_traced(value) else np.asarray(value, dtype)
    if found.shape != shape:
        raise CheckError(
            "a derived gradient has the wrong shape, which is an error of pullback",
            expected=str(shape),
            found=str(found.shape),
            hint="please report it with the function that shows it",
        )
    return found


def _number(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """A gradient of a scalar: a NumPy scalar of the argument's dtype."""
    found = _array(value, shape, dtype)
    return found if is_traced(found) else found[()]


_FINISH = {Leaf.ARRAY: _array, Leaf.SCALAR: _number, Leaf.FLOAT: _number, Leaf.VALUE: _array}


class _Gradient:
    """:func:`grad` for one signature of the arguments."""

    def __init__(self, call: Call, forward: Forward, chosen: Sequence[int]) -> None:
        self.forward = forward
        _check_scalar(forward)
        self.backward = _Backward(forward, call, chosen)

    def __call__(self, call: Call) -> tuple[Any, Any, tuple[Any, ...]]:
        outputs, cache, inputs = self.backward.run(call)
        seeds = tuple(np.ones((), outputs[n].dtype) for n in self.backward.pair.cotangents)
        gradients = self.backward.gradients(seeds, cache, inputs)
        return (*self.forward.built(outputs), gradients)


def _check_scalar(forward: Forward) -> None:
    """Refuses a result that has no gradient: not a single float."""
    if not isinstance(forward.structure, Leaf):
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
        "grad needs a function with a scalar result", expected="one float", found=found, hint=hint
    )


class _Pullback:
    """:func:`vjp` for one signature of the arguments."""

    def __init__(self, call: Call, forward: Forward) -> None:
        self.forward = forward
        self.backward = _Backward(forward, call, range(len(call.structures)))

    def __call__(self, call: Call) -> tuple[Any, Any, Callable[[Any], tuple[Any, ...]]]:
        backward = self.backward
        outputs, cache, inputs = backward.run(call)
        # The caller may change its own arrays, and the result, before the pullback runs.
        cache = apart(cache, (*inputs, *outputs))
        like = [(out.shape, out.dtype) for out in outputs]

        def vjp_fn(cotangent: Any) -> tuple[Any, ...]:
            return backward.gradients(self.seeds(cotangent, like), cache, inputs)

        return (*self.forward.built(outputs), vjp_fn)

    def seeds(self, cotangent: Any, like: Sequence[Any]) -> tuple[Any, ...]:
        """The outputs' cotangents."""
        given = matched(cotangent, self.forward.structure, "the cotangent", "the result")
        found: dict[int, Any] = {}
        for n, (value, place) in enumerate(
            zip(given, self.forward.places("the cotangent"), strict=True)
        ):
            if n in self.backward.pair.cotangents:
                found[n] = _like(value, *like[n], place, "the result")
            else:
                _check_nothing(value, place, "the result")
        return tuple(found[n] for n in self.backward.pair.cotangents)


class _Pushforward:
    """:func:`jvp` for one signature of the arguments."""

    def __init__(self, call: Call, forward: Forward) -> None:
        self.forward = forward
        inputs = [forward.input(n) for n in range(len(call.leaves))]
        self.floats = [n for n, tensor in enumerate(inputs) if tensor.kind == "float"]
        self.program = tangents(forward.program, tuple(inputs[n] for n in self.floats))
        outputs = forward.program.outputs
        floats = [n for n, tensor in enumerate(outputs) if tensor.kind == "float"]
        self.position = {n: len(outputs) + k for k, n in enumerate(floats)}

    def __call__(self, call: Call, given: Sequence[Any]) -> tuple[Any, Any, Any]:
        along = self.along(call, given)
        if call.traced or any(map(is_traced, along)):
            results = self.run_traced([*map(call.leaves.__getitem__, self.forward.given)], along)
        else:
            results = evaluation(self.program)(*self.forward.arrays(call), *along)
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
        return inlined(sheet_of([*values, *along]), program, [*values, *along])

    def along(self, call: Call, given: Sequence[Any]) -> list[Any]:
        """The tangents of the float leaves of the arguments."""
        if len(given) != len(call.structures):
            raise ArgumentError(
                "jvp takes one tangent an argument",
                expected=f"{len(call.structures)} tangents",
                found=str(len(given)),
            )
        flat = [
            value
            for label, structure, tangent in zip(call.labels, call.structures, given, strict=True)
            for value in matched(tangent, structure, f"the tangent of {label}", label)
        ]
        found = []
        for n, (value, leaf, place) in enumerate(zip(flat, call.leaves, call.places, strict=True)):
            if n in self.floats:
                like = _shape_of(leaf), _dtype_of(leaf)
                found.append(_like(value, *like, f"the tangent of {place}", place))
            else:
                _check_nothing(value, f"the tangent of {place}", place)
        return found


def _scalar(value: Any) -> Any:
    return value[()] if type(value) is np.ndarray and value.ndim == 0 else value


def _like(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any], place: str, like: str) -> Array:
    """A cotangent or tangent as an array; None is zeros. It has the shape of what it belongs to."""
    if value is None:
        return np.zeros(shape, dtype)
    array = value if is_traced(value) else np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise ArgumentError(
            f"{place} has the wrong dtype", expected=str(dtype), found=f"dtype {array.dtype}"
        )
    if array.shape != shape:
        raise ShapeError(
            f"{place} has the wrong shape",
            expected=f"{shape}, the shape of {like}",
            found=str(array.shape),
            hint="np.broadcast_to makes the repetition explicit" if array.size == 1 else "",
        )
    return array.astype(dtype, copy=False)


def _check_nothing(value: Any, place: str, like: str) -> None:
    """The cotangent or tangent of what is no float: None, or zeros."""
    if value is None:
        return
    array = np.asarray(value)
    if array.dtype.kind in "fiub" and not array.any():
        return
    raise ArgumentError(
        f"{place} must be None",
        expected=f"None: {like} is no float there",
        found=f"a {type(value).__name__}",
        hint="integers, bools and constants have no derivative",
    )
