"""Functions made of index notation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import ArgumentError, NotationError, ShapeError
from ..ir.expr import Tensor
from ..ir.program import Define, Program, check_extents, solve_sizes
from ..ir.sizes import ONE
from ..later import np
from ..opaque import assumed
from ..trees import Branch, Leaf, Structure, is_traced, known_numbers
from .bounds import check_as_traced, check_integers, check_work, is_watched
from .calls import Arguments, Call, plain_array
from .lookups import Positions, check_lookups, positions

Array: TypeAlias = "np.ndarray[Any, Any]"


_Compiled = tuple[Callable[..., Sequence[Any]], tuple[Positions, ...], Program, bool]
MOST = 1024  # shapes that are remembered


class Formula:
    """Index notation as a function of arrays, by position or by name; what :func:`pullback.define`
    returns.

    ``inputs`` and ``outputs`` are the names of its arrays, ``sizes`` those of sizes that no
    array's shape tells: they are given as keyword arguments. A single output is returned bare,
    several as a tuple. ``program`` is what the text means, ``text`` the text.
    """

    _pullback_reads = ("program", "_name")  # what it depends on, see runtime.captured

    def __init__(self, program: Program, text: str) -> None:
        self.program = program
        self.text = text
        self.inputs = tuple(tensor.name for tensor in program.inputs)
        self.outputs = tuple(tensor.name for tensor in program.outputs)
        self.sizes = program.sizes
        self._name = ""
        self._made: dict[tuple[Any, ...], _Compiled] = {}
        self.__name__ = self.outputs[0]
        self.__doc__ = text
        self.arguments = Arguments(self.inputs, self.sizes)
        self.__signature__ = self.arguments.signature

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        values, sizes = self._bind(args, kwargs)
        if any(map(is_traced, values)):
            outputs: Sequence[Any] = self._inside_a_trace(values, sizes)
        else:
            arrays = [_fitting(v, t) for v, t in zip(values, self.program.inputs, strict=True)]
            _check_whole(sizes)
            run, found, program, watched = self._compiled(arrays, sizes)
            if found:
                check_lookups(found, program, arrays)
            if watched:
                check_integers(program, arrays)
            outputs = run(*arrays)
            outputs = list(map(_scalar, outputs))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _compiled(self, arrays: Sequence[Array], sizes: Mapping[str, int]) -> _Compiled:
        """What runs; for arrays of shapes that were seen before, without another check."""
        key = (*(array.shape for array in arrays), *sizes.values())
        found = self._made.get(key)
        if found is None:
            program = self._sized(arrays, sizes)
            watched = is_watched(program, _sizes(program, arrays))
            found = _evaluation(program), positions(program), program, watched
            if len(self._made) >= MOST:
                self._made.clear()
            self._made[key] = found
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (self.program, self.text, self._name)

    def named(self, name: str) -> Formula:
        """The same formula; inside a traced function its output is called ``name``."""
        return _named(self.program, self.text, name)

    def __repr__(self) -> str:
        inputs = ", ".join(self.inputs) or "nothing"
        return f"<{', '.join(self.outputs)} of {inputs}: {self.text.strip()!r}>"

    @property
    def structure(self) -> Structure:
        """The tree of what it returns."""
        if len(self.outputs) == 1:
            return Leaf.ARRAY
        steps = tuple(("item", n) for n in range(len(self.outputs)))
        return Branch(tuple, steps, (Leaf.ARRAY,) * len(self.outputs))

    def bound(self, call: Call) -> tuple[Program, tuple[int, ...], tuple[Array, ...]]:
        """The program for a call's arguments, and which leaf is which input."""
        slots = list(range(len(call.structures)))
        positional = slots[: call.positional]
        named = dict(zip(call.keywords, slots[call.positional :], strict=True))
        values, sizes = self._bind(positional, named)
        plain = {name: call.static(slot) for name, slot in sizes.items()}
        given = tuple(call.only_leaf(slot) for slot in values)
        arrays = [call.leaves[n] for n in given]
        for tensor, array, slot in zip(self.program.inputs, arrays, values, strict=True):
            check_kind(
                np.asarray(array) if isinstance(array, float) else array, tensor, call.labels[slot]
            )
        return self._sized(arrays, plain), given, ()

    def _bind(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments in the order of the inputs, and the sizes."""
        values, sizes = self.arguments.bind(args, kwargs, repr(self))
        held = map(known_numbers, values)
        return [v if n is None else n for v, n in zip(values, held, strict=True)], sizes

    def _sized(self, arrays: Sequence[Any], sizes: Mapping[str, int]) -> Program:
        """The program, its arrays' shapes checked; sizes that they don't tell are put in."""
        _check_whole(sizes)
        program = self.program.with_sizes(sizes) if sizes else self.program
        shapes = {
            tensor: np.shape(array) for tensor, array in zip(program.inputs, arrays, strict=True)
        }
        known = solve_sizes(shapes)
        check_extents(program.statements, known)
        check_sizes(program.statements, known)
        check_work(program, known)
        return program

    def _inside_a_trace(self, values: Sequence[Any], sizes: Mapping[str, int]) -> Sequence[Any]:
        program = self._sized(values, sizes)
        known = _sizes(program, values)
        check_as_traced(program, values, known)
        from .nested import inlined  # loaded with what traces

        return inlined(program.with_sizes(known), values, self._name)


def check_sizes(statements: Sequence[Define], sizes: Mapping[str, int]) -> None:
    """Refuses sizes at which an axis is empty whose last place is read, or a matrix has too few
    rows or columns for what is computed of it; raises ShapeError."""
    for choice in assumed(statements):
        names = choice.condition.names
        if all(name in sizes for name in names) and not choice.condition.holds(sizes):
            raise ShapeError(
                "the last place of an empty axis is read"
                if choice.condition.right is ONE
                else "a matrix has too few rows or columns",
                where=choice.source.text.strip(),
                expected=str(choice.condition),
                found=", ".join(f"{name} = {sizes[name]}" for name in names),
            )


def _evaluation(program: Program) -> Callable[..., Sequence[Any]]:
    """The program on arrays; its results share no memory with these."""
    from .compiled import apart, evaluation  # what runs is not loaded to derive

    run = evaluation(program)
    return lambda *arrays: apart(run(*arrays), arrays)


def _sizes(program: Program, arrays: Sequence[Any]) -> dict[str, int]:
    return solve_sizes({t: np.shape(a) for t, a in zip(program.inputs, arrays, strict=True)})


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, np.timedelta64)


def _check_whole(sizes: Mapping[str, Any]) -> None:
    """Refuses sizes that are no whole numbers >= 0."""
    for name, value in sizes.items():
        if isinstance(value, bool) or not _is_whole(value) or value < 0:
            raise ArgumentError(
                f"the size {name} is not a whole number",
                expected="a whole number >= 0",
                found=repr(value)[:60],
            )


def _named(program: Program, text: str, name: str) -> Formula:
    """A formula whose output has a name of its own inside traced functions."""
    made = Formula(program, text)
    made._name = name
    return made


def _fitting(value: Any, tensor: Tensor) -> Array:
    """An argument as an array of the tensor's kind; integers may stand for floats."""
    array = plain_array(value, tensor.name)
    if tensor.kind == "float" and array.dtype.kind in "iu":
        array = array.astype(np.float64 if tensor.dtype == "float" else tensor.dtype)
    check_kind(array, tensor, tensor.name)
    return array


_KINDS = {"f": "float", "i": "int", "u": "int", "b": "bool"}


def check_kind(array: Any, tensor: Tensor, name: str) -> None:
    """Refuses an array whose dtype is not the tensor's, or not of its kind."""
    dtype = array.dtype
    kind = _KINDS.get(dtype.kind)
    if kind == tensor.kind and tensor.dtype in ("float", "int", "bool", dtype.name):
        return
    wanted = tensor.dtype if tensor.dtype != tensor.kind else f"{tensor.kind}s"
    raise ArgumentError(
        f"{name} has the wrong dtype",
        where=f"argument {name}",
        expected=wanted,
        found=f"dtype {dtype}",
        hint=f"pass {name}.astype({tensor.dtype})" if kind else "",
    )


def _scalar(value: Any) -> Any:
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def text_formula(text: str, shapes: Mapping[str, Any]) -> Formula:
    """Index notation as a function; ``shapes`` are shapes or example arrays of its inputs."""
    from ..notation.parse import parse  # not loaded for NumPy functions

    forms = {name: _text_shape(name, shape) for name, shape in shapes.items()}
    program = parse(text, forms)
    for name in forms:
        if name not in {tensor.name for tensor in program.inputs}:
            raise ArgumentError(
                f"the text has no input {name}",
                expected=f"one of {', '.join(t.name for t in program.inputs)}",
                found=name,
            )
    return Formula(program, text)


def _text_shape(name: str, shape: Any) -> Any:
    if isinstance(shape, np.ndarray | np.generic):
        return shape.shape
    if isinstance(shape, str) and ":" in shape:  # a dtype, as for functions; the text tells it
        shape = shape.split(":")[0]
    if isinstance(shape, str | tuple | list):
        return shape
    raise NotationError(
        f"{name} is given no shape",
        where=f"{name}={shape!r}"[:80],
        expected='sizes such as "N D" or (64, 10), or an example array',
    )
